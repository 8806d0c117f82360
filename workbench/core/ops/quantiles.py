"""Medians and quantiles: what stands at a place among the sorted elements.

Nothing here is an op: a median sorts and takes the middle, so that its gradient goes to the
elements in the middle.

Read next: :mod:`workbench.core.ops.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import known_value
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import add, eq, ge, mul, sub, switch, true_div
from workbench.core.ops.indexing import take, take_along_axis
from workbench.core.ops.joining import concatenate
from workbench.core.ops.moments import mean, strict_axes
from workbench.core.ops.reduction import Axes, joined, keep, sum
from workbench.core.ops.rounding import round
from workbench.core.ops.shape import (
    broadcast_to,
    dimshuffle,
    product_size,
    reshape,
    size_variable,
    sizes_of,
)
from workbench.core.ops.sorting import sort
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import as_float, cast, kind


def median(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The middle of the sorted elements along `axis`, or the mean of the middle two.

    NaN where one of them is NaN, or where there is none. Integers and bools give floatX.
    The gradient goes to the one or two elements in the middle.

    Examples
    --------
    >>> median([5.0, 1.0, 2.0, 4.0]).eval()
    array(3.)
    """
    x = as_variable(x)
    axes = strict_axes(axis, x.ndim)
    rows = sort(joined(x, axes), -1)
    n = size_variable(sizes_of(rows)[-1])
    first, last = ew.floor_div(sub(n, 1), 2), ew.floor_div(n, 2)
    middle = mean(index(rows, (..., slice(first, add(last, 1)))), -1)
    if x.type.is_float:  # NaN stands last
        end = sum(index(rows, (..., slice(-1, None))), -1)
        middle = switch(ew.isnan(end), end, middle)
    return keep(middle, x.ndim, axes) if keepdims else middle


def quantile(
    x: Any,
    q: Any,
    axis: Axes = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Variable:
    """Below which value a fraction `q` of the elements along `axis` lies.

    Parameters
    ----------
    q
        Between 0 and 1: a number, or an array of them, whose axes come first in the result.
    method
        Between which of two neighbours in sorted order to choose, and how: one of NumPy's
        thirteen. For ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` and
        ``"nearest"`` the place is q (n - 1), counted from 0; the others place it in other
        ways.

    Raises
    ------
    ShapeError
        A constant `q` lies outside 0 to 1, or the method is not known.
    DTypeError
        `x` is bool or complex.

    Notes
    -----
    NaN where one of the elements is NaN, or where a `q` known only at run time lies outside
    0 to 1. Integers are joined as floats, so that unlike NumPy's their differences do not
    wrap. A gradient reaches the elements, and with ``"linear"`` also `q`.

    References
    ----------
    Hyndman and Fan (1996), Sample quantiles in statistical packages.

    Examples
    --------
    >>> quantile([4.0, 1.0, 3.0, 2.0], [0.5, 1.0]).eval()
    array([2.5, 4. ])
    """
    return _quantile(as_variable(x), q, axis, method, keepdims, skips=False)


def nanquantile(
    x: Any,
    q: Any,
    axis: Axes = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Variable:
    """The :func:`quantile` along `axis` of what is not NaN; NaN for nothing.

    Examples
    --------
    >>> nanquantile([4.0, float("nan"), 2.0], 0.5).eval()
    array(3.)
    """
    return _quantile(as_variable(x), q, axis, method, keepdims, skips=True)


def _quantile(
    x: Variable, q: Any, axis: Axes, method: str, keepdims: bool, skips: bool
) -> Variable:
    """What both are; `skips` says that NaN is left out."""
    if kind(x.dtype) in "bc":
        raise DTypeError(f"quantile is not defined for {x.label()}: {x.type}.")
    if method not in METHODS:
        raise ShapeError(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    fractions = _fractions(q, x)
    if fractions.dtype == "int64":
        method = "lower" if method == "linear" else method
        fractions = cast(fractions, x.dtype if x.type.is_float else config.floatX)
    axes = strict_axes(axis, x.ndim)
    find = _of_numbers if skips and x.type.is_float else _of_all
    found = find(joined(x, axes), fractions, method)
    if known_value(as_variable(q)) is None:
        outside = _widened(ew.isnan(fractions), found.ndim - fractions.ndim)
        found = switch(outside, np.nan, as_float(found))
    return _kept(found, fractions.ndim, axes, x.ndim) if keepdims else found


def _of_all(rows: Variable, q: Variable, method: str) -> Variable:
    """Quantiles of rows, NaN where one of the elements is NaN."""
    rows = sort(rows, -1)
    n = cast(size_variable(sizes_of(rows)[-1]), q.dtype)
    found = _between(lambda places: _standing(rows, places), q, n, method)
    if not rows.type.is_float:
        return found
    last = take(rows, -1, -1)
    last = dimshuffle(last, *["x"] * q.ndim, *range(last.ndim))
    return switch(ew.isnan(last), cast(last, found.dtype), found)


def _of_numbers(rows: Variable, q: Variable, method: str) -> Variable:
    """Quantiles of what is not NaN in rows of floats."""
    n = cast(sum(ew.invert(ew.isnan(rows)), -1), q.dtype)
    sizes = [size_variable(s) for s in sizes_of(rows)]
    nothing = broadcast_to(as_variable(np.nan, rows.dtype), [*sizes[:-1], 1])
    # One NaN more is what stands last in a row of nothing, too.
    rows = sort(concatenate([rows, nothing], -1), -1)
    return _between(
        lambda places: _standing_each(rows, places),
        _widened(q, rows.ndim - 1),
        n,
        method,
    )


def _kept(found: Variable, front: int, axes: Sequence[int], rank: int) -> Variable:
    """`found` with an axis of size 1 where each of `axes` was, behind the first `front`."""
    others = iter(range(front, found.ndim))
    order = ["x" if i in axes else next(others) for i in range(rank)]
    return dimshuffle(found, *range(front), *order)


def _widened(x: Variable, more: int) -> Variable:
    """`x` with axes of size 1 added on the right."""
    return dimshuffle(x, *range(x.ndim), *["x"] * more)


def percentile(
    x: Any,
    q: Any,
    axis: Axes = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Variable:
    """The :func:`quantile` for `q` in hundredths, between 0 and 100."""
    return quantile(x, _hundredth(q), axis, method, keepdims)


def nanpercentile(
    x: Any,
    q: Any,
    axis: Axes = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Variable:
    """The :func:`nanquantile` for `q` in hundredths, between 0 and 100."""
    return nanquantile(x, _hundredth(q), axis, method, keepdims)


def _hundredth(q: Any) -> Any:
    return q / 100 if isinstance(q, int | float) else true_div(as_variable(q), 100)


def _fractions(q: Any, x: Variable) -> Variable:
    """`q` as floats, NaN outside 0 to 1; integer constants, which are 0 or 1, as int64.

    Raises
    ------
    ShapeError
        A constant lies outside.
    """
    given = as_variable(q)
    if kind(given.dtype) == "c":
        raise DTypeError(f"a quantile must be real, got {given.type}.")
    if isinstance(q, float) and x.type.is_float:
        given = cast(given, x.dtype)
    known = known_value(given)
    if known is None:
        given = as_float(given)
        inside = ew.and_(ge(given, 0), ew.le(given, 1))
        return switch(inside, given, np.nan)
    if not np.all((known >= 0) & (known <= 1)):
        raise ShapeError(f"quantiles must lie between 0 and 1, got {known}.")
    return given if given.type.is_float else cast(given, "int64")


Standing = Callable[[Variable], Variable]
"""From places, whole floats, to what stands there in sorted rows."""


def _between(standing: Standing, q: Variable, n: Variable, method: str) -> Variable:
    """The quantiles of rows of `n` sorted elements; NaN for a q of NaN."""
    last = sub(n, 1)
    at = PLACES[method](q, n)
    if method in DISCRETE:
        return standing(ew.clip(at, 0, last))
    below = ew.floor(at)
    a, b = (
        as_float(standing(ew.clip(place, 0, last))) for place in (below, add(below, 1))
    )
    t = switch(ge(at, last), add(at, 1), sub(at, below))  # NumPy's, which keeps -0
    if method == "averaged_inverted_cdf":
        t = switch(eq(t, 0), as_variable(0.5, t.dtype), as_variable(1, t.dtype))
    t = _widened(t, a.ndim - t.ndim)
    step = sub(b, a)  # counted from the nearer end, so that t = 1 gives b
    return switch(ge(t, 0.5), sub(b, mul(step, sub(1, t))), add(a, mul(step, t)))


def _even(q: Variable, n: Variable) -> Variable:
    """q (n - 1), so that the first element stands at 0 and the last at 1."""
    return mul(q, sub(n, 1))


def _middle(q: Variable, n: Variable) -> Variable:
    """Half way between two elements, or an element."""
    return mul(add(ew.floor(_even(q, n)), ew.ceil(_even(q, n))), 0.5)


def _plotted(alpha: float, beta: float) -> Callable[[Variable, Variable], Variable]:
    """n q + alpha + q (1 - alpha - beta) - 1, Hyndman and Fan's family."""
    return lambda q, n: sub(add(mul(n, q), add(mul(q, 1 - alpha - beta), alpha)), 1)


def _closest(q: Variable, n: Variable) -> Variable:
    """The nearest to n q - 1, of two equally near the even one."""
    at = sub(mul(n, q), 1.5)
    below = ew.floor(at)
    stays = ew.and_(eq(at, below), eq(ew.mod(below, 2), 1))
    return switch(stays, below, add(below, 1))


PLACES: dict[str, Callable[[Variable, Variable], Variable]] = {
    "linear": _even,
    "lower": lambda q, n: ew.floor(_even(q, n)),
    "higher": lambda q, n: ew.ceil(_even(q, n)),
    "midpoint": _middle,
    "nearest": lambda q, n: round(_even(q, n)),
    "inverted_cdf": lambda q, n: ew.ceil(sub(mul(n, q), 1)),
    "averaged_inverted_cdf": lambda q, n: sub(mul(n, q), 1),
    "closest_observation": _closest,
    "interpolated_inverted_cdf": _plotted(0, 1),
    "hazen": _plotted(0.5, 0.5),
    "weibull": _plotted(0, 0),
    "median_unbiased": _plotted(1 / 3, 1 / 3),
    "normal_unbiased": _plotted(3 / 8, 3 / 8),
}
DISCRETE = ("lower", "higher", "nearest", "inverted_cdf", "closest_observation")
METHODS = tuple(PLACES)


def _standing(rows: Variable, places: Variable) -> Variable:
    """What stands in the rows at `places`, whole floats; their axes come in front."""
    nowhere = ew.isnan(places)
    found = take(rows, cast(switch(nowhere, 0, places), "int64"), -1)
    rank = rows.ndim - 1
    return dimshuffle(found, *range(rank, rank + places.ndim), *range(rank))


def _standing_each(rows: Variable, places: Variable) -> Variable:
    """What stands at places of each row's own: their last axes are those of the rows."""
    rank = rows.ndim - 1
    more = places.ndim - rank
    whole = cast(switch(ew.isnan(places), 0, places), "int64")
    behind = dimshuffle(whole, *range(more, more + rank), *range(more))
    sizes = [size_variable(s) for s in sizes_of(behind)]
    flat = reshape(behind, (*sizes[:rank], product_size(sizes[rank:])))
    found = reshape(take_along_axis(rows, flat, -1), tuple(sizes), ndim=rank + more)
    return dimshuffle(found, *range(rank, rank + more), *range(rank))


__all__ = ["median", "nanpercentile", "nanquantile", "percentile", "quantile"]
