"""Calls of products: of vectors, matrices and arrays, with axes and letters."""

from __future__ import annotations

import numpy as np

from tests.corpus.calls import Call
from tests.corpus.grids import DTYPES, FEW, OMITTED, array, grid, plain
from tests.corpus.matrices import LINE, MATRIX, ONE, square


def of_products() -> list[Call]:
    """Products of two arrays."""
    made = []
    for name in ("dot", "matmul", "inner", "outer", "vdot", "kron"):
        made += grid(name, plain(DTYPES, [(3,)]), plain(DTYPES, [(3,)], 1), ulps=8)
        made += grid(name, plain(ONE), plain(ONE, seed=1), ulps=8)
        made += grid(name, plain(FEW, [(2, 3)]), plain(FEW, [(3, 2), (3,)], 1), ulps=8)
        made += grid(
            name,
            [2, 1.5, [1, 2, 3], True],
            [LINE, array("int8", (3,)), 3, [4, 5, 6]],
            ulps=8,
        )
    batches = [(2, 3, 4), (4, 2), (4,), (2, 4, 2), (1, 4, 3), (3, 2, 4, 2), (2, 3)]
    for name in ("dot", "matmul", "inner", "kron", "linalg.matmul"):
        made += grid(name, plain(ONE, batches), plain(ONE, batches, 1), ulps=8)
    for name in ("vecdot", "linalg.vecdot"):
        made += grid(
            name,
            plain(FEW, [(2, 3), (3,)]),
            plain(FEW, [(3,), (2, 3), (4,)], 1),
            ulps=8,
        )
        made += grid(name, plain(ONE), [LINE, 2.0], ulps=8)
        made += grid(name, [MATRIX], [MATRIX], axis=[0, -1, 1, 2], ulps=8)
    return [
        *made,
        *grid("linalg.outer", plain(ONE, [(3,), (0,), (2, 3), ()]), [LINE, [1, 2]]),
        *grid("matmul", plain(FEW, [(2, 3)]), plain(FEW, [(3, 3)], 1), ulps=8),
        *grid("dot", [np.array(2.0), np.array(3)], [MATRIX, np.array(2j)]),
    ]


def of_axes() -> list[Call]:
    """Products that name their axes."""
    cube, other = array("float64", (2, 3, 4)), array("float64", (4, 3, 2), 1)
    triples = [(3,), (2, 3), (2,), (4, 3), (2, 1, 3), (), (1,), (4,)]
    axes = (
        0,
        1,
        2,
        3,
        4,
        -1,
        ([1], [1]),
        ([1, 2], [1, 0]),
        ((0, 2), (2, 0)),
        (1, 1),
        (0, 2),
        ([0], [0]),
        ([5], [0]),
        ([0, 1], [0]),
        ([-1], [0]),
        [[0, 1], [2, 1]],
        ([0, 0], [2, 2]),
    )
    made = []
    for name in ("tensordot", "linalg.tensordot"):
        made += grid(name, [cube], [other], axes=axes, ulps=8)
    return [
        *made,
        *grid(
            "tensordot",
            [cube, LINE, MATRIX, 2.0],
            [other, LINE, 2.0],
            (OMITTED, 0, 1, 2),
            ulps=8,
        ),
        *grid("tensordot", plain(FEW, [(2, 3)]), plain(FEW, [(3, 2)], 1), [1], ulps=8),
        *grid("cross", plain(ONE, triples), plain(ONE, triples, 1), ulps=8),
        *grid("cross", plain(DTYPES, [(3,)]), plain(DTYPES, [(3,)], 1), ulps=8),
        *grid(
            "cross",
            [array("float64", (3, 2))],
            [array("float64", (3, 2), 1), LINE],
            axis=[0, 1, -1, 2],
            ulps=8,
        ),
        *grid(
            "cross",
            [array("float64", (3, 2))],
            [array("float64", (2, 3), 1)],
            axisa=[0, 1],
            axisb=[0, 1],
            axisc=[0, -1],
            ulps=8,
        ),
        *grid("cross", [[1, 2, 3], [1, 2]], [[4, 5, 6.5], LINE]),
        *grid("linalg.cross", plain(ONE, triples), plain(ONE, triples, 1), ulps=8),
        *grid(
            "linalg.cross",
            [array("float64", (3, 2))],
            [array("float64", (3, 2), 1)],
            axis=[0, 1],
            ulps=8,
        ),
        *of_einsum(),
        *grid(
            "linalg.multi_dot",
            [
                [MATRIX, MATRIX.T],
                [MATRIX, MATRIX.T, MATRIX],
                [LINE, MATRIX.T, MATRIX],
                [LINE, LINE],
                [MATRIX],
                [],
                [MATRIX, MATRIX],
                [MATRIX, LINE],
                [LINE, square("float32"), LINE],
                [cube, LINE],
            ],
            ulps=32,
        ),
    ]


def of_einsum() -> list[Call]:
    """Sums of products by the letters of their axes."""
    one = [
        "ij->ji",
        "ij",
        "ij->",
        "ij->i",
        "ji",
        "i...->...",
        "...",
        "ii",
        "ij->ijk",
        "ijk",
        "i->i",
        "ij->ii",
        " i j -> j ",
        "a1",
        "ij,jk",
        "",
    ]
    two = [
        "ij,j->i",
        "ij,j",
        "ij,k->ijk",
        "ij,kj->ik",
        "ij,ij->",
        "i,j->ij",
        "...j,j->...",
        "ij,jk->ik",
        "ij,kj,k->i",
    ]
    squares = ["ii->i", "ii", "ij->j", "ii->", "iij->j"]
    return [
        *grid("einsum", one, [MATRIX, array("int8", (2, 3)), LINE], ulps=8),
        *grid(
            "einsum",
            squares,
            [square("float64"), MATRIX, array("bool", (3, 3))],
            ulps=8,
        ),
        *grid(
            "einsum", two, plain(FEW, [(2, 3)]), plain(FEW, [(3,), (2, 3)], 1), ulps=8
        ),
        *grid(
            "einsum",
            ["bij,bjk->bik", "bij,jk", "bij,bij->b"],
            [array("float64", (2, 3, 3))],
            [array("float64", (2, 3, 3), 1), square("float64")],
            ulps=8,
        ),
        *grid(
            "einsum",
            ["ij,jk,kl->il"],
            [MATRIX],
            [square("float64")],
            [MATRIX.T],
            optimize=[True, False],
            ulps=32,
        ),
        *grid(
            "einsum",
            ["ij->j", "ij->ij"],
            [array("int8", (2, 3))],
            dtype=["int64", "float32", "bool"],
        ),
        *grid("einsum", [MATRIX], [[0, 1]], [[1, 0], [0], OMITTED], ulps=8),
        *grid("einsum", [MATRIX], [[0, 1]], [LINE], [[1]], [[0], OMITTED], ulps=8),
    ]


CALLS = [*of_products(), *of_axes()]
