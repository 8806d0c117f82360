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

The same is done with the choices of :class:`~workbench.core.ops.control.IfElse`, for another
reason: the gradient through a branch, ``ifelse(c, g, zeros)``, is kept as g and the *path* c.
Derivatives are linear, so every op may act on g alone. Where what comes from both branches meets,
one choice between the two sums is made, and all that leads there is computed only when taken.

Read next: :mod:`workbench.core.backward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Elementwise, Reduction
from workbench.core.ops import elementwise as ew
from workbench.core.ops.control import IfElse, choose_lazily, zeros_of
from workbench.core.ops.elementwise import Fill, Switch
from workbench.core.ops.reduction import Any_, Sum, keep
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle

Literal = tuple[Variable, bool]
"""A condition, and whether it must hold or must not."""

Mask = tuple[Literal, ...]
"""All of these at once; each broadcasts to the gradient and has as many axes."""

Path = tuple[Literal, ...]
"""Scalar conditions of choices, the outermost first; a later one is known only if the earlier hold."""

LONGEST = 8  # literals; a longer mask or path is applied, so that walks stay linear
NEAREST = 16  # paths; of more, the one that is joined first is not looked for


class Masked(NamedTuple):
    """A gradient: `value` where all of `mask` holds, zero elsewhere.

    `done` says that `value` itself is zero there, so that only what is made of it needs
    the mask. Unless all of `path` holds the whole is zero, and `value` must not be computed.
    """

    value: Variable
    mask: Mask = ()
    done: bool = False
    path: Path = ()


def split(gradient: Variable) -> Masked:
    """Take choices of zero off a gradient and keep their conditions as a mask and a path."""
    value = gradient
    mask: list[Literal] = []
    path: list[Literal] = []
    while value.owner is not None and isinstance(value.owner.op, Switch | IfElse):
        condition, x, y = value.owner.inputs
        literals = mask if isinstance(value.owner.op, Switch) else path
        if is_zero(y) and x.broadcastable == gradient.broadcastable:
            value = x
            literals.append((condition, True))
        elif is_zero(x) and y.broadcastable == gradient.broadcastable:
            value = y
            literals.append((condition, False))
        else:
            break
    return Masked(value, tuple(mask), path=tuple(path))


def is_zero(variable: Variable) -> bool:
    """Whether it is a constant 0, perhaps stretched or with axes of size 1 added."""
    while variable.owner is not None and isinstance(
        variable.owner.op, DimShuffle | Fill
    ):
        variable = variable.owner.inputs[-1]
    return (
        isinstance(variable, Constant)
        and variable.ndim == 0
        and not variable.data.any()
    )


def choose(gradient: Masked) -> Variable:
    """The gradient written out but for its path: its value, zero where the mask does not hold."""
    value, mask, done, _ = gradient
    for condition, taken in () if done else reversed(mask):
        x, y = (value, 0) if taken else (0, value)
        value = ew.switch(condition, x, y)
    return value


def add(a: Masked, b: Masked) -> Masked:
    """The sum of two gradients of one variable, masked by what both leave out.

    The two sides of one condition become one switch.
    """
    if a.path != b.path:
        return _add_on_paths(a, b)
    return _add_masked(a, b)._replace(path=a.path)


def add_all(gradients: Sequence[Masked]) -> Masked:
    """The sum of one or more gradients of one variable.

    Those of one path first, then the sides of the innermost choices: each choice is made once.
    """
    on: dict[Path, Masked] = {}
    for g in gradients:
        on[g.path] = add(on[g.path], g) if g.path in on else g
    while len(on) > 1:
        deepest = max(on, key=len)
        first = on.pop(deepest)
        near = on if len(on) <= NEAREST else [next(iter(on))]
        second = on.pop(max(near, key=lambda path: _agreement(path, deepest)))
        total = add(second, first)
        on[total.path] = add(on[total.path], total) if total.path in on else total
    (total,) = on.values()
    return total


def _agreement(path: Path, other: Path) -> int:
    """How many literals two paths begin with, a last one that only differs in truth included."""
    pairs = zip(path, other, strict=False)
    return len(list(takewhile(lambda pair: pair[0][0] is pair[1][0], pairs)))


def _add_on_paths(a: Masked, b: Masked) -> Masked:
    """The sum where other branches lead to the one than to the other: of what is taken."""
    common = common_path([a, b])
    left, right = a.path[len(common) :], b.path[len(common) :]
    if a.mask == b.mask:
        x, y, mask, done = a.value, b.value, a.mask, a.done and b.done
    else:
        x, y, mask, done = choose(a), choose(b), (), False
    if not left:
        return Masked(choose_lazily(holds(right), ew.add(x, y), x), mask, done, common)
    if not right:
        return Masked(choose_lazily(holds(left), ew.add(x, y), y), mask, done, common)
    if left[0][0] is right[0][0]:  # the two sides of one choice
        condition, taken = left[0]
        sides, rests = [x, y], [holds(left[1:]), holds(right[1:])]
        if not taken:
            sides, rests = sides[::-1], rests[::-1]
        if len(left) > 1 or len(right) > 1:
            common = (*common, (choose_lazily(condition, *rests), True))
        return Masked(choose_lazily(condition, *sides), mask, done, common)
    first, second = holds(left), holds(right)
    value = choose_lazily(first, choose_lazily(second, ew.add(x, y), x), y)
    some = choose_lazily(first, as_variable(True), second)
    return Masked(value, mask, done, (*common, (some, True)))


def common_path(gradients: Sequence[Masked]) -> Path:
    """The conditions with which the paths of all begin."""
    common, *others = (g.path for g in gradients)
    for path in others:
        same = takewhile(
            lambda pair: pair[0] == pair[1], zip(common, path, strict=False)
        )
        common = tuple(literal for literal, _ in same)
    return common


def holds(path: Path) -> Variable:
    """Whether all of a path holds; a condition is computed only if those before it hold."""
    truth: Variable = as_variable(True)
    for i, (condition, taken) in enumerate(reversed(path)):
        if i == 0:
            truth = condition if taken else ew.invert(condition)
        else:
            sides = (truth, as_variable(False))
            truth = choose_lazily(condition, *(sides if taken else sides[::-1]))
    return truth


def follow(gradient: Masked, path: Path) -> Masked:
    """A gradient to which only a path leads."""
    path = (*path, *gradient.path)
    if len(path) > LONGEST:
        path = ((holds(path), True),)
    return gradient._replace(path=path)


def leave(gradient: Masked, path: Path, variable: Variable) -> Masked:
    """The gradient of `variable` on a path that its own begins with: the rest is applied."""
    rest = gradient.path[len(path) :]
    if not rest:
        return gradient._replace(path=())
    value = choose(gradient)
    for condition, taken in reversed(rest):
        sides = (value, zeros_of(variable))
        value = choose_lazily(condition, *(sides if taken else sides[::-1]))
    return Masked(value)


def _add_masked(a: Masked, b: Masked) -> Masked:
    common = tuple(literal for literal in a.mask if literal in b.mask)
    only_a = tuple(literal for literal in a.mask if literal not in common)
    only_b = tuple(literal for literal in b.mask if literal not in common)
    done = a.done and b.done
    if not only_a and not only_b:
        return Masked(ew.add(a.value, b.value), common, done)
    if len(only_a) == len(only_b) == 1 and only_a[0][0] is only_b[0][0]:
        (condition, taken), *_ = only_a
        x, y = (a.value, b.value) if taken else (b.value, a.value)
        return Masked(ew.switch(condition, x, y), common)
    total = ew.add(choose(a._replace(mask=only_a)), choose(b._replace(mask=only_b)))
    if only_a and only_b:
        common = (*common, (ew.or_(_all(only_a), _all(only_b)), True))
    return Masked(total, common, done)


def sum_along(gradient: Masked, axes: tuple[int, ...]) -> Masked:
    """The sum along `axes`, which stay with size 1; masked where all of them were."""
    value, mask, done, path = gradient
    kept = tuple(m for m in mask if all(m[0].broadcastable[axis] for axis in axes))
    rest = tuple(m for m in mask if m not in kept)
    if rest:
        value = choose(Masked(value, rest, done))
        some = Any_(axes)(_all(rest))
        mask = (*kept, (keep(some, value.ndim, axes), True))
        done = done or not kept
    return Masked(keep(Sum(axes)(value), value.ndim, axes), mask, done, path)


def _all(mask: Mask) -> Variable:
    """Whether the whole mask holds."""
    first, *others = (c if taken else ew.invert(c) for c, taken in mask)
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
    for condition, taken in outer.mask:
        moved = _moved(node, condition, _is_scalar(outer.mask), variable)
        literals.append((moved, taken))
    only_moves = isinstance(node.op, DimShuffle | Sum) or own.value is outer.value
    mask = tuple(dict.fromkeys([*literals, *own.mask]))
    done = outer.done and not own.mask and only_moves
    return Masked(own.value, mask, done, own.path)


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
