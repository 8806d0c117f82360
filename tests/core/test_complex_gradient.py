"""Gradients by complex variables: dC/dRe(z) + i dC/dIm(z) of a real cost C."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_forward, verify_grad
from workbench.core.errors import GradientError
from workbench.core.graph import toposort
from workbench.core.ops.elementwise import Conj


def complexes(rng, *shape):
    return rng.uniform(0.3, 1.2, shape) + 1j * rng.uniform(-1, 1, shape)


# Bounded functions, away from their cuts and poles on the right half of the disc.
ONE = {
    "sin": T.sin,
    "exp": lambda z: T.exp(-z),
    "tanh": lambda z: T.tanh(z / 2),
    "square": lambda z: z * z / 2,
    "pole": lambda z: 1 / (z + 9),
    "conj": T.conj,
    "abs": lambda z: T.abs(z) * z / 2,
    "real": lambda z: T.real(z) * z,
    "imag": lambda z: T.imag(z) + z,
    "parts": lambda z: T.complex(T.imag(z), T.real(z) * 2),
    "cast": lambda z: T.cast(T.real(z), "complex128"),
    "sum": lambda z: z + T.sum(z, axis=-1, keepdims=True) / 9,
}
TWO = {
    "add": T.add,
    "mul": T.mul,
    "divide": lambda a, b: a / (b + 9),
    "switch": lambda a, b: T.switch(T.arange(3) > 0, a, b),
    "inner": lambda a, b: T.conj(a) * b,
}


@pytest.mark.parametrize("second_is_real", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_random_compositions_equal_differences_in_both_parts(seed, second_is_real):
    rng = np.random.default_rng(seed)
    first, second, last = rng.choice(list(ONE), 3)
    join = rng.choice(list(TWO))
    arrays = [complexes(rng, 2, 3), complexes(rng, 3)]
    if second_is_real:
        arrays[1] = arrays[1].real

    def build(x, y):
        return ONE[last](TWO[join](ONE[first](x), ONE[second](y)))

    verify_grad(build, arrays)
    verify_forward(build, arrays)
    verify_grad(build, arrays, order=2)


def test_the_gradient_points_uphill():
    z = T.scalar("z", dtype="complex128")

    assert wb.grad(T.sqr(T.abs(z)), z).eval({z: 3 + 4j}) == 6 + 8j
    assert wb.grad(T.real(z), z).eval({z: 1j}) == 1
    assert wb.grad(T.imag(z), z).eval({z: 1j}) == 1j


def test_the_gradient_by_a_real_number_is_real():
    x = T.scalar("x")
    cost = T.abs(T.exp(1j * x) + 2)

    gradient = wb.grad(cost, x)

    assert gradient.dtype == "float64"
    np.testing.assert_allclose(
        gradient.eval({x: 0.5}), -2 * np.sin(0.5) / abs(np.exp(0.5j) + 2)
    )


def test_products_of_matrices():
    rng = np.random.default_rng(0)
    arrays = [complexes(rng, 2, 3), complexes(rng, 3, 2)]

    for given in (arrays, [arrays[0], arrays[1].real]):
        verify_grad(T.dot, given)
        verify_forward(T.dot, given)


def test_holomorphic_ops_need_one_conjugate_in_all():
    z = T.vector("z", dtype="complex128")
    y = z
    for _ in range(10):
        y = T.sin(y) * y

    gradient = wb.grad(T.sum(T.real(y)), z)

    assert sum(isinstance(n.op, Conj) for n in toposort([gradient])) <= 1


def test_known_gradients_are_gradients_as_people_see_them():
    z = T.vector("z", dtype="complex128")
    y = T.exp(z)
    cost = T.sum(T.sqr(T.abs(y)))

    chained = wb.grad(None, z, known_grads={y: wb.grad(cost, y)})

    at = np.array([0.3 + 1j, -1j])
    np.testing.assert_allclose(chained.eval({z: at}), wb.grad(cost, z).eval({z: at}))


def test_a_complex_cost_is_refused():
    z = T.vector("z", dtype="complex128")

    with pytest.raises(GradientError, match=r"(?s)must be a float scalar.*no order"):
        wb.grad(T.sum(z), z)
