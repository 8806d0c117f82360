"""Forms that neither overflow nor cancel, each with the form of its derivative.

exp overflows above 88.7 in float32 and 709.8 in float64; 1 + x loses every digit of an
x below 6e-8 or 1.1e-16; a probability rounds to 0, and then its logarithm is -inf and a
division by it NaN. The rules find the places where a stable function was meant. A
gradient is usually taken before any rewriting, so every rule comes with one that knows
the derivative of what it replaces: those look into whole products, see
:mod:`workbench.compile.rules.products`.

References
----------
Mächler (2012), Accurately computing log(1 - exp(-|a|)), R package Rmpfr.
Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax
functions.
"""

from __future__ import annotations

from typing import Any

from workbench.compile.matching import uniform_value
from workbench.compile.rewrite import Context, identity, node_rule, tagged
from workbench.compile.rules.products import (
    ONE,
    One,
    Product,
    Result,
    factors,
    fit,
    node_of,
    stretch_axes,
    without,
)
from workbench.core.graph import Apply, Variable
from workbench.core.op import View
from workbench.core.ops.elementwise import (
    Add,
    Mul,
    Neg,
    Sub,
    Switch,
    TrueDiv,
    add,
    mul,
    neg,
    reciprocal,
    sub,
    switch,
    true_div,
)
from workbench.core.ops.mathematics import (
    Exp,
    Expm1,
    Log,
    Sigmoid,
    exp,
    expm1,
    log,
    log1mexp,
    log1p,
    logaddexp,
    sigmoid,
    softplus,
)
from workbench.core.ops.nnet import LogSoftmax, LogSumExp, Softmax, softmax_over
from workbench.core.ops.reduction import Max, Sum, Supremum
from workbench.core.ops.shape import BroadcastTo
from workbench.core.ops.ufunc import DimShuffle

# --- one digit lost next to 1 ---------------------------------------------------------


@identity
def log_of_1_plus(x):
    """1 + x is 1 for x below 6e-8 (float32); log1p keeps such an x."""
    return log(add(1, x)), log1p(x)


@identity
def log_of_1_minus(x):
    """1 - x is 1 for x below 6e-8 (float32); log1p keeps such an x."""
    return log(sub(1, x)), log1p(neg(x))


@identity
def exp_minus_1(x):
    """exp(x) is 1 for x below 6e-8 (float32); expm1 keeps such an x."""
    return sub(exp(x), 1), expm1(x)


@identity
def exp_plus_minus_1(x):
    """exp(x) is 1 for x below 6e-8 (float32); expm1 keeps such an x."""
    return add(exp(x), -1), expm1(x)


@identity
def one_minus_exp(x):
    """exp(x) is 1 for x below 6e-8 (float32); expm1 keeps such an x."""
    return sub(1, exp(x)), neg(expm1(x))


@identity
def log_of_minus_expm1(x):
    """log(1 - exp(x)) cancels near 0; log1mexp has a form for it. Mächler (2012)."""
    return log(neg(expm1(x))), log1mexp(x)


@identity
def log1p_of_minus_exp(x):
    """log(1 - exp(x)) cancels near 0; log1mexp has a form for it. Mächler (2012)."""
    return log1p(neg(exp(x))), log1mexp(x)


# --- the logistic function ------------------------------------------------------------


@identity
def log1p_of_exp(x):
    """Exp overflows float32 above 88.7; softplus does not. Mächler (2012)."""
    return log1p(exp(x)), softplus(x)


@identity
def log_of_sigmoid(x):
    """sigmoid(x) is 0 below -104 (float32), its logarithm -inf; -softplus(-x) is x."""
    return log(sigmoid(x)), neg(softplus(neg(x)))


@identity
def log1p_of_minus_sigmoid(x):
    """1 - sigmoid(x) is 0 above 17 (float32); -softplus(x) is -x there."""
    return log1p(neg(sigmoid(x))), neg(softplus(x))


@identity
def one_minus_sigmoid(x):
    """1 - sigmoid(x) is 0 above 17 (float32); sigmoid(-x) keeps its digits."""
    return sub(1, sigmoid(x)), sigmoid(neg(x))


@identity
def reciprocal_of_1_plus_exp(x):
    """Exp overflows float32 above 88.7, and its square in the derivative above 44."""
    return reciprocal(add(1, exp(x))), sigmoid(neg(x))


@identity
def one_over_1_plus_exp(x):
    """Exp overflows float32 above 88.7, and its square in the derivative above 44."""
    return true_div(1, add(1, exp(x))), sigmoid(neg(x))


@identity
def over_1_plus_exp(c, x):
    """Exp overflows float32 above 88.7; c sigmoid(-x) does not."""
    return true_div(c, add(1, exp(x))), mul(c, sigmoid(neg(x)))


@identity
def sigmoid_of_logit(x):
    """log(x / (1 - x)) is what sigmoid undoes."""
    return sigmoid(log(true_div(x, sub(1, x)))), x


@node_rule(TrueDiv)
def odds_of_sigmoid(node):
    """sigmoid(x) / sigmoid(-x) is exp(x); the divisor is 0 above 104 (float32)."""
    x, y = (node_of(v, Sigmoid) for v in node.inputs)
    if x is None or y is None or not opposite(x.inputs[0], y.inputs[0]):
        return None
    return exp(x.inputs[0])


def opposite(x: Variable, y: Variable) -> bool:
    """Whether y is -x by the way it is written."""
    for a, b in ((x, y), (y, x)):
        node = node_of(a, Neg)
        if node is not None and node.inputs[0] is b:
            return True
    a_node, b_node = x.owner, y.owner
    if a_node is None or b_node is None or type(a_node.op) is not type(b_node.op):
        return False
    if isinstance(a_node.op, Sub):
        return a_node.inputs == b_node.inputs[::-1]
    if isinstance(a_node.op, Mul | TrueDiv):
        for i in (0, 1):
            a, b = uniform_value(a_node.inputs[i]), uniform_value(b_node.inputs[i])
            if a is not None and b is not None and a == -b:
                return a_node.inputs[1 - i] is b_node.inputs[1 - i]
    return False


def _exp_joins(factor: Any, x: Variable, context: Context) -> Result:
    """exp(u) sigmoid(-u) = sigmoid(u)."""
    node = node_of(x, Sigmoid)
    u = factor.owner.inputs[0]
    return sigmoid(u) if node is not None and opposite(node.inputs[0], u) else None


def _exp_cancels(factor: Any, y: Variable, context: Context) -> Result:
    """exp(u) / expm1(u), and exp(u) / (exp(u) + exp(v)) = sigmoid(u - v)."""
    u = factor.owner.inputs[0]
    node = node_of(y, Expm1)
    if node is not None and node.inputs[0] is u:
        return neg(reciprocal(expm1(neg(u))))
    exponents = sum_of_exps(y)
    if u not in exponents or len(exponents) < 2:
        return None
    others = list(exponents)
    others.remove(u)
    joined = others[0]
    for v in others[1:]:
        joined = logaddexp(joined, v)
    return sigmoid(sub(u, joined))


@node_rule(Mul, TrueDiv)
def exp_in_product(node, context):
    """exp(x) sigmoid(-x) is sigmoid(x), and inf times 0 above 88.7 (float32).

    In the same way exp(x) / expm1(x) is -1 / expm1(-x), and not inf / inf.
    So end the derivatives of log(1 + exp(x)), 1 / (1 + exp(x)), log(1 - exp(x)) and
    log(exp(x) + exp(y)).
    """
    return push(node, context, Product(context, _exp_joins, _exp_cancels), Exp)


def push(node: Apply, context: Context, product: Product, *ops) -> Variable | None:
    """The product when one side took in a factor made by `ops` of the other."""
    x, y = node.inputs
    if isinstance(node.op, TrueDiv):
        for factor, path in factors(x, *ops):
            taken = product.over(factor, y)
            if taken is not None:
                return _joined(without(x, [path]), taken, node, context)
        return None
    for a, b in ((x, y), (y, x)):
        for factor, path in factors(b, *ops):
            taken = product.times(a, factor)
            if taken is not None:
                return _joined(taken, without(b, [path]), node, context)
    return None


def _joined(a: Result, b: Result, node: Apply, context: Context) -> Variable | None:
    if isinstance(a, One) or isinstance(b, One):
        left = b if isinstance(a, One) else a
        return (
            None
            if isinstance(left, One) or left is None
            else fit(left, node.output, context)
        )
    return mul(a, b)


# --- sums of exponentials -------------------------------------------------------------


def sum_of_exps(variable: Variable) -> list[Variable]:
    """The exponents when `variable` is a sum of at most 16 exponentials."""
    pending = [variable]
    found: list[Variable] = []
    while pending and len(found) <= 16:
        node = node_of(pending.pop(), Add, Exp, DimShuffle)
        if node is None:
            return []
        if isinstance(node.op, Add):
            pending.extend(reversed(node.inputs))
            continue
        inner = (
            node_of(node.inputs[0], Exp) if isinstance(node.op, DimShuffle) else node
        )
        if inner is None:
            return []
        x = inner.inputs[0]
        found.append(node.op(x) if isinstance(node.op, DimShuffle) else x)
    return [] if pending else found


@node_rule(Log)
def log_of_added_exps(node):
    """Exp overflows float32 above 88.7; logaddexp takes the larger exponent out."""
    exponents = sum_of_exps(node.inputs[0])
    if len(exponents) < 2:
        return None
    total = exponents[0]
    for x in exponents[1:]:
        total = logaddexp(total, x)
    return total


@node_rule(Log)
def log_of_sum_of_exp(node):
    """Above 88.7 exp overflows float32: the maximum is taken out. Blanchard et al.

    An infinite maximum stays in, so that all -inf gives -inf and not NaN.
    """
    total = node_of(node.inputs[0], Sum)
    terms = None if total is None else node_of(total.inputs[0], Exp)
    if total is None or terms is None or terms.output.dtype != node.output.dtype:
        return None
    return LogSumExp(total.op.axes)(terms.inputs[0])


def _sum_of_exp(factor: Any, y: Variable, context: Context) -> Result:
    """exp(x) / sum(exp(x), keepdims), a softmax over one axis or several."""
    node = node_of(y, BroadcastTo)
    kept = node_of(node.inputs[0] if node else y, DimShuffle)
    total = None if kept is None else node_of(kept.inputs[0], Sum)
    if total is None or total.inputs[0] is not factor:
        return None
    axes = total.op.axes
    if stretch_axes(kept) != axes or _is_safe(factor, axes):
        return None
    return softmax_over(factor.owner.inputs[0], axes)


def _is_safe(exponential: Any, axes: tuple[int, ...]) -> bool:
    """Whether the maximum was taken out already, by a softmax over several axes."""
    shifted = node_of(exponential.owner.inputs[0], Sub)
    kept = None if shifted is None else node_of(shifted.inputs[1], DimShuffle)
    top = None if kept is None else node_of(kept.inputs[0], Supremum)
    return top is not None and top.op.axes == axes


def _exp_over_sum(factor: Any, x: Variable, context: Context) -> Result:
    """exp(x) times what is divided by sum(exp(x)) before its axes were put back."""
    node = node_of(x, DimShuffle)
    axes = None if node is None else stretch_axes(node)
    if not axes:
        return None
    total = context.existing(Sum(axes), factor)
    if total is None or _is_safe(factor, axes):
        return None
    rest = Product(context, _nothing, _itself).times(node.inputs[0], total)
    if rest is None:
        return None
    weights = softmax_over(factor.owner.inputs[0], axes)
    return weights if isinstance(rest, One) else mul(node.op(rest), weights)


def _nothing(factor: Variable, x: Variable, context: Context) -> Result:
    return None


def _itself(factor: Variable, y: Variable, context: Context) -> Result:
    return ONE if y is factor else None


@node_rule(Mul, TrueDiv)
def exp_over_sum_of_exp(node, context):
    """exp(x) / sum(exp(x)) is softmax(x), and inf / inf above 88.7 (float32).

    The division may stand anywhere in the product: in the derivatives of
    log(sum(exp(x))) and of exp(x) / sum(exp(x)) itself it does.
    """
    return push(node, context, Product(context, _exp_over_sum, _sum_of_exp), Exp)


@node_rule(Softmax, LogSoftmax)
def softmax_of_shifted(node):
    """A softmax takes the maximum out itself."""
    shifted = node_of(node.inputs[0], Sub)
    kept = None if shifted is None else node_of(shifted.inputs[1], DimShuffle)
    top = None if kept is None else node_of(kept.inputs[0], Max)
    if (
        top is None
        or top.op.axes != (node.op.axis,)
        or stretch_axes(kept) != top.op.axes
    ):
        return None
    return node.op(top.inputs[0]) if top.inputs[0] is shifted.inputs[0] else None


# --- probabilities --------------------------------------------------------------------


@node_rule(Log)
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
    """sigmoid(-u) exp(u) = sigmoid(u)."""
    node = node_of(x, Exp)
    if node is None or not isinstance(factor.owner.op, Sigmoid):
        return None
    return (
        sigmoid(node.inputs[0])
        if opposite(node.inputs[0], factor.owner.inputs[0])
        else None
    )


@node_rule(Mul, TrueDiv)
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


# --- guards ---------------------------------------------------------------------------


@node_rule(Mul, TrueDiv, tags=["finite_math"])
def switch_below_product(node):
    """switch(c, a, 0) b is switch(c, a b, 0): no NaN where c is false and b infinite.

    So ``switch(x > 0, log(x), 0)`` keeps a finite gradient at 0. The 0 loses the sign
    of b.
    """
    x, y = node.inputs
    pairs = ((x, y), (y, x)) if isinstance(node.op, Mul) else ((x, y),)
    for guarded, other in pairs:
        choice = node_of(guarded, Switch)
        if choice is None:
            continue
        condition, a, b = choice.inputs
        if uniform_value(b) == 0:
            return switch(condition, node.op(a, other), 0)
        if uniform_value(a) == 0:
            return switch(condition, 0, node.op(b, other))
    return None


RULES = tagged(
    "stability",
    log_of_1_plus,
    log_of_1_minus,
    exp_minus_1,
    exp_plus_minus_1,
    one_minus_exp,
    log_of_minus_expm1,
    log1p_of_minus_exp,
    log1p_of_exp,
    log_of_sigmoid,
    log1p_of_minus_sigmoid,
    one_minus_sigmoid,
    reciprocal_of_1_plus_exp,
    one_over_1_plus_exp,
    over_1_plus_exp,
    sigmoid_of_logit,
    odds_of_sigmoid,
    log_of_added_exps,
    log_of_sum_of_exp,
    softmax_of_shifted,
    log_of_softmax,
    switch_below_product,
    exp_over_sum_of_exp,
    probability_over_itself,
    exp_in_product,
)
