"""What loading a compiled program must leave as it was: the process around it."""

from __future__ import annotations

import ctypes
import locale
import os
import platform
import signal

import numpy as np
import pytest

import workbench as wb
from tests.op_cases import CASES
from workbench.compile.c.toolchain import build, find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

# The registers that say how numbers are rounded, and whether subnormal ones are zero.
PROBE = """
unsigned sse(void) { unsigned x = 0; %s return x; }
unsigned x87(void) { unsigned short x = 0; %s return x; }
"""


@pytest.fixture(scope="module")
def registers():
    on_intel = platform.machine() in ("x86_64", "AMD64")
    lines = ('__asm__("stmxcsr %0" : "=m"(x));', '__asm__("fnstcw %0" : "=m"(x));')
    module = build(PROBE % (lines if on_intel else ("", "")), "probe")
    functions = [
        ctypes.CFUNCTYPE(ctypes.c_uint)(module.address(n)) for n in ("sse", "x87")
    ]
    # The lowest bits of the first say what has happened, not what will.
    return lambda: (functions[0]() & ~0x3F, functions[1](), module)[:2]


@pytest.fixture
def state(registers):
    def now():
        mask = os.umask(0)
        os.umask(mask)
        return {
            "registers": registers(),
            "subnormal": (np.array([1e-310]) * 0.5)[0] == 5e-311,
            "float": np.array([1e-40], "float32")[0] * np.float32(0.5) > 0,
            "rounding": 1.0 + 2.0**-53 == 1.0 and 1.0 - 2.0**-54 == 1.0,
            "locale": (locale.localeconv(), locale.setlocale(locale.LC_ALL)),
            "handlers": [signal.getsignal(n) for n in signal.valid_signals()],
            "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, []),
            "folder": os.getcwd(),
            "mask": mask,
            "environment": dict(os.environ),
        }

    return now


def test_the_probe_sees_a_change(registers):
    """The mode that -ffast-math leaves behind."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("knows the registers of x86-64")
    source = (
        'unsigned set(unsigned x) { __asm__("ldmxcsr %0" : : "m"(x)); return x; }\n'
    )
    module = build(source, "set")
    setter = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_uint)(module.address("set"))
    before = registers()[0]

    setter(before | 0x8040)
    try:
        assert registers()[0] != before
        assert (np.array([1e-310]) * 0.5)[0] == 0.0
    finally:
        setter(before)
    assert registers()[0] == before


QUICK = CASES[:: max(1, len(CASES) // 12)]


@pytest.mark.parametrize(
    "cases", [QUICK, pytest.param(CASES, marks=pytest.mark.nightly)], ids=["few", "all"]
)
def test_loading_and_calling_leave_the_process_as_it_was(state, cases):
    before = state()
    changed = []

    for case in cases:
        rng = np.random.default_rng(0)
        for dtype in case.dtypes[:1]:
            arrays = case.inputs(rng, dtype, case.shapes[0])
            variables = case.variables(arrays)
            f = wb.function(variables, case.build(*variables), on_unused_input="ignore")
            loaded = state()
            f(*arrays)
            if loaded != before or state() != before:
                changed.append(case.name)

    assert changed == []


@pytest.mark.parametrize("case", [signal.SIGINT, signal.SIGFPE, signal.SIGSEGV])
def test_a_handler_of_the_users_stays(case):
    def mine(*_):
        pass

    previous = signal.signal(case, mine)
    try:
        x = wb.tensor.vector("x")
        wb.function([x], x * 3.25 + float(case))([1.0])

        assert signal.getsignal(case) is mine
    finally:
        signal.signal(case, previous)
