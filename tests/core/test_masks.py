"""Gradients of choices: the branch that is not taken leaves no NaN, the one taken keeps its own."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_forward, verify_grad
from workbench.core.graph import toposort
from workbench.core.ops.elementwise import Switch

AT = np.array([-1.0, 0.0, 4.0])
MODES = ["None", "FAST_RUN"]


def gradient_at(build, x=AT, mode="None"):
    v = T.vector("v")
    return wb.function([v], wb.grad(build(v).sum(), v), mode=mode)(x)


def second_at(build, x=AT, mode="None"):
    v = T.vector("v")
    first = wb.grad(build(v).sum(), v)
    second = wb.grad(first.sum(), v, disconnected_inputs="ignore")
    return wb.function([v], second, mode=mode)(x)


def shared_root(x):
    root = T.sqrt(x)
    return T.switch(x > 0, root, 0) + T.switch(x > 1, root, 0)


GUARDED = {
    "sqrt": (lambda x: T.switch(x > 0, T.sqrt(x), 0), 0.25, -1 / 32),
    "log": (lambda x: T.switch(x > 0, T.log(x), 0), 0.25, -1 / 16),
    "power": (lambda x: T.switch(x > 0, x**0.5, 0), 0.25, -1 / 32),
    "division": (lambda x: T.switch(x > 0, 1 / x, 0), -1 / 16, 1 / 32),
    "otherwise": (lambda x: T.switch(x <= 0, 0, T.log(x)), 0.25, -1 / 16),
    "chain": (lambda x: T.switch(x > 0, T.exp(0.5 * T.log(x)), 0), 0.25, -1 / 32),
    "nested": (
        lambda x: T.switch(x > 0, T.switch(x > 3, T.log(x - 3), T.sqrt(x)), 0),
        1,
        -1,
    ),
    "shared": (shared_root, 0.5, -1 / 16),
    "through a transposition": (
        lambda x: T.switch(x[:, None] > 0, T.sqrt(x)[:, None], 0),
        0.25,
        -1 / 32,
    ),
    "through a sum": (
        lambda x: T.switch(x > 0, T.sum(T.sqrt(T.stack([x, x])), axis=0), 0),
        0.5,
        -1 / 16,
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("build", "slope", "curvature"), GUARDED.values(), ids=GUARDED.keys()
)
def test_a_branch_not_taken_gives_zero(build, slope, curvature, mode):
    np.testing.assert_allclose(gradient_at(build, mode=mode), [0, 0, slope], 1e-12)
    np.testing.assert_allclose(second_at(build, mode=mode), [0, 0, curvature], 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_both_branches_are_kept_apart(mode):
    def build(x):
        return T.switch(x > 0, T.log(x), T.sqrt(-x))

    got = gradient_at(build, [-4.0, 4.0], mode)

    np.testing.assert_allclose(got, [-0.25, 0.25])


def test_a_value_that_both_branches_read_gets_one_switch():
    x = T.vector("x")
    y = T.exp(x)
    cost = T.switch(x > 0, T.log(y), T.sqrt(y)).sum()

    gradient = wb.grad(cost, x)

    made = [n for n in toposort([gradient]) if n.origin.forward is not None]
    assert sum(isinstance(n.op, Switch) for n in made) == 1
    np.testing.assert_allclose(gradient.eval({x: [1.0, 0.0]}), [1, 0.5])


@pytest.mark.parametrize("mode", MODES)
def test_nan_of_the_branch_taken_stays(mode):
    def build(x):
        return T.switch(x > 0, T.sqrt(x - 4), x)

    with np.errstate(all="ignore"):
        got = gradient_at(build, [-1.0, 1.0, 4.0, 5.0], mode)

    np.testing.assert_array_equal(got, [1, np.nan, np.inf, 0.5])


@pytest.mark.parametrize("mode", MODES)
def test_zero_times_an_infinite_slope_is_still_nan(mode):
    # Nobody chose here: the cost does depend on the root, with weight zero.
    weight = T.dvector("w")
    x = T.dvector("x")
    gradient = wb.grad((weight * T.sqrt(x)).sum(), x)

    got = wb.function([x, weight], gradient, mode=mode)([0.0, 4.0], [0.0, 0.0])

    np.testing.assert_array_equal(got, [np.nan, 0])


def test_one_condition_for_all_guards_everything_behind_it():
    x = T.matrix("x")
    cost = T.switch(T.max(x) > 9, T.log(x @ x).sum(), x.sum())

    gradient = wb.grad(cost, x)

    np.testing.assert_array_equal(gradient.eval({x: np.zeros((2, 2))}), np.ones((2, 2)))


@pytest.mark.parametrize(
    "build",
    [
        lambda x: T.maximum(T.sqrt(x), 1),
        lambda x: T.clip(T.log(x), 0, 5),
        lambda x: T.nnet.relu(T.log(T.abs(x))),
    ],
)
def test_maximum_clip_and_relu_choose_too(build):
    with np.errstate(all="ignore"):
        got = gradient_at(build, [0.0, 4.0])

    assert got[0] == 0
    assert got[1] > 0


def test_a_stretched_operand_is_masked_before_it_is_summed():
    x = T.matrix("x")
    b = T.row("b")
    cost = T.switch(x > 0, T.sqrt(b), 0).sum()
    values = {x: [[1.0, -1.0], [1.0, -1.0]], b: [[4.0, 0.0]]}

    np.testing.assert_allclose(wb.grad(cost, b).eval(values), [[0.5, 0]])


def test_a_mask_of_one_row_holds_along_the_stretched_axis():
    x, b = T.matrix("x"), T.row("b")
    cost = T.switch(b > 0, T.sqrt(b) + 0 * x, 0).sum()
    values = {x: np.zeros((3, 2)), b: [[4.0, 0.0]]}

    np.testing.assert_allclose(wb.grad(cost, b).eval(values), [[0.75, 0]])


def test_forward_derivatives_choose_as_well():
    x = T.vector("x")
    y = T.switch(x > 0, T.sqrt(x), 0)

    with np.errstate(all="ignore"):
        got = wb.jvp(y, x, [1.0, 1.0, 1.0]).eval({x: AT})

    np.testing.assert_array_equal(got, [0, 0, 0.25])


def test_a_choice_is_one_choice_forward():
    x, y = T.vector("x"), T.row("y")
    z = T.switch(y > 0, T.sin(x), y)

    both = wb.jvp(z, [x, y], [np.ones(2), np.ones((1, 2))])
    one = wb.jvp(z, y, np.ones((1, 2)))

    at = {x: [0.0, 0.5], y: [[1.0, -1.0]]}
    assert sum(isinstance(n.op, Switch) for n in toposort([both])) == 1
    np.testing.assert_allclose(both.eval(at), [[1, 1]])
    np.testing.assert_allclose(one.eval(at), [[0, 1]])


def test_choices_have_right_derivatives_of_first_and_second_order():
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.5, 2, (3, 4)), rng.uniform(0.5, 2, (4,))]

    def build(x, y):
        big = T.switch(x > y, x * T.log(y), T.sqrt(x) * y)
        return T.switch(x > 1, T.maximum(big, x), T.exp(y) * big) + big.sum(axis=0)

    verify_grad(build, arrays)
    verify_grad(build, arrays, order=2)
    verify_forward(build, arrays)


def test_a_long_chain_of_choices_stays_linear():
    x = T.vector("x")
    y = x
    for k in range(300):
        y = T.switch(y > k, y * 1.01, 0)

    gradient = wb.grad(y.sum(), x)

    assert len(toposort([gradient])) < 3_000
