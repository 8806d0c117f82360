"""Loops cut into the smallest ranges, on several threads: the same numbers, bit for bit."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.fuzz import complaint, random_graph, together
from workbench.compile import ranges
from workbench.compile.c.toolchain import find_compiler
from workbench.config import config

pytestmark = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)


@pytest.fixture
def smallest_ranges(monkeypatch):
    monkeypatch.setattr(ranges, "WORTH", 1)


@pytest.mark.parametrize("first", [40_000, 40_025])
def test_random_graphs_in_small_ranges(first, smallest_ranges):
    graphs = [random_graph(seed) for seed in range(first, first + 25)]

    with config.change(threads=4):
        assert complaint(together(graphs), "FAST_RUN") == ""


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_rows_do_not_depend_on_the_number_of_threads(threads, smallest_ranges):
    x = T.matrix("x")
    outputs = [T.nnet.softmax(x), T.tanh(x) * 2, x.sum(axis=1), T.exp(x).sum(axis=0)]
    value = np.random.default_rng(0).normal(size=(57, 33))
    reference = wb.function([x], outputs, mode="None")(value)

    with config.change(threads=threads):
        compiled = wb.function([x], outputs)
        found = compiled(value)
        again = compiled(value)

    for a, b, c in zip(found, again, reference, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-13)


def test_failing_range_is_reported_as_if_there_were_one(smallest_ranges):
    x, y = T.vector("x"), T.lvector("y")
    take = wb.function([x, y], T.exp(x[y]))
    places = np.zeros(1000, "int64")
    places[300], places[700] = 77, -99

    with config.change(threads=4), pytest.raises(IndexError, match="77"):
        take(np.zeros(5), places)
