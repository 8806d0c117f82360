"""Numbers that say places: checked, joined to one number and parted again; the diagonal.

Read next: :mod:`workbench.core.ops.indexing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, PlaceError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes, known_value
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import arange
from workbench.core.ops.shape import (
    as_sizes,
    product_size,
    ravel,
    reshape,
    size_variable,
    sizes_of,
    specify_shape,
)
from workbench.core.ops.subscript import as_index, index, set_subtensor
from workbench.core.ops.ufunc import cast, kind
from workbench.core.types import Array, TensorType


class Within(Opaque):
    """The first input, int64, after the check that all of it is at least 0 and below the second."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the first input."""
        return [inputs[0].type]

    def reference(self, places: Array, size: Array) -> Array:
        """The places themselves."""
        bad = places[(places < 0) | (places >= size)]
        if bad.size:
            raise PlaceError(
                f"{int(bad.flat[0])} names no place: there are {int(size)}, counted from 0."
            )
        return places

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None, None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False, False]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the first input."""
        return [tuple(shapes[0])]


def as_places(places: Any) -> Variable:
    """Places, which may be bools, as int64.

    Raises
    ------
    DTypeError
        They are no integers.
    """
    variable = as_index(places)
    if kind(variable.dtype) not in "iub":
        raise DTypeError(
            f"{variable.label()} is {variable.type} and names no places; "
            "use T.cast(places, 'int64')."
        )
    return cast(variable, "int64")


def bounded(places: Variable, size: Size, mode: str) -> Variable:
    """Places from 0 on: checked, counted around, or moved to the nearer end, as `mode` says.

    Raises
    ------
    ValueError
        `mode` is none of ``"raise"``, ``"wrap"`` and ``"clip"``.
    """
    match mode:
        case "raise":
            return Within()(places, size_variable(size))
        case "wrap":
            return ew.mod(places, size)
        case "clip":
            return ew.clip(places, 0, ew.sub(size_variable(size), 1))
        case _:
            raise ValueError(f"mode must be 'raise', 'wrap' or 'clip', not {mode!r}.")


# --- what users call ---------------------------------------------------------------------


def ravel_multi_index(
    multi_index: Any, dims: Any, mode: str | Sequence[str] = "raise", order: str = "C"
) -> Variable:
    """The places in a flattened array of shape `dims`, for a place along each axis.

    Parameters
    ----------
    multi_index
        Integer arrays that broadcast, one an axis; or one array that holds them along its
        first axis.
    dims
        The sizes of the array.
    mode
        For places outside, of all axes or of each: ``"raise"``, ``"wrap"`` or ``"clip"``.
    order : {"C", "F"}
        Whether the last or the first axis counts fastest.

    Raises
    ------
    PlaceError
        A place is negative or not below its size, with ``"raise"``.
    ShapeError
        There are not as many arrays as sizes.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> T.ravel_multi_index(([1, 0], [2, 3]), (3, 4)).eval()
    array([6, 3])
    """
    sizes, is_c = as_sizes(dims), _is_c(order)
    if isinstance(multi_index, list | tuple):
        arrays = list(multi_index)
    else:
        rows = as_variable(multi_index)
        rows = specify_shape(rows, [len(sizes), *[None] * (rows.ndim - 1)])
        arrays = [index(rows, axis) for axis in range(len(sizes))]
    modes = [mode] * len(sizes) if isinstance(mode, str) else list(mode)
    if not len(arrays) == len(sizes) == len(modes):
        raise ShapeError(
            f"ravel_multi_index: {len(arrays)} arrays and {len(modes)} modes for {len(sizes)} axes."
        )
    axes = [
        (bounded(as_places(places), size, how), size)
        for places, size, how in zip(arrays, sizes, modes, strict=True)
    ]
    total: Variable | None = None
    for places, size in axes if is_c else reversed(axes):
        total = places if total is None else ew.add(ew.mul(total, size), places)
    if total is None:
        raise ShapeError("ravel_multi_index needs at least one axis.")
    return total


def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Variable, ...]:
    """The place along each axis of an array of `shape`, for places in the flattened array.

    Raises
    ------
    PlaceError
        A place is negative, or there are not as many elements.
    """
    sizes, places = as_sizes(shape), as_places(indices)
    known = known_value(places)
    if not sizes and known is not None and np.any(known != 0):
        raise PlaceError(f"{known} names no place of a scalar, which has one: 0.")
    rest = bounded(places, product_size(sizes), "raise")
    found: list[Variable] = []
    for size in reversed(sizes) if _is_c(order) else sizes:
        found.append(ew.mod(rest, size))
        rest = ew.floor_div(rest, size)
    return tuple(reversed(found) if _is_c(order) else found)


def _is_c(order: str) -> bool:
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}.")
    return order == "C"


def cycled(values: Any, length: Size) -> Variable:
    """The flattened values, from the start again as often as `length` needs."""
    flat = ravel(as_variable(values))
    return index(flat, ew.mod(arange(length), sizes_of(flat)[0]))


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> Variable:
    """`a` with `val` on its main diagonal, where all places are equal.

    Parameters
    ----------
    a
        At least two axes; of equal sizes when there are more.
    val
        A scalar, or an array whose elements are set in turn, from the start again.
    wrap
        Go on behind the end of the diagonal of a tall matrix, after one row is left out.

    Raises
    ------
    ShapeError
        `a` has less than two axes, or more and of different sizes.
    """
    a = as_variable(a)
    if a.ndim < 2:
        raise ShapeError(
            f"fill_diagonal needs at least 2 axes, {a.label()} has {a.ndim}."
        )
    stop: Size | None = None
    if a.ndim == 2:
        columns = size_variable(sizes_of(a)[1])
        step = ew.add(columns, 1)
        stop = None if wrap else ew.mul(columns, columns)
    else:
        size = size_variable(sizes_of(a)[0])
        a = specify_shape(a, [None, *[size] * (a.ndim - 1)])
        step = as_variable(1)
        for _ in range(a.ndim - 1):
            step = ew.add(ew.mul(step, size), 1)
    return _with_strided(a, slice(None, stop, step), val)


def fill_diagonal_offset(a: Any, val: Any, offset: Any) -> Variable:
    """A matrix with `val` on the diagonal that lies `offset` to the right of the main one.

    A negative offset is one to the left, or below; behind the last diagonal nothing is set.
    """
    a = as_variable(a)
    if a.ndim != 2:
        raise ShapeError(
            f"fill_diagonal_offset needs a matrix, {a.label()} has {a.ndim} axes."
        )
    rows, columns = map(size_variable, sizes_of(a))
    right, down = ew.maximum(offset, 0), ew.maximum(ew.neg(as_variable(offset)), 0)
    length = ew.minimum(ew.sub(rows, down), ew.sub(columns, right))
    start = ew.add(right, ew.mul(down, columns))
    step = ew.add(columns, 1)
    stop = ew.add(start, ew.mul(ew.maximum(length, 0), step))
    return _with_strided(a, slice(start, stop, step), val)


def _with_strided(a: Variable, places: slice, values: Any) -> Variable:
    """`a` with values at places of its flattened elements."""
    flat = reshape(a, (-1,))
    view = index(flat, places)
    values = as_variable(values, None if isinstance(values, Variable) else a.dtype)
    if 0 in values.type.shape:
        return a
    if values.ndim:
        values = cycled(values, sizes_of(view)[0])
    return reshape(set_subtensor(view, values), sizes_of(a))


def slice_at_axis(sl: slice, axis: int) -> tuple[Any, ...]:
    """The key that takes the slice `sl` along `axis`, and everything along the others.

    Examples
    --------
    >>> slice_at_axis(slice(1, 3), 1)
    (slice(None, None, None), slice(1, 3, None), Ellipsis)
    """
    everything = slice(None)
    if axis >= 0:
        return (*[everything] * axis, sl, ...)
    return (..., sl, *[everything] * (-axis - 1))


def sparse_grad(x: Any) -> Variable:
    """`x[places]` itself: its gradient adds to the rows in question and never needs a sparse type."""
    return as_variable(x)
