"""Rows of any length: their last block is padded, and nothing beside it is read or written."""

import re

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

LENGTHS = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 84]


def shares(x):
    """Of each row, the exponential of what is below its largest, by their sum."""
    e = T.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def expected_shares(x):
    e = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=1, keepdims=True)


def is_padded(function):
    return re.search(r"WB_ROW\w*\((any|in)_order", function.source) is not None


def data(rows, length, dtype):
    return np.random.default_rng(length).normal(size=(rows, length)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_every_length_are_computed(dtype):
    x = T.matrix("x", dtype=dtype)
    softmax = wb.function([x], T.nnet.softmax(x))
    sums = wb.function([x], [x.sum(axis=1), T.log(x * x + 1).sum(axis=1)])
    close = {"rtol": 2e-6 if dtype == "float32" else 1e-13, "atol": 1e-6}

    for length in LENGTHS[1:]:
        value = data(5, length, dtype)
        plain, logs = sums(value)

        np.testing.assert_allclose(softmax(value), expected_shares(value), **close)
        np.testing.assert_allclose(plain, value.sum(axis=1), **close)
        np.testing.assert_allclose(logs, np.log(value**2 + 1).sum(axis=1), **close)


def test_a_row_of_no_elements_has_the_sum_of_none():
    x = T.matrix("x")
    f = wb.function([x], [x.sum(axis=1), T.exp(x).sum(axis=1), T.nnet.softmax(x)])

    plain, exponentials, shares_of_none = f(np.zeros((3, 0), "float32"))

    assert plain.tolist() == exponentials.tolist() == [0, 0, 0]
    assert shares_of_none.shape == (3, 0)


@pytest.mark.parametrize("length", LENGTHS[1:])
def test_one_row_does_not_change_with_the_rows_beside_it(length):
    x = T.matrix("x", dtype="float32")
    f = wb.function([x], [shares(x), wb.grad((shares(x) ** 2).sum(), x)])
    value = data(4, length, "float32")
    spoilt = value.copy()
    spoilt[[0, 2]] = np.nan

    for a, b in zip(f(value), f(spoilt), strict=True):
        assert np.isnan(b[[0, 2]]).all()
        assert a[[1, 3]].tobytes() == b[[1, 3]].tobytes()


def test_nan_and_infinity_in_the_last_block_are_seen():
    x = T.matrix("x", dtype="float32")
    f = wb.function([x], [x.max(axis=1), x.min(axis=1), x.sum(axis=1)])

    for length in LENGTHS[1:]:
        for special in (np.nan, np.inf, -np.inf):
            value = data(3, length, "float32")
            value[1, -1] = special
            expected = [value.max(axis=1), value.min(axis=1)]

            largest, smallest, total = f(value)

            np.testing.assert_array_equal([largest, smallest], expected)
            np.testing.assert_allclose(total, value.sum(axis=1), 1e-5, 1e-6)


def test_the_last_block_of_a_row_that_calls_functions_is_padded():
    x = T.matrix("x", dtype="float32")
    even = T.tensor(dtype="float32", shape=(None, 32))

    assert is_padded(wb.function([x], shares(x)))
    assert not is_padded(wb.function([even], shares(even)))


def test_a_function_without_a_vector_form_is_called_for_what_is_there():
    x = T.matrix("x", dtype="float64")
    total = T.gamma(x).sum(axis=1)
    f = wb.function([x], total)
    reference = wb.function([x], total, mode="FAST_COMPILE")
    value = data(3, 5, "float64") ** 2 + 1

    np.testing.assert_allclose(f(value), reference(value))
    assert not is_padded(f)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "int8"])
@pytest.mark.parametrize("axis", [0, 1])
def test_places_of_extremes_along_axes_in_front(dtype, axis):
    rng = np.random.default_rng(axis)
    x = T.tensor(dtype=dtype, shape=(None, None, None))
    f = wb.function([x], [x.argmax(axis=axis), x.argmin(axis=axis)])
    value = rng.integers(-3, 4, (5, 6, 19)).astype(dtype)
    values = [value]
    if dtype.startswith("f"):
        with_nan = value.copy()
        with_nan[rng.random(value.shape) < 0.1] = np.nan
        values += [with_nan, np.full_like(value, np.inf), np.full_like(value, -np.inf)]

    for v in values:
        largest, smallest = f(v)

        np.testing.assert_array_equal(largest, v.argmax(axis=axis))
        np.testing.assert_array_equal(smallest, v.argmin(axis=axis))


def test_the_place_of_an_extreme_of_computed_elements():
    x = T.matrix("x", dtype="float32")
    f = wb.function([x], [T.exp(x).argmax(axis=0), T.tanh(x.T).argmin(axis=0)])

    for length in LENGTHS[1:]:
        value = data(6, length, "float32")
        value[2] += 3
        value[:, 0] -= 3
        largest, smallest = f(value)

        assert largest.tolist() == value.argmax(axis=0).tolist()
        assert smallest.tolist() == np.tanh(value).argmin(axis=1).tolist()


def test_the_place_in_an_axis_of_no_elements_is_refused_by_its_name():
    x = T.matrix("x")
    f = wb.function([x], x.argmax(axis=0))

    with pytest.raises(wb.ShapeError, match="argmax over axis 0"):
        f(np.zeros((0, 4), x.dtype))
