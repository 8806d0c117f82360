"""Compilers other than gcc: the package ``ziglang``, and clang, where they are installed."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c import toolchain, zig
from workbench.compile.c.toolchain import build, find_compiler
from workbench.config import config

REAL = find_compiler()
needs_compiler = pytest.mark.skipif(REAL is None, reason="needs a C compiler")
VERSION = "clang version 22.1.8\\nTarget: x86_64-unknown-linux-gnu"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``ziglang`` whose program passes on to the real compiler what it is given."""
    folder = tmp_path / "site" / "ziglang"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('it has been imported')")
    program = folder / "zig"
    program.write_text(
        '#!/bin/sh\n[ "$1" = cc ] || exit 9\nshift\n'
        f'if [ "$1" = --version ]; then printf "{VERSION}\\n"; exit 0; fi\n'
        'mkdir -p "$ZIG_LOCAL_CACHE_DIR/o"; echo x > "$ZIG_LOCAL_CACHE_DIR/o/y"\n'
        f'PATH="{os.environ["PATH"]}"\n'
        "for each; do\n  shift\n"
        '  case "$each" in -fveclib=*) ;; *) set -- "$@" "$each" ;; esac\ndone\n'
        f'exec {REAL and REAL.path} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    sys.path_importer_cache.pop(str(tmp_path / "site"), None)
    toolchain._search.cache_clear()
    yield program
    toolchain._search.cache_clear()


@pytest.fixture
def nothing_on_path(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mkdir").symlink_to(shutil.which("mkdir"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


# The search


def test_the_package_is_found_without_importing_it(package):
    assert zig.zig_program() == str(package)
    assert "ziglang" not in sys.modules


def test_without_the_package_there_is_no_program(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    assert zig.zig_program() is None


def test_it_is_the_last_that_is_asked(package, nothing_on_path, tmp_path):
    assert find_compiler().path == str(package)

    cc = tmp_path / "bin" / "clang"
    cc.write_text("#!/bin/sh\necho clang version 14\n")
    cc.chmod(0o755)
    toolchain._search.cache_clear()

    assert find_compiler().path == str(cc)


def test_its_compiler_is_a_subcommand(package, nothing_on_path):
    compiler = find_compiler()

    assert compiler.flags[:2] == ("cc", "-O2")
    assert "-fno-sanitize=undefined" in compiler.flags
    assert compiler.version.startswith("clang version 22")


def test_it_can_be_chosen_by_name(package):
    with config.change(cc=str(package)):
        assert find_compiler().flags[0] == "cc"


def test_it_is_told_where_vector_functions_are(package, nothing_on_path, monkeypatch):
    monkeypatch.setattr(toolchain, "vector_library", lambda: "/x/libmvec.so.1")
    assert find_compiler().libraries == ("-lm", "/x/libmvec.so.1")

    toolchain._search.cache_clear()
    monkeypatch.setattr(toolchain, "vector_library", lambda: None)
    assert find_compiler().libraries == ("-lm",)


@pytest.mark.parametrize(
    "version, library, expected",
    [
        ("Debian clang version 14.0.6", "/x", ("-fveclib=libmvec",)),
        ("clang version 12.0.0", "/x", ("-fveclib=libmvec",)),
        ("clang version 11.1.0", "/x", ()),
        ("clang version 22.1.8", None, ()),
        ("Apple clang version 15.0.0", None, ()),
        ("clang", "/x", ()),
    ],
)
def test_clang_calls_vector_functions_where_it_can(
    monkeypatch, version, library, expected
):
    monkeypatch.setattr(zig, "vector_library", lambda: library)

    assert zig.clang_vector_flags(version) == expected


@needs_compiler
def test_what_it_leaves_beside_the_program_is_removed(package, nothing_on_path):
    module = build("int other(void) { return 1; }\n", "f")

    assert module.command[:2] == [str(package), "cc"]
    names = {file.name for file in module.path.parent.iterdir()}
    assert zig.SCRATCH not in names
    assert build("int other(void) { return 1; }\n", "f").hit


# Where they are installed: the text that is made is for all of them


def installed():
    found = {"clang": shutil.which("clang"), "zig": zig.zig_program()}
    found["clang"] = found["clang"] or shutil.which("clang-19")
    return [
        pytest.param(
            path,
            id=name,
            marks=[] if path else pytest.mark.skip(reason=f"needs {name}"),
        )
        for name, path in found.items()
    ]


def sample():
    """Programs of every kind: loops, rows, products, gathers, random numbers, half floats."""
    x, h = T.matrix("x"), T.tensor("float16", (None, None), "h")
    i = T.lvector("i")
    rng = wb.tensor.random.RandomStreams(7)
    return [x, h, i], [
        T.tanh(x) + T.exp(-x) * T.sin(x) ** 2 + T.log1p(x * x),
        T.softmax(x, axis=1),
        x @ x.T,
        x[i].sum(axis=0),
        T.zeros_like(x)[i].inc(x[i]),
        (x > 0).any(axis=1),
        T.maximum(x, 0.5).max(axis=0),
        h * 2 + 1,
        T.cumsum(x, axis=1),
        (i // 3, i % 5, i << 2)[1],
        rng.normal((3, 4)),
    ]


@pytest.mark.parametrize("cc", installed())
def test_programs_mean_the_same(cc):
    values = np.random.default_rng(1).normal(size=(9, 17))
    given = [values, values.astype("float16"), np.array([3, 1, 3, 8])]
    inputs, outputs = sample()
    expected = wb.function(inputs, outputs, mode="None")(*given)

    inputs, outputs = sample()
    with config.change(cc=cc):
        f = wb.function(inputs, outputs)
        got = f(*given)

    assert f.compilation.backend == "c"
    assert f.compilation.command[0] == cc
    for have, want in zip(got, expected, strict=True):
        assert have.dtype == want.dtype
        np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-13)
