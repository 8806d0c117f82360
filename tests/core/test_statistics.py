"""Averages, covariances, correlations, and reductions without NaN, against NumPy."""

import itertools
import warnings

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.evaluate import evaluate


def numpys(function, *arguments, **options):
    """NumPy's result without its warnings."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@pytest.mark.parametrize("dtype", ["int16", "float32", "complex128"])
def test_average_equals_numpys(dtype):
    rng = np.random.default_rng(0)
    array = rng.integers(-5, 6, (2, 3, 4)).astype(dtype)
    x = T.tensor(dtype, (None, None, None), "x")
    whole, rows, pair = (rng.uniform(1, 2, s) for s in ((2, 3, 4), (3,), (4, 2)))
    for axis, weights, keepdims in [
        (None, None, False), (1, None, True), ((0, 2), None, False), (None, whole, True),
        (1, whole, False), (1, rows, True), (-2, rows, False), ((2, 0), pair, False),
    ]:  # fmt: skip
        made = T.average(x, axis, weights, True, keepdims=keepdims)

        got = evaluate(made, {x: array})

        want = np.average(array, axis, weights, True, keepdims=keepdims)
        for have, right in zip(got, want, strict=True):
            assert (have.dtype, have.shape) == (right.dtype, np.shape(right))
            np.testing.assert_allclose(have, right, 1e-6)


def test_weights_that_do_not_fit_are_refused():
    x = T.matrix("x")
    with pytest.raises(TypeError, match="weights"):
        T.average(x, weights=np.ones(3))
    with pytest.raises(ValueError, match="weights"):
        T.average(x, (0, 1), weights=np.ones(3))


OPTIONS = [
    {}, {"bias": True}, {"ddof": 0}, {"ddof": 2}, {"rowvar": False},
    {"fweights": [1, 2, 3, 1, 1]}, {"aweights": [0.5, 2.0, 1.0, 1.0, 0.1]},
    {"fweights": [1, 2, 3, 1, 1], "aweights": [0.5, 2.0, 1.0, 1.0, 0.1], "ddof": 0},
    {"fweights": [1, 2, 3, 1, 1], "aweights": [0.5, 2.0, 1.0, 1.0, 0.1]},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["int8", "float64", "complex128"])
def test_covariance_equals_numpys(dtype, options):
    rng = np.random.default_rng(1)
    array, more = rng.integers(-5, 6, (2, 3, 5)).astype(dtype)
    if dtype == "complex128":
        array = array + 1j * more
    if options.get("rowvar") is False:
        array, more = array.T, more.T
    x, y = T.tensor(dtype, (None, None), "x"), T.tensor(dtype, (None, None), "y")

    got = evaluate([T.cov(x, **options), T.cov(x, y, **options)], {x: array, y: more})

    np.testing.assert_allclose(got[0], np.cov(array, **options), 1e-12, 1e-12)
    np.testing.assert_allclose(got[1], np.cov(array, more, **options), 1e-12, 1e-12)


def test_covariance_of_vectors_and_of_nothing():
    x, y, m = T.vector("x"), T.vector("y"), T.matrix("m")
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    outputs = [T.cov(x), T.cov(x, y), T.corrcoef(x, y), T.corrcoef(x), T.cov(m), T.cov(m.T)]  # fmt: skip

    got = evaluate(outputs, {x: a, y: b, m: np.zeros((0, 3))})

    wants = [np.cov(a), np.cov(a, b), np.corrcoef(a, b), np.corrcoef(a)]
    for have, want in zip(got, wants, strict=False):
        assert have.shape == np.shape(want)
        np.testing.assert_allclose(have, want, 1e-12)
    assert got[4].shape == (0, 0)
    assert got[5].shape == (3, 3) and np.isnan(got[5]).all()


def test_correlations_equal_numpys():
    x, c = T.matrix("x"), T.matrix("c", dtype="complex128")
    value = np.random.default_rng(0).normal(size=(3, 6))
    twisted = value + 1j * value[::-1]

    got = evaluate([T.corrcoef(x), T.corrcoef(c), T.corrcoef(x, rowvar=False)], {x: value, c: twisted})  # fmt: skip

    np.testing.assert_allclose(got[0], np.corrcoef(value))
    np.testing.assert_allclose(got[1], np.corrcoef(twisted))
    np.testing.assert_allclose(got[2], np.corrcoef(value, rowvar=False))


def test_covariances_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="axes"):
        T.cov(T.tensor("float64", (None, None, None)))
    with pytest.raises(TypeError, match="integers"):
        T.cov(T.matrix("x"), fweights=[0.5, 1.0])
    with pytest.raises(ValueError, match="vector"):
        T.cov(T.matrix("x"), aweights=[[0.5, 1.0]])


def test_gradients_of_statistics_equal_differences():
    value = np.random.default_rng(0).normal(size=(3, 5))
    weights = np.array([0.5, 1.0, 2.0, 0.1, 1.0])

    verify_grad(T.cov, [value], order=2)
    verify_grad(lambda x: T.corrcoef(x), [value])
    verify_grad(lambda x, w: T.average(x, 1, w), [value, weights], order=2)


NAN_FUNCTIONS = ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin")


@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64", "complex128"])
@pytest.mark.parametrize("name", NAN_FUNCTIONS)
def test_reductions_without_nan_equal_numpys(name, dtype):
    rng = np.random.default_rng(0)
    array = rng.choice([0.0, 1.0, 2.0, np.nan if dtype[0] in "fc" else 3.0], (3, 5))
    array[1] = array[0]
    if dtype[0] in "fc":
        array[1] = np.nan
    array = array.astype(dtype)
    x = T.tensor(dtype, (None, None), "x")
    for axis, keepdims in itertools.product((None, 0, 1, (0, 1)), (False, True)):
        output = getattr(T, name)(x, axis=axis, keepdims=keepdims)

        (got,) = evaluate([output], {x: array})

        want = numpys(getattr(np, name), array, axis=axis, keepdims=keepdims)
        assert (got.dtype, got.shape) == (want.dtype, np.shape(want))
        np.testing.assert_allclose(got, want, 1e-6)


def test_gradients_without_nan_do_not_reach_nan():
    x = T.vector("x")
    value = np.array([1.0, np.nan, 4.0])
    outputs = [T.grad(getattr(T, n)(x), x) for n in ("nansum", "nanmean", "nanmax")]

    got = wb.function([x], outputs)(value)

    assert [g.tolist() for g in got] == [[1, 0, 1], [0.5, 0, 0.5], [0, 0, 1]]


def test_extreme_of_nothing_is_an_error_also_without_nan():
    x = T.vector("x")

    with pytest.raises(ValueError, match="max"):
        evaluate([T.nanmax(x)], {x: []})
