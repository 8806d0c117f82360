"""The C text of operations with moving windows: nests of loops, filled in by each.

Windows are taken a stretch of the last axis at a time. Those that lie within the axis are found
once, and what they see is gathered line by line for all of them together, so nothing is asked of
single elements and the loops become vectors. The few that reach over a border come one by one.

The names are those of :class:`~workbench.core.op.Opaque`. In the text of a window ``w<a>``,
``s<a>`` and ``p<a>`` are size, step and padding along axis a, ``n<a>`` is the size of the array there;
the window begins at ``b<a>``, and along all axes but the last it sees the elements ``b<a> + k``
for ``f<a> <= k < l<a>``.

Read next: :mod:`workbench.core.ops.pooling`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.core.graph import Apply, Variable
from workbench.core.op import known_int

NO_TEXT = ("float16", "complex64", "complex128")
"""Dtypes that C does not compute with; the reference runs instead."""

UNROLLED = 8
"""Up to this width a window's elements are gathered before they are kept."""

STRETCH = 256
"""How many windows a stretch has: what is kept of them stays in the nearest cache."""


def window_text(
    node: Apply,
    settings: Sequence[Variable],
    *,
    whole: str,
    small: str,
    held: str = "",
    before: str = "",
    element: str = "",
    after: str = "",
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
    held
        Declarations for a stretch of windows: arrays of `STRETCH` elements.
    before, element, after
        Statements for window ``q`` of a stretch, and for an element it sees. ``$AT`` in the text is the
        element's offset from ``whole``, ``$K`` its number in the window, ``$TO`` the window's
        offset from ``small``.
    also
        Further arrays with an element a window: of ``in1`` the pointer is ``also_in1``, and
        ``$TO_in1`` the offset.
    start
        Statements for each set of leading indices.
    """
    rank = len(settings) // 3
    lead = node.outputs[0].ndim - rank
    last = rank - 1
    windows = f"{small}_n{lead + last}"
    others = {f"also_{v}": v for v in also}
    lines = [
        *_settings(node, settings, whole, lead),
        # Once at least, for what comes at the start.
        f"for (int64_t first = 0; first == 0 || first < {windows}; first += {STRETCH}) {{",
        f"const int64_t many = {windows} - first < {STRETCH} ? {windows} - first : {STRETCH};",
        held,
        *_blocks(lead, {"whole": whole, "small": small, **others}, small),
        f"if (first == 0) {{ {start} }}" if start else "",
    ]
    for a in range(last):
        lines += [
            _loop(f"o{a}", "0", f"{small}_n{lead + a}") + " {",
            f"const int64_t b{a} = o{a} * s{a} - p{a}, f{a} = b{a} < 0 ? -b{a} : 0,",
            f"              l{a} = n{a} - b{a} < w{a} ? n{a} - b{a} : w{a};",
        ]
    number = _row_major([f"k{a}" for a in range(rank)], [f"w{a}" for a in range(rank)])
    places = [f"(b{a} + k{a}) * {whole}_s{lead + a}" for a in range(last)]
    places.append(
        f"((first + q) * s{last} - p{last} + k{last}) * {whole}_s{lead + last}"
    )
    texts = {
        "AT": " + ".join(places),
        "K": number,
        "TO": _offset(small, lead, rank),
        **{f"TO_{v}": _offset(v, lead, rank) for v in also},
    }
    if before:
        lines.append(f"{_loop('q', '0', 'many')} {{ {_fill(before, texts)} }}")
    if element:
        width = known_int(settings[last])
        together = whole != "out" and width is not None and width <= UNROLLED
        lines += _all_seen(last, _fill(element, texts), width if together else None)
    if after:
        lines.append(f"{_loop('q', '0', 'many')} {{ {_fill(after, texts)} }}")
    return _joined([*lines, *["}"] * (last + 2)])


def _all_seen(last: int, statement: str, width: int | None) -> list[str]:
    """Loops over the elements that the windows of a stretch see along axis `last` and those before.

    Parameters
    ----------
    width
        Of the windows, where all elements of a line may be gathered at once. Where the statement
        writes to them, windows do not meet in an element only if it is the same one of each.
    """
    outer = [_loop(f"k{a}", f"f{a}", f"l{a}") for a in range(last)]
    interior = f"WB_INDEPENDENT {_loop('q', 'left', 'right')}"
    if width is None:
        along = _loop(f"k{last}", "0", f"w{last}")
        inside = [f"{along} {interior} {{ {statement} }}"]
    else:
        numbers = [f"const int64_t k{last} = {k};" for k in range(width)]
        inside = [f"{interior} {{", *(f"{{ {k} {statement} }}" for k in numbers), "}"]
    return [
        *_interior(last),
        # The windows that reach over a border, one after the other.
        "for (int64_t q = left ? 0 : right; q < many; q = q + 1 == left ? right : q + 1) {",
        f"const int64_t b = (first + q) * s{last} - p{last}, f = b < 0 ? -b : 0,",
        f"              l = n{last} - b < w{last} ? n{last} - b : w{last};",
        *outer,
        f"{_loop(f'k{last}', 'f', 'l')} {{ {statement} }}",
        "}",
        *outer,
        *inside,
    ]


def place_text(rank: int, place: str) -> str:
    """Statements that find the element number `place` of window q, and whether it sees that."""
    lines = [begin_text(rank), f"int64_t rest = {place};"]
    for a in reversed(range(rank)):
        lines.append(f"const int64_t k{a} = rest % w{a}; rest /= w{a};")
    seen = " & ".join(
        f"((uint64_t)(b{a} + k{a}) < (uint64_t)n{a})" for a in range(rank)
    )
    return " ".join([*lines, f"const int seen = {seen};"])


def begin_text(rank: int) -> str:
    """Declares where window q begins along the last axis."""
    last = rank - 1
    return f"const int64_t b{last} = (first + q) * s{last} - p{last};"


def first_text(rank: int) -> str:
    """The number of the first element that window q sees; 0 if it sees none."""
    number = _row_major(
        [f"(b{a} < 0 ? -b{a} : 0)" for a in range(rank)],
        [f"w{a}" for a in range(rank)],
    )
    return f"{' && '.join(f'n{a}' for a in range(rank))} ? {number} : 0"


def _interior(axis: int) -> list[str]:
    """Declarations of ``left`` and ``right``: between them are the windows of a stretch that lie within an axis."""
    n, w, s, p = (f"{letter}{axis}" for letter in "nwsp")
    return [
        f"const int64_t within = ({p} + {s} - 1) / {s} - first,",
        f"              end = ({n} + {p} < {w} ? 0 : ({n} + {p} - {w}) / {s} + 1) - first,",
        "              start = within > 0 ? within : 0, left = start < many ? start : many,",
        "              stop = end < many ? end : many, right = stop > left ? stop : left;",
    ]


def covered_text(rank: int, with_padding: bool) -> str:
    """Declares ``number``: how many places of the last axis, or of it and its padding, windows of a stretch cover."""
    last = rank - 1
    n, w, s, p = (f"{letter}{last}" for letter in "nwsp")
    covered = "end - b" if with_padding else "end - (b < 0 ? 0 : b)"
    size = f"{n} + {p}" if with_padding else n
    return _joined(
        [
            f"double number[{STRETCH}];",
            _loop("q", "0", "many") + " {",
            f"const int64_t b = (first + q) * {s} - {p};",
            f"const int64_t end = b + {w} < {size} ? b + {w} : {size};",
            f"number[q] = (double)({covered});",
            "}",
        ]
    )


def number_text(rank: int, with_padding: bool) -> str:
    """The number of places that window q covers, of its axes or of them and their padding."""
    parts = ["number[q]"]
    for a in range(rank - 1):
        # Nothing but the size of the padding keeps a window from its full size at the end.
        end = f"n{a} + p{a} - b{a}"
        parts.append(
            f"({end} < w{a} ? {end} : w{a})" if with_padding else f"(l{a} - f{a})"
        )
    return " * ".join(f"(double){part}" for part in parts)


def iterations_text(
    node: Apply, rank: int, small: str, cost: int, settings: Sequence[Variable] = ()
) -> tuple[str, str]:
    """The number of sets of leading indices, and the work for one.

    Parameters
    ----------
    cost
        What a window costs, in additions; for each of its elements if there are `settings`.
    """
    lead = node.outputs[0].ndim - rank
    sizes = [f"{small}_n{lead + a}" for a in range(rank)]
    sizes += [_number(node, v) for v in settings[:rank]]
    return (
        " * ".join(f"{small}_n{a}" for a in range(lead)) or "1",
        " * ".join([str(cost), *sizes]),
    )


def lowest_text(dtype: str) -> str:
    """The lowest value of a dtype, which every other takes the place of."""
    if dtype == "bool":
        return "0"
    if np.dtype(dtype).kind == "f":
        return "-INFINITY"
    low = int(np.iinfo(dtype).min)
    return f"({low + 1} - 1)" if low else "0"


def _settings(
    node: Apply, settings: Sequence[Variable], whole: str, lead: int
) -> list[str]:
    rank = len(settings) // 3
    numbers = [_number(node, v) for v in settings]
    names = [f"{letter}{a}" for letter in "wsp" for a in range(rank)]
    sizes = [f"n{a} = {whole}_n{lead + a}" for a in range(rank)]
    each = [f"{n} = {v}" for n, v in zip(names, numbers, strict=True)]
    return [f"const int64_t {', '.join(part)};" for part in (each, sizes)]


def _number(node: Apply, variable: Variable) -> str:
    known = known_int(variable)
    return str(known) if known is not None else f"in{node.inputs.index(variable)}[0]"


def _blocks(lead: int, arrays: dict[str, str], small: str) -> list[str]:
    """The loop over sets of leading indices, and pointers to what each array has there."""
    lines = ["for (int64_t i = begin; i < end; ++i) {", "int64_t rest = i;"]
    for a in reversed(range(1, lead)):
        lines.append(f"const int64_t i{a} = rest % {small}_n{a}; rest /= {small}_n{a};")
    lines.append("const int64_t i0 = rest;" if lead else "(void)rest;")
    for name, array in arrays.items():
        at = "".join(f" + i{a} * {array}_s{a}" for a in range(lead))
        const = "" if array == "out" else "const "
        lines.append(f"{const}{array}_t *restrict {name} = {array}{at};")
    return lines


def _offset(array: str, lead: int, rank: int) -> str:
    """Where an array with an element a window has that of window q."""
    numbers = [*(f"o{a}" for a in range(rank - 1)), "(first + q)"]
    return " + ".join(f"{o} * {array}_s{lead + a}" for a, o in enumerate(numbers))


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


def _joined(lines: Sequence[str]) -> str:
    """Lines, each moved in by the braces that are open."""
    made, depth = [], 0
    for line in "\n".join(lines).splitlines():
        if text := line.strip():
            made.append("  " * (depth - text.startswith("}")) + text)
            depth += text.count("{") - text.count("}")
    return "\n".join(made)
