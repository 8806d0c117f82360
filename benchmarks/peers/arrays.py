"""NumPy: one operation after the other, and gradients by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import by_hand, images
from benchmarks.peers.base import Job, Peer, call_of
from benchmarks.rows import Workload


class NumPy(Peer):
    """The reference: what the results of all others are compared with."""

    compiles = False

    def __init__(self, threads: int = 1) -> None:
        super().__init__(threads)
        self.xp = np
        self.version = np.__version__

    def value(self, workload: Workload) -> Job:
        return call_of(partial(workload.expression, self), workload.inputs().values())

    def gradient(self, workload: Workload) -> Job:
        assert workload.by_hand is not None
        return call_of(workload.by_hand, workload.inputs().values())

    def update(self, workload: Workload) -> Job:
        state = list(workload.state().values())

        def advance() -> list[Any]:
            state[:] = (workload.expression(self, *state),)
            return state

        return Job(advance)

    def train(self, workload: Workload) -> Job:
        assert workload.by_hand is not None
        state = workload.state().values()
        arrays = (*workload.inputs().values(), *state)
        step = partial(workload.by_hand, rate=workload.rate)
        return call_of(step, arrays, after=lambda: state)

    def softmax(self, z: Any) -> Any:
        return by_hand.softmax(z)

    def log_softmax(self, z: Any) -> Any:
        return by_hand.log_softmax(z)

    def layer_norm(self, x: Any, scale: Any, shift: Any) -> Any:
        return by_hand.layer_norm(x, scale, shift)

    def conv2d(self, x: Any, w: Any, layer: Any) -> Any:
        return images.conv2d(x, w, layer)

    def conv2d_images(self, y: Any, w: Any, layer: Any) -> Any:
        return images.conv2d_images(y, w, layer)

    def conv2d_filters(self, x: Any, y: Any, layer: Any) -> Any:
        return images.conv2d_filters(x, y, layer)

    def max_pool(self, x: Any) -> Any:
        return images.max_pool(x)

    def add_rows(self, E: Any, rows: Any, g: Any) -> Any:
        total = E.copy()
        np.add.at(total, rows, g)
        return total
