"""Interrupts calls with updates at random moments; run by ``tests/compile/test_state.py``.

``python -m tests.interrupts FAST_RUN 200 2000`` counts eight shared variables of 2000 elements
and a matrix up, in place, exchanged, crosswise and by a product, while 200 alarms raise
KeyboardInterrupt as Ctrl-C does. After each alarm all of them must have one value.
"""

import gc
import signal
import sys
import time

import numpy as np

import workbench as wb
import workbench.tensor as T
from workbench.compile.c import runner

MODES = ["FAST_RUN", "cffi", "FAST_COMPILE", "None"]
"""Modes of functions; ``cffi`` is FAST_RUN through the runner that needs no Python headers."""


def counters(mode, size):
    """The function, and the variables it counts up."""
    states = [wb.shared(np.zeros(size), f"s{k}") for k in range(8)]
    a, b, c, d, *others = states
    square = wb.shared(np.zeros((20, 20)), "square")
    updates = [(s, s + 1) for s in others]
    updates += [
        (a, b + 1),
        (b, a + 1),
        (c, T.concatenate([d[:1], c[1:]]) + 1),
        (d, T.tanh(a * 0) + d + 1),
    ]
    ones = T.constant(np.ones((20, 20)))
    updates.append((square, square + T.dot(ones, ones) / 20))
    return wb.function([], a.sum(), updates=updates, mode=mode), [*states, square]


def call_until(f, end):
    while time.monotonic() < end:
        f()


def interrupted(f, seconds):
    """Call `f` until an alarm after `seconds` interrupts it; whether it did within 5 s."""
    # The loop is a function of its own: Python 3.13 lets an interrupt between two rounds
    # of a loop escape the try statement around that loop.
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        call_until(f, time.monotonic() + 5)
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False


def main(mode, interrupts, size):
    if mode == "cffi":
        runner._extension = lambda: None
        mode = "FAST_RUN"
    f, states = counters(mode, size)
    f()
    start = time.perf_counter()
    f()
    longest = max(2e-3, 3 * (time.perf_counter() - start))
    random = np.random.default_rng(0)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.collect()
    gc.disable()  # Python forgets an interrupt that falls into a finalizer.
    caught = 0
    while caught < interrupts:
        caught += interrupted(f, random.uniform(2e-5, longest))
        extremes = (
            m for s in states for m in (s.get_value().min(), s.get_value().max())
        )
        values = set(map(float, extremes))
        assert len(values) == 1, f"torn after {caught} interrupts: {values}"
    (before,) = values
    f()
    assert before > 1
    assert all((s.get_value() == before + 1).all() for s in states)
    print(f"all or none, {caught} times")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
