"""Sums of exponentials, softmax and cross-entropies, handwritten and called.

The gradient is always taken before any rewriting, as users take it.
"""

import numpy as np
import pytest

import workbench.tensor as T
from workbench.compile.record import Graph
from workbench.compile.rewrite import rewrite
from workbench.compile.rules import LOWERING, STAGES
from workbench.core.evaluate import evaluate
from workbench.core.gradient import grad
from workbench.core.ops import linalg, nnet
from workbench.core.ops.elementwise import Eq, Reciprocal, TrueDiv
from workbench.core.ops.gathering import OneHot, Put
from workbench.core.ops.reduction import Max

INF = np.inf


def optimised(*outputs, inputs=()):
    graph = Graph(tuple(inputs), outputs)
    for stage, rules in STAGES:
        if stage != "unsafe":
            graph, _ = rewrite(graph, rules, stage)
    return graph


def computed(outputs, values):
    """After all stages, with names for expressions and with the expressions."""
    graph = optimised(*outputs, inputs=values)
    expanded, _ = rewrite(graph, LOWERING, "lower")
    found = evaluate(graph.outputs, values)
    for a, b in zip(found, evaluate(expanded.outputs, values), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, (0, 1), None])
def test_log_sum_exp(dtype, keepdims, axis):
    x = T.matrix("x", dtype=dtype)
    y = T.log(T.sum(T.exp(x), axis=axis, keepdims=keepdims))
    value = np.array([[1000, 1000], [-1000, 1000]], dtype)

    found, slope = computed([y, grad(y.sum(), x)], {x: value})

    expected = np.logaddexp.reduce(
        value.astype(float), axis=axis if axis != (0, 1) else None, keepdims=keepdims
    )
    weights = np.exp(
        value
        - np.logaddexp.reduce(
            value.astype(float), axis=axis if axis != (0, 1) else None, keepdims=True
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, weights, rtol=1e-6)


def test_log_sum_exp_of_infinities_and_of_nothing():
    x = T.dmatrix("x")
    y = T.log(T.sum(T.exp(x), axis=1))

    (found,) = computed([y], {x: np.array([[-INF, -INF], [INF, 0], [-INF, 3]])})
    (empty,) = computed([y], {x: np.zeros((2, 0))})

    np.testing.assert_array_equal(found, [-INF, INF, 3])
    np.testing.assert_array_equal(empty, [-INF, -INF])


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_handwritten_softmax_and_its_gradient(axis, shifted):
    x, g = T.dmatrices("x", "g")
    e = T.exp(
        x - T.max(x, axis=axis, keepdims=True) if shifted and axis != (0, 1) else x
    )
    p = e / e.sum(axis=axis, keepdims=True)
    value, weights = (
        np.array([[1000.0, 1000.0], [0.0, 1.0]]),
        np.array([[1.0, -2.0], [0.5, 3.0]]),
    )

    found, slope = computed([p, grad((p * g).sum(), x)], {x: value, g: weights})

    expected = np.exp(
        value
        - np.logaddexp.reduce(
            value, axis=axis if axis != (0, 1) else None, keepdims=True
        )
    )
    centred = weights - (weights * expected).sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, centred * expected, rtol=1e-12, atol=1e-15)


# --- cross-entropy --------------------------------------------------------------------


def handwritten(x):
    return T.exp(x) / T.exp(x).sum(axis=1, keepdims=True)


def by_index(p, y):
    return -T.log(p)[T.arange(y.shape[0]), y].mean()


def by_rows_of_p(p, y):
    return -T.log(p)[T.arange(p.shape[0]), y].mean()


def log_last(p, y):
    return -T.log(p[T.arange(y.shape[0]), y]).mean()


def summed(p, y):
    return -T.sum(T.log(p[T.arange(p.shape[0]), y]))


def by_function(p, y):
    return T.nnet.categorical_crossentropy(p, y).mean()


def dense(p, y):
    return T.nnet.categorical_crossentropy(
        p, T.cast(T.eq(y.dimshuffle(0, "x"), np.arange(3)), p.dtype)
    ).mean()


def divided(p, y):
    return by_index(p, y) * 0.5 / 3


SOFTMAXES = {"softmax": T.nnet.softmax, "handwritten": handwritten}
LOSSES = [by_index, by_rows_of_p, log_last, summed, by_function, dense, divided]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_cross_entropy_of_vanished_probabilities(softmax, loss, dtype):
    x, y = T.matrix("x", dtype=dtype), T.lvector("y")
    cost = loss(SOFTMAXES[softmax](x), y)
    values = {
        x: np.array([[0, -1000, 0], [1, 2, 3]], dtype),
        y: np.array([1, -1 if loss is not dense else 2]),
    }

    found, slope = computed([cost, grad(cost, x)], values)

    scores = values[x].astype(float)
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    scale = {"summed": 2, "divided": 0.5 / 3}.get(loss.__name__, 1)
    expected = -(log_p[0, 1] + log_p[1, 2]) / 2 * scale
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(
        slope,
        (np.exp(log_p) - [[0, 1, 0], [0, 0, 1]]) / 2 * scale,
        rtol=1e-5,
        atol=1e-7,
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_cross_entropy_divides_by_no_probability(loss):
    x, y = T.dmatrix("x"), T.lvector("y")
    cost = loss(T.nnet.softmax(x), y)

    graph = optimised(cost, grad(cost, x), inputs=(x, y))

    divisors = [
        n.inputs[-1] for n in graph.nodes() if isinstance(n.op, TrueDiv | Reciprocal)
    ]
    assert all(v.ndim == 0 for v in divisors)


def test_fewer_labels_than_rows():
    x, y = T.dmatrix("x"), T.lvector("y")
    cost = by_index(T.nnet.softmax(x), y)
    values = {x: np.arange(12.0).reshape(4, 3), y: np.array([2, 0])}

    plain = evaluate([cost, grad(cost, x)], values)
    found = computed([cost, grad(cost, x)], values)

    np.testing.assert_allclose(found[0], plain[0], rtol=1e-14)
    np.testing.assert_allclose(found[1], plain[1], rtol=1e-14, atol=1e-16)


def test_known_rows_make_the_target_part_of_the_loop():
    x, y = T.dmatrix("x"), T.lvector("y")
    cost = by_rows_of_p(T.nnet.softmax(x), y)

    ops = [type(n.op) for n in optimised(grad(cost, x), inputs=(x, y)).nodes()]

    assert OneHot in ops
    assert Put not in ops


@pytest.mark.parametrize("loss", [by_index, by_rows_of_p, by_function])
def test_logistic_regression_keeps_one_of_each(loss):
    x, y, W, b = T.fmatrix("x"), T.lvector("y"), T.fmatrix("W"), T.fvector("b")
    cost = loss(T.nnet.softmax(T.dot(x, W) + b), y)

    graph = optimised(cost, *grad(cost, [W, b]), inputs=(x, y, W, b))

    ops = [type(n.op) for n in graph.nodes()]
    assert ops.count(linalg.Dot) == 2
    assert ops.count(nnet.LogSoftmax) == ops.count(nnet.Softmax) == 1
    assert len(ops) <= 26


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sigmoid", [T.sigmoid, lambda x: 1 / (1 + T.exp(-x))])
@pytest.mark.parametrize("reduce", [T.sum, T.mean])
def test_binary_cross_entropy_at_1000(reduce, sigmoid, dtype):
    x, t = T.vector("x", dtype=dtype), T.vector("t", dtype=dtype)
    cost = reduce(T.nnet.binary_crossentropy(sigmoid(x), t))
    values = {
        x: np.array([-1000, 1000, 1000, -1000, 0], dtype),
        t: np.array([1, 0, 1, 0, 0.5], dtype),
    }

    found, slope = computed([cost, grad(cost, x)], values)

    n = 1 if reduce is T.sum else 5
    np.testing.assert_allclose(found, (2000 + np.log(2)) / n, rtol=1e-6)
    np.testing.assert_allclose(
        slope, np.array([-1, 1, 0, 0, 0]) / n, rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_every_log_probability_of_a_softmax(sign):
    x = T.dmatrix("x")
    cost = (sign * T.log(T.nnet.softmax(x)) + x).sum()
    value = np.array([[0.0, -1000.0, 1.0]])

    found, slope = computed([cost, grad(cost, x)], {x: value})

    log_p = value - np.logaddexp.reduce(value, axis=1, keepdims=True)
    np.testing.assert_allclose(found, (sign * log_p + value).sum(), rtol=1e-12)
    np.testing.assert_allclose(slope, sign * (1 - 3 * np.exp(log_p)) + 1, rtol=1e-12)


MOVED = {
    "permuted": lambda e: e[np.array([3, 2, 0, 1])],
    "some twice": lambda e: e[np.array([3, 2, 3])],
    "turned around": lambda e: e[::-1, ::-1],
    "every other": lambda e: e[::2],
    "transposed": lambda e: e.T,
    "in another shape": lambda e: e.reshape((2, 6)),
    "in a shape to be found": lambda e: e.reshape((-1, 2)),
    "all in a row": lambda e: e.flatten(),
}


@pytest.mark.parametrize("factor", [1, 3, -2])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("moved", MOVED)
def test_gradient_of_a_softmax_of_exponentials_that_were_moved(moved, axis, factor):
    x = T.dmatrix("x")
    e = factor * MOVED[moved](T.exp(x))
    p = e / e.sum(axis=axis, keepdims=True)
    cost = (p * T.sin(T.arange(p.size)).reshape(p.shape)).sum()
    values = {x: np.random.default_rng(1).normal(size=(4, 3))}

    found = computed([cost, grad(cost, x)], values)

    expected = evaluate([cost, grad(cost, x)], values)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_factor_without_a_reciprocal_stays_in_a_softmax(dtype):
    x = T.vector("x", dtype=dtype)
    e = T.exp(x) * np.asarray(np.finfo(dtype).tiny / 64, dtype)
    value = np.array([1, 2, 3], dtype)

    (found,) = computed([e / e.sum()], {x: value})

    np.testing.assert_allclose(found, np.exp(value) / np.exp(value).sum(), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("times", [1, 100])
def test_maximum_taken_out_by_hand_has_no_slope_of_its_own(dtype, times):
    rng = np.random.default_rng(4)
    x, y, m = T.tensor3("x", dtype=dtype), T.lmatrix("y"), T.matrix("m", dtype=dtype)
    e = T.exp(x - x.max(axis=2, keepdims=True))
    p = (e / e.sum(axis=2, keepdims=True)).reshape((-1, 7))
    loss = (T.nnet.categorical_crossentropy(p, y.flatten()) * m.flatten()).sum()
    slope = grad(loss, x)
    scores = (rng.normal(size=(3, 4, 7)) * times).astype(dtype)
    scores[0, 0, :3] = 5 * times  # the maximum three times
    classes = rng.integers(0, 7, (3, 4))
    weights = rng.random((3, 4)).astype(dtype)

    (found,) = computed([slope], {x: scores, y: classes, m: weights})

    wide = scores.astype(float)
    wide -= wide.max(axis=2, keepdims=True)
    softmax = np.exp(wide) / np.exp(wide).sum(axis=2, keepdims=True)
    expected = (softmax - np.eye(7)[classes]) * weights[..., None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    ops = [n.op for n in optimised(slope, inputs=(x, y, m)).nodes()]
    assert not any(isinstance(op, Max | Eq) for op in ops)


@pytest.mark.parametrize("row", [[np.nan, 1, 2], [INF, 1, 2], [-INF, -INF, -INF]])
def test_slope_of_a_row_that_is_not_finite_is_nan_with_and_without_the_maximum(row):
    x, g = T.matrix("x", dtype="float64"), T.matrix("g", dtype="float64")
    e = T.exp(x - x.max(axis=1, keepdims=True))
    slope = grad((e / e.sum(axis=1, keepdims=True) * g).sum(), x)

    (found,) = computed([slope], {x: np.array([row]), g: np.array([[1.0, 2, 3]])})

    assert np.isnan(found).any()
