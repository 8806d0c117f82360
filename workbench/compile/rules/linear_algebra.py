"""Equations in place of inverses, and what the structure of a matrix saves.

That a matrix is singular, or not positive definite, is an error at run time; where a rule
takes a shorter way, LAPACK still sees what it would complain about. So a diagonal matrix is
inverted as n matrices of one element, and not by dividing.

Which structure is known: :mod:`workbench.compile.rules.structure`.
"""

from __future__ import annotations

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.compile.rules.structure import (
    diagonal_of,
    diagonal_vector,
    is_identity,
    is_square,
    squared,
    transposed_from,
    triangle_of,
)
from workbench.core.graph import Apply, Variable, as_variable, toposort
from workbench.core.ops.creation import ARange
from workbench.core.ops.decompositions import (
    SVD,
    Eigh,
    Eigvalsh,
    SingularValues,
)
from workbench.core.ops.diagonals import diag
from workbench.core.ops.elementwise import Mul, abs, add, mul, sign, true_div
from workbench.core.ops.factored import SolveFactored
from workbench.core.ops.factorizations import QR, Cholesky, LUFactor
from workbench.core.ops.gathering import Take
from workbench.core.ops.linalg import BatchedDot, Dot
from workbench.core.ops.mathematics import log, pow
from workbench.core.ops.matrices import as_column, as_row, flip
from workbench.core.ops.matrix_functions import Det, SLogDet
from workbench.core.ops.reduction import Prod, Sum
from workbench.core.ops.shape import Reshape, dimshuffle, size_variable
from workbench.core.ops.solving import Inverse, Solve, SolveTriangular
from workbench.core.ops.ufunc import DimShuffle, cast

# --- inverses -------------------------------------------------------------------------


def inverse_in(variable: Variable) -> Variable | None:
    """The matrix whose inverse `variable` is, also by way of a transpose; or None."""
    swapped = transposed_from(variable)
    node = node_of(variable if swapped is None else swapped, Inverse)
    if node is None or node.op.on_error != "raise":
        return None
    (a,) = node.inputs
    return a if swapped is None else flip(a)


def read_by_one(variable: Variable, context: Context) -> bool:
    """Whether nobody else reads an inverse, nor its transpose."""
    swapped = transposed_from(variable)
    return context.read_once(variable) and (
        swapped is None or context.read_once(swapped)
    )


@node_rule(Dot, BatchedDot, tags=["finite_math"], some=(Inverse, DimShuffle))
def product_with_inverse(node, context):
    """To multiply by an inverse is to solve equations: a third of the work, and more precise."""
    x, y = node.inputs
    a = inverse_in(x) if read_by_one(x, context) else None
    if a is not None:
        return _solution(a, y)
    a = inverse_in(y) if read_by_one(y, context) else None
    if a is None:
        return None
    if x.ndim == 1:
        return _solution(flip(a), x)
    return flip(Solve()(flip(a), flip(x)))


def _solution(a: Variable, b: Variable) -> Variable:
    if b.ndim > 1:
        return Solve()(a, b)
    return dimshuffle(Solve()(a, as_column(b)), 0)


@node_rule(Inverse, tags=["finite_math"], some=Inverse)
def inverse_of_inverse(node, context):
    """The inverse of the inverse is the matrix, which must be square; a singular one goes through."""
    inner = node_of(node.inputs[0], Inverse)
    if inner is None or inner.op != node.op or node.op.on_error != "raise":
        return None
    return squared(inner.inputs[0], context)


@node_rule(Inverse, some=DimShuffle)
def inverse_of_transpose(node):
    """The transpose of the inverse: so both are found to be of one matrix."""
    a = transposed_from(node.inputs[0])
    return None if a is None else flip(node.op(a))


@node_rule(Inverse, tags=["finite_math"])
def inverse_of_diagonal(node, context):
    """The reciprocals on the diagonal. A zero there is found as before."""
    vector = diagonal_vector(node.inputs[0], context)
    if vector is None:
        return None
    each = node.op(dimshuffle(vector, 0, "x", "x"))
    return diag(dimshuffle(each, 0))


# --- equations ------------------------------------------------------------------------


@node_rule(Solve, tags=["finite_math"])
def solve_of_diagonal(node, context):
    """Every row of a diagonal matrix is an equation of its own. A zero is found as before.

    So is a right side of another length: the batches of one equation must agree.
    """
    a, b = node.inputs
    vector = diagonal_vector(a, context)
    if vector is None or b.ndim != 2:
        return None
    each = node.op(dimshuffle(vector, 0, "x", "x"), dimshuffle(b, 0, "x", 1))
    return dimshuffle(each, 0, 2)


@node_rule(Solve, tags=["finite_math"])
def solve_of_triangle(node, context):
    """Equations with a triangle need no factorisation."""
    a, b = node.inputs
    found = triangle_of(a, context)
    if node.op.assume != "gen" or found is None:
        return None
    return SolveTriangular(lower=found == "lower")(a, b)


@node_rule(Solve, tags=["finite_math"], some=Dot)
def solve_of_square(node, context):
    """Equations with l lᵀ, of a triangle l, are those with l and then with lᵀ."""
    a, b = node.inputs
    low = root_of(a, context)
    if node.op.assume not in ("gen", "pos", "sym") or low is None or a.ndim != 2:
        return None
    lower = triangle_of(low, context) == "lower"
    half = SolveTriangular(lower)(low, b)
    return SolveTriangular(lower, trans=1)(low, half)


def root_of(matrix: Variable, context: Context) -> Variable | None:
    """The real triangle l that `matrix` is known to be the product l lᵀ of, or None."""
    product = node_of(matrix, Dot)
    if product is None or matrix.ndim != 2 or not matrix.type.is_float:
        return None
    x, y = product.inputs
    if x.dtype.startswith("complex") or transposed_from(y) is not x:
        if transposed_from(x) is not y or x.dtype.startswith("complex"):
            return None
    known = triangle_of(x, context) is not None and is_square(x, context)
    return x if known else None


@node_rule(Cholesky, tags=["finite_math"], some=Dot)
def cholesky_of_square(node, context):
    """Cholesky's factor of l lᵀ is l, with the signs that make its diagonal positive.

    Of a factor of Cholesky's the diagonal is. Elsewhere each element of the diagonal is
    squared and factored, so that a zero there is found as before.
    """
    low = root_of(node.inputs[0], context)
    if low is None:
        return None
    found = triangle_of(low, context)
    if found != "lower":
        return None
    if node_of(low, Cholesky) is None:
        own = diagonal_of(low, context)
        root = node.op(dimshuffle(mul(own, own), 0, "x", "x"))
        low = mul(low, as_row(true_div(own, dimshuffle(root, 0))))
    return low if node.op.lower else flip(low)


# --- one factorisation for several ----------------------------------------------------


def base_of(a: Variable) -> tuple[Variable, int]:
    """The matrix that `a` is, or is the transpose of, and how LAPACK says which."""
    inner = transposed_from(a)
    return (a, 0) if inner is None else (inner, 1)


def solves_of(context: Context) -> dict[Variable, int]:
    """How many equations with each matrix, or its transpose, the graph has that entered the pass."""
    context.looked_around = True
    known: dict[Variable, int] | None = context.table.get("equations")
    if known is None:
        known = context.table["equations"] = {}
        for node in toposort(list(context.results)):
            if isinstance(node.op, Solve) and node.op.assume == "gen":
                a = base_of(node.inputs[0])[0]
                known[a] = known.get(a, 0) + 1
    return known


@node_rule(Solve)
def solve_with_factors(node, context):
    """Several equations with one matrix share its factorisation, the costly part."""
    a, b = node.inputs
    matrix, transposed = base_of(a)
    if (
        node.op.assume != "gen"
        or matrix.ndim != 2
        or solves_of(context).get(matrix, 0) < 2
    ):
        return None
    factors, pivots = LUFactor().make_node(squared(matrix, context)).outputs
    return SolveFactored(transposed)(factors, pivots, b)


# --- determinants ---------------------------------------------------------------------


@node_rule(Det, tags=["finite_math"])
def det_of_triangle(node, context):
    """The determinant of a triangle is the product of its diagonal; of the identity it is 1."""
    (a,) = node.inputs
    if is_identity(a, context):
        return as_variable(1, node.output.dtype)
    vector = known_diagonal(a, context)
    return None if vector is None else Prod((vector.ndim - 1,))(vector)


def known_diagonal(a: Variable, context: Context) -> Variable | None:
    """The diagonal of a matrix known to be a square triangle, or None."""
    if a.ndim != 2 or triangle_of(a, context) is None:
        return None
    return diagonal_of(a, context)


@node_rule(SLogDet, tags=["finite_math"])
def slogdet_of_triangle(node, context):
    """Signs multiply, logarithms add."""
    (a,) = node.inputs
    if is_identity(a, context):
        return [
            as_variable(v, o.dtype) for v, o in zip((1, 0), node.outputs, strict=True)
        ]
    vector = known_diagonal(a, context)
    if vector is None or vector.dtype.startswith("complex"):
        return None
    last = (vector.ndim - 1,)
    return [Prod(last)(sign(vector)), Sum(last)(log(abs(vector)))]


def kron_parts(a: Variable, context: Context) -> tuple[Variable, Variable] | None:
    """Both factors when `a` is Kronecker's product of two square matrices, or None."""
    made = node_of(a, Reshape)
    product = None if made is None or a.ndim != 2 else node_of(made.inputs[0], Mul)
    if product is None:
        return None
    orders = [(0, "x", 1, "x"), ("x", 0, "x", 1)]
    parts = [node_of(v, DimShuffle) for v in product.inputs]
    if any(p is None for p in parts):
        return None
    if [p.op.order for p in parts] == orders[::-1]:
        parts.reverse()
    if [p.op.order for p in parts] != orders:
        return None
    x, y = (p.inputs[0] for p in parts)
    return (x, y) if is_square(x, context) and is_square(y, context) else None


@node_rule(Det, tags=["finite_math"], some=Reshape)
def det_of_kron(node, context):
    """det(x ⊗ y) is det(x)ᵐ det(y)ⁿ for n by n and m by m matrices."""
    parts = kron_parts(node.inputs[0], context)
    if parts is None:
        return None
    x, y = parts
    n, m = (_count(v, context) for v in parts)
    return mul(pow(Det()(x), m), pow(Det()(y), n))


@node_rule(SLogDet, tags=["finite_math"], some=Reshape)
def slogdet_of_kron(node, context):
    """Of x ⊗ y, n by n and m by m: m times the logarithm of |det x| and n times that of |det y|."""
    parts = kron_parts(node.inputs[0], context)
    if parts is None or node.inputs[0].dtype.startswith("complex"):
        return None
    (sx, lx), (sy, ly) = (SLogDet().make_node(v).outputs for v in parts)
    n, m = (_count(v, context) for v in parts)
    return [mul(pow(sx, m), pow(sy, n)), add(mul(m, lx), mul(n, ly))]


def _count(a: Variable, context: Context) -> Variable:
    return cast(size_variable(context.sizes(a)[0]), a.dtype)


# --- traces ---------------------------------------------------------------------------


@node_rule(Take, some=Dot)
def diagonal_of_dot(node, context):
    """The diagonal of a product needs no product: n sums of pairs in place of n² of them."""
    product = node_of(node.inputs[0], Dot)
    if product is None or node.op.axes != 2 or product.output.ndim != 2:
        return None
    rows, columns = node.inputs[1:]
    x, y = product.inputs
    if (
        rows is not columns
        or node_of(rows, ARange) is None
        or x.dtype not in ("float32", "float64")
        or (x.type.shape[1] == 1) != (y.type.shape[0] == 1)
        or not context.read_once(product.output)
    ):
        return None
    return Sum((1,))(mul(Take(1)(x, rows), Take(1)(flip(y), rows)))


# --- outputs that nobody reads --------------------------------------------------------


def only_read(node: Apply, number: int, context: Context) -> bool:
    """Whether of the outputs of an operation only one is read."""
    context.looked_around = True
    return [v in context.readers for v in node.outputs] == [
        i == number for i in range(len(node.outputs))
    ]


@node_rule(SVD)
def singular_values_only(node, context):
    """Singular values without the vectors take a fraction of the time."""
    if not only_read(node, 1, context):
        return None
    u, _, v = node.op.make_node(*node.inputs).outputs
    return [u, SingularValues()(*node.inputs), v]


@node_rule(Eigh)
def eigenvalues_only(node, context):
    """Eigenvalues without the vectors take a fraction of the time."""
    if not only_read(node, 0, context):
        return None
    _, vectors = node.op.make_node(*node.inputs).outputs
    return [Eigvalsh(node.op.uplo)(*node.inputs), vectors]


@node_rule(QR)
def triangle_of_qr_only(node, context):
    """r without q is a by-product: q takes as long again."""
    if node.op.mode != "reduced" or not only_read(node, 1, context):
        return None
    q, _ = node.op.make_node(*node.inputs).outputs
    return [q, QR("r")(*node.inputs)]


RULES = tagged(
    "linear_algebra",
    product_with_inverse,
    inverse_of_inverse,
    inverse_of_transpose,
    inverse_of_diagonal,
    solve_of_diagonal,
    solve_of_triangle,
    solve_of_square,
    solve_with_factors,
    cholesky_of_square,
    det_of_triangle,
    slogdet_of_triangle,
    det_of_kron,
    slogdet_of_kron,
    diagonal_of_dot,
    singular_values_only,
    eigenvalues_only,
    triangle_of_qr_only,
)
