"""Compilers that are missing or broken: the right result from NumPy, and one warning."""

from __future__ import annotations

import re
import warnings

import pytest

import workbench as wb
from tests.compile.crew import Crew
from workbench.compile.c.toolchain import find_compiler, warn_once


@pytest.fixture(scope="module")
def crew(tmp_path_factory):
    with Crew(tmp_path_factory.mktemp("crew")) as crew:
        yield crew


def fake(folder, body):
    """A compiler that tells its version and then does `body`."""
    folder.mkdir(exist_ok=True)
    path = folder / "cc"
    path.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo "fake 1.0"; exit 0; fi\n' + body
    )
    path.chmod(0o755)
    return str(path)


# What it does, and what the one warning says of it.
BROKEN = {
    "exits with 1": (
        'echo "note: hm" >&2; echo "cc1: error: bad day" >&2; exit 1',
        "exit status 1\n  command: .*/cc -O2.*\n  cc1: error: bad day\n",
    ),
    "hangs": (
        "sleep 60 & sleep 60",
        "did not end within 0.4 seconds\n  command: .*/cc -O2",
    ),
    "prints garbage": (
        "head -c 100000 /dev/urandom; exit 2",
        "exit status 2\n  command: .*/cc -O2",
    ),
    "writes no file": ("exit 0", "wrote no library\n  command: .*/cc -O2"),
    "writes garbage": (
        'while [ $# -gt 1 ]; do [ "$1" = -o ] && echo garbage > "$2"; shift; done',
        "cannot be loaded",
    ),
    "is killed": ("kill -9 $$", "killed by SIGKILL\n  command: .*/cc -O2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_compiler_costs_one_warning(crew, tmp_path, name):
    body, message = BROKEN[name]
    cache = tmp_path / "cache"
    flags = {
        "cc": fake(tmp_path / "bin", body),
        "cache_dir": str(cache),
        "compile_timeout": 0.4,
    }

    result = crew.run(programs=[1, 2, 3], config=flags)

    assert result["backends"] == ["numpy"] * 3
    (warning,) = result["warnings"]
    assert warning.startswith("CompilerWarning: ")
    assert re.search(message, warning)
    assert "run on NumPy instead" in warning
    assert list(cache.glob("*/")) == []


@pytest.mark.parametrize("cc", ["", "no-such-compiler"])
def test_a_missing_compiler_costs_one_warning(crew, tmp_path, cc):
    result = crew.run(
        programs=[1, 2, 3],
        config={"cc": cc, "cache_dir": str(tmp_path / "cache")},
        environ={"PATH": str(tmp_path)},
        patch="from workbench.compile.c import toolchain as t\nt.zig_program = lambda: None",
    )

    assert result["backends"] == ["numpy"] * 3
    (warning,) = result["warnings"]
    assert "no C compiler can be used" in warning
    assert "Install one" in warning


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_compiler_that_only_warns_is_used_without_a_word(crew, tmp_path):
    body = f'echo "warning: beware" >&2; exec {find_compiler().path} "$@"'
    flags = {"cc": fake(tmp_path / "bin", body), "cache_dir": str(tmp_path / "cache")}

    result = crew.run(programs=[1, 2, 3], config=flags)

    assert result["backends"] == ["c"] * 3
    assert result["warnings"] == []


@pytest.mark.parametrize("name", ["exits with 1", "writes garbage"])
def test_where_warnings_are_errors_nothing_falls_back(crew, tmp_path, name):
    flags = {
        "cc": fake(tmp_path / "bin", BROKEN[name][0]),
        "cache_dir": str(tmp_path / "cache"),
    }

    task = {"programs": [1], "config": flags, "strict": True}
    result = crew.wait(crew.start(**task))

    assert "CompilerWarning" in result["error"]


def test_a_warning_that_raises_is_raised_each_time():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(wb.CompilerWarning, match="no compiler today"):
                warn_once("no compiler today", kind="test of warnings that raise")
