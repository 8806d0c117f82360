"""What functions of matrices share: types, checks, errors, batches, and tools for derivatives.

A function of matrices takes them in the last two axes; axes before those are a batch. None
has a loop of ours: each runs LAPACK through NumPy or SciPy (:class:`MatrixOp`). Integers
become float64, and float16 is refused, as in ``numpy.linalg``.

Read next: :mod:`workbench.core.ops.solving`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import (
    DTypeError,
    GradientError,
    Report,
    ShapeError,
    WorkbenchError,
)
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes
from workbench.core.ops.complexes import conj
from workbench.core.ops.creation import arange
from workbench.core.ops.diagonals import tril, triu
from workbench.core.ops.elementwise import add, eq, minimum, mul
from workbench.core.ops.products import matmul, stretch_batches
from workbench.core.ops.shape import dimshuffle, size_variable, sizes_of
from workbench.core.ops.ufunc import DimShuffle, cast
from workbench.core.source import Location, location_here
from workbench.core.types import Array, TensorType

Shape = Sequence[Any]
"""Sizes as a type knows them (None where not known) or as variables."""


class LinAlgError(WorkbenchError, np.linalg.LinAlgError):
    """A matrix is singular, not positive definite, or an iteration does not converge."""


class MatrixShapeError(ShapeError, LinAlgError):
    """An array is no matrix, or no square one where it must be."""


class MatrixOp(Opaque):
    """A function of matrices in the last two axes, which runs its reference.

    A subclass states its shapes once (:meth:`result_shapes`), for sizes known by type and
    for sizes that are variables alike.
    """

    square: ClassVar[bool] = True
    """Whether the first input must be square."""

    needs: ClassVar[str] = "the last two axes must be equal: the matrix must be square."

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """The shapes of the outputs from those of the inputs."""
        return [tuple(shapes[0])]

    def result_dtypes(self, dtype: str) -> list[str]:
        """The dtypes of the outputs, when all inputs have `dtype`."""
        return [dtype] * len(self.result_shapes(*[(0, 0)] * 3))

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """Which sizes of the inputs must be equal: an axis and two sizes."""
        first = shapes[0]
        rank = len(first)
        checks = [(rank - 1, first[-2], first[-1])] if self.square else []
        for shape in shapes[1:]:
            for axis in range(rank - 2):
                checks.append((axis, first[axis], shape[axis]))
        return checks

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """From the shapes; sizes that must be equal are compared where they are known."""
        shapes = [v.type.shape for v in inputs]
        self._compare(inputs, shapes, location_here)
        found = self.result_shapes(*_filled(shapes))
        dtypes = self.result_dtypes(inputs[0].dtype)
        return [TensorType(d, s) for d, s in zip(dtypes, found, strict=True)]

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> Sequence[Sequence[Size | None]]:
        """As the types, with sizes as variables."""
        return self.result_shapes(*shapes)

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """The sizes that must be equal."""
        return self.equalities(*shapes)

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with sizes compared; what LAPACK says names the operation."""
        shapes = [a.shape for a in inputs]
        self._compare(node.inputs, shapes, lambda: node.origin.location)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return super().evaluate(node, inputs)
        except np.linalg.LinAlgError as error:
            text = str(error).rstrip(".")
            names = ", ".join(map(_told, node.inputs))
            raise LinAlgError(
                Report(f"{self.name}({names}): {text}.", node.origin.location)
            ) from None

    def _compare(
        self,
        inputs: Sequence[Variable],
        shapes: Sequence[Shape],
        line: Callable[[], Location | None],
    ) -> None:
        """Compare sizes; `line` finds the user's, which takes long, when they differ."""
        for _, a, b in self.equalities(*shapes):
            if None in (a, b) or a == b:
                continue
            names = ", ".join(map(_told, inputs))
            report = Report(f"{self.name}({names}): sizes {a} and {b} differ.", line())
            rows = [
                [
                    str(i),
                    v.label(),
                    str(v.type),
                    str(tuple(shape)),
                    str(v.location or ""),
                ]
                for i, (v, shape) in enumerate(zip(inputs, shapes, strict=True))
            ]
            report.table("input", ["", "name", "type", "shape", "from"], rows)
            raise MatrixShapeError(report.add("hint", self.needs))

    def each(self, function: Callable[..., Any], *arrays: Array) -> Any:
        """`function` of every matrix of a batch; for SciPy, which knows no batches.

        A function of nothing but empty matrices is not called.
        """
        shapes = self.result_shapes(*(a.shape for a in arrays))
        dtypes = self.result_dtypes(arrays[0].dtype.name)
        results = [np.empty(s, d) for s, d in zip(shapes, dtypes, strict=True)]
        batch = arrays[0].shape[:-2]
        if any(r.size for r in results):
            for place in np.ndindex(*batch):
                found = function(*(a[place] for a in arrays))
                values = found if isinstance(found, tuple) else (found,)
                for result, value in zip(results, values, strict=True):
                    result[place] = value
        return tuple(results) if len(results) > 1 else results[0]

    def real_only(self, node: Apply) -> None:
        """Refuse a derivative by complex matrices.

        Raises
        ------
        GradientError
            The first input is complex.
        """
        if np.dtype(node.inputs[0].dtype).kind == "c":
            raise GradientError(
                f"{self.name} has no gradient by a complex matrix, {node.inputs[0].label()}: {node.inputs[0].type}."
            )

    def __str__(self) -> str:
        chosen = [
            f"{f.name}={value}"
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default
        ]
        return f"{self.name}{{{', '.join(chosen)}}}" if chosen else self.name


def _filled(shapes: Sequence[Shape]) -> list[tuple[Any, ...]]:
    """The shapes with sizes of the batch that one of them knows."""
    batches = [shape[:-2] for shape in shapes]
    common = [
        next((s for s in sizes if s is not None), None)
        for sizes in zip(*batches, strict=True)
    ]
    return [(*common, *shape[-2:]) for shape in shapes]


# --- operands ----------------------------------------------------------------------------


def as_matrices(name: str, *arrays: Any, least: str | None = None) -> list[Variable]:
    """The operands of a function in one floating dtype, the batches stretched to each other.

    `least` is that of :func:`matrix_dtype`.

    Raises
    ------
    MatrixShapeError
        One has less than two axes.
    DTypeError
        One is float16.
    """
    variables = [as_variable(a) for a in arrays]
    for v in variables:
        if v.ndim < 2:
            raise MatrixShapeError(
                f"{name} takes matrices, arrays of at least two axes; {v.label()} is {v.type}."
            )
    dtype = matrix_dtype(name, *variables, least=least)
    return stretch_batches(*(cast(v, dtype) for v in variables))


def widened(x: Any) -> Variable:
    """float16 as float32, as SciPy takes it; everything else as it is."""
    x = as_variable(x)
    return cast(x, "float32") if x.dtype == "float16" else x


def matrix_dtype(name: str, *variables: Variable, least: str | None = None) -> str:
    """What LAPACK computes in: the common dtype, float64 for integers, as NumPy has it.

    SciPy's way is another: the common dtype of all and of `least`, float32, so that short
    integers and float16 become that.

    Raises
    ------
    DTypeError
        One is float16, for which there is no LAPACK, and there is no `least`.
    """
    if least is not None:
        return str(np.result_type(least, *(v.dtype for v in variables)).name)
    for v in variables:
        if v.dtype == "float16":
            raise DTypeError(
                f"{name} is not defined for float16: cast {v.label()} to float32."
            )
    dtypes = [
        "float64" if np.dtype(v.dtype).kind in "biu" else v.dtype for v in variables
    ]
    return str(np.result_type(*dtypes).name)


def real_dtype(dtype: str) -> str:
    """The dtype of the parts of a complex number; a real dtype itself."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def complex_dtype(dtype: str) -> str:
    """The complex dtype with parts of this one; a complex dtype itself."""
    return {"float32": "complex64", "float64": "complex128"}.get(dtype, dtype)


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two sizes; None when one is not known."""
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    if a is None or b is None:
        return 0 if 0 in (a, b) else None
    return minimum(size_variable(a), size_variable(b))


# --- matrices in expressions -------------------------------------------------------------


def flip(x: Variable) -> Variable:
    """Every matrix transposed."""
    return dimshuffle(x, *range(x.ndim - 2), x.ndim - 1, x.ndim - 2)


def adjoint(x: Variable) -> Variable:
    """Every matrix transposed and conjugated."""
    return conj(flip(x))


def product(*factors: Variable) -> Variable:
    """The matrix product from left to right."""
    result, *others = factors
    for factor in others:
        result = matmul(result, factor)
    return result


def as_column(v: Variable) -> Variable:
    """Vectors [..., n] as [..., n, 1], which stretches along rows."""
    return dimshuffle(v, *range(v.ndim), "x")


def as_row(v: Variable) -> Variable:
    """Vectors [..., n] as [..., 1, n], which stretches along columns."""
    return dimshuffle(v, *range(v.ndim - 1), "x", v.ndim - 1)


def triangle(x: Variable, lower: bool, without_diagonal: bool = False) -> Variable:
    """The lower or upper triangle of `x`, zeros elsewhere."""
    k = int(without_diagonal)
    return tril(x, -k) if lower else triu(x, k)


def with_diagonal(v: Variable) -> Variable:
    """Square matrices with the vectors `v` [..., n] on their diagonals."""
    n = sizes_of(v)[-1]
    return mul(as_column(v), identity(n, v.dtype))


def identity(n: Size, dtype: str) -> Variable:
    """The identity matrix."""
    places = arange(size_variable(n))
    return cast(eq(dimshuffle(places, 0, "x"), dimshuffle(places, "x", 0)), dtype)


def fold(x: Variable, lower: bool) -> Variable:
    """The gradient by one triangle of a symmetric matrix, from that by the whole of it.

    What LAPACK reads as symmetric it reads from one triangle only: a change there counts
    for two elements, a change in the other for none.
    """
    other = triangle(flip(x), lower, without_diagonal=True)
    return add(triangle(x, lower), other)


def symmetrised(x: Variable, lower: bool) -> Variable:
    """The symmetric (Hermitian) matrix that one triangle of `x` stands for."""
    return add(
        triangle(x, lower), triangle(adjoint(x), not lower, without_diagonal=True)
    )


def _told(variable: Variable) -> str:
    """What a message calls an operand: new axes and copies of ours are left out."""
    while not variable.name and variable.owner is not None:
        node = variable.owner
        if not isinstance(node.op, DimShuffle) and node.origin.rule != "copy":
            break
        variable = node.inputs[0]
    return variable.label()
