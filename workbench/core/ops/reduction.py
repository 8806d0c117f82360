"""Sums, products, extremes and means along axes.

Dtypes are NumPy's: bools and narrow integers are summed in int64 (uint64), float16 is
gathered in float32. NaN wins every maximum. A maximum of nothing is an error; a sum of
nothing is 0.

Read next: :mod:`workbench.core.ops.indexing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Reduction
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import eq, mul, sqr, switch, true_div
from workbench.core.ops.mathematics import sqrt
from workbench.core.ops.shape import (
    BroadcastTo,
    flatten,
    normal_axis,
    product_size,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import DimShuffle, cast, kind
from workbench.core.types import Array

Axes = int | Sequence[int] | None


def stretch_back(reduced: Variable, x: Variable, axes: Sequence[int]) -> Variable:
    """`reduced`, which lacks `axes`, stretched to the shape of `x`."""
    kept = iter(range(reduced.ndim))
    order: tuple[int | str, ...] = tuple(
        "x" if i in axes else next(kept) for i in range(x.ndim)
    )
    sizes = [size_variable(s) for s in sizes_of(x)]
    return BroadcastTo(x.ndim)(DimShuffle(order)(reduced), *sizes)


@dataclass(frozen=True)
class Sum(Reduction):
    """The sum of the elements."""

    c_start: ClassVar[str] = "0"
    c_combine: ClassVar[str] = "{a} + {x}"

    def result_dtype(self, dtype: str) -> str:
        """int64 or uint64 for narrower integers and bools."""
        return np.add.reduce(np.zeros(1, dtype)).dtype.name

    def accumulator(self, dtype: str) -> str:
        """float32 for float16."""
        return "float32" if dtype == "float16" else self.result_dtype(dtype)

    def reference(self, x: Array) -> Array:
        """``np.sum``."""
        with np.errstate(all="ignore"):
            return np.asarray(np.sum(x, axis=self.axes))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for every element."""
        (x,) = node.inputs
        assert g is not None
        return [stretch_back(g, x, self.axes)]


@dataclass(frozen=True)
class Prod(Reduction):
    """The product of the elements."""

    c_start: ClassVar[str] = "1"
    c_combine: ClassVar[str] = "{a} * {x}"

    def result_dtype(self, dtype: str) -> str:
        """int64 or uint64 for narrower integers and bools."""
        return np.multiply.reduce(np.zeros(1, dtype)).dtype.name

    def reference(self, x: Array) -> Array:
        """``np.prod``."""
        with np.errstate(all="ignore"):
            return np.asarray(np.prod(x, axis=self.axes))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g times the product of the other elements, right also where elements are 0.

        With one zero among them only its own gradient differs from 0; with two none does.
        """
        (x,) = node.inputs
        assert g is not None
        zero = eq(x, 0)
        zeros = Sum(self.axes)(cast(zero, "int64"))
        others = Prod(self.axes)(switch(zero, 1, x))
        n, rest = (
            stretch_back(zeros, x, self.axes),
            stretch_back(mul(g, others), x, self.axes),
        )
        safe = switch(zero, 1, x)
        return [
            switch(
                eq(n, 0), true_div(rest, safe), switch(ew.and_(zero, eq(n, 1)), rest, 0)
            )
        ]


class Extreme(Reduction):
    """A maximum or minimum; its gradient is shared by all elements that attain it."""

    numpy_function: ClassVar[Any]
    needs_element: ClassVar[bool] = True

    def reference(self, x: Array) -> Array:
        """NumPy's, with a clear error for an empty axis."""
        for axis in self.axes:
            if x.shape[axis] == 0:
                raise ShapeError(
                    f"{self.name} over axis {axis}, which has size 0: there is no element to take."
                )
        return np.asarray(type(self).numpy_function(x, axis=self.axes))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g in equal parts to the elements that attain the extreme."""
        (x,) = node.inputs
        assert g is not None
        hit = eq(x, stretch_back(node.output, x, self.axes))
        share = true_div(g, Sum(self.axes)(cast(hit, x.dtype)))
        return [switch(hit, stretch_back(share, x, self.axes), 0)]


@dataclass(frozen=True)
class Max(Extreme):
    """The largest element; NaN when one is NaN."""

    numpy_function: ClassVar[Any] = np.max
    c_start: ClassVar[str] = "{lowest}"
    c_combine: ClassVar[str] = "{x} > {a} || {x} != {x} ? {x} : {a}"


@dataclass(frozen=True)
class Supremum(Max):
    """The largest element of floats, -inf where there is none; NaN when one is NaN.

    What a softmax takes out of its exponents: unlike a maximum it exists over nothing.
    """

    c_start: ClassVar[str] = "-INFINITY"
    needs_element: ClassVar[bool] = False

    def reference(self, x: Array) -> Array:
        """``np.max`` that starts from -inf."""
        return np.asarray(np.max(x, axis=self.axes, initial=-np.inf))


@dataclass(frozen=True)
class Min(Extreme):
    """The smallest element; NaN when one is NaN."""

    numpy_function: ClassVar[Any] = np.min
    c_start: ClassVar[str] = "{highest}"
    c_combine: ClassVar[str] = "{x} < {a} || {x} != {x} ? {x} : {a}"


@dataclass(frozen=True)
class All(Reduction):
    """Whether all elements are true."""

    c_start: ClassVar[str] = "1"
    c_combine: ClassVar[str] = "{a} & ({x} != 0)"

    def result_dtype(self, dtype: str) -> str:
        """A bool."""
        return "bool"

    def reference(self, x: Array) -> Array:
        """``np.all``."""
        return np.asarray(np.all(x, axis=self.axes))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]


@dataclass(frozen=True)
class Any_(Reduction):
    """Whether any element is true."""

    name: ClassVar[str] = "any"
    c_start: ClassVar[str] = "0"
    c_combine: ClassVar[str] = "{a} | ({x} != 0)"

    def result_dtype(self, dtype: str) -> str:
        """A bool."""
        return "bool"

    def reference(self, x: Array) -> Array:
        """``np.any``."""
        return np.asarray(np.any(x, axis=self.axes))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]


class ArgExtreme(Reduction):
    """The place of an extreme along one axis, counted from 0; the first of equals, or the first NaN.

    The C back end keeps the best element beside its place; `c_better` says when ``{x}``
    takes the place of ``{a}``.
    """

    numpy_function: ClassVar[Any]
    c_better: ClassVar[str] = ""
    needs_element: ClassVar[bool] = True

    def result_dtype(self, dtype: str) -> str:
        """int64."""
        return "int64"

    def reference(self, x: Array) -> Array:
        """NumPy's, with a clear error for an empty axis."""
        (axis,) = self.axes
        if x.shape[axis] == 0:
            raise ShapeError(
                f"{self.name} over axis {axis}, which has size 0: there is no element to take."
            )
        return np.asarray(type(self).numpy_function(x, axis=axis))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: a place does not change smoothly."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]


@dataclass(frozen=True)
class ArgMax(ArgExtreme):
    """The place of the largest element."""

    numpy_function: ClassVar[Any] = np.argmax
    c_start: ClassVar[str] = "{lowest}"
    c_better: ClassVar[str] = "({x} > {a} || ({x} != {x} && {a} == {a}))"


@dataclass(frozen=True)
class ArgMin(ArgExtreme):
    """The place of the smallest element."""

    numpy_function: ClassVar[Any] = np.argmin
    c_start: ClassVar[str] = "{highest}"
    c_better: ClassVar[str] = "({x} < {a} || ({x} != {x} && {a} == {a}))"


# --- what users call ---------------------------------------------------------------------


def normal_axes(axis: Axes, rank: int) -> tuple[int, ...]:
    """The axes counted from the front, in order; all of them for None.

    Raises
    ------
    ShapeError
        One is out of range or named twice.
    """
    if axis is None:
        return tuple(range(rank))
    axes = [
        normal_axis(a, rank)
        for a in ([axis] if isinstance(axis, int | np.integer) else axis)
    ]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {tuple(axes)} names one axis twice.")
    return tuple(sorted(axes))


def keep(reduced: Variable, rank: int, axes: Sequence[int]) -> Variable:
    """`reduced` with an axis of size 1 where each of `axes` was."""
    kept = iter(range(reduced.ndim))
    order: tuple[int | str, ...] = tuple(
        "x" if i in axes else next(kept) for i in range(rank)
    )
    return DimShuffle(order)(reduced) if rank > reduced.ndim else reduced


def _reduce(op: type[Reduction], x: Any, axis: Axes, keepdims: bool) -> Variable:
    x = as_variable(x)
    axes = normal_axes(axis, x.ndim)
    reduced = op(axes)(x)
    return keep(reduced, x.ndim, axes) if keepdims else reduced


def _gathered(
    op: type[Reduction], x: Any, axis: Axes, dtype: str | None, keepdims: bool
) -> Variable:
    if dtype is None:
        return _reduce(op, x, axis, keepdims)
    return cast(_reduce(op, cast(x, dtype), axis, keepdims), dtype)


def sum(
    x: Any, axis: Axes = None, dtype: str | None = None, keepdims: bool = False
) -> Variable:
    """The sum along `axis`, all axes by default, in `dtype` if given."""
    return _gathered(Sum, x, axis, dtype, keepdims)


def prod(
    x: Any, axis: Axes = None, dtype: str | None = None, keepdims: bool = False
) -> Variable:
    """The product along `axis`, all axes by default, in `dtype` if given."""
    return _gathered(Prod, x, axis, dtype, keepdims)


def max(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The largest element along `axis`; an error over nothing."""
    return _reduce(Max, x, axis, keepdims)


def min(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The smallest element along `axis`; an error over nothing."""
    return _reduce(Min, x, axis, keepdims)


def all(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Whether all elements along `axis` are true."""
    return _reduce(All, x, axis, keepdims)


def any(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Whether any element along `axis` is true."""
    return _reduce(Any_, x, axis, keepdims)


def _arg(op: type[ArgExtreme], x: Any, axis: int | None, keepdims: bool) -> Variable:
    x = as_variable(x)
    if kind(x.dtype) == "c":
        raise DTypeError(f"{op.name} is not defined for {x.dtype}.")
    if axis is None:
        place = op((0,))(flatten(x))
        return keep(place, x.ndim, range(x.ndim)) if keepdims else place
    axes = normal_axes(axis, x.ndim)
    place = op(axes)(x)
    return keep(place, x.ndim, axes) if keepdims else place


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Where the largest element along `axis` stands, int64; without axis, in the flattened array."""
    return _arg(ArgMax, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Where the smallest element along `axis` stands, int64; without axis, in the flattened array."""
    return _arg(ArgMin, x, axis, keepdims)


def max_and_argmax(
    x: Any, axis: int | None = None, keepdims: bool = False
) -> tuple[Variable, Variable]:
    """Both the largest element and its place."""
    return max(x, axis, keepdims), argmax(x, axis, keepdims)


def count(x: Variable, axes: Sequence[int], dtype: str) -> Variable:
    """The number of elements along `axes`, a scalar of `dtype`."""
    sizes = sizes_of(x)
    return cast(size_variable(product_size([sizes[a] for a in axes])), dtype)


def mean(
    x: Any, axis: Axes = None, dtype: str | None = None, keepdims: bool = False
) -> Variable:
    """The mean along `axis`: the sum divided by the number of elements, NaN for none.

    Integers and bools are averaged in floatX; float16 by way of float32, since its sum
    and the number of elements may exceed 65504.
    """
    x = as_variable(x)
    if dtype is not None:
        x = cast(x, dtype)
    elif not x.type.is_float:
        x = cast(x, config.floatX)
    if x.dtype == "float16":
        return cast(mean(cast(x, "float32"), axis, keepdims=keepdims), "float16")
    axes = normal_axes(axis, x.ndim)
    total = _reduce(Sum, x, axis, keepdims)
    return true_div(total, count(x, axes, total.dtype))


def var(x: Any, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """The variance along `axis`: the mean squared distance from the mean, over n - `ddof`.

    Not a number, or infinite, when there are no more than `ddof` elements.
    """
    x = as_variable(x)
    if not x.type.is_float:
        x = cast(x, config.floatX)
    if x.dtype == "float16":
        return cast(var(cast(x, "float32"), axis, ddof, keepdims), "float16")
    axes = normal_axes(axis, x.ndim)
    distance = ew.sub(x, mean(x, axis, keepdims=True))
    total = _reduce(
        Sum, sqr(ew.abs(distance) if kind(x.dtype) == "c" else distance), axis, keepdims
    )
    freedom = ew.sub(count(x, axes, total.dtype), ddof)
    return true_div(total, ew.maximum(freedom, 0) if ddof else freedom)


def std(x: Any, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """The standard deviation along `axis`."""
    return sqrt(var(x, axis, ddof, keepdims))


__all__ = [
    "all", "any", "argmax", "argmin", "max", "max_and_argmax", "mean", "min", "prod", "std", "sum", "var",
]  # fmt: skip
