"""Convolutions in the form that costs least: adjoints that were written by hand, flips, one place.

Images x, filters w and results y take part in one trilinear form, in which the three may change
roles: see :mod:`workbench.core.ops.convolution`. Programs of the tradition write the gradients
of a convolution as convolutions of transposed and turned arrays; each is the adjoint itself,
which reads no zeros and rearranges nothing.

A convolution with filters of one element and steps of one needs no rule: its kernel multiplies
the filters and the images as they lie. As a product of arrays it takes up to three times as long
(64 images of 32 channels, 28 x 28, to 128 channels: 10 ms, against 15 to 30).

Read next: ``workbench/compile/c/conv.h``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.indexing import TURNED, WHOLE, entries_of, taken
from workbench.compile.rules.products import node_of
from workbench.core.graph import Apply, Variable
from workbench.core.op import Op, Size, known_int
from workbench.core.ops.convolution import Conv, ConvFilters, ConvInputs, Convolving
from workbench.core.ops.filters import Pad
from workbench.core.ops.linalg import Dot
from workbench.core.ops.shape import (
    dimshuffle,
    product_size,
    reshape,
    size_variable,
)
from workbench.core.ops.slicing import Slice
from workbench.core.ops.ufunc import DimShuffle

# --- filters that are turned round ------------------------------------------------------


@node_rule(Conv, ConvInputs, some=(Slice, DimShuffle))
def convolution_of_turned(node):
    """Filters turned round and filters that are to be turned round are two ways to say it."""
    first, w, *sizes = node.inputs
    plain = _unturned(w, node.op.rank)
    if plain is None:
        return None
    return _like(node.op, type(node.op), flip=not node.op.flip)(first, plain, *sizes)


@node_rule(Slice, some=(ConvFilters, DimShuffle))
def turned_gradient(node, context):
    """The gradient by filters, turned round, is the gradient by filters that were not."""
    made, order = node.inputs[0], None
    if (shuffled := node_of(made, DimShuffle)) is not None:
        made, order = shuffled.inputs[0], shuffled.op.order
    inner = node_of(made, ConvFilters)
    if inner is None or not _is_turn(node, inner.op.rank):
        return None
    if order is not None and not _keeps_last(order, made.ndim, inner.op.rank):
        return None
    if not context.read_once(made) or not context.read_once(node.inputs[0]):
        return None
    turned = _like(inner.op, ConvFilters, flip=not inner.op.flip)(*inner.inputs)
    return turned if order is None else DimShuffle(order)(turned)


def _unturned(w: Variable, rank: int) -> Variable | None:
    """What `w` turns round along its last `rank` axes, with other axes exchanged as in `w`."""
    node = w.owner
    if node is None:
        return None
    if isinstance(node.op, Slice):
        return node.inputs[0] if _is_turn(node, rank) else None
    x = node.inputs[0]
    if not isinstance(node.op, DimShuffle) or not _keeps_last(
        node.op.order, x.ndim, rank
    ):
        return None
    plain = _unturned(x, rank)
    return None if plain is None else DimShuffle(node.op.order)(plain)


def _keeps_last(order: Sequence[int | str], ndim: int, rank: int) -> bool:
    """Whether the last `rank` axes of `ndim` stay the last, in order."""
    return tuple(order[-rank:]) == tuple(range(ndim - rank, ndim))


def _is_turn(node: Apply, rank: int) -> bool:
    """Whether a slice turns its last `rank` axes round and does nothing else; one of size 1 may stay."""
    x, entries = node.inputs[0], entries_of(node)
    last = x.ndim - rank
    pairs = list(zip(entries, x.type.shape, strict=True))
    return all(e == WHOLE for e in entries[:last]) and all(
        e == TURNED or (size == 1 and e == WHOLE) for e, size in pairs[last:]
    )


# --- other roles ------------------------------------------------------------------------


@node_rule(Conv, tags=["finite_math"])
def padded_convolution(node, context):
    """With more than half a filter of zeros around the images, it is the adjoint of one with fewer.

    The full convolution is that of one without any; so is a gradient by images that is written by
    hand. It multiplies no zeros, and so makes no NaN of a zero and an infinite filter. With as
    many channels as features that gains nothing; with 64 and 16 it is twice as fast, with the
    25 and 10 of a LeNet 4 times.
    """
    op, (x, w) = node.op, node.inputs
    pads = _complement(op, op.kernel(context.sizes(w)))
    if pads is None or not _can_change_places(op, context):
        return None
    if not _is_cheaper(node, ConvInputs, context, unknown=_transposed(w) is not None):
        return None
    sizes = map(size_variable, context.sizes(node.output)[2:])
    other = _like(op, ConvInputs, pads=pads, flip=not op.flip)
    return other(x, _exchanged(w), *sizes)


@node_rule(ConvInputs, tags=["finite_math"])
def padded_adjoint(node, context):
    """The adjoint of a convolution with many zeros is a convolution with few."""
    op, (y, w) = node.op, node.inputs[:2]
    pads = _complement(op, op.kernel(context.sizes(w)))
    if pads is None or not _can_change_places(op, context):
        return None
    if not _is_cheaper(node, Conv, context):
        return None
    other = _like(op, Conv, pads=pads, flip=not op.flip)
    return other(y, _exchanged(w))


@node_rule(ConvFilters, tags=["finite_math"])
def padded_gradient(node, context):
    """Of a convolution with many zeros images and results change places, and there are few."""
    op, (x, y, *sizes) = node.op, node.inputs
    pads = _complement(op, [known_int(size) for size in sizes])
    if pads is None or not _can_change_places(op, context):
        return None
    if not _is_cheaper(node, ConvFilters, context):
        return None
    other = _like(op, ConvFilters, pads=pads, flip=not op.flip)
    return _exchanged(other(y, x, *sizes))


MADE, SPREAD = 30, 50
"""What an element of a column costs, in multiplications and additions of a product."""

WORTH = 1.3
"""How many times as long it must take for a change: nearer to 1 either may be the faster."""


def _is_cheaper(
    node: Apply, kind: type[Convolving], context: Context, unknown: bool = False
) -> bool:
    """Whether it takes less time with images and results exchanged; `unknown` where sizes are not known.

    For each place of the results there is a column with the elements of a filter for all channels.
    """
    op, made = node.op, context.sizes(node.output)
    x, y = (context.sizes(v) for v in node.inputs[:2])
    if not isinstance(op, ConvFilters):
        x, y = (made, x) if isinstance(op, ConvInputs) else (x, made)
    known = [n if isinstance(n, int) else 0 for n in (*x[1:], *y[1:])]
    if 0 in known and not unknown:
        context.refuse("sizes are not known, or may be 0")
    if 0 in known:
        return unknown
    half = len(known) // 2
    (channels, *image), (features, *places) = known[:half], known[half:]
    now = math.prod(places) * channels * (2 * features + _column(type(op)))
    then = math.prod(image) * features * (2 * channels + _column(kind))
    if WORTH * then < now:
        return True
    context.refuse("columns of the results have more elements than those of the images")
    return False


def _column(kind: type[Op]) -> int:
    return SPREAD if issubclass(kind, ConvInputs) else MADE


def _can_change_places(op: Convolving, context: Context) -> bool:
    """Whether images and results can: each place of one is a place of the other."""
    if set(op.strides) != {1}:
        context.refuse("steps of more than one leave places out")
    elif op.groups > 1 or op.unshared:
        context.refuse("filters are for a group, or for one place")
    else:
        return True
    return False


def _complement(
    op: Convolving, kernel: Sequence[Size | None]
) -> tuple[Pad, ...] | None:
    """The zeros when images and results change places, None unless these are fewer."""
    found: list[Pad] = []
    saved = 0
    for axis, (pad, size) in enumerate(zip(op.pads, kernel, strict=True)):
        if pad == "full":
            found.append((0, 0))
            saved += size != 1
            continue
        if not isinstance(size, int):
            return None
        less = (size - 1) * op.dilation[axis]
        before, after = op.padding(axis, size)
        if not isinstance(before, int) or not isinstance(after, int):
            return None
        rest = less - before, less - after
        if min(rest) < 0 or sum(rest) > before + after:
            return None
        found.append(rest)
        saved += sum(rest) < before + after
    return tuple(found) if saved else None


def _exchanged(w: Variable) -> Variable:
    """Filters of which images and results have changed places."""
    return dimshuffle(w, 1, 0, *range(2, w.ndim))


@node_rule(Conv, every=DimShuffle)
def gradient_by_hand(node, context):
    """Images and filters with channels exchanged for the batch make the gradient by filters.

    So programs write it that convolve images and the gradients of results. The adjoint adds up
    over images of small filters in place of sliding large ones: up to 3 times as fast.
    """
    op = node.op
    x, y = (_transposed(v) for v in node.inputs)
    if x is None or y is None or op.groups > 1 or op.unshared:
        return None
    if op.flip and any(n != 1 for n in op.kernel(context.sizes(node.inputs[1]))):
        return context.refuse("the filters are turned round, as in no gradient")
    large, small = context.sizes(y)[2:], context.sizes(node.output)[2:]
    elements, places = product_size(large), product_size(small)
    if isinstance(elements, int) and isinstance(places, int) and elements < places:
        return context.refuse("the result is larger than the filters {}", y)
    pads = _numbers(op, large)
    if pads is None or not _fits(op, pads, context.sizes(x)[2:], large):
        return context.refuse("places and elements of {} may not fit", y)
    other = _like(
        op, ConvFilters, pads=pads, strides=op.dilation, dilation=op.strides, flip=False
    )
    return _exchanged(other(x, y, *map(size_variable, small)))


def _transposed(v: Variable) -> Variable | None:
    """What `v` is with its first two axes exchanged, if it is written so."""
    node = node_of(v, DimShuffle)
    if node is None or node.op.order != (1, 0, *range(2, v.ndim)):
        return None
    return node.inputs[0]


def _numbers(op: Convolving, kernel: Sequence[Size]) -> tuple[Pad, ...] | None:
    """The zeros on each side in numbers, None where they depend on sizes that are not known."""
    found: list[Pad] = []
    for axis, (pad, size) in enumerate(zip(op.pads, kernel, strict=True)):
        before, after = op.padding(axis, size) if isinstance(pad, str) else pad
        if not isinstance(before, int) or not isinstance(after, int):
            return None
        found.append((before, after))
    return tuple(found)


def _fits(
    op: Convolving, pads: Sequence[Pad], image: Sequence[Size], kernel: Sequence[Size]
) -> bool:
    """Whether filters as far apart as places, at places as far apart as filters, meet `kernel` times."""
    for axis, (step, gap) in enumerate(zip(op.strides, op.dilation, strict=True)):
        if step <= gap:
            continue  # what remains after the last place is shorter than a gap
        n, k, pad = image[axis], kernel[axis], pads[axis]
        if not isinstance(n, int) or not isinstance(k, int):
            return False
        assert not isinstance(pad, str)
        if (n + sum(pad) - (k - 1) * gap - 1) % step >= gap:
            return False
    return True


# --- one place --------------------------------------------------------------------------


@node_rule(Conv)
def convolution_of_one_place(node, context):
    """Filters as large as the images meet them once: a product of matrices, for all images at once.

    1.2 to 5 times as fast as one for every image.
    """
    op, (x, w) = node.op, node.inputs
    if not _meet_once(op, context.sizes(x)[2:], context.sizes(w)[2:]):
        return None
    w = _turned(op, w)
    product = Dot()(_rows(x, context), dimshuffle(_rows(w, context), 1, 0))
    return reshape(product, context.sizes(node.output))


@node_rule(ConvInputs)
def inputs_of_one_place(node, context):
    """The same for the gradient by images: 2 to 20 times as fast."""
    op, (y, w, *sizes) = node.op, node.inputs
    known = [known_int(size) for size in sizes]
    if not _meet_once(op, known, context.sizes(w)[2:], context.sizes(y)[2:]):
        return None
    product = Dot()(_rows(y, context), _rows(_turned(op, w), context))
    return reshape(product, context.sizes(node.output))


@node_rule(ConvFilters)
def filters_of_one_place(node, context):
    """The same for the gradient by filters: 2 to 7 times as fast."""
    op, (x, y, *sizes) = node.op, node.inputs
    known = [known_int(size) for size in sizes]
    if not _meet_once(op, context.sizes(x)[2:], known, context.sizes(y)[2:]):
        return None
    product = Dot()(dimshuffle(_rows(y, context), 1, 0), _rows(x, context))
    return _turned(op, reshape(product, context.sizes(node.output)))


def _meet_once(
    op: Convolving,
    image: Sequence[Size | None],
    kernel: Sequence[Size | None],
    places: Sequence[Size] = (),
) -> bool:
    """Whether filters, that have no gaps, are as large as images without zeros around them."""
    if op.groups > 1 or op.unshared or any(n != 1 for n in places):
        return False
    for axis, (n, k) in enumerate(zip(image, kernel, strict=True)):
        if not isinstance(n, int) or not isinstance(k, int) or n != k or k == 0:
            return False
        if op.padding(axis, k) != (0, 0) or (op.dilation[axis] > 1 and k > 1):
            return False
    return True


def _rows(v: Variable, context: Context) -> Variable:
    """A row for each image or filter."""
    sizes = context.sizes(v)
    return reshape(v, (sizes[0], product_size(sizes[1:])))


def _turned(op: Convolving, w: Variable) -> Variable:
    """Filters turned round, if they are to be."""
    if not op.flip or all(size == 1 for size in w.type.shape[2:]):
        return w
    return taken(w, [WHOLE, WHOLE, *[TURNED] * op.rank])


def _like(op: Convolving, kind: type[Convolving], **changed: Any) -> Convolving:
    """An operation of a kind with the parameters of another, but for some."""
    return kind(**{f.name: getattr(op, f.name) for f in fields(op)} | changed)


RULES = tagged(
    "convolution",
    convolution_of_turned,
    turned_gradient,
    gradient_by_hand,
    padded_convolution,
    padded_adjoint,
    padded_gradient,
    convolution_of_one_place,
    inputs_of_one_place,
    filters_of_one_place,
)
