"""Every way in which people write a softmax, a log-sum-exp and a cross-entropy.

Scores reach ±1000, where exponentials overflow and probabilities vanish. All forms of a
kind are outputs of one function, compiled once for each mode and dtype.
"""

import functools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.elementwise import Reciprocal, TrueDiv
from workbench.core.ops.mathematics import Exp, Log

MODES = ["FAST_RUN", "FAST_COMPILE", "DEBUG"]
DTYPES = ["float32", "float64"]
SCORES = np.array([[0.0, -1000, 1], [1000, 1001, -1000], [1, 2, 3], [-1000, 0, 1000]])
CLASSES = np.array([1, -1, 0, 0])


def log_softmax(x, axis):
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


def one_hot(classes):
    return (np.arange(3) == (classes % 3)[:, None]).astype(float)


# --- log(sum(exp(x))) -----------------------------------------------------------------


def reference_sums(x):
    shape = (slice(None), None)
    by_row = np.logaddexp.reduce(x, axis=1)
    weights = np.exp(log_softmax(x, 1))
    everything = np.logaddexp.reduce(x, axis=None)
    return {
        "rows": (by_row, weights),
        "kept": (by_row[shape], weights),
        "mean": (by_row - np.log(3), weights),
        "all": (everything, np.exp(x - everything)),
        "columns": (np.logaddexp.reduce(x, axis=0), np.exp(log_softmax(x, 0))),
        "one more": (np.logaddexp(0, by_row), weights * np.exp(by_row - np.logaddexp(0, by_row))[shape]),
    }  # fmt: skip


SUMS = {
    "log(sum(exp(x), 1))": ("rows", lambda x: T.log(T.sum(T.exp(x), axis=1))),
    "log(exp(x).sum(-1))": ("rows", lambda x: T.log(T.exp(x).sum(-1))),
    "log(exp(x.T).sum(0))": ("rows", lambda x: T.log(T.exp(x.T).sum(0))),
    "log(exp(x) @ 1)": ("rows", lambda x: T.log(T.sum(T.exp(x) * 1, axis=1))),
    "log(sum(exp(x), 1, keepdims))": (
        "kept",
        lambda x: T.log(T.sum(T.exp(x), axis=1, keepdims=True)),
    ),
    "log(sum(exp(x), 1)[:, None])": (
        "kept",
        lambda x: T.log(T.sum(T.exp(x), axis=1)[:, None]),
    ),
    "log(sum(exp(x), 1))[:, None]": (
        "kept",
        lambda x: T.log(T.sum(T.exp(x), axis=1)).dimshuffle(0, "x"),
    ),
    "log(mean(exp(x), 1))": ("mean", lambda x: T.log(T.mean(T.exp(x), axis=1))),
    "log(sum(exp(x), 1) / 3)": ("mean", lambda x: T.log(T.exp(x).sum(1) / 3)),
    "log(sum(exp(x)))": ("all", lambda x: T.log(T.sum(T.exp(x)))),
    "log(sum(exp(x), (0, 1)))": ("all", lambda x: T.log(T.exp(x).sum((0, 1)))),
    "log(sum(sum(exp(x), 0)))": ("all", lambda x: T.log(T.exp(x).sum(0).sum())),
    "log(sum(exp(x), 0))": ("columns", lambda x: T.log(T.exp(x).sum(0))),
    "log(1 + sum(exp(x), 1))": ("one more", lambda x: T.log(1 + T.exp(x).sum(1))),
    "log1p(sum(exp(x), 1))": ("one more", lambda x: T.log1p(T.exp(x).sum(1))),
    "shifted": (
        "rows",
        lambda x: (lambda m: T.log(T.exp(x - m[:, None]).sum(1)) + m)(T.max(x, axis=1)),
    ),
    "logsumexp": ("rows", lambda x: T.special.logsumexp(x, axis=1)),
}

# --- softmax --------------------------------------------------------------------------


def shifted(x):
    e = T.exp(x - T.max(x, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


SOFTMAXES = {
    "exp / sum, kept": (1, lambda x: T.exp(x) / T.exp(x).sum(axis=1, keepdims=True)),
    "exp / sum[:, None]": (1, lambda x: T.exp(x) / T.exp(x).sum(1)[:, None]),
    "exp / sum.dimshuffle": (
        1,
        lambda x: T.exp(x) / T.exp(x).sum(1).dimshuffle(0, "x"),
    ),
    "exp reciprocal(sum)": (
        1,
        lambda x: T.exp(x) * T.reciprocal(T.exp(x).sum(1, keepdims=True)),
    ),
    "exp / sum of columns": (0, lambda x: T.exp(x) / T.exp(x).sum(0)),
    "columns, kept": (0, lambda x: T.exp(x) / T.exp(x).sum(0, keepdims=True)),
    "exp.T / sum": (1, lambda x: (T.exp(x).T / T.exp(x).sum(1)).T),
    "exp(x.T) / sum": (1, lambda x: (T.exp(x.T) / T.exp(x.T).sum(0)).T),
    "2 exp / (2 sum)": (
        1,
        lambda x: 2 * T.exp(x) / (2 * T.exp(x).sum(1, keepdims=True)),
    ),
    "2 exp / sum(2 exp)": (
        1,
        lambda x: 2 * T.exp(x) / (2 * T.exp(x)).sum(1, keepdims=True),
    ),
    "everything": (None, lambda x: T.exp(x) / T.sum(T.exp(x))),
    "shifted": (1, shifted),
    "softmax(x - max)": (
        1,
        lambda x: T.nnet.softmax(x - T.max(x, axis=1, keepdims=True)),
    ),
    "exp(x - logsumexp)": (
        1,
        lambda x: T.exp(x - T.special.logsumexp(x, axis=1, keepdims=True)),
    ),
    "softmax": (1, T.nnet.softmax),
}

# --- log(softmax), and what is chosen of it -------------------------------------------


def handwritten(x):
    return T.exp(x) / T.exp(x).sum(axis=1, keepdims=True)


ROWS = np.arange(4)
LOGS = {
    "log(p)": lambda p: T.log(p),
    "log(p.T).T": lambda p: T.log(p.T).T,
    "log(p.T.T)": lambda p: T.log(p.T.T),
    "log(p[:, None])[:, 0]": lambda p: T.log(p[:, None])[:, 0],
    "log(p.reshape(3, 4)).reshape(4, 3)": lambda p: T.log(p.reshape((3, 4))).reshape(
        (4, 3)
    ),
    "log(p.flatten()).reshape(4, 3)": lambda p: T.log(p.flatten()).reshape((4, 3)),
    "log(p.reshape(2, -1)).reshape(4, 3)": lambda p: T.log(p.reshape((2, -1))).reshape(
        (4, 3)
    ),
    "log(p[::-1])[::-1]": lambda p: T.log(p[::-1])[::-1],
    "log(p[[3, 2, 1, 0]])[::-1]": lambda p: T.log(p[np.array([3, 2, 1, 0])])[::-1],
    "log(2 p) - log(2)": lambda p: T.log(2 * p) - np.log(2),
    "log(p²) / 2": lambda p: T.log(p**2) / 2,
    "log(√p) 2": lambda p: T.log(T.sqrt(p)) * 2,
    "-log(1 / p)": lambda p: -T.log(1 / p),
}
LOSSES = {
    "log(p)[arange, y]": lambda p, y: -T.log(p)[T.arange(y.shape[0]), y].mean(),
    "log(p)[arange of p, y]": lambda p, y: -T.log(p)[T.arange(p.shape[0]), y].mean(),
    "log(p[arange, y])": lambda p, y: -T.log(p[T.arange(y.shape[0]), y]).mean(),
    "mean(log(p)[arange, y])": lambda p, y: -T.mean(T.log(p)[T.arange(y.shape[0]), y]),
    "known rows": lambda p, y: -T.log(p)[ROWS, y].mean(),
    "int8 classes": lambda p, y: -T.log(p)[ROWS, T.cast(y, "int8")].mean(),
    "known classes": lambda p, y: -T.log(p)[ROWS, CLASSES].mean(),
    "sum / n": lambda p, y: -T.sum(T.log(p)[ROWS, y]) / T.cast(y.shape[0], p.dtype),
    "categorical_crossentropy": lambda p, y: T.nnet.categorical_crossentropy(p, y).mean(),
    "one-hot matrix": lambda p, y: T.nnet.categorical_crossentropy(p, T.cast(T.eq(T.mod(y, 3)[:, None], np.arange(3)), p.dtype)).mean(),
    "to_one_hot": lambda p, y: -T.sum(T.extra_ops.to_one_hot(T.mod(y, 3), 3) * T.log(p)) / 4,
    "columns": lambda p, y: -T.log(p.T)[y, ROWS].mean(),
    "flat places": lambda p, y: -T.log(p.flatten()[3 * ROWS + T.mod(y, 3)]).mean(),
    "a third": lambda p, y: -T.log(p)[ROWS, y].mean() / 3 * 3,
    "subtracted": lambda p, y: (0 - T.log(p)[ROWS, y]).mean(),
    "row by row": lambda p, y: -sum(T.log(p[i])[y[i]] for i in range(4)) / 4,
}  # fmt: skip
ENDINGS = {
    "softmax": lambda x, b: T.nnet.softmax(x + b),
    "handwritten": lambda x, b: handwritten(x + b),
}


@functools.cache
def computed(kind, mode, dtype):
    """The results of all forms of a kind, each followed by its gradient by the scores."""
    x, y = T.matrix("x", dtype=dtype), T.lvector("y")
    b = T.vector("b", dtype=dtype)
    weights = np.asarray(np.arange(12).reshape(4, 3) % 5 - 1.5, dtype)
    costs = {}
    if kind == "sums":
        costs = {name: build(x) for name, (_, build) in SUMS.items()}
    elif kind == "softmaxes":
        costs = {name: build(x) for name, (_, build) in SOFTMAXES.items()}
    elif kind == "logs":
        costs = {name: build(T.nnet.softmax(x)) for name, build in LOGS.items()}
    else:
        costs = {
            f"{name} of {ending}": build(make(x, b), y)
            for name, build in LOSSES.items()
            for ending, make in ENDINGS.items()
        }
    weighted = kind in ("softmaxes", "logs")
    outputs = []
    for value in costs.values():
        total = (value * weights).sum() if weighted else value.sum()
        outputs += [value, *wb.grad(total, [x, b], disconnected_inputs="ignore")]
    run = wb.function([x, y, b], outputs, mode=mode, on_unused_input="ignore")
    with np.errstate(all="ignore"):
        found = run(np.asarray(SCORES, dtype), CLASSES, np.zeros(3, dtype))
    parts = [found[3 * i : 3 * i + 3] for i in range(len(costs))]
    return dict(zip(costs, parts, strict=True)), weights


def close(found, want, dtype):
    rtol = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(found, want, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SUMS)
def test_logarithm_of_a_sum_of_exponentials(name, mode, dtype):
    value, slope, _ = computed("sums", mode, dtype)[0][name]

    want, want_slope = reference_sums(SCORES)[SUMS[name][0]]
    close(value, want, dtype)
    close(slope, want_slope, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax(name, mode, dtype):
    parts, weights = computed("softmaxes", mode, dtype)
    value, slope, _ = parts[name]

    axis = SOFTMAXES[name][0]
    want = np.exp(log_softmax(SCORES, axis))
    mean = (weights * want).sum(axis=axis, keepdims=True)
    close(value, want, dtype)
    close(slope, (weights - mean) * want, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOGS)
def test_logarithm_of_a_softmax_through_views(name, mode, dtype):
    parts, weights = computed("logs", mode, dtype)
    value, slope, _ = parts[name]

    want = log_softmax(SCORES, 1)
    total = weights.sum(axis=1, keepdims=True)
    close(value, want, dtype)
    close(slope, weights - np.exp(want) * total, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", LOSSES)
def test_cross_entropy(name, ending, mode, dtype):
    value, slope, by_bias = computed("losses", mode, dtype)[0][f"{name} of {ending}"]

    log_p = log_softmax(SCORES, 1)
    target = one_hot(CLASSES)
    close(value, -(target * log_p).sum() / 4, dtype)
    close(slope, (np.exp(log_p) - target) / 4, dtype)
    close(by_bias, ((np.exp(log_p) - target) / 4).sum(0), dtype)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_softmax_minus_target(name, ending):
    x, y, b = T.dmatrix("x"), T.lvector("y"), T.dvector("b")
    cost = LOSSES[name](ENDINGS[ending](x, b), y)

    gradient = wb.rewrite_graph(wb.grad(cost, x), mode="FAST_RUN")

    nodes = wb.core.graph.toposort([gradient])
    divisors = [
        n.inputs[-1]
        for n in nodes
        if isinstance(n.op, TrueDiv | Reciprocal) and n.inputs[-1].type.is_float
    ]
    # Nothing is divided by but the number of rows, and nothing handwritten is left.
    assert all(v.ndim == 0 or all(v.broadcastable) for v in divisors)
    assert not [n for n in nodes if isinstance(n.op, Exp | Log)]


def test_all_minus_infinity_and_infinity():
    x = T.dmatrix("x")
    value = np.array([[-np.inf, -np.inf], [np.inf, 0], [-np.inf, 3], [np.nan, 0]])

    for mode in MODES:
        rows, kept, two = wb.function(
            [x],
            [
                T.log(T.exp(x).sum(1)),
                T.log(T.exp(x).sum(1, keepdims=True)),
                T.log(T.exp(x[:, 0]) + T.exp(x[:, 1])),
            ],
            mode=mode,
        )(value)

        want = [-np.inf, np.inf, 3, np.nan]
        np.testing.assert_array_equal(rows, want)
        np.testing.assert_array_equal(kept[:, 0], want)
        np.testing.assert_array_equal(two, want)
