"""What tutorials and README promise, as plain tests, in the modes that people use."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

MODES = ["FAST_RUN", "FAST_COMPILE"]

# Printed with eight decimals.
DECIMALS = 5e-9


class Neuron:
    """Three units, one example, one cost: the model of the introduction."""

    def __init__(self, mode):
        random = np.random.RandomState(42)
        self.W = wb.shared(random.randn(4, 3), name="W")
        self.b = wb.shared(np.ones(3), name="b")
        self.x_value = random.rand(4)
        self.y_value = random.uniform(size=3)

        x, y = T.vector("x"), T.vector("y")
        out = T.nnet.sigmoid(T.dot(x, self.W) + self.b)
        cost = ((out - y) ** 2).sum()
        gW, gb = wb.grad(cost, [self.W, self.b])
        updates = [(self.W, self.W - 0.1 * gW), (self.b, self.b - 0.1 * gb)]
        self.predict = wb.function([x], out, mode=mode)
        self.monitor = wb.function([x, y], [out, cost], mode=mode)
        self.error = wb.function([out, y], cost, mode=mode)
        self.train = wb.function([x, y], cost, updates=updates, mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_neuron_predicts(mode):
    model = Neuron(mode)

    predicted = model.predict(model.x_value)
    shown, cost = model.monitor(model.x_value, model.y_value)

    expected = [0.9421594, 0.73722395, 0.67606977]
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=DECIMALS)
    np.testing.assert_allclose(shown, predicted, rtol=1e-15)
    assert cost == pytest.approx(0.6137821438190066, rel=1e-15)


@pytest.mark.parametrize("mode", MODES)
def test_function_starts_from_a_value_in_the_middle(mode):
    model = Neuron(mode)

    cost = model.error([0.942, 0.737, 0.676], model.y_value)

    assert cost == pytest.approx(0.613355628529845, rel=1e-15)


@pytest.mark.parametrize("mode", MODES)
def test_one_step_moves_weights_and_biases(mode):
    model = Neuron(mode)

    cost = model.train(model.x_value, model.y_value)

    b, row = model.b.get_value(), model.W.get_value()[0]
    assert cost == pytest.approx(0.6137821438190066, rel=1e-15)
    np.testing.assert_allclose(
        b, [0.99639999, 0.97684097, 0.98318412], rtol=0, atol=DECIMALS
    )
    np.testing.assert_allclose(
        row, [0.49561888, -0.14531026, 0.64257244], rtol=0, atol=DECIMALS
    )


@pytest.mark.parametrize("mode", MODES)
def test_four_epochs_of_digits_give_the_known_errors(mode):
    learn, valid, test = wb.datasets.mnist()
    W = wb.shared(np.zeros((784, 10), "float32"), name="W")
    b = wb.shared(np.zeros(10, "float32"), name="b")
    with wb.config.change(floatX="float32"):
        x, y = T.matrix("x"), T.lvector("y")
        p = T.nnet.softmax(T.dot(x, W) + b)
        loss = -T.log(p)[T.arange(y.shape[0]), y].mean()
        wrong = T.neq(T.argmax(p, axis=1), y).mean()
        gW, gb = wb.grad(loss, [W, b])
        updates = [(W, W - 0.13 * gW), (b, b - 0.13 * gb)]
        train = wb.function([x, y], loss, updates=updates, mode=mode)
        error = wb.function([x, y], wrong, mode=mode)

    percents = []
    for _ in range(4):
        for start in range(0, len(learn.x), 500):
            stop = start + 500
            train(learn.x[start:stop], learn.y[start:stop])
        percents.append((100 * float(error(*valid)), 100 * float(error(*test))))

    # Whole images out of 10,000, so two decimals of a percent are all there is.
    expected = [(11.89, 12.17), (10.52, 10.94), (9.94, 10.21), (9.48, 9.82)]
    assert np.round(percents, 2).tolist() == [list(pair) for pair in expected]


# --- README ---------------------------------------------------------------------------

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The fenced texts of the README that are marked as of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_example_of_the_readme_prints_what_it_shows(tmp_path):
    (program,) = blocks("python")
    (code,) = blocks("c")
    path = tmp_path / "model.py"
    path.write_text(program, encoding="utf-8")

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        names = runpy.run_path(str(path))

    assert printed.getvalue() == blocks("text")[0]
    assert code in names["slope"].source


def test_error_in_the_readme_is_that_of_the_introduction():
    notebook = Path(__file__).parents[1] / "notebooks" / "01_introduction.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    printed = "".join("".join(output.get("text", "")) for output in outputs)

    sentence, line, carets, *_ = blocks("text")[1].splitlines()
    assert f"{sentence}\n{line}\n{carets}\n" in printed
