"""``x[key]`` as NumPy has it, taken apart into the ops of :mod:`workbench.core.ops.indexing`.

At most three steps, each an op: a basic slice, a rearrangement of axes (new axes, arrays
moved to the front), a gather by integer arrays.

Read next: :mod:`workbench.core.ops.creation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, OutOfRangeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import (
    known_int,
)
from workbench.core.ops import elementwise as ew
from workbench.core.ops.indexing import (
    SYMBOLIC,
    Bound,
    Entry,
    Put,
    PutSlice,
    Slice,
    Take,
)
from workbench.core.ops.shape import (
    Reshape,
    broadcast_to,
    dimshuffle,
    normal_axis,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import DimShuffle, cast, kind, pad_left


def index(x: Any, key: Any) -> Variable:
    """``x[key]`` as NumPy has it: integers, slices, ``None``, ``...`` and integer arrays.

    Raises
    ------
    OutOfRangeError
        More indices than axes, or a constant place outside a known size.
    DTypeError
        An index is neither an integer, a slice nor an array of integers.
    """
    base = x = as_variable(x)
    entries = _complete(x, key if isinstance(key, tuple) else (key,))
    basic: list[Entry] = []
    bounds: list[Variable] = []
    layout: list[int | str] = []  # axes of the sliced array, "x" for new ones
    arrays: list[tuple[int, Variable]] = []  # position in layout, index array
    kept = 0
    for entry in entries:
        if entry is None:
            layout.append("x")
            continue
        if isinstance(entry, Variable) and entry.ndim:
            arrays.append((len(layout), entry))
            entry = slice(None)
        basic.append(_basic_entry(entry, bounds))
        if isinstance(entry, slice):
            layout.append(kept)
            kept += 1
    if any(entry != (None, None, 1) for entry in basic):
        x = Slice(tuple(basic))(x, *bounds)
    x = dimshuffle(x, *layout)
    if arrays:
        x = _take(x, arrays, _are_neighbours(entries))
    if x is base:  # x[:] stands for a part like any other, so that it can be set
        x = Slice(tuple(basic))(x)
    x.tag.steps = _steps(x, base)
    return x


def _are_neighbours(entries: Sequence[Any]) -> bool:
    """Whether arrays, and the integers that NumPy broadcasts with them, stand side by side."""
    advanced = [
        i for i, k in enumerate(entries) if not (k is None or isinstance(k, slice))
    ]
    return advanced == list(range(advanced[0], advanced[-1] + 1))


def _steps(view: Variable, base: Variable) -> int:
    """How many nodes lead from `base` to the part of it that is `view`."""
    steps = 0
    while view is not base:
        assert view.owner is not None
        view = view.owner.inputs[0]
        steps += 1
    return steps


def _complete(x: Variable, key: tuple[Any, ...]) -> list[Any]:
    """The key with the ellipsis written out, arrays made variables, and a slice for every axis."""
    key = tuple(
        _as_index(k) if isinstance(k, np.ndarray | list | tuple | np.generic) else k
        for k in key
    )
    used = sum(k is not None and k is not Ellipsis for k in key)
    if used > x.ndim:
        raise OutOfRangeError(
            f"{x.label()} has {x.ndim} axes, but {used} were indexed."
        )
    if sum(k is Ellipsis for k in key) > 1:
        raise OutOfRangeError("an index can have only one ellipsis.")
    missing = [slice(None)] * (x.ndim - used)
    entries: list[Any] = []
    for k in key:
        entries.extend(missing if k is Ellipsis else [k])
    if not any(k is Ellipsis for k in key):
        entries.extend(missing)
    for k in entries:
        if isinstance(k, Variable) and kind(k.dtype) not in "iu":
            what = (
                "a boolean mask is not supported yet: use T.switch"
                if k.dtype == "bool"
                else "use T.cast(index, 'int64')"
            )
            raise DTypeError(
                f"{k.label()} is {k.type} and cannot index {x.label()}; {what}."
            )
    return entries


def _as_index(places: Any) -> Variable:
    """An index given as an array or a list; an empty list holds no floats but no places."""
    array = isinstance(places, np.ndarray | np.generic)
    return as_variable(places, None if array or np.size(places) else "int64")


def _basic_entry(entry: Any, bounds: list[Variable]) -> Entry:
    if isinstance(entry, slice):
        step = 1 if entry.step is None else known_int(as_variable(entry.step))
        if not step:
            raise DTypeError(
                "the step of a slice must be an integer other than 0, known when the graph is built."
            )
        return (
            _bound_entry(entry.start, bounds),
            _bound_entry(entry.stop, bounds),
            step,
        )
    place = _bound_entry(entry, bounds)
    assert place is not None
    return place


def _bound_entry(bound: Any, bounds: list[Variable]) -> Bound:
    if bound is None:
        return None
    variable = as_variable(bound)
    if variable.ndim or kind(variable.dtype) not in "iu":
        raise DTypeError(
            f"an index must be an integer, a slice, None or ..., got {bound!r}."
        )
    known = known_int(variable)
    if known is not None:
        return known
    bounds.append(cast(variable, "int64"))
    return SYMBOLIC


def _take(
    x: Variable, arrays: list[tuple[int, Variable]], neighbours: bool
) -> Variable:
    """Gather along axes of `x`, with NumPy's placement: in place when neighbours, else in front."""
    axes = [axis for axis, _ in arrays]
    others = [i for i in range(x.ndim) if i not in axes]
    rank = max(place.ndim for _, place in arrays)
    places = [pad_left(cast(place, "int64"), rank) for _, place in arrays]
    taken = Take(len(places))(dimshuffle(x, *axes, *others), *places)
    before = axes[0] if neighbours else 0
    return dimshuffle(
        taken,
        *range(rank, rank + before),
        *range(rank),
        *range(rank + before, taken.ndim),
    )


def take(x: Any, indices: Any, axis: int | None = None) -> Variable:
    """The elements of `x` at integer `indices` along `axis`; of the flattened array without axis."""
    x = as_variable(x)
    if axis is None:
        return index(Reshape(1)(x, size_variable(-1)), as_variable(indices))
    key = [slice(None)] * normal_axis(axis, x.ndim)
    return index(x, (*key, as_variable(indices)))


def put(view: Any, part: Any, add: bool) -> Variable:
    """The array `view` was indexed from, with `part` set there, or added.

    Raises
    ------
    TypeError
        `view` was not made by indexing.
    DTypeError
        A float is put into integers.
    """
    steps = getattr(view.tag, "steps", 0) if isinstance(view, Variable) else 0
    if not steps:
        raise TypeError(
            "set_subtensor and inc_subtensor take an indexed variable, as x[2:5] or x[rows, columns]."
        )
    if not isinstance(part, Variable):
        fits = view.type.is_float or np.asarray(part).dtype.kind not in "fc"
        part = as_variable(part, view.dtype if fits else None)
    if part.type.is_float and not view.type.is_float:
        raise DTypeError(
            f"cannot put {part.label()}, {part.type}, into {view.label()}, {view.type}; cast it first."
        )
    part = broadcast_to(cast(part, view.dtype), sizes_of(view))
    for _ in range(steps):
        node = view.owner
        view, *rest = node.inputs
        match node.op:
            case DimShuffle():
                (part,) = node.op.vjp(node, part)  # its own inverse
            case Slice(index):
                part, add = PutSlice(index, add)(view, part, *rest), False
            case Take(axes):
                part, add = Put(axes, add)(view, part, *rest), False
    return (
        ew.add(view, part) if add else part
    )  # no node but new axes: the whole is meant


def set_subtensor(view: Any, part: Any) -> Variable:
    """``x`` with ``x[index]`` replaced by `part`: ``set_subtensor(x[2:5], 0)``."""
    return put(view, part, add=False)


def inc_subtensor(view: Any, part: Any) -> Variable:
    """``x`` with `part` added to ``x[index]``; a place named twice is added to twice."""
    return put(view, part, add=True)
