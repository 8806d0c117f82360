"""The peers: how each library is asked for a workload, and the process it is asked in.

A peer has three methods, one a kind of workload; each returns a `Job`. How it compiles
and where its arrays lie is what the library's own documentation advises for one CPU.
``python -m benchmarks.peers NAME`` is a peer's process: it reads one command a line
from its input and answers each with a line, both JSON (`serve`).
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from timeit import Timer
from typing import Any

import numpy as np

from benchmarks.workloads import WORKLOADS, Workload

SAMPLE_SECONDS = 0.01
"""A sample is at least so long: 100,000 times what the clock resolves."""

TOLERANCE = 1e-4
"""Largest relative difference from NumPy; in float32 784 products differ by 1e-6."""


@dataclass
class Job:
    """A workload as one peer does it.

    Attributes
    ----------
    call
        Does it once and returns what the workload asks for.
    statement
        The same as text, for the timer; what it names is in `names`. It ends when the
        result is there, which matters for peers that only queue the work.
    setup
        A statement run before each sample.
    """

    call: Callable[[], Any]
    statement: str
    names: dict[str, Any] = field(default_factory=dict)
    setup: str = "pass"

    def seconds(self, number: int) -> float:
        """Seconds of one call, as the mean of `number`."""
        timer = Timer(self.statement, self.setup, globals=self.names)
        return timer.timeit(number) / number


class Peer:
    """A library. Making one imports it; `xp` is its namespace of array functions."""

    compiles = True
    xp: Any
    version: str

    def value(self, workload: Workload) -> Job:
        """A call returns the expression of the inputs."""
        raise NotImplementedError

    def update(self, workload: Workload) -> Job:
        """A call replaces the state by the expression of it, and returns the state."""
        raise NotImplementedError

    def train(self, workload: Workload) -> Job:
        """A call takes a step down the gradient and returns the loss."""
        raise NotImplementedError

    def softmax(self, z: Any) -> Any:
        """Along the last axis."""
        raise NotImplementedError

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """The mean over rows of -log softmax(`z`) [n, k] at the classes `y` [n]."""
        raise NotImplementedError


class NumPy(Peer):
    """One operation after the other, each into a new array."""

    compiles = False

    def __init__(self) -> None:
        self.xp = np
        self.version = np.__version__

    def value(self, workload: Workload) -> Job:
        return _call(partial(workload.expression, self), workload.inputs().values())

    def update(self, workload: Workload) -> Job:
        state = list(workload.state().values())

        def advance() -> Any:
            state[:] = (workload.expression(self, *state),)
            return state[0]

        return Job(advance, "f()", {"f": advance})

    def train(self, workload: Workload) -> Job:
        assert workload.step is not None
        arrays = {**workload.inputs(), **workload.state()}
        return _call(partial(workload.step, rate=workload.rate), arrays.values())

    def softmax(self, z: Any) -> Any:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        e /= e.sum(axis=1, keepdims=True)
        return e


class Workbench(Peer):
    """One C program a function, in the mode FAST_RUN."""

    mode = "FAST_RUN"

    def __init__(self) -> None:
        import workbench
        import workbench.tensor

        self.wb = workbench
        self.xp = workbench.tensor
        self.version = workbench.__version__

    def value(self, workload: Workload) -> Job:
        arrays = workload.inputs()
        variables = self._variables(arrays)
        output = workload.expression(self, *variables)
        return _call(self._function(variables, output), arrays.values())

    def update(self, workload: Workload) -> Job:
        ((name, array),) = workload.state().items()
        n = self.wb.shared(array, name=name)
        f = self._function([], None, [(n, workload.expression(self, n))])

        def advance() -> Any:
            f()
            return n.get_value()

        return Job(advance, "f()", {"f": f})

    def train(self, workload: Workload) -> Job:
        arrays = workload.inputs()
        variables = self._variables(arrays)
        state = [self.wb.shared(a, name=n) for n, a in workload.state().items()]
        loss = workload.expression(self, *variables, *state)
        slopes = self.wb.grad(loss, state)
        rate = np.float32(workload.rate)
        updates = [(s, s - rate * g) for s, g in zip(state, slopes, strict=True)]
        return _call(self._function(variables, loss, updates), arrays.values())

    def _variables(self, arrays: dict[str, Any]) -> list[Any]:
        return [
            self.xp.tensor(a.dtype.name, (None,) * a.ndim, name)
            for name, a in arrays.items()
        ]

    def _function(self, inputs: Any, outputs: Any, updates: Any = None) -> Any:
        return self.wb.function(inputs, outputs, updates=updates, mode=self.mode)

    def softmax(self, z: Any) -> Any:
        return self.xp.nnet.softmax(z)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        T = self.xp
        return -T.log(T.nnet.softmax(z))[T.arange(y.shape[0]), y].mean()


class WorkbenchNumPy(Workbench):
    """The same graphs run by NumPy: the mode FAST_COMPILE."""

    mode = "FAST_COMPILE"


class PyTensor(Workbench):
    """The nearest relative, with its C linker."""

    mode = "cvm"

    def __init__(self) -> None:
        import pytensor
        import pytensor.tensor
        from pytensor.tensor.special import softmax

        self.wb = pytensor
        self.xp = pytensor.tensor
        self.version = pytensor.__version__
        self.softmax_of = softmax

    def _variables(self, arrays: dict[str, Any]) -> list[Any]:
        return [
            self.xp.tensor(name, dtype=a.dtype.name, shape=(None,) * a.ndim)
            for name, a in arrays.items()
        ]

    def _function(self, inputs: Any, outputs: Any, updates: Any = None) -> Any:
        from pytensor.compile.mode import Mode

        mode = "NUMBA" if self.mode == "numba" else Mode(self.mode, "fast_run")
        return self.wb.function(inputs, outputs, updates=updates, mode=mode)

    def softmax(self, z: Any) -> Any:
        return self.softmax_of(z, axis=-1)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        T = self.xp
        return -T.log(self.softmax(z))[T.arange(y.shape[0]), y].mean()


class PyTensorNumba(PyTensor):
    """PyTensor through Numba, its newer way."""

    mode = "numba"


class Jax(Peer):
    """XLA on the CPU; arrays are on its device, and a call waits for its result."""

    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)  # int64 classes and counters
        self.jax = jax
        self.xp = jax.numpy
        self.version = jax.__version__

    def _arrays(self, arrays: dict[str, Any]) -> list[Any]:
        return [self.xp.asarray(a) for a in arrays.values()]

    def value(self, workload: Workload) -> Job:
        f = self.jax.jit(partial(workload.expression, self))
        return _call(f, self._arrays(workload.inputs()), ".block_until_ready()")

    def update(self, workload: Workload) -> Job:
        state = self._arrays(workload.state())
        f = self.jax.jit(partial(workload.expression, self), donate_argnums=0)
        names = {"f": f, "n0": state[0]}
        return Job(
            lambda: f(state[0] + 0),
            "n = f(n).block_until_ready()",
            names,
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

        def fresh() -> list[Any]:
            return [s + 0 for s in state]

        def call() -> Any:
            return f(*inputs, *fresh())[0]

        names = {
            "f": f,
            "a": inputs,
            "fresh": fresh,
            "wait": self.jax.block_until_ready,
        }
        return Job(call, "l, s = f(*a, *s); wait((l, s))", names, "s = fresh()")

    def softmax(self, z: Any) -> Any:
        return self.jax.nn.softmax(z, axis=-1)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        rows = self.xp.arange(y.shape[0])
        return -self.jax.nn.log_softmax(z, axis=-1)[rows, y].mean()


class Torch(Peer):
    """Eager PyTorch; values need no gradient, and are computed without."""

    compiles = False

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self.xp = torch
        self.version = torch.__version__

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in place of `f`."""
        return f

    def _tensors(self, arrays: dict[str, Any]) -> list[Any]:
        return [self.xp.from_numpy(a) for a in arrays.values()]

    def value(self, workload: Workload) -> Job:
        self.xp.set_grad_enabled(False)
        f = self.compiled(partial(workload.expression, self))
        return _call(f, self._tensors(workload.inputs()))

    def update(self, workload: Workload) -> Job:
        self.xp.set_grad_enabled(False)
        state = self._tensors(workload.state())
        f = self.compiled(partial(workload.expression, self))
        return Job(
            lambda: f(*state),
            "n = f(n)",
            {"f": f, "n0": state[0]},
            "n = n0",
        )

    def train(self, workload: Workload) -> Job:
        torch = self.xp
        torch.set_grad_enabled(True)
        inputs = self._tensors(workload.inputs())
        state = [s.requires_grad_() for s in self._tensors(workload.state())]
        loss_of = self.compiled(partial(workload.expression, self))

        def step() -> Any:
            loss = loss_of(*inputs, *state)
            slopes = torch.autograd.grad(loss, state)
            with torch.no_grad():
                for s, g in zip(state, slopes, strict=True):
                    s.sub_(g, alpha=workload.rate)
            return loss.detach()

        return Job(step, "f()", {"f": step})

    def softmax(self, z: Any) -> Any:
        return self.xp.softmax(z, dim=-1)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return self.xp.nn.functional.cross_entropy(z, y)


class TorchCompile(Torch):
    """PyTorch through its compiler."""

    compiles = True

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return self.xp.compile(f)


PEERS: dict[str, tuple[type[Peer], str]] = {
    "workbench": (Workbench, "workbench"),
    "workbench-numpy": (WorkbenchNumPy, "workbench"),
    "numpy": (NumPy, "numpy"),
    "pytensor": (PyTensor, "pytensor"),
    "pytensor-numba": (PyTensorNumba, "pytensor"),
    "jax": (Jax, "jax"),
    "torch": (Torch, "torch"),
    "torch-compile": (TorchCompile, "torch"),
}
"""Each peer by name, and the module it needs."""


def _call(f: Callable[..., Any], arrays: Any, then: str = "") -> Job:
    """The job of calling `f` with positional arguments, spelled out as a user would."""
    names = {f"x{k}": a for k, a in enumerate(arrays)}
    statement = f"f({', '.join(names)})"
    return Job(lambda: f(*names.values()), statement + then, {"f": f, **names})


# --- the process ---------------------------------------------------------------------


class Server:
    """Answers commands about one peer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.workloads = {w.name: w for w in WORKLOADS}
        self.peer = PEERS[name][0]()

    def answer(self, do: str, workload: str = "") -> dict[str, Any]:
        """Obey ``first``, ``prepare`` or ``sample``."""
        if do == "sample":
            return {"seconds": self.sample()}
        first = self.first(self.workloads[workload])
        if do == "prepare":
            self.prepare()
        return first

    def first(self, workload: Workload) -> dict[str, Any]:
        """Build the graph, get the first result, compare it with NumPy's."""
        start = time.perf_counter()
        self.job = getattr(self.peer, workload.kind)(workload)
        got = np.asarray(self.job.call())
        first = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        want = np.asarray(getattr(NumPy(), workload.kind)(workload).call())
        np.testing.assert_allclose(got, want, TOLERANCE, TOLERANCE)
        return {"first": first, "peak MiB": peak}

    def prepare(self) -> None:
        """Find how many calls make a sample."""
        gc.collect()
        self.job.call()  # Some peers compile again once they know the arrays better.
        self.number = 1
        for _ in range(2):  # The first guess, from a single call, is a poor one.
            seconds = max(self.job.seconds(self.number), 1e-8)
            self.number = max(1, round(SAMPLE_SECONDS / seconds))

    def sample(self) -> float:
        """Seconds of one call, as a mean."""
        gc.disable()
        try:
            return self.job.seconds(self.number)
        finally:
            gc.enable()


def serve(name: str) -> None:
    """Say hello, then answer commands until the input ends; so are failures told."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # What a library prints must not come between the answers.
    try:
        server = Server(name)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0] == PEERS[name][1]
        reason = "not installed" if missing else str(error)
        print(json.dumps({"error": reason}), file=out)
        return
    print(json.dumps({"version": server.peer.version}), file=out)
    for line in sys.stdin:
        try:
            answer = server.answer(**json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out)


if __name__ == "__main__":
    if len(sys.argv) > 2:  # Before the library looks how many cores there are.
        os.sched_setaffinity(0, {int(sys.argv[2])})
    serve(sys.argv[1])
