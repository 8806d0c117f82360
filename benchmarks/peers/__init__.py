"""The peers by name: how each library is asked for a workload.

A peer has four methods, one a kind of workload; each returns a `Job`. How it compiles
and where its arrays lie is what the library's own documentation advises for one CPU.
A module here imports its library when a peer is made, so that each process holds one.

Read next: :mod:`benchmarks.peers.base` for what a peer is, then
:mod:`benchmarks.peers.arrays`, the one that the others are compared with;
:mod:`benchmarks.serve` for the process it runs in.
"""

from benchmarks.peers.arrays import NumPy
from benchmarks.peers.base import Job, Peer
from benchmarks.peers.jax import Jax
from benchmarks.peers.limit import Limit
from benchmarks.peers.symbolic import (
    PyTensor,
    PyTensorNumba,
    Workbench,
    WorkbenchNumPy,
)
from benchmarks.peers.torch import Torch, TorchCompile, TorchLayer

__all__ = ["LIMIT", "OWN", "PEERS", "Job", "NumPy", "Peer"]

PEERS: dict[str, tuple[type[Peer], str]] = {
    "workbench": (Workbench, "workbench"),
    "workbench-numpy": (WorkbenchNumPy, "workbench"),
    "numpy": (NumPy, "numpy"),
    "pytensor": (PyTensor, "pytensor"),
    "pytensor-numba": (PyTensorNumba, "pytensor"),
    "jax": (Jax, "jax"),
    "torch": (Torch, "torch"),
    "torch-compile": (TorchCompile, "torch"),
    "torch-layer": (TorchLayer, "torch"),
    "limit": (Limit, "numpy"),
}
"""Each peer by name, and the module it needs."""

OWN = "workbench"
"""Whose ratio to the others is asked for; its modes are no peers."""

LIMIT = "limit"
"""Not a library: what the machine needs for what cannot be left out."""
