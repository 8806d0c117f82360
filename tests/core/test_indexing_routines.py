"""NumPy's indexing routines: what they give, their kinds of errors, and their gradients."""

import numpy as np
import pytest
from numpy.exceptions import AxisError

import workbench.tensor as T
from tests.gradients import verify_grad
from tests.keys import input_of
from workbench.core.errors import WorkbenchError
from workbench.core.evaluate import evaluate

RNG = np.random.default_rng(0)
VECTOR = RNG.integers(-9, 9, 5).astype("float64")
MATRIX = RNG.normal(size=(3, 4)) * (RNG.random((3, 4)) < 0.6)
CUBE = RNG.normal(size=(2, 3, 4))
ROWS = np.array([[2, -1], [0, 0], [3, 1]])
MASK = MATRIX > 0


def same(ours, numpys, *arrays, static=False):
    """Both functions on the same arrays give the same: dtype, shape and elements."""
    arrays = [np.asarray(a) for a in arrays]
    variables = [input_of(a, static) for a in arrays]
    outputs = ours(*variables)
    expected = numpys(*arrays)
    if not isinstance(expected, tuple):
        outputs, expected = (outputs,), (expected,)
    assert len(outputs) == len(expected)
    got = evaluate(list(outputs), dict(zip(variables, arrays, strict=True)))
    for have, want in zip(got, map(np.asarray, expected), strict=True):
        assert (have.dtype, have.shape) == (want.dtype, want.shape)
        np.testing.assert_array_equal(have, want)


def both(name, *args, **options):
    """The function of that name, here and in NumPy, with more arguments."""
    return (
        lambda *arrays: getattr(T, name)(*arrays, *args, **options),
        lambda *arrays: getattr(np, name)(*arrays, *args, **options),
    )


def refuses_as_numpy(ours, numpys, *arrays):
    arrays = [np.asarray(a) for a in arrays]
    with pytest.raises(Exception) as expected:
        numpys(*arrays)
    variables = [input_of(a, False) for a in arrays]

    kinds = expected.type.__bases__ if expected.type is AxisError else (expected.type,)
    with pytest.raises(kinds) as found:
        outputs = ours(*variables)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        evaluate(list(outputs), dict(zip(variables, arrays, strict=True)))

    assert isinstance(found.value, WorkbenchError)
    assert all(isinstance(found.value, kind) for kind in kinds)


# --- take and its kin --------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("places", [[[0, 2], [-1, 1]], 1, [], [True, False]])
def test_take(axis, places):
    same(*both("take", places, axis), MATRIX)
    same(lambda x: x.take(places, axis), lambda x: x.take(places, axis), MATRIX)


@pytest.mark.parametrize("mode", ["wrap", "clip"])
@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8"])
def test_take_outside(mode, dtype):
    places = np.array([0, 3, 9, 100, 5] if dtype[0] == "u" else [0, 3, -9, 100, -1])

    same(*both("take", axis=1, mode=mode), CUBE, places.astype(dtype))
    same(*both("take", mode=mode), CUBE, places.astype(dtype))


def test_take_refuses():
    refuses_as_numpy(*both("take"), VECTOR, [5])
    refuses_as_numpy(*both("take"), VECTOR, [0.0])
    refuses_as_numpy(*both("take", axis=1), VECTOR, [0])
    for mode in ("raise", "wrap", "clip"):
        refuses_as_numpy(*both("take", mode=mode), np.zeros(0), [0])
    with pytest.raises(ValueError, match="mode"):
        T.take(VECTOR, [0], mode="ignore")


@pytest.mark.parametrize("places", [[0, 3, -1], [[2, 2], [2, 5]], []])
@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_put(mode, places):
    def numpys(a, v):
        a = a.copy()
        np.put(a, places, v, mode)
        return a

    places = np.asarray(places, int)
    for values in (7.0, [1.0, 2.0], np.arange(6.0)):
        same(lambda a, v: T.put(a, places, v, mode), numpys, MATRIX, values)


@pytest.mark.parametrize("static", [False, True])
def test_take_along_axis(static):
    same(*both("take_along_axis", 1), MATRIX, ROWS, static=static)
    same(*both("take_along_axis", axis=-1), MATRIX, ROWS, static=static)
    same(*both("take_along_axis", axis=0), MATRIX, ROWS[:1, :1] % 3, static=static)
    same(*both("take_along_axis", axis=1), MATRIX[:1], ROWS, static=static)
    same(*both("take_along_axis", axis=None), CUBE, [3, -1, 20], static=static)
    same(*both("take_along_axis", axis=1), CUBE, np.argsort(CUBE, 1), static=static)
    same(*both("take_along_axis", axis=0), VECTOR, np.array([1], "uint8"))


def test_take_along_axis_refuses():
    refuses_as_numpy(*both("take_along_axis", axis=1), MATRIX, [0, 1])
    refuses_as_numpy(*both("take_along_axis", axis=1), MATRIX, ROWS / 2)
    refuses_as_numpy(*both("take_along_axis", axis=1), MATRIX, ROWS > 0)
    refuses_as_numpy(*both("take_along_axis", axis=1), MATRIX, ROWS + 4)
    refuses_as_numpy(*both("take_along_axis", axis=1), MATRIX, ROWS[:2])
    refuses_as_numpy(*both("take_along_axis", axis=None), MATRIX, ROWS)
    refuses_as_numpy(*both("take_along_axis", axis=2), MATRIX, ROWS)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_put_along_axis(axis):
    def numpys(a, v):
        a = a.copy()
        np.put_along_axis(a, places, v, axis)
        return a

    places = np.array([[1, 0], [0, 2]]) if axis is not None else np.array([3, 1])
    array = MATRIX[:2, :3] if axis == 1 else MATRIX[:3, :2]
    for values in (7.0, np.arange(4.0).reshape(2, 2)):
        if axis is None and np.ndim(values):
            values = values[0]
        same(lambda a, v: T.put_along_axis(a, places, v, axis), numpys, array, values)


def test_permutations_of_rows():
    x, p = CUBE[0], np.argsort(CUBE, axis=-1)
    i, q = np.argsort(p, axis=-1), p[0, 0].astype("int32")

    same(T.inverse_permutation, lambda p: np.argsort(p, -1).astype(p.dtype), p)
    same(T.inverse_permutation, lambda p: np.argsort(p).astype("int32"), q)
    same(T.permute_row_elements, lambda x, p: np.take_along_axis(x, p, -1), CUBE, p)
    same(
        lambda x, p: T.permute_row_elements(x, p, inverse=True),
        lambda x, p: np.take_along_axis(x, i, -1),
        CUBE,
        p,
    )
    # One permutation for all rows, all permutations for one vector.
    same(T.permute_row_elements, lambda x, p: x[:, p], x, p[0, 0])
    same(T.permute_row_elements, lambda x, p: x[p], VECTOR[:4], p[0])


def test_keys_of_rows_and_columns():
    for rows, columns in (([2, 0], [1, 1, 3]), ([True, False, True], []), ([-1], [0])):
        same(
            lambda x, r, c: x[T.ix_(r, c)],
            lambda x, r, c: x[np.ix_(r, c)],
            *(MATRIX, rows, np.array(columns, int)),
        )
        same(
            lambda x, r: x[T.ix_(r)].set(7)[T.ix_(r, [1, 2])],
            lambda x, r: np.full((len(x[np.ix_(r)]), 2), 7.0),
            *(MATRIX, rows),
        )
    refuses_as_numpy(*both("ix_"), MATRIX > 0)
    refuses_as_numpy(lambda x: x[T.ix_([9])], lambda x: x[np.ix_([9])], MATRIX)


# --- masks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [VECTOR, MATRIX, CUBE > 0, np.zeros((2, 0)), np.zeros(3), np.array([np.nan, 0])],
    ids=str,
)
def test_places_of_what_is_not_zero(array):
    same(*both("nonzero"), array)
    same(*both("flatnonzero"), array)
    same(*both("argwhere"), array)
    same(*both("where"), array)
    same(lambda x: x.nonzero(), lambda x: x.nonzero(), array)
    same(lambda x: T.nonzero(x, True), lambda x: np.array(x.nonzero()), array)
    same(T.nonzero_values, lambda x: x[x.nonzero()], array)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_scalars_that_are_not_zero(value):
    same(*both("flatnonzero"), value)
    same(*both("argwhere"), value)
    refuses_as_numpy(*both("nonzero"), value)
    refuses_as_numpy(*both("where"), value)


def test_compress_and_extract():
    for axis in (None, 0, 1, -2):
        same(*both("compress", axis=axis), [True, False, True], MATRIX)
        same(*both("compress", axis=axis), [0.0, 2.0], MATRIX)
    same(
        lambda x: x.compress([True, False, True], 0),
        lambda x: x.compress([True, False, True], 0),
        MATRIX,
    )
    same(*both("extract"), MASK, MATRIX)
    same(*both("extract"), MATRIX, CUBE)
    refuses_as_numpy(*both("compress"), MASK, MATRIX)
    refuses_as_numpy(*both("compress", axis=0), [False, False, False, True], MATRIX)
    refuses_as_numpy(*both("compress", axis=5), [True], MATRIX)


# --- conditions and numbers --------------------------------------------------------------


def test_where_takes_a_condition_alone_or_both_branches():
    same(*both("where"), MASK, MATRIX, 2 * MATRIX)
    same(*both("where", 1, 0.5), MASK)
    with pytest.raises(ValueError):
        T.where(MASK, 1)


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_choose(mode):
    low, high = (0, 3) if mode == "raise" else (-4, 9)
    numbers = RNG.integers(low, high, (3, 1))
    same(
        lambda a, *c: T.choose(a, c, mode),
        lambda a, *c: np.choose(a, c, mode=mode),
        *(numbers, MATRIX, VECTOR[:4], np.int64(5)),
    )
    same(*both("choose", mode=mode), numbers[:, 0], CUBE.transpose(1, 0, 2)[:, 0, :3])
    same(*both("choose", mode=mode), numbers, RNG.normal(size=(3, 2, 1, 4)))
    same(*both("choose", mode=mode), numbers, VECTOR[:3])
    same(
        lambda a: a.choose([1, 2.5, 3], mode=mode),
        lambda a: a.choose([1, 2.5, 3], mode=mode),
        numbers,
    )


def test_choose_refuses():
    for numbers in ([0, 2], [0, -1]):
        refuses_as_numpy(
            lambda a: T.choose(a, [1, 2]), lambda a: np.choose(a, [1, 2]), numbers
        )
        refuses_as_numpy(*both("choose"), numbers, np.zeros((2, 2)))
    refuses_as_numpy(*both("choose", [1, 2]), [0.5])
    refuses_as_numpy(*both("choose", []), [0])


def test_select():
    same(
        lambda m, x: T.select([m, x > -1], [x, x * 2], 7),
        lambda m, x: np.select([m, x > -1], [x, x * 2], 7),
        *(MASK, MATRIX),
    )
    same(
        lambda m: T.select([m, ~m], [1, np.int8(3)]),
        lambda m: np.select([m, ~m], [1, np.int8(3)]),
        MASK,
    )
    same(
        lambda m, x: T.select([m], [x], 2),
        lambda m, x: np.select([m], [x], 2),
        *(MASK, MATRIX.astype("float32")),
    )
    same(lambda m: T.select([m], [1.5]), lambda m: np.select([m], [1.5]), MASK)


def test_select_refuses():
    for conditions, choices in (([MASK], []), ([], []), ([MATRIX], [1])):
        refuses_as_numpy(
            lambda c=conditions, v=choices: T.select(c, v),
            lambda c=conditions, v=choices: np.select(c, v),
        )


# --- gradients ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda x: T.take(x, [2, 0, 2, -1], 1),
        lambda x: T.take(x, [2, 30, -2], mode="wrap"),
        lambda x: T.take_along_axis(x, ROWS, 1),
        lambda x: T.put_along_axis(T.sqr(x), ROWS % 3, x[:, :2] ** 3, 1),
        lambda x: T.put(T.sqr(x), [3, 1, 3], x.ravel()[:2]),
        lambda x: T.permute_row_elements(x, [3, 1, 0, 2], inverse=True),
        lambda x: T.compress([True, False, True], x, 0),
        lambda x: T.nonzero_values(x),
        lambda x: T.choose([[0], [1], [0]], [x, T.sqr(x)]),
        lambda x: T.choose([1, 0, 2, 1], T.sqr(x)),
        lambda x: T.select([MASK, x > 0.3], [x**3, T.sqr(x)], x),
    ],
)
def test_gradients(build):
    # Away from zero, where a step of the difference would change which are not.
    verify_grad(lambda x: T.sqr(build(x)), [CUBE[0] + np.sign(CUBE[0])])
