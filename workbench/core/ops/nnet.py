"""Softmax, activations and losses of neural networks.

`Softmax` and `LogSoftmax` are names for longer expressions: they stay one node while the
graph is read and rewritten, so that ``log(softmax(x))`` is found, and are expanded into
their loops when compiling.

Read next: :mod:`workbench.core.operators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Composite, Sizes
from workbench.core.ops import elementwise as ew
from workbench.core.ops import reduction
from workbench.core.ops.creation import arange
from workbench.core.ops.elementwise import mul, neg, reciprocal, sub, switch, true_div
from workbench.core.ops.mathematics import exp, expm1, log, sigmoid, softplus, tanh
from workbench.core.ops.reduction import keep, normal_axes, stretch_back
from workbench.core.ops.shape import normal_axis, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import as_float, kind
from workbench.core.types import Array, TensorType


@dataclass(frozen=True)
class AlongAxis(Composite):
    """An op that works along one axis and keeps the shape."""

    axis: int

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the input."""
        return [inputs[0].type]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the input."""
        return [tuple(shapes[0])]

    def peak(self, x: Array) -> Array:
        """The maximum along the axis, which it keeps; -inf over nothing."""
        return np.expand_dims(reduction.Supremum((self.axis,)).reference(x), self.axis)

    def symbolic_peak(self, x: Variable) -> Variable:
        """The same as a variable."""
        return keep(reduction.Supremum((self.axis,))(x), x.ndim, (self.axis,))


@dataclass(frozen=True)
class Softmax(AlongAxis):
    """exp(x) / sum(exp(x)) along an axis, with the maximum taken out; all NaN for an infinite maximum."""

    def reference(self, x: Array) -> Array:
        """The same in NumPy."""
        with np.errstate(all="ignore"):
            e = np.exp(x - self.peak(x))
            return e / e.sum(axis=self.axis, keepdims=True)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """(g - sum(g y)) y."""
        y = node.output
        return [mul(sub(g, reduction.sum(mul(g, y), axis=self.axis, keepdims=True)), y)]

    def expand(self, *inputs: Variable) -> Variable:
        """Maximum, exponentials, and a product with the reciprocal of their sum.

        The sum lies between 1 and the number of elements; a product costs less than a
        quotient and is at most one unit in the last place away.
        """
        (x,) = inputs
        e = exp(sub(x, self.symbolic_peak(x)))
        total = reduction.sum(e, axis=self.axis, keepdims=True)
        return mul(e, reciprocal(total))


@dataclass(frozen=True)
class LogSoftmax(AlongAxis):
    """x - log(sum(exp(x))) along an axis, with the maximum taken out.

    All NaN for an infinite maximum, as the logarithm of :class:`Softmax` is.
    """

    def reference(self, x: Array) -> Array:
        """The same in NumPy."""
        with np.errstate(all="ignore"):
            shifted = x - self.peak(x)
            return shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True))

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g - softmax(x) sum(g)."""
        (x,) = node.inputs
        total = reduction.sum(g, axis=self.axis, keepdims=True)
        return [sub(g, mul(Softmax(self.axis)(x), total))]

    def expand(self, *inputs: Variable) -> Variable:
        """Maximum, sum of exponentials, and the difference."""
        (x,) = inputs
        shifted = sub(x, self.symbolic_peak(x))
        return sub(
            shifted, log(reduction.sum(exp(shifted), axis=self.axis, keepdims=True))
        )


@dataclass(frozen=True)
class LogSumExp(Composite):
    """log(sum(exp(x))) over `axes`, with the maximum taken out; -inf over nothing."""

    axes: tuple[int, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape without the axes."""
        return [
            reduction.Sum(self.axes)
            .output_types(*inputs)[0]
            .with_dtype(inputs[0].dtype)
        ]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the axes that stay."""
        return [tuple(s for axis, s in enumerate(shapes[0]) if axis not in self.axes)]

    def reference(self, x: Array) -> Array:
        """``np.logaddexp.reduce`` in one pass."""
        with np.errstate(all="ignore"):
            peak = np.max(x, axis=self.axes, keepdims=True, initial=-np.inf)
            peak = np.where(np.isinf(peak), 0, peak).astype(x.dtype)
            return np.log(np.exp(x - peak).sum(axis=self.axes)) + np.squeeze(
                peak, self.axes
            )

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g times the softmax over the axes."""
        (x,) = node.inputs
        assert g is not None
        return [mul(stretch_back(g, x, self.axes), softmax_over(x, self.axes))]

    def expand(self, *inputs: Variable) -> Variable:
        """Maximum, sum of exponentials, and the logarithm; an infinite maximum stays in."""
        (x,) = inputs
        peak = reduction.Supremum(self.axes)(x)
        peak = switch(ew.isinf(peak), 0, peak)
        total = reduction.Sum(self.axes)(exp(sub(x, keep(peak, x.ndim, self.axes))))
        return ew.add(log(total), peak)


def _along(op: type[AlongAxis], x: Any, axis: int) -> Variable:
    x = as_float(x)
    if kind(x.dtype) == "c":
        raise DTypeError(f"{op.name} is not defined for {x.dtype}.")
    if x.ndim == 0:
        raise ShapeError(
            f"{op.name} needs an axis to sum over; {x.label()} is a scalar."
        )
    return op(normal_axis(axis, x.ndim))(x)


def softmax(x: Any, axis: int = -1) -> Variable:
    """exp(x) / sum(exp(x)) along `axis`, the last by default; rows of a matrix sum to 1."""
    return _along(Softmax, x, axis)


def logsoftmax(x: Any, axis: int = -1) -> Variable:
    """The logarithm of the softmax along `axis`, exact also where the softmax rounds to 0."""
    return _along(LogSoftmax, x, axis)


def softmax_over(x: Variable, axes: Sequence[int]) -> Variable:
    """The softmax over several axes together: all weights along them sum to 1."""
    if len(axes) == 1:
        return Softmax(axes[0])(x)
    e = exp(sub(x, keep(reduction.Supremum(tuple(axes))(x), x.ndim, axes)))
    return true_div(e, reduction.sum(e, axis=axes, keepdims=True))


def logsumexp(x: Any, axis: reduction.Axes = None, keepdims: bool = False) -> Variable:
    """log(sum(exp(x))) along `axis`, all axes by default, without overflow."""
    x = as_float(x)
    if kind(x.dtype) == "c":
        raise DTypeError(f"logsumexp is not defined for {x.dtype}.")
    axes = normal_axes(axis, x.ndim)
    result = LogSumExp(axes)(x)
    return keep(result, x.ndim, axes) if keepdims else result


def relu(x: Any, alpha: Any = 0) -> Variable:
    """x where positive, else `alpha` times x; the slope at 0 is `alpha`, and NaN stays NaN."""
    x = as_variable(x)
    if isinstance(alpha, int | float) and alpha == 0:
        return switch(ew.le(x, 0), 0, x)
    return switch(ew.gt(x, 0), x, mul(x, alpha))


def elu(x: Any, alpha: Any = 1) -> Variable:
    """x where positive, else alpha (exp(x) - 1)."""
    x = as_variable(x)
    return switch(ew.gt(x, 0), x, mul(alpha, expm1(ew.minimum(x, 0))))


def softsign(x: Any) -> Variable:
    """x / (1 + |x|)."""
    return true_div(x, ew.add(1, ew.abs(x)))


def hard_sigmoid(x: Any) -> Variable:
    """0.2 x + 0.5 cut to [0, 1], a rough sigmoid."""
    return ew.clip(ew.add(mul(x, 0.2), 0.5), 0, 1)


def binary_crossentropy(output: Any, target: Any) -> Variable:
    """-(target log(output) + (1 - target) log(1 - output)), element by element.

    `output` is a probability in (0, 1). When it is a sigmoid, optimised modes compute it
    from the sigmoid's argument, finite for any; :func:`sigmoid_binary_crossentropy` always does.
    """
    output, target = as_variable(output), as_variable(target)
    return neg(
        ew.add(mul(target, log(output)), mul(sub(1, target), log(sub(1, output))))
    )


def sigmoid_binary_crossentropy(output: Any, target: Any) -> Variable:
    """The binary cross-entropy of sigmoid(`output`), finite for any `output`.

    For an x above 0 it is x (1 - t) + softplus(-x), else softplus(x) - x t: nothing
    cancels, neither in it nor in its derivative.
    """
    x, t = as_float(output), as_variable(target)
    positive = ew.gt(x, 0)
    rest = switch(positive, mul(x, sub(1, t)), neg(mul(x, t)))
    return ew.add(softplus(switch(positive, neg(x), x)), rest)


def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Variable:
    """The cross-entropy of each row.

    Parameters
    ----------
    coding_dist : [n, k]
        Predicted probabilities, rows summing to 1.
    true_dist : [n] of integers, or [n, k]
        The right class of each row, or the true probabilities.

    Returns
    -------
    [n]
        -log(p[i, true[i]]), or -sum(true log p) over each row.
    """
    p, true = as_variable(coding_dist), as_variable(true_dist)
    if true.ndim == p.ndim:
        return neg(reduction.sum(mul(true, log(p)), axis=p.ndim - 1))
    if p.ndim == 2 and true.ndim == 1 and kind(true.dtype) in "iu":
        return neg(index(log(p), (arange(sizes_of(true)[0]), true)))
    raise ShapeError(
        f"categorical_crossentropy takes classes as an integer vector or probabilities as a matrix; "
        f"got {true.label()}: {true.type} for {p.label()}: {p.type}."
    )


__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "elu", "hard_sigmoid", "logsoftmax", "logsumexp", "relu",
    "sigmoid", "sigmoid_binary_crossentropy", "softmax", "softplus", "softsign", "tanh",
]  # fmt: skip
