"""Pooling as users call it: ``T.signal.pool.pool_2d`` and ``pool_3d``.

Read next: :mod:`workbench.core.ops.pooling`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.config import config
from workbench.core.errors import DTypeError, ParameterError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_size
from workbench.core.ops.checks import AssertValue
from workbench.core.ops.elementwise import ge, lt
from workbench.core.ops.pooling import MODES, Pool, PoolPut
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast, kind
from workbench.core.source import location_here


def pool_2d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Variable:
    """The largest element, the sum or the mean of each window of the last two axes.

    Parameters
    ----------
    input : [..., height, width]
        Of any real dtype; integers are averaged in floatX.
    ws
        Height and width of a window: a number for both, a pair of numbers or scalar integer
        variables, or an integer vector.
    ignore_border
        Whether only windows that lie within the image and its padding count. By default, and
        when False, the last ones may reach over the lower and right borders.
    stride
        From window to window, down and to the right; by default `ws`, so that none overlap.
    pad
        How many rows above and below, and columns on both sides, are added around the image;
        less than `ws`. They never are the maximum, and add nothing to a sum. Needs `ignore_border`.
    mode : {"max", "sum", "average_inc_pad", "average_exc_pad"}
        The mean divides by the size of the window with or without what lies in the padding.
        Where several elements are largest, the gradient goes to the first of them, in
        row-major order.
    ds, st, padding
        Old names of `ws`, `stride` and `pad`.

    Returns
    -------
    [..., rows, columns]
        With `ignore_border` as many as ``(size + 2 pad - ws) // stride + 1``, else so many that all
        elements are seen.

    Raises
    ------
    ShapeError
        `input` has fewer than two axes, or `ws`, `stride` or `pad` another number of entries.
    ParameterError
        A size or a step is below 1, a padding below 0 or not less than `ws`, or used without
        `ignore_border`; the mode is unknown; a parameter is given under both its names.
    DTypeError
        A size is not an integer, or `input` is complex.

    Examples
    --------
    >>> pool_2d(np.arange(16.0).reshape(4, 4), (2, 2), ignore_border=True).eval()
    array([[ 5.,  7.],
           [13., 15.]])
    """
    old = {"ds": ds, "st": st, "padding": padding}
    ws, stride, pad = _renamed(ws, stride, pad, old, 2)
    return _pool("pool_2d", 2, input, ws, ignore_border, stride, pad, mode)


def pool_3d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Variable:
    """The largest element, the sum or the mean of each window of the last three axes.

    Otherwise as :func:`pool_2d`.
    """
    old = {"ds": ds, "st": st, "padding": padding}
    ws, stride, pad = _renamed(ws, stride, pad, old, 3)
    return _pool("pool_3d", 3, input, ws, ignore_border, stride, pad, mode)


def max_pool_2d(
    input: Any,
    ds: Any,
    ignore_border: bool | None = None,
    st: Any = None,
    padding: Any = (0, 0),
    mode: str = "max",
) -> Variable:
    """:func:`pool_2d` under its old name, with its old names of `ws`, `stride` and `pad`."""
    return _pool("max_pool_2d", 2, input, ds, ignore_border, st, padding, mode)


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Variable:
    """`input` with all elements 0 but the first largest of each patch of the last two axes.

    Parameters
    ----------
    input : [..., height, width]
    patch_size
        Height and width of a patch, as `ws` of :func:`pool_2d`. Patches do not overlap; what
        is left at the borders, too small for a patch, becomes 0.

    Examples
    --------
    >>> max_pool_2d_same_size([[1.0, 2.0], [4.0, 3.0]], (2, 2)).eval()
    array([[0., 0.],
           [4., 0.]])
    """
    name = "max_pool_2d_same_size"
    node = _pool(name, 2, input, patch_size, True, None, (0, 0), "max").owner
    assert node is not None and isinstance(node.op, Pool)
    x, *settings = node.inputs
    sizes = map(size_variable, sizes_of(x)[x.ndim - 2 :])
    return PoolPut(2)(node.output, node.op.places(node), *settings, *sizes)


def _renamed(
    ws: Any, stride: Any, pad: Any, old: dict[str, Any], rank: int
) -> tuple[Any, Any, Any]:
    """Window, step and padding, taken from their old names where these are used."""
    names = zip(old, ("ws", "stride", "pad"), (ws, stride, pad), strict=True)
    found, used = [], []
    for name, new, value in names:
        if old[name] is None:
            found.append(value)
            continue
        is_default = value is None or (new == "pad" and value == (0,) * rank)
        if not is_default:
            raise ParameterError(
                Report(
                    f"{new} and {name}, its old name, are both given.", location_here()
                )
            )
        used.append(f"{name} is the old name of {new}")
        found.append(old[name])
    if used:
        warnings.warn("; ".join(used) + ".", DeprecationWarning, stacklevel=3)
    return found[0], found[1], found[2]


def _pool(
    name: str,
    rank: int,
    input: Any,
    ws: Any,
    ignore_border: bool | None,
    stride: Any,
    pad: Any,
    mode: str,
) -> Variable:
    x = as_variable(input)
    what = f"{name}({x.label()})"
    if x.ndim < rank:
        raise ShapeError(
            _report(
                f"{what} needs at least {rank} axes to move windows over, got {x.type}.",
                f"add axes with dimshuffle: a batch of images is [batch, channels{', size' * rank}].",
            )
        )
    if mode not in MODES:
        raise ParameterError(
            _report(
                f"{what}: there is no mode {mode!r}.",
                f"choose one of {', '.join(MODES)}.",
            )
        )
    if kind(x.dtype) == "c":
        raise DTypeError(_report(f"{what} is not defined for {x.dtype}.", ""))
    if ws is None:
        raise ParameterError(
            _report(f"{what} needs ws, the size of a window.", "for example ws=(2, 2).")
        )
    if mode.startswith("average") and not x.type.is_float:
        x = cast(x, config.floatX)
    windows = _numbers(what, "ws", ws, rank, 1)
    steps = windows if stride is None else _numbers(what, "stride", stride, rank, 1)
    margins = _numbers(what, "pad", pad, rank, 0)
    within = bool(ignore_border)
    if not within and any(p != 0 for p in margins):
        raise ParameterError(
            _report(
                f"{what}: pad={_shown(margins)} without ignore_border=True.",
                "windows that reach over the border are only defined without padding.",
            )
        )
    checked = [
        _less(what, axis - rank, p, w)
        for axis, (p, w) in enumerate(zip(margins, windows, strict=True))
    ]
    settings = map(size_variable, (*windows, *steps, *checked))
    return Pool(rank, within, mode)(x, *settings)


def _numbers(what: str, name: str, given: Any, rank: int, low: int) -> list[Size]:
    """One size an axis, from a number, several, or a vector."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if isinstance(given, Variable) and given.ndim == 1:
        length = given.type.shape[0]
        if length not in (None, rank):
            raise _wrong_number(what, name, given.label(), length or 0, rank)
        entries: Sequence[Any] = [index(given, (a,)) for a in range(rank)]
    elif isinstance(given, list | tuple):
        entries = given
        if len(entries) != rank:
            raise _wrong_number(what, name, str(given), len(entries), rank)
    else:
        entries = [given] * rank
    return [_number(what, name, entry, low) for entry in entries]


def _number(what: str, name: str, given: Any, low: int) -> Size:
    value = as_variable(given)
    if value.ndim or kind(value.dtype) not in "iu":
        shown = value.type if isinstance(given, Variable) else repr(given)
        raise DTypeError(
            _report(f"{what}: {name} must be made of integers, got {shown}.", "")
        )
    size = known_size(cast(value, "int64"))
    if isinstance(size, int):
        if size < low:
            raise ParameterError(
                _report(f"{what}: {name} must be at least {low}, got {size}.", "")
            )
        return size
    message = f"{what}: {name} is at least {low}"
    return AssertValue(message)(size, ge(size, low))


def _less(what: str, axis: int, pad: Size, window: Size) -> Size:
    """`pad`, which is less than the size of a window: so that every window sees an element."""
    if pad == 0:
        return 0
    if isinstance(pad, int) and isinstance(window, int):
        if pad >= window:
            raise ParameterError(
                _report(
                    f"{what}: pad={pad} is not less than ws={window} along axis {axis}.",
                    "a window would lie in the padding alone.",
                )
            )
        return pad
    message = f"{what}: pad is less than ws along axis {axis}"
    return AssertValue(message)(size_variable(pad), lt(pad, window))


def _wrong_number(what: str, name: str, given: str, have: int, rank: int) -> ShapeError:
    return ShapeError(
        _report(
            f"{what}: {name}={given} has {have} entries for {rank} axes.",
            f"give one number for each of the last {rank} axes.",
        )
    )


def _shown(sizes: Sequence[Size]) -> str:
    return str(tuple(s if isinstance(s, int) else s.label() for s in sizes))


def _report(text: str, hint: str) -> Report:
    return Report(text, location_here()).add("hint", hint)


__all__ = ["max_pool_2d", "max_pool_2d_same_size", "pool_2d", "pool_3d"]
