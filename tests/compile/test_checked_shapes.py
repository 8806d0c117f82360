"""Shapes that the user declares are checked in a call, and nothing is copied for the check."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import ShapeError

x = T.matrix("x", dtype="float64")
v = T.vector("v", dtype="float64")
W = wb.shared(np.arange(12.0).reshape(4, 3), name="W")
checked = T.specify_shape(x, (2, 4))
VALUE = np.linspace(-1, 1, 8).reshape(2, 4)


def kernels(f):
    """What each kernel does: its kind, and the operations in it."""
    return [(k.kind, [str(n.op) for n in k.nodes]) for k in f.compilation.kernels]


def names(f):
    return [name for _, each in kernels(f) for name in each]


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (lambda: T.dot(checked, W), VALUE @ W.get_value()),
        (
            lambda: T.dot(T.specify_shape(x[:, 1:], (2, 3)), W.T[:3]),
            VALUE[:, 1:] @ W.get_value().T,
        ),
        (
            lambda: T.dot(T.specify_shape(x.T, (4, 2)).T, W),
            VALUE @ W.get_value(),
        ),
        (
            lambda: T.dot(T.reshape(checked, (4, 2)), T.reshape(checked, (2, 4))),
            VALUE.reshape(4, 2) @ VALUE,
        ),
        (lambda: T.reshape(checked, (4, 2)).sum(0), VALUE.reshape(4, 2).sum(0)),
        (lambda: T.sort(checked, axis=0), np.sort(VALUE, 0)),
    ],
    ids=[
        "of an argument",
        "of a slice",
        "of a transpose",
        "reshaped",
        "summed",
        "host",
    ],
)
def test_an_array_of_a_declared_shape_is_read_where_it_lies(result, wanted):
    f = wb.function([x], result())

    found = f(VALUE)

    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert "specify_shape" not in names(f)
    with pytest.raises(ShapeError, match="specify_shape: axis"):
        f(np.ones((3, 4)))


def test_filters_of_a_declared_shape_are_not_copied():
    images, filters = T.dtensor4("images"), wb.shared(np.ones((2, 1, 3, 3)), name="w")
    given = {"input_shape": (5, 1, 6, 6), "filter_shape": (2, 1, 3, 3)}
    result = T.nnet.conv2d(images, filters, **given)
    gradient = wb.grad(result.sum(), filters)

    step = wb.function([images], result, updates=[(filters, filters - gradient)])

    assert "specify_shape" not in names(step)
    np.testing.assert_allclose(step(np.ones((5, 1, 6, 6))), np.full((5, 2, 4, 4), 9.0))
    np.testing.assert_allclose(filters.get_value(), np.full((2, 1, 3, 3), 1.0 - 80))
    with pytest.raises(ShapeError, match="6"):
        step(np.ones((4, 1, 6, 6)))


def test_a_computed_array_of_a_declared_shape_is_stored_once():
    f = wb.function([x], T.dot(T.specify_shape(T.exp(x), (2, 4)), W))

    found = f(VALUE)

    np.testing.assert_allclose(found, np.exp(VALUE) @ W.get_value(), rtol=1e-12)
    assert kernels(f) == [("loops", ["exp"]), ("blas", ["dot"])]


def test_states_of_a_declared_shape_enter_a_loop_as_they_are():
    start = T.specify_shape(v, (4,))
    states, _ = wb.scan(
        lambda h: T.tanh(T.dot(W.T[:, :4].T, T.dot(W.T, h))),
        outputs_info=[start],
        n_steps=3,
    )
    f = wb.function([v], states[-1])
    wanted = value = np.linspace(0, 1, 4)
    for _ in range(3):
        wanted = np.tanh(W.get_value() @ (W.get_value().T @ wanted))

    found = f(value)

    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_array_equal(value, np.linspace(0, 1, 4))
    with pytest.raises(ShapeError):
        f(np.ones(5))


@pytest.mark.parametrize("use", [lambda s: T.sort(s), lambda s: T.dot(s, s)])
def test_a_size_known_only_in_the_call_is_checked_before_it_is_relied_on(use):
    (places,) = T.nonzero(T.gt(v, 0))
    declared = T.specify_shape(v[places], (2,))
    f = wb.function([v], use(declared))

    found = f(np.array([1.0, -1.0, 2.0]))

    np.testing.assert_allclose(found, use(np.array([1.0, 2.0])).eval())
    with pytest.raises(ShapeError, match="specify_shape: axis 0 has size 3, not 2"):
        f(np.array([1.0, 3.0, 2.0]))
