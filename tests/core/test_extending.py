"""Ops of a user's own: from functions, with C text, with types and rules."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T


@wb.elementwise(c="({x} / (1 + fabs{f}({x})))", grad=lambda x: 1 / (1 + abs(x)) ** 2)
def squash(x):
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


@wb.elementwise(
    c="({x} * {y} > 0 ? {x} : {y})", grad=lambda x, y: [x * y > 0, x * y <= 0]
)
def choose_by_sign(x, y):
    return np.where(x * y > 0, x, y)


@wb.as_op(
    T.dvector(),
    T.dvector(),
    infer_shape=lambda node, shapes: shapes,
    grad=lambda inputs, grads: [grads[0] * 2],
)
def doubled(x):
    return 2 * x


@wb.as_op([T.dvector(), T.lscalar()], [T.dvector(), T.lvector()])
def largest(x, n):
    places = np.argsort(-x)[:n]
    return x[places], places


@dataclass(frozen=True)
class RowNorms(wb.Opaque):
    """The length of every row."""

    def output_types(self, *inputs):
        return [inputs[0].type.with_shape(inputs[0].type.shape[:1])]

    def reference(self, *inputs):
        return np.sqrt((inputs[0] ** 2).sum(1))

    def infer_shape(self, node, shapes):
        return [shapes[0][:1]]

    def vjp(self, node, *grads):
        return [node.inputs[0] * (grads[0] / node.output).dimshuffle(0, "x")]

    def c_code(self, node):
        return """
            for (int64_t i = 0; i < in0_n0; ++i) {
              in0_t total = 0;
              for (int64_t j = 0; j < in0_n1; ++j) {
                const in0_t v = in0[i * in0_s0 + j * in0_s1];
                total += v * v;
              }
              out[i] = root_of(total);
            }
        """

    c_support = """
        #include <math.h>
        static double root_of(double x) { return sqrt(x); }
    """


@pytest.fixture(params=["FAST_RUN", "FAST_COMPILE", "DEBUG"])
def mode(request):
    return request.param


def test_a_function_of_elements_joins_the_loops_around_it():
    x = T.fmatrix("x")
    f = wb.function([x], T.exp(squash(x)) + 1)

    got = f(np.array([[1.0, -3.0]], "float32"))

    assert got.dtype == "float32"
    np.testing.assert_allclose(got, np.exp([[0.5, -0.75]]) + 1, rtol=1e-6)
    assert [k.kind for k in f.compilation.kernels] == ["loops"]


def test_operands_broadcast_and_meet_in_one_float(mode):
    x, y = T.ivector("x"), T.dmatrix("y")
    f = wb.function([x, y], choose_by_sign(x, y), mode=mode)

    got = f(np.array([1, -1], "int32"), [[2.0, 3.0], [-1.0, -2.0]])

    assert got.tolist() == [[1, 3], [-1, -1]] and got.dtype == "float64"


def test_without_c_text_the_function_itself_runs_between_kernels():
    @wb.elementwise
    def plain(x):
        return np.sinc(x)

    x = T.dvector("x")
    f = wb.function([x], plain(x) * 2)

    np.testing.assert_allclose(f([0.0, 0.5]), 2 * np.sinc([0, 0.5]))
    assert "host" in [k.kind for k in f.compilation.kernels]
    with pytest.raises(wb.GradientError, match="without a derivative"):
        wb.grad(plain(x).sum(), x)


def test_c_text_knows_three_operands():
    with pytest.raises(TypeError, match="4 are too many"):

        @wb.elementwise(c="{x}")
        def four(x, y, z, w):
            return x + y + z + w


def test_a_function_of_arrays_is_an_op_with_a_gradient(mode):
    x = T.dvector("x")
    f = wb.function([x], [doubled(x), wb.grad((doubled(x) ** 2).sum(), x)], mode=mode)

    value, slope = f([1.0, -2.0])

    assert value.tolist() == [2, -4] and slope.tolist() == [8, -16]


def test_a_function_of_arrays_may_have_several_results(mode):
    x, n = T.dvector("x"), T.lscalar("n")
    values, places = largest(x, n)
    f = wb.function([x, n], [values.sum(), x[places]], mode=mode)

    assert [a.tolist() for a in f([1.0, 5.0, 3.0], 2)] == [8, [5, 3]]


def test_what_a_function_returns_must_be_as_declared():
    @wb.as_op(T.dvector(), T.dvector())
    def wrong(x):
        return x.astype("float32")

    with pytest.raises(wb.DTypeError, match="returned float32 .* declares float64"):
        wrong(T.constant([1.0])).eval()


def test_operands_must_be_of_the_declared_types():
    with pytest.raises(wb.DTypeError, match="input 0 must be float64 vector"):
        doubled(T.dmatrix("m"))
    with pytest.raises(TypeError, match="takes 1 arrays, got 2"):
        doubled(T.dvector(), T.dvector())
    with pytest.raises(TypeError, match="as_op takes types"):
        wb.as_op("float64", T.dvector())


def test_a_function_may_not_write_into_its_arguments():
    @wb.as_op(T.dvector(), T.dvector())
    def writes(x):
        x[0] = 7
        return x

    with pytest.raises(ValueError, match="read-only"):
        writes(T.constant([1.0])).eval()


def test_ops_of_functions_are_equal_and_are_saved_by_name():
    x = T.dvector("x")

    assert squash(x).owner.op == squash(x).owner.op
    y = pickle.loads(pickle.dumps(squash(x)))
    assert y.owner.op == squash.op


def test_c_text_of_an_op_is_one_kernel(mode):
    x = T.dmatrix("x")
    norms = RowNorms()
    f = wb.function([x], [norms(x.T * 2) + 1, norms(x[:, ::-1])], mode=mode)

    turned, plain = f([[3.0, 4.0]])

    assert turned.tolist() == [7, 9] and plain.tolist() == [5]
    if mode == "FAST_RUN":
        assert [k.kind for k in f.compilation.kernels].count("own") == 2
        assert f.source.count("static double root_of") == 1


def test_c_text_that_does_not_compile_is_told_and_numpy_runs():
    class Broken(RowNorms):
        def c_code(self, node):
            return "this is no C;"

    x = T.dmatrix("x")

    with pytest.warns(UserWarning, match="this is no C|unknown type name"):
        f = wb.function([x], Broken()(x))

    assert f([[3.0, 4.0]]).tolist() == [5]


@dataclass(frozen=True, init=False, repr=False)
class Probability(wb.TensorType):
    """Arrays of numbers in [0, 1]."""

    def filter(self, value, allow_downcast=False):
        array = super().filter(value, allow_downcast)
        if not np.all((array >= 0) & (array <= 1)):
            raise ValueError("must lie in [0, 1]")
        return array


def test_a_type_of_ones_own_checks_arguments_and_shared_values(mode):
    p = Probability("float64", (None,))("p")
    f = wb.function([p], T.log(p).sum(), mode=mode)

    assert f([1.0, 1.0]) == 0
    with pytest.raises(ValueError, match=r"argument 0, p, must lie in \[0, 1\]"):
        f([0.5, 1.5])
    f.free()
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        f(np.array([-1.0]))


@pytest.fixture
def erf_rule():
    @wb.identity
    def erf_of_erfinv(x):
        """The one undoes the other."""
        return T.erf(T.erfinv(x)), x

    yield wb.add_rule(erf_of_erfinv)
    wb.remove_rule("erf_of_erfinv")


def test_a_rule_of_ones_own_is_used_and_can_be_excluded(erf_rule):
    x = T.dvector("x")
    y = T.erf(T.erfinv(x))

    used = wb.function([x], y)
    unused = wb.function([x], y, mode=wb.get_mode("FAST_RUN").excluding(erf_rule.name))

    assert [s.rule for s in used.steps] == ["erf_of_erfinv"]
    assert unused.steps == ()


def test_a_rule_that_is_added_twice_counts_once(erf_rule):
    wb.add_rule(erf_rule)
    x = T.dvector("x")

    assert len(wb.function([x], T.erf(T.erfinv(x))).steps) == 1


def test_rules_have_names_and_stages_that_exist(erf_rule):
    with pytest.raises(ValueError, match="no stage 'algbra'"):
        wb.add_rule(erf_rule, "algbra")

    @wb.identity
    def log1p_of_exp(x):
        """A name that is taken."""
        return T.log1p(T.exp(x)), T.softplus(x)

    with pytest.raises(ValueError, match="has a rule 'log1p_of_exp'"):
        wb.add_rule(log1p_of_exp)
