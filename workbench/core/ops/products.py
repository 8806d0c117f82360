"""Products of arrays of any rank: matrix products in batches, sums over chosen axes, Kronecker's.

All are made of :class:`~workbench.core.ops.linalg.Dot`,
:class:`~workbench.core.ops.linalg.BatchedDot` and elementwise products, so that what can be
one call of the BLAS is one. They are bilinear, so derivatives need nothing new.

Read next: :mod:`workbench.core.ops.einsum`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from workbench.core.errors import AxisError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, Sizes
from workbench.core.ops.complexes import conj
from workbench.core.ops.diagonals import diagonal
from workbench.core.ops.elementwise import mul, sub
from workbench.core.ops.joining import stack
from workbench.core.ops.linalg import BatchedDot, contract, dot, with_sizes
from workbench.core.ops.reduction import sum as total
from workbench.core.ops.shape import (
    broadcast_to,
    dimshuffle,
    normal_axis,
    product_size,
    ravel,
    sizes_of,
    specify_shape,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast, kind, pad_left

# --- matrices in batches -----------------------------------------------------------------


def matmul(x: Any, y: Any) -> Variable:
    """The matrix product of the last two axes, as ``np.matmul`` has it; also ``x @ y``.

    A vector on the left is a row, one on the right a column, and that axis vanishes from
    the result. Axes before the last two are a batch: those of declared size 1 stretch.

    Parameters
    ----------
    x : [..., m, k] or [k]
    y : [..., k, n] or [k]

    Raises
    ------
    ShapeError
        A scalar is given, or sizes are known and do not fit.
    """
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(
            f"matmul({x.label()}, {y.label()}): a scalar is no matrix; use * to multiply by it."
        )
    if y.ndim <= 2 or x.ndim == 1:
        return dot(x, y)
    if x.ndim == 2:  # one product for the whole batch
        rows = dot(x, y)
        return dimshuffle(rows, *range(1, rows.ndim - 1), 0, rows.ndim - 1)
    dtype = np.result_type(x.dtype, y.dtype).name
    x, y = stretch_batches(cast(x, dtype), cast(y, dtype))
    return _batched(x, y)


def stretch_batches(*arrays: Variable, core: int = 2) -> list[Variable]:
    """The arrays with equal axes before their last `core` ones: those of declared size 1 stretch.

    Raises
    ------
    ShapeError
        Two sizes are known, differ, and neither is 1.
    """
    rank = max(x.ndim for x in arrays)
    padded = [dimshuffle(x, *["x"] * (rank - x.ndim), *range(x.ndim)) for x in arrays]
    batch = rank - core
    if batch == 1 and not any(x.type.shape[0] == 1 for x in padded):
        return padded  # the product itself compares single axes
    return _stretched(padded, batch)


def _stretched(arrays: Sequence[Variable], count: int) -> list[Variable]:
    """The arrays with equal first `count` axes; those of declared size 1 stretch."""
    sizes = tuple(_common_size(arrays, axis) for axis in range(count))
    known = [None if isinstance(s, Variable) else s for s in sizes]
    results: list[Variable] = []
    for number, x in enumerate(arrays):
        own = list(x.type.shape[:count])
        settled = None not in known and own == known
        gives = number == 0 and all(
            s != 1 or k == 1 for s, k in zip(own, known, strict=True)
        )
        if settled or gives:  # it has these sizes already, or they are its own
            results.append(x)
        else:
            results.append(broadcast_to(x, (*sizes, *sizes_of(x)[count:])))
    return results


def _common_size(arrays: Sequence[Variable], axis: int) -> Size:
    """The size that `axis` has after stretching."""
    free = [x for x in arrays if x.type.shape[axis] != 1]
    known = {x.type.shape[axis] for x in free} - {None}
    if len(known) > 1:
        named = " and ".join(f"{x.label()}: {x.type}" for x in arrays)
        raise ShapeError(
            f"the batches of {named} do not fit: sizes {sorted(known)} differ on axis {axis}."  # type: ignore[type-var]
        )
    if known:
        return known.pop()  # type: ignore[return-value]
    return sizes_of(free[0])[axis] if free else 1


def _batched(x: Variable, y: Variable) -> Variable:
    """The products of equally many matrices, whatever the number of axes of the batch."""
    one, other = (
        with_sizes(v, (product_size(sizes_of(v)[:-2]), *sizes_of(v)[-2:]))
        for v in (x, y)
    )
    result = BatchedDot()(one, other)
    return with_sizes(result, (*sizes_of(x)[:-2], *sizes_of(result)[1:]))


def batched_dot(x: Any, y: Any) -> Variable:
    """For every i the product ``dot(x[i], y[i])``.

    Parameters
    ----------
    x : [b, m, k] or [b, k] or [b]
    y : [b, k, n] or [b, k] or [b]

    Raises
    ------
    ShapeError
        An operand is a scalar, or sizes are known and do not fit.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> T.batched_dot(x, x).eval()
    array([ 5., 25.])
    """
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError("batched_dot needs a batch: the operands must have an axis.")
    if x.ndim == 1 or y.ndim == 1:
        return mul(_behind(x, y.ndim - 1), _behind(y, x.ndim - 1))
    return batched_tensordot(x, y, [[x.ndim - 1], [max(1, y.ndim - 2)]])


def _behind(x: Variable, count: int) -> Variable:
    return dimshuffle(x, *range(x.ndim), *["x"] * count) if x.ndim == 1 else x


def batched_tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """For every i the sum ``tensordot(x[i], y[i])``; `axes` counts the batch axis as 0.

    Parameters
    ----------
    x, y
        Their first axes are the batch.
    axes
        A number: so many last axes of `x` against the first of `y` behind the batch. Or
        two lists of axes.
    """
    x, y = as_variable(x), as_variable(y)
    if isinstance(axes, int | np.integer):
        count = int(axes)
        if count >= min(x.ndim, y.ndim):
            raise ShapeError(
                f"batched_tensordot: {x.ndim} and {y.ndim} axes, with the batch, are too few to sum over {count}."
            )
        left = list(range(x.ndim - count, x.ndim))
        right = list(range(1, count + 1))
    else:
        left, right = _axis_lists(axes, x.ndim, y.ndim)
    if 0 in left or 0 in right:
        raise ShapeError("batched_tensordot: axis 0 is the batch and is not summed.")
    return contract_batch(x, y, [0], [0], left, right)


def contract_batch(
    x: Variable,
    y: Variable,
    x_batch: Sequence[int],
    y_batch: Sequence[int],
    x_inner: Sequence[int],
    y_inner: Sequence[int],
) -> Variable:
    """Sum inner axes pairwise, for every place on the batch axes, which come first in the result."""
    if x_inner and not x_batch:
        return tensordot(x, y, (x_inner, y_inner))
    dtype = np.result_type(x.dtype, y.dtype).name
    x_free = [i for i in range(x.ndim) if i not in (*x_batch, *x_inner)]
    y_free = [i for i in range(y.ndim) if i not in (*y_batch, *y_inner)]
    n, inner = len(x_batch), len(x_inner)
    x = dimshuffle(cast(x, dtype), *x_batch, *x_inner, *x_free)
    y = dimshuffle(cast(y, dtype), *y_batch, *y_inner, *y_free)
    x, y = _equal_fronts(x, y, n, inner)
    if not (x_free and y_free and x_inner):  # elementwise, and a sum: one loop
        front, wide = range(n + inner), ["x"] * len(x_free)
        product = mul(
            dimshuffle(x, *range(x.ndim), *["x"] * len(y_free)),
            dimshuffle(y, *front, *wide, *range(n + inner, y.ndim)),
        )
        return cast(total(product, tuple(range(n, n + inner))), dtype)
    rows, columns = sizes_of(x)[n + inner :], sizes_of(y)[n + inner :]
    entries, summed = _joined(x, n, inner)
    left = dimshuffle(x, *range(n), *range(n + inner, x.ndim), *range(n, n + inner))
    result = BatchedDot()(
        with_sizes(left, (entries, product_size(rows), summed)),
        with_sizes(y, (*_joined(y, n, inner), product_size(columns))),
    )
    return with_sizes(result, (*sizes_of(x)[:n], *rows, *columns))


def _joined(x: Variable, batch: int, inner: int) -> Sizes:
    """How many entries and how many summed elements the first axes of `x` hold."""
    sizes = sizes_of(x)
    return product_size(sizes[:batch]), product_size(sizes[batch : batch + inner])


def _equal_fronts(
    x: Variable, y: Variable, batch: int, inner: int
) -> tuple[Variable, Variable]:
    """The two, checked to have equal batch and inner axes, even where one is declared as 1."""
    count = batch + inner
    pairs = list(zip(x.type.shape[:count], y.type.shape[:count], strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        raise ShapeError(
            f"the product of {x.label()}: {x.type} and {y.label()}: {y.type}: "
            f"the first {count} axes must agree."
        )
    stretches = any((a == 1) != (b == 1) for a, b in pairs)
    if max(batch, inner) <= 1 and not stretches:
        return x, y  # the product itself compares single axes
    x = _with_front(x, [b if a is None else None for a, b in pairs])
    sizes = sizes_of(x)[:count]
    return x, _with_front(
        y, [a if b is None else None for a, (_, b) in zip(sizes, pairs, strict=True)]
    )


def _with_front(x: Variable, sizes: Sequence[Size | None]) -> Variable:
    """`x` with its first sizes checked, those that are given."""
    if all(s is None for s in sizes):
        return x
    return specify_shape(x, [*sizes, *(None for _ in range(x.ndim - len(sizes)))])


# --- sums over chosen axes ---------------------------------------------------------------


def tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """The sum of products over chosen axes, as ``np.tensordot`` has it.

    Parameters
    ----------
    axes
        A number n: the last n axes of `x` against the first n of `y`. Or two axes, or two
        lists of axes, one for each operand.

    Raises
    ------
    ShapeError
        Sizes summed against each other are known and differ, or the lists are of unequal
        length.
    AxisError
        There are too few axes.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> float(T.tensordot(x, x, axes=([0, 1], [1, 0])).eval())
    29.0
    """
    x, y = as_variable(x), as_variable(y)
    if isinstance(axes, int | np.integer):
        count = int(axes)
        if count > min(x.ndim, y.ndim):
            raise AxisError(
                f"tensordot over {count} axes of {x.label()}: {x.type} and {y.label()}: {y.type}: there are too few."
            )
        left, right = list(range(x.ndim - count, x.ndim)), list(range(count))
    else:
        left, right = _axis_lists(axes, x.ndim, y.ndim)
    x = dimshuffle(x, *(i for i in range(x.ndim) if i not in left), *left)
    y = dimshuffle(y, *right, *(i for i in range(y.ndim) if i not in right))
    if not left:
        return _all_pairs(x, y)
    return contract(x, y, len(left))


def _axis_lists(axes: Any, x_rank: int, y_rank: int) -> tuple[list[int], list[int]]:
    """Two lists of axes, counted from the front."""
    lists = []
    pair = list(axes)
    if len(pair) != 2:
        raise ShapeError(f"axes must be a number or a pair, got {axes!r}.")
    for given, rank in zip(pair, (x_rank, y_rank), strict=True):
        single = isinstance(given, int | np.integer)
        lists.append([normal_axis(a, rank) for a in ([given] if single else given)])
    left, right = lists
    if len(left) != len(right) or any(len(set(a)) != len(a) for a in lists):
        raise ShapeError(
            f"axes {axes!r}: each axis of one operand needs one of the other, and none may be named twice."
        )
    return left, right


def _all_pairs(x: Variable, y: Variable) -> Variable:
    """Every element of `x` times every element of `y`: the axes of `x`, then those of `y`."""
    return mul(
        dimshuffle(x, *range(x.ndim), *["x"] * y.ndim),
        dimshuffle(y, *["x"] * x.ndim, *range(y.ndim)),
    )


def inner(x: Any, y: Any) -> Variable:
    """The sum of products over the last axes of both; for a scalar the product."""
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    return tensordot(x, y, axes=(-1, -1))


def outer(x: Any, y: Any) -> Variable:
    """Every element of `x` times every element of `y`, a matrix; arrays are flattened first."""
    x, y = as_variable(x), as_variable(y)
    flat = [dimshuffle(v, "x") if v.ndim == 0 else ravel(v) for v in (x, y)]
    return _all_pairs(*flat)


def vdot(x: Any, y: Any) -> Variable:
    """The sum of products of all elements, those of `x` conjugated."""
    x, y = as_variable(x), as_variable(y)
    flat = [dimshuffle(v, "x") if v.ndim == 0 else ravel(v) for v in (_conj(x), y)]
    return contract(flat[0], flat[1], 1)


def _conj(x: Variable) -> Variable:
    """The conjugate of complex numbers; others, bools too, as they are."""
    return conj(x) if kind(x.dtype) == "c" else x


def vecdot(x: Any, y: Any, axis: int = -1) -> Variable:
    """The sum of products along `axis`, `x` conjugated; the other axes broadcast."""
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError("vecdot needs arrays with an axis to sum over.")
    moved = [_axis_last(v, normal_axis(axis, v.ndim)) for v in (_conj(x), y)]
    product = mul(*_common_core(moved[0], moved[1], "vecdot"))
    return cast(total(product, -1), product.dtype)


def _axis_last(x: Variable, axis: int) -> Variable:
    return dimshuffle(x, *(i for i in range(x.ndim) if i != axis), axis)


def _common_core(x: Variable, y: Variable, name: str) -> list[Variable]:
    """Vectors that are summed do not stretch, even those of declared size 1."""
    a, b = x.type.shape[-1], y.type.shape[-1]
    if None not in (a, b) and a != b:
        raise ShapeError(f"{name}: the vectors have {a} and {b} elements.")
    if (a == 1) == (b == 1):
        return [x, y]
    return [_with_elements(v, 1) for v in (x, y)]


def _with_elements(x: Variable, size: int) -> Variable:
    """`x`, whose last axis is checked to have this size."""
    if x.type.shape[-1] == size:
        return x
    return specify_shape(x, [*[None] * (x.ndim - 1), size])


def trace(
    x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: str | None = None
) -> Variable:
    """The sum along a diagonal of two axes, which vanish; dtypes as for a sum."""
    return total(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)


# --- several factors ---------------------------------------------------------------------


def kron(x: Any, y: Any) -> Variable:
    """Kronecker's product: every element of `x` times the whole of `y`, side by side.

    Along every axis the sizes multiply; missing axes in front have size 1.
    """
    x, y = as_variable(x), as_variable(y)
    rank = max(x.ndim, y.ndim)
    x, y = pad_left(x, rank), pad_left(y, rank)
    order: list[Any] = [i for axis in range(rank) for i in (axis, "x")]
    other: list[Any] = [i for axis in range(rank) for i in ("x", axis)]
    product = mul(dimshuffle(x, *order), dimshuffle(y, *other))
    sizes = [product_size(pair) for pair in zip(sizes_of(x), sizes_of(y), strict=True)]
    return with_sizes(product, tuple(sizes))


def cross(
    x: Any,
    y: Any,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Variable:
    """The vector product of vectors with 3 elements along an axis, which `axisc` says in the result.

    Raises
    ------
    ShapeError
        The size of the axis is not 3; at run time where it is not known.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = as_variable(x), as_variable(y)
    a = _axis_last(x, normal_axis(axisa, x.ndim))
    b = _axis_last(y, normal_axis(axisb, y.ndim))
    for vector in (a, b):
        if vector.type.shape[-1] not in (None, 3):
            raise ShapeError(
                f"cross: vectors have 3 elements, {vector.label()} is {vector.type}."
            )
    a, b = _with_elements(a, 3), _with_elements(b, 3)
    a1, a2, a3 = (index(a, (..., i)) for i in range(3))
    b1, b2, b3 = (index(b, (..., i)) for i in range(3))
    parts = [
        sub(mul(a2, b3), mul(a3, b2)),
        sub(mul(a3, b1), mul(a1, b3)),
        sub(mul(a1, b2), mul(a2, b1)),
    ]
    return stack(parts, normal_axis(axisc, parts[0].ndim + 1))


NOMINAL = 64
"""The size that stands for one not known when an order of products is chosen."""


def multi_dot(arrays: Sequence[Any]) -> Variable:
    """The product of two or more matrices, in the order that takes the fewest multiplications.

    The first and last may be vectors. Sizes that are not known count as 64.

    References
    ----------
    Cormen et al. (2009), Introduction to algorithms, 3rd edition, section 15.2.
    """
    factors = [as_variable(a) for a in arrays]
    if len(factors) < 2:
        raise ShapeError(f"multi_dot needs two or more arrays, got {len(factors)}.")
    for i, factor in enumerate(factors):
        if factor.ndim != 2 and (factor.ndim != 1 or 0 < i < len(factors) - 1):
            raise ShapeError(
                f"multi_dot multiplies matrices; number {i} is {factor.type}."
            )
    return _product_of(factors, _best_cuts(_chain(factors)), 0, len(factors) - 1)


def _chain(factors: Sequence[Variable]) -> list[int]:
    """Number i has the sizes i and i + 1 of this list."""
    shapes = [f.type.shape for f in factors]
    shapes[0] = shapes[0] if len(shapes[0]) == 2 else (1, *shapes[0])
    shapes[-1] = shapes[-1] if len(shapes[-1]) == 2 else (*shapes[-1], 1)
    sizes = [shapes[0][0], *(s[1] for s in shapes)]
    return [NOMINAL if s is None else s for s in sizes]


def _best_cuts(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """For each range of factors after which one to cut it in two."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            cuts[i, j] = min(costs, key=lambda k: costs[k])
            cost[i, j] = costs[cuts[i, j]]
    return cuts


def _product_of(
    factors: Sequence[Variable], cuts: dict[tuple[int, int], int], i: int, j: int
) -> Variable:
    if i == j:
        return factors[i]
    k = cuts[i, j]
    return dot(_product_of(factors, cuts, i, k), _product_of(factors, cuts, k + 1, j))


def matrix_dot(*arrays: Any) -> Variable:
    """The product of the arrays from left to right."""
    return reduce(dot, (as_variable(a) for a in arrays))
