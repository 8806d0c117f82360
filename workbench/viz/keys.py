"""Names for nodes that stay the same from run to run.

A key is ``hash:line:column:ordinal``: which cell or file, where in it, and the
how-manyth node made there. Running an unchanged cell again gives the same keys, so that
a selection survives. A node of the compiled graph that no rewrite touched has the key
it had in the graph the user built, although compiling made a copy of it.

A node of a graph inside an operation has that operation's key in front of its own,
``key>hash:line:column:ordinal``, since the same inner graph may be at several places.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workbench.compile.record import Graph
from workbench.core.graph import Apply, Variable, graph_inputs
from workbench.core.inner import InnerGraph
from workbench.core.source import Location

CELL = re.compile(r"ipykernel_\d+[/\\](?P<a>\w+)\.py$|^<ipython-input-\d+-(?P<b>\w+)>$")

MOST_INSIDE = 5_000  # operations inside others that a view shows


@dataclass(frozen=True)
class Inside:
    """A graph inside an operation, at one place of a graph.

    Attributes
    ----------
    node, inner
        The operation, and the graph.
    holder
        Where the operation is: the number of an :class:`Inside` in the same list, or -1.
    keys
        The keys of its operations and leaves.
    """

    node: Apply
    inner: InnerGraph
    holder: int
    keys: dict[Apply | Variable, str]

    def leaves(self) -> list[Variable]:
        """Its inputs, then what else is not computed in it."""
        inner = self.inner
        found = dict.fromkeys(inner.inputs)
        return list(found | dict.fromkeys(graph_inputs(inner.outputs, inner.inputs)))


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

    def insides(self, graph: Graph) -> list[Inside]:
        """The graphs inside the operations of a graph, outer ones before what they hold."""
        found: list[Inside] = []
        waiting = [(node, -1) for node in graph.nodes()]
        total = 0
        for node, holder in waiting:  # grows while it is read
            around = self.of if holder < 0 else found[holder].keys
            for number, inner in enumerate(node.op.inner_graphs(node)):
                nodes = inner.nodes()
                total += len(nodes)
                if total > MOST_INSIDE:
                    return found
                prefix = f"{around[node]}>{f'{number}>' * bool(number)}"
                found.append(self._inside(node, inner, holder, prefix, nodes))
                waiting += [(each, len(found) - 1) for each in nodes]
        return found

    def _inside(
        self,
        node: Apply,
        inner: InnerGraph,
        holder: int,
        prefix: str,
        nodes: Sequence[Apply],
    ) -> Inside:
        # Counted anew for each: an operation that no rewrite touched holds the same keys.
        used: dict[str, int] = {}
        made = Inside(node, inner, holder, {})
        for leaf in made.leaves():
            made.keys[leaf] = prefix + _numbered(leaf.location, used)
        for each in nodes:
            made.keys[each] = prefix + _numbered(each.origin.location, used)
        return made

    def _new(self, location: Location | None) -> str:
        return _numbered(location, self._used)


def _numbered(location: Location | None, used: dict[str, int]) -> str:
    """A place with the number of those made there before."""
    if location is None:
        place = "unknown:0:0"
    else:
        place = f"{file_hash(location.file)}:{location.line}:{location.column}"
    ordinal = used.get(place, 0)
    used[place] = ordinal + 1
    return f"{place}:{ordinal}"
