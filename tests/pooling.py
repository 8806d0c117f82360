"""Pooling in the plainest way: a loop over windows, and what each of them sees."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

Array = np.ndarray
Place = tuple[int, ...]


def counts(
    sizes: Sequence[int], ws: Place, stride: Place, pad: Place, ignore_border: bool
) -> Place:
    """How many windows there are along each axis, counted one by one."""
    found = []
    for n, w, s, p in zip(sizes, ws, stride, pad, strict=True):
        number = 0
        if ignore_border:
            while number * s + w <= n + 2 * p:
                number += 1
        else:
            # Another one while elements wait that none has seen, and that it will see.
            while number * s < n and (number == 0 or (number - 1) * s + w < n):
                number += 1
        found.append(number)
    return tuple(found)


def windows(
    sizes: Sequence[int], ws: Place, stride: Place, pad: Place, ignore_border: bool
) -> Iterator[tuple[Place, list[tuple[int, Place]], int]]:
    """Each window: its number, the elements it sees, and how many places it covers with padding.

    An element is its number in the window and its place in the array.
    """
    for at in itertools.product(
        *map(range, counts(sizes, ws, stride, pad, ignore_border))
    ):
        seen, covered = [], 0
        for number, k in enumerate(itertools.product(*map(range, ws))):
            place = tuple(
                o * s - p + j for o, s, p, j in zip(at, stride, pad, k, strict=True)
            )
            padded = zip(place, sizes, pad, strict=True)
            covered += all(-p <= i < n + p for i, n, p in padded)
            if all(0 <= i < n for i, n in zip(place, sizes, strict=True)):
                seen.append((number, place))
        yield at, seen, covered


def pooled(
    x: Array,
    ws: Place,
    stride: Place | None = None,
    pad: Place | None = None,
    mode: str = "max",
    ignore_border: bool = True,
) -> Array:
    """The maximum, sum or mean of each window of the last axes."""
    stride, pad = stride or ws, pad or (0,) * len(ws)
    lead, sizes = x.shape[: x.ndim - len(ws)], x.shape[x.ndim - len(ws) :]
    dtype = np.add.reduce(np.zeros(1, x.dtype)).dtype if mode == "sum" else x.dtype
    out = np.zeros((*lead, *counts(sizes, ws, stride, pad, ignore_border)), dtype)
    wide = np.float64 if x.dtype.kind == "f" else dtype
    for at, seen, covered in windows(sizes, ws, stride, pad, ignore_border):
        values = np.array([x[(..., *place)] for _, place in seen])
        if mode == "max":
            out[(..., *at)] = values.max(axis=0)
            continue
        total = values.astype(wide).sum(axis=0)
        number = {"sum": 1, "average_inc_pad": covered, "average_exc_pad": len(seen)}
        out[(..., *at)] = total / number[mode] if mode != "sum" else total
    return out


def places(
    x: Array, ws: Place, stride: Place, pad: Place, ignore_border: bool = True
) -> Array:
    """The number in its window of each largest element: the first of equals, or the first NaN."""
    lead, sizes = x.shape[: x.ndim - len(ws)], x.shape[x.ndim - len(ws) :]
    out = np.zeros((*lead, *counts(sizes, ws, stride, pad, ignore_border)), "int32")
    for at, seen, _ in windows(sizes, ws, stride, pad, ignore_border):
        numbers = np.array([number for number, _ in seen])
        values = np.array([x[(..., *place)] for _, place in seen])
        out[(..., *at)] = numbers[values.argmax(axis=0)]
    return out


def put(
    g: Array,
    at_places: Array,
    ws: Place,
    stride: Place,
    pad: Place,
    sizes: Sequence[int],
    ignore_border: bool = True,
) -> Array:
    """Each element of `g` added to zeros where its window has its place."""
    out = np.zeros((*g.shape[: g.ndim - len(ws)], *sizes), g.dtype)
    for at, seen, _ in windows(sizes, ws, stride, pad, ignore_border):
        for number, place in seen:
            chosen = at_places[(..., *at)] == number
            out[(..., *place)] += np.where(chosen, g[(..., *at)], 0)
    return out


def taken(
    x: Array,
    at_places: Array,
    ws: Place,
    stride: Place,
    pad: Place,
    ignore_border: bool = True,
) -> Array:
    """The element at the place of each window, 0 where it sees none."""
    sizes = x.shape[x.ndim - len(ws) :]
    out = np.zeros(at_places.shape, x.dtype)
    for at, seen, _ in windows(sizes, ws, stride, pad, ignore_border):
        for number, place in seen:
            chosen = at_places[(..., *at)] == number
            out[(..., *at)] += np.where(chosen, x[(..., *place)], 0)
    return out


def spread(
    g: Array,
    ws: Place,
    stride: Place,
    pad: Place,
    sizes: Sequence[int],
    mode: str,
    ignore_border: bool = True,
) -> Array:
    """Each element of `g`, or its share, added to all that its window sees."""
    out = np.zeros((*g.shape[: g.ndim - len(ws)], *sizes), g.dtype)
    for at, seen, covered in windows(sizes, ws, stride, pad, ignore_border):
        number = {"sum": 1, "average_inc_pad": covered, "average_exc_pad": len(seen)}
        for _, place in seen:
            out[(..., *place)] += g[(..., *at)] / number[mode]
    return out
