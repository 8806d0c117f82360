"""Powers, exponentials, logarithms, trigonometry, and their stable relatives.

The stable forms (`softplus`, `log1mexp`, `logaddexp`, `sigmoid`) are ordinary functions: they
hold in every mode, optimised or not. The rules in :mod:`workbench.compile.rules.stability`
find the places where they were meant.

Read next: :mod:`workbench.core.ops.shape`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Elementwise
from workbench.core.ops.elementwise import (
    abs,
    add,
    eq,
    lt,
    mul,
    neg,
    reciprocal,
    sqr,
    sub,
    switch,
    true_div,
)
from workbench.core.ops.ufunc import UfuncOp, apply, kind, resolve
from workbench.core.types import Array


class Function(UfuncOp):
    """A function of one real variable, computed in floating point: 20 times an addition."""

    cost = 20
    c_function: ClassVar[str] = ""

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The C function of that name, for real floats."""
        return self.c_function + "{f}({x})" if kind(dtypes[0]) == "f" else ""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g times the slope."""
        return [mul(g, self.slope(node.inputs[0], node.output))]

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx in terms of the operand and the result."""
        raise NotImplementedError


LN2 = 0.6931471805599453
LN10 = 2.302585092994046


class Pow(UfuncOp):
    """x to the power y.

    Integer powers of integers run their NumPy reference, which refuses negative exponents.
    """

    arity = 2
    cost = 40
    ufunc = np.power
    c_complex = "wb_cpow{f}({x}, {y})"

    def reference(self, x: Array, y: Array) -> Array:
        """``np.power``; where NumPy takes a square root instead, -0 and -inf as C and IEEE 754 have them."""
        with np.errstate(all="ignore"):
            result = np.asarray(np.power(x, y))
            if kind(result.dtype.name) != "f":
                return result
            other = (y == 0.5) & ((x == 0) | np.isneginf(x))
            return np.where(other, np.abs(x), result)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """C's pow for floats."""
        return "pow{f}({x}, {y})" if kind(dtypes[0]) == "f" else ""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g y x^(y-1), zero where y is 0; g x^y log x, zero where x is 0."""
        x, y = node.inputs
        slope = switch(eq(y, 0), 0, mul(y, pow(x, sub(y, 1))))
        if isinstance(y, Constant):
            return [mul(g, slope), None]
        return [mul(g, slope), mul(g, switch(eq(x, 0), 0, mul(node.output, log(x))))]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Through the base; through the exponent unless it is a constant."""
        x, y = node.inputs
        return [x.type.is_float, y.type.is_float and not isinstance(y, Constant)]


class Exp(Function):
    """e to the power x."""

    ufunc, c_function = np.exp, "exp"
    c_complex = "wb_cexp{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return y


class Exp2(Function):
    """2 to the power x."""

    ufunc, c_function = np.exp2, "exp2"
    c_complex = "wb_cexp2{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return mul(y, LN2)


class Expm1(Function):
    """exp(x) - 1, exact also for small x."""

    ufunc, c_function = np.expm1, "expm1"
    c_complex = "wb_cexpm1{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """exp(x), of which y + 1 loses the digits for a negative x."""
        return exp(x)


class Log(Function):
    """The natural logarithm; -inf at 0, NaN below."""

    ufunc, c_function = np.log, "log"
    c_complex = "wb_clog{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(x)


class Log2(Function):
    """The logarithm to base 2."""

    ufunc, c_function = np.log2, "log2"
    c_complex = "wb_clog2{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(mul(x, LN2))


class Log10(Function):
    """The logarithm to base 10."""

    ufunc, c_function = np.log10, "log10"
    c_complex = "wb_clog10{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(mul(x, LN10))


class Log1p(Function):
    """log(1 + x), exact also for small x."""

    ufunc, c_function = np.log1p, "log1p"
    c_complex = "wb_clog1p{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(add(x, 1))


class Sqrt(Function):
    """The square root; NaN below 0. Its slope at 0 is infinite."""

    cost = 8
    ufunc, c_function = np.sqrt, "sqrt"
    c_complex = "wb_csqrt{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return true_div(0.5, y)


class Sin(Function):
    """The sine of x radians."""

    ufunc, c_function = np.sin, "sin"
    c_complex = "wb_csin{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return cos(x)


class Cos(Function):
    """The cosine of x radians."""

    ufunc, c_function = np.cos, "cos"
    c_complex = "wb_ccos{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return neg(sin(x))


class Tan(Function):
    """The tangent of x radians."""

    ufunc, c_function = np.tan, "tan"
    c_complex = "wb_of_ctan{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return add(sqr(y), 1)


class Arcsin(Function):
    """The angle in radians whose sine is x."""

    ufunc, c_function = np.arcsin, "asin"
    c_complex = "wb_of_casin{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(sqrt(sub(1, sqr(x))))


class Arccos(Function):
    """The angle in radians whose cosine is x."""

    ufunc, c_function = np.arccos, "acos"
    c_complex = "wb_of_cacos{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return neg(reciprocal(sqrt(sub(1, sqr(x)))))


class Arctan(Function):
    """The angle in radians whose tangent is x."""

    ufunc, c_function = np.arctan, "atan"
    c_complex = "wb_of_catan{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(add(sqr(x), 1))


class Sinh(Function):
    """The hyperbolic sine."""

    ufunc, c_function = np.sinh, "sinh"
    c_complex = "wb_csinh{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return cosh(x)


class Cosh(Function):
    """The hyperbolic cosine."""

    ufunc, c_function = np.cosh, "cosh"
    c_complex = "wb_ccosh{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return sinh(x)


class Tanh(Function):
    """The hyperbolic tangent."""

    ufunc, c_function = np.tanh, "tanh"
    c_complex = "wb_of_ctanh{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return sub(1, sqr(y))


class Arcsinh(Function):
    """The inverse of sinh."""

    ufunc, c_function = np.arcsinh, "asinh"
    c_complex = "wb_of_casinh{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(sqrt(add(sqr(x), 1)))


class Arccosh(Function):
    """The inverse of cosh; NaN below 1."""

    ufunc, c_function = np.arccosh, "acosh"
    c_complex = "wb_of_cacosh{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(mul(sqrt(sub(x, 1)), sqrt(add(x, 1))))


class Arctanh(Function):
    """The inverse of tanh; NaN outside [-1, 1]."""

    ufunc, c_function = np.arctanh, "atanh"
    c_complex = "wb_of_catanh{f}({x})"

    def slope(self, x: Variable, y: Variable) -> Variable:
        """dy/dx."""
        return reciprocal(sub(1, sqr(x)))


class Arctan2(UfuncOp):
    """The angle in radians of the point (y, x), in (-π, π]; the first operand is y."""

    arity = 2
    cost = 30
    ufunc = np.arctan2
    c_expr = "atan2{f}({x}, {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g x / (x² + y²) and -g y / (x² + y²)."""
        y, x = node.inputs
        scaled = true_div(g, add(sqr(x), sqr(y)))
        return [mul(scaled, x), neg(mul(scaled, y))]


class LogAddExp(UfuncOp):
    """log(exp(x) + exp(y)) without overflow."""

    arity = 2
    cost = 40
    ufunc = np.logaddexp
    c_expr = "wb_logaddexp{f}({x}, {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The weights exp(x - out) and exp(y - out)."""
        x, y = node.inputs
        return [mul(g, sigmoid(sub(x, y))), mul(g, sigmoid(sub(y, x)))]


class LogAddExp2(UfuncOp):
    """log2(2^x + 2^y) without overflow."""

    arity = 2
    cost = 40
    ufunc = np.logaddexp2
    c_expr = "wb_logaddexp2{f}({x}, {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The weights 2^(x - out) and 2^(y - out)."""
        x, y = node.inputs
        apart = mul(sub(x, y), LN2)
        return [mul(g, sigmoid(apart)), mul(g, sigmoid(neg(apart)))]


class Floating(Elementwise):
    """A function of our own, for real numbers: its dtypes are those of NumPy's cube root."""

    cost = 20

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """As ``np.cbrt``: floats as they are, integers to the float that holds them."""
        return resolve(self, np.cbrt, dtypes)


class Sinc(Function):
    """sin(πx) / πx, and 1 at 0."""

    ufunc: ClassVar[np.ufunc] = np.multiply
    c_expr = "wb_sinc{f}({x})"
    c_complex = "wb_csinc{f}({x})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Those of πx."""
        return [resolve(self, self.ufunc, [*dtypes, float])[-1]] * 2

    def reference(self, x: Array) -> Array:
        """``np.sinc``."""
        with np.errstate(all="ignore"):
            return np.asarray(np.sinc(x))

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A helper for real floats."""
        return self.c_expr if kind(dtypes[0]) == "f" else ""

    def slope(self, x: Variable, y: Variable) -> Variable:
        """(cos(πx) - y) / x, which cancels near 0: there its series."""
        z = mul(x, np.pi)
        near = lt(abs(z), 1)
        far = true_div(sub(cos(z), y), switch(near, 1, x))
        square, series = sqr(z), as_variable(0, x.dtype)
        for k in range(9, 0, -1):
            term = (-1) ** k * 2 * k / math.factorial(2 * k + 1)
            series = add(mul(series, square), term)
        return switch(near, mul(mul(series, z), np.pi), far)


class Sigmoid(Floating):
    """1 / (1 + exp(-x)), written with exp(-|x|), so that small results keep their digits."""

    c_expr = "(({x} >= 0 ? 1 : exp{f}(-fabs{f}({x}))) / (1 + exp{f}(-fabs{f}({x}))))"

    def reference(self, x: Array) -> Array:
        """The same in NumPy."""
        with np.errstate(all="ignore"):
            e = np.exp(-np.abs(x))
            return np.where(x >= 0, x.dtype.type(1), e) / (1 + e)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g y (1 - y), written y sigmoid(-x) so that it is exact for large x."""
        (x,) = node.inputs
        return [mul(g, mul(node.output, sigmoid(neg(x))))]


class Softplus(Floating):
    """log(1 + exp(x)), without overflow for large x.

    References
    ----------
    Mächler (2012), Accurately computing log(1 - exp(-|a|)), R package Rmpfr.
    """

    cost = 40

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """max(x, 0) + log1p(exp(-|x|)), with NaN let through."""
        return (
            "(({x} > 0 ? {x} : 0) + log1p{f}(exp{f}(-fabs{f}({x}))))"
            if kind(dtypes[0]) == "f"
            else ""
        )

    def reference(self, x: Array) -> Array:
        """``logaddexp(0, x)``."""
        with np.errstate(all="ignore"):
            return np.logaddexp(np.zeros((), x.dtype), x)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g sigmoid(x)."""
        return [mul(g, sigmoid(node.inputs[0]))]


class Log1mexp(Floating):
    """log(1 - exp(x)) for x < 0, exact near 0 and for very negative x; -inf at 0, NaN above.

    References
    ----------
    Mächler (2012), Accurately computing log(1 - exp(-|a|)), R package Rmpfr, equation 7.
    """

    cost = 40

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A helper: log(-expm1(x)) above -log 2, else log1p(-exp(x))."""
        return "wb_log1mexp{f}({x})" if kind(dtypes[0]) == "f" else ""

    def reference(self, x: Array) -> Array:
        """The same two branches."""
        with np.errstate(all="ignore"):
            return np.where(x > -LN2, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-g / expm1(-x), which is exp(x) / (exp(x) - 1) without overflow."""
        return [neg(true_div(g, expm1(neg(node.inputs[0]))))]


def exp(x: Any) -> Variable:
    """e to the power x, element by element."""
    return apply(Exp(), x)


def exp2(x: Any) -> Variable:
    """2 to the power x, element by element."""
    return apply(Exp2(), x)


def expm1(x: Any) -> Variable:
    """exp(x) - 1, exact also for small x, element by element."""
    return apply(Expm1(), x)


def log(x: Any) -> Variable:
    """The natural logarithm, element by element."""
    return apply(Log(), x)


def log2(x: Any) -> Variable:
    """The logarithm to base 2, element by element."""
    return apply(Log2(), x)


def log10(x: Any) -> Variable:
    """The logarithm to base 10, element by element."""
    return apply(Log10(), x)


def log1p(x: Any) -> Variable:
    """log(1 + x), exact also for small x, element by element."""
    return apply(Log1p(), x)


def sqrt(x: Any) -> Variable:
    """The square root, element by element."""
    return apply(Sqrt(), x)


def sin(x: Any) -> Variable:
    """The sine of x radians, element by element."""
    return apply(Sin(), x)


def cos(x: Any) -> Variable:
    """The cosine of x radians, element by element."""
    return apply(Cos(), x)


def tan(x: Any) -> Variable:
    """The tangent of x radians, element by element."""
    return apply(Tan(), x)


def arcsin(x: Any) -> Variable:
    """The angle in radians whose sine is x, element by element."""
    return apply(Arcsin(), x)


def arccos(x: Any) -> Variable:
    """The angle in radians whose cosine is x, element by element."""
    return apply(Arccos(), x)


def arctan(x: Any) -> Variable:
    """The angle in radians whose tangent is x, element by element."""
    return apply(Arctan(), x)


def sinh(x: Any) -> Variable:
    """The hyperbolic sine, element by element."""
    return apply(Sinh(), x)


def cosh(x: Any) -> Variable:
    """The hyperbolic cosine, element by element."""
    return apply(Cosh(), x)


def tanh(x: Any) -> Variable:
    """The hyperbolic tangent, element by element."""
    return apply(Tanh(), x)


def arcsinh(x: Any) -> Variable:
    """The inverse of sinh, element by element."""
    return apply(Arcsinh(), x)


def arccosh(x: Any) -> Variable:
    """The inverse of cosh, element by element."""
    return apply(Arccosh(), x)


def arctanh(x: Any) -> Variable:
    """The inverse of tanh, element by element."""
    return apply(Arctanh(), x)


def sigmoid(x: Any) -> Variable:
    """1 / (1 + exp(-x)), without overflow, element by element."""
    return apply(Sigmoid(), x)


def softplus(x: Any) -> Variable:
    """log(1 + exp(x)), without overflow, element by element."""
    return apply(Softplus(), x)


def log1mexp(x: Any) -> Variable:
    """log(1 - exp(x)) for x < 0, exact near 0, element by element."""
    return apply(Log1mexp(), x)


def pow(x: Any, y: Any) -> Variable:
    """x ** y."""
    return apply(Pow(), x, y)


def arctan2(y: Any, x: Any) -> Variable:
    """The angle in radians of the point (x, y)."""
    return apply(Arctan2(), y, x)


def logaddexp(x: Any, y: Any) -> Variable:
    """log(exp(x) + exp(y)), without overflow."""
    return apply(LogAddExp(), x, y)


def logaddexp2(x: Any, y: Any) -> Variable:
    """log2(2^x + 2^y), without overflow."""
    return apply(LogAddExp2(), x, y)


def sinc(x: Any) -> Variable:
    """sin(πx) / πx, and 1 at 0, element by element."""
    return apply(Sinc(), x)
