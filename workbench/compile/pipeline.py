"""The stages in order: from a graph to something that runs, and the record of it all."""

from __future__ import annotations

import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from workbench.compile.c import emit as c_emit
from workbench.compile.c.blas import find_blas
from workbench.compile.c.kernels import KERNELS, WORKERS, has_kernel
from workbench.compile.c.modules import build_program
from workbench.compile.c.runner import Runner
from workbench.compile.c.toolchain import Module, Tools, warn_once
from workbench.compile.elements import SizeTable
from workbench.compile.interface import Interface
from workbench.compile.layouts import Layout
from workbench.compile.lower import Lowered
from workbench.compile.memory import Plan, reads_of
from workbench.compile.modes import Mode
from workbench.compile.planning import plan_program
from workbench.compile.progress import Progress, unseen
from workbench.compile.record import (
    Compilation,
    Graph,
    Kernel,
    Known,
    Source,
    Step,
)
from workbench.compile.rewrite import (
    History,
    RewriteWarning,
    rewrite,
)
from workbench.compile.schedule import Schedule
from workbench.compile.taken import When
from workbench.core.errors import CompileError, WorkbenchError
from workbench.core.evaluate import run_node
from workbench.core.graph import Apply, Variable
from workbench.core.source import stacklevel

T = TypeVar("T")


def optimise(
    graph: Graph, mode: Mode, history: History | None = None
) -> tuple[Graph, list[Step]]:
    """Run the rewrite stages of a mode; what happened on the way is added to `history`."""
    history = History() if history is None else history
    for stage, rules in mode.stages():
        graph, _ = rewrite(graph, rules, stage, history)
    for note in history.notes:
        warnings.warn(f"{note}.", RewriteWarning, stacklevel=stacklevel())
    return graph, history.steps


@dataclass
class CProgram:
    """A graph as a C program: its parts, and how to call it.

    Attributes
    ----------
    graph
        What the program computes, composites expanded and copies put in.
    inputs
        Arguments, then shared variables, then constants that lie in memory.
    """

    graph: Graph
    inputs: list[Variable]
    schedule: Schedule
    plan: Plan
    sizes: SizeTable
    text: c_emit.Program
    seconds: dict[str, float] = field(default_factory=dict)
    module: Module | None = None

    def load(
        self,
        name: str,
        tools: Tools | None = None,
        progress: Progress = unseen,
    ) -> None:
        """Compile the text, or find it compiled, and load it.

        Raises
        ------
        CompileError
            There is no compiler, or it failed.
        """
        self.module = build_program(
            self.text, name, tools, partial(progress, "compiling")
        )
        blas = find_blas()
        if blas is not None:
            blas.bind(self.module)

    def runner(
        self,
        on_mismatch: Callable[..., Any],
        on_failure: Callable[..., Any],
        single: bool,
        kind: Any = None,
        on_strided: Callable[..., Any] | None = None,
        complete: Callable[[WorkbenchError], WorkbenchError] = lambda error: error,
    ) -> Runner:
        """A callable of arrays around the loaded module.

        `on_strided` is called with the arguments when a large one is not contiguous.
        `complete` says in the error of an operation that NumPy ran what is known of the call.
        """
        assert self.module is not None
        hosted = self.text.hosted
        return self.interface.runner(
            self.module,
            self.graph.inputs,
            self.inputs[len(self.graph.inputs) :],
            single=single,
            host=partial(self._host, complete) if hosted else None,
            host_signature={
                step: (
                    [(v.dtype, v.ndim) for v in node.inputs],
                    [(v.dtype, v.ndim) for v in node.outputs],
                )
                for step, node in hosted.items()
            },
            on_mismatch=on_mismatch,
            on_failure=on_failure,
            kind=kind,
            on_strided=on_strided,
        )

    @property
    def interface(self) -> Interface:
        """How it is called, in numbers and types."""
        plan, arguments = self.plan, self.graph.inputs
        leaves = self.inputs[len(arguments) :]
        numbers = {variable: number for number, variable in enumerate(leaves)}
        swapped = {shared for shared, _ in plan.swaps}
        return Interface(
            arguments=tuple((v.dtype, v.type.shape) for v in arguments),
            leaves=tuple((v.dtype, v.type.shape) for v in leaves),
            outputs=tuple((v.dtype, v.ndim) for v in plan.outputs),
            updates=tuple((numbers[shared], output) for shared, output in plan.swaps),
            in_place=tuple(
                numbers[shared]
                for shared, _ in self.graph.updates
                if shared not in swapped
            ),
            first_commit=len(plan.order) + 1 - plan.commits,
            n_visible=len(self.graph.outputs),
            n_slots=plan.slots,
            n_values=len(plan.values),
            n_sizes=len(self.sizes.numbers),
            n_steps=len(plan.order) + 1,
            strided=tuple(self.schedule.strided.get(v, 0) for v in arguments),
        )

    def _host(
        self,
        complete: Callable[[WorkbenchError], WorkbenchError],
        step: int,
        inputs: Sequence[Any],
    ) -> list[Any]:
        try:
            return run_node(self.text.hosted[step], inputs)
        except WorkbenchError as error:
            raise complete(error).with_traceback(None) from None


def make_c_program(
    graph: Graph,
    fuse: bool = True,
    in_place: bool = True,
    progress: Progress = unseen,
    layouts: Sequence[Layout | None] = (),
) -> CProgram:
    """Schedule, lower and emit a rewritten graph.

    Parameters
    ----------
    fuse
        Whether operations share loops.
    in_place
        Whether results take over memory, of shared variables too.
    layouts
        For each argument how it lies in memory, None for a contiguous one; none: all are.
    """
    start = time.perf_counter()
    progress("scheduling")
    planned = plan_program(graph, has_kernel, fuse, in_place, layouts)
    scheduled = time.perf_counter()
    progress("writing C")
    blas = find_blas()
    text = c_emit.emit(planned, blas.integer_bits if blas else 32)
    emitted = time.perf_counter()
    program = CProgram(
        planned.graph,
        planned.inputs,
        planned.schedule,
        planned.plan,
        planned.sizes,
        text,
    )
    program.seconds = {"schedule": scheduled - start, "emit": emitted - scheduled}
    return program


def kernels_of(program: CProgram, known: Known) -> tuple[Kernel, ...]:
    """The program's steps for the record, in terms of the optimised graph."""
    plan = program.plan
    first_commit = len(plan.order) - plan.commits
    shared_of = {new: shared for shared, new in program.graph.updates}
    made = []
    for number, unit in enumerate(plan.order):
        over = {v: plan.in_place[v] for v in unit.writes if v in plan.in_place}
        if number >= first_commit:
            over |= {v: shared_of[v] for v in unit.writes}
        reads = sorted(
            (v for v in reads_of(unit, program.schedule) if v not in unit.writes),
            key=lambda v: v.label(),
        )
        made.append(
            Kernel(
                number,
                _kind(unit),
                tuple(known.nodes(_done_by(unit))),
                tuple(known.values(reads)),
                tuple(known.values(unit.writes)),
                {known.value(v, v): known.value(r, r) for v, r in over.items()},
                number >= first_commit,
                program.text.spans[number],
            )
        )
    return tuple(made)


def _done_by(unit: Lowered) -> list[Apply]:
    """The operations of a unit; what a branch does is part of the graph around it."""
    held = [
        part
        for node in unit.nodes
        if isinstance(node.op, When)
        for part in node.op.body.order
    ]
    return [*held, *unit.nodes]


def _kind(unit: Lowered) -> str:
    if unit.unit.role == "nested":
        return "branch" if isinstance(unit.unit.nodes[0].op, When) else "loop"
    if unit.unit.role == "library":
        op = type(unit.unit.nodes[0].op)
        return "blas" if op in KERNELS or op in WORKERS else "own"
    return "host" if unit.unit.role == "host" else "loops"


def lines_of(program: CProgram, known: Known) -> dict[Apply, int]:
    """The line where each node is computed: its own first, the last of a composite's parts.

    Lines outside the kernels, where sizes are checked, count for what has no other; so do
    those that only start a branch.
    """
    within: dict[Apply, int] = {}
    outside: dict[Apply, int] = {}
    started: dict[Apply, int] = {}
    spans = sorted(span for span in program.text.spans if span != (0, 0))
    starts = [first for first, _ in spans]
    for number, line in enumerate(program.text.lines, 1):
        at = bisect_right(starts, number) - 1
        lines = within if at >= 0 and number <= spans[at][1] else outside
        for part in line.nodes:
            node = known.node(part) or part
            if isinstance(part.op, When):
                started.setdefault(node, number)
            elif node.op == part.op:
                lines.setdefault(node, number)
            else:
                lines[node] = number
    return started | outside | within


def record(
    name: str,
    mode: Mode,
    before: Graph,
    after: Graph,
    steps: Sequence[Step],
    seconds: dict[str, float],
    notes: Sequence[str] = (),
) -> Compilation:
    """The record of a function that NumPy runs; :func:`record_c` adds the C program."""
    done = tuple(steps)
    return Compilation(
        name, mode.name, before, after, done, seconds=seconds, notes=tuple(notes)
    )


def record_c(compilation: Compilation, program: CProgram) -> Compilation:
    """The record with its kernels, source and compiler command."""
    assert program.module is not None
    known = Known(compilation.after)
    return replace(
        compilation,
        kernels=kernels_of(program, known),
        source=Source(program.text.text, lines_of(program, known)),
        backend="c",
        seconds={
            **compilation.seconds,
            **program.seconds,
            "compile": program.module.seconds,
        },
        command=tuple(program.module.command),
        cached=program.module.hit,
        compiled=program.module.compiled,
    )


def compile_c(
    graph: Graph,
    name: str,
    mode: Mode,
    tools: Tools | None = None,
    progress: Progress = unseen,
) -> CProgram:
    """A loaded C program of a rewritten graph.

    Raises
    ------
    CompileError
        There is no compiler, or it failed.
    """
    program = make_c_program(graph, mode.fuses, mode.in_place, progress)
    program.load(name, tools, progress)
    return program


def or_warn(make: Callable[[], T | None]) -> T | None:
    """What `make` makes, or None after one warning when there is no working compiler."""
    try:
        return make()
    except CompileError as error:
        warn_once(
            f"{error}\nFunctions run on NumPy instead, which is slower but equal.",
            kind=type(error).__name__,
        )
        return None
