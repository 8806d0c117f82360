"""A function that asks for a shape computes numbers from sizes, and no array."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.shape import MakeVector

EXPRESSIONS = {
    "function": lambda x, y, v, i: T.exp(x) + y,
    "broadcast": lambda x, y, v, i: T.exp(x) * v[:, None] - 1,
    "sum": lambda x, y, v, i: T.exp(x).sum(axis=0, keepdims=True),
    "mean and variance": lambda x, y, v, i: (T.exp(x) - y).mean(1) + T.exp(y).var(1),
    "argmax": lambda x, y, v, i: T.argmax(T.exp(x), axis=1),
    "product": lambda x, y, v, i: T.dot(T.exp(x), y.T),
    "outer": lambda x, y, v, i: T.outer(T.exp(v), v),
    "softmax": lambda x, y, v, i: T.nnet.softmax(T.exp(x)),
    "softmax loss": lambda x, y, v, i: T.nnet.categorical_crossentropy(T.nnet.softmax(x), i),
    "slice": lambda x, y, v, i: T.exp(x)[1:, ::-2],
    "gather": lambda x, y, v, i: T.exp(x)[i],
    "gather pairs": lambda x, y, v, i: T.exp(x)[T.arange(i.shape[0]), i],
    "take": lambda x, y, v, i: T.take(T.exp(x), i, axis=1),
    "set": lambda x, y, v, i: T.set_subtensor(T.exp(x)[1:], 0),
    "scatter": lambda x, y, v, i: T.inc_subtensor(T.exp(x)[i], 1),
    "join": lambda x, y, v, i: T.concatenate([T.exp(x), y * 2], axis=1),
    "stack": lambda x, y, v, i: T.stack([T.exp(x), y]),
    "reshape": lambda x, y, v, i: T.exp(x).reshape((x.shape[1], -1)),
    "flatten": lambda x, y, v, i: T.exp(x).flatten(),
    "transpose": lambda x, y, v, i: T.exp(x).T,
    "cast": lambda x, y, v, i: T.exp(x).astype("float32"),
    "choice": lambda x, y, v, i: T.switch(x > 0, T.exp(x), y),
    "running sum": lambda x, y, v, i: T.cumsum(T.exp(x), axis=0),
    "sort": lambda x, y, v, i: T.sort(T.exp(x), axis=0),
    "scalar": lambda x, y, v, i: T.exp(x).sum(),
    "condition": lambda x, y, v, i: T.Assert()(T.exp(x), T.all(x > 0)),
    "gradient": lambda x, y, v, i: T.grad(T.tanh(T.dot(x, y.T)).sum(), x),
    "one hot": lambda x, y, v, i: T.to_one_hot(i, v.shape[0]),
    "chain": lambda x, y, v, i: T.tile(T.pad(T.roll(T.exp(x), 1), 2), (2, 1))[1:],
}  # fmt: skip


@pytest.mark.parametrize("build", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_shape_is_known_without_the_values(build):
    inputs = [T.matrix("x"), T.matrix("y"), T.vector("v"), T.lvector("i")]
    made = build(*inputs)
    mode = wb.get_mode("FAST_RUN").clone("py")
    x = np.linspace(0.1, 0.9, 12).reshape(3, 4)
    values = [x, x + 1, x[:, 0], np.array([0, 2, 1])]

    f = wb.function(
        inputs, [made.shape, made.size], mode=mode, on_unused_input="ignore"
    )
    shape, size = f(*values)

    for node in f.compilation.after.nodes():
        numbers = {(v.ndim, v.dtype) for v in node.outputs}
        assert isinstance(node.op, MakeVector) or numbers <= {(0, "int64"), (0, "bool")}
    computed = wb.function(inputs, made, mode=mode, on_unused_input="ignore")(*values)
    assert tuple(shape) == computed.shape
    assert size == computed.size
