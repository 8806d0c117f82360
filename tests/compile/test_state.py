"""What happens between calls: interrupts, threads, forks, a missing compiler, odd names."""

import itertools
import os
import signal
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.crowds import in_threads
from tests.forks import exit_status
from tests.interrupts import MODES
from workbench.compile.c import runner, toolchain
from workbench.compile.c.cffi_runner import CffiRunner
from workbench.config import config
from workbench.core.errors import CompilerWarning, OutOfRangeError, ShapeError

ROOT = Path(__file__).parents[2]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


# --- interrupts --------------------------------------------------------------------------


needs_alarm = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="needs SIGALRM"
)


def interrupt(mode, number, size):
    # In a process of its own: an interrupt that falls between two calls ends that only.
    command = [sys.executable, "-m", "tests.interrupts", mode, str(number), str(size)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60 + number
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all or none, {number} times" in done.stdout


@needs_alarm
@pytest.mark.parametrize("mode", MODES)
def test_an_interrupt_changes_all_shared_variables_or_none(mode):
    interrupt(mode, 200, 2000)


@needs_alarm
def test_an_interrupt_of_shared_loops_changes_all_variables_or_none():
    interrupt("FAST_RUN", 40, 200_000)


@pytest.mark.nightly
@needs_alarm
@pytest.mark.parametrize("mode", MODES)
def test_no_variable_is_torn_by_ten_thousand_interrupts(mode):
    interrupt(mode, 10_000, 200_000)


# --- memory ------------------------------------------------------------------------------


def test_a_call_without_memory_changes_nothing_and_the_next_is_right(mode):
    n, w, v = T.lscalar("n"), wb.shared(np.zeros(3), "w"), wb.shared(np.ones(2), "v")
    f = wb.function([n], updates=[(v, v + 1), (w, T.arange(n) * 0.5)], mode=mode)

    for _ in range(2):
        with pytest.raises(MemoryError, match="ran out of memory"):
            f(10**16)
        assert (w.get_value() == np.zeros(3)).all() and (v.get_value() == 1).all()
    f(4)

    np.testing.assert_array_equal(w.get_value(), [0, 0.5, 1, 1.5])
    np.testing.assert_array_equal(v.get_value(), [2, 2])


# --- threads -----------------------------------------------------------------------------


def check_serial_order(mode, number, calls, size=50):
    x, w = T.scalar("x"), wb.shared(np.zeros(size), "w")
    f = wb.function([x], [w + 0, w * 1 + x], updates=[(w, w + x)], mode=mode)
    seen = []

    def work(k):
        for _ in range(calls):
            old, new = f(10.0 ** (k % 4))
            assert (old == old[0]).all()
            seen.append((old[0], new[0]))

    in_threads(work, number)

    seen.sort()
    assert seen[0][0] == 0
    assert all(a[1] == b[0] for a, b in itertools.pairwise(seen))
    assert (w.get_value() == seen[-1][1]).all()
    assert w.get_value()[0] == calls * number / 4 * 1111


def test_calls_from_threads_are_as_if_one_after_the_other(mode):
    check_serial_order(mode, 4, 100)


def test_calls_whose_loops_are_shared_are_as_if_one_after_the_other():
    check_serial_order("FAST_RUN", 4, 30, size=300_000)


@pytest.mark.nightly
def test_a_hundred_thousand_calls_from_eight_threads_are_in_order(mode):
    check_serial_order(mode, 8, 12_500)


def test_threads_get_the_results_of_their_own_arguments(mode):
    x = T.matrix("x")
    f = wb.function([x], [T.tanh(T.dot(x, x)), x.sum(axis=0)], mode=mode)

    def work(k):
        value = np.full((k + 2, k + 2), 0.1 * (k + 1))
        for _ in range(100):
            product, total = f(value)
            np.testing.assert_allclose(product, np.tanh(value @ value), rtol=1e-12)
            np.testing.assert_allclose(total, value.sum(axis=0), rtol=1e-12)

    in_threads(work)


def test_functions_are_made_in_threads():
    x = T.vector("x")
    made = {}

    def work(k):
        made[k] = wb.function([x], T.exp(x) * (k + 2) + x)

    in_threads(work)

    for k, f in made.items():
        np.testing.assert_allclose(f([1.0]), np.e * (k + 2) + 1, rtol=1e-12)


# --- forks -------------------------------------------------------------------------------


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_answers(mode):
    x, w = T.matrix("x"), wb.shared(np.eye(60), "w")
    f = wb.function([x], T.dot(x, w).sum(), updates=[(w, w + 1)], mode=mode)
    value = np.ones((60, 60))
    first = float(f(value))

    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                right = float(f(value)) == 60 * 60 * 61 and w.get_value()[0, 1] == 2
                os._exit(0 if right else 1)
            finally:
                os._exit(2)
        children.append(pid)

    assert first == 3600
    assert [exit_status(pid) for pid in children] == [0, 0]
    assert w.get_value()[0, 1] == 1


# --- without a compiler, without a cache -------------------------------------------------


@pytest.fixture
def fresh_warnings(monkeypatch):
    monkeypatch.setattr(toolchain, "_warned", set())


def logistic_step():
    """One step of a model, with its expected first loss."""
    x, y = T.matrix("x"), T.lvector("y")
    w = wb.shared(np.zeros((3, 2)), "w")
    p = T.nnet.softmax(T.dot(x, w))
    loss = -T.log(p)[T.arange(y.shape[0]), y].mean()
    step = wb.function(
        [x, y], loss, updates=[(w, w - 0.5 * wb.grad(loss, w))], name="step"
    )
    return step, w


def check_step(step, w):
    x, y = np.eye(3), np.array([0, 1, 1])
    losses = [float(step(x, y)) for _ in range(5)]
    assert losses[0] == pytest.approx(np.log(2), rel=1e-12)
    assert losses == sorted(losses, reverse=True)
    before = w.get_value()
    with pytest.raises(OutOfRangeError, match="In|line|test_state"):
        step(x, y + 1)
    np.testing.assert_array_equal(w.get_value(), before)


def test_without_a_compiler_numpy_runs_after_one_warning(fresh_warnings):
    with config.change(cc="/nonexistent/cc"):
        with pytest.warns(CompilerWarning, match="/nonexistent/cc") as caught:
            step, w = logistic_step()
            second = wb.function([], T.constant(2.0) + w.sum())

        check_step(step, w)
        second()

    assert len(caught) == 1
    assert "Install one" in str(caught[0].message) and "NumPy" in str(caught[0].message)
    assert step.compilation.backend == "numpy"
    assert step.compilation.backend_reason == "no working C compiler"
    assert step.source == ""
    assert "NumPy (no working C compiler)" in repr(step)


@pytest.mark.parametrize("kind", ["a file", "in a file", "not ours"])
def test_where_the_cache_cannot_be_written_functions_are_compiled_still(
    tmp_path, kind, fresh_warnings
):
    folder = tmp_path / "cache"
    if kind == "not ours":
        folder.mkdir()
        folder.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    else:
        folder.write_text("")
        folder = folder / "modules" if kind == "in a file" else folder

    with (
        config.change(cache_dir=str(folder)),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        step, w = logistic_step()
        check_step(step, w)

    assert step.compilation.backend == "c"
    assert len(caught) <= 1
    assert all(issubclass(w.category, CompilerWarning) for w in caught)


def test_without_the_extension_functions_are_called_through_cffi(monkeypatch):
    monkeypatch.setattr(runner, "_extension", lambda: None)

    step, w = logistic_step()

    assert isinstance(step._run, CffiRunner)
    check_step(step, w)
    with pytest.raises(ShapeError, match="x has 4 columns but w has 3 rows") as caught:
        step(np.ones((3, 4)), np.zeros(3, int))
    assert "call 7, mode FAST_RUN" in str(caught.value)


# --- names -------------------------------------------------------------------------------

HOSTILE = [
    "*/", "/*", "//", "\\", "\\\n", "a\nb", "\r", "\0", "\x1b[31m", "\u2028", "\u202e", "??/", "??=", "<%", "%:",
    "%s", "%n", "%", "{x}", "{", "}", "{{}}", "{0.__class__}", '"', "'", '"""', "`", "$(id)", "`id`", ";", "; int x;",
    "#include <x.h>", "\n#error no\n", "#define int char", "int", "double", "return", "restrict", "static", "main",
    "wb_run", "wb_call", "wb_abi", "c", "x0", "m0", "n0", "a1", "v1", "k0", "i0", "steps", "prepare", "NULL", "INFINITY",
    "", " ", "-", "--help", "-o", "@file", "../../x", "/etc/passwd", "a" * 10_000, "ä", "変数", "🙂", "\ud800", "e\u0301",
    "<script>alert(1)</script>", "</pre>", "&lt;", "]]>", "<!--", "javascript:x", "a,b", "a|b", "a:b", "a->b", "[0]",
    "{a|b}", "\\N", "\\u0041", "\\x41", "\t", "\v", "\f", "\x85", "None", "lambda", "class", "self", "__class__", "x.y",
    "1", "1e999", "nan", "True", "_", "__", "0x", "u8\"x\"", "L'a'", "asm", "__asm__", "_Pragma(\"x\")", "defined",
]  # fmt: skip


def named(name, mode="FAST_RUN"):
    x, y = T.matrix(name), T.lvector(name)
    w = wb.shared(np.ones((2, 3)), name)
    h = T.tanh(T.dot(x, w))
    h.name = name
    total = h[T.arange(y.shape[0]), y].sum()
    total.name = name
    return wb.function(
        [x, y], total, updates=[(w, w * 2 + total)], name=name or None, mode=mode
    )


def test_names_never_reach_the_compiled_text():
    plain = named("plain")
    lines = plain.source.count("\n")

    assert len(HOSTILE) >= 100
    for name in HOSTILE:
        f = named(name)
        assert f.program.text.code == plain.program.text.code, name
        assert f.source.count("\n") == lines, name
        assert f.source.isprintable() or all(
            c.isprintable() or c == "\n" for c in f.source
        ), name


@pytest.mark.parametrize("mode", ["FAST_RUN", "None"])
def test_nothing_breaks_on_any_name(mode):
    for name in HOSTILE:
        f = named(name, mode)
        assert f(np.zeros((2, 2)), [0, 2]) == 0
        repr(f), str(f.compilation.summary())
        wb.debugprint(f, file="str")
        for args in [
            (np.zeros((2, 3)), [0, 1]),
            (np.zeros((2, 2)), [0, 3]),
            (np.zeros(2), [0]),
            (1,),
        ]:
            with pytest.raises((ValueError, IndexError, TypeError)) as caught:
                f(*args)
            text = str(caught.value)
            assert all(c.isprintable() or c == "\n" for c in text), repr(name[:20])
            assert max(map(len, text.split("\n"))) < 300, repr(name[:20])
