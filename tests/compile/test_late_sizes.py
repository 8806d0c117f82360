"""Operations whose result has as many elements as their values say, in compiled programs."""

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.op import Opaque


@dataclass(frozen=True)
class Filled(Opaque):
    """The places of the elements that are not zero, and their values."""

    def output_types(self, *inputs):
        (x,) = inputs
        return [x.type.with_dtype("int64"), x.type]

    def reference(self, *inputs):
        (x,) = inputs
        (places,) = np.nonzero(x)
        return places, x[places]


def filled(x):
    return Filled().make_node(x).outputs


@pytest.fixture(params=["FAST_RUN", "DEBUG"])
def mode(request):
    return request.param


def test_results_of_unknown_size_are_used_by_kernels(mode):
    x = T.vector("x")
    places, values = filled(x * 2)
    f = wb.function([x], [places + 1, values.sum(), x[places] * 3], mode=mode)

    got = f([0.0, 3.0, 0.0, 2.0])

    assert [a.tolist() for a in got] == [[2, 4], 10, [9, 6]]
    assert [a.tolist() for a in f([0.0])] == [[], 0, []]


def test_sizes_that_values_decide_are_compared(mode):
    x, y = T.vectors("x", "y")
    f = wb.function([x, y], x[filled(x)[0]] + y, mode=mode)

    assert f([0.0, 2.0], [1.0]).tolist() == [3.0]
    with pytest.raises(wb.ShapeError, match="sizes 1 and 2"):
        f([0.0, 2.0], [1.0, 2.0])


def test_two_sizes_that_values_decide_are_compared(mode):
    x, y = T.vectors("x", "y")
    f = wb.function([x, y], filled(x)[1] * filled(y)[1], mode=mode)

    assert f([0.0, 2.0], [3.0, 0.0]).tolist() == [6.0]
    with pytest.raises(wb.ShapeError, match="sizes 1 and 2"):
        f([0.0, 2.0], [1.0, 2.0])


def test_a_maximum_of_nothing_is_an_error_also_when_values_decide(mode):
    x = T.vector("x")
    f = wb.function([x], filled(x)[1].max(), mode=mode)

    assert f([0.0, -2.0]) == -2
    with pytest.raises(ValueError, match="max"):
        f([0.0])


def test_a_gradient_passes_through_chosen_elements(mode):
    x = T.vector("x")
    f = wb.function([x], T.grad((x[filled(x)[0]] ** 3).sum(), x), mode=mode)

    assert f([0.0, 2.0, -1.0]).tolist() == [0, 12, 3]


def test_updates_wait_for_checks_of_late_sizes(mode):
    x, y = T.vectors("x", "y")
    total = wb.shared(np.zeros(2), "total")
    late = (x[filled(x)[0]] + y).sum()
    f = wb.function([x, y], late, updates=[(total, total + 1)], mode=mode)

    with pytest.raises(wb.ShapeError):
        f([0.0, 2.0], [1.0, 2.0])

    assert total.get_value().tolist() == [0, 0]


def test_a_slice_ends_where_only_values_decide(mode):
    # No kernel reads that size, only what is settled before one: it must be told, too.
    x = T.vector("x")
    n = filled(x)[0].shape[0]
    f = wb.function([x], T.exp(x)[:n] * 1.0, mode=mode)

    np.testing.assert_allclose(f([1.0, 0.0, 2.0]), np.exp([1.0, 0.0]))
    assert f([0.0]).size == 0


def test_an_index_is_compared_with_a_size_that_only_values_decide(mode):
    """What is read has one element: of the array in between, the check needs the size alone."""
    at, x = T.TensorType("int64", (1,))("at"), T.TensorType("float64", (1,))("x")
    y = T.wvector("y")
    stretched = T.broadcast_to(x, (T.bincount(at).shape[0],))
    f = wb.function([at, x, y], y * stretched[at], mode=mode)

    got = f(np.array([4]), np.array([2.0]), np.array([1, 2, 3], "int16"))

    np.testing.assert_array_equal(got, [2.0, 4.0, 6.0])
