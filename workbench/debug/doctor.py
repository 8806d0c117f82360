"""What this machine offers to compiled programs, what is missing, and how to get it.

`doctor` looks; the command ``workbench doctor`` prints what it finds. Each finding is
plain data, and says in one line what to do where something is not as it should be. The
speeds come from `workbench.debug.speed`.
"""

from __future__ import annotations

import html
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from workbench.compile.c.blas import find_blas
from workbench.compile.c.toolchain import Compiler, cpu_features, find_compiler
from workbench.compile.c.zig import is_zig, vector_library
from workbench.compile.cache import default_cache
from workbench.config import FLAGS, config
from workbench.core.errors import CompileError
from workbench.debug.speed import (
    Bandwidth,
    CompileTest,
    ProductRate,
    measure_bandwidth,
    measure_compiling,
    measure_products,
    processors,
)

__all__ = ["Finding", "Health", "doctor"]

State = Literal["good", "bad", "note"]

# Processor features that decide how fast a loop can be.
TOLD = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512vl", "avx512_fp16"),
    *("neon", "asimd", "asimdhp", "sve", "sve2"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    subject
        What it is.
    state
        ``"good"``; ``"bad"`` if something is missing or wrong that programs need to be
        fast; ``"note"`` if they can do without.
    facts
        What was found, a line each.
    advice
        What to do about it; empty if nothing.
    """

    subject: str
    state: State
    facts: tuple[str, ...]
    advice: str = ""


@dataclass(frozen=True)
class Health:
    """All that `doctor` found; prints as text, and as a table in a notebook."""

    findings: tuple[Finding, ...]
    compiling: CompileTest | None = None
    bandwidth: tuple[Bandwidth, ...] = ()
    products: tuple[ProductRate, ...] = ()
    measured: tuple[Finding, ...] = field(default=(), repr=False)

    @property
    def is_good(self) -> bool:
        """Whether nothing is missing that compiled programs need."""
        return not self.problems

    @property
    def problems(self) -> list[Finding]:
        """What is missing or wrong."""
        return [f for f in (*self.findings, *self.measured) if f.state == "bad"]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, as ``workbench doctor --json`` prints it."""
        found = asdict(self)
        del found["measured"]
        return {"good": self.is_good, **found}

    def __str__(self) -> str:
        rows = [*self.findings, *self.measured]
        width = max(len(row.subject) for row in rows)
        lines = []
        for row in rows:
            for number, fact in enumerate(row.facts):
                mark, name = (MARKS[row.state], row.subject) if not number else ("", "")
                lines.append(f"{mark:3} {name:{width}}  {fact}")
            if row.advice:
                lines.append(f"    {'':{width}}  → {row.advice}")
        return "\n".join([*lines, "", self._summary()])

    def _summary(self) -> str:
        names = [row.subject for row in self.problems]
        if not names:
            return "All that compiled programs need is here."
        return f"To be mended: {', '.join(names)}."

    def _repr_html_(self) -> str:
        body = ""
        for row in (*self.findings, *self.measured):
            facts = "<br>".join(html.escape(fact) for fact in row.facts)
            advice = f"<br><em>→ {html.escape(row.advice)}</em>" if row.advice else ""
            body += (
                f"<tr><td>{MARKS[row.state]}</td><th>{html.escape(row.subject)}</th>"
                f'<td style="text-align: left">{facts}{advice}</td></tr>'
            )
        summary = html.escape(self._summary())
        return f"<table><tbody>{body}</tbody></table><p>{summary}</p>"


MARKS = {"good": "✓", "bad": "✗", "note": "–"}


def doctor(measure: bool = True) -> Health:
    """Look at the compiler, the processor, BLAS, the cache and what else counts.

    Parameters
    ----------
    measure
        Also compile something and measure memory and products, which takes two seconds.

    Examples
    --------
    >>> print(doctor(measure=False))  # doctest: +SKIP
    """
    compiler = find_compiler()
    looked = (
        _python(),
        _flags(),
        _compiler(compiler),
        _headers(compiler),
        _processor(),
        _mathematics(compiler),
        _blas(),
        _cache(),
        _cuda(),
        _pictures(),
        _notebook(),
    )
    if not measure:
        return Health(looked)
    compiling, tested = _tested(compiler)
    bandwidth, products = tuple(measure_bandwidth()), tuple(measure_products())
    measured = (*tested, _told_bandwidth(bandwidth), _told_products(products))
    return Health(looked, compiling, bandwidth, products, measured)


# What is looked at


def _version(package: str) -> str:
    # Importing this takes 5 ms, which each `import workbench` would pay.
    metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version(package))
    except metadata.PackageNotFoundError:
        return "not installed"


def _python() -> Finding:
    packages = ("workbench", "numpy", "scipy", "cffi")
    system = f"{platform.system()} {platform.machine()}"
    return Finding(
        "Python",
        "good",
        (
            f"{platform.python_version()} on {system}, {sys.executable}",
            ", ".join(f"{name} {_version(name)}" for name in packages),
        ),
    )


def _flags() -> Finding:
    chosen = [
        f"{name} = {getattr(config, name)!r}, from {config.origin(name)}"
        for name in FLAGS
        if config.origin(name) != "default"
    ]
    return Finding("flags", "good", tuple(chosen) or ("all at their defaults",))


def _compiler(compiler: Compiler | None) -> Finding:
    if compiler is None:
        advice = (
            "apt install gcc, or conda install gxx, or pip install ziglang (100 MB)"
        )
        if config.cc:
            advice = f"config.cc is {config.cc!r}, from {config.origin('cc')}; correct or remove it"
        missing = "none found: functions run on NumPy, more slowly"
        return Finding("C compiler", "bad", (missing,), advice)
    facts = (
        f"{compiler.path}: {compiler.version.splitlines()[0]}",
        " ".join([*compiler.flags, *config.cflags]),
    )
    if is_zig(compiler.path) and not config.cc:
        return Finding(
            "C compiler",
            "note",
            facts,
            "from the package ziglang, as none is on PATH; gcc makes faster tanh, log1p, erf",
        )
    return Finding("C compiler", "good", facts)


def _headers(compiler: Compiler | None) -> Finding:
    folder = Path(sysconfig.get_path("include"))
    if (folder / "Python.h").is_file():
        return Finding("calls", "good", (f"0.1 µs each; Python.h is in {folder}",))
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Finding(
        "calls",
        "bad" if compiler else "note",
        ("10 µs each, as there is no Python.h",),
        f"apt install python{number}-dev, or what your system calls it, for 0.1 µs",
    )


def _processor() -> Finding:
    features = [name for name in TOLD if name in cpu_features()]
    total = os.cpu_count() or 1
    usable = processors()
    count = (
        f"{usable} processors" if usable == total else f"{usable} of {total} processors"
    )
    threads = {name: getattr(config, name) for name in FLAGS if "threads" in name}
    told = ", ".join(f"{name} = {value}" for name, value in threads.items())
    return Finding(
        "processor",
        "good",
        (
            f"{_model()}; {count}",
            " ".join(features) or "no features known",
            f"threads: {told}",
        ),
    )


def _model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _mathematics(compiler: Compiler | None) -> Finding:
    library = vector_library()
    if library is not None:
        return Finding("vector functions", "good", (f"of glibc: {library}",))
    return Finding(
        "vector functions",
        "note",
        ("none in the C library: loops call its functions element by element",),
        "glibc 2.35 or later on x86-64 has them" if compiler else "",
    )


def _blas() -> Finding:
    blas = find_blas()
    if blas is None:
        return Finding(
            "BLAS",
            "bad",
            ("none found: matrix products are plain loops",),
            "pip install scipy-openblas32",
        )
    origin = "a package" if "scipy_openblas32" in blas.name else "NumPy's own"
    facts = (
        f"{blas.name} ({origin})",
        f"sizes of {blas.integer_bits} bits, threads: {config.blas_threads}",
    )
    return Finding("BLAS", "good", facts)


def _cache() -> Finding:
    cache = default_cache()
    folder, reason = cache.place()
    if folder is None or reason:
        where = "" if folder is None else f"{folder}: "
        return Finding(
            "cache",
            "bad",
            (f"{where}not used, as {reason}; each process compiles anew",),
            "set config.cache_dir to a folder that you own and only you may write to",
        )
    kept = cache.entries()
    size = sum(each.size for each in kept)
    share = (
        f"{len(kept)} programs, {size / 1e6:.1f} of {config.cache_size / 1e6:.0f} MB"
    )
    writable = os.access(folder if folder.exists() else _parent(folder), os.W_OK)
    if not writable:
        return Finding(
            "cache",
            "bad",
            (f"{folder}: only readable; {share}",),
            "set config.cache_dir to a folder that you may write to",
        )
    return Finding("cache", "good", (f"{folder}: {share}",))


def _parent(folder: Path) -> Path:
    return next((each for each in folder.parents if each.exists()), folder)


def _cuda() -> Finding:
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    nvcc = shutil.which("nvcc")
    facts = (
        f"NVIDIA driver: {'found' if driver else 'none'}; nvcc: {nvcc or 'none'}",
        "there is no CUDA back end yet: everything runs on the processor",
    )
    return Finding("GPU", "note", facts)


def _pictures() -> Finding:
    beside = Path(sys.executable).parent
    dot = (
        shutil.which("dot")
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=str(beside))
    )
    if dot is None:
        missing = "no dot: graphs are shown as text"
        return Finding("pictures", "note", (missing,), "pip install graphviz-pure")
    return Finding("pictures", "good", (f"graphs are laid out by {dot}",))


def _notebook() -> Finding:
    wanted = ("IPython", "ipywidgets", "anywidget")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        return Finding(
            "notebook",
            "note",
            (f"not installed: {', '.join(missing)}",),
            'pip install "workbench[notebook]"',
        )
    told = ", ".join(f"{name} {_version(name)}" for name in wanted)
    return Finding("notebook", "good", (told,))


# What is measured


def _tested(
    compiler: Compiler | None,
) -> tuple[CompileTest | None, Iterator[Finding] | tuple[Finding, ...]]:
    if compiler is None:
        return None, ()
    try:
        test = measure_compiling()
    except CompileError as error:
        advice = "mend the compiler, or set config.cc to another"
        return None, (
            Finding("compiling", "bad", tuple(str(error).splitlines()), advice),
        )
    told = f"a small program takes {test.cold * 1e3:.0f} ms, and {test.warm * 1e3:.1f} ms from the cache"
    return test, (Finding("compiling", "good", (told,)),)


def _told_bandwidth(found: tuple[Bandwidth, ...]) -> Finding:
    facts = []
    for each in found:
        triad = "" if each.triad is None else f", triad {each.triad:.1f} GB/s"
        facts.append(f"{_threads(each.threads)}: copy {each.copy:.1f} GB/s{triad}")
    facts[-1] += f" (arrays of {found[-1].bytes >> 20} MiB)"
    return Finding("memory", "good", tuple(facts))


def _told_products(found: tuple[ProductRate, ...]) -> Finding:
    facts = [
        f"{_threads(each.threads)}: float32 {each.float32:.0f}, float64 "
        f"{each.float64:.0f} GFlop/s"
        for each in found
    ]
    size = found[-1].size
    facts[-1] += f" ({size}×{size} by {size}×{size})"
    return Finding("products", "good", tuple(facts))


def _threads(count: int) -> str:
    if not count:
        return "NumPy"
    return "1 thread" if count == 1 else f"{count} threads"
