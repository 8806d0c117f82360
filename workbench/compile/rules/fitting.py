"""Putting a simpler expression in the place of a longer one that also checked sizes.

``a + b - a`` is b, but it also is the check that a and b have one size. Where the sizes
show that they have, the check is idle and goes. Where they do not, the operand that
vanishes leaves its check behind: a :class:`~workbench.core.ops.shape.SpecifyShape`,
which compares sizes before anything is computed and costs nothing for each element.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.core.graph import Variable
from workbench.core.op import Size
from workbench.core.ops.elementwise import Add, Mul, Neg, Sub, TrueDiv
from workbench.core.ops.shape import SpecifyShape, size_variable
from workbench.core.ops.ufunc import pad_left


def fitted(
    value: Variable, like: Variable, dropped: Iterable[Variable], context: Context
) -> Variable | None:
    """`value` in the shape of `like`, with the checks that the `dropped` operands made.

    Parameters
    ----------
    value
        Of the dtype of `like`; it is stretched along axes where only `like` is long.
    dropped
        Operands of `like`, of its rank or a lower one, that `value` does not read.

    Returns
    -------
    Variable or None
        None where sizes are known to differ: what raises an error is left to raise it.
    """
    value = pad_left(value, like.ndim)
    if value.broadcastable != like.broadcastable:
        value = context.stretched(value, like)
    for operand in dropped:
        checks = _checks(value, operand, context)
        if checks is None:
            return None
        if checks:
            sizes = [checks.get(axis, -1) for axis in range(value.ndim)]
            value = SpecifyShape()(value, *map(size_variable, sizes))
    return value if value.broadcastable == like.broadcastable else None


def _checks(
    value: Variable, operand: Variable, context: Context
) -> dict[int, Size] | None:
    """The axes of `value` whose size only `operand` checked; None where they differ."""
    checks: dict[int, Size] = {}
    have, want = context.sizes(value), context.sizes(operand)
    first = value.ndim - operand.ndim
    for axis, (static, size) in enumerate(
        zip(operand.type.shape, want, strict=True), first
    ):
        if static == 1 or context.same_size(size, have[axis]):
            continue
        if isinstance(size, int) and isinstance(have[axis], int):
            return None
        checks[axis] = size
    return checks


@node_rule(Add, Sub, Mul, TrueDiv, Neg)
def check_outside(node):
    """A check that a rule left behind moves outwards, where it stands in nobody's way.

    One that the user wrote stays where it is, with the user's line.
    """
    for i, operand in enumerate(node.inputs):
        check = node_of(operand, SpecifyShape)
        if check is None or not check.origin.rule:
            continue
        x, *sizes = check.inputs
        if x.type == operand.type:
            operands = [*node.inputs[:i], x, *node.inputs[i + 1 :]]
            return SpecifyShape()(node.op(*operands), *sizes)
    return None


RULES = tagged("algebra", check_outside)
