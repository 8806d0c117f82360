"""Convolutions, pooling and normalisation give what torch gives.

torch is no dependency: ``pip install -e ".[torch]"`` brings it, and without it this is skipped.
Every change compares some of the pairs, chosen evenly; the night all of them.
"""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler

pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[torch]"')

import torch
import torch.nn.functional as F

from tests import torch_cases
from tests.torch_cases import TABLES, differences

TOGETHER = 24  # pairs compiled as one function
needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)


def groups(every):
    """Some pairs of every table, in groups of one table."""
    found = []
    for name, table in TABLES.items():
        chosen = list(table())[::every]
        for first in range(0, len(chosen), TOGETHER):
            group = chosen[first : first + TOGETHER]
            found.append(pytest.param(group, id=f"{name}-{first}"))
    return found


def check(group, mode):
    wrong = differences(group, mode)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("group", groups(11))
def test_values_and_gradients_are_those_of_torch(group):
    check(group, "FAST_COMPILE")


@needs_compiler
@pytest.mark.parametrize("group", groups(17))
def test_compiled_values_and_gradients_are_those_of_torch(group):
    check(group, "FAST_RUN")


@pytest.mark.nightly
@pytest.mark.parametrize("group", groups(1))
def test_all_values_and_gradients_are_those_of_torch(group):
    check(group, "FAST_COMPILE")


@needs_compiler
@pytest.mark.nightly
@pytest.mark.parametrize("group", groups(1))
def test_all_compiled_values_and_gradients_are_those_of_torch(group):
    check(group, "FAST_RUN")


def test_a_difference_is_found(monkeypatch):
    (pair,) = [p for p in TABLES["others"]() if p.name == "two layers"]
    monkeypatch.setattr(torch_cases, "_layer_of_torch", lambda x, w, b: 1.001 * _layer(x, w, b))  # fmt: skip

    wrong = differences([pair], "FAST_COMPILE")

    assert len(wrong) == 1 + 5 + 5


def _layer(x, w, b):
    return torch.tanh(F.max_pool2d(F.conv2d(x, w), 2) + b.reshape(1, -1, 1, 1))


def test_nan_and_infinity_are_pooled_as_by_torch():
    x = np.array([[[[1.0, np.nan, -np.inf, -np.inf], [np.inf, 2.0, -np.inf, -np.inf]]]])
    images = T.dtensor4("x")

    pooled = T.signal.pool.pool_2d(images, (2, 2), True)
    value, gradient = wb.function([images], [pooled, wb.grad(pooled.sum(), images)])(x)

    t = torch.tensor(x, requires_grad=True)
    there = F.max_pool2d(t, 2)
    there.sum().backward()
    np.testing.assert_array_equal(value, there.detach().numpy())
    np.testing.assert_array_equal(gradient, t.grad.numpy())


@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_running_averages_are_those_of_torch(factor):
    rng = np.random.default_rng(0)
    module = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=factor, dtype=torch.float64)
    x = T.dtensor4("x")
    mean, var = wb.shared(np.zeros(3), name="mean"), wb.shared(np.ones(3), name="var")
    out, *_, new_mean, new_var = T.nnet.batch_normalization_train(
        x, np.ones(3), np.zeros(3), "spatial", 1e-3, factor, mean, var
    )
    train = wb.function([x], out, updates=[(mean, new_mean), (var, new_var)])

    for _ in range(3):
        batch = rng.normal(1, 2, (5, 3, 4, 4))
        ours, theirs = train(batch), module(torch.tensor(batch))
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-12)

    np.testing.assert_allclose(mean.get_value(), module.running_mean, atol=1e-12)
    np.testing.assert_allclose(var.get_value(), module.running_var, atol=1e-12)


def test_lenet_learns_step_by_step_what_it_learns_in_torch():
    rng = np.random.default_rng(0)
    shapes = [(4, 1, 5, 5), (4,), (6, 4, 5, 5), (6,), (96, 10), (10,)]
    first = [rng.normal(0, 0.2, shape) for shape in shapes]
    params = [wb.shared(value, name=f"p{k}") for k, value in enumerate(first)]
    x, y = T.dtensor4("x"), T.lvector("y")
    W1, b1, W2, b2, W3, b3 = params
    layer = torch_cases._layer_of_ours
    scores = T.dot(layer(layer(x, W1, b1), W2, b2).flatten(2), W3) + b3
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(scores), y).mean()
    gradients = wb.grad(loss, params)
    updates = [(p, p - 0.1 * g) for p, g in zip(params, gradients, strict=True)]
    train = wb.function([x, y], loss, updates=updates)
    theirs = [torch.tensor(value, requires_grad=True) for value in first]
    descent = torch.optim.SGD(theirs, 0.1)

    for _ in range(5):
        images, labels = rng.normal(size=(8, 1, 28, 28)), rng.integers(0, 10, 8)
        cost = train(images, labels)
        V1, c1, V2, c2, V3, c3 = theirs
        hidden = _layer(_layer(torch.tensor(images), V1, c1), V2, c2)
        there = F.cross_entropy(hidden.flatten(1) @ V3 + c3, torch.tensor(labels))
        descent.zero_grad()
        there.backward()
        descent.step()
        np.testing.assert_allclose(cost, there.item(), rtol=1e-10)

    for ours, other in zip(params, theirs, strict=True):
        np.testing.assert_allclose(ours.get_value(), other.detach().numpy(), atol=1e-10)


def test_the_tables_are_large():
    assert {name: len(list(table())) for name, table in TABLES.items()} == {
        "convolutions": 324,
        "transposed": 96,
        "pools": 132,
        "others": 17,
    }
