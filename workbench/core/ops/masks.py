"""Masks: the places where something holds. How many they are, only the values say.

A mask as an index stands for the integer arrays that name the places where it is true, so
reading and putting at a mask is reading and putting at those
(:mod:`workbench.core.ops.gathering`).

Read next: :mod:`workbench.core.ops.subscript`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.errors import IndexShapeError, Report, ShapeError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Opaque, Size, known_int
from workbench.core.ops.joining import stack
from workbench.core.ops.shape import BroadcastTo, dimshuffle, ravel, size_variable
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array, TensorType


class NonZero(Opaque):
    """The places of the elements that are not zero: an int64 vector for each axis.

    They are in row-major order; NaN is not zero. Further inputs are sizes: those of what the
    first input is a mask for, which its own sizes must equal.
    """

    name = "nonzero"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """As many vectors as axes, all as long as there are such elements."""
        x, *sizes = inputs
        known = [known_int(size) for size in sizes] or [None] * x.ndim
        for axis, (have, want) in enumerate(zip(x.type.shape, known, strict=True)):
            if None not in (have, want) and have != want:
                raise IndexShapeError(_mismatch(axis, have, want))
        return [TensorType("int64", (None,))] * x.ndim

    def reference(self, x: Array, *sizes: Array) -> tuple[Array, ...]:
        """``np.nonzero``."""
        for axis, (have, want) in enumerate(zip(x.shape, sizes, strict=False)):
            if have != want:
                raise IndexShapeError(_mismatch(axis, have, int(want)))
        return np.nonzero(x)

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None for _ in node.inputs]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None: the places do not move with the values."""
        return [False for _ in node.inputs]


def _mismatch(axis: int, have: int | None, want: int | None) -> Report:
    return Report(
        f"a mask of size {have} on its axis {axis} does not fit an axis of size {want}."
    ).add(
        "hint",
        "a mask has the sizes of the axes that it indexes; integers need not.",
    )


def places_of(mask: Variable, sizes: Sequence[Size]) -> list[Variable]:
    """The integer arrays that a mask for axes of the given sizes stands for.

    Raises
    ------
    IndexShapeError
        Known sizes differ; others are compared when it runs.
    """
    made = NonZero().make_node(mask, *map(size_variable, sizes))
    if isinstance(mask, Constant) and all(isinstance(size, int) for size in sizes):
        return [Constant(places) for places in np.nonzero(mask.data)]
    return list(made.outputs)


def places_of_scalar(mask: Variable) -> Variable:
    """The places that a scalar mask takes from a new axis of size 1: 0, or none."""
    zero = Constant(np.zeros(1, "int64"))
    if isinstance(mask, Constant):
        return Constant(zero.data[: int(mask.data)])
    return BroadcastTo(1)(zero, cast(mask, "int64"))


# --- what users call ---------------------------------------------------------------------


def nonzero(x: Any, return_matrix: bool = False) -> Any:
    """The places of the elements that are not zero: a tuple of int64 vectors, one an axis.

    ``x[nonzero(x)]`` are these elements. With `return_matrix` the vectors are the rows of a
    matrix.

    Raises
    ------
    ShapeError
        `x` has no axes.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> T.nonzero(x)[0].eval({x: [0.0, 3.0, 0.0, 2.0]})
    array([1, 3])
    """
    x = as_variable(x)
    if not x.ndim:
        raise ShapeError("nonzero needs an array of at least 1 axis, not a scalar.")
    places = NonZero().make_node(x).outputs
    return stack(list(places)) if return_matrix else tuple(places)


def flatnonzero(x: Any) -> Variable:
    """The places of the elements of the flattened `x` that are not zero."""
    (places,) = NonZero().make_node(ravel(x)).outputs
    return places


def argwhere(x: Any) -> Variable:
    """The places of the elements that are not zero: a row for each, a column for each axis."""
    x = as_variable(x)
    if not x.ndim:  # one row or none, of no columns
        found = flatnonzero(x)
        return BroadcastTo(2)(
            Constant(np.zeros((1, 0), "int64")),
            found.shape[0],
            size_variable(0),
        )
    return dimshuffle(nonzero(x, return_matrix=True), 1, 0)
