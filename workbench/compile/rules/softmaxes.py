"""Sums of exponentials, softmax, and what is done with its probabilities.

The maximum is taken out before any exponential; a logarithm meets the softmax through
the views between them; and nothing divides by a probability, which may have rounded to
0. Of the gradient of a cross-entropy remains the softmax minus the target.

References
----------
Blanchard, Higham and Higham (2021), Accurately computing the log-sum-exp and softmax
functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, node_rule
from workbench.compile.rules.exponentials import exponent, opposite, push
from workbench.compile.rules.logforms import LogForm, added, log_form
from workbench.compile.rules.logistic import exponent_beside_1
from workbench.compile.rules.products import (
    ONE,
    One,
    Product,
    Result,
    factors,
    node_of,
    split_product,
    stretch_axes,
    stretched_axes,
    without,
)
from workbench.compile.rules.terms import split_factor, times
from workbench.core.graph import Variable, as_variable, toposort
from workbench.core.op import Op, View
from workbench.core.ops.elementwise import (
    Add,
    Eq,
    Mul,
    Neg,
    Sub,
    Switch,
    TrueDiv,
    mul,
    sub,
)
from workbench.core.ops.gathering import Take
from workbench.core.ops.mathematics import Exp, Log, Sigmoid, Sqrt, logaddexp, sigmoid
from workbench.core.ops.nnet import LogSoftmax, LogSumExp, Softmax, softmax_over
from workbench.core.ops.reduction import Max, Sum, Supremum
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle, pad_left

# --- sums of exponentials -------------------------------------------------------------


@node_rule(Log, some=Sum)
def log_of_sum_of_exp(node):
    """Above 88.7 exp overflows float32: the maximum is taken out. Blanchard et al.

    An infinite maximum stays in, so that all -inf gives -inf and not NaN.
    """
    total = node_of(node.inputs[0], Sum)
    terms = None if total is None else node_of(total.inputs[0], Exp)
    if total is None or terms is None or terms.output.dtype != node.output.dtype:
        return None
    return LogSumExp(total.op.axes)(terms.inputs[0])


@node_rule(Sub, some=(DimShuffle, BroadcastTo))
def minus_log_sum_exp(node):
    """x - log(sum(exp(x))) is logsoftmax(x): the difference loses the digits of a large x."""
    x, kept = node.inputs
    while (view := node_of(kept, BroadcastTo)) is not None:
        kept = view.inputs[0]
    put_back = node_of(kept, DimShuffle)
    total = None if put_back is None else node_of(put_back.inputs[0], LogSumExp)
    if total is None or total.inputs[0] is not x or len(total.op.axes) != 1:
        return None
    return (
        LogSoftmax(*total.op.axes)(x)
        if stretch_axes(put_back) == total.op.axes
        else None
    )


def _exponent(factor: Variable) -> Variable | None:
    """U of a factor exp(u), also where a product was looked into through a view or a choice."""
    node = node_of(factor, Exp, View, Take)
    if node is None or isinstance(node.op, Exp):
        return None if node is None else node.inputs[0]
    inner = _exponent(node.inputs[0])
    return None if inner is None else node.op(inner, *node.inputs[1:])


def _sum_of_exp(factor: Variable, y: Variable, context: Context) -> Result:
    """exp(x) / sum(exp(x), keepdims), a softmax over one axis or several; also of the transposes."""
    node = node_of(y, BroadcastTo)
    kept = node_of(node.inputs[0] if node else y, DimShuffle)
    if kept is None:
        return None
    times_what, inner = split_factor(kept.inputs[0])
    total = node_of(inner, Sum)
    if total is None:
        return None
    inside, exponential = split_factor(total.inputs[0])
    order, moved = kept.op.order, None
    if exponential is not factor:
        moved = node_of(factor, DimShuffle)
        if moved is None or moved.inputs[0] is not exponential:
            return None
        places = moved.op.order
        if "x" in places or len(places) != exponential.ndim:
            return None
        order = tuple(order[places.index(axis)] for axis in range(len(places)))
    axes, x = total.op.axes, _exponent(exponential)
    if x is None or stretched_axes(order, inner.ndim) != axes:
        return None
    if _is_safe(x, axes):
        return None
    share = _one_over(times_what * inside, y.dtype)
    if share is None:
        return None
    weights = softmax_over(x, axes)
    return times(share, weights if moved is None else moved.op(weights))


def _one_over(value: float, dtype: str) -> float | None:
    """The reciprocal of a factor, where it is an ordinary number in the dtype."""
    limits = np.finfo(dtype)
    known = float(limits.tiny) <= abs(value) <= 1 / float(limits.tiny)
    return 1 / value if known else None


@node_rule(Mul, TrueDiv, every=DimShuffle)
def rearranged_exp(node):
    """exp(x).T / y.T is (exp(x) / y).T: an exponential stands in the axes of its sum."""
    for i, operand in enumerate(node.inputs):
        moved, other = (node_of(v, DimShuffle) for v in (operand, node.inputs[1 - i]))
        if moved is None or other is None or node_of(moved.inputs[0], Exp) is None:
            continue
        order = moved.op.order
        if "x" in order or len(order) != moved.inputs[0].ndim:
            continue
        back = tuple(order.index(axis) for axis in range(len(order)))
        if back == order == tuple(range(len(order))):
            continue
        operands = [moved.inputs[0], DimShuffle(back)(other.outputs[0])]
        return moved.op(node.op(*(operands if i == 0 else operands[::-1])))
    return None


def _is_safe(x: Variable, axes: tuple[int, ...]) -> bool:
    """Whether the maximum was taken out of x already, by a softmax over several axes."""
    shifted = node_of(x, Sub)
    kept = None if shifted is None else node_of(shifted.inputs[1], DimShuffle)
    top = None if kept is None else node_of(kept.inputs[0], Supremum)
    return top is not None and top.op.axes == axes


def _exp_over_sum(factor: Variable, x: Variable, context: Context) -> Result:
    """exp(x) times what is divided by sum(exp(x)) before its axes were put back."""
    node = node_of(x, DimShuffle)
    axes = None if node is None else stretch_axes(node)
    if not axes:
        return None
    exponents = _exponent(factor)
    if exponents is None or _is_safe(exponents, axes):
        return None
    total = context.existing(Sum(axes), factor)
    if total is None:
        if (factor, axes) not in _summed_multiples(context):
            return None
        total = Sum(axes)(factor)
    rest = Product(context, _nothing, _total_cancels).times(node.inputs[0], total)
    if rest is None:
        return None
    weights = softmax_over(exponents, axes)
    return weights if isinstance(rest, One) else mul(node.op(rest), weights)


def _summed_multiples(context: Context) -> set[tuple[Variable, tuple[int, ...]]]:
    """Exponentials of which the graph that entered the pass sums multiples, and the axes."""
    context.looked_around = True
    known: set[tuple[Variable, tuple[int, ...]]] | None
    known = context.table.get("summed multiples")
    if known is None:
        known = context.table["summed multiples"] = set()
        for node in toposort(list(context.results)):
            if isinstance(node.op, Sum) and node_of(node.inputs[0], Mul, TrueDiv, Neg):
                _, base = split_factor(node.inputs[0])
                if _exponent(base) is not None:
                    known.add((base, node.op.axes))
    return known


def _nothing(factor: Variable, x: Variable, context: Context) -> Result:
    return None


def _itself(factor: Variable, y: Variable, context: Context) -> Result:
    """1 over itself, and its root over that root."""
    if y is factor:
        return ONE
    root = node_of(y, Sqrt)
    return y if root is not None and root.inputs[0] is factor else None


def _total_cancels(total: Any, y: Variable, context: Context) -> Result:
    """sum(exp(x)) over itself, and over what else is added to it: a logistic function."""
    if y is total:
        return ONE
    scaled = node_of(y, Sum)
    if scaled is not None and scaled.op == total.owner.op:
        factor, base = split_factor(scaled.inputs[0])
        share = _one_over(factor, y.dtype)
        if share is None or base is not total.owner.inputs[0]:
            return None
        return pad_left(as_variable(share, y.dtype), y.ndim)
    terms = added(y) if node_of(y, Add) else []
    if total not in terms:
        return None
    own = log_form(total)
    forms = [log_form(v) for v in terms if v is not total]
    if own is None or not forms or None in forms:
        return None
    others = None
    for form in forms:
        assert form is not None
        others = _joined_forms(others, form)
    assert others is not None
    return sigmoid(_less(own.variable, others))


def _less(x: Variable, form: LogForm) -> Variable:
    if form.terms:
        return sub(x, form.variable)
    return sub(x, form.constant) if form.constant else x


def _joined_forms(a: LogForm | None, b: LogForm) -> LogForm:
    if a is None:
        return b
    x, y = (f.variable if f.terms else f.constant for f in (a, b))
    return LogForm(0.0, ((1.0, logaddexp(x, y)),), True)


@node_rule(Mul, TrueDiv, every=Op)
def exp_over_sum_of_exp(node, context):
    """exp(x) / sum(exp(x)) is softmax(x), and inf / inf above 88.7 (float32).

    The division may stand anywhere in the product: in the derivatives of
    log(sum(exp(x))) and of exp(x) / sum(exp(x)) itself it does.
    """
    found = push(node, context, Product(context, _exp_over_sum, _sum_of_exp), Exp)
    if found is not None:
        return found
    seen = (f for v in node.inputs for f, _ in factors(v, DimShuffle))
    if all(_exponent(f) is None for f in seen):
        return None
    product = Product(context, _exp_over_sum, _sum_of_exp)
    return push(node, context, product, DimShuffle)


@node_rule(Mul, TrueDiv, every=Op)
def mean_weighted_by_exp(node):
    """sum(y exp(x)) / sum(exp(x)) is sum(y softmax(x)), and inf / inf above 88.7 (float32)."""
    found = split_product(node.output)
    for below in (f for f in found if not f.above):
        total = node_of(below.variable, Sum)
        exponential = None if total is None else node_of(total.inputs[0], Exp)
        if exponential is None or _is_safe(exponential.inputs[0], total.op.axes):
            continue
        for above in (f for f in found if f.above):
            weighted = node_of(above.variable, Sum)
            if weighted is None or weighted.op != total.op:
                continue
            for factor, path in factors(weighted.inputs[0], Exp):
                left = without(weighted.inputs[0], [path])
                if factor is not exponential.output or isinstance(left, One):
                    continue
                weights = softmax_over(exponential.inputs[0], total.op.axes)
                mean = total.op(mul(left, weights))
                rest = without(node.output, [above.path, below.path])
                return mul(rest, mean) if isinstance(rest, Variable) else mean
    return None


@node_rule(Softmax, LogSoftmax, some=Sub)
def softmax_of_shifted(node):
    """A softmax takes the maximum out itself."""
    shifted = node_of(node.inputs[0], Sub)
    kept = None if shifted is None else node_of(shifted.inputs[1], DimShuffle)
    top = None if kept is None else node_of(kept.inputs[0], Max)
    if top is None or top.inputs[0] is not shifted.inputs[0]:
        return None
    axes = top.op.axes
    everything = len(axes) == top.inputs[0].ndim  # x - x.max()
    if node.op.axis not in axes or not (everything or stretch_axes(kept) == axes):
        return None
    return node.op(top.inputs[0])


@node_rule(Add, some=Switch)
def slope_through_maximum(node):
    """The maximum that was taken out before the exponentials has no slope.

    It would be the sum of the slopes of a softmax, or of its logarithm, which is 0; where a
    slope is NaN, all of its row are.
    """
    for slopes, through in (node.inputs, node.inputs[::-1]):
        choice = node_of(through, Switch)
        if choice is None or uniform_value(choice.inputs[2]) != 0:
            continue
        if node_of(choice.inputs[0], Eq) is None:
            continue
        total = choice.inputs[1]
        while (view := node_of(total, DimShuffle, Neg, TrueDiv)) is not None:
            total = view.inputs[0]
        summed = node_of(total, Sum)
        if summed is None or summed.inputs[0] is not slopes:
            continue
        if len(summed.op.axes) == 1 and _adds_up_to_0(slopes, *summed.op.axes):
            return slopes
    return None


def _adds_up_to_0(slopes: Variable, axis: int) -> bool:
    """Whether it is g - softmax(x) sum(g), or softmax(x) (g - sum(g softmax(x)))."""
    node = node_of(slopes, Mul, Add, Sub)
    if node is None:
        return False
    for g, part in (node.inputs, node.inputs[::-1]):
        if isinstance(node.op, Mul):
            inner = node_of(part, Sub)
            mean = None if inner is None else _spread_sum(inner.inputs[1], axis)
            if mean is None or mean[0] < 0 or not _is_softmax(g, axis):
                continue
            weighted = node_of(mean[1], Mul)
            if weighted and set(weighted.inputs) == {g, inner.inputs[0]}:
                return True
            continue
        if isinstance(node.op, Sub) and g is not node.inputs[0]:
            continue
        sign = -1 if isinstance(node.op, Sub) else 1
        if (minus := node_of(part, Neg)) is not None:
            sign, part = -sign, minus.inputs[0]
        product = node_of(part, Mul)
        for weights, rest in (
            () if product is None else (product.inputs, product.inputs[::-1])
        ):
            total = _spread_sum(rest, axis)
            if total is not None and _is_softmax(weights, axis):
                if total[1] is g and sign * total[0] < 0:
                    return True
    return False


def _spread_sum(v: Variable, axis: int) -> tuple[int, Variable] | None:
    """What is summed along an axis that was put back, and the sign of the sum."""
    sign, kept = 1, False
    while (node := node_of(v, Neg, DimShuffle)) is not None:
        if isinstance(node.op, Neg):
            sign = -sign
        elif kept or stretch_axes(node) != (axis,):
            return None
        else:
            kept = True
        (v,) = node.inputs
    total = node_of(v, Sum)
    if not kept or total is None or total.op.axes != (axis,):
        return None
    return sign, total.inputs[0]


def _is_softmax(v: Variable, axis: int) -> bool:
    softmax = node_of(v, Softmax)
    return softmax is not None and softmax.op.axis == axis


# --- probabilities --------------------------------------------------------------------


@node_rule(Log, some=(Softmax, View))
def log_of_softmax(node):
    """Below 1e-45 (float32) a probability is 0, its logarithm -inf: use logsoftmax.

    Views between the two, such as the choice of one class a row, are taken of the
    logarithm.
    """
    views = []
    x = node.inputs[0]
    while (view := node_of(x, View)) is not None:
        views.append(view)
        x = view.inputs[0]
    softmax = node_of(x, Softmax)
    if softmax is None:
        return None
    result = LogSoftmax(softmax.op.axis)(softmax.inputs[0])
    for view in reversed(views):
        result = view.op(result, *view.inputs[1:])
    return result


def _probability_joins(factor: Any, x: Variable, context: Context) -> Result:
    """sigmoid(-u) exp(u) = sigmoid(u), and sigmoid(-u) (1 + exp(u)) = 1."""
    if not isinstance(factor.owner.op, Sigmoid):
        return None
    minus = factor.owner.inputs[0]
    u = exponent(x)
    if u is not None:
        return sigmoid(u) if opposite(u, minus) else None
    u = exponent_beside_1(x)
    return ONE if u is not None and opposite(u, minus) else None


@node_rule(Mul, TrueDiv, tags=["finite_math"], every=Op)
def probability_over_itself(node, context):
    """Nothing divides by a probability: below 1e-45 (float32) it is 0, and 0 / 0 NaN.

    The loss brings in 1 / p and the derivative of a softmax or sigmoid p brings in p.
    Where they meet both go: of a cross-entropy remains p minus the target.
    """
    return push(
        node,
        context,
        Product(context, _probability_joins, _itself, partly=True),
        Softmax,
        Sigmoid,
    )


RULES = [
    log_of_sum_of_exp,
    minus_log_sum_exp,
    softmax_of_shifted,
    slope_through_maximum,
    log_of_softmax,
    rearranged_exp,
    exp_over_sum_of_exp,
    mean_weighted_by_exp,
    probability_over_itself,
]
