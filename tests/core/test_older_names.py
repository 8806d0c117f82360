"""What programs of the tradition import, and how they call it."""

import importlib

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import DTypeError, ParameterError, ShapeError
from workbench.tensor.nnet import abstract_conv
from workbench.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
    AbstractConv3d,
    AbstractConv3d_gradInputs,
    AbstractConv3d_gradWeights,
)

PATHS = [
    ("nnet.abstract_conv", "bilinear_upsampling conv2d conv2d_grad_wrt_inputs conv3d"),
    ("nnet.bn", "batch_normalization batch_normalization_train"),
    ("nnet.conv", "conv2d"),
    ("nnet.conv3d2d", "conv3d"),
    ("nnet.ctc", "ctc"),
    ("nnet.neighbours", "images2neibs neibs2images"),
    ("nnet.nnet", "categorical_crossentropy softmax selu"),
    ("nnet.sigm", "hard_sigmoid sigmoid ultra_fast_sigmoid"),
    ("signal.conv", "conv2d"),
    ("signal.downsample", "max_pool_2d"),
    ("signal.pool", "pool_2d pool_3d"),
]


def drawn(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(("path", "names"), PATHS)
def test_a_module_has_the_names_that_are_imported_from_it(path, names):
    module = importlib.import_module(f"workbench.tensor.{path}")

    attribute = T
    for part in path.split("."):
        attribute = getattr(attribute, part)
    assert attribute is module
    assert set(names.split()) <= set(module.__all__)


@pytest.mark.parametrize("rank", [2, 3])
def test_options_may_be_chosen_before_images_come(rank):
    images, filters = (2, 4, 7, 8, 6)[: 2 + rank], (6, 2, 3, 2, 3)[: 2 + rank]
    options = {
        "border_mode": (1, 2, 0)[:rank],
        "subsample": (2, 1, 1)[:rank],
        "filter_flip": False,
        "num_groups": 2,
    }
    forward, inputs, weights = (
        (AbstractConv2d, AbstractConv2d_gradInputs, AbstractConv2d_gradWeights),
        (AbstractConv3d, AbstractConv3d_gradInputs, AbstractConv3d_gradWeights),
    )[rank - 2]
    x, w = (T.TensorType("float64", (None,) * (2 + rank))(n) for n in "xw")
    a, b = drawn(*images), drawn(*filters)
    plain = getattr(abstract_conv, f"conv{rank}d")(x, w, **options)
    gradients = wb.grad((plain**2).sum(), [x, w])
    sizes = T.lvector("sizes")

    y = forward(imshp=images, kshp=(None, *filters[1:]), **options)(x, w)
    gx = inputs(imshp=images, **options)(w, 2 * y, sizes)
    gw = weights(kshp=filters, **options)(x, 2 * y, filters[2:])

    f = wb.function([x, w, sizes], [y, gx, gw])
    got = f(a, b, np.array(images[2:]))
    for value, want in zip(got, [plain, *gradients], strict=True):
        np.testing.assert_allclose(value, want.eval({x: a, w: b}), 1e-9, 1e-9)


@pytest.mark.parametrize("axes", [(2, 2), (3, 2), (2, 3), (3, 3)])
def test_images_without_channels_are_convolved(axes):
    a, b = drawn(*(3, 6, 7)[3 - axes[0] :]), drawn(*(2, 3, 2)[3 - axes[1] :])
    x, w = (
        T.TensorType("float64", (None,) * n)(s) for n, s in zip(axes, "xw", strict=True)
    )
    for mode in ("valid", "full"):
        y = T.signal.conv.conv2d(x, w, a.shape, b.shape, mode, (1, 2))

        got = wb.function([x, w], y)(a, b)

        four = T.nnet.conv2d(
            a.reshape(-1, 1, 6, 7), b.reshape(-1, 1, 3, 2), border_mode=mode, subsample=(1, 2)
        ).eval()  # fmt: skip
        keep = tuple(slice(None) if n == 3 else 0 for n in axes)
        np.testing.assert_allclose(got, four[keep], 1e-9, 1e-9)


def test_videos_have_time_before_channels():
    a, b = drawn(2, 5, 3, 6, 7), drawn(4, 2, 3, 3, 2)

    got = T.nnet.conv3d2d.conv3d(a, b, a.shape, b.shape).eval()

    order = (0, 2, 1, 3, 4)
    want = T.nnet.conv3d(a.transpose(order), b.transpose(order)).eval()
    np.testing.assert_allclose(got, want.transpose(order), 1e-9)


def test_the_first_conv2d_had_other_parameters():
    a, b = drawn(2, 3, 6, 7), drawn(4, 3, 3, 2)

    got = T.nnet.conv.conv2d(
        a, b, a.shape, b.shape, "full", (1, 1), unroll_patch=True
    ).eval()

    np.testing.assert_allclose(got, T.nnet.conv2d(a, b, border_mode="full").eval())
    with pytest.raises(ParameterError, match="no parameter 'filter_flip'"):
        T.nnet.conv.conv2d(a, b, filter_flip=False)


def test_cross_entropy_and_softmax_come_together():
    x, y = T.matrix("x"), T.lvector("y")
    values, classes = drawn(4, 3) * 500, np.array([0, 2, 1, 1])
    b = np.array([0.0, 1.0, -1.0])

    loss, p = T.nnet.crossentropy_softmax_1hot_with_bias(x, b, y)
    got = wb.function([x, y], [loss, p])(values, classes)

    shifted = values + b
    np.testing.assert_allclose(got[1], T.nnet.softmax(shifted).eval())
    want = -T.nnet.logsoftmax(shifted).eval()[np.arange(4), classes]
    np.testing.assert_allclose(got[0], want)
    assert np.isfinite(got[0]).all()


def test_confusion_is_counted_for_the_classes_that_occur():
    rng = np.random.default_rng(0)
    actual, predicted = rng.choice([2, 5, 7, 9], (2, 50))
    a, p = T.lvector("a"), T.lvector("p")

    matrix, classes = wb.function([a, p], T.nnet.confusion_matrix(a, p))(
        actual, predicted
    )

    np.testing.assert_array_equal(classes, [2, 5, 7, 9])
    for i, right in enumerate(classes):
        for j, taken in enumerate(classes):
            count = np.sum((actual == right) & (predicted == taken))
            assert matrix[i, j] == count


def test_selu_keeps_mean_and_variance():
    x = np.random.default_rng(0).standard_normal(1_000_000)

    y = T.nnet.selu(x).eval()

    # Of a million draws both are known to three digits.
    assert abs(y.mean()) < 4e-3
    assert abs(y.var() - 1) < 1e-2


MISTAKES = {
    "an image with channels": (
        lambda: T.signal.conv.conv2d(T.tensor4("x"), T.matrix("w")),
        ShapeError,
        "input x has 4 axes, not 2 or 3",
    ),
    "a video without time": (
        lambda: T.nnet.conv3d2d.conv3d(T.tensor4("x"), T.tensor5("w")),
        ShapeError,
        "signals x has 4 axes, not 5",
    ),
    "classes that are floats": (
        lambda: T.nnet.confusion_matrix(T.vector("a"), T.lvector("p")),
        DTypeError,
        "classes a must be integers",
    ),
    "classes of rows": (
        lambda: T.nnet.crossentropy_softmax_1hot(T.matrix("x"), T.lmatrix("y")),
        ShapeError,
        "needs a matrix and a vector of classes",
    ),
}


@pytest.mark.parametrize(
    ("mistake", "error", "text"), MISTAKES.values(), ids=MISTAKES.keys()
)
def test_a_mistake_is_told_with_its_line(mistake, error, text):
    with pytest.raises(error, match=text) as caught:
        mistake()

    assert "test_older_names.py" in str(caught.value)
