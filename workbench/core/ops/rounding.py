"""Rounding to decimals, and halves away from zero.

:func:`~workbench.core.ops.elementwise.floor`, ``ceil``, ``trunc`` and ``rint`` stand with the
other basic operations. Everything here is built of them; only halves away from zero need an
op of their own.
"""

from __future__ import annotations

from operator import index
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import DTypeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.complexes import complex, imag
from workbench.core.ops.elementwise import Rounding, mul, rint, true_div
from workbench.core.ops.ufunc import INTEGER, apply, cast, kind, real, resolve
from workbench.core.types import Array

MODES = ("half_to_even", "half_away_from_zero")


class RoundHalfAway(Rounding):
    """The nearest integer, halves away from zero, as C's ``round``. The gradient is zero."""

    name = "round_half_away"
    ufunc: ClassVar[np.ufunc] = np.rint
    c_function = "round"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Real floats; integers become floats."""
        return resolve(self, np.cbrt, dtypes)

    def reference(self, x: Array) -> Array:
        """One more than the truncated number, where at least a half was cut off."""
        with np.errstate(all="ignore"):
            low = np.trunc(x)
            half = np.abs(x - low) >= 0.5
            return low + np.copysign(half.astype(x.dtype), x)


def round(x: Any, decimals: int = 0, mode: str = "half_to_even") -> Variable:
    """x rounded to `decimals` places after the point; negative ones count before it.

    As in NumPy the number is scaled, rounded and scaled back, so 2.675 to two places depends
    on how it is stored. Integers stay integers.

    Parameters
    ----------
    mode : {"half_to_even", "half_away_from_zero"}
        Which way halves go.

    Raises
    ------
    ValueError
        The mode has another name.
    TypeError
        `decimals` is no integer.
    DTypeError
        A bool is to be rounded to decimals.

    Examples
    --------
    >>> round([0.5, 1.5, -2.5]).eval()
    array([ 0.,  2., -2.])
    >>> round([0.5, 1.5, -2.5], mode="half_away_from_zero").eval()
    array([ 1.,  2., -3.])
    >>> round(1234, -2).eval()
    array(1200)
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, not {mode!r}.")
    x, decimals = as_variable(x), index(decimals)
    if kind(x.dtype) == "c":
        parts = (round(part, decimals, mode) for part in (real(x), imag(x)))
        return complex(*parts)
    if kind(x.dtype) in INTEGER and decimals >= 0:
        return x
    if decimals == 0:
        return _nearest(x, mode)
    if kind(x.dtype) == "b":
        raise DTypeError(f"bools have no decimals, got {x.label()}: {x.type}.")
    scale = 10.0 ** abs(decimals)
    there, back = (mul, true_div) if decimals > 0 else (true_div, mul)
    return cast(back(_nearest(there(x, scale), mode), scale), x.dtype)


def _nearest(x: Variable, mode: str) -> Variable:
    return rint(x) if mode == "half_to_even" else apply(RoundHalfAway(), x)


def iround(x: Any, mode: str = "half_to_even") -> Variable:
    """The nearest integer as an int64."""
    return cast(round(x, mode=mode), "int64")
