"""Programs found by the graph as the user built it: nothing is rewritten or planned again.

A new process that builds a graph which was compiled before would otherwise repeat most of
the work only to learn that the library is in the cache. So the cache also holds, for a
graph of some size, the C text and how it is called. The function runs at once; rewrites,
kernels and what else its record shows are worked out when somebody looks
(:attr:`~workbench.compile.callable.Function.compilation`).

The key is all that decides the text: the graph (:mod:`workbench.compile.identity`), the
mode, the flags, the versions of NumPy and SciPy, which evaluate constants, the processor,
and this package itself, by the time and size of each of its files. Where something cannot
be told, nothing is remembered: rules and ops of a user's own, operations that NumPy runs,
a rewrite that warned.

Read next: :mod:`workbench.compile.interface`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compile import identity
from workbench.compile.c.blas import find_blas
from workbench.compile.c.headers import HEADERS
from workbench.compile.c.runner import Runner
from workbench.compile.c.toolchain import (
    Module,
    build,
    cpu_features,
    current_tools,
)
from workbench.compile.cache import Entry
from workbench.compile.interface import Interface
from workbench.compile.modes import Mode
from workbench.compile.pipeline import CProgram
from workbench.compile.record import Graph
from workbench.compile.rules import STAGES
from workbench.config import FLAGS, config
from workbench.core.errors import CompileError
from workbench.core.graph import Constant, Shared, Variable, graph_inputs

LEAST = 20
"""Operations of a graph that is worth remembering; rewriting fewer takes milliseconds."""

MOST = 4 << 20
"""Bytes of constants that are kept with a program."""

FORMAT = 1
"""Counts changes of what is kept."""

ELSEWHERE = ("cache_dir", "cache_size", "compile_jobs", "compile_timeout", "compile")
"""Flags that decide where and when, but not what is compiled."""

_OURS = frozenset(rule for _, rules in STAGES for rule in map(id, rules))


@dataclass(frozen=True)
class Remembered:
    """A program that was found: what is called, for the variables of this process.

    Attributes
    ----------
    code
        The C text.
    flags
        What decides it, as it was when the program was looked for.
    """

    code: str
    interface: Interface
    module: Module
    arguments: Sequence[Variable]
    leaves: Sequence[Variable]
    flags: dict[str, Any]

    def as_it_was(self) -> AbstractContextManager[Any]:
        """While the flags are as they were when the program was looked for."""
        return config.change(
            **{n: v for n, v in self.flags.items() if getattr(config, n) != v}
        )

    def runner(
        self,
        on_mismatch: Callable[..., Any],
        on_failure: Callable[..., Any],
        single: bool,
        on_strided: Callable[..., Any] | None = None,
        complete: Any = None,
    ) -> Runner:
        """A callable of arrays around the loaded library."""
        return self.interface.runner(
            self.module,
            self.arguments,
            self.leaves,
            single=single,
            on_mismatch=on_mismatch,
            on_failure=on_failure,
            on_strided=on_strided,
        )


class Memory:
    """What is remembered of one graph in one mode.

    Attributes
    ----------
    key
        All that decides the program.
    """

    def __init__(self, graph: Graph, key: str) -> None:
        self.graph, self.key = graph, key

    @classmethod
    def of(cls, graph: Graph, mode: Mode) -> Memory | None:
        """The memory of a graph; None where a program is not worth or not safe to remember."""
        if mode.backend != "c" or len(graph.nodes()) < LEAST:
            return None
        try:
            return cls(graph, _key(graph, mode))
        except (identity.UntoldError, RecursionError):
            return None

    def find(self, name: str) -> Remembered | None:
        """The program, loaded; None if it, or its library, is not there."""
        try:
            tools = current_tools()
            entry = tools.cache.find(self.key)
            return None if entry is None else self._load(entry, name)
        except (CompileError, _AbsentError, OSError):
            return None

    def _load(self, entry: Entry, name: str) -> Remembered:
        told = json.loads((entry.path / "program.json").read_bytes())
        shared = _shared_of(self.graph)
        leaves = [
            shared[number]
            if kind == "shared"
            else Constant(np.load(entry.path / f"{number}.npy", allow_pickle=False))
            for kind, number in told["leaves"]
        ]
        code: str = told["code"]
        module = build(
            code, name, include=[HEADERS], bound=told["bound"], fill=_not_again
        )
        blas = find_blas()
        if blas is not None:
            blas.bind(module)
        interface = Interface(**_tuples(told["interface"]))
        inputs, flags = self.graph.inputs, _flags()
        return Remembered(code, interface, module, inputs, leaves, flags)

    def keep(self, program: CProgram) -> None:
        """Remember a program that was made of the graph, if it needs nothing of the host."""
        shared = {v: number for number, v in enumerate(_shared_of(self.graph))}
        constants: list[Constant] = []
        leaves: list[tuple[str, int]] = []
        for leaf in program.inputs[len(program.graph.inputs) :]:
            if isinstance(leaf, Constant):
                leaves.append(("constant", len(constants)))
                constants.append(leaf)
            elif leaf in shared:
                leaves.append(("shared", shared[leaf]))
            else:
                return
        if program.text.hosted or sum(c.data.nbytes for c in constants) > MOST:
            return
        told = {
            "code": program.text.code,
            "bound": program.text.layout.brings_text,
            "leaves": leaves,
            "interface": asdict(program.interface),
        }

        def fill(folder: Path) -> None:
            (folder / "program.json").write_text(json.dumps(told), encoding="utf-8")
            for number, constant in enumerate(constants):
                np.save(folder / f"{number}.npy", constant.data, allow_pickle=False)

        try:
            current_tools().cache.fetch(self.key, fill, durable=False)
        except (CompileError, OSError):
            pass  # It will be worked out again.


class _AbsentError(Exception):
    """The library of a remembered program is not in the cache any more."""


def _not_again(folder: Path) -> int:
    raise _AbsentError


def _shared_of(graph: Graph) -> list[Shared]:
    """The shared variables of a graph, each once, in an order that the graph decides."""
    leaves = [*graph_inputs(graph.results), *(shared for shared, _ in graph.updates)]
    return [v for v in dict.fromkeys(leaves) if isinstance(v, Shared)]


def _tuples(value: Any) -> Any:
    """What JSON made of tuples, as tuples."""
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


# --- the key -----------------------------------------------------------------------------


def _key(graph: Graph, mode: Mode) -> str:
    stages = mode.stages()
    if any(id(rule) not in _OURS for _, rules in stages for rule in rules):
        raise identity.UntoldError("rules of a user's own")
    blas = find_blas()
    facts = {
        "program of a graph, format": FORMAT,
        "graph": identity.text_of(graph),
        "rules": [(stage, [rule.name for rule in rules]) for stage, rules in stages],
        "mode": (mode.fuses, mode.in_place),
        "flags": _flags(),
        "BLAS": blas and blas.integer_bits,
        "surroundings": _surroundings(),
    }
    text = "\n".join(f"{name}: {said}" for name, said in facts.items())
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    return f"program of a graph {digest}"


def _flags() -> dict[str, Any]:
    return {n: getattr(config, n) for n in FLAGS if n not in ELSEWHERE}


@cache
def _surroundings() -> str:
    """What else decides how constants are evaluated and programs are written."""
    own = Path(__file__).parents[1]
    files = [
        f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"
        for facts in _files_in(own)
    ]
    scipy = importlib.util.find_spec("scipy")
    known = os.stat(scipy.origin).st_ctime_ns if scipy and scipy.origin else 0
    said = [platform.machine(), cpu_features(), np.__version__, known, own, files]
    return hashlib.sha256(repr(said).encode(errors="surrogateescape")).hexdigest()


def _files_in(folder: Path | str) -> list[os.stat_result]:
    """The facts of every file below a folder, in the order of their paths."""
    found = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                if entry.name != "__pycache__":
                    found += _files_in(entry.path)
            elif entry.name.endswith((".py", ".h", ".c")):
                found.append(entry.stat())
    return found
