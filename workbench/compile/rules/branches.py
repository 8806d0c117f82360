"""Lazy choices that are none: as those of :mod:`~workbench.compile.rules.choices`, for whole arrays."""

from __future__ import annotations

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.core.graph import Variable
from workbench.core.ops.control import IfElse
from workbench.core.ops.elementwise import Invert
from workbench.core.ops.rearrange import Unbroadcast


@node_rule(IfElse)
def ifelse_of_constant(node):
    """A condition known beforehand chooses now."""
    condition, x, y = node.inputs
    known = uniform_value(condition)
    return None if known is None else _alone(x if known else y, node.output)


@node_rule(IfElse)
def ifelse_between_equals(node):
    """Both branches are one: there is nothing to choose."""
    _, x, y = node.inputs
    return _alone(x, node.output) if x is y else None


@node_rule(IfElse)
def ifelse_of_invert(node):
    """The branches are exchanged rather than the condition inverted."""
    condition, x, y = node.inputs
    inner = node_of(condition, Invert)
    return None if inner is None else node.op(inner.inputs[0], y, x)


@node_rule(IfElse)
def ifelse_of_ifelse(node):
    """A condition is asked once: ifelse(c, ifelse(c, x, y), z) is ifelse(c, x, z)."""
    condition, *branches = node.inputs
    for i, branch in enumerate(branches):
        inner = node_of(branch, IfElse)
        if inner is not None and inner.inputs[0] is condition:
            branches[i] = _alone(inner.inputs[1 + i], branch)
            return _alone(node.op(condition, *branches), node.output)
    return None


def _alone(value: Variable, chosen: Variable) -> Variable:
    """A value in place of a choice between it and another, of which less may be known."""
    axes = [
        axis
        for axis, (one, other) in enumerate(
            zip(value.broadcastable, chosen.broadcastable, strict=True)
        )
        if one and not other
    ]
    return Unbroadcast(tuple(axes))(value) if axes else value


RULES = tagged(
    "canonical",
    ifelse_of_constant,
    ifelse_between_equals,
    ifelse_of_invert,
    ifelse_of_ifelse,
)
