"""Many loops at once against one after the other."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.scan import Scan

rng = np.random.default_rng(0)

x, h0, w = T.matrix("x"), T.vector("h0"), T.scalar("w")
VALUES = {x: rng.normal(size=(4, 2)), h0: rng.normal(size=2), w: np.array(0.7)}


def loop(backwards=False, **kwargs):
    def step(row, h, older, count, w):
        return [
            T.tanh(row * w + h),
            T.sin(older) + row.sum() * h,
            count + 1,
            h[::-1],
            w + count,
        ]

    start = [h0, dict(initial=T.ones((3, 2)), taps=[-3]), 0.0, None, None]
    return wb.scan(step, x, start, w, go_backwards=backwards, **kwargs)[0]


def many_of(variable, count):
    return variable.type.with_shape((None,) * (variable.ndim + count))()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "which", [[x], [h0], [w], [x, w], [h0, w], [x, h0, w]], ids=str
)
def test_loop_of_many_is_many_loops(which, backwards):
    outputs = loop(backwards)
    given = {v: rng.normal(size=(3, *VALUES[v].shape)) for v in which}
    many = {v: many_of(v, 1) for v in which}

    batched = wb.vectorize_graph(outputs, many)

    fixed = [v for v in VALUES if v not in which]
    f = wb.function([*many.values(), *fixed], batched, mode="FAST_COMPILE")
    one = wb.function(list(VALUES), outputs, mode="FAST_COMPILE")
    found = f(*given.values(), *(VALUES[v] for v in fixed))
    for entry in range(3):
        values = {**VALUES, **{v: a[entry] for v, a in given.items()}}
        expected = one(*values.values())
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a[entry], b, rtol=1e-12)
    (node,) = [n for n in wb.toposort(batched) if isinstance(n.op, Scan)]
    assert len(node.outputs) == len(outputs)


def test_additional_axes_of_several_inputs_stretch_together():
    outputs = loop()
    many = {x: many_of(x, 1), w: many_of(w, 2)}
    xs, ws = rng.normal(size=(3, 4, 2)), rng.normal(size=(2, 3))

    batched = wb.vectorize_graph(outputs[0], many)

    found = batched.eval({many[x]: xs, many[w]: ws, h0: VALUES[h0]})
    assert found.shape == (2, 3, 4, 2)
    for i in range(2):
        for j in range(3):
            values = {x: xs[j], w: ws[i, j], h0: VALUES[h0]}
            np.testing.assert_allclose(found[i, j], outputs[0].eval(values), rtol=1e-12)


def test_jacobian_of_a_loop_is_made_of_one_loop_more():
    h, _ = wb.scan(lambda row, h, w: T.tanh(row + w * h), x, h0, w)

    jacobian = wb.jacobian(h[-1], h0)

    found = jacobian.eval(VALUES)
    for i in range(2):
        step = np.eye(2)[i] * 1e-6
        up, down = (h[-1].eval({**VALUES, h0: VALUES[h0] + s}) for s in (step, -step))
        np.testing.assert_allclose(found[:, i], (up - down) / 2e-6, rtol=1e-7)


def test_loops_that_each_have_a_number_of_steps_are_done_one_by_one():
    n, ns = T.lscalar("n"), T.lvector("ns")
    power = wb.while_loop(lambda p: p < n, lambda p: 2 * p, 1, max_steps=20)

    batched = wb.vectorize_graph(power, {n: ns})

    np.testing.assert_array_equal(batched.eval({ns: [1, 5, 100]}), [1, 8, 128])
