"""``x[key]`` in compiled programs: random keys read, set and added to, and what goes wrong."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.keys import SHAPES, draw, input_of, part_shape, placed, symbolic
from workbench.compile.modes import Mode
from workbench.core.evaluate import evaluate

BARE = Mode("c", ("fusion", "inplace"), "bare")
KEYS = 24


@pytest.mark.parametrize("mode", [BARE, "FAST_RUN"], ids=["bare", "FAST_RUN"])
def test_random_keys_in_one_program(mode):
    rng = np.random.default_rng(7)
    given, outputs, expected, names = {}, [], [], []
    for number in range(KEYS):
        shape = SHAPES[number % len(SHAPES)]
        key = draw(rng, shape)
        made, values = symbolic(rng, key)
        array = rng.integers(-9, 9, shape).astype("float32")
        part = rng.integers(-9, 9, part_shape(rng, array[key].shape)).astype("float32")
        x, y = input_of(array, False), input_of(part, False)
        given |= {x: array, y: part, **values}
        outputs += [x[made], x[made].set(y), x[made].inc(y)]
        expected += [array[key], *(placed(array, key, part, a) for a in (False, True))]
        names += [f"{what} {key} of {shape}" for what in ("get", "set", "inc")]

    f = wb.function(list(given), outputs, mode=mode, on_unused_input="ignore")

    got = f(*given.values())
    assert f.compilation.backend == "c"
    wrong = [
        name
        for name, have, want in zip(names, got, expected, strict=True)
        if have.shape != want.shape or not np.array_equal(have, want)
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("mode", [BARE, "FAST_RUN"], ids=["bare", "FAST_RUN"])
def test_indexing_routines_in_one_program(mode):
    x, i, p, k = T.matrix("x"), T.lmatrix("i"), T.lvector("p"), T.lscalar("k")
    m = T.tensor("bool", (None, None), "m")
    values = {
        x: np.arange(12.0).reshape(3, 4) - 5,
        i: np.array([[2, 0], [1, 1], [3, -1]]),
        p: np.array([2, 0, 3, 1]),
        k: -1,
        m: np.arange(12).reshape(3, 4) % 5 < 2,
    }
    outputs = [
        T.take(x, i, 1),
        T.take(x, i * 7, mode="wrap"),
        T.take(x, i * 7, 0, "clip"),
        T.take_along_axis(x, i, 1),
        T.put_along_axis(x, i, -x[:, :2], 1),
        T.put(x, i, [1.0, 2.0, 3.0]),
        T.permute_row_elements(x, p, inverse=True),
        T.inverse_permutation(p),
        *T.nonzero(x),
        T.argwhere(m),
        T.nonzero_values(x) * 2,
        T.compress([True, False, True], x, 0),
        T.choose(i % 3, [x[:, :2], -1.5, x[:, 2:]]),
        T.choose(i % 3, x[:, :2]),
        T.select([m, x > 2], [x, -x], 0.5),
        T.fill_diagonal(x.T, [7, 8], wrap=True),
        T.fill_diagonal_offset(x, 9, k),
        T.ravel_multi_index((i % 3, i % 2), (3, 2)),
        *T.unravel_index(i % 4, x.shape),
        x[m].sum(),
        x[m].inc(x[m] * 2),
        x[T.any(m, axis=1)].set(0),
        T.grad((x[m].set(x[m] ** 2) ** 2).sum(), x),
        T.grad((T.take_along_axis(x, i, 1) ** 3).sum(), x),
    ]
    expected = evaluate(outputs, values)

    got = wb.function(list(values), outputs, mode=mode)(*values.values())

    for number, (have, want) in enumerate(zip(got, expected, strict=True)):
        assert have.dtype == want.dtype, number
        np.testing.assert_allclose(have, want, 1e-12, err_msg=str(number))


@pytest.fixture(params=["FAST_RUN", "FAST_COMPILE", "DEBUG"])
def mode(request):
    return request.param


def test_the_last_who_sets_a_place_has_the_gradient(mode):
    x, y, i = T.vector("x"), T.vector("y"), T.lvector("i")
    z = T.set_subtensor(x[i], y)
    gx, gy = T.grad((z * T.arange(1, 5)).sum(), [x, y])
    f = wb.function([x, y, i], [gx, gy], mode=mode, on_unused_input="ignore")

    gx, gy = f([0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [2, 0, -2])

    assert gx.tolist() == [0, 2, 0, 4]
    assert gy.tolist() == [0, 1, 3]


def test_a_mask_of_another_size_is_refused(mode):
    x, m = T.matrix("x"), T.tensor("bool", (None,), "m")
    f = wb.function([x, m], x[:, m], mode=mode)

    assert f(np.eye(2), [True, False]).tolist() == [[1], [0]]
    with pytest.raises(IndexError, match="mask of size 3 .* axis of size 2"):
        f(np.eye(2), [True, False, True])


def test_what_is_put_at_a_mask_is_a_choice(mode):
    x, y, m = T.matrix("x"), T.scalar("y"), T.tensor("bool", (None,), "m")
    z = T.set_subtensor(x[m], y)
    f = wb.function([x, y, m], [z, *T.grad(T.sqr(z).sum(), [x, y])], mode=mode)

    got = f([[1.0, 2.0], [3.0, 4.0]], 5.0, [False, True])

    assert [a.tolist() for a in got] == [[[1, 2], [5, 5]], [[2, 4], [0, 0]], 20]
    if mode == "FAST_RUN":
        alone = wb.function([x, y, m], z, mode=mode)
        assert "nonzero" not in wb.debugprint(alone, file="str")
    with pytest.raises(IndexError, match="mask of size 1 .* axis of size 2"):
        f([[1.0, 2.0], [3.0, 4.0]], 5.0, [True])


def test_a_step_of_zero_is_refused(mode):
    x, k = T.vector("x"), T.lscalar("k")
    f = wb.function([x, k], [x[::k], x[::k].inc(1)], mode=mode)

    assert [a.tolist() for a in f([1.0, 2.0, 3.0], -2)] == [[3, 1], [2, 2, 4]]
    with pytest.raises(ValueError, match="step of the slice of axis 0 is 0"):
        f([1.0, 2.0, 3.0], 0)


def test_a_step_that_turns_out_to_be_zero_is_refused(mode):
    x, k = T.vector("x"), T.lscalar("k")
    outputs = [x[::k] * 2, x[::k].set(1)]
    forward, never = (
        wb.function([x], outputs, givens={k: T.constant(step)}, mode=mode)
        for step in (2, 0)
    )

    assert [a.tolist() for a in forward([1.0, 2.0, 3.0])] == [[2, 6], [1, 2, 1]]
    with pytest.raises(ValueError, match="step of the slice of axis 0 is 0"):
        never([1.0, 2.0, 3.0])


def test_a_number_that_names_no_choice_is_refused(mode):
    a, x, y = T.lvector("a"), T.vector("x"), T.vector("y")
    f = wb.function([a, x, y], T.choose(a, [x, y]), mode=mode)

    assert f([0, 1], [1.0, 2.0], [3.0, 4.0]).tolist() == [1, 4]
    with pytest.raises(ValueError, match="2 names no place: there are 2"):
        f([0, 2], [1.0, 2.0], [3.0, 4.0])


def test_updates_at_a_mask(mode):
    w, m = wb.shared(np.zeros(4), "w"), T.tensor("bool", (None,), "m")
    f = wb.function([m], updates=[(w, w[m].inc([1.0, 2.0]))], mode=mode)

    f([True, False, True, False])
    f([False, False, True, True])
    with pytest.raises(ValueError):
        f([True, False, False, False])

    assert w.get_value().tolist() == [1, 0, 3, 2]
