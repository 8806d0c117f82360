import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad


@pytest.mark.parametrize("bins", [4, [-1.0, 0.0, 2.0]], ids=str)
def test_compiled_histogram_equals_numpys(bins):
    x, w = T.vectors("x", "w")
    rng = np.random.default_rng(0)
    value, weight = rng.normal(size=(2, 50))

    outputs = [*T.histogram(x, bins), *T.histogram(x, bins, weights=w, density=True)]
    got = wb.function([x, w], outputs)(value, weight)

    want = [*np.histogram(value, bins), *np.histogram(value, bins, weights=weight, density=True)]  # fmt: skip
    for g, expected in zip(got, want, strict=True):
        np.testing.assert_allclose(g, expected, 1e-12)


def test_gradient_of_a_histogram_reaches_the_weights():
    value = np.array([0.1, 0.5, 0.7, 3.0])

    verify_grad(
        lambda w: T.histogram(value, [0, 0.6, 1], weights=w)[0], [np.arange(4.0)]
    )


def test_mistakes_of_edges_are_found_when_they_can_be():
    x, edges = T.vectors("x", "edges")
    count = wb.function([x, edges], T.histogram(x, edges)[0])

    with pytest.raises(ValueError, match="increase"):
        count([1.0], [2.0, 1.0])
    with pytest.raises(ValueError, match="finite"):
        wb.function([x], T.histogram(x)[0])([np.inf])
    with pytest.raises(ValueError, match="at least one bin"):
        T.histogram(x, 0)
