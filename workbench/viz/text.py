"""A graph in text: the panel where nothing richer can be shown, and ``debugprint``.

Both are made of :func:`workbench.core.printing.tree`, given what the compiler knows.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from workbench.compile.record import Graph
from workbench.core.graph import Constant, Shared, Variable, graph_inputs
from workbench.core.printing import TreeOptions, display_name, plain, tree_lines
from workbench.core.types import shape_text
from workbench.viz.target import Target, resolve, result_labels

LONGEST_PANEL = 400  # lines; a panel is an overview, the tree of debugprint is complete


def debugprint(
    obj: Any,
    depth: int = -1,
    print_type: bool = False,
    file: TextIO | str | None = None,
    ids: str = "CHAR",
    stop_on_name: bool = False,
    before: bool = False,
    print_inner_graphs: bool = True,
) -> str | None:
    """Print a graph as a tree, a line for every operation.

    Parameters
    ----------
    obj
        A compiled function, a variable, a list of variables, or a graph.
    depth
        Levels shown below each result; -1 for all.
    print_type
        Whether every line says its type.
    file
        Where to print; standard output when not given; ``"str"`` returns the text.
    ids : {"CHAR", "int", "id", ""}
        How variables are marked: letters, numbers, addresses, or not at all.
    stop_on_name
        Whether to stop at named variables.
    before
        For a compiled function: the graph as it was built, not as it is run.
    print_inner_graphs
        Whether the graphs inside operations follow, as the step of a loop: what each
        input of it is outside (``←``), and what becomes of each result (``→``).

    Returns
    -------
    str or None
        The text when `file` is ``"str"``.
    """
    options = TreeOptions(
        depth, print_type, ids, stop_on_name, inner_graphs=print_inner_graphs
    )
    text = target_tree(resolve(obj), before, options)
    if file == "str":
        return text
    print(text, file=sys.stdout if file is None or isinstance(file, str) else file)
    return None


def target_tree(
    target: Target, before: bool = False, options: TreeOptions | None = None
) -> str:
    """The tree of a target: its outputs, then its updates."""
    return "\n".join(line for line, _ in target_lines(target, before, options))


def target_lines(
    target: Target, before: bool = False, options: TreeOptions | None = None
) -> list[tuple[str, Variable | None]]:
    """The lines of :func:`target_tree`, each with the variable it shows, if any."""
    graph = target.graph(before)
    return tree_lines(
        result_labels(graph),
        target.order(before),
        target.in_place(before),
        graph.inputs,
        options,
    )


def panel_text(obj: Any, before: bool = False) -> str:
    """The panel as text: a line of figures, a line of leaves, and the tree."""
    target = resolve(obj)
    lines = target_tree(target, before, TreeOptions(ids="")).splitlines()
    if len(lines) > LONGEST_PANEL:
        more = len(lines) - LONGEST_PANEL
        lines = [*lines[:LONGEST_PANEL], f"… {more} more lines: see debugprint"]
    leaves = leaves_text(target.graph(before))
    head = [target.summary()] + ([f" {leaves}"] if leaves else [])
    return "\n".join([*head, *lines])


def leaves_text(graph: Graph) -> str:
    """Inputs, shared variables and updates in one line."""
    leaves = graph_inputs(graph.results, graph.inputs)
    shared = [v for v in leaves if isinstance(v, Shared)]
    shared += [s for s, _ in graph.updates if s not in shared]
    # An input that nothing reads is an argument all the same.
    inputs = [*graph.inputs]
    inputs += [
        v for v in leaves if not isinstance(v, Constant | Shared) and v not in inputs
    ]
    groups = [
        ("inputs", [f"{_name(v)} {v.type}" for v in inputs]),
        ("shared", [f"{_name(v)} {shape_text(v.storage[0].shape)}" for v in shared]),
        ("updates", [_name(s) for s, _ in graph.updates]),
    ]
    return "      ".join(
        f"{word}  {', '.join(items)}" for word, items in groups if items
    )


def _name(variable: Variable) -> str:
    return display_name(variable) or plain(variable.label())
