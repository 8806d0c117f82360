"""Indexing what is known: one slice for two, an entry for a vector of entries.

Bounds are written in one way, so that equal slices are equal: counted from the front where
the size of the axis is known, and left out where the slice goes to an end of the axis.

Read next: :mod:`workbench.compile.rules.lifting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.compile.rules.sizes import as_sum
from workbench.core.graph import Constant, Variable
from workbench.core.op import Size, known_int
from workbench.core.ops.creation import ARange
from workbench.core.ops.elementwise import Maximum, minimum, mul
from workbench.core.ops.gathering import Take
from workbench.core.ops.shape import (
    MakeVector,
    Shape,
    SizeOf,
    add_size,
    size_variable,
)
from workbench.core.ops.slicing import SYMBOLIC, Entry, Slice, as_size
from workbench.core.ops.ufunc import cast

WHOLE = (None, None, 1)
"""The entry that takes a whole axis."""

TURNED = (None, None, -1)
"""The entry that turns a whole axis round."""


def entries_of(node: Any, first_bound: int = 1) -> list[Any]:
    """The index of a slice with its symbolic bounds as variables, or as the numbers they are."""
    entries: list[Any] = node.op.entries(
        [as_size(v) for v in node.inputs[first_bound:]]
    )
    return entries


def split_entries(entries: Sequence[Any]) -> tuple[tuple[Entry, ...], list[Variable]]:
    """The index of a slice, and its symbolic bounds, from entries that hold variables."""
    bounds: list[Variable] = []

    def part(value: Any) -> Any:
        if isinstance(value, Variable):
            bounds.append(cast(value, "int64"))
            return SYMBOLIC
        return value

    index = tuple(
        tuple(part(v) for v in entry) if isinstance(entry, tuple) else part(entry)
        for entry in entries
    )
    return index, bounds


def taken(x: Variable, entries: Sequence[Any]) -> Variable:
    """``x[entries]`` for one entry an axis, each of which may hold variables."""
    if all(isinstance(entry, tuple) and entry == WHOLE for entry in entries):
        return x
    index, bounds = split_entries(entries)
    return Slice(index)(x, *bounds)


# --- vectors of scalars ---------------------------------------------------------------


@node_rule(Slice, some=(MakeVector, Shape))
def entry_of_vector(node, context):
    """An entry of a vector of scalars is the scalar: a size needs no vector."""
    inner, index = node.inputs[0].owner, node.op.index
    if inner is None or not isinstance(inner.op, MakeVector | Shape):
        return None
    (place,) = node.op.entries([known_int(v) for v in node.inputs[1:]])
    parts = inner.inputs
    if isinstance(inner.op, Shape):
        parts = tuple(map(size_variable, context.sizes(inner.inputs[0])))
    if isinstance(place, int):
        return parts[place] if -len(parts) <= place < len(parts) else None
    if not isinstance(place, tuple) or "?" in index[0] or not parts[slice(*place)]:
        return None
    return MakeVector()(*parts[slice(*place)])


# --- bounds ---------------------------------------------------------------------------


@node_rule(Slice)
def slice_of_all(node, context):
    """x[:] and x[0:len(x)] are x."""
    x = node.inputs[0]
    entries = entries_of(node)
    if not all(
        isinstance(e, tuple) and e[2] == 1 and (e[0] is None or known_int(e[0]) == 0)
        for e in entries
    ):
        return None
    if all(stop is None for _, stop, _ in entries):
        return x
    pairs = zip(entries, context.sizes(x), strict=True)
    whole = (e[1] is None or context.same_size(e[1], size) for e, size in pairs)
    return x if all(whole) else None


@node_rule(Slice)
def constant_bounds(node):
    """A bound that turned out to be a constant becomes part of the index."""
    x, *bounds = node.inputs
    known = [known_int(v) for v in bounds]
    if all(k is None for k in known):
        return None
    entries = node.op.entries(["?" if k is None else k for k in known])
    return Slice(tuple(entries))(
        x, *(v for v, k in zip(bounds, known, strict=True) if k is None)
    )


@node_rule(Slice)
def bounds_from_the_front(node, context):
    """Bounds that say the same are written the same: ``x[-1]`` of four is ``x[3]``.

    Then equal slices are found to be equal, and what is done to one place meets what is
    done to the same place elsewhere.
    """
    x = node.inputs[0]
    entries = entries_of(node)
    sizes: Sequence[Size | None] = x.type.shape
    if any(isinstance(e, tuple) and isinstance(e[1], Variable) for e in entries):
        sizes = context.sizes(x)
    plain = [plain_entry(e, size) for e, size in zip(entries, sizes, strict=True)]
    return None if plain == entries else taken(x, plain)


def plain_entry(entry: Any, size: Size | None) -> Any:
    """The one way to write an entry for an axis of `size`, which may not be known.

    >>> plain_entry(-1, 4), plain_entry((0, 9, 1), 4), plain_entry((-3, -1, 1), 4)
    (3, (None, None, 1), (1, 3, 1))
    """
    if not isinstance(entry, tuple):
        if isinstance(entry, int) and isinstance(size, int) and -size <= entry < 0:
            return entry + size
        return entry
    start, stop, step = entry
    if not isinstance(step, int) or step == 0:
        return entry
    if isinstance(size, int) and all(isinstance(v, int | None) for v in entry):
        return entry_of_range(range(size)[slice(*entry)], size)
    first = None if step > 0 and isinstance(start, int) and start == 0 else start
    return first, None if step > 0 and stop is not None and stop is size else stop, step


def entry_of_range(places: range, size: int) -> Entry:
    """The slice of an axis of `size` elements that takes the given places."""
    if not len(places):
        return (0, 0, 1)
    step = places.step if len(places) > 1 else 1
    last = places[-1]
    end: int | None = last + (1 if step > 0 else -1)
    if not 0 <= last + step < size:
        end = None
    start: int | None = places[0]
    if start == (0 if step > 0 else size - 1):
        start = None
    return (start, end, step)


# --- two slices are one ---------------------------------------------------------------


@node_rule(Slice, some=Slice)
def slice_of_slice(node):
    """Two slices after each other are one: ``x[2:][3:7]`` is ``x[5:9]``.

    A single place in a slice of unknown length stays where it is: that it is inside must
    be found when it runs. So do bounds of unknown sign: a view of a view costs nothing, and
    finding out from which end each bound counts takes a dozen operations.
    """
    inner = node_of(node.inputs[0], Slice)
    if inner is None:
        return None
    x = inner.inputs[0]
    outer = iter(entries_of(node))
    joined: list[Any] = []
    for entry, size in zip(entries_of(inner), x.type.shape, strict=True):
        both = (
            entry
            if not isinstance(entry, tuple)
            else join_entries(entry, next(outer), size)
        )
        if both is None:
            return None
        joined.append(both)
    return taken(x, joined)


def join_entries(first: Any, second: Any, size: Size | None) -> Any:
    """The entry that takes what `second` takes from what `first` took, or None.

    `first` is a slice of an axis of the given size, None where nothing is known of it, not
    even a variable. Bounds and steps may be variables.

    >>> join_entries((2, None, 1), (3, 7, 1), None)
    (5, 9, 1)
    >>> join_entries((None, None, 2), (1, None, 3), None)
    (2, None, 6)
    >>> join_entries((None, None, -1), (1, None, 1), None)
    (-2, None, -1)
    """
    if WHOLE in (first, second):
        return second if first == WHOLE else first
    parts = (*first, *(second if isinstance(second, tuple) else (second,)))
    numbers = all(isinstance(p, int | None) for p in parts)
    if numbers and isinstance(size, int):
        places = range(size)[slice(*first)]
        if isinstance(second, tuple):
            return entry_of_range(places[slice(*second)], size)
        return places[second] if -len(places) <= second < len(places) else None
    if not isinstance(second, tuple):
        return None  # whether the place is inside depends on the size
    return _join_bounds(first, second, numbers)


def _join_bounds(first: Any, second: Any, numbers: bool) -> Any:
    """One slice for two, right for an axis of any size, or None."""
    (start, stop, step), (skip, end, stride) = first, second
    if not isinstance(step, int) or not isinstance(stride, int):
        return None
    if (start, stop, step) == (None, None, -1) and numbers:
        return _join_reversed(skip, end, stride)
    if step < 0 or stride < 0 or not counts_forward(start) or not counts_forward(skip):
        return None
    start, skip = (0 if v is None else v for v in (start, skip))
    begin = add_size(start, _times(skip, step))
    if not counts_forward(stop) or not counts_forward(end):
        if not numbers:
            return None
        return _join_from_the_end(begin, stop, step, end, stride)
    ends = [] if stop is None else [stop]
    if end is not None:
        ends.append(add_size(start, _times(end, step)))
    last = None if not ends else ends[0] if len(ends) == 1 else _smaller(*ends)
    return (begin, last, step * stride)


def counts_forward(bound: Any) -> bool:
    """Whether a bound, or none at all, is known not to count from the end."""
    if bound is None or isinstance(bound, int):
        return (bound or 0) >= 0
    total = as_sum(bound)
    return total is not None and total.is_never_negative()


def _smaller(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    return as_size(minimum(a, b))


def _times(size: Size, factor: int) -> Size:
    if isinstance(size, int):
        return size * factor
    return size if factor == 1 else as_size(mul(size, factor))


def _join_from_the_end(
    begin: Size, stop: int | None, step: int, end: int | None, stride: int
) -> Any:
    """Where a slice ends so many places before the end, a second one can end sooner still."""
    if step != 1 or (stop or 0) > 0 or stop == 0 or (end or 0) > 0 or end == 0:
        return None
    return (begin, (stop or 0) + (end or 0), stride)


def _join_reversed(skip: int | None, end: int | None, stride: int) -> Entry | None:
    """A slice of a reversed axis: place k of that is place -1 - k of the axis."""
    if skip is None and end is None and stride < 0:
        return (None, None, -stride)
    if stride < 0 or (skip or 0) < 0 or (end or 0) < 0:
        return None
    return (-1 - (skip or 0), None if end is None else -1 - end, -stride)


# --- places that count up -------------------------------------------------------------


@node_rule(Take)
def take_of_range(node, context):
    """Elements at 2, 3, 4 are a slice, which is a view.

    Only where all the places are known to be inside: a slice would leave out the others.
    """
    x, places = node.inputs[:2]
    if node.op.axes != 1 or places.ndim != 1:
        return None
    entry = slice_of_places(places, context.sizes(x)[0], context)
    return None if entry is None else taken(x, [entry, *[WHOLE] * (x.ndim - 1)])


def slice_of_places(places: Variable, size: Size, context: Context) -> Any:
    """The slice of an axis of `size` that takes the same places in the same order, or None."""
    found = None
    if isinstance(places, Constant):
        found = range_of_array(places.data)
    node = node_of(places, ARange)
    if node is not None:
        numbers = [known_int(v) for v in node.inputs]
        start, stop, step = numbers
        if start == 0 and step == 1:
            if context.same_size(context.sizes(places)[0], size):
                return WHOLE
        if start is not None and stop is not None and step:
            found = range(start, stop, step)
    if found is None or not isinstance(size, int):
        return None
    inside = not len(found) or (min(found) >= 0 and max(found) < size)
    return entry_of_range(found, size) if inside else None


def range_of_array(places: np.ndarray[Any, Any]) -> range | None:
    """The range that a vector of integers lists, or None."""
    if not places.size:
        return range(0)
    start, step = int(places[0]), 1
    if places.size > 1:
        step = int(places[1]) - start
    found = range(start, start + step * len(places), step) if step else None
    return found if found is not None and list(found) == places.tolist() else None


@node_rule(Maximum)
def size_at_least_zero(node):
    """A size is never negative."""
    for size, bound in (node.inputs, node.inputs[::-1]):
        if size.owner is not None and isinstance(size.owner.op, SizeOf):
            number = known_int(bound)
            return size if number is not None and number <= 0 else None
    return None


RULES = tagged(
    "canonical",
    constant_bounds,
    entry_of_vector,
    slice_of_all,
    bounds_from_the_front,
    slice_of_slice,
    take_of_range,
    size_at_least_zero,
)
