"""Programs that are found by their graphs: nothing is rewritten, and nothing else differs."""

import json
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile import callable as callables
from workbench.compile import identity, pipeline, remembered
from workbench.compile.modes import get_mode
from workbench.compile.record import Graph
from workbench.config import config


@pytest.fixture(autouse=True)
def own_cache(tmp_path):
    with config.change(cache_dir=str(tmp_path / "cache")):
        yield tmp_path / "cache"


@pytest.fixture
def rewritten(monkeypatch):
    """The names of the functions whose graphs are rewritten, in order."""
    names = []
    real = callables.Function._rewrite

    def rewrite(self):
        names.append(self.name)
        real(self)

    monkeypatch.setattr(callables.Function, "_rewrite", rewrite)
    return names


def network(rate=0.1, rows=5, mode=None, **changed):
    """A step of training with updates, and its shared variables."""
    rng = np.random.default_rng(0)
    x, y = T.matrix("x"), T.lvector("y")
    w = wb.shared(rng.normal(size=(4, rows)), "w")
    b = wb.shared(np.zeros(rows), "b")
    p = T.nnet.softmax(T.tanh(T.dot(x, w) + b))
    cost = -T.log(p[T.arange(y.shape[0]), y]).mean() + 0.01 * (w**2).sum()
    gw, gb = wb.grad(cost, [w, b])
    updates = [(w, w - rate * gw), (b, b - rate * gb)]
    train = wb.function([x, y], cost, mode=mode, updates=updates, **changed)
    return train, w, b


def batch(rows=5):
    rng = np.random.default_rng(1)
    return rng.normal(size=(6, 4)), rng.integers(0, rows, 6)


def test_the_second_function_of_a_graph_is_not_rewritten_and_computes_the_same(
    rewritten,
):
    first, w, b = network()
    again, v, c = network()

    for _ in range(3):
        assert first(*batch()) == again(*batch())

    assert rewritten == ["train"]
    np.testing.assert_array_equal(w.get_value(), v.get_value())
    np.testing.assert_array_equal(b.get_value(), c.get_value())


def test_its_record_is_worked_out_when_it_is_asked_for(rewritten):
    first, *_ = network()
    again, *_ = network()

    assert [str(s.rule) for s in again.steps] == [str(s.rule) for s in first.steps]
    assert again.source == first.source
    assert again.compilation.cached and again.compilation.compiled == 0
    assert len(again.compilation.kernels) == len(first.compilation.kernels)
    assert rewritten == ["train", "train"]
    assert again(*batch()) == first(*batch())


def test_what_a_user_asks_of_a_function_does_not_need_the_record(rewritten):
    network()
    again, w, b = network()

    assert [s for s, _ in again.updates] == [w, b]
    assert again.get_shared() == [w, b]
    assert len(again.outputs) == 1
    again["b"] = np.ones(5)
    again.free()
    again(*batch())

    assert rewritten == ["train"]


def test_another_process_finds_it(own_cache):
    code = (
        "import tests.compile.test_remembered as t\n"
        "f, *_ = t.network()\n"
        "print(f(*t.batch()), f._compilation is None)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "WORKBENCH_CACHE_DIR": str(own_cache)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]

    assert found[0][0] == found[1][0]
    assert found[1][1] == "True"


def test_a_failing_call_names_the_line_and_keeps_the_parameters():
    first, *_ = network()
    again, w, _ = network()
    before = w.get_value()
    _, y = batch()

    errors = []
    for f in (first, again):
        with pytest.raises(wb.ShapeError) as caught:
            f(np.ones((6, 7)), y)
        errors.append(str(caught.value))

    assert errors[0] == errors[1]
    assert "p = T.nnet.softmax(T.tanh(T.dot(x, w) + b))" in errors[1]
    np.testing.assert_array_equal(w.get_value(), before)


def test_an_index_out_of_range_is_told_with_its_operation():
    first, *_ = network()
    again, *_ = network()
    x, y = batch()

    errors = []
    for f in (first, again):
        with pytest.raises(wb.OutOfRangeError) as caught:
            f(x, y + 5)
        errors.append(str(caught.value))

    assert errors[0] == errors[1]


@pytest.mark.parametrize(
    "other",
    [
        {"rate": 0.2},
        {"rows": 6},
        {"mode": get_mode("FAST_RUN").excluding("fusion")},
        {"mode": get_mode("FAST_RUN").excluding("finite_math")},
        {"mode": get_mode("FAST_RUN").excluding("inplace")},
    ],
    ids=["constant", "sizes", "fusion", "rules", "memory"],
)
def test_what_differs_is_compiled(rewritten, other):
    network()
    network(**other)

    assert rewritten == ["train", "train"]


def test_a_flag_that_decides_the_program_is_a_part_of_the_key(rewritten):
    network()
    with config.change(cflags="-DOTHER"):
        network()

    assert rewritten == ["train", "train"]


def test_a_record_asked_for_later_is_made_with_the_flags_of_the_function(rewritten):
    first, *_ = network()
    again, *_ = network()

    with config.change(floatX="float16", cflags="-DOTHER"):
        assert again.source == first.source
        assert again.compilation.command == first.compilation.command


def test_signed_zeros_are_told_apart():
    x = T.vector("x")

    def text(y):
        return identity.text_of(Graph((x,), (y,)))

    assert text(x * T.constant(0.0)) != text(x * T.constant(-0.0))
    assert text(x + 1.0) == text(x + 1.0)


def test_the_same_leaf_twice_is_not_two_leaves():
    a, b = wb.shared(np.ones(3)), wb.shared(np.ones(3))

    def text(*leaves):
        return identity.text_of(Graph((), (leaves[0] * leaves[1],)))

    assert text(a, a) == text(b, b) != text(a, b) == text(b, a)


def test_a_loop_is_told_by_what_its_step_does():
    x = T.vector("x")

    def text(factor):
        y, _ = wb.scan(lambda h: h * factor, outputs_info=[x], n_steps=4)
        return identity.text_of(Graph((x,), (y,)))

    assert text(2.0) == text(2.0)
    assert text(2.0) != text(3.0)


def test_a_loop_is_found(rewritten):
    def power():
        x, w = T.matrix("x"), wb.shared(np.eye(3) / 2, "w")
        h, _ = wb.scan(lambda h: T.tanh(T.dot(h, w)), outputs_info=[x], n_steps=7)
        cost = (h[-1] ** 2).sum() + (h[0] * h[-1]).mean() - T.exp(-(x**2)).sum()
        g = wb.grad(cost, w)
        return wb.function([x], [cost, g], updates=[(w, w - 0.1 * g)], name="power")

    x = np.random.default_rng(0).normal(size=(2, 3))
    first, again = power(), power()

    for a, b in zip(first(x) + first(x), again(x) + again(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rewritten == ["power"]


def test_an_op_of_ones_own_is_not_told_by_its_name(rewritten):
    @wb.elementwise
    def double(x):
        return x + x

    def make():
        x = T.vector("x")
        y = double(x)
        for k in range(remembered.LEAST):
            y = T.tanh(y) + k
        return wb.function([x], y, name="chain")

    make(), make()

    assert rewritten == ["chain", "chain"]


def test_with_a_rule_of_ones_own_nothing_is_remembered(rewritten):
    @wb.identity
    def doubled(x):
        """Twice is a sum."""
        return 2.0 * x, x + x

    mode = get_mode("FAST_RUN").register(doubled)
    network(mode=mode)
    network(mode=mode)

    assert rewritten == ["train", "train"]


def test_operations_that_numpy_runs_are_not_remembered(rewritten):
    def make():
        x = T.matrix("x")
        y = T.linalg.solve(x, T.eye(3))
        for k in range(remembered.LEAST):
            y = T.tanh(y) + k
        return wb.function([x], y, name="solved")

    make(), make()

    assert rewritten == ["solved", "solved"]


def test_constants_in_memory_are_found_with_it(rewritten):
    table = np.random.default_rng(0).normal(size=(50, 3))

    def make():
        rows = T.lvector("rows")
        y = T.constant(table)[rows]
        for k in range(remembered.LEAST):
            y = T.tanh(y) + k
        return wb.function([rows], y, name="rows")

    rows = np.array([3, 49, 0])
    np.testing.assert_array_equal(make()(rows), make()(rows))
    assert rewritten == ["rows"]


def test_a_program_whose_library_was_dropped_is_compiled(rewritten, own_cache):
    network()
    for entry in own_cache.glob("*/program.so"):
        entry.unlink()

    again, *_ = network()

    assert rewritten == ["train", "train"]
    again(*batch())


def test_a_damaged_memory_is_made_again(rewritten, own_cache):
    network()
    (path,) = own_cache.glob("*/program.json")
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"leaves": []}))

    again, *_ = network()
    network()

    assert rewritten == ["train", "train"]
    again(*batch())


def test_a_warning_of_the_rewriting_is_heard_every_time(rewritten, monkeypatch):
    monkeypatch.setattr(pipeline.History, "notes", ["a rule was stopped"])
    for _ in range(2):
        with pytest.warns(pipeline.RewriteWarning, match="stopped"):
            network()

    assert rewritten == ["train", "train"]


def test_in_the_background_it_is_there_at_once(rewritten):
    network()
    again, *_ = network(compile="background")

    assert again.ready
    assert rewritten == ["train"]
    again(*batch())


def test_a_thread_that_compiles_a_variant_does_not_work_out_the_record(monkeypatch):
    """That sets flags for a moment, which other threads would see."""

    def make():
        x = T.matrix("x")
        y = x
        for k in range(remembered.LEAST):
            y = T.tanh(y) + k
        return wb.function([x], y, name="chain")

    make()
    again, threads = make(), []
    monkeypatch.setattr(
        callables.Function,
        "_rewrite",
        lambda self: (threads.append(threading.current_thread()), _rewrite(self)),
    )
    x = np.ones((400, 800)).T

    values = [again(x) for _ in range(3)]
    (variant,) = again.variants
    variant.wait(60)

    assert threads == [threading.main_thread()]
    np.testing.assert_array_equal(again(x), values[0])


def test_threads_that_ask_for_the_record_get_one():
    network()
    again, *_ = network()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(again.compilation))
        for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, found))) == 1


def test_a_program_that_comes_out_otherwise_takes_the_place_of_the_one_found(
    monkeypatch,
):
    """As when something decides the text that the key does not hold."""
    first, *_ = network()
    again, *_ = network()
    with monkeypatch.context() as patch:
        patch.setattr(callables.Function, "_rewrite", _as_without_fusion)
        record = again.compilation

    assert again.program.text.code != first.program.text.code
    assert record.source is not None
    np.testing.assert_allclose(again(*batch()), first(*batch()), rtol=1e-12)
    with pytest.raises(wb.ShapeError, match=r"T\.dot\(x, w\)"):
        again(np.ones((6, 7)), batch()[1])


def _as_without_fusion(self):
    self.mode = self.mode.excluding("fusion")
    _rewrite(self)


_rewrite = callables.Function._rewrite


def test_no_warning_where_nothing_can_be_kept(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network()
        network()
