"""A rewritten graph planned as a program: its kernels, loops, sizes and memory.

The graph inside an operation (what a loop runs at every step) is planned as a program of its
own, which lies inside the program of the operation: with its own sizes and values, and a share
of the scratch memory. It can be when it needs nothing of the host, and when all its sizes follow
from those of its inputs.

Read next: :mod:`workbench.compile.c.emit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from workbench.compile.branches import with_branches
from workbench.compile.choices import with_fitted_choices
from workbench.compile.elements import SizeTable
from workbench.compile.layouts import Layout, with_layouts
from workbench.compile.lower import Lowered, lower
from workbench.compile.memory import Plan, plan_memory
from workbench.compile.record import Graph
from workbench.compile.rewrite import rewrite, uniform_value
from workbench.compile.rules import LOWERING
from workbench.compile.schedule import Schedule
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    graph_inputs,
    rebuild,
)
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import sizes_of
from workbench.core.source import made_for

HasKernel = Callable[[Apply], bool]


@dataclass(eq=False)
class Planned:
    """What is decided about a program before its text is written.

    Attributes
    ----------
    inputs
        Arguments, then shared variables, then constants that lie in memory.
    """

    inputs: list[Variable]
    schedule: Schedule
    sizes: SizeTable
    lowered: list[Lowered]
    plan: Plan

    @property
    def graph(self) -> Graph:
        """What is computed, composites expanded and copies put in."""
        return self.schedule.graph


def plan_program(
    graph: Graph,
    has_kernel: HasKernel,
    fuse: bool = True,
    in_place: bool = True,
    layouts: Sequence[Layout | None] = (),
) -> Planned:
    """Schedule and lower a rewritten graph, and decide where its values lie.

    Parameters
    ----------
    has_kernel
        Whether the back end brings a kernel for an opaque operation.
    fuse
        Whether operations share loops.
    in_place
        Whether results take over memory, of shared variables too.
    layouts
        For each argument how it lies in memory, None for a contiguous one; none: all are.
    """
    return _planned(with_fitted_choices(graph), has_kernel, fuse, in_place, layouts)


def _planned(
    graph: Graph,
    has_kernel: HasKernel,
    fuse: bool,
    in_place: bool,
    layouts: Sequence[Layout | None] = (),
) -> Planned:
    graph = _with_arrays_outside(with_branches(graph, has_kernel))
    expanded, _ = rewrite(graph, LOWERING, "lower")
    strided: dict[Variable, int] = {}
    if layouts:
        expanded, strided = with_layouts(expanded, layouts)
    nested: dict[object, Planned | None] = {}

    def nest(node: Apply) -> Planned | None:
        if not isinstance(node.op, Scan):
            return None
        if node.op not in nested:
            nested[node.op] = _plan_body(node, has_kernel, fuse, in_place)
        return nested[node.op]

    schedule = Schedule(expanded, has_kernel, fuse, nest, strided)
    inputs = _memory_inputs(schedule)
    sizes = SizeTable(schedule)
    lowered = lower(schedule, sizes, inputs)
    plan = plan_memory(schedule.graph, schedule, lowered, sizes, inputs, in_place)
    return Planned(inputs, schedule, sizes, lowered, plan)


def _plan_body(
    node: Apply, has_kernel: HasKernel, fuse: bool, in_place: bool
) -> Planned | None:
    """The program of a loop's step; None if the host must run the loop."""
    op = node.op
    assert isinstance(op, Scan)
    shapes = [sizes_of(v) for v in node.inputs]
    if any(None in sizes for sizes in op.step_sizes(node, shapes)[: len(op.keep)]):
        return None
    graph = Graph(tuple(op.body.inputs), tuple(op.body.outputs))
    graph = with_branches(graph, has_kernel, inside=True)
    planned = _planned(graph, has_kernel, fuse, in_place)
    if any(unit.role == "host" for unit in planned.schedule.units):
        return None
    return None if _has_late_sizes(planned) else planned


def _has_late_sizes(planned: Planned) -> bool:
    """Whether sizes are settled only when some kernels have run."""
    sizes, plan, schedule = planned.sizes, planned.plan, planned.schedule
    return (
        sizes.are_late(tuple(sizes.numbers))
        or any(sizes.are_late((c.a, c.b)) for c in schedule.extents.checks)
        or any(
            sizes.are_late(plan.bytes_of(v, schedule)[0])
            for unit in planned.lowered
            for v in (*unit.writes, *unit.scratch)
        )
    )


def _memory_inputs(schedule: Schedule) -> list[Variable]:
    """Arguments, then shared variables, then constants that are no single number."""
    graph = schedule.graph
    leaves = graph_inputs(graph.results, graph.inputs)
    shared: list[Variable] = [v for v in leaves if isinstance(v, Shared)]
    shared += [s for s, _ in graph.updates if s not in shared]
    constants = [
        v for v in leaves if isinstance(v, Constant) and uniform_value(v) is None
    ]
    return [*graph.inputs, *shared, *constants]


def _with_arrays_outside(graph: Graph) -> Graph:
    """The graph with the arrays that a loop's step holds made inputs of the loop.

    Only the outermost program has memory for constants.
    """
    made: dict[Variable, Variable] = {}
    for node in graph.nodes():
        inputs = [made.get(v, v) for v in node.inputs]
        op = node.op
        arrays: list[Constant] = []
        if isinstance(op, Scan):
            inner = _with_arrays_outside(
                Graph(tuple(op.body.inputs), tuple(op.body.outputs))
            )
            arrays = [
                v
                for v in graph_inputs(inner.outputs, inner.inputs)
                if isinstance(v, Constant) and uniform_value(v) is None
            ]
            if arrays:
                body = Body([*inner.inputs, *arrays], inner.outputs)
                with made_for(node.origin):
                    again = replace(op, body=body).make_node(*inputs, *arrays)
                made.update(zip(node.outputs, again.outputs, strict=True))
                continue
        if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
            again = rebuild(node, inputs, keep_types=True)
            made.update(zip(node.outputs, again.outputs, strict=True))
    if not made:
        return graph
    return graph.with_results([made.get(v, v) for v in graph.results])
