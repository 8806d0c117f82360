"""The loop language as lines of C.

A :class:`Line` keeps code and comment apart: the comment says the operation and the user's
line, and is for people only. Names of variables never reach the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workbench.compile.loops import (
    Accumulator,
    Block,
    Check,
    Combine,
    Let,
    Load,
    Loop,
    Statement,
    Store,
)
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Apply, Variable

CODE_WIDTH = 60
"""Column at which comments start, where the code is shorter."""


@dataclass
class Line:
    """A line of code, what stands beside it, and the node it computes."""

    code: str
    comment: str = ""
    node: Apply | None = None

    def __str__(self) -> str:
        if not self.comment:
            return self.code
        return f"{self.code:<{CODE_WIDTH}}  // {self.comment}"


def describe(node: Apply | None) -> str:
    """The operation, what it is the gradient of, and the user's line that asked for it."""
    if node is None:
        return ""
    place = node.origin.location
    forward = (
        f"gradient of {node.origin.forward.op}, "
        if node.origin.forward is not None
        else ""
    )
    return f"{forward}{node.op}" + (f" | {place}" if place is not None else "")


def sanitise(text: str) -> str:
    """Text that is safe in a line comment: printable ASCII, and no backslash that joins lines."""
    clean = "".join(c if " " <= c <= "~" else "?" for c in text)
    return clean.replace("\\", "/").replace("??", "? ?")[:160]


class Writer:
    """Collects lines.

    Parameters
    ----------
    pointer
        The local name of a variable's memory.
    number
        The number by which a failing check reports a node.
    """

    def __init__(
        self, pointer: Callable[[Variable], str], number: Callable[[Apply | None], int]
    ) -> None:
        self.pointer, self.number = pointer, number
        self.lines: list[Line] = []
        self.depth = 0
        self._lanes: dict[Accumulator, str] = {}
        self._ends = 0

    @contextmanager
    def apart(self, depth: int) -> Iterator[list[Line]]:
        """Lines written inside are collected on their own, indented by `depth` steps."""
        before = self.lines, self.depth
        self.lines, self.depth = [], depth
        yield self.lines
        self.lines, self.depth = before

    def line(self, code: str, node: Apply | None = None, comment: str = "") -> None:
        """Add a line; beside it the comment, or what is known of the node."""
        indented = "  " * self.depth + code if code else ""
        self.lines.append(Line(indented, sanitise(comment or describe(node)), node))

    def block(self, block: Block, without: Loop | None = None) -> None:
        """Every statement of a block but one."""
        for statement in block.statements:
            if statement is not without:
                self.statement(statement)

    def statement(self, statement: Statement) -> None:
        """One statement of the loop language."""
        if isinstance(statement, Let):
            code = f"const {C_TYPES[statement.dtype]} {statement.target} = {statement.text};"
            self.line(code, statement.node)
        elif isinstance(statement, Load):
            place = f"{self.pointer(statement.buffer)}[{statement.offset.text}]"
            code = f"const {C_TYPES[statement.dtype]} {statement.target} = {place};"
            self.line(code, statement.node, statement.buffer.name or "")
        elif isinstance(statement, Store):
            place = f"{self.pointer(statement.buffer)}[{statement.offset.text}]"
            code = f"{place} = {statement.text.replace('{a}', place)};"
            self.line(code, statement.node, statement.buffer.name or "")
        elif isinstance(statement, Accumulator):
            self._start(statement)
        elif isinstance(statement, Combine):
            self._combine(statement)
        elif isinstance(statement, Check):
            self._check(statement)
        elif statement.lanes:
            self._loop_in_lanes(statement)
        else:
            self._loop(statement)

    def fail(
        self, bad: str, code: str, node: Apply | None, axis: int, a: str, b: str
    ) -> None:
        """The call ends with a failure when `bad` holds."""
        self.line(f"if (WB_UNLIKELY({bad}))")
        self.line(
            f"  return wb_fail(c, {code}, {self.number(node)}, {axis}, {a}, {b});", node
        )

    def _check(self, check: Check) -> None:
        self.fail(check.bad, check.code, check.node, check.axis, check.a, check.b)

    # --- accumulators

    def _start(self, accumulator: Accumulator) -> None:
        code = (
            f"{C_TYPES[accumulator.dtype]} {accumulator.target} = {accumulator.start};"
        )
        self.line(code, accumulator.node)
        if accumulator.place:
            self.line(f"int64_t {accumulator.place} = 0;")

    def _combine(self, statement: Combine) -> None:
        accumulator = statement.accumulator
        target = self._lanes.get(accumulator, accumulator.target)
        text = accumulator.combine.format(a=target, x=statement.text)
        if not accumulator.place:
            self.line(f"{target} = {text};", accumulator.node)
            return
        assert statement.at is not None
        taken = (
            f"{target} = {statement.text}; {accumulator.place} = {statement.at.text};"
        )
        self.line(f"if ({text}) {{ {taken} }}", accumulator.node)

    # --- loops

    def _loop(self, loop: Loop) -> None:
        for accumulator in loop.accumulators:
            self._start(accumulator)
        i = loop.variable
        self.line(f"for (int64_t {i} = 0; {i} < {loop.size.text}; ++{i}) {{")
        self._body(loop)
        self.line("}")

    def _body(self, loop: Loop) -> None:
        self.depth += 1
        self.block(loop.body)
        self.depth -= 1

    def _loop_in_lanes(self, loop: Loop) -> None:
        """A loop that gathers in several partial accumulators, then joins them in a fixed order."""
        i = loop.variable
        self._ends += 1
        end = f"{i}_end{self._ends}"
        for accumulator in loop.accumulators:
            self._start(accumulator)
        self.line(f"const int64_t {end} = ({loop.size.text}) / WB_LANES * WB_LANES;")
        self.line(f"if ({end} > 0) {{")  # A short row has no use for the lanes.
        self.depth += 1
        for accumulator in loop.accumulators:
            lane = f"{accumulator.target}_lane"
            self.line(
                f"{C_TYPES[accumulator.dtype]} {lane}[WB_LANES];", accumulator.node
            )
            self.line(
                f"for (int l = 0; l < WB_LANES; ++l) {lane}[l] = {accumulator.start};"
            )
        self.line(
            f"for (int64_t {i}_block = 0; {i}_block < {end}; {i}_block += WB_LANES)"
        )
        self.depth += 1
        self.line("for (int l = 0; l < WB_LANES; ++l) {")
        self.line(f"  const int64_t {i} = {i}_block + l;")
        self._body_in_lane(loop)
        self.line("}")
        self.depth -= 1
        for accumulator in loop.accumulators:
            target = accumulator.target
            joined = accumulator.combine.format(a=target, x=f"{target}_lane[l]")
            self.line(f"for (int l = 0; l < WB_LANES; ++l) {target} = {joined};")
        self.depth -= 1
        self.line("}")
        self.line(f"for (int64_t {i} = {end}; {i} < {loop.size.text}; ++{i}) {{")
        self._body(loop)
        self.line("}")

    def _body_in_lane(self, loop: Loop) -> None:
        self._lanes.update({a: f"{a.target}_lane[l]" for a in loop.accumulators})
        self._body(loop)
        for accumulator in loop.accumulators:
            del self._lanes[accumulator]
