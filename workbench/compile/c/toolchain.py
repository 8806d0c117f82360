"""From C text to a loaded library: finds a compiler, runs it, keeps what it made.

The compiler is run as a list of words, never through a shell, in the folder of the
cache entry it fills, with relative file names; so no path and no name of the user's
reaches the command. What it made is loaded into this process and found again by the
text of everything that matters (`key_of`). Read `workbench.compile.cache` for how it is
kept, and ``abi.h`` for what a program exports.

The flags give most of -O3's speed in half its time. They let the compiler forget
``errno`` and traps, but keep every rule of floating-point values: never
``-ffast-math``, which also switches off subnormal numbers for the whole process when
such a library is loaded.
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import platform
import shutil
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Event

from workbench.compile.c.processes import failure_text, printable, run
from workbench.compile.c.zig import (
    SCRATCH,
    clang_vector_flags,
    is_zig,
    vector_library,
    zig_program,
)
from workbench.compile.cache import Cache, default_cache
from workbench.config import config
from workbench.core.errors import CompileError, CompilerWarning

__all__ = [
    "Compiler",
    "CompilerMissing",
    "Module",
    "Tools",
    "build",
    "cpu_features",
    "current_tools",
    "find_compiler",
    "key_of",
    "warn_once",
]

ABI = Path(__file__).with_name("abi.h")
ATTEMPTS = (
    10  # To load what others, who do not see each other, may put there and remove.
)
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
    # Errors to newer compilers anyway: no pointer is ever taken for a number, no name unknown.
    "-Werror=implicit-function-declaration",
    "-Werror=int-conversion",
    "-Werror=incompatible-pointer-types",
)

WITHOUT = (
    *("-fno-tree-slp-vectorize", "-fno-thread-jumps", "-fno-gcse", "-fno-tree-vrp"),
)
"""Passes of gcc's -O2 that take it a seventh of its time and make no loop faster."""


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
    libraries
        What it is called with last.
    """

    path: str
    version: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...] = ("-lm",)

    @property
    def object_flags(self) -> tuple[str, ...] | None:
        """The flags for compiling a file without linking it; None when that is not known."""
        if not self.is_gnu and "clang" not in self.version.lower():
            return None
        sections = ("-ffunction-sections",)
        return (*(flag for flag in self.flags if flag != "-shared"), *sections)

    @property
    def light_flags(self) -> tuple[str, ...]:
        """What follows `object_flags` for text that runs in no time."""
        return ("-O1", "-fno-tree-vectorize")

    @property
    def link_flags(self) -> tuple[str, ...]:
        """The flags for making a library of objects."""
        if is_zig(self.path):
            # For other flags than it compiled with it makes start-up files anew: 20 s.
            return (*self.flags, "-Wl,--gc-sections")
        return ("-shared", "-Wl,--gc-sections")

    @property
    def is_gnu(self) -> bool:
        """Whether it is gcc."""
        return "Free Software Foundation" in self.version


@dataclass(frozen=True)
class Tools:
    """What compiling takes: the flags as they were when it was asked for.

    Attributes
    ----------
    cflags
        The user's own flags.
    cache
        Where what is made is kept.
    seconds
        How long one compiler may take.
    jobs
        How many compilers may run at a time.
    stop
        Set by another thread to call the work off.
    """

    compiler: Compiler
    cflags: tuple[str, ...]
    cache: Cache
    seconds: float
    jobs: int
    stop: Event | None = None

    def run(self, command: Sequence[str], folder: Path) -> None:
        """Run one compiler or linker to its end."""
        run(command, folder, self.seconds, self.environment, self.stop)

    def library_flags(self, bound: bool) -> tuple[str, ...]:
        """What a linker is called with last.

        Unless a text is `bound` to whatever functions of C there may be, it needs of the
        system only mathematics and a few old functions (memcpy, free) that every process
        has; so the linker is spared reading the rest, which takes 12 ms of the 55 that a
        small program takes. The user's flags may ask for more (``-fsanitize=address``).
        """
        asks = bound or any(flag.startswith(("-f", "-g")) for flag in self.cflags)
        alone = ("-nostdlib",) if self.compiler.is_gnu and not asks else ()
        return (*alone, *self.compiler.libraries)

    @property
    def environment(self) -> dict[str, str]:
        """What a compiler is told besides its command: to leave nothing outside its folder."""
        return {"TMPDIR": ".", "ZIG_LOCAL_CACHE_DIR": SCRATCH}


def current_tools(stop: Event | None = None) -> Tools:
    """The compiler and the settings that are chosen now.

    Raises
    ------
    CompilerMissing
        If there is no compiler.
    """
    compiler, reason = _search(config.cc, os.environ.get("PATH", ""))
    if compiler is None:
        raise CompilerMissing(reason)
    jobs = config.compile_jobs or len(os.sched_getaffinity(0))
    cflags, seconds = config.cflags, config.compile_timeout
    return Tools(compiler, cflags, default_cache(), seconds, jobs, stop)


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
    compiled
        How many of its parts had to be compiled: 0 for a hit, 1 for a text that is compiled
        as a whole, otherwise the number of its kernels that were not found.
    """

    name: str
    path: Path
    source: str = field(repr=False)
    command: list[str] = field(repr=False)
    seconds: float
    hit: bool
    library: ctypes.CDLL = field(repr=False)
    compiled: int = 0

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


def build(
    source: str,
    name: str,
    *,
    include: Sequence[Path] = (),
    bound: bool = True,
    tools: Tools | None = None,
    fill: Callable[[Path], int] | None = None,
) -> Module:
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
    bound
        Whether it may need any function of the C library.
    tools
        By default those that the flags choose now.
    fill
        Another way to make ``program.so`` of the same text in a folder that holds it as
        ``program.c``; returns how many parts it compiled.

    Raises
    ------
    CompilerMissing
        If there is no compiler.
    CompileError
        If it fails, takes longer than ``config.compile_timeout`` or makes no library.
    """
    start = time.perf_counter()
    tools = tools or current_tools()
    compiler = tools.compiler
    command = [compiler.path, *compiler.flags, *tools.cflags]
    command += [f"-I{folder}" for folder in include]
    command += ["-o", "program.so", "program.c", *tools.library_flags(bound)]
    compiled = 0

    def make(folder: Path) -> None:
        nonlocal compiled
        (folder / "program.c").write_text(source, encoding="utf-8")
        try:
            if fill is None:
                tools.run(command, folder)
                compiled = 1
            else:
                compiled = fill(folder)
        finally:
            shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        library = folder / "program.so"
        if not library.is_file() or library.stat().st_size == 0:
            status = "it ended well but wrote no library"
            raise CompileError(failure_text(command, status, ""))

    key = key_of(compiler, command, source)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            entry = tools.cache.fetch(key, make)
        except OSError as error:
            raise CompileError(
                f"cannot store the compiled {name!r}: {error}"
            ) from error
        try:
            library = ctypes.CDLL(str(entry.path / "program.so"))
        except OSError as error:
            # Another process may have removed it since, and may just be replacing it.
            gone = not (entry.path / "program.so").exists()
            if not gone:
                tools.cache.discard(entry)
            if attempt == ATTEMPTS or not (entry.hit or gone):
                raise CompileError(_not_loaded(name, error)) from error
        else:
            break
    seconds = time.perf_counter() - start
    path = entry.path / "program.so"
    if entry.hit:  # Another process may have been quicker.
        compiled = 0
    module = Module(name, path, source, command, seconds, entry.hit, library, compiled)
    # At exit the process goes anyway, and threads may still be in the library.
    weakref.finalize(module, _ctypes.dlclose, library._handle).atexit = False
    return module


def key_of(compiler: Compiler, command: list[str], source: str) -> str:
    """All that decides what the library is and whether this machine can run it."""
    facts = {
        "key format": KEY_FORMAT,
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": " ".join(cpu_features()),
        "compiler": compiler.version,
        "command": "\n".join(command),
        "abi.h": _abi(),
        "source": source,
    }
    return "\n\n".join(f"{name}:\n{text}" for name, text in facts.items())


@cache
def _abi() -> str:
    return ABI.read_text(encoding="utf-8")


def _not_loaded(name: str, error: OSError) -> str:
    return (
        f"the compiled {name!r} cannot be loaded: {printable(str(error))}\n"
        "  If the folder forbids running programs, set config.cache_dir to another."
    )


# The compiler


def find_compiler() -> Compiler | None:
    """The compiler in use: ``config.cc``, or the first to answer.

    Asked are cc, gcc and clang on PATH, then the package ``ziglang``.
    """
    return _search(config.cc, os.environ.get("PATH", ""))[0]


@cache
def _search(chosen: str, path: str) -> tuple[Compiler | None, str]:
    """A compiler, or why there is none."""
    tried = []
    for name in (chosen,) if chosen else ("cc", "gcc", "clang", "ziglang"):
        if name == "ziglang":
            program = zig_program()
        else:
            program = shutil.which(name, path=path)
        if program is None:
            tried.append(f"{name}: not found")
            continue
        program = os.path.abspath(program)
        first = ("cc",) if is_zig(program) else ()
        ask = [program, *first, "--version"]
        try:
            text = run(ask, None, min(10.0, config.compile_timeout))
        except CompileError as error:
            tried.append(f"{name}: {error}")
            continue
        libraries: tuple[str, ...] = ("-lm",)
        vectors = vector_library()
        if first and vectors:  # Other linkers find it by way of libm.
            libraries = ("-lm", vectors)
        return Compiler(program, text, (*first, *_flags(text)), libraries), ""
    where = f"config.cc is {chosen!r}" if chosen else "there is none on PATH"
    return None, "\n  ".join(
        [
            f"no C compiler can be used ({where}).",
            *tried,
            "Install one (apt install gcc, conda install gxx, pip install ziglang), "
            "or set config.cc.",
        ]
    )


def _flags(version: str) -> tuple[str, ...]:
    """The flags that a compiler with this version text takes."""
    native = ("-march=native",)
    wide = ("-mprefer-vector-width=512",) if "avx512f" in cpu_features() else ()
    if "clang" in version.lower():
        on_intel = platform.machine() in ("x86_64", "AMD64")
        own = (*(native if on_intel else ("-mcpu=native",)), *wide)
        # Without optimisation zig would have undefined behaviour trap.
        own = (*own, "-fno-sanitize=undefined", *clang_vector_flags(version))
        return (*COMMON_FLAGS, *own)
    if "Free Software Foundation" in version:  # As `Compiler.is_gnu`.
        # Peeled, the loop over the lanes of a reduction keeps its sums in registers.
        own = ("-pipe", "-fvect-cost-model=dynamic", "-fpeel-loops", *WITHOUT)
        return (*COMMON_FLAGS, *own, *native, *wide)
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


# Warnings

_warned: set[str] = set()


def warn_once(message: str, kind: str = "") -> None:
    """Give a ``CompilerWarning``, once in this process for each kind of message."""
    if (kind or message) not in _warned:
        # Where warnings are errors each is raised, so that nothing falls back unseen.
        warnings.warn(message, CompilerWarning, stacklevel=3)
        _warned.add(kind or message)
