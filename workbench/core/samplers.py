"""Distributions that need several attempts or a search, in NumPy over Philox blocks.

Each function takes a key, a counter, the places of the elements and the parameters, all
broadcasting, and gives one number for each place. A rejected element tries again with the
next block of its own (:data:`~workbench.core.philox.ATTEMPT`), so what it becomes does not
depend on its neighbours, nor on which piece of an array is asked for.

Read next: :mod:`workbench.core.ops.random`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from workbench.core import philox
from workbench.core.errors import ParameterError
from workbench.core.types import Array

Proposal = Callable[..., tuple[Array, Array]]
"""From the two halves of a block and the parameters: values, and which are accepted."""

FURTHER = philox.ATTEMPT << 23
"""Added to the index for what is drawn beside all attempts."""

INVERTED = 10
"""Means below this are found by adding up probabilities, which takes about that many steps."""

STEPS = 110
"""No element takes more: with mean 10 the probability beyond is less than 2^-53."""


def sample(propose: Proposal, *arrays: Array) -> Array:
    """Attempts until each element is accepted; `arrays` are key, counter, index, parameters."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    flat = [np.broadcast_to(a, shape).ravel() for a in arrays]
    pieces = range(0, flat[0].size, philox.PIECE)
    made = [
        _attempts(propose, *(a[p : p + philox.PIECE] for a in flat)) for p in pieces
    ]
    return np.concatenate([np.empty(0), *made]).reshape(shape)


def _attempts(propose: Proposal, *arrays: Array) -> Array:
    result = np.empty(arrays[0].size)
    waiting = np.arange(result.size)
    while waiting.size:
        key, counter, index, *parameters = arrays
        blocks = philox.philox(key, counter, index)
        values, accepted = propose(*blocks, *parameters)
        result[waiting[accepted]] = values[accepted]
        waiting = waiting[~accepted]
        arrays = tuple(a[~accepted] for a in arrays)
        arrays = (*arrays[:2], arrays[2] + np.uint64(philox.ATTEMPT), *arrays[3:])
    return result


def fraction(bits: Array) -> Array:
    """53 bits in [0, 1)."""
    return philox.uniform(bits, "float64", 53)


def require(holds: Array, text: str) -> None:
    """Raise unless all elements are true.

    Raises
    ------
    ParameterError
        Where one is not; NaN counts as not.
    """
    if not np.all(holds):
        raise ParameterError(text)


# --- gamma -------------------------------------------------------------------------------


def gamma(key: Array, counter: Array, index: Array, shape: Array, log: bool) -> Array:
    """A gamma variable of scale 1, or its logarithm; 0 where `shape` is 0.

    Below 1 the variable is that of ``shape + 1`` times U^(1/shape), whose logarithm stays
    finite where the variable itself underflows.

    References
    ----------
    Marsaglia and Tsang (2000), A simple method for generating gamma variables.
    """
    require(shape >= 0, "gamma: the shape must not be negative or NaN.")
    with np.errstate(all="ignore"):
        raised = np.where(shape < 1, shape + 1, shape)
        made = sample(_log_gamma, key, counter, index, raised)
        if np.any(shape < 1):
            beside = philox.philox(key, counter, index + np.uint64(FURTHER))[0]
            low = philox.exponential(beside, "float64") / shape
            made = np.where(shape < 1, made - low, made)
        return made if log else np.exp(made)


def _log_gamma(first: Array, second: Array, shape: Array) -> tuple[Array, Array]:
    d = shape - 1 / 3
    x = philox.normal(first, "float64")
    cube = 3 * np.log1p(x / np.sqrt(9 * d))  # NaN, and so rejected, below the pole
    bound = 0.5 * x * x + d * (1 - np.exp(cube) + cube)
    accepted = -philox.exponential(second, "float64") < bound
    return np.log(d) + cube, accepted | np.isinf(shape)


# --- counts ------------------------------------------------------------------------------


def poisson(key: Array, counter: Array, index: Array, mean: Array) -> Array:
    """A Poisson variable.

    References
    ----------
    Hörmann (1993), The transformed rejection method for generating Poisson random
    variables, algorithm PTRS; below a mean of 10 by adding up probabilities.
    """
    require((mean >= 0) & (mean < 2.0**62), "poisson: the mean must be in [0, 2^62).")
    return sample(_poisson, key, counter, index, mean).astype("int64")


def _poisson(first: Array, second: Array, mean: Array) -> tuple[Array, Array]:
    u, v = fraction(first), fraction(second)
    values, accepted = np.empty_like(u), np.ones(u.shape, bool)
    small = mean < INVERTED
    m = mean[small]
    values[small] = _added_up(u[small], np.exp(-m), lambda k: m / (k + 1))
    values[~small], accepted[~small] = _poisson_large(
        u[~small], v[~small], mean[~small]
    )
    return values, accepted


def _added_up(u: Array, start: Array, ratio: Callable[[int], Array]) -> Array:
    """The smallest k whose probabilities from 0 on exceed `u`; `ratio` is p(k + 1) / p(k)."""
    k, p, total = np.zeros_like(u), start.copy(), start.copy()
    for step in range(STEPS):
        beyond = u >= total
        if not beyond.any():
            break
        k += beyond
        p = p * ratio(step)
        total = total + p
    return k


def _poisson_large(u: Array, v: Array, mean: Array) -> tuple[Array, Array]:
    b = 0.931 + 2.53 * np.sqrt(mean)
    a = -0.059 + 0.02483 * b
    alpha = 1.1239 + 1.1328 / (b - 3.4)
    u, v = u - 0.5, 1 - v
    us = 0.5 - np.abs(u)
    with np.errstate(all="ignore"):
        k = np.floor((2 * a / us + b) * u + mean + 0.43)
        log_p = k * np.log(mean) - mean - log_factorial(np.maximum(k, 0))
        exact = np.log(v * alpha / (a / (us * us) + b)) <= log_p
    quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
    outside = (k < 0) | ((us < 0.013) & (v > us)) | ~np.isfinite(k)
    return k, quick | (exact & ~outside)


def binomial(key: Array, counter: Array, index: Array, n: Array, p: Array) -> Array:
    """How many of n trials succeed, each with probability p.

    References
    ----------
    Hörmann (1993), The generation of binomial random variates, algorithm BTRS; below a mean
    of 10 by adding up probabilities.
    """
    require(n >= 0, "binomial: n must not be negative.")
    require((p >= 0) & (p <= 1), "binomial: p must be in [0, 1].")
    turned = np.minimum(p, 1 - p)
    made = sample(_binomial, key, counter, index, n.astype("float64"), turned)
    return np.where(p > 0.5, n - made, made).astype("int64")


def _binomial(first: Array, second: Array, n: Array, p: Array) -> tuple[Array, Array]:
    u, v = fraction(first), fraction(second)
    values, accepted = np.empty_like(u), np.ones(u.shape, bool)
    small = n * p < INVERTED
    trials, odds = n[small], p[small] / (1 - p[small])
    start = np.exp(trials * np.log1p(-p[small]))
    values[small] = _added_up(
        u[small], start, lambda k: np.maximum(trials - k, 0) / (k + 1) * odds
    )
    values[small] = np.minimum(values[small], trials)
    large = ~small
    values[large], accepted[large] = _binomial_large(
        u[large], v[large], n[large], p[large]
    )
    return values, accepted


def _binomial_large(u: Array, v: Array, n: Array, p: Array) -> tuple[Array, Array]:
    deviation = np.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    u, v = u - 0.5, 1 - v
    us = 0.5 - np.abs(u)
    mode = np.floor((n + 1) * p)
    with np.errstate(all="ignore"):
        k = np.floor((2 * a / us + b) * u + n * p + 0.5)
        outside = ~((k >= 0) & (k <= n))
        inside = np.where(outside, mode, k)
        log_p = log_choose(n, inside) - log_choose(n, mode)
        log_p = log_p + (inside - mode) * np.log(p / (1 - p))
        scale = (2.83 + 5.1 / b) * deviation / (a / (us * us) + b)
        exact = np.log(v * scale) <= log_p
    quick = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
    return k, (quick | exact) & ~outside


def hypergeometric(
    key: Array, counter: Array, index: Array, good: Array, bad: Array, drawn: Array
) -> Array:
    """How many of `drawn` things, taken without replacement from `good` and `bad`, are good.

    Probabilities are added up from the mode outwards, in about as many steps as the
    distribution has likely values.
    """
    require(
        (good >= 0) & (bad >= 0) & (drawn >= 0) & (drawn <= good + bad),
        "hypergeometric: counts must not be negative, nor more be drawn than there are.",
    )
    made = sample(_hypergeometric, key, counter, index, good, bad, drawn)
    return made.astype("int64")


def _hypergeometric(
    first: Array, second: Array, good: Array, bad: Array, drawn: Array
) -> tuple[Array, Array]:
    good, bad, drawn = (a.astype("float64") for a in (good, bad, drawn))
    lowest, highest = np.maximum(0, drawn - bad), np.minimum(drawn, good)
    mode = np.floor((drawn + 1) * (good + 1) / (good + bad + 2))
    mode = np.clip(mode, lowest, highest)
    log_p = log_choose(good, mode) + log_choose(bad, drawn - mode)
    p_up = p_down = np.exp(log_p - log_choose(good + bad, drawn))
    rest = fraction(first) - p_up
    up, down, result = mode.copy(), mode.copy(), mode.copy()
    with np.errstate(all="ignore"):
        while (open_ := (rest >= 0) & ((up < highest) | (down > lowest))).any():
            p_up = (
                p_up * (good - up) * (drawn - up) / ((up + 1) * (bad - drawn + up + 1))
            )
            up, p_up = up + 1, np.where(up < highest, p_up, 0)
            result, rest = np.where(open_, up, result), rest - p_up
            below = open_ & (rest >= 0)
            p_down = (
                p_down
                * down
                * (bad - drawn + down)
                / ((good - down + 1) * (drawn - down + 1))
            )
            down, p_down = down - 1, np.where(down > lowest, p_down, 0)
            result = np.where(below, down, result)
            rest = np.where(below, rest - p_down, rest)
    return np.clip(result, lowest, highest), np.ones(result.shape, bool)


def zipf(key: Array, counter: Array, index: Array, a: Array) -> Array:
    """A positive integer k with probability proportional to k^-a.

    References
    ----------
    Devroye (1986), Non-uniform random variate generation, section X.6.1.
    """
    require(a > 1, "zipf: a must be greater than 1.")
    return sample(_zipf, key, counter, index, a).astype("int64")


def _zipf(first: Array, second: Array, a: Array) -> tuple[Array, Array]:
    u, v = 1 - fraction(first), fraction(second)
    with np.errstate(all="ignore"):
        x = np.floor(u ** (-1 / (a - 1)))
        t = np.expm1((a - 1) * np.log1p(1 / x))
        top = np.expm1((a - 1) * math.log(2))
        # Where both are infinite, 1 is the only likely value.
        accepted = (v * x * t / top <= (t + 1) / (top + 1)) | (x == 1) & np.isinf(top)
    return x, accepted & (x < 2.0**63)


# --- on the circle -----------------------------------------------------------------------


def von_mises(key: Array, counter: Array, index: Array, kappa: Array) -> Array:
    """An angle in [-π, π] around 0 with density proportional to exp(kappa cos x).

    References
    ----------
    Best and Fisher (1979), Efficient simulation of the von Mises distribution.
    """
    require(kappa >= 0, "vonmises: kappa must not be negative or NaN.")
    return sample(_von_mises, key, counter, index, kappa)


def _von_mises(first: Array, second: Array, kappa: Array) -> tuple[Array, Array]:
    sign = 1 - 2 * (first & np.uint64(1)).astype("float64")
    u, v = fraction(first), 1 - fraction(second)
    with np.errstate(all="ignore"):
        root = np.sqrt(1 + 4 * kappa * kappa)
        # (r - sqrt(2 r)) / (2 kappa) for r = 1 + root, without its cancellation at 0.
        rho = 2 * kappa / (1 + root + np.sqrt(2 * (1 + root)))
        s = (1 + rho * rho) / (2 * rho)
        z = np.cos(np.pi * u)
        f = (1 + s * z) / (s + z)
        c = kappa * (s - f)
        accepted = (c * (2 - c) > v) | (np.log(c / v) + 1 - c >= 0)
        angle = np.arccos(np.clip(f, -1, 1))
        normal = philox.normal(first, "float64") / np.sqrt(kappa)
    flat, sharp = kappa < 1e-8, kappa > 1e6
    values = np.where(flat, np.pi * u * sign, np.where(sharp, normal, sign * angle))
    return values, accepted | flat | sharp


# --- categories --------------------------------------------------------------------------


def category(u: Array, p: Array) -> Array:
    """The number of the category whose share of [0, 1) along the last axis of `p` holds u.

    `p` [..., k] is divided by its sum; `u` [...] broadcasts with its other axes.
    """
    total = np.cumsum(p, axis=-1, dtype="float64")
    require(p >= 0, "a probability must not be negative or NaN.")
    require(total[..., -1] > 0, "the probabilities must not all be 0.")
    require(np.isfinite(total[..., -1]), "a probability must be finite.")
    edges = total / total[..., -1:]
    if p.size == p.shape[-1]:
        return np.asarray(np.searchsorted(edges.ravel(), u, side="right"), "int64")
    return np.asarray((u[..., None] >= edges).sum(-1), "int64")


def multinomial(key: Array, counter: Array, index: Array, n: Array, p: Array) -> Array:
    """How often each category comes up in n trials: [..., k] for `p` [..., k].

    Category after category takes its binomial share of the trials that are left.
    """
    require(p >= 0, "a probability must not be negative or NaN.")
    rest = np.cumsum(p[..., ::-1], axis=-1, dtype="float64")[..., ::-1]
    shape = np.broadcast_shapes(index.shape, n.shape, p.shape[:-1])
    left = np.broadcast_to(n, shape)
    counts = np.zeros((*shape, p.shape[-1]), "int64")
    for j in range(p.shape[-1] - 1):
        lane = counter + np.uint64(254 * philox.LANE)
        own = philox.philox(key, lane, np.array(j, "uint64"))
        with np.errstate(all="ignore"):
            share = np.nan_to_num(np.minimum(p[..., j] / rest[..., j], 1))
        counts[..., j] = binomial(own[0], counter, index, left, share)
        left = left - counts[..., j]
    counts[..., -1] = left
    return counts


# --- factorials --------------------------------------------------------------------------

_TABLE = np.array([math.lgamma(k + 1) for k in range(64)])


def log_factorial(k: Array) -> Array:
    """log k! for whole k >= 0; beyond a table by Stirling's series, exact to rounding."""
    x = np.maximum(k, 63) + 1
    series = (1 / 12 - (1 / 360 - 1 / (1260 * x * x)) / (x * x)) / x
    stirling = (x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi) + series
    table = _TABLE[np.minimum(k, 63).astype("int64")]
    return np.asarray(np.where(k < 64, table, stirling))


def log_choose(n: Array, k: Array) -> Array:
    """log(n! / (k! (n - k)!))."""
    return np.asarray(log_factorial(n) - log_factorial(k) - log_factorial(n - k))
