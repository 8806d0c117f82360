"""An expression against what NumPy makes of the same arrays: value, dtype, shape, and its type."""

import numpy as np

from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import TensorType


def draw(*shapes, dtype="float64", seed=0):
    """Random arrays, some elements of each far from 0."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "c":
        return [
            (rng.normal(size=s) + 1j * rng.normal(size=s)).astype(dtype) for s in shapes
        ]
    if np.dtype(dtype).kind in "iu":
        return [rng.integers(0, 5, s).astype(dtype) for s in shapes]
    return [rng.normal(size=s).astype(dtype) for s in shapes]


def variables_like(arrays, known=False):
    """Inputs for arrays; of the sizes only those of 1 are known, or all."""
    return [
        Variable(
            TensorType(
                a.dtype.name, tuple(s if known or s == 1 else None for s in a.shape)
            ),
            f"x{i}",
        )
        for i, a in enumerate(arrays)
    ]


def assert_agrees(build, reference, *arrays, rtol=1e-10):
    """Value, dtype and shape of an expression are NumPy's, and its type describes them."""
    expected = np.asarray(reference(*arrays))
    for known in (False, True):
        variables = variables_like(arrays, known)
        output = build(*variables)
        (got,) = evaluate([output], dict(zip(variables, arrays, strict=True)))
        assert got.shape == expected.shape
        assert got.dtype == expected.dtype
        assert output.type.fits(got)
        np.testing.assert_allclose(got, expected, rtol, rtol)
