"""The table of reductions: each by dtype, shape, axis and keepdims, equal to NumPy."""

import itertools
import warnings

import numpy as np
import pytest

import workbench.tensor as T
from workbench.core.errors import ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import DTYPES, TensorType

REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "all": np.all,
    "any": np.any, "argmax": np.argmax, "argmin": np.argmin, "mean": np.mean,
    "var": np.var, "std": np.std,
}  # fmt: skip
ONE_AXIS = ("argmax", "argmin")
SHAPES = [(0,), (0, 3), (3, 0), (), (1,), (0, 0), (2,), (2, 3), (3, 1), (2, 1, 3)]


def axes_of(shape, one_axis):
    rank = len(shape)
    single = [None, *range(-rank, rank)]
    if one_axis:
        return single
    return [*single, (), *itertools.permutations(range(rank), 2), tuple(range(rank))]


def outcome(compute):
    """A value, or the word error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(compute())
        except (ValueError, TypeError):
            return "error"


def filled(dtype, shape, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0 if dtype[0] in "ub" else -3, 4, shape)
    if dtype[0] == "c":
        return (values + 1j * rng.integers(-3, 4, shape)).astype(dtype)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_equals_numpys(name, dtype):
    reference = REDUCTIONS[name]
    if dtype[0] == "c" and name in ONE_AXIS:
        with pytest.raises(TypeError):
            getattr(T, name)(T.tensor(dtype, (None,)))
        return
    for shape, keepdims in itertools.product(SHAPES, (False, True)):
        array = filled(dtype, shape, len(shape))
        for axis in axes_of(shape, name in ONE_AXIS):
            x = Variable(TensorType(dtype, (None,) * len(shape)), "x")

            def ours(x=x, axis=axis, keepdims=keepdims, array=array):
                output = getattr(T, name)(x, axis=axis, keepdims=keepdims)
                (result,) = evaluate([output], {x: array})
                assert output.dtype == result.dtype
                return result

            got = outcome(ours)
            expected = outcome(
                lambda a=array, k=keepdims, axis=axis: reference(
                    a, axis=axis, keepdims=k
                )
            )

            context = f"{name} of {dtype} {shape}, axis {axis}, keepdims {keepdims}"
            assert isinstance(got, str) == isinstance(expected, str), (
                f"{context}: {got}"
            )
            if not isinstance(got, str):
                assert got.dtype == expected.dtype, f"{context}: {got.dtype}"
                assert got.shape == expected.shape, f"{context}: {got.shape}"
                eps = np.finfo(got.dtype).eps if got.dtype.kind in "fc" else 0
                np.testing.assert_allclose(got, expected, 16 * eps, 0, err_msg=context)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extreme_of_nothing_names_the_axis(name):
    x = T.matrix("x")

    with pytest.raises(ShapeError, match=f"{name} over axis 1, which has size 0"):
        evaluate([getattr(T, name)(x, axis=1)], {x: np.zeros((3, 0))})


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "sum", "mean"])
def test_not_a_number_wins(name):
    x = T.vector("x")
    value = np.array([1.0, np.nan, 3.0, np.nan])

    (got,) = evaluate([getattr(T, name)(x)], {x: value})

    np.testing.assert_array_equal(got, REDUCTIONS[name](value))


@pytest.mark.parametrize("axis", [2, -3, (0, 5)])
def test_axis_out_of_range_is_refused(axis):
    with pytest.raises(ShapeError, match="out of range for 2 axes"):
        T.sum(T.matrix("x"), axis=axis)


def test_axis_named_twice_is_refused():
    with pytest.raises(ShapeError, match="twice"):
        T.sum(T.matrix("x"), axis=(0, -2))


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "bool", "float32", "float64", "int64"]
)
def test_dtype_asked_for_is_the_dtype_given(name, dtype):
    array = np.array([[100, 100], [3, 0]], "int16")
    x = T.tensor("int16", (None, None), "x")

    (got,) = evaluate([getattr(T, name)(x, axis=1, dtype=dtype)], {x: array})

    expected = REDUCTIONS[name](array, axis=1, dtype=dtype)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_mean_of_float16_does_not_overflow_on_the_way():
    x = T.tensor("float16", (None,), "x")
    value = np.full(3000, 1000, "float16")

    mean, variance = evaluate([T.mean(x), T.var(x)], {x: value})

    assert mean == np.mean(value) == 1000
    assert variance == 0


@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
def test_variance_with_fewer_elements_than_ddof_is_numpys(ddof):
    x = T.vector("x")
    value = np.array([1.0, 4.0])

    (got,) = evaluate([T.var(x, ddof=ddof)], {x: value})

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(got, np.var(value, ddof=ddof))


def test_gradient_of_max_is_shared_by_equals():
    x = T.vector("x")

    (got,) = evaluate([T.grad(T.max(x), x)], {x: [1.0, 3.0, 3.0, 2.0]})

    np.testing.assert_array_equal(got, [0, 0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([2.0, 3.0, 4.0], [12, 8, 6]),
        ([2.0, 0.0, 4.0], [0, 8, 0]),
        ([0.0, 0.0, 4.0], [0, 0, 0]),
    ],
)
def test_gradient_of_prod_is_right_where_elements_are_zero(value, expected):
    x = T.vector("x")

    (got,) = evaluate([T.grad(T.prod(x), x)], {x: value})

    np.testing.assert_array_equal(got, expected)
