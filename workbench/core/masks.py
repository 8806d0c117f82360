"""Gradients that are zero by choice, carried without choosing yet.

The derivative of ``switch(c, sqrt(x), 0)`` at x = 0 is 0, but the chain rule in floats gives
NaN: the gradient that reaches the root is ``switch(c, g, 0)``, here 0, times an infinite slope.
So a gradient of this form is kept as the pair (g, c), and where a derivative acts on every
element for itself it acts on g alone. The choice is made once, at the end of the elementwise
part: ``switch(c, g * slope, 0)``. What the branch not taken would have made of g is thrown
away, not multiplied by zero; what the branch taken makes of it, NaN included, stays.

No value changes where the condition holds, and there is one switch, as before; it only
stands later. A condition of one element for all holds for everything behind it, so it is
carried through any op.

Read next: :mod:`workbench.core.backward`.
"""

from __future__ import annotations

from typing import NamedTuple

from workbench.core.graph import Apply, Constant, Variable
from workbench.core.op import Elementwise, Reduction
from workbench.core.ops import elementwise as ew
from workbench.core.ops.elementwise import Switch
from workbench.core.ops.reduction import Any_, Sum, keep
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle

Literal = tuple[Variable, bool]
"""A condition, and whether it must hold or must not."""

Mask = tuple[Literal, ...]
"""All of these at once; each broadcasts to the gradient and has as many axes."""

LONGEST = 8  # literals; a longer mask is applied, so that walks stay linear


class Masked(NamedTuple):
    """A gradient: `value` where all of `mask` holds, zero elsewhere.

    `done` says that `value` itself is zero there, so that only what is made of it needs
    the mask.
    """

    value: Variable
    mask: Mask = ()
    done: bool = False


def split(gradient: Variable) -> Masked:
    """Take switches to zero off a gradient and keep their conditions as a mask."""
    value, mask = gradient, []
    while value.owner is not None and isinstance(value.owner.op, Switch):
        condition, x, y = value.owner.inputs
        if is_zero(y) and x.broadcastable == gradient.broadcastable:
            value = x
            mask.append((condition, True))
        elif is_zero(x) and y.broadcastable == gradient.broadcastable:
            value = y
            mask.append((condition, False))
        else:
            break
    return Masked(value, tuple(mask))


def is_zero(variable: Variable) -> bool:
    """Whether it is a constant 0, perhaps with axes of size 1 added."""
    while variable.owner is not None and isinstance(variable.owner.op, DimShuffle):
        (variable,) = variable.owner.inputs
    return (
        isinstance(variable, Constant)
        and variable.ndim == 0
        and not variable.data.any()
    )


def choose(gradient: Masked) -> Variable:
    """The gradient written out: its value, switched to zero where the mask does not hold."""
    value, mask, done = gradient
    for condition, holds in () if done else reversed(mask):
        x, y = (value, 0) if holds else (0, value)
        value = ew.switch(condition, x, y)
    return value


def add(a: Masked, b: Masked) -> Masked:
    """The sum of two gradients of one variable, masked by what both leave out.

    The two sides of one condition become one switch.
    """
    common = tuple(literal for literal in a.mask if literal in b.mask)
    only_a = tuple(literal for literal in a.mask if literal not in common)
    only_b = tuple(literal for literal in b.mask if literal not in common)
    done = a.done and b.done
    if not only_a and not only_b:
        return Masked(ew.add(a.value, b.value), common, done)
    if len(only_a) == len(only_b) == 1 and only_a[0][0] is only_b[0][0]:
        (condition, holds), *_ = only_a
        x, y = (a.value, b.value) if holds else (b.value, a.value)
        return Masked(ew.switch(condition, x, y), common)
    total = ew.add(choose(a._replace(mask=only_a)), choose(b._replace(mask=only_b)))
    if only_a and only_b:
        common = (*common, (ew.or_(_all(only_a), _all(only_b)), True))
    return Masked(total, common, done)


def sum_along(gradient: Masked, axes: tuple[int, ...]) -> Masked:
    """The sum along `axes`, which stay with size 1; masked where all of them were."""
    value, mask, done = gradient
    kept = tuple(m for m in mask if all(m[0].broadcastable[axis] for axis in axes))
    rest = tuple(m for m in mask if m not in kept)
    if rest:
        value = choose(Masked(value, rest, done))
        some = Any_(axes)(_all(rest))
        mask = (*kept, (keep(some, value.ndim, axes), True))
        done = done or not kept
    return Masked(keep(Sum(axes)(value), value.ndim, axes), mask, done)


def _all(mask: Mask) -> Variable:
    """Whether the whole mask holds."""
    first, *others = (c if holds else ew.invert(c) for c, holds in mask)
    for other in others:
        first = ew.and_(first, other)
    return first


def passes(node: Apply, mask: Mask) -> bool:
    """Whether the derivative of a node may act on a gradient before it is masked.

    It may where an element of the gradient of an input depends on one element of that of
    the output, so that the mask can go the same way.
    """
    if not mask or len(mask) > LONGEST or len(node.outputs) > 1:
        return False
    kinds = (Elementwise, Reduction, BroadcastTo, DimShuffle)
    return isinstance(node.op, kinds) or _is_scalar(mask)


def move(node: Apply, outer: Masked, own: Masked, variable: Variable) -> Masked:
    """The gradient of an input, which `own` says, masked as that of the output was, too.

    Parameters
    ----------
    outer
        The gradient of the output, whose mask :func:`passes`; `own` is made of its value.
    """
    literals = []
    for condition, holds in outer.mask:
        moved = _moved(node, condition, _is_scalar(outer.mask), variable)
        literals.append((moved, holds))
    only_moves = isinstance(node.op, DimShuffle | Sum) or own.value is outer.value
    mask = tuple(dict.fromkeys([*literals, *own.mask]))
    return Masked(own.value, mask, outer.done and not own.mask and only_moves)


def _moved(
    node: Apply, condition: Variable, is_scalar: bool, variable: Variable
) -> Variable:
    """A condition for the output of `node`, for its input `variable`."""
    if isinstance(node.op, Elementwise | BroadcastTo):
        return condition
    if isinstance(node.op, DimShuffle):
        (moved,) = node.op.vjp(node, condition)
        assert moved is not None
        return moved
    if is_scalar:
        return DimShuffle(("x",) * variable.ndim)(DimShuffle(())(condition))
    assert isinstance(node.op, Reduction)
    return keep(condition, variable.ndim, node.op.axes)


def _is_scalar(mask: Mask) -> bool:
    return all(all(condition.broadcastable) for condition, _ in mask)
