"""Rows for pooling."""

import numpy as np

import workbench.tensor as T
from tests import pooling as plain
from tests.cases.base import ALL, FLOATS, REAL, Case, Places, Values, one, spread
from workbench.core.ops.pooling import Pool, PoolPlaces, PoolPut, PoolSpread, PoolTake
from workbench.core.ops.windows import Stepped

GEOMETRY = ((2, 3), (2, 2), (1, 0))
SHAPES = one((2, 5, 7), (4, 4), (1, 3, 3, 4), (0, 4, 4))
NAN = (0.0, -0.0, 1.0, float("inf"), float("-inf"), float("nan"))


def settings(*more):
    """Window, step and padding as constants."""
    return [T.constant(n) for n in (*GEOMETRY[0], *GEOMETRY[1], *GEOMETRY[2], *more)]


REALS = tuple(d for d in ALL if d in (*REAL, "bool"))

POOLING = [
    Case(
        Pool,
        lambda x: T.signal.pool.pool_2d(x, *(GEOMETRY[0], True, *GEOMETRY[1:])),
        lambda x: plain.pooled(x, *GEOMETRY),
        SHAPES,
        REALS,
        (spread,),
        differentiable=(0,),
        extremes=NAN,
        note="max",
    ),
    Case(
        Pool,
        lambda x: T.signal.pool.pool_2d(x, (2, 2), True),
        lambda x: plain.pooled(x, (2, 2)),
        SHAPES,
        REALS,
        (spread,),
        differentiable=(0,),
        extremes=NAN,
        note="max-by-elements",
    ),
    *(
        Case(
            Pool,
            lambda x, m=mode: T.signal.pool.pool_2d(
                x, *(GEOMETRY[0], True, *GEOMETRY[1:]), m
            ),
            lambda x, m=mode: plain.pooled(x, *GEOMETRY, m),
            SHAPES,
            REALS if mode == "sum" else FLOATS,
            differentiable=(0,),
            ulps=32,
            note=mode,
        )
        for mode in ("sum", "average_inc_pad", "average_exc_pad")
    ),
    Case(
        PoolPlaces,
        lambda x: PoolPlaces(2)(x, *settings()),
        lambda x: plain.places(x, *GEOMETRY),
        SHAPES,
        REALS,
        extremes=NAN,
    ),
    Case(
        PoolPlaces,
        lambda x: PoolPlaces(2)(x, *map(T.constant, (2, 2, 2, 2, 0, 0))),
        lambda x: plain.places(x, (2, 2), (2, 2), (0, 0)),
        SHAPES,
        REALS,
        extremes=NAN,
        note="by-elements",
    ),
    Case(
        PoolTake,
        lambda x, p: PoolTake(2)(x, p, *settings()),
        lambda x, p: plain.taken(x, p, *GEOMETRY),
        (((2, 5, 7), (2, 3, 3)), ((4, 4), (3, 1)), ((0, 4, 4), (0, 3, 1))),
        REAL,
        (Values(), Places(0, 6, "int32")),
        differentiable=(0,),
    ),
    Case(
        PoolPut,
        lambda g, p: PoolPut(2)(g, p, *settings(5, 7)),
        lambda g, p: plain.put(g, p, *GEOMETRY, (5, 7)),
        (((2, 3, 3), (2, 3, 3)), ((3, 3), (3, 3)), ((0, 3, 3), (0, 3, 3))),
        REAL,
        (Values(), Places(0, 6, "int32")),
        differentiable=(0,),
        ulps=64,
    ),
    Case(
        PoolSpread,
        lambda g: PoolSpread(2, True, "average_exc_pad")(g, *settings(5, 7)),
        lambda g: plain.spread(g, *GEOMETRY, (5, 7), "average_exc_pad"),
        one((2, 3, 3), (3, 3), (0, 3, 3)),
        FLOATS,
        differentiable=(0,),
        ulps=64,
    ),
    Case(
        Stepped,
        lambda x: Stepped((1, 0), (2, 3))(x, T.constant(2), T.constant(3)),
        lambda x: np.ascontiguousarray(x[..., 1:4:2, 0:7:3]),
        one((2, 5, 7), (4, 8), (0, 4, 7)),
        ALL,
    ),
]
