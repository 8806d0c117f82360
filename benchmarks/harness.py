"""The clock: starts each peer's process, asks for samples in turn, keeps what it hears.

A `Measurement` is all there is to a number in the table: which row, which peer, the
samples. The rest is arithmetic on them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.peers import PEERS
from benchmarks.workloads import IMPORT, STARTS, WORKLOADS, Target, Workload

ROOT = Path(__file__).parent.parent

PATIENCE = 5.0
"""Seconds after which a start is slow enough to be measured once."""

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}

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


class PeerError(Exception):
    """A peer cannot do what it was asked; the text says why."""


@dataclass
class Measurement:
    """What one peer took for one row, in `unit`, or why there is nothing."""

    row: str
    title: str
    peer: str
    unit: str = "s"
    samples: list[float] = field(default_factory=list)
    error: str = ""
    target: Target | None = None

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    @property
    def minimum(self) -> float:
        """The least sample."""
        return min(self.samples)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles."""
        if len(self.samples) < 3:
            return (max(self.samples) - min(self.samples)) / 2
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return (high - low) / 2

    def as_data(self) -> dict[str, Any]:
        """Plain data for a file."""
        return asdict(self)


class Process:
    """A peer's process, from hello to the end of its input."""

    def __init__(self, name: str, python: str, caches: Path, core: int | None) -> None:
        command = [python, "-m", "benchmarks.peers", name]
        command += [] if core is None else [str(core)]
        self.log: IO[bytes] = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(caches),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        try:
            self.version: str = self._listen()["version"]
        except PeerError:
            self.close()
            raise

    def ask(self, do: str, **what: str) -> dict[str, Any]:
        """The answer to a command.

        Raises
        ------
        PeerError
            The peer failed, or its process ended.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(self._last_words()) from None
        return self._listen()

    def _listen(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(" ".join(answer["error"].split())[:300])
        return answer

    def _last_words(self) -> str:
        self.process.wait()
        self.log.seek(0)
        words = self.log.read().decode(errors="replace").strip().splitlines()
        return f"its process ended: {words[-1] if words else self.process.returncode}"

    def close(self) -> None:
        """End the process, and wait until it has."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()


def environment(caches: Path) -> dict[str, str]:
    """This process's variables, with one thread for all and caches of the run's own."""
    kept = {
        name: value.format(caches) if "{}" in value else str(caches / value)
        for name, value in CACHES.items()
    }
    ours = {"PYTHONPATH": str(ROOT), "WORKBENCH_CONFIG": os.devnull}
    return {**os.environ, **ONE_THREAD, **KEEP_ALL, **kept, **ours}


@dataclass
class Setting:
    """How a run is made.

    Attributes
    ----------
    pythons
        The interpreter of each peer to ask, by its name.
    rounds, starts
        Samples of a call and of a start; each has one more that is dropped, except
        that a start of more than 5 seconds is not repeated.
    core
        The core that all processes share; None leaves it to the system.
    """

    pythons: dict[str, str]
    rounds: int = 15
    starts: int = 3
    core: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@contextmanager
def processes(setting: Setting, caches: Path) -> Iterator[dict[str, Process]]:
    """A process for each peer there is; `setting` hears of versions and failures."""
    with ExitStack() as stack:
        running = {}
        for name, python in setting.pythons.items():
            try:
                process = Process(name, python, caches, setting.core)
            except PeerError as error:
                setting.missing[name] = str(error)
                continue
            stack.callback(process.close)
            running[name] = process
            setting.versions[name] = process.version
        yield running


def measure_calls(
    workload: Workload, running: dict[str, Process], rounds: int
) -> list[Measurement]:
    """Samples of one workload's call, by turns."""
    measured = {
        name: Measurement(workload.name, workload.title, name, target=workload.target)
        for name in running
    }
    for name, process in running.items():
        _try(measured[name], lambda p=process: p.ask("prepare", workload=workload.name))
    for turn in range(rounds + 1):
        order = [n for n in running if not measured[n].error]
        first = turn % len(order) if order else 0
        for name in (*order[first:], *order[:first]):
            answer = _try(measured[name], lambda n=name: running[n].ask("sample"))
            if turn and answer:
                measured[name].samples.append(answer["seconds"])
    return list(measured.values())


def _try(measurement: Measurement, act: Any) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = act()
    except PeerError as error:
        measurement.error = str(error)
        return None
    return answer


def measure_starts(
    setting: Setting, wanted: Callable[[str], bool]
) -> list[list[Measurement]]:
    """First results of new processes, one after the other in a cache folder of their own.

    Peers that compile nothing have no starts.
    """
    last = max((k for k, s in enumerate(STARTS, 1) if wanted(s.row)), default=0)
    if wanted("memory"):
        last = max(last, next(k for k, s in enumerate(STARTS, 1) if s.memory))
    starts = STARTS[:last]
    names = [n for n in setting.pythons if n not in setting.missing]
    names = [n for n in names if PEERS[n][0].compiles]
    rows = [
        [Measurement(s.row, s.title, name, target=s.target) for name in names]
        for s in starts
    ]
    memory = [Measurement("memory", "memory: x + 1", n, "MiB") for n in names]
    for column in range(len(names)):
        for _ in range(setting.starts):
            with tempfile.TemporaryDirectory() as folder:
                for start, row in zip(starts, rows, strict=True):
                    one = row[column]
                    answer = _first_result(one, start.workload, Path(folder), setting)
                    if answer is None:
                        continue
                    one.samples.append(answer["first"])
                    if start.memory is not None:
                        memory[column].target = start.memory
                        memory[column].samples.append(answer["peak MiB"])
            if any(row[column].error or row[column].minimum > PATIENCE for row in rows):
                break
    return [row for row in (*rows, memory) if row and wanted(row[0].row)]


def _first_result(
    measurement: Measurement, workload: Workload, caches: Path, setting: Setting
) -> dict[str, Any] | None:
    def act() -> dict[str, Any]:
        name = measurement.peer
        process = Process(name, setting.pythons[name], caches, setting.core)
        try:
            return process.ask("first", workload=workload.name)
        finally:
            process.close()

    return _try(measurement, act)


def measure_imports(setting: Setting) -> list[Measurement]:
    """Seconds of each library's import in new processes, by turns."""
    modules = {PEERS[name][1]: name for name in reversed(setting.pythons)}
    rows = {
        name: Measurement("import", "import", name, target=IMPORT)
        for module, name in reversed(modules.items())
        if name not in setting.missing
    }
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(setting.starts + 1):
            for name, row in rows.items():
                command = [setting.pythons[name], "-c", TIMED_IMPORT, PEERS[name][1]]
                ran = subprocess.run(
                    command,
                    env=environment(Path(folder)),
                    capture_output=True,
                    text=True,
                    check=True,
                )
                if turn:
                    row.samples.append(float(ran.stdout.split()[-1]))
    return list(rows.values())


TIMED_IMPORT = """
import importlib, sys, time
start = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - start)
"""


def measure(
    setting: Setting, wanted: Callable[[str], bool]
) -> Iterator[list[Measurement]]:
    """Every row that is wanted by its name, each as the measurements of all peers."""
    with tempfile.TemporaryDirectory() as folder:
        with processes(setting, Path(folder)) as running:
            for workload in WORKLOADS:
                if wanted(workload.name):
                    yield measure_calls(workload, running, setting.rounds)
    yield from measure_starts(setting, wanted)
    if wanted("import"):
        yield measure_imports(setting)
