"""One way to write each thing, so that the rules after these need to know only one.

Constants are folded, a minus sign moves out of products and sums until it meets
another, conversions that undo each other go. Nothing here costs anything at run time.
Conditions and choices are in :mod:`workbench.compile.rules.comparisons` and
:mod:`~workbench.compile.rules.choices`, what concerns sizes and axes in
:mod:`~workbench.compile.rules.shapes`, what concerns places in
:mod:`~workbench.compile.rules.indexing`.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.compile.matching import SMALL, uniform_value
from workbench.compile.rewrite import node_rule, tagged
from workbench.core.graph import Constant, Variable
from workbench.core.op import Generator, Op
from workbench.core.ops.barriers import Barrier
from workbench.core.ops.elementwise import (
    Abs,
    Add,
    Mul,
    Neg,
    Reciprocal,
    Sub,
    TrueDiv,
    abs,
    add,
    neg,
    reciprocal,
    sub,
)
from workbench.core.ops.linalg import Dot
from workbench.core.ops.reduction import Sum
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import Cast, cast, kind


@node_rule(Op, every=Constant)
def fold_constants(node, context):
    """What depends on constants only is computed now, up to 10,000 elements.

    A stretched constant stays a view of the small one, and a range its three bounds.
    What raises an error is left to raise it at run time, where it has the user's line.
    """
    if isinstance(node.op, Generator):
        return None
    if not node.inputs or not all(isinstance(v, Constant) for v in node.inputs):
        return None
    arrays = [v.data for v in node.inputs]
    if any(a.size > SMALL for a in arrays):
        return context.refuse("a constant has more than 10,000 elements")
    for variable in node.outputs:
        known = [size for size in variable.type.shape if size is not None]
        if math.prod(known) > SMALL:
            return context.refuse("{} has more than 10,000 elements", variable)
    if isinstance(node.op, BroadcastTo) and node.output.type.shape != arrays[0].shape:
        return None
    try:
        with np.errstate(all="ignore"):
            results = node.op.evaluate(node, arrays)
    except Exception:
        return context.refuse("it raises an error, which a call shall raise")
    if any(result.size > SMALL for result in results):
        return None
    return [Constant(result) for result in results]


@node_rule(Barrier)
def barrier(node):
    """What changes a gradient only is done when the gradient has been derived."""
    return node.inputs[0]


# --- the minus sign -------------------------------------------------------------------


def negated(variable: Variable) -> Variable | None:
    """What `variable` is the negative of: x for ``-x``."""
    if variable.owner is not None and isinstance(variable.owner.op, Neg):
        return variable.owner.inputs[0]
    return None


@node_rule(Neg, some=Neg)
def neg_of_neg(node):
    """-(-x) is x."""
    return negated(node.inputs[0])


@node_rule(Mul, TrueDiv, some=Neg)
def neg_of_factor(node):
    """(-x) y is -(x y): outside the product the sign can meet another."""
    x, y = node.inputs
    a, b = negated(x), negated(y)
    if a is None and b is None:
        return None
    if (a is None or b is None) and kind(x.dtype) == "c":
        return None  # 1 - 1 is 0 in a part of the product, and so is -1 + 1
    product = node.op(x if a is None else a, y if b is None else b)
    return product if a is not None and b is not None else neg(product)


@node_rule(Reciprocal, some=Neg)
def neg_of_divisor(node):
    """1 / (-x) is -(1 / x)."""
    x = negated(node.inputs[0])
    return None if x is None or not x.type.is_float else neg(reciprocal(x))


@node_rule(Dot, some=Neg)
def neg_of_dot(node):
    """dot(-x, y) is -dot(x, y), and the sign can join the factor of a gemm."""
    x, y = node.inputs
    a, b = negated(x), negated(y)
    if a is None and b is None:
        return None
    product = node.op(x if a is None else a, y if b is None else b)
    return product if a is not None and b is not None else neg(product)


@node_rule(Add, some=Neg)
def add_of_neg(node):
    """Adding a negative is subtracting, exactly."""
    x, y = node.inputs
    if node.output.dtype == "bool":
        return None
    if (b := negated(y)) is not None:
        return sub(x, b)
    if (a := negated(x)) is not None:
        return sub(y, a)
    return None


@node_rule(Sub, some=Neg)
def sub_of_neg(node):
    """Subtracting a negative is adding, exactly."""
    x, y = node.inputs
    b = negated(y)
    return None if b is None else add(x, b)


@node_rule(Sub, tags=["finite_math"], some=Neg)
def neg_minus(node):
    """-x - y is -(x + y), but for the sign of a zero."""
    x, y = node.inputs
    a = negated(x)
    return None if a is None else neg(add(a, y))


@node_rule(Neg, tags=["finite_math"], some=Sub)
def neg_of_difference(node):
    """-(x - y) is y - x, but for the sign of a zero."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, Sub):
        return None
    x, y = inner.inputs
    return sub(y, x)


@node_rule(Neg, some=(Mul, TrueDiv))
def neg_of_multiple(node):
    """-(2 x) is (-2) x; -(x / 2) is x / (-2)."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, Mul | TrueDiv):
        return None
    if kind(node.output.dtype) == "c":
        return None  # as in `neg_of_factor`
    x, y = inner.inputs
    if isinstance(x, Constant) and uniform_value(x) is not None:
        return inner.op(Constant(-x.data), y)
    if isinstance(y, Constant) and uniform_value(y) is not None:
        return inner.op(x, Constant(-y.data))
    return None


@node_rule(Sum, tags=["finite_math"], some=Neg)
def sum_of_neg(node):
    """A sum of negatives is the negative of the sum: one sign in place of many."""
    x = negated(node.inputs[0])
    if x is None or x.dtype != node.output.dtype:
        return None
    return neg(node.op(x))


@node_rule(Abs, some=(Neg, Abs))
def abs_of_neg(node):
    """|-x| is |x|, and ||x|| too."""
    x = negated(node.inputs[0])
    if x is not None:
        return abs(x)
    inner = node.inputs[0].owner
    return inner.outputs[0] if inner is not None and isinstance(inner.op, Abs) else None


# --- conversion ------------------------------------------------------------------------


def lossless(have: str, want: str) -> bool:
    """Whether every value of dtype `have` has an equal in `want`.

    >>> lossless("int32", "float64"), lossless("int64", "float64")
    (True, False)
    """
    if have == want or have == "bool":
        return True
    if kind(have) in "iu" and kind(want) in "fc":
        return np.iinfo(have).bits <= np.finfo(want).nmant + 1
    return bool(np.can_cast(have, want, "safe"))


@node_rule(Cast)
def cast_of_cast(node, context):
    """Through a dtype that holds every value it is one conversion, or none."""
    inner = node.inputs[0].owner
    last = node.output.dtype
    if node.inputs[0].dtype == last:
        return node.inputs[0]
    if inner is None or not isinstance(inner.op, Cast):
        return None
    (x,) = inner.inputs
    if not lossless(x.dtype, inner.op.dtype):
        return context.refuse("the first conversion loses digits of {}", x)
    if x.dtype == last:
        return x
    if (
        kind(inner.op.dtype) in "fc"
        and kind(last) in "iu"
        and not lossless(x.dtype, last)
    ):
        # Out of range a float and an integer become different integers.
        return context.refuse("{} may be out of range of the last dtype", x)
    return cast(x, last)


RULES = tagged(
    "canonical",
    fold_constants,
    barrier,
    neg_of_neg,
    neg_of_factor,
    neg_of_divisor,
    neg_of_dot,
    add_of_neg,
    sub_of_neg,
    neg_minus,
    neg_of_difference,
    neg_of_multiple,
    sum_of_neg,
    abs_of_neg,
    cast_of_cast,
)
