"""``function``: from expressions to something that is called with arrays.

Everything is checked before it is compiled, with messages that name the user's line: inputs
that are missing, unused or twice there, updates of another type. A call computes all
outputs and all new values of shared variables first and puts the new values in place
together at the end, so an exception or an interrupt leaves every shared variable as it was.

Read next: :mod:`workbench.compile.pipeline`.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from typing import Any

from workbench.compile import failures, problems
from workbench.compile.modes import Mode, get_mode
from workbench.compile.pipeline import CProgram, optimise, record, record_c, try_c
from workbench.compile.record import Graph, Step
from workbench.config import config
from workbench.core import source
from workbench.core.errors import WorkbenchError
from workbench.core.evaluate import run_node
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    as_variable,
    clone,
    graph_inputs,
)
from workbench.core.types import Array

Outputs = Variable | Sequence[Any] | Mapping[str, Any] | None
Updates = Sequence[tuple[Shared, Any]] | Mapping[Shared, Any] | None

on_created: list[Callable[[Function], None]] = []
"""Called with every function made; the notebook magic listens here."""

backends: dict[str, Callable[[Function], Callable[..., Any] | None]] = {}
"""Further ways to run a function, by the back end of its mode: ``debug`` adds itself here."""


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
    compilation
        The record of every stage: graphs, rewrites, kernels, source, times.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[Variable],
        mode: Mode,
        name: str,
        form: str | tuple[str, ...],
        allow_input_downcast: bool | None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.mode = mode
        self.name = name
        self.calls = 0
        self._form = form
        self._allow_downcast = allow_input_downcast
        start = time.perf_counter()
        after, steps = optimise(graph, mode)
        self.compilation = record(
            name, mode, graph, after, steps, {"rewrite": time.perf_counter() - start}
        )
        self._run = self._make_run(after)
        for listener in list(on_created):
            listener(self)

    def _make_run(self, after: Graph) -> Callable[..., Any]:
        maker = backends.get(self.mode.backend)
        run = maker(self) if maker is not None else None
        if run is None and self.mode.backend == "c":
            program = self.compile_c()
            run = (
                program.runner(self.conform, self.explain, self.is_single)
                if program is not None
                else None
            )
        if run is None:
            run = NumpyProgram(self, after)
        return run

    def compile_c(self) -> CProgram | None:
        """Compile the optimised graph to a loaded C program; None, after a warning, when that cannot be."""
        self.program = try_c(self.compilation.after, self.name)
        if self.program is None:
            self.compilation = problems.without_compiler(self.compilation)
        else:
            self.compilation = record_c(self.compilation, self.program)
        return self.program

    @property
    def is_single(self) -> bool:
        """Whether a call returns one array, not a collection."""
        return self._form == "one"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for these inputs, in the form they were asked for; updates are applied."""
        self.calls += 1
        result = self._run(*args, **kwargs)
        form = self._form
        if form == "one" or form == "list":
            return result
        return None if form == "none" else dict(zip(form, result, strict=True))

    @property
    def source(self) -> str:
        """The generated C; empty when NumPy runs the function."""
        return self.compilation.source.text if self.compilation.source else ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every rewrite, in order."""
        return self.compilation.steps

    @property
    def updates(self) -> tuple[tuple[Shared, Variable], ...]:
        """Shared variables and the expressions of their next values."""
        return self.compilation.before.updates

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """The expressions a call returns the values of."""
        return self.compilation.before.outputs

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
        given: list[Any] = list(args)
        if len(args) > len(self.inputs):
            raise problems.wrong_count(self, args)
        if kwargs:
            names = [v.name for v in self.inputs]
            for name in kwargs:
                if name not in names[len(args) :]:
                    raise problems.unknown_keyword(self, name)
            given += [
                kwargs[n] for n in names[len(args) :] if n is not None and n in kwargs
            ]
        if len(given) != len(self.inputs):
            raise problems.wrong_count(self, args, kwargs)
        fitted = []
        for number, (variable, value) in enumerate(
            zip(self.inputs, given, strict=True)
        ):
            if isinstance(value, Shared):
                value = value.get_value(borrow=True)
            try:
                fitted.append(variable.type.filter(value, self._allow_downcast))
            except (TypeError, ValueError) as error:
                raise problems.bad_argument(
                    self, number, variable, value, error
                ) from None
        return tuple(fitted)

    def explain(
        self, failure: tuple[int, int, int, int, int], args: Sequence[Array]
    ) -> None:
        """Raise the error for a failure of the compiled program, with the user's line."""
        failures.explain(self, failure, args)


class NumpyProgram:
    """A graph as a list of operations that NumPy runs one after the other."""

    def __init__(self, function: Function, graph: Graph) -> None:
        self.function = function
        self.graph = graph
        self.places: dict[Variable, int] = {}
        self.work: list[tuple[Apply, list[int], list[int]]] = []
        for variable in graph_inputs(graph.results, graph.inputs):
            self._place(variable)
        for variable in graph.inputs:
            self._place(variable)
        for node in graph.nodes():
            takes = [self._place(v) for v in node.inputs]
            self.work.append((node, takes, [self._place(v) for v in node.outputs]))
        self.leaves = [
            (k, v) for v, k in self.places.items() if isinstance(v, Constant | Shared)
        ]
        self.results = [self.places[v] for v in graph.results]
        self._lock, self._pid = threading.RLock(), os.getpid()

    def _place(self, variable: Variable) -> int:
        return self.places.setdefault(variable, len(self.places))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run every operation, then commit all updates at once."""
        arrays = self.function.conform(args, kwargs)
        with self._turn():
            return self._run(arrays)

    def _turn(self) -> AbstractContextManager[Any]:
        """Calls with updates come one after the other; a forked process starts anew."""
        if not self.graph.updates:
            return nullcontext()
        if self._pid != os.getpid():
            self._lock, self._pid = threading.RLock(), os.getpid()
        return self._lock

    def _run(self, arrays: Sequence[Array]) -> Any:
        values: list[Any] = [None] * len(self.places)
        for variable, array in zip(self.graph.inputs, arrays, strict=True):
            values[self.places[variable]] = array
        for place, leaf in self.leaves:
            values[place] = leaf.data if isinstance(leaf, Constant) else leaf.storage[0]
        node: Apply | None = None
        try:
            for node, takes, gives in self.work:
                made = run_node(node, [values[k] for k in takes])
                for place, array in zip(gives, made, strict=True):
                    values[place] = array
            node, taken = None, set[int]()
            results = [self._own(values[k], arrays, taken) for k in self.results]
        except (WorkbenchError, MemoryError) as error:
            live = [
                (v, values[k]) for v, k in self.places.items() if values[k] is not None
            ]
            raise failures.explained(self.function, error, node, arrays, live) from None
        n = len(self.graph.outputs)
        storages = [shared.storage for shared, _ in self.graph.updates]
        # One C-level loop: no bytecode runs between two exchanges, so no interrupt either.
        deque(map(list.__setitem__, storages, repeat(0), results[n:]), maxlen=0)
        return results[0] if self.function._form == "one" else results[:n]

    def _own(self, array: Array, arguments: Sequence[Array], taken: set[int]) -> Array:
        """A result in memory nobody else holds: views, arguments and repeated results are copied."""
        if (
            array.base is not None
            or not array.flags.writeable
            or id(array) in taken
            or not array.flags.c_contiguous
        ):
            array = array.copy()
        elif any(array is a for a in arguments) or any(
            array is s.storage[0] for s in self._shared()
        ):
            array = array.copy()
        taken.add(id(array))
        return array

    def _shared(self) -> list[Shared]:
        return [leaf for _, leaf in self.leaves if isinstance(leaf, Shared)]


def function(
    inputs: Sequence[Variable],
    outputs: Outputs = None,
    updates: Updates = None,
    givens: Sequence[tuple[Variable, Any]] | Mapping[Variable, Any] | None = None,
    mode: str | Mode | None = None,
    name: str | None = None,
    on_unused_input: str | None = None,
    allow_input_downcast: bool | None = None,
    no_default_updates: bool | Sequence[Shared] = False,
) -> Function:
    """Compile expressions into a function.

    Parameters
    ----------
    inputs
        Variables whose values a call takes, in order. A variable that is computed from
        others may be one: the function then starts there.
    outputs
        What a call returns: a variable (its array), a list (a list of arrays), a dict from
        names (a dict of arrays), or None.
    updates
        Pairs of a shared variable and its next value, or a dict. All are applied after all
        outputs are computed, together.
    givens
        Pairs (or a dict) of a variable and what to take for it, all at once.
    mode
        ``"FAST_RUN"``, ``"FAST_COMPILE"``, ``"None"``, ``"DEBUG"`` or a
        :class:`~workbench.compile.modes.Mode`; ``config.mode`` when not given.
    name
        For messages; otherwise the name that the result is assigned to.
    on_unused_input : {"raise", "warn", "ignore"}
        What to do when an input is not needed; ``config.on_unused_input`` when not given.
    allow_input_downcast
        True: arguments are cast to the inputs' types even if digits are lost.
    no_default_updates
        True, or a list of shared variables, to leave out their default updates.

    Raises
    ------
    MissingInputError, UnusedInputError, UpdateTypeError
        With the user's line, and what to do.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> f = function([x], (x ** 2).sum(), mode="FAST_COMPILE")
    >>> float(f([1.0, 2.0]))
    5.0
    """
    chosen = get_mode(mode)
    label = name or _assigned_name() or "function"
    asked, form = _flatten(outputs)
    inputs = problems.checked_inputs(inputs, label)
    new_values = _new_values(updates, label)
    results = [*asked, *new_values.values()]
    results = _given(results, givens)
    _add_default_updates(new_values, results, inputs, no_default_updates)
    leaves = [_as_leaf(v, label) for v in inputs]
    results = clone(results, dict(zip(inputs, leaves, strict=True)))
    n = len(asked)
    for shared, new in zip(new_values, results[n:], strict=True):
        problems.check_update(shared, new, label)
    graph = Graph(
        tuple(leaves),
        tuple(results[:n]),
        tuple(zip(new_values, results[n:], strict=True)),
    )
    problems.check_missing(graph, label)
    _check_unused(graph, inputs, label, on_unused_input or config.on_unused_input)
    return Function(graph, inputs, chosen, label, form, allow_input_downcast)


def _flatten(outputs: Outputs) -> tuple[list[Variable], str | tuple[str, ...]]:
    if outputs is None:
        return [], "none"
    if isinstance(outputs, Mapping):
        return [as_variable(v) for v in outputs.values()], tuple(outputs)
    if isinstance(outputs, list | tuple):
        return [as_variable(v) for v in outputs], "list"
    return [as_variable(outputs)], "one"


def _new_values(updates: Updates, label: str) -> dict[Shared, Variable]:
    pairs = updates.items() if isinstance(updates, Mapping) else updates or ()
    found: dict[Shared, Variable] = {}
    for shared, value in pairs:
        problems.check_update_target(shared, found, label)
        found[shared] = problems.update_value(shared, value, label)
    return found


def _given(results: list[Variable], givens: Any) -> list[Variable]:
    pairs = list(givens.items() if isinstance(givens, Mapping) else givens or ())
    replace = {
        variable: problems.given_value(variable, value) for variable, value in pairs
    }
    return clone(results, replace) if replace else results


def _add_default_updates(
    new_values: dict[Shared, Variable],
    results: list[Variable],
    inputs: Sequence[Variable],
    without: bool | Sequence[Shared],
) -> None:
    if without is True:
        return
    skipped = () if without is False else tuple(without)
    pending = graph_inputs(results, inputs)
    while pending:
        leaf = pending.pop()
        if (
            not isinstance(leaf, Shared)
            or leaf.default_update is None
            or leaf in new_values
            or leaf in skipped
        ):
            continue
        new_values[leaf] = leaf.default_update
        results.append(leaf.default_update)
        pending += graph_inputs([leaf.default_update], inputs)


def _as_leaf(variable: Variable, label: str) -> Variable:
    """An input without a past: a computed or shared variable is replaced by a fresh one."""
    if variable.owner is None and not isinstance(variable, Shared):
        return variable
    leaf = Variable(variable.type, variable.name)
    leaf.tag = variable.tag
    if variable.owner is not None:
        leaf.place = variable.owner.origin.place
    return leaf


def _check_unused(
    graph: Graph, inputs: Sequence[Variable], label: str, action: str
) -> None:
    if action == "ignore":
        return
    used = set(graph_inputs(graph.results, graph.inputs))
    for number, (variable, leaf) in enumerate(zip(inputs, graph.inputs, strict=True)):
        if leaf not in used:
            error = problems.unused_input(label, number, variable)
            if action == "raise":
                raise error
            warnings.warn(str(error), stacklevel=3)


def _assigned_name() -> str:
    """The name on the left of the ``=`` before the call of :func:`function`."""
    place = source.here()
    if place is None:
        return ""
    before = place.location.text[: place.location.column]
    found = re.search(
        r"(?:^|[;:=])\s*(?:[\w.]+\.)?([^\W\d]\w*)\s*(?::[^=;]+)?=\s*$", before
    )
    return found.group(1) if found else ""


def evaluate_now(
    self: Variable,
    inputs_to_values: Mapping[Variable, Any] | None = None,
    mode: str | Mode = "FAST_COMPILE",
) -> Array:
    """The value of this variable for given values of others: ``(x + 1).eval({x: 2.0})``.

    Compiled functions are kept with the variable, one for each set of inputs.
    """
    given = inputs_to_values or {}
    key = (tuple(given), get_mode(mode))
    kept: dict[Any, Function] = self.tag.__dict__.setdefault("eval_functions", {})
    if key not in kept:
        kept[key] = function(
            list(given), self, mode=mode, name="eval", on_unused_input="ignore"
        )
    result: Array = kept[key](*given.values())
    return result


setattr(Variable, "eval", evaluate_now)  # noqa: B010  the compiler comes after the graph
