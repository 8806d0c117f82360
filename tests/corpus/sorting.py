"""Calls of functions that sort, search and count."""

from __future__ import annotations

import numpy as np

from tests.corpus.calls import Call
from tests.corpus.elements import DTYPES
from tests.corpus.grids import OMITTED, array, grid
from tests.corpus.reductions import NANS, ODD, ONE_AXIS, every

KINDS = ("quicksort", "mergesort", "heapsort", "stable", "wrong", None)
LINE = array("float64", (7,), special=True)
TABLE = array("int64", (3, 4))


def of_order() -> list[Call]:
    """Elements in order, and where they stood."""
    shaped = every(("float32",))
    tens = [array(d, (10,), special=True) for d in DTYPES]
    made = []
    for name in ("sort", "argsort"):
        unlike = {"kind": ["stable"]} if name == "argsort" else {}
        made += grid(name, [*tens, *every(shapes=[(2, 3), (0,), ()])], **unlike)
        made += grid(name, shaped, axis=ONE_AXIS, **unlike)
        made += grid(name, ODD)
        made += grid(name, [np.arange(5.0)[::-1].copy()], kind=KINDS)
        made += grid(
            name, [np.arange(5)], stable=[True, False, None], kind=[OMITTED, "heapsort"]
        )
        made += grid(name, [np.arange(6).reshape(2, 3)[:, ::-1].copy()], [0, 1, None])
    made += grid("argsort", [NANS], axis=[0, 1, None], stable=[True])
    made += grid(
        "sort",
        [NANS, np.array([1 + 2j, 1 - 2j, complex(np.nan, 1), complex(0, np.nan)])],
    )
    made += grid("partition", [np.sort(t) for t in tens], [0, 3, -1, [1, 4]])
    made += grid("partition", [LINE[3:], TABLE], [9, -9, 1.5, "a", True, []], axis=[-1])
    made += grid(
        "argpartition",
        [np.arange(6), np.arange(6.0)],
        [0, 3, -1, [1, 4], 9, 1.5],
        axis=[-1, 0, None, 5],
    )
    made += grid(
        "partition", [np.arange(6).reshape(2, 3)], [0, 1, 2], [0, -1, None, 5, -3]
    )
    made += grid("partition", [3, 2.5, [1, 2], [], np.array(1.0)], [0])
    return made


def of_searches() -> list[Call]:
    """Places in sorted arrays."""
    stairs = np.array([-1.0, 0.0, 0.0, 2.0, 5.0, np.inf])
    values = [
        0,
        2.5,
        -7,
        True,
        [0, 9],
        LINE,
        array("int8", (2, 3)),
        array("float32", (0,)),
        array("uint64", (3,)),
        np.nan,
        1j,
        "a",
        None,
        [],
    ]
    order = np.array([3, 1, 0, 2])
    mixed = np.array([2.0, 0.0, 7.0, -1.0])
    bins = [
        [0, 1, 2],
        np.array([2.0, 1.0, 0.0]),
        np.array([1, 1, 1]),
        [1],
        [],
        np.array([0, 2, 1]),
        np.ones((2, 2)),
        1.5,
    ]
    return [
        *grid(
            "searchsorted",
            [stairs, np.arange(5), np.arange(3, dtype="uint8"), np.array([])],
            values,
            [OMITTED, "left", "right"],
        ),
        *grid(
            "searchsorted",
            [np.arange(4).astype(d) for d in DTYPES],
            [np.array([0, 1, 3]).astype(d) for d in DTYPES],
        ),
        *grid(
            "searchsorted",
            [stairs, [1, 2, 3]],
            [1.5],
            side=["left", "right", "middle", "l", 1],
        ),
        *grid(
            "searchsorted",
            [mixed],
            [1, [0, 3]],
            sorter=[
                order,
                [3, 1, 0, 2],
                order[:2],
                np.array([9, 1, 0, 2]),
                np.array([1.0, 2, 3, 0]),
            ],
        ),
        *grid("searchsorted", [np.ones((2, 2)), 3, np.array(1.0)], [1]),
        *grid("digitize", values, bins),
        *grid(
            "digitize",
            [LINE, TABLE],
            [np.arange(4), np.arange(4.0)[::-1].copy()],
            right=[True, False],
        ),
    ]


def of_counts() -> list[Call]:
    """How often values occur."""
    places = [
        np.array([0, 3, 1, 1]),
        np.array([2, 0], "uint8"),
        np.array([], "int64"),
        [1, 2, 2],
        np.array([True, False]),
        np.array([1, -1]),
        np.array([1.0, 2]),
        TABLE,
        3,
        [],
        np.array([0, 1], "uint64"),
    ]
    made = [
        *grid("bincount", places),
        *grid("bincount", places, minlength=[0, 2, 6, -1, None, 1.5, "a"]),
        *grid(
            "bincount",
            places[:2],
            weights=[
                array("float64", (4,)),
                array("float32", (4,)),
                array("int64", (4,)),
                [1, 2],
                [0.5, 1.5],
                array("complex64", (4,)),
                array("bool", (2,)),
                None,
            ],
            minlength=[OMITTED, 5],
        ),
        *grid("bincount", [places[0]], [array("float32", (4,))], [6]),
    ]
    data = [array(d, (8,)) for d in DTYPES]
    rows = np.array([[1, 2], [0, 1], [1, 2], [0, 0]])
    flags = [True, False]
    made += grid("unique", [*data, *every(("float32", "int8"))])
    made += grid(
        "unique",
        [data[3], data[7], rows, NANS, array("float32", (0,)), LINE],
        return_index=flags,
        return_inverse=flags,
        return_counts=flags,
    )
    made += grid(
        "unique",
        [
            rows,
            rows.astype("float64"),
            array("bool", (3, 2)),
            array("float32", (2, 3, 2)),
        ],
        axis=[None, 0, 1, -1, 5],
        return_inverse=[True],
        return_counts=[True],
    )
    made += grid(
        "unique",
        [NANS, LINE, np.array([np.nan, 1j, complex(1, np.nan), np.nan])],
        equal_nan=flags,
        return_counts=flags,
    )
    made += grid("unique", [data[6]], [True], [True], [True])
    made += grid("unique", ODD)
    made += grid("unique", [data[3]], sorted=[True])
    made += grid("nonzero", [*every(), *ODD])
    made += grid("flatnonzero", [*every(("int8", "float32")), *ODD])
    made += grid("argwhere", [*every(("int8", "float32")), *ODD])
    return [*made, *of_histograms(), *of_insertions()]


def of_insertions() -> list[Call]:
    """Entries put between others."""
    whole = [
        array("float32", (4,)),
        TABLE,
        array("float64", (2, 3, 2)),
        array("int8", (0,)),
    ]
    places = [0, 1, -1, 2, 9, -9, [0, 1], [1, 1, 0], [2], [], slice(0, 2), slice(None, None, 2),
              np.array([1, 0]), np.array([True, False]), 1.0, "a", [1.5], [[0]], np.int64(1)]  # fmt: skip
    values = [5, 2.7, True, [1, 2], [[1], [2]]]
    return [
        *grid("insert", whole, places, values),
        *grid("insert", whole[:3], places[:12], [7, [8, 9]], axis=[0, 1, -1, 5]),
        *grid(
            "insert",
            [TABLE],
            [1, [0, 2]],
            [array("float64", (2, 4)), array("int64", (4,)), 1j],
            axis=[0, 1],
        ),
        *grid("insert", [3, 2.5, [1, 2]], [0, 1], [1, 2.5]),
    ]


def of_histograms() -> list[Call]:
    """Counts in bins."""
    data = [array(d, (20,)) for d in DTYPES]
    numbers = array("float64", (20,))
    return [
        *grid("histogram", data),
        *grid(
            "histogram",
            [numbers, array("int64", (4, 5)), [], [1, 2, 1], 3],
            bins=[
                1,
                3,
                [0, 1, 2],
                np.array([-2.0, 0.0, 3.0]),
                [2, 1],
                0,
                -1,
                1.5,
                "a",
                np.ones((2, 2)),
            ],
        ),
        *grid(
            "histogram",
            [numbers, array("int64", (20,))],
            bins=[4],
            range=[None, (0, 1), (-3, 3), (1, 0), (2, 2), (0, np.inf)],
        ),
        *grid(
            "histogram",
            [numbers],
            bins=[5, [-2, 0, 3]],
            weights=[
                None,
                array("float64", (20,), 1),
                array("int64", (20,)),
                array("float64", (3,)),
            ],
            density=[None, True, False],
        ),
        *grid(
            "histogram",
            [np.array([1.0, np.nan]), np.array([2.0, 2.0]), np.array([np.inf, 1])],
            bins=[3],
        ),
    ]


CALLS = [*of_order(), *of_searches(), *of_counts()]
