"""Derivatives of loops: another loop the other way, or one that carries tangents along.

Backwards through time. The step of the gradient's loop takes what reaches the results of step
t and gives what reaches its inputs. What reaches a state is the gradient of its row, plus what
the steps that read it left pending; a state that is read L steps back has L pending values.
What reaches an input that every step reads is added up in a state of its own.

Values that the forward step has computed are not computed again: the loop gets an output
for each that is worth it, unless it says `recompute`. That loop computes all the old one
does, and the compiler makes one of the two.

Read next: :mod:`workbench.core.ops.scan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.core.backward import is_undefined, walk
from workbench.core.forward import push as push_through
from workbench.core.graph import Apply, Variable, as_variable, graph_inputs
from workbench.core.op import Elementwise, View
from workbench.core.ops import elementwise as ew
from workbench.core.ops.bodies import Body
from workbench.core.ops.joining import stack
from workbench.core.ops.subscript import index, set_subtensor

if TYPE_CHECKING:
    from workbench.core.ops.scan import Scan

Grads = Sequence[Variable | None]

WORTH_KEEPING = 5
"""From this cost on (in additions) an elementwise value is kept rather than computed again."""


def zeros_of(v: Variable) -> Variable:
    """Zeros of the shape and dtype of a variable."""
    return ew.fill(v, as_variable(0, v.dtype))


# --- backwards ---------------------------------------------------------------------------


def pull(node: Apply, grads: Grads) -> Sequence[Variable | None]:
    """Gradients by the inputs of a loop, given those of its stacked outputs."""
    op: Any = node.op
    if any(keep is not None for keep in op.keep):
        whole = replace(op, keep=()).make_node(*node.inputs)
        grads = [
            g if g is None or keep is None else _in_place(op, g, keep, v)
            for g, keep, v in zip(grads, op.keep, whole.outputs, strict=False)
        ]
        node = whole
    return _Pull(node, grads).gradients()


def _in_place(op: Scan, g: Variable, keep: int, whole: Variable) -> Variable:
    """The gradient of a whole stack from that of the rows of it that were kept."""
    rows = slice(None, keep) if op.backwards else slice(-keep, None)
    return set_subtensor(index(zeros_of(whole), rows), g)


class _Pull:
    """The gradient's loop of one loop."""

    def __init__(self, node: Apply, grads: Grads) -> None:
        self.node, self.grads = node, grads
        op: Any = node.op
        self.op: Scan = op
        self.own = op.body_parts()
        self.results = op.body.outputs[: len(op.keep)]
        self.n, self.sequences, self.firsts, self.others = op.parts(node.inputs)
        # Rows the gradient's loop reads, and where each comes from.
        self.rows: list[Variable] = []
        self.stacks: list[Variable] = []

    def gradients(self) -> list[Variable | None]:
        """One for each input of the loop."""
        op, own = self.op, self.own
        _, through_rows, _, through_others = op.parts(op.connection(self.node))
        live = [i for i in range(op.n_states) if self.results[i].type.is_float]
        pending = {
            (i, k): Variable(self.results[i].type)
            for i in live
            for k in range(1, op.depths[i] + 1)
        }
        row_grads = {
            i: Variable(self.results[i].type)
            for i, g in enumerate(self.grads)
            if g is not None
        }
        starts: dict[Variable, Variable] = {}
        for i, result in enumerate(self.results):
            parts = [row_grads.get(i), pending.get((i, 1))]
            for part in parts:
                if part is not None:
                    known = starts.get(result)
                    starts[result] = part if known is None else ew.add(known, part)
        rows = [v for v, ok in zip(own.sequences, through_rows, strict=True) if ok]
        others = [v for v, ok in zip(own.others, through_others, strict=True) if ok]
        taps = {
            (i, -tap): v
            for i in live
            for tap, v in zip(op.taps[i], own.states[i], strict=True)
        }
        found = walk(starts, [*rows, *taps.values(), *others], whole=False)
        undefined = self._undefined(found, rows, list(taps.values()), others)
        if undefined is not None:
            return undefined
        others = [v for v in others if v in found]
        rows = [v for v in rows if v in found]
        sums = {v: Variable(found[v].type.with_shape(v.type.shape)) for v in others}
        results = [
            self._pending(found.get(taps.get(key, key)), pending, key)
            for key in pending
        ]
        results += [ew.add(sums[v], found[v]) for v in others]
        results += [found[v] for v in rows]
        loop = self._loop(results, row_grads, list(pending.values()), sums)
        states = dict(zip([*pending, *others], loop.outputs, strict=False))
        last = 0 if not op.backwards else -1
        ends = {key: index(out, last) for key, out in states.items()}
        by_row = dict(zip(rows, loop.outputs[len(states) :], strict=True))
        return [
            None,
            *(
                self._spread(by_row[v], s) if v in by_row else None
                for v, s in zip(own.sequences, self.sequences, strict=True)
            ),
            *(self._first(i, ends) if i in live else None for i in range(op.n_states)),
            *(ends.get(v) for v in own.others),
        ]

    def _pending(
        self,
        reached: Variable | None,
        pending: dict[tuple[int, int], Variable],
        key: tuple[int, int],
    ) -> Variable:
        """What is pending for the state k steps back, once this step is done."""
        state, k = key
        later = pending.get((state, k + 1))
        if reached is None:
            return zeros_of(pending[key]) if later is None else later
        return reached if later is None else ew.add(reached, later)

    def _undefined(
        self,
        found: dict[Variable, Variable],
        rows: Sequence[Variable],
        taps: Sequence[Variable],
        others: Sequence[Variable],
    ) -> list[Variable | None] | None:
        """Gradients that do not exist, where people look for them: not inside a loop."""
        bad = [v for v in (*rows, *taps, *others) if v in found]
        bad = [v for v in bad if is_undefined(found[v])]
        if not bad:
            return None
        owner = found[bad[0]].owner
        assert owner is not None
        return [
            owner.op(v) if ok else None
            for v, ok in zip(
                self.node.inputs, self.op.connection(self.node), strict=True
            )
        ]

    def _loop(
        self,
        results: Sequence[Variable],
        row_grads: dict[int, Variable],
        pending: Sequence[Variable],
        sums: dict[Variable, Variable],
    ) -> Apply:
        """The loop of the gradient."""
        op, own = self.op, self.own
        kept = _kept(results, op)
        forward = self._forward([v for v in kept if v not in self.results])
        self.steps, self.start = self._extent(forward)
        for i, v in row_grads.items():
            g = self.grads[i]
            assert g is not None
            self._read(v, g, 0 if op.backwards else self._depth(i), self._depth(i))
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
                depth = self._depth(i)
                shift = 0 if op.backwards else depth
                self._read(v, forward.outputs[i], shift, depth)
            else:
                self._read(v, forward.outputs[extra], 0, 0)
                extra += 1
        others = {v: o for v, o in zip(own.others, self.others, strict=True)}
        used = [v for v in own.others if v in needed]
        starts = [
            zeros_of(index(self.firsts[i], slice(None, 1)))
            for i in range(op.n_states)
            if self.results[i].type.is_float
            for _ in range(op.depths[i])
        ]
        starts += [zeros_of(index(others[v], None)) for v in sums]
        body = Body([*self.rows, *pending, *sums.values(), *used], results)
        loop = replace(
            op,
            body=body,
            n_sequences=len(self.rows),
            taps=((-1,),) * (len(pending) + len(sums)),
            until=False,
            backwards=not op.backwards,
            keep=(),
            least=0,
            truncate=None,
            title=f"gradient of {op.title}" if op.title else "gradient",
        )
        return loop.make_node(
            self.steps, *self.stacks, *starts, *(others[v] for v in used)
        )

    def _depth(self, i: int) -> int:
        return self.op.depths[i] if i < self.op.n_states else 0

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
        return steps, as_variable(0) if op.backwards else ew.sub(rows, steps)

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
        depth = self.op.depths[i]
        back = range(1, depth + 1) if self.op.backwards else range(depth, 0, -1)
        total = stack([ends[i, k] for k in back])
        if self.op.truncate is not None:
            rows = self.n if not self.op.until else ew.add(self.start, self.steps)
            total = ew.switch(ew.eq(rows, self.steps), total, zeros_of(total))
        g = self.grads[i]
        if g is None:
            return total
        rows_given = slice(-depth, None) if self.op.backwards else slice(None, depth)
        return ew.add(total, index(g, rows_given))


def _kept(results: Sequence[Variable], op: Scan) -> list[Variable]:
    """The values of the forward step that the gradient reads rather than computes again."""
    if op.recompute:
        return []
    computed = {v for node in op.body.order for v in node.outputs}
    outputs = set(op.body.outputs)
    kept: dict[Variable, None] = {}
    seen: set[Variable] = set()
    pending = list(results)
    while pending:
        v = pending.pop()
        if v in seen or v.owner is None:
            continue
        seen.add(v)
        if v in computed and (v in outputs or not _is_cheap(v.owner)):
            kept.setdefault(v)
        else:
            pending += v.owner.inputs
    return list(kept)


def _is_cheap(node: Apply) -> bool:
    return isinstance(node.op, View) or (
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
    live = [i for i in range(op.n_states) if results[i].type.is_float]
    changes: dict[Variable, Variable] = {}
    rows = [v for v, d in zip(own.sequences, d_sequences, strict=True) if d is not None]
    fixed = [v for v, d in zip(own.others, d_others, strict=True) if d is not None]
    for v in (*rows, *(v for i in live for v in own.states[i]), *fixed):
        changes[v] = Variable(v.type)
    found = push_through(results, changes)
    moved = [
        zeros_of(results[i]) if change is None else change
        for i in live
        for change in found[i : i + 1]
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
            *(v for i in plain for v in found[i : i + 1] if v is not None),
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
