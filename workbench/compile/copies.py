"""Copies: where a value needs memory of its own, scheduling puts this op into the graph."""

from __future__ import annotations

from workbench.core import source
from workbench.core.graph import Variable
from workbench.core.op import Elementwise
from workbench.core.types import Array


class Copy(Elementwise):
    """The input in memory of its own: a result that is a view, an input, or named twice."""

    c_expr = "{x}"
    c_complex = "{x}"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """The dtype given."""
        (dtype,) = dtypes
        assert isinstance(dtype, str)
        return [dtype, dtype]

    def reference(self, x: Array) -> Array:
        """``x.copy()``."""
        return x.copy()


def copy_of(variable: Variable) -> Variable:
    """A copy that has the origin and the name of what it copies."""
    node = variable.owner
    place = node.origin.place if node is not None else variable.place
    forward = node.origin.forward if node is not None else None
    with source.made_for(source.Origin(place, forward, node, "copy")):
        made = Copy()(variable)
    made.name = variable.name
    return made
