"""Convolutions of every kind, against loops over places and elements of filters.

A :class:`Cell` is one combination: axes, dtype, sizes of filters, zeros around, steps, dilation,
groups, flip. :func:`direct` says what a convolution and its adjoints are, in plain loops.
:func:`run_cells` compiles many cells as one function and compares results, gradients and
gradients of gradients; :class:`Kernels` calls the C kernels alone, with the sizes of any cell,
so that one compilation serves them all.

``python -m tests.conv_grid FAST_RUN 1`` runs every cell, ``7`` every seventh.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.blas import find_blas
from workbench.compile.c.headers import HEADERS, headers_digest
from workbench.compile.c.toolchain import build
from workbench.core.graph import Variable
from workbench.core.ops.convolution import Conv
from workbench.core.types import TensorType

Array = np.ndarray

TOGETHER = 24  # cells compiled as one function
EPSILON = {
    "float32": 2e-5,
    "float64": 1e-13,
}  # of the largest element: sums of at most 500 products
IMAGE = (6, 7, 5)
CHOICES: dict[str, tuple[Any, ...]] = {
    "rank": (1, 2, 3),
    "dtype": ("float32", "float64"),
    "filter": ((3, 2, 2), (1, 1, 1), (2, 3, 1)),
    "border": ("valid", "full", "half", 1, (2, 1, 0), ((0, 1), (2, 0), (1, 1))),
    "stride": (1, 2, (2, 3, 1)),
    "dilation": (1, 2),
    "groups": (1, 2, 4),
    "flip": (True, False),
}
ALTERNATELY: dict[str, tuple[Any, ...]] = {  # each value in every so many cells
    "batch": (2, 1, 3, 0, 2),
    "known": (True, False),
    "layout": ("rows", "turned", "stretched"),
}


@dataclass(frozen=True)
class Cell:
    """One combination of the grid."""

    rank: int
    dtype: str
    filter: tuple[int, ...]
    border: Any
    stride: Any
    dilation: int
    groups: int
    flip: bool
    batch: int
    known: bool
    layout: str

    @property
    def op(self) -> Conv:
        """The operation, by way of the function that users call."""
        x, w = (T.tensor("float64", (None,) * (2 + self.rank)) for _ in range(2))
        node = self.build(x, w).owner
        assert node is not None and isinstance(node.op, Conv)
        return node.op

    def build(self, x: Variable, w: Variable) -> Variable:
        """The convolution of two variables."""
        function = (T.nnet.conv1d, T.nnet.conv2d, T.nnet.conv3d)[self.rank - 1]
        return function(
            x,
            w,
            border_mode=self.each(self.border),
            subsample=self.each(self.stride),
            filter_dilation=self.dilation,
            num_groups=self.groups,
            filter_flip=self.flip,
        )

    def each(self, value: Any) -> Any:
        """A parameter cut to the number of axes."""
        return value[: self.rank] if isinstance(value, tuple) else value

    @property
    def steps(self) -> tuple[int, ...]:
        """The step along each axis."""
        return self.each(self.stride if isinstance(self.stride, tuple) else (self.stride,) * 3)  # fmt: skip

    @property
    def kernel(self) -> tuple[int, ...]:
        """The sizes of a filter."""
        return self.filter[: self.rank]

    @property
    def zeros(self) -> list[tuple[int, int]]:
        """The zeros before and after each axis, from the definition."""
        found = []
        for axis, size in enumerate(self.kernel):
            reach = (size - 1) * self.dilation + 1
            entry = self.each(self.border)
            entry = entry[axis] if isinstance(entry, tuple) else entry
            by_name = {"valid": 0, "full": reach - 1, "half": reach // 2}
            number = by_name.get(entry, entry) if not isinstance(entry, tuple) else 0
            found.append(entry if isinstance(entry, tuple) else (number, number))
        return found

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Those of images, filters and results."""
        image = IMAGE[: self.rank]
        places = [
            len(range(0, n + a + b - (k - 1) * self.dilation, s))
            for n, (a, b), k, s in zip(
                image, self.zeros, self.kernel, self.steps, strict=True
            )
        ]
        channels, features = 4, 8 if self.batch == 3 else 4
        return (
            (self.batch, channels, *image),
            (features, channels // self.groups, *self.kernel),
            (self.batch, features, *places),
        )


def cells(every: int = 1) -> list[Cell]:
    """All cells, or every so many of them; the other choices take turns."""
    found = []
    for number, values in enumerate(itertools.product(*CHOICES.values())):
        turns = (v[number % len(v)] for v in ALTERNATELY.values())
        found.append(Cell(*values, *turns))
    return found[::every]


def direct(cell: Cell, x: Array, w: Array, y: Array) -> tuple[Array, Array, Array]:
    """The results for x and w, the images for y and w, and the filters for x and y: by loops."""
    results, images, filters = np.zeros_like(y), np.zeros_like(x), np.zeros_like(w)
    many, each = w.shape[0] // cell.groups, w.shape[1]
    for place in np.ndindex(*y.shape[2:]):
        for element in np.ndindex(*cell.kernel):
            at = [
                p * s + ((k - 1 - e) if cell.flip else e) * cell.dilation - zeros
                for p, s, e, k, (zeros, _) in zip(
                    place, cell.steps, element, cell.kernel, cell.zeros, strict=True
                )
            ]
            if any(not 0 <= i < n for i, n in zip(at, x.shape[2:], strict=True)):
                continue
            for group in range(cell.groups):
                c = slice(group * each, (group + 1) * each)
                o = slice(group * many, (group + 1) * many)
                pixel, weight = (slice(None), c, *at), (o, slice(None), *element)
                value = (slice(None), o, *place)
                results[value] += x[pixel] @ w[weight].T
                images[pixel] += y[value] @ w[weight]
                filters[weight] += y[value].T @ x[pixel]
    return results, images, filters


# --- cells as functions ------------------------------------------------------------------


def draw(cell: Cell, seed: int) -> list[Array]:
    """Images, filters, and what stands for results; then one more of the first two."""
    rng = np.random.default_rng(seed)
    x, w, y = cell.shapes()
    return [np.asarray(rng.normal(size=shape), cell.dtype) for shape in (x, w, y, x, w)]


def graph_of(
    cell: Cell, arrays: Sequence[Array], deep: bool
) -> tuple[list[Variable], list[Variable]]:
    """Arguments, and the convolution, its gradients, and those of the gradients."""
    arguments = [
        Variable(
            TensorType(cell.dtype, a.shape if cell.known else (None,) * a.ndim), name
        )
        for a, name in zip(arrays, ["x", "w", "y", "dx", "dw"], strict=True)
    ]
    x, w, y, dx, dw = arguments
    # The same elements by other ways through memory: kernels are handed strides.
    turned = [1, 0, *range(2 + cell.rank)[:1:-1]]
    if cell.layout == "turned":
        x, w, y = (v.dimshuffle(turned).copy().dimshuffle(turned) for v in (x, w, y))
    if cell.layout == "stretched":
        zeros = T.zeros_like(w[:, :, :1])
        w = T.concatenate([zeros, w, zeros], 2)[:, :, 1 : 1 + cell.kernel[0]]
    result = cell.build(x, w)
    gradients = wb.grad((result * y).sum(), [x, w])
    found = [result, *gradients]
    if deep:
        total = (gradients[0] * dx).sum() + (gradients[1] * dw).sum()
        found += wb.grad(total, [x, w, y])
    return arguments, found


def expected(cell: Cell, arrays: Sequence[Array], deep: bool) -> list[Array]:
    """The same by loops, in double."""
    x, w, y, dx, dw = (np.asarray(a, "float64") for a in arrays)
    found = list(direct(cell, x, w, y))
    if deep:
        by_x, by_w = direct(cell, dx, w, y), direct(cell, x, dw, y)
        found += [by_w[1], by_x[2], by_x[0] + by_w[0]]
    return found


def run_cells(chosen: Sequence[Cell], mode: str, deep: bool = True) -> list[str]:
    """What is wrong with these cells, compiled as one function."""
    arguments, results, arrays, wanted = [], [], [], []
    for seed, cell in enumerate(chosen):
        drawn = draw(cell, seed)
        given, found = graph_of(cell, drawn, deep)
        arguments += given
        results += found
        arrays += drawn
        wanted.append(expected(cell, drawn, deep))
    function = wb.function(arguments, results, mode=mode, on_unused_input="ignore")
    values = iter(function(*arrays))
    wrong = []
    for cell, want in zip(chosen, wanted, strict=True):
        names = ("result", "by x", "by w", "deep by x", "deep by w", "deep by y")
        for name, expect in zip(names, want, strict=False):
            if problem := difference(next(values), expect, cell.dtype):
                wrong.append(f"{cell}: {name}: {problem}")
    return wrong


def difference(got: Array, want: Array, dtype: str) -> str:
    """What is wrong with an array; nothing when it is right."""
    if got.dtype != dtype or got.shape != want.shape:
        return f"{got.dtype} {got.shape} instead of {dtype} {want.shape}"
    if not want.size:
        return ""
    error = np.abs(got - want).max()
    allowed = EPSILON[dtype] * max(1.0, np.abs(want).max())
    return "" if error <= allowed else f"off by {error:.3g}, allowed are {allowed:.3g}"


# --- cells as calls of the kernels -------------------------------------------------------

SOURCE = """/* headers {headers} */
#define WB_BLAS_INT {integers}
#define WB_BLAS_THREADS 1
#define WB_WORTH 400
#include <stdlib.h>
#include "prelude.h"
#define WB_TILE_FULL 0  /* Everything that can go through tiles does. */
#define WB_TILE_LEAST 1
#define WB_BITS 32
#include "conv.h"
#include "planes.h"
#include "tiles.h"
#include "direct.h"
#undef WB_BITS
#define WB_BITS 64
#include "conv.h"
#include "planes.h"
#include "tiles.h"
#include "direct.h"
const int64_t wb_abi = WB_ABI;
int wb_run(wb_call *call, int64_t first, int64_t last) {{ return 0; }}
void wb_bind(void *const *blas) {{ wb_blas = blas; }}

/* Ranges from the last to the first, as if three threads had taken them in turn. */
static int backwards(wb_call *call, wb_part *part, int64_t size, int64_t grain) {{
  for (int64_t begin = (size - 1) / grain * grain; begin >= 0; begin -= grain) {{
    wb_call own = *call;
    own.thread = begin / grain % 3;
    const int rc = part(&own, begin, begin + grain < size ? begin + grain : size);
    if (rc) return rc;
  }}
  return WB_OK;
}}

#define RUN(name, T)                                                                              \\
  int run_##name(const wb_conv *v, const T *a, const T *b, T *out, int shared) {{                 \\
    wb_call call = {{.threads = shared ? 3 : 1, .split = shared ? backwards : NULL}};             \\
    const int64_t bytes = wb_##name(&call, v, a, b, out, NULL);                                     \\
    char *const memory = malloc(bytes + 64);                                                      \\
    memset(memory, 255, bytes + 64);                                                              \\
    const int rc = (int)wb_##name(&call, v, a, b, out, memory);                                     \\
    int beyond = 0;                                                                               \\
    for (int k = 0; k < 64; ++k) beyond |= memory[bytes + k] != (char)255;                        \\
    free(memory);                                                                                 \\
    return rc ? rc : beyond ? -1 : 0;                                                             \\
  }}
#define RUN_ALL(way)                                                                              \\
  RUN(way##_results_float32, float) RUN(way##_images_float32, float) RUN(way##_weights_float32, float) \\
  RUN(way##_results_float64, double) RUN(way##_images_float64, double) RUN(way##_weights_float64, double)
RUN_ALL(conv) RUN_ALL(direct) RUN_ALL(tiled)
"""


WAYS = ("conv", "direct", "tiled")
"""Headers with kernels for the same; the last two leave to the first what they cannot do."""


class Sizes(ctypes.Structure):
    """``wb_conv`` of ``conv.h``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("batch", "channels", "features", "groups")),
        *((name, ctypes.c_int64 * 3) for name in ("image", "filter", "place", "pad", "stride", "gap")),
        ("flip", ctypes.c_int64),
        *((name, ctypes.c_int64 * 5) for name in "xwy"),
    ]  # fmt: skip


class Kernels:
    """The kernels of ``conv.h`` on their own."""

    def __init__(self) -> None:
        blas = find_blas()
        bits = 32 if blas is None else blas.integer_bits
        integers = "int64_t" if bits == 64 else "int"
        source = SOURCE.format(integers=integers, headers=headers_digest())
        self.module = build(source, "kernels", include=[HEADERS])
        if blas is not None:
            blas.bind(self.module)

    def sizes(self, cell: Cell, *arrays: Array) -> Sizes:
        """The structure for a cell, and for x, w and y as they lie in memory."""
        x, w, y = arrays
        front = 3 - cell.rank
        three = (ctypes.c_int64 * 3,)[0]

        def last(values: Sequence[int], other: int) -> Any:
            return three(*(other,) * front, *values)

        def strides(a: Array) -> Any:
            steps = [s // a.itemsize for s in a.strides]
            return (ctypes.c_int64 * 5)(*steps[:2], *(0,) * front, *steps[2:])

        return Sizes(
            x.shape[0], x.shape[1], y.shape[1], cell.groups, last(x.shape[2:], 1),
            last(w.shape[2:], 1), last(y.shape[2:], 1), last([a for a, _ in cell.zeros], 0),
            last(cell.steps, 1), last([cell.dilation] * cell.rank, 1), cell.flip,
            strides(x), strides(w), strides(y),
        )  # fmt: skip

    def run(
        self, way: str, name: str, cell: Cell, arrays: Sequence[Array], shared: bool
    ) -> Array:
        """What a kernel makes of two of x, w and y; `arrays` are all three."""
        place = {"results": 2, "images": 0, "weights": 1}[name]
        out = np.full(arrays[place].shape, np.nan, cell.dtype)
        three = [out if k == place else a for k, a in enumerate(arrays)]
        sizes = self.sizes(cell, *three)
        given = {"results": (0, 1), "images": (2, 1), "weights": (0, 2)}[name]
        pointers = [ctypes.c_void_p(three[k].ctypes.data) for k in (*given, place)]
        address = self.module.address(f"run_{way}_{name}_{cell.dtype}")
        kernel = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4, ctypes.c_int)
        code = kernel(address)(ctypes.addressof(sizes), *pointers, shared)
        assert code == 0, f"{cell}: {name} returned {code}"
        return out

    def wrong(self, cell: Cell, seed: int) -> list[str]:
        """What is wrong with the kernels for a cell, on one thread and on three."""
        arrays = [laid_out(a, cell.layout) for a in draw(cell, seed)[:3]]
        found = []
        want = direct(cell, *(np.asarray(a, "float64") for a in arrays))
        each = zip(("results", "images", "weights"), want, strict=True)
        for (name, expect), way in itertools.product(each, WAYS):
            got = self.run(way, name, cell, arrays, shared=False)
            if problem := difference(got, expect, cell.dtype):
                found.append(f"{cell}: {way} {name}: {problem}")
            again = self.run(way, name, cell, arrays, shared=True)
            if not np.array_equal(got, again):
                found.append(f"{cell}: {way} {name} depends on the number of threads")
        return found


def laid_out(a: Array, layout: str) -> Array:
    """The same elements in another order in memory, or with gaps between them."""
    if layout == "turned":
        return np.asfortranarray(a)
    if layout == "stretched":
        wide = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
        wide[tuple(slice(None, None, 2) for _ in a.shape)] = a
        return wide[tuple(slice(None, None, 2) for _ in a.shape)]
    return a


if __name__ == "__main__":
    started, chosen = time.perf_counter(), cells(int(sys.argv[2]))
    problems: list[str] = []
    if sys.argv[1] == "kernels":
        kernels = Kernels()
        for number, cell in enumerate(chosen):
            problems += kernels.wrong(cell, number)
    else:
        for first in range(0, len(chosen), TOGETHER):
            problems += run_cells(chosen[first : first + TOGETHER], sys.argv[1])
    print("\n".join(problems[:20]))
    seconds = time.perf_counter() - started
    print(f"{len(chosen)} cells, {len(problems)} wrong, {seconds:.1f} s")
