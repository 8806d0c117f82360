"""Names for expressions become those expressions, just before loops are made."""

from __future__ import annotations

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.op import Composite


@node_rule(Composite)
def expand_composite(node):
    """Softmax is a name while the graph is read; its parts fuse with what is around."""
    return node.op.expand(*node.inputs)


RULES = tagged("lowering", expand_composite)
