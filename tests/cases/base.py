"""What a row of the table of ops says: how to apply it, what it means in NumPy, where it is defined.

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

from workbench.core.graph import Variable
from workbench.core.op import Op
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


def one(*shapes: tuple[int, ...]) -> tuple[Shapes, ...]:
    """Choices of a single input's shape."""
    return tuple((s,) for s in shapes)
