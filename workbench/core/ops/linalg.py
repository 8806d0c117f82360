"""Products of matrices and vectors.

`Dot` covers the ranks that BLAS knows; :func:`dot` brings every pair of 0 to 2 axes to it.

Read next: :mod:`workbench.core.ops.nnet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.errors import Report, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes
from workbench.core.ops.elementwise import mul
from workbench.core.ops.reduction import Sum
from workbench.core.ops.shape import dimshuffle, transpose
from workbench.core.ops.ufunc import cast
from workbench.core.source import Location, here
from workbench.core.types import Array, TensorType


class Dot(Opaque):
    """The product of matrices or vectors of one dtype: [m, k] by [k, n], [k] alone or both."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The outer sizes; the inner ones must agree."""
        x, y = inputs
        inner = x.type.shape[-1], y.type.shape[0]
        if None not in inner and inner[0] != inner[1]:
            place = here()
            line = None if place is None else place.location
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
            else outer(g, y)
            if y.ndim == 1
            else dot(g, transpose(y))
        )
        if x.ndim == 1:
            gy = mul(g, x) if y.ndim == 1 else outer(x, g)
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


class Gemm(Opaque):
    """z + alpha dot(x, y), for a scalar `alpha` and z of the shape of the product.

    Rewriting makes it: BLAS adds into the memory of z when nobody else needs that.
    """

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the sum; only equal sizes are added."""
        z, alpha, x, y = inputs
        (product,) = Dot().output_types(x, y)
        pairs = list(zip(z.type.shape, product.shape, strict=True))
        if (
            alpha.ndim
            or len({v.dtype for v in inputs}) > 1
            or any(None not in p and p[0] != p[1] for p in pairs)
        ):
            raise ShapeError(
                f"gemm cannot add {product} to {z.label()}: {z.type}, times {alpha.label()}: {alpha.type}."
            )
        return [z.type.with_shape([a if b is None else b for a, b in pairs])]

    def reference(self, z: Array, alpha: Array, x: Array, y: Array) -> Array:
        """``z + alpha * np.dot(x, y)``."""
        with np.errstate(all="ignore"):
            return np.asarray(z + alpha * np.dot(x, y))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with the sizes named when they do not fit."""
        z, _, x, y = inputs
        if x.shape[-1] != y.shape[0]:
            raise ShapeError(
                mismatch(
                    node.inputs[2],
                    node.inputs[3],
                    x.shape,
                    y.shape,
                    node.origin.location,
                )
            )
        if z.shape != (*x.shape[:-1], *y.shape[1:]):
            raise ShapeError(
                f"cannot add a product of shape {(*x.shape[:-1], *y.shape[1:])} to an array of shape {z.shape}."
            )
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for z; the sum of g dot(x, y) for alpha; alpha g through the product."""
        _, alpha, x, y = node.inputs
        assert g is not None
        product = Dot().make_node(x, y)
        weighted = mul(g, product.output)
        along = Sum(tuple(range(weighted.ndim)))(weighted)
        return [g, along, *Dot().vjp(product, mul(alpha, g))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of z."""
        return [tuple(shapes[0])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Inner sizes are equal, and the product has the shape of z."""
        z, _, x, y = shapes
        outer = (*x[:-1], *y[1:])
        return [
            (len(x) - 1, x[-1], y[0]),
            *((axis, a, b) for axis, (a, b) in enumerate(zip(z, outer, strict=True))),
        ]

    def __str__(self) -> str:
        return self.name


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


def outer(x: Any, y: Any) -> Variable:
    """The product of every element of vector `x` with every element of vector `y`, [m, n]."""
    return mul(dimshuffle(as_variable(x), 0, "x"), dimshuffle(as_variable(y), "x", 0))


def dot(x: Any, y: Any) -> Variable:
    """The product of two arrays of at most 2 axes.

    A scalar multiplies; otherwise the last axis of `x` is summed against the first of `y`.
    Operands of two dtypes are brought to their common one.

    Parameters
    ----------
    x : [m, k] or [k] or scalar
    y : [k, n] or [k] or scalar

    Raises
    ------
    ShapeError
        The inner sizes are known and differ, or an operand has more than 2 axes.
    """
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    if x.ndim > 2 or y.ndim > 2:
        raise ShapeError(
            f"dot takes arrays of at most 2 axes, got {x.ndim} and {y.ndim}."
        )
    dtype = np.result_type(x.dtype, y.dtype).name
    return Dot()(cast(x, dtype), cast(y, dtype))
