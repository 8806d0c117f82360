"""Convolutions written in many ways are computed in the one that costs least."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import ShapeError

conv2d = T.nnet.conv2d
ROUND = (slice(None), slice(None), slice(None, None, -1), slice(None, None, -1))
FORWARD, BY_INPUTS, BY_FILTERS = "conv2d", "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights"  # fmt: skip
IMAGES, FILTERS = (2, 3, 6, 5), (4, 3, 3, 2)


def exchanged(x):
    return x.dimshuffle(1, 0, 2, 3)


def draw(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


def compiled(build, *arrays, static=True, mode="FAST_RUN"):
    """A function of the arrays, and that it gives what NumPy gives."""
    variables = [
        T.tensor("float64", a.shape if static else (None,) * a.ndim, name=name)
        for a, name in zip(arrays, "xwy", strict=False)
    ]
    made = build(*variables)
    outputs = made if isinstance(made, list) else [made]
    plain, f = (
        wb.function(variables, outputs, mode=m, on_unused_input="ignore")
        for m in ("FAST_COMPILE", mode)
    )
    for want, got in zip(plain(*arrays), f(*arrays), strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
    return f


def convolutions(f):
    """The operations that convolve, with their parameters."""
    ops = [str(node.op) for node in f.compilation.after.nodes()]
    return [op for op in ops if op.startswith("conv")]


def names(f):
    return [op.split("{")[0] for op in convolutions(f)]


def rules(f):
    return [step.rule for step in f.steps]


# --- gradients written by hand ----------------------------------------------------------


@pytest.mark.parametrize("static", [True, False])
def test_gradients_by_hand_of_a_valid_convolution_are_its_adjoints(static):
    def by_hand(x, w, g):
        by_w = conv2d(exchanged(x), exchanged(g)[ROUND])
        by_x = conv2d(g, exchanged(w)[ROUND], border_mode="full")
        return [exchanged(by_w)[ROUND], by_x]

    f = compiled(by_hand, *draw(IMAGES, FILTERS, (2, 4, 4, 4)), static=static)

    assert sorted(convolutions(f)) == [BY_INPUTS, BY_FILTERS]
    assert "dimshuffle" not in str([n.op for n in f.compilation.after.nodes()])
    assert {"gradient_by_hand", "padded_convolution", "convolution_of_turned"} <= set(rules(f))  # fmt: skip
    x, w, g = map(T.as_tensor_variable, draw(IMAGES, FILTERS, (2, 4, 4, 4)))
    by_w, by_x = wb.grad((conv2d(x, w) * g).sum(), [w, x])
    found = f(*draw(IMAGES, FILTERS, (2, 4, 4, 4)))
    np.testing.assert_allclose(found[0], by_w.eval(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[1], by_x.eval(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("static", [True, False])
def test_the_gradient_by_hand_of_a_full_convolution_reads_no_zeros(static):
    def by_hand(x, w, g):
        return exchanged(conv2d(exchanged(g), exchanged(x)[ROUND]))

    f = compiled(by_hand, *draw(IMAGES, FILTERS, (2, 4, 8, 6)), static=static)

    assert names(f) == [BY_FILTERS]
    assert "pads" not in convolutions(f)[0]


def test_a_large_result_of_small_filters_is_no_gradient():
    x, y = draw((2, 3, 9, 9), (2, 4, 2, 2))

    f = compiled(
        lambda x, y: conv2d(exchanged(x), exchanged(y), filter_flip=False), x, y
    )

    assert names(f) == [FORWARD]
    (reason,) = [r.reason for r in f.refused if r.rule == "gradient_by_hand"]
    assert "the result is larger than the filters" in reason


def test_places_further_apart_than_elements_may_not_fit_the_other_way_round():
    def slid(x, y):
        return conv2d(exchanged(x), exchanged(y), filter_flip=False, subsample=2)

    fitting = compiled(slid, *draw((2, 3, 8, 8), (2, 4, 4, 4)))
    short = compiled(slid, *draw((2, 3, 9, 9), (2, 4, 6, 6)))
    unknown = compiled(slid, *draw((2, 3, 8, 8), (2, 4, 4, 4)), static=False)

    assert names(fitting) == [BY_FILTERS]
    assert names(short) == names(unknown) == [FORWARD]


def test_filters_that_are_turned_round_make_no_gradient():
    f = compiled(
        lambda x, y: conv2d(exchanged(x), exchanged(y)), *draw(IMAGES, (2, 4, 4, 4))
    )

    assert names(f) == [FORWARD]


# --- full convolutions ------------------------------------------------------------------


def test_a_full_convolution_and_its_gradients_multiply_no_zeros():
    def full(x, w):
        y = conv2d(x, w, border_mode="full")
        return [y, *wb.grad((y**2).sum(), [x, w])]

    f = compiled(full, *draw((2, 16, 6, 5), (4, 16, 3, 2)))

    assert sorted(names(f)) == [FORWARD, BY_INPUTS, BY_FILTERS]
    assert not [op for op in convolutions(f) if "pads" in op]


def test_many_features_of_few_channels_keep_a_full_convolution():
    f = compiled(lambda x, w: conv2d(x, w, border_mode="full"), *draw(IMAGES, FILTERS))

    assert names(f) == [FORWARD]
    (reason,) = [r.reason for r in f.refused if r.rule == "padded_convolution"]
    assert "columns of the results have more elements" in reason


def test_padding_up_to_half_a_filter_stays():
    for mode in ("half", "valid", (1, 0), ((2, 0), (1, 0))):
        f = compiled(lambda x, w, m=mode: conv2d(x, w, border_mode=m), *draw((2, 16, 6, 5), (4, 16, 3, 3)))  # fmt: skip

        assert names(f) == [FORWARD]


@pytest.mark.parametrize(
    ("options", "shape", "said"),
    [
        ({"subsample": 2}, FILTERS, "steps of more than one"),
        ({"num_groups": 3}, (3, 1, 3, 2), "for a group"),
    ],
)
def test_steps_and_groups_keep_a_full_convolution(options, shape, said):
    f = compiled(
        lambda x, w: conv2d(x, w, border_mode="full", **options), *draw(IMAGES, shape)
    )

    assert names(f) == [FORWARD]
    (reason,) = [r.reason for r in f.refused if r.rule == "padded_convolution"]
    assert said in reason


def test_zeros_around_images_meet_infinite_filters_where_finite_math_is_off():
    x, w = draw((2, 16, 6, 5), (4, 16, 3, 2))
    w[1, 2, 0, 0] = np.inf
    strict = wb.get_mode("FAST_RUN").excluding("finite_math")

    f = compiled(lambda x, w: conv2d(x, w, border_mode="full"), x, w, mode=strict)

    assert names(f) == [FORWARD]
    assert np.isnan(f(x, w)[0][:, 1]).any()


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("kernel", [(3, 2), (1, 1), (3, 1)])
def test_a_full_convolution_of_empty_images_is_zero(static, kernel):
    def full(x, w):
        y = conv2d(x, exchanged(w), border_mode="full")
        return [y, *wb.grad(y.sum(), [x, w])]

    f = compiled(full, np.ones((2, 3, 0, 5)), np.ones((3, 4, *kernel)), static=static)

    y, by_x, by_w = f(np.ones((2, 3, 0, 5)), np.ones((3, 4, *kernel)))
    assert y.shape == (2, 4, kernel[0] - 1, 4 + kernel[1])
    assert by_x.shape == (2, 3, 0, 5)
    assert not y.any()
    assert not by_w.any()


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_errors_are_in_the_words_of_the_user_whatever_was_rewritten(mode):
    x, w = (T.tensor("float64", (None,) * 4, name=name) for name in "xw")
    f = wb.function([x, w], conv2d(x, exchanged(w), border_mode="full"), mode=mode)

    with pytest.raises(ShapeError) as caught:
        f(*draw((2, 3, 6, 5), (2, 4, 3, 2)))

    assert "the images have 3 channels (axis 1), but the filters are for 2 (axis 1)." in str(caught.value)  # fmt: skip
    assert 'conv2d(x, exchanged(w), border_mode="full")' in str(caught.value)
    with pytest.raises(ShapeError, match="the filters have size 0 on axis 3"):
        f(*draw((2, 3, 6, 5), (3, 4, 3, 0)))


# --- flips ------------------------------------------------------------------------------


def test_filters_turned_round_are_read_the_other_way():
    f = compiled(lambda x, w: conv2d(x, w[ROUND]), *draw(IMAGES, FILTERS))

    assert convolutions(f) == ["conv2d{flip=False}"]
    assert not [n for n in f.compilation.after.nodes() if str(n.op).startswith("slice")]


@pytest.mark.parametrize("static", [True, False])
def test_a_flip_is_absorbed_with_its_gradient(static):
    def learn(x, w):
        y = conv2d(x, w[ROUND])
        return [y, wb.grad((y**2).sum(), w)]

    f = compiled(learn, *draw(IMAGES, FILTERS), static=static)

    assert sorted(convolutions(f)) == ["conv2d_grad_wrt_weights{flip=False}", "conv2d{flip=False}"]  # fmt: skip
    assert "slice" not in str([str(n.op) for n in f.compilation.after.nodes()])


@pytest.mark.parametrize(
    "turned",
    [
        lambda w: w[:, :, ::-1],
        lambda w: w[:, ::-1, ::-1, ::-1],
        lambda w: w[:, :, ::-1, ::-2],
        lambda w: w[:, :, ::-1, 1::-1],
    ],
)
def test_what_turns_other_axes_or_leaves_elements_out_stays(turned):
    f = compiled(lambda x, w: conv2d(x, turned(w)), *draw(IMAGES, (4, 3, 3, 4)))

    assert convolutions(f) == ["conv2d"]


def test_a_gradient_that_is_read_twice_is_computed_once():
    def both(x, g):
        by_w = T.nnet.conv2d_grad_wrt_weights(x, g, FILTERS)
        return [by_w, by_w[ROUND]]

    f = compiled(both, *draw(IMAGES, (2, 4, 4, 4)))

    assert names(f) == [BY_FILTERS]


# --- one place --------------------------------------------------------------------------


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("kernel", [(1, 1), (6, 5)])
def test_filters_as_large_as_the_images_are_a_product_of_matrices(kernel, flip):
    def learn(x, w):
        y = conv2d(x, w, filter_flip=flip)
        return [y, *wb.grad((y**3).sum(), [x, w])]

    f = compiled(learn, *draw((2, 3, *kernel), (4, 3, *kernel)))

    assert convolutions(f) == []
    assert str([n.op for n in f.compilation.after.nodes()]).count("Dot") == 3


def test_filters_that_meet_the_images_at_several_places_stay():
    for image, options in [((6, 5), {"border_mode": 1}), ((7, 5), {}), ((6, 5), {"num_groups": 1, "border_mode": "half"})]:  # fmt: skip
        f = compiled(lambda x, w, o=options: conv2d(x, w, **o), *draw((2, 3, *image), (4, 3, 6, 5)))  # fmt: skip

        assert len(convolutions(f)) == 1


def test_filters_of_one_element_are_multiplied_by_the_kernel_itself():
    def learn(x, w):
        y = conv2d(x, w)
        return [y, *wb.grad((y**3).sum(), [x, w])]

    f = compiled(learn, *draw((2, 3, 6, 5), (4, 3, 1, 1)))

    assert sorted(names(f)) == [FORWARD, BY_INPUTS, BY_FILTERS]
