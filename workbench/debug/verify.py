"""Mode DEBUG: every kernel of every call is checked against NumPy.

The very program that FAST_RUN would run is run one step at a time. Before each kernel its
inputs are copied out; NumPy computes the kernel's operations from those copies; what the
kernel stored must agree. So the first kernel that is wrong is named, not the last one that
suffered from it. At the end the results are compared with those of the graph as the user
wrote it: a difference there, with every kernel right, is a rewrite's fault. Where a stable
form was put in, what is written may overflow or cancel, and an element may instead agree
with what NumPy makes of the stable form. Where numbers cancel, an element may be off by what
rounding moves it (:mod:`workbench.debug.rounding`). Nothing is committed unless everything agrees.

A call costs several times a NumPy run; it is for finding faults of ours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from workbench.compile.callable import Function, backends
from workbench.compile.failures import explained
from workbench.compile.memory import reads_of
from workbench.compile.modes import Mode
from workbench.compile.pipeline import CProgram
from workbench.compile.record import Graph
from workbench.compile.rewrite import History, rewrite
from workbench.core.errors import Report, VerificationError, WorkbenchError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Apply, Shared, Variable
from workbench.core.op import Elementwise
from workbench.core.types import Array
from workbench.debug.rounding import spread

ULPS = 4
"""Allowed error of one elementwise operation, in units of the last place."""


class CheckedProgram:
    """A compiled program that is compared with NumPy while it runs."""

    def __init__(self, function: Function, program: CProgram) -> None:
        self.function = function
        self.program = program
        self.runner: Any = program.runner(
            function.conform, function.explain, function.is_single, kind="cffi"
        )
        cured = any(step.stage == "stability" for step in function.steps)
        before = function.compilation.before
        self.stable = stabilised(before, function.mode) if cured else before

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run with all checks; raises VerificationError at the first kernel that is wrong."""
        arrays = self.function.conform(args, kwargs)
        graph = self.function.compilation.before
        try:
            with np.errstate(all="ignore"):
                given = dict(zip(graph.inputs, arrays, strict=True))
                expected = evaluate(graph.results, given)
                stable = expected
                if self.stable is not graph:
                    stable = evaluate(self.stable.results, given)
        except (WorkbenchError, MemoryError) as error:
            raise explained(self.function, error, None, arrays, []) from None
        kept = {s: s.get_value() for s in self.program.inputs if isinstance(s, Shared)}
        try:
            results, new = self._run_checked(arrays)
            shown = [results] if self.function.is_single else list(results)
            have = [*shown, *(new[s] for s, _ in graph.updates)]
            self._check_results(expected, stable, have, given | kept)
        finally:
            # kernels that commit wrote into the arrays themselves
            for shared, value in kept.items():
                np.copyto(shared.storage[0], value)
        for shared, value in new.items():
            shared.set_value(value, borrow=True)
        return results

    def _run_checked(self, arrays: Sequence[Array]) -> tuple[Any, dict[Shared, Array]]:
        """Every kernel, checked: the visible results, and copies of all new values."""
        plan = self.program.plan
        with self.runner.session(*arrays) as session:
            session.run(0, 1)
            for number in range(len(plan.order)):
                self._check_kernel(session, number, arrays)
            new = {
                s: self.value(session, plan.outputs[k], arrays).copy()
                for s, k in plan.swaps
            }
            for shared, _ in self.program.graph.updates:
                if shared not in new:
                    new[shared] = shared.get_value()
            return session.finish(commit=False), new

    # --- one kernel

    def _check_kernel(
        self, session: Any, number: int, arguments: Sequence[Array]
    ) -> None:
        unit = self.program.plan.order[number]
        stored = (
            self.program.plan.storage.keys() - unit.scratch.keys() - set(unit.writes)
        )
        reads = reads_of(unit, self.program.schedule).keys() & stored
        values = {v: self.value(session, v, arguments).copy() for v in reads}
        session.run(number + 1, number + 2)
        if unit.unit.role == "host":
            return  # NumPy ran it
        for leaf, array in zip(self.program.graph.inputs, arguments, strict=True):
            values.setdefault(leaf, array)  # some are needed for their sizes only
        with np.errstate(all="ignore"):
            wanted = evaluate(unit.writes, values)
        have = [self.value(session, v, arguments) for v in unit.writes]
        for number_of, problem in problems(
            wanted,
            have,
            [tolerance(unit.nodes, want) for want in wanted],
            lambda: spread(unit.writes, values),
        ):
            self._complain(unit.writes[number_of], problem, number)

    def value(
        self, session: Any, variable: Variable, arguments: Sequence[Array]
    ) -> Array:
        """A stored value of the running call, as an array on its memory."""
        place = self.program.plan.storage[variable]
        if place.kind == "input":
            if place.number < len(arguments):
                return arguments[place.number]
            leaf = self.program.inputs[place.number]
            return leaf.storage[0] if isinstance(leaf, Shared) else leaf.data  # type: ignore[attr-defined]
        shape = tuple(
            self._size(session, s, arguments)
            for s in self.program.schedule.extents.of(variable)
        )
        dtype = np.dtype(variable.dtype)
        count = int(np.prod(shape)) * dtype.itemsize
        address = session.value(place.value)
        memory = (ctypes.c_char * count).from_address(address) if count else bytearray()
        return np.frombuffer(memoryview(memory), dtype).reshape(shape)

    def _size(self, session: Any, size: Any, arguments: Sequence[Array]) -> int:
        if isinstance(size, int):
            return size
        number = self.program.sizes.numbers.get(size)
        if number is not None:
            return int(session.size(number))
        # One that no kernel needs, as that of a result which the host made.
        leaves = dict(zip(self.program.graph.inputs, arguments, strict=True))
        return int(evaluate([size], leaves)[0])

    # --- comparing

    def _complain(self, variable: Variable, problem: str, number: int) -> None:
        unit = self.program.plan.order[number]
        place = variable.location
        report = Report(
            f"kernel k{number} computes {variable.label()} wrongly: {problem}.",
            place,
        )
        report.add("kernel", " + ".join(str(n.op) for n in unit.nodes))
        report.add("state", "no shared variable was changed")
        hint = "this is a fault of workbench; mode='FAST_COMPILE' avoids it."
        error = VerificationError(str(report.add("hint", hint)))
        error.node, error.line = variable.owner, place
        raise error

    def _check_results(
        self,
        plain: Sequence[Array],
        stable: Sequence[Array],
        have: Sequence[Array],
        given: Mapping[Variable, Array],
    ) -> None:
        graph = self.function.compilation.before
        nodes = graph.nodes()
        have = [np.asarray(b) for b in have]
        wanted = [
            a if a is s else nearer(a, s, b)
            for a, s, b in zip(plain, stable, have, strict=True)
        ]
        for number, problem in problems(
            wanted,
            have,
            [tolerance(nodes, want) for want in wanted],
            lambda: spread(graph.results, given),
        ):
            variable = graph.results[number]
            report = Report(
                f"a rewrite changed {variable.label()}: {problem}.", variable.location
            )
            rules = dict.fromkeys(
                s.rule for s in self.function.steps if s.rule != "merge"
            )
            report.add("rules", ", ".join(rules))
            report.add("state", "no shared variable was changed")
            hint = "mode='None' runs the graph as it was written."
            raise VerificationError(str(report.add("hint", hint)))


def stabilised(graph: Graph, mode: Mode) -> Graph:
    """A graph after the stages of a mode up to the one that puts stable forms in."""
    history = History()
    for stage, rules in mode.stages():
        graph, _ = rewrite(graph, rules, stage, history)
        if stage == "stability":
            break
    return graph


def nearer(a: Array, b: Array, have: Array) -> Array:
    """Of two arrays the elements that are nearer to a third one.

    Where the first is infinite or NaN the third is taken: a stable form is meant to differ.
    """
    if a.shape != b.shape or a.shape != have.shape:
        return a
    if a.dtype.kind not in "fc":  # A truth value, or one that wraps around.
        return np.where(b == have, b, a)
    with np.errstate(all="ignore"):
        closer = np.abs(b - have) < np.abs(a - have)
    near = np.where(closer, b, a)
    return np.where(np.isfinite(a), near, have).astype(a.dtype)


def tolerance(nodes: Sequence[Apply], like: Array) -> float:
    """The relative error that the operations together may have: ulps add up along the chain."""
    if like.dtype.kind not in "fc":
        return 0.0
    dtypes = {
        v.dtype for n in nodes for v in (*n.inputs, *n.outputs) if v.type.is_float
    }
    eps = max((float(np.finfo(d).eps) for d in dtypes), default=0.0)
    weight = sum(1 if isinstance(n.op, Elementwise) else 16 for n in nodes)
    return ULPS * eps * (1 + weight)


def problems(
    wanted: Sequence[Array],
    have: Sequence[Array],
    tolerances: Sequence[float],
    spread: Callable[[], Sequence[Array]],
) -> Iterator[tuple[int, str]]:
    """The arrays that differ, by number, and how.

    Where one does, and only then, `spread` tells how far each element may be off besides.
    """
    noise: Sequence[Array] | None = None
    for number, (a, b, relative) in enumerate(
        zip(wanted, have, tolerances, strict=True)
    ):
        if difference(a, b, relative):
            noise = spread() if noise is None else noise
            if problem := difference(a, b, relative, noise[number]):
                yield number, problem


def difference(
    want: Array, have: Array, relative: float, noise: Array | None = None
) -> str:
    """What differs between two arrays by more than a relative error and the noise, or nothing."""
    if want.dtype != have.dtype:
        return f"dtype {have.dtype} instead of {want.dtype}"
    if want.shape != have.shape:
        return f"shape {have.shape} instead of {want.shape}"
    if not want.size:
        return ""
    with np.errstate(all="ignore"):
        if relative:
            finite = np.abs(want[np.isfinite(want)])
            scale = float(finite.max()) if finite.size else 0.0
            same = np.isclose(
                have, want, rtol=relative, atol=relative * scale, equal_nan=True
            )
        else:
            same = have == want
        if want.dtype.kind == "c":
            # Which parts are infinite or NaN when a product overflows is open: NumPy's own
            # loops differ in it.
            same = same | ~(np.isfinite(want) | np.isfinite(have))
        if noise is not None:
            wide = np.complex128 if want.dtype.kind == "c" else np.float64
            apart = np.abs(have.astype(wide) - want.astype(wide))
            same = same | (apart <= noise) | np.isinf(noise)
    if same.all():
        return ""
    place = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{have[place]!r} instead of {want[place]!r} at {place}, {int((~same).sum())} of {want.size} elements"


def make(function: Function) -> Callable[..., Any] | None:
    """What a function in mode DEBUG calls."""
    program = function.compile_c()
    return None if program is None else CheckedProgram(function, program)


backends["debug"] = make
