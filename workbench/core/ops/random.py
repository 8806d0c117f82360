"""Random numbers as pure operations: an array of places, bits for each, numbers from bits.

There is no generator that steps from draw to draw. Element i of a draw is a function of a
key, a counter and i (:mod:`workbench.core.philox`), so it is an elementwise expression like
any other: it fuses with what reads it, and whichever loop computes it gets the same bits.
Each conversion from bits to a number is one op, so that no rewrite reorders its arithmetic.

No gradient passes through bits; what scales or shifts a draw is ordinary arithmetic, through
which it does.

Read next: :mod:`workbench.core.ops.distributions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core import philox, samplers
from workbench.core.errors import GradientError, ShapeError
from workbench.core.graph import Apply, Variable
from workbench.core.op import (
    Elementwise,
    Generator,
    Indexer,
    Opaque,
    Sizes,
    known_int,
    known_size,
)
from workbench.core.ops import elementwise as ew
from workbench.core.ops.gamma import GammaincByA, gammaln, psi
from workbench.core.ops.mathematics import exp, log
from workbench.core.types import Array, TensorType


class Places(Generator):
    """The number of each element in row-major order, uint64; the inputs are int64 sizes."""

    row_major = True

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """One axis for each input."""
        known = [known_int(size) for size in inputs]
        for axis, size in enumerate(known):
            if size is not None and size < 0:
                raise ShapeError(f"random: size {size} on axis {axis} is negative.")
        return [TensorType("uint64", tuple(known))]

    def reference(self, *sizes: Array) -> Array:
        """``np.arange`` in shape."""
        shape = tuple(int(size) for size in sizes)
        if min(shape, default=0) < 0:
            raise ShapeError(f"random: the shape {shape} has a negative size.")
        return np.arange(int(np.prod(shape)), dtype="uint64").reshape(shape)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None for _ in node.inputs]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes given."""
        return [tuple(map(known_size, node.inputs))]

    def element(self, node: Apply, index: Sequence[Any], b: Indexer) -> Any:
        """The offset of the element."""
        place = b.size(0)
        for size, i in zip(node.inputs, index, strict=True):
            place = place * b.size(known_size(size)) + i
        return place


class _FromBits(Elementwise):
    """A function of uint64 words; no gradient."""

    result: ClassVar[str] = "uint64"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Words to the dtype of the result."""
        return ["uint64"] * self.arity + [self.result]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: bits."""
        return [None for _ in node.inputs]


@dataclass(frozen=True)
class RandomBits(_FromBits):
    """64 of the 128 bits of the Philox4x32-10 block (key, counter, place); `half` is 0 or 1.

    References
    ----------
    Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """

    half: int = 0
    arity = 3
    cost = 30

    def reference(self, key: Array, counter: Array, place: Array) -> Array:
        """:func:`workbench.core.philox.philox`."""
        return philox.philox(key, counter, place)[self.half]

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The same in C."""
        return f"wb_philox({{x}}, {{y}}, {{z}}, {self.half})"


class BelowFromBits(_FromBits):
    """floor(x z / 2^128) for the 128 bits x: an integer below z; 0 where z is 0.

    The probabilities of two results differ by less than 2^-64 of themselves.
    """

    arity = 3
    cost = 6
    c_expr = "wb_below({x}, {y}, {z})"

    def reference(self, first: Array, second: Array, size: Array) -> Array:
        """:func:`workbench.core.philox.below`."""
        return philox.below(first, second, size)


@dataclass(frozen=True)
class _FloatFromBits(_FromBits):
    """A float of `dtype`, float32 or float64."""

    dtype: str

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """A word to a float."""
        return ["uint64", self.dtype]


@dataclass(frozen=True)
class UniformFromBits(_FloatFromBits):
    """A number in [0, 1): the first `digits` bits as a binary fraction, so it is exact."""

    digits: int

    def reference(self, bits: Array) -> Array:
        """:func:`workbench.core.philox.uniform`."""
        return philox.uniform(bits, self.dtype, self.digits)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A signed integer converted, which processors can, and scaled."""
        whole, f = ("int32_t", "f") if self.dtype == "float32" else ("int64_t", "")
        return f"({{r}})({whole})({{x}} >> {64 - self.digits}) * 0x1p-{self.digits}{f}"


@dataclass(frozen=True)
class NormalFromBits(_FloatFromBits):
    """A standard normal number, by inverting the distribution; at most 9.1 (float32: 6.3) from 0.

    References
    ----------
    Wichura (1988), Algorithm AS 241: The percentage points of the normal distribution.
    """

    cost = 40

    def reference(self, bits: Array) -> Array:
        """:func:`workbench.core.philox.normal`."""
        return philox.normal(bits, self.dtype)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The same in C."""
        return f"wb_normal_{self.dtype}({{x}})"


@dataclass(frozen=True)
class ExponentialFromBits(_FloatFromBits):
    """A standard exponential number, -log(v) for v in (0, 1]; at most 43.7 (float32: 21.5)."""

    cost = 20

    def reference(self, bits: Array) -> Array:
        """:func:`workbench.core.philox.exponential`."""
        return philox.exponential(bits, self.dtype)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The same in C."""
        return f"wb_exponential_{self.dtype}({{x}})"


class NormalPoint(Elementwise):
    """The point below which a standard normal variable lies with probability x in (0, 1).

    Float64. At 0 and 1 it is finite; outside and for NaN it is anything.

    References
    ----------
    Wichura (1988), Algorithm AS 241: The percentage points of the normal distribution.
    """

    cost = 40
    c_expr = "wb_normal_point({x})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Float64."""
        return ["float64", "float64"]

    def reference(self, x: Array) -> Array:
        """The upper point of the smaller side, with its sign."""
        z = philox.upper_point(np.minimum(x, 1 - x))
        return np.where(x < 0.5, -z, z)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g over the density, sqrt(2 π) exp(z^2 / 2) g."""
        z = node.output
        return [ew.mul(g, math.sqrt(2 * math.pi), exp(ew.mul(0.5, ew.mul(z, z))))]


# --- by several attempts -----------------------------------------------------------------


class Sampler(Elementwise):
    """A number for a key, a counter, a place and parameters, by one of the `samplers`.

    It has no C text: its reference runs between kernels, so all back ends agree.
    """

    parameters: ClassVar[tuple[str, ...]]
    result: ClassVar[str] = "int64"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Three words, the parameters, the result."""
        return ["uint64"] * 3 + [*self.parameters, self.result]

    def connection(self, node: Apply) -> Sequence[bool]:
        """From the float parameters of a float result."""
        is_float = node.output.type.is_float
        return [v.type.is_float and is_float for v in node.inputs]

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """None for a count; an error where a float depends on a parameter through rejection."""
        if node.output.type.is_float:
            raise GradientError(
                f"{self} has no gradient with respect to its parameters: which attempt is "
                "accepted depends on them. Hold them fixed with consider_constant=."
            )
        return [None for _ in node.inputs]


@dataclass(frozen=True)
class DrawGamma(Sampler):
    """A gamma variable of a given shape and scale 1, or its logarithm.

    The gradient is that of the number at which the distribution function keeps its value, so
    its mean is the gradient of the mean, whichever attempt was accepted.

    References
    ----------
    Figurnov, Mohamed and Mnih (2018), Implicit reparameterization gradients.
    """

    log: bool = False
    parameters = ("float64",)
    result = "float64"

    def reference(self, key: Array, counter: Array, place: Array, a: Array) -> Array:
        """:func:`workbench.core.samplers.gamma`."""
        return samplers.gamma(key, counter, place, a, self.log)

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """-(dF/da) / F' for the distribution function F; F ~ z^a / (a Γ(a)) for tiny z."""
        (g,), a = grads, node.inputs[3]
        log_z = node.output if self.log else log(node.output)
        z = exp(log_z)
        is_tiny = ew.lt(z, 1e-12)
        inner = ew.switch(is_tiny, 1.0, z)
        # z F', for the derivative of log z.
        density = exp(ew.sub(ew.sub(ew.mul(a, log(inner)), inner), gammaln(a)))
        slope = ew.true_div(GammaincByA()(a, inner), density)
        at_zero = ew.true_div(ew.sub(log_z, psi(ew.add(a, 1.0))), a)
        slope = ew.neg(ew.switch(is_tiny, at_zero, slope))
        if not self.log:
            slope = ew.switch(ew.eq(z, 0), 0.0, ew.mul(z, slope))
        return [None, None, None, ew.mul(g, slope)]


class DrawVonMises(Sampler):
    """An angle around 0 with a given concentration. No gradient."""

    parameters = ("float64",)
    result = "float64"

    def reference(self, *inputs: Array) -> Array:
        """:func:`workbench.core.samplers.von_mises`."""
        return samplers.von_mises(*inputs)


class DrawPoisson(Sampler):
    """A Poisson count of a given mean."""

    parameters = ("float64",)

    def reference(self, *inputs: Array) -> Array:
        """:func:`workbench.core.samplers.poisson`."""
        return samplers.poisson(*inputs)


class DrawBinomial(Sampler):
    """Successes among n trials of probability p."""

    parameters = ("int64", "float64")

    def reference(self, *inputs: Array) -> Array:
        """:func:`workbench.core.samplers.binomial`."""
        return samplers.binomial(*inputs)


class DrawHypergeometric(Sampler):
    """Good ones among those drawn without replacement."""

    parameters = ("int64", "int64", "int64")

    def reference(self, *inputs: Array) -> Array:
        """:func:`workbench.core.samplers.hypergeometric`."""
        return samplers.hypergeometric(*inputs)


class DrawZipf(Sampler):
    """A positive integer with probabilities that fall by a power law."""

    parameters = ("float64",)

    def reference(self, *inputs: Array) -> Array:
        """:func:`workbench.core.samplers.zipf`."""
        return samplers.zipf(*inputs)


# --- along the last axis -----------------------------------------------------------------


class _AlongLast(Opaque):
    """Works along the last axis of its last input; gives integers, so no gradient."""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None: integers."""
        return [None for _ in node.inputs]

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False for _ in node.inputs]


class PickCategory(_AlongLast):
    """The category of each u [...] in [0, 1) by probabilities p [..., k]; int64 [...].

    The other axes of p are those of u, or of declared size 1; p is divided by its sum.
    """

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of u."""
        return [inputs[0].type.with_dtype("int64")]

    def reference(self, u: Array, p: Array) -> Array:
        """:func:`workbench.core.samplers.category`."""
        return samplers.category(u, p)

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of u."""
        return [tuple(shapes[0])]


class DrawMultinomial(_AlongLast):
    """How often each category comes up: key, counter, places [...], n [...], p [..., k].

    Int64 [..., k]. The axes of n and p are those of the places, or of declared size 1.
    """

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of the places, then the number of categories."""
        places, p = inputs[2], inputs[4]
        return [TensorType("int64", (*places.type.shape, p.type.shape[-1]))]

    def reference(self, *inputs: Array) -> Array:
        """:func:`workbench.core.samplers.multinomial`."""
        return samplers.multinomial(*inputs)

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the places, then the number of categories."""
        return [(*shapes[2], shapes[4][-1])]


class RandomOrder(_AlongLast):
    """The places along the last axis in the order of their values: random values, a permutation."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of the values."""
        return [inputs[0].type.with_dtype("int64")]

    def reference(self, values: Array) -> Array:
        """``np.argsort``; equal values in order of place."""
        return np.asarray(np.argsort(values, axis=-1, kind="stable"), "int64")

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the values."""
        return [tuple(shapes[0])]
