"""Rows for normalisation."""

import numpy as np

from tests.cases.base import FLOATS, Array, Case, one
from workbench.core.ops.normalization import Normalized

EPSILON = 1e-2
SHAPES = one((3, 4), (2, 3, 2), (1, 4), (4, 1))


def normalized(x: Array, part: int) -> Array:
    """The elements, their mean, or their variance, along the first axis."""
    wide = x.astype("longdouble")
    with np.errstate(all="ignore"):
        mean = wide.sum(axis=0, keepdims=True) / np.longdouble(len(x))
        variance = ((wide - mean) ** 2).sum(axis=0, keepdims=True) / np.longdouble(
            len(x)
        )
        scaled = (wide - mean) / np.sqrt(variance + EPSILON)
    return np.asarray((scaled, mean, variance)[part]).astype(x.dtype)


NORMALIZATION = [
    Case(
        Normalized,
        lambda x, k=part: Normalized((0,), EPSILON).apply(x).outputs[k],
        lambda x, k=part: normalized(x, k),
        SHAPES,
        FLOATS,
        differentiable=(0,),
        ulps=256,
        note=note,
    )
    for part, note in enumerate(("elements", "mean", "variance"))
]
