"""Rows for what moves, counts and repeats elements."""

import numpy as np

import workbench.tensor as T
from tests.cases.base import NUMBERS, REAL, Case, Places, Values, one
from workbench.core.ops import checks, rearrange, shape, ufunc

SHAPE = [
    Case(
        ufunc.DimShuffle,
        lambda x: x.dimshuffle(1, "x", 0),
        lambda x: x.T[:, None],
        one((3, 4), (0, 2), (1, 3)),
        differentiable=(0,),
    ),
    Case(
        ufunc.DimShuffle,
        lambda x: x.dimshuffle(1),
        lambda x: x[0],
        one((1, 4), (1, 0)),
        differentiable=(0,),
        note="drop",
    ),
    Case(
        shape.SizeOf,
        lambda x: shape.SizeOf(1)(x),
        lambda x: np.int64(x.shape[1]),
        one((3, 4), (0, 2), (5, 0)),
    ),
    Case(
        shape.MakeVector,
        shape.MakeVector(),
        lambda *x: np.array(x),
        (((), ()), ((),), ((), (), ())),
        differentiable=(0,),
    ),
    Case(
        shape.Shape,
        T.shape,
        lambda x: np.array(x.shape, "int64"),
        one((3, 4), (), (0, 1, 2)),
    ),
    Case(
        shape.Reshape,
        lambda x: x.reshape((2, -1)),
        lambda x: x.reshape((2, -1)),
        one((3, 4), (0,), (2,), (1, 6)),
        differentiable=(0,),
    ),
    Case(
        shape.Reshape,
        lambda x, n: T.reshape(x, (n, 2, 1)),
        lambda x, n: x.reshape((int(n), 2, 1)),
        (((2, 3), ()), ((6,), ())),
        makers=(Values(), Places(3, 4)),
        differentiable=(0,),
        note="symbolic",
    ),
    Case(
        shape.BroadcastTo,
        lambda x, n: T.broadcast_to(x, (n, 3, 4)),
        lambda x, n: np.broadcast_to(x, (int(n), 3, 4)),
        (((1, 4), ()), ((), ()), ((3, 1), ()), ((3, 4), ())),
        makers=(Values(), Places(0, 3)),
        differentiable=(0,),
    ),
    Case(
        shape.SpecifyShape,
        lambda x: T.specify_shape(x, (None, 4)),
        lambda x: x,
        one((3, 4), (0, 4), (1, 4)),
        differentiable=(0,),
    ),
    Case(
        shape.SpecifyShape,
        lambda x: (
            T.addbroadcast(T.specify_shape(x, (1, 4)), 0) + T.ones((3, 1), x.dtype)
        ),
        lambda x: x + np.ones((3, 1), x.dtype),
        one((1, 4)),
        NUMBERS,
        differentiable=(0,),
        note="broadcast",
    ),
    Case(
        rearrange.Unbroadcast,
        lambda x: T.unbroadcast(x, 0),
        lambda x: x,
        one((1, 4), (1, 1)),
        differentiable=(0,),
    ),
    Case(
        rearrange.RepeatedPlaces,
        T.repeat,
        np.repeat,
        (((3,), (3,)), ((0,), (0,))),
        makers=(Values(), Places(0, 4)),
        differentiable=(0,),
    ),
    *(
        Case(
            op,
            lambda x, op=op: op("not large")(x, abs(x) < 100),
            lambda x: x,
            one((3, 4), (), (0, 2)),
            REAL,
            differentiable=(0,),
        )
        for op in (checks.Assert, checks.AssertPlace, checks.AssertValue)
    ),
]
