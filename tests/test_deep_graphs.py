"""A chain of 100,000 operations through every stage: no walk may meet the recursion limit."""

import pickle
import time

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T


def chain(length):
    """alternately x + 1 and sin(x), `length` times."""
    x = T.dvector("x")
    y = x
    for number in range(length):
        y = y + 1.0 if number % 2 else T.sin(y)
    return x, y


def value(length, at):
    for number in range(length):
        at = at + 1.0 if number % 2 else np.sin(at)
    return at


def slope(length, at):
    found = np.ones_like(at)
    for number in range(length):
        if not number % 2:
            found = found * np.cos(at)
        at = at + 1.0 if number % 2 else np.sin(at)
    return found


@pytest.mark.parametrize(
    "length", [5_000, pytest.param(100_000, marks=pytest.mark.nightly)]
)
def test_a_chain_goes_through_every_stage(length):
    start = time.perf_counter()
    x, y = chain(length)
    g = wb.grad(y.sum(), x)

    assert wb.debugprint(y, file="str").count("\n") >= length
    x2, g2 = pickle.loads(pickle.dumps((x, g)))
    f = wb.function([x2], g2, mode="FAST_COMPILE")
    plain = wb.function([x], y, mode="None")

    at = np.array([0.3, -2.0])
    np.testing.assert_allclose(plain(at), value(length, at), rtol=1e-12)
    np.testing.assert_allclose(f(at), slope(length, at), rtol=1e-9, atol=1e-300)
    print(f"{length} operations: {time.perf_counter() - start:.1f} s")
