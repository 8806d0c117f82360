"""Values that are used once, written where they are used.

A kernel's statements name every value. As C that is a line for each operation, and most of
them say little; so a value that has one use in the same block goes into the expression that
uses it. What is computed stays the same, bit for bit: no value moves into or out of a loop, past
a check, or past a store into memory that it reads, and none is computed only on a condition.

Read next: :mod:`workbench.compile.c.statements`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from functools import lru_cache

from workbench.compile.loops import (
    Block,
    Combine,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    texts_of,
    walk,
)
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Variable
from workbench.core.op import Elementwise, Op

WIDTH = 76
"""How long an expression may get, in characters."""

_NAME = re.compile(r"\b[avi]\d\w*")
_MEMORY = re.compile(r"\b[mx]\d+(?=\[)")
_CONDITION = re.compile(r"\?|&&|\|\|")
_CAST = re.compile(rf"^\(({'|'.join(C_TYPES.values())})\)(?=\w)")
_OPENING = re.compile(r"[\w.]*([(\[]|$)")


@lru_cache(maxsize=1024)
def _names(text: str) -> tuple[str, ...]:
    """The names in a text, which is asked for several times of each."""
    return tuple(_NAME.findall(text))


def fold(
    statements: Iterable[Statement],
    pointer: Callable[[Variable], str],
    apart: Set[Loop] = frozenset(),
) -> list[Statement]:
    """The statements of a block with fewer names; what nothing uses is left out.

    Parameters
    ----------
    pointer
        The local name of a variable's memory.
    apart
        Loops that are written elsewhere, with what they need.
    """
    given = list(statements)
    uses = Counter(
        name
        for statement in given
        for inner in ([statement] if statement in apart else walk(Block([statement])))
        for text in texts_of(inner)
        for name in _names(text)
    )
    made: list[Statement] = []
    waiting: dict[str, _Value] = {}  # used once, and their user has not come yet
    for statement in _living(given, uses):
        if isinstance(statement, Let | Store | Combine):
            for name in _names(statement.text):
                if name in waiting:
                    value = waiting.pop(name)
                    folded = _folded(statement, value)
                    if folded is None:
                        made.append(value.statement)
                    statement = folded or statement
        if not isinstance(statement, Let):
            stay = [n for n, v in waiting.items() if _must_stay(v, statement, pointer)]
            made.extend(waiting.pop(name).statement for name in stay)
        if isinstance(statement, Let | Load) and uses[statement.target] == 1:
            waiting[statement.target] = _Value.of(statement, pointer)
        else:
            made.append(statement)
    return [*made, *(value.statement for value in waiting.values())]


@dataclass(frozen=True)
class _Value:
    """A value that waits for its user: its expression, and what that reads."""

    statement: Let | Load
    text: str
    names: frozenset[str]
    memory: frozenset[str]

    @staticmethod
    def of(statement: Let | Load, pointer: Callable[[Variable], str]) -> _Value:
        if isinstance(statement, Let):
            text = statement.text
        else:
            text = f"{pointer(statement.buffer)}[{statement.offset.text}]"
        memory = frozenset(_MEMORY.findall(text))
        return _Value(statement, text, frozenset(_names(text)), memory)


def _living(statements: list[Statement], uses: Counter[str]) -> list[Statement]:
    """The statements but for values that nothing uses."""
    living: list[Statement] = []
    for statement in reversed(statements):
        if isinstance(statement, Let | Load) and not uses[statement.target]:
            uses.subtract(n for t in texts_of(statement) for n in _names(t))
        else:
            living.append(statement)
    return living[::-1]


def _must_stay(
    value: _Value, following: Statement, pointer: Callable[[Variable], str]
) -> bool:
    """Whether a value must be computed before the statement that follows."""
    if isinstance(following, Store):
        place = _names(following.offset.text)
        return (
            pointer(following.buffer) in value.memory or value.statement.target in place
        )
    if isinstance(following, Combine):
        at = following.at.text if following.at is not None else ""
        gathered = {following.accumulator.sum, following.accumulator.place}
        return not value.names.isdisjoint(gathered) or value.statement.target in at
    if isinstance(following, Load):
        return value.statement.target in _names(following.offset.text)
    return True


def _folded(user: Let | Store | Combine, value: _Value) -> Let | Store | Combine | None:
    """The statement with the value's expression in place of its name; None if it must have one."""
    made = value.statement
    if isinstance(made, Let) and not _has_its_type(made):
        return None
    text = value.text if is_closed(value.text) else f"({value.text})"
    if len(user.text) + len(text) - len(made.target) > WIDTH:
        return None
    if isinstance(user, Let) and user.node is not None and not _is_ours(user.node.op):
        return None  # its text may take the address of the name
    if _CONDITION.search(user.text):
        return None
    if isinstance(user, Combine):
        accumulator = user.accumulator
        if accumulator.combine.count("{x}") != 1:
            return None
        if accumulator.spoilt or accumulator.place:
            return None
    nodes = made.inner if made.node is None else (*made.inner, made.node)
    place = next(n for n in _NAME.finditer(user.text) if n[0] == made.target)
    before, after = user.text[: place.start()], user.text[place.end() :]
    if before.endswith("(") and after.startswith(")"):
        text = without_parentheses(text)
    folded = before + text + after
    return replace(user, text=folded, inner=(*user.inner, *nodes))


def _has_its_type(value: Let) -> bool:
    """Whether the expression has the type of the value in C, so that a name converts nothing.

    True of our operations on floats and complex numbers; an expression of short integers is an int, and what
    type the text of a user's operation has is not known.
    """
    return (
        value.dtype in ("float32", "float64", "complex64", "complex128")
        and value.node is not None
        and isinstance(value.node.op, Elementwise)
        and _is_ours(value.node.op)
    )


def _is_ours(op: Op) -> bool:
    return type(op).__module__.startswith("workbench.core.ops.")


def is_closed(text: str) -> bool:
    """Whether a text is one operand: a name, a call, an element, a cast of one, or in parentheses."""
    bare = _CAST.sub("", text)
    opening = _OPENING.match(bare)
    return opening is not None and (
        opening.end() == len(bare) or _closing(bare, opening.end() - 1) == len(bare) - 1
    )


def without_parentheses(text: str) -> str:
    """The text without a pair of parentheses around all of it."""
    if text.startswith("(") and _closing(text, 0) == len(text) - 1:
        return text[1:-1]
    return text


def _closing(text: str, opening: int) -> int:
    """Where the bracket is closed that stands at `opening`."""
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place
    return -1
