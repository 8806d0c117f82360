"""Histograms: how many elements, or how much weight, falls between edges.

Nothing here is an op: each element searches its bin among the edges and adds its weight
there, so that a gradient reaches the weights.

Read next: :mod:`workbench.core.ops.nanfunctions`.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import ArgumentError, DTypeError, ParameterError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops import reduction
from workbench.core.ops.checks import AssertValue
from workbench.core.ops.counting import searchsorted
from workbench.core.ops.creation import zeros
from workbench.core.ops.differences import diff
from workbench.core.ops.elementwise import add, and_, ge, le, sub, switch, true_div
from workbench.core.ops.floats import isfinite
from workbench.core.ops.grids import linspace
from workbench.core.ops.shape import flatten, size_variable, sizes_of
from workbench.core.ops.subscript import inc_subtensor, index
from workbench.core.ops.ufunc import cast, kind, weak_type


def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,
    density: bool | None = None,
    weights: Any = None,
) -> tuple[Variable, Variable]:
    """How many elements of `a` fall into each bin, and the edges of the bins.

    A bin holds its left edge but not its right; only the last holds both. Elements outside
    count nowhere.

    Parameters
    ----------
    bins : int, or [n + 1]
        How many of equal width, or their edges in increasing order.
    range
        The first and the last edge of bins of equal width; by default the least and the
        largest element.
    density
        Divide by the sum and by the width of each bin, so that the integral is 1.
    weights
        How much each element counts, of the shape of `a`; a gradient reaches them.

    Returns
    -------
    tuple of Variable
        Counts [n], int64 or of the dtype of the weights, and edges [n + 1].

    Raises
    ------
    ParameterError
        There is no bin or, when called, edges do not increase or are not finite.
    ShapeError
        Edges are no vector, or weights have another number of axes than `a`.
    DTypeError
        Elements are complex, which have no order that bins could follow.
    ArgumentError
        `bins` is no integer; the name of a rule that would choose one is none, either.

    Examples
    --------
    >>> counts, edges = histogram([0.0, 1.0, 1.5, 2.0], bins=2)
    >>> counts.eval(), edges.eval()
    (array([1, 3]), array([0., 1., 2.]))
    """
    x = as_variable(a)
    if kind(x.dtype) == "c":
        raise DTypeError(f"histogram is for real numbers, got {x.label()}: {x.type}.")
    w = None if weights is None else _weights(as_variable(weights), x)
    x = flatten(cast(x, "uint8") if x.dtype == "bool" else x)
    if isinstance(bins, str):
        raise ParameterError(f"bins must be a number or edges, not {bins!r}.")
    if np.ndim(bins) if not isinstance(bins, Variable) else bins.ndim:
        edges = _given_edges(as_variable(bins))
    else:
        edges = _equal_edges(x, _number(bins), range)
        x = cast(x, edges.dtype)
    counts = _counts(x, edges, w)
    if not density:
        return counts, edges
    widths = cast(diff(edges), config.floatX)
    return true_div(true_div(counts, widths), reduction.sum(counts)), edges


def _weights(w: Variable, x: Variable) -> Variable:
    """Weights as a vector."""
    if w.ndim != x.ndim:
        raise ShapeError(
            f"histogram: weights are {w.type}, but {x.label()} is {x.type}."
        )
    return flatten(w)


def _number(bins: Any) -> int:
    try:
        number = operator.index(bins)
    except TypeError:
        raise ArgumentError(
            f"bins must be an integer or edges, not {bins!r}."
        ) from None
    if number < 1:
        raise ParameterError(f"there must be at least one bin, not {number}.")
    return number


def _given_edges(edges: Variable) -> Variable:
    if edges.ndim != 1:
        raise ShapeError(f"the edges of bins are a vector, got {edges.type}.")
    before, after = index(edges, slice(None, -1)), index(edges, slice(1, None))
    return AssertValue("the edges of bins increase")(edges, le(before, after))


def _equal_edges(x: Variable, number: int, range: Any) -> Variable:
    """Edges of `number` bins from the least to the largest element, or over a range."""
    if range is None:
        first, last = _ends(x)
    else:
        if range[0] > range[1]:
            raise ParameterError(f"the range {range} ends before it begins.")
        kinds = [weak_type(end) or as_variable(end).dtype for end in range]
        dtype = ew.Maximum().loop_types(x.dtype, kinds[0])[-1]
        dtype = ew.Maximum().loop_types(dtype, kinds[1])[-1]
        first, last = (cast(as_variable(end), _float(dtype)) for end in range)
    finite = and_(isfinite(first), isfinite(last))
    first, last = (AssertValue("the range is finite")(v, finite) for v in (first, last))
    alone = ew.eq(first, last)
    first = switch(alone, sub(first, 0.5), first)
    last = switch(alone, add(last, 0.5), last)
    edges = linspace(first, last, number + 1, dtype=_float(x.dtype))
    rising = ew.lt(index(edges, slice(None, -1)), index(edges, slice(1, None)))
    return AssertValue("there are numbers enough for so many bins")(edges, rising)


def _ends(x: Variable) -> tuple[Variable, Variable]:
    """The least and the largest element as floats; 0 and 1 where there is none."""
    dtype = _float(x.dtype)
    nothing = ew.eq(size_variable(sizes_of(x)[0]), 0)
    low, high = reduction.Infimum((0,))(x), reduction.Supremum((0,))(x)
    return (
        switch(nothing, as_variable(0, dtype), cast(low, dtype)),
        switch(nothing, as_variable(1, dtype), cast(high, dtype)),
    )


def _float(dtype: str) -> str:
    return config.floatX if kind(dtype) in "biu" else dtype


def _counts(x: Variable, edges: Variable, w: Variable | None) -> Variable:
    """The sums of weights, or the numbers of elements, between edges."""
    n = sub(size_variable(sizes_of(edges)[0]), 1)
    first, last = index(edges, 0), index(edges, -1)
    place = sub(searchsorted(edges, x, "right"), 1)
    place = switch(ew.eq(x, last), sub(n, 1), place)
    inside = and_(and_(ge(place, 0), ge(x, first)), le(x, last))
    place = switch(inside, place, n)  # one bin more, for what lies outside
    if w is None:
        sums = zeros((add(n, 1),), "int64")
        return index(inc_subtensor(index(sums, place), 1), slice(None, -1))
    wide = {"f": "float64", "c": "complex128"}.get(kind(w.dtype), "int64")
    sums = zeros((add(n, 1),), wide)
    sums = inc_subtensor(index(sums, place), cast(w, wide))
    return cast(index(sums, slice(None, -1)), w.dtype)


__all__ = ["histogram"]
