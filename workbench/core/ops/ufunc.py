"""How an elementwise op meets its operands: dtypes, ranks, conversion.

Which dtype an operation computes in is NumPy's own answer: every op names a NumPy ufunc and
asks it, Python numbers being weak (NEP 50). One thing is ours: where integers become floats
without anybody naming one (``/``, ``exp`` of int64, an int times ``0.5``) NumPy takes
float64 and we take ``config.floatX``, which is float64 unless you changed it.

Read next: :mod:`workbench.core.ops.elementwise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Elementwise, Indexer, Op, Size, Sizes, View
from workbench.core.types import Array, TensorType

INTEGER = "iu"


@cache
def kind(dtype: str) -> str:
    """NumPy's kind letter: b, i, u, f or c."""
    return np.dtype(dtype).kind


class UfuncOp(Elementwise):
    """An elementwise op whose dtypes and meaning are those of a NumPy ufunc."""

    ufunc: ClassVar[np.ufunc]

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """As the ufunc resolves them, with floatX where NumPy would default to float64."""
        return resolve(self, self.ufunc, dtypes)

    def reference(self, *inputs: Array) -> Any:
        """The ufunc."""
        with np.errstate(all="ignore"):
            return self.ufunc(*inputs)


def resolve(op: Op, ufunc: np.ufunc, dtypes: Sequence[str | type]) -> list[str]:
    """Input and output dtypes of `ufunc` for operands of the given dtypes.

    Raises
    ------
    DTypeError
        The ufunc is not defined for them.
    """
    found = _resolve(ufunc, tuple(dtypes), config.floatX)
    if found is None:
        names = " and ".join(
            d if isinstance(d, str) else f"Python {d.__name__}" for d in dtypes
        )
        raise DTypeError(f"{op} is not defined for {names}.")
    return list(found)


@cache
def _resolve(
    ufunc: np.ufunc, dtypes: tuple[str | type, ...], floatX: str
) -> tuple[str, ...] | None:
    """The answer of :func:`resolve`, or None; kept, since NumPy takes 20 µs to name dtypes."""
    given = tuple(np.dtype(d) if isinstance(d, str) or d is bool else d for d in dtypes)
    try:
        found = [d.name for d in ufunc.resolve_dtypes((*given, None))]
    except TypeError:
        return None
    asked_for_float = any(isinstance(d, str) and kind(d) in "fc" for d in dtypes)
    return tuple(floatX if d == "float64" and not asked_for_float else d for d in found)


def apply(op: Elementwise, *operands: Any) -> Variable:
    """Apply an elementwise op: make constants, cast to the loop's dtypes, equalise ranks."""
    if all([isinstance(v, Variable) for v in operands]):
        types = op.loop_types(*[v.dtype for v in operands])
        return _apply(op, [cast(v, t) for v, t in zip(operands, types, strict=False)])
    weak = [weak_type(v) for v in operands]
    if all(w is not None for w in weak):
        # Numbers alone: the first of the strongest kind decides for the others.
        strongest = max(
            range(len(weak)), key=lambda i: (bool, int, float, complex).index(weak[i])
        )
        weak[strongest] = None
    given = [
        v if w is not None else as_variable(v)
        for v, w in zip(operands, weak, strict=True)
    ]
    dtypes = [w if w is not None else v.dtype for v, w in zip(given, weak, strict=True)]
    types = op.loop_types(*dtypes)
    variables = [
        cast(v, t) if w is None else _number(v, t)
        for v, w, t in zip(given, weak, types, strict=False)
    ]
    return _apply(op, variables)


def _apply(op: Elementwise, variables: Sequence[Variable]) -> Variable:
    rank = max([v.ndim for v in variables])
    return op(*[pad_left(v, rank) for v in variables])


def _number(value: Any, dtype: str) -> Variable:
    """A Python number that adapts to arrays; a float that is too large becomes infinite."""
    if kind(dtype) in INTEGER:
        return as_variable(value, dtype)
    with np.errstate(over="ignore"):
        return as_variable(value, dtype)


WEAK = (bool, int, float, complex)
_TYPED = Variable | np.generic


def weak_type(value: Any) -> type | None:
    """The Python type of a number that adapts to arrays; None for anything else."""
    if type(value) in WEAK:
        return type(value)
    if isinstance(value, _TYPED):
        return None
    return next((t for t in WEAK if isinstance(value, t)), None)


@dataclass(frozen=True)
class DimShuffle(View):
    """Rearranges axes: entry i of `order` is the input's axis, or ``"x"`` for a new one of size 1.

    Axes left out must have size 1.
    """

    order: tuple[int | str, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The sizes in their new places; new axes are known to be 1."""
        (x,) = inputs
        return [
            x.type.with_shape(
                [1 if i == "x" else x.type.shape[int(i)] for i in self.order]
            )
        ]

    @property
    def kept(self) -> tuple[int, ...]:
        """The input's axes in the order of the output."""
        return tuple(int(i) for i in self.order if i != "x")

    def reference(self, x: Array) -> Array:
        """Transposed, and reshaped for axes of size 1."""
        dropped = [i for i in range(x.ndim) if i not in self.kept]
        moved = x.transpose([*self.kept, *dropped])
        index: list[Any] = [None if i == "x" else slice(None) for i in self.order]
        return moved[(*index, *(0 for _ in dropped))]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The inverse rearrangement."""
        assert g is not None
        rank = node.inputs[0].ndim
        return [
            DimShuffle(
                tuple(
                    self.order.index(i) if i in self.order else "x" for i in range(rank)
                )
            )(g)
        ]

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """The places in their old order; 0 along axes left out."""
        return [
            index[self.order.index(i)] if i in self.order else b.size(0)
            for i in range(node.inputs[0].ndim)
        ]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Axes left out have size 1."""
        return [(i, size, 1) for i, size in enumerate(shapes[0]) if i not in self.order]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes in their new places."""
        sizes: list[Size] = [1 if i == "x" else shapes[0][int(i)] for i in self.order]
        return [tuple(sizes)]

    def __str__(self) -> str:
        return "dimshuffle{" + ",".join(map(str, self.order)) + "}"


def pad_left(x: Variable, rank: int) -> Variable:
    """`x` with axes of size 1 added on the left until it has `rank` of them."""
    missing = rank - x.ndim
    return DimShuffle(("x",) * missing + tuple(range(x.ndim)))(x) if missing > 0 else x


HALF_CASTS = {
    ("float16", "float32"): "wb_from_half({x})",
    ("float32", "float16"): "wb_half_of_float({x})",
    ("float64", "float16"): "wb_half_of_double({x})",
}
"""C text for casts of half floats; all others go by way of single precision."""


@dataclass(frozen=True)
class Cast(Elementwise):
    """Converts elements to `dtype`.

    A float that is NaN or lies outside an integer type becomes what NumPy makes of it on
    this machine; the C back end uses the same conversions.
    """

    dtype: str

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """The dtype given, then `dtype`."""
        (dtype,) = dtypes
        assert isinstance(dtype, str)
        return [dtype, self.dtype]

    def reference(self, x: Array) -> Array:
        """``x.astype(dtype)``.

        To uint32 by way of int64: outside the range NumPy's own answer depends on the place
        of the element in the array, as its vectorised loop differs from that for the rest.
        """
        with np.errstate(all="ignore"):
            if self.dtype == "uint32" and x.dtype.kind == "f":
                x = x.astype("int64")
            return x.astype(self.dtype)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A C cast; to bool a test against zero; to and from half floats a function."""
        if "float16" in (self.dtype, dtypes[0]):
            return HALF_CASTS.get((dtypes[0], self.dtype), "")
        if self.dtype == "bool":
            return "({x} != 0)"
        if kind(dtypes[0]) == "f" and kind(self.dtype) in INTEGER:
            return "wb_to_" + self.dtype + "({x})"
        return "({r}){x}"

    def complex_text(self, dtypes: Sequence[str]) -> str:
        """A C cast to the other complex dtype."""
        return "({r}){x}" if kind(self.dtype) == "c" else ""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The gradient cast back, of a real number its real part; none through an integer."""
        (x,) = node.inputs
        if g is None or not (x.type.is_float and node.output.type.is_float):
            return [None]
        return [cast(g if kind(x.dtype) == "c" else real(g), x.dtype)]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only from float to float."""
        return [node.inputs[0].type.is_float and node.output.type.is_float]

    def __str__(self) -> str:
        return f"cast{{{self.dtype}}}"


def cast(x: Any, dtype: str) -> Variable:
    """`x` as `dtype`; itself when it already is."""
    x = as_variable(x)
    if x.dtype == dtype:
        return x
    dtype = config.floatX if dtype == "floatX" else np.dtype(dtype).name
    if x.dtype == dtype:
        return x
    if kind(x.dtype) == "c" and kind(dtype) != "c":
        raise DTypeError(
            f"{x.label()} is {x.dtype}: casting it to {dtype} would lose the imaginary part; use T.real."
        )
    if isinstance(x, Constant) and x.ndim == 0 and x.name is None:
        with np.errstate(all="ignore"):
            return Constant(x.data.astype(dtype))
    return Cast(dtype)(x)


class Real(Elementwise):
    """The real part of a complex number; its adjoint is the cast to complex."""

    holomorphic: ClassVar[bool] = False
    c_complex = "__real__({x})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """A complex dtype, and that of its parts."""
        return part_types(self, dtypes)

    def reference(self, z: Array) -> Array:
        """``z.real``."""
        return z.real.copy()

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g, with an imaginary part of zero."""
        return [None if g is None else cast(g, node.inputs[0].dtype)]


def part_types(op: Op, dtypes: Sequence[str | type]) -> list[str]:
    """The dtype of complex numbers and that of their parts."""
    parts = {"complex64": "float32", "complex128": "float64"}
    (dtype,) = dtypes
    if not isinstance(dtype, str) or dtype not in parts:
        raise DTypeError(f"{op} is for complex numbers, got {dtype}.")
    return [dtype, parts[dtype]]


def as_float(x: Any) -> Variable:
    """`x` as a variable; integers and bools in floatX."""
    x = as_variable(x)
    return x if x.type.is_float else cast(x, config.floatX)


def real(x: Any) -> Variable:
    """The real part; of real numbers, themselves."""
    x = as_variable(x)
    return Real()(x) if kind(x.dtype) == "c" else x
