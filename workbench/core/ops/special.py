"""Special functions: how an op takes its meaning and its dtypes from SciPy, and x log y.

SciPy is imported when the first such function is used. The dtypes are those of SciPy's
function: at least float32, and where integers become floats without anybody naming one,
``config.floatX`` in place of float64. A function that has no text for C runs its reference
between the compiled kernels.

Read next: :mod:`workbench.core.ops.erf`, :mod:`~workbench.core.ops.gamma`,
:mod:`~workbench.core.ops.beta`, :mod:`~workbench.core.ops.bessel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import DTypeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Elementwise
from workbench.core.ops import floats, mathematics
from workbench.core.ops.barriers import grad_not_implemented
from workbench.core.ops.elementwise import add, eq, mul, neg, switch, true_div
from workbench.core.ops.mathematics import log, sigmoid
from workbench.core.ops.ufunc import apply, as_float, cast, kind, resolve
from workbench.core.types import Array


class Special(Elementwise):
    """A function of SciPy's, under SciPy's name."""

    cost = 50
    c_call: ClassVar[str] = ""

    @property
    def function(self) -> np.ufunc:
        """SciPy's function."""
        from scipy import special

        function: np.ufunc = getattr(special, self.name)
        return function

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Those of SciPy's function."""
        return resolve(self, self.function, dtypes)

    def reference(self, *inputs: Array) -> Any:
        """SciPy's function."""
        with np.errstate(all="ignore"):
            return self.function(*inputs)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The C text for real numbers, where there is one."""
        return self.c_call if all(kind(d) == "f" for d in dtypes) else ""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g times each slope."""
        slopes = self.slopes(node.output, *node.inputs)
        return [
            self._unknown(i, x) if slope is None else mul(g, slope)
            for i, (x, slope) in enumerate(zip(node.inputs, slopes, strict=True))
        ]

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable | None]:
        """The derivative by each operand, in terms of the result and the operands.

        ``None`` says that there is one, but no formula for it: asking for it is an error.
        """
        raise NotImplementedError

    def _unknown(self, position: int, x: Variable) -> Variable:
        return grad_not_implemented(self, position, x, "it has no closed form")


class Xlogy(Special):
    """x log y, and 0 where x is 0, whatever y but NaN. The gradient by y is 0 there too."""

    c_call = "wb_xlogy{f}({x}, {y})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """Log y, -inf at 0, and x / y."""
        x, y = inputs
        return [log(y), switch(eq(x, 0), 0, true_div(x, y))]


class Xlog1py(Special):
    """x log(1 + y), and 0 where x is 0. The gradient by y is 0 there too."""

    c_call = "wb_xlog1py{f}({x}, {y})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """log(1 + y) and x / (1 + y)."""
        x, y = inputs
        return [mathematics.log1p(y), switch(eq(x, 0), 0, true_div(x, add(y, 1)))]


class Entr(Special):
    """-x log x, an element of an entropy: 0 at 0, -inf below."""

    c_call = "wb_entr{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """-log x - 1; inf at 0."""
        return [neg(add(log(inputs[0]), 1))]


class Xlogx(Special):
    """x log x, and 0 at 0; NaN below."""

    c_call = "wb_xlogx{f}({x})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """As for ``xlogy(x, x)``."""
        return resolve(self, self.function, [dtypes[0], dtypes[0]])[1:]

    @property
    def function(self) -> np.ufunc:
        """``xlogy``."""
        from scipy import special

        function: np.ufunc = special.xlogy
        return function

    def reference(self, *inputs: Array) -> Any:
        """``xlogy(x, x)``."""
        return super().reference(inputs[0], inputs[0])

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """Log x + 1; -inf at 0."""
        return [add(log(inputs[0]), 1)]


class Logit(Special):
    """log(x / (1 - x)), the inverse of the logistic function: -inf at 0, inf at 1, NaN outside."""

    c_call = "wb_logit{f}({x})"

    def slopes(self, out: Variable, *inputs: Variable) -> Sequence[Variable]:
        """1 / (x (1 - x)), infinite at both ends."""
        (x,) = inputs
        return [true_div(1, mul(x, add(neg(x), 1)))]


def xlogy(x: Any, y: Any) -> Variable:
    """x log y, and 0 where x is 0.

    Examples
    --------
    >>> xlogy([0.0, 1.0], 0.0).eval()
    array([  0., -inf])
    """
    return apply(Xlogy(), x, y)


def xlog1py(x: Any, y: Any) -> Variable:
    """x log(1 + y), and 0 where x is 0."""
    return apply(Xlog1py(), x, y)


def xlogx(x: Any) -> Variable:
    """x log x, and 0 at 0."""
    return apply(Xlogx(), x)


def entr(x: Any) -> Variable:
    """-x log x: 0 at 0, -inf below."""
    return apply(Entr(), x)


def logit(x: Any) -> Variable:
    """log(x / (1 - x)), the inverse of :func:`expit`."""
    return apply(Logit(), x)


def expit(x: Any) -> Variable:
    """1 / (1 + exp(-x)), in the dtypes SciPy computes in: at least float32."""
    x = as_variable(x)
    return sigmoid(cast(x, Logit().loop_types(x.dtype)[0]))


def _in_single_or_double(x: Any) -> Variable:
    """`x` in the dtypes SciPy computes in: integers as floatX, float16 as float64."""
    x = as_float(x)
    return cast(x, "float64") if x.dtype == "float16" else x


def cbrt(x: Any) -> Variable:
    """The cube root; float16 and integers become float64."""
    return floats.cbrt(_in_single_or_double(x))


def exp2(x: Any) -> Variable:
    """2^x of real numbers; float16 and integers become float64."""
    x = _in_single_or_double(x)
    if kind(x.dtype) == "c":
        raise DTypeError(f"SciPy's exp2 is not defined for {x.dtype}.")
    return mathematics.exp2(x)


def expm1(x: Any) -> Variable:
    """exp(x) - 1, exact for small x; float16 and integers become float64."""
    return mathematics.expm1(_in_single_or_double(x))


def log1p(x: Any) -> Variable:
    """log(1 + x), exact for small x; float16 and integers become float64."""
    return mathematics.log1p(_in_single_or_double(x))
