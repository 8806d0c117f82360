"""Arrays joined one after the other: what joins nothing, and what is taken apart again.

A join checks that its parts agree on the other axes. A rule that drops a part needs to
know that they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.indexing import WHOLE, entries_of, taken
from workbench.compile.rules.products import node_of
from workbench.compile.rules.sizes import at_most, equal_sums
from workbench.core.graph import Apply, Variable
from workbench.core.op import Size
from workbench.core.ops.joining import Join
from workbench.core.ops.shape import add_size
from workbench.core.ops.slicing import Slice

MAX_PARTS = 200
"""Parts up to which a join is worth searching: longer ones cost more than they save."""


def parts_agree(node: Apply, context: Context) -> bool:
    """Whether the parts of a join are known to agree on the other axes."""
    assert isinstance(node.op, Join)
    first, *others = (context.sizes(v) for v in node.inputs)
    return all(
        axis == node.op.axis or context.same_size(a, b)
        for sizes in others
        for axis, (a, b) in enumerate(zip(first, sizes, strict=True))
    )


@node_rule(Join)
def join_of_one(node):
    """One array joined with nothing is itself."""
    return node.inputs[0] if len(node.inputs) == 1 else None


@node_rule(Join)
def join_of_empty(node, context):
    """A part without elements adds none."""
    axis = node.op.axis
    full = [v for v in node.inputs if v.type.shape[axis] != 0]
    if len(full) == len(node.inputs) or not parts_agree(node, context):
        return None
    return node.op(*(full or node.inputs[:1]))


@node_rule(Join, some=Join)
def join_of_join(node, context):
    """Parts that were joined before are joined with the others at once."""
    parts: list[Variable] = []
    for part in node.inputs:
        inner = node_of(part, Join)
        same = inner is not None and inner.op == node.op and len(inner.inputs) > 1
        parts += inner.inputs if same and context.read_once(part) else [part]
    if not len(node.inputs) < len(parts) <= MAX_PARTS:
        return None
    return node.op(*parts)


# --- what was cut and is joined -------------------------------------------------------


@node_rule(Join, some=Slice)
def join_of_neighbours(node):
    """Slices that lie side by side, joined, are one slice: what was split is whole again."""
    parts = list(node.inputs[:1])
    for part in node.inputs[1:]:
        both = _side_by_side(parts[-1], part, node.op.axis)
        if both is None:
            parts.append(part)
        else:
            parts[-1] = both
    return node.op(*parts) if len(parts) < len(node.inputs) else None


def _side_by_side(first: Variable, second: Variable, axis: int) -> Variable | None:
    """The slice that two slices of one array make when they are joined, or None."""
    a, b = node_of(first, Slice), node_of(second, Slice)
    if a is None or b is None or a.inputs[0] is not b.inputs[0]:
        return None
    left, right = entries_of(a), entries_of(b)
    at = [i for i, entry in enumerate(left) if isinstance(entry, tuple)][axis]
    others = [i for i in range(len(left)) if i != at]
    if not isinstance(right[at], tuple) or any(left[i] != right[i] for i in others):
        return None
    entry = join_bounds(left[at], right[at])
    if entry is None:
        return None
    return taken(a.inputs[0], [*left[:at], entry, *left[at + 1 :]])


def join_bounds(first: Any, second: Any) -> Any:
    """The slice of an axis that takes what two slices take, one after the other, or None.

    The parts before and behind any place make the whole, wherever the place is. Otherwise
    the three bounds must be known to be in order.

    >>> join_bounds((1, 3, 1), (3, 5, 1)), join_bounds((None, -2, 1), (-2, None, 1))
    ((1, 5, 1), (None, None, 1))
    """
    start, middle, step = first
    begin, stop, stride = second
    if step != 1 or stride != 1 or middle is None or middle is not begin:
        if not (isinstance(middle, int) and middle == begin and step == stride == 1):
            return None
    whole = start in (None, 0) and stop is None
    low, high = in_order(start, middle, True), in_order(middle, stop, False)
    return (start, stop, 1) if whole or (low and high) else None


def in_order(a: Any, b: Any, first: bool) -> bool:
    """Whether bound `a` is never behind bound `b`; None is the near end if `first`, else the far one."""
    if first and (a is None or (isinstance(a, int) and a == 0)):
        return True
    if not first and b is None:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return a <= b and (a < 0) == (b < 0)
    return a is not None and b is not None and at_most(a, b)


# --- what was joined and is cut -------------------------------------------------------


@node_rule(Slice, some=Join)
def slice_of_join(node, context):
    """What is taken from one part of a join is taken from the part."""
    inner = node_of(node.inputs[0], Join)
    if inner is None or len(inner.inputs) > MAX_PARTS:
        return None
    axis = inner.op.axis
    entries = entries_of(node)
    sizes = [context.sizes(v)[axis] for v in inner.inputs]
    found = find_parts(entries[axis], sizes)
    if found is None:
        return context.refuse("in which part the places are depends on the sizes")
    if found != (0, len(sizes), WHOLE) and not parts_agree(inner, context):
        return context.refuse("the parts are not known to agree on the other axes")
    first, last, entry = found
    if last - first > 1 and entry == WHOLE and entries[axis] == WHOLE:
        if not context.read_once(inner.output):
            return None
    rest = [*entries[:axis], entry, *entries[axis + 1 :]]
    parts = [taken(v, rest) for v in inner.inputs[first:last]]
    if len(parts) == 1:
        return parts[0]
    moved = sum(not isinstance(e, tuple) for e in entries[:axis])
    return Join(axis - moved)(*parts)


def find_parts(entry: Any, sizes: Sequence[Size]) -> tuple[int, int, Any] | None:
    """From which part and up to which one an entry takes elements, and the entry for each.

    None where that depends on sizes that are not known. Of several parts all is taken.

    >>> find_parts(3, [2, 5]), find_parts((2, 7, 1), [2, 5, 1])
    ((1, 2, 1), (1, 2, (None, None, 1)))
    """
    offsets: list[Size] = [0]
    for size in sizes:
        offsets.append(add_size(offsets[-1], size))
    if not isinstance(entry, tuple):
        return _part_with(entry, sizes)
    start, stop, step = entry
    if step != 1:
        return None
    start = 0 if start is None else start
    first = _boundary(start, offsets, 0)
    last = len(sizes) if stop is None else _boundary(stop, offsets, (first or 0) + 1)
    if first is not None and last is not None and first < last:
        return first, last, WHOLE
    return _inside(start, stop, offsets)


def _part_with(place: Any, sizes: Sequence[Size]) -> tuple[int, int, Any] | None:
    """The part that a single place is in, counted from the end it is counted from."""
    if not isinstance(place, int):
        return None
    numbers = range(len(sizes)) if place >= 0 else reversed(range(len(sizes)))
    left = place if place >= 0 else -1 - place
    for number in numbers:
        size = sizes[number]
        if not isinstance(size, int):
            return None
        if left < size:
            return number, number + 1, left if place >= 0 else -1 - left
        left -= size
    return None


def _boundary(bound: Any, offsets: Sequence[Size], least: int) -> int | None:
    """The number of the part that begins at a bound."""
    if isinstance(bound, int) and bound < 0:
        return None
    return next(
        (i for i in range(least, len(offsets)) if equal_sums(bound, offsets[i])), None
    )


def _inside(
    start: Any, stop: Any, offsets: Sequence[Size]
) -> tuple[int, int, Any] | None:
    """The part in which a slice with numbers as bounds lies, and the slice of that part."""
    if not isinstance(start, int) or not isinstance(stop, int) or not 0 <= start < stop:
        return None
    for number in range(len(offsets) - 1):
        low, high = offsets[number], offsets[number + 1]
        if not isinstance(low, int) or not isinstance(high, int):
            return None
        if low <= start and stop <= high:
            return number, number + 1, (start - low, stop - low, 1)
    return None


RULES = tagged(
    "canonical",
    join_of_one,
    join_of_empty,
    join_of_join,
    join_of_neighbours,
    slice_of_join,
)
