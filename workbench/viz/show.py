"""``show``: the panel of a function or a graph, in whatever form the place can show.

A panel writes two outputs: a static figure, which stays in the saved notebook, and the
interactive view. One output with both forms would not do: a notebook that is opened
without its kernel then shows neither. In a terminal the panel is text.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from workbench.core.graph import Variable, graph_inputs
from workbench.core.lazy import lazy
from workbench.core.printing import plain
from workbench.viz.facts import Facts, facts
from workbench.viz.html import bundle, figure, static_svg
from workbench.viz.keys import Keys
from workbench.viz.target import Target, resolve
from workbench.viz.text import panel_text
from workbench.viz.widgets import inspector_class, payload

VIEWS = ("auto", "widget", "static", "text")


class Panel:
    """What :func:`show` returns: displays itself, and knows what is selected.

    Parameters
    ----------
    targets
        What is shown, the first in front.
    view : {"auto", "widget", "static", "text"}
        The form; ``auto`` takes the richest that the place can show.
    options
        How it opens: ``variant``, ``tab``, ``selection``, ``step``.
    note
        A remark that goes with it, as where the cell that made it stopped.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        view: str = "auto",
        options: dict[str, Any] | None = None,
        note: str = "",
    ) -> None:
        if view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {view!r}.")
        self.targets = list(targets)
        self.view = view
        self.options = options or {}
        self.note = plain(note)

    @lazy
    def facts(self) -> list[Facts]:
        """The facts of each target."""
        return [facts(target) for target in self.targets]

    @lazy
    def widget(self) -> Any:
        """The interactive view."""
        data = payload(self.targets, self.facts, self.note)
        variant = "after" if self.targets[0].after is not None else "before"
        return inspector_class()(data=data, **{"variant": variant, **self.options})

    # --- selection --------------------------------------------------------------------

    @property
    def selection(self) -> list[str]:
        """Keys of the selected nodes; may be set."""
        return list(self.widget.selection)

    @selection.setter
    def selection(self, keys: Sequence[str]) -> None:
        self.widget.selection = list(keys)

    @property
    def selected(self) -> list[Variable]:
        """The selected nodes as variables: leaves, and the outputs of operations."""
        found: dict[Variable, None] = {}
        for key in self.selection:
            found.update(dict.fromkeys(self._variables.get(key, ())))
        return list(found)

    def select(self, what: str | Variable) -> list[str]:
        """Select a node by its key, its name, or as a variable; returns the keys.

        Raises
        ------
        KeyError
            No node is called so.
        """
        self.selection = self._find(what)
        return self.selection

    def on_select(self, call: Callable[[list[str]], object]) -> None:
        """Call a function with the keys whenever the selection changes."""
        self.widget.observe(lambda change: call(list(change["new"])), "selection")

    def _find(self, what: str | Variable) -> list[str]:
        if isinstance(what, Variable):
            keys = [
                key for key, variables in self._variables.items() if what in variables
            ]
        elif what in self._variables:
            keys = [what]
        else:
            keys = [
                node["key"]
                for found in self.facts
                for graph in reversed(found["graphs"])
                for node in graph["nodes"]
                if any(name == what for name, _ in node["outputs"])
                or (what.isdecimal() and node.get("number") == int(what))
            ]
        if not keys:
            raise KeyError(
                f"no node of this panel is {what!r}: give a key, a name, or the number it is run as."
            )
        return list(dict.fromkeys(keys))

    @lazy
    def _variables(self) -> dict[str, tuple[Variable, ...]]:
        found: dict[str, tuple[Variable, ...]] = {}
        for target in self.targets:
            graphs = [target.before] + ([target.after] if target.after else [])
            keys = Keys(graphs)
            for graph in reversed(graphs):  # where a key is in both, what is run
                for leaf in graph_inputs(graph.results, graph.inputs):
                    found.setdefault(keys.of[leaf], (leaf,))
                for node in graph.nodes():
                    found.setdefault(keys.of[node], node.outputs)
            for inside in (each for graph in graphs for each in keys.insides(graph)):
                for each, key in inside.keys.items():
                    own = (each,) if isinstance(each, Variable) else each.outputs
                    found.setdefault(key, own)
        return found

    # --- forms ------------------------------------------------------------------------

    def to_svg(self, before: bool = False, legend: bool = False) -> str:
        """The static picture of the first target."""
        return static_svg(self.facts[0], before, legend)[0]

    def to_html(self) -> str:
        """The static figures of all targets."""
        pairs = zip(self.targets, self.facts, strict=True)
        return "\n".join(
            figure(target, found, note=self.note) for target, found in pairs
        )

    def to_text(self) -> str:
        """The panel as text."""
        texts = [panel_text(target) for target in self.targets]
        return "\n\n".join([self.note, *texts] if self.note else texts)

    def _ipython_display_(self) -> None:
        view = self.view if self.view != "auto" else best_view()
        if view == "text":
            print(self.to_text())
            return
        from IPython.display import display

        if self.targets:
            static = bundle(self.targets[0], self.facts[0])
            static["text/html"] = self.to_html()
            static["text/plain"] = self.to_text()
            display(static, raw=True)
        if view == "widget":
            display(self.widget)

    def __repr__(self) -> str:
        return self.to_text()


def show(
    target: Any,
    *others: Any,
    name: str = "",
    view: str = "auto",
    before: bool = False,
    select: str | Variable | None = None,
    tab: str = "graph",
    step: int = 0,
) -> Panel:
    """Show a compiled function or a graph.

    Parameters
    ----------
    target, others
        Compiled functions, variables, lists of variables, or graphs; one tab each.
    name
        What to call the first in place of its own name.
    view : {"auto", "widget", "static", "text"}
        The form; ``auto`` takes the richest that the place can show.
    before
        Whether to open with the graph as it was built.
    select
        A node to select, by key, by name, or as a variable.
    tab : {"graph", "tree", "source", "steps"}
        The tab to open with.
    step
        The rewrite to open with, counted from 1.
    """
    targets = [resolve(target, name), *(resolve(other) for other in others)]
    options: dict[str, Any] = {"tab": tab, "step": step}
    if before:
        options["variant"] = "before"
    panel = Panel(targets, view, options)
    if select is not None:
        panel.options["selection"] = panel._find(select)
    return panel


def best_view() -> str:
    """The richest form that this place can show."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return "text"
    try:
        inspector_class()
    except ImportError:
        return "static"
    return "widget"
