"""Calls of functions that gather along axes: sums, extremes, moments, scans, quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.corpus.calls import Array, Call
from tests.corpus.elements import DTYPES
from tests.corpus.grids import OMITTED, array, grid

SHAPES = ((), (0,), (1,), (3,), (2, 3), (0, 3), (3, 0), (2, 3, 4))
AXES = (OMITTED, None, 0, -1, 1, (0, 1), (), (0, -2), (1, 1), 5, -4, 1.0, "a")
ONE_AXIS = (OMITTED, None, 0, -1, 1, 5, (0,), 1.0)
CUBE = array("float32", (2, 3, 4), special=True)
WHOLE = array("int64", (2, 3, 4), 5)
MATRIX = array("float64", (2, 3), 3)
NANS = np.array([[np.nan, 1.0, 2.0], [np.nan, np.nan, -0.0], [np.nan, 5.0, np.inf]])
ODD = (True, 3, 2.5, 1j, [1, 2], [[1.5], [2]], [], np.float32(2), "a", None)
MASK = np.array([[True, False, True], [False, True, True]])
SUMS = {"sum": 16, "prod": 16, "nansum": 16, "nanprod": 16}
EXTREMES = ("max", "min", "nanmax", "nanmin", "ptp")
PLACES = ("argmax", "argmin")
TRUTHS = ("all", "any", "count_nonzero")
MEANS = ("mean", "nanmean")
SPREADS = ("std", "var", "nanstd", "nanvar")
SCANS = ("cumsum", "cumprod", "nancumsum", "nancumprod")
ULPS = 32


def every(dtypes: Any = DTYPES, shapes: Any = SHAPES) -> list[Array]:
    """An array for each dtype and shape, with special values."""
    return [array(d, s, special=True) for d in dtypes for s in shapes]


def basic(name: str, ulps: float = ULPS, keepdims: bool = True) -> list[Call]:
    """What every reduction is called with: dtypes, shapes, axes, things that are no arrays."""
    shaped = every(("float32",))
    made = [
        *grid(name, every(shapes=[(3,), (2, 3), (0,)]), [OMITTED, 0], ulps=ulps),
        *grid(name, [array(d, (2, 3)) for d in DTYPES], axis=[1, None], ulps=ulps),
        *grid(name, shaped, axis=AXES, ulps=ulps),
        *grid(
            name, [WHOLE], axis=[None, 0, (0, 2), (2, 0), (-1, 1), [0, 1]], ulps=ulps
        ),
        *grid(name, ODD, ulps=ulps),
        *grid(
            name,
            [NANS, NANS.astype("float16"), NANS + 1j],
            axis=[None, 0, 1],
            ulps=ulps,
        ),
    ]
    if keepdims:
        made += grid(
            name, shaped, axis=[None, 0, (0, 1), ()], keepdims=[True], ulps=ulps
        )
    return made


def of_sums() -> list[Call]:
    """Sums and products."""
    made = []
    for name in SUMS:
        made += basic(name)
        made += grid(
            name,
            [array(d, (2, 3)) for d in DTYPES],
            dtype=["int8", "float32", "float64", "complex64", "bool", None, int, "x"],
            ulps=ULPS,
        )
        made += grid(
            name,
            [MATRIX, WHOLE[0, :2, :3]],
            axis=[None, 1],
            initial=[0, 2, 1.5, True, np.float64(1)],
            ulps=ULPS,
        )
        made += grid(
            name,
            [MATRIX, WHOLE[0, :2, :3]],
            axis=[None, 0],
            where=[MASK, MASK[0], True, False, [True, False, True], 1],
            ulps=ULPS,
        )
        made += grid(name, [MATRIX], [1], ["float32"], ulps=ULPS)
        made += grid(
            name, [MATRIX], axis=[0], initial=[1j, "a", [1, 2], MATRIX[0]], ulps=ULPS
        )
    return made


def of_extremes() -> list[Call]:
    """The largest, the smallest, and where they are."""
    made = []
    for name in EXTREMES:
        made += basic(name)
        if name != "ptp":
            made += grid(
                name,
                [MATRIX, WHOLE[0, :2, :3], np.zeros((0, 3)), array("uint8", (2, 3))],
                axis=[None, 0, 1],
                initial=[0, -5, 2.5, True, 300],
                ulps=0,
            )
            made += grid(
                name,
                [MATRIX, WHOLE[0, :2, :3]],
                axis=[None, 0],
                where=[MASK, True, MASK[0]],
                initial=[OMITTED, 0, 2],
            )
            made += grid(name, [MATRIX], axis=[0], initial=[1j, "a", None, [1, 2, 3]])
    for name in ("nanmax", "nanmin"):
        made += grid(
            name,
            [np.full((2, 3), np.nan), np.full((3, 0), np.nan)],
            axis=[None, 0, 1],
            keepdims=[True, False],
        )
    for name, other in (("amax", "max"), ("amin", "min")):
        made += grid(other, every(("int8", "float64")), theirs=getattr(np, name))
    for name in ("nanargmax", "nanargmin"):
        made += grid(
            name,
            [
                NANS[:, 1:],
                NANS,
                MATRIX,
                WHOLE,
                NANS[:, 1:] + 1j,
                np.zeros((0, 3)),
                NANS[0].astype("float16"),
            ],
            axis=[OMITTED, None, 0, 1, -1, 5, (0,)],
            keepdims=[OMITTED, True],
        )
        made += grid(name, [*every(), *ODD])
    for name in PLACES:
        made += basic(name)
        made += grid(
            name,
            [array("int64", (4, 5)), np.zeros((3, 2))],
            axis=[None, 0, -1],
            keepdims=[True, False],
        )
    return made


def of_truths() -> list[Call]:
    """All, any, and how many."""
    made = []
    for name in TRUTHS:
        made += basic(name)
    for name in ("all", "any"):
        made += grid(
            name,
            [MASK, MATRIX, np.zeros((2, 3))],
            axis=[None, 0],
            where=[MASK, ~MASK, MASK[0], True, 1, MATRIX],
        )
    return made


def of_moments() -> list[Call]:
    """Means and how far elements are from them."""
    made = []
    for name in MEANS:
        made += basic(name)
        made += grid(
            name,
            [array(d, (2, 3)) for d in DTYPES],
            dtype=["int8", "float32", "float16", "float64", "complex64", "bool", None],
            ulps=ULPS,
        )
        made += grid(
            name,
            [MATRIX, WHOLE[0, :2, :3]],
            axis=[None, 0],
            where=[MASK, MASK[0], True, False, 1],
            ulps=ULPS,
        )
        made += grid(name, [MATRIX], [1], ["float32"], ulps=ULPS)
    for name in SPREADS:
        made += basic(name, ulps=64)
        made += grid(
            name,
            [array(d, (2, 3)) for d in DTYPES],
            dtype=["int8", "float32", "float64", "complex64", None],
            ulps=64,
        )
        made += grid(
            name,
            [
                *every(("float64", "int8", "complex64"), [(3,), (2, 3), (1,), (0,)]),
                NANS,
            ],
            ddof=[0, 1, 2, 3, 9, 0.5, -1],
            ulps=64,
        )
        made += grid(
            name,
            [array("float64", (2, 3)), NANS],
            axis=[0, 1],
            ddof=[1],
            keepdims=[True],
            ulps=64,
        )
        made += grid(
            name,
            [MATRIX, WHOLE[0, :2, :3]],
            axis=[None, 0],
            where=[MASK, MASK[0], False],
            ulps=64,
        )
        made += grid(name, [MATRIX], axis=[None, 0], correction=[0, 1, 1.5], ulps=64)
        made += grid(name, [MATRIX], mean=[np.array([[0.5]])], ulps=64)
        made += grid(name, [MATRIX], [0], ["float32", np.float64, None], ulps=64)
        made += grid(name, [MATRIX], axis=[1], mean=[np.array([[0.5], [1.0]])], ulps=64)
        made += grid(name, [MATRIX], ddof=[1], correction=[1])
    return made


def of_scans() -> list[Call]:
    """Running sums and products, and differences."""
    made = []
    for name in SCANS:
        made += grid(name, every(shapes=[(3,), (2, 3), (0,), ()]), ulps=ULPS)
        made += grid(name, every(("float32",)), axis=ONE_AXIS, ulps=ULPS)
        made += grid(
            name,
            [array(d, (2, 3)) for d in DTYPES],
            axis=[1],
            dtype=["int8", "float32", "complex64", "bool", None, "x"],
            ulps=ULPS,
        )
        made += grid(name, ODD, ulps=ULPS)
        made += grid(name, [MATRIX], [0], ["float32"], ulps=ULPS)
    line = array("int64", (5,))
    return [
        *made,
        *grid("diff", every(shapes=[(3,), (2, 3), (0,), (1,), ()])),
        *grid(
            "diff",
            [MATRIX, WHOLE, line],
            n=[0, 1, 2, 3, 9, -1, 1.0],
            axis=[-1, 0, 1, 5],
        ),
        *grid("diff", [MATRIX, line], [2], [-1, 0]),
        *grid(
            "diff",
            [MATRIX, line, line > 0],
            prepend=[OMITTED, 0, 1.5, line[:1], MATRIX[:, :1], [1, 2]],
            append=[OMITTED, 7],
        ),
        *grid(
            "diff",
            [MATRIX],
            axis=[0],
            prepend=[OMITTED, 0, MATRIX],
            append=[MATRIX, 0.5],
        ),
        *grid("diff", ODD),
    ]


def of_quantiles() -> list[Call]:
    """Medians, quantiles and percentiles."""
    few = [(3,), (2, 3), (0,), (1,), ()]
    arrays = [array(d, s) for d in DTYPES for s in few]
    methods = (
        "linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf",
        "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen",
        "weibull", "median_unbiased", "normal_unbiased", "wrong",
    )  # fmt: skip
    qs = (
        0,
        0.5,
        1,
        0.3,
        [0.25, 0.75],
        np.array([[0.1, 0.9]]),
        -0.1,
        1.5,
        np.nan,
        [],
        True,
    )
    return [
        *basic("median"),
        *grid("nanmedian", [*arrays, NANS, *ODD], ulps=ULPS),
        *grid("nanmedian", every(("float32",)), axis=AXES, ulps=ULPS),
        *grid(
            "nanmedian",
            [NANS, MATRIX],
            axis=[None, 0, 1, (0, 1)],
            keepdims=[True, False],
        ),
        *grid("quantile", arrays, [0.5, 0.3], ulps=ULPS),
        *grid("quantile", [MATRIX, NANS, WHOLE], qs, axis=[None, 0, (0, 1)], ulps=ULPS),
        *grid(
            "quantile",
            [MATRIX, array("float32", (5,)), array("int64", (6,))],
            [0.5, 0.3, 0, 1, [0.1, 0.2]],
            method=methods,
            ulps=ULPS,
        ),
        *grid(
            "quantile",
            [MATRIX, CUBE],
            [0.25, [0.5, 0.75]],
            axis=[None, 0, (0, 1), 7],
            keepdims=[True],
            ulps=ULPS,
        ),
        *grid("quantile", [*ODD], [0.5], ulps=ULPS),
        *grid(
            "quantile",
            [MATRIX],
            ["a", None, 1j, np.float32(0.3), np.array([0.5], "float16")],
            ulps=ULPS,
        ),
        *grid("percentile", arrays[20:], [50, 30], ulps=ULPS),
        *grid(
            "percentile",
            [MATRIX, WHOLE],
            [0, 50, 100, 33.3, [25, 75], 101, -1],
            axis=[None, 1],
            ulps=ULPS,
        ),
        *grid(
            "percentile",
            [MATRIX],
            [40],
            method=methods,
            keepdims=[True, False],
            ulps=ULPS,
        ),
        *grid(
            "nanquantile",
            [MATRIX, NANS, WHOLE],
            [0.5, [0.2, 1]],
            axis=[None, 0, 1],
            ulps=ULPS,
        ),
        *grid(
            "nanpercentile",
            [MATRIX, NANS, WHOLE],
            [50, [20, 100]],
            axis=[None, 0, 1],
            ulps=ULPS,
        ),
    ]


def of_statistics() -> list[Call]:
    """Weighted means, covariances, correlations."""
    weights = [
        OMITTED,
        None,
        np.array([1, 2, 3]),
        array("float64", (2, 3), 1),
        [1.0, 0, 0],
        np.array([1.0, -1.0]),
        2,
        np.zeros(3),
    ]
    two = [array(d, (2, 4)) for d in DTYPES]
    three = array("float64", (3, 5))
    counts = [
        np.array([1, 2, 0, 1, 3]),
        [1, 1, 1, 1, 1],
        np.array([1.0, 2, 3, 4, 5]),
        np.array([1, 2]),
        np.array([-1, 1, 1, 1, 1]),
    ]
    factors = [
        np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
        [1, 2, 3, 4, 5],
        np.array([-1.0, 1, 1, 1, 1]),
        np.ones((1, 5)),
    ]
    return [
        *basic("average"),
        *grid(
            "average",
            [
                MATRIX,
                array("int64", (2, 3)),
                array("float32", (2, 3)),
                array("bool", (2, 3)),
            ],
            axis=[OMITTED, None, 0, 1, (0, 1), 5],
            weights=weights,
            ulps=ULPS,
        ),
        *grid(
            "average",
            [MATRIX],
            axis=[None, 1],
            weights=[None, np.array([1, 2, 3])],
            returned=[True],
            ulps=ULPS,
        ),
        *grid(
            "average",
            [MATRIX],
            axis=[None, 1],
            weights=[OMITTED, MATRIX**2],
            keepdims=[True, False],
            ulps=ULPS,
        ),
        *grid(
            "cov",
            [
                *two,
                *every(
                    ("float64",),
                    [(3,), (), (0,), (1,), (2, 3), (2, 3, 4), (3, 0), (0, 3)],
                ),
                *ODD,
            ],
            ulps=256,
        ),
        *grid(
            "cov",
            [three, array("complex128", (3, 5))],
            rowvar=[True, False],
            bias=[True, False],
            ddof=[OMITTED, None, 0, 1, 2, 5, 9, 1.5],
            ulps=256,
        ),
        *grid(
            "cov",
            [three],
            [
                three[:1],
                array("int64", (5,)),
                array("complex64", (2, 5)),
                array("float64", (2,)),
            ],
            rowvar=[True, False],
            ulps=256,
        ),
        *grid(
            "cov",
            [three],
            fweights=[OMITTED, *counts],
            aweights=[OMITTED, *factors],
            ulps=256,
        ),
        *grid(
            "cov",
            [three, array("int64", (2, 3))],
            dtype=["float32", "float64", "complex64", None],
            ulps=256,
        ),
        *grid(
            "corrcoef",
            [
                *two,
                *every(("float64",), [(3,), (), (0,), (1,), (2, 3), (2, 3, 4), (3, 0)]),
                *ODD,
            ],
            ulps=256,
        ),
        *grid(
            "corrcoef",
            [three],
            [OMITTED, None, three[:1]],
            rowvar=[True, False],
            ulps=256,
        ),
        *grid("corrcoef", [three], dtype=["float32", None], ulps=256),
    ]


CALLS = [
    *of_sums(),
    *of_extremes(),
    *of_truths(),
    *of_moments(),
    *of_scans(),
    *of_quantiles(),
    *of_statistics(),
]
