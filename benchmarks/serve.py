"""A peer's process: ``python -m benchmarks.serve NAME THREADS [CORE,CORE]``.

It reads one command a line from its input and answers each with a line, both JSON. The
first line it writes says hello, with the library's version.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loops import LONG_LSTM
from benchmarks.peers import LIMIT, PEERS, NumPy
from benchmarks.peers.base import NotForThisPeerError
from benchmarks.rows import Workload
from benchmarks.workloads import STARTS, WORKLOADS

SAMPLE_SECONDS = 0.01
"""A sample is at least so long: 100,000 times what the clock resolves."""

SLOW = 0.1
"""Seconds of a call that fills the caches many times over: nothing comes before it."""

TOLERANCE = 1e-4
"""Largest difference from NumPy, relative to a value or to the largest of its array.

In float32, sums of 4096 products and means over 4 million values differ by 1e-5.
"""


class Server:
    """Answers commands about one peer."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self.name = name
        self.workloads = {
            w.name: w for w in (*WORKLOADS, LONG_LSTM, *(s.workload for s in STARTS))
        }
        self.peer = PEERS[name][0](threads)

    def answer(self, do: str, workload: str = "") -> dict[str, Any]:
        """Obey ``first``, ``prepare`` or ``sample``."""
        if do == "first":
            return self.first(self.workloads[workload])
        if do == "prepare":
            return {"calls": self.prepare()}
        return {"seconds": self.sample()}

    def first(self, workload: Workload) -> dict[str, Any]:
        """Build the graph, get the first result, compare it with NumPy's."""
        self.job: Any = None  # Frees the arrays of the row before.
        before = resident()
        start = time.perf_counter()
        self.job = self.peer.job(workload)
        got = [np.asarray(each) for each in self.job.call()]
        first = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        grown = peak - before
        if self.name != LIMIT:
            self.compare(workload, got)
        return {"first": first, "peak MiB": peak, "grown MiB": grown}

    def compare(self, workload: Workload, got: list[Any]) -> None:
        """Refuse results, and parameters after one step, that are not NumPy's.

        Raises
        ------
        AssertionError
            A value, a shape, or the width of a float differs.
        """
        reference = NumPy().job(workload)
        want = [np.asarray(each) for each in (*reference.call(), *reference.after())]
        got = [*got, *map(np.asarray, self.job.after())]
        for mine, right in zip(got, want, strict=True):
            assert mine.shape == right.shape, (mine.shape, right.shape)
            if right.dtype.kind == "f":
                assert mine.dtype == right.dtype, (mine.dtype, right.dtype)
            largest = float(np.abs(right).max())
            np.testing.assert_allclose(mine, right, TOLERANCE, TOLERANCE * largest)

    def prepare(self) -> int:
        """Find how many calls make a sample."""
        gc.collect()
        self.job.call()  # Some peers compile again once they know the arrays better.
        self.number = 1
        for _ in range(2):  # The first guess, from a single call, is a poor one.
            seconds = max(self.job.seconds(self.number), 1e-8)
            self.number = max(1, round(SAMPLE_SECONDS / seconds))
        self.slow = seconds > SLOW
        return self.number

    def sample(self) -> float:
        """Seconds of one call, as a mean, after a call that brings the caches up."""
        gc.disable()
        try:
            if not self.slow:
                self.job.seconds(1)
            seconds: float = self.job.seconds(self.number)
        finally:
            gc.enable()
        return seconds


def resident() -> float:
    """MiB that this process holds now; where the system does not say, held at most."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


def serve(name: str, threads: int) -> None:
    """Say hello, then answer commands until the input ends; so are failures told."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # What a library prints must not come between the answers.
    try:
        server = Server(name, threads)
    except ImportError as error:
        missing = error.name == PEERS[name][1]
        reason = "not installed" if missing else str(error)
        print(json.dumps({"error": reason}), file=out)
        return
    except NotForThisPeerError as error:
        print(json.dumps({"error": str(error)}), file=out)
        return
    print(json.dumps({"version": server.peer.version}), file=out)
    for line in sys.stdin:
        try:
            answer = server.answer(**json.loads(line))
        except NotForThisPeerError as error:
            answer = {"error": str(error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out)


def end_with_parent() -> None:
    """Have the system end this process, stopped or not, when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    end_with_parent()
    if len(sys.argv) > 3:  # Before the library looks how many cores there are.
        os.sched_setaffinity(0, {int(core) for core in sys.argv[3].split(",")})
    serve(sys.argv[1], int(sys.argv[2]))
