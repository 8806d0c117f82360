"""Graphs that the rules for convolutions match."""

import workbench.tensor as T
from tests.compile.rules.drawing import Draw, row

nnet = T.nnet
ROUND = (slice(None), slice(None), slice(None, None, -1), slice(None, None, -1))


def exchanged(x):
    """Batch for channels, as gradients written by hand have it."""
    return x.dimshuffle(1, 0, *range(2, x.ndim))


def results(
    d: Draw, image, kernel, dtype="float64", channels=3, turned=None, **options
):
    """A convolution of some images with four filters, along as many axes as they have sizes."""
    x = d.new(d.size(), channels, *image, dtype=dtype)
    seen = channels // options.get("num_groups", 1)
    w = d.new(4, seen, *kernel, dtype=dtype)
    function = (nnet.conv1d, nnet.conv2d, nnet.conv3d)[len(image) - 1]
    return function(x, w if turned is None else w[turned], **options)


def by_inputs(d: Draw, image, kernel, places, turned=None, **options):
    """The adjoint by images."""
    y, w = d.new(d.size(), 2, *places), d.new(2, 3, *kernel)
    w = w if turned is None else w[turned]
    return nnet.conv2d_grad_wrt_inputs(y, w, (None, None, *image), **options)


def by_filters(d: Draw, image, kernel, places, dtype="float64", **options):
    """The adjoint by filters."""
    batch = d.size()
    x = d.new(batch, 3, *image, dtype=dtype)
    y = d.new(batch, 2, *places, dtype=dtype)
    return nnet.conv2d_grad_wrt_weights(x, y, (None, None, *kernel), **options)


def by_hand(d: Draw, image, places, dtype="float64", filter_flip=False, **options):
    """Images slid along gradients of results, as many places as there are."""
    batch = d.size()
    x = d.new(batch, 3, *image, dtype=dtype)
    y = d.new(batch, 2, *places, dtype=dtype)
    return nnet.conv2d(exchanged(x), exchanged(y), filter_flip=filter_flip, **options)


row(
    "convolution_of_turned",
    lambda d: results(d, (5, 4), (3, 2), turned=ROUND, filter_flip=False),
    lambda d: results(d, (5, 4), (3, 1), turned=ROUND[:3], channels=4, num_groups=2),
    lambda d: results(d, (5,), (3,), "float32", turned=ROUND[:3], subsample=2),
    lambda d: nnet.conv2d(d.new(2, 2, 5, 4), exchanged(d.new(2, 3, 3, 2)[ROUND])),
    lambda d: by_inputs(d, (5, 4), (3, 2), (3, 3), turned=ROUND),
)
row(
    "turned_gradient",
    lambda d: by_filters(d, (5, 4), (3, 2), (3, 3))[ROUND],
    lambda d: by_filters(d, (5, 4), (3, 1), (3, 4), "float32")[:, :, ::-1],
    lambda d: exchanged(by_filters(d, (5, 4), (3, 2), (3, 3), filter_flip=False))[
        ROUND
    ],
)
row(
    "padded_convolution",
    lambda d: results(d, (5, 4), (3, 2), channels=8, border_mode="full"),
    lambda d: results(d, (5,), (3,), "float32", channels=8, border_mode="full", filter_dilation=2),
    lambda d: results(d, (3, 3, 2), (1, 2, 2), channels=8, border_mode="full", filter_flip=False),
    lambda d: results(d, (5, 4), (3, 2), channels=8, border_mode=((1, 2), (1, 0))),
    lambda d: results(d, (5, 4), (4, 2), channels=8, border_mode="half"),
    lambda d: nnet.conv2d(d.new(2, 4, d.size(), 4), exchanged(d.new(4, 3, d.size(1), 2)), border_mode="full"),
)  # fmt: skip
row(
    "padded_adjoint",
    lambda d: by_inputs(d, (3, 4), (3, 2), (5, 5), border_mode="full"),
    lambda d: by_inputs(d, (3, 4), (3, 2), (5, 6), border_mode="full", filter_flip=False, filter_dilation=(1, 2)),
    lambda d: by_inputs(d, (4, 4), (3, 2), (6, 4), border_mode=(2, (0, 1))),
)  # fmt: skip
row(
    "padded_gradient",
    lambda d: by_filters(d, (5, 4), (3, 2), (7, 5), border_mode="full"),
    lambda d: by_filters(d, (5, 4), (3, 2), (9, 5), "float32", border_mode="full", filter_dilation=(2, 1)),
    lambda d: by_filters(d, (5, 4), (3, 2), (6, 4), border_mode=((2, 1), (1, 0)), filter_flip=False),
)  # fmt: skip
row(
    "gradient_by_hand",
    lambda d: by_hand(d, (5, 6), (4, 4)),
    lambda d: by_hand(d, (5, 6), (5, 4), "float32", border_mode=(1, 0)),
    lambda d: by_hand(d, (5, 6), (3, 3), filter_dilation=2, subsample=(2, 1)),
    lambda d: by_hand(d, (2, 1), (1, 1), filter_flip=True, border_mode="full"),
)
row(
    "convolution_of_one_place",
    lambda d: results(d, (3, 2), (3, 2)),
    lambda d: results(d, (3, 2), (3, 2), filter_flip=False, subsample=2),
    lambda d: results(d, (1, 1), (1, 1), "float32", filter_dilation=2),
    lambda d: results(d, (4,), (4,)),
)
row(
    "inputs_of_one_place",
    lambda d: by_inputs(d, (3, 2), (3, 2), (1, 1)),
    lambda d: by_inputs(d, (3, 2), (3, 2), (1, 1), filter_flip=False),
    lambda d: by_inputs(d, (1, 1), (1, 1), (1, 1)),
)
row(
    "filters_of_one_place",
    lambda d: by_filters(d, (3, 2), (3, 2), (1, 1)),
    lambda d: by_filters(d, (3, 2), (3, 2), (1, 1), "float32", filter_flip=False),
    lambda d: by_filters(d, (1, 1), (1, 1), (1, 1)),
)
