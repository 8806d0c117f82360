"""Which line of the user's code made this.

Every :class:`~workbench.core.graph.Apply` keeps an :class:`Origin`. It is taken once, when
the node is made, by walking up to the first frame outside this package and keeping that
frame's code object and instruction offset: 0.3 µs, no file is read. Line, columns and text
are looked up when somebody asks.

Nobody has to pass origins along. Whoever builds nodes *on behalf of* other nodes (the
gradient, the rewrite engine) says so with :func:`made_for`, and every node made inside
inherits from the node it stands for. So a gradient points at the forward node whose rule
made it, and an optimised node at the user's line.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.core.graph import Apply

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True)
class Location:
    """A place in the user's code; lines from 1, columns from 0 in characters, half open.

    `text` is the whole first line, kept so that the message still reads when the file is gone.
    """

    file: str
    line: int
    column: int
    end_column: int
    function: str
    text: str

    @property
    def place(self) -> str:
        """``In [5] line 3`` for a notebook cell, ``model.py:3`` for a file."""
        number = _cell_number(self.file)
        if number is not None:
            return f"In [{number}] line {self.line}"
        return f"{os.path.basename(self.file)}:{self.line}"

    @property
    def is_cell(self) -> bool:
        """Whether the code stands in a notebook cell or at an interactive prompt."""
        return _cell_number(self.file) is not None

    @property
    def code(self) -> str:
        """The source line without its indentation."""
        return self.text.strip()

    @property
    def expression(self) -> str:
        """The text that the carets point at."""
        return self.text[self.column : self.end_column]

    def excerpt(self, note: str = "") -> list[str]:
        """The place and its line, and a second line with carets under the expression, then `note`."""
        if not self.text.strip():
            return [self.place]
        indent = len(self.text) - len(self.text.lstrip())
        first = f"{self.place} │ {self.code}"
        width = self.end_column - self.column
        if width <= 0:
            return [first]
        carets = (
            " " * (self.column - indent) + "^" * width + (f" {note}" if note else "")
        )
        return [first, " " * (len(self.place) + 1) + "│ " + carets]

    def argument(
        self, position: int, keyword: str = "", element: int | None = None
    ) -> Location:
        """The place of one argument of the call that stands here, or of one element of it.

        Where the line does not say (``f(*args)``, no source), it is the whole call.
        """
        for call in self._expressions(ast.Call):
            assert isinstance(call, ast.Call)
            named = [k.value for k in call.keywords if keyword and k.arg == keyword]
            found = named[0] if named else _entry(call.args, position)
            if element is not None and isinstance(found, ast.List | ast.Tuple):
                found = _entry(found.elts, element)
            if found is not None:
                return self._at(found)
        return self

    def operand(self, position: int, name: str | None = None) -> Location:
        """The place of one operand of the operation that stands here, by its name where it has one."""
        for node in self._expressions(ast.BinOp, ast.Call):
            assert isinstance(node, ast.BinOp | ast.Call)
            parts = node.args if isinstance(node, ast.Call) else [node.left, node.right]
            named = [p for p in parts if isinstance(p, ast.Name) and p.id == name]
            found = named[0] if named else _entry(parts, position)
            if found is not None:
                return self._at(found)
        return self

    def _expressions(self, *kinds: type[ast.expr]) -> list[ast.expr]:
        """The expressions of some kinds that begin here, the one that also ends here first."""
        lines = linecache.getlines(self.file)
        if (
            not 0 < self.line <= len(lines)
            or lines[self.line - 1].rstrip("\n") != self.text
        ):
            return []
        try:
            tree = ast.parse("".join(lines))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
        start, end = (
            len(self.text[:column].encode())
            for column in (self.column, self.end_column)
        )
        found = [
            n
            for n in ast.walk(tree)
            if isinstance(n, kinds) and (n.lineno, n.col_offset) == (self.line, start)
        ]
        return sorted(
            found, key=lambda n: (n.end_lineno, n.end_col_offset) != (self.line, end)
        )

    def _at(self, node: ast.expr) -> Location:
        text = linecache.getline(self.file, node.lineno).rstrip("\n")
        encoded = text.encode()
        column = len(encoded[: node.col_offset].decode(errors="replace"))
        end = len(text)
        if node.end_lineno == node.lineno:
            end = len(encoded[: node.end_col_offset].decode(errors="replace"))
        return replace(self, line=node.lineno, column=column, end_column=end, text=text)

    def __str__(self) -> str:
        return f"{self.place}  {self.code}" if self.code else self.place


def _entry(items: Sequence[ast.expr], position: int) -> ast.expr | None:
    """An item by its position, if no ``*items`` before it hides where it is."""
    if position >= len(items) or any(
        isinstance(item, ast.Starred) for item in items[: position + 1]
    ):
        return None
    return items[position]


class Place:
    """A code object and an instruction in it: a location that is looked up when needed."""

    __slots__ = ("_location", "code", "lasti", "lineno")

    def __init__(self, frame: FrameType) -> None:
        self.code: CodeType | None = frame.f_code
        self.lasti = frame.f_lasti
        self.lineno = frame.f_lineno
        self._location: Location | None = None

    @property
    def location(self) -> Location:
        """The line and columns of this place."""
        if self._location is None:
            assert self.code is not None
            self._location = _locate(self.code, self.lasti, self.lineno)
        return self._location

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_place, (self.location,)


def _restore_place(location: Location) -> Place:
    place = Place.__new__(Place)
    place.code, place.lasti, place.lineno, place._location = (
        None,
        0,
        location.line,
        location,
    )
    return place


@dataclass(eq=False, slots=True)  # not frozen: one is made for every node
class Origin:
    """Why a node exists; never changed.

    Attributes
    ----------
    place
        The user's line: where the operation was applied, or where its gradient was asked.
    forward
        For a node of a gradient: the forward node whose derivative it computes.
    replaces
        For a node made by a rewrite: the node it stands for.
    rule
        The rule that made it; empty for a node the user made.
    """

    place: Place | None
    forward: Apply | None = None
    replaces: Apply | None = None
    rule: str = ""

    @property
    def location(self) -> Location | None:
        """The user's line, or ``None`` when the node was made by no user code."""
        return None if self.place is None else self.place.location


_maker: ContextVar[Origin | None] = ContextVar("maker", default=None)


def origin_here() -> Origin:
    """The origin for a node made now: inherited inside :func:`made_for`, else the user's line."""
    inherited = _maker.get()
    return inherited if inherited is not None else Origin(here())


def here() -> Place | None:
    """The innermost frame that is not this package's own, or ``None``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else Place(frame)


def stacklevel() -> int:
    """For a warning that our caller gives: how many frames up the user's line is."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def location_here() -> Location | None:
    """The user's line that is running, for the text of an error: found and read, not only noted."""
    place = here()
    return None if place is None else place.location


def definition(function: Any) -> Location | None:
    """Where a function, a method or a callable object is written; ``None`` if in no file."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(type(function).__call__, "__code__", None)
    if code is None:
        return None
    line = code.co_firstlineno
    text = linecache.getline(code.co_filename, line).rstrip("\n")
    start = len(text) - len(text.lstrip())
    return Location(code.co_filename, line, start, len(text), code.co_name, text)


def argument_here(
    position: int, keyword: str, element: int | None = None
) -> Location | None:
    """The place of one argument of the call of ours that the user's line makes."""
    call = location_here()
    return None if call is None else call.argument(position, keyword, element)


class made_for:
    """``with made_for(origin):`` nodes made inside inherit `origin`."""

    # A class, not a generator: the rewrite engine enters one at every node.
    __slots__ = ("_origin", "_token")

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def __enter__(self) -> None:
        self._token = _maker.set(self._origin)

    def __exit__(self, *error: object) -> None:
        _maker.reset(self._token)


def _locate(code: CodeType, lasti: int, lineno: int) -> Location:
    line, column, end_column = lineno, 0, 0
    positions = _positions(code)
    if lasti // 2 < len(positions):
        first, last, start, end = positions[lasti // 2]
        line = first or lineno
        column = start or 0
        end_column = (end or 0) if last == first else 0
    raw = linecache.getline(code.co_filename, line).rstrip("\n")
    encoded = raw.encode()
    column = len(encoded[:column].decode(errors="replace"))  # positions count bytes
    end_column = len(encoded[:end_column].decode(errors="replace")) or len(raw)
    return Location(code.co_filename, line, column, end_column, code.co_name, raw)


_known_positions: dict[int, tuple[CodeType, list[Any]]] = {}
"""The positions of code objects by their identity: a long cell is walked through once."""


def _positions(code: CodeType) -> list[Any]:
    known = _known_positions.get(id(code))
    if known is None:
        if len(_known_positions) >= 64:
            _known_positions.clear()
        known = _known_positions[id(code)] = code, list(code.co_positions())
    return known[1]


def _cell_number(file: str) -> int | None:
    """The ``n`` of ``In [n]`` for the file name IPython gave a cell."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return None
    numbers = getattr(shell.compile, "_filename_map", {})
    number = numbers.get(file)
    return number if isinstance(number, int) else None
