"""Attributes that are computed when they are first asked for."""

from __future__ import annotations

import threading

from workbench.core.lazy import lazy


class Thing:
    def __init__(self, compute):
        self.compute, self.times = compute, 0

    @lazy
    def value(self):
        """What it is worth."""
        self.times += 1
        return self.compute()


def test_it_is_computed_once_for_each_object():
    one, two = Thing(lambda: 1), Thing(lambda: 2)

    assert [one.value, two.value, one.value, two.value] == [1, 2, 1, 2]
    assert one.times == two.times == 1
    assert Thing.value.__doc__ == "What it is worth."


def test_no_object_waits_for_another():
    """Nor does a process that is forked while a thread computes, which it does not have."""
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(60)
        return 1

    slow_one, quick_one = Thing(slow), Thing(lambda: 2)
    thread = threading.Thread(target=lambda: slow_one.value)
    thread.start()
    assert begun.wait(60)
    found = []
    other = threading.Thread(target=lambda: found.append(quick_one.value))
    other.start()
    other.join(10)
    assert found == [2]

    go_on.set()
    thread.join(60)
    assert slow_one.value == 1
