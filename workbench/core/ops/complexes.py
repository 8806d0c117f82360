"""Complex numbers and their parts.

The gradient of a real cost C by a complex z is dC/dRe(z) + i dC/dIm(z): a step against it goes
downhill. The ops of this file are not holomorphic, and so take and give gradients in that form
themselves (:attr:`workbench.core.op.Op.holomorphic`).

:func:`real` stands with its adjoint, the cast, in :mod:`workbench.core.ops.ufunc`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Elementwise
from workbench.core.ops.elementwise import Conj, fill, mul
from workbench.core.ops.mathematics import arctan2, cos, sin
from workbench.core.ops.ufunc import apply, kind, part_types, real, resolve
from workbench.core.types import Array


class Imag(Elementwise):
    """The imaginary part of a complex number."""

    holomorphic: ClassVar[bool] = False
    c_complex = "__imag__({x})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """A complex dtype, and that of its parts."""
        return part_types(self, dtypes)

    def reference(self, z: Array) -> Array:
        """``z.imag``."""
        return z.imag.copy()

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """i g."""
        return [None if g is None else complex(0, g)]


class Complex(Elementwise):
    """The complex number of a real and an imaginary part."""

    holomorphic: ClassVar[bool] = False
    arity = 2
    c_expr = "wb_cpair{f}({x}, {y})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Two floats of the dtype that holds both, at least float32."""
        joined = resolve(self, np.arctan2, dtypes)[-1]
        part = "float64" if joined == "float64" else "float32"
        return [part, part, "complex128" if part == "float64" else "complex64"]

    def reference(self, x: Array, y: Array) -> Array:
        """Both parts put in place; x + iy would make NaN of an infinite part."""
        shape = np.broadcast_shapes(x.shape, y.shape)
        z = np.empty(shape, "complex128" if x.dtype == "float64" else "complex64")
        z.real, z.imag = x, y
        return z

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The parts of g."""
        return [None, None] if g is None else [real(g), imag(g)]


def imag(x: Any) -> Variable:
    """The imaginary part; of real numbers, zeros of their dtype."""
    x = as_variable(x)
    if kind(x.dtype) == "c":
        return apply(Imag(), x)
    return fill(x, as_variable(0, x.dtype))


def conj(x: Any) -> Variable:
    """The complex conjugate; of real numbers, themselves."""
    x = as_variable(x)
    return apply(Conj(), x) if kind(x.dtype) in "cb" else x


def angle(x: Any, deg: bool = False) -> Variable:
    """The angle of a complex number to the positive real axis, in (-π, π] radians.

    Its gradient at 0 is NaN: there is no direction there.

    Parameters
    ----------
    deg
        Whether the result is in degrees.

    Examples
    --------
    >>> angle([1j, -1 + 0j], deg=True).eval()
    array([ 90., 180.])
    """
    x = as_variable(x)
    radians = arctan2(imag(x) if kind(x.dtype) == "c" else 0, real(x))
    return mul(radians, 180 / np.pi) if deg else radians


def complex(real: Any, imag: Any) -> Variable:
    """The complex number of two real parts; complex64 where both fit into float32.

    Examples
    --------
    >>> complex(1.0, [2.0, 3.0]).eval()
    array([1.+2.j, 1.+3.j])
    """
    return apply(Complex(), real, imag)


def complex_from_polar(abs: Any, angle: Any) -> Variable:
    """The complex number at distance `abs` from 0 and `angle` radians from the real axis."""
    return complex(mul(abs, cos(angle)), mul(abs, sin(angle)))
