"""Products of matrices and vectors, one or a batch of them.

`Dot` covers the ranks that BLAS knows and `BatchedDot` many such products at once;
:func:`contract` brings arrays of any rank to them.

Read next: :mod:`workbench.core.ops.products`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.errors import Report, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Op, Opaque, Size, Sizes
from workbench.core.ops.elementwise import mul
from workbench.core.ops.reduction import Sum
from workbench.core.ops.shape import (
    Reshape,
    dimshuffle,
    product_size,
    size_variable,
    sizes_of,
    specify_shape,
    transpose,
)
from workbench.core.ops.ufunc import cast
from workbench.core.source import Location, location_here
from workbench.core.types import Array, TensorType


class Dot(Opaque):
    """The product of matrices or vectors of one dtype: [m, k] by [k, n], [k] alone or both."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The outer sizes; the inner ones must agree."""
        x, y = inputs
        inner = x.type.shape[-1], y.type.shape[0]
        if None not in inner and inner[0] != inner[1]:
            line = location_here()
            raise ShapeError(mismatch(x, y, x.type.shape, y.type.shape, line))
        return [TensorType(x.dtype, (*x.type.shape[:-1], *y.type.shape[1:]))]

    def reference(self, x: Array, y: Array) -> Array:
        """``np.dot``."""
        with np.errstate(all="ignore"):
            return np.asarray(np.dot(x, y))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with the sizes named when they do not fit."""
        x, y = inputs
        if x.shape[-1] != y.shape[0]:
            a, b = node.inputs
            raise ShapeError(mismatch(a, b, x.shape, y.shape, node.origin.location))
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g yᵀ and xᵀ g, for vectors the outer product."""
        x, y = node.inputs
        assert g is not None
        gx = (
            mul(g, y)
            if x.ndim == y.ndim == 1
            else mul(dimshuffle(g, 0, "x"), dimshuffle(y, "x", 0))
            if y.ndim == 1
            else dot(g, transpose(y))
        )
        if x.ndim == 1:
            gy = (
                mul(g, x)
                if y.ndim == 1
                else mul(dimshuffle(x, 0, "x"), dimshuffle(g, "x", 0))
            )
        else:
            gy = dot(transpose(x), g)
        return [gx, gy]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """The inner sizes are equal."""
        return [(node.inputs[0].ndim - 1, shapes[0][-1], shapes[1][0])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The outer sizes."""
        return [(*shapes[0][:-1], *shapes[1][1:])]


class BatchedDot(Opaque):
    """The products of two batches of matrices of one dtype: [b, m, k] by [b, k, n] gives [b, m, n]."""

    name = "batched_dot"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The outer sizes; batch and inner ones must agree."""
        x, y = inputs
        (b, m, k), (c, j, n) = x.type.shape, y.type.shape
        if (None not in (b, c) and b != c) or (None not in (k, j) and k != j):
            raise ShapeError(
                _batch_mismatch(self, inputs, (x.type.shape, y.type.shape))
            )
        return [TensorType(x.dtype, (c if b is None else b, m, n))]

    def reference(self, x: Array, y: Array) -> Array:
        """``np.matmul``."""
        with np.errstate(all="ignore"):
            return np.matmul(x, y)

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with the sizes named when they do not fit."""
        x, y = inputs
        if (x.shape[0], x.shape[2]) != y.shape[:2]:
            raise ShapeError(_batch_mismatch(self, node.inputs, (x.shape, y.shape)))
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g yᵀ and xᵀ g, matrix by matrix."""
        x, y = node.inputs
        assert g is not None
        return [
            BatchedDot()(g, dimshuffle(y, 0, 2, 1)),
            BatchedDot()(dimshuffle(x, 0, 2, 1), g),
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """As many matrices in both, and equal inner sizes."""
        x, y = shapes
        return [(0, x[0], y[0]), (2, x[2], y[1])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The outer sizes."""
        x, y = shapes
        return [(*x[:2], y[2])]


class Gemm(Opaque):
    """z + alpha dot(x, y), for a scalar `alpha` and z of the shape of the product.

    A fifth input, a scalar `beta`, multiplies z. For x and y of three axes the product is
    that of :class:`BatchedDot`. Rewriting makes it: BLAS adds into the memory of z when
    nobody else needs that.
    """

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the sum; only equal sizes are added."""
        z, alpha, x, y, *beta = inputs
        (product,) = product_op(x).output_types(x, y)
        pairs = list(zip(z.type.shape, product.shape, strict=True))
        if (
            any(v.ndim for v in (alpha, *beta))
            or len({v.dtype for v in inputs}) > 1
            or any(None not in p and p[0] != p[1] for p in pairs)
        ):
            raise ShapeError(
                f"gemm cannot add {product} to {z.label()}: {z.type}, times {alpha.label()}: {alpha.type}."
            )
        return [z.type.with_shape([a if b is None else b for a, b in pairs])]

    def reference(
        self, z: Array, alpha: Array, x: Array, y: Array, *beta: Array
    ) -> Array:
        """``beta * z + alpha * np.dot(x, y)``."""
        with np.errstate(all="ignore"):
            product = np.matmul(x, y) if x.ndim > 2 else np.dot(x, y)
            return np.asarray((beta[0] * z if beta else z) + alpha * product)

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with the sizes named when they do not fit."""
        z, _, x, y, *_ = inputs
        a, b = node.inputs[2:4]
        if x.ndim > 2 and (x.shape[0], x.shape[2]) != y.shape[:2]:
            raise ShapeError(_batch_mismatch(self, (a, b), (x.shape, y.shape)))
        if x.ndim <= 2 and x.shape[-1] != y.shape[0]:
            raise ShapeError(mismatch(a, b, x.shape, y.shape, node.origin.location))
        shape = _product_sizes(x.shape, y.shape)
        if z.shape != shape:
            raise ShapeError(
                f"cannot add a product of shape {shape} to an array of shape {z.shape}."
            )
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for z; the sum of g dot(x, y) for alpha, of g z for beta; alpha g through the product."""
        z, alpha, x, y, *beta = node.inputs
        assert g is not None
        product = product_op(x).make_node(x, y)
        along = Sum(tuple(range(z.ndim)))
        through = product.op.vjp(product, mul(alpha, g))
        inner = [along(mul(g, product.output)), *through]
        if not beta:
            return [g, *inner]
        return [mul(beta[0], g), *inner, along(mul(g, z))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of z."""
        return [tuple(shapes[0])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Inner sizes are equal, and the product has the shape of z."""
        z, _, x, y, *_ = shapes
        product = product_op(node.inputs[2]).make_node(*node.inputs[2:4])
        outer = _product_sizes(x, y)
        return [
            *product.op.size_checks(product, [x, y]),
            *((axis, a, b) for axis, (a, b) in enumerate(zip(z, outer, strict=True))),
        ]

    def __str__(self) -> str:
        return self.name


class ScaledDot(Opaque):
    """alpha dot(x, y) for a scalar `alpha`; for x and y of three axes the products of a batch.

    Rewriting makes it of a result: BLAS multiplies by the scalar for nothing.
    """

    name = "scaled_dot"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the product."""
        alpha, x, y = inputs
        if alpha.ndim or len({v.dtype for v in inputs}) > 1:
            raise ShapeError(
                f"scaled_dot: {alpha.label()}: {alpha.type} is no scalar of the dtype {x.dtype}."
            )
        return product_op(x).output_types(x, y)

    def reference(self, alpha: Array, x: Array, y: Array) -> Array:
        """``alpha * np.dot(x, y)``."""
        with np.errstate(all="ignore"):
            return np.asarray(alpha * (np.matmul(x, y) if x.ndim > 2 else np.dot(x, y)))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with the sizes named when they do not fit."""
        x, y = inputs[1:]
        a, b = node.inputs[1:]
        if x.ndim > 2 and (x.shape[0], x.shape[2]) != y.shape[:2]:
            raise ShapeError(_batch_mismatch(self, (a, b), (x.shape, y.shape)))
        if x.ndim <= 2 and x.shape[-1] != y.shape[0]:
            raise ShapeError(mismatch(a, b, x.shape, y.shape, node.origin.location))
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The sum of g dot(x, y) for alpha; alpha g through the product."""
        alpha, x, y = node.inputs
        assert g is not None
        product = product_op(x).make_node(x, y)
        along = Sum(tuple(range(g.ndim)))
        through = product.op.vjp(product, mul(alpha, g))
        return [along(mul(g, product.output)), *through]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The outer sizes."""
        return [_product_sizes(*shapes[1:])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Those of the product."""
        product = product_op(node.inputs[1]).make_node(*node.inputs[1:])
        return product.op.size_checks(product, shapes[1:])


def product_op(x: Variable) -> Op:
    """The product of two operands of three axes, or of fewer."""
    return BatchedDot() if x.ndim > 2 else Dot()


def _product_sizes(x: Sequence[Any], y: Sequence[Any]) -> tuple[Any, ...]:
    return (*x[:2], y[2]) if len(x) > 2 else (*x[:-1], *y[1:])


def mismatch(
    x: Variable,
    y: Variable,
    x_shape: Sequence[int | None],
    y_shape: Sequence[int | None],
    line: Location | None,
) -> Report:
    """Why two arrays, multiplied on the user's `line`, have no product."""
    a, b = x.label(), y.label()
    kind = ("elements", "columns")[x.ndim - 1], ("elements", "rows")[y.ndim - 1]
    report = Report(
        f"dot({a}, {b}): {a} has {x_shape[-1]} {kind[0]} but {b} has {y_shape[0]} {kind[1]}.",
        line,
    )
    rows = [
        [str(i), v.label(), str(v.type), str(tuple(shape)), str(v.location or "")]
        for i, (v, shape) in enumerate(((x, x_shape), (y, y_shape)))
    ]
    report.table("input", ["", "name", "type", "shape", "from"], rows)
    return report.add("hint", dot_hint(a, b, x_shape, y_shape))


def dot_hint(
    a: str, b: str, x_shape: Sequence[int | None], y_shape: Sequence[int | None]
) -> str:
    """What would make the product possible."""
    text = f"axis {len(x_shape) - 1} of {a} must equal axis 0 of {b}."
    if len(y_shape) == 2 and y_shape[1] == x_shape[-1]:
        return (
            text
            + f" dot({a}, {b}.T) would fit: its shape is {tuple(reversed(y_shape))}."
        )
    if len(y_shape) == 2:
        return (
            text + f" Transposing {b}, {tuple(reversed(y_shape))}, does not fit either."
        )
    return text


def _batch_mismatch(
    op: Op, inputs: Sequence[Variable], shapes: Sequence[Sequence[int | None]]
) -> Report:
    """Why two batches of matrices have no product."""
    a, b = (v.label() for v in inputs)
    x, y = (tuple(shape) for shape in shapes)
    report = Report(
        f"{op}({a}, {b}): the shapes {x} and {y} do not fit.", location_here()
    )
    return report.add(
        "hint",
        f"axes 0 must agree, and axis 2 of {a} with axis 1 of {b}.",
    )


# --- what users call ---------------------------------------------------------------------


def dot(x: Any, y: Any) -> Variable:
    """The product of two arrays as ``np.dot`` has it.

    A scalar multiplies; otherwise the last axis of `x` is summed against the last but one
    of `y`, or its only one. Operands of two dtypes are brought to their common one.

    Parameters
    ----------
    x : [..., k] or scalar
    y : [..., k, n] or [k] or scalar

    Returns
    -------
    Variable
        The axes of `x` but for its last, then those of `y` that are left.

    Raises
    ------
    ShapeError
        The inner sizes are known and differ.
    """
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    if y.ndim > 2:
        y = dimshuffle(y, y.ndim - 2, *range(y.ndim - 2), y.ndim - 1)
    return contract(x, y, 1)


def contract(x: Variable, y: Variable, count: int) -> Variable:
    """The last `count` axes of `x`, at least one, summed against the first `count` of `y`.

    Several axes become one, so that the product is a single call of the library.

    Raises
    ------
    ShapeError
        Sizes that are summed against each other are known and differ.
    """
    dtype = np.result_type(x.dtype, y.dtype).name
    x, y = cast(x, dtype), cast(y, dtype)
    if count == 1 and max(x.ndim, y.ndim) <= 2:
        return Dot()(x, y)
    y = _agreeing(x, y, count)
    rows, columns = sizes_of(x)[: x.ndim - count], sizes_of(y)[count:]
    inner = product_size(sizes_of(x)[x.ndim - count :])
    left = (product_size(rows), inner) if rows else (inner,)
    inner = product_size(sizes_of(y)[:count])
    right = (inner, product_size(columns)) if columns else (inner,)
    result = Dot()(with_sizes(x, left), with_sizes(y, right))
    return with_sizes(result, (*rows, *columns))


def _agreeing(x: Variable, y: Variable, count: int) -> Variable:
    """`y`, whose first axes are as long as the last ones of `x`.

    Of several that are joined each is checked; the product checks a single one itself.
    """
    first = x.ndim - count
    for axis in range(count):
        a, b = x.type.shape[first + axis], y.type.shape[axis]
        if None not in (a, b) and a != b:
            raise ShapeError(
                f"dot({x.label()}, {y.label()}): the sizes {a} and {b}, which are summed "
                f"against each other, differ; the types are {x.type} and {y.type}."
            )
    known = (*x.type.shape[first:], *y.type.shape[:count])
    if count == 1 or None not in known:
        return y
    sizes = sizes_of(x)[first:]
    return specify_shape(y, [*sizes, *(None for _ in range(y.ndim - count))])


def with_sizes(x: Variable, sizes: Sizes) -> Variable:
    """`x` reshaped, unless it has as many axes already."""
    if len(sizes) == x.ndim:
        return x
    return Reshape(len(sizes))(x, *(size_variable(s) for s in sizes))
