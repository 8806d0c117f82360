"""The beta function and its incomplete integral, the distribution of proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.graph import Variable
from workbench.core.ops import series
from workbench.core.ops.elementwise import add, mul, neg, sub
from workbench.core.ops.gamma import psi
from workbench.core.ops.mathematics import exp, log, log1p
from workbench.core.ops.special import Special, xlog1py, xlogy
from workbench.core.ops.ufunc import apply
from workbench.core.types import Array


class Beta(Special):
    """Gamma(a) Gamma(b) / Gamma(a + b)."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """The result times the slopes of its logarithm."""
        return [mul(out, slope) for slope in _log_slopes(*inputs)]


class Betaln(Special):
    """log |B(a, b)|, without overflow."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """psi(a) - psi(a + b), and the same for b."""
        return _log_slopes(*inputs)


def _log_slopes(a: Variable, b: Variable) -> list[Variable]:
    both = psi(add(a, b))
    return [sub(psi(a), both), sub(psi(b), both)]


class Betainc(Special):
    """The integral of t^(a-1) (1-t)^(b-1) from 0 to x, divided by B(a, b)."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """By a and b a continued fraction; by x the integrand."""
        by_a, by_b = (apply(BetaincBy(which), *inputs) for which in (0, 1))
        return [by_a, by_b, _density(*inputs)]


@dataclass(frozen=True)
class BetaincBy(Special):
    """The derivative of betainc(a, b, x) by a (`which` = 0) or b (1).

    Second derivatives by a and b are not known, and asking for one an error.
    """

    name: ClassVar[str] = "betainc_by"
    arity = 3
    cost = 1000
    which: int

    @property
    def function(self) -> np.ufunc:
        """A ufunc with the same dtypes."""
        from scipy import special

        function: np.ufunc = special.betainc
        return function

    def reference(self, *inputs: Array) -> Any:
        """A continued fraction, differentiated term by term."""
        return series.betainc_by(self.which, *inputs)

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable | None]:
        """By x the derivative of the integrand."""
        a, b, x = inputs
        own, power = ((a, log(x)), (b, log1p(neg(x))))[self.which]
        rate = add(sub(power, psi(own)), psi(add(a, b)))
        return [None, None, mul(_density(a, b, x), rate)]


def _density(a: Variable, b: Variable, x: Variable) -> Variable:
    """x^(a-1) (1-x)^(b-1) / B(a, b)."""
    powers = add(xlogy(sub(a, 1), x), xlog1py(sub(b, 1), neg(x)))
    return exp(sub(powers, betaln(a, b)))


def beta(a: Any, b: Any) -> Variable:
    """Gamma(a) Gamma(b) / Gamma(a + b)."""
    return apply(Beta(), a, b)


def betaln(a: Any, b: Any) -> Variable:
    """log |B(a, b)|, without overflow."""
    return apply(Betaln(), a, b)


def betainc(a: Any, b: Any, x: Any) -> Variable:
    """The regularised incomplete beta function: the beta distribution up to x.

    Examples
    --------
    >>> betainc(1.0, 1.0, 0.25).eval()
    array(0.25)
    """
    return apply(Betainc(), a, b, x)
