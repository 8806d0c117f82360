"""Symbolic gradients against differences of values.

The derivative of a random weighted sum of the output is compared with the five-point
formula, whose error is of fourth order in the step: with a step of 1e-3 about 1e-12,
as large as rounding, so that a relative error of 1e-6 is a wrong formula.
"""

from collections.abc import Callable, Sequence

import numpy as np

import workbench.tensor as T
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import TensorType

STEP = 1e-3
TOLERANCE = {"float64": 1e-6, "float32": 1e-3}


def inputs_like(arrays: Sequence[np.ndarray], floats: str) -> list[Variable]:
    """Inputs for such arrays, the floats of dtype `floats`; sizes of 1 are declared."""
    return [
        Variable(
            TensorType(
                floats if a.dtype.kind == "f" else a.dtype.name,
                tuple(1 if size == 1 else None for size in a.shape),
            ),
            f"x{i}",
        )
        for i, a in enumerate(arrays)
    ]


def five_point(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """The gradient of `f` at `x` from four values for each element."""
    x = np.array(x, "float64")
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        at = x[place]
        h = STEP * max(1.0, abs(at))
        values = []
        for steps in (-2, -1, 1, 2):
            x[place] = at + steps * h
            values.append(f(x))
        x[place] = at
        gradient[place] = np.dot([1, -8, 8, -1], values) / (12 * h)
    return gradient


def verify_grad(
    build: Callable[..., Variable],
    arrays: Sequence[np.ndarray],
    wrt: Sequence[int] | None = None,
    dtype: str = "float64",
    order: int = 1,
    seed: int = 0,
) -> None:
    """Check the gradient of ``build(*variables)`` at `arrays` against differences.

    Parameters
    ----------
    build
        From variables to a float variable of any shape.
    wrt
        Which inputs to differentiate by; all floats by default.
    dtype
        Of the symbolic gradient; values for the differences are always float64.
    order
        2 checks the gradient of the gradient.
    """
    if wrt is None:
        wrt = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    rounded = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    exact = [a.astype("float64") if a.dtype.kind == "f" else a for a in rounded]
    variables, plain = inputs_like(rounded, dtype), inputs_like(exact, "float64")
    cost = _cost(build, variables, rounded, wrt, order, seed)
    plain_cost = _cost(build, plain, exact, wrt, order, seed)
    symbolic = T.grad(cost, [variables[i] for i in wrt], disconnected_inputs="ignore")

    got = evaluate(symbolic, dict(zip(variables, rounded, strict=True)))

    for i, found in zip(wrt, got, strict=True):

        def value(x: np.ndarray, i: int = i) -> float:
            changed = [*exact[:i], x, *exact[i + 1 :]]
            values = dict(zip(plain, changed, strict=True))
            return float(evaluate([plain_cost], values)[0])

        expected = five_point(value, exact[i])
        assert found.dtype == variables[i].dtype, f"gradient {i} is {found.dtype}"
        assert found.shape == expected.shape, f"gradient {i} has shape {found.shape}"
        error = np.abs(found - expected) / (1 + np.abs(expected))
        assert np.all(error <= TOLERANCE[dtype]), (
            f"gradient {i} at {exact}:\n{found}\nshould be\n{expected}"
        )


def _cost(
    build: Callable[..., Variable],
    variables: Sequence[Variable],
    arrays: Sequence[np.ndarray],
    wrt: Sequence[int],
    order: int,
    seed: int,
) -> Variable:
    """A scalar made of the output; for the second order, of its gradients."""
    output = build(*variables)
    values = dict(zip(variables, arrays, strict=True))
    shape = evaluate([output], values)[0].shape
    weights = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    cost = T.sum(output * T.constant(weights.astype(output.dtype)))
    if order == 1:
        return cost
    targets = [variables[i] for i in wrt]
    gradients = T.grad(cost, targets, disconnected_inputs="ignore")
    return T.stack([T.sum(T.sin(g + 0.3)) for g in gradients]).sum()
