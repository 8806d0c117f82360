"""Calls of functions that read, choose and write elements by place or by mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import workbench.tensor as T
from tests.corpus.calls import Call
from tests.corpus.grids import DTYPES, FEW, OMITTED, SHAPES, array, arrays, grid, plain

ONE = ("float32",)
LINE = array("float32", (5,), special=True)
MATRIX = array("float64", (2, 3), special=True)
CUBE = array("int64", (2, 3, 4))
WHERE = np.array([True, False, True])


def whole(*numbers: Any, dtype: str = "int64") -> np.ndarray:
    """Places as an array."""
    return np.array(numbers, dtype)


PLACES = (
    0,
    -1,
    2,
    9,
    -9,
    [0, 1],
    [],
    [[0, 1], [1, 0]],
    whole(1, 0),
    whole(1, -1, dtype="int8"),
)
ODD = (
    1.0,
    [1.5],
    True,
    [True, False],
    "a",
    None,
    whole(1, dtype="float32"),
    whole(0, 1, dtype="uint64"),
)


def of_taking() -> list[Call]:
    """Elements at given places."""
    along = [np.argsort(MATRIX, axis) for axis in (0, 1)]
    places = [
        *along,
        whole([0], [1]),
        whole([1, 0, 1]),
        whole([5, 0, 0], [0, 0, 0]),
        whole(1, 0),
    ]
    return [
        *grid("take", arrays(DTYPES, [(3,), (2, 3)]), [1, [0, -1]]),
        *grid("take", arrays(ONE), PLACES),
        *grid("take", [LINE, MATRIX, CUBE], PLACES, (0, -1, 1, 5)),
        *grid("take", [LINE, MATRIX], PLACES, mode=["raise", "wrap", "clip", "x"]),
        *grid("take", [MATRIX], PLACES, axis=[1], mode=["wrap", "clip"]),
        *grid("take", [LINE, MATRIX], ODD, (OMITTED, 0)),
        *grid("take", [[1, 2, 3], 5], [0, [0, 1]]),
        *grid("take", [array("int8", (0,))], [0, []], mode=["wrap", "clip"]),
        *grid("take_along_axis", [MATRIX], places, (0, 1, -1, 2, OMITTED)),
        *grid(
            "take_along_axis", [MATRIX], [whole(0, 5, 2), whole([0]), along[0]], [None]
        ),
        *grid(
            "take_along_axis",
            [LINE, [1, 2, 3]],
            [[0, 1], whole(1, -1), whole(9), WHERE, whole(1.5, dtype="float64")],
            [0, -1, 1],
        ),
        *grid("take_along_axis", plain(FEW, [(2, 3)]), [along[1]], [1]),
        *grid(
            "choose",
            [[0, 1, 2], whole(2, 0, 1), 1, whole(0, 3, -1)],
            [([1, 2, 3], [4, 5, 6], [7, 8, 9]), [LINE[:3], WHERE, 7]],
        ),
        *grid(
            "choose",
            [whole(0, 3, -1), whole([0], [1])],
            [([1, 2, 3], LINE[:3])],
            mode=["raise", "wrap", "clip", "x"],
        ),
        *grid("choose", [WHERE, [1.0], [0, 0]], [([1, 2, 3], [4, 5, 6])]),
        *grid("choose", [0], [[], [1], (2.5, 1)]),
        *grid("choose", [whole([0, 1])], [array("int8", (2, 2))]),
    ]


def of_masks() -> list[Call]:
    """Elements where a condition holds."""
    more = [*arrays(DTYPES), 3, 0, [0, 1, 2], [[True, False]], 2.5]
    conditions = [
        True,
        [True, False, True],
        [0, 1, 0],
        [1],
        [],
        WHERE,
        array("bool", (2, 3)),
        [True] * 9,
        [0.0, 2.5],
    ]
    branches = [
        1,
        2.5,
        True,
        1j,
        LINE[:3],
        MATRIX,
        array("int8", (3,)),
        np.float32(1),
        [1, 2, 3],
    ]
    return [
        *grid("nonzero", more),
        *grid("flatnonzero", more),
        *grid("argwhere", more),
        *grid(
            "compress",
            conditions,
            [LINE, MATRIX, array("int8", (3,))],
            (OMITTED, 0, 1, -1, 3),
        ),
        *grid("compress", conditions, [[1, 2, 3], 5]),
        *grid(
            "extract", conditions, [LINE, MATRIX, array("bool", (2, 3)), [1, 2, 3], 5]
        ),
        *grid("where", conditions, [MATRIX, 2], [array("int8", (3,)), 1.5]),
        *grid("where", [WHERE, True, array("bool", (2, 3))], branches, branches),
        *grid("where", [WHERE], plain(DTYPES, [(3,)]), plain(DTYPES, [(3,)], 1)),
        *grid("where", [*conditions, LINE]),
        *grid("where", [WHERE], [1]),
        *grid("where", [array("bool", (1, 3))], arrays(ONE), [array("int8", (2, 1))]),
        *grid(
            "select",
            [[WHERE, ~WHERE], [WHERE], [], [True, WHERE], [LINE[:3]]],
            [[LINE[:3], array("int8", (3,))], [1, 2.5], [7]],
            (OMITTED, 5, 2.5, [9, 8, 7], LINE[:3]),
        ),
        *grid(
            "select",
            [[array("bool", (2, 3)), WHERE]],
            [[MATRIX, 1], [CUBE[:, :, 0], 2j]],
            default=[0, -1],
        ),
        *grid("select", [WHERE], [LINE[:3]]),
    ]


def of_numbers() -> list[Call]:
    """Places as tuples and as numbers in row-major order."""
    shapes = ((3,), (2, 3), (2, 3, 4), 6, (), (0, 2), (-1, 3), [4, 5], "a", (2.0, 3))
    pairs = [
        ([0, 1], [2, 1]),
        (1, 2),
        whole([0, 1], [2, 0]),
        [whole(0, 1), 2],
        (1,),
        ([0, 9], [0, 0]),
        ([0, -1], [0, 0]),
        ([0.5], [1]),
        ([], []),
        (whole(1, dtype="int8"), whole(1)),
        ((True,), (1,)),
        [whole(0, 1), whole([1], [2])],
    ]
    return [
        *grid("ravel_multi_index", pairs, shapes),
        *grid(
            "ravel_multi_index",
            pairs,
            [(2, 3)],
            mode=["wrap", "clip", ("clip", "wrap"), "x"],
        ),
        *grid("ravel_multi_index", pairs, [(2, 3)], order=["C", "F", "x"]),
        *grid(
            "unravel_index",
            [
                0,
                5,
                99,
                -1,
                [1, 2],
                whole([0, 1], [2, 3]),
                [],
                1.5,
                "a",
                WHERE,
                [1.0],
                whole(3, dtype="uint8"),
            ],
            shapes,
        ),
        *grid("unravel_index", [5, [1, 2]], [(2, 3)], order=["C", "F", "x"]),
        *grid("unravel_index", [5], shape=[(2, 3)]),
    ]


def of_diagonals() -> list[Call]:
    """The diagonals of matrices, and their sums."""
    more = [*arrays(ONE), CUBE]
    made = []
    for name in ("diagonal", "trace"):
        made += grid(name, arrays(DTYPES, [(3, 3), (2, 3), (2, 1, 3)]))
        made += grid(name, more, (0, 1, -1, 7))
        made += grid(name, [MATRIX, CUBE], [0], (0, 1, -1, 5), (0, 1, 2, -3))
        made += grid(name, [[[1, 2], [3, 4]], [1, 2], 5])
        made += grid(name, [MATRIX], [1.0, "a", np.int8(1)])
        made += grid(name, [CUBE], axis1=[1], axis2=[2], offset=[0, -1])
    return [
        *made,
        *grid(
            "trace",
            plain(DTYPES, [(3, 3)]),
            dtype=["float64", "int8", "complex64", None, "bool"],
        ),
        *written(
            "fill_diagonal",
            plain(FEW, [(3, 3), (2, 3), (5, 2), (3,), (2, 2, 2), (0, 3)]),
            [1, 2.5, [7, 8, 9], LINE],
            wrap=[OMITTED, True],
        ),
        *written("fill_diagonal", [CUBE], [1]),
        *written(
            "fill_diagonal",
            [array("int8", (3, 3))],
            [300, "a", [], np.float64(2.5), 1j],
        ),
    ]


def written(name: str, *choices: Any, **keywords: Any) -> list[Call]:
    """Calls of a function that writes in NumPy, and makes a new array here."""

    def theirs(x: Any, *args: Any, **named: Any) -> Any:
        copy = np.array(x)
        getattr(np, name)(copy, *args, **named)
        return copy

    return grid(name, *choices, theirs=theirs, **keywords)


def of_writing() -> list[Call]:
    """Elements written at given places."""
    whole_numbers = array("int64", (2, 3))
    values = [1, 2.5, [7, 8], [1.5], whole(5, 6, 7), whole([1], [2])]
    return [
        *written("put", [LINE, whole_numbers, array("int8", (0,))], PLACES, values[:4]),
        *written("put", [LINE], PLACES, [7], mode=["raise", "wrap", "clip", "x"]),
        *written("put", [LINE], ODD, [7]),
        *written("put", plain(DTYPES, [(3,)]), [[0, 2]], [1, True, [1, 0]]),
        *written("put", [LINE], [[0, 1]], [[], "a", 1j]),
        *written(
            "put_along_axis",
            [MATRIX, whole_numbers],
            [whole([0, 1, 0]), whole([1], [0]), whole(1), whole([7], [0])],
            values,
            (0, 1, -1, 2),
        ),
        *written("put_along_axis", [MATRIX], [whole(0, 5)], [7, [8, 9]], [None]),
    ]


def subscripts() -> list[Call]:
    """What may stand in brackets."""
    index: list[Any] = [
        0,
        -1,
        5,
        slice(None),
        slice(1, None),
        slice(None, None, -1),
        slice(5, 1, -2),
        slice(-9, 9),
        None,
        ...,
        True,
        False,
        [0, 1],
        [True, False],
        whole(1, 0),
        whole([0], [1]),
        [],
        1.0,
        "a",
        whole(1.0, dtype="float32"),
        np.int8(1),
        (),
        np.array(1),
    ]
    pairs = [(a, b) for a in index[:15] for b in index[:15]]
    masks = [
        array("bool", (2, 3)),
        array("bool", (2,)),
        WHERE,
        (slice(None), WHERE),
        (0, WHERE),
        (array("bool", (2,)), [0]),
    ]
    three = [
        (..., 0),
        (0, ..., 1),
        (slice(None), [0, 1], None),
        ([0, 1], slice(None), [1, 2]),
        ([0, 1], [0], [[1]]),
        (0, [0, 1], [1, 0]),
        (0, 0, 0, 0),
        (..., ...),
        (whole([0], [1]), 0, whole(1, 2)),
        ([0, 1], [0, 1, 2]),
    ]
    take: Callable[[Any, Any], Any] = lambda x, i: x[i]  # noqa: E731
    ours: Callable[[Any, Any], Any] = lambda x, i: T.as_tensor_variable(x)[i]  # noqa: E731
    return [
        *grid(
            "getitem",
            [*(array("float32", s) for s in SHAPES)],
            index,
            theirs=take,
            ours=ours,
        ),
        *grid("getitem", [MATRIX], [*pairs, *masks], theirs=take, ours=ours),
        *grid("getitem", [CUBE], [*three, *masks], theirs=take, ours=ours),
    ]


CALLS = [
    *of_taking(),
    *of_masks(),
    *of_numbers(),
    *of_diagonals(),
    *of_writing(),
    *subscripts(),
]
