"""Linear equations: general, symmetric and triangular ones, and the inverse.

Read next: :mod:`workbench.core.ops.factorizations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import AxisError, DTypeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Sizes
from workbench.core.ops.creation import arange
from workbench.core.ops.diagonals import diagonal
from workbench.core.ops.elementwise import eq, neg, true_div
from workbench.core.ops.matrices import (
    MatrixOp,
    MatrixShapeError,
    Shape,
    as_column,
    as_matrices,
    as_row,
    flip,
    fold,
    product,
    triangle,
)
from workbench.core.ops.shape import (
    dimshuffle,
    normal_axis,
    product_size,
    reshape,
    sizes_of,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array, TensorType


class Equations(MatrixOp):
    """Solutions x [..., n, k] of a x = b, for a [..., n, n] and b [..., n, k]."""

    needs: ClassVar[str] = "a must be square, with as many rows as b."

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """That of b."""
        return [(*shapes[0][:-2], shapes[0][-1], shapes[1][-1])]

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """a is square and has as many rows as b."""
        a, b = shapes
        return [*super().equalities(a, b), (len(a) - 2, a[-1], b[-2])]


@dataclass(frozen=True)
class Solve(Equations):
    """Solutions of a x = b.

    `assume` is ``"gen"`` for any matrix; for ``"sym"``, ``"her"`` and ``"pos"`` (symmetric,
    Hermitian, positive definite) only the triangle that `lower` says is read, and only
    there the gradient is not zero. A singular matrix is an error, at run time.
    """

    assume: str = "gen"
    lower: bool = False

    def reference(self, a: Array, b: Array) -> Array:
        """``np.linalg.solve``, or ``scipy.linalg.solve`` for what it assumes."""
        if self.assume == "gen":
            return np.linalg.solve(a, b)
        return self.each(self._one, a, b)

    def _one(self, a: Array, b: Array) -> Array:
        from scipy import linalg

        if self.assume == "pos":
            factor = linalg.cho_factor(a, self.lower, check_finite=False)
            return linalg.cho_solve(factor, b, check_finite=False)
        strict = np.tril(a, -1) if self.lower else np.triu(a, 1)
        mirrored = strict.conj().T if self.assume == "her" else strict.T
        whole = strict + mirrored + np.diag(np.diag(a))
        return linalg.solve(
            whole, b, assume_a=self.assume, lower=self.lower, check_finite=False
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """For b the solution h of aᵀ h = g; for a -h xᵀ (Giles 2008, section 2.3.1)."""
        a = node.inputs[0]
        assert g is not None
        if self.assume == "gen":
            h = self(flip(a), g)
            return [neg(product(h, flip(node.output))), h]
        if self.assume != "sym":
            self.real_only(node)
        h = self(a, g)
        return [fold(neg(product(h, flip(node.output))), self.lower), h]


@dataclass(frozen=True)
class SolveTriangular(Equations):
    """Solutions of a x = b, aᵀ x = b or aᴴ x = b (`trans` 0, 1 or 2) for a triangle of a.

    Nothing outside the triangle is read; with `unit_diagonal` the diagonal counts as 1. A
    zero on the diagonal is an error, at run time; NaN goes through.
    """

    name = "solve_triangular"
    lower: bool = False
    trans: int = 0
    unit_diagonal: bool = False

    def reference(self, a: Array, b: Array) -> Array:
        """``scipy.linalg.solve_triangular``."""
        return self.each(self._one, a, b)

    def _one(self, a: Array, b: Array) -> Array:
        from scipy import linalg

        return linalg.solve_triangular(
            a,
            b,
            trans=self.trans,
            lower=self.lower,
            unit_diagonal=self.unit_diagonal,
            check_finite=False,
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """As for any equations, with the triangle of -h xᵀ, transposed if a is."""
        a = node.inputs[0]
        assert g is not None
        if self.trans == 2:
            self.real_only(node)
        other = SolveTriangular(self.lower, int(not self.trans), self.unit_diagonal)
        h, x = other(a, g), node.output
        whole = product(x, flip(h)) if self.trans else product(h, flip(x))
        return [neg(triangle(whole, self.lower, self.unit_diagonal)), h]


@dataclass(frozen=True)
class Inverse(MatrixOp):
    """The inverse of square matrices; of a singular one an error at run time, or NaN."""

    name = "inv"
    on_error: str = "raise"

    def reference(self, x: Array) -> Array:
        """``np.linalg.inv``."""
        return (
            np.linalg.inv(x)
            if self.on_error == "raise"
            else self.each(_inverse_or_nan, x)
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-yᵀ g yᵀ, where y is the inverse (Giles 2008, section 2.2.3)."""
        assert g is not None
        y = flip(node.output)
        return [neg(product(y, g, y))]


def _inverse_or_nan(x: Array) -> Array:
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        return np.full_like(x, np.nan)


class PivotsToPermutation(Opaque):
    """The order of rows that exchanges of row i with row ``pivots[i]``, one after the other, make."""

    name = "pivots_to_permutation"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """Places, int64, as many as exchanges."""
        return [inputs[0].type.with_dtype("int64")]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """As many as exchanges."""
        return [tuple(shapes[0])]

    def reference(self, pivots: Array) -> Array:
        """The exchanges, one after the other."""
        n = pivots.shape[-1]
        order = np.broadcast_to(np.arange(n), pivots.shape).copy()
        for place in np.ndindex(*pivots.shape[:-1]):
            row = order[place]
            for i, j in enumerate(pivots[place]):
                row[[i, j]] = row[[j, i]]
        return order

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None]


# --- what users call ---------------------------------------------------------------------

STRUCTURES = {
    "general": "gen",
    "symmetric": "sym",
    "hermitian": "her",
    "positive definite": "pos",
    "tridiagonal": "gen",
    "banded": "gen",
    "lower_triangular": "lower triangular",
    "upper_triangular": "upper triangular",
}
"""Other names of what may be assumed of a matrix; a band is solved as any matrix."""


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    assume_a: str = "gen",
    transposed: bool = False,
    b_ndim: int | None = None,
) -> Variable:
    """x with a x = b, as ``np.linalg.solve`` and ``scipy.linalg.solve`` have it.

    Parameters
    ----------
    a : [..., n, n]
    b : [n] or [..., n, k]
        A single vector, or matrices.
    lower
        Which triangle is read of a symmetric, Hermitian or positive definite matrix.
    assume_a
        ``"gen"``, ``"sym"``, ``"her"``, ``"pos"``, ``"diagonal"``, ``"lower triangular"``,
        ``"upper triangular"``, or their long names. Not checked.
    transposed
        Solve aᵀ x = b.
    b_ndim
        1: the last axis of `b` holds vectors, those before it are a batch.

    Raises
    ------
    MatrixShapeError
        `a` is known not to be square, or `b` not to fit.
    LinAlgError
        At run time: `a` is singular.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> T.linalg.solve([[2.0, 1.0], [0.0, 4.0]], [4.0, 8.0]).eval()
    array([1., 2.])
    """
    structure = STRUCTURES.get(assume_a, assume_a)
    if structure in ("lower triangular", "upper triangular"):
        below = structure.startswith("lower")
        return solve_triangular(a, b, int(transposed), below, b_ndim=b_ndim)
    a, b, is_vector = _equations("solve", a, b, b_ndim)
    if structure == "diagonal":
        x = true_div(b, as_column(diagonal(a, 0, -2, -1)))
    elif structure in ("gen", "sym", "her", "pos"):
        if transposed and structure != "sym":
            a, lower = flip(a), not lower
        x = Solve(structure, bool(lower) and structure != "gen")(a, b)
    else:
        raise ValueError(f"solve: {assume_a!r} is nothing that can be assumed.")
    return _without_column(x) if is_vector else x


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    b_ndim: int | None = None,
) -> Variable:
    """x with a x = b for a triangular matrix; the other triangle is not read.

    Parameters
    ----------
    a : [..., n, n]
    b : [n] or [..., n, k]
    trans
        0 or ``"N"``: a x = b; 1 or ``"T"``: aᵀ x = b; 2 or ``"C"``: aᴴ x = b.
    lower
        Whether the lower triangle is meant.
    unit_diagonal
        Count the diagonal as 1 and do not read it.
    b_ndim
        As for :func:`solve`.
    """
    names: dict[Any, int] = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}
    if trans not in names:
        raise ValueError(f"solve_triangular: trans must be 0, 1 or 2, got {trans!r}.")
    a, b, is_vector = _equations("solve_triangular", a, b, b_ndim, "float32")
    number = names[trans]
    if number == 2 and a.dtype.startswith("float"):
        number = 1
    x = SolveTriangular(bool(lower), number, bool(unit_diagonal))(a, b)
    return _without_column(x) if is_vector else x


def solve_lower_triangular(a: Any, b: Any) -> Variable:
    """x with a x = b, where only the lower triangle of `a` is read."""
    return solve_triangular(a, b, lower=True)


def solve_upper_triangular(a: Any, b: Any) -> Variable:
    """x with a x = b, where only the upper triangle of `a` is read."""
    return solve_triangular(a, b, lower=False)


def solve_symmetric(a: Any, b: Any) -> Variable:
    """x with a x = b, where only the upper triangle of `a` is read."""
    return solve(a, b, assume_a="sym")


def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, b_ndim: int | None = None
) -> Variable:
    """x with a x = b, given the Cholesky factor of a and whether it is the lower one."""
    c, lower = c_and_lower
    first, second = (0, "C") if lower else ("C", 0)
    half = solve_triangular(c, b, first, lower, b_ndim=b_ndim)
    return solve_triangular(c, half, second, lower, b_ndim=b_ndim)


def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, b_ndim: int | None = None
) -> Variable:
    """x with a x = b, given ``lu_factor(a)``; aᵀ x = b or aᴴ x = b for `trans` 1 or 2."""
    lu, pivots = lu_and_piv
    lu, b, is_vector = _equations("lu_solve", lu, b, b_ndim, "float32")
    order = pivots_to_permutation(pivots)
    swap = cast(eq(as_column(order), as_row(arange_like(order))), lu.dtype)
    if trans == 0:
        half = solve_triangular(lu, product(swap, b), lower=True, unit_diagonal=True)
        x = solve_triangular(lu, half)
    else:
        half = solve_triangular(lu, b, trans)
        x = solve_triangular(lu, half, trans, lower=True, unit_diagonal=True)
        x = product(flip(swap), x)
    return _without_column(x) if is_vector else x


def arange_like(order: Variable) -> Variable:
    """0, 1, 2, … as many as the last axis of `order` has elements, with axes in front."""
    places = arange(sizes_of(order)[-1])
    return dimshuffle(places, *["x"] * (order.ndim - 1), 0)


def pivots_to_permutation(pivots: Any) -> Variable:
    """The order of rows that the exchanges of ``lu_factor`` make."""
    pivots = as_variable(pivots)
    if np.dtype(pivots.dtype).kind not in "iu" or pivots.ndim == 0:
        raise DTypeError(f"pivots are vectors of integers, got {pivots.type}.")
    return PivotsToPermutation()(pivots)


def inv(a: Any) -> Variable:
    """The inverse of square matrices [..., n, n].

    To multiply by an inverse, :func:`solve` is faster and more precise.
    """
    (a,) = as_matrices("inv", a)
    return Inverse()(a)


def tensorinv(a: Any, ind: int = 2) -> Variable:
    """The inverse of a linear map between arrays: its first `ind` axes are those of its results."""
    a = as_variable(a)
    if ind <= 0:
        raise ValueError("tensorinv: ind must be at least 1.")
    left, right = sizes_of(a)[:ind], sizes_of(a)[ind:]
    matrix = reshape(a, (product_size(left), product_size(right)))
    return reshape(inv(matrix), (*right, *left))


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Variable:
    """x with ``tensordot(a, x, x.ndim) = b``; `axes` of `a` are moved to its end first."""
    a, b = as_variable(a), as_variable(b)
    moved = [normal_axis(i, a.ndim) for i in axes or ()]
    a = dimshuffle(a, *(i for i in range(a.ndim) if i not in moved), *moved)
    unknown = sizes_of(a)[b.ndim :]
    n = product_size(unknown)
    have = known_size(a.type.shape[: b.ndim]), known_size(a.type.shape[b.ndim :])
    if None not in have and have[0] != have[1]:
        raise MatrixShapeError(
            f"tensorsolve: {a.label()}: {a.type} is no square map for {b.ndim} axes of {b.label()}."
        )
    rows = product_size(sizes_of(a)[: b.ndim])
    x = solve(reshape(a, (rows, n)), reshape(b, (product_size(sizes_of(b)),)))
    return reshape(x, unknown)


def known_size(shape: Sequence[int | None]) -> int | None:
    """The number of elements, if all sizes are known."""
    result = 1
    for size in shape:
        if size is None:
            return None
        result *= size
    return result


def _equations(
    name: str, a: Any, b: Any, b_ndim: int | None, least: str | None = None
) -> tuple[Variable, Variable, bool]:
    """Both sides as matrices with one batch, and whether the right one was made of vectors."""
    b = as_variable(b)
    if b.ndim == 0:
        raise AxisError(f"{name}: the right side {b.label()} is a scalar.")
    is_vector = b.ndim == 1 or b_ndim == 1
    a, b = as_matrices(name, a, as_column(b) if is_vector else b, least=least)
    return a, b, is_vector


def _without_column(x: Variable) -> Variable:
    return index(x, (..., 0))
