"""Random keys of ``x[key]``: every kind of index that NumPy has, alone and mixed.

``draw(rng, shape)`` makes a key as NumPy takes it; ``symbolic(rng, key)`` puts variables in
the place of some of its numbers, slices, arrays and masks, and says their values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

import workbench.tensor as T
from workbench.core.graph import Variable

Array = np.ndarray
SHAPES = [(5,), (4, 3), (2, 3, 4), (3, 2, 1, 4), (0, 3), (2, 0, 3), (1, 5), ()]
STEPS = [None, 1, 2, 3, -1, -2, -3, 7, -7]
INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def random_bound(rng: np.random.Generator, size: int) -> int | None:
    return None if rng.random() < 0.3 else int(rng.integers(-size - 2, size + 3))


def random_slice(rng: np.random.Generator, size: int) -> slice:
    step = STEPS[rng.integers(len(STEPS))]
    return slice(random_bound(rng, size), random_bound(rng, size), step)


def random_places(
    rng: np.random.Generator, size: int, shape: Sequence[int]
) -> Array | list[Any]:
    """Places on an axis, negative ones too; sometimes as lists."""
    dtype = str(rng.choice(INTS))
    low = 0 if dtype[0] == "u" else -size
    places = rng.integers(low, max(size, 1), shape).astype(dtype)
    return places.tolist() if rng.random() < 0.2 else places


def random_mask(rng: np.random.Generator, shape: Sequence[int], count: int) -> Array:
    """A mask with `count` true elements, or as many as there are."""
    mask = np.zeros(int(np.prod(shape)), bool)
    mask[rng.permutation(mask.size)[:count]] = True
    return mask.reshape(shape)


class Drawing:
    """One key in the making: the arrays in it have shapes that broadcast."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        roll = rng.random()
        self.masks = roll < 0.4
        self.arrays = 0.2 < roll < 0.9
        target = [(3,), (2, 3), (1,), (2, 1), (0,), (3, 2, 1)]
        self.target = target[rng.integers(len(target))]
        if self.masks:
            self.target = (int(rng.integers(0, 4)),)

    def array_shape(self) -> tuple[int, ...]:
        """A shape that broadcasts to the target: fewer axes, some of size 1."""
        shape = self.target[int(self.rng.integers(0, len(self.target))) :]
        return tuple(1 if self.rng.random() < 0.2 else s for s in shape)

    def entries(self, sizes: Sequence[int]) -> list[Any]:
        """One entry for each of the axes; a mask may stand for several."""
        made: list[Any] = []
        rest = list(sizes)
        while rest:
            roll = self.rng.random()
            rank = int(self.rng.integers(1, min(len(rest), 3) + 1))
            room = int(np.prod(rest[:rank]))
            if self.masks and roll < 0.4 and room >= self.target[0]:
                made.append(random_mask(self.rng, rest[:rank], self.target[0]))
                del rest[:rank]
                continue
            size = rest.pop(0)
            if self.arrays and roll < 0.7 and (size or 0 in self.target):
                shape = self.array_shape() if size else self.target
                made.append(random_places(self.rng, size, shape))
            elif roll < 0.8 and size:
                place = int(self.rng.integers(-size, size))
                made.append(np.int16(place) if self.rng.random() < 0.2 else place)
            else:
                made.append(random_slice(self.rng, size))
        return made


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A key for an array of this shape, with which NumPy gives no error."""
    drawing = Drawing(rng)
    front = int(rng.integers(0, len(shape) + 1))
    key = drawing.entries(shape[:front])
    if rng.random() < 0.4:
        back = int(rng.integers(front, len(shape) + 1))
        key = [*key, Ellipsis, *drawing.entries(shape[back:])]
    while rng.random() < 0.2:
        key.insert(int(rng.integers(0, len(key) + 1)), None)
    if rng.random() < 0.1:
        # No length stretches to 0 when it is a count of a mask, not even a 1.
        holds = drawing.masks or bool(rng.random() < 0.7)
        key.insert(int(rng.integers(0, len(key) + 1)), holds)
    try:
        np.zeros(shape)[tuple(key)]
    except IndexError:  # the scalar mask, or a mask of one element beside longer arrays
        return draw(rng, shape)
    return tuple(key)


def symbolic(
    rng: np.random.Generator, key: tuple[Any, ...]
) -> tuple[tuple[Any, ...], dict[Variable, Any]]:
    """The key with variables for some of its parts, and their values."""
    values: dict[Variable, Any] = {}

    def number(value: int | None, none: bool = False) -> Any:
        if value is None or rng.random() < 0.4:
            return value
        variable = T.lscalar()
        values[variable] = value
        return variable

    def array(value: Array) -> Any:
        if rng.random() < 0.3 or not value.ndim:
            return value
        variable = T.tensor(
            value.dtype.name, tuple(1 if s == 1 else None for s in value.shape)
        )
        values[variable] = value
        return variable

    made: list[Any] = []
    for entry in key:
        if isinstance(entry, slice):
            made.append(
                slice(number(entry.start), number(entry.stop), number(entry.step))
            )
        elif isinstance(entry, np.ndarray):
            made.append(array(entry))
        elif isinstance(entry, int) and not isinstance(entry, bool):
            made.append(number(entry))
        else:
            made.append(entry)
    return tuple(made), values


def part_shape(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to `shape`, or has more axes of size 1 in front."""
    roll = rng.random()
    if roll < 0.1:
        return (1, *shape)
    kept = shape[int(rng.integers(0, len(shape) + 1)) :] if roll < 0.4 else shape
    return tuple(1 if rng.random() < 0.2 else s for s in kept)


def placed(array: Array, key: tuple[Any, ...], part: Array, add: bool) -> Array:
    """`array` with the part put element by element, in row-major order of the part."""
    flat = array.ravel().copy()
    places = np.arange(array.size).reshape(array.shape)[key]
    while part.ndim > places.ndim:
        part = part[0]
    parts = np.broadcast_to(part, places.shape)
    for place, value in zip(places.ravel(), parts.ravel(), strict=True):
        flat[place] = flat[place] + value if add else value
    return flat.reshape(array.shape)


def input_of(array: Array, static: bool, name: str | None = None) -> Variable:
    """An input for such an array, its sizes known or, but for those of 1, free."""
    shape = tuple(s if static or s == 1 else None for s in array.shape)
    return T.tensor(array.dtype.name, shape, name)
