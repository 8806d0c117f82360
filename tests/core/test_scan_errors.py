"""What is said when a loop cannot be made or run: in the user's words, with their line."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

x = T.vector("x")
m = T.matrix("m")
three = T.vector("three", shape=(3,))
four = T.vector("four", shape=(4,))


MODES = ["FAST_COMPILE", "FAST_RUN"]


def raised(error, build):
    """The text of the error, and the code of the line it points at."""
    with pytest.raises(error) as caught:
        build()
    line = caught.value.line
    return str(caught.value), line.code if line is not None else ""


# --- what the loop runs over -------------------------------------------------------------


def test_sequences_of_different_known_lengths_are_named():
    text, line = raised(wb.ShapeError, lambda: wb.scan(lambda a, b: a, [three, four]))

    assert "different numbers of steps: three 3, four 4" in text
    assert "wb.scan(lambda a, b: a, [three, four])" in line


def test_taps_count_in_the_length_of_a_sequence():
    text, _ = raised(
        wb.ShapeError,
        lambda: wb.scan(lambda *v: v[0], [dict(input=four, taps=[-1, 1]), three]),
    )

    assert "four 2, three 3" in text


def test_sequence_shorter_than_its_taps_is_an_error():
    text, _ = raised(
        wb.ShapeError,
        lambda: wb.scan(lambda a, b: a, dict(input=three, taps=[-3, 1])),
    )

    assert "three has 3 elements, and its taps [-3, 1] span 5" in text


def test_sequences_of_different_lengths_are_named_when_run():
    y = T.vector("y")
    out, _ = wb.scan(lambda a, b: a + b, [x, y])

    text, line = raised(wb.ShapeError, lambda: out.eval({x: np.ones(3), y: np.ones(2)}))

    assert "the sequence y[t] has 2 elements for 3 steps" in text
    assert line == "out, _ = wb.scan(lambda a, b: a + b, [x, y])"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backwards", [False, True])
def test_more_steps_than_elements_is_an_error(mode, backwards):
    n = T.lscalar("n")
    out, _ = wb.scan(lambda a: T.exp(a), x, n_steps=n, go_backwards=backwards)
    f = wb.function([x, n], out, mode=mode)

    known, _ = raised(
        wb.ShapeError, lambda: wb.scan(lambda a: a, [x, three], n_steps=4)
    )
    free, _ = raised(wb.ShapeError, lambda: f(np.ones(3), 4))

    assert "n_steps is 4, but the sequence three has elements for 3 steps" in known
    assert "x[t] has 3 elements for 4 steps" in free


@pytest.mark.parametrize(
    ("n_steps", "error", "text"),
    [
        (-1, ValueError, "n_steps is -1"),
        (2.0, TypeError, "n_steps is 2.0, which is no whole number"),
        (True, TypeError, "n_steps is True, which is no whole number"),
        ([3], TypeError, "no whole number"),
        (T.scalar("k"), TypeError, "n_steps is k: float64 scalar"),
        (T.lvector("k"), TypeError, "n_steps is k: int64 vector"),
        (T.constant(-2), ValueError, "n_steps is -2"),
    ],
)
def test_number_of_steps_is_a_whole_number_from_zero_on(n_steps, error, text):
    message, line = raised(error, lambda: wb.scan(lambda a: a, x, n_steps=n_steps))

    assert text in message
    assert "n_steps=n_steps" in line


@pytest.mark.parametrize("mode", MODES)
def test_negative_number_of_steps_is_an_error_when_run(mode):
    n = T.lscalar("n")
    out, _ = wb.scan(lambda h: h + 1, outputs_info=0, n_steps=n)
    f = wb.function([n], out, mode=mode)

    text, _ = raised(wb.WorkbenchError, lambda: f(-3))

    assert "number of steps is -3" in text


def test_something_says_how_many_steps_there_are():
    text, _ = raised(TypeError, lambda: wb.scan(lambda h: h + 1, outputs_info=0.0))

    assert "nothing says how many steps there are" in text
    assert "n_steps" in text


@pytest.mark.parametrize(
    ("sequences", "error", "text"),
    [
        (T.scalar("s"), wb.ShapeError, "the sequence s is float64 scalar"),
        ([x, None], TypeError, "sequence number 1 is None"),
        (dict(taps=[0]), TypeError, "sequence number 0 has no input"),
        (dict(input=x, tap=[0]), TypeError, "has an entry 'tap'; there are input="),
        (dict(input=x, taps=[0.5]), TypeError, "whole numbers, not 0.5"),
        (dict(input=x, taps=[0, 0]), TypeError, "named once"),
        (dict(input=x, taps=[]), TypeError, "named once"),
    ],
)
def test_what_is_no_sequence_is_named(sequences, error, text):
    message, line = raised(error, lambda: wb.scan(lambda *v: v[0], sequences))

    assert text in message
    assert "wb.scan" in line


@pytest.mark.parametrize(
    ("entry", "error", "text"),
    [
        (dict(initial=three, taps=[0]), TypeError, "a step reads earlier ones only"),
        (dict(initial=three, taps=[-1, 1]), TypeError, "has the tap 1"),
        (dict(taps=[-1]), TypeError, "taps and no initial value"),
        (dict(initial=three, taps=[-4]), wb.ShapeError, r"taps \[-4\] need 4 rows"),
        (dict(initial=T.scalar("h0"), taps=[-2]), wb.ShapeError, "h0 is float64"),
        (dict(initial=three, tap=[-1]), TypeError, "entry 'tap'"),
        (dict(initial=three, taps=[-1, -1]), TypeError, "named once"),
    ],
)
def test_what_no_loop_can_start_from_is_named(entry, error, text):
    with pytest.raises(error, match=text):
        wb.scan(lambda *v: v[0], x, entry)


def test_too_few_rows_to_start_from_are_found_when_run():
    h0 = T.vector("h0")
    out, _ = wb.scan(
        lambda a, b: a + b, outputs_info=dict(initial=h0, taps=[-3, -1]), n_steps=2
    )

    text, _ = raised(wb.ShapeError, lambda: out.eval({h0: [1.0, 2.0]}))

    assert "h0[t-3] starts from 2 values, its taps need 3" in text


@pytest.mark.parametrize("steps", [0, -2, 1.5, True])
def test_truncation_is_a_number_of_steps(steps):
    with pytest.raises(ValueError, match="truncate_gradient is"):
        wb.scan(lambda a: a, x, truncate_gradient=steps)


# --- the step function -------------------------------------------------------------------


def test_step_that_takes_other_arguments_is_told_which_it_gets():
    def step(row):
        return row

    text, line = raised(TypeError, lambda: wb.scan(step, x, T.scalar("h"), m))

    assert "step does not take the 3 arguments of a step" in text
    assert "sequence x[t]" in text
    assert "state h[t-1]" in text
    assert "non_sequence m" in text
    assert line == "def step(row):"


def test_step_that_is_no_function_is_said():
    with pytest.raises(TypeError, match="the step is 3, which is no function"):
        wb.scan(3, x)


def test_errors_in_the_step_are_those_of_the_step():
    def step(row):
        return T.dot(row, three)

    y = T.matrix("y", shape=(None, 4))

    text, _ = raised(wb.ShapeError, lambda: wb.scan(step, y))

    assert "y[t] has 4 elements but three has 3" in text
    assert "│ return T.dot(row, three)" in text


def test_number_of_outputs_is_that_of_outputs_info():
    def step(row, h):
        return [row, h, row + h]

    text, line = raised(TypeError, lambda: wb.scan(step, x, 0.0))

    assert "the step returns 3 outputs, and outputs_info has 1 entry" in text
    assert "None" in text
    assert line == "def step(row, h):"


@pytest.mark.parametrize("returned", ["text", object(), [x, "text"]])
def test_step_returns_variables(returned):
    with pytest.raises(TypeError, match="which is no variable"):
        wb.scan(lambda row: returned, x)


def test_step_that_returns_nothing_where_a_state_is_expected():
    with pytest.raises(TypeError, match="the step returns 0 outputs"):
        wb.scan(lambda row, h: None, x, 0.0)


def test_updates_are_of_shared_variables_each_once():
    n = wb.shared(0, "n")

    with pytest.raises(wb.UpdateTypeError, match="x: only shared variables"):
        wb.scan(lambda row: (row, {x: row}), x)
    with pytest.raises(wb.UpdateTypeError, match="updates n twice"):
        wb.scan(lambda row: (row, [(n, n + 1), (n, n + 2)]), x)
    with pytest.raises(wb.ArgumentError, match="once, in one dict"):
        wb.scan(lambda row: (row, {n: n + 1}, {n: n + 1}), x)


def test_update_keeps_the_type_of_the_shared_variable():
    n = wb.shared(0, "n")

    def step(row):
        return row, {n: n + row}

    text, line = raised(wb.UpdateTypeError, lambda: wb.scan(step, x))
    number, _ = raised(
        wb.UpdateTypeError, lambda: wb.scan(lambda row: (row, {n: 0.5}), x)
    )

    assert "update of n is float64 scalar, but n is int64 scalar" in text
    assert line == "return row, {n: n + row}"
    assert "update of n must be int64" in number


def test_condition_is_one_value_and_comes_last():
    with pytest.raises(wb.ShapeError, match="until takes one condition"):
        wb.scan(lambda row: (row, wb.until(row > 0)), m)
    with pytest.raises(TypeError, match="once, and last"):
        wb.scan(lambda row: (wb.until(row > 0), row), x)


def test_strict_step_may_read_only_what_it_is_given():
    w = wb.shared(np.ones(3), "w")
    total = x.sum()
    total.name = "total"

    def step(row, h):
        return row + h * w + total

    text, line = raised(
        wb.MissingInputError, lambda: wb.scan(step, m, T.vector("h"), strict=True)
    )

    assert "it also reads w, total" in text
    assert line == "def step(row, h):"


def test_strict_step_may_update_and_draw():
    n, w = wb.shared(0, "n"), wb.shared(1.0, "w")
    streams = T.random.RandomStreams(1)

    out, updates = wb.scan(
        lambda row, w: (row * w + n * 2 + streams.uniform() * 0, {n: n + 1}),
        x,
        None,
        w,
        strict=True,
    )

    np.testing.assert_array_equal(out.eval({x: [1.0, 2.0]}), [1, 4])
    assert len(updates) == 2


# --- states ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("initial", "step", "text"),
    [
        (T.scalar("h"), lambda row, h: row + h, "h starts as float64 scalar"),
        (T.matrix("h"), lambda row, h: h.sum(0), "h starts as float64 matrix"),
        (T.zeros((2,)), lambda row, h: T.concatenate([h, h]), r"float64 \(4,\)"),
        (T.ones((3,)), lambda row, h: h[:2], r"float64 \(2,\)"),
    ],
)
def test_state_keeps_its_shape(initial, step, text):
    with pytest.raises(wb.ShapeError, match=text):
        wb.scan(step, m, initial)


@pytest.mark.parametrize(
    ("initial", "text"),
    [
        (T.lscalar("h"), r"cast the initial value: T.cast\(h, 'float64'\)"),
        (T.fscalar("h"), "cast the output to float32, or the initial value"),
    ],
)
def test_state_keeps_its_dtype(initial, text):
    def step(row, h):
        return row * h

    message, line = raised(wb.DTypeError, lambda: wb.scan(step, x, initial))

    assert f"the state h starts as {initial.type}" in message
    assert "float64 scalar" in message
    assert text.replace("\\", "") in message
    assert line == "return row * h"


def test_numbers_that_would_change_are_not_cast():
    with pytest.raises(wb.DTypeError, match="the state h starts as int64"):
        wb.scan(lambda row, h: row + h, x, T.constant(2**53 + 1))


def test_state_without_a_name_is_called_as_the_step_calls_it():
    with pytest.raises(wb.ShapeError, match="the state total starts as"):
        wb.scan(lambda row, total: row + total, m, 0.0)


def test_state_that_changes_its_shape_when_run_is_named():
    out, _ = wb.scan(
        lambda row, h: T.concatenate([h, h]), x, T.vector("h"), name="growing"
    )
    (h,) = [v for v in wb.graph_inputs([out]) if v.name == "h"]

    text, _ = raised(wb.ShapeError, lambda: out.eval({x: [1.0, 2.0], h: [1.0]}))

    assert "growing" in text
    assert "(1,) to (2,)" in text


def test_size_of_one_that_cannot_be_known_is_checked_when_run():
    def step(row, h):
        return T.concatenate([h[h > -1], h[h > -1]])

    out, _ = wb.scan(step, x, T.zeros((1,)))

    text, line = raised(wb.ShapeError, lambda: out.eval({x: [1.0]}))

    assert "size 2, not 1" in text
    assert line == "return T.concatenate([h[h > -1], h[h > -1]])"


def test_error_in_a_step_says_which_one():
    out, _ = wb.scan(lambda i: T.constant([1.0, 2.0])[i], T.lvector("i"), name="pick")
    (i,) = [v for v in wb.graph_inputs([out]) if v.name == "i"]

    with pytest.raises(IndexError) as caught:
        out.eval({i: [0, 1, 5]})

    assert any("in step 2 of scan{pick}" in n for n in caught.value.__notes__)
