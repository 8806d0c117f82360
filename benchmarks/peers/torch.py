"""PyTorch, eager and through its compiler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.by_hand import EPSILON
from benchmarks.peers.base import Job, Peer, call_of
from benchmarks.workloads import Workload


class Torch(Peer):
    """Eager PyTorch; values need no gradient, and are computed without."""

    compiles = False

    def __init__(self, threads: int = 1) -> None:
        super().__init__(threads)
        import torch

        torch.set_num_threads(threads)
        self.xp = torch
        self.version = torch.__version__

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in place of `f`."""
        return f

    def _tensors(self, arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: self.xp.from_numpy(a) for name, a in arrays.items()}

    def value(self, workload: Workload) -> Job:
        self.xp.set_grad_enabled(False)
        f = self.compiled(partial(workload.expression, self))
        return call_of(f, self._tensors(workload.inputs()).values())

    def gradient(self, workload: Workload) -> Job:
        torch = self.xp
        torch.set_grad_enabled(True)
        inputs = self._tensors(workload.inputs())
        wrt = [inputs[name].requires_grad_() for name in workload.wrt]
        loss_of = self.compiled(partial(workload.expression, self))

        def slope(*tensors: Any) -> list[Any]:
            loss = loss_of(*tensors)
            return [loss.detach(), *torch.autograd.grad(loss, wrt)]

        return call_of(slope, inputs.values())

    def update(self, workload: Workload) -> Job:
        self.xp.set_grad_enabled(False)
        (n,) = self._tensors(workload.state()).values()
        f = self.compiled(partial(workload.expression, self))
        return Job(lambda: [f(n)], "n = f(n)", {"f": f, "n0": n}, "n = n0")

    def train(self, workload: Workload) -> Job:
        torch = self.xp
        torch.set_grad_enabled(True)
        inputs = self._tensors(workload.inputs()).values()
        tensors = self._tensors(workload.state()).values()
        state = [tensor.requires_grad_() for tensor in tensors]
        loss_of = self.compiled(partial(workload.expression, self))

        def step() -> list[Any]:
            loss = loss_of(*inputs, *state)
            slopes = torch.autograd.grad(loss, state)
            with torch.no_grad():
                for s, g in zip(state, slopes, strict=True):
                    s.sub_(g, alpha=workload.rate)
            return [loss.detach()]

        return Job(step, after=lambda: [s.detach() for s in state])

    def softmax(self, z: Any) -> Any:
        return self.xp.softmax(z, dim=-1)

    def log_softmax(self, z: Any) -> Any:
        return self.xp.log_softmax(z, dim=-1)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return self.xp.nn.functional.cross_entropy(z, y)

    def layer_norm(self, x: Any, scale: Any, shift: Any) -> Any:
        function = self.xp.nn.functional.layer_norm
        return function(x, x.shape[1:], scale, shift, EPSILON)

    def max(self, x: Any, axis: int) -> Any:
        return self.xp.amax(x, dim=axis)

    def take_rows(self, E: Any, rows: Any) -> Any:
        return self.xp.nn.functional.embedding(rows, E)

    def add_rows(self, E: Any, rows: Any, g: Any) -> Any:
        return E.index_add(0, rows, g)


class TorchCompile(Torch):
    """PyTorch through its compiler."""

    compiles = True

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        # One expression at another size would become a program for any size.
        self.xp.compiler.reset()
        return self.xp.compile(f)
