"""verify_grad: what it finds, and what it says."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import VerificationError
from workbench.core.op import Elementwise
from workbench.debug.gradients import five_point


class Wrong(Elementwise):
    """x², with the gradient of 3 x² in one place."""

    def loop_types(self, *dtypes):
        return [*dtypes, *dtypes]

    def reference(self, x):
        return x * x

    def vjp(self, node, g):
        (x,) = node.inputs
        return [T.switch(x > 4, 6 * x, 2 * x) * g]


def test_five_points_are_exact_for_powers_up_to_the_fourth():
    got = five_point(lambda x: float(np.sum(x**4)), np.array([1.0, -2.0, 0.0]))

    np.testing.assert_allclose(got, [4, -32, 0], 1e-9, 1e-12)


@pytest.mark.parametrize("mode", [None, "FAST_RUN"])
def test_right_gradients_pass(mode):
    rng = np.random.default_rng(0)
    point = [rng.normal(size=(2, 3)), rng.normal(size=3), np.array([1, 0])]

    wb.verify_grad(lambda x, y, i: T.tanh(x @ y)[i], point, rng=rng, mode=mode)


def test_a_wrong_gradient_is_shown_by_place():
    with pytest.raises(VerificationError) as caught:
        wb.verify_grad(lambda x: Wrong()(x), [np.array([[1.0, 2.0, 5.0]])], n_tests=1)

    text = str(caught.value)
    assert "input 0, float64 (1, ?), differs" in text
    assert "in 1 of 3 places" in text
    assert "(0, 2)" in text
    assert "test_gradients.py:" in text


def test_a_gradient_of_nan_is_wrong():
    with pytest.raises(VerificationError):
        wb.verify_grad(
            lambda x: T.switch(x > -1, T.sqrt(x), 0), [np.array([-0.5, 1.0])]
        )


def test_the_tolerance_is_that_of_the_narrowest_float():
    point = np.linspace(0.5, 2, 5)

    for dtype in ("float16", "float32", "float64"):
        wb.verify_grad(lambda x: T.exp(x) / x, [point.astype(dtype)])
    with pytest.raises(VerificationError):
        wb.verify_grad(T.exp, [point.astype("float32")], abs_tol=1e-12, rel_tol=1e-12)


def test_complex_points_are_varied_in_both_parts():
    wb.verify_grad(lambda z: T.conj(z) * T.exp(z), [np.array([1 + 2j, 0.5j])])


def test_there_must_be_something_to_differentiate_by():
    with pytest.raises(TypeError, match="needs a float"):
        wb.verify_grad(lambda i: i * 1.5, [np.array([1, 2])])
