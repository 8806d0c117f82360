"""What computing an element reads, through everything that is computed where it is read.

Read next: :mod:`workbench.compile.schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.compile.extents import same_sizes
from workbench.compile.loops import Index, as_index
from workbench.core.graph import Apply, Variable
from workbench.core.op import Elementwise, Generator, Size, Sizes, View

if TYPE_CHECKING:
    from workbench.compile.schedule import Schedule


@dataclass(frozen=True)
class Read:
    """An operation reads `variable`, not inline, at `index` in terms of its own loops."""

    variable: Variable
    index: tuple[Index, ...]


@dataclass(frozen=True)
class Handed:
    """What an operation that is handed whole arrays reads from memory.

    Attributes
    ----------
    elements
        What its operands are made of.
    all
        These, and what the sizes of operands and results are computed from.
    """

    elements: frozenset[Variable]
    all: frozenset[Variable]


class Tracer:
    """Follows inline operations down to what is not inline, noting the index of each read."""

    def __init__(self, schedule: Schedule, domain: Sizes) -> None:
        self.schedule = schedule
        self.domain = domain
        self.found: list[Read] = []
        self._seen: set[tuple[Variable, tuple[Index, ...]]] = set()

    def trace(self, variable: Variable, index: Sequence[Index]) -> None:
        """Note every read that computing `variable` at `index` needs."""
        pending = [(variable, tuple(index))]
        while pending:
            current, at = pending.pop()
            if (current, at) in self._seen:
                continue
            self._seen.add((current, at))
            node = current.owner
            if node is None or not self.schedule.is_followed(node):
                self.found.append(Read(current, at))
                continue
            if isinstance(node.op, View):
                pending.append(
                    (node.inputs[0], tuple(node.op.source_index(node, at, self)))
                )
            elif isinstance(node.op, Generator):
                self.found.append(Read(current, at))
                node.op.element(node, at, self)
            elif isinstance(node.op, Elementwise):
                pending.extend(
                    (v, operand_index(node, v, at, self)) for v in node.inputs
                )
            else:  # a size, by what it follows from
                size = self.schedule.extents.plain(current)
                if isinstance(size, Variable) and size is not current:
                    pending.append((size, ()))
                elif size is current and self.schedule.is_made(node.inputs[0]):
                    self.found.append(Read(node.inputs[0], ()))  # its kernel knows

    def size(self, size: Size) -> Index:
        """A size, by its representative; what it is computed from is read, too."""
        found = self.schedule.extents.find(size)
        if isinstance(found, int):
            return Index.of(found)
        if found.owner is not None:
            self.trace(found, ())
        return Index(f"n{id(found)}")

    def value(self, variable: Variable, index: Sequence[Any]) -> Index:
        """The element of an integer variable: what a generator makes, else something unknown."""
        made, variable, at = self.schedule.generated(variable, index, self)
        if made is not None:
            return made
        self.trace(variable, at)
        loops: frozenset[str] = frozenset().union(*(i.loops for i in at))
        return Index(f"v{id(variable)}[{','.join(i.text for i in at)}]", loops)

    def wrap(self, index: Any, size: Size, axis: int, at: Sequence[Any] = ()) -> Index:
        """A loop over the very axis stays itself; anything else is checked at run time."""
        place = as_index(index)
        if self.in_range(place, size):
            return place
        self.size(size)  # The check compares with it.
        return Index(f"wrap({place.text})", place.loops)

    def in_range(self, index: Index, size: Size) -> bool:
        """Whether `index` is known to lie on an axis of `size`: it is a loop over that size."""
        size = self.schedule.extents.find(size) if not isinstance(size, int) else size
        if index.value is not None:
            return isinstance(size, int) and 0 <= index.value < size
        return any(
            index.text == f"i{k}" and same_sizes((own,), (size,))
            for k, own in enumerate(self.domain)
        )

    def equal(self, a: Any, b: Any) -> Index:
        """A test; only what it reads matters here."""
        a, b = as_index(a), as_index(b)
        return Index(f"({a.text} == {b.text})", a.loops | b.loops)


def operand_index(
    node: Apply, variable: Variable, index: Sequence[Index], b: Any
) -> tuple[Index, ...]:
    """Where an elementwise operation at `index` reads one of its inputs: 0 along stretched axes."""
    if isinstance(node.op, Elementwise):
        return tuple(
            Index.of(0) if size == 1 else i
            for i, size in zip(index, variable.type.shape, strict=True)
        )
    return tuple(index)


def looped_reads(schedule: Schedule, node: Apply) -> list[Read]:
    """What a looped operation reads that is not inline, and where."""
    domain = schedule.domain(node)
    tracer = Tracer(schedule, domain)
    loops = tuple(Index(f"i{k}", frozenset({f"i{k}"})) for k in range(len(domain)))
    for variable in node.inputs:
        tracer.trace(variable, operand_index(node, variable, loops, tracer))
    for size in domain:
        tracer.size(size)
    return list(dict.fromkeys(tracer.found))


def whole_reads(schedule: Schedule, node: Apply) -> Handed:
    """What an operation without loops of ours reads: any element of its operands, and sizes."""
    elements: set[Variable] = set()
    sizes: set[Variable] = set()
    for variable in (*node.inputs, *node.outputs):
        tracer = Tracer(schedule, schedule.extents.of(variable))
        if variable.owner is not node:
            tracer.trace(variable, [Index(f"i{k}") for k in range(variable.ndim)])
            elements.update(read.variable for read in tracer.found)
        for size in tracer.domain:
            tracer.size(size)
        sizes.update(read.variable for read in tracer.found)
    return Handed(frozenset(elements), frozenset(elements | sizes))
