"""Rows for functions of single elements."""

from collections.abc import Sequence

import numpy as np
from scipy import special

import workbench.tensor as T
from tests.cases.base import (
    ALL,
    BOOL,
    COMPLEXES,
    EXTREMES,
    FLOATS,
    INTS,
    NUMBERS,
    REAL,
    Array,
    Case,
    Values,
    binary,
    flags,
    off_integers,
    test_of,
    unary,
    wide,
)
from workbench.core.graph import Variable
from workbench.core.ops import (
    complexes,
    elementwise,
    floats,
    integers,
    mathematics,
    rounding,
    ufunc,
)


def off_tenths(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    """Values a fifth to three tenths above tenths; for integers, any from -60 to 60."""
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0 if dtype[0] == "u" else -60, 60, shape).astype(dtype)
    parts = rng.choice([0.02, 0.03], shape)
    return (rng.integers(-20, 20, shape) * 0.1 + parts).astype(dtype)


def whole(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    """Any integers of the dtype, its extremes, and small ones."""
    limits = np.iinfo(dtype)
    drawn = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    small = rng.integers(-2 if limits.min else 0, limits.bits + 2, shape).astype(dtype)
    ends = rng.choice([limits.min, limits.max, 0], shape).astype(dtype)
    return np.where(rng.random(shape) < 0.5, small, np.where(drawn % 2, drawn, ends))


def conj_of(x: Variable) -> Variable:
    """The op itself: the function leaves real numbers alone."""
    return ufunc.apply(elementwise.Conj(), x)


def real_of(x: Variable) -> Variable:
    """The real part of a number made complex."""
    return T.cast(T.real(T.complex(x, 2 * x)), x.dtype)


def imag_of(x: Variable) -> Variable:
    """The imaginary part of a number made complex."""
    return T.cast(T.imag(T.complex(2 * x, x)), x.dtype)


ELEMENTWISE = [
    binary(elementwise.Add, T.add, np.add),
    binary(elementwise.Sub, T.sub, np.subtract, NUMBERS),
    binary(elementwise.Mul, T.mul, np.multiply),
    binary(
        elementwise.TrueDiv,
        T.true_div,
        np.true_divide,
        domains=(Values(), Values(0.5, 2)),
    ),
    binary(
        elementwise.FloorDiv,
        T.floor_div,
        np.floor_divide,
        REAL,
        (off_integers, Values(1, 1)),
        smooth=False,
    ),
    binary(
        elementwise.Mod,
        T.mod,
        np.mod,
        REAL,
        (off_integers, Values(1, 1)),
        differentiable=(0,),
    ),
    unary(elementwise.Neg, T.neg, np.negative, NUMBERS),
    unary(elementwise.Abs, T.abs, np.absolute, ALL, Values(0.5, 2)),
    unary(
        elementwise.Abs,
        lambda x: T.abs(-x),
        np.absolute,
        FLOATS,
        Values(0.5, 2),
        note="negative",
    ),
    unary(
        elementwise.Sign,
        T.sign,
        np.sign,
        REAL + COMPLEXES,
        Values(0.5, 2),
        smooth=False,
    ),
    unary(elementwise.Conj, conj_of, np.conjugate, ALL),
    unary(complexes.Imag, imag_of, np.array, FLOATS),
    unary(ufunc.Real, real_of, np.array, FLOATS),
    binary(
        complexes.Complex,
        lambda x, y: T.abs(T.complex(x, y)),
        lambda x, y: np.hypot(*(v.astype(np.result_type(v, "f")) for v in (x, y))),
        FLOATS,
        (Values(0.5, 2), Values(0.5, 2)),
    ),
    unary(elementwise.Sqr, T.sqr, np.square, ALL),
    unary(
        elementwise.Reciprocal,
        T.reciprocal,
        np.reciprocal,
        REAL + COMPLEXES,
        Values(0.5, 2),
    ),
    binary(
        elementwise.Maximum,
        T.maximum,
        np.maximum,
        ALL,
        (Values(-1, 0), Values(0.1, 1)),
        smooth=False,
    ),
    binary(
        elementwise.Minimum,
        T.minimum,
        np.minimum,
        ALL,
        (Values(-1, 0), Values(0.1, 1)),
        smooth=False,
    ),
    unary(elementwise.Floor, T.floor, np.floor, REAL, off_integers, smooth=False),
    unary(elementwise.Ceil, T.ceil, np.ceil, REAL, off_integers, smooth=False),
    unary(elementwise.Trunc, T.trunc, np.trunc, REAL, off_integers, smooth=False),
    unary(elementwise.Rint, T.rint, np.rint, REAL, off_integers, smooth=False),
    unary(
        elementwise.Rint,
        T.round,
        np.round,
        BOOL + FLOATS + COMPLEXES,
        off_integers,
        smooth=False,
        note="round",
    ),
    unary(
        elementwise.Rint,
        lambda x: T.round(x, 1),
        lambda x: np.round(x, 1),
        FLOATS + COMPLEXES,
        off_tenths,
        smooth=False,
        note="decimals",
    ),
    unary(
        elementwise.Rint,
        lambda x: T.round(x, -1),
        lambda x: np.round(x, -1),
        REAL,
        off_tenths,
        smooth=False,
        note="tens",
    ),
    unary(
        rounding.RoundHalfAway,
        lambda x: T.round(x, mode="half_away_from_zero"),
        wide(lambda x: np.sign(x) * np.floor(np.abs(x) + np.longdouble(0.5))),
        FLOATS,
        off_integers,
        smooth=False,
        extremes=(*EXTREMES, 2.5, -2.5, 0.49999999999999994, 4503599627370497.0),
    ),
    test_of(elementwise.Eq, T.eq, np.equal),
    test_of(elementwise.Neq, T.neq, np.not_equal),
    test_of(elementwise.Lt, T.lt, np.less),
    test_of(elementwise.Le, T.le, np.less_equal),
    test_of(elementwise.Gt, T.gt, np.greater),
    test_of(elementwise.Ge, T.ge, np.greater_equal),
    unary(elementwise.IsNan, T.isnan, np.isnan, ALL, differentiable=()),
    unary(elementwise.IsInf, T.isinf, np.isinf, ALL, differentiable=()),
    binary(elementwise.And, T.and_, np.bitwise_and, BOOL + INTS, differentiable=()),
    binary(elementwise.Or, T.or_, np.bitwise_or, BOOL + INTS, differentiable=()),
    binary(elementwise.Xor, T.xor, np.bitwise_xor, BOOL + INTS, differentiable=()),
    unary(elementwise.Invert, T.invert, np.invert, BOOL + INTS, differentiable=()),
    Case(
        elementwise.Switch,
        T.switch,
        np.where,
        (((3, 4),) * 3, ((3,), (), (2, 3)), ((2, 1), (1, 3), ()), ((0,), (0,), (1,))),
        ALL,
        (flags, Values(), Values()),
        (1, 2),
    ),
    Case(
        elementwise.Fill,
        T.fill,
        lambda x, y: np.broadcast_to(y, np.broadcast_shapes(x.shape, y.shape)),
        (((3, 4), ()), ((0, 2), (1, 2)), ((2, 3), (2, 1))),
        ALL,
        differentiable=(1,),
    ),
    *(
        unary(
            ufunc.Cast,
            lambda x, d=d: T.cast(x, d),
            lambda x, d=d: x.astype(d),
            tuple(
                s for s in (BOOL + REAL if np.dtype(d).kind != "c" else ALL) if s != d
            ),
            Values(0, 3),
            differentiable=(0,) if d == "float64" else (),
            extremes=EXTREMES if d[0] == "f" else (),
            note=d,
        )
        for d in ALL
    ),
    binary(
        mathematics.Pow,
        T.pow,
        np.power,
        REAL + COMPLEXES,
        (Values(0.5, 2), Values(0.5, 3)),
        ulps=64,
    ),
    binary(
        mathematics.Pow,
        lambda x, y: x**3 + y * 0,
        lambda x, y: x * x * x + y * 0,
        ("float32", "float64"),
        note="cube",
        extremes=(),
    ),
    binary(
        mathematics.Arctan2,
        T.arctan2,
        np.arctan2,
        FLOATS,
        (Values(0.5, 2), Values(0.5, 2)),
    ),
    binary(mathematics.LogAddExp, T.logaddexp, np.logaddexp, FLOATS),
    binary(mathematics.LogAddExp2, T.logaddexp2, np.logaddexp2, FLOATS),
    unary(mathematics.Sinc, T.sinc, np.sinc, REAL + COMPLEXES),
    unary(
        mathematics.Sinc,
        T.sinc,
        np.sinc,
        FLOATS,
        Values(-0.05, 0.05),
        note="near 0",
    ),
    unary(floats.IsFinite, T.isfinite, np.isfinite, ALL, differentiable=()),
    unary(floats.Signbit, T.signbit, np.signbit, BOOL + REAL, differentiable=()),
    binary(floats.Copysign, T.copysign, np.copysign, BOOL + REAL, smooth=False),
    unary(floats.Fabs, T.fabs, np.fabs, BOOL + REAL, Values(0.5, 2)),
    binary(
        floats.Fmod,
        T.fmod,
        np.fmod,
        BOOL + REAL,
        (off_integers, Values(1, 1)),
        differentiable=(0,),
    ),
    *(
        binary(op, ours, theirs, ALL, (Values(-1, 0), Values(0.1, 1)), smooth=False)
        for op, ours, theirs in (
            (floats.Fmax, T.fmax, np.fmax),
            (floats.Fmin, T.fmin, np.fmin),
        )
    ),
    binary(
        floats.Heaviside,
        T.heaviside,
        np.heaviside,
        BOOL + REAL,
        (Values(0.5, 2), Values()),
        smooth=False,
    ),
    binary(
        floats.Hypot, T.hypot, np.hypot, BOOL + REAL, (Values(0.5, 2), Values(0.5, 2))
    ),
    unary(floats.Cbrt, T.cbrt, np.cbrt, BOOL + REAL, Values(0.3, 3)),
    unary(floats.Deg2rad, T.deg2rad, np.deg2rad, BOOL + REAL),
    unary(floats.Rad2deg, T.rad2deg, np.rad2deg, BOOL + REAL),
    *(
        binary(op, ours, theirs, INTS, (whole, whole), differentiable=(), extremes=())
        for op, ours, theirs in (
            (integers.LeftShift, T.left_shift, np.left_shift),
            (integers.RightShift, T.right_shift, np.right_shift),
            (integers.Gcd, T.gcd, np.gcd),
            (integers.Lcm, T.lcm, np.lcm),
        )
    ),
    unary(mathematics.Exp, T.exp, np.exp, FLOATS + COMPLEXES),
    unary(mathematics.Exp2, T.exp2, np.exp2, FLOATS + COMPLEXES),
    unary(mathematics.Expm1, T.expm1, np.expm1, FLOATS + COMPLEXES),
    unary(mathematics.Log, T.log, np.log, FLOATS + COMPLEXES, domain=Values(0.3, 3)),
    unary(mathematics.Log2, T.log2, np.log2, FLOATS + COMPLEXES, domain=Values(0.3, 3)),
    unary(
        mathematics.Log10, T.log10, np.log10, FLOATS + COMPLEXES, domain=Values(0.3, 3)
    ),
    unary(
        mathematics.Log1p, T.log1p, np.log1p, FLOATS + COMPLEXES, domain=Values(-0.5, 3)
    ),
    unary(mathematics.Sqrt, T.sqrt, np.sqrt, FLOATS + COMPLEXES, domain=Values(0.3, 3)),
    unary(mathematics.Sin, T.sin, np.sin, FLOATS + COMPLEXES),
    unary(mathematics.Cos, T.cos, np.cos, FLOATS + COMPLEXES),
    unary(mathematics.Tan, T.tan, np.tan, FLOATS + COMPLEXES, domain=Values(-1, 1)),
    unary(
        mathematics.Arcsin,
        T.arcsin,
        np.arcsin,
        FLOATS + COMPLEXES,
        domain=Values(-0.8, 0.8),
    ),
    unary(
        mathematics.Arccos,
        T.arccos,
        np.arccos,
        FLOATS + COMPLEXES,
        domain=Values(-0.8, 0.8),
    ),
    unary(mathematics.Arctan, T.arctan, np.arctan, FLOATS + COMPLEXES),
    unary(mathematics.Sinh, T.sinh, np.sinh, FLOATS + COMPLEXES),
    unary(mathematics.Cosh, T.cosh, np.cosh, FLOATS + COMPLEXES),
    unary(mathematics.Tanh, T.tanh, np.tanh, FLOATS + COMPLEXES),
    unary(mathematics.Arcsinh, T.arcsinh, np.arcsinh, FLOATS + COMPLEXES),
    unary(
        mathematics.Arccosh,
        T.arccosh,
        np.arccosh,
        FLOATS + COMPLEXES,
        domain=Values(1.3, 3),
    ),
    unary(
        mathematics.Arctanh,
        T.arctanh,
        np.arctanh,
        FLOATS + COMPLEXES,
        domain=Values(-0.8, 0.8),
    ),
    unary(mathematics.Sigmoid, T.sigmoid, wide(special.expit), domain=Values(-5, 5)),
    unary(
        mathematics.Softplus,
        T.softplus,
        wide(lambda x: np.logaddexp(0, x)),
        domain=Values(-5, 5),
    ),
    unary(
        mathematics.Log1mexp,
        T.log1mexp,
        wide(lambda x: np.where(x > -1, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))),
        domain=Values(-4, -0.1),
    ),
]
