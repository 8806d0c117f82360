"""What algebra leaves alone, and what stays finite: the other half of the forms."""

import itertools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.modes import get_mode
from workbench.compile.pipeline import optimise
from workbench.compile.record import Graph
from workbench.core.evaluate import evaluate
from workbench.core.graph import graph_inputs

SILENT = {"size", "specify_shape", "make_vector"}


def optimised(*outputs, mode="FAST_RUN"):
    inputs = [v for v in graph_inputs(outputs) if v.name in ("x", "y", "z")]
    return optimise(Graph(tuple(inputs), tuple(outputs)), get_mode(mode))[0]


def operations(*outputs):
    names = (str(n.op).split("{")[0] for n in optimised(*outputs).nodes())
    return sorted(n for n in names if n not in SILENT)


@pytest.fixture
def vectors():
    return T.dvectors("x", "y", "z")


# --- sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda x, y: x + y - x,
        lambda x, y: x * y / x,
        lambda x, y: (x / y + x) * y,
        lambda x, y: T.switch(T.gt(x, 0), T.switch(T.gt(x, 0), x, y), x),
        lambda x, y: T.switch(T.gt(y, 0), x, x),
        lambda x, y: T.switch(True, x, y),
        lambda x, y: x**2.5 * T.pow(x, T.fill(y, 0.5)),
    ],
)
def test_an_operand_that_goes_leaves_its_check(build, vectors):
    x, y, _ = vectors
    after = optimised(build(x, y))

    with pytest.raises(wb.ShapeError):
        evaluate(after.outputs, {x: np.ones(3), y: np.ones(2)})


def test_a_size_that_is_known_is_not_checked(vectors):
    x, y, _ = vectors
    total = x + y

    assert optimised(T.exp(total) + x - x).nodes()[-1].op.name == "exp"
    assert operations(total, x + T.tanh(total) - x) == ["add", "tanh"]


# --- what somebody else reads -----------------------------------------------------------


def test_a_sum_that_is_read_is_not_taken_apart(vectors):
    x, y, z = vectors
    total = x + y + z

    assert operations(total, total - y) == ["add", "add", "sub"]


def test_a_reciprocal_that_is_read_is_multiplied_by(vectors):
    x, y, z = vectors
    r = 1 / x

    assert operations(y * r, z * r) == ["mul", "mul", "reciprocal"]


def test_two_exponentials_that_are_read_stay_two(vectors):
    x, y, _ = vectors
    a, b = T.exp(x), T.exp(y)

    assert operations(a, b, a * b) == ["exp", "exp", "mul"]


def test_exponentials_of_a_row_and_a_column_stay_small():
    row, column = T.drow("x"), T.dcol("y")

    assert operations(T.exp(row) * T.exp(column)) == ["exp", "exp", "mul"]


def test_a_join_that_is_read_is_summed_as_it_is(vectors):
    x, y, _ = vectors
    both = T.concatenate([x, y])

    assert operations(both, both.sum()) == ["join", "sum"]


# --- what has no like -------------------------------------------------------------------


def test_no_number_is_made_of_roots_of_negative_numbers(vectors):
    x, _, _ = vectors
    after = optimised(T.sqrt(x) * x**1.5)

    assert np.isnan(evaluate(after.outputs, {x: np.array([-4.0])})[0])


def test_large_powers_stay_powers(vectors):
    x, _, _ = vectors

    assert operations(x**9) == operations(x**-5) == operations(x**2.5) == ["pow"]


def test_extremes_of_integers_keep_their_sign():
    x = T.bvector("x")
    after = optimised(-T.max(-x))

    assert evaluate(after.outputs, {x: np.array([-128, 1], "int8")})[0] == 1


def test_maximum_of_parts_that_may_be_empty_stays_one(vectors):
    x, y, _ = vectors

    assert operations(T.max(T.concatenate([x, y]))) == ["join", "max"]


def test_place_in_a_softmax_of_another_axis_needs_the_softmax():
    x = T.dmatrix("x")

    assert operations(T.argmax(T.nnet.softmax(x, axis=1), axis=0)) == [
        "argmax",
        "softmax",
    ]


def test_nan_is_asked_for_in_every_mode(vectors):
    x, _, _ = vectors

    for mode in ("FAST_RUN", "FAST_COMPILE"):
        after = optimised(T.neq(x, x), mode=mode)
        (found,) = evaluate(after.outputs, {x: np.array([1.0, np.nan])})
        np.testing.assert_array_equal(found, [False, True])


# --- nothing overflows that did not -----------------------------------------------------

SAFE = {
    "a / b * c": lambda a, b, c: a / b * c,
    "a * (b / c)": lambda a, b, c: a * (b / c),
    "a * b / c": lambda a, b, c: a * b / c,
    "a / (b / c)": lambda a, b, c: a / (b / c),
    "a / (b * c)": lambda a, b, c: a / (b * c),
    "a * b * a": lambda a, b, c: a * b * a,
    "a * b / a": lambda a, b, c: a * b / a,
    "(2 a) (3 b) / 7": lambda a, b, c: (2 * a) * (3 * b) / 7,
    "(1e-20 a) (1e-20 b)": lambda a, b, c: (1e-20 * a) * (1e-20 * b),
    "a * 1e20 * b * 1e-20": lambda a, b, c: a * 1e20 * b * 1e-20,
    "(a + b) / c": lambda a, b, c: (a + b) / c,
    "a / c + b / c": lambda a, b, c: a / c + b / c,
    "a ** -2": lambda a, b, c: a**-2,
    "a ** 3 / b": lambda a, b, c: a**3 / b,
    "a / b ** 2": lambda a, b, c: a / b**2,
    "exp(a) / exp(b)": lambda a, b, c: T.exp(a) / T.exp(b),
    "a / b / 3 / 5": lambda a, b, c: a / b / 3 / 5,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SAFE)
def test_what_is_finite_stays_finite(name, dtype):
    info = np.finfo(dtype)
    # The square roots of the ends of the range, and beyond, where two factors overflow.
    ends = [float(info.tiny) * 16, float(info.max) / 16]
    sizes = [
        ends[0],
        ends[0] ** 0.6,
        ends[0] ** 0.4,
        1.5,
        ends[1] ** 0.4,
        ends[1] ** 0.6,
        ends[1],
    ]
    grid = np.array(list(itertools.product(sizes, repeat=3)), dtype).T.copy()
    operands = [T.vector(n, dtype=dtype) for n in "xyz"]
    written = SAFE[name](*operands)
    given = dict(zip(operands, grid, strict=True))

    with np.errstate(all="ignore"):
        (expected,) = evaluate([written], given)
        (found,) = evaluate(optimised(written).outputs, given)

    normal = np.isfinite(expected) & (np.abs(expected) > 100 * float(info.tiny))
    assert normal.any()
    # What went through a denormal number on the way, before rewriting, has two digits.
    np.testing.assert_allclose(found[normal], expected[normal], rtol=0.02)


@pytest.mark.parametrize("name", ["float64", "float32", "float16"])
def test_two_divisions_stay_two(name):
    x, y, z = (T.vector(n, dtype=name) for n in "xyz")

    assert operations(x / y / z) == ["true_div", "true_div"]


def test_a_mean_of_a_mean_divides_once():
    x = T.fmatrix("x")

    after = operations(T.mean(T.mean(x, axis=1), axis=0))

    assert after.count("true_div") == 1


def test_a_sum_of_quotients_of_halves_is_not_a_quotient_of_the_sum():
    x = T.vector("x", dtype="float16")
    after = optimised(T.sum(x / 4))

    (found,) = evaluate(after.outputs, {x: np.full(4, 40_000, "float16")})
    assert np.isfinite(found)
