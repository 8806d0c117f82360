"""Windows that move over the last axes of an array: where they lie, and what they see.

A window of ``ws`` elements starts at every ``stride``-th place of an axis, the first of them
``pad`` places before its first element. With `ignore_border` only windows that lie within
the axis and its padding count; without it the last may reach over the end, as far as is
needed for all elements to be seen.

Read next: :mod:`workbench.core.ops.pooling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from workbench.core.errors import ShapeError
from workbench.core.graph import Apply, Variable
from workbench.core.op import Indexer, Opaque, Size, Sizes, View, known_int, known_size
from workbench.core.ops.elementwise import maximum, minimum
from workbench.core.ops.shape import (
    add_size,
    divide_size,
    product_size,
    size_variable,
    subtract_size,
)
from workbench.core.types import Array, TensorType


def at_least(size: Size, low: Size) -> Size:
    """The larger of two sizes."""
    if isinstance(size, int) and isinstance(low, int):
        return max(size, low)
    return maximum(size_variable(size), size_variable(low))


def at_most(size: Size, high: Size) -> Size:
    """The smaller of two sizes."""
    if isinstance(size, int) and isinstance(high, int):
        return min(size, high)
    return minimum(size_variable(size), size_variable(high))


def window_count(
    size: Size, ws: Size, stride: Size, pad: Size = 0, ignore_border: bool = True
) -> Size:
    """How many windows an axis has.

    Examples
    --------
    >>> window_count(5, 2, 2), window_count(5, 2, 2, ignore_border=False)
    (2, 3)
    """
    if ignore_border:
        room = subtract_size(add_size(size, product_size([2, pad])), ws)
        return at_least(add_size(divide_size(room, stride), 1), 0)
    beyond = at_least(subtract_size(size, at_least(ws, stride)), 0)
    steps = divide_size(add_size(beyond, subtract_size(stride, 1)), stride)
    return product_size([add_size(steps, 1), at_most(size, 1)])


@dataclass(frozen=True)
class Geometry:
    """Windows over the last axes: along each their size, step, and the padding before the axis."""

    ws: Sequence[Any]
    stride: Sequence[Any]
    pad: Sequence[Any]
    ignore_border: bool

    def counts(self, sizes: Sequence[Any]) -> tuple[Any, ...]:
        """The number of windows along each axis, None where a size is not known."""
        rows = zip(sizes, self.ws, self.stride, self.pad, strict=True)
        return tuple(
            None
            if any(size is None for size in row)
            else window_count(*row, self.ignore_border)
            for row in rows
        )

    def windows(self, x: Array, fill: Any) -> Array:
        """What every window sees: [..., *counts, *ws]; `fill` where there is nothing."""
        lead = x.ndim - len(self.ws)
        counts = self.counts(x.shape[lead:])
        rows = zip(counts, self.ws, self.stride, self.pad, x.shape[lead:], strict=True)
        after = [max((n - 1) * s + w - p - size, 0) for n, w, s, p, size in rows]
        widths = [(0, 0)] * lead + list(zip(self.pad, after, strict=True))
        padded = np.pad(x, widths, constant_values=fill)
        if 0 in counts:
            return np.zeros((*x.shape[:lead], *counts, *self.ws), x.dtype)
        seen = sliding_window_view(padded, tuple(self.ws), tuple(range(lead, x.ndim)))
        steps = [
            slice(None, (n - 1) * s + 1, s)
            for n, s in zip(counts, self.stride, strict=True)
        ]
        return np.asarray(seen[(slice(None),) * lead + tuple(steps)])

    def starts(self, counts: Sequence[int]) -> list[Array]:
        """Along each axis where every window begins, shaped to stretch over all."""
        return [
            (np.arange(n) * s - p).reshape(
                [-1 if a == axis else 1 for a in range(len(counts))]
            )
            for axis, (n, s, p) in enumerate(
                zip(counts, self.stride, self.pad, strict=True)
            )
        ]

    def seen(self, sizes: Sequence[int], with_padding: bool) -> Array:
        """How many places each window covers, of the axes or of them and their padding."""
        counts = self.counts(sizes)
        total = np.ones(counts, "int64")
        for start, size, w, p in zip(
            self.starts(counts), sizes, self.ws, self.pad, strict=True
        ):
            if with_padding:
                covered = np.minimum(start + w, size + p) - start
            else:
                covered = np.minimum(start + w, size) - np.maximum(start, 0)
            total = total * np.maximum(covered, 0)
        return total


@dataclass(frozen=True)
class Windowed(Opaque):
    """An op with windows over the last `rank` axes of its arrays.

    Its inputs are one or two arrays, then for each axis the size of a window, for each its
    step, and for each its padding; an adjoint is given the sizes of the array it makes, too.
    """

    rank: int
    ignore_border: bool = True
    arrays: ClassVar[int] = 1

    def geometry(self, inputs: Sequence[Any]) -> Geometry:
        """The windows that the inputs, variables or arrays, describe."""
        if inputs and isinstance(inputs[0], Variable):
            numbers = [known_size(v) for v in inputs[self.arrays :]]
        else:
            numbers = [int(v) for v in inputs[self.arrays :]]
        parts = [numbers[k * self.rank : (k + 1) * self.rank] for k in range(3)]
        return Geometry(parts[0], parts[1], parts[2], self.ignore_border)

    def settings(self, node: Apply) -> Sequence[Variable]:
        """The inputs that say where the windows lie."""
        return node.inputs[self.arrays : self.arrays + 3 * self.rank]

    def wanted(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """The sizes that an adjoint is given."""
        return inputs[self.arrays + 3 * self.rank :]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Through the first array."""
        return [k == 0 and v.type.is_float for k, v in enumerate(node.inputs)]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The same of the change of the first array, in which most are linear."""
        t = tangents[0]
        return [None if t is None else self(t, *node.inputs[1:])]

    def nothing(self, node: Apply) -> list[None]:
        """What the inputs but the first get as gradient."""
        return [None] * (len(node.inputs) - 1)

    def check_counts(self, shape: Sequence[int], counts: Sequence[int]) -> None:
        """Raise a :class:`ShapeError` where elements and windows differ in number."""
        if tuple(shape[len(shape) - self.rank :]) != tuple(counts):
            raise ShapeError(
                f"{self}: there are {tuple(counts)} windows, but an array of shape {tuple(shape)}."
            )


class ToWindows(Windowed):
    """An op whose result has an element for each window of its first input."""

    def dtype_of(self, dtype: str) -> str:
        """The dtype of the result, from that of the first input."""
        return dtype

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The leading axes, then the numbers of windows."""
        x = inputs[0]
        found = self.geometry(inputs)
        ws, stride, pad = (
            [n if isinstance(n, int) else None for n in part]
            for part in (found.ws, found.stride, found.pad)
        )
        static = Geometry(ws, stride, pad, self.ignore_border)
        lead = x.ndim - self.rank
        counts = static.counts(x.type.shape[lead:])
        return [TensorType(self.dtype_of(x.dtype), (*x.type.shape[:lead], *counts))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The leading sizes, then the numbers of windows."""
        lead = len(shapes[0]) - self.rank
        counts = self.geometry(node.inputs).counts(shapes[0][lead:])
        return [(*shapes[0][:lead], *counts)]


class FromWindows(Windowed):
    """An op that makes an array from an element for each of its windows."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The leading axes, then the sizes given."""
        sizes = [known_int(v) for v in self.wanted(inputs)]
        lead = inputs[0].type.shape[: inputs[0].ndim - self.rank]
        return [inputs[0].type.with_shape([*lead, *sizes])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The leading sizes, then those given."""
        lead = shapes[0][: len(shapes[0]) - self.rank]
        return [(*lead, *map(known_size, self.wanted(node.inputs)))]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """There are as many windows as elements."""
        lead = len(shapes[0]) - self.rank
        sizes = list(map(known_size, self.wanted(node.inputs)))
        counts = self.geometry(node.inputs).counts(sizes)
        return [
            (lead + axis, have, count)
            for axis, (have, count) in enumerate(
                zip(shapes[0][lead:], counts, strict=True)
            )
        ]


@dataclass(frozen=True)
class Stepped(View):
    """One element of each window: x[..., o1 stride1 + offset1, …] for as many as the sizes given.

    What windows that lie within the axes become when loops are made: a few of these, joined
    element by element, fuse with what comes before and after.
    """

    offsets: tuple[int, ...]
    strides: tuple[int, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The leading axes, then the sizes given."""
        x, *sizes = inputs
        lead = x.type.shape[: x.ndim - len(self.offsets)]
        return [x.type.with_shape([*lead, *map(known_int, sizes)])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The same."""
        lead = shapes[0][: len(shapes[0]) - len(self.offsets)]
        return [(*lead, *map(known_size, node.inputs[1:]))]

    def reference(self, x: Array, *sizes: Array) -> Array:
        """A slice with steps."""
        places = [
            slice(k, k + int(n) * s, s)
            for k, s, n in zip(self.offsets, self.strides, sizes, strict=True)
        ]
        lead = x.ndim - len(self.offsets)
        return x[(slice(None),) * lead + tuple(places)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the elements."""
        return [k == 0 and v.type.is_float for k, v in enumerate(node.inputs)]

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """The step times the number of the window, and the offset."""
        lead = len(index) - len(self.offsets)
        moved = zip(index[lead:], self.offsets, self.strides, strict=True)
        return [*index[:lead], *(i * stride + offset for i, offset, stride in moved)]
