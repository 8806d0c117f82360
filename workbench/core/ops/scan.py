"""A loop whose steps are one graph: what step t computes from step t-1, and from element t.

The op is the plain core of :func:`workbench.scan`, which users call: sequences are aligned
already, and every shared variable or constant that a step reads is an input.

Read next: :mod:`workbench.core.scanning`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

from workbench.core.errors import OutOfRangeError, ParameterError, ShapeError
from workbench.core.evaluate import demanded, evaluate, has_choice, run_node
from workbench.core.graph import (
    Apply,
    Constant,
    Variable,
    graph_inputs,
    toposort,
)
from workbench.core.graph import clone as replace_nodes
from workbench.core.inner import InnerGraph, Link
from workbench.core.op import (
    Elementwise,
    Opaque,
    Size,
    Sizes,
    known_int,
    known_size,
    settled_sizes,
)
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan_derivatives import pull, push
from workbench.core.ops.shape import (
    MakeVector,
    Shape,
    SizeOf,
    add_size,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array, TensorType

T = TypeVar("T")


class Parts(NamedTuple):
    """What goes into a loop, or into one step of it, by role."""

    sequences: list[Variable]
    states: list[list[Variable]]
    others: list[Variable]


@dataclass(frozen=True)
class Scan(Opaque):
    """Runs `body` for t = 0, 1, … n-1, or n-1 … 1, 0 when `backwards`.

    Its inputs are n, a scalar int64; sequences, of which step t sees row t; for each state
    its first rows; and all others, of which every step sees the whole. The inputs of the body
    are, in this order, the rows; for each state its values at the taps; the others. Its
    outputs are the next value of each state, then plain outputs, then with `until` a condition.

    A state with taps down to -L is an array of L + n rows: L that are given and one a step.
    Running forwards the given ones come first, row L + t is written at step t, and tap k reads
    row L + t + k. Running backwards they come last, row t is written, and tap k reads t - k.
    So all rows a step reads and writes belong to the same t in a loop and in its gradient,
    which runs the other way. Outputs are these arrays, then the rows of each plain output; with
    `until`, after whose first true condition the loop ends, also the number of steps, and rows
    never written are zero.

    Attributes
    ----------
    taps
        For each state which earlier steps are read: negative numbers, increasing.
    keep
        For each output how many of the rows written last it consists of, given rows included;
        ``None`` for all.
    least
        The smallest number of steps that is no error.
    truncate
        Gradients go back so many steps; ``None`` for all.
    recompute
        Whether the gradient computes the values of a step again rather than keep them.
    title
        What users call it.
    """

    name = "scan"
    holomorphic = False

    body: Body
    n_sequences: int
    taps: tuple[tuple[int, ...], ...]
    until: bool = False
    backwards: bool = False
    keep: tuple[int | None, ...] = ()
    least: int = 0
    truncate: int | None = None
    recompute: bool = False
    title: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.keep:
            object.__setattr__(self, "keep", (None,) * (self.n_states + self.n_plain))
        if self.until and self.backwards:
            raise ParameterError("a loop with a condition runs forwards.")

    # --- its parts

    @property
    def n_states(self) -> int:
        """The number of states."""
        return len(self.taps)

    @property
    def n_plain(self) -> int:
        """The number of outputs that the next step does not read."""
        return len(self.body.outputs) - self.n_states - self.until

    @property
    def depths(self) -> list[int]:
        """How many given rows each state has."""
        return [-min(taps) for taps in self.taps]

    def parts(self, inputs: Sequence[T]) -> tuple[T, list[T], list[T], list[T]]:
        """The inputs of a node by role: n, sequences, first rows, others."""
        first, last = 1 + self.n_sequences, 1 + self.n_sequences + self.n_states
        return inputs[0], [*inputs[1:first]], [*inputs[first:last]], [*inputs[last:]]

    def body_parts(self, inputs: Sequence[Variable] | None = None) -> Parts:
        """The inputs of the body by role; the states' tap by tap."""
        rest = iter(self.body.inputs if inputs is None else inputs)
        rows = [next(rest) for _ in range(self.n_sequences)]
        states = [[next(rest) for _ in taps] for taps in self.taps]
        return Parts(rows, states, list(rest))

    # --- types and sizes

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The types of the body's outputs, with an axis in front for the steps."""
        n = known_int(inputs[0])
        if n is not None:
            self._check_steps(n)
        types = []
        for v, keep, depth in zip(
            self.body.outputs, self.keep, self.output_depths, strict=False
        ):
            rows = keep if keep is not None else None if n is None else n + depth
            types.append(v.type.with_shape((rows, *v.type.shape)))
        return types + ([TensorType("int64", ())] if self.until else [])

    @property
    def output_depths(self) -> list[int]:
        """How many given rows each output has."""
        return [*self.depths, *(0 for _ in range(self.n_plain))]

    def make_node(self, *inputs: Variable) -> Apply:
        """Apply the loop; the number of steps may have any integer dtype."""
        n, *rest = inputs
        return super().make_node(cast(n, "int64"), *rest)

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[Sequence[Size | None]]:
        """The steps, then the sizes of one step where no value of a row decides them."""
        steps = known_size(node.inputs[0])
        firsts = self.parts(shapes)[2]
        found: list[Sequence[Size | None]] = []
        inner = self.step_sizes(node, shapes)
        for i, (keep, depth) in enumerate(
            zip(self.keep, self.output_depths, strict=True)
        ):
            row = firsts[i][1:] if i < self.n_states else inner[i]
            found.append((add_size(steps, depth) if keep is None else keep, *row))
        return found + ([()] if self.until else [])

    def step_sizes(
        self,
        node: Apply,
        shapes: Sequence[Sizes],
        of: Sequence[Variable] | None = None,
    ) -> list[Sequence[Size | None]]:
        """The sizes of the body's outputs; ``None`` where a row's values decide.

        `of` are other variables, computed from the inputs of the body.
        """
        _, sequences, firsts, others = self.parts(shapes)
        given = [s[1:] for s in sequences]
        given += [
            s[1:] for s, taps in zip(firsts, self.taps, strict=True) for _ in taps
        ]
        known = dict(zip(self.body.inputs, [*given, *others], strict=True))
        own, outer = self.body_parts().others, self.parts(node.inputs)[3]
        # What stands for a variable of the body: an input, or a size that a step asks for.
        fixed = dict(zip(own, outer, strict=True))
        changing = set(self.body.inputs) - set(own)
        lost: set[Size] = set()  # which only the values of a step tell
        order = self.body.order if of is None else toposort(of, self.body.inputs)
        for inner in order:
            for v in inner.inputs:
                known.setdefault(v, sizes_of(v))
            given_sizes = [known[v] for v in inner.inputs]
            inferred = inner.op.infer_shape(inner, given_sizes)
            if lost and isinstance(inner.op, Elementwise):
                inferred = [_of_operands(inner, given_sizes, lost)]
            for v, sizes in zip(inner.outputs, inferred, strict=True):
                known[v] = settled_sizes(
                    v, sizes, lambda v, k: SizeOf(k)(v), known_size
                )
                lost.update(
                    size
                    for size, inferred_size in zip(known[v], sizes, strict=True)
                    if inferred_size is None and not isinstance(size, int)
                )
            if isinstance(inner.op, SizeOf | Shape):
                sizes = [_outside(s, fixed, changing) for s in known[inner.inputs[0]]]
                fixed.update(_asked_for(inner, sizes))
        return [
            [_outside(size, fixed, changing) for size in known.get(v, v.type.shape)]
            for v in (self.body.outputs if of is None else of)
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """A row a step in every sequence; states keep their sizes."""
        steps = known_size(node.inputs[0])
        _, sequences, firsts, _ = self.parts(shapes)
        checks: list[tuple[int, Size, Size]] = [(0, s[0], steps) for s in sequences]
        for first, depth, sizes in zip(
            firsts, self.depths, self.step_sizes(node, shapes), strict=False
        ):
            checks.append((0, first[0], depth))
            checks += [
                (axis + 1, a, b)
                for axis, (a, b) in enumerate(zip(first[1:], sizes, strict=True))
                if b is not None
            ]
        return checks

    def sizes_from_zero(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size]]:
        """The number of steps."""
        return [(0, known_size(node.inputs[0]))]

    # --- what it means

    def reference(self, *inputs: Array) -> Any:
        """The loop in NumPy."""
        given = [Variable(TensorType(a.dtype.name, a.shape)) for a in inputs]
        return tuple(self.evaluate(self.make_node(*given), inputs))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """Step by step; an error says in which step it happened."""
        n, sequences, firsts, others = self.parts(inputs)
        steps = int(n)
        self._check(steps, sequences, firsts)
        stacks = _Stacks(self, steps, firsts)
        own = self.body_parts()
        fixed = dict(zip(own.others, others, strict=True))
        done = 0
        for number, t in enumerate(self._times(steps)):
            values = dict(fixed)
            values.update(
                (v, s[t]) for v, s in zip(own.sequences, sequences, strict=True)
            )
            for state, taps in enumerate(self.taps):
                for v, tap in zip(own.states[state], taps, strict=True):
                    values[v] = stacks.row(state, t, tap)
            try:
                results = run_step(self.body, values)
            except Exception as error:
                error.add_note(f"in step {number} of {self}")
                raise
            stacks.write(t, results[: len(self.keep)])
            done += 1
            if self.until and results[-1]:
                break
        rows = stacks.kept(done, lambda i: self._row_shape(node, inputs, i))
        return rows + ([np.array(done, "int64")] if self.until else [])

    def _times(self, steps: int) -> Iterator[int]:
        return iter(range(steps - 1, -1, -1) if self.backwards else range(steps))

    def _check(
        self, steps: int, sequences: Sequence[Array], firsts: Sequence[Array]
    ) -> None:
        self._check_steps(steps)
        if steps < self.least:
            raise OutOfRangeError(
                f"{self} made {steps} steps, and the result of step {self.least} is asked for."
            )
        own = self.body_parts()
        for v, s in zip(own.sequences, sequences, strict=True):
            if len(s) != steps:
                raise ShapeError(
                    f"{self}: the sequence {v.label()} has {len(s)} elements for {steps} steps."
                )
        for taps, first, depth in zip(own.states, firsts, self.depths, strict=True):
            if len(first) != depth:
                raise ShapeError(
                    f"{self}: the state {taps[0].label()} starts from {len(first)} values, "
                    f"its taps need {depth}."
                )

    def _check_steps(self, steps: int) -> None:
        if steps < 0:
            raise ParameterError(f"{self}: the number of steps is {steps}.")

    def _row_shape(
        self, node: Apply, inputs: Sequence[Array], i: int
    ) -> tuple[int, ...]:
        """The sizes of an output's row where no step was made to show them."""
        shapes = [a.shape for a in inputs]
        sizes = self.step_sizes(node, shapes)[i]
        if None in sizes:
            raise ShapeError(
                f"{self} made no step, and the sizes of its output "
                f"{self.body.outputs[i].label()} are known only when it does."
            )
        values = dict(zip(node.inputs, inputs, strict=True))
        known = [size_variable(s) for s in sizes if s is not None]
        given = {v: a for v, a in values.items() if not isinstance(v, Constant)}
        return tuple(int(a) for a in evaluate(known, given))

    # --- its derivatives

    def connection(self, node: Apply) -> Sequence[bool]:
        """As the body, by way of the states."""
        own = self.body_parts()
        places = {v: i for i, v in enumerate(self.body.inputs)}
        n_outputs = len(self.body.outputs) - self.until

        def reaches(variables: Sequence[Variable]) -> bool:
            return any(
                any(self.body.connected[places[v]][:n_outputs]) for v in variables
            )

        found = [False, *(reaches([v]) for v in own.sequences)]
        # The rows given for a state are part of an output.
        found += [True] * self.n_states + [reaches([v]) for v in own.others]
        return [
            ok and v.type.is_float for ok, v in zip(found, node.inputs, strict=True)
        ]

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """A loop the other way, over what this one has computed."""
        return pull(node, grads[: len(self.keep)])

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """A loop that carries the tangents of states beside them."""
        return push(node, tangents)

    # --- how it is shown

    def inner_graphs(self, node: Apply) -> list[InnerGraph]:
        """One step, at t."""
        first = 1 + self.n_sequences
        reads = [Link("{} at t", (1 + i,)) for i in range(self.n_sequences)]
        for i, taps in enumerate(self.taps):
            for tap in taps:
                back = tap if not self.backwards else -tap
                words = f"first {{}}, then {{}} at t{back:+d}"
                reads.append(Link(words, (first + i,), (i,)))
        first += self.n_states
        reads += [Link("{}", (i,)) for i in range(first, len(node.inputs))]
        writes = [Link("{} at t", outputs=(i,)) for i in range(len(self.keep))]
        if self.until:
            writes.append(Link("the last step when true"))
        about = "for t = n-1, … 1, 0" if self.backwards else "for t = 0, 1, … n-1"
        if self.until:
            about += " or until its condition holds"
        inputs, outputs = self.body.inputs, self.body.outputs
        return [InnerGraph(inputs, outputs, reads, writes, about)]

    def __str__(self) -> str:
        kept = ["all" if keep is None else str(keep) for keep in self.keep]
        kept = kept[:1] if len(set(kept)) == 1 else kept
        words = [self.title] * bool(self.title)
        if any(keep is not None for keep in self.keep):
            words.append(f"keeps {', '.join(kept)} of n")
        return f"scan{{{', '.join(words)}}}" if words else "scan"


def run_step(body: Body, values: dict[Variable, Any]) -> list[Array]:
    """The outputs of a body; `values` holds its inputs and is filled with all the rest."""
    lazy = has_choice(body.order)
    for node in demanded(body.outputs, values) if lazy else body.order:
        for v in node.inputs:
            if isinstance(v, Constant):
                values.setdefault(v, v.data)
        given = [np.asarray(values[v]) if v in values else None for v in node.inputs]
        values.update(zip(node.outputs, run_node(node, given), strict=True))
    return [
        v.data if isinstance(v, Constant) else np.asarray(values[v])
        for v in body.outputs
    ]


class _Stacks:
    """The rows of all outputs while the loop runs."""

    def __init__(self, op: Scan, steps: int, firsts: Sequence[Array]) -> None:
        self.op, self.steps = op, steps
        self.depths = op.output_depths
        self.stacks: list[Array | None] = [None] * len(op.keep)
        for i, (first, depth) in enumerate(zip(firsts, op.depths, strict=True)):
            dtype = op.body.outputs[i].dtype
            stack = np.zeros((depth + steps, *first.shape[1:]), dtype)
            stack[steps if op.backwards else 0 :][:depth] = first
            self.stacks[i] = stack

    def row(self, state: int, t: int, tap: int) -> Array:
        stack = self.stacks[state]
        assert stack is not None
        at = t - tap if self.op.backwards else self.depths[state] + t + tap
        return np.asarray(stack[at])

    def write(self, t: int, values: Sequence[Array]) -> None:
        for i, value in enumerate(values):
            stack = self.stacks[i]
            if stack is None:
                stack = np.zeros((self.steps, *value.shape), value.dtype)
                self.stacks[i] = stack
            if stack.shape[1:] != value.shape:
                what = "state" if i < self.op.n_states else "output"
                raise ShapeError(
                    f"{self.op}: the {what} {self.op.body.outputs[i].label()} changes its "
                    f"shape from {stack.shape[1:]} to {value.shape} at step {t}."
                )
            stack[t if self.op.backwards else self.depths[i] + t] = value

    def kept(self, done: int, row_shape: Any) -> list[Array]:
        found = []
        for i, keep in enumerate(self.op.keep):
            stack = self.stacks[i]
            if stack is None:
                dtype = self.op.body.outputs[i].dtype
                stack = np.zeros((self.steps, *row_shape(i)), dtype)
            if keep is not None:
                written = self.depths[i] + done
                if written < keep:
                    raise OutOfRangeError(
                        f"{self.op} made {done} steps, and the last {keep} are asked for."
                    )
                first = 0 if self.op.backwards else written - keep
                stack = stack[first : first + keep]
            found.append(stack)
        return found


def _of_operands(
    node: Apply, shapes: Sequence[Sizes], lost: set[Size]
) -> list[Size | None]:
    """The sizes of an elementwise result: of operands of which something else tells them."""
    found: list[Size | None] = []
    for axis in range(node.output.ndim):
        sizes = [
            shape[axis]
            for v, shape in zip(node.inputs, shapes, strict=True)
            if v.type.shape[axis] != 1
        ]
        found.append(next((s for s in sizes if s not in lost), None if sizes else 1))
    return found


def _asked_for(node: Apply, sizes: Sequence[Size | None]) -> dict[Variable, Variable]:
    """What a node says of sizes, from those of its input as far as they are known."""
    axes = [node.op.axis] if isinstance(node.op, SizeOf) else range(len(sizes))
    found = [size_variable(s) for s in (sizes[axis] for axis in axes) if s is not None]
    if len(found) < len(axes):
        return {}
    whole = found[0] if isinstance(node.op, SizeOf) else MakeVector()(*found)
    return {node.output: whole}


def _outside(
    size: Size | None, fixed: dict[Variable, Variable], changing: set[Variable]
) -> Size | None:
    """A size of a step in terms of the loop's inputs; ``None`` if it may change from step to step."""
    if size is None or isinstance(size, int):
        return size
    (outside,) = replace_nodes([size], fixed)
    return None if any(v in changing for v in graph_inputs([outside])) else outside
