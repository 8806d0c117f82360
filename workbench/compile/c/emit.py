"""From loops to one C program.

The program has one function a kernel and a table of them, so that one loaded module can be
run whole, timed kernel by kernel, or stepped through. Step 0 computes the sizes of this
call, checks those that must be equal, and gets all memory; so whatever can fail has failed
before the first update is written.

Names of variables never reach the code: identifiers are numbers. ``n`` is a size, ``i`` a
loop, ``v`` a value, ``a`` an accumulator, ``x`` the memory of an argument or shared
variable, ``m`` any other memory. What people read beside the code, the op and their own
line, are comments of the shown text only; the compiled text is the same without them, so
moving a cell recompiles nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from workbench.compile.c.kernels import KERNELS, Matrix
from workbench.compile.c.settle import Settlement
from workbench.compile.loops import (
    Accumulator,
    Block,
    Check,
    Combine,
    Index,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    Text,
)
from workbench.compile.lower import C_TYPES, Lowered, SizeTable, literal
from workbench.compile.memory import Plan, Storage
from workbench.compile.rewrite import uniform_value
from workbench.compile.schedule import Schedule, is_strided_view
from workbench.core.graph import Apply, Constant, Variable
from workbench.core.ops.elementwise import DimShuffle
from workbench.core.ops.indexing import Slice
from workbench.core.ops.shape import SizeOf

HEADERS = Path(__file__).parent
"""The folder of ``abi.h`` and ``prelude.h``."""


@dataclass
class Line:
    """A line of code, what stands beside it, and the node it computes."""

    code: str
    comment: str = ""
    node: Apply | None = None


@dataclass
class Program:
    """The text of a program and what its host must know.

    Attributes
    ----------
    lines
        Every line, in order.
    spans
        For each kernel its first and last line, counted from 1.
    failing
        The nodes that failures are reported for, by number.
    hosted
        For each step that the host computes, its node.
    """

    lines: list[Line]
    spans: list[tuple[int, int]]
    failing: list[Apply] = field(default_factory=list)
    hosted: dict[int, Apply] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The text that is compiled: no comments but the head."""
        return "\n".join(line.code for line in self.lines) + "\n"

    @property
    def text(self) -> str:
        """The text that is shown: beside each line its operation and the user's line."""
        return "\n".join(_beside(line) for line in self.lines) + "\n"


def _beside(line: Line) -> str:
    if not line.comment:
        return line.code
    return f"{line.code:<60}  // {line.comment}" if line.code.strip() else f"// {line.comment}"


def emit(schedule: Schedule, plan: Plan, sizes: SizeTable, inputs: Sequence[Variable], integer_bits: int) -> Program:
    """The C program of a schedule.

    Parameters
    ----------
    inputs
        Arguments, then shared variables, then constants kept in memory.
    integer_bits
        Width of the integers that the BLAS takes.
    """
    return _Emitter(schedule, plan, sizes, inputs).program(integer_bits)


class _Emitter:
    def __init__(self, schedule: Schedule, plan: Plan, sizes: SizeTable, inputs: Sequence[Variable]) -> None:
        self.schedule, self.plan, self.sizes = schedule, plan, sizes
        self.inputs = list(inputs)
        self.lines: list[Line] = []
        self.failing: dict[Apply, int] = {}
        self.depth = 0
        self.lane_loops = 0
        self.extents = schedule.extents
        self.settlement = Settlement(
            schedule, plan, sizes, inputs, self._line, lambda statement: self._statement(statement, {}), self._number
        )

    def program(self, integer_bits: int) -> Program:
        digest = hashlib.sha256(
            (HEADERS / "prelude.h").read_bytes() + (HEADERS / "abi.h").read_bytes()
        ).hexdigest()[:16]
        bodies = self._bodies()  # first, because they say which sizes are needed
        prepare = self._captured(self._prepare)
        self.lines = []
        self._line(f"/* A program in {len(self.plan.order)} kernels; headers {digest}. */")
        self._line(f"#define WB_BLAS_INT {'int64_t' if integer_bits == 64 else 'int'}")
        self._line('#include "prelude.h"')
        self._line("")
        self._line("const int64_t wb_abi = WB_ABI;")
        self._line("void wb_bind(void *const *blas) { wb_blas = blas; }")
        self._line("")
        self.lines += prepare
        spans = []
        hosted = {}
        for number, (unit, body) in enumerate(zip(self.plan.order, bodies, strict=True)):
            self._line("")
            first = len(self.lines) + 1
            self._kernel(number, unit, body)
            spans.append((first, len(self.lines)))
            if unit.unit.role == "host":
                hosted[number + 1] = unit.unit.nodes[0]
        self._line("")
        names = ", ".join(["prepare", *(f"k{k}" for k in range(len(bodies)))])
        self._line(f"static int (*const steps[])(wb_call *) = {{{names}}};")
        self._line("")
        self._line("int wb_run(wb_call *c, int64_t first, int64_t last) {")
        self._line("  int rc = WB_OK;")
        self._line("  for (int64_t s = first; s < last && rc == WB_OK; ++s) rc = steps[s](c);")
        self._line("  return rc;")
        self._line("}")
        failing = [node for node, _ in sorted(self.failing.items(), key=lambda item: item[1])]
        return Program(self.lines, spans, failing, hosted)

    # --- lines

    def _line(self, code: str, node: Apply | None = None, comment: str = "") -> None:
        self.lines.append(Line("  " * self.depth + code if code else "", sanitise(comment) or describe(node), node))

    def _captured(self, write: object) -> list[Line]:
        before, self.lines = self.lines, []
        assert callable(write)
        write()
        made, self.lines = self.lines, before
        return made

    def _number(self, node: Apply | None) -> int:
        return -1 if node is None else self.failing.setdefault(node, len(self.failing))

    # --- kernels

    def _bodies(self) -> list[list[Line]]:
        self.depth += 1
        made = [
            self._captured(lambda number=number, unit=unit: self._body(number, unit))
            for number, unit in enumerate(self.plan.order)
        ]
        self.depth -= 1
        return made

    def _kernel(self, number: int, unit: Lowered, body: Sequence[Line]) -> None:
        title = " + ".join(dict.fromkeys(str(n.op) for n in unit.unit.nodes))
        before = len(self.lines)
        self._settling(f"settle{number}", f"what k{number} needs", lambda: self.settlement.late(unit))
        settles = len(self.lines) > before
        self._line(f"static int k{number}(wb_call *c) {{", comment=title)
        self.depth += 1
        if settles:
            self._line(f"if (settle{number}(c)) return (int)c->failure.code;")
        self._declare("\n".join(line.code for line in body), {*unit.writes, *unit.scratch})
        self.lines += body
        self._line("return WB_OK;")
        self.depth -= 1
        self._line("}")

    def _body(self, number: int, unit: Lowered) -> None:
        role = unit.unit.role
        if role == "library":
            self._library(unit)
        elif role == "host":
            self._host(number, unit)
        else:
            skip = unit.base_copy if unit.writes and unit.writes[0] in self.plan.in_place else None
            self._block(unit.block, skip)

    def _declare(self, used: str, written: set[Variable], defined: Set[int] = frozenset()) -> None:
        """Local names for the sizes and the memory that a body uses, but for sizes it defines."""
        for number in sorted({int(n) for n in re.findall(r"\bn(\d+)\b", used)} - defined):
            self._line(f"const int64_t n{number} = c->size[{number}];")
        targets = {id(self.plan.storage[v]) for v in written}
        for name in sorted(set(re.findall(r"\b[xm]\d+\b", used)), key=lambda n: (n[0] != "x", int(n[1:]))):
            place = self._by_name[name]
            constant = "" if id(place[0]) in targets else "const "
            ctype = C_TYPES[place[1]]
            where = f"c->input[{name[1:]}].data" if name[0] == "x" else f"c->value[{name[1:]}]"
            self._line(f"{constant}{ctype} *restrict {name} = {where};", comment=place[2])

    @property
    def _by_name(self) -> dict[str, tuple[Storage, str, str]]:
        if not hasattr(self, "_names"):
            self._names: dict[str, tuple[Storage, str, str]] = {}
            for variable, place in self.plan.storage.items():
                name = self._pointer_name(place)
                label = variable.name or ""
                if name in self._names and not label:
                    label = self._names[name][2]
                self._names[name] = (place, variable.dtype, label)
        return self._names

    def _pointer_name(self, place: Storage) -> str:
        return f"x{place.number}" if place.kind == "input" else f"m{place.value}"

    def pointer(self, variable: Variable) -> str:
        """The local name of a variable's memory."""
        return self._pointer_name(self.plan.storage[variable])

    # --- statements

    def _block(self, block: Block, skip: Loop | None = None) -> None:
        for statement in block.statements:
            if statement is not skip:
                self._statement(statement, {})

    def _statement(self, statement: Statement, lanes: dict[Accumulator, str]) -> None:
        if isinstance(statement, Let):
            self._line(f"const {C_TYPES[statement.dtype]} {statement.target} = {statement.text};", statement.node)
        elif isinstance(statement, Load):
            label = statement.buffer.name or ""
            code = f"const {C_TYPES[statement.dtype]} {statement.target} = {self.pointer(statement.buffer)}[{statement.offset.text}];"
            self._line(code, statement.node, comment=label)
        elif isinstance(statement, Store):
            place = f"{self.pointer(statement.buffer)}[{statement.offset.text}]"
            self._line(f"{place} = {statement.text.replace('{a}', place)};", comment=statement.buffer.name or describe(statement.node))
        elif isinstance(statement, Accumulator):
            self._start(statement)
        elif isinstance(statement, Combine):
            self._combine(statement, lanes)
        elif isinstance(statement, Check):
            number = self._number(statement.node)
            self._line(f"if (WB_UNLIKELY({statement.bad}))")
            self._line(f"  return wb_fail(c, {statement.code}, {number}, {statement.axis}, {statement.a}, {statement.b});", statement.node)
        elif isinstance(statement, Text):
            self._line(statement.text, statement.node)
        elif statement.lanes:
            self._lanes(statement)
        else:
            self._loop(statement)

    def _start(self, accumulator: Accumulator) -> None:
        self._line(f"{C_TYPES[accumulator.dtype]} {accumulator.target} = {accumulator.start};", accumulator.node)
        if accumulator.place:
            self._line(f"int64_t {accumulator.place} = 0;")

    def _combine(self, statement: Combine, lanes: dict[Accumulator, str]) -> None:
        accumulator = statement.accumulator
        target = lanes.get(accumulator, accumulator.target)
        text = accumulator.combine.format(a=target, x=statement.text)
        if accumulator.place:
            assert statement.at is not None
            self._line(f"if ({text}) {{ {target} = {statement.text}; {accumulator.place} = {statement.at.text}; }}", accumulator.node)
        else:
            self._line(f"{target} = {text};", accumulator.node)

    def _loop(self, loop: Loop) -> None:
        for accumulator in loop.accumulators:
            self._start(accumulator)
        i = loop.variable
        self._line(f"for (int64_t {i} = 0; {i} < {loop.size.text}; ++{i}) {{")
        self._inside(loop, {})
        self._line("}")

    def _inside(self, loop: Loop, lanes: dict[Accumulator, str]) -> None:
        self.depth += 1
        for statement in loop.body.statements:
            self._statement(statement, lanes)
        self.depth -= 1

    def _lanes(self, loop: Loop) -> None:
        """A loop that gathers in several partial accumulators, then joins them in a fixed order."""
        i = loop.variable
        self.lane_loops += 1
        end = f"{i}_end{self.lane_loops}"
        partial = {a: f"{a.target}_lane[l]" for a in loop.accumulators}
        for accumulator in loop.accumulators:
            ctype = C_TYPES[accumulator.dtype]
            self._line(f"{ctype} {accumulator.target}_lane[WB_LANES];", accumulator.node)
            self._line(f"for (int l = 0; l < WB_LANES; ++l) {accumulator.target}_lane[l] = {accumulator.start};")
        self._line(f"const int64_t {end} = ({loop.size.text}) / WB_LANES * WB_LANES;")
        self._line(f"for (int64_t {i}_block = 0; {i}_block < {end}; {i}_block += WB_LANES)")
        self._line("  for (int l = 0; l < WB_LANES; ++l) {")
        self.depth += 1
        self._line(f"  const int64_t {i} = {i}_block + l;")
        self._inside(loop, partial)
        self.depth -= 1
        self._line("  }")
        self._line(f"for (int64_t {i} = {end}; {i} < {loop.size.text}; ++{i}) {{")
        self._inside(loop, {a: f"{a.target}_lane[0]" for a in loop.accumulators})
        self._line("}")
        for accumulator in loop.accumulators:
            target = accumulator.target
            self._line(f"{C_TYPES[accumulator.dtype]} {target} = {target}_lane[0];")
            join = accumulator.combine.format(a=target, x=f"{target}_lane[l]")
            self._line(f"for (int l = 1; l < WB_LANES; ++l) {target} = {join};")

    # --- library and host

    def _library(self, unit: Lowered) -> None:
        (node,) = unit.unit.nodes
        output = node.outputs[0]
        operands = [self._matrix(v) for v in node.inputs]
        in_place = output in self.plan.in_place or self.plan.storage[output].kind == "input"
        for line in KERNELS[type(node.op)](node, operands, self._matrix(output), in_place):
            self._line(line, node)

    def _matrix(self, variable: Variable) -> Matrix:
        """An operand of a library call: a stored variable, or a view of one by strides."""
        if isinstance(variable, Constant) and variable.ndim == 0:
            text = literal(uniform_value(variable), variable.dtype)
            return Matrix(f"((const {C_TYPES[variable.dtype]}[]){{{text}}})", (), ())
        chain: list[Apply] = []
        stored = variable
        while stored.owner is not None and stored not in self.plan.storage and is_strided_view(stored.owner):
            chain.append(stored.owner)
            stored = stored.owner.inputs[0]
        strides: list[Index] = []
        step = Index.of(1)
        for size in reversed(self.extents.of(stored)):
            strides.insert(0, step)
            step = step * self.sizes.index(size)
        offset = Index.of(0)
        for node in reversed(chain):
            op = node.op
            if isinstance(op, DimShuffle):
                strides = [Index.of(0) if i == "x" else strides[int(i)] for i in op.order]
            else:
                assert isinstance(op, Slice)
                sizes = self.extents.of(node.inputs[0])
                for axis, (first, _, _) in enumerate(op.extents(sizes, node.inputs[1:])):
                    offset = offset + self.sizes.index(first) * strides[axis]
        pointer = self.pointer(self.schedule.base(stored))
        if offset.value != 0:
            pointer = f"({pointer} + {offset.text})"
        shape = tuple(self.sizes.index(size) for size in self.extents.of(variable))
        return Matrix(pointer, shape, tuple(strides))

    def _host(self, number: int, unit: Lowered) -> None:
        (node,) = unit.unit.nodes
        takes = []
        for variable in node.inputs:
            shape = ", ".join(self.sizes.index(s).text for s in self.extents.of(variable))
            takes.append(f"{{(void *){self.pointer(self.schedule.base(variable))}, {{{shape or 0}}}}}")
        self._line(f"wb_array in[] = {{{', '.join(takes) or '{0}'}}};", node)
        self._line(f"wb_array out[{len(node.outputs)}] = {{{{0}}}};")
        self._line(f"const int rc = c->host(c, {number + 1}, in, {len(node.inputs)}, out, {len(node.outputs)});", node)
        self._line("if (rc) return rc;")
        for k, output in enumerate(node.outputs):
            place = self.plan.storage.get(output)
            if place is not None:
                self._line(f"c->value[{place.value}] = out[{k}].data;")
            for size, table in list(self.sizes.numbers.items()):
                owner = size.owner
                if owner is not None and isinstance(owner.op, SizeOf) and owner.inputs[0] is output:
                    self._line(f"c->size[{table}] = out[{k}].shape[{owner.op.axis}];")
                    self.settlement.known.add(size)

    # --- what is settled before

    def _prepare(self) -> None:
        self._settling("prepare", "sizes, checks, memory", self.settlement.early)

    def _settling(self, name: str, comment: str, settle: Callable[[], None]) -> None:
        """A function that settles sizes and memory; nothing at all when there is nothing to settle."""
        self.depth += 1
        body = self._captured(settle)
        self.depth -= 1
        if not body and name != "prepare":
            return
        self._line(f"static int {name}(wb_call *c) {{", comment=comment)
        self.depth += 1
        text = "\n".join(line.code for line in body)
        defined = {int(n) for n in re.findall(r"const int64_t n(\d+) =", text)}
        self._declare(text, set(), defined)
        self.lines += body
        self._line("(void)c;")
        self._line("return WB_OK;")
        self.depth -= 1
        self._line("}")


def describe(node: Apply | None) -> str:
    """What stands beside a line: the operation, and the user's line that asked for it."""
    if node is None:
        return ""
    place = node.origin.location
    prefix = "gradient of " + str(node.origin.forward.op) + ", " if node.origin.forward is not None else ""
    return sanitise(f"{prefix}{node.op}" + (f" | {place}" if place is not None else ""))


def sanitise(text: str) -> str:
    """Text that is safe in a line comment: printable ASCII, no backslash at its end."""
    clean = "".join(c if " " <= c <= "~" else "?" for c in text)
    return clean.replace("\\", "/").replace("??", "? ?")[:160]
