"""Rows for special functions, with SciPy or the C library of Python as the reference."""

import math

import numpy as np
from scipy import special

import workbench.tensor as T
from tests.cases.base import (
    BOOL,
    COMPLEXES,
    EXTREMES,
    REAL,
    Case,
    Values,
    binary,
    unary,
)
from workbench.core.ops import bessel, beta, erf, gamma, mathematics, ufunc
from workbench.core.ops import special as sp

REALS = BOOL + REAL
UNIT = Values(0.3, 0.8)
POSITIVE = Values(0.7, 3)
LARGER = Values(1.5, 4)
SINGLE = ("float32", "float64")


def by_libm(function, like):
    """`function` of the math module element by element, in the dtypes of `like`."""

    def one(x):
        try:
            return function(x)
        except (ValueError, OverflowError):
            return like(x)

    def reference(x):
        values = [one(v) for v in np.asarray(x, "float64").flat]
        return np.array(values).reshape(x.shape).astype(like(x).dtype)

    return reference


def gammaln(x):
    """SciPy's function, but for subnormal numbers, of which it makes inf."""
    small = np.abs(x) < 1e-300
    return np.where(small, -np.log(np.abs(x)), special.gammaln(x)).astype(
        special.gammaln(x).dtype
    )


def log_erfc(x):
    """By way of the normal distribution, but for small numbers."""
    with np.errstate(all="ignore"):
        far = math.log(2) + special.log_ndtr(-math.sqrt(2) * x.astype("float64"))
        found = np.where(np.abs(x) < 1, np.log1p(-special.erf(x)), far)
    return found.astype(special.erfc(x).dtype)


def five_point_by(number, function):
    """The derivative of `function` by operand `number`, by differences."""

    def reference(*arrays):
        dtype = np.result_type(*arrays)
        operands = [np.asarray(a, "float64") for a in arrays]
        h = 1e-3 * operands[number]

        def at(k):
            moved = [*operands]
            moved[number] = moved[number] + k * h
            return function(*moved)

        return ((8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)).astype(dtype)

    return reference


def by_op(op):
    """The op itself, where no public function stands for it alone."""
    return lambda *operands: ufunc.apply(op, *operands)


TRIPLES = (
    ((3, 4), (3, 4), (3, 4)),
    ((3, 1), (1, 4), (1, 1)),
    ((0,), (0,), (1,)),
    ((), (), ()),
)

SPECIAL = [
    unary(erf.Erf, T.erf, by_libm(math.erf, special.erf), REALS),
    unary(erf.Erf, T.erf, special.erf, COMPLEXES, note="complex"),
    unary(erf.Erfc, T.erfc, by_libm(math.erfc, special.erfc), REALS, ulps=32),
    unary(erf.Erfcx, T.erfcx, special.erfcx, REALS + COMPLEXES, Values(-1, 2)),
    unary(erf.Erfinv, T.erfinv, special.erfinv, REALS, Values(-0.9, 0.9)),
    unary(erf.Erfcinv, T.erfcinv, special.erfcinv, REALS, Values(0.1, 1.9)),
    unary(erf.Ndtr, T.ndtr, special.ndtr, REALS),
    unary(erf.Ndtri, T.ndtri, special.ndtri, REALS, UNIT),
    unary(erf.LogNdtr, T.log_ndtr, special.log_ndtr, REALS),
    unary(erf.LogErfc, T.log_erfc, log_erfc, REALS),
    binary(erf.OwensT, T.owens_t, special.owens_t, REALS),
    unary(gamma.Gamma, T.gamma, by_libm(math.gamma, special.gamma), REALS, POSITIVE),
    unary(gamma.Gamma, T.gamma, special.gamma, SINGLE, Values(-0.6, -0.4), note="-"),
    unary(
        gamma.Gammaln,
        T.gammaln,
        gammaln,
        REALS,
        POSITIVE,
        ulps=32,
    ),
    unary(gamma.Psi, T.psi, special.psi, REALS + COMPLEXES, POSITIVE),
    binary(
        gamma.Polygamma,
        lambda n, x: T.polygamma(n, x),
        lambda n, x: special.polygamma(n, x).astype(np.result_type(x, "float32")),
        SINGLE,
        (lambda rng, dtype, shape: rng.integers(0, 4, shape).astype(dtype), LARGER),
        differentiable=(1,),
        extremes=(0.0, 1.0, 2.0, 7.0, np.inf, np.nan),
    ),
    binary(
        gamma.Gammainc,
        T.gammainc,
        special.gammainc,
        REALS,
        (POSITIVE, POSITIVE),
        smooth=False,
    ),
    binary(
        gamma.Gammaincc,
        T.gammaincc,
        special.gammaincc,
        REALS,
        (POSITIVE, POSITIVE),
        smooth=False,
    ),
    binary(
        gamma.GammaincByA,
        by_op(gamma.GammaincByA()),
        five_point_by(0, special.gammainc),
        SINGLE,
        (POSITIVE, POSITIVE),
        differentiable=(1,),
        ulps=1e5,
        extremes=(),
    ),
    binary(beta.Beta, T.beta, special.beta, REALS, (POSITIVE, POSITIVE)),
    binary(beta.Betaln, T.betaln, special.betaln, REALS, (POSITIVE, POSITIVE)),
    Case(
        beta.Betainc,
        T.betainc,
        special.betainc,
        TRIPLES,
        SINGLE,
        (POSITIVE, POSITIVE, UNIT),
        (0, 1, 2),
        smooth=False,
        extremes=EXTREMES,
    ),
    *(
        Case(
            beta.BetaincBy,
            by_op(beta.BetaincBy(which)),
            five_point_by(which, special.betainc),
            TRIPLES[:1],
            SINGLE,
            (POSITIVE, POSITIVE, UNIT),
            (2,),
            ulps=1e5,
            note="ab"[which],
        )
        for which in (0, 1)
    ),
    unary(bessel.J0, T.j0, special.j0, REALS),
    unary(bessel.J1, T.j1, special.j1, REALS),
    unary(bessel.I0, T.i0, special.i0, REALS),
    unary(bessel.I1, T.i1, special.i1, REALS),
    *(
        binary(
            op,
            lambda v, x, f=ours: f(v, x),
            theirs,
            SINGLE,
            (Values(0.1, 3), LARGER),
            differentiable=(1,),
        )
        for op, ours, theirs in (
            (bessel.Jv, T.jv, special.jv),
            (bessel.Iv, T.iv, special.iv),
            (bessel.Ive, T.ive, special.ive),
            (bessel.Kv, T.kv, special.kv),
            (bessel.Kve, T.kve, special.kve),
        )
    ),
    unary(sp.Logit, T.logit, special.logit, REALS, UNIT),
    unary(
        mathematics.Sigmoid,
        T.expit,
        lambda x: special.expit(x if x.dtype == "float32" else x.astype("float64")),
        REALS,
        Values(-5, 5),
        note="expit",
    ),
    unary(sp.Entr, T.entr, special.entr, REALS, POSITIVE),
    unary(
        sp.Xlogx, T.xlogx, lambda x: special.xlogy(x, x), REALS + COMPLEXES, POSITIVE
    ),
    binary(
        sp.Xlogy,
        T.xlogy,
        special.xlogy,
        REALS + COMPLEXES,
        (Values(), POSITIVE),
    ),
    binary(
        sp.Xlog1py,
        T.xlog1py,
        special.xlog1py,
        REALS + COMPLEXES,
        (Values(), Values(-0.5, 3)),
    ),
]
