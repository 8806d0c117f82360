"""Random sums, products and powers of few operands, so that much of them cancels.

Each graph is rewritten with every rule and evaluated by NumPy, before and after. The
graphs are larger than what a rule looks at, and built so that rules meet what other
rules made.
"""

from collections import Counter

import numpy as np
import pytest

import workbench.tensor as T
from tests.agreement import compare
from tests.fuzz import Graph as Drawn
from tests.fuzz import described, shrink
from workbench.compile.modes import get_mode
from workbench.compile.pipeline import optimise
from workbench.compile.record import Graph
from workbench.core.evaluate import evaluate
from workbench.core.graph import toposort

SHAPES = [(3, 4), (3, 4), (1, 4), (3, 1), (1, 1)]
CHOICES = [
    lambda v, w: T.switch(T.gt(v, w), v, w),
    lambda v, w: T.switch(T.le(v, 1), v, T.switch(T.le(v, 1), w, v)),
    lambda v, w: v * T.switch(T.gt(v, 1), 0, w),
    lambda v, w: T.switch(T.eq(v, v), w, v),
]
UNARY = [
    T.neg, T.sqr, abs, T.reciprocal, T.exp, T.log, T.sqrt, T.cosh, T.arccosh, T.tanh,
    lambda v: v * 2, lambda v: 3 - v, lambda v: v / 4, lambda v: v + 1, lambda v: 2 / v,
    lambda v: v**2, lambda v: v**0.5, lambda v: v**-2, lambda v: v**3, lambda v: v**1.7,
    lambda v: 0.5 * v, lambda v: v - 2, lambda v: v.T.T, lambda v: T.exp(T.log(v)),
    lambda v: v - v.sum(axis=1, keepdims=True), lambda v: (2 * v).sum(axis=0, keepdims=True),
    lambda v: T.max(-v, axis=1, keepdims=True),
]  # fmt: skip
BINARY = [
    T.add,
    T.sub,
    T.mul,
    T.true_div,
    T.add,
    T.sub,
    T.mul,
    T.true_div,
    T.maximum,
    *CHOICES,
]


def drawn(seed, operations, dtype="float64", near=6, unary=UNARY, binary=BINARY):
    """Some operations, each on one of the last results or on an input; a result in seven is an output."""
    rng = np.random.default_rng(seed)
    inputs = [
        T.tensor(dtype, tuple(1 if s == 1 else None for s in shape), f"x{i}")
        for i, shape in enumerate(SHAPES)
    ]
    made = list(inputs)
    while len(made) < operations + len(inputs):
        recent = made[-near:] + inputs[: int(rng.integers(2, 5))]
        a, b = (recent[int(i)] for i in rng.integers(0, len(recent), 2))
        if rng.random() < 0.4:
            made.append(unary[int(rng.integers(len(unary)))](a))
        else:
            made.append(binary[int(rng.integers(len(binary)))](a, b))
    if np.dtype(dtype).kind == "f":
        values = [rng.uniform(0.5, 2, shape).astype(dtype) for shape in SHAPES]
    else:
        ends = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = [rng.integers(*ends, shape, dtype, endpoint=True) for shape in SHAPES]
    return Drawn(inputs, made[:4:-7], values, seed)


def is_ordinary(graph):
    """Whether every value between is finite and not 0, neither huge nor tiny."""
    with np.errstate(all="ignore"):
        values = evaluate([v for n in graph.nodes for v in n.outputs], graph.given)
    floats = [np.abs(v) for v in values if v.dtype.kind == "f"]
    return all(np.all((v > 1e-6) & (v < 1e6)) for v in floats)


STRICT = get_mode("FAST_RUN").excluding("finite_math", "stability")


def rewritten(graph, mode="FAST_RUN"):
    return optimise(Graph(tuple(graph.inputs), tuple(graph.outputs)), get_mode(mode))


def complaint(graph, mode="FAST_RUN"):
    after, _ = rewritten(graph, mode)
    found = compare(graph.expected, evaluate(after.outputs, graph.given), graph)
    return "\n".join(map(str, found))


def check(seed, dtype):
    graph = drawn(seed, 14, dtype)
    if not is_ordinary(graph):
        return False
    if complaint(graph):
        small = shrink(graph, lambda g: bool(is_ordinary(g) and complaint(g)))
        pytest.fail(f"{complaint(small)}\n{described(small)}", pytrace=False)
    return True


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_algebra_keeps_its_value(dtype):
    ordinary = sum(check(seed, dtype) for seed in range(150))

    assert ordinary > 20


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1000, 11_000, 1000))
def test_random_algebra_keeps_its_value_10000_times(first):
    for seed in range(first, first + 1000):
        check(seed, "float64" if seed % 2 else "float32")


# --- infinities, NaN and zeros ------------------------------------------------------------

EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e300, np.inf, -np.inf, np.nan]


def at_extremes(seed, dtype):
    graph = drawn(seed, 10, dtype)
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        values = [rng.choice(EXTREMES, shape).astype(dtype) for shape in SHAPES]
    return Drawn(graph.inputs, graph.outputs, values, seed)


def check_extremes(seed, dtype):
    graph = at_extremes(seed, dtype)
    if complaint(graph, STRICT):
        small = shrink(graph, lambda g: bool(complaint(g, STRICT)))
        pytest.fail(f"{complaint(small, STRICT)}\n{described(small)}", pytrace=False)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rules_that_are_exact_keep_nan_infinities_and_zeros(dtype):
    for seed in range(100):
        check_extremes(seed, dtype)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1000, 6000, 1000))
def test_rules_that_are_exact_keep_nan_infinities_and_zeros_5000_times(first):
    for seed in range(first, first + 1000):
        check_extremes(seed, "float64" if seed % 2 else "float32")


# --- integers -------------------------------------------------------------------------------

OF_INTEGERS = [
    T.neg, T.sqr, abs, T.sign, lambda v: v * 2, lambda v: v * 3, lambda v: 3 - v, lambda v: v + 1,
    lambda v: v - 2, lambda v: v**2, lambda v: v**3, lambda v: v // 1, lambda v: v % 1, lambda v: -v,
    lambda v: v & -1 if v.dtype != "uint8" else v & 255, lambda v: v ^ v, lambda v: T.invert(v),
    lambda v: T.cast(T.cast(v, "int64"), v.dtype), lambda v: T.floor(v), lambda v: T.invert(~v),
    lambda v: T.cast(T.sum(3 * T.cast(v, "int64"), axis=1, keepdims=True), v.dtype),
]  # fmt: skip
OF_TWO = [
    T.add, T.sub, T.mul, T.add, T.sub, T.mul, T.maximum, T.minimum, T.and_, T.or_, T.xor,
    lambda v, w: T.switch(T.gt(v, w), v, w), lambda v, w: T.switch(~T.le(v, v), v, w),
    lambda v, w: T.switch(T.invert(T.lt(v, w)), v, T.switch(T.eq(v, 1), w, v)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integers_wrap_the_same_way(dtype):
    for seed in range(60):
        graph = drawn(seed, 14, dtype, unary=OF_INTEGERS, binary=OF_TWO)
        after, _ = rewritten(graph)

        found = evaluate(after.outputs, graph.given)

        for want, have in zip(graph.expected, found, strict=True):
            np.testing.assert_array_equal(have, want, err_msg=described(graph))
            assert have.dtype == want.dtype


# --- coming to rest -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_rewriting_comes_to_rest(seed):
    graph = drawn(seed, 60)

    after, _ = rewritten(graph)
    # A stage that comes before has not seen what this one made.
    again, more = optimise(after, get_mode("FAST_RUN").excluding("stability"))

    assert [step.rule for step in more] == []
    assert len(again.nodes()) == len(after.nodes())


def test_nothing_grows_more_than_a_few_operations_a_hit():
    for seed in range(40):
        graph = drawn(seed, 60)

        after, steps = rewritten(graph)

        # A power becomes up to five squarings and products.
        powers = sum(step.rule == "small_power" for step in steps)
        assert len(after.nodes()) <= len(toposort(graph.outputs)) + 5 * powers + 10


@pytest.mark.parametrize("near", [3, 30], ids=["deep", "wide"])
def test_hits_grow_with_the_number_of_operations(near):
    hits = []
    for size in (400, 2000):
        _, steps = rewritten(drawn(1, size, near=near))
        hits.append(Counter(step.rule for step in steps))

    # Five times as large a graph; rules that undo each other would fire without end.
    assert hits[1].total() < 8 * hits[0].total()
    assert max(hits[1].values()) < 2000
