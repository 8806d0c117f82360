"""Evenly spaced numbers, and the coordinates of points of a grid.

Read next: :mod:`workbench.core.ops.diagonals`.
"""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Constant, Variable, as_variable
from workbench.core.op import known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import ARange, _places, arange
from workbench.core.ops.joining import stack
from workbench.core.ops.mathematics import log10, pow
from workbench.core.ops.rearrange import broadcast_arrays, moveaxis
from workbench.core.ops.shape import (
    as_sizes,
    dimshuffle,
    expand_dims,
    flatten,
    normal_axis,
    size_variable,
)
from workbench.core.ops.ufunc import cast, kind, pad_left, weak_type

# --- evenly spaced -----------------------------------------------------------------------


@overload
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: Literal[False] = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Variable: ...
@overload
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    *,
    retstep: Literal[True],
    dtype: str | None = None,
    axis: int = 0,
) -> tuple[Variable, Variable]: ...
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Variable | tuple[Variable, Variable]:
    """`num` numbers from `start` to `stop` in equal steps, along a new axis.

    Parameters
    ----------
    start, stop
        Numbers or arrays, which are stretched to each other.
    num
        How many; a scalar variable is allowed.
    endpoint
        Whether `stop` is the last; otherwise it is what would follow.
    retstep
        Give the step, too: NaN where there is none.
    dtype
        Of the result; for integers the numbers are rounded down. A float by default.
    axis
        Where the new axis is.
    """
    (count,) = as_sizes(num)
    known = known_int(count)
    if known is not None and known < 0:
        raise ShapeError(f"linspace: the number of samples is negative, {known}.")
    first, last = _floats(start, stop)
    delta = ew.sub(last, first)
    parts = ew.sub(count, 1) if endpoint else count
    step = ew.true_div(delta, cast(parts, delta.dtype))
    line = _line(first, last, delta, step, count, parts, endpoint)
    if dtype is not None and kind(_name(dtype)) in "iu":
        line = ew.floor(line)
    line = moveaxis(line, 0, normal_axis(axis, line.ndim))
    line = line if dtype is None else cast(line, _name(dtype))
    if not retstep:
        return line
    return line, ew.switch(ew.gt(parts, 0), step, np.array(np.nan, step.dtype))


def _line(
    first: Variable,
    last: Variable,
    delta: Variable,
    step: Variable,
    count: Variable,
    parts: Variable,
    endpoint: bool,
) -> Variable:
    """The numbers along axis 0. A step that underflows to 0 is taken apart, as NumPy does."""
    places = ARange()(size_variable(0), count, size_variable(1))
    i = dimshuffle(cast(places, delta.dtype), 0, *["x"] * delta.ndim)
    whole = ew.maximum(parts, 1)
    fractions = ew.mul(ew.true_div(i, cast(whole, delta.dtype)), delta)
    stepped = ew.switch(ew.eq(step, 0), fractions, ew.mul(i, step))
    alone = ew.gt(parts, 0)
    line = ew.add(ew.switch(alone, stepped, ew.mul(i, delta)), first)
    if not endpoint:
        return line
    at_end = ew.and_(ew.eq(places, ew.sub(count, 1)), ew.gt(count, 1))
    return ew.switch(dimshuffle(at_end, 0, *["x"] * delta.ndim), last, line)


def _floats(*numbers: Any) -> list[Variable]:
    """The numbers as floats of one dtype: Python's adapt, floatX where none is a float."""
    weak = [weak_type(v) for v in numbers]
    variables = [as_variable(v) for v in numbers]
    strong = [v.dtype for v, w in zip(variables, weak, strict=True) if w is None]
    joined = np.result_type(*(strong or ["bool"]), *(w(0) for w in weak if w)).name
    if kind(joined) not in "fc":
        joined = config.floatX
    elif joined in ("float64", "complex128") and not {"float64", "complex128"} & {
        *strong
    }:
        joined = np.result_type(config.floatX, 1j if kind(joined) == "c" else 0).name
    return [cast(v, joined) for v in variables]


def _name(dtype: Any) -> str:
    return config.floatX if dtype == "floatX" else np.dtype(dtype).name


def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: str | None = None,
    axis: int = 0,
) -> Variable:
    """`base` to the powers that :func:`linspace` gives.

    An array of bases is stretched with the ends.
    """
    if not isinstance(base, int | float) and as_variable(base).ndim:
        start, stop, base = map(as_variable, (start, stop, base))
        rank = max(v.ndim for v in (start, stop, base))
        start, stop, base = (pad_left(v, rank) for v in (start, stop, base))
        base = expand_dims(base, axis)
    line = pow(base, linspace(start, stop, num, endpoint, axis=axis))
    return line if dtype is None else cast(line, _name(dtype))


def geomspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    dtype: str | None = None,
    axis: int = 0,
) -> Variable:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before.

    Both may be negative. Of different signs, or 0, they give NaN and infinities. Between
    complex numbers the points lie on a spiral.

    Raises
    ------
    ShapeError
        An end is a constant 0.
    """
    first, last = _floats(start, stop)
    wide = np.result_type(first.dtype, config.floatX).name
    first, last = cast(first, wide), cast(last, wide)
    if any(isinstance(v, Constant) and np.any(v.data == 0) for v in (first, last)):
        raise ShapeError("geomspace: a geometric sequence cannot include 0.")
    (count,) = as_sizes(num)
    side = ew.sign(first)
    low, high = ew.true_div(first, side), ew.true_div(last, side)
    base = np.array(10, first.dtype)
    line = pow(base, linspace(log10(low), log10(high), count, endpoint))
    places = ARange()(size_variable(0), count, size_variable(1))
    place = dimshuffle(places, 0, *["x"] * (line.ndim - 1))
    if endpoint:
        at_end = ew.and_(ew.eq(place, ew.sub(count, 1)), ew.gt(count, 1))
        line = ew.switch(at_end, high, line)
    line = ew.mul(ew.switch(ew.eq(place, 0), low, line), side)
    line = moveaxis(line, 0, normal_axis(axis, line.ndim))
    return line if dtype is None else cast(line, _name(dtype))


# --- grids -------------------------------------------------------------------------------


def meshgrid(
    *vectors: Any, indexing: str = "xy", sparse: bool = False, copy: bool = True
) -> tuple[Variable, ...]:
    """The coordinates of all points of a grid, an array for each vector.

    Of an array of more axes all elements are taken, in row-major order.

    Parameters
    ----------
    indexing
        ``"ij"``: axis k belongs to vector k. ``"xy"``: the first two axes are exchanged.
    sparse
        Leave size 1 along the axes an array does not change with, to be stretched.
    copy
        Changes nothing: variables share no memory to speak of.
    """
    if indexing not in ("xy", "ij"):
        raise ShapeError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}.")
    rank = len(vectors)
    axes = list(range(rank))
    if indexing == "xy" and rank > 1:
        axes[:2] = [1, 0]
    arrays = []
    for axis, vector in zip(axes, vectors, strict=True):
        points = as_variable(vector)
        if points.ndim > 1:
            points = flatten(points)
        order: list[int | str] = ["x"] * rank
        order[axis] = 0 if points.ndim else "x"
        arrays.append(dimshuffle(points, *order))
    return tuple(arrays) if sparse else broadcast_arrays(*arrays)


def indices(dimensions: Any, dtype: str = "int64", sparse: bool = False) -> Any:
    """For each axis of an array of shape `dimensions` the place along it, in that shape.

    Stacked along a new first axis; with `sparse` a tuple, with size 1 along other axes.

    Raises
    ------
    ShapeError
        A size is negative.
    """
    if isinstance(dimensions, int):
        raise DTypeError(f"indices takes a shape, as ({dimensions},).")
    ranges = [
        cast(_places(size, "indices"), _name(dtype)) for size in as_sizes(dimensions)
    ]
    grids = meshgrid(*ranges, indexing="ij", sparse=sparse)
    if sparse or not grids:
        return grids if sparse else as_variable(np.zeros((0,), _name(dtype)))
    return stack(list(grids))


class Grid:
    """Ranges written as slices: ``mgrid[0:5, 0:1:3j]``; a step ``nj`` means n points in all.

    With `sparse` (``ogrid``) a tuple of arrays that stretch to each other, else one array
    of all coordinates along a new first axis. A single slice gives a vector.
    """

    def __init__(self, sparse: bool) -> None:
        self.sparse = sparse

    def __getitem__(self, key: Any) -> Any:
        """The coordinates for one slice, or for a tuple of them."""
        if isinstance(key, slice):
            return _range(key)
        ranges = [_range(part) for part in key]
        dtype = np.result_type("int64", *(r.dtype for r in ranges)).name
        lines = [cast(r, dtype) for r in ranges]
        grids = meshgrid(*lines, indexing="ij", sparse=self.sparse)
        if self.sparse:
            return grids
        return stack(list(grids)) if grids else as_variable(np.zeros(0, dtype))


def _range(part: slice) -> Variable:
    start = 0 if part.start is None else part.start
    if isinstance(part.step, complex):
        return linspace(start, part.stop, int(abs(part.step)))
    return arange(start, part.stop, 1 if part.step is None else part.step)


mgrid, ogrid = Grid(sparse=False), Grid(sparse=True)
