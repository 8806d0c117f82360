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

from workbench.compile.c.convolving import called_apart
from workbench.compile.c.emit import Program

__all__ = ["Cut", "Piece", "cut"]

APART = '__attribute__((visibility("hidden")))'
WEAK = '__attribute__((weak, visibility("hidden")))'  # Two objects may hold one kernel.


LIBRARY = "/* Functions that kernels call. */"


@dataclass(frozen=True)
class Piece:
    """Kernels that are compiled together: one, or all that call text of operations.

    Or a function of the headers that kernels call.

    Attributes
    ----------
    head
        What its file begins with.
    text
        Its functions. One starts with ``int`` for each of its kernels; its name is made
        of the digest of head and text.
    """

    head: str
    text: str

    @property
    def file(self) -> str:
        """A complete C file."""
        return self.head + self.text


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
    common = [*code[:first], *code[last : layout.head]]
    common[0] = re.sub(r"A program of \d+ kernels?; ", "", common[0])
    own_head = [*common[:first], *code[first:last], *common[first:]]
    own = "\n".join(code[slice(*layout.own)])
    alone: list[int] = []
    together: list[int] = []
    for number, (start, end) in enumerate(program.spans):
        if number not in layout.brief:
            calls = any(re.search(r"\bown\d+\(", c) for c in code[start - 1 : end])
            (together if calls else alone).append(number)
    made: list[tuple[list[int], _Canonical]] = []
    library: dict[str, str] = {}
    for numbers in [*([n] for n in alone), *([together] if together else [])]:
        head, before = (own_head, own) if numbers is together else (common, "")
        texts = [
            "\n".join(code[slice(program.spans[n][0] - 1, program.spans[n][1])])
            for n in numbers
        ]
        if numbers is not together:
            texts[0], called = called_apart(texts[0])
            library |= called
        made.append((numbers, _canonical(head, before, numbers, texts)))
    pieces = dict.fromkeys(canonical.piece for _, canonical in made)
    head_of_library = "\n".join([*common, LIBRARY, ""])
    pieces |= dict.fromkeys(Piece(head_of_library, library[n]) for n in sorted(library))
    calls_of = {
        n: _call(n, symbol, table)
        for numbers, canonical in made
        for n, symbol, table in zip(
            numbers, canonical.symbols, canonical.tables, strict=True
        )
    }
    main = [*common, *code[layout.head : layout.own[0]]]
    place = layout.own[1]
    by_place = sorted(enumerate(program.spans), key=lambda each: each[1])
    for number, (start, end) in by_place:
        if number in calls_of:
            main += [*code[place : start - 1], *calls_of[number]]
            place = end
    main += code[place:]
    return Cut("\n".join(main) + "\n", tuple(pieces))


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
    head: Sequence[str], before: str, numbers: Sequence[int], texts: Sequence[str]
) -> _Canonical:
    """The piece of some kernels; what each is called, and what stands in its table."""
    bodies, tables = [], []
    for place, (number, whole) in enumerate(zip(numbers, texts, strict=True)):
        text, table = _with_table(whole)
        bodies.append(_renamed(text, number, f"KERNEL_{place}"))
        tables.append(table)
    top = "\n".join(head) + "\n"
    text = "\n".join([*([before] if before else []), *bodies]) + "\n"
    name = "wb_" + hashlib.sha256((top + text).encode()).hexdigest()[:32]
    symbols = [f"{name}_{place}" for place in range(len(numbers))]
    piece = Piece(top, text.replace("KERNEL_", f"{name}_"))
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


_FUNCTION = re.compile(r"^static (?:[\w*]+ )*?\**(\w+)\(", re.MULTILINE)
_NAME = re.compile(r"\b(?:([nivaxm])\d+|(?:k|settle)\d+\w*)(?=_|\b)")  # See `emit`.


def _renamed(text: str, number: int, kernel: str) -> str:
    """The text with its functions named after the kernel and its locals counted anew."""
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
