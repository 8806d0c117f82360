"""Calls of linear algebra: decompositions, norms, equations."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from tests.corpus.calls import Call
from tests.corpus.grids import DTYPES, OMITTED, array, arrays, grid, plain

ONE = ("float64",)
FLOATS = ("int64", "float32", "float64", "complex64", "complex128")
LINE = array("float64", (3,))
MATRIX = array("float64", (2, 3))
HUNDRED = 100
"""Units in the last place by which a decomposition may differ: a pivot can fall otherwise
when LAPACK is called on memory of another alignment."""


def square(dtype: str, *batch: int, size: int = 3, seed: int = 0) -> np.ndarray:
    """Matrices far from singular."""
    return array(dtype, (*batch, size, size), seed) + np.eye(
        size, dtype=dtype
    ) * np.dtype(dtype).type(12)


def positive(dtype: str, *batch: int, size: int = 3) -> np.ndarray:
    """Symmetric matrices with positive eigenvalues."""
    x = array(dtype, (*batch, size, size))
    made = x @ x.swapaxes(-1, -2).conj() + np.eye(size, dtype=dtype) * np.dtype(
        dtype
    ).type(5)
    return np.asarray(made, dtype)


def wrong() -> list[np.ndarray]:
    """What is no square matrix of usable numbers."""
    return [
        LINE,
        MATRIX,
        np.array(2.0),
        array("float64", (0, 0)),
        square("float16"),
        square("int64").astype(bool),
        np.zeros((2, 2)),
        np.ones((3, 3)),
        array("float64", (0, 3, 3)),
        np.full((2, 2), np.nan),
    ]


def of_one_matrix() -> list[Call]:
    """Numbers and matrices made from one matrix."""
    good = [square(d, *batch) for d in FLOATS for batch in ((), (2,), (2, 1))]
    good += [square("float64", size=1), [[1.0, 2], [3, 5]], [[2, 1], [0, 3]]]
    symmetric = [positive(d, *batch) for d in FLOATS for batch in ((), (2,))]
    names = (
        "det",
        "slogdet",
        "inv",
        "eigvals",
        "eig",
        "svdvals",
        "cond",
        "pinv",
        "matrix_rank",
        "matrix_transpose",
        "trace",
        "diagonal",
        "matrix_norm",
        "qr",
        "svd",
    )
    made = []
    for name in names:
        made += grid(f"linalg.{name}", [*good, *wrong(), *symmetric[:2]], ulps=HUNDRED)
    for name in ("cholesky", "eigh", "eigvalsh"):
        made += grid(
            f"linalg.{name}",
            [*symmetric, *wrong(), good[0], [[2, 1], [1, 3]]],
            ulps=HUNDRED,
        )
    short = [np.asarray(positive("float64"), d) for d in ("int8", "int16", "float16")]
    for name in ("expm", "lu", "lu_factor", "cho_factor", "schur"):
        made += grid(
            f"linalg.{name}",
            [*(symmetric if name == "cho_factor" else good), *wrong()[:8]],
            ulps=HUNDRED,
        )
        made += grid(f"linalg.{name}", short, ulps=HUNDRED)
    for x in short:
        made += grid("linalg.solve_triangular", [x], [x], ulps=HUNDRED)
        made += grid("linalg.qz", [x], [x], ulps=10000)
        made += grid("linalg.solve_sylvester", [x], [x], [x], ulps=10000)
    return made


def of_options() -> list[Call]:
    """The same, with keywords."""
    cube = array("float64", (2, 3, 3))
    square_ones = [square("float64"), square("float32"), square("complex128"), cube]
    tall = [
        MATRIX,
        MATRIX.T,
        array("float32", (4, 2)),
        array("float64", (0, 3)),
        array("float64", (3, 0)),
        array("complex128", (3, 2)),
        array("int64", (2, 2, 3)),
    ]
    powers = (0, 1, 2, 3, 5, -1, -3, 2.0, "a")
    return [
        *grid(
            "linalg.cholesky",
            [positive("float64"), positive("complex64")],
            upper=[True, False],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.eigh",
            [positive("float64"), square("float64")],
            ["L", "U", "x", "l"],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.eigvalsh",
            [positive("float64"), square("float64")],
            UPLO=["L", "U", "x"],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.svd",
            tall,
            full_matrices=[True, False],
            compute_uv=[True, False],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.svd",
            [positive("float64")],
            hermitian=[True],
            compute_uv=[True, False],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.qr", tall, ["reduced", "complete", "r", "raw", "x"], ulps=HUNDRED
        ),
        *grid("linalg.pinv", [*tall, np.ones((3, 3))], ulps=HUNDRED),
        *grid("linalg.pinv", [MATRIX, cube], rcond=[1e-3, 0.9], ulps=HUNDRED),
        *grid(
            "linalg.pinv",
            [positive("float64")],
            hermitian=[True],
            rtol=[OMITTED, 0.1, None],
            ulps=HUNDRED,
        ),
        *grid("linalg.matrix_rank", [*tall, np.ones((3, 3)), LINE, np.zeros(2), 5.0]),
        *grid("linalg.matrix_rank", [MATRIX, np.ones((3, 3))], tol=[None, 0.5, 100]),
        *grid(
            "linalg.matrix_rank",
            [positive("float64")],
            hermitian=[True],
            rtol=[OMITTED, 0.9],
        ),
        *grid(
            "linalg.matrix_power",
            [*square_ones, square("int64"), MATRIX, [[1, 1], [0, 1]]],
            powers,
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.cond",
            [*square_ones[:2], MATRIX],
            [None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc", "x"],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.cond",
            [np.ones((3, 3)), np.zeros((2, 2))],
            [None, 1, "fro"],
            ulps=1e17,
        ),
        *grid("linalg.diagonal", [cube, MATRIX, LINE], offset=[0, 1, -1, 7]),
        *grid(
            "linalg.trace",
            [cube, MATRIX, array("int8", (3, 3)), LINE],
            offset=[0, 1, -1],
            dtype=[OMITTED, "float32"],
        ),
        *grid(
            "linalg.lu",
            [square("float64"), MATRIX, MATRIX.T, cube],
            permute_l=[True, False],
            p_indices=[True, False],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.schur", square_ones[:3], ["real", "complex", "r", "x"], ulps=HUNDRED
        ),
        *grid("linalg.cho_factor", [positive("float64")], [True, False], ulps=HUNDRED),
        *grid(
            "linalg.tensorinv",
            [
                array("float64", (4, 6, 8, 3)),
                array("float64", (24, 8, 3)),
                square("float64"),
            ],
            (OMITTED, 1, 2, 0),
            ulps=10000,
        ),
        *grid(
            "linalg.expm",
            [[[0, 1], [-1, 0]], np.zeros((2, 2)), np.diag([1.0, -2])],
            ulps=HUNDRED,
        ),
    ]


def of_norms() -> list[Call]:
    """Lengths of vectors, sizes of matrices."""
    orders = (None, 0, 1, 2, -1, -2, 3, 0.5, np.inf, -np.inf, "fro", "nuc", "x")
    more = [
        LINE,
        MATRIX,
        array("float32", (2, 3)),
        array("complex64", (2, 3)),
        array("float64", (2, 2, 3)),
    ]
    return [
        *grid("linalg.norm", [*arrays(DTYPES), [3, 4], 5, [[1, 2], [3, 4.5]]], ulps=8),
        *grid("linalg.norm", more, orders, ulps=32),
        *grid("linalg.norm", [MATRIX, more[-1]], orders, (0, -1, 1), ulps=8),
        *grid(
            "linalg.norm",
            [MATRIX, more[-1]],
            orders,
            ((0, 1), (-1, 0), (0, 0), (0, 5), (0,)),
            ulps=32,
        ),
        *grid(
            "linalg.norm",
            [MATRIX],
            [None, 1],
            [None, 0, (0, 1)],
            keepdims=[True, False],
            ulps=8,
        ),
        *grid("linalg.norm", plain(ONE, [(0,), (0, 3), (3, 0)]), orders, ulps=8),
        *grid(
            "linalg.vector_norm",
            more,
            axis=[None, 0, (0, 1), -1, 3],
            ord=[OMITTED, 1, 0, np.inf, 3],
            ulps=8,
        ),
        *grid("linalg.vector_norm", [MATRIX], keepdims=[True], axis=[None, 0]),
        *grid("linalg.matrix_norm", more, ord=orders[2:], ulps=32),
        *grid("linalg.matrix_norm", more[1:3], keepdims=[True], ulps=8),
    ]


def of_equations() -> list[Call]:
    """Equations with matrices solved."""
    shapes = [(3,), (3, 2), (2,), (2, 3, 1), (1, 3), (), (3, 0), (2, 3), (0,)]
    left = [
        square("float64"),
        square("float64", 2),
        square("float32"),
        square("complex64"),
        square("int64"),
    ]
    return [
        *grid(
            "linalg.solve",
            left,
            plain(("float64", "int64", "complex128"), shapes),
            ulps=HUNDRED,
        ),
        *grid("linalg.solve", wrong(), [LINE, np.ones((2, 2))], ulps=HUNDRED),
        *grid("linalg.solve", [[[2.0, 1], [1, 3]]], [[1, 2], [[1], [2]]], ulps=HUNDRED),
        *grid(
            "linalg.lstsq",
            [
                MATRIX,
                MATRIX.T,
                square("float64"),
                np.ones((3, 3)),
                array("float32", (3, 2)),
                array("complex128", (3, 2)),
                LINE,
            ],
            [
                LINE,
                array("float64", (3, 2)),
                array("float64", (2,)),
                array("float64", (2, 2)),
            ],
            [OMITTED, None, 0.1],
            ulps=1000,
        ),
        *grid(
            "linalg.tensorsolve",
            [np.eye(6).reshape(2, 3, 6) + 1, np.eye(24).reshape(6, 4, 2, 3, 4)],
            [array("float64", (2, 3)), array("float64", (6, 4))],
            ulps=1000,
        ),
        *grid(
            "linalg.tensorsolve",
            [np.eye(24).reshape(6, 4, 2, 3, 4).transpose(0, 2, 1, 3, 4)],
            [array("float64", (6, 4))],
            axes=[(1,), (0, 2)],
            ulps=1000,
        ),
        *grid(
            "linalg.solve_triangular",
            [
                square("float64"),
                square("float32"),
                square("complex128"),
                MATRIX,
                np.zeros((3, 3)),
                square("float64", 2),
            ],
            plain(ONE, shapes),
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.solve_triangular",
            left[:3],
            [LINE],
            trans=[0, 1, 2, "N", "T", "C", "x", 3],
            lower=[True, False],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.solve_triangular",
            [square("complex128")],
            [array("complex128", (3,))],
            trans=["T", "C"],
            unit_diagonal=[True, False],
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.cho_solve",
            [
                (positive("float64"), True),
                (positive("float64"), False),
                (positive("complex64"), True),
            ],
            plain(ONE, shapes),
            ulps=HUNDRED,
        ),
        *grid(
            "linalg.lu_solve",
            [
                scipy.linalg.lu_factor(square("float64")),
                scipy.linalg.lu_factor(square("float32")),
            ],
            plain(ONE, shapes),
            (OMITTED, 0, 1, 2),
            ulps=HUNDRED,
        ),
        *of_control(),
    ]


def of_control() -> list[Call]:
    """The equations of Sylvester, Lyapunov and Riccati."""
    a, b, q = square("float64"), square("float64", seed=1), square("float64", seed=2)
    good = [
        a,
        a.astype("float32"),
        a + 0.5j,
        a.astype("int64"),
        MATRIX,
        [[2.0, 1], [0, 3]],
    ]
    return [
        *grid(
            "linalg.solve_sylvester",
            good,
            [b, b[:2, :2]],
            [q, q[:, :2], q[:2, :2]],
            ulps=10000,
        ),
        *grid("linalg.solve_continuous_lyapunov", good, [q, q[:2, :2]], ulps=10000),
        *grid(
            "linalg.solve_discrete_lyapunov",
            [x / 40 if isinstance(x, np.ndarray) else x for x in good],
            [q, q[:2, :2]],
            [OMITTED, "direct", "bilinear", "x"],
            ulps=10000,
        ),
        *grid("linalg.schur", [a], sort=["lhp", "iuc"], ulps=10000),
        *grid("linalg.qz", [a], [b], sort=[None], ulps=10000),
        *grid(
            "linalg.solve_discrete_are",
            [a / 20],
            [np.eye(3)],
            [np.eye(3)],
            [np.eye(3)],
            e=[np.eye(3)],
            ulps=10000,
        ),
        *grid(
            "linalg.solve_discrete_are",
            [a / 20, MATRIX],
            [np.eye(3), np.ones((3, 1))],
            [np.eye(3)],
            [np.eye(3), np.eye(1)],
            ulps=10000,
        ),
        *grid(
            "linalg.qz",
            [a, a.astype("float32"), MATRIX],
            [b],
            ["real", "complex", "x"],
            ulps=10000,
        ),
    ]


CALLS = [
    *of_one_matrix(),
    *of_options(),
    *of_norms(),
    *of_equations(),
]
