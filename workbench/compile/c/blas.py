"""Matrix products of a library, handed to compiled programs as addresses.

A program links no BLAS: it has a table of function pointers that `Blas.bind` fills
after loading. So it compiles without headers or libraries, and the same text runs
wherever one is found. The first choice is the package ``scipy-openblas32`` (32-bit
sizes); the second is the library inside NumPy (64-bit sizes), a private file that may
go with any release.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from workbench.compile.c.toolchain import Module
from workbench.config import config

__all__ = ["ROUTINES", "Blas", "find_blas"]

# In the order of `enum wb_blas` in abi.h.
ROUTINES = (
    *("sgemm", "dgemm", "sgemv", "dgemv", "sdot", "ddot", "sger", "dger"),
    *("cgemm", "zgemm"),
)


@dataclass(frozen=True, eq=False)
class Blas:
    """A library of matrix products in this process.

    Attributes
    ----------
    name
        The file it was loaded from.
    integer_bits
        Width of its sizes, 32 or 64: what the program must declare them as.
    addresses
        The routines `ROUTINES`, with the C interface (CBLAS).
    """

    name: str
    integer_bits: int
    addresses: tuple[int, ...]
    table: ctypes.Array[ctypes.c_void_p] = field(repr=False)
    setter: int = field(repr=False)

    def bind(self, module: Module) -> None:
        """Give a program the addresses; it may keep the table, which stays."""
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(module.address("wb_bind"))(self.table)

    def set_threads(self, threads: int) -> None:
        """Let a product use so many threads.

        More than one pays for large products on idle cores only: the threads wait by
        spinning, and on busy cores a product of 0.4 ms was seen to take 22 ms.
        """
        ctypes.CFUNCTYPE(None, ctypes.c_int)(self.setter)(threads)


def find_blas() -> Blas | None:
    """The library in use, at ``config.blas_threads`` threads; ``None`` without one.

    If it is the one inside NumPy, NumPy's own products get so many threads too.
    """
    found = _find()
    if found is not None:
        found.set_threads(config.blas_threads)
    return found


@cache
def _find() -> Blas | None:
    for package, pattern, suffix, bits in (
        ("scipy_openblas32", "lib/libscipy_openblas.*", "", 32),
        ("numpy", "../numpy.libs/libscipy_openblas64_*", "64_", 64),
        ("numpy", ".dylibs/libscipy_openblas64_*", "64_", 64),
    ):
        for path in _files(package, pattern):
            try:
                return _load(path, suffix, bits)
            except (OSError, AttributeError):
                continue  # Not a library for this machine, or without these routines.
    return None


def _files(package: str, pattern: str) -> list[Path]:
    """Files of an installed package, found without importing it."""
    spec = find_spec(package)
    places = [] if spec is None else spec.submodule_search_locations or []
    return sorted(file for place in places for file in Path(place).glob(pattern))


def _load(path: Path, suffix: str, bits: int) -> Blas:
    with _considerate():
        library = ctypes.CDLL(str(path))
    names = [f"scipy_cblas_{routine}{suffix}" for routine in ROUTINES]
    addresses = [_address(library, name) for name in names]
    setter = _address(library, f"scipy_openblas_set_num_threads{suffix}")
    table = (ctypes.c_void_p * len(ROUTINES))(*addresses)
    return Blas(str(path), bits, tuple(addresses), table, setter)


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


@contextmanager
def _considerate() -> Iterator[None]:
    """Have OpenBLAS, when it is loaded, start no threads; and those it starts later sleep soon.

    After a product they would wait for the next one for some 30 ms, awake, and take the processors
    from the threads that share loops: a training step of LeNet took twice as long on two.
    The timeout is a power of two, in cycles.
    """
    told = {"OPENBLAS_NUM_THREADS": "1"}
    told["OPENBLAS_THREAD_TIMEOUT"] = os.environ.get("OPENBLAS_THREAD_TIMEOUT", "16")
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
