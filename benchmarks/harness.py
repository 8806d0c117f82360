"""The clock: asks the peers for samples in turn, and keeps what it hears.

A `Measurement` is all there is to a number in the table: which row, which peer, the
samples. The rest is arithmetic on them. :mod:`benchmarks.process` is how a peer is asked.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.loops import LONG_LSTM
from benchmarks.peers import OWN, PEERS
from benchmarks.process import COMPILING, PeerError, Place, Process
from benchmarks.rows import Start, Target, Workload
from benchmarks.workloads import IMPORT, STARTS, WORKLOADS

PATIENCE = 5.0
"""Seconds after which a start is slow enough to be measured once."""


@dataclass
class Measurement:
    """What one peer took for one row, in `unit`, or why there is nothing."""

    row: str
    title: str
    peer: str
    threads: int = 1
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
    cores
        Those the run may use; peers with one thread share the last. Empty leaves it to
        the system.
    versions, missing
        Filled while measuring: of each peer its version, or why it is not there.
    clock
        What calls are timed with: ``"wall"``, or ``"cpu"`` for the processor time of all
        threads together.
    say
        Told what is measured next, where that may take long.
    """

    pythons: dict[str, str]
    rounds: int = 15
    starts: int = 3
    cores: tuple[int, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    clock: str = "wall"
    say: Callable[[str], object] = str

    def place(self, threads: int, caches: Path) -> Place:
        """Where processes with so many threads run."""
        return Place(threads, self.cores[-threads:], caches, self.clock)


class Running:
    """The peers that are there, each in its process, started again when it has ended."""

    def __init__(self, setting: Setting, place: Place) -> None:
        self.setting, self.place = setting, place
        self.processes: dict[str, Process] = {}

    def process(self, name: str) -> Process | None:
        """The process of a peer; None, and a word in the setting, if it is not there."""
        process = self.processes.get(name)
        if process is not None and not process.ended:
            return process
        if process is not None:
            process.close()
        try:
            process = Process(name, self.setting.pythons[name], self.place)
        except PeerError as error:
            self.processes.pop(name, None)
            self.setting.missing[name] = str(error)
            return None
        self.processes[name] = process
        self.setting.versions[name] = process.version
        return process

    def all(self) -> dict[str, Process]:
        """Every peer that is there, by name."""
        names = [n for n in self.setting.pythons if n not in self.setting.missing]
        found = {name: self.process(name) for name in names}
        return {name: process for name, process in found.items() if process}


@contextmanager
def running(setting: Setting, place: Place) -> Iterator[Running]:
    """The peers' processes, ended at the end."""
    peers = Running(setting, place)
    try:
        yield peers
    finally:
        for process in peers.processes.values():
            process.close()


# --- calls ---------------------------------------------------------------------------


def measure_calls(workload: Workload, peers: Running, rounds: int) -> list[Measurement]:
    """Samples of one workload's call, by turns."""
    processes, threads = peers.all(), peers.place.threads
    measured = {
        name: Measurement(
            workload.name, workload.title, name, threads, target=workload.target
        )
        for name in processes
    }
    peers.setting.say(workload.title)
    compile_all(workload, processes, measured, peers.setting.cores)
    for name, process in processes.items():
        if not measured[name].error:
            _try(measured[name], lambda p=process: p.ask("prepare"))
    for turn in range(rounds + 1):
        order = [n for n in processes if not measured[n].error]
        first = turn % len(order) if order else 0
        for name in (*order[first:], *order[:first]):
            answer = _try(measured[name], lambda n=name: processes[n].ask("sample"))
            if turn and answer:
                measured[name].samples.append(answer["seconds"])
    return list(measured.values())


def compile_all(
    workload: Workload,
    processes: dict[str, Process],
    measured: dict[str, Measurement],
    cores: tuple[int, ...],
) -> None:
    """Have all peers get their first results, side by side: nothing is timed yet."""
    for name, process in processes.items():
        process.use(cores)
        _try(measured[name], lambda p=process: p.tell("first", workload=workload.name))
    for name, process in processes.items():
        if not measured[name].error:
            _try(measured[name], lambda p=process: p.listen(COMPILING))
        process.use(process.place.cores)


def _try(measurement: Measurement, act: Any) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = act()
    except PeerError as error:
        measurement.error = str(error)
        return None
    return answer


# --- starts and imports --------------------------------------------------------------


def measure_starts(
    setting: Setting, threads: int, wanted: Callable[[str], bool]
) -> list[list[Measurement]]:
    """First results of new processes, one after the other in a cache folder of their own.

    Peers that compile nothing have no starts.
    """
    starts = needed(wanted)
    names = [n for n in setting.pythons if n not in setting.missing]
    names = [n for n in names if PEERS[n][0].compiles]
    rows = [
        [Measurement(s.row, s.title, n, threads, target=s.target) for n in names]
        for s in starts
    ]
    memory = [Measurement("memory", "memory: x + 1", n, threads, "MiB") for n in names]
    for turn in range(setting.starts):
        with tempfile.TemporaryDirectory() as folder:
            for number, (start, row) in enumerate(zip(starts, rows, strict=True)):
                for column, one in enumerate(row):
                    earlier = [(starts[k], rows[k][column]) for k in range(number)]
                    if not is_asked(start, one, earlier, again=turn > 0):
                        continue
                    place = setting.place(threads, Path(folder) / one.peer)
                    setting.say(f"{start.title}, {one.peer}")
                    answer = _first_result(one, start.workload, setting, place)
                    if answer is None:
                        continue
                    one.samples.append(answer["first"])
                    if start.memory is not None:
                        memory[column].target = start.memory
                        memory[column].samples.append(answer["peak MiB"])
    return [row for row in (*rows, memory) if row and wanted(row[0].row)]


def measure_growth(setting: Setting) -> list[Measurement]:
    """How much a process grows, in a long loop and its gradient, beyond what it imported.

    What is compiled is compiled by a process before it.
    """
    row = [
        Measurement("memory-lstm", f"memory: {LONG_LSTM.title}", name, 1, "MiB")
        for name in setting.pythons
        if name not in setting.missing
    ]
    with tempfile.TemporaryDirectory() as folder:
        for one in row:
            place = setting.place(1, Path(folder) / one.peer)
            setting.say(f"{one.title}, {one.peer}")
            if not PEERS[one.peer][0].compiles or _first_result(
                one, LONG_LSTM, setting, place
            ):
                answer = _first_result(one, LONG_LSTM, setting, place)
                one.samples += [answer["grown MiB"]] if answer else []
    return row


def needed(wanted: Callable[[str], bool]) -> list[Start]:
    """Starts that are wanted, and those that fill the caches for them."""
    found = []
    for start in STARTS:
        warm = start.row.replace("cold", "warm")
        if wanted(start.row) or wanted(warm) or (start.memory and wanted("memory")):
            found.append(start)
    return found


def is_asked(
    start: Start,
    one: Measurement,
    earlier: list[tuple[Start, Measurement]],
    *,
    again: bool,
) -> bool:
    """Whether a peer is asked for a start; if not for good, its error says why.

    Not if what was asked `earlier` leaves no hope, nor `again` if it was slow.
    """
    if start.own and one.peer != OWN:
        one.error = f"asked of {OWN} alone"
    for other, measured in earlier:
        same = other.workload is start.workload
        smaller = 0 < other.operations < start.operations
        if one.error:
            break
        if same and measured.error:
            one.error = "its cold start failed"
        elif smaller and measured.error:
            one.error = f"not tried: {other.operations:,} operations failed"
        elif smaller and other.row.startswith("cold"):
            seconds = measured.minimum * start.operations / other.operations
            if seconds > COMPILING:
                one.error = (
                    f"not tried: {other.operations:,} operations took "
                    f"{measured.minimum:.0f} s, and a start may take {COMPILING:.0f}"
                )
        if again and same and measured.minimum > PATIENCE:
            return False
    return not (one.error or (again and one.minimum > PATIENCE))


def _first_result(
    measurement: Measurement, workload: Workload, setting: Setting, place: Place
) -> dict[str, Any] | None:
    def act() -> dict[str, Any]:
        name = measurement.peer
        process = Process(name, setting.pythons[name], place)
        setting.versions[name] = process.version
        try:
            return process.ask("first", patience=COMPILING, workload=workload.name)
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
        place = setting.place(1, Path(folder))
        for turn in range(setting.starts + 1):
            for name, row in rows.items():
                command = [setting.pythons[name], "-c", TIMED_IMPORT, PEERS[name][1]]
                ran = subprocess.run(
                    command,
                    env=place.environment(),
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


# --- all -----------------------------------------------------------------------------


def measure(
    setting: Setting, wanted: Callable[[str], bool], threads: tuple[int, ...] = (1,)
) -> Iterator[list[Measurement]]:
    """Every row that is wanted by its name, each as the measurements of all peers.

    Calls are measured once for each number of threads, starts with the largest, and
    imports once.
    """
    with tempfile.TemporaryDirectory() as folder:
        for count in threads:
            with running(setting, setting.place(count, Path(folder))) as peers:
                for workload in WORKLOADS:
                    if wanted(workload.name):
                        yield measure_calls(workload, peers, setting.rounds)
    yield from measure_starts(setting, max(threads), wanted)
    if wanted("memory-lstm"):
        yield measure_growth(setting)
    if wanted("import"):
        yield measure_imports(setting)


def cores_here() -> tuple[int, ...]:
    """The cores that this process may use; empty where the system does not say."""
    known = hasattr(os, "sched_getaffinity")
    return tuple(sorted(os.sched_getaffinity(0))) if known else ()
