"""One call that checks a rewrite rule: it fires, and what it gives has the same value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.compile.record import Graph
from workbench.compile.rewrite import Rule, rewrite
from workbench.core.batching import vectorize_graph
from workbench.core.errors import Report, VerificationError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, graph_inputs
from workbench.core.types import Array

POINTS = (0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e-8, 30.0, -30.0)


def check_rule(
    rule: Rule,
    expression: Variable | None = None,
    values: Mapping[Variable, Any] | None = None,
    rtol: float = 1e-9,
) -> str:
    """Check that a rule fires on an expression and keeps its value.

    Parameters
    ----------
    rule
        An identity, or a rule of nodes.
    expression
        Where it must fire; for an identity by default its own left side, at ordinary
        points, at small and large ones, and at both zeros.
    values
        An array for each input of the expression.
    rtol
        How far values may be apart, relative to their size. Where the left side is not
        finite nothing is compared: a rule for stability is there to change that.

    Returns
    -------
    str
        What it did: the steps.

    Raises
    ------
    VerificationError
        It does not fire, or changes type, shape or value.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> @wb.identity
    ... def exp_of_log_sum(x, y):
    ...     '''A product needs no logarithms.'''
    ...     return T.exp(T.log(x) + T.log(y)), x * y
    >>> print(check_rule(exp_of_log_sum))
    exp_of_log_sum: exp(…) → mul(x, y)
    """
    if expression is None:
        if rule.pair is None:
            raise TypeError("a rule of nodes needs an expression to fire on.")
        expression = rule.pair.left
        values = _points(rule.pair.wildcards)
        expression, values = _as_vectors(expression, values)
    given = {v: v.type.filter(a) for v, a in (values or {}).items()}
    graph = Graph(tuple(given), (expression,))
    rewritten, steps = rewrite(graph, [rule], "checked")
    if not steps:
        raise VerificationError(
            Report(f"{rule.name} does not fire on {expression.label()}.")
        )
    _compare(rule, expression, rewritten.outputs[0], given, rtol)
    return "\n".join(f"{s.rule}: {s.before.label()} → {s.after.label()}" for s in steps)


def _points(wildcards: tuple[Variable, ...]) -> dict[Variable, Array]:
    rng = np.random.default_rng(0)
    some = np.concatenate([POINTS, rng.normal(size=40), np.exp(rng.normal(size=40))])
    return {v: rng.permutation(some) for v in wildcards}


def _as_vectors(
    expression: Variable, values: Mapping[Variable, Array]
) -> tuple[Variable, dict[Variable, Array]]:
    """The expression of scalars with vectors in their place."""
    vectors = {v: v.type.with_shape((None,))(v.name) for v in values}
    (batched,) = vectorize_graph([expression], vectors)
    return batched, {vectors[v]: a for v, a in values.items()}


def _compare(
    rule: Rule,
    before: Variable,
    after: Variable,
    given: Mapping[Variable, Array],
    rtol: float,
) -> None:
    with np.errstate(all="ignore"):
        expected, found = evaluate([before, after], given)
    if expected.dtype != found.dtype or expected.shape != found.shape:
        raise VerificationError(
            Report(
                f"{rule.name} makes {found.dtype} {found.shape} of {expected.dtype} {expected.shape}."
            )
        )
    compared = np.isfinite(expected)
    scale = rtol * (1 + np.abs(np.where(compared, expected, 0)))
    with np.errstate(all="ignore"):
        wrong = compared & ~(np.abs(found - expected) <= scale)
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    report = Report(
        f"{rule.name} changes a value from {expected[place]!s} to {found[place]!s}."
    )
    for leaf in graph_inputs([before]):
        array = given.get(leaf)
        if array is not None and array.shape == expected.shape:
            report.add("at", f"{leaf.label()} = {array[place]!s}")
    raise VerificationError(report)
