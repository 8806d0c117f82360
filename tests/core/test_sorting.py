"""Sorting and the largest or smallest elements, beyond the table of ops."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.evaluate import evaluate

TIES = np.array([[3.0, 1.0, 3.0, np.nan, 1.0], [np.inf, 0.0, -np.inf, 0.0, 2.0]])


def test_not_a_number_is_sorted_last():
    x = T.matrix("x")

    got = evaluate([T.sort(x), T.argsort(x), x.sort(0), x.argsort(None)], {x: TIES})

    np.testing.assert_array_equal(got[0], np.sort(TIES))
    np.testing.assert_array_equal(got[1], np.argsort(TIES, kind="stable"))
    np.testing.assert_array_equal(got[2], np.sort(TIES, 0))
    np.testing.assert_array_equal(got[3], np.argsort(TIES, None, kind="stable"))


def test_complex_numbers_are_sorted_by_real_then_imaginary_part():
    x = T.vector("x", dtype="complex128")
    value = np.array([1 + 2j, 1 - 1j, 0 + 9j, complex(np.nan, 0), complex(0, np.nan)])

    (got,) = evaluate([T.sort(x)], {x: value})

    np.testing.assert_array_equal(got, np.sort(value))


@pytest.mark.parametrize("kind", ["quicksort", "mergesort", "heapsort", "stable", None])
def test_every_kind_of_sort_gives_the_same(kind):
    x = T.matrix("x")

    (got,) = evaluate([T.sort(x, kind=kind)], {x: TIES})

    np.testing.assert_array_equal(got, np.sort(TIES))


def test_arguments_that_sorting_does_not_have_are_refused():
    x = T.matrix("x")
    with pytest.raises(ShapeError, match="kind must be one of"):
        T.sort(x, kind="bogus")
    with pytest.raises(ShapeError, match="not both"):
        T.argsort(x, kind="stable", stable=True)
    with pytest.raises(ShapeError, match="structured"):
        T.sort(x, order="name")
    with pytest.raises(IndexError):
        T.sort(x, axis=2)


def test_gradient_of_sort_goes_to_where_elements_stood():
    x = T.vector("x")
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    g = T.grad(T.sum(T.sort(x) * weights), x)

    (got,) = evaluate([g], {x: [3.0, 1.0, 3.0, 2.0]})

    np.testing.assert_array_equal(got, [100, 1, 1000, 10])


@pytest.mark.parametrize("axis", [0, -1, None])
@pytest.mark.parametrize("k", [1, 3, -1, -2])
def test_best_elements_come_first(k, axis):
    x = T.matrix("x")
    value = np.random.default_rng(0).permutation(15).reshape(3, 5).astype("float64")
    rows = value.reshape(-1) if axis is None else value
    along = -1 if axis is None else axis
    order = np.argsort(-rows if k > 0 else rows, along)
    want = np.take(order, np.arange(abs(k)), along)

    values, places = T.topk_and_argtopk(x, k, axis)
    got = evaluate([values, places, T.topk(x, k, axis), T.argtopk(x, k, axis)], {x: value})  # fmt: skip

    np.testing.assert_array_equal(got[1], want)
    np.testing.assert_array_equal(got[0], np.take_along_axis(rows, want, along))
    np.testing.assert_array_equal(got[2], got[0])
    np.testing.assert_array_equal(got[3], got[1])


def test_of_equal_elements_the_first_is_taken_first():
    x = T.vector("x", dtype="int64")
    value = np.array([2, 1, 2, 1, 2])

    got = evaluate(
        [T.argtopk(x, 2), T.argtopk(x, -3), T.argtopk(x, 4, sorted=False)], {x: value}
    )

    assert [g.tolist() for g in got] == [[0, 2], [1, 3, 0], [0, 1, 2, 4]]


@pytest.mark.parametrize("axis", [0, -1, None])
def test_partition_puts_elements_where_sorting_would(axis):
    x = T.matrix("x")
    value = np.random.default_rng(0).integers(0, 9, (4, 5)).astype("float64")
    kth = (2, -1)

    values, places = evaluate([T.partition(x, kth, axis), T.argpartition(x, kth, axis)], {x: value})  # fmt: skip

    rows = value.ravel() if axis is None else value
    rows, values, places = (
        np.moveaxis(v, axis or 0, 0) for v in (rows, values, places)
    )
    np.testing.assert_array_equal(np.take_along_axis(rows, places, 0), values)
    for k in kth:
        np.testing.assert_array_equal(values[k], np.sort(rows, 0)[k])
    assert (values[:2] <= values[2]).all() and (values[3:] >= values[2]).all()


def test_partition_at_no_element_is_refused():
    x = T.vector("x")
    compiled = wb.function([x], T.partition(x, 3))

    assert compiled([3.0, 1.0, 2.0, 5.0])[3] == 5
    with pytest.raises(ValueError, match="no element 3 of 3"):
        compiled([3.0, 1.0, 2.0])
    with pytest.raises(ShapeError, match="no element 2 of 2"):
        T.partition(T.constant([1.0, 2.0]), 2)
    with pytest.raises(TypeError):
        T.partition(x, 1.5)


def test_not_a_number_counts_as_largest():
    x = T.vector("x")
    value = np.array([1.0, np.nan, 3.0])

    largest, smallest = evaluate([T.topk(x, 2), T.topk(x, -2)], {x: value})

    np.testing.assert_array_equal(largest, [np.nan, 3])
    np.testing.assert_array_equal(smallest, [1, 3])


def test_places_come_in_the_dtype_asked_for():
    assert T.argtopk(T.vector("x"), 2, idx_dtype="int32").dtype == "int32"


def test_how_many_may_be_a_variable():
    x, k = T.matrix("x"), T.scalar("k", dtype="int64")
    top = T.topk(x, k)
    f = wb.function([x, k], [top, top.shape, T.grad(T.sum(top**2), x)])
    value = np.array([[1.0, 4.0, 2.0], [6.0, 5.0, 3.0]])

    for number in (1, 3, -2):
        got, shape, g = f(value, number)

        want = np.sort(value, 1)
        want = want[:, ::-1][:, :number] if number > 0 else want[:, :-number]
        np.testing.assert_array_equal(got, want)
        assert shape.tolist() == [2, abs(number)]
        np.testing.assert_array_equal(g, np.where(np.isin(value, want), 2 * value, 0))
    with pytest.raises(ValueError, match="best 4 elements of 3"):
        f(value, 4)
    with pytest.raises(ValueError, match="best 0 elements"):
        f(value, 0)


def test_how_many_is_checked_when_it_is_known():
    with pytest.raises(ShapeError, match="best 0"):
        T.topk(T.vector("x"), 0)
    with pytest.raises(ShapeError, match="best -4 elements of 3"):
        T.topk(T.constant([1.0, 2.0, 3.0]), -4)
    with pytest.raises(DTypeError, match="kth"):
        T.topk(T.vector("x"), 1.5)


def test_sorting_compiles_between_kernels():
    x = T.matrix("x")
    outputs = [
        T.exp(T.sort(x * 2, axis=0)) + 1,
        T.grad(T.sum(T.sort(x) ** 3), x),
        T.sort(x, None)[::2],
        x.argsort(axis=0) * 2,
    ]
    value = np.random.default_rng(0).normal(size=(4, 3))

    got = wb.function([x], outputs)(value)

    for have, want in zip(got, evaluate(outputs, {x: value}), strict=True):
        np.testing.assert_allclose(have, want, 1e-14)


def test_gradient_of_the_best_compiles_and_equals_differences():
    value = np.random.default_rng(0).normal(size=(4, 5))

    verify_grad(lambda x: T.topk(x, 2, axis=0), [value])
    verify_grad(lambda x: T.topk(x, -2, sorted=False), [value], order=2)
