"""Checks that the user wrote: what is known to hold, and what was checked already.

Whoever asks for ``mode.including("unsafe")`` gets no checks of this kind at all.
"""

from __future__ import annotations

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.graph import Constant, Variable
from workbench.core.ops.checks import Assert
from workbench.core.ops.shape import BroadcastTo


def holds(condition: Variable) -> bool:
    """Whether a condition is known to hold."""
    while condition.owner is not None and isinstance(condition.owner.op, BroadcastTo):
        condition = condition.owner.inputs[0]
    return isinstance(condition, Constant) and bool(condition.data.all())


@node_rule(Assert)
def assert_of_true(node):
    """A condition that is known to hold, or named twice, is not tested."""
    value, *conditions = node.inputs
    left = [c for c in dict.fromkeys(conditions) if not holds(c)]
    if len(left) == len(conditions) and left:
        return None
    return node.op(value, *left) if left else value


@node_rule(Assert, some=Assert)
def assert_of_assert(node):
    """What was tested on the way to the value is not tested again."""
    value, *conditions = node.inputs
    tested: set[Variable] = set()
    inner = value.owner
    while inner is not None and isinstance(inner.op, Assert):
        tested.update(inner.inputs[1:])
        inner = inner.inputs[0].owner
    left = [c for c in conditions if c not in tested]
    if len(left) == len(conditions):
        return None
    return node.op(value, *left) if left else value


@node_rule(Assert)
def assert_removed(node):
    """No check at all, as asked for by the tag ``unsafe``."""
    return node.inputs[0]


RULES = tagged("canonical", assert_of_true, assert_of_assert)

UNSAFE = tagged("unsafe", assert_removed)
"""Off unless a mode includes the tag ``unsafe``."""
