"""An op made of a graph becomes the graph, before anything else is rewritten."""

from __future__ import annotations

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.ops.blocks import OpFromGraph


@node_rule(OpFromGraph)
def inline_graph(node):
    """What is inside an op made of a graph meets what is around it."""
    return node.op.expansion(node)


RULES = tagged("inlining", inline_graph)
