"""Indexing: cases that one should know, and keys that are refused; random ones are in test_keys."""

import numpy as np
import pytest

import workbench.tensor as T
from workbench.core.errors import (
    DTypeError,
    OutOfRangeError,
    ShapeError,
    WorkbenchError,
)
from workbench.core.evaluate import evaluate
from workbench.core.printing import pp


@pytest.mark.parametrize("bound", [-9, -5, -2, -1, 0, 1, 3, 4, 5, 9, None])
@pytest.mark.parametrize("step", [1, 2, 3, -1, -2, -3])
def test_every_slice_of_a_short_vector(bound, step):
    i, j, x = T.lscalar("i"), T.lscalar("j"), T.vector("x")
    array = np.arange(5.0)
    others = [-9, -5, -1, 0, 2, 4, 5, 9]

    for other in others:
        start = None if bound is None else i
        outputs = [
            x[start:j:step],
            x[bound:j:step],
            x[start:other:step],
            x[j:start:step],
        ]
        sizes = [T.shape(o)[0] for o in outputs]
        values = {x: array, j: other} | ({} if bound is None else {i: bound})

        got = evaluate([*outputs, *sizes], values)

        expected = [array[bound:other:step]] * 3 + [array[other:bound:step]]
        for have, want in zip(got, expected + [len(e) for e in expected], strict=True):
            np.testing.assert_array_equal(have, want)


def test_one_element_of_each_row():
    p, y = T.matrix("p"), T.lvector("y")
    values = {p: np.arange(12.0).reshape(4, 3), y: [0, 2, 1, 2]}

    (got,) = evaluate([p[T.arange(y.shape[0]), y]], values)

    np.testing.assert_array_equal(got, [0, 5, 7, 11])


def test_integer_beside_an_array_counts_as_an_array_for_the_placement():
    x = T.tensor3("x")
    array = np.arange(24.0).reshape(2, 3, 4)
    i = np.array([0, 1, 1])

    for key in [
        (0, slice(None), i),
        (slice(None), 0, i),
        (i, slice(None), 0),
        (0, None, i),
    ]:
        (got,) = evaluate([x[key]], {x: array})
        np.testing.assert_array_equal(got, array[key])


def test_part_of_a_part_is_put_into_the_part():
    x = T.vector("x")
    y = x[1:4]

    (got,) = evaluate([T.set_subtensor(y[[0, 2]], 9)], {x: np.arange(5.0)})

    np.testing.assert_array_equal(got, [9, 2, 9])


def test_everything_can_be_set():
    x = T.vector("x")

    got = evaluate(
        [T.set_subtensor(x[:], 2), T.inc_subtensor(x[...], 2)], {x: [1.0, 5.0]}
    )

    np.testing.assert_array_equal(got, [[2, 2], [3, 7]])


def test_a_place_named_twice_is_added_to_twice():
    x = T.vector("x")

    (got,) = evaluate([T.inc_subtensor(x[[1, 1, 0]], [1, 2, 4])], {x: np.zeros(3)})

    np.testing.assert_array_equal(got, [4, 3, 0])


def test_an_empty_list_takes_nothing():
    (got,) = evaluate([(x := T.matrix("x"))[[]]], {x: np.zeros((2, 3))})

    assert got.shape == (0, 3)


def test_set_subtensor_wants_an_indexed_variable():
    with pytest.raises(TypeError, match="indexed variable"):
        T.set_subtensor(T.vector("x"), 1)


def test_a_float_is_not_put_into_integers():
    with pytest.raises(DTypeError, match="cast it first"):
        T.set_subtensor(T.lvector("x")[0], 2.5)


@pytest.mark.parametrize(
    "key", [3, -4, (0, 5), (slice(None), -6), [0, 3], ([0, 1], [[-6]]), ([0], 5)]
)
def test_constant_place_outside_a_known_size_is_refused_at_once(key):
    with pytest.raises(OutOfRangeError, match="out of range for axis"):
        T.tensor("float64", (3, 5), "x")[key]


@pytest.mark.parametrize("place", [3, -4])
def test_place_outside_is_refused_when_run(place):
    x, i = T.vector("x"), T.lscalar("i")
    message = f"index {place} is out of range for axis 0, which has size 3"

    for output in (x[i], x[T.stack([i, i])], T.inc_subtensor(x[i], 1)):
        with pytest.raises(IndexError, match=message):
            evaluate([output], {x: np.zeros(3), i: place})


def test_too_many_indices_are_refused():
    with pytest.raises(OutOfRangeError, match="x has 1 axes, but 2 were indexed"):
        T.vector("x")[0, 1]


@pytest.mark.parametrize("key", [1.5, "a", T.vector("f"), T.scalar("f")])
def test_key_that_is_no_integer_is_refused(key):
    with pytest.raises(DTypeError):
        T.vector("x")[key]


def test_index_arrays_of_different_sizes_are_refused():
    x, i, j = T.matrix("x"), T.lvector("i"), T.lvector("j")

    with pytest.raises(ShapeError, match=r"sizes \[2, 3\] on axis 0"):
        evaluate([x[i, j]], {x: np.zeros((4, 4)), i: [0, 1], j: [0, 1, 2]})


def test_joining_different_sizes_is_refused():
    x, y = T.matrix("x"), T.matrix("y")

    with pytest.raises(ShapeError, match=r"sizes \[2, 3\] differ on axis 1"):
        evaluate([T.concatenate([x, y])], {x: np.zeros((1, 2)), y: np.zeros((1, 3))})


# Keys that NumPy refuses for an array of shape (2, 3).
REFUSED = {
    "place": np.s_[2],
    "place from the end": np.s_[0, -4],
    "places": np.s_[[0, 2]],
    "places of an empty slice": np.s_[:0, [5]],
    "uint8": np.s_[np.array([255], "uint8")],
    "huge": np.s_[2**70],
    "huge uint64": np.s_[np.array([2**63], "uint64")],
    "too many": np.s_[0, 0, 0],
    "too many by a mask": np.s_[np.ones((2, 3), bool), 0],
    "mask of more axes": np.ones((2, 3, 1), bool),
    "two ellipses": np.s_[..., ...],
    "short mask": np.s_[:, [True, False]],
    "long mask": np.s_[[True, False, False]],
    "mask of size one": np.s_[[True]],
    "mask of the wrong second axis": np.ones((2, 2), bool),
    "arrays of two lengths": np.s_[[0, 1], [0, 1, 2]],
    "masks of two counts": np.s_[[True, True], [True, True, True]],
    "scalar mask and array": np.s_[False, [0, 1]],
    "float": np.s_[1.0],
    "numpy float": np.s_[np.float32(1)],
    "complex": np.s_[1j],
    "text": np.s_["a"],
    "float list": np.s_[[0.0, 1.0]],
    "empty float array": np.s_[np.array([])],
    "list of None": np.s_[[None]],
    "ragged list": np.s_[[[0, 1], [1]]],
    "step zero": np.s_[::0],
    "float bound": np.s_[:1.5],
    "array bound": np.s_[: np.array([1, 2])],
    "bool bound of numpy": np.s_[: np.True_],
}


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_refuses_is_refused_with_its_kind_of_error(name, static):
    array, key = np.zeros((2, 3)), REFUSED[name]
    x = T.tensor("float64", array.shape if static else (None, None), "x")
    with pytest.raises(Exception) as numpys:
        array[key]

    for what in (lambda v: v, lambda v: v.set(1), lambda v: v.inc(1)):
        with pytest.raises(numpys.type) as ours:
            evaluate([what(x[key])], {x: array})
        assert isinstance(ours.value, WorkbenchError)


def test_what_variables_are_wrong_is_refused_with_numpys_kind_of_error():
    array, x = np.zeros((2, 3)), T.matrix("x")
    wrong = [
        (T.lscalar(), 2),
        (T.lvector(), [0, -3]),
        (T.tensor("uint8", (None,)), np.array([200], "uint8")),
        (T.tensor("bool", (None,)), [True, False, True]),
        (T.tensor("bool", (1,)), [True]),
        (T.tensor("bool", (None, None)), np.ones((2, 2), bool)),
    ]
    for variable, value in wrong:
        with pytest.raises(IndexError):
            array[np.asarray(value)]
        for output in (x[variable], x[variable].set(1)):
            with pytest.raises(IndexError):
                evaluate([output], {x: array, variable: value})


@pytest.mark.parametrize("places", [[5], [[5], [-9]]])
def test_places_that_meet_no_others_are_not_looked_at(places):
    x = T.matrix("x")

    (got,) = evaluate([x[places, np.zeros(0, int)]], {x: np.zeros((2, 3))})

    assert got.shape == np.zeros((2, 3))[places, np.zeros(0, int)].shape


@pytest.mark.parametrize("mask", [True, False, np.True_, np.array(False)])
def test_a_scalar_mask_makes_an_axis_of_length_one_or_none(mask):
    x, m = T.matrix("x"), T.scalar("m", dtype="bool")
    array = np.arange(6.0).reshape(2, 3)

    got = evaluate([x[mask], x[m], x[:, m], x[mask].set(7)], {x: array, m: mask})

    put = array.copy()
    put[mask] = 7
    for have, want in zip(
        got, [array[mask], array[mask], array[:, mask], put], strict=True
    ):
        np.testing.assert_array_equal(have, want)


def test_a_scalar_mask_that_is_a_constant_may_be_a_tensor():
    (got,) = evaluate([(x := T.vector("x"))[T.constant(True)]], {x: [1.0, 2.0]})

    np.testing.assert_array_equal(got, [[1, 2]])


def test_a_list_may_hold_variables():
    x, i = T.vector("x"), T.lscalar("i")

    got = evaluate([x[[i, 0, i + 1]], x[[[i], [0]]]], {x: [5.0, 6.0, 7.0], i: 1})

    np.testing.assert_array_equal(got[0], [6, 5, 7])
    np.testing.assert_array_equal(got[1], [[6], [5]])


@pytest.mark.parametrize("step", [2**70, -(2**70), 2**63 - 1, -(2**63)])
def test_steps_longer_than_any_axis_take_one_element(step):
    x, k = T.vector("x"), T.lscalar("k")
    array = np.arange(4.0)

    fixed = T.tensor("float64", (4,))[::step]
    outputs = [x[::step], x[::step].shape[0]]
    values = {x: array}
    if abs(step) < 2**64:
        outputs += [x[::k], x[::k].owner.op.infer_shape(x[::k].owner, [(4,), ()])[0][0]]
        values[k] = step
    first, *others = evaluate(outputs, values)

    assert fixed.type.shape == (1,)
    np.testing.assert_array_equal(first, array[::step])
    for other in others:
        np.testing.assert_array_equal(other, first if other.ndim else 1)


def test_of_those_who_set_one_place_the_last_one_stays():
    x, y, i = T.vector("x"), T.matrix("y"), T.lmatrix("i")
    places = np.array([[0, -1, 0], [2, 0, 1]])
    parts = np.arange(6.0).reshape(2, 3)
    values = {x: np.zeros(3), y: parts, i: places}

    for order in "CF":
        values[i] = np.asarray(places, order=order)
        values[y] = np.asarray(parts, order=order)
        z = T.set_subtensor(x[i], y)
        gy = T.grad((z * T.constant([1.0, 10.0, 100.0])).sum(), y)
        got, gradient = evaluate([z, gy], values)

        np.testing.assert_array_equal(got, [4, 5, 3])
        np.testing.assert_array_equal(gradient, [[0, 0, 0], [100, 1, 10]])


def test_arguments_of_the_tradition_change_nothing():
    x = T.vector("x")

    got = evaluate(
        [
            T.set_subtensor(x[0], 1, inplace=True, tolerate_inplace_aliasing=True),
            T.inc_subtensor(x[0], 1, inplace=True, tolerate_inplace_aliasing=True),
            T.inc_subtensor(x[0], 1, set_instead_of_inc=True),
        ],
        {x: [5.0]},
    )

    assert [a.tolist() for a in got] == [[1], [6], [1]]


def test_a_part_that_does_not_broadcast_is_refused():
    x, y = T.matrix("x"), T.vector("y")

    with pytest.raises(ValueError):
        evaluate([x[x > 0].set(y)], {x: np.eye(2), y: np.ones(3)})


def test_a_formula_shows_bounds_and_steps():
    x, i, k = T.matrix("x"), T.lscalar("i"), T.lscalar("k")

    assert pp(x[i:, :3:k]) == "x[i:, :3:k]"
    assert pp(x[::-1, i + 1]) == "x[::-1, i + 1]"
