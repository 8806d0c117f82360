"""Rows of loops: steps without work, powers, and an LSTM that learns letters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import by_hand
from benchmarks import mathematics as maths
from benchmarks.rows import EVEN, Arrays, Least, Target, Workload

LETTERS, SEQUENCES = 84, 100
"""Different letters, and sequences that are read side by side."""

GATES = "ifos"
"""Input, forget, output, and what a cell takes in."""


# --- arrays --------------------------------------------------------------------------


def _text(length: int) -> Callable[[], Arrays]:
    """Sequences of up to `length` letters, padded and masked, the longest first."""

    def make() -> Arrays:
        rng = np.random.default_rng(1)
        letters = rng.integers(0, LETTERS, (length + 1, SEQUENCES))
        lengths = np.linspace(length, 0.6 * length, SEQUENCES).astype("int64")
        mask = (np.arange(length)[:, None] < lengths).astype("float32")
        return {"x": letters[:-1], "y": letters[1:].copy(), "mask": mask}

    return make


def _cells(hidden: int, *, joined: bool = False) -> Callable[[], Arrays]:
    """The parameters of :func:`benchmarks.mathematics.lstm`; the same numbers if joined."""

    def make() -> Arrays:
        rng = np.random.default_rng(2)
        scale = np.float32(hidden**-0.5)

        def drawn(rows: int, columns: int) -> np.ndarray:
            return scale * rng.standard_normal((rows, columns), "float32")

        arrays: Arrays = {
            "E": drawn(LETTERS, hidden),
            "V": drawn(hidden, LETTERS),
            "c": np.zeros(LETTERS, "float32"),
        }
        W, U = ([drawn(hidden, hidden) for _ in GATES] for _ in "WU")
        b = [np.zeros(hidden, "float32") for _ in GATES]
        if joined:
            parts = {"W": W, "U": U, "b": b}
            return arrays | {k: np.concatenate(v, axis=-1) for k, v in parts.items()}
        for gate, *three in zip(GATES, W, U, b, strict=True):
            arrays |= {f"{k}{gate}": v for k, v in zip("WUb", three, strict=True)}
        return arrays

    return make


# --- rows ----------------------------------------------------------------------------


def _lstm(
    hidden: int, target: Target | None, *, joined: bool = False, length: int = 100
) -> Workload:
    letters, four = length * SEQUENCES, 4 * hidden
    long = "" if length == 100 else f"-{length}"
    return Workload(
        f"lstm-{hidden}{long}{'-joined' * joined}",
        f"LSTM step, hidden {hidden}{', gates joined' * joined}{long and f', length {length:,}'}",
        "train",
        maths.lstm,
        _text(length),
        _cells(hidden, joined=joined),
        by_hand.lstm_step,
        rate=0.1,
        target=target,
        least=Least(
            exp=letters * (3 * hidden + LETTERS),
            tanh=letters * 2 * hidden,
            # What a gate takes of a letter is one of `LETTERS` rows, computed once.
            products=tuple(
                size
                for m, k, n in (
                    (letters, hidden, four),
                    (letters, hidden, LETTERS),
                    (LETTERS, hidden, four),
                )
                for size in ((m, k, n), (m, n, k), (k, m, n))
            ),
        ),
    )


def _steps(power: int) -> Workload:
    steps = 10**power
    return Workload(
        f"loop-1e{power}",
        f"loop of 10^{power} steps, 4 elements",
        "value",
        partial(maths.repeated, steps=steps),
        lambda: {"state": np.arange(4, dtype="float32")},
        target=Target(steps * 100e-9, steps * 30e-9, "s"),
    )


LSTM = _lstm(50, Target(0.7, 0.45))

LONG_LSTM = _lstm(50, None, length=1000)
"""Of which the memory is measured."""

POWER = Workload(
    "power",
    "power of 10 elements by a loop of 2",
    "value",
    maths.power,
    lambda: {"A": np.arange(10, dtype="float32"), "k": np.array(2)},
    target=EVEN,
)

LOOPS = (
    POWER,
    _steps(3),
    _steps(6),
    LSTM,
    _lstm(50, Target(1.0, 0.8), joined=True),
    _lstm(256, Target(1.0, 0.7)),
    _lstm(256, Target(1.1, 0.85), joined=True),
)
