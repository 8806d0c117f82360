"""Graphs that each node rule matches, with sizes known beforehand or not.

A maker takes a :class:`~tests.compile.rules.drawing.Draw` and returns the outputs of a
graph, or a whole graph. Adding a rule means adding its makers here or in one of the
files imported at the end; `test_node_rules` fails until they are there.
"""

from typing import Any

import numpy as np

import workbench.tensor as T
from tests.compile.rules.drawing import MATCHES as MATCHES
from tests.compile.rules.drawing import Draw as Draw
from tests.compile.rules.drawing import matches, row, sizes_of, stretch
from workbench.compile.record import Graph
from workbench.core.graph import Shared, Variable
from workbench.core.ops import shape as S
from workbench.core.ops.blocks import OpFromGraph
from workbench.core.ops.gathering import LastWriter, OneHot, Put
from workbench.core.ops.joining import Join
from workbench.core.ops.nnet import LogSumExp
from workbench.core.ops.shape import SizeOf, size_variable
from workbench.core.ops.ufunc import DimShuffle
from workbench.core.types import TensorType

# --- canonical ------------------------------------------------------------------------

row(
    "fold_constants",
    lambda d: d.any() + T.exp(T.constant(2.0)),
    lambda d: d.new(3) * T.constant(np.arange(3.0)).sum(),
)
row(
    "barrier",
    lambda d: T.disconnected_grad(T.grad_clip(d.any(), -1, 1)),
    lambda d: T.zero_grad(T.grad_scale(d.any(dtype="float32"), 2)),
)
row("neg_of_neg", lambda d: T.neg(-d.any()), lambda d: T.neg(-d.any(dtype="uint8")))
row(
    "neg_of_factor",
    lambda d: (lambda x, y: (-x) * y)(*d.pair()),
    lambda d: (lambda x, y: x / (-y))(*d.pair(low=1)),
    lambda d: (lambda x, y: (-x) * (-y))(*d.pair(dtype="int32")),
)
row("neg_of_divisor", lambda d: T.reciprocal(-d.any(low=1)))
row(
    "neg_of_dot",
    lambda d: T.dot(-d.new(2, 3), d.new(3, 4)),
    lambda d: T.dot(-d.new(3), -d.new(3)),
)
row(
    "add_of_neg",
    lambda d: (lambda x, y: x + (-y))(*d.pair()),
    lambda d: (lambda x, y: (-x) + y)(*d.pair(dtype="uint8")),
)
row(
    "sub_of_neg",
    lambda d: (lambda x, y: x - (-y))(*d.pair()),
    lambda d: (lambda x, y: x - (-y))(*d.pair(dtype="int8")),
)
row("neg_minus", lambda d: (lambda x, y: -x - y)(*d.pair()))
row("neg_of_difference", lambda d: (lambda x, y: -(x - y))(*d.pair()))
row(
    "neg_of_multiple",
    lambda d: -(2 * d.any()),
    lambda d: -(d.any() / 2),
    lambda d: -(3 / d.any(low=1)),
)
row(
    "sum_of_neg",
    lambda d: T.sum(-d.new(*d.shape(2)), axis=1),
    lambda d: T.sum(-d.any()),
)
row("abs_of_neg", lambda d: abs(-d.any()), lambda d: abs(abs(d.any())))
row(
    "cast_of_cast",
    lambda d: T.cast(T.cast(d.any(dtype="float32"), "float64"), "float32"),
    lambda d: T.cast(T.cast(d.any(dtype="int16"), "int64"), "float32"),
    lambda d: T.cast(T.cast(d.any(dtype="bool"), "float32"), "int8"),
)
row(
    "switch_of_constant",
    lambda d: T.switch(True, d.new(3), d.new(1)),
    lambda d: T.switch(True, d.new(1), d.new(3)),
    lambda d: T.switch(False, d.new(1, 3), d.new(1, 1)),
)


@matches("switch_between_equals")
def _(d):
    x = d.any()
    return T.switch(T.gt(x, 0), x, x)


# --- shapes ---------------------------------------------------------------------------

row(
    "size_of_argument",
    lambda d: SizeOf(1)(T.exp(d.new(*d.shape(2)))),
    lambda d: SizeOf(0)(T.dot(d.new(2, 3), d.new(3, 2))),
)
row("shape_as_sizes", lambda d: T.shape(T.exp(d.new(*d.shape(2)))))
row(
    "dimshuffle_of_dimshuffle",
    lambda d: d.new(*d.shape(2)).T.T,
    lambda d: d.new(2, 3).dimshuffle(1, "x", 0).dimshuffle(2, 0),
)
row(
    "function_of_dimshuffle",
    lambda d: T.exp(d.new(2, 3).T),
    lambda d: T.cast(d.new(2).dimshuffle("x", 0), "float32"),
)


@matches("checked_shape")
def _(d):
    x = d.new(*d.shape(2))
    return S.SpecifyShape()(T.exp(x), SizeOf(0)(x), size_variable(-1))


@matches("dimshuffle_of_broadcast")
def _(d):
    n = d.size()
    return stretch(d.new(1, 3), n, 3).dimshuffle(1, "x", 0)


@matches("fill_as_broadcast")
def _(d):
    x = d.new(*d.shape(2))
    return T.fill(x, 2.5)


@matches("fill_as_broadcast")
def _(d):
    return T.fill(d.new(), d.new())


@matches("broadcast_to_own_sizes")
def _(d):
    x = d.new(*d.shape(2))
    return stretch(T.exp(x), *sizes_of(x))


@matches("broadcast_of_broadcast")
def _(d):
    x = d.new(*d.shape(2))
    return stretch(stretch(d.new(1, 1), 1, SizeOf(1)(x)), SizeOf(0)(x), SizeOf(1)(x))


@matches("elementwise_of_broadcasts")
def _(d):
    x = d.new(*d.shape(2))
    return stretch(d.new(1, 1), *sizes_of(x)) * stretch(d.new(1, 1), *sizes_of(x))


@matches("elementwise_of_broadcasts")
def _(d):
    n = d.size()
    return T.exp(stretch(d.new(1, 3), n, 3))


@matches("elementwise_of_broadcasts")
def _(d):
    n, m = d.size(), d.size()
    return stretch(d.new(1, 1), n, m) + d.new(1, m)


@matches("broadcast_in_elementwise")
def _(d):
    x = d.new(*d.shape(2))
    return x * stretch(d.new(1, 1), *sizes_of(x))


@matches("broadcast_in_elementwise")
def _(d):
    x = d.new(*d.shape(2))
    return x.dimshuffle(0, "x", 1) + stretch(
        d.new(1, 1, 1), SizeOf(0)(x), 3, SizeOf(1)(x)
    )


@matches("reshape_of_reshape")
def _(d):
    x = d.new(2, 3)
    return T.flatten(x).reshape((3, -1))


@matches("reshape_to_own_sizes")
def _(d):
    x = d.new(*d.shape(2))
    return T.reshape(x, sizes_of(x))


@matches("reshape_to_own_sizes")
def _(d):
    x = d.new(d.size(), 1)
    return T.reshape(x, [size_variable(1), SizeOf(0)(x), size_variable(1)])


row(
    "reduction_of_one",
    lambda d: T.sum(d.new(d.size(), 1), axis=1),
    lambda d: T.sum(d.new(1, d.size(), dtype="int8"), axis=(0, 1)),
    lambda d: T.any(d.new(1), axis=0),
    lambda d: T.max(d.new(1, 2), axis=0),
    lambda d: T.prod(d.new(2, dtype="bool"), axis=()),
)
row(
    "reduction_of_reduction",
    lambda d: T.sum(T.sum(d.new(*d.shape(3)), axis=1), axis=0),
    lambda d: T.max(T.max(d.new(2, 3, 4), axis=2), axis=1),
    lambda d: T.sum(T.sum(d.new(2, 3, dtype="int8"), axis=0)),
)
row(
    "reduction_of_dimshuffle",
    lambda d: T.sum(d.new(*d.shape(2)).T),
    lambda d: T.sum(d.new(*d.shape(2)).T, axis=0),
    lambda d: T.prod(d.new(1, 2, 3).dimshuffle(2, "x", 1), axis=0),
    lambda d: T.sum(DimShuffle((1,))(d.new(1, 3)), axis=0),
)

# --- indexing -------------------------------------------------------------------------

row(
    "entry_of_vector",
    lambda d: T.shape(T.exp(d.new(2, 3)))[1],
    lambda d: S.MakeVector()(d.new(), d.new(), d.new())[-1],
    lambda d: S.MakeVector()(d.new(), d.new(), d.new())[1:],
)
row("slice_of_all", lambda d: (lambda x: T.exp(x)[: SizeOf(0)(x)])(d.new(*d.shape(2))))
row(
    "constant_bounds",
    lambda d: d.new(4, 3)[T.constant(np.array(1)) + 1 : 4],
    lambda d: d.new(4)[T.constant(np.array(-1)) * 2],
)
row(
    "slice_of_slice",
    lambda d: d.new(*d.shape(2))[1:][2:7],
    lambda d: d.new(4, 3)[1:3, ::2][::2, 1:],
    lambda d: d.new(4, 4)[0][1:],
    lambda d: d.new(4)[1:][::2][0:1],
)
row("join_of_one", lambda d: Join(0)(d.new(*d.shape(2))))
row(
    "size_at_least_zero",
    lambda d: T.maximum(SizeOf(0)(d.new(d.size())), 0),
    lambda d: T.maximum(-1, SizeOf(0)(d.new(d.size()))),
)


# --- stability ------------------------------------------------------------------------


@matches("odds_of_sigmoid")
def _(d):
    x = d.any()
    return T.sigmoid(x) / T.sigmoid(-x)


@matches("odds_of_sigmoid")
def _(d):
    x, y = d.pair()
    return T.sigmoid(x - y) / T.sigmoid(y - x)


@matches("exp_in_product")
def _(d):
    x, y = d.pair()
    return (y * T.sigmoid(-x)) * T.exp(x)


@matches("exp_in_product")
def _(d):
    x, y = d.pair(low=0.5)
    return (y / T.expm1(x)) * T.exp(x)


@matches("exp_in_product")
def _(d):
    x, y = d.pair()
    z = d.new()
    return z * T.reciprocal(T.exp(x) + T.exp(y) + T.exp(z)) * T.exp(x)


@matches("exp_in_product")
def _(d):
    x = d.any()
    return T.sqr(T.sigmoid(-x)) * T.exp(x)


@matches("log_of_added_exps")
def _(d):
    x, y = d.pair()
    return T.log(T.exp(x) + T.exp(y))


@matches("log_of_added_exps")
def _(d):
    x, y = d.pair()
    return T.log(T.exp(x) + (T.exp(y) + T.exp(d.new())))


row(
    "log_of_sum_of_exp",
    lambda d: T.log(T.sum(T.exp(d.new(*d.shape(2))), axis=1)),
    lambda d: T.log(T.sum(T.exp(d.any()))),
)


@matches("exp_over_sum_of_exp")
def _(d):
    x = d.new(*d.shape(2))
    return T.exp(x) / T.exp(x).sum(axis=0, keepdims=True)


@matches("exp_over_sum_of_exp")
def _(d):
    x = d.new(*d.shape(3))
    return T.exp(x) / T.exp(x).sum(axis=(0, 2), keepdims=True)


@matches("exp_over_sum_of_exp")
def _(d):
    x = d.new(*d.shape(2))
    g = d.new(d.values[x].shape[0])
    return (g / T.exp(x).sum(axis=1)).dimshuffle(0, "x") * T.exp(x)


@matches("softmax_of_shifted")
def _(d):
    x = d.new(*d.shape(2, low=2))
    return T.nnet.softmax(x - T.max(x, axis=1, keepdims=True))


row(
    "log_of_softmax",
    lambda d: T.log(T.nnet.softmax(d.new(*d.shape(2)))),
    lambda d: T.log(T.nnet.softmax(d.new(*d.shape(2))).T),
    lambda d: T.log(T.nnet.softmax(d.new(3, 4), axis=0)[T.arange(2), d.places(2, 4)]),
)


@matches("probability_over_itself")
def _(d):
    x, g = d.pair()
    p = T.sigmoid(x)
    return (g / p) * p


@matches("probability_over_itself")
def _(d):
    x = d.new(3, 4)
    p = T.nnet.softmax(x)
    g = d.new(3, 4) * T.reciprocal(p)
    return (g - (g * p).sum(axis=1, keepdims=True)) * p


@matches("probability_over_itself")
def _(d):
    p = T.nnet.softmax(d.new(3, 4))
    y = d.places(3, 4)
    rows = T.arange(3)
    g = Put(2, True)(T.zeros((3, 4), "float64"), d.new(3) / p[rows, y], rows, y)
    return g * p


@matches("probability_over_itself")
def _(d):
    x = d.any()
    s, t = T.sigmoid(x), T.sigmoid(-x)
    return (d.new() / s - d.new() / t) * (s * t)


@matches("switch_below_product")
def _(d):
    x, y = d.pair()
    return T.switch(T.gt(x, 0), y, 0) * x


@matches("switch_below_product")
def _(d):
    x, y = d.pair(low=1)
    return T.switch(T.gt(x, 0), 0, y) / x


# --- scatter --------------------------------------------------------------------------


def zeros(*sizes: Any) -> Variable:
    return stretch(T.constant(np.zeros((1,) * len(sizes))), *sizes)


@matches("put_everywhere")
def _(d):
    v = d.new(d.size())
    return Put(1, True)(zeros(SizeOf(0)(v)), T.exp(v), T.arange(SizeOf(0)(v)))


@matches("one_hot")
def _(d):
    n, k = d.size(), d.size(low=2)
    y = d.places(n, k)
    rows = SizeOf(0)(y)
    return Put(2, True)(zeros(rows, k), stretch(d.new(1), rows), T.arange(rows), y)


@matches("sum_of_one_hot")
def _(d):
    n, k = d.size(), d.size(low=2)
    chosen = OneHot()(d.places(n, k), size_variable(k))
    put = T.switch(chosen, d.new(n, 1), 0)
    return put.sum(axis=1), put


@matches("sum_of_scattered")
def _(d):
    n, k = d.size(low=2), d.size(low=2)
    y = d.places(n, k)
    put = Put(2, True)(zeros(4, k), d.new(n), T.arange(n), y)
    return put.sum(axis=1), put


@matches("scatter_onto_sum")
def _(d):
    x = d.new(4, 3)
    put = Put(2, True)(zeros(*sizes_of(x)), d.new(2), d.places(2, 4), d.places(2, 3))
    return put - T.exp(x)


@matches("scatter_onto_sum")
def _(d):
    x = d.new(4, 3)
    put = Put(2, True)(zeros(*sizes_of(x)), d.new(2), d.places(2, 4), d.places(2, 3))
    return T.exp(x) - put


@matches("scatter_onto_sum")
def _(d):
    x = d.new(4, 3)
    put = Put(1, True)(zeros(*sizes_of(x)), d.new(2, 3), d.places(2, 4))
    return T.exp(x) + put


# --- masks ----------------------------------------------------------------------------


@matches("put_at_mask")
def _(d):
    x = d.new(*d.shape(2))
    places = T.nonzero(d.like(d.values[x].shape, dtype="bool"))
    part = stretch(d.new(1), SizeOf(0)(places[0]))
    return Put(2, True)(x, part, *places)


@matches("put_at_mask")
def _(d):
    x = d.new(d.size(), 3)
    (places,) = T.nonzero(d.like(d.values[x].shape[:1], dtype="bool"))
    part = stretch(d.new(1, 3), SizeOf(0)(places), 3)
    return Put(1, False)(x, part, places)


@matches("places_named_once")
def _(d):
    mask = d.like(d.shape(2), dtype="bool")
    return LastWriter(2)(*T.nonzero(mask), *sizes_of(mask))


@matches("places_named_once")
def _(d):
    n, k = d.size(), d.size(low=2)
    y = d.places(n, k)
    return LastWriter(2)(T.arange(SizeOf(0)(y)), y, SizeOf(0)(y), size_variable(k))


@matches("places_named_once")
def _(d):
    places = T.constant([[3], [0]]), T.constant([[1, 0, 2]])
    return LastWriter(2)(*places, *sizes_of(d.new(4, 3)))


# --- blas and lowering ----------------------------------------------------------------


def update(d: Draw, rate: Any, *shapes: tuple[int, ...]) -> Graph:
    x, y = (d.like(shape) for shape in shapes)
    product = T.dot(x, y)
    value = d.array([*shapes[0][:-1], *shapes[1][1:]], "float64", -1, 1)
    w = Shared(TensorType("float64", (None,) * product.ndim), value, "w")
    return Graph(tuple(d.values), (), ((w, w - rate * product),))


row(
    "gemm",
    lambda d: update(d, 0.5, (3, 2), (2, 4)),
    lambda d: update(d, -1, (3, 0), (0, 4)),
    lambda d: T.dot(d.new(3), d.new(3, 4)) + d.new(4),
    lambda d: d.new(3) - 2 * T.dot(d.new(3, 4), d.new(4)),
    lambda d: T.dot(d.new(3, 2), d.new(2, 4)) + T.dot(d.new(3, 5), d.new(5, 4)),
    lambda d: (lambda a: d.new(3) + (-(a * T.dot(d.new(3, 4), d.new(4)))))(d.new()),
)


def block_of(x: Variable, y: Variable) -> tuple[Variable, ...]:
    """Three outputs of an op made of a graph, one of them an input."""
    a, b = Variable(x.type), Variable(y.type)
    return tuple(OpFromGraph([a, b], [T.exp(a) * b, a, a - b])(x, y))


row(
    "inline_graph",
    lambda d: block_of(*d.pair()),
    lambda d: block_of(*d.pair())[0],
)
row(
    "expand_composite",
    lambda d: block_of(*d.pair()),
    lambda d: T.nnet.softmax(d.new(*d.shape(2))),
    lambda d: T.nnet.logsoftmax(d.new(*d.shape(2)), axis=0),
    lambda d: LogSumExp((0, 1))(d.new(*d.shape(2))),
    lambda d: T.shape(d.new(*d.shape(2))),
)
row(
    "half_in_single",
    lambda d: T.exp(d.new(*d.shape(2), dtype="float16")),
    lambda d: T.sum(d.new(*d.shape(2), dtype="float16"), axis=0),
    lambda d: T.cast(d.new(*d.shape(1), dtype="float16"), "int32"),
    lambda d: T.cast(d.new(*d.shape(1), dtype="int64"), "float16"),
    lambda d: T.inc_subtensor(d.new(4, dtype="float16")[1:], 1),
    lambda d: T.dot(d.new(2, 3, dtype="float16"), d.new(3, 2, dtype="float16")),
)

# More of them; importing a file adds its makers.
from tests.compile.rules import (
    matches_algebra,  # noqa: F401
    matches_convolution,  # noqa: F401
    matches_loops,  # noqa: F401
    matches_pooling,  # noqa: F401
    matches_stability,  # noqa: F401
    matches_structure,  # noqa: F401
    matches_tables,  # noqa: F401
)
