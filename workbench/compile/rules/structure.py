"""What is known of a matrix from how it was made: diagonal, triangular, the identity.

Nothing is assumed: a matrix counts as lower triangular when it is a factor of Cholesky's,
or was cut by ``tril``.

Read next: :mod:`workbench.compile.rules.linear_algebra`.
"""

from __future__ import annotations

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context
from workbench.compile.rules.products import node_of
from workbench.compile.rules.scatter import counts_up
from workbench.core.graph import Constant, Variable
from workbench.core.op import known_int
from workbench.core.ops.creation import ARange
from workbench.core.ops.diagonals import diagonal
from workbench.core.ops.elementwise import Add, Eq, Ge, Mul, Neg, Sub, Switch
from workbench.core.ops.factorizations import LU, QR, Cholesky
from workbench.core.ops.gathering import Put
from workbench.core.ops.shape import SpecifyShape, dimshuffle, size_variable
from workbench.core.ops.ufunc import Cast, DimShuffle

OTHER = {"lower": "upper", "upper": "lower"}


def transposed_from(variable: Variable) -> Variable | None:
    """The matrix, or the batch of them, that `variable` is the transpose of, or None."""
    node = node_of(variable, DimShuffle)
    if node is None or variable.ndim < 2 or node.inputs[0].ndim != variable.ndim:
        return None
    *batch, a, b = range(variable.ndim)
    return node.inputs[0] if node.op.order == (*batch, b, a) else None


def is_square(matrix: Variable, context: Context) -> bool:
    """Whether the last two sizes are known to be equal, if the matrix comes to be at all."""
    if node_of(
        matrix if (inner := transposed_from(matrix)) is None else inner, Cholesky
    ):
        return True
    sizes = context.sizes(matrix)
    return context.same_size(sizes[-2], sizes[-1])


def squared(matrix: Variable, context: Context) -> Variable:
    """The matrix, checked to be square when it runs unless that is known."""
    if is_square(matrix, context):
        return matrix
    *batch, rows, _ = context.sizes(matrix)
    wanted = [*(-1 for _ in range(len(batch) + 1)), rows]
    return SpecifyShape()(matrix, *map(size_variable, wanted))


# --- diagonal matrices ----------------------------------------------------------------


def diagonal_vector(matrix: Variable, context: Context) -> Variable | None:
    """The vector on the diagonal of a square matrix known to be diagonal, or None."""
    if matrix.ndim != 2:
        return None
    if isinstance(matrix, Constant):
        return _of_constant(matrix)
    node = node_of(matrix, Put, Mul, Switch)
    if node is None:
        return None
    if isinstance(node.op, Put):
        base, part, *places = node.inputs
        rows, columns = context.sizes(base)
        square = context.same_size(rows, columns) and part.ndim == 1
        if not square or uniform_value(base) != 0 or node.op.axes != 2:
            return None
        return part if all(counts_up(p, rows, context) for p in places) else None
    if isinstance(node.op, Switch):
        mask, value, other = node.inputs
        pairs = [(mask, value)] if uniform_value(other) == 0 else []
    else:
        pairs = [node.inputs, node.inputs[::-1]]
    for one, value in pairs:
        if value.broadcastable not in BESIDE or not is_identity(one, context):
            continue
        vector = dimshuffle(value, BESIDE.index(value.broadcastable))
        size = context.sizes(vector)[0]
        return vector if context.same_size(size, context.sizes(matrix)[0]) else None
    return None


BESIDE = [(False, True), (True, False)]
"""How a column and a row stretch."""


def _of_constant(matrix: Constant) -> Variable | None:
    a = matrix.data
    if a.shape[0] != a.shape[1] or not np.array_equal(a, np.diag(np.diag(a))):
        return None
    return Constant(np.diag(a).copy())


def is_identity(matrix: Variable, context: Context) -> bool:
    """Whether a square matrix is known to have ones on its diagonal and zeros elsewhere."""
    node = node_of(matrix, Cast)
    if node is not None:
        matrix = node.inputs[0]
    equal = node_of(matrix, Eq)
    if equal is None or matrix.ndim != 2:
        return False
    rows, columns = (counted(v) for v in equal.inputs)
    return (
        rows is not None
        and columns is not None
        and {rows[0], columns[0]} == {0, 1}
        and rows[1] == columns[1] == 0
        and is_square(matrix, context)
    )


def counted(variable: Variable) -> tuple[int, int] | None:
    """The axis along which the elements count up one by one, and the first; or None."""
    first = 0
    while True:
        node = variable.owner
        if node is None:
            return None
        op = node.op
        if isinstance(op, Add | Sub):
            x, y = node.inputs
            shift = uniform_value(y)
            if shift is None and isinstance(op, Add):
                x, shift = y, uniform_value(x)
            if shift is None:
                return None
            first += int(shift) if isinstance(op, Add) else -int(shift)
            variable = x
        elif isinstance(op, DimShuffle) and variable.ndim == 2:
            inner = counted_vector(node.inputs[0])
            if inner is None or 0 not in op.order:
                return None
            return op.order.index(0), first + inner
        else:
            return None


def counted_vector(vector: Variable) -> int | None:
    """Where a vector that counts up one by one begins, or None."""
    first = 0
    node = node_of(vector, Add, Sub)
    if node is not None:
        shift = uniform_value(node.inputs[1])
        if shift is None:
            return None
        first = int(shift) if isinstance(node.op, Add) else -int(shift)
        vector = node.inputs[0]
    made = node_of(vector, ARange)
    if made is None or known_int(made.inputs[2]) != 1:
        return None
    start = known_int(made.inputs[0])
    return None if start is None else start + first


# --- triangles ------------------------------------------------------------------------


def triangle_of(matrix: Variable, context: Context) -> str | None:
    """``"lower"`` or ``"upper"`` when the matrix is known to be such a triangle, else None."""
    inner = transposed_from(matrix)
    if inner is not None:
        found = triangle_of(inner, context)
        return None if found is None else OTHER[found]
    if isinstance(matrix, Constant) and matrix.ndim == 2:
        if np.array_equal(matrix.data, np.tril(matrix.data)):
            return "lower"
        return "upper" if np.array_equal(matrix.data, np.triu(matrix.data)) else None
    node = matrix.owner
    if node is None:
        return None
    op = node.op
    if isinstance(op, Cholesky):
        return "lower" if op.lower else "upper"
    if isinstance(op, LU) and matrix.index in (1, 2):
        return "lower" if matrix.index == 1 else "upper"
    if isinstance(op, QR) and op.mode in ("reduced", "r", "complete"):
        return "upper" if matrix is node.outputs[-1] else None
    if isinstance(op, Neg):
        return triangle_of(node.inputs[0], context)
    if isinstance(op, Mul):
        for x, y in (node.inputs, node.inputs[::-1]):
            if all(x.broadcastable):
                return triangle_of(y, context)
    if diagonal_vector(matrix, context) is not None:
        return "lower"
    cut = cut_triangle(matrix)
    return None if cut is None else cut[0]


def cut_triangle(matrix: Variable) -> tuple[str, Variable] | None:
    """Which triangle ``tril`` or ``triu`` left, its diagonal included, and of what; or None."""
    node = node_of(matrix, Switch)
    if node is None:
        return None
    mask, x, y = node.inputs
    rule = node_of(mask, Ge)
    if rule is None or mask.ndim != 2:
        return None
    rows, columns = (counted(v) for v in rule.inputs)
    if rows is None or columns is None or (rows[0], columns[0]) != (0, 1):
        return None
    shift = rows[1] - columns[1]  # true where row + shift >= column
    if uniform_value(y) == 0 and shift == 0:
        return "lower", x
    return ("upper", y) if uniform_value(x) == 0 and shift == -1 else None


def diagonal_of(matrix: Variable, context: Context) -> Variable:
    """The diagonal of a triangle, read without the zeros beside it; it is checked to be square."""
    vector = diagonal_vector(matrix, context)
    if vector is not None:
        return vector
    while True:
        inner, cut = transposed_from(matrix), cut_triangle(matrix)
        if inner is not None:
            matrix = inner
        elif cut is not None and context.same_sizes(cut[1], matrix):
            matrix = cut[1]
        else:
            return diagonal(squared(matrix, context), 0, -2, -1)
