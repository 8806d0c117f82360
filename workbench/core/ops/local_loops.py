"""The C text of convolutions in which every place has filters of its own: plain loops.

Filters are read once and shared by nobody, so there is no matrix to multiply: what an image costs is
the reading of all filters. The zeros around an image are multiplied, too, as a NaN may meet them.

Read next: :mod:`workbench.core.ops.convolution`.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.core.graph import Apply
from workbench.core.ops.filters import Filtering

ORDERS = {"conv": "xwy", "conv_inputs": "ywx", "conv_filters": "xyw"}
"""For each op which of images x, filters w and results y are its two inputs, and which its output."""


def has_text(node: Apply) -> bool:
    """Whether there is text for an operation."""
    op = node.op
    assert isinstance(op, Filtering)
    return op.unshared and node.outputs[0].dtype in ("float32", "float64")


def local_text(node: Apply) -> str:
    """The loops of one range of iterations."""
    return "\n".join(_Text(node).lines())


def local_iterations(node: Apply) -> tuple[str, str]:
    """One for each line of the result, and how much is multiplied for it."""
    text = _Text(node)
    x, w, y, rank = text.x, text.w, text.y, text.rank
    places = [f"{y}_n{2 + a}" for a in range(rank)]
    kernel = [f"{w}_n{2 + rank + a}" for a in range(rank)]
    count, each = {
        "conv": ([f"{y}_n0", f"{y}_n1"], [*places, f"{w}_n{1 + rank}"]),
        "conv_inputs": ([f"{x}_n0", f"{x}_n1"], [*places, f"{y}_n1"]),
        "conv_filters": ([f"{y}_n1"], [*places, f"{w}_n{1 + rank}", f"{x}_n0"]),
    }[text.kind]
    return " * ".join(count), " * ".join(["4", *each, *kernel])


class _Text:
    """Names of arrays and sizes, and the loops that are made of them."""

    def __init__(self, node: Apply) -> None:
        assert isinstance(node.op, Filtering)
        self.op, self.rank, self.kind = node.op, node.op.rank, node.op.name
        names = dict(zip(ORDERS[self.kind], ("in0", "in1", "out"), strict=True))
        self.x, self.w, self.y = (names[letter] for letter in "xwy")

    def lines(self) -> list[str]:
        """All of them."""
        x, w, y = self.x, self.w, self.y
        axes = range(self.rank)
        sizes = [f"n{a} = {x}_n{2 + a}" for a in axes]
        sizes += [f"m{a} = {w}_n{2 + self.rank + a}" for a in axes]
        sizes += [f"z{a} = {self._zeros(a)}" for a in axes]
        lines = [
            f"const int64_t each = {w}_n{1 + self.rank}, some = {y}_n1 / {self.op.groups};",
            f"const int64_t {', '.join(sizes)};",
            "for (int64_t i = begin; i < end; ++i) {",
        ]
        return [*lines, *getattr(self, self.kind)(), "}"]

    def conv(self) -> list[str]:
        """One feature of one image: at every place a sum over what the filter meets."""
        y = self.y
        return [
            f"const int64_t image = i / {y}_n1, o = i % {y}_n1, first = o / some * each;",
            *self._places(),
            "out_t total = 0;",
            _loop("c", "each"),
            *self._elements(),
            f"total += {self._seen('first + c')} * {self._filter('c')};",
            *["}"] * self.rank,
            f"{self._result()} = total;",
            *["}"] * self.rank,
        ]

    def conv_inputs(self) -> list[str]:
        """One channel of one image: what all features of its group spread over it."""
        x = self.x
        sizes = " * ".join(f"n{a}" for a in range(self.rank))
        return [
            f"const int64_t image = i / {x}_n1, channel = i % {x}_n1;",
            "const int64_t c = channel % each, first = channel / each * some;",
            f"memset({x} + image * {x}_s0 + channel * {x}_s1, 0, sizeof(out_t) * (size_t)({sizes}));",
            _loop("o", "first + some", "first"),
            *self._places(),
            f"const out_t value = {self._result()};",
            *self._elements(),
            f"if ({self._inside()}) {self._image('channel')} += value * {self._filter('c')};",
            *["}"] * (2 * self.rank),
        ]

    def conv_filters(self) -> list[str]:
        """All filters of one feature: sums over images."""
        return [
            "const int64_t o = i, first = o / some * each;",
            *self._places(),
            _loop("c", "each"),
            *self._elements(),
            "out_t total = 0;",
            _loop("image", f"{self.x}_n0"),
            f"  total += {self._seen('first + c')} * {self._result()};",
            f"{self._filter('c')} = total;",
            *["}"] * (2 * self.rank),
        ]

    def _zeros(self, axis: int) -> str:
        """The zeros before an axis."""
        pad, d = self.op.pads[axis], self.op.dilation[axis]
        if not isinstance(pad, str):
            return str(pad[0])
        if pad == "valid":
            return "0"
        less = f"(m{axis} - 1) * {d}"
        return f"({less} + 1) / 2" if pad == "half" else less

    def _places(self) -> list[str]:
        """Loops over places, and where a filter there begins."""
        lines = []
        for a, step in enumerate(self.op.strides):
            lines += [
                _loop(f"p{a}", f"{self.y}_n{2 + a}") + " {",
                f"const int64_t b{a} = p{a} * {step} - z{a};",
            ]
        return lines

    def _elements(self) -> list[str]:
        """Loops over the elements of a filter, and what they meet."""
        lines = []
        for a, gap in enumerate(self.op.dilation):
            lines += [
                _loop(f"k{a}", f"m{a}") + " {",
                f"const int64_t at{a} = b{a} + k{a} * {gap};",
            ]
        return lines

    def _inside(self) -> str:
        """Whether what is met lies in the image, and not in the zeros around it."""
        tests = [f"(uint64_t)at{a} < (uint64_t)n{a}" for a in range(self.rank)]
        return " && ".join(tests)

    def _image(self, channel: str) -> str:
        return _element(
            self.x, ["image", f"({channel})", *(f"at{a}" for a in range(self.rank))]
        )

    def _seen(self, channel: str) -> str:
        return f"({self._inside()} ? {self._image(channel)} : 0)"

    def _filter(self, channel: str) -> str:
        places = [f"p{a}" for a in range(self.rank)]
        turned = [
            f"(m{a} - 1 - k{a})" if self.op.flip else f"k{a}" for a in range(self.rank)
        ]
        return _element(self.w, ["o", *places, channel, *turned])

    def _result(self) -> str:
        return _element(self.y, ["image", "o", *(f"p{a}" for a in range(self.rank))])


def _loop(name: str, end: str, begin: str = "0") -> str:
    return f"for (int64_t {name} = {begin}; {name} < {end}; ++{name})"


def _element(array: str, places: Sequence[str]) -> str:
    offset = " + ".join(f"{i} * {array}_s{a}" for a, i in enumerate(places))
    return f"{array}[{offset}]"
