"""Choices that are none: a condition known, branches that are equal, a question asked twice."""

from __future__ import annotations

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.fitting import fitted
from workbench.compile.rules.products import node_of
from workbench.core.ops.elementwise import Invert, Switch


@node_rule(Switch)
def switch_of_constant(node, context):
    """A condition known beforehand chooses now."""
    condition, x, y = node.inputs
    known = uniform_value(condition)
    if known is None:
        return None
    taken, other = (x, y) if known else (y, x)
    return fitted(taken, node.output, [condition, other], context)


@node_rule(Switch)
def switch_between_equals(node, context):
    """Both branches are one: there is nothing to choose."""
    condition, x, y = node.inputs
    return fitted(x, node.output, [condition], context) if x is y else None


@node_rule(Switch)
def switch_of_invert(node):
    """The branches are exchanged rather than the condition inverted."""
    condition, x, y = node.inputs
    inner = node_of(condition, Invert)
    return None if inner is None else node.op(inner.inputs[0], y, x)


@node_rule(Switch)
def switch_of_switch(node, context):
    """A condition is asked once: switch(c, switch(c, x, y), z) is switch(c, x, z).

    What the inner one does not take is dropped.
    """
    condition, *branches = node.inputs
    for i, branch in enumerate(branches):
        inner = node_of(branch, Switch)
        if inner is not None and inner.inputs[0] is condition:
            branches[i] = inner.inputs[1 + i]
            return fitted(
                node.op(condition, *branches),
                node.output,
                [inner.inputs[2 - i]],
                context,
            )
    return None


RULES = tagged(
    "canonical",
    switch_of_constant,
    switch_between_equals,
    switch_of_invert,
    switch_of_switch,
)
