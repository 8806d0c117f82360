"""Places as numbers, and diagonals, against NumPy."""

import numpy as np
import pytest

import workbench.tensor as T
from tests.core.test_indexing_routines import refuses_as_numpy, same
from tests.gradients import verify_grad
from workbench.core.evaluate import evaluate

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("order", ["C", "F"])
def test_multi_indices(order):
    dims = (3, 4, 5)
    arrays = [RNG.integers(0, n, (2, 6)) for n in dims]
    flat = np.ravel_multi_index(arrays, dims, order=order)

    same(
        lambda *a: T.ravel_multi_index(a, dims, order=order),
        lambda *a: np.ravel_multi_index(a, dims, order=order),
        *arrays,
    )
    same(
        lambda a: T.ravel_multi_index(a, dims, order=order),
        lambda a: np.ravel_multi_index(a, dims, order=order),
        np.array(arrays),
    )
    same(
        lambda a, b: T.ravel_multi_index((a, b), (3, 4), "wrap", order),
        lambda a, b: np.ravel_multi_index((a, b), (3, 4), "wrap", order),
        *([[-5], [7]], [9, 3]),
    )
    same(
        lambda a, b: T.ravel_multi_index((a, b), (3, 4), ("clip", "raise"), order),
        lambda a, b: np.ravel_multi_index((a, b), (3, 4), ("clip", "raise"), order),
        *([-5, 7], 3),
    )
    same(
        lambda a: T.unravel_index(a, dims, order),
        lambda a: np.unravel_index(a, dims, order),
        flat,
    )
    same(lambda a: T.unravel_index(a, 9), lambda a: np.unravel_index(a, 9), 7)


def test_sizes_may_be_variables():
    x, i = T.matrix("x"), T.lvector("i")
    places = T.unravel_index(i, x.shape)

    got = evaluate(
        [T.ravel_multi_index(places, x.shape), *places],
        {x: np.zeros((2, 3)), i: [5, 1]},
    )

    np.testing.assert_array_equal(got, [[5, 1], [1, 0], [2, 1]])


def test_places_outside_are_refused_as_by_numpy():
    for places in ([6], [-1]):
        refuses_as_numpy(
            lambda a: T.unravel_index(a, (2, 3)),
            lambda a: np.unravel_index(a, (2, 3)),
            places,
        )
        refuses_as_numpy(
            lambda a: T.ravel_multi_index((a, a), (6, 2)),
            lambda a: np.ravel_multi_index((a, a), (6, 2)),
            places,
        )
    refuses_as_numpy(
        lambda a: T.unravel_index(a, (2, 3)),
        lambda a: np.unravel_index(a, (2, 3)),
        [0.5],
    )
    refuses_as_numpy(
        lambda a: T.ravel_multi_index((a,), (2, 3)),
        lambda a: np.ravel_multi_index((a,), (2, 3)),
        [0],
    )
    with pytest.raises(ValueError, match="order"):
        T.unravel_index([0], (2, 3), "A")


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    "shape", [(3, 3), (2, 5), (7, 2), (1, 1), (0, 3), (3, 0), (3, 3, 3), (2, 2, 2, 2)]
)
def test_fill_diagonal(shape, wrap, static):
    def numpys(a, v):
        a = a.copy()
        np.fill_diagonal(a, v, wrap)
        return a

    for values in (7.0, [1.0, 2.0], np.arange(9.0).reshape(3, 3)):
        same(
            lambda a, v: T.fill_diagonal(a, v, wrap),
            numpys,
            *(RNG.normal(size=shape), values),
            static=static,
        )


def test_fill_diagonal_refuses():
    def numpys(a):
        np.fill_diagonal(a.copy(), 1)

    for shape in ((3,), (2, 2, 3), ()):
        refuses_as_numpy(lambda a: T.fill_diagonal(a, 1), numpys, np.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (0, 3), (1, 4)])
def test_diagonals_beside_the_main_one(shape):
    array = RNG.normal(size=shape)
    x, k = T.matrix("x"), T.lscalar("k")
    filled = T.fill_diagonal_offset(x, 7, k)

    for offset in range(-6, 7):
        got = evaluate(
            [filled, T.fill_diagonal_offset(x, 7, offset)], {x: array, k: offset}
        )

        expected = np.where(np.eye(*shape, offset), 7, array)
        np.testing.assert_array_equal(got, [expected, expected])


def test_gradients_of_diagonals():
    array, part = RNG.normal(size=(3, 4)), RNG.normal(size=2)

    verify_grad(lambda x, v: T.fill_diagonal(T.sqr(x), T.sqr(v)), [array, part])
    verify_grad(
        lambda x, v: T.fill_diagonal_offset(T.sqr(x), T.sqr(v), -1), [array, part]
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_a_slice_at_an_axis(axis):
    array = RNG.normal(size=(3, 4, 5))
    x = T.tensor3("x")

    (got,) = evaluate([x[T.slice_at_axis(slice(1, 3), axis)]], {x: array})

    np.testing.assert_array_equal(got, np.take(array, [1, 2], axis))


def test_sparse_grad_is_the_part_itself():
    x = T.matrix("x")

    assert T.sparse_grad(part := x[[0, 2]]) is part
