"""A text includes the headers it uses something of, and no others."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.headers import HEADERS, headers_digest, includes
from workbench.compile.c.pieces import cut
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

x, k, z = T.dmatrix("x"), T.lmatrix("k"), T.zmatrix("z")
USES = {
    "nothing more": (x, x + 1, []),
    "arithmetic": (k, k // 3, ["arithmetic.h"]),
    "sums": (x, x.sum(), ["lanes.h"]),
    "complex": (z, T.exp(z), ["complexes.h"]),
    "a loop": (x, wb.scan(lambda s: T.tanh(s), x, n_steps=3)[0], ["loop.h"]),
}


@pytest.mark.parametrize("use", USES)
def test_a_program_includes_what_it_uses(use):
    argument, result, names = USES[use]

    source = wb.function([argument], result).source

    found = [line for line in source.splitlines() if line.startswith("#include")]
    assert found == [f'#include "{name}"' for name in ("prelude.h", *names)]


def test_every_header_exists_and_counts_for_the_digest(monkeypatch, tmp_path):
    text = "wb_mod_int64 wb_philox WB_ROW wb_cexp wb_tick"

    names = [line.split('"')[1] for line in includes(text)]

    assert len(names) == 6
    assert all((HEADERS / name).is_file() for name in names)
    assert len(headers_digest()) == 16


def test_a_kernel_compiled_apart_includes_what_it_uses_itself():
    f = wb.function([x, k], [T.tanh(x), k // 3])

    heads = {
        tuple(line for line in piece.file.splitlines() if line.startswith("#include"))
        for piece in cut(f.program.text).pieces
    }

    first = '#include "prelude.h"'
    assert heads == {(first,), (first, '#include "arithmetic.h"')}
    values = f(np.ones((2, 2)), np.full((2, 2), 7))[1]
    np.testing.assert_array_equal(values, 2)
