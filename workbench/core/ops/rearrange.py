"""Axes moved, declared and forgotten; elements turned round, rolled and repeated.

Nearly everything here is an expression of slices, joins, stretched axes and reshapes, which
become loops; so it has their derivative and their shape rule. :class:`Unbroadcast` forgets
that a size is 1, and :class:`RepeatedPlaces` counts where the number of repeats is an array.

Read next: :mod:`workbench.core.ops.stacking`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import (
    Indexer,
    Opaque,
    Size,
    Sizes,
    View,
    known_int,
    known_size,
    known_value,
)
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import ARange
from workbench.core.ops.joining import concatenate
from workbench.core.ops.shape import (
    SizeOf,
    addbroadcast,
    as_sizes,
    broadcast_to,
    dimshuffle,
    expand_dims,
    flatten,
    normal_axis,
    product_size,
    reshape,
    shape_padleft,
    size_variable,
    sizes_of,
    specify_shape,
    swapaxes,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import DimShuffle, cast, kind
from workbench.core.types import Array, TensorType

Axes = int | Sequence[int] | None


@dataclass(frozen=True)
class Unbroadcast(View):
    """The input, whose size 1 along `axes` is no longer known: they do not stretch."""

    axes: tuple[int, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """No size along the axes."""
        (x,) = inputs
        sizes = [None if i in self.axes else s for i, s in enumerate(x.type.shape)]
        return [x.type.with_shape(sizes)]

    def reference(self, x: Array) -> Array:
        """`x`."""
        return x

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g, whose size is 1 again."""
        assert g is not None
        return [addbroadcast(g, *self.axes)]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The input's sizes."""
        return [tuple(shapes[0])]

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """The same place."""
        return index


class RepeatedPlaces(Opaque):
    """The vector 0 … 0, 1 … 1, …, where i stands as often as entry i of an int64 vector says."""

    name = "repeated_places"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """A vector; its length is known when the counts are constant."""
        (counts,) = inputs
        known = known_value(counts)
        if known is not None and np.any(known < 0):
            raise ShapeError("repeat: a number of repeats is negative.")
        return [TensorType("int64", (None if known is None else int(known.sum()),))]

    def reference(self, counts: Array) -> Array:
        """``np.repeat`` of the places."""
        if np.any(counts < 0):
            raise ShapeError(
                f"repeat: a number of repeats is negative, {counts.min()}."
            )
        return np.repeat(np.arange(counts.size), counts)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None]


# --- what is known of sizes --------------------------------------------------------------


def unbroadcast(x: Any, *axes: int) -> Variable:
    """`x`, whose named axes do not stretch even where their size is 1."""
    x = as_variable(x)
    chosen = {normal_axis(a, x.ndim) for a in axes}
    forgotten = tuple(sorted(a for a in chosen if x.type.shape[a] == 1))
    return Unbroadcast(forgotten)(x) if forgotten else x


def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Variable:
    """`x` with the axes declared to have size 1, and to stretch, that are True; no others.

    Raises
    ------
    ShapeError
        The pattern has not one entry an axis, or, mostly at run time, a size is not 1.
    """
    x = as_variable(x)
    if len(broadcastable) != x.ndim:
        raise ShapeError(
            f"patternbroadcast: {x.label()} has {x.ndim} axes, the pattern {len(broadcastable)}."
        )
    stretching = [i for i, flag in enumerate(broadcastable) if flag]
    rest = [i for i, flag in enumerate(broadcastable) if not flag]
    return unbroadcast(addbroadcast(x, *stretching), *rest)


def Rebroadcast(*axes: tuple[int, bool]) -> Callable[[Any], Variable]:
    """What declares or forgets sizes of 1: ``Rebroadcast((0, True), (1, False))(x)``.

    A pair names an axis and says whether it has size 1 and stretches; others stay.
    """

    def declare(x: Any) -> Variable:
        declared = addbroadcast(x, *(axis for axis, stretches in axes if stretches))
        return unbroadcast(declared, *(axis for axis, flag in axes if not flag))

    return declare


def shape_padaxis(x: Any, axis: int) -> Variable:
    """`x` with one axis of size 1 put in at `axis`."""
    return expand_dims(x, axis)


def shape_i(x: Any, i: int) -> Variable:
    """The size of axis `i` of `x`, an int64 scalar."""
    x = as_variable(x)
    return SizeOf(normal_axis(i, x.ndim))(x)


# --- axes --------------------------------------------------------------------------------


def moveaxis(x: Any, source: Axes, destination: Axes) -> Variable:
    """`x` with axes moved from their places to others; the rest keep their order."""
    x = as_variable(x)
    old = _axes(source, x.ndim)
    new = _axes(destination, x.ndim)
    if len(old) != len(new):
        raise ShapeError(
            f"moveaxis: {len(old)} axes cannot be moved to {len(new)} places."
        )
    order = [i for i in range(x.ndim) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return dimshuffle(x, *order)


def rollaxis(x: Any, axis: int, start: int = 0) -> Variable:
    """`x` with one axis moved in front of axis `start`; :func:`moveaxis` is clearer."""
    x = as_variable(x)
    at = normal_axis(axis, x.ndim)
    before = start if start == x.ndim else normal_axis(start, x.ndim)
    return moveaxis(x, at, before - 1 if at < before else before)


def matrix_transpose(x: Any) -> Variable:
    """`x` with its last two axes exchanged."""
    return swapaxes(x, -1, -2)


def _axes(axis: Axes, rank: int) -> list[int]:
    """Axes counted from the front, all of them for None; none may be named twice."""
    if axis is None:
        return list(range(rank))
    named = [axis] if isinstance(axis, int | np.integer) else axis
    found = [normal_axis(a, rank) for a in named]
    if len(set(found)) != len(found):
        raise ShapeError(f"an axis is named twice: {tuple(named)}.")
    return found


def atleast_1d(*arrays: Any) -> Any:
    """The array, or each of several, with an axis when it has none."""
    return _each(arrays, lambda x: x if x.ndim else dimshuffle(x, "x"))


def atleast_2d(*arrays: Any) -> Any:
    """The array, or each of several, with new axes in front until it has two."""
    return _each(arrays, lambda x: shape_padleft(x, max(0, 2 - x.ndim)))


def atleast_3d(*arrays: Any) -> Any:
    """The array, or each of several, with three axes at least: a matrix gets its third behind."""
    orders: dict[int, tuple[int | str, ...]] = {
        0: ("x", "x", "x"),
        1: ("x", 0, "x"),
        2: (0, 1, "x"),
    }
    return _each(arrays, lambda x: dimshuffle(x, *orders[x.ndim]) if x.ndim < 3 else x)


def atleast_Nd(x: Any, n: int = 1, left: bool = True) -> Variable:
    """`x` with new axes of size 1, in front or behind, until it has `n`."""
    x = as_variable(x)
    new = ["x"] * max(0, n - x.ndim)
    order = [*new, *range(x.ndim)] if left else [*range(x.ndim), *new]
    return dimshuffle(x, *order)


def _each(arrays: Sequence[Any], function: Any) -> Any:
    results = tuple(function(as_variable(x)) for x in arrays)
    return results[0] if len(results) == 1 else results


def copy(x: Any, name: str | None = None) -> Variable:
    """`x` as another variable, which may have a name of its own."""
    x = as_variable(x)
    made = DimShuffle(tuple(range(x.ndim)))(x)
    made.name = name
    return made


# --- stretching --------------------------------------------------------------------------


def broadcast_shape(
    *arrays: Any, arrays_are_shapes: bool = False
) -> tuple[Variable, ...]:
    """The sizes that arrays have when they are stretched to each other.

    With `arrays_are_shapes` the arguments are shapes. Only a size known to be 1 stretches;
    of the others the first is taken.

    Raises
    ------
    ShapeError
        Two known sizes, neither 1, differ.
    """
    shapes = [
        tuple(known_size(s) for s in as_sizes(a))
        if arrays_are_shapes
        else sizes_of(as_variable(a))
        for a in arrays
    ]
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(
        size_variable(_stretched(sizes)) for sizes in zip(*padded, strict=True)
    )


def _stretched(sizes: Sequence[Size]) -> Size:
    known = {s for s in sizes if isinstance(s, int) and s != 1}
    if len(known) > 1:
        raise ShapeError(f"sizes {sorted(known)} cannot be stretched to each other.")
    if known:
        return known.pop()
    return next((s for s in sizes if not isinstance(s, int)), 1)


def broadcast_shapes(*shapes: Any) -> tuple[Variable, ...]:
    """The sizes that arrays of these shapes have when they are stretched to each other."""
    numbers = [known_int(s) for shape in shapes for s in as_sizes(shape)]
    if any(n is not None and n < 0 for n in numbers):
        raise ShapeError("broadcast_shapes: a size is negative.")
    return broadcast_shape(*shapes, arrays_are_shapes=True)


def broadcast_arrays(*arrays: Any) -> tuple[Variable, ...]:
    """The arrays stretched to each other: all get one shape."""
    sizes = broadcast_shape(*arrays)
    return tuple(broadcast_to(a, sizes) for a in arrays)


# --- turning and rolling -----------------------------------------------------------------


def flip(x: Any, axis: Axes = None) -> Variable:
    """`x` with the elements in reversed order along the named axes, or all."""
    x = as_variable(x)
    turned = _axes(axis, x.ndim)
    if not turned:
        return x
    return index(
        x, tuple(slice(None, None, -1 if i in turned else 1) for i in range(x.ndim))
    )


def fliplr(x: Any) -> Variable:
    """`x` with its columns in reversed order."""
    return flip(_with_axes(x, 2, "fliplr"), 1)


def flipud(x: Any) -> Variable:
    """`x` with its rows in reversed order."""
    return flip(_with_axes(x, 1, "flipud"), 0)


def _with_axes(x: Any, rank: int, function: str) -> Variable:
    x = as_variable(x)
    if x.ndim < rank:
        raise ShapeError(
            f"{function}: {x.label()} has {x.ndim} axes; it needs {rank} at least."
        )
    return x


def rot90(x: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Variable:
    """`x` turned `k` times by a right angle, from the first of two axes towards the second."""
    x = _with_axes(x, 2, "rot90")
    if len(axes) != 2:
        raise ShapeError(f"rot90 turns in a plane of two axes, got {tuple(axes)}.")
    a, b = _axes(axes, x.ndim)
    match k % 4:
        case 1:
            return swapaxes(flip(x, b), a, b)
        case 2:
            return flip(x, (a, b))
        case 3:
            return flip(swapaxes(x, a, b), b)
    return x


def roll(x: Any, shift: Any, axis: Axes = None) -> Variable:
    """`x` with its elements moved on by `shift` places; what leaves at the end enters in front.

    Several axes are rolled by a shift each, or all by one; without axis the elements in
    row-major order. A shift may be a scalar variable.
    """
    x = as_variable(x)
    if axis is None:
        return reshape(roll(flatten(x), shift, 0), sizes_of(x))
    one = isinstance(axis, int | np.integer)
    axes = [normal_axis(a, x.ndim) for a in ((axis,) if one else axis)]  # type: ignore[union-attr]
    shifts = as_sizes(shift)
    if 1 not in (len(axes), len(shifts)) and len(axes) != len(shifts):
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes.")
    count = max(len(axes), len(shifts)) if axes and shifts else 0
    for i in range(count):
        x = _rolled(x, shifts[i % len(shifts)], axes[i % len(axes)])
    return x


def _rolled(x: Variable, shift: Variable, axis: int) -> Variable:
    size, known = sizes_of(x)[axis], known_int(shift)
    if isinstance(size, int) and known is not None:
        first = size - known % size if size else 0
        head = entries(x, slice(None, first), axis)
        return concatenate([entries(x, slice(first, None), axis), head], axis)
    # A gather has the size of x for certain, and the loops that read it take it in.
    moved = ew.mod(shift, ew.maximum(size, 1))
    place = ARange()(size_variable(0), size_variable(size), size_variable(1))
    source = ew.sub(place, moved)
    return entries(x, ew.switch(ew.lt(source, 0), ew.add(source, size), source), axis)


def _integer(value: Any, function: str) -> Variable:
    number = as_variable(value)
    if kind(number.dtype) not in "iub":
        raise DTypeError(
            f"{function}: {number.label()} is {number.type}; it must be an integer."
        )
    return cast(number, "int64")


# --- repeating ---------------------------------------------------------------------------


def entries(x: Variable, places: Any, axis: int) -> Variable:
    """The entries at `places`, an index of any kind, along an axis counted from the front."""
    return index(x, (*(slice(None),) * axis, places))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """Each element, or each entry along `axis`, `repeats` times in a row.

    `repeats` is a number, or a vector that says how often for each entry; either may be a
    variable. Without axis the elements are taken in row-major order.

    Raises
    ------
    ShapeError
        A number of repeats is negative, or there is not one for each entry.
    """
    x, times = as_variable(x), _integer(repeats, "repeat")
    if axis is None or not x.ndim:
        x, axis = flatten(x), axis or 0
    at = normal_axis(axis, x.ndim)
    if times.ndim > 1:
        raise ShapeError("repeat: the numbers of repeats must be one or a vector.")
    if times.ndim == 1 and times.type.shape[0] != 1:
        sizes: list[Any] = [None] * x.ndim
        sizes[at] = sizes_of(times)[0]
        return entries(specify_shape(x, sizes), RepeatedPlaces()(times), at)
    value = known_value(times)
    one = dimshuffle(times) if value is None else as_variable(value.reshape(()))
    return _each_repeated(x, one, at)


def _each_repeated(x: Variable, times: Variable, axis: int) -> Variable:
    known = known_int(times)
    if known is not None and known < 0:
        raise ShapeError(f"repeat: the number of repeats is negative, {known}.")
    sizes = sizes_of(x)
    order = [*range(axis + 1), "x", *range(axis + 1, x.ndim)]
    stretched = broadcast_to(
        dimshuffle(x, *order), (*sizes[: axis + 1], times, *sizes[axis + 1 :])
    )
    length = product_size([sizes[axis], known_size(times)])
    return reshape(stretched, (*sizes[:axis], length, *sizes[axis + 1 :]))


def tile(x: Any, reps: Any, ndim: int | None = None) -> Variable:
    """`x` beside copies of itself, `reps` times along each axis.

    Parameters
    ----------
    reps
        A number for the last axis, or one for each of the last axes; variables are allowed,
        a vector as well.
    ndim
        How many axes the result has. Needed where `reps` is a vector of unknown length.

    Raises
    ------
    ShapeError
        A number of repeats is negative, or `ndim` is too small.
    """
    x = as_variable(x)
    if isinstance(reps, Variable) and reps.ndim == 1 and reps.type.shape[0] is None:
        if ndim is None:
            raise ShapeError(
                f"tile: the length of {reps.label()} is not known; give ndim=."
            )
        reps = [index(reps, i) for i in range(ndim)]
    times = list(as_sizes(reps))
    rank = max(x.ndim, len(times)) if ndim is None else ndim
    if rank < max(x.ndim, len(times)):
        raise ShapeError(
            f"tile: ndim={ndim}, but {x.label()} has {x.ndim} axes and reps {len(times)} entries."
        )
    x = shape_padleft(x, rank - x.ndim)
    times = [size_variable(1)] * (rank - len(times)) + times
    return _tiled(x, [known_size(t) for t in times])


def _tiled(x: Variable, times: Sequence[Size]) -> Variable:
    if any(isinstance(t, int) and t < 0 for t in times):
        raise ShapeError(f"tile: a number of repeats is negative: {list(times)}.")
    sizes = sizes_of(x)
    order: list[int | str] = []
    wide: list[Size] = []
    for axis, (size, count) in enumerate(zip(sizes, times, strict=True)):
        order += ["x", axis]
        wide += [count, size]
    stretched = broadcast_to(dimshuffle(x, *order), wide)
    return reshape(
        stretched,
        [product_size([s, t]) for s, t in zip(sizes, times, strict=True)],
    )
