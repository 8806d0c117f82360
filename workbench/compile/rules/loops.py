"""Loops: what is rewritten in a step, and two that do the same.

The rules of loops, file by file: here the body as a graph, and loops that are one; in
:mod:`~workbench.compile.rules.loop_steps` loops of no step or one, in
:mod:`~workbench.compile.rules.loop_parts` what a step need not read or give, in
:mod:`~workbench.compile.rules.loop_memory` rows that nobody reads, in
:mod:`~workbench.compile.rules.loop_products` products within a step that are done as one, and in
:mod:`~workbench.compile.rules.loop_before`, :mod:`~workbench.compile.rules.loop_after` and
:mod:`~workbench.compile.rules.loop_sums` what is not done in the loop.

Read next: :mod:`workbench.compile.rules.loop_parts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from workbench.compile.context import Alike
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules import (
    loop_after,
    loop_before,
    loop_memory,
    loop_parts,
    loop_products,
    loop_steps,
    loop_sums,
)
from workbench.compile.rules.looping import (
    Loop,
    Plain,
    State,
    equal_states,
    original,
)
from workbench.core.graph import Apply, Variable, ancestors
from workbench.core.op import Size
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.core.replacing import Numbering

# --- the body ----------------------------------------------------------------------------


@node_rule(Scan)
def step_of_loop(node, context):
    """What a step computes is rewritten as any graph is, by the rules of the stage.

    Sizes that are equal outside are equal inside.
    """
    body = context.rewritten(node.op.body, sizes_inside(node, context))
    context.looked_around = True  # the next stage has other rules
    if body == node.op.body:
        return None
    return replace(node.op, body=body).make_node(*node.inputs).outputs


def sizes_inside(node: Apply, context: Context) -> Alike:
    """For each axis of what a step reads its size, or another axis that is as long."""
    op = node.op
    assert isinstance(op, Scan)
    _, sequences, firsts, others = op.parts(node.inputs)
    outside = [context.sizes(v)[1:] for v in sequences]
    for first, taps in zip(firsts, op.taps, strict=True):
        outside += [context.sizes(first)[1:]] * len(taps)
    outside += [context.sizes(v) for v in others]
    # Sizes are those of what no step changes, where they can be.
    seen: dict[Size, tuple[int, int]] = {}
    last = len(outside) - len(others)
    for i in (*range(last, len(outside)), *range(last)):
        for axis, size in enumerate(outside[i]):
            seen.setdefault(size, (i, axis))
    return tuple(
        tuple(
            size if isinstance(size, int) else _unless(seen[size], (i, axis))
            for axis, size in enumerate(sizes)
        )
        for i, sizes in enumerate(outside)
    )


def _unless(place: tuple[int, int], own: tuple[int, int]) -> tuple[int, int] | None:
    return None if place == own else place


# --- two loops that do the same -----------------------------------------------------------


@node_rule(Scan)
def loops_with_equal_states(node, context):
    """Two loops, one of which computes all states of the other, are one with the outputs of both.

    So a gradient, which needs more of what the loop computes than the loop gives, runs it once.
    """
    me = original(node, context)
    if me is None or me.op != node.op:
        return None
    context.looked_around = True
    for other in context.nodes:
        if type(other.op) is Scan and other is not me and may_meet(me, other):
            together = merged_loops(me, other)
            if together is not None:
                own = dict(zip(me.outputs, node.outputs, strict=True))
                return {own.get(old, old): new for old, new in together.items()}
    return None


def may_meet(a: Apply, b: Apply) -> bool:
    """Whether two loops run in step and have something in common, at first sight."""
    p, q = a.op, b.op
    assert isinstance(p, Scan) and isinstance(q, Scan)
    if a.inputs[0] is not b.inputs[0]:
        return False
    if (p.backwards, p.until) != (q.backwards, q.until):
        return False
    (_, s, firsts, _), (_, t, others, _) = p.parts(a.inputs), q.parts(b.inputs)
    if p.n_states and q.n_states:
        few, many = sorted((firsts, others), key=len)
        return set(few) <= set(many)
    return not (p.n_states or q.n_states) and (set(s) <= set(t) or set(t) <= set(s))


def merged_loops(a: Apply, b: Apply) -> dict[Variable, Variable] | None:
    """What stands for the outputs of two loops when one takes the place of both."""
    # Equal bodies may be one object; what one loop reads is not what the other does.
    assert isinstance(b.op, Scan)
    one, two = Loop(a), Loop(b, Body(b.op.body.inputs, b.op.body.outputs))
    if len(two.states) < len(one.states):
        one, two = two, one
    numbers, pairs = equal_states([*_that_start_alike(one, two)], one, two)
    if len(pairs) < len(one.states) or not _same_end(one, two, numbers):
        return None
    if not one.states and not _gives_all(one, two, numbers):
        if not _gives_all(two, one, numbers):
            return None
        one, two = two, one
    if set(a.inputs) != set(b.inputs) and (_depends(a, b) or _depends(b, a)):
        return None
    return _united(one, two, numbers, pairs)


def _that_start_alike(one: Loop, two: Loop) -> Iterator[tuple[State, State]]:
    left = list(two.states)
    for s in one.states:
        for t in left:
            if s.first is t.first and s.taps.keys() == t.taps.keys():
                if s.value.type == t.value.type:
                    left.remove(t)
                    yield s, t
                    break


def _same_end(one: Loop, two: Loop, numbers: Numbering) -> bool:
    ends = [loop.condition for loop in (one, two) if loop.condition is not None]
    return not ends or len(set(numbers.of(ends))) == 1


def _gives_all(few: Loop, many: Loop, numbers: Numbering) -> bool:
    """Whether one loop computes whatever the other gives."""
    wanted = set(numbers.of([p.value for p in few.plain]))
    return wanted <= set(numbers.of([p.value for p in many.plain]))


def _depends(a: Apply, b: Apply) -> bool:
    """Whether a loop depends on another."""
    found = set(ancestors(a.inputs))
    return any(v in found for v in b.outputs)


def _united(
    one: Loop, two: Loop, numbers: Numbering, pairs: list[tuple[State, State]]
) -> dict[Variable, Variable]:
    """The loop `two` with the outputs of `one`, too."""
    mapping: dict[Variable, Variable] = {}
    for s, t in pairs:
        mapping.update((v, t.taps[tap]) for tap, v in s.taps.items())
    for own, others in ((one.sequences, two.sequences), (one.others, two.others)):
        by_outer = {outer: v for v, outer in others.items()}
        for v, outer in own.items():
            mapping[v] = by_outer.setdefault(outer, v)
            others.setdefault(mapping[v], outer)
    numbered = {numbers.of([p.value])[0]: p for p in reversed(two.plain)}
    places: list[tuple[State | Plain, State | Plain]] = [*pairs]
    places += [(p, numbered.get(numbers.of([p.value])[0], p)) for p in one.plain]
    one.substitute(mapping)
    two.plain += [p for p, place in places if p is place and isinstance(p, Plain)]
    two.least = max(one.least, two.least)
    wanted = [(r, r, r.keep) for r in two.results if (r, r) not in places]
    wanted += [(mine, place, mine.keep) for mine, place in places]
    for mine, place in places:
        if mine.keep != place.keep:
            for r in (mine, place):
                if r.keep is not None:
                    two.least = max(two.least, r.keep - r.depth)
            place.keep = None
    made = two.make()
    stacks = dict(zip(map(id, two.results), made.outputs, strict=False))
    found: dict[Variable, Variable] = {}
    for mine, place, keep in wanted:
        assert mine.output is not None
        stack = stacks[id(place)]
        if place.keep is None and keep is not None:
            stack = two.last_rows(made, place, stack, keep)
        found[mine.output] = stack
    for loop in (one, two):
        if loop.count is not None:
            found[loop.count] = made.outputs[-1]
    return found


RULES = [
    *tagged("loops", loops_with_equal_states),
    *loop_steps.RULES,
    *loop_parts.RULES,
    *loop_memory.RULES,
    *tagged("loops", step_of_loop),
]

MOVES = [
    *loop_products.ADDED,
    *loop_after.RULES,
    *loop_products.SHARED,
    *loop_before.RULES,
    *loop_sums.RULES,
]
"""What is for speed only."""
