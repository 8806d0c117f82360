"""Counting, searching and different values, beyond the table of ops."""

import itertools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import DTYPES, TensorType


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d[0] in "bui"])
@pytest.mark.parametrize("minlength", [None, 0, 5])
def test_counts_equal_numpys(dtype, minlength):
    x = T.tensor(dtype, (None,), "x")
    for value in ([], [0], [1, 1, 0, 1], [3, 0]):
        array = np.array(value).astype(dtype)

        (got,) = evaluate([T.bincount(x, minlength=minlength)], {x: array})

        want = np.bincount(array, minlength=minlength or 0)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "float64"])
def test_weights_are_added_in_double_precision(dtype):
    x, w = T.vector("x", dtype="int64"), T.tensor(dtype, (None,), "w")
    weights = np.array([1, 0, 3, 1]).astype(dtype)

    (got,) = evaluate([T.bincount(x, w)], {x: [2, 0, 2, 1], w: weights})

    assert got.dtype == "float64"
    np.testing.assert_array_equal(got, np.bincount([2, 0, 2, 1], weights))


def test_counts_are_refused_where_numpy_refuses_them():
    x, w = T.vector("x", dtype="int64"), T.vector("w")
    with pytest.raises(TypeError):
        T.bincount(w)
    with pytest.raises(TypeError):
        T.bincount(x, T.vector("c", dtype="complex64"))
    for build in (
        lambda: T.bincount(T.matrix("m", dtype="int8")),
        lambda: T.bincount(x, T.matrix("m")),
        lambda: T.bincount(x, minlength=-1),
        lambda: evaluate([T.bincount(x)], {x: [1, -1]}),
        lambda: evaluate([T.bincount(x, w)], {x: [1], w: [1.0, 2.0]}),
    ):
        with pytest.raises(ValueError, match="bincount|minlength"):
            build()


def test_counts_compile_and_are_used_by_kernels():
    x, w = T.vector("x", dtype="int64"), T.vector("w")
    sums = T.bincount(x, w)
    f = wb.function([x, w], [sums * 2, sums.shape, T.grad(T.sum(sums**2), w)])

    got = f([3, 1, 1], [1.0, 2.0, 3.0])

    assert [g.tolist() for g in got] == [[0, 10, 0, 2], [4], [2, 10, 10]]
    assert f([], [])[0].shape == (0,)
    with pytest.raises(ValueError, match="-2"):
        f([0, -2], [1.0, 1.0])
    with pytest.raises(ValueError, match="2 numbers with 3 weights"):
        f([0, 1], [1.0, 1.0, 1.0])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float32", "complex64"])
def test_places_in_sorted_vectors_equal_numpys(side, dtype):
    rng = np.random.default_rng(2)
    array = np.sort(rng.integers(0, 5, 6).astype(dtype))
    x = T.tensor(dtype, (None,), "x")
    for shape in ((), (3,), (2, 0), (2, 3)):
        v = Variable(TensorType("float64", (None,) * len(shape)), "v")
        value = rng.integers(-1, 6, shape).astype("float64")

        (got,) = evaluate([T.searchsorted(x, v, side)], {x: array, v: value})

        want = np.searchsorted(array, value, side)
        assert got.dtype == "int64" and got.shape == np.shape(want)
        np.testing.assert_array_equal(got, want)


def test_a_sorter_stands_for_sorting():
    x, s = T.vector("x"), T.vector("s", dtype="int32")
    value = np.array([3.0, 1.0, 2.0])
    found = x.searchsorted([2.5, 0.0], sorter=s)

    (got,) = evaluate([found], {x: value, s: np.argsort(value).astype("int32")})

    assert got.tolist() == [2, 0]
    with pytest.raises(ValueError, match="side"):
        T.searchsorted(x, 1.0, "middle")
    with pytest.raises(ValueError, match="vector"):
        T.searchsorted(T.matrix("m"), 1.0)
    with pytest.raises(TypeError):
        T.searchsorted(x, 1.0, sorter=T.vector("w"))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[], [1.0], [0.0, 1.0, 1.0, 4.0], [5.0, 2.0, -1.0]])
def test_bins_equal_numpys(bins, right):
    x = T.matrix("x")
    value = np.array([[0.0, 1.0, 4.0], [-3.0, 7.0, np.nan]])

    (got,) = evaluate([T.digitize(x, np.array(bins), right)], {x: value})

    np.testing.assert_array_equal(got, np.digitize(value, np.array(bins), right))


def test_bins_that_go_up_and_down_are_refused():
    with pytest.raises(ShapeError, match="increase or decrease"):
        evaluate([T.digitize([1.0], [1.0, 3.0, 2.0])], {})
    with pytest.raises(DTypeError, match="complex"):
        T.digitize(T.vector("x", dtype="complex64"), [1.0])


VALUES = {
    "bool": [[True, False], [True, True]],
    "int8": [[3, 1, 3], [0, 3, 1]],
    "float64": [[np.nan, 1.0, np.nan], [-0.0, 0.0, 1.0]],
    "complex64": [[1j, 1.0, 1j], [0, 1.0, 0]],
}


@pytest.mark.parametrize("dtype", VALUES)
def test_different_values_equal_numpys(dtype):
    array = np.array(VALUES[dtype], dtype)
    x = T.tensor(dtype, (None, None), "x")
    flags = itertools.product((False, True), repeat=3)
    for (index, inverse, counts), axis in itertools.product(flags, (None, 0, -1)):
        made = T.unique(x, index, inverse, counts, axis)
        outputs = made if isinstance(made, list) else [made]

        got = evaluate(outputs, {x: array})

        found = np.unique(array, index, inverse, counts, axis)
        want = found if isinstance(found, tuple) else (found,)
        assert len(got) == len(want)
        for have, right in zip(got, want, strict=True):
            assert (have.dtype, have.shape) == (right.dtype, right.shape)
            np.testing.assert_array_equal(have, right)


def test_not_a_number_may_differ_from_itself():
    x = T.vector("x")
    value = np.array([np.nan, 1.0, np.nan])

    (got,) = evaluate([T.unique(x, equal_nan=False)], {x: value})

    np.testing.assert_array_equal(got, np.unique(value, equal_nan=False))


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_different_values_compile_and_are_used_by_kernels(mode):
    x = T.matrix("x")
    values, places, inverse, counts = T.unique(x + 1, True, True, True)
    outputs = [values * counts, x.flatten()[places], values[inverse] - x, values.shape]
    g = T.grad(T.sum(values**2), x)
    f = wb.function([x], [*outputs, g], mode=mode)

    got = f([[1.0, 0.0], [1.0, 1.0]])

    assert [v.tolist() for v in got] == [
        [1, 6], [0, 1], [[1, 1], [1, 1]], [2], [[4, 2], [0, 0]],
    ]  # fmt: skip


def test_gradient_of_different_rows_goes_to_their_first_occurrence():
    x = T.matrix("x")
    g = T.grad(T.sum(T.unique(x, axis=0) * [[1.0], [10.0]]), x)

    (got,) = evaluate([g], {x: [[5.0, 1.0], [2.0, 2.0], [5.0, 1.0]]})

    assert got.tolist() == [[10, 10], [1, 1], [0, 0]]
