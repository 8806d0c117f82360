"""Many calls of one function from a few choices for each argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import scipy.linalg

import workbench.tensor as T
from tests.corpus.calls import Array, Call, product_of

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
FEW = ("bool", "int64", "float32", "complex128")
SHAPES = ((), (0,), (1,), (3,), (2, 3), (0, 3), (3, 0), (1, 3), (2, 1, 3))

OMITTED = object()
"""As a choice for an argument: it is not given."""


def grid(
    name: str,
    *choices: Sequence[Any],
    ulps: float = 4,
    theirs: Callable[..., Any] | None = None,
    ours: Callable[..., Any] | None = None,
    **keywords: Sequence[Any],
) -> list[Call]:
    """A call of `name` for every combination of one choice for each argument.

    The functions are looked up by name, in NumPy and else in SciPy, unless given.
    """
    theirs = function_named(name) if theirs is None else theirs
    ours = attrgetter(name)(T) if ours is None else ours
    made = []
    for combination in product_of([*choices, *keywords.values()]):
        args = tuple(a for a in combination[: len(choices)] if a is not OMITTED)
        named = dict(zip(keywords, combination[len(choices) :], strict=True))
        named = {k: v for k, v in named.items() if v is not OMITTED}
        made.append(Call(name, theirs, ours, args, named, ulps))
    return made


def function_named(name: str) -> Callable[..., Any]:
    """NumPy's function of that name, or SciPy's."""
    try:
        found: Callable[..., Any] = attrgetter(name)(np)
    except AttributeError:
        found = getattr(scipy.linalg, name.removeprefix("linalg."))
    return found


def array(
    dtype: str, shape: Sequence[int], seed: int = 0, special: bool = False
) -> Array:
    """Small numbers, the same at every run; if `special`, floats with NaN, -0 and infinity."""
    rng = np.random.default_rng([seed, *shape])
    values = rng.integers(-9, 10, tuple(shape))
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.asarray(values > 0)
    if kind in "ui":
        return np.asarray(np.abs(values) if kind == "u" else values, dtype)
    made = np.asarray(values / 4, dtype)
    if kind == "c":
        made = np.asarray(made + 1j * rng.integers(-9, 10, tuple(shape)) / 4, dtype)
    if special:
        for at, value in enumerate((np.nan, -0.0, np.inf)[: made.size]):
            made.reshape(-1)[at] = value
    return made


def arrays(
    dtypes: Iterable[str] = FEW, shapes: Iterable[Sequence[int]] = SHAPES, seed: int = 0
) -> list[Array]:
    """One array for each dtype and shape, with special values among the floats."""
    shapes = list(shapes)
    return [array(d, s, seed, special=True) for d in dtypes for s in shapes]


def plain(
    dtypes: Iterable[str] = FEW, shapes: Iterable[Sequence[int]] = SHAPES, seed: int = 0
) -> list[Array]:
    """One array for each dtype and shape, of small finite numbers."""
    shapes = list(shapes)
    return [array(d, s, seed) for d in dtypes for s in shapes]
