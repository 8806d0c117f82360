"""A graph run in NumPy, op by op: the meaning that every back end must match.

Nothing is rewritten and nothing is reused; each node runs its reference and the results are
fitted to the declared types. It is also how FAST_COMPILE runs a function, and what the C
back end falls back on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core.errors import MissingInputError, WorkbenchError
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    graph_inputs,
    toposort,
)
from workbench.core.source import Location
from workbench.core.types import Array


def evaluate(
    outputs: Sequence[Variable], values: Mapping[Variable, Any]
) -> list[Array]:
    """The values of `outputs` for given values of other variables.

    Parameters
    ----------
    outputs
        What to compute.
    values
        A value for every input; given values of intermediate variables are taken as they are.

    Raises
    ------
    MissingInputError
        An input has no value.
    """
    known: dict[Variable, Array] = {v: v.type.filter(a) for v, a in values.items()}
    for leaf in graph_inputs(outputs, known):
        if leaf not in known:
            known[leaf] = _leaf_value(leaf)
    for node in toposort(outputs, known):
        results = run_node(node, [known[v] for v in node.inputs])
        known.update(zip(node.outputs, results, strict=True))
    return [known[v] for v in outputs]


def run_node(node: Apply, inputs: Sequence[Array]) -> list[Array]:
    """The reference of one node; an error says the user's line."""
    try:
        return node.op.evaluate(node, inputs)
    except WorkbenchError as error:
        if error.node is None:
            error.node, error.inputs, error.line = node, inputs, node.origin.location
        raise
    except Exception as error:
        place = node.origin.location
        error.add_note(f"in {node.op}{_at(place)}")
        raise


def _at(place: Location | None) -> str:
    return "" if place is None else f", {place}"


def _leaf_value(leaf: Variable) -> Array:
    if isinstance(leaf, Constant):
        return leaf.data
    if isinstance(leaf, Shared):
        return leaf.storage[0]
    raise MissingInputError(
        f"the value of {leaf.label()}: {leaf.type} is needed but was not given."
    )
