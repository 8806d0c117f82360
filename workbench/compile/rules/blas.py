"""Products joined with what is added to them: BLAS adds into its output for nothing."""

from __future__ import annotations

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.core.graph import Apply, Constant, Shared, Variable, as_variable
from workbench.core.op import Opaque
from workbench.core.ops.elementwise import Add, Mul, Neg, Sub, mul, neg
from workbench.core.ops.linalg import Dot, Gemm
from workbench.core.ops.ufunc import DimShuffle


@node_rule(Add, Sub)
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
    if (
        found is None
        or z.broadcastable != product.broadcastable
        or not _may_take_over(z, node, context)
    ):
        return None
    alpha, dot = found
    x, y = dot.inputs
    return Gemm()(z, neg(alpha) if minus else alpha, x, y)


def scaled_dot(variable: Variable, context: Context) -> tuple[Variable, Apply] | None:
    """The two when `variable` is a scalar times a product that nobody else reads."""
    alpha = as_variable(1, variable.dtype)
    while context.read_once(variable) and variable.owner is not None:
        node = variable.owner
        if isinstance(node.op, Dot):
            suits = variable.dtype in ("float32", "float64") and variable.ndim > 0
            return (alpha, node) if suits else None
        if isinstance(node.op, Neg):
            alpha, variable = neg(alpha), node.inputs[0]
            continue
        if not isinstance(node.op, Mul):
            return None
        x, y = node.inputs
        factor = as_scalar(x)
        if factor is None:
            factor, y = as_scalar(y), x
        if factor is None:
            return None
        alpha, variable = times(alpha, factor), y
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
    return b if uniform_value(a) == 1 else mul(a, b)


def _may_take_over(z: Variable, node: Apply, context: Context) -> bool:
    updated = context.shared_of(node.output)
    if z is updated:
        return True
    if isinstance(z, Constant | Shared) or z.owner is None or not context.read_once(z):
        return z.ndim == 1
    return isinstance(z.owner.op, Opaque) or updated is not None or z.ndim == 1


RULES = tagged("blas", gemm)
