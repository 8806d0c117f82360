"""A compiled function: what is called, what it keeps, and what can be made of it.

A call computes all outputs and all new values of shared variables first and puts the new
values in place together at the end, so an exception or an interrupt leaves every shared
variable as it was.

Read next: :mod:`workbench.compile.pipeline`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from workbench.compile import failures, problems
from workbench.compile.arguments import (
    Argument,
    find_container,
    fit_arguments,
)
from workbench.compile.background import Background
from workbench.compile.c.runner import prepare
from workbench.compile.c.toolchain import current_tools
from workbench.compile.jobs import Job
from workbench.compile.modes import Mode
from workbench.compile.numpy_program import NumpyProgram
from workbench.compile.pipeline import (
    CProgram,
    compile_c,
    make_c_program,
    optimise,
    or_warn,
    record,
    record_c,
)
from workbench.compile.progress import Watch
from workbench.compile.record import Compilation, Graph, Step
from workbench.compile.refusals import Refusal, refused
from workbench.compile.remembered import Memory, Remembered
from workbench.compile.rewrite import History
from workbench.compile.variants import Variant, Variants
from workbench.core import source
from workbench.core.collecting import paused_collector
from workbench.core.errors import ArgumentError
from workbench.core.graph import (
    Container,
    Shared,
    Variable,
    clone,
    graph_inputs,
)
from workbench.core.types import Array, TensorType

on_created: list[Callable[[Function], None]] = []
"""Called with every function made; the notebook magic listens here."""

backends: dict[str, Callable[[Function], Callable[..., Any] | None]] = {}
"""Further ways to run a function, by the back end of its mode: ``debug`` adds itself here."""


_turn = threading.RLock()
"""Held while the record of a function is worked out that was asked for later."""


def _take_turn_anew() -> None:
    """In a forked process: the thread that held the lock does not exist there."""
    global _turn
    _turn = threading.RLock()


os.register_at_fork(after_in_child=_take_turn_anew)


class Function:
    """A compiled function; call it with one value for each input, in order or by name.

    Attributes
    ----------
    name
        What it is called: as given, or the name it is assigned to.
    calls
        How many calls were begun; messages say which one failed.
    inputs
        The variables whose values a call takes.
    """

    def __init__(
        self,
        graph: Graph,
        arguments: Sequence[Argument],
        mode: Mode,
        name: str,
        form: str | tuple[str, ...],
        measured: bool = False,
        trusted: bool = False,
        in_background: bool = False,
    ) -> None:
        self.arguments = tuple(arguments)
        self.inputs = tuple(argument.variable for argument in arguments)
        self.mode = mode
        self.name = name
        self.calls = 0
        self.profile = CallProfile() if measured else None
        self._form = form
        self._trusted = trusted
        self._in_background = in_background
        self._background: Background | None = None
        self._variants: Variants | None = None
        self._subsets: dict[Any, Function] = {}
        self._graph = graph
        self._compilation: Compilation | None = None
        self._program: CProgram | None = None
        self._origin = source.origin_here()  # looked up once, not for each node
        if mode.backend == "c":
            prepare()
        self._memory: Memory | None = None
        self._remembered: Remembered | None = None
        if mode.backend not in backends:
            with paused_collector():
                self._memory = Memory.of(graph, mode)
                self._remembered = self._memory.find(name) if self._memory else None
        if self._remembered is not None:
            self._run = self._filtered(self._runner(self._remembered))
        else:
            with self._working():
                self._rewrite()
                self._run = self._make_run()
        for listener in list(on_created):
            listener(self)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While the graph is rewritten and compiled: what is made is made for this function."""
        made_here = source.made_for(self._origin)
        with paused_collector(), made_here, Watch(self.name) as self._progress:
            yield

    def _rewrite(self) -> None:
        start = time.perf_counter()
        self._progress("rewriting")
        history = History()
        after, steps = optimise(self._graph, self.mode, history)
        seconds = {"rewrite": time.perf_counter() - start}
        if history.notes:
            self._memory = None  # They are to be heard in every process.
        self._compilation = record(
            self.name, self.mode, self._graph, after, steps, seconds, history.notes
        )

    def _make_run(self) -> Callable[..., Any]:
        after = self.compilation.after
        maker = backends.get(self.mode.backend)
        run = maker(self) if maker is not None else None
        if run is None and self.mode.backend == "c":
            if self._in_background:
                return self._filtered(self._begin(NumpyProgram(self, after)))
            program = self.compile_c()
            run = self._runner(program) if program is not None else None
        return self._filtered(NumpyProgram(self, after) if run is None else run)

    @property
    def compilation(self) -> Compilation:
        """The record of every stage: graphs, rewrites, kernels, source, times.

        For a function whose program was found by its graph, it is worked out when it is
        asked for.
        """
        if self._remembered is not None:
            self._work_out()
        assert self._compilation is not None
        return self._compilation

    @property
    def program(self) -> CProgram | None:
        """The C program; None where NumPy runs the function."""
        if self._remembered is not None:
            self._work_out()
        return self._program

    def _work_out(self) -> None:
        """Make the record of a function whose program was remembered."""
        with _turn:
            was = self._remembered
            if was is None or self._compilation is not None:
                return  # Another thread was quicker, or this one is at it.
            try:
                with was.as_it_was(), self._working():
                    self._rewrite()
                    program = self._take(partial(self._compile_again, was))
            except BaseException:
                self._compilation = None
                raise
            if program is not None and program.module is not was.module:
                # What decides the text changed meanwhile. Either is right; one has a record.
                self._run = self._filtered(self._runner(program))
            self._remembered = None

    def _compile_again(self, was: Remembered) -> CProgram:
        program = make_c_program(
            self.compilation.after, self.mode.fuses, self.mode.in_place, self._progress
        )
        if program.text.code == was.code:
            program.module = was.module
        else:
            program.load(self.name, progress=self._progress)
        return program

    def _begin(self, numpy: NumpyProgram) -> Callable[..., Any]:
        """`numpy`, until a thread that is started has made the C program."""
        tools = or_warn(current_tools)
        if tools is None:
            self._compilation = problems.without_compiler(self.compilation)
            return numpy
        after, name, mode = self.compilation.after, self.name, self.mode
        job = Job(lambda stop: compile_c(after, name, mode, replace(tools, stop=stop)))
        self._background = Background(self, numpy, job)
        return self._background

    def adopt(
        self, made: Callable[[], CProgram | None], otherwise: NumpyProgram
    ) -> None:
        """Run on the program that was made from the next call on, or on what there is otherwise."""
        try:
            program = self._take(made)
            run = otherwise if program is None else self._runner(program)
        except Exception:
            self._run, self._background = self._filtered(otherwise), None
            raise
        self._run, self._background = self._filtered(run), None

    @property
    def ready(self) -> bool:
        """Whether it is run as its mode says, and not by NumPy only until C is compiled."""
        background = self._background
        return background is None or background.settle()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for what is compiled in the background, at most so long; whether it is `ready`."""
        background = self._background
        if background is not None:
            background.job.wait(seconds)
        return self.ready

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The call itself: arrays in, one array or a list of them out."""
        return self._run(*args, **kwargs)

    def _filtered(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """`run` behind the checks that types of a user's own have: no compiled program knows them."""
        self._unfiltered = run
        if self._trusted or all(type(v.type) is TensorType for v in self.inputs):
            return run
        return lambda *args, **kwargs: run(*self.conform(args, kwargs))

    def _runner(self, program: CProgram | Remembered) -> Callable[..., Any]:
        self._variants = Variants(self)
        return program.runner(
            self.conform,
            self.explain,
            self.is_single,
            on_strided=self._variants,
            complete=partial(failures.completed, self),
        )

    def compile_c(self) -> CProgram | None:
        """Compile the optimised graph to a loaded C program; None, after a warning, when that cannot be."""
        return self._take(
            lambda: compile_c(
                self.compilation.after, self.name, self.mode, progress=self._progress
            )
        )

    def _take(self, made: Callable[[], CProgram | None]) -> CProgram | None:
        program = self._program = or_warn(made)
        if program is None:
            self._compilation = problems.without_compiler(self.compilation)
        else:
            self._compilation = record_c(self.compilation, program)
            if self._memory is not None:
                self._memory.keep(program)
        return program

    @property
    def is_single(self) -> bool:
        """Whether a call returns one array, not a collection."""
        return self._form == "one"

    def __call__(
        self, *args: Any, output_subset: Sequence[Any] | None = None, **kwargs: Any
    ) -> Any:
        """The outputs for these inputs, in the form they were asked for; updates are applied.

        With `output_subset`, numbers or names of outputs, only those are computed and
        returned; all updates are still applied.
        """
        self.calls += 1
        if output_subset is not None:
            return self._subset(tuple(output_subset))(*args, **kwargs)
        if self.profile is not None:
            with self.profile:
                result = self._run(*args, **kwargs)
        else:
            result = self._run(*args, **kwargs)
        form = self._form
        if form == "one" or form == "list":
            return result
        return None if form == "none" else dict(zip(form, result, strict=True))

    @property
    def trust_input(self) -> bool:
        """True: a caller promises arrays of exactly the inputs' types, and checks are left out.

        The NumPy back end then takes arrays as they are, and types of your own do not see them.
        A compiled program looks at dtype and sizes nevertheless: that takes nanoseconds, and
        without it a wrong array could end the process.
        """
        return self._trusted

    @trust_input.setter
    def trust_input(self, trusted: bool) -> None:
        self._trusted = bool(trusted)
        self._run = self._filtered(self._unfiltered)
        for subset in self._subsets.values():
            subset.trust_input = trusted

    # --- values it keeps, and other functions made of it ----------------------------------

    def __getitem__(self, key: str | Variable) -> Array:
        """A copy of a value the function keeps: a default or a shared variable, by name or variable."""
        return self.container(key).value.copy()

    def __setitem__(self, key: str | Variable, value: Any) -> None:
        is_array = isinstance(value, np.ndarray)
        self.container(key).value = value.copy() if is_array else value

    def container(self, key: str | Variable) -> Container:
        """Where a default or a shared variable keeps its value."""
        return find_container(key, self.arguments, self.get_shared())

    def get_shared(self) -> list[Shared]:
        """The shared variables that a call reads or updates."""
        graph = self._graph
        states = [a.state for a in self.arguments]
        leaves = [*graph_inputs(graph.results), *(s for s, _ in graph.updates)]
        found = dict.fromkeys(v for v in leaves if isinstance(v, Shared))
        return [v for v in found if v not in states]

    def _subset(self, keys: tuple[Any, ...]) -> Function:
        if keys not in self._subsets:
            self._subsets[keys] = self._make_subset(keys)
        return self._subsets[keys]

    def _make_subset(self, keys: tuple[Any, ...]) -> Function:
        outputs = self._graph.outputs
        names = self._form if isinstance(self._form, tuple) else range(len(outputs))
        known = dict(zip(names, outputs, strict=True))
        for key in keys:
            if key not in known:
                listed = ", ".join(map(repr, known))
                raise ArgumentError(
                    f"{self.name} has no output {key!r}; output_subset takes some of {listed}."
                )
        form: Any = keys if isinstance(self._form, tuple) else "list"
        before = self._graph
        graph = Graph(before.inputs, tuple(known[k] for k in keys), before.updates)
        return Function(
            graph,
            self.arguments,
            self.mode,
            self.name,
            form,
            trusted=self._trusted,
            in_background=self._in_background,
        )

    def copy(
        self,
        share_memory: bool = False,
        swap: Mapping[Shared, Shared] | None = None,
        delete_updates: bool = False,
        name: str | None = None,
        profile: bool | None = None,
    ) -> Function:
        """Another function that computes the same.

        Parameters
        ----------
        share_memory
            Accepted for the tradition's sake; two functions never share scratch memory.
        swap
            From shared variables to those that the copy uses in their place.
        delete_updates
            Leave out the updates of shared variables; states of inputs stay.
        name
            Of the copy; by default that of this function.
        profile
            Whether the copy counts and times its calls; by default as this function.

        Raises
        ------
        UpdateTypeError
            Two shared variables that are swapped differ in type.
        """
        replace: dict[Any, Any] = dict(swap or {})
        problems.check_swap(replace, self.get_shared())
        arguments = [argument.copy() for argument in self.arguments]
        before = self._graph
        for old, new in zip(self.arguments, arguments, strict=True):
            if old.state is not None and new.state is not None:
                replace[old.state] = new.state
        states = [a.state for a in arguments]
        results = clone(before.results, replace)
        n = len(before.outputs)
        updates = [
            (replace.get(shared, shared), new)
            for (shared, _), new in zip(before.updates, results[n:], strict=True)
        ]
        kept = [(s, new) for s, new in updates if not delete_updates or s in states]
        graph = Graph(before.inputs, tuple(results[:n]), tuple(kept))
        measured = self.profile is not None if profile is None else profile
        return Function(
            graph,
            arguments,
            self.mode,
            name or self.name,
            self._form,
            measured,
            self._trusted,
            self._in_background,
        )

    def free(self) -> None:
        """Give back the memory that calls reuse; the next call takes it again."""
        self._subsets.clear()
        program = self._remembered or self._program
        if program is not None and self.mode.backend == "c":
            self._run = self._filtered(self._runner(program))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its graph, its inputs with their values, and its mode; compiled anew when loaded."""
        return _restore, (
            self._graph,
            self.arguments,
            self.mode,
            self.name,
            self._form,
            self.profile is not None,
            self._trusted,
            self._in_background,
        )

    @property
    def maker(self) -> Maker:
        """The optimised graph and the mode, under the names of the tradition."""
        return Maker(self)

    @property
    def input_storage(self) -> list[Container]:
        """For every input the container of its default; empty where it has none."""
        return [Container(a.variable, a.default or []) for a in self.arguments]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The layouts in which large arguments came that were not contiguous, and what became of each.

        Such an argument is copied at first; from then on a program of its own reads it where
        it is, if that is there. See :mod:`workbench.compile.variants`.
        """
        return tuple(self._variants or ())

    @property
    def source(self) -> str:
        """The generated C; empty when NumPy runs the function."""
        return self.compilation.source.text if self.compilation.source else ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every rewrite, in order."""
        return self.compilation.steps

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The rules that looked at an operation of the optimised graph and did nothing, and why."""
        return refused(self)

    @property
    def updates(self) -> tuple[tuple[Shared, Variable], ...]:
        """Shared variables and the expressions of their next values."""
        return self._graph.updates

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """The expressions a call returns the values of."""
        return self._graph.outputs

    def __repr__(self) -> str:
        return f"<Function {self.compilation.summary()}>"

    # --- arguments and failures ----------------------------------------------------------

    def conform(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Array, ...]:
        """Arguments as arrays of exactly the inputs' types.

        Raises
        ------
        ArgumentError
            Too few, too many or unknown ones.
        DTypeError, ShapeError
            One does not fit; nothing is ever rounded silently.
        """
        return fit_arguments(self, self.arguments, args, kwargs)

    def admit(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Sequence[Array]:
        """As :meth:`conform`, but what is trusted is taken as it is."""
        is_plain = self._trusted and not kwargs and len(args) == len(self.arguments)
        if is_plain and all(isinstance(value, np.ndarray) for value in args):
            return args
        return self.conform(args, kwargs)

    def explain(
        self, failure: tuple[int, int, int, int, int], args: Sequence[Array]
    ) -> None:
        """Raise the error for a failure of the compiled program, with the user's line."""
        was = self._remembered
        program = self.program
        if was and program and was.module is not program.module:
            # The number of the operation is that of the other program.
            failure = (failure[0], -1, *failure[2:])
        failures.explain(self, failure, args)


class CallProfile:
    """How often a function was called, and for how long: what ``profile=True`` keeps.

    Attributes
    ----------
    fct_callcount
        Calls that were begun.
    fct_call_time
        Their time, in seconds.
    """

    def __init__(self) -> None:
        self.fct_callcount = 0
        self.fct_call_time = 0.0
        self._start = 0.0

    def __enter__(self) -> None:
        self.fct_callcount += 1
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.fct_call_time += time.perf_counter() - self._start

    def __repr__(self) -> str:
        return f"<{self.fct_callcount} calls in {self.fct_call_time:.3g} s>"


class Maker:
    """What a function was made of: ``f.maker.fgraph`` is the optimised graph."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.fgraph = function.compilation.after
        self.mode = function.mode
        self.inputs = function.inputs
        self.outputs = function.outputs


def _restore(
    graph: Graph,
    arguments: Sequence[Argument],
    mode: Mode,
    name: str,
    form: str | tuple[str, ...],
    measured: bool,
    trusted: bool = False,
    in_background: bool = False,
) -> Function:
    return Function(
        graph, arguments, mode, name, form, measured, trusted, in_background
    )
