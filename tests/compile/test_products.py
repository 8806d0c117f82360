"""Products in compiled programs: every form and layout against NumPy, and what becomes one call."""

from itertools import product

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

FLOATS = ["float32", "float64"]


def ops_of(function):
    return [str(node.op) for node in function.compilation.after.nodes()]


def close(found, expected, dtype, inner=1):
    # Sums of products in another order, of numbers of about size 1.
    tolerance = 16 * max(inner, 1) * np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def normal(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_products_of_all_small_sizes_and_orders(dtype):
    x, y = T.matrix("x", dtype=dtype), T.matrix("y", dtype=dtype)
    functions = [
        (wb.function([x, y], T.dot(a, b)), turned)
        for turned, (a, b) in zip(
            product((False, True), repeat=2), product((x, x.T), (y, y.T)), strict=True
        )
    ]
    rng = np.random.default_rng(0)

    for m, n, k in product((0, 1, 2, 5, 9), (0, 1, 3, 16), (0, 1, 2, 7, 40)):
        a, b = normal(rng, dtype, m, k), normal(rng, dtype, k, n)
        for function, (first, second) in functions:
            left, right = a.T.copy() if first else a, b.T.copy() if second else b
            close(function(left, right), a @ b, dtype, k)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "sizes", [(500, 10, 784), (20, 500, 300), (70, 130, 200), (3, 2000, 300)]
)
def test_products_that_are_cut_into_blocks(sizes, dtype):
    m, n, k = sizes
    x, y = T.matrix("x", dtype=dtype), T.matrix("y", dtype=dtype)
    function = wb.function([x, y], [T.dot(x, y), T.dot(y.T, x.T).T])
    rng = np.random.default_rng(0)
    a, b = normal(rng, dtype, m, k), normal(rng, dtype, k, n)

    for found in function(a, b):
        close(found, a.astype(float) @ b, dtype, k)


@pytest.mark.parametrize("dtype", FLOATS)
def test_matrices_with_gaps_in_both_directions(dtype):
    x = T.tensor3("x", dtype=dtype)
    y, v = T.matrix("y", dtype=dtype), T.vector("v", dtype=dtype)
    middle = T.specify_shape(x, (None, None, 5))[:, :, 1:2].dimshuffle(0, 1)
    function = wb.function(
        [x, y, v], [T.dot(middle, y), T.dot(middle, v), T.dot(v, middle.T)]
    )
    rng = np.random.default_rng(0)
    a, b, c = (normal(rng, dtype, *s) for s in ((30, 20, 5), (20, 6), (20,)))

    found = function(a, b, c)

    for one, expected in zip(
        found, [a[:, :, 1] @ b, *[a[:, :, 1] @ c] * 2], strict=True
    ):
        close(one, expected, dtype, 20)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_matrix_times_a_vector_of_all_sizes(dtype):
    x, v, w = (
        T.matrix("x", dtype=dtype),
        T.vector("v", dtype=dtype),
        T.vector("w", dtype=dtype),
    )
    function = wb.function([x, v, w], [T.dot(x, v), T.dot(w, x), T.dot(v, v)])
    rng = np.random.default_rng(0)

    for m, k in product((0, 1, 2, 9, 30), (0, 1, 3, 12, 25, 70)):
        a, b, c = (normal(rng, dtype, *s) for s in ((m, k), (k,), (m,)))
        found = function(a, b, c)
        close(found[0], a @ b, dtype, k)
        close(found[1], c @ a, dtype, m)
        close(found[2], b @ b, dtype, k)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_products_of_integers_wrap_around(dtype):
    x, y = T.matrix("x", dtype=dtype), T.matrix("y", dtype=dtype)
    function = wb.function([x, y], [T.dot(x, y), T.dot(y.T, x.T)])
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype)
    a, b = (rng.integers(info.min, info.max, s, dtype) for s in ((5, 9), (9, 4)))

    found = function(a, b)

    assert (found[0] == a @ b).all()
    assert (found[1] == b.T @ a.T).all()


# --- updates of a parameter -----------------------------------------------------------


def parameter(dtype, *shape):
    values = np.random.default_rng(1).normal(size=shape).astype(dtype)
    return wb.shared(values, name="w")


UPDATES = {
    # name: (shape of w, shapes of x and y, next value, how many products stay)
    "outer": ((7, 5), ((7,), (5,)), lambda w, x, y: w - 0.1 * T.outer(x, y), 1),
    "scaled outer": (
        (7, 5),
        ((7,), (5,)),
        lambda w, x, y: w + T.outer(x, 2 * y) / 4,
        1,
    ),
    "matrix": ((7, 5), ((3, 7), (3, 5)), lambda w, x, y: w - 0.1 * T.dot(x.T, y), 1),
    "decayed": ((7, 5), ((3, 7), (3, 5)), lambda w, x, y: 0.9 * w - T.dot(x.T, y), 1),
    "regularised": (
        (7, 5),
        ((3, 7), (3, 5)),
        lambda w, x, y: w - 0.1 * (T.dot(x.T, y) + 0.01 * w),
        1,
    ),
    "vector": ((7,), ((7, 3), (3,)), lambda w, x, y: w - 0.5 * T.dot(x, y), 1),
    "vector from the left": ((7,), ((3,), (3, 7)), lambda w, x, y: T.dot(x, y) + w, 1),
    "two products": (
        (5, 5),
        ((5, 3), (3, 5)),
        lambda w, x, y: w + T.dot(x, y) - 2 * T.dot(y.T, y),
        2,
    ),
    "batch": (
        (2, 4, 5),
        ((2, 4, 3), (2, 3, 5)),
        lambda w, x, y: w - T.batched_dot(x, y),
        1,
    ),
    "nothing to add": ((7, 5), ((0, 7), (0, 5)), lambda w, x, y: w - T.dot(x.T, y), 1),
    "nothing to add to": (
        (0, 5),
        ((3, 0), (3, 5)),
        lambda w, x, y: w - T.dot(x.T, y),
        1,
    ),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("row", UPDATES)
def test_the_next_value_of_a_parameter_is_added_in_its_own_memory(row, dtype):
    shape, (first, second), build, products = UPDATES[row]
    x = T.tensor(dtype, shape=(None,) * len(first), name="x")
    y = T.tensor(dtype, shape=(None,) * len(second), name="y")
    fast, plain = parameter(dtype, *shape), parameter(dtype, *shape)
    rng = np.random.default_rng(2)
    arrays = normal(rng, dtype, *first), normal(rng, dtype, *second)

    train = wb.function([x, y], [], updates=[(fast, build(fast, x, y))])
    slow = wb.function([x, y], [], updates=[(plain, build(plain, x, y))], mode="None")
    for _ in range(2):
        train(*arrays)
        slow(*arrays)

    close(fast.get_value(), plain.get_value(), dtype, 10)
    ops = ops_of(train)
    assert ops.count("gemm") == products
    assert not {"dot", "batched_dot"} & set(ops)
    written = {
        k: v for kernel in train.compilation.kernels for k, v in kernel.in_place.items()
    }
    assert fast in written.values() or products > 1


def test_one_rank_1_update_is_the_whole_of_train():
    w, x, g = parameter("float64", 6, 4), T.vector("x"), T.vector("g")
    train = wb.function([x, g], [], updates=[(w, w - 0.1 * T.outer(x, g))])

    assert [op for op in ops_of(train) if not op.startswith("dimshuffle")] == ["gemm"]
    assert len(train.compilation.kernels) == 1


def test_a_factor_of_zero_does_not_hide_a_nan():
    w, z = parameter("float64", 20, 30), parameter("float64", 20)
    x, y, a = T.matrix("x"), T.matrix("y"), T.scalar("a")
    updates = [(w, w - a * T.dot(x, y)), (z, a * z - T.dot(x, y[:, 0]))]
    train = wb.function([x, y, a], [], updates=updates)
    z.set_value(np.full(20, np.nan))

    train(np.full((20, 9), np.nan), np.ones((9, 30)), 0)

    assert np.isnan(w.get_value()).all()
    assert np.isnan(z.get_value()).all()


def test_an_update_that_does_not_fit_changes_nothing():
    w, x, g = parameter("float64", 6, 4), T.vector("x"), T.vector("g")
    train = wb.function([x, g], [], updates=[(w, w - 0.1 * T.outer(x, g))])
    before = w.get_value()

    with pytest.raises(ValueError):
        train(np.ones(6), np.ones(5))

    assert (w.get_value() == before).all()


def test_a_parameter_in_its_own_product_is_read_before_it_is_written():
    w = parameter("float64", 5, 5)
    before = w.get_value()
    square = wb.function([], [], updates=[(w, w - T.dot(w, w.T))])

    square()

    close(w.get_value(), before - before @ before.T, "float64", 5)
