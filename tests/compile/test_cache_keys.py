"""What tells programs apart in the cache, and what must not."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compile.compilers import claiming
from tests.compile.crew import counting
from workbench.compile import cache as cache_module
from workbench.compile.c import toolchain
from workbench.compile.c.toolchain import build, cpu_features, find_compiler
from workbench.compile.cache import Cache
from workbench.config import config

needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="needs a C compiler"
)
nightly = pytest.mark.nightly
ROOT = Path(__file__).parents[2]
SOURCE = "int answer(void) { return 42; }\n"
VERSION = "gcc (Debian) 12.2.0\nFree Software Foundation"


def without(*names):
    return tuple(feature for feature in cpu_features() if feature not in names)


@needs_compiler
def test_nothing_is_found_that_another_machine_or_compiler_made(tmp_path, monkeypatch):
    """Every two of ten settings: 45 pairs, none of which may share an entry."""
    ours = cpu_features()
    one = claiming(tmp_path / "one", VERSION)
    settings = {
        "as it is": ({"cc": one}, ours),
        "another path": ({"cc": claiming(tmp_path / "two", VERSION)}, ours),
        "another version": ({"cc": claiming(tmp_path / "three", "gcc 13.1.0")}, ours),
        "a flag": ({"cc": one, "cflags": "-O1"}, ours),
        "two flags": ({"cc": one, "cflags": "-O1 -g"}, ours),
        "flags in another order": ({"cc": one, "cflags": "-g -O1"}, ours),
        "no AVX2": ({"cc": one}, without("avx2")),
        "no AVX-512": ({"cc": one}, (*without("avx512f", "avx512vl"), "less")),
        "no FMA": ({"cc": one}, (*without("fma"), "no fma")),
        "another kind": ({"cc": one}, ("asimd", "fp")),
    }
    hits, paths = {}, {}

    for name, (flags, features) in settings.items():
        monkeypatch.setattr(toolchain, "cpu_features", lambda f=features: f)
        toolchain._search.cache_clear()
        with config.change(cache_dir=str(tmp_path / "cache"), **flags):
            module = build(SOURCE, "f")
            hits[name] = module.hit
            paths[name] = module.path
            assert build(SOURCE, "f").hit
    monkeypatch.undo()
    toolchain._search.cache_clear()

    assert not any(hits.values()), hits
    for a, b in itertools.combinations(settings, 2):
        assert paths[a] != paths[b], (a, b)


@needs_compiler
def test_a_changed_header_is_another_program(tmp_path, monkeypatch):
    import workbench as wb
    import workbench.tensor as T
    from workbench.compile.c import emit

    x = T.vector("x")
    with config.change(cache_dir=str(tmp_path)):
        wb.function([x], x + 1)
        assert wb.function([x], x + 1).compilation.cached

        monkeypatch.setattr(emit, "headers_digest", lambda: "0123456789abcdef")

        assert not wb.function([x], x + 1).compilation.cached


@needs_compiler
def test_another_python_or_numpy_gets_a_runner_of_its_own(monkeypatch):
    """The one library that is made for them: its text names their versions."""
    import numpy as np

    from workbench.compile.c import runner

    def forget():
        runner._extension.cache_clear()
        runner._begun.cache_clear()

    texts = []
    monkeypatch.setattr(runner, "build", lambda text, *_, **__: texts.append(text))
    for version in ("1.26.4", "2.4.6"):
        forget()
        monkeypatch.setattr(np, "__version__", version)
        assert runner._extension() is None  # Nothing was built.
    forget()

    assert texts[0] != texts[1]
    assert all(sys.version in text for text in texts)


# Digests that are equal


@pytest.mark.parametrize("keys", [300, pytest.param(5000, marks=nightly)])
def test_keys_of_one_digest_are_never_taken_for_each_other(tmp_path, monkeypatch, keys):
    """With 256 digests; each entry says which key it was made for."""
    real = cache_module._digest
    monkeypatch.setattr(cache_module, "_digest", lambda key: real(key)[:2])
    monkeypatch.setattr(cache_module, "_sync", lambda path: None)
    cache = Cache(tmp_path / "cache")
    rng = random.Random(keys)
    wrong = built = 0

    for _ in range(keys):
        key = f"key {rng.randrange(keys // 2)}"

        def make(folder, key=key):
            nonlocal built
            built += 1
            (folder / "program.so").write_text(key)

        entry = cache.fetch(key, make)
        wrong += (entry.path / "program.so").read_text() != key

    assert wrong == 0
    assert built == len(list((tmp_path / "cache").glob("*/"))) <= keys // 2


# One program, many processes

SCRIPT = """
import hashlib, importlib, random, sys
modules = ["workbench.config", "workbench.compile.c.emit", "workbench.viz.text", "workbench.debug",
           "workbench.core.ops.nnet", "workbench.compile.rules", "workbench.magics", "workbench.tensor"]
random.Random(int(sys.argv[1])).shuffle(modules)
for name in modules:
    importlib.import_module(name)
import numpy as np
import workbench as wb, workbench.tensor as T
x, y = T.matrix("x"), T.ivector("y")
w = wb.shared(np.zeros((7, 3)), "w")
b = wb.shared(np.zeros(3), "b")
p = T.softmax(x @ w + b, axis=1)
cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y]) + 0.01 * (w ** 2).sum()
gw, gb = wb.grad(cost, [w, b])
train = wb.function([x, y], [p.argmax(axis=1), cost], updates=[(w, w - 0.1 * gw), (b, b - 0.1 * gb)])
f = wb.function([x], [T.exp(x).sum(axis=0), T.sort(x, axis=0), T.tanh(x[::2]) * 2])
print(hashlib.sha256((str(train.source) + str(f.source)).encode()).hexdigest(), train.compilation.cached)
"""


@needs_compiler
@pytest.mark.parametrize("processes", [3, pytest.param(100, marks=nightly)])
def test_a_program_is_the_same_in_every_process(tmp_path, processes):
    log = tmp_path / "log"
    cc = counting(tmp_path / "bin", find_compiler().path, log)
    digests, counts = set(), []

    for number in range(processes):
        seed = random.Random(number).randrange(2**32)
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "WORKBENCH_CACHE_DIR": str(tmp_path / "cache"),
            "WORKBENCH_CC": cc,
        }
        command = [sys.executable, "-c", SCRIPT, str(seed)]
        output = subprocess.check_output(
            command, cwd=ROOT, env=environment, text=True
        ).split()
        digests.add(output[0])
        counts.append(log.read_text().count("compiled"))
        assert output[1] == str(number > 0)

    assert len(digests) == 1
    assert len(set(counts)) == 1, "a later process compiled again"
