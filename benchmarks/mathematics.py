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


def lenet(
    peer: Any,
    one: Any,
    two: Any,
    x: Any,
    y: Any,
    F: Any,
    a: Any,
    G: Any,
    b: Any,
    W: Any,
    c: Any,
    V: Any,
    d: Any,
) -> Any:
    """Mean cross-entropy of the classes `y` [n] of the digits `x` [n, 784].

    Two layers of filters `F` and `G`, each followed by the largest of two by two and by
    a tanh, then a layer of units and one of classes.
    """
    tanh, aside = peer.xp.tanh, (1, -1, 1, 1)
    h = peer.conv2d(x.reshape((-1, 1, 28, 28)), F, one)
    h = tanh(peer.max_pool(h) + a.reshape(aside))
    h = tanh(peer.max_pool(peer.conv2d(h, G, two)) + b.reshape(aside))
    h = tanh(h.reshape((x.shape[0], -1)) @ W + c)
    return peer.cross_entropy(h @ V + d, y)


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


# --- loops ---------------------------------------------------------------------------


def repeated(peer: Any, state: Any, steps: int) -> Any:
    """The last of so many steps s = 0.999 s + 1: nothing to speak of but the loop."""
    return peer.repeat(lambda s: s * 0.999 + 1, state, steps)


def power(peer: Any, A: Any, k: Any) -> Any:
    """`A` to the power `k`, a whole number, by as many products."""
    return peer.repeat(lambda prior, A: prior * A, peer.xp.ones_like(A), k, A)


def lstm(
    peer: Any, x: Any, y: Any, mask: Any, E: Any, V: Any, c: Any, *gates: Any
) -> Any:
    """Cross-entropy of the next letters in sequences, by a layer of LSTM cells.

    Parameters
    ----------
    x, y
        Letters and the letters to follow them [t, n], int64.
    mask
        1 where there is a letter, 0 behind the end of a sequence [t, n].
    E
        A row for each letter [v, d].
    V, c
        From the layer's outputs to scores of letters [h, v] and [v].
    gates
        W [d, h], U [h, h] and b [h] of the input, forget and output gates and of the new
        contents; or one W [d, 4h], one U and one b with the same side by side.
    """
    step = lstm_step if len(gates) > 3 else lstm_step_joined
    zeros = peer.zeros(x.shape[1], V.shape[0])
    rows = [mask, peer.take_rows(E, x)]
    h, _ = peer.scan(step(peer), rows, [zeros, zeros], gates)
    return letters_missed(peer, h @ V + c, y, mask)


def lstm_step(peer: Any) -> Expression:
    """A step as one writes it down, each gate by itself."""

    def step(seen: Any, letter: Any, h: Any, s: Any, *gates: Any) -> Any:
        Wi, Ui, bi, Wf, Uf, bf, Wo, Uo, bo, Ws, Us, bs = gates
        i = peer.sigmoid(letter @ Wi + h @ Ui + bi)
        f = peer.sigmoid(letter @ Wf + h @ Uf + bf)
        o = peer.sigmoid(letter @ Wo + h @ Uo + bo)
        new = f * s + i * peer.xp.tanh(letter @ Ws + h @ Us + bs)
        return _where_seen(seen, o * peer.xp.tanh(new), h, new, s)

    return step


def lstm_step_joined(peer: Any) -> Expression:
    """The same with all gates in one product."""

    def step(seen: Any, letter: Any, h: Any, s: Any, W: Any, U: Any, b: Any) -> Any:
        a, k = letter @ W + h @ U + b, U.shape[0]
        i, f = peer.sigmoid(a[:, :k]), peer.sigmoid(a[:, k : 2 * k])
        o = peer.sigmoid(a[:, 2 * k : 3 * k])
        new = f * s + i * peer.xp.tanh(a[:, 3 * k :])
        return _where_seen(seen, o * peer.xp.tanh(new), h, new, s)

    return step


def _where_seen(seen: Any, h: Any, last_h: Any, s: Any, last_s: Any) -> Any:
    """Behind the end of a sequence its state stays as it was."""
    seen = seen[:, None]
    return seen * h + (1 - seen) * last_h, seen * s + (1 - seen) * last_s


def letters_missed(peer: Any, z: Any, y: Any, mask: Any) -> Any:
    """Of each sequence the sum of -log softmax(`z`) at `y`; the mean over sequences."""
    e = peer.xp.exp(z - peer.max(z, 2)[:, :, None])
    p = (e / e.sum(axis=2)[:, :, None]).reshape((-1, z.shape[2]))
    which = y.reshape((-1,))
    seen = peer.xp.log(p[peer.xp.arange(which.shape[0]), which]) * mask.reshape((-1,))
    return -seen.reshape(mask.shape).sum(axis=0).mean()
