"""``%%symgraph``: run a cell as it is, then show what it built.

A :class:`Watch` is begun before the cell and ended after it. In between it collects the
functions that are compiled; afterwards it looks which names of the user's got symbolic
values. A cell that fails is shown as far as it came, and its status stays "error".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from workbench.compile import callable as callables
from workbench.config import config
from workbench.core.graph import Variable, ancestors
from workbench.magics.options import Option, nearest, parse, usage_error
from workbench.viz.show import VIEWS, Panel
from workbench.viz.target import Target, graph_of, resolve
from workbench.viz.widgets import TABS

MAGIC = "%%symgraph"
MODES = {
    "none": "None",
    "fast_compile": "FAST_COMPILE",
    "fast_run": "FAST_RUN",
    "debug": "DEBUG",
}
OPTIONS = {
    "mode": Option("mode of functions that name none", str, tuple(MODES)),
    "show": Option("the tab to open with", str, TABS, "graph"),
    "view": Option("the form of the panel", str, VIEWS, "auto"),
    "quiet": Option("keep the panel in _sym and show nothing"),
}

HELP = """\
Run the cell, then show the graphs it built.

    %%symgraph [NAME] [--mode MODE] [--show TAB] [--view VIEW] [--quiet]

The body runs exactly as an ordinary cell. After it a panel shows every function that
was compiled in it, or else the graph of the symbolic values that got names in it. A
cell that fails is shown as far as it came. The panel is kept as _sym; NAME names it,
and running the cell again then keeps what was selected.

{options}

Examples
--------
    %%symgraph                      what this cell builds
    %%symgraph model --show steps   named, with the rewrites in front
    %%symgraph --mode fast_compile  compile quickly, run slowly

In a script: workbench.show(train), workbench.config.mode = "FAST_COMPILE".
"""


def parse_first_line(line: str) -> dict[str, Any]:
    """The options of the first line of a cell; `name` is the panel's.

    Raises
    ------
    UsageError
        The line is not understood.
    """
    words = line.strip().removeprefix(MAGIC)
    options, names = parse(MAGIC, words, OPTIONS)
    if len(names) > 1:
        raise usage_error()(f"{MAGIC}: one NAME, not {len(names)}: {' '.join(names)}")
    options["name"] = names[0] if names else ""
    options["show"] = options["show"].partition(",")[0]
    return options


def is_symgraph(line: str) -> bool:
    """Whether a line calls this magic."""
    return line.split(None, 1)[:1] == [MAGIC]


class Watch:
    """What happens during one cell.

    Parameters
    ----------
    options
        Those of the first line.
    names
        The user's names; read before and after the cell.
    """

    def __init__(self, options: Mapping[str, Any], names: Mapping[str, Any]) -> None:
        self.options = options
        self.names = names
        self.before = {n: v for n, v in names.items() if isinstance(v, Variable)}
        self.made: list[Any] = []
        self._undo = contextlib.ExitStack()
        if options["mode"]:
            try:
                self._undo.enter_context(config.change(mode=MODES[options["mode"]]))
            except ValueError as error:
                raise usage_error()(f"{MAGIC}: --mode: {error}") from None
        callables.on_created.append(self.made.append)
        self._undo.callback(_remove, callables.on_created, self.made.append)

    def end(self) -> None:
        """Put everything back as it was before the cell."""
        self._undo.close()

    def targets(self) -> list[Target]:
        """What to show: the functions made, else the graph of the values with names."""
        bound = self.bound()
        for name, variable in bound.items():
            if not variable.name:
                variable.tag.bound = name
        if self.made:
            return [resolve(made) for made in dict.fromkeys(self.made)]
        computed = list(dict.fromkeys(v for v in bound.values() if v.owner is not None))
        if not computed:
            return []
        needed = {v for end in computed for v in ancestors([end]) if v is not end}
        ends = [v for v in computed if v not in needed]
        return [Target(self.options["name"] or "graph", graph_of(ends))]

    def bound(self) -> dict[str, Variable]:
        """Names that got a symbolic value while the cell ran."""
        return {
            name: value
            for name, value in list(self.names.items())
            if isinstance(value, Variable)
            and not name.startswith("_")
            and self.before.get(name) is not value
        }


def make_panel(watch: Watch, old: Panel | None, note: str = "") -> Panel | None:
    """The panel of a cell that has run, or nothing when it built nothing.

    Parameters
    ----------
    watch
        What happened.
    old
        The panel of the same name, whose selection is kept.
    note
        Why the cell stopped early, or nothing.
    """
    targets = watch.targets()
    if not targets:
        return None
    options: dict[str, Any] = {"tab": watch.options["show"]}
    if old is not None and "widget" in vars(old):
        options |= {"selection": list(old.widget.selection), "tab": old.widget.tab}
    return Panel(targets, watch.options["view"], options, note)


def _remove(hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> None:
    with contextlib.suppress(ValueError):
        hooks.remove(hook)


__all__ = ["HELP", "MAGIC", "OPTIONS", "Watch", "is_symgraph", "make_panel", "nearest"]
