"""Linear algebra: ``T.linalg.solve``, ``T.linalg.svd``, with NumPy's and SciPy's names.

Where the two differ, NumPy's meaning stands, but a Cholesky factor may be asked for in
either's words. The tradition calls parts of it ``T.nlinalg`` and ``T.slinalg``.
"""

from typing import Any

from workbench.core.errors import ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import diagonals as _diagonals
from workbench.core.ops import products as _products
from workbench.core.ops.decompositions import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    svd,
    svdvals,
)
from workbench.core.ops.equations import (
    solve_continuous_lyapunov,
    solve_discrete_are,
    solve_discrete_lyapunov,
    solve_sylvester,
)
from workbench.core.ops.factorizations import cho_factor, cholesky, lu, lu_factor, qr
from workbench.core.ops.least_squares import lstsq, matrix_rank, pinv
from workbench.core.ops.linalg import dot
from workbench.core.ops.matrices import LinAlgError
from workbench.core.ops.matrix_functions import (
    cond,
    det,
    expm,
    matrix_norm,
    matrix_power,
    norm,
    slogdet,
    vector_norm,
)
from workbench.core.ops.products import (
    cross,
    inner,
    kron,
    matmul,
    matrix_dot,
    multi_dot,
    tensordot,
    vdot,
    vecdot,
)
from workbench.core.ops.schur import qz, schur
from workbench.core.ops.shape import swapaxes
from workbench.core.ops.solving import (
    cho_solve,
    inv,
    lu_solve,
    pivots_to_permutation,
    solve,
    solve_lower_triangular,
    solve_symmetric,
    solve_triangular,
    solve_upper_triangular,
    tensorinv,
    tensorsolve,
)
from workbench.core.ops.stacking import block_diag

matrix_inverse = inv


def diagonal(x: Any, *, offset: int = 0) -> Variable:
    """The diagonals of the matrices in the last two axes."""
    return _diagonals.diagonal(x, offset, -2, -1)


def outer(x: Any, y: Any) -> Variable:
    """Every element of one vector times every element of another, a matrix."""
    vectors = [as_variable(v) for v in (x, y)]
    for v in vectors:
        if v.ndim != 1:
            raise ShapeError(f"outer takes vectors, {v.label()} is {v.type}.")
    return _products.outer(*vectors)


def trace(x: Any, *, offset: int = 0, dtype: str | None = None) -> Variable:
    """The sums of the diagonals of the matrices in the last two axes."""
    return _products.trace(x, offset, -2, -1, dtype)


def matrix_transpose(x: Any) -> Variable:
    """The matrices in the last two axes transposed."""
    return swapaxes(x, -1, -2)


__all__ = [
    "LinAlgError", "block_diag", "cho_factor", "cho_solve", "cholesky", "cond", "cross", "det", "diagonal", "dot",
    "eig", "eigh", "eigvals", "eigvalsh", "expm", "inner", "inv", "kron", "lstsq", "lu", "lu_factor", "lu_solve",
    "matmul", "matrix_dot", "matrix_inverse", "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose",
    "multi_dot", "norm", "outer", "pinv", "pivots_to_permutation", "qr", "qz", "schur", "slogdet", "solve",
    "solve_continuous_lyapunov", "solve_discrete_are", "solve_discrete_lyapunov", "solve_lower_triangular",
    "solve_symmetric", "solve_sylvester", "solve_triangular", "solve_upper_triangular", "svd", "svdvals", "tensordot",
    "tensorinv", "tensorsolve", "trace", "vdot", "vecdot", "vector_norm",
]  # fmt: skip
