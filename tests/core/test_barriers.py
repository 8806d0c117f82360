"""Identities that change a gradient: what they do to it, and that they cost nothing."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DisconnectedInputError, GradientError
from workbench.core.graph import toposort
from workbench.core.ops.barriers import Barrier

BARRIERS = {
    "disconnected_grad": T.disconnected_grad,
    "zero_grad": T.zero_grad,
    "consider_constant": T.consider_constant,
    "undefined_grad": T.undefined_grad,
    "grad_clip": lambda x: T.grad_clip(x, -1, 1),
    "grad_scale": lambda x: T.grad_scale(x, 3),
}


def all_barriers():
    return pytest.mark.parametrize("barrier", BARRIERS.values(), ids=BARRIERS.keys())


def gradient_at(build, x):
    v = T.vector("v")
    return wb.grad(build(v).sum(), v).eval({v: x})


def test_disconnected_grad_stops_a_gradient():
    got = gradient_at(lambda x: x * T.disconnected_grad(x), [2.0, 3.0])

    np.testing.assert_array_equal(got, [2, 3])


def test_what_depends_only_on_a_disconnected_variable_is_disconnected():
    x = T.scalar("x")

    with pytest.raises(
        DisconnectedInputError, match="disconnected_grad has no gradient"
    ):
        wb.grad(T.disconnected_grad(x) * 2, x)


@pytest.mark.parametrize("barrier", [T.zero_grad, T.consider_constant])
def test_zero_grad_is_connected_and_zero(barrier):
    np.testing.assert_array_equal(gradient_at(barrier, [2.0, 3.0]), [0, 0])
    np.testing.assert_array_equal(gradient_at(lambda x: x * barrier(x), [2.0]), [2])


def test_undefined_grad_is_an_error_that_names_the_line():
    x = T.scalar("x")
    y = T.undefined_grad(x) * 2  # the line at fault

    with pytest.raises(GradientError) as caught:
        wb.grad(y, x)

    text = str(caught.value)
    assert "the gradient with respect to x is undefined" in text
    assert "undefined_grad was applied" in text
    assert "test_barriers.py:" in text
    assert "null_gradients='return'" in text


def test_an_undefined_gradient_can_be_returned_as_nan():
    x, y = T.vectors("x", "y")
    cost = (T.exp(T.undefined_grad(T.sin(x))) + x * y).sum()

    gx, gy = wb.grad(cost, [x, y], null_gradients="return")

    assert np.isnan(gx.eval({x: [1.0, 2.0]})).all()
    np.testing.assert_array_equal(gy.eval({x: [1.0], y: [5.0]}), [1])


def test_grad_clip_clips_each_element():
    got = gradient_at(
        lambda x: T.grad_clip(x, -1, 2) * [5.0, -5.0, 1.5], [1.0, 1.0, 1.0]
    )

    np.testing.assert_array_equal(got, [2, -1, 1.5])


def test_grad_clip_keeps_nan_visible():
    got = gradient_at(
        lambda x: T.grad_clip(x, -1, 1) * np.array([np.nan, 5.0]), [1, 1.0]
    )

    np.testing.assert_array_equal(got, [np.nan, 1])


@pytest.mark.parametrize(("low", "high"), [(1, 0), (float("nan"), 1)])
def test_grad_clip_refuses_bounds_in_the_wrong_order(low, high):
    with pytest.raises(ValueError, match="lower_bound <= upper_bound"):
        T.grad_clip(T.scalar(), low, high)


@pytest.mark.parametrize("factor", [-1, 0, 0.5])
def test_grad_scale_multiplies_the_gradient(factor):
    got = gradient_at(lambda x: T.grad_scale(x**2, factor), [3.0])

    np.testing.assert_array_equal(got, [factor * 6])


def test_barriers_in_forward_derivatives():
    x = T.scalar("x")

    def along(y):
        return wb.jvp(y, x, 1.0, disconnected_outputs="ignore").eval({x: 3.0})

    assert along(T.disconnected_grad(x) * x) == 3
    assert along(T.zero_grad(x) * x) == 3
    assert along(T.grad_scale(x, 5) * 2) == 10
    assert along(T.grad_clip(x, -1, 1) * 2) == 2  # clipping is no linear map
    with pytest.raises(GradientError, match="no forward derivative"):
        along(T.undefined_grad(x))


def test_gradients_of_an_own_op_may_be_undefined():
    class Half(Barrier):
        def vjp(self, node, g):
            return [T.gradient.grad_not_implemented(self, 0, node.inputs[0], "later")]

    x = T.scalar("x")

    with pytest.raises(
        GradientError, match="half for input 0 is not implemented: later"
    ):
        wb.grad(Half()(x), x)


@all_barriers()
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_no_barrier_is_left_in_a_function(barrier, mode):
    x = T.vector("x")
    y = barrier(x * 2) + barrier(x)
    outputs = [y]
    if barrier is not BARRIERS["undefined_grad"]:
        outputs.append(wb.grad((y * x).sum(), x))

    f = wb.function([x], outputs, mode=mode)

    after = f.compilation.after
    assert not [n for n in toposort(after.results) if isinstance(n.op, Barrier)]
    np.testing.assert_array_equal(f([1.0, 2.0])[0], [3, 6])


@all_barriers()
def test_barriers_run_where_no_rule_removes_them(barrier):
    x = T.vector("x")

    f = wb.function(
        [x], barrier(x) * 2, mode=wb.get_mode("FAST_RUN").excluding("barrier")
    )

    np.testing.assert_array_equal(f([1.0, 2.0]), [2, 4])


def test_a_scaled_gradient_has_derivatives_of_its_own():
    verify_grad(
        lambda x: T.grad_scale(T.sin(x), 1.0) * x, [np.array([0.3, 2.0])], order=2
    )
