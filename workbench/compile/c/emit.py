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

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from workbench.compile import ranges
from workbench.compile.c import own
from workbench.compile.c.headers import headers_digest, includes
from workbench.compile.c.kernels import KERNELS, WORKERS, has_worker, headers
from workbench.compile.c.nested import Room, loop_lines, rings
from workbench.compile.c.operands import Matrix
from workbench.compile.c.settle import Settlement
from workbench.compile.c.statements import Line, Writer, shown
from workbench.compile.layouts import stride_texts
from workbench.compile.loops import Index, Loop, walk
from workbench.compile.lower import Lowered
from workbench.compile.memory import Storage
from workbench.compile.planning import Planned
from workbench.compile.ranges import Part, is_worth_cutting, part_of
from workbench.compile.rewrite import uniform_value
from workbench.compile.scalars import C_TYPES, literal
from workbench.compile.schedule import is_strided_view, unchecked
from workbench.config import config
from workbench.core.graph import Apply, Constant, Variable
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.slicing import Slice
from workbench.core.ops.ufunc import DimShuffle
from workbench.core.types import count


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


Span = tuple[int, int]
"""First and last line, counted from 1."""


@dataclass
class Program:
    """The text of a program and what its host must know.

    Attributes
    ----------
    lines
        Every line, in order.
    spans
        For each kernel its first and last line, counted from 1; those of programs inside
        kernels come last.
    failing
        The nodes that failures are reported for, by number.
    hosted
        For each step that the host computes, its node.
    layout
        Where else the text may be cut.
    """

    lines: list[Line]
    spans: list[Span]
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
        return shown(self.lines)


def emit(planned: Planned, integer_bits: int) -> Program:
    """The C program of what was planned.

    Parameters
    ----------
    integer_bits
        Width of the integers that the BLAS takes.
    """
    return _Emitter(planned).program(integer_bits)


class _Emitter:
    """Writes one program: the whole one, or one inside a kernel, which shares what `root` has."""

    def __init__(self, planned: Planned, root: _Emitter | None = None) -> None:
        self.schedule, self.plan = planned.schedule, planned.plan
        self.sizes, inputs = planned.sizes, planned.inputs
        self.extents = self.schedule.extents
        self.root = root or self
        self.failing: dict[Apply, int] = {} if root is None else root.failing
        self.own: list[own.Own] = [] if root is None else root.own
        n = len(self.plan.order)
        first = 0 if root is None else root.n_kernels
        self.numbers = range(first, first + n)  # of the kernels, in order
        self.n_kernels: int = n  # of the root: all that have a number
        self.root.n_kernels = first + n
        self.inside: dict[int, tuple[list[Line], dict[int, Span]]] = {}
        self.spans: dict[int, Span] = {}
        self.brief: set[int] = set() if root is None else root.brief
        self.parts: dict[int, list[tuple[str, list[Line]]]] = {}
        self.work_slot: int | None = None
        self.out = Writer(self.pointer, self._number)
        self.settlement = Settlement(
            self.schedule, self.plan, self.sizes, inputs, self.out, root is None
        )
        storage = self.plan.storage
        self.places = {self._pointer_name(p): (p, v.dtype) for v, p in storage.items()}
        self.labels = {
            self._pointer_name(p): v.name for v, p in storage.items() if v.name
        }

    def program(self, integer_bits: int) -> Program:
        """Bodies first, because they say which sizes are needed; then all in order."""
        out, order = self.out, self.plan.order
        bodies = self._bodies()
        with out.apart(0) as lines:
            out.line("const int64_t wb_abi = WB_ABI;")
            out.line("void wb_bind(void *const *blas) { wb_blas = blas; }")
            out.line("")
            start = len(lines)
            self._own_functions()
            own_text = (start, len(lines))
            self._functions("prepare", bodies)
            self._entry(len(order))
        with out.apart(0) as top:
            support = self._top(integer_bits, lines)
        head = len(top)
        layout = Layout(head, support, _moved(own_text, head), frozenset(self.brief))
        spans = [_moved(self.spans[number], head) for number in range(self.n_kernels)]
        hosted = {
            k + 1: unit.unit.nodes[0]
            for k, unit in enumerate(order)
            if unit.unit.role == "host"
        }
        return Program([*top, *lines], spans, list(self.failing), hosted, layout)

    def _top(self, integer_bits: int, lines: Sequence[Line]) -> Span:
        """What stands above those lines; returns where the text of operations stands in it."""
        out = self.out
        kernels = count(len(self.plan.order), "kernel", "kernels")
        out.line(f"/* A program of {kernels}; headers {headers_digest()}. */")
        out.line(f"#define WB_BLAS_INT {'int64_t' if integer_bits == 64 else 'int'}")
        out.line(f"#define WB_BLAS_THREADS {config.blas_threads}")
        out.line(f"#define WB_WORTH {ranges.WORTH}")
        start = len(out.lines)
        if self.own:  # It may call what it likes of these.
            out.line("#include <stdlib.h>")
            out.line("#include <string.h>")
        out.lines += own.support([each.node for each in self.own])
        support = (start, len(out.lines))
        for line in includes("\n".join(line.code for line in lines)):
            out.line(line)
        out.line("")
        return support

    def _bodies(self) -> list[list[Line]]:
        """The statements of every kernel."""
        numbered = list(zip(self.numbers, self.plan.order, strict=True))
        self.brief.update(number for number, unit in numbered if _is_brief(unit))
        return [self._body(number, unit) for number, unit in numbered]

    def _functions(self, prepare: str, bodies: Sequence[Sequence[Line]]) -> None:
        """What settles and every kernel; before a kernel the program that is inside it."""
        out = self.out
        with out.apart(1) as early:
            self.settlement.early()
        self._function(prepare, "sizes, checks, memory", early, set())
        for number, unit, body in zip(
            self.numbers, self.plan.order, bodies, strict=True
        ):
            out.line("")
            if number in self.inside:
                lines, spans = self.inside[number]
                before = len(out.lines)
                self.spans |= {
                    k: (a + before, b + before) for k, (a, b) in spans.items()
                }
                out.lines += lines
                out.line("")
            first = len(out.lines) + 1
            self._kernel(number, unit, body)
            self.spans[number] = (first, len(out.lines))

    def _inside(self, number: int, planned: Planned) -> Room:
        """Write the program inside a kernel; its kernels have numbers after all others."""
        inner = _Emitter(planned, self.root)
        bodies = inner._bodies()
        inner._functions(f"prepare{number}", bodies)
        last = next(k for k, line in enumerate(inner.out.lines) if line.code == "}")
        settled = "\n".join(line.code for line in inner.out.lines[:last])
        inner.out.line("")
        inner.out.line(f"static int step{number}(wb_call *c) {{")
        inner.out.line("  int rc;")
        for k in inner.numbers:
            inner.out.line(f"  if ((rc = k{k}(c))) return rc;")
        inner.out.line("  return WB_OK;")
        inner.out.line("}")
        self.inside[number] = (inner.out.lines, inner.spans)
        results = planned.schedule.graph.results
        return Room(
            str(number),
            self.plan.slots,
            planned.plan.slots,
            len(planned.plan.values),
            len(planned.sizes.numbers),
            tuple(planned.plan.storage[v].value for v in results),
            re.search(r"c->input\[\d+\]\.data", settled) is not None,
        )

    def _entry(self, kernels: int) -> None:
        """The table of steps, and the function that runs some of them."""
        out = self.out
        names = ", ".join(["prepare", *(f"k{k}" for k in range(kernels))])
        out.line("")
        out.line(f"static int (*const steps[])(wb_call *) = {{{names}}};")
        out.line("")
        out.line("int wb_run(wb_call *c, int64_t first, int64_t last) {")
        out.line("  int rc = WB_OK;")
        out.line(
            "  for (int64_t s = first; s < last && rc == WB_OK; ++s) rc = steps[s](c);"
        )
        out.line("  return rc;")
        out.line("}")

    # --- functions

    def _own_functions(self) -> None:
        """The C text that operations bring, before the kernels that call it."""
        for number, each in enumerate(self.own):
            self.out.lines += own.definition(number, each)
            self.out.line("")

    def _kernel(self, number: int, unit: Lowered, body: Sequence[Line]) -> None:
        """A kernel; before it a function for what could not be settled earlier, if there is any."""
        if unit.unit.role == "library":
            for line in headers(unit.unit.nodes[0]):
                self.out.line(line)
        with self.out.apart(1) as late:
            self.settlement.late(unit)
        call: list[Line] = []
        if late:
            self._function(f"settle{number}", f"what k{number} needs", late, set())
            call = [Line(f"  if (settle{number}(c)) return (int)c->failure.code;")]
        title = " + ".join(dict.fromkeys(str(n.op) for n in unit.nodes))
        written = {*unit.writes, *unit.scratch}
        alone = len(body) == 1 and not late
        for name, part in self.parts.get(number, ()):
            self._function(name, title, part, written, ranged=True)
            if not alone:
                self.out.line("")
            title = ""
        if alone and self.parts.get(number):
            share = re.sub(r"\bn(\d+)\b", r"c->size[\1]", body[0].code.strip())
            self.out.line(f"static int k{number}(wb_call *c) {{ {share} }}")
        else:
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
        # Called in two places, it would be compiled twice: a step of a loop is worth that.
        alone = "WB_ALONE " if ranged and self.root is self else ""
        out.line(f"static {alone}int {name}({of}) {{", comment=title)
        out.lines += first
        out.depth += 1
        self._declare(
            text, written, {int(n) for n in re.findall(r"const int64_t n(\d+) =", text)}
        )
        out.lines += body
        if not (body and body[-1].code.startswith("  return ")):
            out.line("return WB_OK;")
        out.depth -= 1
        out.line("}")

    def _declare(self, used: str, written: set[Variable], defined: Set[int]) -> None:
        """Local names for the sizes and the memory that a body uses, but for sizes it defines.

        In the order of their use, not of their numbers: so equal kernels of a program have
        equal texts, and are compiled once.
        """
        for variable in written & self.plan.row_sizes.keys():
            if re.search(rf"\b{self.pointer(variable)}\b", used):
                used += f" {self._row_length(variable)}"
        found = dict.fromkeys(int(n) for n in re.findall(r"\bn(\d+)\b", used))
        sizes = [f"n{n} = c->size[{n}]" for n in found if n not in defined]
        strides = sorted(set(re.findall(r"\bx(\d+)_s(\d+)\b", used)))
        sizes += [f"x{n}_s{k} = c->input[{n}].stride[{k}]" for n, k in strides]
        for first in range(0, len(sizes), 4):
            self.out.line(f"const int64_t {', '.join(sizes[first : first + 4])};")
        targets = {id(self.plan.storage[v]) for v in written}
        rows = {self.pointer(v): v for v in written if v in self.plan.row_sizes}
        names = dict.fromkeys(re.findall(r"\b[xm]\d+\b", used))
        alike: dict[str, list[tuple[str, str]]] = {}
        for name in names:
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
            pointers = alike.setdefault(f"{constant}{C_TYPES[dtype]}", [])
            pointers.append((name, f"*restrict {name} = {where}"))
        for c_type, pointers in alike.items():
            for first in range(0, len(pointers), 3):
                self._pointers(c_type, pointers[first : first + 3])

    def _pointers(self, c_type: str, pointers: Sequence[tuple[str, str]]) -> None:
        """Names and declarators of pointers to one type; beside them what the user calls them."""
        called = [(n, self.labels[n]) for n, _ in pointers if n in self.labels]
        each = len(pointers) > 1
        self.out.line(
            f"{c_type} {', '.join(text for _, text in pointers)};",
            comment=", ".join(f"{n} is {of}" if each else of for n, of in called),
        )

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
            elif unit.unit.role == "nested":
                self._nested(number, unit)
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
        functions = self.parts.setdefault(number, [])
        stays = [s for s in block.statements if s is not copied]
        for loop in out.statements(stays, parts.keys()):
            assert isinstance(loop, Loop)
            part = parts[loop]
            name = f"k{number}_rows{len(functions) + 1 if functions else ''}"
            functions.append((name, self._rows(part)))
            shares = f"wb_share(c, {name}, {loop.size.text}, {part.work.text})"
            out.line(f"if ((rc = {shares})) return rc;")
            last = len(out.lines)
        if parts and last == len(out.lines):
            out.lines[-1] = Line(f"  return {shares};")
        if any("(rc = " in line.code for line in out.lines):
            out.lines.insert(0, Line("  int rc;"))

    def _rows(self, part: Part) -> list[Line]:
        """The body of a function that does a range of a loop's iterations."""
        out = self.out
        with out.apart(1) as lines:
            out.ranged = part.loop
            out.block([*part.before, part.loop])
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
        elif has_worker(node):
            slot = self._work_slot()
            lines = WORKERS[type(node.op)](node, operands, place, slot)
        else:
            self.own.append(own.Own(node, (*operands, place)))
            lines = [own.call(len(self.own) - 1, self.own[-1])]
        sizes = dict.fromkeys(size.factor() for m in operands for size in m.sizes)
        if sizes:  # of a product all sizes are those of its work
            self.out.line(
                f"if (wb_pause(c, (double){' * '.join(sizes)})) return WB_STOPPED;"
            )
        for line in lines:
            self.out.line(line, node)

    def _work_slot(self) -> int:
        """The slot that kernels use in turn while they run."""
        if self.work_slot is None:
            self.work_slot = self.plan.slots
            self.plan.slots += 1
        return self.work_slot

    def _nested(self, number: int, unit: Lowered) -> None:
        """A loop around a program of its own."""
        (node,) = unit.unit.nodes
        room = self._inside(number, self.schedule.nest(node))
        lines = loop_lines(
            node,
            self._number(node),
            self.sizes.index(node.inputs[0]),
            [self._matrix(v) for v in node.inputs[1:]],
            [self._matrix(v) for v in node.outputs],
            room,
        )
        for k, line in enumerate(lines):
            self.out.line(line, node if k == 0 else None)
        op = node.op
        assert isinstance(op, Scan)
        self.plan.slots += room.n_slots + sum(ring is not None for ring in rings(op))

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
        strides = self._strides(stored)
        offset = Index.of(0)
        for node in reversed(chain):
            op = node.op
            if isinstance(op, DimShuffle):
                strides = [
                    Index.of(0) if i == "x" else strides[int(i)] for i in op.order
                ]
            elif isinstance(op, Slice):
                extents = op.extents(self.extents.of(node.inputs[0]), node.inputs[1:])
                for axis, (first, _, _) in enumerate(extents):
                    offset = offset + self.sizes.index(first) * strides[axis]
        pointer = self.pointer(self.schedule.base(stored))
        if offset.value != 0:
            pointer = f"({pointer} + {offset.text})"
        return Matrix(pointer, self._sizes(variable), tuple(strides))

    def _strides(self, stored: Variable) -> list[Index]:
        """The strides of a stored variable, in elements."""
        kind = self.schedule.strided.get(stored)
        if kind is not None:
            return stride_texts(self.plan.storage[stored].number, kind, stored.ndim)
        strides: list[Index] = []
        step = Index.of(1)
        for size in reversed(self.extents.of(stored)):
            strides.insert(0, step)
            step = step * self.sizes.index(size)
        return strides

    def _sizes(self, variable: Variable) -> tuple[Index, ...]:
        return tuple(self.sizes.index(size) for size in self.extents.of(variable))

    def _host(self, number: int, unit: Lowered) -> None:
        """Hand the inputs to the host's reference; take the memory and the sizes it returns."""
        (node,) = unit.unit.nodes
        takes = []
        for variable in node.inputs:
            shape = ", ".join(size.text for size in self._sizes(variable)) or "0"
            lies = self.pointer(self.schedule.base(unchecked(variable)))
            takes.append(f"{{(void *){lies}, {{{shape}}}}}")
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


def _moved(span: Span, lines: int) -> Span:
    return span[0] + lines, span[1] + lines


def _is_brief(unit: Lowered) -> bool:
    """Whether the host runs a kernel, or it computes single numbers or runs others in turn."""
    role = unit.unit.role
    return role in ("host", "nested") or (
        role != "library" and not any(isinstance(s, Loop) for s in walk(unit.block))
    )
