"""Arrays out of nothing: constants of a shape, ranges, the identity.

Read next: :mod:`workbench.core.ops.linalg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Generator, Indexer, Size, Sizes, known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import eq, fill
from workbench.core.ops.shape import SizeOf, alloc, as_sizes, dimshuffle, size_variable
from workbench.core.ops.ufunc import cast, kind
from workbench.core.types import Array, TensorType


class ARange(Generator):
    """start, start + step, … below stop, int64; three int64 scalars."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """A vector whose length is known when the bounds are constants."""
        start, stop, step = (known_int(v) for v in inputs)
        if step == 0:
            raise ShapeError("arange: the step must not be 0.")
        known = start is not None and stop is not None and step is not None
        return [
            TensorType(
                "int64",
                (len(range(start or 0, stop or 0, step or 1)) if known else None,),
            )
        ]

    def reference(self, start: Array, stop: Array, step: Array) -> Array:
        """``np.arange``."""
        if int(step) == 0:
            raise ShapeError("arange: the step must not be 0.")
        return np.arange(int(start), int(stop), int(step), dtype="int64")

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None, None, None]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """ceil((stop - start) / step), at least 0; `stop` alone when it counts from 0 by a size."""
        start, stop, step = node.inputs
        if known_int(start) == 0 and known_int(step) == 1 and is_size(stop):
            return [(stop,)]
        steps = ew.floor_div(
            ew.sub(ew.add(ew.sub(stop, start), step), ew.sign(step)), step
        )
        length: Size = ew.maximum(steps, 0)
        return [(length,)]

    def element(self, node: Apply, index: Sequence[Any], b: Indexer) -> Any:
        """start + step i."""
        start, _, step = node.inputs
        return b.size(start) + index[0] * b.size(step)


def is_size(variable: Variable) -> bool:
    """Whether a scalar is the size of an axis, and so never negative."""
    return variable.owner is not None and isinstance(variable.owner.op, SizeOf)


def arange(
    start: Any, stop: Any = None, step: Any = 1, dtype: str | None = None
) -> Variable:
    """start, start + step, … below stop; from 0 when only `start` is given.

    Integers give int64. Floats are made as ``start + step i`` in their common dtype, with
    ``ceil((stop - start) / step)`` elements.
    """
    if stop is None:
        start, stop = 0, start
    bounds = [as_variable(v) for v in (start, stop, step)]
    if any(v.ndim for v in bounds):
        raise ShapeError("arange takes scalars.")
    if all(kind(v.dtype) in "iub" for v in bounds):
        result = ARange()(*(cast(v, "int64") for v in bounds))
        return result if dtype is None else cast(result, dtype)
    first, last, width = bounds
    joined = ew.add(start, stop, step).dtype if dtype is None else _dtype(dtype)
    if kind(joined) not in "f":
        raise DTypeError(f"arange of {joined} is not defined.")
    length = cast(ew.ceil(ew.true_div(ew.sub(last, first), width)), "int64")
    places = ARange()(size_variable(0), length, size_variable(1))
    return ew.add(
        cast(first, joined), ew.mul(cast(places, joined), cast(width, joined))
    )


def zeros(shape: Any, dtype: str | None = None) -> Variable:
    """Zeros of `shape`, floatX by default."""
    return alloc(as_variable(0, _dtype(dtype)), as_shape(shape))


def ones(shape: Any, dtype: str | None = None) -> Variable:
    """Ones of `shape`, floatX by default."""
    return alloc(as_variable(1, _dtype(dtype)), as_shape(shape))


def full(shape: Any, value: Any, dtype: str | None = None) -> Variable:
    """`value` everywhere in `shape`."""
    return alloc(cast(value, dtype) if dtype else as_variable(value), as_shape(shape))


def as_shape(shape: Any) -> Any:
    """A shape given as anything :func:`~workbench.core.ops.shape.as_sizes` takes, as a list of sizes."""
    return list(as_sizes(shape))


def zeros_like(x: Any, dtype: str | None = None) -> Variable:
    """Zeros of the shape of `x`, and of its dtype unless another is given."""
    x = as_variable(x)
    return fill(x, as_variable(0, _dtype(dtype or x.dtype)))


def ones_like(x: Any, dtype: str | None = None) -> Variable:
    """Ones of the shape of `x`, and of its dtype unless another is given."""
    x = as_variable(x)
    return fill(x, as_variable(1, _dtype(dtype or x.dtype)))


def eye(n: Any, m: Any = None, k: int = 0, dtype: str | None = None) -> Variable:
    """Ones on diagonal `k` of an n by m matrix, zeros elsewhere."""
    rows, columns = arange(n), arange(n if m is None else m)
    return cast(
        eq(ew.add(dimshuffle(rows, 0, "x"), k), dimshuffle(columns, "x", 0)),
        _dtype(dtype),
    )


def _dtype(dtype: str | None) -> str:
    return config.floatX if dtype in (None, "floatX") else np.dtype(dtype).name
