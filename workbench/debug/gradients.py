"""Symbolic gradients against differences of values.

The derivative of a random weighted sum of the output is compared with the five-point formula

    f'(x) ≈ (f(x - 2h) - 8 f(x - h) + 8 f(x + h) - f(x + 2h)) / 12h,

whose error is of fourth order in the step: with a step of 1e-3 about 1e-12, as large as
rounding, so that in float64 a relative error of 1e-6 is a wrong formula. The differences are
always taken in float64, also where the gradient is of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.compile.function import function
from workbench.compile.modes import Mode
from workbench.core import source
from workbench.core.errors import Report, VerificationError
from workbench.core.evaluate import evaluate
from workbench.core.gradient import grad
from workbench.core.graph import Variable
from workbench.core.ops.complexes import conj
from workbench.core.ops.elementwise import mul
from workbench.core.ops.reduction import sum
from workbench.core.ops.ufunc import real
from workbench.core.types import Array, TensorType

STEP = 1e-3
TOLERANCE = {"float16": 3e-2, "float32": 1e-3, "float64": 1e-6}
WIDEST = {"f": "float64", "c": "complex128"}

Values = Callable[[Sequence[Array]], Sequence[Array]]


def verify_grad(
    fun: Callable[..., Variable],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: np.random.Generator | int | None = None,
    eps: float | None = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: str | Mode | None = None,
) -> None:
    """Check the gradient of a function at a point against differences of its values.

    Parameters
    ----------
    fun
        From variables to a float or complex variable of any shape. It is built twice, for
        variables of the dtypes of `pt`, and of float64 for the differences.
    pt
        An array for each argument. Floats and complex numbers are differentiated by,
        integers and bools are not. A size of 1 is taken as declared.
    n_tests
        How many random weighted sums of the output are tried.
    rng
        Where the weights come from: a generator, or a seed (0 by default).
    eps
        The step, relative to the size of an element where that is above 1; 1e-3 by default.
    abs_tol, rel_tol
        An element may differ by ``abs_tol + rel_tol * |difference|``; both are 1e-6 by
        default, 1e-3 where a float32 and 0.03 where a float16 takes part.
    mode
        How to compile what is compared; by default nothing is, the graphs run in NumPy.

    Raises
    ------
    VerificationError
        They differ; the report shows where the most.
    TypeError
        `pt` holds no floats.

    Examples
    --------
    >>> import numpy as np
    >>> import workbench.tensor as T
    >>> verify_grad(lambda x, y: T.tanh(x @ y), [np.ones((2, 3)), np.ones(3)])
    """
    arrays = [np.asarray(a) for a in pt]
    wrt = [i for i, a in enumerate(arrays) if a.dtype.kind in "fc"]
    if not wrt:
        raise TypeError("verify_grad needs a float among the arrays of pt.")
    rng = np.random.default_rng(0 if rng is None else rng)
    variables, plain = inputs_like(arrays), inputs_like(arrays, widen=True)
    output, plain_output = fun(*variables), fun(*plain)
    weights = like(output, "weights"), like(plain_output, "weights")
    gradients = grad(
        weighted(output, weights[0]),
        [variables[i] for i in wrt],
        disconnected_inputs="ignore",
    )
    slopes = compiled([*variables, weights[0]], gradients, mode)
    cost = compiled([*plain, weights[1]], [weighted(plain_output, weights[1])], mode)
    (value,) = compiled(variables, [output], mode)(arrays)
    tolerances = [
        widest_tolerance(arrays, value) if given is None else given
        for given in (abs_tol, rel_tol)
    ]
    for _ in range(n_tests):
        chosen = random_like(rng, value)
        found = slopes([*arrays, chosen])
        for i, gradient in zip(wrt, found, strict=True):
            expected = differences(cost, [*arrays, chosen], i, eps)
            check_close(i, variables[i], gradient, expected, arrays[i], *tolerances)


def differences(
    cost: Values, arrays: Sequence[Array], wrt: int, eps: float | None = None
) -> Array:
    """The gradient of a scalar by one of its arrays, from its values.

    Of a complex array both parts are varied: dC/dRe + i dC/dIm.
    """
    wide = widened(arrays)

    def at(x: Array) -> float:
        return float(cost([*wide[:wrt], x, *wide[wrt + 1 :]])[0])

    x = wide[wrt]
    if x.dtype.kind == "f":
        return five_point(at, x, eps)
    by_real = five_point(lambda part: at(part + 1j * x.imag), x.real, eps)
    by_imag = five_point(lambda part: at(x.real + 1j * part), x.imag, eps)
    return by_real + 1j * by_imag


def widened(arrays: Sequence[Array]) -> list[Array]:
    """The arrays, floats and complex numbers in double precision."""
    return [a.astype(WIDEST.get(a.dtype.kind, a.dtype)) for a in arrays]


def five_point(
    f: Callable[[Array], float], x: Array, eps: float | None = None
) -> Array:
    """The gradient of `f` at a real `x` from four values for each element."""
    x = np.array(x, "float64")
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        at = x[place]
        h = (STEP if eps is None else eps) * max(1.0, abs(float(at)))
        values = []
        for steps in (-2, -1, 1, 2):
            x[place] = at + steps * h
            values.append(f(x))
        x[place] = at
        gradient[place] = np.dot([1, -8, 8, -1], values) / (12 * h)
    return gradient


def check_close(
    number: int,
    variable: Variable,
    found: Array,
    expected: Array,
    point: Array,
    abs_tol: float,
    rel_tol: float,
) -> None:
    """Compare dtype, shape and every element of a gradient with what it should be.

    Raises
    ------
    VerificationError
        They differ.
    """
    name = f"the gradient by input {number}, {variable.type}"
    if found.dtype != variable.dtype or found.shape != expected.shape:
        text = f"{name}, is {found.dtype} {found.shape}, not of shape {expected.shape}."
        raise VerificationError(Report(text, source.location_here()))
    error = np.abs(found - expected)
    wrong = ~(error <= abs_tol + rel_tol * np.abs(expected))
    if not wrong.any():
        return
    text = f"{name}, differs from the differences of values in {wrong.sum()} of {wrong.size} places."
    worst = np.argsort(
        -np.where(wrong, np.nan_to_num(error, nan=np.inf), -1), axis=None
    )
    rows = []
    for flat in worst[: min(5, wrong.sum())]:
        place = np.unravel_index(flat, found.shape)
        numbers = (point[place], found[place], expected[place], error[place])
        rows.append([str(tuple(map(int, place))), *(f"{n:.8g}" for n in numbers)])
    header = ["place", "value", "gradient", "differences", "apart"]
    raise VerificationError(
        Report(text, source.location_here()).table("where", header, rows)
    )


def inputs_like(arrays: Sequence[Array], widen: bool = False) -> list[Variable]:
    """Inputs for such arrays, sizes of 1 declared; floats of float64 if `widen`."""
    return [
        Variable(
            TensorType(
                WIDEST.get(a.dtype.kind, a.dtype.name) if widen else a.dtype.name,
                tuple(1 if size == 1 else None for size in a.shape),
            ),
            f"x{i}",
        )
        for i, a in enumerate(arrays)
    ]


def weighted(output: Variable, weights: Variable) -> Variable:
    """A real scalar: the inner product of an output and weights."""
    return sum(real(mul(conj(weights), output)))


def like(variable: Variable, name: str) -> Variable:
    """An input of the type of a variable."""
    return Variable(variable.type, name)


def random_like(rng: np.random.Generator, value: Array) -> Array:
    """Random weights for an output, no one near zero."""
    weights = rng.uniform(0.5, 1.5, value.shape) * rng.choice([-1, 1], value.shape)
    if value.dtype.kind == "c":
        weights = weights + 1j * rng.uniform(0.5, 1.5, value.shape)
    return np.asarray(weights, value.dtype)


def compiled(
    inputs: Sequence[Variable], outputs: Sequence[Variable], mode: str | Mode | None
) -> Values:
    """From arrays for the inputs to those of the outputs, run in NumPy without a mode."""
    if mode is None:
        return lambda arrays: evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
    call = function(list(inputs), list(outputs), mode=mode, on_unused_input="ignore")
    return lambda arrays: call(*arrays)


def widest_tolerance(arrays: Sequence[Array], value: Array) -> float:
    """The tolerance of the narrowest float that takes part."""
    parts = {"complex64": "float32", "complex128": "float64"}
    names = {parts.get(a.dtype.name, a.dtype.name) for a in (*arrays, value)}
    return max(TOLERANCE.get(name, 0.0) for name in names)
