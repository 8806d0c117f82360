"""Indexing what is known: one slice for two, an entry for a vector of entries."""

from __future__ import annotations

from typing import Any

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.op import known_int
from workbench.core.ops.elementwise import Maximum
from workbench.core.ops.joining import Join
from workbench.core.ops.shape import MakeVector, Shape, SizeOf, size_variable
from workbench.core.ops.slicing import Entry, Slice


@node_rule(Slice)
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


@node_rule(Slice)
def slice_of_all(node, context):
    """x[:] and x[0:len(x)] are x."""
    x, *bounds = node.inputs
    entries = node.op.entries(
        [known_int(v) if known_int(v) is not None else v for v in bounds]
    )
    for entry, size in zip(entries, context.sizes(x), strict=True):
        if not isinstance(entry, tuple):
            return None
        start, stop, step = entry
        whole = stop is None or context.same_size(stop, size)
        if step != 1 or start not in (None, 0) or not whole:
            return None
    return x


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
def slice_of_slice(node):
    """Two slices with constant bounds are one: ``x[2:][3:7]`` is ``x[5:9]``."""
    inner = node.inputs[0].owner
    if (
        inner is None
        or not isinstance(inner.op, Slice)
        or len(inner.inputs) + len(node.inputs) > 2
    ):
        return None
    (x,) = inner.inputs
    outer = iter(node.op.index)
    joined: list[Entry] = []
    for entry, size in zip(inner.op.index, x.type.shape, strict=True):
        both = (
            entry
            if not isinstance(entry, tuple)
            else join_entries(entry, next(outer), size)
        )
        if both is None:
            return None
        joined.append(both)
    return Slice(tuple(joined))(x)


def join_entries(first: Any, second: Any, size: int | None) -> Entry | None:
    """The entry that takes what `second` takes from what `first` took.

    >>> join_entries((2, None, 1), (3, 7, 1), None)
    (5, 9, 1)
    >>> join_entries((None, None, 2), (1, None, 3), None)
    (2, None, 6)
    """
    everything = (None, None, 1)
    if everything in (first, second):
        joined: Entry = second if first == everything else first
        return joined
    if size is not None:
        taken = range(size)[slice(*first)]
        if isinstance(second, tuple):
            return entry_of_range(taken[slice(*second)])
        return (
            taken[second]
            if isinstance(second, int) and -len(taken) <= second < len(taken)
            else None
        )
    if not isinstance(second, tuple):
        return None  # whether the place is inside depends on the size
    bounds = [first[0] or 0, first[1], second[0] or 0, second[1]]
    if first[2] < 0 or second[2] < 0 or any(b is not None and b < 0 for b in bounds):
        return None
    start, stop, skip, end = bounds
    ends = [stop] if stop is not None else []
    if end is not None:
        ends.append(start + first[2] * end)
    return (start + first[2] * skip, min(ends) if ends else None, first[2] * second[2])


def entry_of_range(taken: range) -> Entry:
    """The slice of an axis that takes the places in `taken`."""
    if not len(taken):
        return (0, 0, 1)
    stop = taken[-1] + (1 if taken.step > 0 else -1)
    return (taken[0], None if stop < 0 else stop, taken.step)


@node_rule(Join)
def join_of_one(node):
    """One array joined with nothing is itself."""
    return node.inputs[0] if len(node.inputs) == 1 else None


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
    slice_of_slice,
    join_of_one,
    size_at_least_zero,
)
