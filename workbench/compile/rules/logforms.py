"""What is known to be positive, by its logarithm.

An exponential, a probability, the tail of an error function: what is made of these by
products, quotients, powers and sums has a logarithm that can be written down without
taking the logarithm of what may be 0 or infinite. :func:`log_form` writes it as a
constant and a sum of multiples of variables.

Read next: :mod:`workbench.compile.rules.logarithms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.compile.rules.products import LEVELS, node_of
from workbench.compile.rules.terms import TERMS, scalar_value, split_factor, times
from workbench.core.graph import Variable
from workbench.core.op import View
from workbench.core.ops.bessel import Kv, kve
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Reciprocal,
    Sqr,
    TrueDiv,
    add,
    eq,
    mul,
    neg,
    switch,
)
from workbench.core.ops.erf import Erfc, LogErfc, Ndtr, log_erfc, log_ndtr
from workbench.core.ops.mathematics import (
    Exp,
    Pow,
    Sigmoid,
    Sqrt,
    log,
    logaddexp,
    softplus,
)
from workbench.core.ops.nnet import LogSoftmax, LogSumExp, Softmax
from workbench.core.ops.reduction import Prod, Sum
from workbench.core.ops.ufunc import kind


@dataclass(frozen=True)
class LogForm:
    """A logarithm: ``constant`` plus each variable of `terms` times its coefficient.

    `overflows` says whether there is an exponential in what it is the logarithm of.
    """

    constant: float
    terms: tuple[tuple[float, Variable], ...] = ()
    overflows: bool = False

    def __mul__(self, power: float) -> LogForm:
        terms = tuple((power * factor, x) for factor, x in self.terms)
        return LogForm(power * self.constant, terms, self.overflows)

    def __add__(self, other: LogForm) -> LogForm:
        both = self.overflows or other.overflows
        return LogForm(
            self.constant + other.constant, self.terms + other.terms, both
        )._with_halves()

    def _with_halves(self) -> LogForm:
        """erfc(x) / 2 is ndtr(-√2 x), whose logarithm is exact also near 0."""
        if abs(self.constant + math.log(2)) > 1e-15 or len(self.terms) != 1:
            return self
        ((factor, x),) = self.terms
        tail = node_of(x, LogErfc)
        if factor != 1 or tail is None:
            return self
        return LogForm(0.0, ((1.0, log_ndtr(scaled(tail.inputs[0], -math.sqrt(2)))),))

    @property
    def variable(self) -> Variable:
        """The logarithm; there is at least one term."""
        total: Variable | None = None
        for factor, x in self.terms:
            term = times(factor, x)
            total = term if total is None else add(total, term)
        assert total is not None
        return add(total, self.constant) if self.constant else total


def scaled(x: Variable, factor: float) -> Variable:
    """``factor x`` with the constant factors of x taken in; one near 1 is 1."""
    inner, base = split_factor(x)
    factor *= inner
    if abs(abs(factor) - 1) <= 4 * np.finfo(x.dtype).eps:
        factor = math.copysign(1, factor)
    return times(factor, base)


def log_form(variable: Variable, level: int = 0) -> LogForm | None:
    """The logarithm of what is positive by the way it is written, or None.

    A constant has one, too, without terms.
    """
    if kind(variable.dtype) != "f" or level > LEVELS:
        return None
    value = scalar_value(variable)
    if value is not None:
        return LogForm(math.log(value)) if 0 < value < math.inf else None
    node: Any = variable.owner
    if node is None or any(v.dtype != variable.dtype for v in node.inputs[:1]):
        return None
    if isinstance(node.op, View):
        return _of_view(node, level)
    write = FORMS.get(type(node.op))
    return None if write is None else write(node, level)


def _of_view(node: Any, level: int) -> LogForm | None:
    inner = log_form(node.inputs[0], level + 1)
    if inner is None or not inner.terms:
        return inner
    seen = node.op(inner.variable, *node.inputs[1:])
    return LogForm(0.0, ((1.0, seen),), inner.overflows)


def _one(x: Variable, factor: float = 1.0) -> LogForm:
    return LogForm(0.0, ((factor, x),))


def _of_exp(node: Any, level: int) -> LogForm:
    return LogForm(0.0, ((1.0, node.inputs[0]),), True)


def _of_kv(node: Any, level: int) -> LogForm:
    v, x = node.inputs
    return LogForm(0.0, ((1.0, log(kve(v, x))), (-1.0, x)))


def _of_mul(node: Any, level: int) -> LogForm | None:
    forms = [log_form(v, level + 1) for v in node.inputs]
    a, b = forms
    return None if a is None or b is None else a + b


def _of_true_div(node: Any, level: int) -> LogForm | None:
    forms = [log_form(v, level + 1) for v in node.inputs]
    a, b = forms
    return None if a is None or b is None else a + b * -1


def _of_power(power: float) -> Callable[[Any, int], LogForm | None]:
    def write(node: Any, level: int) -> LogForm | None:
        inner = log_form(node.inputs[0], level + 1)
        return None if inner is None else inner * power

    return write


def _of_pow(node: Any, level: int) -> LogForm | None:
    """p log(x); where p is 0 nothing, as the power 0 is 1 even of 0."""
    power = scalar_value(node.inputs[1])
    if power is not None:
        return _of_power(power)(node, level) if math.isfinite(power) else None
    base, y = node.inputs
    inner = log_form(base, level + 1)
    if inner is None or not inner.terms or y.dtype != base.dtype:
        return None
    total = switch(eq(y, 0), 0, mul(y, inner.variable))
    return LogForm(0.0, ((1.0, total),), inner.overflows)


def _of_prod(node: Any, level: int) -> LogForm | None:
    inner = log_form(node.inputs[0], level + 1)
    if inner is None or not inner.terms:
        return None
    total = Sum(node.op.axes)(inner.variable)
    return LogForm(0.0, ((1.0, total),), inner.overflows)


def _of_sum(node: Any, level: int) -> LogForm | None:
    inner = node_of(node.inputs[0], Exp)
    if inner is None:
        return None
    return LogForm(0.0, ((1.0, LogSumExp(node.op.axes)(inner.inputs[0])),), True)


def _of_add(node: Any, level: int) -> LogForm | None:
    """The larger one taken out: only exponentials need it."""
    terms = added(node.output)
    forms = [log_form(v, level + 1) for v in terms] if len(terms) > 1 else [None]
    if not all(forms) or not any(f.overflows for f in forms if f is not None):
        return None
    constants = [f.constant for f in forms if f is not None and not f.terms]
    total: Variable | None = None
    for form in forms:
        if form is not None and form.terms:
            x = form.variable
            total = x if total is None else logaddexp(total, x)
    assert total is not None
    if constants:
        constant = float(np.logaddexp.reduce(constants))
        total = softplus(total) if constant == 0 else logaddexp(total, constant)
    return LogForm(0.0, ((1.0, total),), True)


def added(variable: Variable) -> list[Variable]:
    """The terms of a sum without minus signs, at most 16; else the sum itself."""
    pending, found = [variable], []
    while pending:
        x = pending.pop()
        node = node_of(x, Add)
        if node is not None and x.dtype == variable.dtype:
            pending.extend(reversed(node.inputs))
        else:
            found.append(x)
        if len(pending) + len(found) > TERMS:
            return [variable]
    return found


FORMS: dict[type, Callable[[Any, int], LogForm | None]] = {
    Exp: _of_exp,
    Sigmoid: lambda node, level: _one(softplus(neg(node.inputs[0])), -1.0),
    Softmax: lambda node, level: _one(LogSoftmax(node.op.axis)(node.inputs[0])),
    Erfc: lambda node, level: _one(log_erfc(node.inputs[0])),
    Ndtr: lambda node, level: _one(log_ndtr(node.inputs[0])),
    Kv: _of_kv,
    Mul: _of_mul,
    TrueDiv: _of_true_div,
    Reciprocal: _of_power(-1),
    Sqr: _of_power(2),
    Sqrt: _of_power(0.5),
    Pow: _of_pow,
    Prod: _of_prod,
    Sum: _of_sum,
    Add: _of_add,
}
"""How the logarithm of what each op makes is written."""
