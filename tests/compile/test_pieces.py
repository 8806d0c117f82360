"""Kernels compiled apart: cut out as they are, found again, and only the changed ones compiled."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.compile.compilers import noting, soon_ended, waiting, wrapper
from workbench.compile.c import modules
from workbench.compile.c.modules import shares
from workbench.compile.c.pieces import Piece, cut
from workbench.compile.c.toolchain import find_compiler
from workbench.config import config
from workbench.core.errors import CompilerWarning, OutOfRangeError

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path):
    with config.change(cache_dir=str(tmp_path / "cache")):
        yield


@pytest.fixture
def always_cut(monkeypatch):
    """Small programs are cut, too."""
    monkeypatch.setattr(modules, "SMALL", 0)


def network(squash=T.tanh, rate=0.1, decay=1e-4):
    """A training step of a network with one hidden layer, and its parameters."""
    rng = np.random.default_rng(1)
    x, y = T.matrix("x"), T.lvector("y")
    W, V = (wb.shared(rng.normal(size=s), n) for s, n in (((7, 5), "W"), ((5, 3), "V")))
    b, c = (wb.shared(np.zeros(n), name) for n, name in ((5, "b"), (3, "c")))
    p = T.nnet.softmax(T.dot(squash(T.dot(x, W) + b), V) + c)
    loss = -T.log(p)[T.arange(y.shape[0]), y].mean() + decay * (W**2).sum()
    parameters = [W, b, V, c]
    grads = wb.grad(loss, parameters)
    updates = [(q, q - rate * g) for q, g in zip(parameters, grads, strict=True)]
    return wb.function([x, y], loss, updates=updates, name="train"), parameters


def batch():
    rng = np.random.default_rng(2)
    return rng.normal(size=(20, 7)), rng.integers(0, 3, 20)


def pieces_of(function):
    return {piece.text for piece in cut(function.program.text).pieces}


# What is cut


def test_equal_kernels_of_a_program_are_one_piece(always_cut):
    x, y, v, w = (T.matrix(name) for name in "xyvw")
    outputs = [T.tanh(y * x), T.dot(x, y), T.tanh(w * v), T.dot(v, w)]

    texts = pieces_of(wb.function([v, w, x, y], outputs))

    assert sum("tanh(" in text for text in texts) == 1
    assert sum("wb_pause(" in text for text in texts) == 1


def test_a_product_of_matrices_is_compiled_once_for_all_programs(always_cut):
    x, y = T.matrix("x"), T.matrix("y")
    first = wb.function([x, y], T.dot(x, y))
    second = wb.function([x, y], T.dot(T.tanh(x), y.T) + 1)

    shared = pieces_of(first) & pieces_of(second)

    assert len(shared) == 1
    assert all(text.startswith("WB_ONCE") for text in shared)
    a, b = np.arange(6.0).reshape(2, 3), np.ones((3, 2))
    np.testing.assert_allclose(first(a, b), a @ b)
    np.testing.assert_allclose(second(a, b.T), np.tanh(a) @ b + 1)


def test_pieces_compute_what_the_whole_computes(monkeypatch):
    results = []
    for small in (0, 10**9):
        monkeypatch.setattr(modules, "SMALL", small)
        train, parameters = network()
        losses = [train(*batch()) for _ in range(3)]
        results.append([*losses, *(q.get_value() for q in parameters)])

    for apart, whole in zip(*results, strict=True):
        np.testing.assert_allclose(apart, whole, rtol=1e-14)


def test_the_text_people_read_is_not_cut():
    train, _ = network()

    assert "wb_run" in train.source
    assert "->at[" not in train.source
    assert train.program.module.source == train.program.text.code
    assert (train.program.module.path.parent / "program.c").read_text() == (
        train.program.text.code
    )


def test_a_piece_has_no_number_of_its_program():
    train, _ = network()

    for text in pieces_of(train):
        assert not re.search(r"(size|input|value|output|slot)\[\d", text)
        assert not re.search(r"wb_fail\(\w+, \w+, \d", text)


def test_a_kernel_has_the_same_text_in_every_program():
    x, y, z = T.matrix("x"), T.matrix("y"), T.vector("z")
    one = wb.function([x], T.exp(x).sum(axis=1))
    other = wb.function([z, y], [z * 2, T.exp(y).sum(axis=1)])

    assert pieces_of(one) <= pieces_of(other)


def test_equal_kernels_of_one_program_are_one_piece():
    x, y = T.vector("x"), T.vector("y")
    xs = wb.shared(np.arange(5.0), "xs")
    f = wb.function(
        [x, y], [(T.exp(x)).sum(), (T.exp(y)).sum()], updates=[(xs, xs * 2)]
    )
    text = f.program.text
    hot = len(text.spans) - len(text.layout.brief)

    assert len(cut(text).pieces) < hot


def test_kernels_without_a_loop_stay_in_the_main_text():
    a, x = T.scalar("a"), T.vector("x")
    text = wb.function([a, x], [T.exp(a) + 1, x * 2]).program.text

    main = cut(text).main

    assert text.layout.brief
    for number in text.layout.brief:
        first, last = text.spans[number]
        assert "\n".join(line.code for line in text.lines[first - 1 : last]) in main
    assert "for (int64_t i" not in main


def test_failures_name_their_node(always_cut):
    x, i = T.matrix("x"), T.lvector("i")
    f = wb.function([x, i], [T.exp(x).sum(axis=1), x[i].sum(axis=1)])

    with pytest.raises(OutOfRangeError, match="x\\[i\\]"):
        f(np.eye(3), [0, 5])


@dataclass(frozen=True)
class Doubled(wb.Opaque):
    """Twice a vector, by C text with a function that other files would define too."""

    factor: int = 2

    def output_types(self, *inputs):
        return [inputs[0].type]

    def reference(self, *inputs):
        return inputs[0] * self.factor

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def c_code(self, node):
        return (
            "for (int64_t i = 0; i < in0_n0; ++i) "
            f"out[i] = multiple(in0[i * in0_s0], {self.factor});"
        )

    c_support = "double multiple(double x, int n) { return x * n; }"


def test_text_of_operations_is_compiled_once(always_cut):
    x = T.vector("x")
    f = wb.function([x], [Doubled(2)(T.exp(x)).sum(), Doubled(3)(x * x) + 1])

    got = f([0.0, 1.0])

    np.testing.assert_allclose(got[0], 2 * (1 + np.e))
    np.testing.assert_allclose(got[1], [1, 4])
    assert f.program.text.layout.brings_text


# What is compiled


def test_an_edit_compiles_only_what_changed(tmp_path):
    notes = tmp_path / "notes"
    with config.change(cc=noting(tmp_path / "bin", notes)):
        first, _ = network()
        before = notes.read_text()
        notes.write_text("")
        second, _ = network(squash=lambda z: 1.7 * T.tanh(z * 0.66))
        after = notes.read_text()

    changed = pieces_of(second) - pieces_of(first)
    assert 0 < len(changed) == second.compilation.compiled
    assert len(changed) < len(pieces_of(second)) / 2
    for text in pieces_of(first):
        assert text in before and text not in after
    for text in changed:
        assert text in after


def test_a_function_compiled_before_is_found_as_a_whole(tmp_path):
    notes = tmp_path / "notes"
    with config.change(cc=noting(tmp_path / "bin", notes)):
        network()
        length = len(notes.read_text())
        again, _ = network()

    assert len(notes.read_text()) == length
    assert again.compilation.cached and again.compilation.compiled == 0


def test_another_function_finds_the_kernels_of_the_first(always_cut):
    x, y = T.matrix("x"), T.vector("y")
    first = wb.function([x], T.exp(x).sum(axis=1))
    second = wb.function([y, x], [T.tanh(y) * 2, T.exp(x).sum(axis=1)])

    assert first.compilation.compiled == 1
    assert second.compilation.compiled == len(pieces_of(second)) - 1


def test_a_damaged_object_is_made_again(tmp_path, always_cut):
    x = T.matrix("x")
    wb.function([x], T.exp(x).sum(axis=1))
    for entry in (tmp_path / "cache").iterdir():
        if (entry / "kernel.o").exists():
            (entry / "kernel.o").write_bytes(b"\0" * 100)
        elif entry.is_dir():
            shutil.rmtree(entry)

    again = wb.function([x], T.exp(x).sum(axis=1))

    np.testing.assert_allclose(again(np.zeros((2, 3))), [3, 3])
    assert again.compilation.compiled == 1


def test_only_the_library_and_the_text_are_kept_of_a_program():
    train, _ = network()

    folder = train.program.module.path.parent

    kept = {path.name for path in folder.iterdir()}
    assert kept == {"program.c", "program.so", "key.txt", "manifest.json"}


@pytest.mark.parametrize("jobs, files", [(1, 2), (3, 4)])
def test_there_are_as_many_files_as_compilers_may_run(
    tmp_path, monkeypatch, jobs, files
):
    notes = tmp_path / "notes"
    monkeypatch.setattr(modules, "LEAST", 1000)

    with config.change(cc=noting(tmp_path / "bin", notes), compile_jobs=jobs):
        network()

    assert notes.read_text().count("----\n") == files  # and the main text


def test_pieces_are_dealt_out_evenly():
    pieces = [Piece("head", str(k) * 1000 * k) for k in range(1, 20)]

    found = shares(pieces, 3)

    lengths = [sum(len(p.text) for p in file) for file in found]
    assert sorted(p.text for file in found for p in file) == sorted(
        p.text for p in pieces
    )
    assert len(found) == 3 and max(lengths) < 1.1 * min(lengths)


def test_pieces_with_another_head_have_a_file_of_their_own():
    pieces = [Piece("one", "a"), Piece("two", "b"), Piece("one", "c")]

    assert shares(pieces, 8) == [[pieces[0], pieces[2]], [pieces[1]]]


# What goes wrong


def test_a_part_that_does_not_compile_leaves_nothing(tmp_path, monkeypatch):
    from workbench.compile.c import toolchain

    monkeypatch.setattr(toolchain, "_warned", set())
    body = 'case "$*" in *part0.c*) echo "part0.c:1: error: no" >&2; exit 1;; esac'

    with (
        config.change(cc=wrapper(tmp_path / "bin", body)),
        pytest.warns(CompilerWarning, match="exit status 1") as caught,
    ):
        train, _ = network()

    assert len(caught) == 1 and "part0.c:1: error: no" in str(caught[0].message)
    assert train.compilation.backend == "numpy"
    assert np.isfinite(train(*batch()))
    assert not list((tmp_path / "cache").glob("tmp-*"))


def test_an_interrupt_ends_all_compilers(tmp_path):
    sign = tmp_path / "sign"
    script = (
        "import signal\n"
        "from workbench.compile.c.runner import _extension\n"
        "_extension()\n"
        "from tests.compile.test_pieces import network\n"
        "from workbench.config import config\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"config.cc = {waiting(tmp_path / 'bin', sign)!r}\n"
        f"config.cache_dir = {str(tmp_path / 'cache')!r}\n"
        "config.compile_jobs = 2\n"
        "network()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "WORKBENCH_CACHE_DIR": config.cache_dir},
    )
    pids = Path(f"{sign}.pids")
    try:
        for _ in range(3000):
            if pids.exists() and len(pids.read_text().split()) == 2:
                break
            time.sleep(0.01)
        time.sleep(0.2)  # Its start itself cannot be interrupted cleanly.
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
    finally:
        process.kill()
        process.wait()

    assert soon_ended(pids), "a compiler still runs"
    assert len(pids.read_text().split()) == 2
    assert not list((tmp_path / "cache").glob("tmp-*"))
