"""Rows for what combines elements along axes."""

from collections.abc import Callable
from typing import Any

import numpy as np

import workbench.tensor as T
from tests.cases.base import BOOL, REAL, Array, Case, one, spread
from workbench.core.graph import Variable
from workbench.core.op import Op
from workbench.core.ops import reduction

REDUCED = one((3, 4), (3, 1), (3, 0), (1, 5))
NONEMPTY = one((3, 4), (3, 1), (0, 4), (1, 5))
SPECIAL_TERMS = (0.0, -0.0, 1.0, -2.0, 1e300, float("inf"), float("-inf"), float("nan"))


def reduced(
    op: type[Op],
    build: Callable[..., Variable],
    reference: Callable[..., Array],
    **options: Any,
) -> list[Case]:
    """Rows for a reduction of the last axis and of all axes."""
    shapes = options.pop("shapes", REDUCED)
    whole = tuple(
        s for s in (*shapes, ((),), ((2, 2, 3),)) if np.prod(s[0]) or shapes is REDUCED
    )
    return [
        Case(
            op,
            lambda x: build(x, axis=1),
            lambda x: reference(x, axis=1),
            shapes,
            extremes=SPECIAL_TERMS,
            note="rows",
            **options,
        ),
        Case(op, build, reference, whole, note="all", **options),
    ]


def supremum(x: Variable, axis: int | None = None) -> Variable:
    return reduction.Supremum(reduction.normal_axes(axis, x.ndim))(x)


def infimum(x: Variable, axis: int | None = None) -> Variable:
    return reduction.Infimum(reduction.normal_axes(axis, x.ndim))(x)


def lowest(dtype: np.dtype, negative: bool = False) -> Any:
    """The first or last value in the order of a dtype."""
    if dtype.kind == "b":
        return negative
    if dtype.kind in "iu":
        return np.iinfo(dtype).max if negative else np.iinfo(dtype).min
    return np.inf if negative else -np.inf


REDUCTION = [
    *(
        Case(
            op,
            lambda x, build=build: build(x, axis=1),
            lambda x, last=last: np.full(len(x), lowest(x.dtype, last), x.dtype),
            one((3, 0), (0, 0)),
            BOOL + REAL,
            note="nothing",
        )
        for op, build, last in (
            (reduction.Supremum, supremum, False),
            (reduction.Infimum, infimum, True),
        )
    ),
    *reduced(reduction.Sum, T.sum, np.sum, differentiable=(0,), ulps=64),
    *reduced(reduction.Prod, T.prod, np.prod, differentiable=(0,), ulps=64),
    *reduced(
        reduction.Max,
        T.max,
        np.max,
        shapes=NONEMPTY,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(
        reduction.Min,
        T.min,
        np.min,
        shapes=NONEMPTY,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(
        reduction.Supremum,
        supremum,
        lambda x, axis=None: np.max(x, axis, initial=lowest(x.dtype)),
        shapes=NONEMPTY,
        dtypes=BOOL + REAL,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(
        reduction.Infimum,
        infimum,
        lambda x, axis=None: np.min(x, axis, initial=lowest(x.dtype, True)),
        shapes=NONEMPTY,
        dtypes=BOOL + REAL,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(reduction.All, T.all, np.all),
    *reduced(reduction.Any_, T.any, np.any),
    *reduced(reduction.ArgMax, T.argmax, np.argmax, shapes=NONEMPTY),
    *reduced(reduction.ArgMin, T.argmin, np.argmin, shapes=NONEMPTY),
    Case(
        reduction.Sum,
        lambda x: T.sum(x, axis=(0, 2), keepdims=True),
        lambda x: np.sum(x, (0, 2), keepdims=True),
        one((2, 3, 4), (2, 0, 1)),
        differentiable=(0,),
        ulps=64,
        note="keepdims",
    ),
    Case(
        reduction.Sum,
        lambda x: T.mean(x, axis=0),
        lambda x: np.mean(x, axis=0),
        one((3, 4), (1, 3), (5,)),
        differentiable=(0,),
        ulps=64,
        note="mean",
    ),
    Case(
        reduction.Sum,
        lambda x: T.var(x, axis=0, ddof=1),
        lambda x: np.var(x, axis=0, ddof=1),
        one((3, 4), (5,)),
        BOOL + REAL,
        differentiable=(0,),
        ulps=256,
        note="var",
    ),
]
