"""A call that fails, wherever it fails, changes nothing; the next one is right."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.checks import assert_op

N = 6


@wb.as_op([T.dvector(), T.lscalar()], T.dvector(), infer_shape=lambda n, s: [s[0]])
def sent_back(x, bad):
    if bad:
        raise LookupError("sent back")
    return x + 1


def with_ones(h, number):
    return T.concatenate([abs(h), T.ones((number,))])


# What may fail at a place: it gives `h` back, 1 more in every element, unless `bad` is 1.
FAILURES = {
    "an index": lambda h, bad: h[T.arange(N) + N * bad] + 1,
    "a size": lambda h, bad: h + T.ones((N + 3 * bad,)),
    "a shape": lambda h, bad: h.reshape((N + bad,)) + 1,
    "an assertion": lambda h, bad: assert_op(h, T.eq(bad, 0)) + 1,
    "a function of Python": lambda h, bad: sent_back(h, bad),
    "an empty maximum": lambda h, bad: (
        h + 1 + T.minimum(abs(h[: N * (1 - bad)]).max(), 0.0)
    ),
    "memory": lambda h, bad: (
        h + 1 + T.minimum(T.sort(with_ones(h, bad * 10**15))[0], 0.0)
    ),
}


def chain(kinds, mode):
    """A function with a place for each kind of failure, and updates in every way between."""
    x, bad = T.vector("x"), T.lvector("bad")
    random = T.random.RandomStreams(3)
    states = [wb.shared(np.zeros(N), f"s{k}") for k in range(len(kinds) + 2)]
    square = wb.shared(np.zeros((N, N)), "square")
    h, updates = x, []
    for k, kind in enumerate(kinds):
        h = FAILURES[kind](h, bad[k])
        updates.append((states[k], states[k] + h))
    a, b = states[-2:]
    noise = random.normal((N,))
    updates += [(a, b + 1), (b, a + 1 + 0 * h[0])]
    updates.append((square, square + T.dot(h.dimshuffle(0, "x"), h.dimshuffle("x", 0))))
    f = wb.function([x, bad], [h, noise], updates=updates, mode=mode)
    return f, [*states, square, *(state for state, _ in random.updates())]


def values(states):
    return [state.get_value() for state in states]


def test_a_failure_at_any_place_leaves_every_variable_as_it_was(mode):
    kinds = list(FAILURES)
    f, states = chain(kinds, mode)
    twin, twins = chain(kinds, mode)
    x = np.arange(float(N))
    well = np.zeros(len(kinds), int)

    for place in range(len(kinds)):
        before = values(states)
        for _ in range(2):
            with pytest.raises(Exception) as caught:
                f(x, np.eye(len(kinds), dtype=int)[place])
            assert not isinstance(caught.value, AssertionError | SystemError) or (
                kinds[place] == "an assertion"
            )
            np.testing.assert_equal(values(states), before)
        for got, wanted in zip(f(x, well), twin(x, well), strict=True):
            np.testing.assert_array_equal(got, wanted)
        np.testing.assert_equal(values(states), values(twins))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(50))
def test_a_failure_at_any_place_of_a_random_chain_changes_nothing(mode, seed):
    random = np.random.default_rng(seed)
    kinds = list(random.choice(list(FAILURES), random.integers(2, 9)))
    f, states = chain(kinds, mode)
    x = random.normal(size=N)

    for place in range(len(kinds)):
        before = values(states)
        with pytest.raises(Exception):  # noqa: B017 of many kinds
            f(x, np.eye(len(kinds), dtype=int)[place])
        np.testing.assert_equal(values(states), before)
        f(x, np.zeros(len(kinds), int))
        assert any(
            (new != old).any()
            for new, old in zip(values(states), before, strict=True)
            if new.shape == old.shape
        )
