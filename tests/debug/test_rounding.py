"""How far rounding alone may move a result."""

import numpy as np

import workbench.tensor as T
from workbench.debug.rounding import spread


def test_what_is_computed_exactly_does_not_move():
    x = T.vector("x")
    at = {x: np.array([1.0, 2.0])}

    (far,) = spread([x[::-1]], at)

    assert far.tolist() == [0, 0]


def test_a_result_moves_by_some_units_in_the_last_place():
    x = T.vector("x")
    at = {x: np.array([1.0, 100.0])}

    (far,) = spread([T.exp(x)], at)

    assert (far > 0).all()
    assert (far <= 4.5 * np.finfo(float).eps * np.exp(at[x])).all()


def test_the_rest_of_a_cancellation_moves_by_what_was_cancelled():
    x = T.vector("x")
    at = {x: np.array([1e-9])}

    (far,) = spread([(1 + x) - 1], at)

    assert 1e-17 < far[0] < 1e-14


def test_an_element_at_the_edge_of_a_domain_may_be_anything():
    x = T.vector("x")
    at = {x: np.array([0.3])}

    (far,) = spread([T.sqrt(T.sin(x) - T.sin(T.constant(0.3)))], at)

    assert np.isinf(far[0])


def test_a_truth_value_that_hangs_on_rounding_moves():
    x = T.vector("x")
    at = {x: np.array([0.3, 5.0])}

    (far,) = spread([T.exp(x) > np.exp(0.3)], at)

    assert far.tolist() == [1, 0]


def test_terms_that_overflow_both_ways_may_make_infinity_or_nan():
    x = T.vector("x")
    at = {x: np.array([1e308, 1e308, -1e308, -1e308])}

    (far,) = spread([(x * 2).sum()], at)

    assert np.isinf(far)
