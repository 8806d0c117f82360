"""The physical limit: the time of the work that no program can leave out.

Memory traffic, values of exp and tanh, and matrix products, each as fast as this
machine does it with the same threads, measured in the same rounds as the peers, by the C
below. Products take as long as their multiplications and additions in registers, which a
good library's large product comes within 20 % of. Values are computed in blocks that stay
in a core's cache, to a few units of the last place. A row's limit is the longer of its
traffic and its values, plus its products.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.base import Job, NotForThisPeerError, Peer, clock
from benchmarks.rows import Least, Workload

SOURCE = r"""
#include <math.h>
#include <string.h>

#define BLOCK 4096
#define LARGE (1 << 16)   /* Fewer values than this are not worth a second thread. */
#define SHARED _Pragma("omp parallel for simd num_threads(threads)")

void copied(const float *restrict x, float *restrict y, long n, int threads)
{
    SHARED
    for (long i = 0; i < n; i++)
        y[i] = x[i];
}

float summed(const float *restrict x, long n, int threads)
{
    float sum = 0;
    #pragma omp parallel for simd reduction(+:sum) num_threads(threads)
    for (long i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* 2^k times a polynomial, for a whole number k and a rest of at most log(2)/2. */
static inline float exp_of(float x)
{
    float k = rintf(x * 1.44269504f), r = x - k * 0.693147181f, power;
    float p = 1 + r * (1 + r * (0.5f + r * (0.166666667f + r * (0.0416666667f
        + r * (0.00833333333f + r * 0.00138888889f)))));
    int bits = ((int)k + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float tanh_of(float x)
{
    return 1 - 2 / (exp_of(2 * x) + 1);
}

/* Multiplications, each with an addition, in as many chains as keep a core busy. */
#ifdef __AVX512F__
typedef float vector __attribute__((vector_size(64)));
#else
typedef float vector __attribute__((vector_size(32)));
#endif
#define CHAINS 12

void multiplied(long terms, int threads)
{
    long times = terms / (CHAINS * (long)sizeof(vector) / 4 * threads) + 1;
    #pragma omp parallel num_threads(threads)
    {
        vector sum[CHAINS] = {{0}}, x = sum[0] + 0.5f, y = sum[0] + 1;
        __asm__ volatile("" : "+m"(x), "+m"(y));
        vector factor = x, more = y;
        for (long t = 0; t < times; t++)
            _Pragma("GCC unroll 12")
            for (int i = 0; i < CHAINS; i++)
                sum[i] = sum[i] * factor + more;
        __asm__ volatile("" : : "r"(sum) : "memory");
    }
}

#define VALUES(name, f) \
    static void block_of_##name(const float *restrict x, long n) \
    { \
        float y[BLOCK] __attribute__((aligned(64))); \
        for (long i = 0; i < n; i++) \
            y[i] = f(x[i]); \
        __asm__ volatile("" : : "r"(y) : "memory"); \
    } \
    static void once_##name(const float *x, long n, int threads) \
    { \
        long blocks = n / BLOCK; \
        if (n > LARGE) { \
            _Pragma("omp parallel for num_threads(threads)") \
            for (long k = 0; k < blocks; k++) \
                block_of_##name(x, BLOCK); \
        } else { \
            for (long k = 0; k < blocks; k++) \
                block_of_##name(x, BLOCK); \
        } \
        block_of_##name(x, n % BLOCK); \
    } \
    void name(const float *x, long n, int threads, long times) \
    { \
        for (long t = 0; t < times; t++) \
            once_##name(x, n, threads); \
    }

VALUES(exps, exp_of)
VALUES(tanhs, tanh_of)
"""

FLAGS = "-O3 -march=native -ffast-math -mprefer-vector-width=512 -fopenmp -fPIC".split()

Part = Callable[[int], Any]
"""Some of the work, done so many times."""


class Limit(Peer):
    """Asked like a peer, it does each row's `Least`."""

    compiles = False

    def __init__(self, threads: int = 1) -> None:
        super().__init__(threads)
        self.version = "of this machine"
        self.library = built()
        self.block = np.linspace(-3, 3, 4096, dtype="float32")

    def job(self, workload: Workload) -> Job:
        if workload.least is None:
            raise NotForThisPeerError("no physical limit is known")
        return LimitJob(self.parts(workload.least))

    def parts(self, least: Least) -> list[list[Part]]:
        """What runs side by side, as lists of functions; the lists run in turn."""
        c, threads = self.library, self.threads
        together: list[Part] = []
        if least.read or least.written:
            n = max(least.read, least.written)
            source, target = np.ones(n, "float32"), np.ones(least.written, "float32")
            rest = source[least.written :]

            def pass_memory(number: int) -> None:
                for _ in range(number):
                    c.copied(source.ctypes, target.ctypes, least.written, threads)
                    c.summed(rest.ctypes, rest.size, threads)

            together.append(pass_memory)
        if least.exp or least.tanh:
            x = self.block.ctypes

            def compute_values(number: int) -> None:
                c.exps(x, least.exp, threads, number)
                c.tanhs(x, least.tanh, threads, number)

            together.append(compute_values)
        terms = sum(m * k * n for m, k, n in least.products)
        if not terms:
            return [together]
        return [together, [lambda number: c.multiplied(number * terms, threads)]]


class LimitJob(Job):
    """Times each part by itself."""

    def __init__(self, parts: list[list[Part]]) -> None:
        super().__init__(lambda: [f(1) for fs in parts for f in fs])
        self.parts = parts

    def seconds(self, number: int) -> float:
        return sum(max(_mean(f, number) for f in fs) for fs in self.parts if fs)


def _mean(part: Part, number: int) -> float:
    start = clock()
    part(number)
    return (clock() - start) / number


def built() -> ctypes.CDLL:
    """The functions of `SOURCE`.

    Raises
    ------
    NotForThisPeerError
        There is no C compiler.
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotForThisPeerError("no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        source, made, library = (Path(folder) / f"limit.{s}" for s in ("c", "o", "so"))
        source.write_text(SOURCE, encoding="utf-8")
        compiling = [compiler, *FLAGS, "-c", str(source), "-o", str(made)]
        # Linked without -ffast-math, which would flush subnormal numbers to zero.
        linking = [
            compiler,
            "-shared",
            "-fopenmp",
            str(made),
            "-o",
            str(library),
            "-lm",
        ]
        try:
            for command in (compiling, linking):
                subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotForThisPeerError(f"the C compiler failed: {error}") from None
        loaded = ctypes.CDLL(str(library))
    long, threads, floats = ctypes.c_long, ctypes.c_int, ctypes.c_void_p
    loaded.copied.argtypes = [floats, floats, long, threads]
    loaded.summed.argtypes = [floats, long, threads]
    loaded.multiplied.argtypes = [long, threads]
    loaded.exps.argtypes = loaded.tanhs.argtypes = [floats, long, threads, long]
    return loaded
