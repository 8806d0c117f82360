"""Arrays with a border around them, in all the ways that ``numpy.pad`` knows.

The axes are widened one after the other, so that corners continue what the axes before
made. A border that repeats elements is a gather at places counted in the loop; others are
joined to the array.

Read next: :mod:`workbench.core.ops.linalg`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.core.errors import ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_size
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import ARange, full
from workbench.core.ops.elementwise import rint
from workbench.core.ops.grids import linspace
from workbench.core.ops.joining import concatenate
from workbench.core.ops.moments import mean
from workbench.core.ops.quantiles import median
from workbench.core.ops.rearrange import entries, flip
from workbench.core.ops.reduction import max as max_of
from workbench.core.ops.reduction import min as min_of
from workbench.core.ops.shape import (
    add_size,
    as_sizes,
    broadcast_to,
    dimshuffle,
    expand_dims,
    size_variable,
    sizes_of,
    subtract_size,
)
from workbench.core.ops.subscript import index, set_subtensor
from workbench.core.ops.ufunc import cast, kind

Pair = tuple[Size, Size]

STATISTICS: dict[str, Callable[..., Variable]] = {
    "maximum": max_of,
    "minimum": min_of,
    "mean": mean,
    "median": median,
}
OPTIONS = {
    "constant": {"constant_values"},
    "empty": set(),
    "edge": set(),
    "wrap": set(),
    "linear_ramp": {"end_values"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    **{name: {"stat_length"} for name in STATISTICS},
}


def pad(x: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Variable:
    """`x` with a border.

    Parameters
    ----------
    pad_width
        Elements before and behind: one number for all, ``(before, behind)``, or such a pair
        for each axis; or a dictionary from axes to them. Scalar variables are allowed.
    mode
        ``constant`` (with ``constant_values``), ``edge``, ``linear_ramp`` (``end_values``),
        ``maximum``, ``mean``, ``median``, ``minimum`` (``stat_length``), ``reflect``,
        ``symmetric`` (``reflect_type``, ``"even"`` or ``"odd"``), ``wrap``, or ``empty``,
        which leaves the values open and puts zeros.
    options
        As named above, in the forms of `pad_width` where they are numbers.

    Raises
    ------
    ShapeError
        A width is negative, the mode or an option is unknown, or the border of an empty axis
        shall repeat its elements.
    """
    x = as_variable(x)
    _check_options(mode, options)
    pairs = _width_pairs(pad_width, x.ndim)
    if any(isinstance(w, int) and w < 0 for pair in pairs for w in pair):
        raise ShapeError("pad: a width is negative.")
    if mode in ("constant", "empty"):
        values = _pairs(options.get("constant_values", 0), x.ndim)
        return _with_constants(x, pairs, values)
    for axis, pair in enumerate(pairs):
        if pair != (0, 0):
            if x.type.shape[axis] == 0:
                raise ShapeError(
                    f"pad: axis {axis} is empty; mode {mode!r} has nothing to repeat."
                )
            x = _widened(x, axis, pair, mode, options)
    return x


def _check_options(mode: str, options: dict[str, Any]) -> None:
    if mode not in OPTIONS:
        raise ShapeError(f"pad: mode {mode!r} is none of {', '.join(sorted(OPTIONS))}.")
    unknown = set(options) - OPTIONS[mode]
    if unknown:
        raise ShapeError(
            f"pad: mode {mode!r} has no option {', '.join(sorted(unknown))}."
        )
    if options.get("reflect_type", "even") not in ("even", "odd"):
        raise ShapeError("pad: reflect_type is 'even' or 'odd'.")


# --- widths ------------------------------------------------------------------------------


def _width_pairs(widths: Any, rank: int) -> list[Pair]:
    if isinstance(widths, dict):
        by_axis: list[Any] = [(0, 0)] * rank
        for axis, pair in widths.items():
            by_axis[axis] = pair if isinstance(pair, list | tuple) else (pair, pair)
        widths = by_axis
    return [(_size(a), _size(b)) for a, b in _pairs(widths, rank)]


def _size(width: Any) -> Size:
    (variable,) = as_sizes(width)
    return known_size(variable)


def _pairs(given: Any, rank: int) -> list[tuple[Any, Any]]:
    """One value, ``(value,)``, ``(before, behind)`` or such a pair for each axis, as pairs."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, list | tuple):
        return [(given, given)] * rank
    entries = [e.tolist() if isinstance(e, np.ndarray) else e for e in given]
    nested = [isinstance(e, list | tuple) for e in entries]
    if not any(nested):
        entries = [entries]
    elif not all(nested):
        raise ShapeError("pad: give one value, a pair, or a pair for each axis.")
    pairs = [(e[0], e[-1]) for e in entries if len(e) in (1, 2)]
    if len(pairs) != len(entries) or len(pairs) not in (1, rank):
        raise ShapeError(
            f"pad: {given} is neither one value, a pair, nor a pair for each of {rank} axes."
        )
    return pairs * rank if len(pairs) == 1 else pairs


# --- borders of given values -------------------------------------------------------------


def _with_constants(
    x: Variable, widths: Sequence[Pair], values: Sequence[tuple[Any, Any]]
) -> Variable:
    numbers = [v for pair in values for v in pair]
    if all(isinstance(v, int | float) and v == numbers[0] for v in numbers):
        return _inside(x, widths, numbers[0] if numbers else 0)
    for axis, (width, pair) in enumerate(zip(widths, values, strict=True)):
        parts = [
            full(_with_size(x, axis, n), cast(v, x.dtype))
            for n, v in zip(width, pair, strict=True)
        ]
        x = concatenate([parts[0], x, parts[1]], axis)
    return x


def _inside(x: Variable, widths: Sequence[Pair], value: Any) -> Variable:
    """`x` set into an array of one value."""
    if all(pair == (0, 0) for pair in widths):
        return x
    sizes = sizes_of(x)
    frame = full(
        [
            add_size(add_size(before, n), behind)
            for (before, behind), n in zip(widths, sizes, strict=True)
        ],
        cast(value, x.dtype),
    )
    place = tuple(
        slice(before, add_size(before, n))
        for (before, _), n in zip(widths, sizes, strict=True)
    )
    return set_subtensor(index(frame, place), x)


def _with_size(x: Variable, axis: int, size: Size) -> list[Size]:
    return [size if i == axis else s for i, s in enumerate(sizes_of(x))]


# --- borders made of the elements --------------------------------------------------------


def _widened(
    x: Variable, axis: int, width: Pair, mode: str, options: dict[str, Any]
) -> Variable:
    if mode in STATISTICS:
        lengths = _pairs(options.get("stat_length"), x.ndim)[axis]
        return _with_statistics(x, axis, width, STATISTICS[mode], lengths)
    if mode == "linear_ramp":
        ends = _pairs(options.get("end_values", 0), x.ndim)[axis]
        return _with_ramps(x, axis, width, ends)
    if options.get("reflect_type") == "odd" and x.type.shape[axis] != 1:
        return _odd(x, axis, width, mode)
    size = sizes_of(x)[axis]
    return entries(x, _source(_outside(width, size), size, mode), axis)


def _outside(width: Pair, size: Size) -> Variable:
    """Places of the widened axis, counted from the first element."""
    before, behind = width
    total = add_size(add_size(before, size), behind)
    places = ARange()(size_variable(0), size_variable(total), size_variable(1))
    return ew.sub(places, before)


def _source(place: Variable, size: Size, mode: str) -> Variable:
    """Which element stands at a place, which may lie outside."""
    last = subtract_size(size, 1)
    if mode == "edge":
        return ew.maximum(ew.minimum(place, last), 0)
    if mode == "wrap":
        return ew.mod(place, size)
    period = size if mode == "symmetric" else _at_least_1(last)
    turned = ew.mod(place, ew.mul(period, 2))
    back = ew.sub(ew.mul(period, 2), turned)
    if mode == "symmetric":
        back = ew.sub(back, 1)
    return ew.minimum(ew.minimum(turned, back), last)


def _at_least_1(size: Size) -> Size:
    return max(size, 1) if isinstance(size, int) else ew.maximum(size, 1)


def _odd(x: Variable, axis: int, width: Pair, mode: str) -> Variable:
    """Turned about the edges: each turn goes on by the distance between the edges.

    With period p and q, r = divmod(place, p) an even q gives ``x[r] + q d``, an odd one
    ``2 x[last] - x[last - r] + (q - 1) d``, where d is the last element less the first.
    """
    size = sizes_of(x)[axis]
    last = subtract_size(size, 1)
    place = _outside(width, size)
    period = size if mode == "symmetric" else _at_least_1(last)
    turns, within = ew.floor_div(place, period), ew.mod(place, period)
    odd = cast(ew.eq(ew.mod(turns, 2), 1), "int64")
    taken = entries(x, ew.switch(odd, ew.sub(last, within), within), axis)

    def lined_up(numbers: Variable) -> Variable:
        order = [0, *["x"] * (x.ndim - axis - 1)]
        return cast(dimshuffle(numbers, *order), x.dtype)

    first_entry, last_entry = _entry(x, axis, 0), _entry(x, axis, -1)
    border = ew.add(
        ew.mul(lined_up(ew.sub(1, ew.mul(odd, 2))), taken),
        ew.mul(lined_up(ew.mul(odd, 2)), last_entry),
        ew.mul(lined_up(ew.sub(turns, odd)), ew.sub(last_entry, first_entry)),
    )
    inside = dimshuffle(ew.eq(turns, 0), 0, *["x"] * (x.ndim - axis - 1))
    return ew.switch(inside, taken, border)


def _entry(x: Variable, axis: int, place: int) -> Variable:
    """The entries at one place along an axis, which has size 1 then."""
    return expand_dims(entries(x, place, axis), axis)


def _with_ramps(x: Variable, axis: int, width: Pair, ends: tuple[Any, Any]) -> Variable:
    """Borders that go from end values to the edges in equal steps."""
    ramps = [
        linspace(
            end if isinstance(end, Variable) else np.asarray(end, x.dtype),
            entries(x, place, axis),
            size_variable(n),
            endpoint=False,
            dtype=x.dtype,
            axis=axis,
        )
        for end, place, n in zip(ends, (0, -1), width, strict=True)
    ]
    return concatenate([ramps[0], x, flip(ramps[1], axis)], axis)


def _with_statistics(
    x: Variable,
    axis: int,
    width: Pair,
    function: Callable[..., Variable],
    lengths: tuple[Any, Any],
) -> Variable:
    """Borders of one value a line: a statistic of the elements near that edge."""
    borders = []
    for side, (n, length) in enumerate(zip(width, lengths, strict=True)):
        if isinstance(length, int) and length < 0:
            raise ShapeError(f"pad: a stat_length is negative, {length}.")
        if length == 0 and function in (max_of, min_of):
            raise ShapeError("pad: a stat_length of 0 leaves no element to choose.")
        part = x
        if length is not None:
            size = sizes_of(x)[axis]
            start = ew.maximum(ew.sub(size, length), 0)
            near = slice(None, length) if side == 0 else slice(start, None)
            part = entries(x, near, axis)
        value = function(part, axis=axis, keepdims=True)
        if kind(x.dtype) in "iu" and kind(value.dtype) == "f":
            value = rint(value)
        borders.append(broadcast_to(cast(value, x.dtype), _with_size(x, axis, n)))
    return concatenate([borders[0], x, borders[1]], axis)
