"""The command ``workbench``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.__main__ import main
from workbench.compile.cache import Cache
from workbench.config import config
from workbench.debug import doctor as doctor_module

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cache(tmp_path):
    """A cache with two entries."""
    made = Cache(tmp_path / "cache")
    for key in ("a", "b"):
        made.fetch(key, lambda folder: (folder / "program.so").write_bytes(b"x" * 5000))
    with config.change(cache_dir=str(tmp_path / "cache")):
        yield tmp_path / "cache"


def test_doctor_prints_what_it_finds(capsys):
    status = main(["doctor", "--quick"])

    printed = capsys.readouterr().out
    assert status == 0
    assert "C compiler" in printed and "BLAS" in printed and "GB/s" not in printed


def test_doctor_prints_json(capsys):
    main(["doctor", "--quick", "--json"])

    data = json.loads(capsys.readouterr().out)
    assert {f["subject"] for f in data["findings"]} >= {"C compiler", "cache", "GPU"}


def test_doctor_fails_when_something_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(doctor_module, "find_compiler", lambda: None)

    assert main(["doctor", "--quick"]) == 1


def test_cache_shows_folder_and_size(capsys, cache):
    assert main(["cache"]) == 0

    folder, size = capsys.readouterr().out.splitlines()
    assert folder == str(cache)
    assert size.startswith("2 programs, 0.0 MB; config.cache_size is 2147 MB")


def test_cache_clear_removes_all_and_says_how_much(capsys, cache):
    assert main(["cache", "clear"]) == 0

    assert "removed 2 programs" in capsys.readouterr().out
    assert list(cache.iterdir()) == []


def test_clearing_what_is_not_there_makes_nothing(capsys, tmp_path):
    with config.change(cache_dir=str(tmp_path / "none")):
        assert main(["cache", "clear"]) == 0

    assert "removed 0 programs" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("action", ["show", "clear"])
def test_a_cache_that_others_may_write_to_is_not_touched(capsys, cache, action):
    cache.chmod(0o777)

    assert main(["cache", action]) == 1

    assert "others may write to it" in capsys.readouterr().out
    assert any(cache.iterdir())


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["cache", "burn"]])
def test_what_is_not_understood_is_explained(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert "usage: workbench" in capsys.readouterr().err


def test_it_runs_as_a_module(tmp_path):
    environment = {**os.environ, "WORKBENCH_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "workbench", "cache"]

    output = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)

    assert output.startswith(f"{tmp_path}\n0 programs")
