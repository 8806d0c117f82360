"""The matrix library: found, bound, and right."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from workbench.compile.c import blas
from workbench.compile.c.toolchain import ABI, build, find_compiler

PROGRAM = """
const int64_t wb_abi = WB_ABI;
typedef int{bits}_t blas_int;
static void *const *table;
void wb_bind(void *const *blas) {{ table = blas; }}
void product(double *a, double *b, double *c, int64_t n) {{
  typedef void routine(int, int, int, blas_int, blas_int, blas_int, double,
                       const double *, blas_int, const double *, blas_int, double,
                       double *, blas_int);
  ((routine *)table[WB_DGEMM])(101, 111, 111, n, n, n, 1, a, n, b, n, 0, c, n);
}}
"""


@pytest.fixture(params=["scipy_openblas32", "numpy"])
def found(request, monkeypatch):
    """The library of one package, as if there were no other."""
    files = blas._files
    monkeypatch.setattr(
        blas,
        "_files",
        lambda package, pattern: (
            files(package, pattern) if package == request.param else []
        ),
    )
    blas._find.cache_clear()
    result = blas.find_blas()
    blas._find.cache_clear()
    if result is None:
        pytest.skip(f"{request.param} has no library")
    return result


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_program_multiplies_matrices(found):
    module = build(ABI.read_text() + PROGRAM.format(bits=found.integer_bits), "f")
    a, b = np.random.default_rng(0).normal(size=(2, 5, 5))
    c = np.empty((5, 5))

    found.bind(module)
    product = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
    product(module.address("product"))(*(m.ctypes.data for m in (a, b, c)), 5)

    np.testing.assert_allclose(c, a @ b, rtol=1e-13)


def test_every_routine_has_an_address(found):
    assert len(set(found.addresses)) == len(blas.ROUTINES) == 10
    assert all(found.addresses)
    assert found.integer_bits in (32, 64)


def test_the_order_is_that_of_the_contract():
    text = ABI.read_text()
    names = text.split("enum wb_blas {")[1].split("}")[0].replace("\n", " ").split(",")

    assert [name.strip() for name in names] == [
        *(f"WB_{routine.upper()}" for routine in blas.ROUTINES),
        "WB_BLAS_COUNT",
    ]


def test_threads_can_be_set(found):
    found.set_threads(2)
    found.set_threads(1)


def test_without_a_library_there_is_none(monkeypatch):
    monkeypatch.setattr(blas, "_files", lambda package, pattern: [])
    blas._find.cache_clear()

    assert blas.find_blas() is None
    blas._find.cache_clear()


def test_a_file_that_is_no_library_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "libscipy_openblas.so").write_text("garbage")
    files = [tmp_path / "libscipy_openblas.so"]
    monkeypatch.setattr(blas, "_files", lambda package, pattern: files)
    blas._find.cache_clear()

    assert blas.find_blas() is None
    blas._find.cache_clear()
