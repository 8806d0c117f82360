"""Equations, factors and functions of matrices against NumPy and SciPy; errors; complex numbers."""

import numpy as np
import pytest
from scipy import linalg as sp

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from tests.like_numpy import assert_agrees, draw, variables_like
from workbench.core.errors import DTypeError, GradientError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import TensorType

L = T.linalg
INF = np.inf


def compiled(build, *arrays):
    variables = variables_like(arrays)
    return wb.function(variables, build(*variables))(*arrays)


# --- equations ---------------------------------------------------------------------------


def regular(*shape, dtype="float64", seed=1):
    (a,) = draw(shape, dtype=dtype, seed=seed)
    return (a + 4 * np.eye(shape[-1])).astype(dtype)


def definite(n, seed=2):
    a = regular(n, n, seed=seed)
    return a @ a.T


def test_a_right_side_is_a_vector_or_matrices():
    a, (b, bs) = regular(2, 3, 3), draw((3,), (2, 3))

    assert_agrees(L.solve, np.linalg.solve, a, b)
    assert_agrees(L.solve, np.linalg.solve, a[0], b)
    assert_agrees(
        lambda x, y: L.solve(x, y, b_ndim=1),
        lambda x, y: np.linalg.solve(x, y[..., None])[..., 0],
        a,
        bs,
    )


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    "assume", ["gen", "sym", "pos", "diagonal", "lower triangular", "upper triangular", "tridiagonal", "general"]
)  # fmt: skip
def test_solve_assumes_what_is_said(assume, transposed):
    a = {
        "sym": definite(3) - 2 * np.eye(3),
        "pos": definite(3),
        "diagonal": np.diag([1.0, 2.0, 3.0]),
        "lower triangular": np.tril(regular(3, 3)),
        "upper triangular": np.triu(regular(3, 3)),
    }.get(assume, np.triu(np.tril(regular(3, 3), 1), -1))
    (b,) = draw((3, 2))

    assert_agrees(
        lambda x, y: L.solve(x, y, assume_a=assume, transposed=transposed),
        lambda x, y: np.linalg.solve(x.T if transposed else x, y),
        a,
        b,
    )


def test_factors_solve_equations():
    a, (b, v) = definite(3), draw((3, 2), (3,))
    m = regular(3, 3)
    m[[0, 2]] = m[[2, 0]]  # so that rows are exchanged

    for lower in (False, True):
        assert_agrees(
            lambda x, y, low=lower: L.cho_solve(L.cho_factor(x, low), y),
            np.linalg.solve,
            a,
            b,
        )
    for trans in (0, 1):

        def build(x, y, trans=trans):
            return L.lu_solve(L.lu_factor(x), y, trans)

        def expected(x, y, trans=trans):
            return np.linalg.solve(x.T if trans else x, y)

        assert_agrees(build, expected, m, b)
        assert_agrees(build, expected, m, v)
        verify_grad(build, [m, b])
    verify_grad(lambda x, y: L.cho_solve(L.cho_factor(x), y), [a, b])


def test_complex_equations_are_scipys():
    a, (b,) = regular(3, 3, dtype="complex128"), draw((3, 2), dtype="complex128")

    for trans in (0, 1, 2):
        assert_agrees(
            lambda x, y, trans=trans: L.lu_solve(L.lu_factor(x), y, trans),
            lambda x, y, trans=trans: sp.lu_solve(sp.lu_factor(x), y, trans),
            a,
            b,
        )
        assert_agrees(
            lambda x, y, trans=trans: L.solve_triangular(x, y, trans, lower=True),
            lambda x, y, trans=trans: sp.solve_triangular(x, y, trans, lower=True),
            a,
            b,
        )
    h = a @ a.conj().T
    assert_agrees(
        lambda x, y: L.cho_solve(L.cho_factor(x, True), y), np.linalg.solve, h, b
    )
    assert_agrees(lambda x, y: L.solve(x, y, assume_a="her", transposed=True), lambda x, y: np.linalg.solve(x.T, y), h, b)  # fmt: skip


def test_lu_in_its_three_forms():
    (a,) = draw((4, 3))

    p, low, up = L.lu(a, p_indices=True)
    left, right = L.lu(a, permute_l=True)

    assert_agrees(lambda x: L.lu(x)[0], lambda x: sp.lu(x)[0], a)
    assert p.dtype == "int32"
    np.testing.assert_allclose(low.eval()[p.eval()] @ up.eval(), a)
    np.testing.assert_allclose(left.eval() @ right.eval(), a)


def test_tensor_equations_are_numpys():
    a, (b,) = regular(6, 6).reshape(2, 3, 6), draw((2, 3))

    assert_agrees(L.tensorsolve, np.linalg.tensorsolve, a, b)
    assert_agrees(
        lambda x, y: L.tensorsolve(x, y, axes=(0,)),
        lambda x, y: np.linalg.tensorsolve(x, y, axes=(0,)),
        regular(6, 6).reshape(6, 2, 3),
        b,
    )
    assert_agrees(L.tensorinv, np.linalg.tensorinv, a)
    with pytest.raises(ValueError):
        L.tensorinv(a, ind=0)


@pytest.mark.parametrize("method", [None, "direct", "bilinear"])
def test_lyapunov_equations_are_scipys(method):
    a, q = 0.2 * regular(3, 3), definite(3)

    assert_agrees(
        lambda x, y: L.solve_discrete_lyapunov(x, y, method),
        lambda x, y: sp.solve_discrete_lyapunov(x, y, method),
        a,
        q,
    )
    verify_grad(lambda x, y: L.solve_discrete_lyapunov(x, y, method), [a, q])
    assert_agrees(L.solve_continuous_lyapunov, sp.solve_continuous_lyapunov, a, q)


def test_eigenvalues_relative_to_a_second_matrix():
    a, b = definite(3) + np.triu(np.ones((3, 3)), 1), definite(3, seed=5)

    for lower in (True, False):
        assert_agrees(
            lambda x, y, lower=lower: L.eigvalsh(x, y, lower),
            lambda x, y, lower=lower: sp.eigvalsh(x, y, lower=lower),
            a,
            b,
        )
    assert_agrees(lambda x: L.eigvalsh(x, "U"), lambda x: np.linalg.eigvalsh(x, "U"), a)


def test_hermitian_arguments_read_the_lower_triangle():
    a = regular(3, 3)
    full = np.tril(a) + np.tril(a, -1).T

    assert_agrees(
        lambda x: L.pinv(x, hermitian=True), lambda x: np.linalg.pinv(full), a
    )
    assert_agrees(
        lambda x: L.svd(x, compute_uv=False, hermitian=True),
        lambda x: np.linalg.svd(full, compute_uv=False),
        a,
    )
    verify_grad(lambda x: L.pinv(x, hermitian=True), [a])


# --- numbers of matrices -----------------------------------------------------------------


@pytest.mark.parametrize("ord", [None, 0, 1, 2, 3, -1, 0.5, INF, -INF])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_of_vectors_are_numpys(ord, axis, keepdims):
    (x,) = draw((3, 4))

    assert_agrees(
        lambda a: L.norm(a, ord, axis, keepdims),
        lambda a: np.linalg.norm(a, ord, axis, keepdims),
        x,
    )
    if ord != 0:
        verify_grad(lambda a: L.norm(a, ord, axis, keepdims), [x])


@pytest.mark.parametrize("ord", [None, "fro", "f", "nuc", 1, -1, 2, -2, INF, -INF])
@pytest.mark.parametrize("axis", [None, (0, 1), (2, 0), (-1, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_of_matrices_are_numpys(ord, axis, keepdims):
    (x,) = draw((3, 4) if axis is None else (3, 4, 2))

    assert_agrees(
        lambda a: L.norm(a, ord, axis, keepdims),
        lambda a: np.linalg.norm(a, ord, axis, keepdims),
        x,
    )
    verify_grad(lambda a: L.norm(a, ord, axis, keepdims), [x])


def test_norms_of_everything_are_numpys():
    for x in (
        *draw((2, 3, 4), (3,), (), (0,)),
        *draw((2, 3), dtype="int8"),
        *draw((2, 3), dtype="complex64"),
    ):
        assert_agrees(L.norm, np.linalg.norm, x, rtol=1e-5)
    (x,) = draw((2, 3, 4))
    assert_agrees(L.matrix_norm, np.linalg.matrix_norm, x)
    assert_agrees(L.vector_norm, np.linalg.vector_norm, x)
    assert_agrees(lambda a: L.vector_norm(a, keepdims=True), lambda a: np.linalg.vector_norm(a, keepdims=True), x)  # fmt: skip


def test_gradient_of_the_norm_of_nothing_is_zero():
    x = T.vector("x")

    np.testing.assert_array_equal(T.grad(L.norm(x), x).eval({x: np.zeros(2)}), [0, 0])


@pytest.mark.parametrize(
    ("ord", "shape"), [(3, (2, 3)), ("fro", (3,)), ("x", (2, 3)), (2, (2, 3, 4))]
)
def test_norms_that_do_not_exist(ord, shape):
    (x,) = draw(shape)

    with pytest.raises(ValueError):
        np.linalg.norm(x, ord)
    with pytest.raises(ValueError):
        L.norm(x, ord)


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, INF, "fro", "nuc"])
def test_condition_numbers_are_numpys(p):
    for a in (regular(3, 3), regular(2, 3, 3)):
        assert_agrees(lambda x: L.cond(x, p), lambda x: np.linalg.cond(x, p), a)
    with np.errstate(all="ignore"):
        expected = np.linalg.cond(np.zeros((2, 2)), 1)
    if p != "nuc":  # a norm by singular values, which NumPy has not of NaN
        assert_agrees(lambda x: L.cond(x, p), lambda x: expected, np.zeros((2, 2)))
    if p not in (None, 2, -2, "nuc"):
        assert np.isnan(L.cond(np.full((2, 2), np.nan), p).eval())
    with pytest.raises(np.linalg.LinAlgError):
        L.cond(np.zeros((0, 0)), p)


def test_ranks_are_numpys():
    low = np.outer([1.0, 2, 3], [1.0, 1, 1])
    for a in (
        low,
        regular(3, 3),
        np.stack([low, np.eye(3)]),
        np.zeros((2, 3)),
        np.arange(3.0),
        np.zeros(3),
        np.ones((2, 2), int),
    ):
        assert_agrees(L.matrix_rank, np.linalg.matrix_rank, a)
    a = np.diag([1.0, 0.1, 0.01])
    assert_agrees(
        lambda x: L.matrix_rank(x, 0.05), lambda x: np.linalg.matrix_rank(x, 0.05), a
    )
    assert_agrees(
        lambda x: L.matrix_rank(x, rtol=0.5),
        lambda x: np.linalg.matrix_rank(x, rtol=0.5),
        a,
    )
    assert_agrees(lambda x: L.matrix_rank(x, hermitian=True), lambda x: np.linalg.matrix_rank(x, hermitian=True), a)  # fmt: skip


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 7])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_powers_are_numpys(n, dtype):
    a = regular(2, 3, 3, dtype=dtype)

    assert_agrees(
        lambda x: L.matrix_power(x, n),
        lambda x: np.linalg.matrix_power(x, n),
        a,
        rtol=1e-4,
    )


def test_sign_and_logarithm_of_the_determinant_of_a_singular_matrix():
    sign, logarithm = L.slogdet(np.zeros((2, 2)))

    assert (sign.eval(), logarithm.eval()) == (0, -INF)


# --- dtypes and errors -------------------------------------------------------------------

ALL_OF_ONE = [
    L.inv, L.det, L.pinv, L.svdvals, L.eigvalsh, L.cholesky, L.eigvals, lambda x: L.solve(x, x),
    lambda x: L.qr(x).Q, lambda x: L.lstsq(x, x).x, lambda x: L.slogdet(x)[1],
]  # fmt: skip


@pytest.mark.parametrize("function", ALL_OF_ONE)
def test_half_floats_are_refused(function):
    with pytest.raises(DTypeError, match="float16"):
        function(np.eye(2, dtype="float16"))


@pytest.mark.parametrize("function", ALL_OF_ONE)
def test_integers_become_float64_and_float32_stays(function):
    parts = {"float64": ("float64", "complex128"), "float32": ("float32", "complex64")}

    assert function(np.eye(2, dtype="int8")).dtype in parts["float64"]
    assert function(np.eye(2, dtype="float32")).dtype in parts["float32"]


@pytest.mark.parametrize(
    "function",
    [L.expm, lambda x: L.solve_triangular(x, x), lambda x: L.lu(x)[1], lambda x: L.schur(x)[0]],
)  # fmt: skip
def test_functions_of_scipy_widen_half_floats(function):
    assert function(np.eye(2, dtype="float16")).dtype == "float32"


@pytest.mark.parametrize(
    "function", [L.inv, L.det, L.cholesky, L.expm, L.eigvalsh, lambda x: L.solve(x, np.ones(2)), lambda x: L.matrix_power(x, 2)]
)  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 3), (3,), ()])
def test_square_matrices_are_needed(function, shape):
    with pytest.raises(np.linalg.LinAlgError):
        function(np.ones(shape))
    with pytest.raises(ShapeError):
        function(np.ones(shape))


def test_sizes_are_compared_when_called():
    x, b = T.matrix("x"), T.vector("b")
    f = wb.function([x, b], L.solve(x, b))

    with pytest.raises(ShapeError, match=r"solve\(x, .*\): sizes 2 and 3 differ"):
        f(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ShapeError, match="sizes 2 and 3 differ"):
        f(np.eye(2), np.ones(3))


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_singular_matrix_is_an_error_that_shows_the_line(mode):
    a = T.matrix("a")
    f = wb.function([a], L.inv(a) + 1, mode=mode)

    with pytest.raises(np.linalg.LinAlgError) as caught:
        f(np.ones((2, 2)))

    assert "inv(a): Singular matrix." in str(caught.value)
    assert "L.inv(a) + 1" in str(caught.value)


def test_cholesky_of_an_indefinite_matrix():
    a = np.stack([-np.eye(2), np.eye(2)])

    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        L.cholesky(a).eval()
    value = L.cholesky(a, on_error="nan").eval()

    assert np.isnan(value[0]).all()
    np.testing.assert_array_equal(value[1], np.eye(2))
    with pytest.raises(ValueError, match="on_error"):
        L.cholesky(a, on_error="ignore")


def test_singular_triangles_are_errors():
    with pytest.raises(np.linalg.LinAlgError):
        L.solve_triangular(np.diag([1.0, 0.0]), np.ones(2)).eval()


def test_wrong_names_are_value_errors():
    a = np.eye(2)

    for call in (
        lambda: L.qr(a, "full and raw"),
        lambda: L.eigh(a, "X"),
        lambda: L.solve(a, a, assume_a="triangular"),
        lambda: L.solve_triangular(a, a, trans=3),
        lambda: L.solve_discrete_lyapunov(a, a, "indirect"),
        lambda: T.cross(np.ones(4), np.ones(4)),
        lambda: T.dot(np.ones((2, 3, 4)), np.ones((3, 5))),
        lambda: T.matmul(2.0, a),
        lambda: T.batched_dot(np.ones((2, 3, 4)), np.ones((3, 4, 2))),
        lambda: T.tensordot(a, a, 3),
        lambda: T.inner(np.ones((2, 3)), np.ones((2, 2))),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError):
        L.matrix_power(a, 0.5)


# --- derivatives -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function", [L.inv, L.det, L.expm, lambda a: L.solve(a, a + 1), lambda a: a @ a]
)
def test_holomorphic_functions_have_complex_gradients(function):
    z = 0.3 * regular(2, 2, dtype="complex128")
    x = Variable(TensorType("complex128", (2, 2)), "z")
    cost = T.sum(T.real(function(x)) * 2 + T.imag(function(x)))

    (gradient,) = evaluate([T.grad(cost, x)], {x: z})

    for place in np.ndindex(2, 2):
        for step in (1e-6, 1e-6j):
            values = []
            for sign in (1, -1):
                moved = z.copy()
                moved[place] += sign * step
                values.append(evaluate([cost], {x: moved})[0])
            slope = (values[0] - values[1]) / 2e-6
            found = gradient[place].real if step == 1e-6 else gradient[place].imag
            np.testing.assert_allclose(found, slope, 1e-6, 1e-6)


@pytest.mark.parametrize(
    "function",
    [L.cholesky, L.eigvalsh, L.svdvals, L.pinv, lambda a: L.qr(a).R, lambda a: L.slogdet(a)[1], lambda a: L.solve(a, a, assume_a="her")],
)  # fmt: skip
def test_other_functions_refuse_complex_gradients(function):
    x = Variable(TensorType("complex128", (2, 2)), "z")

    with pytest.raises(GradientError, match="complex"):
        T.grad(T.sum(T.real(function(x))), x)


def test_eigenvalues_of_any_matrix_have_no_gradient():
    x = T.matrix("x")

    with pytest.raises(GradientError):
        T.grad(T.sum(T.real(L.eigvals(x))), x)


def test_gradients_compile_to_the_same_values():
    a, (b,) = definite(3), draw((3, 2))

    def cost(x, y):
        factor = L.cholesky(x)
        w, v = L.eigh(x)
        u, s, vh = L.svd(y, full_matrices=False)
        parts = (
            L.solve(x, y),
            factor,
            w,
            T.sqr(v),
            u @ vh,
            s,
            L.expm(x / 50),
            L.slogdet(x)[1],
        )
        return sum(T.sum(T.sin(p)) for p in parts)

    def gradients(x, y):
        return T.grad(cost(x, y), [x, y])

    variables = variables_like([a, b])
    expected = evaluate(
        gradients(*variables), dict(zip(variables, [a, b], strict=True))
    )

    for got, want in zip(compiled(gradients, a, b), expected, strict=True):
        np.testing.assert_allclose(got, want, 1e-9, 1e-9)
