"""Random loops: states, taps, sequences, dtypes, conditions and formulas by the seed.

:func:`random_loop` makes one with values for its inputs; the loop written out, step after
step, is :attr:`RandomLoop.written_out`. Both are graphs, so both have derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

import workbench.tensor as T
from tests.loops import written_out
from workbench.core.graph import Apply, Variable
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan

Array = np.ndarray

TAPS = [(-1,), (-1,), (-2,), (-3, -1), (-2, -1), (-3,)]
STEPS = [1, 2, 3, 5, 7]
SIZE = 3
"""Of every vector."""


@dataclass
class RandomLoop:
    """A loop, a value for each of its inputs, how many steps it may make and how many it does."""

    op: Scan
    inputs: list[Variable]
    values: list[Array]
    steps: int
    done: int

    @property
    def given(self) -> dict[Variable, Array]:
        """The values by input."""
        return dict(zip(self.inputs, self.values, strict=True))

    @cached_property
    def node(self) -> Apply:
        """The loop as one node."""
        return self.op.make_node(*self.inputs)

    @cached_property
    def written_out(self) -> list[Variable]:
        """Its outputs without a loop."""
        return written_out(self.op, self.inputs, self.steps, self.done)

    @property
    def floats(self) -> list[Variable]:
        """The inputs that have a gradient."""
        return [v for v in self.inputs if v.type.is_float]


def random_loop(seed: int, steps: int | None = None) -> RandomLoop:
    """The loop of a seed; the number of steps may be chosen."""
    rng = np.random.default_rng(seed)
    draft = _Draft(rng)
    op = draft.op()
    n = int(rng.choice(STEPS)) if steps is None else steps
    stop = int(rng.integers(1, n + 3))
    done = min(n, stop) if op.until else n
    keep = [
        None if rng.random() < 0.75 else int(rng.integers(0, depth + done + 1))
        for depth in op.output_depths
    ]
    op = replace(op, keep=tuple(keep))
    inputs = [T.lscalar("n")]
    values: list[Array] = [np.array(n)]

    def add(v: Variable, rows: tuple[int, ...]) -> None:
        shape = rows + (SIZE,) * v.ndim
        free = (None,) * len(rows)
        inputs.append(Variable(v.type.with_shape((*free, *v.type.shape)), v.name))
        values.append(draft.value(v, shape))

    for v in draft.sequences:
        add(v, (n,))
    for taps, depth in zip(draft.states, op.depths, strict=True):
        add(taps[0], (depth,))
    if op.until:
        values[-1] = np.zeros(1, "int64")
    for v in draft.others:
        add(v, ())
    if op.until:
        values[-1] = np.array(stop)
    return RandomLoop(op, inputs, values, n, done)


class _Draft:
    """The body of a loop in the making."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.dtype = str(rng.choice(["float64", "float64", "float32"]))
        self.taps = [
            TAPS[rng.integers(len(TAPS))] for _ in range(int(rng.integers(0, 4)))
        ]
        self.sequences = [self._input(f"x{i}") for i in range(int(rng.integers(0, 3)))]
        self.states = [self._state(i, taps) for i, taps in enumerate(self.taps)]
        self.others = [self._input(f"w{i}") for i in range(int(rng.integers(0, 3)))]
        states = [v for taps in self.states for v in taps]
        half = T.constant(np.array(0.5, self.dtype))
        self.pool = [*self.sequences, *states, *self.others] or [half]
        self.pool.append(self.formula(2))

    def op(self) -> Scan:
        """The loop."""
        rng = self.rng
        until = bool(rng.random() < 0.3)
        following: list[Variable] = []
        for taps in self.states:
            following.append(self._next(taps, following))
        least = 0 if self.states else 1
        plain = [self._plain(following) for _ in range(int(rng.integers(least, 3)))]
        condition = [self._counter(following)] if until else []
        states = [v for taps in self.states for v in taps]
        body = Body(
            [*self.sequences, *states, *self.others], [*following, *plain, *condition]
        )
        return Scan(
            body,
            len(self.sequences),
            tuple(self.taps),
            until=until,
            backwards=not until and bool(rng.random() < 0.4),
            truncate=None if rng.random() < 0.65 else int(rng.integers(1, 6)),
            recompute=bool(rng.random() < 0.25),
        )

    def value(self, v: Variable, shape: tuple[int, ...]) -> Array:
        """A value for an input."""
        if v.type.is_float:
            return self.rng.normal(size=shape).astype(v.dtype)
        return self.rng.integers(-2, 4, size=shape)

    def formula(self, depth: int) -> Variable:
        """Of what is in the pool."""
        rng, pool = self.rng, self.pool
        if depth == 0 or rng.random() < 0.2:
            return pool[rng.integers(len(pool))]

        def part() -> Variable:
            return self.formula(depth - 1)

        choices = [
            lambda: T.tanh(part()),
            lambda: T.sin(part()),
            lambda: T.sigmoid(part()),
            lambda: T.exp(-T.sqr(part())),
            lambda: T.disconnected_grad(part()),
            lambda: part().sum(),
            lambda: T.switch(T.gt(part(), part()), part(), part()),
            lambda: T.maximum(part(), part()),
            lambda: part() - part(),
            lambda: part() * part() * 0.5,
            lambda: part() * part() * 0.3,
            lambda: part() * 0.5 + part(),
            lambda: part() * 0.5 - part(),
        ]
        return choices[rng.integers(len(choices))]()

    def _input(self, name: str) -> Variable:
        dtype = "int64" if self.rng.random() < 0.15 else self.dtype
        shapes: Sequence[tuple[int | None, ...]] = [(), (None,), (SIZE,)]
        return T.tensor(dtype, shape=shapes[self.rng.integers(3)], name=name)

    def _state(self, i: int, taps: Sequence[int]) -> list[Variable]:
        kind = self._input(f"h{i}").type
        return [Variable(kind, f"h{i}[{tap}]") for tap in taps]

    def _next(self, taps: Sequence[Variable], before: Sequence[Variable]) -> Variable:
        """The next value of a state: itself, that of another, or a formula that stays small."""
        like, choice = taps[0], self.rng.random()
        if choice < 0.12:
            return taps[-1]
        if choice < 0.2 and before and before[0].type == like.type:
            return before[0]
        v = self.formula(3)
        if not like.type.is_float:
            v = v if not v.type.is_float else T.floor(T.clip(v.sum(), -3, 3))
            v = T.cast(v, "int64") % 5
        elif v.dtype != self.dtype:
            v = T.cast(v, self.dtype) * np.array(0.3, self.dtype)
        else:
            v = T.tanh(v) * np.array(0.9, self.dtype)
        v = v.sum() if v.ndim > like.ndim else v
        return T.zeros_like(like) + v if v.ndim < like.ndim else v

    def _plain(self, following: Sequence[Variable]) -> Variable:
        """An output that no step reads: an input, the next value of a state, or a formula."""
        choice = self.rng.random()
        if choice < 0.15:
            return self.pool[self.rng.integers(len(self.pool))]
        if choice < 0.3 and following:
            return following[self.rng.integers(len(following))]
        return self.formula(3)

    def _counter(self, following: list[Variable]) -> Variable:
        """A state more, which counts the steps, and the condition that it reaches a number."""
        count, stop = T.lscalar("count"), T.lscalar("stop")
        self.taps.append((-1,))
        self.states.append([count])
        self.others.append(stop)
        following.append(count + 1)
        return T.ge(count + 1, stop)
