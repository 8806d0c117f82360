"""Distributions over whole numbers, as functions of a key: ranges, trials, counts.

They are made like those of :mod:`workbench.core.ops.distributions`, whose text says what
holds for all. The dtype is int64 by default. No gradient passes through a count.

Read next: :mod:`workbench.core.ops.choices`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.errors import DTypeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops import mathematics as m
from workbench.core.ops import random as bits
from workbench.core.ops.draws import (
    Draw,
    as_dtype,
    check,
    float_dtype,
    not_negative,
    positive,
    probability,
)
from workbench.core.ops.ufunc import cast, kind


def integers(
    key: Any,
    shape: Any = None,
    low: Any = 0,
    high: Any = None,
    dtype: str = "int64",
    endpoint: bool = False,
    ndim: int | None = None,
) -> Variable:
    """Whole numbers in [low, high), each as likely; [0, low) where `high` is not given.

    With `endpoint` `high` is one of them. Probabilities differ by less than 2^-64 of
    themselves. An empty range that is not known while building gives `low`.

    Raises
    ------
    ParameterError
        The range is known and empty, or does not fit `dtype`.
    """
    if high is None:
        low, high = 0, low
    dtype = np.dtype(dtype).name
    if kind(dtype) not in "iub":
        raise DTypeError(f"integers gives whole numbers; got dtype={dtype}.")
    _check_range(low, high, dtype, endpoint)
    arrays = [end for end in (low, high) if not isinstance(end, int)]
    draw = Draw(key, shape, *arrays, ndim=ndim)
    # Modulo 2^64, where all differences of 64-bit numbers are right.
    start = _modular(low)
    if not arrays:
        count = high - low + endpoint
        whole = draw.bits() if count == 2**64 else draw.below(_modular(count))
    else:
        size = ew.sub(_modular(high), start)
        whole = _up_to(draw, size) if endpoint else draw.below(size)
    return cast(ew.add(start, whole), dtype)


def _up_to(draw: Draw, last: Variable) -> Variable:
    """Whole numbers in [0, last], where all 2^64 may be asked for."""
    size = ew.add(last, np.uint64(1))
    return ew.switch(ew.eq(size, np.uint64(0)), draw.bits(), draw.below(size))


def _modular(value: Any) -> Variable:
    """A whole number modulo 2^64."""
    if isinstance(value, int):
        return as_variable(np.uint64(value % 2**64))
    made = as_variable(value)
    if kind(made.dtype) not in "iub":
        raise DTypeError(
            f"the ends of a range are whole; {made.label()} is {made.dtype}."
        )
    return cast(cast(made, "int64") if kind(made.dtype) == "b" else made, "uint64")


def _check_range(low: Any, high: Any, dtype: str, endpoint: bool) -> None:
    fewest = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    check(low, lambda a: a >= fewest[0], f"low must fit {dtype}")
    check(
        high,
        lambda a: a.astype(object) <= fewest[1] + (not endpoint),
        f"high must fit {dtype}",
    )
    if not isinstance(low, Variable):
        start = np.asarray(low)
        above = (lambda a: a >= start) if endpoint else lambda a: a > start
        check(high, above, f"the range is empty: low is {low}, and high must be above")


def bernoulli(
    key: Any,
    shape: Any = None,
    p: Any = 0.5,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """1 with probability `p`, else 0."""
    check(p, probability, "p must be in [0, 1]")
    draw = Draw(key, shape, p, ndim=ndim)
    inner = float_dtype(None, p)
    return cast(ew.lt(draw.uniform(inner), as_dtype(p, inner)), dtype)


def geometric(
    key: Any,
    shape: Any = None,
    p: Any = 0.5,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """The number of the first success, from 1 on, in trials of probability `p` in (0, 1]."""
    check(p, lambda a: (a > 0) & (a <= 1), "p must be in (0, 1]")
    e = Draw(key, shape, p, ndim=ndim).exponential("float64")
    rate = ew.neg(m.log1p(ew.neg(as_dtype(p, "float64"))))
    return cast(ew.maximum(ew.ceil(ew.true_div(e, rate)), 1), dtype)


def logseries(
    key: Any,
    shape: Any = None,
    p: Any = 0.5,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """A positive integer k with probability proportional to p^k / k. Kemp (1981)."""
    check(p, lambda a: (a > 0) & (a < 1), "p must be in (0, 1)")
    draw = Draw(key, shape, p, ndim=ndim)
    u, e = draw.uniform("float64"), draw.exponential("float64", 1)
    r = m.log1p(ew.neg(as_dtype(p, "float64")))
    # 1 - (1 - p)^u, of which k - 1 powers are as large as a uniform number.
    q = ew.neg(m.expm1(ew.mul(r, ew.sub(1, u))))
    return cast(ew.add(1, ew.floor(ew.true_div(e, ew.neg(m.log(q))))), dtype)


def poisson(
    key: Any,
    shape: Any = None,
    lam: Any = 1.0,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """A count of mean `lam`."""
    check(lam, not_negative, "lam must not be negative")
    return cast(
        Draw(key, shape, lam, ndim=ndim).sampled(bits.DrawPoisson(), lam), dtype
    )


def binomial(
    key: Any,
    shape: Any = None,
    n: Any = 1,
    p: Any = 0.5,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """How many of `n` trials succeed, each with probability `p`."""
    if isinstance(n, int) and n == 1:
        return bernoulli(key, shape, p, dtype, ndim)
    check(n, not_negative, "n must not be negative")
    check(p, probability, "p must be in [0, 1]")
    draw = Draw(key, shape, n, p, ndim=ndim)
    return cast(draw.sampled(bits.DrawBinomial(), n, p), dtype)


def negative_binomial(
    key: Any,
    shape: Any = None,
    n: Any = 1,
    p: Any = 0.5,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """Failures before the n-th success: Poisson of mean g (1 - p) / p for gamma g of shape n."""
    check(n, positive, "n must be positive")
    check(p, lambda a: (a > 0) & (a <= 1), "p must be in (0, 1]")
    draw = Draw(key, shape, n, p, ndim=ndim)
    q = as_dtype(p, "float64")
    mean = ew.mul(draw.gamma(n, 1), ew.true_div(ew.sub(1, q), q))
    return cast(draw.sampled(bits.DrawPoisson(), mean), dtype)


def hypergeometric(
    key: Any,
    shape: Any = None,
    ngood: Any = 1,
    nbad: Any = 1,
    nsample: Any = 1,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """How many are good of `nsample` taken without replacement from ngood and nbad."""
    for count in (ngood, nbad, nsample):
        check(count, not_negative, "counts must not be negative")
    draw = Draw(key, shape, ngood, nbad, nsample, ndim=ndim)
    made = draw.sampled(bits.DrawHypergeometric(), ngood, nbad, nsample)
    return cast(made, dtype)


def zipf(
    key: Any,
    shape: Any = None,
    a: Any = 2.0,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """A positive integer k with probability proportional to k^-a, a > 1."""
    check(a, lambda value: value > 1, "a must be greater than 1")
    return cast(Draw(key, shape, a, ndim=ndim).sampled(bits.DrawZipf(), a), dtype)
