"""The mathematics of the workloads, written once for all peers.

An expression takes a peer and values of that peer's own kind. It uses operators,
functions that every library names alike (``peer.xp.tanh``), and those that they do not
(``peer.softmax``: see :class:`benchmarks.peers.base.Peer`). Derivatives are each peer's
own affair; NumPy, which has none, gets those of :mod:`benchmarks.by_hand`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Expression = Callable[..., Any]


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


def softmax_seen(peer: Any, z: Any, g: Any) -> Any:
    """Sum of softmax(z) g; z and g [n, k]: its slope is the adjoint of softmax."""
    return (peer.softmax(z) * g).sum()


def log_softmax_seen(peer: Any, z: Any, g: Any) -> Any:
    """Sum of log softmax(z) g; z and g [n, k]."""
    return (peer.log_softmax(z) * g).sum()


def layer_norm(peer: Any, x: Any, scale: Any, shift: Any) -> Any:
    """Rows of `x` [n, k] at mean 0 and variance 1, times `scale` plus `shift` [k]."""
    return peer.layer_norm(x, scale, shift)


def layer_norm_error(peer: Any, x: Any, scale: Any, shift: Any, y: Any) -> Any:
    """Mean square of the layer norm of `x` less `y`."""
    d = peer.layer_norm(x, scale, shift) - y
    return (d * d).mean()


def softmax_regression(peer: Any, x: Any, y: Any, W: Any, b: Any) -> Any:
    """Mean cross-entropy of the classes `y` [n] under softmax(x W + b), `x` [n, d]."""
    return peer.cross_entropy(x @ W + b, y)


def perceptron(peer: Any, x: Any, y: Any, W: Any, b: Any, V: Any, c: Any) -> Any:
    """The same under softmax(tanh(x W + b) V + c): one hidden layer."""
    return peer.cross_entropy(peer.xp.tanh(x @ W + b) @ V + c, y)


def embedding_loss(peer: Any, rows: Any, g: Any, E: Any) -> Any:
    """Sum of E[rows] g, so that a step adds multiples of g to rows of E."""
    return (peer.take_rows(E, rows) * g).sum()


def graph_of(operations: int) -> Expression:
    """An expression of so many elementwise operations, each of which needs the last.

    Of four in turn: a product, a sum, a tanh, a difference; then the mean.
    """

    def expression(peer: Any, x: Any, y: Any) -> Any:
        h = x
        for _ in range(operations // 4):
            h = peer.xp.tanh(h * y + x) - y
        return h.mean()

    return expression
