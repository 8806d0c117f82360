"""The static figure of a target: a picture with a tree below, as HTML.

It is what a saved, exported or untrusted notebook shows, so it is an image (a data URI,
which pages let through where they refuse SVG elements) with a text that stands for it,
and the tree in a block that unfolds. Where the interactive view is alive beside it, a
short style hides it; where that view cannot be, the style hides its line of complaint
instead.
"""

from __future__ import annotations

import base64
import html
from collections import deque
from typing import Any

from workbench.core.printing import plain
from workbench.viz.facts import Facts, facts, part
from workbench.viz.picture import svg
from workbench.viz.scene import Scene, scene
from workbench.viz.target import Target, resolve
from workbench.viz.text import panel_text

MOST_OPERATIONS = 220  # in a static picture; keeps it below 300 kB
MOST_CHARACTERS = 120_000  # of the tree below it

STYLE = """\
<style>
.symgraph-static { margin: 4px 0 8px; }
.symgraph-static img { max-width: 100%; height: auto; }
.symgraph-static pre { font-size: 12px; line-height: 1.35; overflow-x: auto; }
.jp-OutputArea-child:has(.symgraph-static):has(+ .jp-OutputArea-child .symgraph) {
  display: none;
}
.jp-OutputArea-child:has(.symgraph-static)
  + .jp-OutputArea-child:not(:has(.symgraph)):has(.jupyter-widgets) {
  display: none;
}
</style>"""


def figure(
    target: Any, found: Facts | None = None, before: bool = False, note: str = ""
) -> str:
    """The figure of a target as HTML.

    Parameters
    ----------
    target
        What to show.
    found
        Its facts, when they are at hand.
    before
        For a compiled target: the graph as it was built.
    note
        A remark to go with it.
    """
    resolved = resolve(target)
    found = found or facts(resolved)
    picture, left_out = static_svg(found, before, legend=True)
    image = base64.b64encode(picture.encode()).decode()
    tree = panel_text(resolved, before)
    if len(tree) > MOST_CHARACTERS:
        tree = tree[:MOST_CHARACTERS] + "\n…"
    words = alternative(found, before)
    caption = " ".join(part for part in (words, left_out, note) if part)
    return (
        f'{STYLE}<figure class="symgraph-static">'
        f'<img alt="{escaped(words)}" src="data:image/svg+xml;base64,{image}">'
        f"<figcaption>{escaped(caption)}</figcaption>"
        f"<details><summary>Tree</summary><pre>{escaped(tree, lines=True)}</pre>"
        "</details></figure>"
    )


def static_svg(
    found: Facts, before: bool = False, legend: bool = False
) -> tuple[str, str]:
    """The picture of a graph as SVG, and a note on what it leaves out, or nothing."""
    graph = found["graphs"][0 if before else -1]
    shown, note = nearest(graph), ""
    left_out = graph["operations"] - shown["operations"]
    if left_out:
        note = f"{left_out} operations far from the results are left out."
    words = alternative(found, before)
    drawn: Scene = scene(shown, True, found.get("kernels"))
    return svg(drawn, found["name"], f"{words} {note}".strip(), legend), note


def alternative(found: Facts, before: bool = False) -> str:
    """A picture in words, for those who do not see it.

    >>> from workbench.tensor import vector
    >>> alternative(facts(vector("x").sum(), name="total"))
    'Graph of total: from input x through 1 operation (sum) to output.'
    """
    graph = part(found["graphs"][0 if before else -1])
    leaves = [
        f"{node['kind']} {node['label']}"
        for node in graph["nodes"]
        if node["kind"] in ("input", "shared")
    ]
    n = graph["operations"]
    ops = [
        node["label"].partition("{")[0] for node in graph["nodes"] if "number" in node
    ]
    common = sorted(dict.fromkeys(ops), key=lambda op: -ops.count(op))
    words = ", ".join(common[:5]) + (" and others" if len(common) > 5 else "")
    results = [
        f"the new value of {role.removesuffix(' ←')}" if role.endswith("←") else role
        for _, _, role in graph["results"]
    ]
    return (
        f"Graph of {found['name']}: from {', '.join(leaves) or 'constants'} through "
        f"{n} operation{'s' * (n != 1)}{f' ({words})' * bool(ops)} "
        f"to {', '.join(results) or 'nothing'}."
    )


def nearest(graph: Facts, most: int = MOST_OPERATIONS) -> Facts:
    """The part of a graph nearest to its results; the graph itself when small."""
    if graph["operations"] <= most:
        return graph
    graph = part(graph)
    nodes = graph["nodes"]
    operands: dict[int, list[int]] = {}
    for source, _, target, _, _ in graph["edges"]:
        operands.setdefault(target, []).append(source)
    chosen: dict[int, None] = {}
    waiting = deque(node for node, _, _ in graph["results"])
    operations = 0
    while waiting:
        node = waiting.popleft()
        if node in chosen:
            continue
        if nodes[node]["kind"] == "operation":
            if operations == most:
                continue
            operations += 1
        chosen[node] = None
        waiting.extend(operands.get(node, ()))
    number = {old: new for new, old in enumerate(sorted(chosen))}
    return graph | {
        "nodes": [nodes[old] for old in number],
        "edges": [
            [number[s], output, number[t], position, in_place]
            for s, output, t, position, in_place in graph["edges"]
            if s in number and t in number
        ],
        "results": [[number[n], o, r] for n, o, r in graph["results"] if n in number],
        "operations": operations,
    }


def escaped(words: str, lines: bool = False) -> str:
    """Any text, safe in an element or a quoted attribute; `lines` keeps line ends."""
    parts = words.split("\n") if lines else [words]
    return "\n".join(html.escape(plain(part)) for part in parts)


def bundle(target: Target, found: Facts) -> dict[str, str]:
    """The static output of a panel, in every form a page may choose from."""
    return {
        "text/html": figure(target, found),
        "image/svg+xml": static_svg(found)[0],
        "text/plain": panel_text(target),
    }
