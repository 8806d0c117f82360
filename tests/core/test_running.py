"""Running sums and products: NumPy's results, and derivatives at zeros."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.ops.running import FEW_LANES, CumProd, CumSum, Recurrence
from workbench.core.types import DTYPES, TensorType

SHAPES = [(0,), (0, 3), (3, 0), (), (1,), (5,), (2, 3), (2, 3, 4)]
KEEPING = {
    "cumsum": (np.cumsum, T.cumsum),
    "cumprod": (np.cumprod, T.cumprod),
    "sort": (np.sort, T.sort),
    "argsort": (lambda a, axis: np.argsort(a, axis, kind="stable"), T.argsort),
    "diff": (lambda a, axis: np.diff(a, axis=axis), lambda x, axis: T.diff(x, 1, axis)),
}


def outcome(compute):
    """A value, or the error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(compute())
        except (ValueError, TypeError, IndexError) as error:
            return error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KEEPING)
def test_what_keeps_an_axis_equals_numpys(name, dtype):
    theirs, ours = KEEPING[name]
    for shape in SHAPES:
        array = np.random.default_rng(1).integers(0, 4, shape).astype(dtype)
        x = Variable(TensorType(dtype, (None,) * len(shape)), "x")
        axes = [*range(-len(shape) - 1, len(shape) + 1), 0.5]
        for axis in axes if name == "diff" else [None, *axes]:
            want = outcome(lambda a=array, axis=axis: theirs(a, axis=axis))

            got = outcome(lambda a=array, x=x, axis=axis: evaluate([ours(x, axis=axis)], {x: a})[0])  # fmt: skip

            context = f"{name} of {dtype} {shape} along {axis}: {got!r}, not {want!r}"
            if isinstance(want, Exception):
                kinds = (ValueError, TypeError, IndexError)
                assert isinstance(got, Exception), context
                assert [isinstance(got, k) for k in kinds] == [
                    isinstance(want, k) for k in kinds
                ], context
                continue
            assert not isinstance(got, Exception), context
            assert (got.dtype, got.shape) == (want.dtype, want.shape), context
            np.testing.assert_array_equal(got, want, err_msg=context)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32", "bool", "complex64"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_dtype_asked_for_is_the_dtype_given(name, dtype):
    array = np.array([100, 100, 3, 0, 7], "int16")
    x = T.vector("x", dtype="int16")
    theirs, ours = KEEPING[name]

    (got,) = evaluate([ours(x, dtype=dtype)], {x: array})

    want = theirs(array, dtype=dtype)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


ZEROS = ([2.0, 0.0, 3.0, 0.5], [0.0, 0.0, 3.0], [0.0], [5.0, 4.0, 0.0])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("value", ZEROS, ids=str)
def test_gradients_of_cumprod_at_zeros_equal_differences(value, order):
    verify_grad(T.cumprod, [np.array(value)], order=order)
    verify_grad(lambda x: T.cumprod(x, 1), [np.array([value, value])], order=order)


def test_third_gradient_of_cumprod_at_zeros():
    x = T.vector("x")
    third = T.cumprod(x)[-1]
    for place in range(3):
        third = T.grad(third, x)[place]

    (got,) = evaluate([third], {x: [0.0, 0.0, 0.0, 7.0]})

    assert got == 7


@pytest.mark.parametrize("lanes", [1, FEW_LANES - 1, FEW_LANES, 2 * FEW_LANES])
@pytest.mark.parametrize("reverse", [False, True])
def test_recurrence_is_the_same_by_lanes_and_by_rows(lanes, reverse):
    rng = np.random.default_rng(lanes)
    a, b = rng.normal(size=(2, 7, lanes))
    x, y = T.matrices("x", "y")

    (got,) = evaluate([Recurrence(0, reverse)(x, y)], {x: a, y: b})

    want = np.zeros((7, lanes))
    for k in range(6):
        if reverse:
            want[5 - k] = a[6 - k] * want[6 - k] + b[6 - k]
        else:
            want[k + 1] = a[k] * want[k] + b[k]
    np.testing.assert_array_equal(got, want)


def test_recurrence_does_not_overflow_on_the_way():
    x, y = T.vectors("x", "y")
    a = np.array([1e300, 1e300, 1.0, 1.0])

    (got,) = evaluate([Recurrence(0)(x, y)], {x: a, y: np.array([0.0, 0.0, 1.0, 1.0])})

    np.testing.assert_array_equal(got, [0, 0, 0, 1])


def test_recurrence_of_different_shapes_is_refused():
    x, y = T.vectors("x", "y")

    with pytest.raises(ValueError, match="recurrence"):
        evaluate([Recurrence(0)(x, y)], {x: np.ones(3), y: np.ones(4)})


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "float32"])
def test_differences_equal_numpys(dtype):
    array = np.array([[1, 0, 3, 2], [0, 5, 5, 1]]).astype(dtype)
    x = T.tensor(dtype, (None, None), "x")
    for n, axis in itertools.product(range(6), (0, 1, -1)):
        (got,) = evaluate([T.diff(x, n, axis)], {x: array})

        want = np.diff(array, n, axis)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_differences_with_something_before_and_after():
    x = T.matrix("x")
    value = np.random.default_rng(0).normal(size=(2, 3))
    more = np.ones((2, 2))

    got = evaluate([T.diff(x, prepend=0.0, append=more), T.diff(x, 2, 0, append=1)], {x: value})  # fmt: skip

    np.testing.assert_array_equal(got[0], np.diff(value, prepend=0.0, append=more))
    np.testing.assert_array_equal(got[1], np.diff(value, 2, 0, append=1))
    verify_grad(lambda x: T.diff(x, 2, prepend=0.0), [value])


def test_differences_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="negative"):
        T.diff(T.vector("x"), -1)
    with pytest.raises(ValueError, match="axis"):
        T.diff(T.scalar("x"))


def test_running_totals_compile_between_kernels():
    x = T.matrix("x")
    outputs = [
        T.exp(T.cumsum(x * 2, axis=1)).sum(axis=0),
        T.grad(T.sum(T.cumprod(x, axis=0) ** 2), x),
        T.diff(x, axis=0) + 1,
        x.cumsum()[-1] + x.cumprod().max(),
    ]
    value = np.array([[0.5, 0.0, 2.0], [1.0, 3.0, 0.0]])

    got = wb.function([x], outputs)(value)

    for have, want in zip(got, evaluate(outputs, {x: value}), strict=True):
        np.testing.assert_allclose(have, want, 1e-14)


OPS = [
    *(CumSum(0, back) for back in (False, True)),
    *(CumProd(0, back, alone) for back in (False, True) for alone in (False, True)),
    *(Recurrence(0, back) for back in (False, True)),
]


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
def test_loops_in_c_give_every_bit_of_the_reference(dtype):
    # 130 lanes are more than two blocks of them.
    rng = np.random.default_rng(0)
    inputs, outputs, values = [], [], []
    for shape in [(130,), (4, 130), (3, 2, 4)]:
        pair = rng.normal(size=(2, *shape)) if dtype[0] == "f" else rng.integers(0, 3, (2, *shape))  # fmt: skip
        x, y = (T.tensor(dtype, (None,) * len(shape)) for _ in range(2))
        inputs += [x, y]
        values += list(pair.astype(dtype))
        for op, axis in itertools.product(OPS, range(len(shape))):
            placed = replace(op, axis=axis)
            if not isinstance(op, Recurrence):
                outputs.append(placed(x[..., ::-1]))
            elif dtype[0] == "f":
                outputs.append(placed(x, y[..., ::-1]))

    compiled = wb.function(inputs, outputs, on_unused_input="ignore")
    got = compiled(*values)

    expected = evaluate(outputs, dict(zip(inputs, values, strict=True)))
    for have, want in zip(got, expected, strict=True):
        np.testing.assert_array_equal(have, want)
    assert "host" not in {kernel.kind for kernel in compiled.compilation.kernels}


def test_a_running_sum_of_negative_zeros_is_negative_zero():
    x = T.vector("x")

    got = wb.function([x], T.cumsum(x))([-0.0, -0.0, 0.0])

    assert np.signbit(got).tolist() == [True, True, False]
