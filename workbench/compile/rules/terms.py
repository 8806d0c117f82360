"""Looking into sums: their terms with signs, their constants, and linear expressions.

``(x - 1) + exp(y)`` and ``exp(y) - (1 - x)`` are the same sum. A rule that completes a
1, or takes the largest of several exponentials out, should not depend on where the
brackets are. :func:`split_sum` gives the terms of one, :func:`sum_of` makes a sum of
terms again.

Read next: :mod:`workbench.compile.rules.logforms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rules.products import LEVELS
from workbench.core.graph import Variable
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Neg,
    Sub,
    TrueDiv,
    add,
    mul,
    neg,
    sub,
)
from workbench.core.ops.ufunc import kind

TERMS = 16
"""How many terms of a sum are looked at."""


def scalar_value(variable: Variable) -> Any:
    """The value of a constant whose axes all broadcast: nobody misses its shape."""
    return uniform_value(variable) if all(variable.broadcastable) else None


@dataclass
class Terms:
    """The terms of a sum.

    Attributes
    ----------
    constant
        The sum of those that are constant, rounded as the sum itself would be.
    parts
        The others, each with its sign, in the order in which they are written.
    """

    constant: float = 0.0
    parts: list[tuple[int, Variable]] = field(default_factory=list)


def split_sum(variable: Variable) -> Terms | None:
    """The terms of a sum of real floats; None where there are more than 16."""
    if kind(variable.dtype) != "f":
        return None
    found = Terms()
    number = np.dtype(variable.dtype).type
    pending: list[tuple[int, Variable, int]] = [(1, variable, 0)]
    while pending:
        if len(pending) + len(found.parts) > TERMS:
            return None
        sign, x, level = pending.pop()
        node: Any = x.owner if level <= LEVELS and x.dtype == variable.dtype else None
        op = None if node is None else node.op
        if isinstance(op, Add | Sub):
            a, b = node.inputs
            other = -sign if isinstance(op, Sub) else sign
            pending += [(other, b, level + 1), (sign, a, level + 1)]
        elif isinstance(op, Neg):
            pending.append((-sign, node.inputs[0], level + 1))
        elif (value := scalar_value(x)) is not None:
            with np.errstate(all="ignore"):
                found.constant = float(number(found.constant) + number(sign * value))
        else:
            found.parts.append((sign, x))
    return found


def sum_of(parts: Sequence[tuple[int, Variable]]) -> Variable:
    """The sum of terms with signs, in their order; at least one.

    The first that has no minus goes to the front: moving more could overflow.
    """
    first = next((i for i, (sign, _) in enumerate(parts) if sign > 0), None)
    if first is None:
        total = parts[0][1]
        for _, x in parts[1:]:
            total = add(total, x)
        return neg(total)
    total = parts[first][1]
    for sign, x in (*parts[:first], *parts[first + 1 :]):
        total = add(total, x) if sign > 0 else sub(total, x)
    return total


def split_factor(variable: Variable) -> tuple[float, Variable]:
    """The constant factor of a product, and the rest: -0.5 and x for ``-(x / 2)``."""
    factor = 1.0
    for _ in range(LEVELS):
        node: Any = variable.owner
        op = None if node is None else node.op
        if isinstance(op, Neg):
            factor, variable = -factor, node.inputs[0]
            continue
        if not isinstance(op, Mul | TrueDiv):
            break
        x, y = node.inputs
        if isinstance(op, Mul) and scalar_value(x) is not None:
            x, y = y, x
        value = scalar_value(y)
        if value is None or not value or x.dtype != variable.dtype:
            break
        factor = factor * value if isinstance(op, Mul) else factor / value
        variable = x
    return factor, variable


def times(factor: float, x: Variable) -> Variable:
    """``factor x``, where 1 and -1 cost nothing."""
    if factor == 1:
        return x
    return neg(x) if factor == -1 else mul(x, factor)
