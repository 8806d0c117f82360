"""Matrix equations of control theory: Sylvester's, Lyapunov's and Riccati's.

Read next: :mod:`workbench.core.ops.nnet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from workbench.core.errors import ShapeError
from workbench.core.graph import Apply, Variable
from workbench.core.ops.complexes import conj
from workbench.core.ops.elementwise import add, mul, neg, sub
from workbench.core.ops.matrices import (
    MatrixOp,
    Shape,
    adjoint,
    as_matrices,
    flip,
    identity,
    product,
    widened,
)
from workbench.core.ops.products import kron
from workbench.core.ops.shape import ravel, reshape, sizes_of
from workbench.core.ops.solving import inv, solve
from workbench.core.types import Array


class Sylvester(MatrixOp):
    """x [m, n] with a x + x b = q, for a [m, m], b [n, n] and q [m, n].

    There is one solution unless an eigenvalue of a is the negative of one of b.
    """

    name = "solve_sylvester"
    needs: ClassVar[str] = (
        "a and b must be square, q with as many rows as a and as many columns as b."
    )

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """That of q."""
        a, b, _ = shapes
        return [(*a[:-2], a[-1], b[-1])]

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """a and b are square and fit q."""
        a, b, q = shapes
        rank = len(a)
        return [
            *super().equalities(*shapes),
            (rank - 1, b[-2], b[-1]),
            (rank - 2, q[-2], a[-1]),
            (rank - 1, q[-1], b[-1]),
        ]

    def reference(self, a: Array, b: Array, q: Array) -> Array:
        """``scipy.linalg.solve_sylvester``."""
        return self.each(_sylvester, a, b, q)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """For q the solution s of aᵀ s + s bᵀ = g; for a -s xᵀ, for b -xᵀ s."""
        a, b, _ = node.inputs
        assert g is not None
        s, x = self(flip(a), flip(b), g), flip(node.output)
        return [neg(product(s, x)), neg(product(x, s)), s]


def _sylvester(a: Array, b: Array, q: Array) -> Array:
    from scipy import linalg

    return linalg.solve_sylvester(a, b, q)


class DiscreteRiccati(MatrixOp):
    """The x that stabilises aᵀ x a - x - aᵀ x b (r + bᵀ x b)⁻¹ bᵀ x a + q = 0.

    a and q are [n, n], b is [n, k] and r [k, k]; q and r are symmetric, and the gradient is
    that by symmetric changes of them.
    """

    name = "solve_discrete_are"
    needs: ClassVar[str] = "the shapes must be [n, n], [n, k], [n, n] and [k, k]."

    def result_shapes(self, *shapes: Shape) -> list[tuple[Any, ...]]:
        """That of a."""
        return [tuple(shapes[0])]

    def result_dtypes(self, dtype: str) -> list[str]:
        """One matrix."""
        return [dtype]

    def equalities(self, *shapes: Shape) -> list[tuple[int, Any, Any]]:
        """All fit a and b."""
        a, b, q, r = shapes
        rank = len(a)
        return [
            *super().equalities(*shapes),
            (rank - 2, b[-2], a[-1]),
            (rank - 2, q[-2], a[-1]),
            (rank - 1, q[-1], a[-1]),
            (rank - 2, r[-2], b[-1]),
            (rank - 1, r[-1], b[-1]),
        ]

    def reference(self, a: Array, b: Array, q: Array, r: Array) -> Array:
        """``scipy.linalg.solve_discrete_are``."""
        return self.each(_discrete_riccati, a, b, q, r)

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """With k = (r + bᵀ x b)⁻¹ bᵀ x a, c = a - b k and s = c s cᵀ + (g + gᵀ)/2.

        For a: 2 x c s; b: -2 x c s kᵀ; q: s; r: k s kᵀ.

        References
        ----------
        Kao and Hennequin (2020), Automatic differentiation of Sylvester, Lyapunov, and
        algebraic Riccati equations, arXiv:2011.11430, section 5.
        """
        self.real_only(node)
        a, b, _, r = node.inputs
        assert g is not None
        x = node.output
        k = solve(add(r, product(flip(b), x, b)), product(flip(b), x, a))
        c = sub(a, product(b, k))
        s = solve_discrete_lyapunov(c, mul(add(g, flip(g)), 0.5))
        ga = mul(product(x, c, s), 2)
        return [ga, neg(product(ga, flip(k))), s, product(k, s, flip(k))]


def _discrete_riccati(a: Array, b: Array, q: Array, r: Array) -> Array:
    from scipy import linalg

    return linalg.solve_discrete_are(a, b, q, r)


# --- what users call ---------------------------------------------------------------------


def solve_sylvester(a: Any, b: Any, q: Any) -> Variable:
    """x with a x + x b = q, for a [..., m, m], b [..., n, n] and q [..., m, n]."""
    matrices = [widened(m) for m in (a, b, q)]
    return Sylvester()(*as_matrices("solve_sylvester", *matrices))


def solve_continuous_lyapunov(a: Any, q: Any) -> Variable:
    """x with a x + x aᴴ = q, for square matrices [..., n, n]."""
    a, q = as_matrices("solve_continuous_lyapunov", widened(a), widened(q))
    return Sylvester()(a, adjoint(a), q)


def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Variable:
    """x with a x aᴴ - x + q = 0, for square matrices [n, n].

    Parameters
    ----------
    method : {None, "direct", "bilinear"}
        ``"direct"`` solves for all n² elements at once, ``"bilinear"`` by way of the
        continuous equation, in O(n³). By default direct below n = 10 if n is known.

    Raises
    ------
    ShapeError
        There is a batch and the method is ``"direct"``.
    """
    a, q = as_matrices("solve_discrete_lyapunov", a, q)
    n = a.type.shape[-1]
    if method is None:
        method = "direct" if n is not None and n < 10 and a.ndim == 2 else "bilinear"
    if method == "direct":
        return _lyapunov_direct(a, q)
    if method != "bilinear":
        raise ValueError(f"solve_discrete_lyapunov: unknown method {method!r}.")
    one, h = identity(sizes_of(a)[-1], a.dtype), adjoint(a)
    right = inv(add(h, one))
    b = product(sub(h, one), right)
    c = mul(product(inv(add(a, one)), q, right), 2)
    return solve_continuous_lyapunov(adjoint(b), neg(c))


def _lyapunov_direct(a: Variable, q: Variable) -> Variable:
    if a.ndim != 2:
        raise ShapeError("solve_discrete_lyapunov: the direct method takes no batch.")
    whole = kron(a, conj(a))
    one = identity(sizes_of(whole)[-1], a.dtype)
    return reshape(solve(sub(one, whole), ravel(q)), sizes_of(q))


def solve_discrete_are(a: Any, b: Any, q: Any, r: Any) -> Variable:
    """The stabilising solution x of the discrete algebraic Riccati equation.

    aᴴ x a - x - aᴴ x b (r + bᴴ x b)⁻¹ bᴴ x a + q = 0 for a, q [..., n, n], b [..., n, k] and
    r [..., k, k].

    Raises
    ------
    LinAlgError
        At run time: there is no such solution.
    """
    return DiscreteRiccati()(*as_matrices("solve_discrete_are", a, b, q, r))
