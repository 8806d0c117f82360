"""Python's collector of cycles while graphs are made."""

import gc

import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.collecting import paused_collector


def test_the_collector_is_off_inside_and_on_afterwards():
    with paused_collector():
        assert not gc.isenabled()
        with paused_collector():
            pass
        assert not gc.isenabled()

    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with paused_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_function_that_cannot_be_made_leaves_the_collector_on():
    x = T.dvector("x")

    with pytest.raises(wb.GradientError):
        wb.grad(T.argmax(x), x)

    wb.function([x], x + 1)
    assert gc.isenabled()
