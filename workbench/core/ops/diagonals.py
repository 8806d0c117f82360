"""Diagonals and triangles of matrices.

A diagonal is read by a gather and written by its adjoint, with places that are counted in
the loop; a triangle is a choice between the elements and zeros.

Read next: :mod:`workbench.core.ops.checks`.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from workbench.core.errors import ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import ARange, _dtype, zeros
from workbench.core.ops.gathering import Put, Take
from workbench.core.ops.joining import stack
from workbench.core.ops.masks import nonzero
from workbench.core.ops.rearrange import moveaxis
from workbench.core.ops.shape import (
    add_size,
    as_sizes,
    dimshuffle,
    flatten,
    normal_axis,
    size_variable,
    sizes_of,
    subtract_size,
)
from workbench.core.ops.ufunc import cast

# --- diagonals ---------------------------------------------------------------------------


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The elements of `x` whose places on two axes differ by `offset`, along a new last axis.

    Raises
    ------
    ShapeError
        `x` has fewer than two axes, or one axis is named twice.
    """
    x = as_variable(x)
    if x.ndim < 2:
        raise ShapeError(f"{x.label()} has {x.ndim} axes; a diagonal needs two.")
    first, second = normal_axis(axis1, x.ndim), normal_axis(axis2, x.ndim)
    if first == second:
        raise ShapeError(f"diagonal: axis {first} is named twice.")
    offset = operator.index(offset)
    matrix = moveaxis(x, (first, second), (0, 1))
    rows, columns = sizes_of(matrix)[:2]
    down, right = max(-offset, 0), max(offset, 0)
    length = _shorter(subtract_size(rows, down), subtract_size(columns, right))
    return moveaxis(Take(2)(matrix, *_places(length, down, right)), 0, -1)


def _shorter(a: Size, b: Size) -> Size:
    """The smaller of two sizes that may be negative, at least 0."""
    if isinstance(a, int) and isinstance(b, int):
        return max(0, min(a, b))
    return ew.maximum(ew.minimum(a, b), 0)


def _places(length: Size, down: int, right: int) -> tuple[Variable, Variable]:
    """Rows and columns of the elements of a diagonal."""
    i = ARange()(size_variable(0), size_variable(length), size_variable(1))
    return ew.add(i, down) if down else i, ew.add(i, right) if right else i


def diag(v: Any, k: int = 0) -> Variable:
    """A matrix with a vector on its diagonal `k` and zeros elsewhere, or diagonal `k` of a matrix.

    Raises
    ------
    ShapeError
        `v` is neither a vector nor a matrix.
    """
    v = as_variable(v)
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ShapeError(f"diag takes a vector or a matrix, got {v.label()}: {v.type}.")
    length = sizes_of(v)[0]
    size = add_size(length, abs(k))
    return Put(2, False)(
        zeros((size, size), v.dtype), v, *_places(length, max(-k, 0), max(k, 0))
    )


def diagflat(v: Any, k: int = 0) -> Variable:
    """A matrix with the elements of `v`, in row-major order, on its diagonal `k`."""
    return diag(flatten(v), k)


# --- triangles ---------------------------------------------------------------------------


def tri(N: Any, M: Any = None, k: Any = 0, dtype: str | None = None) -> Variable:
    """Ones on and below diagonal `k` of an N by M matrix, zeros above; floatX by default."""
    rows, columns = (
        ARange()(size_variable(0), *as_sizes(size), size_variable(1))
        for size in (N, N if M is None else M)
    )
    below = ew.ge(ew.add(dimshuffle(rows, 0, "x"), k), dimshuffle(columns, "x", 0))
    return cast(below, _dtype(dtype))


def tril(x: Any, k: Any = 0) -> Variable:
    """`x`, a matrix or several, with zeros above diagonal `k`."""
    return _triangle(x, k, upper=False)


def triu(x: Any, k: Any = 0) -> Variable:
    """`x`, a matrix or several, with zeros below diagonal `k`."""
    return _triangle(x, ew.sub(k, 1), upper=True)


def _triangle(x: Any, k: Any, upper: bool) -> Variable:
    x = as_variable(x)
    if not x.ndim:
        raise ShapeError(f"{x.label()} is a scalar; a triangle needs a matrix.")
    sizes = sizes_of(x)
    below = tri(sizes[-2] if x.ndim > 1 else sizes[-1], sizes[-1], k, "bool")
    nothing = as_variable(0, x.dtype)
    return ew.switch(below, nothing, x) if upper else ew.switch(below, x, nothing)


def tril_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Variable, ...]:
    """Rows and columns of the places on and below diagonal `k` of an n by m matrix."""
    return _triangle_places(n, k, m, upper=False)


def triu_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Variable, ...]:
    """Rows and columns of the places on and above diagonal `k` of an n by m matrix."""
    return _triangle_places(n, k, m, upper=True)


def tril_indices_from(x: Any, k: Any = 0) -> tuple[Variable, ...]:
    """Rows and columns of the places on and below diagonal `k` of a matrix."""
    rows, columns = _matrix_sizes(x)
    return tril_indices(rows, k, columns)


def triu_indices_from(x: Any, k: Any = 0) -> tuple[Variable, ...]:
    """Rows and columns of the places on and above diagonal `k` of a matrix."""
    rows, columns = _matrix_sizes(x)
    return triu_indices(rows, k, columns)


def _matrix_sizes(x: Any) -> tuple[Size, ...]:
    x = as_variable(x)
    if x.ndim != 2:
        raise ShapeError(f"a matrix is needed, got {x.label()}: {x.type}.")
    return sizes_of(x)


def _triangle_places(n: Any, k: Any, m: Any, upper: bool) -> tuple[Variable, ...]:
    sizes = as_sizes([n, n if m is None else m])
    numbers = [known_int(s) for s in (*sizes, as_variable(k))]
    if None not in numbers:
        rows, columns, offset = map(int, numbers)  # type: ignore[arg-type]
        places = np.triu_indices if upper else np.tril_indices
        return tuple(map(as_variable, places(rows, offset, columns)))
    below = tri(sizes[0], sizes[1], ew.sub(k, 1) if upper else k, "bool")
    return tuple(nonzero(ew.invert(below) if upper else below))


# --- powers ------------------------------------------------------------------------------


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Variable:
    """Column j holds the elements of a vector to the power N - 1 - j, or j when `increasing`.

    Without `N` the matrix is square, and the length of `x` must be known.

    Raises
    ------
    ShapeError
        `x` is no vector, the number of columns is negative, or it is not known.
    """
    x = as_variable(x)
    if x.ndim != 1:
        raise ShapeError(f"vander takes a vector, got {x.label()}: {x.type}.")
    count = x.type.shape[0] if N is None else N
    if count is None:
        raise ShapeError(f"vander: the length of {x.label()} is not known; give N.")
    if count < 0:
        raise ShapeError(f"vander: the number of columns is negative, {count}.")
    x = cast(x, np.promote_types(x.dtype, "int64").name)
    columns = [ew.fill(x, as_variable(1, x.dtype)), x][:count]
    while len(columns) < count:
        columns.append(ew.mul(columns[-1], x))
    if not columns:
        return zeros((sizes_of(x)[0], 0), x.dtype)
    return stack(columns if increasing else columns[::-1], 1)
