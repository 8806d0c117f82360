"""Arrays out of nothing: constants of a shape, ranges, the identity.

Read next: :mod:`workbench.core.ops.rearrange`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError, ZeroStepError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Generator, Indexer, Size, Sizes, known_int, known_value
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import eq, fill
from workbench.core.ops.shape import (
    SizeOf,
    alloc,
    as_sizes,
    dimshuffle,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import cast, kind, weak_type
from workbench.core.types import Array, TensorType


class ARange(Generator):
    """start, start + step, … below stop, int64; three int64 scalars."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """A vector whose length is known when the bounds are constants."""
        start, stop, step = (known_int(v) for v in inputs)
        if step == 0:
            raise ZeroStepError("arange: the step must not be 0.")
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
            raise ZeroStepError("arange: the step must not be 0.")
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

    Integers give int64. Floats are made as ``start + i ((start + step) - start)``, as many
    as ``ceil((stop - start) / step)``, and are as wide as NumPy has them: a float32 among
    integers of 64 bits gives float64. A `dtype` is taken for all of this but the number.

    Raises
    ------
    ZeroStepError
        The step is 0.
    """
    if stop is None:
        start, stop = 0, start
    given = (start, stop, 1 if step is None else step)
    bounds = [as_variable(v) for v in given]
    if any(v.ndim for v in bounds):
        raise ShapeError("arange takes scalars.")
    joined = _range_dtype(bounds) if dtype is None else _dtype(dtype)
    if joined == "bool":
        raise DTypeError("arange counts in numbers, not in bools.")
    if all(kind(v.dtype) in "iub" and v.dtype != "uint64" for v in bounds):
        result = ARange()(*(cast(v, "int64") for v in bounds))
        return cast(result, joined)
    if any(kind(v.dtype) == "c" for v in bounds):
        raise DTypeError("arange counts up to real numbers only.")
    return _range_of_floats(*given, joined)


def _range_dtype(bounds: Sequence[Variable]) -> str:
    """int64 and the dtypes of the bounds joined; floatX where no bound is a float64."""
    dtypes = [v.dtype for v in bounds]
    joined = np.result_type("int64", *dtypes).name
    by_default = joined == "float64" and "float64" not in dtypes
    return config.floatX if by_default else joined


def _range_of_floats(first: Any, last: Any, width: Any, dtype: str) -> Variable:
    """The numbers are joined as they are given, so that Python's adapt to arrays."""
    if known_value(as_variable(width)) == 0:
        raise ZeroStepError("arange: the step must not be 0.")
    numbers = [v.data if isinstance(v, Constant) else v for v in (first, last, width)]
    if any(isinstance(v, Variable) for v in numbers):
        steps = ew.true_div(ew.sub(last, first), width)
        length = cast(ew.ceil(steps), "int64")
    else:
        first, last, width = numbers
        length = size_variable(max(0, int(np.ceil((last - first) / width))))
    places = ARange()(size_variable(0), length, size_variable(1))
    start = cast(first, dtype)
    step = ew.sub(cast(ew.add(first, width), dtype), start)
    return ew.add(start, ew.mul(cast(places, dtype), step))


# --- filled arrays -----------------------------------------------------------------------


def zeros(shape: Any, dtype: str | None = None) -> Variable:
    """Zeros of `shape`, floatX by default."""
    return alloc(as_variable(0, _dtype(dtype)), as_shape(shape))


def ones(shape: Any, dtype: str | None = None) -> Variable:
    """Ones of `shape`, floatX by default."""
    return alloc(as_variable(1, _dtype(dtype)), as_shape(shape))


def empty(shape: Any, dtype: str | None = None) -> Variable:
    """An array of `shape`, floatX by default, whose values do not matter: they are zeros."""
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: str | None = None) -> Variable:
    """`fill_value` everywhere in `shape`, stretched along its axes of size 1."""
    value = cast(fill_value, dtype) if dtype else as_variable(fill_value)
    return alloc(value, as_shape(shape))


def as_shape(shape: Any) -> Any:
    """A shape given as anything :func:`~workbench.core.ops.shape.as_sizes` takes, as a list of sizes."""
    return list(as_sizes(shape))


def zeros_like(x: Any, dtype: str | None = None, *, shape: Any = None) -> Variable:
    """Zeros of the shape and dtype of `x` unless others are given."""
    return full_like(x, 0, dtype, shape=shape)


def ones_like(x: Any, dtype: str | None = None, *, shape: Any = None) -> Variable:
    """Ones of the shape and dtype of `x` unless others are given."""
    return full_like(x, 1, dtype, shape=shape)


def AllocEmpty(dtype: str) -> Callable[..., Variable]:
    """What makes arrays of `dtype` for sizes given one by one: ``AllocEmpty("int8")(n, m)``.

    Their values do not matter: they are zeros.
    """
    return lambda *shape: empty(shape, dtype)


def empty_like(x: Any, dtype: str | None = None, *, shape: Any = None) -> Variable:
    """An array of the shape and dtype of `x` whose values do not matter: they are zeros."""
    return full_like(x, 0, dtype, shape=shape)


def full_like(
    x: Any, fill_value: Any, dtype: str | None = None, *, shape: Any = None
) -> Variable:
    """`fill_value` everywhere in the shape of `x`, cast to its dtype, unless others are given."""
    x = as_variable(x)
    wanted = _dtype(dtype or x.dtype)
    weak = weak_type(fill_value)
    if weak is int and kind(wanted) in "iu":
        fill_value = as_variable(fill_value, wanted)
    elif weak is not None:
        fill_value = np.array(fill_value)
    value = cast(fill_value, wanted)
    if value.ndim or shape is not None:
        return alloc(value, sizes_of(x) if shape is None else as_shape(shape))
    return fill(x, value)


# --- the identity ------------------------------------------------------------------------


def eye(N: Any, M: Any = None, k: Any = 0, dtype: str | None = None) -> Variable:
    """Ones on diagonal `k` of an N by M matrix, zeros elsewhere.

    Raises
    ------
    ShapeError
        A size is negative.
    """
    rows, columns = (_places(size, "eye") for size in (N, N if M is None else M))
    return cast(
        eq(ew.add(dimshuffle(rows, 0, "x"), k), dimshuffle(columns, "x", 0)),
        _dtype(dtype),
    )


def _places(size: Any, function: str) -> Variable:
    """0, 1, … below a size."""
    if isinstance(size, list | tuple):
        raise DTypeError(f"{function}: a size is one integer, not {size}.")
    (count,) = as_sizes(size)
    known = known_int(count)
    if known is not None and known < 0:
        raise ShapeError(f"{function}: a size is negative, {known}.")
    return ARange()(size_variable(0), count, size_variable(1))


def identity(n: Any, dtype: str | None = None) -> Variable:
    """Ones on the diagonal of an n by n matrix, zeros elsewhere."""
    return eye(n, dtype=dtype)


def identity_like(x: Any, dtype: str | None = None) -> Variable:
    """Ones on the diagonal of a matrix of the sizes of `x`, and of its dtype; zeros elsewhere."""
    x = as_variable(x)
    if x.ndim != 2:
        raise ShapeError(f"identity_like takes a matrix, got {x.label()}: {x.type}.")
    rows, columns = sizes_of(x)
    return eye(rows, columns, dtype=dtype or x.dtype)


def _dtype(dtype: Any) -> str:
    return config.floatX if dtype in (None, "floatX") else np.dtype(dtype).name
