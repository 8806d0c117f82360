"""The gamma function, its logarithmic derivatives, and its incomplete integrals.

The derivative of an incomplete integral by its first argument has no closed form; it is an op
of its own, which differentiates a series or a continued fraction term by term
(:mod:`workbench.core.ops.series`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.graph import Variable
from workbench.core.ops import series
from workbench.core.ops.elementwise import add, mul, neg, sub, true_div
from workbench.core.ops.mathematics import exp, log
from workbench.core.ops.special import Special, xlogy
from workbench.core.ops.ufunc import apply
from workbench.core.types import Array


class Gamma(Special):
    """The gamma function, (x - 1)! for integers: infinite at 0, NaN at negative integers."""

    c_call = "tgamma{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """Gamma(x) psi(x)."""
        return [mul(out, psi(inputs[0]))]


class Gammaln(Special):
    """log |Gamma(x)|; inf at 0 and negative integers."""

    c_call = "wb_lgamma{f}({x})"

    def reference(self, *inputs: Array) -> Any:
        """SciPy's function; near 0, where it has inf for subnormal numbers, -log |x|."""
        (x,) = inputs
        with np.errstate(all="ignore"):
            near = -np.log(np.abs(x))
            return np.where(np.abs(x) < 1e-30, near, self.function(x))

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """psi(x)."""
        return [psi(inputs[0])]


class Psi(Special):
    """The derivative of log Gamma(x); NaN at negative integers."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """polygamma(1, x)."""
        return [polygamma(1, inputs[0])]


class Polygamma(Special):
    """The derivative number n + 1 of log Gamma(x), for real x.

    The derivative by n is not known, and asking for it an error.
    """

    arity = 2

    @property
    def function(self) -> np.ufunc:
        """A ufunc with the same dtypes."""
        from scipy import special

        function: np.ufunc = special.gammainc
        return function

    def reference(self, *inputs: Array) -> Any:
        """``scipy.special.polygamma``."""
        from scipy import special

        with np.errstate(all="ignore"):
            result = np.asarray(special.polygamma(*inputs))
        return result.astype(inputs[1].dtype)

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable | None]:
        """By x the next order."""
        n, x = inputs
        return [None, polygamma(add(n, 1), x)]


class Gammainc(Special):
    """The integral of exp(-t) t^(a-1) from 0 to x, divided by Gamma(a)."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """By a a series; by x the integrand."""
        a, x = inputs
        return [apply(GammaincByA(), a, x), _density(a, x)]


class Gammaincc(Special):
    """1 - gammainc(a, x), exact also where that rounds to 1."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """By a a series; by x minus the integrand."""
        a, x = inputs
        return [neg(apply(GammaincByA(), a, x)), neg(_density(a, x))]


class GammaincByA(Special):
    """The derivative of gammainc(a, x) by a; NaN unless a > 0 and x >= 0.

    A second derivative by a is not known, and asking for it an error.
    """

    name: ClassVar[str] = "gammainc_by_a"
    arity = 2
    cost = 1000

    @property
    def function(self) -> np.ufunc:
        """A ufunc with the same dtypes."""
        from scipy import special

        function: np.ufunc = special.gammainc
        return function

    def reference(self, *inputs: Array) -> Any:
        """A series below a + 1, a continued fraction above."""
        return series.gammainc_by_a(*inputs)

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable | None]:
        """By x the derivative by a of the integrand."""
        a, x = inputs
        return [None, mul(_density(a, x), sub(log(x), psi(a)))]


def _density(a: Variable, x: Variable) -> Variable:
    """exp(-x) x^(a-1) / Gamma(a)."""
    return exp(sub(sub(xlogy(sub(a, 1), x), x), gammaln(a)))


def gamma(x: Any) -> Variable:
    """The gamma function, which is (x - 1)! for integers.

    Examples
    --------
    >>> gamma([1.0, 4.0]).eval()
    array([1., 6.])
    """
    return apply(Gamma(), x)


def gammaln(x: Any) -> Variable:
    """log |Gamma(x)|, without overflow."""
    return apply(Gammaln(), x)


def psi(x: Any) -> Variable:
    """The digamma function, the derivative of log Gamma(x)."""
    return apply(Psi(), x)


def polygamma(n: Any, x: Any) -> Variable:
    """The derivative number n of the digamma function; that function itself for n = 0."""
    return apply(Polygamma(), n, x)


def tri_gamma(x: Any) -> Variable:
    """The trigamma function, the derivative of the digamma function."""
    return polygamma(1, x)


def gammainc(a: Any, x: Any) -> Variable:
    """The regularised lower incomplete gamma function: the gamma distribution up to x."""
    return apply(Gammainc(), a, x)


def gammaincc(a: Any, x: Any) -> Variable:
    """The regularised upper incomplete gamma function, 1 - gammainc(a, x)."""
    return apply(Gammaincc(), a, x)


def chi2sf(x: Any, k: Any) -> Variable:
    """The probability that a chi-squared number with `k` degrees of freedom exceeds x."""
    return gammaincc(true_div(k, 2), true_div(x, 2))
