"""Convolutions: what users call, what follows from it, and what is said when it does not fit.

Values and gradients over many parameters are in :mod:`tests.test_conv_grid`.
"""

import inspect

import numpy as np
import pytest
from scipy import signal

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import DTypeError, ParameterError, ShapeError

nnet = T.nnet


def tensor(name, *shape, dtype="float64"):
    return T.tensor(dtype, shape, name=name)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def each(function, x, w):
    """`function` of two images, for all of a batch and all filters, summed over channels."""
    return np.array(
        [[sum(map(function, image, filters)) for filters in w] for image in x]
    )


# --- what it computes -------------------------------------------------------------------


def test_convolution_turns_filters_round_unless_told_not_to():
    x, w = draw(2, 3, 6, 5), draw(4, 3, 3, 2, seed=1)

    turned, plain = (
        nnet.conv2d(x, w).eval(),
        nnet.conv2d(x, w, filter_flip=False).eval(),
    )

    np.testing.assert_allclose(
        turned, each(lambda a, b: signal.convolve2d(a, b, "valid"), x, w), rtol=1e-10
    )
    np.testing.assert_allclose(
        plain, each(lambda a, b: signal.correlate2d(a, b, "valid"), x, w), rtol=1e-10
    )


def test_full_convolution_is_that_of_scipy():
    x, w = draw(1, 2, 4, 5), draw(2, 2, 3, 3, seed=1)

    full = nnet.conv2d(x, w, border_mode="full").eval()

    np.testing.assert_allclose(full, each(signal.convolve2d, x, w), rtol=1e-10)


def test_half_padding_keeps_the_size_for_odd_filters():
    x = tensor("x", None, 1, None, None)

    result = nnet.conv2d(x, draw(2, 1, 5, 3), border_mode="half")

    assert result.eval({x: draw(1, 1, 7, 8)}).shape == (1, 2, 7, 8)
    assert result.type.shape == (None, 2, None, None)


@pytest.mark.parametrize(
    ("mode", "pairs"),
    [
        ((1, 2), [(1, 1), (2, 2)]),
        (((1, 1), (2, 2)), [(1, 1), (2, 2)]),
        ([1, 2], [(1, 1), (2, 2)]),
        (np.int64(1), [(1, 1), (1, 1)]),
        (((0, 1), 2), [(0, 1), (2, 2)]),
    ],
)
def test_border_modes_are_numbers_or_pairs(mode, pairs):
    x, w = draw(1, 1, 4, 4), draw(1, 1, 2, 2)

    result = nnet.conv2d(x, w, border_mode=mode).eval()

    padded = np.pad(x, [(0, 0), (0, 0), *pairs])
    np.testing.assert_allclose(result, nnet.conv2d(padded, w).eval(), rtol=1e-12)


def test_causal_convolution_sees_nothing_later():
    x, w = draw(1, 2, 9), draw(3, 2, 3)
    changed = x.copy()
    changed[..., 5:] += 1

    before, after = (
        nnet.causal_conv1d(v, w, (3, 2, 3), filter_dilation=2).eval()
        for v in (x, changed)
    )

    assert before.shape == (1, 3, 9)
    np.testing.assert_array_equal(before[..., :5], after[..., :5])
    assert not np.allclose(before[..., 5:], after[..., 5:])


def test_transposed_convolution_is_the_adjoint():
    x, w, y = draw(2, 3, 7, 6), draw(4, 3, 3, 2, seed=1), draw(2, 4, 3, 3, seed=2)
    options = {"border_mode": (1, 0), "filter_flip": False}

    forward = nnet.conv2d(x, w, subsample=(3, 2), **options).eval()
    back = nnet.conv2d_transpose(y, w, x.shape, input_dilation=(3, 2), **options).eval()

    assert back.shape == x.shape
    np.testing.assert_allclose((forward * y).sum(), (back * x).sum(), rtol=1e-10)


def test_separable_convolution_is_two_convolutions():
    x, deep, points = (
        draw(2, 3, 6, 6),
        draw(6, 1, 3, 3, seed=1),
        draw(4, 6, 1, 1, seed=2),
    )
    whole = np.zeros((4, 3, 3, 3))
    for o, i in np.ndindex(4, 6):
        whole[o, i // 2] += points[o, i, 0, 0] * deep[i, 0]

    result = nnet.separable_conv2d(x, deep, points, 3).eval()

    np.testing.assert_allclose(result, nnet.conv2d(x, whole).eval(), rtol=1e-9)


def test_separable_convolution_in_three_axes_has_its_shape():
    x, deep, points = draw(1, 2, 4, 4, 4), draw(2, 1, 2, 2, 2), draw(3, 2, 1, 1, 1)

    assert nnet.separable_conv3d(x, deep, points, 2).eval().shape == (1, 3, 3, 3, 3)


@pytest.mark.parametrize("ratio", [1, 2, 3, 4])
@pytest.mark.parametrize("one_by_one", [True, False])
def test_upsampling_draws_straight_lines(ratio, one_by_one):
    rows, columns = np.mgrid[:4, :5]
    image = (2.0 * rows + 3 * columns)[None, None]

    large = nnet.bilinear_upsampling(image, ratio, use_1D_kernel=one_by_one).eval()

    assert large.shape == (1, 1, 4 * ratio, 5 * ratio)
    inner = large[0, 0, ratio:-ratio, ratio:-ratio]
    np.testing.assert_allclose(np.diff(inner, axis=0), 2 / ratio, atol=1e-9)
    np.testing.assert_allclose(np.diff(inner, axis=1), 3 / ratio, atol=1e-9)


def test_filters_of_every_place_are_a_convolution_where_they_are_equal():
    x, w, y = draw(2, 4, 5, 4), draw(2, 2, 2, 2, seed=1), draw(2, 2, 4, 3, seed=2)
    own = np.broadcast_to(w[:, None, None], (2, 4, 3, 2, 2, 2)).copy()
    a, b, c = tensor("a", *x.shape), tensor("b", *w.shape), tensor("c", *own.shape)
    shared = nnet.conv2d(a, b, num_groups=2)
    unshared = nnet.conv2d(a, c, num_groups=2, unshared=True)
    f = wb.function([a, b], [shared, *wb.grad((shared * y).sum(), [a, b])])
    g = wb.function([a, c], [unshared, *wb.grad((unshared * y).sum(), [a, c])])

    (value, by_x, by_w), (own_value, own_by_x, own_by_w) = f(x, w), g(x, own)

    np.testing.assert_allclose(own_value, value, rtol=1e-10)
    np.testing.assert_allclose(own_by_x, by_x, rtol=1e-10)
    np.testing.assert_allclose(own_by_w.sum((1, 2)), by_w, rtol=1e-10)


def test_gradients_of_unshared_filters_are_those_of_differences():
    x, w = draw(2, 1, 4), draw(2, 3, 1, 2, seed=1)
    a, b = tensor("a", *x.shape), tensor("b", *w.shape)
    cost = (nnet.conv1d(a, b, unshared=True) ** 3).sum()

    wb.verify_grad(lambda a, b: (nnet.conv1d(a, b, unshared=True) ** 3).sum(), [x, w])

    assert cost.ndim == 0


def test_forward_and_backward_derivatives_agree():
    x, w, y = tensor("x", 2, 2, 5, 5), tensor("w", 2, 1, 3, 3), tensor("y", 2, 2, 3, 3)
    dx, dw = tensor("dx", 2, 2, 5, 5), tensor("dw", 2, 1, 3, 3)
    z = nnet.conv2d(x, w, num_groups=2)
    forward = (wb.jvp(z, [x, w], [dx, dw]) * y).sum()
    gx, gw = wb.grad((z * y).sum(), [x, w])

    f = wb.function([x, w, y, dx, dw], [forward, (gx * dx).sum() + (gw * dw).sum()])
    a, b = f(*(draw(*v.type.shape, seed=k) for k, v in enumerate([x, w, y, dx, dw])))

    np.testing.assert_allclose(a, b, rtol=1e-10)


def test_many_sets_of_filters_are_convolved_at_once():
    x, w, many = tensor("x", 1, 1, 4, 4), tensor("w", 1, 1, 2, 2), draw(3, 1, 1, 2, 2)
    batch = T.tensor("float64", (None, 1, 1, 2, 2))
    images = draw(1, 1, 4, 4)

    result = wb.vectorize_graph(nnet.conv2d(x, w), {w: batch})

    found = result.eval({x: images, batch: many})
    wanted = np.stack([nnet.conv2d(images, one).eval() for one in many])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_infinity_and_nan_go_where_they_go_in_numpy(groups, stride):
    x, w, y = (tensor(name, *(None,) * 4) for name in "xwy")
    result = nnet.conv2d(x, w, None, None, (2, 1), stride, num_groups=groups)
    graph = [result, *wb.grad((result * y).sum(), [x, w])]
    places = (10 - 3) // stride + 1
    images, filters, gradient = draw(1, 2, 6, 9), draw(2, 2 // groups, 3, 3), draw(1, 2, places, (11 - 3) // stride + 1)  # fmt: skip
    filters[0, 0, 0, 1], images[0, 1, 5, 8], gradient[0, 1, 0, 2] = np.inf, np.nan, -np.inf  # fmt: skip
    # With more zeros around images than half a filter they are not multiplied by infinity.
    strict = wb.get_mode("FAST_RUN").excluding("finite_math")

    plain, compiled = (
        wb.function([x, w, y], graph, mode=mode)(images, filters, gradient)
        for mode in ("FAST_COMPILE", strict)
    )

    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# --- sizes and parameters ---------------------------------------------------------------


def test_shapes_that_are_given_are_known_and_checked():
    x, w = T.tensor4("x"), T.tensor4("w")

    result = nnet.conv2d(
        x, w, input_shape=(None, 1, 28, 28), filter_shape=(20, 1, 5, 5)
    )

    assert result.type.shape == (None, 20, 24, 24)
    with pytest.raises(ShapeError, match="28"):
        result.eval({x: draw(2, 1, 27, 28).astype(x.dtype), w: draw(20, 1, 5, 5).astype(w.dtype)})  # fmt: skip


def test_the_older_name_of_the_input_shape_is_known():
    x, w = T.tensor4("x"), T.tensor4("w")

    assert nnet.conv2d(x, w, image_shape=(5, 1, 9, 9)).type.shape[0] == 5


def test_the_shape_is_known_without_computing():
    x, w = T.tensor4("x"), T.tensor4("w")
    shape = nnet.conv2d(x, w, border_mode="half", subsample=(2, 1)).shape
    f = wb.function([x, w], shape)

    assert not [n for n in f.compilation.after.nodes() if str(n.op).startswith("conv")]
    sizes = f(np.zeros((2, 1, 8, 8), x.dtype), np.zeros((3, 1, 3, 3), w.dtype))
    np.testing.assert_array_equal(sizes, (2, 3, 4, 8))


def test_output_shapes_follow_from_sizes():
    shape = nnet.get_conv_output_shape
    n = T.lscalar("n")

    assert shape((500, 1, 28, 28), (20, 1, 5, 5), "full", (1, 1)) == (500, 20, 32, 32)
    assert shape((None, 1, 9), (2, 1, 3), 1, 2, filter_dilation=(2,)) == (None, 2, 4)
    (size,) = shape((1, 1, n), (2, 1, 3), "valid", 2)[2:]
    assert size.eval({n: 9}) == 4


def test_parameters_have_the_names_of_the_tradition():
    names = "input filters input_shape filter_shape border_mode subsample filter_flip image_shape filter_dilation num_groups unshared"  # fmt: skip

    assert list(inspect.signature(nnet.conv2d).parameters) == names.split()


def test_dtypes_meet_in_the_larger_one():
    x, w = T.ftensor4("x"), T.dtensor4("w")

    assert nnet.conv2d(x, w).dtype == "float64"
    assert nnet.conv2d(x, x).dtype == "float32"


# --- what does not fit ------------------------------------------------------------------


def message(error, build):
    with pytest.raises(error) as caught:
        build()
    return str(caught.value)


def test_channels_that_differ_are_named():
    x, w = tensor("x", 2, 3, 8, 8), tensor("w", 4, 2, 3, 3)

    text = message(ShapeError, lambda: nnet.conv2d(x, w))

    assert "conv2d(x, w): the images have 3 channels (axis 1), but the filters are for 2 (axis 1)." in text  # fmt: skip
    assert "nnet.conv2d(x, w)" in text
    assert "hint" in text


def test_groups_that_do_not_divide_are_named():
    x, w = tensor("x", 2, 4, 8, 8), tensor("w", 4, 1, 3, 3)

    text = message(ShapeError, lambda: nnet.conv2d(x, w, num_groups=3))

    assert "3 groups do not divide the 4 channels of the images (axis 1)" in text


def test_filters_larger_than_images_are_named():
    x, w = tensor("x", 2, 1, 8, 3), tensor("w", 4, 1, 3, 2)

    text = message(
        ShapeError, lambda: nnet.conv2d(x, w, filter_dilation=4, border_mode=(1, 0))
    )

    assert "2 elements (axis 3) that reach over 5, but 3 (axis 3)" in text


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (
            ((1, 3, 8, 8), (2, 2, 3, 3)),
            "3 channels (axis 1), but the filters are for 2",
        ),
        (((1, 2, 2, 8), (2, 2, 3, 3)), "3 elements (axis 2), but 2 (axis 2)"),
        (((1, 2, 8, 8), (2, 2, 3, 0)), "the filters have size 0 on axis 3"),
    ],
)
def test_the_same_is_said_when_sizes_are_known_only_at_run_time(mode, shapes, said):
    x, w = (tensor(name, *(None,) * 4) for name in "xw")
    f = wb.function([x, w], nnet.conv2d(x, w).sum(), mode=mode)

    text = message(ShapeError, lambda: f(*(np.ones(s) for s in shapes)))

    assert said in text
    assert "nnet.conv2d(x, w)" in text


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_a_gradient_of_another_size_is_named_at_run_time(mode):
    y, w = (tensor(name, *(None,) * 4) for name in "yw")
    x = nnet.conv2d_grad_wrt_inputs(y, w, (None, None, 8, 8))
    f = wb.function([y, w], x, mode=mode)

    text = message(ShapeError, lambda: f(np.ones((1, 2, 5, 6)), np.ones((2, 1, 3, 3))))

    assert "the gradient is for 5 places (axis 2), the convolution has 6" in text


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_groups_are_checked_at_run_time(mode):
    x, w = (tensor(name, *(None,) * 4) for name in "xw")
    f = wb.function([x, w], nnet.conv2d(x, w, num_groups=2), mode=mode)

    text = message(ShapeError, lambda: f(np.ones((1, 4, 5, 5)), np.ones((3, 2, 3, 3))))

    assert "2 groups do not divide the 3 filters (axis 0)" in text


def test_integer_images_are_refused():
    x, w = T.tensor("uint8", (None,) * 4, name="x"), T.dtensor4("w")

    text = message(DTypeError, lambda: nnet.conv2d(x, w))

    assert "input x is uint8" in text
    assert "x.astype('float32')" in text
    assert "nnet.conv2d(x, w)" in text


def test_a_missing_axis_is_named():
    text = message(ShapeError, lambda: nnet.conv2d(T.dtensor3("x"), T.dtensor4("w")))

    assert "input x has 3 axes, not 4" in text
    assert "[batch, channels, rows, columns]" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"subsample": (1, 0)}, "subsample on axis 3 is 0; it must be 1 or more"),
        ({"subsample": (-2, 1)}, "subsample on axis 2 is -2"),
        ({"subsample": 1.5}, "subsample is 1.5; it must be an integer"),
        ({"subsample": (1, 1, 1)}, "subsample has 3 entries, (1, 1, 1), for 2 axes"),
        ({"filter_dilation": (1, 0.5)}, "filter_dilation on axis 3 is 0.5"),
        ({"num_groups": 0}, "num_groups is 0"),
        ({"border_mode": -1}, "border_mode on axis 2 is -1"),
        ({"border_mode": "same"}, "border_mode is 'same'"),
        ({"border_mode": (1, 2, 3)}, "border_mode has 3 entries"),
        ({"border_mode": ((1, 2, 3), 0)}, "a pair: before and after"),
        ({"border_mode": (0.5, 1)}, "border_mode on axis 2 is 0.5"),
    ],
)
def test_impossible_parameters_are_named(options, said):
    x, w = T.dtensor4("x"), T.dtensor4("w")

    text = message(ParameterError, lambda: nnet.conv2d(x, w, **options))

    assert text.startswith("conv2d: ") and said in text
    assert "nnet.conv2d(x, w, **options)" in text
    assert ".py:" in text


def test_integer_filters_are_refused_with_the_line():
    x, w = T.dtensor4("x"), T.tensor("int32", (None,) * 4, name="w")

    text = message(DTypeError, lambda: nnet.conv2d(x, w))

    assert "filters w is int32" in text
    assert "nnet.conv2d(x, w)" in text


def test_shapes_with_too_few_entries_are_named_with_the_line():
    x, w = T.dtensor4("x"), T.dtensor4("w")

    text = message(ShapeError, lambda: nnet.conv2d(x, w, input_shape=(1, 28, 28)))

    assert "input_shape has 3 entries, (1, 28, 28), for 4 axes" in text
    assert "nnet.conv2d(x, w, input_shape=(1, 28, 28))" in text


def test_sizes_that_an_adjoint_needs_are_asked_for():
    y, w = T.dtensor4("y"), T.dtensor4("w")

    text = message(
        ShapeError, lambda: nnet.conv2d_grad_wrt_inputs(y, w, (1, 1, None, 5))
    )

    assert "the last 2 sizes of the images must be given" in text


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (3, 2)])
def test_of_no_results_images_smaller_than_a_filter_are_made(mode, stride, groups):
    y, w = (tensor(name, *(None,) * 4) for name in "yw")
    x = nnet.conv2d_grad_wrt_inputs(
        y, w, (None, None, 2, 5), subsample=(stride, 1), num_groups=groups
    )
    f = wb.function([y, w], x, mode=mode)

    found = f(draw(2, 4, 0, 4), draw(4, 3, 3, 2))

    np.testing.assert_array_equal(found, np.zeros((2, 3 * groups, 2, 5)))
    text = message(ShapeError, lambda: f(draw(2, 4, 1, 4), draw(4, 3, 3, 2)))
    assert "the filters are larger than the images: 3 elements (axis 2), but 2" in text


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("groups", [1, 2])
def test_full_convolutions_of_empty_images_have_no_least_size(mode, groups):
    x, w = (tensor(name, *(None,) * 4) for name in "xw")
    y = nnet.conv2d(x, w, border_mode="full", num_groups=groups)
    f = wb.function([x, w], [y, *wb.grad(y.sum(), [x, w])], mode=mode)

    for kernel, places in ((1, 0), (3, 2)):
        found, by_x, by_w = f(draw(2, 2, 0, 4), draw(2, 2 // groups, kernel, 2))

        np.testing.assert_array_equal(found, np.zeros((2, 2, places, 5)))
        np.testing.assert_array_equal(by_x, np.zeros((2, 2, 0, 4)))
        np.testing.assert_array_equal(by_w, np.zeros((2, 2 // groups, kernel, 2)))
