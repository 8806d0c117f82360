"""Calls of functions that work element by element: arithmetic, logic, mathematics, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

import workbench.tensor as T
from tests.corpus.calls import Array, Call
from tests.corpus.grids import OMITTED, array, grid

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
REALS = (
    0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    1.5,
    3.0,
    -0.0,
    np.nan,
    np.inf,
    -np.inf,
    100.0,
    1e-3,
    1e4,
)
SHAPES = ((), (0,), (1,), (2, 3), (0, 3), (3, 0))
SCALARS = (
    True,
    3,
    -1,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    0.5 - 2j,
    [1, 2],
    [[0.5]],
    [],
)
ODD = (np.float32(0.5), np.int8(3), 2**63, 2**64, "a", None)

UNARY = [
    "abs", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt",
    "ceil", "conj", "cos", "cosh", "deg2rad", "degrees", "exp", "exp2", "expm1", "fabs",
    "floor", "i0", "imag", "invert", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "log", "log10", "log1p", "log2", "logical_not", "nan_to_num", "negative", "positive",
    "rad2deg", "radians", "real", "reciprocal", "rint", "round", "sign", "signbit", "sin",
    "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
BINARY = [
    "add", "arctan2", "bitwise_and", "bitwise_or", "bitwise_xor", "copysign", "divide",
    "divmod", "equal", "float_power", "floor_divide", "fmax", "fmin", "fmod", "gcd",
    "greater", "greater_equal", "heaviside", "hypot", "isclose", "lcm", "left_shift", "less",
    "less_equal", "logaddexp", "logaddexp2", "logical_and", "logical_or", "logical_xor",
    "maximum", "minimum", "multiply", "not_equal", "power", "remainder", "right_shift",
    "subtract",
]  # fmt: skip
ALIASES_1 = [
    "absolute", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert",
    "bitwise_not", "conjugate",
]  # fmt: skip
ALIASES_2 = [
    "atan2", "bitwise_left_shift", "bitwise_right_shift", "mod", "pow", "true_divide",
]  # fmt: skip


def extremes(dtype: str, turn: int = 0) -> Array:
    """Special and ordinary values of a dtype, turned by some places."""
    kind = np.dtype(dtype).kind
    values: Any
    if kind == "b":
        values = np.array([False, True, True, False, True])
    elif kind in "ui":
        info = np.iinfo(dtype)
        values = np.array([0, 1, 2, 7, 3, info.max, info.min, info.max - 1], dtype)
        if kind == "i":
            values = np.append(values, np.array([-1, -3, -7], dtype))
    elif kind == "f":
        values = np.array(REALS, dtype)
    else:
        real = np.array(REALS, "float64")
        values = np.empty(len(REALS), dtype)
        values.real, values.imag = real, np.roll(real, 5)
    return np.roll(values, turn)


def pair(a: str, b: str) -> tuple[Array, Array]:
    """Two vectors of one length in which special values meet."""
    x, y = extremes(a), extremes(b, 3)
    return np.resize(x, 28), np.resize(np.roll(y, 1), 28)


def with_pairs(name: str, pairs: list[tuple[Any, Any]], **keywords: Any) -> list[Call]:
    """One call of `name` for each pair of arguments."""
    theirs, ours = getattr(np, name), getattr(T, name)
    return [Call(name, theirs, ours, p, keywords) for p in pairs]


def of_one() -> list[Call]:
    """One operand: every dtype at special values, shapes, numbers that are no arrays."""
    shaped = [array(d, s, special=True) for d in ("int8", "float32") for s in SHAPES]
    made = grid("exp", [extremes("float64")], dtype=["float64"])
    made += grid("add", [1.5], [extremes("float64")], where=[True])
    for name in UNARY:
        made += grid(name, [*(extremes(d) for d in DTYPES), *shaped, *SCALARS, *ODD])
    for name in ALIASES_1:
        made += grid(name, [extremes(d) for d in ("int8", "float32", "complex64")])
    return made


NUMBERS = (True, 3, -1, 300, 2.5, float("nan"), 1 - 2j)
MET = (((), (2, 3)), ((3,), (2, 3)), ((1, 3), (2, 1)), ((0,), (1,)), ((0, 3), (3,)),
       ((2,), (3,)), ((3, 0), (1,)), ((), ()), ((0,), (3,)), ((2, 3), (1,)))  # fmt: skip


def of_two() -> list[Call]:
    """Two operands: all dtypes with all, shapes that do and do not fit, numbers on either side."""
    mixed = [pair(a, b) for a in DTYPES for b in DTYPES]
    shaped = [
        (array(a, s), array(b, t, 1))
        for a, b in (("int8", "int64"), ("float32", "float64"))
        for s, t in MET
    ]
    numbers = [(extremes(d), n) for d in DTYPES for n in NUMBERS]
    numbers += [(n, extremes(d)) for d in DTYPES for n in NUMBERS]
    numbers += [(a, b) for a in (True, 3, 0.5, 2j) for b in (False, -2, 1.5, 1j)]
    numbers += [([1, 2], extremes("int8")[:2]), (np.float32(2), extremes("float16"))]
    numbers += [(extremes("int8"), np.int64(2)), (extremes("uint8"), np.float16(1.5))]
    wrong = [("a", extremes("int8")), (extremes("float32"), None), (2**70, 1.5)]
    made = []
    for name in BINARY:
        made += with_pairs(name, [*mixed, *shaped, *numbers, *wrong])
    for name in ALIASES_2:
        made += with_pairs(name, [pair(a, a) for a in DTYPES])
    return made


def of_options() -> list[Call]:
    """Functions with more arguments."""
    x, n = extremes("float64"), extremes("int8")
    half, z = extremes("float16"), extremes("complex128")
    bounds = (None, OMITTED, -1, 0.5, 2, array("float32", (14,)))
    tens = np.array([15, 25, -35, 149, 0], "int64")
    return [
        *grid("clip", [x, extremes("float32"), z], bounds, bounds),
        *grid(
            "clip",
            [n, extremes("uint8"), n > 0],
            (None, -1, 2, 2.5, 300),
            (None, 3, 1, 1.5, 999),
        ),
        *grid("clip", [x, n], min=[OMITTED, None, 0, 1.5], max=[OMITTED, None, 2]),
        *grid("clip", [x, 2.5, [1, 2, 3]], a_min=[0, 2], a_max=[1, 2]),
        *grid("clip", [x], [float("nan")], [1.0]),
        *grid("clip", [x], [0], [1], min=[0]),
        *grid(
            "round",
            [x, n, half, z, tens, n > 0, extremes("uint8"), 2.675, 15],
            (0, 1, 2, -1, -2, True, 1.5),
        ),
        *grid(
            "round",
            [x * 1.2345, extremes("float32") * np.float32(1.2345)],
            decimals=[0, 1, 3, 9, -3],
        ),
        *grid(
            "nan_to_num",
            [x, half, z, n, 1.5, [1.0, 2.0]],
            nan=[0.0, 1, -2.5],
            posinf=[None, 3],
            neginf=[None, -4.5],
        ),
        *grid("nan_to_num", [x], [True, False], [7.0], [8.0], [9.0]),
        *grid(
            "angle",
            [x, z, n, extremes("complex64"), extremes("float32"), -1, 1j],
            [False, True],
        ),
        *grid("angle", [z], deg=[True, 1]),
        *grid(
            "isclose",
            [x, n, z],
            [x[0], 1, 1.0000001],
            rtol=[OMITTED, 0, 1e-3],
            atol=[OMITTED, 0.5],
            equal_nan=[OMITTED, True],
        ),
        *grid(
            "allclose",
            [x, n, half[:3], array("float32", (2, 3)), array("float32", (0,))],
            [1, 0.5, array("float32", (3,))],
        ),
        *grid(
            "allclose",
            [array("float64", (3,))],
            [array("float64", (3,)), array("float32", (3,))],
            equal_nan=[True, False],
        ),
        *grid(
            "allclose", [x], [x], rtol=[0, 1e-3], atol=[0, 1], equal_nan=[True, False]
        ),
        *of_choices(),
    ]


def of_choices() -> list[Call]:
    """Elements taken from one of several arrays."""
    mask = np.array([True, False, True])
    three = [array(d, (3,), special=True) for d in DTYPES]
    numbers = [True, 3, -1, 300, 2.5, 1j]
    return [
        *grid("where", [mask], three, three),
        *grid("where", [mask], three, numbers),
        *grid("where", [mask], numbers, three),
        *grid(
            "where",
            [mask, True, 0, np.array([0, 2, -1]), np.array([0.0, np.nan, -0.0])],
            numbers,
            numbers,
        ),
        *grid(
            "where",
            [array("bool", (2, 1)), array("bool", ()), array("bool", (2,))],
            [array("int8", (3,)), 2],
            [array("float32", (3,))],
        ),
        *grid(
            "where",
            [mask, array("float32", (2, 3)), array("int8", ()), array("bool", (0,))],
        ),
        *grid("where", [mask], [three[0]]),
    ]


CALLS = [*of_one(), *of_two(), *of_options()]
