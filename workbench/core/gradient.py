"""Derivatives, as ordinary expressions.

:func:`grad` walks from the cost back to the variables asked for. Each op turns the gradients
of its outputs into those of its inputs (:meth:`~workbench.core.op.Op.vjp`); contributions to
the same variable are added. The Jacobian is never formed. Nodes made on behalf of a forward
node say so in their origin, so that a picture, a profile or an error can lead from one to
the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, overload

from workbench.core import source
from workbench.core.errors import DisconnectedInputError, GradientError, Report
from workbench.core.graph import Apply, Variable, as_variable, path_between, toposort
from workbench.core.op import Elementwise
from workbench.core.ops.elementwise import add, fill
from workbench.core.ops.reduction import Sum, keep
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle, cast


@overload
def grad(
    cost: Variable | None,
    wrt: Variable,
    consider_constant: Sequence[Variable] = ...,
    disconnected_inputs: str = ...,
    known_grads: Mapping[Variable, Any] | None = ...,
    return_disconnected: str = ...,
) -> Variable: ...


@overload
def grad(
    cost: Variable | None,
    wrt: Sequence[Variable],
    consider_constant: Sequence[Variable] = ...,
    disconnected_inputs: str = ...,
    known_grads: Mapping[Variable, Any] | None = ...,
    return_disconnected: str = ...,
) -> list[Variable]: ...


def grad(
    cost: Variable | None,
    wrt: Variable | Sequence[Variable],
    consider_constant: Sequence[Variable] = (),
    disconnected_inputs: str = "raise",
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: str = "zero",
) -> Any:
    """The gradient of a scalar with respect to variables.

    Parameters
    ----------
    cost
        A float scalar; ``None`` when `known_grads` says where to start.
    wrt
        One variable, or a list of them: float, anywhere in the graph of the cost.
    consider_constant
        Variables through which no gradient passes.
    disconnected_inputs : {"raise", "warn", "ignore"}
        What to do when the cost does not depend on one of `wrt`.
    known_grads
        Gradients that are given instead of derived, by variable.
    return_disconnected : {"zero", "none"}
        What stands for the gradient of a disconnected variable when that is no error.

    Returns
    -------
    Variable or list of Variable
        As `wrt`; each of the dtype and shape of its variable.

    Raises
    ------
    GradientError
        The cost is no float scalar, or `wrt` holds integers, or an op on the way has no gradient.
    DisconnectedInputError
        The cost does not depend on one of `wrt` in a differentiable way.

    Examples
    --------
    >>> from workbench.tensor import vector
    >>> x = vector("x")
    >>> grad((x ** 2).sum(), x).eval({x: [1.0, 2.0]})
    array([2., 4.])
    """
    if disconnected_inputs not in ("raise", "warn", "ignore"):
        raise ValueError(
            f"disconnected_inputs must be 'raise', 'warn' or 'ignore', not {disconnected_inputs!r}."
        )
    targets = [wrt] if isinstance(wrt, Variable) else list(wrt)
    starts = _starts(cost, known_grads)
    for number, target in enumerate(targets):
        if not isinstance(target, Variable):
            raise _error(
                f"grad takes variables to differentiate by, got {target!r}.",
                "",
                _wrt(wrt, number),
            )
        if not target.type.is_float:
            hint = f"differentiate with respect to a float, as T.cast({target.name or 'x'}, 'floatX')."
            raise _error(
                f"{target.label()} is {target.type}: an integer has no gradient.",
                hint,
                _wrt(wrt, number),
            )
    found = _walk(starts, targets, consider_constant)
    results: list[Variable | None] = []
    for number, target in enumerate(targets):
        gradient = found.get(target)
        if gradient is None:
            if disconnected_inputs != "ignore":
                _say_disconnected(cost, target, _wrt(wrt, number), disconnected_inputs)
            gradient = (
                None
                if return_disconnected == "none"
                else fill(target, as_variable(0, target.dtype))
            )
        elif not gradient.name and target.name and cost is not None:
            gradient.name = f"grad({cost.name or 'cost'}, {target.name})"
        results.append(gradient)
    if isinstance(wrt, Variable):
        assert results[0] is not None or return_disconnected == "none"
        return results[0]
    return results


def _starts(
    cost: Variable | None, known_grads: Mapping[Variable, Any] | None
) -> dict[Variable, Variable]:
    starts: dict[Variable, Variable] = {}
    for variable, gradient in (known_grads or {}).items():
        starts[variable] = cast(gradient, variable.dtype)
        if starts[variable].ndim != variable.ndim:
            axes = f"{starts[variable].ndim} axes, not {variable.ndim}"
            raise _error(
                f"the known gradient of {variable.label()} has {axes}.",
                "",
                _argument(4, "known_grads"),
            )
    if cost is not None:
        if cost.ndim or not cost.type.is_float:
            hint = (
                "reduce it first, as cost.mean() or cost.sum()."
                if cost.ndim
                else "cast it to a float first."
            )
            raise _error(
                f"the cost must be a float scalar, got {cost.label()}: {cost.type}.",
                hint,
                _argument(0, "cost"),
            )
        starts.setdefault(cost, fill(cost, as_variable(1, cost.dtype)))
    if not starts:
        raise _error(
            "grad needs a cost, or known_grads to start from.", "", _argument(0, "cost")
        )
    return starts


def _walk(
    starts: Mapping[Variable, Variable],
    targets: Sequence[Variable],
    constant: Sequence[Variable],
) -> dict[Variable, Variable]:
    """Gradients of every variable on a differentiable way from `targets` to the starts."""
    order = toposort(starts, constant)
    wanted = set(targets)
    passing: dict[Apply, list[bool]] = {}
    for node in order:
        through = [
            ok and v in wanted
            for ok, v in zip(node.op.connection(node), node.inputs, strict=True)
        ]
        if any(through):
            passing[node] = through
            wanted.update(node.outputs)
    wanted.difference_update(constant)
    contributions: dict[Variable, list[Variable]] = {v: [g] for v, g in starts.items()}
    totals: dict[Variable, Variable] = {}
    user = source.here()

    def total(variable: Variable) -> Variable | None:
        if variable not in totals and variable in contributions:
            first, *others = contributions.pop(variable)
            for other in others:
                first = add(first, other)
            totals[variable] = first
        return totals.get(variable)

    for node in reversed(order):
        if node not in passing:
            continue
        with source.made_for(source.Origin(user, forward=node)):
            given = [total(v) for v in node.outputs]
            if all(g is None for g in given):
                continue
            for variable, passes, gradient in zip(
                node.inputs, passing[node], node.op.vjp(node, *given), strict=True
            ):
                if (
                    passes
                    and gradient is not None
                    and variable not in constant
                    and variable not in starts
                ):
                    contributions.setdefault(variable, []).append(
                        _fit(node, variable, gradient)
                    )
    for target in targets:
        total(target)
    return totals


def _fit(node: Apply, variable: Variable, gradient: Variable) -> Variable:
    """The gradient in the dtype of its variable, summed over axes along which that was stretched."""
    if isinstance(node.op, Elementwise | BroadcastTo):
        axes = tuple(
            axis
            for axis, (own, out) in enumerate(
                zip(variable.type.shape, node.outputs[0].type.shape, strict=True)
            )
            if own == 1 and out != 1
        )
        if axes and gradient.ndim == variable.ndim:
            gradient = keep(Sum(axes)(gradient), variable.ndim, axes)
    return cast(gradient, variable.dtype)


def _say_disconnected(
    cost: Variable | None, target: Variable, line: source.Location | None, action: str
) -> None:
    report = _disconnection(cost, target, line)
    if action == "warn":
        warnings.warn(str(report), stacklevel=4)
        return
    error = DisconnectedInputError(report)
    error.line = line
    raise error


def _disconnection(
    cost: Variable | None, target: Variable, line: source.Location | None
) -> Report:
    name, of = target.label(), "the known gradients"
    if cost is not None:
        written = _argument(0, "cost")
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


def _argument(
    position: int, keyword: str, element: int | None = None
) -> source.Location | None:
    """The place of an argument in the user's call of :func:`grad`."""
    place = source.here()
    return (
        None if place is None else place.location.argument(position, keyword, element)
    )


def _wrt(wrt: Any, number: int) -> source.Location | None:
    return _argument(1, "wrt", None if isinstance(wrt, Variable) else number)


def _error(headline: str, hint: str, line: source.Location | None) -> GradientError:
    error = GradientError(Report(headline, line).add("hint", hint))
    error.line = line
    return error
