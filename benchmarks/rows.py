"""What a row of the table is: a computation with its arrays, and what to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.mathematics import Expression

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Target:
    """What Workbench should reach: at most `must`, better `aim`.

    `unit` is ``"ratio"`` (to the fastest peer), ``"s"`` or ``"MiB"``. `at_two` holds
    both figures for two threads, where they differ from those for one.
    """

    must: float
    aim: float
    unit: Literal["ratio", "s", "MiB"] = "ratio"
    at_two: tuple[float, float] | None = None

    def limits(self, threads: int) -> tuple[float, float]:
        """Must and aim with so many threads."""
        return self.at_two if self.at_two and threads > 1 else (self.must, self.aim)


EVEN = Target(1.0, 0.8)
"""Where no figure is known from hand-written C: no slower than the fastest peer."""


@dataclass(frozen=True)
class Least:
    """What no program can do without: the physical limit is the time this takes.

    Attributes
    ----------
    read, written
        Elements of four bytes that pass between memory and processor.
    exp, tanh
        Values of either function; logarithms, roots and quotients are counted as exp.
    products
        Sizes (m, k, n) of the matrix products.
    """

    read: int = 0
    written: int = 0
    exp: int = 0
    tanh: int = 0
    products: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Workload:
    """One computation.

    Attributes
    ----------
    kind
        ``value``: a call returns ``expression(peer, *inputs)``.
        ``gradient``: a call returns that value, a scalar, and its slopes by the inputs
        named in `wrt`.
        ``update``: a call replaces the state by ``expression(peer, *state)``.
        ``train``: a call returns ``expression(peer, *inputs, *state)``, a loss, and
        takes `rate` times its gradient from the state.
    inputs, state
        Make the arrays, by name, equal in every process.
    by_hand
        For ``gradient`` and ``train``, the same in NumPy: takes all arrays, and for
        ``train`` the rate, and changes the state in place.
    """

    name: str
    title: str
    kind: Literal["value", "gradient", "update", "train"]
    expression: Expression
    inputs: Callable[[], Arrays] = dict
    state: Callable[[], Arrays] = dict
    by_hand: Callable[..., Any] | None = None
    wrt: tuple[str, ...] = ()
    rate: float = 0.0
    target: Target | None = None
    least: Least | None = None


@dataclass(frozen=True)
class Start:
    """The first result of a workload in a new process; `memory` is for the most it held.

    `operations` says how large the graph is where that is what is measured; `own` rows
    are asked of Workbench alone.
    """

    row: str
    title: str
    workload: Workload
    target: Target | None = None
    memory: Target | None = None
    operations: int = 0
    own: bool = False
