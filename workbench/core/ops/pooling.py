"""Pooling: the largest element, the sum or the mean of what a moving window sees.

The gradient of a maximum goes to the first of the largest elements of a window, as in torch
and JAX. Which that is, the :class:`PoolPlaces`, is found once and serves derivatives of every
order: with the places held fast, taking elements at them and putting elements there are linear and each
other's adjoint. Sums and means are linear already, with :class:`PoolSpread` for an adjoint. ::

    max:  y = Pool(x)     dx = PoolPut(dy, PoolPlaces(x))     ddy = PoolTake(ddx, PoolPlaces(x))
    sum:  y = Pool(x)     dx = PoolSpread(dy)                 ddy = Pool(ddx)

In compiled functions windows that lie within their axes become elementwise operations
(:mod:`workbench.compile.rules.pooling`): value, place, and what is done with them, as a bias and
a tanh, are then one loop. The others have C text of their own.

Read next: :mod:`workbench.core.ops.pools`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.graph import Apply, Variable
from workbench.core.op import Size, Sizes
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.ops.window_loops import (
    NO_TEXT,
    STRETCH,
    begin_text,
    covered_text,
    first_text,
    iterations_text,
    lowest_text,
    number_text,
    place_text,
    window_text,
)
from workbench.core.ops.windows import (
    FromWindows,
    Geometry,
    ToWindows,
    Windowed,
    window_count,
)
from workbench.core.types import Array

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def flat_windows(geometry: Geometry, x: Array, fill: Any) -> Array:
    """What every window sees, in one axis: [..., *counts, elements]."""
    seen = geometry.windows(x, fill)
    rank = len(geometry.ws)
    return seen.reshape(*seen.shape[: seen.ndim - rank], int(np.prod(geometry.ws)))


def lowest(dtype: np.dtype[Any]) -> Any:
    """What every other value takes the place of."""
    if dtype.kind == "b":
        return False
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


@dataclass(frozen=True)
class Pool(ToWindows):
    """The largest element, the sum or the mean of each window.

    Where a window sees nothing, which takes an axis of size 0, the maximum is the lowest value of the
    dtype, the sum 0. ``average_exc_pad`` divides by the number of elements seen,
    ``average_inc_pad`` by the number of places in the axes and their padding.
    """

    mode: str = "max"
    name = "pool"

    def dtype_of(self, dtype: str) -> str:
        """That of the elements; sums are those of ``np.sum``."""
        if self.mode == "sum":
            return np.add.reduce(np.zeros(1, dtype)).dtype.name
        return dtype

    def reference(self, *inputs: Array) -> Array:
        """Over what each window sees."""
        x, geometry = inputs[0], self.geometry(inputs)
        if self.mode == "max":
            start = lowest(x.dtype)
            seen = flat_windows(geometry, x, start)
            return np.asarray(seen.max(axis=-1, initial=start))
        wide = "float64" if x.dtype.kind == "f" else self.dtype_of(x.dtype.name)
        with np.errstate(all="ignore"):
            total = flat_windows(geometry, x, 0).sum(axis=-1, dtype=wide)
            if self.mode == "sum":
                return np.asarray(total, self.dtype_of(x.dtype.name))
            sizes = x.shape[x.ndim - self.rank :]
            seen = geometry.seen(sizes, self.mode == "average_inc_pad")
            return np.asarray(total / seen, x.dtype)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g at the places of the largest elements, or spread over the windows."""
        assert g is not None
        x, settings = node.inputs[0], self.settings(node)
        sizes = [size_variable(s) for s in sizes_of(x)[x.ndim - self.rank :]]
        if self.mode == "max":
            put = PoolPut(self.rank, self.ignore_border)
            made = put(g, self.places(node), *settings, *sizes)
        else:
            spread = PoolSpread(self.rank, self.ignore_border, self.mode)
            made = spread(g, *settings, *sizes)
        return [made, *self.nothing(node)]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The same of the change; of a maximum the change at its place."""
        t = tangents[0]
        if t is None or self.mode != "max":
            return super().jvp(node, tangents)
        take = PoolTake(self.rank, self.ignore_border)
        return [take(t, self.places(node), *self.settings(node))]

    def places(self, node: Apply) -> Variable:
        """Where in each window the largest element stands."""
        return PoolPlaces(self.rank, self.ignore_border)(*node.inputs)

    def c_code(self, node: Apply) -> str:
        """What is seen is gathered for a stretch of windows."""
        x, y = node.inputs[0], node.outputs[0]
        if x.dtype in NO_TEXT:
            return ""
        if self.mode == "max":
            # NaN is noted apart: a maximum that minds it takes branches, which random elements mislead.
            held, before = (
                f"out_t best[{STRETCH}];",
                f"best[q] = {lowest_text(x.dtype)};",
            )
            element = "const in0_t v = whole[$AT]; best[q] = v > best[q] ? v : best[q];"
            result = "best[q]"
            if x.type.is_float:
                held += f" out_t spoilt[{STRETCH}];"
                before += " spoilt[q] = 0;"
                element += " spoilt[q] = v != v ? 1 : spoilt[q];"
                result = "spoilt[q] != 0 ? (out_t)NAN : best[q]"
        else:
            wide = "double" if y.type.is_float else "out_t"
            held = f"{wide} total[{STRETCH}];\n{self.covered()}"
            before, element = "total[q] = 0;", "total[q] += whole[$AT];"
            result = f"(out_t)(total[q]{self.number()})"
        return window_text(
            node,
            self.settings(node),
            whole="in0",
            small="out",
            held=held,
            before=before,
            element=element,
            after=f"small[$TO] = {result};",
        )

    def c_iterations(self, node: Apply) -> tuple[str, str]:
        """One for each set of leading indices."""
        return iterations_text(node, self.rank, "out", 3, self.settings(node))

    def covered(self) -> str:
        """C text that declares what :meth:`number` needs."""
        if self.mode == "sum":
            return ""
        return covered_text(self.rank, self.mode == "average_inc_pad")

    def number(self) -> str:
        """What a sum is divided by, as C text; nothing for a sum."""
        if self.mode == "sum":
            return ""
        return f" / ({number_text(self.rank, self.mode == 'average_inc_pad')})"

    @staticmethod
    def out_shape(
        imgshape: Sequence[Any],
        ws: Any = None,
        ignore_border: bool = False,
        stride: Any = None,
        pad: Any = None,
        ndim: int = 2,
    ) -> list[Size]:
        """The shape of what pooling makes of an array of shape `imgshape`, a list of sizes.

        Parameters
        ----------
        imgshape
            Sizes, numbers or scalar integer variables; windows move over the last `ndim`.
        ws, stride, pad
            One number an axis; by default `stride` is `ws`, and `pad` 0.
        """
        stride, pad = stride or ws, pad or (0,) * ndim
        lead = len(imgshape) - ndim
        rows = zip(imgshape[lead:], ws, stride, pad, strict=True)
        return [
            *imgshape[:lead],
            *(window_count(*row, ignore_border) for row in rows),
        ]


@dataclass(frozen=True)
class PoolPlaces(ToWindows):
    """Where in each window its largest element stands: the first of equals, or the first NaN, int32.

    Elements of a window are counted in row-major order, those outside the array too; but
    none of these is ever the place, unless a window sees nothing, and then it is 0.
    """

    name = "pool_places"

    def dtype_of(self, dtype: str) -> str:
        """int32."""
        return "int32"

    def reference(self, *inputs: Array) -> Array:
        """The first element seen that is as large as the largest."""
        x, geometry = inputs[0], self.geometry(inputs)
        start = lowest(x.dtype)
        seen = flat_windows(geometry, x, start)
        inside = flat_windows(geometry, np.ones(x.shape, bool), False)
        best = seen.max(axis=-1, keepdims=True, initial=start)
        found = (seen == best) | ((seen != seen) & (best != best))
        return np.asarray((found & inside).argmax(axis=-1), "int32")

    def connection(self, node: Apply) -> Sequence[bool]:
        """None: a place does not change smoothly."""
        return [False] * len(node.inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None] * len(node.inputs)

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """None."""
        return [None]

    def c_code(self, node: Apply) -> str:
        """The largest so far of each window of a stretch, and its place."""
        x = node.inputs[0]
        if x.dtype in NO_TEXT:
            return ""
        # Choices written as bits have no branches, which random elements would mislead.
        held = f"in0_t best[{STRETCH}]; out_t place[{STRETCH}];"
        before = f"best[q] = {lowest_text(x.dtype)}; place[q] = -1;"
        element = (
            "const in0_t v = whole[$AT]; const out_t larger = -(out_t)(v > best[q]); "
            "best[q] = v > best[q] ? v : best[q]; place[q] += ((out_t)$K - place[q]) & larger;"
        )
        found = f"place[q] < 0 ? (out_t)({first_text(self.rank)}) : place[q]"
        if x.type.is_float:
            held += f" out_t spoilt[{STRETCH}];"
            before += " spoilt[q] = -1;"
            element += " spoilt[q] += ((out_t)$K - spoilt[q]) & -(out_t)(v != v) & spoilt[q] >> 31;"
            found = f"spoilt[q] >= 0 ? spoilt[q] : {found}"
        return window_text(
            node,
            self.settings(node),
            whole="in0",
            small="out",
            held=held,
            before=before,
            element=element,
            after=f"{begin_text(self.rank)} small[$TO] = {found};",
        )

    def c_iterations(self, node: Apply) -> tuple[str, str]:
        """One for each set of leading indices."""
        return iterations_text(node, self.rank, "out", 6, self.settings(node))


@dataclass(frozen=True)
class AtPlaces(Windowed):
    """Elements at places of the windows; the second input has these, as :class:`PoolPlaces` counts them.

    In C, `c_move` is what is done for a window; ``$AT`` is its place, and ``seen`` whether it sees it.
    """

    arrays: ClassVar[int] = 2
    c_whole: ClassVar[str]
    c_small: ClassVar[str]

    def c_move(self, dtype: str) -> str:
        """The statement for a window."""
        raise NotImplementedError

    def c_code(self, node: Apply) -> str:
        """A loop over the windows."""
        dtype = node.inputs[0].dtype
        if dtype in NO_TEXT:
            return ""
        find = place_text(self.rank, "also_in1[$TO_in1]")
        return window_text(
            node,
            self.settings(node),
            whole=self.c_whole,
            small=self.c_small,
            after=f"{find} {self.c_move(dtype)}",
            also=["in1"],
            start=zeros(node, self.rank) if self.c_whole == "out" else "",
        )

    def c_iterations(self, node: Apply) -> tuple[str, str]:
        """One for each set of leading indices."""
        return iterations_text(node, self.rank, self.c_small, 60)


@dataclass(frozen=True)
class PoolTake(AtPlaces, ToWindows):
    """The element at a place of each window; where the window does not see it 0, or if `lowest` that."""

    lowest: bool = False
    name = "pool_take"
    c_whole, c_small = "in0", "out"

    def c_move(self, dtype: str) -> str:
        """An element for the window."""
        other = lowest_text(dtype) if self.lowest else "0"
        return f"small[$TO] = seen ? whole[$AT] : {other};"

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """There is a place for every window."""
        (sizes,) = self.infer_shape(node, shapes)
        return [(a, *pair) for a, pair in enumerate(zip(shapes[1], sizes, strict=True))]

    def reference(self, *inputs: Array) -> Array:
        """``np.take_along_axis`` of what each window sees."""
        x, places = inputs[:2]
        geometry = self.geometry(inputs)
        self.check_counts(places.shape, geometry.counts(x.shape[x.ndim - self.rank :]))
        seen = flat_windows(geometry, x, lowest(x.dtype) if self.lowest else 0)
        return np.take_along_axis(seen, places[..., None].astype("int64"), -1)[..., 0]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g put at the places."""
        assert g is not None
        x, places = node.inputs[:2]
        sizes = [size_variable(s) for s in sizes_of(x)[x.ndim - self.rank :]]
        put = PoolPut(self.rank, self.ignore_border)
        return [put(g, places, *self.settings(node), *sizes), *self.nothing(node)]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The change at the places, 0 where none is seen."""
        t = tangents[0]
        take = PoolTake(self.rank, self.ignore_border)
        return [None if t is None else take(t, *node.inputs[1:])]


@dataclass(frozen=True)
class PoolPut(AtPlaces, FromWindows):
    """An array of zeros, to which each element of the first input is added at a place of its window.

    The last inputs are the sizes of the array.
    """

    name = "pool_put"
    c_whole, c_small = "out", "in0"

    def c_move(self, dtype: str) -> str:
        """The window's element is added."""
        return "if (seen) whole[$AT] += small[$TO];"

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """There is a place for every element, and a window."""
        pairs = enumerate(zip(shapes[0], shapes[1], strict=True))
        return [*super().size_checks(node, shapes), *((a, *pair) for a, pair in pairs)]

    def reference(self, *inputs: Array) -> Array:
        """Element by element, each window's own."""
        g, places = inputs[:2]
        geometry = self.geometry(inputs)
        sizes = [int(s) for s in self.wanted(inputs)]
        counts = geometry.counts(sizes)
        self.check_counts(g.shape, counts)
        lead = g.shape[: g.ndim - self.rank]
        out = np.zeros((*lead, *sizes), g.dtype)
        offsets = np.unravel_index(places.astype("int64"), tuple(geometry.ws))
        at = [
            start + offset
            for start, offset in zip(geometry.starts(counts), offsets, strict=True)
        ]
        inside = np.ones(g.shape, bool)
        for place, size in zip(at, sizes, strict=True):
            inside &= (place >= 0) & (place < size)
        leading = np.nonzero(inside)[: len(lead)]
        np.add.at(out, (*leading, *(place[inside] for place in at)), g[inside])
        return out

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """What g has at the places."""
        assert g is not None
        take = PoolTake(self.rank, self.ignore_border)
        return [take(g, node.inputs[1], *self.settings(node)), *self.nothing(node)]


@dataclass(frozen=True)
class PoolSpread(FromWindows):
    """What the gradient of a sum or a mean over windows is: each element goes to all that its window sees.

    The last inputs are the sizes of the array.
    """

    mode: str = "sum"
    name = "pool_spread"

    def reference(self, *inputs: Array) -> Array:
        """The elements of a window one after the other, for all windows at once."""
        g, geometry = inputs[0], self.geometry(inputs)
        sizes = [int(s) for s in self.wanted(inputs)]
        counts = geometry.counts(sizes)
        self.check_counts(g.shape, counts)
        wide = "float64" if g.dtype.kind == "f" else g.dtype
        with np.errstate(all="ignore"):
            share = g.astype(wide)
            if self.mode != "sum":
                share = share / geometry.seen(sizes, self.mode == "average_inc_pad")
        rows = list(
            zip(counts, geometry.ws, geometry.stride, geometry.pad, sizes, strict=True)
        )
        whole = (slice(None),) * (g.ndim - self.rank)
        lead = g.shape[: g.ndim - self.rank]
        room = [max((n - 1) * s + w, p + size) for n, w, s, p, size in rows]
        padded = np.zeros((*lead, *room), share.dtype)
        if 0 not in counts:
            for offsets in np.ndindex(*geometry.ws):
                places = [
                    slice(k, k + (n - 1) * s + 1, s)
                    for k, (n, _, s, _, _) in zip(offsets, rows, strict=True)
                ]
                padded[whole + tuple(places)] += share
        middle = [slice(p, p + size) for _, _, _, p, size in rows]
        return padded[whole + tuple(middle)].astype(g.dtype)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g pooled."""
        assert g is not None
        pool = Pool(self.rank, self.ignore_border, self.mode)
        return [pool(g, *self.settings(node)), *self.nothing(node)]

    def c_code(self, node: Apply) -> str:
        """Each window's share, added to one after the other of what it sees."""
        if node.inputs[0].dtype in NO_TEXT:
            return ""
        pool = Pool(self.rank, self.ignore_border, self.mode)
        return window_text(
            node,
            self.settings(node),
            whole="out",
            small="in0",
            held=f"out_t share[{STRETCH}];\n{pool.covered()}",
            before=f"share[q] = (out_t)(small[$TO]{pool.number()});",
            element="whole[$AT] += share[q];",
            start=zeros(node, self.rank),
        )

    def c_iterations(self, node: Apply) -> tuple[str, str]:
        """One for each set of leading indices."""
        return iterations_text(node, self.rank, "in0", 12, self.settings(node))


def zeros(node: Apply, rank: int) -> str:
    """A C statement that makes the block of one set of leading indices 0."""
    axes = range(node.outputs[0].ndim - rank, node.outputs[0].ndim)
    length = " * ".join(f"out_n{a}" for a in axes)
    return f"memset(whole, 0, sizeof(out_t) * (size_t)({length}));"
