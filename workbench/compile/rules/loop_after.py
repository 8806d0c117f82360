"""What no step reads is computed after the loop, of the rows of all steps at once.

Read next: :mod:`workbench.compile.rules.loop_sums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.indexing import WHOLE, taken
from workbench.compile.rules.loop_before import MOVABLE, for_all_steps, is_product
from workbench.compile.rules.looping import Loop, Plain, State
from workbench.core.graph import Apply, Constant, Variable, graph_inputs, toposort
from workbench.core.op import Size
from workbench.core.ops.joining import Join
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import add_size
from workbench.core.ops.slicing import Slice
from workbench.core.ops.subscript import index


@node_rule(Scan)
def results_that_are_parts(node):
    """Of a value that a step gives in parts the whole is kept, and taken apart after the loop."""
    loop = Loop(node)
    if loop.condition is not None:
        return None
    known = set(loop.inputs)
    fixed = loop.fixed()
    groups: dict[tuple[Variable, int | None], list[Plain]] = {}
    for p in loop.plain:
        owner = p.value.owner
        if owner is not None and isinstance(owner.op, Slice):
            whole, *bounds = owner.inputs
            bounded = all(fixed[v] for v in bounds)
            if whole not in known and bounded and has_one_size(whole, loop):
                groups.setdefault((whole, p.keep), []).append(p)
    taken_apart: list[tuple[Plain, Plain]] = []
    for (whole, keep), parts in groups.items():
        if len(parts) < 2:
            continue
        kept = next(
            (p for p in loop.plain if p.value is whole and p.keep == keep), None
        )
        if kept is None:
            kept = Plain(whole, keep)
            loop.plain.append(kept)
        taken_apart += [(p, kept) for p in parts]
    if not taken_apart:
        return None
    gone = {id(p) for p, _ in taken_apart}
    loop.plain = [p for p in loop.plain if id(p) not in gone]
    made = loop.make()
    stacks = dict(zip(map(id, loop.results), made.outputs, strict=False))
    moved: dict[Variable, Variable] = {}
    for p, kept in taken_apart:
        assert p.output is not None
        outside = {**loop.others, kept.value: stacks[id(kept)]}
        part = for_all_steps(p.value, outside)
        if part is None:
            return None
        moved[p.output] = part
    return loop.replacements(made) | moved


@node_rule(Scan)
def products_after_loop(node):
    """A product with a matrix that no step changes, which no step reads, is one after the loop.

    With it goes all that is computed from it. What it is computed from is kept instead.
    """
    loop = Loop(node)
    if loop.condition is not None:
        return None  # rows that are not reached are zero, whatever they would give
    fixed = loop.fixed()
    inside = _needed_inside(loop)
    for p in loop.plain:
        nodes = toposort([p.value], inside)
        if not any(is_product(n, fixed) for n in nodes):
            continue
        if not all(isinstance(n.op, MOVABLE) for n in nodes):
            continue
        made = {v for n in nodes for v in n.outputs}
        needed = dict.fromkeys(v for n in nodes for v in n.inputs if v not in made)
        found = _computed_after(loop, p, [v for v in needed if not fixed[v]], fixed)
        if found is not None:
            return found
    return None


def _needed_inside(loop: Loop) -> set[Variable]:
    """What the states are computed from."""
    values = [s.value for s in loop.states]
    nodes = toposort(values, loop.inputs)
    return {*loop.inputs, *(v for n in nodes for v in n.outputs)}


def _computed_after(
    loop: Loop, p: Plain, needed: Sequence[Variable], fixed: Mapping[Variable, bool]
) -> dict[Variable, Variable] | None:
    """The replacements when `p` is computed of all rows of `needed`."""
    rows = Rows(loop, p.keep)
    if not all(map(rows.add, needed)) or len(rows.added) > 2:
        return None
    loop.plain.remove(p)
    made = loop.make()
    outside = {v: rows.of(v, made) for v in needed}
    value = for_all_steps(p.value, {**loop.others, **outside})
    assert p.output is not None
    if value is None or value.ndim != p.output.ndim:
        return None
    return loop.replacements(made) | {p.output: value}


def has_one_size(v: Variable, loop: Loop) -> bool:
    """Whether a value is known to be as large at every step: else its rows make no array."""
    return all(loop.size_outside(v, axis) is not None for axis in range(v.ndim))


def _parts_of_joins(loop: Loop) -> dict[Variable, tuple[Variable, list[Any]]]:
    """What a step joins: each part with the whole, and which entries of that it is.

    Sizes are those outside; parts whose size is not the same at every step are left out.
    """
    found: dict[Variable, tuple[Variable, list[Any]]] = {}
    if loop.condition is not None:
        return found
    for node in loop.order:
        if not isinstance(node.op, Join):
            continue
        axis, whole = node.op.axis, node.outputs[0]
        start: Size | None = 0
        for v in node.inputs:
            size = loop.size_outside(v, axis)
            if start is None or size is None:
                break
            end = add_size(start, size)
            entries: list[Any] = [WHOLE] * whole.ndim
            entries[axis] = (start, end, 1)
            if v.owner is not None and v not in loop.inputs:
                found.setdefault(v, (whole, entries))
            start = end
        else:
            continue
        for v in node.inputs:
            if v in found and found[v][0] is whole:
                del found[v]
    return found


class Rows:
    """Values of all steps of a loop, or of the last `keep`, as they stand outside.

    What no output holds becomes one.
    """

    def __init__(self, loop: Loop, keep: int | None = None) -> None:
        self.loop, self.keep = loop, keep
        self.added: list[Plain] = []
        self.where: dict[Variable, State | Plain] = {}
        self.parts = _parts_of_joins(loop)

    def may_add(self, v: Variable) -> bool:
        """Whether the rows of a variable of the body can be had."""
        loop = self.loop
        if self.keep is not None and self.keep > loop.least:
            return False  # it is an error when there are fewer
        if v in loop.sequences or v in self.where:
            return True
        leaves = graph_inputs([v], loop.inputs)
        if all(w in loop.others or isinstance(w, Constant) for w in leaves):
            return False  # it has no rows
        if not has_one_size(v, loop):
            return False
        state = next((s for s in loop.states if v in s.taps.values()), None)
        return state is None or (state.keep is None and self.keep is None)

    def has(self, v: Variable) -> bool:
        """Whether they are there anyway."""
        v = self.parts[v][0] if v in self.parts else v
        kept = any(r.value is v and r.keep == self.keep for r in self.loop.results)
        return v in self.loop.sequences or v in self.where or kept

    def add(self, v: Variable) -> bool:
        """See to it that they are there; whether that can be."""
        loop = self.loop
        if not self.may_add(v):
            return False
        v = self.parts[v][0] if v in self.parts else v
        if v in loop.sequences or v in self.where or v in loop.inputs:
            return True
        for r in loop.results:
            if r.value is v and r.keep == self.keep:
                self.where[v] = r
                return True
        self.where[v] = Plain(v, self.keep)
        self.added.append(self.where[v])  # type: ignore[arg-type]
        loop.plain.append(self.where[v])  # type: ignore[arg-type]
        return True

    def of(self, v: Variable, made: Apply | None) -> Variable:
        """The rows of a variable that was added, one a step."""
        if v in self.parts:
            whole, entries = self.parts[v]
            return taken(self.of(whole, made), [WHOLE, *entries])
        loop, backwards = self.loop, self.loop.op.backwards
        if v in loop.sequences:
            rows = loop.sequences[v]
            if self.keep is None:
                return rows
            return index(
                rows, slice(None, self.keep) if backwards else slice(-self.keep, None)
            )
        outputs = () if made is None else made.outputs
        stacks = dict(zip(map(id, loop.results), outputs, strict=False))
        for s in loop.states:
            for tap, tapped in s.taps.items():
                if tapped is v:
                    start = -tap if backwards else s.depth + tap
                    end = start - s.depth
                    part = slice(start or None, end or None)
                    return index(stacks[id(s)], part)
        r = self.where[v]
        rows = stacks[id(r)]
        if not r.depth or self.keep is not None:
            return rows
        return index(rows, slice(None, -r.depth) if backwards else slice(r.depth, None))


RULES = tagged("loops", results_that_are_parts, products_after_loop)
