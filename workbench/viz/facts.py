"""Everything a view says about a target, as plain data.

:func:`facts` turns a compiled function or a graph into dictionaries, lists, strings and
numbers. It is what the picture is drawn from, what the widget sends to the page, and
what tests look at; nothing else in this package reads the compiler's values. Fields
that say nothing are left out, since 5,000 operations shall be sent in about a megabyte.

Read next: :mod:`workbench.viz.scene`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from workbench.compile.record import Compilation, Graph, Step
from workbench.core.graph import Apply, Constant, Shared, Variable, graph_inputs
from workbench.core.inner import Link
from workbench.core.op import Op
from workbench.core.printing import (
    TreeOptions,
    display_name,
    forward_node,
    inner_name,
    leaf_text,
    outside_name,
    plain,
    short_label,
)
from workbench.core.source import Location, Origin
from workbench.core.types import shape_text
from workbench.viz.keys import Inside, Keys
from workbench.viz.target import Target, resolve, result_labels
from workbench.viz.text import target_lines

Facts = dict[str, Any]

LONGEST_TREE = 1_200  # lines of a tree that a view carries
MOST_ANCESTORS = 8  # nodes of the plain graph named for one of the compiled graph
KERNELS = {
    "loops": "loops of ours",
    "loop": "a loop over steps, each of which runs the graph inside",
    "branch": "what is computed only where its branch is taken",
    "blas": "a call of the BLAS library",
    "own": "C text that the operation brings",
    "host": "NumPy, from the compiled program: this operation has no kernel",
    "alias": "nothing to compute: the same memory, looked at differently",
}


def facts(target: Any, name: str = "") -> Facts:
    """All that is known of a target.

    Returns
    -------
    dict
        ``name mode summary`` in words; ``graphs``, one or two, each with its ``title``
        (``"before"``, ``"after"``), ``nodes``, ``edges``, ``results``, ``operations``
        (how many), ``tree`` (lines of text) and ``tree_nodes`` (the node of each);
        ``lines``, ``abouts``, ``kernels`` and ``steps``, which nodes refer to by
        number; ``source``, the generated code, or nothing.

        An edge is ``[from, output, to, position, in place]``, a result ``[node, output,
        role]``. Nodes are numbered by their place in ``nodes``, and named by ``key``.

        What lies inside operations follows what does not in ``nodes`` and ``edges``;
        such a node says in ``inside`` which of the ``insides`` it belongs to. Each of
        those says ``of`` which node it is, ``about`` when it runs, its share of
        ``nodes`` and of ``edges`` (the first and how many), its ``results``, and what
        stands for what outside: ``reads``, for each of its inputs (its first nodes), and
        ``writes``, for each result, have two lists, of inputs and of outputs of ``of``.
    """
    return _Facts(resolve(target, name)).all()


class _Facts:
    """The facts of one target while they are gathered."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.record: Compilation | None = target.record
        graphs = [target.before] + ([target.after] if target.after is not None else [])
        self.graphs: list[Graph] = graphs
        keys = Keys(graphs)
        self.insides = [keys.insides(graph) for graph in graphs]
        # What is inside may be at several places; the first stands for all.
        self.keys = dict(keys.of)
        for each in chain.from_iterable(self.insides):
            for named, key in each.keys.items():
                self.keys.setdefault(named, key)
        self.lines: dict[tuple[Any, ...], int] = {}
        self.line_facts: list[Facts] = []
        self.abouts: dict[str, int] = {}
        steps = self.record.steps if self.record is not None else ()
        # A node is copied whenever an input changes, but the copy keeps its origin.
        self.made_by: dict[Origin, list[Step]] = {}
        for step in steps:
            if step.after.owner is not None:
                self.made_by.setdefault(step.after.owner.origin, []).append(step)
        self.kernel_of: dict[Apply, int] = {}
        for kernel in target.kernels:
            for node in kernel.nodes:
                self.kernel_of.setdefault(node, kernel.number)
        self.present = {self.keys[node] for node in self.nodes(0)}
        self.plain: dict[Origin, list[Apply]] = {}
        for node in self.nodes(0):
            self.plain.setdefault(node.origin, []).append(node)
        self.inner_lines = {} if self.record is None else target.inner_lines()
        self.names = self.carried_names()

    def all(self) -> Facts:
        drawn = [self.graph(number) for number in range(len(self.graphs))]
        steps = self.steps()
        if len(drawn) == 2:
            pair(drawn[0]["nodes"], drawn[1]["nodes"], merges(steps))
        return compact(
            name=plain(self.target.name),
            mode=self.record.mode if self.record else "",
            summary=self.target.summary(),
            graphs=drawn,
            lines=self.line_facts,
            abouts=list(self.abouts),
            kernels=self.kernels(),
            steps=steps,
            source=self.record.source.text
            if self.record and self.record.source
            else "",
            command=[plain(a) for a in self.record.command] if self.record else [],
        )

    # --- a graph ---------------------------------------------------------------------

    def nodes(self, number: int) -> list[Apply]:
        """The operations of a graph, and of those inside it, each once."""
        found = dict.fromkeys(self.graphs[number].nodes())
        for each in self.insides[number]:
            found |= dict.fromkeys(each.inner.nodes())
        return list(found)

    def graph(self, number: int) -> Facts:
        graph, before = self.graphs[number], number == 0
        order = self.target.order(before)
        in_place = self.target.in_place(before)
        leaves = dict.fromkeys(graph.inputs)
        leaves |= dict.fromkeys(graph_inputs(graph.results, graph.inputs))
        leaves |= dict.fromkeys(shared for shared, _ in graph.updates)
        operations = sorted(graph.nodes(), key=order.__getitem__)
        where: dict[Variable | None, tuple[int, int]] = {}
        for place, leaf in enumerate(leaves):
            where[leaf] = (place, 0)
        for place, node in enumerate(operations, len(leaves)):
            where.update((v, (place, v.index)) for v in node.outputs if v not in where)
        nodes = [self.leaf(leaf) for leaf in leaves]
        nodes += [
            self.operation(node, order[node], in_place, before) for node in operations
        ]
        taken = self.taken_over(in_place, before)
        edges = [
            [*where[v], place, position, int((node, v) in taken)]
            for place, node in enumerate(operations, len(leaves))
            for position, v in enumerate(node.inputs)
        ]
        insides = self.inside(number, nodes, edges, where)
        tree = target_lines(self.target, before, TreeOptions(ids=""))
        return {
            "title": "before" if before else "after",
            "nodes": nodes,
            "edges": edges,
            "results": [[*where[v], role] for role, v in self.roles(graph)],
            "operations": len(operations),
            "tree": [line for line, _ in tree[:LONGEST_TREE]],
            "tree_nodes": [
                where[v][0] if v in where else -1 for _, v in tree[:LONGEST_TREE]
            ],
            "tree_left_out": max(0, len(tree) - LONGEST_TREE),
            "insides": insides,
        }

    def inside(
        self,
        number: int,
        nodes: list[Facts],
        edges: list[list[int]],
        where: dict[Variable | None, tuple[int, int]],
    ) -> list[Facts]:
        """The graphs inside operations; adds to the nodes, to the edges, and to where."""
        found: list[Facts] = []
        places = [dict(where)]  # of the graph, then of each inside
        for place, each in enumerate(self.insides[number]):
            inner, first, first_edge = each.inner, len(nodes), len(edges)
            of = places[each.holder + 1][each.node.outputs[0]][0]
            here: dict[Variable | None, tuple[int, int]] = {}
            for leaf in each.leaves():
                here[leaf] = (len(nodes), 0)
                nodes.append(self.leaf(leaf, each) | {"inside": place})
            for order, node in enumerate(inner.nodes()):
                at = len(nodes)
                here.update((v, (at, v.index)) for v in node.outputs if v not in here)
                edges += [[*here[v], at, i, 0] for i, v in enumerate(node.inputs)]
                made = self.operation(node, order, {}, number == 0, each)
                nodes.append(made | {"inside": place})
                if "kernel" in nodes[of]:
                    nodes[-1]["kernel"] = nodes[of]["kernel"]
            places.append(here)
            where |= {v: at for v, at in here.items() if v not in where}
            words = [_outside(each, link) for link in inner.writes]
            found.append(
                {
                    "of": of,
                    "title": nodes[of]["label"],
                    "about": inner.about,
                    "operations": len(inner.nodes()),
                    "nodes": [first, len(nodes) - first],
                    "edges": [first_edge, len(edges) - first_edge],
                    "results": [
                        [*here[v], words[i]] for i, v in enumerate(inner.outputs)
                    ],
                    "reads": [[[*k.inputs], [*k.outputs]] for k in inner.reads],
                    "writes": [[[*k.inputs], [*k.outputs]] for k in inner.writes],
                }
            )
        return found

    def leaf(self, leaf: Variable, inside: Inside | None = None) -> Facts:
        kind = "input"
        if isinstance(leaf, Shared):
            kind = "shared"
        elif isinstance(leaf, Constant):
            kind = "constant"
        shape = leaf.storage[0].shape if isinstance(leaf, Shared) else leaf.type.shape
        label, stands_for = leaf_text(leaf), ""
        if inside is not None and leaf in inside.inner.inputs:
            link = inside.inner.reads[list(inside.inner.inputs).index(leaf)]
            stands_for = _outside(inside, link)
            label = inner_name(inside.node, leaf, link)
        return compact(
            key=(self.keys if inside is None else inside.keys)[leaf],
            kind=kind,
            label=label,
            outputs=[[display_name(leaf), f"{leaf.dtype} {shape_text(shape)}"
                      if isinstance(leaf, Shared) else str(leaf.type)]],
            line=self.line(leaf.location),
            stands_for=stands_for,
        )  # fmt: skip

    def operation(
        self,
        node: Apply,
        number: int,
        in_place: dict[Variable, Variable],
        before: bool,
        inside: Inside | None = None,
    ) -> Facts:
        forward = forward_node(node)
        line = self.target.source_lines.get(node) or self.inner_lines.get(node)
        return compact(
            key=(self.keys if inside is None else inside.keys)[node],
            kind="operation",
            label=plain(str(node.op)),
            about=self.about(node),
            outputs=[[self.name(v), str(v.type)] for v in node.outputs],
            line=self.line(node.origin.location),
            number=number,
            steps=[] if before else [step.number for step in self.history(node)],
            from_keys=[] if before else self.ancestors(node),
            same=inside is not None and not before and self.is_kept(node),
            kernel=None if before else self.kernel_of.get(node),
            c_line=None if before else line,
            in_place=[short_label(in_place[v]) for v in node.outputs if v in in_place],
            forward=_forward(forward, self.keys),
        )

    def taken_over(
        self, in_place: dict[Variable, Variable], before: bool
    ) -> set[tuple[Apply, Variable]]:
        """Reads after which the memory is written over: a reader and a value each."""
        if before:
            return set()
        return {
            (node, read)
            for kernel in self.target.kernels
            for read in kernel.in_place.values()
            for node in kernel.nodes
            if read in node.inputs
        }

    def roles(self, graph: Graph) -> list[tuple[str, Variable]]:
        several = len(graph.outputs) > 1
        names = [
            f"output {i}" if several else "output" for i in range(len(graph.outputs))
        ]
        names += [label for label, _ in result_labels(graph)[len(names) :]]
        return list(zip(names, graph.results, strict=True))

    # --- history ----------------------------------------------------------------------

    def chain(self, node: Apply) -> list[Origin]:
        """The origins of a node and of those it replaces, the oldest last."""
        found: dict[Origin, None] = {}
        at: Apply | None = node
        while at is not None and at.origin not in found:
            found[at.origin] = None
            at = at.origin.replaces
        return list(found)

    def history(self, node: Apply) -> list[Step]:
        """The rewrites that made a node, in order."""
        found = {s.number: s for o in self.chain(node) for s in self.made_by.get(o, ())}
        return [found[n] for n in sorted(found) if found[n].rule != "merge"]

    def ancestors(self, node: Apply) -> list[str]:
        """Keys of the nodes of the plain graph that it stands for."""
        key = self.keys.get(node)
        if key in self.present:
            return [key]
        oldest, seen = node, {node}
        while (older := oldest.origin.replaces) is not None and older not in seen:
            oldest = older
            seen.add(older)
        if self.keys.get(oldest) in self.present:
            return [self.keys[oldest]]
        family = self.plain.get(oldest.origin, [])
        alike = [n for n in family if n.op == oldest.op]
        return [self.keys[n] for n in (alike or family)[:MOST_ANCESTORS]]

    def is_kept(self, node: Apply) -> bool:
        """Whether a node inside an operation is in the plain graph as it is."""
        return any(old.op == node.op for old in self.plain.get(node.origin, ()))

    def carried_names(self) -> dict[tuple[Origin, Op, int], str]:
        """Names that a cell gave to values, for what rewriting made of those.

        The engine carries names, but not those that a cell gave after compiling. Nodes
        of a gradient share an origin, so only the user's own nodes are sure to be
        meant.
        """
        names = {
            (node.origin, node.op, v.index): display_name(v)
            for node in self.nodes(0)
            for v in node.outputs
            if display_name(v) and node.origin.forward is None
        }
        for step in self.record.steps if self.record is not None else ():
            old, new = step.before, step.after
            if old.owner is None or new.owner is None:
                continue
            name = names.get((old.owner.origin, old.owner.op, old.index))
            if name:
                names.setdefault((new.owner.origin, new.owner.op, new.index), name)
        return names

    def name(self, variable: Variable) -> str:
        if own := display_name(variable):
            return own
        node = variable.owner
        return (
            self.names.get((node.origin, node.op, variable.index), "") if node else ""
        )

    # --- tables ----------------------------------------------------------------------

    def line(self, location: Location | None) -> int | None:
        if location is None:
            return None
        key = (location.file, location.line, location.column, location.end_column)
        if key not in self.lines:
            self.lines[key] = len(self.lines)
            indent = len(location.text) - len(location.text.lstrip())
            self.line_facts.append(
                compact(
                    place=plain(location.place),
                    code=plain(location.code),
                    start=max(0, location.column - indent),
                    end=max(0, location.end_column - indent),
                    line=location.line,
                )
            )
        return self.lines[key]

    def about(self, node: Apply) -> int:
        """The first line of an op's documentation."""
        words = plain((type(node.op).__doc__ or "").strip().partition("\n")[0])
        return self.abouts.setdefault(words, len(self.abouts))

    def kernels(self) -> list[Facts]:
        return [
            compact(
                name=kernel.name,
                kind=kernel.kind,
                about=KERNELS.get(kernel.kind, kernel.kind),
                nodes=[self.keys[node] for node in kernel.nodes if node in self.keys],
                commits=kernel.commits,
                lines=list(kernel.lines) if kernel.lines != (0, 0) else [],
            )
            for kernel in self.target.kernels
        ]

    def steps(self) -> list[Facts]:
        if self.record is None:
            return []
        images: dict[int, list[str]] = {}
        for node in self.nodes(-1):
            for step in self.history(node):
                images.setdefault(step.number, []).append(self.keys[node])
        for step in self.record.steps:
            if step.rule == "merge" and step.after.owner is not None:
                images[step.number] = self.ancestors(step.after.owner)
        return [
            compact(
                number=step.number,
                rule=plain(step.rule),
                stage=plain(step.stage),
                reason=plain(step.reason),
                before=_short(step.before),
                after=_short(step.after),
                before_keys=self.ancestors(step.before.owner)
                if step.before.owner is not None
                else [],
                after_keys=images.get(step.number, []),
                line=self.line(step.before.location),
            )
            for step in self.record.steps
        ]


def pair(
    before: list[Facts], after: list[Facts], merged: Mapping[str, Sequence[str]]
) -> None:
    """Say for every operation what became of it, or where it came from.

    Adds ``pairs`` (keys in the other graph) and ``fate``: ``kept``, ``rewritten``,
    ``merged`` into an equal one, ``gone``, or ``new`` when no node of the plain graph
    is known to stand behind it.
    """
    images: dict[str, list[str]] = {}
    unchanged: set[str] = set()
    for node in after:
        if node["kind"] != "operation":
            continue
        sources = node.pop("from_keys", [])
        kept = node.pop("same", False) or node["key"] in sources
        unchanged.update(sources * kept)
        node["fate"] = "kept" if kept else "rewritten" if sources else "new"
        if sources:
            node["pairs"] = sources
        for key in sources:
            images.setdefault(key, []).append(node["key"])
    present = {node["key"] for node in after}
    for node in before:
        if node["kind"] != "operation":
            continue
        key = node["key"]
        keys = images.get(key, [])
        kept = bool(keys) and key in unchanged
        node["fate"] = "kept" if kept else "rewritten" if keys else "gone"
        if not keys and (keys := [k for k in merged.get(key, ()) if k in present]):
            node["fate"] = "merged"
        if keys:
            node["pairs"] = keys


def merges(steps: Sequence[Facts]) -> dict[str, list[str]]:
    """For operations merged into an equal one: the key of that one."""
    found: dict[str, list[str]] = {}
    for step in steps:
        if step["rule"] == "merge":
            for key in step.get("before_keys", ()):
                found.setdefault(key, []).extend(step.get("after_keys", ()))
    return found


def part(graph: Facts, inside: int | None = None) -> Facts:
    """A graph without what is inside its operations, or one of the graphs inside.

    Its nodes are numbered from 0, as those of any graph.
    """
    insides = graph.get("insides") or []
    if inside is None:
        if not insides:
            return graph
        n, m = insides[0]["nodes"][0], insides[0]["edges"][0]
        return graph | {
            "nodes": graph["nodes"][:n],
            "edges": graph["edges"][:m],
            "insides": [],
        }
    own = insides[inside]
    (n, count), (m, edges) = own["nodes"], own["edges"]
    return {
        "title": own["title"],
        "nodes": graph["nodes"][n : n + count],
        "edges": [
            [source - n, output, target - n, position, in_place]
            for source, output, target, position, in_place in graph["edges"][
                m : m + edges
            ]
        ],
        "results": [[node - n, output, role] for node, output, role in own["results"]],
        "operations": own["operations"],
    }


def fates(graph: Facts) -> dict[str, int]:
    """How many operations of a graph were kept, rewritten, new or gone."""
    return dict(Counter(n["fate"] for n in graph["nodes"] if "fate" in n))


def compact(**fields: Any) -> Facts:
    """A dictionary without the fields that say nothing."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value is not False and value != "" and value != []
    }


def _outside(inside: Inside, link: Link) -> str:
    return link.text(inside.node, lambda v: outside_name(inside.node, v))


def _forward(node: Apply | None, keys: dict[Any, str]) -> Facts | None:
    if node is None:
        return None
    location = node.origin.location
    return compact(
        label=plain(str(node.op)),
        key=keys.get(node),
        line=location.line if location else None,
    )


def _short(variable: Variable) -> str:
    text = plain(variable.label())
    return text if len(text) <= 120 else text[:119] + "…"
