"""Loops that the tests of views draw."""

from typing import Any

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.blocks import OpFromGraph
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan


def recurrent(name: str = "h") -> tuple[list[Any], list[Any]]:
    """A state and a plain output over the rows of a matrix: the inputs, and both results."""
    X, h0, A = T.matrix("X"), T.matrix("h0"), T.vector("A")
    x, h, a = T.vector("x"), T.vector(name), T.vector("a")
    new = T.tanh(h * a + x)
    op = Scan(Body([x, h, a], [new, new.sum()]), 1, ((-1,),), title="rnn")
    return [X, h0, A], list(op.make_node(X.shape[0], X, h0, A).outputs)


def gradient() -> tuple[list[Any], list[Any]]:
    """The inputs of a recurrent network, its cost, and the gradient by its weights."""
    inputs, (states, sums) = recurrent()
    cost = (states[-1] ** 2).sum() + sums.sum()
    return inputs, [cost, wb.grad(cost, inputs[2])]


def nested() -> tuple[list[Any], list[Any]]:
    """A loop whose step calls a graph that has a name, twice."""
    v, w = T.vector("v"), T.vector("w")
    distance = OpFromGraph([v, w], [T.sqrt(((v - w) ** 2).sum())], name="distance")
    X, y = T.matrix("X"), T.vector("y")
    x, p = T.vector("x"), T.vector("p")
    result = distance(x, p) + distance(p, x)
    (rows,) = Scan(Body([x, p], [result]), 1, ()).make_node(X.shape[0], X, y).outputs
    return [X, y], [rows]
