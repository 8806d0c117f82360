"""500 random graphs: both modes against the reference. Nothing may differ.

A failing batch is taken apart; its first failing graph is made small and printed.
"""

import numpy as np
import pytest

import workbench.tensor as T
from tests.agreement import compare
from tests.fuzz import (
    Graph,
    complaint,
    described,
    random_graph,
    shrink,
    shrunken,
    together,
)
from workbench.compile.c.toolchain import find_compiler
from workbench.core.evaluate import evaluate

GRAPHS = 500
BATCH = 25
SEEDS = range(20_000, 20_000 + GRAPHS)
BATCHES = [SEEDS[i : i + BATCH] for i in range(0, GRAPHS, BATCH)]


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds[0]}")
def test_compiled_graphs_agree_with_the_reference(seeds, mode):
    if mode == "FAST_RUN" and find_compiler() is None:
        pytest.skip("there is no C compiler")
    graphs = [random_graph(seed) for seed in seeds]

    if complaint(together(graphs), mode):
        wrong = next((g for g in graphs if complaint(g, mode)), together(graphs))
        small = shrunken(wrong, mode)
        text = complaint(small, mode) or complaint(wrong, mode)
        pytest.fail(f"{mode}: {text}\n{described(small)}", pytrace=False)


# --- the tools themselves -------------------------------------------------------------


@pytest.fixture(scope="module")
def graphs():
    return [random_graph(seed) for seed in range(100)]


def test_a_seed_makes_one_graph():
    first, second = random_graph(7), random_graph(7)

    assert described(first) == described(second)
    for a, b in zip(first.expected, second.expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_graphs_run_and_fit_their_types(graphs):
    for graph in graphs:
        values = graph.given
        for node in graph.nodes:
            with np.errstate(all="ignore"):
                results = evaluate(node.outputs, values)
            for variable, value in zip(node.outputs, results, strict=True):
                assert variable.type.fits(value), described(graph)


def test_graphs_cover_the_language(graphs):
    ops = {type(node.op).__name__ for graph in graphs for node in graph.nodes}
    dtypes = {v.dtype for graph in graphs for v in graph.inputs}

    assert len(ops) > 90
    assert len(dtypes) >= 13


def test_result_equal_to_the_reference_passes(graphs):
    for graph in graphs:
        assert compare(graph.expected, graph.expected, graph) == []


def test_most_elements_are_determined(graphs):
    wrong = total = 0
    for graph in graphs:
        other = [np.where(e == 0, 1, 0).astype(e.dtype) for e in graph.expected]
        total += sum(e.size > 0 for e in graph.expected)
        wrong += len(compare(graph.expected, other, graph))

    assert wrong > 0.8 * total


def simple_graph(build, *values):
    inputs = [
        T.tensor(v.dtype.name, (None,) * v.ndim, f"x{i}") for i, v in enumerate(values)
    ]
    return Graph(inputs, [build(*inputs)], list(values))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.astype("float32"), "dtype float32, not float64"),
        (lambda r: r[:2], "shape (2,), not (4,)"),
        (
            lambda r: np.where(r == 0, -0.0, r),
            "1 of 4 elements at (0,): np.float64(-0.0)",
        ),
        (lambda r: np.where(np.isnan(r), 1.0, r), "1 of 4 elements at (3,)"),
        (lambda r: r * (1 + 1e-12), "2 of 4 elements"),
    ],
)
def test_a_wrong_result_is_found(change, complaint):
    graph = simple_graph(lambda x: T.sqrt(x) * 2, np.array([0.0, 1.0, 4.0, -1.0]))

    (found,) = compare(graph.expected, [change(graph.expected[0])], graph)

    assert complaint in str(found)


def test_what_rounding_decides_is_not_compared():
    # 0.1 + 0.2 - 0.3 is 5.6e-17 or 0: its floor, its sign and what follows are open.
    graph = simple_graph(
        lambda x: T.exp(T.floor((x + 0.2 - 0.3) * 1.0)), np.array([0.1])
    )

    assert compare(graph.expected, [np.exp([-1.0])], graph) == []


def test_order_of_a_sum_is_open_within_its_bound():
    rng = np.random.default_rng(0)
    values = rng.normal(size=1000).astype("float32")
    graph = simple_graph(T.sum, values)

    assert compare(graph.expected, [np.float32(np.sum(values[::-1]))], graph) == []
    assert compare(graph.expected, [graph.expected[0] + np.float32(5)], graph)


def test_shrinking_leaves_the_node_at_fault():
    def fails(graph):
        return any(str(node.op) == "tanh" for node in graph.nodes)

    x = T.vector("x")
    y = T.tanh(T.exp(x) + 1)
    graph = Graph([x], [T.sum(y * y), T.log(y) - x], [np.array([1.0, 2.0])])

    small = shrink(graph, fails)

    assert [str(node.op) for node in small.nodes] == ["tanh"]
    np.testing.assert_allclose(small.values[0], np.exp([1.0, 2.0]) + 1)
    assert described(small).splitlines()[-2:] == [
        "  v0 = tanh(y0)  float64 vector",
        "  return v0",
    ]
