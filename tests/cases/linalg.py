"""Rows for products of matrices, linear equations, factors and functions of matrices.

What has its sign free, as an eigenvector, is compared by an expression without it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg as scipy_linalg

import workbench.tensor as T
from tests.cases.base import ALL, COMPLEXES, NUMBERS, Case, Places, Values, one
from workbench.core.graph import Variable
from workbench.core.ops import (
    decompositions,
    equations,
    factored,
    factorizations,
    least_squares,
    linalg,
    matrix_functions,
    schur,
    solving,
)

L = T.linalg
REALS = ("float32", "float64")
FLOATING = (*REALS, *COMPLEXES)
LAPACK = ("int32", *FLOATING)  # integers where both sides compute alike, zeros included


# --- matrices ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """Random matrices plus `dominance` on the diagonal, which keeps them far from singular."""

    dominance: float = 2.0

    def __call__(self, rng, dtype, shape):
        noise = Values(-0.5, 0.5)(rng, dtype, shape)
        if np.dtype(dtype).kind in "biu":
            noise = rng.integers(0, 3, shape)
        growing = self.dominance * (1 + 0.3 * np.arange(shape[-1]))
        return (noise + np.eye(*shape[-2:]) * np.ceil(growing)).astype(dtype)


def definite(rng, dtype, shape):
    """Symmetric (Hermitian) positive definite matrices."""
    a = Matrix()(rng, dtype, shape)
    return (a @ np.swapaxes(a, -1, -2).conj()).astype(dtype)


def small(rng, dtype, shape):
    """Matrices whose eigenvalues lie inside the unit circle."""
    return Values(-0.3, 0.3)(rng, dtype, shape)


def flat(*parts):
    """Everything in one vector."""
    if isinstance(parts[0], Variable):
        return T.concatenate([T.flatten(p) for p in parts])
    return np.concatenate([np.ravel(p) for p in parts])


def each(function):
    """A function of single matrices, applied to all of a batch."""

    def batched(*arrays):
        if arrays[0].ndim == 2:
            return function(*arrays)
        return np.stack([batched(*parts) for parts in zip(*arrays, strict=True)])

    return batched


def as_floats(x):
    return x.astype("float64") if x.dtype.kind in "iu" else x


SQUARE = one((3, 3), (2, 3, 3), (1, 1), (0, 0), (0, 2, 2))
PAIR = (
    ((3, 3), (3, 2)),
    ((2, 2, 2), (2, 2, 1)),
    ((2, 1, 2, 2), (2, 2)),
    ((1, 1), (1, 3)),
    ((0, 0), (0, 2)),
)


def of_matrix(
    op, build, reference, maker=Matrix(), shapes=SQUARE, dtypes=LAPACK, **options
):
    """A row for a function of one matrix, differentiable by default."""
    options.setdefault("differentiable", (0,))
    options.setdefault("ulps", 512)
    return Case(op, build, reference, shapes, dtypes, (maker,), **options)


# --- rows --------------------------------------------------------------------------------

PRODUCTS = [
    Case(
        linalg.Dot,
        T.dot,
        np.dot,
        (
            ((3, 4), (4, 2)),
            ((4,), (4, 2)),
            ((3, 4), (4,)),
            ((4,), (4,)),
            ((3, 0), (0, 2)),
            ((0, 3), (3, 1)),
            ((1, 1), (1, 3)),
        ),
        differentiable=(0, 1),
        ulps=64,
    ),
    Case(
        linalg.Dot,
        T.dot,
        np.dot,
        (((2, 3, 4), (4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (5, 4, 2))),
        differentiable=(0, 1),
        ulps=64,
        note="many-axes",
    ),
    Case(
        linalg.Gemm,
        linalg.Gemm(),
        lambda z, a, x, y: z + a * np.dot(x, y),
        (
            ((3, 2), (), (3, 4), (4, 2)),
            ((2,), (), (4,), (4, 2)),
            ((3,), (), (3, 4), (4,)),
            ((), (), (4,), (4,)),
            ((3, 2), (), (3, 0), (0, 2)),
        ),
        NUMBERS,
        differentiable=(0, 1, 2, 3),
        ulps=64,
    ),
    Case(
        linalg.Gemm,
        linalg.Gemm(),
        lambda z, a, x, y, b: b * z + a * np.matmul(x, y),
        (
            ((2, 3, 2), (), (2, 3, 4), (2, 4, 2), ()),
            ((0, 3, 2), (), (0, 3, 4), (0, 4, 2), ()),
            ((3, 2), (), (3, 4), (4, 2), ()),
            ((3, 2), (), (3, 1), (1, 2), ()),
            ((3,), (), (3, 4), (4,), ()),
        ),
        NUMBERS,
        differentiable=(0, 1, 2, 3, 4),
        ulps=64,
        note="beta",
    ),
    Case(
        linalg.ScaledDot,
        linalg.ScaledDot(),
        lambda a, x, y: a * np.matmul(x, y),
        (
            ((), (3, 4), (4, 2)),
            ((), (2, 3, 4), (2, 4, 2)),
            ((), (3, 4), (4,)),
            ((), (4,), (4,)),
            ((), (3, 0), (0, 2)),
        ),
        NUMBERS,
        differentiable=(0, 1, 2),
        ulps=64,
    ),
    Case(
        linalg.BatchedDot,
        T.matmul,
        np.matmul,
        (
            ((2, 3, 4), (2, 4, 5)),
            ((2, 1, 4), (2, 4, 1)),
            ((5, 2, 3, 4), (1, 2, 4, 3)),
            ((1, 2, 3), (4, 3, 2)),
            ((2, 3, 0), (2, 0, 2)),
            ((0, 3, 4), (0, 4, 2)),
        ),
        ALL,
        differentiable=(0, 1),
        ulps=64,
    ),
    Case(
        linalg.BatchedDot,
        T.matmul,
        np.matmul,
        (((3, 2, 20, 30), (3, 2, 30, 10)),),
        NUMBERS,
        ulps=512,
        note="large",
    ),
    Case(
        linalg.BatchedDot,
        lambda x, y: T.einsum("bki,bjk->bij", x, y),
        lambda x, y: np.matmul(np.swapaxes(x, 1, 2), np.swapaxes(y, 1, 2)),
        (((2, 3, 4), (2, 5, 3)), ((1, 2, 2), (1, 3, 2))),
        ALL,
        differentiable=(0, 1),
        ulps=64,
        note="transposed",
    ),
    Case(
        linalg.BatchedDot,
        lambda x, y: T.einsum("kib,bjk->bij", x, y),
        lambda x, y: np.matmul(np.transpose(x, (2, 1, 0)), np.swapaxes(y, 1, 2)),
        (((3, 4, 2), (2, 5, 3)),),
        NUMBERS,
        differentiable=(0, 1),
        ulps=64,
        note="batch-last",
    ),
]


def solve_row(structure, lower=False, maker=Matrix(), dtypes=FLOATING):
    """A row for equations of which something is assumed."""

    def read(a):
        triangle = np.tril(a) if lower else np.triu(a)
        other = np.swapaxes(np.tril(a, -1) if lower else np.triu(a, 1), -1, -2)
        return triangle + (other if structure == "sym" else other.conj())

    return Case(
        solving.Solve,
        lambda a, b: L.solve(a, b, lower=lower, assume_a=structure),
        lambda a, b: np.linalg.solve(
            as_floats(a if structure == "gen" else read(a)), b
        ),
        PAIR,
        dtypes,
        (maker, Values(-1, 1)),
        differentiable=(0, 1),
        ulps=512,
        note=f"{structure}{'-lower' * lower}",
    )


def triangular_row(lower, trans, unit):
    def reference(a, b):
        a = np.tril(a) if lower else np.triu(a)
        if unit:
            a = a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1])
        a = a if trans == 0 else np.swapaxes(a if trans == 1 else a.conj(), -1, -2)
        return np.linalg.solve(a.astype(b.dtype), b)

    return Case(
        solving.SolveTriangular,
        lambda a, b: L.solve_triangular(a, b, trans, lower, unit),
        reference,
        PAIR,
        FLOATING,
        (Matrix(), Values(-1, 1)),
        differentiable=(0, 1),
        ulps=512,
        note=f"{lower}-{trans}-{unit}",
    )


EQUATIONS = [
    solve_row("gen", dtypes=LAPACK),
    solve_row("sym"),
    solve_row("sym", lower=True),
    solve_row("her", maker=definite),
    solve_row("pos", maker=definite),
    solve_row("pos", lower=True, maker=definite, dtypes=REALS),
    *(
        triangular_row(*options)
        for options in (
            (True, 0, False),
            (False, 1, False),
            (True, 2, True),
            (False, 0, True),
        )
    ),
    of_matrix(solving.Inverse, L.inv, lambda a: np.linalg.inv(a)),
    of_matrix(
        solving.Inverse, solving.Inverse("nan"), np.linalg.inv, dtypes=REALS, note="nan"
    ),
    Case(
        solving.PivotsToPermutation,
        L.pivots_to_permutation,
        lambda p: _permutations(p),
        one((3,), (2, 3), (0,)),
        ("int32", "int64"),
        (Places(0, 3, "int32"),),
    ),
    Case(
        equations.Sylvester,
        L.solve_sylvester,
        each(lambda a, b, q: scipy_linalg.solve_sylvester(a, b, q)),
        (
            ((3, 3), (2, 2), (3, 2)),
            ((2, 2, 2), (2, 3, 3), (2, 2, 3)),
            ((1, 1), (2, 2), (1, 2)),
        ),
        FLOATING,
        (Matrix(), Matrix(), Values(-1, 1)),
        differentiable=(0, 1, 2),
        ulps=512,
    ),
    Case(
        equations.DiscreteRiccati,
        lambda a, b, q, r: L.solve_discrete_are(a, b, T.dot(q, q.T), T.dot(r, r.T)),
        lambda a, b, q, r: scipy_linalg.solve_discrete_are(
            a, b, q @ q.T, r @ r.T
        ).astype(a.dtype),
        (((3, 3), (3, 2), (3, 3), (2, 2)), ((1, 1), (1, 1), (1, 1), (1, 1))),
        REALS,
        (small, Values(-1, 1), Matrix(), Matrix()),
        differentiable=(0, 1, 2, 3),
        ulps=4096,
    ),
]


def _permutations(pivots):
    if pivots.ndim > 1:
        return np.stack([_permutations(p) for p in pivots])
    order = list(range(len(pivots)))
    for i, j in enumerate(pivots):
        order[i], order[j] = order[j], order[i]
    return np.array(order, "int64")


RECTANGLES = one((3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (0, 2), (2, 0))


def qr_of(module, x, mode):
    result = module.linalg.qr(x, mode)
    return result if mode == "r" else flat(*result)


def svd_parts(module, x, full):
    u, s, vh = module.linalg.svd(x, full)
    if full:
        return flat(s, module.abs(u), module.abs(vh))
    return flat(s, module.abs(u), module.abs(vh), module.matmul(u, vh))


def completed(module, u, s=None, vh=None):
    """What does not depend on how the first two columns of u, and rows of vh, are completed."""
    parts = [u] if vh is None else [u, module.swapaxes(vh, -1, -2)]
    found = []
    for q in parts:
        rest = q[..., 2:]
        found.append(module.matmul(rest, module.swapaxes(rest, -1, -2)))
    return flat(*found, s) if vh is not None else flat(*found)


FACTORS = [
    of_matrix(
        factorizations.Cholesky,
        L.cholesky,
        lambda a: np.linalg.cholesky(a),
        definite,
    ),
    of_matrix(
        factorizations.Cholesky,
        lambda a: L.cholesky(a, lower=False, on_error="nan"),
        lambda a: np.swapaxes(np.linalg.cholesky(a), -1, -2).conj(),
        definite,
        dtypes=FLOATING,
        note="upper-nan",
    ),
    of_matrix(
        factorizations.LU,
        lambda a: flat(*L.lu(a)),
        each(lambda a: flat(*scipy_linalg.lu(as_floats(a)))),
        dtypes=REALS,
        shapes=one((3, 3), (1, 1)),
    ),
    of_matrix(
        factorizations.LU,
        lambda a: L.lu(a, permute_l=True)[0],
        each(lambda a: scipy_linalg.lu(as_floats(a), permute_l=True)[0]),
        shapes=one((4, 2), (2, 4), (2, 3, 2), (0, 2), (2, 0)),
        differentiable=(),
        note="rectangles",
    ),
    of_matrix(
        factorizations.LUFactor,
        lambda a: L.lu_factor(a)[0],
        each(lambda a: scipy_linalg.lu_factor(as_floats(a))[0]),
        Values(-1, 1),
        shapes=one((3, 3), (2, 3, 3), (1, 1)),
    ),
    *(
        Case(
            factored.SolveFactored,
            lambda lu, b, t=trans: factored.SolveFactored(t)(
                lu, T.constant(np.array([1, 2, 2], "int32")), b
            ),
            lambda lu, b, t=trans: scipy_linalg.lu_solve(
                (lu, np.array([1, 2, 2])), b, t
            ).astype(b.dtype),
            (((3, 3), (3, 2)), ((3, 3), (3, 1))),
            ("float32", "float64"),
            (Matrix(), Values()),
            differentiable=(0, 1),
            ulps=256,
            note=f"trans={trans}",
        )
        for trans in (0, 1)
    ),
    of_matrix(
        factorizations.QR,
        lambda a: qr_of(T, a, "reduced"),
        lambda a: qr_of(np, a, "reduced"),
        shapes=RECTANGLES,
    ),
    of_matrix(
        factorizations.QR,
        lambda a: qr_of(T, a, "r"),
        lambda a: qr_of(np, a, "r"),
        shapes=RECTANGLES,
        note="r",
    ),
    *(
        of_matrix(
            factorizations.QR,
            lambda a, m=mode: qr_of(T, a, m),
            lambda a, m=mode: qr_of(np, a, m),
            shapes=RECTANGLES,
            differentiable=(),
            note=mode,
        )
        for mode in ("complete", "raw")
    ),
    of_matrix(
        decompositions.Eigh,
        lambda a: flat(L.eigh(a)[0], T.abs(L.eigh(a)[1])),
        lambda a: flat(np.linalg.eigh(a)[0], abs(np.linalg.eigh(a)[1])),
    ),
    of_matrix(
        decompositions.Eigh,
        lambda a: T.sqr(L.eigh(a, "U")[1]),
        lambda a: np.linalg.eigh(a, "U")[1] ** 2,
        dtypes=REALS,
        note="upper",
    ),
    of_matrix(decompositions.Eigvalsh, L.eigvalsh, lambda a: np.linalg.eigvalsh(a)),
    of_matrix(
        decompositions.Eigvalsh,
        lambda a, b: L.eigvalsh(a, b, lower=False),
        lambda a, b: scipy_linalg.eigvalsh(np.triu(a), np.triu(b), lower=False),
        shapes=(((3, 3), (3, 3)), ((1, 1), (1, 1))),
        dtypes=REALS,
        maker=definite,
        differentiable=(0, 1),
        note="two",
    ),
    of_matrix(
        decompositions.Eig,
        lambda a: flat(L.eig(a)[0], L.eig(a)[1]),
        lambda a: flat(*(as_complex(v) for v in np.linalg.eig(a))),
        differentiable=(),
    ),
    of_matrix(
        decompositions.Eigvals,
        L.eigvals,
        lambda a: as_complex(np.linalg.eigvals(a)),
        differentiable=(),
    ),
    of_matrix(
        decompositions.SVD,
        lambda a: svd_parts(T, a, False),
        lambda a: svd_parts(np, a, False),
        shapes=one((3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (0, 2)),
    ),
    of_matrix(
        decompositions.SVD,
        lambda a: svd_parts(T, a, True),
        lambda a: svd_parts(np, a, True),
        shapes=RECTANGLES,
        differentiable=(),
        note="full",
    ),
    of_matrix(
        decompositions.SVD,
        lambda a: completed(T, *L.svd(a)),
        lambda a: completed(np, *np.linalg.svd(a)),
        shapes=one((3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3)),
        dtypes=REALS,
        note="completed",
    ),
    of_matrix(
        factorizations.QR,
        lambda a: completed(T, L.qr(a, "complete").Q),
        lambda a: completed(np, np.linalg.qr(a, "complete").Q),
        shapes=one((3, 3), (4, 2), (2, 4), (2, 3, 2)),
        dtypes=REALS,
        note="complete-gradient",
    ),
    of_matrix(
        decompositions.SVD,
        lambda a: L.svd(a).S,
        lambda a: np.linalg.svd(a)[1],
        shapes=RECTANGLES,
        note="values-of-full",
    ),
    of_matrix(
        decompositions.SingularValues,
        lambda a: L.svd(a, compute_uv=False),
        lambda a: np.linalg.svd(a, compute_uv=False),
        shapes=RECTANGLES,
    ),
    of_matrix(
        least_squares.Pinv,
        L.pinv,
        lambda a: np.linalg.pinv(as_floats(a)),
        shapes=RECTANGLES,
    ),
    of_matrix(
        least_squares.Pinv,
        lambda a: L.pinv(a, rcond=0.01),
        lambda a: np.linalg.pinv(a, 0.01),
        shapes=one((4, 2)),
        dtypes=REALS,
        note="rcond",
    ),
    Case(
        least_squares.Lstsq,
        lambda a, b: flat(L.lstsq(a, b).x, L.lstsq(a, b).s),
        lambda a, b: flat(np.linalg.lstsq(a, b)[0], np.linalg.lstsq(a, b)[3]),
        (((4, 2), (4, 3)), ((4, 2), (4,)), ((2, 4), (2, 2)), ((3, 1), (3, 1))),
        REALS,
        (Matrix(), Values(-1, 1)),
        differentiable=(0, 1),
        ulps=1024,
    ),
    Case(
        least_squares.Lstsq,
        lambda a, b: L.lstsq(a, b).residuals * L.lstsq(a, b).rank,
        lambda a, b: np.linalg.lstsq(a, b)[1] * np.asarray(np.linalg.lstsq(a, b)[2]),
        (((4, 2), (4, 3)), ((4, 2), (4,)), ((2, 4), (2, 2))),
        ("float64",),
        (Matrix(), Values(-1, 1)),
        differentiable=(0, 1),
        ulps=1024,
        note="residuals",
    ),
]


def as_complex(x):
    return x.astype(np.result_type(x, "complex64"))


SCHUR = [
    *(
        of_matrix(
            schur.Schur,
            lambda a, form=form: flat(*L.schur(a, form)),
            lambda a, form=form: flat(
                each(lambda x: scipy_linalg.schur(as_floats(x), form)[0])(a),
                each(lambda x: scipy_linalg.schur(as_floats(x), form)[1])(a),
            ),
            shapes=one((3, 3), (2, 3, 3), (1, 1)),
            differentiable=(),
            note=form,
        )
        for form in ("real", "complex")
    ),
    Case(
        schur.QZ,
        lambda a, b: flat(*L.qz(a, b)),
        each(lambda a, b: flat(*scipy_linalg.qz(a, b))),
        (((3, 3), (3, 3)), ((1, 1), (1, 1))),
        FLOATING,
        (Matrix(), Matrix()),
        ulps=512,
    ),
]

FUNCTIONS = [
    of_matrix(matrix_functions.Det, L.det, lambda a: np.linalg.det(a)),
    of_matrix(
        matrix_functions.SLogDet,
        lambda a: L.slogdet(a).logabsdet,
        lambda a: np.linalg.slogdet(a)[1],
    ),
    of_matrix(
        matrix_functions.SLogDet,
        lambda a: L.slogdet(-a).sign,
        lambda a: np.linalg.slogdet(-a)[0],
        differentiable=(),
        note="sign",
    ),
    of_matrix(matrix_functions.Expm, L.expm, lambda a: _expm(a), Matrix(0.5)),
]


def _expm(a):
    a = as_floats(a)
    return each(scipy_linalg.expm)(a) if a.size else a


LINALG: list[Case] = [*PRODUCTS, *EQUATIONS, *FACTORS, *SCHUR, *FUNCTIONS]
