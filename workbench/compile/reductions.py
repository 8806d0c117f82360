"""Reductions in the forms that the schedule knows how to loop over.

Read next: :mod:`workbench.compile.schedule`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workbench.compile.copies import Copy
from workbench.compile.record import Graph
from workbench.core import source
from workbench.core.graph import Apply, Variable, as_variable, rebuild
from workbench.core.op import Reduction, View
from workbench.core.ops.creation import ARange
from workbench.core.ops.elementwise import eq, neq, switch
from workbench.core.ops.logic import logical_or
from workbench.core.ops.reduction import ArgMax, ArgMin, Max, Min, keep
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.ufunc import DimShuffle, cast

COMPARED = frozenset("float32 float64 int32 int64".split())
"""Dtypes of which the place of an extreme is found by comparing all elements with it."""


def with_plain_reductions(graph: Graph) -> Graph:
    """The graph with reductions over no axes made elementwise, and arg-extremes along the last axis.

    Or two plain reductions in place of an arg-extreme.
    """
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
            way = _first_place if _may_be_read_twice(inputs[0]) else _along_last_axis
            made[node.outputs[0]] = way(node, inputs[0])
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


def _may_be_read_twice(x: Variable) -> bool:
    """Whether elements are only loaded: computed again, they might differ in the last bit."""
    leaf = x
    while leaf.owner is not None and isinstance(leaf.owner.op, View):
        leaf = leaf.owner.inputs[0]
    return leaf.owner is None and x.dtype in COMPARED


@dataclass(frozen=True)
class LargestToFind(Max):
    """The largest element, whose place is found afterwards; failures name what was asked for."""

    name: ClassVar[str] = ArgMax.name


@dataclass(frozen=True)
class SmallestToFind(Min):
    """The smallest element, whose place is found afterwards."""

    name: ClassVar[str] = ArgMin.name


def _first_place(node: Apply, x: Variable) -> Variable:
    """An arg-extreme along an axis that is not the last: the extreme, then the first place of it.

    Both are gathered row by row, many columns at a time: so memory is read in its order, and
    in vectors. Of NaNs the first one is found, as none is equal to any.
    """
    assert isinstance(node.op, Reduction)
    (axis,) = node.op.axes
    order = tuple(0 if k == axis else "x" for k in range(x.ndim))
    with source.made_for(node.origin):
        kind = LargestToFind if isinstance(node.op, ArgMax) else SmallestToFind
        best = keep(kind((axis,))(x), x.ndim, (axis,))
        length = SizeOf(axis)(x)
        places = DimShuffle(order)(ARange()(as_variable(0), length, as_variable(1)))
        found = eq(x, best)
        if x.type.is_float:
            found = logical_or(found, neq(x, x))
        made = Min((axis,))(switch(found, places, length))
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


def kept_in_front(op: Reduction, rank: int) -> int | None:
    """How many leading axes stay when all the others are reduced; None when a later one stays."""
    rows = 0
    while rows < rank and rows not in op.axes:
        rows += 1
    return rows if len(op.axes) == rank - rows else None


def is_arg(node: Apply) -> bool:
    """Whether a reduction looks for a place."""
    return bool(getattr(node.op, "c_better", ""))
