"""Fewer operations for the same value.

Rules that hold for every float, infinities, NaN and the sign of zero included, carry no
tag but the module's. The others are ``finite_math``: x - x is 0 only while x is finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.compile.rewrite import identity, node_rule, tagged
from workbench.compile.rules.products import One, fit, node_of, split_product, without
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Sub,
    TrueDiv,
    abs,
    add,
    floor_div,
    maximum,
    minimum,
    mul,
    neg,
    reciprocal,
    sqr,
    sub,
    true_div,
)
from workbench.core.ops.mathematics import exp, log, pow, sqrt
from workbench.core.ops.reduction import Sum
from workbench.core.ops.shape import (
    BroadcastTo,
    dimshuffle,
    product_size,
    size_variable,
)
from workbench.core.ops.ufunc import cast, kind

# --- neutral operands -----------------------------------------------------------------


@identity(kinds="iu")
def int_plus_zero(x):
    """Adding 0 changes nothing."""
    return add(x, 0), x


@identity(tags=["finite_math"])
def plus_zero(x):
    """Adding 0 changes nothing, but for -0, which becomes 0."""
    return add(x, 0), x


@identity(kinds="iuf")
def minus_zero(x):
    """Subtracting 0 changes nothing, not even -0."""
    return sub(x, 0), x


@identity(tags=["finite_math"])
def zero_minus(x):
    """0 - x is -x, but for x = 0."""
    return sub(0, x), neg(x)


@identity(kinds="iuf")
def times_one(x):
    """1 x is x."""
    return mul(x, 1), x


@identity
def over_one(x):
    """Dividing by 1 changes nothing."""
    return true_div(x, 1), x


@identity(kinds="iu")
def floor_over_one(x):
    """Dividing an integer by 1 changes nothing."""
    return floor_div(x, 1), x


@identity
def times_minus_one(x):
    """-1 x is -x: a sign costs nothing."""
    return mul(x, -1), neg(x)


@identity
def over_minus_one(x):
    """Dividing by -1 is a sign, which costs nothing."""
    return true_div(x, -1), neg(x)


@identity(kinds="iu")
def int_times_zero(x):
    """0 x is 0."""
    return mul(x, 0), 0


@identity(tags=["finite_math"])
def times_zero(x):
    """0 x is 0, but NaN for an infinite x."""
    return mul(x, 0), 0


@identity(tags=["finite_math"])
def zero_over(x):
    """0 / x is 0, but NaN for x = 0."""
    return true_div(0, x), 0


# --- equal operands -------------------------------------------------------------------


@identity(kinds="iu")
def int_minus_itself(x):
    """The difference is 0."""
    return sub(x, x), 0


@identity(tags=["finite_math"])
def minus_itself(x):
    """The difference is 0, but NaN for an infinite x."""
    return sub(x, x), 0


@identity(tags=["finite_math"])
def over_itself(x):
    """The quotient is 1, but NaN for x = 0."""
    return true_div(x, x), 1


@identity(kinds="iuf")
def times_itself(x):
    """A square reads its operand once."""
    return mul(x, x), sqr(x)


@identity(kinds="biuf")
def maximum_of_equals(x):
    """The larger of x and x is x."""
    return maximum(x, x), x


@identity(kinds="biuf")
def minimum_of_equals(x):
    """The smaller of x and x is x."""
    return minimum(x, x), x


@identity(kinds="iu")
def int_plus_minus(x, y):
    """What is added goes; integers wrap both ways."""
    return sub(add(x, y), y), x


@identity(tags=["finite_math"])
def plus_minus(x, y):
    """What is added goes, up to rounding; an infinite y makes NaN."""
    return sub(add(x, y), y), x


@identity(tags=["finite_math"])
def minus_plus(x, y):
    """What is taken comes back, up to rounding; an infinite y makes NaN."""
    return add(sub(x, y), y), x


@identity(tags=["finite_math"])
def minus_sum(x, y):
    """Only -y is left, up to rounding; an infinite x makes NaN."""
    return sub(x, add(x, y)), neg(y)


# --- powers ---------------------------------------------------------------------------


@identity
def power_zero(x):
    """The power 0 is 1, also of NaN."""
    return pow(x, 0), 1


@identity
def power_one(x):
    """The power 1 changes nothing."""
    return pow(x, 1), x


@identity
def power_two(x):
    """A square is one product; pow costs forty."""
    return pow(x, 2), sqr(x)


@identity
def power_minus_one(x):
    """One division in place of a pow."""
    return pow(x, -1), reciprocal(x)


@identity(tags=["finite_math"])
def power_half(x):
    """A root in place of a pow, but for -inf and -0, whose powers are inf and 0."""
    return pow(x, 0.5), sqrt(x)


@identity
def sqr_of_neg(x):
    """A square does not see the sign."""
    return sqr(neg(x)), sqr(x)


@identity(tags=["finite_math"])
def sqrt_of_sqr(x):
    """The root of a square is the magnitude; a square above 1.8e308 overflows."""
    return sqrt(sqr(x)), abs(x)


# --- inverses -------------------------------------------------------------------------


@identity
def one_over(x):
    """1 / x has its own operation, which others recognise."""
    return true_div(1, x), reciprocal(x)


@identity(tags=["finite_math"])
def times_reciprocal(x, y):
    """One operation in place of two; 1 / y overflows for y below 5.6e-309."""
    return mul(x, reciprocal(y)), true_div(x, y)


@identity(tags=["finite_math"])
def reciprocal_of_reciprocal(x):
    """1 / (1 / x) is x up to rounding; a 1 / x below 5.6e-309 overflows."""
    return reciprocal(reciprocal(x)), x


@identity(tags=["finite_math"])
def log_of_exp(x):
    """The logarithm undoes exp, which overflows above 709.8 and is 0 below -745."""
    return log(exp(x)), x


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def factor_over_itself(node, context):
    """A factor cancels a divisor anywhere in a product, but for 0 / 0, which is NaN."""
    above, below = split_product(node.output)
    common = next((x for x in above if x in below), None)
    if common is None or not context.agree(node):
        return None
    rest = without(node.output, [above[common], below[common]])
    if isinstance(rest, One):
        rest = as_variable(1, node.output.dtype)
    return fit(rest, node.output, context)


# --- constants ------------------------------------------------------------------------


def split_constant(variable: Variable) -> tuple[str, Any, Variable] | None:
    """How a constant takes part, the constant, and the other operand, or None.

    ========  ===================================  ========
    ``mul``   2 x               ``add``            x + 2
    ``div``   x / 2             ``sub``            x - 2
    ``over``  2 / x             ``from``           2 - x
    ========  ===================================  ========
    """
    node = variable.owner
    if node is None or type(node.op) not in ROLES or variable.dtype == "bool":
        return None
    x, y = node.inputs
    first, second = ROLES[type(node.op)]
    for constant, rest, role in ((x, y, first), (y, x, second)):
        if (
            isinstance(constant, Constant)
            and constant.data.size == 1
            and not isinstance(rest, Constant)
        ):
            return role, constant.data.reshape(-1)[0], rest
    return None


ROLES: dict[type[Op], tuple[str, str]] = {
    Mul: ("mul", "mul"),
    TrueDiv: ("over", "div"),
    Add: ("add", "add"),
    Sub: ("from", "sub"),
}


def _join_factors(outer: str, a, inner: str, b, x: Variable) -> Variable | None:
    one = a.dtype.type(1)
    # Each is (above / below) x or, inverted, (above / below) / x.
    above, below, inverted = {
        "mul": (b, one, False),
        "div": (one, b, False),
        "over": (b, one, True),
    }[inner]
    if outer == "over":
        above, below, inverted = a * below, above, not inverted
    else:
        above, below = (above * a, below) if outer == "mul" else (above, below * a)
    factor = above if below == one else above / below
    if not (_keeps_digits(factor) and _keeps_digits(below)):
        return None
    if inverted:
        return true_div(factor, x)
    return true_div(x, below) if above == one and below != one else mul(x, factor)


def _keeps_digits(value) -> bool:
    """Whether a joined factor is neither 0, infinite nor denormal."""
    return kind(value.dtype.name) in "iu" or bool(
        np.finfo(value.dtype).tiny <= np.abs(value) < np.inf
    )


def _join_terms(outer: str, a, inner: str, b, x: Variable) -> Variable | None:
    negative, term = inner == "from", -b if inner == "sub" else b
    if outer == "from":
        negative, term = not negative, a - term
    else:
        term = term - a if outer == "sub" else term + a
    if not np.isfinite(term):
        return None
    return sub(term, x) if negative else add(x, term)


def _join(node: Apply) -> Variable | None:
    outer = split_constant(node.output)
    inner = None if outer is None else split_constant(outer[2])
    if outer is None or inner is None:
        return None
    (do, a, _), (did, b, x) = outer, inner
    products = ("mul", "div", "over")
    if (do in products) != (did in products):
        return None
    with np.errstate(all="ignore"):
        joined = (_join_factors if do in products else _join_terms)(do, a, did, b, x)
    return None if joined is None or joined.ndim != node.output.ndim else joined


@node_rule(Mul, Add, Sub)
def join_int_constants(node):
    """2 (3 x) is 6 x, and x + 1 - 1 is x + 0; integers wrap the same way."""
    return _join(node) if kind(node.output.dtype) in "iu" else None


@node_rule(Mul, TrueDiv, Add, Sub, tags=["finite_math"])
def join_constants(node):
    """2 (3 x) is 6 x, 1 + (x + 2) is x + 3, but for rounding and overflow between."""
    return _join(node) if kind(node.output.dtype) == "f" else None


@node_rule(Mul, tags=["finite_math"])
def constant_out_of_product(node):
    """(2 x) (3 y) is 6 (x y)."""
    first, second = (split_constant(v) for v in node.inputs)
    if first is None or second is None or not first[0] == second[0] == "mul":
        return None
    (_, a, x), (_, b, y) = first, second
    if kind(node.output.dtype) != "f":
        return None
    with np.errstate(all="ignore"):
        both = a * b
    return mul(mul(x, y), both) if _keeps_digits(both) else None


# --- sums -----------------------------------------------------------------------------


def without_axes(variable: Variable, axes: Sequence[int]) -> Variable:
    """`variable` without `axes`, along which its size is 1."""
    return dimshuffle(variable, *(a for a in range(variable.ndim) if a not in axes))


@node_rule(Sum, tags=["finite_math"])
def sum_of_multiple(node, context):
    """sum(c x) is c sum(x) for a c that is the same along the summed axes.

    Where somebody else reads c x it is there to be summed, and x may not be.
    """
    inner = node_of(node.inputs[0], Mul, TrueDiv)
    if (
        inner is None
        or kind(node.output.dtype) != "f"
        or not context.read_once(inner.output)
    ):
        return None
    x, y = inner.inputs
    if isinstance(inner.op, Mul) and _constant_along(x, node.op.axes):
        x, y = y, x
    if not _constant_along(y, node.op.axes) or _constant_along(x, node.op.axes):
        return None
    return inner.op(node.op(x), without_axes(y, node.op.axes))


def _constant_along(variable: Variable, axes: Sequence[int]) -> bool:
    return all(variable.type.shape[axis] == 1 for axis in axes)


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
    left = tuple(a for a in node.op.axes if a not in repeated)
    kept = [a for a in range(x.ndim) if a not in repeated]
    smaller = without_axes(x, repeated)
    if left:
        smaller = Sum(tuple(kept.index(a) for a in left))(smaller)
    return context.stretched(mul(smaller, count), node.output)


RULES = tagged(
    "algebra",
    int_plus_zero,
    plus_zero,
    minus_zero,
    zero_minus,
    times_one,
    over_one,
    floor_over_one,
    times_minus_one,
    over_minus_one,
    int_times_zero,
    times_zero,
    zero_over,
    int_minus_itself,
    minus_itself,
    over_itself,
    times_itself,
    maximum_of_equals,
    minimum_of_equals,
    int_plus_minus,
    plus_minus,
    minus_plus,
    minus_sum,
    power_zero,
    power_one,
    power_two,
    power_minus_one,
    power_half,
    sqr_of_neg,
    sqrt_of_sqr,
    one_over,
    reciprocal_of_reciprocal,
    log_of_exp,
    factor_over_itself,
    times_reciprocal,
    join_int_constants,
    join_constants,
    constant_out_of_product,
    sum_of_multiple,
    sum_of_repeated,
)
