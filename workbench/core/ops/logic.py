"""Truth of numbers, and whether numbers are close.

Comparisons and the logic of bits stand in :mod:`workbench.core.ops.elementwise`; here is what
is built of them.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from workbench.core.graph import Variable, as_variable
from workbench.core.ops import reduction
from workbench.core.ops.elementwise import abs, and_, eq, isnan, le, neq, or_, sub
from workbench.core.ops.floats import isfinite
from workbench.core.ops.ufunc import INTEGER, cast, kind, weak_type


def isclose(
    x: Any,
    y: Any,
    rtol: Any = 1e-5,
    atol: Any = 1e-8,
    equal_nan: bool = False,
) -> Variable:
    """Whether |x - y| is at most atol + rtol |y|; infinities are close to themselves only.

    Parameters
    ----------
    equal_nan
        Whether NaN is close to NaN.
    """
    x, y, rtol, atol = (
        v if weak_type(v) else as_variable(v) for v in (x, y, rtol, atol)
    )
    # Of floats, since a difference of integers could wrap.
    if isinstance(y, int):
        y = float(y)
    if isinstance(y, Variable) and kind(y.dtype) in "b" + INTEGER:
        y = cast(y, np.result_type(y.dtype, 1.0).name)
    size = abs(y) if isinstance(y, Variable) else builtins.abs(y)
    near = le(abs(sub(x, y)), atol + rtol * size)
    result = or_(and_(near, isfinite(y)), eq(x, y))
    return or_(result, and_(isnan(x), isnan(y))) if equal_nan else result


def allclose(
    x: Any,
    y: Any,
    rtol: Any = 1e-5,
    atol: Any = 1e-8,
    equal_nan: bool = False,
) -> Variable:
    """Whether all elements are close, see :func:`isclose`.

    Examples
    --------
    >>> allclose([1.0, 1e-9], [1.0, 0.0]).eval()
    array(True)
    """
    return reduction.all(isclose(x, y, rtol, atol, equal_nan))


def logical_not(x: Any) -> Variable:
    """Whether x is zero."""
    return eq(x, 0)


def logical_and(x: Any, y: Any) -> Variable:
    """Whether neither x nor y is zero."""
    return and_(_truth(x), _truth(y))


def logical_or(x: Any, y: Any) -> Variable:
    """Whether x or y is not zero."""
    return or_(_truth(x), _truth(y))


def logical_xor(x: Any, y: Any) -> Variable:
    """Whether one of x and y is zero and the other not."""
    return neq(_truth(x), _truth(y))


def _truth(x: Any) -> Variable:
    x = as_variable(x)
    return x if x.dtype == "bool" else neq(x, 0)
