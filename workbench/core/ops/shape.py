"""Sizes as variables, and the ops that give the same elements another shape.

A size is an int where it is known and a scalar int64 variable otherwise. ``x.shape`` can be
computed without computing ``x``: every op says its output's sizes in terms of its inputs'
(:meth:`~workbench.core.op.Op.infer_shape`), down to the sizes of the function's arguments.

Read next: :mod:`workbench.core.ops.reduction`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import AxisError, DTypeError, ShapeError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import (
    Assembly,
    Composite,
    Indexer,
    Op,
    Size,
    Sizes,
    View,
    equal_sizes,
    known_int,
)
from workbench.core.ops.elementwise import add, floor_div, mul, sub
from workbench.core.ops.ufunc import DimShuffle, cast, kind
from workbench.core.types import Array, TensorType, shape_text

INT64 = TensorType("int64", ())


@dataclass(frozen=True)
class SizeOf(Op):
    """The size of one axis, a scalar int64."""

    axis: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """A scalar int64."""
        return [INT64]

    def reference(self, x: Array) -> Array:
        """``x.shape[axis]``."""
        return np.array(x.shape[self.axis], "int64")

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: a size does not depend on values."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """A scalar."""
        return [()]

    def __str__(self) -> str:
        return f"size{{{self.axis}}}"


class MakeVector(Assembly):
    """A vector of the given scalars, all of one dtype."""

    name = "make_vector"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """As long as there are inputs."""
        return [TensorType(inputs[0].dtype if inputs else "int64", (len(inputs),))]

    def reference(self, *inputs: Array) -> Array:
        """``np.array(inputs)``."""
        return np.array(inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The elements of g."""
        assert g is not None
        return [g[i] if v.type.is_float else None for i, v in enumerate(node.inputs)]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """As long as there are inputs."""
        return [(len(node.inputs),)]

    def parts(self, node: Apply) -> Sequence[int]:
        """All inputs."""
        return range(len(node.inputs))

    def target_index(
        self, node: Apply, part: int, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """Scalar number i goes to place i."""
        return [b.size(part)]


class Shape(Composite):
    """All sizes of a variable, an int64 vector as long as it has axes."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """One entry an axis."""
        return [TensorType("int64", (inputs[0].ndim,))]

    def reference(self, x: Array) -> Array:
        """``x.shape``."""
        return np.array(x.shape, "int64")

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: sizes do not depend on values."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """One entry an axis."""
        return [(node.inputs[0].ndim,)]

    def expand(self, *inputs: Variable) -> Variable:
        """A vector of single sizes."""
        (x,) = inputs
        return MakeVector()(*(SizeOf(axis)(x) for axis in range(x.ndim)))


@dataclass(frozen=True)
class Reshape(View):
    """The elements of the first input, in row-major order, in an array of other sizes.

    The other inputs are its `rank` sizes, int64 scalars; one may be the constant -1 and is
    then computed.
    """

    rank: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """Sizes given as constants are known."""
        x, *sizes = inputs
        known = [known_int(s) for s in sizes]
        if known.count(-1) > 1:
            raise ShapeError(
                f"reshape: only one size may be -1, got {shape_text(known)}."
            )
        if -1 in known:
            have, others = product(x.type.shape), product([k for k in known if k != -1])
            free = (
                have // others
                if isinstance(have, int) and isinstance(others, int) and others
                else None
            )
            known[known.index(-1)] = free
        have, want = product(x.type.shape), product(known)
        if isinstance(have, int) and isinstance(want, int) and have != want:
            raise ShapeError(
                f"reshape: {x.label()} has {have} elements, which do not fill the shape {shape_text(known)}."
            )
        return [x.type.with_shape(known)]

    def reference(self, x: Array, *sizes: Array) -> Array:
        """``x.reshape(sizes)``."""
        wanted = tuple(int(s) for s in sizes)
        try:
            return x.reshape(wanted)
        except ValueError:
            raise ShapeError(
                f"reshape: {x.size} elements of shape {x.shape} do not fill the shape {wanted}."
            ) from None

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op; only a size written as -1 in the graph is computed."""
        for given, size in zip(node.inputs[1:], inputs[1:], strict=True):
            if int(size) < 0 and known_int(given) is None:
                raise ShapeError(
                    f"reshape: the size {given.label()} is {int(size)}; it must not be negative."
                )
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g in the shape of the input."""
        x, *sizes = node.inputs
        assert g is not None
        return [reshape(g, sizes_of(x)), *(None for _ in sizes)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the elements."""
        return [node.inputs[0].type.is_float, *(False for _ in node.inputs[1:])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes given; the one that is -1 from the number of elements."""
        sizes: list[Size] = [
            s if known_int(s) is None else int(known_int(s) or 0)
            for s in node.inputs[1:]
        ]
        if -1 in sizes:
            others = product_size([s for s in sizes if s != -1])
            sizes[sizes.index(-1)] = divide_size(product_size(shapes[0]), others)
        return [tuple(sizes)]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """As many elements as before."""
        (sizes,) = self.infer_shape(node, shapes)
        return [(0, product_size(shapes[0]), product_size(sizes))]

    def __str__(self) -> str:
        return "reshape"


@dataclass(frozen=True)
class BroadcastTo(View):
    """The first input stretched along its axes of declared size 1 to the sizes given.

    It has as many axes as there are sizes; the other axes must have the size asked for.
    """

    rank: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """Sizes given as constants, or known of axes that do not stretch."""
        x, *sizes = inputs
        shape: list[int | None] = []
        for axis, (have, size) in enumerate(zip(x.type.shape, sizes, strict=True)):
            want = known_int(size)
            if have not in (None, 1) and want is not None and have != want:
                raise ShapeError(
                    f"cannot stretch axis {axis} of {x.label()} from size {have} to {want}."
                )
            shape.append(want if want is not None else have if have != 1 else None)
        return [x.type.with_shape(shape)]

    def reference(self, x: Array, *sizes: Array) -> Array:
        """``np.broadcast_to``."""
        return np.broadcast_to(x, tuple(int(s) for s in sizes))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op; only axes declared as 1 may stretch."""
        x, *sizes = inputs
        for axis, (declared, have, want) in enumerate(
            zip(node.inputs[0].type.shape, x.shape, sizes, strict=True)
        ):
            if int(want) < 0:
                raise ShapeError(
                    f"{self}: size {int(want)} on axis {axis} is negative."
                )
            if declared != 1 and have != int(want):
                raise ShapeError(
                    f"{self}: axis {axis} has size {have}, not {int(want)}, and was not declared as 1."
                )
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g; the caller sums it over the stretched axes."""
        return [g, *(None for _ in node.inputs[1:])]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the elements."""
        return [node.inputs[0].type.is_float, *(False for _ in node.inputs[1:])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes given."""
        return [
            tuple(
                s if known_int(s) is None else int(known_int(s) or 0)
                for s in node.inputs[1:]
            )
        ]

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """Place 0 along stretched axes."""
        return [
            b.size(0) if size == 1 else i
            for i, size in zip(index, node.inputs[0].type.shape, strict=True)
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Axes that do not stretch have the size asked for."""
        (sizes,) = self.infer_shape(node, shapes)
        return equal_sizes(
            [node.inputs[0], node.outputs[0]], [shapes[0], sizes], range(self.rank)
        )

    def __str__(self) -> str:
        return "broadcast"


class SpecifyShape(View):
    """The first input, whose sizes are checked; the type of the output knows them.

    The other inputs are one size an axis, -1 where any is allowed.
    """

    name = "specify_shape"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """Constant sizes become part of the type."""
        x, *sizes = inputs
        shape: list[int | None] = []
        for axis, (have, size) in enumerate(zip(x.type.shape, sizes, strict=True)):
            want = known_int(size)
            if have is not None and want not in (None, -1, have):
                raise ShapeError(
                    f"specify_shape: axis {axis} of {x.label()} has size {have}, not {want}."
                )
            shape.append(have if want in (None, -1) else want)
        return [x.type.with_shape(shape)]

    def reference(self, x: Array, *sizes: Array) -> Array:
        """`x`, after the check."""
        for axis, (have, want) in enumerate(zip(x.shape, sizes, strict=True)):
            if int(want) not in (-1, have):
                raise ShapeError(
                    f"specify_shape: axis {axis} has size {have}, not {int(want)}."
                )
        return x

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op; only a size written as -1 in the graph allows any."""
        for axis, (given, size) in enumerate(
            zip(node.inputs[1:], inputs[1:], strict=True)
        ):
            if int(size) < 0 and known_int(given) is None:
                raise ShapeError(
                    f"specify_shape: the size asked for on axis {axis} is {int(size)}."
                )
        return super().evaluate(node, inputs)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g."""
        return [g, *(None for _ in node.inputs[1:])]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the elements."""
        return [node.inputs[0].type.is_float, *(False for _ in node.inputs[1:])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The input's sizes."""
        return [tuple(shapes[0])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """The sizes asked for, where one was."""
        checks: list[tuple[int, Size, Size]] = []
        for axis, (have, asked) in enumerate(
            zip(shapes[0], node.inputs[1:], strict=True)
        ):
            known = known_int(asked)
            if known != -1:
                checks.append((axis, have, asked if known is None else known))
        return checks

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """The same place."""
        return index


# --- arithmetic of sizes -----------------------------------------------------------------


def product(sizes: Sequence[int | None]) -> int | None:
    """The product of known sizes; None when one is unknown, unless another is 0."""
    if 0 in sizes:
        return 0
    result = 1
    for size in sizes:
        if size is None:
            return None
        result *= size
    return result


def product_size(sizes: Sequence[Size]) -> Size:
    """The product of sizes, an int as far as they are."""
    known, result = 1, None
    for size in sizes:
        if isinstance(size, int):
            known *= size
        else:
            result = size if result is None else mul(result, size)
    return known if result is None else result if known == 1 else mul(result, known)


def divide_size(a: Size, b: Size) -> Size:
    """a // b."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b else 0
    return a if b == 1 else floor_div(size_variable(a), b)


def add_size(a: Size, b: Size) -> Size:
    """a + b."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return b if a == 0 else a if b == 0 else add(a, b)


def subtract_size(a: Size, b: Size) -> Size:
    """a - b."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    return a if b == 0 else sub(a, b)


def size_variable(size: Size) -> Variable:
    """A size as a scalar int64 variable."""
    return Constant(np.array(size, "int64")) if isinstance(size, int) else size


def sizes_of(x: Variable) -> tuple[Size, ...]:
    """The sizes of a variable: ints where the type knows them."""
    return tuple(
        SizeOf(axis)(x) if size is None else size
        for axis, size in enumerate(x.type.shape)
    )


def as_sizes(shape: Any) -> tuple[Variable, ...]:
    """A shape given as a number, a sequence or an integer vector, as scalar int64 variables.

    Raises
    ------
    DTypeError
        A size is no integer.
    ShapeError
        A vector is given whose own length is not known, so that the rank is not either.
    """
    if isinstance(shape, Variable) and shape.ndim == 1:
        if shape.owner is not None and isinstance(shape.owner.op, Shape):
            return tuple(size_variable(s) for s in sizes_of(shape.owner.inputs[0]))
        length = shape.type.shape[0]
        if length is None:
            raise ShapeError(
                f"the number of axes is not known from {shape.label()}, a vector of unknown length; "
                "give the sizes as a tuple, or the number of axes as ndim=."
            )
        entries: Sequence[Any] = [shape[i] for i in range(length)]
    elif isinstance(shape, Variable):
        entries = [shape]
    else:
        entries = (
            shape if isinstance(shape, list | tuple) else np.atleast_1d(shape).tolist()
        )
    sizes = []
    for entry in entries:
        size = as_variable(entry)
        if size.ndim or kind(size.dtype) not in "iu":
            raise DTypeError(
                f"a size must be an integer, got {size.label()}: {size.type}."
            )
        sizes.append(cast(size, "int64"))
    return tuple(sizes)


# --- what users call ---------------------------------------------------------------------


def shape(x: Any) -> Variable:
    """The sizes of `x` as an int64 vector, known without computing `x`."""
    return Shape()(as_variable(x))


def dimshuffle(x: Any, *order: Any) -> Variable:
    """Rearrange axes: ``dimshuffle(x, 1, 0)`` transposes, ``"x"`` adds an axis of size 1.

    Raises
    ------
    ShapeError
        An axis is named twice or out of range, or left out although its size is not 1.
    """
    x = as_variable(x)
    if len(order) == 1 and isinstance(order[0], list | tuple):
        order = tuple(order[0])
    entries: tuple[int | str, ...] = tuple(
        "x" if i == "x" else normal_axis(i, x.ndim) for i in order
    )
    kept = [i for i in entries if i != "x"]
    if len(set(kept)) != len(kept):
        raise ShapeError(f"dimshuffle{order} of {x.label()} names an axis twice.")
    for axis, size in enumerate(x.type.shape):
        if axis not in kept and size != 1:
            raise ShapeError(
                f"dimshuffle{order} leaves out axis {axis} of {x.label()}: {x.type}, whose size is not known to be 1. "
                f"Declare it with T.addbroadcast({x.name or 'x'}, {axis}), or index it."
            )
    return x if entries == tuple(range(x.ndim)) else DimShuffle(entries)(x)


def normal_axis(axis: Any, rank: int) -> int:
    """An axis counted from the front.

    Raises
    ------
    AxisError
        It is out of range.
    """
    number = operator.index(axis)
    if not -rank <= number < rank:
        raise AxisError(f"axis {number} is out of range for {rank} axes.")
    return number % rank if rank else 0


def transpose(x: Any, axes: int | Sequence[int] | None = None) -> Variable:
    """The axes of `x` in the order given, or reversed.

    Raises
    ------
    ShapeError
        Not every axis is named exactly once.
    """
    x = as_variable(x)
    if axes is None:
        return dimshuffle(x, *reversed(range(x.ndim)))
    named = [axes] if isinstance(axes, int | np.integer) else list(axes)
    if len(named) != x.ndim:
        raise ShapeError(
            f"transpose: {len(named)} axes are named; {x.label()} has {x.ndim}."
        )
    return dimshuffle(x, *named)


def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """`x` with two axes exchanged."""
    x = as_variable(x)
    order = list(range(x.ndim))
    a, b = normal_axis(axis1, x.ndim), normal_axis(axis2, x.ndim)
    order[a], order[b] = b, a
    return dimshuffle(x, *order)


def reshape(
    x: Any, shape: Any, ndim: int | str | None = None, order: str = "C"
) -> Variable:
    """The elements of `x` in the same order with another shape; one size may be -1.

    Parameters
    ----------
    ndim
        Needed when the shape is a vector whose length is not known. An `order` may stand
        here, too, as in NumPy.
    order
        ``"C"``: the last axis changes fastest; ``"F"``: the first. ``"A"`` is ``"C"``, as a
        variable says nothing of its place in memory.

    Raises
    ------
    ShapeError
        The elements do not fill the shape, or it has not `ndim` sizes.
    """
    x = as_variable(x)
    if isinstance(ndim, str):
        order, ndim = ndim, None
    if order not in ("C", "F", "A"):
        raise ShapeError(f"reshape: order is 'C', 'F' or 'A', not {order!r}.")
    if ndim is not None and isinstance(shape, Variable) and shape.ndim == 1:
        shape = [shape[i] for i in range(ndim)]
    sizes = as_sizes(shape)
    if ndim is not None and ndim != len(sizes):
        raise ShapeError(f"reshape: {len(sizes)} sizes were given, but ndim={ndim}.")
    if order == "F":
        return transpose(Reshape(len(sizes))(transpose(x), *sizes[::-1]))
    return Reshape(len(sizes))(x, *sizes)


def flatten(x: Any, ndim: int = 1) -> Variable:
    """`x` with its last axes joined so that `ndim` remain."""
    x = as_variable(x)
    if not 1 <= ndim <= max(x.ndim, 1):
        raise ShapeError(f"flatten to {ndim} axes: {x.label()} has {x.ndim}.")
    if x.ndim == ndim:
        return x
    return reshape(x, (*sizes_of(x)[: ndim - 1], -1)) if ndim > 1 else reshape(x, (-1,))


def ravel(x: Any, order: str = "C") -> Variable:
    """`x` as a vector; the order is that of :func:`reshape`, or ``"K"``, which is ``"C"``."""
    return flatten(x) if order in ("C", "K") else reshape(x, -1, order=order)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """`x` without its axes of declared size 1, or without those named.

    Of a scalar axis 0 may be named, too, as in NumPy.

    Raises
    ------
    ShapeError
        An axis that is named has another size than 1, at run time where it is not known; or
        it is named twice.
    """
    x = as_variable(x)
    if axis is None:
        drop = [i for i, size in enumerate(x.type.shape) if size == 1]
    else:
        one = isinstance(axis, int | np.integer)
        if one and not x.ndim and axis in (0, -1):
            return x
        named = [axis] if one else axis
        drop = [normal_axis(a, x.ndim) for a in named]  # type: ignore[union-attr]
        if len(set(drop)) != len(drop):
            raise ShapeError(f"squeeze: {axis} names an axis twice.")
        if any(x.type.shape[i] != 1 for i in drop):
            x = addbroadcast(x, *drop)
    return dimshuffle(x, *(i for i in range(x.ndim) if i not in drop))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Variable:
    """`x` with axes of size 1 put in; `axis` counts those of the result."""
    x = as_variable(x)
    named = [axis] if isinstance(axis, int | np.integer) else list(axis)
    rank = x.ndim + len(named)
    new = [normal_axis(a, rank) for a in named]
    if len(set(new)) != len(new):
        raise ShapeError(f"expand_dims: {tuple(named)} names an axis twice.")
    old = iter(range(x.ndim))
    return dimshuffle(x, *("x" if i in new else next(old) for i in range(rank)))


def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """`x` with axes of size 1 in front."""
    x = as_variable(x)
    return dimshuffle(x, *["x"] * n_ones, *range(x.ndim))


def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """`x` with axes of size 1 behind."""
    x = as_variable(x)
    return dimshuffle(x, *range(x.ndim), *["x"] * n_ones)


def broadcast_to(x: Any, shape: Any) -> Variable:
    """`x` stretched to `shape`: new axes in front, declared axes of size 1 repeated."""
    x, sizes = as_variable(x), as_sizes(shape)
    if x.ndim > len(sizes):
        raise ShapeError(
            f"cannot stretch {x.label()}, which has {x.ndim} axes, to {len(sizes)}."
        )
    return BroadcastTo(len(sizes))(shape_padleft(x, len(sizes) - x.ndim), *sizes)


def alloc(value: Any, *shape: Any) -> Variable:
    """`value` repeated to fill `shape`."""
    return broadcast_to(value, shape[0] if len(shape) == 1 else shape)


def specify_shape(x: Any, shape: Any) -> Variable:
    """`x`, whose sizes are checked at run time and known from here on; None allows any.

    The shape is a size, a sequence of sizes and None, or an integer vector.
    """
    x = as_variable(x)
    if shape is None or isinstance(shape, list | tuple):
        entries = [shape] if shape is None else shape
        shape = [-1 if s is None else s for s in entries]
    sizes = as_sizes(shape)
    if len(sizes) != x.ndim:
        raise ShapeError(
            f"specify_shape: {x.label()} has {x.ndim} axes, {len(sizes)} sizes were given."
        )
    return SpecifyShape()(x, *sizes)


def addbroadcast(x: Any, *axes: int) -> Variable:
    """Declare that the named axes of `x` have size 1, so that they broadcast; checked at run time."""
    x = as_variable(x)
    chosen = [normal_axis(a, x.ndim) for a in axes]
    return specify_shape(x, [1 if i in chosen else None for i in range(x.ndim)])
