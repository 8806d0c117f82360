"""Sizes, checks and memory: what a program settles before it computes.

Everything that follows from the arguments alone is settled in step 0. What depends on a
computed value (the length of ``arange(n)`` for a computed n, the shape a NumPy reference
returns) is settled right before the first kernel that may need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.compile.c.statements import Writer
from workbench.compile.elements import Lowering, SizeTable
from workbench.compile.extents import SizeCheck
from workbench.compile.loops import Index
from workbench.compile.lower import Lowered
from workbench.compile.memory import Plan, Storage
from workbench.compile.schedule import Schedule
from workbench.core.graph import Apply, Variable
from workbench.core.op import Reduction, Size
from workbench.core.ops.random import Places
from workbench.core.ops.shape import BroadcastTo, SizeOf


@dataclass(frozen=True)
class ValueCheck:
    """The size along `axis` of `node` must not be 0, or not be negative."""

    node: Apply
    axis: int
    size: Size
    is_empty: bool


class Settlement:
    """Writes the statements that settle sizes, checks and memory, each once.

    Parameters
    ----------
    inputs
        Arguments, then shared variables, then constants kept in memory.
    out
        Where the statements go.
    allocates
        Whether to ask for the memory of outputs; whoever runs the program may have set it.
    """

    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        sizes: SizeTable,
        inputs: Sequence[Variable],
        out: Writer,
        allocates: bool = True,
    ) -> None:
        self.allocates = allocates
        self.schedule, self.plan, self.sizes = schedule, plan, sizes
        self.inputs = {variable: number for number, variable in enumerate(inputs)}
        self.extents = schedule.extents
        self.out = out
        self._count = 0
        self.known: set[Variable] = set()
        self.open_checks: list[SizeCheck] = list(self.extents.checks)
        self.open_values: list[ValueCheck] = list(self._find_value_checks())
        self.provided: set[Storage] = set()
        self.compared: set[frozenset[str]] = set()  # what has been found equal

    def early(self) -> None:
        """Settle what follows from the arguments."""
        self._define_all(-1)
        self._checks(-1)
        self._value_checks(-1)
        self._memory(self.plan.order, late=False)

    def late(self, unit: Lowered) -> None:
        """Settle what only the kernels before `unit` made known."""
        before = unit.unit.number - 1
        self._define_all(before)
        self._checks(before)
        self._value_checks(before)
        self._memory([unit], late=True)

    # --- sizes

    def use(self, size: Size) -> str:
        """The text of a size, which is defined first if it has not been."""
        found = self.extents.find(size)
        if isinstance(found, int):
            return str(found)
        name = self.sizes.name(found)
        if found not in self.known:
            self._define(found)
        return name

    def _define_all(self, after: int) -> None:
        done = 0
        while done < len(self.sizes.numbers):  # defining one may name others
            for size in list(self.sizes.numbers)[done:]:
                done += 1
                if (
                    size not in self.known
                    and self.sizes.known_after(size) <= after
                    and not self.sizes.is_told(size)
                ):
                    self._define(size)

    def _define(self, size: Variable) -> None:
        self.known.add(size)
        number = self.sizes.numbers[size]
        lowering = self._lowering()
        text, _ = lowering.element(size, ())
        for statement in lowering.blocks[0].statements:
            self.out.statement(statement)
        self.out.line(
            f"const int64_t n{number} = c->size[{number}] = {text};", size.owner
        )

    def _lowering(self) -> Lowering:
        """A place for the statements of one size, with names of their own."""
        self._count += 1
        lowering = _OfSize(self)
        lowering.prefix = f"{self._count}_"
        return lowering

    # --- checks

    def _checks(self, after: int) -> None:
        remaining = []
        for check in self.open_checks:
            sizes = [s for s in (check.a, check.b) if not isinstance(s, int)]
            if any(self.sizes.known_after(s) > after for s in sizes):
                remaining.append(check)
            else:
                self._check(check)
        self.open_checks = remaining

    def _check(self, check: SizeCheck) -> None:
        """Compare two sizes by their own values, not by that of the size they must equal."""
        a, b = self._own_values(check.a, check.b)
        if frozenset((a, b)) in self.compared:
            return
        self.compared.add(frozenset((a, b)))
        self.out.fail(f"{a} != {b}", "WB_SHAPE", check.node, check.axis, a, b)

    def _own_values(self, *sizes: Size) -> list[str]:
        lowering = self._lowering()
        texts = [
            str(s) if isinstance(s, int) else lowering.element(s, ())[0] for s in sizes
        ]
        for statement in lowering.blocks[0].statements:
            self.out.statement(statement)
        return texts

    def _value_checks(self, after: int) -> None:
        """No maximum over nothing, no negative size."""
        remaining = []
        for check in self.open_values:
            if self._known_after(check.size) > after:
                remaining.append(check)
            elif check.is_empty:
                text = self.use(check.size)
                self.out.fail(
                    f"{text} == 0", "WB_EMPTY", check.node, check.axis, "0", "0"
                )
            else:
                (text,) = self._own_values(check.size)
                self.out.fail(
                    f"{text} < 0", "WB_VALUE", check.node, check.axis, text, "0"
                )
        self.open_values = remaining

    def _find_value_checks(self) -> Iterator[ValueCheck]:
        for node in self.schedule.nodes:
            if isinstance(node.op, Reduction) and node.op.needs_element:
                sizes = self.extents.of(node.inputs[0])
                for axis in node.op.axes:
                    if not isinstance(sizes[axis], int) or sizes[axis] == 0:
                        yield ValueCheck(node, axis, sizes[axis], True)
            elif isinstance(node.op, BroadcastTo | Places):
                given = node.inputs[isinstance(node.op, BroadcastTo) :]
                for axis, size in enumerate(given):
                    found = self.extents.find(size)
                    if found < 0 if isinstance(found, int) else not _is_axis(found):
                        yield ValueCheck(node, axis, size, False)
            else:
                shapes = [self.extents.of(v) for v in node.inputs]
                for axis, least in node.op.sizes_from_zero(node, shapes):
                    if not isinstance(least, int) or least < 0:
                        yield ValueCheck(node, axis, least, False)

    def _known_after(self, size: Size) -> int:
        return -1 if isinstance(size, int) else self.sizes.known_after(size)

    # --- memory

    def _memory(self, units: Sequence[Lowered], late: bool) -> None:
        """Ask for outputs, and for slots: each once, as it moves when it grows."""
        asked: list[tuple[str, str]] = []
        slots: dict[int, tuple[list[str], list[str]]] = {}  # bytes, values
        for unit in units:
            for variable in (*unit.writes, *unit.scratch):
                place = self.plan.storage[variable]
                if place.kind not in ("output", "slot") or place in self.provided:
                    continue
                shape, itemsize = self.plan.bytes_of(variable, self.schedule)
                if self.sizes.are_late(shape) != late:
                    continue
                self.provided.add(place)
                texts = [self.use(s) for s in shape]
                value = f"c->value[{place.value}]"
                if place.kind == "slot":
                    if variable in unit.scratch:
                        texts.append("c->threads")
                    size = " * ".join(t for t in (str(itemsize), *texts) if t != "1")
                    sizes, values = slots.setdefault(place.number, ([], []))
                    sizes.append(size or "1")
                    values.append(value)
                elif self.allocates:
                    sizes_text = (
                        f"(int64_t[]){{{', '.join(texts)}}}" if texts else "NULL"
                    )
                    got = f"wb_output_of(c, {place.number}, {len(texts)}, {sizes_text})"
                    asked.append((f"{value} = {got}", variable.name or ""))
        for number, (sizes, values) in slots.items():
            largest, *others = dict.fromkeys(sizes)
            for size in others:
                largest = f"wb_larger({largest}, {size})"
            got = f"wb_slot_of(c, {number}, {largest})"
            asked.append((f"{' = '.join(values)} = {got}", ""))
        for k, (text, name) in enumerate(asked):
            start = "if (" if k == 0 else "    "
            end = " ||" if k < len(asked) - 1 else ") return WB_OUT_OF_MEMORY;"
            self.out.line(f"{start}!({text}){end}", comment=name)


class _OfSize(Lowering):
    """Lowers the expression of a size; sizes that it reads are defined before it."""

    def __init__(self, settling: Settlement) -> None:
        super().__init__(settling.schedule, settling.sizes, None, settling.inputs)
        self.settling = settling

    def size(self, size: Size) -> Index:
        """A number, or a name that has been defined."""
        found = self.schedule.extents.find(size)
        if isinstance(found, int):
            return Index.of(found)
        return Index(self.settling.use(found))


def _is_axis(size: Variable) -> bool:
    """Whether a size is that of an array, and so not negative."""
    return size.owner is not None and isinstance(size.owner.op, SizeOf)
