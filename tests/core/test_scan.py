"""Loops that users write, against loops in Python: values, updates, types and names."""

from functools import partial

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.evaluate import evaluate
from workbench.core.ops.scan import Scan

rng = np.random.default_rng(0)

WAYS = ["evaluate", "FAST_COMPILE", "FAST_RUN"]


@pytest.fixture(params=WAYS)
def run(request):
    """The values of variables, in NumPy or by a compiled function, for values of inputs."""

    def values(outputs, given=None):
        several = outputs if isinstance(outputs, list) else [outputs]
        given = given or {}
        if request.param == "evaluate":
            found = evaluate(several, given)
        else:
            f = wb.function(
                list(given), several, mode=request.param, on_unused_input="ignore"
            )
            found = f(*given.values())
        return found if isinstance(outputs, list) else found[0]

    return values


def loops(*outputs):
    """The loops that outputs are computed by."""
    return [n for n in wb.toposort(outputs) if isinstance(n.op, Scan)]


def body_of(output):
    (node,) = loops(output)
    return node.op.body


# --- what a step sees --------------------------------------------------------------------


def test_step_sees_rows_then_earlier_outputs_then_the_rest(run):
    x, y, h0, w = T.matrix("x"), T.vector("y"), T.vector("h0"), T.scalar("w")

    h, updates = wb.scan(
        lambda x_t, y_t, h_before, w: 2 * x_t + 3 * y_t - w * h_before,
        sequences=[x, y],
        outputs_info=h0,
        non_sequences=w,
    )

    xs, ys, state = rng.normal(size=(4, 3)), rng.normal(size=4), np.ones(3)
    expected = []
    for x_t, y_t in zip(xs, ys, strict=True):
        state = 2 * x_t + 3 * y_t - 0.5 * state
        expected.append(state)
    found = run(h, {x: xs, y: ys, h0: np.ones(3), w: 0.5})
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert updates == {}


def test_the_power_of_the_talk(run):
    A, k = T.vector("A"), T.iscalar("k")

    powers, _ = wb.scan(
        lambda prior, A: prior * A,
        outputs_info=T.ones_like(A),
        non_sequences=A,
        n_steps=k,
    )

    given = {A: np.arange(10.0), k: np.int32(2)}
    np.testing.assert_array_equal(run(powers[-1], given), np.arange(10.0) ** 2)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_output_that_no_step_reads_is_stacked(run, n):
    x = T.matrix("x")

    outputs, _ = wb.scan(lambda row: [row.sum(), row * 2], x)

    values = rng.normal(size=(n, 3))
    sums, doubles = run(outputs, {x: values})
    np.testing.assert_allclose(sums, values.sum(1), rtol=1e-12)
    np.testing.assert_array_equal(doubles, values * 2)


def test_taps_of_a_sequence_are_handed_over_in_the_order_given(run):
    x = T.vector("x")

    out, _ = wb.scan(
        lambda after, before, here: [after, before, here],
        dict(input=x, taps=[2, -1, 0]),
    )

    after, before, here = run(out, {x: np.arange(8.0)})
    # The first step that has x[t-1] is at 1, the last that has x[t+2] at 5.
    np.testing.assert_array_equal(here, np.arange(1.0, 6.0))
    np.testing.assert_array_equal(before, here - 1)
    np.testing.assert_array_equal(after, here + 2)


@pytest.mark.parametrize(("taps", "first"), [([-2], 0), ([3], 3), ([-1, -3], 2)])
def test_taps_count_from_step_zero_even_when_zero_is_not_among_them(run, taps, first):
    x = T.vector("x")

    out, _ = wb.scan(lambda *rows: rows[0], dict(input=x, taps=taps))

    n = 8 - max(0, *taps) - max(0, -min(taps))
    np.testing.assert_array_equal(
        run(out, {x: np.arange(8.0)}), np.arange(first, first + n)
    )


def test_sequences_with_taps_agree_with_plain_ones(run):
    x, y = T.vector("x"), T.vector("y")

    out, _ = wb.scan(
        lambda before, here, y_t: (here - before) * y_t,
        [dict(input=x, taps=[-1, 0]), y],
    )

    xs, ys = rng.normal(size=6), rng.normal(size=5)
    np.testing.assert_allclose(run(out, {x: xs, y: ys}), np.diff(xs) * ys, rtol=1e-12)


@pytest.mark.parametrize("order", [[-3, -1], [-1, -3]])
def test_taps_of_an_output_are_handed_over_in_the_order_given(run, order):
    h0 = T.vector("h0")

    h, _ = wb.scan(
        lambda a, b: 2 * a + b, outputs_info=dict(initial=h0, taps=order), n_steps=5
    )

    rows = [1.0, 2.0, 4.0]
    for _ in range(5):
        a, b = (rows[tap] for tap in order)
        rows.append(2 * a + b)
    np.testing.assert_array_equal(run(h, {h0: [1.0, 2.0, 4.0]}), rows[3:])


def test_more_initial_rows_than_taps_need_are_passed_over(run):
    h, _ = wb.scan(
        lambda a, b: a + b,
        outputs_info=dict(initial=np.arange(5), taps=[-2, -1]),
        n_steps=3,
    )

    np.testing.assert_array_equal(run(h), [1, 2, 3])


def test_one_tap_further_back(run):
    h, _ = wb.scan(
        lambda h: h * 2, outputs_info=dict(initial=np.array([1, 5]), taps=-2), n_steps=4
    )

    np.testing.assert_array_equal(run(h), [2, 10, 4, 20])


def test_states_and_plain_outputs_may_stand_in_any_order(run):
    x = T.vector("x")

    outputs, _ = wb.scan(
        lambda x_t, a, b: [x_t * a, a + x_t, b - x_t, a + b],
        x,
        [None, np.float64(1.0), np.float64(0.0), dict(initial=None)],
    )

    a, b, expected = 1.0, 0.0, []
    for x_t in [1.0, 2.0, 3.0]:
        expected.append([x_t * a, a + x_t, b - x_t, a + b])
        a, b = a + x_t, b - x_t
    found = run(outputs, {x: [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(np.transpose(found), expected)


# --- how many steps ----------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 3])
def test_fewer_steps_than_rows_take_the_first_rows(run, n):
    x, k = T.vector("x"), T.lscalar("k")

    fixed, _ = wb.scan(lambda row: row + 1, x, n_steps=n)
    free, _ = wb.scan(lambda row: row + 1, x, n_steps=k)

    for found in run([fixed, free], {x: np.arange(3.0), k: n}):
        np.testing.assert_array_equal(found, np.arange(1.0, n + 1))


def test_no_step_leaves_an_empty_output_of_the_right_shape(run):
    x = T.matrix("x")

    outputs, _ = wb.scan(
        lambda row, h: [h + row, row.sum()], x, [np.zeros(3), None], n_steps=0
    )

    state, plain = run(outputs, {x: np.ones((2, 3))})
    assert state.shape == (0, 3)
    assert plain.shape == (0,)


@pytest.mark.parametrize("n", [None, 0, 1, 2, 4])
def test_backwards_begins_at_the_end_of_the_sequence(run, n):
    x = T.vector("x")

    outputs, _ = wb.scan(
        lambda row, h, a, b: [h + row, a + b + row, row],
        x,
        [np.float64(0.0), dict(initial=np.array([1.0, 2.0]), taps=[-2, -1]), None],
        n_steps=n,
        go_backwards=True,
    )

    values = np.arange(1.0, 5.0)
    rows = values[::-1][:n]
    pairs = [1.0, 2.0]
    for row in rows:
        pairs.append(pairs[-2] + pairs[-1] + row)
    sums, chains, plain = run(outputs, {x: values})
    np.testing.assert_array_equal(sums, np.cumsum(rows))
    np.testing.assert_array_equal(chains, pairs[2:])
    np.testing.assert_array_equal(plain, rows)


def test_backwards_with_taps_and_an_unknown_number_of_steps(run):
    x, n = T.vector("x"), T.lscalar("n")

    out, _ = wb.scan(
        lambda before, after: 10 * before + after,
        dict(input=x, taps=[-1, 1]),
        n_steps=n,
        go_backwards=True,
    )

    expected = (10 * np.arange(6.0) + np.arange(2.0, 8.0))[::-1][:4]
    np.testing.assert_array_equal(run(out, {x: np.arange(8.0), n: 4}), expected)


@pytest.mark.parametrize("limit", [-1, 5, 20.5, 100])
@pytest.mark.parametrize("backwards", [False, True])
def test_condition_ends_the_loop_after_the_step_in_which_it_is_true(
    run, limit, backwards
):
    x = T.vector("x")

    def step(row, total):
        return [total + row, row], wb.until(total + row > limit)

    outputs, _ = wb.scan(step, x, [np.float64(0.0), None], go_backwards=backwards)

    values = np.arange(1.0, 7.0)[:: -1 if backwards else 1]
    totals = np.cumsum(values)
    steps = 1 + int(np.argmax(totals > limit)) if totals[-1] > limit else 6
    found, rows = run(outputs, {x: np.arange(1.0, 7.0)})
    np.testing.assert_array_equal(found, totals[:steps])
    np.testing.assert_array_equal(rows, values[:steps])


# --- what a step returns -----------------------------------------------------------------


def test_condition_may_be_a_number(run):
    out, _ = wb.scan(
        lambda n: (n - 1, wb.until(T.eq(n - 1, 2) * 3)),
        outputs_info=T.constant(5),
        n_steps=10,
    )

    np.testing.assert_array_equal(run(out), [4, 3, 2])


def test_every_combination_of_outputs_updates_and_condition_is_understood():
    n = wb.shared(0, "n")
    x = T.vector("x")
    stop = wb.until(T.constant(False))

    forms = {
        "output": lambda a: a,
        "list": lambda a: [a],
        "tuple": lambda a: (a,),
        "output, dict": lambda a: (a, {n: n + 1}),
        "list, dict": lambda a: ([a], {n: n + 1}),
        "dict, list": lambda a: ({n: n + 1}, [a]),
        "list, pairs": lambda a: ([a], [(n, n + 1)]),
        "list, no updates": lambda a: ([a], []),
        "no updates, list": lambda a: ([], [a]),
        "output, until": lambda a: (a, stop),
        "list, until": lambda a: ([a], stop),
        "list, dict, until": lambda a: ([a], {n: n + 1}, stop),
        "dict, list, until": lambda a: ({n: n + 1}, [a], stop),
    }

    for name, step in forms.items():
        output, updates = wb.scan(step, x)
        assert isinstance(output, wb.Variable), name
        assert list(updates) == ([n] if "dict" in name or "pairs" in name else []), name
        np.testing.assert_array_equal(output.eval({x: [1.0, 2.0]}), [1.0, 2.0])


@pytest.mark.parametrize("as_pairs", [True, False])
def test_step_may_return_nothing_but_updates(as_pairs):
    n = wb.shared(1, "n")

    new = [(n, 2 * n)] if as_pairs else {n: 2 * n}
    outputs, updates = wb.scan(lambda: new, n_steps=5)
    f = wb.function([], [], updates=updates, mode="FAST_COMPILE")

    f()
    assert outputs is None
    assert n.get_value() == 32


def test_one_output_is_returned_alone_unless_a_list_is_asked_for():
    x = T.vector("x")

    alone, _ = wb.scan(lambda a: [a], x)
    listed, _ = wb.scan(lambda a: a, x, return_list=True)
    without = wb.scan(lambda a: a, x, return_updates=False)

    assert isinstance(alone, wb.Variable)
    assert isinstance(listed, list)
    assert isinstance(without, wb.Variable)


def test_step_may_return_what_it_was_given_or_a_number(run):
    x, w = T.vector("x"), T.vector("w")

    outputs, _ = wb.scan(
        lambda row, h, w: [row, h, w, 2.5], x, [None, 1.0, None, None], w
    )

    row, h, ws, number = run(outputs, {x: [1.0, 2.0], w: [3.0, 4.0]})
    np.testing.assert_array_equal(row, [1, 2])
    np.testing.assert_array_equal(h, [1, 1])
    np.testing.assert_array_equal(ws, [[3, 4], [3, 4]])
    np.testing.assert_array_equal(number, [2.5, 2.5])


def test_step_may_return_an_array(run):
    out, _ = wb.scan(lambda: np.array([1.0, 2.0]), n_steps=2)

    np.testing.assert_array_equal(run(out), [[1, 2], [1, 2]])


# --- what a step reads besides -----------------------------------------------------------


def test_what_the_step_reads_from_outside_is_found(run):
    x, w = T.vector("x"), T.vector("w")
    scale = wb.shared(np.array([2.0, 3.0]), "scale")
    product = w * scale

    out, _ = wb.scan(lambda row: row * product + scale.sum(), x)

    found = run(out, {x: [1.0, 2.0], w: [5.0, 7.0]})
    np.testing.assert_array_equal(found, np.outer([1, 2], [10, 21]) + 5)


def test_what_was_computed_before_the_loop_is_computed_once():
    x, w = T.vector("x"), T.vector("w")
    before = T.exp(w)

    out, _ = wb.scan(lambda row: row * before + T.log(w), x)

    names = [node.op.name for node in body_of(out).order]
    assert "exp" not in names
    assert "log" in names


def test_constants_stay_in_the_step():
    x = T.vector("x")
    weights = np.array([1.0, 2.0])

    out, _ = wb.scan(lambda row: row * weights + 1, x)

    (node,) = loops(out)
    assert node.op.parts(node.inputs)[-1] == []


def test_python_numbers_among_non_sequences_adapt_to_what_they_meet():
    x = T.fvector("x")

    out, _ = wb.scan(lambda row, k: row * k, x, None, [2.5])

    assert out.dtype == "float32"


def test_loop_in_a_loop_reads_what_the_outer_step_sees(run):
    x, y = T.matrix("x"), T.vector("y")

    def outer(row, total):
        scaled = row * 2
        inner, _ = wb.scan(lambda a, s: s + a * scaled.sum() + total, y, T.zeros(()))
        return total + inner[-1]

    out, _ = wb.scan(outer, x, np.float64(1.0))

    xs, ys = rng.normal(size=(3, 2)), rng.normal(size=4)
    total, expected = 1.0, []
    for row in xs:
        inner = 0.0
        for a in ys:
            inner += a * (2 * row).sum() + total
        total += inner
        expected.append(total)
    np.testing.assert_allclose(run(out, {x: xs, y: ys}), expected, rtol=1e-11)


def test_inner_loop_may_run_over_a_row_and_as_often_as_a_row_says(run):
    x, counts = T.matrix("x"), T.lvector("counts")

    def outer(row, n):
        return wb.scan(lambda a, s: s + a, row, 0.0, n_steps=n)[0].sum()

    out, _ = wb.scan(outer, [x, counts])

    xs = rng.normal(size=(3, 4))
    expected = [np.cumsum(row[:n]).sum() for row, n in zip(xs, [1, 4, 2], strict=True)]
    np.testing.assert_allclose(
        run(out, {x: xs, counts: [1, 4, 2]}), expected, rtol=1e-11
    )


def test_methods_and_callable_objects_can_be_steps(run):
    class Model:
        def step(self, a, h):
            return a + h

        def __call__(self, a, h):
            return a - h

    x = T.vector("x")

    found = [
        wb.scan(fn, x, 0.0)[0]
        for fn in (Model().step, Model(), partial(T.add), lambda *both: both[0])
    ]

    add, minus, ufunc, first = run(found, {x: [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(add, [1, 3, 6])
    np.testing.assert_array_equal(minus, [1, 1, 2])
    np.testing.assert_array_equal(ufunc, [1, 3, 6])
    np.testing.assert_array_equal(first, [1, 2, 3])


# --- updates and random numbers ----------------------------------------------------------


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_shared_variable_that_the_step_updates_goes_from_step_to_step(mode):
    n = wb.shared(3, "n")
    x = T.lvector("x")

    out, updates = wb.scan(lambda row: (row * n, {n: n + row}), x)
    f = wb.function([x], out, updates=updates, mode=mode)

    np.testing.assert_array_equal(f([1, 2, 3]), [3, 8, 18])
    assert n.get_value() == 9
    np.testing.assert_array_equal(f([]), [])
    assert n.get_value() == 9


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_updates_are_those_of_the_last_step_made(mode):
    n, m = wb.shared(0, "n"), wb.shared(1, "m")

    def step(limit):
        return {n: n + 1, m: m + n}, wb.until(n + 1 >= limit)

    outputs, updates = wb.scan(step, non_sequences=T.lscalar("limit"), n_steps=100)
    (limit,) = [v for v in wb.graph_inputs(list(updates.values())) if v.name == "limit"]
    f = wb.function([limit], [], updates=updates, mode=mode)

    f(4)
    assert outputs is None
    assert n.get_value() == 4
    assert m.get_value() == 1 + 0 + 1 + 2 + 3


def test_shared_variable_changes_also_where_the_step_names_it():
    n = wb.shared(1, "n")

    out, updates = wb.scan(
        lambda n: (n, {n: n * 2}), non_sequences=n, n_steps=4, strict=True
    )

    np.testing.assert_array_equal(out.eval(), [1, 2, 4, 8])
    assert list(updates) == [n]


def test_backwards_loop_updates_in_the_order_of_its_steps():
    last = wb.shared(0.0, "last")
    x = T.vector("x")

    out, updates = wb.scan(lambda row: (last, {last: row}), x, go_backwards=True)
    f = wb.function([x], out, updates=updates, mode="FAST_COMPILE")

    np.testing.assert_array_equal(f([1.0, 2.0, 3.0]), [0, 3, 2])
    assert last.get_value() == 1.0


def test_default_update_of_any_shared_variable_happens_in_every_step():
    n = wb.shared(0, "n")
    n.default_update = n + 2

    out, updates = wb.scan(lambda: n * 10, n_steps=3)
    f = wb.function([], out, updates=updates, mode="FAST_COMPILE")

    np.testing.assert_array_equal(f(), [0, 20, 40])
    assert n.get_value() == 6


def test_steps_may_train_a_parameter_by_its_gradient():
    w = wb.shared(np.array([1.0, -2.0]), "w")
    cost = (w**2).sum()
    slope = wb.grad(cost, w)

    costs, updates = wb.scan(lambda: (cost, {w: w - 0.1 * slope}), n_steps=5)
    f = wb.function([], costs, updates=updates, mode="FAST_COMPILE")

    np.testing.assert_allclose(f(), 5 * 0.64 ** np.arange(5), rtol=1e-12)
    np.testing.assert_allclose(
        w.get_value(), np.array([1.0, -2.0]) * 0.8**5, rtol=1e-12
    )


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("passes_updates", [True, False])
def test_random_numbers_differ_from_step_to_step_and_call_to_call(mode, passes_updates):
    streams = T.random.RandomStreams(3)

    draws, updates = wb.scan(lambda: streams.normal(size=(2,)), n_steps=4)
    f = wb.function([], draws, updates=updates if passes_updates else None, mode=mode)

    found = np.concatenate([f(), f(), f()])
    assert len(updates) == 1
    assert len(np.unique(found)) == 24


def test_random_numbers_of_steps_are_those_of_calls():
    one = T.random.RandomStreams(3).uniform()
    call = wb.function([], one, mode="FAST_COMPILE")

    streams = T.random.RandomStreams(3)
    draws, _ = wb.scan(lambda: streams.uniform(), n_steps=5)

    np.testing.assert_array_equal(draws.eval(), [call() for _ in range(5)])


def test_random_variable_that_is_listed_is_drawn_once():
    streams = T.random.RandomStreams(3)
    mask = streams.uniform()
    x = T.vector("x")

    once, updates = wb.scan(lambda row, mask: row + mask, x, None, mask)
    anew, more = wb.scan(lambda row: row + mask, x)

    assert list(updates) == []
    assert len(more) == 1
    assert len(np.unique(once.eval({x: np.zeros(5)}))) == 1
    assert len(np.unique(anew.eval({x: np.zeros(5)}))) == 5


def test_random_numbers_in_a_loop_in_a_loop_are_all_different():
    streams = T.random.RandomStreams(3)

    def outer():
        draws, updates = wb.scan(lambda: streams.uniform(), n_steps=3)
        return draws, updates

    with_updates, updates = wb.scan(outer, n_steps=4)
    without, _ = wb.scan(lambda: outer()[0], n_steps=4)
    first = wb.function([], with_updates, updates=updates, mode="FAST_COMPILE")
    second = wb.function([], without, mode="FAST_COMPILE")

    for f in (first, second):
        assert len(np.unique([f(), f()])) == 24


def test_gibbs_chain_gives_updates_for_a_function():
    streams = T.random.RandomStreams(7)
    W = wb.shared(rng.normal(size=(3, 2)), "W")

    def step(v):
        h = streams.binomial(size=(2,), n=1, p=T.nnet.sigmoid(T.dot(v, W)))
        p = T.nnet.sigmoid(T.dot(W, T.cast(h, "float64")))
        return T.cast(streams.binomial(size=(3,), n=1, p=p), "float64")

    v0 = T.vector("v0")
    samples, updates = wb.scan(step, outputs_info=v0, n_steps=20)
    f = wb.function([v0], samples, updates=updates, mode="FAST_COMPILE")

    first, second = f(np.ones(3)), f(np.ones(3))
    assert len(updates) == 2
    assert set(np.unique(first)) <= {0.0, 1.0}
    assert (first != second).any()


def test_updates_can_be_joined_with_others():
    n, m = wb.shared(0, "n"), wb.shared(0, "m")

    _, updates = wb.scan(lambda: {n: n + 1}, n_steps=3)
    updates[m] = m + 1
    joined = updates + {}

    wb.function([], [], updates=joined, mode="FAST_COMPILE")()
    assert n.get_value() == 3
    assert m.get_value() == 1


# --- gradients ---------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
def test_gradients_pass_through_sequences_states_and_the_rest(backwards):
    x, h0, w = T.matrix("x"), T.vector("h0"), T.matrix("w")

    def cost(x, h0, w):
        h, _ = wb.scan(
            lambda row, h, w: T.tanh(row + T.dot(h, w)),
            x,
            h0,
            w,
            go_backwards=backwards,
        )
        return (h**2).sum()

    points = [rng.normal(size=s) for s in ((3, 2), (2,), (2, 2))]
    wb.verify_grad(cost, points, rng=np.random.default_rng(1))


def test_gradient_by_a_variable_that_no_argument_names():
    x, w = T.vector("x"), T.scalar("w")

    h, _ = wb.scan(lambda row, h: w * h + row, x, 0.0)

    gradient = wb.grad(h[-1], w).eval({x: [1.0, 2.0, 3.0], w: 2.0})
    # d/dw of w^2 + 2w + 3.
    np.testing.assert_allclose(gradient, 6.0, rtol=1e-12)


def test_truncated_gradient_goes_back_so_many_steps():
    w = T.scalar("w")

    h, _ = wb.scan(
        lambda h, w: h * w, outputs_info=1.0, non_sequences=w, n_steps=5,
        truncate_gradient=2,
    )  # fmt: skip

    gradient = wb.grad(h[-1], w).eval({w: 3.0})
    # Of five factors only the last two are differentiated: 2 w^4.
    np.testing.assert_allclose(gradient, 2 * 3.0**4, rtol=1e-12)


# --- types -------------------------------------------------------------------------------


def test_python_number_takes_the_dtype_of_the_floats_around_it():
    x = T.fvector("x")

    from_float, _ = wb.scan(lambda row, h: h + row, x, 0.0)
    from_int, _ = wb.scan(lambda row, h: h + row, x, 0)

    assert from_float.dtype == from_int.dtype == "float32"


def test_python_int_stays_an_int_where_the_step_makes_ints():
    x = T.lvector("x")

    out, _ = wb.scan(lambda row, n: n + 1, x, 0)

    assert out.dtype == "int64"


def test_whole_numbers_become_floats_where_the_step_makes_floats(run):
    x = T.vector("x")
    n = T.iscalar("n")

    constant, _ = wb.scan(lambda row, h: h + row, x, T.zeros_like(x[0], dtype="int64"))
    narrow, _ = wb.scan(lambda row, h: h + row, x, n)

    a, b = run([constant, narrow], {x: [0.5, 1.0], n: np.int32(2)})
    np.testing.assert_array_equal(a, [0.5, 1.5])
    np.testing.assert_array_equal(b, [2.5, 3.5])


def test_output_of_a_narrower_dtype_is_widened(run):
    x = T.fvector("x")

    out, _ = wb.scan(lambda row, h: row * 2, x, T.zeros((), dtype="float64"))

    found = run(out, {x: np.array([1, 2], "float32")})
    assert found.dtype == "float64"
    np.testing.assert_array_equal(found, [2, 4])


def test_initial_value_of_size_one_is_stretched_to_what_the_step_makes(run):
    x, w = T.tensor3("x"), T.matrix("w")

    out, _ = wb.scan(lambda row, h: T.tanh(row + T.dot(h, w)), x, T.zeros((1, 3)))

    xs, ws = rng.normal(size=(4, 2, 3)), rng.normal(size=(3, 3))
    h, expected = np.zeros((2, 3)), []
    for row in xs:
        h = np.tanh(row + h @ ws)
        expected.append(h)
    np.testing.assert_allclose(run(out, {x: xs, w: ws}), expected, rtol=1e-10)


def test_initial_value_of_size_one_is_stretched_to_a_known_size(run):
    out, _ = wb.scan(
        lambda h: h + np.arange(3.0), outputs_info=np.ones((1,)), n_steps=2
    )

    assert out.type.shape == (2, 3)
    np.testing.assert_array_equal(run(out), [[1, 2, 3], [1, 3, 5]])


def test_known_sizes_of_the_initial_value_hold_in_every_step():
    x = T.matrix("x")

    out, _ = wb.scan(lambda row, h: h + row, x, np.zeros(3))

    assert out.type.shape == (None, 3)
    np.testing.assert_array_equal(out.eval({x: np.ones((2, 3))})[-1], np.full(3, 2.0))
    with pytest.raises(wb.ShapeError):
        out.eval({x: np.ones((2, 4))})


# --- names and lines ---------------------------------------------------------------------


def test_what_a_step_sees_is_named_after_what_it_comes_from():
    x, h = T.vector("x"), T.scalar("h")

    seen = []
    wb.scan(
        lambda *arguments: (seen.extend(arguments), arguments[-1])[1],
        dict(input=x, taps=[-1, 0, 2]),
        h,
    )

    assert [v.name for v in seen] == ["x[t-1]", "x[t]", "x[t+2]", "h[t-1]"]


def test_what_has_no_name_is_called_as_the_step_calls_it():
    seen = []

    def step(element, total):
        seen.extend([element, total])
        return total + element

    wb.scan(step, np.arange(3.0), 0.0)

    assert [v.name for v in seen] == ["element", "total"]


def test_operations_of_the_step_know_the_line_of_the_step():
    x = T.vector("x")

    def step(row, h):
        return T.tanh(row * h)

    out, _ = wb.scan(step, x, 1.0)

    lines = {node.origin.location.code for node in body_of(out).order}
    assert lines == {"return T.tanh(row * h)"}


def test_loop_has_its_name():
    out, _ = wb.scan(lambda row: row + 1, T.vector("x"), name="my loop")

    assert "my loop" in wb.pp(out)


def test_nodes_do_not_grow_with_the_number_of_steps():
    short, _ = wb.scan(lambda h: h * 2, outputs_info=1.0, n_steps=2)
    long, _ = wb.scan(lambda h: h * 2, outputs_info=1.0, n_steps=1_000_000)

    assert len(wb.toposort(short)) == len(wb.toposort(long))


def test_step_function_is_called_once():
    calls = []
    x = T.vector("x")

    wb.scan(lambda row, h: (calls.append(1), row + h)[1], x, T.scalar("h"))

    assert len(calls) == 1


def test_numbers_in_a_chain_of_states_settle_one_after_the_other(run):
    x = T.vector("x")

    outputs, _ = wb.scan(lambda row, *h: [row, *h[:-1]], x, [0, 0, 0, 0, 0, 0, 0, 0, 0])

    found = run(outputs, {x: [0.5, 1.5]})
    assert {v.dtype for v in outputs} == {"float64"}
    np.testing.assert_array_equal(found[0], [0.5, 1.5])
    np.testing.assert_array_equal(found[1], [0, 0.5])


def test_loops_are_nested_two_hundred_deep():
    def nest(depth):
        if depth == 0:
            return lambda h: h + 1
        return lambda h: wb.scan(nest(depth - 1), outputs_info=h, n_steps=1)[0][-1]

    h, _ = wb.scan(nest(200), outputs_info=0, n_steps=1)

    np.testing.assert_array_equal(evaluate([h], {})[0], [1])


def test_one_loop_inside_many():
    def nest(depth):
        if depth == 0:
            return lambda h: h + 1
        return lambda h: wb.scan(nest(depth - 1), outputs_info=h, n_steps=2)[0][-1]

    h, _ = wb.scan(nest(6), outputs_info=0, n_steps=1)

    assert h.eval() == 64
