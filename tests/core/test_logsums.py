import numpy as np
from scipy import special

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad


def test_sums_of_exponentials_compile():
    x, w = T.matrices("x", "w")
    rng = np.random.default_rng(0)
    value, weight = rng.normal(size=(2, 3, 4)) * 300
    outputs = [
        T.special.softmax(x),
        T.special.log_softmax(x),
        T.special.logsumexp(x, 1, b=w, keepdims=True),
        *T.special.logsumexp(x, b=w, return_sign=True),
    ]

    got = wb.function([x, w], outputs)(value, weight)

    want = [
        special.softmax(value),
        special.log_softmax(value),
        special.logsumexp(value, 1, b=weight, keepdims=True),
        *special.logsumexp(value, b=weight, return_sign=True),
    ]
    for g, expected in zip(got, want, strict=True):
        np.testing.assert_allclose(g, expected, 1e-12)


def test_gradients_of_sums_of_exponentials_equal_differences():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3)), rng.uniform(0.5, 2, 3)

    verify_grad(lambda x, w: T.special.logsumexp(x, 1, b=w), [x, w], order=2)
    verify_grad(T.special.log_softmax, [x], order=2)
    verify_grad(T.special.softmax, [x], order=2)
