"""Rows for creation and networks."""

import numpy as np
from scipy import special

import workbench.tensor as T
from tests.cases.base import ALL, FLOATS, Case, Places, Values, flags, one
from workbench.core.ops import control, creation, nnet

OTHERS = [
    Case(
        control.IfElse,
        control.ifelse,
        np.where,
        (((), (3, 4), (3, 4)), ((), (0,), (0,)), ((), (), ())),
        ALL,
        (flags, Values(), Values()),
        (1, 2),
    ),
    Case(
        control.Fitted,
        lambda x, n: control.Fitted()(x, n, T.constant(-1)),
        lambda x, n: x,
        (((3, 4), ()), ((3, 0), ())),
        makers=(Values(), Places(3, 4)),
        differentiable=(0,),
    ),
    Case(
        creation.ARange,
        T.arange,
        lambda i, j, k: np.arange(int(i), int(j), int(k)),
        (((), (), ()),),
        ("int64",),
        (Places(-5, 5), Places(-5, 9), Places(1, 4)),
    ),
    Case(
        creation.ARange,
        T.arange,
        lambda i, j, k: np.arange(int(i), int(j), int(k)),
        (((), (), ()),),
        ("int64",),
        (Places(-5, 9), Places(-5, 5), Places(-3, 0)),
        note="backwards",
    ),
    Case(
        nnet.LogSumExp,
        lambda x: T.nnet.logsumexp(x, axis=1),
        lambda x: np.asarray(special.logsumexp(x, axis=1), x.dtype),
        one((3, 4), (2, 1), (0, 3), (2, 3, 2)),
        FLOATS,
        differentiable=(0,),
        ulps=64,
        extremes=(0.0, -1.0, 1e4, -1e4, float("inf"), float("-inf"), float("nan")),
    ),
    *(
        Case(
            op,
            lambda x, f=build: f(x, axis=-1),
            lambda x, f=reference: f(x, axis=-1),
            one((3, 4), (5,), (2, 1), (0, 3), (2, 3, 2)),
            FLOATS,
            differentiable=(0,),
            ulps=64,
            extremes=(0.0, -1.0, 1e4, -1e4, float("-inf"), float("nan")),
        )
        for op, build, reference in (
            (nnet.Softmax, T.nnet.softmax, special.softmax),
            (nnet.LogSoftmax, T.nnet.logsoftmax, special.log_softmax),
        )
    ),
    Case(
        nnet.Softmax,
        lambda x: T.nnet.softmax(x, axis=0),
        lambda x: special.softmax(x, axis=0),
        one((3, 4), (1, 3), (2, 0)),
        FLOATS,
        differentiable=(0,),
        ulps=64,
        note="columns",
    ),
]
