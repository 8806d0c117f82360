"""Where filters meet images: padding, steps, sizes, and what to say when they do not fit.

Images x are ``[batch, channels, *sizes]``, filters w ``[features, channels / groups, *sizes]``
and results y ``[batch, features, *places]``. Unshared filters, of which every place has its
own, are ``[features, *places, channels / groups, *sizes]``.

Read next: :mod:`workbench.core.ops.convolution`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from workbench.core.errors import Report, ShapeError
from workbench.core.graph import Apply, Variable
from workbench.core.op import Opaque, Size, Sizes, known_size
from workbench.core.ops.shape import (
    add_size,
    divide_size,
    product_size,
    subtract_size,
)
from workbench.core.source import Location
from workbench.core.types import Array

Pad = tuple[int, int] | str
"""Zeros before and after an axis, or a rule that depends on the filter: see :func:`padding`."""

Trio = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]
"""Sizes of images, filters and results, ``None`` for what is not known."""


def padding(pad: Pad, reach: Size) -> tuple[Size, Size]:
    """Zeros before and after an axis along which a filter has `reach`, gaps included.

    ``"full"`` lets filter and image meet in one element, ``"half"`` keeps the size for an
    odd reach, ``"causal"`` puts all in front, so that no result sees what comes after it.
    """
    if pad == "full":
        return (less := subtract_size(reach, 1)), less
    if pad == "half":
        return (half := divide_size(reach, 2)), half
    if pad == "causal":
        return subtract_size(reach, 1), 0
    assert not isinstance(pad, str)
    return pad


@dataclass(frozen=True)
class Filtering(Opaque):
    """What operations with moving filters share.

    Attributes
    ----------
    pads
        For each axis the zeros around the images: see :func:`padding`.
    strides, dilation
        For each axis the step from place to place, and that from element to element of a filter.
    groups
        Channels and features are cut into so many groups that do not see each other.
    flip
        Whether filters are turned round first.
    unshared
        Whether every place has filters of its own.
    """

    pads: tuple[Pad, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    flip: bool = True
    unshared: bool = False

    is_spread: ClassVar[bool] = False
    """Whether results are given, and images made of them."""

    @property
    def rank(self) -> int:
        """The number of axes along which filters move."""
        return len(self.strides)

    def trio(self, shapes: Sequence[Sequence[Any]], sizes: Sequence[Any]) -> Trio:
        """Sizes of x, w and y from those of the two that are given, and of the wanted one."""
        raise NotImplementedError

    # --- sizes

    def kernel(self, w: Sequence[Any]) -> Sequence[Any]:
        """The sizes of a filter along the axes where it moves."""
        return w[len(w) - self.rank :]

    def seen(self, w: Sequence[Any]) -> Any:
        """How many channels one filter sees."""
        return w[len(w) - self.rank - 1]

    def reach(self, axis: int, size: Size) -> Size:
        """From the first to the last element of a filter, gaps included."""
        return add_size(product_size([subtract_size(size, 1), self.dilation[axis]]), 1)

    def padding(self, axis: int, size: Size) -> tuple[Size, Size]:
        """Zeros before and after an axis, for filters of a size."""
        return padding(self.pads[axis], self.reach(axis, size))

    def room(self, axis: int, image: Size, size: Size) -> Size:
        """By how much a padded image is longer than the reach of a filter."""
        before, after = self.padding(axis, size)
        whole = add_size(image, add_size(before, after))
        return subtract_size(whole, self.reach(axis, size))

    def must_fit(self, axis: int, places: int | None = None) -> bool:
        """Whether filters larger than the images are an error, and not just without a place.

        Full padding leaves room for any filter, be the images empty. Images that are made of
        results, of no `places`, may be smaller than a filter.
        """
        return self.pads[axis] != "full" and not (self.is_spread and places == 0)

    def places(self, image: Sequence[Any], size: Sequence[Any]) -> tuple[Any, ...]:
        """At how many places filters meet an image, axis by axis; None where not known."""
        found: list[Size | None] = []
        for axis, (n, k) in enumerate(zip(image, size, strict=True)):
            if n is None or k is None:
                found.append(None)
            else:
                steps = divide_size(self.room(axis, n, k), self.strides[axis])
                found.append(add_size(steps, 1))
        return tuple(found)

    def own_places(
        self, w: Sequence[Any], places: Sequence[Any]
    ) -> list[tuple[Any, Any]]:
        """For how many places there are filters, and how many there are; nothing when all share."""
        if not self.unshared:
            return []
        return list(zip(w[1 : 1 + self.rank], places, strict=True))

    def size_checks(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size, Size]]:
        """Batches, channels, features and places agree, and groups divide."""
        x, w, y = self.trio(shapes[:2], wanted_sizes(node))
        places = self.places(x[2:], self.kernel(w))
        each = self.seen(w)
        channels = None if each is None else product_size([each, self.groups])
        pairs = [(0, x[0], y[0]), (1, x[1], channels), (1, y[1], w[0])]
        pairs += [(axis, n, self._whole(n)) for axis, n in ((1, x[1]), (1, y[1]))]
        pairs += [(0, w[0], self._whole(w[0]))]
        pairs += [
            (2 + k, a, b) for k, (a, b) in enumerate(zip(y[2:], places, strict=True))
        ]
        own = enumerate(self.own_places(w, places))
        pairs += [(1 + k, a, b) for k, (a, b) in own]
        return [p for p in pairs if p[1] is not None and p[2] is not None]

    def _whole(self, size: Size | None) -> Size | None:
        """A size less what is left when groups divide it; None for what need not be checked."""
        if size is None or self.groups == 1:
            return None
        return product_size([divide_size(size, self.groups), self.groups])

    def sizes_from_zero(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[tuple[int, Size]]:
        """Filters have elements, and fit into the padded images."""
        x, w, _ = self.trio(shapes[:2], wanted_sizes(node))
        found: list[tuple[int, Size]] = []
        for axis, (n, k) in enumerate(zip(x[2:], self.kernel(w), strict=True)):
            found.append((2 + axis, subtract_size(k, 1)))
            if self.must_fit(axis, places=0):  # else numbers of places are compared
                found.append((2 + axis, self.room(axis, n, k)))
        return found

    # --- errors

    def check(
        self, inputs: Sequence[Variable], trio: Trio, line: Location | None
    ) -> None:
        """Raise a :class:`ShapeError` where sizes that are known do not fit."""
        for problem, hint in self._problems(*trio):
            names = ", ".join(v.label() for v in inputs if v.ndim)
            report = Report(f"{self.title}({names}): {problem}", line)
            rows = [
                [str(i), v.label(), str(v.type), str(v.location or "")]
                for i, v in enumerate(inputs)
                if v.ndim
            ]
            report.table("input", ["", "name", "type", "from"], rows)
            raise ShapeError(report.add("hint", hint))

    def _problems(
        self, x: Sequence[Any], w: Sequence[Any], y: Sequence[Any]
    ) -> Iterator[tuple[str, str]]:
        """What does not fit, and what to do."""
        groups, each, first = self.groups, self.seen(w), len(w) - self.rank
        for what, axis, size in (
            ("channels of the images", 1, x[1]),
            ("filters", 0, w[0]),
            ("channels of the gradient", 1, y[1]),
        ):
            if size is not None and size % groups:
                yield (
                    f"{groups} groups do not divide the {size} {what} (axis {axis}).",
                    "num_groups must divide the number of channels and that of filters.",
                )
        if None not in (x[1], each) and x[1] != each * groups:
            several = f" in each of {groups} groups" if groups > 1 else ""
            yield (
                f"the images have {x[1]} channels (axis 1), "
                f"but the filters are for {each}{several} (axis {first - 1}).",
                f"axis {first - 1} of the filters must be the number of channels"
                + (f", divided by num_groups={groups}." if groups > 1 else "."),
            )
        for k, (n, size) in enumerate(zip(x[2:], self.kernel(w), strict=True)):
            if size == 0:
                yield (
                    f"the filters have size 0 on axis {first + k}.",
                    "a filter needs one element at least.",
                )
            elif None not in (n, size) and self.must_fit(k, y[2 + k]):
                yield from self._too_large(k, n, size, first + k)
        places = self.places(x[2:], self.kernel(w))
        pairs = [("images", 0, y[0], x[0]), ("channels", 1, y[1], w[0])]
        pairs += [
            ("places", 2 + k, a, b)
            for k, (a, b) in enumerate(zip(y[2:], places, strict=True))
        ]
        for what, axis, given, wanted in pairs:
            if None not in (given, wanted) and given != wanted:
                yield (
                    f"the gradient is for {given} {what} (axis {axis}), the convolution has {wanted}.",
                    "the gradient must have the shape of the convolution's result.",
                )
        for k, (given, wanted) in enumerate(self.own_places(w, places)):
            if None not in (given, wanted) and given != wanted:
                yield (
                    f"there are filters for {given} places (axis {1 + k}), the convolution has {wanted}.",
                    "unshared filters are [features, *places, channels, *sizes].",
                )

    def _too_large(
        self, axis: int, image: int, size: int, at: int
    ) -> Iterator[tuple[str, str]]:
        room, reach = self.room(axis, image, size), self.reach(axis, size)
        assert isinstance(room, int) and isinstance(reach, int)
        if room >= 0:
            return
        padded = room + reach
        filters = f"{size} elements (axis {at})"
        if reach != size:
            filters += f" that reach over {reach}"
        images = f"{image} (axis {2 + axis})"
        if padded != image:
            images += f", padded to {padded}"
        yield (
            f"the filters are larger than the images: {filters}, but {images}.",
            "use smaller filters or larger images, or pad: border_mode='half', 'full' or a number.",
        )

    @property
    def title(self) -> str:
        """``conv2d``, or what users call its adjoints."""
        return f"conv{self.rank}d"

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As for any op, with the sizes named when they do not fit."""
        sizes = [int(a) for a in inputs[2:]]
        trio = self.trio([a.shape for a in inputs[:2]], sizes)
        self.check(node.inputs, trio, node.origin.location)
        return super().evaluate(node, inputs)

    def __str__(self) -> str:
        zeros, ones = ((0, 0),) * self.rank, (1,) * self.rank
        plain = (zeros, ones, ones, 1, True, False)
        pairs = [(f.name, getattr(self, f.name)) for f in fields(self)]
        other = [
            f"{name}={value}"
            for (name, value), usual in zip(pairs, plain, strict=True)
            if value != usual
        ]
        return self.title + (f"{{{', '.join(other)}}}" if other else "")


def wanted_sizes(node: Apply) -> list[Size]:
    """The sizes of the result that the inputs after the second say."""
    return [known_size(size) for size in node.inputs[2:]]
