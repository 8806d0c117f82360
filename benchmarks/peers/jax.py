"""JAX: XLA on the CPU; arrays are on its device, and a call waits for its result."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.base import Job, Peer, call_of
from benchmarks.rows import Workload


class Jax(Peer):
    """Pure functions under ``jit``; training gives its parameters away and gets new."""

    def __init__(self, threads: int = 1) -> None:
        super().__init__(threads)
        import jax

        self.jax = jax
        self.xp = jax.numpy
        self.version = jax.__version__
        jax.devices()  # Its threads are as many as the cores it may use now.

    def _arrays(self, arrays: dict[str, Any]) -> list[Any]:
        return [self.xp.asarray(a) for a in arrays.values()]

    def value(self, workload: Workload) -> Job:
        f = self.jax.jit(partial(workload.expression, self))
        return call_of(f, self._arrays(workload.inputs()), ".block_until_ready()")

    def gradient(self, workload: Workload) -> Job:
        arrays = workload.inputs()
        places = tuple(k for k, name in enumerate(arrays) if name in workload.wrt)
        slope = self.jax.value_and_grad(partial(workload.expression, self), places)
        f, inputs = self.jax.jit(slope), self._arrays(arrays)

        def call() -> list[Any]:
            value, slopes = f(*inputs)
            return [value, *slopes]

        names = {"f": f, "a": inputs, "wait": self.jax.block_until_ready}
        return Job(call, "wait(f(*a))", names)

    def update(self, workload: Workload) -> Job:
        state = self._arrays(workload.state())
        f = self.jax.jit(partial(workload.expression, self), donate_argnums=0)
        return Job(
            lambda: [f(state[0] + 0)],
            "n = f(n).block_until_ready()",
            {"f": f, "n0": state[0]},
            "n = n0 + 0",  # A copy, because the call consumes what it is given.
        )

    def train(self, workload: Workload) -> Job:
        inputs = self._arrays(workload.inputs())
        state = self._arrays(workload.state())
        k = len(inputs)
        both = tuple(range(k, k + len(state)))
        slope = self.jax.value_and_grad(partial(workload.expression, self), both)

        def step(*arrays: Any) -> Any:
            loss, slopes = slope(*arrays)
            rate = np.float32(workload.rate)
            pairs = zip(arrays[k:], slopes, strict=True)
            return loss, [s - rate * g for s, g in pairs]

        f = self.jax.jit(step, donate_argnums=both)
        last: list[Any] = []

        def fresh() -> list[Any]:
            return [s + 0 for s in state]

        def call() -> list[Any]:
            loss, last[:] = f(*inputs, *fresh())
            return [loss]

        names = {
            "f": f,
            "a": inputs,
            "fresh": fresh,
            "wait": self.jax.block_until_ready,
        }
        statement = "l, s = f(*a, *s); wait((l, s))"
        return Job(call, statement, names, "s = fresh()", after=lambda: last)

    def scan(self, step: Any, sequences: Any, states: Any, others: Any) -> Any:
        def body(carry: Any, rows: Any) -> Any:
            new = step(*rows, *carry, *others)
            return new, new

        return self.jax.lax.scan(body, tuple(states), tuple(sequences))[1]

    def repeat(self, step: Any, state: Any, times: Any, *others: Any) -> Any:
        def body(_: Any, s: Any) -> Any:
            return step(s, *others)

        return self.jax.lax.fori_loop(0, times, body, state)

    def sigmoid(self, x: Any) -> Any:
        return self.jax.nn.sigmoid(x)

    def softmax(self, z: Any) -> Any:
        return self.jax.nn.softmax(z, axis=-1)

    def log_softmax(self, z: Any) -> Any:
        return self.jax.nn.log_softmax(z, axis=-1)

    def conv2d(self, x: Any, w: Any, layer: Any) -> Any:
        return self.jax.lax.conv_general_dilated(
            x,
            w,
            (layer.stride,) * 2,
            ((layer.pad,) * 2,) * 2,
            rhs_dilation=(layer.dilation,) * 2,
            feature_group_count=layer.groups,
        )

    def conv2d_images(self, y: Any, w: Any, layer: Any) -> Any:
        x = self.jax.ShapeDtypeStruct(layer.images, y.dtype)
        return self.jax.linear_transpose(lambda x: self.conv2d(x, w, layer), x)(y)[0]

    def conv2d_filters(self, x: Any, y: Any, layer: Any) -> Any:
        w = self.jax.ShapeDtypeStruct(layer.filters, y.dtype)
        return self.jax.linear_transpose(lambda w: self.conv2d(x, w, layer), w)(y)[0]

    def max_pool(self, x: Any) -> Any:
        square = (1, 1, 2, 2)
        lax = self.jax.lax
        return lax.reduce_window(x, -np.inf, lax.max, square, square, "VALID")

    def add_rows(self, E: Any, rows: Any, g: Any) -> Any:
        return E.at[rows].add(g)
