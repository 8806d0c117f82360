"""What an op is: the one place that says what an operation means.

An op is a frozen dataclass whose fields are its parameters (axes, a dtype), so equal ops
compare and hash equal and equal nodes can be merged. It states, side by side:

- its **type rule**, :meth:`Op.output_types`;
- its **meaning**, :meth:`Op.reference`, in NumPy;
- its **derivative**, :meth:`Op.vjp`, from which :meth:`Op.jvp` is derived where it is not written;
- its **shape rule**, :meth:`Op.infer_shape`, without computing anything;
- for the kinds that loops are generated for, its **scalar text**.

Its *kind* says how it is looped. Emitters know kinds, never single ops:

=============  ==================================================================
Elementwise    one scalar expression per element; inputs of equal rank, cast already
Reduction      combines elements along some axes
View           moves or repeats elements; computes nothing
Gather         reads elements at places given by other inputs
Generator      makes elements from their own index
Assembly       fills one array from several parts, at places it says
Composite      a name for an expression of simpler ops, expanded when compiling
Opaque         anything else: brings its own kernel, or runs its reference
=============  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from workbench.core.errors import GradientError, Report, ShapeError
from workbench.core.graph import Apply, Constant, Variable
from workbench.core.inner import InnerGraph
from workbench.core.source import Location, location_here
from workbench.core.types import Array, TensorType

Size = int | Variable
"""A size: a number, or a scalar int64 variable."""

Sizes = tuple[Size, ...]


@dataclass(frozen=True)
class Op:
    """Base of every op. See the module's text for what a subclass states."""

    name: ClassVar[str] = ""

    holomorphic: ClassVar[bool] = True
    """Whether a complex result is a holomorphic function of complex inputs.

    If so, `vjp` is written as for real numbers, g times the complex derivative, and the walk
    sees to conjugates. If not (the conjugate, a real part, an absolute value), `vjp` takes
    and gives gradients as users see them: dC/dRe + i dC/dIm of the real cost C.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The types of the outputs; raises when the inputs do not fit."""
        raise NotImplementedError

    def reference(self, *inputs: Array) -> Any:
        """The meaning, in NumPy: an array, or a tuple of them when there are several outputs."""
        raise NotImplementedError

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """Gradients with respect to each input, given those of the outputs.

        ``None`` in `grads` stands for zero. ``None`` in the result says that the output
        does not depend on that input in a differentiable way.
        """
        raise GradientError(f"{self} has no gradient")

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None] | None:
        """Changes of the outputs for small changes of the inputs.

        ``None`` in `tangents` and in the result stands for zero. By default the result as a
        whole is ``None``: the rule is then derived from the kind of the op or from `vjp`
        (:mod:`workbench.core.forward`).
        """
        return None

    def connection(self, node: Apply) -> Sequence[bool]:
        """Through which inputs a gradient passes; by default through every float input."""
        return [v.type.is_float for v in node.inputs]

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> Sequence[Sequence[Size | None]]:
        """The shapes of the outputs from those of the inputs.

        ``None`` stands for a size that only the values decide, as how many elements of a
        mask are true; by default for all. Sizes that the types already know need no care:
        the caller takes those.
        """
        return [(None,) * output.ndim for output in node.outputs]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """What must hold at run time: triples of an axis and two sizes that must be equal.

        Only what the types leave open; compiled code checks it before it computes anything.
        """
        return []

    def sizes_from_zero(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size]]:
        """What must not be negative at run time: pairs of an axis and a size."""
        return []

    def inner_graphs(self, node: Apply) -> Sequence[InnerGraph]:
        """The graphs that it holds, to be shown; none for most ops."""
        return ()

    def make_node(self, *inputs: Variable) -> Apply:
        """Apply this op to variables."""
        return Apply(self, inputs, self.output_types(*inputs))

    def __call__(self, *inputs: Variable) -> Variable:
        """Apply this op; the only output, or the first."""
        return self.make_node(*inputs).outputs[0]

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """Run the reference on the arrays of one node and fit the results to its types."""
        result = self.reference(*inputs)
        results = result if isinstance(result, tuple) else (result,)
        return [
            np.asarray(value, dtype=variable.dtype)
            for value, variable in zip(results, node.outputs, strict=True)
        ]

    def __str__(self) -> str:
        parameters = ", ".join(
            f"{f.name}={getattr(self, f.name)}" for f in fields(self)
        )
        return f"{self.name}{{{parameters}}}" if parameters else self.name


class Elementwise(Op):
    """One scalar expression for each element.

    Inputs have the same number of axes and the dtypes the expression computes in; the
    functions that users call see to both (:mod:`workbench.core.ops.elementwise`).

    `c_expr` is C text with ``{x} {y} {z}`` for the operands, ``{t}`` for the C type of the
    first and ``{f}`` for its suffix of mathematical functions (``f`` for float32, else
    nothing). `cost` counts about one for an addition and 20 for an exponential.
    `c_complex` is the text for complex operands, where ``{f}`` is f for complex64; without
    one they are computed by the reference.

    `vjp` works element by element, too: what it makes of an element of the gradient may not
    depend on the others (:mod:`workbench.core.masks`).
    """

    arity: ClassVar[int] = 1
    c_expr: ClassVar[str] = ""
    c_complex: ClassVar[str] = ""
    cost: ClassVar[int] = 1

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """The dtypes the inputs are cast to, then that of the output.

        A Python type (``int``, ``float``, ``complex``) stands for a weak Python scalar.
        """
        raise NotImplementedError

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The C text for operands of the given dtypes; `c_expr` unless they matter."""
        return self.c_expr

    def complex_text(self, dtypes: Sequence[str]) -> str:
        """The C text where one of the operands is complex; `c_complex` unless the dtypes matter."""
        return self.c_complex

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """Every axis as long as the inputs that do not broadcast along it."""
        dtype = self.loop_types(*(v.dtype for v in inputs))[-1]
        return [TensorType(dtype, broadcast_static(self, inputs))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """Along each axis the size of the first input that does not broadcast."""
        sizes: list[Size] = []
        for axis in range(node.outputs[0].ndim):
            size: Size = 1
            for variable, shape in zip(node.inputs, shapes, strict=True):
                if variable.type.shape[axis] != 1:
                    size = shape[axis]
                    break
            sizes.append(size)
        return [tuple(sizes)]

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Along each axis the inputs that do not broadcast have one size."""
        return equal_sizes(node.inputs, shapes, range(node.outputs[0].ndim))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with sizes checked: only axes declared as 1 may stretch."""
        check_broadcast(node, [a.shape for a in inputs])
        return super().evaluate(node, inputs)


@dataclass(frozen=True)
class Reduction(Op):
    """Combines the elements along `axes`, which vanish from the shape.

    `c_start` is the C text of the value before any element, where ``{lowest}`` and
    ``{highest}`` stand for the extremes of the dtype; `c_combine` joins ``{a}``, what has
    been gathered, and ``{x}``, an element. With `needs_element` an empty axis is an error.

    Where one float can make the result NaN, `c_spoilt` is the test for it and `c_unspoilt`
    joins the others: two simple steps, which a processor does faster than one that minds.

    `c_complex` joins complex elements, where ``{f}`` is f for complex64; without one the
    reference does.
    """

    axes: tuple[int, ...]
    c_start: ClassVar[str] = "0"
    c_combine: ClassVar[str] = ""
    c_complex: ClassVar[str] = ""
    c_spoilt: ClassVar[str] = ""
    c_unspoilt: ClassVar[str] = ""
    needs_element: ClassVar[bool] = False

    def accumulator(self, dtype: str) -> str:
        """The dtype in which elements of `dtype` are gathered."""
        return self.result_dtype(dtype)

    def result_dtype(self, dtype: str) -> str:
        """The dtype of the result for elements of `dtype`."""
        return dtype

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The shape without the reduced axes."""
        (x,) = inputs
        shape = [s for axis, s in enumerate(x.type.shape) if axis not in self.axes]
        return [TensorType(self.result_dtype(x.dtype), tuple(shape))]

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes of the axes that stay."""
        return [tuple(s for axis, s in enumerate(shapes[0]) if axis not in self.axes)]

    def __str__(self) -> str:
        return (
            f"{self.name}{{axis={', '.join(map(str, self.axes))}}}"
            if self.axes
            else self.name
        )


class Indexer(Protocol):
    """What an op may ask while it says which element goes where.

    An index is an integer expression of the loops around it; it takes part in ``+ - * //``
    with Python integers and other indices. See :mod:`workbench.compile.loops`.
    """

    def size(self, size: Size) -> Any:
        """A size as an index expression."""

    def value(self, variable: Variable, index: Sequence[Any]) -> Any:
        """The element of an integer variable at `index`."""

    def wrap(self, index: Any, size: Size, axis: int, at: Sequence[Any] = ()) -> Any:
        """`index` counted from the end when negative; the call fails when it is out of range.

        Where `at` is given, the element there is what has the index: when a loop over
        those places does not run, nothing is checked.
        """

    def equal(self, a: Any, b: Any) -> Any:
        """Whether two indices are equal, 1 or 0."""


class View(Op):
    """Moves, repeats or leaves out elements of its first input and computes nothing."""

    def source_index(
        self, node: Apply, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """Which element of the first input stands at `index` of the output."""
        raise NotImplementedError


class Gather(View):
    """Reads elements of its first input at places that the other inputs give."""


class Generator(Op):
    """Makes each element from its own index.

    With `row_major` that is the element's number in row-major order, so that one sweep over
    all elements may take the place of nested loops.
    """

    row_major: ClassVar[bool] = False

    def element(self, node: Apply, index: Sequence[Any], b: Indexer) -> Any:
        """The element at `index`, as an index expression."""
        raise NotImplementedError


class Assembly(Op):
    """Fills one array from several parts.

    The output starts as a copy of input `base`, or as nothing when the parts cover it all.
    """

    base: ClassVar[int | None] = None

    def parts(self, node: Apply) -> Sequence[int]:
        """The numbers of the inputs whose elements are written, in this order."""
        raise NotImplementedError

    def adds(self) -> bool:
        """Whether a part is added to what stands there, rather than set."""
        return False

    def target_index(
        self, node: Apply, part: int, index: Sequence[Any], b: Indexer
    ) -> Sequence[Any]:
        """Where element `index` of input number `part` goes in the output."""
        raise NotImplementedError


class Composite(Op):
    """A name for an expression of simpler ops, or for several, one an output."""

    def expand(self, *inputs: Variable) -> Variable | Sequence[Variable]:
        """The expression it stands for."""
        raise NotImplementedError

    def expansion(self, node: Apply) -> list[Variable]:
        """The expressions that one node stands for, one an output."""
        expanded = self.expand(*node.inputs)
        return [expanded] if isinstance(expanded, Variable) else list(expanded)


class Opaque(Op):
    """No loop of ours: a library call, a kernel of its own, or the reference.

    An op with one output whose sizes follow from those of the inputs may bring C text: the
    statements that fill the output. They see, for input k, its elements as ``in<k>``, their C
    type as ``in<k>_t``, and for axis a its size ``in<k>_n<a>`` and its stride in elements
    ``in<k>_s<a>``; the same for the output, ``out``, which is contiguous and shares no memory
    with an input. `c_support` is text that stands once at the top: headers, functions.
    Where `c_iterations` says so, threads share the work, and the statements are those of
    the iterations ``begin <= i < end``.
    """

    c_support: ClassVar[str] = ""

    def c_code(self, node: Apply) -> str:
        """The statements, or nothing where the reference is to run."""
        return ""

    def c_iterations(self, node: Apply) -> tuple[str, str] | None:
        """How many iterations the text has, and what one costs in additions, both as C text.

        None where it is not cut into iterations. Each must write in places of its own.
        """
        return None


# --- helpers that type rules share -------------------------------------------------------


def broadcast_static(op: Op, inputs: Sequence[Variable]) -> tuple[int | None, ...]:
    """The static shape of an elementwise result.

    Raises
    ------
    ShapeError
        Two sizes, both known and neither 1, differ.
    """
    first = inputs[0].type.shape
    if all([v.type.shape == first for v in inputs]):
        return first
    shape: list[int | None] = []
    for axis, sizes in enumerate(zip(*(v.type.shape for v in inputs), strict=True)):
        known = {s for s in sizes if s is not None and s != 1}
        if len(known) > 1:
            line = location_here()
            raise ShapeError(
                _mismatch(op, inputs, [v.type.shape for v in inputs], axis, line)
            )
        if known:
            shape.append(known.pop())
        else:
            shape.append(1 if all(s == 1 for s in sizes) else None)
    return tuple(shape)


def equal_sizes(
    variables: Sequence[Variable],
    shapes: Sequence[Sizes],
    axes: Iterable[int],
    stretch: bool = True,
) -> list[tuple[int, Size, Size]]:
    """Size checks: along each axis all variables agree; those declared as 1 are free if `stretch`."""
    checks: list[tuple[int, Size, Size]] = []
    for axis in axes:
        sizes = [
            shape[axis]
            for variable, shape in zip(variables, shapes, strict=True)
            if not (stretch and variable.type.shape[axis] == 1)
        ]
        checks.extend((axis, sizes[0], other) for other in sizes[1:])
    return checks


def check_broadcast(node: Apply, shapes: Sequence[tuple[int, ...]]) -> None:
    """Check run-time sizes of an elementwise node.

    Raises
    ------
    ShapeError
        Sizes differ along an axis and the shorter was not declared as 1.
    """
    if len(shapes) < 2 or all(s == shapes[0] for s in shapes[1:]):
        return
    for axis in range(len(shapes[0])):
        sizes = {
            s[axis]
            for v, s in zip(node.inputs, shapes, strict=True)
            if v.type.shape[axis] != 1
        }
        if len(sizes) > 1:
            raise ShapeError(
                _mismatch(node.op, node.inputs, shapes, axis, node.origin.location)
            )


def _mismatch(
    op: Op,
    inputs: Sequence[Variable],
    shapes: Sequence[tuple[int | None, ...]],
    axis: int,
    line: Location | None,
) -> Report:
    sizes = [shape[axis] for shape in shapes]
    differ = " and ".join("?" if s is None else str(s) for s in dict.fromkeys(sizes))
    names = ", ".join(v.label() for v in inputs)
    report = Report(f"{op}({names}): sizes {differ} differ on axis {axis}.", line)
    rows = [
        [str(i), v.label(), str(v.type), str(tuple(shape)), str(v.location or "")]
        for i, (v, shape) in enumerate(zip(inputs, shapes, strict=True))
    ]
    report.table("input", ["", "name", "type", "shape", "from"], rows)
    if 1 in sizes:
        report.add(
            "hint",
            f"to stretch the input of size 1, declare it: T.addbroadcast(v, {axis}), or shape=(…, 1, …).",
        )
    else:
        report.add(
            "hint",
            "give both the same size, or add an axis with dimshuffle where one should broadcast.",
        )
    return report


def known_value(variable: Variable) -> Array | None:
    """The value of a constant, else ``None``."""
    return variable.data if isinstance(variable, Constant) else None


def settled_sizes(
    output: Variable,
    sizes: Sequence[Size | None],
    own: Callable[[Variable, int], Size],
    known: Callable[[Size], Size],
) -> Sizes:
    """The sizes of an output: what its type says, else what its op inferred, put as `known` has it.

    `own` gives the size along an axis that only the value will tell.
    """
    return tuple(
        static
        if static is not None
        else own(output, axis)
        if size is None
        else known(size)
        for axis, (static, size) in enumerate(
            zip(output.type.shape, sizes, strict=True)
        )
    )


def known_size(size: Size) -> Size:
    """A size as a number where it is a constant."""
    known = known_int(size)
    return size if known is None else known


def known_int(variable: Size) -> int | None:
    """The value of a size or of a scalar integer constant, else ``None``."""
    if isinstance(variable, int):
        return variable
    data = known_value(variable)
    return None if data is None or data.ndim else int(data)
