"""The doctor: what it finds, and what it says of what is missing."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser

import pytest

import workbench as wb
from workbench.compile.c.toolchain import Compiler, find_compiler
from workbench.config import config
from workbench.core.errors import CompileError
from workbench.debug import doctor as module
from workbench.debug import speed
from workbench.debug.doctor import Finding, Health

needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="needs a C compiler"
)


def finding(subject, health=None):
    (found,) = [
        f for f in (health or wb.doctor(measure=False)).findings if f.subject == subject
    ]
    return found


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Arrays and products that take no time: what is measured is not tested."""
    monkeypatch.setattr(speed, "LEAST", 1 << 16)
    monkeypatch.setattr(speed, "MOST", 1 << 16)
    monkeypatch.setattr(speed, "SIZE", 16)


@needs_compiler
def test_a_look_names_the_compiler_and_its_flags():
    compiler = find_compiler()

    with config.change(cflags="-O1"):
        found = finding("C compiler")

    assert found.state == "good"
    assert found.facts[0].startswith(f"{compiler.path}: ")
    assert found.facts[1].split() == [*compiler.flags, "-O1"]


def test_without_a_compiler_it_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(module, "find_compiler", lambda: None)

    health = wb.doctor(measure=False)

    found = finding("C compiler", health)
    assert found.state == "bad" and not health.is_good
    assert "NumPy" in found.facts[0] and "pip install ziglang" in found.advice
    assert "To be mended: C compiler" in str(health)


def test_a_compiler_that_is_chosen_but_missing_is_told():
    with config.change(cc="no-such-cc"):
        found = finding("C compiler")

    assert "config.cc is 'no-such-cc', from Python" in found.advice


def test_the_fallback_compiler_is_a_note(monkeypatch):
    zig = Compiler("/x/ziglang/zig", "clang version 22.1.8\nTarget: x", ("cc", "-O2"))
    monkeypatch.setattr(module, "find_compiler", lambda: zig)

    found = finding("C compiler")

    assert found.state == "note"
    assert found.facts == ("/x/ziglang/zig: clang version 22.1.8", "cc -O2")


def test_without_blas_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module, "find_blas", lambda: None)

    found = finding("BLAS")

    assert found.state == "bad"
    assert found.advice == "pip install scipy-openblas32"


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_cache_that_is_not_trusted_is_told_with_the_reason(tmp_path, mode):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(mode)

    with config.change(cache_dir=str(tmp_path / "cache")):
        found = finding("cache")

    assert found.state == "bad"
    assert f"others may write to it (mode {mode:o})" in found.facts[0]
    assert "config.cache_dir" in found.advice


def test_a_look_makes_nothing(tmp_path):
    with config.change(cache_dir=str(tmp_path / "cache")):
        found = finding("cache")

    assert found.state == "good" and "0 programs, 0.0 of 2147 MB" in found.facts[0]
    assert list(tmp_path.iterdir()) == []


def test_flags_are_told_with_their_origin():
    with config.change(blas_threads=2):
        facts = finding("flags").facts

    assert "blas_threads = 2, from Python" in facts


def test_no_word_promises_a_gpu():
    found = finding("GPU")

    assert found.state == "note"
    assert "there is no CUDA back end yet" in found.facts[1]


def test_missing_packages_are_notes(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    health = wb.doctor(measure=False)

    assert finding("notebook", health).state == "note"
    assert "workbench[notebook]" in finding("notebook", health).advice
    assert "graphviz-pure" in finding("pictures", health).advice


def test_without_headers_of_python_calls_are_slower(monkeypatch, tmp_path):
    monkeypatch.setattr(module.sysconfig, "get_path", lambda name: str(tmp_path))

    found = finding("calls")

    assert "no Python.h" in found.facts[0] and "-dev" in found.advice


# What is measured


@needs_compiler
def test_measures_are_positive_and_told():
    health = wb.doctor()

    assert health.compiling.cold > health.compiling.warm > 0
    threads = sorted({1, speed.processors()})
    assert [b.threads for b in health.bandwidth] == threads
    assert all(b.copy > 0 and b.triad > 0 for b in health.bandwidth)
    assert all(p.float32 > 0 and p.float64 > 0 for p in health.products)
    for word in ("GB/s", "GFlop/s", "from the cache"):
        assert word in str(health)


def test_without_a_compiler_memory_is_still_measured(monkeypatch):
    def build(*_):
        raise CompileError("no")

    monkeypatch.setattr(speed, "build", build)
    monkeypatch.setattr(module, "find_compiler", lambda: None)

    health = wb.doctor()

    assert health.compiling is None
    assert all(b.copy > 0 and b.triad is None for b in health.bandwidth)
    assert "triad" not in str(health)


def test_a_compiler_that_fails_is_told(monkeypatch):
    def build(*_):
        raise CompileError("the C compiler failed: exit status 1\n  command: cc x")

    monkeypatch.setattr(speed, "build", build)
    monkeypatch.setattr(module, "find_compiler", lambda: Compiler("/cc", "cc 1", ()))

    health = wb.doctor()

    (problem,) = [f for f in health.problems if f.subject == "compiling"]
    assert problem.facts == (
        "the C compiler failed: exit status 1",
        "  command: cc x",
    )
    assert "mend the compiler" in problem.advice


def test_without_blas_numpy_multiplies(monkeypatch):
    monkeypatch.setattr(speed, "find_blas", lambda: None)

    (rate,) = speed.measure_products(0.0)

    assert rate.threads == 0 and rate.float32 > 0


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_every_element_is_passed_over_once(threads):
    import numpy as np

    seen = np.zeros(1000, int)
    passes = []

    def kernel(begin, end):
        seen[begin:end] += 1
        if begin == 0:
            passes.append(1)

    speed._best(kernel, 1000, threads, 0.0)

    assert (seen == len(passes)).all()


@needs_compiler
def test_the_product_of_the_library_is_one():
    import numpy as np

    blas = speed.find_blas()
    if blas is None:
        pytest.skip("needs a BLAS library")

    a, out = speed._blas_product(blas, "float64")()

    np.testing.assert_array_equal(out, a @ a)


# How it is shown

ODD = Health(
    (
        Finding("<b>", "bad", ("a & b", "<script>alert(1)</script>"), 'say "no"'),
        Finding("fine", "good", ("yes",)),
    )
)


def test_the_text_has_a_line_for_each_fact():
    assert str(ODD).splitlines() == [
        "✗   <b>   a & b",
        "          <script>alert(1)</script>",
        '          → say "no"',
        "✓   fine  yes",
        "",
        "To be mended: <b>.",
    ]


def test_the_table_escapes_what_it_shows():
    seen = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append(tag)

    Tags().feed(ODD._repr_html_())

    assert set(seen) == {"table", "tbody", "tr", "td", "th", "br", "em", "p"}
    assert "&lt;script&gt;" in ODD._repr_html_()


def test_the_data_are_plain():
    health = wb.doctor(measure=False)

    data = json.loads(json.dumps(health.as_dict()))

    assert data["good"] == health.is_good
    assert [f["subject"] for f in data["findings"]] == [
        f.subject for f in health.findings
    ]
