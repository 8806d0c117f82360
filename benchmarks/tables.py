"""Measurements as a table: a line of text each as they come, or Markdown of them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.harness import Measurement
from benchmarks.peers import LIMIT, OWN

VERDICT = ("spread", "ratio", "to", "share", "must", "aim", "")
"""Columns behind those of the peers."""


class Table:
    """Rows of times, one column a peer, then the ratio and what it should be.

    ``spread`` is half the distance between the quartiles, of Workbench's samples and of
    the fastest peer's, in percent of their medians; ``share`` is how much of Workbench's
    time the physical limit is.
    """

    def __init__(self, peers: Sequence[str], by: str) -> None:
        self.peers, self.by = peers, by

    def head(self) -> list[str]:
        """The names of the columns."""
        return ["", *self.peers, *VERDICT]

    def cells(self, measured: Sequence[Measurement]) -> list[str]:
        """One row: the time of each peer, then Workbench against the fastest other."""
        by_name = {m.peer: m for m in measured}
        times = [self.time(by_name.get(name)) for name in self.peers]
        return [measured[0].title, *times, *self.verdict(measured)]

    def line(self, cells: Sequence[str]) -> str:
        """Cells in columns of text."""
        widths = [38, *(max(len(name), 7) + 1 for name in self.peers)]
        widths += [10, 6, 14, 6, 6, 6, 6]
        texts = zip(cells[1:], widths[1:], strict=True)
        return " ".join([f"{cells[0]:{widths[0]}}", *(f"{c:>{w}}" for c, w in texts)])

    def value(self, measurement: Measurement) -> float:
        """The number that stands for the samples."""
        return measurement.minimum if self.by == "minimum" else measurement.median

    def time(self, measurement: Measurement | None) -> str:
        """A time with its unit, or a dash: the reason for it is at the end."""
        if measurement is None or measurement.error or not measurement.samples:
            return "–"
        return quantity(self.value(measurement), measurement.unit)

    def verdict(self, measured: Sequence[Measurement]) -> list[str]:
        """Spread, ratio to the fastest peer, its name, share, must, aim, what is held."""
        good = {m.peer: m for m in measured if m.samples and not m.error}
        others = [p for p in good if not p.startswith(OWN) and p != LIMIT]
        best = min(others, key=lambda p: self.value(good[p]), default="")
        own, limit = good.get(OWN), good.get(LIMIT)
        ratio = self.value(own) / self.value(good[best]) if own and best else None
        texts = [
            " ".join(f"±{m.spread / m.median:.0%}" for m in (own, good.get(best)) if m),
            "" if ratio is None else f"{ratio:.2f}",
            best,
            f"{self.value(limit) / self.value(own):.0%}" if own and limit else "",
        ]
        target = measured[0].target
        if target is None:
            return [*texts, "", "", ""]
        limits = target.limits(measured[0].threads)
        exact = target.unit == "ratio"
        shown = [f"{x:g}" if exact else quantity(x, target.unit) for x in limits]
        value = ratio if exact else self.value(own) if own else None
        return [*texts, *shown, "" if value is None else judged(value, *limits)]


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


def section_of(measurement: Measurement) -> str:
    """Under which heading a row stands."""
    if measurement.row.startswith(STARTING):
        return "Starts, imports and memory"
    plural = "" if measurement.threads == 1 else "s"
    return f"Calls, {measurement.threads} thread{plural}"


STARTING = ("first", "cold", "warm", "memory", "import")


def markdown(table: Table, rows: Iterable[Sequence[Measurement]]) -> str:
    """Rows as Markdown tables, one a section."""
    lines: list[str] = []
    section = ""
    head = [name or " " for name in table.head()]
    for row in rows:
        if section_of(row[0]) != section:
            section = section_of(row[0])
            lines += ["", f"## {section}", "", _cells(head)]
            lines.append(_cells(["---", *["---:"] * (len(head) - 1)]))
        lines.append(_cells(table.cells(row)))
    return "\n".join(lines).strip() + "\n"


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
