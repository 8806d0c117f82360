"""Forward derivatives, products with Jacobians, Jacobians and Hessians."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_forward
from workbench.core.errors import DisconnectedInputError, GradientError, ShapeError
from workbench.core.graph import toposort
from workbench.core.ops.linalg import Dot

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(2, 3))
VECTOR = RNG.normal(size=3)


def close(got, expected):
    np.testing.assert_allclose(got, expected, 1e-9, 1e-12)


# --- products with a Jacobian ---------------------------------------------------------


def test_forward_and_backward_products_of_a_linear_map():
    x, y = T.vector("x"), T.vector("y")
    a = T.constant(MATRIX)

    forward = wb.jvp(a @ x, x, y)
    backward = wb.vjp(a @ x, x, y)

    close(forward.eval({x: VECTOR, y: VECTOR}), MATRIX @ VECTOR)
    close(backward.eval({x: VECTOR, y: [1.0, 2.0]}), [1, 2] @ MATRIX)


def test_the_names_of_the_tradition_are_the_same_functions():
    assert wb.Rop is wb.jvp is T.Rop is T.gradient.pushforward
    assert wb.Lop is wb.vjp is T.Lop is T.gradient.pullback


def test_results_have_the_form_of_what_was_asked():
    x, y = T.vectors("x", "y")
    ones = np.ones(3)

    assert isinstance(wb.jvp(x * y, [x, y], [ones, ones]), wb.Variable)
    assert isinstance(wb.jvp([x * y], x, ones), list)
    assert isinstance(wb.jvp((x * y, x), x, ones), tuple)
    assert isinstance(wb.vjp([x * y], x, [ones]), wb.Variable)
    assert isinstance(wb.vjp(x * y, [x, y], ones), list)
    assert isinstance(wb.vjp(x * y, (x, y), ones), tuple)


def test_several_changes_add_up():
    x, y = T.scalars("x", "y")

    got = wb.jvp(x * y, [x, y], [1.0, 10.0]).eval({x: 2.0, y: 3.0})
    same = wb.jvp(x * y, [x, x], [1.0, 10.0]).eval({x: 2.0, y: 3.0})

    assert got == 3 + 20
    assert same == 33


def test_no_point_is_a_point_of_zeros():
    x, y = T.scalars("x", "y")

    assert wb.jvp(x * y, [x, y], [None, 1.0]).eval({x: 2.0, y: 3.0}) == 2
    assert wb.jvp(x * 2, [x, y], [None, 1.0]).eval({x: 2.0}) == 0


def test_gradients_of_several_outputs_add_up_also_where_one_feeds_another():
    x = T.scalar("x")
    y = x**2
    z = y * 3

    assert wb.vjp([y, z], x, [1.0, 10.0]).eval({x: 2.0}) == 4 + 120
    assert wb.vjp([y, y], x, [1.0, 10.0]).eval({x: 2.0}) == 44


def test_by_a_variable_and_one_made_of_it():
    x = T.scalar("x")
    y = x**2
    z = y * x

    forward = wb.jvp(z, [x, y], [1.0, 10.0]).eval({x: 2.0})
    by_x, by_y = wb.vjp(z, [x, y], 1.0)

    assert forward == by_x.eval({x: 2.0}) + 10 * by_y.eval({x: 2.0}) == 12 + 20


def test_a_product_goes_forward_without_a_transposition():
    x, v = T.matrix("x"), T.matrix("v")
    a = T.constant(RNG.normal(size=(3, 3)))

    f = wb.function([x, v], wb.jvp(T.tanh(a @ x), x, v))

    dots = [n for n in toposort(f.compilation.after.results) if isinstance(n.op, Dot)]
    assert len(dots) == 2


def test_forward_through_many_kinds_of_ops():
    i = T.constant([2, 0])

    def build(x, y):
        moved = T.concatenate([x.T, y[:, None]], axis=1)
        put = T.set_subtensor(moved[1:], T.exp(moved[1:]))
        return T.nnet.softmax(put[i]) * x.max() + T.std(y) / T.prod(y[:2])

    verify_forward(build, [MATRIX, VECTOR])


def test_steps_and_integers_do_not_change():
    x = T.vector("x")

    for output in (T.floor(x), x.argmax(), x.shape[0]):
        got = wb.jvp(output, x, np.ones(3), disconnected_outputs="ignore")
        assert not np.any(got.eval({x: VECTOR}))


def test_an_output_that_does_not_depend_is_an_error_a_warning_or_a_choice():
    x, y = T.scalars("x", "y")

    with pytest.raises(DisconnectedInputError, match="y does not depend on wrt"):
        wb.jvp([x, y], x, 1.0)
    with pytest.warns(UserWarning, match="y does not depend"):
        wb.jvp(y, x, 1.0, disconnected_outputs="warn")
    assert wb.jvp(y, x, 1.0, "ignore", "none") is None
    hollow = wb.jvp(y, x, 1.0, "ignore", "disconnected")
    assert isinstance(hollow, T.gradient.Disconnected)
    with pytest.raises(ValueError, match="needed but was not given|disconnected"):
        hollow.eval()


def test_points_are_checked():
    x, y = T.vectors("x", "y")

    with pytest.raises(GradientError, match="2 variables and 1 points"):
        wb.jvp(x * y, [x, y], [VECTOR])
    with pytest.raises(GradientError, match="point given for x has 2 axes, not 1"):
        wb.jvp(x * y, x, MATRIX)


# --- jacobian -------------------------------------------------------------------------


@pytest.mark.parametrize("vectorize", [True, False])
def test_jacobian_of_a_vector(vectorize):
    x = T.vector("x", shape=(3,))
    a = T.constant(MATRIX)

    got = wb.jacobian(T.sin(a @ x), x, vectorize=vectorize).eval({x: VECTOR})

    close(got, np.cos(MATRIX @ VECTOR)[:, None] * MATRIX)


@pytest.mark.parametrize("mode", ["None", "FAST_RUN"])
def test_jacobian_of_sizes_known_at_run_time(mode):
    x = T.vector("x")
    f = wb.function([x], wb.jacobian(x**2 * x.sum(), x), mode=mode)

    for n in (3, 1, 0, 5):
        v = np.arange(1.0, n + 1)
        close(f(v), np.diag(2 * v * v.sum()) + v[:, None] ** 2)


def test_jacobian_of_any_shape_by_any_shape():
    x = T.matrix("x")
    got = wb.jacobian(T.exp(x).T, x).eval({x: MATRIX})

    assert got.shape == (3, 2, 2, 3)
    expected = np.einsum("ij,ik,jl->jikl", np.exp(MATRIX), np.eye(2), np.eye(3))
    close(got, expected)


def test_jacobian_of_a_scalar_is_the_gradient():
    x = T.vector("x")

    close(wb.jacobian((x**2).sum(), x).eval({x: VECTOR}), 2 * VECTOR)


def test_jacobian_by_several_variables_keeps_the_form():
    x, y = T.scalar("x"), T.vector("y")

    by_x, by_y = got = wb.jacobian(x * y, (x, y))

    assert isinstance(got, tuple)
    close(by_x.eval({x: 2.0, y: VECTOR}), VECTOR)
    close(by_y.eval({x: 2.0, y: VECTOR}), 2 * np.eye(3))


def test_jacobian_is_made_of_the_products():
    def build(x):
        return T.nnet.softmax(T.outer(x, x)).ravel() * T.cumsum(T.outer(x, x).ravel())

    x, v = T.vector("x"), T.vector("v")
    y = build(x)
    at = {x: VECTOR, v: RNG.normal(size=3)}

    matrix = wb.jacobian(y, x).eval({x: VECTOR})

    close(wb.jvp(y, x, v).eval(at), matrix @ at[v])
    close(
        wb.vjp(y, x, at[v][[0, 1, 2] * 3]).eval({x: VECTOR}),
        at[v][[0, 1, 2] * 3] @ matrix,
    )


def test_jacobian_of_a_complex_variable_has_the_convention_of_gradients():
    z = T.vector("z", dtype="complex128")
    at = np.array([1 + 2j, 3 - 1j])

    got = wb.jacobian(T.real(z * z), z).eval({z: at})

    close(got, np.diag(np.conj(2 * at)))


def test_jacobian_says_what_it_does_not_do():
    x, z, i = T.vector("x"), T.vector("z", dtype="complex128"), T.lvector("i")

    for expression in (i, z):
        with pytest.raises(GradientError, match="jacobian is of real floats"):
            wb.jacobian(expression, x)
    with pytest.raises(ShapeError, match="number of rows"):
        wb.jacobian(x * 2, x, vectorize=False)
    with pytest.raises(DisconnectedInputError):
        wb.jacobian(x * 2, T.vector("other"))
    zeros = wb.jacobian(x * 2, T.constant(VECTOR), disconnected_inputs="ignore")
    assert not zeros.eval({x: [1.0, 2.0]}).any()


# --- second order ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["None", "FAST_RUN"])
def test_hessian(mode):
    x = T.vector("x")
    a = MATRIX.T @ MATRIX
    cost = x @ T.constant(a) @ x / 2 + T.exp(x[0])

    f = wb.function([x], wb.hessian(cost, x), mode=mode)

    close(f(VECTOR), a + np.diag([np.exp(VECTOR[0]), 0, 0]))


def test_hessian_of_a_matrix_and_of_several():
    x, y = T.matrix("x"), T.scalar("y")

    by_x, by_y = wb.hessian((x**2).sum() * y**3, [x, y])

    at = {x: MATRIX, y: 2.0}
    close(by_x.eval(at), 16 * np.eye(6).reshape(2, 3, 2, 3))
    close(by_y.eval(at), 12 * (MATRIX**2).sum())


def test_hessian_of_a_linear_cost_is_zero():
    x = T.vector("x")

    assert not wb.hessian(x.sum(), x).eval({x: VECTOR}).any()
    assert not wb.hessian_vector_product(x.sum(), x, VECTOR).eval({x: VECTOR}).any()


def test_hessian_vector_product_is_the_product():
    x, y = T.vector("x"), T.scalar("y")
    cost = T.nnet.logsumexp(T.sin(x * y)) * x.sum()
    at = {x: VECTOR, y: 0.7}
    p, q = RNG.normal(size=3), 0.3

    hx, hy = wb.hessian_vector_product(cost, [x, y], [p, q])
    first = wb.grad(cost, [x, y])
    rows = [wb.jacobian(g, [x, y]) for g in first]

    values = [[part.eval(at) for part in row] for row in rows]
    close(hx.eval(at), values[0][0] @ p + values[0][1] * q)
    close(hy.eval(at), values[1][0] @ p + values[1][1] * q)


def test_hessian_vector_product_costs_a_few_gradients():
    x, p = T.vector("x"), T.vector("p")
    y = x
    for _ in range(30):
        y = T.tanh(y * 1.1)
    first = wb.grad(y.sum(), x)

    second = wb.hessian_vector_product(y.sum(), x, p)

    assert len(toposort([second])) < 8 * len(toposort([first]))


def test_all_outputs_of_an_op_change_together():
    symmetric = MATRIX @ MATRIX.T
    change = np.array([[0.3, -0.2], [-0.2, 0.5]])
    a, t = T.matrix("a"), T.matrix("t")
    w, v = T.linalg.eigh(a)

    dw, dv = wb.jvp((w, v), a, t)

    at = {a: symmetric, t: change}
    values, vectors = (x.eval({a: symmetric}) for x in (w, v))
    dw, dv = dw.eval(at), dv.eval(at)
    # What a v = v w says of the changes.
    close(change @ vectors + symmetric @ dv, dv * values + vectors * dw)
    close(vectors.T @ dv + dv.T @ vectors, np.zeros((2, 2)))
