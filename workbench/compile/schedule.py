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

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.compile.copies import Copy, copy_of
from workbench.compile.extents import Extents, common_prefix
from workbench.compile.layouts import ROWS
from workbench.compile.loops import Index, as_index
from workbench.compile.record import Graph
from workbench.compile.reductions import (
    is_arg,
    kept_in_front,
    with_plain_reductions,
)
from workbench.compile.rewrite import uniform_value
from workbench.compile.scalars import is_complex, template
from workbench.compile.tracing import Handed, Read, looped_reads, whole_reads
from workbench.core.graph import Apply, Constant, Variable, rebuild
from workbench.core.op import (
    Assembly,
    Elementwise,
    Generator,
    Indexer,
    Reduction,
    Sizes,
    View,
)
from workbench.core.ops.elementwise import Fill, Switch
from workbench.core.ops.shape import Reshape, SizeOf, SpecifyShape
from workbench.core.ops.slicing import Slice
from workbench.core.ops.ufunc import Cast, DimShuffle

MAX_NODES = 300
"""Operations in one kernel: C compilers are superlinear in the length of a function."""

FARTHEST = 32
"""Over how many kernels one may be moved forward, so that another can be joined."""

CHEAP = 4
"""Up to this cost (in additions) a value is computed by each reader rather than stored."""

INLINE_DEPTH = 40
"""How deep a tree of inline operations may be before its top is stored."""


@dataclass(eq=False)
class Unit:
    """A step of the program to be lowered.

    Attributes
    ----------
    role
        ``"loops"``, ``"assembly"``, ``"library"``, ``"nested"`` or ``"host"``.
    nodes
        Its operations in order.
    outer
        The sizes its operations have in common in front; how many of them become outer loops
        is `fixed` when a reduction along rows decides it.
    gathers
        Reductions whose result is known only after the whole kernel.
    after
        Operations on single numbers, made of such results when all loops are done.
    """

    number: int
    role: str
    nodes: list[Apply]
    outer: Sizes = ()
    fixed: int | None = None
    gathers: set[Apply] = field(default_factory=set)
    after: list[Apply] = field(default_factory=list)


class Schedule:
    """The kernels of a graph in order, and where each operation went.

    Parameters
    ----------
    graph
        Rewritten, with composites expanded.
    has_kernel
        Whether the back end brings a kernel for an opaque operation.
    fuse
        Whether operations may share loops.
    nest
        The planned program of an operation that runs one inside it, None for any other.
    strided
        The arguments that need not be contiguous, and what is known of their strides; see
        :mod:`workbench.compile.layouts`.

    Attributes
    ----------
    graph
        The graph with copies put in where memory of its own is needed.
    units
        In order of execution.
    stored
        Every variable that a unit writes to memory.
    """

    def __init__(
        self,
        graph: Graph,
        has_kernel: Callable[[Apply], bool],
        fuse: bool = True,
        nest: Callable[[Apply], Any] = lambda node: None,
        strided: Mapping[Variable, int] = {},
    ) -> None:
        self.has_kernel, self.fuse, self.nest = has_kernel, fuse, nest
        self.strided = strided
        self._depth: dict[Apply, int] = {}
        self._roles: dict[Apply, str] = {}
        self._domains: dict[Apply, Sizes] = {}
        self._reads: dict[Apply, list[Read]] = {}
        self._handed: dict[Apply, Handed] = {}
        self.graph = self._with_copies(with_plain_reductions(graph))
        self.nodes = self.graph.nodes()
        self._in_graph = frozenset(self.nodes)
        self.extents = Extents(self.nodes, self.graph.inputs)
        self.results = frozenset(self.graph.results)
        self._replaced_by: dict[Variable, Apply | None] = {
            shared: new.owner for shared, new in self.graph.updates
        }
        self._arrange()
        again = self._worth_computing_again() if fuse else set()
        if again:
            self._make_inline(again)
            self._arrange()

    def _arrange(self) -> None:
        """Put every operation into a kernel, and find what must lie in memory."""
        self.units: list[Unit] = []
        self.unit_of: dict[Apply, Unit] = {}
        self._readers: dict[Variable, list[Unit]] = {}
        self._latest: dict[Sizes, Unit] = {}
        self._needs: dict[Unit, set[Unit]] = {}
        for node in self.nodes:
            self._place(node)
        self.stored = self._stored()

    def _make_inline(self, nodes: set[Apply]) -> None:
        """Let readers compute `nodes`, and forget whatever was traced down to one of them."""
        self._roles.update(dict.fromkeys(nodes, "inline"))
        self._reads = {
            node: reads
            for node, reads in self._reads.items()
            if all(read.variable.owner not in nodes for read in reads)
        }
        self._handed = {
            node: handed
            for node, handed in self._handed.items()
            if all(variable.owner not in nodes for variable in handed.all)
        }

    # --- what each operation is ----------------------------------------------------------

    def role(self, node: Apply) -> str:
        """``inline``, ``alias``, ``loops``, ``assembly``, ``library``, ``nested`` or ``host``."""
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
        if self.nest(node) is not None:
            return "nested"
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
        if isinstance(node.op, Reduction) and not is_gathered(node):
            return False
        return all(v.dtype != "float16" for v in (*node.inputs, *node.outputs))

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
            elif role in ("host", "library", "nested"):
                first = 1 if role == "nested" else 0  # how many steps: a size
                inputs[first:] = [
                    v if self._is_plain(v, role) else copy_of(v) for v in inputs[first:]
                ]
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
        variable = unchecked(variable)
        if role == "library":
            if isinstance(variable, Constant) and not variable.ndim:
                return True  # written as a literal
            while variable.owner is not None and is_strided_view(variable.owner):
                variable = variable.owner.inputs[0]
        if role == "nested":
            while variable.owner is not None and is_row_view(variable.owner):
                variable = variable.owner.inputs[0]
        if variable in self.strided:
            return role == "library" and self.strided[variable] == ROWS
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
            "nested",
        )

    # --- placing -------------------------------------------------------------------------

    def domain(self, node: Apply) -> Sizes:
        """The sizes a node is looped over: of its output, or of what it reduces."""
        if node not in self._domains:
            walked = node.inputs if isinstance(node.op, Reduction) else node.outputs
            self._domains[node] = self.extents.of(walked[0])
        return self._domains[node]

    def _place(self, node: Apply) -> None:
        role = self.role(node)
        if role in ("inline", "alias"):
            return
        if role == "loops":
            self._place_in_loops(node)
            return
        unit = Unit(len(self.units), role, [node])
        self.units.append(unit)
        self._note(node, unit)

    def _place_in_loops(self, node: Apply) -> None:
        domain = self.domain(node)
        aligned: dict[Unit, int] = {}
        whole: set[Unit] = set()
        for read in self.reads(node):
            unit = self._unit_computing(read.variable)
            if unit is None:
                continue
            reach = self._alignment(node, domain, read, unit)
            if reach is None:
                whole.add(unit)
            else:
                aligned[unit] = min(aligned.get(unit, reach), reach)
        last = max(whole | aligned.keys(), key=lambda u: u.number, default=None)
        if last is not None and self._is_made_of_totals(node, last):
            last.after.append(node)
            self._note(node, last)
            return
        for unit in self._candidates(node, domain, aligned):
            first = (whole | aligned.keys()) - ({unit} - whole)
            far = FARTHEST if unit in aligned else 0
            if self._can_come_before(first, unit, far) and self._join(
                node, domain, unit, aligned.get(unit)
            ):
                self._note(node, unit)
                return
        self._note(node, self._new_unit(node, domain))

    def _is_made_of_totals(self, node: Apply, unit: Unit) -> bool:
        """Whether a node makes one number of what `unit` knows when its loops are done."""
        if self.domain(node) or not isinstance(node.op, Elementwise):
            return False
        makers = {
            maker
            for maker in (read.variable.owner for read in self.reads(node))
            if maker is not None and self.unit_of.get(maker) is unit
        }
        return (
            self.fuse
            and bool(makers)
            and len(unit.after) < MAX_NODES
            and not isinstance(node.op, Copy)
            and makers
            <= {n for n in unit.gathers if not n.output.ndim}.union(unit.after)
        )

    def _candidates(
        self, node: Apply, domain: Sizes, aligned: dict[Unit, int]
    ) -> list[Unit]:
        """The kernels that a node might join, the best first."""
        if not self.fuse:
            return []
        found = sorted(aligned, key=lambda unit: -unit.number)
        for read in self.reads(node):
            found += self._readers.get(read.variable, ())[-4:]
        latest = self._latest.get(domain)
        if latest is not None and any(len(u.nodes) >= MAX_NODES for u in found):
            found.append(latest)  # the kernel that goes on where a full one ends
        return list(dict.fromkeys(found))

    def _can_come_before(self, first: set[Unit], unit: Unit, far: int) -> bool:
        """Whether all of `first` run before `unit`, if need be after they are moved there.

        They can be moved over up to `far` kernels when neither they nor what they need
        reads from `unit`.
        """
        pending = [u for u in first if u.number >= unit.number]
        if not pending:
            return True
        if max(u.number for u in pending) - unit.number > far:
            return False
        moved: set[Unit] = set()
        while pending:
            current = pending.pop()
            if current is unit:
                return False
            if current not in moved and current.number > unit.number:
                moved.add(current)
                pending.extend(self._needs[current])
        start, end = unit.number, max(u.number for u in moved) + 1
        section = self.units[start:end]
        self.units[start:end] = [u for u in section if u in moved] + [
            u for u in section if u not in moved
        ]
        for number in range(start, end):
            self.units[number].number = number
        return True

    def _note(self, node: Apply, unit: Unit) -> None:
        """Remember where a node went, and what its kernel reads."""
        self.unit_of[node] = unit
        needs = self._needs.setdefault(unit, set())
        for variable in self._read_by(node):
            maker = self._unit_computing(variable)
            if maker is not None and maker is not unit:
                needs.add(maker)
        if unit.role != "loops":
            return
        self._latest[self.domain(node)] = unit
        for read in self.reads(node):
            readers = self._readers.setdefault(read.variable, [])
            if unit not in readers:
                readers.append(unit)

    def _read_by(self, node: Apply) -> Set[Variable]:
        """What a node that is not inline reads from memory, the sizes of its loops included."""
        if self.role(node) == "loops":
            return {read.variable for read in self.reads(node)}
        return self.handed(node).all

    # --- computing again -----------------------------------------------------------------

    def _worth_computing_again(self) -> set[Apply]:
        """Operations that every reader had better compute itself, from what is in memory anyway.

        Storing an array costs a write and a read of it for each reader; an expression of
        one array of that size and of smaller ones costs its readers one read, too.
        """
        kept = set(self.results)
        for node in self.nodes:
            if self.role(node) not in ("loops", "inline"):
                kept.update(self.base(v) for v in (*node.inputs, *self._read_by(node)))
        chosen: set[Apply] = set()
        for node in self.nodes:
            output = node.outputs[0]
            if (
                output.ndim
                and output in self.stored
                and output not in kept
                and self.role(node) == "loops"
            ):
                chosen |= self._cheap_tree(node, chosen)
        return chosen

    def _may_be_overwritten(self, read: Variable, by: Variable) -> bool:
        """Whether a kernel that would read a shared variable in place of `by` also replaces it."""
        new = self._replaced_by.get(read)
        return new is not None and self.unit_of.get(new) in self._readers.get(by, ())

    def _cheap_tree(self, node: Apply, chosen: set[Apply]) -> set[Apply]:
        """The operations between a node and memory; none when they cost more than storing it."""
        rank = node.outputs[0].ndim
        tree: set[Apply] = set()
        arrays: set[Variable] = set()
        pending, cost = [node], 0
        while pending:
            current = pending.pop()
            if current in tree:
                continue
            if not isinstance(current.op, Elementwise) or isinstance(current.op, Copy):
                return set()
            tree.add(current)
            cost += current.op.cost
            if cost > CHEAP:
                return set()
            for read in self.reads(current):
                variable, maker = read.variable, read.variable.owner
                if self._may_be_overwritten(variable, node.outputs[0]):
                    return set()
                if any("wrap" in index.text for index in read.index):
                    return set()  # an index that is checked
                small = variable.ndim < rank or any(variable.broadcastable)
                if maker in chosen or not (
                    small or maker is None or self.base(variable) in self.stored
                ):
                    assert maker is not None
                    pending.append(maker)
                elif not small:
                    arrays.add(variable)
        return tree if len(arrays) <= 1 else set()

    def _unit_computing(self, variable: Variable) -> Unit | None:
        variable = self.base(variable)
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
            or made in unit.after
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
            self._reads[node] = looped_reads(self, node)
        return self._reads[node]

    def handed(self, node: Apply) -> Handed:
        """What an operation that is handed whole arrays reads from memory."""
        if node not in self._handed:
            self._handed[node] = whole_reads(self, node)
        return self._handed[node]

    def _stored(self) -> set[Variable]:
        """What must lie in memory: results, and what another unit reads."""
        stored = set(self.results)
        for node in self.nodes:
            role = self.role(node)
            if role == "loops":
                for read in self.reads(node):
                    variable = read.variable
                    if variable.owner is None or not self.is_made(variable):
                        continue
                    if (
                        self.role(variable.owner) == "alias"
                        or self.unit_of[variable.owner] is not self.unit_of[node]
                    ):
                        stored.add(self.base(variable))
                    elif (
                        variable.owner in self.unit_of[node].gathers
                        and node not in self.unit_of[node].after
                    ):
                        stored.add(variable)
            elif role != "inline":
                stored.update(node.outputs if role != "alias" else ())
                stored.update(
                    self.base(v) for v in self.handed(node).elements if self.is_made(v)
                )
        for unit in self.units:
            stored.update(n.output for n in unit.gathers if n.output.ndim)
        # A single integer may decide a size, which is looked at outside of kernels; and a
        # condition whether a branch is taken.
        stored.update(
            v
            for unit in self.units
            for node in (*unit.nodes, *unit.after)
            for v in node.outputs
            if not v.ndim and np.dtype(v.dtype).kind in "biu"
        )
        return stored

    def is_made(self, variable: Variable) -> bool:
        return variable.owner is not None and not self.is_followed(variable.owner)

    def base(self, variable: Variable) -> Variable:
        """The variable whose memory `variable` is, through reshapes."""
        while variable.owner is not None and self.role(variable.owner) == "alias":
            variable = unchecked(variable.owner.inputs[0])
        return variable


def unchecked(variable: Variable) -> Variable:
    """What `variable` is without checks of its shape: these are made before anything is computed."""
    while variable.owner is not None and isinstance(variable.owner.op, SpecifyShape):
        variable = variable.owner.inputs[0]
    return variable


def is_strided_view(node: Apply) -> bool:
    """Whether a library can be handed this view as a pointer and strides, with nothing to check."""
    op = node.op
    if isinstance(op, Slice):
        return all(isinstance(entry, tuple) and entry[2] == 1 for entry in op.index)
    return isinstance(op, DimShuffle | SpecifyShape)


def is_row_view(node: Apply) -> bool:
    """Whether a view shows rows that follow each other in memory, with nothing to check."""
    op = node.op
    if isinstance(op, SpecifyShape):
        return True
    if isinstance(op, DimShuffle):
        kept = [i for i in op.order if i != "x"]
        return kept == list(range(node.inputs[0].ndim))
    if not (isinstance(op, Slice) and is_strided_view(node)):
        return False
    return all(entry == (None, None, 1) for entry in op.index[1:])


def is_gathered(node: Apply) -> bool:
    """Whether a reduction has text for the dtype of its elements."""
    assert isinstance(node.op, Reduction)
    return not is_complex(node.inputs[0].dtype) or bool(node.op.c_complex)


def is_loopable(node: Apply) -> bool:
    """Whether an elementwise operation has scalar text for its dtypes."""
    assert isinstance(node.op, Elementwise)
    dtypes = [v.dtype for v in node.inputs]
    if not template(node.op, dtypes):
        return False
    return len(set(dtypes)) == 1 or isinstance(node.op, Switch | Fill | Cast)
