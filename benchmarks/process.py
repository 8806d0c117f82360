"""A peer's process as the clock sees it: started, asked, stopped in between, ended."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

ROOT = Path(__file__).parent.parent

COMPILING = 120.0
"""Seconds that a peer may take from the first line of a graph to its first result."""

ANSWERING = 120.0
"""Seconds for any other answer, its import included."""

CACHES = {
    "WORKBENCH_CACHE_DIR": "workbench",
    "PYTENSOR_FLAGS": "base_compiledir={}/pytensor",
    "JAX_COMPILATION_CACHE_DIR": "jax",
    "TORCHINDUCTOR_CACHE_DIR": "torch",
    "TRITON_CACHE_DIR": "triton",
    "NUMBA_CACHE_DIR": "numba",
}
"""Where each library keeps what it compiled, below the folder of a run."""

KEEP_ALL = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}

COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class PeerError(Exception):
    """A peer cannot do what it was asked; the text says why."""


@dataclass(frozen=True)
class Place:
    """Where a process runs: its threads, the cores it may use, its caches and its clock."""

    threads: int
    cores: tuple[int, ...]
    caches: Path
    clock: str = "wall"

    def environment(self) -> dict[str, str]:
        """This process's variables, with so many threads and caches of the run's own."""
        kept = {
            name: value.format(self.caches)
            if "{}" in value
            else f"{self.caches / value}"
            for name, value in CACHES.items()
        }
        counts = dict.fromkeys(COUNTS, str(self.threads))
        ours = {"PYTHONPATH": str(ROOT), "WORKBENCH_CONFIG": os.devnull}
        ours["BENCHMARKS_CLOCK"] = self.clock
        alone: Mapping[str, str] = ONE_THREAD if self.threads == 1 else {}
        return {**os.environ, **counts, **alone, **KEEP_ALL, **kept, **ours}


class Process:
    """A peer's process, from hello to the end of its input.

    It stands still except while it owes an answer, so that what its threads do after a
    call, such as waiting busily for the next, takes nothing from other peers.

    Raises
    ------
    PeerError
        The library is not there, or its process ended.
    """

    def __init__(self, name: str, python: str, place: Place) -> None:
        command = [python, "-m", "benchmarks.serve", name, str(place.threads)]
        if place.cores:
            command.append(",".join(map(str, place.cores)))
        self.place = place
        self.log: IO[bytes] = tempfile.TemporaryFile()
        self.heard = b""
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=place.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            bufsize=0,
        )
        try:
            self.version: str = self.listen(ANSWERING)["version"]
        except PeerError:
            self.close()
            raise

    @property
    def ended(self) -> bool:
        """Whether it can be asked no more."""
        return self.process.poll() is not None

    def ask(
        self, do: str, *, patience: float = ANSWERING, **what: str
    ) -> dict[str, Any]:
        """The answer to a command.

        Raises
        ------
        PeerError
            The peer failed, its process ended, or it took longer than `patience`
            seconds, and was ended.
        """
        self.tell(do, **what)
        return self.listen(patience)

    def tell(self, do: str, **what: str) -> None:
        """Give a command; its answer must be heard before the next."""
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        except BrokenPipeError:
            raise PeerError(self._last_words()) from None

    def listen(self, patience: float) -> dict[str, Any]:
        """The answer that is owed."""
        line = self._line(monotonic() + patience)
        if line is None:
            self.process.kill()
            self.process.wait()
            raise PeerError(f"took more than {patience:g} s")
        if not line:
            raise PeerError(self._last_words())
        self._signal("SIGSTOP")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(" ".join(answer["error"].split())[:300])
        return answer

    def _line(self, deadline: float) -> bytes | None:
        """The next line; nothing at the end of the output, None after the deadline."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.heard:
            left = deadline - monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            more = os.read(pipe, 1 << 16)
            if not more:
                return b""
            self.heard += more
        line, _, self.heard = self.heard.partition(b"\n")
        return line

    def use(self, cores: Iterable[int]) -> None:
        """Move all its threads to these cores."""
        cores = set(cores)
        folder = Path(f"/proc/{self.process.pid}/task")
        if not cores or self.ended or not folder.exists():
            return
        for task in folder.iterdir():
            try:
                os.sched_setaffinity(int(task.name), cores)
            except ProcessLookupError:  # A thread that has just ended.
                continue

    def _signal(self, name: str) -> None:
        if hasattr(signal, name) and not self.ended:
            self.process.send_signal(getattr(signal, name))

    def _last_words(self) -> str:
        self.process.wait()
        self.log.seek(0)
        words = self.log.read().decode(errors="replace").strip().splitlines()
        return f"its process ended: {words[-1] if words else self.process.returncode}"

    def close(self) -> None:
        """End the process, and wait until it has."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._signal("SIGCONT")
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()
