"""Graphs that the tests of views draw."""

import numpy as np

import workbench.tensor as T
from workbench.compile.record import Compilation, Graph, Kernel, Source, Step
from workbench.core.gradient import grad
from workbench.core.graph import Shared, Variable
from workbench.core.types import TensorType


def shared(value: np.ndarray, name: str) -> Shared:
    return Shared(TensorType(value.dtype.name, (None,) * value.ndim), value, name)


def logistic() -> Graph:
    """One training step of logistic regression, as its user builds it."""
    x, y = T.matrix("x"), T.lvector("y")
    W, b = shared(np.zeros((784, 10)), "W"), shared(np.zeros(10), "b")
    p_y = T.nnet.softmax(T.dot(x, W) + b)
    p_y.name = "p_y"
    cost = -T.log(p_y)[T.arange(y.shape[0]), y].mean()
    cost.name = "cost"
    gW, gb = grad(cost, [W, b])
    return Graph((x, y), (cost,), ((W, W - 0.1 * gW), (b, b - 0.1 * gb)))


def compiled() -> Compilation:
    """tanh(x) + 1 where tanh was an exponential before, and the sum is in place."""
    x = T.vector("x")
    before = T.exp(x)
    plain = Graph((x,), (before + 1,))
    after = T.tanh(x)
    result = after + 1
    kernel = Kernel(
        0,
        "loops",
        (after.owner, result.owner),
        (x,),
        (result,),
        {result: after},
        lines=(1, 2),
    )
    return Compilation(
        "f",
        "FAST_RUN",
        plain,
        Graph((x,), (result,)),
        (Step(1, "exp_as_tanh", "test", before, after, "Only for this test."),),
        (kernel,),
        Source(
            "double a = tanh(x);\ndouble b = a + 1;", {after.owner: 1, result.owner: 2}
        ),
        "c",
    )


def chain(length: int) -> Variable:
    v = T.vector("v")
    for _ in range(length):
        v = T.tanh(v)
    return v
