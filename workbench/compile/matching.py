"""Patterns: an expression of wildcards, found in a graph and built from what was found.

A wildcard stands for a variable of any shape. A constant of a pattern stands for any
array that holds its value everywhere. What is built takes dtypes from what was found,
as when a user writes Python numbers beside arrays.

Read next: :mod:`workbench.compile.rewrite`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.graph import Constant, Variable, as_variable, toposort
from workbench.core.op import Elementwise, Op
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
    return next(_match([(pattern, subject)], {}, frozenset(wildcards), kinds), None)


def _match(
    goals: list[tuple[Variable, Variable]],
    found: dict[Variable, Variable],
    wildcards: frozenset[Variable],
    kinds: str,
) -> Iterator[dict[Variable, Variable]]:
    if not goals:
        yield found
        return
    (pattern, subject), *rest = goals
    if pattern in wildcards:
        if pattern in found:
            if found[pattern] is subject:
                yield from _match(rest, found, wildcards, kinds)
        elif kind(subject.dtype) in kinds:
            yield from _match(rest, {**found, pattern: subject}, wildcards, kinds)
        return
    if isinstance(pattern, Constant):
        value = uniform_value(subject)
        if value is not None and _same_number(value, pattern.data.item()):
            yield from _match(rest, {**found, pattern: subject}, wildcards, kinds)
        return
    node, want = subject.owner, pattern.owner
    assert want is not None
    if node is None or type(node.op) is not type(want.op) or node.op != want.op:
        return
    yield from _match(
        [*zip(want.inputs, node.inputs, strict=True), *rest], found, wildcards, kinds
    )
    if want.op.name in COMMUTATIVE:
        yield from _match(
            [*zip(want.inputs, reversed(node.inputs), strict=True), *rest],
            found,
            wildcards,
            kinds,
        )


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
    return int(value) if value == int(value) else value


def _same_number(a: Any, b: Any) -> bool:
    """Whether two numbers are equal, the sign of a zero included."""
    return bool(a == b and (a != 0 or np.signbit(a) == np.signbit(b)))


def outline(operand: Variable) -> type[Op] | str:
    """What an operand looks like at first sight: most matches fail there."""
    return (
        type(operand.owner.op)
        if operand.owner
        else "constant"
        if isinstance(operand, Constant)
        else "anything"
    )


def fits(outlines: Sequence[type[Op] | str], operands: Sequence[Variable]) -> bool:
    """Whether operands look as outlined."""
    for outline, operand in zip(outlines, operands, strict=True):
        if outline == "anything":
            continue
        node = operand.owner
        if outline == "constant":
            if not (
                isinstance(operand, Constant)
                if node is None
                else isinstance(node.op, VIEWS)
            ):
                return False
        elif node is None or type(node.op) is not outline:
            return False
    return True


def uniform_value(variable: Variable) -> Any:
    """The value of a constant that is the same everywhere, or of views of one."""
    while variable.owner is not None and isinstance(variable.owner.op, VIEWS):
        variable = variable.owner.inputs[
            1 if isinstance(variable.owner.op, Fill) else 0
        ]
    if not isinstance(variable, Constant) or not 0 < variable.data.size <= SMALL:
        return None
    flat = variable.data.reshape(-1)
    same = flat.size == 1 or flat.tobytes() == flat[0].tobytes() * flat.size
    return flat[0].item() if same else None
