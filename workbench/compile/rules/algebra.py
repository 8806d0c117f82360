"""Fewer operations for the same value.

Rules that hold for every float, infinities, NaN and the sign of zero included, carry no
tag but the module's. The others are ``finite_math``: x - x is 0 only while x is finite.

Sums go on in :mod:`workbench.compile.rules.like_terms`, products in
:mod:`~workbench.compile.rules.quotients`, then :mod:`~workbench.compile.rules.powers`,
:mod:`~workbench.compile.rules.inverses`, :mod:`~workbench.compile.rules.reductions` and
:mod:`~workbench.compile.rules.dots`.
"""

from __future__ import annotations

from workbench.compile.rewrite import identity, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.core.ops.elementwise import (
    Abs,
    Ceil,
    Floor,
    Rint,
    Sqr,
    Trunc,
    add,
    floor,
    floor_div,
    maximum,
    minimum,
    mod,
    mul,
    neg,
    sqr,
    sub,
    true_div,
)
from workbench.core.ops.mathematics import Cosh, Exp, Exp2, Sigmoid, Softplus
from workbench.core.ops.ufunc import Cast, kind

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


@identity(tags=["finite_math"])
def float_floor_over_one(x):
    """A quotient by 1 is only rounded; NumPy makes NaN of an infinite x."""
    return floor_div(x, 1), floor(x)


@identity(kinds="iu")
def int_modulo_one(x):
    """Dividing an integer by 1 leaves nothing."""
    return mod(x, 1), 0


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


@identity(tags=["finite_math"])
def maximum_of_signs(x, y):
    """One sign in place of two: the larger of -x and -y is minus the smaller.

    But which of two zeros is taken is open.
    """
    return maximum(neg(x), neg(y)), neg(minimum(x, y))


@identity(tags=["finite_math"])
def minimum_of_signs(x, y):
    """One sign in place of two: the smaller of -x and -y is minus the larger.

    But which of two zeros is taken is open.
    """
    return minimum(neg(x), neg(y)), neg(maximum(x, y))


@identity(kinds="biuf")
def maximum_of_maximum(x, y):
    """Nothing gets larger by what it was compared with."""
    return maximum(x, maximum(x, y)), maximum(x, y)


@identity(kinds="biuf")
def minimum_of_minimum(x, y):
    """Nothing gets smaller by what it was compared with."""
    return minimum(x, minimum(x, y)), minimum(x, y)


@node_rule(Abs)
def abs_of_nonnegative(node):
    """What is never negative, and never -0, is its own magnitude."""
    (x,) = node.inputs
    return x if kind(x.dtype) == "f" and node_of(x, *NONNEGATIVE) else None


NONNEGATIVE = (Abs, Sqr, Exp, Exp2, Cosh, Sigmoid, Softplus)
"""Functions of floats whose values have no minus sign."""


@node_rule(Floor, Ceil, Trunc, Rint)
def rounding_of_whole(node):
    """What is whole already stays as it is."""
    (x,) = node.inputs
    if x.dtype != node.output.dtype:
        return None
    whole = kind(x.dtype) in "biu" or node_of(x, Floor, Ceil, Trunc, Rint)
    if not whole and (inner := node_of(x, Cast)) is not None:
        whole = kind(inner.inputs[0].dtype) in "biu"
    return x if whole else None


RULES = tagged(
    "algebra",
    int_plus_zero,
    plus_zero,
    minus_zero,
    zero_minus,
    times_one,
    over_one,
    floor_over_one,
    float_floor_over_one,
    int_modulo_one,
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
    maximum_of_signs,
    minimum_of_signs,
    maximum_of_maximum,
    minimum_of_minimum,
    abs_of_nonnegative,
    rounding_of_whole,
)
