"""The C text of operations with moving windows: one nest of loops, filled in by each.

The names are those of :class:`~workbench.core.op.Opaque`. In the text of a window ``o<a>`` is
its number along axis a, ``w<a>``, ``s<a>`` and ``p<a>`` are size, step and padding, it begins at
``b<a>`` and sees the elements ``b<a> + k`` for ``f<a> <= k < l<a>``.

Read next: :mod:`workbench.core.ops.pooling`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.core.graph import Apply, Variable
from workbench.core.op import known_int

NO_TEXT = ("float16", "complex64", "complex128")
"""Dtypes that C does not compute with; the reference runs instead."""


def window_text(
    node: Apply,
    settings: Sequence[Variable],
    *,
    whole: str,
    small: str,
    before: str,
    element: str,
    after: str,
    between: str = "",
    again: str = "",
    also: Sequence[str] = (),
    start: str = "",
) -> str:
    """Loops over all windows, and over the elements that each of them sees.

    Parameters
    ----------
    settings
        Variables for window sizes, steps and paddings, one an axis each.
    whole, small
        The array the windows move over, and one with an element a window; their pointers to
        the block of one set of leading indices are ``whole`` and ``small``.
    before, element, after
        Statements for a window and for an element it sees. ``$AT`` in the text is the element's
        offset from ``whole``, ``$K`` its number in the window, ``$TO`` the window's offset
        from ``small``.
    between, again
        Statements after the elements of a window, and for each of them once more.
    also
        Further arrays with an element a window: of ``in1`` the pointer is ``also_in1``, and
        ``$TO_in1`` the offset.
    start
        Statements for each set of leading indices.
    """
    rank = len(settings) // 3
    lead = node.outputs[0].ndim - rank
    axes = range(rank)
    lines = [
        f"const int64_t {letter}{a} = {_number(node, settings[k * rank + a])};"
        for k, letter in enumerate("wsp")
        for a in axes
    ]
    lines += [_loop(f"i{a}", "0", f"{small}_n{a}") for a in range(lead)]
    lines.append("{")
    for name, array in (
        ("whole", whole),
        ("small", small),
        *((f"also_{v}", v) for v in also),
    ):
        at = "".join(f" + i{a} * {array}_s{a}" for a in range(lead))
        const = "" if array == "out" else "const "
        lines.append(f"  {const}{array}_t *{name} = {array}{at};")
    lines.append("  " + start)
    for a in axes:
        n = f"{whole}_n{lead + a}"
        lines += [
            _loop(f"o{a}", "0", f"{small}_n{lead + a}") + " {",
            f"  const int64_t b{a} = o{a} * s{a} - p{a}, f{a} = b{a} < 0 ? -b{a} : 0,",
            f"                l{a} = {n} - b{a} < w{a} ? {n} - b{a} : w{a};",
        ]
    nest = " ".join(_loop(f"k{a}", f"f{a}", f"l{a}") for a in axes)
    texts = {
        "AT": " + ".join(f"(b{a} + k{a}) * {whole}_s{lead + a}" for a in axes),
        "K": _row_major([f"k{a}" for a in axes], [f"w{a}" for a in axes]),
        "TO": " + ".join(f"o{a} * {small}_s{lead + a}" for a in axes),
    }
    for v in also:
        texts[f"TO_{v}"] = " + ".join(f"o{a} * {v}_s{lead + a}" for a in axes)
    lines.append("  " + _fill(before, texts))
    if element:
        lines.append(f"  {nest} {{ {_fill(element, texts)} }}")
    if again:
        lines.append("  " + _fill(between, texts))
        lines.append(f"  {nest} {{ {_fill(again, texts)} }}")
    lines.append("  " + _fill(after, texts))
    lines += ["}"] * rank + ["}"]
    return "\n".join(line for line in lines if line.strip())


def place_text(rank: int, place: str) -> str:
    """Statements that find the element number `place` of a window, and whether it sees that."""
    lines, rest = [f"int64_t rest = {place};"], "rest"
    for a in reversed(range(rank)):
        lines.append(f"const int64_t k{a} = {rest} % w{a}; rest /= w{a};")
    seen = " && ".join(f"k{a} >= f{a} && k{a} < l{a}" for a in range(rank))
    return " ".join([*lines, f"const int seen = {seen};"])


def count_text(rank: int, whole: str, lead: int, with_padding: bool) -> str:
    """The number of places that a window covers, of its axes or of them and their padding."""
    parts = []
    for a in range(rank):
        if with_padding:
            end = f"({whole}_n{lead + a} + p{a} - b{a})"
            parts.append(f"({end} < w{a} ? {end} : w{a})")
        else:
            parts.append(f"(l{a} - f{a})")
    return " * ".join(parts)


def lowest_text(dtype: str) -> str:
    """The lowest value of a dtype, which every other takes the place of."""
    if dtype == "bool":
        return "0"
    if np.dtype(dtype).kind == "f":
        return "-INFINITY"
    low = int(np.iinfo(dtype).min)
    return f"({low + 1} - 1)" if low else "0"


def _number(node: Apply, variable: Variable) -> str:
    known = known_int(variable)
    return str(known) if known is not None else f"in{node.inputs.index(variable)}[0]"


def _loop(name: str, first: str, last: str) -> str:
    return f"for (int64_t {name} = {first}; {name} < {last}; ++{name})"


def _row_major(places: Sequence[str], sizes: Sequence[str]) -> str:
    text = places[0]
    for place, size in zip(places[1:], sizes[1:], strict=True):
        text = f"({text}) * {size} + {place}"
    return text


def _fill(text: str, texts: dict[str, str]) -> str:
    for name in sorted(texts, key=len, reverse=True):
        text = text.replace(f"${name}", f"({texts[name]})")
    return text
