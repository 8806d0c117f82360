"""Convolutions as users call them: the parameters of the tradition, checked and put in order.

Read next: :mod:`workbench.core.ops.convolution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as integer
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ParameterError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_int
from workbench.core.ops.convolution import Conv, ConvFilters, ConvInputs, Convolving
from workbench.core.ops.filters import Pad
from workbench.core.ops.padding import pad
from workbench.core.ops.shape import (
    as_sizes,
    product_size,
    reshape,
    sizes_of,
    specify_shape,
    subtract_size,
)
from workbench.core.ops.ufunc import cast, kind
from workbench.core.source import location_here

BorderMode = str | int | Sequence[int | tuple[int, int]]
"""``"valid"``, ``"full"``, ``"half"``, a number of zeros, one for each axis, or a pair for each."""

Ints = int | Sequence[int]


def conv2d(
    input: Any,
    filters: Any,
    input_shape: Sequence[Any] | None = None,
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1),
    filter_flip: bool = True,
    image_shape: Sequence[Any] | None = None,
    filter_dilation: Ints = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """Images convolved with filters.

    Parameters
    ----------
    input : [batch, channels, rows, columns]
    filters : [features, channels / num_groups, rows, columns]
        With `unshared`, [features, rows and columns of the result, channels / num_groups, rows,
        columns].
    input_shape, filter_shape
        Sizes that are known, None for the others; checked when run. `image_shape` is the
        older name of the first.
    border_mode
        Zeros around the images: ``"valid"`` none, ``"full"`` so many that filter and image
        meet in one element, ``"half"`` half the filter's size, which keeps that of the image
        for an odd filter; a number; one for rows and one for columns; a pair for each.
    subsample
        The step from place to place, for rows and columns.
    filter_flip
        Whether filters are turned round, as convolution is defined; without, it is the
        cross-correlation.
    filter_dilation
        The step from element to element of a filter.
    num_groups
        Cuts channels and features into groups that do not see each other.
    unshared
        Whether every place has filters of its own.

    Returns
    -------
    [batch, features, rows, columns]
        Of the dtype in which both are computed.

    Raises
    ------
    ShapeError
        Channels differ, groups do not divide, or filters are larger than the padded images;
        when run if sizes are known only then.
    DTypeError
        Images or filters are integers.
    ParameterError
        A step, a number of zeros or of groups makes no sense.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x, w = T.tensor4("x", dtype="float64"), T.tensor4("w", dtype="float64")
    >>> conv2d(x, w).eval({x: [[[[1, 2, 3]]]], w: [[[[1, 10]]]]})
    array([[[[12., 23.]]]])
    """
    shape = image_shape if input_shape is None else input_shape
    return _convolve(
        "conv2d", 2, input, filters, shape, filter_shape, border_mode, subsample, filter_flip,
        filter_dilation, num_groups, unshared,
    )  # fmt: skip


def conv1d(
    input: Any,
    filters: Any,
    input_shape: Sequence[Any] | None = None,
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = 1,
    filter_flip: bool = True,
    filter_dilation: Ints = 1,
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """Sequences [batch, channels, steps] convolved with filters [features, channels, steps].

    As :func:`conv2d`, along one axis.
    """
    return _convolve(
        "conv1d", 1, input, filters, input_shape, filter_shape, border_mode, subsample, filter_flip,
        filter_dilation, num_groups, unshared,
    )  # fmt: skip


def conv3d(
    input: Any,
    filters: Any,
    input_shape: Sequence[Any] | None = None,
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """Images with three axes, [batch, channels, depth, rows, columns], convolved with filters.

    As :func:`conv2d`, along three axes.
    """
    return _convolve(
        "conv3d", 3, input, filters, input_shape, filter_shape, border_mode, subsample, filter_flip,
        filter_dilation, num_groups, unshared,
    )  # fmt: skip


def causal_conv1d(
    input: Any,
    filters: Any,
    filter_shape: Sequence[Any] | None = None,
    input_shape: Sequence[Any] | None = None,
    subsample: Ints = 1,
    filter_flip: bool = True,
    filter_dilation: Ints = 1,
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """Sequences convolved so that no step sees a later one: all zeros are put in front.

    As :func:`conv1d`; the result has as many steps as the input when `subsample` is 1.
    """
    return _convolve(
        "causal_conv1d", 1, input, filters, input_shape, filter_shape, "causal", subsample,
        filter_flip, filter_dilation, num_groups, unshared,
    )  # fmt: skip


def separable_conv2d(
    input: Any,
    depthwise_filters: Any,
    pointwise_filters: Any,
    num_channels: int,
    input_shape: Sequence[Any] | None = None,
    depthwise_filter_shape: Sequence[Any] | None = None,
    pointwise_filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1),
) -> Variable:
    """Every channel convolved on its own, then the channels mixed place by place.

    Parameters
    ----------
    depthwise_filters : [num_channels * m, 1, rows, columns]
        For each channel m filters.
    pointwise_filters : [features, num_channels * m, 1, 1]
        How the channels are mixed.
    """
    apart = conv2d(
        input, depthwise_filters, input_shape, depthwise_filter_shape, border_mode, subsample,
        filter_flip, filter_dilation=filter_dilation, num_groups=num_channels,
    )  # fmt: skip
    return conv2d(apart, pointwise_filters, filter_shape=pointwise_filter_shape)


def separable_conv3d(
    input: Any,
    depthwise_filters: Any,
    pointwise_filters: Any,
    num_channels: int,
    input_shape: Sequence[Any] | None = None,
    depthwise_filter_shape: Sequence[Any] | None = None,
    pointwise_filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1, 1),
) -> Variable:
    """As :func:`separable_conv2d`, along three axes."""
    apart = conv3d(
        input, depthwise_filters, input_shape, depthwise_filter_shape, border_mode, subsample,
        filter_flip, filter_dilation, num_channels,
    )  # fmt: skip
    return conv3d(apart, pointwise_filters, filter_shape=pointwise_filter_shape)


# --- the adjoints ------------------------------------------------------------------------


def conv2d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Sequence[Any],
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """The gradient of :func:`conv2d` by the images, given that of the result.

    Parameters
    ----------
    output_grad : [batch, features, rows, columns]
    input_shape
        The shape of the images; its last two entries must be given.
    """
    return _grad_wrt_inputs(
        "conv2d_grad_wrt_inputs", 2, output_grad, filters, input_shape, filter_shape, border_mode,
        subsample, filter_flip, filter_dilation, num_groups, unshared,
    )  # fmt: skip


def conv3d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Sequence[Any],
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """The gradient of :func:`conv3d` by the images, given that of the result."""
    return _grad_wrt_inputs(
        "conv3d_grad_wrt_inputs", 3, output_grad, filters, input_shape, filter_shape, border_mode,
        subsample, filter_flip, filter_dilation, num_groups, unshared,
    )  # fmt: skip


def conv2d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Sequence[Any],
    input_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """The gradient of :func:`conv2d` by the filters, given that of the result.

    Parameters
    ----------
    output_grad : [batch, features, rows, columns]
    filter_shape
        The shape of the filters; its last two entries must be given.
    """
    return _grad_wrt_weights(
        "conv2d_grad_wrt_weights", 2, input, output_grad, filter_shape, input_shape, border_mode,
        subsample, filter_flip, filter_dilation, num_groups, unshared,
    )  # fmt: skip


def conv3d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Sequence[Any],
    input_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    subsample: Ints = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """The gradient of :func:`conv3d` by the filters, given that of the result."""
    return _grad_wrt_weights(
        "conv3d_grad_wrt_weights", 3, input, output_grad, filter_shape, input_shape, border_mode,
        subsample, filter_flip, filter_dilation, num_groups, unshared,
    )  # fmt: skip


def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Sequence[Any],
    filter_shape: Sequence[Any] | None = None,
    border_mode: BorderMode = "valid",
    input_dilation: Ints = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Ints = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """The transposed convolution: every element of the images spreads a filter.

    Parameters
    ----------
    input : [batch, channels, rows, columns]
    filters : [channels, features / num_groups, rows, columns]
        Channels of the input first.
    output_shape
        The shape of the result, [batch, features, rows, columns]; its last two entries must be
        given, for with steps above 1 several sizes have as many places.
    input_dilation
        The step from place to place in the result.
    """
    return _grad_wrt_inputs(
        "conv2d_transpose", 2, input, filters, output_shape, filter_shape, border_mode,
        input_dilation, filter_flip, filter_dilation, num_groups, unshared,
    )  # fmt: skip


def bilinear_upsampling(input: Any, ratio: int, use_1D_kernel: bool = True) -> Variable:
    """Images enlarged by a whole `ratio`, with straight lines between the elements.

    Beyond the border an image goes on as it ends. The result is [batch, channels,
    ratio * rows, ratio * columns].

    Parameters
    ----------
    use_1D_kernel
        Rows and columns one after the other, which costs less; else both in one convolution.
    """
    name = "bilinear_upsampling"
    (ratio,) = _numbers(name, "ratio", ratio, 1, 1)
    x = as_variable(input)
    _check_operand(name, "input", x, 4, 2)
    x = pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    batch, channels, rows, columns = sizes_of(x)
    together = product_size([batch, channels])
    x = reshape(x, (together, 1, rows, columns))
    rise = np.arange(1, ratio + 1, dtype=x.dtype) / ratio
    line = np.concatenate([rise, rise[-2::-1]]).astype(x.dtype)
    zeros = 2 * ratio - (ratio - 1) // 2 - 1
    tall = product_size([subtract_size(rows, 2), ratio])
    wide = product_size([subtract_size(columns, 2), ratio])
    steps: list[tuple[Any, tuple[Size, Size], tuple[int, int], tuple[int, int]]] = [
        (line[:, None], (tall, columns), (zeros, 0), (ratio, 1)),
        (line[None, :], (tall, wide), (0, zeros), (1, ratio)),
    ]
    if not use_1D_kernel:
        both = np.outer(line, line).astype(x.dtype)
        steps = [(both, (tall, wide), (zeros, zeros), (ratio, ratio))]
    for filters, sizes, mode, stride in steps:
        x = conv2d_grad_wrt_inputs(
            x, filters[None, None], (None, 1, *sizes), None, mode, stride
        )
    return reshape(x, (batch, channels, tall, wide))


def get_conv_output_shape(
    image_shape: Sequence[Any],
    kernel_shape: Sequence[Any],
    border_mode: BorderMode,
    subsample: Ints,
    filter_dilation: Ints | None = None,
    unshared: bool = False,
) -> tuple[Any, ...]:
    """The shape of a convolution's result.

    Sizes may be numbers, None where not known, or integer variables; so may those of the
    result.

    Examples
    --------
    >>> get_conv_output_shape((500, 1, 28, 28), (20, 1, 5, 5), "valid", (1, 1))
    (500, 20, 24, 24)
    """
    rank, name = len(image_shape) - 2, "get_conv_output_shape"
    dilation = (1,) * rank if filter_dilation is None else filter_dilation
    op = _op(Conv, name, rank, border_mode, subsample, True, dilation, 1, unshared)
    places = op.places(image_shape[2:], op.kernel(kernel_shape))
    return (image_shape[0], kernel_shape[0], *places)


HINTS = {
    "subsample": "it is the step from place to place; the transposed convolution enlarges: conv2d_transpose.",
    "filter_dilation": "it is the step from element to element of a filter.",
    "ratio": "it is how many times as large the images become.",
}
"""What parameters are for, where a message says what they may not be."""

# --- putting arguments in order ----------------------------------------------------------


def _convolve(
    name: str,
    rank: int,
    input: Any,
    filters: Any,
    input_shape: Sequence[Any] | None,
    filter_shape: Sequence[Any] | None,
    border_mode: BorderMode,
    *options: Any,
) -> Variable:
    """A convolution along `rank` axes; in its messages it is called `name`."""
    op = _op(Conv, name, rank, border_mode, *options)
    x, w = _operands(op, name, input=input, filters=filters)
    return op(
        _with_shape(name, "input_shape", x, input_shape),
        _with_shape(name, "filter_shape", w, filter_shape),
    )


def _grad_wrt_inputs(
    name: str,
    rank: int,
    output_grad: Any,
    filters: Any,
    input_shape: Sequence[Any],
    filter_shape: Sequence[Any] | None,
    border_mode: BorderMode,
    *options: Any,
) -> Variable:
    """Its adjoint by the images."""
    op = _op(ConvInputs, name, rank, border_mode, *options)
    y, w = _operands(op, name, output_grad=output_grad, filters=filters)
    w = _with_shape(name, "filter_shape", w, filter_shape)
    x = op(y, w, *_last_sizes(name, "the images", input_shape, rank))
    return _with_shape(name, "input_shape", x, [*tuple(input_shape)[:-rank]], rank)


def _grad_wrt_weights(
    name: str,
    rank: int,
    input: Any,
    output_grad: Any,
    filter_shape: Sequence[Any],
    input_shape: Sequence[Any] | None,
    border_mode: BorderMode,
    *options: Any,
) -> Variable:
    """Its adjoint by the filters."""
    op = _op(ConvFilters, name, rank, border_mode, *options)
    x, y = _operands(op, name, input=input, output_grad=output_grad)
    x = _with_shape(name, "input_shape", x, input_shape)
    w = op(x, y, *_last_sizes(name, "the filters", filter_shape, rank))
    return _with_shape(name, "filter_shape", w, [*tuple(filter_shape)[:-rank]], rank)


def _op(
    kind: type[Convolving],
    name: str,
    rank: int,
    border_mode: BorderMode,
    subsample: Ints,
    filter_flip: bool,
    filter_dilation: Ints,
    num_groups: int,
    unshared: bool,
) -> Convolving:
    """The op with its parameters checked."""
    return kind(
        _pads(name, border_mode, rank),
        _numbers(name, "subsample", subsample, rank, 1),
        _numbers(name, "filter_dilation", filter_dilation, rank, 1),
        _numbers(name, "num_groups", num_groups, 1, 1)[0],
        bool(filter_flip),
        bool(unshared),
    )


def _pads(name: str, mode: BorderMode, rank: int) -> tuple[Pad, ...]:
    """What a `border_mode` says of each axis."""
    if isinstance(mode, str):
        if mode not in ("valid", "full", "half", "causal"):
            raise ParameterError(
                _report(
                    f"{name}: border_mode is {mode!r}.",
                    "it may be 'valid', 'full', 'half', a number of zeros, or one or a pair of them for each axis.",
                )
            )
        return ((0, 0) if mode == "valid" else mode,) * rank
    entries = mode if isinstance(mode, list | tuple) else (mode,) * rank
    if len(entries) != rank:
        raise ParameterError(
            _report(
                f"{name}: border_mode has {len(entries)} entries, {mode!r}, for {rank} axes.",
                "it is a number of zeros for all axes, or one or a pair of them for each.",
            )
        )
    found: list[Pad] = []
    for axis, entry in enumerate(entries):
        pair = entry if isinstance(entry, list | tuple) else (entry, entry)
        if len(pair) != 2:
            raise ParameterError(
                _report(
                    f"{name}: border_mode on axis {2 + axis} is {entry!r}.",
                    "it is a number of zeros, or a pair: before and after.",
                )
            )
        before, after = (
            _number(name, "border_mode", e, 0, f" on axis {2 + axis}") for e in pair
        )
        found.append((before, after))
    return tuple(found)


def _numbers(
    name: str, what: str, given: Any, count: int, least: int
) -> tuple[int, ...]:
    """A number for each axis, from one for all or a sequence."""
    many = isinstance(given, list | tuple | np.ndarray) and np.ndim(given) == 1
    entries = list(given) if many else [given] * count
    if len(entries) != count:
        raise ParameterError(
            _report(
                f"{name}: {what} has {len(entries)} entries, {given!r}, for {count} axes.",
                "give a number for all axes, or one for each.",
            )
        )
    where = [f" on axis {2 + axis}" if many else "" for axis in range(count)]
    pairs = zip(entries, where, strict=True)
    return tuple(_number(name, what, entry, least, at) for entry, at in pairs)


def _number(name: str, what: str, given: Any, least: int, at: str) -> int:
    value: Any = known_int(given) if isinstance(given, Variable) else given
    try:
        number = integer(value)
    except TypeError:
        text = f"{name}: {what}{at} is {given!r}; it must be an integer."
        raise ParameterError(_report(text, HINTS.get(what, ""))) from None
    if number < least:
        text = f"{name}: {what}{at} is {number}; it must be {least} or more."
        raise ParameterError(_report(text, HINTS.get(what, "")))
    return number


def _operands(op: Convolving, name: str, **given: Any) -> list[Variable]:
    """Two operands, of the dtype in which both are computed."""
    found = []
    for role, value in given.items():
        x = as_variable(value)
        unshared = op.unshared and role == "filters"
        _check_operand(name, role, x, 2 + op.rank * (1 + unshared), op.rank)
        found.append(x)
    dtype = np.result_type(*(x.dtype for x in found)).name
    return [cast(x, dtype) for x in found]


def _check_operand(name: str, role: str, x: Variable, ndim: int, rank: int) -> None:
    """An operand has so many axes, and is of floats."""
    if x.ndim != ndim:
        axes = {"filters": "features, channels", "input": "batch, channels"}
        what = axes.get(role, "batch, features")
        if role == "filters" and ndim > rank + 2:
            what = "features, places along each axis, channels"
        along = ("length", "rows, columns", "depth, rows, columns")[rank - 1]
        report = Report(
            f"{name}: {role} {x.label()} has {x.ndim} axes, not {ndim}.",
            location_here(),
        )
        report.add("hint", f"its axes are [{what}, {along}]; reshape it.")
        raise ShapeError(report)
    if kind(x.dtype) not in "fc":
        report = Report(
            f"{name}: {role} {x.label()} is {x.type}; it must be of floats.",
            location_here(),
        )
        report.add("hint", f"{x.label()}.astype('float32') makes it so.")
        raise DTypeError(report)


def _with_shape(
    name: str, what: str, x: Variable, shape: Sequence[Any] | None, free: int = 0
) -> Variable:
    """`x` with the sizes that are given; nothing is said of its last `free` axes."""
    if shape is None:
        return x
    entries = [*tuple(shape), *(None for _ in range(free))]
    if len(entries) != x.ndim:
        raise ShapeError(
            _report(
                f"{name}: {what} has {len(entries)} entries, {tuple(shape)!r}, for {x.ndim} axes.",
                "give a size for each axis, None where it is not known.",
            )
        )
    sizes = [known_int(e) if isinstance(e, Variable) else e for e in entries]
    sizes = [e if s is None else s for s, e in zip(sizes, entries, strict=True)]
    known = zip(sizes, x.type.shape, strict=True)
    open_sizes = [None if s == k else s for s, k in known]
    if all(s is None for s in open_sizes):
        return x
    return specify_shape(x, open_sizes)


def _last_sizes(
    name: str, what: str, shape: Sequence[Any], rank: int
) -> tuple[Variable, ...]:
    """The sizes along the axes where filters move, which an adjoint must be told."""
    entries = list(shape)[-rank:]
    if len(entries) < rank or any(e is None for e in entries):
        raise ShapeError(
            _report(
                f"{name}: the last {rank} sizes of {what} must be given, got {tuple(shape)!r}.",
                "several sizes may have as many places; of an array x they are x.shape.",
            )
        )
    return as_sizes(entries)


def _report(text: str, hint: str) -> Report:
    """What is wrong with a call, the user's line, and what to do."""
    report = Report(text, location_here())
    return report.add("hint", hint) if hint else report


__all__ = [
    "bilinear_upsampling", "causal_conv1d", "conv1d", "conv2d", "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights",
    "conv2d_transpose", "conv3d", "conv3d_grad_wrt_inputs", "conv3d_grad_wrt_weights", "get_conv_output_shape",
    "separable_conv2d", "separable_conv3d",
]  # fmt: skip
