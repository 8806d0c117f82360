"""Looking into products, for what a factor cancels or joins.

A derivative that was taken before any rewriting holds pairs that belong together far
apart: in ``(g / p + h) * p`` the division is two operations away from the factor that
undoes it. :class:`Product` pushes one factor into an expression until it meets its
partner. It moves through products, quotients, signs, sums of such, rearrangements of
axes, and the scatter that is the derivative of indexing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Op
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Neg,
    Reciprocal,
    Sqr,
    Sub,
    Switch,
    TrueDiv,
    mul,
    neg,
    reciprocal,
    switch,
    true_div,
)
from workbench.core.ops.gathering import Put
from workbench.core.ops.mathematics import Pow, pow
from workbench.core.ops.reduction import Sum
from workbench.core.ops.shape import BroadcastTo, Reshape, size_variable
from workbench.core.ops.slicing import PutSlice
from workbench.core.ops.ufunc import DimShuffle, kind, pad_left


class One:
    """What is left when a factor cancels and nothing else was there."""


ONE = One()

Result = Variable | One | None

Path = tuple[int, ...]

VISITS = 40
"""How many operations a factor is shown to: derivatives need about twenty."""

LEVELS = 6
"""How deep in a product a factor is looked for."""


def node_of(variable: Variable, *ops: type[Op]) -> Any:
    """The operation that makes `variable` if it is one of `ops`, else None."""
    node = variable.owner
    return node if node is not None and isinstance(node.op, ops) else None


def factors(variable: Variable, *ops: type[Op]) -> Iterator[tuple[Variable, Path]]:
    """Factors made by `ops` in a product, each with its place."""
    pending: list[tuple[Variable, Path]] = [(variable, ())]
    while pending:
        x, path = pending.pop()
        node = x.owner
        if node is None or len(path) > LEVELS:
            continue
        if isinstance(node.op, ops):
            yield x, path
        elif isinstance(node.op, Mul):
            pending += [(side, (*path, i)) for i, side in enumerate(node.inputs)]
        elif isinstance(node.op, Neg | TrueDiv):
            pending.append((node.inputs[0], (*path, 0)))


@dataclass(frozen=True)
class Factor:
    """A factor of a product, at a place in it; below the line it divides."""

    variable: Variable
    path: Path
    above: bool


def split_product(variable: Variable) -> list[Factor]:
    """The factors of a product, those near the root first."""
    found: list[Factor] = []
    pending: deque[tuple[Variable, Path, bool]] = deque([(variable, (), True)])
    seen = 0
    while pending:
        x, path, up = pending.popleft()
        seen += 1
        node: Any = None if len(path) > LEVELS or seen > VISITS else x.owner
        op = None if node is None else node.op
        if isinstance(op, Mul | TrueDiv):
            a, b = node.inputs
            pending += [(a, (*path, 0), up), (b, (*path, 1), up == isinstance(op, Mul))]
        elif isinstance(op, Neg | Reciprocal):
            pending.append((node.inputs[0], (*path, 0), up == isinstance(op, Neg)))
        else:
            found.append(Factor(x, path, up))
    return found


def made_anew(variable: Variable, paths: Sequence[Path]) -> list[Variable]:
    """The operations of a product that :func:`without` has to make anew, the root last."""
    if not paths or () in paths:
        return []
    node: Any = variable.owner
    parts = [[p[1:] for p in paths if p[0] == i] for i, _ in enumerate(node.inputs)]
    inner = [
        v
        for x, below in zip(node.inputs, parts, strict=True)
        for v in made_anew(x, below)
    ]
    gone = [() in below for below in parts]
    inverse = isinstance(node.op, TrueDiv) and gone[0]
    return inner if any(gone) and not inverse else [*inner, variable]


def keeps_digits(value: Any) -> bool:
    """Whether a number that was joined of two is neither 0, infinite nor denormal."""
    if kind(value.dtype.name) in "iu":
        return True
    return bool(np.finfo(value.dtype).tiny <= np.abs(value) < np.inf)


def without(variable: Variable, paths: Sequence[Path]) -> Variable | One:
    """A product without the factors at the places `paths`."""
    if not paths:
        return variable
    if () in paths:
        return ONE
    node: Any = variable.owner
    x, y, *_ = (
        *(
            without(v, [p[1:] for p in paths if p[0] == i])
            for i, v in enumerate(node.inputs)
        ),
        ONE,
    )
    if isinstance(node.op, Mul):
        return y if isinstance(x, One) else x if isinstance(y, One) else mul(x, y)
    if isinstance(node.op, Neg):
        return as_variable(-1, variable.dtype) if isinstance(x, One) else neg(x)
    if isinstance(node.op, Reciprocal):
        return x if isinstance(x, One) else reciprocal(x)
    return (
        x
        if isinstance(y, One)
        else reciprocal(y)
        if isinstance(x, One)
        else true_div(x, y)
    )


def stretch_axes(node: Any) -> tuple[int, ...] | None:
    """The axes that a DimShuffle puts back where a reduction dropped them, or None."""
    return stretched_axes(node.op.order, node.inputs[0].ndim)


def stretched_axes(order: Sequence[int | str], rank: int) -> tuple[int, ...] | None:
    """The new axes of an order that leaves `rank` axes in theirs, or None."""
    kept = [i for i in order if i != "x"]
    if kept != list(range(rank)) or len(kept) == len(order):
        return None
    return tuple(axis for axis, i in enumerate(order) if i == "x")


@dataclass
class Product:
    """Pushes the factor into an expression.

    Attributes
    ----------
    context
        Finds what exists already.
    join
        ``join(factor, x)`` is their product when they meet, else None.
    cancel
        ``cancel(factor, x)`` is factor / x when they meet, else None.
    partly
        Whether in a sum it is enough that one term takes the factor in.
    """

    context: Context
    join: Callable[[Variable, Variable, Context], Result]
    cancel: Callable[[Variable, Variable, Context], Result]
    partly: bool = False
    visits: int = VISITS

    def times(self, x: Variable, factor: Variable) -> Result:
        """``x * factor`` with the factor taken in, or None when nothing takes it."""
        self.visits -= 1
        joined = self.join(factor, x, self.context)
        node = x.owner
        if joined is not None or node is None or self.visits < 0:
            return joined
        method = self._methods.get(type(node.op))
        return None if method is None else method(self, node, factor)

    def over(self, factor: Variable, y: Variable) -> Result:
        """``factor / y`` when something in the product y cancels it, or None."""
        self.visits -= 1
        found = self.cancel(factor, y, self.context)
        node = y.owner
        if found is not None or node is None or self.visits < 0:
            return found
        if isinstance(node.op, Mul | Sqr):
            pairs = (
                [node.inputs, node.inputs[::-1]]
                if isinstance(node.op, Mul)
                else [node.inputs * 2]
            )
            for a, b in pairs:
                found = self.over(factor, a)
                if found is not None:
                    return (
                        reciprocal(b) if isinstance(found, One) else true_div(found, b)
                    )
        if isinstance(node.op, TrueDiv):
            return self._over_quotient(factor, node)
        if isinstance(node.op, Reciprocal):
            return self.times(node.inputs[0], factor)
        if isinstance(node.op, Pow):
            return self._over_power(factor, node)
        if isinstance(node.op, Neg):
            found = self.over(factor, node.inputs[0])
            return None if found is None or isinstance(found, One) else neg(found)
        if isinstance(node.op, DimShuffle):
            before = self._before(node, factor)
            found = None if before is None else self.over(before, node.inputs[0])
            return node.op(found) if isinstance(found, Variable) else found
        return None

    def _over_quotient(self, factor: Variable, node: Any) -> Result:
        """Factor / (a / b)."""
        a, b = node.inputs
        found = self.over(factor, a)
        if found is not None:
            return self._beside(found, b, node)
        taken = self.times(b, factor)
        if taken is None:
            return None
        if isinstance(taken, One):
            return reciprocal(fit(a, node.output, self.context))
        return true_div(taken, a)

    def _over_power(self, factor: Variable, node: Any) -> Result:
        """Factor / a^p for a constant p of at least 1."""
        x, power = node.inputs[0], _exponent(node)
        if power is None or not power >= 1:
            return None
        found = self.over(factor, x)
        if found is None or isinstance(found, One):
            return None if found is None else pow(x, 1 - power)
        return found if power == 1 else mul(found, pow(x, 1 - power))

    # --- one method for each kind of operation the factor is pushed through

    def _into_mul(self, node: Any, factor: Variable) -> Result:
        for x, y in (node.inputs, node.inputs[::-1]):
            taken = self.times(x, factor)
            if taken is not None:
                return self._beside(taken, y, node)
        return None

    def _into_sqr(self, node: Any, factor: Variable) -> Result:
        (x,) = node.inputs
        taken = self.times(x, factor)
        return x if isinstance(taken, One) else None if taken is None else mul(taken, x)

    def _into_pow(self, node: Any, factor: Variable) -> Result:
        x, power = node.inputs[0], _exponent(node)
        if power is None or not abs(power) >= 1:
            return None
        taken = self.times(x, factor) if power > 0 else self.over(factor, x)
        left = pow(x, power - 1 if power > 0 else power + 1)
        return (
            left
            if isinstance(taken, One)
            else None
            if taken is None
            else mul(taken, left)
        )

    def _into_neg(self, node: Any, factor: Variable) -> Result:
        taken = self.times(node.inputs[0], factor)
        if isinstance(taken, One):
            return fit(as_variable(-1, factor.dtype), node.output, self.context)
        return None if taken is None else neg(taken)

    def _into_true_div(self, node: Any, factor: Variable) -> Result:
        x, y = node.inputs
        quotient = self.over(factor, y)
        if quotient is not None:
            return (
                fit(x, node.output, self.context)
                if isinstance(quotient, One)
                else mul(x, quotient)
            )
        taken = self.times(x, factor)
        return (
            reciprocal(y)
            if isinstance(taken, One)
            else None
            if taken is None
            else true_div(taken, y)
        )

    def _into_reciprocal(self, node: Any, factor: Variable) -> Result:
        return self.over(factor, node.inputs[0])

    def _into_sum(self, node: Any, factor: Variable) -> Result:
        taken: list[Result] = []
        for x in node.inputs:
            taken.append(self.times(x, factor))
            if taken[-1] is None and not self.partly:
                return None
        if all(t is None for t in taken):
            return None
        x, y = (
            mul(v, factor) if t is None else self._filled(t, factor)
            for v, t in zip(node.inputs, taken, strict=True)
        )
        return node.op(x, y) if x.ndim == y.ndim else None

    def _into_switch(self, node: Any, factor: Variable) -> Result:
        condition, *branches = node.inputs
        taken = [
            x if uniform_value(x) == 0 else self.times(x, factor) for x in branches
        ]
        if any(t is None or isinstance(t, One) for t in taken) or taken == branches:
            return None
        return switch(condition, *taken)

    def _into_broadcast(self, node: Any, factor: Variable) -> Result:
        x = node.inputs[0]
        taken = self.times(x, factor)
        if taken is None or isinstance(taken, One):
            return None
        return fit(taken, node.output, self.context)

    def _into_dimshuffle(self, node: Any, factor: Variable) -> Result:
        before = self._before(node, factor)
        taken = None if before is None else self.times(node.inputs[0], before)
        return node.op(taken) if isinstance(taken, Variable) else taken

    def _before(self, node: Any, factor: Variable) -> Variable | None:
        """What `factor` is before the axes are rearranged as by `node`, or None."""
        inner = node_of(factor, DimShuffle)
        if inner is not None and inner.op == node.op:
            return inner.inputs[0]
        if "x" in node.op.order:
            return None
        rank = node.inputs[0].ndim
        back = DimShuffle(
            tuple(
                node.op.order.index(i) if i in node.op.order else "x"
                for i in range(rank)
            )
        )
        before = self.context.existing(back, factor)
        return back(factor) if before is None else before

    def _into_reshape(self, node: Any, factor: Variable) -> Result:
        x = node.inputs[0]
        taken = self.times(x, self._reshaped(factor, x))
        if taken is None or isinstance(taken, One):
            return taken
        return node.op(fit(taken, x, self.context), *node.inputs[1:])

    def _reshaped(self, factor: Variable, like: Variable) -> Variable:
        """A factor in the shape of `like`; if possible as it was written, with a -1 or without."""
        op, context = Reshape(like.ndim), self.context
        sizes = [context.merged(size_variable(s)) for s in context.sizes(like)]
        rest = context.merged(size_variable(-1))
        for axis in (None, *range(like.ndim)):
            asked = [rest if i == axis else size for i, size in enumerate(sizes)]
            found = context.existing(op, factor, *asked)
            if found is not None:
                return found
        before = context.merged(op(factor, *sizes))
        return context.done.get(before, before)

    def _into_reduction(self, node: Any, factor: Variable) -> Result:
        (x,) = node.inputs
        kept = iter(range(factor.ndim))
        order = tuple(
            "x" if axis in node.op.axes else next(kept) for axis in range(x.ndim)
        )
        back = DimShuffle(order)
        before = self.context.existing(back, factor)
        taken = self.times(x, back(factor) if before is None else before)
        return None if taken is None or isinstance(taken, One) else node.op(taken)

    def _into_put(self, node: Any, factor: Variable) -> Result:
        base, part, *places = node.inputs
        if not node.op.add or uniform_value(base) != 0:
            return None
        before = self.context.existing(node.op.reader(), factor, *places)
        taken = None if before is None else self.times(part, before)
        if taken is None:
            return None
        return node.op(base, self._filled(taken, part), *places)

    def _beside(self, taken: Variable | One, rest: Variable, node: Any) -> Variable:
        """What one factor of `node` became, times the other; that alone has its axes, too."""
        if isinstance(taken, One):
            return fit(rest, node.output, self.context)
        return mul(taken, rest)

    def _filled(self, taken: Variable | One, like: Variable) -> Variable:
        if isinstance(taken, One):
            return fit(as_variable(1, like.dtype), like, self.context)
        return taken

    _methods = {
        Mul: _into_mul,
        Sqr: _into_sqr,
        Pow: _into_pow,
        Neg: _into_neg,
        TrueDiv: _into_true_div,
        Reciprocal: _into_reciprocal,
        Add: _into_sum,
        Sub: _into_sum,
        Switch: _into_switch,
        BroadcastTo: _into_broadcast,
        DimShuffle: _into_dimshuffle,
        Reshape: _into_reshape,
        Sum: _into_reduction,
        Put: _into_put,
        PutSlice: _into_put,
    }


def _exponent(node: Any) -> Any:
    """The constant real exponent of a power, or None."""
    exponent = node.inputs[1]
    if exponent.dtype.startswith("complex") or not all(exponent.broadcastable):
        return None
    return uniform_value(exponent)


def fit(value: Variable, like: Variable, context: Context) -> Variable:
    """`value` with every axis of `like`, stretched where it is 1 by declaration."""
    value = pad_left(value, like.ndim)
    return (
        value
        if value.broadcastable == like.broadcastable
        else context.stretched(value, like)
    )
