"""Convolution with filters of its own at every place: compiled, it equals the reference."""

import itertools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.graph import Variable
from workbench.core.types import TensorType

IMAGES, FILTER = (2, 4, 6, 7), (3, 2)
PLACES = [
    # border_mode, subsample, filter_dilation
    ("valid", (1, 1), (1, 1)),
    ((1, 2), (2, 1), (1, 1)),
    ("half", (1, 2), (2, 1)),
    ("full", (2, 2), (1, 2)),
    (((1, 0), (2, 1)), (1, 1), (1, 1)),
]


def unshared(groups, flip, known, places, dtype="float64"):
    """Images, filters and the result; and the shape of the filters."""
    shape = T.nnet.get_conv_output_shape(
        IMAGES, (6, 1, 1, 4 // groups, *FILTER), *places, unshared=True
    )
    filters = (6, *shape[2:], 4 // groups, *FILTER)
    x = Variable(TensorType(dtype, IMAGES if known else (None,) * 4), "x")
    w = Variable(TensorType(dtype, filters if known else (None,) * 6), "w")
    mode, step, gap = places
    y = T.nnet.conv2d(
        x,
        w,
        border_mode=mode,
        subsample=step,
        filter_flip=flip,
        filter_dilation=gap,
        num_groups=groups,
        unshared=True,
    )
    return x, w, y, filters


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("flip", [True, False])
def test_it_and_its_gradients_are_compiled(groups, flip):
    rng = np.random.default_rng(0)
    for places, known in itertools.product(PLACES, (False, True)):
        x, w, y, filters = unshared(groups, flip, known, places)
        outputs = [y, *wb.grad((y**2).sum(), [x, w])]
        values = [rng.standard_normal(IMAGES), rng.standard_normal(filters)]

        f = wb.function([x, w], outputs)

        assert "c->host" not in f.source
        for got, output in zip(f(*values), outputs, strict=True):
            want = output.eval(dict(zip((x, w), values, strict=True)))
            np.testing.assert_allclose(got, want, 1e-10, 1e-10)


def test_along_one_axis_and_three():
    rng = np.random.default_rng(0)
    for convolve, images, places in (
        (T.nnet.conv1d, (2, 3, 9), (7,)),
        (T.nnet.conv3d, (2, 3, 4, 5, 6), (2, 3, 4)),
    ):
        filters = (4, *places, 3, *[3] * len(places))
        x = Variable(TensorType("float32", (None,) * len(images)), "x")
        w = Variable(TensorType("float32", (None,) * len(filters)), "w")
        y = convolve(x, w, unshared=True)
        outputs = [y, *wb.grad((y**2).sum(), [x, w])]
        a = rng.standard_normal(images).astype("float32")
        b = rng.standard_normal(filters).astype("float32")

        f = wb.function([x, w], outputs)

        assert "c->host" not in f.source
        for got, output in zip(f(a, b), outputs, strict=True):
            want = output.eval({x: a, w: b})
            np.testing.assert_allclose(got, want, 1e-4, 1e-4 * np.abs(want).max())


def test_a_nan_in_a_filter_meets_the_zeros_around_an_image():
    x, w, y, filters = unshared(1, True, True, PLACES[1])
    a, b = np.ones(IMAGES), np.ones(filters)
    b[:, 0, 0] = np.nan

    got = wb.function([x, w], y)(a, b)

    np.testing.assert_array_equal(got, y.eval({x: a, w: b}))
    assert np.isnan(got[:, :, 0, 0]).all()


def test_threads_share_images_and_features():
    rng = np.random.default_rng(0)
    x, w = T.tensor4("x", dtype="float32"), T.TensorType("float32", (None,) * 6)("w")
    y = T.nnet.conv2d(x, w, unshared=True)
    outputs = [y, *wb.grad((y**2).sum(), [x, w])]
    a = rng.standard_normal((8, 4, 12, 12)).astype("float32")
    b = rng.standard_normal((6, 10, 10, 4, 3, 3)).astype("float32")

    results = []
    for threads in (1, 3):
        with wb.config.change(threads=threads):
            results.append(wb.function([x, w], outputs)(a, b))

    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)
