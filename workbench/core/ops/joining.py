"""Arrays one after the other; the adjoint of a join is a slice.

Read next: :mod:`workbench.core.ops.masks`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Assembly, Indexer, Size, Sizes, equal_sizes
from workbench.core.ops import elementwise as ew
from workbench.core.ops.shape import (
    add_size,
    dimshuffle,
    flatten,
    normal_axis,
    size_variable,
    sizes_of,
)
from workbench.core.ops.slicing import SYMBOLIC, Slice
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array, TensorType

Casting = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
"""Which casts are allowed, in NumPy's words."""


@dataclass(frozen=True)
class Join(Assembly):
    """The inputs one after the other along `axis`."""

    axis: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The sum of the sizes along the axis; the other sizes must agree."""
        shape = list(inputs[0].type.shape)
        for axis in range(len(shape)):
            sizes = [v.type.shape[axis] for v in inputs]
            known = {s for s in sizes if s is not None}
            if axis == self.axis:
                shape[axis] = (
                    None if None in sizes else sum(s for s in sizes if s is not None)
                )
                continue
            if len(known) > 1:
                raise ShapeError(
                    f"cannot join along axis {self.axis}: sizes {sorted(known)} differ on axis {axis}."
                )
            shape[axis] = known.pop() if known else None
        return [TensorType(inputs[0].dtype, tuple(shape))]

    def reference(self, *inputs: Array) -> Array:
        """``np.concatenate``."""
        for axis in range(inputs[0].ndim):
            sizes = {x.shape[axis] for x in inputs}
            if axis != self.axis and len(sizes) > 1:
                raise ShapeError(
                    f"cannot join along axis {self.axis}: sizes {sorted(sizes)} differ on axis {axis}."
                )
        return np.concatenate(inputs, axis=self.axis)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The slices of g."""
        assert g is not None
        grads, start = [], size_variable(0)
        for x in node.inputs:
            stop = ew.add(start, size_variable(sizes_of(x)[self.axis]))
            index = tuple(
                (SYMBOLIC, SYMBOLIC, 1) if i == self.axis else (None, None, 1)
                for i in range(g.ndim)
            )
            grads.append(Slice(index)(g, start, stop) if x.type.is_float else None)
            start = stop
        return grads

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes added along the axis."""
        total: Size = 0
        for shape in shapes:
            total = add_size(total, shape[self.axis])
        return [
            tuple(total if axis == self.axis else s for axis, s in enumerate(shapes[0]))
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """The other axes agree."""
        others = [axis for axis in range(node.inputs[0].ndim) if axis != self.axis]
        return equal_sizes(node.inputs, shapes, others, stretch=False)

    def parts(self, node: Apply) -> Sequence[int]:
        """All inputs."""
        return range(len(node.inputs))

    def target_index(
        self, node: Apply, part: int, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """Moved behind the parts before."""
        offset: Size = 0
        for x in node.inputs[:part]:
            offset = add_size(offset, sizes_of(x)[self.axis])
        return [
            i + b.size(offset) if axis == self.axis else i
            for axis, i in enumerate(index)
        ]


# --- what users call ---------------------------------------------------------------------


def concatenate(
    tensors: Sequence[Any],
    axis: int | None = 0,
    *,
    dtype: str | None = None,
    casting: Casting = "same_kind",
) -> Variable:
    """The arrays one after the other along an axis they have, in their common dtype.

    Parameters
    ----------
    axis
        None for all elements in row-major order.
    dtype
        Of the result, instead of the common one.
    casting
        Which casts to it are allowed, in NumPy's words.

    Raises
    ------
    ShapeError
        There is no array, or they do not fit together.
    DTypeError
        A dtype may not be cast.
    """
    variables = [as_variable(t) for t in tensors]
    if axis is None:
        variables, axis = [flatten(v) for v in variables], 0
    axis = operator.index(axis)
    if not variables:
        raise ShapeError("concatenate needs at least one array.")
    at = normal_axis(axis, variables[0].ndim)
    ranks = {v.ndim for v in variables}
    if len(ranks) > 1:
        raise ShapeError(
            f"concatenate needs arrays of one rank; got ranks {sorted(ranks)}."
        )
    common = _common_dtype(variables, dtype, casting)
    return Join(at)(*(cast(v, common) for v in variables))


def _common_dtype(
    variables: Sequence[Variable], dtype: str | None, casting: Casting
) -> str:
    if dtype is None:
        return np.result_type(*(v.dtype for v in variables)).name
    wanted = config.floatX if dtype == "floatX" else np.dtype(dtype).name
    for v in variables:
        if not np.can_cast(v.dtype, wanted, casting):
            raise DTypeError(
                f"cannot cast {v.label()}, {v.type}, to {wanted} with casting={casting!r}."
            )
    return wanted


def stack(
    tensors: Sequence[Any],
    axis: Any = 0,
    *more: Any,
    dtype: str | None = None,
    casting: Casting = "same_kind",
) -> Variable:
    """Arrays of one shape along a new axis; `dtype` and `casting` as in :func:`concatenate`.

    ``stack(a, b)`` of variables is ``stack([a, b])``, as the Theano tradition has it.

    Raises
    ------
    ShapeError
        The arrays are not of one shape, or there is none.
    DTypeError
        A dtype may not be cast, or no sequence is given.
    """
    if not isinstance(tensors, list | tuple):
        if more or isinstance(axis, Variable):
            tensors, axis = [tensors, axis, *more], 0
        elif not isinstance(tensors, Variable | np.ndarray):
            raise DTypeError(f"stack takes a sequence of arrays, not {tensors!r}.")
    variables = [as_variable(t) for t in tensors]
    ranks = {v.ndim for v in variables}
    if len(ranks) != 1:
        raise ShapeError(f"stack needs arrays of one shape; got ranks {sorted(ranks)}.")
    at = normal_axis(axis, ranks.pop() + 1)
    order: list[Any] = list(range(variables[0].ndim))
    order.insert(at, "x")
    return concatenate(
        [dimshuffle(v, *order) for v in variables], at, dtype=dtype, casting=casting
    )
