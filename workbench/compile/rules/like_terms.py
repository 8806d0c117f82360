"""Sums as lists of terms: what cancels, what occurs twice, and the numbers among them.

``x + y + z - y`` is four operations apart from what it comes to. A sum is read as
terms, each with the number it is multiplied by; equal terms are joined and the tree is
rebuilt without the others, in its order, so that nothing else is rounded differently.
The view is bounded: terms further than `LEVELS` below the last sign, or beyond the
first `TERMS`, are not seen, and sums that somebody else reads are not taken apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.compile.rewrite import Context, identity, node_rule, tagged
from workbench.compile.rules.fitting import fitted
from workbench.compile.rules.products import LEVELS, Path, keeps_digits
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.ops.elementwise import Add, Mul, Neg, Sub, add, mul, neg, sub
from workbench.core.ops.ufunc import kind

TERMS = 24
"""How many operations of a sum are looked at."""


@dataclass(frozen=True)
class Term:
    """`factor` times `variable`, at a place in a sum; a number where there is none."""

    variable: Variable | None
    factor: Any
    path: Path


def terms_of(variable: Variable) -> list[Term]:
    """The terms of a sum, those near the last sign first."""
    one = np.dtype(variable.dtype).type(1)
    pending: deque[tuple[Variable, Any, Path]] = deque([(variable, one, ())])
    terms: list[Term] = []
    seen = 0
    while pending:
        x, sign, path = pending.popleft()
        node: Any = x.owner
        seen += 1
        if node is not None and seen <= TERMS and len(path) <= LEVELS:
            if isinstance(node.op, Add | Sub):
                other = sign if isinstance(node.op, Add) else -sign
                a, b = node.inputs
                pending += [(a, sign, (*path, 0)), (b, other, (*path, 1))]
                continue
            if isinstance(node.op, Neg):
                pending.append((node.inputs[0], -sign, (*path, 0)))
                continue
        terms.append(_term(x, sign, path))
    return terms


def _term(x: Variable, sign: Any, path: Path) -> Term:
    number = number_of(x)
    if number is not None:
        return Term(None, sign * number, path)
    if x.owner is not None and isinstance(x.owner.op, Mul):
        a, b = x.owner.inputs
        for constant, rest in ((a, b), (b, a)):
            number = number_of(constant)
            if number is not None:
                return Term(rest, sign * number, path)
    return Term(x, sign, path)


def number_of(variable: Variable) -> Any:
    """The value of a constant of one element, in its dtype, else None."""
    if isinstance(variable, Constant) and variable.data.size == 1:
        return variable.data.reshape(-1)[0]
    return None


def without_terms(
    variable: Variable, paths: Sequence[Path], rebuilt: list[Variable]
) -> Variable | None:
    """A sum without the terms at `paths`; None where nothing is left.

    What had to be made anew is added to `rebuilt`.
    """
    if not paths:
        return variable
    if () in paths:
        return None
    node: Any = variable.owner
    x, y, *_ = (
        *(
            without_terms(v, [p[1:] for p in paths if p[0] == i], rebuilt)
            for i, v in enumerate(node.inputs)
        ),
        None,
    )
    if x is None and y is None:
        return None
    if y is None and not isinstance(node.op, Neg):
        return x
    if x is None and isinstance(node.op, Add):
        return y
    rebuilt.append(variable)
    if x is None or y is None:
        return neg(y if x is None else x)
    return node.op(x, y)


def join_like_terms(node: Apply, context: Context) -> Variable | None:
    """The sum with its first like terms joined, or None when there are none."""
    with np.errstate(all="ignore"):
        groups: dict[Variable | None, list[Term]] = {}
        for term in terms_of(node.output):
            groups.setdefault(term.variable, []).append(term)
        for alike in groups.values():
            joined = None if len(alike) < 2 else _joined(node, alike, context)
            if joined is not None:
                return joined
    return None


def _joined(node: Apply, alike: Sequence[Term], context: Context) -> Variable | None:
    """The sum with terms of one variable, or the numbers in it, put together at its end."""
    variable, dtype = alike[0].variable, node.output.dtype
    total = sum((t.factor for t in alike[1:]), alike[0].factor)
    if total != 0 and not keeps_digits(total):
        return None
    if dtype == "float16" and abs(total) > max(abs(t.factor) for t in alike):
        return (
            None  # a multiple above 65504 where the sum with the other terms is below
        )
    rebuilt: list[Variable] = []
    rest = without_terms(node.output, [t.path for t in alike], rebuilt)
    if not all(context.read_once(v) for v in rebuilt if v is not node.output):
        return None
    value = rest
    if total != 0 or rest is None:
        value = added(rest, variable, total, dtype)
    dropped = [] if variable is None or total != 0 else [variable]
    assert value is not None
    return fitted(value, node.output, dropped, context)


def added(
    total: Variable | None, x: Variable | None, factor: Any, dtype: str
) -> Variable:
    """``total + factor x`` with as few operations as that needs; a missing one is left out."""
    if x is None or factor == 0:
        number = as_variable(factor, dtype)
        return number if total is None else add(total, number)
    if factor == 1:
        return x if total is None else add(total, x)
    if factor == -1 and kind(dtype) != "u":
        return neg(x) if total is None else sub(total, x)
    scaled = mul(x, as_variable(factor, dtype))
    return scaled if total is None else add(total, scaled)


@identity(kinds="iuf")
def plus_itself(x):
    """Twice x reads its operand once, and its factor can meet another."""
    return add(x, x), mul(x, 2)


@node_rule(Add, Sub)
def like_int_terms(node, context):
    """x + y - x is y, x + 1 - 1 is x, and 2 x + x is 3 x; integers wrap the same way."""
    if kind(node.output.dtype) not in "iu":
        return None
    return join_like_terms(node, context)


@node_rule(Add, Sub, tags=["finite_math"])
def like_terms(node, context):
    """x + y - x is y and 2 x + x is 3 x, but for rounding and for infinite terms."""
    return join_like_terms(node, context) if kind(node.output.dtype) == "f" else None


RULES = tagged("algebra", plus_itself, like_int_terms, like_terms)
