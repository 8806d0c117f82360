"""Compiling and loading: with a real compiler, and with several that misbehave."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from workbench.compile.c import toolchain
from workbench.compile.c.toolchain import (
    CompilerMissing,
    build,
    cpu_features,
    find_compiler,
    warn_once,
)
from workbench.compile.cache import Cache
from workbench.config import config
from workbench.core.errors import CompileError, CompilerWarning

needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="needs a C compiler"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path):
    with config.change(cache_dir=str(tmp_path / "cache")):
        yield


def answer(module):
    return ctypes.CFUNCTYPE(ctypes.c_int)(module.address("answer"))()


SOURCE = "int answer(void) { return 42; }\n"


@needs_compiler
def test_c_text_becomes_a_function():
    module = build(SOURCE, "f")

    assert answer(module) == 42
    assert not module.hit
    assert module.seconds > 0
    assert module.path.with_name("program.c").read_text() == SOURCE == module.source
    assert module.command[0] == find_compiler().path


@needs_compiler
def test_the_second_time_it_is_found():
    first, second = build(SOURCE, "f"), build(SOURCE, "another name")

    assert second.hit
    assert answer(second) == answer(first) == 42


@needs_compiler
def test_a_missing_symbol_is_named():
    with pytest.raises(CompileError, match="'f' exports no 'question'"):
        build(SOURCE, "f").address("question")


@needs_compiler
def test_an_error_names_command_status_and_line():
    with pytest.raises(CompileError) as caught:
        build("int answer(void) { return x; }", "f")

    lines = str(caught.value).splitlines()
    assert lines[0] == "the C compiler failed: exit status 1"
    assert lines[1].startswith(f"  command: {find_compiler().path} -O2 ")
    assert lines[2].startswith("  program.c:1:27: error: ")


@needs_compiler
def test_a_library_is_unloaded_with_its_module():
    module = build(SOURCE, "f")
    path = str(module.path)
    assert path in Path("/proc/self/maps").read_text()

    del module
    gc.collect()

    assert path not in Path("/proc/self/maps").read_text()


@needs_compiler
def test_a_damaged_library_is_compiled_again():
    path = build(SOURCE, "f").path
    path.write_bytes(path.read_bytes()[:1000])

    module = build(SOURCE, "f")

    assert not module.hit
    assert answer(module) == 42


@needs_compiler
def test_a_library_that_does_not_load_is_compiled_again(monkeypatch):
    """A sound entry whose library needs something that has gone since."""
    real, calls = ctypes.CDLL, []

    def load(path, *rest):
        calls.append(path)
        if len(calls) == 2:
            raise OSError("libgone.so: cannot open")
        return real(path, *rest)

    monkeypatch.setattr(ctypes, "CDLL", load)
    build(SOURCE, "f")

    assert not build(SOURCE, "f").hit
    assert len(calls) == 3


@needs_compiler
def test_what_others_remove_and_put_back_is_left_to_them(monkeypatch):
    """Where there are no locks, several take an entry of the others for a damaged one."""
    real, calls = ctypes.CDLL, []

    def load(path, *rest):
        calls.append(path)
        if len(calls) <= 5:
            shutil.rmtree(Path(path).parent)
        return real(path, *rest)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(Cache, "discard", lambda *_: pytest.fail("removes a new one"))

    assert answer(build(SOURCE, "f")) == 42
    assert len(calls) == 6


@needs_compiler
@pytest.mark.parametrize(
    "name", ["a b", "a:b", "a'b\"c", "größe", "-o", "@x", "x" * 220]
)
def test_odd_cache_paths_serve(tmp_path, name):
    with config.change(cache_dir=str(tmp_path / name)):
        assert answer(build(SOURCE, "f")) == 42


@needs_compiler
def test_the_key_holds_all_that_matters(monkeypatch):
    def key():
        compiler = find_compiler()
        command = [compiler.path, *compiler.flags, *config.cflags]
        return toolchain.key_of(compiler, command, SOURCE)

    base = key()
    assert key() == base
    with config.change(cflags="-O1"):
        assert key() != base
    with config.change(cc="gcc" if "gcc" not in find_compiler().path else "cc"):
        assert key() != base
    stripped = (*(f for f in cpu_features() if f != "avx2"), "x")
    monkeypatch.setattr(toolchain, "cpu_features", lambda: stripped)
    assert key() != base


@needs_compiler
def test_the_key_is_the_same_in_every_process():
    script = (
        "from workbench.compile.c import toolchain as t; import hashlib\n"
        "c = t.find_compiler()\n"
        "print(hashlib.sha256(t.key_of(c, [*c.flags], 'x').encode()).hexdigest())"
    )
    keys = {
        subprocess.check_output(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        for seed in range(2)
    }

    assert len(keys) == 1


@needs_compiler
def test_flags_keep_the_rules_of_floating_point():
    flags = find_compiler().flags

    assert not {"-ffast-math", "-Ofast", "-funsafe-math-optimizations"} & set(flags)
    assert "-ffp-contract=off" in flags
    tiny = np.array([1e-310])
    build("float twice(float x) { return 2 * x; }", "f")
    assert (tiny * 0.5)[0] == 5e-311


@needs_compiler
def test_users_flags_are_last():
    with config.change(cflags="-O1 -Wall"):
        command = build(SOURCE, "f").command

    assert command.index("-O1") > command.index("-O2")


@pytest.mark.parametrize(
    "version, expected, missing",
    [
        (
            "gcc 12 Free Software Foundation",
            "-fvect-cost-model=dynamic",
            "-mcpu=native",
        ),
        ("Debian clang version 14", "-fwrapv", "-fvect-cost-model=dynamic"),
        ("tcc version 0.9", "-O2", "-march=native"),
    ],
)
def test_each_compiler_gets_flags_it_knows(version, expected, missing):
    flags = toolchain._flags(version)

    assert expected in flags
    assert missing not in flags
    assert "-shared" in flags


# Compilers that misbehave

FAKES = {
    "exits": ('echo "cc1: error: out of order" >&2; exit 3', "exit status 3"),
    "hangs": ("sleep 60 & sleep 60", "did not end within 0.5 seconds"),
    "is killed": ("kill -9 $$", "killed by SIGKILL"),
    "writes nothing": ("exit 0", "wrote no library"),
    "writes an empty file": (": > program.so", "wrote no library"),
    "writes garbage": ("echo garbage > program.so; echo garbage", "cannot be loaded"),
}


def fake(folder, body, version="fake 1.0"):
    """A compiler that tells its version and then does `body`."""
    folder.mkdir(exist_ok=True)
    path = folder / "cc"
    path.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then\n'
        f'echo "{version}"; exit 0; fi\n{body}\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("name", FAKES)
def test_a_broken_compiler_is_a_clear_error(tmp_path, name):
    body, message = FAKES[name]
    begun = time.monotonic()

    with config.change(cc=fake(tmp_path / "bin", body), compile_timeout=0.5):
        for _ in range(2):
            with pytest.raises(CompileError, match=message) as caught:
                build(SOURCE, "f")

    assert time.monotonic() - begun < 5
    assert name == "writes garbage" or "command: " in str(caught.value)
    assert name != "exits" or "cc1: error: out of order" in str(caught.value)
    assert list((tmp_path / "cache").glob("*/")) == []


@needs_compiler
def test_a_compiler_that_only_warns_is_used(tmp_path):
    body = f'echo "warning: beware" >&2; exec {find_compiler().path} "$@"'

    with config.change(cc=fake(tmp_path / "bin", body)):
        assert answer(build(SOURCE, "f")) == 42


def test_a_full_disk_is_told_from_a_bad_program(tmp_path):
    body = 'echo "fatal error: No space left on device" >&2; exit 1'

    with (
        config.change(cc=fake(tmp_path / "bin", body)),
        pytest.warns(CompilerWarning, match="No space left"),
        pytest.raises(CompileError, match="cannot store"),
    ):
        build(SOURCE, "f")


def test_control_codes_of_a_compiler_are_not_repeated(tmp_path):
    with (
        config.change(
            cc=fake(tmp_path / "bin", 'printf "error: \\033[31mred"; exit 1')
        ),
        pytest.raises(CompileError) as caught,
    ):
        build(SOURCE, "f")

    assert "\033" not in str(caught.value)


@needs_compiler
def test_an_interrupt_ends_the_compiler(tmp_path):
    body = f"echo $$ > {tmp_path}/pid; sleep 60"
    script = (
        "import signal\n"
        "from workbench.compile.c.toolchain import build\n"
        "from workbench.config import config\n"
        # A shell that runs the tests in the background makes its children ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"config.cc = {fake(tmp_path / 'bin', body)!r}\n"
        f"config.cache_dir = {str(tmp_path)!r}\n"
        "build('int x;', 'f')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    for _ in range(1000):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
            break
        time.sleep(0.01)
    time.sleep(0.2)  # Its start itself cannot be interrupted cleanly.
    process.send_signal(signal.SIGINT)

    try:
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.wait()
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or ") Z " in state.read_text():
            break
        time.sleep(0.01)
    else:
        pytest.fail("the compiler still runs")
    assert not list(tmp_path.glob("tmp-*"))


def test_without_a_compiler_all_attempts_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_compiler() is None
    with pytest.raises(CompilerMissing) as caught:
        build(SOURCE, "f")

    assert isinstance(caught.value, CompileError)
    for text in ("cc: not found", "gcc: not found", "clang: not found", "Install one"):
        assert text in str(caught.value)


def test_a_compiler_without_a_version_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)
    Path(fake(tmp_path / "other", "")).rename(tmp_path / "gcc")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    assert find_compiler().path == str(tmp_path / "gcc")
    assert find_compiler().version.strip() == "fake 1.0"


@pytest.mark.parametrize("content", ["#!/no/such/shell\n", "\x7fELF garbage"])
def test_a_compiler_that_cannot_start_is_told(tmp_path, content):
    path = tmp_path / "mycc"
    path.write_text(content)
    path.chmod(0o755)

    with (
        config.change(cc=str(path)),
        pytest.raises(CompilerMissing, match="cannot be started"),
    ):
        build(SOURCE, "f")


def test_a_chosen_compiler_has_no_substitute():
    with (
        config.change(cc="no-such-cc"),
        pytest.raises(CompilerMissing, match="config.cc is 'no-such-cc'"),
    ):
        build(SOURCE, "f")


# Warnings


def test_a_warning_is_given_once():
    with pytest.warns(CompilerWarning) as caught:
        for number in range(3):
            warn_once(f"message {number}", kind="test_a_warning_is_given_once")
        warn_once("another kind of test_a_warning_is_given_once")

    assert [str(w.message)[:9] for w in caught] == ["message 0", "another k"]


@needs_compiler
def test_a_load_leaves_the_process_as_it_was():
    import locale

    state = (signal.getsignal(signal.SIGINT), locale.localeconv())

    build("#include <math.h>\ndouble f(double x) { return exp(x); }", "f")

    assert (signal.getsignal(signal.SIGINT), locale.localeconv()) == state
    assert 5e-324 / 1.0 == 5e-324
