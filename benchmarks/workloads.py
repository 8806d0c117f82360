"""What is computed: the arrays of each workload, its mathematics, and what to reach.

The rows of the table, in their order, are `WORKLOADS` and `STARTS`. What they compute is
in :mod:`benchmarks.mathematics`, their gradients by hand in :mod:`benchmarks.by_hand`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import by_hand
from benchmarks import mathematics as maths
from benchmarks.convolutions import CONVOLUTIONS, LENET
from benchmarks.loops import LOOPS, LSTM
from benchmarks.rows import EVEN, Arrays, Least, Start, Target, Workload

# --- arrays --------------------------------------------------------------------------


def _rng() -> np.random.Generator:
    return np.random.default_rng(1)


def _vectors(**lengths: int) -> Callable[[], Arrays]:
    """Vectors of normal float32 numbers."""

    def make() -> Arrays:
        rng = _rng()
        return {k: rng.standard_normal(n, "float32") for k, n in lengths.items()}

    return make


def _uniform(*names: str, length: int) -> Callable[[], Arrays]:
    """Vectors of float32 numbers from 0 to 1."""

    def make() -> Arrays:
        rng = _rng()
        return {name: rng.random(length, "float32") for name in names}

    return make


def _scores(n: int, k: int, *, weights: bool = False, classes: bool = False) -> Any:
    """Normal `z` [n, k]; `g` of its shape from 0 to 1; `y` [n] below k, if asked."""

    def make() -> Arrays:
        rng = _rng()
        arrays: Arrays = {"z": rng.standard_normal((n, k), "float32")}
        if weights:
            arrays["g"] = rng.random((n, k), "float32")
        if classes:
            arrays["y"] = rng.integers(0, k, n)
        return arrays

    return make


def _to_normalise(n: int, k: int, *, wanted: bool = False) -> Callable[[], Arrays]:
    """`x` [n, k], `scale` and `shift` [k], and what is wanted, `y` [n, k], if asked."""

    def make() -> Arrays:
        rng = _rng()
        arrays: Arrays = {
            "x": 2 * rng.standard_normal((n, k), "float32") + 1,
            "scale": 1 + rng.random(k, "float32"),
            "shift": rng.random(k, "float32"),
        }
        if wanted:
            arrays["y"] = rng.random((n, k), "float32")
        return arrays

    return make


def _digits(n: int) -> Callable[[], Arrays]:
    """A batch in the shape of MNIST's: n pictures of 784 pixels, 10 classes."""

    def make() -> Arrays:
        rng = _rng()
        return {"x": rng.random((n, 784), "float32"), "y": rng.integers(0, 10, n)}

    return make


def _weights() -> Arrays:
    return {"W": np.zeros((784, 10), "float32"), "b": np.zeros(10, "float32")}


def _layers() -> Arrays:
    rng = _rng()
    return {
        "W": np.float32(0.05) * rng.standard_normal((784, 500), "float32"),
        "b": np.zeros(500, "float32"),
        "V": np.float32(0.05) * rng.standard_normal((500, 10), "float32"),
        "c": np.zeros(10, "float32"),
    }


WORDS, WIDTH, READ = 5_000, 64, 10_000
"""Rows and columns of a table of embeddings, and how many rows are read."""


def _places(*names: str) -> Callable[[], Arrays]:
    """Of the table `E`, the `rows` to read, and a row `g` for each, those named."""

    def make() -> Arrays:
        rng = _rng()
        arrays: Arrays = {
            "E": rng.random((WORDS, WIDTH), "float32"),
            "rows": rng.integers(0, WORDS, READ),
            "g": rng.random((READ, WIDTH), "float32"),
        }
        return {name: arrays[name] for name in names}

    return make


# --- rows ----------------------------------------------------------------------------

CALL = Target(0.6e-6, 0.36e-6, "s")

PLUS_ONE = Workload(
    "x+1",
    "call: x + 1, 3 elements",
    "value",
    lambda peer, x: x + 1,
    _vectors(x=3),
    target=CALL,
)

COUNTER = Workload(
    "n+1",
    "call: shared n becomes n + 1",
    "update",
    lambda peer, n: n + 1,
    state=lambda: {"n": np.array(0)},
    target=CALL,
)

TEN = Workload(
    "small",
    "10 small operations, 8 elements",
    "value",
    maths.ten_operations,
    _vectors(x=8, y=8),
    target=Target(0.25, 0.1),
)


def _traffic(read: int, written: int) -> tuple[int, int]:
    """Elements that pass; none where all of them stay in a core's own cache."""
    return (read, written) if read + written > 10**6 else (0, 0)


def _chain(power: int, target: Target) -> Workload:
    n = 10**power
    return Workload(
        f"chain-1e{power}",
        f"elementwise chain, 10^{power}",
        "value",
        maths.chain,
        _vectors(x=n),
        target=target,
        least=Least(*_traffic(n, n), exp=2 * n, tanh=n),
    )


def _softmax_family(n: int, k: int) -> list[Workload]:
    size, elements = f"{n}x{k}", n * k
    forward = Least(*_traffic(elements, elements), exp=elements)
    backward = Least(*_traffic(2 * elements, elements), exp=elements)
    small = elements < 10**6
    target = Target(0.6, 0.3) if small else Target(1.0, 0.85)

    def value(function: str, name: str) -> Workload:
        return Workload(
            f"{function.replace('_', '')}-{size}",
            f"{name} of rows, {size}",
            "value",
            lambda peer, z: getattr(peer, function)(z),
            _scores(n, k),
            target=target,
            least=forward,
        )

    def gradient(name: str, expression: maths.Expression, **rest: Any) -> Workload:
        return Workload(
            f"{name.replace('-', '')}-grad-{size}",
            f"{name} with gradient, {size}",
            "gradient",
            expression,
            wrt=("z",),
            **rest,
        )

    weighed = {
        "inputs": _scores(n, k, weights=True),
        "target": target,
        "least": backward,
    }
    return [
        value("softmax", "softmax"),
        gradient(
            "softmax", maths.softmax_seen, by_hand=by_hand.softmax_slope, **weighed
        ),
        value("log_softmax", "log-softmax"),
        gradient(
            "log-softmax",
            maths.log_softmax_seen,
            by_hand=by_hand.log_softmax_slope,
            **weighed,
        ),
        gradient(
            "cross-entropy",
            lambda peer, z, y: peer.cross_entropy(z, y),
            inputs=_scores(n, k, classes=True),
            by_hand=by_hand.cross_entropy_slope,
            target=Target(0.6, 0.3) if small else Target(0.5, 0.3),
            least=forward,
        ),
    ]


def _layer_norms(n: int, k: int) -> list[Workload]:
    size, elements = f"{n}x{k}", n * k
    return [
        Workload(
            f"layernorm-{size}",
            f"layer norm, {size}",
            "value",
            maths.layer_norm,
            _to_normalise(n, k),
            target=EVEN,
            least=Least(elements, elements),
        ),
        Workload(
            f"layernorm-grad-{size}",
            f"layer norm with gradient, {size}",
            "gradient",
            maths.layer_norm_error,
            _to_normalise(n, k, wanted=True),
            by_hand=by_hand.layer_norm_slopes,
            wrt=("x", "scale", "shift"),
            target=EVEN,
            least=Least(2 * elements, elements),
        ),
    ]


LOGREG = Workload(
    "logreg-500",
    "logistic regression step, 500x784x10",
    "train",
    maths.softmax_regression,
    _digits(500),
    _weights,
    by_hand.softmax_regression_step,
    rate=0.13,
    target=Target(1.0, 0.75),
    least=Least(exp=5000, products=((500, 784, 10), (784, 500, 10))),
)


def _mlp(n: int) -> Workload:
    return Workload(
        f"mlp-{n}",
        f"MLP 784-500-10 step, batch {n}",
        "train",
        maths.perceptron,
        _digits(n),
        _layers,
        by_hand.perceptron_step,
        rate=0.01,
        target=Target(1.0, 0.75),
        least=Least(
            exp=10 * n,
            tanh=500 * n,
            products=(
                (n, 784, 500),
                (n, 500, 10),
                (n, 10, 500),
                (500, n, 10),
                (784, n, 500),
            ),
        ),
    )


MLP = _mlp(20)


def _reductions(n: int, k: int) -> list[Workload]:
    functions: dict[str, maths.Expression] = {
        "sum": lambda peer, z, axis: peer.xp.sum(z, axis=axis),
        "max": lambda peer, z, axis: peer.max(z, axis),
        "argmax": lambda peer, z, axis: peer.xp.argmax(z, axis=axis),
    }
    return [
        Workload(
            f"{name}-axis{axis}",
            f"{name} over axis {axis} of {n}x{k}",
            "value",
            lambda peer, z, f=function, axis=axis: f(peer, z, axis),
            _scores(n, k),
            target=EVEN,
            least=Least(n * k),
        )
        for name, function in functions.items()
        for axis in (0, 1)
    ]


_TABLE = f"{READ} rows of {WORDS}x{WIDTH}"

PLACES = [
    Workload(
        "gather",
        f"gather {_TABLE}",
        "value",
        lambda peer, E, rows: peer.take_rows(E, rows),
        _places("E", "rows"),
        target=EVEN,
        least=Least(READ * WIDTH, READ * WIDTH),
    ),
    Workload(
        "scatter-add",
        f"scatter-add {_TABLE}",
        "value",
        lambda peer, E, rows, g: peer.add_rows(E, rows, g),
        _places("E", "rows", "g"),
        target=EVEN,
        least=Least(READ * WIDTH, READ * WIDTH),
    ),
    Workload(
        "embedding",
        f"embedding step, {_TABLE}",
        "train",
        maths.embedding_loss,
        _places("rows", "g"),
        _places("E"),
        by_hand.embedding_step,
        rate=1e-4,
        target=EVEN,
        least=Least(2 * READ * WIDTH, READ * WIDTH),
    ),
]

WORKLOADS = (
    PLUS_ONE,
    COUNTER,
    TEN,
    _chain(3, Target(0.4, 0.25)),
    _chain(5, Target(1.0, 0.9, at_two=(0.5, 0.4))),
    _chain(7, Target(0.9, 0.5)),
    *_softmax_family(500, 10),
    *_softmax_family(4096, 1000),
    *_layer_norms(4096, 1000),
    LOGREG,
    MLP,
    _mlp(500),
    *_reductions(4096, 1000),
    *PLACES,
    *LOOPS,
    *CONVOLUTIONS,
)

# --- starts --------------------------------------------------------------------------


def _graph(operations: int) -> Workload:
    return Workload(
        f"graph-{operations}",
        f"{operations:,} operations with gradient",
        "gradient",
        maths.graph_of(operations),
        _uniform("x", "y", length=100),
        by_hand=by_hand.graph_slope_of(operations),
        wrt=("x",),
    )


def _starts() -> tuple[Start, ...]:
    model, warm = Target(0.6, 0.35, "s"), Target(0.5, 0.2, "s")
    large = {1000: Target(4, 2, "s"), 5000: Target(20, 10, "s")}
    rows = [
        Start("first", "first program ever: n + 1", COUNTER),
        Start("cold-x+1", "cold: x + 1", PLUS_ONE, Target(0.3, 0.12, "s")),
        Start("warm-x+1", "warm: x + 1", PLUS_ONE, warm, memory=Target(60, 40, "MiB")),
        Start("cold-logreg", "cold: logistic regression", LOGREG, model),
        Start("warm-logreg", "warm: logistic regression", LOGREG, warm),
        Start("cold-mlp", "cold: MLP", MLP, model),
        Start("warm-mlp", "warm: MLP", MLP, warm),
        Start("cold-lstm", "cold: LSTM", LSTM, Target(1.5, 0.8, "s")),
        Start("warm-lstm", "warm: LSTM", LSTM, warm),
        Start("cold-lenet", "cold: LeNet", LENET, Target(1.5, 0.8, "s")),
        Start("warm-lenet", "warm: LeNet", LENET, warm),
    ]
    for n in (100, 1000, 5000, 10000):
        graph, own = _graph(n), n > 5000
        title, target = graph.title, large.get(n)
        rows += [
            Start(f"cold-{n}", f"cold: {title}", graph, target, None, n, own),
            Start(f"warm-{n}", f"warm: {title}", graph, None, None, n, own),
        ]
    return tuple(rows)


STARTS = _starts()
"""In this order, in one cache folder that is empty before the first."""

IMPORT = Target(0.3, 0.15, "s")

QUICK = (
    "x+1 n+1 chain-1e5 softmax-500x10 crossentropy-grad-500x10 "
    "logreg-500 mlp-20 sum-axis0 gather cold-x+1 import"
).split()
"""Rows that tell in two minutes whether something has gone wrong."""
