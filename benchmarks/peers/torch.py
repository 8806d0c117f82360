"""PyTorch, eager and through its compiler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.by_hand import EPSILON
from benchmarks.mathematics import letters_missed, lstm
from benchmarks.peers.base import Job, NotForThisPeerError, Peer, call_of
from benchmarks.rows import Workload


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

    def scan(self, step: Any, sequences: Any, states: Any, others: Any) -> Any:
        made = []
        for rows in zip(*(s.unbind() for s in sequences), strict=True):
            states = step(*rows, *states, *others)
            made.append(states)
        return [self.xp.stack(each) for each in zip(*made, strict=True)]

    def repeat(self, step: Any, state: Any, times: Any, *others: Any) -> Any:
        if int(times) > PATIENT:
            raise NotForThisPeerError(f"{times:,} steps in Python take seconds a call")
        return super().repeat(step, state, times, *others)

    def zeros(self, *sizes: Any) -> Any:
        return self.xp.zeros(sizes)

    def sigmoid(self, x: Any) -> Any:
        return self.xp.sigmoid(x)

    def softmax(self, z: Any) -> Any:
        return self.xp.softmax(z, dim=-1)

    def log_softmax(self, z: Any) -> Any:
        return self.xp.log_softmax(z, dim=-1)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return self.xp.nn.functional.cross_entropy(z, y)

    def layer_norm(self, x: Any, scale: Any, shift: Any) -> Any:
        function = self.xp.nn.functional.layer_norm
        return function(x, x.shape[1:], scale, shift, EPSILON)

    def conv2d(self, x: Any, w: Any, layer: Any) -> Any:
        return self.xp.nn.functional.conv2d(x, w, **_sizes(layer))

    def conv2d_images(self, y: Any, w: Any, layer: Any) -> Any:
        return self.xp.nn.grad.conv2d_input(layer.images, w, y, **_sizes(layer))

    def conv2d_filters(self, x: Any, y: Any, layer: Any) -> Any:
        return self.xp.nn.grad.conv2d_weight(x, layer.filters, y, **_sizes(layer))

    def max_pool(self, x: Any) -> Any:
        return self.xp.nn.functional.max_pool2d(x, 2)

    def max(self, x: Any, axis: int) -> Any:
        return self.xp.amax(x, dim=axis)

    def take_rows(self, E: Any, rows: Any) -> Any:
        return self.xp.nn.functional.embedding(rows, E)

    def add_rows(self, E: Any, rows: Any, g: Any) -> Any:
        return E.index_add(0, rows, g)


def _sizes(layer: Any) -> dict[str, int]:
    """A layer's sizes by the names that they have here."""
    return {
        "stride": layer.stride,
        "padding": layer.pad,
        "dilation": layer.dilation,
        "groups": layer.groups,
    }


PATIENT = 10_000
"""Steps of a loop in Python, of some microseconds each."""


class TorchCompile(Torch):
    """PyTorch through its compiler."""

    compiles = True

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        # One expression at another size would become a program for any size.
        self.xp.compiler.reset()
        return self.xp.compile(f)

    def scan(self, step: Any, sequences: Any, states: Any, others: Any) -> Any:
        """Step by step: a whole loop, which it would unroll, takes minutes to compile."""
        compiler = self.xp.compiler
        stepwise = compiler.disable(super().scan, recursive=False)
        return stepwise(self.xp.compile(step), sequences, states, others)

    def repeat(self, step: Any, state: Any, times: Any, *others: Any) -> Any:
        if int(times) > UNROLLED:
            raise NotForThisPeerError(f"unrolls loops, of {times:,} steps too")
        return super().repeat(step, state, times, *others)


UNROLLED = 100
"""Steps of a loop that are compiled as so many copies of one."""


class TorchLayer(Torch):
    """Eager PyTorch with its own layer of LSTM cells, all gates in one product.

    The layer knows no mask. In sequences padded at their ends the loss, which leaves out
    what is behind an end, is the same without.
    """

    def job(self, workload: Workload) -> Job:
        if workload.expression is not lstm or "W" not in workload.state():
            raise NotForThisPeerError("asked for LSTMs with joined gates alone")
        return super().job(workload)

    def train(self, workload: Workload) -> Job:
        torch, state = self.xp, self._tensors(workload.state())
        k, d = state["V"].shape[0], state["E"].shape[1]
        layer = torch.nn.LSTM(d, k)
        with torch.no_grad():
            layer.weight_ih_l0.copy_(_reordered(state["W"], k).T)
            layer.weight_hh_l0.copy_(_reordered(state["U"], k).T)
            layer.bias_ih_l0.copy_(_reordered(state["b"], k))
            layer.bias_hh_l0.zero_()
        layer.bias_hh_l0.requires_grad_(False)  # Models elsewhere have one bias.
        x, y, mask = self._tensors(workload.inputs()).values()
        E, V, c = (state[name].requires_grad_() for name in "EVc")
        parameters = [E, V, c, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0]

        def step() -> list[Any]:
            h, _ = layer(self.take_rows(E, x))
            loss = letters_missed(self, h @ V + c, y, mask)
            slopes = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for p, g in zip(parameters, slopes, strict=True):
                    p.sub_(g, alpha=workload.rate)
            return [loss.detach()]

        def after() -> list[Any]:
            made = [p.detach() for p in parameters]
            return [
                *made[:3],
                *(_reordered(p.T if p.ndim > 1 else p, k) for p in made[3:]),
            ]

        return Job(step, after=after)


def _reordered(joined: Any, k: int) -> Any:
    """Gates side by side, `k` columns each, with the last two in each other's place."""
    places = [p for gate in (0, 1, 3, 2) for p in range(gate * k, (gate + 1) * k)]
    return joined[..., places]
