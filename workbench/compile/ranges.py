"""Which loops may run their iterations in any order, or in ranges on several threads.

An iteration must write where no other one does and read nothing that another one writes.
A loop over the rows of a kernel mostly is so; one that gathers a sum over the rows is not.
Cutting a loop into ranges never changes what is added to what, so results do not depend
on the number of threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.compile.loops import (
    Accumulator,
    Block,
    Combine,
    Index,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    texts_of,
    walk,
)
from workbench.core.op import Elementwise

MEMORY_COST = 2
"""What a load or a store counts, in additions."""

WORTH = 400_000
"""From this work on (in additions, some 20 microseconds) a range is worth a thread's while."""


@dataclass(frozen=True)
class Part:
    """A loop of a kernel that may be cut into ranges.

    Attributes
    ----------
    before
        Statements outside the loop that its iterations need, to be repeated in each range.
    work
        What one iteration costs, in additions.
    """

    loop: Loop
    before: tuple[Statement, ...]
    work: Index


def writes_apart(loop: Loop) -> bool:
    """Whether each iteration writes in places of its own, and reads no place of another."""
    inside = walk(loop.body)
    stores = [s for s in inside if isinstance(s, Store)]
    written = {s.buffer: s.offset.text for s in stores}
    return all(
        any(i.text == loop.variable for i in store.place)
        and written[store.buffer] == store.offset.text
        for store in stores
    ) and all(
        written.get(s.buffer, s.offset.text) == s.offset.text
        for s in inside
        if isinstance(s, Load)
    )


def part_of(block: Block, loop: Loop) -> Part | None:
    """How a loop that stands in the outermost block of a kernel is cut into ranges, or None."""
    if loop.accumulators or loop.size.value == 1 or not writes_apart(loop):
        return None
    inside = walk(loop.body)
    if not any(isinstance(s, Store) for s in inside):
        return None
    own = {s for s in inside if isinstance(s, Accumulator)}
    own.update(a for s in inside if isinstance(s, Loop) for a in s.accumulators)
    if any(isinstance(s, Combine) and s.accumulator not in own for s in inside):
        return None
    before = _needed(block, loop)
    return None if before is None else Part(loop, before, work_of(loop.body))


def is_worth_cutting(part: Part) -> bool:
    """Whether a loop may be long, and does more than set one value everywhere."""
    inside = part.loop.body.statements
    if len(inside) == 1 and isinstance(inside[0], Store):
        return False
    size, work = part.loop.size.value, part.work.value
    return size is None or work is None or size * work > WORTH


def _needed(block: Block, loop: Loop) -> tuple[Statement, ...] | None:
    """The lets and loads in front of a loop that it refers to; None when it needs a loop's result."""
    names = names_in(walk(loop.body)) | names_in([loop])
    needed: list[Statement] = []
    position = block.statements.index(loop)
    for statement in reversed(block.statements[:position]):
        if isinstance(statement, Let | Load):
            if statement.target in names:
                needed.insert(0, statement)
                names |= names_in([statement])
        elif isinstance(statement, Accumulator):
            if names & {statement.target, statement.place}:
                return None
        elif isinstance(statement, Loop) and any(
            names & {a.target, a.place} for a in statement.accumulators
        ):
            return None
    return tuple(needed)


def names_in(statements: Iterable[Statement]) -> set[str]:
    """The words of all texts of some statements."""
    texts = [text for statement in statements for text in texts_of(statement)]
    return set(re.findall(r"\w+", " ".join(texts)))


def cost_of(statement: Statement) -> int:
    """About what a statement that is no loop costs, in additions."""
    if isinstance(statement, Load | Store):
        return MEMORY_COST
    if isinstance(statement, Let) and statement.node is not None:
        op = statement.node.op
        return op.cost if isinstance(op, Elementwise) else 1
    return 1


def work_of(block: Block) -> Index:
    """About what a block costs, in additions, in terms of run-time sizes."""
    terms = _work(block)
    work = Index.of(0)
    for size, cost in sorted(terms.items(), reverse=True):
        work = work + (Index(size) * cost if size else Index.of(cost))
    return work


def _work(block: Block) -> dict[str, int]:
    """For each product of sizes, how often it is to be counted; the empty text for what is done once."""
    terms: dict[str, int] = {}
    for statement in block.statements:
        inner = {"": cost_of(statement)}
        size = Index.of(1)
        if isinstance(statement, Loop):
            inner, size = _work(statement.body), statement.size
        for text, cost in inner.items():
            factors = size * (Index(text) if text else Index.of(1))
            known = factors.value
            key = "" if known is not None else factors.text
            terms[key] = terms.get(key, 0) + cost * (known or 1)
    return terms
