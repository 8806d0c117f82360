"""Identities that change what a derivative does: stop it, scale it, clip it.

Their value is their operand. They matter only while a gradient is being derived, which is
while the graph is built; the rule ``barrier`` (:mod:`workbench.compile.rules.canonical`)
removes them from every function, so that they cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Elementwise, Op
from workbench.core.ops.elementwise import clip, mul, zero_grad_of
from workbench.core.types import Array


class Barrier(Elementwise):
    """An identity with a derivative of its own."""

    c_expr = "{x}"
    c_complex = "{x}"
    cost = 0

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """The dtype given, twice."""
        (dtype,) = dtypes
        assert isinstance(dtype, str)
        return [dtype, dtype]

    def reference(self, x: Array) -> Array:
        """A copy."""
        return np.array(x)


class DisconnectedGrad(Barrier):
    """x, on which nothing depends in a differentiable way."""

    name = "disconnected_grad"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]


class ZeroGrad(Barrier):
    """x with a derivative of zero."""

    name = "zero_grad"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zeros."""
        return [zero_grad_of(g)]


class UndefinedGrad(Barrier):
    """x without a derivative: to ask for one is an error."""

    name = "undefined_grad"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Undefined."""
        return [grad_undefined(self, 0, node.inputs[0], "undefined_grad was applied")]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """Undefined."""
        return self.vjp(node, tangents[0])


@dataclass(frozen=True)
class GradClip(Barrier):
    """x; each element of its gradient is kept in [`low`, `high`], NaN stays NaN.

    Forward derivatives pass as they are: clipping is no linear map.
    """

    low: float
    high: float

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g, clipped."""
        return [clip(g, self.low, self.high)]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The tangent."""
        return tangents


@dataclass(frozen=True)
class GradScale(Barrier):
    """x; its gradient is multiplied by `factor`."""

    factor: float

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """`factor` times g."""
        return [mul(g, self.factor)]


@dataclass(frozen=True)
class Undefined(Elementwise):
    """Stands for a gradient that does not exist, and says why; its value is NaN.

    :func:`~workbench.core.gradient.grad` refuses to return one unless told otherwise.
    """

    reason: str
    c_expr = "({r})NAN"
    c_complex = "({r})NAN"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """The dtype given, twice."""
        (dtype,) = dtypes
        assert isinstance(dtype, str)
        return [dtype, dtype]

    def reference(self, x: Array) -> Array:
        """NaN in the shape of x."""
        return np.full_like(x, np.nan)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: it depends on the shape alone."""
        return [None]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False]


def disconnected_grad(x: Any) -> Variable:
    """x, through which no gradient passes: what depends on it only is disconnected.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.scalar("x")
    >>> T.grad(x * disconnected_grad(x), x).eval({x: 3.0})
    array(3.)
    """
    return DisconnectedGrad()(as_variable(x))


def zero_grad(x: Any) -> Variable:
    """x with a derivative of zero; unlike :func:`disconnected_grad`, zeros are no error."""
    return ZeroGrad()(as_variable(x))


def consider_constant(x: Any) -> Variable:
    """x with a derivative of zero, as if it were a constant."""
    return zero_grad(x)


def undefined_grad(x: Any) -> Variable:
    """x; a gradient that would pass through it is an error, or NaN where that is allowed."""
    return UndefinedGrad()(as_variable(x))


def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Variable:
    """x; each element of its gradient is kept in [lower_bound, upper_bound].

    Raises
    ------
    ValueError
        The lower bound is above the upper, or one is NaN.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.scalar("x")
    >>> T.grad(5 * grad_clip(x, -1, 1), x).eval({x: 3.0})
    array(1.)
    """
    low, high = float(lower_bound), float(upper_bound)
    if not low <= high:
        raise ValueError(
            f"grad_clip needs lower_bound <= upper_bound: {low} and {high}."
        )
    return GradClip(low, high)(_real(x, "grad_clip"))


def grad_scale(x: Any, multiplier: float) -> Variable:
    """x; its gradient is multiplied by a number: -1 turns it round, 0 makes it zero."""
    return GradScale(float(multiplier))(as_variable(x))


def grad_undefined(op: Op, x_pos: int, x: Variable, comment: str = "") -> Variable:
    """For the `vjp` of an op: the gradient of its input number `x_pos` is undefined there."""
    return _undefined(f"{op} has no gradient for input {x_pos}", x, comment)


def grad_not_implemented(
    op: Op, x_pos: int, x: Variable, comment: str = ""
) -> Variable:
    """For the `vjp` of an op: nobody has written the gradient of input number `x_pos` yet."""
    return _undefined(
        f"the gradient of {op} for input {x_pos} is not implemented", x, comment
    )


def _undefined(reason: str, x: Variable, comment: str) -> Variable:
    return Undefined(f"{reason}: {comment}" if comment else reason)(x)


def _real(x: Any, name: str) -> Variable:
    x = as_variable(x)
    if np.dtype(x.dtype).kind == "c":
        raise DTypeError(f"{name} is for real numbers, {x.label()} is {x.dtype}.")
    return x
