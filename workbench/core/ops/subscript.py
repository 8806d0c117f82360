"""``x[key]`` as NumPy has it, taken apart into the ops that read at places, and put back there.

At most three steps, each an op: a basic slice, a rearrangement of axes (new axes, arrays
moved to the front), a gather by integer arrays. A mask stands for the places where it is
true.

Read next: :mod:`workbench.core.ops.creation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import (
    DTypeError,
    IndexKindError,
    OutOfRangeError,
    ShapeError,
)
from workbench.core.graph import Constant, Variable, as_variable
from workbench.core.op import known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.gathering import Put, Take, check_places
from workbench.core.ops.joining import stack
from workbench.core.ops.masks import places_of, places_of_scalar
from workbench.core.ops.shape import broadcast_to, dimshuffle, sizes_of
from workbench.core.ops.slicing import (
    LONGEST_STEP,
    SYMBOLIC,
    Bound,
    Entry,
    PutSlice,
    Slice,
)
from workbench.core.ops.ufunc import DimShuffle, cast, kind, pad_left


def index(x: Any, key: Any) -> Variable:
    """``x[key]`` as NumPy has it: integers, slices, ``None``, ``...``, integer arrays and masks.

    Index arrays broadcast together where a size is declared as 1. How many places of a mask
    are true is not known while the graph is built, so that number does not stretch.

    Raises
    ------
    OutOfRangeError
        More indices than axes, or a constant place outside a known size.
    IndexKindError
        An index is neither an integer nor a slice, a mask or an array of integers.
    IndexShapeError
        Index arrays do not fit together, or a mask does not fit the axes it indexes.
    """
    base = x = as_variable(x)
    entries = _entries(x, key if isinstance(key, tuple) else (key,))
    basic: list[Entry] = []
    bounds: list[Variable] = []
    layout: list[int | str] = []  # axes of the sliced array, "x" for new ones
    arrays: list[tuple[int, Variable]] = []  # position in layout, index array
    kept = 0
    for entry in entries:
        if entry is Ellipsis:
            continue
        if isinstance(entry, OnNewAxis):
            arrays.append((len(layout), entry.places))
        if entry is None or isinstance(entry, OnNewAxis):
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
    advanced = [i for i, k in enumerate(entries) if not _is_basic(k)]
    return advanced == list(range(advanced[0], advanced[-1] + 1))


def _is_basic(entry: Any) -> bool:
    """Whether an entry parts arrays; an ellipsis does, even one that stands for no axis."""
    return entry is None or entry is Ellipsis or isinstance(entry, slice)


def _steps(view: Variable, base: Variable) -> int:
    """How many nodes lead from `base` to the part of it that is `view`."""
    steps = 0
    while view is not base:
        assert view.owner is not None
        view = view.owner.inputs[0]
        steps += 1
    return steps


# --- reading the key ---------------------------------------------------------------------


@dataclass(frozen=True)
class OnNewAxis:
    """What a scalar mask is as an index: places on a new axis of size 1."""

    places: Variable


def _entries(x: Variable, key: tuple[Any, ...]) -> list[Any]:
    """The key with masks as places, and a slice for every axis that the ellipsis stands for."""
    items = [_item(x, k) for k in key]
    used = sum(map(_axes_of, items))
    if used > x.ndim:
        raise OutOfRangeError(
            f"{x.label()} has {x.ndim} axes, but {used} were indexed."
        )
    ellipses = [i for i, k in enumerate(items) if k is Ellipsis]
    if len(ellipses) > 1:
        raise OutOfRangeError("an index can have only one ellipsis.")
    at = ellipses[0] if ellipses else len(items)
    missing = [slice(None)] * (x.ndim - used)
    entries: list[Any] = []
    axis = 0
    for k in (*items[: at + 1], *missing, *items[at + 1 :]):
        if _is_mask(k):
            sizes = sizes_of(x)[axis : axis + k.ndim]
            entries.extend(
                places_of(k, sizes) if k.ndim else [OnNewAxis(places_of_scalar(k))]
            )
        else:
            entries.append(k)
        axis += _axes_of(k)
    return entries


def _item(x: Variable, k: Any) -> Any:
    """One index of a key: slices, None and ... as they are, anything else as a variable."""
    if _is_basic(k):
        return k
    found = as_index(k)
    if kind(found.dtype) not in "iub":
        raise IndexKindError(
            f"{found.label()} is {found.type} and cannot index {x.label()}; "
            "use T.cast(index, 'int64')."
        )
    return found


def as_index(k: Any) -> Variable:
    """An index as a variable; an empty list holds no floats but no places.

    Raises
    ------
    IndexKindError
        It holds no numbers.
    """
    if isinstance(k, list | tuple):
        if _holds_variable(k):
            return stack([as_index(v) for v in k])
        try:
            k = np.asarray(k) if np.size(k) else np.asarray(k, "int64")
        except ValueError as error:
            raise ShapeError(f"{k!r} is no index array: {error}.") from None
    try:
        return as_variable(k)
    except DTypeError:
        raise IndexKindError(
            f"{k!r} is no index: an index is an integer, a slice, None, ..., a mask or an "
            "array of integers."
        ) from None


def _holds_variable(k: Any) -> bool:
    if isinstance(k, list | tuple):
        return any(_holds_variable(v) for v in k)
    return isinstance(k, Variable)


def _is_mask(k: Any) -> bool:
    return isinstance(k, Variable) and k.dtype == "bool"


def _axes_of(k: Any) -> int:
    """How many axes an index stands for."""
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if _is_mask(k) else 1


def _basic_entry(entry: Any, bounds: list[Variable]) -> Entry:
    """A slice or a place as :class:`Slice` keeps it; what is not known goes to `bounds`."""
    if not isinstance(entry, slice):
        place = _bound_entry(entry, bounds)
        assert place is not None
        return place
    start, stop = (_bound_entry(b, bounds) for b in (entry.start, entry.stop))
    step = 1 if entry.step is None else _bound_entry(entry.step, bounds)
    if step == 0:
        raise ShapeError("the step of a slice must not be 0.")
    if isinstance(step, int):
        step = max(-LONGEST_STEP, min(step, LONGEST_STEP))
    assert step is not None
    return start, stop, step


def _bound_entry(bound: Any, bounds: list[Variable]) -> Bound:
    if bound is None:
        return None
    if isinstance(bound, int):  # also True, and numbers that no int64 holds
        return max(-(2**62), min(int(bound), 2**62))
    variable = as_variable(bound)
    if variable.ndim or kind(variable.dtype) not in "iu":
        raise DTypeError(
            f"a bound of a slice must be an integer or None, got {bound!r}."
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
    places = [pad_left(_as_int64(place), rank) for _, place in arrays]
    _check_constants(x, arrays)
    taken = Take(len(places))(dimshuffle(x, *axes, *others), *places)
    before = axes[0] if neighbours else 0
    return dimshuffle(
        taken,
        *range(rank, rank + before),
        *range(rank),
        *range(rank + before, taken.ndim),
    )


def _check_constants(x: Variable, arrays: Sequence[tuple[int, Variable]]) -> None:
    """Find places outside a known size at once, when all of them are constants."""
    sizes = [x.type.shape[axis] for axis, _ in arrays]
    places = [place.data for _, place in arrays if isinstance(place, Constant)]
    if len(places) < len(arrays) or None in sizes:
        return
    try:
        check_places([size or 0 for size in sizes], places)
    except ValueError:  # that they do not broadcast is said elsewhere
        return


def _as_int64(place: Variable) -> Variable:
    if isinstance(place, Constant):
        return Constant(place.data.astype("int64"), place.name)
    return cast(place, "int64")


# --- putting a part back -----------------------------------------------------------------


def put_back(view: Any, part: Any, add: bool) -> Variable:
    """The array `view` was indexed from, with `part` set there, or added.

    Raises
    ------
    TypeError
        `view` was not made by indexing.
    DTypeError
        A float is put into integers.
    ShapeError
        The part does not broadcast to the view.
    """
    steps = getattr(view.tag, "steps", 0) if isinstance(view, Variable) else 0
    if not steps:
        raise TypeError(
            "set_subtensor and inc_subtensor take an indexed variable, as x[2:5] or x[rows, columns]."
        )
    part = _fitted(part, view)
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


def _fitted(part: Any, view: Variable) -> Variable:
    """What is put: in the dtype of the view, and of its shape."""
    if not isinstance(part, Variable):
        fits = view.type.is_float or np.asarray(part).dtype.kind not in "fc"
        part = as_variable(part, view.dtype if fits else None)
    if part.type.is_float and not view.type.is_float:
        raise DTypeError(
            f"cannot put {part.label()}, {part.type}, into {view.label()}, {view.type}; cast it first."
        )
    while part.ndim > view.ndim and part.type.shape[0] == 1:
        part = dimshuffle(part, *range(1, part.ndim))
    return broadcast_to(cast(part, view.dtype), sizes_of(view))


def set_subtensor(
    view: Any,
    part: Any,
    inplace: bool = False,
    tolerate_inplace_aliasing: bool = False,
) -> Variable:
    """``x`` with ``x[key]`` replaced by `part`, which broadcasts: ``set_subtensor(x[2:5], 0)``.

    Of the elements for one place, which an array may name twice, the last one stays, and it
    alone has a gradient. What `inplace` and `tolerate_inplace_aliasing` say is for
    compatibility: whether memory is used again is decided when compiling.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> T.set_subtensor(x[x < 0], 0).eval({x: [1.0, -2.0, 3.0]})
    array([1., 0., 3.])
    """
    return put_back(view, part, add=False)


def inc_subtensor(
    view: Any,
    part: Any,
    inplace: bool = False,
    set_instead_of_inc: bool = False,
    tolerate_inplace_aliasing: bool = False,
) -> Variable:
    """``x`` with `part` added to ``x[key]``; a place that an array names twice is added to twice.

    `inplace` and `tolerate_inplace_aliasing` are as for :func:`set_subtensor`.
    """
    return put_back(view, part, add=not set_instead_of_inc)
