"""The table of reductions: each by dtype, shape, axis and keepdims, equal to NumPy, errors too.

Every cell is evaluated in NumPy op by op, a graph for each; a sample of the cells is
compiled, many to a program.
"""

import itertools
import random
import warnings

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import DTYPES, TensorType

REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "all": np.all,
    "any": np.any, "argmax": np.argmax, "argmin": np.argmin, "mean": np.mean,
    "var": np.var, "std": np.std, "ptp": np.ptp, "count_nonzero": np.count_nonzero,
}  # fmt: skip
ONE_AXIS = ("argmax", "argmin")
SHAPES = [(0,), (0, 3), (3, 0), (), (1,), (0, 0), (2,), (2, 3), (3, 1), (2, 1, 3)]


def axes_of(name, shape):
    """None, every axis from both ends, one beyond each, and tuples right and wrong."""
    rank = len(shape)
    single = [None, *range(-rank - 1, rank + 1)]
    if name in ONE_AXIS:  # ours take tuples, too: NumPy's do not
        return single
    pairs = itertools.permutations(range(rank), 2)
    wrong = [(0, 0), (0, -rank), (0, rank), (-rank - 1,), (0, 1.5)] if rank else [(0,)]
    return [*single, (), *pairs, tuple(range(rank)), tuple(range(-rank, 0)), *wrong]


def outcome(compute):
    """A value, or the error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(compute())
        except (ValueError, TypeError, IndexError) as error:
            return error


def kinds_of(error):
    """What an ``except`` clause of the user's may name."""
    return [c for c in (IndexError, ValueError, TypeError) if isinstance(error, c)]


def filled(dtype, shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    values = rng.integers(0 if dtype[0] in "ub" else -3, 4, shape)
    if dtype[0] == "c":
        return (values + 1j * rng.integers(-3, 4, shape)).astype(dtype)
    return values.astype(dtype)


def reduced(name, x, axis, keepdims):
    if name == "count_nonzero" and axis is None and keepdims:
        axis = tuple(range(x.ndim))
    return getattr(T, name)(x, axis=axis, keepdims=keepdims)


def expected_of(name, array, axis, keepdims):
    return outcome(lambda: REDUCTIONS[name](array, axis=axis, keepdims=keepdims))


def free(dtype, shape):
    return Variable(TensorType(dtype, (None,) * len(shape)), "x")


def complaint(got, expected):
    """What is wrong with a result; nothing when it is NumPy's."""
    if isinstance(expected, Exception):
        same = isinstance(got, Exception) and kinds_of(got) == kinds_of(expected)
        return None if same else f"{got!r}, should be {expected!r}"
    if isinstance(got, Exception):
        return f"{got!r}, should be {expected!r}"
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return f"{got.dtype} {got.shape}, should be {expected.dtype} {expected.shape}"
    eps = np.finfo(got.dtype).eps if got.dtype.kind in "fc" else 0
    with np.errstate(all="ignore"):
        near = np.allclose(got, expected, 16 * eps, 0, equal_nan=True)
    return None if near else f"{got}, should be {expected}"


def cells(name, dtype):
    if (name, dtype) == ("ptp", "bool"):  # no differences: a test of its own
        return
    for shape in SHAPES:
        for axis, keepdims in itertools.product(axes_of(name, shape), (False, True)):
            yield dtype, shape, axis, keepdims


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_equals_numpys(name, dtype):
    wrong = []
    for cell in cells(name, dtype):
        _, shape, axis, keepdims = cell
        array, x = filled(dtype, shape), free(dtype, shape)

        def ours(x=x, array=array, axis=axis, keepdims=keepdims):
            output = reduced(name, x, axis, keepdims)
            (result,) = evaluate([output], {x: array})
            return result

        found = complaint(outcome(ours), expected_of(name, array, axis, keepdims))
        if found:
            wrong.append((*cell, found))

    assert not wrong, f"{len(wrong)} cells, the first: {wrong[0]}"


def test_bools_have_no_range():
    with pytest.raises(TypeError, match="bool"):
        T.ptp(T.vector("x", dtype="bool"))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_of_special_values_equals_numpys(name, dtype):
    rng = np.random.default_rng(len(name))
    special = [0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
    array = rng.choice(special, (4, 60)).astype(dtype)
    if dtype[0] == "c":
        array.imag = rng.choice(special, array.shape)
    x = free(dtype, array.shape)

    (got,) = evaluate([reduced(name, x, 0, False)], {x: array})

    expected = expected_of(name, array, 0, False)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, 16 * np.finfo(dtype).eps, 0)


SAMPLE = 40
SAMPLED_DTYPES = ("bool", "int8", "uint16", "int64", "float32", "float64", "complex64")


@pytest.mark.parametrize("dtype", SAMPLED_DTYPES)
def test_compiled_reductions_equal_numpys(dtype):
    every = [(name, *cell) for name in REDUCTIONS for cell in cells(name, dtype)]
    random.Random(dtype).shuffle(every)
    arrays = {shape: filled(dtype, shape) for shape in SHAPES}
    inputs = {shape: free(dtype, shape) for shape in SHAPES}
    chosen, expected = [], []
    for name, _, shape, axis, keepdims in every:
        value = expected_of(name, arrays[shape], axis, keepdims)
        if not isinstance(value, Exception) and len(chosen) < SAMPLE:
            chosen.append((name, shape, axis, keepdims))
            expected.append(value)
    outputs = [reduced(n, inputs[s], axis, keep) for n, s, axis, keep in chosen]

    compiled = wb.function([*inputs.values()], outputs, on_unused_input="ignore")
    got = compiled(*arrays.values())

    found = [complaint(*pair) for pair in zip(got, expected, strict=True)]
    wrong = [cell for cell in zip(chosen, found, strict=True) if cell[1]]
    assert not wrong, f"{len(wrong)} cells, the first: {wrong[0]}"


@pytest.mark.parametrize("name", ["max", "argmin", "ptp"])
def test_compiled_extreme_of_nothing_is_an_error(name):
    x = T.matrix("x")
    compiled = wb.function([x], getattr(T, name)(x, axis=1))

    assert compiled(np.zeros((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match="over axis 1"):
        compiled(np.zeros((3, 0)))
