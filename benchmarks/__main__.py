"""``python -m benchmarks``: measure, and print a table of times and ratios."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import __doc__ as METHOD
from benchmarks.harness import Measurement, Setting, cores_here, measure
from benchmarks.peers import LIMIT, PEERS
from benchmarks.process import ROOT
from benchmarks.tables import Table, markdown, section_of
from benchmarks.workloads import QUICK

ENVIRONMENT = ROOT / "build" / "bench"
"""Where ``--install`` puts the peers."""

PACKAGES = ROOT / "benchmarks" / "requirements.txt"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    asked = parser().parse_args(arguments)
    if asked.install:
        install()
        return 0
    if asked.quick:
        asked.rows = ",".join(QUICK) if asked.rows == "*" else asked.rows
        asked.rounds, asked.starts = min(asked.rounds, 5), 1
        asked.threads = asked.threads[:1]
    setting = Setting(
        {name: python_of(name, asked.python) for name in asked.peers.split(",")},
        rounds=asked.rounds,
        starts=asked.starts,
        cores=asked.cores,
        clock=asked.clock,
        say=say,
    )

    def wanted(row: str) -> bool:
        return any(fnmatch(row, pattern) for pattern in asked.rows.split(","))

    here = f"{date.today().isoformat()}, {machine()}"
    print(here)
    table = Table([*setting.pythons], asked.by)
    rows: list[list[Measurement]] = []
    section = ""
    for row in measure(setting, wanted, asked.threads):
        if not row:
            continue
        if section_of(row[0]) != section:
            section = section_of(row[0])
            print(f"\n{section}\n\n{table.line(table.head())}")
        print(table.line(table.cells(row)), flush=True)
        rows.append(row)
    measured = [m for row in rows for m in row]
    print("", *footer(setting, measured), sep="\n")
    if asked.json:
        Path(asked.json).write_text(as_json(here, setting, measured), encoding="utf-8")
    if asked.markdown:
        text = page(here, table, rows, footer(setting, measured))
        Path(asked.markdown).write_text(text, encoding="utf-8")
    return 0


def say(text: str) -> None:
    """Show what is measured now, where a person watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text} …\r", end="", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        "python -m benchmarks",
        description=METHOD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cores = cores_here()
    counts = (1, 2) if len(cores) > 1 else (1,)
    made.add_argument("--rows", default="*", help="patterns of rows, with commas")
    made.add_argument("--peers", default=",".join(PEERS), help="names, with commas")
    made.add_argument(
        "--threads", type=_numbers, default=counts, help="numbers, with commas"
    )
    made.add_argument("--rounds", type=int, default=15, help="samples of a call")
    made.add_argument("--starts", type=int, default=3, help="samples of a start")
    made.add_argument("--quick", action="store_true", help="a few rows, few samples")
    made.add_argument("--by", choices=("median", "minimum"), default="median")
    made.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    made.add_argument("--json", metavar="FILE", help="write every sample to a file")
    made.add_argument("--markdown", metavar="FILE", help="write the tables to a file")
    made.add_argument("--python", default="", help="interpreter that has the peers")
    made.add_argument(
        "--install", action="store_true", help=f"put the peers in {ENVIRONMENT}"
    )
    made.add_argument("--cores", type=_numbers, default=cores, help="cores to use")
    return made


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


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
    packages = ["-m", "pip", "install", "--quiet", "-r", str(PACKAGES)]
    subprocess.run([python, *packages], check=True)


# --- what stands around the tables ---------------------------------------------------


def machine() -> str:
    """What was measured on, and what else kept it busy."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    load = f", load {os.getloadavg()[0]:.1f} at the start" if LOADED else ""
    return f"{processor}, {os.cpu_count()} cores{load}."


LOADED = hasattr(os, "getloadavg")


def footer(setting: Setting, measured: Iterable[Measurement]) -> list[str]:
    """Versions, peers that are not there, and the reason for each dash."""
    found = {PEERS[n][1]: v for n, v in setting.versions.items() if n != LIMIT}
    versions = (f"{module} {version}" for module, version in found.items())
    reasons: dict[str, list[str]] = {}
    for m in measured:
        if m.error and m.peer != LIMIT and not m.error.startswith("asked "):
            reasons.setdefault(f"{m.peer}: {m.error}", []).append(m.title)
    return [
        f"Python {platform.python_version()}, {', '.join(versions)}.",
        *(f"{name}: {reason}" for name, reason in setting.missing.items()),
        *(f"{'; '.join(titles)}: {reason}" for reason, titles in reasons.items()),
    ]


def as_json(here: str, setting: Setting, measured: Iterable[Measurement]) -> str:
    """Every sample, with when and where it was measured."""
    data = {
        "measured": here,
        "versions": setting.versions,
        "missing": setting.missing,
        "measurements": [m.as_data() for m in measured],
    }
    return json.dumps(data, indent=1)


def page(
    here: str,
    table: Table,
    rows: Iterable[Sequence[Measurement]],
    notes: Iterable[str],
) -> str:
    """The tables as a page of Markdown."""
    return "\n".join([PAGE, here, "", markdown(table, rows), "\n\n".join(notes), ""])


PAGE = """\
# Workbench beside its peers

Made by `make bench`; `python -m benchmarks --help` says how it is measured. A *ratio* is
Workbench's time over that of the fastest peer of the row: below 1 is faster than all. *must*
is what a release holds, *aim* what hand-written C reaches, *limit* the time of the work that
no program can leave out, on this machine, and *share* how much of Workbench's time that is.
All arrays are float32. A dash has its reason
below the tables.
"""


if __name__ == "__main__":
    raise SystemExit(main())
