"""Sums, products and extremes: less to gather, or gathered by the library.

What is the same for all elements is done once, after they have been gathered; a
function that keeps the order does not change which element is largest; a reduction of
parts joined is one of each part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.canonical import lossless
from workbench.compile.rules.products import node_of
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.ops.elementwise import (
    Add,
    And,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Or,
    Sub,
    TrueDiv,
    mul,
    neg,
)
from workbench.core.ops.floats import Cbrt, Deg2rad, Rad2deg
from workbench.core.ops.joining import Join
from workbench.core.ops.linalg import Dot
from workbench.core.ops.mathematics import (
    Arcsin,
    Arcsinh,
    Arctan,
    Arctanh,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log1p,
    Log2,
    Log10,
    Sigmoid,
    Sinh,
    Softplus,
    Sqrt,
    Tanh,
)
from workbench.core.ops.nnet import LogSoftmax, Softmax
from workbench.core.ops.reduction import (
    All,
    Any_,
    ArgMax,
    ArgMin,
    Infimum,
    Max,
    Min,
    Prod,
    Sum,
    Supremum,
)
from workbench.core.ops.shape import (
    BroadcastTo,
    dimshuffle,
    product_size,
    size_variable,
)
from workbench.core.ops.ufunc import Cast, cast, kind

# --- a factor of all elements ---------------------------------------------------------


def without_axes(variable: Variable, axes: Sequence[int]) -> Variable:
    """`variable` without `axes`, along which its size is 1."""
    return dimshuffle(variable, *(a for a in range(variable.ndim) if a not in axes))


def constant_along(variable: Variable, axes: Sequence[int]) -> bool:
    """Whether a variable is the same along `axes` by its type."""
    return all(variable.type.shape[axis] == 1 for axis in axes)


def common_factor(node: Apply, context: Context) -> tuple[Any, ...] | None:
    """Of the reduction of a product: its node, what differs along the axes, what does not.

    Where somebody else reads the product it is there to be gathered, and what differs
    may not be.
    """
    inner = node_of(node.inputs[0], Mul, TrueDiv)
    axes = node.op.axes  # type: ignore[attr-defined]
    if inner is None or inner.output.dtype != node.output.dtype:
        return None
    x, y = inner.inputs
    if isinstance(inner.op, Mul) and constant_along(x, axes):
        x, y = y, x
    if not constant_along(y, axes) or constant_along(x, axes):
        return None
    return (inner, x, y) if context.read_once(inner.output) else None


@node_rule(Sum)
def int_sum_of_multiple(node, context):
    """sum(c x) is c sum(x) for a c that is the same along the summed axes; integers wrap."""
    found = common_factor(node, context) if kind(node.output.dtype) in "iu" else None
    if found is None:
        return None
    _, x, y = found
    return mul(node.op(x), without_axes(y, node.op.axes))


@node_rule(Sum, tags=["finite_math"])
def sum_of_multiple(node, context):
    """sum(c x) is c sum(x) for a c that is the same along the summed axes.

    Halves are left alone: a mean written as sum(x / n) would overflow above 65504.
    """
    found = (
        common_factor(node, context)
        if node.output.dtype in ("float32", "float64")
        else None
    )
    if found is None:
        return None
    inner, x, y = found
    return inner.op(node.op(x), without_axes(y, node.op.axes))


@node_rule(Prod)
def prod_of_neg(node):
    """A product of negatives has the sign of their number, where that is known."""
    inner = node_of(node.inputs[0], Neg)
    count = _count(node.inputs[0], node.op.axes)
    if inner is None or count is None or inner.output.dtype != node.output.dtype:
        return None
    product = node.op(inner.inputs[0])
    return neg(product) if count % 2 else product


@node_rule(Prod, tags=["finite_math"])
def prod_of_multiple(node, context):
    """prod(c x) is c^n prod(x), for a number c whose power is neither large nor small."""
    inner = node_of(node.inputs[0], Mul)
    count = _count(node.inputs[0], node.op.axes)
    dtype = node.output.dtype
    if inner is None or not count or inner.output.dtype != dtype or dtype == "float16":
        return None
    for x, y in (inner.inputs, inner.inputs[::-1]):
        factor = uniform_value(y)
        if factor is None or x.type.shape != inner.output.type.shape:
            continue
        power = _moderate_power(np.dtype(dtype).type(factor), count)
        if power is not None and context.read_once(inner.output):
            return mul(node.op(x), as_variable(power, dtype))
    return None


def _count(variable: Variable, axes: Sequence[int]) -> int | None:
    """How many elements lie along some axes, where the type says so."""
    sizes = [variable.type.shape[axis] for axis in axes]
    return None if None in sizes else int(np.prod([s for s in sizes if s is not None]))


def _moderate_power(factor: Any, count: int) -> Any:
    """A power of a number; None where it is not between 2^-60 and 2^60 (20 for float32)."""
    with np.errstate(all="ignore"):
        power = np.power(factor, factor.dtype.type(count))
        bits = 20 if factor.dtype == "float32" else 60
        if kind(factor.dtype.name) in "iu":
            return np.power(factor, count, dtype=factor.dtype)
        if kind(factor.dtype.name) != "f":
            return None
        return power if 2.0**-bits <= abs(power) <= 2.0**bits else None


# --- repeated elements ----------------------------------------------------------------


@node_rule(Sum, tags=["finite_math"])
def sum_of_repeated(node, context):
    """The sum of n equal elements is n times one of them."""
    inner = node_of(node.inputs[0], BroadcastTo)
    if (
        inner is None
        or node.output.dtype != inner.output.dtype
        or node.output.dtype == "float16"
    ):
        return None
    x = inner.inputs[0]
    sizes = context.sizes(inner.output)
    repeated = [a for a in node.op.axes if x.type.shape[a] == 1]
    if not repeated:
        return None
    count = cast(
        size_variable(product_size([sizes[a] for a in repeated])), node.output.dtype
    )
    return context.stretched(mul(_of_others(node, x, repeated), count), node.output)


@node_rule(Max, Min, All, Any_, Supremum, Infimum)
def extreme_of_repeated(node, context):
    """The largest of n equal elements is one of them, where n is known not to be 0."""
    inner = node_of(node.inputs[0], BroadcastTo)
    if inner is None:
        return None
    x = inner.inputs[0]
    sizes = context.sizes(inner.output)
    repeated = [
        a for a in node.op.axes if x.type.shape[a] == 1 and isinstance(sizes[a], int)
    ]
    if not repeated or any(not sizes[a] for a in repeated):
        return None
    if len(repeated) == len(node.op.axes) and isinstance(node.op, All | Any_):
        repeated = repeated[1:]  # what is left makes the bool
    if not repeated:
        return None
    left = BroadcastTo(x.ndim)(
        x,
        *(size_variable(1 if a in repeated else s) for a, s in enumerate(sizes)),
    )
    kept = [a for a in range(x.ndim) if a not in repeated]
    smaller = dimshuffle(left, *kept)
    axes = tuple(kept.index(a) for a in node.op.axes if a not in repeated)
    return type(node.op)(axes)(smaller) if axes else smaller


def _of_others(node: Any, x: Variable, gone: Sequence[int]) -> Variable:
    """The reduction of `x` without the axes `gone`, along which its size is 1."""
    kept = [a for a in range(x.ndim) if a not in gone]
    smaller = without_axes(x, gone)
    left = tuple(kept.index(a) for a in node.op.axes if a not in gone)
    return type(node.op)(left)(smaller) if left else smaller


# --- joined parts ---------------------------------------------------------------------

TOGETHER: dict[type, type] = {
    Sum: Add,
    Prod: Mul,
    All: And,
    Any_: Or,
    Supremum: Maximum,
    Infimum: Minimum,
}
"""How the results of parts become that of the whole."""

OVER_NOTHING: dict[type, type] = {Max: Supremum, Min: Infimum}
"""What a part without elements is gathered by, if another has some."""


@node_rule(*TOGETHER, Max, Min)
def reduction_of_join(node, context):
    """A sum of parts joined is the sum of their sums: nothing is copied together.

    Halves are left alone: they are gathered in single precision, and only the sum of all
    may fit a half.
    """
    inner = node_of(node.inputs[0], Join)
    if (
        inner is None
        or inner.op.axis not in node.op.axes
        or len(inner.inputs) > 8
        or node.output.dtype == "float16"
        or not context.read_once(inner.output)
        or not _fit_beside(inner, context)
    ):
        return None
    gather = OVER_NOTHING.get(type(node.op), type(node.op))
    parts = [type(node.op)(node.op.axes)(v) for v in inner.inputs]
    if gather is not type(node.op):
        full = [bool(_count(v, node.op.axes)) for v in inner.inputs]
        if not any(full):
            return None
        parts = [
            part if has else gather(node.op.axes)(v)
            for part, has, v in zip(parts, full, inner.inputs, strict=True)
        ]
    result = parts[0]
    for part in parts[1:]:
        result = TOGETHER[gather]()(result, part)
    return result


def _fit_beside(join: Any, context: Context) -> bool:
    """Whether the parts of a join are known to agree along the other axes."""
    first, *others = (context.sizes(v) for v in join.inputs)
    return all(
        axis == join.op.axis or context.same_size(a, b)
        for sizes in others
        for axis, (a, b) in enumerate(zip(first, sizes, strict=True))
    )


# --- extremes and their places --------------------------------------------------------

MIRRORED: dict[type, type] = {
    Max: Min,
    Min: Max,
    Supremum: Infimum,
    Infimum: Supremum,
    ArgMax: ArgMin,
    ArgMin: ArgMax,
}


@node_rule(*MIRRORED)
def extreme_of_neg(node):
    """The largest of -x is minus the smallest of x: one sign, which may meet another.

    Integers are left alone: the smallest has no negative.
    """
    inner = node_of(node.inputs[0], Neg)
    if inner is None or kind(inner.output.dtype) != "f":
        return None
    extreme = MIRRORED[type(node.op)](node.op.axes)(inner.inputs[0])
    return extreme if isinstance(node.op, ArgMax | ArgMin) else neg(extreme)


INCREASING = (
    Arcsin,
    Arcsinh,
    Arctan,
    Arctanh,
    Cbrt,
    Deg2rad,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log10,
    Log1p,
    Log2,
    Rad2deg,
    Sigmoid,
    Sinh,
    Softplus,
    Sqrt,
    Tanh,
)


@node_rule(ArgMax, ArgMin, tags=["finite_math"])
def place_under_monotone(node, context):
    """The largest element stands where an increasing function of it is largest.

    So the class of a softmax needs no exponentials. Elements that the function rounds to
    one value, or makes NaN of, keep their order.
    """
    x, rising = node.inputs[0], True
    while (step := _unwrapped(x, node.op.axes[0], context)) is not None:
        x, same = step
        rising = rising == same
    if x is node.inputs[0]:
        return None
    op = type(node.op) if rising else MIRRORED[type(node.op)]
    return op(node.op.axes)(x)


def _unwrapped(x: Any, axis: int, context: Context) -> tuple[Variable, bool] | None:
    """What `x` is a monotone function of along an axis, and whether it rises with it."""
    node = x.owner
    if node is None or kind(x.dtype) != "f":
        return None
    inner = node.inputs[0]
    if isinstance(node.op, Softmax | LogSoftmax):
        return (inner, True) if node.op.axis == axis else None
    if isinstance(node.op, INCREASING):
        return inner, True
    if isinstance(node.op, Neg):
        return inner, False
    if isinstance(node.op, Cast):
        return (inner, True) if _ordered(inner, x) else None
    if isinstance(node.op, Add | Sub | Mul | TrueDiv):
        return _unwrapped_operand(node, axis, context)
    return None


def _ordered(x: Variable, converted: Variable) -> bool:
    return kind(x.dtype) in "iuf" and lossless(x.dtype, converted.dtype)


def _unwrapped_operand(
    node: Apply, axis: int, context: Context
) -> tuple[Variable, bool] | None:
    """For ``x + c`` and ``2 x``, where c is the same along the axis."""
    x, y = node.inputs
    first = not constant_along(x, [axis])
    varies, fixed = (x, y) if first else (y, x)
    if (
        constant_along(varies, [axis])
        or not constant_along(fixed, [axis])
        or varies.broadcastable != node.output.broadcastable
        or not context.stretches(fixed, varies)
    ):
        return None
    if isinstance(node.op, Add | Sub):
        return varies, first or isinstance(node.op, Add)
    factor = uniform_value(fixed)
    if factor is None or not np.isfinite(factor) or factor == 0:
        return None
    if isinstance(node.op, TrueDiv) and not first:
        return None  # c / x does not keep the order across 0
    return varies, factor > 0


# --- sums of products -----------------------------------------------------------------


@node_rule(Sum)
def sum_of_products(node, context):
    """sum(x[:, :, None] * y[None, :, :], axis=1) is dot(x, y), which the library does.

    Only this pays. The dot of two vectors, or of a matrix and a vector, is a loop of ours
    in the same time (1e6 elements: 197 µs both ways), and fused with what makes its
    operands.
    """
    inner = node_of(node.inputs[0], Mul)
    if (
        inner is None
        or len(node.op.axes) != 1
        or inner.output.ndim != 3
        or node.output.dtype not in ("float32", "float64")
        or node.output.dtype != inner.output.dtype
    ):
        return None
    (k,) = node.op.axes
    i, j = (axis for axis in range(3) if axis != k)
    for x, y in (inner.inputs, inner.inputs[::-1]):
        if x.broadcastable == _only(j) and y.broadcastable == _only(i):
            if not context.read_once(inner.output):
                return None
            return Dot()(dimshuffle(x, i, k), dimshuffle(y, k, j))
    return None


def _only(axis: int) -> tuple[bool, ...]:
    return tuple(a == axis for a in range(3))


RULES = tagged(
    "algebra",
    int_sum_of_multiple,
    sum_of_multiple,
    prod_of_neg,
    prod_of_multiple,
    sum_of_repeated,
    extreme_of_repeated,
    reduction_of_join,
    extreme_of_neg,
    place_under_monotone,
    sum_of_products,
)
