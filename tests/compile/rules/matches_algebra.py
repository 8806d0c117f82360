"""Graphs that the rules of algebra, powers, choices and reductions match: more of `matches`."""

import numpy as np

import workbench as wb
import workbench.tensor as T
from tests.compile.rules.drawing import matches, row, sizes_of, stretch
from workbench.core.ops.elementwise import Switch
from workbench.core.ops.joining import Join
from workbench.core.ops.reduction import Infimum, Supremum
from workbench.core.ops.shape import SizeOf, SpecifyShape
from workbench.core.ops.ufunc import Cast

# --- one operation --------------------------------------------------------------------

row(
    "abs_of_nonnegative",
    lambda d: abs(T.exp(d.any())),
    lambda d: abs(T.sqr(d.any(dtype="float32"))),
    lambda d: abs(T.sigmoid(d.any())),
)
row(
    "rounding_of_whole",
    lambda d: T.floor(T.round(d.any())),
    lambda d: T.ceil(T.cast(d.any(dtype="int32"), "float64")),
    lambda d: T.trunc(T.trunc(d.any(dtype="float32"))),
)
row("cast_of_cast", lambda d: Cast("float64")(d.any()))

# --- sums -----------------------------------------------------------------------------


@matches("like_terms")
def _(d):
    x, y = d.pair()
    return x + y - x


@matches("like_terms")
def _(d):
    x, y = d.pair(dtype="float32")
    return y - (x + y)


@matches("like_terms")
def _(d):
    """Operands whose sizes nothing shows to be equal: the check stays."""
    x, y, z = (d.like((3,)) for _ in range(3))
    return ((x + y) - (z - 2 * y)) - 3 * y


row(
    "like_terms",
    lambda d: (lambda x: 2 * x + x)(d.any()),
    lambda d: (lambda x: x - 3 * x)(d.any()),
    lambda d: (lambda x: T.exp(x) - (x - x * 0.25))(d.any()),
    lambda d: 1 + (d.any() + 2),
    lambda d: 1 - (d.any() - 2),
    lambda d: (3 - d.any()) - 2,
    lambda d: 1 - (2 - d.any()),
    lambda d: (d.any() + 2) - 5,
    lambda d: (lambda x, y: (x + 2) + (y - 5))(*d.pair()),
    lambda d: (lambda x, y: (x + 2) + (y - 2))(*d.pair()),
    lambda d: (lambda x: (x + 1) - (x - 1))(d.any()),
)
row(
    "like_int_terms",
    lambda d: (lambda x, y: x + y - x)(*d.pair(dtype="int8")),
    lambda d: (lambda x, y: (x - y) - x)(*d.pair(dtype="uint8")),
    lambda d: (lambda x: 100 * x + 100 * x)(d.any(dtype="int8")),
    lambda d: (lambda x: x - 3 * x)(d.any(dtype="uint16")),
    lambda d: 1 + (2 - d.any(dtype="uint8")),
    lambda d: (d.any(dtype="int64") - 1) + 1,
)


def left_behind(x, n):
    """A check as a rule leaves it."""
    check = SpecifyShape().make_node(x, *n)
    check.origin = type(check.origin)(check.origin.place, rule="some_rule")
    return check.output


@matches("check_outside")
def _(d):
    x, y = d.like((2, 3)), d.like((1, 3))
    z = d.like((2, 3))
    return y * left_behind(x, sizes_of(z))


@matches("check_outside")
def _(d):
    x = d.like((3,))
    return -left_behind(x, [SizeOf(0)(d.like((3,)))])


# --- products -------------------------------------------------------------------------


@matches("factor_over_itself")
def _(d):
    x = d.any(low=1)
    return (x * T.exp(x)) / x


@matches("factor_over_itself")
def _(d):
    x = d.any(low=1)
    return T.sin(x) * -(T.exp(x) / T.sin(x))


@matches("factor_over_itself")
def _(d):
    x, y, z = (d.like((4,), low=1) for _ in range(3))
    return x * y / z / x


@matches("factor_over_itself")
def _(d):
    x, y = d.pair(low=1, dtype="float32")
    return x * y / x


@matches("square_over_factor")
def _(d):
    x, y = d.pair(low=1)
    return T.sqr(y) * x / y


@matches("square_over_factor")
def _(d):
    x, y, z = (d.like((3,), low=1, dtype="float32") for _ in range(3))
    return x * (y / T.sqr(x)) * z


@matches("square_over_factor")
def _(d):
    x = d.any(low=1)
    return x * T.reciprocal(T.sqr(x))


@matches("factor_into_sum")
def _(d):
    a, b = d.pair(low=1)
    return (a / b + d.new()) * b


@matches("factor_into_sum")
def _(d):
    a, b = d.pair(low=1)
    return (T.exp(a) - 2 * (a / b)) * b


@matches("factor_into_sum")
def _(d):
    a, b, c = (d.like((3,), low=1) for _ in range(3))
    return (a / b - c * T.reciprocal(b)) * b


@matches("factor_into_sum")
def _(d):
    a, b, c = (d.like((2, 3), low=1) for _ in range(3))
    return (a * b - (c + T.sin(b) * b)) / b


@matches("quotient_of_quotient")
def _(d):
    x = d.new(*d.shape(2, low=2), dtype="float32")
    return x / x.shape[0].astype("float32") / T.cast(x.shape[1], "float32")


row(
    "join_int_constants",
    lambda d: 2 * (d.any(dtype="int32") * 3),
    lambda d: (d.any(dtype="uint8") * 100) * 3,
)
row(
    "join_constants",
    lambda d: 2 * (d.any() * 3),
    lambda d: (d.any() / 2) * 3,
    lambda d: 6 / (d.any(low=1) / 2),
    lambda d: (2 * d.any()) / 3,
    lambda d: (3 / d.any(low=1)) / 2,
    lambda d: 6 / (3 * d.any(low=1)),
    lambda d: 6 / (3 / d.any(low=1)),
    lambda d: (d.any() / 2) / 3,
)
row(
    "constant_out_of_product",
    lambda d: (lambda x, y: (2 * x) * (y * 3))(*d.pair()),
    lambda d: (lambda x, y: ((2 * x) * y) / 4)(*d.pair(dtype="float32")),
    lambda d: (lambda x, y: (2 * x) / (y * 3))(*d.pair(low=1)),
    lambda d: (lambda x, y: (x / 3) * (y / 5))(*d.pair()),
)

row(
    "times_reciprocal",
    lambda d: (lambda x, y: x * T.reciprocal(y))(*d.pair(low=1)),
    lambda d: (lambda x, y: T.reciprocal(x) * T.exp(y))(*d.pair(low=1)),
)

# --- powers ---------------------------------------------------------------------------

for exponent in (3, 4, 5, 6, 7, 8, -2, -3, -4):
    row("small_power", lambda d, e=exponent: d.any() ** e)
row(
    "small_power",
    lambda d: d.any(dtype="float32") ** 3,
    lambda d: d.any(dtype="int8") ** 13,
    lambda d: d.any(dtype="uint16") ** 64,
    lambda d: T.pow(d.new(1, 3), T.constant(np.full((2, 1), 3.0))),
)


@matches("product_of_powers")
def _(d):
    x = d.any(low=0.5)
    return T.pow(x, 0.3) * T.pow(x, 0.4)


@matches("product_of_powers")
def _(d):
    x = d.any(low=0.5)
    return T.pow(x, 2.5) / x


@matches("product_of_powers")
def _(d):
    x, y = (d.like((3,), low=0.5) for _ in range(2))
    return T.pow(x, y) * T.pow(x, d.new())


@matches("product_of_powers")
def _(d):
    x, y = (d.like((3,), low=0.5) for _ in range(2))
    return T.sqrt(x) / T.pow(x, y)


@matches("product_of_powers")
def _(d):
    x = d.any(low=0.5)
    return T.sqr(x) / x


@matches("product_of_powers")
def _(d):
    x = d.any(low=0.5)
    return x / T.sqrt(x)


@matches("product_of_powers")
def _(d):
    x = d.any(low=0.5)
    return T.sqr(x) * T.reciprocal(x)


row(
    "product_of_exps",
    lambda d: (lambda x, y: T.exp(x) * T.exp(y))(*d.pair()),
    lambda d: (lambda x, y: T.exp(x) / T.exp(y))(*d.pair(dtype="float32")),
)
row(
    "power_of_exp",
    lambda d: (lambda x, y: T.pow(T.exp(x), y))(*d.pair()),
    lambda d: T.pow(T.exp(d.any()), 0.3),
)

# --- comparisons ----------------------------------------------------------------------


@matches("size_compared")
def _(d):
    n = SizeOf(0)(d.new(d.size()))
    return T.lt(n, 0), T.ge(n, 0), T.gt(-1, n), T.eq(n, -1), T.neq(-2, n)


@matches("size_compared")
def _(d):
    x = d.new(*d.shape(2))
    return T.switch(T.lt(SizeOf(0)(x) * SizeOf(1)(x) + 2, 0), 1, 2)


@matches("logic_of_equals")
def _(d):
    x = d.any(dtype="bool")
    return x & x


@matches("logic_of_equals")
def _(d):
    x = d.any(dtype="uint8")
    return x | x


@matches("xor_of_equals")
def _(d):
    x = d.any(dtype=str(d.rng.choice(["bool", "int16"])))
    return x ^ x


row(
    "logic_with_constant",
    lambda d: d.any(dtype="bool") & True,
    lambda d: d.any(dtype="bool") & False,
    lambda d: d.any(dtype="bool") | True,
    lambda d: d.any(dtype="bool") ^ False,
    lambda d: d.any(dtype="int8") & -1,
    lambda d: d.any(dtype="uint8") | 255,
    lambda d: T.and_(d.new(3, dtype="bool"), T.constant(np.ones((2, 3), bool))),
)
row(
    "invert_of_invert",
    lambda d: ~~d.any(dtype="bool"),
    lambda d: ~~d.any(dtype="uint32"),
)
row(
    "invert_of_comparison",
    lambda d: (lambda x, y: ~T.lt(x, y))(*d.pair(dtype="int32")),
    lambda d: (lambda x, y: ~T.ge(x, y))(*d.pair(dtype="uint8")),
    lambda d: (lambda x, y: ~T.eq(x, y))(*d.pair()),
    lambda d: (lambda x, y: ~T.neq(x, y))(*d.pair(dtype="bool")),
)

# --- choices --------------------------------------------------------------------------


@matches("switch_of_constant")
def _(d):
    return T.switch(False, d.like((2, 3)), d.like((2, 3)))


@matches("switch_between_equals")
def _(d):
    x = d.like((2, 3))
    return T.switch(d.like((2, 3), dtype="bool"), x, x)


@matches("switch_of_invert")
def _(d):
    x, y = d.pair()
    return T.switch(~T.gt(x, 0), x, y)


@matches("switch_of_switch")
def _(d):
    c, x = d.like((2, 3), dtype="bool"), d.like((2, 3))
    return T.switch(c, T.switch(c, x, d.like((1, 3))), d.like((2, 3)))


@matches("switch_of_switch")
def _(d):
    c, x = d.like((2, 3), dtype="bool"), d.like((2, 3))
    return T.switch(c, d.new(), T.switch(c, x, d.like((2, 3))))


@matches("switch_of_switch")
def _(d):
    c = d.like((1, 3), dtype="bool")
    one, two = d.like((1, 3)), d.like((2, 3))
    return Switch()(c, Switch()(c, one, two), d.like((1, 3)))


row(
    "ifelse_of_constant",
    lambda d: wb.ifelse(True, d.new(2, 3), d.new(3, 3)),
    lambda d: wb.ifelse(0, d.new(2, 3), d.new(1, 3)),
)
row(
    "ifelse_between_equals",
    lambda d: (lambda x: wb.ifelse(d.new(), x, x))(d.any()),
)
row(
    "ifelse_of_invert",
    lambda d: wb.ifelse(~T.gt(d.new(), 0), d.new(2), d.new(3)),
)
row(
    "ifelse_of_ifelse",
    lambda d: (lambda c: wb.ifelse(c, wb.ifelse(c, d.new(3), d.new(2)), d.new(4)))(
        d.new(dtype="bool")
    ),
    lambda d: (lambda c: wb.ifelse(c, d.new(1), wb.ifelse(c, d.new(3), d.new(1))))(
        d.new(dtype="bool")
    ),
)

row(
    "arccosh_of_cosh",
    lambda d: T.arccosh(T.cosh(d.any(low=0.1))),
    lambda d: T.arccosh(T.cosh(-d.any(low=0.5, dtype="float32"))),
)

# --- reductions -----------------------------------------------------------------------

row(
    "sum_of_multiple",
    lambda d: T.sum(3 * d.new(*d.shape(2)), axis=1),
    lambda d: T.sum(d.new(*d.shape(2)) / d.new()),
    lambda d: (lambda n: T.sum(d.new(n, 1) * d.new(n, 4), axis=1))(d.size()),
)
row(
    "int_sum_of_multiple",
    lambda d: T.sum(3 * d.new(*d.shape(2), dtype="int64"), axis=1),
    lambda d: (
        lambda n: T.sum(
            d.new(n, 1, dtype="uint64") * d.new(n, 4, dtype="uint64"), axis=1
        )
    )(d.size()),
)
row("prod_of_neg", lambda d: _known(d, lambda x: T.prod(-x, axis=0), 3))
row("prod_of_neg", lambda d: _known(d, lambda x: T.prod(-x, axis=0), 2))
row("prod_of_multiple", lambda d: _known(d, lambda x: T.prod(2 * x, axis=0), 3))
row(
    "prod_of_multiple",
    lambda d: _known(d, lambda x: T.prod(x * 3, axis=0), 4, dtype="int64"),
)


def _known(d, build, n, dtype="float64"):
    """A reduction along an axis whose size the type says."""
    x = d.like((n, 2), dtype=dtype)
    return build(T.specify_shape(x, (n, 2)))


row(
    "sum_of_repeated",
    lambda d: T.sum(stretch(d.new(1, 3), d.size(), 3), axis=0),
    lambda d: T.sum(stretch(d.new(1, 3), d.size(), 3)),
    lambda d: T.sum(stretch(d.new(1, dtype="int64"), 4)),
)
row(
    "extreme_of_repeated",
    lambda d: T.max(stretch(d.new(1, 3), 4, 3), axis=0),
    lambda d: T.min(stretch(d.new(1, 3), 2, 3)),
    lambda d: T.any(stretch(d.new(1, 3), 2, 3)),
    lambda d: Supremum((0, 1))(stretch(d.new(1, 3), 2, 3)),
)


for gather in (T.sum, T.prod, T.all, T.any):
    row(
        "reduction_of_join",
        lambda d, gather=gather: gather(
            Join(0)(*(d.new(d.size()) for _ in range(3))), axis=0
        ),
        lambda d, gather=gather: gather(
            Join(1)(*(d.new(1, d.size(), dtype="int8") for _ in range(2))), axis=(0, 1)
        ),
    )
for gather in (T.max, T.min):
    row(
        "reduction_of_join",
        lambda d, gather=gather: gather(
            Join(0)(d.new(d.size()), T.specify_shape(d.new(2), (2,))), axis=0
        ),
    )
row(
    "reduction_of_join",
    lambda d: Infimum((0,))(Join(0)(d.new(d.size()), d.new(d.size()))),
)

row(
    "extreme_of_neg",
    lambda d: -T.max(-d.new(*d.shape(2, low=2)), axis=1),
    lambda d: T.min(-d.new(*d.shape(2, low=2), dtype="float32")),
    lambda d: T.argmax(-d.new(3, 4), axis=0),
    lambda d: T.argmin(-d.new(3)),
    lambda d: Supremum((0,))(-d.new(d.size())),
)
row(
    "place_under_monotone",
    lambda d: T.argmax(T.nnet.softmax(d.new(3, 4)), axis=1),
    lambda d: T.argmin(T.nnet.logsoftmax(d.new(3, 4), axis=0), axis=0),
    lambda d: T.argmax(T.exp(d.new(3, 4)) + d.new(3, 1), axis=1),
    lambda d: T.argmax(d.new(1, 4) - T.tanh(d.new(3, 4)), axis=0),
    lambda d: T.argmin(T.log(d.new(3, low=0.1)) / -2),
    lambda d: T.argmax(-3 * T.cast(d.new(3, dtype="float32"), "float64")),
)


@matches("sum_of_products")
def _(d):
    """[i, k] and [k, j] as arrays of three axes, in any order, summed over k."""
    i, j, k = (int(a) for a in d.rng.permutation(3))
    size = d.size(low=2)
    shapes = [[1, 1, 1], [1, 1, 1]]
    shapes[0][i], shapes[0][k] = 2, size
    shapes[1][j], shapes[1][k] = 3, size
    dtype = str(d.rng.choice(["float32", "float64"]))
    x, y = (d.new(*shape, dtype=dtype) for shape in shapes)
    return T.sum(x * y, axis=k)
