"""What a loop runs over and starts from, in the ways people write it down, in one form.

Everything that can be said to be wrong before the step function is called is said here,
with the place in the user's call.

Read next: :mod:`workbench.core.loop_calls`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from workbench.core import source
from workbench.core.errors import (
    ArgumentError,
    DTypeError,
    ParameterError,
    Report,
    ShapeError,
    WorkbenchError,
)
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_int
from workbench.core.ops.shape import sizes_of, subtract_size
from workbench.core.ops.slicing import as_size
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import DimShuffle, cast, kind, weak_type
from workbench.core.types import count

E = TypeVar("E", bound=WorkbenchError)

SEQUENCES = (1, "sequences")
OUTPUTS_INFO = (2, "outputs_info")
FIXED = (3, "non_sequences")
STEPS = (4, "n_steps")
"""Where the arguments of ``scan`` stand in a call."""


def fail(
    kind: type[E],
    text: str,
    where: tuple[int, str] | source.Location | None = None,
    hint: str = "",
    element: int | None = None,
) -> E:
    """An error with the place of an argument, or with another line, and what to do."""
    place = source.argument_here(*where, element) if isinstance(where, tuple) else where
    error = kind(Report(text, place).add("hint", hint))
    error.line = place
    return error


def several(given: Any) -> list[Any]:
    """An argument that is nothing, one thing or a list of things, as a list."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


# --- sequences ---------------------------------------------------------------------------


class Run(NamedTuple):
    """An array of which step t sees the rows t + tap."""

    rows: Variable
    taps: tuple[int, ...]
    label: str

    @property
    def before(self) -> int:
        """How many rows lie before the one that counts as row 0."""
        return max(0, -min(self.taps))

    @property
    def after(self) -> int:
        """How many rows lie behind the one of the last step."""
        return max(0, *self.taps)

    @property
    def steps(self) -> Size:
        """For how many steps it has rows."""
        return subtract_size(sizes_of(self.rows)[0], self.before + self.after)

    def aligned(self, tap: int) -> Variable:
        """The rows that the steps see at a tap, the one of the first step first."""
        start, end = self.before + tap, tap - self.after
        if start == end == 0:
            return self.rows
        return index(self.rows, slice(start or None, end or None))


def as_runs(given: Any) -> list[Run]:
    """Sequences in every form that ``scan`` takes.

    Raises
    ------
    ArgumentError, ShapeError
        One is no array, or its taps are no whole numbers.
    """
    found = []
    for i, entry in enumerate(several(given)):
        array = entry
        taps: tuple[int, ...] = (0,)
        if isinstance(entry, Mapping):
            _check_keys(entry, {"input", "taps"}, "sequence", i, SEQUENCES)
            if entry.get("input") is None:
                raise fail(
                    ArgumentError,
                    f"sequence number {i} has no input.",
                    SEQUENCES,
                    "write dict(input=x, taps=[-1, 0]).",
                    i,
                )
            array = entry["input"]
            taps = _taps(entry.get("taps", 0), f"sequence number {i}", i, SEQUENCES)
        if array is None:
            raise fail(
                ArgumentError,
                f"sequence number {i} is None.",
                SEQUENCES,
                "leave it out.",
                i,
            )
        rows = as_variable(array)
        label = rows.label() if rows.name or rows.owner else f"number {i}"
        if rows.ndim == 0:
            raise fail(
                ShapeError,
                f"the sequence {label} is {rows.type}: it has no axis to run over.",
                SEQUENCES,
                "what is the same in every step goes to non_sequences.",
                i,
            )
        found.append(Run(rows, taps, label))
    return found


def _check_keys(
    entry: Mapping[Any, Any],
    known: set[str],
    what: str,
    i: int,
    where: tuple[int, str],
) -> None:
    wrong = [key for key in entry if key not in known]
    if wrong:
        names = ", ".join(f"{key}=" for key in sorted(known))
        raise fail(
            ArgumentError,
            f"{what} number {i} has an entry {wrong[0]!r}; there are {names}.",
            where,
            element=i,
        )


def _taps(given: Any, what: str, i: int, where: tuple[int, str]) -> tuple[int, ...]:
    taps = [0] if given is None else several(given)
    if isinstance(given, np.ndarray):
        taps = list(given)
    for tap in taps:
        if isinstance(tap, bool) or not isinstance(tap, int | np.integer):
            text = f"the taps of {what} are whole numbers, not {tap!r}."
            raise fail(ArgumentError, text, where, element=i)
    if not taps or len(set(taps)) != len(taps):
        text = f"{what} has the taps {taps}: each step it sees is named once."
        raise fail(ArgumentError, text, where, element=i)
    return tuple(int(tap) for tap in taps)


# --- states ------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """An output that later steps read.

    Attributes
    ----------
    firsts
        The rows it starts from, shape [depth, ...].
    taps
        Which earlier steps a step reads, in the order of the function's arguments.
    label
        How people call it.
    given
        What it was given as.
    is_weak
        Whether that was a Python number, whose dtype adapts.
    """

    firsts: Variable
    taps: tuple[int, ...]
    label: str
    given: Variable
    is_weak: bool = False

    @property
    def name(self) -> str | None:
        """The name of what it was given as."""
        return self.given.name

    @property
    def depth(self) -> int:
        """How many rows it starts from."""
        return -min(self.taps)


def as_states(given: Any) -> list[State | None]:
    """Entries of ``outputs_info`` in every form: a state, or None for a plain output.

    Raises
    ------
    ArgumentError, ShapeError
        Taps do not lie in the past, or there are too few rows for them.
    """
    found: list[State | None] = []
    for i, entry in enumerate(several(given)):
        initial = entry
        taps: tuple[int, ...] = (-1,)
        if isinstance(entry, Mapping):
            _check_keys(entry, {"initial", "taps"}, "output", i, OUTPUTS_INFO)
            initial = entry.get("initial")
            if initial is None and entry.get("taps") is not None:
                raise fail(
                    ArgumentError,
                    f"output number {i} has taps and no initial value.",
                    OUTPUTS_INFO,
                    "write dict(initial=h0, taps=[-1]).",
                    i,
                )
            if initial is not None:
                chosen = entry.get("taps")
                chosen = [-1] if chosen is None else chosen
                taps = _taps(chosen, f"output number {i}", i, OUTPUTS_INFO)
        if initial is None:
            found.append(None)
            continue
        if max(taps) >= 0:
            raise fail(
                ArgumentError,
                f"output number {i} has the tap {max(taps)}: a step reads earlier ones only.",
                OUTPUTS_INFO,
                "taps of outputs are negative, as [-2, -1].",
                i,
            )
        found.append(_state(initial, taps, i))
    return found


def _state(initial: Any, taps: tuple[int, ...], i: int) -> State:
    v = as_variable(initial)
    label = v.label() if v.name or v.owner else f"number {i}"
    is_weak = weak_type(initial) is not None
    if taps == (-1,):
        row = DimShuffle(("x", *range(v.ndim)))(v)
        return State(row, taps, label, v, is_weak)
    depth = -min(taps)
    have = v.type.shape[0] if v.ndim else 0
    if have is not None and have < depth:
        raise fail(
            ShapeError,
            f"the initial value of {label} is {v.type}, but its taps {list(taps)} "
            f"need {count(depth, 'row', 'rows')}.",
            OUTPUTS_INFO,
            f"give it as an array of shape ({depth}, …), the oldest row first.",
            i,
        )
    return State(v if have == depth else index(v, slice(depth)), taps, label, v)


# --- the number of steps -----------------------------------------------------------------


def as_steps(n_steps: Any, sequences: Sequence[Run]) -> Size:
    """How many steps there are; what is known to be wrong is an error at once.

    Raises
    ------
    ArgumentError, DTypeError, ParameterError
        Nothing says how many; or what does is no whole number, or negative.
    ShapeError
        Sequences are known to be too short, or to have different lengths.
    """
    for s in sequences:
        if isinstance(s.steps, int) and s.steps < 0:
            raise fail(
                ShapeError,
                f"the sequence {s.label} has {s.rows.type.shape[0]} elements, "
                f"and its taps {list(s.taps)} span {s.before + s.after + 1}.",
                SEQUENCES,
            )
    lengths = [(s, s.steps) for s in sequences if isinstance(s.steps, int)]
    if n_steps is None:
        if not sequences:
            raise fail(
                ArgumentError,
                "nothing says how many steps there are.",
                source.location_here(),
                "give sequences, or n_steps.",
            )
        if len({steps for _, steps in lengths}) > 1:
            names = ", ".join(f"{s.label} {steps}" for s, steps in lengths)
            raise fail(
                ShapeError,
                f"the sequences are for different numbers of steps: {names}.",
                SEQUENCES,
                "cut the longer ones, or say with n_steps how many steps there are.",
            )
        return lengths[0][1] if lengths else sequences[0].steps
    n = _number(n_steps)
    for s, steps in lengths:
        if isinstance(n, int) and n > steps:
            raise fail(
                ShapeError,
                f"n_steps is {n}, but the sequence {s.label} has elements for "
                f"{count(steps, 'step', 'steps')}.",
                STEPS,
            )
    return n


def _number(n_steps: Any) -> Size:
    if not isinstance(n_steps, Variable):
        array = np.asarray(n_steps)
        if array.ndim or array.dtype.kind not in "iu":
            text = f"n_steps is {n_steps!r}, which is no whole number."
            raise fail(DTypeError, text, STEPS)
        n_steps = as_variable(int(array))
    if n_steps.ndim or kind(n_steps.dtype) not in "iu":
        raise fail(
            DTypeError,
            f"n_steps is {n_steps.label()}: {n_steps.type}, which is no whole number.",
            STEPS,
            "use T.lscalar('n'), or T.cast(n, 'int64').",
        )
    known = known_int(n_steps)
    if known is None:
        return as_size(cast(n_steps, "int64"))
    if known < 0:
        raise fail(
            ParameterError,
            f"n_steps is {known}.",
            STEPS,
            "to run over sequences from their end use go_backwards=True.",
        )
    return known


def as_truncation(steps: Any) -> int | None:
    """How many steps gradients go back; None for all, which is written -1."""
    if steps is None or steps == -1:
        return None
    whole = isinstance(steps, int | np.integer) and not isinstance(steps, bool)
    if not whole or steps < 1:
        raise fail(
            ParameterError,
            f"truncate_gradient is {steps!r}; it is a number of steps, or -1 for all.",
            (5, "truncate_gradient"),
        )
    return int(steps)
