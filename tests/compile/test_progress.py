"""What is shown of a compilation that takes long, and that nothing is of a quick one."""

from __future__ import annotations

import sys
import threading

import numpy as np

import workbench as wb
import workbench.tensor as T
from workbench.compile import progress
from workbench.compile.progress import Watch


class Bar:
    """Stands for tqdm's bar and keeps what it was told."""

    def __init__(self, **options):
        self.options, self.texts, self.is_closed = options, [], False
        self.n, self.total, self.shown = 0, None, threading.Event()

    def set_description_str(self, text):
        self.texts.append((text, self.n, self.total))
        self.shown.set()

    def close(self):
        self.is_closed = True


def watched(bar, seconds):
    return Watch("train", seconds, lambda: lambda **options: bar)


def test_nothing_is_shown_of_what_is_quick():
    bar = Bar()

    with watched(bar, 60) as seen:
        seen("rewriting")

    assert bar.texts == [] and not bar.is_closed


def test_stages_are_shown_and_go_away():
    bar = Bar()

    with watched(bar, 0) as seen:
        seen("rewriting")
        assert bar.shown.wait(10)
        seen("scheduling")
        seen("compiling", 3, 14)
        assert not bar.is_closed

    assert bar.texts[-2:] == [
        ("train: scheduling", 0, 1),
        ("train: compiling 3 of 14 kernels", 3, 14),
    ]
    assert bar.is_closed


def test_the_stage_it_is_at_is_the_first_to_be_shown():
    bar = Bar()

    with watched(bar, 0.2) as seen:
        seen("rewriting")
        seen("scheduling")
        assert bar.shown.wait(10)

    assert bar.texts[0][0] == "train: scheduling"


def test_a_bar_that_fails_does_no_harm():
    class Broken(Bar):
        def set_description_str(self, text):
            self.shown.set()
            raise RuntimeError("no display")

        def close(self):
            raise RuntimeError("no display")

    bar = Broken()

    with watched(bar, 0) as seen:
        assert bar.shown.wait(10)
        seen("scheduling")


def test_a_display_that_cannot_be_made_does_no_harm():
    tried = threading.Event()

    def fail():
        tried.set()
        raise RuntimeError("no display")

    with Watch("train", 0, fail) as seen:
        assert tried.wait(10)
        seen("scheduling")


def test_an_error_takes_the_bar_away():
    bar = Bar()

    try:
        with watched(bar, 0):
            assert bar.shown.wait(10)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass

    assert bar.is_closed


def test_no_bar_where_nobody_looks(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(progress, "_is_notebook", lambda: False)

    assert progress._tqdm() is None


def test_no_bar_without_tqdm(monkeypatch):
    monkeypatch.setattr(progress, "_is_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)

    assert progress._tqdm() is None


def test_function_tells_its_stages(monkeypatch):
    told = []
    real = Watch.__call__

    def note(self, stage, done=0, of=0):
        told.append((self.name, stage))
        real(self, stage, done, of)

    monkeypatch.setattr(Watch, "__call__", note)
    x = T.vector("x")

    double = wb.function([x], x * 2)

    assert double(np.ones(2)).tolist() == [2, 2]
    stages = [stage for name, stage in told if name == "double"]
    assert stages[0] == "rewriting"
    if double.compilation.backend == "c":
        assert list(dict.fromkeys(stages)) == [
            "rewriting",
            "scheduling",
            "writing C",
            "compiling",
        ]
