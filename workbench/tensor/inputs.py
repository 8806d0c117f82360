"""Typed inputs: ``T.matrix("x")``, ``T.lvector("y")``, ``T.tensor("float32", (None, 3), "z")``.

A letter in front fixes the dtype; without one it is ``config.floatX`` at that moment::

    b int8   w int16   i int32   l int64   f float32   d float64   c complex64   z complex128
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.config import config
from workbench.core.graph import Variable
from workbench.core.types import TensorType

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
}


def tensor(
    dtype: str | None = None,
    shape: Sequence[int | None] | None = None,
    name: str | None = None,
    broadcastable: Sequence[bool] | None = None,
) -> Variable:
    """An input of any dtype and shape.

    Parameters
    ----------
    dtype
        floatX when not given.
    shape
        One entry an axis: a size, or None where it may change from call to call.
    name
        How the input is called.
    broadcastable
        In place of `shape`: True for an axis of size 1.

    Examples
    --------
    >>> tensor("float32", (None, 3), "x")
    <x: float32 (?, 3)>
    """
    if shape is None:
        shape = [1 if b else None for b in broadcastable or ()]
    return Variable(TensorType(dtype or config.floatX, tuple(shape)), name)


def _constructor(
    function: str, dtype: str, shape: tuple[int | None, ...]
) -> Callable[..., Variable]:
    def make(name: str | None = None, dtype: str | None = dtype or None) -> Variable:
        return Variable(TensorType(dtype or config.floatX, shape), name)

    make.__name__ = make.__qualname__ = function
    sizes = ", ".join("n" if s is None else str(s) for s in shape)
    make.__doc__ = f"An input of {dtype or 'floatX'} and shape ({sizes}): ``x = T.{function}('x')``."
    return make


def _plural(
    function: str, one: Callable[..., Variable]
) -> Callable[..., list[Variable]]:
    def make(*names: str | int) -> list[Variable]:
        if len(names) == 1 and isinstance(names[0], int):
            return [one() for _ in range(names[0])]
        return [one(name) for name in names]

    make.__name__ = make.__qualname__ = function
    make.__doc__ = f"Several inputs at once: ``x, y = T.{function}('x', 'y')``."
    return make


__all__ = ["tensor"]
for _prefix, _dtype in PREFIXES.items():
    for _name, _shape in SHAPES.items():
        _single = _prefix + _name
        _many = {"matrix": "matrices"}.get(_name, _name + "s")
        globals()[_single] = _constructor(_single, _dtype, _shape)
        globals()[_prefix + _many] = _plural(_prefix + _many, globals()[_single])
        __all__ += [_single, _prefix + _many]
