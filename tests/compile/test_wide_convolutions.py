"""Convolutions of so many channels that they go through tiles, beside the NumPy reference.

Sizes are such that each part of ``tiles.h`` has something to do: more features than columns of
a tile, a rest of them, more places than are summed at a time, several images at a time.
"""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)

LAYERS = {
    "many small images": dict(images=(37, 20, 5, 6), features=150, filter=(3, 3)),
    "a large image": dict(images=(2, 13, 40, 23), features=29, filter=(3, 3)),
    "steps": dict(images=(3, 24, 19, 18), features=64, filter=(3, 2), subsample=(2, 3)),
    "holes": dict(
        images=(2, 16, 17, 15), features=48, filter=(3, 3), filter_dilation=(2, 3)
    ),
    "one image": dict(images=(1, 70, 8, 9), features=33, filter=(2, 3)),
    "groups": dict(images=(2, 48, 9, 8), features=96, filter=(3, 3), num_groups=2),
    "few features": dict(images=(3, 40, 9, 9), features=17, filter=(3, 3)),
    "long lines": dict(images=(2, 18, 3, 1000), features=40, filter=(3, 3)),
    "tall filters": dict(images=(2, 24, 6, 7), features=40, filter=(6, 2)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("border_mode", ["valid", 1])
@pytest.mark.parametrize("name", LAYERS)
def test_wide_layers_and_their_gradients_are_those_of_the_reference(
    name, border_mode, dtype
):
    arguments, outputs, arrays = layer_of(name, border_mode, dtype)

    got = wb.function(arguments, outputs, mode="FAST_RUN")(*arrays)
    want = wb.function(arguments, outputs, mode="FAST_COMPILE")(*arrays)

    for mine, right in zip(got, want, strict=True):
        # Sums of up to 20,000 products, in another order.
        error = {"float32": 1e-5, "float64": 1e-13}[dtype] * np.abs(right).max()
        np.testing.assert_allclose(mine, right, rtol=0, atol=error)


def layer_of(name, border_mode, dtype):
    """Arguments, the convolution with both gradients, and arrays to call it with."""
    rest = dict(LAYERS[name])
    images, features, sides = (rest.pop(k) for k in ("images", "features", "filter"))
    filters = (features, images[1] // rest.get("num_groups", 1), *sides)
    rng = np.random.default_rng(1)
    x, w, g = (T.tensor4(k, dtype) for k in "xwg")
    y = T.nnet.conv2d(x, w, border_mode=border_mode, **rest)
    slopes = wb.grad((y * g).sum(), [x, w])
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in (images, filters)]
    shape = wb.function([x, w], y.shape, mode="FAST_COMPILE")(*arrays)
    arrays.append(rng.standard_normal(tuple(map(int, shape))).astype(dtype))
    return [x, w, g], [y, *slopes], arrays


def test_infinite_filters_make_no_nan_of_a_gradient_where_they_meet_nothing():
    x, w, g = T.tensor4s("x", "w", "g")
    y = T.nnet.conv2d(x, w, border_mode="valid")
    by_images = wb.grad((y * g).sum(), x)
    arrays = [
        np.ones(s, x.dtype) for s in ((2, 32, 6, 6), (20, 32, 3, 3), (2, 20, 4, 4))
    ]
    arrays[1][3, 4, 1, 1] = np.inf

    got = wb.function([x, w, g], by_images)(*arrays)
    want = wb.function([x, w, g], by_images, mode="FAST_COMPILE")(*arrays)

    assert not np.isnan(want).any()
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("filter_flip", [True, False])
def test_infinite_factors_meet_the_zeros_around_an_image_as_in_the_reference(
    filter_flip,
):
    x, w, g = T.ftensor4s("x", "w", "g")
    how = dict(border_mode=1, filter_flip=filter_flip)
    outputs = [
        T.nnet.conv2d(x, w, **how),
        T.nnet.conv2d_grad_wrt_weights(x, g, (70, 32, 3, 3), **how),
    ]
    rng = np.random.default_rng(1)
    shapes = (3, 32, 7, 7), (70, 32, 3, 3), (3, 70, 7, 7)
    arrays = [rng.standard_normal(shape, "float32") for shape in shapes]
    arrays[1][3, 4, 0, 1], arrays[1][66, 0, 2, 2] = np.inf, np.nan
    arrays[2][0, 5, 0, 3], arrays[2][2, 69, 6, 6] = -np.inf, np.inf

    got = wb.function([x, w, g], outputs)(*arrays)
    want = wb.function([x, w, g], outputs, mode="FAST_COMPILE")(*arrays)

    for mine, right in zip(got, want, strict=True):
        assert np.isnan(right).any() and not np.isnan(right).all()
        np.testing.assert_allclose(mine, right, rtol=1e-4, atol=1e-3)
