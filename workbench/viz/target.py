"""What a view is asked to show, brought into one form.

People pass a compiled function, its record, a graph, a variable or several; every view
starts from a :class:`Target`. Read next: :mod:`workbench.viz.facts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from workbench.compile.record import Compilation, Graph, Kernel
from workbench.core.graph import Apply, Constant, Shared, Variable, graph_inputs
from workbench.core.op import Op
from workbench.core.printing import plain
from workbench.core.source import Origin


@dataclass(frozen=True)
class Target:
    """A graph to show, with the record of its compilation when it was compiled.

    Attributes
    ----------
    name
        How it is called; names come from users and may hold anything.
    before
        The graph as the user built it.
    record
        What compiling it left behind, or ``None``.
    """

    name: str
    before: Graph
    record: Compilation | None = None

    @property
    def after(self) -> Graph | None:
        """The graph as it is run, or ``None`` when nothing was compiled."""
        return None if self.record is None else self.record.after

    def graph(self, before: bool = False) -> Graph:
        """The graph as it is run, or as the user built it."""
        return self.before if before or self.after is None else self.after

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels, in terms of the nodes and values of the graph that is run.

        The program is made from a copy of that graph, in which some operations are
        taken apart into simpler ones.
        """
        if self.record is None:
            return ()
        known = Known(self.record.after)
        return tuple(
            replace(
                kernel,
                nodes=tuple(known.nodes(kernel.nodes)),
                reads=tuple(known.values(kernel.reads)),
                writes=tuple(known.values(kernel.writes)),
                in_place=self.takeovers(kernel, known),
            )
            for kernel in self.record.kernels
        )

    def takeovers(self, kernel: Kernel, known: Known) -> dict[Variable, Variable]:
        """What a kernel writes over: values of its own, and shared variables."""
        found = {
            known.value(written, written): known.value(read, read)
            for written, read in kernel.in_place.items()
        }
        if kernel.commits and self.after is not None:
            written = {known.value(v, v) for v in kernel.writes}
            read = {known.value(v, v) for v in kernel.reads}
            for shared, new in self.after.updates:
                if new in written and shared in read:
                    found[new] = shared
        return found

    @cached_property
    def source_lines(self) -> dict[Apply, int]:
        """The line of the generated code of each node of the graph that is run.

        Of a node that was taken apart it is the last, which makes its value; of one
        whose kernel is a mere call, the first of the kernel.
        """
        if self.record is None or self.record.source is None:
            return {}
        known = Known(self.record.after)
        spans = {node: k.lines for k in self.kernels for node in k.nodes}
        lines: dict[Apply, int] = {}
        for node, line in self.record.source.node_lines.items():
            own = known.node(node)
            if own is None:
                continue
            first, last = spans.get(own, (0, line))
            if first <= line <= last:
                lines[own] = max(line, lines.get(own, line))
            elif first:  # a check before the kernels
                lines.setdefault(own, first)
        return lines

    def order(self, before: bool = False) -> dict[Apply, int]:
        """The place of each operation in the order of execution."""
        nodes = self.graph(before).nodes()
        place = {node: n for n, node in enumerate(nodes)}
        if not before:
            runs: dict[Apply, int] = {}
            for kernel in self.kernels:
                for node in kernel.nodes:
                    runs.setdefault(node, kernel.number)
            # What no kernel holds (a size, an index) is done just before its first
            # need.
            due = dict(runs)
            for node in reversed(nodes):
                for variable in node.inputs:
                    if variable.owner is not None and variable.owner not in runs:
                        soon = due.get(node, len(self.kernels))
                        owner = variable.owner
                        due[owner] = min(soon, due.get(owner, soon))
            nodes.sort(key=lambda node: (due.get(node, len(self.kernels)), place[node]))
        return {node: n for n, node in enumerate(nodes)}

    def in_place(self, before: bool = False) -> dict[Variable, Variable]:
        """For values that take over memory when run: the value whose memory that is."""
        if before:
            return {}
        return {
            written: read
            for kernel in self.kernels
            for written, read in kernel.in_place.items()
        }

    def summary(self) -> str:
        """One line: what it is and how large."""
        if self.record is not None:
            return plain(self.record.summary())
        n = len(self.before.nodes())
        return f"{plain(self.name)}  {n} node{'s' * (n != 1)}, not compiled"


class Known:
    """Finds for a node of a derived graph the node of `graph` that it belongs to.

    A copy has the origin of what it copies; a part says in its origin what it replaces.
    """

    def __init__(self, graph: Graph) -> None:
        nodes = graph.nodes()
        self.own = set(nodes)
        self.alike: dict[tuple[Origin, Op], Apply] = {}
        for node in nodes:
            self.alike.setdefault((node.origin, node.op), node)

    def node(self, node: Apply) -> Apply | None:
        """The node of the graph, or ``None`` when there is none."""
        at: Apply | None = node
        seen: set[Apply] = set()
        while at is not None and at not in seen:
            if at in self.own:
                return at
            if (at.origin, at.op) in self.alike:
                return self.alike[at.origin, at.op]
            seen.add(at)
            at = at.origin.replaces
        return None

    def value(self, variable: Variable, other: Variable) -> Variable:
        """The value of the graph, or `other` when there is none; a leaf is itself."""
        node = None if variable.owner is None else self.node(variable.owner)
        if node is None:
            return variable if variable.owner is None else other
        return node.outputs[min(variable.index, len(node.outputs) - 1)]

    def nodes(self, nodes: Iterable[Apply]) -> dict[Apply, None]:
        """The nodes of the graph that some nodes are, each once."""
        return dict.fromkeys(n for n in map(self.node, nodes) if n is not None)

    def values(self, variables: Iterable[Variable]) -> dict[Variable, None]:
        """The values of the graph that some variables are, each once."""
        return dict.fromkeys(self.value(v, v) for v in variables)


def resolve(target: Any, name: str = "") -> Target:
    """Bring anything that can be shown into one form.

    Parameters
    ----------
    target
        A compiled function (anything with a ``compilation``), a Compilation, a Graph, a
        Variable, or several variables.
    name
        What to call it in place of its own name.

    Raises
    ------
    TypeError
        It is none of these.
    """
    if isinstance(target, Target):
        return target
    record = getattr(target, "compilation", target)
    if isinstance(record, Compilation):
        return Target(
            name or getattr(target, "name", None) or record.name, record.before, record
        )
    if isinstance(target, Graph):
        return Target(name or "graph", target)
    if isinstance(target, Variable):
        return Target(name or target.name or "graph", graph_of([target]))
    if isinstance(target, Iterable) and not isinstance(target, str | bytes):
        variables = list(target)
        if variables and all(isinstance(v, Variable) for v in variables):
            return Target(name or "graph", graph_of(variables))
    raise TypeError(
        "a compiled function, a variable or a list of variables can be shown, "
        f"not {type(target).__name__}."
    )


def graph_of(outputs: list[Variable]) -> Graph:
    """The graph of some variables: their inputs are the leaves that have no value."""
    leaves = graph_inputs(outputs)
    inputs = tuple(v for v in leaves if not isinstance(v, Constant | Shared))
    return Graph(inputs, tuple(outputs))


def result_labels(graph: Graph) -> list[tuple[str, Variable]]:
    """The results of a graph, each with what it is for: nothing, or ``W ←``."""
    labels = [("", v) for v in graph.outputs]
    labels += [(f"{plain(s.name or 'shared')} ←", new) for s, new in graph.updates]
    return labels
