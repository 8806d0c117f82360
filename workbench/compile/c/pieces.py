"""A program cut into texts that are compiled apart, each found again wherever it recurs.

People read one text; what is compiled may be cut from it. A kernel's C differs from
program to program only by numbers: of sizes and values, of arguments, of the nodes that
failures name. So a kernel is cut out, its names are counted anew, and the numbers of its
program go into a table, which the program lends it for the time of a step
(``c->at``). What is left says the same for the same mathematics: a kernel that was
compiled for another function, or before a line elsewhere in the cell was edited, is not
compiled again.

The rest is the *main* text: preparing a call, the table of steps, and kernels without a
loop. It belongs to one program and runs in no time, so it is compiled with light flags.

What this does not recognise it leaves as it is: at worst a kernel is not found again.

Read next: `workbench.compile.c.modules`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.compile.c import convolving, kernels
from workbench.compile.c.emit import Program
from workbench.compile.c.headers import includes

__all__ = ["Cut", "Piece", "cut", "file_of"]

APART = '__attribute__((visibility("hidden")))'
WEAK = '__attribute__((weak, visibility("hidden")))'  # Two objects may hold one kernel.


LIBRARY = "/* Functions that kernels call. */"
"""Head of the texts that each take as long as many kernels, and get a file of their own."""


@dataclass(frozen=True)
class Piece:
    """Kernels that are compiled together: one, or all that call text of operations.

    Or a function of the headers that kernels call.

    Attributes
    ----------
    head
        What its file begins with, before the headers it needs.
    text
        Its functions. One starts with ``int`` for each of its kernels; its name is made
        of the digest of head and text.
    """

    head: str
    text: str

    @property
    def file(self) -> str:
        """A complete C file."""
        return file_of([self])


def file_of(pieces: Sequence[Piece]) -> str:
    """One C file of pieces that have the same head."""
    return _complete(pieces[0].head, "".join(piece.text for piece in pieces))


def _complete(head: str, text: str) -> str:
    return "\n".join([head, *includes(text), "", text])


@dataclass(frozen=True)
class Cut:
    """A program as a main text and pieces, each piece once."""

    main: str
    pieces: tuple[Piece, ...]


def cut(program: Program) -> Cut:
    """Cut out every kernel that has loops or calls a library."""
    layout = program.layout
    code = [line.code for line in program.lines]
    first, last = layout.support
    code[0] = re.sub(r"A program of \d+ kernels?; ", "", code[0])
    common = "\n".join(code[:first])
    own_head = "\n".join(code[:last])
    own = "\n".join(code[slice(*layout.own)])
    alone: list[int] = []
    together: list[int] = []
    for number, (start, end) in enumerate(program.spans):
        if number not in layout.brief:
            calls = own and any(_OWN.search(c) for c in code[start - 1 : end])
            (together if calls else alone).append(number)
    made: list[tuple[list[int], _Canonical]] = []
    library: list[Piece] = []
    for numbers in [*([n] for n in alone), *([together] if together else [])]:
        head, before = (own_head, own) if numbers is together else (common, "")
        texts = [
            "\n".join(code[slice(program.spans[n][0] - 1, program.spans[n][1])])
            for n in numbers
        ]
        if numbers is not together:
            texts[0], products = kernels.called_apart(texts[0])
            texts[0], slow = convolving.called_apart(texts[0])
            library += [Piece(common, function) for function in products]
            library += [Piece(f"{common}\n{LIBRARY}", function) for function in slow]
        made.append((numbers, _canonical(head, before, numbers, texts)))
    pieces = dict.fromkeys([*(canonical.piece for _, canonical in made), *library])
    calls_of = {
        n: _call(n, symbol, table)
        for numbers, canonical in made
        for n, symbol, table in zip(
            numbers, canonical.symbols, canonical.tables, strict=True
        )
    }
    main = code[layout.head : layout.own[0]]
    place = layout.own[1]
    by_place = sorted(enumerate(program.spans), key=lambda each: each[1])
    for number, (start, end) in by_place:
        if number in calls_of:
            main += [*code[place : start - 1], *calls_of[number]]
            place = end
    main += code[place:]
    return Cut(_complete(common, "\n".join(main) + "\n"), tuple(pieces))


_OWN = re.compile(r"\bown\d+\(")


def _call(number: int, symbol: str, table: Sequence[int]) -> list[str]:
    """The main text's function for a kernel that was cut out."""
    numbers = ", ".join(map(str, table)) or "0"
    return [
        f"{APART} int {symbol}(wb_call *c);",
        f"static int k{number}(wb_call *c) {{",
        f"  static const int64_t at[] = {{{numbers}}};",
        "  c->at = at;",
        f"  return {symbol}(c);",
        "}",
    ]


@dataclass(frozen=True)
class _Canonical:
    piece: Piece
    symbols: list[str]
    tables: list[list[int]]


def _canonical(
    head: str, before: str, numbers: Sequence[int], texts: Sequence[str]
) -> _Canonical:
    """The piece of some kernels; what each is called, and what stands in its table."""
    bodies, tables = [], []
    for place, (number, whole) in enumerate(zip(numbers, texts, strict=True)):
        text, table = _with_table(whole)
        bodies.append(_renamed(text, number, f"KERNEL_{place}"))
        tables.append(table)
    text = "\n".join([*([before] if before else []), *bodies]) + "\n"
    name = "wb_" + hashlib.sha256((head + text).encode()).hexdigest()[:32]
    symbols = [f"{name}_{place}" for place in range(len(numbers))]
    piece = Piece(head, text.replace("KERNEL_", f"{name}_"))
    return _Canonical(piece, symbols, tables)


# Where a text holds a number of its program: behind what, and after which pointer to the call.
_NUMBERS = re.compile(
    r"\b(?P<call>\w+)->(?P<array>size|input|value|output|slot)\[(?P<place>\d+)\]"
    r"|\b(?P<owner>\w+)->(?P<method>alloc|host)\((?P=owner), (?P<step>\d+)"
    r"|\bwb_(?P<kind>reserve|slot_of|output_of)\((?P<holder>\w+), (?P<held>\d+)"
    r"|\bwb_fail\((?P<failed>\w+), (?P<code>\w+), (?P<node>\d+)"
)


def _with_table(text: str) -> tuple[str, list[int]]:
    """The text with places of a table for the numbers of its program, and the table."""
    places: dict[tuple[str, int], int] = {}

    def place(call: str, kind: str, number: str) -> str:
        at = places.setdefault((kind, int(number)), len(places))
        return f"{call}->at[{at}]"

    def replace(found: re.Match[str]) -> str:
        if call := found["call"]:
            array = found["array"]
            return f"{call}->{array}[{place(call, array, found['place'])}]"
        if call := found["owner"]:
            method = found["method"]
            return f"{call}->{method}({call}, {place(call, method, found['step'])}"
        if call := found["holder"]:
            kind = found["kind"]
            array = "output" if kind == "output_of" else "slot"
            return f"wb_{kind}({call}, {place(call, array, found['held'])}"
        call, code = found["failed"], found["code"]
        return f"wb_fail({call}, {code}, {place(call, 'node', found['node'])}"

    return _NUMBERS.sub(replace, text), [number for _, number in places]


_STEP = re.compile(r"^static (?=int \w+\(wb_call \*c, int64_t begin,)", re.MULTILINE)
_FUNCTION = re.compile(r"^static (?:[\w*]+ )*?\**(\w+)\(", re.MULTILINE)
_NAME = re.compile(r"\b(?:([nivaxm])\d+|(?:k|settle)\d+\w*)(?=_|\b)")  # See `emit`.


def _renamed(text: str, number: int, kernel: str) -> str:
    """The text with its functions named after the kernel and its locals counted anew."""
    text = _STEP.sub("static WB_ALONE ", text)  # The step is in another file.
    names = {f"k{number}": kernel}
    for name in _FUNCTION.findall(text):
        names.setdefault(name, f"{kernel}_{len(names)}")
    text = text.replace(f"static int k{number}(", f"{WEAK} int k{number}(")
    for name, new in names.items():
        if not _NAME.fullmatch(name):
            text = re.sub(rf"\b{name}\b", new, text)
    counts: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        name, letter = found[0], found[1]
        if name not in names:
            if not letter:
                return name
            counts[letter] = counts.get(letter, -1) + 1
            names[name] = f"{letter}{counts[letter]}"
        return names[name]

    return _NAME.sub(renamed, text)
