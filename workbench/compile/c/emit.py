"""From loops to one C program.

The program has one function a kernel and a table of them, so that one loaded module can be
run whole, timed kernel by kernel, or stepped through. Step 0 computes the sizes of this
call, checks those that must be equal, and gets all memory; so whatever can fail has failed
before the first update is written.

Identifiers are numbers: ``n`` is a size, ``i`` a loop, ``v`` a value, ``a`` an accumulator,
``x`` the memory of an argument or shared variable, ``m`` any other memory. The text that is
compiled has no comments, so moving a cell or renaming a variable recompiles nothing.

Read next: :mod:`workbench.compile.c.statements`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from workbench.compile.c import own
from workbench.compile.c.kernels import KERNELS
from workbench.compile.c.operands import Matrix
from workbench.compile.c.settle import Settlement
from workbench.compile.c.statements import Line, Writer
from workbench.compile.elements import SizeTable
from workbench.compile.loops import (
    Block,
    Index,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    walk,
)
from workbench.compile.lower import Lowered
from workbench.compile.memory import Plan, Storage
from workbench.compile.ranges import WORTH, Part, names_in, part_of
from workbench.compile.rewrite import uniform_value
from workbench.compile.scalars import C_TYPES, literal
from workbench.compile.schedule import Schedule, is_strided_view
from workbench.config import config
from workbench.core.graph import Apply, Constant, Variable
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.slicing import Slice
from workbench.core.ops.ufunc import DimShuffle
from workbench.core.types import count

HEADERS = Path(__file__).parent
"""The folder of ``abi.h`` and ``prelude.h``."""


@dataclass(frozen=True)
class Layout:
    """What :mod:`workbench.compile.c.pieces` must know to compile kernels apart; lines from 0.

    Attributes
    ----------
    head
        How many lines at the top every C file needs.
    support, own
        First line, and line after the last, of the text that operations bring: what stands
        in the head, and functions.
    brief
        The kernels without a loop: not worth a file of their own.
    """

    head: int
    support: tuple[int, int]
    own: tuple[int, int]
    brief: frozenset[int] = frozenset()

    @property
    def brings_text(self) -> bool:
        """Whether operations bring C text, which may need any library."""
        return self.own[0] < self.own[1] or self.support[0] < self.support[1]


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
    layout
        Where else the text may be cut.
    """

    lines: list[Line]
    spans: list[tuple[int, int]]
    failing: list[Apply] = field(default_factory=list)
    hosted: dict[int, Apply] = field(default_factory=dict)
    layout: Layout = field(default_factory=lambda: Layout(0, (0, 0), (0, 0)))

    @property
    def code(self) -> str:
        """The text that is compiled."""
        return "\n".join(line.code for line in self.lines) + "\n"

    @property
    def text(self) -> str:
        """The text that is shown: beside each line its operation and the user's line."""
        return "\n".join(map(str, self.lines)) + "\n"


def emit(
    schedule: Schedule,
    plan: Plan,
    sizes: SizeTable,
    inputs: Sequence[Variable],
    integer_bits: int,
) -> Program:
    """The C program of a schedule.

    Parameters
    ----------
    inputs
        Arguments, then shared variables, then constants kept in memory.
    integer_bits
        Width of the integers that the BLAS takes.
    """
    return _Emitter(schedule, plan, sizes, inputs).program(integer_bits)


@cache
def headers_digest() -> str:
    """What tells one version of the headers from another."""
    texts = [(HEADERS / name).read_bytes() for name in ("abi.h", "prelude.h")]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]


def is_worth_cutting(part: Part) -> bool:
    """Whether a loop may be long, and does more than set one value everywhere."""
    inside = part.loop.body.statements
    if len(inside) == 1 and isinstance(inside[0], Store):
        return False
    size, work = part.loop.size.value, part.work.value
    return size is None or work is None or size * work > WORTH


def _with_inner(statement: Statement) -> list[Statement]:
    return walk(Block([statement]))


class _Emitter:
    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        sizes: SizeTable,
        inputs: Sequence[Variable],
    ) -> None:
        self.schedule, self.plan, self.sizes = schedule, plan, sizes
        self.extents = schedule.extents
        self.failing: dict[Apply, int] = {}
        self.own: list[Apply] = []
        self.parts: dict[int, list[tuple[str, list[Line]]]] = {}
        self.out = Writer(self.pointer, self._number)
        self.settlement = Settlement(schedule, plan, sizes, inputs, self.out)
        self.places = {
            self._pointer_name(p): (p, v.dtype) for v, p in plan.storage.items()
        }
        self.labels = {
            self._pointer_name(p): v.name for v, p in plan.storage.items() if v.name
        }

    def program(self, integer_bits: int) -> Program:
        """Bodies first, because they say which sizes are needed; then all in order."""
        out, order = self.out, self.plan.order
        bodies = [self._body(number, unit) for number, unit in enumerate(order)]
        kernels = count(len(order), "kernel", "kernels")
        out.line(f"/* A program of {kernels}; headers {headers_digest()}. */")
        out.line(f"#define WB_BLAS_INT {'int64_t' if integer_bits == 64 else 'int'}")
        out.line(f"#define WB_BLAS_THREADS {config.blas_threads}")
        out.line(f"#define WB_WORTH {WORTH}")
        start = len(out.lines)
        out.lines += own.support(self.own)
        support = (start, len(out.lines))
        out.line('#include "prelude.h"')
        out.line("")
        head = len(out.lines)
        out.line("const int64_t wb_abi = WB_ABI;")
        out.line("void wb_bind(void *const *blas) { wb_blas = blas; }")
        out.line("")
        start = len(out.lines)
        self._own_functions()
        layout = Layout(head, support, (start, len(out.lines)), self._brief())
        with out.apart(1) as early:
            self.settlement.early()
        self._function("prepare", "sizes, checks, memory", early, set())
        spans = []
        for number, (unit, body) in enumerate(zip(order, bodies, strict=True)):
            out.line("")
            first = len(out.lines) + 1
            self._kernel(number, unit, body)
            spans.append((first, len(out.lines)))
        self._entry(len(order), len(order) - self.plan.commits)
        hosted = {
            k + 1: unit.unit.nodes[0]
            for k, unit in enumerate(order)
            if unit.unit.role == "host"
        }
        return Program(out.lines, spans, list(self.failing), hosted, layout)

    def _brief(self) -> frozenset[int]:
        """The kernels that the host runs, or that compute single numbers."""
        return frozenset(
            number
            for number, unit in enumerate(self.plan.order)
            if unit.unit.role == "host"
            or (
                unit.unit.role != "library"
                and not any(isinstance(s, Loop) for s in walk(unit.block))
            )
        )

    def _entry(self, kernels: int, lasting: int) -> None:
        """The table of steps, and the function that runs some of them.

        The steps after the first `lasting` kernels write into shared variables.
        """
        out = self.out
        names = ", ".join(["prepare", *(f"k{k}" for k in range(kernels))])
        out.line("")
        out.line(f"static int (*const steps[])(wb_call *) = {{{names}}};")
        out.line("")
        out.line("int wb_run(wb_call *c, int64_t first, int64_t last) {")
        out.line("  int rc = WB_OK;")
        out.line("  for (int64_t s = first; s < last && rc == WB_OK; ++s) {")
        if lasting < kernels:
            out.line(f"    if (s == {lasting + 1}) c->committing = 1;")
        out.line("    rc = steps[s](c);")
        out.line("  }")
        out.line("  return rc;")
        out.line("}")

    # --- functions

    def _own_functions(self) -> None:
        """The C text that operations bring, before the kernels that call it."""
        for number, node in enumerate(self.own):
            self.out.lines += own.definition(number, node)
            self.out.line("")

    def _kernel(self, number: int, unit: Lowered, body: Sequence[Line]) -> None:
        """A kernel; before it a function for what could not be settled earlier, if there is any."""
        with self.out.apart(1) as late:
            self.settlement.late(unit)
        call: list[Line] = []
        if late:
            self._function(f"settle{number}", f"what k{number} needs", late, set())
            call = [Line(f"  if (settle{number}(c)) return (int)c->failure.code;")]
        title = " + ".join(dict.fromkeys(str(n.op) for n in unit.nodes))
        written = {*unit.writes, *unit.scratch}
        for name, part in self.parts.get(number, ()):
            self._function(name, title, part, written, ranged=True)
            self.out.line("")
            title = ""
        if len(body) == 2 and self.parts.get(number):  # nothing but the range
            share = re.search(r"wb_share\(.*\d\)(?=\)\) return rc;)", body[1].code)
            assert share is not None
            text = re.sub(r"\bn(\d+)\b", r"c->size[\1]", share.group())
            self.out.line(f"static int k{number}(wb_call *c) {{")
            self.out.lines += call
            self.out.line(f"  return {text};")
            self.out.line("}")
            return
        self._function(f"k{number}", title, body, written, call)

    def _function(
        self,
        name: str,
        title: str,
        body: Sequence[Line],
        written: set[Variable],
        first: Sequence[Line] = (),
        ranged: bool = False,
    ) -> None:
        out = self.out
        text = "\n".join(line.code for line in body)
        of = "wb_call *c, int64_t begin, int64_t end" if ranged else "wb_call *c"
        out.line(f"static int {name}({of}) {{", comment=title)
        out.lines += first
        out.depth += 1
        self._declare(
            text, written, {int(n) for n in re.findall(r"const int64_t n(\d+) =", text)}
        )
        out.lines += body
        out.line("return WB_OK;")
        out.depth -= 1
        out.line("}")

    def _declare(self, used: str, written: set[Variable], defined: Set[int]) -> None:
        """Local names for the sizes and the memory that a body uses, but for sizes it defines."""
        for variable in written & self.plan.row_sizes.keys():
            if re.search(rf"\b{self.pointer(variable)}\b", used):
                used += f" {self._row_length(variable)}"
        used_sizes = {int(n) for n in re.findall(r"\bn(\d+)\b", used)} - defined
        sizes = [f"n{n} = c->size[{n}]" for n in sorted(used_sizes)]
        for first in range(0, len(sizes), 4):
            self.out.line(f"const int64_t {', '.join(sizes[first : first + 4])};")
        targets = {id(self.plan.storage[v]) for v in written}
        rows = {self.pointer(v): v for v in written if v in self.plan.row_sizes}
        for name in sorted(
            set(re.findall(r"\b[xm]\d+\b", used)),
            key=lambda n: (n[0] != "x", int(n[1:])),
        ):
            place, dtype = self.places[name]
            constant = "" if id(place) in targets else "const "
            where = (
                f"c->input[{name[1:]}].data"
                if name[0] == "x"
                else f"c->value[{name[1:]}]"
            )
            if name in rows:  # one row for each thread
                length = self._row_length(rows[name])
                where = f"({C_TYPES[dtype]} *){where} + c->thread * {length}"
            code = f"{constant}{C_TYPES[dtype]} *restrict {name} = {where};"
            self.out.line(code, comment=self.labels.get(name) or "")

    def _row_length(self, variable: Variable) -> str:
        """The elements of a variable that is kept for one row only."""
        length = Index.of(1)
        for size in self.plan.row_sizes[variable]:
            length = length * self.sizes.index(size)
        return length.factor()

    def _pointer_name(self, place: Storage) -> str:
        return f"x{place.number}" if place.kind == "input" else f"m{place.value}"

    def pointer(self, variable: Variable) -> str:
        """The local name of a variable's memory."""
        return self._pointer_name(self.plan.storage[variable])

    def _number(self, node: Apply | None) -> int:
        return -1 if node is None else self.failing.setdefault(node, len(self.failing))

    # --- bodies

    def _body(self, number: int, unit: Lowered) -> list[Line]:
        with self.out.apart(1) as body:
            if unit.unit.role == "library":
                self._library(unit)
            elif unit.unit.role == "host":
                self._host(number, unit)
            else:
                self._loops(number, unit)
        return body

    def _loops(self, number: int, unit: Lowered) -> None:
        """The statements of a kernel; a loop that may be cut into ranges goes into a function."""
        out, block = self.out, unit.block
        in_place = bool(unit.writes) and unit.writes[0] in self.plan.in_place
        copied = unit.base_copy if in_place else None
        parts = {
            statement: part
            for statement in block.statements
            if isinstance(statement, Loop) and statement is not copied
            for part in [part_of(block, statement)]
            if part is not None and is_worth_cutting(part)
        }
        stays = [s for s in block.statements if s is not copied and s not in parts]
        used = names_in([*parts, *(inner for s in stays for inner in _with_inner(s))])
        functions = self.parts.setdefault(number, [])
        if parts:
            out.line("int rc;")
        for statement in block.statements:
            if isinstance(statement, Loop) and statement in parts:
                part = parts[statement]
                name = f"k{number}_rows{len(functions) + 1 if functions else ''}"
                functions.append((name, self._rows(part)))
                share = f"{name}, {part.loop.size.text}, {part.work.text}"
                out.line(f"if ((rc = wb_share(c, {share}))) return rc;")
            elif statement is not copied and not (
                isinstance(statement, Let | Load) and statement.target not in used
            ):
                out.statement(statement)

    def _rows(self, part: Part) -> list[Line]:
        """The body of a function that does a range of a loop's iterations."""
        out = self.out
        with out.apart(1) as lines:
            for needed in part.before:
                out.statement(needed)
            out.ranged = part.loop
            out.statement(part.loop)
        return lines

    def _library(self, unit: Lowered) -> None:
        (node,) = unit.unit.nodes
        output = node.outputs[0]
        operands = [self._matrix(v) for v in node.inputs]
        in_place = (
            output in self.plan.in_place or self.plan.storage[output].kind == "input"
        )
        place = self._matrix(output)
        if type(node.op) in KERNELS:
            lines = KERNELS[type(node.op)](node, operands, place, in_place)
        else:
            self.own.append(node)
            lines = [own.call(len(self.own) - 1, operands, place)]
        sizes = dict.fromkeys(size.factor() for m in operands for size in m.sizes)
        if sizes:  # of a product all sizes are those of its work
            self.out.line(
                f"if (wb_pause(c, (double){' * '.join(sizes)})) return WB_STOPPED;"
            )
        for line in lines:
            self.out.line(line, node)

    def _matrix(self, variable: Variable) -> Matrix:
        """An operand of a library call: a stored variable, or a view of one by strides."""
        if isinstance(variable, Constant) and variable.ndim == 0:
            text = literal(uniform_value(variable), variable.dtype)
            return Matrix(f"((const {C_TYPES[variable.dtype]}[]){{{text}}})", (), ())
        chain: list[Apply] = []
        stored = variable
        while (
            stored.owner is not None
            and stored not in self.plan.storage
            and is_strided_view(stored.owner)
        ):
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
                strides = [
                    Index.of(0) if i == "x" else strides[int(i)] for i in op.order
                ]
            else:
                assert isinstance(op, Slice)
                extents = op.extents(self.extents.of(node.inputs[0]), node.inputs[1:])
                for axis, (first, _, _) in enumerate(extents):
                    offset = offset + self.sizes.index(first) * strides[axis]
        pointer = self.pointer(self.schedule.base(stored))
        if offset.value != 0:
            pointer = f"({pointer} + {offset.text})"
        return Matrix(pointer, self._sizes(variable), tuple(strides))

    def _sizes(self, variable: Variable) -> tuple[Index, ...]:
        return tuple(self.sizes.index(size) for size in self.extents.of(variable))

    def _host(self, number: int, unit: Lowered) -> None:
        """Hand the inputs to the host's reference; take the memory and the sizes it returns."""
        (node,) = unit.unit.nodes
        takes = []
        for variable in node.inputs:
            shape = ", ".join(size.text for size in self._sizes(variable)) or "0"
            takes.append(
                f"{{(void *){self.pointer(self.schedule.base(variable))}, {{{shape}}}}}"
            )
        self.out.line(f"wb_array in[] = {{{', '.join(takes) or '{0}'}}};", node)
        self.out.line(f"wb_array out[{len(node.outputs)}] = {{{{0}}}};")
        counts = f"in, {len(node.inputs)}, out, {len(node.outputs)}"
        self.out.line(f"const int rc = c->host(c, {number + 1}, {counts});", node)
        self.out.line("if (rc) return rc;")
        for k, output in enumerate(node.outputs):
            self.out.line(
                f"c->value[{self.plan.storage[output].value}] = out[{k}].data;"
            )
            for size, entry in self.sizes.numbers.items():
                owner = size.owner
                if (
                    owner is not None
                    and isinstance(owner.op, SizeOf)
                    and owner.inputs[0] is output
                ):
                    self.out.line(
                        f"c->size[{entry}] = out[{k}].shape[{owner.op.axis}];"
                    )
                    self.settlement.known.add(size)
