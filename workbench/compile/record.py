"""What a compilation leaves behind: the record of every stage.

Widgets, profiles, error messages and tests all read this one record. Each value here is
made once by its stage and never edited:

    Graph ──rewrite──▶ Graph + [Step] ──schedule──▶ [Kernel] ──emit──▶ Source
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core.graph import Apply, Shared, Variable, toposort
from workbench.core.lazy import lazy
from workbench.core.op import Op
from workbench.core.source import Origin


@dataclass(frozen=True)
class Graph:
    """What a function computes: its inputs, outputs, and the new values of shared variables.

    Attributes
    ----------
    inputs
        The arguments, in order.
    outputs
        What a call returns, in order.
    updates
        Pairs of a shared variable and the expression of its next value.
    """

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    updates: tuple[tuple[Shared, Variable], ...] = ()

    @property
    def results(self) -> tuple[Variable, ...]:
        """The outputs, then the new values."""
        return (*self.outputs, *(new for _, new in self.updates))

    def nodes(self) -> list[Apply]:
        """Every operation, each after those it needs."""
        return list(self._nodes)

    @lazy
    def _nodes(self) -> tuple[Apply, ...]:
        return tuple(toposort(self.results, self.inputs))

    def __getstate__(self) -> dict[str, Any]:
        return {key: v for key, v in self.__dict__.items() if key != "_nodes"}

    def toposort(self) -> list[Apply]:
        """The same under the name of the tradition."""
        return self.nodes()

    def with_results(self, results: Sequence[Variable]) -> Graph:
        """The same graph with other expressions for outputs and new values."""
        n = len(self.outputs)
        updates = tuple(
            (s, new) for (s, _), new in zip(self.updates, results[n:], strict=True)
        )
        return Graph(self.inputs, tuple(results[:n]), updates)


@dataclass(frozen=True)
class Step:
    """One rewrite: `rule` replaced `before` by `after`.

    `reason` says why the rule exists or what it found here, `seconds` how long it took.
    """

    number: int
    rule: str
    stage: str
    before: Variable
    after: Variable
    reason: str
    seconds: float = 0.0

    def __str__(self) -> str:
        place = self.before.location
        change = f"{self.before.label()} → {self.after.label()}"
        where = f"   {place.place}" if place else ""
        return f"{self.number:3d} {self.stage:<10} {self.rule:<24} {change}{where}"


@dataclass(frozen=True)
class Kernel:
    """A step of the compiled program: operations computed together.

    Attributes
    ----------
    number
        Its place in the order of execution, from 0.
    kind
        ``"loops"``: loops of ours. ``"blas"``: a call of the library. ``"own"``: C text
        of the op. ``"loop"``: a loop over steps that runs a graph inside an op. ``"branch"``:
        what is computed only where its branch is taken. ``"host"``: the NumPy reference, for an
        op without a kernel. ``"alias"``: nothing to do at run time.
    nodes
        The operations it computes, in order.
    reads, writes
        Stored values it takes and makes.
    in_place
        For a written value, the read value whose memory it takes over.
    commits
        Whether it writes into a shared variable, after everything that can fail.
    lines
        Its lines in the source, counted from 1, last one included; (0, 0) when it has none.
    """

    number: int
    kind: str
    nodes: tuple[Apply, ...]
    reads: tuple[Variable, ...]
    writes: tuple[Variable, ...]
    in_place: dict[Variable, Variable] = field(default_factory=dict)
    commits: bool = False
    lines: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """What it is called in the source: ``k3``."""
        return f"k{self.number}"

    def __str__(self) -> str:
        ops = " + ".join(str(node.op) for node in self.nodes)
        return f"{self.name} {self.kind}: {ops}" + (
            " (in place)" if self.in_place else ""
        )


@dataclass(frozen=True)
class Source:
    """Generated code and which node each line computes.

    `node_lines` has the line, counted from 1, where a node's value is computed; a node of a
    library or host kernel has the line of the call.
    """

    text: str
    node_lines: dict[Apply, int]


@dataclass(frozen=True)
class Compilation:
    """The record of one function: every stage's result and how long it took.

    Attributes
    ----------
    before, after
        The graph as the user built it, and as it is run.
    steps
        Every rewrite between them, in order.
    kernels
        The compiled program's steps in order of execution; empty for the NumPy back end.
    source
        The generated C, ``None`` for the NumPy back end.
    backend
        ``"c"`` or ``"numpy"``; `backend_reason` says why when it is not the one asked for.
    seconds
        Stage to seconds: ``rewrite``, ``schedule``, ``emit``, ``compile``.
    command
        The compiler command, one string an argument.
    cached
        Whether the compiled module came from the cache.
    compiled
        How many of its kernels were not found there, or 1 for a program compiled as a whole.
    notes
        What else to know, in sentences: a rule that was stopped, or that failed.
    """

    name: str
    mode: str
    before: Graph
    after: Graph
    steps: tuple[Step, ...]
    kernels: tuple[Kernel, ...] = ()
    source: Source | None = None
    backend: str = "numpy"
    backend_reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    cached: bool = False
    compiled: int = 0
    notes: tuple[str, ...] = ()

    def order(self) -> dict[Apply, int]:
        """The operations of the optimised graph in the order in which they run, from 0.

        What no kernel holds (a size, an index) is done just before its first need.
        """
        nodes, last = self.after.nodes(), len(self.kernels)
        runs: dict[Apply, int] = {}
        for kernel in self.kernels:
            for node in kernel.nodes:
                runs.setdefault(node, kernel.number)
        due = dict(runs)
        for node in reversed(nodes):
            for variable in node.inputs:
                owner = variable.owner
                if owner is not None and owner not in runs:
                    soon = due.get(node, last)
                    due[owner] = min(soon, due.get(owner, soon))
        nodes.sort(key=lambda node: due.get(node, last))
        return {node: number for number, node in enumerate(nodes)}

    def summary(self) -> str:
        """One line: what it is, how many nodes before and after, how long it took."""
        parts = [
            f"{self.name}  mode {self.mode}",
            f"{len(self.before.nodes())} → {len(self.after.nodes())} nodes, {len(self.steps)} rewrites "
            f"in {self.seconds.get('rewrite', 0.0):.2f} s",
        ]
        if self.backend == "c":
            made = (
                "from cache"
                if self.cached
                else f"in {self.seconds.get('compile', 0.0):.2f} s"
            )
            parts.append(f"C: {len(self.kernels)} kernels {made}")
        else:
            parts.append(
                "NumPy" + (f" ({self.backend_reason})" if self.backend_reason else "")
            )
        parts += self.notes
        return "  ".join(parts)


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
