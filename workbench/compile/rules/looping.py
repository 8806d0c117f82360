"""A loop taken apart: its states, sequences and outputs as lists that rules change.

A :class:`Loop` holds, for everything that a step reads, the variable of the body and what
stands for it outside, and for everything that a step gives an expression. :meth:`Loop.make`
puts the parts together again, and :meth:`Loop.replacements` says what stands for which output.

Read next: :mod:`workbench.compile.rules.loops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.compile.context import Context
from workbench.compile.rules.sizes import as_sum
from workbench.core.graph import (
    Apply,
    Constant,
    Variable,
    graph_inputs,
    rebuild,
    toposort,
)
from workbench.core.graph import clone as replace_nodes
from workbench.core.op import Op, Size, Sizes, known_int, settled_sizes
from workbench.core.ops.bodies import Body
from workbench.core.ops.control import IfElse
from workbench.core.ops.elementwise import Maximum, add, sub
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import (
    SizeOf,
    add_size,
    dimshuffle,
    size_variable,
    sizes_of,
)
from workbench.core.ops.subscript import index
from workbench.core.replacing import Numbering


@dataclass
class State:
    """What a step hands to later ones.

    Attributes
    ----------
    taps
        For each earlier step that is read, a negative number, the variable of the body.
    first
        The rows that it starts from.
    value
        Its next value.
    keep
        How many rows are kept, ``None`` for all.
    output
        The output of the loop taken apart that it is, if any.
    """

    taps: dict[int, Variable]
    first: Variable
    value: Variable
    keep: int | None = None
    output: Variable | None = None

    @property
    def depth(self) -> int:
        """How many rows are given."""
        return -min(self.taps)


@dataclass
class Plain:
    """What a step gives that no later one reads; its attributes are those of a state."""

    value: Variable
    keep: int | None = None
    output: Variable | None = None
    depth: int = 0


class Loop:
    """The parts of a loop.

    Attributes
    ----------
    op
        Says which way it runs, and what else is no part.
    n
        The number of steps.
    sequences, others
        For variables of the body what stands outside.
    states, plain
        What steps give.
    condition
        When it ends, if it may end early.
    least
        The smallest number of steps that is no error.
    """

    def __init__(self, node: Apply, body: Body | None = None) -> None:
        """Take a loop apart; `body` is a copy of its own, with variables of its own."""
        assert isinstance(node.op, Scan)
        self.op: Scan = node.op
        op = self.op
        body = op.body if body is None else body
        own = op.body_parts(body.inputs)
        self.n, sequences, firsts, others = op.parts(node.inputs)
        self.sequences = dict(zip(own.sequences, sequences, strict=True))
        self.others = dict(zip(own.others, others, strict=True))
        values = body.outputs
        self.states = [
            State(
                dict(zip(taps, own.states[i], strict=True)),
                firsts[i],
                values[i],
                op.keep[i],
                node.outputs[i],
            )
            for i, taps in enumerate(op.taps)
        ]
        self.plain = [
            Plain(values[i], op.keep[i], node.outputs[i])
            for i in range(op.n_states, len(op.keep))
        ]
        self.condition = values[-1] if op.until else None
        self.count = node.outputs[-1] if op.until else None
        self.least = op.least
        self._sizes: dict[Variable, Sizes] = {}

    # --- its parts together

    @property
    def results(self) -> list[State | Plain]:
        """States, then plain outputs."""
        return [*self.states, *self.plain]

    @property
    def values(self) -> list[Variable]:
        """The outputs of the body."""
        found = [r.value for r in self.results]
        return found if self.condition is None else [*found, self.condition]

    @values.setter
    def values(self, values: Sequence[Variable]) -> None:
        rest = iter(values)
        for r in self.results:
            r.value = next(rest)
        if self.condition is not None:
            self.condition = next(rest)

    @property
    def inputs(self) -> list[Variable]:
        """The inputs of the body."""
        taps = [v for s in self.states for _, v in sorted(s.taps.items())]
        return [*self.sequences, *taps, *self.others]

    @property
    def order(self) -> list[Apply]:
        """The operations of a step."""
        return toposort(self.values, self.inputs)

    def substitute(self, mapping: Mapping[Variable, Variable]) -> None:
        """Take each key for its value in all expressions."""
        if mapping:
            self.values = replace_nodes(self.values, mapping)

    def used(self) -> set[Variable]:
        """The inputs of the body, and the constants, that some output depends on."""
        return set(graph_inputs(self.values, self.inputs))

    # --- what depends on what

    def fixed(self) -> dict[Variable, bool]:
        """For each variable of the body whether it is the same at every step."""
        return self._known_from(self.others)

    def known_before(self, ops: tuple[type, ...] = (Op,)) -> dict[Variable, bool]:
        """For each variable of the body whether it is known before the loop runs, at each step.

        Only if `ops` compute it.
        """
        return self._known_from({**self.others, **self.sequences}, ops)

    def _known_from(
        self, leaves: Mapping[Variable, Any], ops: tuple[type, ...] = (Op,)
    ) -> dict[Variable, bool]:
        known = {v: v in leaves for v in self.inputs}
        for node in self.order:
            ok = all(
                [known.setdefault(v, isinstance(v, Constant)) for v in node.inputs]
            )
            known.update((v, ok and isinstance(node.op, ops)) for v in node.outputs)
        for v in self.values:
            known.setdefault(v, isinstance(v, Constant))
        return known

    def always(self) -> set[Variable]:
        """What every step computes: not what only a branch of a choice needs, taken or not."""
        found: set[Variable] = set()
        pending = list(self.values)
        while pending:
            v = pending.pop()
            if v in found:
                continue
            found.add(v)
            if v.owner is not None:
                lazy = isinstance(v.owner.op, IfElse)
                pending += v.owner.inputs[:1] if lazy else v.owner.inputs
        return found

    def drop_unread_others(self) -> None:
        """Leave out what no step reads any more."""
        used = self.used()
        self.others = {v: outer for v, outer in self.others.items() if v in used}

    def size_outside(self, v: Variable, axis: int) -> Size | None:
        """The size of a variable of the body, or None if it is not the same at every step."""
        if v.type.shape[axis] is not None:
            return v.type.shape[axis]
        for node in toposort([v], self._sizes):
            for w in node.inputs:
                self._sizes.setdefault(w, _sizes_of_leaf(w))
            inferred = node.op.infer_shape(node, [self._sizes[w] for w in node.inputs])
            for w, sizes in zip(node.outputs, inferred, strict=True):
                self._sizes[w] = settled_sizes(
                    w, sizes, lambda w, k: SizeOf(k)(w), _as_it_is
                )
        size = self._sizes.get(v, _sizes_of_leaf(v))[axis]
        if isinstance(size, int):
            return size
        known = dict(self.others)
        for node in toposort([size]):
            if isinstance(node.op, SizeOf) and node.inputs[0] not in known:
                of_rows = self._size_of_rows(node.outputs[0])
                if of_rows is not None:
                    known[node.outputs[0]] = size_variable(of_rows)
        (outside,) = replace_nodes([size], known)
        changes = any(w in self.inputs for w in graph_inputs([outside]))
        return None if changes else outside

    def _size_of_rows(self, size: Variable) -> Size | None:
        """The size of a row, of a state or sequence, outside."""
        if size.owner is None or not isinstance(size.owner.op, SizeOf):
            return None
        (v,), axis = size.owner.inputs, size.owner.op.axis
        for s in self.states:
            if v in s.taps.values():
                return sizes_of(s.first)[axis + 1]
        if v in self.sequences:
            return sizes_of(self.sequences[v])[axis + 1]
        return None

    # --- its rows

    def last_rows(
        self, made: Apply, result: State | Plain, stack: Variable, keep: int
    ) -> Variable:
        """The rows of a whole stack of a loop that were written last."""
        if self.op.backwards:
            start: Any = 0
        elif self.condition is not None:
            start = plus(made.outputs[-1], result.depth - keep)
        else:
            start = -keep
        if keep == 1:
            row = index(stack, start)
            return dimshuffle(row, "x", *range(row.ndim))
        end = None if start == -keep else add_size(start, keep)
        return index(stack, slice(start, end))

    # --- and together again

    def make(self) -> Apply:
        """The loop of these parts."""
        body = Body(self.inputs, merged(self.values, self.inputs))
        op = replace(
            self.op,
            body=body,
            n_sequences=len(self.sequences),
            taps=tuple(tuple(sorted(s.taps)) for s in self.states),
            until=self.condition is not None,
            keep=tuple(r.keep for r in self.results),
            least=self.least,
        )
        return op.make_node(
            self.n,
            *self.sequences.values(),
            *(s.first for s in self.states),
            *self.others.values(),
        )

    def replacements(self, made: Apply) -> dict[Variable, Variable]:
        """For each output of the loop taken apart that is left, what stands for it."""
        found = {
            r.output: v
            for r, v in zip(self.results, made.outputs, strict=False)
            if r.output is not None
        }
        if self.count is not None:
            found[self.count] = made.outputs[-1]
        return found


def merged(values: Sequence[Variable], inputs: Sequence[Variable]) -> list[Variable]:
    """The same values, with every equal operation once.

    A body equals one with fewer operations that computes the same, so that nothing merges
    them later; and what is computed twice looks to a rule as if it were two things.
    """
    numbers = Numbering()
    numbers.of(values)
    first: dict[int, Variable] = {}
    found: dict[Variable, Variable] = {}
    for node in toposort(values, inputs):
        own = [numbers.numbers[v] for v in node.outputs]
        if own[0] not in first:
            made = rebuild(node, [found.get(v, v) for v in node.inputs])
            first.update(zip(own, made.outputs, strict=True))
        found.update((v, first[k]) for v, k in zip(node.outputs, own, strict=True))
    return [found.get(v, v) for v in values]


def _sizes_of_leaf(v: Variable) -> Sizes:
    return tuple(
        SizeOf(axis)(v) if size is None else size
        for axis, size in enumerate(v.type.shape)
    )


def _as_it_is(size: Size) -> Size:
    known = known_int(size)
    return size if known is None else known


def original(node: Apply, context: Context) -> Apply | None:
    """The loop of the graph that entered the pass that this one stands for."""
    found = context.stands_for.get(node.outputs[0])
    return None if found is None else found.owner


def equal_states(
    pairs: list[tuple[State, State]], *loops: Loop
) -> tuple[Numbering, list[tuple[State, State]]]:
    """Which pairs of states that start alike are always equal, and numbers that show it.

    They are taken to be equal until their next values are not.
    """
    while True:
        numbers = Numbering()
        inner: dict[tuple[Variable, bool], list[Variable]] = {}
        for loop in loops:
            for v, outer in (*loop.sequences.items(), *loop.others.items()):
                inner.setdefault((outer, v in loop.sequences), []).append(v)
        for variables in inner.values():
            numbers.identify(*variables)
        for s, t in pairs:
            for tap, v in t.taps.items():
                if v not in numbers.numbers:
                    numbers.identify(v)
                numbers.numbers[s.taps[tap]] = numbers.numbers[v]
        kept = [
            (s, t) for s, t in pairs if len(set(numbers.of([s.value, t.value]))) == 1
        ]
        if len(kept) == len(pairs):
            return numbers, pairs
        pairs = kept


def as_long(size: Size, steps: Variable) -> bool:
    """Whether a size is known to be the number of steps, which is never negative."""
    if isinstance(size, Variable) and size.owner is not None:
        if isinstance(size.owner.op, Maximum) and 0 in map(
            known_int, size.owner.inputs
        ):
            size = next(v for v in size.owner.inputs if known_int(v) != 0)
    if size is steps:
        return True
    a, b = as_sum(size), as_sum(steps)
    return a is not None and b is not None and a.minus(b).is_zero()


def plus(size: Variable, number: int) -> Variable:
    """A number of rows and a few more."""
    return add(size, size_variable(number)) if number else size


def minus(size: Variable, number: int) -> Variable:
    """A number of rows less a few."""
    return sub(size, size_variable(number)) if number else size
