"""What is computed: each workload's arrays and its mathematics, written once for all.

A workload's ``expression`` takes a peer and values of that peer's own kind. It uses
operators, functions that every library names alike (``peer.xp.tanh``), and the few that
they do not (``peer.softmax``, ``peer.cross_entropy``). Derivatives are each peer's own
affair; NumPy, which has none, gets those of :func:`softmax_regression_step`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Target:
    """What Workbench should reach: at most `must`, better `aim`.

    `unit` is ``"ratio"`` (to the fastest peer), ``"s"`` or ``"MiB"``.
    """

    must: float
    aim: float
    unit: Literal["ratio", "s", "MiB"] = "ratio"


@dataclass(frozen=True)
class Workload:
    """One computation.

    Attributes
    ----------
    kind
        ``value``: a call returns ``expression(peer, *inputs)``.
        ``update``: a call replaces the state by ``expression(peer, *state)``.
        ``train``: a call returns ``expression(peer, *inputs, *state)``, a loss, and
        takes `rate` times its gradient from the state.
    inputs, state
        Make the arrays, by name, equal in every process.
    step
        For ``train``, the same step in NumPy: takes all arrays and the rate, changes
        the state in place, returns the loss.
    """

    name: str
    title: str
    kind: Literal["value", "update", "train"]
    expression: Callable[..., Any]
    inputs: Callable[[], Arrays] = dict
    state: Callable[[], Arrays] = dict
    step: Callable[..., Any] | None = None
    rate: float = 0.0
    target: Target | None = None


def ten_operations(peer: Any, x: Any, y: Any) -> Any:
    """Ten operations on vectors; small vectors, so that all that counts is the call."""
    a = x + y
    b = a * x
    c = b - y
    d = c * c
    e = d + 1
    f = peer.xp.sqrt(e)
    g = f * x
    h = g + a
    return h / e - b


def chain(peer: Any, x: Any) -> Any:
    """Ten elementwise operations, among them tanh, exp and sqrt."""
    xp = peer.xp
    return xp.tanh(x * 0.5 + 1.0) * xp.exp(-(x * x)) + xp.sqrt(abs(x))


def softmax_regression(peer: Any, x: Any, y: Any, W: Any, b: Any) -> Any:
    """Mean cross-entropy of the classes `y` [n] under softmax(x W + b), `x` [n, d]."""
    return peer.cross_entropy(x @ W + b, y)


def softmax_regression_step(x: Array, y: Array, W: Array, b: Array, rate: float) -> Any:
    """A step of gradient descent, as one writes it by hand in NumPy."""
    z = x @ W + b
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = np.mean(np.log(total[:, 0]) - z[rows, y])
    p /= total
    p[rows, y] -= 1
    p *= np.float32(rate / len(y))
    W -= x.T @ p
    b -= p.sum(axis=0)
    return loss


def _vectors(**lengths: int) -> Callable[[], Arrays]:
    """Vectors of normal float32 numbers."""

    def make() -> Arrays:
        rng = np.random.default_rng(1)
        return {k: rng.standard_normal(n, "float32") for k, n in lengths.items()}

    return make


def _scores() -> Arrays:
    return {"z": np.random.default_rng(2).standard_normal((500, 10), "float32")}


def _digits() -> Arrays:
    """A batch in the shape of MNIST's: 500 pictures of 784 pixels, 10 classes."""
    rng = np.random.default_rng(3)
    return {"x": rng.random((500, 784), "float32"), "y": rng.integers(0, 10, 500)}


def _weights() -> Arrays:
    return {"W": np.zeros((784, 10), "float32"), "b": np.zeros(10, "float32")}


LOGREG = Workload(
    "logreg",
    "logistic regression step, 500x784x10",
    "train",
    softmax_regression,
    _digits,
    _weights,
    softmax_regression_step,
    rate=0.13,
    target=Target(1.0, 0.75),
)

PLUS_ONE = Workload(
    "x+1",
    "call: x + 1, 3 elements",
    "value",
    lambda peer, x: x + 1,
    _vectors(x=3),
    target=Target(0.6e-6, 0.36e-6, "s"),
)

COUNTER = Workload(
    "n+1",
    "call: shared n becomes n + 1",
    "update",
    lambda peer, n: n + 1,
    state=lambda: {"n": np.array(0)},
    target=Target(0.6e-6, 0.36e-6, "s"),
)

WORKLOADS = (
    PLUS_ONE,
    COUNTER,
    Workload(
        "small",
        "10 small operations, 8 elements",
        "value",
        ten_operations,
        _vectors(x=8, y=8),
        target=Target(0.25, 0.1),
    ),
    Workload(
        "chain-1e3",
        "elementwise chain, 10^3",
        "value",
        chain,
        _vectors(x=10**3),
        target=Target(0.4, 0.25),
    ),
    Workload(
        "chain-1e5",
        "elementwise chain, 10^5",
        "value",
        chain,
        _vectors(x=10**5),
        target=Target(1.0, 0.9),
    ),
    Workload(
        "chain-1e7",
        "elementwise chain, 10^7",
        "value",
        chain,
        _vectors(x=10**7),
        target=Target(0.9, 0.5),
    ),
    Workload(
        "softmax",
        "softmax of rows, 500x10",
        "value",
        lambda peer, z: peer.softmax(z),
        _scores,
        target=Target(0.6, 0.3),
    ),
    LOGREG,
)


@dataclass(frozen=True)
class Start:
    """The first result of a workload in a new process; `memory` is for the most it held."""

    row: str
    title: str
    workload: Workload
    target: Target | None = None
    memory: Target | None = None


STARTS = (
    Start("first", "first program ever: n + 1", COUNTER),
    Start("cold-x+1", "cold: x + 1", PLUS_ONE, Target(0.3, 0.12, "s")),
    Start(
        "warm-x+1",
        "warm: x + 1",
        PLUS_ONE,
        Target(0.5, 0.2, "s"),
        memory=Target(60, 40, "MiB"),
    ),
    Start("cold-logreg", "cold: logistic regression", LOGREG, Target(0.6, 0.35, "s")),
    Start("warm-logreg", "warm: logistic regression", LOGREG, Target(0.5, 0.2, "s")),
)
"""In this order, in one cache folder that is empty before the first."""

IMPORT = Target(0.3, 0.15, "s")
