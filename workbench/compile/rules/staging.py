"""Sums over axes on both sides of one that stays are done in two stages, just before loops are made.

The elements of a row are gathered in a register, in vectors and in double precision; what is
gathered in memory, an element of the result at a time, has none of that. So the last axes come first.
"""

from __future__ import annotations

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.ops.reduction import Sum


@node_rule(Sum)
def sum_in_two_stages(node):
    """Rows are summed first, each in a register, and then what is left of them."""
    (x,), axes = node.inputs, node.op.axes
    if not x.type.is_float or x.dtype.startswith(("float16", "complex")):
        return None
    first = x.ndim
    while first - 1 in axes:
        first -= 1
    before = tuple(a for a in axes if a < first)
    if first == x.ndim or not before:
        return None
    return Sum(before)(Sum(tuple(range(first, x.ndim)))(x))


RULES = tagged("staging", sum_in_two_stages)
