"""What floating point numbers have besides their value: signs, NaN, infinity, a remainder.

Also the functions of NumPy that differ from a basic one in just these (``fmod``, ``fmax``,
``fabs``), and a few more of its arithmetic functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.ops.complexes import complex, imag
from workbench.core.ops.elementwise import (
    Predicate,
    and_,
    eq,
    ge,
    invert,
    isinf,
    isnan,
    le,
    mul,
    neg,
    or_,
    sign,
    sqr,
    switch,
    true_div,
    trunc,
    zero_grad_of,
)
from workbench.core.ops.mathematics import Function, pow
from workbench.core.ops.ufunc import (
    UfuncOp,
    apply,
    cast,
    kind,
    real,
    weak_type,
)


class IsFinite(Predicate):
    """Whether x is neither infinite nor NaN."""

    ufunc = np.isfinite
    c_complex = "!(wb_cisnan{f}({x}) | wb_cisinf{f}({x}))"

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Always for integers."""
        return "(fabs{f}({x}) < INFINITY)" if kind(dtypes[0]) == "f" else "1"


class Signbit(Predicate):
    """Whether the sign is minus, also of -0 and NaN."""

    ufunc, c_expr = np.signbit, "(copysign{f}(1, {x}) < 0)"


class Copysign(UfuncOp):
    """|x| with the sign of y, where -0 counts as negative. The gradient by y is zero."""

    arity = 2
    ufunc, c_expr = np.copysign, "copysign{f}({x}, {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g, or -g where the sign changed."""
        assert g is not None
        x, y = node.inputs
        kept = eq(signbit(x), signbit(y))
        return [switch(kept, g, neg(g)), zero_grad_of(g)]


class Fabs(UfuncOp):
    """|x| as a float; its gradient at 0 is 0."""

    ufunc, c_expr = np.fabs, "fabs{f}({x})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g sign(x)."""
        return [mul(g, sign(node.inputs[0]))]


class Fmod(UfuncOp):
    """The remainder of x / y with the sign of x; 0 for an integer divided by 0."""

    arity = 2
    cost = 10
    ufunc = np.fmod

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """C's own for floats; a helper for each integer dtype."""
        if kind(dtypes[0]) == "f":
            return "fmod{f}({x}, {y})"
        return f"wb_fmod_{dtypes[0]}({{x}}, {{y}})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g and -g trunc(x / y)."""
        x, y = node.inputs
        return [g, neg(mul(g, trunc(true_div(x, y))))]


class Fmax(UfuncOp):
    """The larger; the other when one is NaN. At a tie the gradient goes to the first."""

    arity = 2
    ufunc, c_expr = np.fmax, "({x} >= {y} || {y} != {y} ? {x} : {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to the one taken."""
        x, y = node.inputs
        taken = or_(ge(x, y), isnan(y))
        return [switch(taken, g, 0), switch(taken, 0, g)]


class Fmin(UfuncOp):
    """The smaller; the other when one is NaN. At a tie the gradient goes to the first."""

    arity = 2
    ufunc, c_expr = np.fmin, "({x} <= {y} || {y} != {y} ? {x} : {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to the one taken."""
        x, y = node.inputs
        taken = or_(le(x, y), isnan(y))
        return [switch(taken, g, 0), switch(taken, 0, g)]


class Heaviside(UfuncOp):
    """0 below zero, 1 above, y at zero; NaN for NaN. The gradient by x is zero."""

    arity = 2
    ufunc = np.heaviside
    c_expr = "({x} != {x} ? {x} : {x} == 0 ? {y} : ({t})({x} > 0))"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for y where x is 0."""
        return [zero_grad_of(g), switch(eq(node.inputs[0], 0), g, 0)]


class Hypot(UfuncOp):
    """sqrt(x² + y²) without overflow between. Its gradient at (0, 0) is 0."""

    arity = 2
    cost = 20
    ufunc, c_expr = np.hypot, "hypot{f}({x}, {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g x / out and g y / out."""
        out = node.output
        scaled = true_div(g, switch(eq(out, 0), 1, out))
        return [mul(scaled, v) for v in node.inputs]


class Cbrt(Function):
    """The cube root, also of negative numbers. Its slope at 0 is infinite."""

    ufunc, c_function = np.cbrt, "cbrt"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return true_div(1 / 3, sqr(y))


class Deg2rad(UfuncOp):
    """Degrees as radians."""

    ufunc = np.deg2rad

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A product with a constant of the same dtype."""
        return (
            "({x} * (({t})3.141592653589793 / 180))" if kind(dtypes[0]) == "f" else ""
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """π g / 180."""
        return [mul(g, np.pi / 180)]


class Rad2deg(UfuncOp):
    """Radians as degrees."""

    ufunc = np.rad2deg

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A product with a constant of the same dtype."""
        return (
            "({x} * (180 / ({t})3.141592653589793))" if kind(dtypes[0]) == "f" else ""
        )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """180 g / π."""
        return [mul(g, 180 / np.pi)]


def isfinite(x: Any) -> Variable:
    """Whether x is neither infinite nor NaN."""
    return apply(IsFinite(), x)


def isposinf(x: Any) -> Variable:
    """Whether x is plus infinity."""
    return and_(isinf(x), invert(signbit(x)))


def isneginf(x: Any) -> Variable:
    """Whether x is minus infinity."""
    return and_(isinf(x), signbit(x))


def signbit(x: Any) -> Variable:
    """Whether the sign is minus, also of -0 and NaN."""
    return apply(Signbit(), x)


def copysign(x: Any, y: Any) -> Variable:
    """|x| with the sign of y."""
    return apply(Copysign(), x, y)


def fabs(x: Any) -> Variable:
    """|x| as a float."""
    return apply(Fabs(), x)


def fmod(x: Any, y: Any) -> Variable:
    """The remainder of x / y with the sign of x, as in C; ``mod`` takes the sign of y."""
    return apply(Fmod(), x, y)


def fmax(x: Any, y: Any) -> Variable:
    """The larger of x and y; the other when one is NaN."""
    return apply(Fmax(), x, y)


def fmin(x: Any, y: Any) -> Variable:
    """The smaller of x and y; the other when one is NaN."""
    return apply(Fmin(), x, y)


def heaviside(x: Any, y: Any) -> Variable:
    """0 where x < 0, 1 where x > 0, and y where x is 0."""
    return apply(Heaviside(), x, y)


def hypot(x: Any, y: Any) -> Variable:
    """sqrt(x² + y²), without overflow between."""
    return apply(Hypot(), x, y)


def cbrt(x: Any) -> Variable:
    """The cube root, also of negative numbers."""
    return apply(Cbrt(), x)


def deg2rad(x: Any) -> Variable:
    """Degrees as radians."""
    return apply(Deg2rad(), x)


def rad2deg(x: Any) -> Variable:
    """Radians as degrees."""
    return apply(Rad2deg(), x)


def positive(x: Any) -> Variable:
    """+x: x itself.

    Raises
    ------
    DTypeError
        x is a bool, for which NumPy has no sign either.
    """
    x = as_variable(x)
    if x.dtype == "bool":
        raise DTypeError(f"positive is not defined for bool, got {x.label()}.")
    return x


def float_power(x: Any, y: Any) -> Variable:
    """x to the power y in float64, or complex128: integers with negative powers are no error."""
    return pow(_as_double(x), _as_double(y))


def _as_double(x: Any) -> Variable:
    x = as_variable(x)
    return cast(x, "complex128" if kind(x.dtype) == "c" else "float64")


def nan_to_num(
    x: Any,
    copy: bool = True,
    nan: Any = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Variable:
    """x with NaN and infinities replaced, by default by 0 and the dtype's largest numbers.

    No gradient passes where a number was replaced. Both parts of a complex number are
    treated alike.

    Parameters
    ----------
    copy
        As in NumPy, and without effect: the result is always another variable.

    Examples
    --------
    >>> nan_to_num([1.0, float("nan")]).eval()
    array([1., 0.])
    """
    x = as_variable(x)
    if kind(x.dtype) == "c":
        parts = (
            nan_to_num(part, copy, nan, posinf, neginf) for part in (real(x), imag(x))
        )
        return complex(*parts)
    if kind(x.dtype) != "f":
        return x
    limits = np.finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    result = switch(isnan(x), _fitted(nan, x), x)
    result = switch(isposinf(x), _fitted(high, x), result)
    return switch(isneginf(x), _fitted(low, x), result)


def _fitted(value: Any, x: Variable) -> Variable:
    return as_variable(value, x.dtype) if weak_type(value) else cast(value, x.dtype)
