"""How fast this machine is: bytes a second from memory, operations a second in products.

Nearly all that a compiled program does is limited by one of the two, so they say what
speed can be hoped for: a loop over arrays larger than the caches cannot be faster than
its bytes through `Bandwidth.triad`, nor a matrix product than its flops through
`ProductRate`.

References
----------
McCalpin (1995), Memory bandwidth and machine balance in current high performance
computers: what copy and triad are, and that bytes are counted as the program names them.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from workbench.compile.c.blas import ROUTINES, find_blas
from workbench.compile.c.toolchain import build
from workbench.config import config
from workbench.core.errors import CompileError

__all__ = [
    "Bandwidth",
    "CompileTest",
    "ProductRate",
    "measure_bandwidth",
    "measure_compiling",
    "measure_products",
    "processors",
]

LEAST = 64 << 20  # Bytes of one array, if no cache is known to be larger.
MOST = 256 << 20
SIZE = 1024  # Rows and columns of the product.

STREAM = """
void copy(double *restrict a, const double *restrict b, long n) {
  for (long i = 0; i < n; i++) a[i] = b[i];
}
void triad(double *restrict a, const double *restrict b, const double *restrict c, double s, long n) {
  for (long i = 0; i < n; i++) a[i] = b[i] + s * c[i];
}
"""


@dataclass(frozen=True)
class Bandwidth:
    """Memory bandwidth at a number of threads.

    Attributes
    ----------
    threads
        How many at once.
    copy, triad
        GB/s (1e9 bytes a second) of ``a = b`` and ``a = b + s*c``, float64, counting 16
        and 24 bytes an element. ``triad`` is None where no C compiler is.
    bytes
        Size of one array.
    """

    threads: int
    copy: float
    triad: float | None
    bytes: int


@dataclass(frozen=True)
class ProductRate:
    """GFlop/s of products of two square matrices, at a number of threads."""

    threads: int
    size: int
    float32: float
    float64: float


@dataclass(frozen=True)
class CompileTest:
    """Seconds to compile and load a small C file for the first time, and again."""

    cold: float
    warm: float


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_compiling() -> CompileTest:
    """Compile a small program in a cache of its own, twice.

    Raises
    ------
    CompileError
        If there is no compiler or it fails.
    """
    # What is made there is still loaded when the folder goes.
    with tempfile.TemporaryDirectory(prefix="workbench-doctor-") as folder:
        with config.change(cache_dir=folder):
            cold, warm = (build(STREAM, "doctor") for _ in range(2))
    return CompileTest(cold.seconds, warm.seconds)


def measure_bandwidth(seconds: float = 0.15) -> list[Bandwidth]:
    """Copy and triad, on one thread and on all processors.

    `seconds` are spent on each of them, and more to make the arrays.
    """
    n = _elements()
    a, b, c = (np.full(n, value) for value in (0.0, 1.0, 2.0))
    copy, triad = _kernels(a, b, c)
    found = []
    for threads in sorted({1, processors()}):
        best = [
            None if kernel is None else _best(kernel, n, threads, seconds)
            for kernel in (copy, triad)
        ]
        assert best[0] is not None
        found.append(
            Bandwidth(
                threads,
                16e-9 * n / best[0],
                None if best[1] is None else 24e-9 * n / best[1],
                8 * n,
            )
        )
    return found


def _elements() -> int:
    """Elements of an array that no cache holds, if memory allows."""
    size = min(max(LEAST, 4 * _largest_cache()), MOST)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        free = 8 * LEAST
    return max(1 << 20, min(size, free // 8)) // 8


def _largest_cache() -> int:
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        if text.endswith("K") and text[:-1].isdecimal():
            sizes.append(int(text[:-1]) << 10)
    return max(sizes)


Kernel = Callable[[int, int], object]


def _kernels(a, b, c) -> tuple[Kernel, Kernel | None]:
    """Functions of a range of elements that copy and add; the second needs a compiler."""
    try:
        module = build(STREAM, "doctor")
    except CompileError:
        return (lambda begin, end: np.copyto(a[begin:end], b[begin:end])), None
    pointer, long, double = ctypes.c_void_p, ctypes.c_long, ctypes.c_double
    make = ctypes.CFUNCTYPE
    copy = make(None, pointer, pointer, long)(module.address("copy"))
    triad = make(None, pointer, pointer, pointer, double, long)(module.address("triad"))

    def at(array: np.ndarray, begin: int) -> int:
        return int(array.ctypes.data) + 8 * begin

    def run_copy(begin: int, end: int) -> object:
        return copy(at(a, begin), at(b, begin), end - begin), module

    def run_triad(begin: int, end: int) -> object:
        return triad(at(a, begin), at(b, begin), at(c, begin), 3.0, end - begin), module

    return run_copy, run_triad


def _best(kernel: Kernel, n: int, threads: int, seconds: float) -> float:
    """Seconds of the fastest pass over `n` elements that are shared among threads."""
    bounds = [n * k // threads for k in range(threads + 1)]
    parts = list(pairwise(bounds))
    ready, done = threading.Barrier(threads), threading.Barrier(threads)
    end = time.perf_counter() + seconds
    times: list[float] = []
    going = True

    def work(number: int) -> None:
        nonlocal going
        while going:
            ready.wait()
            start = time.perf_counter()
            kernel(*parts[number])
            done.wait()
            if number == 0:
                now = time.perf_counter()
                times.append(now - start)
                going = len(times) < 3 or now < end
            ready.wait()

    helpers = [threading.Thread(target=work, args=(k,)) for k in range(1, threads)]
    for helper in helpers:
        helper.start()
    work(0)
    for helper in helpers:
        helper.join()
    return min(times)


def measure_products(seconds: float = 0.15) -> list[ProductRate]:
    """Products of two square matrices in the library that compiled programs use.

    `seconds` are spent on each dtype and number of threads. Without such a library NumPy
    computes them, with its own number of threads.
    """
    blas = find_blas()
    if blas is None:
        rates = [_rate(_numpy_product(t), seconds) for t in ("float32", "float64")]
        return [ProductRate(0, SIZE, *rates)]
    found = []
    try:
        for threads in sorted({1, processors()}):
            blas.set_threads(threads)
            rates = [
                _rate(_blas_product(blas, dtype), seconds)
                for dtype in ("float32", "float64")
            ]
            found.append(ProductRate(threads, SIZE, *rates))
    finally:
        blas.set_threads(config.blas_threads)
    return found


def _rate(product: Callable[[], object], seconds: float) -> float:
    """GFlop/s of the fastest call."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return 2e-9 * SIZE**3 / min(times)


def _numpy_product(dtype: str) -> Callable[[], object]:
    a = np.ones((SIZE, SIZE), dtype)
    return lambda: a @ a


def _blas_product(blas, dtype: str) -> Callable[[], object]:
    a = np.ones((SIZE, SIZE), dtype)
    out = np.empty_like(a)
    size = ctypes.c_int32 if blas.integer_bits == 32 else ctypes.c_int64
    number = ctypes.c_float if dtype == "float32" else ctypes.c_double
    pointer, flag = ctypes.c_void_p, ctypes.c_int
    kinds = (flag, flag, flag, size, size, size, number, pointer, size)
    prototype = ctypes.CFUNCTYPE(None, *kinds, pointer, size, number, pointer, size)
    name = "sgemm" if dtype == "float32" else "dgemm"
    gemm = prototype(blas.addresses[ROUTINES.index(name)])
    rows, plain = 101, 111  # CblasRowMajor, CblasNoTrans
    x, y, n = a.ctypes.data, out.ctypes.data, SIZE

    def product() -> object:
        gemm(rows, plain, plain, n, n, n, 1.0, x, n, x, n, 0.0, y, n)
        return a, out

    return product
