"""Reductions in the forms that the schedule knows how to loop over.

Read next: :mod:`workbench.compile.schedule`.
"""

from __future__ import annotations

from workbench.compile.copies import Copy
from workbench.compile.record import Graph
from workbench.core import source
from workbench.core.graph import Apply, Variable, rebuild
from workbench.core.op import Reduction
from workbench.core.ops.elementwise import neq
from workbench.core.ops.ufunc import DimShuffle, cast


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


def kept_in_front(op: Reduction, rank: int) -> int | None:
    """How many leading axes stay when all the others are reduced; None when a later one stays."""
    rows = 0
    while rows < rank and rows not in op.axes:
        rows += 1
    return rows if len(op.axes) == rank - rows else None


def is_arg(node: Apply) -> bool:
    """Whether a reduction looks for a place."""
    return bool(getattr(node.op, "c_better", ""))
