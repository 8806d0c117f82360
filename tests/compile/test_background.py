"""Functions that NumPy runs until their C program is there."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.compile.compilers import soon_ended, waiting, wrapper
from workbench.compile.c import toolchain
from workbench.compile.c.runner import _extension
from workbench.compile.c.toolchain import find_compiler
from workbench.compile.jobs import Job
from workbench.config import config
from workbench.core.errors import CompilerWarning

needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="needs a C compiler"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    _extension()  # Outside the test's own cache: it is of no interest here.
    monkeypatch.setattr(toolchain, "_warned", set())
    with config.change(cache_dir=str(tmp_path / "cache")):
        yield


@pytest.fixture
def sign(tmp_path):
    """A file for which the compiler of the test waits."""
    path = tmp_path / "sign"
    with config.change(cc=waiting(tmp_path / "bin", path)):
        yield path
    path.touch()


def counter(**options):
    """Adds its argument to a shared variable and returns what was there before."""
    x = T.dscalar("x")
    n = wb.shared(0.0, "n")
    f = wb.function([x], n, updates=[(n, n + x)], name="count", **options)
    return f, n


@needs_compiler
def test_numpy_runs_until_c_is_there(sign):
    f, n = counter(compile="background")

    early = [float(f(1)) for _ in range(3)]
    assert not f.ready and not f.wait(0)
    assert f.compilation.backend == "numpy" and f.source == ""
    sign.touch()
    assert f.wait(60) and f.ready

    assert f.compilation.backend == "c" and "wb_run" in f.source
    assert [*early, *(float(f(1)) for _ in range(3))] == [0, 1, 2, 3, 4, 5]
    assert n.get_value() == 6


@needs_compiler
def test_a_call_makes_the_switch_by_itself(sign):
    f, _ = counter(compile="background")
    background = f._background
    sign.touch()
    assert background.job.wait(60)
    assert f.compilation.backend == "numpy"

    f(1)

    assert f.compilation.backend == "c"
    assert f._background is None


@needs_compiler
def test_a_call_under_way_ends_on_numpy(sign):
    """The program is there in the middle of a call, which goes on as it began."""
    inside, go_on = threading.Event(), threading.Event()

    @wb.elementwise
    def slow(x):
        inside.set()
        go_on.wait(60)
        return np.asarray(x)

    x = T.vector("x")
    n = wb.shared(np.zeros(2), "n")
    f = wb.function([x], n, updates=[(n, n + slow(x))], compile="background")
    background = f._background
    results = []
    thread = threading.Thread(target=lambda: results.append(f([1.0, 2.0])))
    thread.start()
    assert inside.wait(60)
    sign.touch()
    assert background.job.wait(60)

    other = threading.Thread(target=lambda: results.append(f([1.0, 2.0])))
    other.start()  # Has to wait for the first: both update n.
    go_on.set()
    thread.join(60)
    other.join(60)

    assert f.compilation.backend == "c"
    assert sorted(r.tolist() for r in results) == [[0, 0], [1, 2]]
    assert n.get_value().tolist() == [2, 4]


@needs_compiler
def test_no_update_is_lost_at_the_switch(sign):
    f, n = counter(compile="background")
    calls = 200

    def work():
        for _ in range(calls):
            f(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    sign.touch()
    for thread in threads:
        thread.join(60)
    assert f.wait(60)

    assert n.get_value() == 4 * calls


@needs_compiler
def test_results_are_those_of_a_function_compiled_now():
    x = T.matrix("x")
    out = T.nnet.softmax(x * 2).sum(axis=0)
    values = np.random.default_rng(1).normal(size=(5, 4))
    f = wb.function([x], out, compile="background")

    early = f(values)
    f.wait(60)

    np.testing.assert_allclose(early, f(values), rtol=1e-13)
    np.testing.assert_array_equal(f(values), wb.function([x], out)(values))


@needs_compiler
def test_a_flag_says_it_for_all():
    with config.change(compile="background"):
        f, _ = counter()
        g, _ = counter(compile="now")

    assert f._background is not None
    assert g._background is None and g.ready and g.wait()
    assert f.wait(60)


def test_other_words_are_refused():
    with pytest.raises(ValueError, match='"now" or "background", not .later.'):
        counter(compile="later")


def test_modes_without_c_have_nothing_to_wait_for():
    f, _ = counter(compile="background", mode="FAST_COMPILE")

    assert f.ready and f.wait()


@needs_compiler
def test_copies_and_pickles_are_made_in_the_background_too(sign):
    f, n = counter(compile="background")
    f(2)

    g = pickle.loads(pickle.dumps(f))
    h = f.copy()
    assert not g.ready and not h.ready
    assert float(g(1)) == float(h(1)) == 2
    sign.touch()

    assert g.wait(60) and h.wait(60) and f.wait(60)
    assert float(g(1)) == 3
    assert float(f(1)) == float(n.get_value()) - 1


@needs_compiler
def test_other_outputs_are_made_in_the_background_too(sign):
    x = T.vector("x")
    f = wb.function([x], [x + 1, x * 2], compile="background")

    (got,) = f([1.0], output_subset=[1])

    assert got.tolist() == [2]


@needs_compiler
def test_a_failing_compiler_gives_one_warning(tmp_path):
    body = 'echo "cc1: error: out of order" >&2; exit 3'
    with config.change(cc=wrapper(tmp_path / "bin", body)):
        f, _ = counter(compile="background")
        g, _ = counter(compile="background")
        assert f._background.job.wait(60) and g._background.job.wait(60)

        with pytest.warns(CompilerWarning, match="out of order") as caught:
            values = [float(h(1)) for h in (f, f, g, g)]

    assert len(caught) == 1
    assert values == [0, 1, 0, 1]
    assert f.ready and f.compilation.backend_reason == "no working C compiler"


def test_without_a_compiler_the_warning_comes_at_once():
    with (
        config.change(cc="no-such-compiler"),
        pytest.warns(CompilerWarning, match="no-such-compiler"),
    ):
        f, _ = counter(compile="background")

    assert f.ready and [float(f(1)), float(f(1))] == [0, 1]


@needs_compiler
def test_settings_are_those_of_the_time_it_was_asked_for(tmp_path, sign):
    with config.change(cache_dir=str(tmp_path / "other")):
        f, _ = counter(compile="background")

    sign.touch()
    f.wait(60)

    assert f.program.module.path.is_relative_to(tmp_path / "other")


@needs_compiler
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
def test_a_forked_process_compiles_for_itself(sign):
    f, _ = counter(compile="background")
    child = os.fork()
    if child == 0:
        sign.touch()
        good = f.wait(60) and float(f(1)) == 0 and f.compilation.backend == "c"
        os._exit(0 if good else 1)

    _, status = os.waitpid(child, 0)

    assert status == 0
    assert f.wait(60)


@needs_compiler
def test_a_process_that_ends_leaves_no_compiler(tmp_path):
    sign = tmp_path / "sign"
    pids = Path(f"{sign}.pids")
    script = (
        "import time\n"
        "from pathlib import Path\n"
        "import workbench as wb, workbench.tensor as T\n"
        "from workbench.compile.c.runner import _extension\n"
        "_extension()\n"
        f"wb.config.cc = {waiting(tmp_path / 'bin', sign)!r}\n"
        f"wb.config.cache_dir = {str(tmp_path / 'modules')!r}\n"
        "x = T.vector('x')\n"
        "fs = [wb.function([x], x * k, compile='background') for k in range(3)]\n"
        f"while not Path({str(pids)!r}).exists(): time.sleep(0.01)\n"
        "assert fs[2]([2.0])[0] == 4\n"
    )

    subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        check=True,
        timeout=60,
        env={**os.environ, "WORKBENCH_CACHE_DIR": config.cache_dir},
    )

    assert soon_ended(pids), "a compiler still runs"
    assert not list((tmp_path / "modules").glob("tmp-*"))


# Jobs


def test_one_job_works_at_a_time():
    working, most = [], []

    def work(stop):
        working.append(1)
        most.append(len(working))
        time.sleep(0.01)
        working.pop()

    jobs = [Job(work) for _ in range(5)]

    assert all(job.wait(60) for job in jobs)
    assert most == [1] * 5


def test_what_a_job_raises_comes_out_with_its_result():
    def work(stop):
        raise ZeroDivisionError("on purpose")

    job = Job(work)

    assert job.wait(60)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        job.result()


def test_a_job_that_is_stopped_before_its_turn_does_nothing():
    release, done = threading.Event(), []
    first = Job(lambda stop: release.wait(60))
    second = Job(lambda stop: done.append(1))

    second.stop()
    release.set()

    assert first.wait(60) and second.wait(60)
    assert done == [] and second.result() is None
