"""What to say, and what to return, where a derivative is asked for and nothing connects.

An error names the way from the variable to the operation at which it ends, in the words of
the user: the lines on which the operations were written.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from workbench.core import source
from workbench.core.errors import DisconnectedInputError, GradientError, Report
from workbench.core.graph import Apply, Variable, as_variable, path_between
from workbench.core.ops.elementwise import fill
from workbench.core.ops.ufunc import DimShuffle


class Disconnected(Variable):
    """Stands for the gradient of a variable that the cost does not depend on; has no value."""


def stand_in(target: Variable, choice: str) -> Variable | None:
    """What is returned in place of a derivative that is zero because nothing connects."""
    if choice == "none":
        return None
    if choice == "disconnected":
        return Disconnected(target.type, f"disconnected {target.name or 'gradient'}")
    return fill(target, as_variable(0, target.dtype))


def say_disconnected(
    cost: Variable | None, target: Variable, line: source.Location | None, action: str
) -> None:
    """Raise, or warn, that the cost does not depend on a variable."""
    report = _disconnection(cost, target, line)
    if action == "warn":
        warnings.warn(str(report), stacklevel=user_frame())
        return
    error = DisconnectedInputError(report)
    error.line = line
    raise error


def _disconnection(
    cost: Variable | None, target: Variable, line: source.Location | None
) -> Report:
    name, of = target.label(), "what is differentiated"
    if cost is not None:
        written = source.argument_here(0, "cost")
        of = cost.name or (
            written.expression
            if written and written.expression.isidentifier()
            else "the cost"
        )
    report = Report(f"{of} does not depend on {name} in a differentiable way.", line)
    way = [] if cost is None else path_between(target, cost, lambda node, i: True)
    stop = next(
        (k for k, node in enumerate(way) if not any(node.op.connection(node))), None
    )
    if stop is not None:
        report.add(
            "uses",
            f"{_way_text(name, way[: stop + 1])}, stops there: {way[stop].op} has no gradient",
        )
    elif way:
        report.add("uses", f"{name} is used only for sizes or places")
    elif cost is not None:
        report.add("uses", f"{name} is not part of the graph of {of}")
    if target.location is not None:
        report.add("made", f"{name}: {target.type}, {target.location.place}")
    return report.add(
        "hint",
        f"use a variable that depends on {name}, or disconnected_inputs='ignore' if a zero is meant.",
    )


def _way_text(name: str, way: Sequence[Apply]) -> str:
    """``b → add (In [5] line 4) → argmax (In [5] line 7)``; the middle of a long way is left out."""
    steps, last = [name], ""
    for node in way:
        if isinstance(node.op, DimShuffle):
            continue
        place = node.origin.location.place if node.origin.location else ""
        steps.append(
            f"{node.op.name} ({place})" if place and place != last else node.op.name
        )
        last = place
    return " → ".join(steps if len(steps) < 6 else [*steps[:3], "…", steps[-1]])


def user_frame() -> int:
    """Which frame is the user's, as ``warnings.warn`` counts them from our caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(source.PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def gradient_error(
    headline: str, hint: str, line: source.Location | None
) -> GradientError:
    """A GradientError at a place of the user's."""
    error = GradientError(Report(headline, line).add("hint", hint))
    error.line = line
    return error
