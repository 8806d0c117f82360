"""Medians and quantiles against NumPy, at special values, and their gradients."""

import itertools
import warnings

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.ops.quantiles import METHODS
from workbench.core.types import TensorType

SHAPES = [(0,), (0, 3), (3, 0), (), (1,), (4,), (5,), (2, 3), (3, 4, 2)]


def numpys(function, *arguments, **options):
    """NumPy's result without its warnings, or its error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(function(*arguments, **options))
        except (ValueError, TypeError, IndexError) as error:
            return error


def axes_of(shape):
    rank = len(shape)
    pairs = itertools.permutations(range(rank), 2)
    return [None, *range(-rank - 1, rank + 1), *pairs]


def agree(got, want, context):
    if isinstance(want, Exception):
        kinds = (ValueError, TypeError, IndexError)
        assert isinstance(got, Exception), context
        shared = [k for k in kinds if isinstance(want, k)]
        assert all(isinstance(got, k) for k in shared), f"{context}: {got!r}"
        return
    assert not isinstance(got, Exception), f"{context}: {got!r}"
    assert (got.dtype, got.shape) == (want.dtype, want.shape), f"{context}: {got!r}"
    eps = np.finfo(got.dtype).eps if got.dtype.kind in "fc" else 0
    np.testing.assert_allclose(got, want, 4 * eps, 4 * eps, err_msg=context)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", "complex128"])  # fmt: skip
def test_median_equals_numpys(dtype):
    rng = np.random.default_rng(0)
    for shape, keepdims in itertools.product(SHAPES, (False, True)):
        array = rng.integers(0, 9, shape).astype(dtype)
        x = Variable(TensorType(dtype, (None,) * len(shape)), "x")
        for axis in axes_of(shape):
            want = numpys(np.median, array, axis=axis, keepdims=keepdims)

            got = numpys(lambda a=array, x=x, axis=axis, k=keepdims: evaluate([T.median(x, axis, k)], {x: a})[0])  # fmt: skip

            agree(got, want, f"median of {dtype} {shape} along {axis}")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
def test_quantile_equals_numpys(dtype, method):
    rng = np.random.default_rng(0)
    shapes = [(), (1,), (4,), (2, 3)]
    for shape, keepdims in itertools.product(shapes, (False, True)):
        array = rng.integers(0, 50, shape).astype(dtype)
        x = Variable(TensorType(dtype, (None,) * len(shape)), "x")
        for axis, q in itertools.product(axes_of(shape), (0.5, 0, [0.3, 1.0])):
            options = {"axis": axis, "method": method, "keepdims": keepdims}
            want = numpys(np.quantile, array, q, **options)

            got = numpys(lambda a=array, x=x, q=q, o=options: evaluate([T.quantile(x, q, **o)], {x: a})[0])  # fmt: skip

            agree(got, want, f"{method} quantile {q} of {dtype} {shape} along {axis}")


@pytest.mark.parametrize(
    "value",
    [
        [1.0, np.nan, 2.0, 3.0],
        [np.inf, 1.0, np.inf, np.inf],
        [-np.inf, np.inf],
        [-np.inf, -np.inf, 0.0],
        [np.nan],
    ],
    ids=str,
)
def test_special_values_are_numpys(value):
    x = T.vector("x")
    for q in (0.0, 0.5, 1.0):
        rounded, mixed = T.quantile(x, q, method="lower"), T.quantile(x, q)
        got = evaluate([T.median(x), rounded, mixed], {x: value})

        assert np.array_equal(got[0], numpys(np.median, value), equal_nan=True)
        want = numpys(np.quantile, value, q, method="lower")
        assert np.array_equal(got[1], want, equal_nan=True)
        assert np.array_equal(got[2], numpys(np.quantile, value, q), equal_nan=True)


def test_differences_of_narrow_integers_do_not_wrap():
    x = T.vector("x", dtype="int8")

    (got,) = evaluate([T.quantile(x, 0.5)], {x: [-128, 127]})

    assert got == -0.5


def test_percentile_is_a_quantile_in_hundredths():
    x = T.matrix("x")
    value = np.random.default_rng(0).normal(size=(3, 4))

    got = evaluate([T.percentile(x, 30, 1), T.percentile(x, [5, 100.0], 0)], {x: value})

    np.testing.assert_allclose(got[0], np.percentile(value, 30, 1))
    np.testing.assert_allclose(got[1], np.percentile(value, [5, 100.0], 0))


def test_quantiles_that_do_not_exist_are_refused():
    x = T.vector("x")
    with pytest.raises(ShapeError, match="between 0 and 1"):
        T.quantile(x, 1.5)
    with pytest.raises(ShapeError, match="method"):
        T.quantile(x, 0.5, method="guess")
    with pytest.raises(DTypeError, match="complex"):
        T.quantile(T.vector("c", dtype="complex64"), 0.5)
    with pytest.raises(IndexError):
        evaluate([T.quantile(x, 0.5)], {x: []})


def test_fraction_may_be_a_variable():
    x, q = T.vector("x"), T.vector("q")
    f = wb.function([x, q], T.quantile(x, q))
    value = np.array([4.0, 1.0, 3.0])

    got = f(value, [0.0, 0.25, 1.0, 1.5, -0.5])

    np.testing.assert_allclose(got[:3], np.quantile(value, [0.0, 0.25, 1.0]))
    assert np.isnan(got[3:]).all()


def test_gradients_go_to_the_elements_in_the_middle():
    value = np.random.default_rng(0).permutation(12).reshape(3, 4) * 1.0

    verify_grad(lambda x: T.median(x, 0), [value])
    verify_grad(T.median, [value], order=2)
    verify_grad(lambda x: T.quantile(x, 0.3, 1), [value])
    verify_grad(lambda x, q: T.quantile(x, q, 1), [value, np.array([0.41, 0.77])])


def test_quantiles_compile():
    x = T.matrix("x")
    outputs = [T.median(x, 0), T.quantile(x, [0.1, 0.6], 1), T.grad(T.median(x), x)]
    value = np.random.default_rng(0).normal(size=(4, 3))

    got = wb.function([x], outputs)(value)

    for have, want in zip(got, evaluate(outputs, {x: value}), strict=True):
        np.testing.assert_allclose(have, want, 1e-14)


def test_quantiles_without_nan_compile():
    x = T.matrix("x")
    value = np.array([[3.0, np.nan, 1.0, 7.0], [np.nan] * 4, [2.0, 9.0, 4.0, np.nan]])
    outputs = [
        T.nanmedian(x, 0),
        T.nanmedian(x),
        T.nanquantile(x, [[0.1, 0.6]], 1, "hazen"),
        T.nanpercentile(x, 30, (0, 1), "closest_observation", keepdims=True),
        T.nanargmax(x[::2], 1),
        T.nancumsum(x, 1),
    ]

    got = wb.function([x], outputs)(value)

    for have, want in zip(got, evaluate(outputs, {x: value}), strict=True):
        np.testing.assert_allclose(have, want, 1e-14)
    with pytest.raises(ValueError, match="not NaN"):
        wb.function([x], T.nanargmin(x, 1))(value)


def test_gradients_without_nan_go_to_the_elements_in_the_middle():
    value = np.random.default_rng(0).permutation(12).reshape(3, 4) * 1.0
    x = T.vector("x")

    verify_grad(lambda x: T.nanmedian(x, 0), [value])
    verify_grad(lambda x, q: T.nanquantile(x, q, 1, "weibull"), [value, np.array([0.41, 0.77])])  # fmt: skip
    got = wb.function([x], T.grad(T.nanmedian(x), x))([4.0, np.nan, 1.0])

    assert got.tolist() == [0.5, 0, 0.5]
