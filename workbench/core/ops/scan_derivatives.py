"""Derivatives of loops: another loop the other way, or one that carries tangents along.

Backwards through time. The step of the gradient's loop takes what reaches the results of step
t and gives what reaches its inputs. What reaches a state is the gradient of its row, plus what
the steps that read it left pending; a state that is read L steps back has L pending values.
What reaches an input that every step reads is added up in a state of its own.

Values that the forward step has computed are not computed again: the loop gets an output
for each that is worth it, unless it says `recompute`. That loop computes all the old one
does, and the compiler makes one of the two. The gradient of a loop within the loop begins with
such a loop too, and what that one computes is kept likewise.

A gradient goes only where it can get: an output that the cost does not depend on has no part in
the gradient's loop, nor in what may be undefined there.

Read next: :mod:`workbench.core.ops.scan`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.core import source
from workbench.core.backward import is_undefined, walk
from workbench.core.evaluate import has_choice
from workbench.core.forward import push as push_through
from workbench.core.graph import (
    Apply,
    Variable,
    as_variable,
    graph_inputs,
    toposort,
)
from workbench.core.op import Elementwise, View
from workbench.core.ops import elementwise as ew
from workbench.core.ops.bodies import Body
from workbench.core.ops.control import Fitted, zeros_of
from workbench.core.ops.joining import concatenate, stack
from workbench.core.ops.shape import Shape, SizeOf, size_variable, sizes_of
from workbench.core.ops.subscript import index, set_subtensor

if TYPE_CHECKING:
    from workbench.core.ops.scan import Scan

Grads = Sequence[Variable | None]

WORTH_KEEPING = 5
"""From this cost on (in additions) an elementwise value is kept rather than computed again."""


def _feeds(op: Scan) -> list[tuple[int, int]]:
    """The pairs (i, j) of a state and an output that depends on it in a differentiable way."""
    connected = iter(op.body.connected[op.n_sequences :])
    return [
        (i, j)
        for i, taps in enumerate(op.taps)
        for _ in taps
        for j, joined in enumerate(next(connected))
        if joined
    ]


def _reached(start: Iterable[int], pairs: Collection[tuple[int, int]]) -> list[int]:
    """Where the pairs lead from `start`, in any number of steps; sorted."""
    found = set(start)
    while more := {b for a, b in pairs if a in found} - found:
        found |= more
    return sorted(found)


def _of_the_sizes_of(v: Variable, gradient: Variable) -> Variable:
    """The gradient of a row, said to be as large as the row where choices hide that it is."""
    if not has_choice(toposort([gradient])):
        return gradient
    return Fitted()(gradient, *map(size_variable, sizes_of(v)))


# --- backwards ---------------------------------------------------------------------------


def pull(node: Apply, grads: Grads) -> Sequence[Variable | None]:
    """Gradients by the inputs of a loop, given those of its stacked outputs."""
    op: Any = node.op
    if any(keep is not None for keep in op.keep):
        whole = replace(op, keep=()).make_node(*node.inputs)
        grads = [
            g if g is None or keep is None else _in_place(whole, i, g, keep)
            for i, (g, keep) in enumerate(zip(grads, op.keep, strict=True))
        ]
        node = whole
    return _Pull(node, grads).gradients()


def _in_place(node: Apply, i: int, g: Variable, keep: int) -> Variable | None:
    """The gradient of a whole stack from that of the rows of it that were kept."""
    op: Any = node.op
    if keep == 0:
        return None
    rows = slice(None, keep) if op.backwards else slice(-keep, None)
    if op.until:
        # Rows that were never written follow.
        first = ew.add(node.outputs[-1], op.output_depths[i] - keep)
        rows = slice(first, ew.add(first, keep))
    return set_subtensor(index(zeros_of(node.outputs[i]), rows), g)


class _Pull:
    """The gradient's loop of one loop."""

    def __init__(self, node: Apply, grads: Grads) -> None:
        self.node, self.grads = node, grads
        op: Any = node.op
        self.op: Scan = op
        self.own = op.body_parts()
        self.results = op.body.outputs[: len(op.keep)]
        self.n, self.sequences, self.firsts, self.others = op.parts(node.inputs)
        given = [i for i, g in enumerate(grads) if g is not None]
        self.reached = _reached(given, [(j, i) for i, j in _feeds(op)])
        self.states = [i for i in self.reached if i < op.n_states]
        # What the gradient's loop is given at a step: gradients of rows, and what is pending
        # for a state k steps back.
        self.row_grads = {i: Variable(self.results[i].type) for i in given}
        self.pending = {
            (i, k): Variable(self.results[i].type)
            for i in self.states
            for k in range(1, op.depths[i] + 1)
        }
        # Rows the gradient's loop reads, and where each comes from.
        self.rows: list[Variable] = []
        self.stacks: list[Variable] = []

    def gradients(self) -> list[Variable | None]:
        """One for each input of the loop."""
        op, own = self.op, self.own
        taps = {
            (i, -tap): v
            for i in self.states
            for tap, v in zip(op.taps[i], own.states[i], strict=True)
        }
        found = self._step([*own.sequences, *taps.values(), *own.others])
        lost = {v: g for v, g in found.items() if is_undefined(g)}
        blocked = next((lost[v] for v in taps.values() if v in lost), None)
        if blocked is not None:
            return self._undefined(blocked, found)
        rows = [v for v in own.sequences if v in found and v not in lost]
        others = [v for v in own.others if v in found and v not in lost]
        sums = {v: Variable(found[v].type.with_shape(v.type.shape)) for v in others}
        results = [
            self._waiting(found.get(taps.get(key, key)), key) for key in self.pending
        ]
        results += [ew.add(sums[v], found[v]) for v in others]
        results += [_of_the_sizes_of(v, found[v]) for v in rows]
        outputs = self._loop(results, sums) if results else []
        stacks = dict(zip([*self.pending, *others], outputs, strict=False))
        ends = {k: index(v, -1 if op.backwards else 0) for k, v in stacks.items()}
        by_row = dict(zip(rows, outputs[len(stacks) :], strict=True))
        return [
            None,
            *(
                self._spread(by_row[v], s) if v in by_row else _undefined_of(lost, v, s)
                for v, s in zip(own.sequences, self.sequences, strict=True)
            ),
            *(
                self._first(i, ends) if i in self.states else None
                for i in range(op.n_states)
            ),
            *(
                ends[v] if v in ends else _undefined_of(lost, v, outer)
                for v, outer in zip(own.others, self.others, strict=True)
            ),
        ]

    def _step(self, targets: Sequence[Variable]) -> dict[Variable, Variable]:
        """The gradients of one step by its inputs."""
        starts: dict[Variable, Variable] = {}
        for i in self.reached:
            for part in (self.row_grads.get(i), self.pending.get((i, 1))):
                if part is not None:
                    known = starts.get(self.results[i])
                    total = part if known is None else ew.add(known, part)
                    starts[self.results[i]] = total
        wanted = [v for v in targets if v.type.is_float]
        return walk(starts, wanted, whole=False)

    def _undefined(
        self, cause: Variable, found: dict[Variable, Variable]
    ) -> list[Variable | None]:
        """What a state cannot pass on reaches nothing that the loop starts from."""
        ways = [
            False,
            *(v in found for v in self.own.sequences),
            *(i in self.states for i in range(self.op.n_states)),
            *(v in found for v in self.own.others),
        ]
        return [
            _undefined_of({v: cause}, v, v) if way else None
            for v, way in zip(self.node.inputs, ways, strict=True)
        ]

    def _waiting(self, reached: Variable | None, key: tuple[int, int]) -> Variable:
        """What is pending for the state k steps back, once this step is done."""
        state, k = key
        later = self.pending.get((state, k + 1))
        if reached is None:
            return zeros_of(self.pending[key]) if later is None else later
        return reached if later is None else ew.add(reached, later)

    def _loop(
        self,
        results: Sequence[Variable],
        sums: dict[Variable, Variable],
    ) -> Sequence[Variable]:
        """The outputs of the gradient's loop: its states, then its plain ones."""
        op, own = self.op, self.own
        kept = self._kept(results)
        forward = self._forward([v for v in kept if v not in self.results])
        self.steps, self.start = self._extent(forward)
        for i, v in self.row_grads.items():
            g = self.grads[i]
            assert g is not None
            self._read(
                v, g, 0 if op.backwards else op.output_depths[i], op.output_depths[i]
            )
        needed = set(graph_inputs(results, kept))
        for v, s in zip(own.sequences, self.sequences, strict=True):
            if v in needed:
                self._read(v, s, 0, 0)
        for i, taps in enumerate(op.taps):
            for tap, v in zip(taps, own.states[i], strict=True):
                if v in needed:
                    shift = -tap if op.backwards else op.depths[i] + tap
                    self._read(v, forward.outputs[i], shift, op.depths[i])
        extra = len(self.results)
        for v in kept:
            if v in self.results:
                i = self.results.index(v)
                depth = op.output_depths[i]
                shift = 0 if op.backwards else depth
                self._read(v, forward.outputs[i], shift, depth)
            else:
                self._read(v, forward.outputs[extra], 0, 0)
                extra += 1
        others = {v: o for v, o in zip(own.others, self.others, strict=True)}
        used = [v for v in own.others if v in needed]
        starts = [
            zeros_of(index(self.firsts[i], slice(None, 1))) for i, _ in self.pending
        ]
        starts += [zeros_of(index(others[v], None)) for v in sums]
        body = Body(
            [*self.rows, *self.pending.values(), *sums.values(), *used], results
        )
        loop = replace(
            op,
            body=body,
            n_sequences=len(self.rows),
            taps=((-1,),) * (len(self.pending) + len(sums)),
            until=False,
            backwards=not op.backwards,
            keep=(),
            least=0,
            truncate=None,
            title=f"gradient of {op.title}" if op.title else "gradient",
        )
        return loop.make_node(
            self.steps, *self.stacks, *starts, *(others[v] for v in used)
        ).outputs

    def _kept(self, results: Sequence[Variable]) -> list[Variable]:
        """The values of the forward step that the gradient reads rather than computes again."""
        if self.op.recompute:
            return []
        worth = self._worth_keeping(results)
        kept: dict[Variable, None] = {}
        seen: set[Variable] = set()
        waiting = list(results)
        while waiting:
            v = waiting.pop()
            if v in seen or v.owner is None:
                continue
            seen.add(v)
            if v in worth:
                kept.setdefault(v)
            else:
                waiting += v.owner.inputs
        return list(kept)

    def _worth_keeping(self, results: Sequence[Variable]) -> set[Variable]:
        """Outputs of the step; and what is dear, and loops, if of one size at every step."""
        op, body = self.op, self.op.body
        gradient = {*self.row_grads.values(), *self.pending.values()}
        loops: list[Variable] = []
        for node in toposort(results, [*gradient, *body.inputs]):
            if any(v in gradient for v in node.inputs):
                gradient.update(node.outputs)
            elif isinstance(node.op, type(op)):
                loops += node.outputs
        dear = [v for node in body.order if not _is_cheap(node) for v in node.outputs]
        found = [*loops, *dear]
        given = [sizes_of(v) for v in self.node.inputs]
        sizes = op.step_sizes(self.node, given, found)
        steady = [v for v, size in zip(found, sizes, strict=True) if None not in size]
        return {*steady, *body.outputs}

    def _forward(self, extra: Sequence[Variable]) -> Apply:
        """The loop itself, with outputs for values that the gradient reads."""
        op = self.op
        if not extra:
            return self.node
        condition = op.body.outputs[len(self.results) :]
        body = Body(op.body.inputs, [*self.results, *extra, *condition])
        return replace(op, body=body, keep=()).make_node(*self.node.inputs)

    def _extent(self, forward: Apply) -> tuple[Variable, Variable | None]:
        """How many steps the gradient makes, and its first row; None where it has them all."""
        op = self.op
        rows = forward.outputs[-1] if op.until else self.n
        if op.truncate is None:
            return rows, as_variable(0) if op.until else None
        steps = ew.minimum(rows, as_variable(op.truncate, "int64"))
        self.left_out = ew.sub(rows, steps)
        return steps, as_variable(0) if op.backwards else self.left_out

    def _read(self, v: Variable, rows: Variable, shift: int, depth: int) -> None:
        """Let the loop read, for `v` at t, row t + `shift` of a stack of `depth` more rows."""
        if self.start is None:
            end = shift - depth
            if shift or end:
                rows = index(rows, slice(shift or None, end or None))
        else:
            first = ew.add(self.start, shift)
            rows = index(rows, slice(first, ew.add(first, self.steps)))
        self.rows.append(v)
        self.stacks.append(rows)

    def _spread(self, gradient: Variable, sequence: Variable) -> Variable:
        """The gradient of a whole sequence: zero where the loop did not get."""
        if self.start is None:
            return gradient
        rows = slice(self.start, ew.add(self.start, self.steps))
        return set_subtensor(index(zeros_of(sequence), rows), gradient)

    def _first(self, i: int, ends: dict[Any, Variable]) -> Variable:
        """The gradient of the rows that a state starts from."""
        op, depth = self.op, self.op.depths[i]
        back = range(1, depth + 1) if op.backwards else range(depth, 0, -1)
        total = stack([ends[i, k] for k in back])
        if op.truncate is not None:
            # The steps left out come first: what they would have taken back is lost, and
            # what lies further back reaches given rows that much nearer to the loop.
            lost = ew.minimum(self.left_out, as_variable(depth, "int64"))
            padded = (
                [total, zeros_of(total)] if op.backwards else [zeros_of(total), total]
            )
            first = lost if op.backwards else ew.sub(as_variable(depth, "int64"), lost)
            total = index(concatenate(padded), slice(first, ew.add(first, depth)))
        g = self.grads[i]
        if g is None:
            return total
        rows_given = slice(-depth, None) if op.backwards else slice(None, depth)
        return ew.add(total, index(g, rows_given))


def _undefined_of(
    causes: dict[Variable, Variable], v: Variable, outer: Variable
) -> Variable | None:
    """For an input of the loop: the gradient that does not exist within, where people look."""
    if v not in causes:
        return None
    owner = causes[v].owner
    assert owner is not None
    with source.made_for(owner.origin):
        return owner.op(outer)


def _is_cheap(node: Apply) -> bool:
    # A size that is kept would be one more number a step, and no longer known beforehand.
    return isinstance(node.op, View | SizeOf | Shape) or (
        isinstance(node.op, Elementwise) and node.op.cost < WORTH_KEEPING
    )


# --- forwards ----------------------------------------------------------------------------


def push(node: Apply, tangents: Grads) -> list[Variable | None]:
    """Changes of a loop's outputs for changes of its inputs."""
    op: Any = node.op
    own = op.body_parts()
    n, sequences, firsts, others = op.parts(node.inputs)
    _, d_sequences, d_firsts, d_others = op.parts(tangents)
    results = op.body.outputs[: len(op.keep)]
    condition = op.body.outputs[len(op.keep) :]
    joined = dict(zip(op.body.inputs, op.body.connected, strict=True))
    moving = [
        v
        for v, d in zip(
            (*own.sequences, *own.others), (*d_sequences, *d_others), strict=True
        )
        if d is not None
    ]
    start = {i for i, d in enumerate(d_firsts) if d is not None}
    start |= {j for v in moving for j, reaches in enumerate(joined[v]) if reaches}
    live = [i for i in _reached(start, _feeds(op)) if i < op.n_states]
    changes: dict[Variable, Variable] = {}
    rows = [v for v, d in zip(own.sequences, d_sequences, strict=True) if d is not None]
    fixed = [v for v, d in zip(own.others, d_others, strict=True) if d is not None]
    for v in (*rows, *(v for i in live for v in own.states[i]), *fixed):
        changes[v] = Variable(v.type)
    found = push_through(results, changes)
    moved = [
        zeros_of(v) if change is None else change
        for v, change in ((results[i], found[i]) for i in live)
    ]
    plain = [i for i in range(op.n_states, len(results)) if found[i] is not None]
    n_states = op.n_states
    body = Body(
        [
            *own.sequences,
            *(changes[v] for v in rows),
            *(v for taps in own.states for v in taps),
            *(changes[v] for i in live for v in own.states[i]),
            *own.others,
            *(changes[v] for v in fixed),
        ],
        [
            *results[:n_states],
            *moved,
            *results[n_states:],
            *(v for v in found[n_states:] if v is not None),
            *condition,
        ],
    )
    loop = replace(
        op,
        body=body,
        n_sequences=len(sequences) + len(rows),
        taps=(*op.taps, *(op.taps[i] for i in live)),
        keep=(
            *op.keep[:n_states],
            *(op.keep[i] for i in live),
            *op.keep[n_states:],
            *(op.keep[i] for i in plain),
        ),
    )
    starts = [zeros_of(firsts[i]) if d_firsts[i] is None else d_firsts[i] for i in live]
    made = loop.make_node(
        n,
        *sequences,
        *(d for d in d_sequences if d is not None),
        *firsts,
        *starts,
        *others,
        *(d for d in d_others if d is not None),
    )
    d_states = dict(zip(live, made.outputs[n_states:], strict=False))
    first_plain = n_states + len(live) + op.n_plain
    d_plain = dict(zip(plain, made.outputs[first_plain:], strict=False))
    changes_of = {**d_states, **d_plain}
    found_changes = [changes_of.get(i) for i in range(len(results))]
    return found_changes + [None] * op.until
