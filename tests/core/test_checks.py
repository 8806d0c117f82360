"""Conditions asserted in a graph."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import ConditionError
from workbench.core.ops.checks import Assert

MODES = ["FAST_RUN", "FAST_COMPILE"]


def guarded(mode, output=lambda v: v):
    x = T.vector("x")
    few = x.shape[0] < 4
    held = T.Assert("x is positive")(x, T.all(x > 0), few)  # the line to blame
    return wb.function([x], output(held), mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_value_passes_while_its_conditions_hold(mode):
    f = guarded(mode, lambda v: v * 2)

    np.testing.assert_array_equal(f([1.0, 2.0]), [2, 4])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [[1.0, -2.0], [1.0, 1, 1, 1]])
@pytest.mark.parametrize(
    "output", [lambda v: v, lambda v: v * 2, T.sum, lambda v: v[0]]
)
def test_a_condition_that_fails_says_so_and_where(mode, value, output):
    f = guarded(mode, output)

    with pytest.raises(AssertionError, match="x is positive") as caught:
        f(value)

    assert isinstance(caught.value, ConditionError)
    assert "the line to blame" in str(caught.value)


def test_a_failed_call_leaves_shared_values_alone():
    w, x = wb.shared(1.0, "w"), T.dscalar("x")
    f = wb.function([x], updates=[(w, Assert("fine")(x, x > 0))])

    with pytest.raises(AssertionError):
        f(-1)

    assert w.get_value() == 1


def test_the_shape_alone_tests_nothing():
    f = guarded("FAST_RUN", lambda v: v.shape)

    assert f([-1.0]) == [1]


def test_the_gradient_passes_by_the_conditions():
    x = T.dscalar("x")
    f = wb.function([x], wb.grad(T.assert_op(x, x > 0, message="no") ** 2, x))

    assert f(3) == 6
    with pytest.raises(AssertionError, match="no"):
        f(-3)


def test_constants_are_tested_too():
    with pytest.raises(AssertionError):
        wb.function([], T.Assert()(T.constant(1.0), False))()
