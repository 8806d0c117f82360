"""Patterns: an expression of wildcards, found in a graph and built from what was found.

A wildcard stands for a variable of any shape. A constant of a pattern stands for any
array that holds its value everywhere. What is built takes dtypes from what was found,
as when a user writes Python numbers beside arrays.

Read next: :mod:`workbench.compile.rewrite`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.graph import Constant, Variable, as_variable, toposort
from workbench.core.op import Elementwise
from workbench.core.ops.elementwise import Fill
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle, apply, kind

COMMUTATIVE = {
    "add",
    "mul",
    "maximum",
    "minimum",
    "eq",
    "neq",
    "and",
    "or",
    "xor",
    "logaddexp",
}
"""Names of ops whose operands may be exchanged."""

VIEWS = (DimShuffle, BroadcastTo, Fill)

SMALL = 10_000
"""Elements up to which a constant is worth looking at, and worth making."""


def match(
    pattern: Variable,
    subject: Variable,
    wildcards: Sequence[Variable],
    kinds: str = "f",
) -> dict[Variable, Variable] | None:
    """What wildcards and constants of `pattern` stand for in `subject`, or None.

    A constant of the pattern matches any array that holds its value everywhere.
    Operands of commutative ops match in either order.
    """
    return _match([(pattern, subject)], {}, wildcards, kinds)


def _match(
    goals: list[tuple[Variable, Variable]],
    found: dict[Variable, Variable],
    wildcards: Sequence[Variable],
    kinds: str,
) -> dict[Variable, Variable] | None:
    if not goals:
        return found
    pattern, subject = goals[0]
    want = pattern.owner
    if want is None:
        if isinstance(pattern, Constant):
            value = uniform_value(subject)
            if value is None or not _same_number(value, pattern.data.item()):
                return None
        elif pattern in found:
            if found[pattern] is not subject:
                return None
        elif kind(subject.dtype) not in kinds:
            return None
        return _match(goals[1:], {**found, pattern: subject}, wildcards, kinds)
    node = subject.owner
    if node is None or type(node.op) is not type(want.op) or node.op != want.op:
        return None
    rest = goals[1:]
    pairs = [*zip(want.inputs, node.inputs, strict=True), *rest]
    matched = _match(pairs, found, wildcards, kinds)
    if matched is None and want.op.name in COMMUTATIVE:
        pairs = [*zip(want.inputs, reversed(node.inputs), strict=True), *rest]
        matched = _match(pairs, found, wildcards, kinds)
    return matched


def build(
    pattern: Variable, found: Mapping[Variable, Variable], dtype: str
) -> Variable:
    """The expression `pattern` with its wildcards replaced.

    Its constants take the dtypes of what they meet; `dtype` is for a lonely one.
    """
    if isinstance(pattern, Constant):
        return as_variable(_weak(pattern), dtype)
    made: dict[Variable, Any] = dict(found)
    for node in toposort([pattern], found):
        operands = [made[v] if v in made else _weak(v) for v in node.inputs]
        assert isinstance(node.op, Elementwise)
        made[node.outputs[0]] = apply(node.op, *operands)
    return made[pattern]  # type: ignore[no-any-return]


def _weak(constant: Variable) -> Any:
    assert isinstance(constant, Constant)
    value = constant.data.reshape(-1)[0].item()
    return int(value) if float(value).is_integer() else value


def _same_number(a: Any, b: Any) -> bool:
    """Whether two numbers are equal, the sign of a zero included."""
    return bool(a == b and (a != 0 or np.signbit(a) == np.signbit(b)))


def outline(operand: Variable) -> type:
    """The class of the op that makes an operand of a pattern; a leaf's own class."""
    return type(operand) if operand.owner is None else type(operand.owner.op)


def could_be(outlined: type, seen: type) -> bool:
    """Whether an operand of a pattern could be what is `seen` in a graph, at first sight.

    Both are classes as :func:`outline` gives them: most matches fail here already.
    """
    if outlined is Variable:  # a wildcard
        return True
    if outlined is Constant:
        return issubclass(seen, (Constant, *VIEWS))
    return seen is outlined


def uniform_value(variable: Variable) -> Any:
    """The value of a constant that is the same everywhere, or of views of one."""
    while variable.owner is not None:
        op = variable.owner.op
        if not isinstance(op, VIEWS):
            return None
        variable = variable.owner.inputs[1 if isinstance(op, Fill) else 0]
    if not isinstance(variable, Constant) or variable.data.size > SMALL:
        return None
    return variable.uniform
