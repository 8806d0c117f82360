"""The loop language: what a kernel does, before it is text of any back end.

Few constructs: a loop, a let, a load, a store, an accumulator with what is combined into
it, and a check that makes the call fail. Scalar expressions are already text, in the
subset that C and CUDA share; one let holds one node of the graph, so every line has an owner.

An :class:`Index` is an integer expression of loop variables and sizes. It folds constants
and drops zeros and ones, so equal indices usually have equal text, which is how the
scheduler sees that two operations read the same element.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.core.graph import Apply, Variable


@dataclass(frozen=True)
class Index:
    """An integer expression: its text, the loop variables in it, and its value when constant."""

    text: str
    loops: frozenset[str] = frozenset()
    value: int | None = None

    @staticmethod
    def of(value: int) -> Index:
        """A constant."""
        return Index(str(value), frozenset(), value)

    def __add__(self, other: Index | int) -> Index:
        other = as_index(other)
        if self.value == 0:
            return other
        if other.value == 0:
            return self
        if self.value is not None and other.value is not None:
            return Index.of(self.value + other.value)
        if other.value is not None and other.value < 0:
            return Index(f"{self.text} - {-other.value}", self.loops)
        return Index(f"{self.text} + {other.text}", self.loops | other.loops)

    __radd__ = __add__

    def __mul__(self, other: Index | int) -> Index:
        other = as_index(other)
        if self.value is not None and other.value is not None:
            return Index.of(self.value * other.value)
        if 0 in (self.value, other.value):
            return Index.of(0)
        if self.value == 1:
            return other
        if other.value == 1:
            return self
        return Index(f"{self.factor()} * {other.factor()}", self.loops | other.loops)

    __rmul__ = __mul__

    def __sub__(self, other: Index | int) -> Index:
        return self + as_index(other) * -1

    def factor(self) -> str:
        """The text as a factor of a product."""
        return (
            self.text
            if self.text.isidentifier() or self.text.isalnum()
            else f"({self.text})"
        )


def as_index(value: Any) -> Index:
    """An index as it is, a number as a constant one."""
    return value if isinstance(value, Index) else Index.of(int(value))


@dataclass(eq=False)
class Let:
    """``const dtype target = text``: the value of one node, or a step on the way.

    `inner` are nodes whose values the text computes on the way.
    """

    target: str
    dtype: str
    text: str
    node: Apply | None = None
    inner: tuple[Apply, ...] = ()


@dataclass(eq=False)
class Load:
    """``const dtype target = buffer[offset]``."""

    target: str
    dtype: str
    buffer: Variable
    offset: Index
    node: Apply | None = None
    inner: tuple[Apply, ...] = ()


@dataclass(eq=False)
class Store:
    """``buffer[offset] = text``; ``{a}`` in the text stands for what was there.

    `place` says the same as `offset`, axis by axis.
    """

    buffer: Variable
    offset: Index
    text: str
    node: Apply | None = None
    place: tuple[Index, ...] = ()
    inner: tuple[Apply, ...] = ()


@dataclass(eq=False)
class Accumulator:
    """A scalar that a loop combines elements into.

    `combine` joins ``{a}`` and ``{x}``. For an arg-extreme `place` names the variable with
    the best place so far, and `combine` is the test that the element is better. Where
    `spoilt` holds for an element the result is NaN after the loop, and `combine` need not mind.
    A `wide` one is gathered in double, as `sum`, and rounded to `target` when that is done.
    """

    target: str
    dtype: str
    start: str
    combine: str
    node: Apply
    place: str = ""
    spoilt: str = ""
    wide: bool = False

    @property
    def sum(self) -> str:
        """The variable that is gathered into."""
        return f"{self.target}_sum" if self.wide else self.target


@dataclass(eq=False)
class Combine:
    """``accumulator = accumulator combined with text``; `at` is the element's place, for arg-extremes."""

    accumulator: Accumulator
    text: str
    at: Index | None = None
    inner: tuple[Apply, ...] = ()


@dataclass(eq=False)
class Round:
    """Nothing more is gathered into a wide accumulator: its target gets the value."""

    accumulator: Accumulator


@dataclass(eq=False)
class Check:
    """The call fails with `code` when `bad` holds; `a` and `b` are reported."""

    bad: str
    code: str
    node: Apply | None
    axis: int
    a: str
    b: str


@dataclass(eq=False)
class Leave:
    """The innermost loop ends when `test` holds."""

    test: str


@dataclass(eq=False)
class Loop:
    """``for (variable = 0; variable < size; variable++)``.

    `accumulators` are set up before the loop and hold their result after it. A loop with
    `lanes` may gather in several partial accumulators at once.
    """

    variable: str
    size: Index
    body: Block
    accumulators: list[Accumulator] = field(default_factory=list)
    lanes: bool = False


@dataclass(eq=False)
class Block:
    """Statements in order, and the names already computed here: memo from what to its name."""

    statements: list[Statement] = field(default_factory=list)
    loop: str = ""
    names: dict[object, str] = field(default_factory=dict)


Statement = Let | Load | Store | Accumulator | Combine | Round | Check | Leave | Loop


def texts_of(statement: Statement) -> list[str]:
    """The texts of a statement, without those of the statements in a loop."""
    if isinstance(statement, Let):
        return [statement.text]
    if isinstance(statement, Load):
        return [statement.offset.text]
    if isinstance(statement, Store):
        return [statement.text, statement.offset.text]
    if isinstance(statement, Combine):
        at = statement.at.text if statement.at is not None else ""
        return [statement.text, at]
    if isinstance(statement, Accumulator):
        return [statement.start]
    if isinstance(statement, Check):
        return [statement.bad, statement.a, statement.b]
    if isinstance(statement, Leave):
        return [statement.test]
    if isinstance(statement, Loop):
        return [statement.size.text]
    return []


def walk(block: Block) -> list[Statement]:
    """Every statement of a block and of the loops in it, in order."""
    found: list[Statement] = []
    pending = list(reversed(block.statements))
    while pending:
        statement = pending.pop()
        found.append(statement)
        if isinstance(statement, Loop):
            pending.extend(reversed(statement.body.statements))
    return found
