"""Calls of ours beside what torch computes: convolutions, transposed ones, pooling, normalisation.

A :class:`Pair` is the same expression twice, with the shapes of its arguments. :func:`differences`
compiles many pairs as one function and compares values, gradients, and gradients of gradients.
torch correlates, so filters are not turned round here; that turning is what
:mod:`tests.conv_grid` checks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

torch: Any = pytest.importorskip("torch")
F = torch.nn.functional

Array = np.ndarray
Ints = tuple[int, ...]

EPSILON = {
    "float32": 3e-5,
    "float64": 1e-12,
}  # of the largest element, sums of 500 products
IMAGE = (9, 8, 7)
CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


@dataclass(frozen=True)
class Pair:
    """One expression, ours and torch's.

    Attributes
    ----------
    shapes
        Of the arguments, all of them floats.
    ours, theirs
        The expression of variables, and of tensors.
    ties
        Whether values are small integers, so that windows have several largest elements.
    deep
        Whether gradients of gradients are compared, too.
    """

    name: str
    shapes: Sequence[Ints]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    dtype: str = "float32"
    ties: bool = False
    deep: bool = True

    def draw(self, seed: int) -> list[Array]:
        """A value for each argument, one for the gradient of the result, and one more for each argument."""
        rng = np.random.default_rng(seed)
        shapes = [*self.shapes, self.shape(), *self.shapes]
        if self.ties:
            return [rng.integers(-2, 3, shape).astype(self.dtype) for shape in shapes]
        return [rng.normal(size=shape).astype(self.dtype) for shape in shapes]

    def shape(self) -> Ints:
        """That of torch's result."""
        return tuple(self.theirs(*map(torch.ones, self.shapes)).shape)


# --- convolutions ------------------------------------------------------------------------


def convolutions() -> Iterator[Pair]:
    """Kernels, steps, zeros, dilation and groups along one, two and three axes."""
    grid = itertools.product((1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 2), (1, 2), (1, 2, 4))
    for number, (rank, kernel, stride, pad, dilation, groups) in enumerate(grid):
        sizes = (kernel, *(2, 1)[: rank - 1])
        ours = (T.nnet.conv1d, T.nnet.conv2d, T.nnet.conv3d)[rank - 1]
        features = 8 if number % 2 else 4
        yield Pair(
            f"conv{rank}d kernel {kernel} stride {stride} pad {pad} dilation {dilation} groups {groups}",
            ((2, 4, *IMAGE[:rank]), (features, 4 // groups, *sizes)),
            lambda x, w, f=ours, s=stride, p=pad, d=dilation, g=groups: f(
                x, w, border_mode=p, subsample=s, filter_dilation=d, num_groups=g, filter_flip=False
            ),
            lambda x, w, f=CONVOLVE[rank], s=stride, p=pad, d=dilation, g=groups: f(
                x, w, stride=s, padding=p, dilation=d, groups=g
            ),
            ("float32", "float64")[number // 2 % 2],
        )  # fmt: skip


def transposed() -> Iterator[Pair]:
    """Transposed convolutions along two and three axes, with rows that no window ends at."""
    grid = itertools.product((2, 3), (1, 3), (1, 2, 3), (0, 1), (1, 2), (1, 2))
    for number, (rank, kernel, stride, pad, dilation, groups) in enumerate(grid):
        sizes = (kernel, *(2, 3)[: rank - 1])
        left = number % 2 if stride > 1 else 0
        image = IMAGE[3 - rank :]
        whole = tuple(
            (n - 1) * stride - 2 * pad + (k - 1) * dilation + 1 + left
            for n, k in zip(image, sizes, strict=True)
        )
        features = 2 * groups
        shape = (2, features, *whole)
        yield Pair(
            f"conv{rank}d_transpose kernel {kernel} stride {stride} pad {pad} dilation {dilation} "
            f"groups {groups} left {left}",
            ((2, 4, *image), (4, 2, *sizes)),
            lambda y, w, r=rank, o=shape, s=stride, p=pad, d=dilation, g=groups: _spread(
                r, y, w, o, s, p, d, g
            ),
            lambda y, w, r=rank, s=stride, p=pad, d=dilation, g=groups, o=left: TRANSPOSED[r](
                y, w, stride=s, padding=p, dilation=d, groups=g, output_padding=o
            ),
            ("float32", "float64")[number // 2 % 2],
        )  # fmt: skip


def _spread(
    rank: int, y: Any, w: Any, shape: Ints, stride: int, pad: int, gap: int, groups: int
) -> Any:
    if rank == 2:
        return T.nnet.conv2d_transpose(
            y, w, shape, border_mode=pad, input_dilation=stride, filter_flip=False,
            filter_dilation=gap, num_groups=groups,
        )  # fmt: skip
    return T.nnet.conv3d_grad_wrt_inputs(
        y, w, shape, border_mode=pad, subsample=(stride,) * 3, filter_flip=False,
        filter_dilation=(gap,) * 3, num_groups=groups,
    )  # fmt: skip


# --- pooling -----------------------------------------------------------------------------


def pools() -> Iterator[Pair]:
    """Largest elements, sums and means, with padding, overlaps, and windows that reach beyond."""
    grid = itertools.product(
        (2, 3), (2, 3), (1, 2, 3), (0, 1), (False, True), ("max", "inc", "exc", "sum")
    )
    for number, (rank, window, stride, pad, beyond, mode) in enumerate(grid):
        if beyond and pad:
            continue  # not defined by us
        if mode == "sum" and beyond:
            continue  # torch's division cannot be switched off there for some windows
        ours = (T.signal.pool.pool_2d, T.signal.pool.pool_3d)[rank - 2]
        name = {"inc": "average_inc_pad", "exc": "average_exc_pad"}.get(mode, mode)
        yield Pair(
            f"pool_{rank}d {name} window {window} stride {stride} pad {pad} beyond {beyond}",
            ((2, 3, *IMAGE[:rank]),),
            lambda x, f=ours, r=rank, w=window, s=stride, p=pad, b=beyond, m=name: f(
                x, (w,) * r, not b, (s,) * r, (p,) * r, m
            ),
            lambda x, r=rank, w=window, s=stride, p=pad, b=beyond, m=mode: _pooled(
                r, x, w, s, p, b, m
            ),
            ("float32", "float64")[number // 2 % 2],
            ties=number % 3 == 0,
        )


def _pooled(
    rank: int, x: Any, window: int, stride: int, pad: int, beyond: bool, mode: str
) -> Any:
    if mode == "max":
        pool = (F.max_pool2d, F.max_pool3d)[rank - 2]
        return pool(x, window, stride, pad, ceil_mode=beyond)
    pool = (F.avg_pool2d, F.avg_pool3d)[rank - 2]
    return pool(
        x, window, stride, pad, beyond, mode != "exc", 1 if mode == "sum" else None
    )


# --- normalisation, and the rest ---------------------------------------------------------


def others() -> Iterator[Pair]:
    """Batch and layer normalisation, patches, and two layers of a network with their bias."""
    for number, (shape, axes) in enumerate(
        [((7, 3), "per-activation"), ((4, 3, 5, 6), "spatial"), ((3, 2, 4, 3, 2), "spatial"), ((9, 4, 5), "spatial")]
    ):  # fmt: skip
        dtype = ("float32", "float64")[number % 2]
        n = shape[1]
        yield Pair(
            f"batch_normalization_train {shape}",
            (shape, (n,), (n,)),
            lambda x, a, b, axes=axes: T.nnet.batch_normalization_train(x, a, b, axes, 1e-3)[0],
            lambda x, a, b: F.batch_norm(x, None, None, a, b, True, 0.1, 1e-3),
            dtype,
        )  # fmt: skip
        yield Pair(
            f"batch_normalization_test {shape}",
            (shape, (n,), (n,), (n,), (n,)),
            lambda x, a, b, m, v, axes=axes: T.nnet.batch_normalization_test(x, a, b, m, v**2, axes, 0.1),
            # torch does not differentiate by the averages
            lambda x, a, b, m, v: _normalized(x, a, b, m, v**2, 0.1),
            dtype,
        )  # fmt: skip
        yield Pair(
            f"layer_normalization {shape}",
            (shape, shape[1:], shape[1:]),
            lambda x, a, b: T.nnet.layer_normalization(x, a, b, tuple(range(1, x.ndim))),
            lambda x, a, b: F.layer_norm(x, x.shape[1:], a, b),
            dtype,
        )  # fmt: skip
    for size, step in ((2, 2), (3, 3), (3, 1), (2, 3)):
        image = (2, 3, size + 2 * step, size + 3 * step)
        yield Pair(
            f"images2neibs {size} step {step}",
            (image,),
            lambda x, k=size, s=step: T.nnet.images2neibs(x, (k, k), (s, s)),
            lambda x, k=size, s=step: _patches(x, k, s),
        )
    yield Pair(
        "two layers",
        ((3, 1, 12, 12), (4, 1, 5, 5), (4,), (2, 4, 3, 3), (2,)),
        lambda x, w, b, v, c: _layer_of_ours(_layer_of_ours(x, w, b), v, c),
        lambda x, w, b, v, c: _layer_of_torch(_layer_of_torch(x, w, b), v, c),
        "float64",
    )


def _normalized(x: Any, a: Any, b: Any, m: Any, v: Any, epsilon: float) -> Any:
    rest = [1] * (x.ndim - 2)
    m, v, a, b = (t.reshape(1, -1, *rest) for t in (m, v, a, b))
    return (x - m) / torch.sqrt(v + epsilon) * a + b


def _patches(x: Any, size: int, step: int) -> Any:
    n, c, h, w = x.shape
    found = F.unfold(x.reshape(n * c, 1, h, w), size, stride=step)
    return found.transpose(1, 2).reshape(-1, size * size)


def _layer_of_ours(x: Any, w: Any, b: Any) -> Any:
    z = T.signal.pool.pool_2d(T.nnet.conv2d(x, w, filter_flip=False), (2, 2), True)
    return T.tanh(z + b.dimshuffle("x", 0, "x", "x"))


def _layer_of_torch(x: Any, w: Any, b: Any) -> Any:
    return torch.tanh(F.max_pool2d(F.conv2d(x, w), 2) + b.reshape(1, -1, 1, 1))


TABLES = {
    "convolutions": convolutions,
    "transposed": transposed,
    "pools": pools,
    "others": others,
}


# --- comparing ---------------------------------------------------------------------------


def wanted(pair: Pair, arrays: Sequence[Array]) -> list[Array]:
    """What torch says: the value, its gradients, and those of the gradients."""
    count = len(pair.shapes)
    given = [torch.tensor(a, dtype=torch.float64) for a in arrays]
    x = [t.requires_grad_() for t in given[:count]]
    result = pair.theirs(*x)
    total = (result * given[count]).sum()
    gradients = torch.autograd.grad(total, x, create_graph=pair.deep)
    found = [result, *gradients]
    if pair.deep:
        pairs = zip(gradients, given[count + 1 :], strict=True)
        again = sum((g * d).sum() for g, d in pairs)
        if again.requires_grad:
            deep = torch.autograd.grad(again, x, allow_unused=True)
        else:
            deep = [None] * count
        found += [torch.zeros_like(t) if g is None else g for g, t in zip(deep, x, strict=True)]  # fmt: skip
    return [t.detach().numpy() for t in found]


def graph_of(pair: Pair, number: int) -> tuple[list[Any], list[Any]]:
    """Arguments, and the same as `wanted` says; every other pair has sizes known beforehand."""
    count = len(pair.shapes)
    shapes = [*pair.shapes, pair.shape(), *pair.shapes]
    arguments = [
        T.tensor(pair.dtype, s if number % 2 else (None,) * len(s)) for s in shapes
    ]
    x = arguments[:count]
    result = pair.ours(*x)
    gradients = wb.grad((result * arguments[count]).sum(), x)
    found = [result, *gradients]
    if pair.deep:
        pairs = zip(gradients, arguments[count + 1 :], strict=True)
        again = sum((g * d).sum() for g, d in pairs)
        found += wb.grad(again, x, disconnected_inputs="ignore")
    return arguments, found


def differences(pairs: Sequence[Pair], mode: str) -> list[str]:
    """What is wrong with these pairs, compiled as one function."""
    arguments: list[Any] = []
    results: list[Any] = []
    arrays: list[Array] = []
    for number, pair in enumerate(pairs):
        given, found = graph_of(pair, number)
        arguments += given
        results += found
        arrays += pair.draw(number)
    function = wb.function(arguments, results, mode=mode, on_unused_input="ignore")
    values = iter(function(*arrays))
    wrong = []
    for number, pair in enumerate(pairs):
        for place, want in enumerate(wanted(pair, pair.draw(number))):
            got = next(values)
            if problem := difference(got, want, pair.dtype):
                wrong.append(f"{pair.name} {pair.dtype}: result {place}: {problem}")
    return wrong


def difference(got: Array, want: Array, dtype: str) -> str:
    """What is wrong with an array; nothing when it is right."""
    if got.dtype != dtype or got.shape != want.shape:
        return f"{got.dtype} {got.shape} instead of {dtype} {want.shape}"
    error = np.abs(got - want).max(initial=0.0)
    allowed = EPSILON[dtype] * max(1.0, np.abs(want).max(initial=0.0))
    return "" if error <= allowed else f"off by {error:.3g}, allowed are {allowed:.3g}"
