"""New entries between those of an axis.

Nothing here is an op: what is inserted stands behind, and sorting by place moves it to where
it belongs.

Read next: :mod:`workbench.core.ops.quantiles`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.errors import IndexKindError, OutOfRangeError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_value
from workbench.core.ops.checks import AssertPlace
from workbench.core.ops.creation import arange
from workbench.core.ops.elementwise import add, and_, ge, le, lt, neg, switch
from workbench.core.ops.indexing import take
from workbench.core.ops.joining import concatenate
from workbench.core.ops.masks import flatnonzero
from workbench.core.ops.rearrange import moveaxis
from workbench.core.ops.shape import (
    broadcast_to,
    flatten,
    normal_axis,
    size_variable,
    sizes_of,
)
from workbench.core.ops.sorting import argsort
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast, kind, pad_left


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Variable:
    """`arr` with `values` put before the entries at `obj` along an axis, or flattened.

    Parameters
    ----------
    obj
        A place from 0 to the size of the axis, or counted from the end if negative; a
        slice, a vector of places, or a mask. Places are those in `arr` as it was.
    values
        In the dtype of `arr`; stretched to one entry for each place.

    Raises
    ------
    OutOfRangeError
        A place lies outside; when run where places or sizes are not known.
    IndexKindError
        Places are no integers.
    ShapeError
        There are more axes of places than one, or values do not fit.

    Examples
    --------
    >>> insert([1, 2, 3], [0, 2], [7, 8]).eval()
    array([7, 1, 2, 8, 3])
    """
    x = as_variable(arr)
    if axis is None:
        x, axis = flatten(x), 0
    place = normal_axis(axis, x.ndim)
    size = sizes_of(x)[place]
    at = _places(obj, size)
    new = values if isinstance(values, Variable) else as_variable(values, x.dtype)
    if new.ndim > x.ndim:
        raise ShapeError(
            f"insert: {new.type} has more axes than {x.label()}: {x.type}."
        )
    new = pad_left(cast(new, x.dtype), x.ndim)
    if at.ndim == 0:
        new = moveaxis(new, 0, place)
    if at.ndim == 0 or at.type.shape[0] == 1:  # one place, for as many as there are
        at = broadcast_to(at, (sizes_of(new)[place],))
    sizes = list(sizes_of(x))
    sizes[place] = sizes_of(at)[0]
    new = broadcast_to(new, [size_variable(s) for s in sizes])
    order = argsort(concatenate([at, arange(size)]), kind="stable")
    return take(concatenate([new, x], place), order, place)


def _places(obj: Any, size: Size) -> Variable:
    """The places that `obj` names, int64, counted from the front."""
    if isinstance(obj, slice):
        return index(arange(size), obj)
    at = as_variable(np.zeros(0, "int64") if isinstance(obj, list) and not obj else obj)
    if at.ndim > 1:
        raise ShapeError(f"insert: places are a number or a vector, got {at.type}.")
    if at.dtype == "bool":
        if at.ndim == 0:
            raise ShapeError("insert: a mask is a vector, not a single bool.")
        return flatnonzero(at)
    if kind(at.dtype) not in "iu":
        raise IndexKindError(
            f"insert: places are integers, got {at.label()}: {at.type}."
        )
    at = cast(at, "int64")
    known = known_value(at)
    if known is None or not isinstance(size, int):
        inside = and_(ge(at, neg(size)), le(at, size))
        at = AssertPlace("a place to insert lies inside")(at, inside)
    elif not np.all((-size <= known) & (known <= size)):
        raise OutOfRangeError(f"insert: {known} lies outside an axis of {size}.")
    return switch(lt(at, 0), add(at, size), at)


__all__ = ["insert"]
