"""Rows for identities that change a gradient."""

import numpy as np

import workbench.tensor as T
from tests.cases.base import ALL, COMPLEXES, FLOATS, REAL, UNARY, Case
from workbench.core.ops import barriers


def barrier(op, build, dtypes=ALL, **options):
    return Case(op, build, np.array, UNARY, dtypes, ulps=0, **options)


# Differences do not see what these do to a gradient: tests/core/test_barriers.py does.
BARRIERS = [
    barrier(barriers.DisconnectedGrad, T.disconnected_grad),
    barrier(barriers.ZeroGrad, T.zero_grad),
    barrier(barriers.UndefinedGrad, T.undefined_grad),
    barrier(
        barriers.GradClip,
        lambda x: T.grad_clip(x, -9, 9),
        REAL,
        differentiable=(0,),
    ),
    barrier(
        barriers.GradScale,
        lambda x: T.grad_scale(x, 1),
        differentiable=(0,),
    ),
    Case(
        barriers.Undefined,
        barriers.Undefined("no reason"),
        lambda x: np.full_like(x, np.nan),
        UNARY,
        (*FLOATS, *COMPLEXES),
    ),
]
