"""Names for nodes that stay the same from run to run.

A key is ``hash:line:column:ordinal``: which cell or file, where in it, and the
how-manyth node made there. Running an unchanged cell again gives the same keys, so that
a selection survives. A node of the compiled graph that no rewrite touched has the key
it had in the graph the user built, although compiling made a copy of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from workbench.compile.record import Graph
from workbench.core.graph import Apply, Variable, graph_inputs
from workbench.core.source import Location

CELL = re.compile(r"ipykernel_\d+[/\\](?P<a>\w+)\.py$|^<ipython-input-\d+-(?P<b>\w+)>$")


def file_hash(file: str) -> str:
    """Eight characters for a file, or for the text of a cell.

    >>> file_hash("<ipython-input-5-0123456789ab>")
    '01234567'
    """
    cell = CELL.search(file)
    if cell:
        return (cell["a"] or cell["b"])[:8]
    return hashlib.sha256(file.encode(errors="replace")).hexdigest()[:8]


class Keys:
    """Keys for operations and leaves of one target's graphs, the plain one first."""

    def __init__(self, graphs: Iterable[Graph]) -> None:
        self.of: dict[Apply | Variable, str] = {}
        self._used: dict[str, int] = {}
        self._alike: dict[tuple[object, ...], list[str]] = {}
        for number, graph in enumerate(graphs):
            self._add(graph, number > 0)

    def _add(self, graph: Graph, is_copy: bool) -> None:
        taken: dict[tuple[object, ...], int] = {}
        for leaf in graph_inputs(graph.results, graph.inputs):
            if leaf not in self.of:
                self.of[leaf] = self._new(leaf.location)
        for unused in (*graph.inputs, *(shared for shared, _ in graph.updates)):
            if unused not in self.of:
                self.of[unused] = self._new(unused.location)
        for node in graph.nodes():
            alike = (node.origin, node.op)
            position = taken.get(alike, 0)
            taken[alike] = position + 1
            if node in self.of:
                continue
            known = self._alike.setdefault(alike, [])
            if is_copy and position < len(known):
                self.of[node] = known[position]
                continue
            self.of[node] = self._new(node.origin.location)
            known.append(self.of[node])

    def _new(self, location: Location | None) -> str:
        if location is None:
            place = "unknown:0:0"
        else:
            place = f"{file_hash(location.file)}:{location.line}:{location.column}"
        ordinal = self._used.get(place, 0)
        self._used[place] = ordinal + 1
        return f"{place}:{ordinal}"
