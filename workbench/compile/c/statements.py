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
    Leave,
    Let,
    Load,
    Loop,
    Round,
    Statement,
    Store,
)
from workbench.compile.ranges import cost_of, writes_apart
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Apply, Variable

CODE_WIDTH = 60
"""Column at which comments start, where the code is shorter."""

LANES = 16
"""Partial accumulators of a reduction: one fixed order of summation that vectorises."""

CHEAP = 4
"""Up to this cost of an element (in additions) a reduction waits for its sums: it gets twice the lanes."""

CHUNK = 8192
"""Terms that are summed in single precision before they are added in double."""

CALL = 10
"""What costs as much is a call: beside it the sums may be in memory, and the body is written once."""


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
        self.ranged: Loop | None = None  # the loop that runs from `begin` to `end`
        self._lanes: dict[Accumulator, str] = {}
        self._places: dict[Accumulator, str] = {}
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
        elif isinstance(statement, Round):
            self._round(statement.accumulator)
        elif isinstance(statement, Check):
            self._check(statement)
        elif isinstance(statement, Leave):
            self.line(f"if ({statement.test}) break;")
        else:
            self._any_loop(statement)

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
        self.line(code, accumulator.node)
        if accumulator.place:
            self.line(f"int64_t {accumulator.place} = 0;")
        if accumulator.spoilt:
            self.line(f"int {accumulator.target}_nan = 0;")

    def _combine(self, statement: Combine) -> None:
        accumulator = statement.accumulator
        target = self._lanes.get(accumulator, accumulator.sum)
        text = accumulator.combine.format(a=target, x=statement.text)
        if not accumulator.place:
            self.line(f"{target} = {text};", accumulator.node)
            if accumulator.spoilt:
                lane = self._lanes.get(accumulator, "")
                own = lane.replace("_lane", "_nan_lane") if "_lane" in lane else ""
                test = accumulator.spoilt.format(x=statement.text)
                self.line(f"{own or accumulator.target + '_nan'} |= {test};")
            return
        assert statement.at is not None
        place = self._places.get(accumulator, accumulator.place)
        if accumulator in self._lanes:
            better = f"{accumulator.place}_better"
            self.line(f"const int {better} = {text};", accumulator.node)
            self.line(f"{target} = {better} ? {statement.text} : {target};")
            self.line(f"{place} = {better} ? {statement.at.text} : {place};")
            return
        taken = (
            f"{target} = {statement.text}; {accumulator.place} = {statement.at.text};"
        )
        self.line(f"if ({text}) {{ {taken} }}", accumulator.node)

    # --- loops

    def _any_loop(self, loop: Loop) -> None:
        if loop.lanes:
            self._loop_in_lanes(loop)
        elif any(isinstance(s, Leave) for s in loop.body.statements):
            self._search(loop)
        else:
            self._loop(loop)
        for accumulator in loop.accumulators:
            if accumulator.spoilt:
                target = accumulator.target
                self.line(f"if ({target}_nan) {target} = NAN;")
            self._round(accumulator)

    def _round(self, accumulator: Accumulator) -> None:
        if accumulator.wide:
            dtype, target = C_TYPES[accumulator.dtype], accumulator.target
            self.line(f"const {dtype} {target} = ({dtype}){accumulator.sum};")

    def _loop(self, loop: Loop) -> None:
        for accumulator in loop.accumulators:
            self._start(accumulator)
        i = loop.variable
        self._may_run_at_once(loop)
        start = "begin" if loop is self.ranged else "0"
        end = "end" if loop is self.ranged else loop.size.text
        self.line(f"for (int64_t {i} = {start}; {i} < {end}; ++{i}) {{")
        self._body(loop)
        self.line("}")

    def _search(self, loop: Loop) -> None:
        """A loop that is left at the first element of a kind: whole blocks without one are skipped."""
        i, size = loop.variable, loop.size.text
        self._ends += 1
        start = f"{i}_from{self._ends}"
        for accumulator in loop.accumulators:
            self._start(accumulator)
        self.line(f"int64_t {start} = 0;")
        self.line(
            f"for (int here = 0; {start} + {2 * LANES} <= {size}; {start} += {2 * LANES}) {{"
        )
        self.depth += 1
        self.line(f"for (int l = 0; l < {2 * LANES}; ++l) {{")
        self.line(f"  const int64_t {i} = {start} + l;")
        self.depth += 1
        for statement in loop.body.statements:
            if isinstance(statement, Leave):
                self.line(f"here |= {statement.test};")
            elif not isinstance(statement, Combine):
                self.statement(statement)
        self.depth -= 1
        self.line("}")
        self.line("if (here) break;")
        self.depth -= 1
        self.line("}")
        self.line(f"for (int64_t {i} = {start}; {i} < {size}; ++{i}) {{")
        self._body(loop)
        self.line("}")

    def _may_run_at_once(self, loop: Loop) -> None:
        """Tell the compiler of an inner loop whose iterations do not depend on each other's memory.

        Without it a loop over many arrays is not vectorised, or has two versions.
        """
        inside = loop.body.statements
        if any(isinstance(s, Store) for s in inside) and (
            not any(isinstance(s, Loop) for s in inside) and writes_apart(loop)
        ):
            self.line("WB_INDEPENDENT")

    def _body(self, loop: Loop) -> None:
        self.depth += 1
        self.block(loop.body)
        self.depth -= 1

    def _loop_in_lanes(self, loop: Loop) -> None:
        """A loop that gathers in several partial accumulators, then joins them in a fixed order."""
        for accumulator in loop.accumulators:
            self._start(accumulator)
        costs = [cost_of(s) for s in loop.body.statements]
        if max(costs) < CALL or any(a.place for a in loop.accumulators):
            self._loop_in_registers(loop, 2 * LANES if sum(costs) <= CHEAP else LANES)
        else:
            self._loop_of_calls(loop)

    def _loop_of_calls(self, loop: Loop) -> None:
        """Blocks; a row that is shorter than one has no use for lanes, and waits for them."""
        self.line(f"if ({loop.size.text} < {LANES}) {{")
        self.depth += 1
        self._few(loop)
        self.depth -= 1
        self.line("} else {")
        self.depth += 1
        self._in_chunks(loop, loop.size.factor(), LANES, self._blocks)
        self.depth -= 1
        self.line("}")

    def _in_chunks(
        self,
        loop: Loop,
        end: str,
        lanes: int,
        body: Callable[[Loop, str, str, int], None],
    ) -> None:
        """Partial sums for all up to `end`, or for so many that single precision holds their sum."""
        i = loop.variable
        first, stop = "0", end
        if any(a.wide for a in loop.accumulators):
            first, stop = f"{i}_chunk", f"{i}_stop"
            self.line(
                f"for (int64_t {first} = 0; {first} < {end}; {first} += {CHUNK}) {{"
            )
            size = f"{end} - {first} < {CHUNK} ? {end} : {first} + {CHUNK}"
            self.line(f"  const int64_t {stop} = {size};")
        else:
            self.line(f"if ({end} > 0) {{")  # A short row has no use for the lanes.
        self.depth += 1
        self._start_lanes(loop, lanes)
        body(loop, first, stop, lanes)
        self._join_lanes(loop, lanes)
        self.depth -= 1
        self.line("}")

    def _blocks(self, loop: Loop, first: str, stop: str, lanes: int) -> None:
        """The body once, for blocks of as many elements as there are lanes or, at the end, fewer."""
        i = loop.variable
        self.line(
            f"for (int64_t {i}_block = {first}; {i}_block < {stop}; {i}_block += {lanes}) {{"
        )
        self.depth += 1
        rest = f"{stop} - {i}_block"
        self.line(f"const int64_t width = {rest} < {lanes} ? {rest} : {lanes};")
        self._may_run_at_once(loop)
        self.line("for (int64_t l = 0; l < width; ++l) {")
        self._body_in_lane(loop)
        self.line("}")
        self.depth -= 1
        self.line("}")

    def _full_blocks(self, loop: Loop, first: str, stop: str, lanes: int) -> None:
        """Blocks of as many elements as there are lanes: their sums stay in registers."""
        i = loop.variable
        self.line(
            f"for (int64_t {i}_block = {first}; {i}_block < {stop}; {i}_block += {lanes})"
        )
        self.depth += 1
        self._may_run_at_once(loop)
        self.line(f"for (int l = 0; l < {lanes}; ++l) {{")
        self._body_in_lane(loop)
        self.line("}")
        self.depth -= 1

    def _loop_in_registers(self, loop: Loop, lanes: int) -> None:
        """Full blocks, and what is left one by one."""
        i, size = loop.variable, loop.size.text
        self._ends += 1
        end = f"{i}_end{self._ends}"
        self.line(f"const int64_t {end} = ({size}) / {lanes} * {lanes};")
        self._in_chunks(loop, end, lanes, self._full_blocks)
        self._plain(loop, end)

    def _few(self, loop: Loop) -> None:
        """A few elements one after the other, in the precision they have."""
        few = {a: f"{a.target}_few" for a in loop.accumulators}
        for accumulator, name in few.items():
            dtype = C_TYPES[accumulator.dtype]
            self.line(f"{dtype} {name} = {accumulator.start};", accumulator.node)
        self._lanes = few
        self._plain(loop)
        self._lanes = {}
        for accumulator, name in few.items():
            self.line(f"{accumulator.sum} = {name};")

    def _plain(self, loop: Loop, first: str = "0") -> None:
        """One element after the other."""
        i = loop.variable
        self.line(f"for (int64_t {i} = {first}; {i} < {loop.size.text}; ++{i}) {{")
        self._body(loop)
        self.line("}")

    def _body_in_lane(self, loop: Loop) -> None:
        self.line(f"  const int64_t {loop.variable} = {loop.variable}_block + l;")
        self._lanes = {a: f"{a.target}_lane[l]" for a in loop.accumulators}
        self._places = {a: f"{a.place}_lane[l]" for a in loop.accumulators}
        self._body(loop)
        self._lanes, self._places = {}, {}

    def _start_lanes(self, loop: Loop, lanes: int) -> None:
        for accumulator in loop.accumulators:
            lane = f"{accumulator.target}_lane"
            dtype = C_TYPES[accumulator.dtype]
            self.line(f"{dtype} {lane}[{lanes}];", accumulator.node)
            self.line(
                f"for (int l = 0; l < {lanes}; ++l) {lane}[l] = {accumulator.start};"
            )
            if accumulator.place:
                self.line(f"int64_t {accumulator.place}_lane[{lanes}] = {{0}};")
            if accumulator.spoilt:
                self.line(f"int {accumulator.target}_nan_lane[{lanes}] = {{0}};")

    def _join_lanes(self, loop: Loop, lanes: int) -> None:
        """Halves joined with halves as long as that is done at once, then one by one."""
        for accumulator in loop.accumulators:
            if accumulator.place:
                self._join_places(accumulator, lanes)
                continue
            lane, half = f"{accumulator.target}_lane", lanes
            while half > 4:
                half //= 2
                joined = accumulator.combine.format(
                    a=f"{lane}[l]", x=f"{lane}[l + {half}]"
                )
                self.line(f"for (int l = 0; l < {half}; ++l) {lane}[l] = {joined};")
            if accumulator.spoilt:
                nan = f"{accumulator.target}_nan"
                self.line(f"for (int l = 0; l < {lanes}; ++l) {nan} |= {nan}_lane[l];")
            joined = accumulator.combine.format(a=accumulator.sum, x=f"{lane}[l]")
            self.line(f"for (int l = 0; l < {half}; ++l) {accumulator.sum} = {joined};")

    def _join_places(self, accumulator: Accumulator, lanes: int) -> None:
        """The best of the lanes, and of equals the one that comes first."""
        a, place = accumulator.target, accumulator.place
        x, at = f"{a}_lane[l]", f"{place}_lane[l]"
        better = accumulator.combine.format(a=a, x=x)
        worse = accumulator.combine.format(a=x, x=a)
        self.line(f"for (int l = 0; l < {lanes}; ++l)")
        self.line(f"  if ({better} || (!{worse} && {at} < {place})) {{")
        self.line(f"    {a} = {x}; {place} = {at};")
        self.line("  }")
