"""Expressions that overflow or cancel as written, with what they are in truth.

A row is an expression of one variable as a user writes it, with the points where it is
tested and two functions of a Python float: its value and its slope, written so that
they are exact to some units in the last place of a double. The number that a name starts with is that of
the subject: 1 log(1 + x), 2 exp(x) - 1, 3 to 6 the logistic function and log(1 - exp),
7 differences of exponentials, 8 to 11 quotients of exponentials, 12 logarithms of sums,
18 binary cross-entropy, 19 and 20 error functions, 21 and 22 logarithms of products,
23 and 24 guards and slopes at 0.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import workbench.tensor as T

INF = math.inf
E20, E8 = 1e-20, 1e-8
ALL = (-1000, -120, -40, -20, -5, -1, -E8, -E20, 0, E20, E8, 1, 5, 20, 40, 120, 1000)
ABOVE = tuple(x for x in ALL if x > 0)
BELOW = tuple(x for x in ALL if x < 0)
NEAR = tuple(x for x in ALL if abs(x) <= 1)
BELOW_40 = tuple(x for x in ALL if x <= 40)
BELOW_1 = tuple(x for x in ALL if x < 1)
ABOVE_MINUS_1 = tuple(x for x in ALL if x > -1)
MAGNITUDES = (1e-30, 1e-20, 0.5, 1.0, 2.0, 1e20, 1e30)
UNIT = (1e-20, 1e-8, 0.25, 0.75, 1 - 2**-20)


@dataclass(frozen=True)
class Row:
    """An expression and the truth about it.

    `slope` is None where nothing is promised of it. `ends` are the values at -inf and inf,
    None where nothing is promised.
    """

    name: str
    expression: Callable[[Any], Any]
    points: Sequence[float]
    value: Callable[[float], float]
    slope: Callable[[float], float] | None
    ends: tuple[float | None, float | None] = (None, None)


# --- exact functions of Python floats -------------------------------------------------


def exp(x: float) -> float:
    return math.exp(x) if x < 709 else INF


def expm1(x: float) -> float:
    return math.expm1(x) if x < 709 else INF


def sigma(x: float) -> float:
    """The logistic function."""
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def bell(x: float) -> float:
    """The slope of the logistic function."""
    return sigma(x) * sigma(-x)


def splus(x: float) -> float:
    """log(1 + exp(x))."""
    return max(x, 0) + math.log1p(exp(-abs(x)))


def log1mexp(x: float) -> float:
    """log(1 - exp(x)) for x < 0."""
    return math.log(-expm1(x)) if x > -0.7 else math.log1p(-exp(x))


def logadd(x: float, y: float) -> float:
    """log(exp(x) + exp(y))."""
    return max(x, y) + math.log1p(exp(-abs(x - y)))


def density(x: float) -> float:
    """2/√π exp(-x²), the slope of erf."""
    return 2 / math.sqrt(math.pi) * exp(-x * x)


def erfcx(x: float) -> float:
    """exp(x²) erfc(x); above 5 its continued fraction."""
    if x < 5:
        return exp(x * x) * math.erfc(x) if x > -26 else INF
    fraction = x
    for k in range(60, 0, -1):
        fraction = x + k / 2 / fraction
    return 1 / fraction / math.sqrt(math.pi)


def log_erfc(x: float) -> float:
    """log(erfc(x))."""
    return math.log1p(-math.erf(x)) if x < 0.5 else math.log(erfcx(x)) - x * x


def log_erfc_slope(x: float) -> float:
    return -2 / math.sqrt(math.pi) / erfcx(x)


def half_angle(x: float) -> float:
    """x/√2 with the rounded root that users write."""
    return x / math.sqrt(2)


def log_cdf(x: float) -> float:
    """The logarithm of the normal distribution function."""
    z = -half_angle(x)
    if x > -0.7:
        return math.log1p(-0.5 * math.erfc(-z))
    return math.log(0.5 * erfcx(z)) - z * z


def log_cdf_slope(x: float) -> float:
    return math.sqrt(2 / math.pi) / erfcx(-half_angle(x))


# --- the rows -------------------------------------------------------------------------

LN2 = math.log(2)
ROWS = [
    Row("1 log(1 + x)", lambda x: T.log(1 + x), ABOVE_MINUS_1, math.log1p, lambda x: 1 / (1 + x), (None, INF)),
    Row("1 log(x + 1)", lambda x: T.log(x + 1), ABOVE_MINUS_1, math.log1p, lambda x: 1 / (1 + x), (None, INF)),
    Row("1 log(1 - x)", lambda x: T.log(1 - x), BELOW_1, lambda x: math.log1p(-x), lambda x: -1 / (1 - x), (INF, None)),
    Row("1 log(-x + 1)", lambda x: T.log(-x + 1), BELOW_1, lambda x: math.log1p(-x), lambda x: -1 / (1 - x)),
    Row("1 log(0.5 + x + 0.5)", lambda x: T.log(0.5 + x + 0.5), ABOVE_MINUS_1, math.log1p, lambda x: 1 / (1 + x)),
    Row("1 log(2 - (1 - x))", lambda x: T.log(2 - (1 - x)), ABOVE_MINUS_1, math.log1p, lambda x: 1 / (1 + x)),
    Row("1 log(1 + x + x²)", lambda x: T.log(1 + x + x * x), NEAR, lambda x: math.log1p(x + x * x), lambda x: (1 + 2 * x) / (1 + x + x * x)),
    Row("2 exp(x) - 1", lambda x: T.exp(x) - 1, BELOW_40, expm1, exp, (-1, INF)),
    Row("2 -1 + exp(x)", lambda x: -1 + T.exp(x), BELOW_40, expm1, exp, (-1, INF)),
    Row("2 1 - exp(x)", lambda x: 1 - T.exp(x), BELOW_40, lambda x: -expm1(x), lambda x: -exp(x), (1, -INF)),
    Row("2 1 - exp(-x)", lambda x: 1 - T.exp(-x), [-x for x in BELOW_40], lambda x: -expm1(-x), lambda x: exp(-x)),
    Row("2 3 (exp(x) - 1)", lambda x: 3 * (T.exp(x) - 1), BELOW_40, lambda x: 3 * expm1(x), lambda x: 3 * exp(x)),
    Row("2 x + exp(x) - 1", lambda x: x + T.exp(x) - 1, NEAR, lambda x: x + expm1(x), lambda x: 1 + exp(x)),
    Row("2 exp(x) - (1 - x)", lambda x: T.exp(x) - (1 - x), NEAR, lambda x: x + expm1(x), lambda x: 1 + exp(x)),
    Row("2 3 exp(x) - 3", lambda x: 3 * T.exp(x) - 3, BELOW_40, lambda x: 3 * expm1(x), lambda x: 3 * exp(x)),
    Row("3 log(sigmoid(x))", lambda x: T.log(T.sigmoid(x)), ALL, lambda x: -splus(-x), lambda x: sigma(-x), (-INF, 0)),
    Row("3 log(1 / (1 + exp(-x)))", lambda x: T.log(1 / (1 + T.exp(-x))), ALL, lambda x: -splus(-x), lambda x: sigma(-x), (-INF, 0)),
    Row("3 log(sigmoid(x)²)", lambda x: T.log(T.sigmoid(x) ** 2), ALL, lambda x: -2 * splus(-x), lambda x: 2 * sigma(-x)),
    Row("3 log(sigmoid(x) sigmoid(2x))", lambda x: T.log(T.sigmoid(x) * T.sigmoid(2 * x)), ALL, lambda x: -splus(-x) - splus(-2 * x), lambda x: sigma(-x) + 2 * sigma(-2 * x)),
    Row("4 log(1 - sigmoid(x))", lambda x: T.log(1 - T.sigmoid(x)), ALL, lambda x: -splus(x), lambda x: -sigma(x), (0, -INF)),
    Row("4 log(-sigmoid(x) + 1)", lambda x: T.log(-T.sigmoid(x) + 1), ALL, lambda x: -splus(x), lambda x: -sigma(x)),
    Row("4 log1p(-sigmoid(x))", lambda x: T.log1p(-T.sigmoid(x)), ALL, lambda x: -splus(x), lambda x: -sigma(x), (0, -INF)),
    Row("4 log(1 - 1 / (1 + exp(-x)))", lambda x: T.log(1 - 1 / (1 + T.exp(-x))), ALL, lambda x: -splus(x), lambda x: -sigma(x)),
    Row("4 log1p(-1 / (1 + exp(-x)))", lambda x: T.log1p(-1 / (1 + T.exp(-x))), ALL, lambda x: -splus(x), lambda x: -sigma(x)),
    Row("4 log(exp(x) / (1 + exp(x)))", lambda x: T.log(T.exp(x) / (1 + T.exp(x))), ALL, lambda x: -splus(-x), lambda x: sigma(-x)),
    Row("5 log1p(exp(x))", lambda x: T.log1p(T.exp(x)), ALL, splus, sigma, (0, INF)),
    Row("5 log(1 + exp(x))", lambda x: T.log(1 + T.exp(x)), ALL, splus, sigma, (0, INF)),
    Row("5 log(exp(-x) + 1)", lambda x: T.log(T.exp(-x) + 1), ALL, lambda x: splus(-x), lambda x: -sigma(-x), (INF, 0)),
    Row("5 log(1 + 2 exp(x))", lambda x: T.log(1 + 2 * T.exp(x)), ALL, lambda x: splus(x + LN2), lambda x: sigma(x + LN2)),
    Row("5 log(3 + exp(x))", lambda x: T.log(3 + T.exp(x)), ALL, lambda x: logadd(math.log(3), x), lambda x: sigma(x - math.log(3)), (math.log(3), INF)),
    Row("6 log(1 - exp(x))", lambda x: T.log(1 - T.exp(x)), BELOW, log1mexp, lambda x: -1 / expm1(-x), (0, None)),
    Row("6 log1p(-exp(x))", lambda x: T.log1p(-T.exp(x)), BELOW, log1mexp, lambda x: -1 / expm1(-x), (0, None)),
    Row("6 log(-expm1(x))", lambda x: T.log(-T.expm1(x)), BELOW, log1mexp, lambda x: -1 / expm1(-x), (0, None)),
    Row("6 log(1 - exp(-x))", lambda x: T.log(1 - T.exp(-x)), ABOVE, lambda x: log1mexp(-x), lambda x: 1 / expm1(x), (None, 0)),
    Row("6 log(exp(x) - 1)", lambda x: T.log(T.exp(x) - 1), ABOVE, lambda x: x + log1mexp(-x), lambda x: -1 / expm1(-x), (None, INF)),
    Row("6 log(expm1(x))", lambda x: T.log(T.expm1(x)), ABOVE, lambda x: x + log1mexp(-x), lambda x: -1 / expm1(-x), (None, INF)),
    Row("7 log(exp(x) - exp(-x))", lambda x: T.log(T.exp(x) - T.exp(-x)), ABOVE, lambda x: x + log1mexp(-2 * x), lambda x: -1 / expm1(-2 * x) + 1 / expm1(2 * x), (None, INF)),
    Row("7 log(exp(2x) - exp(x))", lambda x: T.log(T.exp(2 * x) - T.exp(x)), ABOVE, lambda x: 2 * x + log1mexp(-x), lambda x: 1 - 1 / expm1(-x)),
    Row("7 log(exp(x) - exp(x - 1))", lambda x: T.log(T.exp(x) - T.exp(x - 1)), ALL, lambda x: x + log1mexp(-1), lambda x: 1, (-INF, None)),
    Row("7 log(exp(x) - 3) - x", lambda x: T.log(T.exp(x) - 3), (2, 40, 120, 1000), lambda x: x + log1mexp(math.log(3) - x), lambda x: -1 / expm1(math.log(3) - x), (None, INF)),
    Row("8 1 / (1 + exp(x))", lambda x: 1 / (1 + T.exp(x)), ALL, lambda x: sigma(-x), lambda x: -bell(x), (1, 0)),
    Row("8 reciprocal(1 + exp(x))", lambda x: T.reciprocal(1 + T.exp(x)), ALL, lambda x: sigma(-x), lambda x: -bell(x), (1, 0)),
    Row("8 (1 + exp(x))^-1", lambda x: (1 + T.exp(x)) ** -1, ALL, lambda x: sigma(-x), lambda x: -bell(x), (1, 0)),
    Row("8 (1 + exp(x))^-2", lambda x: (1 + T.exp(x)) ** -2, ALL, lambda x: sigma(-x) ** 2, lambda x: -2 * sigma(-x) * bell(x)),
    Row("8 1 / (1 + exp(x))²", lambda x: 1 / (1 + T.exp(x)) ** 2, ALL, lambda x: sigma(-x) ** 2, lambda x: -2 * sigma(-x) * bell(x), (1, 0)),
    Row("8 1 - 1 / (1 + exp(x))", lambda x: 1 - 1 / (1 + T.exp(x)), ALL, sigma, bell, (0, 1)),
    Row("9 exp(x) / (1 + exp(x))", lambda x: T.exp(x) / (1 + T.exp(x)), ALL, sigma, bell, (0, 1)),
    Row("9 2 exp(x) / (1 + exp(x))", lambda x: 2 * T.exp(x) / (1 + T.exp(x)), ALL, lambda x: 2 * sigma(x), lambda x: 2 * bell(x)),
    Row("9 3 / (1 + exp(x))", lambda x: 3 / (1 + T.exp(x)), ALL, lambda x: 3 * sigma(-x), lambda x: -3 * bell(x), (3, 0)),
    Row("9 -1 / (1 + exp(x))", lambda x: -1 / (1 + T.exp(x)), ALL, lambda x: -sigma(-x), bell),
    Row("9 x / (1 + exp(-x))", lambda x: x / (1 + T.exp(-x)), (-120, -40, -1, -E20, 0, E20, 1, 40, 1000), lambda x: x * sigma(x), lambda x: sigma(x) + x * bell(x)),
    Row("9 1 / (1 + 1 / exp(x))", lambda x: 1 / (1 + 1 / T.exp(x)), ALL, sigma, bell, (0, 1)),
    Row("9 exp(x) / (exp(x) + 3)", lambda x: T.exp(x) / (T.exp(x) + 3), ALL, lambda x: sigma(x - math.log(3)), lambda x: bell(x - math.log(3))),
    Row("9 exp(x) / (1 + exp(x))²", lambda x: T.exp(x) / (1 + T.exp(x)) ** 2, ALL, bell, lambda x: -bell(x) * math.tanh(x / 2)),
    Row("9 2 / (1 + exp(-2x)) - 1", lambda x: 2 / (1 + T.exp(-2 * x)) - 1, ALL, math.tanh, lambda x: 4 * bell(2 * x), (-1, 1)),
    Row("10 exp(x) sigmoid(-x)", lambda x: T.exp(x) * T.sigmoid(-x), ALL, sigma, bell, (0, 1)),
    Row("10 exp(-x) sigmoid(x)", lambda x: T.exp(-x) * T.sigmoid(x), ALL, lambda x: sigma(-x), lambda x: -bell(x), (1, 0)),
    Row("10 3 (5 exp(x)) (2 sigmoid(-x))", lambda x: 3 * (T.exp(x) * 5) * (2 * T.sigmoid(-x)), ALL, lambda x: 30 * sigma(x), lambda x: 30 * bell(x)),
    Row("10 -(2 exp(x)) -sigmoid(-x)", lambda x: -(2 * T.exp(x)) * -T.sigmoid(-x), ALL, lambda x: 2 * sigma(x), lambda x: 2 * bell(x)),
    Row("10 sigmoid(-x) (sigmoid(x) (2 exp(x)))", lambda x: T.sigmoid(-x) * (T.sigmoid(x) * (T.exp(x) * 2)), ALL, lambda x: 2 * sigma(x) ** 2, lambda x: 4 * sigma(x) * bell(x)),
    Row("10 exp(x) / (1 / sigmoid(-x))", lambda x: T.exp(x) / (1 / T.sigmoid(-x)), ALL, sigma, bell),
    Row("10 sigmoid(x) / exp(x)", lambda x: T.sigmoid(x) / T.exp(x), ALL, lambda x: sigma(-x), lambda x: -bell(x), (1, 0)),
    Row("11 1 - sigmoid(x)", lambda x: 1 - T.sigmoid(x), ALL, lambda x: sigma(-x), lambda x: -bell(x), (1, 0)),
    Row("11 1 - sigmoid(-x)", lambda x: 1 - T.sigmoid(-x), ALL, sigma, bell, (0, 1)),
    Row("11 sigmoid(x) - 1", lambda x: T.sigmoid(x) - 1, ALL, lambda x: -sigma(-x), bell),
    Row("11 sigmoid(x) (1 - sigmoid(x))", lambda x: T.sigmoid(x) * (1 - T.sigmoid(x)), ALL, bell, lambda x: -bell(x) * math.tanh(x / 2), (0, 0)),
    Row("11 sigmoid(x) / (1 - sigmoid(x))", lambda x: T.sigmoid(x) / (1 - T.sigmoid(x)), BELOW_40, exp, exp, (0, INF)),
    Row("11 (1 - sigmoid(x)) / sigmoid(x)", lambda x: (1 - T.sigmoid(x)) / T.sigmoid(x), [-x for x in BELOW_40], lambda x: exp(-x), lambda x: -exp(-x), (INF, 0)),
    Row("11 log odds", lambda x: T.log(T.sigmoid(x) / (1 - T.sigmoid(x))), ALL, lambda x: x, lambda x: 1, (-INF, INF)),
    Row("11 log sigmoid(x) - log(1 - sigmoid(x))", lambda x: T.log(T.sigmoid(x)) - T.log(1 - T.sigmoid(x)), ALL, lambda x: x, lambda x: 1, (-INF, INF)),
    Row("11 logit(sigmoid(x))", lambda x: T.logit(T.sigmoid(x)), (-20, -1, 0, 1, 10), lambda x: x, lambda x: 1, (-INF, INF)),
    Row("11 sigmoid(log(x / (1 - x)))", lambda x: T.sigmoid(T.log(x / (1 - x))), UNIT, lambda x: x, lambda x: 1),
    Row("11 sigmoid(log(x) - log(1 - x))", lambda x: T.sigmoid(T.log(x) - T.log(1 - x)), UNIT, lambda x: x, lambda x: 1),
    Row("12 log(exp(x) + exp(x + 1))", lambda x: T.log(T.exp(x) + T.exp(x + 1)), ALL, lambda x: x + splus(1), lambda x: 1, (-INF, INF)),
    Row("12 log(exp(x) + exp(2x))", lambda x: T.log(T.exp(x) + T.exp(2 * x)), ALL, lambda x: logadd(x, 2 * x), lambda x: 1 + sigma(x)),
    Row("12 log(exp(x) + exp(x) + exp(x + 1))", lambda x: T.log(T.exp(x) + T.exp(x) + T.exp(x + 1)), ALL, lambda x: x + logadd(LN2, 1), lambda x: 1, (-INF, INF)),
    Row("12 log(exp(x) + exp(2x) + exp(x + 1))", lambda x: T.log(T.exp(x) + T.exp(2 * x) + T.exp(x + 1)), ALL, lambda x: logadd(x + splus(1), 2 * x), lambda x: 1 + sigma(x - splus(1))),
    Row("12 log(exp(x) + exp(2x) + 1)", lambda x: T.log(T.exp(x) + T.exp(2 * x) + 1), ALL, lambda x: splus(logadd(x, 2 * x)), lambda x: sigma(logadd(x, 2 * x)) * (1 + sigma(x)), (0, INF)),
    Row("12 log(exp(x) / 2 + exp(-x) / 4)", lambda x: T.log(0.5 * T.exp(x) + 0.25 * T.exp(-x)), ALL, lambda x: logadd(x - LN2, -x - 2 * LN2), lambda x: math.tanh(x + LN2 / 2), (INF, INF)),
    Row("12 log1p(exp(x) + exp(2x))", lambda x: T.log1p(T.exp(x) + T.exp(2 * x)), ALL, lambda x: splus(logadd(x, 2 * x)), lambda x: sigma(logadd(x, 2 * x)) * (1 + sigma(x))),
    *(Row(f"18 binary_crossentropy(sigmoid(x), {t})", lambda x, t=t: T.nnet.binary_crossentropy(T.sigmoid(x), t), ALL, lambda x, t=t: t * splus(-x) + (1 - t) * splus(x), lambda x, t=t: (1 - t) * sigma(x) - t * sigma(-x)) for t in (0.0, 0.3, 1.0)),
    Row("18 the same with exponentials", lambda x: T.nnet.binary_crossentropy(1 / (1 + T.exp(-x)), 1.0), ALL, lambda x: splus(-x), lambda x: -sigma(-x)),
    Row("19 1 + erf(x)", lambda x: 1 + T.erf(x), ALL, lambda x: math.erfc(-x), density, (0, 2)),
    Row("19 erf(x) + 1", lambda x: T.erf(x) + 1, ALL, lambda x: math.erfc(-x), density),
    Row("19 1 - erf(x)", lambda x: 1 - T.erf(x), ALL, math.erfc, lambda x: -density(x), (2, 0)),
    Row("19 erf(x) - 1", lambda x: T.erf(x) - 1, ALL, lambda x: -math.erfc(x), density),
    Row("19 -erf(x) + 1", lambda x: -T.erf(x) + 1, ALL, math.erfc, lambda x: -density(x)),
    Row("19 -1 - erf(x)", lambda x: -1 - T.erf(x), ALL, lambda x: -math.erfc(-x), lambda x: -density(x)),
    Row("19 -(1 + erf(x))", lambda x: -(1 + T.erf(x)), ALL, lambda x: -math.erfc(-x), lambda x: -density(x)),
    Row("19 1 - erf(-x)", lambda x: 1 - T.erf(-x), ALL, lambda x: math.erfc(-x), density),
    Row("19 0.5 (1 + erf(x))", lambda x: 0.5 * (1 + T.erf(x)), ALL, lambda x: 0.5 * math.erfc(-x), lambda x: 0.5 * density(x)),
    Row("19 0.5 + 0.5 erf(x)", lambda x: 0.5 + 0.5 * T.erf(x), ALL, lambda x: 0.5 * math.erfc(-x), lambda x: 0.5 * density(x)),
    Row("19 0.5 - erf(x) / 2", lambda x: 0.5 - T.erf(x) / 2, ALL, lambda x: 0.5 * math.erfc(x), lambda x: -0.5 * density(x)),
    Row("19 1 - erfc(x)", lambda x: 1 - T.erfc(x), ALL, math.erf, density, (-1, 1)),
    Row("19 erfc(x) - 1", lambda x: T.erfc(x) - 1, ALL, lambda x: -math.erf(x), lambda x: -density(x), (1, -1)),
    Row("19 -1 + erfc(x)", lambda x: -1 + T.erfc(x), ALL, lambda x: -math.erf(x), lambda x: -density(x)),
    Row("19 -erfc(x) + 1", lambda x: -T.erfc(x) + 1, ALL, math.erf, density),
    Row("19 erfc(-x) - 1", lambda x: T.erfc(-x) - 1, ALL, math.erf, density),
    Row("19 2 - erfc(x)", lambda x: 2 - T.erfc(x), ALL, lambda x: math.erfc(-x), density, (0, 2)),
    Row("19 erfc(x) - 2", lambda x: T.erfc(x) - 2, ALL, lambda x: -math.erfc(-x), lambda x: -density(x)),
    Row("20 log(erfc(x))", lambda x: T.log(T.erfc(x)), ALL, log_erfc, log_erfc_slope, (LN2, -INF)),
    Row("20 log(1 - erf(x))", lambda x: T.log(1 - T.erf(x)), ALL, log_erfc, log_erfc_slope),
    Row("20 log1p(-erf(x))", lambda x: T.log1p(-T.erf(x)), ALL, log_erfc, log_erfc_slope),
    Row("20 log(erfc(-x))", lambda x: T.log(T.erfc(-x)), ALL, lambda x: log_erfc(-x), lambda x: -log_erfc_slope(-x), (-INF, LN2)),
    Row("20 log(0.5 erfc(-x/√2))", lambda x: T.log(0.5 * T.erfc(-x / math.sqrt(2))), ALL, log_cdf, log_cdf_slope, (-INF, 0)),
    Row("20 log(0.5 + 0.5 erf(x/√2))", lambda x: T.log(0.5 + 0.5 * T.erf(x / math.sqrt(2))), ALL, log_cdf, log_cdf_slope),
    Row("20 log(ndtr(x))", lambda x: T.log(T.ndtr(x)), ALL, log_cdf, log_cdf_slope, (-INF, 0)),
    Row("20 log(3 erfc(x))", lambda x: T.log(3 * T.erfc(x)), ALL, lambda x: log_erfc(x) + math.log(3), log_erfc_slope),
    Row("20 exp(-x²) / erfc(x)", lambda x: T.exp(-(x**2)) / T.erfc(x), ALL, lambda x: 1 / erfcx(x), None),
    Row("20 3 exp(-x x) / erfc(x)", lambda x: 3 * T.exp(-x * x) / T.erfc(x), ALL, lambda x: 3 / erfcx(x), None),
    Row("20 exp(x²) erfc(x)", lambda x: T.exp(T.sqr(x)) * T.erfc(x), (-5, -1, 0, 1, 5, 20, 40, 1000), erfcx, None, (INF, 0)),
    Row("21 log(√x)", lambda x: T.log(T.sqrt(x)), MAGNITUDES, lambda x: 0.5 * math.log(x), lambda x: 0.5 / x, (None, INF)),
    Row("21 log(1 / x)", lambda x: T.log(1 / x), MAGNITUDES, lambda x: -math.log(x), lambda x: -1 / x, (None, -INF)),
    Row("21 log(x²)", lambda x: T.log(x**2), MAGNITUDES, lambda x: 2 * math.log(x), lambda x: 2 / x, (INF, INF)),
    Row("21 log((-x)²)", lambda x: T.log(T.sqr(-x)), MAGNITUDES, lambda x: 2 * math.log(x), lambda x: 2 / x, (INF, INF)),
    Row("21 log(x³)", lambda x: T.log(x**3), MAGNITUDES, lambda x: 3 * math.log(x), lambda x: 3 / x, (None, INF)),
    Row("21 log(exp(x)^3.7)", lambda x: T.log(T.exp(x) ** 3.7), ALL, lambda x: 3.7 * x, lambda x: 3.7, (-INF, INF)),
    Row("21 log(exp(x))", lambda x: T.log(T.exp(x)), ALL, lambda x: x, lambda x: 1, (-INF, INF)),
    Row("21 log(exp(x) / 3)", lambda x: T.log(T.exp(x) / 3), ALL, lambda x: x - math.log(3), lambda x: 1, (-INF, INF)),
    Row("21 log(3 / exp(x))", lambda x: T.log(3 / T.exp(x)), ALL, lambda x: math.log(3) - x, lambda x: -1, (INF, -INF)),
    Row("21 log(exp(x) exp(-2x))", lambda x: T.log(T.exp(x) * T.exp(-2 * x)), ALL, lambda x: -x, lambda x: -1),
    Row("21 log(exp(x) / exp(3x))", lambda x: T.log(T.exp(x) / T.exp(3 * x)), ALL, lambda x: -2 * x, lambda x: -2),
    Row("21 log(x exp(-x))", lambda x: T.log(x * T.exp(-x)), ABOVE, lambda x: math.log(x) - x, lambda x: 1 / x - 1),
    Row("21 log(sigmoid(x) / x)", lambda x: T.log(T.sigmoid(-x) / x), ABOVE, lambda x: -splus(x) - math.log(x), lambda x: -sigma(x) - 1 / x),
    Row("22 log(kv(0.5, x))", lambda x: T.log(T.kv(0.5, x)), (1, 5, 40, 120, 1000), lambda x: 0.5 * math.log(math.pi / 2 / x) - x, lambda x: -0.5 / x - 1),
    Row("22 log(kve(0.5, x) exp(-x))", lambda x: T.log(T.kve(0.5, x) * T.exp(-x)), (1, 5, 40, 120, 1000), lambda x: 0.5 * math.log(math.pi / 2 / x) - x, lambda x: -0.5 / x - 1),
    Row("22 log(iv(0.5, x))", lambda x: T.log(T.iv(0.5, x)), (1, 5, 40, 120, 1000), lambda x: x + log1mexp(-2 * x) - 0.5 * math.log(2 * math.pi * x), lambda x: 1 / math.tanh(x) - 0.5 / x),
    Row("22 log(ive(0.5, x) exp(|x|))", lambda x: T.log(T.ive(0.5, x) * T.exp(abs(x))), (1, 5, 40, 120, 1000), lambda x: x + log1mexp(-2 * x) - 0.5 * math.log(2 * math.pi * x), lambda x: 1 / math.tanh(x) - 0.5 / x),
    Row("23 √(x²)", lambda x: T.sqrt(T.sqr(x)), (-1e30, -1, -1e-30, 0, 1e-30, 1, 1e30), abs, lambda x: np.sign(x), (INF, INF)),
    Row("23 |x|", lambda x: abs(x), ALL, abs, lambda x: np.sign(x), (INF, INF)),
    Row("23 x √x", lambda x: x * T.sqrt(x), (0, 1e-20, 1, 1000), lambda x: x * math.sqrt(x), lambda x: 1.5 * math.sqrt(x), (None, INF)),
    Row("23 x^0", lambda x: x**0, ALL, lambda x: 1, lambda x: 0),
    Row("23 x²", lambda x: x**2, ALL, lambda x: x * x, lambda x: 2 * x),
    Row("24 switch(x > 0, log(x), 0)", lambda x: T.switch(T.gt(x, 0), T.log(x), 0), ALL, lambda x: math.log(x) if x > 0 else 0, lambda x: 1 / x if x > 0 else 0),
    Row("24 switch(x > 0, √x, 0)", lambda x: T.switch(T.gt(x, 0), T.sqrt(x), 0), ALL, lambda x: math.sqrt(x) if x > 0 else 0, lambda x: 0.5 / math.sqrt(x) if x > 0 else 0),
    Row("24 switch(x <= 0, 0, x log(x))", lambda x: T.switch(T.le(x, 0), 0, x * T.log(x)), ALL, lambda x: x * math.log(x) if x > 0 else 0, lambda x: math.log(x) + 1 if x > 0 else 0),
    Row("24 switch(x = 0, 1, sin(x) / x)", lambda x: T.switch(T.eq(x, 0), 1, T.sin(x) / x), (-1, 0, 1), lambda x: math.sin(x) / x if x else 1, lambda x: math.cos(x) / x - math.sin(x) / x**2 if x else 0),
    Row("24 x 2 / x", lambda x: x * 2.0 / x, ALL, lambda x: 2, None),
    Row("24 x / (3e30 x) x", lambda x: x / (3e30 * x) * x, (1e20, 1e-20), lambda x: x / 3e30, None),
]  # fmt: skip

assert len({row.name for row in ROWS}) == len(ROWS)
