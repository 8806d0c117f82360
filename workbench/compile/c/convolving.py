"""Kernels of convolutions: what ``conv.h`` must know of one, written as C.

Read next: ``conv.h``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.compile.c.operands import Matrix
from workbench.compile.loops import Index
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Apply
from workbench.core.ops.convolution import Conv, ConvFilters, ConvInputs
from workbench.core.ops.filters import Filtering

BITS = {"float32": 32, "float64": 64}
"""The dtypes that there are kernels for, and what tells them apart in ``conv.h``."""


def headers(node: Apply) -> tuple[str, ...]:
    """What stands before a kernel; groups have loops of their own."""
    names = ["conv.h", "planes.h", "tiles.h"]
    if _in_groups(node):
        names.append("direct.h")
    bits = BITS[node.outputs[0].dtype]
    return (
        f"#define WB_BITS {bits}",
        *(f'#include "{name}"' for name in names),
        "#undef WB_BITS",
    )


def _in_groups(node: Apply) -> bool:
    assert isinstance(node.op, Filtering)
    return node.op.groups > 1


HIDDEN = '__attribute__((visibility("hidden")))'
_HEADERS = re.compile(
    r"^#define WB_BITS \d+\n(?:#include .*\n)+#undef WB_BITS\n", re.MULTILINE
)
_CALLED = re.compile(r"\bwb_(?:direct|tiled)_[a-z]+_(float\d+)\b")


def called_apart(text: str) -> tuple[str, list[str]]:
    """A kernel's text that calls a function of the headers compiled apart, once for all.

    Beside it the text of that function; nothing if the kernel calls none. The headers take
    a compiler ten times as long as the kernel.
    """
    found = _HEADERS.search(text)
    called = _CALLED.search(text)
    if found is None or called is None:
        return text, []
    name, dtype = called[0], called[1]
    head = f"WB_CONVOLUTION({name}_apart, {C_TYPES[dtype]})"
    text = text.replace(found[0], f'#include "conv.h"\n{HIDDEN} {head};\n')
    body = f"WB_ONCE {head} {{ return {name}(c, v, first, second, out, memory); }}\n"
    return _CALLED.sub(rf"{name}_apart", text), [found[0] + body]


def calls_headers(source: str) -> bool:
    """Whether a program has a kernel that calls what takes long to compile."""
    return _HEADERS.search(source) is not None


def has_convolution(node: Apply) -> bool:
    """Whether there is a kernel for a convolution or one of its adjoints."""
    op = node.op
    return (
        isinstance(op, Conv | ConvInputs | ConvFilters)
        and not op.unshared
        and node.outputs[0].dtype in BITS
    )


def convolution(
    node: Apply, operands: Sequence[Matrix], output: Matrix, slot: int
) -> list[str]:
    """Images, filters or results from the other two; scratch memory lies in a slot."""
    op, (first, second) = node.op, operands[:2]
    assert isinstance(op, Filtering)
    dtype = node.outputs[0].dtype
    if isinstance(op, Conv):
        function, x, w, y = "results", first, second, output
    elif isinstance(op, ConvInputs):
        function, x, w, y = "images", output, second, first
    else:
        function, x, w, y = "weights", first, output, second
    name = f"wb_{'direct' if _in_groups(node) else 'tiled'}_{function}_{dtype}"
    pointers = ", ".join(m.pointer for m in (first, second, output))
    call = f"{name}(c, &conv, {pointers}, "
    return [
        "const wb_conv conv = {",
        *(f"  {line}" for line in _fields(op, x, w, y)),
        "};",
        f"void *const scratch = wb_slot_of(c, {slot}, {call}NULL));",
        "if (!scratch) return WB_OUT_OF_MEMORY;",
        f"return (int){call}scratch);",
    ]


def _fields(op: Filtering, x: Matrix, w: Matrix, y: Matrix) -> list[str]:
    """The members of a ``wb_conv``, with axes of size 1 in front of fewer than three."""
    ones = (Index.of(1),) * (3 - op.rank)
    front = 3 - op.rank

    def three(sizes: Sequence[Index]) -> str:
        return _braced((*ones, *sizes[-op.rank :]))

    def strides(place: Matrix) -> str:
        two, last = place.strides[:2], place.strides[2:]
        return _braced((*two, *(Index.of(0),) * front, *last))

    def numbers(each: Sequence[int], other: int) -> str:
        return _braced([Index.of(n) for n in (*(other,) * front, *each)])

    pads = [_zeros_in_front(op, axis, w.sizes[2 + axis]) for axis in range(op.rank)]
    zeros = (Index.of(0),) * front
    return [
        f".batch = {x.sizes[0].text}, .channels = {x.sizes[1].text}, "
        f".features = {y.sizes[1].text}, .groups = {op.groups},",
        f".image = {three(x.sizes)}, .filter = {three(w.sizes)}, .place = {three(y.sizes)},",
        f".pad = {_braced((*zeros, *pads))}, .stride = {numbers(op.strides, 1)}, "
        f".gap = {numbers(op.dilation, 1)}, .flip = {int(op.flip)},",
        f".x = {strides(x)}, .w = {strides(w)}, .y = {strides(y)},",
    ]


def _zeros_in_front(op: Filtering, axis: int, size: Index) -> Index:
    """The zeros before an axis, for filters of a size that may be known only when run."""
    pad = op.pads[axis]
    if size.value is not None or not isinstance(pad, str):
        before, _ = op.padding(axis, size.value or 1)
        assert isinstance(before, int)
        return Index.of(before)
    less = (size - 1) * op.dilation[axis]
    return Index(f"({less.text} + 1) / 2") if pad == "half" else less


def _braced(indices: Sequence[Index]) -> str:
    return "{" + ", ".join(i.text for i in indices) + "}"
