"""Derivatives of incomplete integrals by their parameters, in NumPy alone.

The series and continued fractions by which the integrals are computed are followed term by
term, each number carrying its derivative with it (forward differentiation). Everything is
computed in float64; about 13 digits are right.

References
----------
Boik & Robison-Cox (1998), Derivatives of the incomplete beta function.
Press et al. (2007), Numerical Recipes, sections 6.2 and 6.4: the series and fractions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.types import Array

MAX_TERMS = 20_000
LARGE = 1e4
"""First argument of gammainc above which a difference takes the place of a series.

A series needs some √a terms. The function then changes over a length of √a, so that a
five-point difference with steps of √a/1000 is right to 12 digits.
"""


@dataclass(frozen=True)
class Dual:
    """A value and its derivative."""

    value: Any
    slope: Any = 0.0

    def __add__(self, other: Dual | float) -> Dual:
        y = dual(other)
        return Dual(self.value + y.value, self.slope + y.slope)

    def __sub__(self, other: Dual | float) -> Dual:
        y = dual(other)
        return Dual(self.value - y.value, self.slope - y.slope)

    def __mul__(self, other: Dual | float) -> Dual:
        y = dual(other)
        slope = self.slope * y.value + self.value * y.slope
        return Dual(self.value * y.value, slope)

    def __truediv__(self, other: Dual | float) -> Dual:
        y = dual(other)
        quotient = self.value / y.value
        return Dual(quotient, (self.slope - quotient * y.slope) / y.value)


def dual(x: Dual | float) -> Dual:
    """A constant has no derivative."""
    return x if isinstance(x, Dual) else Dual(x)


def is_settled(change: Dual, total: Dual) -> bool:
    """Whether a last change was lost in rounding, for the value and for its derivative."""
    eps = 4 * np.finfo("float64").eps
    quiet = np.abs(change.value) <= eps * np.abs(total.value)
    quiet &= np.abs(change.slope) <= eps * np.abs(total.slope) + 1e-300
    return bool(np.all(quiet | ~np.isfinite(total.slope)))


def fraction(terms: Callable[[int], tuple[Dual, Dual]], first: Dual) -> Dual:
    """``first + a1 / (b1 + a2 / (b2 + …))`` for pairs a, b, by Lentz's method."""
    total, upper, lower = first, first, Dual(0.0)
    for n in range(1, MAX_TERMS):
        a, b = terms(n)
        lower = Dual(1.0) / (b + a * lower)
        upper = b + a / upper
        before, total = total, total * (upper * lower)
        if is_settled(total - before, total):
            break
    return total


def gammainc_by_a(a: Array, x: Array) -> Array:
    """The derivative of ``gammainc(a, x)`` by a; NaN unless a > 0 and x >= 0."""
    dtype = np.result_type(a, x)
    a, x = np.broadcast_arrays(np.asarray(a, "float64"), np.asarray(x, "float64"))
    result = np.full(a.shape, np.nan)
    valid = (a > 0) & (a < np.inf) & (x >= 0)
    result[valid & ((x == 0) | (x == np.inf))] = 0
    inside = valid & (x > 0) & (x < np.inf)
    for where, method in (
        (inside & (a <= LARGE) & (x < a + 1), _gammainc_series),
        (inside & (a <= LARGE) & (x >= a + 1), _gammainc_fraction),
        (inside & (a > LARGE), _gammainc_difference),
    ):
        if where.any():
            with np.errstate(all="ignore"):
                result[where] = method(a[where], x[where])
    return result.astype(dtype)


def _gammainc_series(a: Array, x: Array) -> Array:
    """Of x^a exp(-x) / Gamma(a + 1) times the sum of x^n / ((a + 1) … (a + n))."""
    from scipy import special

    term = total = Dual(np.ones_like(a), np.zeros_like(a))
    for n in range(1, MAX_TERMS):
        term = term * Dual(x) / Dual(a + n, 1.0)
        total = total + term
        if is_settled(term, total):
            break
    front = np.exp(special.xlogy(a, x) - x - special.gammaln(a + 1))
    rate = np.log(x) - special.digamma(a + 1)
    return np.asarray(front * (rate * total.value + total.slope))


def _gammainc_fraction(a: Array, x: Array) -> Array:
    """Of one minus x^a exp(-x) / Gamma(a) times a continued fraction."""
    from scipy import special

    def terms(n: int) -> tuple[Dual, Dual]:
        return Dual(n * (a - n), float(n)), Dual(x - a + 1 + 2 * n, -1.0)

    below = fraction(terms, Dual(x - a + 1, np.full_like(a, -1.0)))
    tail = Dual(1.0) / below
    front = np.exp(special.xlogy(a, x) - x - special.gammaln(a))
    rate = np.log(x) - special.digamma(a)
    return np.asarray(-front * (rate * tail.value + tail.slope))


def _gammainc_difference(a: Array, x: Array) -> Array:
    from scipy import special

    h = np.sqrt(a) / 1000
    low, high = ([special.gammainc(a + s * k * h, x) for k in (1, 2)] for s in (-1, 1))
    return np.asarray((8 * (high[0] - low[0]) - (high[1] - low[1])) / (12 * h))


def betainc_by(which: int, a: Array, b: Array, x: Array) -> Array:
    """The derivative of ``betainc(a, b, x)`` by a (0) or b (1); NaN outside its domain."""
    dtype = np.result_type(a, b, x)
    a, b, x = np.broadcast_arrays(*(np.asarray(v, "float64") for v in (a, b, x)))
    result = np.full(a.shape, np.nan)
    valid = (a > 0) & (b > 0) & (a < np.inf) & (b < np.inf) & (x >= 0) & (x <= 1)
    result[valid & ((x == 0) | (x == 1))] = 0
    inside = valid & (x > 0) & (x < 1)
    left = inside & (x <= (a + 1) / (a + b + 2))
    right = inside & ~left
    with np.errstate(all="ignore"):
        if left.any():
            v = a[left], b[left]
            result[left] = _betainc_fraction(which, *v, x[left], 1 - x[left])
        if right.any():
            v = b[right], a[right]
            result[right] = -_betainc_fraction(1 - which, *v, 1 - x[right], x[right])
    return result.astype(dtype)


def _betainc_fraction(which: int, a: Array, b: Array, x: Array, rest: Array) -> Array:
    """Of x^a (1-x)^b / (a B(a, b)) divided by a continued fraction; `rest` is 1 - x."""
    from scipy import special

    one = np.ones_like(a)
    p, q = Dual(a, one * (which == 0)), Dual(b, one * (which == 1))

    def terms(n: int) -> tuple[Dual, Dual]:
        m = n // 2
        if n % 2:
            top = (p + m) * (p + q + m) * Dual(-x)
            return top / ((p + 2 * m) * (p + (2 * m + 1))), Dual(1.0)
        top = (q - m) * Dual(m * x)
        return top / ((p + (2 * m - 1)) * (p + 2 * m)), Dual(1.0)

    value = Dual(one) / fraction(terms, Dual(one, 0 * one))
    logarithm = special.xlogy(a, x) + special.xlogy(b, rest) - special.betaln(a, b)
    front = np.exp(logarithm) / a
    if which == 0:
        rate = np.log(x) - 1 / a - special.digamma(a) + special.digamma(a + b)
    else:
        rate = np.log(rest) - special.digamma(b) + special.digamma(a + b)
    return np.asarray(front * (rate * value.value + value.slope))
