"""Batch and layer normalisation: NumPy's values, exact gradients, averages that go along."""

import itertools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DTypeError, ParameterError, ShapeError
from workbench.core.graph import Variable
from workbench.core.types import TensorType

AXES = {
    "per-activation": (0,),
    "spatial": (0, 2, 3),
    (0, 1): (0, 1),
    (1, 3): (1, 3),
    3: (3,),
}
SHAPE = (4, 3, 2, 5)


def draw(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(2, 3, shape).astype(dtype)


def tensor(array):
    shape = (None,) * array.ndim
    return Variable(TensorType(array.dtype.name, shape), "x")


def parameters(axes, whole, dtype="float64"):
    """Scale, shift, mean and variance, with all axes or only with those that are not normalised."""
    sizes = [1 if a in axes else s for a, s in enumerate(SHAPE)]
    if not whole:
        sizes = [s for a, s in enumerate(SHAPE) if a not in axes]
    made = [draw(*sizes, dtype=dtype, seed=k) for k in range(1, 5)]
    return [*made[:3], abs(made[3]) + 1]


def over(axes, whole, parameter):
    return parameter if whole else np.expand_dims(parameter, axes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("named", AXES)
def test_training_equals_numpy(named, whole, dtype):
    axes, array = AXES[named], draw(*SHAPE, dtype=dtype)
    gamma, beta, before, spread = parameters(axes, whole, dtype)
    x = tensor(array)

    outputs = T.nnet.batch_normalization_train(
        x, gamma, beta, named, 1e-3, 0.25, before, spread
    )

    number = np.prod([SHAPE[a] for a in axes])
    mean = array.mean(axes, keepdims=True)
    variance = array.var(axes, keepdims=True)
    inverse = 1 / np.sqrt(variance + 1e-3)
    scale, shift = (over(axes, whole, v) for v in (gamma, beta))
    unbiased = variance * number / (number - 1)
    want = [
        (array - mean) * inverse * scale + shift,
        *(
            v if whole else v.squeeze(axes)
            for v in (
                mean,
                inverse,
                over(axes, whole, before) * 0.75 + mean * 0.25,
                over(axes, whole, spread) * 0.75 + unbiased * 0.25,
            )
        ),
    ]
    compiled = wb.function([x], list(outputs))(array)
    for output, value, expected in zip(outputs, compiled, want, strict=True):
        assert value.dtype == dtype
        tolerance = 1e-4 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(output.eval({x: array}), expected, tolerance, 1e-4)
        np.testing.assert_allclose(value, expected, tolerance, 1e-4)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("named", AXES)
def test_testing_equals_numpy(named, whole):
    axes, array = AXES[named], draw(*SHAPE)
    given = parameters(axes, whole)
    x = tensor(array)

    y = T.nnet.batch_normalization_test(x, *given, named, 1e-3)

    gamma, beta, mean, variance = (over(axes, whole, v) for v in given)
    want = (array - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(y.eval({x: array}), want)
    np.testing.assert_allclose(wb.function([x], y)(array), want)


def test_a_given_deviation_is_divided_by():
    array = draw(4, 3)
    x = tensor(array)

    y = T.nnet.bn.batch_normalization(x, 2.0, 1.0, array.mean(0), array.std(0))

    want = (array - array.mean(0)) / array.std(0) * 2 + 1
    np.testing.assert_allclose(y.eval({x: array}), want)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("output", [0, 1, 2])
def test_gradients_equal_differences(output, order):
    for named in ("per-activation", "spatial"):
        axes = AXES[named]
        gamma, beta, *_ = parameters(axes, False)
        array = draw(*SHAPE) / 4

        verify_grad(
            lambda x, g, b, named=named: T.tanh(
                T.nnet.batch_normalization_train(x, g, b, named, 1e-2)[output]
            ),
            [array, gamma, beta],
            wrt=[0, 1, 2] if output == 0 else [0],
            order=order,
        )


def test_the_gradient_is_exact_far_from_zero():
    array = (draw(64, 3) + 300).astype("float32")
    weights = draw(64, 3, seed=9)
    x, exact = tensor(array), tensor(array.astype("float64"))
    gradients = []
    for v in (x, exact):
        y = T.nnet.batch_normalization_train(v, np.ones(3, v.dtype), np.zeros(3, v.dtype))[0]  # fmt: skip
        gradients.append(wb.grad((y * T.constant(weights.astype(v.dtype))).sum(), v))

    got = wb.function([x], gradients[0])(array)

    want = gradients[1].eval({exact: array.astype("float64")})
    np.testing.assert_allclose(got, want, 1e-3, 1e-4)


def test_running_averages_are_updated_in_training():
    x = T.matrix("x", dtype="float64")
    mean, variance = wb.shared(np.zeros(3), "mean"), wb.shared(np.ones(3), "variance")
    out, _, _, new_mean, new_variance = T.nnet.batch_normalization_train(
        x, np.ones(3), np.zeros(3), running_mean=mean, running_var=variance
    )
    train = wb.function([x], out, updates=[(mean, new_mean), (variance, new_variance)])
    array = draw(500, 3)

    for _ in range(60):
        train(array)

    np.testing.assert_allclose(mean.get_value(), array.mean(0), 1e-2)
    np.testing.assert_allclose(variance.get_value(), array.var(0, ddof=1), 1e-2)


def test_one_example_leaves_finite_averages():
    array = draw(1, 3)
    x = tensor(array)
    outputs = T.nnet.batch_normalization_train(
        x, np.ones(3), np.zeros(3), running_mean=np.zeros(3), running_var=np.ones(3)
    )

    got = wb.function([x], list(outputs))(array)

    np.testing.assert_allclose(got[0], 0)
    np.testing.assert_allclose(got[4], 0.9)


@pytest.mark.parametrize("axes", [-1, (1, 2), 0])
def test_layer_normalisation_equals_numpy(axes):
    array = draw(4, 3, 5)
    x = tensor(array)
    gamma, beta = draw(5, seed=1), draw(5, seed=2)

    y = T.nnet.layer_normalization(x, gamma, beta, axes)

    mean, variance = (f(array, axes, keepdims=True) for f in (np.mean, np.var))
    want = (array - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(y.eval({x: array}), want, 1e-9)
    np.testing.assert_allclose(wb.function([x], y)(array), want, 1e-9)
    verify_grad(
        lambda v, g, b: T.nnet.layer_normalization(v, g, b, axes, 1e-2),
        [array, gamma, beta],
    )


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    array = draw(*SHAPE)
    gamma, beta, mean, variance = parameters((0, 2, 3), False)
    theirs = torch.tensor(array, requires_grad=True)
    averages = [torch.tensor(v) for v in (mean, variance)]
    y = torch.nn.functional.batch_norm(
        theirs, *averages, torch.tensor(gamma), torch.tensor(beta), True, 0.1, 1e-4
    )
    (y**3).sum().backward()
    x = tensor(array)
    ours = T.nnet.batch_normalization_train(
        x, gamma, beta, "spatial", 1e-4, 0.1, mean, variance
    )

    gradient = wb.grad((ours[0] ** 3).sum(), x)

    np.testing.assert_allclose(ours[0].eval({x: array}), y.detach().numpy())
    np.testing.assert_allclose(gradient.eval({x: array}), theirs.grad.numpy(), 1e-6)
    for new, old in zip(ours[3:], averages, strict=True):
        np.testing.assert_allclose(new.eval({x: array}), old.numpy())


@pytest.mark.parametrize("axis", [0, 1])
def test_what_was_computed_is_normalised_in_compiled_functions(axis):
    x = T.matrix("x", dtype="float64")
    array = draw(6, 8) / 4
    for made in (
        T.exp(x),
        T.exp(x) * T.sin(x),
        T.dot(x, x.T),
        x[:, ::2] + 1,
        T.concatenate([x, x * 2], axis=1),
        T.nnet.softmax(x),
    ):
        y = T.nnet.layer_normalization(made, axes=axis, epsilon=1e-2)
        gradient = wb.grad((y**3).sum(), x)

        got = wb.function([x], [y, gradient])(array)

        for value, output in zip(got, (y, gradient), strict=True):
            np.testing.assert_allclose(value, output.eval({x: array}), 1e-7, 1e-9)


TRAIN, TEST = T.nnet.batch_normalization_train, T.nnet.batch_normalization_test
MISTAKES = {
    "an axis too many": (
        lambda x: TRAIN(x, np.ones((3, 2)), np.zeros(3)),
        ShapeError,
        "gamma has 2 axes|beta has 1 axes",
    ),
    "no such axis": (
        lambda x: TRAIN(x, [1.0], [0.0], (0, 5)),
        ShapeError,
        r"batch_normalization_train\(x\): axis 5 is out of range.*test_normalization",
    ),
    "no such axis of a layer": (
        lambda x: T.nnet.layer_normalization(x, axes=(1, 1)),
        ShapeError,
        r"layer_normalization\(x\): axis \(1, 1\) names one axis twice",
    ),
    "a factor for each": (
        lambda x: TRAIN(x, [1.0], [0.0], 0, 1e-4, [0.1, 0.2], [0.0], [1.0]),
        ShapeError,
        "running_average_factor is one number",
    ),
    "a word": (
        lambda x: TRAIN(x, [1.0], [0.0], "channels"),
        ParameterError,
        "no axes 'channels'.*choose 'per-activation'",
    ),
    "half an average": (
        lambda x: TRAIN(x, [1.0], [0.0], running_mean=[0.0]),
        ParameterError,
        "running_var is missing",
    ),
    "no epsilon": (
        lambda x: TRAIN(x, [1.0], [0.0], epsilon=0),
        ParameterError,
        "epsilon must be a positive number, got 0",
    ),
    "a scalar mean": (
        lambda x: TEST(x, [1.0], [0.0], 0.0, [1.0]),
        ShapeError,
        "mean has 0 axes",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    build, error, text = MISTAKES[name]

    with pytest.raises(error, match=f"(?s){text}"):
        build(T.matrix("x"))


def test_complex_numbers_are_refused():
    for build in (
        lambda x: TRAIN(x, [1.0], [0.0]),
        lambda x: TEST(x, [1.0], [0.0], [0.0], [1.0]),
        T.nnet.layer_normalization,
    ):
        with pytest.raises(DTypeError, match="not defined for complex128"):
            build(T.zmatrix("x"))


def test_integers_are_normalised_in_floatx():
    array = np.arange(6).reshape(3, 2)
    x = tensor(array)

    got = T.nnet.layer_normalization(x, axes=0).eval({x: array})

    want = (array - array.mean(0)) / np.sqrt(array.var(0) + 1e-5)
    np.testing.assert_allclose(got, want)


def test_every_choice_of_axes_gives_unit_variance():
    array = draw(3, 4, 5)
    x = tensor(array)
    for n in (1, 2, 3):
        for axes in itertools.combinations(range(3), n):
            y = T.nnet.layer_normalization(x, axes=axes, epsilon=1e-12)

            got = y.eval({x: array})

            np.testing.assert_allclose(got.mean(axes), 0, atol=1e-12)
            np.testing.assert_allclose(got.var(axes), 1)
