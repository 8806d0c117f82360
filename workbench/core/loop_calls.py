"""Whether a step function takes what a step sees, and what it calls that.

Read next: :mod:`workbench.core.loop_steps`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from workbench.core import source
from workbench.core.errors import ArgumentError, Report
from workbench.core.loop_arguments import fail
from workbench.core.types import count


def parameter_names(fn: Callable[..., Any], number: int) -> list[str | None]:
    """What a function calls its first arguments; None where it does not say."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return [None] * number
    names: list[str | None] = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return (names + [None] * number)[:number]


def check_call(
    fn: Callable[..., Any], arguments: Sequence[Any], roles: Sequence[str]
) -> None:
    """Raise an error that lists what a step gets where the function does not take that.

    Raises
    ------
    ArgumentError
        It takes another number of arguments, or is no function.
    """
    if not callable(fn):
        raise fail(
            ArgumentError, f"the step is {fn!r}, which is no function.", (0, "fn")
        )
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        name = getattr(fn, "__name__", "the step function")
        place = source.definition(fn)
        report = Report(
            f"{name} does not take the {count(len(arguments), 'argument', 'arguments')} "
            f"of a step: {error}.",
            place,
        )
        rows = [[str(i), role] for i, role in enumerate(roles)]
        report.table("step", ["", "argument"], rows)
        report.add(
            "hint",
            "a step gets the rows of the sequences, the earlier values of outputs_info, "
            "then non_sequences.",
        )
        failure = ArgumentError(report)
        failure.line = place
        raise failure from None
