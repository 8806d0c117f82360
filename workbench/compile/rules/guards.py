"""What a guard keeps out stays out, and slopes at 0 that have a limit.

``switch(x > 0, log(x), 0)`` has the derivative ``switch(x > 0, g, 0) / x``, in which
the guard no longer stands before the division: 0 / 0 where it was false. It is put back
before what is multiplied.
"""

from __future__ import annotations

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import node_rule
from workbench.compile.rules.products import Factor, node_of, split_product, without
from workbench.core.graph import Variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Abs,
    Mul,
    Sqr,
    Switch,
    TrueDiv,
    mul,
    sign,
    switch,
)
from workbench.core.ops.mathematics import Sqrt
from workbench.core.ops.ufunc import Cast, cast, kind


@node_rule(Mul, TrueDiv, tags=["finite_math"], some=Switch)
def switch_below_product(node):
    """switch(c, a, 0) b is switch(c, a b, 0): no NaN where c is false and b infinite.

    So ``switch(x > 0, log(x), 0)`` keeps a finite gradient at 0. The 0 loses the sign
    of b.
    """
    x, y = node.inputs
    pairs = ((x, y), (y, x)) if isinstance(node.op, Mul) else ((x, y),)
    for guarded, other in pairs:
        choice = node_of(guarded, Switch)
        if choice is None:
            continue
        condition, a, b = choice.inputs
        if uniform_value(b) == 0:
            return switch(condition, node.op(a, other), 0)
        if uniform_value(a) == 0:
            return switch(condition, 0, node.op(b, other))
    return None


@node_rule(Cast, some=Switch)
def switch_below_cast(node):
    """A guard moves outwards through a conversion, to the product that it is for."""
    choice = node_of(node.inputs[0], Switch)
    if choice is None or kind(node.output.dtype) not in "fc":
        return None
    condition, a, b = choice.inputs
    if uniform_value(a) != 0 and uniform_value(b) != 0:
        return None
    dtype = node.output.dtype
    return switch(condition, cast(a, dtype), cast(b, dtype))


@node_rule(Mul, TrueDiv, tags=["finite_math"], some=Op)
def factor_over_its_root(node, context):
    """x / √x is √x and x / |x| its sign: the limit 0, and not 0 / 0, at 0.

    So end the derivatives of x √x and of √(x²).
    """
    if kind(node.output.dtype) != "f":
        return None
    found = split_product(node.output)
    for root in (f for f in found if not f.above):
        for factor in (f for f in found if f.above):
            value = _over_root(factor.variable, root.variable)
            if value is not None:
                return _exchanged(node.output, factor, root, value)
    return None


def _over_root(x: Variable, root: Variable) -> Variable | None:
    node = node_of(root, Sqrt, Abs)
    if node is None:
        return None
    (inner,) = node.inputs
    if isinstance(node.op, Abs):
        return sign(x) if inner is x else None
    square = node_of(inner, Sqr)
    if square is not None and square.inputs[0] is x:
        return sign(x)
    return root if inner is x else None


def _exchanged(
    product: Variable, factor: Factor, root: Factor, value: Variable
) -> Variable:
    rest = without(product, [factor.path, root.path])
    return mul(rest, value) if isinstance(rest, Variable) else value


RULES = [switch_below_product, switch_below_cast, factor_over_its_root]
