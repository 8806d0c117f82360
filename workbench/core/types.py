"""The type of a variable: a dtype and what is known of its shape.

A type is what can be said before any value exists. Every axis has a size where it is known
and ``None`` where it may change from call to call. An axis of size 1 that is *declared* so
broadcasts; one that merely happens to be 1 at run time does not, and the error says which
axis to declare.

Read next: :mod:`workbench.core.graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from workbench.config import config
from workbench.core.errors import DTypeError, ShapeError

Shape = tuple[int | None, ...]
Array = npt.NDArray[Any]

RANK_NAMES = ("scalar", "vector", "matrix", "tensor3", "tensor4", "tensor5")

DTYPES = (
    "bool",
    "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip


_SIZES = frozenset([int, type(None)])


@dataclass(frozen=True, init=False)
class TensorType:
    """An array type: `dtype` by name, `shape` with ``None`` for sizes known only at run time.

    Parameters
    ----------
    dtype
        By name, or in any other way NumPy knows.
    shape
        One entry an axis: a size, or None; for an array of one axis also its size alone.
        Booleans are read as `broadcastable`.
    broadcastable
        In place of `shape`: True for an axis of size 1 that stretches, False for any size.

    Examples
    --------
    >>> str(TensorType("float32", (None, 10)))
    'float32 (?, 10)'
    >>> str(TensorType("int64", (None,)))
    'int64 vector'
    >>> TensorType("int8", broadcastable=(True, False))
    TensorType('int8', (1, None))
    """

    dtype: str
    shape: Shape

    variable: ClassVar[Callable[..., Any]]
    """What makes a variable of a type; the graph sets it."""

    def __init__(
        self,
        dtype: Any,
        shape: Sequence[int | bool | None] | int | None = None,
        broadcastable: Sequence[bool] | None = None,
    ) -> None:
        known = isinstance(dtype, str) and dtype in DTYPES
        name = dtype if known else _dtype_name(dtype)
        if shape is None:
            shape = broadcastable or ()
        if type(shape) is tuple and _SIZES.issuperset(map(type, shape)):
            sizes = shape  # As every graph asks thousands of times.
        else:
            entries = (shape,) if isinstance(shape, int) else tuple(shape)
            sizes = tuple(map(_static_size, entries))
        for size in sizes:
            if size is not None and size < 0:
                raise ShapeError(
                    f"the shape {sizes} has a negative size; use None for one not known yet."
                )
        object.__setattr__(self, "dtype", name)
        object.__setattr__(self, "shape", sizes)

    def __call__(self, name: str | None = None) -> Any:
        """A variable of this type, an input when nothing computes it."""
        return TensorType.variable(self, name)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """Which axes are known to have size 1, and so stretch against others."""
        return tuple(size == 1 for size in self.shape)

    @property
    def is_float(self) -> bool:
        """Whether a gradient can flow through values of this type."""
        return np.dtype(self.dtype).kind in "fc"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return np.dtype(self.dtype).itemsize

    def with_dtype(self, dtype: str) -> TensorType:
        """The same shape with another dtype."""
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Sequence[int | None]) -> TensorType:
        """The same dtype with another shape."""
        return TensorType(self.dtype, tuple(shape))

    def accepts(self, other: TensorType) -> bool:
        """Whether every value of type `other` is also a value of this type."""
        return (
            self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(
                a is None or a == b
                for a, b in zip(self.shape, other.shape, strict=True)
            )
        )

    def fits(self, value: Array) -> bool:
        """Whether `value` is an array of exactly this type, and no subclass of array."""
        return (
            type(value) is np.ndarray
            and value.dtype == self.dtype  # in native byte order, too
            and value.ndim == self.ndim
            and all(
                a is None or a == b
                for a, b in zip(self.shape, value.shape, strict=True)
            )
        )

    def filter(self, value: Any, allow_downcast: bool | None = False) -> Array:
        """Return `value` as an array of this type, never rounding silently.

        A value of a narrower dtype is widened (``same_kind`` within integers or floats is not
        enough: int64 to float32 loses digits and is refused). Python numbers, alone or in
        lists, adapt to the type as in NumPy 2: a float goes into float32, but not into an
        integer type.

        Parameters
        ----------
        value
            Anything :func:`numpy.asarray` takes.
        allow_downcast
            True: any cast. ``None``: a Python float may go into a narrower float.

        Raises
        ------
        DTypeError
            The value would be rounded or changes kind.
        ShapeError
            The number of axes or a declared size differs.
        """
        if self.fits(value):
            return value  # type: ignore[no-any-return]
        array = self._as_array(value)
        if array.dtype != self.dtype:
            takes = (
                self._takes_weak(array)
                if _is_weak(value)
                else np.can_cast(array.dtype, self.dtype, "safe")
            )
            if not (allow_downcast or takes):
                raise DTypeError(
                    f"must be {self.dtype}, got {_described(value, array)}"
                )
            array = array.astype(self.dtype)
        if array.ndim != self.ndim:
            raise ShapeError(
                f"must be a {self} ({count(self.ndim, 'axis', 'axes')}), got {array.dtype.name} "
                f"of shape {array.shape} ({count(array.ndim, 'axis', 'axes')})"
            )
        for axis, (want, have) in enumerate(zip(self.shape, array.shape, strict=True)):
            if want is not None and want != have:
                raise ShapeError(
                    f"must have size {want} on axis {axis}, got shape {array.shape}"
                )
        return array

    def _as_array(self, value: Any) -> Array:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise DTypeError(
                f"must be {self}, got a {type(value).__name__} that is no array: {error}"
            ) from None
        if array.dtype.kind not in "biufc":
            what = (
                "is beyond every dtype"
                if isinstance(value, int)
                else "holds no numbers"
            )
            raise DTypeError(
                f"must be {self}, got a Python {type(value).__name__} that {what}"
            )
        return array

    def _takes_weak(self, array: Array) -> bool:
        """Whether Python numbers, gathered in `array`, adapt to this type without overflow."""
        target = np.dtype(self.dtype)
        if array.size == 0:
            return True
        if array.dtype.kind in "iu" and target.kind in "iu":
            limits = np.iinfo(target)
            return bool(
                limits.min <= int(array.min()) and int(array.max()) <= limits.max
            )
        if "biufc".index(array.dtype.kind.replace("u", "i")) > "biufc".index(
            target.kind
        ):
            return False
        with np.errstate(all="ignore"):
            return bool(np.all(np.isfinite(array.astype(target)) | ~np.isfinite(array)))

    def __str__(self) -> str:
        if any(size is not None for size in self.shape) or self.ndim >= len(RANK_NAMES):
            return f"{self.dtype} {shape_text(self.shape)}"
        return f"{self.dtype} {RANK_NAMES[self.ndim]}"

    def __repr__(self) -> str:
        return f"TensorType({self.dtype!r}, {self.shape})"


def _static_size(entry: int | bool | None) -> int | None:
    """An entry of a shape; of a pattern True is the size 1 and False any."""
    if isinstance(entry, bool | np.bool_):
        return 1 if entry else None
    return None if entry is None else int(entry)


def _dtype_name(dtype: Any) -> str:
    """The name of a dtype given in any way NumPy knows, or as ``"floatX"``."""
    if isinstance(dtype, str) and dtype == "floatX":
        return config.floatX
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in DTYPES:
        raise DTypeError(
            f"{dtype!r} is no dtype of a tensor; use one of {', '.join(DTYPES)}."
        )
    return str(name)


def _is_weak(value: Any) -> bool:
    """Whether a value is a Python number, or lists of nothing else."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list | tuple):
            waiting.extend(part)
        elif isinstance(part, np.generic) or not isinstance(
            part, bool | int | float | complex
        ):
            return False
    return True


def _described(value: Any, array: Array) -> str:
    if array.ndim == 0 and _is_weak(value):
        return f"the Python {type(value).__name__} {value!r}"
    return f"{array.dtype.name} of shape {array.shape}"


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape as people write it, ``?`` for a size not known yet.

    >>> shape_text((None, 10))
    '(?, 10)'
    """
    sizes = ["?" if size is None else str(size) for size in shape]
    return "(" + ", ".join(sizes) + ("," if len(sizes) == 1 else "") + ")"


def count(n: int, one: str, many: str) -> str:
    """``1 axis``, ``2 axes``."""
    return f"{n} {one if n == 1 else many}"


def type_of(value: Array) -> TensorType:
    """The type of a given array; its sizes are left free except where they are 1.

    A constant keeps all its sizes instead: its type is made by the constant itself.
    """
    return TensorType(value.dtype.name, (None,) * value.ndim)
