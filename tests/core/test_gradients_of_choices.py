"""Gradients of random expressions full of switches, against differences of values.

The gradient of a switch is carried as a pair of a value and a condition through
elementwise operations, sums and stretches; here they are put together at random. The step is small,
so that none of the kinks lies within it.
"""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T


def random_cost(seed):
    """A function of a vector of 3 and a matrix of 3 by 3, made of 6 to 15 operations."""

    def build(x, y):
        rng = np.random.default_rng(seed)
        made = [x, y, x.dimshuffle("x", 0), T.sin(y)]
        conditions = []

        def some():
            return made[int(rng.integers(len(made)))]

        def condition():
            if not conditions or rng.random() < 0.4:
                conditions.append(T.gt(some(), 0.1))
            return conditions[int(rng.integers(len(conditions)))]

        def choice(a, b):
            other = 0 if rng.random() < 0.6 else a
            return T.switch(
                condition(), *((b, other) if rng.random() < 0.5 else (other, b))
            )

        ways = [
            choice,
            choice,
            choice,
            lambda a, b: a * b,
            lambda a, b: a + b,
            lambda a, b: T.tanh(a) * b,
            lambda a, b: T.maximum(a, b),
            lambda a, b: T.abs(a) - b,
            lambda a, b: a.sum(axis=int(rng.integers(a.ndim)), keepdims=True),
            lambda a, b: a.mean(axis=-1),
            lambda a, b: a.T,
        ]
        for _ in range(int(rng.integers(6, 16))):
            a, b = some(), some()
            way = ways[int(rng.integers(len(ways)))]
            if a.ndim or way not in ways[-3:]:
                made.append(way(a, b))
        return sum(v.sum() for v in made[-4:])

    return build


@pytest.mark.parametrize(
    "seed",
    [
        *range(40),
        *(pytest.param(s, marks=pytest.mark.nightly) for s in range(40, 1000)),
    ],
)
def test_gradient_of_choices_equals_differences(seed):
    rng = np.random.default_rng(seed)
    point = [rng.normal(size=3), rng.normal(size=(3, 3))]

    wb.verify_grad(
        random_cost(seed), point, n_tests=1, eps=3e-6, rel_tol=1e-4, abs_tol=1e-4
    )
