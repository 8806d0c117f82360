"""How much the gradient of a loop keeps, with and without checkpoints.

Read next: :mod:`workbench.core.checkpoints`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import ArgumentError, Report
from workbench.core.evaluate import evaluate
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    graph_inputs,
    toposort,
)
from workbench.core.loop_building import Builder
from workbench.core.op import Size
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.types import Array


@dataclass(frozen=True)
class CheckpointMemory:
    """Bytes that the gradient of a loop keeps of its steps until it has read them.

    Attributes
    ----------
    steps
        How many there are.
    state
        Bytes of all states in one step.
    kept
        Bytes of a step that its gradient reads: of states and of other values.
    row
        Bytes of a row of all sequences, which are copied where they are padded.
    """

    steps: int
    state: int
    kept: int
    row: int

    @property
    def scan(self) -> int:
        """Bytes that the gradient of :func:`workbench.scan` keeps."""
        return self.state + self.steps * self.kept

    def every(self, n: int) -> int:
        """Bytes that the gradient of :func:`workbench.scan_checkpoints` keeps.

        Parameters
        ----------
        n
            Its `save_every_N`.
        """
        chunks = -(-self.steps // n)
        padded = chunks * n * self.row if self.steps % n else 0
        return (chunks + 1) * self.state + self.state + n * self.kept + padded

    @property
    def best(self) -> int:
        """The `save_every_N` for which the least is kept."""
        return min(range(1, max(self.steps, 1) + 1), key=lambda n: (self.every(n), n))

    def rows(self) -> list[tuple[str, int]]:
        """What a loop is made with, and the bytes that its gradient keeps then."""
        usual = [1, 10, 100, 1000, 10_000]
        chosen = sorted({self.best, *(n for n in usual if n < self.steps)})
        marks = {self.best: " (least)"}
        found = [(f"save_every_N={n}{marks.get(n, '')}", self.every(n)) for n in chosen]
        return [("scan", self.scan), *found]

    def __str__(self) -> str:
        head = (
            f"{self.steps} steps, of each {self.kept} bytes for the gradient, "
            f"{self.state} of them states"
            if self.kept >= self.state
            else f"{self.steps} steps, of each {self.kept} bytes for the gradient"
        )
        return "\n".join([head, *(f"{n:>15,}  {what}" for what, n in self.rows())])


def checkpoint_memory(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    *,
    given: Mapping[Variable, Any] | None = None,
) -> CheckpointMemory:
    """What the gradient of a loop keeps, for :func:`scan` and each `save_every_N`.

    It is what the gradient reads of the forward steps as the graph is built: the states, and
    values that are dear to compute again. What is an argument anyway is not counted, nor what
    the gradient itself makes for all steps: gradients of results and of sequences, and what a
    compiler moves out of the loop. :func:`workbench.memory` says what a compiled function takes.

    Parameters
    ----------
    fn, sequences, outputs_info, non_sequences, n_steps
        As for :func:`scan_checkpoints`.
    given
        For each input whose sizes or value decide how large values are, a value, or a
        tuple for an array of this shape; not needed where all sizes are known.

    Raises
    ------
    ArgumentError
        A size depends on an input that is not given.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> h, w = T.vector("h"), T.matrix("w")
    >>> needed = wb.checkpoint_memory(
    ...     lambda h, w: T.tanh(T.dot(h, w)), None, h, w, n_steps=10_000, given={h: (50,), w: (50, 50)}
    ... )
    >>> print(needed)
    10000 steps, of each 400 bytes for the gradient, 400 of them states
          4,000,400  scan
          4,001,200  save_every_N=1
            404,800  save_every_N=10
             80,800  save_every_N=100 (least)
            404,800  save_every_N=1000
    >>> needed.every(50)
    100800
    """
    builder = Builder(fn, sequences, outputs_info, non_sequences, n_steps)
    builder.trace()
    node = builder.loop().node
    op = node.op
    assert isinstance(op, Scan)
    forward, read = _read_by_gradient(node)
    states, sequences = forward.outputs[: op.n_states], op.parts(node.inputs)[1]
    rows = [*dict.fromkeys([*states, *read, *sequences])]
    sizes = [size for v in rows for size in sizes_of(v)[1:]]
    steps, *known = _values([builder.steps, *sizes], given)
    left = iter(known)
    bytes_of = {
        v: v.type.itemsize * math.prod([next(left) for _ in range(v.ndim - 1)])
        for v in rows
    }
    state, kept, row = (
        sum(bytes_of[v] for v in several) for several in (states, read, sequences)
    )
    return CheckpointMemory(steps, state, kept, row)


def _read_by_gradient(node: Apply) -> tuple[Apply, list[Variable]]:
    """The loop that the gradient by everything needs, and which of its outputs it reads."""
    op = node.op
    assert isinstance(op, Scan)
    grads = [
        Variable(v.type) if v.type.is_float else None
        for v in node.outputs[: len(op.keep)]
    ]
    found = [g for g in op.vjp(node, *grads) if g is not None]
    nodes = toposort(found)
    loops = [n for n in nodes if isinstance(n.op, Scan) and n.inputs == node.inputs]
    forward = loops[0] if loops else node
    read = {v for n in nodes for v in n.inputs}
    return forward, [v for v in forward.outputs if v.ndim and v in read]


def _values(sizes: Sequence[Size], given: Mapping[Variable, Any] | None) -> list[int]:
    """The numbers that sizes stand for."""
    values = {v: _array(v, value) for v, value in (given or {}).items()}
    wanted = [size_variable(s) for s in sizes]
    missing = [
        v
        for v in graph_inputs(wanted, values)
        if v not in values and not isinstance(v, Shared | Constant)
    ]
    if missing:
        names = ", ".join(v.label() for v in missing)
        report = Report(f"checkpoint_memory: sizes depend on {names}, not given.")
        report.add("hint", "given={x: (100, 5)} says a shape, given={n: 1000} a value.")
        raise ArgumentError(report)
    return [int(a) for a in evaluate(wanted, values)]


def _array(v: Variable, value: Any) -> Array:
    """A value as given, or zeros of a shape that take no memory."""
    if isinstance(value, tuple):
        return np.broadcast_to(np.zeros((), v.dtype), value)
    return np.asarray(value, v.dtype)
