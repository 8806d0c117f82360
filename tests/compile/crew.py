"""Processes that compile the same programs, to be killed, starved and misled by tests.

``python -m tests.compile.crew`` imports workbench once and then forks a process for every
task that it reads, one a line; so hundreds of them cost little. `Crew` speaks to it.

A task is a dict: ``programs`` (numbers, see `program`), ``config`` and ``environ`` to set,
variables to go ``without``, ``user`` to become, ``patch`` to run first, and ``strict`` to
have warnings raise. Its result is a dict: ``wrong`` (numbers of
programs whose value is not NumPy's), ``backends``, ``hits`` (programs found compiled),
``warnings`` (their texts), ``seconds``; or ``error``, a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


class Crew:
    """A process that forks others; a context manager.

    With `warm` it has compiled a program before, and has all that this needs in memory.
    """

    def __init__(self, folder, warm=False):
        self.arguments = ["warm"] if warm else []
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)  # A task may become another user.
        self.count = 0

    def __enter__(self):
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "WORKBENCH_CONFIG": os.devnull,
        }
        command = [sys.executable, "-m", "tests.compile.crew", *self.arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.stdout.close()
        assert self.server.wait(60) == 0

    def start(self, **task):
        """Start a process; returns what `wait` and `kill` take."""
        self.count += 1
        result = self.folder / f"result-{self.count}.json"
        return self._say({**task, "result": str(result)}), result

    def kill(self, process, after):
        """End a process with SIGKILL after so many seconds, if it still runs."""
        time.sleep(after)
        os.kill(process[0], signal.SIGKILL)
        self._say({"wait": process[0]})

    def wait(self, process):
        """The result of a process."""
        pid, result = process
        status = self._say({"wait": pid})
        assert status == 0, f"the process ended with status {status}"
        return json.loads(result.read_text())

    def run(self, **task):
        """Start a process and wait for its result, which must be right."""
        result = self.wait(self.start(**task))
        assert "error" not in result, result["error"]
        assert result["wrong"] == []
        return result

    def _say(self, message):
        print(json.dumps(message), file=self.server.stdin, flush=True)
        return json.loads(self.server.stdout.readline())


def program(number):
    """A program that no other number has, an argument, and the value it must have."""
    import workbench.tensor as T

    x = T.vector("x", dtype="float64")
    values = np.linspace(-1.0, 2.0, 7)
    c = 1.0 + number / 8.0  # Exact, so that both sides round alike.
    if number % 4 == 0:
        return x, x * c + c, values, values * c + c
    if number % 4 == 1:
        return x, (x * c) ** 2 - x, values, (values * c) ** 2 - values
    if number % 4 == 2:
        return x, (x + c).sum(), values, (values + c).sum()
    # Long enough to be compiled in several pieces.
    y, expected = x, values
    for k in range(3):
        y = (y - y.mean() * c) / (1 + (y * y).sum()) + k
        expected = (expected - expected.mean() * c) / (1 + (expected**2).sum()) + k
    return x, y, values, expected


def do(task):
    """What a forked process does."""
    import workbench as wb
    from workbench.config import config

    os.environ.update(task.get("environ", {}))
    for name in task.get("without", ()):
        os.environ.pop(name, None)
    if "user" in task:
        os.setgid(task["user"])
        os.setuid(task["user"])
    if "patch" in task:
        exec(task["patch"], {})
    found = {"wrong": [], "backends": [], "hits": 0, "warnings": []}
    start = time.perf_counter()
    with (
        config.change(**task.get("config", {})),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("error" if task.get("strict") else "always")
        for number in task["programs"]:
            x, y, argument, expected = program(number)
            f = wb.function([x], y, name=f"f{number}")
            got = f(argument)
            if not np.allclose(got, expected, rtol=1e-12, atol=0):
                found["wrong"].append(number)
            found["backends"].append(f.compilation.backend)
            found["hits"] += bool(f.compilation.cached)
    found["seconds"] = time.perf_counter() - start
    found["warnings"] = [f"{w.category.__name__}: {w.message}" for w in caught]
    return found


def warm_up():
    """Compile something, so that all is imported, which another user may not read."""
    import workbench as wb
    from workbench.config import config

    x, y, _, _ = program(1000)
    with tempfile.TemporaryDirectory() as folder:
        with config.change(cache_dir=folder):
            wb.function([x], y)


def main():
    import workbench  # noqa: F401  before the forks, which then have it

    if sys.argv[1:] == ["warm"]:
        warm_up()

    for line in sys.stdin:
        task = json.loads(line)
        if "wait" in task:
            answer = os.waitstatus_to_exitcode(os.waitpid(task["wait"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                child(task)
        print(json.dumps(answer), flush=True)


def child(task):
    try:
        result = do(task)
    except BaseException:
        result = {"error": traceback.format_exc()}
    aside = Path(task["result"] + ".part")
    aside.write_text(json.dumps(result))
    aside.rename(task["result"])
    sys.stderr.flush()
    # As at the usual end of a process: private folders are removed.
    import atexit

    atexit._run_exitfuncs()
    os._exit(0)


def counting(folder, real, log):
    """A compiler that writes a line to `log` for each program it compiles."""
    folder.mkdir(exist_ok=True)
    path = folder / "counting-cc"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] || echo compiled >> "{log}"\n'
        f'exec {real} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


if __name__ == "__main__":
    main()
