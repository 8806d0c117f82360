"""Random programs built with gcc's address and undefined-behaviour sanitizers.

``python -m tests.sanitized 0 500`` runs the graphs of the seeds from 0 to 499 in a child
process that has the sanitizers loaded, and prints how many kernels ran. What a
sanitizer reports ends the child.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

FLAGS = (
    "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1"
)

PROGRAM = """
import sys
from tests.fuzz import TOGETHER, complaint, random_graph, together
from workbench.compile.function import function

kernels = 0
first, last = int(sys.argv[1]), int(sys.argv[2])
for start in range(first, last, TOGETHER):
    graphs = [random_graph(seed) for seed in range(start, min(start + TOGETHER, last))]
    batch = together(graphs)
    if complaint(batch, "FAST_RUN"):  # or one of many zeros has the other sign by chance
        found = [(g.seed, c) for g in graphs if (c := complaint(g, "FAST_RUN"))]
        if found:
            sys.exit(f"seeds from {start}: {found}")
    compiled = function(batch.inputs, batch.outputs, on_unused_input="ignore")
    kernels += len(compiled.compilation.kernels)
    print(start, kernels, file=sys.stderr, flush=True)
print(kernels)
"""


def libraries() -> str | None:
    """What is to be loaded before Python, or None where gcc brings no sanitizers."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    found = []
    for name in ("libasan.so", "libubsan.so"):
        answer = subprocess.run(
            [gcc, f"-print-file-name={name}"],
            capture_output=True,
            text=True,
            check=True,
        )
        path = answer.stdout.strip()
        if not os.path.isabs(path):
            return None
        found.append(path)
    return " ".join(found)


def run_sanitized(
    program: str, arguments: list[str], cache: Path
) -> subprocess.CompletedProcess[str]:
    """Run a Python program whose compiled functions are watched by the sanitizers."""
    environment = {
        **os.environ,
        "LD_PRELOAD": libraries() or "",
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "WORKBENCH_CFLAGS": FLAGS,
        "WORKBENCH_CC": "gcc",
        "WORKBENCH_CACHE_DIR": str(cache),
        "WORKBENCH_THREADS": "2",
    }
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        done = run_sanitized(PROGRAM, sys.argv[1:3], Path(folder))
    print(done.stdout, done.stderr[-4000:])
    sys.exit(done.returncode)
