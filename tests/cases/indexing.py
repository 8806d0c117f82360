"""Rows for parts of arrays, read and put."""

from typing import Any

import numpy as np

import workbench.tensor as T
from tests.cases.base import EXTREMES, Array, Case, Places, Values, flags, one
from workbench.core.ops import gathering, joining, masks, places, slicing


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


def nonzero_step(rng: np.random.Generator, dtype: str, shape: Any) -> Array:
    return np.array(rng.choice([-3, -2, -1, 1, 2, 3]))


def some_zeros(rng: np.random.Generator, dtype: str, shape: Any) -> Array:
    return np.where(flags(rng, dtype, shape), Values()(rng, dtype, shape), 0).astype(
        dtype
    )


def last_writers(i: Array, j: Array, m: Array, n: Array) -> Array:
    i, j = np.broadcast_arrays(i, j)
    named = list(zip((i % m).ravel(), (j % n).ravel(), strict=True))
    last = {place: number for number, place in enumerate(named)}
    return np.array(
        [last[place] == number for number, place in enumerate(named)], bool
    ).reshape(i.shape)


INDEXING = [
    Case(
        slicing.Slice,
        lambda x: x[1:, ::-2],
        lambda x: x[1:, ::-2],
        one((3, 5), (1, 1), (0, 4)),
        differentiable=(0,),
    ),
    Case(
        slicing.Slice,
        lambda x: x[-1, 1:-1],
        lambda x: x[-1, 1:-1],
        one((3, 5), (1, 1), (2, 0)),
        differentiable=(0,),
        note="place",
    ),
    Case(
        slicing.Slice,
        lambda x, i, j: x[i:j],
        lambda x, i, j: x[int(i) : int(j)],
        (((7,), (), ()), ((0, 2), (), ()), ((3, 2), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8)),
        differentiable=(0,),
        note="symbolic",
    ),
    Case(
        slicing.Slice,
        lambda x, i, j: x[j:i:-2],
        lambda x, i, j: x[int(j) : int(i) : -2],
        (((7,), (), ()), ((0, 2), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8)),
        differentiable=(0,),
        note="backwards",
    ),
    Case(
        slicing.Slice,
        lambda x, i, j, k: x[i:j:k],
        lambda x, i, j, k: x[int(i) : int(j) : int(k)],
        (((7,), (), (), ()), ((0, 2), (), (), ()), ((1,), (), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8), nonzero_step),
        differentiable=(0,),
        note="symbolic step",
    ),
    Case(
        slicing.PutSlice,
        lambda x, y, k: T.inc_subtensor(x[::k], y),
        lambda x, y, k: with_added(x, np.s_[:: int(k)], y),
        (((7, 2), (2,), ()), ((1,), (), ())),
        makers=(Values(), Values(), nonzero_step),
        differentiable=(0, 1),
        note="symbolic step",
    ),
    Case(
        slicing.PutSlice,
        lambda x, y: T.set_subtensor(x[1:], y),
        lambda x, y: with_set(x, np.s_[1:], y),
        (((3, 4), (2, 4)), ((3, 4), ()), ((1, 2), (0, 2)), ((4, 3), (1, 3))),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        slicing.PutSlice,
        lambda x, y: T.inc_subtensor(x[::-2, 0], y),
        lambda x, y: with_added(x, np.s_[::-2, 0], y),
        (((3, 4), (2,)), ((4, 4), ()), ((0, 2), (0,))),
        differentiable=(0, 1),
        note="add",
    ),
    Case(
        gathering.Take,
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
        gathering.Take,
        lambda x, i: x[T.arange(i.shape[0]), i],
        lambda x, i: x[places_of(i)],
        (((5, 4), (5,)), ((6, 4), (3,))),
        makers=(Values(), Places(-4, 4)),
        differentiable=(0,),
        note="rows",
    ),
    Case(
        gathering.Put,
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
        gathering.Put,
        lambda x, y, i: T.set_subtensor(x[T.arange(i.shape[0]), i], y),
        lambda x, y, i: with_set(x, places_of(i), y),
        (((5, 4), (3,), (3,)), ((3, 4), (), (3,))),
        makers=(Values(), Values(), Places(-4, 4)),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        gathering.Put,
        lambda x, y, i: T.set_subtensor(x[i], y),
        lambda x, y, i: with_set(x, i, y),
        (((2, 2), (7, 2), (7,)), ((3,), (), (6,))),
        makers=(Values(), Values(), Places(-2, 2)),
        differentiable=(0, 1),
        note="set twice",
    ),
    Case(
        gathering.LastWriter,
        lambda i, j, m, n: gathering.LastWriter(2)(i, j, m, n),
        last_writers,
        (((8,), (8,), (), ()), ((2, 4), (2, 1), (), ()), ((0,), (1,), (), ())),
        ("int64",),
        (Places(-3, 3), Places(-2, 2), Places(3, 5), Places(2, 4)),
    ),
    Case(
        gathering.Position,
        lambda m, n: gathering.Position()(m, n),
        lambda m, n: np.arange(m * n).reshape(m, n),
        (((), ()),) * 3,
        ("int64",),
        (Places(0, 4), Places(1, 4)),
    ),
    Case(
        masks.NonZero,
        lambda x: T.nonzero(x, return_matrix=True),
        lambda x: np.array(np.nonzero(x)),
        one((3, 4), (7,), (0, 3), (1, 1), (2, 0, 3)),
        makers=(some_zeros,),
        extremes=EXTREMES,
    ),
    Case(
        masks.NonZero,
        lambda x, m: x[:, m],
        lambda x, m: x[:, m],
        (((2, 5), (5,)), ((3, 2, 3), (2, 3)), ((2, 0), (0,)), ((0, 1), (1,))),
        makers=(Values(), flags),
        differentiable=(0,),
        note="mask",
    ),
    Case(
        masks.NonZero,
        lambda x, y, m: T.set_subtensor(x[m], y),
        lambda x, y, m: with_set(x, m, y),
        (((6, 2), (2,), (6,)), ((2, 3), (), (2, 3))),
        makers=(Values(), Values(), flags),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        places.Within,
        lambda i, x: x[places.Within()(i, x.shape[0])],
        lambda i, x: x[i],
        (((3, 2), (4,)), ((0,), (4, 2)), ((), (5,))),
        makers=(Places(0, 4), Values()),
        differentiable=(1,),
    ),
    Case(
        gathering.OneHot,
        gathering.OneHot(),
        lambda i, n: np.eye(int(n), dtype=bool)[i],
        (((3,), ()), ((0,), ()), ((1,), ())),
        ("int64",),
        (Places(-4, 4), Places(4, 6)),
    ),
    Case(
        joining.Join,
        lambda x, y: T.concatenate([x, y, x], 1),
        lambda x, y: np.concatenate([x, y, x], 1),
        (((2, 3), (2, 4)), ((0, 3), (0, 1)), ((3, 0), (3, 2))),
        differentiable=(0, 1),
    ),
    Case(
        joining.Join,
        lambda x, y: T.stack([x, y], 1),
        lambda x, y: np.stack([x, y], 1),
        (((2, 3), (2, 3)), ((0,), (0,)), ((1, 2), (1, 2))),
        differentiable=(0, 1),
        note="stack",
    ),
]
