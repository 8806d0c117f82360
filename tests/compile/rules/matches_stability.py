"""Graphs that the rules of stable forms match: more of `matches`."""

import numpy as np

import workbench.tensor as T
from tests.compile.rules.drawing import matches, row
from workbench.core.ops.gathering import Put

# --- complements ----------------------------------------------------------------------

row(
    "log_of_1_and_more",
    lambda d: (lambda x, y: T.log((1 + x) + y))(*d.pair(low=0)),
    lambda d: T.log(2 - (1 - d.any(low=0))),
    lambda d: (lambda x, y: T.log(0.5 + x - y + 0.5))(*d.pair(low=0, high=0.4)),
)
row(
    "complement_in_sum",
    lambda d: 1 - T.sigmoid(d.any()) + d.new(),
    lambda d: (lambda x, y: (T.exp(x) + y) - 1)(*d.pair()),
    lambda d: (lambda x, y: T.exp(x) - (1 - T.exp(y)) - 1)(*d.pair()),
    lambda d: 0.5 + 0.5 * T.erf(d.any()),
    lambda d: 0.5 - T.erf(d.any()) / 2,
    lambda d: -T.erfc(d.any()) + d.new() + 2,
    lambda d: T.sigmoid(d.any(dtype="float32")) - 1,
    lambda d: 1 - T.ndtr(d.any()) - d.new(),
    lambda d: T.expm1(d.any()) + d.new() + 1,
)

# --- exponentials ---------------------------------------------------------------------

row(
    "reciprocal_of_exp",
    lambda d: T.reciprocal(T.exp(d.any())),
    lambda d: 1 / T.exp(d.any(dtype="float32")),
    lambda d: -1 / T.exp(d.any()),
)
row(
    "log1p_of_exps",
    lambda d: (lambda x, y: T.log1p(T.exp(x) + T.exp(y)))(*d.pair()),
    lambda d: T.log1p(2 * T.exp(d.any())),
    lambda d: T.log1p(T.sum(T.exp(d.new(*d.shape(2))), axis=1)),
    lambda d: (lambda x, y: T.log1p(-(T.exp(x) * T.exp(y))))(*d.pair(high=-0.5)),
)
row(
    "log_of_added_exps",
    lambda d: (lambda x, y: T.log(2 * T.exp(x) + T.exp(y) / 3 + 0.5))(*d.pair()),
    lambda d: T.log(3 + T.exp(d.any())),
    lambda d: (lambda x: T.log(T.exp(x) + T.sum(T.exp(x))))(d.new(*d.shape(2))),
    lambda d: T.log(T.exp(d.new(3, 2)) + T.exp(d.new(2))),
)
row(
    "log_of_difference_of_exps",
    lambda d: (lambda x, y: T.log(T.exp(x) - T.exp(y)))(
        d.any(low=2, high=3), d.new(low=-2, high=1)
    ),
    lambda d: T.log(T.exp(d.any(low=1)) - 0.5),
    lambda d: T.log(9 - T.exp(d.any())),
    lambda d: T.log(T.exp(d.any(low=1)) - 0.5 * T.exp(d.new(high=0)) + T.exp(d.new())),
)


@matches("exp_over_itself")
def _(d):
    x = d.any()
    return d.new() * T.exp(x) / T.exp(x)


@matches("exp_over_itself")
def _(d):
    x, y = d.pair()
    return T.exp(x - y) * (d.new() * T.exp(y - x))


@matches("exp_in_product")
def _(d):
    x = d.any(low=1)
    return T.exp(x) / (T.exp(x) - 0.5)


@matches("exp_in_product")
def _(d):
    x = d.any(high=0)
    return d.new() * T.exp(x) / (3 - 2 * T.exp(x))


@matches("exp_in_product")
def _(d):
    x = d.any()
    return T.exp(x) * (d.new() / (2 + 3 * T.exp(x)) ** 2)


@matches("exp_in_product")
def _(d):
    x = d.new(3)
    return T.sum(d.new(4, 3) / (T.exp(x) + T.exp(d.new(4, 3))), axis=0) * T.exp(x)


@matches("exp_in_product")
def _(d):
    x = d.any()
    return T.exp(x) / (d.new() / T.sigmoid(-x))


@matches("exp_in_product")
def _(d):
    x = d.any()
    return (T.exp(x) * d.new()) * T.exp(-x)


# --- the logistic function ------------------------------------------------------------

row(
    "divisor_with_1_plus_exp",
    lambda d: d.new() / (1 + T.exp(d.any())) ** 2,
    lambda d: T.reciprocal(T.sqr(1 + T.exp(d.any()))),
    lambda d: (lambda x, y: y / ((T.exp(x) + 1) * y))(*d.pair(low=0.5)),
)
row(
    "power_of_1_plus_exp",
    lambda d: (1 + T.exp(d.any())) ** -1,
    lambda d: (1 + T.exp(d.any(dtype="float32"))) ** -2.5,
)
row(
    "sigmoid_over_exp",
    lambda d: (lambda x: T.sigmoid(x) / T.exp(x))(d.any()),
    lambda d: (lambda x, y: (y * T.sigmoid(x)) / (T.exp(x) * 2))(*d.pair()),
)
row("logit_of_sigmoid", lambda d: T.logit(T.sigmoid(d.any())))
row("sigmoid_of_logit", lambda d: T.sigmoid(T.logit(d.any(low=0.1, high=0.9))))
row(
    "share_less_its_share",
    lambda d: (lambda x, y: y - y * T.sigmoid(x))(*d.pair()),
    lambda d: (lambda x, y: T.sqr(T.sigmoid(x)) * y - T.sigmoid(x) * y)(*d.pair()),
    lambda d: (lambda x: T.sigmoid(-x) - T.sigmoid(x))(d.any()),
    lambda d: (lambda x, y: T.sigmoid(x) * y * 2 - y)(*d.pair()),
    lambda d: (lambda x, y: y * 2 + T.exp(x) - 2 * (T.sigmoid(x) * y))(*d.pair()),
)

# --- error functions ------------------------------------------------------------------

row(
    "density_over_tail",
    lambda d: (lambda x: 3 * T.exp(-T.sqr(x)) / T.erfc(x))(d.any()),
    lambda d: (lambda x: T.exp(-x * x) * (d.new() / T.erfc(x)))(d.any()),
    lambda d: (lambda x: T.exp(-(x**2) / 2) / T.erfc(x / np.sqrt(2)))(d.any()),
    lambda d: (lambda x: T.exp(-0.5 * T.sqr(x)) / T.ndtr(x))(d.any()),
    lambda d: (lambda x: T.exp(T.sqr(x)) * (2 * T.erfc(x)))(d.any()),
)

row(
    "log_of_tail",
    lambda d: T.log(T.erfc(d.any())),
    lambda d: T.log(T.ndtr(d.any(dtype="float32"))),
)
row(
    "log1p_of_minus_erf",
    lambda d: T.log1p(-T.erf(d.any())),
    lambda d: T.log1p(T.erf(d.any())),
    lambda d: T.log1p(-T.ndtr(d.any())),
)

# --- logarithms -----------------------------------------------------------------------

row(
    "log_of_product",
    lambda d: (lambda x, y: T.log(T.exp(x) * y))(*d.pair(low=0.5)),
    lambda d: (lambda x, y: T.log(T.exp(x) / T.exp(y)))(*d.pair()),
    lambda d: (lambda x, y: T.log(3 * T.sigmoid(x) / y))(*d.pair(low=0.5)),
    lambda d: T.log(T.nnet.softmax(d.new(3, 4)) * 2),
    lambda d: T.log(T.mean(T.exp(d.new(3, 4)), axis=1)),
    lambda d: T.log(T.sqrt(T.exp(d.any()))),
    lambda d: T.log(T.sqr(T.sigmoid(d.any()))),
    lambda d: T.log(T.exp(d.any()) ** 1.5),
    lambda d: T.log(0.5 * T.erfc(d.any())),
    lambda d: T.log(T.kv(d.new(low=0.1, high=1), d.any(low=0.5)) / 2),
)
row(
    "log_of_power",
    lambda d: T.log(d.any(low=0.5) ** 3),
    lambda d: T.log(d.any() ** 4),
    lambda d: T.log(d.any(low=0.5) ** -0.5),
)
row(
    "log_of_product",
    lambda d: (lambda x, y: T.log(T.sigmoid(x) ** y))(*d.pair()),
    lambda d: (lambda x, y: T.log(T.exp(x) ** y))(*d.pair()),
)
row(
    "power_over_power",
    lambda d: (lambda x, y: y * x**2.7 / x**3.7)(*d.pair(low=0.5)),
    lambda d: (lambda x: T.reciprocal(T.sqr(x)) * (2 * x))(d.any(low=0.5)),
    lambda d: (lambda x, y: x ** (y - 1) / x**y)(*d.pair(low=0.5)),
)
row(
    "log_of_prod",
    lambda d: T.log(T.prod(T.sqr(d.new(2, 3)), axis=1)),
    lambda d: T.log(T.prod(T.exp(d.new(*d.shape(2))))),
    lambda d: T.log(T.prod(T.abs(d.new(*d.shape(2))), axis=0)),
)
row(
    "log_of_det",
    lambda d: T.log(T.linalg.det(T.dot((x := d.new(3, 3)), x.T) + T.eye(3))),
    lambda d: T.log(T.abs(T.linalg.det(d.new(3, 3)))),
)
row(
    "log_of_bessel",
    lambda d: T.log(T.kv(d.new(low=0.1, high=1), d.any(low=0.5))),
    lambda d: T.log(T.iv(d.new(low=0.1, high=1), d.any(low=0.5))),
)
row(
    "bessel_over_bessel",
    lambda d: (lambda x, y: (y / T.kv(0.5, x)) * T.kv(1.5, x))(*d.pair(low=0.5)),
    lambda d: (
        lambda x: (T.iv(2.0, x) - 3 * T.iv(0.0, x)) * T.reciprocal(T.iv(1.0, x))
    )(d.any(low=0.5)),
)

# --- softmax --------------------------------------------------------------------------


@matches("minus_log_sum_exp")
def _(d):
    x = d.new(*d.shape(2, low=2))
    return x - T.nnet.logsumexp(x, axis=0, keepdims=True)


@matches("rearranged_exp")
def _(d):
    x = d.new(3, 4)
    return T.exp(x).T / d.new(3, low=1).dimshuffle("x", 0)


@matches("exp_over_sum_of_exp")
def _(d):
    x = d.new(3, 4)
    return T.exp(x) / (2 * T.exp(x).sum(axis=1)).dimshuffle(0, "x")


@matches("exp_over_sum_of_exp")
def _(d):
    x = d.new(*d.shape(1))
    return T.exp(x) / T.sum(T.exp(x))


@matches("exp_over_sum_of_exp")
def _(d):
    x = d.new(3, 4)
    total = T.exp(x).sum(axis=1)
    return (d.new(3) / (1 + total)).dimshuffle(0, "x") * T.exp(x)


@matches("exp_over_sum_of_exp")
def _(d):
    e = 3 * T.exp(d.new(3, 4))
    return e / (2 * e.sum(axis=1, keepdims=True))


@matches("exp_over_sum_of_exp")
def _(d):
    e = T.exp(d.new(3, 4))
    return e.T * (d.new(4, 3) / (d.new(1, 1, low=1) * e.sum(axis=1).dimshuffle("x", 0)))


@matches("exp_over_sum_of_exp")
def _(d):
    e, rows = T.exp(d.new(4, 3)), T.constant(np.array([3, 1, 0, 1]))
    part = d.new(4, 3) / e[rows].sum(axis=1).dimshuffle(0, "x")
    return e * Put(1, True)(T.constant(np.zeros((4, 3))), part, rows)


@matches("exp_over_sum_of_exp")
def _(d):
    e = T.exp(d.new(4, 3))
    part = d.new(2, 6) / T.reshape(e, (2, 6)).sum(axis=1).dimshuffle(0, "x")
    return e * T.reshape(part, (4, 3))


@matches("mean_weighted_by_exp")
def _(d):
    x = d.new(3, 4)
    e = T.exp(x)
    return d.new(3) * (d.new(3, 4) * e).sum(axis=1) / e.sum(axis=1)


@matches("softmax_of_shifted")
def _(d):
    x = d.new(*d.shape(2, low=2))
    return T.nnet.logsoftmax(x - T.max(x), axis=0)


@matches("probability_over_itself")
def _(d):
    p = T.nnet.softmax(d.new(2, 3))
    return p * T.reshape(1 / p.flatten(), (2, 3))


@matches("probability_over_itself")
def _(d):
    x = d.any()
    return T.sigmoid(-x) * (d.new() * (1 + T.exp(x)))


# --- guards ---------------------------------------------------------------------------


@matches("switch_below_cast")
def _(d):
    x = d.any(dtype="float32")
    return T.cast(T.switch(T.gt(x, 0), x, 0), "float64")


row(
    "factor_over_its_root",
    lambda d: (lambda x, y: (x * y) / T.sqrt(x))(*d.pair(low=0.5)),
    lambda d: (lambda x: T.reciprocal(T.sqrt(T.sqr(x))) * x)(d.any(low=0.5)),
    lambda d: (lambda x: -(3 * x) / T.abs(x))(d.any(low=0.5)),
)
