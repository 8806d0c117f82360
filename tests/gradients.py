"""Symbolic derivatives of any op against differences of values, and against each other.

The differences are those of the public :func:`workbench.verify_grad`; see there why a
relative error of 1e-6 is a wrong formula.
"""

from collections.abc import Callable, Sequence

import numpy as np

import workbench.tensor as T
from workbench.core.derivatives import jvp, vjp
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.debug.gradients import (
    TOLERANCE,
    WIDEST,
    check_close,
    compiled,
    differences,
    inputs_like,
    like,
    random_like,
    weighted,
)

Array = np.ndarray
Build = Callable[..., Variable]


def verify_grad(
    build: Build,
    arrays: Sequence[Array],
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
    arrays, wrt = rounded(arrays, dtype), floats(arrays) if wrt is None else wrt
    rng = np.random.default_rng(seed)
    if order == 2:
        variables = inputs_like(arrays)
        (value,) = compiled(variables, [build(*variables)], None)(arrays)
        like_these = [value, *(arrays[i] for i in wrt)]
        build = gradient_of(build, wrt, [random_like(rng, a) for a in like_these])
    variables, plain = inputs_like(arrays), inputs_like(arrays, widen=True)
    output, plain_output = build(*variables), build(*plain)
    w, plain_w = like(output, "weights"), like(plain_output, "weights")
    (value,) = compiled(variables, [output], None)(arrays)
    weights = random_like(rng, value)
    targets = [variables[i] for i in wrt]
    gradients = T.grad(weighted(output, w), targets, disconnected_inputs="ignore")
    found = compiled([*variables, w], gradients, None)([*arrays, weights])
    cost = compiled([*plain, plain_w], [weighted(plain_output, plain_w)], None)
    for i, gradient in zip(wrt, found, strict=True):
        expected = differences(cost, [*arrays, weights], i)
        tolerance = TOLERANCE[dtype]
        check_close(
            i, variables[i], gradient, expected, arrays[i], tolerance, tolerance
        )


def verify_forward(
    build: Build,
    arrays: Sequence[Array],
    wrt: Sequence[int] | None = None,
    dtype: str = "float64",
    seed: int = 0,
) -> None:
    """Check the forward derivative J v: <u, J v> is <Jᵀ u, v>, and the difference along v."""
    arrays, wrt = rounded(arrays, dtype), floats(arrays) if wrt is None else wrt
    rng = np.random.default_rng(seed)
    variables = inputs_like(arrays)
    output = build(*variables)
    targets = [variables[i] for i in wrt]
    tangents = [like(v, f"v{v.name}") for v in targets]
    u = like(output, "u")
    forward = jvp(output, targets, tangents, "ignore")
    backward = vjp(output, targets, u, disconnected_inputs="ignore")
    (value,) = evaluate([output], dict(zip(variables, arrays, strict=True)))
    chosen = [random_like(rng, arrays[i]) for i in wrt]
    weights = random_like(rng, value)
    given = dict(zip([*variables, *tangents], [*arrays, *chosen], strict=True))

    along, *pulled = evaluate([forward, *backward], given | {u: weights})

    assert along.dtype == value.dtype and along.shape == value.shape
    left, size = inner(weights, along), np.sum(np.abs(weights * along))
    right = sum(inner(p, v) for p, v in zip(pulled, chosen, strict=True))
    size += sum(np.sum(np.abs(p * v)) for p, v in zip(pulled, chosen, strict=True))
    eps = np.finfo(dtype).eps
    assert abs(left - right) <= 100 * eps * (1 + size), f"{left} but {right}: {arrays}"
    expected = along_line(build, arrays, wrt, chosen)
    tolerance = TOLERANCE[dtype]
    check_close(0, output, along, expected, value, tolerance, tolerance)


def along_line(
    build: Build, arrays: Sequence[Array], wrt: Sequence[int], along: Sequence[Array]
) -> Array:
    """The change of the output along a direction, from five points."""
    plain = inputs_like(arrays, widen=True)
    output = build(*plain)

    def at(step: float) -> Array:
        moved = [a.astype(WIDEST.get(a.dtype.kind, a.dtype)) for a in arrays]
        for i, v in zip(wrt, along, strict=True):
            moved[i] = moved[i] + step * v.astype(moved[i].dtype)
        return evaluate([output], dict(zip(plain, moved, strict=True)))[0]

    h = 1e-4
    return (at(-2 * h) - 8 * at(-h) + 8 * at(h) - at(2 * h)) / (12 * h)


def gradient_of(build: Build, wrt: Sequence[int], weights: Sequence[Array]) -> Build:
    """A weighted sum of the gradients of a weighted sum: its gradient is of second order."""

    def built(*variables: Variable) -> Variable:
        cost = weighted(build(*variables), T.constant(weights[0]))
        targets = [variables[i] for i in wrt]
        gradients = T.grad(cost, targets, disconnected_inputs="ignore")
        parts = zip(gradients, map(T.constant, weights[1:]), strict=True)
        return T.stack([weighted(g, w) for g, w in parts]).sum()

    return built


def inner(a: Array, b: Array) -> float:
    """The real inner product."""
    return float(np.sum(np.real(np.conj(a) * b)))


def rounded(arrays: Sequence[Array], dtype: str) -> list[Array]:
    """The arrays, their floats as `dtype`."""
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def floats(arrays: Sequence[Array]) -> list[int]:
    """Which arrays a derivative is taken by."""
    return [i for i, a in enumerate(arrays) if a.dtype.kind in "fc"]
