"""Arithmetic, comparison, logic and choice of elements.

The functions take variables, arrays and Python numbers.

Read next: :mod:`workbench.core.ops.mathematics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import ParameterError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Elementwise
from workbench.core.ops.ufunc import (
    INTEGER,
    UfuncOp,
    apply,
    cast,
    kind,
    resolve,
    weak_type,
)
from workbench.core.types import Array

# --- arithmetic --------------------------------------------------------------------------


class Add(UfuncOp):
    """x + y; for bools, or."""

    arity = 2
    ufunc, c_complex = np.add, "({x} + {y})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Or for bools."""
        return "({x} | {y})" if dtypes[0] == "bool" else "({x} + {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to both."""
        return [g, g]


class Sub(UfuncOp):
    """x - y."""

    arity = 2
    ufunc = np.subtract
    c_expr = c_complex = "({x} - {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g and -g."""
        assert g is not None
        return [g, neg(g)]


class Mul(UfuncOp):
    """x y; for bools, and."""

    arity = 2
    ufunc, c_complex = np.multiply, "wb_cmul{f}({x}, {y})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """And for bools."""
        return "({x} & {y})" if dtypes[0] == "bool" else "({x} * {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g y and g x."""
        x, y = node.inputs
        return [mul(g, y), mul(g, x)]


class TrueDiv(UfuncOp):
    """x / y, a float also for integers (floatX)."""

    name = "true_div"
    arity = 2
    cost = 4
    ufunc = np.true_divide
    c_expr, c_complex = "({x} / {y})", "wb_cdiv{f}({x}, {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g / y and -g x / y²."""
        x, y = node.inputs
        return [true_div(g, y), neg(true_div(mul(g, true_div(x, y)), y))]


class FloorDiv(UfuncOp):
    """x // y, rounded towards minus infinity; 0 for an integer divided by 0."""

    name = "floor_div"
    arity = 2
    cost = 10
    ufunc = np.floor_divide

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A helper per dtype."""
        return f"wb_floordiv_{dtypes[0]}({{x}}, {{y}})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zero: a step function."""
        return [zero_grad_of(g), zero_grad_of(g)]


class Mod(UfuncOp):
    """x mod y with the sign of y; 0 for an integer divided by 0."""

    arity = 2
    cost = 10
    ufunc = np.remainder

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A helper per dtype."""
        return f"wb_mod_{dtypes[0]}({{x}}, {{y}})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g and -g floor(x / y)."""
        x, y = node.inputs
        return [g, neg(mul(g, floor_div(x, y)))]


class Neg(UfuncOp):
    """-x."""

    ufunc = np.negative
    c_expr = c_complex = "(-{x})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-g."""
        return [neg(g)]


class Abs(UfuncOp):
    """|x|; its gradient at 0 is 0."""

    holomorphic = False
    ufunc, c_complex = np.absolute, "wb_cabs{f}({x})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """fabs for floats, a choice for signed integers."""
        return {
            "f": "fabs{f}({x})",
            "i": "({x} < 0 ? -{x} : {x})",
            "u": "{x}",
            "b": "{x}",
        }.get(kind(dtypes[0]), "")

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g sign(x)."""
        return [mul(g, sign(node.inputs[0]))]


class Sign(UfuncOp):
    """-1, 0 or 1; x / |x| of a complex number; NaN for NaN."""

    holomorphic = False
    ufunc, c_complex = np.sign, "wb_csign{f}({x})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A difference of two tests, which keeps NaN."""
        if kind(dtypes[0]) == "f":
            return "({x} != {x} ? {x} : ({t})(({x} > 0) - ({x} < 0)))"
        return {"i": "(({x} > 0) - ({x} < 0))", "u": "({x} > 0)"}.get(
            kind(dtypes[0]), ""
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zero; for a complex number (g - s² conj(g)) / 2|x|, where s is its sign, and 0 at 0."""
        (x,), s = node.inputs, node.output
        if g is None or kind(x.dtype) != "c":
            return [zero_grad_of(g)]
        turned = sub(g, mul(sqr(s), apply(Conj(), g)))
        return [switch(eq(x, 0), 0, true_div(turned, mul(abs(x), 2)))]


class Conj(UfuncOp):
    """The complex conjugate."""

    holomorphic = False
    ufunc = np.conjugate
    c_expr, c_complex = "{x}", "wb_cconj{f}({x})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The conjugate of g."""
        return [apply(Conj(), g)]


class Sqr(UfuncOp):
    """x²."""

    ufunc, c_complex = np.square, "wb_cmul{f}({x}, {x})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A product."""
        return "{x}" if dtypes[0] == "bool" else "({x} * {x})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """2 g x."""
        return [mul(g, mul(node.inputs[0], 2))]


class Reciprocal(UfuncOp):
    """1 / x; an integer stays one, as in NumPy, and 1 / 0 is NumPy's value."""

    cost = 4
    ufunc, c_complex = np.reciprocal, "wb_creciprocal{f}({x})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A division for floats."""
        return "(1 / {x})" if kind(dtypes[0]) == "f" else ""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-g / x²."""
        return [neg(mul(g, sqr(node.output)))]


class Maximum(UfuncOp):
    """The larger; NaN when either is. At a tie the gradient goes to the first."""

    arity = 2
    ufunc, c_complex = np.maximum, "wb_cmaximum{f}({x}, {y})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A choice that lets NaN through."""
        return "({x} >= {y} || {x} != {x} ? {x} : {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to the larger."""
        x, y = node.inputs
        return [switch(ge(x, y), g, 0), switch(lt(x, y), g, 0)]


class Minimum(UfuncOp):
    """The smaller; NaN when either is. At a tie the gradient goes to the first."""

    arity = 2
    ufunc, c_complex = np.minimum, "wb_cminimum{f}({x}, {y})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A choice that lets NaN through."""
        return "({x} <= {y} || {x} != {x} ? {x} : {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to the smaller."""
        x, y = node.inputs
        return [switch(le(x, y), g, 0), switch(gt(x, y), g, 0)]


class Rounding(UfuncOp):
    """Rounds a float; an integer stays as it is. The gradient is zero."""

    c_function: ClassVar[str] = ""

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A C function for floats."""
        return self.c_function + "{f}({x})" if kind(dtypes[0]) == "f" else "{x}"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zero: a step function."""
        return [zero_grad_of(g)]


class Floor(Rounding):
    """The largest integer not above x."""

    ufunc = np.floor
    c_function = "floor"


class Ceil(Rounding):
    """The smallest integer not below x."""

    ufunc = np.ceil
    c_function = "ceil"


class Trunc(Rounding):
    """x without its fraction."""

    ufunc = np.trunc
    c_function = "trunc"


class Rint(Rounding):
    """The nearest integer, halves to the even one."""

    name = "round"
    ufunc = np.rint
    c_function = "rint"
    c_complex = "wb_crint{f}({x})"


# --- comparison and logic ----------------------------------------------------------------


class Predicate(UfuncOp):
    """An op whose result is a bool or an integer; no gradient passes."""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None] * len(node.inputs)

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False] * len(node.inputs)


class Comparison(Predicate):
    """A comparison of two numbers; int64 with uint64 by value, as NumPy has it."""

    arity = 2
    symbol: ClassVar[str] = ""

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """C's own, but where that would turn a negative number into a large unsigned one."""
        match [kind(d) for d in dtypes[:2]]:
            case ["i", "u"]:
                order = "({x} < 0 ? -1 : ((uint64_t){x} > {y}) - ((uint64_t){x} < {y}))"
            case ["u", "i"]:
                order = "({y} < 0 ? 1 : ({x} > (uint64_t){y}) - ({x} < (uint64_t){y}))"
            case _:
                return f"({{x}} {self.symbol} {{y}})"
        return f"({order} {self.symbol} 0)"


class Eq(Comparison):
    """Whether x equals y; NaN equals nothing."""

    ufunc, symbol, c_complex = np.equal, "==", "({x} == {y})"


class Neq(Comparison):
    """Whether x differs from y."""

    ufunc, symbol, c_complex = np.not_equal, "!=", "({x} != {y})"


class Lt(Comparison):
    """Whether x < y."""

    ufunc, symbol, c_complex = np.less, "<", "wb_clt{f}({x}, {y})"


class Le(Comparison):
    """Whether x <= y."""

    ufunc, symbol, c_complex = np.less_equal, "<=", "wb_cle{f}({x}, {y})"


class Gt(Comparison):
    """Whether x > y."""

    ufunc, symbol, c_complex = np.greater, ">", "wb_clt{f}({y}, {x})"


class Ge(Comparison):
    """Whether x >= y."""

    ufunc, symbol, c_complex = np.greater_equal, ">=", "wb_cle{f}({y}, {x})"


class IsNan(Predicate):
    """Whether x is NaN."""

    ufunc, c_expr = np.isnan, "({x} != {x})"
    c_complex = "({x} != {x})"


class IsInf(Predicate):
    """Whether x is plus or minus infinity."""

    ufunc, c_complex = np.isinf, "wb_cisinf{f}({x})"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Never for integers."""
        return "(fabs{f}({x}) == INFINITY)" if kind(dtypes[0]) == "f" else "0"


class And(Predicate):
    """x and y, bit by bit."""

    name, arity, ufunc, c_expr = "and", 2, np.bitwise_and, "({x} & {y})"


class Or(Predicate):
    """x or y, bit by bit."""

    name, arity, ufunc, c_expr = "or", 2, np.bitwise_or, "({x} | {y})"


class Xor(Predicate):
    """x exclusive or y, bit by bit."""

    arity, ufunc, c_expr = 2, np.bitwise_xor, "({x} ^ {y})"


class Invert(Predicate):
    """Not x: bit by bit, for a bool the other one."""

    ufunc = np.invert

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Logical for bools."""
        return "(!{x})" if dtypes[0] == "bool" else "(~{x})"


class Switch(Elementwise):
    """x where the condition holds, else y. Both are computed; only one is taken."""

    arity = 3
    c_expr = c_complex = "({x} ? {y} : {z})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """A bool, and what NumPy's ``where`` promotes the branches to."""
        joined = resolve(self, np.maximum, dtypes[1:])[-1]
        return ["bool", joined, joined, joined]

    def reference(self, condition: Array, x: Array, y: Array) -> Array:
        """``np.where``."""
        return np.where(condition, x, y)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g where taken, zero elsewhere."""
        condition = node.inputs[0]
        return [None, switch(condition, g, 0), switch(condition, 0, g)]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The change of the branch that is taken."""
        condition, *branches = node.inputs
        x, y = (
            fill(branch, as_variable(0, branch.dtype)) if tangent is None else tangent
            for branch, tangent in zip(branches, tangents[1:], strict=True)
        )
        return [switch(condition, x, y)]


class Fill(Elementwise):
    """y stretched to the shape of x; the values of x do not matter."""

    arity = 2
    c_expr = c_complex = "{y}"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Each its own; the result has that of y, a Python number adapting to x."""
        x, y = dtypes
        if not isinstance(x, str):
            x = as_variable(x()).dtype
        if not isinstance(y, str):
            y = resolve(self, np.maximum, [x, y])[-1]
        return [x, y, y]

    def reference(self, x: Array, y: Array) -> Array:
        """A copy of y for every element of x."""
        return np.broadcast_to(y, np.broadcast_shapes(x.shape, y.shape)).copy()

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for y."""
        return [None, g]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through y: the values of x do not matter."""
        return [False, node.inputs[1].type.is_float]


def add(x: Any, y: Any, *more: Any) -> Variable:
    """x + y, and more if given."""
    result = apply(Add(), x, y)
    for other in more:
        result = apply(Add(), result, other)
    return result


def mul(x: Any, y: Any, *more: Any) -> Variable:
    """x * y, and more if given."""
    result = apply(Mul(), x, y)
    for other in more:
        result = apply(Mul(), result, other)
    return result


def sub(x: Any, y: Any) -> Variable:
    """x - y."""
    return apply(Sub(), x, y)


def true_div(x: Any, y: Any) -> Variable:
    """x / y; a float (floatX) also for two integers."""
    return apply(TrueDiv(), x, y)


def floor_div(x: Any, y: Any) -> Variable:
    """x // y, rounded towards minus infinity."""
    return apply(FloorDiv(), x, y)


def mod(x: Any, y: Any) -> Variable:
    """x % y, with the sign of y."""
    return apply(Mod(), x, y)


def neg(x: Any) -> Variable:
    """-x."""
    return apply(Neg(), x)


def abs(x: Any) -> Variable:
    """|x|."""
    return apply(Abs(), x)


def sign(x: Any) -> Variable:
    """-1, 0 or 1 with the sign of x."""
    return apply(Sign(), x)


def sqr(x: Any) -> Variable:
    """x squared."""
    return apply(Sqr(), x)


def reciprocal(x: Any) -> Variable:
    """1 / x; for integers as NumPy, an integer."""
    return apply(Reciprocal(), x)


def maximum(x: Any, y: Any) -> Variable:
    """The larger of x and y, NaN when either is."""
    return apply(Maximum(), x, y)


def minimum(x: Any, y: Any) -> Variable:
    """The smaller of x and y, NaN when either is."""
    return apply(Minimum(), x, y)


def clip(
    x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Variable:
    """x, but not below `a_min` nor above `a_max`; a bound of ``None`` does not hold.

    Parameters
    ----------
    min, max
        Other names of the bounds.

    Raises
    ------
    ParameterError
        Bounds are given under both names.

    Examples
    --------
    >>> clip([1, 2, 3], max=2).eval()
    array([1, 2, 2])
    """
    if not ((a_min is None and a_max is None) or (min is None and max is None)):
        raise ParameterError("clip: give a_min and a_max, or min and max, not both.")
    x = as_variable(x)
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    if kind(x.dtype) in INTEGER:
        # Python ints that no element can pass do not hold either.
        limits = np.iinfo(x.dtype)
        low = None if weak_type(low) is int and low <= limits.min else low
        high = None if weak_type(high) is int and high >= limits.max else high
    dtype = x.dtype
    for bound in (low, high):  # 300 may bound an int8 where the other bound is 1.5
        if bound is not None:
            other = weak_type(bound) or as_variable(bound).dtype
            dtype = Maximum().loop_types(dtype, other)[-1]
    bounded = cast(x, dtype) if low is None else maximum(cast(x, dtype), low)
    return bounded if high is None else minimum(bounded, high)


def floor(x: Any) -> Variable:
    """The largest integer not above x, in x's dtype."""
    return apply(Floor(), x)


def ceil(x: Any) -> Variable:
    """The smallest integer not below x, in x's dtype."""
    return apply(Ceil(), x)


def trunc(x: Any) -> Variable:
    """x without its fraction."""
    return apply(Trunc(), x)


def rint(x: Any) -> Variable:
    """The nearest integer, halves to the even one; a float also for integers."""
    return apply(Rint(), x)


def _compare(op: Comparison, x: Any, y: Any) -> Variable:
    """Compare, also with a Python int that the dtype of the other operand cannot hold."""
    return apply(op, _beyond(x, y), _beyond(y, x))


def _beyond(number: Any, other: Any) -> Any:
    """A number as it is; one beyond the integers of `other` in a wider dtype, or infinite."""
    if weak_type(number) is not int or weak_type(other):
        return number
    dtype = as_variable(other).dtype
    if kind(dtype) not in INTEGER:
        return number
    if np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        return number
    if np.iinfo("int64").min <= number <= np.iinfo("uint64").max:
        return as_variable(number)
    return np.float64(np.inf if number > 0 else -np.inf)


def eq(x: Any, y: Any) -> Variable:
    """Whether x equals y, element by element."""
    return _compare(Eq(), x, y)


def neq(x: Any, y: Any) -> Variable:
    """Whether x differs from y, element by element."""
    return _compare(Neq(), x, y)


def lt(x: Any, y: Any) -> Variable:
    """Whether x < y."""
    return _compare(Lt(), x, y)


def le(x: Any, y: Any) -> Variable:
    """Whether x <= y."""
    return _compare(Le(), x, y)


def gt(x: Any, y: Any) -> Variable:
    """Whether x > y."""
    return _compare(Gt(), x, y)


def ge(x: Any, y: Any) -> Variable:
    """Whether x >= y."""
    return _compare(Ge(), x, y)


def isnan(x: Any) -> Variable:
    """Whether x is NaN."""
    return apply(IsNan(), x)


def isinf(x: Any) -> Variable:
    """Whether x is infinite."""
    return apply(IsInf(), x)


def and_(x: Any, y: Any) -> Variable:
    """x and y: logical for bools, bit by bit for integers."""
    return apply(And(), x, y)


def or_(x: Any, y: Any) -> Variable:
    """x or y: logical for bools, bit by bit for integers."""
    return apply(Or(), x, y)


def xor(x: Any, y: Any) -> Variable:
    """x exclusive or y: logical for bools, bit by bit for integers."""
    return apply(Xor(), x, y)


def invert(x: Any) -> Variable:
    """Not x: logical for bools, bit by bit for integers."""
    return apply(Invert(), x)


def switch(condition: Any, x: Any, y: Any) -> Variable:
    """x where `condition` is true (not zero), else y."""
    condition = as_variable(condition)
    if condition.dtype != "bool":
        condition = neq(condition, 0)
    return apply(Switch(), condition, x, y)


def fill(x: Any, value: Any) -> Variable:
    """`value`, a scalar or broadcastable, stretched to the shape of `x`."""
    return apply(Fill(), x, value)


def zero_grad_of(g: Variable | None) -> Variable | None:
    """Zeros of g's shape: the gradient through a step function."""
    return None if g is None else fill(g, as_variable(0, g.dtype))
