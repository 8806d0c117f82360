"""Patches of images as rows of a matrix, and back.

Nothing here is an op: a patch is taken by integer places, which windows may share, so that the
gradient of an element is the sum over all patches it is in.

Read next: :mod:`workbench.core.ops.windows`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.core.errors import DTypeError, ParameterError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_size
from workbench.core.ops.checks import Assert, AssertValue
from workbench.core.ops.creation import arange
from workbench.core.ops.elementwise import add, eq, ge, le, mod, mul
from workbench.core.ops.indexing import take
from workbench.core.ops.padding import pad
from workbench.core.ops.shape import (
    add_size,
    dimshuffle,
    divide_size,
    product_size,
    reshape,
    size_variable,
    sizes_of,
    subtract_size,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast, kind
from workbench.core.source import location_here

MODES = ("valid", "ignore_borders", "wrap_centered", "half", "full")


def images2neibs(
    ten4: Any, neib_shape: Any, neib_step: Any = None, mode: str = "valid"
) -> Variable:
    """Each patch of each image as a row.

    Parameters
    ----------
    ten4 : [batch, channels, height, width]
    neib_shape
        Height and width of a patch: two numbers or scalar integer variables, or an integer vector.
    neib_step
        From patch to patch, down and to the right; by default `neib_shape`, so that none overlap.
    mode : {"valid", "ignore_borders", "wrap_centered", "half", "full"}
        ``valid``: patches lie within the image and cover it without a rest. ``ignore_borders``: a rest is
        left out. ``wrap_centered``: a patch of odd size around every element at a step, which goes on at
        the opposite border. ``half``, ``full``: with zeros around the image, half a patch or all but one
        of its rows and columns.

    Returns
    -------
    [batch * channels * rows * columns, height * width of a patch]
        The last index of the four moves fastest; so do columns within a patch.

    Raises
    ------
    ShapeError
        `ten4` has not four axes, or ``valid`` patches leave a rest.
    ParameterError
        The mode is unknown, a size is below 1, or even in ``wrap_centered``.

    Examples
    --------
    >>> import numpy as np
    >>> images2neibs(np.arange(16).reshape(1, 1, 4, 4), (2, 2)).eval()
    array([[ 0,  1,  4,  5],
           [ 2,  3,  6,  7],
           [ 8,  9, 12, 13],
           [10, 11, 14, 15]])
    """
    x = as_variable(ten4)
    what = f"images2neibs({x.label()})"
    if x.ndim != 4:
        raise ShapeError(
            _report(f"{what} needs [batch, channels, height, width], got {x.type}.")
        )
    _check_mode(what, mode, MODES)
    shape = _pair(what, "neib_shape", neib_shape)
    step = shape if neib_step is None else _pair(what, "neib_step", neib_step)
    counts = []
    for axis in (2, 3):
        size, s = shape[axis - 2], step[axis - 2]
        x, places, number = _patches(what, x, axis + (axis == 3), size, s, mode)
        counts += [number, size]
        joined = reshape(places, (product_size([number, size]),))
        x = take(x, joined, axis=axis + (axis == 3))
        sizes = sizes_of(x)
        at = axis + (axis == 3)
        x = reshape(x, (*sizes[:at], number, size, *sizes[at + 1 :]))
    rows, height, columns, width = counts
    moved = dimshuffle(x, 0, 1, 2, 4, 3, 5)
    batch, channels = sizes_of(x)[:2]
    many = product_size([batch, channels, rows, columns])
    return reshape(moved, (many, product_size([height, width])))


def _patches(
    what: str, x: Variable, axis: int, size: Size, step: Size, mode: str
) -> tuple[Variable, Variable, Size]:
    """`x`, padded as needed; [patches, size] places along an axis; and how many patches."""
    name = {2: "height", 4: "width"}[axis]
    length = sizes_of(x)[axis]
    if mode == "wrap_centered":
        size = _checked(
            what,
            f"the {name} of a wrapped patch is odd",
            size,
            lambda n: n % 2 == 1,
            lambda n: eq(mod(n, 2), 1),
        )
        number = divide_size(subtract_size(add_size(length, step), 1), step)
        first = divide_size(size, 2)
        return x, mod(subtract_size(_grid(number, step, size), first), length), number
    margin: Size = 0
    if mode in ("half", "full"):
        margin = divide_size(size, 2) if mode == "half" else subtract_size(size, 1)
        widths: list[Any] = [(0, 0)] * x.ndim
        widths[axis] = (margin, margin)
        x = pad(x, widths)
        length = add_size(length, product_size([2, margin]))
    room = subtract_size(length, size)
    number = add_size(divide_size(room, step), 1)
    number = _fits(what, name, number, length, size, step, mode == "valid")
    return x, _grid(number, step, size), number


def _grid(number: Size, step: Size, size: Size) -> Variable:
    """[number, size]: the places of all patches along an axis."""
    starts = mul(arange(size_variable(number)), step)
    return add(
        dimshuffle(starts, 0, "x"), dimshuffle(arange(size_variable(size)), "x", 0)
    )


def neibs2images(
    neibs: Any, neib_shape: Any, original_shape: Any, mode: str = "valid"
) -> Variable:
    """Images from patches that do not overlap: what undoes :func:`images2neibs`.

    Parameters
    ----------
    neibs : [batch * channels * rows * columns, height * width of a patch]
    neib_shape
        Height and width of a patch, as there.
    original_shape
        The four sizes of the images: numbers or scalar integer variables, or an integer vector.
    mode : {"valid", "ignore_borders"}
        As there; with ``ignore_borders`` the rest that was left out becomes 0.

    Returns
    -------
    `original_shape`

    Raises
    ------
    ShapeError
        `neibs` is no matrix, or its size is not that of the patches; or ``valid`` patches leave a rest.
    ParameterError
        The mode is unknown, or a size is below 1.
    """
    x = as_variable(neibs)
    what = f"neibs2images({x.label()})"
    if x.ndim != 2:
        raise ShapeError(_report(f"{what} needs a matrix of patches, got {x.type}."))
    _check_mode(what, mode, ("valid", "ignore_borders"))
    height, width = _pair(what, "neib_shape", neib_shape)
    batch, channels, *sizes = _entries(what, "original_shape", original_shape, 4, 0)
    counts = []
    for name, length, size in zip(
        ("height", "width"), sizes, (height, width), strict=True
    ):
        number = divide_size(length, size)
        if mode == "valid":
            number = _fits(what, name, number, length, size, size, True)
        counts.append(number)
    rows, columns = counts
    parts = reshape(x, (batch, channels, rows, columns, height, width))
    whole = (product_size([rows, height]), product_size([columns, width]))
    images = reshape(dimshuffle(parts, 0, 1, 2, 4, 3, 5), (batch, channels, *whole))
    if mode == "valid":
        return images
    rests = [subtract_size(n, m) for n, m in zip(sizes, whole, strict=True)]
    return pad(images, [(0, 0), (0, 0), *((0, rest) for rest in rests)])


def _check_mode(what: str, mode: str, modes: tuple[str, ...]) -> None:
    if mode not in modes:
        raise ParameterError(
            _report(f"{what}: there is no mode {mode!r}.").add(
                "hint", f"choose one of {', '.join(modes)}."
            )
        )


def _pair(what: str, name: str, given: Any) -> list[Size]:
    return _entries(what, name, given, 2, 1)


def _entries(what: str, name: str, given: Any, number: int, low: int) -> list[Size]:
    """So many sizes, from as many numbers or from a vector."""
    if isinstance(given, Variable) and given.ndim == 1:
        given = [index(given, (a,)) for a in range(number)]
    if not hasattr(given, "__len__") or len(given) != number:
        raise ShapeError(
            _report(f"{what}: {name} needs {number} numbers, got {given}.")
        )
    return [_entry(what, name, entry, low) for entry in given]


def _entry(what: str, name: str, given: Any, low: int) -> Size:
    value = as_variable(given)
    if value.ndim or kind(value.dtype) not in "iu":
        raise DTypeError(
            _report(f"{what}: {name} must be made of integers, got {given}.")
        )
    size = known_size(cast(value, "int64"))
    text = f"{name} is at least {low}"
    return _checked(what, text, size, lambda n: n >= low, lambda n: ge(n, low))


def _checked(
    what: str,
    text: str,
    size: Size,
    holds: Callable[[int], bool],
    test: Callable[[Variable], Variable],
) -> Size:
    """A size that passes a test: now if it is known, else when it is computed."""
    if isinstance(size, int):
        if not holds(size):
            raise ParameterError(_report(f"{what}: {text}; got {size}."))
        return size
    return AssertValue(f"{what}: {text}")(size, test(size))


def _fits(
    what: str,
    name: str,
    number: Size,
    length: Size,
    size: Size,
    step: Size,
    covers: bool,
) -> Size:
    """A number of patches, if a patch fits into an axis and, if asked, they leave no rest."""
    fits = f"a patch fits into the {name}"
    no_rest = f"patches cover the {name} without a rest"
    if isinstance(length, int) and isinstance(size, int) and isinstance(step, int):
        broken = fits if size > length else no_rest
        if size > length or (covers and (length - size) % step):
            raise ShapeError(
                _report(
                    f"{what}: {broken}; got {length} elements, patches of {size} at steps of {step}."
                ).add("hint", "mode='ignore_borders' leaves a rest out." * covers)
            )
        return number
    checked = Assert(f"{what}: {fits}")(size_variable(number), le(size, length))
    if not covers:
        return checked
    rest = mod(size_variable(subtract_size(length, size)), step)
    return Assert(f"{what}: {no_rest}")(checked, eq(rest, 0))


def _report(text: str) -> Report:
    return Report(text, location_here())


__all__ = ["images2neibs", "neibs2images"]
