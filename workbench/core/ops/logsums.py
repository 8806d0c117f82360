"""Softmax and the logarithm of a sum of exponentials as SciPy has them: over any axes.

Read next: :mod:`workbench.core.operators`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.graph import Variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops import nnet, reduction
from workbench.core.ops.elementwise import eq, mul, sub, switch, true_div
from workbench.core.ops.floats import isfinite
from workbench.core.ops.mathematics import exp, log
from workbench.core.ops.reduction import Axes, Supremum, keep, normal_axes
from workbench.core.ops.ufunc import as_float, kind, real


def logsumexp(
    a: Any,
    axis: Axes = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
) -> Any:
    """log(sum(b exp(a))) along `axis`, all axes by default, without overflow.

    Parameters
    ----------
    b
        Weights, 1 by default; where one is 0 the element does not count, even NaN.
    return_sign
        Also give the sign of the sum; the logarithm is then that of its absolute value.
        Otherwise the logarithm of a negative sum is NaN.

    Examples
    --------
    >>> logsumexp([1000.0, 1000.0], b=[0.5, 0.5]).eval()
    array(1000.)
    """
    x = as_float(a)
    if b is None and not return_sign and kind(x.dtype) == "f":
        return nnet.logsumexp(x, axis, keepdims)
    if b is not None:
        x = switch(eq(b, 0), -np.inf, x)
    axes = normal_axes(axis, x.ndim)
    peak = _peak(x, axes)
    terms = exp(sub(x, peak))
    total = reduction.sum(terms if b is None else mul(b, terms), axes, keepdims=True)
    size = ew.abs(total) if return_sign else total
    found = [ew.add(log(size), peak)] + ([ew.sign(total)] if return_sign else [])
    if not keepdims:  # each has size 1 along the axes
        found = [reduction.sum(v, axes) for v in found]
    return tuple(found) if return_sign else found[0]


def _peak(x: Variable, axes: tuple[int, ...]) -> Variable:
    """The largest real part along the axes, which it keeps; 0 where that is not finite."""
    found = keep(Supremum(axes)(real(x)), x.ndim, axes)
    return switch(isfinite(found), found, 0)


def softmax(x: Any, axis: Axes = None) -> Variable:
    """exp(x) / sum(exp(x)) along `axis`, all axes by default.

    Examples
    --------
    >>> softmax([[0.0, 0.0], [0.0, 0.0]]).eval()
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    x = as_float(x)
    axes = normal_axes(axis, x.ndim)
    if kind(x.dtype) == "f":
        return nnet.softmax_over(x, axes)
    e = exp(sub(x, reduction.max(x, axes, keepdims=True)))
    return true_div(e, reduction.sum(e, axes, keepdims=True))


def log_softmax(x: Any, axis: Axes = None) -> Variable:
    """The logarithm of the softmax along `axis`, exact also where that rounds to 0."""
    x = as_float(x)
    axes = normal_axes(axis, x.ndim)
    if kind(x.dtype) == "f" and len(axes) == 1:
        return nnet.logsoftmax(x, axes[0])
    if kind(x.dtype) == "f":
        peak = _peak(x, axes)
    else:
        largest = reduction.max(x, axes, keepdims=True)
        peak = switch(isfinite(largest), largest, 0)
    shifted = sub(x, peak)
    return sub(shifted, log(reduction.sum(exp(shifted), axes, keepdims=True)))


__all__ = ["log_softmax", "logsumexp", "softmax"]
