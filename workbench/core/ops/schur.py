"""Matrices made triangular by orthogonal ones: the forms of Schur, of one matrix or of two.

There are no gradients: the factors are determined but for signs and an order.

Read next: :mod:`workbench.core.ops.least_squares`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.core.graph import Variable
from workbench.core.ops.matrices import (
    MatrixOp,
    Shape,
    as_matrices,
    complex_dtype,
    widened,
)
from workbench.core.types import Array


@dataclass(frozen=True)
class Schur(MatrixOp):
    """t, z with x = z t zᴴ: z unitary and t upper triangular.

    The real form of a real matrix has blocks of 2 by 2 on the diagonal of t for pairs of
    complex eigenvalues.
    """

    output: str = "real"

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """As x, both."""
        return [tuple(shapes[0])] * 2

    def result_dtypes(self, dtype: str) -> list[str]:
        """Complex for the complex form."""
        return [complex_dtype(dtype) if self.output == "complex" else dtype] * 2

    def reference(self, x: Array) -> tuple[Array, ...]:
        """``scipy.linalg.schur``."""
        return self.each(self._one, x)

    def _one(self, x: Array) -> tuple[Array, ...]:
        from scipy import linalg

        return tuple(linalg.schur(x, self.output))


@dataclass(frozen=True)
class QZ(MatrixOp):
    """s, t, q, z with x = q s zᴴ and y = q t zᴴ: q and z unitary, s and t upper triangular."""

    output: str = "real"

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """As x, all four."""
        return [tuple(shapes[0])] * 4

    def result_dtypes(self, dtype: str) -> list[str]:
        """Complex for the complex form."""
        return [complex_dtype(dtype) if self.output == "complex" else dtype] * 4

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """Both square, of one size."""
        x, y = shapes
        rank = len(x)
        more = [(rank - 2, y[-2], x[-1]), (rank - 1, y[-1], x[-1])]
        return [*super().equalities(x, y), *more]

    def reference(self, x: Array, y: Array) -> tuple[Array, ...]:
        """``scipy.linalg.qz``."""
        return self.each(self._one, x, y)

    def _one(self, x: Array, y: Array) -> tuple[Array, ...]:
        from scipy import linalg

        return tuple(linalg.qz(x, y, self.output))


# --- what users call ---------------------------------------------------------------------


def schur(a: Any, output: str = "real") -> tuple[Variable, ...]:
    """t, z with a = z t zᴴ, for square matrices [..., n, n].

    Parameters
    ----------
    output : {"real", "complex"}
        Whether a real matrix gets a real t, with blocks on its diagonal, or a complex one.
        ``"r"`` and ``"c"`` for short.
    """
    (a,) = as_matrices("schur", widened(a))
    return Schur(_form(output)).make_node(a).outputs


def qz(a: Any, b: Any, output: str = "real") -> tuple[Variable, ...]:
    """s, t, q, z with a = q s zᴴ and b = q t zᴴ, for square matrices [..., n, n]."""
    matrices = as_matrices("qz", a, b, least="float32")
    return QZ(_form(output)).make_node(*matrices).outputs


def _form(output: str) -> str:
    form = {"r": "real", "c": "complex"}.get(output, output)
    if form not in ("real", "complex"):
        raise ValueError(f"output must be 'real' or 'complex', not {output!r}.")
    return form
