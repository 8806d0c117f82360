"""``python -m benchmarks``: measure, and print a table of times and ratios."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.harness import ROOT, Measurement, Setting, measure
from benchmarks.peers import PEERS

ENVIRONMENT = ROOT / "build" / "bench"
"""Where ``--install`` puts the peers."""

PACKAGES = ("numpy", "pytensor", "jax", "torch==2.13.0")

OWN = "workbench"
"""Whose ratio to the others is asked for; its modes are no peers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    asked = parser().parse_args(arguments)
    if asked.install:
        install()
    setting = Setting(
        {name: python_of(name, asked.python) for name in asked.peers.split(",")},
        rounds=asked.rounds,
        starts=asked.starts,
        core=asked.core,
    )

    def wanted(row: str) -> bool:
        return any(fnmatch(row, pattern) for pattern in asked.rows.split(","))

    print(machine(asked.core))
    table = Table(list(setting.pythons), asked.by)
    measured: list[Measurement] = []
    for row in measure(setting, wanted):
        if not measured:
            print(table.head())
        if row:
            print(table.row(row), flush=True)
        measured += row
    print(footer(setting, measured))
    if asked.json:
        data = {
            "machine": machine(asked.core),
            "versions": setting.versions,
            "missing": setting.missing,
            "measurements": [m.as_data() for m in measured],
        }
        Path(asked.json).write_text(json.dumps(data, indent=1), encoding="utf-8")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    made.add_argument("--rows", default="*", help="patterns of rows, with commas")
    made.add_argument("--peers", default=",".join(PEERS), help="names, with commas")
    made.add_argument("--rounds", type=int, default=15, help="samples of a call")
    made.add_argument("--starts", type=int, default=3, help="samples of a start")
    made.add_argument("--by", choices=("median", "minimum"), default="median")
    made.add_argument("--json", metavar="FILE", help="write every sample to a file")
    made.add_argument("--python", default="", help="interpreter that has the peers")
    made.add_argument(
        "--install", action="store_true", help=f"install the peers in {ENVIRONMENT}"
    )
    made.add_argument(
        "--core", type=int, default=cores[-1] if cores else None, help="core to use"
    )
    return made


def python_of(peer: str, chosen: str) -> str:
    """The interpreter that a peer runs in: NumPy and Workbench in this one."""
    own = Path(chosen) if chosen else ENVIRONMENT / "bin" / "python"
    if PEERS[peer][1] in ("workbench", "numpy") or not own.exists():
        return sys.executable
    return str(own)


def install() -> None:
    """Make an environment with the peers, apart from the project's own."""
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    python = str(ENVIRONMENT / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", *PACKAGES], check=True)


# --- the table -----------------------------------------------------------------------


class Table:
    """Rows of times, one column a peer, then the ratio and what it should be."""

    def __init__(self, peers: Sequence[str], by: str) -> None:
        self.peers, self.by = peers, by
        self.widths = [max(len(name), 7) + 1 for name in peers]

    def head(self) -> str:
        """The names of the columns."""
        names = zip(self.peers, self.widths, strict=True)
        cells = [f"{'':36}", *(f"{name:>{width}}" for name, width in names)]
        return " ".join([*cells, f"{'spread':>7}", *(f"{c:>8}" for c in COLUMNS)])

    def row(self, measured: Sequence[Measurement]) -> str:
        """One row: the time of each peer, then Workbench against the fastest other."""
        by_name = {m.peer: m for m in measured}
        cells = [f"{measured[0].title:36}"]
        for name, width in zip(self.peers, self.widths, strict=True):
            cells.append(f"{self.cell(by_name.get(name)):>{width}}")
        own = by_name.get(OWN)
        has_own = own is not None and bool(own.samples)
        spread = f"±{own.spread / own.median:.0%}" if own and has_own else ""
        return " ".join(
            [*cells, f"{spread:>7}", *(f"{c:>8}" for c in self.verdict(measured))]
        )

    def value(self, measurement: Measurement) -> float:
        """The number that stands for the samples."""
        return measurement.minimum if self.by == "minimum" else measurement.median

    def cell(self, measurement: Measurement | None) -> str:
        """A time with its unit, or what there is in its place."""
        if measurement is None:
            return "–"
        if measurement.error or not measurement.samples:
            return "failed"
        return quantity(self.value(measurement), measurement.unit)

    def verdict(self, measured: Sequence[Measurement]) -> list[str]:
        """Ratio to the fastest peer, its name, must, aim, and whether they are held."""
        good = {m.peer: self.value(m) for m in measured if m.samples and not m.error}
        others = {p: v for p, v in good.items() if not p.startswith(OWN)}
        best = min(others, key=lambda p: others[p]) if others else ""
        ratio = good[OWN] / others[best] if OWN in good and best else None
        target = measured[0].target
        texts = [f"{ratio:.2f}" if ratio is not None else "", best[:8]]
        if target is None:
            return [*texts, "", "", ""]
        value = ratio if target.unit == "ratio" else good.get(OWN)
        for limit in (target.must, target.aim):
            exact = target.unit == "ratio"
            texts.append(f"{limit:g}" if exact else quantity(limit, target.unit))
        return [*texts, "" if value is None else judged(value, target.must, target.aim)]


COLUMNS = ("ratio", "to", "must", "aim", "")


def judged(value: float, must: float, aim: float) -> str:
    """In one word how a value stands to its limits."""
    return "aim" if value <= aim else "held" if value <= must else "MISSED"


def quantity(value: float, unit: str) -> str:
    """Three digits and a unit.

    >>> quantity(2.5e-7, "s"), quantity(0.0123, "s"), quantity(44.8, "MiB")
    ('250 ns', '12.3 ms', '44.8 MiB')
    """
    if unit == "s":
        for factor, smaller in ((1, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")):
            if value * factor >= 1 or smaller == "ns":
                return f"{value * factor:.3g} {smaller}"
    return f"{value:.3g} {unit}"


def machine(core: int | None) -> str:
    """What was measured on, and what else kept it busy."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    where = "" if core is None else f", all on core {core}"
    return f"{processor}, {os.cpu_count()} cores{load}; one thread{where}."


def footer(setting: Setting, measured: Iterable[Measurement]) -> str:
    """Versions, peers that are not there, and what failed."""
    lines = [
        "",
        "Versions: " + ", ".join(f"{n} {v}" for n, v in setting.versions.items()),
        *(f"{name}: {reason}" for name, reason in setting.missing.items()),
        *(f"{m.title}, {m.peer}: {m.error}" for m in measured if m.error),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
