"""The error functions far out: logarithms of tails, and a density over its tail.

erfc(x) is 0 above 10.05 in float32 and 26.54 in float64. Its logarithm has a function,
and exp(-x²) / erfc(x), the derivative of that but for a factor, is 1 / erfcx(x).

Read next: :mod:`workbench.core.ops.erf`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workbench.compile.rewrite import Context, node_rule
from workbench.compile.rules.exponentials import exponent, push
from workbench.compile.rules.logforms import scaled
from workbench.compile.rules.products import Product, Result, node_of
from workbench.compile.rules.terms import scalar_value, split_factor
from workbench.core.graph import Variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Mul,
    Neg,
    Sqr,
    TrueDiv,
    mul,
    neg,
    reciprocal,
    true_div,
)
from workbench.core.ops.erf import (
    Erf,
    Erfc,
    Ndtr,
    erfcx,
    log_erfc,
    log_ndtr,
)
from workbench.core.ops.mathematics import Exp, Log, Log1p, Pow


@node_rule(Log, some=(Erfc, Ndtr))
def log_of_tail(node):
    """erfc(x) is 0 above 10.05 (float32), its logarithm -inf; it is about -x²."""
    tail = node_of(node.inputs[0], Erfc, Ndtr)
    if tail is None:
        return None
    (x,) = tail.inputs
    return log_erfc(x) if isinstance(tail.op, Erfc) else log_ndtr(x)


@node_rule(Log1p, some=(Neg, Erf))
def log1p_of_minus_erf(node):
    """log(1 - erf(x)) is the logarithm of erfc(x), and log(1 + erf(x)) that of erfc(-x)."""
    (x,) = node.inputs
    minus = node_of(x, Neg)
    inner = node_of(minus.inputs[0] if minus else x, Erf, Ndtr)
    if inner is None:
        return None
    (z,) = inner.inputs
    if isinstance(inner.op, Erf):
        return log_erfc(z if minus else neg(z))
    return log_ndtr(neg(z)) if minus else None


def square_of(variable: Variable) -> tuple[float, Variable] | None:
    """k and x of ``k x²``, however it is written."""
    factor, x = split_factor(variable)
    node: Any = x.owner
    op = None if node is None else node.op
    if isinstance(op, Sqr) or (
        isinstance(op, Pow) and scalar_value(node.inputs[1]) == 2
    ):
        inner, base = split_factor(node.inputs[0])
        return factor * inner**2, base
    if isinstance(op, Mul):
        (a, first), (b, second) = (split_factor(v) for v in node.inputs)
        return (factor * a * b, first) if first is second else None
    return None


def _tail_argument(exponential: Variable, tail: Variable) -> Variable | None:
    """z where the exponential is exp(±z²) and the tail erfc(z) or 2 ndtr(-√2 z).

    The sign is that of k in the exponent k x²; z has the rounded factor of the tail.
    """
    u, node = exponent(exponential), node_of(tail, Erfc, Ndtr)
    square = None if u is None or node is None else square_of(u)
    if square is None:
        return None
    factor, base = split_factor(node.inputs[0])
    k, x = square
    if isinstance(node.op, Ndtr):
        factor *= -math.sqrt(0.5)
    near = 8 * np.finfo(base.dtype).eps
    if x is not base or abs(abs(k) - factor**2) > near * abs(k):
        return None
    if isinstance(node.op, Ndtr):
        return scaled(node.inputs[0], -math.sqrt(0.5))
    return node.inputs[0]


def _tail_joins(factor: Variable, x: Variable, context: Context) -> Result:
    """exp(z²) erfc(z) = erfcx(z)."""
    z = _tail_argument(factor, x)
    if z is None or _sign(factor) < 0:
        return None
    return erfcx(z) if node_of(x, Erfc) else mul(erfcx(z), 0.5)


def _tail_cancels(factor: Variable, y: Variable, context: Context) -> Result:
    """exp(-z²) / erfc(z) = 1 / erfcx(z)."""
    z = _tail_argument(factor, y)
    if z is None or _sign(factor) > 0:
        return None
    return reciprocal(erfcx(z)) if node_of(y, Erfc) else true_div(2, erfcx(z))


def _sign(exponential: Variable) -> float:
    u = exponent(exponential)
    square = None if u is None else square_of(u)
    return 0 if square is None else square[0]


@node_rule(Mul, TrueDiv, every=Op)
def density_over_tail(node, context):
    """exp(-x²) / erfc(x) is 1 / erfcx(x), and 0 / 0 above 10.05 (float32).

    So end the derivatives of log(erfc(x)) and log(ndtr(x)). In the same way
    exp(x²) erfc(x) is erfcx(x), and not inf times 0.
    """
    return push(node, context, Product(context, _tail_joins, _tail_cancels), Exp)


RULES = [log_of_tail, log1p_of_minus_erf, density_over_tail]
