"""Layouts of arguments: what of an array's strides a program may rely on.

A program is written for C-contiguous arguments, which keeps it short and lets compilers make
vectors of it. A layout says what else an argument may look like: the order in which its axes
lie in memory, and which strides are known. The strides themselves are read in each call, so one
program serves all arrays of a layout.

Read next: :mod:`workbench.compile.variants`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.compile.loops import Index
from workbench.compile.record import Graph
from workbench.compile.reductions import is_arg
from workbench.compile.rewrite import uniform_value
from workbench.core import source
from workbench.core.graph import Apply, Variable, rebuild
from workbench.core.op import Elementwise, Generator, Op, Reduction
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle
from workbench.core.types import Array

ROWS, LINES, ANY = 1, 2, 3
"""What is known of strides: of rows one after the other, perhaps with gaps; of lines without gaps
that lie anywhere; nothing. 0 stands for contiguous."""

WORTH = 1 << 20
"""Bytes from which on an argument that is not contiguous is worth a program of its own."""

LONGEST = 2**31 - 1
"""Elements from row to row that any library takes."""

NAMES = {ROWS: "rows with gaps", LINES: "rows in any order", ANY: "with steps"}


@dataclass(frozen=True)
class Layout:
    """How an argument may lie in memory.

    Attributes
    ----------
    axes
        The argument's axes in the order in which they lie in memory, the innermost last.
    kind
        `ROWS`, `LINES` or `ANY`: what is known of the strides in that order.
    """

    axes: tuple[int, ...]
    kind: int

    @property
    def is_ordered(self) -> bool:
        """Whether the axes lie in memory as they are numbered."""
        return self.axes == tuple(range(len(self.axes)))

    def __str__(self) -> str:
        kind = NAMES[self.kind]
        return kind if self.is_ordered else f"axes as {self.axes}, {kind}"


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """For each axis its place in `axes`."""
    return tuple(axes.index(k) for k in range(len(axes)))


def layout_of(array: Array) -> Layout | None:
    """The layout of an array that is not contiguous; None for one that must be copied.

    That is one whose elements do not lie at multiples of their size.
    """
    item = array.itemsize
    if not array.flags.aligned or any(stride % item for stride in array.strides):
        return None
    axes = list(range(array.ndim))
    long = [k for k in axes if array.shape[k] > 1]
    far = {k: -abs(array.strides[k]) for k in long}
    if 0 not in far.values():
        for place, k in zip(long, sorted(long, key=far.__getitem__), strict=True):
            axes[place] = k
    return Layout(tuple(axes), kind_of(array.transpose(axes)))


def kind_of(array: Array) -> int:
    """What is known of the strides of an array, its axes taken as they are."""
    item, extent, kind = array.itemsize, array.itemsize, ROWS
    for axis in reversed(range(array.ndim)):
        size, stride = array.shape[axis], array.strides[axis]
        if size <= 1:
            continue
        if axis == array.ndim - 1 and stride != item:
            return ANY
        if stride < extent or stride > LONGEST * item:
            kind = LINES
        extent = stride * size
    return kind


def element_strides(array: Array) -> list[int]:
    """Strides in elements; that of an axis of one element is as if the array went on."""
    extent = 1
    strides: list[int] = []
    for size, stride in zip(array.shape[::-1], array.strides[::-1], strict=True):
        if size > 1:
            extent = stride // array.itemsize
        strides.insert(0, extent)
        extent *= size
    return strides


def stride_texts(number: int, kind: int, ndim: int) -> list[Index]:
    """The strides of input `number` of a program, in elements."""
    strides = [Index(f"x{number}_s{axis}") for axis in range(ndim)]
    if ndim and kind != ANY:
        strides[-1] = Index.of(1)
    return strides


# --- a graph for arguments whose axes lie in another order -------------------------------


def with_layouts(
    graph: Graph, layouts: Sequence[Layout | None]
) -> tuple[Graph, dict[Variable, int]]:
    """A graph of arguments whose axes are put in the order of memory, and the kind of each.

    What is computed of such an argument element by element is computed in its order, too, and
    reductions go over its axes; only where that ends is a transposed view read.

    Parameters
    ----------
    graph
        Composites expanded.
    layouts
        For each argument its layout, None for a contiguous one.
    """
    given = [layout or Layout((), 0) for layout in layouts]
    turning = _Turning()
    inputs = []
    for variable, layout in zip(graph.inputs, given, strict=True):
        moved = variable
        if layout.kind and not layout.is_ordered:
            moved = turning.start(variable, layout)
        inputs.append(moved)
    if turning.turned:
        for node in graph.nodes():
            turning.node(node)
        graph = Graph(tuple(inputs), graph.outputs, graph.updates).with_results(
            [turning.plain(v) for v in graph.results]
        )
    kinds = {v: lay.kind for v, lay in zip(inputs, given, strict=True) if lay.kind}
    return graph, kinds


class _Turning:
    """Makes the operations of a graph anew, in the order of the axes of what they read."""

    def __init__(self) -> None:
        self.turned: dict[Variable, tuple[Variable, tuple[int, ...]]] = {}
        self.made: dict[Variable, Variable] = {}

    def start(self, variable: Variable, layout: Layout) -> Variable:
        """The variable that stands for an argument with its axes in the order of memory."""
        shape = [variable.type.shape[k] for k in layout.axes]
        base = Variable(variable.type.with_shape(shape), variable.name)
        base.place, base.tag = variable.place, variable.tag
        self.turned[variable] = base, layout.axes
        return base

    def plain(self, variable: Variable) -> Variable:
        """A variable of the graph with its axes as they were."""
        if variable in self.made or variable not in self.turned:
            return self.made.get(variable, variable)
        moved, axes = self.turned[variable]
        node = variable.owner
        with source.made_for(node.origin if node else source.Origin(variable.place)):
            made = self.made[variable] = DimShuffle(inverse(axes))(moved)
        made.name = variable.name
        return made

    def node(self, node: Apply) -> None:
        """Make an operation anew where anything that it reads has changed."""
        if isinstance(node.op, Elementwise) and self._elementwise(node):
            return
        if isinstance(node.op, Reduction) and self._reduction(node):
            return
        if isinstance(node.op, DimShuffle) and self._dimshuffle(node):
            return
        inputs = [self.plain(v) for v in node.inputs]
        if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
            made = rebuild(node, inputs, keep_types=True)
            self.made.update(zip(node.outputs, made.outputs, strict=True))

    def _elementwise(self, node: Apply) -> bool:
        orders = {self.turned[v][1] for v in node.inputs if v in self.turned}
        others = [v for v in node.inputs if v not in self.turned]
        if len(orders) != 1 or not all(map(_is_small, others)):
            return False
        (axes,) = orders
        inputs = []
        for variable in node.inputs:
            if variable in self.turned:
                inputs.append(self.turned[variable][0])
            else:
                with source.made_for(node.origin):
                    inputs.append(DimShuffle(axes)(self.plain(variable)))
        self._put(node, node.op, inputs, axes)
        return True

    def _reduction(self, node: Apply) -> bool:
        (x,), op = node.inputs, node.op
        assert isinstance(op, Reduction)
        if x not in self.turned or (is_arg(node) and len(op.axes) != 1):
            return False
        moved, axes = self.turned[x]
        gone = tuple(sorted(axes.index(k) for k in op.axes))
        left = [k for k in axes if k not in op.axes]
        order = tuple(sorted(left).index(k) for k in left)
        self._put(node, replace(op, axes=gone), [moved], order)
        return True

    def _dimshuffle(self, node: Apply) -> bool:
        (x,), op = node.inputs, node.op
        assert isinstance(op, DimShuffle)
        if x not in self.turned:
            return False
        moved, axes = self.turned[x]
        order = tuple(k if k == "x" else axes.index(int(k)) for k in op.order)
        if order == tuple(range(moved.ndim)):
            self.made[node.outputs[0]] = moved
            return True
        with source.made_for(node.origin):
            self.made[node.outputs[0]] = DimShuffle(order)(moved)
        return True

    def _put(
        self, node: Apply, op: Op, inputs: list[Variable], axes: tuple[int, ...]
    ) -> None:
        """Note what stands for an operation's outputs, with their axes in another order."""
        types = [
            v.type.with_shape([v.type.shape[k] for k in axes]) for v in node.outputs
        ]
        with source.made_for(node.origin):
            made = Apply(op, inputs, types)
        for old, new in zip(node.outputs, made.outputs, strict=True):
            new.name, new.tag = old.name, old.tag
            if axes == tuple(range(len(axes))):
                self.made[old] = new
            else:
                self.turned[old] = new, axes


def _is_small(variable: Variable) -> bool:
    """Whether an operand of an array is stretched along one of its axes, or made where it is read."""
    return (
        uniform_value(variable) is not None
        or any(variable.broadcastable)
        or (
            variable.owner is not None
            and isinstance(variable.owner.op, Generator | BroadcastTo)
        )
    )
