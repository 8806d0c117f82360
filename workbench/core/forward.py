"""Derivatives carried forward: how results change when inputs change a little.

:func:`push` goes from the first node to the last and gives every variable its *tangent*. For
most kinds of ops the rule follows from what they are:

- a view, a gather, an assembly and a sum are linear: the tangent goes through the op itself;
- an elementwise op has a diagonal derivative, which is its own transpose: `vjp` of the
  tangent is the answer;
- for anything else `vjp` is a linear function of the gradient u it is given, so its derivative
  by u is the transposed map, the wanted one. u stands for zeros and nothing of it is left.

An op may write :meth:`~workbench.core.op.Op.jvp` where it knows better.

Read next: :mod:`workbench.core.derivatives`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.core import source
from workbench.core.backward import (
    fit_dtype,
    is_undefined,
    stretched,
    turned,
    undefined_reason,
    walk,
)
from workbench.core.disconnected import gradient_error
from workbench.core.errors import GradientError
from workbench.core.graph import Apply, Variable, as_variable, toposort
from workbench.core.op import Assembly, Elementwise, View
from workbench.core.ops.elementwise import add, fill
from workbench.core.ops.reduction import Sum
from workbench.core.ops.ufunc import kind

Tangents = Sequence[Variable | None]
"""One for each variable; ``None`` stands for zero."""


def push(
    outputs: Sequence[Variable], tangents: Mapping[Variable, Variable]
) -> list[Variable | None]:
    """How `outputs` change when the keys of `tangents` change by their values.

    ``None`` stands for an output that does not change, or not in a differentiable way.

    Raises
    ------
    GradientError
        An op on the way has no derivative.
    """
    known: dict[Variable, Variable | None] = dict(tangents)
    user = source.here()
    for node in toposort(outputs):
        given = [
            known.get(v) if connected else None
            for v, connected in zip(node.inputs, node.op.connection(node), strict=True)
        ]
        if all(t is None for t in given):
            continue
        with source.made_for(source.Origin(user, forward=node)):
            try:
                found = _rule(node, given)
            except GradientError as error:
                raise _undefined_error(node, str(error)) from None
            for output, tangent in zip(node.outputs, found, strict=True):
                if tangent is None or not output.type.is_float:
                    continue
                if is_undefined(tangent):
                    raise _undefined_error(node, undefined_reason(tangent))
                known[output] = _sum(
                    known.get(output), fit_dtype(tangent, output.dtype)
                )
    return [known.get(v) for v in outputs]


def _rule(node: Apply, tangents: Tangents) -> Tangents:
    written = node.op.jvp(node, tangents)
    if written is not None:
        return written
    if isinstance(node.op, View | Assembly | Sum):
        return _through_itself(node, tangents)
    real_or_holomorphic = node.op.holomorphic or not _is_complex(node)
    if isinstance(node.op, Elementwise) and real_or_holomorphic:
        return _diagonal(node, tangents)
    return _transposed(node, tangents)


def _through_itself(node: Apply, tangents: Tangents) -> Tangents:
    """Linear in all the inputs that a gradient passes; the others say where elements go."""
    inputs = [
        tangent if tangent is not None else _zeros(variable) if passes else variable
        for variable, tangent, passes in zip(
            node.inputs, tangents, node.op.connection(node), strict=True
        )
    ]
    return node.op.make_node(*inputs).outputs


def _diagonal(node: Apply, tangents: Tangents) -> Tangents:
    """The sum over the inputs of tangent times slope, which is what `vjp` makes of it."""
    total: Variable | None = None
    for i, (variable, tangent) in enumerate(zip(node.inputs, tangents, strict=True)):
        if tangent is None:
            continue
        if stretched(variable, node.output):
            tangent = fill(node.output, tangent)
        part = node.op.vjp(node, tangent)[i]
        if part is not None and is_undefined(part):
            return [part]
        if part is not None:
            total = _sum(total, fit_dtype(part, node.output.dtype))
    return [total]


def _transposed(node: Apply, tangents: Tangents) -> Tangents:
    """The derivative of the op's `vjp` by the gradients it is given."""
    seeds = [_zeros(v) if v.type.is_float else None for v in node.outputs]
    pulled = node.op.vjp(node, *seeds)
    starts: dict[Variable, Variable] = {}
    for gradient, tangent in zip(pulled, tangents, strict=True):
        if gradient is None or tangent is None:
            continue
        if is_undefined(gradient):
            return [gradient for _ in node.outputs]
        weight = _turned(node, fit_dtype(tangent, gradient.dtype))
        if stretched(weight, gradient):
            weight = fill(gradient, weight)
        starts[gradient] = _sum(starts.get(gradient), weight)
    found = walk(starts, [s for s in seeds if s is not None], whole=False)
    return [
        None if s is None or s not in found else _turned(node, found[s]) for s in seeds
    ]


def _turned(node: Apply, tangent: Variable) -> Variable:
    """`vjp` of a holomorphic op is the plain transpose, but the walk takes the conjugate one."""
    return turned(tangent) if node.op.holomorphic else tangent


def _sum(total: Variable | None, part: Variable) -> Variable:
    return part if total is None else add(total, part)


def _zeros(like: Variable) -> Variable:
    return fill(like, as_variable(0, like.dtype))


def _is_complex(node: Apply) -> bool:
    return any(kind(v.dtype) == "c" for v in (*node.inputs, *node.outputs))


def _undefined_error(node: Apply, reason: str) -> GradientError:
    error = gradient_error(
        f"{node} has no forward derivative.", "", source.location_here()
    )
    error.args[0].add("reason", f"{reason.rstrip('.')}.")
    if node.origin.location is not None:
        error.args[0].add("made", str(node.origin.location))
    return error
