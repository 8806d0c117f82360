"""Bessel functions of the first kind, modified ones, and these scaled by their growth.

The meaning is SciPy's: beyond some 10^5 it loses digits of j0 and j1, as x - π/4 is rounded
there. C's own functions differ from it in such places, so all run as SciPy.

The derivative by the order is not known, and asking for it an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.core.errors import GradientError
from workbench.core.graph import Variable
from workbench.core.ops.elementwise import add, mul, neg, sign, sub
from workbench.core.ops.special import Special
from workbench.core.ops.ufunc import apply, kind


class J0(Special):
    """The Bessel function of the first kind of order 0."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """-j1(x)."""
        return [neg(j1(inputs[0]))]


class J1(Special):
    """The Bessel function of the first kind of order 1."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """(j0(x) - jv(2, x)) / 2, which is 1/2 at 0."""
        (x,) = inputs
        return [mul(sub(j0(x), jv(2, x)), 0.5)]


class I0(Special):
    """The modified Bessel function of order 0; inf above 713."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """i1(x)."""
        return [i1(inputs[0])]


class I1(Special):
    """The modified Bessel function of order 1; infinite beyond 713."""

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """(i0(x) + iv(2, x)) / 2, which is 1/2 at 0."""
        (x,) = inputs
        return [mul(add(i0(x), iv(2, x)), 0.5)]


class OfOrder(Special):
    """A Bessel function of a real order and a real or complex argument."""

    arity = 2

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable | None]:
        """By the argument what :meth:`slope` says."""
        v, x = inputs
        return [None, self.slope(out, v, x)]

    def slope(self, out: Variable, v: Variable, x: Variable) -> Variable:
        """The derivative by x."""
        raise NotImplementedError

    def below_and_above(self, v: Variable, x: Variable) -> tuple[Variable, Variable]:
        """The same function of the orders one less and one more."""
        return apply(self, sub(v, 1), x), apply(self, add(v, 1), x)


class Jv(OfOrder):
    """The Bessel function of the first kind; NaN for x < 0 unless v is whole."""

    def slope(self, out: Variable, v: Variable, x: Variable) -> Variable:
        """Half the difference of its neighbours."""
        below, above = self.below_and_above(v, x)
        return mul(sub(below, above), 0.5)


class Iv(OfOrder):
    """The modified Bessel function of the first kind; NaN for x < 0 unless v is whole."""

    def slope(self, out: Variable, v: Variable, x: Variable) -> Variable:
        """Half the sum of its neighbours."""
        return mul(add(*self.below_and_above(v, x)), 0.5)


class Ive(OfOrder):
    """iv(v, x) exp(-|x|), which does not overflow; its gradient is for real x."""

    def slope(self, out: Variable, v: Variable, x: Variable) -> Variable:
        """Half the sum of its neighbours, and what the factor adds.

        Raises
        ------
        GradientError
            x is complex: the factor depends on its real part alone.
        """
        if kind(x.dtype) == "c":
            raise GradientError(f"{self.name} has no gradient by a complex number.")
        slope = mul(add(*self.below_and_above(v, x)), 0.5)
        return sub(slope, mul(sign(x), out))


class Kv(OfOrder):
    """The modified Bessel function of the second kind; inf at 0, NaN below."""

    def slope(self, out: Variable, v: Variable, x: Variable) -> Variable:
        """Minus half the sum of its neighbours."""
        return mul(add(*self.below_and_above(v, x)), -0.5)


class Kve(OfOrder):
    """kv(v, x) exp(x), which does not underflow; inf at 0, NaN below."""

    def slope(self, out: Variable, v: Variable, x: Variable) -> Variable:
        """Minus half the sum of its neighbours, and what the factor adds."""
        return sub(out, mul(add(*self.below_and_above(v, x)), 0.5))


def j0(x: Any) -> Variable:
    """The Bessel function of the first kind of order 0."""
    return apply(J0(), x)


def j1(x: Any) -> Variable:
    """The Bessel function of the first kind of order 1."""
    return apply(J1(), x)


def jv(v: Any, x: Any) -> Variable:
    """The Bessel function of the first kind of real order v.

    Examples
    --------
    >>> jv(0.5, [1.0]).eval().round(4)
    array([0.6714])
    """
    return apply(Jv(), v, x)


def i0(x: Any) -> Variable:
    """The modified Bessel function of the first kind of order 0."""
    return apply(I0(), x)


def i1(x: Any) -> Variable:
    """The modified Bessel function of the first kind of order 1."""
    return apply(I1(), x)


def iv(v: Any, x: Any) -> Variable:
    """The modified Bessel function of the first kind of real order v."""
    return apply(Iv(), v, x)


def ive(v: Any, x: Any) -> Variable:
    """iv(v, x) exp(-|x|), without overflow."""
    return apply(Ive(), v, x)


def kv(v: Any, x: Any) -> Variable:
    """The modified Bessel function of the second kind of real order v."""
    return apply(Kv(), v, x)


def kve(v: Any, x: Any) -> Variable:
    """kv(v, x) exp(x), without underflow."""
    return apply(Kve(), v, x)
