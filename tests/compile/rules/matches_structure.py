"""Graphs for the rules that concern structure: shapes, places, joins, checks, matrices."""

import numpy as np

import workbench.tensor as T
from tests.compile.rules.drawing import Draw, matches, row, sizes_of, stretch
from workbench.compile.record import Graph
from workbench.core.graph import Shared, Variable
from workbench.core.ops import shape as S
from workbench.core.ops.gathering import Put, Take
from workbench.core.ops.joining import Join
from workbench.core.ops.linalg import BatchedDot, Dot
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.slicing import PutSlice, Slice
from workbench.core.ops.solving import Inverse, Solve
from workbench.core.types import TensorType

L = T.linalg
ALL = (None, None, 1)


def zeros(*sizes):
    return stretch(T.constant(np.zeros((1,) * len(sizes))), *sizes)


def invertible(d: Draw, n: int) -> Variable:
    """A square input far from singular."""
    a = d.new(n, n)
    d.values[a] = d.values[a] + 4 * np.eye(n)
    return a


# --- shapes ---------------------------------------------------------------------------

row(
    "specify_of_specify",
    lambda d: T.specify_shape(T.specify_shape(d.new(3, 4), (3, None)), (None, 4)),
    lambda d: (lambda x: T.specify_shape(T.specify_shape(x, (3,)), (3,)))(d.new(3)),
)
row(
    "reshape_of_expanded",
    lambda d: T.reshape(d.new(2, 6).dimshuffle(0, "x", 1), (3, 4)),
    lambda d: T.reshape(d.new(2, 1, 6).dimshuffle(0, 2), (4, 3)),
)
row(
    "function_of_dimshuffle",
    lambda d: (lambda x, y: x.T + y.T)(*d.pair()),
    lambda d: T.exp(d.new().dimshuffle("x", "x")) * d.new().dimshuffle("x", "x"),
    lambda d: d.new(*d.shape(2)).T * d.new().dimshuffle("x", "x"),
)

# --- slices ---------------------------------------------------------------------------

row(
    "bounds_from_the_front",
    lambda d: T.exp(d.new(d.size(), 4))[0:],
    lambda d: (lambda x: x[1 : SizeOf(0)(x)])(d.new(4)),
    lambda d: d.new(d.size(), 4)[0:, ::2],
)


@matches("slice_of_slice")
def _(d):
    x, y = d.new(d.size()), d.new(d.size())
    n = T.shape(y)[0] if d.static else SizeOf(0)(y)
    return x[n:][1:]


row(
    "slice_of_slice",
    lambda d: d.new(d.size())[::-1][::-1],
    lambda d: d.new(d.size())[::-1][1:],
    lambda d: d.new(d.size())[1:-1][:-1],
)
row(
    "take_of_range",
    lambda d: (lambda x: x[T.arange(SizeOf(0)(x))])(d.new(*d.shape(2))),
)


@matches("take_of_range")
def _(d):
    x = Variable(TensorType("float64", (4, None)), "x")
    d.values[x] = d.rng.normal(size=(4, 3))
    return Take(1)(x, T.constant(np.array([3, 2, 1]))), Take(1)(x, T.arange(1, 4))


row(
    "slice_of_function",
    lambda d: T.exp(d.new(*d.shape(2)))[1:],
    lambda d: (lambda x, y: (x * 2 + y)[:, ::2])(
        *(lambda s: (d.new(*s), d.new(1, 1)))(d.shape(2))
    ),
    lambda d: T.exp(d.new(3, 4))[1],
    lambda d: (d.new(4, 1) * T.constant(np.ones((1, 3))))[1:, 2],
)
row(
    "slice_of_dimshuffle",
    lambda d: d.new(*d.shape(2)).T[1:],
    lambda d: d.new(3, 4).dimshuffle(1, "x", 0)[1:, 0, ::2],
    lambda d: d.new(3, 4).dimshuffle(1, "x", 0)[2],
    lambda d: d.new(3, 1, 4).dimshuffle(2, 0)[:2],
)


@matches("slice_of_stretched")
def _(d):
    x = d.new(*d.shape(2))
    return stretch(d.new(1, 1), *sizes_of(x))[1:]


row(
    "slice_of_stretched",
    lambda d: stretch(d.new(1, 4), 3, 4)[1, 1:],
    lambda d: stretch(d.new(1, 1), 3, 4)[::-2, 2],
)
row(
    "slice_of_dot",
    lambda d: T.dot(d.new(3, 2), d.new(2, 4))[1:, ::2],
    lambda d: T.dot(d.new(3, 2), d.new(2, 4))[1],
    lambda d: T.dot(d.new(3, 0), d.new(0))[1:],
    lambda d: T.dot(d.new(2), d.new(2, 4))[2],
)

# --- joins ----------------------------------------------------------------------------

row(
    "join_of_empty",
    lambda d: Join(0)(T.constant(np.zeros(0)), d.new(d.size())),
    lambda d: Join(0)(T.constant(np.zeros(0)), T.constant(np.zeros(0)), d.new(2)[5:]),
)
row(
    "join_of_join",
    lambda d: Join(0)(Join(0)(d.new(2), d.new(d.size())), d.new(3)),
    lambda d: Join(1)(d.new(2, 1), Join(1)(d.new(2, 3), d.new(2, d.size()))),
)


@matches("join_of_neighbours")
def _(d):
    x, place = d.new(*d.shape(2)), d.new(dtype="int64")
    return Join(0)(x[:place], x[place:])


@matches("join_of_neighbours")
def _(d):
    x = d.new(d.size())
    return Join(0)(x[-1:], x[:1], x[1:3], x[3:4])


@matches("join_of_neighbours")
def _(d):
    x, y, z = (d.new(d.size()) for _ in range(3))
    first = SizeOf(0)(y)
    return Join(0)(x[:first], x[first : first + SizeOf(0)(z)])


@matches("join_of_neighbours")
def _(d):
    x = d.new(4, d.size())
    return Join(0)(x[1, :2], x[1, 2:])


@matches("slice_of_join")
def _(d):
    x, y, z = (d.new(d.size()) for _ in range(3))
    n = SizeOf(0)(x)
    return Join(0)(x, y, z)[:n], Join(0)(x, y, z)[n : n + SizeOf(0)(y)]


@matches("slice_of_join")
def _(d):
    x = Variable(TensorType("float64", (2,)), "x")
    d.values[x] = d.rng.normal(size=2)
    return Join(0)(x, d.new(3), x)[1], Join(0)(d.new(3), x)[-1], Join(0)(x, x)[2:3]


@matches("slice_of_join")
def _(d):
    return Join(0)(d.new(3, 4), d.new(2, 4))[:, 1:]


# --- what is put ----------------------------------------------------------------------


@matches("slice_that_was_set")
def _(d):
    x = d.new(d.size(low=2), 3)
    part = stretch(d.new(1), SizeOf(1)(x) if not d.static else 3)
    index = (1, ALL)
    return Slice(index)(PutSlice(index, False)(x, part))


@matches("slice_that_was_set")
def _(d):
    x, i = d.new(3, 4), d.new(dtype="int64", low=0, high=2)
    d.values[i] = np.array(1)
    part = stretch(d.new(1), *sizes_of(x)[1:]) if not d.static else d.new(4)
    index = ("?", ALL)
    return Slice(index)(PutSlice(index, False)(x, part, i), i)


@matches("slice_that_was_set")
def _(d):
    x = d.new(d.size())
    view = x[1:]
    return T.set_subtensor(view, d.new())[1:]


@matches("take_that_was_set")
def _(d):
    x = d.new(*d.shape(2))
    places = T.nonzero(d.like(d.values[x].shape, dtype="bool"))
    part = stretch(d.new(1), SizeOf(0)(places[0]))
    mask = places[0].owner.inputs[0]
    x = S.SpecifyShape()(x, *sizes_of(mask)) if not d.static else x
    return Take(2)(Put(2, False)(x, part, *places), *places)


@matches("put_back_what_was_there")
def _(d):
    x = d.new(*d.shape(2))
    return PutSlice(((1, None, 1), ALL), False)(x, x[1:])


@matches("put_over")
def _(d):
    x = d.new(4, 3)
    one, other = d.new(4, 3), d.new(4, 3)
    whole = stretch(d.new(1, 1), *sizes_of(x))
    index = (ALL, ALL)
    first = PutSlice(index, bool(d.rng.random() < 0.5))(x, whole)
    return PutSlice(index, False)(first, stretch(d.new(1, 1), *sizes_of(x))), one, other


@matches("put_over_all")
def _(d):
    shape = d.shape(2)
    x, part = d.like(shape), d.like(shape)
    index = ((None, None, -1), (None, None, d.rng.choice([-1, 1]).item()))
    return PutSlice(index, bool(d.rng.random() < 0.5))(x, part)


@matches("set_of_sum")
def _(d):
    x, i = d.new(3, 4), d.new(dtype="int64")
    d.values[i] = np.array(-1)
    index = ("?", ALL)
    return PutSlice(index, False)(x, Slice(index)(x, i) + d.new(4), i)


@matches("set_of_sum")
def _(d):
    x = d.new(*d.shape(2))
    index = ((1, None, 1), ALL)
    return PutSlice(index, False)(x, Slice(index)(x) - d.new(1, 1))


@matches("set_of_sum")
def _(d):
    x, places = d.new(4, 2), T.constant(np.array([2, 0]))
    return Put(1, False)(x, d.new(2, 2) + Take(1)(x, places), places)


@matches("add_of_nothing")
def _(d):
    x = d.new(d.size())
    return T.inc_subtensor(x[1:], 0.0)


@matches("sum_of_slices")
def _(d):
    x = d.new(d.size())
    put = T.inc_subtensor(
        zeros(SizeOf(0)(x) if not d.static else x.type.shape[0])[1:], d.new()
    )
    return T.exp(x) + put


@matches("sum_of_slices")
def _(d):
    x = d.new(4)
    put = PutSlice(((1, None, 1),), True)(zeros(*sizes_of(x)), d.new(3))
    return put - T.exp(x), T.exp(x) - PutSlice((ALL,), True)(
        zeros(*sizes_of(x)), d.new(4)
    )


@matches("add_to_zeros")
def _(d):
    x = d.new(4)
    return PutSlice(((1, None, 1),), True)(zeros(*sizes_of(x)), d.new(3))


@matches("add_to_zeros")
def _(d):
    x = d.new(4)
    return Put(1, True)(zeros(*sizes_of(x)), d.new(2), T.constant(np.array([3, 1])))


# --- checks ---------------------------------------------------------------------------

row(
    "assert_of_true",
    lambda d: T.Assert("holds")(d.any(), T.constant(True)),
    lambda d: (lambda c: T.Assert("twice")(d.any(), c, c))(d.new(low=1) > 0),
)


@matches("assert_of_assert")
def _(d):
    condition = d.new(low=1) > 0
    return T.Assert("again")(T.Assert("once")(d.any(), condition), condition)


row("assert_removed", lambda d: T.Assert("holds")(d.any(), d.new(low=1) > 0))

# --- linear algebra -------------------------------------------------------------------

row(
    "product_with_inverse",
    lambda d: T.dot(L.inv(invertible(d, 3)), d.new(3, d.size())),
    lambda d: T.dot(L.inv(invertible(d, 3)).T, d.new(3)),
    lambda d: T.dot(d.new(3), L.inv(invertible(d, 3))),
    lambda d: T.dot(d.new(d.size(), 3), L.inv(invertible(d, 3)).T),
    lambda d: (lambda a: BatchedDot()(Inverse()(stretch(a, 3, 2, 2)), d.new(3, 2, 4)))(
        invertible(d, 2).dimshuffle("x", 0, 1)
    ),
)
row("inverse_of_inverse", lambda d: L.inv(L.inv(invertible(d, 3))))
row("inverse_of_transpose", lambda d: L.inv(invertible(d, 3).T))
row("inverse_of_diagonal", lambda d: L.inv(T.diag(d.new(d.size(), low=1))))
row(
    "solve_of_diagonal",
    lambda d: (lambda v: Solve()(T.diag(v), v.dimshuffle(0, "x") * d.new(1, d.size())))(
        d.new(d.size(), low=1)
    ),
)
row(
    "solve_of_triangle",
    lambda d: Solve()(T.tril(invertible(d, 3)), d.new(3, 2)),
    lambda d: Solve()(T.triu(invertible(d, 3)), d.new(3, 2)),
    lambda d: Solve()(L.cholesky(positive(d, 3)).T, d.new(3, 2)),
    lambda d: Solve()(L.qr(invertible(d, 3))[1], d.new(3, 2)),
)


def positive(d: Draw, n: int) -> Variable:
    """A positive definite input."""
    a = d.new(n, n)
    d.values[a] = d.values[a] @ d.values[a].T + 4 * np.eye(n)
    return a


@matches("solve_of_square")
def _(d):
    low = L.cholesky(positive(d, 3))
    return Solve()(T.dot(low, low.T), d.new(3, 2))


@matches("cholesky_of_square")
def _(d):
    low = L.cholesky(positive(d, 3))
    return L.cholesky(T.dot(low, low.T)), L.cholesky(T.dot(low, low.T), lower=False)


@matches("cholesky_of_square")
def _(d):
    a = Variable(TensorType("float64", (3, 3)), "a")
    d.values[a] = d.rng.normal(size=(3, 3)) + np.diag([3, -3, 4])
    low = T.tril(a)
    return L.cholesky(T.dot(low, low.T))


@matches("solve_with_factors")
def _(d):
    a = invertible(d, 3)
    return Solve()(a, d.new(3, 2)), Solve()(a.T, d.new(3, 1))


row(
    "det_of_triangle",
    lambda d: L.det(T.diag(d.new(d.size()))),
    lambda d: L.det(T.tril(d.new(3, 3)) * 2.0),
    lambda d: L.det(T.triu(d.new(3, 3)).T),
    lambda d: L.det(T.eye(3)),
)
row(
    "slogdet_of_triangle",
    lambda d: tuple(L.slogdet(T.diag(d.new(d.size())))),
    lambda d: tuple(L.slogdet(-T.tril(d.new(3, 3)))),
    lambda d: tuple(L.slogdet(T.eye(3))),
)


def kron(d: Draw) -> Variable:
    a, b = (Variable(TensorType("float64", (n, n)), f"k{n}") for n in (2, 3))
    for v in (a, b):
        d.values[v] = d.rng.normal(size=v.type.shape)
    return T.kron(a, b)


row("det_of_kron", lambda d: L.det(kron(d)))
row("slogdet_of_kron", lambda d: tuple(L.slogdet(kron(d))))
row(
    "diagonal_of_dot",
    lambda d: T.trace(T.dot(d.new(3, 2), d.new(2, 3))),
    lambda d: T.diagonal(T.dot(d.new(3, 2), d.new(2, 4))),
)
row("singular_values_only", lambda d: L.svd(d.new(3, 4))[1])
row("eigenvalues_only", lambda d: L.eigh(d.new(3, 3))[0])
row("triangle_of_qr_only", lambda d: L.qr(d.new(4, 3))[1])

# --- products -------------------------------------------------------------------------

row(
    "dot_of_column_and_row",
    lambda d: Dot()(d.new(d.size(), 1), d.new(1, d.size())),
)
row(
    "dot_of_vector",
    lambda d: Dot()(d.new(1, 3), d.new(3, d.size())),
    lambda d: Dot()(d.new(d.size(), 3), d.new(3, 1)),
    lambda d: Dot()(d.new(1, 3), d.new(3, 1)),
    lambda d: Dot()(d.new(1, 3), d.new(3)),
    lambda d: Dot()(d.new(3), d.new(3, 1)),
)
row(
    "dot_of_dot",
    lambda d: T.dot(T.dot(d.new(2, 3), d.new(3, 4)), d.new(4)),
    lambda d: T.dot(d.new(2), T.dot(d.new(2, 3), d.new(3, 4))),
)
row("transpose_of_dot", lambda d: T.dot(d.new(2, 3), d.new(3, d.size())).T)
row(
    "dot_of_transposes",
    lambda d: (lambda x, y: (T.dot(y.T, x.T), T.dot(x, y)))(d.new(2, 3), d.new(3, 4)),
    lambda d: (lambda x: T.dot(x.T, x.T) + 2 * T.dot(x, x))(d.new(*[d.size()] * 2)),
)


@matches("dot_of_dot")
def _(d):
    a, b, c = (
        Variable(TensorType("float64", s), f"m{s}") for s in ((9, 2), (2, 9), (9, 2))
    )
    for v in (a, b, c):
        d.values[v] = d.rng.normal(size=v.type.shape)
    return T.dot(T.dot(a, b), c)


@matches("dot_of_zeros")
def _(d):
    x = d.new(d.size(), 3)
    return T.dot(zeros(2, SizeOf(0)(x) if not d.static else x.type.shape[0]), x)


row("dot_of_zeros", lambda d: T.dot(d.new(2)[:0], T.constant(np.zeros((0, 3)))))
row(
    "dot_of_diagonal",
    lambda d: T.dot(T.diag(d.new(3)), d.new(3, d.size())),
    lambda d: T.dot(d.new(d.size(), 3), T.diag(d.new(3))),
    lambda d: T.dot(T.diag(d.new(3)), d.new(3)),
)


def parameter(d: Draw, next_value, *shape: int) -> Graph:
    """An update of a shared array of a shape that its type does not know."""
    value = d.array(shape, "float64", -1, 1)
    w = Shared(TensorType("float64", (None,) * len(shape)), value, "w")
    return Graph(tuple(d.values), (), ((w, next_value(w)),))


@matches("gemm")
def _(d):
    x, y = d.new(2, 3, 4), d.new(2, 4, 5)
    return parameter(d, lambda w: w - 0.5 * BatchedDot()(x, y), 2, 3, 5)


@matches("update_by_gemm")
def _(d):
    x, y = d.new(3, 2), d.new(2, 4)
    return parameter(d, lambda w: w - 0.1 * (T.dot(x, y) + 0.01 * w), 3, 4)


@matches("update_by_gemm")
def _(d):
    x, y = d.new(3, 0), d.new(0, 4)
    return parameter(d, lambda w: T.dot(x, y) + w + T.dot(x, y * 2), 3, 4)


@matches("update_by_gemm")
def _(d):
    x, y = d.new(3, 2), d.new(2)
    return parameter(d, lambda w: 0.9 * w - T.dot(x, y), 3)


@matches("ger")
def _(d):
    x, y = d.new(d.size()), d.new(d.size())
    shape = d.values[x].shape[0], d.values[y].shape[0]
    return parameter(d, lambda w: w - 0.1 * T.outer(x, y), *shape)


@matches("ger")
def _(d):
    x, y, s = d.new(3), d.new(2), d.new()
    return parameter(d, lambda w: -(s * T.outer(x, y)) / 3 + w, 3, 2)


row(
    "scaled_product",
    lambda d: 2 * T.dot(d.new(3, 2), d.new(2, 4)),
    lambda d: d.new() * -T.dot(d.new(3, 0), d.new(0)),
    lambda d: BatchedDot()(d.new(2, 3, 4), d.new(2, 4, 5)) * d.new(),
)
