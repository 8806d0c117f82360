"""Random loops, read in random ways: rewriting changes neither values, nor gradients, nor errors."""

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.compile.rules.matches_loops import loop
from workbench.compile.rewriting import rewrite_graph
from workbench.core.errors import OutOfRangeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, as_variable
from workbench.core.types import TensorType


class RandomLoop:
    """A loop over states, sequences, matrices and sums of products, and what is read of it."""

    def __init__(self, seed):
        self.rng = r = np.random.default_rng(seed)
        self.static = bool(r.random() < 0.4)
        self.values = {}
        self.is_vector = bool(r.random() < 0.4)
        self.row = (3,) if self.is_vector else (int(r.integers(1, 4)), 3)
        n = self.number(int(r.choice([0, 1, 2, 3, 5], p=[0.1, 0.1, 0.3, 0.3, 0.2])))
        sequences = [self.new(self.steps, *self.row) for _ in range(r.integers(0, 3))]
        if r.random() < 0.3:
            sequences += sequences[:1]
        if r.random() < 0.2:
            sequences.append(T.broadcast_to(self.new(*self.row), (n, *self.row)))
        self.taps = [self.some_taps() for _ in range(r.integers(not sequences, 3))]
        states = [self.new(-min(taps), *self.row) for taps in self.taps]
        self.sums = int(r.integers(0, 3))
        sums = [self.new(1, 3, 3) for _ in range(self.sums)]
        matrices = [self.new(3, 3) for _ in range(r.integers(0, 4))]
        self.backwards = bool(r.random() < 0.4)
        self.until = not self.backwards and bool(r.random() < 0.2)
        self.n_sequences = len(sequences)
        self.outputs = loop(
            n,
            self.step,
            sequences,
            [*states, *sums],
            matrices,
            [*self.taps, *[(-1,)] * self.sums],
            backwards=self.backwards,
            until=self.until,
        )

    def new(self, *shape):
        sizes = tuple(s if self.static else None for s in shape)
        v = Variable(TensorType("float64", sizes), f"x{len(self.values)}")
        self.values[v] = self.rng.normal(size=shape) * 0.7
        return v

    def number(self, steps):
        self.steps = steps
        if self.rng.random() < 0.3:
            return as_variable(steps)
        n = Variable(TensorType("int64", ()), "n")
        self.values[n] = np.array(steps)
        return n

    def some_taps(self):
        more = self.rng.integers(1, 4, self.rng.integers(0, 2))
        return tuple(sorted({-1, *(-int(t) for t in more)}))

    def step(self, *inputs):
        rest = iter(inputs)
        self.pool = [next(rest) for _ in range(self.n_sequences)]
        states = [[next(rest) for _ in taps] for taps in self.taps]
        self.pool += [v for taps in states for v in taps]
        sums = [next(rest) for _ in range(self.sums)]
        self.matrices = list(rest)
        r = self.rng
        self.pool += [self.value(2) for _ in range(r.integers(0, 3))]
        found = [
            taps[-1] if r.random() < 0.12 else T.tanh(self.value(3)) for taps in states
        ]
        for s in sums:
            x, g = self.value(1), self.value(2)
            product = T.outer(x, g) if self.is_vector else T.dot(x.T, g)
            found.append(s + product if r.random() < 0.8 else s - product)
        found += [self.value(3) for _ in range(r.integers(not found, 3))]
        if self.until:
            found.append(T.gt(self.pool[-1].sum(), float(r.normal())))
        return found

    def value(self, depth):
        """A random expression of rows, states and matrices."""
        r, kind = self.rng, self.rng.random()
        if depth == 0 or kind < 0.15:
            return self.pool[r.integers(len(self.pool))]
        a = self.value(depth - 1)
        if kind < 0.4 and self.matrices:
            w = self.matrices[r.integers(len(self.matrices))]
            return T.dot(a, w if r.random() < 0.8 else T.exp(w).T)
        if kind < 0.6:
            return T.tanh(a)
        b = self.value(depth - 1)
        return a + b if kind < 0.8 else a * b if kind < 0.9 else a - b

    def reads(self):
        """Whole results, last rows, slices: as users see results, or of the given rows, too."""
        r = self.rng
        depths = [-min(taps) for taps in self.taps] + [1] * self.sums
        for i, out in enumerate(self.outputs[: len(self.outputs) - self.until]):
            depth = depths[i] if i < len(depths) else 0
            for _ in range(r.integers(0, 3)):
                v = out
                if depth and r.random() < 0.7:
                    v = v[:-depth] if self.backwards else v[depth:]
                elif self.until:
                    v = v[depth : self.outputs[-1] + depth]
                if self.backwards and r.random() < 0.5:
                    v = v[::-1]
                keys = [slice(None), -1, 0, -2, slice(-2, None), slice(1, None)]
                yield v[keys[r.integers(len(keys))]]


@dataclass
class Outcome:
    """The arrays, or the class of the error."""

    arrays: list
    error: type | None = None


def outcome(outputs, values):
    try:
        return Outcome(evaluate(outputs, values))
    except Exception as error:
        return Outcome([], type(error))


def check(seed, mode):
    made = RandomLoop(seed)
    try:
        reads = list(made.reads())
    except OutOfRangeError:
        return  # a row that is known not to be there
    if not reads:
        return
    cost = sum(T.sum(T.sin(v)) for v in reads)
    wrt = [v for v in made.values if v.type.is_float]
    outputs = [cost, *reads, *wb.grad(cost, wrt, disconnected_inputs="ignore")]

    rewritten = rewrite_graph(outputs, mode=mode)

    expected, found = outcome(outputs, made.values), outcome(rewritten, made.values)
    assert found.error == expected.error
    for a, b in zip(expected.arrays, found.arrays, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("seed", range(12))
def test_random_loop_stays_what_it_is(seed, mode):
    check(seed, mode)


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("seed", range(100, 500))
def test_random_loop_stays_what_it_is_400_times(seed, mode):
    check(seed, mode)
