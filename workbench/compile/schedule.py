"""Which operations share a kernel, and why.

A kernel is a loop nest over *outer* axes; inside it, operations on one element or one row.
Operations may share a kernel when each reads only what the others computed at the same
outer position, so a row of a softmax is shifted, exponentiated, summed and divided while it
is in the cache. The rules, in the order in which they are tried for each operation:

- Views, generators, sizes and cheap scalars are never computed on their own: whoever reads
  them computes the element in place (they are *inline*).
- An operation joins the latest kernel it reads from, when what it reads there is aligned
  with the kernel's outer axes and no result of the kernel is needed whole.
- Otherwise it joins a kernel that reads the same data over the same axes.
- Otherwise it starts a kernel.

Kernels run in the order of their numbers. An operation may join kernel k only when all it
needs from elsewhere has a smaller number, so no cycle can arise and the cost is linear.
A value is *stored* when another kernel reads it or it is a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.compile.copies import Copy, copy_of
from workbench.compile.extents import Extents, common_prefix, same_sizes
from workbench.compile.loops import Index, as_index
from workbench.compile.record import Graph
from workbench.compile.rewrite import uniform_value
from workbench.core import source
from workbench.core.graph import Apply, Constant, Variable, rebuild
from workbench.core.op import (
    Assembly,
    Elementwise,
    Generator,
    Indexer,
    Reduction,
    Size,
    Sizes,
    View,
)
from workbench.core.ops.elementwise import Fill, Switch, neq
from workbench.core.ops.shape import Reshape, SizeOf
from workbench.core.ops.slicing import Slice
from workbench.core.ops.ufunc import Cast, DimShuffle, cast

MAX_NODES = 300
"""Operations in one kernel: C compilers are superlinear in the length of a function."""

INLINE_DEPTH = 40
"""How deep a tree of inline operations may be before its top is stored."""


@dataclass
class Unit:
    """A step of the program to be lowered.

    Attributes
    ----------
    role
        ``"loops"``, ``"assembly"``, ``"library"`` or ``"host"``.
    nodes
        Its operations in order.
    outer
        The sizes its operations have in common in front; how many of them become outer loops
        is `fixed` when a reduction along rows decides it.
    gathers
        Reductions whose result is known only after the whole kernel.
    """

    number: int
    role: str
    nodes: list[Apply]
    outer: Sizes = ()
    fixed: int | None = None
    gathers: set[Apply] = field(default_factory=set)


@dataclass(frozen=True)
class Read:
    """An operation reads `variable`, not inline, at `index` in terms of its own loops."""

    variable: Variable
    index: tuple[Index, ...]


class Schedule:
    """The kernels of a graph in order, and where each operation went.

    Parameters
    ----------
    graph
        Rewritten, with composites expanded.
    has_kernel
        Whether the back end brings a kernel for an opaque operation.

    Attributes
    ----------
    graph
        The graph with copies put in where memory of its own is needed.
    units
        In order of execution.
    stored
        Every variable that a unit writes to memory.
    """

    def __init__(self, graph: Graph, has_kernel: Callable[[Apply], bool]) -> None:
        self.has_kernel = has_kernel
        self._depth: dict[Apply, int] = {}
        self._roles: dict[Apply, str] = {}
        self.graph = self._with_copies(with_plain_reductions(graph))
        self.nodes = self.graph.nodes()
        self._in_graph = frozenset(self.nodes)
        self.extents = Extents(self.nodes, self.graph.inputs)
        self.units: list[Unit] = []
        self.unit_of: dict[Apply, Unit] = {}
        self._readers: dict[Variable, list[Unit]] = {}
        self._latest: dict[Sizes, Unit] = {}
        self._reads: dict[Apply, list[Read]] = {}
        self.results = frozenset(self.graph.results)
        for node in self.nodes:
            self._place(node)
        self.stored = self._stored()

    # --- what each operation is ----------------------------------------------------------

    def role(self, node: Apply) -> str:
        """``inline``, ``alias``, ``loops``, ``assembly``, ``library`` or ``host``."""
        if node not in self._roles:
            self._roles[node] = self._role(node)
        return self._roles[node]

    def _role(self, node: Apply) -> str:
        op = node.op
        if isinstance(op, SizeOf):
            return "inline"
        if isinstance(op, Reshape):
            return "alias"
        if isinstance(op, View | Generator):
            return "inline"
        if isinstance(op, Copy):
            return "loops"
        if isinstance(op, Assembly) and not op.adds():
            return "assembly"  # elements of any dtype can be moved
        if not self._is_computable(node):
            return "host"
        if isinstance(op, Elementwise):
            if not is_loopable(node):
                return "host"
            return "inline" if self._is_cheap_scalar(node) else "loops"
        if isinstance(op, Reduction):
            return "loops"
        if isinstance(op, Assembly):
            return "assembly"
        return "library" if self.has_kernel(node) else "host"

    def _is_computable(self, node: Apply) -> bool:
        if isinstance(node.op, Cast) and is_loopable(node):
            return True
        return all(has_c_arithmetic(v.dtype) for v in (*node.inputs, *node.outputs))

    def is_followed(self, node: Apply) -> bool:
        """Whether a reader computes the element itself: inline, or part of the expression of a size."""
        return self.role(node) == "inline" or (
            isinstance(node.op, Elementwise) and node not in self._in_graph
        )

    def generated(
        self, variable: Variable, index: Sequence[Any], b: Indexer
    ) -> tuple[Index | None, Variable, tuple[Index, ...]]:
        """Follow views of a variable: the index that a generator makes of its element.

        None, and the variable and place where the views end, when there is no generator.
        """
        at = tuple(index)
        while variable.owner is not None and self.is_followed(variable.owner):
            node = variable.owner
            if isinstance(node.op, Generator):
                return as_index(node.op.element(node, at, b)), variable, at
            if not isinstance(node.op, View):
                break
            at = tuple(as_index(i) for i in node.op.source_index(node, at, b))
            variable = node.inputs[0]
        return None, variable, at

    def _is_cheap_scalar(self, node: Apply) -> bool:
        """Whether a scalar needs nothing but sizes, constants and scalar arguments."""
        if node.outputs[0].ndim:
            return False
        depth = 0
        for variable in node.inputs:
            if variable.owner is None:
                continue
            if self.role(variable.owner) != "inline" or (
                isinstance(variable.owner.op, View) and variable.owner.inputs[0].ndim
            ):
                return False
            depth = max(depth, self._depth.get(variable.owner, 0))
        self._depth[node] = depth + 1
        return depth < INLINE_DEPTH

    # --- copies --------------------------------------------------------------------------

    def _with_copies(self, graph: Graph) -> Graph:
        """Give results memory of their own, and steps the plain arrays they need."""
        made: dict[Variable, Variable] = {}
        for node in graph.nodes():
            inputs = [made.get(v, v) for v in node.inputs]
            role = self.role(node)
            if role == "alias":  # sizes need no memory
                inputs[0] = (
                    inputs[0] if self._is_plain(inputs[0], role) else copy_of(inputs[0])
                )
            elif role in ("host", "library"):
                inputs = [v if self._is_plain(v, role) else copy_of(v) for v in inputs]
            if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
                new = rebuild(node, inputs, keep_types=True)
                made.update(zip(node.outputs, new.outputs, strict=True))
        results: list[Variable] = []
        for result in graph.results:
            result = made.get(result, result)
            if result in results or not self._has_own_memory(result):
                result = copy_of(result)
            results.append(result)
        return graph.with_results(results)

    def _is_plain(self, variable: Variable, role: str) -> bool:
        """Whether a step can be handed the memory of `variable` as it is."""
        if role == "library":
            if isinstance(variable, Constant) and not variable.ndim:
                return True  # written as a literal
            while variable.owner is not None and is_strided_view(variable.owner):
                variable = variable.owner.inputs[0]
        if variable.owner is None:
            return (
                uniform_value(variable) is None
            )  # a constant that is one number has no memory
        return self.role(variable.owner) != "inline"

    def _has_own_memory(self, variable: Variable) -> bool:
        return variable.owner is not None and self.role(variable.owner) in (
            "loops",
            "assembly",
            "library",
        )

    # --- placing -------------------------------------------------------------------------

    def domain(self, node: Apply) -> Sizes:
        """The sizes a node is looped over: of its output, or of what it reduces."""
        return self.extents.of(
            node.inputs[0] if isinstance(node.op, Reduction) else node.outputs[0]
        )

    def _place(self, node: Apply) -> None:
        role = self.role(node)
        if role in ("inline", "alias"):
            return
        if role == "loops":
            self._place_in_loops(node)
            return
        unit = Unit(len(self.units), role, [node])
        self.units.append(unit)
        self.unit_of[node] = unit

    def _place_in_loops(self, node: Apply) -> None:
        domain = self.domain(node)
        earliest = 0
        aligned: dict[int, int] = {}
        for read in self.reads(node):
            unit = self._unit_computing(read.variable)
            if unit is None:
                continue
            reach = self._alignment(node, domain, read, unit)
            if reach is None:
                earliest = max(earliest, unit.number + 1)
            else:
                earliest = max(earliest, unit.number)
                aligned[unit.number] = min(aligned.get(unit.number, reach), reach)
        candidates = sorted(aligned, reverse=True)
        for read in self.reads(node):
            for unit in self._readers.get(read.variable, ())[-4:]:
                if unit.number not in candidates:
                    candidates.append(unit.number)
        latest = self._latest.get(domain)
        if latest is not None and any(
            len(self.units[k].nodes) >= MAX_NODES for k in candidates
        ):
            candidates.append(
                latest.number
            )  # the kernel that goes on where a full one ends
        for number in candidates:
            if number >= earliest and self._join(
                node, domain, self.units[number], aligned.get(number)
            ):
                self._note(node, self.units[number])
                return
        self._note(node, self._new_unit(node, domain))

    def _note(self, node: Apply, unit: Unit) -> None:
        self.unit_of[node] = unit
        self._latest[self.domain(node)] = unit
        for read in self.reads(node):
            readers = self._readers.setdefault(read.variable, [])
            if unit not in readers:
                readers.append(unit)

    def _unit_computing(self, variable: Variable) -> Unit | None:
        while variable.owner is not None and self.role(variable.owner) == "alias":
            variable = variable.owner.inputs[0]
        return None if variable.owner is None else self.unit_of.get(variable.owner)

    def _alignment(
        self, node: Apply, domain: Sizes, read: Read, unit: Unit
    ) -> int | None:
        """How many leading loops of `node` walk `read.variable` as its own kernel does; None: it is needed whole."""
        made = read.variable.owner
        if (
            unit.role != "loops"
            or made is None
            or self.unit_of.get(made) is not unit
            or made in unit.gathers
        ):
            return None
        sizes = self.extents.of(read.variable)
        if not domain and not sizes and not unit.outer:
            return 0  # both are scalars
        reach = 0
        limit = min(common_prefix(domain, sizes), len(unit.outer))
        while reach < limit and read.index[reach].text == f"i{reach}":
            reach += 1
        return reach or None

    def _join(self, node: Apply, domain: Sizes, unit: Unit, reach: int | None) -> bool:
        if unit.role != "loops" or len(unit.nodes) >= MAX_NODES:
            return False
        if not domain and not unit.outer and unit.fixed is None:
            unit.nodes.append(node)
            return True
        shared = common_prefix(domain, unit.outer)
        if reach is not None:
            shared = min(shared, reach)
        if isinstance(node.op, Reduction):
            return self._join_reduction(node, domain, unit, shared)
        if shared == 0 or (unit.fixed is not None and shared < unit.fixed):
            return False
        if unit.fixed is None:
            unit.outer = unit.outer[:shared]
        unit.nodes.append(node)
        return True

    def _join_reduction(
        self, node: Apply, domain: Sizes, unit: Unit, shared: int
    ) -> bool:
        assert isinstance(node.op, Reduction)
        rows = kept_in_front(node.op, len(domain))
        if rows is not None and rows > 0:  # one result a row
            if shared < rows or unit.fixed not in (None, rows):
                return False
            unit.outer, unit.fixed = unit.outer[:rows], rows
            unit.nodes.append(node)
            return True
        if is_arg(node):
            return False
        reduced = 0
        while reduced in node.op.axes:
            reduced += 1
        shared = min(shared, reduced)
        if shared == 0 or (unit.fixed is not None and shared < unit.fixed):
            return False
        if unit.fixed is None:
            unit.outer = unit.outer[:shared]
        unit.nodes.append(node)
        unit.gathers.add(node)
        return True

    def _new_unit(self, node: Apply, domain: Sizes) -> Unit:
        unit = Unit(len(self.units), "loops", [node], domain)
        if isinstance(node.op, Reduction):
            rows = kept_in_front(node.op, len(domain))
            if rows:
                unit.outer, unit.fixed = domain[:rows], rows
            elif rows is None or not is_arg(node):
                reduced = 0
                while reduced in node.op.axes:
                    reduced += 1
                unit.outer = domain[:reduced] if reduced else ()
                unit.fixed = None if reduced else 0
                unit.gathers.add(node)
            else:
                unit.outer, unit.fixed = (), 0
        self.units.append(unit)
        return unit

    # --- what is read where --------------------------------------------------------------

    def reads(self, node: Apply) -> list[Read]:
        """What a looped operation reads that is not inline, and where."""
        if node not in self._reads:
            rank = len(self.domain(node))
            tracer = Tracer(self, self.domain(node))
            loops = tuple(Index(f"i{k}", frozenset({f"i{k}"})) for k in range(rank))
            for variable in node.inputs:
                tracer.trace(variable, operand_index(node, variable, loops, tracer))
            for size in tracer.domain:
                tracer.size(size)
            self._reads[node] = list(dict.fromkeys(tracer.found))
        return self._reads[node]

    def _stored(self) -> set[Variable]:
        """What must lie in memory: results, and what another unit reads."""
        stored = set(self.results)
        for node in self.nodes:
            role = self.role(node)
            if role == "loops":
                for read in self.reads(node):
                    variable = read.variable
                    if variable.owner is None or not self._is_made(variable):
                        continue
                    if (
                        self.role(variable.owner) == "alias"
                        or self.unit_of[variable.owner] is not self.unit_of[node]
                    ):
                        stored.add(self.base(variable))
                    elif variable.owner in self.unit_of[node].gathers:
                        stored.add(variable)
            elif role != "inline":
                stored.update(node.outputs if role != "alias" else ())
                for variable in node.inputs:
                    tracer = Tracer(self, self.extents.of(variable))
                    tracer.trace(
                        variable, tuple(Index(f"i{k}") for k in range(variable.ndim))
                    )
                    stored.update(
                        self.base(r.variable)
                        for r in tracer.found
                        if self._is_made(r.variable)
                    )
        for unit in self.units:
            stored.update(node.outputs[0] for node in unit.gathers)
        return stored

    def _is_made(self, variable: Variable) -> bool:
        return variable.owner is not None and not self.is_followed(variable.owner)

    def base(self, variable: Variable) -> Variable:
        """The variable whose memory `variable` is, through reshapes."""
        while variable.owner is not None and self.role(variable.owner) == "alias":
            variable = variable.owner.inputs[0]
        return variable


class Tracer:
    """Follows inline operations down to what is not inline, noting the index of each read."""

    def __init__(self, schedule: Schedule, domain: Sizes) -> None:
        self.schedule = schedule
        self.domain = domain
        self.found: list[Read] = []
        self._seen: set[tuple[Variable, tuple[Index, ...]]] = set()

    def trace(self, variable: Variable, index: Sequence[Index]) -> None:
        """Note every read that computing `variable` at `index` needs."""
        pending = [(variable, tuple(index))]
        while pending:
            current, at = pending.pop()
            if (current, at) in self._seen:
                continue
            self._seen.add((current, at))
            node = current.owner
            if node is None or not self.schedule.is_followed(node):
                self.found.append(Read(current, at))
                continue
            if isinstance(node.op, View):
                pending.append(
                    (node.inputs[0], tuple(node.op.source_index(node, at, self)))
                )
            elif isinstance(node.op, Generator):
                self.found.append(Read(current, at))
                node.op.element(node, at, self)
            elif isinstance(node.op, Elementwise):
                pending.extend(
                    (v, operand_index(node, v, at, self)) for v in node.inputs
                )
            elif self.schedule._is_made(
                node.inputs[0]
            ):  # the size of something only its own kernel knows
                self.found.append(Read(node.inputs[0], ()))

    def size(self, size: Size) -> Index:
        """A size, by its representative; what it is computed from is read, too."""
        found = self.schedule.extents.find(size)
        if isinstance(found, int):
            return Index.of(found)
        if found.owner is not None:
            self.trace(found, ())
        return Index(f"n{id(found)}")

    def value(self, variable: Variable, index: Sequence[Any]) -> Index:
        """The element of an integer variable: what a generator makes, else something unknown."""
        made, variable, at = self.schedule.generated(variable, index, self)
        if made is not None:
            return made
        self.trace(variable, at)
        loops: frozenset[str] = frozenset().union(*(i.loops for i in at))
        return Index(f"v{id(variable)}[{','.join(i.text for i in at)}]", loops)

    def wrap(self, index: Any, size: Size, axis: int, at: Sequence[Any] = ()) -> Index:
        """A loop over the very axis stays itself; anything else is checked at run time."""
        index = as_index(index)
        return (
            index
            if self.in_range(index, size)
            else Index(f"wrap({index.text})", index.loops)
        )

    def in_range(self, index: Index, size: Size) -> bool:
        """Whether `index` is known to lie on an axis of `size`: it is a loop over that size."""
        size = self.schedule.extents.find(size) if not isinstance(size, int) else size
        if index.value is not None:
            return isinstance(size, int) and 0 <= index.value < size
        return any(
            index.text == f"i{k}" and same_sizes((own,), (size,))
            for k, own in enumerate(self.domain)
        )

    def equal(self, a: Any, b: Any) -> Index:
        """A test; only what it reads matters here."""
        a, b = as_index(a), as_index(b)
        return Index(f"({a.text} == {b.text})", a.loops | b.loops)


def operand_index(
    node: Apply, variable: Variable, index: Sequence[Index], b: Any
) -> tuple[Index, ...]:
    """Where an elementwise operation at `index` reads one of its inputs: 0 along stretched axes."""
    if isinstance(node.op, Elementwise):
        return tuple(
            Index.of(0) if size == 1 else i
            for i, size in zip(index, variable.type.shape, strict=True)
        )
    return tuple(index)


def kept_in_front(op: Reduction, rank: int) -> int | None:
    """How many leading axes stay when all the others are reduced; None when a later one stays."""
    rows = 0
    while rows < rank and rows not in op.axes:
        rows += 1
    return rows if len(op.axes) == rank - rows else None


def is_strided_view(node: Apply) -> bool:
    """Whether a library can be handed this view as a pointer and strides, with nothing to check."""
    op = node.op
    if isinstance(op, Slice):
        return all(isinstance(entry, tuple) and entry[2] == 1 for entry in op.index)
    return isinstance(op, DimShuffle)


def is_arg(node: Apply) -> bool:
    """Whether a reduction looks for a place."""
    return bool(getattr(node.op, "c_better", ""))


def has_c_arithmetic(dtype: str) -> bool:
    """Whether C computes in this dtype; half floats it casts, complex numbers it moves."""
    return dtype != "float16" and np.dtype(dtype).kind != "c"


def is_loopable(node: Apply) -> bool:
    """Whether an elementwise operation has scalar text for its dtypes."""
    assert isinstance(node.op, Elementwise)
    dtypes = [v.dtype for v in node.inputs]
    if not node.op.scalar_text(dtypes):
        return False
    return len(set(dtypes)) == 1 or isinstance(node.op, Switch | Fill | Cast)


def with_plain_reductions(graph: Graph) -> Graph:
    """The graph with reductions over no axes made elementwise, and arg-extremes along the last axis."""
    made: dict[Variable, Variable] = {}
    for node in graph.nodes():
        op, inputs = node.op, [made.get(v, v) for v in node.inputs]
        if isinstance(op, Reduction) and not op.axes:
            made[node.outputs[0]] = _reduced_by_nothing(node, inputs[0])
        elif (
            isinstance(op, Reduction)
            and is_arg(node)
            and kept_in_front(op, inputs[0].ndim) is None
        ):
            made[node.outputs[0]] = _along_last_axis(node, inputs[0])
        elif any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
            again = rebuild(node, inputs, keep_types=True)
            made.update(zip(node.outputs, again.outputs, strict=True))
    return graph.with_results([made.get(v, v) for v in graph.results])


def _reduced_by_nothing(node: Apply, x: Variable) -> Variable:
    """A reduction over no axes: the elements, in the dtype of the result."""
    dtype = node.outputs[0].dtype
    with source.made_for(node.origin):
        made = (
            Copy()(x)
            if x.dtype == dtype
            else neq(x, 0)
            if dtype == "bool"
            else cast(x, dtype)
        )
    made.name = node.outputs[0].name
    return made


def _along_last_axis(node: Apply, x: Variable) -> Variable:
    """An arg-extreme with its axis moved to the end, so that each result is one row's."""
    assert isinstance(node.op, Reduction)
    (axis,) = node.op.axes
    order = (*(i for i in range(x.ndim) if i != axis), axis)
    with source.made_for(node.origin):
        made = type(node.op)((x.ndim - 1,))(DimShuffle(order)(x))
    made.name = node.outputs[0].name
    return made
