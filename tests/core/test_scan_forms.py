"""Maps, folds, while loops and checkpoints against Python, and against plain loops."""

from functools import reduce as python_reduce

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.scan import Scan

rng = np.random.default_rng(0)

MODES = ["FAST_COMPILE", "FAST_RUN"]


# --- map, reduce, foldl, foldr -----------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_map_applies_a_function_to_every_row(mode):
    x, y, w = T.matrix("x"), T.vector("y"), T.scalar("w")

    outputs, updates = wb.map(lambda a, b, w: [a * b + w, a.sum()], [x, y], w)
    f = wb.function([x, y, w], outputs, mode=mode)

    xs, ys = rng.normal(size=(4, 3)), rng.normal(size=4)
    products, sums = f(xs, ys, 2.0)
    np.testing.assert_allclose(products, xs * ys[:, None] + 2, rtol=1e-12)
    np.testing.assert_allclose(sums, xs.sum(1), rtol=1e-12)
    assert updates == {}


def test_map_runs_backwards_and_leaves_out_updates():
    x = T.vector("x")

    out = wb.map(lambda a: 2 * a, x, go_backwards=True, return_updates=False)

    np.testing.assert_array_equal(out.eval({x: [1.0, 2.0, 3.0]}), [6, 4, 2])


def test_map_draws_anew_for_every_row():
    streams = T.random.RandomStreams(1)
    x = T.vector("x")

    out, updates = wb.map(lambda a: a + streams.uniform(), x)

    assert len(updates) == 1
    assert len(np.unique(out.eval({x: np.zeros(6)}))) == 6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_folds_are_those_of_python(mode, n):
    x = T.lvector("x")

    def combine(row, so_far):
        return 3 * so_far - row

    outputs = [fold(combine, x, 7)[0] for fold in (wb.reduce, wb.foldl, wb.foldr)]
    f = wb.function([x], outputs, mode=mode)

    values = rng.integers(0, 9, n)
    left = python_reduce(lambda s, row: 3 * s - row, values, 7)
    right = python_reduce(lambda s, row: 3 * s - row, values[::-1], 7)
    assert [int(v) for v in f(values)] == [left, left, right]


def test_reduce_keeps_several_values_and_has_a_gradient():
    x = T.vector("x")

    (total, largest), _ = wb.reduce(
        lambda row, total, largest: [total + row**2, T.maximum(row, largest)],
        x,
        [0.0, -np.inf],
    )
    slope = wb.grad(total * largest, x)

    found = [v.eval({x: [3.0, 1.0]}) for v in (total, largest, slope)]
    np.testing.assert_allclose(found[0], 10)
    np.testing.assert_allclose(found[1], 3)
    np.testing.assert_allclose(found[2], [2 * 3 * 3 + 10, 2 * 1 * 3])


def test_reduce_gives_the_last_of_an_output_that_no_step_reads():
    x = T.vector("x")

    (total, square), _ = wb.reduce(
        lambda row, total: [total + row, row**2], x, [0.0, None]
    )

    assert total.eval({x: [1.0, 2.0]}) == 3
    assert square.eval({x: [1.0, 2.0]}) == 4


def test_reduce_updates_shared_variables():
    count = wb.shared(0, "count")
    x = T.vector("x")

    total, updates = wb.reduce(lambda row, s: (s + row, {count: count + 1}), x, 0.0)
    f = wb.function([x], total, updates=updates, mode="FAST_COMPILE")

    assert f([1.0, 2.0, 4.0]) == 7
    assert count.get_value() == 3


# --- while -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_while_loop_goes_on_as_long_as_the_condition_holds(mode):
    a, b = T.lscalars("a", "b")

    found = wb.while_loop(
        lambda a, b: b > 0, lambda a, b: [b, a % b], [a, b], max_steps=100
    )
    f = wb.function([a, b], found, mode=mode)

    for pair in [(84, 36), (7, 7), (5, 0), (0, 5), (1000, 1)]:
        assert f(*pair)[0] == np.gcd(*pair)


@pytest.mark.parametrize("mode", MODES)
def test_while_loop_makes_at_most_so_many_steps(mode):
    n = T.lscalar("n")

    x = wb.while_loop(lambda x: x < 1000, lambda x: 2 * x, 1, max_steps=n)
    f = wb.function([n], x, mode=mode)

    assert [int(f(steps)) for steps in (0, 1, 5, 10, 50)] == [1, 2, 32, 1024, 1024]


def test_while_loop_reads_what_is_listed_and_what_is_not():
    x, eps, c = T.scalar("x"), T.scalar("eps"), T.scalar("c")

    root = wb.while_loop(
        lambda r, eps: abs(r * r - c) > eps,
        lambda r, eps: 0.5 * (r + c / r),
        x,
        max_steps=50,
        non_sequences=[eps],
    )

    found = root.eval({x: 1.0, eps: 1e-12, c: 2.0})
    np.testing.assert_allclose(found, np.sqrt(2), rtol=1e-12)


def test_while_loop_keeps_arrays_and_one_value_in_its_form():
    v = T.vector("v")

    alone = wb.while_loop(lambda v: v.sum() < 100, lambda v: v * 2, v, 20)
    listed = wb.while_loop(lambda v: v.sum() < 100, lambda v: v * 2, [v], 20)

    assert isinstance(listed, list)
    np.testing.assert_array_equal(alone.eval({v: [1.0, 3.0]}), [32, 96])
    np.testing.assert_array_equal(listed[0].eval({v: [1.0, 3.0]}), [32, 96])


def test_while_loop_has_a_gradient():
    x = T.scalar("x")

    y = wb.while_loop(lambda y: y < 10, lambda y: y * x, x, max_steps=30)

    # From 2 to 16: four factors x.
    np.testing.assert_allclose(y.eval({x: 2.0}), 16)
    np.testing.assert_allclose(wb.grad(y, x).eval({x: 2.0}), 4 * 8)


def test_while_loop_keeps_only_the_last_values():
    y = wb.while_loop(lambda y: y < 10, lambda y: y + 1, 0.0, max_steps=10**9)

    (node,) = [n for n in wb.toposort([y]) if isinstance(n.op, Scan)]

    assert node.outputs[0].type.shape == (1,)


# --- checkpoints -------------------------------------------------------------------------


def recurrent(scan, x, h0, w, **kwargs):
    return scan(
        lambda row, h, w: T.tanh(row + T.dot(h, w)), x, h0, w, **kwargs
    )[0]  # fmt: skip


CHUNKS = [(12, 4), (10, 4), (3, 4), (1, 1), (5, 1)]


@pytest.mark.parametrize(
    ("n", "every", "known", "mode"),
    [(*pair, known, "FAST_COMPILE") for pair in CHUNKS for known in (True, False)]
    + [(n, 4, known, "FAST_RUN") for n, known in [(12, True), (10, True), (10, False)]],
)
def test_checkpoints_give_values_and_gradients_of_the_plain_loop(n, every, known, mode):
    x = T.matrix("x", shape=(n if known else None, 2))
    h0, w = T.vector("h0"), T.matrix("w")

    plain = recurrent(wb.scan, x, h0, w)
    saved = recurrent(wb.scan_checkpoints, x, h0, w, save_every_N=every)
    outputs = []
    for h in (plain, saved):
        outputs += [h, *wb.grad((h[-1] ** 2).sum(), [x, h0, w])]
    f = wb.function([x, h0, w], outputs, mode=mode)

    found = f(rng.normal(size=(n, 2)), rng.normal(size=2), rng.normal(size=(2, 2)))
    rows = [*range(every - 1, n - 1, every), n - 1]
    np.testing.assert_allclose(found[4], found[0][rows], rtol=1e-12)
    for a, b in zip(found[1:4], found[5:], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("n", [6, 7])
def test_checkpoints_without_sequences_take_a_number_of_steps(n):
    x, k = T.scalar("x"), T.lscalar("k")

    power, _ = wb.scan_checkpoints(
        lambda p, x: p * x, None, 1.0, x, n_steps=k, save_every_N=3
    )
    given = {x: 2.0, k: n}

    assert power[-1].eval(given) == 2.0**n
    np.testing.assert_allclose(wb.grad(power[-1], x).eval(given), n * 2.0 ** (n - 1))


def test_checkpoints_of_fewer_steps_than_rows():
    x, k = T.vector("x"), T.lscalar("k")

    total, _ = wb.scan_checkpoints(
        lambda row, s: s + row, x, 0.0, n_steps=k, save_every_N=2
    )

    np.testing.assert_array_equal(total.eval({x: np.arange(9.0), k: 5}), [1, 6, 10])


def test_checkpoints_have_updates_random_numbers_and_plain_outputs():
    streams, count = T.random.RandomStreams(5), wb.shared(0, "count")

    def step(scan):
        return scan(
            lambda s: (
                [s + 1, streams.uniform()],
                {count: count + 1},
            ),
            outputs_info=[0.0, None],
            n_steps=6,
            **({"save_every_N": 3} if scan is wb.scan_checkpoints else {}),
        )

    (totals, draws), updates = step(wb.scan_checkpoints)
    f = wb.function([], [totals, draws], updates=updates, mode="FAST_COMPILE")

    first, second = f(), f()
    np.testing.assert_array_equal(first[0], [3, 6])
    assert len(np.unique([first[1], second[1]])) == 4
    assert count.get_value() == 12


@pytest.mark.parametrize("rewrites", [False, True])
def test_gradient_of_checkpoints_keeps_states_only_between_chunks(rewrites):
    x = T.matrix("x", shape=(100, 2))
    h0, w = T.vector("h0"), T.matrix("w")

    saved = recurrent(wb.scan_checkpoints, x, h0, w, save_every_N=10)
    slope = wb.grad(saved[-1].sum(), w)
    if rewrites:
        slope = wb.rewrite_graph(slope)

    outer = [n for n in wb.toposort([slope]) if isinstance(n.op, Scan)]
    rows = [v.type.shape[0] for n in outer for v in n.outputs]
    assert len(outer) == 2
    assert max(rows) <= 11


@pytest.mark.parametrize("n", [4, 5])
def test_without_padding_the_number_of_steps_is_divided_or_an_error(n):
    x, k = T.vector("x"), T.lscalar("k")

    runs, _ = wb.scan_checkpoints(
        lambda row, s: s + row, x, 0.0, save_every_N=2, padding=False
    )
    counts, _ = wb.scan_checkpoints(
        lambda s: s + 1, None, 0.0, n_steps=k, save_every_N=2, padding=False
    )

    if n == 4:
        np.testing.assert_array_equal(runs.eval({x: np.ones(n)}), [2, 4])
        np.testing.assert_array_equal(counts.eval({k: n}), [2, 4])
    else:
        for out, given in ((runs, {x: np.ones(n)}), (counts, {k: n})):
            with pytest.raises(AssertionError, match="save_every_N, 2, divides"):
                out.eval(given)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"save_every_N": 0}, ValueError, "no positive whole number"),
        ({"save_every_N": 2.5}, ValueError, "no positive whole number"),
        ({"n_steps": 5, "padding": False}, wb.ShapeError, "does not divide 5 steps"),
        ({"outputs_info": dict(initial=np.ones(2), taps=[-2])}, TypeError, "taps"),
        ({"sequences": dict(input=np.ones(9), taps=[-1])}, TypeError, "taps"),
    ],
)
def test_what_checkpoints_cannot_do_is_said(change, error, text):
    given = {"outputs_info": 0.0, "n_steps": 4, "save_every_N": 2, **change}

    with pytest.raises(error, match=text):
        wb.scan_checkpoints(lambda *values: values[-1] + 1, **given)


def test_checkpoints_take_no_condition():
    with pytest.raises(wb.ArgumentError, match="condition"):
        wb.scan_checkpoints(
            lambda s: (s + 1, wb.until(s > 2)), outputs_info=0.0, n_steps=4
        )
