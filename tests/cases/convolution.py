"""Rows for convolutions; the grid of :mod:`tests.conv_grid` has many more."""

import numpy as np

import workbench.tensor as T
from tests.cases.base import COMPLEXES, FLOATS, Case
from workbench.core.ops.convolution import Conv, ConvFilters, ConvInputs

nnet = T.nnet


def places(n, k):
    """Where a filter of `k` elements meets `n`, moving by one."""
    return range(n - k + 1)


def convolve(x, w):
    """True convolution, place by place."""
    rows, columns = (
        places(n, k) for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    )
    out = np.zeros((len(x), len(w), len(rows), len(columns)), x.dtype)
    for i in rows:
        for j in columns:
            seen = x[:, :, i : i + w.shape[2], j : j + w.shape[3]]
            out[:, :, i, j] = np.einsum("ncab,ocab->no", seen, w[:, :, ::-1, ::-1])
    return out


def spread(y, w, shape):
    """Every result times the filter, where the filter was."""
    out = np.zeros((len(y), w.shape[1], *shape), y.dtype)
    for i, j in np.ndindex(*y.shape[2:]):
        part = np.einsum("no,ocab->ncab", y[:, :, i, j], w[:, :, ::-1, ::-1])
        out[:, :, i : i + w.shape[2], j : j + w.shape[3]] += part
    return out


def gather(x, y, shape):
    """Every result times what the filter met."""
    out = np.zeros((y.shape[1], x.shape[1], *shape), x.dtype)
    for i, j in np.ndindex(*y.shape[2:]):
        seen = x[:, :, i : i + shape[0], j : j + shape[1]]
        out += np.einsum("ncab,no->ocab", seen, y[:, :, i, j])[:, :, ::-1, ::-1]
    return out


DTYPES = (*FLOATS, *COMPLEXES)

CONVOLUTION: list[Case] = [
    Case(
        Conv,
        nnet.conv2d,
        convolve,
        (((2, 3, 5, 4), (2, 3, 3, 2)), ((1, 1, 2, 2), (1, 1, 1, 1)), ((0, 2, 3, 3), (2, 2, 2, 2))),
        DTYPES,
        differentiable=(0, 1),
        ulps=256,
    ),
    Case(
        ConvInputs,
        lambda y, w: nnet.conv2d_grad_wrt_inputs(y, w, (None, None, 5, 4)),
        lambda y, w: spread(y, w, (5, 4)),
        (((2, 2, 3, 3), (2, 3, 3, 2)), ((0, 2, 3, 3), (2, 3, 3, 2))),
        DTYPES,
        differentiable=(0, 1),
        ulps=256,
    ),
    Case(
        ConvFilters,
        lambda x, y: nnet.conv2d_grad_wrt_weights(x, y, (None, None, 3, 2)),
        lambda x, y: gather(x, y, (3, 2)),
        (((2, 3, 5, 4), (2, 2, 3, 3)), ((0, 3, 5, 4), (0, 2, 3, 3))),
        DTYPES,
        differentiable=(0, 1),
        ulps=256,
    ),
]  # fmt: skip
