"""Rows for parts of arrays, read and put."""

from typing import Any

import numpy as np

import workbench.tensor as T
from tests.cases.base import Array, Case, Places, Values, one
from workbench.core.ops import indexing


def with_set(x: Array, key: Any, part: Any) -> Array:
    out = x.copy()
    out[key] = part
    return out


def with_added(x: Array, key: Any, part: Any) -> Array:
    out = x.copy()
    np.add.at(out, key, part)
    return out


def places_of(i: Array) -> tuple[Any, ...]:
    return np.arange(len(i)), i


INDEXING = [
    Case(
        indexing.Slice,
        lambda x: x[1:, ::-2],
        lambda x: x[1:, ::-2],
        one((3, 5), (1, 1), (0, 4)),
        differentiable=(0,),
    ),
    Case(
        indexing.Slice,
        lambda x: x[-1, 1:-1],
        lambda x: x[-1, 1:-1],
        one((3, 5), (1, 1), (2, 0)),
        differentiable=(0,),
        note="place",
    ),
    Case(
        indexing.Slice,
        lambda x, i, j: x[i:j],
        lambda x, i, j: x[int(i) : int(j)],
        (((7,), (), ()), ((0, 2), (), ()), ((3, 2), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8)),
        differentiable=(0,),
        note="symbolic",
    ),
    Case(
        indexing.Slice,
        lambda x, i, j: x[j:i:-2],
        lambda x, i, j: x[int(j) : int(i) : -2],
        (((7,), (), ()), ((0, 2), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8)),
        differentiable=(0,),
        note="backwards",
    ),
    Case(
        indexing.PutSlice,
        lambda x, y: T.set_subtensor(x[1:], y),
        lambda x, y: with_set(x, np.s_[1:], y),
        (((3, 4), (2, 4)), ((3, 4), ()), ((1, 2), (0, 2)), ((4, 3), (1, 3))),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        indexing.PutSlice,
        lambda x, y: T.inc_subtensor(x[::-2, 0], y),
        lambda x, y: with_added(x, np.s_[::-2, 0], y),
        (((3, 4), (2,)), ((4, 4), ()), ((0, 2), (0,))),
        differentiable=(0, 1),
        note="add",
    ),
    Case(
        indexing.Take,
        lambda x, i: x[i],
        lambda x, i: x[i],
        (
            ((4, 3), (5,)),
            ((4,), (2, 3)),
            ((4, 0), (2,)),
            ((4, 3), (0,)),
            ((4, 2), (1,)),
        ),
        makers=(Values(), Places(-4, 4)),
        differentiable=(0,),
    ),
    Case(
        indexing.Take,
        lambda x, i: x[T.arange(i.shape[0]), i],
        lambda x, i: x[places_of(i)],
        (((5, 4), (5,)), ((6, 4), (3,))),
        makers=(Values(), Places(-4, 4)),
        differentiable=(0,),
        note="rows",
    ),
    Case(
        indexing.Put,
        lambda x, y, i: T.inc_subtensor(x[i], y),
        lambda x, y, i: with_added(x, i, y),
        (
            ((4, 3), (5, 3), (5,)),
            ((4,), (), (6,)),
            ((4, 2), (0, 2), (0,)),
            ((4, 2), (1, 2), (3,)),
        ),
        makers=(Values(), Values(), Places(-4, 4)),
        differentiable=(0, 1),
        note="add",
    ),
    Case(
        indexing.Put,
        lambda x, y, i: T.set_subtensor(x[T.arange(i.shape[0]), i], y),
        lambda x, y, i: with_set(x, places_of(i), y),
        (((5, 4), (3,), (3,)), ((3, 4), (), (3,))),
        makers=(Values(), Values(), Places(-4, 4)),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        indexing.OneHot,
        indexing.OneHot(),
        lambda i, n: np.eye(int(n), dtype=bool)[i],
        (((3,), ()), ((0,), ()), ((1,), ())),
        ("int64",),
        (Places(-4, 4), Places(4, 6)),
    ),
    Case(
        indexing.Join,
        lambda x, y: T.concatenate([x, y, x], 1),
        lambda x, y: np.concatenate([x, y, x], 1),
        (((2, 3), (2, 4)), ((0, 3), (0, 1)), ((3, 0), (3, 2))),
        differentiable=(0, 1),
    ),
    Case(
        indexing.Join,
        lambda x, y: T.stack([x, y], 1),
        lambda x, y: np.stack([x, y], 1),
        (((2, 3), (2, 3)), ((0,), (0,)), ((1, 2), (1, 2))),
        differentiable=(0, 1),
        note="stack",
    ),
]
