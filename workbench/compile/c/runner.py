"""The call: from NumPy arrays to a compiled program and back.

`make_runner` returns a function of arrays. It checks every argument, lends the arrays'
memory to the program, gives it memory for the outputs, and when the program has ended
well puts the new values of all shared variables in place together. There are two kinds,
equal in all but speed: ``runner.c``, a Python extension (0.1 µs a call) compiled once per
Python and NumPy, beside the first program (`prepare`), and
`workbench.compile.c.cffi_runner` (9 µs), which needs no Python headers, has no threads,
and can also run a program step by step.
"""

from __future__ import annotations

import ctypes
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np

from workbench.compile import layouts
from workbench.compile.c.cffi_runner import CffiRunner, Session
from workbench.compile.c.threads import thread_count
from workbench.compile.c.toolchain import Module, build, current_tools
from workbench.compile.jobs import Job
from workbench.core.errors import CompileError

__all__ = ["CffiRunner", "Plan", "Runner", "Session", "make_runner"]

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...]
Kind = Literal["extension", "cffi"]

CONTRACT = 4  # WB_ABI
MAX_DIMS = 8  # WB_MAX_DIMS


class Runner(Protocol):
    """A compiled program as a function of arrays."""

    @property
    def kind(self) -> str:
        """How the program is called: ``"extension"`` or ``"cffi"``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; the one visible output, or a list of all."""


def make_runner(
    module: Module,
    *,
    arguments: Sequence[tuple[str, str, Shape]],
    shared: Sequence[tuple[list[Any], str, Shape]],
    outputs: Sequence[tuple[str, int]],
    updates: Sequence[tuple[int, int]],
    n_visible: int,
    single: bool,
    n_slots: int,
    n_values: int,
    n_sizes: int,
    n_steps: int,
    on_mismatch: Callable[[tuple[Any, ...], dict[str, Any]], Sequence[Array]],
    on_failure: Callable[[tuple[int, int, int, int, int], tuple[Array, ...]], None],
    host: Callable[[int, list[Array]], Sequence[Any]] | None = None,
    host_signature: Mapping[
        int, tuple[Sequence[tuple[str, int]], Sequence[tuple[str, int]]]
    ] = {},
    in_place: Sequence[int] = (),
    first_commit: int | None = None,
    threads: int | None = None,
    shared_names: Sequence[str] = (),
    strided: Sequence[int] = (),
    on_strided: Callable[[tuple[Array, ...]], Any] | None = None,
    kind: Kind | None = None,
) -> Runner:
    """Make a compiled program callable.

    Parameters
    ----------
    arguments
        Name, dtype and shape of each; ``None`` is a free size.
    shared
        For each shared variable a list holding its array, the dtype and the shape.
    outputs
        dtype and number of axes of what the program makes: first `n_visible` results,
        then new values of shared variables.
    updates
        Pairs (number of a shared variable, number of the output that replaces its
        array).
    single
        Whether the call returns its one visible output rather than a list.
    n_slots, n_values, n_sizes, n_steps
        How many of each the program has.
    on_mismatch
        Called with the arguments and keywords of a call that are not exactly what
        the program takes; returns arrays that are, or raises.
    on_failure
        Called with (code, node, axis, a, b), the program's failure, and the arguments;
        raises. Nothing has been committed then.
    host
        Called with a step's number and its inputs, for the steps that Python computes;
        returns the step's outputs. The inputs are read-only views of memory that the
        program will write to later: copy what is to be kept.
    host_signature
        For each such step, dtype and number of axes of its inputs and of its outputs.
    in_place
        Numbers of the shared variables that the program itself writes to, in its last
        steps. Inputs that share their memory are copied; a variable whose array
        somebody else can see gets a new array first.
    first_commit
        The first step that writes shared variables in place; any may, if not given.
        It and the steps after it cannot fail, are not interrupted, and no other
        Python thread runs meanwhile.
    threads
        How many may share a loop; what ``config.threads`` says, if not given.
    shared_names
        What messages call the shared variables.
    strided
        For each argument what the program relies on where it need not be contiguous: see
        :mod:`workbench.compile.layouts`. 0, or nothing at all: contiguous ones, and others
        are copied.
    on_strided
        Called with the arguments of a call when one that would be copied is large
        (`layouts.WORTH`); returns what the call is to return, or NotImplemented: it is copied.
    kind
        Which runner to make; the fastest that can be made, if not given.

    Raises
    ------
    ValueError
        If the numbers contradict each other or an array has more than 8 axes.
    CompileError
        If `module` follows another contract.
    """
    names = tuple(shared_names) or tuple(f"number {i}" for i in range(len(shared)))
    plan = Plan(
        program=module.address("wb_run"),
        module=module,
        names=(*(name for name, _, _ in arguments), *names),
        inputs=_forms((dtype, shape) for _, dtype, shape in (*arguments, *shared)),
        storages=tuple(storage for storage, _, _ in shared),
        outputs=_forms((dtype, (None,) * ndim) for dtype, ndim in outputs),
        updates=tuple(updates),
        in_place=tuple(in_place),
        first_commit=_first_commit(first_commit, in_place, n_steps),
        threads=thread_count() if threads is None else threads,
        host_steps=tuple(
            (
                step,
                _forms((dtype, (None,) * ndim) for dtype, ndim in takes),
                _forms((dtype, (None,) * ndim) for dtype, ndim in gives),
            )
            for step, (takes, gives) in host_signature.items()
        ),
        n_visible=n_visible,
        single=single,
        n_slots=n_slots,
        n_values=n_values,
        n_sizes=n_sizes,
        n_steps=n_steps,
        host=host,
        on_mismatch=on_mismatch,
        on_failure=on_failure,
        strided=tuple(strided) or (0,) * len(arguments),
        on_strided=on_strided,
        worth=layouts.WORTH,
    )
    plan.check()
    extension = None if kind == "cffi" else _extension()
    if extension is not None:
        runner: Runner = extension.Runner(**vars(plan))
        return runner
    if kind == "extension":
        raise CompileError("the extension runner.c cannot be compiled here")
    return CffiRunner(plan)


Form = tuple[np.dtype[Any], tuple[int, ...]]  # a size of -1 is free


def _forms(pairs: Iterable[tuple[str, Shape]]) -> tuple[Form, ...]:
    return tuple(
        (np.dtype(dtype), tuple(-1 if size is None else size for size in shape))
        for dtype, shape in pairs
    )


@dataclass(frozen=True)
class Plan:
    """All a runner needs to know, in the words of runner.c."""

    program: int
    module: Module
    names: tuple[str, ...]
    inputs: tuple[Form, ...]
    storages: tuple[list[Any], ...]
    outputs: tuple[Form, ...]
    updates: tuple[tuple[int, int], ...]
    in_place: tuple[int, ...]
    first_commit: int
    threads: int
    host_steps: tuple[tuple[int, tuple[Form, ...], tuple[Form, ...]], ...]
    n_visible: int
    single: bool
    n_slots: int
    n_values: int
    n_sizes: int
    n_steps: int
    host: Any
    on_mismatch: Any
    on_failure: Any
    strided: tuple[int, ...]
    on_strided: Any
    worth: int

    def check(self) -> None:
        abi = ctypes.c_int64.from_address(self.module.address("wb_abi")).value
        if abi != CONTRACT:
            raise CompileError(f"the program follows contract {abi}, not {CONTRACT}")
        forms = [*self.inputs, *self.outputs]
        for _, takes, gives in self.host_steps:
            forms += [*takes, *gives]
        most = max((len(shape) for _, shape in forms), default=0)
        if most > MAX_DIMS:
            raise ValueError(f"an array has {most} axes; {MAX_DIMS} is the most")
        if len(self.strided) + len(self.storages) != len(self.inputs):
            raise ValueError("there must be one layout for each argument")
        for shared, output in self.updates:
            # A result that is also a shared array would change in later calls.
            inside = self.n_visible <= output < len(self.outputs)
            if not (0 <= shared < len(self.storages) and inside):
                raise ValueError(f"update {(shared, output)} is out of range")
        if not 0 <= self.first_commit <= self.n_steps:
            raise ValueError(f"there is no step {self.first_commit} to commit in")


def _first_commit(given: int | None, in_place: Sequence[int], n_steps: int) -> int:
    if not in_place:
        return n_steps
    return 0 if given is None else given


def prepare() -> None:
    """Have ``runner.c`` found or compiled while other work goes on, once in a process."""
    _begun()


@cache
def _begun() -> Job[Module] | None:
    """The search for ``runner.c``; None where there is no compiler.

    It is compiled with light flags: that takes 0.4 s rather than 0.7, and a call as long.
    """
    abi = sysconfig.get_config_var("SOABI")
    source = f"/* {sys.version}, {abi}, NumPy {np.__version__} */\n" + _joined(
        "runner.c"
    )
    include = [Path(sysconfig.get_path("include")), Path(np.get_include())]
    try:
        tools = current_tools()
    except CompileError:
        return None
    light = () if tools.compiler.object_flags is None else tools.compiler.light_flags

    def work(stop: Event) -> Module:
        quick = replace(tools, cflags=(*light, *tools.cflags), stop=stop)
        return build(source, "runner", include=include, tools=quick)

    return Job(work, at_once=True)


@cache
def _extension() -> ModuleType | None:
    """runner.c as a module; ``None`` where it cannot be compiled."""
    try:
        job = _begun()
        found = job.wait() and job.result() if job else None
        if not found:
            return None
        path = str(found.path)
        loader = ExtensionFileLoader("workbench_runner", path)
        spec = spec_from_file_location("workbench_runner", path, loader=loader)
        assert spec is not None
        module = module_from_spec(spec)
        loader.exec_module(module)
    except (CompileError, ImportError):
        return None
    return module


def _joined(name: str) -> str:
    """A file of this folder with the others of it that it includes in their places."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return re.sub(
        r'^#include "(.+)"$', lambda found: _joined(found[1]), text, flags=re.M
    )
