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

import linecache
import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass
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

    def excerpt(self) -> list[str]:
        """The place and its line, and a second line with carets under the expression."""
        if not self.text.strip():
            return [self.place]
        indent = len(self.text) - len(self.text.lstrip())
        first = f"{self.place} │ {self.code}"
        width = self.end_column - self.column
        if width <= 0:
            return [first]
        return [first, " " * (len(self.place) + 1) + "│ " + " " * (self.column - indent) + "^" * width]

    def __str__(self) -> str:
        return f"{self.place}  {self.code}" if self.code else self.place


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
    place.code, place.lasti, place.lineno, place._location = None, 0, location.line, location
    return place


@dataclass(frozen=True, eq=False)
class Origin:
    """Why a node exists.

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
    for index, (first, last, start, end) in enumerate(code.co_positions()):
        if index == lasti // 2:
            line = first or lineno
            column = start or 0
            end_column = (end or 0) if last == first else 0
            break
    raw = linecache.getline(code.co_filename, line).rstrip("\n")
    encoded = raw.encode()
    column = len(encoded[:column].decode(errors="replace"))  # positions count bytes
    end_column = len(encoded[:end_column].decode(errors="replace")) or len(raw)
    return Location(code.co_filename, line, column, end_column, code.co_name, raw)


def _cell_number(file: str) -> int | None:
    """The ``n`` of ``In [n]`` for the file name IPython gave a cell."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return None
    numbers = getattr(shell.compile, "_filename_map", {})
    number = numbers.get(file)
    return number if isinstance(number, int) else None
