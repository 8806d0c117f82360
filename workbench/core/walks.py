"""Walks over graphs under the names and with the order of arguments that people know.

Each is a few words around :mod:`workbench.core.graph`: no walk recurses, and the order of a
result depends on the graph alone.

Read next: :mod:`workbench.core.replacing`.
"""

from __future__ import annotations

from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    Variables,
    ancestors,
    as_list,
    graph_inputs,
    toposort,
)


def io_toposort(inputs: Variables, outputs: Variables) -> list[Apply]:
    """The operations that compute `outputs` from `inputs`, every one after those it needs."""
    return toposort(as_list(outputs), as_list(inputs))


def applys_between(ins: Variables, outs: Variables) -> list[Apply]:
    """The operations met on the way back from `outs`, which stops at `ins`."""
    return io_toposort(ins, outs)


def vars_between(ins: Variables, outs: Variables) -> list[Variable]:
    """The variables met on the way back from `outs`, which stops at `ins`; these too."""
    return ancestors(as_list(outs), as_list(ins))


def orphans_between(ins: Variables, outs: Variables) -> list[Variable]:
    """The leaves, constants among them, that `outs` need beside `ins`."""
    given = set(as_list(ins))
    return [v for v in graph_inputs(as_list(outs), given) if v not in given]


def explicit_graph_inputs(outputs: Variables) -> list[Variable]:
    """The leaves that need a value: neither constants nor shared variables.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> x, w = T.vector("x"), wb.shared(2.0, "w")
    >>> explicit_graph_inputs(w * x + 1)
    [<x: float64 vector>]
    """
    leaves = graph_inputs(as_list(outputs))
    return [v for v in leaves if not isinstance(v, Constant | Shared)]


def truncated_graph_inputs(
    outputs: Variables, ancestors_to_include: Variables = ()
) -> list[Variable]:
    """What suffices to compute `outputs` when the walk back may stop at some variables.

    Those of `ancestors_to_include` that are met, and the leaves that are reached around them.
    """
    return graph_inputs(as_list(outputs), as_list(ancestors_to_include))


def depends_on(variable: Variable, others: Variables) -> bool:
    """Whether a variable is computed from one of the others, or is one of them."""
    wanted = set(as_list(others))
    return any(v in wanted for v in ancestors([variable], wanted))
