"""Reductions beyond the table of them: arguments, errors, and gradients at special points."""

import warnings

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.evaluate import evaluate

REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "all": np.all,
    "any": np.any, "argmax": np.argmax, "argmin": np.argmin, "mean": np.mean,
    "var": np.var, "std": np.std,
}  # fmt: skip


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


ZEROS = [
    [2.0, 0.0, 4.0],
    [0.0, 0.0, 4.0, 3.0],
    [0.0, 0.0, 0.0],
    [0.0],
    [[0.0, 2.0, 0.0], [3.0, 5.0, -1.0]],
    [[[1.0, 0.0], [2.0, 3.0]], [[0.5, 1.5], [0.0, 0.0]]],
]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("value", ZEROS, ids=str)
def test_gradients_of_prod_at_zeros_equal_differences(value, order):
    array = np.array(value)
    for axis in (None, *range(array.ndim), (0, -1), ()):
        if isinstance(axis, tuple) and array.ndim < 2:
            continue
        verify_grad(lambda x, axis=axis: T.prod(x, axis), [array], order=order)


def test_third_gradient_of_prod_at_zeros():
    x = T.vector("x")
    first = T.grad(T.prod(x), x)
    second = T.grad(first[0], x)
    third = T.grad(second[1], x)

    (got,) = evaluate([third], {x: [0.0, 0.0, 0.0, 7.0]})

    np.testing.assert_array_equal(got, [0, 0, 7, 0])


def test_gradient_of_prod_is_right_where_the_product_overflows():
    x = T.vector("x")

    (got,) = evaluate([T.grad(T.prod(x), x)], {x: [1e200, 1e200, 3.0]})

    np.testing.assert_allclose(got, [3e200, 3e200, np.inf])


def test_gradient_of_prod_compiles():
    x = T.matrix("x")
    g = T.grad(T.sum(T.prod(x, axis=1) ** 2), x)
    h = T.grad(T.sum(T.sin(g)), x)
    value = np.array([[0.0, 2.0, 0.5], [1.0, 0.0, 0.0]])

    got = wb.function([x], [g, h])(value)

    for have, want in zip(got, evaluate([g, h], {x: value}), strict=True):
        np.testing.assert_allclose(have, want, 1e-14)


def test_promise_of_no_zeros_makes_the_gradient_a_quotient():
    x = T.vector("x")
    value = np.array([2.0, 3.0, 5.0])
    g = T.grad(T.prod(x, no_zeros_in_input=True), x)

    (got,) = evaluate([g], {x: value})

    np.testing.assert_allclose(got, [15, 10, 6])
    assert "cumprod" not in str(g.owner.inputs)
    verify_grad(lambda x: T.prod(x, no_zeros_in_input=True), [value], order=2)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_sum_is_gathered_in_the_dtype_asked_for(mode):
    x, n = T.vector("x", dtype="float32"), T.vector("n", dtype="int8")
    sums = [
        T.sum(x, acc_dtype="float64"),
        T.mean(x, acc_dtype="float64"),
        T.sum(x, dtype="float64"),
        T.sum(n, acc_dtype="int8"),
        T.prod(n, acc_dtype="float64", dtype="float64"),
    ]
    # 2 ** 24 + 1 is no float32: there every 1 added would be lost.
    value = np.full(1001, 1, "float32")
    value[0] = 2**24

    got = wb.function([x, n], sums, mode=mode)(value, np.full(100, 3, "int8"))

    total = np.sum(value, dtype="float64")
    assert [v.dtype.name for v in got] == [
        "float32", "float32", "float64", "int64", "float64",
    ]  # fmt: skip
    assert got[0] == np.float32(total) and got[2] == total
    assert got[1] == np.float32(total / 1001)
    assert got[3] == np.sum(np.full(100, 3), dtype="int8") == 44
    np.testing.assert_allclose(got[4], 3.0**100)


def test_no_digits_are_kept_that_the_accumulator_does_not_have():
    x = T.vector("x", dtype="float64")
    value = np.array([2.0**24, 1, 1, 1])

    (got,) = evaluate([T.sum(x, acc_dtype="float32")], {x: value})

    assert got == 2**24 and got.dtype == "float64"


MASKED = {
    "sum": {},
    "prod": {},
    "all": {},
    "any": {},
    "mean": {},
    "var": {"ddof": 1},
    "std": {},
    "max": {"initial": -1.5},
    "min": {"initial": 2.5},
}


@pytest.mark.parametrize("dtype", ["bool", "int16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("name", MASKED)
def test_masked_reduction_equals_numpys(name, dtype):
    rng = np.random.default_rng(5)
    array = rng.integers(-3, 4, (4, 5)).astype(dtype)
    if dtype == "complex128":
        array += 1j * rng.integers(-3, 4, (4, 5))
    x = T.tensor(dtype, (None, None), "x")
    options = dict(MASKED[name])
    if "initial" in options:
        options["initial"] = np.asarray(options["initial"]).astype(dtype)
    for mask in (rng.random((4, 5)) < 0.5, np.array([True, False, True, False, True])):
        for axis in (0, 1, None):
            output = getattr(T, name)(x, axis=axis, where=mask, **options)

            (got,) = evaluate([output], {x: array})

            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                want = REDUCTIONS[name](array, axis=axis, where=mask, **options)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, 1e-6)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "float64", "complex64"])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_initial_is_what_a_reduction_starts_from(name, dtype):
    for shape in ((0, 3), (2, 3)):
        array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        x = T.tensor(dtype, (None, None), "x")
        output = getattr(T, name)(x, axis=0, initial=1, keepdims=True)

        (got,) = evaluate([output], {x: array})

        want = REDUCTIONS[name](array, axis=0, initial=1, keepdims=True)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_masks_that_do_not_fit_are_refused():
    x = T.vector("x")
    with pytest.raises(DTypeError, match="bool"):
        T.sum(x, where=np.array([1, 0]))
    with pytest.raises(ShapeError, match="axes"):
        T.sum(x, where=np.ones((2, 2), bool))
    with pytest.raises(ShapeError, match="initial"):
        T.max(x, where=np.array([True, False]))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [(0, 2), (2, 0), [1], (0, 1, 2), (), None])
def test_place_over_several_axes_counts_in_row_major_order(name, axis):
    array = np.random.default_rng(1).permutation(24).reshape(2, 3, 4)
    x = T.tensor("int64", (None, None, None), "x")
    flat, kept = (getattr(T, name)(x, axis=axis, keepdims=k) for k in (False, True))

    got, got_kept = evaluate([flat, kept], {x: array})

    axes = sorted(range(3) if axis is None else axis)
    rest = [a for a in range(3) if a not in axes]
    rows = array.transpose(rest + axes).reshape([array.shape[a] for a in rest] + [-1])
    np.testing.assert_array_equal(got, REDUCTIONS[name](rows, axis=-1))
    assert got_kept.shape == tuple(1 if a in axes else array.shape[a] for a in range(3))
    np.testing.assert_array_equal(got_kept.ravel(), got.ravel())


@pytest.mark.parametrize("order", [2, 1, 3, 0, 1.5, np.inf, -np.inf])
def test_norm_is_that_of_a_vector(order):
    x = T.matrix("x")
    value = np.random.default_rng(0).normal(size=(3, 4))

    got = evaluate([x.norm(order, axis=1), x.norm(order)], {x: value})

    np.testing.assert_allclose(got[0], np.linalg.norm(value, order, axis=1))
    np.testing.assert_allclose(got[1], np.linalg.norm(value.ravel(), order))
    if order not in (0,):
        verify_grad(lambda x: T.norm(x, order, axis=1), [value])


def test_gradient_of_a_norm_at_zero_is_zero():
    x = T.vector("x")

    (got,) = evaluate([T.grad(T.norm(x), x)], {x: np.zeros(3)})

    np.testing.assert_array_equal(got, 0)


def test_corrected_variance_loses_less_to_rounding():
    x = T.vector("x", dtype="float32")
    value = (np.random.default_rng(0).normal(size=999) * 1e-3 + 4000).astype("float32")

    plain, corrected = evaluate([T.var(x), T.var(x, corrected=True)], {x: value})

    exact = np.var(value.astype("float64"))
    assert abs(corrected - exact) <= abs(plain - exact)
    np.testing.assert_allclose(corrected, exact, 1e-5)


@pytest.mark.parametrize("dtype", ["int64", "float32", "complex128"])
def test_mean_and_variance_in_a_dtype_are_numpys(dtype):
    array = np.array([1, 2, 4, 6], "int16")
    x = T.vector("x", dtype="int16")

    got = evaluate([T.mean(x, dtype=dtype)], {x: array})

    want = np.mean(array, dtype=dtype)
    assert got[0].dtype == want.dtype and got[0] == want
    if dtype == "float32":
        (got,) = evaluate([T.var(x, dtype=dtype)], {x: array})
        want = np.var(array, dtype=dtype)
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want)


def test_methods_are_the_functions():
    x = T.matrix("x")
    value = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 9.0]])
    names = (
        "sum prod mean var std max min argmax argmin all any ptp norm cumsum cumprod "
        "sort argsort"
    )
    pairs = [(getattr(x, n)(axis=1), getattr(T, n)(x, axis=1)) for n in names.split()]

    got = evaluate([v for pair in pairs for v in pair], {x: value})

    for method, function in zip(got[::2], got[1::2], strict=True):
        np.testing.assert_array_equal(method, function)


@pytest.mark.parametrize("axis", [None, 1, (0, 2), [2, 1]])
def test_largest_and_its_place_together(axis):
    x = T.tensor("float64", (None, None, None), "x")
    value = np.random.default_rng(0).normal(size=(2, 3, 4))

    got = evaluate([*T.max_and_argmax(x, axis, keepdims=True)], {x: value})

    want = evaluate([T.max(x, axis, True), T.argmax(x, axis, True)], {x: value})
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])
    np.testing.assert_array_equal(got[0], np.max(value, tuple(axis) if isinstance(axis, list) else axis, keepdims=True))  # fmt: skip
