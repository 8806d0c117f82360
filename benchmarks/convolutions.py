"""Rows of convolutions: the layers that nets are made of, and LeNet's training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks import images
from benchmarks import mathematics as maths
from benchmarks.rows import EVEN, Arrays, Least, Target, Workload

Size = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """A convolution of square images with square filters, not turned round.

    Attributes
    ----------
    batch, channels, features
        How many images, channels of each, and channels of the result.
    image, filter
        Elements along one side.
    pad, stride, dilation
        Along either side; zeros on both ends, and steps.
    """

    batch: int
    channels: int
    features: int
    image: int
    filter: int
    pad: int = 0
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def place(self) -> int:
        """Elements along one side of the result."""
        wide = self.dilation * (self.filter - 1) + 1
        return (self.image + 2 * self.pad - wide) // self.stride + 1

    @property
    def images(self) -> tuple[int, int, int, int]:
        """The shape of the images."""
        return self.batch, self.channels, self.image, self.image

    @property
    def filters(self) -> tuple[int, int, int, int]:
        """The shape of the filters."""
        of_each = self.channels // self.groups
        return self.features, of_each, self.filter, self.filter

    @property
    def results(self) -> tuple[int, int, int, int]:
        """The shape of the results, and of gradients by them."""
        return self.batch, self.features, self.place, self.place

    @property
    def product(self) -> Size:
        """The matrix product that has as many terms as each of the three functions."""
        elements = self.channels // self.groups * self.filter**2
        return self.features, elements, self.batch * self.place**2


LAYERS = {
    "lenet-1": ("5x5, 1 to 20 @28", Layer(500, 1, 20, 28, 5)),
    "lenet-2": ("5x5, 20 to 50 @12", Layer(500, 20, 50, 12, 5)),
    "first": ("7x7 by 2, 3 to 64 @224", Layer(4, 3, 64, 224, 7, 3, 2)),
    "3x3-64": ("3x3, 64 @56", Layer(8, 64, 64, 56, 3, 1)),
    "3x3-128": ("3x3, 128 @28", Layer(8, 128, 128, 28, 3, 1)),
    "3x3-256": ("3x3, 256 @14", Layer(8, 256, 256, 14, 3, 1)),
    "3x3-512": ("3x3, 512 @7", Layer(8, 512, 512, 7, 3, 1)),
    "strided": ("3x3 by 2, 128 @56", Layer(8, 128, 128, 56, 3, 1, 2)),
    "dilated": ("3x3 dilated by 2, 128 @28", Layer(8, 128, 128, 28, 3, 2, 1, 2)),
    "1x1-wider": ("1x1, 64 to 256 @56", Layer(8, 64, 256, 56, 1)),
    "1x1-narrower": ("1x1, 256 to 64 @56", Layer(8, 256, 64, 56, 1)),
    "depthwise-56": (
        "3x3 depthwise, 144 @56",
        Layer(8, 144, 144, 56, 3, 1, groups=144),
    ),
    "depthwise-28": (
        "3x3 depthwise, 256 @28",
        Layer(16, 256, 256, 28, 3, 1, groups=256),
    ),
}
"""Filters, channels and the side of an image, at a batch that takes 2 to 30 ms."""


def _normal(**shapes: tuple[int, ...]) -> Callable[[], Arrays]:
    """Arrays of normal float32 numbers."""

    def make() -> Arrays:
        rng = np.random.default_rng(1)
        return {k: rng.standard_normal(shape, "float32") for k, shape in shapes.items()}

    return make


def _rows_of(name: str, title: str, layer: Layer) -> list[Workload]:
    def row(
        of: str, expression: maths.Expression, **shapes: tuple[int, ...]
    ) -> Workload:
        return Workload(
            f"conv-{name}{of and '-'}{of}",
            f"conv {title}{of and f', by {of}'}",
            "value",
            expression,
            _normal(**shapes),
            target=EVEN,
            least=_least(layer),
        )

    x, w, y = layer.images, layer.filters, layer.results
    return [
        row("", lambda peer, x, w: peer.conv2d(x, w, layer), x=x, w=w),
        row("images", lambda peer, y, w: peer.conv2d_images(y, w, layer), y=y, w=w),
        row("filters", lambda peer, x, y: peer.conv2d_filters(x, y, layer), x=x, y=y),
    ]


def _least(layer: Layer) -> Least:
    """The product; images and results instead, where groups of one make that longer."""
    if layer.groups == layer.channels:
        return Least(int(np.prod(layer.images)), int(np.prod(layer.results)))
    return Least(products=(layer.product,))


# --- LeNet ---------------------------------------------------------------------------


def _digits(n: int) -> Callable[[], Arrays]:
    def make() -> Arrays:
        rng = np.random.default_rng(1)
        return {"x": rng.random((n, 784), "float32"), "y": rng.integers(0, 10, n)}

    return make


def _parameters(first: int, second: int) -> Callable[[], Arrays]:
    """Two layers of filters, one of 500 units, and one of 10 classes."""

    def make() -> Arrays:
        rng = np.random.default_rng(2)

        def drawn(scale: float, *shape: int) -> np.ndarray:
            return np.float32(scale) * rng.standard_normal(shape, "float32")

        return {
            "F": drawn(0.2, first, 1, 5, 5),
            "a": np.zeros(first, "float32"),
            "G": drawn((25 * first) ** -0.5, second, first, 5, 5),
            "b": np.zeros(second, "float32"),
            "W": drawn((16 * second) ** -0.5, 16 * second, 500),
            "c": np.zeros(500, "float32"),
            "V": drawn(0.05, 500, 10),
            "d": np.zeros(10, "float32"),
        }

    return make


def _lenet(batch: int, first: int, second: int) -> Workload:
    one, two = Layer(batch, 1, first, 28, 5), Layer(batch, first, second, 12, 5)
    dense = ((batch, 16 * second, 500), (batch, 500, 10))
    return Workload(
        f"lenet-{batch}-{first}-{second}",
        f"LeNet step, batch {batch}, filters {first}, {second}",
        "train",
        lambda peer, *arrays: maths.lenet(peer, one, two, *arrays),
        _digits(batch),
        _parameters(first, second),
        lambda *arrays, rate: images.lenet_step(one, two, *arrays, rate=rate),
        rate=0.1,
        target=Target(0.9, 0.6),
        least=Least(
            exp=10 * batch,
            tanh=batch * (144 * first + 16 * second + 500),
            # No gradient by the digits is wanted.
            products=(*2 * (one.product,), *3 * (two.product,), *3 * dense),
        ),
    )


LENET = _lenet(50, 20, 50)

CONVOLUTIONS = (
    _lenet(50, 10, 25),
    LENET,
    _lenet(500, 20, 50),
    *(
        row
        for name, (title, layer) in LAYERS.items()
        for row in _rows_of(name, title, layer)
    ),
)
