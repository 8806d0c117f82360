"""Typed inputs: ``T.matrix("x")``, ``T.lvector("y")``, ``T.tensor("float32", (None, 3), "z")``.

A letter in front fixes the dtype; without one it is ``config.floatX`` at that moment::

    b int8   w int16   i int32   l int64   f float32   d float64   c complex64   z complex128
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Variable
from workbench.core.types import DTYPES, TensorType

PREFIXES = {
    "": "",
    "b": "int8",
    "w": "int16",
    "i": "int32",
    "l": "int64",
    "f": "float32",
    "d": "float64",
    "c": "complex64",
    "z": "complex128",
}
SHAPES: dict[str, tuple[int | None, ...]] = {
    "scalar": (),
    "vector": (None,),
    "row": (1, None),
    "col": (None, 1),
    "matrix": (None, None),
    "tensor3": (None,) * 3,
    "tensor4": (None,) * 4,
    "tensor5": (None,) * 5,
    "tensor6": (None,) * 6,
    "tensor7": (None,) * 7,
}


def tensor(
    dtype_or_name: Any = None,
    /,
    shape: Sequence[int | None] | Sequence[bool] | int | None = None,
    name: str | None = None,
    broadcastable: Sequence[bool] | None = None,
    *,
    dtype: Any = None,
) -> Variable:
    """An input of any dtype and shape.

    Parameters
    ----------
    dtype_or_name
        The dtype, or, where `dtype` is given as a keyword or it names none, how the input
        is called.
    shape
        One entry an axis: a size, or None where it may change from call to call. Booleans
        are read as `broadcastable`.
    name
        How the input is called.
    broadcastable
        In place of `shape`: True for an axis of size 1.
    dtype
        floatX when not given.

    Raises
    ------
    DTypeError
        A name was given, and what stands first is no dtype.

    Examples
    --------
    >>> tensor("float32", (None, 3), "x")
    <x: float32 (?, 3)>
    >>> tensor("x", shape=(None, 3))
    <x: float64 (?, 3)>
    >>> tensor("x", dtype="int8", broadcastable=(True, False))
    <x: int8 (1, ?)>
    """
    first = dtype_or_name
    if (
        first is not None
        and name is None
        and (dtype is not None or not _is_dtype(first))
    ):
        if not isinstance(first, str):
            raise DTypeError(f"the name of an input must be text, got {first!r}.")
        first, name = None, first
    if first is not None and dtype is not None:
        raise DTypeError(f"two dtypes were given, {first!r} and {dtype!r}.")
    chosen = dtype if first is None else first
    return Variable(TensorType(_floatX(chosen), shape, broadcastable), name)


def _is_dtype(first: Any) -> bool:
    """Whether the first argument is a dtype; a single letter is rather a name."""
    if not isinstance(first, str):
        return True
    return first in (*DTYPES, "floatX") or (len(first) > 1 and _numpy_knows(first))


def _numpy_knows(text: str) -> bool:
    try:
        return np.dtype(text).name in DTYPES
    except TypeError:
        return False


def _floatX(dtype: Any) -> Any:
    return config.floatX if dtype is None else dtype


def _constructor(
    function: str, fixed: str, pattern: tuple[int | None, ...]
) -> Callable[..., Variable]:
    def make(
        name: str | None = None,
        dtype: Any = fixed or None,
        shape: Sequence[int | None] | None = None,
    ) -> Variable:
        sizes = pattern if shape is None else _checked(function, pattern, shape)
        return Variable(TensorType(_floatX(dtype), sizes), name)

    make.__name__ = make.__qualname__ = function
    sizes = ", ".join("n" if s is None else str(s) for s in pattern)
    make.__doc__ = f"An input of {fixed or 'floatX'} and shape ({sizes}): ``x = T.{function}('x')``."
    return make


def _checked(
    function: str, pattern: tuple[int | None, ...], shape: Sequence[int | None]
) -> tuple[int | None, ...]:
    """The sizes asked for, which must fit the constructor's own."""
    sizes = tuple(shape)
    fits = len(sizes) == len(pattern) and all(
        own in (None, size) for own, size in zip(pattern, sizes, strict=True)
    )
    if not fits:
        raise ShapeError(f"{function} cannot have the shape {sizes}.")
    return sizes


def _plural(
    function: str, one: Callable[..., Variable]
) -> Callable[..., list[Variable]]:
    def make(*names: str | int, dtype: Any = None) -> list[Variable]:
        options = {} if dtype is None else {"dtype": dtype}
        if len(names) == 1 and isinstance(names[0], int):
            return [one(**options) for _ in range(names[0])]
        single = names
        if len(names) == 1 and isinstance(names[0], str):
            single = tuple(names[0].replace(",", " ").split())
        return [one(name, **options) for name in single]

    make.__name__ = make.__qualname__ = function
    make.__doc__ = (
        f"Several inputs at once: ``x, y = T.{function}('x', 'y')``, or ``('x y')``, "
        "or how many."
    )
    return make


__all__ = ["tensor"]
for _prefix, _dtype in PREFIXES.items():
    for _name, _shape in SHAPES.items():
        _single = _prefix + _name
        _many = {"matrix": "matrices"}.get(_name, _name + "s")
        globals()[_single] = _constructor(_single, _dtype, _shape)
        globals()[_prefix + _many] = _plural(_prefix + _many, globals()[_single])
        __all__ += [_single, _prefix + _many]
