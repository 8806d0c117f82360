"""Patches of images as rows, against loops over patches; and a softmax in two steps."""

import itertools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import (
    DTypeError,
    OutOfRangeError,
    ParameterError,
    ShapeError,
)
from workbench.core.graph import Variable
from workbench.core.types import TensorType
from workbench.tensor.nnet import h_softmax, images2neibs, neibs2images

CELLS = [
    # image, patch, step, mode
    ((4, 6), (2, 3), None, "valid"),
    ((5, 7), (3, 3), (2, 2), "valid"),
    ((5, 7), (2, 2), None, "ignore_borders"),
    ((5, 6), (2, 3), (3, 1), "ignore_borders"),
    ((4, 5), (3, 3), (1, 1), "wrap_centered"),
    ((5, 6), (3, 5), (2, 4), "wrap_centered"),
    ((4, 6), (2, 3), (1, 2), "half"),
    ((5, 5), (3, 3), (1, 1), "half"),
    ((4, 5), (3, 2), (1, 2), "full"),
]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tensor(array, known=False):
    shape = array.shape if known else (None,) * array.ndim
    return Variable(TensorType(array.dtype.name, shape), "x")


def patches(x, shape, step, mode):
    """Row by row, in the plainest way."""
    step = step or shape
    starts = []
    for n, k, s in zip(x.shape[2:], shape, step, strict=True):
        if mode == "wrap_centered":
            starts.append([i - k // 2 for i in range(0, n, s)])
            continue
        margin = {"half": k // 2, "full": k - 1}.get(mode, 0)
        starts.append(list(range(-margin, n + margin - k + 1, s)))
    rows = []
    for image in x.reshape(-1, *x.shape[2:]):
        for at in itertools.product(*starts):
            row = []
            for offset in itertools.product(*map(range, shape)):
                i, j = (a + b for a, b in zip(at, offset, strict=True))
                if mode == "wrap_centered":
                    i, j = i % image.shape[0], j % image.shape[1]
                inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
                row.append(image[i, j] if inside else 0)
            rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_patches_equal_a_loop(cell):
    sizes, shape, step, mode = cell
    array = draw(2, 3, *sizes)
    want = patches(array, shape, step, mode)
    for known in (False, True):
        x = tensor(array, known)

        rows = images2neibs(x, shape, step, mode)

        assert rows.type.fits(want)
        np.testing.assert_array_equal(rows.eval({x: array}), want)
    np.testing.assert_array_equal(wb.function([x], rows)(array), want)
    verify_grad(lambda v: T.tanh(images2neibs(v, shape, step, mode)), [array])


@pytest.mark.parametrize("known", [True, False])
def test_patches_are_put_together_again(known):
    for sizes, mode in (((4, 6), "valid"), ((5, 8), "ignore_borders")):
        array = draw(2, 3, *sizes)
        x = tensor(array, known)
        rows = images2neibs(x, (2, 3), mode=mode)

        again = neibs2images(rows, (2, 3), x.shape, mode)

        want = array.copy()
        want[:, :, sizes[0] // 2 * 2 :] = 0
        want[:, :, :, sizes[1] // 3 * 3 :] = 0
        np.testing.assert_array_equal(again.eval({x: array}), want)
        np.testing.assert_array_equal(wb.function([x], again)(array), want)


def test_the_shape_of_a_patch_may_be_computed():
    x, shape = T.tensor4("x"), T.lvector("shape")
    f = wb.function([x, shape], images2neibs(x, shape, (1, 2), "ignore_borders"))
    array = draw(1, 2, 5, 6)

    for size in ((2, 2), (3, 1), (5, 6)):
        want = patches(array, size, (1, 2), "ignore_borders")
        np.testing.assert_array_equal(f(array, size), want)


def test_a_rest_fails_the_call_where_it_is_not_known_before():
    x = T.tensor4("x")
    f = wb.function([x], images2neibs(x, (2, 2)))

    with pytest.raises(AssertionError, match="patches cover the height without a rest"):
        f(np.ones((1, 1, 5, 4)))


FIVE = T.tensor4("x", shape=(1, 1, 5, 4))
MISTAKES = {
    "a rest": (lambda: images2neibs(FIVE, (2, 2)), ShapeError, "5 elements, patches of 2"),
    "too large": (
        lambda: images2neibs(FIVE, (6, 2), mode="ignore_borders"),
        ShapeError,
        "a patch fits into the height",
    ),
    "an even wrap": (
        lambda: images2neibs(FIVE, (2, 2), (1, 1), "wrap_centered"),
        ParameterError,
        "odd",
    ),
    "a matrix": (lambda: images2neibs(T.matrix("m"), (2, 2)), ShapeError, "needs .batch"),
    "a word": (lambda: images2neibs(FIVE, (2, 2), mode="same"), ParameterError, "'same'"),
    "no step": (
        lambda: images2neibs(FIVE, (2, 2), (0, 1)),
        ParameterError,
        "neib_step is at least 1",
    ),
    "half a pixel": (lambda: images2neibs(FIVE, (2.5, 2)), DTypeError, "integers"),
    "one number": (lambda: images2neibs(FIVE, (2,)), ShapeError, "needs 2 numbers"),
    "no matrix": (
        lambda: neibs2images(FIVE, (2, 2), (1, 1, 4, 4)),
        ShapeError,
        "needs a matrix",
    ),
    "a rest of images": (
        lambda: neibs2images(T.matrix("m"), (2, 2), (1, 1, 5, 4)),
        ShapeError,
        "without a rest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    build, error, text = MISTAKES[name]

    with pytest.raises(error, match=f"(?s){text}"):
        build()


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_softmax_in_two_steps_equals_numpy():
    x, W1, b1 = draw(5, 4), draw(4, 3, seed=1), draw(3, seed=2)
    W2, b2 = draw(3, 4, 2, seed=3), draw(3, 2, seed=4)
    of_class = softmax(x @ W1 + b1)
    inside = softmax(np.einsum("bf,cfo->bco", x, W2) + b2)
    want = (of_class[:, :, None] * inside).reshape(5, 6)
    target = np.array([0, 5, 2, 3, 4])
    v = T.matrix("v", dtype="float64")

    every = h_softmax(v, 5, 5, 3, 2, W1, b1, W2, b2)
    chosen = h_softmax(v, 5, 6, 3, 2, W1, b1, W2, b2, target)

    got = wb.function([v], [every, chosen])(x)
    np.testing.assert_allclose(got[0], want[:, :5])
    np.testing.assert_allclose(got[1], want[np.arange(5), target])
    np.testing.assert_allclose(chosen.eval({v: x}), want[np.arange(5), target])


def test_the_gradient_of_a_softmax_in_two_steps_is_exact():
    arrays = [
        draw(5, 4),
        draw(4, 3, seed=1),
        draw(3, seed=2),
        draw(3, 4, 2, seed=3),
        draw(3, 2, seed=4),
    ]
    for target in (None, np.array([0, 5, 2, 3, 4])):
        verify_grad(
            lambda x, *parameters, target=target: T.log(
                h_softmax(x, 5, 6, 3, 2, *parameters, target)
            ),
            arrays,
        )


def test_what_does_not_fit_a_softmax_in_two_steps_is_named():
    x, W1, b1 = T.matrix("x"), T.matrix("W1"), T.vector("b1")
    W2, b2 = T.tensor3("W2"), T.matrix("b2")
    with pytest.raises(ShapeError, match="7 outputs are more than 3 classes of 2"):
        h_softmax(x, 5, 7, 3, 2, W1, b1, W2, b2)
    with pytest.raises(ShapeError, match="W2 needs 3 axes"):
        h_softmax(x, 5, 6, 3, 2, W1, b1, W1, b2)
    with pytest.raises(DTypeError, match="targets must be integers"):
        h_softmax(x, 5, 6, 3, 2, W1, b1, W2, b2, T.vector("t"))


def test_targets_and_arrays_of_a_softmax_in_two_steps_must_fit_its_numbers():
    x, W1, b1 = T.matrix("x"), T.matrix("W1"), T.vector("b1")
    W2, b2, target = T.tensor3("W2"), T.matrix("b2"), T.lvector("target")
    f = wb.function(
        [x, W1, b1, W2, b2, target], h_softmax(x, 2, 5, 3, 2, W1, b1, W2, b2, target)
    )
    arrays = [draw(2, 4), draw(4, 3), draw(3), draw(3, 4, 2), draw(3, 2)]
    for wrong in ([0, 5], [-1, 0]):
        with pytest.raises(OutOfRangeError, match="targets are outputs, from 0 to 4"):
            f(*arrays, wrong)
    arrays[1:3] = draw(4, 2), draw(2)
    with pytest.raises(ShapeError, match="size 2, not 3"):
        f(*arrays, [0, 1])
