"""Distributions as functions of a key, without hidden state: equal keys give equal numbers.

``uniform(key, (3, 4))`` is an expression like any other. Names and parameters are those of
``numpy.random.Generator``; a key and a shape come first. Parameters may be arrays, which
broadcast to the shape; without a shape, theirs is taken. ``dtype`` is floatX by default, or
wider where a parameter's array is.

A parameter outside its domain is an error while the expression is built when it is a
constant, and when it is run for those that need several attempts (gamma, poisson, binomial
and what is made of them); elsewhere it gives what the formula gives.

Gradients pass through all parameters of continuous distributions but the concentration of
vonmises, which has none and says so. They do not pass through a count.

Read next: :mod:`workbench.core.ops.choices`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workbench.core.errors import ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops import mathematics as m
from workbench.core.ops import random as bits
from workbench.core.ops import reduction
from workbench.core.ops.draws import (
    SPLIT_LANE,
    Draw,
    as_dtype,
    as_key,
    check,
    float_dtype,
    not_negative,
    positive,
)
from workbench.core.ops.factorizations import cholesky
from workbench.core.ops.joining import stack
from workbench.core.ops.nnet import softmax
from workbench.core.ops.shape import dimshuffle
from workbench.core.ops.ufunc import cast

# --- keys --------------------------------------------------------------------------------


def split(key: Any, n: int = 2) -> Variable:
    """`n` keys for independent streams: uint64 [n, 2], from the bits of `key` itself."""
    draw = Draw(key, (n,))
    words = draw.bits(SPLIT_LANE)
    return stack([words, ew.mul(words, np.uint64(0))], axis=1)


def advance(key: Any, calls: int = 1) -> Variable:
    """The key after so many more draws; a stream's next state."""
    return ew.add(as_key(key), np.array([0, calls], "uint64"))


# --- standard numbers, moved -------------------------------------------------------------


def random_bits(key: Any, shape: Any = ()) -> Variable:
    """64 random bits an element, uint64."""
    return Draw(key, shape).bits()


def uniform(
    key: Any,
    shape: Any = None,
    low: Any = 0.0,
    high: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """low + (high - low) u for u in [0, 1).

    `u` has 53 random bits; 24 in float32, 11 in float16. The result may round to `high`.

    Examples
    --------
    >>> from workbench.core.ops.draws import key
    >>> uniform(key(1), (2, 2)).eval().round(4)
    array([[0.8851, 0.6732],
           [0.3581, 0.93  ]])
    """
    dtype = float_dtype(dtype, low, high)
    u = Draw(key, shape, low, high, ndim=ndim).uniform(dtype)
    if _is(low, 0) and _is(high, 1):
        return u
    low, high = as_dtype(low, dtype), as_dtype(high, dtype)
    return ew.add(low, ew.mul(ew.sub(high, low), u))


def _is(value: Any, number: float) -> bool:
    return isinstance(value, int | float) and value == number


def normal(
    key: Any,
    shape: Any = None,
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc + scale z for standard normal z."""
    draw, dtype = _spread(key, shape, loc, scale, dtype, ndim)
    return _moved(draw.normal(dtype), loc, scale)


def _spread(
    key: Any, shape: Any, loc: Any, scale: Any, dtype: str | None, ndim: int | None
) -> tuple[Draw, str]:
    """A draw whose numbers will be moved by `loc` and `scale`, and the dtype they have."""
    check(scale, not_negative, "scale must not be negative")
    return Draw(key, shape, loc, scale, ndim=ndim), float_dtype(dtype, loc, scale)


def _moved(standard: Variable, loc: Any, scale: Any) -> Variable:
    """loc + scale times a standard number."""
    if not _is(scale, 1):
        standard = ew.mul(as_dtype(scale, standard.dtype), standard)
    return standard if _is(loc, 0) else ew.add(as_dtype(loc, standard.dtype), standard)


def truncated_normal(
    key: Any,
    shape: Any = None,
    loc: Any = 0.0,
    scale: Any = 1.0,
    lower: float = -2.0,
    upper: float = 2.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc + scale z for standard normal z in [lower, upper], which are numbers.

    z is the point where the distribution reaches a uniform level; further out than 8.2 on one
    side there are none.
    """
    draw, dtype = _spread(key, shape, loc, scale, dtype, ndim)
    check(upper, lambda a: a > lower, f"upper must be above lower, {lower}")
    # On the left half, where levels are fine; mirrored when all of the interval is right.
    mirrored = lower > 0
    ends = (-upper, -lower) if mirrored else (lower, upper)
    start, end = (math.erfc(-x / math.sqrt(2)) / 2 for x in ends)
    level = ew.add(start, ew.mul(draw.uniform("float64"), end - start))
    z = ew.clip(bits.NormalPoint()(ew.clip(level, 2.0**-64, 1 - 2.0**-53)), *ends)
    return _moved(cast(ew.neg(z) if mirrored else z, dtype), loc, scale)


def exponential(
    key: Any,
    shape: Any = None,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """scale times a standard exponential number."""
    check(scale, not_negative, "scale must not be negative")
    dtype = float_dtype(dtype, scale)
    return _moved(Draw(key, shape, scale, ndim=ndim).exponential(dtype), 0, scale)


def laplace(
    key: Any,
    shape: Any = None,
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc + scale (e - e'), the difference of two exponentials."""
    draw, dtype = _spread(key, shape, loc, scale, dtype, ndim)
    e = ew.sub(draw.exponential(dtype), draw.exponential(dtype, 1))
    return _moved(e, loc, scale)


def gumbel(
    key: Any,
    shape: Any = None,
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc - scale log(e) for exponential e."""
    draw, dtype = _spread(key, shape, loc, scale, dtype, ndim)
    e = draw.exponential(dtype)
    return _moved(ew.neg(m.log(_above_zero(e))), loc, scale)


def _above_zero(e: Variable) -> Variable:
    """An exponential, where it rounded to 0 the least it can be: its logarithm stays finite."""
    return ew.maximum(
        e, np.array(2.0**-64 if e.dtype != "float16" else 2.0**-24, e.dtype)
    )


def logistic(
    key: Any,
    shape: Any = None,
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc + scale log(e / e') for two exponentials."""
    draw, dtype = _spread(key, shape, loc, scale, dtype, ndim)
    over, under = (_above_zero(draw.exponential(dtype, lane)) for lane in (0, 1))
    return _moved(ew.sub(m.log(over), m.log(under)), loc, scale)


def cauchy(
    key: Any,
    shape: Any = None,
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc + scale z / z' for two normal numbers."""
    draw, dtype = _spread(key, shape, loc, scale, dtype, ndim)
    ratio = ew.true_div(draw.normal(dtype), draw.normal(dtype, 1))
    return _moved(ratio, loc, scale)


def lognormal(
    key: Any,
    shape: Any = None,
    mean: Any = 0.0,
    sigma: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """exp(mean + sigma z) for standard normal z."""
    check(sigma, not_negative, "sigma must not be negative")
    return m.exp(normal(key, shape, mean, sigma, dtype, ndim))


def weibull(
    key: Any,
    shape: Any = None,
    a: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """e^(1/a) for exponential e."""
    check(a, positive, "a must be positive")
    dtype = float_dtype(dtype, a)
    e = Draw(key, shape, a, ndim=ndim).exponential(dtype)
    return m.pow(e, ew.reciprocal(as_dtype(a, dtype)))


def pareto(
    key: Any,
    shape: Any = None,
    a: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """exp(e / a) - 1 for exponential e: Pareto II, from 0 on, as in NumPy."""
    check(a, positive, "a must be positive")
    dtype = float_dtype(dtype, a)
    e = Draw(key, shape, a, ndim=ndim).exponential(dtype)
    return m.expm1(ew.true_div(e, as_dtype(a, dtype)))


def power(
    key: Any,
    shape: Any = None,
    a: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """In [0, 1] with density a x^(a - 1)."""
    check(a, positive, "a must be positive")
    dtype = float_dtype(dtype, a)
    e = Draw(key, shape, a, ndim=ndim).exponential(dtype)
    return m.exp(ew.neg(ew.true_div(e, as_dtype(a, dtype))))


def rayleigh(
    key: Any,
    shape: Any = None,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """scale sqrt(2 e) for exponential e."""
    check(scale, not_negative, "scale must not be negative")
    dtype = float_dtype(dtype, scale)
    e = Draw(key, shape, scale, ndim=ndim).exponential(dtype)
    return _moved(m.sqrt(ew.add(e, e)), 0, scale)


def triangular(
    key: Any,
    shape: Any = None,
    left: Any = 0.0,
    mode: Any = 0.5,
    right: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """In [left, right] with a density that rises to `mode` and falls again, in straight lines."""
    dtype = float_dtype(dtype, left, mode, right)
    u = Draw(key, shape, left, mode, right, ndim=ndim).uniform(dtype)
    left, mode, right = (as_dtype(p, dtype) for p in (left, mode, right))
    width = ew.sub(right, left)
    rise, fall = ew.sub(mode, left), ew.sub(right, mode)
    up = ew.add(left, m.sqrt(ew.mul(u, width, rise)))
    down = ew.sub(right, m.sqrt(ew.mul(ew.sub(1, u), width, fall)))
    return ew.switch(ew.le(ew.mul(u, width), rise), up, down)


def wald(
    key: Any,
    shape: Any = None,
    mean: Any = 1.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """The inverse Gaussian distribution. Michael, Schucany and Haas (1976)."""
    check(mean, positive, "mean must be positive")
    check(scale, positive, "scale must be positive")
    dtype = float_dtype(dtype, mean, scale)
    draw = Draw(key, shape, mean, scale, ndim=ndim)
    z, u = draw.normal(dtype), draw.uniform(dtype, 1)
    mean = as_dtype(mean, dtype)
    # The smaller root of a quadratic, without the cancellation of its textbook form.
    y = ew.true_div(ew.mul(mean, ew.mul(z, z)), as_dtype(scale, dtype))
    root = m.sqrt(ew.mul(y, ew.add(4, y)))
    ratio = ew.true_div(2, ew.add(2, y, root))
    x = ew.mul(mean, ratio)
    return ew.switch(ew.le(ew.mul(u, ew.add(1, ratio)), 1), x, ew.true_div(mean, ratio))


# --- with a gamma variable inside --------------------------------------------------------


def gamma(
    key: Any,
    shape: Any = None,
    a: Any = 1.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """scale times a gamma variable of shape parameter `a`; 0 for a = 0.

    Gradients pass through both (:class:`~workbench.core.ops.random.DrawGamma`).
    """
    check(a, not_negative, "the shape parameter must not be negative")
    check(scale, not_negative, "scale must not be negative")
    dtype = float_dtype(dtype, a, scale)
    draw = Draw(key, shape, a, scale, ndim=ndim)
    return _moved(cast(draw.gamma(a), dtype), 0, scale)


def beta(
    key: Any,
    shape: Any = None,
    a: Any = 1.0,
    b: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """g / (g + g') for gamma variables of shapes `a` and `b`, by their logarithms."""
    for parameter in (a, b):
        check(parameter, positive, "a and b must be positive")
    draw = Draw(key, shape, a, b, ndim=ndim)
    logs = ew.sub(draw.gamma(a, log=True), draw.gamma(b, 1, log=True))
    return cast(m.sigmoid(logs), float_dtype(dtype, a, b))


def chisquare(
    key: Any,
    shape: Any = None,
    df: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """The sum of `df` squares of standard normal numbers; `df` need not be whole."""
    check(df, positive, "df must be positive")
    draw = Draw(key, shape, df, ndim=ndim)
    return cast(_chisquare(draw, df), float_dtype(dtype, df))


def _chisquare(draw: Draw, df: Any, lane: int = 0) -> Variable:
    return ew.mul(2.0, draw.gamma(ew.mul(0.5, as_dtype(df, "float64")), lane))


def noncentral_chisquare(
    key: Any,
    shape: Any = None,
    df: Any = 1.0,
    nonc: Any = 0.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """Chi-square with df + 2 n degrees of freedom, n being Poisson of mean nonc / 2."""
    check(df, positive, "df must be positive")
    check(nonc, not_negative, "nonc must not be negative")
    draw = Draw(key, shape, df, nonc, ndim=ndim)
    n = draw.sampled(bits.DrawPoisson(), ew.mul(0.5, as_dtype(nonc, "float64")), lane=1)
    degrees = ew.add(as_dtype(df, "float64"), ew.mul(2.0, cast(n, "float64")))
    return cast(_chisquare(draw, degrees), float_dtype(dtype, df, nonc))


def f(
    key: Any,
    shape: Any = None,
    dfnum: Any = 1.0,
    dfden: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """The ratio of two chi-square variables, each divided by its degrees of freedom."""
    for df in (dfnum, dfden):
        check(df, positive, "degrees of freedom must be positive")
    draw = Draw(key, shape, dfnum, dfden, ndim=ndim)
    above = ew.true_div(_chisquare(draw, dfnum), as_dtype(dfnum, "float64"))
    under = ew.true_div(_chisquare(draw, dfden, 1), as_dtype(dfden, "float64"))
    return cast(ew.true_div(above, under), float_dtype(dtype, dfnum, dfden))


def standard_t(
    key: Any,
    shape: Any = None,
    df: Any = 1.0,
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """loc + scale z / sqrt(c / df) for normal z and chi-square c: Student's t."""
    check(df, positive, "df must be positive")
    check(scale, not_negative, "scale must not be negative")
    dtype = float_dtype(dtype, df, loc, scale)
    draw = Draw(key, shape, df, loc, scale, ndim=ndim)
    spread = m.sqrt(ew.true_div(_chisquare(draw, df, 1), as_dtype(df, "float64")))
    t = ew.true_div(draw.normal("float64"), spread)
    return _moved(cast(t, dtype), loc, scale)


def vonmises(
    key: Any,
    shape: Any = None,
    mu: Any = 0.0,
    kappa: Any = 1.0,
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """An angle in [-π, π] with density proportional to exp(kappa cos(x - mu))."""
    check(kappa, not_negative, "kappa must not be negative")
    draw = Draw(key, shape, mu, kappa, ndim=ndim)
    angle = ew.add(draw.sampled(bits.DrawVonMises(), kappa), as_dtype(mu, "float64"))
    turned = ew.sub(ew.mod(ew.add(angle, math.pi), 2 * math.pi), math.pi)
    return cast(turned, float_dtype(dtype, mu, kappa))


def dirichlet(
    key: Any,
    shape: Any = None,
    alpha: Any = (1.0, 1.0),
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """Probabilities that sum to 1 along a last axis, as long as that of `alpha`.

    `shape` is that of the other axes; by default those of `alpha`. Gamma variables divided
    by their sum, by their logarithms.
    """
    check(alpha, positive, "alpha must be positive")
    dtype = float_dtype(dtype, alpha)
    a = as_variable(alpha)
    if not a.ndim:
        raise ShapeError(f"dirichlet: alpha needs an axis; {a.label()} is a scalar.")
    draw = Draw(key, _with_last(shape, a, ndim), a)
    return cast(softmax(draw.gamma(a, log=True), axis=-1), dtype)


def _with_last(shape: Any, a: Variable, ndim: int | None) -> Any:
    """A shape with the last axis of `a` behind it."""
    if shape is None:
        return None
    front = Draw(np.zeros(2, "uint64"), shape, ndim=ndim).sizes
    return [
        *front,
        a.shape[a.ndim - 1] if a.type.shape[-1] is None else a.type.shape[-1],
    ]


# --- vectors -----------------------------------------------------------------------------


def multivariate_normal(
    key: Any,
    shape: Any = None,
    mean: Any = (0.0,),
    cov: Any = ((1.0,),),
    dtype: str | None = None,
    ndim: int | None = None,
) -> Variable:
    """mean + L z for standard normal z and the lower Cholesky factor L of `cov`.

    Parameters
    ----------
    shape
        Of the vectors' places; by default that of `mean` without its last axis.
    mean : [..., d]
        Means, which broadcast to the shape.
    cov : [d, d]
        Covariances, positive definite; gradients pass through both.
    """
    dtype = float_dtype(dtype, mean, cov)
    mean, cov = as_dtype(mean, dtype), as_dtype(cov, dtype)
    if not mean.ndim or cov.ndim != 2:
        raise ShapeError(
            f"multivariate_normal takes mean [..., d], cov [d, d]; got {mean.type}, {cov.type}."
        )
    draw = Draw(key, _with_last(shape, mean, ndim), mean)
    z = draw.normal(dtype)
    # L z for every vector: over axes (..., i, j), summed over j.
    factor = cholesky(cov)
    rows = dimshuffle(z, *range(z.ndim - 1), "x", z.ndim - 1)
    return ew.add(mean, reduction.sum(ew.mul(factor, rows), axis=-1))
