"""Functions that use threads, called in child processes."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.compile.c.toolchain import find_compiler
from workbench.config import config

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

ROOT = Path(__file__).parents[2]
METHODS = multiprocessing.get_all_start_methods()


def run(method, number, seconds):
    # In a process of its own, which begins with one thread.
    command = [sys.executable, "-m", "tests.forks", method, str(number), str(seconds)]
    environment = {**os.environ, "WORKBENCH_CACHE_DIR": config.cache_dir}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 + number * seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{number} answers" in done.stdout


@pytest.mark.parametrize("method", METHODS)
def test_children_answer(method):
    run(method, 8 if method == "fork" else 4, 60)


@pytest.mark.nightly
@pytest.mark.parametrize("method", METHODS)
def test_two_hundred_children_answer_within_seconds(method):
    run(method, 200, 5)
