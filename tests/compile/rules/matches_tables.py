"""Graphs for the rules about rows of a small table, and about the slope of a maximum."""

import workbench.tensor as T
from tests.compile.rules.drawing import matches, stretch
from workbench.core.ops.gathering import Put, Take


def zeros(*sizes):
    return stretch(T.constant([[0.0]]), *sizes)


def rows(d):
    """A table of three rows, and six places."""
    return d.new(3, 4), T.reshape(d.places(6, 3), (2, 3))


@matches("product_of_taken_rows")
def _(d):
    table, places = rows(d)
    return T.dot(Take(1)(table, places), d.new(4, 5))


@matches("product_of_taken_rows")
def _(d):
    table, places = rows(d)
    return T.dot(T.reshape(Take(1)(table, places), (6, 4)), d.new(4, 5))


@matches("product_with_taken_rows")
def _(d):
    table, places = d.new(3, 4), d.places(6, 3)
    flat = Take(1)(table, T.reshape(places, (6,)))
    return T.dot(flat.T, d.new(6, 5))


@matches("product_with_taken_rows")
def _(d):
    table, places = rows(d)
    return T.dot(T.reshape(Take(1)(table, places), (6, 4)).T, d.new(6, 5))


@matches("products_added_to_rows")
def _(d):
    places = T.reshape(d.places(6, 3), (6,))
    return Put(1, True)(zeros(3, 4), T.dot(d.new(6, 5), d.new(5, 4)), places)


@matches("products_added_to_rows")
def _(d):
    _, places = rows(d)
    part = T.reshape(T.dot(d.new(6, 5), d.new(5, 4)), (2, 3, 4))
    return Put(1, True)(zeros(3, 4), part, places)


def through_maximum(x, slopes):
    """The slopes, and what x - max(x) adds to them through the maximum."""
    top = T.max(x, axis=1, keepdims=True)
    return slopes + T.switch(T.eq(x, top), -T.sum(slopes, axis=1, keepdims=True), 0)


@matches("slope_through_maximum")
def _(d):
    x, g = d.new(3, 4), d.new(3, 4)
    total = T.sum(g, axis=1, keepdims=True)
    return through_maximum(x, g - T.nnet.softmax(x) * total)


@matches("slope_through_maximum")
def _(d):
    x, g = d.new(3, 4), d.new(3, 4)
    p = T.nnet.softmax(x)
    return through_maximum(x, p * (g - T.sum(g * p, axis=1, keepdims=True)))


@matches("slope_through_maximum")
def _(d):
    x, g = d.new(3, 4), d.new(3, 4)
    total = T.sum(g, axis=1, keepdims=True)
    return through_maximum(x, (-total) * T.nnet.softmax(x) + g)
