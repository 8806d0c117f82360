"""Random chains of slices, joins and puts: rewritten, they give what they gave before.

Sizes are 0 to 4, bounds small numbers or inputs of either sign, so that most are clipped. All
rules are used; the values are finite. Where the graph fails, nothing is said of the rewritten
one: it may do without what failed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import workbench.tensor as T
from workbench.compile.rewriting import rewrite_graph
from workbench.core.errors import WorkbenchError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import TensorType

STEPS = (None, None, None, 1, 2, -1, -2, 3)


class Chain:
    """Arrays made one from the other by random operations."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.values: dict[Variable, np.ndarray] = {}
        sizes = self.rng.integers(0, 5, 3)
        self.made: list[Variable] = []
        for number in range(int(self.rng.integers(2, 5))):
            shape = tuple(
                int(s) for s in self.rng.choice(sizes, self.rng.integers(1, 3))
            )
            self.made.append(self.leaf(shape, f"x{number}"))
        self.numbers = [self.leaf((), "i", "int64"), self.leaf((), "j", "int64")]
        self.arrays = list(self.made)

    def leaf(self, shape: Sequence[int], name: str, dtype: str = "float64") -> Variable:
        known = [s if s == 1 or self.rng.random() < 0.5 else None for s in shape]
        variable = Variable(TensorType(dtype, tuple(known)), name)
        drawn = self.rng.normal(size=shape) * 2
        self.values[variable] = np.asarray(drawn, dtype)
        return variable

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def bound(self) -> Any:
        size_of = self.pick(self.arrays)
        size = size_of.shape[int(self.rng.integers(size_of.ndim))]
        small = int(self.rng.integers(-4, 5))
        return self.pick([None, small, small, small, self.pick(self.numbers), size])

    def entry(self) -> Any:
        place = self.pick([0, 0, 1, -1, self.pick(self.numbers)])
        cut = slice(self.bound(), self.bound(), self.pick(STEPS))
        return self.pick([place, slice(None), slice(None), cut, cut, cut, cut])

    def index(self, x: Variable) -> tuple[Any, ...]:
        return tuple(self.entry() for _ in range(x.ndim))

    def grow(self) -> None:
        x = self.made[-1] if self.rng.random() < 0.6 else self.pick(self.made)
        x = x if x.ndim else self.made[0]
        self.made.append(self.pick(OPERATIONS)(self, x, self.pick(self.made)))


def put_and_read(c: Chain, x: Variable, y: Variable) -> Variable:
    at = c.index(x)
    return T.set_subtensor(x[at], 1.5)[at]


def put_more(c: Chain, x: Variable, y: Variable) -> Variable:
    at = c.index(x)
    return T.set_subtensor(x[at], x[at] + 2.0)


def cut_and_join(c: Chain, x: Variable, y: Variable) -> Variable:
    place = c.bound()
    return x if place is None else T.concatenate([x[:place], x[place:]])


OPERATIONS: list[Callable[[Chain, Variable, Variable], Variable]] = [
    *[lambda c, x, y: x[c.index(x)]] * 5,
    lambda c, x, y: T.tanh(x),
    lambda c, x, y: x.T if x.ndim == 2 else x.dimshuffle("x", 0),
    lambda c, x, y: T.concatenate([x, y], axis=x.ndim - 1),
    lambda c, x, y: x + y,
    lambda c, x, y: T.dot(x, y),
    lambda c, x, y: T.set_subtensor(x[c.index(x)], float(c.rng.integers(3))),
    lambda c, x, y: T.inc_subtensor(x[c.index(x)], float(c.rng.integers(3))),
    lambda c, x, y: x[T.arange(x.shape[0])],
    lambda c, x, y: x[np.arange(*np.sort(c.rng.integers(0, 4, 2)))],
    lambda c, x, y: T.alloc(1.5, x.shape[0], 3),
    put_and_read,
    put_more,
    cut_and_join,
]


def outputs_of(chain: Chain) -> list[Variable]:
    """The last two arrays, and now and then a gradient through them."""
    for _ in range(int(chain.rng.integers(2, 9))):
        try:
            chain.grow()
        except WorkbenchError:  # sizes that are known do not fit
            continue
    outputs = chain.made[-2:]
    if chain.rng.random() < 0.3:
        cost = T.sum(T.sqr(chain.made[-1]))
        outputs.append(T.grad(cost, chain.made[0], disconnected_inputs="ignore"))
    return outputs


def check(seeds: range) -> int:
    """How many graphs gave values at all."""
    compared = 0
    for seed in seeds:
        chain = Chain(seed)
        outputs = outputs_of(chain)
        try:
            expected = evaluate(outputs, chain.values)
        except WorkbenchError:
            continue
        found = evaluate(rewrite_graph(outputs), chain.values)
        for a, b in zip(found, expected, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), seed
            # Sums of up to some hundred products may be taken in another order.
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=str(seed))
        compared += 1
    return compared


def test_random_chains_keep_their_values():
    assert check(range(250)) > 100


@pytest.mark.nightly
def test_many_random_chains_keep_their_values():
    assert check(range(10_000, 20_000)) > 4_000
