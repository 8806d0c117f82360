"""A graph as a text: graphs with equal texts compute the same, in whatever process.

The text has every operation with the parameters of its op, what it reads and the types of
what it makes; the bits of constants; of shared variables the type and the present shape,
never the value. It does not have the lines of the user's code.

Only what this package defines can be told by its name: a text that would have to describe
a function, an op or a type of somebody else's is not written.

Read next: :mod:`workbench.compile.remembered`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from workbench.compile.record import Graph
from workbench.core.graph import Apply, Constant, Shared, Variable, toposort
from workbench.core.op import Op
from workbench.core.ops.bodies import Body
from workbench.core.types import TensorType

PACKAGE = __name__.split(".")[0]

SHORT = 64
"""Bytes of an array that are told one by one."""


class UntoldError(Exception):
    """Something that a name does not tell: another process may mean another thing by it."""


def text_of(graph: Graph) -> str:
    """The text of a graph.

    Raises
    ------
    UntoldError
        The graph holds what is not this package's.
    """
    writer = _Writer()
    inputs = writer.numbers_of(graph.inputs)
    outputs = writer.numbers_of(graph.outputs)
    updates = [writer.numbers_of(pair) for pair in graph.updates]
    writer.lines.append(f"{inputs} -> {outputs}, {updates}")
    return "\n".join(writer.lines)


class _Writer:
    """Writes a line for every leaf and every operation, each after those it names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.numbers: dict[Variable, int] = {}
        self._ops: dict[int, str] = {}  # by identity: 0.0 and -0.0 are equal

    def numbers_of(self, variables: Iterable[Variable]) -> list[int]:
        """The numbers of variables; what they are computed from is written first."""
        variables = list(variables)
        for node in toposort(variables, self.numbers):
            self._write(node)
        return list(map(self._number, variables))

    def _write(self, node: Apply) -> None:
        inputs = list(map(self._number, node.inputs))
        text = self._op(node.op)
        types = [_type(v.type) for v in node.outputs]
        for output in node.outputs:
            self.numbers[output] = len(self.numbers)
        self.lines.append(f"{text} {inputs} {types}")

    def _number(self, variable: Variable) -> int:
        if variable not in self.numbers:
            line = self._leaf(variable)
            self.numbers[variable] = len(self.numbers)
            self.lines.append(line)
        return self.numbers[variable]

    def _leaf(self, leaf: Variable) -> str:
        said = f"{_named(type(leaf))} {_type(leaf.type)} {leaf.name!r}"
        if isinstance(leaf, Constant):
            return f"{said} {_array(leaf.data)}"
        if isinstance(leaf, Shared):
            return f"{said} {leaf.storage[0].shape}"
        return said

    def _op(self, op: Op) -> str:
        if id(op) not in self._ops:
            self._ops[id(op)] = self._value(op)
        return self._ops[id(op)]

    def _value(self, value: Any) -> str:
        """An op, or a parameter of one."""
        if isinstance(value, Op):
            return self._record(value)
        if value is None or type(value) in (bool, int, float, complex, str, bytes):
            return repr(value)
        if isinstance(value, tuple | list):
            return f"{type(value).__name__}{self._all(value)}"
        if isinstance(value, frozenset | set):
            return f"set{sorted(map(self._value, value))}"
        if isinstance(value, dict):
            return f"dict{[self._all(pair) for pair in value.items()]}"
        if isinstance(value, np.ndarray | np.generic):
            return _array(np.asarray(value))
        if isinstance(value, np.dtype):
            return f"dtype {value.str}"
        if isinstance(value, enum.Enum):
            return f"{_named(type(value))}.{value.name}"
        if isinstance(value, type):
            return _named(value)
        if isinstance(value, TensorType):
            return _type(value)
        if isinstance(value, Variable):
            return f"variable {self.numbers_of([value])}"
        if isinstance(value, Body):
            return (
                f"body {self.numbers_of(value.inputs)} {self.numbers_of(value.outputs)}"
            )
        if is_dataclass(value):
            return self._record(value)
        raise UntoldError(value)

    def _record(self, value: Any) -> str:
        name, parameters = _head(type(value))
        return name + self._all([getattr(value, each) for each in parameters])

    def _all(self, values: Sequence[Any]) -> str:
        return "(" + ", ".join(map(self._value, values)) + ")"


def _type(kind: TensorType) -> str:
    if type(kind) is not TensorType:
        raise UntoldError(kind)
    return f"{kind.dtype}{kind.shape}"


def _array(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.hasobject:
        raise UntoldError(array)
    data = array.tobytes()
    told = data.hex() if len(data) <= SHORT else hashlib.sha256(data).hexdigest()
    return f"array {array.dtype.str} {array.shape} {told}"


_heads: dict[type, tuple[str, list[str]]] = {}


def _head(kind: type) -> tuple[str, list[str]]:
    """The name of a class and those of its parameters."""
    if kind not in _heads:
        names = [field.name for field in fields(kind)] if is_dataclass(kind) else []
        _heads[kind] = _named(kind), names
    return _heads[kind]


def _named(kind: type) -> str:
    """A class by its name, where that is enough."""
    home = kind.__module__.split(".")[0]
    if home not in (PACKAGE, "builtins", "numpy") or "<locals>" in kind.__qualname__:
        raise UntoldError(kind)
    return f"{kind.__module__}.{kind.__qualname__}"
