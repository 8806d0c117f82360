"""The line magics, each a thin call of a public function.

======================  ==================================================
``%symshow [T]``        ``workbench.show(T)``
``%symtree [T]``        ``workbench.debugprint(T)``
``%symdot [T]``         ``workbench.pydotprint(T)``
``%symsteps [T]``       ``T.steps``
``%symcode [T]``        ``T.source``
======================  ==================================================

T is any expression that can be shown; without one it is the latest panel, ``_sym``.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core.printing import plain
from workbench.magics.options import Option, describe, nearest, parse, usage_error
from workbench.viz.dot import Picture, pydotprint
from workbench.viz.show import VIEWS, Panel, show
from workbench.viz.target import Target, resolve
from workbench.viz.text import debugprint
from workbench.viz.widgets import TABS

BEFORE = Option("the graph as it was built")

OPTIONS: dict[str, dict[str, Option]] = {
    "symshow": {
        "before": BEFORE,
        "step": Option("open at a rewrite, counted from 1", int, (), 0),
        "select": Option("select a node, by name, key or number", str),
        "tab": Option("the tab to open with", str, TABS, "graph"),
        "view": Option("the form", str, VIEWS, "auto"),
    },
    "symtree": {
        "before": BEFORE,
        "depth": Option("levels shown", int, (), -1),
        "types": Option("say every type"),
        "stop-at-names": Option("stop at named values"),
        "ids": Option("mark every variable"),
        "no-inner": Option("leave out the graphs inside operations"),
    },
    "symdot": {
        "before": BEFORE,
        "no-compact": Option("draw unnamed values as well"),
        "scan": Option("draw the graphs inside loops as well"),
        "legend": Option("explain the shapes"),
        "ids": Option("number the operations"),
        "out": Option("save it: FILE.svg, FILE.png or FILE.dot", str),
    },
    "symsteps": {
        "rule": Option("only rules like this, as 'log*'", str, (), "*"),
        "at": Option("only this step, with its reason", int),
    },
    "symcode": {
        "kernel": Option("only this kernel, as k0", str),
        "out": Option("save the source in this folder", str),
    },
}

ABOUT = {
    "symshow": ("Show a function or graph in the inspector.", "workbench.show(train)"),
    "symtree": ("Print a graph as a tree.", "workbench.debugprint(train)"),
    "symdot": ("Draw a graph with Graphviz.", "workbench.pydotprint(train)"),
    "symsteps": ("List the rewrites of a function.", "train.steps"),
    "symcode": ("Show the C that a function became.", "train.source"),
}


class Lines:
    """The magics of one shell.

    Parameters
    ----------
    names
        Finds what a name or expression of the user's stands for.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def magics(self) -> dict[str, Callable[[str], Any]]:
        """The magics by name, each with its help."""
        found: dict[str, Callable[[str], Any]] = {}
        for name in OPTIONS:
            call: Callable[[str], Any] = getattr(self, name)
            found[name] = _with_help(name, call)
        return found

    def symshow(self, line: str) -> Panel:
        options, target = self.read("symshow", line)
        try:
            panel = show(
                target,
                before=bool(options["before"]),
                step=options["step"],
                select=options["select"],
                tab=options["tab"],
                view=options["view"],
            )
        except KeyError as error:
            raise usage_error()(f"%symshow: --select: {error.args[0]}") from None
        self.shell.user_ns["_sym"] = panel
        return panel

    def symtree(self, line: str) -> None:
        options, target = self.read("symtree", line)
        debugprint(
            target,
            depth=options["depth"],
            print_type=bool(options["types"]),
            ids="CHAR" if options["ids"] else "",
            stop_on_name=bool(options["stop-at-names"]),
            before=bool(options["before"]),
            print_inner_graphs=not options["no-inner"],
        )

    def symdot(self, line: str) -> Picture:
        options, target = self.read("symdot", line)
        try:
            return pydotprint(
                target,
                options["out"],
                compact=not options["no-compact"],
                with_ids=bool(options["ids"]),
                before=bool(options["before"]),
                legend=bool(options["legend"]),
                scan_graphs=bool(options["scan"]),
            )
        except ValueError as error:
            raise usage_error()(f"%symdot: {error}") from None

    def symsteps(self, line: str) -> None:
        options, target = self.read("symsteps", line)
        steps = _compiled("symsteps", target).steps
        if options["at"] is not None:
            steps = tuple(step for step in steps if step.number == options["at"])
            if not steps:
                raise usage_error()(f"%symsteps: there is no step {options['at']}")
            print(plain(str(steps[0])))
            print("   ", plain(steps[0].reason))
            return
        chosen = [step for step in steps if fnmatch.fnmatch(step.rule, options["rule"])]
        for step in chosen:
            print(plain(str(step)))
        print(f"{len(chosen)} of {len(steps)} rewrites")

    def symcode(self, line: str) -> None:
        options, target = self.read("symcode", line)
        record = _compiled("symcode", target)
        if record.source is None:
            why = f" ({record.backend_reason})" if record.backend_reason else ""
            print(f"{target.name} runs in NumPy{why}: there is no generated code.")
            return
        text = record.source.text
        if options["kernel"]:
            kernels = {kernel.name: kernel.number for kernel in record.kernels}
            if options["kernel"] not in kernels:
                near = nearest(options["kernel"], list(kernels), "")
                raise usage_error()(f"%symcode: no kernel {options['kernel']}{near}")
            first, last = target.spans()[kernels[options["kernel"]]]
            text = "\n".join(text.splitlines()[max(0, first - 1) : last])
        if options["out"]:
            path = Path(options["out"]) / "source.c"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"saved as {path}")
            return
        print(text)
        if record.command and not options["kernel"]:
            print("// " + " ".join(record.command))

    def read(self, magic: str, line: str) -> tuple[dict[str, Any], Target]:
        """The options of a line, and the target that its other words name."""
        options, words = parse(f"%{magic}", line, OPTIONS[magic])
        return options, self.target(magic, " ".join(words) or "_sym")

    def target(self, magic: str, text: str) -> Target:
        """What an expression of the user's stands for.

        Raises
        ------
        UsageError
            There is no such thing, or it cannot be shown.
        """
        names = self.shell.user_ns
        if text.isidentifier() and text not in names:
            if text == "_sym":
                words = "nothing was shown yet: name a function or variable"
                raise usage_error()(f"%{magic}: {words}")
            near = nearest(text, [n for n in names if not n.startswith("_")], "")
            hint = near if near.startswith("; did") else ""
            raise usage_error()(f"%{magic}: there is no {text} here{hint}")
        try:
            value = self.shell.ev(text)
        except Exception as error:
            kind = type(error).__name__
            raise usage_error()(f"%{magic}: {text}: {kind}: {error}") from None
        if isinstance(value, Panel):
            return value.targets[0]
        try:
            is_name = text.isidentifier() and text != "_sym"
            named = getattr(value, "name", None)
            return resolve(value, "" if named or not is_name else text)
        except TypeError as error:
            raise usage_error()(f"%{magic}: {text}: {error}") from None


def _compiled(magic: str, target: Target) -> Any:
    if target.record is None:
        raise usage_error()(
            f"%{magic}: {plain(target.name)} is a graph, not yet compiled"
        )
    return target.record


def _with_help(name: str, call: Callable[[str], Any]) -> Callable[[str], Any]:
    about, twin = ABOUT[name]

    def magic(line: str = "") -> Any:
        return call(line)

    magic.__name__ = magic.__qualname__ = name
    magic.__doc__ = (
        f"{about}\n\n    %{name} [TARGET] [options]\n\n{describe(OPTIONS[name])}\n\n"
        f"Examples\n--------\n    %{name}            the latest panel\n"
        f"    %{name} train\n    %{name} train --before\n\nIn a script: {twin}\n"
    )
    if "before" not in OPTIONS[name]:
        magic.__doc__ = magic.__doc__.replace(f"    %{name} train --before\n", "")
    # IPython would otherwise fill in {...} and $name on the line.
    magic._ipython_magic_no_var_expand = True  # type: ignore[attr-defined]
    return magic
