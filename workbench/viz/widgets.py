"""The inspector: what is sent to the page, and the class that joins both sides.

:func:`payload` makes plain data: the facts of each target and the scenes they are drawn
from, places included, so that the page needs no kernel to show, search and select. The
page's side is the JavaScript in ``static``, one subject a file; :func:`module` joins
the files into the one module that a widget has. State (what is selected, which tab)
lives in traits that both sides set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from workbench.viz.facts import Facts, facts
from workbench.viz.scene import scene
from workbench.viz.target import Target

PARTS = (
    "dom.js",
    "paint.js",
    "canvas.js",
    "unfold.js",
    "view.js",
    "lists.js",
    "search.js",
    "details.js",
    "keys.js",
    "inspector.js",
)
MOST_BOXES = 1_500  # beyond, the full form is not sent: it would double what is
TABS = ("graph", "tree", "source", "steps")
VARIANTS = ("before", "after", "both")


def payload(
    targets: Sequence[Target], found: Sequence[Facts] | None = None, note: str = ""
) -> Facts:
    """What the page needs to show some targets."""
    gathered = found or [facts(target) for target in targets]
    drawn = [{**each, "scenes": scenes(each)} for each in gathered]
    return {"targets": drawn, "note": note}


def scenes(found: Facts) -> list[Facts]:
    """For each graph its compact scene, and its full one where not too large."""
    kernels = found.get("kernels")
    drawn = []
    for graph in found["graphs"]:
        forms = {"compact": form(graph, True, kernels)}
        held = sum(inside["operations"] for inside in graph["insides"])
        if 2 * (graph["operations"] + held) <= MOST_BOXES:
            forms["full"] = form(graph, False, kernels)
        drawn.append(forms)
    return drawn


def form(graph: Facts, compact: bool, kernels: list[Facts] | None) -> Facts:
    """The scene of a graph, with those of the graphs inside it as ``insides``."""
    insides = range(len(graph["insides"]))
    held = [scene(graph, compact, kernels, inside).data() for inside in insides]
    return scene(graph, compact, kernels).data() | {"insides": held}


@cache
def module() -> str:
    """The JavaScript of the widget, one module."""
    folder = files("workbench.viz") / "static"
    parts = [(folder / name).read_text(encoding="utf-8") for name in PARTS]
    return join_modules(parts)


def join_modules(parts: Sequence[str]) -> str:
    r"""Modules in the order in which they need each other, as one.

    Their imports of each other fall away, and so does ``export`` but for the default.

    >>> join_modules(["export const a = 1;", 'import { a } from "./a.js";\nf(a);'])
    'const a = 1;\nf(a);'
    """
    without_imports = [re.sub(r"(?m)^import [^;]*;\n?", "", part) for part in parts]
    text = "\n".join(without_imports)
    return re.sub(r"(?m)^export (?!default)", "", text)


@cache
def styles() -> str:
    """The style sheet of the widget."""
    return (files("workbench.viz") / "static" / "inspector.css").read_text("utf-8")


@cache
def inspector_class() -> type:
    """The widget's class.

    Made when first needed, since a program that shows nothing does without anywidget.

    Raises
    ------
    ImportError
        anywidget is not installed.
    """
    import anywidget
    import traitlets

    class Inspector(anywidget.AnyWidget):
        """The interactive view of one or several targets."""

        _esm = module()
        _css = styles()

        data = traitlets.Dict().tag(sync=True)
        target = traitlets.Int(0).tag(sync=True)
        variant = traitlets.Enum(VARIANTS, "after").tag(sync=True)
        tab = traitlets.Enum(TABS, "graph").tag(sync=True)
        selection = traitlets.List(traitlets.Unicode()).tag(sync=True)
        step = traitlets.Int(0).tag(sync=True)
        compact = traitlets.Bool(True).tag(sync=True)
        expanded = traitlets.List(traitlets.Unicode()).tag(sync=True)
        query = traitlets.Unicode("").tag(sync=True)

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            made = super()._repr_mimebundle_(**kwargs)
            if made is None:
                return None
            bundle, *rest = made if isinstance(made, tuple) else (made,)
            words = "(interactive view: run this cell)"
            return ({**bundle, "text/plain": words}, *(rest or [{}]))

    return Inspector
