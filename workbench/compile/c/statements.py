"""The loop language as lines of C.

A :class:`Line` keeps code and comment apart: the comment says the operations and the user's
line, and is for people only. Names of variables never reach the code. How a loop gathers in
many partial results stands in ``lanes.h``; here it is one line, and the loop's body once.

Read next: :mod:`workbench.compile.c.folding`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

from workbench.compile.c.folding import fold, without_parentheses
from workbench.compile.c.rows import BLOCK, Row, row_of
from workbench.compile.loops import (
    Accumulator,
    Check,
    Combine,
    Leave,
    Let,
    Load,
    Loop,
    Round,
    Statement,
    Store,
)
from workbench.compile.ranges import cost_of, names_in, writes_apart
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Apply, Variable
from workbench.core.ops.shape import SizeOf

CODE_WIDTH = 60
"""Column at which comments start, where the code is shorter."""

LANES = BLOCK
"""Partial accumulators of a reduction: one fixed order of summation that vectorises."""

CHEAP = 4
"""Up to this cost of an element (in additions) a reduction waits for its sums: it gets twice the lanes."""

CALL = 10
"""What costs as much is a call: beside it the sums may be in memory, and the body is compiled once."""

LINE_WIDTH = 110
"""A loop of one statement is one line if that is not longer."""


@dataclass
class Line:
    """A line of code, and what stands beside it.

    Attributes
    ----------
    comment
        What is computed.
    nodes
        The operations that it computes, the last one last.
    place
        The user's line that asked for that.
    """

    code: str
    comment: str = ""
    nodes: tuple[Apply, ...] = ()
    place: str = ""

    def beside(self, comment: str) -> str:
        """The code, and a comment."""
        return f"{self.code:<{CODE_WIDTH}}  // {comment}" if comment else self.code

    def __str__(self) -> str:
        return self.beside(" | ".join(t for t in (self.comment, self.place) if t))


def shown(lines: Iterable[Line]) -> str:
    """The text that people read: the user's line stands where it changes."""
    said, texts = "", []
    for line in lines:
        if line.place and line.place != said:
            said = line.place
            texts.append(str(line))
        else:
            texts.append(line.beside(line.comment))
        if line.code == "}":
            said = ""
    return "\n".join(texts) + "\n"


def describe(nodes: Sequence[Apply]) -> str:
    """The operations, what they are the gradient of, and their line if the last one has another."""
    parts = []
    for _, group in groupby(
        nodes, lambda n: (n.origin.forward, str(n.origin.location))
    ):
        alike = list(group)
        text = ", ".join(dict.fromkeys(map(_operation, alike)))
        forward, place = alike[0].origin.forward, alike[0].origin.location
        if forward is not None:
            text += f" for the gradient of {forward.op}"
        if place is not None and str(place) != str(nodes[-1].origin.location):
            text += f" ({place.place})"
        parts.append(text)
    return ", ".join(parts)


def _operation(node: Apply) -> str:
    if isinstance(node.op, SizeOf):
        return f"{node.inputs[0].label()}.shape[{node.op.axis}]"
    return str(node.op)


_UNPRINTABLE = re.compile(r"[^ -~]")


def sanitise(text: str) -> str:
    """Text that is safe in a line comment: printable ASCII, and no backslash that joins lines."""
    clean = _UNPRINTABLE.sub("?", text)
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
        self.ranged: Loop | None = None  # the loop that runs from `begin` to `end`
        self._in_lanes: frozenset[Accumulator] = frozenset()
        self._row = ""  # the variable of the loop whose elements have names until they are written
        self._around: list[Loop] = []  # the loops around what is written now

    @contextmanager
    def apart(self, depth: int) -> Iterator[list[Line]]:
        """Lines written inside are collected on their own, indented by `depth` steps."""
        before = self.lines, self.depth
        self.lines, self.depth = [], depth
        yield self.lines
        self.lines, self.depth = before

    def line(self, code: str, *nodes: Apply | None, comment: str = "") -> None:
        """Add a line; beside it the comment, or what is known of the nodes that it computes."""
        indented = "  " * self.depth + code if code else ""
        found = tuple(node for node in nodes if node is not None)
        place = found[-1].origin.location if found and not comment else None
        self.lines.append(
            Line(
                indented,
                sanitise(comment or describe(found)),
                found,
                sanitise(str(place)) if place is not None else "",
            )
        )

    def statements(
        self, statements: Iterable[Statement], apart: Set[Loop] = frozenset()
    ) -> Iterator[Statement]:
        """Write the statements of a block, and stop at those loops that are written elsewhere."""
        for statement in fold(statements, self.pointer, apart):
            if statement in apart:
                yield statement
            else:
                self.statement(statement)

    def block(self, statements: Iterable[Statement]) -> None:
        """Write the statements of a block."""
        for statement in fold(statements, self.pointer):
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        """One statement of the loop language."""
        if isinstance(statement, Let):
            text = without_parentheses(statement.text)
            code = f"const {C_TYPES[statement.dtype]} {statement.target} = {text};"
            self.line(code, *statement.inner, statement.node)
        elif isinstance(statement, Load):
            code = f"const {C_TYPES[statement.dtype]} {statement.target} = {self._place(statement)};"
            name = statement.buffer.name or ""
            self.line(code, *statement.inner, statement.node, comment=name)
        elif isinstance(statement, Store):
            place = self._place(statement)
            text = without_parentheses(statement.text.replace("{a}", place))
            nodes = dict.fromkeys((*statement.inner, statement.node))
            self.line(f"{place} = {text};", *nodes)
        elif isinstance(statement, Accumulator):
            self._start(statement)
        elif isinstance(statement, Combine):
            self._combine(statement)
        elif isinstance(statement, Round):
            self._round(statement.accumulator)
        elif isinstance(statement, Check):
            self._check(statement)
        elif isinstance(statement, Leave):
            self.line(f"if ({statement.test}) break;")
        else:
            self._any_loop(statement)

    def _place(self, access: Load | Store) -> str:
        """The element that is read or written; in a row what it is called until it is written."""
        if self._row and isinstance(access, Store):
            return f"{self.pointer(access.buffer)}_new"
        return f"{self.pointer(access.buffer)}[{access.offset.text}]"

    def fail(
        self, bad: str, code: str, node: Apply | None, axis: int, a: str, b: str
    ) -> None:
        """The call ends with a failure when `bad` holds."""
        where = f"{self.number(node)}, {axis}, {a}, {b}"
        self.line(f"if ({bad}) return wb_fail(c, {code}, {where});", node)

    def _check(self, check: Check) -> None:
        self.fail(check.bad, check.code, check.node, check.axis, check.a, check.b)

    # --- accumulators

    def _start(self, accumulator: Accumulator) -> None:
        dtype = "double" if accumulator.wide else C_TYPES[accumulator.dtype]
        code = f"{dtype} {accumulator.sum} = {accumulator.start};"
        if accumulator.place:
            code += f" int64_t {accumulator.place} = 0;"
        if accumulator.spoilt:
            code += f" int {accumulator.target}_nan = 0;"
        self.line(code, accumulator.node)

    def _combine(self, statement: Combine) -> None:
        accumulator, x = statement.accumulator, statement.text
        target, place = accumulator.sum, accumulator.place
        text = accumulator.combine.format(a=target, x=x)
        if not place:
            self.line(f"{target} = {text};", *statement.inner, accumulator.node)
            if accumulator.spoilt:
                test = accumulator.spoilt.format(x=x)
                self.line(f"{accumulator.target}_nan |= {test};")
            return
        assert statement.at is not None
        at, better = statement.at.text, f"{place}_better"
        if accumulator in self._in_lanes:
            self.line(f"const int {better} = {text};", accumulator.node)
            self.line(f"{target} = {better} ? {x} : {target};")
            self.line(f"{place} = {better} ? {at} : {place};")
        else:
            taken = f"{target} = {x}; {place} = {at};"
            self.line(f"if ({text}) {{ {taken} }}", accumulator.node)

    def _round(self, accumulator: Accumulator) -> None:
        if accumulator.wide:
            dtype, target = C_TYPES[accumulator.dtype], accumulator.target
            self.line(f"const {dtype} {target} = ({dtype}){accumulator.sum};")

    # --- loops

    def _any_loop(self, loop: Loop) -> None:
        for accumulator in loop.accumulators:
            self._start(accumulator)
        row = row_of(loop, self._around, self.pointer)
        if row is not None:
            self._in_blocks(loop, row)
        elif loop.lanes:
            self._in_partial_results(loop)
        elif _is_search(loop):
            self._search(loop)
        else:
            self._loop(loop)
        for accumulator in loop.accumulators:
            if accumulator.spoilt:
                target = accumulator.target
                self.line(f"if ({target}_nan) {target} = NAN;")
            self._round(accumulator)

    def _loop(self, loop: Loop) -> None:
        """One element after the other; a single short statement stands beside the loop's head."""
        i = loop.variable
        first, stop = (
            ("0", loop.size.text) if loop is not self.ranged else ("begin", "end")
        )
        order = "WB_INDEPENDENT " if _is_independent(loop) else ""
        head = f"{order}for (int64_t {i} = {first}; {i} < {stop}; ++{i})"
        self._around.append(loop)
        with self.apart(self.depth + 1) as body:
            self.block(loop.body.statements)
        self._around.pop()
        if len(body) == 1:
            inside = body[0].code.lstrip()
            code = f"{'  ' * self.depth}{head} {inside}"
            is_plain = re.match(r"const |if |(WB_\w+ )?for ", inside) is None
            if is_plain and len(code) <= LINE_WIDTH:
                self.lines.append(replace(body[0], code=code))
                return
        self.line(f"{head} {{")
        self.lines += body
        self.line("}")

    def _search(self, loop: Loop) -> None:
        """A loop that is left at the first element of a kind: whole blocks without one are skipped."""
        *body, found, leave = loop.body.statements
        assert isinstance(found, Combine) and isinstance(leave, Leave)
        node, place = found.accumulator.node, found.accumulator.target
        head = f"{2 * LANES}, {loop.variable}, {loop.size.text}, {place}"
        self.line(f"WB_SEARCH({head}, {{", node)
        self.depth += 1
        for statement in body:
            self.statement(statement)
        self.line(f"here |= {leave.test};", node)
        self.depth -= 1
        self.line("})")

    def _in_partial_results(self, loop: Loop) -> None:
        """A loop that gathers in several partial results, which are then joined in a fixed order."""
        costs = [cost_of(s) for s in loop.body.statements]
        lanes, how = LANES, "WB_CALLS"
        if max(costs) < CALL or any(a.place for a in loop.accumulators):
            how = "WB_LANES"
            lanes = 2 * LANES if sum(costs) <= CHEAP else LANES
        if any(a.wide for a in loop.accumulators):
            how += "_IN_CHUNKS"
        gathered = [part for a in loop.accumulators for part in _partial(a)]
        self._gathering(how, lanes, loop, gathered)
        self._in_lanes = frozenset(loop.accumulators)
        self._body(loop.body.statements)
        self._in_lanes = frozenset()

    def _in_blocks(self, loop: Loop, row: Row) -> None:
        """A loop over a row, of which the last block is padded: see `rows.py`."""
        costs = [cost_of(s) for s in loop.body.statements]
        lanes = 2 * LANES if sum(costs) <= CHEAP and not row.stores else LANES
        wide = any(a.wide for a in loop.accumulators)
        used = names_in(fold(row.body, self.pointer))
        loads = [load for load in row.loads if load.target in used]
        self._row = loop.variable
        parts = [
            *(part for a in loop.accumulators for part in _partial(a)),
            *(self._moved("load", s) for s in loads),
            *(self._moved("store", s) for s in row.stores),
        ]
        how = "WB_ROW_IN_CHUNKS" if wide else "WB_ROW"
        self._gathering(how, lanes, loop, parts, _called((*loads, *row.stores)))
        self._body(row.body)
        self._row = ""

    def _moved(self, kind: str, access: Load | Store) -> str:
        """What ``lanes.h`` must know to fetch or write elements of a row."""
        place = f"{self.pointer(access.buffer)}[{access.offset.text}]"
        if isinstance(access, Load):
            dtype, name = access.dtype, access.target
        else:
            dtype, name = access.buffer.dtype, self._place(access)
        return f"({kind}, {C_TYPES[dtype]}, {name}, {place})"

    def _gathering(
        self, how: str, lanes: int, loop: Loop, parts: Iterable[str], called: str = ""
    ) -> None:
        """The head of a loop in blocks; beside its last line what the user calls the memory."""
        order = "any_order" if _is_independent(loop) else "in_order"
        code = f"{how}({order}, {lanes}, {loop.variable}, {loop.size.text}, "
        for part in parts:
            if len(code) + len(part) > LINE_WIDTH - 2 * self.depth and code.strip():
                self.line(code.rstrip())
                code = "    "
            code += part
        self.line(f"{code}, {{", comment=called)

    def _body(self, statements: Iterable[Statement]) -> None:
        self.depth += 1
        self.block(statements)
        self.depth -= 1
        self.line("})")


def _partial(accumulator: Accumulator) -> Iterator[str]:
    """What ``lanes.h`` must know to gather in partial results and join them."""
    start = f"{C_TYPES[accumulator.dtype]}, {accumulator.sum}, {accumulator.start}"
    joined = accumulator.combine.format(a="p", x="q")
    if accumulator.place:
        yield f"(place, {start}, {joined}, {accumulator.place})"
    else:
        yield f"(value, {start}, {joined})"
    if accumulator.spoilt:
        yield f"(value, int, {accumulator.target}_nan, 0, p | q)"


def _called(accesses: Sequence[Load | Store]) -> str:
    """What the user calls the memory."""
    return ", ".join(dict.fromkeys(s.buffer.name for s in accesses if s.buffer.name))


def _is_search(loop: Loop) -> bool:
    """Whether a loop computes elements, notes the place of each, and ends at the first of a kind."""
    *body, noted, left = (None, None, *loop.body.statements)
    return (
        isinstance(left, Leave)
        and isinstance(noted, Combine)
        and all(s is None or isinstance(s, Let | Load) for s in body)
    )


def _is_independent(loop: Loop) -> bool:
    """Whether the compiler is told that the iterations do not depend on each other's memory.

    An inner loop over many arrays would otherwise not be vectorised, or have two versions.
    """
    inside = loop.body.statements
    return (
        any(isinstance(s, Store) for s in inside)
        and not any(isinstance(s, Loop) for s in inside)
        and writes_apart(loop)
    )
