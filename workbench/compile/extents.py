"""Sizes of every value in a program, and which of them are one.

Sizes come from each op's own shape rule. Where an op demands that two sizes are equal they
are *made* one here: the check is kept, to be run before anything is computed, and from then
on loops over either may be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from workbench.compile.copies import Copy
from workbench.compile.scalars import template
from workbench.core.graph import Apply, Constant, Variable, toposort
from workbench.core.op import Elementwise, Size, Sizes, known_value, settled_sizes
from workbench.core.ops.shape import SizeOf, size_variable


@dataclass(frozen=True)
class SizeCheck:
    """Sizes `a` and `b` of `node` must be equal along `axis`."""

    node: Apply
    axis: int
    a: Size
    b: Size


class Extents:
    """The sizes of variables, with sizes that must be equal represented by one of them."""

    def __init__(self, nodes: Sequence[Apply], inputs: Sequence[Variable]) -> None:
        self._sizes: dict[Variable, Sizes] = {}
        self._plain_of: dict[Variable, Size] = {}
        self._made: dict[object, Variable] = {}
        self._parent: dict[Variable, Size] = {}
        self._found: dict[Variable, Sizes] = {}  # once all that are equal are united
        self._rank = {variable: number for number, variable in enumerate(inputs)}
        self._first: dict[Variable, int] = {}
        self.checks: list[SizeCheck] = []
        for node in nodes:
            shapes = [self._sizes_of(v) for v in node.inputs]
            self._infer(node, shapes)
            for axis, a, b in node.op.size_checks(node, shapes):
                a, b = self.plain(a), self.plain(b)
                self._meet((a, b))
                if not _same(a, b):
                    self.checks.append(SizeCheck(node, axis, a, b))
                    self._unite(a, b)

    def of(self, variable: Variable) -> Sizes:
        """The sizes of `variable`, each by its representative."""
        if variable not in self._found:
            sizes = self._sizes_of(variable)
            self._found[variable] = tuple([self.find(size) for size in sizes])
        return self._found[variable]

    def find(self, size: Size) -> Size:
        """The representative of a size."""
        size = self.plain(size)
        while not isinstance(size, int) and size in self._parent:
            size = self._parent[size]
        return size

    def _sizes_of(self, variable: Variable) -> Sizes:
        """The sizes of a leaf, or of a variable met while an op described sizes."""
        if variable not in self._sizes:
            if variable.owner is None:
                self._sizes[variable] = self._own(variable)
            else:
                for node in toposort([variable], self._sizes):
                    self._infer(node, [self._sizes_of(v) for v in node.inputs])
        return self._sizes[variable]

    def _infer(self, node: Apply, shapes: Sequence[Sizes]) -> None:
        inferred = node.op.infer_shape(node, shapes)
        for output, sizes in zip(node.outputs, inferred, strict=True):
            found = settled_sizes(output, sizes, self._own_size, self.plain)
            self._sizes[output] = found
            self._meet(found)

    def _meet(self, sizes: Iterable[Size]) -> None:
        """Note the order in which sizes appear: each after what it is computed from."""
        for size in sizes:
            if not isinstance(size, int):
                self._first.setdefault(size, len(self._first))

    def _own(self, variable: Variable) -> Sizes:
        return tuple(
            self._own_size(variable, axis) if size is None else size
            for axis, size in enumerate(variable.type.shape)
        )

    def _own_size(self, variable: Variable, axis: int) -> Variable:
        """The size of a leaf, or one that is known only when its operation has run."""
        return self._once((axis, variable), partial(SizeOf(axis), variable))

    def _once(self, key: object, make: Callable[[], Variable]) -> Variable:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def plain(self, size: Size) -> Size:
        """The one number or variable for a size expression: equal expressions become one.

        Two sizes that must be equal stay two: whoever compares them needs both.
        """
        if isinstance(size, int):
            return size
        pending = [size]
        while pending:
            node = pending[-1].owner
            if node is None or pending[-1] in self._plain_of:
                pending.pop()
                continue
            inner = node.inputs if isinstance(node.op, Elementwise) else ()
            missing = [
                v for v in inner if v.owner is not None and v not in self._plain_of
            ]
            if missing:
                pending += missing
            else:
                variable = pending.pop()
                self._plain_of[variable] = self._plain_node(variable, node)
        found = self._plain_of.get(size)
        return found if found is not None else _number(size)

    def _plain_node(self, variable: Variable, node: Apply) -> Size:
        if isinstance(node.op, SizeOf):
            return self._sizes_of(node.inputs[0])[node.op.axis]
        if isinstance(node.op, Copy):
            return self.plain(node.inputs[0])
        if not isinstance(node.op, Elementwise):
            return variable  # a number that a step computes: it is what it is
        inputs = [self.plain(v) for v in node.inputs]
        values = [v if isinstance(v, int) else known_value(v) for v in inputs]
        if all(v is not None for v in values):
            arrays = [
                np.array(v, given.dtype)
                for v, given in zip(values, node.inputs, strict=True)
            ]
            return _number(Constant(node.op.evaluate(node, arrays)[0]))
        if not template(node.op, [v.dtype for v in node.inputs]):
            return variable
        key = (node.op, tuple(map(_identity, inputs)))
        if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            return self._once(key, lambda: node.outputs[0])
        variables = [size_variable(v) if isinstance(v, int) else v for v in inputs]
        return self._once(key, lambda: node.op(*variables))

    def _unite(self, a: Size, b: Size) -> None:
        a, b = self.find(a), self.find(b)
        if _same(a, b) or (isinstance(a, int) and isinstance(b, int)):
            return
        if self._order(a) < self._order(b):
            a, b = b, a
        assert not isinstance(a, int)
        self._parent[a] = b
        self._found.clear()

    def _order(self, size: Size) -> tuple[int, int]:
        """Numbers come first, then sizes of arguments in their order, then the rest in theirs.

        What stands for another must be known where that is first needed, so the size that
        appeared first stands for the later one.
        """
        if isinstance(size, int):
            return (0, 0)
        node = size.owner
        if (
            node is not None
            and isinstance(node.op, SizeOf)
            and node.inputs[0] in self._rank
        ):
            return (1, self._rank[node.inputs[0]])
        return (2, self._first[size])


def _number(size: Variable) -> Size:
    """An integer for a constant size; a constant of another dtype stays what it is."""
    if isinstance(size, Constant) and size.dtype == "int64":
        return int(size.data)
    return size


def _identity(size: Size) -> object:
    """Equal for sizes that are known to be one."""
    if isinstance(size, int):
        return size
    return size.signature() if isinstance(size, Constant) else id(size)


def _same(a: Size, b: Size) -> bool:
    return a is b or (isinstance(a, int) and isinstance(b, int) and a == b)


def same_sizes(a: Sizes, b: Sizes) -> bool:
    """Whether two shapes are one, size by size."""
    return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))


def common_prefix(a: Sizes, b: Sizes) -> int:
    """How many leading sizes are the same."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if not _same(x, y):
            break
        n += 1
    return n
