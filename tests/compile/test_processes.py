"""Several programs at once: in order, not too many, and none left behind."""

from __future__ import annotations

import os
import threading
import time

import pytest

from tests.compile.compilers import has_ended
from workbench.compile.c.processes import Stopped, run, run_all
from workbench.core.errors import CompileError


def shell(*texts):
    return [["/bin/sh", "-c", text] for text in texts]


def test_outputs_are_those_of_the_commands_in_order():
    ended = []

    texts = run_all(
        shell("sleep 0.2; echo slow", "echo quick; echo error >&2"),
        None,
        10,
        jobs=2,
        ended=ended.append,
    )

    assert texts == ["slow\n", "quick\nerror\n"]
    assert ended == [1, 0]


def test_no_more_run_than_may(tmp_path):
    text = "mkdir $0.lock && sleep 0.05 && rmdir $0.lock"
    command = ["/bin/sh", "-c", text, str(tmp_path / "one")]

    assert run_all([command] * 4, None, 10, jobs=1) == [""] * 4


def test_two_run_at_the_same_time(tmp_path):
    meet = "touch {}; while [ ! -e {} ]; do sleep 0.01; done"

    run_all(shell(meet.format("a", "b"), meet.format("b", "a")), tmp_path, 10, jobs=2)


def test_a_long_output_is_read_to_its_end():
    (text,) = run_all(shell("yes | head -n 200000; echo end"), None, 30)

    assert text.startswith("y\ny\n") and len(text) <= 1 << 16


def test_an_error_ends_the_others(tmp_path):
    with pytest.raises(CompileError, match="exit status 3"):
        run_all(
            shell("echo $$ > pid; sleep 60", "sleep 0.2; exit 3"),
            tmp_path,
            10,
            jobs=2,
        )

    assert has_ended(int((tmp_path / "pid").read_text()))


def test_too_long_a_time_ends_all_that_was_started(tmp_path):
    with pytest.raises(CompileError, match=r"did not end within 0.3 seconds"):
        run(["/bin/sh", "-c", "sleep 60 & echo $! > pid; wait"], tmp_path, 0.3)

    for _ in range(100):
        if has_ended(int((tmp_path / "pid").read_text())):
            break
        time.sleep(0.01)
    else:
        pytest.fail("it still runs")


def test_another_thread_can_call_the_work_off():
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()

    with pytest.raises(Stopped):
        run_all(shell("sleep 60"), None, 60, stop=stop)


def test_variables_are_passed_on(monkeypatch):
    monkeypatch.setenv("WORKBENCH_TEST", "a")

    text = run(["/bin/sh", "-c", "echo $WORKBENCH_TEST $MORE"], None, 10, {"MORE": "b"})

    assert text == "a b\n"


def test_no_descriptor_is_left_open():
    before = len(os.listdir("/proc/self/fd"))

    run_all(shell("echo", "echo"), None, 10, jobs=2)
    with pytest.raises(CompileError):
        run_all(shell("exit 1", "sleep 60"), None, 10, jobs=2)

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
def test_a_forked_process_takes_no_output_along():
    """What a compiler prints ends with the compiler, whoever was forked meanwhile."""
    wait, go_on = os.pipe()
    texts = []
    thread = threading.Thread(
        target=lambda: texts.extend(run_all(shell("echo a") * 100, None, 60))
    )
    thread.start()
    children = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os.close(go_on)
            os.read(wait, 1)  # Until the parent has closed its end.
            os._exit(0)
        children.append(child)
        time.sleep(0.003)

    thread.join(60)
    ended = not thread.is_alive()
    os.close(go_on)
    for child in children:
        os.waitpid(child, 0)
    os.close(wait)
    thread.join(60)

    assert ended and texts == ["a\n"] * 100
