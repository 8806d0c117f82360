"""Elements: the statements that compute one element of a variable, each value once.

Asking for an element finds its name, loads it, or computes it from its operands; the
statement goes into the outermost loop in which all its operands are known, so what does not
depend on a loop is hoisted out of it by construction.

Read next: :mod:`workbench.compile.lower`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.compile.layouts import stride_texts
from workbench.compile.loops import (
    Block,
    Check,
    Index,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    as_index,
)
from workbench.compile.rewrite import uniform_value
from workbench.compile.scalars import literal, scalar_text
from workbench.compile.schedule import Schedule, Unit
from workbench.compile.tracing import Tracer, operand_index
from workbench.core.graph import Apply, Constant, Variable, toposort
from workbench.core.op import (
    Elementwise,
    Generator,
    Size,
    Sizes,
    View,
)
from workbench.core.ops.shape import SizeOf


class SizeTable:
    """Run-time sizes by number, and where each becomes known.

    A size is *early* when it follows from the arguments alone; otherwise it is *late*, known
    after the unit whose number is given.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.numbers: dict[Variable, int] = {}
        self._known_after: dict[Variable, int] = {}
        # A host step hands over those that have a number when it is written, so all
        # that a later size or check may read get one now.
        for node in toposort(self._asked_for()):
            if self.is_told(node.outputs[0]):
                self.name(node.outputs[0])

    def _asked_for(self) -> list[Variable]:
        """Every size that is not constant, and what checks compare."""
        extents, nodes = self.schedule.extents, self.schedule.nodes
        sizes = [s for node in nodes for v in node.outputs for s in extents.of(v)]
        sizes += [size for check in extents.checks for size in (check.a, check.b)]
        return [size for size in sizes if not isinstance(size, int)]

    def index(self, size: Size) -> Index:
        """The size as an index expression: a number, or its name."""
        found = self.schedule.extents.find(size)
        if isinstance(found, int):
            return Index.of(found)
        return Index(self.name(found))

    def name(self, size: Variable) -> str:
        """``n3``: the name of a size that is not constant."""
        return f"n{self.numbers.setdefault(size, len(self.numbers))}"

    def is_told(self, size: Variable) -> bool:
        """Whether a host step says the size when it has run."""
        node = size.owner
        if node is None or not isinstance(node.op, SizeOf):
            return False
        maker = node.inputs[0].owner
        unit = self.schedule.unit_of.get(maker) if maker is not None else None
        return unit is not None and unit.role == "host"

    def known_after(self, size: Variable) -> int:
        """The number of the unit after which a size is known; -1 for an early one."""
        if size not in self._known_after:
            self._known_after[size] = self._find_known_after(size)
        return self._known_after[size]

    def are_late(self, sizes: Sizes) -> bool:
        """Whether one of the sizes is known only when some units have run."""
        return any(not isinstance(s, int) and self.known_after(s) >= 0 for s in sizes)

    def last_reads(self) -> dict[Variable, int]:
        """For what late sizes are computed from: the last unit after which one is.

        A check computes the two sizes that it compares again, once both can be known; and a
        size that says only how much memory is taken is computed when it is.
        """
        last: dict[Variable, int] = {}

        def note(sizes: Sequence[Size], unit: int = -1) -> None:
            late = [
                s for s in sizes if not isinstance(s, int) and self.known_after(s) >= 0
            ]
            unit = max([unit, *map(self.known_after, late)])
            for size in late:
                last[size] = max(last.get(size, -1), unit)

        for size in dict.fromkeys([*self.numbers, *self._asked_for()]):
            note([size])
        for check in self.schedule.extents.checks:
            note([check.a, check.b])
        for unit in self.schedule.units:
            for node in (*unit.nodes, *unit.after):
                for v in node.outputs:
                    note(self.schedule.extents.of(v), unit.number - 1)
        found: dict[Variable, int] = {}
        for size, number in last.items():
            for read in self._reads(size):
                # What the host says of an array is not read from it.
                after = self.known_after(size) if self._is_axis(read) else number
                v = self._in_memory(read)
                found[v] = max(found.get(v, -1), after)
        return found

    def _find_known_after(self, size: Variable) -> int:
        makers = [self._in_memory(read).owner for read in self._reads(size)]
        units = [self.schedule.unit_of.get(node) for node in makers if node is not None]
        return max((unit.number for unit in units if unit is not None), default=-1)

    def _reads(self, size: Variable) -> list[Variable]:
        """What a size is computed from: elements, and sizes of arrays that the host makes."""
        tracer = Tracer(self.schedule, ())
        tracer.trace(size, ())
        return [read.variable for read in tracer.found]

    def _in_memory(self, read: Variable) -> Variable:
        """The array that something is an element of, or the size of."""
        if self._is_axis(read):
            assert read.owner is not None
            return self.schedule.base(read.owner.inputs[0])
        return read

    def _is_axis(self, read: Variable) -> bool:
        return read.owner is not None and isinstance(read.owner.op, SizeOf)


class Lowering:
    """Makes the statements of one unit. It is the :class:`~workbench.core.op.Indexer` of ops."""

    def __init__(
        self,
        schedule: Schedule,
        sizes: SizeTable,
        unit: Unit | None,
        inputs: Mapping[Variable, int],
    ) -> None:
        self.schedule = schedule
        self.sizes = sizes
        self.unit = unit
        self.inputs = inputs
        self.blocks: list[Block] = [Block()]
        self.domain: Sizes = ()
        self.written: set[Variable] = set()
        self.scratch: dict[Variable, Sizes] = {}
        self.lodging: dict[Variable, Variable] = {}  # in whose memory a value is kept
        self.outer_rank = 0
        self.is_flat = False  # whether one loop runs over all axes
        self.node: Apply | None = None
        self.prefix = ""
        self._count = 0

    # --- the Indexer ---------------------------------------------------------------------

    def size(self, size: Size) -> Index:
        """A size as an index; one that is no axis is computed like any scalar."""
        return self.sizes.index(size)

    def value(self, variable: Variable, index: Sequence[Any]) -> Index:
        """The element of an integer variable as an index."""
        at = tuple(as_index(i) for i in index)
        made, variable, at = self.schedule.generated(variable, at, self)
        if made is not None:
            return made
        text, level = self.element(variable, at)
        return Index(text, self._loops(level))

    def wrap(self, index: Any, size: Size, axis: int, at: Sequence[Any] = ()) -> Index:
        """`index` counted from the end when negative, and checked unless it is a loop over that axis.

        The check stays inside the loops of `at`: it must not be made when they do not run.
        """
        place = as_index(index)
        if Tracer(self.schedule, self.domain).in_range(place, size):
            return place
        extent = self.size(size)
        level = max(self._level(i) for i in (place, *map(as_index, at)))
        if at and self.is_flat:  # one loop stands for all, also where no index names it
            level = len(self.blocks) - 1
        key = ("wrap", place.text, extent.text)
        found = self._find(key)
        if found is not None:
            return Index(found[0], self._loops(found[1]))
        if any(block.loop == place.text for block in self.blocks):
            name, bad = place.text, f"{place.text} >= {extent.factor()}"
        else:
            name, given = self._name("v"), place.factor()
            counted = f"{given} < 0 ? {given} + {extent.factor()} : {given}"
            self.blocks[level].statements.append(Let(name, "int64", counted, self.node))
            bad = f"{name} < 0 || {name} >= {extent.factor()}"
        check = Check(bad, "WB_INDEX", self.node, axis, place.text, extent.text)
        self.blocks[level].statements.append(check)
        self.blocks[level].names[key] = name
        return Index(name, self._loops(level))

    def equal(self, a: Any, b: Any) -> Index:
        """Whether two indices are the same."""
        a, b = as_index(a), as_index(b)
        return Index(f"({a.text} == {b.text})", a.loops | b.loops)

    # --- elements ------------------------------------------------------------------------

    def element(self, variable: Variable, index: tuple[Index, ...]) -> tuple[str, int]:
        """The text of an element, and the loop level at which it is known."""
        if isinstance(variable, Constant):
            value = uniform_value(variable)
            if value is not None:
                return literal(value, variable.dtype), 0
        key = (variable, tuple(i.text for i in index))
        found = self._find(key)
        if found is not None:
            return found
        if self._is_in_memory(variable):
            return self._load(variable, index, key)
        node = variable.owner
        assert node is not None, f"{variable} has no value"
        if isinstance(node.op, SizeOf):
            return self._size_element(node, variable)
        if isinstance(node.op, View):
            asked_by, self.node = self.node, node
            place = tuple(as_index(i) for i in node.op.source_index(node, index, self))
            self.node = asked_by
            return self._remember(key, self.element(node.inputs[0], place))
        if isinstance(node.op, Generator):
            return self._generate(node, variable, index, key)
        assert isinstance(node.op, Elementwise), (
            f"{node} is not computed element by element"
        )
        return self._compute(node, node.op, variable, index, key)

    def _is_in_memory(self, variable: Variable) -> bool:
        if variable in self.written and (
            variable in self.scratch or variable in self.lodging
        ):
            return True
        base = self.schedule.base(variable)
        if base.owner is None:
            return True
        if base not in self.schedule.stored:
            return False
        unit = self.schedule.unit_of.get(base.owner)
        return unit is not None and (unit is not self.unit or base in self.written)

    def _load(
        self, variable: Variable, index: tuple[Index, ...], key: object
    ) -> tuple[str, int]:
        offset = self.offset(variable, index)
        buffer = variable
        if variable not in self.scratch:
            buffer = self.lodging.get(variable, self.schedule.base(variable))
        level = self._level(offset)
        if (
            variable in self.written or buffer in self.written
        ):  # each row writes it anew
            level = max(level, self.outer_rank)
        name = self._name("v")
        self.blocks[level].statements.append(Load(name, variable.dtype, buffer, offset))
        self.blocks[level].names[key] = name
        return name, level

    def _size_element(self, node: Apply, variable: Variable) -> tuple[str, int]:
        """A size: of an argument read from its shape, of another value by its name."""
        assert isinstance(node.op, SizeOf)
        argument = self.inputs.get(node.inputs[0])
        if self.unit is None and argument is not None:
            return f"c->input[{argument}].shape[{node.op.axis}]", 0
        if self.unit is None:
            if variable in self.sizes.numbers:
                return f"c->size[{self.sizes.numbers[variable]}]", 0
            found = self.schedule.extents.find(variable)
            if isinstance(found, int):
                return str(found), 0
            return f"c->size[{self.sizes.name(found)[1:]}]", 0
        return self.sizes.index(variable).text, 0

    def _generate(
        self, node: Apply, variable: Variable, index: tuple[Index, ...], key: object
    ) -> tuple[str, int]:
        assert isinstance(node.op, Generator)
        asked_by, self.node = self.node, node
        made = as_index(node.op.element(node, index, self))
        self.node = asked_by
        level = self._level(made)
        name = self._name("v")
        self.blocks[level].statements.append(Let(name, variable.dtype, made.text, node))
        self.blocks[level].names[key] = name
        return name, level

    def _compute(
        self,
        node: Apply,
        op: Elementwise,
        variable: Variable,
        index: tuple[Index, ...],
        key: object,
    ) -> tuple[str, int]:
        operands = [
            self.element(v, operand_index(node, v, index, self)) for v in node.inputs
        ]
        level = max((at for _, at in operands), default=0)
        name = self._name("v")
        text = scalar_text(node, [text for text, _ in operands])
        self.blocks[level].statements.append(Let(name, variable.dtype, text, node))
        self.blocks[level].names[key] = name
        return name, level

    def offset(self, variable: Variable, index: Sequence[Index]) -> Index:
        """Where an element lies in the row-major memory of its variable, in elements.

        An argument that need not be contiguous has strides of its own.
        """
        kind = self.schedule.strided.get(variable)
        if kind is not None:
            place = Index.of(0)
            strides = stride_texts(self.inputs[variable], kind, variable.ndim)
            for position, stride in zip(index, strides, strict=True):
                place = place + position * stride
            return place
        if variable in self.scratch:
            sizes, index = self.scratch[variable], index[self.outer_rank :]
        else:
            sizes = self.schedule.extents.of(variable)
        place = Index.of(0)
        for position, size in zip(index, sizes, strict=True):
            place = place * self.size(size) + position
        return place

    def store(
        self, variable: Variable, index: Sequence[Index], text: str, node: Apply
    ) -> None:
        """Add a statement that stores an element where the loops stand now."""
        offset = self.offset(variable, index)
        buffer = self.lodging.get(variable, variable)
        self.here.append(Store(buffer, offset, text, node, tuple(index)))

    def _remember(self, key: object, found: tuple[str, int]) -> tuple[str, int]:
        self.blocks[found[1]].names[key] = found[0]
        return found

    def _find(self, key: object) -> tuple[str, int] | None:
        for level, block in enumerate(self.blocks):
            if key in block.names:
                return block.names[key], level
        return None

    def _level(self, index: Index) -> int:
        return max(
            (k for k, block in enumerate(self.blocks) if block.loop in index.loops),
            default=0,
        )

    def _loops(self, level: int) -> frozenset[str]:
        return frozenset({self.blocks[level].loop}) if level else frozenset()

    def _name(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self.prefix}{self._count}"

    # --- loops ---------------------------------------------------------------------------

    def open_loop(self, axis: int, size: Index) -> Loop:
        """Start a loop ``i<axis>``; what follows goes into it until :meth:`close_loop`."""
        body = Block(loop=f"i{axis}")
        self.blocks.append(body)
        return Loop(body.loop, size, body)

    def close_loop(self, loop: Loop) -> None:
        """End the innermost loop and put it where the loop around it stands."""
        assert self.blocks.pop() is loop.body
        self.blocks[-1].statements.append(loop)

    @property
    def here(self) -> list[Statement]:
        """The statements of the innermost open loop."""
        return self.blocks[-1].statements
