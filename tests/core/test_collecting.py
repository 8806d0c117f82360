"""Python's collector of cycles while graphs are made."""

import gc

import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core import collecting
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


def test_what_was_made_is_not_searched_at_once():
    gc.collect()
    with paused_collector():
        kept = [[] for _ in range(50_000)]

    assert gc.get_count()[0] < 10_000
    assert len(gc.get_objects(generation=2)) > len(kept)
    assert gc.get_freeze_count() == 0


def test_cycles_made_meanwhile_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(collecting, "MANY", 10_000)
    gc.collect()
    before = len(gc.get_objects())

    for _ in range(20):
        with paused_collector():
            for _ in range(5_000):
                cycle = []
                cycle.append(cycle)

    assert len(gc.get_objects()) - before < 20_000
