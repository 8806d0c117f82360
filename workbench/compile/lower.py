"""From kernels to loops.

A kernel over rows runs in *phases*. A reduction along the row ends a phase, because what
uses its result needs another pass over the row. An expensive value that two phases need is
kept in a buffer of one row instead of being computed twice.

Read next: :mod:`workbench.compile.memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.compile.elements import Lowering, SizeTable
from workbench.compile.extents import same_sizes
from workbench.compile.loops import (
    Accumulator,
    Block,
    Check,
    Combine,
    Index,
    Leave,
    Let,
    Load,
    Loop,
    Round,
    Statement,
    Store,
    as_index,
    walk,
)
from workbench.compile.ranges import cost_of
from workbench.compile.reductions import is_arg
from workbench.compile.scalars import combination, extreme, is_complex
from workbench.compile.schedule import Schedule, Unit
from workbench.core.graph import Apply, Variable
from workbench.core.lazy import lazy
from workbench.core.op import (
    Assembly,
    Elementwise,
    Generator,
    Reduction,
    Sizes,
)
from workbench.core.ops.elementwise import Add
from workbench.core.ops.reduction import ArgExtreme, Sum

EXPENSIVE = 10
"""From this cost on (in additions) a value needed by two phases is kept rather than recomputed."""

CHEAP = 4
"""Up to this cost (loads included) an element is computed twice, for a loop that is faster."""


@dataclass
class Lowered:
    """A unit as loops.

    Attributes
    ----------
    block
        Its statements; empty for library and host units.
    writes
        Variables it stores, in order.
    scratch
        Variables kept for one row only, with the sizes of that row.
    base_copy
        For an assembly, the loop that copies its base; not needed when done in place.
    """

    unit: Unit
    block: Block
    writes: tuple[Variable, ...]
    scratch: dict[Variable, Sizes] = field(default_factory=dict)
    base_copy: Loop | None = None

    @lazy
    def loads(self) -> tuple[Variable, ...]:
        """What its loops read from memory, each once."""
        found = [s.buffer for s in walk(self.block) if isinstance(s, Load)]
        return tuple(dict.fromkeys(found))

    @property
    def nodes(self) -> list[Apply]:
        """The operations of the unit, and those of others that it computes once more."""
        found = dict.fromkeys((*self.unit.nodes, *self.unit.after))
        for statement in walk(self.block):
            node = statement.node if isinstance(statement, Let) else None
            if (
                node is not None
                and isinstance(node.op, Elementwise)
                and node.outputs[0].ndim
            ):
                found.setdefault(node)
        return list(found)

    @property
    def can_fail(self) -> bool:
        """Whether a statement may end the call."""
        return self.unit.role in ("host", "nested") or any(
            isinstance(s, Check) for s in walk(self.block)
        )


# --- kernels of loops --------------------------------------------------------------------


class LoopKernel(Lowering):
    """Lowers a unit of elementwise operations and reductions."""

    unit: Unit

    def lower(self) -> Lowered:
        """The unit as loops."""
        unit = self.unit
        self.domains = {node: self.schedule.domain(node) for node in unit.nodes}
        self.rank = self._outer_rank()
        self.outer_rank = self.rank
        self._plan_phases()
        totals = self._start_totals()
        self.outer = [
            self.open_loop(k, self.size(unit.outer[k])) for k in range(self.rank)
        ]
        for phase in range(self.phases):
            self._row_level(phase, totals)
            for domain in self._inner_domains(phase):
                self._nest(phase, domain, totals)
        for loop in reversed(self.outer):
            self.close_loop(loop)
        self.domain = ()
        for node, total in totals.items():
            if total.wide and total in self.blocks[0].statements:
                self.here.append(Round(total))
            self.blocks[0].names[(node.output, ())] = total.target
        for node in (*totals, *unit.after):
            text, _ = self.element(node.output, ())
            if node.output in self.schedule.stored:
                self.store(node.output, (), text, node)
        writes = tuple(
            v
            for node in (*unit.nodes, *unit.after)
            for v in node.outputs
            if v in self.schedule.stored
        )
        return Lowered(unit, self.blocks[0], writes, self.scratch)

    def _outer_rank(self) -> int:
        if self.unit.fixed is not None:
            return self.unit.fixed
        domains = list(self.domains.values())
        if all(same_sizes(d, domains[0]) for d in domains[1:]):
            return 0
        return len(self.unit.outer)

    # --- phases

    def _plan_phases(self) -> None:
        """In which pass over the row each operation is computed, and what is kept for later ones."""
        unit, stored = self.unit, self.schedule.stored
        self.phase: dict[Apply, int] = {}
        self.ends_row = {
            n
            for n in unit.nodes
            if isinstance(n.op, Reduction) and n not in unit.gathers
        }
        own: dict[Apply, list[Apply]] = {}
        for node in unit.nodes:
            own[node] = [
                r.variable.owner
                for r in self.schedule.reads(node)
                if r.variable.owner is not None
                and self.schedule.unit_of.get(r.variable.owner) is unit
            ]
            self.phase[node] = max((self._available(n) for n in own[node]), default=0)
        used: dict[Apply, set[int]] = {node: set() for node in unit.nodes}
        self.kept: set[Apply] = set()
        wanted: dict[Apply, int] = {}  # the last phase that reads what is kept
        for node in reversed(unit.nodes):
            if isinstance(node.op, Reduction):
                used[node].add(self.phase[node])
            elif node.outputs[0] in stored:
                used[node].add(self.phase[node])
            inner = len(self.domains[node]) > self.rank
            if isinstance(node.op, Elementwise) and inner and len(used[node]) > 1:
                if node.outputs[0] in stored or self._cost(node, own) >= EXPENSIVE:
                    self.kept.add(node)
                    wanted[node] = max(used[node])
                    self.phase[node] = min(used[node])
                    used[node] = {self.phase[node]}
                    if node.outputs[0] not in stored:
                        self.scratch[node.outputs[0]] = self.domains[node][self.rank :]
            for producer in own[node]:
                used[producer] |= used[node]
        last = max((self._available(n) for n in unit.nodes), default=0)
        self.phases = last + 1
        for node, phase in wanted.items():
            self._find_lodging(node, phase)

    def _find_lodging(self, node: Apply, last: int) -> None:
        """Keep a value in the row of a result that is not there yet, rather than in one of its own.

        The result must be written where the value is read for the last time, by
        operations that read it before anything is stored.
        """
        value = node.outputs[0]
        if value not in self.scratch:
            return
        rank = len(self.domains[node])
        for reader in self.unit.nodes:
            for read in self.schedule.reads(reader):
                one = read.variable.broadcastable
                straight = all(
                    one[k] or i.text == f"i{k}" for k, i in enumerate(read.index)
                )
                made_here = self.schedule.unit_of.get(read.variable.owner) is self.unit  # type: ignore[arg-type]
                if made_here and len(read.index) == rank and not straight:
                    return  # another place of a row that may be written already
                if read.variable is value and not isinstance(reader.op, Elementwise):
                    if self.phase[reader] == last:
                        return
        for other in self.unit.nodes:
            result = other.outputs[0]
            if (
                isinstance(other.op, Elementwise)
                and self.phase[other] == last
                and result in self.schedule.results  # others may take memory over
                and result.dtype == value.dtype
                and result not in self.lodging.values()
                and same_sizes(self.domains[other], self.domains[node])
            ):
                self.lodging[value] = result
                del self.scratch[value]
                return

    def _available(self, node: Apply) -> int:
        return self.phase[node] + (1 if node in self.ends_row else 0)

    def _cost(self, node: Apply, own: dict[Apply, list[Apply]]) -> int:
        total, pending, seen = 0, [node], {node}
        while pending and total < EXPENSIVE:
            current = pending.pop()
            assert isinstance(current.op, Elementwise)
            total += current.op.cost
            for producer in own[current]:
                if (
                    producer not in seen
                    and isinstance(producer.op, Elementwise)
                    and len(self.domains[producer]) > self.rank
                ):
                    seen.add(producer)
                    pending.append(producer)
        return total

    def _sinks(self, phase: int) -> list[Apply]:
        """Operations of a phase that leave something behind: a store, or a reduction."""
        return [
            node
            for node in self.unit.nodes
            if self.phase[node] == phase
            and (
                isinstance(node.op, Reduction)
                or node.outputs[0] in self.schedule.stored
                or node in self.kept
            )
        ]

    # --- row level

    def _row_level(self, phase: int, totals: dict[Apply, Accumulator]) -> None:
        """What is computed once a row: scalars of the row that are stored or gathered."""
        for node in self.unit.nodes:
            if (
                node in self.ends_row
                and self._available(node) == phase
                and node.outputs[0] in self.schedule.stored
            ):
                index = self._loop_index(self.rank)
                text, _ = self.element(node.outputs[0], index)
                self.store(node.outputs[0], index, text, node)
        for node in self._sinks(phase):
            domain = self.domains[node]
            if len(domain) != self.rank or node in self.ends_row:
                continue
            self.domain = domain
            self._sink(node, self._loop_index(self.rank), totals)

    def _loop_index(self, rank: int) -> tuple[Index, ...]:
        return tuple(Index(f"i{k}", frozenset({f"i{k}"})) for k in range(rank))

    def _sink(
        self, node: Apply, index: tuple[Index, ...], totals: dict[Apply, Accumulator]
    ) -> None:
        """Store an element, or gather it into a total, where the loops stand now."""
        if isinstance(node.op, Elementwise):
            text, _ = self.element(node.outputs[0], index)
            self.store(node.outputs[0], index, text, node)
            return
        assert isinstance(node.op, Reduction)
        text, _ = self.element(node.inputs[0], index)
        if node in totals:
            self.here.append(Combine(totals[node], text))
            return
        kept = tuple(i for k, i in enumerate(index) if k not in node.op.axes)
        joined = combination(node.op, node.inputs[0].dtype)
        combined = joined.format(a="{a}", x=text)
        self.store(node.outputs[0], kept, combined, node)

    # --- nests

    def _inner_domains(self, phase: int) -> list[Sizes]:
        found: list[Sizes] = []
        for node in self._sinks(phase):
            domain = self.domains[node]
            if (len(domain) > self.rank or node in self.ends_row) and not any(
                same_sizes(domain, d) for d in found
            ):
                found.append(domain)
        return found

    def _nest(
        self, phase: int, domain: Sizes, totals: dict[Apply, Accumulator]
    ) -> None:
        """One pass over the inner axes: every operation of this phase with this domain."""
        self.domain = domain
        sinks = [n for n in self._sinks(phase) if same_sizes(self.domains[n], domain)]
        rows = [n for n in sinks if n in self.ends_row]
        whole = {n: self._accumulator(n) for n in rows}
        flat = self.rank == 0 and len(domain) > 1 and self._is_flat(domain)
        self.is_flat = flat
        inner = len(domain) - self.rank
        deep = inner > 1 and not flat
        if deep:
            self.here.extend(whole.values())
        gathered = {n: self._accumulator(n) for n in sinks if n in totals and inner}
        if self.rank == 0 and (flat or inner == 1):  # one loop gathers all
            gathered = {n: totals[n] for n in gathered}
        gathers = bool(rows) or bool(gathered)
        loops = self._open_inner(domain, flat, gathers)
        own = {loop.variable for loop in self.outer} | {loop.variable for loop in loops}
        index = tuple(
            i if i.text in own else Index.of(0) for i in self._loop_index(len(domain))
        )
        partial: dict[Apply, Accumulator] = (
            {n: self._accumulator(n) for n in rows} if deep else whole
        )
        for node in self.unit.nodes:  # operands first, so that no tree is walked deeply
            if (
                self.phase[node] <= phase
                and same_sizes(self.domains[node], domain)
                and self._feeds(node, sinks)
            ):
                if isinstance(node.op, Elementwise):
                    self.element(node.outputs[0], index)
        for node in sinks:
            if node in self.ends_row or node in gathered:
                text, _ = self.element(node.inputs[0], index)
                self.here.append(
                    Combine({**partial, **gathered}[node], text, index[-1])
                )
            else:
                self._sink(node, index, totals)
        if loops:
            loops[-1].accumulators = [*partial.values(), *gathered.values()]
            for node, accumulator in (*partial.items(), *gathered.items()):
                assert isinstance(node.op, Reduction)
                set_nan_apart(accumulator, node.op)
            loops[-1].lanes = bool(loops[-1].accumulators) and not any(
                isinstance(s, Check) for s in loops[-1].body.statements
            )
        for depth, loop in reversed(list(enumerate(loops))):
            self.close_loop(loop)
            if depth == len(loops) - 1:
                if deep:
                    self.here.extend(Combine(whole[n], partial[n].target) for n in rows)
                self.here.extend(
                    Combine(totals[n], gathered[n].target)
                    for n in gathered
                    if gathered[n] is not totals[n]
                )
        if deep or not loops:
            self.here.extend(Round(a) for a in whole.values() if a.wide)
        places = {node: accumulator.place for node, accumulator in whole.items()}
        for node in rows:
            accumulator = whole[node]
            if loops and not deep and is_arg(node):
                self._find_afterwards(accumulator, node, loops[-1])
            key = (node.outputs[0], tuple(i.text for i in self._loop_index(self.rank)))
            self.blocks[-1].names[key] = places.get(node) or accumulator.target
        for node in sinks:
            if isinstance(node.op, Elementwise):
                self.written.add(node.outputs[0])

    def _find_afterwards(self, best: Accumulator, node: Apply, loop: Loop) -> None:
        """Gather only the extreme, which is done at once, and then look for its place.

        Only where computing an element again is cheap, and gives the same bits.
        """
        body = loop.body.statements
        combine = next(
            s for s in body if isinstance(s, Combine) and s.accumulator is best
        )
        element = [s for s in body if isinstance(s, Let | Load)]
        others = len(body) - len(element)
        if others > 1 or sum(cost_of(s) for s in element) > CHEAP or not combine.at:
            return
        assert isinstance(node.op, ArgExtreme)
        best.combine = node.op.extreme.c_combine
        set_nan_apart(best, node.op.extreme)
        place = Accumulator(best.place, "int64", "0", "{x}", node)
        best.place = ""
        a, x = best.target, combine.text
        equal = f"{x} == {a}"
        if np.dtype(best.dtype).kind == "f":
            equal += f" || ({x} != {x} && {a} != {a})"
        found: list[Statement] = [Combine(place, combine.at.text), Leave(equal)]
        again = Block([*element, *found], loop.body.loop)
        self.here.append(Loop(loop.variable, loop.size, again, [place]))

    def _open_inner(self, domain: Sizes, flat: bool, gathers: bool) -> list[Loop]:
        """The loops of a nest; an axis of one element needs none where nothing is gathered."""
        if flat:
            size = Index.of(1)
            for extent in domain:
                size = size * self.size(extent)
            return [self.open_loop(len(domain) - 1, size)]
        return [
            self.open_loop(k, self.size(domain[k]))
            for k in range(self.rank, len(domain))
            if gathers or domain[k] != 1
        ]

    def _feeds(self, node: Apply, sinks: Sequence[Apply]) -> bool:
        """Whether computing `node` here serves a sink of this nest and is not done already."""
        if node.outputs[0] in self.written or node in self.ends_row:
            return False
        if not hasattr(self, "_feeding") or self._feeding[0] is not sinks:
            reached: set[Apply] = set()
            pending = list(sinks)
            while pending:
                current = pending.pop()
                if current in reached:
                    continue
                reached.add(current)
                for read in self.schedule.reads(current):
                    owner = read.variable.owner
                    aligned = all(i.text == f"i{k}" for k, i in enumerate(read.index))
                    if (
                        owner is not None
                        and aligned
                        and self.schedule.unit_of.get(owner) is self.unit
                        and owner not in self.ends_row
                    ):
                        if read.variable not in self.written:
                            pending.append(owner)
            self._feeding: tuple[Any, set[Apply]] = (sinks, reached)
        return node in self._feeding[1]

    def _is_flat(self, domain: Sizes) -> bool:
        """Whether everything is read in the order of one contiguous sweep."""
        for node in self.unit.nodes:
            if isinstance(node.op, Reduction) and len(node.op.axes) != len(domain):
                return False
            for read in self.schedule.reads(node):
                owner = read.variable.owner
                if (
                    owner is not None
                    and isinstance(owner.op, Generator)
                    and not owner.op.row_major
                ):
                    return False
                if all(i.value is not None for i in read.index):
                    continue
                if read.variable in self.schedule.strided:
                    return False
                straight = all(i.text == f"i{k}" for k, i in enumerate(read.index))
                if not straight or not same_sizes(
                    self.schedule.extents.of(read.variable), domain
                ):
                    return False
        return True

    # --- reductions

    def _accumulator(self, node: Apply) -> Accumulator:
        assert isinstance(node.op, Reduction)
        op, dtype = node.op, node.inputs[0].dtype
        gathered = dtype if is_arg(node) else op.accumulator(dtype)
        start = op.c_start
        if not is_complex(gathered):  # which have no extremes
            start = start.format(
                lowest=extreme(gathered, True), highest=extreme(gathered, False)
            )
        combine = op.c_better if is_arg(node) else combination(op, dtype)  # type: ignore[attr-defined]
        wide = isinstance(op, Sum) and gathered == "float32"
        return Accumulator(
            self._name("a"),
            gathered,
            start,
            combine,
            node,
            self._name("v") if is_arg(node) else "",
            wide=wide,
        )

    def _start_totals(self) -> dict[Apply, Accumulator]:
        """Accumulators of reductions over the outer axes, and start values of those kept in memory."""
        totals: dict[Apply, Accumulator] = {}
        for node in self.unit.nodes:
            if node not in self.unit.gathers:
                continue
            assert isinstance(node.op, Reduction)
            accumulator = self._accumulator(node)
            sizes = self.schedule.extents.of(node.outputs[0])
            if not sizes:
                totals[node] = accumulator
                domain = self.domains[node]
                if self.rank or (len(domain) != 1 and not self._is_flat(domain)):
                    self.here.append(accumulator)
                continue
            length = Index.of(1)
            for size in sizes:
                length = length * self.size(size)
            loop = self.open_loop(0, length)
            place = Index("i0", frozenset({"i0"}))
            self.here.append(
                Store(node.outputs[0], place, accumulator.start, node, (place,))
            )
            self.close_loop(loop)
        return totals


def set_nan_apart(accumulator: Accumulator, op: Reduction | type[Reduction]) -> None:
    """Let a loop note NaN on the side, where that is faster."""
    if op.c_spoilt and np.dtype(accumulator.dtype).kind == "f":
        accumulator.spoilt, accumulator.combine = op.c_spoilt, op.c_unspoilt


class AssemblyKernel(Lowering):
    """Lowers an operation that fills one array from parts."""

    unit: Unit

    def lower(self) -> Lowered:
        """A copy of the base, if any, then each part in its place."""
        (node,) = self.unit.nodes
        op = node.op
        assert isinstance(op, Assembly)
        self.node = node
        output = node.outputs[0]
        base_copy = None
        if op.base is not None:
            base_copy = self._copy_base(node.inputs[op.base], output, node)
        for part in op.parts(node):
            variable = node.inputs[part]
            self.domain = self.schedule.extents.of(variable)
            loops = [
                self.open_loop(k, self.size(size)) for k, size in enumerate(self.domain)
            ]
            index = tuple(
                Index(loop.variable, frozenset({loop.variable})) for loop in loops
            )
            target = [as_index(i) for i in op.target_index(node, part, index, self)]
            text, _ = self.element(variable, index)
            if op.adds():
                text = Add().scalar_text([output.dtype]).format(x="{a}", y=text)
            self.store(output, target, text, node)
            for loop in reversed(loops):
                self.close_loop(loop)
        return Lowered(self.unit, self.blocks[0], (output,), base_copy=base_copy)

    def _copy_base(self, base: Variable, output: Variable, node: Apply) -> Loop | None:
        self.domain = self.schedule.extents.of(output)
        if not self.domain:
            text, _ = self.element(base, ())
            self.store(output, (), text, node)
            return None
        loops = [
            self.open_loop(k, self.size(size)) for k, size in enumerate(self.domain)
        ]
        index = tuple(
            Index(loop.variable, frozenset({loop.variable})) for loop in loops
        )
        text, _ = self.element(base, index)
        self.store(output, index, text, node)
        for loop in reversed(loops):
            self.close_loop(loop)
        made = self.here[-1]
        assert isinstance(made, Loop)
        return made


def lower(
    schedule: Schedule, sizes: SizeTable, inputs: Sequence[Variable]
) -> list[Lowered]:
    """Every unit as loops, in order."""
    numbers = {variable: number for number, variable in enumerate(inputs)}
    made: list[Lowered] = []
    for unit in schedule.units:
        if unit.role == "loops":
            made.append(LoopKernel(schedule, sizes, unit, numbers).lower())
        elif unit.role == "assembly":
            made.append(AssemblyKernel(schedule, sizes, unit, numbers).lower())
        else:
            made.append(Lowered(unit, Block(), unit.nodes[0].outputs))
    return made
