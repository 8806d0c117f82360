"""Arithmetic, comparison, logic, choice and conversion of elements.

The functions take variables, arrays and Python numbers. Which dtype an operation computes
in is NumPy's own answer: every op names a NumPy ufunc and asks it, Python numbers being
weak (NEP 50). One thing is ours: where integers become floats without anybody naming one
(``/``, ``exp`` of int64, an int times ``0.5``) NumPy takes float64 and we take
``config.floatX``, which is float64 unless you changed it.

Read next: :mod:`workbench.core.ops.mathematics`.
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
        names = " and ".join(d if isinstance(d, str) else f"Python {d.__name__}" for d in dtypes)
        raise DTypeError(f"{op} is not defined for {names}.")
    return list(found)


@cache
def _resolve(ufunc: np.ufunc, dtypes: tuple[str | type, ...], floatX: str) -> tuple[str, ...] | None:
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
    weak = [_weak_type(v) for v in operands]
    if all(w is not None for w in weak):
        # Numbers alone: the first of the strongest kind decides for the others.
        strongest = max(range(len(weak)), key=lambda i: (bool, int, float, complex).index(weak[i]))
        weak[strongest] = None
    given = [v if w is not None else as_variable(v) for v, w in zip(operands, weak, strict=True)]
    dtypes = [w if w is not None else v.dtype for v, w in zip(given, weak, strict=True)]
    types = op.loop_types(*dtypes)
    variables = [
        cast(v, t) if w is None else as_variable(v, t)
        for v, w, t in zip(given, weak, types, strict=False)
    ]
    rank = max(v.ndim for v in variables)
    return op(*(pad_left(v, rank) for v in variables))


def _weak_type(value: Any) -> type | None:
    if isinstance(value, np.generic) or not isinstance(value, bool | int | float | complex):
        return None
    return bool if isinstance(value, bool) else int if isinstance(value, int) else type(value)


# --- rank and dtype ----------------------------------------------------------------------


@dataclass(frozen=True)
class DimShuffle(View):
    """Rearranges axes: entry i of `order` is the input's axis, or ``"x"`` for a new one of size 1.

    Axes left out must have size 1.
    """

    order: tuple[int | str, ...]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The sizes in their new places; new axes are known to be 1."""
        (x,) = inputs
        return [x.type.with_shape([1 if i == "x" else x.type.shape[int(i)] for i in self.order])]

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
        return [DimShuffle(tuple(self.order.index(i) if i in self.order else "x" for i in range(rank)))(g)]

    def source_index(self, node: Apply, index: Sequence[Any], b: Indexer) -> Sequence[Any]:
        """The places in their old order; 0 along axes left out."""
        return [index[self.order.index(i)] if i in self.order else b.size(0) for i in range(node.inputs[0].ndim)]

    def size_checks(self, node: Apply, shapes: Sequence[Sizes]) -> list[tuple[int, Size, Size]]:
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
        """A C cast; to bool a test against zero."""
        if self.dtype == "bool":
            return "({x} != 0)"
        if kind(dtypes[0]) == "f" and kind(self.dtype) in INTEGER:
            return "wb_to_" + self.dtype + "({x})"
        return "({r}){x}"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """The gradient cast back; none through an integer."""
        (x,) = node.inputs
        return [cast(g, x.dtype) if g is not None and x.type.is_float and node.output.type.is_float else None]

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
        raise DTypeError(f"{x.label()} is {x.dtype}: casting it to {dtype} would lose the imaginary part; use T.real.")
    if isinstance(x, Constant) and x.ndim == 0 and x.name is None:
        with np.errstate(all="ignore"):
            return Constant(x.data.astype(dtype))
    return Cast(dtype)(x)


# --- arithmetic --------------------------------------------------------------------------


class Add(UfuncOp):
    """x + y; for bools, or."""

    arity = 2
    ufunc = np.add

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Or for bools."""
        return "({x} | {y})" if dtypes[0] == "bool" else "({x} + {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to both."""
        return [g, g]


class Sub(UfuncOp):
    """x - y."""

    arity = 2
    ufunc = np.subtract
    c_expr = "({x} - {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g and -g."""
        assert g is not None
        return [g, neg(g)]


class Mul(UfuncOp):
    """x y; for bools, and."""

    arity = 2
    ufunc = np.multiply

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """And for bools."""
        return "({x} & {y})" if dtypes[0] == "bool" else "({x} * {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g y and g x."""
        x, y = node.inputs
        return [mul(g, y), mul(g, x)]


class TrueDiv(UfuncOp):
    """x / y, a float also for integers (floatX)."""

    name = "true_div"
    arity = 2
    cost = 4
    ufunc = np.true_divide
    c_expr = "({x} / {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g / y and -g x / y²."""
        x, y = node.inputs
        return [true_div(g, y), neg(true_div(mul(g, true_div(x, y)), y))]


class FloorDiv(UfuncOp):
    """x // y, rounded towards minus infinity; 0 for an integer divided by 0."""

    name = "floor_div"
    arity = 2
    cost = 10
    ufunc = np.floor_divide

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A helper per dtype."""
        return f"wb_floordiv_{dtypes[0]}({{x}}, {{y}})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zero: a step function."""
        return [zero_grad_of(g), zero_grad_of(g)]


class Mod(UfuncOp):
    """x mod y with the sign of y; 0 for an integer divided by 0."""

    arity = 2
    cost = 10
    ufunc = np.remainder

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A helper per dtype."""
        return f"wb_mod_{dtypes[0]}({{x}}, {{y}})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g and -g floor(x / y)."""
        x, y = node.inputs
        return [g, neg(mul(g, floor_div(x, y)))]


class Neg(UfuncOp):
    """-x."""

    ufunc = np.negative
    c_expr = "(-{x})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-g."""
        return [neg(g)]


class Abs(UfuncOp):
    """|x|; its gradient at 0 is 0."""

    ufunc = np.absolute

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """fabs for floats, a choice for signed integers."""
        return {"f": "fabs{f}({x})", "i": "({x} < 0 ? -{x} : {x})", "u": "{x}", "b": "{x}"}.get(kind(dtypes[0]), "")

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g sign(x)."""
        return [mul(g, sign(node.inputs[0]))]


class Sign(UfuncOp):
    """-1, 0 or 1; NaN for NaN."""

    ufunc = np.sign

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A difference of two tests, which keeps NaN."""
        if kind(dtypes[0]) == "f":
            return "({x} != {x} ? {x} : ({t})(({x} > 0) - ({x} < 0)))"
        return {"i": "(({x} > 0) - ({x} < 0))", "u": "({x} > 0)"}.get(kind(dtypes[0]), "")

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zero."""
        return [zero_grad_of(g)]


class Sqr(UfuncOp):
    """x²."""

    ufunc = np.square

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A product."""
        return "{x}" if dtypes[0] == "bool" else "({x} * {x})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """2 g x."""
        return [mul(g, mul(node.inputs[0], 2))]


class Reciprocal(UfuncOp):
    """1 / x; an integer stays one, as in NumPy, and 1 / 0 is NumPy's value."""

    cost = 4
    ufunc = np.reciprocal

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A division for floats."""
        return "(1 / {x})" if kind(dtypes[0]) == "f" else ""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """-g / x²."""
        return [neg(mul(g, sqr(node.output)))]


class Maximum(UfuncOp):
    """The larger; NaN when either is. At a tie the gradient goes to the first."""

    arity = 2
    ufunc = np.maximum

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A choice that lets NaN through."""
        return "({x} >= {y} || {x} != {x} ? {x} : {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to the larger."""
        x, y = node.inputs
        return [switch(ge(x, y), g, 0), switch(lt(x, y), g, 0)]


class Minimum(UfuncOp):
    """The smaller; NaN when either is. At a tie the gradient goes to the first."""

    arity = 2
    ufunc = np.minimum

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A choice that lets NaN through."""
        return "({x} <= {y} || {x} != {x} ? {x} : {y})"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g to the smaller."""
        x, y = node.inputs
        return [switch(le(x, y), g, 0), switch(gt(x, y), g, 0)]


class Rounding(UfuncOp):
    """Rounds a float; an integer stays as it is. The gradient is zero."""

    c_function: ClassVar[str] = ""

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A C function for floats."""
        return self.c_function + "{f}({x})" if kind(dtypes[0]) == "f" else "{x}"

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """Zero: a step function."""
        return [zero_grad_of(g)]


class Floor(Rounding):
    """The largest integer not above x."""

    ufunc = np.floor
    c_function = "floor"


class Ceil(Rounding):
    """The smallest integer not below x."""

    ufunc = np.ceil
    c_function = "ceil"


class Trunc(Rounding):
    """x without its fraction."""

    ufunc = np.trunc
    c_function = "trunc"


class Rint(Rounding):
    """The nearest integer, halves to the even one."""

    name = "round"
    ufunc = np.rint
    c_function = "rint"


# --- comparison and logic ----------------------------------------------------------------


class Test(UfuncOp):
    """An op that answers with a bool; no gradient passes."""

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """None."""
        return [None] * len(node.inputs)

    def connection(self, node: Apply) -> Sequence[bool]:
        """None."""
        return [False] * len(node.inputs)


class Comparison(Test):
    """A comparison of two numbers; int64 with uint64 by value, as NumPy has it."""

    arity = 2
    symbol: ClassVar[str] = ""

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """C's own, but where that would turn a negative number into a large unsigned one."""
        match [kind(d) for d in dtypes[:2]]:
            case ["i", "u"]:
                order = "({x} < 0 ? -1 : ((uint64_t){x} > {y}) - ((uint64_t){x} < {y}))"
            case ["u", "i"]:
                order = "({y} < 0 ? 1 : ({x} > (uint64_t){y}) - ({x} < (uint64_t){y}))"
            case _:
                return f"({{x}} {self.symbol} {{y}})"
        return f"({order} {self.symbol} 0)"


class Eq(Comparison):
    """Whether x equals y; NaN equals nothing."""

    ufunc, symbol = np.equal, "=="


class Neq(Comparison):
    """Whether x differs from y."""

    ufunc, symbol = np.not_equal, "!="


class Lt(Comparison):
    """Whether x < y."""

    ufunc, symbol = np.less, "<"


class Le(Comparison):
    """Whether x <= y."""

    ufunc, symbol = np.less_equal, "<="


class Gt(Comparison):
    """Whether x > y."""

    ufunc, symbol = np.greater, ">"


class Ge(Comparison):
    """Whether x >= y."""

    ufunc, symbol = np.greater_equal, ">="


class IsNan(Test):
    """Whether x is NaN."""

    ufunc, c_expr = np.isnan, "({x} != {x})"


class IsInf(Test):
    """Whether x is plus or minus infinity."""

    ufunc = np.isinf

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Never for integers."""
        return "(fabs{f}({x}) == INFINITY)" if kind(dtypes[0]) == "f" else "0"


class And(Test):
    """x and y, bit by bit."""

    name, arity, ufunc, c_expr = "and", 2, np.bitwise_and, "({x} & {y})"


class Or(Test):
    """x or y, bit by bit."""

    name, arity, ufunc, c_expr = "or", 2, np.bitwise_or, "({x} | {y})"


class Xor(Test):
    """x exclusive or y, bit by bit."""

    arity, ufunc, c_expr = 2, np.bitwise_xor, "({x} ^ {y})"


class Invert(Test):
    """Not x: bit by bit, for a bool the other one."""

    ufunc = np.invert

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """Logical for bools."""
        return "(!{x})" if dtypes[0] == "bool" else "(~{x})"


class Switch(Elementwise):
    """x where the condition holds, else y. Both are computed; only one is taken."""

    arity = 3
    c_expr = "({x} ? {y} : {z})"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """A bool, and what NumPy's ``where`` promotes the branches to."""
        joined = resolve(self, np.maximum, dtypes[1:])[-1]
        return ["bool", joined, joined, joined]

    def reference(self, condition: Array, x: Array, y: Array) -> Array:
        """``np.where``."""
        return np.where(condition, x, y)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g where taken, zero elsewhere."""
        condition = node.inputs[0]
        return [None, switch(condition, g, 0), switch(condition, 0, g)]


class Fill(Elementwise):
    """y stretched to the shape of x; the values of x do not matter."""

    arity = 2
    c_expr = "{y}"

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Each its own; the result has that of y, a Python number adapting to x."""
        x, y = dtypes
        if not isinstance(x, str):
            x = as_variable(x()).dtype
        if not isinstance(y, str):
            y = resolve(self, np.maximum, [x, y])[-1]
        return [x, y, y]

    def reference(self, x: Array, y: Array) -> Array:
        """A copy of y for every element of x."""
        return np.broadcast_to(y, np.broadcast_shapes(x.shape, y.shape)).copy()

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for y."""
        return [None, g]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Only through y: the values of x do not matter."""
        return [False, node.inputs[1].type.is_float]


def add(x: Any, y: Any, *more: Any) -> Variable:
    """x + y, and more if given."""
    result = apply(Add(), x, y)
    for other in more:
        result = apply(Add(), result, other)
    return result


def mul(x: Any, y: Any, *more: Any) -> Variable:
    """x * y, and more if given."""
    result = apply(Mul(), x, y)
    for other in more:
        result = apply(Mul(), result, other)
    return result


def sub(x: Any, y: Any) -> Variable:
    """x - y."""
    return apply(Sub(), x, y)


def true_div(x: Any, y: Any) -> Variable:
    """x / y; a float (floatX) also for two integers."""
    return apply(TrueDiv(), x, y)


def floor_div(x: Any, y: Any) -> Variable:
    """x // y, rounded towards minus infinity."""
    return apply(FloorDiv(), x, y)


def mod(x: Any, y: Any) -> Variable:
    """x % y, with the sign of y."""
    return apply(Mod(), x, y)


def neg(x: Any) -> Variable:
    """-x."""
    return apply(Neg(), x)


def abs(x: Any) -> Variable:
    """|x|."""
    return apply(Abs(), x)


def sign(x: Any) -> Variable:
    """-1, 0 or 1 with the sign of x."""
    return apply(Sign(), x)


def sqr(x: Any) -> Variable:
    """x squared."""
    return apply(Sqr(), x)


def reciprocal(x: Any) -> Variable:
    """1 / x; for integers as NumPy, an integer."""
    return apply(Reciprocal(), x)


def maximum(x: Any, y: Any) -> Variable:
    """The larger of x and y, NaN when either is."""
    return apply(Maximum(), x, y)


def minimum(x: Any, y: Any) -> Variable:
    """The smaller of x and y, NaN when either is."""
    return apply(Minimum(), x, y)


def clip(x: Any, low: Any, high: Any) -> Variable:
    """x, but not below `low` nor above `high`."""
    return minimum(maximum(x, low), high)


def floor(x: Any) -> Variable:
    """The largest integer not above x, in x's dtype."""
    return apply(Floor(), x)


def ceil(x: Any) -> Variable:
    """The smallest integer not below x, in x's dtype."""
    return apply(Ceil(), x)


def trunc(x: Any) -> Variable:
    """x without its fraction."""
    return apply(Trunc(), x)


def round(x: Any) -> Variable:
    """The nearest integer, halves to the even one."""
    return apply(Rint(), x)


def _compare(op: Comparison, x: Any, y: Any) -> Variable:
    """Compare, also with a Python int that the dtype of the other operand cannot hold."""
    for number, other in ((x, y), (y, x)):
        dtype = None if _weak_type(other) else as_variable(other).dtype
        if _weak_type(number) is int and dtype and kind(dtype) in INTEGER:
            limits = np.iinfo(dtype)
            if not limits.min <= number <= limits.max:
                return apply(op, as_variable(x), as_variable(y))
    return apply(op, x, y)


def eq(x: Any, y: Any) -> Variable:
    """Whether x equals y, element by element."""
    return _compare(Eq(), x, y)


def neq(x: Any, y: Any) -> Variable:
    """Whether x differs from y, element by element."""
    return _compare(Neq(), x, y)


def lt(x: Any, y: Any) -> Variable:
    """Whether x < y."""
    return _compare(Lt(), x, y)


def le(x: Any, y: Any) -> Variable:
    """Whether x <= y."""
    return _compare(Le(), x, y)


def gt(x: Any, y: Any) -> Variable:
    """Whether x > y."""
    return _compare(Gt(), x, y)


def ge(x: Any, y: Any) -> Variable:
    """Whether x >= y."""
    return _compare(Ge(), x, y)


def isnan(x: Any) -> Variable:
    """Whether x is NaN."""
    return apply(IsNan(), x)


def isinf(x: Any) -> Variable:
    """Whether x is infinite."""
    return apply(IsInf(), x)


def and_(x: Any, y: Any) -> Variable:
    """x and y: logical for bools, bit by bit for integers."""
    return apply(And(), x, y)


def or_(x: Any, y: Any) -> Variable:
    """x or y: logical for bools, bit by bit for integers."""
    return apply(Or(), x, y)


def xor(x: Any, y: Any) -> Variable:
    """x exclusive or y: logical for bools, bit by bit for integers."""
    return apply(Xor(), x, y)


def invert(x: Any) -> Variable:
    """Not x: logical for bools, bit by bit for integers."""
    return apply(Invert(), x)


def switch(condition: Any, x: Any, y: Any) -> Variable:
    """x where `condition` is true (not zero), else y."""
    condition = as_variable(condition)
    if condition.dtype != "bool":
        condition = neq(condition, 0)
    return apply(Switch(), condition, x, y)


def fill(x: Any, value: Any) -> Variable:
    """`value`, a scalar or broadcastable, stretched to the shape of `x`."""
    return apply(Fill(), x, value)


def zero_grad_of(g: Variable | None) -> Variable | None:
    """Zeros of g's shape: the gradient through a step function."""
    return None if g is None else fill(g, as_variable(0, g.dtype))

