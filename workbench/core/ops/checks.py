"""Conditions that must hold when a value is used.

Read next: :mod:`workbench.core.ops.places`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import (
    ConditionError,
    OutOfRangeError,
    ParameterError,
    WorkbenchError,
)
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Sizes
from workbench.core.types import Array, TensorType


@dataclass(frozen=True)
class Assert(Opaque):
    """The first input, provided that all elements of the others are true.

    ``Assert("the learning rate is positive")(rate, rate > 0)``. The conditions are tested
    in every call that computes the value; asking for its shape alone tests nothing.

    Raises
    ------
    ConditionError
        When run: a condition does not hold. It is an :class:`AssertionError`.
    """

    message: str = "a condition does not hold"

    name = "assert"
    error: ClassVar[type[WorkbenchError]] = ConditionError

    def __call__(self, value: Any, *conditions: Any) -> Variable:
        """`value`, guarded by the conditions; booleans or numbers, true where not 0."""
        return self.make_node(*map(as_variable, (value, *conditions))).output

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the value."""
        return [inputs[0].type]

    def reference(self, value: Array, *conditions: Array) -> Array:
        """`value`, after the test."""
        if not all(np.all(condition) for condition in conditions):
            raise self.error(f"Assert: {self.message}")
        return value

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for the value, nothing for the conditions."""
        return [g, *(None for _ in node.inputs[1:])]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through the value."""
        return [node.inputs[0].type.is_float, *(False for _ in node.inputs[1:])]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the value."""
        return [tuple(shapes[0])]

    def __str__(self) -> str:
        return f"{self.name}{{{self.message}}}"


class AssertValue(Assert):
    """As :class:`Assert`, but what does not hold is a matter of values: a :class:`ValueError`."""

    name = "assert_value"
    error: ClassVar[type[WorkbenchError]] = ParameterError


class AssertPlace(Assert):
    """As :class:`Assert`, but what does not hold is a matter of places: an :class:`IndexError`."""

    name = "assert_place"
    error: ClassVar[type[WorkbenchError]] = OutOfRangeError


def assert_op(value: Any, *conditions: Any, message: str | None = None) -> Variable:
    """`value`, which fails with `message` when run while a condition is false."""
    return (Assert(message) if message else Assert())(value, *conditions)
