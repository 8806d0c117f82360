"""Gradients and training steps as one writes them by hand in NumPy.

Those of gradients return the value and the slopes; those of steps change the
parameters in place and return the loss. ``tests/test_benchmarks.py`` compares each
with what Workbench derives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

EPSILON = 1e-5
"""Added to the variance in a layer norm."""


def softmax(z: Array) -> Array:
    """Of the rows of `z`."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def log_softmax(z: Array) -> Array:
    """Of the rows of `z`."""
    z = z - z.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def softmax_slope(z: Array, g: Array) -> list[Array]:
    """Of sum(softmax(z) g) with respect to z."""
    p = softmax(z)
    inner = (p * g).sum(axis=1, keepdims=True)
    total = inner.sum()
    return [total, p * (g - inner)]


def log_softmax_slope(z: Array, g: Array) -> list[Array]:
    """Of sum(log softmax(z) g) with respect to z."""
    logs = log_softmax(z)
    total = (logs * g).sum()
    return [total, g - np.exp(logs) * g.sum(axis=1, keepdims=True)]


def cross_entropy_slope(z: Array, y: Array) -> list[Any]:
    """Of the mean over rows of -log softmax(z) at the classes y."""
    rows = np.arange(len(y))
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - z[rows, y])
    p /= total
    p[rows, y] -= 1
    p /= len(y)
    return [loss, p]


def layer_norm(x: Array, scale: Array, shift: Array) -> Array:
    """Of the rows of `x`."""
    d = x - x.mean(axis=1, keepdims=True)
    d /= np.sqrt((d * d).mean(axis=1, keepdims=True) + np.float32(EPSILON))
    return d * scale + shift


def layer_norm_slopes(x: Array, scale: Array, shift: Array, y: Array) -> list[Any]:
    """Of the mean square of the layer norm less y, by x, scale and shift."""
    d = x - x.mean(axis=1, keepdims=True)
    root = np.sqrt((d * d).mean(axis=1, keepdims=True) + np.float32(EPSILON))
    d /= root
    error = d * scale + shift - y
    loss = (error * error).mean()
    error *= np.float32(2 / error.size)
    inner = error * scale
    slope = inner - inner.mean(axis=1, keepdims=True)
    slope -= d * (inner * d).mean(axis=1, keepdims=True)
    slope /= root
    return [loss, slope, (error * d).sum(axis=0), error.sum(axis=0)]


def softmax_regression_step(x: Array, y: Array, W: Array, b: Array, rate: float) -> Any:
    """A step of gradient descent on the mean cross-entropy under softmax(x W + b)."""
    loss, slope = cross_entropy_slope(x @ W + b, y)
    slope *= np.float32(rate)
    W -= x.T @ slope
    b -= slope.sum(axis=0)
    return loss


def perceptron_step(
    x: Array, y: Array, W: Array, b: Array, V: Array, c: Array, rate: float
) -> Any:
    """The same under softmax(tanh(x W + b) V + c)."""
    h = np.tanh(x @ W + b)
    loss, slope = cross_entropy_slope(h @ V + c, y)
    slope *= np.float32(rate)
    inner = slope @ V.T
    V -= h.T @ slope
    c -= slope.sum(axis=0)
    inner *= 1 - h * h
    W -= x.T @ inner
    b -= inner.sum(axis=0)
    return loss


def embedding_step(rows: Array, g: Array, E: Array, rate: float) -> Any:
    """Take rate times g from the rows of E; a row may be named more than once."""
    loss = (E[rows] * g).sum()
    np.subtract.at(E, rows, np.float32(rate) * g)
    return loss


def graph_slope_of(operations: int) -> Any:
    """The value and the slope by x of :func:`benchmarks.mathematics.graph_of`."""

    def slope(x: Array, y: Array) -> list[Any]:
        h, kept = x, []
        for _ in range(operations // 4):
            t = np.tanh(h * y + x)
            kept.append(t)
            h = t - y
        g = np.full_like(x, 1 / len(x))
        total = np.zeros_like(x)
        for t in reversed(kept):
            g = g * (1 - t * t)
            total += g
            g = g * y
        return [h.mean(), total + g]

    return slope


def lstm_step(
    x: Array,
    y: Array,
    mask: Array,
    E: Array,
    V: Array,
    c: Array,
    *gates: Array,
    rate: float,
) -> Any:
    """A step of gradient descent on :func:`benchmarks.mathematics.lstm`."""
    joined = len(gates) == 3
    W, U, b = (
        gates if joined else [np.concatenate(gates[k::3], axis=-1) for k in range(3)]
    )
    h, s, opened, tanhs = _lstm_forward(E[x] @ W + b, U, mask)
    loss, slope = _letters_missed(h[1:] @ V + c, y, mask)
    slope *= np.float32(rate)
    changes = _lstm_backward(slope @ V.T, U, mask, s, opened, tanhs)
    V -= np.tensordot(h[1:], slope, ([0, 1], [0, 1]))
    c -= slope.sum(axis=(0, 1))
    of_each = (
        np.tensordot(E[x], changes, ([0, 1], [0, 1])),
        np.tensordot(h[:-1], changes, ([0, 1], [0, 1])),
        changes.sum(axis=(0, 1)),
    )
    np.subtract.at(E, x, changes @ W.T)
    for k, change in enumerate(of_each):
        parts = [change] if joined else np.split(change, 4, axis=-1)
        for parameter, part in zip(gates[k::3], parts, strict=True):
            parameter -= part
    return loss


def _lstm_forward(gates: Array, U: Array, mask: Array) -> list[Array]:
    """States before and after each step, the gates, and the tanh of new states.

    `gates` [t, n, 4h], what the letters say to each, is changed.
    """
    (t, n), k = mask.shape, len(U)
    h, s = np.zeros((2, t + 1, n, k), "float32")
    tanhs = np.empty((t, n, k), "float32")
    for r, a in enumerate(gates):
        a += h[r] @ U
        a[:, : 3 * k] = 1 / (1 + np.exp(-a[:, : 3 * k]))
        np.tanh(a[:, 3 * k :], out=a[:, 3 * k :])
        i, f, o, g = np.split(a, 4, axis=1)
        new = f * s[r] + i * g
        np.tanh(new, out=tanhs[r])
        seen = mask[r][:, None]
        h[r + 1] = seen * o * tanhs[r] + (1 - seen) * h[r]
        s[r + 1] = seen * new + (1 - seen) * s[r]
    return [h, s, gates, tanhs]


def _letters_missed(z: Array, y: Array, mask: Array) -> tuple[Any, Array]:
    """The loss of scores z [t, n, v], and its slope by them."""
    rows, which = np.arange(y.size), y.ravel()
    p = softmax(z.reshape(y.size, -1))
    loss = -(np.log(p[rows, which]).reshape(y.shape) * mask).sum(axis=0).mean()
    p[rows, which] -= 1
    p *= (mask / np.float32(y.shape[1])).reshape(-1, 1)
    return loss, p.reshape(z.shape)


def _lstm_backward(
    seen_later: Array, U: Array, mask: Array, s: Array, gates: Array, tanhs: Array
) -> Array:
    """Slopes by what goes into the gates [t, n, 4h], from those by the outputs [t, n, h]."""
    slopes = np.empty_like(gates)
    by_h, by_s = np.zeros((2, *seen_later.shape[1:]), "float32")
    for r in reversed(range(len(mask))):
        i, f, o, g = np.split(gates[r], 4, axis=1)
        seen = mask[r][:, None]
        by_h += seen_later[r]
        by_out = seen * by_h
        by_new = seen * by_s + by_out * o * (1 - tanhs[r] ** 2)
        slopes[r] = np.concatenate(
            [
                by_new * g * i * (1 - i),
                by_new * s[r] * f * (1 - f),
                by_out * tanhs[r] * o * (1 - o),
                by_new * i * (1 - g**2),
            ],
            axis=1,
        )
        by_h = (1 - seen) * by_h + slopes[r] @ U.T
        by_s = (1 - seen) * by_s + by_new * f
    return slopes
