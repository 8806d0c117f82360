"""Functions of single elements where a row of the table cannot say it: complex gradients,
stable forms in extended precision, replaced and compared special values, and errors."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy import special

import workbench.tensor as T
from workbench.compile.function import function
from workbench.compile.modes import Mode
from workbench.core.errors import DTypeError, GradientError
from workbench.core.evaluate import evaluate
from workbench.core.ops import series

NAN, INF = np.nan, np.inf
BARE = Mode("c", ("fusion", "inplace"), "bare")
Z = np.array([1 + 2j, -0.5 + 0.25j, 0.3 - 1.5j, -2 - 0.7j])


def complex_gradient(cost, z):
    """dC/dRe + i dC/dIm of a function from an array to a number, by differences."""
    gradient = np.zeros(z.shape, complex)
    for place in np.ndindex(z.shape):
        for unit in (1, 1j):
            slope = 0
            for steps, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                moved = z.copy()
                moved[place] += steps * 1e-3 * unit
                slope += weight * cost(moved) / 12e-3
            gradient[place] += slope * unit
    return gradient


@pytest.mark.parametrize(
    "build",
    [
        T.real,
        T.imag,
        T.conj,
        T.abs,
        T.sign,
        T.angle,
        T.exp,
        T.log,
        T.sqrt,
        T.sin,
        T.tanh,
        T.arctan,
        T.reciprocal,
        T.sqr,
        T.log1p,
        T.expm1,
        T.erf,
        T.sinc,
        lambda z: z**3,
        lambda z: z / (z + 2),
        lambda z: z * T.conj(z),
        lambda z: T.complex(T.imag(z), T.abs(z)),
        lambda z: T.complex_from_polar(T.abs(z), 2 * T.angle(z)),
        lambda z: T.cast(T.real(z), "complex128") * z,
    ],
)
def test_gradient_of_complex_numbers_equals_differences(build):
    z = T.zvector("z")
    output = build(z)
    weights = np.array([0.7 - 0.2j, 1.1 + 0.4j, -0.6j, 1.3])
    if np.dtype(output.dtype).kind == "c":
        cost = T.real(output * T.constant(weights)).sum()
    else:
        cost = (output * T.constant(weights.real)).sum()

    (got,) = evaluate([T.grad(cost, z)], {z: Z})

    expected = complex_gradient(lambda at: evaluate([cost], {z: at})[0], Z)
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


def test_gradient_of_a_real_number_made_complex_is_real():
    x = T.dvector("x")
    cost = T.abs(T.exp(1j * x) + x).sum()

    (got,) = evaluate([T.grad(cost, x)], {x: [0.5, 2.0]})

    def at(v):
        return np.abs(np.exp(1j * v) + v)

    v, h = np.array([0.5, 2.0]), 1e-5
    assert got.dtype == "float64"
    np.testing.assert_allclose(got, (at(v + h) - at(v - h)) / (2 * h), rtol=1e-8)


def test_complex_has_no_nan_where_a_part_is_infinite():
    parts = np.array([0.0, 1.0, -INF, INF, NAN])
    x, y = (a.ravel() for a in np.meshgrid(parts, parts))

    z = T.complex(x, y).eval()

    np.testing.assert_array_equal(z.real, x)
    np.testing.assert_array_equal(z.imag, y)


EDGES = np.array(
    [
        0.0, 5e-324, 1e-310, 1e-300, 1e-17, 1e-8, 0.1, 0.6931471805599453, 0.7, 1.0, 2.0,
        17.0, 36.7, 37.0, 88.7, 104.0, 700.0, 709.7, 709.8, 720.0, 744.9, 745.2, 750.0, 1e4,
        1e300, INF, NAN,
    ]
)  # fmt: skip
EDGES = np.concatenate([EDGES, -EDGES])
LD = np.longdouble


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.where(x > 50, x, np.log1p(np.exp(np.minimum(x, 60))))


def log1mexp(x):
    return np.where(x > -1, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "c"])
@pytest.mark.parametrize("reference", [sigmoid, softplus, log1mexp])
def test_stable_forms_are_right_at_the_edges(reference, compiled, dtype):
    points = np.concatenate([EDGES, [88.5, 87.5, -87.5, -100, -103.2, 1e-45]])
    with np.errstate(all="ignore"):
        points = points.astype(dtype)
        expected = reference(points.astype(LD)).astype(dtype)
    x = T.vector("x", dtype=dtype)
    output = getattr(T, reference.__name__)(x)

    got = function([x], output, mode=BARE)(points) if compiled else None
    if got is None:
        (got,) = evaluate([output], {x: points})

    # 4 units in the last place: NumPy and C each allow that for one exponential.
    info = np.finfo(dtype)
    np.testing.assert_allclose(
        got, expected, 4 * info.eps, 4 * float(info.smallest_subnormal)
    )


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_logaddexp_is_right_at_the_edges(name):
    x, y = (a.ravel() for a in np.meshgrid(EDGES, EDGES))
    u, v = T.dvector("u"), T.dvector("v")
    output = getattr(T, name)(u, v)

    plain = evaluate([output], {u: x, v: y})[0]
    compiled = function([u, v], output, mode=BARE)(x, y)

    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x.astype(LD), y.astype(LD)).astype("float64")
    # The larger and a logarithm below 1 are added: where they cancel, 1 ulp of 1 is left.
    np.testing.assert_allclose(plain, expected, 1e-15, 2.3e-16)
    np.testing.assert_allclose(compiled, expected, 1e-15, 2.3e-16)


def test_slopes_of_tails_stay_exact():
    x = T.dvector("x")
    points = np.array([-1e8, -300.0, -40.0, 0.0, 30.0, 400.0])

    (got,) = evaluate([T.grad(T.log_ndtr(x).sum(), x)], {x: points})

    # The density by the tail is -x + 1 / -x for very negative x; for large x it underflows.
    expected = [1e8, 300 + 1 / 300, 40 + 1 / 40, np.sqrt(2 / np.pi), 0, 0]
    expected[4] = np.exp(-450) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(got, expected, rtol=5e-5)
    np.testing.assert_allclose(got[[0, 3, 4]], np.array(expected)[[0, 3, 4]], 1e-12)


def test_the_slope_of_erfcx_stays_exact():
    x = T.dvector("x")
    points = np.array([49.9, 50.1, 1e4, 1e8, 1e150])

    (got,) = evaluate([T.grad(T.erfcx(x).sum(), x)], {x: points})

    t = 0.5 / points**2
    expected = (
        -2 / np.sqrt(np.pi) * t * (1 - 3 * t + 15 * t**2 - 105 * t**3 + 945 * t**4)
    )
    np.testing.assert_allclose(got, expected, rtol=3e-12)


def test_entropies_are_zero_at_zero_and_so_are_their_gradients():
    p = T.dvector("p")
    weights = T.dvector("weights")
    points = {p: [0.0, 1.0], weights: [0.0, 2.0]}

    values = evaluate([T.xlogx(p), T.entr(p), T.xlogy(weights, p)], points)
    by_p = T.grad(T.xlogy(weights, p).sum(), p)

    np.testing.assert_array_equal(values, np.zeros((3, 2)))
    np.testing.assert_array_equal(evaluate([by_p], points)[0], [0, 2])


SPECIALS = np.array([0.0, -0.0, 1.0, -2.5, 1e300, INF, -INF, NAN])


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "complex128", "int8"]
)
@pytest.mark.parametrize(
    "options", [{}, {"nan": 3.0}, {"posinf": 1.0, "neginf": -1.0}, {"nan": NAN}]
)
def test_nan_to_num_gives_what_numpy_gives(dtype, options):
    with np.errstate(all="ignore"):
        if dtype == "complex128":
            x = np.empty((len(SPECIALS), len(SPECIALS)), dtype)
            x.real, x.imag = SPECIALS[:, None], SPECIALS
        elif dtype == "int8":
            x = np.arange(-3, 3, dtype=dtype)
        else:
            x = SPECIALS.astype(dtype)

    got = T.nan_to_num(x, **options).eval()

    expected = np.nan_to_num(x, **options)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose_gives_what_numpy_gives(equal_nan):
    near = SPECIALS * (1 + 1e-6) + 1e-9
    for x, y in itertools.product((SPECIALS, near, near + 1e-4), repeat=2):
        x, y = x[:, None], y[None, :]
        options = {"rtol": 1e-5, "atol": 1e-8, "equal_nan": equal_nan}

        got = T.isclose(x, y, **options).eval()

        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(got, np.isclose(x, y, **options))
            assert T.allclose(x, y, **options).eval() == np.allclose(x, y, **options)


def test_isclose_of_unsigned_numbers_does_not_wrap():
    x, y = np.array([1, 2], "uint8"), np.array([2, 2], "uint8")

    np.testing.assert_array_equal(T.isclose(x, y).eval(), [False, True])


@pytest.mark.parametrize("decimals", [-3, -1, 0, 1, 3])
def test_round_gives_what_numpy_gives(decimals):
    x = np.array([2.5, -0.5, 1.0055, 1234.5678, -15.0, 1e300, INF, -INF, NAN])

    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(
            T.round(x, decimals).eval(), np.round(x, decimals)
        )
        np.testing.assert_array_equal(
            x.round(decimals), T.constant(x).round(decimals).eval()
        )


def test_halves_go_where_the_mode_says():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994])

    np.testing.assert_array_equal(T.round(x).eval(), [0, 2, 2, -0.0, -2, 0])
    away = T.round(x, mode="half_away_from_zero")
    np.testing.assert_array_equal(away.eval(), [1, 2, 3, -1, -2, 0])
    assert T.iround(x, mode="half_away_from_zero").eval().tolist() == [
        1,
        2,
        3,
        -1,
        -2,
        0,
    ]
    with pytest.raises(ValueError, match="half_up"):
        T.round(x, mode="half_up")


def test_operators_of_python_work_on_variables():
    x = T.lvector("x")
    expressions = [x << 2, 1 << x, x >> 1, 100 >> x, +x, *divmod(x, 3), *divmod(100, x)]
    v = np.array([1, 2, 5])

    got = evaluate(expressions, {x: v})

    expected = [v << 2, 1 << v, v >> 1, 100 >> v, v, v // 3, v % 3, 100 // v, 100 % v]
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: T.positive(T.constant(True)), DTypeError),
        (lambda: T.left_shift(T.dvector(), 1), DTypeError),
        (lambda: T.round(T.constant(True), 2), DTypeError),
        (lambda: T.gammaln(T.zvector()), DTypeError),
        (lambda: T.complex(T.zvector(), 1), DTypeError),
        (lambda: T.isposinf(T.zvector()), DTypeError),
    ],
)
def test_what_numpy_refuses_is_refused_while_building(build, error):
    with pytest.raises(error):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda v: T.jv(v, 1.0),
        lambda v: T.kve(v, 1.0),
        lambda v: T.polygamma(v, 1.0),
        lambda v: T.jv(v, 1.0) + v**2,
        lambda v: T.grad(T.gammainc(v, 1.0), v),
        lambda v: T.grad(T.betainc(v, 2.0, 0.5), v),
    ],
)
def test_a_derivative_that_is_not_known_is_an_error_and_not_zero(build):
    v = T.dscalar("v")

    with pytest.raises(GradientError):
        T.grad(build(v), v, disconnected_inputs="ignore")


def test_a_constant_order_does_not_hinder_the_gradient():
    v, x = T.dscalar("v"), T.dscalar("x")

    (got,) = evaluate([T.grad(T.jv(v, x), x)], {v: 1.5, x: 2.0})

    np.testing.assert_allclose(got, special.jvp(1.5, 2.0), rtol=1e-14)


def test_parameter_derivatives_of_incomplete_integrals_hold_far_out():
    a = np.array([0.01, 0.5, 3.0, 50.0, 3e3, 2e4, 1e8])
    for q in (0.05, 0.5, 0.95):
        x = special.gammaincinv(a, q)
        h = 1e-3 * np.minimum(a, np.sqrt(a))
        steps = ((1, 8), (-1, -8), (2, -1), (-2, 1))
        expected = sum(w * special.gammainc(a + k * h, x) for k, w in steps) / (12 * h)
        np.testing.assert_allclose(series.gammainc_by_a(a, x), expected, rtol=1e-9)


@pytest.mark.parametrize("which", [0, 1])
def test_parameter_derivatives_outside_the_domain_are_nan_and_at_its_ends_zero(which):
    a, b, x = np.array([[1, 2, 0], [1, 2, 1], [0, 2, 0.5], [1, -1, 0.5], [1, 1, 1.5]]).T

    got = series.betainc_by(which, a, b, x)

    np.testing.assert_array_equal(got, [0, 0, NAN, NAN, NAN])
    got = series.gammainc_by_a(np.array([1.0, 1, 0, 1]), np.array([0, INF, 1, -1]))
    np.testing.assert_array_equal(got, [0, 0, NAN, NAN])


def test_chi2sf_is_the_tail_of_chi_squared():
    x = np.array([0.1, 1.0, 5.0, 50.0])

    np.testing.assert_allclose(T.chi2sf(x, 3).eval(), special.chdtrc(3, x), rtol=1e-14)


def test_scipy_is_not_imported_before_it_is_needed():
    code = (
        "import sys, workbench.tensor as T; x = T.exp(T.dvector()); print('scipy' in sys.modules);"
        "T.erf(x); print('scipy' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.split() == ["False", "True"], done.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_of_pairs_survive_c(dtype):
    points = np.array(
        [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -37.5, 88.7, 1e30, 1e-30, INF, -INF, NAN],
        dtype,
    )
    x, y = np.meshgrid(points, points)
    u, v = T.matrix("u", dtype=dtype), T.matrix("v", dtype=dtype)
    names = "copysign fmod heaviside hypot logaddexp2 xlogy xlog1py arctan2".split()
    outputs = [getattr(T, name)(u, v) for name in names]

    got = function([u, v], outputs, mode=BARE)(x, y)

    expected = evaluate(outputs, {u: x, v: y})
    tolerance = 8 * np.finfo(dtype).eps
    for name, have, want in zip(names, got, expected, strict=True):
        np.testing.assert_allclose(have, want, tolerance, err_msg=name)
        zero = want == 0
        assert (np.signbit(have[zero]) == np.signbit(want[zero])).all(), name
