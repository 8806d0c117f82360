"""The compiler of last resort: clang as the package ``ziglang`` brings it.

``pip install "workbench[compiler]"`` needs no rights and no other program, so it helps
where neither ``apt`` nor ``conda`` does. The package is 100 MB and self-contained: its
program compiles with ``zig cc``, links with its own linker, and takes five seconds at
its very first use to make start-up files, which it keeps in a cache of its own. It is
looked for only where PATH has no compiler.

The generated text asks gcc for the vector variants of glibc's functions; clang has to
be told by a flag, and zig has to be told where that library is.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["SCRATCH", "clang_vector_flags", "is_zig", "vector_library", "zig_program"]

# A folder beside the C text where zig leaves objects; what made it removes it.
SCRATCH = "zig-scratch"

# Where distributions for x86-64 put shared libraries.
FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/usr/lib",
)


def zig_program() -> str | None:
    """The program inside the package ``ziglang``; ``None`` where it is not installed.

    Importing that package would replace this process, so it is only looked for.
    """
    found = PathFinder.find_spec("ziglang")
    for place in (found and found.submodule_search_locations) or ():
        for name in ("zig", "zig.exe"):
            program = Path(place, name)
            if program.is_file():
                return str(program.absolute())
    return None


def is_zig(program: str) -> bool:
    """Whether a program is zig, whose compiler of C is the subcommand ``cc``."""
    return Path(program).stem == "zig"


def clang_vector_flags(version: str) -> tuple[str, ...]:
    """What lets a clang of this version text call the vector functions of glibc.

    It knows those of exp, log, pow, sin and cos, and from version 12 on.
    """
    number = re.search(r"clang version (\d+)", version)
    if number is None or int(number[1]) < 12 or vector_library() is None:
        return ()
    return ("-fveclib=libmvec",)


def vector_library() -> str | None:
    """The path of glibc's vector functions; ``None`` where there are none."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    return next(_vector_libraries(), None)


def _vector_libraries() -> Iterator[str]:
    for folder in FOLDERS:
        path = Path(folder, "libmvec.so.1")
        if path.is_file():
            yield str(path)
