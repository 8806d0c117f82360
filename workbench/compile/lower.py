"""From kernels to loops: which statement stands in which loop, each value computed once.

Asking for an element of a variable either finds its name, loads it, or computes it from its
operands; the statement goes into the outermost loop in which all its operands are known, so
what does not depend on a loop is hoisted out of it by construction.

A kernel over rows runs in *phases*. A reduction along the row ends a phase, because what
uses its result needs another pass over the row. An expensive value that two phases need is
kept in a buffer of one row instead of being computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.compile.extents import same_sizes
from workbench.compile.loops import (
    Accumulator,
    Block,
    Check,
    Combine,
    Index,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    walk,
)
from workbench.compile.rewrite import uniform_value
from workbench.compile.schedule import Schedule, Tracer, Unit, is_arg, operand_index
from workbench.core.graph import Apply, Constant, Variable
from workbench.core.op import Assembly, Elementwise, Generator, Reduction, Size, Sizes, View
from workbench.core.ops.elementwise import Add
from workbench.core.ops.shape import SizeOf

EXPENSIVE = 10
"""From this cost on (in additions) a value needed by two phases is kept rather than recomputed."""

C_TYPES = {
    "bool": "uint8_t",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "float16": "wb_half",
    "float32": "float",
    "float64": "double",
    "complex64": "wb_complex64",
    "complex128": "wb_complex128",
}


def literal(value: Any, dtype: str) -> str:
    """A number as C text of the given dtype, exactly."""
    if dtype in ("float32", "float64"):
        number = float(value)
        suffix = "f" if dtype == "float32" else ""
        number = float(np.dtype(dtype).type(number))
        if math.isnan(number):
            return f"({C_TYPES[dtype]})NAN"
        if math.isinf(number):
            return f"({C_TYPES[dtype]}){'-' if number < 0 else ''}INFINITY"
        text = str(np.dtype(dtype).type(number))
        text = text if any(c in text for c in ".en") else text + ".0"
        return f"({text}{suffix})" if text.startswith("-") else text + suffix
    if dtype == "float16":
        return hex(int(np.float16(value).view("uint16")))
    if dtype.startswith("complex"):
        part = "float32" if dtype == "complex64" else "float64"
        return f"__builtin_complex({literal(complex(value).real, part)}, {literal(complex(value).imag, part)})"
    number = int(value)
    if number == np.iinfo("int64").min:
        return "INT64_MIN"
    text = f"UINT64_C({number})" if number > np.iinfo("int64").max else f"INT64_C({number})"
    return f"(({C_TYPES[dtype]}){text})" if abs(number) > np.iinfo("int32").max else f"({number})" if number < 0 else str(number)


def extreme(dtype: str, lowest: bool) -> str:
    """The smallest or largest value of a dtype as C text."""
    if dtype == "bool":
        return "0" if lowest else "1"
    if dtype.startswith("float"):
        return literal(-math.inf if lowest else math.inf, dtype)
    limits = np.iinfo(dtype)
    return literal(limits.min if lowest else limits.max, dtype)


class SizeTable:
    """Run-time sizes by number, and where each becomes known.

    A size is *early* when it follows from the arguments alone; otherwise it is *late*, known
    after the unit whose number is given.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.numbers: dict[Variable, int] = {}
        self._known_after: dict[Variable, int] = {}

    def index(self, size: Size) -> Index:
        """The size as an index expression: a number, or its name."""
        found = self.schedule.extents.find(size)
        if isinstance(found, int):
            return Index.of(found)
        return Index(self.name(found))

    def name(self, size: Variable) -> str:
        """``n3``: the name of a size that is not constant."""
        return f"n{self.numbers.setdefault(size, len(self.numbers))}"

    def known_after(self, size: Variable) -> int:
        """The number of the unit after which a size is known; -1 for an early one."""
        if size not in self._known_after:
            self._known_after[size] = self._find_known_after(size)
        return self._known_after[size]

    def _find_known_after(self, size: Variable) -> int:
        latest = -1
        tracer = Tracer(self.schedule, ())
        tracer.trace(size, ())
        for read in tracer.found:
            variable = read.variable
            node = variable.owner
            if node is not None and isinstance(node.op, SizeOf):
                variable = self.schedule.base(node.inputs[0])
                node = variable.owner
            if node is not None and node in self.schedule.unit_of:
                latest = max(latest, self.schedule.unit_of[node].number)
        return latest


@dataclass
class Lowered:
    """A unit as loops.

    Attributes
    ----------
    block
        Its statements; empty for library and host units.
    writes
        Variables it stores, in order.
    scratch
        Variables kept for one row only, with the sizes of that row.
    base_copy
        For an assembly, the loop that copies its base; not needed when done in place.
    """

    unit: Unit
    block: Block
    writes: tuple[Variable, ...]
    scratch: dict[Variable, Sizes] = field(default_factory=dict)
    base_copy: Loop | None = None

    @property
    def can_fail(self) -> bool:
        """Whether a statement may end the call."""
        return self.unit.role == "host" or any(isinstance(s, Check) for s in walk(self.block))


class Lowering:
    """Makes the statements of one unit. It is the :class:`~workbench.core.op.Indexer` of ops."""

    def __init__(self, schedule: Schedule, sizes: SizeTable, unit: Unit | None, inputs: Mapping[Variable, int]) -> None:
        self.schedule = schedule
        self.sizes = sizes
        self.unit = unit
        self.inputs = inputs
        self.blocks: list[Block] = [Block()]
        self.domain: Sizes = ()
        self.written: set[Variable] = set()
        self.scratch: dict[Variable, Sizes] = {}
        self.outer_rank = 0
        self.node: Apply | None = None
        self.prefix = ""
        self._count = 0

    # --- the Indexer ---------------------------------------------------------------------

    def size(self, size: Size) -> Index:
        """A size as an index; one that is no axis is computed like any scalar."""
        return self.sizes.index(size)

    def value(self, variable: Variable, index: Sequence[Any]) -> Index:
        """The element of an integer variable as an index."""
        text, level = self.element(variable, tuple(_as_index(i) for i in index))
        return Index(text, self._loops(level))

    def wrap(self, index: Any, size: Size, axis: int) -> Index:
        """`index` counted from the end when negative, and checked unless it is a loop over that axis."""
        at = _as_index(index)
        if Tracer(self.schedule, self.domain).in_range(at, size):
            return at
        extent = self.size(size)
        level = self._level(at)
        key = ("wrap", at.text, extent.text)
        found = self._find(key)
        if found is not None:
            return Index(found[0], self._loops(found[1]))
        name = self._name("v")
        given = at.factor()
        self.blocks[level].statements += [
            Let(name, "int64", f"{given} < 0 ? {given} + {extent.factor()} : {given}", self.node),
            Check(f"{name} < 0 || {name} >= {extent.factor()}", "WB_INDEX", self.node, axis, at.text, extent.text),
        ]
        self.blocks[level].names[key] = name
        return Index(name, self._loops(level))

    def equal(self, a: Any, b: Any) -> Index:
        """Whether two indices are the same."""
        a, b = _as_index(a), _as_index(b)
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
            place = tuple(_as_index(i) for i in node.op.source_index(node, index, self))
            self.node = asked_by
            return self._remember(key, self.element(node.inputs[0], place))
        if isinstance(node.op, Generator):
            return self._generate(node, variable, index, key)
        assert isinstance(node.op, Elementwise), f"{node} is not computed element by element"
        return self._compute(node, node.op, variable, index, key)

    def _is_in_memory(self, variable: Variable) -> bool:
        if variable in self.scratch and variable in self.written:
            return True
        base = self.schedule.base(variable)
        if base.owner is None:
            return True
        if base not in self.schedule.stored:
            return False
        unit = self.schedule.unit_of.get(base.owner)
        return unit is not None and (unit is not self.unit or base in self.written)

    def _load(self, variable: Variable, index: tuple[Index, ...], key: object) -> tuple[str, int]:
        offset = self.offset(variable, index)
        buffer = variable if variable in self.scratch else self.schedule.base(variable)
        level = self._level(offset)
        if buffer in self.written:  # each row writes it anew
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
            found = self.schedule.extents.find(variable)
            if isinstance(found, int):
                return str(found), 0
            return f"c->size[{self.sizes.name(found)[1:]}]", 0
        return self.sizes.index(variable).text, 0

    def _generate(self, node: Apply, variable: Variable, index: tuple[Index, ...], key: object) -> tuple[str, int]:
        assert isinstance(node.op, Generator)
        asked_by, self.node = self.node, node
        made = _as_index(node.op.element(node, index, self))
        self.node = asked_by
        level = self._level(made)
        name = self._name("v")
        self.blocks[level].statements.append(Let(name, variable.dtype, made.text, node))
        self.blocks[level].names[key] = name
        return name, level

    def _compute(
        self, node: Apply, op: Elementwise, variable: Variable, index: tuple[Index, ...], key: object
    ) -> tuple[str, int]:
        operands = [self.element(v, operand_index(node, v, index, self)) for v in node.inputs]
        level = max((at for _, at in operands), default=0)
        name = self._name("v")
        text = scalar_text(node, [text for text, _ in operands])
        self.blocks[level].statements.append(Let(name, variable.dtype, text, node))
        self.blocks[level].names[key] = name
        return name, level

    def offset(self, variable: Variable, index: Sequence[Index]) -> Index:
        """Where an element lies in the row-major memory of its variable, in elements."""
        if variable in self.scratch:
            sizes, index = self.scratch[variable], index[self.outer_rank :]
        else:
            sizes = self.schedule.extents.of(variable)
        place = Index.of(0)
        for position, size in zip(index, sizes, strict=True):
            place = place * self.size(size) + position
        return place

    def _remember(self, key: object, found: tuple[str, int]) -> tuple[str, int]:
        self.blocks[found[1]].names[key] = found[0]
        return found

    def _find(self, key: object) -> tuple[str, int] | None:
        for level, block in enumerate(self.blocks):
            if key in block.names:
                return block.names[key], level
        return None

    def _level(self, index: Index) -> int:
        return max((k for k, block in enumerate(self.blocks) if block.loop in index.loops), default=0)

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


def scalar_text(node: Apply, operands: Sequence[str]) -> str:
    """The C text of an elementwise operation on named operands."""
    assert isinstance(node.op, Elementwise)
    dtypes = [v.dtype for v in node.inputs]
    names = dict(zip("xyz", operands, strict=False))
    suffix = "f" if dtypes[0] == "float32" else ""
    return node.op.scalar_text(dtypes).format(
        **names, f=suffix, t=C_TYPES[dtypes[0]], r=C_TYPES[node.outputs[0].dtype]
    )


def _as_index(value: Any) -> Index:
    return value if isinstance(value, Index) else Index.of(int(value))


# --- kernels of loops --------------------------------------------------------------------


class LoopKernel(Lowering):
    """Lowers a unit of elementwise operations and reductions."""

    unit: Unit

    def lower(self) -> Lowered:
        """The unit as loops."""
        unit = self.unit
        self.domains = {node: self.schedule.domain(node) for node in unit.nodes}
        self.rank = self._outer_rank()
        self.outer_rank = self.rank
        self._plan_phases()
        totals = self._start_totals()
        loops = [self.open_loop(k, self.size(unit.outer[k])) for k in range(self.rank)]
        for phase in range(self.phases):
            self._row_level(phase, totals)
            for domain in self._inner_domains(phase):
                self._nest(phase, domain, totals)
        for loop in reversed(loops):
            self.close_loop(loop)
        for node, total in totals.items():
            self.here.append(Store(node.outputs[0], Index.of(0), total.target, node))
        writes = tuple(v for node in unit.nodes for v in node.outputs if v in self.schedule.stored)
        return Lowered(unit, self.blocks[0], writes, self.scratch)

    def _outer_rank(self) -> int:
        if self.unit.fixed is not None:
            return self.unit.fixed
        domains = list(self.domains.values())
        if all(same_sizes(d, domains[0]) for d in domains[1:]):
            return 0
        return len(self.unit.outer)

    # --- phases

    def _plan_phases(self) -> None:
        """In which pass over the row each operation is computed, and what is kept for later ones."""
        unit, stored = self.unit, self.schedule.stored
        self.phase: dict[Apply, int] = {}
        self.ends_row = {n for n in unit.nodes if isinstance(n.op, Reduction) and n not in unit.gathers}
        own: dict[Apply, list[Apply]] = {}
        for node in unit.nodes:
            own[node] = [
                r.variable.owner
                for r in self.schedule.reads(node)
                if r.variable.owner is not None and self.schedule.unit_of.get(r.variable.owner) is unit
            ]
            self.phase[node] = max((self._available(n) for n in own[node]), default=0)
        used: dict[Apply, set[int]] = {node: set() for node in unit.nodes}
        self.kept: set[Apply] = set()
        for node in reversed(unit.nodes):
            if isinstance(node.op, Reduction):
                used[node].add(self.phase[node])
            elif node.outputs[0] in stored:
                used[node].add(self.phase[node])
            inner = len(self.domains[node]) > self.rank
            if isinstance(node.op, Elementwise) and inner and len(used[node]) > 1:
                if node.outputs[0] in stored or self._cost(node, own) >= EXPENSIVE:
                    self.kept.add(node)
                    self.phase[node] = min(used[node])
                    used[node] = {self.phase[node]}
                    if node.outputs[0] not in stored:
                        self.scratch[node.outputs[0]] = self.domains[node][self.rank :]
            for producer in own[node]:
                used[producer] |= used[node]
        last = max((self._available(n) for n in unit.nodes), default=0)
        self.phases = last + 1

    def _available(self, node: Apply) -> int:
        return self.phase[node] + (1 if node in self.ends_row else 0)

    def _cost(self, node: Apply, own: dict[Apply, list[Apply]]) -> int:
        total, pending, seen = 0, [node], {node}
        while pending and total < EXPENSIVE:
            current = pending.pop()
            assert isinstance(current.op, Elementwise)
            total += current.op.cost
            for producer in own[current]:
                if producer not in seen and isinstance(producer.op, Elementwise) and len(self.domains[producer]) > self.rank:
                    seen.add(producer)
                    pending.append(producer)
        return total

    def _sinks(self, phase: int) -> list[Apply]:
        """Operations of a phase that leave something behind: a store, or a reduction."""
        return [
            node
            for node in self.unit.nodes
            if self.phase[node] == phase
            and (isinstance(node.op, Reduction) or node.outputs[0] in self.schedule.stored or node in self.kept)
        ]

    # --- row level

    def _row_level(self, phase: int, totals: dict[Apply, Accumulator]) -> None:
        """What is computed once a row: scalars of the row that are stored or gathered."""
        for node in self.unit.nodes:
            if node in self.ends_row and self._available(node) == phase and node.outputs[0] in self.schedule.stored:
                index = self._loop_index(self.rank)
                text, _ = self.element(node.outputs[0], index)
                self.here.append(Store(node.outputs[0], self.offset(node.outputs[0], index), text, node))
        for node in self._sinks(phase):
            domain = self.domains[node]
            if len(domain) != self.rank or node in self.ends_row:
                continue
            self.domain = domain
            self._sink(node, self._loop_index(self.rank), totals)

    def _loop_index(self, rank: int) -> tuple[Index, ...]:
        return tuple(Index(f"i{k}", frozenset({f"i{k}"})) for k in range(rank))

    def _sink(self, node: Apply, index: tuple[Index, ...], totals: dict[Apply, Accumulator]) -> None:
        """Store an element, or gather it into a total, where the loops stand now."""
        if isinstance(node.op, Elementwise):
            text, _ = self.element(node.outputs[0], index)
            self.here.append(Store(node.outputs[0], self.offset(node.outputs[0], index), text, node))
            return
        assert isinstance(node.op, Reduction)
        text, _ = self.element(node.inputs[0], index)
        if node in totals:
            self.here.append(Combine(totals[node], text))
            return
        kept = tuple(i for k, i in enumerate(index) if k not in node.op.axes)
        place = self.offset(node.outputs[0], kept)
        self.here.append(Store(node.outputs[0], place, node.op.c_combine.format(a="{a}", x=text), node))

    # --- nests

    def _inner_domains(self, phase: int) -> list[Sizes]:
        found: list[Sizes] = []
        for node in self._sinks(phase):
            domain = self.domains[node]
            if (len(domain) > self.rank or node in self.ends_row) and not any(same_sizes(domain, d) for d in found):
                found.append(domain)
        return found

    def _nest(self, phase: int, domain: Sizes, totals: dict[Apply, Accumulator]) -> None:
        """One pass over the inner axes: every operation of this phase with this domain."""
        self.domain = domain
        sinks = [n for n in self._sinks(phase) if same_sizes(self.domains[n], domain)]
        rows = [n for n in sinks if n in self.ends_row]
        whole = {n: self._accumulator(n) for n in rows}
        flat = self.rank == 0 and len(domain) > 1 and self._is_flat(domain)
        inner = len(domain) - self.rank
        deep = inner > 1 and not flat
        if deep:
            self.here.extend(whole.values())
        gathered = {n: self._accumulator(n) for n in sinks if n in totals and inner}
        loops = self._open_inner(domain, flat)
        index = (*(Index.of(0),) * (len(domain) - 1), self._loop_index(len(domain))[-1]) if flat else self._loop_index(len(domain))
        partial: dict[Apply, Accumulator] = {n: self._accumulator(n) for n in rows} if deep else whole
        for node in self.unit.nodes:  # operands first, so that no tree is walked deeply
            if self.phase[node] <= phase and same_sizes(self.domains[node], domain) and self._feeds(node, sinks):
                if isinstance(node.op, Elementwise):
                    self.element(node.outputs[0], index)
        for node in sinks:
            if node in self.ends_row or node in gathered:
                text, _ = self.element(node.inputs[0], index)
                self.here.append(Combine({**partial, **gathered}[node], text, index[-1]))
            else:
                self._sink(node, index, totals)
        if loops:
            loops[-1].accumulators = [*partial.values(), *gathered.values()]
            loops[-1].lanes = bool(loops[-1].accumulators) and not any(is_arg(n) for n in rows)
        for depth, loop in reversed(list(enumerate(loops))):
            self.close_loop(loop)
            if depth == len(loops) - 1:
                if deep:
                    self.here.extend(Combine(whole[n], partial[n].target) for n in rows)
                self.here.extend(Combine(totals[n], gathered[n].target) for n in gathered)
        for node in rows:
            accumulator = whole[node]
            key = (node.outputs[0], tuple(i.text for i in self._loop_index(self.rank)))
            self.blocks[-1].names[key] = accumulator.place or accumulator.target
        for node in sinks:
            if isinstance(node.op, Elementwise):
                self.written.add(node.outputs[0])

    def _open_inner(self, domain: Sizes, flat: bool) -> list[Loop]:
        if flat:
            size = Index.of(1)
            for extent in domain:
                size = size * self.size(extent)
            return [self.open_loop(len(domain) - 1, size)]
        return [self.open_loop(k, self.size(domain[k])) for k in range(self.rank, len(domain))]

    def _feeds(self, node: Apply, sinks: Sequence[Apply]) -> bool:
        """Whether computing `node` here serves a sink of this nest and is not done already."""
        if node.outputs[0] in self.written or node in self.ends_row:
            return False
        if not hasattr(self, "_feeding") or self._feeding[0] is not sinks:
            reached: set[Apply] = set()
            pending = list(sinks)
            while pending:
                current = pending.pop()
                if current in reached:
                    continue
                reached.add(current)
                for read in self.schedule.reads(current):
                    owner = read.variable.owner
                    aligned = all(i.text == f"i{k}" for k, i in enumerate(read.index))
                    if owner is not None and aligned and self.schedule.unit_of.get(owner) is self.unit and owner not in self.ends_row:
                        if read.variable not in self.written:
                            pending.append(owner)
            self._feeding: tuple[Any, set[Apply]] = (sinks, reached)
        return node in self._feeding[1]

    def _is_flat(self, domain: Sizes) -> bool:
        """Whether everything is read in the order of one contiguous sweep."""
        for node in self.unit.nodes:
            if isinstance(node.op, Reduction) and len(node.op.axes) != len(domain):
                return False
            for read in self.schedule.reads(node):
                owner = read.variable.owner
                if owner is not None and isinstance(owner.op, Generator):
                    return False
                if all(i.value == 0 for i in read.index):
                    continue
                straight = all(i.text == f"i{k}" for k, i in enumerate(read.index))
                if not straight or not same_sizes(self.schedule.extents.of(read.variable), domain):
                    return False
        return True

    # --- reductions

    def _accumulator(self, node: Apply) -> Accumulator:
        assert isinstance(node.op, Reduction)
        op, dtype = node.op, node.inputs[0].dtype
        gathered = dtype if is_arg(node) else op.accumulator(dtype)
        start = op.c_start.format(lowest=extreme(gathered, True), highest=extreme(gathered, False))
        combine = op.c_better if is_arg(node) else op.c_combine  # type: ignore[attr-defined]
        return Accumulator(self._name("a"), gathered, start, combine, node, self._name("v") if is_arg(node) else "")

    def _start_totals(self) -> dict[Apply, Accumulator]:
        """Accumulators of reductions over the outer axes, and start values of those kept in memory."""
        totals: dict[Apply, Accumulator] = {}
        for node in self.unit.nodes:
            if node not in self.unit.gathers:
                continue
            assert isinstance(node.op, Reduction)
            accumulator = self._accumulator(node)
            sizes = self.schedule.extents.of(node.outputs[0])
            if not sizes:
                totals[node] = accumulator
                self.here.append(accumulator)
                continue
            length = Index.of(1)
            for size in sizes:
                length = length * self.size(size)
            loop = self.open_loop(0, length)
            self.here.append(Store(node.outputs[0], Index("i0", frozenset({"i0"})), accumulator.start, node))
            self.close_loop(loop)
        return totals


class AssemblyKernel(Lowering):
    """Lowers an operation that fills one array from parts."""

    unit: Unit

    def lower(self) -> Lowered:
        """A copy of the base, if any, then each part in its place."""
        (node,) = self.unit.nodes
        op = node.op
        assert isinstance(op, Assembly)
        self.node = node
        output = node.outputs[0]
        base_copy = None
        if op.base is not None:
            base_copy = self._copy_base(node.inputs[op.base], output, node)
        for part in op.parts(node):
            variable = node.inputs[part]
            self.domain = self.schedule.extents.of(variable)
            loops = [self.open_loop(k, self.size(size)) for k, size in enumerate(self.domain)]
            index = tuple(Index(loop.variable, frozenset({loop.variable})) for loop in loops)
            target = [_as_index(i) for i in op.target_index(node, part, index, self)]
            text, _ = self.element(variable, index)
            if op.adds():
                text = Add().scalar_text([output.dtype]).format(x="{a}", y=text)
            self.here.append(Store(output, self.offset(output, target), text, node))
            for loop in reversed(loops):
                self.close_loop(loop)
        return Lowered(self.unit, self.blocks[0], (output,), base_copy=base_copy)

    def _copy_base(self, base: Variable, output: Variable, node: Apply) -> Loop | None:
        self.domain = self.schedule.extents.of(output)
        if not self.domain:
            text, _ = self.element(base, ())
            self.here.append(Store(output, Index.of(0), text, node))
            return None
        loops = [self.open_loop(k, self.size(size)) for k, size in enumerate(self.domain)]
        index = tuple(Index(loop.variable, frozenset({loop.variable})) for loop in loops)
        text, _ = self.element(base, index)
        self.here.append(Store(output, self.offset(output, index), text, node))
        for loop in reversed(loops):
            self.close_loop(loop)
        made = self.here[-1]
        assert isinstance(made, Loop)
        return made


def lower(schedule: Schedule, sizes: SizeTable, inputs: Sequence[Variable]) -> list[Lowered]:
    """Every unit as loops, in order."""
    numbers = {variable: number for number, variable in enumerate(inputs)}
    made: list[Lowered] = []
    for unit in schedule.units:
        if unit.role == "loops":
            made.append(LoopKernel(schedule, sizes, unit, numbers).lower())
        elif unit.role == "assembly":
            made.append(AssemblyKernel(schedule, sizes, unit, numbers).lower())
        else:
            made.append(Lowered(unit, Block(), unit.nodes[0].outputs))
    return made


