"""Large arguments that are not contiguous: a program of its own for each layout, and no copy.

A function's program takes contiguous arguments, and copies of others: for small arrays that
costs nothing worth mentioning. A large one (`layouts.WORTH`: 1 MiB) that comes a second time in
the same layout gets a *variant*, the same graph as a program that reads such arrays where they
are (`layouts`). It is made in the background, and until it is there, or where it would read
memory against the grain, the copy is made: so a call never waits, but for an array so large
that a copy is a greater surprise. Results agree as those of two modes do: sums may be gathered
in another order. With ``config.strided = "now"`` every such call is run by its variant, for
which the first one waits; with ``"copy"`` none is.

Read next: :mod:`workbench.compile.background`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.compile import failures, layouts
from workbench.compile.c.kernels import KERNELS
from workbench.compile.c.toolchain import Tools, current_tools
from workbench.compile.jobs import Job
from workbench.compile.layouts import Layout, inverse, layout_of
from workbench.compile.loops import Index
from workbench.compile.pipeline import CProgram, make_c_program
from workbench.compile.schedule import Schedule
from workbench.compile.tracing import Read, Tracer
from workbench.config import config
from workbench.core.errors import CompileError
from workbench.core.types import Array

if TYPE_CHECKING:
    from workbench.compile.callable import Function

MOST = 4
"""Variants of one function; arguments in further layouts are copied."""

WAIT = 1 << 28
"""From so many bytes on a call waits for its variant, rather than take as many for a copy."""

Layouts = tuple[Layout | None, ...]


class Variants:
    """The variants of a function; called with arguments that its program would copy."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._made: dict[Layouts, Variant] = {}

    def __call__(self, arguments: Sequence[Array]) -> Any:
        """The results of a call, or NotImplemented: the arguments are to be copied."""
        found = tuple(map(_layout, arguments))
        if not any(found) or config.strided == "copy":
            return NotImplemented
        variant = self._made.get(found)
        if variant is None:
            if len(self._made) >= MOST:
                return NotImplemented
            variant = self._made[found] = Variant(self, found)
        return variant(arguments)

    def __iter__(self) -> Iterator[Variant]:
        return iter(tuple(self._made.values()))


def _layout(array: Array) -> Layout | None:
    """The layout of a large argument that is not contiguous; None for any other."""
    if array.nbytes < layouts.WORTH or (
        array.flags.c_contiguous and array.flags.aligned
    ):
        return None
    return layout_of(array)


class Variant:
    """A function's program for arguments in certain layouts, once it is there.

    Attributes
    ----------
    layouts
        For each argument its layout, None for a contiguous one.
    state
        ``"copied"`` while the arguments are copied, ``"compiling"`` while they are and the
        program is made, ``"ready"`` when it is there, ``"refused"`` when there is none.
    reason
        Why there is none.
    """

    def __init__(self, variants: Variants, layouts: Layouts) -> None:
        self._of = variants
        self.layouts = layouts
        self.state, self.reason = "copied", ""
        self._is_known = False  # whether a call has come before
        self._job: Job[CProgram | str] | None = None
        self._runner: Callable[..., Any] | None = None

    def __call__(self, arguments: Sequence[Array]) -> Any:
        """The results of a call, or NotImplemented: the arguments are to be copied."""
        if self.state == "copied":
            large = sum(
                a.nbytes
                for a, layout in zip(arguments, self.layouts, strict=True)
                if layout is not None
            )
            if large >= WAIT or config.strided == "now":
                self.wait()
            elif self._is_known:
                self._begin()
            self._is_known = True
        if self.state == "compiling":
            self._settle()
        if self._runner is None:
            return NotImplemented
        return self._runner(
            *(
                a if layout is None else a.transpose(layout.axes)
                for a, layout in zip(arguments, self.layouts, strict=True)
            )
        )

    def wait(self, seconds: float | None = None) -> bool:
        """Have it made, and wait at most so long; whether it is ready."""
        if self.state == "copied":
            self._begin()
        job = self._job
        if job is not None:
            job.wait(seconds)
            self._settle()
        return self.state == "ready"

    def __repr__(self) -> str:
        names = [
            v.name or f"argument {k}" for k, v in enumerate(self._of.function.inputs)
        ]
        told = "; ".join(
            f"{name}: {layout}"
            for name, layout in zip(names, self.layouts, strict=True)
            if layout is not None
        )
        return f"<Variant for {told}: {self.reason or self.state}>"

    # --- made in the background

    def _begin(self) -> None:
        # A record that is not there yet is worked out here: that sets flags for a moment.
        plain = self._of.function.program
        assert plain is not None
        try:
            tools = current_tools()
        except CompileError as error:
            self.state, self.reason = "refused", f"copied, as {error}"
            return
        self._job = Job(lambda stop: self._make(plain, replace(tools, stop=stop)))
        self.state = "compiling"

    def _make(self, plain: CProgram, tools: Tools) -> CProgram | str:
        """The program; in words, why there is none."""
        function = self._of.function
        mode = function.mode
        program = make_c_program(
            function.compilation.after, mode.fuses, mode.in_place, layouts=self.layouts
        )
        if against_grain(program.schedule) > against_grain(plain.schedule):
            return "copied, as loops would read it against the grain"
        program.load(function.name, tools)
        return program

    def _settle(self) -> None:
        """Take over what was made, if that has ended."""
        job = self._job
        if job is None or not job.is_done or self.state != "compiling":
            return
        try:
            made = job.result()
        except Exception as error:  # the copy is as right: no call fails for a variant
            made = f"copied, as {type(error).__name__}: {error}"
        if not isinstance(made, CProgram):
            self.state, self.reason = "refused", made or "copied: it was called off"
            self._job = None
            return
        function = self._of.function
        self._runner = made.runner(
            lambda args, kwargs: args,
            partial(self._explain, made),
            function.is_single,
            complete=partial(failures.completed, function),
        )
        self.state, self._job = "ready", None

    def _explain(
        self,
        program: CProgram,
        failure: tuple[int, int, int, int, int],
        arguments: Sequence[Array],
    ) -> None:
        """Raise the error for a failure of the program, as if the arguments had been copied."""
        given = [
            a if layout is None else a.transpose(inverse(layout.axes))
            for a, layout in zip(arguments, self.layouts, strict=True)
        ]
        failures.explain(self._of.function, failure, given, program)


# --- is it worth it? -----------------------------------------------------------------------


def against_grain(schedule: Schedule) -> int:
    """How many reads go through memory with another axis innermost than the last one.

    Matrix products read rows or columns, so there either of two axes may be the last.
    """
    count = 0
    for node in schedule.nodes:
        role = schedule.role(node)
        if role == "loops":
            reads, rank = schedule.reads(node), len(schedule.domain(node))
            count += sum(_crosses(read, rank) for read in reads)
        elif role in ("assembly", "library"):
            bad = _has_gap if type(node.op) in KERNELS else _crosses
            for variable in node.inputs:
                tracer = Tracer(schedule, schedule.extents.of(variable))
                tracer.trace(variable, _loops(variable.ndim))
                count += sum(bad(read, variable.ndim) for read in tracer.found)
    return count


def _loops(rank: int) -> list[Index]:
    return [Index(f"i{k}", frozenset({f"i{k}"})) for k in range(rank)]


def _crosses(read: Read, rank: int) -> bool:
    """Whether the innermost loop walks an axis of what is read that is not its last."""
    walked = _walked(read)
    inner = f"i{rank - 1}"
    return any(inner in loops for loops in walked[:-1]) and inner not in walked[-1]


def _has_gap(read: Read, rank: int) -> bool:
    """Whether neither rows nor columns of what is read are contiguous."""
    walked = _walked(read)
    inner = {f"i{rank - 1}", f"i{rank - 2}"}
    return bool(walked) and not inner & walked[-1]


def _walked(read: Read) -> list[frozenset[str]]:
    """For each axis of what is read, but for those of one element, the loops that walk it."""
    one = read.variable.broadcastable
    return [i.loops for i, is_one in zip(read.index, one, strict=False) if not is_one]
