"""Complex numbers in C: values at ordinary and at special points, reductions, products, gradients."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.modes import Mode
from workbench.core.evaluate import evaluate
from workbench.core.op import Elementwise
from workbench.core.ops.ufunc import apply

BARE = Mode("c", ("fusion", "inplace"), "bare")
DTYPES = ["complex64", "complex128"]
PART = {"complex64": "float32", "complex128": "float64"}
# Beyond 710 (89 in single precision) an exponential overflows, beyond 745 (104) it vanishes.
SPECIAL = {
    "complex128": [0, 1, 0.5, 2.5, 710, 745.5, 800, 5e-324, 1e-300, 1e-200, 1e200, 1e300],
    "complex64": [0, 1, 0.5, 2.5, 89, 100, 104, 1e-45, 1e-38, 1e-25, 1e25, 1e38],
}  # fmt: skip


def joined(re, im, dtype):
    z = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), dtype)
    z.real, z.imag = re, im
    return z


def special(dtype):
    """Every pair of special parts."""
    positive = np.array([*SPECIAL[dtype], np.inf], PART[dtype])
    parts = np.concatenate([positive, -positive, [np.nan]]).astype(PART[dtype])
    return joined(*(v.ravel() for v in np.meshgrid(parts, parts)), dtype)


def ordinary(dtype, *shape, seed=0):
    """Numbers of sizes from 1e-3 to 50, on the unit circle, and close to 1."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([1e-3, 1, 1, 10, 50], (2, *shape))
    z = joined(*(rng.normal(0, 1, (2, *shape)) * scale), dtype)
    on_circle = np.exp(1j * rng.uniform(-3.2, 3.2, shape))
    near_one = 1 + 1e-6 * joined(*rng.normal(0, 1, (2, *shape)), "complex128")
    kind = rng.integers(0, 4, shape)
    return np.choose(kind, [z, z, on_circle, near_one]).astype(dtype)


def hosted(compiled):
    """The operations that NumPy runs."""
    return {node.op.name for node in compiled.program.text.hosted.values()}


FUNCTIONS = [
    T.neg, T.abs, T.sign, T.conj, T.sqr, T.reciprocal, T.real, T.imag, T.angle, T.round,
    T.isnan, T.isinf, T.isfinite, T.exp, T.exp2, T.expm1, T.log, T.log2, T.log10, T.log1p,
    T.sqrt, T.sin, T.cos, T.tan, T.arcsin, T.arccos, T.arctan, T.sinh, T.cosh, T.tanh,
    T.arcsinh, T.arccosh, T.arctanh, T.sinc,
]  # fmt: skip
OPERATORS = [
    T.add, T.sub, T.true_div, T.maximum, T.minimum, T.eq, T.neq, T.lt, T.le, T.gt, T.ge,
    T.pow,
]  # fmt: skip


def differences(want, have, ulps):
    """Where two results differ: by so many units of the last place of the larger part, or in a special part."""
    assert (want.dtype, want.shape) == (have.dtype, have.shape)
    if want.dtype.kind not in "fc":
        return want != have
    pairs = [(want.real, have.real), (want.imag, have.imag)]
    sizes = [np.abs(np.where(np.isfinite(w), w, 0)) for w, _ in pairs]
    size = np.where(
        np.all(np.isfinite([want.real, want.imag]), axis=0), np.maximum(*sizes), 0
    )
    wrong = np.zeros(want.shape, bool)
    with np.errstate(all="ignore"):
        for (w, h), own in zip(pairs, sizes, strict=True):
            close = np.abs(w - h) <= ulps * np.spacing(np.maximum(size, own))
            alike = (np.isnan(w) & np.isnan(h)) | (
                (w == h) & (np.signbit(w) == np.signbit(h))
            )
            exact = ~np.isfinite(w) | ((w == 0) & (h == 0))
            wrong |= ~np.where(exact, alike, close)
    return wrong


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_equal_numpy_at_ordinary_and_special_points(dtype):
    z = T.vector("z", dtype=dtype)
    points = np.concatenate([special(dtype), ordinary(dtype, 2000)])
    outputs = [f(z) for f in FUNCTIONS if f is not T.sqr]
    expected = evaluate(outputs, {z: points})

    compiled = wb.function([z], outputs, mode=BARE)

    assert not hosted(compiled)
    for output, want, have in zip(outputs, expected, compiled(points), strict=True):
        wrong = differences(want, have, ulps=8)
        assert not wrong.any(), (output, points[wrong][:3], want[wrong], have[wrong])


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_equal_numpy_at_ordinary_and_special_points(dtype):
    z, w = T.vector("z", dtype=dtype), T.vector("w", dtype=dtype)
    numbers = special(dtype)
    few = np.random.default_rng(1).permutation(numbers)[:60]
    whole = np.array([0, 1, 2, 3, 4, 7, 99, 100, -1, -2, 0.5, 1j], dtype)
    a, b = (
        v.ravel() for v in np.meshgrid(numbers, [*few, *whole, *ordinary(dtype, 20)])
    )
    a, b = np.append(a, ordinary(dtype, 99)), np.append(b, ordinary(dtype, 99, seed=2))
    outputs = [f(z, w) for f in OPERATORS]
    expected = evaluate(outputs, {z: a, w: b})

    compiled = wb.function([z, w], outputs, mode=BARE)

    assert not hosted(compiled)
    for output, want, have in zip(outputs, expected, compiled(a, b), strict=True):
        wrong = differences(want, have, ulps=8)
        assert not wrong.any(), (output, a[wrong][:3], b[wrong][:3], have[wrong])


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_those_of_the_parts(dtype):
    z, w = T.vector("z", dtype=dtype), T.vector("w", dtype=dtype)
    a = np.concatenate([special(dtype), ordinary(dtype, 500)])
    b = np.random.default_rng(2).permutation(a)

    compiled = wb.function([z, w], [z * w, T.sqr(z)], mode=BARE)

    assert not hosted(compiled)
    for have, x, y in zip(compiled(a, b), (a, a), (b, a), strict=True):
        wrong = np.all(
            [differences(p, have, ulps=2) for p in possible_products(x, y)], axis=0
        )
        assert not wrong.any(), (x[wrong][:3], y[wrong][:3], have[wrong][:3])


def possible_products(x, y):
    """Both products of a part rounded, or one of them fused with the sum: compilers do either."""
    dtype, part = x.dtype, x.real.dtype
    a, b, c, d = x.real, x.imag, y.real, y.imag
    with np.errstate(all="ignore"):
        for left, right in ((0, 0), (1, 0), (0, 1)):
            # What is fused is not rounded before it is added.
            first, second = (
                np.longdouble if fused else part for fused in (left, right)
            )
            re = a.astype(first) * c - b.astype(second) * d
            im = a.astype(first) * d + b.astype(second) * c
            yield joined(re.astype(part), im.astype(part), dtype)


def test_casts_between_dtypes():
    names = ["bool", "int8", "uint64", "float16", "float32", "float64", "complex64"]
    inputs = [T.vector(n, dtype=n) for n in names]
    arrays = [np.arange(3).astype(n) for n in names]
    outputs = [T.cast(x, d) for x in inputs for d in DTYPES]

    compiled = wb.function(inputs, outputs)

    assert not hosted(compiled)
    for output, have in zip(outputs, compiled(*arrays), strict=True):
        given = output.owner.inputs[0] if output.owner else output
        np.testing.assert_array_equal(
            have, arrays[inputs.index(given)].astype(have.dtype)
        )
        assert have.dtype == output.dtype


def test_choosing_filling_moving_and_scattering():
    z, w = T.matrix("z", dtype="complex128"), T.matrix("w", dtype="complex128")
    at = T.lvector("at")
    a, b = ordinary("complex128", 4, 3), ordinary("complex128", 4, 3, seed=1)
    outputs = [
        T.switch(T.real(z) > 0, z, w),
        T.fill(z, 2 + 1j),
        T.zeros_like(z),
        T.concatenate([z.T, w.T], axis=1)[::-1],
        T.inc_subtensor(z[at], w[at] * 2),
        T.set_subtensor(z[1:, ::2], T.conj(w[1:, ::2])),
        T.complex(T.imag(z), T.real(w)) + z[0],
    ]
    places = np.array([3, 0, 3])
    expected = evaluate(outputs, {z: a, w: b, at: places})

    compiled = wb.function([z, w, at], outputs)

    assert not hosted(compiled)
    for want, have in zip(expected, compiled(a, b, places), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 40), (3, 0), (0, 3), (2, 3, 70)])
def test_reductions_along_every_axis(dtype, shape):
    z = T.tensor(dtype, (None,) * len(shape), "z")
    values = ordinary(dtype, *shape)
    axes = [None, *range(len(shape)), (0, -1)]
    outputs = [f(z, axis=a) for f in (T.sum, T.prod, T.all, T.any) for a in axes]
    outputs += [T.sum(z * T.conj(z), axis=-1), T.sum(T.exp(z / 50))]
    expected = evaluate(outputs, {z: values})

    compiled = wb.function([z], outputs)

    assert not hosted(compiled)
    rtol = 1e-3 if dtype == "complex64" else 1e-12
    for want, have in zip(expected, compiled(values), strict=True):
        assert want.dtype == have.dtype
        np.testing.assert_allclose(have, want, rtol=rtol, atol=rtol)


def test_means_and_variances():
    z = T.matrix("z", dtype="complex128")
    values = ordinary("complex128", 30, 7)

    mean, var = wb.function([z], [T.mean(z, axis=0), T.var(z, axis=1)])(values)

    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(var, values.var(1), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_matrices_are_computed_by_the_library(dtype):
    x, y = T.matrix("x", dtype=dtype), T.matrix("y", dtype=dtype)
    u, s = T.vector("u", dtype=dtype), T.tensor3("s", dtype=dtype)
    a, b = ordinary(dtype, 6, 5), ordinary(dtype, 5, 4, seed=1)
    v, c = ordinary(dtype, 5), ordinary(dtype, 3, 6, 5)
    outputs = [
        T.dot(x, y),
        T.dot(y.T, x.T),
        T.dot(x, u),
        T.dot(u, y),
        T.dot(u, u),
        T.dot(x, y) * (2 - 1j),
        T.matmul(s, y),
        T.matmul(s, T.conj(s).dimshuffle(0, 2, 1)),
        T.dot(s[:, :, 0], s[0]),
        T.dot(x[:, :1], y[:1]),
    ]
    given = {x: a, y: b, u: v, s: c}
    expected = evaluate(outputs, given)

    compiled = wb.function(list(given), outputs)

    assert not hosted(compiled)
    rtol = 1e-4 if dtype == "complex64" else 1e-12
    for want, have in zip(expected, compiled(*given.values()), strict=True):
        np.testing.assert_allclose(have, want, rtol=rtol, atol=rtol * 50)


def test_what_c_has_no_text_for_runs_in_numpy():
    z = T.vector("z", dtype="complex128")
    values = ordinary("complex128", 9)

    compiled = wb.function([z], [T.max(z * 2), T.erf(z), T.sort(z)])

    assert hosted(compiled) == {"max", "erf", "sort"}
    np.testing.assert_array_equal(compiled(values)[0], np.max(values * 2))


def test_text_for_real_numbers_is_not_used_for_complex_ones():
    class Twice(Elementwise):
        """2 x, and of complex numbers -x: an op of a user's."""

        c_expr = "({x} * 2)"

        def loop_types(self, *dtypes):
            return [dtypes[0], dtypes[0]]

        def reference(self, x):
            return -x if x.dtype.kind == "c" else x * 2

    x, z = T.vector("x"), T.vector("z", dtype="complex128")

    compiled = wb.function([x, z], [apply(Twice(), x), apply(Twice(), z)])

    assert hosted(compiled) == {"twice"}
    assert compiled([3.0], [3j])[1] == [-3j]


def test_a_single_number_is_computed_where_it_is_read():
    x, z = T.vector("x"), T.scalar("z", dtype="complex128")

    compiled = wb.function([x, z], x * T.abs(z * 2) + T.real(T.exp(z)))

    assert not hosted(compiled)
    np.testing.assert_allclose(
        compiled([1.0, 2.0], 3 + 4j),
        np.array([1, 2]) * 10 + np.exp(3 + 4j).real,
        rtol=1e-14,
    )


def test_constants_alone_are_computed_without_rewrites():
    x = T.vector("x")
    size = T.abs(T.constant(np.complex128(3 + 4j)))

    np.testing.assert_array_equal(wb.function([x], x + size, mode=BARE)([1.0]), [6])


def test_only_programs_with_complex_numbers_include_them():
    x, z = T.vector("x"), T.vector("z", dtype="complex64")

    assert "complexes.h" not in wb.function([x], x + 1).program.text.code
    assert "complexes.h" in wb.function([z], T.abs(z)).program.text.code


def test_loops_carry_complex_states():
    z, n = T.vector("z", dtype="complex128"), T.lscalar("n")
    (states, _) = wb.scan(lambda s, c: s * s + c, outputs_info=z * 0, non_sequences=z, n_steps=n)  # fmt: skip
    values = ordinary("complex128", 5) / 100

    compiled = wb.function([z, n], states[-1])

    s = values * 0
    for _ in range(6):
        s = s * s + values
    assert not hosted(compiled)
    np.testing.assert_allclose(compiled(values, 6), s, rtol=1e-13)


def test_branches_of_complex_numbers():
    z, c = T.vector("z", dtype="complex128"), T.bscalar("c")

    compiled = wb.function([z, c], wb.ifelse(c, T.sum(z * z), T.exp(z[0])))

    values = ordinary("complex128", 5) / 50
    np.testing.assert_allclose(compiled(values, 1), np.sum(values * values), rtol=1e-12)
    np.testing.assert_allclose(compiled(values, 0), np.exp(values[0]), rtol=1e-12)


@pytest.mark.parametrize("mode", [BARE, "FAST_RUN"], ids=["bare", "FAST_RUN"])
def test_gradients_equal_those_in_numpy(mode):
    z, w = T.vector("z", dtype="complex128"), T.vector("w", dtype="complex128")
    rng = np.random.default_rng(3)
    a, b = (joined(*rng.uniform(0.3, 1.2, (2, 7)), "complex128") for _ in range(2))
    costs = [
        T.sum(T.abs(T.exp(z) * w + z)),
        T.sum(T.real(T.tanh(z / w) * T.conj(z))),
        T.abs(T.dot(z, T.sin(w))),
        T.sum(T.sqr(T.abs(T.log(z) - T.sqrt(w)))),
        T.real(T.prod(z * w)),
        T.sum(T.angle(z**2 + T.cosh(w))),
        T.sum(T.imag(T.switch(T.real(z) > 0.7, z / w, T.reciprocal(z)))),
    ]
    outputs = [g for cost in costs for g in wb.grad(cost, [z, w], disconnected_inputs="ignore")]  # fmt: skip
    expected = evaluate(outputs, {z: a, w: b})

    compiled = wb.function([z, w], outputs, mode=mode)

    for want, have in zip(expected, compiled(a, b), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-10, atol=1e-12)


def test_ranges_of_several_threads_have_the_same_bits():
    z = T.vector("z", dtype="complex128")
    output = T.exp(z) * z + T.sqrt(z)
    values = ordinary("complex128", 300_007)

    with wb.config.change(threads=1):
        one = wb.function([z], output)(values)
    with wb.config.change(threads=2):
        two = wb.function([z], output)(values)

    assert one.tobytes() == two.tobytes()


def test_a_product_keeps_an_infinite_part():
    z = T.matrix("z", dtype="complex128")
    values = np.array([[complex(-1.5, np.inf)], [2.0]])

    prod = wb.function([z], T.prod(z, axis=1))(values)

    assert (prod[0].real, prod[0].imag) == (-1.5, np.inf)


def test_constants_are_compared():
    z = T.scalar("z", dtype="complex128")

    compiled = wb.function([z], [T.gt(z, 0), T.ge(T.constant(2 + 0j), T.constant(0j))])

    assert compiled(1j) == [True, True]
    assert compiled(-1j) == [False, True]


def test_a_sign_stays_where_it_decides_about_a_zero():
    z = T.scalar("z", dtype="complex128")
    output = T.sqrt(-(z * z))  # -(1 + 0i) lies below the cut, (-1) (1 + 0i) above it

    assert wb.function([z], output)(1.0) == output.eval({z: 1.0}) == -1j
    assert wb.function([z], T.sqrt(-(2.0 * z)))(0.5) == -1j


@pytest.mark.parametrize("power", [0, -1, 2, 0.5, 2j, -2.5 + 1j])
def test_rules_for_real_powers_leave_complex_ones(power):
    # A warning would say that a rule compared complex numbers.
    z = T.zvector("z")
    p = T.constant(np.complex128(power))
    made = [(1 + T.exp(z)) ** p, T.log(z**p), z / z**p, T.exp(z) * z**p]
    value = np.array([0.5 + 1j, -2 - 0.25j])

    for output in made:
        fast, plain = (wb.function([z], output, mode=m) for m in ("FAST_RUN", "None"))
        np.testing.assert_allclose(fast(value), plain(value), rtol=1e-12)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_the_reciprocal_of_an_exponential_that_is_zero_is_nan(mode):
    z = T.zvector("z")
    f = wb.function([z], 1 / T.exp(z), mode=mode)

    with np.errstate(all="ignore"):
        assert np.isnan(f(np.array([-np.inf - 69j]))).all()
