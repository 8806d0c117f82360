"""Elements at places that integer arrays give: reading them, and putting a part back there.

Read next: :mod:`workbench.core.ops.joining`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import IndexShapeError, OutOfRangeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import (
    Composite,
    Gather,
    Generator,
    Indexer,
    Op,
    Size,
    Sizes,
    equal_sizes,
    known_int,
)
from workbench.core.ops import elementwise as ew
from workbench.core.ops.shape import BroadcastTo, dimshuffle, size_variable, sizes_of
from workbench.core.ops.slicing import Placement, as_size
from workbench.core.ops.ufunc import pad_left
from workbench.core.types import Array, TensorType


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
                raise IndexShapeError(
                    f"index arrays have sizes {sorted(s for s in known if s is not None)} on axis {axis}."
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
        sizes = joint_sizes(node.inputs[1:], shapes[1:])
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


def joint_sizes(places: Sequence[Variable], shapes: Sequence[Sizes]) -> Sizes:
    """The sizes that index arrays broadcast to: of the first that does not stretch."""
    sizes: list[Size] = []
    for axis in range(places[0].ndim):
        free = [
            s[axis]
            for p, s in zip(places, shapes, strict=True)
            if p.type.shape[axis] != 1
        ]
        sizes.append(free[0] if free else 1)
    return tuple(sizes)


def check_places(shape: Sequence[int], places: Sequence[Array]) -> None:
    """Raise an OutOfRangeError naming the axis and the value when a place lies outside.

    Where the arrays together name no place at all, nothing is read and nothing is wrong.
    """
    if 0 in np.broadcast_shapes(*(place.shape for place in places)):
        return
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
            raise IndexShapeError(
                f"index arrays have sizes {sorted(sizes)} on axis {axis}."
            )


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
        else:  # as vectors: NumPy goes through other arrays in the order of their memory
            flat = tuple(p.ravel() for p in np.broadcast_arrays(*places))
            out[flat] = part.reshape(len(flat[0]), *part.shape[places[0].ndim :])
        return out

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """As for any placement; of those who set one place only the last has a gradient."""
        gx, gpart, *others = super().vjp(node, g)
        if self.add:
            return [gx, gpart, *others]
        x, part, *places = node.inputs
        sizes = sizes_of(x)[: self.axes]
        won = LastWriter(self.axes)(*places, *map(size_variable, sizes))
        others_of_part = ("x" for _ in range(part.ndim - won.ndim))
        won = dimshuffle(won, *range(won.ndim), *others_of_part)
        assert gpart is not None
        return [gx, ew.switch(won, gpart, 0), *others]

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


@dataclass(frozen=True)
class LastWriter(Composite):
    """Which entries of integer arrays are the last to name their place: bools in the shape of the arrays.

    The first `axes` inputs are the arrays, the others the sizes of the axes they index.
    """

    axes: int
    name = "last_writer"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of the arrays."""
        places, sizes = inputs[: self.axes], inputs[self.axes :]
        board = Variable(TensorType("bool", tuple(map(known_int, sizes))))
        return Take(self.axes).output_types(board, *places)

    def reference(self, *inputs: Array) -> Array:
        """Everyone writes their own number; who still reads it there was the last."""
        places = np.broadcast_arrays(*inputs[: self.axes])
        sizes = tuple(int(size) for size in inputs[self.axes :])
        check_places(sizes, places)
        if not places[0].size:
            return np.zeros(places[0].shape, bool)
        cells = np.ravel_multi_index(
            [p % size for p, size in zip(places, sizes, strict=True)], sizes
        ).ravel()
        board, number = np.zeros(np.prod(sizes), "int64"), np.arange(cells.size)
        board[cells] = number
        return (board[cells] == number).reshape(places[0].shape)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: a bool."""
        return [None for _ in node.inputs]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The shape of the arrays."""
        return [joint_sizes(node.inputs[: self.axes], shapes[: self.axes])]

    def expand(self, *inputs: Variable) -> Variable:
        """The same on a board of integers."""
        places, sizes = inputs[: self.axes], inputs[self.axes :]
        shape = joint_sizes(places, [sizes_of(p) for p in places])
        number = Position()(*map(size_variable, shape))
        nothing = pad_left(as_variable(0, "int64"), self.axes)
        board = BroadcastTo(self.axes)(nothing, *sizes)
        written = Put(self.axes, False)(board, number, *places)
        return ew.eq(Take(self.axes)(written, *places), number)


class Position(Generator):
    """The number of each element in row-major order, int64; the inputs are the sizes."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The sizes that are constants."""
        return [TensorType("int64", tuple(known_int(size) for size in inputs))]

    def reference(self, *sizes: Array) -> Array:
        """A reshaped range."""
        shape = tuple(int(size) for size in sizes)
        return np.arange(int(np.prod(shape))).reshape(shape)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None for _ in node.inputs]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes given."""
        return [tuple(map(as_size, node.inputs))]

    def element(self, node: Apply, index: Sequence[Any], b: Indexer) -> Any:
        """The index read as one number."""
        place = b.size(0)
        for i, size in zip(index, node.inputs, strict=True):
            place = place * b.size(as_size(size)) + i
        return place


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
        return [(shapes[0][0], as_size(node.inputs[1]))]

    def element(self, node: Apply, index: Sequence[Any], b: Indexer) -> Any:
        """Whether the column is the one named."""
        places, size = node.inputs
        return b.equal(index[1], b.wrap(b.value(places, (index[0],)), as_size(size), 0))
