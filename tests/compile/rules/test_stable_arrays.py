"""Products, determinants, norms, guards and sums of many numbers, in every mode.

The gradient is always taken before any rewriting, as users take it.
"""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

MODES = ["FAST_RUN", "FAST_COMPILE", "DEBUG"]
DTYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_logarithm_of_a_product_of_many_numbers(mode, dtype):
    x = T.matrix("x", dtype=dtype)
    costs = [
        T.log(T.prod(x**2, axis=1)),
        T.log(T.prod(T.sqr(x), axis=1)),
        T.log(T.prod(abs(x), axis=1)),
        T.log(T.prod(T.exp(x), axis=1)),
        T.log(T.prod(T.sigmoid(x), axis=1)),
    ]
    value = np.asarray([[1e-30, -1e-20, 3, 1e-15], [1e30, 1e20, -2, 1e15]], dtype)

    found = wb.function([x], costs, mode=mode)(value)

    logs = np.log(np.abs(value.astype(float))).sum(1)
    wants = [2 * logs, 2 * logs, logs, value.sum(1), -np.logaddexp(0, -value).sum(1)]
    for got, want in zip(found, wants, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", [*MODES, "None"])
def test_slope_of_a_product_with_zeros(mode, dtype):
    x = T.matrix("x", dtype=dtype)
    value = np.asarray([[2, 0, 3], [0, 5, 0], [1, 2, 4]], dtype)

    slope = wb.function([x], wb.grad(T.prod(x, axis=1).sum(), x), mode=mode)(value)

    np.testing.assert_array_equal(slope, [[0, 6, 0], [0, 0, 0], [8, 4, 2]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", [*MODES, "None"])
def test_slopes_at_zero(mode, dtype):
    x = T.vector("x", dtype=dtype)
    costs = [
        abs(x).sum(),
        x.norm(2),
        T.linalg.norm(x),
        (x**2).sum(),
        (x**1).sum(),
        (x**0).sum(),
    ]

    slopes = wb.function([x], [wb.grad(c, x) for c in costs], mode=mode)(
        np.zeros(3, dtype)
    )

    np.testing.assert_array_equal(
        slopes, np.array([0, 0, 0, 0, 1, 0])[:, None] + 0 * slopes[0]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_logarithm_of_a_determinant(mode, dtype):
    x = T.matrix("x", dtype=dtype)
    costs = [T.log(T.linalg.det(x)), T.log(abs(T.linalg.det(x)))]
    value = 1e4 * np.eye(100, dtype=dtype)

    found = wb.function([x], [*costs, *(wb.grad(c, x) for c in costs)], mode=mode)(
        value
    )

    for logarithm in found[:2]:
        np.testing.assert_allclose(logarithm, 100 * np.log(1e4), rtol=1e-6)
    for slope in found[2:]:
        np.testing.assert_allclose(slope, 1e-4 * np.eye(100), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_logarithms_of_singular_and_of_negative_determinants(mode):
    x = T.dtensor3("x")
    value = np.array([[[1.0, 2], [2, 4]], [[0, 1], [1, 0]], [[2, 0], [0, 3]]])

    found, size = wb.function(
        [x], [T.log(T.linalg.det(x)), T.log(abs(T.linalg.det(x)))], mode=mode
    )(value)

    np.testing.assert_allclose(found, [-np.inf, np.nan, np.log(6)])
    np.testing.assert_allclose(size, [-np.inf, 0, np.log(6)], atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_guards_stay_before_what_they_guard(mode, dtype):
    x = T.matrix("x", dtype=dtype)
    total = x.sum(axis=1)
    costs = [
        T.switch(T.gt(x, 0), T.log(x), 0).sum(),
        T.switch(T.gt(x, 0), 3 * T.sqrt(x) / 2, 0).sum(),
        T.switch(T.eq(x, 0), 0, 1 / x).sum(),
        T.switch(T.gt(total, 0), T.log(total), 0).sum(),
        (T.switch(T.gt(x, 0), T.log(x), 0) * T.constant(2.0)).sum(),
    ]
    value = np.asarray([[0, 0, 0], [4, 0, 1]], dtype)

    slopes = wb.function([x], [wb.grad(c, x) for c in costs], mode=mode)(value)

    logs = [[0, 0, 0], [0.25, 0, 1]]
    wants = [
        logs,
        [[0, 0, 0], [0.375, 0, 0.75]],
        [[0, 0, 0], [-1 / 16, 0, -1]],
        [[0, 0, 0], [0.2, 0.2, 0.2]],
        2 * np.array(logs),
    ]
    for got, want in zip(slopes, wants, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_likelihood_of_powers(mode):
    x, t = T.dvectors("x", "t")
    s = T.sigmoid(x)
    cost = -T.log(s**t * (1 - s) ** (1 - t)).sum()
    values = np.array([-1000.0, 1000, 1000, -1000, 0]), np.array([1.0, 0, 1, 0, 0.5])

    found, slope = wb.function([x, t], [cost, wb.grad(cost, x)], mode=mode)(*values)

    np.testing.assert_allclose(found, 2000 + np.log(2), rtol=1e-14)
    np.testing.assert_allclose(slope, [-1, 1, 0, 0, 0], atol=1e-15)


@pytest.mark.parametrize("mode", MODES)
def test_reordered_products_stay_finite(mode):
    x, y, z = T.dvectors("x", "y", "z")
    big, small = np.array([1e200]), np.array([1e-200])
    rows = [
        (x / y * z, (big, big, big), 1e200),
        (x * y / z, (small, big, small), 1e200),
        ((2 * x) * (y * 3), (big, small, big), 6),
        ((1e-150 * x) * (1e-150 * y), (big, big, big), 1e100),
        (x * (y / z), (big, big, big), 1e200),
        ((x / y) / z, (small, small, big), 1e-200),
    ]

    run = wb.function(
        [x, y, z], [row for row, _, _ in rows], mode=mode, on_unused_input="ignore"
    )

    for i, (_, values, want) in enumerate(rows):
        np.testing.assert_allclose(run(*values)[i], want, rtol=1e-14)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "None"])
def test_sums_of_narrow_floats_are_gathered_in_wider_ones(mode):
    x, h = T.fvector("x"), T.vector("h", dtype="float16")
    numbers = np.full(100_000, 0.1, "float32")
    halves = np.full(20_000, 0.1, "float16")

    total, wide, half, mean = wb.function(
        [x, h], [x.sum(), T.sum(x, acc_dtype="float64"), h.sum(), h.mean()], mode=mode
    )(numbers, halves)

    # 100,000 roundings in a row would be off by 1 %; there are at least 8 rows at a time.
    np.testing.assert_allclose(total, numbers.astype(float).sum(), rtol=2e-5)
    np.testing.assert_allclose(wide, numbers.astype(float).sum(), rtol=1e-7)
    np.testing.assert_allclose(half, halves.astype(float).sum(), rtol=1e-3)
    np.testing.assert_allclose(mean, halves.astype(float).mean(), rtol=1e-3)
