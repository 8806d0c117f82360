"""From the gradients of some variables to those of what they are computed from.

:func:`walk` goes from the last node to the first. Each op turns the gradients of its outputs
into those of its inputs (:meth:`~workbench.core.op.Op.vjp`); contributions to one variable
are added. The Jacobian is never formed, and every node is met once. Nodes made on behalf of
a forward node say so in their origin, so that a picture, a profile or an error can lead from
one to the other.

Gradients that are zero by choice are kept with their condition, those of a branch with the
path that leads to it (:mod:`workbench.core.masks`).
Of a complex z users see dC/dRe z + i dC/dIm z, the direction in which the real cost C grows
fastest. On the way its conjugate is carried: through holomorphic ops that needs no conjugates
at all, as the chain rule has the form it has for real numbers.

Read next: :mod:`workbench.core.gradient`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from workbench.core import source
from workbench.core.errors import GradientError
from workbench.core.graph import Apply, Variable, toposort
from workbench.core.masks import (
    Masked,
    add_all,
    choose,
    common_path,
    follow,
    leave,
    move,
    passes,
    split,
    sum_along,
)
from workbench.core.op import Elementwise
from workbench.core.ops.barriers import Undefined
from workbench.core.ops.complexes import conj
from workbench.core.ops.elementwise import Conj
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import Cast, cast, kind, real


def walk(
    starts: Mapping[Variable, Variable],
    targets: Sequence[Variable],
    constant: Collection[Variable] = (),
    whole: bool = True,
) -> dict[Variable, Variable]:
    """Gradients of those `targets` that a differentiable way joins to the starts.

    Parameters
    ----------
    starts
        Gradients to begin with, by variable.
    constant
        Variables through which no gradient passes, though one may be asked for theirs.
    whole
        Whether the starts are whole gradients, to which nothing is added.
    """
    order = toposort(starts, constant)
    passing = _passing(order, targets, constant)
    sums = _Sums(starts)
    user = source.here()
    for node in reversed(order):
        if node not in passing:
            continue
        with source.made_for(source.Origin(user, forward=node)):
            given = [None if v in constant else sums.total(v) for v in node.outputs]
            if all(g is None for g in given):
                continue
            found = _pull_back(node, given, passing[node], sums)
            for variable, gradient in zip(node.inputs, found, strict=True):
                if gradient is not None and not (whole and variable in starts):
                    sums.add(variable, gradient)
    with source.made_for(source.Origin(user)):
        return {v: sums.shown(v) for v in targets if sums.total(v) is not None}


def _passing(
    order: Sequence[Apply],
    targets: Sequence[Variable],
    constant: Collection[Variable],
) -> dict[Apply, list[bool]]:
    """The nodes on a differentiable way from the targets, and through which inputs it leads."""
    wanted = set(targets)
    found: dict[Apply, list[bool]] = {}
    for node in order:
        connected = node.op.connection(node)
        through = [
            ok and v in wanted for ok, v in zip(connected, node.inputs, strict=True)
        ]
        if any(through):
            found[node] = through
            wanted.update(v for v in node.outputs if v not in constant)
    return found


class _Sums:
    """What has reached each variable so far; complex gradients as their conjugates."""

    def __init__(self, starts: Mapping[Variable, Variable]) -> None:
        self.parts = {v: [Masked(turned(g))] for v, g in starts.items()}
        self.totals: dict[Variable, Masked] = {}
        self.chosen: dict[Masked, Variable] = {}

    def add(self, variable: Variable, gradient: Masked) -> None:
        self.parts.setdefault(variable, []).append(gradient)

    def total(self, variable: Variable) -> Masked | None:
        """The sum; one undefined contribution makes it undefined."""
        if variable not in self.totals and variable in self.parts:
            parts = self.parts.pop(variable)
            undefined = [p for p in parts if is_undefined(p.value)]
            self.totals[variable] = undefined[0] if undefined else add_all(parts)
        return self.totals.get(variable)

    def choose(self, gradient: Masked) -> Variable:
        """The gradient with its mask applied, once for all who ask."""
        if gradient not in self.chosen:
            owner = gradient.value.owner
            with source.made_for(owner.origin if owner else source.origin_here()):
                self.chosen[gradient] = choose(gradient)
        return self.chosen[gradient]

    def shown(self, variable: Variable) -> Variable:
        """The gradient as users see it."""
        total = self.totals[variable]
        if is_undefined(total.value):
            return total.value
        shown = total._replace(value=turned(self.choose(total)), mask=())
        return leave(shown, (), variable).value


def is_undefined(gradient: Variable) -> bool:
    """Whether it stands for a gradient that does not exist."""
    return gradient.owner is not None and isinstance(gradient.owner.op, Undefined)


def undefined_reason(gradient: Variable) -> str:
    """Why a gradient does not exist."""
    assert gradient.owner is not None and isinstance(gradient.owner.op, Undefined)
    return gradient.owner.op.reason


def _pull_back(
    node: Apply, given: Sequence[Masked | None], through: Sequence[bool], sums: _Sums
) -> list[Masked | None]:
    """What a node contributes to each input that a gradient passes."""
    for reached in given:
        if reached is not None and is_undefined(reached.value):
            return _undefined(node, through, reached.value)
    path = common_path([g for g in given if g is not None])
    given = [
        None if g is None else leave(g, path, v)
        for g, v in zip(given, node.outputs, strict=True)
    ]
    outer = given[0] if given[0] is not None and passes(node, given[0].mask) else None
    values = [
        None if g is None else g.value if outer is not None else sums.choose(g)
        for g in given
    ]
    try:
        gradients = pull_back_values(node, values)
    except GradientError as error:
        return _undefined(node, through, str(error).rstrip("."))
    made: list[Masked | None] = []
    for variable, passing, gradient in zip(
        node.inputs, through, gradients, strict=True
    ):
        if not passing or gradient is None:
            made.append(None)
        elif is_undefined(gradient):
            made.append(Masked(gradient))
        else:
            own = split(gradient)
            if outer is not None:
                own = move(node, outer, own, variable)
            made.append(follow(_fit(node, variable, own), path))
    return made


def pull_back_values(
    node: Apply, values: Sequence[Variable | None]
) -> Sequence[Variable | None]:
    """The op's own rule; one that is not holomorphic is given what users see."""
    if node.op.holomorphic:
        return node.op.vjp(node, *values)
    shown = [None if g is None else turned(g) for g in values]
    found = node.op.vjp(node, *shown)
    return [g if g is None or is_undefined(g) else turned(g) for g in found]


def _undefined(
    node: Apply, through: Sequence[bool], cause: Variable | str
) -> list[Masked | None]:
    """An undefined gradient for every input on the way, for the first reason."""
    if isinstance(cause, str):
        op, origin = Undefined(cause), source.origin_here()
    else:
        assert cause.owner is not None
        op, origin = Undefined(undefined_reason(cause)), cause.owner.origin
    with source.made_for(origin):
        return [
            Masked(op(variable)) if passing else None
            for variable, passing in zip(node.inputs, through, strict=True)
        ]


def _fit(node: Apply, variable: Variable, gradient: Masked) -> Masked:
    """The gradient in the dtype of its variable, summed over axes along which that was stretched."""
    if isinstance(node.op, Elementwise | BroadcastTo):
        axes = stretched(variable, node.outputs[0])
        if axes and gradient.value.ndim == variable.ndim:
            gradient = sum_along(gradient, axes)
    return gradient._replace(value=fit_dtype(gradient.value, variable.dtype))


def stretched(variable: Variable, output: Variable) -> tuple[int, ...]:
    """The axes along which `variable` has size 1 by declaration and `output` has not."""
    sizes = zip(variable.type.shape, output.type.shape, strict=True)
    return tuple(axis for axis, (own, out) in enumerate(sizes) if own == 1 and out != 1)


def fit_dtype(gradient: Variable, dtype: str) -> Variable:
    """`gradient` in the dtype of its variable: of a complex one for a real, the real part."""
    return cast(gradient if kind(dtype) == "c" else real(gradient), dtype)


def turned(gradient: Variable) -> Variable:
    """The conjugate where there is something to conjugate."""
    if kind(gradient.dtype) != "c":
        return gradient
    if gradient.owner is not None:
        before = gradient.owner.inputs[0]
        if isinstance(gradient.owner.op, Conj):
            return before
        if isinstance(gradient.owner.op, Cast) and kind(before.dtype) != "c":
            return gradient
    return conj(gradient)
