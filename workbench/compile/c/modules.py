"""A program compiled piece by piece: what is known is found, the rest compiled at once.

A small program is one C file and one run of the compiler: half of the 50 ms that takes
goes into starting it and reading the headers, and that is not worth doing twice. A larger
one is cut (`workbench.compile.c.pieces`). Every piece is looked for in the cache; those
that are not there are put into as many files as compilers may run, about equally long,
and compiled at the same time as the main text. All of it is linked to the one library
that a program always is, and that is kept too: when nothing has changed, it is found at once.

An object file may hold several pieces. The entry of each piece holds that whole object
(as a link, not as a copy); the linker leaves out what a program does not call, and takes
one of several equal kernels.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from workbench.compile.c.convolving import calls_headers
from workbench.compile.c.emit import Program
from workbench.compile.c.headers import HEADERS
from workbench.compile.c.pieces import Cut, Piece, cut, file_of
from workbench.compile.c.processes import run_all
from workbench.compile.c.toolchain import (
    Module,
    Tools,
    build,
    current_tools,
    key_of,
)

__all__ = ["build_program"]

SMALL = 5000
"""Characters of a program that is compiled as a whole, which takes a tenth of a second."""

LEAST = 4000
"""Characters of a file that is worth a compiler of its own."""

LIGHT = 8
"""How many times as fast the main text is compiled."""

Progress = Callable[[int, int], None]
"""Called with how many kernels are compiled, and how many there are to compile."""


def build_program(
    program: Program,
    name: str,
    tools: Tools | None = None,
    progress: Progress = lambda done, of: None,
) -> Module:
    """Compile a program, or find it or parts of it compiled, and load it.

    Raises
    ------
    CompilerMissing, CompileError
        As :func:`~workbench.compile.c.toolchain.build`.
    Stopped
        The work was called off.
    """
    progress(0, 0)
    tools = tools or current_tools()
    source = program.code
    fill = None
    worth = len(source) > SMALL or calls_headers(source)
    if worth and tools.compiler.object_flags is not None:
        fill = partial(_Assembly(tools, progress).fill, program)
    return build(
        source,
        name,
        include=[HEADERS],
        bound=program.layout.brings_text,
        tools=tools,
        fill=fill,
    )


class _Assembly:
    """How one library is made of pieces."""

    def __init__(self, tools: Tools, progress: Progress) -> None:
        self.tools, self.progress = tools, progress
        compiler = tools.compiler
        assert compiler.object_flags is not None
        command = [compiler.path, *compiler.object_flags, "-c"]
        self.full = [*command, *tools.cflags, f"-I{HEADERS}"]
        self.light = [*command, *compiler.light_flags, *tools.cflags, f"-I{HEADERS}"]

    def fill(self, program: Program, folder: Path) -> int:
        """Make ``program.so`` in a folder; returns the number of pieces compiled."""
        parts = cut(program)
        found = {piece: self._find(piece) for piece in parts.pieces}
        missing = [piece for piece, path in found.items() if path is None]
        known = [path for path in found.values() if path is not None]
        objects = [*self._linked(known, folder), *self._compile(parts, missing, folder)]
        self._link(objects, program.layout.brings_text, folder)
        for file in folder.iterdir():
            if file.name not in ("program.c", "program.so") and file.is_file():
                file.unlink()
        return len(missing)

    def _key(self, piece: Piece) -> str:
        return key_of(self.tools.compiler, self.full, piece.file)

    def _find(self, piece: Piece) -> Path | None:
        """The object that holds a piece; None when it has to be compiled."""
        entry = self.tools.cache.find(self._key(piece))
        return None if entry is None else entry.path / OBJECT

    def _compile(self, parts: Cut, missing: Sequence[Piece], folder: Path) -> list[str]:
        """Compile the main text and what is missing; returns the names of the objects."""
        files = shares(missing, self.tools.jobs, len(parts.main) // LIGHT)
        texts = [(self.full, file_of(file)) for file in files]
        texts.append((self.light, parts.main))
        commands = []
        for number, (command, text) in enumerate(texts):
            (folder / f"part{number}.c").write_text(text, encoding="utf-8")
            commands.append([*command, "-o", f"part{number}.o", f"part{number}.c"])
        done = 0

        def ended(number: int) -> None:
            nonlocal done
            if number < len(files):
                for piece in files[number]:
                    self._keep(piece, folder / f"part{number}.o")
                done += len(files[number])
                self.progress(done, len(missing))

        self.progress(0, len(missing))
        tools = self.tools
        run_all(
            commands,
            folder,
            tools.seconds,
            jobs=tools.jobs,
            environment=tools.environment,
            ended=ended,
            stop=tools.stop,
        )
        return [f"part{number}.o" for number in range(len(commands))]

    def _keep(self, piece: Piece, path: Path) -> None:
        """Put the object that holds a piece into the cache."""

        def fill(folder: Path) -> None:
            _link_or_copy(path, folder / OBJECT)  # The text is in the key.

        self.tools.cache.fetch(self._key(piece), fill, durable=False)

    def _linked(self, paths: Iterable[Path], folder: Path) -> list[str]:
        """The objects under short names in the folder, each once."""
        names: dict[tuple[int, int], str] = {}
        for path in paths:
            facts = path.stat()
            place = (facts.st_dev, facts.st_ino)
            if place not in names:
                names[place] = f"known{len(names)}.o"
                _link_or_copy(path, folder / names[place])
        return list(names.values())

    def _link(self, objects: Sequence[str], bound: bool, folder: Path) -> None:
        tools, compiler = self.tools, self.tools.compiler
        command = [compiler.path, *compiler.link_flags, *tools.cflags]
        command += ["-o", "program.so", *objects, *tools.library_flags(bound)]
        tools.run(command, folder)


OBJECT = "kernel.o"


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # Some file systems know no links.
        shutil.copyfile(path, target)


def shares(pieces: Sequence[Piece], jobs: int, before: int = 0) -> list[list[Piece]]:
    """The pieces in files for that many compilers: about equally long, none very short.

    The shortest comes last, by about the length of what one compiler has to do `before`.
    Pieces with different heads do not share a file.
    """
    heads: dict[str, list[Piece]] = {}
    for piece in pieces:
        heads.setdefault(piece.head, []).append(piece)
    found: list[list[Piece]] = []
    for group in heads.values():
        whole = sum(len(piece.text) for piece in group)
        files: list[list[Piece]] = [
            [] for _ in range(max(1, min(jobs, whole // LEAST)))
        ]
        lengths = [0] * len(files)
        lengths[-1] = before if len(files) > 1 else 0
        for piece in sorted(group, key=lambda piece: -len(piece.text)):
            shortest = lengths.index(min(lengths))
            files[shortest].append(piece)
            lengths[shortest] += len(piece.text)
        found += [file for file in files if file]
    return found
