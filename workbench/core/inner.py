"""What an op says of the graphs inside it, so that they can be shown.

An op that holds graphs (a loop, a graph with a name, a branch) lists them in
:meth:`workbench.core.op.Op.inner_graphs`, each with how its variables belong to those of
the node it is in. Views know this list and no single op.

Read next: :mod:`workbench.core.op`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.core.graph import Apply, Variable, toposort


@dataclass(frozen=True)
class Link:
    """What a variable of an inner graph is outside.

    Attributes
    ----------
    words
        A phrase in which ``{}`` stands for each variable in turn: ``"{} at t"``.
    inputs, outputs
        Those variables: places among the inputs of the node, then among its outputs.
    """

    words: str
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()

    def variables(self, node: Apply) -> list[Variable]:
        """The variables outside, in the order of the phrase."""
        own = [node.inputs[i] for i in self.inputs]
        return own + [node.outputs[i] for i in self.outputs]

    def text(self, node: Apply, name: Callable[[Variable], str]) -> str:
        """The phrase with the names of the variables."""
        return self.words.format(*map(name, self.variables(node)))


@dataclass(frozen=True)
class InnerGraph:
    """A graph inside an op.

    Attributes
    ----------
    inputs, outputs
        Its variables, which occur nowhere outside.
    reads, writes
        What each of them is outside.
    about
        When it is run, in a few words, or nothing.
    """

    inputs: Sequence[Variable]
    outputs: Sequence[Variable]
    reads: Sequence[Link]
    writes: Sequence[Link]
    about: str = ""

    def nodes(self) -> list[Apply]:
        """Every operation, each after those it needs."""
        return toposort(self.outputs, self.inputs)


def nodes_within(nodes: Sequence[Apply]) -> list[tuple[Apply, InnerGraph]]:
    """The graphs inside some nodes, and those inside their nodes, each with its node.

    Outer ones come before what they hold, earlier nodes before later ones.
    """
    found = [(node, inner) for node in nodes for inner in node.op.inner_graphs(node)]
    for _, inner in found:  # grows while it is read
        found += [
            (node, deeper)
            for node in inner.nodes()
            for deeper in node.op.inner_graphs(node)
        ]
    return found
