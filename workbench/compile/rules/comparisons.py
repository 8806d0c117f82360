"""Comparisons whose outcome is known, and logic that decides nothing."""

from __future__ import annotations

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import identity, node_rule, tagged
from workbench.compile.rules.fitting import fitted
from workbench.compile.rules.products import node_of
from workbench.core.graph import Constant, Variable, as_variable
from workbench.core.ops.elementwise import (
    Add,
    And,
    Eq,
    Ge,
    Gt,
    Invert,
    Le,
    Lt,
    Maximum,
    Minimum,
    Mul,
    Neq,
    Or,
    Xor,
    eq,
    ge,
    gt,
    isnan,
    le,
    lt,
    neq,
)
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.ufunc import kind

# --- equal operands -------------------------------------------------------------------


@identity(kinds="biuf")
def less_than_itself(x):
    """Nothing is less than itself, nor is NaN."""
    return lt(x, x), 0


@identity(kinds="biuf")
def greater_than_itself(x):
    """Nothing is greater than itself, nor is NaN."""
    return gt(x, x), 0


@identity(kinds="biu")
def int_unlike_itself(x):
    """Nothing differs from itself."""
    return neq(x, x), 0


@identity(kinds="biu")
def int_equal_to_itself(x):
    """Everything equals itself."""
    return eq(x, x), 1


@identity(kinds="biu")
def int_at_most_itself(x):
    """Everything is at most itself."""
    return le(x, x), 1


@identity(kinds="biu")
def int_at_least_itself(x):
    """Everything is at least itself."""
    return ge(x, x), 1


@identity
def unlike_itself(x):
    """Nothing differs from itself but NaN: the question has a name."""
    return neq(x, x), isnan(x)


@identity(tags=["finite_math"])
def equal_to_itself(x):
    """Everything equals itself but NaN."""
    return eq(x, x), 1


@identity(tags=["finite_math"])
def at_most_itself(x):
    """Everything is at most itself but NaN."""
    return le(x, x), 1


@identity(tags=["finite_math"])
def at_least_itself(x):
    """Everything is at least itself but NaN."""
    return ge(x, x), 1


# --- sizes ----------------------------------------------------------------------------

BELOW: dict[type, tuple[bool, bool | None]] = {
    Lt: (False, False),
    Le: (False, None),
    Gt: (True, None),
    Ge: (True, True),
    Eq: (False, None),
    Neq: (True, None),
}
"""What comparing a size with a negative number gives, and with 0; None where it depends."""

MIRRORED: dict[type, type] = {Lt: Gt, Le: Ge, Gt: Lt, Ge: Le, Eq: Eq, Neq: Neq}
"""The comparison with its operands exchanged."""


@node_rule(Lt, Le, Gt, Ge, Eq, Neq)
def size_compared(node):
    """A size is never negative: ``x.shape[0] < 0`` is known before anything is."""
    x, y = node.inputs
    for size, other, op in ((x, y, type(node.op)), (y, x, MIRRORED[type(node.op)])):
        bound = uniform_value(other) if never_negative(size) else None
        if bound is None or bound > 0:
            continue
        known = BELOW[op][0 if bound < 0 else 1]
        if known is not None:
            return as_variable(known, "bool")
    return None


def never_negative(variable: Variable, levels: int = 4) -> bool:
    """Whether an integer scalar is a size, or made of sizes by sums and products."""
    if isinstance(variable, Constant):
        real = kind(variable.dtype) != "c"
        return variable.ndim == 0 and real and bool(variable.data >= 0)
    node = node_of(variable, SizeOf, Add, Mul, Maximum, Minimum)
    if node is None or variable.dtype != "int64" or not levels:
        return False
    if isinstance(node.op, SizeOf):
        return True
    found = [never_negative(v, levels - 1) for v in node.inputs]
    return any(found) if isinstance(node.op, Maximum) else all(found)


# --- logic ----------------------------------------------------------------------------


@node_rule(And, Or)
def logic_of_equals(node):
    """x and x, x or x is x."""
    x, y = node.inputs
    return x if x is y else None


@node_rule(Xor)
def xor_of_equals(node, context):
    """Nothing differs from itself."""
    x, y = node.inputs
    if x is not y:
        return None
    return fitted(as_variable(0, x.dtype), node.output, [x], context)


@node_rule(And, Or, Xor)
def logic_with_constant(node, context):
    """``x and True``, ``x or False`` is x; ``x and False``, ``x or True`` is the constant."""
    every = all_bits(node.output.dtype)
    neutral = every if isinstance(node.op, And) else 0
    for x, y in (node.inputs, node.inputs[::-1]):
        value = uniform_value(y)
        if value is not None and value == neutral:
            return fitted(x, node.output, [y], context)
        if value is not None and not isinstance(node.op, Xor) and value in (0, every):
            return fitted(y, node.output, [x], context)
    return None


def all_bits(dtype: str) -> int:
    """The bool or the integer whose bits are all set."""
    return {"b": 1, "i": -1}.get(kind(dtype)) or int(np.iinfo(dtype).max)


@node_rule(Invert)
def invert_of_invert(node):
    """Not not x is x."""
    inner = node_of(node.inputs[0], Invert)
    return None if inner is None else inner.inputs[0]


@node_rule(Invert)
def invert_of_comparison(node, context):
    """Not x < y is x >= y, for integers: NaN is neither.

    Equality has its opposite for floats, too.
    """
    inner = node_of(node.inputs[0], *OPPOSITE)
    if inner is None or not context.read_once(inner.output):
        return None
    whole = all(kind(v.dtype) in "biu" for v in inner.inputs)
    if not whole and not isinstance(inner.op, Eq | Neq):
        return None
    return OPPOSITE[type(inner.op)]()(*inner.inputs)


OPPOSITE: dict[type, type] = {Lt: Ge, Le: Gt, Gt: Le, Ge: Lt, Eq: Neq, Neq: Eq}


RULES = tagged(
    "canonical",
    less_than_itself,
    greater_than_itself,
    int_unlike_itself,
    int_equal_to_itself,
    int_at_most_itself,
    int_at_least_itself,
    unlike_itself,
    size_compared,
    logic_of_equals,
    xor_of_equals,
    logic_with_constant,
    invert_of_invert,
    invert_of_comparison,
)

OF_FINITE = tagged("algebra", equal_to_itself, at_most_itself, at_least_itself)
"""Comparisons that only NaN decides otherwise."""
