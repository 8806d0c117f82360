"""Calls of SciPy's special functions, and of those that normalise along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

import workbench.tensor as T
from tests.corpus.calls import Array, Call
from tests.corpus.elements import DTYPES, SHAPES, extremes
from tests.corpus.grids import OMITTED, array, grid

REAL = [
    "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "expit", "gamma",
    "gammaln", "i0", "i1", "j0", "j1", "log_ndtr", "logit", "ndtr", "ndtri", "psi",
]  # fmt: skip
SAME_AS_NUMPY = ["cbrt", "exp2", "expm1", "log1p"]
TWO = [
    "beta", "betaln", "gammainc", "gammaincc", "iv", "ive", "jv", "kv", "kve", "owens_t",
    "polygamma", "xlog1py", "xlogy",
]  # fmt: skip
SCALARS = (
    True,
    3,
    -1,
    0.5,
    float("nan"),
    0.5 - 2j,
    [0.5, 1],
    [],
    np.float32(0.5),
    "a",
    None,
)
LOOSE = 2**20
"""Units in the last place between two algorithms for one function: some 1e-10 in float64."""


def special(name: str, *choices: Any, ulps: float = 64, **keywords: Any) -> list[Call]:
    """Calls of a function of ``scipy.special`` and of ``T.special``."""
    theirs, ours = getattr(scipy.special, name), getattr(T.special, name)
    label = f"special.{name}"
    return grid(label, *choices, ulps=ulps, theirs=theirs, ours=ours, **keywords)


def inside(dtype: str) -> Array:
    """Values in (0, 1), where all these functions are smooth."""
    return np.asarray([0.5, 0.125, 0.25, 0.75, 0.999], dtype)


def of_one() -> list[Call]:
    """One operand: every dtype at special values, shapes, numbers that are no arrays."""
    shaped = [array(d, s, special=True) for d in ("int8", "float32") for s in SHAPES]
    unit = [inside(d) for d in ("float16", "float32", "float64", "complex128")]
    made = []
    for name in [*REAL, *SAME_AS_NUMPY]:
        made += special(
            name, [*(extremes(d) for d in DTYPES), *unit, *shaped, *SCALARS]
        )
    values = [*(extremes(d) for d in DTYPES), *shaped, *SCALARS]
    made += grid("softplus", values, theirs=scipy.special.softplus, ours=T.softplus)
    made += special("sinc", [extremes("float32"), extremes("int8"), 0.5])
    return made


def of_two() -> list[Call]:
    """Two operands and more."""
    x, y = extremes("float64"), np.roll(extremes("float64"), 4)
    mixed = [np.asarray([0, 1, 2], a) for a in DTYPES]
    made = []
    for name in TWO:
        made += special(name, mixed, [np.asarray([1, 1, 0], b) for b in DTYPES])
        made += special(name, [x, 0.5, 2, True, [0, 1]], [y, 1.5, 1, -2, np.nan])
        made += special(
            name,
            [array("float32", (2, 1)), array("int64", ())],
            [array("float64", (3,))],
        )
        made += special(name, [array("float32", (2,))], [array("float64", (3,))])
        made += special(name, ["a", None, 1j], [0.5])
    made += special(
        "betainc",
        [0.5, 2, inside("float32"), [1, 2, 3, 4, 5]],
        [0.5, 3, inside("float64")],
        [0, 0.25, 1, 1.5, np.nan, inside("float64")],
    )
    made += special("betainc", [x], [y], [0.5])
    return made


def along_axes() -> list[Call]:
    """Functions that gather along an axis."""
    arrays = [
        array(d, s, special=True)
        for d in ("float32", "complex128")
        for s in (*SHAPES, (2, 3, 4))
    ]
    arrays += [array(d, (2, 3)) for d in DTYPES]
    arrays += [
        np.array([1e3, -1e3, 0]),
        np.array([-np.inf] * 3),
        np.array([np.inf, 1, np.inf]),
    ]
    axes = (OMITTED, None, 0, -1, 1, (0, 1), (), 5, (0, 0))
    flat = [array("float64", (2, 3)), np.array([[-np.inf, 0.0], [1e3, -1e3]])]
    weights = [
        array("float64", (2, 3), 1),
        2,
        array("int8", (3,)),
        np.array(-1.0),
        [0, 1, 2],
    ]
    return [
        *special("logsumexp", arrays, axis=axes),
        *special("logsumexp", arrays[:14], (0, None), keepdims=[True]),
        *special(
            "logsumexp", flat[:1], axis=[None, 1], b=weights, return_sign=[False, True]
        ),
        *special("logsumexp", [[1, 2], 3, 2.5, True, 1 + 1j, [], "a", None]),
        *special("softmax", arrays, axis=axes),
        *special("softmax", [[1, 2], 3, 2.5, True, [], "a", None]),
        *special("log_softmax", arrays, axis=axes),
        *special("log_softmax", [[1, 2], 3, 2.5, True, [], "a", None]),
    ]


CALLS = [*of_one(), *of_two(), *along_axes()]
