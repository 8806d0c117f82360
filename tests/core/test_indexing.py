"""Indexing against NumPy: every kind of key, alone and mixed; putting parts back."""

import numpy as np
import pytest

import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DTypeError, OutOfRangeError, ShapeError
from workbench.core.evaluate import evaluate

SHAPES = [(5,), (4, 3), (2, 3, 4), (3, 2, 1, 4), (0, 3), (2, 0, 3)]
KEYS = 60


def random_bound(rng, size):
    return None if rng.random() < 0.3 else int(rng.integers(-size - 2, size + 3))


def random_slice(rng, size):
    step = rng.choice([None, 1, 2, 3, -1, -2, -3])
    return slice(
        random_bound(rng, size),
        random_bound(rng, size),
        None if step is None else int(step),
    )


def random_key(rng, shape, arrays):
    """A key of integers, slices, None, one ellipsis and, if `arrays`, index arrays."""
    rank = int(rng.integers(1, 3)), int(rng.integers(0, 3))
    key = []
    for size in shape[: int(rng.integers(1, len(shape) + 1))]:
        roll = rng.random()
        if arrays and roll < 0.4 and size:
            lengths = (3,) if rank[0] == 1 or rng.random() < 0.4 else (2, 3)
            lengths = (1,) if roll < 0.05 else lengths
            key.append(rng.integers(-size, size, lengths))
        elif roll < 0.6 and size:
            key.append(int(rng.integers(-size, size)))
        else:
            key.append(random_slice(rng, size))
    if rng.random() < 0.3:
        key.insert(int(rng.integers(0, len(key) + 1)), None)
    if rng.random() < 0.3 and len(key) <= len(shape):
        at = int(rng.integers(0, len(key) + 1))
        # Axes after the ellipsis are the last ones: draw their entries anew.
        tail = len([k for k in key[at:] if k is not None])
        sizes = shape[len(shape) - tail :]
        key = [*key[:at], Ellipsis, *(random_slice(rng, size) for size in sizes)]
    return tuple(key)


def symbolic(rng, key):
    """The key with some integers and all arrays as inputs, and their values."""
    values = {}

    def input_for(number):
        if number is None or rng.random() < 0.4:
            return number
        variable = T.lscalar()
        values[variable] = number
        return variable

    made = []
    for entry in key:
        if isinstance(entry, slice):
            made.append(
                slice(input_for(entry.start), input_for(entry.stop), entry.step)
            )
        elif isinstance(entry, np.ndarray):
            declared = tuple(1 if s == 1 else None for s in entry.shape)
            variable = T.tensor("int64", declared)
            values[variable] = entry
            made.append(variable)
        elif isinstance(entry, int):
            made.append(input_for(entry))
        else:
            made.append(entry)
    return tuple(made), values


def draws(arrays, seed):
    rng = np.random.default_rng(seed)
    for shape in SHAPES:
        for _ in range(KEYS):
            key = random_key(rng, shape, arrays)
            yield rng, shape, key


def input_of(shape, static):
    return T.tensor(
        "float64", shape if static else tuple(1 if s == 1 else None for s in shape), "x"
    )


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("arrays", [False, True])
def test_random_keys_give_what_numpy_gives(arrays, static):
    for rng, shape, key in draws(arrays, 1):
        array = rng.normal(size=shape)
        x = input_of(shape, static)
        made, values = symbolic(rng, key)

        output = x[made]

        (got,) = evaluate([output], {x: array, **values})
        expected = array[key]
        assert got.shape == expected.shape, key
        np.testing.assert_array_equal(got, expected, err_msg=str(key))
        assert output.type.fits(got), key
        sizes = evaluate([output.shape], {x: array, **values})[0]
        assert tuple(sizes) == expected.shape


@pytest.mark.parametrize("arrays", [False, True])
def test_inferred_sizes_are_the_actual_sizes(arrays):
    for rng, shape, key in draws(arrays, 2):
        array = rng.normal(size=shape)
        x = input_of(shape, False)
        made, values = symbolic(rng, key)
        node = x[made].owner
        sizes = [T.shape(v) for v in node.inputs]

        (inferred,) = node.op.infer_shape(
            node,
            [
                [s[i] for i in range(v.ndim)]
                for s, v in zip(sizes, node.inputs, strict=True)
            ],
        )

        known = {x: array, **values}
        got = evaluate(
            [T.constant(s) if isinstance(s, int) else s for s in inferred], known
        )
        assert tuple(map(int, got)) == evaluate([node.output], known)[0].shape, key


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("arrays", [False, True])
def test_parts_put_back_are_where_numpy_puts_them(arrays, add):
    for rng, shape, key in draws(arrays, 3):
        array = rng.normal(size=shape)
        x = input_of(shape, False)
        made, values = symbolic(rng, key)
        part = rng.normal(size=array[key].shape)
        y = T.tensor("float64", tuple(1 if s == 1 else None for s in part.shape))
        if arrays and not add and any(isinstance(k, np.ndarray) for k in key):
            part[...] = (
                7.5  # Places may be named twice, and then the order would matter.
            )

        output = (T.inc_subtensor if add else T.set_subtensor)(x[made], y)

        expected = array.copy()
        if add:
            np.add.at(expected, key, part)
        else:
            expected[key] = part
        (got,) = evaluate([output], {x: array, y: part, **values})
        assert got.shape == expected.shape, key
        np.testing.assert_allclose(got, expected, 1e-14, err_msg=str(key))
        assert output.type == x.type


@pytest.mark.parametrize("arrays", [False, True])
def test_gradients_flow_through_parts(arrays):
    for rng, shape, key in list(draws(arrays, 4))[::12]:
        array = rng.normal(size=shape)
        part = rng.normal(size=array[key].shape)

        verify_grad(lambda x, key=key: T.sqr(x[key]), [array])
        verify_grad(
            lambda x, y, key=key: T.inc_subtensor(T.sqr(x)[key], T.sqr(y)),
            [array, part],
        )
        if not any(isinstance(k, np.ndarray) for k in key):
            verify_grad(
                lambda x, y, key=key: T.set_subtensor(T.sqr(x)[key], T.sqr(y)),
                [array, part],
            )


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


@pytest.mark.parametrize("key", [3, -4, (0, 5), (slice(None), -6)])
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


@pytest.mark.parametrize("key", [1.5, "a", T.vector("f"), (T.vector("f") > 0)])
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


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_take_is_numpys(axis):
    x, i = T.matrix("x"), T.lmatrix("i")
    array, places = np.arange(12.0).reshape(3, 4), np.array([[0, 2], [-1, 1]])

    (got,) = evaluate([T.take(x, i, axis)], {x: array, i: places})

    np.testing.assert_array_equal(got, np.take(array, places, axis))
