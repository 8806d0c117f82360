"""What stands for the inverse of any matrix: the pseudoinverse and least squares.

Read next: :mod:`workbench.core.ops.matrix_functions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import numpy as np

from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.ops.creation import zeros
from workbench.core.ops.decompositions import SVD, svdvals
from workbench.core.ops.elementwise import add, gt, maximum, mul, neg, neq, sub
from workbench.core.ops.joining import concatenate
from workbench.core.ops.matrices import (
    MatrixOp,
    MatrixShapeError,
    Shape,
    as_column,
    as_matrices,
    as_row,
    flip,
    product,
    real_dtype,
    smaller,
    symmetrised,
)
from workbench.core.ops.reduction import any as any_
from workbench.core.ops.reduction import max as largest
from workbench.core.ops.reduction import sum as total
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array


@dataclass(frozen=True)
class Pinv(MatrixOp):
    """The pseudoinverse of Moore and Penrose.

    Singular values up to `rcond` times the largest count as 0; by default a small multiple
    of the precision.
    """

    square: ClassVar[bool] = False
    rcond: float | None = None

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """Transposed."""
        *batch, m, n = shapes[0]
        return [(*batch, n, m)]

    def reference(self, x: Array) -> Array:
        """``np.linalg.pinv``."""
        return (
            np.linalg.pinv(x) if self.rcond is None else np.linalg.pinv(x, self.rcond)
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-pᵀ g pᵀ + (1 - x p) gᵀ p pᵀ + pᵀ p gᵀ (1 - p x); valid where the rank does not change.

        References
        ----------
        Golub and Pereyra (1973), The differentiation of pseudo-inverses and nonlinear least
        squares problems whose variables separate, equation 4.12.
        """
        self.real_only(node)
        assert g is not None
        (x,), p = node.inputs, node.output
        right, left = product(flip(g), p, flip(p)), product(flip(p), p, flip(g))
        first = neg(product(flip(p), g, flip(p)))
        second = sub(right, product(x, p, right))
        third = sub(left, product(left, p, x))
        return [add(add(first, second), third)]


@dataclass(frozen=True)
class Lstsq(MatrixOp):
    """x [n, k] that makes the length of a x - b least, the sums of squares left, the rank of a, its singular values.

    The sums are empty unless a has full rank and more rows than columns.
    """

    square: ClassVar[bool] = False
    needs: ClassVar[str] = "a and b must have as many rows."
    rcond: float | None = None

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """As many rows in both."""
        a, b = shapes
        return [(0, a[-2], b[-2])]

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[n, k], [k] or [0], scalar, [min(m, n)]."""
        (m, n), (_, k) = shapes[:2]
        return [(n, k), (None,), (), (smaller(m, n),)]

    def result_dtypes(self, dtype: str) -> list[str]:
        """The rank is int32; sums and singular values are real."""
        return [dtype, real_dtype(dtype), "int32", real_dtype(dtype)]

    def reference(self, a: Array, b: Array) -> tuple[Array, ...]:
        """``np.linalg.lstsq``."""
        x, left, rank, s = np.linalg.lstsq(a, b, self.rcond)
        return x, left, np.array(rank, "int32"), s

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """By x as the product of the pseudoinverse and b; by the sums of squares; by s.

        The sums do not change with x, for which they are least.
        """
        self.real_only(node)
        a, b = node.inputs
        gx, gleft, _, gs = grads
        x = node.outputs[0]
        ga, gb = [], []
        if gx is not None:
            p = Pinv(self.rcond).make_node(a)
            ga.append(p.op.vjp(p, product(gx, flip(b)))[0])
            gb.append(product(flip(p.output), gx))
        if gleft is not None:
            k = sizes_of(x)[-1]
            none = zeros((size_variable(k),), gleft.dtype)  # for sums that are left out
            g = index(concatenate([gleft, none]), slice(None, k))
            miss = mul(mul(sub(product(a, x), b), 2), as_row(g))
            ga.append(product(miss, flip(x)))
            gb.append(neg(miss))
        if gs is not None:
            u, _, vh = SVD(False).make_node(a).outputs
            ga.append(product(mul(u, as_row(gs)), vh))
        return [_sum(ga), _sum(gb)]


def _sum(terms: Sequence[Variable | None]) -> Variable | None:
    found = [t for t in terms if t is not None]
    return reduce(add, found) if found else None


# --- what users call ---------------------------------------------------------------------


class LstsqResult(NamedTuple):
    """What ``lstsq`` gives."""

    x: Variable
    residuals: Variable
    rank: Variable
    s: Variable


def pinv(
    a: Any,
    rcond: float | None = None,
    hermitian: bool = False,
    *,
    rtol: float | None = None,
) -> Variable:
    """The pseudoinverse [..., n, m] of matrices [..., m, n].

    Parameters
    ----------
    rcond, rtol
        Singular values up to this times the largest count as 0.
    hermitian
        Read only the lower triangle of a symmetric or Hermitian matrix.
    """
    (a,) = as_matrices("pinv", a)
    a = symmetrised(a, lower=True) if hermitian else a
    limit = rtol if rcond is None else rcond
    return Pinv(None if limit is None else float(limit))(a)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> LstsqResult:
    """x that makes the length of a x - b least, as ``np.linalg.lstsq``.

    Parameters
    ----------
    a : [m, n]
    b : [m] or [m, k]
    rcond
        Singular values up to this times the largest count as 0.

    Returns
    -------
    LstsqResult
        x [n] or [n, k]; sums of squares, empty unless the rank is n and m > n; the rank;
        the singular values of `a`.
    """
    a, b = as_variable(a), as_variable(b)
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise MatrixShapeError(
            f"lstsq takes a matrix and a vector or a matrix, got {a.type} and {b.type}."
        )
    is_vector = b.ndim == 1
    left, right = as_matrices("lstsq", a, as_column(b) if is_vector else b)
    limit = None if rcond is None else float(rcond)
    x, residuals, rank, s = Lstsq(limit).make_node(left, right).outputs
    return LstsqResult(index(x, (..., 0)) if is_vector else x, residuals, rank, s)


def matrix_rank(
    a: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None
) -> Variable:
    """How many singular values are above `tol`, int64; by default above rounding.

    Parameters
    ----------
    a : [..., m, n]
        Of a vector or scalar: 1 unless all its elements are 0.
    tol
        A limit, or one for every matrix.
    hermitian
        Read only the lower triangle of a symmetric or Hermitian matrix.
    rtol
        A limit as a part of the largest singular value.
    """
    a = as_variable(a)
    if a.ndim < 2:
        return cast(any_(neq(a, 0)), "int64")
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank takes tol or rtol, not both.")
    (a,) = as_matrices("matrix_rank", a)
    s = svdvals(symmetrised(a, lower=True) if hermitian else a)
    if tol is None:
        if rtol is None:
            m, n = (size_variable(k) for k in sizes_of(a)[-2:])
            rtol = mul(cast(maximum(m, n), s.dtype), float(np.finfo(s.dtype).eps))
        tol = mul(largest(s, axis=-1, initial=0), rtol)
    tol = as_variable(tol)
    return total(gt(s, as_column(tol) if tol.ndim else tol), axis=-1)
