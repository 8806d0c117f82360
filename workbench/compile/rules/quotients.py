"""Products and quotients: what cancels, numbers among factors, one division for two.

A product is read as factors above and below a line, wherever they stand in its tree
(:func:`~workbench.compile.rules.products.split_product`). Factors cancel and numbers
join; nothing else changes its place, since ``a / b * c`` computed as ``a * c / b``
overflows where the first form does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, identity, node_rule, tagged
from workbench.compile.rules.fitting import fitted
from workbench.compile.rules.like_terms import Term, added, terms_of, without_terms
from workbench.compile.rules.products import (
    LEVELS,
    Factor,
    One,
    Path,
    keeps_digits,
    made_anew,
    node_of,
    split_product,
    without,
)
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Reciprocal,
    Sqr,
    Sub,
    TrueDiv,
    mul,
    reciprocal,
    true_div,
)
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import Cast, DimShuffle, kind

# --- inverses -------------------------------------------------------------------------


@identity
def one_over(x):
    """1 / x has its own operation, which others recognise."""
    return true_div(1, x), reciprocal(x)


@node_rule(Mul, tags=["finite_math"])
def times_reciprocal(node, context):
    """x (1 / y) is x / y: one operation in place of two; 1 / y overflows below 5.6e-309.

    Where somebody else reads 1 / y, a product is cheaper than another division.
    """
    for x, y in (node.inputs, node.inputs[::-1]):
        inner = node_of(y, Reciprocal)
        if (
            inner is not None
            and kind(y.dtype) == "f"
            and not _is_power_of(x, y)
            and context.read_once(y)
        ):
            return true_div(x, inner.inputs[0])
    return None


def _is_power_of(x: Variable, base: Variable) -> bool:
    """Whether `x` is a product of `base` alone, as small powers are."""
    pending = [x]
    for _ in range(LEVELS):
        if not pending:
            return True
        y = pending.pop()
        inner = node_of(y, Mul, Sqr)
        if y is not base and inner is None:
            return False
        if y is not base:
            pending += inner.inputs
    return False


@identity(tags=["finite_math"])
def over_reciprocal(x, y):
    """One product in place of two divisions; 1 / y overflows for y below 5.6e-309."""
    return true_div(x, reciprocal(y)), mul(x, y)


@identity(tags=["finite_math"])
def reciprocal_of_reciprocal(x):
    """1 / (1 / x) is x up to rounding; a 1 / x below 5.6e-309 overflows."""
    return reciprocal(reciprocal(x)), x


@identity(tags=["finite_math"])
def reciprocal_of_quotient(x, y):
    """1 / (x / y) is y / x up to rounding; x / y may overflow or vanish between."""
    return reciprocal(true_div(x, y)), true_div(y, x)


# --- what cancels ---------------------------------------------------------------------


def _in_place(
    rest: Variable | One, node: Apply, dropped: Sequence[Variable], context: Context
) -> Variable | None:
    if isinstance(rest, One):
        rest = as_variable(1, node.output.dtype)
    return fitted(rest, node.output, dropped, context)


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def factor_over_itself(node, context):
    """A factor cancels a divisor anywhere in a product, but for 0 / 0, which is NaN."""
    if kind(node.output.dtype) not in "fc":
        return None
    factors = split_product(node.output)
    below = {f.variable: f.path for f in factors if not f.above}
    for factor in factors:
        if factor.above and factor.variable in below:
            paths = [factor.path, below[factor.variable]]
            rest = without(node.output, paths)
            return _in_place(rest, node, [factor.variable], context)
    return None


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def square_over_factor(node, context):
    """x² y / x is y x, and x y / x² is y / x, but for 0 / 0, which is NaN."""
    if kind(node.output.dtype) != "f":
        return None
    factors = split_product(node.output)
    places = {(f.variable, f.above): f for f in factors}
    for square in factors:
        inner = node_of(square.variable, Sqr)
        other = inner and places.get((inner.inputs[0], not square.above))
        if other is None:
            continue
        x, paths = other.variable, [square.path, other.path]
        anew = [v for v in made_anew(node.output, paths) if v is not node.output]
        rest = without(node.output, paths)
        if not all(context.read_once(v) for v in anew):
            return None
        if isinstance(rest, One):
            left = x if square.above else reciprocal(x)
        else:
            left = mul(rest, x) if square.above else true_div(rest, x)
        return fitted(left, node.output, [], context)
    return None


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def factor_into_sum(node, context):
    """(a / b + c) b is a + c b, and (a b + c) / b is a + c / b, but for b = 0.

    A division less, or a product, and no more of the other: only the terms that lose
    something are taken apart, all others stay one sum.
    """
    if kind(node.output.dtype) != "f":
        return None
    x, y = node.inputs
    pairs = ((x, y), (y, x)) if isinstance(node.op, Mul) else ((x, y),)
    for total, b in pairs:
        if node_of(total, Add, Sub) is None or uniform_value(b) is not None:
            continue
        found = _taken(total, b, above=isinstance(node.op, TrueDiv))
        if found and context.read_once(total):
            return _distributed(node, total, b, found, context)
    return None


def _taken(total: Variable, b: Variable, above: bool) -> list[tuple[Term, Path]]:
    """The terms of a sum with b as a factor above or below the line, and its place there."""
    found = []
    for term in terms_of(total):
        if term.variable is None:
            continue
        for factor in split_product(term.variable):
            alone = above and factor.path == ()
            if factor.variable is b and factor.above == above and not alone:
                found.append((term, factor.path))
                break
    return found


def _distributed(
    node: Apply,
    total: Variable,
    b: Variable,
    found: Sequence[tuple[Term, Path]],
    context: Context,
) -> Variable | None:
    rebuilt: list[Variable] = []
    rest = without_terms(total, [term.path for term, _ in found], rebuilt)
    if not all(context.read_once(v) for v in rebuilt):
        return None
    result = None if rest is None else node.op(rest, b)
    for term, path in found:
        assert term.variable is not None
        left = without(term.variable, [path])
        if isinstance(left, One):
            left = as_variable(1, node.output.dtype)
        result = added(result, left, term.factor, node.output.dtype)
    assert result is not None
    return fitted(result, node.output, [b] if rest is None else [], context)


# --- one division for two -------------------------------------------------------------


@node_rule(TrueDiv, tags=["finite_math"])
def quotient_of_quotient(node, context):
    """(x / y) / z is x / (y z): one division, the slowest of the four, in place of two.

    Only of divisors that are moderate numbers or integers: the product of others may
    overflow or vanish where the quotients do not.
    """
    x, z = node.inputs
    inner = node_of(x, TrueDiv)
    if (
        inner is None
        or kind(node.output.dtype) != "f"
        or isinstance(z, Constant)
        or inner.output.broadcastable != node.output.broadcastable
        or not context.read_once(inner.output)
    ):
        return None
    above, y = inner.inputs
    if isinstance(y, Constant) or node.output.dtype == "float16":
        return None
    if not (_moderate(y) and _moderate(z)):
        return None
    return true_div(above, mul(y, z))


MODERATE = 2.0**-20, 2.0**20
"""Two numbers between these have a product that neither overflows nor vanishes."""


def _moderate(variable: Variable) -> bool:
    """Whether a value is a moderate number, or an integer: at most 2^64, if not 0."""
    while variable.owner is not None and isinstance(
        variable.owner.op, DimShuffle | BroadcastTo
    ):
        variable = variable.owner.inputs[0]
    if isinstance(variable, Constant):
        return _moderate_number(uniform_value(variable))
    cast = node_of(variable, Cast)
    return cast is not None and kind(cast.inputs[0].dtype) in "iu"


def _moderate_number(value: Any) -> bool:
    low, high = MODERATE
    return value is not None and low <= abs(float(value)) <= high


# --- numbers --------------------------------------------------------------------------


def split_constant(variable: Variable) -> tuple[str, Any, Variable] | None:
    """How a constant takes part, the constant, and the other operand, or None.

    ========  =============
    ``mul``   2 x
    ``div``   x / 2
    ``over``  2 / x
    ========  =============
    """
    node = variable.owner
    if node is None or type(node.op) not in ROLES or variable.dtype == "bool":
        return None
    x, y = node.inputs
    first, second = ROLES[type(node.op)]
    for constant, rest, role in ((x, y, first), (y, x, second)):
        if (
            isinstance(constant, Constant)
            and constant.data.size == 1
            and not isinstance(rest, Constant)
        ):
            return role, constant.data.reshape(-1)[0], rest
    return None


ROLES: dict[type[Op], tuple[str, str]] = {Mul: ("mul", "mul"), TrueDiv: ("over", "div")}


def _join_factors(outer: str, a, inner: str, b, x: Variable) -> Variable | None:
    one = a.dtype.type(1)
    # Each is (above / below) x or, inverted, (above / below) / x.
    above, below, inverted = {
        "mul": (b, one, False),
        "div": (one, b, False),
        "over": (b, one, True),
    }[inner]
    if outer == "over":
        above, below, inverted = a * below, above, not inverted
    else:
        above, below = (above * a, below) if outer == "mul" else (above, below * a)
    factor = above if below == one else above / below
    if not (keeps_digits(factor) and keeps_digits(below)):
        return None
    if inverted:
        return true_div(factor, x)
    return true_div(x, below) if above == one and below != one else mul(x, factor)


def _join(node: Apply) -> Variable | None:
    outer = split_constant(node.output)
    inner = None if outer is None else split_constant(outer[2])
    if outer is None or inner is None:
        return None
    (do, a, _), (did, b, x) = outer, inner
    with np.errstate(all="ignore"):
        joined = _join_factors(do, a, did, b, x)
    return None if joined is None or joined.ndim != node.output.ndim else joined


@node_rule(Mul)
def join_int_constants(node):
    """2 (3 x) is 6 x; integers wrap the same way."""
    return _join(node) if kind(node.output.dtype) in "iu" else None


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def join_constants(node):
    """2 (3 x) is 6 x and (x / 2) / 3 is x / 6, but for rounding and overflow between."""
    return _join(node) if kind(node.output.dtype) == "f" else None


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def constant_out_of_product(node, context):
    """(2 x) (3 y) is 6 (x y), and (2 x) y / 4 is (x y) / 2.

    Numbers that are neither large nor small, and no halves: what is multiplied after them
    is then computed without them, and might overflow.
    """
    if node.output.dtype not in ("float32", "float64"):
        return None
    numbers = [f for f in split_product(node.output) if _is_number(f)]
    if len(numbers) < 2:
        return None
    paths = [f.path for f in numbers]
    rest = without(node.output, paths)
    anew = made_anew(node.output, paths)
    if isinstance(rest, One) or not all(
        context.read_once(v) for v in anew if v is not node.output
    ):
        return None
    above, below = _product(numbers, True), _product(numbers, False)
    one = as_variable(1, node.output.dtype)
    if below == 1:
        return mul(rest, as_variable(above, one.dtype)) if above != 1 else rest
    if above == 1:
        return true_div(rest, as_variable(below, one.dtype))
    return mul(rest, as_variable(above / below, one.dtype))


def _is_number(factor: Factor) -> bool:
    x = factor.variable
    return (
        isinstance(x, Constant)
        and x.data.size == 1
        and _moderate_number(x.data.reshape(-1)[0])
    )


def _product(numbers: Sequence[Factor], above: bool) -> Any:
    one = numbers[0].variable.dtype
    result = np.dtype(one).type(1)
    for factor in numbers:
        if factor.above == above:
            assert isinstance(factor.variable, Constant)
            result = result * factor.variable.data.reshape(-1)[0]
    return result


RULES = tagged(
    "algebra",
    one_over,
    reciprocal_of_reciprocal,
    reciprocal_of_quotient,
    over_reciprocal,
    factor_over_itself,
    square_over_factor,
    times_reciprocal,
    join_int_constants,
    join_constants,
    constant_out_of_product,
    factor_into_sum,
    quotient_of_quotient,
)
