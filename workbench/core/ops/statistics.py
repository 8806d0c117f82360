"""Weighted averages, covariances and correlations.

Nothing here is an op: a covariance is a product of a matrix with itself.

Read next: :mod:`workbench.core.ops.nanfunctions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import ArgumentError, DTypeError, ParameterError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops.complexes import complex, conj, imag
from workbench.core.ops.diagonals import diagonal
from workbench.core.ops.elementwise import mul, sub, true_div
from workbench.core.ops.joining import concatenate
from workbench.core.ops.linalg import dot
from workbench.core.ops.mathematics import sqrt
from workbench.core.ops.moments import count, mean, strict_axes
from workbench.core.ops.reduction import Axes, sum
from workbench.core.ops.shape import (
    broadcast_to,
    dimshuffle,
    normal_axis,
    reshape,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import cast, kind, real


def average(
    x: Any,
    axis: Axes = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    """sum(weights x) / sum(weights) along `axis`; the mean without weights.

    Parameters
    ----------
    weights
        Of the shape of `x`, or of the axes that are averaged over.
    returned
        Also give the sum of the weights.

    Raises
    ------
    ShapeError
        Weights have neither shape.
    ArgumentError
        They have another number of axes than `x`, and no axis is named.

    Notes
    -----
    Weights that add up to 0 give NaN or infinity; NumPy raises ZeroDivisionError.
    """
    x = as_variable(x)
    axes = strict_axes(axis, x.ndim)
    if weights is None:
        result = mean(x, axes, keepdims=keepdims)
        total = ew.fill(result, count(x, axes, result.dtype))
    else:
        w = _weights(as_variable(weights), x, axis, axes)
        floats = x.type.is_float or w.type.is_float
        dtype = np.result_type(x.dtype, w.dtype).name if floats else config.floatX
        w = cast(w, dtype)
        total = sum(w, axes, keepdims=keepdims)
        result = true_div(sum(mul(cast(x, dtype), w), axes, keepdims=keepdims), total)
    return (result, total) if returned else result


def _weights(w: Variable, x: Variable, axis: Axes, axes: Sequence[int]) -> Variable:
    """Weights stretched to the shape of `x`."""
    if w.ndim != x.ndim:
        if axis is None:
            raise ArgumentError(
                f"average: name the axis that the weights, {w.type}, go along."
            )
        if w.ndim != len(axes):
            raise ShapeError(
                f"average: weights have {w.ndim} axes; {x.label()} has {x.ndim}."
            )
        given = axis if isinstance(axis, list | tuple) else [axis]
        named = [normal_axis(a, x.ndim) for a in given]
        order = (named.index(a) if a in named else "x" for a in range(x.ndim))
        w = dimshuffle(w, *order)
    return broadcast_to(w, [size_variable(s) for s in sizes_of(x)])


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Variable:
    """The covariances of variables, one a row, from observations, one a column.

    Parameters
    ----------
    m : [k, n] or [n]
        k variables observed n times.
    y
        More variables, in the form of `m`.
    rowvar
        False when variables are columns and observations rows.
    bias
        Divide by n, rather than by n - 1.
    ddof
        Divide by n - `ddof`, whatever `bias` says.
    fweights : [n] of integers
        How often each observation was made.
    aweights : [n]
        How much each observation counts.
    dtype
        Of the result; by default at least floatX.

    Returns
    -------
    [k, k], or a scalar for a single variable
        Symmetric; of complex variables Hermitian. Dividing by nothing gives NaN or infinity.

    Raises
    ------
    ShapeError
        There are more than two axes, or weights are no vectors.

    Examples
    --------
    >>> cov([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).eval()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    if ddof is not None and ddof != int(ddof):
        raise ParameterError(f"cov: ddof must be an integer, got {ddof}.")
    x = _variables(m, y, rowvar, dtype)
    w = _observation_weights(fweights, aweights, x)
    if ddof is None:
        ddof = 0 if bias else 1
    n = size_variable(sizes_of(x)[1])
    if w is None:
        middle = mean(x, 1, keepdims=True)
        freedom = sub(cast(n, _real(x)), ddof)
    else:
        total = sum(w)
        middle = true_div(dimshuffle(sum(mul(x, w), 1), 0, "x"), total)
        freedom = _freedom(w, total, aweights, ddof)
    distance = sub(x, middle)
    weighted = distance if w is None else mul(distance, w)
    found = true_div(
        dot(distance, conj(dimshuffle(weighted, 1, 0))), ew.maximum(freedom, 0)
    )
    return reshape(found, ()) if x.type.shape[0] == 1 else found


def _variables(m: Any, y: Any, rowvar: bool, dtype: Any) -> Variable:
    """All variables as rows of floats."""
    given = [as_variable(v) for v in ((m,) if y is None else (m, y))]
    if dtype is None:
        dtype = np.result_type(config.floatX, *(v.dtype for v in given)).name
    rows = [_rows(v, rowvar, dtype) for v in given]
    return rows[0] if len(rows) == 1 else concatenate(rows, 0)


def _rows(x: Variable, rowvar: bool, dtype: Any) -> Variable:
    if x.ndim > 2:
        raise ShapeError(f"cov takes at most two axes, {x.label()} has {x.ndim}.")
    x = cast(x, dtype)
    if x.ndim < 2:
        return dimshuffle(x, *["x"] * (2 - x.ndim), *range(x.ndim))
    return x if rowvar or x.type.shape[0] == 1 else dimshuffle(x, 1, 0)


def _freedom(w: Variable, total: Variable, aweights: Any, ddof: int) -> Variable:
    """What a weighted sum of squares is divided by."""
    if ddof == 0:
        return total
    if aweights is None:
        return sub(total, ddof)
    squares = sum(mul(w, cast(as_variable(aweights), w.dtype)))
    return sub(total, mul(ddof, true_div(squares, total)))


def _observation_weights(fweights: Any, aweights: Any, x: Variable) -> Variable | None:
    """The product of both kinds of weights, in the real dtype of `x`; None without any."""
    given = []
    for weights, name in ((fweights, "fweights"), (aweights, "aweights")):
        if weights is None:
            continue
        w = as_variable(weights)
        if w.ndim != 1:
            raise ShapeError(f"cov: {name} must be a vector, got {w.type}.")
        if name == "fweights" and kind(w.dtype) not in "iu":
            raise DTypeError(f"cov: fweights must be integers, got {w.type}.")
        given.append(cast(w, _real(x)))
    if not given:
        return None
    return given[0] if len(given) == 1 else mul(*given)


def _real(x: Variable) -> str:
    """The dtype of the real part."""
    return np.zeros(0, x.dtype).real.dtype.name


def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None
) -> Variable:
    """The correlation coefficients of variables, one a row, from observations, one a column.

    Arguments are those of :func:`cov`. Results lie between -1 and 1, which rounding alone
    would not ensure; a variable that never varies gives NaN.

    Examples
    --------
    >>> corrcoef([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]]).eval()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return true_div(c, c)
    spread = sqrt(real(diagonal(c)))
    c = true_div(true_div(c, dimshuffle(spread, 0, "x")), dimshuffle(spread, "x", 0))
    if kind(c.dtype) == "c":
        return complex(ew.clip(real(c), -1, 1), ew.clip(imag(c), -1, 1))
    return ew.clip(c, -1, 1)


__all__ = ["average", "corrcoef", "cov"]
