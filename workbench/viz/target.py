"""What a view is asked to show, brought into one form.

People pass a compiled function, its record, a graph, a variable or several; every view
starts from a :class:`Target`. Read next: :mod:`workbench.viz.facts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workbench.compile.record import Compilation, Graph, Kernel, Known
from workbench.core.graph import Apply, Constant, Shared, Variable, graph_inputs
from workbench.core.inner import nodes_within
from workbench.core.printing import plain


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

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels, in terms of the nodes and values of the graph that is run."""
        return () if self.record is None else self.record.kernels

    @property
    def source_lines(self) -> dict[Apply, int]:
        """The line of the generated code of each node of the graph that is run."""
        if self.record is None or self.record.source is None:
            return {}
        return self.record.source.node_lines

    def spans(self) -> dict[int, tuple[int, int]]:
        """For each kernel its lines, the first and the last, with those of what it holds.

        The code of a graph inside an operation stands just before that of the operation.
        """
        if self.record is None or self.record.source is None:
            return {}
        lines = self.record.source.text.split("\n")
        end = _end_of_function(lines, "static int prepare(")
        found: dict[int, tuple[int, int]] = {}
        for kernel in sorted(self.kernels, key=lambda kernel: kernel.lines):
            first, last = kernel.lines
            if kernel.kind in ("loop", "branch"):
                between = range(end + 1, first)
                starts = (n for n in between if lines[n - 1].startswith("static "))
                first = next(starts, first)
            found[kernel.number] = (first, last)
            end = max(end, last)
        return found

    def inner_lines(self) -> dict[Apply, int]:
        """The line of the generated code of each node inside an operation that is run."""
        if self.record is None or self.record.source is None:
            return {}
        found: dict[Apply, int] = {}
        spans = self.spans()
        for kernel in self.kernels:
            first, last = spans[kernel.number]
            for _, inner in nodes_within(kernel.nodes):
                inputs, outputs = tuple(inner.inputs), tuple(inner.outputs)
                known = Known(Graph(inputs, outputs))
                for part, line in self.source_lines.items():
                    node = known.node(part) if first <= line <= last else None
                    if node is not None:
                        found.setdefault(node, line)
        return found

    def order(self, before: bool = False) -> dict[Apply, int]:
        """The place of each operation in the order of execution."""
        if self.record is not None and not before:
            return self.record.order()
        return {node: n for n, node in enumerate(self.graph(before).nodes())}

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


def _end_of_function(lines: list[str], head: str) -> int:
    """The last line, counted from 1, of the function that starts so; 0 when there is none."""
    inside = False
    for number, line in enumerate(lines, 1):
        inside = inside or line.startswith(head)
        if inside and line == "}":
            return number
    return 0
