"""Loops over one row, of which the last block is padded.

The length of a row is seldom a multiple of what a vector register holds. Its last elements, one
by one, would call the scalar functions: that is slow, rounds otherwise than the vector functions,
and elements that were written one by one cannot be read as a vector without a wait. So they are
fetched as a whole block, whose other places repeat the first element, computed as a block, and
only those that are there are written back (``WB_ROW`` in ``lanes.h``).

For that the memory that a loop reads and writes must be known apart from what it computes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.compile.loops import Combine, Let, Load, Loop, Statement, Store, texts_of
from workbench.core.graph import Variable

BLOCK = 16
"""Elements of a block, as in ``lanes.h``."""

SHORTEST = 4
"""Rows known to be shorter are computed one by one."""

FITTING = frozenset("float32 float64 int32 int64 uint32 uint64".split())
"""Dtypes that are fetched and written in part."""

_CALL = re.compile(r"\b([A-Za-z]\w*)\(")
_IN_VECTORS = frozenset(
    name + suffix
    for name in (
        "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh"
        " atanh cbrt erf erfc pow atan2 hypot sqrt fabs floor ceil trunc rint copysign"
    ).split()
    for suffix in ("", "f")
)


@dataclass(frozen=True)
class Row:
    """A loop over a row: what each element loads, what is computed of it, and what it stores."""

    loads: tuple[Load, ...]
    body: tuple[Statement, ...]
    stores: tuple[Store, ...]


def row_of(
    loop: Loop, around: Sequence[Loop], pointer: Callable[[Variable], str]
) -> Row | None:
    """The parts of a loop inside others whose last block is worth padding; None for all others.

    Its elements lie side by side, none is read where it was written, and gcc has all functions
    that are called for vectors.
    """
    size = loop.size.value
    if size is not None and (size < SHORTEST or size % BLOCK == 0):
        return None
    if not around or not _gains(loop, around[-1]):
        return None
    loads: list[Load] = []
    body: list[Statement] = []
    stores: list[Store] = []
    written: set[str] = set()
    for statement in loop.body.statements:
        if isinstance(statement, Load) and _names(loop.variable, statement.offset.text):
            if pointer(statement.buffer) in written or not _is_beside(statement, loop):
                return None
            loads.append(statement)
            continue
        if isinstance(statement, Store):
            place = pointer(statement.buffer)
            if place in written or "{a}" in statement.text:
                return None
            if not _is_beside(statement, loop):
                return None
            written.add(place)
            stores.append(statement)
        elif isinstance(statement, Load):
            if re.search(r"\bv\d", statement.offset.text):
                return None
        elif isinstance(statement, Combine):
            accumulator = statement.accumulator
            if accumulator not in loop.accumulators or accumulator.place:
                return None
        elif not isinstance(statement, Let):
            return None
        if not _calls(statement) <= _IN_VECTORS:
            return None
        body.append(statement)
    invariant = {pointer(s.buffer) for s in body if isinstance(s, Load)}
    if not (stores or loop.accumulators) or invariant & written:
        return None
    return Row(tuple(loads), tuple(body), tuple(stores))


def _gains(loop: Loop, outer: Loop) -> bool:
    """Whether a loop calls functions, gathers, or stands beside one that gathers."""
    if loop.accumulators:
        return loop.lanes
    beside = [s for s in outer.body.statements if isinstance(s, Loop)]
    return any(s.accumulators for s in beside) or any(
        _calls(s) for s in loop.body.statements
    )


def _names(variable: str, text: str) -> bool:
    return re.search(rf"\b{variable}\b", text) is not None


def _is_beside(statement: Load | Store, loop: Loop) -> bool:
    """Whether the next iteration's element lies beside this one's, and can be moved in part."""
    dtype = statement.dtype if isinstance(statement, Load) else statement.buffer.dtype
    before, _, last = statement.offset.text.rpartition(" + ")
    return (
        dtype in FITTING
        and last == loop.variable
        and not _names(loop.variable, before)
        and not re.search(r"\bv\d", before)
    )


def _calls(statement: Statement) -> set[str]:
    """The names of the functions that a statement calls."""
    return {name for text in texts_of(statement) for name in _CALL.findall(text)}
