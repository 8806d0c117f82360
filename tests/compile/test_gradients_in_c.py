"""The derivatives of every op through the C back end: backward and forward, as NumPy has them."""

import zlib

import numpy as np
import pytest

from tests.op_cases import CASES
from workbench.compile.function import function
from workbench.config import config
from workbench.core.derivatives import jvp, vjp
from workbench.core.evaluate import evaluate

AT_ONCE = 4  # rows that share a program
DTYPE = "float64"
ROWS = [case for case in CASES if case.differentiable and DTYPE in case.dtypes]


def derivatives(case, shapes):
    """Inputs, arrays, and derivatives in directions of ones."""
    arrays = case.inputs(
        np.random.default_rng(zlib.crc32(case.name.encode())), DTYPE, shapes
    )
    variables = case.variables(arrays)
    output = case.build(*variables)
    targets = [variables[i] for i in case.differentiable]
    (value,) = evaluate([output], dict(zip(variables, arrays, strict=True)))
    ones = [np.ones_like(arrays[i]) for i in case.differentiable]
    forward = jvp(output, targets, ones, "ignore")
    backward = vjp(output, targets, np.ones_like(value), disconnected_inputs="ignore")
    return variables, arrays, [forward, *backward]


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(0, len(ROWS), AT_ONCE))
def test_derivatives_in_c_equal_those_in_numpy(first):
    inputs, values, outputs, names = [], [], [], []
    for case in ROWS[first : first + AT_ONCE]:
        for shapes in case.shapes:
            variables, arrays, made = derivatives(case, shapes)
            inputs += variables
            values += arrays
            outputs += made
            names += [f"{case.name} {shapes}"] * len(made)
    expected = evaluate(outputs, dict(zip(inputs, values, strict=True)))

    with config.change(compile_timeout=600):  # factorisations make megabytes of C
        got = function(inputs, outputs, on_unused_input="ignore")(*values)

    wrong = []
    for name, want, have in zip(names, expected, got, strict=True):
        assert (want.dtype, want.shape) == (have.dtype, have.shape), name
        # Rewrites may round differently in every step of an op's derivative.
        scale = 1e-9 * (1 + np.abs(want))
        if not (np.abs(want - have) <= scale)[~np.isnan(want)].all():
            wrong.append(name)
    assert not wrong, wrong
