"""Expressions that overflow or cancel as written: value and slope in every mode.

The gradient is always taken before any rewriting, as users take it. All rows of
:mod:`tests.compile.rules.stability_rows` are outputs of one function, which reads one
vector of all their points: a compiler run costs more than a row.
"""

import functools
import math

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.compile.rules.stability_rows import ROWS

MODES = ["FAST_RUN", "FAST_COMPILE", "DEBUG"]
DTYPES = ["float32", "float64"]
BY_NAME = {row.name: row for row in ROWS}
ENDS = [-math.inf, math.inf, math.nan]
POINTS = [*sorted({float(p) for row in ROWS for p in row.points}), *ENDS]


@functools.cache
def computed(mode, dtype):
    """For each row its value and its slope at all points."""
    x = T.vector("x", dtype=dtype)
    outputs = []
    for row in ROWS:
        y = row.expression(x)
        outputs += [y, wb.grad(y.sum(), x) if row.slope else y]
    run = wb.function([x], outputs, mode=mode)
    with np.errstate(all="ignore"):
        found = run(np.asarray(POINTS, dtype))
    return {row.name: found[2 * i : 2 * i + 2] for i, row in enumerate(ROWS)}


def exact(row, dtype):
    """The points of a row as they are in `dtype`, the value and the slope there."""
    points = [float(np.asarray(p, dtype)) for p in row.points]
    value = [row.value(p) for p in points]
    slope = [row.slope(p) if row.slope else math.nan for p in points]
    return tuple(np.array(v, float) for v in (points, value, slope))


def assert_close(found, want, conditions, dtype):
    """Within 32 units in the last place, and what 8 units of the operand make of it."""
    info = np.finfo(dtype)
    known = ~np.isnan(want)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype).astype(float)
        allowed = info.eps * (32 * np.abs(want) + 8 * conditions) + 4 * info.tiny
        close = np.abs(found.astype(float) - want) <= allowed
    same = np.where(np.isfinite(rounded), close, found == rounded)
    np.testing.assert_array_equal(found[known & ~same], want[known & ~same])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BY_NAME)
def test_value_and_slope_at_extreme_points(name, mode, dtype):
    row = BY_NAME[name]
    points, value, slope = exact(row, dtype)
    places = [POINTS.index(float(p)) for p in row.points]

    found, found_slope = (v[places] for v in computed(mode, dtype)[name])

    with np.errstate(invalid="ignore"):
        conditions = np.nan_to_num(np.abs(points * slope), posinf=0)
    assert_close(found, value, conditions, dtype)
    # Where x grows by a part, a slope changes by |x| such parts of itself; by x² parts in
    # the tail of a normal distribution.
    rate = points**2 if name.startswith(("19", "20")) else np.abs(points)
    assert_close(found_slope, slope, np.abs(slope) * np.minimum(rate, 2000), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_values_at_infinity(mode, dtype):
    wrong = {}

    for row in ROWS:
        for end, want in zip((-3, -2), row.ends, strict=True):
            found = computed(mode, dtype)[row.name][0][end]
            if want is not None and not np.isclose(found, want, rtol=1e-6):
                wrong[row.name] = (POINTS[end], found, want)

    assert wrong == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_nan_stays_nan(mode, dtype):
    defined = {"23 x^0", "24 x 2 / x"}  # whatever x is
    numbers = [
        row.name
        for row in ROWS
        if not np.isnan(computed(mode, dtype)[row.name][0][-1])
        and not row.name.startswith("24 switch")
    ]

    assert set(numbers) <= defined
