"""What is put into a part of an array: read back, added up, or put where it was.

Two ops put: :class:`~workbench.core.ops.slicing.PutSlice` at a slice, whose places all
differ, and :class:`~workbench.core.ops.gathering.Put` at places that integer arrays give.
Both check that the places are inside; a rule that removes one needs to know that they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.fitting import fitted
from workbench.compile.rules.indexing import TURNED, WHOLE, entries_of, taken
from workbench.compile.rules.lifting import is_inside
from workbench.compile.rules.masks import are_distinct, mask_of
from workbench.compile.rules.products import node_of
from workbench.compile.rules.scatter import counts_up, sum_at_once
from workbench.core.graph import Constant, Variable
from workbench.core.ops.elementwise import Add, Sub, add, neg
from workbench.core.ops.gathering import Put, Take
from workbench.core.ops.shape import BroadcastTo, dimshuffle, size_variable
from workbench.core.ops.slicing import PutSlice, Slice


def put_at(variable: Variable, add: bool) -> Any:
    """The operation that makes `variable` if it puts, adding or not as asked, else None."""
    node = node_of(variable, PutSlice, Put)
    return node if node is not None and node.op.add == add else None


def same_places(node: Any, put: Any) -> bool:
    """Whether `node` reads, or puts, at the places where `put` puts."""
    first = 2 if isinstance(node.op, PutSlice | Put) else 1
    where = node.inputs[first:] == put.inputs[2:]
    if isinstance(node.op, PutSlice | Slice):
        return where and isinstance(put.op, PutSlice) and node.op.index == put.op.index
    return where and isinstance(put.op, Put) and node.op.axes == put.op.axes


def all_inside(node: Any, first_place: int, context: Context) -> bool:
    """Whether no place of a reading or putting `node` can be outside, so that it checks nothing."""
    sizes = context.sizes(node.inputs[0])
    if isinstance(node.op, PutSlice | Slice):
        entries = entries_of(node, first_place)
        return all(
            is_inside(entry, size)
            if not isinstance(entry, tuple)
            else isinstance(entry[2], int) and entry[2] != 0
            for entry, size in zip(entries, sizes, strict=True)
        )
    places = node.inputs[first_place:]
    mask = mask_of(places)
    if mask is not None:
        pairs = zip(context.sizes(mask), sizes, strict=False)
        return all(context.same_size(a, b) for a, b in pairs)
    return all(
        counts_up(p, size, context)
        or (
            isinstance(p, Constant)
            and isinstance(size, int)
            and bool(((p.data >= -size) & (p.data < size)).all())
        )
        for p, size in zip(places, sizes, strict=False)
    )


def no_place_twice(node: Any, first_place: int, context: Context) -> bool:
    """Whether the places of a reading or putting `node` all differ."""
    if isinstance(node.op, PutSlice | Slice):
        return True
    places = node.inputs[first_place:]
    sizes = context.sizes(node.inputs[0])
    return mask_of(places) is not None or are_distinct(places, sizes, context)


# --- reading what was put -------------------------------------------------------------


@node_rule(Slice, some=PutSlice)
def slice_that_was_set(node, context):
    """What was just put there is what is there.

    A single place may be outside; then it stays a place of a stretched view, which finds
    that, and the array is not copied all the same.
    """
    put = put_at(node.inputs[0], add=False)
    if put is None or not same_places(node, put):
        return None
    x, part, *_ = put.inputs
    if not context.same_sizes(part, node.output):
        return None
    if all_inside(node, 1, context):
        return part
    entries, sizes = entries_of(node), context.sizes(x)
    kept = iter(range(part.ndim))
    spread = dimshuffle(
        part, *(next(kept) if isinstance(e, tuple) else "x" for e in entries)
    )
    own = context.sizes(part)
    lengths = iter(own)
    whole = [
        next(lengths) if isinstance(e, tuple) else size
        for e, size in zip(entries, sizes, strict=True)
    ]
    if any(isinstance(e, tuple) and not isinstance(e[2], int) for e in entries):
        return None
    repeated = BroadcastTo(x.ndim)(spread, *map(size_variable, whole))
    return taken(repeated, [WHOLE if isinstance(e, tuple) else e for e in entries])


@node_rule(Take, some=Put)
def take_that_was_set(node, context):
    """What was just put at places that all differ is what is there."""
    put = put_at(node.inputs[0], add=False)
    if (
        put is None
        or not same_places(node, put)
        or not context.same_sizes(put.inputs[1], node.output)
        or not all_inside(node, 1, context)
        or not no_place_twice(node, 1, context)
    ):
        return None
    return put.inputs[1]


@node_rule(PutSlice, Put, some=(Slice, Take))
def put_back_what_was_there(node, context):
    """An array into which its own elements are put where they were is as before."""
    x, part, *_ = node.inputs
    read = node_of(part, Slice, Take)
    if node.op.add or read is None or read.inputs[0] is not x:
        return None
    return x if same_places(read, node) and all_inside(node, 2, context) else None


@node_rule(PutSlice, Put, some=(PutSlice, Put))
def put_over(node, context):
    """What is put where something was put before replaces it."""
    x, part, *places = node.inputs
    before = put_at(x, add=False) or put_at(x, add=True)
    if (
        node.op.add
        or before is None
        or not same_places(node, before)
        or not context.same_sizes(before.inputs[1], part)
    ):
        return None
    return node.op(before.inputs[0], part, *places)


# --- adding ---------------------------------------------------------------------------


@node_rule(PutSlice)
def put_over_all(node, context):
    """A part that covers the whole array, turned round or not, is the array, or is added to it."""
    x, part, *_ = node.inputs
    entries = entries_of(node, 2)
    if not all(e in (WHOLE, TURNED) for e in entries):
        return None
    if part.broadcastable != x.broadcastable:
        return None  # of a size of 1 that must not be stretched
    turned = taken(part, entries)
    return add(x, turned) if node.op.add else fitted(turned, x, [x], context)


@node_rule(PutSlice, Put, some=(Add, Sub))
def set_of_sum(node, context):
    """``set_subtensor(x[i], x[i] + y)`` adds y there: the part is neither read nor copied."""
    x, part, *places = node.inputs
    total = node_of(part, Add, Sub)
    if node.op.add or total is None:
        return None
    pairs = (
        [total.inputs]
        if isinstance(total.op, Sub)
        else [total.inputs, total.inputs[::-1]]
    )
    for old, more in pairs:
        read = node_of(old, Slice, Take)
        if (
            read is None
            or read.inputs[0] is not x
            or not same_places(read, node)
            or not context.same_sizes(old, part)
            or not no_place_twice(node, 2, context)
        ):
            continue
        if isinstance(total.op, Sub):
            more = neg(more)
        return replace(node.op, add=True)(x, context.stretched(more, part), *places)
    return None


@node_rule(PutSlice, Put, tags=["finite_math"])
def add_of_nothing(node, context):
    """Zeros added somewhere change nothing, but for -0, which becomes 0."""
    x, part, *_ = node.inputs
    if not node.op.add or uniform_value(part) != 0 or not all_inside(node, 2, context):
        return None
    wanted = node.op.reader()(x, *node.inputs[2:])
    return x if context.same_sizes(part, wanted) else None


@node_rule(Add, Sub, tags=["finite_math"], some=PutSlice)
def sum_of_slices(node, context):
    """What is added to zeros and then to an array is added to the array at once.

    So several parts of one gradient are added up in one array, without others to hold each.
    """
    return sum_at_once(node, (1, 0), PutSlice, context)


@node_rule(PutSlice, Put, tags=["finite_math"])
def add_to_zeros(node, context):
    """Added to zeros at places that all differ is set there, but for -0, which would be 0."""
    x, part, *places = node.inputs
    if not node.op.add or uniform_value(x) != 0 or not no_place_twice(node, 2, context):
        return None
    return replace(node.op, add=False)(x, part, *places)


RULES = tagged(
    "placing",
    slice_that_was_set,
    take_that_was_set,
    put_back_what_was_there,
    put_over,
    put_over_all,
    set_of_sum,
    add_of_nothing,
    sum_of_slices,
)

LATE = tagged("placing", add_to_zeros)
"""Only when nothing looks for sums of zeros any more."""
