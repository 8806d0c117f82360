"""Rows for running sums and products, sorting, searching and counting."""

import numpy as np

import workbench.tensor as T
from tests.cases.base import (
    ALL,
    BOOL,
    FLOATS,
    INTS,
    REAL,
    Array,
    Case,
    Places,
    Values,
    one,
    spread,
)
from workbench.core.ops import counting, running, sorting

SHAPES = one((3, 4), (5,), (2, 0), (0, 3), (2, 3, 2), (1, 4))
SPECIAL = (0.0, 1.0, -2.0, float("inf"), float("-inf"), float("nan"))


def exclusive(x: Array, axis: int) -> Array:
    """The product of all elements before each."""
    before = np.take(x, np.arange(x.shape[axis] - 1), axis) if x.shape[axis] else x
    ones = np.ones_like(np.take(x, np.arange(min(1, x.shape[axis])), axis))
    return np.cumprod(np.concatenate([ones, before], axis), axis)


def recurrence(a: Array, b: Array, reverse: bool) -> Array:
    """Along the first axis, in the plainest way."""
    if reverse:
        return recurrence(a[::-1], b[::-1], False)[::-1]
    wide = np.result_type(a, np.float64)
    r = np.zeros(a.shape, wide)
    for k in range(len(a) - 1):
        r[k + 1] = a[k].astype(wide) * r[k] + b[k]
    return r.astype(a.dtype)


def smallest(x: Array, k: int) -> Array:
    """The k smallest along the last axis."""
    return np.sort(x, axis=-1)[..., :k]


def largest(x: Array, k: int) -> Array:
    """The k largest along the last axis."""
    return np.sort(x, axis=-1)[..., ::-1][..., :k]


RUNNING = [
    Case(
        running.CumSum,
        lambda x: T.cumsum(x, axis=-1),
        lambda x: np.cumsum(x, axis=-1),
        SHAPES,
        differentiable=(0,),
        ulps=64,
        extremes=SPECIAL,
    ),
    Case(
        running.CumSum,
        T.cumsum,
        np.cumsum,
        (*SHAPES, ((),)),
        differentiable=(0,),
        ulps=64,
        note="flat",
    ),
    Case(
        running.CumProd,
        lambda x: T.cumprod(x, axis=0),
        lambda x: np.cumprod(x, axis=0),
        SHAPES,
        differentiable=(0,),
        ulps=64,
        extremes=SPECIAL,
    ),
    Case(
        running.CumProd,
        lambda x: running.CumProd(0, exclusive=True)(x),
        lambda x: exclusive(x, 0),
        SHAPES,
        FLOATS,
        differentiable=(0,),
        ulps=64,
        note="exclusive",
    ),
    *(
        Case(
            running.Recurrence,
            lambda a, b, back=back: running.Recurrence(0, back)(a, b),
            lambda a, b, back=back: recurrence(a, b, back),
            tuple((s, s) for s in ((4,), (3, 20), (3, 2), (0, 3), (1, 2), (2, 0))),
            (*FLOATS, "complex64", "complex128"),
            (Values(), Values()),
            differentiable=(0, 1),
            ulps=64,
            note="backwards" if back else "",
        )
        for back in (False, True)
    ),
]

SORTED = [
    Case(
        sorting.Sort,
        lambda x: T.sort(x, axis=0),
        lambda x: np.sort(x, axis=0),
        SHAPES,
        makers=(spread,),
        differentiable=(0,),
        extremes=SPECIAL,
    ),
    Case(
        sorting.Sort,
        lambda x: T.sort(x, None, stable=True),
        lambda x: np.sort(x, None),
        (*SHAPES, ((),)),
        makers=(spread,),
        differentiable=(0,),
        note="flat",
    ),
    Case(
        sorting.ArgSort,
        T.argsort,
        lambda x: np.argsort(x, kind="stable"),
        SHAPES,
        extremes=SPECIAL,
    ),
    Case(
        sorting.ArgPartition,
        lambda x: T.sort(T.partition(x, (1, -2), axis=0)[:2], axis=0),
        lambda x: np.sort(x, axis=0)[:2],
        one((4, 3), (5,), (3, 0)),
        makers=(spread,),
        differentiable=(0,),
    ),
    Case(
        sorting.ArgTopK,
        lambda x: T.topk(x, 2),
        lambda x: largest(x, 2),
        one((3, 4), (5,), (0, 3), (2, 3, 2)),
        makers=(spread,),
        differentiable=(0,),
    ),
    Case(
        sorting.ArgTopK,
        lambda x, k: T.topk(x, -k, axis=0),
        lambda x, k: smallest(x.T, int(k)).T,
        (((4, 3), ()), ((5,), ()), ((3, 0), ())),
        REAL,
        (spread, Places(1, 4)),
        differentiable=(0,),
        note="smallest",
    ),
    Case(
        sorting.ArgTopK,
        lambda x: T.argtopk(x, 3, sorted=False),
        lambda x: np.sort(np.argsort(x, axis=-1)[..., -3:], axis=-1),
        one((3, 4), (5,), (0, 3)),
        FLOATS,
        makers=(spread,),
        note="places",
    ),
]

COUNTED = [
    Case(
        counting.BinCount,
        lambda x: T.bincount(x, minlength=3),
        lambda x: np.bincount(x.astype("int64"), minlength=3),
        one((6,), (0,), (1,)),
        (*BOOL, *INTS),
        (Places(0, 7, "uint8"),),
    ),
    Case(
        counting.BinCount,
        lambda x, w: T.bincount(x, w),
        lambda x, w: np.bincount(x, w).astype("float64"),  # int64 of nothing
        (((6,), (6,)), ((0,), (0,)), ((1,), (1,))),
        REAL,
        (Places(0, 7), Values()),
        differentiable=(1,),
        note="weights",
    ),
    Case(
        counting.SearchSorted,
        lambda x, v: T.searchsorted(T.sort(x), v),
        lambda x, v: np.searchsorted(np.sort(x), v),
        (((5,), (2, 3)), ((0,), (2,)), ((4,), ())),
        ALL,
        (Values(), Values()),
    ),
    Case(
        counting.SearchSorted,
        lambda x, v: T.searchsorted(x, v, "right", T.argsort(x)),
        lambda x, v: np.searchsorted(np.sort(x), v, "right"),
        (((5,), (2, 3)), ((1,), (0,))),
        REAL,
        (Values(), Values()),
        note="sorter",
    ),
    Case(
        counting.Digitize,
        lambda x, bins: T.digitize(x, -T.sort(bins), right=True),
        lambda x, bins: np.digitize(x, -np.sort(bins), right=True),
        (((2, 3), (4,)), ((), (1,)), ((3,), (0,))),
        FLOATS,
        (Values(), Values()),
    ),
    Case(
        counting.Unique,
        T.unique,
        np.unique,
        (*SHAPES, ((),)),
        differentiable=(0,),
        extremes=SPECIAL,
    ),
    Case(
        counting.Unique,
        lambda x: T.unique(x, axis=1),
        lambda x: np.unique(x, axis=1),
        one((3, 4), (2, 3, 2), (1, 4)),
        makers=(spread,),
        differentiable=(0,),
        note="columns",
    ),
    Case(
        counting.Unique,
        lambda x: T.unique(x, return_inverse=True)[1],
        lambda x: np.unique(x, return_inverse=True)[1].reshape(x.shape),
        SHAPES,
        note="inverse",
    ),
]

SORTING = [*RUNNING, *SORTED, *COUNTED]
