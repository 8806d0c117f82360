"""Calls of functions that make arrays from numbers and shapes, or from a vector."""

from __future__ import annotations

from typing import Any

import numpy as np

import workbench.tensor as T
from tests.corpus.calls import Call
from tests.corpus.grids import DTYPES, FEW, OMITTED, SHAPES, array, arrays, grid, plain

ONE = ("float32",)
LINE = array("int8", (3,))
MATRIX = array("float64", (2, 3), special=True)
TYPES = (OMITTED, None, "float32", np.float64, int, bool, "complex64")
FILLS = (0, 1.5, True, 2j, np.float32(3), np.int8(-2), float("nan"), [1, 2, 3], -1)


def of_ranges() -> list[Call]:
    """Numbers at equal distances, or at equal ratios."""
    stops = (0, 1, 5, -3, 2.5, True, np.float32(3), np.int8(4), np.uint8(2))
    whole = array("int64", ()) * 0 + np.array(4)
    half = np.array(2.5, "float32")
    ends = (0, 1, -2.5, 3, np.float32(2), whole, half, 1j, LINE, [1, 2])
    counts = (OMITTED, 0, 1, 2, 7)
    made = []
    for name in ("linspace", "logspace"):
        made += grid(name, ends, (1, 10, half), counts[1:], ulps=8)
        made += grid(
            name, [1, half], [4], [3], endpoint=[True, False], dtype=TYPES, ulps=8
        )
        made += grid(name, [LINE, MATRIX[0]], [LINE, 7], [3], axis=[0, 1, -1], ulps=8)
        made += grid(name, [0], [1], [-1, 2.5, "a", None, 50], ulps=8)
    return [
        *made,
        *grid("arange", stops),
        *grid("arange", [0, 1, 2.5], stops),
        *grid("arange", [0, 5, 2.5], [5, -1, 7.25], [1, 2, -1, 0.5, 0, -0.75]),
        *grid("arange", [0, 1.5], [4], [1, 2], dtype=TYPES[1:]),
        *grid("arange", [whole, half], [6, whole], [1, 2]),
        *grid("arange", [LINE, "a", 2j, None]),
        *grid("arange", [3], dtype=["int8", "float16", "bool"]),
        *grid("linspace", [0, 1.5], [5], [4], retstep=[True], endpoint=[True, False]),
        *grid("logspace", [0, 1], [2], [3], base=[2, 2.5, np.float32(2), LINE], ulps=8),
        *grid("geomspace", [1, 2.5, half, whole, -1], [10, half, -8], [2, 5], ulps=16),
        *grid(
            "geomspace", [1], [1000], [4], endpoint=[True, False], dtype=TYPES, ulps=16
        ),
        *grid("geomspace", [0, 1, 1j], [0, 4, 4j], [3], ulps=16),
        *grid("geomspace", [MATRIX[1] ** 2], [9], [3], axis=[0, 1, -1], ulps=16),
    ]


def zeros_of(make):
    """A function whose values do not matter, with zeros for them."""
    return lambda *args, **keywords: np.zeros_like(make(*args, **keywords))


def of_fillings() -> list[Call]:
    """One value everywhere."""
    shapes = (
        *SHAPES,
        3,
        [2, 3],
        (2.0, 3),
        -1,
        (-1, 2),
        "a",
        np.int8(3),
        np.array([2, 3]),
        None,
    )
    made = []
    for name in ("zeros", "ones"):
        made += grid(name, shapes)
        made += grid(name, [(2, 3), 2], dtype=[*TYPES[1:], *DTYPES, "x"])
        made += grid(name, [(2, 3)], ["int8", float])
        made += grid(name, shape=[(2,)])
    for name in ("zeros_like", "ones_like"):
        made += grid(name, [*arrays(DTYPES), 5, 2.5, True, [1, 2], [[1.5]]])
        made += grid(name, [LINE, MATRIX, 3], dtype=TYPES)
    return [
        *made,
        *grid("empty", shapes, theirs=zeros_of(np.empty)),
        *grid("empty", [2], dtype=TYPES, theirs=zeros_of(np.empty)),
        *grid("empty_like", [*arrays(), 5, 2.5], theirs=zeros_of(np.empty_like)),
        *grid("empty_like", [LINE, 3], dtype=TYPES, theirs=zeros_of(np.empty_like)),
        *grid("full", [*shapes[:8], 3, (2.0,), -1], FILLS),
        *grid("full", [(2, 3), 3], FILLS, dtype=TYPES),
        *grid(
            "full",
            [(2, 3)],
            [LINE, array("int8", (2,)), MATRIX[0], np.array(2, "int8")],
        ),
        *grid("full", [(2,)], fill_value=[3, 2.5]),
        *grid(
            "full_like", [*plain(FEW, [(), (3,), (2, 3)]), LINE, 5, 2.5, [1, 2]], FILLS
        ),
        *grid("full_like", [LINE], FILLS, dtype=TYPES),
        *grid("full_like", [LINE], fill_value=[3, 300]),
        *grid("zeros_like", [LINE, MATRIX], shape=[3, (2, 2)]),
    ]


def of_memory() -> list[Call]:
    """What NumPy asks of the place in memory."""
    made = grid("reshape", [MATRIX], [(3, 2)], copy=[True])
    for name in ("zeros", "ones"):
        made += grid(name, [(2, 3)], order=["C", "F"])
    for name in ("zeros_like", "ones_like", "copy"):
        made += grid(name, [MATRIX], order=["C", "F", "K"])
    return [
        *made,
        *grid("full", [(2, 3)], [1], order=["C"]),
        *grid("full_like", [MATRIX], [1], order=["C"]),
        *grid("eye", [2], order=["C"]),
    ]


def of_diagonals() -> list[Call]:
    """The identity and its kin; parts of a matrix beside a diagonal."""
    sizes = (0, 1, 3, 4)
    offsets = (0, 1, -1, 5)
    more = arrays(ONE)
    return [
        *grid("eye", sizes, (OMITTED, None, 0, 2, 5), (0, 1, -2, 9)),
        *grid("eye", [2], dtype=TYPES),
        *grid("eye", [2.0, -1, "a", (2,), np.int8(2), np.array(3)]),
        *grid("eye", [3], M=[2], k=[1]),
        *grid("eye", N=[3]),
        *grid("identity", [*sizes, 2.0, -1, "a", None], TYPES),
        *grid("tri", sizes, (OMITTED, None, 2, 5), offsets),
        *grid("tri", [3], dtype=TYPES),
        *grid("tri", N=[3], M=[2]),
        *grid("tril", arrays(DTYPES)),
        *grid("triu", arrays(DTYPES)),
        *grid("tril", more, offsets),
        *grid("triu", more, offsets),
        *grid("tril", [[[1, 2], [3, 4]], 5, [1, 2]], k=[0, 1]),
        *grid("triu", [[[1, 2], [3, 4]], 5, [1, 2]], k=[0, 1]),
        *grid("tril_indices", (*sizes, -1), offsets, (OMITTED, None, 2, 5)),
        *grid("triu_indices", sizes, offsets, (OMITTED, None, 2, 5)),
        *grid("tril_indices", [3], k=[1], m=[2]),
        *grid("tril_indices_from", more, (OMITTED, 1, -1)),
        *grid("triu_indices_from", more, (OMITTED, 1, -1)),
        *grid("diag", [*arrays(DTYPES), 3, [1, 2], [[1, 2], [3, 4]]]),
        *grid("diag", more, (*offsets, -5)),
        *grid("diag", [LINE], [1.0, "a", np.int8(1)]),
        *grid("diagflat", [*arrays(FEW), 3, [1, 2], [[1, 2], [3, 4]]]),
        *grid("diagflat", more, offsets),
        *grid("vander", arrays(DTYPES, [(3,), (0,), (1,)])),
        *grid("vander", [*more, [1, 2, 3], 3], (None, 0, 1, 2, 5), [True, False]),
        *grid("vander", [LINE], N=[2], increasing=[True]),
        *grid("vander", [LINE], [-1, 2.0]),
    ]


def of_coordinates() -> list[Call]:
    """Coordinates of the points of a grid."""
    lines: list[Any] = [*arrays(FEW, [(), (0,), (1,), (3,)]), MATRIX, 5, [1, 2.5]]
    return [
        *grid("meshgrid"),
        *grid("meshgrid", lines),
        *grid("meshgrid", lines, [LINE, [7.5, 8]]),
        *grid(
            "meshgrid",
            [LINE],
            [[1, 2]],
            indexing=["xy", "ij", "zz"],
            sparse=[True, False],
        ),
        *grid(
            "meshgrid",
            [LINE],
            [[1, 2]],
            [2.5],
            indexing=["xy", "ij"],
            sparse=[True, False],
        ),
        *grid("meshgrid", [LINE], [3], copy=[False]),
        *grid("indices", [(), (3,), (2, 3), (0, 2), [2, 2], 3, (2.0,), (-1,), "ab"]),
        *grid("indices", [(2, 3)], dtype=[int, "float32", "int8", "uint8"]),
        *grid("indices", [(2, 3), (), (2,)], sparse=[True]),
        *grid(
            "ix_", [LINE, [0, 2], [True, False, True], [], MATRIX, 3, [1.5]], [[1, 0]]
        ),
        *grid("ix_"),
        *grid("ix_", [array("bool", (3,))], [np.array([1, 2])], [(0,)]),
        *slices("mgrid"),
        *slices("ogrid"),
    ]


def slices(name: str) -> list[Call]:
    """What stands between the brackets of a maker of grids."""
    chosen = [
        slice(3),
        slice(1, 4),
        slice(0, 1, 0.25),
        slice(0, 1, 5j),
        slice(5, 0, -2),
    ]
    keys = [
        *chosen,
        *((a, b) for a in chosen for b in chosen),
        (slice(2),),
        (),
        slice(0),
    ]
    return grid(
        name,
        keys,
        theirs=getattr(np, name).__getitem__,
        ours=getattr(T, name).__getitem__,
    )


CALLS = [*of_ranges(), *of_fillings(), *of_memory(), *of_diagonals(), *of_coordinates()]
