"""Sizes without values, and values without needless views.

A size is traced back to the function's arguments, so that ``exp(x).shape[0]`` never
computes an exponential. Arrays of one value are stretched as late as possible,
rearrangements are joined, and what leaves the shape as it is goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.core.graph import Constant, Variable
from workbench.core.op import Elementwise, Size, known_int
from workbench.core.ops.elementwise import Fill, Mul, neq
from workbench.core.ops.reduction import All, Any_, Max, Min, Prod, Sum
from workbench.core.ops.shape import (
    BroadcastTo,
    MakeVector,
    Reshape,
    Shape,
    SizeOf,
    SpecifyShape,
    dimshuffle,
    size_variable,
)
from workbench.core.ops.ufunc import DimShuffle, cast, pad_left

# --- sizes


@node_rule(SizeOf)
def size_of_argument(node, context):
    """A size follows from those of the arguments, without computing the array."""
    return size_variable(context.sizes(node.inputs[0])[node.op.axis])


@node_rule(Shape)
def shape_as_sizes(node, context):
    """A shape is a vector of sizes, each traced back on its own."""
    sizes = context.sizes(node.inputs[0])
    if not sizes:
        return Constant(np.zeros(0, "int64"))
    return MakeVector()(*map(size_variable, sizes))


@node_rule(SpecifyShape)
def checked_shape(node, context):
    """A size that is known beforehand needs no check at run time."""
    x, *wanted = node.inputs
    for have, want in zip(context.sizes(x), wanted, strict=True):
        size = known_int(want)
        if size != -1 and not context.same_size(have, want if size is None else size):
            return context.refuse("a size of {} is known when it is called only", x)
    return x


@node_rule(SpecifyShape, some=SpecifyShape)
def specify_of_specify(node):
    """Two checks of one shape are one, where they ask for different axes or for the same size."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, SpecifyShape):
        return None
    both = []
    for first, last in zip(inner.inputs[1:], node.inputs[1:], strict=True):
        numbers = known_int(first), known_int(last)
        if -1 not in numbers and first is not last:
            if None in numbers or numbers[0] != numbers[1]:
                return None
        both.append(last if numbers[0] == -1 else first)
    return node.op(inner.inputs[0], *both)


# --- rearranged axes ------------------------------------------------------------------


@node_rule(DimShuffle)
def dimshuffle_of_dimshuffle(node):
    """Two rearrangements of axes are one, and one that changes nothing is none."""
    x, order = node.inputs[0], node.op.order
    inner = x.owner
    if inner is not None and isinstance(inner.op, DimShuffle):
        x = inner.inputs[0]
        order = tuple("x" if i == "x" else inner.op.order[i] for i in order)
    elif order != tuple(range(x.ndim)):
        return None
    return x if order == tuple(range(x.ndim)) else DimShuffle(order)(x)


@node_rule(DimShuffle, some=BroadcastTo)
def dimshuffle_of_broadcast(node):
    """Axes are rearranged first, so that the stretching meets its reader."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, BroadcastTo):
        return None
    x, *sizes = inner.inputs
    order = node.op.order
    new_sizes = [size_variable(1) if i == "x" else sizes[i] for i in order]
    return BroadcastTo(len(order))(node.op(x), *new_sizes)


@node_rule(Elementwise, some=DimShuffle)
def function_of_dimshuffle(node):
    """A function is computed before axes are rearranged, where others meet it.

    All its operands are rearranged in one way; numbers beside them change nothing.
    """
    numbers = [_scalar_in(v) for v in node.inputs]
    if None not in numbers:  # then scalars with new axes are what is rearranged
        numbers = [n if isinstance(n, Constant) else None for n in numbers]
    moved = [v.owner for v, n in zip(node.inputs, numbers, strict=True) if n is None]
    if not moved or not all(
        inner is not None
        and isinstance(inner.op, DimShuffle)
        and inner.op == moved[0].op
        and inner.inputs[0].ndim == moved[0].inputs[0].ndim
        for inner in moved
    ):
        return None
    rank = moved[0].inputs[0].ndim
    operands = [
        v.owner.inputs[0] if n is None else pad_left(n, rank)
        for v, n in zip(node.inputs, numbers, strict=True)
    ]
    return moved[0].op(node.op(*operands))


def _scalar_in(variable: Variable) -> Variable | None:
    """The scalar that a constant of one element, or a scalar with new axes, is; or None."""
    if isinstance(variable, Constant) and variable.data.size == 1:
        return Constant(variable.data.reshape(()))
    node = variable.owner
    if node is None or not isinstance(node.op, DimShuffle) or node.inputs[0].ndim:
        return None
    return node.inputs[0]


# --- stretched arrays -----------------------------------------------------------------


@node_rule(Fill)
def fill_as_broadcast(node, context):
    """A filled array is the value stretched: of the array only its sizes matter."""
    value = node.inputs[1]
    return context.stretched(value, node.output) if context.agree(node) else None


@node_rule(BroadcastTo)
def broadcast_to_own_sizes(node, context):
    """Stretching to the sizes an array has changes nothing."""
    x = node.inputs[0]
    return x if context.same_sizes(x, node.output) else None


@node_rule(BroadcastTo, some=BroadcastTo)
def broadcast_of_broadcast(node, context):
    """What is stretched twice is stretched to the last sizes at once."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, BroadcastTo):
        return None
    first, last = context.sizes(inner.output), context.sizes(node.output)
    for static, a, b in zip(inner.output.type.shape, first, last, strict=True):
        if static != 1 and not context.same_size(a, b):
            return context.refuse("{} checks a size", inner.output)
    return node.op(inner.inputs[0], *node.inputs[1:])


def stretched_axes(variable: Variable) -> set[int]:
    """Along which axes a variable is a broadcast view."""
    node = variable.owner
    if node is None or not isinstance(node.op, BroadcastTo):
        return set()
    pairs = zip(node.inputs[0].type.shape, variable.type.shape, strict=True)
    return {axis for axis, (have, want) in enumerate(pairs) if have == 1 and want != 1}


def unstretched(
    variable: Variable, axes: Collection[int], context: Context
) -> Variable:
    """A broadcast view with size 1 along `axes`."""
    assert variable.owner is not None
    x = variable.owner.inputs[0]
    left = [
        1 if axis in axes else size for axis, size in enumerate(context.sizes(variable))
    ]
    if all(map(context.same_size, context.sizes(x), left)):
        return x
    return BroadcastTo(x.ndim)(x, *map(size_variable, left))


@node_rule(Elementwise, some=BroadcastTo)
def elementwise_of_broadcasts(node, context):
    """Of repeated values the result is repeated, not the work.

    The backward walk starts from a stretched 1: without this rule every gradient
    carries arrays of equal numbers.
    """
    if not node.output.ndim or not any(stretched_axes(v) for v in node.inputs):
        return None
    axes = []
    for axis, size in enumerate(node.output.type.shape):
        long = [v for v in node.inputs if v.type.shape[axis] != 1]
        if size == 1 or not all(axis in stretched_axes(v) for v in long):
            continue
        sizes = [context.sizes(v)[axis] for v in long]
        if all(context.same_size(s, sizes[0]) for s in sizes):
            axes.append(axis)
    if not axes:
        return None
    operands = [
        unstretched(v, axes, context) if stretched_axes(v) & {*axes} else v
        for v in node.inputs
    ]
    wanted = map(size_variable, context.sizes(node.output))
    return BroadcastTo(node.output.ndim)(node.op(*operands), *wanted)


@node_rule(Elementwise, some=BroadcastTo)
def broadcast_in_elementwise(node, context):
    """Nothing is stretched where another operand has the size: the loop does it."""
    operands = list(node.inputs)
    changed = False
    for i, operand in enumerate(operands):
        needless = {
            axis
            for axis in stretched_axes(operand)
            if any(
                j != i
                and v.type.shape[axis] != 1
                and context.same_size(
                    context.sizes(v)[axis], context.sizes(operand)[axis]
                )
                for j, v in enumerate(operands)
            )
        }
        if needless:
            operands[i] = unstretched(operand, needless, context)
            changed = True
    return node.op(*operands) if changed else None


# --- reshape --------------------------------------------------------------------------


def factors_of_size(sizes: Sequence[Size]) -> tuple[int, Counter[Variable]]:
    """The product of sizes as a number and how often each variable occurs in it."""
    known, unknown = 1, Counter[Variable]()
    pending: list[Any] = list(sizes)
    while pending:
        size = pending.pop()
        number = known_int(size)
        if number is not None:
            known *= number
        elif size.owner is not None and isinstance(size.owner.op, Mul):
            pending.extend(size.owner.inputs)
        else:
            unknown[size] += 1
    return known, unknown


@node_rule(Reshape, some=Reshape)
def reshape_of_reshape(node, context):
    """Only the last of two shapes matters, where the first is known to fit."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, Reshape):
        return None
    x = inner.inputs[0]
    if factors_of_size(context.sizes(x)) != factors_of_size(
        context.sizes(inner.output)
    ):
        return context.refuse("{} checks how many elements there are", inner.output)
    return node.op(x, *node.inputs[1:])


@node_rule(Reshape, some=DimShuffle)
def reshape_of_expanded(node):
    """Axes of size 1 that come or go before a reshape make no difference to it."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, DimShuffle):
        return None
    kept = [i for i in inner.op.order if i != "x"]
    if kept != sorted(kept):
        return None
    return node.op(inner.inputs[0], *node.inputs[1:])


@node_rule(Reshape)
def reshape_to_own_sizes(node, context):
    """A reshape that adds or drops axes of size 1 is a rearrangement, or nothing."""
    x = node.inputs[0]
    have, want = context.sizes(x), context.sizes(node.output)
    long = [axis for axis, size in enumerate(x.type.shape) if size != 1]
    kept = [
        size
        for size, static in zip(want, node.output.type.shape, strict=True)
        if static != 1
    ]
    if len(long) != len(kept) or not all(
        context.same_size(have[a], s) for a, s in zip(long, kept, strict=True)
    ):
        return None
    source = iter(long)
    return dimshuffle(
        x, *("x" if size == 1 else next(source) for size in node.output.type.shape)
    )


# --- reductions -----------------------------------------------------------------------

PLAIN = (Sum, Prod, Max, Min, All, Any_)


@node_rule(*PLAIN)
def reduction_of_one(node):
    """There is nothing to gather along an axis of size 1."""
    x, axes = node.inputs[0], node.op.axes
    left = tuple(a for a in axes if x.type.shape[a] != 1)
    if left == axes and axes:
        return None
    gone = [a for a in axes if a not in left]
    kept = [a for a in range(x.ndim) if a not in gone]
    smaller = dimshuffle(x, *kept)
    if left:
        return type(node.op)(tuple(kept.index(a) for a in left))(smaller)
    return (
        neq(smaller, 0)
        if isinstance(node.op, All | Any_)
        else cast(smaller, node.output.dtype)
    )


@node_rule(*PLAIN, some=PLAIN)
def reduction_of_reduction(node, context):
    """Two sums, products or extremes after each other are one over all their axes."""
    inner = node.inputs[0].owner
    if (
        inner is None
        or type(inner.op) is not type(node.op)
        or not context.read_once(inner.output)
    ):
        return None
    x = inner.inputs[0]
    outer = [a for a in range(x.ndim) if a not in inner.op.axes]
    return type(node.op)(
        tuple(sorted([*inner.op.axes, *(outer[a] for a in node.op.axes)]))
    )(x)


@node_rule(*PLAIN, some=DimShuffle)
def reduction_of_dimshuffle(node):
    """Axes that vanish need not be rearranged before."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, DimShuffle):
        return None
    x, order = inner.inputs[0], inner.op.order
    if any(order[a] == "x" for a in node.op.axes):
        return None
    axes = tuple(sorted(int(order[a]) for a in node.op.axes))
    left = [a for a in range(x.ndim) if a not in axes]
    kept = [i for a, i in enumerate(order) if a not in node.op.axes]
    small = type(node.op)(axes)(x)
    order = tuple("x" if i == "x" else left.index(int(i)) for i in kept)
    # Of an axis that is left out the size may be known only when the function runs.
    return small if order == tuple(range(small.ndim)) else DimShuffle(order)(small)


RULES = tagged(
    "canonical",
    size_of_argument,
    shape_as_sizes,
    checked_shape,
    specify_of_specify,
    dimshuffle_of_dimshuffle,
    dimshuffle_of_broadcast,
    function_of_dimshuffle,
    fill_as_broadcast,
    broadcast_to_own_sizes,
    broadcast_of_broadcast,
    elementwise_of_broadcasts,
    broadcast_in_elementwise,
    reshape_of_reshape,
    reshape_of_expanded,
    reshape_to_own_sizes,
    reduction_of_one,
    reduction_of_reduction,
    reduction_of_dimshuffle,
)
