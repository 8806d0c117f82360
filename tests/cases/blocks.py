"""Rows for ops made of graphs, and for ops applied entry by entry."""

import numpy as np

import workbench.tensor as T
from tests.cases.base import FLOATS, Array, Case
from workbench.core.graph import Variable
from workbench.core.ops.blocks import OpFromGraph
from workbench.core.ops.blockwise import Blockwise
from workbench.core.ops.elementwise import Sub
from workbench.core.ops.linalg import Dot


def wave(x: Variable) -> Variable:
    """A block inside a block."""
    a = Variable(x.type, "a")
    return OpFromGraph([a], [T.sin(a) * a], name="wave")(x)


def named(x: Variable, y: Variable) -> Variable:
    """Both outputs of a block, added."""
    a, b = Variable(x.type, "a"), Variable(y.type, "b")
    block = OpFromGraph([a, b], [wave(a) * b, a - wave(b)], name="block")
    product, difference = block(x, y)
    return product + difference


def named_reference(x: Array, y: Array) -> Array:
    return np.sin(x) * x * y + (x - np.sin(y) * y)


def overridden(x: Variable) -> Variable:
    """A block whose gradient, equal to that of its graph, is written by hand."""
    a = Variable(x.type, "a")
    block = OpFromGraph([a], [a * a * a], lop_overrides=cubed_gradient, name="cubed")
    return block(x) + x


def cubed_gradient(
    inputs: list[Variable], outputs: list[Variable], grads: list[Variable]
) -> list[Variable]:
    return [3 * grads[0] * outputs[0] / inputs[0]]


def each(*batched: bool) -> Blockwise:
    return Blockwise(Dot(), 1, batched)


BLOCKS = [
    Case(
        OpFromGraph,
        named,
        named_reference,
        (((3, 4), (3, 4)), ((2, 1), (2, 3)), ((), ()), ((0, 2), (0, 2)), ((3,), (1,))),
        FLOATS,
        differentiable=(0, 1),
        ulps=16,
    ),
    Case(
        OpFromGraph,
        overridden,
        lambda x: x * x * x + x,
        (((3, 4),), ((),), ((0, 3),)),
        FLOATS,
        differentiable=(0,),
        note="overridden",
    ),
    Case(
        Blockwise,
        each(True, True),
        lambda x, y: np.matmul(x, y),
        (((3, 2, 4), (3, 4, 2)), ((0, 2, 4), (0, 4, 1)), ((1, 1, 2), (1, 2, 3))),
        FLOATS,
        differentiable=(0, 1),
        ulps=64,
    ),
    Case(
        Blockwise,
        each(True, False),
        lambda x, y: np.matmul(x, y),
        (((3, 2, 4), (4, 2)), ((2, 4), (4, 3))),
        FLOATS,
        differentiable=(0, 1),
        ulps=64,
        note="one factor",
    ),
    Case(
        Blockwise,
        Blockwise(Sub(), 2, (True, True)),
        np.subtract,
        (((2, 3, 4), (2, 3, 4)), ((2, 0), (2, 0))),
        FLOATS,
        differentiable=(0, 1),
        note="two axes",
    ),
]
