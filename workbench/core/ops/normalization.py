"""Batch and layer normalisation: elements less their mean, over their standard deviation.

``Normalized`` is one name for the centred and scaled elements, their mean and their variance.
Its gradient is written down rather than derived: the two means in it are all that is needed, and no
small difference of large numbers appears.

Read next: :mod:`workbench.core.ops.moments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ParameterError, Report, ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Composite, Sizes
from workbench.core.ops.elementwise import (
    add,
    maximum,
    mul,
    reciprocal,
    sqr,
    sub,
    true_div,
)
from workbench.core.ops.mathematics import sqrt
from workbench.core.ops.moments import count
from workbench.core.ops.reduction import Sum, normal_axes, reduced
from workbench.core.ops.shape import (
    BroadcastTo,
    addbroadcast,
    dimshuffle,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import as_float, cast, kind
from workbench.core.source import location_here
from workbench.core.types import Array, TensorType

Axes = str | int | Sequence[int]


@dataclass(frozen=True)
class Normalized(Composite):
    """(x - mean) / sqrt(variance + `epsilon`), the mean and the variance over `axes`, which stay as size 1.

    The second input is the number of elements along the axes, of the dtype of the first or, for
    halves, float32: sizes are best simplified before this is expanded.
    """

    axes: tuple[int, ...]
    epsilon: float

    def apply(self, x: Variable) -> Apply:
        """The node for `x`."""
        wide = "float32" if x.dtype == "float16" else x.dtype
        return self.make_node(x, count(x, self.axes, wide))

    def connection(self, node: Apply) -> Sequence[bool]:
        """Through the elements."""
        return [True, False]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of the elements; with one element along the axes, twice."""
        x, _ = inputs
        sizes = [1 if a in self.axes else s for a, s in enumerate(x.type.shape)]
        return [x.type, x.type.with_shape(sizes), x.type.with_shape(sizes)]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The same."""
        sizes = tuple(1 if a in self.axes else s for a, s in enumerate(shapes[0]))
        return [tuple(shapes[0]), sizes, sizes]

    def reference(self, x: Array, number: Array) -> tuple[Array, Array, Array]:
        """The same in NumPy, halves by way of single precision."""
        wide = x.astype("float32") if x.dtype == "float16" else x
        with np.errstate(all="ignore"):
            middle = wide.sum(axis=self.axes, keepdims=True) / number
            centred = wide - middle
            spread = np.square(centred).sum(axis=self.axes, keepdims=True) / number
            r = 1 / np.sqrt(spread + wide.dtype.type(self.epsilon))
            made = (centred * r, middle, spread)
        return tuple(v.astype(x.dtype) for v in made)

    def expand(self, *inputs: Variable) -> list[Variable]:
        """Mean, distances from it, the mean of their squares."""
        x, number = inputs
        wide = cast(x, "float32") if x.dtype == "float16" else x
        middle = true_div(self.total(wide), number)
        centred = sub(wide, middle)
        spread = true_div(self.total(sqr(centred)), number)
        made = (mul(centred, self.inverse(spread)), middle, spread)
        return [cast(v, x.dtype) for v in made]

    def total(self, x: Variable) -> Variable:
        """The sum over the axes."""
        return reduced(Sum(self.axes), x, keepdims=True)

    def inverse(self, variance: Variable) -> Variable:
        """What distances from the mean are multiplied by."""
        return reciprocal(sqrt(add(variance, self.epsilon)))

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """r (g - mean(g) - y mean(g y)) for g of the elements, where r is the inverse deviation."""
        g, of_mean, of_variance = grads
        x, wide = node.inputs
        y, middle, variance = node.outputs
        number = cast(wide, x.dtype)
        parts = []
        if g is not None:
            along = mul(y, true_div(self.total(mul(g, y)), number))
            # So bracketed nothing can be taken from g before both means are there: one loop does it all.
            rest = sub(g, add(along, true_div(self.total(g), number)))
            parts.append(mul(self.inverse(variance), rest))
        if of_mean is not None:
            sizes = map(size_variable, sizes_of(x))
            parts.append(BroadcastTo(x.ndim)(true_div(of_mean, number), *sizes))
        if of_variance is not None:
            parts.append(mul(sub(x, middle), true_div(mul(of_variance, 2), number)))
        return [reduce(add, parts) if parts else None, None]


def batch_normalization(
    inputs: Any, gamma: Any, beta: Any, mean: Any, std: Any, mode: str = "low_mem"
) -> Variable:
    """``(inputs - mean) (gamma / std) + beta``, where the mean and the deviation are given.

    Parameters
    ----------
    inputs, gamma, beta, mean, std
        Arrays that broadcast.
    mode
        Has no effect: how it is computed is decided when a function is compiled.
    """
    scale = true_div(as_variable(gamma), as_variable(std))
    return add(mul(sub(as_variable(inputs), as_variable(mean)), scale), beta)


def batch_normalization_train(
    inputs: Any,
    gamma: Any,
    beta: Any,
    axes: Axes = "per-activation",
    epsilon: float = 1e-4,
    running_average_factor: Any = 0.1,
    running_mean: Any = None,
    running_var: Any = None,
) -> tuple[Variable, ...]:
    """Normalise with the mean and variance of this minibatch, and keep running averages of them.

    Parameters
    ----------
    inputs : [batch, ...]
        Of a float dtype.
    gamma, beta
        Scale and shift: with the axes of `inputs`, those of `axes` of size 1, or only with the other axes.
    axes : {"per-activation", "spatial"} or axes
        Over what to take means: the first axis, or all but the second, or those that are named.
    epsilon
        Added to the variance.
    running_average_factor
        How much of the new mean and variance goes into the averages.
    running_mean, running_var
        The averages so far, shaped as `gamma`; both or none.

    Returns
    -------
    out
        ``(inputs - mean) gamma invstd + beta``, of the type of `inputs`.
    mean, invstd
        The mean and ``1 / sqrt(variance + epsilon)``, shaped as `gamma`.
    new_running_mean, new_running_var
        The averages to be, of the variance with the n - 1 of an unbiased estimate; only where averages
        are given. Hand them on by ``updates=[(running_mean, new_running_mean), …]``.

    Raises
    ------
    ShapeError
        An axis is named twice or does not exist, or a parameter has another number of axes; `AxisError` is one.
    ParameterError
        `epsilon` is not positive, or one of the averages is missing.

    Examples
    --------
    >>> out, mean, invstd = batch_normalization_train([[0.0], [2.0]], [1.0], [0.0], epsilon=1e-9)
    >>> out.eval().round(6)
    array([[-1.],
           [ 1.]])

    References
    ----------
    Ioffe and Szegedy (2015), Batch Normalization, algorithm 1.
    """
    name = "batch_normalization_train"
    x = _floats(name, inputs)
    averages = {"running_mean": running_mean, "running_var": running_var}
    missing = [key for key, value in averages.items() if value is None]
    if len(missing) == 1:
        raise ParameterError(
            _report(f"{name}({x.label()}): {missing[0]} is missing.").add(
                "hint", "give both running averages, or none."
            )
        )
    layout = _Layout(name, x, axes, {"gamma": gamma, "beta": beta})
    scale, shift = (
        layout.stretched(key, v) for key, v in (("gamma", gamma), ("beta", beta))
    )
    op = Normalized(layout.axes, _positive(name, epsilon))
    y, middle, variance = op.apply(_wide(x)).outputs
    out = add(mul(y, scale), shift)
    results = [cast(v, x.dtype) for v in (middle, op.inverse(variance))]
    if not missing:
        factor = as_variable(running_average_factor)
        if factor.ndim:
            raise ShapeError(
                _report(
                    f"{name}({x.label()}): running_average_factor is one number, got {factor.type}."
                )
            )
        number = count(x, layout.axes, variance.dtype)
        unbiased = true_div(number, maximum(sub(number, 1), 1))
        for (key, old), new in zip(
            averages.items(), (middle, mul(variance, unbiased)), strict=True
        ):
            before = layout.stretched(key, old)
            moved = add(mul(before, sub(1, factor)), mul(new, factor))
            results.append(cast(moved, before.dtype))
    return (cast(out, x.dtype), *map(layout.reduced, results))


def batch_normalization_test(
    inputs: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    var: Any,
    axes: Axes = "per-activation",
    epsilon: float = 1e-4,
) -> Variable:
    """Normalise with a mean and a variance that are given: the running averages of training.

    Parameters
    ----------
    inputs : [batch, ...]
    gamma, beta, mean, var
        Shaped as `gamma` of :func:`batch_normalization_train`.
    axes, epsilon
        As there.

    Returns
    -------
    [batch, ...]
        ``(inputs - mean) gamma / sqrt(var + epsilon) + beta``.

    Raises
    ------
    ShapeError, ParameterError
        As there.
    """
    name = "batch_normalization_test"
    x = _floats(name, inputs)
    given = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
    layout = _Layout(name, x, axes, given)
    scale, shift, middle, variance = (layout.stretched(k, v) for k, v in given.items())
    r = reciprocal(sqrt(add(variance, _positive(name, epsilon))))
    return cast(add(mul(sub(x, middle), mul(scale, r)), shift), x.dtype)


def layer_normalization(
    inputs: Any,
    gamma: Any = None,
    beta: Any = None,
    axes: int | Sequence[int] = -1,
    epsilon: float = 1e-5,
) -> Variable:
    """Normalise every example by itself: over `axes`, the last by default.

    Parameters
    ----------
    inputs
        Of a float dtype.
    gamma, beta
        Scale and shift, that broadcast with `inputs`; by default none.

    Returns
    -------
    As `inputs`
        ``(inputs - mean) / sqrt(variance + epsilon) gamma + beta``.

    Raises
    ------
    ShapeError
        An axis is named twice or does not exist.
    ParameterError
        `epsilon` is not positive.

    References
    ----------
    Ba, Kiros and Hinton (2016), Layer Normalization.
    """
    name = "layer_normalization"
    x = _floats(name, inputs)
    places = _places(name, x, axes)
    y = Normalized(places, _positive(name, epsilon)).apply(_wide(x)).outputs[0]
    y = cast(y, x.dtype)
    if gamma is not None:
        y = mul(y, gamma)
    return y if beta is None else add(y, beta)


class _Layout:
    """Which axes are normalised, and how parameters stand to the others."""

    def __init__(
        self, name: str, x: Variable, axes: Axes, given: dict[str, Any]
    ) -> None:
        self.name, self.x = name, x
        if isinstance(axes, str):
            if axes not in ("per-activation", "spatial"):
                raise ParameterError(
                    _report(f"{name}({x.label()}): there are no axes {axes!r}.").add(
                        "hint", "choose 'per-activation', 'spatial', or numbers."
                    )
                )
            if x.ndim == 0:
                raise ShapeError(_report(f"{name}: {x.label()} is a scalar."))
            rest = range(2, x.ndim) if axes == "spatial" else ()
            self.axes: tuple[int, ...] = (0, *rest)
        else:
            self.axes = _places(name, x, axes)
        self.kept = [a for a in range(x.ndim) if a not in self.axes]
        first = next(iter(given))
        self.whole = as_variable(given[first]).ndim == x.ndim
        for key, value in given.items():
            self._check(key, as_variable(value))

    def _check(self, key: str, parameter: Variable) -> None:
        wanted = self.x.ndim if self.whole else len(self.kept)
        if parameter.ndim != wanted:
            raise ShapeError(
                _report(
                    f"{self.name}({self.x.label()}): {key} has {parameter.ndim} axes; {self.x.type} "
                    f"is normalised over axes {self.axes}."
                ).add(
                    "hint",
                    f"parameters have the {len(self.kept)} other axes, or all {self.x.ndim}, "
                    "the normalised ones of size 1.",
                )
            )

    def stretched(self, key: str, given: Any) -> Variable:
        """A parameter with the axes of the inputs."""
        parameter = as_variable(given)
        self._check(key, parameter)
        if self.whole:
            return addbroadcast(parameter, *self.axes)
        places = iter(range(len(self.kept)))
        order = ["x" if a in self.axes else next(places) for a in range(self.x.ndim)]
        return dimshuffle(parameter, *order)

    def reduced(self, result: Variable) -> Variable:
        """A result with the axes that parameters have."""
        return result if self.whole else dimshuffle(result, *self.kept)


def _places(name: str, x: Variable, axes: int | Sequence[int]) -> tuple[int, ...]:
    """Axes counted from 0, in order."""
    try:
        return normal_axes(axes if isinstance(axes, int) else list(axes), x.ndim)
    except ShapeError as error:
        raise type(error)(_report(f"{name}({x.label()}): {error}")) from None


def _floats(name: str, inputs: Any) -> Variable:
    x = as_float(inputs)
    if kind(x.dtype) == "c":
        raise DTypeError(_report(f"{name} is not defined for {x.dtype}."))
    return x


def _wide(x: Variable) -> Variable:
    """`x`, halves in single precision: their sums and numbers may exceed 65504."""
    return cast(x, "float32") if x.dtype == "float16" else x


def _positive(name: str, epsilon: Any) -> float:
    if isinstance(epsilon, Variable) or not float(epsilon) > 0:
        shown = epsilon.label() if isinstance(epsilon, Variable) else epsilon
        raise ParameterError(
            _report(f"{name}: epsilon must be a positive number, got {shown}.")
        )
    return float(epsilon)


def _report(text: str) -> Report:
    return Report(text, location_here())


__all__ = [
    "batch_normalization",
    "batch_normalization_test",
    "batch_normalization_train",
    "layer_normalization",
]
