"""The benchmarks run, check and print; how fast anything is, is not asked here."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import Table, main
from benchmarks.harness import Measurement, Setting, measure
from benchmarks.peers import NumPy, Server
from benchmarks.workloads import LOGREG, PLUS_ONE, Target


def test_a_run_prints_a_row_and_writes_every_sample(tmp_path, capsys):
    file = tmp_path / "result.json"

    main(["--peers=numpy", "--rows=x+1", "--rounds=2", f"--json={file}"])

    (row,) = json.loads(file.read_text())["measurements"]
    assert (row["row"], row["peer"], len(row["samples"])) == ("x+1", "numpy", 2)
    assert "call: x + 1" in capsys.readouterr().out


def test_a_peer_that_is_not_there_is_left_out_and_named(tmp_path):
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh\necho '{"error": "not installed"}'\n""")
    python.chmod(0o755)
    setting = Setting({"jax": str(python)})

    measured = list(measure(setting, lambda row: row == "x+1"))

    assert measured == [[]]
    assert setting.missing == {"jax": "not installed"}


def test_a_peer_that_computes_something_else_is_not_timed():
    server = Server("numpy")
    wrong = replace(PLUS_ONE, expression=lambda peer, x: x + isinstance(peer, Wrong))
    server.peer = Wrong()

    with pytest.raises(AssertionError):
        server.first(wrong)


class Wrong(NumPy):
    """A peer of which expressions can tell that it is not the reference."""


def test_the_step_in_numpy_goes_down_the_gradient():
    arrays = {**LOGREG.inputs(), **LOGREG.state()}

    losses = [LOGREG.step(*arrays.values(), rate=1e-3) for _ in range(3)]

    assert losses[0] == pytest.approx(np.log(10), rel=1e-6)
    assert losses[0] > losses[1] > losses[2]


def test_a_row_shows_the_ratio_to_the_fastest_peer_and_its_limits():
    row = [
        Measurement("r", "title", "workbench", samples=[1e-6], target=Target(0.5, 0.1)),
        Measurement("r", "title", "numpy", samples=[4e-6]),
        Measurement("r", "title", "jax", error="it broke"),
    ]

    line = Table(["workbench", "numpy", "jax"], "median").row(row)

    shown = "title 1 µs 4 µs failed ±0% 0.25 numpy 0.5 0.1 held"
    assert line.split() == shown.split()
