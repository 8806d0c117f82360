"""What users expect an expression to become: its operations after all rules, and its values.

Each row is an expression as it is written and the operations that are left of it in
FAST_RUN. The values of all rows together are compared with those that NumPy gives
without any rule: at ordinary points, of arrays without elements, and, for the rules that
promise it, at infinities, NaN and both zeros.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler
from workbench.compile.modes import get_mode
from workbench.compile.pipeline import optimise
from workbench.compile.record import Graph
from workbench.core.evaluate import evaluate
from workbench.core.graph import graph_inputs
from workbench.core.ops.blocks import OpFromGraph

SILENT = {"size", "specify_shape", "make_vector"}
"""What only says or checks sizes: it costs nothing for each element."""


@dataclass
class Row:
    """An expression of vectors and what is left of it.

    Attributes
    ----------
    build
        From as many vectors as it has arguments to the expression, or a tuple of them.
    left
        The operations after rewriting, each as often as it occurs.
    exact
        Whether the form also keeps infinities, NaN and the sign of zeros. Then it is the
        form without ``finite_math``, too.
    positive
        Whether the operands are drawn above 0.
    """

    text: str
    build: Any
    left: Counter = field(default_factory=Counter)
    exact: bool = False
    positive: bool = False

    @property
    def arity(self):
        return self.build.__code__.co_argcount


ROWS: list[Row] = []


def row(text, build, left="", **options):
    ROWS.append(Row(text, build, Counter(left.split()), **options))


# --- merged, folded, neutral ------------------------------------------------------------

row(
    "(x+y)*2, (x+y)*3",
    lambda x, y: ((x + y) * 2, (x + y) * 3),
    "add mul mul",
    exact=True,
)
row("2*3 + x", lambda x: T.cast(2.0, x.dtype) * 3 + x, "add", exact=True)
row("x * 1", lambda x: x * 1, exact=True)
row("x / 1", lambda x: x / 1, exact=True)
row("x - 0", lambda x: x - 0, exact=True)
row("x ** 1", lambda x: x**1, exact=True)
row("x + 0", lambda x: x + 0)
row("x * 0", lambda x: x * 0, "broadcast")
row("x - x", lambda x: x - x, "broadcast")
row("x / x", lambda x: x / x, "broadcast", positive=True)
row("x // 1", lambda x: x // 1, "floor")

# --- sums ---------------------------------------------------------------------------------

row("x + y - x", lambda x, y: x + y - x)
row("x - (y + x)", lambda x, y: x - (y + x), "neg")
row("x + y + z - y", lambda x, y, z: x + y + z - y, "add")
row("x + y + z - y - x", lambda x, y, z: x + y + z - y - x)
row("x + x", lambda x: x + x, "mul", exact=True)
row("2*x + 3*x", lambda x: 2 * x + 3 * x, "mul")
row("(x + 2) + (y + 3)", lambda x, y: (x + 2) + (y + 3), "add add")
row("x - (-y)", lambda x, y: x - (-y), "add", exact=True)

# --- products -----------------------------------------------------------------------------

row("x*y/x", lambda x, y: x * y / x, positive=True)
row("x/y*y", lambda x, y: x / y * y, positive=True)
row("x*(y/x)*z", lambda x, y, z: x * (y / x) * z, "mul", positive=True)
row("x**2 * y / x", lambda x, y: x**2 * y / x, "mul", positive=True)
row("x * y / x**2", lambda x, y: x * y / x**2, "true_div", positive=True)
row("2*x*3", lambda x: 2 * x * 3, "mul")
row("(2*x)*y*3", lambda x, y: (2 * x) * y * 3, "mul mul")
row("(-x)/(-y)", lambda x, y: (-x) / (-y), "true_div", exact=True, positive=True)
row("(-x)*(-y)", lambda x, y: (-x) * (-y), "mul", exact=True)
row("x * -1", lambda x: x * -1, "neg", exact=True)
row("1 / x", lambda x: 1 / x, "reciprocal", exact=True, positive=True)
row("x * (1/y)", lambda x, y: x * (1 / y), "true_div", positive=True)
row("(x/y + z)*y", lambda x, y, z: (x / y + z) * y, "mul add", positive=True)
row("(x*y + z)/y", lambda x, y, z: (x * y + z) / y, "true_div add", positive=True)

# --- signs and magnitudes -----------------------------------------------------------------

row("-(-x)", lambda x: T.neg(-x), exact=True)
row("abs(abs(x))", lambda x: abs(abs(x)), "abs", exact=True)
row("abs(-x)", lambda x: abs(-x), "abs", exact=True)
row("abs(exp(x))", lambda x: abs(T.exp(x)), "exp", exact=True)
row("sqr(-x)", lambda x: T.sqr(-x), "sqr", exact=True)
row("sqr(abs(x))", lambda x: T.sqr(abs(x)), "sqr", exact=True)

# --- inverses -----------------------------------------------------------------------------

row("log(exp(x))", lambda x: T.log(T.exp(x)))
row("exp(log(x))", lambda x: T.exp(T.log(x)), "ge switch")
row("sqrt(sqr(x))", lambda x: T.sqrt(T.sqr(x)), "abs")
row("sqr(sqrt(x))", lambda x: T.sqr(T.sqrt(x)), "ge switch")
row("1/(1/x)", lambda x: 1 / (1 / x), positive=True)
row("cosh(arccosh(x))", lambda x: T.cosh(T.arccosh(x)), "ge switch")
row("arccosh(cosh(x))", lambda x: T.arccosh(T.cosh(x)), "abs", positive=True)
row("sinh(arcsinh(x))", lambda x: T.sinh(T.arcsinh(x)))
row("tanh(arctanh(x))", lambda x: T.tanh(T.arctanh(x)), "abs le switch", exact=True)
row("sin(arcsin(x))", lambda x: T.sin(T.arcsin(x)), "abs le switch", exact=True)
row("cos(arccos(x))", lambda x: T.cos(T.arccos(x)), "abs le switch")
row("tan(arctan(x))", lambda x: T.tan(T.arctan(x)))
row("deg2rad(rad2deg(x))", lambda x: T.deg2rad(T.rad2deg(x)))
row("rad2deg(deg2rad(x))", lambda x: T.rad2deg(T.deg2rad(x)))
row("expm1(log1p(x))", lambda x: T.expm1(T.log1p(x)), "ge switch")
row("exp(x)*exp(y)", lambda x, y: T.exp(x) * T.exp(y), "add exp")
row("exp(x)/exp(y)", lambda x, y: T.exp(x) / T.exp(y), "sub exp")

# --- powers -------------------------------------------------------------------------------

row("x ** 2", lambda x: x**2, "sqr", exact=True)
row("x * x", lambda x: x * x, "sqr", exact=True)
row("x ** 0", lambda x: x**0, "broadcast", exact=True)
row("x ** 0.5", lambda x: x**0.5, "sqrt")
row("x ** -1", lambda x: x**-1, "reciprocal", exact=True)
row("x ** -2", lambda x: x**-2, "reciprocal sqr", exact=True)
row("x ** -0.5", lambda x: x**-0.5, "reciprocal sqrt")
row("x ** 3", lambda x: x**3, "sqr mul", exact=True)
row("x ** 5", lambda x: x**5, "sqr sqr mul", exact=True)
row("x ** -3", lambda x: x**-3, "reciprocal sqr mul", exact=True)
row("x**0.3 * x**0.4", lambda x: x**0.3 * x**0.4, "pow", positive=True)
row("x**y * x**z", lambda x, y, z: x**y * x**z, "add pow", positive=True)
row("x**2.5 / x", lambda x: x**2.5 / x, "mul sqrt", positive=True)
row("x**2 / x", lambda x: x**2 / x, positive=True)
row("2 ** x", lambda x: 2**x, "exp2", exact=True)

# --- comparisons and choices --------------------------------------------------------------

row("x < x", lambda x: T.lt(x, x), "broadcast", exact=True)
row("x > x", lambda x: T.gt(x, x), "broadcast", exact=True)
row("x >= x", lambda x: T.ge(x, x), "broadcast")
row("x == x", lambda x: T.eq(x, x), "broadcast")
row("x != x", lambda x: T.neq(x, x), "isnan", exact=True)
row("shape < 0", lambda x: T.lt(x.shape[0], 0), exact=True)
row("maximum(x, x)", lambda x: T.maximum(x, x), exact=True)
row(
    "maximum(maximum(x, y), x)",
    lambda x, y: T.maximum(T.maximum(x, y), x),
    "maximum",
    exact=True,
)
row("switch(True, x, y)", lambda x, y: T.switch(True, x, y), exact=True)
row("switch(c, x, x)", lambda x, y: T.switch(T.gt(y, 0), x, x), exact=True)
row(
    "switch(c, switch(c, x, y), z)",
    lambda x, y, z: T.switch(T.gt(x, 0), T.switch(T.gt(x, 0), x, y), z),
    "gt switch",
    exact=True,
)
row("x * switch(c, 0, y)", lambda x, y: x * T.switch(T.gt(x, 1), 0, y), "gt mul switch")
row(
    "switch(c, 0, y) / x",
    lambda x, y: T.switch(T.gt(x, 1), 0, y) / x,
    "gt true_div switch",
    positive=True,
)
row(
    "cast(cast(x))",
    lambda x: T.cast(T.cast(x, "complex128"), "complex128"),
    "cast{complex128}",
    exact=True,
)
row(
    "cast(cast(x > 0))",
    lambda x: T.cast(T.cast(T.gt(x, 0), "float32"), "bool"),
    "gt",
    exact=True,
)

# --- reductions ---------------------------------------------------------------------------

row("sum(3*x)", lambda x: T.sum(3 * x), "sum mul")
row("sum(-x)", lambda x: T.sum(-x), "sum neg")
row("sum(x / n)", lambda x: T.sum(x / 7), "sum true_div")
row(
    "sum(sum(X, 0), 0)",
    lambda x: T.sum(T.sum(outer(x), axis=0), axis=0),
    "dimshuffle dimshuffle add sum",
    exact=True,
)
row(
    "sum(X.T)", lambda x: T.sum(outer(x).T), "dimshuffle dimshuffle add sum", exact=True
)
row(
    "sum over an axis of size 1",
    lambda x: T.sum(x.dimshuffle(0, "x"), axis=1),
    exact=True,
)
row("sum(alloc(c, n))", lambda x: T.sum(T.alloc(2.5, x.shape[0])), "cast mul")
row("prod(-x) of 3", lambda x: T.prod(-three(x)), "prod neg reshape", exact=True)
row("prod(2*x) of 3", lambda x: T.prod(2 * three(x)), "prod mul reshape")
row(
    "sum(join(x, y))",
    lambda x, y: T.sum(T.concatenate([x, y])),
    "sum sum add",
    exact=True,
)
row("-max(-x)", lambda x: -T.max(-x), "min", exact=True)
row("argmax(-x)", lambda x: T.argmax(-x), "argmin", exact=True)
row("argmax(softmax(x))", lambda x: T.argmax(T.nnet.softmax(x)), "argmax")
row("argmax(2 exp(x) + 1)", lambda x: T.argmax(2 * T.exp(x) + 1), "argmax")
row("max_and_argmax, one read", lambda x: T.max_and_argmax(x)[1], "argmax", exact=True)
row(
    "sum of products over an axis",
    lambda x, y: T.sum(
        outer(x).dimshuffle(0, 1, "x") * outer(y).dimshuffle("x", 0, 1), axis=1
    ),
    "dimshuffle dimshuffle dimshuffle dimshuffle add add dot",
    exact=True,
)
row("block inlined", lambda x, y: block(x, y), "exp mul", exact=True)


def outer(x):
    """A matrix made of a vector."""
    return x.dimshuffle(0, "x") + x.dimshuffle("x", 0)


def three(x):
    """The vector as one of three elements, which is what it must have."""
    return x.reshape((3,))


def block(x, y):
    """An operation made of a graph."""
    a, b = (type(v)(v.type) for v in (x, y))
    return OpFromGraph([a, b], [T.exp(a) * b])(x, y)


# --- what is left -------------------------------------------------------------------------


def outputs_of(case, vectors):
    made = case.build(*vectors[: case.arity])
    return list(made) if isinstance(made, tuple) else [made]


def vectors_of(dtype):
    return [T.vector(name, dtype=dtype) for name in "xyz"]


def operations(outputs, mode):
    inputs = [v for v in graph_inputs(outputs) if v.name in ("x", "y", "z")]
    graph, _ = optimise(Graph(tuple(inputs), tuple(outputs)), mode)
    names = (str(n.op).split("{axis")[0] for n in graph.nodes())
    names = (n if n.startswith("cast{complex") else n.split("{")[0] for n in names)
    return Counter(n for n in names if n not in SILENT)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.text)
def test_expression_becomes_the_form(case, dtype):
    outputs = outputs_of(case, vectors_of(dtype))

    assert operations(outputs, get_mode("FAST_RUN")) == case.left
    if case.exact:
        strict = get_mode("FAST_RUN").excluding("finite_math")
        assert operations(outputs, strict) == case.left


# --- its values ---------------------------------------------------------------------------

WITHOUT_ELEMENTS = {
    "-max(-x)",
    "argmax(-x)",
    "argmax(softmax(x))",
    "argmax(2 exp(x) + 1)",
    "max_and_argmax, one read",
}
OF_THREE = {"prod(-x) of 3", "prod(2*x) of 3"}


@pytest.fixture(scope="module")
def compiled():
    """For a choice of rows, a dtype and a mode one function of all of them, made once."""
    made = {}

    def compile_all(rows, dtype, mode):
        key = (tuple(r.text for r in rows), dtype, mode)
        if key not in made:
            vectors = vectors_of(dtype)
            outputs = [v for r in rows for v in outputs_of(r, vectors)]
            chosen = get_mode(mode[0]).excluding(*mode[1:])
            made[key] = wb.function(
                vectors, outputs, mode=chosen, on_unused_input="ignore"
            )
        return made[key]

    return compile_all


def labels(rows):
    return [r.text for r in rows for _ in outputs_of(r, vectors_of("float64"))]


def values_of(rows, compiled, dtype, mode, points):
    with np.errstate(all="ignore"):
        return compiled(rows, dtype, mode)(*points)


def compare(rows, compiled, dtype, mode, points, ulps):
    expected = values_of(rows, compiled, dtype, ("None",), points)
    found = values_of(rows, compiled, dtype, mode, points)
    for text, want, have in zip(labels(rows), expected, found, strict=True):
        assert (want.dtype, want.shape) == (have.dtype, have.shape), text
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(
            have, want, rtol=ulps * eps, atol=ulps * eps, err_msg=text
        )
    return expected, found


needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forms_have_the_values_of_what_was_written(compiled, dtype):
    rng = np.random.default_rng(0)
    # Positive rows above 0; the others on both sides, but inside the range of exp.
    for positive in (True, False):
        rows = [r for r in ROWS if r.positive == positive]
        points = [
            rng.uniform(0.5 if positive else -2, 2, 3).astype(dtype) for _ in "xyz"
        ]

        # A rounding of the longest chain is 4 units; where terms cancel, of terms of size 8.
        compare(rows, compiled, dtype, ("FAST_RUN",), points, ulps=64)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forms_of_nothing(compiled, dtype):
    rows = [r for r in ROWS if r.text not in WITHOUT_ELEMENTS | OF_THREE]
    points = [np.zeros(0, dtype) for _ in "xyz"]

    compare(rows, compiled, dtype, ("FAST_RUN",), points, ulps=0)


@pytest.mark.parametrize(
    "case", [r for r in ROWS if r.text in WITHOUT_ELEMENTS], ids=lambda r: r.text
)
def test_no_extreme_of_nothing(case):
    vectors = vectors_of("float64")
    graph = Graph(tuple(vectors), tuple(outputs_of(case, vectors)))
    after, _ = optimise(graph, get_mode("FAST_RUN"))

    with pytest.raises(wb.ShapeError):
        evaluate(after.outputs, {v: np.zeros(0) for v in vectors})


EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan]


@needs_compiler
@pytest.mark.parametrize("mode", [("FAST_RUN", "finite_math"), ("FAST_RUN",)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forms_at_extreme_points(compiled, dtype, mode):
    everything = np.array(list(itertools.product(EXTREMES, repeat=3)), dtype)
    elementwise = [
        r for r in ROWS if r.text not in OF_THREE and (r.exact or len(mode) > 1)
    ]

    expected, found = compare(
        elementwise, compiled, dtype, mode, list(everything.T.copy()), ulps=8
    )

    for text, want, have in zip(labels(elementwise), expected, found, strict=True):
        if text.startswith("sum"):
            continue  # whether a sum of zeros starts from 0 is open
        zero = (want == 0) & (np.abs(have) == 0)
        same = np.signbit(want) == np.signbit(have) if want.dtype.kind == "f" else True
        assert np.all(same | ~zero), text
