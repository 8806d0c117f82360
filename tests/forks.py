"""Forks for tests; as a program, calls of a function that uses threads in child processes.

``tests/compile/test_forks.py`` runs it:

``python -m tests.forks fork 4 60`` calls it here, then in 4 children at a time, each begun by
``fork`` (or ``spawn``, ``forkserver``), some of them while another thread is in the call. Every
child must answer within 60 seconds.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np

import workbench as wb
import workbench.tensor as T
from workbench.config import config

SIZE = 300_000
AT_ONCE = 4


def exit_status(pid, seconds=20):
    """The exit status of a child, which is killed when it takes too long."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"


def stepping():
    """The function, and the variable it counts up: a long loop, a product, a reduction."""
    x, w = T.vector("x"), wb.shared(np.zeros(SIZE), "w")
    square = wb.shared(np.eye(80), "square")
    loss = (T.tanh(x) * 0 + w + 1).sum() + T.dot(square, square).sum()
    return wb.function([x], loss, updates=[(w, w + T.exp(x) * 0 + 1)]), w


def right(f, w, x):
    """Whether a call counts up as it should."""
    before = w.get_value()[0]
    loss = float(f(x))
    return loss == SIZE * (before + 1) + 80 and bool(
        (w.get_value() == before + 1).all()
    )


def answer(connection, f=None, w=None):
    """What a child does: it calls the function it inherits, or was sent, or makes its own."""
    if f is None:
        f, w = stepping()
    x = np.full(SIZE, 0.5)
    connection.send(all(right(f, w, x) for _ in range(3)))


def answers(context, given, seconds):
    """Begin some children; which of them answered rightly in time."""
    children = []
    for _ in range(AT_ONCE):
        here, there = context.Pipe()
        child = context.Process(target=answer, args=(there, *given))
        child.start()
        children.append((child, here))
    last = time.monotonic() + seconds
    found = []
    for child, here in children:
        in_time = here.poll(max(0, last - time.monotonic()))
        found.append(here.recv() if in_time else "no answer")
        child.kill()
        child.join()
    return found


def main(method, number, seconds):
    warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
    config.threads = 3
    f, w = stepping()
    x = np.full(SIZE, 0.5)
    assert right(f, w, x)
    context = multiprocessing.get_context(method)
    given = (f, w) if method == "fork" else ()
    go_on = threading.Event()

    def keep_busy():
        while not go_on.is_set():
            f(x)

    found = []
    while len(found) < number:
        busy = threading.Thread(target=keep_busy)
        if len(found) % (2 * AT_ONCE):
            busy.start()
        found += answers(context, given, seconds)
        go_on.set()
        if busy.ident is not None:
            busy.join()
        go_on.clear()
    assert found == [True] * len(found), found
    assert right(f, w, x)
    print(f"{len(found)} answers")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
