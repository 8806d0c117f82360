"""What becomes of a choice in a compiled program: work that is done or not, and a pick.

:class:`When` does what only a branch needs, :class:`Pick` passes on what is there.

Read next: :mod:`workbench.compile.branches`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.core.errors import ShapeError
from workbench.core.graph import Apply, Variable
from workbench.core.op import Opaque, Size, Sizes
from workbench.core.ops.elementwise import maximum, neq, switch
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import SizeOf, size_variable
from workbench.core.types import Array, TensorType


@dataclass(frozen=True)
class When(Scan):
    """A loop of one step or none: each output has one row where its body is run, else none.

    Where it keeps the last row there is always one, of zeros where the body is not run.
    """

    name = "when"

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As a loop, or zeros."""
        if inputs[0] or not any(self.keep):
            return super().evaluate(node, inputs)
        return [
            np.zeros((1, *self._row_shape(node, inputs, i)), v.dtype)
            for i, v in enumerate(node.outputs)
        ]

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[Sequence[Size | None]]:
        """As of a loop; a size that cannot be, where the body is not run, is 0."""
        return [
            (steps, *map(_not_negative, sizes))
            for steps, *sizes in super().infer_shape(node, shapes)
        ]

    def _row_shape(
        self, node: Apply, inputs: Sequence[Array], i: int
    ) -> tuple[int, ...]:
        """Where the body is not run, sizes that only it tells or that cannot be do not matter."""
        try:
            sizes = super()._row_shape(node, inputs, i)
        except ShapeError:
            sizes = tuple(size or 0 for size in self.body.outputs[i].type.shape)
        return tuple(max(size, 0) for size in sizes)

    def __str__(self) -> str:
        return "when"


def _not_negative(size: Size | None) -> Size | None:
    if not isinstance(size, Variable):
        return size
    is_axis = size.owner is not None and isinstance(size.owner.op, SizeOf)
    return size if is_axis else maximum(size, 0)


@dataclass(frozen=True)
class Pick(Opaque):
    """The second input where the first, an int64, is not zero; else the third. Both are there.

    Attributes
    ----------
    rows
        For each of the two whether its one row is meant, which is there if it is taken.
    alike
        Whether both are known to have one shape, taken or not.
    """

    rows: tuple[bool, bool]
    alike: bool = False

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of both, with the sizes that they have in common."""
        shapes = [
            v.type.shape[is_row:]
            for v, is_row in zip(inputs[1:], self.rows, strict=True)
        ]
        shared = [a if a == b else None for a, b in zip(*shapes, strict=True)]
        return [inputs[1].type.with_shape(shared)]

    def reference(self, *inputs: Array) -> Array:
        """One of the two, or its row."""
        taken, x, y = inputs
        value, is_row = (x, self.rows[0]) if taken else (y, self.rows[1])
        return value[0] if is_row else value

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes that both have, or those of the one that is taken."""
        taken = neq(node.inputs[0], 0)
        sizes = [s[is_row:] for s, is_row in zip(shapes[1:], self.rows, strict=True)]
        if self.alike:
            return [tuple(sizes[0])]
        found: list[Size] = []
        for a, b in zip(*sizes, strict=True):
            same = a is b or (isinstance(a, int) and a == b)
            found.append(
                a if same else switch(taken, size_variable(a), size_variable(b))
            )
        return [tuple(found)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """It is made when gradients have been taken."""
        return [False] * len(node.inputs)

    def c_code(self, node: Apply) -> str:
        """Copy what is taken, a stretch at once where it lies in one piece."""
        lines = ["if (in0[0]) {", *self._copy(node, 1)]
        return "\n".join([*lines, "} else {", *self._copy(node, 2), "}"])

    def _copy(self, node: Apply, k: int) -> Iterator[str]:
        rank = node.output.ndim
        if not rank:
            yield f"  out[0] = in{k}[0];"
            return
        strides = [f"in{k}_s{axis + self.rows[k - 1]}" for axis in range(rank)]
        for axis in range(rank - 1):
            yield f"  for (int64_t i{axis} = 0; i{axis} < out_n{axis}; ++i{axis})"
        outer = range(rank - 1)
        to = " + ".join(["out", *(f"i{axis} * out_s{axis}" for axis in outer)])
        of = " + ".join([f"in{k}", *(f"i{axis} * {strides[axis]}" for axis in outer)])
        last = rank - 1
        yield f"  if ({strides[last]} == 1) memcpy({to}, {of}, sizeof(out_t) * out_n{last});"
        yield f"  else for (int64_t j = 0; j < out_n{last}; ++j)"
        yield f"    ({to})[j] = ({of})[j * {strides[last]}];"

    def __str__(self) -> str:
        return "pick"
