"""From C text to a loaded library: finds a compiler, runs it, keeps what it made.

The compiler is run as a list of words, never through a shell, in the folder of the
cache entry it fills, with relative file names; so no path and no name of the user's
reaches the command. What it made is loaded into this process and found again by the
text of everything that matters (`_key`). Read `workbench.compile.cache` for how it is
kept, and ``abi.h`` for what a program exports.

The flags give most of -O3's speed in half its time. They let the compiler forget
``errno`` and traps, but keep every rule of floating-point values: never
``-ffast-math``, which also switches off subnormal numbers for the whole process when
such a library is loaded.
"""

from __future__ import annotations

import _ctypes
import ctypes
import errno
import os
import platform
import shutil
import signal
import subprocess
import time
import warnings
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from workbench.compile.cache import default_cache
from workbench.config import config
from workbench.core.errors import CompileError, CompilerWarning

__all__ = [
    "Compiler",
    "CompilerMissing",
    "Module",
    "build",
    "cpu_features",
    "find_compiler",
    "warn_once",
]

ABI = Path(__file__).with_name("abi.h")
KEY_FORMAT = 1  # Counts changes of how a program is built that the key does not show.

COMMON_FLAGS = (
    "-O2",
    "-ftree-vectorize",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fwrapv",
    "-fPIC",
    "-shared",
)


class CompilerMissing(CompileError):
    """There is no C compiler to run."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler that answered when asked for its version.

    Attributes
    ----------
    path
        The program, an absolute path.
    version
        All it prints about its version.
    flags
        What it is called with, before the user's own ``config.cflags``.
    """

    path: str
    version: str
    flags: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Module:
    """A compiled library in this process; unloaded when nobody refers to it.

    Attributes
    ----------
    name
        What the user calls it.
    path
        The library. The C text lies beside it as ``program.c``.
    source
        The C text.
    command
        How it was compiled, word by word, in the library's folder.
    seconds
        Time it took to compile, or to find and check.
    hit
        Whether it was found in the cache.
    """

    name: str
    path: Path
    source: str = field(repr=False)
    command: list[str] = field(repr=False)
    seconds: float
    hit: bool
    library: ctypes.CDLL = field(repr=False)

    def address(self, symbol: str) -> int:
        """The address of an exported function or constant.

        Raises
        ------
        CompileError
            If the library exports no such symbol.
        """
        try:
            found = ctypes.c_char.in_dll(self.library, symbol)
        except ValueError:
            raise CompileError(
                f"the program {self.name!r} exports no {symbol!r}"
            ) from None
        return ctypes.addressof(found)


def build(source: str, name: str, *, include: Sequence[Path] = ()) -> Module:
    """Compile C text, or find it compiled, and load it.

    Parameters
    ----------
    source
        One complete C file.
    name
        For messages only.
    include
        Folders to search for headers. Their content is not part of the key: `source`
        must tell their versions.

    Raises
    ------
    CompilerMissing
        If there is no compiler.
    CompileError
        If it fails, takes longer than ``config.compile_timeout`` or makes no library.
    """
    start = time.perf_counter()
    compiler, reason = _search(config.cc, os.environ.get("PATH", ""))
    if compiler is None:
        raise CompilerMissing(reason)
    command = [compiler.path, *compiler.flags, *config.cflags]
    command += [f"-I{folder}" for folder in include]
    command += ["-o", "program.so", "program.c", "-lm"]

    def fill(folder: Path) -> None:
        (folder / "program.c").write_text(source, encoding="utf-8")
        _compile(command, folder)

    kept = default_cache()
    key = _key(compiler, command, source)
    for last in (False, True):
        try:
            entry = kept.fetch(key, fill)
        except OSError as error:
            raise CompileError(
                f"cannot store the compiled {name!r}: {error}"
            ) from error
        try:
            library = ctypes.CDLL(str(entry.path / "program.so"))
        except OSError as error:
            kept.discard(entry)
            if last or not entry.hit:
                raise CompileError(_not_loaded(name, error)) from error
        else:
            break
    seconds = time.perf_counter() - start
    path = entry.path / "program.so"
    module = Module(name, path, source, command, seconds, entry.hit, library)
    # At exit the process goes anyway, and threads may still be in the library.
    weakref.finalize(module, _ctypes.dlclose, library._handle).atexit = False
    return module


def _key(compiler: Compiler, command: list[str], source: str) -> str:
    """All that decides what the library is and whether this machine can run it."""
    facts = {
        "key format": KEY_FORMAT,
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": " ".join(cpu_features()),
        "compiler": compiler.version,
        "command": "\n".join(command),
        "abi.h": ABI.read_text(encoding="utf-8"),
        "source": source,
    }
    return "\n\n".join(f"{name}:\n{text}" for name, text in facts.items())


def _not_loaded(name: str, error: OSError) -> str:
    return (
        f"the compiled {name!r} cannot be loaded: {_printable(str(error))}\n"
        "  If the folder forbids running programs, set config.cache_dir to another."
    )


# The compiler


def find_compiler() -> Compiler | None:
    """The compiler in use: ``config.cc``, or the first of cc, gcc, clang to answer."""
    return _search(config.cc, os.environ.get("PATH", ""))[0]


@cache
def _search(chosen: str, path: str) -> tuple[Compiler | None, str]:
    """A compiler, or why there is none."""
    tried = []
    for name in (chosen,) if chosen else ("cc", "gcc", "clang"):
        program = shutil.which(name, path=path)
        if program is None:
            tried.append(f"{name}: not found")
            continue
        program = os.path.abspath(program)
        try:
            text = _run([program, "--version"], None, min(10.0, config.compile_timeout))
        except CompileError as error:
            tried.append(f"{name}: {error}")
            continue
        return Compiler(program, text, _flags(text)), ""
    where = f"config.cc is {chosen!r}" if chosen else "there is none on PATH"
    return None, "\n  ".join(
        [
            f"no C compiler can be used ({where}).",
            *tried,
            "Install one (apt install gcc, conda install gxx), or set config.cc.",
        ]
    )


def _flags(version: str) -> tuple[str, ...]:
    """The flags that a compiler with this version text takes."""
    native = ("-march=native",)
    wide = ("-mprefer-vector-width=512",) if "avx512f" in cpu_features() else ()
    if "clang" in version.lower():
        on_intel = platform.machine() in ("x86_64", "AMD64")
        return (*COMMON_FLAGS, *(native if on_intel else ("-mcpu=native",)), *wide)
    if "Free Software Foundation" in version:
        return (*COMMON_FLAGS, "-fvect-cost-model=dynamic", *native, *wide)
    return ("-O2", "-fPIC", "-shared")


@cache
def cpu_features() -> tuple[str, ...]:
    """What the processor can do, in the system's own words."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):  # Intel and ARM spelling.
                    return tuple(sorted(set(value.split())))
    except OSError:
        pass
    return (platform.processor(),)


def _compile(command: list[str], folder: Path) -> None:
    _run(command, folder, config.compile_timeout)
    library = folder / "program.so"
    if not library.is_file() or library.stat().st_size == 0:
        raise CompileError(_failed(command, "it ended well but wrote no library", ""))


def _run(command: list[str], folder: Path | None, seconds: float) -> str:
    """Run a program to its end and return what it printed.

    Raises
    ------
    CompileError
        If it cannot be started, does not end in time, or ends with an error.
    OSError
        If it says that the disk is full.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    if folder is not None:
        environment["TMPDIR"] = (
            "."  # So that what a killed compiler leaves is collected.
        )
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise CompileError(
            _failed(command, "it cannot be started", str(error))
        ) from error
    with process:
        try:
            output = process.communicate(timeout=seconds)[0].decode(errors="replace")
        except BaseException as error:
            # The compiler is several processes; an interrupt must end them all.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                status = f"it did not end within {seconds:g} seconds"
                raise CompileError(_failed(command, status, "")) from None
            raise
    if process.returncode == 0:
        return output
    if "No space left on device" in output:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if process.returncode < 0:
        status = f"it was killed by {signal.Signals(-process.returncode).name}"
    else:
        status = f"exit status {process.returncode}"
    raise CompileError(_failed(command, status, output))


def _failed(command: list[str], status: str, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines
    message = f"the C compiler failed: {status}\n  command: {' '.join(command)}"
    return message + (f"\n  {_printable(errors[0])}" if errors else "")


def _printable(text: str) -> str:
    """Text of another program, of bearable length, without control codes."""
    return "".join(c if c.isprintable() else "?" for c in text[:300])


# Warnings

_warned: set[str] = set()


def warn_once(message: str, kind: str = "") -> None:
    """Give a ``CompilerWarning``, once in this process for each kind of message."""
    if (kind or message) not in _warned:
        _warned.add(kind or message)
        warnings.warn(message, CompilerWarning, stacklevel=3)
