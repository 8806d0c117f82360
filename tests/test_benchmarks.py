"""The benchmarks run, check and print; how fast anything is, is not asked here."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.harness import (
    Measurement,
    Setting,
    is_asked,
    measure,
    measure_calls,
    needed,
    running,
)
from benchmarks.peers import NumPy
from benchmarks.peers.base import NotForThisPeerError
from benchmarks.peers.limit import Limit
from benchmarks.process import PeerError, Process
from benchmarks.rows import Target
from benchmarks.serve import Server
from benchmarks.tables import Table, markdown
from benchmarks.workloads import LOGREG, PLUS_ONE, STARTS, WORKLOADS

LARGE = (
    "4096",
    "10^7",
    "10^6",
    "hidden 256",
    "batch 500, filters",
    "@56",
    "@224",
    "@28",
)
SMALL = [w for w in WORKLOADS if not any(size in w.title for size in LARGE)]
GRAPHS = [s.workload for s in STARTS if s.row in ("cold-100", "cold-1000")]


# --- what is computed ----------------------------------------------------------------


@pytest.mark.parametrize("workload", [*SMALL, *GRAPHS], ids=lambda w: w.name)
def test_what_is_computed_by_hand_is_what_workbench_derives(workload):
    server = Server("workbench-numpy")

    server.first(workload)


@pytest.mark.nightly
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
def test_programs_in_c_compute_the_same(workload):
    server = Server("workbench")

    server.first(workload)


def test_a_peer_that_computes_something_else_is_not_timed():
    server = Server("numpy")
    wrong = replace(PLUS_ONE, expression=lambda peer, x: x + isinstance(peer, Wrong))
    server.peer = Wrong()

    with pytest.raises(AssertionError):
        server.first(wrong)


class Wrong(NumPy):
    """A peer of which expressions can tell that it is not the reference."""


def test_a_peer_that_computes_in_double_precision_is_not_timed():
    server = Server("numpy")
    wide = replace(
        PLUS_ONE,
        expression=lambda peer, x: (x + 1).astype(
            "d" if isinstance(peer, Wrong) else "f"
        ),
    )
    server.peer = Wrong()

    with pytest.raises(AssertionError, match="float64"):
        server.first(wide)


def test_parameters_after_a_step_are_compared_too():
    server = Server("numpy")
    server.peer = Lazy()

    with pytest.raises(AssertionError):
        server.first(LOGREG)


class Lazy(NumPy):
    """A peer whose steps return the loss and leave the parameters as they are."""

    def train(self, workload):
        return super().train(replace(workload, rate=0.0))


def test_the_step_in_numpy_goes_down_the_gradient():
    arrays = {**LOGREG.inputs(), **LOGREG.state()}

    losses = [LOGREG.by_hand(*arrays.values(), rate=1e-3) for _ in range(3)]

    assert losses[0] == pytest.approx(np.log(10), rel=1e-6)
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("name", ["lstm-50", "lstm-50-joined"])
def test_the_step_of_an_lstm_in_numpy_goes_down_the_gradient(name):
    (lstm,) = (w for w in WORKLOADS if w.name == name)
    arrays = {**lstm.inputs(), **lstm.state()}

    first, second = (lstm.by_hand(*arrays.values(), rate=0.1) for _ in range(2))

    mean_length = arrays["mask"].sum(axis=0).mean()
    assert first == pytest.approx(mean_length * np.log(84), rel=0.02)
    assert second < first


def test_gates_side_by_side_learn_what_gates_apart_do():
    apart, joined = (
        next(w for w in WORKLOADS if w.name == name)
        for name in ("lstm-50", "lstm-50-joined")
    )
    arrays = [{**w.inputs(), **w.state()} for w in (apart, joined)]

    losses = [
        [w.by_hand(*each.values(), rate=0.1) for _ in range(2)]
        for w, each in zip((apart, joined), arrays, strict=True)
    ]

    assert losses[0] == losses[1]
    beside = np.concatenate([arrays[0][f"U{gate}"] for gate in "ifos"], axis=1)
    np.testing.assert_allclose(beside, arrays[1]["U"], rtol=1e-6)


def test_a_limit_is_a_time_for_rows_that_have_one():
    try:
        limit = Limit()
    except NotForThisPeerError as error:
        pytest.skip(str(error))

    assert limit.job(LOGREG).seconds(1) > 0
    with pytest.raises(NotForThisPeerError, match="no physical limit"):
        limit.job(PLUS_ONE)


# --- processes -----------------------------------------------------------------------


def test_a_peer_that_is_not_there_is_left_out_and_named(tmp_path):
    setting = Setting(
        {"jax": script(tmp_path, """echo '{"error": "not installed"}'""")}
    )

    measured = list(measure(setting, lambda row: row == "x+1"))

    assert measured == [[]]
    assert setting.missing == {"jax": "not installed"}


def test_a_peer_whose_process_ends_loses_that_row_and_is_started_again(tmp_path):
    dying = script(
        tmp_path,
        """echo '{"version": "1"}'; read line; echo "Segmentation fault" >&2; exit 1""",
    )
    setting = Setting({"jax": dying})

    with running(setting, setting.place(1, tmp_path)) as peers:
        (first,) = measure_calls(PLUS_ONE, peers, 1)
        (second,) = measure_calls(LOGREG, peers, 1)

    for measured in (first, second):
        assert measured.error == "its process ended: Segmentation fault"


def test_a_peer_that_does_not_answer_is_ended(tmp_path):
    silent = script(tmp_path, """echo '{"version": "1"}'; exec sleep 100""")
    process = Process("jax", silent, Setting({}).place(1, tmp_path))

    with pytest.raises(PeerError, match=r"took more than 0\.1 s"):
        process.ask("first", patience=0.1)

    assert process.ended
    process.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_peer_stands_still_until_it_is_asked(tmp_path):
    busy = script(tmp_path, """echo '{"version": "1"}'; while :; do :; done""")
    process = Process("jax", busy, Setting({}).place(1, tmp_path))
    facts = Path(f"/proc/{process.process.pid}/stat")

    state = wait_for("T", lambda: facts.read_text().rpartition(")")[2].split()[0])

    assert state == "T"
    with pytest.raises(PeerError):
        process.ask("first", patience=0)
    process.close()


def wait_for(wanted, look):
    """What is seen at last: `wanted`, or what else there is after ten seconds."""
    deadline = time.monotonic() + 10
    while (seen := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def script(folder, text):
    """A program in the place of a Python interpreter."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{text}\n")
    python.chmod(0o755)
    return str(python)


def test_a_graph_is_not_tried_where_a_smaller_one_took_too_long():
    small, large = (s for s in STARTS if s.row in ("cold-1000", "cold-5000"))
    took = Measurement(small.row, small.title, "pytensor")
    slow, quick = (Measurement(large.row, large.title, "pytensor") for _ in range(2))

    took.samples = [43.0]
    slow_is_asked = is_asked(large, slow, [(small, took)], again=False)
    took.samples = [2.0]
    quick_is_asked = is_asked(large, quick, [(small, took)], again=False)

    assert not slow_is_asked
    assert (
        slow.error == "not tried: 1,000 operations took 43 s, and a start may take 120"
    )
    assert quick_is_asked and quick.error == ""


def test_a_slow_start_is_measured_once():
    start = next(s for s in STARTS if s.row == "cold-logreg")
    one = Measurement(start.row, start.title, "pytensor", samples=[15.0])

    assert not is_asked(start, one, [], again=True)
    assert one.error == ""


def test_a_warm_start_asks_for_the_cold_one_that_fills_the_cache():
    rows = [s.row for s in needed(lambda row: row == "warm-mlp")]

    assert rows == ["cold-mlp", "warm-mlp"]


# --- tables --------------------------------------------------------------------------


def test_memory_is_what_a_process_grows_by_in_a_loop():
    (row,) = measure(Setting({"numpy": sys.executable}), lambda r: r == "memory-lstm")

    (one,) = row
    # At least the four gates of all steps are there at once.
    assert one.unit == "MiB" and one.samples[0] > 1000 * 100 * 4 * 50 * 4 / 2**20


def test_calls_may_be_timed_by_the_processor_time_they_take():
    waits = "from benchmarks.peers.base import Job, time; print(Job(%s).seconds(1))"
    setting = Setting({}, clock="cpu")
    command = [sys.executable, "-c", waits % "lambda: time.sleep(0.2)"]
    environment = setting.place(1, Path()).environment()

    slept = subprocess.run(command, env=environment, capture_output=True, check=True)

    assert float(slept.stdout) < 0.1


def test_a_run_prints_a_row_and_writes_every_sample(tmp_path, capsys):
    data, page = tmp_path / "result.json", tmp_path / "result.md"

    asked = ["--peers=numpy", "--rows=x+1", "--rounds=2", "--threads=1"]
    main([*asked, f"--json={data}", f"--markdown={page}"])

    (row,) = json.loads(data.read_text())["measurements"]
    assert (row["row"], row["peer"], len(row["samples"])) == ("x+1", "numpy", 2)
    assert "call: x + 1" in capsys.readouterr().out
    assert "## Calls, 1 thread\n" in page.read_text()


ROW = [
    Measurement("r", "title", "workbench", samples=[1e-6], target=Target(0.5, 0.1)),
    Measurement("r", "title", "numpy", samples=[4e-6]),
    Measurement("r", "title", "jax", error="it broke"),
    Measurement("r", "title", "limit", samples=[5e-7]),
]
TABLE = Table(["workbench", "numpy", "jax", "limit"], "median")


def test_a_row_shows_the_ratio_to_the_fastest_peer_and_its_targets():
    line = TABLE.line(TABLE.cells(ROW))

    shown = "title 1 µs 4 µs – 500 ns ±0% ±0% 0.25 numpy 50% 0.5 0.1 held"
    assert line.split() == shown.split()


def test_two_threads_may_have_targets_of_their_own():
    target = Target(1.0, 0.9, at_two=(0.5, 0.4))
    row = [replace(m, target=target, threads=2) for m in ROW]

    assert TABLE.cells(row)[-3:] == ["0.5", "0.4", "aim"]


def test_rows_of_one_kind_share_a_table_of_markdown():
    lines = markdown(TABLE, [ROW, ROW]).splitlines()

    assert lines[0] == "## Calls, 1 thread"
    assert lines[2].startswith("|   | workbench | numpy |")
    assert [line for line in lines if line.startswith("| title | 1 µs |")] == lines[4:6]
