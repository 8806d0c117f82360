"""Numbers and functions of matrices: determinants, norms, powers, the exponential.

Read next: :mod:`workbench.core.ops.equations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.ops.decompositions import svdvals
from workbench.core.ops.elementwise import abs as absolute
from workbench.core.ops.elementwise import (
    add,
    eq,
    fill,
    invert,
    isnan,
    mul,
    neq,
    sqr,
    switch,
    true_div,
)
from workbench.core.ops.elementwise import and_ as both
from workbench.core.ops.joining import concatenate
from workbench.core.ops.mathematics import pow as power
from workbench.core.ops.mathematics import sqrt
from workbench.core.ops.matrices import (
    LinAlgError,
    MatrixOp,
    MatrixShapeError,
    Shape,
    as_column,
    as_matrices,
    flip,
    identity,
    real_dtype,
    widened,
)
from workbench.core.ops.products import matmul
from workbench.core.ops.reduction import any as any_
from workbench.core.ops.reduction import keep
from workbench.core.ops.reduction import max as largest
from workbench.core.ops.reduction import min as smallest
from workbench.core.ops.reduction import sum as total
from workbench.core.ops.shape import (
    dimshuffle,
    normal_axis,
    product_size,
    reshape,
    sizes_of,
    specify_shape,
)
from workbench.core.ops.solving import Inverse, inv
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array


class Det(MatrixOp):
    """Determinants of square matrices."""

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """A number for each."""
        return [tuple(shapes[0][:-2])]

    def reference(self, x: Array) -> Array:
        """``np.linalg.det``."""
        return np.asarray(np.linalg.det(x))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g det x⁻ᵀ (Giles 2008, section 2.2.4); an error where x is singular."""
        (x,) = node.inputs
        assert g is not None
        return [mul(as_column(as_column(mul(g, node.output))), flip(Inverse()(x)))]


class SLogDet(MatrixOp):
    """The sign of the determinant, and the logarithm of its absolute value: no overflow."""

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """Two numbers for each."""
        return [tuple(shapes[0][:-2])] * 2

    def result_dtypes(self, dtype: str) -> list[str]:
        """The logarithm is real."""
        return [dtype, real_dtype(dtype)]

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``np.linalg.slogdet``."""
        sign, logarithm = np.linalg.slogdet(x)
        return np.asarray(sign), np.asarray(logarithm)

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """g x⁻ᵀ by the logarithm, 0 by the sign; an error where x is singular."""
        self.real_only(node)
        (x,), (_, g) = node.inputs, grads
        if g is None:
            return [None]
        return [mul(as_column(as_column(g)), flip(Inverse()(x)))]


class Expm(MatrixOp):
    """The exponential of square matrices, 1 + x + x²/2! + x³/3! and so on."""

    def reference(self, x: Array) -> Array:
        """``scipy.linalg.expm``."""
        return self.each(_expm, x)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The upper right block of the exponential of [[xᵀ, g], [0, xᵀ]].

        References
        ----------
        Al-Mohy and Higham (2009), Computing the Fréchet derivative of the matrix
        exponential, with an application to condition number estimation, equation 1.5 and
        its block form, which is Mathias's (1996).
        """
        (x,) = node.inputs
        assert g is not None
        a, n = flip(x), sizes_of(x)[-1]
        zeros = fill(a, as_variable(0, a.dtype))
        rows = [concatenate([a, g], a.ndim - 1), concatenate([zeros, a], a.ndim - 1)]
        whole = self(concatenate(rows, a.ndim - 2))
        return [index(whole, (..., slice(None, n), slice(n, None)))]


def _expm(x: Array) -> Array:
    from scipy import linalg

    return linalg.expm(x)


# --- what users call ---------------------------------------------------------------------


class SlogdetResult(NamedTuple):
    """The sign of a determinant and the logarithm of its absolute value."""

    sign: Variable
    logabsdet: Variable


def det(a: Any) -> Variable:
    """The determinant of square matrices [..., n, n]; its gradient needs a regular matrix."""
    (a,) = as_matrices("det", a)
    return Det()(a)


def slogdet(a: Any) -> SlogdetResult:
    """The sign and the logarithm of the absolute value of the determinant; 0 and -inf of a singular one."""
    (a,) = as_matrices("slogdet", a)
    return SlogdetResult(*SLogDet().make_node(a).outputs)


def expm(a: Any) -> Variable:
    """The exponential of square matrices [..., n, n]; float16 counts as float32."""
    (a,) = as_matrices("expm", widened(a))
    return Expm()(a)


def matrix_power(a: Any, n: int) -> Variable:
    """The product of `n` equal square matrices [..., k, k]; of their inverses when `n` is negative.

    Raises
    ------
    DTypeError
        `n` is no integer.
    MatrixShapeError
        `a` is known not to be square.
    """
    a = as_variable(a)
    rows, columns = a.type.shape[-2:] if a.ndim > 1 else (0, 1)
    if None not in (rows, columns) and rows != columns:
        raise MatrixShapeError(
            f"matrix_power takes square matrices; {a.label()} is {a.type}."
        )
    if not isinstance(n, int | np.integer):
        raise DTypeError(f"matrix_power: the exponent must be an integer, got {n!r}.")
    if n == 1 and None in (rows, columns):
        a = specify_shape(a, [*[None] * (a.ndim - 1), sizes_of(a)[-2]])
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return add(fill(a, as_variable(0, a.dtype)), identity(sizes_of(a)[-1], a.dtype))
    result: Variable | None = None
    while True:
        if n % 2:
            result = a if result is None else matmul(result, a)
        n //= 2
        if not n:
            assert result is not None
            return result
        a = matmul(a, a)


# --- norms -------------------------------------------------------------------------------


def norm(
    x: Any,
    ord: float | str | None = None,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Variable:
    """The norm of vectors along one axis or of matrices along two, as ``np.linalg.norm``.

    Parameters
    ----------
    x
        Integers count as float64.
    ord : {None, "fro", "nuc", inf, -inf} or number
        Of a vector the sum of the absolute values to this power, to the inverse power; the
        largest or smallest for inf and -inf; how many are not 0 for 0. Of a matrix:
        ``"fro"``, the square root of the sum of squares; ``"nuc"``, the sum of the singular
        values; 2 and -2, the largest and smallest of them; 1 and -1, inf and -inf, the
        largest and smallest sum of a column, and of a row. ``None``: the square root of the
        sum of squares.
    axis
        By default all of `x`, whatever its rank if `ord` is None.
    keepdims
        Keep the axes with size 1.

    Raises
    ------
    ShapeError
        The norm is of more than two axes, or there is no such norm.

    Notes
    -----
    The gradient of a root of a sum of squares is taken as 0 where all elements are 0.
    """
    x = as_variable(x)
    if not x.type.is_float:
        x = cast(x, "float64")
    if axis is None and _is_plain(ord, x.ndim):
        axes = tuple(range(x.ndim))
        result = _root_of_squares(x, axes)
    else:
        axes = _norm_axes(axis, x.ndim)
        result = (
            _vector_norm(x, ord, axes[0])
            if len(axes) == 1
            else _matrix_norm(x, ord, axes)
        )
    return keep(result, x.ndim, sorted(axes)) if keepdims else result


def _is_plain(ord: Any, rank: int) -> bool:
    """Whether a norm of everything is the root of the sum of squares."""
    return (
        ord is None or (rank == 2 and ord in ("f", "fro")) or (rank == 1 and ord == 2)
    )


def _norm_axes(axis: Any, rank: int) -> tuple[int, ...]:
    given = (
        range(rank)
        if axis is None
        else [axis]
        if isinstance(axis, int | np.integer)
        else axis
    )
    axes = tuple(normal_axis(a, rank) for a in given)
    if len(axes) not in (1, 2) or len(set(axes)) != len(axes):
        raise ShapeError(f"a norm is of one axis or of two, got {axes}.")
    return axes


def _root_of_squares(x: Variable, axes: tuple[int, ...]) -> Variable:
    squares = sqr(absolute(x)) if np.dtype(x.dtype).kind == "c" else sqr(x)
    result = total(squares, axes)
    zero = eq(result, 0)
    return switch(zero, result, sqrt(switch(zero, 1, result)))


def _vector_norm(x: Variable, ord: Any, axis: int) -> Variable:
    if ord is None or ord == 2:
        return _root_of_squares(x, (axis,))
    if isinstance(ord, str):
        raise ShapeError(f"there is no norm {ord!r} of vectors.")
    size = absolute(x)
    if ord == np.inf:
        return largest(size, axis, initial=0)
    if ord == -np.inf:
        return smallest(size, axis)
    if ord == 0:
        return total(cast(neq(x, 0), size.dtype), axis)
    if ord == 1:
        return total(size, axis)
    return power(total(power(size, ord), axis), 1 / ord)


def _matrix_norm(x: Variable, ord: Any, axes: tuple[int, ...]) -> Variable:
    rows, columns = axes
    if ord in (None, "fro", "f"):
        return _root_of_squares(x, tuple(sorted(axes)))
    if ord in (2, -2, "nuc"):
        others = [i for i in range(x.ndim) if i not in axes]
        s = svdvals(dimshuffle(x, *others, rows, columns))
        if ord == "nuc":
            return total(s, -1)
        return largest(s, -1, initial=0) if ord == 2 else smallest(s, -1)
    if ord not in (1, -1, np.inf, -np.inf):
        raise ShapeError(f"there is no norm {ord!r} of matrices.")
    first, second = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = total(absolute(x), first)
    left = second - (second > first)
    return largest(sums, left, initial=0) if ord > 0 else smallest(sums, left)


def cond(x: Any, p: float | str | None = None) -> Variable:
    """The condition number of matrices: the norm `p` of each times that of its inverse.

    By default, and for 2 and -2, from singular values, also of matrices that are not square.
    It is inf where the matrix is singular, NaN where it holds NaN.

    Raises
    ------
    LinAlgError
        The matrix is known to be empty.
    """
    (x,) = as_matrices("cond", x)
    if 0 in x.type.shape[-2:]:
        raise LinAlgError("cond is not defined for empty matrices.")
    if p in (None, 2, -2):
        s = svdvals(x)
        first, last = index(s, (..., 0)), index(s, (..., -1))
        ratio = true_div(last, first) if p == -2 else true_div(first, last)
    else:
        axes = (x.ndim - 2, x.ndim - 1)
        ratio = mul(norm(x, p, axes), norm(Inverse("nan")(x), p, axes))
    lost = both(isnan(ratio), invert(any_(isnan(x), axis=(-2, -1))))
    return switch(lost, as_variable(np.inf, ratio.dtype), ratio)


def vector_norm(
    x: Any,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Variable:
    """The norm of the vectors that lie along `axis`, or along several taken as one; of all elements without.

    The orders are those of :func:`norm`.
    """
    x = as_variable(x)
    axes = [axis] if isinstance(axis, int | np.integer) else axis
    axes = range(x.ndim) if axes is None else axes
    summed = [normal_axis(a, x.ndim) for a in axes]
    if len(set(summed)) != len(summed):
        raise ShapeError(f"vector_norm: {axis} names an axis twice.")
    others = [i for i in range(x.ndim) if i not in summed]
    flat = dimshuffle(x, *others, *summed)
    if len(summed) != 1:
        length = product_size([sizes_of(x)[i] for i in summed])
        flat = reshape(flat, (*(sizes_of(x)[i] for i in others), length))
    result = norm(flat, ord, -1)
    return keep(result, x.ndim, sorted(summed)) if keepdims else result


def matrix_norm(
    x: Any, *, keepdims: bool = False, ord: float | str = "fro"
) -> Variable:
    """The norm of the matrices in the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)
