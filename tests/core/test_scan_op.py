"""The op of loops: which rows it reads and writes, what it refuses, what it knows of sizes."""

import pickle

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import OutOfRangeError, ParameterError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan


def fibonacci(**options):
    """f(t) = f(t-2) + f(t-1) + x(t), and twice that."""
    x, a, b = T.lscalars("x", "a", "b")
    total = a + b + x
    return Scan(Body([x, a, b], [total, 2 * total]), 1, ((-2, -1),), **options)


def run(op, steps, *arrays):
    inputs = [T.constant(steps), *(T.constant(np.asarray(a)) for a in arrays)]
    return evaluate(op.make_node(*inputs).outputs, {})


def test_a_state_includes_the_rows_it_starts_from():
    states, plain = run(fibonacci(), 4, [0, 0, 0, 10], [1, 1])

    np.testing.assert_array_equal(states, [1, 1, 2, 3, 5, 18])
    np.testing.assert_array_equal(plain, [4, 6, 10, 36])


def test_backwards_the_given_rows_are_the_last():
    states, plain = run(fibonacci(backwards=True), 4, [10, 0, 0, 0], [1, 1])

    np.testing.assert_array_equal(states, [18, 5, 3, 2, 1, 1])
    np.testing.assert_array_equal(plain, [36, 10, 6, 4])


def test_backwards_a_tap_further_back_is_a_row_further_on():
    a = T.lscalar("a")
    op = Scan(Body([a], [a * 10]), 0, ((-2,),), backwards=True)

    (states,) = run(op, 3, [1, 2])

    # Row t reads row t + 2: first 20 from 2, then 10 from 1, then 200 from 20.
    np.testing.assert_array_equal(states, [200, 10, 20, 1, 2])


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("keep", [0, 1, 3, 6])
def test_keep_says_how_many_of_the_rows_written_last_there_are(keep, backwards):
    whole = run(fibonacci(backwards=backwards), 4, [0, 0, 0, 10], [1, 1])[0]

    kept, _ = run(
        fibonacci(backwards=backwards, keep=(keep, None)), 4, [0, 0, 0, 10], [1, 1]
    )

    np.testing.assert_array_equal(
        kept, whole[:keep] if backwards else whole[6 - keep :]
    )


def test_rows_that_were_never_written_cannot_be_kept():
    with pytest.raises(OutOfRangeError, match="made 1 steps, and the last 2"):
        run(fibonacci(keep=(None, 2)), 1, [0], [1, 1])


def counting(**options):
    """1, 2, 3, … until a limit is reached."""
    a, limit = T.lscalars("a", "limit")
    body = Body([a, limit], [a + 1, a * 1.0, T.ge(a + 1, limit)])
    return Scan(body, 0, ((-1,),), until=True, **options)


@pytest.mark.parametrize(("limit", "done"), [(1, 1), (3, 3), (5, 5), (9, 5)])
def test_a_loop_ends_after_the_first_true_condition(limit, done):
    states, plain, steps = run(counting(), 5, [0], limit)

    assert steps == done
    rest = [0] * (5 - done)
    np.testing.assert_array_equal(states, [*range(done + 1), *rest])
    np.testing.assert_array_equal(plain, [*range(done), *rest])


def test_the_last_rows_of_a_loop_that_ended_are_kept():
    states, plain, _ = run(counting(keep=(2, 1)), 9, [0], 4)

    np.testing.assert_array_equal(states, [3, 4])
    np.testing.assert_array_equal(plain, [3.0])


def test_a_condition_and_backwards_do_not_go_together():
    with pytest.raises(ParameterError, match="runs forwards"):
        counting(backwards=True)


@pytest.mark.parametrize(
    ("steps", "arrays", "error", "text"),
    [
        (-1, ([], [1, 1]), ParameterError, "the number of steps is -1"),
        (3, ([0, 0], [1, 1]), ShapeError, "x has 2 elements for 3 steps"),
        (2, ([0, 0], [1]), ShapeError, "starts from 1 values, its taps need 2"),
    ],
)
def test_what_does_not_fit_is_an_error(steps, arrays, error, text):
    arrays = [np.array(a, "int64") for a in arrays]

    with pytest.raises(error, match=text):
        run(fibonacci(), steps, *arrays)


def test_too_few_steps_are_an_error_where_a_result_needs_them():
    with pytest.raises(OutOfRangeError, match="made 1 steps"):
        run(fibonacci(least=2), 1, [0], [1, 1])


def test_a_state_that_changes_its_shape_is_an_error():
    h = T.dvector("h")
    op = Scan(Body([h], [T.concatenate([h, h])]), 0, ((-1,),), title="doubling")

    with pytest.raises(ShapeError, match=r"scan{doubling}: the state .* at step 0"):
        run(op, 2, [[1.0]])


def test_an_error_says_in_which_step_it_happened():
    i, v = T.lscalar("i"), T.dvector("v")
    op = Scan(Body([i, v], [v[i]]), 1, ())

    with pytest.raises(IndexError) as caught:
        run(op, 3, [0, 1, 7], [0.5, 0.25])

    assert "in step 2 of scan" in caught.value.__notes__


# --- no steps --------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
def test_without_steps_a_state_is_what_it_starts_from(backwards):
    empty = np.zeros(0, "int64")

    states, plain = run(fibonacci(backwards=backwards), 0, empty, [3, 4])

    np.testing.assert_array_equal(states, [3, 4])
    assert plain.shape == (0,)


ROWS = {
    "zeros of a shape": lambda x, m: T.zeros(x.shape),
    "zeros of a size": lambda x, m: T.zeros((x.shape[0], m.shape[0])),
    "a reshaped matrix": lambda x, m: m.reshape((m.shape[1], -1)),
    "a range": lambda x, m: T.arange(x.shape[0]),
    "a part": lambda x, m: x[: x.shape[0] // 2],
    "a product": lambda x, m: T.dot(m, x),
    "an identity": lambda x, m: T.eye(x.shape[0]),
    "a gradient": lambda x, m: T.grad(T.sqr(x[1:].max()).sum() + x.sum(), x),
    "a constant": lambda x, m: T.constant(np.ones((2, 5))),
    "an input": lambda x, m: m,
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_without_steps_a_row_has_the_sizes_of_any_other(row):
    x, m = T.dvector("x"), T.dmatrix("m")
    op = Scan(Body([x, m], [row(x, m)]), 1, ())

    (some,) = run(op, 2, np.ones((2, 4)), np.ones((3, 4)))
    (none,) = run(op, 0, np.ones((0, 4)), np.ones((3, 4)))

    assert none.shape == (0, *some.shape[1:])
    assert none.dtype == some.dtype


def test_without_steps_sizes_that_only_values_tell_are_an_error():
    x = T.dvector("x")
    op = Scan(Body([x], [x[T.gt(x, 0)]]), 1, ())

    with pytest.raises(ShapeError, match="made no step"):
        run(op, 0, np.ones((0, 4)))


# --- as a node and as a value ----------------------------------------------------------


def test_sizes_are_known_without_running():
    n, x, m = T.lscalar("n"), T.dmatrix("x"), T.dmatrix("m")
    row, other = T.dvector("row"), T.dmatrix("other")
    op = Scan(Body([row, other], [T.dot(other, row)]), 1, ())
    (out,) = op.make_node(n, x, m).outputs

    sizes = wb.function([n, x, m], out.shape)

    np.testing.assert_array_equal(sizes(2, np.ones((2, 4)), np.ones((3, 4))), [2, 3])


def test_the_types_of_outputs_say_what_is_known_of_their_rows():
    n, x, first = T.lscalar("n"), T.lvector("x"), T.lvector("first")

    open_ended = fibonacci().make_node(n, x, first)
    fixed = fibonacci(keep=(3, None)).make_node(T.constant(5), x, first)

    assert [v.type.shape for v in open_ended.outputs] == [(None,), (None,)]
    assert [v.type.shape for v in fixed.outputs] == [(3,), (5,)]


def test_loops_of_equal_bodies_are_equal():
    assert fibonacci() == fibonacci()
    assert hash(fibonacci()) == hash(fibonacci())
    assert fibonacci() != fibonacci(backwards=True)
    assert fibonacci() != fibonacci(truncate=3)
    assert fibonacci(title="a") == fibonacci(title="b")


def test_a_loop_can_be_pickled():
    op = pickle.loads(pickle.dumps(fibonacci()))

    assert op == fibonacci()
    np.testing.assert_array_equal(run(op, 2, [0, 0], [1, 1])[0], [1, 1, 2, 3])


@pytest.mark.parametrize("mode", ["FAST_COMPILE", None])
def test_a_compiled_function_runs_it(mode):
    n, x, first = T.lscalar("n"), T.lvector("x"), T.lvector("first")
    outputs = fibonacci().make_node(n, x, first).outputs

    f = wb.function([n, x, first], outputs, mode=mode)

    states, plain = f(3, [0, 0, 0], [1, 1])
    np.testing.assert_array_equal(states, [1, 1, 2, 3, 5])
    np.testing.assert_array_equal(plain, [4, 6, 10])
