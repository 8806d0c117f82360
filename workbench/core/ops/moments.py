"""Counts, means, variances and norms along axes, made of sums.

Nothing here is an op: every function is an expression, whose loops are fused with what
surrounds them. Integers and bools are averaged in floatX.

Read next: :mod:`workbench.core.ops.slicing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import ParameterError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import eq, neq, sqr, switch, true_div
from workbench.core.ops.mathematics import pow, sqrt
from workbench.core.ops.reduction import (
    Axes,
    Sum,
    chosen,
    max,
    min,
    normal_axes,
    reduced,
    sum,
)
from workbench.core.ops.shape import product_size, size_variable, sizes_of
from workbench.core.ops.ufunc import as_float, cast, kind


def count(x: Variable, axes: Sequence[int], dtype: str) -> Variable:
    """The number of elements along `axes`, a scalar of `dtype`."""
    sizes = sizes_of(x)
    return cast(size_variable(product_size([sizes[a] for a in axes])), dtype)


def count_nonzero(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Variable:
    """How many elements along `axis` differ from 0, int64; NaN does."""
    return sum(neq(x, 0), axis, "int64", keepdims)


def _counted(
    x: Variable, axes: Sequence[int], where: Any, dtype: str, keepdims: bool
) -> Variable:
    """The number of elements along `axes` that a mask leaves."""
    if where is None:
        return count(x, axes, dtype)
    ones = ew.fill(x, as_variable(1, "int64"))
    return cast(reduced(Sum(tuple(axes)), chosen(where, ones, 0), keepdims), dtype)


def _named(dtype: Any) -> str | None:
    """The name of a dtype given in any way; None for none."""
    if dtype is None or dtype == "floatX":
        return dtype and config.floatX
    return np.dtype(dtype).name


def strict_axes(axis: Axes, rank: int) -> tuple[int, ...]:
    """As :func:`normal_axes`; but a scalar has no axis 0 here, as in NumPy."""
    many = axis is None or isinstance(axis, list | tuple)
    return normal_axes(axis if many else (axis,), rank)  # type: ignore[arg-type]


def mean(
    x: Any,
    axis: Axes = None,
    dtype: Any = None,
    keepdims: bool = False,
    acc_dtype: Any = None,
    *,
    where: Any = None,
) -> Variable:
    """The mean along `axis`: the sum divided by the number of elements, NaN for none.

    Integers and bools are averaged in floatX; float16 by way of float32, since its sum
    and the number of elements may exceed 65504. `dtype` is that of the result,
    `acc_dtype` that of the sum, `where` a mask of the elements that count.
    """
    x = as_variable(x)
    result = _named(dtype) or (x.dtype if x.type.is_float else config.floatX)
    inner = acc_dtype or ("float32" if result == "float16" else result)
    axes = strict_axes(axis, x.ndim)
    total = reduced(Sum(axes), chosen(where, cast(x, inner), 0), keepdims)
    number = _counted(x, axes, where, total.dtype, keepdims)
    return cast(true_div(total, number), result)


def var(
    x: Any,
    axis: Axes = None,
    ddof: Any = 0,
    keepdims: bool = False,
    corrected: bool = False,
    *,
    dtype: Any = None,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Variable:
    """The variance along `axis`: the mean squared distance from the mean, over n - `ddof`.

    Not a number, or infinite, when there are no more than `ddof` elements. Of complex
    numbers the squared absolute distance is taken, so that the result is real.

    Parameters
    ----------
    ddof
        How many degrees of freedom are lost. A dtype may stand here, too, as in NumPy.
    corrected
        Take from the squares what rounding left in the sum of the distances, which would
        be 0 without it.
    dtype
        In which to compute; by default floatX for integers and bools.
    where
        A mask of the elements that count.
    mean
        The mean where it is known, with the axes kept as size 1.
    correction
        Another name for `ddof`.

    Raises
    ------
    ParameterError
        Both `ddof` and `correction` are given.

    References
    ----------
    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, eq. 1.7.
    """
    x = as_variable(x)
    axes = strict_axes(axis, x.ndim)
    ddof, dtype = ddof_and_dtype(ddof, dtype)
    lost = _lost(ddof, correction)
    result = _variance(
        cast(x, _named(dtype) or (x.dtype if x.type.is_float else config.floatX)),
        axes, lost, keepdims, corrected, where, mean,
    )  # fmt: skip
    if dtype is not None and kind(_named(dtype) or "") == "c":
        return cast(result, dtype)
    return result


def ddof_and_dtype(ddof: Any, dtype: Any) -> tuple[Any, Any]:
    """Both, where a dtype may stand in the place of `ddof` as NumPy has it third."""
    if ddof is None or isinstance(ddof, str | type | np.dtype):
        return 0, dtype if ddof is None else ddof
    return ddof, dtype


def _lost(ddof: Any, correction: Any) -> Any:
    """How many degrees of freedom are lost, under either name."""
    if correction is None:
        return ddof
    if not _is_zero(ddof):
        raise ParameterError("give ddof or correction, not both: they are one thing.")
    return correction


def _variance(
    x: Variable,
    axes: tuple[int, ...],
    ddof: Any,
    keepdims: bool,
    corrected: bool,
    where: Any,
    middle: Any,
) -> Variable:
    """The variance of floats."""
    if x.dtype == "float16":
        wide = cast(x, "float32")
        found = _variance(wide, axes, ddof, keepdims, corrected, where, middle)
        return cast(found, "float16")
    if middle is None:
        middle = mean(x, axes, keepdims=True, where=where)
    distance = chosen(where, ew.sub(x, middle), 0)
    squares = sqr(ew.abs(distance) if kind(x.dtype) == "c" else distance)
    total = reduced(Sum(axes), squares, keepdims)
    number = _counted(x, axes, where, total.dtype, keepdims)
    if corrected:
        left = reduced(Sum(axes), distance, keepdims)
        left = sqr(ew.abs(left) if kind(x.dtype) == "c" else left)
        total = ew.sub(total, true_div(left, number))
    freedom = number if _is_zero(ddof) else ew.maximum(ew.sub(number, ddof), 0)
    return true_div(total, freedom)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and value == 0


def std(
    x: Any,
    axis: Axes = None,
    ddof: Any = 0,
    keepdims: bool = False,
    corrected: bool = False,
    *,
    dtype: Any = None,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Variable:
    """The standard deviation along `axis`, the root of :func:`var`."""
    options = {"dtype": dtype, "where": where, "mean": mean, "correction": correction}
    return sqrt(var(x, axis, ddof, keepdims, corrected, **options))


def ptp(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The largest element along `axis` less the smallest; integers wrap as in NumPy."""
    return ew.sub(max(x, axis, keepdims), min(x, axis, keepdims))


def norm(x: Any, L: Any = 2, axis: Axes = None, keepdims: bool = False) -> Variable:
    """(sum |x|^L)^(1/L) along `axis`, all axes by default, as a vector of its elements.

    `L` may be inf (the largest magnitude), -inf (the smallest), or 0 (how many differ from 0).
    The gradient of the norm of order 2 is taken as 0 where all elements are 0.

    Examples
    --------
    >>> norm([3.0, -4.0]).eval()
    array(5.)
    """
    x = as_variable(x)
    size = ew.abs(as_float(x))
    if isinstance(L, int | float) and L in (np.inf, -np.inf):
        return (max if L > 0 else min)(size, axis, keepdims)
    if _is_zero(L):
        return cast(count_nonzero(x, axis, keepdims=keepdims), size.dtype)
    if isinstance(L, int | float) and L == 1:
        return sum(size, axis, keepdims=keepdims)
    if isinstance(L, int | float) and L == 2:
        total = sum(sqr(size), axis, keepdims=keepdims)
        zero = eq(total, 0)
        return switch(zero, total, sqrt(switch(zero, 1, total)))
    return pow(sum(pow(size, L), axis, keepdims=keepdims), true_div(1, L))


__all__ = ["count_nonzero", "mean", "norm", "ptp", "std", "var"]
