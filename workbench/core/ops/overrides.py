"""Derivatives that users give for an op made of a graph, brought to one form.

Read next: :mod:`workbench.core.ops.blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.graph import Variable
from workbench.core.op import Op

DEFAULT = "default"
"""Stands among overrides for what is derived from the graph."""

Override = Callable[..., Any]


@dataclass(frozen=True)
class Overrides:
    """Derivatives that stand for those of the graph.

    Attributes
    ----------
    pull
        From inputs, outputs and gradients of the outputs to gradients of the inputs: one
        function for all, or for each input a function or ``None``.
    push
        From inputs and their tangents to tangents of the outputs, in the same two forms.
    pattern
        For each input and each output, whether a gradient passes.
    """

    pull: Override | tuple[Override | None, ...] | None = None
    push: Override | tuple[Override | None, ...] | None = None
    pattern: tuple[tuple[bool, ...], ...] | None = None


def normal(given: Any, n: int, what: str, of: str) -> Any:
    """Overrides as one function or a tuple of functions and ``None``.

    Raises
    ------
    TypeError, ValueError
        One is no function, or there are not `n`.
    """
    if given is None or (isinstance(given, str) and given == DEFAULT):
        return None
    if isinstance(given, Op):
        return _Flat(given)
    if callable(given):
        return given
    if not isinstance(given, list | tuple):
        raise TypeError(f"{what} must be a function or a list of them, got {given!r}.")
    entries = tuple(
        None
        if isinstance(f, str) and f == DEFAULT
        else _Only(_Flat(f))
        if isinstance(f, Op)
        else f
        for f in given
    )
    if len(entries) != n:
        raise ValueError(f"{what} has {len(entries)} entries for {n} {of}.")
    for f in entries:
        if f is not None and not callable(f):
            raise TypeError(f"{what}: {f!r} is no function, None or 'default'.")
    return None if all(f is None for f in entries) else entries


def without_outputs(given: Any) -> Any:
    """Functions of inputs and gradients as functions of inputs, outputs and gradients."""
    if isinstance(given, list | tuple):
        given = [_Only(_Flat(f)) if isinstance(f, Op) else f for f in given]
        return [without_outputs(f) for f in given]
    if isinstance(given, Op):
        given = _Flat(given)
    return _Shortened(given) if callable(given) else given


@dataclass(frozen=True)
class _Shortened:
    """A function that does not ask for the outputs."""

    function: Override

    def __call__(self, inputs: Any, outputs: Any, grads: Any) -> Any:
        return self.function(inputs, grads)


@dataclass(frozen=True)
class _Flat:
    """An op of all the variables in a row, as a function of lists."""

    op: Op

    def __call__(self, *lists: Sequence[Any]) -> list[Variable]:
        return list(self.op.make_node(*(v for part in lists for v in part)).outputs)


@dataclass(frozen=True)
class _Only:
    """The only result of an op."""

    function: Override

    def __call__(self, *lists: Sequence[Any]) -> Variable:
        (result,) = self.function(*lists)
        return result


def normal_pattern(
    given: Any, n_inputs: int, n_outputs: int
) -> tuple[tuple[bool, ...], ...] | None:
    """A connection pattern as tuples.

    Raises
    ------
    ValueError
        It has not an entry for each input and output.
    """
    if given is None:
        return None
    rows = tuple(tuple(bool(ok) for ok in row) for row in given)
    if len(rows) != n_inputs or any(len(row) != n_outputs for row in rows):
        raise ValueError(
            f"connection_pattern needs {n_inputs} rows, one an input, of {n_outputs} "
            "entries, one an output."
        )
    return rows
