"""Products joined with what is added to them: BLAS adds into its output for nothing.

By the ranks of its operands a :class:`~workbench.core.ops.linalg.Gemm` is one call of gemm,
gemv or dot, or a batch of them; of a column and a row it is a rank-1 update (ger).

Read next: :mod:`workbench.compile.rules.dots`.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.core.graph import Apply, Constant, Shared, Variable, as_variable
from workbench.core.op import Opaque
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Neg,
    Sub,
    TrueDiv,
    add,
    mul,
    neg,
    true_div,
)
from workbench.core.ops.linalg import BatchedDot, Dot, Gemm, ScaledDot
from workbench.core.ops.ufunc import DimShuffle, kind

MAX_TERMS = 12
"""Terms up to which the next value of a parameter is taken apart."""


@node_rule(Add, Sub, some=(Dot, BatchedDot, Mul, Neg))
def gemm(node, context):
    """BLAS adds a product into z: z + a dot(x, y) is one call.

    Worth it where z's memory can be taken over: z is a shared variable whose next value
    this is, or a product or a next value of its own with no other reader; or where z is
    a vector and copying it costs nothing. A bias that broadcasts stays outside: it
    joins the loop that follows.
    """
    z, product = node.inputs
    minus = isinstance(node.op, Sub)
    found = scaled_dot(product, context)
    if found is None and not minus:
        z, product = product, z
        found = scaled_dot(product, context)
    if found is None:
        return None
    if z.broadcastable != product.broadcastable:
        return context.refuse("{} broadcasts, and joins the loop that follows", z)
    if not _may_take_over(z, node, context):
        return context.refuse("the memory of {} cannot be taken over", z)
    alpha, dot = found
    x, y = dot.inputs
    return Gemm()(z, neg(alpha) if minus else alpha, x, y)


def scaled_dot(variable: Variable, context: Context) -> tuple[Variable, Apply] | None:
    """The two when `variable` is a scalar times a product that nobody else reads."""
    alpha = as_variable(1, variable.dtype)
    while context.read_once(variable) and variable.owner is not None:
        node = variable.owner
        if isinstance(node.op, Dot | BatchedDot):
            suits = variable.dtype in ("float32", "float64") and variable.ndim > 0
            return (alpha, node) if suits else None
        step = _scaled(node)
        if step is None:
            return None
        alpha, variable = times(alpha, step[0]), step[1]
    return None


def _scaled(node: Apply) -> tuple[Variable, Variable] | None:
    """A scalar and what it multiplies: -1 for a sign; or None."""
    if isinstance(node.op, Neg):
        return as_variable(-1, node.outputs[0].dtype), node.inputs[0]
    if not isinstance(node.op, Mul):
        return None
    x, y = node.inputs
    for factor, rest in ((x, y), (y, x)):
        scalar = as_scalar(factor)
        if scalar is not None:
            return scalar, rest
    return None


def as_scalar(variable: Variable) -> Variable | None:
    """The scalar without axes that `variable` repeats, or None."""
    value = uniform_value(variable)
    if value is not None and (
        isinstance(variable, Constant) and variable.data.size == 1
    ):
        return as_variable(value, variable.dtype)
    if variable.ndim and all(variable.broadcastable):
        return DimShuffle(())(variable)
    return None


def times(a: Variable, b: Variable) -> Variable:
    """The product of two scalars, without a factor of 1."""
    if uniform_value(a) == 1:
        return b
    if uniform_value(b) == 1:
        return a
    return (
        neg(a)
        if uniform_value(b) == -1
        else neg(b)
        if uniform_value(a) == -1
        else mul(a, b)
    )


def _may_take_over(z: Variable, node: Apply, context: Context) -> bool:
    updated = context.shared_of(node.output)
    if z is updated:
        return True
    if isinstance(z, Constant | Shared) or z.owner is None or not context.read_once(z):
        return z.ndim == 1
    return isinstance(z.owner.op, Opaque) or updated is not None or z.ndim == 1


@node_rule(Mul, Neg, some=(Dot, BatchedDot, Mul, Neg), tags=["finite_math"])
def scaled_product(node, context):
    """A result that is a multiple of a product: BLAS multiplies by the scalar on the way.

    Where something else reads it, the factor joins the loop that follows.
    """
    context.looked_around = True
    if node.output not in context.results or kind(node.output.dtype) not in "fc":
        return None
    found = scaled_dot(node.output, context)
    if found is None or found[1].outputs[0].broadcastable != node.output.broadcastable:
        return None
    alpha, dot = found
    return ScaledDot()(alpha, *dot.inputs)


# --- the next value of a parameter ----------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A scalar, None for 1, and what it multiplies."""

    factor: Variable | None
    value: Variable

    def scaled(self, factor: Variable | None) -> Term:
        """The term times a scalar."""
        if factor is None or self.factor is None:
            return Term(self.factor if factor is None else factor, self.value)
        return Term(times(self.factor, factor), self.value)


def linear_terms(variable: Variable, context: Context) -> list[Term] | None:
    """`variable` as a sum of scalars times variables, or None when there are too many.

    Only what nobody else reads is taken apart, and no term is stretched. Whether the terms
    fit together is for the caller to check.
    """
    terms: list[Term] = []
    pending = [(Term(None, variable), True)]
    while pending:
        if len(terms) + len(pending) > MAX_TERMS:
            return None
        term, open_ = pending.pop()
        node = term.value.owner
        if node is not None and open_:
            if isinstance(node.op, Add | Sub):
                x, y = node.inputs
                if x.broadcastable == y.broadcastable == variable.broadcastable:
                    sign = (
                        as_variable(-1, y.dtype) if isinstance(node.op, Sub) else None
                    )
                    parts = Term(None, y).scaled(sign), Term(None, x)
                    pending += [
                        (p.scaled(term.factor), context.read_once(p.value))
                        for p in parts
                    ]
                    continue
            step = _scaled(node)
            if step is not None and step[1].broadcastable == variable.broadcastable:
                scaled = Term(step[0], step[1]).scaled(term.factor)
                pending.append((scaled, context.read_once(step[1])))
                continue
        terms.append(term)
    return terms


@node_rule(Add, Sub, tags=["finite_math"], some=(Dot, BatchedDot, Mul, Neg, Add, Sub))
def update_by_gemm(node, context):
    """The next value of a parameter W, with W and products in it at any depth, is gemm into W.

    ``W - r * (dot(x, y) + d * W)`` is ``(1 - r d) W - r dot(x, y)``: one call, no other array.
    """
    shared = context.shared_of(node.output)
    if shared is None or node.output.dtype not in ("float32", "float64"):
        return None
    terms = linear_terms(node.output, context)
    if terms is None or len(terms) < 2:
        return None
    own = [t for t in terms if t.value is shared]
    dots = [t for t in terms if node_of(t.value, Dot, BatchedDot)]
    if not own or not dots or len(own) + len(dots) < len(terms):
        return None
    beta = _sum_of_factors(own)
    if len(dots) == 1 and beta is None:
        return None  # the rule gemm does that
    if not all(context.read_once(t.value) for t in dots):
        return None
    result = shared
    for number, term in enumerate(dots):
        x, y = node_of(term.value, Dot, BatchedDot).inputs
        alpha = as_variable(1, result.dtype) if term.factor is None else term.factor
        last = [beta] if number == 0 and beta is not None else []
        result = Gemm()(result, alpha, x, y, *last)
    return result


def _sum_of_factors(terms: list[Term]) -> Variable | None:
    """The sum of the factors, None for 1."""
    if len(terms) == 1:
        return terms[0].factor
    dtype = terms[0].value.dtype
    factors = [as_variable(1, dtype) if t.factor is None else t.factor for t in terms]
    total = factors[0]
    for factor in factors[1:]:
        total = add(total, factor)
    return total


@node_rule(Add, Sub, some=(Mul, Neg, TrueDiv))
def ger(node, context):
    """A parameter to which a multiple of an outer product is added: one rank-1 update, in place."""
    shared = context.shared_of(node.output)
    z, product = node.inputs
    minus = isinstance(node.op, Sub)
    if z is not shared and not minus:
        z, product = product, z
    if (
        shared is None
        or z is not shared
        or z.broadcastable != (False, False)
        or z.dtype not in ("float32", "float64")
    ):
        return None
    found = outer_product(product, context)
    if found is None:
        return None
    alpha, column, row = found
    return Gemm()(z, neg(alpha) if minus else alpha, column, row)


def outer_product(
    variable: Variable, context: Context
) -> tuple[Variable, Variable, Variable] | None:
    """A scalar, a column and a row whose product `variable` is, or None."""
    if variable.broadcastable != (False, False):
        return None
    alpha = as_variable(1, variable.dtype)
    sides: dict[tuple[bool, ...], Variable] = {}
    pending = [variable]
    for _ in range(MAX_TERMS):
        if not pending:
            if len(sides) < 2:
                return None
            return alpha, sides[False, True], sides[True, False]
        x = pending.pop()
        if x.broadcastable in ((False, True), (True, False)):
            known = sides.get(x.broadcastable)
            sides[x.broadcastable] = x if known is None else mul(known, x)
            continue
        scalar = as_scalar(x)
        node = node_of(x, Mul, Neg, TrueDiv)
        if scalar is not None:
            alpha = times(alpha, scalar)
        elif node is None or not context.read_once(x):
            return None
        elif isinstance(node.op, TrueDiv):
            below = as_scalar(node.inputs[1])
            if below is None:
                return None
            alpha = true_div(alpha, below)
            pending.append(node.inputs[0])
        else:
            if isinstance(node.op, Neg):
                alpha = neg(alpha)
            pending += node.inputs
    return None


RULES = tagged("blas", update_by_gemm, gemm, ger, scaled_product)
