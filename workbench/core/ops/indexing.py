"""Ops that read and write at places, each beside what puts its elements back.

Slice and put-slice, take and put, join (whose adjoint is a slice).

Read next: :mod:`workbench.core.ops.subscript`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import OutOfRangeError, ShapeError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import (
    Assembly,
    Gather,
    Generator,
    Indexer,
    Op,
    Size,
    Sizes,
    View,
    equal_sizes,
    known_int,
)
from workbench.core.ops import elementwise as ew
from workbench.core.ops.shape import (
    BroadcastTo,
    add_size,
    dimshuffle,
    normal_axis,
    size_variable,
    sizes_of,
    subtract_size,
)
from workbench.core.ops.ufunc import cast, pad_left
from workbench.core.types import Array, TensorType

SYMBOLIC = "?"
"""Stands in an index for an integer that is an input of the node."""

Bound = int | str | None
Entry = int | str | tuple[Bound, Bound, int]


def slice_extent(
    start: Size | None, stop: Size | None, step: int, size: Size
) -> tuple[Size, Size]:
    """Where ``start:stop:step`` begins on an axis of `size` elements, and how many it takes.

    Python's rule: a negative bound counts from the end, and bounds are clipped.
    """
    if all(isinstance(v, int | None) for v in (start, stop, size)):
        assert isinstance(size, int)
        chosen = range(*slice(start, stop, step).indices(size))
        return chosen.start, len(chosen)
    if start is None and stop is None and step in (1, -1):
        return (0 if step == 1 else subtract_size(size, 1)), size
    if start in (None, 0) and step == 1 and isinstance(stop, int) and stop < 0:
        return 0, _as_size(ew.maximum(add_size(size, stop), 0))
    if isinstance(start, int) and start >= 0 and stop is None and step == 1:
        first = start if start == 0 else ew.minimum(start, size_variable(size))
        return first, subtract_size(size, first)
    low, high = (0, size) if step > 0 else (-1, subtract_size(size, 1))
    first = (
        _bound(start, size, low, high)
        if start is not None
        else (low if step > 0 else high)
    )
    last = (
        _bound(stop, size, low, high)
        if stop is not None
        else (high if step > 0 else low)
    )
    span = subtract_size(last, first) if step > 0 else subtract_size(first, last)
    length = ew.maximum(
        ew.floor_div(ew.add(size_variable(span), abs(step) - 1), abs(step)), 0
    )
    return first, length


def _bound(bound: Size, size: Size, low: Size, high: Size) -> Size:
    if isinstance(bound, int):
        shifted: Any = bound if bound >= 0 else add_size(size, bound)
    else:
        shifted = ew.switch(ew.lt(bound, 0), ew.add(bound, size), bound)
    return _as_size(ew.maximum(ew.minimum(shifted, high), low))


def _as_size(variable: Variable) -> Size:
    return int(variable.data) if isinstance(variable, Constant) else variable


class Indexed:
    """What a slice and its adjoint share: reading the index with its symbolic bounds."""

    index: tuple[Entry, ...]

    def entries(self, inputs: Sequence[Any]) -> list[Any]:
        """The index with each symbolic bound replaced by the next of `inputs`."""
        given = iter(inputs)
        return [
            next(given)
            if entry == SYMBOLIC
            else tuple(next(given) if part == SYMBOLIC else part for part in entry)
            if isinstance(entry, tuple)
            else entry
            for entry in self.index
        ]

    def numpy_index(
        self, shape: Sequence[int], inputs: Sequence[Array]
    ) -> tuple[Any, ...]:
        """The index with numbers, for an array of `shape`.

        Raises
        ------
        OutOfRangeError
            A single place lies outside its axis.
        """
        index: list[Any] = []
        for axis, entry in enumerate(self.entries([int(v) for v in inputs])):
            if isinstance(entry, tuple):
                index.append(slice(*entry))
                continue
            if not -shape[axis] <= entry < shape[axis]:
                raise OutOfRangeError(
                    f"index {entry} is out of range for axis {axis}, which has size {shape[axis]}."
                )
            index.append(entry)
        return tuple(index)

    def extents(
        self, shape: Sizes, inputs: Sequence[Variable]
    ) -> list[tuple[Size, Size | None, int]]:
        """For each axis where it begins, how many it takes (None for a single place), the step."""
        found: list[tuple[Size, Size | None, int]] = []
        for entry, size in zip(
            self.entries([_as_size(v) for v in inputs]), shape, strict=True
        ):
            if isinstance(entry, tuple):
                start, stop, step = entry
                first, length = slice_extent(start, stop, step, size)
                found.append((first, length, step))
            else:
                found.append((entry, None, 1))
        return found

    def index_text(self) -> str:
        """The index as Python writes it."""
        return ", ".join(
            ":".join(
                "" if p is None else str(p)
                for p in (entry if entry[2] != 1 else entry[:2])
            )
            if isinstance(entry, tuple)
            else str(entry)
            for entry in self.index
        )


@dataclass(frozen=True)
class Slice(Indexed, View):
    """Single places and slices of every axis of the first input; the others are symbolic bounds."""

    index: tuple[Entry, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """Lengths are known where the size and the bounds are."""
        x, *bounds = inputs
        shape: list[int | None] = []
        for axis, (entry, size) in enumerate(
            zip(self.entries([_as_size(v) for v in bounds]), x.type.shape, strict=True)
        ):
            if not isinstance(entry, tuple):
                if (
                    isinstance(entry, int)
                    and size is not None
                    and not -size <= entry < size
                ):
                    raise OutOfRangeError(
                        f"index {entry} is out of range for axis {axis} of {x.label()}, which has size {size}."
                    )
                continue
            start, stop, step = entry
            known = size is not None and all(
                isinstance(b, int | None) for b in (start, stop)
            )
            shape.append(
                len(range(*slice(start, stop, step).indices(size or 0)))
                if known
                else None
            )
        return [x.type.with_shape(shape)]

    def reference(self, x: Array, *bounds: Array) -> Array:
        """``x[index]``."""
        return x[self.numpy_index(x.shape, bounds)]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g put where it was taken from, zeros elsewhere."""
        x, *bounds = node.inputs
        assert g is not None
        zeros = BroadcastTo(x.ndim)(
            pad_left(as_variable(0, g.dtype), x.ndim),
            *(size_variable(s) for s in sizes_of(x)),
        )
        return [PutSlice(self.index, True)(zeros, g, *bounds), *(None for _ in bounds)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the elements."""
        return [node.inputs[0].type.is_float, *(False for _ in node.inputs[1:])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The lengths of the slices."""
        return [
            tuple(
                n
                for _, n, _ in self.extents(shapes[0], node.inputs[1:])
                if n is not None
            )
        ]

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """start + step i."""
        return _places(self, node.inputs[0], node.inputs[1:], index, b)

    def __str__(self) -> str:
        return f"slice[{self.index_text()}]"


def _places(
    op: Indexed,
    x: Variable,
    bounds: Sequence[Variable],
    index: Sequence[Any],
    b: Indexer,
) -> list[Any]:
    loops = iter(index)
    places = []
    sizes = sizes_of(x)
    for axis, (first, length, step) in enumerate(op.extents(sizes, bounds)):
        if length is None:
            places.append(b.wrap(b.size(first), sizes[axis], axis))
        else:
            places.append(b.size(first) + next(loops) * step)
    return places


class Placement(Assembly):
    """The first input with the second added to, or set at, places that the others say."""

    add: bool
    base = 0

    def reader(self) -> Op:
        """What reads from the same places."""
        raise NotImplementedError

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for x, without the places where it was set; g at the places for the part."""
        _, part, *where = node.inputs
        assert g is not None
        gx = g
        if not self.add:
            nothing = ew.fill(part, as_variable(0, g.dtype))
            gx = self(g, nothing, *where)
        return [gx, self.reader()(g, *where), *(None for _ in where)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Through both arrays."""
        x, part, *where = node.inputs
        return [x.type.is_float, part.type.is_float, *(False for _ in where)]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the first input."""
        return [tuple(shapes[0])]

    def parts(self, node: Apply) -> Sequence[int]:
        """The second input."""
        return (1,)

    def adds(self) -> bool:
        """As the field says."""
        return self.add


@dataclass(frozen=True)
class PutSlice(Indexed, Placement):
    """The first input with the second added to (or set at) a slice of it; then symbolic bounds."""

    index: tuple[Entry, ...]
    add: bool

    def reader(self) -> Op:
        """The slice."""
        return Slice(self.index)

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the first input."""
        x, part, *bounds = inputs
        (place,) = Slice(self.index).output_types(x, *bounds)
        for axis, (have, want) in enumerate(
            zip(part.type.shape, place.shape, strict=True)
        ):
            if None not in (have, want) and have != want:
                raise ShapeError(
                    f"cannot put size {have} into a slice of size {want} on axis {axis} of {part.label()}."
                )
        return [x.type]

    def reference(self, x: Array, part: Array, *bounds: Array) -> Array:
        """A copy of x, changed."""
        out, place = x.copy(), self.numpy_index(x.shape, bounds)
        if out[place].shape != part.shape:
            raise ShapeError(
                f"cannot put an array of shape {part.shape} into a slice of shape {out[place].shape}."
            )
        out[place] = out[place] + part if self.add else part
        return out

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """The part has the sizes of the slice."""
        lengths = [
            n for _, n, _ in self.extents(shapes[0], node.inputs[2:]) if n is not None
        ]
        return [
            (axis, have, want)
            for axis, (have, want) in enumerate(zip(shapes[1], lengths, strict=True))
        ]

    def target_index(
        self, node: Apply, part: int, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """start + step i."""
        return _places(self, node.inputs[0], node.inputs[2:], index, b)

    def __str__(self) -> str:
        return f"{'add' if self.add else 'set'}_slice[{self.index_text()}]"


@dataclass(frozen=True)
class Take(Gather):
    """Elements of the first input at places that integer arrays give for its first `axes` axes.

    The arrays have equal rank and broadcast; their axes come first in the result.
    """

    axes: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of the arrays, then the axes of x that are not indexed."""
        x, *places = inputs
        shape: list[int | None] = []
        for axis, sizes in enumerate(zip(*(p.type.shape for p in places), strict=True)):
            known = {s for s in sizes if s not in (None, 1)}
            if len(known) > 1:
                raise ShapeError(
                    f"index arrays have sizes {sorted(s for s in known if s)} on axis {axis}."
                )
            shape.append(
                known.pop() if known else 1 if all(s == 1 for s in sizes) else None
            )
        return [x.type.with_shape([*shape, *x.type.shape[self.axes :]])]

    def reference(self, x: Array, *places: Array) -> Array:
        """``x[places]``."""
        check_places(x.shape, places)
        return x[tuple(places)]

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op; index arrays only broadcast along axes declared as 1."""
        check_equal_places(node.inputs[1:], inputs[1:])
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g added where it was taken from."""
        x, *places = node.inputs
        assert g is not None
        zeros = BroadcastTo(x.ndim)(
            pad_left(as_variable(0, g.dtype), x.ndim),
            *(size_variable(s) for s in sizes_of(x)),
        )
        return [Put(self.axes, True)(zeros, g, *places), *(None for _ in places)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the elements."""
        return [node.inputs[0].type.is_float, *(False for _ in node.inputs[1:])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the arrays, then those of the other axes."""
        sizes: list[Size] = []
        for axis in range(node.inputs[1].ndim):
            stretched = [
                s[axis]
                for p, s in zip(node.inputs[1:], shapes[1:], strict=True)
                if p.type.shape[axis] != 1
            ]
            sizes.append(stretched[0] if stretched else 1)
        return [(*sizes, *shapes[0][self.axes :])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Index arrays agree where they do not broadcast."""
        return equal_sizes(node.inputs[1:], shapes[1:], range(node.inputs[1].ndim))

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """The places, then the other axes."""
        x, *places = node.inputs
        return _taken(x, places, index, b)

    def __str__(self) -> str:
        return "take"


def _taken(
    x: Variable, places: Sequence[Variable], index: Sequence[Any], b: Indexer
) -> list[Any]:
    rank = places[0].ndim
    sizes = sizes_of(x)
    found = []
    for axis, place in enumerate(places):
        at = [
            b.size(0) if s == 1 else i
            for i, s in zip(index[:rank], place.type.shape, strict=True)
        ]
        found.append(b.wrap(b.value(place, at), sizes[axis], axis, index[:rank]))
    return [*found, *index[rank:]]


def check_places(shape: Sequence[int], places: Sequence[Array]) -> None:
    """Raise an OutOfRangeError naming the axis and the value when a place lies outside."""
    for axis, place in enumerate(places):
        bad = place[(place < -shape[axis]) | (place >= shape[axis])]
        if bad.size:
            raise OutOfRangeError(
                f"index {int(bad.flat[0])} is out of range for axis {axis}, which has size {shape[axis]}."
            )


def check_equal_places(variables: Sequence[Variable], places: Sequence[Array]) -> None:
    """Raise a ShapeError when index arrays differ in a size that was not declared as 1."""
    for axis in range(variables[0].ndim):
        sizes = {
            p.shape[axis]
            for v, p in zip(variables, places, strict=True)
            if v.type.shape[axis] != 1
        }
        if len(sizes) > 1:
            raise ShapeError(f"index arrays have sizes {sorted(sizes)} on axis {axis}.")


@dataclass(frozen=True)
class Put(Placement):
    """The first input with the second added to (or set at) places that integer arrays give.

    A place that is named twice is added to twice; when set, the last one stays.
    """

    axes: int
    add: bool

    def reader(self) -> Op:
        """The gather."""
        return Take(self.axes)

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the first input."""
        return [inputs[0].type]

    def reference(self, x: Array, part: Array, *places: Array) -> Array:
        """``np.add.at`` on a copy of x."""
        check_places(x.shape, places)
        out = x.copy()
        if self.add:
            np.add.at(out, tuple(places), part)
        else:
            out[tuple(places)] = part
        return out

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op; index arrays only broadcast along axes declared as 1."""
        x, part, *places = inputs
        check_equal_places(node.inputs[2:], places)
        shape = (
            *np.broadcast_shapes(*(p.shape for p in places)),
            *x.shape[self.axes :],
        )
        if part.shape != shape:
            raise ShapeError(
                f"{self}: the part has shape {part.shape}, the places have {shape}."
            )
        return super().evaluate(node, inputs)

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Index arrays agree, and the part has their shape and that of the other axes."""
        places = equal_sizes(node.inputs[2:], shapes[2:], range(node.inputs[2].ndim))
        take = Take(self.axes)
        read = take.make_node(node.inputs[0], *node.inputs[2:])
        (want,) = take.infer_shape(read, [shapes[0], *shapes[2:]])
        return [
            *places,
            *(
                (axis, a, b)
                for axis, (a, b) in enumerate(zip(shapes[1], want, strict=True))
            ),
        ]

    def target_index(
        self, node: Apply, part: int, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """The places, then the other axes."""
        return _taken(node.inputs[0], node.inputs[2:], index, b)

    def __str__(self) -> str:
        return "add_at" if self.add else "set_at"


class OneHot(Generator):
    """Row i is true in the column that entry i of an integer vector names: [n] and a size k to [n, k].

    Rewriting makes it, for the gradient of one element a row: it needs no array of zeros.
    """

    name = "one_hot"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The length of the vector, and the number of columns."""
        places, size = inputs
        return [TensorType("bool", (places.type.shape[0], known_int(size)))]

    def reference(self, places: Array, size: Array) -> Array:
        """A comparison with every column; a negative place counts from the end."""
        check_places((int(size),), [places])
        return np.arange(int(size)) == (places % max(int(size), 1))[:, None]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None, None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False, False]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The length of the vector, and the number of columns."""
        return [(shapes[0][0], _as_size(node.inputs[1]))]

    def element(self, node: Apply, index: Sequence[Any], b: Indexer) -> Any:
        """Whether the column is the one named."""
        places, size = node.inputs
        return b.equal(
            index[1], b.wrap(b.value(places, (index[0],)), _as_size(size), 0)
        )


@dataclass(frozen=True)
class Join(Assembly):
    """The inputs one after the other along `axis`."""

    axis: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The sum of the sizes along the axis; the other sizes must agree."""
        shape = list(inputs[0].type.shape)
        for axis in range(len(shape)):
            sizes = [v.type.shape[axis] for v in inputs]
            known = {s for s in sizes if s is not None}
            if axis == self.axis:
                shape[axis] = (
                    None if None in sizes else sum(s for s in sizes if s is not None)
                )
                continue
            if len(known) > 1:
                raise ShapeError(
                    f"cannot join along axis {self.axis}: sizes {sorted(known)} differ on axis {axis}."
                )
            shape[axis] = known.pop() if known else None
        return [TensorType(inputs[0].dtype, tuple(shape))]

    def reference(self, *inputs: Array) -> Array:
        """``np.concatenate``."""
        for axis in range(inputs[0].ndim):
            sizes = {x.shape[axis] for x in inputs}
            if axis != self.axis and len(sizes) > 1:
                raise ShapeError(
                    f"cannot join along axis {self.axis}: sizes {sorted(sizes)} differ on axis {axis}."
                )
        return np.concatenate(inputs, axis=self.axis)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The slices of g."""
        assert g is not None
        grads, start = [], size_variable(0)
        for x in node.inputs:
            stop = ew.add(start, size_variable(sizes_of(x)[self.axis]))
            index = tuple(
                (SYMBOLIC, SYMBOLIC, 1) if i == self.axis else (None, None, 1)
                for i in range(g.ndim)
            )
            grads.append(Slice(index)(g, start, stop) if x.type.is_float else None)
            start = stop
        return grads

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes added along the axis."""
        total: Size = 0
        for shape in shapes:
            total = add_size(total, shape[self.axis])
        return [
            tuple(total if axis == self.axis else s for axis, s in enumerate(shapes[0]))
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """The other axes agree."""
        others = [axis for axis in range(node.inputs[0].ndim) if axis != self.axis]
        return equal_sizes(node.inputs, shapes, others, stretch=False)

    def parts(self, node: Apply) -> Sequence[int]:
        """All inputs."""
        return range(len(node.inputs))

    def target_index(
        self, node: Apply, part: int, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """Moved behind the parts before."""
        offset: Size = 0
        for x in node.inputs[:part]:
            offset = add_size(offset, sizes_of(x)[self.axis])
        return [
            i + b.size(offset) if axis == self.axis else i
            for axis, i in enumerate(index)
        ]


# --- what users call ---------------------------------------------------------------------


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Variable:
    """The arrays one after the other along an axis they have, in their common dtype."""
    variables = [as_variable(t) for t in tensors]
    if not variables:
        raise ShapeError("concatenate needs at least one array.")
    ranks = {v.ndim for v in variables}
    if len(ranks) > 1 or 0 in ranks:
        raise ShapeError(
            f"concatenate needs arrays of one rank, at least 1; got ranks {sorted(ranks)}."
        )
    dtype = np.result_type(*(v.dtype for v in variables)).name
    return Join(normal_axis(axis, variables[0].ndim))(
        *(cast(v, dtype) for v in variables)
    )


def stack(tensors: Sequence[Any], axis: int = 0, *more: Any) -> Variable:
    """Arrays of one shape along a new axis."""
    if isinstance(tensors, Variable) or not isinstance(
        tensors, list | tuple
    ):  # stack(a, b, c)
        tensors, axis = [tensors, axis, *more], 0
    variables = [as_variable(t) for t in tensors]
    ranks = {v.ndim for v in variables}
    if len(ranks) != 1:
        raise ShapeError(f"stack needs arrays of one shape; got ranks {sorted(ranks)}.")
    at = normal_axis(axis, ranks.pop() + 1)
    order: list[Any] = list(range(variables[0].ndim))
    order.insert(at, "x")
    return concatenate([dimshuffle(v, *order) for v in variables], at)
