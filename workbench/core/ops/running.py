"""Running sums and products along an axis, and the recurrence that differentiates them.

The derivative of a running product must not divide by its factors, one of which may be 0.
It is a linear recurrence instead, ``r[k + 1] = a[k] r[k] + b[k]``, and the derivative of
that is the same recurrence run backwards; so derivatives of every order are exact at any
number of zeros, each in time proportional to the number of elements. The gradient of a
product over axes (:class:`~workbench.core.ops.reduction.Prod`) is made of the same parts.

Read next: :mod:`workbench.core.ops.reduction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import ShapeError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes
from workbench.core.ops.elementwise import add, mul
from workbench.core.ops.shape import flatten, normal_axis
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array, TensorType

# With fewer lanes than this side by side, Python numbers are faster than rows of arrays.
FEW_LANES = 16

# Lanes that a loop in C carries on together: neighbours in memory, and few enough to stay
# in the cache.
BLOCK = 64


@dataclass(frozen=True)
class Running(Opaque):
    """Gathers along `axis` and keeps every step; from the end when `reverse`.

    In C, `c_step` makes the element ``{y}`` of the output and what is carried on, ``{r}``,
    from the elements ``{x}`` and, of a second input, ``{z}``.
    """

    axis: int
    reverse: bool = False
    c_carried: ClassVar[str] = "out_t"

    def c_start(self, dtype: str) -> str:
        """What is carried on before the first element."""
        raise NotImplementedError

    def c_step(self) -> str:
        """One step."""
        raise NotImplementedError

    def c_code(self, node: Apply) -> str:
        """Loops over all axes but one; not for half floats and complex numbers."""
        dtype = node.outputs[0].dtype
        if dtype == "float16" or np.dtype(dtype).kind == "c":
            return ""
        start = f"({self.c_carried}){self.c_start(dtype)}"
        if self.axis == node.outputs[0].ndim - 1:
            return _c_rows(self, len(node.inputs), start)
        return _c_lanes(self, len(node.inputs), node.outputs[0].ndim, start)

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the input."""
        return [tuple(shapes[0])]

    def in_order(self, x: Array) -> Array:
        """`x` with the axis in the order it is gathered in; its own inverse."""
        return np.flip(x, self.axis) if self.reverse else x


@dataclass(frozen=True)
class CumSum(Running):
    """y[k] = x[0] + … + x[k]; bools and narrow integers are summed in int64 (uint64)."""

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of the input, in the dtype of a sum."""
        (x,) = inputs
        return [x.type.with_dtype(np.add.reduce(np.zeros(1, x.dtype)).dtype.name)]

    def reference(self, x: Array) -> Array:
        """``np.cumsum``."""
        with np.errstate(all="ignore"):
            return self.in_order(np.cumsum(self.in_order(x), axis=self.axis))

    def c_start(self, dtype: str) -> str:
        """For floats -0, to which -0 can be added without becoming 0."""
        return "-0.0" if dtype.startswith("float") else "0"

    def c_step(self) -> str:
        """Add, then keep."""
        return "{r} += (out_t){x}; {y} = {r};"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The running sum of g from the other end."""
        assert g is not None
        return [CumSum(self.axis, not self.reverse)(g)]


@dataclass(frozen=True)
class CumProd(Running):
    """y[k] = x[0] … x[k]; when `exclusive` without x[k] itself, so that y[0] is 1."""

    exclusive: bool = False

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape of the input, in the dtype of a product."""
        (x,) = inputs
        return [x.type.with_dtype(np.multiply.reduce(np.zeros(1, x.dtype)).dtype.name)]

    def reference(self, x: Array) -> Array:
        """``np.cumprod``, moved on by one when exclusive."""
        x = self.in_order(x)
        with np.errstate(all="ignore"):
            if not self.exclusive:
                return self.in_order(np.cumprod(x, axis=self.axis))
            before, after = _neighbours(self.axis, x.ndim)
            out = np.ones_like(x, dtype=np.multiply.reduce(np.zeros(1, x.dtype)).dtype)
            np.cumprod(x[before], axis=self.axis, out=out[after])
            return self.in_order(out)

    def c_start(self, dtype: str) -> str:
        """One."""
        return "1"

    def c_step(self) -> str:
        """Multiply before or after keeping."""
        if self.exclusive:
            return "{y} = {r}; {r} *= (out_t){x};"
        return "{r} *= (out_t){x}; {y} = {r};"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The product before x[k], times what the factors after it make of g."""
        (x,) = node.inputs
        assert g is not None
        before = CumProd(self.axis, self.reverse, True)(x)
        backwards = Recurrence(self.axis, not self.reverse)
        if self.exclusive:
            return [mul(before, backwards(x, g))]
        return [mul(before, add(g, backwards(x, mul(g, x))))]


@dataclass(frozen=True)
class Recurrence(Running):
    """r[0] = 0 and r[k + 1] = a[k] r[k] + b[k], for a and b of one float type.

    Narrow floats are gathered in double precision.
    """

    c_carried: ClassVar[str] = "double"

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of both inputs, with every size that one of them knows."""
        a, b = inputs
        pairs = zip(a.type.shape, b.type.shape, strict=True)
        return [a.type.with_shape([s if s is not None else t for s, t in pairs])]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Both inputs have the same shape."""
        a, b = shapes
        return [(axis, *pair) for axis, pair in enumerate(zip(a, b, strict=True))]

    def reference(self, a: Array, b: Array) -> Array:
        """Step by step: in Python numbers for few lanes, else row by row."""
        if a.shape != b.shape:
            raise ShapeError(
                f"a recurrence of factors of shape {a.shape} and terms of shape {b.shape}."
            )
        wide = np.result_type(a, np.float64)
        out = np.zeros(a.shape, wide)
        rows = np.moveaxis(self.in_order(out), self.axis, 0)
        ordered = [self.in_order(v).astype(wide) for v in (a, b)]
        steps = [np.moveaxis(v, self.axis, 0)[:-1] for v in ordered]
        with np.errstate(all="ignore"):
            if a.size < FEW_LANES * len(rows):
                for lane in np.ndindex(rows.shape[1:]):
                    column = (slice(None), *lane)
                    rows[column] = _recur(*(v[column] for v in steps))
            else:
                for k, (factor, term) in enumerate(zip(*steps, strict=True)):
                    rows[k + 1] = factor * rows[k] + term
            return out.astype(a.dtype)

    def c_start(self, dtype: str) -> str:
        """Zero."""
        return "0"

    def c_step(self) -> str:
        """Keep, rounded to the dtype, then go on in double precision."""
        return "{y} = (out_t){r}; {r} = (double){x} * {r} + (double){z};"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The same backwards gives the gradient m of the terms; that of the factors is m r."""
        a, _ = node.inputs
        assert g is not None
        m = Recurrence(self.axis, not self.reverse)(a, g)
        return [mul(m, node.output), m]


def _neighbours(axis: int, rank: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Indices of all elements but the last along an axis, and of all but the first."""
    whole = (slice(None),) * axis
    return (*whole, slice(None, -1)), (*whole, slice(1, None))


def _recur(factors: Array, terms: Array) -> list[Any]:
    """One lane of a recurrence, from its 0 on."""
    pairs = zip(factors.tolist(), terms.tolist(), strict=True)
    return list(accumulate(pairs, lambda r, pair: pair[0] * r + pair[1], initial=0.0))


# --- loops in C --------------------------------------------------------------------------


def _c_rows(op: Running, inputs: int, start: str) -> str:
    """Loops whose innermost runs along the axis, which is the last; one number is carried on."""
    axis = op.axis
    at = f"(out_n{axis} - 1 - k)" if op.reverse else "k"
    names = {"y": f"(out{_at('out', range(axis))})[{at} * out_s{axis}]", "r": "r"}
    for k in range(inputs):
        names["xz"[k]] = f"(in{k}{_at(f'in{k}', range(axis))})[{at} * in{k}_s{axis}]"
    return "\n".join(
        [
            *(_c_loop(a) for a in range(axis)),
            "{",
            f"  {op.c_carried} r = {start};",
            f"  for (int64_t k = 0; k < out_n{axis}; ++k) {{ {op.c_step().format(**names)} }}",
            "}",
        ]
    )


def _c_lanes(op: Running, inputs: int, rank: int, start: str) -> str:
    """Loops whose innermost runs over lanes side by side along the last axis, a block at a time."""
    axis, last = op.axis, rank - 1
    outer = [a for a in range(last) if a != axis]
    arrays = ["out", *(f"in{k}" for k in range(inputs))]
    rows = [
        f"    {'' if v == 'out' else 'const '}{v}_t *{v}_row = "
        f"{v}{_at(v, outer)} + at * {v}_s{axis} + b * {v}_s{last};"
        for v in arrays
    ]
    names = dict(
        zip("yxz", (f"{v}_row[l * {v}_s{last}]" for v in arrays), strict=False)
    )
    return "\n".join(
        [
            *map(_c_loop, outer),
            f"for (int64_t b = 0; b < out_n{last}; b += {BLOCK}) {{",
            f"  int64_t lanes = out_n{last} - b < {BLOCK} ? out_n{last} - b : {BLOCK};",
            f"  {op.c_carried} r[{BLOCK}];",
            f"  for (int64_t l = 0; l < lanes; ++l) r[l] = {start};",
            f"  for (int64_t k = 0; k < out_n{axis}; ++k) {{",
            f"    int64_t at = {f'out_n{axis} - 1 - k' if op.reverse else 'k'};",
            *rows,
            "    for (int64_t l = 0; l < lanes; ++l) { "
            f"{op.c_step().format(**names, r='r[l]')} }}",
            "  }",
            "}",
        ]
    )


def _c_loop(axis: int) -> str:
    return f"for (int64_t i{axis} = 0; i{axis} < out_n{axis}; ++i{axis})"


def _at(array: str, axes: Iterable[int]) -> str:
    """The offset of the element that loops over `axes` stand at."""
    return "".join(f" + i{a} * {array}_s{a}" for a in axes)


# --- what users call ---------------------------------------------------------------------


def along(x: Any, axis: int | None) -> tuple[Variable, int]:
    """`x` and one of its axes counted from the front; flattened, and 0, without an axis.

    A scalar counts as a vector of one element, as in NumPy.
    """
    x = as_variable(x)
    if axis is None or x.ndim == 0:
        x = flatten(x)
    return x, 0 if axis is None else normal_axis(axis, x.ndim)


def _running(op: type[Running], x: Any, axis: int | None, dtype: Any) -> Variable:
    x, place = along(x, axis)
    return op(place)(x) if dtype is None else cast(op(place)(cast(x, dtype)), dtype)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """The sums of the first elements along `axis`: x₀, x₀ + x₁, …; flattened without axis.

    Bools and narrow integers are summed in int64 (uint64), or everything in `dtype`.

    Examples
    --------
    >>> cumsum([[1, 2], [3, 4]], axis=0).eval()
    array([[1, 2],
           [4, 6]])
    """
    return _running(CumSum, x, axis, dtype)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """The products of the first elements along `axis`: x₀, x₀ x₁, …; flattened without axis.

    Dtypes are those of :func:`cumsum`. Gradients of every order are exact also where
    elements are 0.

    Examples
    --------
    >>> cumprod([1.0, 2.0, 0.0, 4.0]).eval()
    array([1., 2., 0., 0.])
    """
    return _running(CumProd, x, axis, dtype)


__all__ = ["cumprod", "cumsum"]
