"""Convolution over one, two or three axes, and its two adjoints.

Images x, filters w and results y are tied by one trilinear form: the sum of y x w over all
places where a filter meets the padded images. Each of three ops makes one of the three from the
other two, and so the derivatives of every one of them are the other two::

    y = Conv(x, w)      x = ConvInputs(y, w, *sizes of x)      w = ConvFilters(x, y, *sizes of w)

That closes them under differentiation of any order. True convolution turns the filters round
(`flip`); without that it is the cross-correlation that is often called convolution.

Read next: :mod:`workbench.core.ops.convolving`, which has the functions that users call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from workbench.core.graph import Apply, Variable
from workbench.core.op import Sizes, known_int
from workbench.core.ops.elementwise import add
from workbench.core.ops.filters import Filtering, Trio, wanted_sizes
from workbench.core.ops.local_loops import has_text, local_iterations, local_text
from workbench.core.ops.shape import (
    divide_size,
    product_size,
    size_variable,
    sizes_of,
    specify_shape,
)
from workbench.core.source import location_here
from workbench.core.types import Array, TensorType


class Convolving(Filtering):
    """What the three ops share: how each says the others, and windows of images."""

    def to_results(self, x: Variable, w: Variable, like: Variable) -> Variable:
        """y from x and w."""
        return _typed(self._other(Conv)(x, w), like)

    def to_inputs(self, y: Variable, w: Variable, like: Variable) -> Variable:
        """x from y and w, of the type and size of `like`."""
        sizes = map(size_variable, sizes_of(like)[2:])
        return _typed(self._other(ConvInputs)(y, w, *sizes), like)

    def to_filters(self, x: Variable, y: Variable, like: Variable) -> Variable:
        """w from x and y, of the type and size of `like`."""
        sizes = map(size_variable, self.kernel(sizes_of(like)))
        return _typed(self._other(ConvFilters)(x, y, *sizes), like)

    def _other(self, kind: type[Convolving]) -> Convolving:
        return kind(*(getattr(self, f.name) for f in fields(self)))

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None] | None:
        """Linear in either of the first two inputs: the op itself."""
        a, b, *sizes = node.inputs
        parts = [self(t, b, *sizes) for t in tangents[:1] if t is not None]
        parts += [self(a, t, *sizes) for t in tangents[1:2] if t is not None]
        return [add(*parts) if len(parts) == 2 else parts[0] if parts else None]

    def c_code(self, node: Apply) -> str:
        """Loops for filters that places do not share; the others have kernels."""
        return local_text(node) if has_text(node) else ""

    def c_iterations(self, node: Apply) -> tuple[str, str]:
        """Lines of the result."""
        return local_iterations(node)

    # --- in NumPy

    def margins(self, kernel: Sequence[int]) -> list[tuple[int, int]]:
        """The numbers of zeros before and after each axis of images."""
        pairs = [self.padding(axis, size) for axis, size in enumerate(kernel)]
        return [(0, 0), (0, 0), *((int(a), int(b)) for a, b in pairs)]  # type: ignore[arg-type]

    def windows(self, x: Array, kernel: Sequence[int]) -> Array:
        """What each filter meets at each place: [batch, channels, *places, *kernel]."""
        places = self.places(x.shape[2:], kernel)
        if 0 in places:
            return np.zeros((*x.shape[:2], *places, *kernel), x.dtype)
        x = np.pad(x, self.margins(kernel))
        reach = tuple(
            (k - 1) * d + 1 for k, d in zip(kernel, self.dilation, strict=True)
        )
        axes = tuple(range(2, 2 + self.rank))
        steps = [slice(None), slice(None)]
        steps += [slice(None, None, s) for s in (*self.strides, *self.dilation)]
        return sliding_window_view(x, reach, axes)[tuple(steps)]

    def turned(self, w: Array) -> Array:
        """Filters turned round, if they are to be."""
        axes = range(w.ndim - self.rank, w.ndim)
        return np.flip(w, tuple(axes)) if self.flip else w

    def each_group(self, *arrays: tuple[Array, int]) -> Iterator[list[Array]]:
        """Arrays cut into groups along an axis each."""
        cut = [np.split(array, self.groups, axis) for array, axis in arrays]
        return map(list, zip(*cut, strict=True))

    def sum_of(self, text: str, *arrays: Array) -> Array:
        """``np.einsum``, where P and K stand for the axes of places and filters."""
        letters = {"P": "pqr"[: self.rank], "K": "klm"[: self.rank]}
        for name, axes in letters.items():
            text = text.replace(name, axes)
        with np.errstate(all="ignore"):
            return np.asarray(np.einsum(text, *arrays, optimize=not self.unshared))


class Conv(Convolving):
    """Images convolved with filters: y from x and w."""

    def trio(self, shapes: Sequence[Sequence[Any]], sizes: Sequence[Any]) -> Trio:
        """y is wanted, and follows."""
        x, w = shapes
        return x, w, (None,) * len(x)

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The batch, the features, and the places."""
        x, w = (v.type.shape for v in inputs)
        self.check(inputs, self.trio((x, w), ()), location_here())
        places = self.places(x[2:], self.kernel(w))
        return [inputs[0].type.with_shape((x[0], w[0], *places))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The batch, the features, and the places."""
        x, w = shapes
        return [(x[0], w[0], *self.places(x[2:], self.kernel(w)))]

    def reference(self, x: Array, w: Array) -> Array:
        """Every window of the padded images times every filter."""
        windows = self.windows(x, self.kernel(w.shape))
        text = "ncPK,oPcK->noP" if self.unshared else "ncPK,ocK->noP"
        groups = self.each_group((windows, 1), (self.turned(w), 0))
        return np.concatenate([self.sum_of(text, *pair) for pair in groups], 1)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The adjoints."""
        x, w = node.inputs
        assert g is not None
        return [self.to_inputs(g, w, x), self.to_filters(x, g, w)]


class ConvInputs(Convolving):
    """Images from what stands for results: x from y and w; the other inputs are the sizes of x.

    Each result is spread over the window that it was made of. It is the gradient of `Conv` by
    the images, and the transposed convolution.
    """

    name = "conv_inputs"
    is_spread: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """What users call it."""
        return f"conv{self.rank}d_grad_wrt_inputs"

    def trio(self, shapes: Sequence[Sequence[Any]], sizes: Sequence[Any]) -> Trio:
        """x is wanted."""
        y, w = shapes
        return (None, None, *sizes), w, y

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The batch, the channels of all groups, and the sizes given."""
        (y, w), sizes = (v.type.shape for v in inputs[:2]), map(known_int, inputs[2:])
        trio = self.trio((y, w), list(sizes))
        self.check(inputs, trio, location_here())
        each = self.seen(w)
        channels = None if each is None else each * self.groups
        return [inputs[0].type.with_shape((y[0], channels, *trio[0][2:]))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The batch, the channels of all groups, and the sizes given."""
        y, w = shapes[:2]
        channels = product_size([self.seen(w), self.groups])
        return [(y[0], channels, *wanted_sizes(node))]

    def reference(self, y: Array, w: Array, *sizes: Array) -> Array:
        """Every result times every filter, added up where the windows lie."""
        kernel = self.kernel(w.shape)
        margins = self.margins(kernel)
        shape = [len(y), self.seen(w.shape) * self.groups]
        shape += [int(n) + sum(m) for n, m in zip(sizes, margins[2:], strict=True)]
        images = np.zeros(shape, y.dtype)
        text = "noP,oPcK->ncPK" if self.unshared else "noP,ocK->ncPK"
        groups = self.each_group((y, 1), (self.turned(w), 0))
        spread = np.concatenate([self.sum_of(text, *pair) for pair in groups], 1)
        with np.errstate(all="ignore"):
            for at in np.ndindex(*kernel):
                images[self._met(at, y.shape)] += spread[(..., *at)]
        return images[
            tuple(slice(a, n - b) for (a, b), n in zip(margins, shape, strict=True))
        ]

    def _met(self, at: Sequence[int], y: Sequence[int]) -> tuple[slice, ...]:
        """The elements of padded images that element `at` of the filters meets."""
        found = [slice(None), slice(None)]
        for k, s, d, n in zip(at, self.strides, self.dilation, y[2:], strict=True):
            found.append(slice(k * d, k * d + (n - 1) * s + 1 if n else k * d, s))
        return tuple(found)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The other two."""
        y, w, *sizes = node.inputs
        assert g is not None
        none = [None for _ in sizes]
        return [self.to_results(g, w, y), self.to_filters(g, y, w), *none]


class ConvFilters(Convolving):
    """Filters from images and what stands for results: w from x and y; then the sizes of w.

    The gradient of `Conv` by the filters.
    """

    name = "conv_filters"

    @property
    def title(self) -> str:
        """What users call it."""
        return f"conv{self.rank}d_grad_wrt_weights"

    def trio(self, shapes: Sequence[Sequence[Any]], sizes: Sequence[Any]) -> Trio:
        """w is wanted."""
        x, y = shapes
        places = [None] * self.rank if self.unshared else []
        return x, (None, *places, None, *sizes), y

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The features, the channels of a group, and the sizes given."""
        (x, y), sizes = (v.type.shape for v in inputs[:2]), map(known_int, inputs[2:])
        trio = self.trio((x, y), list(sizes))
        self.check(inputs, trio, location_here())
        channels = None if x[1] is None else x[1] // self.groups
        places = y[2:] if self.unshared else ()
        shape = (y[1], *places, channels, *self.kernel(trio[1]))
        return [inputs[0].type.with_shape(shape)]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The features, the channels of a group, and the sizes given."""
        x, y = shapes[:2]
        channels = divide_size(x[1], self.groups)
        places = y[2:] if self.unshared else ()
        return [(y[1], *places, channels, *wanted_sizes(node))]

    def reference(self, x: Array, y: Array, *sizes: Array) -> Array:
        """Every window of the padded images times every result."""
        windows = self.windows(x, [int(n) for n in sizes])
        text = "ncPK,noP->oPcK" if self.unshared else "ncPK,noP->ocK"
        groups = self.each_group((windows, 1), (y, 1))
        whole = np.concatenate([self.sum_of(text, *pair) for pair in groups], 0)
        return self.turned(whole)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The other two."""
        x, y, *sizes = node.inputs
        assert g is not None
        none = [None for _ in sizes]
        return [self.to_inputs(y, g, x), self.to_results(x, g, y), *none]


def _typed(found: Variable, like: Variable) -> Variable:
    """`found` with all the sizes that are known of `like`."""
    pairs = zip(found.type.shape, like.type.shape, strict=True)
    missing = [b if a is None else None for a, b in pairs]
    return found if missing == [None] * found.ndim else specify_shape(found, missing)
