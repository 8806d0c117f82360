"""Powers by products and roots, and products of powers.

A power costs forty times a product. Small whole powers are squarings, which round a
few times: at most 4 units of the last place in all, as much as one operation may be
off. A negative power is the power of the reciprocal, which cannot overflow where the
result does not; the reciprocal of the power can.
"""

from __future__ import annotations

from typing import Any

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import identity, node_rule, tagged
from workbench.compile.rules.fitting import fitted
from workbench.compile.rules.products import node_of
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.elementwise import (
    Mul,
    Reciprocal,
    Sqr,
    TrueDiv,
    abs,
    add,
    mul,
    neg,
    reciprocal,
    sqr,
    sub,
)
from workbench.core.ops.mathematics import Exp, Pow, Sqrt, exp, exp2, pow, sqrt
from workbench.core.ops.ufunc import kind

# --- one power ------------------------------------------------------------------------


@identity(kinds="iuf")
def power_zero(x):
    """The power 0 is 1, also of NaN."""
    return pow(x, 0), 1


@identity(kinds="iuf")
def power_one(x):
    """The power 1 changes nothing."""
    return pow(x, 1), x


@identity(kinds="iuf")
def power_two(x):
    """A square is one product; pow costs forty."""
    return pow(x, 2), sqr(x)


@identity
def power_minus_one(x):
    """One division in place of a pow."""
    return pow(x, -1), reciprocal(x)


@identity
def power_minus_two(x):
    """One division and a product; 1 / x² would vanish for x above 1.3e154."""
    return pow(x, -2), sqr(reciprocal(x))


@identity(tags=["finite_math"])
def power_half(x):
    """A root in place of a pow, but for -inf and -0, whose powers are inf and 0."""
    return pow(x, 0.5), sqrt(x)


@identity(tags=["finite_math"])
def power_minus_half(x):
    """A root and a division, but for -inf and -0, whose powers are 0 and inf."""
    return pow(x, -0.5), reciprocal(sqrt(x))


@identity(tags=["finite_math"])
def power_one_and_a_half(x):
    """A root and a product, but for -inf, whose power is inf."""
    return pow(x, 1.5), mul(x, sqrt(x))


@identity
def power_of_one(x):
    """1 to any power is 1, also to NaN."""
    return pow(1, x), 1


@identity
def power_of_two(x):
    """A power of two has its own function, which is faster."""
    return pow(2, x), exp2(x)


SMALLEST, LARGEST, LARGEST_OF_INTEGERS = -4, 8, 64
"""Whole powers that are done by products: of floats, and of integers, which do not round."""


@node_rule(Pow)
def small_power(node, context):
    """x^5 is x (x²)²: three products in place of a pow."""
    x, y = node.inputs
    power = uniform_value(y)
    exact = kind(x.dtype) in "iu"
    if kind(x.dtype) not in "iuf" or power is None or not is_whole(power):
        return None
    if (
        not (0 if exact else SMALLEST)
        <= power
        <= (LARGEST_OF_INTEGERS if exact else LARGEST)
    ):
        return None
    if power == 0:
        return fitted(as_variable(1, x.dtype), node.output, [x, y], context)
    whole = int(power)
    value = by_squaring(x, whole) if whole > 0 else by_squaring(reciprocal(x), -whole)
    return fitted(value, node.output, [y], context)


def is_whole(number: Any) -> bool:
    """Whether a real number is an integer; infinity and NaN are none."""
    return float(number).is_integer()


def by_squaring(x: Variable, power: int) -> Variable:
    """x to a whole power of at least 1."""
    result = None
    while True:
        if power % 2:
            result = x if result is None else mul(result, x)
        power //= 2
        if not power:
            assert result is not None
            return result
        x = sqr(x)


@identity
def sqr_of_neg(x):
    """A square does not see the sign."""
    return sqr(neg(x)), sqr(x)


@identity(kinds="iuf")
def sqr_of_abs(x):
    """A square does not see the sign."""
    return sqr(abs(x)), sqr(x)


# --- products of powers ---------------------------------------------------------------


def power_of(variable: Variable) -> tuple[Variable, Any]:
    """The base and the exponent of a power, a number where it is known; itself to the power 1."""
    node = variable.owner
    if node is None:
        return variable, 1
    if isinstance(node.op, Pow):
        x, y = node.inputs
        known = uniform_value(y)
        return x, y if known is None else known
    known = NAMED.get(type(node.op))
    return (variable, 1) if known is None else (node.inputs[0], known)


NAMED: dict[type, float] = {Sqr: 2, Sqrt: 0.5, Reciprocal: -1}
CHEAP = (-2, -1, -0.5, 0, 0.5, 1, 2)
"""Powers that have a form of one or two operations."""


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def product_of_powers(node, context):
    """x^a x^b is x^(a + b), but where x is 0 or negative, or one of them overflows.

    Of what is a power by name (a square, a root, a reciprocal) only where the result is
    one, too. No number is made of what is NaN for negative x: the exponents of a root
    and of its inverse do not cancel.
    """
    if kind(node.output.dtype) != "f" or node.inputs[0] is node.inputs[1]:
        return None
    (x, a), (other, b) = (power_of(v) for v in node.inputs)
    if x is not other or (a == 1 and b == 1):
        return None
    if x.broadcastable != node.output.broadcastable:
        return None
    known = [
        v.owner.inputs[1]
        for v, e in zip(node.inputs, (a, b), strict=True)
        if node_of(v, Pow) and not isinstance(e, Variable)
    ]
    if isinstance(a, Variable) or isinstance(b, Variable):
        exponent = (add if isinstance(node.op, Mul) else sub)(a, b)
        return fitted(pow(x, exponent), node.output, known, context)
    power = a + b if isinstance(node.op, Mul) else a - b
    if is_whole(power) and not (is_whole(a) and is_whole(b)):
        return None
    if power not in CHEAP and not any(node_of(v, Pow) for v in node.inputs):
        return None
    value = pow(x, as_variable(power, x.dtype))
    return fitted(value, node.output, [x, *known] if power == 0 else known, context)


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def product_of_exps(node, context):
    """exp(x) exp(y) is exp(x + y): one exponential, and inf times 0 is no NaN.

    Where neither has the shape of the product two small exponentials are the cheaper way.
    """
    a, b = (node_of(v, Exp) for v in node.inputs)
    if a is None or b is None or kind(node.output.dtype) != "f":
        return None
    shape = node.output.broadcastable
    if shape not in (a.output.broadcastable, b.output.broadcastable):
        return None
    if not (context.read_once(a.output) or context.read_once(b.output)):
        return None
    join = add if isinstance(node.op, Mul) else sub
    return exp(join(a.inputs[0], b.inputs[0]))


@node_rule(Pow, tags=["finite_math"])
def power_of_exp(node, context):
    """exp(x)^y is exp(x y): one exponential in place of a power of one."""
    base, y = node.inputs
    inner = node_of(base, Exp)
    if (
        inner is None
        or kind(node.output.dtype) != "f"
        or inner.output.broadcastable != node.output.broadcastable
        or not context.read_once(inner.output)
    ):
        return None
    return exp(mul(inner.inputs[0], y))


RULES = tagged(
    "algebra",
    power_zero,
    power_one,
    power_two,
    power_minus_one,
    power_minus_two,
    power_half,
    power_minus_half,
    power_one_and_a_half,
    power_of_one,
    power_of_two,
    small_power,
    sqr_of_neg,
    sqr_of_abs,
    product_of_powers,
    product_of_exps,
    power_of_exp,
)
