"""What a step need not read, carry or give.

Read next: :mod:`workbench.compile.rules.loop_memory`.
"""

from __future__ import annotations

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.looping import (
    Loop,
    Plain,
    State,
    as_long,
    equal_states,
    original,
    plus,
)
from workbench.core.graph import Apply, Constant, Variable, graph_inputs, toposort
from workbench.core.graph import clone as replace_nodes
from workbench.core.op import Size
from workbench.core.ops.checks import Assert
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import (
    BroadcastTo,
    SizeOf,
    dimshuffle,
    size_variable,
    sizes_of,
)
from workbench.core.ops.slicing import as_size
from workbench.core.ops.subscript import index
from workbench.core.replacing import Numbering

# --- what nobody reads -------------------------------------------------------------------


@node_rule(Scan)
def unread_parts_of_loop(node, context):
    """Results that nobody reads are not computed, nor what only they need.

    A sequence stays where it alone shows that there is an element for every step.
    """
    me = original(node, context)
    if me is None or not context.is_merged:
        context.looked_around = True
        return None
    loop = Loop(node)
    read = {
        id(r)
        for r, old in zip(loop.results, me.outputs, strict=False)
        if context.clients(old)
    }
    loop.plain = [p for p in loop.plain if id(p) in read]
    loop.states = _needed_states(loop, read)
    if not loop.states and not loop.plain:
        return None  # of the whole loop nothing is read, or only how many steps it made
    used = loop.used()
    loop.drop_unread_others()
    loop.sequences = {
        v: s
        for v, s in loop.sequences.items()
        if v in used or not as_long(context.sizes(s)[0], loop.n)
    }
    if len(loop.inputs) == len(node.op.body.inputs) and (
        len(loop.results) == len(node.op.keep)
    ):
        return None
    return loop.replacements(loop.make())


def _needed_states(loop: Loop, read: set[int]) -> list[State]:
    """The states that are read outside, or that what is read depends on."""
    left = list(loop.states)
    needed = [s for s in left if id(s) in read]
    while True:
        values = [s.value for s in needed] + [p.value for p in loop.plain]
        if loop.condition is not None:
            values.append(loop.condition)
        used = set(graph_inputs(values, loop.inputs))
        more = [s for s in left if s in needed or not used.isdisjoint(s.taps.values())]
        if len(more) == len(needed):
            return more
        needed = more


# --- what is given twice, or is a constant -----------------------------------------------


@node_rule(Scan)
def equal_parts_of_loop(node, context):
    """What a step reads twice it reads once; of equal states, or results, one is computed."""
    loop = Loop(node)
    states = _equal_states(loop)
    mapping: dict[Variable, Variable] = {}
    for own in (loop.sequences, loop.others):
        first: dict[Variable, Variable] = {}
        for v, outer in list(own.items()):
            mapping[v] = first.setdefault(outer, v)
            if mapping[v] is not v:
                del own[v]
    for s, t in states:
        mapping.update((v, t.taps[tap]) for tap, v in s.taps.items())
    moved: dict[Variable, Variable] = {}
    loop.substitute({v: w for v, w in mapping.items() if v is not w})
    numbers = Numbering()
    seen: dict[tuple[int, int | None], Plain] = {}
    instead: list[tuple[State | Plain, State | Plain]] = [*states]
    for p in loop.plain:
        (number,) = numbers.of([p.value])
        first_one = seen.setdefault((number, p.keep), p)
        if first_one is not p:
            instead.append((p, first_one))
    if not instead and all(v is w for v, w in mapping.items()):
        return None
    gone = {id(r) for r, _ in instead}
    loop.states = [s for s in loop.states if id(s) not in gone]
    loop.plain = [p for p in loop.plain if id(p) not in gone]
    made = loop.make()
    moved = loop.replacements(made)
    for r, known in instead:
        assert r.output is not None and known.output is not None
        moved[r.output] = moved[known.output]
    return moved


def _equal_states(loop: Loop) -> list[tuple[State, State]]:
    """Pairs of a state and an earlier one that is always equal to it."""
    pairs: list[tuple[State, State]] = []
    for i, s in enumerate(loop.states):
        for t in loop.states[:i]:
            if (
                s.first is t.first
                and s.taps.keys() == t.taps.keys()
                and (s.keep == t.keep and s.value.type == t.value.type)
            ):
                pairs.append((s, t))
                break
    return equal_states(pairs, loop)[1]


@node_rule(Scan)
def constants_of_loop(node):
    """A number that every step reads is written into the step."""
    loop = Loop(node)
    known: dict[Variable, Variable] = {}
    for v, outer in list(loop.others.items()):
        if isinstance(outer, Constant) and outer.data.size == 1:
            known[v] = Constant(outer.data, outer.name)
            del loop.others[v]
    if not known:
        return None
    loop.substitute(known)
    return loop.replacements(loop.make())


@node_rule(Scan)
def repeated_rows(node, context):
    """A sequence whose rows are all one is no sequence: every step reads the row."""
    loop = Loop(node)
    repeated = {
        v: s.owner.inputs
        for v, s in loop.sequences.items()
        if s.owner is not None
        and isinstance(s.owner.op, BroadcastTo)
        and s.owner.inputs[0].type.shape[0] == 1
        and as_long(as_size(s.owner.inputs[1]), loop.n)
    }
    # First all of them go: the size of one is not to be that of another.
    for v in repeated:
        del loop.sequences[v]
    known: dict[Variable, Variable] = {}
    for v, (x, _, *sizes) in repeated.items():
        inner = [size_inside(loop, as_size(size), context) for size in sizes]
        row = index(x, 0)
        value = uniform_value(x)
        if value is None:
            small = Variable(row.type, v.name)
            loop.others[small] = row
        else:
            small = Constant(np.full((1,) * row.ndim, value, row.dtype), v.name)
        known[v] = BroadcastTo(row.ndim)(small, *inner) if row.ndim else small
    if not known:
        return None
    loop.substitute(known)
    return loop.replacements(loop.make())


def size_inside(loop: Loop, size: Size, context: Context) -> Variable:
    """A size outside as a variable of the body."""
    if isinstance(size, int):
        return size_variable(size)
    wanted = context.merged(size)
    for v, outer in (*loop.sequences.items(), *loop.others.items()):
        skip = v in loop.sequences
        for axis, known in enumerate(context.sizes(outer)[skip:]):
            if context.same_size(known, wanted):
                return SizeOf(axis)(v)
    for s in loop.states:
        for axis, known in enumerate(context.sizes(s.first)[1:]):
            if context.same_size(known, wanted):
                return SizeOf(axis)(next(iter(s.taps.values())))
    inner = Variable(size.type, size.name)
    loop.others[inner] = size
    return inner


@node_rule(Scan)
def sizes_of_rows(node, context):
    """A sequence of which a step reads the sizes only is not needed for them."""
    loop = Loop(node)
    readers: dict[Variable, list[Apply]] = {}
    for n in loop.order:
        for v in n.inputs:
            readers.setdefault(v, []).append(n)
    moved: dict[Variable, Variable] = {}
    for v, rows in list(loop.sequences.items()):
        clients = readers.get(v, [])
        if not clients or any(v is w for w in loop.values):
            continue
        if not all(isinstance(n.op, SizeOf) for n in clients):
            continue
        sizes = context.sizes(rows)
        wanted = {n.outputs[0]: sizes[n.op.axis + 1] for n in clients}  # type: ignore[attr-defined]
        if any(
            rows in graph_inputs([size_variable(s)], [rows]) for s in wanted.values()
        ):
            continue
        if not as_long(sizes[0], loop.n):
            continue  # it shows that there is a row for every step
        del loop.sequences[v]
        moved.update((w, size_inside(loop, s, context)) for w, s in wanted.items())
    if not moved:
        return None
    loop.substitute(moved)
    return loop.replacements(loop.make())


# --- what is the same at every step ------------------------------------------------------


@node_rule(Scan)
def states_that_stay(node):
    """A state that no step changes is not carried from step to step."""
    loop = Loop(node)
    moved: dict[Variable, Variable] = {}
    for s in list(loop.states):
        if s.taps.keys() != {-1} or s.value is not s.taps[-1]:
            continue
        if not may_repeat(loop, s):
            continue
        row = index(s.first, 0)
        small = Variable(row.type, s.value.name)
        loop.states.remove(s)
        loop.substitute({s.value: small})
        loop.others[small] = row
        assert s.output is not None
        moved[s.output] = repeated(loop, row, s)
    return without(loop, moved)


@node_rule(Scan)
def results_known_before(node):
    """A result that is the same at every step is computed once, and repeated."""
    loop = Loop(node)
    fixed = loop.fixed()
    moved: dict[Variable, Variable] = {}
    for p in list(loop.plain):
        if not fixed[p.value] or not may_repeat(loop, p):
            continue
        if any(isinstance(n.op, Assert) for n in toposort([p.value], loop.inputs)):
            continue
        (value,) = replace_nodes([p.value], loop.others)
        assert p.output is not None
        moved[p.output] = repeated(loop, value, p)
        loop.plain.remove(p)
    return without(loop, moved)


def may_repeat(loop: Loop, result: State | Plain) -> bool:
    """Whether an output whose rows are equal is no more than its row, repeated."""
    if result.keep is not None:
        return result.keep <= max(loop.least, 0) + result.depth
    return loop.condition is None  # else rows that are not reached are zero


def repeated(loop: Loop, row: Variable, result: State | Plain) -> Variable:
    """An output all of whose rows are equal."""
    steps = plus(loop.n, result.depth) if result.keep is None else result.keep
    lead = dimshuffle(row, "x", *range(row.ndim))
    sizes = map(size_variable, (steps, *sizes_of(row)))
    return lead if steps == 1 else BroadcastTo(lead.ndim)(lead, *sizes)


def without(
    loop: Loop, moved: dict[Variable, Variable]
) -> dict[Variable, Variable] | None:
    """What is left of a loop, and what stands for outputs that are no part of it any more."""
    if not moved:
        return None
    if not loop.results:
        return moved if loop.count is None else None
    return loop.replacements(loop.make()) | moved


RULES = tagged(
    "loops",
    unread_parts_of_loop,
    equal_parts_of_loop,
    constants_of_loop,
    repeated_rows,
    sizes_of_rows,
    states_that_stay,
    results_known_before,
)
