"""Windows that lie within their axes become operations on whole arrays, just before loops are made.

An element of each window is a view with steps; their maximum, the place of it and their sum
are chains of elementwise operations. So a bias, a tanh, and the place that a gradient needs
are computed in the loop that reads the windows, which is shared by threads and packed into
vectors as any other. The others are searched by C text of their own, once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import product

import numpy as np

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import known_int
from workbench.core.ops.elementwise import (
    add,
    eq,
    gt,
    neq,
    or_,
    switch,
    true_div,
)
from workbench.core.ops.pooling import Pool, PoolPlaces, PoolTake
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.ops.windows import Stepped, Windowed

MOST = 16
"""Elements of a window that are read one by one; for more, loops are shorter."""


@node_rule(Pool)
def pool_by_elements(node):
    """The elements of all windows are compared, or added, one after the other."""
    x = node.inputs[0]
    elements = _elements(node)
    if elements is None or x.dtype in ("bool", "float16"):
        return None
    if node.op.mode == "max":
        return _largest(elements)
    if not x.type.is_float:
        return None
    total = reduce(add, elements)
    return total if node.op.mode == "sum" else true_div(total, len(elements))


@node_rule(PoolPlaces)
def places_by_elements(node):
    """The first element that is as large as the largest, or the first NaN."""
    elements = _elements(node)
    if elements is None or node.inputs[0].dtype in ("bool", "float16"):
        return None
    best = reduce(_larger, elements)
    place = _first([eq(e, best) for e in elements])
    if not best.type.is_float:
        return place
    spoilt = [neq(e, e) for e in elements]
    return switch(reduce(or_, spoilt), _first(spoilt), place)


@node_rule(Pool)
def maximum_at_its_place(node, context):
    """Where a gradient asks for the places of the maxima anyway, no second search finds the maxima."""
    x, *settings = node.inputs
    if node.op.mode != "max":
        return None
    places = PoolPlaces(node.op.rank, node.op.ignore_border)
    for other in context.clients(x):
        if other is not None and other.op == places and _are_alike(other, node):
            take = PoolTake(places.rank, places.ignore_border, lowest=True)
            return take(x, places(x, *settings), *settings)
    return None


def _are_alike(a: Apply, b: Apply) -> bool:
    """Whether two operations have the same inputs."""
    return all(
        v is w or (known_int(v) is not None and known_int(v) == known_int(w))
        for v, w in zip(a.inputs, b.inputs, strict=True)
    )


def _first(tests: Sequence[Variable]) -> Variable:
    """The number of the first test that holds, or of the last."""
    *before, last = range(len(tests))
    place = as_variable(np.int32(last))
    for k, test in reversed(list(zip(before, tests, strict=False))):
        place = switch(test, np.int32(k), place)
    return place


def _larger(a: Variable, b: Variable) -> Variable:
    """The larger of two, in a form that is one instruction of the processor; a NaN it may lose."""
    return switch(gt(b, a), b, a)


def _largest(elements: Sequence[Variable]) -> Variable:
    """The maximum, with NaN looked for apart: so a C compiler packs it into vectors."""
    best = reduce(_larger, elements)
    if not best.type.is_float:
        return best
    spoilt = reduce(or_, [neq(e, e) for e in elements])
    return switch(spoilt, np.array(np.nan, best.dtype), best)


def _elements(node) -> list[Variable] | None:
    """For each place of a window the array of what stands there; None where windows reach over a border."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Windowed)
    numbers = [known_int(v) for v in node.inputs[1:]]
    if any(n is None for n in numbers):
        return None
    geometry = op.geometry(node.inputs)
    if math.prod(geometry.ws) not in range(2, MOST + 1) or any(geometry.pad):
        return None
    sizes = sizes_of(x)[x.ndim - op.rank :]
    counts = geometry.counts(sizes)
    rows = zip(sizes, counts, geometry.ws, geometry.stride, strict=True)
    if not op.ignore_border and not all(
        isinstance(n, int) and (c - 1) * s + w <= n for n, c, w, s in rows
    ):
        return None
    wanted = [size_variable(c) for c in counts]
    steps = tuple(geometry.stride)
    return [
        Stepped(offsets, steps)(x, *wanted)
        for offsets in product(*(range(w) for w in geometry.ws))
    ]


RULES = tagged("pooling", pool_by_elements, places_by_elements, maximum_at_its_place)
