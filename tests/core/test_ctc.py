"""The loss of connectionist temporal classification against a sum over all paths."""

import itertools

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DTypeError, ParameterError, ShapeError
from workbench.tensor.nnet.ctc import ctc


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def by_all_paths(activations, label, frames):
    """Every way to say a symbol in every frame; those count that read as the label."""
    e = np.exp(activations[:frames])
    p = e / e.sum(-1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=frames):
        read = [s for s, _ in itertools.groupby(path) if s]
        if read == list(label):
            total += np.prod(p[np.arange(frames), path])
    return -np.log(total) if total else np.inf


LABELS = np.array([[1, 2], [1, 1], [2, -1], [-1, -1], [2, 1], [2, 2]])
FRAMES = np.array([4, 4, 3, 4, 2, 2])


@pytest.fixture(scope="module")
def compiled():
    x, labels, frames = T.tensor3("x"), T.lmatrix("labels"), T.lvector("frames")
    cost = ctc(x, labels, frames)
    finite = T.switch(T.isinf(cost), 0, cost).sum()
    return wb.function([x, labels, frames], [cost, wb.grad(finite, x)])


def test_the_loss_equals_the_sum_over_all_paths(compiled):
    x = draw(4, 6, 3)
    want = [by_all_paths(x[:, k], [s for s in LABELS[k] if s >= 0], FRAMES[k]) for k in range(6)]  # fmt: skip

    cost, gradient = compiled(x, LABELS, FRAMES)

    np.testing.assert_allclose(cost, want)
    assert np.isinf(cost[5])  # two equal symbols need a blank between them
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[:, 5], 0)
    np.testing.assert_array_equal(gradient[2:, 4], 0)
    np.testing.assert_allclose(ctc(x, LABELS, FRAMES).eval(), want)


def test_the_gradient_equals_differences():
    verify_grad(lambda v: ctc(v, LABELS[:5], FRAMES[:5]), [draw(4, 5, 3)])


def test_torch_agrees(compiled):
    torch = pytest.importorskip("torch")
    x = draw(30, 4, 7)
    labels = np.random.default_rng(1).integers(1, 7, (4, 9))
    lengths = np.array([9, 5, 7, 1])
    labels[np.arange(9) >= lengths[:, None]] = -1
    frames = np.array([30, 20, 25, 10])
    theirs = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.ctc_loss(
        theirs.log_softmax(-1),
        torch.tensor(np.maximum(labels, 0)),
        torch.tensor(frames),
        torch.tensor(lengths),
        reduction="none",
    )
    want.sum().backward()

    cost, gradient = compiled(x, labels, frames)

    np.testing.assert_allclose(cost, want.detach().numpy())
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), 1e-6, 1e-9)


def test_a_long_sequence_does_not_underflow():
    x = draw(2000, 1, 5).astype("float32")
    labels = np.random.default_rng(0).integers(1, 5, (1, 100))

    cost = ctc(x, labels, [2000]).eval()

    exact = ctc(x.astype("float64"), labels, [2000]).eval()
    np.testing.assert_allclose(cost, exact, 1e-4)


def test_a_mistake_is_named():
    x, labels, frames = T.tensor3("x"), T.lmatrix("labels"), T.lvector("frames")
    with pytest.raises(ShapeError, match="activations needs 3 axes"):
        ctc(T.matrix("m"), labels, frames)
    with pytest.raises(ShapeError, match="labels needs 2 axes"):
        ctc(x, frames, frames)
    with pytest.raises(DTypeError, match="input_lengths must be integers"):
        ctc(x, labels, T.vector("t"))


@pytest.mark.parametrize(
    ("labels", "frames", "text"),
    [
        ([[1, 2], [0, 1]], [4, 4], "labels are no blanks"),
        ([[1, 2], [-1, 1]], [4, 4], "negative ones stand at the end"),
        ([[1, 2], [1, -1]], [4, 5], "input_lengths are from 0 to the number of frames"),
        ([[1, 2], [1, -1]], [4, -1], "input_lengths are from 0"),
    ],
)
def test_values_that_make_no_sense_fail_the_call(labels, frames, text):
    x, y, n = T.tensor3("x"), T.lmatrix("labels"), T.lvector("frames")
    f = wb.function([x, y, n], ctc(x, y, n))

    with pytest.raises(ParameterError, match=text) as caught:
        f(draw(4, 2, 3), labels, frames)

    assert "test_ctc.py" in str(caught.value)
