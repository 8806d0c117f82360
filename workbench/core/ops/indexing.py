"""What NumPy calls indexing routines: choosing elements by places, by masks, by conditions.

All of them are expressions of ``x[key]``, of putting back, and of ``switch``.

Read next: :mod:`workbench.core.ops.linalg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, IndexKindError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import arange, zeros_like
from workbench.core.ops.masks import flatnonzero, nonzero
from workbench.core.ops.places import as_places, bounded, cycled
from workbench.core.ops.shape import (
    dimshuffle,
    normal_axis,
    ravel,
    reshape,
    sizes_of,
)
from workbench.core.ops.subscript import as_index, index, set_subtensor
from workbench.core.ops.ufunc import cast, kind, pad_left, weak_type

# --- by places ---------------------------------------------------------------------------


def take(
    x: Any, indices: Any, axis: int | None = None, mode: str = "raise"
) -> Variable:
    """The elements of `x` at integer `indices` along `axis`; of the flattened array without axis.

    Parameters
    ----------
    mode : {"raise", "wrap", "clip"}
        Places outside are an error, count around, or become the nearer end. Only with
        ``"raise"`` a negative place counts from the end.

    Raises
    ------
    OutOfRangeError
        A place lies outside; in every mode when the axis is empty.
    """
    x = as_variable(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normal_axis(axis, x.ndim)
    places = _in_mode(as_places(indices), x, axis, mode)
    return index(x, (*[slice(None)] * axis, places))


def _in_mode(places: Variable, x: Variable, axis: int, mode: str) -> Variable:
    """Places along an axis of `x`; those outside are found when they are read."""
    return places if mode == "raise" else bounded(places, sizes_of(x)[axis], mode)


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> Variable:
    """`a` with the flattened elements at `ind` set to those of `v`, in turn, from the start again.

    A new array, where NumPy's changes its argument. `mode` is that of :func:`take`.
    """
    a = as_variable(a)
    flat = ravel(a)
    places = _in_mode(ravel(as_places(ind)), flat, 0, mode)
    v = as_variable(v, None if isinstance(v, Variable) else a.dtype)
    if 0 in v.type.shape:  # NumPy has nothing to put then, too
        return a
    part = cycled(v, sizes_of(places)[0])
    return reshape(set_subtensor(index(flat, places), part), sizes_of(a))


def ix_(*args: Any) -> tuple[Variable, ...]:
    """A key for the rows, columns, … named by each of the vectors: ``x[ix_(rows, columns)]``.

    A vector of bools names the places where it is true.

    Raises
    ------
    ShapeError
        One is no vector.
    """
    key = []
    for number, arg in enumerate(args):
        places = as_index(arg)
        if places.ndim != 1:
            raise ShapeError(
                f"ix_ needs vectors, {places.label()} has {places.ndim} axes."
            )
        if places.dtype == "bool":
            places = flatnonzero(places)
        key.append(
            dimshuffle(places, *(0 if i == number else "x" for i in range(len(args))))
        )
    return tuple(key)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Variable:
    """From every row along `axis` the elements at that row of `indices`.

    Parameters
    ----------
    indices
        Integers, of as many axes as `arr`; the other axes broadcast. A vector when `axis`
        is None, which means the flattened array.

    Raises
    ------
    ShapeError
        `indices` has another number of axes.
    IndexKindError
        `indices` holds no integers.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.matrix("x")
    >>> places = T.argmax(x, axis=1, keepdims=True)
    >>> T.take_along_axis(x, places, 1).eval({x: [[1.0, 3.0], [5.0, 2.0]]})
    array([[3.],
           [5.]])
    """
    arr, key = _along(arr, indices, axis)
    return index(arr, key)


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> Variable:
    """`arr` with `values` set where :func:`take_along_axis` would read; a new array."""
    arr = as_variable(arr)
    flat, key = _along(arr, indices, axis)
    values = as_variable(values, None if isinstance(values, Variable) else arr.dtype)
    return reshape(set_subtensor(index(flat, key), values), sizes_of(arr))


def _along(
    arr: Any, indices: Any, axis: int | None
) -> tuple[Variable, tuple[Variable, ...]]:
    """The array, flat without axis, and a key with the places of every axis."""
    arr, places = as_variable(arr), as_variable(indices)
    if axis is None:
        arr, axis = ravel(arr), 0
    at = normal_axis(axis, arr.ndim)
    if kind(places.dtype) not in "iu":
        raise IndexKindError(f"{places.label()} is {places.type}, not integers.")
    if places.ndim != arr.ndim:
        raise ShapeError(
            f"{places.label()} has {places.ndim} axes and must have {arr.ndim}, "
            f"as {arr.label()}."
        )
    grid = _grid(arr, range(arr.ndim))
    grid[at] = places
    return arr, tuple(grid)


def _grid(x: Variable, axes: Sequence[int]) -> list[Variable]:
    """For each of the axes all its places, laid along the axis of that number among them."""
    return [
        dimshuffle(arange(sizes_of(x)[axis]), *(0 if i == axis else "x" for i in axes))
        for axis in axes
    ]


def permute_row_elements(x: Any, y: Any, inverse: bool = False) -> Variable:
    """Every row of `x` with its elements in the order that the row of `y` says.

    Rows lie along the last axis; the others broadcast. With `inverse` element i of a row
    goes to place ``y[i]``, instead of coming from there.
    """
    x, y = as_variable(x), as_variable(y)
    if inverse:
        y = inverse_permutation(y)
    rank = max(x.ndim, y.ndim)
    return take_along_axis(pad_left(x, rank), pad_left(y, rank), -1)


def inverse_permutation(perm: Any) -> Variable:
    """For every row of `perm`, a permutation, that which undoes it; rows lie along the last axis."""
    perm = as_variable(perm)
    numbers = cast(arange(sizes_of(perm)[-1]), perm.dtype)
    return put_along_axis(zeros_like(perm), perm, numbers, -1)


# --- by masks ----------------------------------------------------------------------------


def nonzero_values(x: Any) -> Variable:
    """The elements of `x` that are not zero, in row-major order: a vector."""
    flat = ravel(as_variable(x))
    return index(flat, flatnonzero(flat))


def compress(condition: Any, a: Any, axis: int | None = None) -> Variable:
    """The elements of `a` along `axis` where a vector is true; of the flattened `a` without axis.

    The vector may be shorter than the axis; behind its end nothing is taken.

    Raises
    ------
    ShapeError
        `condition` is no vector.
    """
    condition = as_variable(condition)
    if condition.ndim != 1:
        raise ShapeError(
            f"compress needs a vector as its condition, {condition.label()} has "
            f"{condition.ndim} axes."
        )
    return take(a, flatnonzero(condition), axis)


def extract(condition: Any, arr: Any) -> Variable:
    """The elements of the flattened `arr` where the flattened condition is not zero."""
    return take(arr, flatnonzero(as_variable(condition)))


def where(condition: Any, *branches: Any) -> Any:
    """``where(c, x, y)`` is x where the condition holds, else y; ``where(c)`` is ``nonzero(c)``.

    Raises
    ------
    ValueError
        One of x and y is missing.
    """
    if not branches:
        return nonzero(condition)
    if len(branches) != 2:
        raise ValueError("where takes a condition alone, or with both x and y.")
    return ew.switch(condition, *branches)


# --- by conditions and numbers -----------------------------------------------------------


def choose(a: Any, choices: Any, mode: str = "raise") -> Variable:
    """At each place the element of that of the `choices` whose number `a` holds.

    Parameters
    ----------
    a
        Integers; broadcasts with every choice.
    choices
        A list of arrays; or one array that holds them along its first axis.
    mode : {"raise", "wrap", "clip"}
        Numbers outside are an error, negative ones too; count around; or become the nearer
        end.

    Raises
    ------
    PlaceError
        There is no choice of a number, with ``"raise"``.
    """
    a = as_places(a)
    if isinstance(choices, list | tuple):
        if not choices:
            raise ShapeError("choose needs at least one choice.")
        return _switched(a, _in_common_dtype(choices), mode)
    choices = as_variable(choices)
    number = bounded(a, sizes_of(choices)[0], mode)
    axes = range(choices.ndim - 1)
    grid = _grid(index(choices, 0), axes) if len(axes) else []
    return index(choices, (number, *grid))


def _switched(a: Variable, choices: Sequence[Variable], mode: str) -> Variable:
    number = bounded(a, len(choices), mode)
    chosen = choices[0]
    for k, choice in enumerate(choices):
        chosen = ew.switch(ew.eq(number, k), choice, chosen)
    return chosen


def select(
    condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0
) -> Variable:
    """At each place the element of the first choice whose condition holds there, else `default`.

    Raises
    ------
    ShapeError
        There are not as many conditions as choices, or none.
    DTypeError
        A condition is not bool.
    """
    condlist, choicelist = list(condlist), list(choicelist)
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(
            "select needs as many conditions as choices and at least one; got "
            f"{len(condlist)} and {len(choicelist)}."
        )
    conditions = [as_variable(c) for c in condlist]
    for condition in conditions:
        if condition.dtype != "bool":
            raise DTypeError(
                f"the condition {condition.label()} is {condition.type}, not bool."
            )
    *choices, chosen = _in_common_dtype([*choicelist, default])
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        chosen = ew.switch(condition, choice, chosen)
    return chosen


def _in_common_dtype(values: Sequence[Any]) -> list[Variable]:
    """The values as variables of one dtype; Python numbers adapt to the others."""
    given = [v if weak_type(v) is not None else as_variable(v) for v in values]
    dtype = np.result_type(
        *(np.dtype(v.dtype) if isinstance(v, Variable) else v for v in given)
    ).name
    named = any(isinstance(v, Variable) and kind(v.dtype) in "fc" for v in given)
    if dtype == "float64" and not named:
        dtype = config.floatX
    return [
        cast(v, dtype) if isinstance(v, Variable) else as_variable(v, dtype)
        for v in given
    ]
