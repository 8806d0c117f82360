"""Triangular factors of matrices: Cholesky's, LU, QR.

The derivatives are expressions of the same ops, so that they have derivatives in turn. Those
of Cholesky's factor and of QR are for real matrices; a complex one gives values, and an error
when differentiated.

Read next: :mod:`workbench.core.ops.decompositions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from workbench.core.errors import GradientError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Size
from workbench.core.ops.diagonals import tril, triu
from workbench.core.ops.elementwise import (
    add,
    eq,
    fill,
    mul,
    neg,
    sub,
)
from workbench.core.ops.joining import concatenate
from workbench.core.ops.matrices import (
    MatrixOp,
    Shape,
    as_column,
    as_matrices,
    as_row,
    flip,
    identity,
    product,
    real_dtype,
    smaller,
    symmetrised,
)
from workbench.core.ops.reduction import argmax
from workbench.core.ops.shape import sizes_of
from workbench.core.ops.solving import (
    SolveTriangular,
    arange_like,
    pivots_to_permutation,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array


@dataclass(frozen=True)
class Cholesky(MatrixOp):
    """The triangular factor of a positive definite matrix: l lᵀ, or uᵀ u unless `lower`.

    Only that triangle of the matrix is read. One that is not positive definite is an error
    at run time, or gives NaN with ``on_error="nan"``.
    """

    lower: bool = True
    on_error: str = "raise"

    def reference(self, x: Array) -> Array:
        """``np.linalg.cholesky``."""
        a = x if self.lower else np.swapaxes(x, -1, -2).conj()
        factor = (
            np.linalg.cholesky(a)
            if self.on_error == "raise"
            else self.each(_cholesky_or_nan, a)
        )
        return factor if self.lower else np.swapaxes(factor, -1, -2).conj()

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """With s = l⁻ᵀ Φ(lᵀ g) l⁻¹, Φ the lower triangle with half the diagonal: Φ(s + sᵀ).

        References
        ----------
        Murray (2016), Differentiation of the Cholesky decomposition, equations 10 and 11.
        Smith (1995), Differentiation of the Cholesky algorithm.
        """
        self.real_only(node)
        assert g is not None
        low, g = (node.output, g) if self.lower else (flip(node.output), flip(g))
        p = _half_triangle(product(flip(low), g))
        transposed = SolveTriangular(lower=True, trans=1)
        s = flip(transposed(low, flip(transposed(low, p))))
        result = _half_triangle(add(s, flip(s)))
        return [result if self.lower else flip(result)]


def _cholesky_or_nan(x: Array) -> Array:
    try:
        return np.linalg.cholesky(x)
    except np.linalg.LinAlgError:
        return np.full_like(x, np.nan)


def _half_triangle(x: Variable) -> Variable:
    """The lower triangle, with half the diagonal."""
    diagonal = sub(tril(x), tril(x, -1))
    return sub(tril(x), mul(diagonal, 0.5))


class LU(MatrixOp):
    """p, l, u with x = p l u: a permutation, a unit lower and an upper triangle."""

    name = "lu"
    square: ClassVar[bool] = False

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[m, m], [m, k], [k, n] with k the smaller of m and n."""
        *batch, m, n = shapes[0]
        k = smaller(m, n)
        return [(*batch, m, m), (*batch, m, k), (*batch, k, n)]

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``scipy.linalg.lu``."""
        return self.each(_lu, x)

    def result_dtypes(self, dtype: str) -> list[str]:
        """The permutation is real."""
        return [real_dtype(dtype), dtype, dtype]

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """p l⁻ᵀ (tril(lᵀ gl, -1) + triu(gu uᵀ)) u⁻ᵀ, for square matrices (Giles 2008).

        The permutation is piecewise constant.
        """
        p, low, up = node.outputs
        _, gl, gu = grads
        if gl is None and gu is None:
            return [None]
        return [product(cast(p, low.dtype), lu_gradient(low, up, gl, gu))]


def _lu(x: Array) -> tuple[Array, ...]:
    from scipy import linalg

    if not x.size:  # SciPy forgets the permutation
        return np.eye(x.shape[0]), x[:, :0], x[:0]
    return linalg.lu(x, check_finite=False)


def lu_gradient(
    low: Variable, up: Variable, gl: Variable | None, gu: Variable | None
) -> Variable:
    """The gradient by l u of square l and u, from those by l and by u."""
    parts = []
    if gl is not None:
        parts.append(tril(product(flip(low), gl), -1))
    if gu is not None:
        parts.append(triu(product(gu, flip(up))))
    inner = parts[0] if len(parts) == 1 else add(*parts)
    left = SolveTriangular(lower=True, trans=1, unit_diagonal=True)(low, inner)
    return flip(SolveTriangular(lower=False)(up, flip(left)))


class LUFactor(MatrixOp):
    """Both triangles of LU in one matrix, and the row each row was exchanged with."""

    name = "lu_factor"
    square: ClassVar[bool] = False

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[m, n] and [k] with k the smaller of m and n."""
        *batch, m, n = shapes[0]
        return [tuple(shapes[0]), (*batch, smaller(m, n))]

    def result_dtypes(self, dtype: str) -> list[str]:
        """The exchanges are int32."""
        return [dtype, "int32"]

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``scipy.linalg.lu_factor``."""
        return self.each(_lu_factor, x)

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """As for LU, for square matrices."""
        (g, _), (lu, pivots) = grads, node.outputs
        if g is None:
            return [None]
        n = sizes_of(lu)[-1]
        low = add(tril(lu, -1), identity(n, lu.dtype))
        order = pivots_to_permutation(pivots)
        same = eq(as_row(order), as_column(arange_like(order)))
        result = lu_gradient(low, triu(lu), tril(g, -1), triu(g))
        return [product(cast(same, lu.dtype), result)]


def _lu_factor(x: Array) -> tuple[Array, Array]:
    from scipy import linalg

    return linalg.lu_factor(x, check_finite=False)


@dataclass(frozen=True)
class QR(MatrixOp):
    """q, r with x = q r, q orthonormal and r upper triangular; ``mode`` as in NumPy."""

    name = "qr"
    square: ClassVar[bool] = False
    mode: str = "reduced"

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[m, k] and [k, n] with k the smaller of m and n, or m for complete ones."""
        *batch, m, n = shapes[0]
        k = m if self.mode == "complete" else smaller(m, n)
        if self.mode == "raw":
            return [(*batch, n, m), (*batch, k)]
        r = (*batch, k, n)
        return [r] if self.mode == "r" else [(*batch, m, k), r]

    def reference(self, x: Array) -> tuple[Array, ...] | Array:
        """``np.linalg.qr``."""
        result = np.linalg.qr(x, self.mode)  # type: ignore[call-overload]
        return result if self.mode == "r" else tuple(result)

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """(gq + q s) r⁻ᵀ, where s is made symmetric from the lower triangle of r grᵀ - gqᵀ q.

        Of a wide matrix the first columns are factored, q r₁, and the others are q r₂; that
        is a tall matrix when there are no others. The first columns must be independent.

        References
        ----------
        Walter and Lehmann (2010), Algorithmic differentiation of linear algebra functions
        with application in optimum experimental design, arXiv:1001.1654, section 3.2.
        """
        self.real_only(node)
        (x,) = node.inputs
        if self.mode == "raw":
            raise GradientError("qr(mode='raw') has no gradient; use mode='reduced'.")
        if self.mode == "r":
            q, r = QR("reduced").make_node(x).outputs
            return [_qr_gradient(x, q, r, None, grads[0])]
        (q, r), (gq, gr) = node.outputs, grads
        if self.mode == "complete":
            k = smaller(*sizes_of(x)[-2:])
            first = (..., slice(None, k), slice(None))
            gq = None if gq is None else completed_gradient(q, gq, k)
            q, r = index(q, (..., slice(None, k))), index(r, first)
            gr = None if gr is None else index(gr, first)
        return [_qr_gradient(x, q, r, gq, gr)]


def completed_gradient(q: Variable, g: Variable, k: Size) -> Variable:
    """The gradient by the first `k` columns of an orthogonal q, from that by all.

    The columns that complete q follow the first ones: dq₂ = -q₁ dq₁ᵀ q₂, up to a rotation
    among themselves, which is free.
    """
    first, others = (..., slice(None, k)), (..., slice(k, None))
    q2, g2 = index(q, others), index(g, others)
    return sub(index(g, first), product(q2, flip(g2), index(q, first)))


def _qr_gradient(
    x: Variable,
    q: Variable,
    r: Variable,
    gq: Variable | None,
    gr: Variable | None,
) -> Variable:
    k = sizes_of(q)[-1]
    first, others = (..., slice(None, k)), (..., slice(k, None))
    if gr is None:
        assert gq is not None
        wide = fill(index(x, others), as_variable(0, x.dtype))
        s = neg(product(flip(gq), q))
    else:
        wide = product(q, index(gr, others))
        more = product(index(x, others), flip(index(gr, others)))
        gq = more if gq is None else add(gq, more)
        s = sub(product(index(r, first), flip(index(gr, first))), product(flip(gq), q))
    tall = add(gq, product(q, symmetrised(s, lower=True)))
    solved = flip(SolveTriangular(lower=False)(index(r, first), flip(tall)))
    return concatenate([solved, wide], x.ndim - 1)


# --- what users call ---------------------------------------------------------------------


class QRResult(NamedTuple):
    """Orthonormal columns and an upper triangle."""

    Q: Variable
    R: Variable


def cholesky(
    a: Any, lower: bool = True, *, upper: bool | None = None, on_error: str = "raise"
) -> Variable:
    """The triangular l of a positive definite matrix l lᴴ, or u of uᴴ u.

    Parameters
    ----------
    a : [..., n, n]
        Only the triangle of the result is read.
    lower, upper
        Which factor; ``upper=True`` is NumPy's word for ``lower=False``.
    on_error : {"raise", "nan"}
        What becomes of a matrix that is not positive definite: an error of the call, or NaN.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> T.linalg.cholesky([[4.0, 2.0], [2.0, 2.0]]).eval()
    array([[2., 0.],
           [1., 1.]])
    """
    if on_error not in ("raise", "nan"):
        raise ValueError(
            f"cholesky: on_error must be 'raise' or 'nan', not {on_error!r}."
        )
    (a,) = as_matrices("cholesky", a)
    return Cholesky(bool(lower) if upper is None else not upper, on_error)(a)


def cho_factor(a: Any, lower: bool = False) -> tuple[Variable, bool]:
    """A Cholesky factor, zero beyond its triangle, and `lower`: what ``cho_solve`` takes."""
    (a,) = as_matrices("cho_factor", a, least="float32")
    return cholesky(a, lower), lower


def lu(
    a: Any, permute_l: bool = False, p_indices: bool = False
) -> tuple[Variable, ...]:
    """p, l, u with a = p l u, as ``scipy.linalg.lu``.

    Parameters
    ----------
    a : [..., m, n]
    permute_l
        Give p l and u instead.
    p_indices
        Give p as places, int32, such that ``a = l[p] @ u``.
    """
    (a,) = as_matrices("lu", a, least="float32")
    p, low, up = LU().make_node(a).outputs
    if permute_l:
        return product(cast(p, low.dtype), low), up
    if p_indices:
        return cast(argmax(p, axis=-1), "int32"), low, up
    return p, low, up


def lu_factor(a: Any) -> tuple[Variable, Variable]:
    """Both triangles of LU in one matrix [..., m, n], and pivots: what ``lu_solve`` takes.

    There is a gradient for square matrices.
    """
    (a,) = as_matrices("lu_factor", a, least="float32")
    both, pivots = LUFactor().make_node(a).outputs
    return both, pivots


def qr(a: Any, mode: str = "reduced") -> Any:
    """q, r with a = q r, as ``np.linalg.qr``.

    Parameters
    ----------
    a : [..., m, n]
    mode : {"reduced", "complete", "r", "raw"}
        ``"r"`` gives r alone; ``"economic"`` is SciPy's word for ``"reduced"``.

    Raises
    ------
    ValueError
        Another mode.
    """
    mode = {"economic": "reduced"}.get(mode, mode)
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"qr: unknown mode {mode!r}.")
    (a,) = as_matrices("qr", a)
    outputs = QR(mode).make_node(a).outputs
    if len(outputs) == 1:
        return outputs[0]
    return QRResult(*outputs) if mode != "raw" else tuple(outputs)
