"""What a step computes is computed before the loop where that is less work.

What no step changes, once; products of what is known of all steps beforehand with a matrix that
no step changes, for all steps at once: a library multiplies one large matrix several times as
fast as many small ones.

Read next: :mod:`workbench.compile.rules.loop_after`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.looping import Loop, as_long
from workbench.core.batching import batch_nodes
from workbench.core.errors import ShapeError
from workbench.core.graph import Apply, Variable, graph_inputs, toposort
from workbench.core.graph import clone as replace_nodes
from workbench.core.op import Elementwise, Gather, Op, Reduction, View
from workbench.core.ops.checks import Assert
from workbench.core.ops.joining import Join
from workbench.core.ops.linalg import BatchedDot, Dot
from workbench.core.ops.nnet import LogSoftmax, LogSumExp, Softmax
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.slicing import PutSlice

MOVABLE = (
    Elementwise,
    Reduction,
    View,
    Dot,
    BatchedDot,
    Join,
    PutSlice,
    SizeOf,
    Softmax,
    LogSoftmax,
    LogSumExp,
)
"""Ops that are done for many steps at once as they are done for one."""

# --- once, before the loop ---------------------------------------------------------------


@node_rule(Scan)
def same_at_every_step(node):
    """What a step computes only from what no step changes is computed once, before the loop."""
    loop = Loop(node)
    fixed = loop.fixed()
    always = loop.always()
    wanted = [
        v
        for v in _without_views(_edge(loop, fixed), fixed)
        if v in always and is_worth_moving(v, loop)
    ]
    if not wanted:
        return None
    outside = replace_nodes(wanted, loop.others)
    moved = {v: Variable(v.type, v.name) for v in wanted}
    loop.others.update(zip(moved.values(), outside, strict=True))
    loop.substitute(moved)
    loop.drop_unread_others()
    return loop.replacements(loop.make())


def _edge(loop: Loop, known: Mapping[Variable, bool]) -> list[Variable]:
    """What is known and read by what is not, or given by a step."""
    found = dict.fromkeys(v for v in loop.values if known[v])
    for node in loop.order:
        if not known[node.outputs[0]]:
            found.update(dict.fromkeys(v for v in node.inputs if known[v]))
    return list(found)


def _without_views(
    variables: Iterable[Variable], known: Mapping[Variable, bool]
) -> list[Variable]:
    """What some variables are views of: views cost nothing where they are."""
    found: dict[Variable, None] = {}
    pending = list(variables)
    while pending:
        v = pending.pop()
        if v.owner is None or not known[v]:
            continue
        if is_view(v.owner.op):
            pending += v.owner.inputs
        else:
            found.setdefault(v)
    return list(found)


def is_view(op: Op) -> bool:
    """Whether an op moves elements only, not to places that are data."""
    return isinstance(op, View) and not isinstance(op, Gather)


def is_worth_moving(v: Variable, loop: Loop) -> bool:
    """Whether a value is work: no size, and none that constants alone decide."""
    if v.ndim == 0 and not v.type.is_float:
        return False
    nodes = toposort([v], loop.inputs)
    if any(isinstance(node.op, Assert) for node in nodes):
        return False
    own = set(loop.inputs)
    return any(w in own for node in nodes for w in node.inputs)


# --- for all steps at once, before the loop ----------------------------------------------


@node_rule(Scan)
def products_before_loop(node):
    """A product of a row with a matrix that no step changes is one product before the loop.

    With it goes what is done to the result, as far as that is known beforehand.
    """
    loop = Loop(node)
    fixed, before = loop.fixed(), loop.known_before(MOVABLE)
    products = {n.outputs[0] for n in loop.order if is_product(n, fixed)}
    always = loop.always()
    products = {v for v in products if before[v] and v in always}
    if not products:
        return None
    wanted = [
        v
        for v in _without_views(_edge(loop, before), before)
        if not fixed[v]
        and v in always
        and any(n.outputs[0] in products for n in toposort([v], loop.inputs))
    ]
    moved: dict[Variable, Variable] = {}
    for v in wanted:
        many = for_all_steps(v, {**loop.others, **loop.sequences})
        if many is None:
            continue
        row = many.type.with_shape(many.type.shape[1:])
        if many.ndim == v.ndim + 1 and row.broadcastable == v.type.broadcastable:
            moved[v] = Variable(row, v.name)
            loop.sequences[moved[v]] = many
    if not moved:
        return None
    read = {w for v in moved for n in toposort([v], loop.inputs) for w in n.inputs}
    loop.substitute(moved)
    used = loop.used()
    # The length of a sequence that has become another one is checked there.
    loop.sequences = {
        v: s for v, s in loop.sequences.items() if v in used or v not in read
    }
    loop.drop_unread_others()
    return loop.replacements(loop.make())


def is_product(node: Apply, fixed: Mapping[Variable, bool]) -> bool:
    """Whether it multiplies what changes with what does not."""
    return isinstance(node.op, Dot) and fixed[node.inputs[0]] != fixed[node.inputs[1]]


def for_all_steps(v: Variable, outside: Mapping[Variable, Variable]) -> Variable | None:
    """A value of a step for all steps at once, from what stands for variables of the body.

    None where its size is not the same at every step.
    """
    mapping = dict(outside)
    try:
        batch_nodes([v], mapping)
    except ShapeError:
        return None
    return mapping.get(v, v)


@node_rule(Scan)
def results_of_sequences(node, context):
    """A result of what is known of all steps beforehand needs no loop."""
    loop = Loop(node)
    if loop.condition is not None:
        return None
    fixed, before = loop.fixed(), loop.known_before(MOVABLE)
    moved: dict[Variable, Variable] = {}
    for p in list(loop.plain):
        read = set(graph_inputs([p.value], loop.inputs)) & loop.sequences.keys()
        if fixed[p.value] or not before[p.value] or p.keep is not None:
            continue
        if not any(as_long(context.sizes(loop.sequences[v])[0], loop.n) for v in read):
            continue
        assert p.output is not None
        value = for_all_steps(p.value, {**loop.others, **loop.sequences})
        if value is not None and value.broadcastable == p.output.broadcastable:
            moved[p.output] = value
            loop.plain.remove(p)
    if not moved or (not loop.results and loop.count is not None):
        return None
    return (loop.replacements(loop.make()) if loop.results else {}) | moved


RULES = tagged("loops", same_at_every_step, products_before_loop, results_of_sequences)
