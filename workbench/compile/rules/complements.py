"""What is left of 1: forms that keep the digits which 1 - f(x) loses.

1 - f is 0 as soon as f rounds to 1. Exponentials, the logistic function and the error
functions each have a function for what is left; which one it is, is found in a sum of
any length, whatever the order of its terms and with a common factor:
``0.5 + 0.5 * erf(x)`` is ``0.5 * erfc(-x)``.

Read next: :mod:`workbench.compile.rules.exponentials`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.compile.rewrite import identity, node_rule
from workbench.compile.rules.terms import (
    Terms,
    split_factor,
    split_sum,
    sum_of,
    times,
)
from workbench.core.graph import Variable
from workbench.core.ops.elementwise import Add, Sub, add, mul, neg, sub
from workbench.core.ops.erf import Erf, Erfc, Ndtr, erf, erfc, ndtr
from workbench.core.ops.mathematics import (
    Exp,
    Expm1,
    Log,
    Sigmoid,
    exp,
    expm1,
    log,
    log1p,
    sigmoid,
    tanh,
)


@identity
def log_of_1_plus(x):
    """1 + x is 1 for x below 6e-8 (float32); log1p keeps such an x."""
    return log(add(1, x)), log1p(x)


@identity
def log_of_1_minus(x):
    """1 - x is 1 for x below 6e-8 (float32); log1p keeps such an x."""
    return log(sub(1, x)), log1p(neg(x))


@node_rule(Log)
def log_of_1_and_more(node):
    """1 + x + y loses small x and y; log1p(x + y) keeps them.

    The 1 may stand anywhere in the sum, and may be the sum of several constants.
    """
    terms = split_sum(node.inputs[0])
    if terms is None or terms.constant != 1 or not terms.parts:
        return None
    return log1p(sum_of(terms.parts))


@identity
def exp_minus_1(x):
    """exp(x) is 1 for x below 6e-8 (float32); expm1 keeps such an x."""
    return sub(exp(x), 1), expm1(x)


@identity
def exp_plus_minus_1(x):
    """exp(x) is 1 for x below 6e-8 (float32); expm1 keeps such an x."""
    return add(exp(x), -1), expm1(x)


@identity
def one_minus_exp(x):
    """exp(x) is 1 for x below 6e-8 (float32); expm1 keeps such an x."""
    return sub(1, exp(x)), neg(expm1(x))


@identity
def expm1_plus_1(x):
    """expm1(x) is -1 below -17 (float32); exp(x) is not 0 there."""
    return add(expm1(x), 1), exp(x)


@identity
def one_minus_sigmoid(x):
    """1 - sigmoid(x) is 0 above 17 (float32); sigmoid(-x) keeps its digits."""
    return sub(1, sigmoid(x)), sigmoid(neg(x))


Completed = Callable[[Variable], tuple[float, Variable]]

COMPLEMENTS: dict[type, dict[float, Completed]] = {
    Exp: {-1: lambda x: (1, expm1(x))},
    Expm1: {1: lambda x: (1, exp(x))},
    Sigmoid: {
        -1: lambda x: (-1, sigmoid(neg(x))),
        -0.5: lambda x: (0.5, tanh(mul(x, 0.5))),
    },
    Erf: {-1: lambda x: (-1, erfc(x)), 1: lambda x: (1, erfc(neg(x)))},
    Erfc: {-1: lambda x: (-1, erf(x)), -2: lambda x: (-1, erfc(neg(x)))},
    Ndtr: {-1: lambda x: (-1, ndtr(neg(x)))},
}
"""For f(x) plus each constant: the factor and the function that it is."""


@node_rule(Add, Sub)
def complement_in_sum(node):
    """A constant and functions that it completes, wherever they stand in a sum.

    exp(x) - 1 is expm1(x), 1 - sigmoid(x) is sigmoid(-x), 1 - erf(x) is erfc(x); each
    also times a factor, negated, and among other terms.
    """
    terms = split_sum(node.output)
    if terms is None or not terms.constant:
        return None
    completed = _completed(terms)
    return None if completed is None else sum_of(completed)


def _completed(terms: Terms) -> list[tuple[int, Variable]] | None:
    """The terms with the whole constant taken in; None when some of it is left."""
    left, parts = terms.constant, []
    for sign, x in terms.parts:
        factor, base = split_factor(x)
        factor *= sign
        node: Any = base.owner
        offers = {} if node is None else COMPLEMENTS.get(type(node.op), {})
        fitting = [c for c in offers if 0 < c * factor / left <= 1] if left else []
        used = max(fitting, key=abs, default=None)
        if used is None or base.dtype != x.dtype:
            parts.append((sign, x))
            continue
        left -= used * factor
        times_what, made = offers[used](node.inputs[0])
        factor *= times_what
        parts.append((-1 if factor < 0 else 1, times(abs(factor), made)))
    return parts if left == 0 else None


RULES = [
    log_of_1_plus,
    log_of_1_minus,
    log_of_1_and_more,
    exp_minus_1,
    exp_plus_minus_1,
    one_minus_exp,
    expm1_plus_1,
    one_minus_sigmoid,
    complement_in_sum,
]
