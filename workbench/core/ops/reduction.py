"""Sums, products, extremes and means along axes.

Dtypes are NumPy's: bools and narrow integers are summed in int64 (uint64), float16 is
gathered in float32. NaN wins every maximum. A maximum of nothing is an error; a sum of
nothing is 0.

Read next: :mod:`workbench.core.ops.slicing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Reduction
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import eq, mul, switch, true_div
from workbench.core.ops.running import CumProd
from workbench.core.ops.shape import (
    BroadcastTo,
    normal_axis,
    product_size,
    reshape,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import DimShuffle, cast
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
    c_complex: ClassVar[str] = "{a} + {x}"

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
    """The product of the elements.

    `no_zeros_in_input` is the promise that no element is 0. The gradient then divides the
    product by each element, in the same loop as what surrounds it. Without the promise it
    multiplies what comes before and after each element, and is exact at zeros; that takes
    two running products, each a pass over memory of its own.
    """

    no_zeros_in_input: bool = False
    c_start: ClassVar[str] = "1"
    c_combine: ClassVar[str] = "{a} * {x}"
    c_complex: ClassVar[str] = "wb_cproduct{f}({a}, {x})"

    def result_dtype(self, dtype: str) -> str:
        """int64 or uint64 for narrower integers and bools."""
        return np.multiply.reduce(np.zeros(1, dtype)).dtype.name

    def reference(self, x: Array) -> Array:
        """``np.prod``."""
        with np.errstate(all="ignore"):
            return np.asarray(np.prod(x, axis=self.axes))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g times the product of the other elements."""
        (x,) = node.inputs
        assert g is not None
        if not self.axes:
            return [g]
        if self.no_zeros_in_input:
            return [true_div(stretch_back(mul(g, node.output), x, self.axes), x)]
        return [mul(stretch_back(g, x, self.axes), product_of_others(x, self.axes))]


def product_of_others(x: Variable, axes: Sequence[int]) -> Variable:
    """For each element the product of all the others along `axes`, which are in order.

    Nothing is divided, so zeros and infinities are no exceptions, nor is an overflow that
    this element alone would bring about. Linear in the number of elements.
    """
    *rest, last = axes
    before = CumProd(last, reverse=False, exclusive=True)(x)
    after = CumProd(last, reverse=True, exclusive=True)(x)
    others = mul(before, after)
    if not rest:
        return others
    rows = product_of_others(Prod((last,))(x), rest)
    return mul(others, stretch_back(rows, x, (last,)))


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
        # At least 1, also of no elements: a forward derivative divides by it, too.
        hits = ew.maximum(Sum(self.axes)(cast(hit, x.dtype)), 1)
        share = true_div(g, hits)
        return [switch(hit, stretch_back(share, x, self.axes), 0)]


@dataclass(frozen=True)
class Max(Extreme):
    """The largest element; NaN when one is NaN."""

    numpy_function: ClassVar[Any] = np.max
    c_start: ClassVar[str] = "{lowest}"
    c_combine: ClassVar[str] = "{x} <= {a} || {a} != {a} ? {a} : {x}"
    c_spoilt: ClassVar[str] = "{x} != {x}"
    c_unspoilt: ClassVar[str] = "{x} > {a} ? {x} : {a}"


@dataclass(frozen=True)
class Supremum(Max):
    """The largest element, the lowest value of the dtype where there is none (-inf for floats).

    What a softmax takes out of its exponents: unlike a maximum it exists over nothing.
    """

    needs_element: ClassVar[bool] = False

    def reference(self, x: Array) -> Array:
        """``np.max`` that starts from the lowest value."""
        return np.asarray(
            np.max(x, axis=self.axes, initial=_bound(x.dtype, lowest=True))
        )


@dataclass(frozen=True)
class Min(Extreme):
    """The smallest element; NaN when one is NaN."""

    numpy_function: ClassVar[Any] = np.min
    c_start: ClassVar[str] = "{highest}"
    c_combine: ClassVar[str] = "{x} >= {a} || {a} != {a} ? {a} : {x}"
    c_spoilt: ClassVar[str] = "{x} != {x}"
    c_unspoilt: ClassVar[str] = "{x} < {a} ? {x} : {a}"


@dataclass(frozen=True)
class Infimum(Min):
    """The smallest element, the highest value of the dtype where there is none (inf for floats)."""

    needs_element: ClassVar[bool] = False

    def reference(self, x: Array) -> Array:
        """``np.min`` that starts from the highest value."""
        return np.asarray(
            np.min(x, axis=self.axes, initial=_bound(x.dtype, lowest=False))
        )


def _bound(dtype: np.dtype[Any], lowest: bool) -> Any:
    """The end of the order of a dtype: that of complex numbers looks at the real part first."""
    if dtype.kind == "b":
        return not lowest
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if lowest else np.iinfo(dtype).max
    end = -np.inf if lowest else np.inf
    return complex(end, end) if dtype.kind == "c" else end


@dataclass(frozen=True)
class All(Reduction):
    """Whether all elements are true."""

    c_start: ClassVar[str] = "1"
    c_combine: ClassVar[str] = "{a} & ({x} != 0)"
    c_complex: ClassVar[str] = "{a} & ({x} != 0)"

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
    c_complex: ClassVar[str] = "{a} | ({x} != 0)"

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
    takes the place of ``{a}``. Where an element costs nothing it finds the `extreme` first
    and then its place.
    """

    numpy_function: ClassVar[Any]
    extreme: ClassVar[type[Extreme]]
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
    extreme: ClassVar[type[Extreme]] = Max
    c_start: ClassVar[str] = "{lowest}"
    c_better: ClassVar[str] = "({x} > {a} || ({x} != {x} && {a} == {a}))"


@dataclass(frozen=True)
class ArgMin(ArgExtreme):
    """The place of the smallest element."""

    numpy_function: ClassVar[Any] = np.argmin
    extreme: ClassVar[type[Extreme]] = Min
    c_start: ClassVar[str] = "{highest}"
    c_better: ClassVar[str] = "({x} < {a} || ({x} != {x} && {a} == {a}))"


# --- what users call ---------------------------------------------------------------------


def normal_axes(axis: Axes, rank: int) -> tuple[int, ...]:
    """The axes counted from the front, in order; all of them for None.

    A scalar has no axis, but NumPy lets one ask for its axis 0 or -1, and so do we.

    Raises
    ------
    AxisError
        One is out of range.
    ShapeError
        One is named twice.
    """
    if axis is None:
        return tuple(range(rank))
    single = not isinstance(axis, list | tuple)
    if single and rank == 0:
        normal_axis(axis, 1)
        return ()
    axes = [normal_axis(a, rank) for a in ([axis] if single else axis)]  # type: ignore[union-attr]
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


def joined(x: Variable, axes: Sequence[int]) -> Variable:
    """`x` with `axes` moved to the end and joined into one; one of size 1 when there are none."""
    kept = [a for a in range(x.ndim) if a not in axes]
    moved = x
    if [*kept, *axes] != list(range(x.ndim)):
        moved = DimShuffle((*kept, *axes))(x)
    if len(axes) == 1:
        return moved
    sizes = sizes_of(x)
    length = product_size([sizes[a] for a in axes])
    return reshape(moved, (*(sizes[a] for a in kept), length))


def chosen(where: Any, x: Variable, otherwise: Any) -> Variable:
    """`x` where the mask `where` is true, else `otherwise`; `x` itself without a mask.

    Raises
    ------
    DTypeError
        The mask is not bool.
    ShapeError
        It has more axes than `x`.
    """
    mask = as_mask(where)
    if mask is None:
        return x
    if mask.ndim > x.ndim:
        raise ShapeError(
            f"where has {mask.ndim} axes, but {x.label()} has only {x.ndim}."
        )
    return switch(mask, x, _start(otherwise, x.dtype))


def as_mask(where: Any) -> Variable | None:
    """A mask as a variable; None where a Python number, or no mask, lets all elements count.

    Raises
    ------
    DTypeError
        The mask is not bool.
    """
    if where is None or (isinstance(where, int) and where):
        return None
    mask = as_variable(False if isinstance(where, int) else where)
    if mask.dtype != "bool":
        raise DTypeError(f"where must be bool, got {mask.label()}: {mask.type}.")
    return mask


def reduced(op: Reduction, x: Variable, keepdims: bool) -> Variable:
    """The reduction of `x`, with its axes kept as size 1 when asked."""
    result = op(x)
    return keep(result, x.ndim, op.axes) if keepdims else result


def _gathered(
    op: Reduction, x: Variable, dtype: Any, acc_dtype: Any, keepdims: bool
) -> Variable:
    """The reduction of `x` as `acc_dtype`, given out as `dtype`."""
    if dtype is None and acc_dtype is None:
        return reduced(op, x, keepdims)
    inner = cast(x, dtype if acc_dtype is None else acc_dtype)
    gathered = cast(reduced(op, inner, keepdims), inner.dtype)
    return cast(gathered, dtype or op.result_dtype(x.dtype))


def sum(
    x: Any,
    axis: Axes = None,
    dtype: Any = None,
    keepdims: bool = False,
    acc_dtype: Any = None,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The sum along `axis`, all axes by default; 0 over nothing.

    Parameters
    ----------
    axis
        One axis, several, or None for all; the empty tuple gives the elements themselves.
    dtype
        Of the result; by default that of `x`, int64 (uint64) for bools and narrow integers.
    keepdims
        Keep the axes, with size 1.
    acc_dtype
        In which the terms are added; by default `dtype`, but float32 for float16.
    initial
        What the sum starts from.
    where
        A mask: only elements where it is true are added.

    Raises
    ------
    AxisError
        An axis is out of range.
    DTypeError
        A complex number would become real, or the mask is not bool.

    Examples
    --------
    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=1).eval()
    array([3., 7.])
    """
    x = as_variable(x)
    op = Sum(normal_axes(axis, x.ndim))
    total = _gathered(op, chosen(where, x, 0), dtype, acc_dtype, keepdims)
    return total if initial is None else ew.add(total, _start(initial, total.dtype))


def prod(
    x: Any,
    axis: Axes = None,
    dtype: Any = None,
    keepdims: bool = False,
    acc_dtype: Any = None,
    no_zeros_in_input: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The product along `axis`, all axes by default; 1 over nothing.

    Parameters are those of :func:`sum`, and one more.

    Parameters
    ----------
    no_zeros_in_input
        A promise that makes the gradient cheaper; with a zero it is NaN. Without the
        promise gradients of every order are exact at any number of zeros.

    Examples
    --------
    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=1).eval()
    array([ 2., 12.])
    """
    x = as_variable(x)
    op = Prod(normal_axes(axis, x.ndim), bool(no_zeros_in_input))
    total = _gathered(op, chosen(where, x, 1), dtype, acc_dtype, keepdims)
    return total if initial is None else mul(total, _start(initial, total.dtype))


def _start(initial: Any, dtype: str) -> Variable:
    """What a reduction starts from, as NumPy casts it: a float into an integer loses its fraction."""
    start = initial
    if not isinstance(initial, Variable):
        start = as_variable(initial, dtype)
    if start.ndim:
        raise ShapeError(f"initial must be a number, got {start.type}.")
    return cast(start, dtype)


def _extreme(
    ops: tuple[type[Extreme], type[Extreme]],
    x: Any,
    axis: Axes,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Variable:
    x = as_variable(x)
    strict, lenient = ops
    axes = normal_axes(axis, x.ndim)
    if initial is None:
        if as_mask(where) is not None:
            raise ShapeError(
                f"{strict.name} with a mask needs initial: all may be false."
            )
        return reduced(strict(axes), x, keepdims)
    start = _start(initial, x.dtype)
    found = reduced(lenient(axes), chosen(where, x, start), keepdims)
    return (ew.maximum if strict is Max else ew.minimum)(found, start)


def max(
    x: Any,
    axis: Axes = None,
    keepdims: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The largest element along `axis`; NaN when one is NaN.

    Complex numbers are ordered by their real parts, equal ones by their imaginary parts.
    The gradient is shared in equal parts by all elements that are largest.

    Parameters
    ----------
    initial
        Compared with the elements; with it a maximum exists over nothing, too.
    where
        A mask of the elements that count; needs `initial`.

    Raises
    ------
    ShapeError
        There is nothing to take a maximum of, when the value is computed.
    """
    return _extreme((Max, Supremum), x, axis, keepdims, initial, where)


def min(
    x: Any,
    axis: Axes = None,
    keepdims: bool = False,
    *,
    initial: Any = None,
    where: Any = None,
) -> Variable:
    """The smallest element along `axis`; NaN when one is NaN. Otherwise as :func:`max`."""
    return _extreme((Min, Infimum), x, axis, keepdims, initial, where)


def all(
    x: Any, axis: Axes = None, keepdims: bool = False, *, where: Any = None
) -> Variable:
    """Whether all elements along `axis` are true, of those that a mask `where` leaves."""
    x = as_variable(x)
    return reduced(All(normal_axes(axis, x.ndim)), chosen(where, x, 1), keepdims)


def any(
    x: Any, axis: Axes = None, keepdims: bool = False, *, where: Any = None
) -> Variable:
    """Whether any element along `axis` is true, of those that a mask `where` leaves."""
    x = as_variable(x)
    return reduced(Any_(normal_axes(axis, x.ndim)), chosen(where, x, 0), keepdims)


def _arg(op: type[ArgExtreme], x: Any, axis: Axes, keepdims: bool) -> Variable:
    x = as_variable(x)
    axes = normal_axes(axis, x.ndim)
    if len(axes) == 1:
        return reduced(op(axes), x, keepdims)
    place = op((x.ndim - len(axes),))(joined(x, axes))
    return keep(place, x.ndim, axes) if keepdims else place


def argmax(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Where the largest element along `axis` stands, int64: the first of equals, or the first NaN.

    Over several axes, or all without `axis`, the place is counted in row-major order.

    Raises
    ------
    ShapeError
        There is no element, when the value is computed.
    """
    return _arg(ArgMax, x, axis, keepdims)


def argmin(x: Any, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Where the smallest element along `axis` stands, int64. Otherwise as :func:`argmax`."""
    return _arg(ArgMin, x, axis, keepdims)


def max_and_argmax(
    x: Any, axis: Axes = None, keepdims: bool = False
) -> tuple[Variable, Variable]:
    """Both the largest element and its place."""
    return max(x, axis, keepdims), argmax(x, axis, keepdims)


__all__ = [
    "all", "any", "argmax", "argmin", "max", "max_and_argmax", "min", "prod", "sum",
]  # fmt: skip
