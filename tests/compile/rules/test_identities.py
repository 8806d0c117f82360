"""Both sides of every identity, in higher precision, at random and at extreme points.

The left side is computed in long double, whose exponents reach 4932 and whose digits
are three more than a double's, so that it is the truth where a double overflows or
cancels.
"""

import itertools

import numpy as np
import pytest

import workbench.tensor as T
from workbench.compile.matching import build, match
from workbench.compile.record import Graph
from workbench.compile.rewrite import rewrite
from workbench.compile.rules import STAGES, canonical
from workbench.core.evaluate import evaluate
from workbench.core.graph import Constant, Variable, toposort
from workbench.core.types import TensorType

IDENTITIES = {
    rule.name: rule for _, rules in STAGES for rule in rules if rule.pair is not None
}
OF_FLOATS = [name for name, rule in IDENTITIES.items() if "f" in rule.pair.kinds]
EXACT = [
    name
    for name in OF_FLOATS
    if not IDENTITIES[name].tags & {"finite_math", "stability"}
]
TYPED = [
    (name, dtype)
    for name, rule in IDENTITIES.items()
    for dtype in ("float32", "float64", "int8", "uint16", "int64", "bool")
    if np.dtype(dtype).kind in rule.pair.kinds
]
EXTREMES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-300,
    -1e300,
    5e-324,
    800.0,
    -800.0,
    np.inf,
    -np.inf,
    np.nan,
]
LONG, DOUBLE = np.finfo(np.longdouble), np.finfo(float)

long_double = pytest.mark.skipif(LONG.nmant < 63, reason="long double is double here")


def in_long_double(variable, values):
    """The value of `variable` with every reference run in long double."""
    known = {v: np.asarray(a, np.longdouble) for v, a in values.items()}
    for node in toposort([variable], known):
        inputs = [
            known[v] if v in known else np.asarray(v.data, np.longdouble)
            for v in node.inputs
        ]
        known[node.output] = node.op.reference(*inputs)
    return variable.data if isinstance(variable, Constant) else known[variable]


def random_points(pair, rng):
    """60 points for each wildcard: near 0, ordinary, and beyond what exp can take."""
    scales = np.repeat([1e-9, 1.0, 30.0, 1000.0], 15)
    return [rng.standard_normal(60) * rng.permutation(scales) for _ in pair.wildcards]


@long_double
@pytest.mark.parametrize("name", OF_FLOATS)
def test_sides_agree_at_random_points(name):
    pair = IDENTITIES[name].pair
    points = dict(
        zip(pair.wildcards, random_points(pair, np.random.default_rng(1)), strict=True)
    )

    with np.errstate(all="ignore"):
        truth = in_long_double(pair.left, points)
        plain = evaluate_each(pair.left, points)
        found = evaluate_each(pair.right, points)

        loss = 10 * np.abs(plain - truth) * (LONG.eps / DOUBLE.eps)

    # Where terms cancel, long double loses as many digits as double, of 11 bits more.
    # Where double has nothing left at all, the truth is good for two digits.
    sure = np.isfinite(truth) & (np.abs(truth) < 1e300)
    lost = np.where(np.isfinite(plain), loss, 0.01 * np.abs(truth))
    assert sure.sum() > 10
    assert np.all(
        np.abs(found - truth)[sure]
        <= (1e-13 * np.abs(truth) + lost + 4 * LONG.eps)[sure]
    )


def evaluate_each(side, points):
    """One side at each point in double precision."""
    size = len(next(iter(points.values())))
    values = []
    for i in range(size):
        given = {v: np.asarray(p[i]) for v, p in points.items()}
        values.append(evaluate([side], given)[0])
    return np.array(values, float)


@pytest.mark.parametrize("name", EXACT)
def test_exact_sides_agree_at_extreme_points(name):
    pair = IDENTITIES[name].pair

    for point in itertools.product(EXTREMES, repeat=len(pair.wildcards)):
        values = dict(zip(pair.wildcards, map(np.asarray, point), strict=True))
        left, right = (
            float(evaluate([side], values)[0]) for side in (pair.left, pair.right)
        )
        np.testing.assert_allclose(
            right, left, rtol=1e-15, err_msg=f"{name} at {point}"
        )
        assert np.isnan(left) or np.signbit(left) == np.signbit(right), (
            f"{name} at {point}: {left} and {right}"
        )


def instances(pair, dtype, rng):
    """The left side on arrays of one shape, on a matrix and a row, and on scalars."""
    for shapes in (((3, 4), (3, 4)), ((3, 4), (1, 4)), ((), ())):
        variables = {
            w: Variable(
                TensorType(dtype, tuple(1 if s == 1 else None for s in shape)), w.name
            )
            for w, shape in zip(pair.wildcards, shapes, strict=False)
        }
        values = {
            v: random_array(rng, dtype, shapes[i])
            for i, v in enumerate(variables.values())
        }
        yield build(pair.left, variables, dtype), values


def random_array(rng, dtype, shape):
    kind = np.dtype(dtype).kind
    if kind in "iu":
        return rng.integers(
            np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True
        )
    return (
        rng.random(shape) < 0.5
        if kind == "b"
        else rng.uniform(0.1, 0.9, shape).astype(dtype)
    )


@pytest.mark.parametrize(("name", "dtype"), TYPED)
def test_rule_keeps_the_value_of_arrays(name, dtype):
    rule = IDENTITIES[name]
    fired = 0

    for output, values in instances(rule.pair, dtype, np.random.default_rng(2)):
        graph = Graph(tuple(values), (output,))
        rewritten, steps = rewrite(graph, [canonical.fold_constants, rule], "alone")
        before, after = evaluate([output, *rewritten.outputs], values)

        fired += rule.name in [s.rule for s in steps]
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        eps = np.finfo(dtype).eps if before.dtype.kind == "f" else 0
        np.testing.assert_allclose(after, before, rtol=64 * eps, atol=64 * eps)
    assert fired


def test_match_takes_commutative_operands_in_either_order():
    rule = IDENTITIES["log_of_1_plus"]
    x = Variable(TensorType("float64", (None,)), "x")

    for subject in (T.log(1 + x), T.log(x + 1)):
        folded, _ = rewrite(Graph((x,), (subject,)), [canonical.fold_constants], "fold")
        assert (
            x in match(rule.pair.left, folded.outputs[0], rule.pair.wildcards).values()
        )
