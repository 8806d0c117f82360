"""Single places and slices of every axis: reading them, and putting a part back there.

A bound, a step or a place is a number, or an input of the node where its value is not known
while the graph is built.

Read next: :mod:`workbench.core.ops.gathering`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import OutOfRangeError, ShapeError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Assembly, Indexer, Op, Size, Sizes, View, known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops.shape import (
    BroadcastTo,
    add_size,
    size_variable,
    sizes_of,
    subtract_size,
)
from workbench.core.ops.ufunc import cast, pad_left
from workbench.core.types import Array, TensorType

SYMBOLIC = "?"
"""Stands in an index for an integer that is an input of the node."""

LONGEST_STEP = 2**48
"""No axis is as long, so a longer step of a slice takes no other elements."""

Bound = int | str | None
Entry = int | str | tuple[Bound, Bound, int | str]


def slice_extent(
    start: Size | None, stop: Size | None, step: Size, size: Size
) -> tuple[Size, Size]:
    """Where ``start:stop:step`` begins on an axis of `size` elements, and how many it takes.

    Python's rule: a negative bound counts from the end, and bounds are clipped. A step that
    is a variable may have either sign; it is checked elsewhere that it is not 0.
    """
    if not isinstance(step, int):
        return _extent_of_any_step(start, stop, step, size)
    if step == 0:  # refused when it runs
        return 0, 0
    if all(isinstance(v, int | None) for v in (start, stop, size)):
        assert isinstance(size, int)
        chosen = range(*slice(start, stop, step).indices(size))
        return chosen.start, len(chosen)
    if start is None and stop is None and step in (1, -1):
        return (0 if step == 1 else subtract_size(size, 1)), size
    if start in (None, 0) and step == 1 and isinstance(stop, int) and stop < 0:
        return 0, as_size(ew.maximum(add_size(size, stop), 0))
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
    if isinstance(start, int) and isinstance(stop, int) and step == 1:
        if 0 <= start <= stop or start <= stop < 0:  # clipped, they stay in this order
            return first, span
    if abs(step) > 1:
        span = as_size(
            ew.floor_div(ew.add(size_variable(span), abs(step) - 1), abs(step))
        )
    return first, as_size(ew.maximum(span, 0))


def _extent_of_any_step(
    start: Size | None, stop: Size | None, step: Variable, size: Size
) -> tuple[Size, Size]:
    """As :func:`slice_extent` says; the sign of the step decides where the axis ends."""
    forward = ew.gt(step, 0)
    low = as_size(ew.switch(forward, 0, size_variable(-1)))
    high = as_size(ew.switch(forward, size, ew.sub(size_variable(size), 1)))
    ends = (low, high), (high, low)
    first, last = (
        _bound(bound, size, low, high)
        if bound is not None
        else ew.switch(forward, ahead, back)
        for bound, (ahead, back) in zip((start, stop), ends, strict=True)
    )
    span = ew.switch(forward, ew.sub(last, first), ew.sub(first, last))
    stride = ew.abs(ew.clip(step, -LONGEST_STEP, LONGEST_STEP))
    length = ew.maximum(ew.add(ew.floor_div(ew.sub(span, 1), stride), 1), 0)
    return first, length


def _bound(bound: Size, size: Size, low: Size, high: Size) -> Size:
    if isinstance(bound, int):
        if low == 0:  # one of the two ends is out of reach
            if bound >= 0:
                return as_size(ew.minimum(bound, high))
            return as_size(ew.maximum(add_size(size, bound), low))
        shifted: Any = bound if bound >= 0 else add_size(size, bound)
    else:
        shifted = ew.switch(ew.lt(bound, 0), ew.add(bound, size), bound)
    return as_size(ew.maximum(ew.minimum(shifted, high), low))


def as_size(variable: Variable) -> Size:
    """A scalar int64 variable as a size: its number when it is a constant."""
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
        ShapeError
            A step is 0.
        """
        index: list[Any] = []
        for axis, entry in enumerate(self.entries([int(v) for v in inputs])):
            if isinstance(entry, tuple):
                if entry[2] == 0:
                    raise ShapeError(f"the step of the slice of axis {axis} is 0.")
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
    ) -> list[tuple[Size, Size | None, Size]]:
        """For each axis where it begins, how many it takes (None for a single place), the step."""
        found: list[tuple[Size, Size | None, Size]] = []
        for entry, size in zip(
            self.entries([as_size(v) for v in inputs]), shape, strict=True
        ):
            if isinstance(entry, tuple):
                start, stop, step = entry
                first, length = slice_extent(start, stop, step, size)
                found.append((first, length, step))
            else:
                found.append((entry, None, 1))
        return found

    def step_checks(self, inputs: Sequence[Variable]) -> list[tuple[int, Size, Size]]:
        """Size checks: whether a step that was not known is 0 must be as false as 0."""
        checks: list[tuple[int, Size, Size]] = []
        for axis, entry in enumerate(self.entries(inputs)):
            step = entry[2] if isinstance(entry, tuple) else 1
            if isinstance(step, Variable):
                checks.append((axis, cast(ew.eq(step, 0), "int64"), 0))
            elif step == 0:
                checks.append((axis, 1, 0))
        return checks

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
            zip(self.entries([as_size(v) for v in bounds]), x.type.shape, strict=True)
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
                isinstance(b, int | None) for b in (start, stop, step)
            )
            _, length = (
                slice_extent(start, stop, step, size or 0) if known else (0, None)
            )
            shape.append(known_int(length) if length is not None else None)
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

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """No step is 0."""
        return self.step_checks(node.inputs[1:])

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
            stride = step if isinstance(step, int) else b.size(step)
            places.append(b.size(first) + next(loops) * stride)
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
        """No step is 0, and the part has the sizes of the slice."""
        lengths = [
            n for _, n, _ in self.extents(shapes[0], node.inputs[2:]) if n is not None
        ]
        return self.step_checks(node.inputs[2:]) + [
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
