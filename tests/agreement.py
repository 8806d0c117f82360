"""When a computed result agrees with the reference.

How far may a right result be from the reference? A fixed tolerance is too strict where
a difference cancels and too lax elsewhere. So the conditioning is measured: the
reference is run again a few times with every rounding operation off by up to 4 units in
the last place (sums by 8 n eps Σ|a|, their terms in another order), and an element may
differ by three times what those runs differ by. Where they disagree on an integer, a
NaN, an infinity or the sign of a zero, the element is not determined and is left out.
Everything else must be equal: dtype and shape, integers and bools, the places of NaN
and infinities, -0.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from workbench.core.graph import Apply, Constant, Variable, graph_inputs, toposort
from workbench.core.op import Composite, Elementwise, Op
from workbench.core.ops.blockwise import Blockwise
from workbench.core.ops.complexes import Complex
from workbench.core.ops.convolution import Conv, ConvFilters, ConvInputs
from workbench.core.ops.elementwise import (
    Abs,
    Ceil,
    Conj,
    Fill,
    Floor,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Rint,
    Sign,
    Sqr,
    Switch,
    TrueDiv,
    Trunc,
)
from workbench.core.ops.gathering import Put
from workbench.core.ops.linalg import Dot, Gemm, ScaledDot
from workbench.core.ops.mathematics import (
    Cosh,
    Exp,
    Exp2,
    Expm1,
    LogAddExp,
    LogAddExp2,
    Pow,
    Sigmoid,
    Sinc,
    Sinh,
)
from workbench.core.ops.pooling import Pool, PoolPut, PoolSpread
from workbench.core.ops.products import BatchedDot
from workbench.core.ops.reduction import ArgMax, ArgMin, Max, Min, Prod, Sum
from workbench.core.ops.slicing import PutSlice
from workbench.core.ops.ufunc import Cast

Array = np.ndarray
ULPS = 4


class Disturbed(Protocol):
    """A graph that has been run with roundings off."""

    @property
    def disturbed(self) -> list[list[Array]]:
        """The outputs of each such run."""


@dataclass
class Mismatch:
    """One output that is wrong, and how."""

    output: int
    what: str
    details: str = ""

    def __str__(self) -> str:
        return f"output {self.output}: {self.what}{self.details}"


def compare(
    expected: Sequence[Array], got: Sequence[Any], graph: Disturbed
) -> list[Mismatch]:
    """What is wrong with `got`; nothing when every element is as exact as it must."""
    found = []
    for number, (want, have) in enumerate(zip(expected, got, strict=True)):
        others = [run[number] for run in graph.disturbed]
        if complaint := _difference(want, np.asarray(have), others):
            found.append(Mismatch(number, *complaint))
    return found


def _difference(
    want: Array, have: Array, others: Sequence[Array]
) -> tuple[str, str] | None:
    if have.dtype != want.dtype:
        return f"dtype {have.dtype}, not {want.dtype}", ""
    if any(other.shape != want.shape for other in others):
        return None  # a size depends on a rounding
    if have.shape != want.shape:
        return f"shape {have.shape}, not {want.shape}", ""
    if not want.size:
        return None
    if want.dtype.kind == "c":
        return _difference(_parts(want), _parts(have), [_parts(o) for o in others])
    runs = np.stack([want, *others])
    with np.errstate(all="ignore"):
        if want.dtype.kind == "f":
            determined = _alike(runs)
            spread = np.max(
                np.abs(runs - want), axis=0, initial=0, where=np.isfinite(runs - want)
            )
            size = np.abs(np.where(np.isfinite(want), want, 0))
            # Near a pole, as of the tangent, a few runs say little of how far others may go.
            spread = np.where(3 * spread > size, 10 * spread, spread)
            allowed = 3 * spread + ULPS * np.spacing(size)
            exact = ~np.isfinite(want) | (want == 0) & (spread == 0)
            near = np.isinf(allowed) | (np.abs(have - want) <= allowed)
            equal = np.where(exact, _same(have, want), near)
        else:
            determined = np.all(runs == want, axis=0)
            equal = have == want
    wrong = determined & ~equal
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    detail = f" at {place}: {have[place]!r}, should be {want[place]!r}"
    if want.dtype.kind == "f":
        detail += f" within {allowed[place]!r}"
    return f"{int(wrong.sum())} of {want.size} elements", detail


def _parts(numbers: Array) -> Array:
    """Complex numbers as pairs of floats, along a new last axis."""
    return _stacked(numbers.real, numbers.imag)


def _stacked(re: Array, im: Array) -> Array:
    return np.stack([re, im], axis=-1)


def _same(a: Array, b: Array) -> Array:
    return (np.isnan(a) & np.isnan(b)) | ((a == b) & (np.signbit(a) == np.signbit(b)))


def _alike(runs: Array) -> Array:
    """Where all runs agree on NaN, infinities and the sign of zero."""
    first = runs[0]
    finite = np.isfinite(first)
    alike = np.where(
        finite, np.all(np.isfinite(runs), axis=0), np.all(_same(runs, first), axis=0)
    )
    zero = np.all(runs == 0, axis=0)
    return alike & (~zero | np.all(np.signbit(runs) == np.signbit(first), axis=0))


# Ops whose results are exact, or moved and chosen from their inputs.
EXACT: tuple[type[Op], ...] = (
    Neg,
    Abs,
    Sign,
    Floor,
    Ceil,
    Trunc,
    Rint,
    Switch,
    Fill,
    ArgMax,
    ArgMin,
)
# Ops that change no digit of a complex number.
MOVING: tuple[type[Op], ...] = (
    Neg,
    Switch,
    Fill,
    Maximum,
    Minimum,
    Rint,
    Conj,
    Complex,
)
# Ops that take one of several zeros, whose sign NumPy itself does not promise.
CHOOSING: tuple[type[Op], ...] = (Maximum, Minimum, Max, Min, Sum)
PRODUCTS = Dot | BatchedDot | ScaledDot | Gemm
# Ops that add terms in an order of their own.
SUMMING: tuple[type[Op], ...] = (
    Sum,
    Dot,
    ScaledDot,
    Gemm,
    Conv,
    ConvInputs,
    ConvFilters,
    PoolPut,
    PoolSpread,
)
# Ops that overflow or vanish where a stable form would not.
EXPONENTIAL: tuple[type[Op], ...] = (Exp, Exp2, Expm1, Sinh, Cosh, Sigmoid, Pow)

# Where ops live whose implementations differ by what a rounding of the operand would make:
# near a zero of the function that is many units of its own last place.
SPECIAL = {"erf", "gamma", "beta", "bessel", "special", "series"}


def disturbed_run(
    outputs: Sequence[Variable],
    given: Mapping[Variable, Array],
    rng: np.random.Generator,
    extreme: bool = False,
) -> list[Array]:
    """The outputs with every rounding off; where `extreme`, all open choices made the other way.

    Then every zero whose sign is open has the other one, and the largest terms of a sum
    come first, so that what can overflow does; of a product those of the largest size.
    """
    known = dict(given)
    with np.errstate(all="ignore"):
        for leaf in graph_inputs(outputs, known):
            if isinstance(leaf, Constant):
                known[leaf] = leaf.data
        for node in toposort(outputs, known):
            inputs = [known[v] for v in node.inputs]
            if isinstance(node.op, Composite):
                free = [Variable(v.type) for v in node.inputs]
                results = disturbed_run(
                    node.op.expansion(node.op.make_node(*free)),
                    dict(zip(free, inputs, strict=True)),
                    rng,
                    extreme,
                )
            else:
                results = _disturb(node, inputs, rng, extreme)
            known.update(zip(node.outputs, results, strict=True))
    return [known[v] for v in outputs]


def _disturb(
    node: Apply, inputs: Sequence[Array], rng: np.random.Generator, extreme: bool
) -> list[Array]:
    """The results of one node, off by as much as a right back end may be."""
    op = node.op
    if isinstance(op, Sum | Prod) and inputs[0].dtype.kind in "fc":
        first = -inputs[0] if isinstance(op, Sum) else -np.abs(inputs[0])
        inputs = [_reordered(inputs[0], op.axes, rng, first if extreme else None)]
    if isinstance(op, Max | Min) and inputs[0].dtype.kind == "c":
        # Of several NaNs NumPy takes one by how the array lies in memory.
        inputs = [_reordered(inputs[0], op.axes, rng, None)]
    module = type(op).__module__.rpartition(".")[2]
    if module in SPECIAL or isinstance(op, LogAddExp | LogAddExp2 | Sinc):
        inputs = [_beside(x, rng) for x in inputs]
    results = op.evaluate(node, inputs)
    if len(results) > 1:
        return results
    (result,) = results
    if result.dtype.kind == "c":
        return [_complex_disturbed(op, inputs, result, rng, extreme)]
    size = isinstance(op, Abs) and inputs[0].dtype.kind == "c"
    if result.dtype.kind != "f" or (isinstance(op, EXACT) and not size):
        return [result]
    eps = float(np.finfo(result.dtype).eps)
    noise = rng.uniform(-1, 1, result.shape)
    # Which zero is chosen is open, and so is whether a sum of zeros starts from 0.
    if isinstance(op, CHOOSING) or isinstance(op, SUMMING):
        flipped = np.where(extreme | (rng.random(result.shape) < 0.5), -result, result)
        result = np.where(result == 0, flipped, result)
    if isinstance(op, Sum):
        (x,) = inputs
        n = x.size // max(result.size, 1)
        wide = np.abs(x.astype("float64"))
        away = noise * 8 * n * eps * np.sum(wide, axis=op.axes)
    elif isinstance(op, PRODUCTS):
        wide = [np.abs(v.astype("float64")) for v in inputs]
        away = noise * 8 * _terms(op, wide) * eps * op.reference(*wide)
        if result.ndim == 2 and np.array_equal(result, result.T):
            away = (away + away.T) / 2  # x x' stays what an equation may ask for
        if extreme:  # Sums of finite terms that overflow one way and then the other.
            finite = [np.where(np.isfinite(v), v, 0) for v in wide]
            far = op.reference(*finite).astype(result.dtype)
            other = np.where(np.isnan(result), np.inf, np.nan)
            result = np.where(np.isinf(far), other, result)
    elif isinstance(op, Blockwise) and isinstance(op.core, Dot):
        wide = [np.abs(v.astype("float64")) for v in inputs]
        away = noise * 8 * wide[0].shape[-1] * eps * op.evaluate(node, wide)[0]
    elif isinstance(op, Conv | ConvInputs | ConvFilters):
        wide = [np.abs(v.astype("float64")) if v.ndim else v for v in inputs]
        n = min(wide[0].size, wide[1].size)
        away = noise * 8 * n * eps * op.reference(*wide)
    elif isinstance(op, PoolPut | PoolSpread) or (
        isinstance(op, Pool) and op.mode != "max"
    ):
        wide = [np.abs(inputs[0].astype("float64")), *inputs[1:]]
        n = int(np.prod(op.geometry(inputs).ws))
        away = noise * 8 * n * eps * op.evaluate(node, wide)[0]
    elif isinstance(op, PutSlice | Put) and op.add:
        away = noise * ULPS * eps * np.abs(result.astype("float64"))
    elif isinstance(op, Prod):
        away = (
            noise
            * ULPS
            * max(inputs[0].size // max(result.size, 1), 1)
            * np.spacing(np.abs(result))
        )
    elif isinstance(op, Cast):
        narrows = inputs[0].dtype.itemsize > result.dtype.itemsize
        away = noise * (np.spacing(np.abs(result)) if narrows else 0)
    elif isinstance(op, Elementwise):
        away = noise * ULPS * np.spacing(np.abs(result))
    else:
        return [result]
    moved = (result + away).astype(result.dtype)
    moved = np.where(np.isfinite(moved) & (result != 0), moved, result)
    if isinstance(op, SUMMING):
        moved = np.where((result == 0) & (away != 0), away, moved)
    if isinstance(op, EXPONENTIAL):
        moved = _at_the_edge(moved, inputs, rng, extreme)
    return [np.asarray(moved, result.dtype)]


def _beside(x: Array, rng: np.random.Generator) -> Array:
    """Floats off by up to two units of the last place; special ones stay."""
    if x.dtype.kind != "f":
        return x
    moved = x + rng.uniform(-2, 2, x.shape) * np.spacing(np.abs(x))
    return np.where(np.isfinite(moved) & (x != 0), moved, x).astype(x.dtype)


def _complex_disturbed(
    op: Op,
    inputs: Sequence[Array],
    result: Array,
    rng: np.random.Generator,
    extreme: bool,
) -> Array:
    """A complex result, off by as much as a right back end may be."""
    if isinstance(op, Mul | Sqr):
        result = _product(inputs[0], inputs[-1], extreme or rng.random() < 0.5)
    if isinstance(op, Elementwise):
        # A part of a quotient that cancels may be left with a rounding of the products.
        zeros = isinstance(op, TrueDiv)
        if isinstance(op, MOVING):
            return result
        return _away(result, _size(result), rng, zeros=zeros)
    if extreme and isinstance(op, Prod | PRODUCTS):
        # 1 times an infinite part is that, or NaN, and whether it is multiplied by 1 is open.
        odd = op.reference(*(np.isfinite(x).astype("float64") for x in inputs))
        full = op.reference(*(np.ones(x.shape) for x in inputs))
        other = np.where(np.isnan(result), np.inf, np.nan)
        is_open = (odd < full) | ~np.isfinite(result)
        result = np.where(is_open, other, result).astype(result.dtype)
    adds = isinstance(op, Sum | Prod | PRODUCTS)
    if adds and (extreme or rng.random() < 0.5):
        parts = (result.real, result.imag)
        result = _joined(*(np.where(part == 0, -part, part) for part in parts))
    if isinstance(op, Sum | PRODUCTS):
        wide = [np.abs(x).astype("float64") for x in inputs]
        n = wide[0].size // max(result.size, 1)
        n = n if isinstance(op, Sum) else _terms(op, wide)
        return _away(result, 2 * n * np.asarray(op.reference(*wide)), rng, zeros=True)
    if isinstance(op, Prod):
        n = max(inputs[0].size // max(result.size, 1), 1)
        return _away(result, n * _size(result), rng)
    return result


def _terms(op: Op, inputs: Sequence[Array]) -> int:
    """How many products an element of a product of matrices adds up."""
    x = inputs[{Gemm: 2, ScaledDot: 1}.get(type(op), 0)]
    return x.shape[-1] + 2


def _product(x: Array, y: Array, fused: bool) -> Array:
    """The product of complex numbers, each part rounded twice, or once.

    NumPy itself does the one or the other, by where the arrays lie, and so do C compilers.
    """
    part = x.real.dtype
    wide = np.longdouble if fused else part
    a, b, c, d = (v.astype(wide) for v in (x.real, x.imag, y.real, y.imag))
    return _joined((a * c - b * d).astype(part), (a * d + b * c).astype(part))


def _size(numbers: Array) -> Array:
    """Absolute values, also of numbers with an infinite or a missing part those of the other."""
    parts = np.abs(_parts(numbers))
    return np.max(parts, axis=-1, initial=0, where=np.isfinite(parts))


def _joined(re: Array, im: Array) -> Array:
    """Complex numbers of their parts, without arithmetic."""
    return np.ascontiguousarray(_stacked(re, im)).view(np.result_type(re, 1j))[..., 0]


def _away(
    numbers: Array, size: Array, rng: np.random.Generator, zeros: bool = False
) -> Array:
    """Complex numbers off by a few units of the last place of `size`; zeros only if said so."""
    part = numbers.real.dtype
    away = ULPS * np.spacing(np.asarray(size).astype(part))
    moved = []
    for x in (numbers.real, numbers.imag):
        off = (x + away * rng.uniform(-1, 1, x.shape)).astype(part)
        stays = ~np.isfinite(off) | (x == 0 if not zeros else away == 0)
        moved.append(np.where(stays, x, off))
    return _joined(*moved)


def _at_the_edge(
    result: Array, inputs: Sequence[Array], rng: np.random.Generator, extreme: bool
) -> Array:
    """Overflow to infinity and underflow to zero, randomly undone; all of it where `extreme`."""
    info = np.finfo(result.dtype)
    finite = np.logical_and.reduce(
        np.broadcast_arrays(*(np.isfinite(x) for x in inputs))
    )
    undo = (extreme | (rng.random(result.shape) < 0.5)) & finite
    result = np.where(undo & np.isinf(result), np.copysign(info.max, result), result)
    return np.where(
        undo & (result == 0), np.copysign(info.smallest_normal, result), result
    )


def _reordered(
    x: Array, axes: Sequence[int], rng: np.random.Generator, by: Array | None
) -> Array:
    """`x` with the terms along `axes` in the order of `by`, or in any."""
    for axis in axes:
        if by is None:
            x = np.take(x, rng.permutation(x.shape[axis]), axis)
        else:
            order = np.argsort(by, axis)
            x, by = (np.take_along_axis(v, order, axis) for v in (x, by))
    return x
