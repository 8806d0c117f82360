"""What a peer is: a library that makes a `Job` of a workload."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from timeit import Timer
from typing import Any

from benchmarks.by_hand import EPSILON
from benchmarks.rows import Workload

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

clock = CLOCKS[os.environ.get("BENCHMARKS_CLOCK", "wall")]
"""What calls are timed with."""


class NotForThisPeerError(Exception):
    """A peer has no such row; the text says why."""


@dataclass
class Job:
    """A workload as one peer does it.

    Attributes
    ----------
    call
        Does it once and returns what the workload asks for, a list.
    statement
        The same as text, for the timer; what it names is in `names`. It ends when the
        result is there, which matters for peers that only queue the work.
    setup
        A statement run before each sample.
    after
        The parameters after the calls of `call` so far.
    """

    call: Callable[[], Sequence[Any]]
    statement: str = "call()"
    names: dict[str, Any] = field(default_factory=dict)
    setup: str = "pass"
    after: Callable[[], Iterable[Any]] = tuple

    def seconds(self, number: int) -> float:
        """Seconds of one call, as the mean of `number`."""
        names = {"call": self.call, **self.names}
        timer = Timer(self.statement, self.setup, clock, names)
        return timer.timeit(number) / number


def call_of(
    f: Callable[..., Any],
    arrays: Iterable[Any],
    then: str = "",
    after: Callable[[], Iterable[Any]] = tuple,
) -> Job:
    """The job of calling `f` with positional arguments, spelled out as a user would."""
    names = {f"x{k}": a for k, a in enumerate(arrays)}
    statement = f"f({', '.join(names)}){then}"

    def call() -> Sequence[Any]:
        got = f(*names.values())
        return got if isinstance(got, (list, tuple)) else [got]

    return Job(call, statement, {"f": f, **names}, after=after)


class Peer:
    """A library. Making one imports it; `xp` is its namespace of array functions."""

    compiles = True
    xp: Any
    version: str

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def job(self, workload: Workload) -> Job:
        """The workload as this library does it; building its graph is part of that."""
        made: Job = getattr(self, workload.kind)(workload)
        return made

    # The kinds of workloads, as `Workload` describes them.

    def value(self, workload: Workload) -> Job:
        raise NotImplementedError

    def gradient(self, workload: Workload) -> Job:
        raise NotImplementedError

    def update(self, workload: Workload) -> Job:
        raise NotImplementedError

    def train(self, workload: Workload) -> Job:
        raise NotImplementedError

    # Loops.

    def scan(
        self,
        step: Callable[..., Any],
        sequences: Sequence[Any],
        states: Sequence[Any],
        others: Sequence[Any],
    ) -> Sequence[Any]:
        """All that ``states = step(*rows, *states, *others)`` makes of each state.

        Step t has row t of each sequence.
        """
        raise NotImplementedError

    def repeat(
        self, step: Callable[..., Any], state: Any, times: Any, *others: Any
    ) -> Any:
        """`state` after ``state = step(state, *others)`` so many times."""
        for _ in range(int(times)):
            state = step(state, *others)
        return state

    # What libraries name in different ways. Softmax is along the last axis.

    def zeros(self, *sizes: Any) -> Any:
        """An array of float32."""
        return self.xp.zeros(sizes, dtype="float32")

    def sigmoid(self, x: Any) -> Any:
        raise NotImplementedError

    def softmax(self, z: Any) -> Any:
        raise NotImplementedError

    def log_softmax(self, z: Any) -> Any:
        raise NotImplementedError

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """The mean over rows of -log softmax(`z`) [n, k] at the classes `y` [n]."""
        return -self.log_softmax(z)[self.xp.arange(y.shape[0]), y].mean()

    def layer_norm(self, x: Any, scale: Any, shift: Any) -> Any:
        """Rows of `x` [n, k] at mean 0 and variance 1, times `scale` plus `shift` [k]."""
        d = x - x.mean(axis=1, keepdims=True)
        variance = (d * d).mean(axis=1, keepdims=True)
        return d / self.xp.sqrt(variance + EPSILON) * scale + shift

    def conv2d(self, x: Any, w: Any, layer: Any) -> Any:
        """`x` with the filters `w`, as a :class:`benchmarks.convolutions.Layer` says."""
        raise NotForThisPeerError("it has no convolutions")

    def conv2d_images(self, y: Any, w: Any, layer: Any) -> Any:
        """The gradient of sum(y conv2d(x, w)) by x."""
        raise NotForThisPeerError("it has no convolutions")

    def conv2d_filters(self, x: Any, y: Any, layer: Any) -> Any:
        """The same by w."""
        raise NotForThisPeerError("it has no convolutions")

    def max_pool(self, x: Any) -> Any:
        """The largest of each square of two by two of `x` [batch, channels, row, column]."""
        raise NotForThisPeerError("it has no pooling")

    def max(self, x: Any, axis: int) -> Any:
        return self.xp.max(x, axis=axis)

    def take_rows(self, E: Any, rows: Any) -> Any:
        """The `rows` [m] of `E` [n, k]."""
        return E[rows]

    def add_rows(self, E: Any, rows: Any, g: Any) -> Any:
        """`E` with g[i] added to its row rows[i]; a row may be named more than once."""
        raise NotImplementedError
