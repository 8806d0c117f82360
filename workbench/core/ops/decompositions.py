"""Eigenvalues and singular values.

The derivatives are expressions of the same ops, so that they have derivatives in turn. They
are those of real matrices; a complex one gives values, and an error when differentiated. An
eigenvector, or a pair of singular vectors, is determined but for its sign: the derivative of
a cost that depends on the sign means nothing.

Read next: :mod:`workbench.core.ops.schur`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.ops.elementwise import (
    add,
    mul,
    reciprocal,
    sub,
    switch,
    true_div,
)
from workbench.core.ops.factorizations import cholesky, completed_gradient
from workbench.core.ops.matrices import (
    MatrixOp,
    Shape,
    adjoint,
    as_column,
    as_matrices,
    as_row,
    complex_dtype,
    flip,
    fold,
    identity,
    product,
    real_dtype,
    smaller,
    symmetrised,
    with_diagonal,
)
from workbench.core.ops.shape import sizes_of
from workbench.core.ops.solving import (
    SolveTriangular,
)
from workbench.core.ops.subscript import index
from workbench.core.types import Array


@dataclass(frozen=True)
class Eigh(MatrixOp):
    """Eigenvalues, ascending, and eigenvectors, as columns, of symmetric matrices.

    Only the triangle `uplo` is read, ``"L"`` or ``"U"``.
    """

    uplo: str = "L"

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[n] and [n, n]."""
        return [tuple(shapes[0][:-1]), tuple(shapes[0])]

    def result_dtypes(self, dtype: str) -> list[str]:
        """The eigenvalues are real."""
        return [real_dtype(dtype), dtype]

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``np.linalg.eigh``."""
        return tuple(np.linalg.eigh(x, self.uplo))  # type: ignore[call-overload]

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """v (diag(gw) + f ∘ vᵀ gv) vᵀ with f = 1 / (wⱼ - wᵢ) off the diagonal (Giles 2008, 3.1).

        With two equal eigenvalues their eigenvectors have no derivative: infinities or NaN.
        """
        self.real_only(node)
        (gw, gv), (w, v) = grads, node.outputs
        parts = []
        if gw is not None:
            parts.append(with_diagonal(gw))
        if gv is not None:
            parts.append(mul(inverse_gaps(w), product(flip(v), gv)))
        inner = parts[0] if len(parts) == 1 else add(*parts)
        return [fold(product(v, inner, flip(v)), self.uplo == "L")]


def inverse_gaps(w: Variable) -> Variable:
    """1 / (wⱼ - wᵢ) at row i and column j, 0 on the diagonal."""
    same = identity(sizes_of(w)[-1], "bool")
    gaps = switch(same, as_variable(1, w.dtype), sub(as_row(w), as_column(w)))
    return switch(same, as_variable(0, w.dtype), reciprocal(gaps))


@dataclass(frozen=True)
class Eigvalsh(MatrixOp):
    """Eigenvalues of symmetric matrices, ascending; only the triangle `uplo` is read."""

    uplo: str = "L"

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[n]."""
        return [tuple(shapes[0][:-1])]

    def result_dtypes(self, dtype: str) -> list[str]:
        """Real."""
        return [real_dtype(dtype)]

    def reference(self, x: Array) -> Array:
        """``np.linalg.eigvalsh``."""
        return np.linalg.eigvalsh(x, self.uplo)  # type: ignore[call-overload]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """v diag(g) vᵀ; of equal eigenvalues any order is one of several derivatives."""
        self.real_only(node)
        assert g is not None
        _, v = Eigh(self.uplo).make_node(*node.inputs).outputs
        whole = product(mul(v, as_row(g)), flip(v))
        return [fold(whole, self.uplo == "L")]


class Eig(MatrixOp):
    """Eigenvalues and eigenvectors, as columns, of square matrices: always complex.

    NumPy gives real arrays when all imaginary parts happen to be 0. There is no gradient.
    """

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[n] and [n, n]."""
        return [tuple(shapes[0][:-1]), tuple(shapes[0])]

    def result_dtypes(self, dtype: str) -> list[str]:
        """Complex."""
        return [complex_dtype(dtype)] * 2

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``np.linalg.eig``, made complex."""
        dtype = complex_dtype(x.dtype.name)
        return tuple(a.astype(dtype) for a in np.linalg.eig(x))


class Eigvals(MatrixOp):
    """Eigenvalues of square matrices: always complex. There is no gradient."""

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[n]."""
        return [tuple(shapes[0][:-1])]

    def result_dtypes(self, dtype: str) -> list[str]:
        """Complex."""
        return [complex_dtype(dtype)]

    def reference(self, x: Array) -> Array:
        """``np.linalg.eigvals``, made complex."""
        return np.linalg.eigvals(x).astype(complex_dtype(x.dtype.name))


@dataclass(frozen=True)
class SVD(MatrixOp):
    """u, s, vh with x = u diag(s) vh: orthonormal columns, descending values, orthonormal rows."""

    name = "svd"
    square: ClassVar[bool] = False
    full_matrices: bool = True

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[m, k], [k] and [k, n] with k the smaller of m and n; full ones [m, m] and [n, n]."""
        *batch, m, n = shapes[0]
        k = smaller(m, n)
        if self.full_matrices:
            return [(*batch, m, m), (*batch, k), (*batch, n, n)]
        return [(*batch, m, k), (*batch, k), (*batch, k, n)]

    def result_dtypes(self, dtype: str) -> list[str]:
        """The singular values are real."""
        return [dtype, real_dtype(dtype), dtype]

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``np.linalg.svd``."""
        return tuple(np.linalg.svd(x, self.full_matrices))

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """With equal singular values infinities or NaN; vectors that complete u or v follow the others.

        With a = f ∘ (uᵀgu - guᵀu), b = f ∘ (vᵀgv - gvᵀv), f = 1 / (sⱼ² - sᵢ²) off the diagonal:
        u (a diag(s) + diag(s) b + diag(gs)) vᵀ + (1 - u uᵀ) gu diag(1/s) vᵀ
        + u diag(1/s) gvᵀ (1 - v vᵀ).

        References
        ----------
        Townsend (2016), Differentiating the singular value decomposition.
        """
        self.real_only(node)
        gu, gs, gvh = grads
        u, s, vh = node.outputs
        if self.full_matrices:
            k = sizes_of(s)[-1]
            rows = (..., slice(None, k), slice(None))
            gu = None if gu is None else completed_gradient(u, gu, k)
            if gvh is not None:
                gvh = flip(completed_gradient(flip(vh), flip(gvh), k))
            u, vh = index(u, (..., slice(None, k))), index(vh, rows)
        return [_svd_gradient(u, s, vh, gu, gs, gvh)]


def _svd_gradient(
    u: Variable,
    s: Variable,
    vh: Variable,
    gu: Variable | None,
    gs: Variable | None,
    gvh: Variable | None,
) -> Variable:
    gaps = inverse_gaps(mul(s, s))
    parts, outer = [], []
    if gs is not None:
        parts.append(with_diagonal(gs))
    if gu is not None:
        inner = product(flip(u), gu)
        parts.append(mul(mul(gaps, sub(inner, flip(inner))), as_row(s)))
        rest = true_div(sub(gu, product(u, inner)), as_row(s))
        outer.append(product(rest, vh))
    if gvh is not None:
        inner = product(vh, flip(gvh))
        parts.append(mul(mul(gaps, sub(inner, flip(inner))), as_column(s)))
        rest = true_div(sub(gvh, product(flip(inner), vh)), as_column(s))
        outer.append(product(u, rest))
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    result = product(u, total, vh)
    for part in outer:
        result = add(result, part)
    return result


class SingularValues(MatrixOp):
    """Singular values, descending."""

    name = "svdvals"
    square: ClassVar[bool] = False

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """[k], the smaller of m and n."""
        *batch, m, n = shapes[0]
        return [(*batch, smaller(m, n))]

    def result_dtypes(self, dtype: str) -> list[str]:
        """Real."""
        return [real_dtype(dtype)]

    def reference(self, x: Array) -> Array:
        """``np.linalg.svd``, the values only."""
        return np.linalg.svd(x, compute_uv=False)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """u diag(g) vh; of a value 0 one of several derivatives."""
        self.real_only(node)
        assert g is not None
        u, _, vh = SVD(False).make_node(*node.inputs).outputs
        return [product(mul(u, as_row(g)), vh)]


# --- what users call ---------------------------------------------------------------------


class EigResult(NamedTuple):
    """Eigenvalues [..., n] and eigenvectors [..., n, n], one a column."""

    eigenvalues: Variable
    eigenvectors: Variable


class SVDResult(NamedTuple):
    """Left singular vectors, singular values, right singular vectors as rows."""

    U: Variable
    S: Variable
    Vh: Variable


def eigh(a: Any, UPLO: str = "L") -> EigResult:
    """Eigenvalues, ascending, and eigenvectors of symmetric or Hermitian matrices [..., n, n].

    Only the triangle `UPLO`, ``"L"`` or ``"U"``, is read.
    """
    (a,) = as_matrices("eigh", a)
    return EigResult(*Eigh(_uplo(UPLO)).make_node(a).outputs)


def eigvalsh(
    a: Any, b: Any = None, lower: bool = True, *, UPLO: str | None = None
) -> Variable:
    """Eigenvalues, ascending, of symmetric or Hermitian matrices [..., n, n].

    Parameters
    ----------
    a
        Only one triangle is read.
    b
        Positive definite: the eigenvalues are the w of a v = w b v. A letter is NumPy's
        `UPLO`.
    lower, UPLO
        Which triangle is read, of `a` and of `b`; ``"L"`` or ``"U"``.
    """
    if isinstance(b, str):
        b, UPLO = None, b
    if UPLO is not None:
        lower = _uplo(UPLO) == "L"
    if b is None:
        (a,) = as_matrices("eigvalsh", a)
        return Eigvalsh("L" if lower else "U")(a)
    a, b = as_matrices("eigvalsh", a, b)
    factor = cholesky(b, lower)
    forward = SolveTriangular(lower=True)
    low = factor if lower else adjoint(factor)
    half = forward(low, symmetrised(a, lower))
    return Eigvalsh("L")(forward(low, adjoint(half)))


def _uplo(given: str) -> str:
    if given.upper() not in ("L", "U"):
        raise ValueError(f"UPLO must be 'L' or 'U', got {given!r}.")
    return given.upper()


def eig(a: Any) -> EigResult:
    """Eigenvalues and eigenvectors of square matrices [..., n, n]: complex, without gradient."""
    (a,) = as_matrices("eig", a)
    return EigResult(*Eig().make_node(a).outputs)


def eigvals(a: Any) -> Variable:
    """Eigenvalues of square matrices [..., n, n]: complex, without gradient."""
    (a,) = as_matrices("eigvals", a)
    return Eigvals()(a)


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """u, s, vh with a = u diag(s) vh, as ``np.linalg.svd``; s alone unless `compute_uv`.

    Parameters
    ----------
    a : [..., m, n]
    full_matrices
        Whether u is [m, m] and vh [n, n]; else [m, k] and [k, n] with k = min(m, n).
    hermitian
        Read only the lower triangle of a symmetric or Hermitian matrix.
    """
    (a,) = as_matrices("svd", a)
    a = symmetrised(a, lower=True) if hermitian else a
    if not compute_uv:
        return SingularValues()(a)
    return SVDResult(*SVD(bool(full_matrices)).make_node(a).outputs)


def svdvals(a: Any) -> Variable:
    """Singular values, descending, of matrices [..., m, n]."""
    (a,) = as_matrices("svdvals", a)
    return SingularValues()(a)
