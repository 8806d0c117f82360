"""Compilers for tests: the real one behind a script that writes down, waits or refuses."""

from __future__ import annotations

import time
from pathlib import Path

from workbench.compile.c.toolchain import find_compiler


def script(folder: Path, before: str) -> str:
    """The path of a script that does `before`, in shell, and then runs the real compiler."""
    real = find_compiler()
    assert real is not None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cc"
    path.write_text(f'#!/bin/sh\n{before}\nexec {real.path} "$@"\n')
    path.chmod(0o755)
    return str(path)


def wrapper(folder: Path, before: str) -> str:
    """A compiler that does `before`, in shell, whenever it is asked for more than its version."""
    return script(folder, f'if [ "$1" != --version ]; then\n{before}\nfi')


def claiming(folder: Path, version: str) -> str:
    """A compiler that says it is of another version."""
    return script(folder, f'if [ "$1" = --version ]; then echo "{version}"; exit 0; fi')


def noting(folder: Path, notes: Path) -> str:
    """A compiler that appends every text it is given to a file, a line of dashes before each."""
    return wrapper(
        folder,
        f'for word in "$@"; do case "$word" in *.c) '
        f'{{ echo ----; cat "$word"; }} >> {notes};; esac; done',
    )


def waiting(folder: Path, sign: Path) -> str:
    """A compiler that does nothing until a file is there, and notes its process beside it."""
    return wrapper(
        folder,
        f"echo $$ >> {sign}.pids\nwhile [ ! -e {sign} ]; do sleep 0.02; done",
    )


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or nobody has asked yet how it ended."""
    state = Path(f"/proc/{pid}/stat")
    try:
        return ") Z " in state.read_text()
    except OSError:
        return True


def soon_ended(pids: Path) -> bool:
    """Whether all processes that a file notes are gone within two seconds."""
    for _ in range(200):
        if all(has_ended(int(pid)) for pid in pids.read_text().split()):
            return True
        time.sleep(0.01)
    return False
