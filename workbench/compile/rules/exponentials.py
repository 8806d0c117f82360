"""Exponentials and their logarithms, sums, differences and products.

exp overflows above 88.7 in float32 and 709.8 in float64. A logarithm of exponentials
takes the largest out; a product in which one exponential meets the sum it belongs to is
a bounded weight, and so end the derivatives of such logarithms.

References
----------
Mächler (2012), Accurately computing log(1 - exp(-|a|)), R package Rmpfr.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from workbench.compile.rewrite import Context, identity, node_rule
from workbench.compile.rules.logforms import LogForm, added, log_form
from workbench.compile.rules.products import (
    ONE,
    One,
    Product,
    Result,
    factors,
    fit,
    node_of,
    without,
)
from workbench.compile.rules.terms import (
    Terms,
    scalar_value,
    split_factor,
    split_sum,
)
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Neg,
    Reciprocal,
    Sub,
    TrueDiv,
    add,
    eq,
    mul,
    neg,
    reciprocal,
    sub,
    switch,
)
from workbench.core.ops.mathematics import (
    Exp,
    Expm1,
    Log,
    Log1p,
    Sigmoid,
    exp,
    expm1,
    log,
    log1mexp,
    log1p,
    logaddexp,
    sigmoid,
    softplus,
)
from workbench.core.ops.ufunc import DimShuffle, kind

# --- one exponential ------------------------------------------------------------------


@identity
def log1p_of_exp(x):
    """Exp overflows float32 above 88.7; softplus does not. Mächler (2012)."""
    return log1p(exp(x)), softplus(x)


@identity
def log_of_minus_expm1(x):
    """log(1 - exp(x)) cancels near 0; log1mexp has a form for it. Mächler (2012)."""
    return log(neg(expm1(x))), log1mexp(x)


@identity
def log1p_of_minus_exp(x):
    """log(1 - exp(x)) cancels near 0; log1mexp has a form for it. Mächler (2012)."""
    return log1p(neg(exp(x))), log1mexp(x)


@identity
def log_of_expm1(x):
    """expm1 overflows float32 above 88.7; x is taken out. Mächler (2012)."""
    return log(expm1(x)), add(x, log1mexp(neg(x)))


@node_rule(Reciprocal, TrueDiv, some=Exp)
def reciprocal_of_exp(node):
    """1 / exp(x) is exp(-x), which other exponentials can join.

    Of complex numbers 1 / 0 is NaN, and the exponential of -x infinite.
    """
    inner = node_of(node.inputs[-1], Exp)
    if inner is None or kind(node.output.dtype) == "c":
        return None
    if isinstance(node.op, Reciprocal):
        return exp(neg(inner.inputs[0]))
    one = scalar_value(node.inputs[0])
    if one not in (1, -1):
        return None
    inverse = exp(neg(inner.inputs[0]))
    return inverse if one == 1 else neg(inverse)


@node_rule(Log1p)
def log1p_of_exps(node):
    """log(1 + exp(x) + exp(y)) takes the largest out; log1p(-exp(x) exp(y)) joins first."""
    (x,) = node.inputs
    minus = node_of(x, Neg)
    form = log_form(minus.inputs[0] if minus else x)
    if form is None or not form.overflows:
        return None
    return log1mexp(form.variable) if minus else softplus(form.variable)


# --- several --------------------------------------------------------------------------


@node_rule(Log, some=Add)
def log_of_added_exps(node):
    """Exp overflows float32 above 88.7; logaddexp takes the larger exponent out.

    There may be any number of them up to 16, with constant factors, and constants.
    """
    if len(added(node.inputs[0])) < 2:
        return None
    form = log_form(node.inputs[0])
    return None if form is None or not form.terms else form.variable


@node_rule(Log, some=(Add, Sub))
def log_of_difference_of_exps(node):
    """log(exp(x) - exp(y)) is x + log(1 - exp(y - x)), which neither overflows nor cancels.

    Where both are -inf the difference of exponents is NaN and is not looked at.
    """
    terms = split_sum(node.inputs[0]) if node_of(node.inputs[0], Add, Sub) else None
    if terms is None:
        return None
    above, below = (_group(terms, sign) for sign in (1, -1))
    if above is None or below is None or not (above.overflows or below.overflows):
        return None
    if not above.terms:
        return add(log1mexp(sub(below.variable, above.constant)), above.constant)
    x = above.variable
    if not below.terms:
        return add(x, log1mexp(sub(below.constant, x)))
    y = below.variable
    apart = switch(eq(y, -math.inf), -math.inf, sub(y, x))
    return add(x, log1mexp(apart))


def _group(terms: Terms, sign: int) -> LogForm | None:
    """The logarithm of the sum of the terms of one sign; None where there are none."""
    constant = terms.constant * sign
    found = LogForm(math.log(constant)) if constant > 0 else None
    for s, x in terms.parts:
        if s != sign:
            continue
        form = log_form(x)
        if form is None:
            return None
        if found is not None:
            both = found.overflows or form.overflows
            joined = _logaddexp(found, form)
            form = LogForm(0.0, ((1.0, joined),), both)
        found = form
    return found


def _logaddexp(a: LogForm, b: LogForm) -> Variable:
    return logaddexp(b.variable, a.variable if a.terms else a.constant)


# --- in products ----------------------------------------------------------------------


def opposite(x: Variable, y: Variable) -> bool:
    """Whether y is -x by the way it is written."""
    (a, x_base), (b, y_base) = split_factor(x), split_factor(y)
    if x_base is y_base:
        return a == -b
    if abs(a) == abs(b) and (node_of(x_base, Add, Sub) or node_of(y_base, Add, Sub)):
        xs, ys = split_sum(x_base), split_sum(y_base)
        if xs is not None and ys is not None:
            return _multiset(xs, 1) == _multiset(ys, -1 if a == b else 1)
    return False


def _multiset(terms: Terms, sign: int) -> tuple[float, list[tuple[int, int]]]:
    return sign * terms.constant, sorted((sign * s, id(x)) for s, x in terms.parts)


def exponent(x: Variable) -> Variable | None:
    """U for exp(u), also where its axes were rearranged afterwards."""
    node = node_of(x, Exp, DimShuffle)
    if node is None or isinstance(node.op, Exp):
        return None if node is None else node.inputs[0]
    inner = node_of(node.inputs[0], Exp)
    return None if inner is None else node.op(inner.inputs[0])


def same(a: Variable, b: Variable) -> bool:
    """Whether two variables are one, or made by one operation of the same inputs."""
    if a is b:
        return True
    x, y = a.owner, b.owner
    return x is not None and y is not None and x.op == y.op and x.inputs == y.inputs


def _exp_joins(factor: Variable, x: Variable, context: Context) -> Result:
    """exp(u) sigmoid(-u) = sigmoid(u), and exp(u) exp(-u) = 1 for finite u."""
    node, u = node_of(x, Sigmoid, Exp), exponent(factor)
    if node is None or u is None or not opposite(node.inputs[0], u):
        return None
    return _one_for_finite(u) if isinstance(node.op, Exp) else sigmoid(u)


def _exp_cancels(factor: Any, y: Variable, context: Context) -> Result:
    """exp(u) over exp(u), over expm1(u), and over a sum that it is a term of."""
    u = exponent(factor)
    if u is None:
        return None
    if y is factor:
        return _one_for_finite(u)
    node = node_of(y, Expm1)
    if node is not None:
        return neg(reciprocal(expm1(neg(u)))) if same(node.inputs[0], u) else None
    if node_of(y, Add, Sub) is None:
        return None
    terms = split_sum(y)
    return None if terms is None else _share(u, terms)


def _one_for_finite(u: Variable) -> Variable | None:
    """1, but NaN where u is infinite or NaN; of complex numbers the parts would differ."""
    return None if kind(u.dtype) == "c" else add(1, sub(u, u))


def _exps_join(factor: Variable, x: Variable, context: Context) -> Result:
    """exp(u) exp(-u) = 1."""
    node, u = node_of(x, Exp), exponent(factor)
    found = node is not None and u is not None and opposite(node.inputs[0], u)
    return ONE if found else None


def _exp_over_itself(factor: Any, y: Variable, context: Context) -> Result:
    return ONE if y is factor else None


@dataclass
class _Others:
    """What stands beside an exponential in a sum: the logarithm of its size, and its sign."""

    sign: int
    log: Variable | float


def _share(u: Variable, terms: Terms) -> Variable | None:
    """exp(u) / total where c exp(u) is a term of it."""
    own, rest = 0.0, []
    for sign, x in terms.parts:
        factor, base = split_factor(x)
        here = exponent(base)
        if here is not None and same(here, u):
            own += sign * factor
        else:
            rest.append((sign * factor, base))
    others = _others(rest, terms.constant) if own else None
    if others is None:
        return None
    apart = (
        u if isinstance(others.log, float) and not others.log else sub(u, others.log)
    )
    if abs(own) != 1:
        apart = add(apart, math.log(abs(own)))
    if own > 0 and others.sign > 0:
        weight = sigmoid(apart)
    elif own > 0:
        weight = neg(reciprocal(expm1(neg(apart))))
    elif others.sign > 0:
        weight = reciprocal(expm1(neg(apart)))
    else:
        return None
    size = abs(own)
    return weight if size == 1 else mul(weight, 1 / size)


def _others(rest: list[tuple[float, Variable]], constant: float) -> _Others | None:
    """The logarithm of a sum of exponentials of one sign, or of a constant."""
    signs = {1 if factor > 0 else -1 for factor, _ in rest}
    if constant:
        signs.add(1 if constant > 0 else -1)
    if len(signs) != 1:
        return None
    total: Variable | float | None = math.log(abs(constant)) if constant else None
    for factor, x in rest:
        form = log_form(x)
        if form is None or not form.terms:
            return None
        term = (form + LogForm(math.log(abs(factor)))).variable
        total = term if total is None else logaddexp(term, total)
    assert total is not None
    return _Others(signs.pop(), total)


@node_rule(Mul, TrueDiv, tags=["finite_math"], every=Op)
def exp_over_itself(node, context):
    """exp(x) / exp(x) is 1, and inf / inf above 88.7 (float32)."""
    return push(node, context, Product(context, _exps_join, _exp_over_itself), Exp)


@node_rule(Mul, TrueDiv, every=Op)
def exp_in_product(node, context):
    """exp(x) sigmoid(-x) is sigmoid(x), and inf times 0 above 88.7 (float32).

    In the same way exp(x) / expm1(x) is -1 / expm1(-x), and not inf / inf. So end the
    derivatives of log(1 + exp(x)), 1 / (1 + exp(x)), log(1 - exp(x)),
    log(exp(x) + exp(y)) and log(exp(x) - exp(y)).
    """
    return push(node, context, Product(context, _exp_joins, _exp_cancels), Exp)


def push(node: Apply, context: Context, product: Product, *ops) -> Variable | None:
    """The product when one side took in a factor made by `ops` of the other."""
    x, y = node.inputs
    if isinstance(node.op, TrueDiv):
        for factor, path in factors(x, *ops):
            taken = product.over(factor, y)
            if taken is not None:
                return _joined(without(x, [path]), taken, node, context)
        return None
    for a, b in ((x, y), (y, x)):
        for factor, path in factors(b, *ops):
            taken = product.times(a, factor)
            if taken is not None:
                return _joined(taken, without(b, [path]), node, context)
    return None


def _joined(
    a: Variable | One, b: Variable | One, node: Apply, context: Context
) -> Variable:
    if isinstance(a, Variable) and isinstance(b, Variable):
        return mul(a, b)
    left = a if isinstance(a, Variable) else b
    one = as_variable(1, node.output.dtype)
    return fit(left if isinstance(left, Variable) else one, node.output, context)


RULES = [
    log1p_of_exp,
    log_of_minus_expm1,
    log1p_of_minus_exp,
    log_of_expm1,
    reciprocal_of_exp,
    log1p_of_exps,
    log_of_added_exps,
    log_of_difference_of_exps,
    exp_over_itself,
    exp_in_product,
]
