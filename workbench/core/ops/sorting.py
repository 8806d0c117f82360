"""Sorted elements, the places they come from, and the k largest or smallest of them.

Values come from places: ``topk`` gathers what ``argtopk`` finds, and the gradient of ``sort``
goes back to where each element stood. Searching for places has no gradient of its own.
NaN counts as larger than everything, complex numbers are ordered by their real parts, equal
ones by their imaginary parts, all as in NumPy.

Read next: :mod:`workbench.core.ops.counting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ParameterError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes, known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import zeros_like
from workbench.core.ops.indexing import take_along_axis
from workbench.core.ops.running import along
from workbench.core.ops.shape import flatten, normal_axis
from workbench.core.ops.subscript import inc_subtensor
from workbench.core.ops.ufunc import cast, kind
from workbench.core.types import Array, TensorType

KINDS = ("quicksort", "mergesort", "heapsort", "stable")


@dataclass(frozen=True)
class Sort(Opaque):
    """The elements along `axis` in increasing order, NaN last."""

    axis: int
    kind: str = "quicksort"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the input."""
        return [inputs[0].type]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the input."""
        return [tuple(shapes[0])]

    def reference(self, x: Array) -> Array:
        """``np.sort``."""
        return np.sort(x, axis=self.axis, kind=self.kind)  # type: ignore[call-overload]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g where the elements came from; of equal elements the first comes first."""
        (x,) = node.inputs
        assert g is not None
        places = ArgSort(self.axis)(x)
        return [inc_subtensor(take_along_axis(zeros_like(x), places, self.axis), g)]


class Places(Opaque):
    """Finds places along an axis of its first input; they do not change smoothly."""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None] * len(node.inputs)

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False] * len(node.inputs)


@dataclass(frozen=True)
class ArgSort(Places):
    """The places, int64, that sort along `axis`; equal elements keep their order."""

    axis: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """int64 of the shape of the input."""
        return [inputs[0].type.with_dtype("int64")]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the input."""
        return [tuple(shapes[0])]

    def reference(self, x: Array) -> Array:
        """``np.argsort``, stable, so that it does not depend on the machine."""
        return np.argsort(x, axis=self.axis, kind="stable").astype("int64")


@dataclass(frozen=True)
class ArgPartition(Places):
    """Places, int64, that put the elements number `kth` in sorted order where sorting would.

    Along `axis` smaller elements stand before each of them and no smaller ones behind; in
    which order is open, and may differ between machines.
    """

    axis: int
    kth: tuple[int, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """int64 of the shape of the input."""
        (x,) = inputs
        size = x.type.shape[self.axis]
        if size is not None:
            self.check(size)
        return [x.type.with_dtype("int64")]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the input."""
        return [tuple(shapes[0])]

    def reference(self, x: Array) -> Array:
        """``np.argpartition``."""
        self.check(x.shape[self.axis])
        return np.argpartition(x, self.kth, self.axis).astype("int64")

    def check(self, size: int) -> None:
        """Raise a ShapeError when there is no element of such a number."""
        bad = [k for k in self.kth if not -size <= k < size]
        if bad:
            raise ShapeError(f"partition: there is no element {bad[0]} of {size}.")


@dataclass(frozen=True)
class ArgTopK(Places):
    """The places of the k largest along `axis`, largest first; of the -k smallest for k < 0.

    Of equal elements the first is taken first. Unless `sorted` the places increase.
    """

    axis: int
    sorted: bool = True

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """int64, |k| long along the axis."""
        x, k = inputs
        shape = list(x.type.shape)
        size, number = shape[self.axis], known_int(k)
        if number is not None:
            check_number(number, size)
        shape[self.axis] = None if number is None else abs(number)
        return [TensorType("int64", tuple(shape))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """|k| along the axis, else the sizes of the input."""
        sizes: list[Size] = list(shapes[0])
        number = known_int(node.inputs[1])
        sizes[self.axis] = ew.abs(node.inputs[1]) if number is None else abs(number)
        return [tuple(sizes)]

    def reference(self, x: Array, k: Array) -> Array:
        """A stable sort; for the largest of the elements in reversed order, so that ties do not turn."""
        size, number = x.shape[self.axis], int(k)
        check_number(number, size)
        if number < 0:
            order = np.argsort(x, axis=self.axis, kind="stable")
        else:
            order = np.argsort(np.flip(x, self.axis), axis=self.axis, kind="stable")
            order = size - 1 - np.flip(order, self.axis)
        best = np.take(order, np.arange(abs(number)), self.axis)
        return (best if self.sorted else np.sort(best, self.axis)).astype("int64")


def check_number(k: int, size: int | None) -> None:
    """Raise a ShapeError unless `k` of `size` elements, of either sign, can be taken."""
    if k == 0 or (size is not None and abs(k) > size):
        of = "" if size is None else f" of {size}"
        raise ShapeError(f"topk: cannot take the best {k} elements{of}.")


# --- what users call ---------------------------------------------------------------------


def sort(
    x: Any,
    axis: int | None = -1,
    kind: str | None = None,
    order: None = None,
    *,
    stable: bool | None = None,
) -> Variable:
    """The elements along `axis` in increasing order, NaN last; flattened when `axis` is None.

    The gradient goes to where each element stood; where two are equal, the function has a
    kink, and the first of them counts as the smaller.

    Parameters
    ----------
    kind : {"quicksort", "mergesort", "heapsort", "stable"}
        As in NumPy; the result is the same, but for the order of 0 and -0.
    order
        For structured arrays, which do not exist here.
    stable
        True for ``kind="stable"``.

    Raises
    ------
    AxisError
        The axis is out of range.
    ShapeError
        The kind is not known.
    """
    chosen = _kind(kind, order, stable)
    x, place = _axis(x, axis)
    return Sort(place, chosen)(x)


def argsort(
    x: Any,
    axis: int | None = -1,
    kind: str | None = None,
    order: None = None,
    *,
    stable: bool | None = None,
) -> Variable:
    """The places, int64, of the elements along `axis` in increasing order, NaN last.

    Of the flattened array when `axis` is None. Equal elements keep their order whatever
    the `kind`: NumPy leaves it open unless the kind is stable.
    """
    _kind(kind, order, stable)
    x, place = along(x, axis)
    return ArgSort(place)(x)


def _axis(x: Any, axis: int | None) -> tuple[Variable, int]:
    """As :func:`along`, but a scalar has no axis."""
    x = as_variable(x)
    return along(x, None if axis is None else normal_axis(axis, x.ndim))


def _kind(kind: str | None, order: None, stable: bool | None) -> str:
    if order is not None:
        raise ShapeError("order names fields of structured arrays; tensors have none.")
    if kind is not None and stable is not None:
        raise ShapeError("give kind or stable, not both.")
    found = KINDS[3] if stable else kind or KINDS[0]
    if found not in KINDS:
        raise ShapeError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    return found


def partition(x: Any, kth: int | Sequence[int], axis: int | None = -1) -> Variable:
    """`x` with its elements number `kth`, in sorted order, where sorting would put them.

    Along `axis`, or flattened for None, no larger elements stand before each of them and no
    smaller ones behind. In linear time, where sorting takes n log n. The gradient goes to
    where each element stood.

    Examples
    --------
    >>> partition([7.0, 1.0, 5.0, 3.0], 1)[1].eval()
    array(3.)
    """
    x, place = _axis(x, axis)
    return take_along_axis(x, argpartition(x, kth, place), place)


def argpartition(x: Any, kth: int | Sequence[int], axis: int | None = -1) -> Variable:
    """The places, int64, of the elements that :func:`partition` gives.

    Raises
    ------
    ShapeError
        There is no element `kth`: when the function is called, or while the graph is built
        if the size is known.
    """
    x, place = _axis(x, axis)
    numbers = kth if isinstance(kth, list | tuple) else (kth,)
    if any(isinstance(k, bool) for k in numbers):
        raise ParameterError(f"kth must be an integer, not {kth}.")
    return ArgPartition(place, tuple(index(k) for k in numbers))(x)


def _number(k: Any) -> Variable:
    number = as_variable(k)
    if number.ndim or kind(number.dtype) not in "iu":
        raise DTypeError(f"kth must be an integer scalar, got {number.type}.")
    return cast(number, "int64")


def _top(
    x: Any, kth: Any, axis: int | None, sorted: bool, values: bool
) -> tuple[Variable, Variable]:
    x = as_variable(x)
    if axis is None:
        x = flatten(x)
    place = normal_axis(-1 if axis is None else axis, x.ndim)
    places = ArgTopK(place, bool(sorted))(x, _number(kth))
    return (take_along_axis(x, places, place) if values else x), places


def topk(
    x: Any,
    kth: Any,
    axis: int | None = -1,
    sorted: bool = True,
    idx_dtype: str = "int64",
) -> Variable:
    """The `kth` largest elements along `axis`, or for a negative `kth` the -kth smallest.

    Parameters
    ----------
    kth
        How many, an integer or an integer scalar variable other than 0.
    axis
        The last by default; None for the flattened array.
    sorted
        The best first; if False in the order in which they stand in `x`.
    idx_dtype
        Nothing here, where no places are given; as in :func:`argtopk`.

    Raises
    ------
    ShapeError
        `kth` is 0 or more than there are: when the function is called, or while the graph
        is built if both are known.

    Notes
    -----
    NaN counts as largest. The gradient goes to the elements taken; of equal ones the first
    is taken first.

    Examples
    --------
    >>> topk([3, 1, 4, 1, 5], 2).eval()
    array([5, 4])
    >>> topk([3, 1, 4, 1, 5], -3, sorted=False).eval()
    array([3, 1, 1])
    """
    return _top(x, kth, axis, sorted, True)[0]


def argtopk(
    x: Any,
    kth: Any,
    axis: int | None = -1,
    sorted: bool = True,
    idx_dtype: str = "int64",
) -> Variable:
    """The places of the elements that :func:`topk` gives, as `idx_dtype`."""
    return cast(_top(x, kth, axis, sorted, False)[1], idx_dtype)


def topk_and_argtopk(
    x: Any,
    kth: Any,
    axis: int | None = -1,
    sorted: bool = True,
    idx_dtype: str = "int64",
) -> tuple[Variable, Variable]:
    """What :func:`topk` and :func:`argtopk` give."""
    values, places = _top(x, kth, axis, sorted, True)
    return values, cast(places, idx_dtype)


__all__ = [
    "argpartition",
    "argsort",
    "argtopk",
    "partition",
    "sort",
    "topk",
    "topk_and_argtopk",
]
