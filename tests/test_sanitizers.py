"""No generated program reads or writes where it must not, or does what C leaves undefined."""

import pytest

from tests.sanitized import PROGRAM, libraries, run_sanitized

pytestmark = pytest.mark.skipif(
    libraries() is None, reason="gcc with its sanitizers is not here"
)

OUT_OF_BOUNDS = """
import ctypes
from workbench.compile.c.toolchain import build

module = build(
    "#include <stdlib.h>\\n"
    "int wrong(int n) { int *a = malloc(8); int r = a[n]; free(a); return r; }",
    "wrong",
)
module.library.wrong(7)
"""

UNDEFINED = """
from workbench.compile.c.toolchain import build

module = build("int wrong(int n) { return 1 << n; }", "wrong")
module.library.wrong(77)
"""


@pytest.mark.parametrize("program", [OUT_OF_BOUNDS, UNDEFINED])
def test_the_sanitizers_are_awake(program, tmp_path):
    done = run_sanitized(program, [], tmp_path)

    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr or "runtime error" in done.stderr


def test_random_programs_are_clean(tmp_path):
    done = run_sanitized(PROGRAM, ["30000", "30050"], tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.nightly
def test_two_thousand_kernels_are_clean(tmp_path):
    kernels, first = 0, 31000
    while kernels < 2000:
        done = run_sanitized(PROGRAM, [str(first), str(first + 100)], tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        kernels += int(done.stdout)
        first += 100
