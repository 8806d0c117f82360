"""Every op through the C back end, against its NumPy reference; many ops share one program."""

import zlib

import numpy as np
import pytest

from tests.op_cases import CASES
from workbench.compile.function import function
from workbench.compile.modes import Mode
from workbench.core.evaluate import evaluate
from workbench.core.op import Elementwise

TOGETHER = 100  # rows in one program: the C compiler's time grows faster than its size
BARE = Mode(
    "c", ("fusion", "inplace"), "bare"
)  # no rewrites: the loops of each op as they are
TOLERANCE = {
    "float16": 2e-3,
    "float32": 1e-5,
    "float64": 1e-13,
    "complex64": 1e-5,
    "complex128": 1e-13,
}


def rows_of(dtype):
    return [
        (case, shapes)
        for case in CASES
        if dtype in case.dtypes
        for shapes in case.shapes
    ]


def close(want, have):
    if want.dtype != have.dtype or want.shape != have.shape:
        return False
    rtol = TOLERANCE.get(want.dtype.name)
    if rtol is None:
        return np.array_equal(want, have)
    with np.errstate(all="ignore"):
        return np.allclose(want, have, rtol=rtol, atol=rtol, equal_nan=True)


QUICK = {
    ("bool", "bare"),
    ("int32", "bare"),
    ("float32", "bare"),
    ("float64", "FAST_RUN"),
}
PAIRS = [
    pytest.param(
        d, m, id=f"{d}-{m}", marks=[] if (d, m) in QUICK else pytest.mark.nightly
    )
    for d in sorted({d for case in CASES for d in case.dtypes})
    for m in ("bare", "FAST_RUN")
]


@pytest.mark.parametrize(("dtype", "mode"), PAIRS)
def test_every_op_in_c_equals_its_reference(dtype, mode):
    rows = rows_of(dtype)
    wrong = []
    for start in range(0, len(rows), TOGETHER):
        wrong += wrong_rows(rows[start : start + TOGETHER], dtype, mode)

    assert not wrong, wrong


def wrong_rows(rows, dtype, mode):
    """The names of those rows, all compiled as one program, that give another value in C."""
    inputs, outputs, values, names = [], [], [], []
    for case, shapes in rows:
        rng = np.random.default_rng(zlib.crc32(case.name.encode()))
        arrays = case.inputs(rng, dtype, shapes)
        variables = case.variables(arrays)
        inputs += variables
        outputs.append(case.build(*variables))
        values += arrays
        names.append(f"{case.name} {shapes}")
    expected = evaluate(outputs, dict(zip(inputs, values, strict=True)))
    compiled = function(
        inputs, outputs, mode=BARE if mode == "bare" else mode, on_unused_input="ignore"
    )
    assert compiled.compilation.backend == "c"
    got = compiled(*values)
    return [n for n, w, h in zip(names, expected, got, strict=True) if not close(w, h)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_survive_c(dtype):
    points = np.array(
        [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, 1e30, 88.7, -104.0],
        dtype,
    )
    cases = [
        c
        for c in CASES
        if dtype in c.dtypes
        and c.extremes
        and issubclass(c.op, Elementwise)
        and len(c.shapes[0]) == 1
    ]
    pairs = [(c, c.variables([points])) for c in cases]
    outputs = [c.build(*v) for c, v in pairs]
    inputs = [v for _, vs in pairs for v in vs]
    expected = evaluate(outputs, dict.fromkeys(inputs, points))

    got = function(inputs, outputs, mode=BARE)(*[points] * len(inputs))

    wrong = {
        case.name: (points[~same], want[~same], have[~same])
        for (case, _), want, have in zip(pairs, expected, got, strict=True)
        if want.shape == points.shape and not (same := alike(want, have)).all()
    }
    assert not wrong, wrong


def alike(want, have):
    with np.errstate(all="ignore"):
        near = np.isclose(
            want,
            have,
            rtol=1e-5 if want.dtype == "float32" else 1e-13,
            atol=0,
            equal_nan=True,
        )
        zero = (want == 0) & (have == 0)
    return near & (~zero | (np.signbit(want) == np.signbit(have)))
