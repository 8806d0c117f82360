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
from workbench.core.ops.elementwise import add, cast, fill
from workbench.core.ops.reduction import Sum, keep
from workbench.core.ops.shape import BroadcastTo


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
        raise ValueError(f"disconnected_inputs must be 'raise', 'warn' or 'ignore', not {disconnected_inputs!r}.")
    targets = [wrt] if isinstance(wrt, Variable) else list(wrt)
    starts = _starts(cost, known_grads)
    for target in targets:
        if not isinstance(target, Variable):
            raise GradientError(f"grad takes variables to differentiate by, got {target!r}.")
        if not target.type.is_float:
            raise GradientError(
                f"{target.label()} is {target.type}: an integer has no gradient. "
                f"Differentiate with respect to a float, as T.cast({target.name or 'x'}, 'floatX')."
            )
    found = _walk(starts, targets, consider_constant)
    results: list[Variable | None] = []
    for target in targets:
        gradient = found.get(target)
        if gradient is None:
            gradient = _disconnected(cost, target, disconnected_inputs, return_disconnected)
        elif not gradient.name and target.name and cost is not None:
            gradient.name = f"grad({cost.name or 'cost'}, {target.name})"
        results.append(gradient)
    if isinstance(wrt, Variable):
        assert results[0] is not None or return_disconnected == "none"
        return results[0]
    return results


def _starts(cost: Variable | None, known_grads: Mapping[Variable, Any] | None) -> dict[Variable, Variable]:
    starts: dict[Variable, Variable] = {}
    for variable, gradient in (known_grads or {}).items():
        starts[variable] = cast(gradient, variable.dtype)
        if starts[variable].ndim != variable.ndim:
            raise GradientError(f"the known gradient of {variable.label()} has {starts[variable].ndim} axes, not {variable.ndim}.")
    if cost is not None:
        if cost.ndim or not cost.type.is_float:
            raise GradientError(
                f"the cost must be a float scalar, got {cost.label()}: {cost.type}. "
                "Reduce it first, as cost.mean() or cost.sum()."
            )
        starts.setdefault(cost, fill(cost, as_variable(1, cost.dtype)))
    if not starts:
        raise GradientError("grad needs a cost, or known_grads to start from.")
    return starts


def _walk(
    starts: Mapping[Variable, Variable], targets: Sequence[Variable], constant: Sequence[Variable]
) -> dict[Variable, Variable]:
    """Gradients of every variable on a differentiable way from `targets` to the starts."""
    order = toposort(starts, constant)
    wanted = set(targets)
    passing: dict[Apply, list[bool]] = {}
    for node in order:
        through = [ok and v in wanted for ok, v in zip(node.op.connection(node), node.inputs, strict=True)]
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
            for variable, passes, gradient in zip(node.inputs, passing[node], node.op.vjp(node, *given), strict=True):
                if passes and gradient is not None and variable not in constant and variable not in starts:
                    contributions.setdefault(variable, []).append(_fit(node, variable, gradient))
    for target in targets:
        total(target)
    return totals


def _fit(node: Apply, variable: Variable, gradient: Variable) -> Variable:
    """The gradient in the dtype of its variable, summed over axes along which that was stretched."""
    if isinstance(node.op, Elementwise | BroadcastTo):
        axes = tuple(
            axis
            for axis, (own, out) in enumerate(zip(variable.type.shape, node.outputs[0].type.shape, strict=True))
            if own == 1 and out != 1
        )
        if axes and gradient.ndim == variable.ndim:
            gradient = keep(Sum(axes)(gradient), variable.ndim, axes)
    return cast(gradient, variable.dtype)


def _disconnected(cost: Variable | None, target: Variable, action: str, result: str) -> Variable | None:
    if action != "ignore":
        text = str(_disconnection(cost, target))
        if action == "raise":
            error = DisconnectedInputError(text)
            error.line = place.location if (place := source.here()) else None
            raise error
        warnings.warn(text, stacklevel=4)
    return None if result == "none" else fill(target, as_variable(0, target.dtype))


def _disconnection(cost: Variable | None, target: Variable) -> Report:
    place = source.here()
    name, of = target.name or target.label(), (cost.name or "the cost") if cost is not None else "the known gradients"
    report = Report(f"{of} does not depend on {name} in a differentiable way.", place.location if place else None)
    way = [] if cost is None else path_between(target, cost, lambda node, i: True)
    for node in way:
        if not any(node.op.connection(node)):
            steps = " → ".join(f"{n.op} ({n.origin.location.place})" if n.origin.location else str(n.op) for n in way[: way.index(node) + 1])
            report.add("uses", f"{name} → {steps}, stops there: {node.op} has no gradient")
            break
    else:
        if cost is not None:
            report.add("uses", f"{name} is not part of the graph of {of}" if not way else f"{name} is used only for sizes or places")
    made = target.location
    if made is not None:
        report.add("made", f"{name}: {target.type}, {made}")
    return report.add("hint", f"use a variable that depends on {name}, or grad(…, disconnected_inputs='ignore') if a zero is meant.")
