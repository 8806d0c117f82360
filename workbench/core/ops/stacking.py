"""Arrays put together and taken apart: stacks, splits, blocks, and lists as variables.

All of it is joins, slices and new axes, so that parts flow into the loops that read them.

Read next: :mod:`workbench.core.ops.grids`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ShapeError, ZeroStepError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.creation import ones, zeros
from workbench.core.ops.gathering import OneHot
from workbench.core.ops.joining import Casting, concatenate, stack
from workbench.core.ops.rearrange import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_shape,
    entries,
)
from workbench.core.ops.shape import (
    add_size,
    as_sizes,
    broadcast_to,
    dimshuffle,
    divide_size,
    flatten,
    normal_axis,
    shape_padleft,
    sizes_of,
    specify_shape,
)
from workbench.core.ops.subscript import index, set_subtensor
from workbench.core.ops.ufunc import cast, kind

# --- values and lists as variables -------------------------------------------------------


def as_tensor_variable(
    x: Any, name: str | None = None, ndim: int | None = None, dtype: str | None = None
) -> Variable:
    """`x` as a variable: itself, a stack of lists of variables, or a constant.

    Parameters
    ----------
    name
        How a constant is called.
    ndim
        How many axes it shall have: new ones of size 1 are put in front, or taken away there.
    dtype
        Of the result; of `x` itself by default, floatX for a Python float.

    Raises
    ------
    DTypeError
        `x` is no array of numbers.
    ShapeError
        An axis to be taken away has not size 1.
    """
    if isinstance(x, list | tuple) and _holds_variables(x):
        variable = stacklists(x)
    else:
        variable = as_variable(x, None if isinstance(x, Variable) else dtype, name)
    if dtype is not None:
        variable = cast(variable, dtype)
    if ndim is None:
        return variable
    extra = variable.ndim - ndim
    if extra > 0:
        return dimshuffle(variable, *range(extra, variable.ndim))
    return shape_padleft(variable, -extra)


def constant(
    x: Any, name: str | None = None, ndim: int | None = None, dtype: str | None = None
) -> Variable:
    """A value fixed while the graph is built; `ndim` puts axes of size 1 in front.

    Raises
    ------
    DTypeError
        `x` is a variable, or no array of numbers.
    """
    if isinstance(x, Variable):
        raise DTypeError(f"a constant needs a value, got the variable {x.label()}.")
    made = as_variable(x, dtype, name)
    if ndim is None or ndim == made.ndim:
        return made
    array = np.asarray(as_variable(x, dtype).data)  # type: ignore[attr-defined]
    if ndim < array.ndim:
        raise ShapeError(f"the value has {array.ndim} axes, more than ndim={ndim}.")
    return as_variable(
        array.reshape((1,) * (ndim - array.ndim) + array.shape), None, name
    )


def _holds_variables(x: Any) -> bool:
    if isinstance(x, list | tuple):
        return any(map(_holds_variables, x))
    return isinstance(x, Variable)


def stacklists(tensors: Any) -> Variable:
    """Nested lists of arrays of one shape as one array: a new axis for each level.

    ``stacklists([[a, b], [c, d]])`` of scalars is a matrix.
    """
    if not isinstance(tensors, list | tuple):
        return as_variable(tensors)
    if not tensors:
        raise ShapeError("stacklists: an empty list says no shape.")
    if not _holds_variables(tensors):
        return as_variable(tensors)
    return stack([stacklists(t) for t in tensors])


# --- put together ------------------------------------------------------------------------


def join(axis: int, *tensors: Any) -> Variable:
    """The arrays one after the other along `axis`; the axis comes first here."""
    return concatenate(tensors, axis)


def append(x: Any, values: Any, axis: int | None = None) -> Variable:
    """`values` behind `x` along an axis, or both as vectors."""
    both = [as_variable(x), as_variable(values)]
    if axis is None:
        return concatenate([flatten(v) for v in both])
    return concatenate(both, axis)


def vstack(
    tensors: Sequence[Any],
    *,
    dtype: str | None = None,
    casting: Casting = "same_kind",
) -> Variable:
    """The arrays below each other; a vector is a row."""
    arrays = [atleast_2d(t) for t in tensors]
    return concatenate(arrays, 0, dtype=dtype, casting=casting)


def hstack(
    tensors: Sequence[Any],
    *,
    dtype: str | None = None,
    casting: Casting = "same_kind",
) -> Variable:
    """The arrays beside each other: along axis 1, vectors along their only axis."""
    arrays = [atleast_1d(t) for t in tensors]
    axis = 0 if arrays and arrays[0].ndim == 1 else 1
    return concatenate(arrays, axis, dtype=dtype, casting=casting)


def dstack(tensors: Sequence[Any]) -> Variable:
    """The arrays behind each other along a third axis."""
    return concatenate([atleast_3d(t) for t in tensors], 2)


def column_stack(tensors: Sequence[Any]) -> Variable:
    """Vectors as the columns of a matrix, beside the columns of matrices."""
    arrays = [as_variable(t) for t in tensors]
    return concatenate(
        [v if v.ndim > 1 else dimshuffle(atleast_1d(v), 0, "x") for v in arrays], 1
    )


def horizontal_stack(*matrices: Any) -> Variable:
    """Matrices beside each other."""
    return concatenate(_matrices(matrices, "horizontal_stack"), 1)


def vertical_stack(*matrices: Any) -> Variable:
    """Matrices below each other."""
    return concatenate(_matrices(matrices, "vertical_stack"), 0)


def _matrices(arrays: Sequence[Any], function: str) -> list[Variable]:
    variables = [as_variable(a) for a in arrays]
    if any(v.ndim != 2 for v in variables):
        raise ShapeError(
            f"{function} takes matrices; got {', '.join(str(v.type) for v in variables)}."
        )
    return variables


def block_diag(*matrices: Any) -> Variable:
    """Matrices along the diagonal of one, zeros elsewhere; a vector is a row.

    Axes before the last two are stretched to each other.
    """
    blocks = [atleast_2d(m) for m in matrices or ([],)]
    dtype = np.result_type(*(b.dtype for b in blocks)).name
    batch = broadcast_shape(
        *([s for s in sizes_of(b)[:-2]] for b in blocks), arrays_are_shapes=True
    )
    widths = [sizes_of(b)[-1] for b in blocks]
    rows = []
    for i, block in enumerate(blocks):
        height = sizes_of(block)[-2]
        parts = [
            zeros((*batch, height, _total(widths[:i])), dtype),
            broadcast_to(cast(block, dtype), (*batch, height, widths[i])),
            zeros((*batch, height, _total(widths[i + 1 :])), dtype),
        ]
        wide = [p for p in parts if p.type.shape[-1] != 0]
        rows.append(concatenate(wide or parts, -1))
    return concatenate(rows, -2)


def _total(sizes: Sequence[Size]) -> Size:
    total: Size = 0
    for size in sizes:
        total = add_size(total, size)
    return total


def to_one_hot(y: Any, nb_class: Any, dtype: str | None = None) -> Variable:
    """A row for each entry of an integer vector: 1 in the column it names, else 0.

    Raises
    ------
    OutOfRangeError
        When run: an entry names no column. A negative one counts from the end.
    """
    places = as_variable(y)
    if places.ndim != 1 or kind(places.dtype) not in "iu":
        raise DTypeError(
            f"to_one_hot takes a vector of integers, got {places.label()}: {places.type}."
        )
    (columns,) = as_sizes(nb_class)
    return cast(OneHot()(cast(places, "int64"), columns), dtype or "floatX")


# --- taken apart -------------------------------------------------------------------------


def split(
    x: Any,
    indices_or_sections: Any = None,
    *positions: int,
    axis: int | None = None,
    splits_size: Any = None,
    n_splits: int | None = None,
) -> list[Variable]:
    """`x` cut along an axis, as NumPy does it, or into parts of given sizes.

    ``split(x, 3, axis)`` makes three equal parts and ``split(x, [2, 5], axis)`` cuts before
    places 2 and 5. With the number of parts, ``split(x, [2, 3, 1], n_splits=3, axis=0)`` or
    ``split(x, sizes, 3, 0)``, the list holds sizes instead, as the Theano tradition has it.

    Raises
    ------
    ShapeError
        The axis cannot be cut in equal parts, or the sizes do not add up to it; at run time
        where sizes are not known before.
    """
    x = as_variable(x)
    by_size = n_splits is not None or splits_size is not None or len(positions) > 1
    if len(positions) == 1 and axis is not None:
        by_size = True
    rest = list(positions)
    if by_size and n_splits is None and rest:
        n_splits = rest.pop(0)
    along = normal_axis(rest[0] if rest else axis or 0, x.ndim)
    given = splits_size if indices_or_sections is None else indices_or_sections
    if by_size:
        return _cut(x, _split_sizes(x, given, n_splits, along), along)
    return _numpy_split(x, given, along, equal=True)


def _split_sizes(x: Variable, given: Any, count: int | None, axis: int) -> list[Size]:
    if isinstance(given, Variable) and given.ndim == 1:
        length = given.type.shape[0] if count is None else count
        if length is None:
            raise ShapeError(
                f"split: the length of {given.label()} is not known; give n_splits=."
            )
        given = [index(given, i) for i in range(length)]
    sizes = [known_int(s) if known_int(s) is not None else s for s in as_sizes(given)]
    if count is not None and count != len(sizes):
        raise ShapeError(f"split: {len(sizes)} sizes were given, but n_splits={count}.")
    if any(isinstance(s, int) and s < 0 for s in sizes):
        raise ShapeError(f"split: a size is negative: {sizes}.")
    return sizes  # type: ignore[return-value]


def _cut(x: Variable, sizes: Sequence[Size], axis: int) -> list[Variable]:
    """Parts of the given sizes, none negative, which must add up to the axis."""
    x = specify_shape(x, [_total(sizes) if i == axis else None for i in range(x.ndim)])
    stops = [_total(sizes[:i]) for i in range(len(sizes) + 1)]
    return [
        specify_shape(part, [size if i == axis else None for i in range(x.ndim)])
        for part, size in zip(_between(x, stops, axis), sizes, strict=True)
    ]


def _between(x: Variable, stops: Sequence[Any], axis: int) -> list[Variable]:
    return [entries(x, slice(a, b), axis) for a, b in pairwise(stops)]


def _numpy_split(x: Variable, given: Any, axis: int, equal: bool) -> list[Variable]:
    """Equal parts for a number; for places the parts between them."""
    if isinstance(given, float):
        raise DTypeError(f"split: the number of parts must be an integer, got {given}.")
    if not isinstance(given, int | np.integer):
        places = given.tolist() if isinstance(given, np.ndarray) else given
        if isinstance(places, Variable):
            places = list(as_sizes(places))
        return _between(x, [0, *places, None], axis)
    count, size = int(given), sizes_of(x)[axis]
    if count == 0 and equal:
        raise ZeroStepError("split: nothing can be cut in 0 parts.")
    if count <= 0:
        raise ShapeError(f"split: the number of parts must be at least 1, got {count}.")
    part = divide_size(size, count)
    if equal:
        if isinstance(size, int) and size % count:
            raise ShapeError(
                f"split: size {size} cannot be cut in {count} equal parts."
            )
        return _cut(x, [part] * count, axis)
    longer: Any = size % count if isinstance(size, int) else ew.mod(size, count)
    stops = [_nth_stop(part, longer, i) for i in range(count + 1)]
    return _between(x, stops, axis)


def _nth_stop(part: Size, longer: Any, i: int) -> Any:
    """Where part i begins, when the first `longer` parts have one element more."""
    if isinstance(part, int):
        return i * part + min(i, longer)
    return ew.add(ew.mul(part, i), ew.minimum(longer, i))


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Variable]:
    """As :func:`split`, with parts that differ by one where equal ones are impossible."""
    x = as_variable(x)
    return _numpy_split(x, indices_or_sections, normal_axis(axis, x.ndim), equal=False)


def vsplit(x: Any, indices_or_sections: Any) -> list[Variable]:
    """`x` cut along axis 0; it has two axes at least."""
    return _split_along(x, indices_or_sections, 0, 2)


def hsplit(x: Any, indices_or_sections: Any) -> list[Variable]:
    """`x` cut along axis 1, a vector along its only axis."""
    x = as_variable(x)
    return _split_along(x, indices_or_sections, 1 if x.ndim > 1 else 0, 1)


def dsplit(x: Any, indices_or_sections: Any) -> list[Variable]:
    """`x` cut along axis 2; it has three axes at least."""
    return _split_along(x, indices_or_sections, 2, 3)


def _split_along(x: Any, given: Any, axis: int, rank: int) -> list[Variable]:
    x = as_variable(x)
    if x.ndim < rank:
        raise ShapeError(f"{x.label()} has {x.ndim} axes; {rank} are needed to cut it.")
    return _numpy_split(x, given, axis, equal=True)


def delete(x: Any, obj: Any, axis: int | None = None) -> Variable:
    """`x` without the entries along an axis, or the elements, that `obj` names.

    Parameters
    ----------
    obj
        A place, a slice, an array of places, or a mask. Of variables among them only the
        values decide how many entries stay.

    Raises
    ------
    OutOfRangeError
        A place lies outside the axis; when run where its size is not known.
    """
    x = as_variable(x)
    if axis is None:
        x, axis = flatten(x), 0
    at = normal_axis(axis, x.ndim)
    size = sizes_of(x)[at]
    if isinstance(size, int) and not isinstance(obj, Variable):
        return entries(x, np.delete(np.arange(size), obj), at)
    all_of_them = ones((size,), "bool")
    kept = set_subtensor(index(all_of_them, obj), np.array(False))
    return entries(x, kept, at)
