"""The error function, the normal distribution, and their inverses.

Tails are exact where a function for them exists: `erfc`, `log_erfc` and `log_ndtr` far out,
`erfcx` for ratios of a density to a tail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.graph import Variable, as_variable
from workbench.core.ops.elementwise import (
    add,
    gt,
    mul,
    neg,
    sqr,
    sub,
    switch,
    true_div,
)
from workbench.core.ops.mathematics import exp
from workbench.core.ops.special import Special
from workbench.core.ops.ufunc import apply
from workbench.core.types import Array

SQRT_PI = math.sqrt(math.pi)
SQRT_2PI = math.sqrt(2 * math.pi)
SQRT_2 = math.sqrt(2)


class Erf(Special):
    """2/√π times the integral of exp(-t²) from 0 to x."""

    c_call = "erf{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """2/√π exp(-x²)."""
        return [mul(exp(neg(sqr(inputs[0]))), 2 / SQRT_PI)]


class Erfc(Special):
    """1 - erf(x), exact also for large x."""

    c_call = "erfc{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """-2/√π exp(-x²)."""
        return [mul(exp(neg(sqr(inputs[0]))), -2 / SQRT_PI)]


class Erfcx(Special):
    """exp(x²) erfc(x), which falls as 1/x where erfc underflows; inf below -26.6.

    References
    ----------
    Shepherd and Laframboise (1981), Chebyshev approximation of (1 + 2x) exp(x²) erfc x in
    0 ≤ x < ∞, whose way to a series is that of the C text.
    """

    c_call = "wb_erfcx{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """2 x erfcx(x) - 2/√π, which cancels for large x: there its asymptotic series."""
        (x,) = inputs
        far = gt(x, 50)
        near_slope = sub(mul(mul(x, out), 2), 2 / SQRT_PI)
        t = true_div(0.5, sqr(switch(far, x, 50)))
        series = as_variable(10395, x.dtype)  # 11 · 9 · 7 · 5 · 3
        for number in (-945, 105, -15, 3, -1):
            series = add(mul(series, t), number)
        return [switch(far, mul(mul(series, t), 2 / SQRT_PI), near_slope)]


class LogErfc(Special):
    """log(erfc(x)), finite also where erfc underflows, and exact near 0."""

    name: ClassVar[str] = "log_erfc"
    c_call = "wb_log_erfc{f}({x})"

    @property
    def function(self) -> np.ufunc:
        """``erfc``, for its dtypes."""
        from scipy import special

        function: np.ufunc = special.erfc
        return function

    def reference(self, *inputs: Array) -> Any:
        """log(1 - erf(x)) below 1/2, above it log(erfcx(x)) - x²; of complex numbers log(erfc(x))."""
        from scipy import special

        (x,) = inputs
        with np.errstate(all="ignore"):
            if x.dtype.kind == "c":
                return np.log(special.erfc(x))
            tail = np.log(special.erfcx(x)) - x * x
            return np.where(x < 0.5, np.log1p(-special.erf(x)), tail)

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """-2/√π / erfcx(x)."""
        return [true_div(-2 / SQRT_PI, erfcx(inputs[0]))]


class Erfinv(Special):
    """The inverse of erf: infinite at -1 and 1, NaN outside."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """√π/2 exp(y²)."""
        return [mul(exp(sqr(out)), SQRT_PI / 2)]


class Erfcinv(Special):
    """The inverse of erfc: inf at 0, -inf at 2, NaN outside."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """-√π/2 exp(y²)."""
        return [mul(exp(sqr(out)), -SQRT_PI / 2)]


class Ndtr(Special):
    """The probability that a standard normal number is at most x."""

    c_call = "wb_ndtr{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """The normal density at x."""
        return [true_div(exp(mul(sqr(inputs[0]), -0.5)), SQRT_2PI)]


class Ndtri(Special):
    """The x below which a standard normal number lies with the given probability.

    -inf at 0, inf at 1, NaN outside.
    """

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """1 / the normal density at the result."""
        return [mul(exp(mul(sqr(out), 0.5)), SQRT_2PI)]


class LogNdtr(Special):
    """The logarithm of :func:`ndtr`, finite also where that underflows."""

    name: ClassVar[str] = "log_ndtr"
    c_call = "wb_log_ndtr{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """The density by the probability, written √(2/π) / erfcx(-x/√2)."""
        return [true_div(2 / SQRT_2PI, erfcx(mul(inputs[0], -1 / SQRT_2)))]


class OwensT(Special):
    """Owen's T: the integral of exp(-h²(1 + t²)/2) / (2π(1 + t²)) for t from 0 to a."""

    name: ClassVar[str] = "owens_t"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """-exp(-h²/2) erf(a h/√2) / 2√(2π), and the integrand at a."""
        h, a = inputs
        half = mul(sqr(h), -0.5)
        by_h = mul(exp(half), erf(true_div(mul(a, h), SQRT_2)))
        wide = add(sqr(a), 1)
        by_a = true_div(exp(mul(half, wide)), mul(wide, 2 * math.pi))
        return [mul(by_h, -0.5 / SQRT_2PI), by_a]


def erf(x: Any) -> Variable:
    """The error function, 2/√π times the integral of exp(-t²) from 0 to x.

    Examples
    --------
    >>> erf([0.0, 1.0]).eval().round(4)
    array([0.    , 0.8427])
    """
    return apply(Erf(), x)


def erfc(x: Any) -> Variable:
    """1 - erf(x), exact also for large x."""
    return apply(Erfc(), x)


def erfcx(x: Any) -> Variable:
    """exp(x²) erfc(x), which neither underflows nor overflows for large x."""
    return apply(Erfcx(), x)


def log_erfc(x: Any) -> Variable:
    """The logarithm of erfc(x), exact also where that is 0.

    Examples
    --------
    >>> log_erfc([0.0, 40.0]).eval().round(4)
    array([    0.    , -1604.2616])
    """
    return apply(LogErfc(), x)


def erfinv(x: Any) -> Variable:
    """The inverse of erf."""
    return apply(Erfinv(), x)


def erfcinv(x: Any) -> Variable:
    """The inverse of erfc, exact also for small x."""
    return apply(Erfcinv(), x)


def ndtr(x: Any) -> Variable:
    """The probability that a standard normal number is at most x."""
    return apply(Ndtr(), x)


def ndtri(x: Any) -> Variable:
    """The inverse of ndtr."""
    return apply(Ndtri(), x)


def log_ndtr(x: Any) -> Variable:
    """The logarithm of ndtr(x), exact also for very negative x."""
    return apply(LogNdtr(), x)


def owens_t(h: Any, a: Any) -> Variable:
    """Owen's T: the probability that X > h and 0 < Y < a X for normal X and Y."""
    return apply(OwensT(), h, a)
