"""What indexing leaves in a gradient: zeros with a few elements added.

Choosing one element a row, ``p[arange(n), y]``, has a derivative that is zero but for
one element a row. These rules keep it from being written out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.core.graph import Variable, as_variable
from workbench.core.op import known_int
from workbench.core.ops.creation import ARange
from workbench.core.ops.elementwise import Add, Sub, Switch, neg, switch
from workbench.core.ops.gathering import OneHot, Put
from workbench.core.ops.reduction import Sum
from workbench.core.ops.shape import BroadcastTo, dimshuffle, size_variable
from workbench.core.ops.slicing import Placement
from workbench.core.ops.ufunc import DimShuffle


def scattered(variable: Variable, op: type[Placement] = Put) -> Any:
    """The operation that makes `variable` when it adds elements to zeros, else None."""
    node = node_of(variable, op)
    return (
        node
        if node is not None and node.op.add and uniform_value(node.inputs[0]) == 0
        else None
    )


def counts_up(places: Variable, size, context: Context) -> bool:
    """Whether `places` is 0, 1, … `size` - 1."""
    node = node_of(places, ARange)
    if node is None:
        return False
    start, _, step = node.inputs
    return (
        known_int(start) == 0
        and known_int(step) == 1
        and context.same_size(context.sizes(places)[0], size)
    )


@node_rule(Put)
def put_everywhere(node, context):
    """An element added to zeros at each place in turn: the result is the elements."""
    if scattered(node.output) is None or node.op.axes != 1 or node.inputs[2].ndim != 1:
        return None
    _, part, places = node.inputs
    return part if counts_up(places, context.sizes(node.output)[0], context) else None


@node_rule(Sum)
def sum_of_scattered(node, context):
    """A sum over the columns of one element a row needs no columns.

    Only while somebody else reads the array: its making is what checks the places.
    """
    put = scattered(node.inputs[0])
    if (
        put is None
        or context.read_once(put.output)
        or node.op.axes != (put.op.axes - 1,)
        or put.op.axes < 2
    ):
        return None
    _, part, *places = put.inputs
    if any(place.type.shape != places[-1].type.shape for place in places):
        return None
    zeros = BroadcastTo(node.output.ndim)(
        DimShuffle(("x",) * node.output.ndim)(as_variable(0, part.dtype)),
        *map(size_variable, context.sizes(node.output)),
    )
    return Put(put.op.axes - 1, True)(zeros, part, *places[:-1])


@node_rule(Put)
def one_hot(node, context):
    """One element a row is a choice in every column: it joins the loop that reads it.

    That there are as many columns named as rows stays checked, where the two meet.
    """
    if scattered(node.output) is None or node.op.axes != 2 or node.output.ndim != 2:
        return None
    _, part, rows, columns = node.inputs
    sizes = context.sizes(node.output)
    if columns.broadcastable != (False,) or not counts_up(rows, sizes[0], context):
        return None
    chosen = OneHot()(columns, size_variable(sizes[1]))
    return switch(chosen, DimShuffle((0, "x"))(part), 0)


@node_rule(Sum)
def sum_of_one_hot(node, context):
    """A sum over the columns of one element a row is the elements.

    Only while somebody else reads the array: its making is what checks the places.
    """
    choice = node_of(node.inputs[0], Switch)
    if choice is None or node.op.axes != (1,) or context.read_once(choice.output):
        return None
    chosen, part, other = choice.inputs
    if node_of(chosen, OneHot) is None or uniform_value(other) != 0:
        return None
    return dimshuffle(part, 0) if part.broadcastable == (False, True) else None


@node_rule(Add, Sub, tags=["finite_math"])
def scatter_onto_sum(node, context):
    """What is added to zeros and then to an array is added to the array at once."""
    return sum_at_once(node, (0, 1), Put, context)


def sum_at_once(
    node: Any, numbers: Iterable[int], op: type[Placement], context: Context
) -> Variable | None:
    """A sum or difference with what `op` adds to zeros added to the other operand at once.

    The operands are looked at in the order of `numbers`.
    """
    for number in numbers:
        sparse, rest = node.inputs[number], node.inputs[1 - number]
        put = scattered(sparse, op)
        if (
            put is None
            or not context.read_once(sparse)
            or not context.same_sizes(sparse, rest)
        ):
            continue
        _, part, *places = put.inputs
        if isinstance(node.op, Sub):
            part, rest = (neg(part), rest) if number else (part, neg(rest))
        return put.op(rest, part, *places)
    return None


RULES = tagged(
    "scatter",
    put_everywhere,
    sum_of_scattered,
    one_hot,
    sum_of_one_hot,
    scatter_onto_sum,
)
