"""What the makers of graphs that a node rule matches build on.

A maker takes a :class:`Draw` and returns the outputs of a graph, or a whole graph.
Adding a rule means adding its makers here; `test_node_rules` fails until they are
there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.core.graph import Variable
from workbench.core.ops.shape import BroadcastTo, SizeOf, size_variable
from workbench.core.types import TensorType


@dataclass
class Draw:
    """A source of inputs for one graph.

    Attributes
    ----------
    rng
        Everything random comes from here.
    static
        Whether the types of the inputs know their sizes. A size of 1 is always
        declared.
    values
        The inputs drawn so far, with an array for each.
    """

    rng: np.random.Generator
    static: bool
    values: dict[Variable, np.ndarray] = field(default_factory=dict)

    def size(self, low: int = 0) -> int:
        return int(self.rng.choice([s for s in (0, 2, 3, 4) if s >= low]))

    def array(
        self, shape: Sequence[int], dtype: str, low: float, high: float
    ) -> np.ndarray:
        kind = np.dtype(dtype).kind
        if kind == "b":
            return np.asarray(self.rng.random(shape) < 0.5)
        if kind in "iu":
            return np.asarray(
                self.rng.integers(max(int(low), -9 if kind == "i" else 0), 9, shape),
                dtype,
            )
        return np.asarray(self.rng.uniform(low, high, shape), dtype)

    def new(
        self, *shape: int, dtype: str = "float64", low: float = -2, high: float = 2
    ) -> Variable:
        """An input of the given shape."""
        sizes = tuple(s if self.static or s == 1 else None for s in shape)
        variable = Variable(TensorType(dtype, sizes), f"x{len(self.values)}")
        self.values[variable] = self.array(shape, dtype, low, high)
        return variable

    def like(self, shape: Sequence[int], **options: Any) -> Variable:
        return self.new(*shape, **options)

    def shape(self, rank: int, low: int = 0) -> tuple[int, ...]:
        return tuple(self.size(low) for _ in range(rank))

    def any(self, **options: Any) -> Variable:
        """An input of 0 to 2 axes."""
        return self.new(*self.shape(int(self.rng.integers(0, 3))), **options)

    def pair(self, **options: Any) -> tuple[Variable, Variable]:
        """Two inputs that broadcast."""
        shape = self.shape(2)
        other = shape if self.rng.random() < 0.5 else (1, shape[1])
        return self.new(*shape, **options), self.new(*other, **options)

    def places(self, n: int, size: int) -> Variable:
        """An int64 vector of n places on an axis of `size`, some negative."""
        variable = self.new(n, dtype="int64")
        self.values[variable] = (
            self.rng.integers(-size, size, n) if size else np.zeros(n, "int64")
        )
        return variable


Maker = Callable[[Draw], Any]

MATCHES: dict[str, list[Maker]] = {}


def matches(*rules: str) -> Callable[[Maker], Maker]:
    """Say which rules must fire on the graphs of a maker."""

    def register(maker: Maker) -> Maker:
        for rule in rules:
            MATCHES.setdefault(rule, []).append(maker)
        return maker

    return register


def row(rule: str, *makers: Maker) -> None:
    MATCHES.setdefault(rule, []).extend(makers)


def sizes_of(x: Variable) -> list[Variable]:
    return [SizeOf(axis)(x) for axis in range(x.ndim)]


def stretch(x: Variable, *sizes: Any) -> Variable:
    return BroadcastTo(len(sizes))(x, *(size_variable(s) for s in sizes))
