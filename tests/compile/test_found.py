"""Faults that random graphs found, each as the small graph that showed it."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.ops.pooling import PoolPut
from workbench.core.types import TensorType

STRICT = wb.get_mode("FAST_RUN").excluding("finite_math")


def assert_as_written(inputs, output, *values):
    expected = wb.function(inputs, output, mode="None")(*values)

    got = wb.function(inputs, output, mode=STRICT)(*values)

    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    real = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got)[real], np.signbit(expected)[real])


def test_rows_taken_from_a_softmax_by_a_range():
    x = T.tensor("float64", (None, 3))
    p = T.nnet.softmax(x)

    assert_as_written([x], p[T.arange(p.shape[0]), [1, -2, -2]], np.eye(3))


def test_bound_that_is_copied_for_a_step_of_numpy_is_known_before_it():
    x, i = T.tensor("float16", (None,)), T.bscalar("i")
    part = x[i:]

    assert_as_written(
        [x, i], T.inc_subtensor(part, part + part), np.ones(4, "float16"), np.int8(1)
    )


def test_negative_fraction_through_an_integer_is_plus_zero():
    x = T.vector("x")

    assert_as_written(
        [x], T.cast(T.cast(x, "int64"), "float64"), np.linspace(-0.9, 0.9, 41)
    )


def test_power_of_one_half_of_minus_zero_is_plus_zero():
    x, y = T.vector("x"), T.vector("y")

    assert_as_written(
        [x, y], x**y, np.array([-0.0, 0.0, 4.0]), np.array([0.5, 0.5, 0.5])
    )


def test_slice_up_to_a_computed_sum():
    x = T.lvector("x")

    assert_as_written([x], (x * 2)[x.sum() :], np.array([1, 0, 0, 0]))


def test_place_that_is_never_read_is_not_checked():
    x, i, n = T.tensor("float64", (0,)), T.tensor("int64", (None, 1)), T.lscalar("n")
    places = T.broadcast_to(i, (i.shape[0], n))

    f = wb.function([x, i, n], x[places], mode=STRICT)

    assert f(np.zeros(0), [[0], [5]], 0).shape == (2, 0)


def test_power_of_one_half_of_minus_infinity():
    x = T.vector("x")

    assert_as_written([x], x**0.5, np.resize([-np.inf, -0.0, 4.0], 40))


def test_memory_of_a_computed_size_does_not_move_other_memory():
    x, y = T.vector("x"), T.matrix("y")
    i = T.argmax(x)
    head = T.exp(x[:i]) * 2
    outputs = [
        T.set_subtensor(x[:i], head + head),
        T.tanh(T.dot(y, y)).sum(axis=1).max(),
    ]
    values = np.arange(5000.0) / 5000, np.eye(3)

    f = wb.function([x, y], outputs, mode=STRICT)

    late, early = f.program.sizes, f.program.plan.values
    kinds = {}
    for place in early:
        if place.kind == "slot":
            sizes = f.program.plan.bytes_of(place.tenants[0], f.program.schedule)[0]
            is_late = any(
                not isinstance(s, int) and late.known_after(s) >= 0 for s in sizes
            )
            kinds.setdefault(place.number, set()).add(is_late)
    assert {True} in kinds.values() and {False} in kinds.values()
    assert all(len(k) == 1 for k in kinds.values())
    for want, have in zip(
        wb.function([x, y], outputs, mode="None")(*values), f(*values), strict=True
    ):
        np.testing.assert_allclose(have, want)


def test_cosine_of_an_angle_of_nan():
    for shape in (), (40,):
        x = T.tensor("float32", (None,) * len(shape))

        assert_as_written([x], T.cos(T.arctan(x)), np.full(shape, np.nan, "float32"))


def test_what_a_constant_says_of_a_type_holds_for_its_copy():
    # A host step reads a copy of k in memory; that the slice has size 1 was lost with it.
    x, n = T.dmatrix("x"), T.lscalar("n")
    first = T.argtopk(x, 3, axis=1, sorted=False)[:, 0:1]
    f = wb.function([x, n], T.broadcast_to(first, (n, 5)))

    assert f(np.zeros((2, 4)), 2).shape == (2, 5)


def test_the_logarithm_of_a_softmax_is_nan_where_the_softmax_is():
    # A logsoftmax that only took finite maxima out gave -inf beside an infinity.
    x = T.dvector("x")
    y = T.log(T.nnet.softmax(x))

    for mode in ("None", "FAST_COMPILE", "FAST_RUN"):
        assert np.isnan(wb.function([x], y, mode=mode)([1.0, np.inf, 2.0])).all(), mode


def test_size_that_only_a_check_reads():
    """A slice ends at an argmin, and its length is nothing but compared."""
    x = TensorType("float32", (1,))("x")
    y = TensorType("float64", (1, None))("y")
    z = TensorType("float32", (None, 1))("z")
    f = wb.function([x, y, z], z - T.cast(y[0 : T.argmin(x, axis=0)], "float32"))
    one = np.ones(1, "float32")

    assert f(one, np.ones((1, 3)), np.ones((0, 1), "float32")).shape == (0, 3)
    with pytest.raises(wb.ShapeError):
        f(one, np.ones((1, 3)), np.ones((2, 1), "float32"))


def test_row_that_is_read_at_other_places_is_not_the_row_of_the_result():
    """Exponentials were kept in the row of a result that takes them in another order."""
    x = T.matrix("x")
    p = T.nnet.softmax(x).dimshuffle(1, 0)[np.array([1, -2])].dimshuffle(1, 0)
    value = np.random.default_rng(0).normal(size=(3, 2))

    assert_as_written([x], p - x, value)


def test_one_loop_over_all_axes_checks_no_index_where_it_does_not_run():
    n, m = T.lscalars("n", "m")
    table = T.fill(T.zeros((n, 3)), 4.0)
    places = T.fill(T.zeros((m, n), dtype="int64"), 2)
    f = wb.function([n, m], T.take(table, places, axis=0), mode="FAST_RUN")

    none = f(0, 5)

    assert none.shape == (5, 0, 3)
    with pytest.raises(wb.OutOfRangeError):
        f(2, 1)


def test_text_of_an_op_has_a_pointer_to_integers():
    # A pointer to int64 was taken for a number of that type, and moved by bytes.
    g, places = T.ltensor3("g"), T.itensor3("places")
    put = PoolPut(2)(
        g, places, *map(T.constant, (2, 2, 2, 2, 0, 0)), *map(T.constant, (4, 4))
    )
    value = np.arange(8).reshape(2, 2, 2) - 3

    assert_as_written([g, places], put + 1, value, np.ones((2, 2, 2), "int32"))


def test_size_that_follows_from_what_only_numpy_computes():
    # The step reads a copy of the cast; the size was computed without it, by an op without C.
    x, y = TensorType("bool", ())("x"), T.matrix("y")
    f = wb.function([x, y], y[-4 : T.reciprocal(T.cast(x, "int8")) : -2])

    assert f.source
    assert f(True, np.ones((9, 2))).shape == (2, 2)


def test_zero_minus_zero_has_no_sign():
    # gcc 12 takes 0.0 - (double)b for -(double)b, and 0.0 + -(double)b for the same.
    b, n = TensorType("bool", (None,))("b"), T.ivector("n")
    minus = 0.0 - T.cast(b, "float64")
    plus = -T.cast(n, "float32") + np.float32(0)

    assert_as_written([b], minus, np.array([False, True]))
    assert_as_written([n], plus, np.array([0, 1, -1], "int32"))
