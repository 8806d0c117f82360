"""Where every stored value lies, which values share memory, and what is written last.

A value may take over the memory of one that is read here for the last time, when both are
read and written at the same place: that is *in place*. Other values share *slots*, blocks of
scratch memory that live in the call and only grow, when their lives do not overlap.

An update is *committed* in place, as the last thing a call does, when its kernel cannot
fail and needs nothing but what is there: then no parameter is copied, and a call that fails
leaves every shared variable as it was. Otherwise the new value is written beside the old
one and the two are exchanged after the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from workbench.compile.elements import SizeTable
from workbench.compile.extents import same_sizes
from workbench.compile.loops import Block, Load, Loop, Store, walk
from workbench.compile.lower import Lowered
from workbench.compile.record import Graph
from workbench.compile.schedule import Schedule, is_strided_view
from workbench.core.graph import Shared, Variable
from workbench.core.op import Sizes
from workbench.core.ops.linalg import Gemm


@dataclass(eq=False)
class Storage:
    """A piece of memory: of an input or shared variable, of an output, or a slot.

    Attributes
    ----------
    kind
        ``"input"``, ``"output"``, ``"slot"``, or ``"host"`` for what the host makes and keeps;
        `number` counts within the kind.
    value
        Its entry in the call's table of values, -1 for inputs.
    tenants
        The variables it holds, one after the other.
    """

    kind: str
    number: int
    value: int = -1
    tenants: list[Variable] = field(default_factory=list)


@dataclass
class Plan:
    """The order of execution and the memory of a program.

    Attributes
    ----------
    order
        Units as executed; the last `commits` of them write into shared variables.
    storage
        Where each stored variable lies.
    in_place
        For a written variable the one whose memory it took over.
    output_of
        Program outputs in order: visible results first, then new values to be exchanged.
    swaps
        Pairs of a shared variable and the number of its output.
    """

    order: list[Lowered]
    commits: int
    storage: dict[Variable, Storage]
    in_place: dict[Variable, Variable]
    outputs: list[Variable]
    swaps: list[tuple[Shared, int]]
    slots: int
    values: list[Storage]
    row_sizes: dict[Variable, Sizes]

    def bytes_of(self, variable: Variable, schedule: Schedule) -> tuple[Sizes, int]:
        """The sizes of a stored variable and the bytes of one element."""
        return self.row_sizes.get(variable) or schedule.extents.of(
            variable
        ), variable.type.itemsize


def plan_memory(
    graph: Graph,
    schedule: Schedule,
    lowered: Sequence[Lowered],
    sizes: SizeTable,
    inputs: Sequence[Variable],
    in_place: bool = True,
) -> Plan:
    """Decide order, commits, in-place operations (none unless `in_place`) and slots."""
    n_visible = len(graph.outputs)
    results = schedule.graph.results
    commits = _choose_commits(schedule, lowered, sizes, n_visible) if in_place else []
    order = [unit for unit in lowered if unit not in commits] + commits
    storage = {
        variable: Storage("input", number) for number, variable in enumerate(inputs)
    }
    outputs = list(results[:n_visible])
    swaps: list[tuple[Shared, int]] = []
    committed: dict[Variable, Shared] = {}
    for (shared, _), new in zip(graph.updates, results[n_visible:], strict=True):
        owner = new.owner
        assert owner is not None
        if any(new in unit.writes for unit in commits):
            committed[new] = shared
        else:
            swaps.append((shared, len(outputs)))
            outputs.append(new)
    planner = _Planner(schedule, order, sizes, storage, outputs, committed)
    planner.may_take_over = in_place
    planner.run()
    return Plan(
        order,
        len(commits),
        storage,
        planner.in_place,
        outputs,
        swaps,
        planner.slots,
        planner.values,
        planner.row_sizes,
    )


def reads_of(lowered: Lowered, schedule: Schedule) -> dict[Variable, None]:
    """The variables in memory that a unit reads, each once, in an order of its own.

    A set has another order in every process, and another program is not in the cache.
    """
    found = list(lowered.loads)
    if lowered.unit.role in ("library", "host", "nested"):
        found += [root(v, schedule) for n in lowered.unit.nodes for v in n.inputs]
    return dict.fromkeys(found)


def root(variable: Variable, schedule: Schedule) -> Variable:
    """The variable whose memory a view that a library call is handed shows."""
    while True:
        variable = schedule.base(variable)
        node = variable.owner
        if node is None or not is_strided_view(node):
            return variable
        variable = node.inputs[0]


def _choose_commits(
    schedule: Schedule, lowered: Sequence[Lowered], sizes: SizeTable, n_visible: int
) -> list[Lowered]:
    """Units that may write into shared variables at the end, in an order that reads before it writes."""
    graph = schedule.graph
    targets = dict(
        zip(graph.results[n_visible:], (s for s, _ in graph.updates), strict=True)
    )
    if any(sizes.known_after(size) >= 0 for size in sizes.numbers):
        return []
    reads = {id(unit): reads_of(unit, schedule) for unit in lowered}
    chosen = [
        unit
        for unit in lowered
        if unit.writes
        and not unit.can_fail
        and not unit.scratch
        and all(
            v in targets and _is_in_place_update(unit, v, targets[v], schedule)
            for v in unit.writes
        )
        and not any(
            v in reads[id(other)]
            for v in unit.writes
            for other in lowered
            if other is not unit
        )
    ]
    ordered: list[Lowered] = []
    while chosen:
        ready = [
            unit
            for unit in chosen
            if not any(
                targets[v] in reads[id(other)]
                for v in unit.writes
                for other in chosen
                if other is not unit
            )
        ]
        if not ready:
            chosen.pop()  # they read each other's targets: one of them is exchanged instead
            continue
        ordered.append(ready[0])
        chosen.remove(ready[0])
    return ordered


def _is_in_place_update(
    unit: Lowered, new: Variable, shared: Shared, schedule: Schedule
) -> bool:
    if shared.dtype != new.dtype or not same_sizes(
        schedule.extents.of(shared), schedule.extents.of(new)
    ):
        return False
    if unit.unit.role == "library":
        (node,) = unit.unit.nodes
        return (
            isinstance(node.op, Gemm)
            and node.inputs[0] is shared
            and all(root(v, schedule) is not shared for v in node.inputs[1:])
        )
    return unit.unit.role == "loops" and reads_where_it_writes(unit.block, shared, new)


def reads_where_it_writes(block: Block, read: Variable, written: Variable) -> bool:
    """Whether `read` is only read at the very place where `written` is stored, and before that."""
    blocks = [block, *(s.body for s in walk(block) if isinstance(s, Loop))]
    stores = [
        (home, number, statement.offset.text)
        for home in blocks
        for number, statement in enumerate(home.statements)
        if isinstance(statement, Store) and statement.buffer is written
    ]
    if len(stores) != 1:
        return False
    ((home, stored, place),) = stores
    return all(
        candidate is home and number < stored and statement.offset.text == place
        for candidate in blocks
        for number, statement in enumerate(candidate.statements)
        if isinstance(statement, Load) and statement.buffer is read
    )


class _Planner:
    """Walks the units in order and hands out memory."""

    def __init__(
        self,
        schedule: Schedule,
        order: Sequence[Lowered],
        sizes: SizeTable,
        storage: dict[Variable, Storage],
        outputs: Sequence[Variable],
        committed: dict[Variable, Shared],
    ) -> None:
        self.schedule, self.order, self.storage = schedule, order, storage
        self.sizes = sizes
        self.row_sizes = {v: s for unit in order for v, s in unit.scratch.items()}
        self.outputs = {variable: number for number, variable in enumerate(outputs)}
        self.committed = committed
        self.in_place: dict[Variable, Variable] = {}
        self.may_take_over = True
        self.values: list[Storage] = []
        self.slots = 0
        self.needed: dict[int, int] = {}  # of a place: the last step that reads it
        self.last: dict[Variable, int] = {}
        for step, unit in enumerate(order):
            for variable in reads_of(unit, schedule):
                self.last[variable] = step
        # A size is computed once all is there that it follows from, before the next unit.
        steps = {unit.unit.number: step for step, unit in enumerate(order)}
        for variable, number in sizes.last_reads().items():
            after = steps[number] + 1
            self.last[variable] = max(self.last.get(variable, -1), after)
        for variable in self.outputs:
            self.last[variable] = len(order)

    def run(self) -> None:
        """Give every written variable its storage, then share slots."""
        lives: dict[int, tuple[int, int]] = {}
        for step, unit in enumerate(self.order):
            for variable in (*unit.writes, *unit.scratch):
                place = self._place(unit, variable, step)
                place.tenants.append(variable)
                last = max(self.last.get(variable, -1), self.needed.get(id(place), -1))
                self.needed[id(place)] = last
                self.storage[variable] = place
                if place.kind == "slot":
                    start = lives.get(id(place), (step, step))[0]
                    lives[id(place)] = (start, max(step, self.last.get(variable, step)))
        self._share_slots(lives)

    def _place(self, unit: Lowered, variable: Variable, step: int) -> Storage:
        if variable in self.committed:
            return self.storage[self.committed[variable]]
        donor = None if variable in unit.scratch else self._donor(unit, variable, step)
        if donor is not None:
            self.in_place[variable] = donor
            place = self.storage[donor]
        else:
            kind = "host" if unit.unit.role == "host" else "slot"
            place = Storage(kind, -1, len(self.values))
            self.values.append(place)
        if variable in self.outputs:
            place.kind, place.number = "output", self.outputs[variable]
        return place

    def _donor(self, unit: Lowered, variable: Variable, step: int) -> Variable | None:
        """A variable read here for the last time whose memory `variable` may take over."""
        if not self.may_take_over:
            return None
        for candidate in sorted(
            reads_of(unit, self.schedule), key=lambda v: self.last.get(v, 0)
        ):
            place = self.storage.get(candidate)
            if (
                place is None
                or place.kind != "slot"
                or candidate in unit.scratch
                or candidate in unit.writes
            ):
                continue
            taken = any(
                self.storage.get(other) is place
                for other in unit.writes
                if other is not variable
            )
            if (
                taken
                or self.needed.get(id(place), -1) > step
                or self.last[candidate] != step
            ):
                continue
            if candidate.dtype != variable.dtype or not self._same_length(
                candidate, variable
            ):
                continue
            if self._may_overwrite(unit, candidate, variable):
                return candidate
        return None

    def _same_length(self, a: Variable, b: Variable) -> bool:
        return same_sizes(self.schedule.extents.of(a), self.schedule.extents.of(b))

    def _may_overwrite(self, unit: Lowered, read: Variable, written: Variable) -> bool:
        role = unit.unit.role
        if role == "loops":
            return reads_where_it_writes(unit.block, read, written)
        (node,) = unit.unit.nodes
        if role == "library":
            others = [root(v, self.schedule) for v in node.inputs[1:]]
            return (
                isinstance(node.op, Gemm)
                and self.schedule.base(node.inputs[0]) is read
                and read not in others
            )
        if role == "assembly" and unit.base_copy is not None:
            copied = [s for s in walk(unit.base_copy.body) if isinstance(s, Load)]
            rest = [
                s for s in walk(unit.block) if isinstance(s, Load) and s.buffer is read
            ]
            straight = reads_where_it_writes(unit.base_copy.body, read, written)
            return straight and len(copied) == 1 and copied == rest
        return False

    def _share_slots(self, lives: dict[int, tuple[int, int]]) -> None:
        """Number the slots so that two values share one only when their lives do not meet.

        A slot may move when it grows. Early values get their places once, before the first
        kernel, so a value whose size is known later must not make their slot grow.
        """
        # By lateness: slots in use with the last step, and the numbers of those set free.
        used: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        free: dict[bool, list[int]] = {False: [], True: []}
        for place in self.values:
            if place.kind != "slot":
                continue
            start, end = lives[id(place)]
            late = self._is_late(place)
            while used[late] and used[late][0][0] < start:
                heappush(free[late], heappop(used[late])[1])
            if free[late]:
                place.number = heappop(free[late])
            else:
                place.number, self.slots = self.slots, self.slots + 1
            heappush(used[late], (end, place.number))

    def _is_late(self, place: Storage) -> bool:
        """Whether its size is known only when some kernels have run."""
        sizes = self.row_sizes.get(place.tenants[0])
        if sizes is None:
            sizes = self.schedule.extents.of(place.tenants[0])
        return self.sizes.are_late(sizes)
