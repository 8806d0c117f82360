"""Loops after all rewrites: values and gradients stay as they were."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.compile.rules.drawing import Draw
from tests.compile.rules.matches import MATCHES
from workbench.compile.rewriting import rewrite_graph
from workbench.compile.rules import loops
from workbench.core.evaluate import evaluate

NAMES = [rule.name for rule in (*loops.RULES, *loops.MOVES)]
ROWS = [
    pytest.param(maker, id=f"{name}-{i}")
    for name in NAMES
    for i, maker in enumerate(MATCHES[name])
]


def cost_and_gradients(maker, seed, static):
    """A cost of all outputs of a graph that some rule matches, the outputs, and its gradients."""
    draw = Draw(np.random.default_rng(seed), static)
    outputs = maker(draw)
    outputs = [*outputs] if isinstance(outputs, tuple | list) else [outputs]
    cost = sum(T.sum(T.sin(v)) for v in outputs if v.type.is_float)
    wrt = [v for v in draw.values if v.type.is_float]
    gradients = wb.grad(cost, wrt, disconnected_inputs="ignore")
    return [cost, *outputs, *gradients], draw.values


def check(maker, mode, seed):
    for static in (False, True):
        outputs, values = cost_and_gradients(maker, seed, static)

        rewritten = rewrite_graph(outputs, mode=mode)

        expected, found = evaluate(outputs, values), evaluate(rewritten, values)
        for a, b in zip(expected, found, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            # Sums over steps are taken in another order.
            np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("maker", ROWS)
def test_values_and_gradients_stay(maker, mode):
    check(maker, mode, seed=3)


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("maker", ROWS)
def test_values_and_gradients_stay_for_many_shapes(maker, mode):
    for seed in range(10, 30):
        check(maker, mode, seed)
