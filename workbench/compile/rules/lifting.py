"""A part is taken before the work is done: ``exp(x)[i]`` is ``exp(x[i])``.

Slices move towards the arguments, through functions, rearrangements, stretched arrays and
products. On the way they meet others, and what is left over is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.indexing import WHOLE, entries_of, taken
from workbench.compile.rules.products import node_of
from workbench.core.graph import Apply, Variable
from workbench.core.op import Elementwise, Size, known_int
from workbench.core.ops.linalg import Dot
from workbench.core.ops.shape import BroadcastTo, SizeOf, dimshuffle, size_variable
from workbench.core.ops.slicing import Slice, slice_extent
from workbench.core.ops.ufunc import DimShuffle


@node_rule(Slice, some=Elementwise)
def slice_of_function(node, context):
    """A function is computed of the elements that are wanted, when nobody reads the others."""
    inner = node.inputs[0].owner
    if (
        inner is None
        or not isinstance(inner.op, Elementwise)
        or not context.read_once(inner.output)
    ):
        return None
    entries = entries_of(node)
    if not all(
        entry == WHOLE or _agree_along(axis, inner, context)
        for axis, entry in enumerate(entries)
    ):
        return context.refuse("the operands are not known to fit where less is taken")
    return inner.op(*(_along(v, inner.output, entries) for v in inner.inputs))


def _agree_along(axis: int, node: Apply, context: Context) -> bool:
    """Whether operands are known to fit along an axis; along one that is taken whole it is still checked."""
    long = [v for v in node.inputs if v.type.shape[axis] != 1]
    if len(long) < 2:
        return True
    sizes = [context.sizes(v)[axis] for v in long]
    return all(context.same_size(size, sizes[0]) for size in sizes[1:])


def _along(operand: Variable, whole: Variable, entries: Sequence[Any]) -> Variable:
    """The elements of an operand that belong to a slice of the result."""
    own = []
    pairs = zip(operand.type.shape, whole.type.shape, entries, strict=True)
    for have, want, entry in pairs:
        stretched = have == 1 and want != 1
        own.append(entry if not stretched else WHOLE if isinstance(entry, tuple) else 0)
    return taken(operand, own)


@node_rule(Slice, some=DimShuffle)
def slice_of_dimshuffle(node):
    """A part is taken first and rearranged then, so that slices and rearrangements meet their like."""
    inner = node_of(node.inputs[0], DimShuffle)
    if inner is None:
        return None
    (x,) = inner.inputs
    own: list[Any] = [WHOLE] * x.ndim
    kept: list[Any] = []
    for axis, entry in zip(inner.op.order, entries_of(node), strict=True):
        if axis == "x":
            if isinstance(entry, int) and entry in (0, -1):
                continue
            if entry != WHOLE:
                return None
        else:
            own[axis] = entry
        if isinstance(entry, tuple):
            kept.append(axis)
    left = [axis for axis, entry in enumerate(own) if isinstance(entry, tuple)]
    part = taken(x, own)
    if any(part.type.shape[i] != 1 for i, a in enumerate(left) if a not in kept):
        return None
    return dimshuffle(part, *("x" if a == "x" else left.index(a) for a in kept))


@node_rule(Slice, some=BroadcastTo)
def slice_of_stretched(node, context):
    """Of repeated elements fewer are made: ``alloc(v, n, m)[2:]`` is ``alloc(v, n - 2, m)``.

    A single place on a stretched axis must be known to be inside.
    """
    inner = node_of(node.inputs[0], BroadcastTo)
    if inner is None:
        return None
    x = inner.inputs[0]
    have, want = context.sizes(x), context.sizes(inner.output)
    own: list[Any] = []
    sizes: list[Size] = []
    for axis, entry in enumerate(entries_of(node)):
        stretched = x.type.shape[axis] == 1 and inner.output.type.shape[axis] != 1
        if not stretched and not context.same_size(have[axis], want[axis]):
            return None
        if not isinstance(entry, tuple):
            if stretched and not is_inside(entry, want[axis]):
                return None
            own.append(0 if stretched else entry)
            continue
        if stretched and not is_a_size(want[axis]):
            return None
        own.append(WHOLE if stretched else entry)
        start, stop, step = entry
        sizes.append(slice_extent(start, stop, step, want[axis])[1])
    part = taken(x, own)
    return BroadcastTo(part.ndim)(part, *map(size_variable, sizes))


def is_inside(place: Any, size: Size) -> bool:
    """Whether a single place is known to be on an axis."""
    return isinstance(place, int) and isinstance(size, int) and -size <= place < size


def is_a_size(size: Size) -> bool:
    """Whether a number is known not to be negative."""
    known = known_int(size)
    if known is not None:
        return known >= 0
    return (
        isinstance(size, Variable)
        and size.owner is not None
        and isinstance(size.owner.op, SizeOf)
    )


@node_rule(Slice, some=Dot)
def slice_of_dot(node, context):
    """Rows of a product are a product of rows, columns one of columns."""
    inner = node_of(node.inputs[0], Dot)
    if inner is None or not context.read_once(inner.output):
        return None
    x, y = inner.inputs
    entries = entries_of(node)
    rows, columns = entries[: x.ndim - 1], entries[x.ndim - 1 :]
    return inner.op(taken(x, [*rows, WHOLE]), taken(y, [WHOLE, *columns]))


RULES = tagged(
    "canonical",
    slice_of_function,
    slice_of_dimshuffle,
    slice_of_stretched,
    slice_of_dot,
)
