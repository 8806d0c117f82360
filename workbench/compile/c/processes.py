"""Compilers as processes: several at once, each to its end, and none left behind.

One thread reads what all of them print and sees them end; so an interrupt arrives here,
and here all are killed. A compiler is several processes (driver, compiler, assembler,
linker), so each is started as the leader of a group, and the group is killed.

While one is started, this process holds the ends of pipes that only the compiler is to
have. A fork at that moment would take copies of them along, and what the compiler prints
would end only when the forked process does; so a fork waits until it has been started.

Read next: `workbench.compile.c.toolchain`, which says what is run.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from workbench.core.errors import CompileError

__all__ = ["Stopped", "failure_text", "printable", "run", "run_all"]

_starting = threading.Lock()
os.register_at_fork(
    before=_starting.acquire,
    after_in_parent=_starting.release,
    after_in_child=_starting.release,
)

PATIENCE = 0.05  # Seconds between two looks at whether the work was called off.
MOST_OUTPUT = 1 << 16  # Bytes that are kept of what one process prints.


class Stopped(Exception):
    """The work was called off from another thread."""


def run(
    command: Sequence[str],
    folder: Path | None,
    seconds: float,
    environment: Mapping[str, str] = {},
    stop: Event | None = None,
) -> str:
    """Run a program to its end and return what it printed; raises as :func:`run_all`."""
    return run_all([command], folder, seconds, environment=environment, stop=stop)[0]


def run_all(
    commands: Sequence[Sequence[str]],
    folder: Path | None,
    seconds: float,
    *,
    jobs: int = 1,
    environment: Mapping[str, str] = {},
    ended: Callable[[int], None] = lambda number: None,
    stop: Event | None = None,
) -> list[str]:
    """Run programs, at most `jobs` at a time, and return what each printed.

    Parameters
    ----------
    commands
        Each a list of words; they are started in this order.
    folder
        Where they run; this process's own folder if not given.
    seconds
        How long each may take.
    environment
        Variables that they are given besides those of this process.
    ended
        Called with the number of each command as soon as it has ended well.
    stop
        Set by another thread to have everything killed.

    Raises
    ------
    CompileError
        If one cannot be started, does not end in time, or ends with an error. The others
        are killed then, as they are by any exception in this thread.
    OSError
        If one says that the disk is full.
    Stopped
        If `stop` was set.
    """
    variables = {**os.environ, "LC_ALL": "C", **environment}
    outputs = [""] * len(commands)
    waiting = list(enumerate(commands))
    running: list[_Process] = []
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    number, command = waiting.pop(0)
                    process = _start(number, command, folder, variables, seconds)
                    running.append(process)
                    selector.register(process.output, selectors.EVENT_READ, process)
                now = time.monotonic()
                patience = min(process.end for process in running) - now
                for key, _ in selector.select(
                    patience if stop is None else min(patience, PATIENCE)
                ):
                    process = key.data
                    if process.read():
                        continue
                    selector.unregister(process.output)
                    process.wait()
                    running.remove(process)
                    outputs[process.number] = process.text()
                    ended(process.number)
                if stop is not None and stop.is_set():
                    raise Stopped
                for process in running:
                    process.check_time()
        finally:
            for process in running:
                process.kill()
    return outputs


@dataclass(eq=False)
class _Process:
    number: int
    command: Sequence[str]
    popen: subprocess.Popen[bytes]
    seconds: float
    end: float
    collected: bytearray = field(default_factory=bytearray)

    @property
    def output(self) -> int:
        """The descriptor its output is read from."""
        assert self.popen.stdout is not None
        return self.popen.stdout.fileno()

    def read(self) -> bool:
        """Take what it printed; False when it will print no more."""
        chunk = os.read(self.output, 1 << 16)
        self.collected += chunk[: MOST_OUTPUT - len(self.collected)]
        return bool(chunk)

    def wait(self) -> None:
        """Wait until it has ended, which it mostly does with its output."""
        try:
            self.popen.wait(max(0.0, self.end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.check_time()

    def check_time(self) -> None:
        """Raise if it takes too long."""
        if time.monotonic() >= self.end:
            status = f"it did not end within {self.seconds:g} seconds"
            raise CompileError(failure_text(self.command, status, ""))

    def text(self) -> str:
        """What it printed; raises if it failed."""
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        output = self.collected.decode(errors="replace")
        code = self.popen.returncode
        if code == 0:
            return output
        if "No space left on device" in output:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if code < 0:
            status = f"it was killed by {signal.Signals(-code).name}"
        else:
            status = f"exit status {code}"
        raise CompileError(failure_text(self.command, status, output))

    def kill(self) -> None:
        """End it and all it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        self.popen.wait()


def _start(
    number: int,
    command: Sequence[str],
    folder: Path | None,
    variables: Mapping[str, str],
    seconds: float,
) -> _Process:
    try:
        with _starting:
            popen = subprocess.Popen(
                command,
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise CompileError(
            failure_text(command, "it cannot be started", str(error))
        ) from error
    return _Process(number, command, popen, seconds, time.monotonic() + seconds)


def failure_text(command: Sequence[str], status: str, output: str) -> str:
    """The message of a compiler that failed: how, with which command, its first error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines
    message = f"the C compiler failed: {status}\n  command: {' '.join(command)}"
    return message + (f"\n  {printable(errors[0])}" if errors else "")


def printable(text: str) -> str:
    """Text of another program, of bearable length, without control codes."""
    return "".join(c if c.isprintable() else "?" for c in text[:300])
