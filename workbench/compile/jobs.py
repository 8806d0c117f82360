"""Work that a thread does meanwhile: compilers, for the most part.

They run for one function at a time; when the process ends, or the thread is cut off by a
fork, none is left behind.

Read next: `workbench.compile.background`.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from workbench.compile.c.processes import Stopped

__all__ = ["Job"]

T = TypeVar("T")

PARTING_SECONDS = 2.0  # A process that ends waits no longer for a thread to let go.


class Job(Generic[T]):
    """Work that a thread does, and what came of it.

    Parameters
    ----------
    work
        Called in the thread with an event; when that is set it should give up.
    at_once
        Whether it does not wait until the jobs before it have ended.
    """

    def __init__(
        self, work: Callable[[threading.Event], T], at_once: bool = False
    ) -> None:
        self._work, self._at_once = work, at_once
        self._begin()
        _jobs.add(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._stop, self._end = threading.Event(), threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with nullcontext() if self._at_once else _turn:
                if not self._stop.is_set():
                    self._result = self._work(self._stop)
        except Stopped:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._end.set()

    @property
    def is_done(self) -> bool:
        """Whether the work has ended, well or not. A forked process begins it anew."""
        if self._pid != os.getpid() and not self._end.is_set():
            self._begin()
        return self._end.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, at most so long; whether it has come."""
        return self.is_done or self._end.wait(seconds)

    def result(self) -> T | None:
        """What the work made, None when it was called off; raises what the work raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def stop(self) -> None:
        """Have the work given up."""
        self._stop.set()

    def part(self) -> None:
        """Wait a little for the thread to let go of what it holds."""
        if self._pid == os.getpid():
            self._thread.join(PARTING_SECONDS)


_turn = threading.Lock()
_jobs: weakref.WeakSet[Job[Any]] = weakref.WeakSet()


def _take_turn_anew() -> None:
    """In a forked process: the thread that held the lock does not exist there."""
    global _turn
    _turn = threading.Lock()


def _stop_all() -> None:
    jobs = list(_jobs)
    for job in jobs:
        job.stop()
    for job in jobs:
        job.part()


os.register_at_fork(after_in_child=_take_turn_anew)
atexit.register(_stop_all)
