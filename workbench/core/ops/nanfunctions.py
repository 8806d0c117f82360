"""Reductions that leave NaN out: each masks the elements that are NaN.

For integers and bools they are the ordinary reductions.

Read next: :mod:`workbench.core.operators`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import moments, reduction
from workbench.core.ops.checks import AssertValue
from workbench.core.ops.elementwise import (
    add,
    and_,
    eq,
    floor_div,
    invert,
    isnan,
    maximum,
    sub,
    switch,
    true_div,
)
from workbench.core.ops.indexing import take_along_axis
from workbench.core.ops.mathematics import sqrt
from workbench.core.ops.padding import pad
from workbench.core.ops.quantiles import median
from workbench.core.ops.reduction import Axes, as_mask, joined, keep, normal_axes
from workbench.core.ops.running import cumprod, cumsum
from workbench.core.ops.shape import expand_dims, squeeze
from workbench.core.ops.sorting import sort
from workbench.core.ops.ufunc import cast, kind


def _present(x: Variable, where: Any = None) -> Any:
    """Where `x` is a number and a mask holds; the mask alone where `x` always is one."""
    if not x.type.is_float:
        return where
    present, mask = invert(isnan(x)), as_mask(where)
    return present if mask is None else and_(present, mask)


def nansum(
    x: Any,
    axis: Axes = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The sum along `axis` of what is not NaN, 0 when nothing is left."""
    x = as_variable(x)
    present = _present(x, where)
    return reduction.sum(x, axis, dtype, keepdims, initial=initial, where=present)


def nanprod(
    x: Any,
    axis: Axes = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The product along `axis` of what is not NaN, 1 when nothing is left."""
    x = as_variable(x)
    present = _present(x, where)
    return reduction.prod(x, axis, dtype, keepdims, initial=initial, where=present)


def nanmean(
    x: Any,
    axis: Axes = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    where: Any = None,
) -> Variable:
    """The mean along `axis` of what is not NaN, NaN when nothing is left."""
    x = as_variable(x)
    axis = _float_axes(x, axis, dtype)
    return moments.mean(x, axis, dtype, keepdims, where=_present(x, where))


def nanvar(
    x: Any,
    axis: Axes = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    dtype: Any = None,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Variable:
    """The variance along `axis` of what is not NaN; NaN when no more than `ddof` is left."""
    x = as_variable(x)
    ddof, dtype = moments.ddof_and_dtype(ddof, dtype)
    axis = _float_axes(x, axis, dtype)
    present = _present(x, where)
    options = {"dtype": dtype, "mean": mean, "correction": correction}
    result = moments.var(x, axis, ddof, keepdims, where=present, **options)
    if not x.type.is_float:
        return result
    left = reduction.sum(present, axis, "int64", keepdims)
    lost = ddof if correction is None else correction
    return switch(left > lost, result, np.nan)


def nanstd(
    x: Any,
    axis: Axes = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    dtype: Any = None,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Variable:
    """The root of :func:`nanvar`."""
    options = {"dtype": dtype, "where": where, "mean": mean, "correction": correction}
    return sqrt(nanvar(x, axis, ddof, keepdims, **options))


def _float_axes(x: Variable, axis: Axes, dtype: Any) -> Axes:
    """The axes of floats, where a scalar may be asked for its axis 0; others as they are.

    Raises
    ------
    DTypeError
        Floats are to be averaged as integers.
    """
    if not x.type.is_float:
        return axis
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise DTypeError(f"{x.type} has NaN, which {dtype} does not.")
    return normal_axes(axis, x.ndim)


def _extreme(
    find: Callable[..., Variable],
    start: float,
    x: Any,
    axis: Axes,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Variable:
    x = as_variable(x)
    if not x.type.is_float:
        return find(x, axis, keepdims, initial=initial, where=where)
    if initial is not None:
        return find(x, axis, keepdims, initial=initial, where=_present(x, where))
    if as_mask(where) is not None:  # an error
        return find(x, axis, keepdims, where=where)
    present = _present(x)
    number = complex(start, start) if kind(x.dtype) == "c" else start
    found = find(switch(present, x, number), axis, keepdims)
    return switch(reduction.any(present, axis, keepdims), found, np.nan)


def nanmax(
    x: Any,
    axis: Axes = None,
    keepdims: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The largest element along `axis` that is not NaN; NaN when all are; an error over nothing.

    `initial` and `where` are as for :func:`~workbench.tensor.max`.
    """
    return _extreme(reduction.max, -np.inf, x, axis, keepdims, initial, where)


def nanmin(
    x: Any,
    axis: Axes = None,
    keepdims: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The smallest element along `axis` that is not NaN; otherwise as :func:`nanmax`."""
    return _extreme(reduction.min, np.inf, x, axis, keepdims, initial, where)


def _arg_extreme(
    find: Callable[..., Variable], start: float, x: Any, axis: Axes, keepdims: bool
) -> Variable:
    x = as_variable(x)
    if not x.type.is_float:
        return find(x, axis, keepdims)
    present = _present(x)
    place = find(switch(present, x, start), axis, keepdims)
    some = reduction.any(present, axis, keepdims)
    return AssertValue("every slice has an element that is not NaN")(place, some)


def nanargmax(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Where the largest element along `axis` that is not NaN stands, int64.

    As in NumPy a NaN counts as minus infinity.

    Raises
    ------
    ParameterError
        A slice holds nothing but NaN, when the value is computed.

    Examples
    --------
    >>> nanargmax([1.0, float("nan"), 3.0]).eval()
    array(2)
    """
    return _arg_extreme(reduction.argmax, -np.inf, x, axis, keepdims)


def nanargmin(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Where the smallest element that is not NaN stands; otherwise as :func:`nanargmax`."""
    return _arg_extreme(reduction.argmin, np.inf, x, axis, keepdims)


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """The running sums along `axis` with 0 for NaN; flattened without axis."""
    return cumsum(_without(as_variable(x), 0), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """The running products along `axis` with 1 for NaN; flattened without axis."""
    return cumprod(_without(as_variable(x), 1), axis, dtype)


def _without(x: Variable, number: int) -> Variable:
    """`x` with a number in the place of NaN."""
    return switch(isnan(x), number, x) if x.type.is_float else x


def nanmedian(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The :func:`~workbench.tensor.median` along `axis` of what is not NaN; NaN for nothing.

    Examples
    --------
    >>> nanmedian([5.0, float("nan"), 1.0]).eval()
    array(3.)
    """
    x = as_variable(x)
    if not x.type.is_float:
        return median(x, axis, keepdims)
    axes = moments.strict_axes(axis, x.ndim)
    # One NaN more for each row: it is what stands first in a row of nothing.
    rows = sort(pad(joined(x, axes), _one_behind(x, axes), constant_values=np.nan), -1)
    number = maximum(reduction.sum(invert(isnan(rows)), -1, "int64"), 1)
    first, second = floor_div(sub(number, 1), 2), floor_div(number, 2)
    a, b = (
        squeeze(take_along_axis(rows, expand_dims(place, -1), -1), -1)
        for place in (first, second)
    )
    wide = "float32" if x.dtype == "float16" else x.dtype
    both = cast(true_div(add(cast(a, wide), cast(b, wide)), 2), x.dtype)
    middle = add(switch(eq(first, second), a, both), 0)  # a mean is never -0
    return keep(middle, x.ndim, axes) if keepdims else middle


def _one_behind(x: Variable, axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """How to pad rows of `x` along `axes`: by one element at the end."""
    return [(0, 0)] * (x.ndim - len(axes)) + [(0, 1)]


__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian",
    "nanmin", "nanprod", "nanstd", "nansum", "nanvar",
]  # fmt: skip
