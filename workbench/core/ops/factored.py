"""Equations whose matrix has been factored: rewriting makes them where several share one matrix.

Read next: :mod:`workbench.core.ops.decompositions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.graph import Apply, Variable
from workbench.core.ops.diagonals import tril, triu
from workbench.core.ops.elementwise import add, eq, neg
from workbench.core.ops.matrices import (
    MatrixOp,
    Shape,
    as_column,
    as_row,
    flip,
    identity,
    product,
)
from workbench.core.ops.shape import sizes_of
from workbench.core.ops.solving import arange_like, pivots_to_permutation
from workbench.core.ops.ufunc import cast
from workbench.core.types import Array, TensorType


@dataclass(frozen=True)
class SolveFactored(MatrixOp):
    """Solutions of a x = b, or of aᵀ x = b when `trans` is 1, from the factors and pivots of a.

    A zero on the diagonal of the upper factor is the error that the equations would be.
    """

    name = "solve_factored"
    trans: int = 0

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """As for any function of matrices; the pivots have one axis less."""
        lu, pivots, b = inputs
        (result,) = super().output_types(lu, as_column(pivots), b)
        return [result.with_dtype(lu.dtype)]

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """That of b."""
        return [(*shapes[0][:-2], shapes[0][-1], shapes[-1][-1])]

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """The factors are square, with as many rows as b and as many pivots."""
        lu, pivots, b = shapes
        n, batch = lu[-1], len(lu) - 2
        return [
            (batch + 1, lu[-2], n),
            (batch, n, b[-2]),
            (batch, pivots[batch], n),
            *((i, lu[i], other[i]) for i in range(batch) for other in (pivots, b)),
        ]

    def reference(self, lu: Array, pivots: Array, b: Array) -> Array:
        """``scipy.linalg.lu_solve``."""
        if (np.diagonal(lu, 0, -2, -1) == 0).any():
            raise np.linalg.LinAlgError("Singular matrix")
        return self.each(self._one, lu, pivots, b)

    def _one(self, lu: Array, pivots: Array, b: Array) -> Array:
        from scipy import linalg

        return linalg.lu_solve((lu, pivots), b, self.trans, check_finite=False)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """For b the solution h with the other transpose; for a -h xᵀ, split as a = p l u is."""
        lu, pivots, _ = node.inputs
        assert g is not None
        h, x = SolveFactored(int(not self.trans))(lu, pivots, g), node.output
        ga = neg(product(x, flip(h)) if self.trans else product(h, flip(x)))
        order = pivots_to_permutation(pivots)
        swap = cast(eq(as_column(order), as_row(arange_like(order))), lu.dtype)
        moved = product(swap, ga)
        low = add(tril(lu, -1), identity(sizes_of(lu)[-1], lu.dtype))
        below = tril(product(moved, flip(triu(lu))), -1)
        return [add(below, triu(product(flip(low), moved))), None, h]
