import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad


def test_compiled_insert_equals_numpys():
    x, v, i = T.matrix("x"), T.vector("v"), T.lvector("i")
    value, new, places = (
        np.arange(12.0).reshape(3, 4),
        np.array([7.0, 8, 9]),
        [4, 0, -1],
    )
    outputs = [T.insert(x, 2, v, 1), T.insert(x, i, v)]

    got = wb.function([x, v, i], outputs)(value, new, places)

    want = [np.insert(value, 2, new, 1), np.insert(value, places, new)]
    for g, expected in zip(got, want, strict=True):
        assert np.array_equal(g, expected)
    with pytest.raises(IndexError, match="inside"):
        wb.function([x, v, i], outputs[1])(value, new, [13, 0, 0])


def test_gradient_of_insert_reaches_both():
    x, new = np.arange(6.0).reshape(2, 3), np.array([[1.0], [2.0]])

    verify_grad(lambda x, v: T.insert(x, [0, 2], v, 1), [x, new])
    verify_grad(lambda x, v: T.insert(x, 1, v, 1), [x, np.arange(2.0)])
