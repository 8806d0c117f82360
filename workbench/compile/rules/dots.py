"""Products that are cheaper in another form: of vectors, in another order, or none at all."""

from __future__ import annotations

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.compile.rules.structure import diagonal_vector, transposed_from
from workbench.core.graph import Variable, as_variable, toposort
from workbench.core.ops.elementwise import mul
from workbench.core.ops.linalg import Dot
from workbench.core.ops.shape import BroadcastTo, dimshuffle, size_variable
from workbench.core.ops.ufunc import DimShuffle, pad_left

# --- vectors among matrices -----------------------------------------------------------


@node_rule(Dot, tags=["finite_math"])
def dot_of_column_and_row(node):
    """A column times a row is elementwise: it joins the loops around it."""
    x, y = node.inputs
    if x.ndim != 2 or y.ndim != 2:
        return None
    return mul(x, y) if x.type.shape[1] == y.type.shape[0] == 1 else None


@node_rule(Dot)
def dot_of_vector(node):
    """A matrix of one row, or one column, is a vector: gemv reads the other matrix once."""
    x, y = node.inputs
    row = x.ndim == 2 and x.type.shape[0] == 1
    column = y.ndim == 2 and y.type.shape[1] == 1
    if not row and not column:
        return None
    one = dimshuffle(x, 1) if row else x
    other = dimshuffle(y, 0) if column else y
    result = Dot()(one, other)
    kept = iter(range(result.ndim))
    long = [not row] * (x.ndim - 1) + [not column] * (y.ndim - 1)
    return dimshuffle(result, *(next(kept) if axis else "x" for axis in long))


# --- the order of products ------------------------------------------------------------


@node_rule(Dot, tags=["finite_math"], some=Dot)
def dot_of_dot(node, context):
    """(a b) v is a (b v): two products with a vector in place of one of matrices.

    Of matrices only, the sizes decide; where they are not known the order stays.
    """
    x, y = node.inputs
    left, right = node_of(x, Dot), node_of(y, Dot)
    if left is not None and context.read_once(x):
        a, b = left.inputs
        if b.ndim == 2 and _is_cheaper(a, b, y, first=True):
            return Dot()(a, Dot()(b, y))
    if right is not None and context.read_once(y):
        b, c = right.inputs
        if b.ndim == 2 and _is_cheaper(x, b, c, first=False):
            return Dot()(Dot()(x, b), c)
    return None


def _is_cheaper(a: Variable, b: Variable, c: Variable, first: bool) -> bool:
    """Whether of a b c the other product than the first (or the last) takes fewer multiplications."""
    if first and c.ndim == 1 and a.ndim == 2:
        return True
    if not first and a.ndim == 1 and c.ndim == 2:
        return True
    sizes = [
        1 if a.ndim == 1 else a.type.shape[0],
        *b.type.shape,
        1 if c.ndim == 1 else c.type.shape[1],
    ]
    if None in sizes:
        return False
    m, k, n, p = (s or 0 for s in sizes)
    from_left, from_right = m * k * n + m * n * p, k * n * p + m * k * p
    return from_right < from_left if first else from_left < from_right


@node_rule(DimShuffle, some=Dot)
def transpose_of_dot(node, context):
    """(x y)ᵀ is yᵀ xᵀ: BLAS reads transposed operands as they are, and nothing is rearranged."""
    product = node_of(node.inputs[0], Dot)
    if (
        product is None
        or node.op.order != (1, 0)
        or not context.read_once(product.output)
        or product.inputs in products_read(context)
    ):
        return None
    x, y = product.inputs
    return Dot()(dimshuffle(y, 1, 0), dimshuffle(x, 1, 0))


@node_rule(Dot, every=DimShuffle)
def dot_of_transposes(node, context):
    """yᵀ xᵀ is (x y)ᵀ, and no product where x y is computed anyway."""
    y, x = map(transposed_from, node.inputs)
    if x is None or y is None:
        return None
    product = products_read(context).get((x, y))
    return None if product is None else dimshuffle(product, 1, 0)


def products_read(context: Context) -> dict[tuple[Variable, ...], Variable]:
    """The products, by their operands, that others than a transpose read.

    These are what the graph has that entered the pass.
    """
    context.looked_around = True
    known: dict[tuple[Variable, ...], Variable] | None = context.table.get("products")
    if known is None:
        read = list(context.results)
        for node in toposort(read):
            if not isinstance(node.op, DimShuffle) or node.op.order != (1, 0):
                read.extend(node.inputs)
        known = {v.owner.inputs: v for v in read if v.owner and node_of(v, Dot)}
        context.table["products"] = known
    return known


# --- no product at all ----------------------------------------------------------------


@node_rule(Dot, tags=["finite_math"])
def dot_of_zeros(node, context):
    """A product with zeros is zero, but for infinite elements of the other factor."""
    x, y = node.inputs
    empty = context.sizes(x)[-1] == 0
    if not empty and uniform_value(x) != 0 and uniform_value(y) != 0:
        return None
    if not context.same_size(context.sizes(x)[-1], context.sizes(y)[0]):
        return None
    return zeros(node.output, context)


def zeros(like: Variable, context: Context) -> Variable:
    """Zeros of the shape and dtype of a variable."""
    zero = pad_left(as_variable(0, like.dtype), like.ndim)
    return BroadcastTo(like.ndim)(zero, *map(size_variable, context.sizes(like)))


@node_rule(Dot, tags=["finite_math"])
def dot_of_diagonal(node, context):
    """A diagonal matrix scales the rows, or the columns, of the other; an infinite one made NaN."""
    x, y = node.inputs
    vector = diagonal_vector(x, context) if x.ndim == 2 else None
    if vector is not None and (vector.broadcastable[0] == y.broadcastable[0]):
        return mul(dimshuffle(vector, 0, *["x"] * (y.ndim - 1)), y)
    vector = diagonal_vector(y, context) if y.ndim == 2 else None
    if vector is not None and vector.broadcastable[0] == x.broadcastable[-1]:
        return mul(x, dimshuffle(vector, *["x"] * (x.ndim - 1), 0))
    return None


RULES = tagged(
    "dots",
    dot_of_column_and_row,
    dot_of_vector,
    dot_of_dot,
    transpose_of_dot,
    dot_of_transposes,
    dot_of_zeros,
    dot_of_diagonal,
)
