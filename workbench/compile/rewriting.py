"""Rewriting a graph without compiling it: the rules as a function of graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from workbench.compile.modes import Mode, get_mode
from workbench.compile.pipeline import optimise
from workbench.compile.record import Graph
from workbench.core.graph import Constant, Shared, Variable, as_list, graph_inputs


@overload
def rewrite_graph(
    outputs: Variable,
    include: Sequence[str] | None = ...,
    exclude: Sequence[str] = ...,
    mode: str | Mode | None = ...,
) -> Variable: ...


@overload
def rewrite_graph(
    outputs: Sequence[Variable],
    include: Sequence[str] | None = ...,
    exclude: Sequence[str] = ...,
    mode: str | Mode | None = ...,
) -> list[Variable]: ...


def rewrite_graph(
    outputs: Variable | Sequence[Variable],
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    mode: str | Mode | None = None,
) -> Variable | list[Variable]:
    """The graph that a function of `outputs` would run; the old one stays as it is.

    Parameters
    ----------
    outputs
        One variable, or several.
    include
        Only rules with one of these tags, or of one of these names: ``["canonical"]``. By
        default those of `mode`.
    exclude
        No rules with one of these tags, or of one of these names.
    mode
        Whose rules; ``config.mode`` by default.

    Returns
    -------
    Variable or list of Variable
        As `outputs`.

    Raises
    ------
    ValueError
        There is no such tag, rule or mode; the nearest one is named.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> rewrite_graph(T.log(1 + T.exp(x)))
    <softplus(x): float64 vector>
    >>> rewrite_graph(T.exp(x).dimshuffle(0), include=["canonical"])
    <exp(x): float64 vector>
    """
    several = as_list(outputs)
    chosen = get_mode(mode)
    if include is not None:
        chosen = chosen.clone(optimizer=include)
    if exclude:
        chosen = chosen.excluding(*exclude)
    leaves = graph_inputs(several)
    inputs = [v for v in leaves if not isinstance(v, Constant | Shared)]
    after, _ = optimise(Graph(tuple(inputs), tuple(several)), chosen)
    return after.outputs[0] if isinstance(outputs, Variable) else list(after.outputs)
