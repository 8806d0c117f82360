"""A draw in the making: its key, its shape, and the standard numbers it is composed of.

A *key* is a uint64 vector of two: what tells streams apart, and a counter of calls. A recipe
that needs several independent arrays takes each from a *lane* of its own, which stands in
the upper byte of the counter, so nothing is ever used twice.

Read next: :mod:`workbench.core.ops.distributions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core import philox
from workbench.core.errors import DTypeError, ParameterError, ShapeError
from workbench.core.graph import Constant, Variable, as_variable
from workbench.core.op import Size, known_int, known_value
from workbench.core.ops import elementwise as ew
from workbench.core.ops.random import (
    BelowFromBits,
    DrawGamma,
    ExponentialFromBits,
    NormalFromBits,
    Places,
    RandomBits,
    Sampler,
    UniformFromBits,
)
from workbench.core.ops.shape import as_sizes, size_variable, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast, kind, pad_left
from workbench.core.types import Array

SPLIT_LANE = 255


def key(seed: int) -> Array:
    """The key for a whole number: equal seeds give equal numbers, everywhere.

    Raises
    ------
    ParameterError
        The seed is negative or no whole number.

    Examples
    --------
    >>> key(7).dtype, key(7).shape
    (dtype('uint64'), (2,))
    """
    return np.array([philox.mix(seed_word(seed)), 0], "uint64")


def seed_word(seed: Any) -> int:
    """64 bits for a seed of any size, or for several numbers."""
    if isinstance(seed, list | tuple | np.ndarray):
        word = 0
        for part in seed:
            word = philox.mix(word ^ seed_word(part))
        return word
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ParameterError(f"a seed is a whole number from 0 on; got {seed!r}.")
    rest, word = divmod(int(seed), 1 << 64)
    while rest:
        rest, part = divmod(rest, 1 << 64)
        word = philox.mix(word) ^ part
    return word


def as_key(key: Any) -> Variable:
    """A key as a variable.

    Raises
    ------
    DTypeError
        It is not uint64.
    ShapeError
        It is no vector of two.
    """
    made = as_variable(key)
    if made.dtype != "uint64":
        raise DTypeError(
            f"a key is uint64, as T.random.key(seed) gives; got {made.type}."
        )
    if made.ndim != 1 or made.type.shape[0] not in (None, 2):
        raise ShapeError(f"a key is a vector of two; got {made.label()}: {made.type}.")
    return made


class Draw:
    """The shape of one draw, and the standard numbers for it.

    Parameters
    ----------
    key
        uint64 [2].
    shape
        An int, sizes, or an integer vector; None for that of the parameters together.
    parameters
        What the numbers will be combined with; they must broadcast to the shape.
    ndim
        The number of axes, where `shape` is a vector of unknown length.
    """

    def __init__(
        self, key: Any, shape: Any, *parameters: Any, ndim: int | None = None
    ) -> None:
        variables = [as_variable(p) for p in parameters]
        sizes = _common_sizes(variables) if shape is None else _given(shape, ndim)
        if ndim is not None and ndim != len(sizes):
            raise ShapeError(f"ndim={ndim}, but the shape has {len(sizes)} axes.")
        self.sizes = tuple(size_variable(s) for s in sizes)
        for variable in variables:
            self._check_fits(variable)
        whole = as_key(key)
        self.key, self.counter = index(whole, 0), index(whole, 1)
        self.places = (
            Places()(*self.sizes) if self.sizes else Constant(np.array(0, "uint64"))
        )

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.sizes)

    def _check_fits(self, variable: Variable) -> None:
        have, want = variable.type.shape, [known_int(s) for s in self.sizes]
        tail = want[len(want) - len(have) :]
        if len(have) > len(want) or any(
            h != 1 and w is not None and h not in (None, w)
            for h, w in zip(have, tail, strict=True)
        ):
            raise ShapeError(
                f"{variable.label()}: {variable.type} does not broadcast to the shape {tuple(want)} of the draw."
            )

    def words(self, lane: int = 0) -> tuple[Variable, Variable, Variable]:
        """Key, counter and places, of equal rank."""
        counter = self.counter
        if lane:
            counter = ew.add(counter, np.uint64(lane * philox.LANE))
        return pad_left(self.key, self.ndim), pad_left(counter, self.ndim), self.places

    def bits(self, lane: int = 0, half: int = 0) -> Variable:
        """64 random bits an element."""
        return RandomBits(half)(*self.words(lane))

    def uniform(self, dtype: str, lane: int = 0) -> Variable:
        """Numbers in [0, 1), with 53 bits; 24 for float32, 11 for float16."""
        digits = {"float64": 53, "float32": 24, "float16": 11}[dtype]
        made = UniformFromBits(_wide(dtype), digits)(self.bits(lane))
        return cast(made, dtype)

    def normal(self, dtype: str, lane: int = 0) -> Variable:
        """Standard normal numbers."""
        return cast(NormalFromBits(_wide(dtype))(self.bits(lane)), dtype)

    def exponential(self, dtype: str, lane: int = 0) -> Variable:
        """Standard exponential numbers."""
        return cast(ExponentialFromBits(_wide(dtype))(self.bits(lane)), dtype)

    def below(self, size: Variable) -> Variable:
        """Integers in [0, `size`), uint64."""
        both = self.bits(), self.bits(half=1)
        return BelowFromBits()(*both, pad_left(size, self.ndim))

    def sampled(self, op: Sampler, *parameters: Any, lane: int = 0) -> Variable:
        """What a sampler makes of parameters, which are cast to its dtypes."""
        made = [
            pad_left(cast(p, dtype), self.ndim)
            for p, dtype in zip(parameters, op.parameters, strict=True)
        ]
        return op(*self.words(lane), *made)

    def gamma(self, a: Any, lane: int = 0, log: bool = False) -> Variable:
        """A gamma variable of shape parameter `a`, or its logarithm, float64."""
        return self.sampled(DrawGamma(log), a, lane=lane)


def _wide(dtype: str) -> str:
    return "float32" if dtype == "float16" else dtype


def _given(shape: Any, ndim: int | None) -> tuple[Size, ...]:
    if isinstance(shape, Variable) and shape.ndim == 1 and ndim is not None:
        if shape.type.shape[0] is None:
            return tuple(as_sizes([shape[i] for i in range(ndim)]))
    return tuple(as_sizes(shape))


def _common_sizes(variables: list[Variable]) -> tuple[Size, ...]:
    """The sizes that variables broadcast to: along each axis the first not declared 1."""
    rank = max((v.ndim for v in variables), default=0)
    padded = [pad_left(v, rank) for v in variables]
    sizes: list[Size] = [1] * rank
    for axis in range(rank):
        long = [v for v in padded if v.type.shape[axis] != 1]
        known = [s for v in long if (s := v.type.shape[axis]) is not None]
        if known:
            sizes[axis] = known[0]
        elif long:
            sizes[axis] = sizes_of(long[0])[axis]
    return tuple(sizes)


def float_dtype(dtype: str | None, *parameters: Any) -> str:
    """The dtype asked for; by default floatX, or wider where a parameter's array is.

    Raises
    ------
    DTypeError
        It is no real float.
    """
    if dtype is None:
        arrays = [
            p.dtype
            for p in parameters
            if isinstance(p, Variable | np.ndarray | np.generic)
        ]
        floats = [np.dtype(d) for d in arrays if np.dtype(d).kind == "f"]
        return str(np.result_type(config.floatX, *floats).name)
    name = config.floatX if dtype == "floatX" else np.dtype(dtype).name
    if name not in ("float16", "float32", "float64"):
        raise DTypeError(f"a continuous distribution gives floats; got dtype={name}.")
    return name


def as_dtype(parameter: Any, dtype: str) -> Variable:
    """A parameter of a distribution in the dtype of the draw."""
    made = as_variable(parameter)
    if kind(made.dtype) == "c":
        raise DTypeError(f"{made.label()} is {made.dtype}; parameters are real.")
    return cast(made, dtype)


def check(parameter: Any, holds: Callable[[Array], Any], text: str) -> None:
    """Raise at once when a constant parameter lies outside its domain.

    Raises
    ------
    ParameterError
        With `text`, and the value.
    """
    if isinstance(parameter, int):  # of any size
        value: Array | None = np.array(parameter, object)
    else:
        value = known_value(as_variable(parameter))
    if value is not None and not np.all(holds(value)):
        raise ParameterError(f"{text}; got {value if value.ndim else value.item()}.")


def positive(value: Array) -> Any:
    """Whether above 0."""
    return value > 0


def not_negative(value: Array) -> Any:
    """Whether 0 or above."""
    return value >= 0


def probability(value: Array) -> Any:
    """Whether in [0, 1]."""
    return (value >= 0) & (value <= 1)
