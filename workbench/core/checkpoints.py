"""A loop whose gradient computes most values again rather than keep them.

The gradient of a loop reads what the steps computed, and so all of that is kept: memory
grows with the number of steps. Here every N steps are one step of an outer loop that keeps
nothing but its states; its gradient runs the N steps again when it comes to them.

References
----------
Griewank, Walther (2000), Algorithm 799: revolve. This is the scheme with one level.

Read next: :mod:`workbench.core.scanning`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.core.errors import ArgumentError, ParameterError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.loop_arguments import OUTPUTS_INFO, SEQUENCES, fail
from workbench.core.loop_building import Builder
from workbench.core.op import Size
from workbench.core.ops import elementwise as ew
from workbench.core.ops.bodies import Body
from workbench.core.ops.checks import assert_op
from workbench.core.ops.creation import arange, zeros
from workbench.core.ops.joining import concatenate
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import reshape, size_variable, sizes_of, subtract_size
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import DimShuffle

SAVE_EVERY = (6, "save_every_N")


def scan_checkpoints(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    name: str | None = None,
    n_steps: Any = None,
    save_every_N: int = 10,
    padding: bool = True,
) -> Any:
    """As :func:`scan`, with less memory in its gradient and every N-th result only.

    Parameters
    ----------
    fn
        The step. It returns no condition.
    sequences, outputs_info, non_sequences, n_steps, name
        As for :func:`scan`; the only tap of a sequence is 0, of an output -1.
    save_every_N
        N: after how many steps the states are kept.
    padding
        Whether the number of steps may be one that N does not divide: sequences are then
        copied, with zeros behind them that no step sees. Otherwise it is an error.

    Returns
    -------
    outputs : Variable or list of Variable
        For each output of `fn` what the steps N, 2N, ... and the last one made,
        [ceil(n / N), ...]. So the last row is that of :func:`scan`.
    updates : OrderedUpdates
        As :func:`scan` returns them.

    Raises
    ------
    ArgumentError
        `fn` returns a condition, or there are other taps.
    ParameterError
        N is no positive whole number.
    ShapeError
        Without padding, N does not divide the number of steps.

    Notes
    -----
    For n steps, states of S bytes and V bytes a step that its gradient reads, the gradient
    of :func:`scan` keeps n (S + V) bytes. Here it is n / N S + N (S + V), which is least for
    N = sqrt(n S / (S + V)); every step is run twice. Padded sequences are copied on top.
    :func:`checkpoint_memory` says these bytes for a step function, and which N is best.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> x = T.scalar("x")
    >>> powers, _ = wb.scan_checkpoints(
    ...     lambda power, x: power * x, outputs_info=1.0, non_sequences=x, n_steps=7, save_every_N=3
    ... )
    >>> powers.eval({x: 2.0})
    array([  8.,  64., 128.])
    >>> wb.grad(powers[-1], x).eval({x: 2.0})
    array(448.)
    """
    every = _whole(save_every_N)
    builder = Builder(fn, sequences, outputs_info, non_sequences, n_steps)
    builder.trace()
    _check(builder)
    chunks = _Chunks(builder.steps, every, padding)
    outer = _outer(builder, chunks, name or "checkpoints")
    rows = [chunks.of(v) for v in builder.aligned()]
    node = outer.make_node(
        size_variable(chunks.number),
        *rows,
        *chunks.lengths,
        *builder.firsts(builder.closed),
        *builder.closed.others,
    )
    loop = builder.seen(node)
    return loop.all_values(), loop.updates


def _whole(every: Any) -> int:
    is_whole = isinstance(every, int | np.integer) and not isinstance(every, bool)
    if not is_whole or every < 1:
        text = f"save_every_N is {every!r}, which is no positive whole number."
        raise fail(ParameterError, text, SAVE_EVERY)
    return int(every)


def _check(builder: Builder) -> None:
    for run in builder.runs:
        if run.taps != (0,):
            text = f"the sequence {run.label} has the taps {list(run.taps)}."
            hint = "give scan_checkpoints one sequence for each, sliced."
            raise fail(ArgumentError, text, SEQUENCES, hint)
    for state in builder.states:
        if state is not None and state.taps != (-1,):
            text = f"the state {state.label} has the taps {list(state.taps)}."
            hint = "give scan_checkpoints one state for each."
            raise fail(ArgumentError, text, OUTPUTS_INFO, hint)
    if builder.closed.condition is not None:
        text = "the step of scan_checkpoints returns a condition."
        raise fail(ArgumentError, text, builder.step.place, "use scan.")


class _Chunks:
    """How the steps are divided: `number` chunks of `every` steps, the last one shorter."""

    def __init__(self, steps: Size, every: int, padding: bool) -> None:
        self.every = every
        is_known = isinstance(steps, int)
        if is_known and steps % every and not padding:
            text = f"save_every_N is {every}, which does not divide {steps} steps."
            hint = "choose another one, or padding=True."
            raise fail(ShapeError, text, SAVE_EVERY, hint)
        self.is_even = not padding or (is_known and steps % every == 0)
        self.steps = steps
        if isinstance(steps, int):
            self.number: Size = -(-steps // every)
        else:
            self.number = ew.floor_div(ew.add(steps, every - 1), every)
            if not padding:
                self.number = assert_op(
                    self.number,
                    ew.eq(ew.mod(steps, every), 0),
                    message=f"save_every_N, {every}, divides the number of steps",
                )

    @property
    def lengths(self) -> list[Variable]:
        """The number of steps in each chunk, a sequence of its own; none where all are full."""
        if self.is_even:
            return []
        starts = ew.mul(arange(size_variable(self.number)), self.every)
        return [ew.minimum(ew.sub(size_variable(self.steps), starts), self.every)]

    def of(self, rows: Variable) -> Variable:
        """Rows [n, ...] as [number, every, ...]."""
        length, *sizes = sizes_of(rows)
        if not self.is_even:
            full = ew.mul(size_variable(self.number), self.every)
            missing = subtract_size(full, length)
            rows = concatenate([rows, zeros([missing, *sizes], rows.dtype)])
        return reshape(rows, [self.number, self.every, *sizes])


def _outer(builder: Builder, chunks: _Chunks, title: str) -> Scan:
    """The loop over chunks, of which each step is a loop."""
    closed = builder.closed
    inner = builder.op(closed, title=title)
    rows = [
        Variable(v.type.with_shape((chunks.every, *v.type.shape)), v.name)
        for v in builder.rows
    ]
    lengths = [Variable(v.type.with_shape(())) for v in chunks.lengths]
    states = [Variable(v.type, v.name) for taps in builder.taps for v in taps]
    states += [Variable(v.type, v.name) for v in closed.shared.values()]
    others = [Variable(v.type, v.name) for v in closed.others]
    steps = lengths[0] if lengths else as_variable(chunks.every)
    node = inner.make_node(
        steps,
        *(index(v, slice(None, steps)) if lengths else v for v in rows),
        *(DimShuffle(("x", *range(v.ndim)))(v) for v in states),
        *others,
    )
    lasts = [index(v, -1) for v in node.outputs]
    return Scan(
        Body([*rows, *lengths, *states, *others], lasts),
        n_sequences=len(rows) + len(lengths),
        taps=inner.taps,
        recompute=True,
        title=title,
    )
