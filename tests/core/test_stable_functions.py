"""The stable functions themselves: right in every mode, with no rewriting at all too."""

import math

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.compile.rules.stability_rows import (
    ABOVE,
    ABOVE_MINUS_1,
    ALL,
    BELOW,
    BELOW_40,
    Row,
    bell,
    erfcx,
    exp,
    expm1,
    log1mexp,
    log_cdf,
    log_cdf_slope,
    log_erfc,
    log_erfc_slope,
    logadd,
    sigma,
    splus,
)
from tests.compile.rules.test_stability import assert_close

MODES = ["None", "FAST_COMPILE", "FAST_RUN", "DEBUG"]
DTYPES = ["float32", "float64"]
TAIL = tuple(x for x in ALL if x >= -5)


def pair(x):
    """Two scores along a new last axis."""
    return T.stack([x, 2 * x], axis=1)


ROWS = [
    Row("log1p", T.log1p, ABOVE_MINUS_1, math.log1p, lambda x: 1 / (1 + x)),
    Row("expm1", T.expm1, BELOW_40, expm1, exp),
    Row("sigmoid", T.sigmoid, ALL, sigma, bell),
    Row("softplus", T.softplus, ALL, splus, sigma),
    Row("log1mexp", T.log1mexp, BELOW, log1mexp, lambda x: -1 / expm1(-x)),
    Row("logaddexp", lambda x: T.logaddexp(x, 2 * x), ALL, lambda x: logadd(x, 2 * x), lambda x: 1 + sigma(x)),
    Row("logsumexp", lambda x: T.nnet.logsumexp(pair(x), axis=1), ALL, lambda x: logadd(x, 2 * x), lambda x: 1 + sigma(x)),
    Row("softmax", lambda x: T.nnet.softmax(pair(x))[:, 0], ALL, lambda x: sigma(-x), None),
    Row("logsoftmax", lambda x: T.nnet.logsoftmax(pair(x))[:, 0], ABOVE, lambda x: -splus(x), lambda x: -sigma(x)),
    *(Row(f"sigmoid_binary_crossentropy {t}", lambda x, t=t: T.nnet.sigmoid_binary_crossentropy(x, t), ALL, lambda x, t=t: t * splus(-x) + (1 - t) * splus(x), lambda x, t=t: (1 - t) * sigma(x) - t * sigma(-x)) for t in (0.0, 0.25, 1.0)),
    Row("erfc", T.erfc, ALL, math.erfc, lambda x: -2 / math.sqrt(math.pi) * exp(-x * x)),
    Row("erfcx", T.erfcx, TAIL, erfcx, None),
    Row("log_erfc", T.log_erfc, ALL, log_erfc, log_erfc_slope),
    Row("log_ndtr", T.log_ndtr, ALL, log_cdf, log_cdf_slope),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_value_and_slope_at_extreme_points(mode, dtype):
    x = T.vector("x", dtype=dtype)
    values = [row.expression(x) for row in ROWS]
    outputs = [*values, *(wb.grad(y.sum(), x) for y in values)]
    given = np.asarray(ALL, dtype)

    with np.errstate(all="ignore"):
        found = wb.function([x], outputs, mode=mode)(given)

    for i, row in enumerate(ROWS):
        places = [ALL.index(p) for p in row.points]
        points = given[places].astype(float)
        value = np.array([row.value(p) for p in points.tolist()])
        slope = np.array(
            [row.slope(p) if row.slope else math.nan for p in points.tolist()]
        )
        with np.errstate(invalid="ignore"):
            condition = np.nan_to_num(np.abs(points * slope), posinf=0)
        # Tails of the normal distribution change by x² parts where x grows by a part.
        rate = np.minimum(points**2 if "erf" in row.name or "ndtr" in row.name else np.abs(points), 2000)  # fmt: skip
        assert_close(found[i][places], value, np.maximum(condition, rate * np.abs(value)), dtype)  # fmt: skip
        assert_close(found[len(ROWS) + i][places], slope, np.abs(slope) * rate, dtype)


@pytest.mark.parametrize("mode", MODES)
def test_infinities_and_nan(mode):
    x = T.dvector("x")
    rows = {
        "sigmoid": (T.sigmoid(x), [0, 1, np.nan]),
        "softplus": (T.softplus(x), [0, np.inf, np.nan]),
        "expm1": (T.expm1(x), [-1, np.inf, np.nan]),
        "logaddexp": (T.logaddexp(x, x), [-np.inf, np.inf, np.nan]),
        "logsumexp": (T.nnet.logsumexp(pair(x), axis=1), [-np.inf, np.inf, np.nan]),
        "erfcx": (T.erfcx(x), [np.inf, 0, np.nan]),
        "log_erfc": (T.log_erfc(x), [np.log(2), -np.inf, np.nan]),
        "log_ndtr": (T.log_ndtr(x), [-np.inf, 0, np.nan]),
    }

    found = wb.function([x], [y for y, _ in rows.values()], mode=mode)(
        np.array([-np.inf, np.inf, np.nan])
    )

    for got, (_, want) in zip(found, rows.values(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-15)
