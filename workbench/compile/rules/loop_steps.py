"""Loops of no step, or of one, are none.

Read next: :mod:`workbench.compile.rules.loop_memory`.
"""

from __future__ import annotations

from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.looping import Loop, Plain, State, as_long
from workbench.core.graph import Variable, as_variable, graph_inputs
from workbench.core.op import known_int
from workbench.core.ops.joining import Join
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import (
    BroadcastTo,
    dimshuffle,
    size_variable,
    specify_shape,
)
from workbench.core.ops.subscript import index


@node_rule(Scan)
def loop_of_one_step(node, context):
    """One step is what it computes."""
    loop = Loop(node)
    if known_int(loop.n) != 1 or not _may_unfold(loop, 1):
        return None
    op = node.op
    inputs = []
    for rows in loop.sequences.values():
        if not as_long(context.sizes(rows)[0], loop.n):
            rows = specify_shape(rows, (1, *[None] * (rows.ndim - 1)))
        inputs.append(index(rows, 0))
    for s in loop.states:
        for tap in sorted(s.taps):
            at = -tap - 1 if op.backwards else s.depth + tap
            inputs.append(index(s.first, at))
    values = op.body.on([*inputs, *loop.others.values()])
    found = []
    for r, value in zip(loop.results, values, strict=False):
        row = dimshuffle(value, "x", *range(value.ndim))
        parts = [row]
        if isinstance(r, State):
            parts = [row, r.first] if op.backwards else [r.first, row]
        found.append(_last(loop, r, parts))
    return found if loop.condition is None else [*found, as_variable(1, "int64")]


@node_rule(Scan)
def loop_of_no_step(node, context):
    """A loop that makes no step gives what it was given."""
    loop = Loop(node)
    if known_int(loop.n) != 0 or not _may_unfold(loop, 0):
        return None
    if not all(as_long(context.sizes(s)[0], loop.n) for s in loop.sequences.values()):
        return None
    found = []
    for r, output in zip(loop.results, node.outputs, strict=False):
        if isinstance(r, State):
            found.append(_last(loop, r, [r.first]))
            continue
        sizes = [size_variable(size) for size in context.sizes(output)]
        if output in set(graph_inputs(sizes, [output])):
            return None  # how large a row would be is known only to a step
        zero = as_variable(0, output.dtype)
        row = dimshuffle(zero, *["x"] * output.ndim)
        found.append(BroadcastTo(output.ndim)(row, *sizes))
    return found if loop.condition is None else [*found, as_variable(0, "int64")]


def _may_unfold(loop: Loop, steps: int) -> bool:
    """Whether it gives as many rows as it should, and the given ones are as many."""
    if loop.least > steps:
        return False
    if any(r.keep is not None and r.keep > r.depth + steps for r in loop.results):
        return False
    return all(s.first.type.shape[0] in (None, s.depth) for s in loop.states)


def _last(loop: Loop, r: State | Plain, parts: list[Variable]) -> Variable:
    """The rows of an output that are kept."""
    whole = parts[0] if len(parts) == 1 else Join(0)(*parts)
    if r.keep is None:
        return whole
    if r.keep == 1:
        last = parts[0 if loop.op.backwards else -1]
        row = index(last, 0 if loop.op.backwards else -1)
        return dimshuffle(row, "x", *range(row.ndim))
    return index(
        whole,
        slice(None, r.keep) if loop.op.backwards else slice(-r.keep, None),
    )


RULES = tagged("loops", loop_of_one_step, loop_of_no_step)
