"""Products with rows of a small table, in whole functions: values, gradients, errors."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import OutOfRangeError
from workbench.core.evaluate import evaluate
from workbench.core.ops.gathering import Put
from workbench.core.ops.linalg import Dot
from workbench.core.ops.scan import Scan

RNG = np.random.default_rng(3)


def shared(*shape):
    return wb.shared(RNG.normal(size=shape))


def multiplied(f):
    """What a function multiplies, outside loops."""
    nodes = [n for n in f.compilation.after.nodes() if isinstance(n.op, Dot)]
    return [v for n in nodes for v in n.inputs]


def check(inputs, outputs, values):
    f = wb.function(inputs, outputs)
    expected = evaluate(outputs, dict(zip(inputs, values, strict=True)))
    for found, want in zip(f(*values), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12)
    return f


@pytest.mark.parametrize("shape", [(6, 4), (1, 1), (0, 3), (2, 0)])
def test_an_embedding_is_multiplied_once_and_its_gradient_added_up_before(shape):
    table, w, x = shared(7, 5), shared(5, 6), T.lmatrix("x")
    y = T.dot(table[x], w)
    loss = T.sum(T.tanh(y) ** 2)
    values = [RNG.integers(-7, 7, shape)]

    f = check([x], [y, *wb.grad(loss, [table, w])], values)

    # The table by w, and twice what was added up for its rows.
    assert len(multiplied(f)) == 6
    assert table in multiplied(f)
    puts = [n for n in f.compilation.after.nodes() if isinstance(n.op, Put)]
    assert len(puts) == 1


def test_a_place_outside_the_table_is_still_an_error():
    table, w, x = shared(7, 5), shared(5, 6), T.lmatrix("x")
    f = wb.function([x], T.dot(table[x], w))

    with pytest.raises(OutOfRangeError, match="7"):
        f([[0, 7]])


def test_a_large_table_is_not_multiplied_for_a_few_rows():
    table, w, x = shared(1000, 5), shared(5, 6), T.lmatrix("x")

    f = check([x], [T.dot(table[x], w)], [RNG.integers(0, 1000, (3, 4))])

    assert table not in multiplied(f)


def test_a_vector_of_places_may_be_short():
    table, w, x = shared(7, 5), shared(5, 6), T.lvector("x")

    f = check([x], [T.dot(table[x], w)], [np.array([3])])

    assert table not in multiplied(f)


def test_a_loop_over_embedded_texts_and_its_gradient_multiply_the_table():
    table, w, u = shared(7, 5), shared(5, 6), shared(6, 6)
    v = shared(6, 6)
    x = T.lmatrix("x")

    def step(x_t, h):
        a, b = T.dot(x_t, w) + T.dot(h, u), T.dot(x_t, w) + T.dot(h, v)
        return T.tanh(a) * T.sigmoid(b)

    hs, _ = wb.scan(step, sequences=table[x], outputs_info=T.zeros((x.shape[1], 6)))
    loss = T.sum(hs**2)

    f = check(
        [x],
        [loss, *wb.grad(loss, [table, w, u, v])],
        [RNG.integers(0, 7, (9, 4))],
    )

    loops = [n for n in f.compilation.after.nodes() if isinstance(n.op, Scan)]
    assert len(loops) == 2
    for loop in loops:  # one product with what was computed before a step
        assert sum(isinstance(n.op, Dot) for n in loop.op.body.order) == 1
