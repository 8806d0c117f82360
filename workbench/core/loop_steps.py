"""The step of a loop: what a Python function makes of variables, as a graph with inputs.

The function is called with variables for what a step sees. What it returns is sorted into
outputs, new values of shared variables and a condition; what it reads besides its arguments
is found in the graph. A shared variable that every step changes is a state like any other.

Read next: :mod:`workbench.core.loop_states`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core import source
from workbench.core.errors import (
    ArgumentError,
    DTypeError,
    MissingInputError,
    ShapeError,
    UpdateTypeError,
)
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    as_variable,
    clone,
    graph_inputs,
    toposort,
)
from workbench.core.loop_arguments import fail
from workbench.core.types import TensorType, count


class until:
    """The condition after which a loop ends; a step function returns it last.

    The step in which it is true is the last one, and counts.

    Parameters
    ----------
    condition
        A scalar, true or not 0 in the last step.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> doubles, _ = wb.scan(
    ...     lambda x: (2 * x, wb.until(2 * x > 20)), outputs_info=T.constant(3), n_steps=100
    ... )
    >>> doubles.eval()
    array([ 6, 12, 24])
    """

    def __init__(self, condition: Any) -> None:
        self.condition = as_variable(condition)
        if self.condition.ndim:
            raise fail(
                ShapeError,
                f"until takes one condition, got {self.condition.label()}: "
                f"{self.condition.type}.",
                (0, "condition"),
                "use .all() or .any().",
            )


@dataclass
class Step:
    """What one call of a step function made.

    Attributes
    ----------
    outputs
        What it returned for users to see.
    updates
        New values of shared variables, as returned and by default updates.
    condition
        After which the loop ends, or None.
    made
        All operations applied meanwhile.
    place
        Where the function is written.
    """

    outputs: list[Variable]
    updates: dict[Shared, Variable]
    condition: Variable | None
    made: set[Apply]
    place: source.Location | None

    def line_of(self, v: Variable) -> source.Location | None:
        """The line of the step that made one of its outputs."""
        return v.location if v.owner in self.made else self.place


def read_returned(
    returned: Any, made: set[Apply], place: source.Location | None
) -> Step:
    """What a step function returned, sorted, in whatever form it came.

    Parameters
    ----------
    made
        The operations that were applied meanwhile.
    place
        Where the function is written.

    Raises
    ------
    ArgumentError, UpdateTypeError
        Something it returned is no variable, or no update of a shared variable.
    """
    outputs, pairs, condition = _sorted(returned, place)
    variables = [_as_output(v, i, place) for i, v in enumerate(outputs)]
    updates = {shared: _new_value(shared, v, place) for shared, v in pairs}
    return Step(variables, updates, condition, made, place)


def _sorted(
    returned: Any, place: source.Location | None
) -> tuple[list[Any], list[tuple[Shared, Any]], Variable | None]:
    """Outputs, updates and condition, however they were returned."""
    parts = list(returned) if isinstance(returned, list | tuple) else [returned]
    if _are_updates(parts):
        return [], _pairs(parts, place), None
    condition = None
    if parts and isinstance(parts[-1], until):
        condition = parts.pop().condition
    if any(isinstance(part, until) for part in parts):
        raise fail(ArgumentError, "a step returns until(…) once, and last.", place)
    updates = [part for part in parts if _are_updates(part)]
    if len(updates) > 1:
        text = "a step returns its updates once, in one dict or one list of pairs."
        raise fail(ArgumentError, text, place)
    outputs = [part for part in parts if not _are_updates(part)]
    pairs = _pairs(updates[0], place) if updates else []
    # (outputs, updates), where either may be an empty list.
    if len(parts) <= 2 and any(isinstance(part, list | tuple) for part in outputs):
        outputs = [part for part in outputs if not _is_empty(part)]
    if len(outputs) == 1 and isinstance(outputs[0], list | tuple):
        outputs = list(outputs[0])
    if len(outputs) == 1 and outputs[0] is None:
        outputs = []
    return outputs, pairs, condition


def _is_empty(part: Any) -> bool:
    return isinstance(part, list | tuple) and not part


def _are_updates(part: Any) -> bool:
    """A dict, or a list of pairs that begin with a shared variable."""
    if isinstance(part, Mapping):
        return True
    return (
        isinstance(part, list | tuple)
        and bool(part)
        and all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and isinstance(pair[0], Shared)
            for pair in part
        )
    )


def _pairs(updates: Any, place: source.Location | None) -> list[tuple[Shared, Any]]:
    pairs = list(updates.items() if isinstance(updates, Mapping) else updates)
    seen: set[Shared] = set()
    for shared, _ in pairs:
        if not isinstance(shared, Shared):
            name = shared.label() if isinstance(shared, Variable) else repr(shared)
            text = f"a step updates {name}: only shared variables can be updated."
            raise fail(UpdateTypeError, text, place)
        if shared in seen:
            text = f"a step updates {shared.label()} twice."
            raise fail(UpdateTypeError, text, place)
        seen.add(shared)
    return pairs


def _as_output(value: Any, i: int, place: source.Location | None) -> Variable:
    try:
        return as_variable(value)
    except DTypeError as error:
        raise fail(
            ArgumentError,
            f"output number {i} of the step is {value!r}, which is no variable: {error}",
            place,
            "return one output, a list of outputs, or (outputs, updates).",
        ) from None


def _new_value(shared: Shared, value: Any, place: source.Location | None) -> Variable:
    if isinstance(value, Variable):
        return value
    try:
        shape = TensorType(shared.dtype, (None,) * shared.ndim)
        return as_variable(shape.filter(value))
    except (DTypeError, ShapeError) as error:
        text = f"the update of {shared.label()} {error}."
        raise fail(UpdateTypeError, text, place) from None


# --- what it reads besides its arguments -------------------------------------------------


@dataclass
class Closed:
    """A step with all it reads as an input.

    Attributes
    ----------
    outputs
        What the step's outputs are in terms of the inputs.
    shared
        Shared variables that every step changes, each with what stands for it in a step.
    new_values
        What they become.
    condition
        As the step's, or None.
    others
        What is the same in every step.
    """

    outputs: list[Variable]
    shared: dict[Shared, Variable]
    new_values: list[Variable]
    condition: Variable | None
    others: list[Variable] = field(default_factory=list)


def close(
    step: Step,
    inner: Iterable[Variable],
    fixed: Sequence[Variable],
    strict: bool = False,
) -> Closed:
    """Find what a step reads from outside.

    Parameters
    ----------
    inner
        What stands for the rows of sequences and states.
    fixed
        What users say is the same in every step.
    strict
        Whether anything else is an error.

    Notes
    -----
    What was computed before the step function was called is computed once, outside, unless
    it depends on a shared variable that the steps change; what the function computes belongs
    to the step.
    """
    inner = set(inner)
    declared = {v for v in fixed if not isinstance(v, Constant)}
    condition = [] if step.condition is None else [step.condition]
    results = [*step.outputs, *condition]
    updates = _with_defaults(results, step.updates, inner | declared)
    for shared, new in updates.items():
        _check_update(shared, new, step)
    own = {s: Variable(s.type, s.name) for s in updates}
    results += updates.values()
    if own:
        replace: dict[Variable, Variable] = dict(own.items())
        results = clone(results, replace, [*inner, *(declared - set(updates))])
    inner |= set(own.values())
    n = len(step.outputs)
    others = _read_outside(results, inner, declared, step.made)
    order = [v for v in fixed if v in others]
    others = [*dict.fromkeys(order), *(v for v in others if v not in declared)]
    if strict:
        _check_declared([v for v in others if v not in declared], step)
    return Closed(
        results[:n],
        own,
        results[n + len(condition) :],
        results[n] if condition else None,
        others,
    )


def _with_defaults(
    results: Sequence[Variable], updates: dict[Shared, Variable], stop: set[Variable]
) -> dict[Shared, Variable]:
    """Updates, with the default ones of all shared variables that are read."""
    found = dict(updates)
    limit = {v for v in stop if not isinstance(v, Shared)}
    pending = graph_inputs([*results, *updates.values()], limit)
    for leaf in pending:  # it grows meanwhile
        if not isinstance(leaf, Shared) or leaf in found:
            continue
        update = leaf.default_update
        if update is not None:
            found[leaf] = update
            pending += graph_inputs([update], limit)
    return found


def _check_update(shared: Shared, new: Variable, step: Step) -> None:
    if shared.dtype == new.dtype and shared.ndim == new.ndim:
        return
    text = f"the step's update of {shared.label()} is {new.type}, but {shared.label()} is {shared.type}."
    raise fail(UpdateTypeError, text, step.line_of(new), "give it the same type.")


def _read_outside(
    results: Sequence[Variable],
    inner: set[Variable],
    declared: set[Variable],
    made: set[Apply],
) -> list[Variable]:
    """What the operations of the step read and none of them computes, in order of use."""
    stop = inner | declared
    inside: set[Apply] = set()
    found: dict[Variable, None] = {}

    def read(v: Variable) -> None:
        is_own = v in inner or isinstance(v, Constant)
        if not is_own and (v in declared or v.owner not in inside):
            found.setdefault(v)

    for node in toposort(results, stop):
        if node in made or any(
            v in inner or (v not in stop and v.owner in inside) for v in node.inputs
        ):
            inside.add(node)
            for v in node.inputs:
                read(v)
    for v in results:
        read(v)
    return list(found)


def _check_declared(missing: Sequence[Variable], step: Step) -> None:
    if missing:
        names = ", ".join(v.label() for v in missing)
        raise fail(
            MissingInputError,
            f"with strict=True the step reads only what it is given, and it also reads {names}.",
            step.place,
            f"write non_sequences=[…, {names}], and take it as an argument.",
        )


# --- whether outputs are as many as was said ---------------------------------------------


def check_number(step: Step, declared: int) -> None:
    """Raise an error when a step has another number of outputs than ``outputs_info``."""
    have = len(step.outputs)
    if declared and have != declared:
        raise fail(
            ArgumentError,
            f"the step returns {count(have, 'output', 'outputs')}, and outputs_info has "
            f"{count(declared, 'entry', 'entries')}.",
            step.place,
            "give one entry an output, None for one that the next step does not read.",
        )
