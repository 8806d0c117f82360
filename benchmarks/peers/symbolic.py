"""Workbench and PyTensor: graphs made of symbols, then compiled by ``function``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.base import Job, Peer, call_of
from benchmarks.rows import Workload


class Workbench(Peer):
    """One C program a function, in the mode FAST_RUN."""

    mode = "FAST_RUN"

    def __init__(self, threads: int = 1) -> None:
        super().__init__(threads)
        import workbench
        import workbench.tensor

        self.library = workbench
        self.xp = workbench.tensor
        self.version = workbench.__version__
        workbench.config.threads = threads  # They share products too.

    def value(self, workload: Workload) -> Job:
        arrays = workload.inputs()
        variables = self._variables(arrays)
        output = workload.expression(self, *variables)
        return call_of(self._function(variables, output), arrays.values())

    def gradient(self, workload: Workload) -> Job:
        arrays = workload.inputs()
        variables = self._variables(arrays)
        output = workload.expression(self, *variables)
        by_name = dict(zip(arrays, variables, strict=True))
        slopes = self.library.grad(output, [by_name[name] for name in workload.wrt])
        return call_of(self._function(variables, [output, *slopes]), arrays.values())

    def update(self, workload: Workload) -> Job:
        ((name, array),) = workload.state().items()
        n = self.library.shared(array, name=name)
        f = self._function([], None, [(n, workload.expression(self, n))])

        def advance() -> list[Any]:
            f()
            return [n.get_value()]

        return Job(advance, "f()", {"f": f})

    def train(self, workload: Workload) -> Job:
        arrays = workload.inputs()
        variables = self._variables(arrays)
        state = [self.library.shared(a, name=n) for n, a in workload.state().items()]
        loss = workload.expression(self, *variables, *state)
        slopes = self.library.grad(loss, state)
        rate = np.float32(workload.rate)
        updates = [(s, s - rate * g) for s, g in zip(state, slopes, strict=True)]
        f = self._function(variables, loss, updates)
        return call_of(f, arrays.values(), after=lambda: [s.get_value() for s in state])

    def _variables(self, arrays: dict[str, Any]) -> list[Any]:
        return [
            self.xp.tensor(a.dtype.name, (None,) * a.ndim, name)
            for name, a in arrays.items()
        ]

    def _function(self, inputs: Any, outputs: Any, updates: Any = None) -> Any:
        return self.library.function(inputs, outputs, updates=updates, mode=self.mode)

    def scan(self, step: Any, sequences: Any, states: Any, others: Any) -> Any:
        stacks, _ = self.library.scan(step, sequences, states, others)
        return stacks

    def repeat(self, step: Any, state: Any, times: Any, *others: Any) -> Any:
        stack, _ = self.library.scan(step, None, state, others, n_steps=times)
        return stack[-1]

    def sigmoid(self, x: Any) -> Any:
        return self.xp.nnet.sigmoid(x)

    def softmax(self, z: Any) -> Any:
        return self.xp.nnet.softmax(z)

    def log_softmax(self, z: Any) -> Any:
        return self.xp.log(self.xp.nnet.softmax(z))

    def conv2d(self, x: Any, w: Any, layer: Any) -> Any:
        return self.xp.nnet.conv2d(x, w, **_sizes(layer))

    def conv2d_images(self, y: Any, w: Any, layer: Any) -> Any:
        by_inputs = self.xp.nnet.conv2d_grad_wrt_inputs
        return by_inputs(y, w, layer.images, layer.filters, **_sizes(layer))

    def conv2d_filters(self, x: Any, y: Any, layer: Any) -> Any:
        by_weights = self.xp.nnet.conv2d_grad_wrt_weights
        return by_weights(x, y, layer.filters, layer.images, **_sizes(layer))

    def max_pool(self, x: Any) -> Any:
        return self.xp.signal.pool.pool_2d(x, (2, 2), ignore_border=True)

    def add_rows(self, E: Any, rows: Any, g: Any) -> Any:
        return self.xp.inc_subtensor(E[rows], g)


def _sizes(layer: Any) -> dict[str, Any]:
    """A layer's sizes by the names that they have here."""
    return {
        "border_mode": layer.pad,
        "subsample": (layer.stride,) * 2,
        "filter_flip": False,
        "filter_dilation": (layer.dilation,) * 2,
        "num_groups": layer.groups,
    }


class WorkbenchNumPy(Workbench):
    """The same graphs run by NumPy: the mode FAST_COMPILE."""

    mode = "FAST_COMPILE"


class PyTensor(Workbench):
    """The nearest relative, with its C linker."""

    mode = "cvm"

    def __init__(self, threads: int = 1) -> None:
        Peer.__init__(self, threads)
        import pytensor
        import pytensor.tensor
        from pytensor.tensor.special import log_softmax, softmax

        self.library = pytensor
        self.xp = pytensor.tensor
        self.version = pytensor.__version__
        self._softmax, self._log_softmax = softmax, log_softmax
        self._configure(pytensor.config)
        sys.setrecursionlimit(1_000_000)  # Its walks over large graphs are recursive.

    def _configure(self, config: Any) -> None:
        """Give it the library of matrix products and the threads that others have."""
        config.floatX = "float32"  # What a float32 divided by an integer is.
        config.openmp = self.threads > 1
        try:
            import scipy_openblas32
        except ImportError:
            return
        folder, name = scipy_openblas32.get_lib_dir(), scipy_openblas32.get_library()
        if not (Path(folder) / f"lib{name}.so").exists():
            return
        config.blas__ldflags = f"-L{folder} -l{name} -Wl,-rpath,{folder}"
        # This library's functions bear a prefix; PyTensor calls them without.
        renamed = " ".join(f"-D{f}_=scipy_{f}_" for f in BLAS)
        config.gcc__cxxflags = f"{config.gcc__cxxflags} {renamed}".strip()

    def _variables(self, arrays: dict[str, Any]) -> list[Any]:
        return [
            self.xp.tensor(name, dtype=a.dtype.name, shape=(None,) * a.ndim)
            for name, a in arrays.items()
        ]

    def _function(self, inputs: Any, outputs: Any, updates: Any = None) -> Any:
        from pytensor.compile.mode import Mode

        mode = "NUMBA" if self.mode == "numba" else Mode(self.mode, "fast_run")
        return self.library.function(inputs, outputs, updates=updates, mode=mode)

    conv2d = Peer.conv2d
    conv2d_images = Peer.conv2d_images
    conv2d_filters = Peer.conv2d_filters
    max_pool = Peer.max_pool

    def sigmoid(self, x: Any) -> Any:
        return self.xp.sigmoid(x)

    def softmax(self, z: Any) -> Any:
        return self._softmax(z, axis=-1)

    def log_softmax(self, z: Any) -> Any:
        return self._log_softmax(z, axis=-1)


class PyTensorNumba(PyTensor):
    """PyTensor through Numba, its newer way."""

    mode = "numba"


BLAS = [
    kind + name
    for kind in "sdcz"
    for name in "gemm gemv ger geru gerc axpy copy dot dotu dotc dotusub scal swap "
    "nrm2 asum rot rotg rotm rotmg symm symv syr syr2 syrk trmm trmv trsm "
    "trsv gbmv sbmv spmv spr spr2 tbmv tbsv tpmv tpsv hemm hemv herk".split()
]
"""Functions whose names PyTensor may declare."""
