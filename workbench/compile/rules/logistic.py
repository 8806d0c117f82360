"""The logistic function: written with exponentials, beside 1, in logarithms and products.

sigmoid(x) = 1 / (1 + exp(-x)) rounds to 0 below -104 and to 1 above 17 in float32. What
is taken from 1, divided by or logarithmed afterwards is written without that rounding.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from workbench.compile.rewrite import Context, identity, node_rule
from workbench.compile.rules.exponentials import exponent, opposite, push, same
from workbench.compile.rules.products import (
    One,
    Product,
    Result,
    node_of,
    split_product,
    without,
)
from workbench.compile.rules.terms import scalar_value, split_sum, sum_of, times
from workbench.core.graph import Variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Neg,
    Reciprocal,
    Sqr,
    Sub,
    TrueDiv,
    add,
    mul,
    neg,
    reciprocal,
    sqr,
    sub,
    true_div,
)
from workbench.core.ops.mathematics import (
    Pow,
    Sigmoid,
    exp,
    log,
    log1p,
    pow,
    sigmoid,
    softplus,
    tanh,
)
from workbench.core.ops.special import Logit
from workbench.core.ops.ufunc import kind

# --- written with exponentials --------------------------------------------------------


@identity
def reciprocal_of_1_plus_exp(x):
    """Exp overflows float32 above 88.7, and its square in the derivative above 44."""
    return reciprocal(add(1, exp(x))), sigmoid(neg(x))


@identity
def one_over_1_plus_exp(x):
    """Exp overflows float32 above 88.7, and its square in the derivative above 44."""
    return true_div(1, add(1, exp(x))), sigmoid(neg(x))


@identity
def over_1_plus_exp(c, x):
    """Exp overflows float32 above 88.7; c sigmoid(-x) does not."""
    return true_div(c, add(1, exp(x))), mul(c, sigmoid(neg(x)))


def inverse_of_1_plus_exp(variable: Variable) -> Variable | None:
    """1 / v for a v that is 1 + exp(x) or a power of it: a power of sigmoid(-x)."""
    node: Any = variable.owner
    if node is None or kind(variable.dtype) != "f":
        return None
    if isinstance(node.op, Sqr):
        base = inverse_of_1_plus_exp(node.inputs[0])
        return None if base is None else sqr(base)
    if isinstance(node.op, Pow) and (power := scalar_value(node.inputs[1])) is not None:
        base = inverse_of_1_plus_exp(node.inputs[0]) if power > 0 else None
        return None if base is None else pow(base, power)
    x = exponent_beside_1(variable)
    return None if x is None else sigmoid(neg(x))


def exponent_beside_1(variable: Variable) -> Variable | None:
    """X of 1 + exp(x), in either order."""
    node = node_of(variable, Add)
    for one, other in () if node is None else (node.inputs, node.inputs[::-1]):
        if scalar_value(one) == 1 and (x := exponent(other)) is not None:
            return x
    return None


@node_rule(TrueDiv, Reciprocal, some=Op)
def divisor_with_1_plus_exp(node):
    """In c / (1 + exp(x))² and c / (y (1 + exp(x))) a factor of the divisor overflows."""
    divisor = node.inputs[-1]
    for factor in split_product(divisor):
        inverse = inverse_of_1_plus_exp(factor.variable) if factor.above else None
        if inverse is None:
            continue
        left = without(divisor, [factor.path])
        above = inverse
        if isinstance(node.op, TrueDiv) and scalar_value(node.inputs[0]) != 1:
            above = mul(node.inputs[0], inverse)
        return above if isinstance(left, One) else true_div(above, left)
    return None


@node_rule(Pow, some=Add)
def power_of_1_plus_exp(node):
    """(1 + exp(x))^-p is sigmoid(-x)^p."""
    power = scalar_value(node.inputs[1])
    if kind(node.output.dtype) != "f" or power is None or not power < 0:
        return None
    inverse = inverse_of_1_plus_exp(node.inputs[0])
    if inverse is None:
        return None
    return inverse if power == -1 else pow(inverse, -power)


# --- logarithms -----------------------------------------------------------------------


@identity
def log_of_sigmoid(x):
    """sigmoid(x) is 0 below -104 (float32), its logarithm -inf; -softplus(-x) is x."""
    return log(sigmoid(x)), neg(softplus(neg(x)))


@identity
def log1p_of_minus_sigmoid(x):
    """1 - sigmoid(x) is 0 above 17 (float32); -softplus(x) is -x there."""
    return log1p(neg(sigmoid(x))), neg(softplus(x))


@identity
def difference_of_softplus(x):
    """softplus(x) - softplus(-x) is x, of which both lose the digits near 0."""
    return sub(softplus(x), softplus(neg(x))), x


@identity(tags=["finite_math"])
def sigmoid_of_log_of_odds(x):
    """log(x / (1 - x)) is what sigmoid undoes; it is NaN for an x outside [0, 1]."""
    return sigmoid(log(true_div(x, sub(1, x)))), x


@identity(tags=["finite_math"])
def sigmoid_of_log_odds(x):
    """log(x) - log(1 - x) is what sigmoid undoes; it is NaN for an x outside [0, 1]."""
    return sigmoid(sub(log(x), log1p(neg(x)))), x


@node_rule(Sigmoid, tags=["finite_math"], some=Logit)
def sigmoid_of_logit(node):
    """Sigmoid undoes logit, which is NaN for an x outside [0, 1]."""
    inner = node_of(node.inputs[0], Logit)
    return None if inner is None else inner.inputs[0]


@node_rule(Logit, some=Sigmoid)
def logit_of_sigmoid(node):
    """Logit undoes sigmoid, which rounds to 1 above 17 (float32)."""
    inner = node_of(node.inputs[0], Sigmoid)
    return None if inner is None else inner.inputs[0]


# --- in products ----------------------------------------------------------------------


@node_rule(TrueDiv, every=Sigmoid)
def odds_of_sigmoid(node):
    """sigmoid(x) / sigmoid(-x) is exp(x); the divisor is 0 above 104 (float32)."""
    x, y = (node_of(v, Sigmoid) for v in node.inputs)
    if x is None or y is None or not opposite(x.inputs[0], y.inputs[0]):
        return None
    return exp(x.inputs[0])


def _nothing(factor: Variable, x: Variable, context: Context) -> Result:
    return None


def _sigmoid_over_exp(factor: Any, y: Variable, context: Context) -> Result:
    """sigmoid(u) / exp(u) = sigmoid(-u)."""
    u, node = exponent(y), factor.owner
    if u is None or not isinstance(node.op, Sigmoid):
        return None
    return sigmoid(neg(u)) if same(node.inputs[0], u) else None


@node_rule(Mul, TrueDiv, every=Op)
def sigmoid_over_exp(node, context):
    """sigmoid(x) / exp(x) is sigmoid(-x), and 0 / 0 below -104 (float32)."""
    return push(node, context, Product(context, _nothing, _sigmoid_over_exp), Sigmoid)


Factors = tuple[float, list[Variable]]


def multiplied(variable: Variable, limit: int = 12) -> Factors | None:
    """The constant and the other factors of a product, squares written out."""
    constant = 1.0
    found: list[Variable] = []
    pending = [variable]
    while pending:
        if len(pending) + len(found) > limit:
            return None
        x = pending.pop()
        node: Any = x.owner if x.dtype == variable.dtype else None
        op = None if node is None else node.op
        if isinstance(op, Mul):
            pending += node.inputs
        elif isinstance(op, Sqr):
            pending += node.inputs * 2
        elif (value := scalar_value(x)) is not None:
            constant *= value
        else:
            found.append(x)
    return constant, found


@node_rule(Add, Sub, tags=["finite_math"], some=(Add, Sub, Neg, Mul, Sigmoid))
def share_less_its_share(node):
    """In a - a sigmoid(x) nothing may be left; a sigmoid(-x) keeps the digits.

    In the same way sigmoid(-x) - sigmoid(x) and 1 - 2 sigmoid(x) are -tanh(x / 2). So end the derivatives of
    products of logistic functions. An infinite a makes NaN as written.
    """
    terms = split_sum(node.output)
    if terms is None or terms.constant or len(terms.parts) > SHARES:
        return None
    products = [(sign, multiplied(x)) for sign, x in terms.parts]
    for i, j in itertools.combinations(range(len(products)), 2):
        left = _less_share(*products[i], *products[j])
        if left is not None:
            rest = [terms.parts[k] for k in range(len(products)) if k not in (i, j)]
            return sum_of([*rest[:i], left, *rest[i:]])
    return None


SHARES = 6
"""How many terms of a sum are compared with each other."""


def _less_share(
    p_sign: int, p: Factors | None, q_sign: int, q: Factors | None
) -> tuple[int, Variable] | None:
    """The difference of two products as one, with its sign."""
    if p is None or q is None:
        return None
    common, left, right = _divided(p[1], q[1])
    if left and not right:
        (p_sign, p), (q_sign, q), left, right = (q_sign, q), (p_sign, p), right, left
    sigmoids = [node_of(v, Sigmoid) for v in (*left, *right)]
    if not sigmoids or len(left) > 1 or len(right) > 1 or not all(sigmoids):
        return None
    x = sigmoids[-1].inputs[0]
    factor = p_sign * p[0]
    ratio = q_sign * q[0] / factor if factor else 0
    if not left and ratio == -1:
        what = sigmoid(neg(x))
    elif (not left and ratio == -2) or (
        left and ratio == -1 and opposite(sigmoids[0].inputs[0], x)
    ):
        factor, what = -factor, tanh(mul(x, 0.5))
    else:
        return None
    result = what
    for v in reversed(common):
        result = mul(v, result)
    return (-1 if factor < 0 else 1), times(math.fabs(factor), result)


def _divided(
    a: list[Variable], b: list[Variable]
) -> tuple[list[Variable], list[Variable], list[Variable]]:
    """What two products have in common, and what is left of each."""
    common, left, right = [], [], list(b)
    for x in a:
        place = next((i for i, y in enumerate(right) if y is x), None)
        if place is None:
            left.append(x)
        else:
            common.append(right.pop(place))
    return common, left, right


RULES = [
    reciprocal_of_1_plus_exp,
    one_over_1_plus_exp,
    over_1_plus_exp,
    divisor_with_1_plus_exp,
    power_of_1_plus_exp,
    log_of_sigmoid,
    log1p_of_minus_sigmoid,
    difference_of_softplus,
    sigmoid_of_log_of_odds,
    sigmoid_of_log_odds,
    sigmoid_of_logit,
    logit_of_sigmoid,
    odds_of_sigmoid,
    sigmoid_over_exp,
    share_less_its_share,
]
