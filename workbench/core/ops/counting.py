"""How often values occur, which occur at all, and where a value belongs among sorted ones.

How many different values there are, or how large the largest is, only the values decide: the
sizes of `unique` and `bincount` are known when they have been computed.

Read next: :mod:`workbench.core.ops.statistics`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import ArgumentError, DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes
from workbench.core.ops.creation import zeros_like
from workbench.core.ops.indexing import take
from workbench.core.ops.shape import normal_axis
from workbench.core.ops.sorting import Places
from workbench.core.ops.subscript import inc_subtensor, index
from workbench.core.ops.ufunc import cast, kind
from workbench.core.types import Array, Shape, TensorType


@dataclass(frozen=True)
class BinCount(Opaque):
    """How often each number from 0 occurs in an int64 vector, at least `minlength` entries.

    With float64 weights, a second vector, each occurrence counts as its weight.
    """

    minlength: int = 0

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """A vector: int64 counts, or float64 sums of weights."""
        return [TensorType("int64" if len(inputs) == 1 else "float64", (None,))]

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[Size | None]]:
        """One more than the largest number."""
        return [(None,)]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """There are as many weights as numbers."""
        return [] if len(shapes) == 1 else [(0, shapes[0][0], shapes[1][0])]

    def reference(self, x: Array, weights: Array | None = None) -> Array:
        """``np.bincount``."""
        if x.size and x.min() < 0:
            raise ShapeError(f"bincount counts from 0, but got {x.min()}.")
        if weights is not None and len(weights) != len(x):
            raise ShapeError(
                f"bincount of {len(x)} numbers with {len(weights)} weights."
            )
        counts = np.bincount(x, weights, self.minlength)
        return counts.astype("int64" if weights is None else "float64", copy=False)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """To each weight the gradient of the entry it was added to."""
        if len(node.inputs) == 1:
            return [None]
        assert g is not None
        return [None, take(g, node.inputs[0])]


@dataclass(frozen=True)
class SearchSorted(Places):
    """Where each element of v goes in a sorted vector so that it stays sorted."""

    side: str = "left"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """int64 of the shape of v."""
        return [inputs[1].type.with_dtype("int64")]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of v."""
        return [tuple(shapes[1])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """A sorter has as many places as there are elements."""
        return [] if len(shapes) == 2 else [(0, shapes[0][0], shapes[2][0])]

    def reference(self, x: Array, v: Array, sorter: Array | None = None) -> Array:
        """``np.searchsorted``."""
        found = np.searchsorted(x, v, self.side, sorter)  # type: ignore[call-overload]
        return np.asarray(found, "int64")


@dataclass(frozen=True)
class Digitize(Places):
    """In which bin, between two edges of a monotonic vector, each element of x lies."""

    right: bool = False

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """int64 of the shape of x."""
        return [inputs[0].type.with_dtype("int64")]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of x."""
        return [tuple(shapes[0])]

    def reference(self, x: Array, bins: Array) -> Array:
        """``np.digitize``."""
        steps = bins[1:] >= bins[:-1]
        if not (steps.all() or (bins[1:] <= bins[:-1]).all()):
            raise ShapeError("digitize: bins must increase or decrease throughout.")
        return np.asarray(np.digitize(x, bins, self.right), "int64")


@dataclass(frozen=True)
class Unique(Opaque):
    """The different elements in increasing order, or different slices along `axis`.

    Always four outputs, since one sort gives them all: the values, the place of each one's
    first occurrence, for every element the place of its value, and how often each occurs.
    """

    axis: int | None = None
    equal_nan: bool = True

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """As many values as there are different ones; places and counts are int64."""
        (x,) = inputs
        values: Shape = (None,)
        inverse: Shape = x.type.shape
        if self.axis is not None:
            values = tuple(None if i == self.axis else s for i, s in enumerate(inverse))
            inverse = (inverse[self.axis],)
        number = TensorType("int64", (None,))
        return [x.type.with_shape(values), number, TensorType("int64", inverse), number]

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[Size | None, ...]]:
        """Known are the other axes, and the shape of the inverse."""
        (shape,) = shapes
        if self.axis is None:
            return [(None,), (None,), tuple(shape), (None,)]
        values = tuple(None if i == self.axis else s for i, s in enumerate(shape))
        return [values, (None,), (shape[self.axis],), (None,)]

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``np.unique``."""
        values, first, inverse, counts = np.unique(
            x, True, True, True, axis=self.axis, equal_nan=self.equal_nan
        )
        shape = x.shape if self.axis is None else (x.shape[self.axis],)
        return (
            values,
            first.astype("int64"),
            inverse.reshape(shape).astype("int64"),
            counts.astype("int64"),
        )

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """To the first occurrence of each value."""
        (x,), g = node.inputs, grads[0]
        if g is None:
            return [None]
        places = node.outputs[1]
        zeros = zeros_like(x)
        if self.axis is None:
            flat = zeros.reshape((-1,))  # type: ignore[attr-defined]
            made = inc_subtensor(index(flat, places), g)
            return [made.reshape(x.shape, ndim=x.ndim)]  # type: ignore[attr-defined]
        key = (slice(None),) * self.axis
        return [inc_subtensor(index(zeros, (*key, places)), g)]


# --- what users call ---------------------------------------------------------------------


def bincount(
    x: Any,
    weights: Any = None,
    minlength: int | None = None,
    assert_nonneg: bool = False,
) -> Variable:
    """How often each number from 0 on occurs in an integer vector.

    Parameters
    ----------
    x : [n]
        Bools or integers, none negative.
    weights : [n]
        How much each occurrence counts, added up in float64; a gradient reaches them.
    minlength
        The least length of the result; by default it ends at the largest number.
    assert_nonneg
        Nothing: negative numbers are always an error.

    Raises
    ------
    ShapeError
        `x` is no vector or `minlength` is negative; when called, a number is negative or
        there are not as many weights as numbers.
    DTypeError
        `x` is not integer, or weights are complex.

    Examples
    --------
    >>> bincount([0, 2, 2, 5], minlength=3).eval()
    array([1, 0, 2, 0, 0, 1])
    """
    x = as_variable(np.zeros(0, "int64") if isinstance(x, list) and not x else x)
    if kind(x.dtype) not in "biu":
        raise DTypeError(f"bincount counts integers, got {x.label()}: {x.type}.")
    if x.ndim != 1:
        raise ShapeError(f"bincount takes a vector, got {x.label()}: {x.type}.")
    least = operator.index(minlength or 0)
    if least < 0:
        raise ShapeError(f"minlength must not be negative, got {minlength}.")
    op = BinCount(least)
    if weights is None:
        return op(cast(x, "int64"))
    w = as_variable(weights)
    if w.ndim != 1:
        raise ShapeError(
            f"weights of bincount are a vector, got {w.label()}: {w.type}."
        )
    return op(cast(x, "int64"), cast(w, "float64"))


def searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Variable:
    """Where each element of `v` goes in the sorted vector `x` so that it stays sorted, int64.

    Parameters
    ----------
    side : {"left", "right"}
        Before or after elements that are equal.
    sorter : [n] of integers
        Places that sort `x`, when it is not sorted itself.

    Examples
    --------
    >>> searchsorted([1.0, 2.0, 4.0], [2.0, 3.0]).eval()
    array([1, 2])
    """
    x, v = as_variable(x), as_variable(v)
    if x.ndim != 1:
        raise ShapeError(f"searchsorted searches a vector, got {x.label()}: {x.type}.")
    if not isinstance(side, str):
        raise ArgumentError(f"side must be 'left' or 'right', not {side!r}.")
    if side not in ("left", "right"):
        raise ShapeError(f"side must be 'left' or 'right', not {side!r}.")
    if sorter is None:
        return SearchSorted(side)(x, v)
    places = as_variable(sorter)
    if kind(places.dtype) not in "iu":
        raise DTypeError(f"a sorter holds integers, got {places.type}.")
    if places.ndim != 1:
        raise ShapeError(f"a sorter is a vector, got {places.type}.")
    return SearchSorted(side)(x, v, cast(places, "int64"))


def digitize(x: Any, bins: Any, right: bool = False) -> Variable:
    """The number of the bin in which each element lies: i where bins[i - 1] <= x < bins[i].

    Parameters
    ----------
    bins : [n]
        Edges that increase or decrease throughout.
    right
        Whether a bin holds its right edge, not its left.

    Examples
    --------
    >>> digitize([0.5, 1.0, 7.0], [0.0, 1.0, 2.0]).eval()
    array([1, 2, 3])
    """
    x, bins = as_variable(x), as_variable(bins)
    if bins.ndim != 1:
        raise ShapeError(f"bins are a vector, got {bins.label()}: {bins.type}.")
    if "c" in (kind(x.dtype), kind(bins.dtype)):
        raise DTypeError("digitize is not defined for complex numbers.")
    return Digitize(bool(right))(x, bins)


def unique(
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The different elements in increasing order; different slices along `axis` if given.

    The gradient goes to the first occurrence of each value.

    Parameters
    ----------
    return_index
        Also give the place of the first occurrence of each value.
    return_inverse
        Also give for each element the place of its value: of the shape of `x`, or a vector
        along `axis`.
    return_counts
        Also give how often each value occurs.
    equal_nan
        Whether all NaN are one value.
    sorted
        Nothing: the values always increase.

    Returns
    -------
    Variable or list of Variable
        The values; a list when more is asked for, in the order of the arguments.

    Examples
    --------
    >>> values, counts = unique([3, 1, 3], return_counts=True)
    >>> values.eval(), counts.eval()
    (array([1, 3]), array([1, 2]))
    """
    x = as_variable(x)
    place = None if axis is None else normal_axis(axis, x.ndim)
    outputs = Unique(place, bool(equal_nan)).make_node(x).outputs
    asked = (True, return_index, return_inverse, return_counts)
    given = [v for v, wanted in zip(outputs, asked, strict=True) if wanted]
    return given if len(given) > 1 else given[0]


__all__ = ["bincount", "digitize", "searchsorted", "unique"]
