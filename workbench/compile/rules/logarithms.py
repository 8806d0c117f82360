"""Logarithms of products, powers, determinants and Bessel functions.

A product overflows or vanishes where the sum of the logarithms does not. A logarithm is
split only where the signs are known: log(x y) is log(x) + log(y) for a y that is
positive by the way it is written, an exponential or a probability.

Read next: :mod:`workbench.compile.rules.logforms`.
"""

from __future__ import annotations

import math
from typing import Any

from workbench.compile.rewrite import Context, identity, node_rule
from workbench.compile.rules.logforms import LogForm, log_form
from workbench.compile.rules.products import (
    Product,
    Result,
    factors,
    node_of,
    split_product,
    without,
)
from workbench.compile.rules.terms import scalar_value
from workbench.core.graph import Variable
from workbench.core.op import Op
from workbench.core.ops.bessel import Iv, Kv, ive, kve
from workbench.core.ops.elementwise import (
    Abs,
    Mul,
    Reciprocal,
    Sqr,
    Sub,
    TrueDiv,
    abs,
    add,
    lt,
    mul,
    neg,
    reciprocal,
    sqr,
    switch,
    true_div,
)
from workbench.core.ops.mathematics import Exp, Log, Pow, Sigmoid, Sqrt, log, sqrt
from workbench.core.ops.matrix_functions import Det, SLogDet
from workbench.core.ops.reduction import Prod, Sum
from workbench.core.ops.ufunc import kind

# --- powers ---------------------------------------------------------------------------


@identity
def log_of_sqrt(x):
    """Half the logarithm needs no root."""
    return log(sqrt(x)), mul(log(x), 0.5)


@identity
def log_of_sqr(x):
    """A square overflows float32 above 1.8e19 and is 0 below 2.6e-23."""
    return log(sqr(x)), mul(log(abs(x)), 2)


@identity(tags=["finite_math"])
def log_of_reciprocal(x):
    """1 / x overflows for the smallest x; of -0 it is -inf, which has no logarithm."""
    return log(reciprocal(x)), neg(log(x))


@identity(tags=["finite_math"])
def log_of_1_over(x):
    """1 / x overflows for the smallest x; of -0 it is -inf, which has no logarithm."""
    return log(true_div(1, x)), neg(log(x))


@node_rule(Log, tags=["finite_math"], some=Pow)
def log_of_power(node):
    """log(x^p) is p log(x) for a constant p, or p log|x| where p is even.

    Other powers of negative numbers are NaN or negative, and so have no logarithm; those
    of -0 and -inf are not, and have one as written.
    """
    power = node_of(node.inputs[0], Pow)
    p = None if power is None else scalar_value(power.inputs[1])
    if kind(node.output.dtype) != "f" or not p or not math.isfinite(p):
        return None
    x = power.inputs[0]
    if p % 2 == 0 and log_form(x) is None:
        x = abs(x)
    return mul(log(x), p)


@node_rule(Mul, TrueDiv, tags=["finite_math"], some=Op)
def power_over_power(node):
    """x^(p - 1) / x^p is 1 / x: so ends the derivative of log(x^p), which may be inf times 0."""
    if kind(node.output.dtype) != "f":
        return None
    found = split_product(node.output)
    for below in (f for f in found if not f.above):
        x, p = _power_of(below.variable)
        if p == 1:
            continue
        for above in (f for f in found if f.above):
            y, q = _power_of(above.variable)
            if y is x and _one_less(q, p):
                rest = without(node.output, [above.path, below.path])
                if isinstance(rest, Variable):
                    return true_div(rest, x)
                return reciprocal(x)
    return None


def _power_of(variable: Variable) -> tuple[Variable, Any]:
    """The base and the exponent, a number where it is known."""
    node: Any = variable.owner
    if node_of(variable, Sqr):
        return node.inputs[0], 2
    if node_of(variable, Pow):
        p = scalar_value(node.inputs[1])
        return node.inputs[0], node.inputs[1] if p is None else p
    return variable, 1


def _one_less(q: Any, p: Any) -> bool:
    """Whether q is p - 1, as numbers or by the way it is written."""
    if isinstance(p, Variable) and isinstance(q, Variable):
        node = node_of(q, Sub)
        return (
            node is not None
            and node.inputs[0] is p
            and scalar_value(node.inputs[1]) == 1
        )
    if isinstance(p, Variable) or isinstance(q, Variable):
        return False
    return bool(p - q == 1)


# --- products -------------------------------------------------------------------------


@node_rule(Log, some=(Mul, TrueDiv, Reciprocal, Sqr, Sqrt, Pow))
def log_of_product(node):
    """log(x exp(y) / p) is log(x) + y - log(p): factors that may overflow or vanish stand alone.

    Those are exponentials, probabilities, and tails of the error function; their
    logarithm is known without them.
    """
    (x,) = node.inputs
    if node_of(x, Mul, TrueDiv, Reciprocal, Sqr, Sqrt, Pow) is None:
        return None
    whole = log_form(x)
    if whole is not None and whole.terms:
        return whole.variable
    if kind(x.dtype) != "f":
        return None
    form, paths = LogForm(0.0), []
    for factor in split_product(x):
        one = (
            log_form(factor.variable) if scalar_value(factor.variable) is None else None
        )
        if one is None or not one.terms:
            continue
        form += one if factor.above else one * -1
        paths.append(factor.path)
    if not paths:
        return None
    left = without(x, paths)
    return add(log(left), form.variable) if isinstance(left, Variable) else None


@node_rule(Log, some=Prod)
def log_of_prod(node):
    """The product of many numbers over- or underflows; the sum of their logarithms does not.

    The numbers must be positive by the way they are written, or squares.
    """
    prod = node_of(node.inputs[0], Prod)
    if prod is None or kind(node.output.dtype) != "f":
        return None
    (x,) = prod.inputs
    form = log_form(x)
    if form is not None and form.terms:
        return Sum(prod.op.axes)(form.variable)
    return Sum(prod.op.axes)(log(x)) if never_negative(x) else None


def never_negative(variable: Variable, levels: int = 6) -> bool:
    """Whether a float is at least 0, or NaN, by the way it is written."""
    if kind(variable.dtype) == "c":
        return False
    value = scalar_value(variable)
    if value is not None:
        return bool(value >= 0)
    node: Any = variable.owner
    if node is None or not levels or kind(variable.dtype) != "f":
        return False
    if isinstance(node.op, Abs | Exp | Sigmoid | Sqr | Sqrt):
        return True
    if isinstance(node.op, Pow):
        power = scalar_value(node.inputs[1])
        if power is not None and power > 0 and power % 2 == 0:
            return True
    if isinstance(node.op, Mul) and node.inputs[0] is node.inputs[1]:
        return True
    return isinstance(node.op, Mul | TrueDiv) and all(
        never_negative(v, levels - 1) for v in node.inputs
    )


# --- determinants ---------------------------------------------------------------------


@node_rule(Log, some=(Det, Abs))
def log_of_det(node):
    """A determinant overflows or vanishes for some hundred rows; its logarithm does not.

    That of a negative determinant is NaN.
    """
    (x,) = node.inputs
    size = node_of(x, Abs)
    det = node_of(size.inputs[0] if size else x, Det)
    if det is None or kind(det.output.dtype) != "f":
        return None
    sign, logarithm = SLogDet().make_node(*det.inputs).outputs
    return logarithm if size else switch(lt(sign, 0), math.nan, logarithm)


# --- Bessel functions -----------------------------------------------------------------


@node_rule(Log, some=(Kv, Iv))
def log_of_bessel(node):
    """kv vanishes above 705 and iv overflows; kve and ive are those without exp(∓x)."""
    bessel = node_of(node.inputs[0], Kv, Iv)
    if bessel is None or kind(node.output.dtype) != "f":
        return None
    v, x = bessel.inputs
    if isinstance(bessel.op, Kv):
        return add(log(kve(v, x)), neg(x))
    return add(log(ive(v, x)), abs(x))


def _bessel_over_bessel(factor: Any, x: Variable, context: Context) -> Result:
    """A ratio of two of one argument has no exponential left."""
    *rest, y = factor.owner.inputs
    above, below = node_of(x, Kv, Iv), node_of(y, Kv, Iv)
    if above is None or below is None or type(below.op) is not type(above.op):
        return None
    (v, z), (w, other) = above.inputs, below.inputs
    if z is not other or kind(z.dtype) != "f":
        return None
    scaled = kve if isinstance(above.op, Kv) else ive
    ratio = true_div(scaled(v, z), scaled(w, z))
    return mul(rest[0], ratio) if rest else ratio


def _nothing(factor: Variable, x: Variable, context: Context) -> Result:
    return None


@node_rule(Mul, every=Op)
def bessel_over_bessel(node, context):
    """kv(u, x) / kv(v, x) is kve(u, x) / kve(v, x), which is not 0 / 0 above 705.

    So end the derivatives of the logarithms of kv and iv, where u is v - 1 and v + 1.
    """
    product = Product(context, _bessel_over_bessel, _nothing)
    x, y = node.inputs
    for a, b in ((x, y), (y, x)):
        for factor, path in factors(b, TrueDiv, Reciprocal):
            divided = node_of(factor, TrueDiv, Reciprocal)
            if node_of(divided.inputs[-1], Kv, Iv) is None:
                continue
            taken = product.times(a, factor)
            if isinstance(taken, Variable):
                left = without(b, [path])
                return mul(left, taken) if isinstance(left, Variable) else taken
    return None


RULES = [
    log_of_product,
    log_of_sqrt,
    log_of_sqr,
    log_of_reciprocal,
    log_of_1_over,
    log_of_power,
    power_over_power,
    log_of_prod,
    log_of_det,
    log_of_bessel,
    bessel_over_bessel,
]
