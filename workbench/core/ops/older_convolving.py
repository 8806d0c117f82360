"""Convolutions as they were called before: images without channels, time before channels, options first.

Read next: :mod:`workbench.core.ops.convolving`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from workbench.core.errors import ParameterError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops import convolving
from workbench.core.ops.convolving import BorderMode, Ints
from workbench.core.ops.shape import dimshuffle
from workbench.core.ops.subscript import index
from workbench.core.source import location_here

UNROLLING = ("unroll_batch", "unroll_kern", "unroll_patch", "openmp")
"""How loops were to be written; the compiler decides."""


def conv2d(
    input: Any,
    filters: Any,
    image_shape: Sequence[Any] | None = None,
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1),
    **unrolling: Any,
) -> Variable:
    """Images convolved with filters, in the first order of parameters.

    Parameters
    ----------
    input : [batch, channels, rows, columns]
    filters : [features, channels, rows, columns]
    image_shape, filter_shape, border_mode, subsample
        As in :func:`workbench.core.ops.convolving.conv2d`.
    unrolling
        Has no effect; one of `UNROLLING`.
    """
    unknown = sorted(unrolling.keys() - set(UNROLLING))
    if unknown:
        raise ParameterError(
            Report(f"conv2d has no parameter {unknown[0]!r}.", location_here()).add(
                "hint", "T.nnet.conv2d has all that there are."
            )
        )
    return convolving.conv2d(
        input, filters, image_shape, filter_shape, border_mode, subsample
    )


def conv2d_of_images(
    input: Any,
    filters: Any,
    image_shape: Sequence[Any] | None = None,
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1),
) -> Variable:
    """Images without channels, each convolved with each filter.

    Parameters
    ----------
    input : [rows, columns] or [batch, rows, columns]
    filters : [rows, columns] or [features, rows, columns]
    image_shape, filter_shape
        Sizes that are known, None for the others.

    Returns
    -------
    [rows, columns], [batch, rows, columns], [features, rows, columns] or [batch, features, rows, columns]
        What is not in the arguments is not in the result.

    Examples
    --------
    >>> conv2d_of_images([[1.0, 2.0, 3.0]], [[1.0, 10.0]]).eval()
    array([[12., 23.]])
    """
    x, w = as_variable(input), as_variable(filters)
    for name, array in (("input", x), ("filters", w)):
        if array.ndim not in (2, 3):
            raise ShapeError(
                Report(
                    f"signal.conv.conv2d: {name} {array.label()} has {array.ndim} axes, not 2 or 3.",
                    location_here(),
                ).add("hint", "T.nnet.conv2d convolves images that have channels.")
            )
    images, features = (
        dimshuffle(v, *(["x"] if v.ndim == 2 else [0]), "x", v.ndim - 2, v.ndim - 1)
        for v in (x, w)
    )
    made = convolving.conv2d(
        images,
        features,
        _with_channel(image_shape),
        _with_channel(filter_shape),
        border_mode,
        subsample,
    )
    kept = (slice(None) if x.ndim == 3 else 0, slice(None) if w.ndim == 3 else 0)
    return index(made, kept)


def _with_channel(shape: Sequence[Any] | None) -> Sequence[Any] | None:
    """The sizes of images that have one channel."""
    if shape is None:
        return None
    *many, rows, columns = shape
    return (*(many or (1,)), 1, rows, columns)


def conv3d_of_videos(
    signals: Any,
    filters: Any,
    signals_shape: Sequence[Any] | None = None,
    filters_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
) -> Variable:
    """A convolution over time, rows and columns, with time before channels.

    Parameters
    ----------
    signals : [batch, time, channels, rows, columns]
    filters : [features, time, channels, rows, columns]

    Returns
    -------
    [batch, time, features, rows, columns]
    """
    x, w = as_variable(signals), as_variable(filters)
    for name, array in (("signals", x), ("filters", w)):
        if array.ndim != 5:
            raise ShapeError(
                Report(
                    f"conv3d2d.conv3d: {name} {array.label()} has {array.ndim} axes, not 5.",
                    location_here(),
                ).add("hint", "time comes before channels: [batch, time, channels, …].")
            )
    order = (0, 2, 1, 3, 4)
    made = convolving.conv3d(
        dimshuffle(x, *order),
        dimshuffle(w, *order),
        _ordered(signals_shape, order),
        _ordered(filters_shape, order),
        border_mode,
    )
    return dimshuffle(made, *order)


def _ordered(shape: Sequence[Any] | None, order: Sequence[int]) -> Sequence[Any] | None:
    """Sizes in another order."""
    return None if shape is None else [tuple(shape)[axis] for axis in order]


# --- options first ------------------------------------------------------------------------


@dataclass(frozen=True)
class AbstractConv:
    """A convolution whose options are chosen first; called, it takes arrays.

    Attributes
    ----------
    imshp, kshp
        The shapes of images and filters, None for what is not known.
    border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
        As in :func:`workbench.core.ops.convolving.conv2d`.
    """

    imshp: Sequence[Any] | None = None
    kshp: Sequence[Any] | None = None
    border_mode: BorderMode = "valid"
    subsample: Ints = 1
    filter_flip: bool = True
    filter_dilation: Ints = 1
    num_groups: int = 1
    unshared: bool = False
    rank: ClassVar[int]
    function: ClassVar[Callable[..., Variable]]

    @property
    def options(self) -> dict[str, Any]:
        """All but the shapes, as the functions name them."""
        shapes = ("imshp", "kshp")
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in shapes
        }

    def shape_of(self, known: Sequence[Any] | None, sizes: Any, lead: int) -> list[Any]:
        """A whole shape: the first entries as known, then the sizes given, a sequence or a vector."""
        if isinstance(sizes, Variable):
            sizes = [index(sizes, (a,)) for a in range(self.rank)]
        first = [None] * lead if known is None else [*known][:lead]
        return [*first, *sizes]


class _Results(AbstractConv):
    """The convolution itself."""

    def __call__(self, img: Any, kern: Any) -> Variable:
        """The results."""
        return self.function(img, kern, self.imshp, self.kshp, **self.options)


class _GradInputs(AbstractConv):
    """Its gradient by images."""

    def __call__(self, kern: Any, topgrad: Any, shape: Any) -> Variable:
        """The gradient of the images; `shape` is that of their last axes."""
        sizes = self.shape_of(self.imshp, shape, 2)
        return self.function(topgrad, kern, sizes, self.kshp, **self.options)


class _GradWeights(AbstractConv):
    """Its gradient by filters."""

    def __call__(self, img: Any, topgrad: Any, shape: Any) -> Variable:
        """The gradient of the filters; `shape` is that of their last axes."""
        sizes = self.shape_of(self.kshp, shape, 2 + self.rank * self.unshared)
        return self.function(img, topgrad, sizes, self.imshp, **self.options)


class AbstractConv2d(_Results):
    """:func:`conv2d` of ``(images, filters)``."""

    rank, function = 2, staticmethod(convolving.conv2d)


class AbstractConv3d(_Results):
    """:func:`conv3d` of ``(images, filters)``."""

    rank, function = 3, staticmethod(convolving.conv3d)


class AbstractConv2d_gradInputs(_GradInputs):
    """:func:`conv2d_grad_wrt_inputs` of ``(filters, gradient of the results, sizes of the images)``."""

    rank, function = 2, staticmethod(convolving.conv2d_grad_wrt_inputs)


class AbstractConv3d_gradInputs(_GradInputs):
    """:func:`conv3d_grad_wrt_inputs` of ``(filters, gradient of the results, sizes of the images)``."""

    rank, function = 3, staticmethod(convolving.conv3d_grad_wrt_inputs)


class AbstractConv2d_gradWeights(_GradWeights):
    """:func:`conv2d_grad_wrt_weights` of ``(images, gradient of the results, sizes of the filters)``."""

    rank, function = 2, staticmethod(convolving.conv2d_grad_wrt_weights)


class AbstractConv3d_gradWeights(_GradWeights):
    """:func:`conv3d_grad_wrt_weights` of ``(images, gradient of the results, sizes of the filters)``."""

    rank, function = 3, staticmethod(convolving.conv3d_grad_wrt_weights)


__all__ = [
    "AbstractConv2d", "AbstractConv2d_gradInputs", "AbstractConv2d_gradWeights", "AbstractConv3d",
    "AbstractConv3d_gradInputs", "AbstractConv3d_gradWeights", "conv2d", "conv2d_of_images", "conv3d_of_videos",
]  # fmt: skip
