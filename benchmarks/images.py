"""Convolutions, pooling, and LeNet's training step as one writes them in NumPy.

A convolution is a product of matrices for each element of a filter, summed. A `Layer` is
that of :mod:`benchmarks.convolutions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.by_hand import Array, cross_entropy_slope


def _padded(x: Array, layer: Any) -> Array:
    around = (layer.pad, layer.pad)
    return np.pad(x, ((0, 0), (0, 0), around, around))


def _taps(x: Array, layer: Any) -> Iterator[tuple[int, int, Array]]:
    """Each element of a filter, and the view of `x`, with its zeros, that it meets."""
    reach = layer.stride * (layer.place - 1) + 1
    for i in range(layer.filter):
        for j in range(layer.filter):
            top, left = i * layer.dilation, j * layer.dilation
            rows, columns = slice(top, top + reach), slice(left, left + reach)
            yield i, j, x[:, :, rows, columns][:, :, :: layer.stride, :: layer.stride]


def _in_groups(x: Array, layer: Any) -> Array:
    """Images as matrices [batch, group, channels, places]."""
    return x.reshape(len(x), layer.groups, x.shape[1] // layer.groups, -1)


def conv2d(x: Array, w: Array, layer: Any) -> Array:
    """Results from images and filters."""
    w = w.reshape(layer.groups, -1, *w.shape[1:])
    total = np.zeros((layer.batch, *w.shape[:2], layer.place**2), x.dtype)
    for i, j, seen in _taps(_padded(x, layer), layer):
        total += w[..., i, j] @ _in_groups(seen, layer)
    return total.reshape(layer.results)


def conv2d_images(y: Array, w: Array, layer: Any) -> Array:
    """The gradient by the images."""
    w = w.reshape(layer.groups, -1, *w.shape[1:])
    padded = _padded(np.zeros(layer.images, y.dtype), layer)
    y = _in_groups(y, layer)
    for i, j, seen in _taps(padded, layer):
        seen += (w[..., i, j].swapaxes(1, 2) @ y).reshape(seen.shape)
    inside = slice(layer.pad, layer.pad + layer.image)
    return np.ascontiguousarray(padded[:, :, inside, inside])


def conv2d_filters(x: Array, y: Array, layer: Any) -> Array:
    """The gradient by the filters."""
    of_group = layer.features // layer.groups
    total = np.zeros((layer.groups, of_group, *layer.filters[1:]), y.dtype)
    y = _in_groups(y, layer)
    for i, j, seen in _taps(_padded(x, layer), layer):
        products = y @ _in_groups(seen, layer).swapaxes(2, 3)
        total[..., i, j] = products.sum(axis=0)
    return total.reshape(layer.filters)


def _squares(x: Array) -> Array:
    """Squares of two by two as [batch, channels, row, in row, column, in column]."""
    n, channels, tall, wide = x.shape
    return x.reshape(n, channels, tall // 2, 2, wide // 2, 2)


def max_pool(x: Array) -> Array:
    """The largest of each square of two by two."""
    return _squares(x).max(axis=(3, 5))


def _max_pool_slope(x: Array, largest: Array, g: Array) -> Array:
    """`g` where the largest was; no square has two."""
    spread = (slice(None),) * 3 + (None, slice(None), None)
    return np.where(_squares(x) == largest[spread], g[spread], 0).reshape(x.shape)


def lenet_step(
    one: Any,
    two: Any,
    x: Array,
    y: Array,
    F: Array,
    a: Array,
    G: Array,
    b: Array,
    W: Array,
    c: Array,
    V: Array,
    d: Array,
    rate: float,
) -> Any:
    """A step of gradient descent on :func:`benchmarks.mathematics.lenet`."""
    x = x.reshape(one.images)
    first = conv2d(x, F, one)
    pooled = max_pool(first)
    h = np.tanh(pooled + a[:, None, None])
    second = conv2d(h, G, two)
    pooled_again = max_pool(second)
    k = np.tanh(pooled_again + b[:, None, None])
    flat = k.reshape(len(x), -1)
    units = np.tanh(flat @ W + c)
    loss, slope = cross_entropy_slope(units @ V + d, y)

    slope *= np.float32(rate)
    of_units = (slope @ V.T) * (1 - units * units)
    of_k = (of_units @ W.T).reshape(k.shape) * (1 - k * k)
    of_second = _max_pool_slope(second, pooled_again, of_k)
    of_h = conv2d_images(of_second, G, two) * (1 - h * h)
    of_first = _max_pool_slope(first, pooled, of_h)
    V -= units.T @ slope
    d -= slope.sum(axis=0)
    W -= flat.T @ of_units
    c -= of_units.sum(axis=0)
    G -= conv2d_filters(h, of_second, two)
    b -= of_k.sum(axis=(0, 2, 3))
    F -= conv2d_filters(x, of_first, one)
    a -= of_h.sum(axis=(0, 2, 3))
    return loss
