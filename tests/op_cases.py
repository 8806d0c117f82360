"""One row for every op: how to apply it, what it means in NumPy, where it is defined.

The row drives every check an op goes through: type rule, reference, derivative,
inferred shape, and each back end against the reference. It knows nothing of them::

    for shapes in case.shapes:
        arrays = case.inputs(rng, dtype, shapes)
        variables = case.variables(arrays)
        output = case.build(*variables)
        expected = case.reference(*arrays)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

import workbench.tensor as T
from workbench.core.graph import Variable
from workbench.core.op import Op
from workbench.core.ops import (
    creation,
    elementwise,
    indexing,
    linalg,
    mathematics,
    nnet,
    reduction,
    shape,
    ufunc,
)
from workbench.core.types import TensorType

Array = np.ndarray
Shapes = tuple[tuple[int, ...], ...]

FLOATS = ("float16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTS = SIGNED + UNSIGNED
BOOL = ("bool",)
REAL = INTS + FLOATS
NUMBERS = REAL + COMPLEXES
ALL = BOOL + NUMBERS


@dataclass(frozen=True)
class Values:
    """Random elements: floats between `low` and `high`, small integers."""

    low: float = -2.0
    high: float = 2.0

    def __call__(
        self, rng: np.random.Generator, dtype: str, shape: Sequence[int]
    ) -> Array:
        kind = np.dtype(dtype).kind
        if kind == "b":
            return rng.random(shape) < 0.5
        if kind == "c":
            parts = rng.uniform(self.low, self.high, (2, *shape))
            return np.asarray(parts[0] + 1j * parts[1], dtype)
        if kind == "f":
            return np.asarray(rng.uniform(self.low, self.high, shape), dtype)
        low = 0 if kind == "u" else max(-9, np.floor(self.low) * 3)
        return rng.integers(
            max(low, np.ceil(self.low)) if self.low > 0 else low, 10, shape
        ).astype(dtype)


@dataclass(frozen=True)
class Places:
    """Random integers in [`low`, `high`), whatever the dtype of the row."""

    low: int
    high: int
    dtype: str = "int64"

    def __call__(
        self, rng: np.random.Generator, dtype: str, shape: Sequence[int]
    ) -> Array:
        return rng.integers(self.low, self.high, shape).astype(self.dtype)


def flags(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    """Random bools."""
    return rng.random(shape) < 0.5


def spread(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    """Values at least 0.25 apart, so that no step of a difference changes an order."""
    n = int(np.prod(shape))
    return np.asarray(rng.permutation(n).reshape(shape) * 0.25 - 0.1 * n, dtype)


def off_integers(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    """Values at least 0.1 from halves and integers, where steps are."""
    return (
        rng.integers(-3, 3, shape) + rng.choice([0.2, 0.35, 0.65, 0.8], shape)
    ).astype(dtype)


@dataclass(frozen=True)
class Case:
    """One op at work.

    Attributes
    ----------
    op
        The class the row is for; the graph that `build` makes contains it.
    build
        From variables to a variable.
    reference
        From arrays to an array, independently of the op.
    shapes
        Several choices, each one shape for every input. A size of 1 is declared.
    dtypes
        What the op takes.
    makers
        One for every input: from a generator, a dtype and a shape to an array.
    differentiable
        Numbers of the inputs that a gradient reaches.
    smooth
        Whether second derivatives exist where the inputs are drawn.
    ulps
        Allowed distance from the reference, in units of the result's last place.
    extremes
        Special floats at which reference and op must agree too.
    """

    op: type[Op]
    build: Callable[..., Variable]
    reference: Callable[..., Array]
    shapes: tuple[Shapes, ...]
    dtypes: tuple[str, ...] = ALL
    makers: tuple[Callable[..., Array], ...] = (Values(),)
    differentiable: tuple[int, ...] = ()
    smooth: bool = True
    ulps: float = 8
    extremes: tuple[float, ...] = ()
    note: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The op's class, and what is particular about this row."""
        return self.op.__name__ + (f"-{self.note}" if self.note else "")

    def inputs(
        self, rng: np.random.Generator, dtype: str, shapes: Shapes
    ) -> list[Array]:
        """Arrays of the given shapes; of `dtype` where the op does not need another."""
        makers = self.makers if len(self.makers) > 1 else self.makers * len(shapes)
        pairs = zip(makers, shapes, strict=True)
        with np.errstate(all="ignore"):
            return [np.asarray(make(rng, dtype, shape)) for make, shape in pairs]

    def variables(self, arrays: Sequence[Array]) -> list[Variable]:
        """Inputs for such arrays: sizes of 1 are declared, the others left free."""
        return [
            Variable(
                TensorType(a.dtype.name, tuple(1 if s == 1 else None for s in a.shape)),
                f"x{i}",
            )
            for i, a in enumerate(arrays)
        ]


# --- elementwise ----------------------------------------------------------------------

UNARY: tuple[Shapes, ...] = (((3, 4),), ((),), ((0, 3),), ((1, 5),))
BINARY: tuple[Shapes, ...] = (
    ((3, 4), (3, 4)),
    ((), (3,)),
    ((2, 1), (1, 3)),
    ((3,), (2, 3)),
    ((0, 3), (1, 3)),
    ((), ()),
)
EXTREMES = (
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-300, 1e300, -1e300, 5e-324, 800.0, -800.0,
    float("inf"), float("-inf"), float("nan"),
)  # fmt: skip


def unary(
    op: type[Op],
    build: Callable[..., Variable],
    reference: Callable[..., Array],
    dtypes: tuple[str, ...] = FLOATS,
    domain: Callable[..., Array] = Values(),
    **options: Any,
) -> Case:
    """A row for a function of one element, differentiable unless said otherwise."""
    options.setdefault("differentiable", (0,))
    options.setdefault("extremes", EXTREMES)
    return Case(op, build, reference, UNARY, dtypes, (domain,), **options)


def binary(
    op: type[Op],
    build: Callable[..., Variable],
    reference: Callable[..., Array],
    dtypes: tuple[str, ...] = ALL,
    domains: tuple[Callable[..., Array], ...] = (Values(), Values()),
    **options: Any,
) -> Case:
    """A row for a function of two elements, differentiable in both by default."""
    options.setdefault("differentiable", (0, 1))
    options.setdefault("extremes", EXTREMES)
    return Case(op, build, reference, BINARY, dtypes, domains, **options)


def test_of(
    op: type[Op], build: Callable[..., Variable], reference: Callable[..., Array]
) -> Case:
    """A row for a comparison."""
    return binary(
        op, build, reference, ALL, (Values(-1, 1), Values(-1, 1)), differentiable=()
    )


test_of.__test__ = False  # type: ignore[attr-defined]


def wide(function: Callable[..., Array]) -> Callable[..., Array]:
    """`function` computed in extended precision and rounded once."""

    def reference(*arrays: Array) -> Array:
        dtype = np.result_type(*arrays)
        return np.asarray(function(*(a.astype("longdouble") for a in arrays))).astype(
            dtype
        )

    return reference


def mod_reference(x: Array, y: Array) -> Array:
    return x - np.floor(x / y) * y if x.dtype.kind == "f" else np.mod(x, y)


ELEMENTWISE = [
    binary(elementwise.Add, T.add, np.add),
    binary(elementwise.Sub, T.sub, np.subtract, NUMBERS),
    binary(elementwise.Mul, T.mul, np.multiply),
    binary(
        elementwise.TrueDiv,
        T.true_div,
        np.true_divide,
        domains=(Values(), Values(0.5, 2)),
    ),
    binary(
        elementwise.FloorDiv,
        T.floor_div,
        np.floor_divide,
        REAL,
        (off_integers, Values(1, 1)),
        smooth=False,
    ),
    binary(
        elementwise.Mod,
        T.mod,
        np.mod,
        REAL,
        (off_integers, Values(1, 1)),
        differentiable=(0,),
    ),
    unary(elementwise.Neg, T.neg, np.negative, NUMBERS),
    unary(elementwise.Abs, T.abs, np.absolute, ALL, Values(0.5, 2)),
    unary(
        elementwise.Abs,
        lambda x: T.abs(-x),
        np.absolute,
        FLOATS,
        Values(0.5, 2),
        note="negative",
    ),
    unary(elementwise.Sign, T.sign, np.sign, REAL, Values(0.5, 2), smooth=False),
    unary(elementwise.Sqr, T.sqr, np.square, ALL),
    unary(elementwise.Reciprocal, T.reciprocal, np.reciprocal, REAL, Values(0.5, 2)),
    binary(
        elementwise.Maximum,
        T.maximum,
        np.maximum,
        ALL,
        (Values(-1, 0), Values(0.1, 1)),
        smooth=False,
    ),
    binary(
        elementwise.Minimum,
        T.minimum,
        np.minimum,
        ALL,
        (Values(-1, 0), Values(0.1, 1)),
        smooth=False,
    ),
    unary(elementwise.Floor, T.floor, np.floor, REAL, off_integers, smooth=False),
    unary(elementwise.Ceil, T.ceil, np.ceil, REAL, off_integers, smooth=False),
    unary(elementwise.Trunc, T.trunc, np.trunc, REAL, off_integers, smooth=False),
    unary(elementwise.Rint, T.round, np.rint, FLOATS, off_integers, smooth=False),
    test_of(elementwise.Eq, T.eq, np.equal),
    test_of(elementwise.Neq, T.neq, np.not_equal),
    test_of(elementwise.Lt, T.lt, np.less),
    test_of(elementwise.Le, T.le, np.less_equal),
    test_of(elementwise.Gt, T.gt, np.greater),
    test_of(elementwise.Ge, T.ge, np.greater_equal),
    unary(elementwise.IsNan, T.isnan, np.isnan, ALL, differentiable=()),
    unary(elementwise.IsInf, T.isinf, np.isinf, ALL, differentiable=()),
    binary(elementwise.And, T.and_, np.bitwise_and, BOOL + INTS, differentiable=()),
    binary(elementwise.Or, T.or_, np.bitwise_or, BOOL + INTS, differentiable=()),
    binary(elementwise.Xor, T.xor, np.bitwise_xor, BOOL + INTS, differentiable=()),
    unary(elementwise.Invert, T.invert, np.invert, BOOL + INTS, differentiable=()),
    Case(
        elementwise.Switch,
        T.switch,
        np.where,
        (((3, 4),) * 3, ((3,), (), (2, 3)), ((2, 1), (1, 3), ()), ((0,), (0,), (1,))),
        ALL,
        (flags, Values(), Values()),
        (1, 2),
    ),
    Case(
        elementwise.Fill,
        T.fill,
        lambda x, y: np.broadcast_to(y, np.broadcast_shapes(x.shape, y.shape)),
        (((3, 4), ()), ((0, 2), (1, 2)), ((2, 3), (2, 1))),
        ALL,
        differentiable=(1,),
    ),
    *(
        unary(
            ufunc.Cast,
            lambda x, d=d: T.cast(x, d),
            lambda x, d=d: x.astype(d),
            tuple(
                s for s in (BOOL + REAL if np.dtype(d).kind != "c" else ALL) if s != d
            ),
            Values(0, 3),
            differentiable=(0,) if d == "float64" else (),
            extremes=EXTREMES if d[0] == "f" else (),
            note=d,
        )
        for d in ALL
    ),
    binary(
        mathematics.Pow,
        T.pow,
        np.power,
        REAL + COMPLEXES,
        (Values(0.5, 2), Values(0.5, 3)),
        ulps=64,
    ),
    binary(
        mathematics.Pow,
        lambda x, y: x**3 + y * 0,
        lambda x, y: x * x * x + y * 0,
        ("float32", "float64"),
        note="cube",
        extremes=(),
    ),
    binary(
        mathematics.Arctan2,
        T.arctan2,
        np.arctan2,
        FLOATS,
        (Values(0.5, 2), Values(0.5, 2)),
    ),
    binary(mathematics.LogAddExp, T.logaddexp, np.logaddexp, FLOATS),
    unary(mathematics.Exp, T.exp, np.exp, FLOATS + COMPLEXES),
    unary(mathematics.Exp2, T.exp2, np.exp2),
    unary(mathematics.Expm1, T.expm1, np.expm1),
    unary(mathematics.Log, T.log, np.log, domain=Values(0.3, 3)),
    unary(mathematics.Log2, T.log2, np.log2, domain=Values(0.3, 3)),
    unary(mathematics.Log10, T.log10, np.log10, domain=Values(0.3, 3)),
    unary(mathematics.Log1p, T.log1p, np.log1p, domain=Values(-0.5, 3)),
    unary(mathematics.Sqrt, T.sqrt, np.sqrt, domain=Values(0.3, 3)),
    unary(mathematics.Sin, T.sin, np.sin),
    unary(mathematics.Cos, T.cos, np.cos),
    unary(mathematics.Tan, T.tan, np.tan, domain=Values(-1, 1)),
    unary(mathematics.Arcsin, T.arcsin, np.arcsin, domain=Values(-0.8, 0.8)),
    unary(mathematics.Arccos, T.arccos, np.arccos, domain=Values(-0.8, 0.8)),
    unary(mathematics.Arctan, T.arctan, np.arctan),
    unary(mathematics.Sinh, T.sinh, np.sinh),
    unary(mathematics.Cosh, T.cosh, np.cosh),
    unary(mathematics.Tanh, T.tanh, np.tanh),
    unary(mathematics.Arcsinh, T.arcsinh, np.arcsinh),
    unary(mathematics.Arccosh, T.arccosh, np.arccosh, domain=Values(1.3, 3)),
    unary(mathematics.Arctanh, T.arctanh, np.arctanh, domain=Values(-0.8, 0.8)),
    unary(mathematics.Sigmoid, T.sigmoid, wide(special.expit), domain=Values(-5, 5)),
    unary(
        mathematics.Softplus,
        T.softplus,
        wide(lambda x: np.logaddexp(0, x)),
        domain=Values(-5, 5),
    ),
    unary(
        mathematics.Log1mexp,
        T.log1mexp,
        wide(lambda x: np.where(x > -1, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))),
        domain=Values(-4, -0.1),
    ),
]

# --- shape ----------------------------------------------------------------------------


def one(*shapes: tuple[int, ...]) -> tuple[Shapes, ...]:
    """Choices of a single input's shape."""
    return tuple((s,) for s in shapes)


SHAPE = [
    Case(
        ufunc.DimShuffle,
        lambda x: x.dimshuffle(1, "x", 0),
        lambda x: x.T[:, None],
        one((3, 4), (0, 2), (1, 3)),
        differentiable=(0,),
    ),
    Case(
        ufunc.DimShuffle,
        lambda x: x.dimshuffle(1),
        lambda x: x[0],
        one((1, 4), (1, 0)),
        differentiable=(0,),
        note="drop",
    ),
    Case(
        shape.SizeOf,
        lambda x: shape.SizeOf(1)(x),
        lambda x: np.int64(x.shape[1]),
        one((3, 4), (0, 2), (5, 0)),
    ),
    Case(
        shape.MakeVector,
        shape.MakeVector(),
        lambda *x: np.array(x),
        (((), ()), ((),), ((), (), ())),
        differentiable=(0,),
    ),
    Case(
        shape.Shape,
        T.shape,
        lambda x: np.array(x.shape, "int64"),
        one((3, 4), (), (0, 1, 2)),
    ),
    Case(
        shape.Reshape,
        lambda x: x.reshape((2, -1)),
        lambda x: x.reshape((2, -1)),
        one((3, 4), (0,), (2,), (1, 6)),
        differentiable=(0,),
    ),
    Case(
        shape.Reshape,
        lambda x, n: T.reshape(x, (n, 2, 1)),
        lambda x, n: x.reshape((int(n), 2, 1)),
        (((2, 3), ()), ((6,), ())),
        makers=(Values(), Places(3, 4)),
        differentiable=(0,),
        note="symbolic",
    ),
    Case(
        shape.BroadcastTo,
        lambda x, n: T.broadcast_to(x, (n, 3, 4)),
        lambda x, n: np.broadcast_to(x, (int(n), 3, 4)),
        (((1, 4), ()), ((), ()), ((3, 1), ()), ((3, 4), ())),
        makers=(Values(), Places(0, 3)),
        differentiable=(0,),
    ),
    Case(
        shape.SpecifyShape,
        lambda x: T.specify_shape(x, (None, 4)),
        lambda x: x,
        one((3, 4), (0, 4), (1, 4)),
        differentiable=(0,),
    ),
    Case(
        shape.SpecifyShape,
        lambda x: (
            T.addbroadcast(T.specify_shape(x, (1, 4)), 0) + T.ones((3, 1), x.dtype)
        ),
        lambda x: x + np.ones((3, 1), x.dtype),
        one((1, 4)),
        NUMBERS,
        differentiable=(0,),
        note="broadcast",
    ),
]

# --- reduction ------------------------------------------------------------------------

REDUCED = one((3, 4), (3, 1), (3, 0), (1, 5))
NONEMPTY = one((3, 4), (3, 1), (0, 4), (1, 5))
SPECIAL_TERMS = (0.0, -0.0, 1.0, -2.0, 1e300, float("inf"), float("-inf"), float("nan"))


def reduced(
    op: type[Op],
    build: Callable[..., Variable],
    reference: Callable[..., Array],
    **options: Any,
) -> list[Case]:
    """Rows for a reduction of the last axis and of all axes."""
    shapes = options.pop("shapes", REDUCED)
    whole = tuple(
        s for s in (*shapes, ((),), ((2, 2, 3),)) if np.prod(s[0]) or shapes is REDUCED
    )
    return [
        Case(
            op,
            lambda x: build(x, axis=1),
            lambda x: reference(x, axis=1),
            shapes,
            extremes=SPECIAL_TERMS,
            note="rows",
            **options,
        ),
        Case(op, build, reference, whole, note="all", **options),
    ]


def supremum(x: Variable, axis: int | None = None) -> Variable:
    return reduction.Supremum(reduction.normal_axes(axis, x.ndim))(x)


REDUCTION = [
    *reduced(reduction.Sum, T.sum, np.sum, differentiable=(0,), ulps=64),
    *reduced(reduction.Prod, T.prod, np.prod, differentiable=(0,), ulps=64),
    *reduced(
        reduction.Max,
        T.max,
        np.max,
        shapes=NONEMPTY,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(
        reduction.Min,
        T.min,
        np.min,
        shapes=NONEMPTY,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(
        reduction.Supremum,
        supremum,
        lambda x, axis=None: np.max(x, axis, initial=-np.inf),
        dtypes=FLOATS,
        makers=(spread,),
        differentiable=(0,),
        smooth=False,
    ),
    *reduced(reduction.All, T.all, np.all),
    *reduced(reduction.Any_, T.any, np.any),
    *reduced(
        reduction.ArgMax, T.argmax, np.argmax, shapes=NONEMPTY, dtypes=BOOL + REAL
    ),
    *reduced(
        reduction.ArgMin, T.argmin, np.argmin, shapes=NONEMPTY, dtypes=BOOL + REAL
    ),
    Case(
        reduction.Sum,
        lambda x: T.sum(x, axis=(0, 2), keepdims=True),
        lambda x: np.sum(x, (0, 2), keepdims=True),
        one((2, 3, 4), (2, 0, 1)),
        differentiable=(0,),
        ulps=64,
        note="keepdims",
    ),
    Case(
        reduction.Sum,
        lambda x: T.mean(x, axis=0),
        lambda x: np.mean(x, axis=0),
        one((3, 4), (1, 3), (5,)),
        differentiable=(0,),
        ulps=64,
        note="mean",
    ),
    Case(
        reduction.Sum,
        lambda x: T.var(x, axis=0, ddof=1),
        lambda x: np.var(x, axis=0, ddof=1),
        one((3, 4), (5,)),
        BOOL + REAL,
        differentiable=(0,),
        ulps=256,
        note="var",
    ),
]

# --- indexing -------------------------------------------------------------------------


def with_set(x: Array, key: Any, part: Any) -> Array:
    out = x.copy()
    out[key] = part
    return out


def with_added(x: Array, key: Any, part: Any) -> Array:
    out = x.copy()
    np.add.at(out, key, part)
    return out


def places_of(i: Array) -> tuple[Any, ...]:
    return np.arange(len(i)), i


INDEXING = [
    Case(
        indexing.Slice,
        lambda x: x[1:, ::-2],
        lambda x: x[1:, ::-2],
        one((3, 5), (1, 1), (0, 4)),
        differentiable=(0,),
    ),
    Case(
        indexing.Slice,
        lambda x: x[-1, 1:-1],
        lambda x: x[-1, 1:-1],
        one((3, 5), (1, 1), (2, 0)),
        differentiable=(0,),
        note="place",
    ),
    Case(
        indexing.Slice,
        lambda x, i, j: x[i:j],
        lambda x, i, j: x[int(i) : int(j)],
        (((7,), (), ()), ((0, 2), (), ()), ((3, 2), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8)),
        differentiable=(0,),
        note="symbolic",
    ),
    Case(
        indexing.Slice,
        lambda x, i, j: x[j:i:-2],
        lambda x, i, j: x[int(j) : int(i) : -2],
        (((7,), (), ()), ((0, 2), (), ())),
        makers=(Values(), Places(-8, 8), Places(-8, 8)),
        differentiable=(0,),
        note="backwards",
    ),
    Case(
        indexing.PutSlice,
        lambda x, y: T.set_subtensor(x[1:], y),
        lambda x, y: with_set(x, np.s_[1:], y),
        (((3, 4), (2, 4)), ((3, 4), ()), ((1, 2), (0, 2)), ((4, 3), (1, 3))),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        indexing.PutSlice,
        lambda x, y: T.inc_subtensor(x[::-2, 0], y),
        lambda x, y: with_added(x, np.s_[::-2, 0], y),
        (((3, 4), (2,)), ((4, 4), ()), ((0, 2), (0,))),
        differentiable=(0, 1),
        note="add",
    ),
    Case(
        indexing.Take,
        lambda x, i: x[i],
        lambda x, i: x[i],
        (
            ((4, 3), (5,)),
            ((4,), (2, 3)),
            ((4, 0), (2,)),
            ((4, 3), (0,)),
            ((4, 2), (1,)),
        ),
        makers=(Values(), Places(-4, 4)),
        differentiable=(0,),
    ),
    Case(
        indexing.Take,
        lambda x, i: x[T.arange(i.shape[0]), i],
        lambda x, i: x[places_of(i)],
        (((5, 4), (5,)), ((6, 4), (3,))),
        makers=(Values(), Places(-4, 4)),
        differentiable=(0,),
        note="rows",
    ),
    Case(
        indexing.Put,
        lambda x, y, i: T.inc_subtensor(x[i], y),
        lambda x, y, i: with_added(x, i, y),
        (
            ((4, 3), (5, 3), (5,)),
            ((4,), (), (6,)),
            ((4, 2), (0, 2), (0,)),
            ((4, 2), (1, 2), (3,)),
        ),
        makers=(Values(), Values(), Places(-4, 4)),
        differentiable=(0, 1),
        note="add",
    ),
    Case(
        indexing.Put,
        lambda x, y, i: T.set_subtensor(x[T.arange(i.shape[0]), i], y),
        lambda x, y, i: with_set(x, places_of(i), y),
        (((5, 4), (3,), (3,)), ((3, 4), (), (3,))),
        makers=(Values(), Values(), Places(-4, 4)),
        differentiable=(0, 1),
        note="set",
    ),
    Case(
        indexing.OneHot,
        indexing.OneHot(),
        lambda i, n: np.eye(int(n), dtype=bool)[i],
        (((3,), ()), ((0,), ()), ((1,), ())),
        ("int64",),
        (Places(-4, 4), Places(4, 6)),
    ),
    Case(
        indexing.Join,
        lambda x, y: T.concatenate([x, y, x], 1),
        lambda x, y: np.concatenate([x, y, x], 1),
        (((2, 3), (2, 4)), ((0, 3), (0, 1)), ((3, 0), (3, 2))),
        differentiable=(0, 1),
    ),
    Case(
        indexing.Join,
        lambda x, y: T.stack([x, y], 1),
        lambda x, y: np.stack([x, y], 1),
        (((2, 3), (2, 3)), ((0,), (0,)), ((1, 2), (1, 2))),
        differentiable=(0, 1),
        note="stack",
    ),
]

# --- the rest -------------------------------------------------------------------------

OTHERS = [
    Case(
        creation.ARange,
        T.arange,
        lambda i, j, k: np.arange(int(i), int(j), int(k)),
        (((), (), ()),),
        ("int64",),
        (Places(-5, 5), Places(-5, 9), Places(1, 4)),
    ),
    Case(
        creation.ARange,
        T.arange,
        lambda i, j, k: np.arange(int(i), int(j), int(k)),
        (((), (), ()),),
        ("int64",),
        (Places(-5, 9), Places(-5, 5), Places(-3, 0)),
        note="backwards",
    ),
    Case(
        linalg.Dot,
        T.dot,
        np.dot,
        (
            ((3, 4), (4, 2)),
            ((4,), (4, 2)),
            ((3, 4), (4,)),
            ((4,), (4,)),
            ((3, 0), (0, 2)),
            ((0, 3), (3, 1)),
            ((1, 1), (1, 3)),
        ),
        differentiable=(0, 1),
        ulps=64,
    ),
    Case(
        linalg.Gemm,
        linalg.Gemm(),
        lambda z, a, x, y: z + a * np.dot(x, y),
        (
            ((3, 2), (), (3, 4), (4, 2)),
            ((2,), (), (4,), (4, 2)),
            ((3,), (), (3, 4), (4,)),
            ((), (), (4,), (4,)),
            ((3, 2), (), (3, 0), (0, 2)),
        ),
        NUMBERS,
        differentiable=(0, 1, 2, 3),
        ulps=64,
    ),
    Case(
        nnet.LogSumExp,
        lambda x: T.nnet.logsumexp(x, axis=1),
        lambda x: np.asarray(special.logsumexp(x, axis=1), x.dtype),
        one((3, 4), (2, 1), (0, 3), (2, 3, 2)),
        FLOATS,
        differentiable=(0,),
        ulps=64,
        extremes=(0.0, -1.0, 1e4, -1e4, float("inf"), float("-inf"), float("nan")),
    ),
    *(
        Case(
            op,
            lambda x, f=build: f(x, axis=-1),
            lambda x, f=reference: f(x, axis=-1),
            one((3, 4), (5,), (2, 1), (0, 3), (2, 3, 2)),
            FLOATS,
            differentiable=(0,),
            ulps=64,
            extremes=(0.0, -1.0, 1e4, -1e4, float("-inf"), float("nan")),
        )
        for op, build, reference in (
            (nnet.Softmax, T.nnet.softmax, special.softmax),
            (nnet.LogSoftmax, T.nnet.logsoftmax, special.log_softmax),
        )
    ),
    Case(
        nnet.Softmax,
        lambda x: T.nnet.softmax(x, axis=0),
        lambda x: special.softmax(x, axis=0),
        one((3, 4), (1, 3), (2, 0)),
        FLOATS,
        differentiable=(0,),
        ulps=64,
        note="columns",
    ),
]

CASES: list[Case] = [*ELEMENTWISE, *SHAPE, *REDUCTION, *INDEXING, *OTHERS]
