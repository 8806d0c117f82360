"""What is left of loops after all rewrites, and what they still refuse."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.modes import get_mode
from workbench.compile.pipeline import optimise
from workbench.compile.record import Graph
from workbench.compile.rewriting import rewrite_graph
from workbench.core.errors import OutOfRangeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import toposort
from workbench.core.ops.linalg import Dot, Gemm
from workbench.core.ops.scan import Scan

RNG = np.random.default_rng(0)


def loops_of(outputs):
    nodes = toposort(outputs if isinstance(outputs, list) else [outputs])
    return [n for n in nodes if isinstance(n.op, Scan)]


def ops_of_step(node):
    return [type(n.op) for n in node.op.body.order]


def products_in(node):
    return sum(op in (Dot, Gemm) for op in ops_of_step(node))


def agree(outputs, rewritten, values):
    expected, found = evaluate(outputs, values), evaluate(rewritten, values)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


class Net:
    """A recurrent net: x [T, B, N], h0 [B, M], weights u [N, M], w [M, M], v [M, K]."""

    def __init__(self):
        self.x = T.dtensor3("x")
        self.h0, self.u, self.w, self.v = T.dmatrices("h0", "u", "w", "v")

    def values(self, steps=4):
        shapes = {
            self.x: (steps, 3, 2),
            self.h0: (3, 5),
            self.u: (2, 5),
            self.w: (5, 5),
            self.v: (5, 4),
        }
        return {v: RNG.normal(size=shape) for v, shape in shapes.items()}

    def states(self, step=None, **options):
        def plain(x, h, u, w):
            return T.tanh(T.dot(x, u) + T.dot(h, w))

        found, _ = wb.scan(step or plain, self.x, self.h0, [self.u, self.w], **options)
        return found


# --- one loop for two --------------------------------------------------------------------


def test_gradient_runs_the_loop_once_forwards_and_once_backwards():
    net = Net()
    cost = T.sum(T.dot(net.states(), net.v) ** 2)
    outputs = [cost, *wb.grad(cost, [net.u, net.w, net.h0, net.v, net.x])]

    rewritten = rewrite_graph(outputs)

    assert [n.op.backwards for n in loops_of(rewritten)] == [False, True]
    agree(outputs, rewritten, net.values())


def test_gradients_taken_one_by_one_share_the_loops():
    net = Net()
    cost = T.sum(net.states() ** 2)
    outputs = [wb.grad(cost, v) for v in (net.u, net.w)]

    rewritten = rewrite_graph(outputs)

    assert len([n for n in loops_of(rewritten) if not n.op.backwards]) == 1
    agree(outputs, rewritten, net.values())


def test_loop_that_reads_the_results_of_another_is_not_merged_with_it():
    n, s = T.lscalar("n"), T.dscalar("s")
    first, _ = wb.scan(lambda a: a * 0.5, outputs_info=s, n_steps=n)
    second, _ = wb.scan(lambda x, a: (a * 0.5, a + x), first, [s, None], n_steps=n)
    outputs = [first, *second]

    rewritten = rewrite_graph(outputs)

    agree(outputs, rewritten, {n: 4, s: 2.0})


def test_loops_that_end_on_other_conditions_stay_two():
    s = T.dscalar("s")

    def last(top):
        def step(a):
            return a * 2, wb.until(a > top)

        return wb.scan(step, outputs_info=s, n_steps=20)[0][-1]

    outputs = [last(10.0), last(100.0)]

    rewritten = rewrite_graph(outputs)

    assert len(loops_of(rewritten)) == 2
    agree(outputs, rewritten, {s: 1.0})


# --- rows that are kept ------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 4])
def test_power_keeps_one_row_and_says_so(k, capsys):
    a, steps = T.dvector("A"), T.lscalar("k")
    rows, _ = wb.scan(
        lambda prior, a: prior * a, None, T.ones_like(a), a, n_steps=steps, name="power"
    )

    power = rewrite_graph(rows[-1])
    wb.debugprint(power)

    (loop,) = loops_of(power)
    assert loop.op.keep == (1,)
    assert "keeps 1 of n" in capsys.readouterr().out
    values = {a: np.arange(10.0), steps: k}
    np.testing.assert_array_equal(evaluate([power], values)[0], np.arange(10.0) ** k)


def test_last_row_of_no_step_is_an_error_as_before():
    a, steps = T.dvector("A"), T.lscalar("k")
    rows, _ = wb.scan(lambda p, a: p * a, None, T.ones_like(a), a, n_steps=steps)
    last = rewrite_graph(rows[-1])

    for graph in (rows[-1], last):
        with pytest.raises(OutOfRangeError):
            evaluate([graph], {a: np.arange(3.0), steps: 0})


def test_last_row_of_a_loop_that_ends_early_is_the_last_it_has_made():
    limit = T.dscalar("limit")

    def step(p):
        return p * 2, wb.until(p * 2 > limit)

    rows, _ = wb.scan(step, outputs_info=T.constant(1.0), n_steps=1000)

    last = rewrite_graph(rows[-1])

    assert loops_of(last)[0].op.keep == (1,)
    assert evaluate([last], {limit: 45.0})[0] == 64


def test_rows_behind_the_last_of_a_loop_that_ends_early_stay_zero():
    x = T.tensor("float64", shape=(4,), name="x")
    stack, _ = wb.scan(lambda x, p: (p + x, wb.until(p > 0)), x, T.constant(1.0))
    whole = stack.owner.inputs[0]  # with rows that are not reached
    rows = [whole[2:]]

    agree(rows, rewrite_graph(rows), {x: np.ones(4)})


def test_last_row_of_a_loop_that_goes_backwards_is_kept_alone():
    net = Net()
    last = net.states(go_backwards=True)[-1]

    rewritten = rewrite_graph(last)

    assert loops_of(rewritten)[0].op.keep == (1,)
    agree([last], [rewritten], net.values())


def test_some_last_rows_of_an_unknown_number_are_all_kept():
    net = Net()
    rows = net.states()[-3:]

    rewritten = rewrite_graph(rows)

    for steps in (2, 5):
        agree([rows], [rewritten], net.values(steps))


# --- work before and after ---------------------------------------------------------------


def test_products_of_the_sequence_are_done_before_the_loop():
    net = Net()
    outputs = [net.states()]

    rewritten = rewrite_graph(outputs)

    (loop,) = loops_of(rewritten)
    assert products_in(loop) == 1
    agree(outputs, rewritten, net.values())


def test_work_that_no_step_changes_is_done_once():
    net = Net()

    def step(x, h, u, w):
        return T.tanh(T.dot(x, u) + T.dot(h, T.dot(w, T.exp(w))))

    outputs = [net.states(step)]

    rewritten = rewrite_graph(outputs)

    assert products_in(loops_of(rewritten)[0]) == 1
    agree(outputs, rewritten, net.values())


def test_branch_that_is_never_taken_stays_in_the_loop():
    x, places, table = T.dvector("x"), T.lvector("places"), T.dmatrix("table")

    def step(x, s, table, places):
        return wb.ifelse(T.gt(x, 0), s + x, s + T.exp(table[places]).sum())

    rows, _ = wb.scan(step, x, T.constant(0.0), [table, places])

    rewritten = rewrite_graph(rows)

    values = {x: np.ones(3), places: np.array([7]), table: np.ones((2, 2))}
    agree([rows], [rewritten], values)


def test_prediction_at_every_step_is_computed_after_the_loop():
    net = Net()

    def step(x, h, u, w, v):
        h = T.tanh(T.dot(x, u) + T.dot(h, w))
        return h, T.nnet.softmax(T.dot(h, v))

    (_, p), _ = wb.scan(step, net.x, [net.h0, None], [net.u, net.w, net.v])
    cost = -T.sum(T.log(p[:, :, 0]))
    outputs = [cost, *wb.grad(cost, [net.u, net.w, net.v])]

    rewritten = rewrite_graph(outputs)

    assert [products_in(n) for n in loops_of(rewritten)] == [1, 1]
    agree(outputs, rewritten, net.values())


def test_prediction_of_the_last_step_alone_is_one_product():
    net = Net()

    def step(x, h, u, w, v):
        h = T.tanh(T.dot(x, u) + T.dot(h, w))
        return h, T.dot(h, v)

    (_, p), _ = wb.scan(step, net.x, [net.h0, None], [net.u, net.w, net.v])

    rewritten = rewrite_graph(p[-1])

    (loop,) = loops_of(rewritten)
    assert products_in(loop) == 1
    assert loop.op.keep in ((1,), (1, 1))
    agree([p[-1]], [rewritten], net.values())


def test_gradients_of_weights_are_no_states_of_the_loop():
    net = Net()
    cost = T.sum(net.states() ** 2)
    outputs = wb.grad(cost, [net.u, net.w])

    rewritten = rewrite_graph(outputs)

    backwards = loops_of(rewritten)[-1]
    assert backwards.op.backwards and backwards.op.n_states == 1
    agree(outputs, rewritten, net.values())


# --- gates -------------------------------------------------------------------------------


def lstm(joined):
    """Cost and gradients of a long short-term memory with a weight a gate, or with one for all."""
    x, m = T.dtensor3("x"), T.dmatrix("mask")
    if joined:
        weights = [T.dmatrix("W"), T.dmatrix("U"), T.dvector("b")]
    else:
        weights = [T.dmatrix(w + g) for w in "WU" for g in "ifoc"]
        weights += [T.dvector("b" + g) for g in "ifoc"]

    def step(m, x, h, c, *weights):
        size = h.shape[1]
        if joined:
            w, u, b = weights
            all_gates = T.dot(x, w) + T.dot(h, u) + b
            gates = [all_gates[:, k * size : (k + 1) * size] for k in range(4)]
        else:
            w, u, b = weights[:4], weights[4:8], weights[8:]
            gates = [T.dot(x, w[k]) + T.dot(h, u[k]) + b[k] for k in range(4)]
        i, f, o = (T.nnet.sigmoid(gate) for gate in gates[:3])
        new = f * c + i * T.tanh(gates[3])
        new = m[:, None] * new + (1 - m)[:, None] * c
        out = o * T.tanh(new)
        return m[:, None] * out + (1 - m)[:, None] * h, new

    h0 = T.zeros((x.shape[1], 5))
    (h, _), _ = wb.scan(step, [m, x], [h0, h0], weights)
    cost = T.sum(T.mean(h, axis=0) ** 2)
    return [cost, *wb.grad(cost, weights)], [x, m, *weights]


def lstm_values():
    x, mask = RNG.normal(size=(6, 3, 4)), (RNG.random((6, 3)) < 0.8) * 1.0
    w, u, b = (RNG.normal(size=s) * 0.3 for s in ((4, 20), (5, 20), (20,)))
    return x, mask, w, u, b


def test_gates_of_separate_weights_are_one_product_each_way():
    outputs, inputs = lstm(joined=False)
    x, mask, *all_weights = lstm_values()
    parts = [part for w in all_weights for part in np.split(w, 4, axis=-1)]
    values = dict(zip(inputs, [x, mask, *parts], strict=True))

    rewritten = rewrite_graph(outputs)

    forwards, backwards = loops_of(rewritten)
    assert products_in(forwards) == products_in(backwards) == 1
    assert backwards.op.n_states == 2
    agree(outputs, rewritten, values)


def test_gates_of_separate_weights_cost_what_those_of_joined_weights_do():
    separate, inputs = lstm(joined=False)
    joined, inputs_of_joined = lstm(joined=True)
    x, mask, *all_weights = lstm_values()
    parts = [part for w in all_weights for part in np.split(w, 4, axis=-1)]

    one, other = rewrite_graph(separate), rewrite_graph(joined)

    for a, b in zip(loops_of(one), loops_of(other), strict=True):
        assert products_in(a) == products_in(b) == 1
        assert a.op.n_states == b.op.n_states
    found = evaluate(one, dict(zip(inputs, [x, mask, *parts], strict=True)))
    values = dict(zip(inputs_of_joined, [x, mask, *all_weights], strict=True))
    expected = evaluate(other, values)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    for k, whole in enumerate(expected[1:]):
        gradients = found[1 + 4 * k : 5 + 4 * k]
        np.testing.assert_allclose(
            np.concatenate(gradients, axis=-1), whole, rtol=1e-11, atol=1e-12
        )


# --- the record, and modes ---------------------------------------------------------------


def test_rewrites_in_a_step_are_on_record_each_once():
    x = T.dvector("x")
    rows, _ = wb.scan(lambda x, s: s - (-x), x, T.constant(0.0))

    _, steps = optimise(Graph((x,), (rows,)), get_mode("FAST_RUN"))

    rules = [step.rule for step in steps]
    assert rules.count("sub_of_neg") == 1
    assert "step_of_loop" in rules
    assert [step.number for step in steps] == [*range(1, len(steps) + 1)]


def test_loop_in_a_loop_is_rewritten_too():
    x = T.dmatrix("x")

    def row(x, s):
        inner, _ = wb.scan(lambda x, a: a - (-x), x, s)
        return inner[-1]

    rows, _ = wb.scan(row, x, T.constant(0.0))

    rewritten = rewrite_graph(rows)

    (outer,) = loops_of(rewritten)
    (inner,) = (n for n in outer.op.body.order if isinstance(n.op, Scan))
    assert inner.op.keep == (1,)
    assert [str(n.op) for n in inner.op.body.order] == ["add"]
    agree([rows], [rewritten], {x: RNG.normal(size=(3, 4))})


def test_mode_may_leave_loops_as_they_are():
    net = Net()
    without = get_mode("FAST_RUN").excluding("loops")

    (loop,) = loops_of(rewrite_graph(net.states()[-1], mode=without))

    assert loop.op.keep == (None,)
    assert products_in(loop) == 2


def test_loop_of_one_step_is_none():
    net = Net()
    rows = net.states(n_steps=1)

    rewritten = rewrite_graph(rows)

    assert not loops_of(rewritten)
    agree([rows], [rewritten], net.values())


def test_gradient_of_gates_written_apart_has_one_product_a_step():
    # What the sequence's gradient takes of all gates at once is one product after the loop.
    net = Net()
    u, w = T.dmatrices("u2", "w2")

    def step(x, h, u, w, u2, w2):
        gate = T.nnet.sigmoid(T.dot(x, u) + T.dot(h, w))
        return gate * h + (1 - gate) * T.tanh(T.dot(x, u2) + T.dot(h, w2))

    weights = [net.u, net.w, u, w]
    rows, _ = wb.scan(step, net.x, net.h0, weights)
    outputs = wb.grad(T.sum(rows), [net.x, *weights])

    rewritten = rewrite_graph(outputs)

    outside = [n for n in toposort(rewritten[:1]) if isinstance(n.op, Dot | Gemm)]
    assert [products_in(n) for n in loops_of(rewritten)] == [1, 1]
    assert len(outside) == 2  # of x before the loops, and for its gradient after them
    values = net.values()
    values |= {u: values[net.u] / 2, w: values[net.w] / 3}
    agree(outputs, rewritten, values)
