"""Derivatives, as ordinary expressions: what people ask for, and what they are told.

:func:`grad` checks the question, lets :func:`~workbench.core.backward.walk` answer it, and
says in the user's words what has no answer. :func:`subgraph_grad` does it for a part of a
graph at a time.

Read next: :mod:`workbench.core.forward`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from workbench.core import source
from workbench.core.backward import fit_dtype, is_undefined, undefined_reason, walk
from workbench.core.collecting import paused_collector
from workbench.core.disconnected import (
    gradient_error,
    say_disconnected,
    stand_in,
)
from workbench.core.errors import GradientError
from workbench.core.graph import Variable, as_list, as_variable
from workbench.core.ops.elementwise import add, fill
from workbench.core.ops.ufunc import kind

CHOICES = {
    "disconnected_inputs": ("raise", "warn", "ignore"),
    "return_disconnected": ("zero", "none", "disconnected"),
    "null_gradients": ("raise", "return"),
}

Constants = Variable | Iterable[Variable] | None


@overload
def grad(
    cost: Variable | None,
    wrt: Variable,
    consider_constant: Constants = ...,
    disconnected_inputs: str = ...,
    add_names: bool = ...,
    known_grads: Mapping[Variable, Any] | None = ...,
    return_disconnected: str = ...,
    null_gradients: str = ...,
) -> Variable: ...


@overload
def grad(
    cost: Variable | None,
    wrt: tuple[Variable, ...],
    consider_constant: Constants = ...,
    disconnected_inputs: str = ...,
    add_names: bool = ...,
    known_grads: Mapping[Variable, Any] | None = ...,
    return_disconnected: str = ...,
    null_gradients: str = ...,
) -> tuple[Variable, ...]: ...


@overload
def grad(
    cost: Variable | None,
    wrt: list[Variable],
    consider_constant: Constants = ...,
    disconnected_inputs: str = ...,
    add_names: bool = ...,
    known_grads: Mapping[Variable, Any] | None = ...,
    return_disconnected: str = ...,
    null_gradients: str = ...,
) -> list[Variable]: ...


def grad(
    cost: Variable | None,
    wrt: Variable | Sequence[Variable],
    consider_constant: Constants = None,
    disconnected_inputs: str = "raise",
    add_names: bool = True,
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: str = "zero",
    null_gradients: str = "raise",
) -> Any:
    """The gradient of a scalar with respect to variables.

    Where a choice (``switch``, ``maximum``, a mask) leaves an element out, its gradient is 0,
    whatever the derivative of the branch not taken is there: NaN or infinity, too.

    Parameters
    ----------
    cost
        A real float scalar; ``None`` when `known_grads` says where to start.
    wrt
        One variable, or several: float or complex, anywhere in the graph of the cost.
    consider_constant
        Variables through which no gradient passes.
    disconnected_inputs : {"raise", "warn", "ignore"}
        What to do when the cost does not depend on one of `wrt`.
    add_names
        Whether gradients get names, as ``grad(cost, x)``.
    known_grads
        Gradients that are given instead of derived, by variable.
    return_disconnected : {"zero", "none", "disconnected"}
        What stands for the gradient of a disconnected variable when that is no error: zeros,
        ``None``, or a variable without a value.
    null_gradients : {"raise", "return"}
        What to do about a gradient that is undefined, or that an op does not implement;
        returned, its value is NaN.

    Returns
    -------
    Variable, or list or tuple of Variable
        As `wrt`; each of the dtype and shape of its variable. For a complex z it is
        dC/dRe(z) + i dC/dIm(z), the direction in which the cost C grows fastest.

    Raises
    ------
    GradientError
        The cost is no real float scalar, or `wrt` holds integers, or an op on the way has
        no gradient.
    DisconnectedInputError
        The cost does not depend on one of `wrt` in a differentiable way.

    Examples
    --------
    >>> from workbench.tensor import vector
    >>> x = vector("x")
    >>> grad((x ** 2).sum(), x).eval({x: [1.0, 2.0]})
    array([2., 4.])
    """
    starts = _starts(cost, known_grads)
    options = Options(
        disconnected_inputs,
        return_disconnected,
        null_gradients,
        "" if cost is None or not add_names else cost.name or "cost",
    )
    return pull(starts, wrt, consider_constant, options, cost)


@dataclass(frozen=True)
class Options:
    """What to do where there is no gradient, and the name of the cost in those of gradients.

    The choices are described at :func:`grad`; without a name gradients get none.
    """

    disconnected_inputs: str = "raise"
    return_disconnected: str = "zero"
    null_gradients: str = "raise"
    name: str = ""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                *others, last = map(repr, choices)
                raise ValueError(
                    f"{name} must be {', '.join(others)} or {last}, not {value!r}."
                )


def pull(
    starts: Mapping[Variable, Variable],
    wrt: Variable | Sequence[Variable],
    constant: Constants,
    options: Options,
    cost: Variable | None = None,
    whole: bool = True,
) -> Any:
    """Gradients of `wrt`, in its form, from those of the starts; see :func:`walk`."""
    targets = as_list(wrt)
    for number, target in enumerate(targets):
        _check_target(target, wrt, number)
    with paused_collector():
        found = walk(starts, targets, as_set(constant), whole)
    results: list[Variable | None] = []
    for number, target in enumerate(targets):
        gradient = found.get(target)
        if gradient is None:
            if options.disconnected_inputs != "ignore":
                line = _wrt(wrt, number)
                say_disconnected(cost, target, line, options.disconnected_inputs)
            results.append(stand_in(target, options.return_disconnected))
            continue
        if is_undefined(gradient) and options.null_gradients == "raise":
            raise _undefined_error(target, gradient, _wrt(wrt, number))
        if options.name and target.name and not gradient.name:
            gradient.name = f"grad({options.name}, {target.name})"
        results.append(gradient)
    return in_form(wrt, results)


def subgraph_grad(
    wrt: Sequence[Variable],
    end: Sequence[Variable],
    start: Mapping[Variable, Any] | None = None,
    cost: Variable | None = None,
    details: bool = False,
) -> tuple[Any, ...]:
    """Gradients through one part of a graph, to be continued in the part below.

    Parameters
    ----------
    wrt
        Variables of this part whose gradients are wanted.
    end
        Where this part begins: no gradient passes beyond. Their gradients are the `start`
        of the part below.
    start
        Gradients that reach this part from the parts above, by variable.
    cost
        A scalar that adds to them.
    details
        Whether to return also what `start` and `cost` give each, for `wrt`, then `end`.

    Returns
    -------
    tuple
        The gradients of `wrt` and those of `end`, two lists; with `details` two more, of
        which one may be ``None``.

    Examples
    --------
    >>> from workbench.tensor import scalar
    >>> x, a, b = scalar("x"), scalar("a"), scalar("b")
    >>> h = a * x
    >>> above, at_h = subgraph_grad([b], [h], cost=b * h**2)
    >>> below, _ = subgraph_grad([a], [x], start={h: at_h[0]})
    >>> below[0].eval({x: 2.0, a: 3.0, b: 5.0})  # of b (a x)² by a: 2 b a x²
    array(120.)
    """
    if start is None and cost is None:
        raise ValueError("subgraph_grad needs a start, or a cost.")
    targets = list(dict.fromkeys([*wrt, *end]))

    def part(cost: Variable | None, known: Mapping[Variable, Any] | None) -> list[Any]:
        return grad(cost, targets, end, "ignore", known_grads=known)

    from_start = None if start is None else part(None, start)
    from_cost = None if cost is None else part(cost, None)
    if from_start is not None and from_cost is not None:
        total = [add(a, b) for a, b in zip(from_start, from_cost, strict=True)]
    else:
        total = from_start or from_cost or []
    found = dict(zip(targets, total, strict=True))
    shown = [found[v] for v in wrt], [found[v] for v in end]
    return (*shown, from_start, from_cost) if details else shown


def in_form(wrt: Variable | Sequence[Variable], results: list[Any]) -> Any:
    """One result for one variable, a tuple for a tuple, else the list."""
    if isinstance(wrt, Variable):
        return results[0]
    return tuple(results) if isinstance(wrt, tuple) else results


def as_set(variables: Constants) -> set[Variable]:
    """None, one or several variables as a set."""
    if variables is None:
        return set()
    return {variables} if isinstance(variables, Variable) else set(variables)


def _check_target(target: Any, wrt: Any, number: int) -> None:
    # The line is found when it is needed: that reads the user's whole file.
    if not isinstance(target, Variable):
        text = f"grad takes variables to differentiate by, got {target!r}."
        raise gradient_error(text, "", _wrt(wrt, number))
    if not target.type.is_float:
        hint = f"differentiate with respect to a float, as T.cast({target.name or 'x'}, 'floatX')."
        text = f"{target.label()} is {target.type}: an integer has no gradient."
        raise gradient_error(text, hint, _wrt(wrt, number))


def _starts(
    cost: Variable | None, known_grads: Mapping[Variable, Any] | None
) -> dict[Variable, Variable]:
    starts: dict[Variable, Variable] = {}
    for variable, gradient in (known_grads or {}).items():
        starts[variable] = fit_dtype(as_variable(gradient), variable.dtype)
        if starts[variable].ndim != variable.ndim:
            axes = f"{starts[variable].ndim} axes, not {variable.ndim}"
            raise gradient_error(
                f"the known gradient of {variable.label()} has {axes}.",
                "",
                source.argument_here(5, "known_grads"),
            )
    if cost is not None:
        _check_cost(cost)
        starts.setdefault(cost, fill(cost, as_variable(1, cost.dtype)))
    if not starts:
        text = "grad needs a cost, or known_grads to start from."
        raise gradient_error(text, "", source.argument_here(0, "cost"))
    return starts


def _check_cost(cost: Variable) -> None:
    if cost.ndim:
        hint = "reduce it first, as cost.mean() or cost.sum()."
    elif kind(cost.dtype) == "c":
        hint = "a complex number has no order; take a real one, as T.real(cost) or abs(cost)."
    elif not cost.type.is_float:
        hint = "cast it to a float first."
    else:
        return
    text = f"the cost must be a float scalar, got {cost.label()}: {cost.type}."
    raise gradient_error(text, hint, source.argument_here(0, "cost"))


def _undefined_error(
    target: Variable, gradient: Variable, line: source.Location | None
) -> GradientError:
    assert gradient.owner is not None
    text = f"the gradient with respect to {target.label()} is undefined."
    error = gradient_error(text, "", line)
    report = error.args[0].add("reason", f"{undefined_reason(gradient)}.")
    forward = gradient.owner.origin.forward
    if forward is not None and forward.origin.location is not None:
        report.add("made", f"{forward}, {forward.origin.location}")
    report.add(
        "hint",
        "stop it with T.disconnected_grad(…), or get NaN with null_gradients='return'.",
    )
    return error


def _wrt(wrt: Any, number: int) -> source.Location | None:
    return source.argument_here(1, "wrt", None if isinstance(wrt, Variable) else number)
