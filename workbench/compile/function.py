"""``function``: from expressions to something that is called with arrays.

Everything is checked before it is compiled, with messages that name the user's line: inputs
that are missing, unused or twice there, updates of another type.

Read next: :mod:`workbench.compile.callable`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.compile import problems
from workbench.compile.arguments import (
    Argument,
    In,
    Out,
    as_inputs,
)
from workbench.compile.callable import Function
from workbench.compile.modes import Mode, get_mode
from workbench.compile.record import Graph
from workbench.config import config
from workbench.core import source
from workbench.core.graph import (
    Shared,
    Variable,
    as_variable,
    clone,
    graph_inputs,
)
from workbench.core.types import Array

Outputs = Variable | Out | Sequence[Any] | Mapping[str, Any] | None
Updates = Sequence[tuple[Shared, Any]] | Mapping[Shared, Any] | None


def function(
    inputs: Sequence[Variable | In],
    outputs: Outputs = None,
    mode: str | Mode | None = None,
    updates: Updates = None,
    givens: Sequence[tuple[Variable, Any]] | Mapping[Variable, Any] | None = None,
    no_default_updates: bool | Sequence[Shared] = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: bool | None = None,
    on_unused_input: str | None = None,
    trust_input: bool = False,
    compile: str | None = None,
) -> Function:
    """Compile expressions into a function.

    Parameters
    ----------
    inputs
        Variables whose values a call takes, in order, or :class:`In` where there is more to
        say. A variable that is computed from others may be one: the function then starts
        there.
    outputs
        What a call returns: a variable (its array), a list (a list of arrays), a dict from
        names (a dict of arrays), or None. :class:`Out` may stand for a variable.
    mode
        ``"FAST_RUN"``, ``"FAST_COMPILE"``, ``"None"``, ``"DEBUG"`` or a
        :class:`~workbench.compile.modes.Mode`; ``config.mode`` when not given.
    updates
        Pairs of a shared variable and its next value, or a dict. All are applied after all
        outputs are computed, together.
    givens
        Pairs (or a dict) of a variable and what to take for it, all at once.
    no_default_updates
        True, or a list of shared variables, to leave out their default updates.
    name
        For messages; otherwise the name that the result is assigned to.
    rebuild_strict
        False: a value in `givens` may have another type than its variable, where what is
        computed from it allows that.
    allow_input_downcast
        True: arguments are cast to the inputs' types even if digits are lost.
    profile
        True: count calls and their seconds in ``f.profile``.
    on_unused_input : {"raise", "warn", "ignore"}
        What to do when an input is not needed; ``config.on_unused_input`` when not given.
    accept_inplace
        Accepted for the tradition's sake: graphs are never edited.
    trust_input
        True: a caller promises arrays of exactly the inputs' types; see
        :attr:`~workbench.compile.callable.Function.trust_input`.
    compile : {"now", "background"}
        In the background: this returns at once and NumPy runs the first calls, until the C
        program is there; ``f.ready`` tells, ``f.wait()`` waits. ``config.compile`` when not
        given.

    Raises
    ------
    MissingInputError, UnusedInputError, UpdateTypeError
        With the user's line, and what to do.

    Notes
    -----
    Arguments may have any strides. A small one that is not contiguous is copied by the call. A
    large one (1 MiB) of a layout that came before (transposed, in Fortran order, a part of the
    columns, every other row) is read where it is, by a program for that layout which is
    compiled in the background; ``f.variants`` lists the layouts and what became of each, and
    ``config.strided`` says whether calls wait for it, or arguments are always copied.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> f = function([x], (x ** 2).sum(), mode="FAST_COMPILE")
    >>> float(f([1.0, 2.0]))
    5.0
    """
    chosen = get_mode(mode)
    when = config.compile if compile is None else compile
    if when not in ("now", "background"):
        raise ValueError(f'compile is "now" or "background", not {when!r}.')
    label = name or _assigned_name() or "function"
    asked, form = _flatten(outputs)
    given = as_inputs(inputs, label)
    arguments = [Argument(i, allow_input_downcast) for i in given]
    variables = [argument.variable for argument in arguments]
    new_values = _new_values(updates, label)
    for argument, i in zip(arguments, given, strict=True):
        if argument.state is not None:
            new_values[argument.state] = problems.update_value(
                argument.state, i.update, label
            )
    results = [*asked, *new_values.values()]
    results = _given(results, givens, rebuild_strict)
    _add_default_updates(new_values, results, variables, no_default_updates)
    leaves = [_as_leaf(v, label) for v in variables]
    results = clone(results, dict(zip(variables, leaves, strict=True)))
    n = len(asked)
    for shared, new in zip(new_values, results[n:], strict=True):
        problems.check_update(shared, new, label)
    graph = Graph(
        tuple(leaves),
        tuple(results[:n]),
        tuple(zip(new_values, results[n:], strict=True)),
    )
    problems.check_missing(graph, label)
    _check_unused(graph, variables, label, on_unused_input or config.on_unused_input)
    return Function(
        graph,
        arguments,
        chosen,
        label,
        form,
        bool(profile),
        bool(trust_input),
        when == "background",
    )


def _flatten(outputs: Outputs) -> tuple[list[Variable], str | tuple[str, ...]]:
    if outputs is None:
        return [], "none"
    if isinstance(outputs, Mapping):
        return [_as_output(v) for v in outputs.values()], tuple(outputs)
    if isinstance(outputs, list | tuple):
        return [_as_output(v) for v in outputs], "list"
    return [_as_output(outputs)], "one"


def _as_output(output: Any) -> Variable:
    return as_variable(output.variable if isinstance(output, Out) else output)


def _new_values(updates: Updates, label: str) -> dict[Shared, Variable]:
    pairs = updates.items() if isinstance(updates, Mapping) else updates or ()
    found: dict[Shared, Variable] = {}
    for shared, value in pairs:
        problems.check_update_target(shared, found, label)
        found[shared] = problems.update_value(shared, value, label)
    return found


def _given(results: list[Variable], givens: Any, strict: bool) -> list[Variable]:
    pairs = list(givens.items() if isinstance(givens, Mapping) else givens or ())
    replace = {
        variable: problems.given_value(variable, value, strict)
        for variable, value in pairs
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
