"""Any op for many values at once: its reference applied entry by entry.

It is the batch rule of ops that have none of their own. Nothing is gained in time; but a
graph that holds such an op can be batched too, and differentiated.

Read next: :mod:`workbench.core.ops.blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.backward import fit_dtype, is_undefined, turned
from workbench.core.batching import Batch, Leading, batch_rule, vectorize_graph
from workbench.core.errors import ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Apply, Constant, Variable, graph_inputs
from workbench.core.op import Op, Opaque, Size, Sizes
from workbench.core.ops.least_squares import Lstsq
from workbench.core.ops.reduction import Sum
from workbench.core.types import Array, TensorType


@dataclass(frozen=True)
class Blockwise(Opaque):
    """`core` applied to every entry of the batched inputs, the results stacked.

    Batched inputs have `count` additional axes in front, of equal sizes; the others are the
    same for every entry. All entries must give results of one shape.
    """

    core: Op
    count: int
    batched: tuple[bool, ...]

    def core_node(self, inputs: Sequence[Variable]) -> Apply:
        """The op applied to a single entry: to new variables where the inputs are batched."""
        return self.core.make_node(
            *(
                Variable(v.type.with_shape(v.type.shape[self.count :])) if many else v
                for v, many in zip(inputs, self.batched, strict=True)
            )
        )

    def leading(self, inputs: Sequence[Variable]) -> Leading:
        """The additional axes of batched inputs."""
        return Leading.of(list(zip(self.core_node(inputs).inputs, inputs, strict=True)))

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The types of one entry with the additional axes in front."""
        node, leading = self.core_node(inputs), self.leading(inputs)
        return [
            v.type.with_shape((*leading.static, *v.type.shape)) for v in node.outputs
        ]

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[Sequence[Size | None]]:
        """The additional sizes, then those of one entry where no entry's values decide them."""
        core = self.core_node(node.inputs)
        first = self.batched.index(True)
        inferred = self.core.infer_shape(core, self._entry_shapes(shapes))
        return [
            (
                *shapes[first][: self.count],
                *(None if s is None or self._is_about(s, core) else s for s in sizes),
            )
            for sizes in inferred
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """As many entries in all batched inputs; what must hold for each entry."""
        leading = [
            shape[: self.count]
            for shape, many in zip(shapes, self.batched, strict=True)
            if many
        ]
        checks = [
            (axis, a, b)
            for other in leading[1:]
            for axis, (a, b) in enumerate(zip(leading[0], other, strict=True))
        ]
        core = self.core_node(node.inputs)
        return checks + [
            (axis, a, b)
            for axis, a, b in self.core.size_checks(core, self._entry_shapes(shapes))
            if not self._is_about(a, core) and not self._is_about(b, core)
        ]

    def _is_about(self, size: Size, core: Apply) -> bool:
        """Whether a size is computed from the variables that stand for a single entry."""
        if isinstance(size, int):
            return False
        leaves = graph_inputs([size])
        return any(
            many and v in leaves
            for v, many in zip(core.inputs, self.batched, strict=True)
        )

    def _entry_shapes(self, shapes: Sequence[Sizes]) -> list[Sizes]:
        return [
            shape[self.count :] if many else shape
            for shape, many in zip(shapes, self.batched, strict=True)
        ]

    def reference(self, *inputs: Array) -> Any:
        """A loop over the entries."""
        given = [Variable(TensorType(a.dtype.name, a.shape)) for a in inputs]
        return tuple(self._loop(self.core_node(given), inputs))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As the reference, for the node's own types."""
        return self._loop(self.core_node(node.inputs), inputs)

    def _loop(self, core: Apply, inputs: Sequence[Array]) -> list[Array]:
        sizes = self._batch_shape(inputs)
        entries = [
            self.core.evaluate(core, entry) for entry in self._entries(sizes, inputs)
        ]
        if not entries:
            return self._nothing(core, sizes, inputs)
        return [
            self._stacked([entry[i] for entry in entries], sizes)
            for i in range(len(core.outputs))
        ]

    def _entries(
        self, sizes: tuple[int, ...], inputs: Sequence[Array]
    ) -> Iterator[list[Array]]:
        for place in np.ndindex(sizes):
            yield [
                np.asarray(a[place]) if many else a
                for a, many in zip(inputs, self.batched, strict=True)
            ]

    def _batch_shape(self, inputs: Sequence[Array]) -> tuple[int, ...]:
        shapes = {
            a.shape[: self.count]
            for a, many in zip(inputs, self.batched, strict=True)
            if many
        }
        if len(shapes) > 1:
            raise ShapeError(
                f"{self}: the numbers of entries differ: {sorted(shapes)}."
            )
        (shape,) = shapes
        return shape

    def _stacked(self, results: Sequence[Array], sizes: tuple[int, ...]) -> Array:
        shapes = sorted({r.shape for r in results})
        if len(shapes) > 1:
            raise ShapeError(
                f"{self}: results of shapes {shapes[0]} and {shapes[-1]} for different "
                "entries cannot be stacked."
            )
        return np.stack(results).reshape((*sizes, *shapes[0]))

    def _nothing(
        self, core: Apply, sizes: tuple[int, ...], inputs: Sequence[Array]
    ) -> list[Array]:
        """Results for no entry: of the shape that one would have, 0 where only values say."""
        shapes = [a.shape for a in inputs]
        inferred = self.core.infer_shape(core, self._entry_shapes(shapes))
        known = {
            v: a
            for v, a, many in zip(core.inputs, inputs, self.batched, strict=True)
            if not many
        }
        return [
            np.empty(
                (
                    *sizes,
                    *(
                        _known_size(size, known) if static is None else static
                        for size, static in zip(entry, output.type.shape, strict=True)
                    ),
                ),
                output.dtype,
            )
            for entry, output in zip(inferred, core.outputs, strict=True)
        ]

    def connection(self, node: Apply) -> Sequence[bool]:
        """As for a single entry."""
        return self.core.connection(self.core_node(node.inputs))

    # Gradients come and go as users see them, whatever the op.
    holomorphic = False

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """The gradients of a single entry, batched; summed where an input is the same for all."""
        core = self.core_node(node.inputs)
        given = [
            None if g is None else Variable(output.type)
            for g, output in zip(grads, core.outputs, strict=True)
        ]
        single = self._single(core, given)
        replace = {
            one: many
            for one, many in (
                *zip(core.inputs, node.inputs, strict=True),
                *zip(core.outputs, node.outputs, strict=True),
                *zip(given, grads, strict=True),
            )
            if one is not None and many is not None and one is not many
        }
        defined = [g for g in single if g is not None and not is_undefined(g)]
        batched = iter(vectorize_graph(defined, replace))
        return [
            g
            if g is None or is_undefined(g)
            else self._fit(next(batched), variable, many)
            for g, variable, many in zip(single, node.inputs, self.batched, strict=True)
        ]

    def _single(
        self, core: Apply, grads: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The gradients of one entry."""
        if not self.core.holomorphic:
            return self.core.vjp(core, *grads)
        carried = [None if g is None else turned(g) for g in grads]
        found = self.core.vjp(core, *carried)
        return [g if g is None or is_undefined(g) else turned(g) for g in found]

    def _fit(self, gradient: Variable, variable: Variable, many: bool) -> Variable:
        """The gradient in the dtype of its input; of all entries where that is the same."""
        if not many:
            gradient = Sum(tuple(range(self.count)))(gradient)
        return fit_dtype(gradient, variable.dtype)

    def __str__(self) -> str:
        return f"blockwise{{{self.core}}}"


def _known_size(size: Size | None, known: dict[Variable, Array]) -> int:
    if size is None or isinstance(size, int):
        return size or 0
    leaves = [v for v in graph_inputs([size], known) if not isinstance(v, Constant)]
    if not all(v in known for v in leaves):
        return 0
    return int(evaluate([size], known)[0])


@batch_rule(Op, Lstsq)
def batch_any(b: Batch) -> Sequence[Variable]:
    """Entry by entry."""
    batched = tuple(b.extra(i) > 0 for i in range(len(b.inputs)))
    inputs = [b.full(i) if many else b.inputs[i] for i, many in enumerate(batched)]
    return Blockwise(b.node.op, b.count, batched).make_node(*inputs).outputs
