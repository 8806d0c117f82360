"""The loss of connectionist temporal classification, as a loop over frames.

What is summed are the probabilities of all ways to spread a transcript over the frames. All of it is done with
logarithms, and the gradient is that of the loop.

Read next: :mod:`workbench.core.scanning`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.checks import AssertValue
from workbench.core.ops.creation import arange, full, zeros_like
from workbench.core.ops.elementwise import (
    add,
    and_,
    eq,
    ge,
    gt,
    le,
    lt,
    maximum,
    mul,
    neg,
    neq,
    or_,
    sub,
    switch,
)
from workbench.core.ops.indexing import take_along_axis
from workbench.core.ops.joining import concatenate, stack
from workbench.core.ops.mathematics import logaddexp
from workbench.core.ops.nnet import logsoftmax
from workbench.core.ops.reduction import all as all_of
from workbench.core.ops.reduction import sum as sum_of
from workbench.core.ops.shape import (
    broadcast_to,
    dimshuffle,
    product_size,
    reshape,
    size_variable,
    sizes_of,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import as_float, cast, kind
from workbench.core.scanning import scan
from workbench.core.source import location_here

NEVER = -1e30
"""The logarithm of a probability of 0: finite, so that its derivative is."""


def ctc(activations: Any, labels: Any, input_lengths: Any) -> Variable:
    """How improbable each transcript is, given what a network says of every frame.

    Parameters
    ----------
    activations : [frames, batch, symbols]
        Before the softmax. Symbol 0 is the blank, which stands between equal symbols.
    labels : [batch, length] of integers
        The transcripts, without blanks; shorter ones end in -1.
    input_lengths : [batch] of integers
        How many frames of each example count.

    Returns
    -------
    [batch]
        Minus the logarithm of the probability of each transcript; infinite, with gradient 0, where
        it does not fit into the frames.

    Raises
    ------
    ShapeError
        An array has another number of axes.
    DTypeError
        Labels or lengths are not integers.
    ParameterError
        When run: a transcript has a blank, or goes on after its end; or more frames are to count than there are.

    References
    ----------
    Graves, Fernández, Gomez and Schmidhuber (2006), Connectionist Temporal Classification, section 4.1.
    """
    x, wanted, frames = as_float(activations), as_variable(labels), as_variable(input_lengths)  # fmt: skip
    for name, array, rank in (("activations", x, 3), ("labels", wanted, 2), ("input_lengths", frames, 1)):  # fmt: skip
        if array.ndim != rank:
            raise ShapeError(
                Report(
                    f"ctc: {name} needs {rank} axes, got {array.type}.", location_here()
                )
            )
        if rank < 3 and kind(array.dtype) not in "iu":
            raise DTypeError(
                Report(
                    f"ctc: {name} must be integers, got {array.type}.", location_here()
                )
            )
    wanted, frames = _checked(x, cast(wanted, "int64"), cast(frames, "int64"))
    lengths = sum_of(ge(wanted, 0), axis=1)
    symbols = _with_blanks(maximum(wanted, 0))
    steps, (batch, places) = sizes_of(x)[0], sizes_of(symbols)
    at = broadcast_to(dimshuffle(symbols, "x", 0, 1), (steps, batch, places))
    logs = take_along_axis(logsoftmax(x), at, axis=2)
    never = as_variable(np.array(NEVER, x.dtype))
    # Two places on, past a blank, where the symbols on both sides of it differ.
    skips = and_(neq(symbols, 0), neq(symbols, _later(symbols, 2, 0)))

    def step(now: Any, t: Any, before: Any, skips: Any, frames: Any) -> Variable:
        """The logarithms of the probabilities to be at each place after a frame."""
        stays = logaddexp(before, _later(before, 1, NEVER))
        jumps = switch(skips, _later(before, 2, NEVER), never)
        after = add(logaddexp(stays, jumps), now)
        return switch(dimshuffle(lt(t, frames), 0, "x"), after, before)

    number = dimshuffle(arange(size_variable(places)), "x", 0)
    made = scan(
        step,
        sequences=[logs, arange(size_variable(steps))],
        # Before the first frame as if at place 0, which leads to places 0 and 1.
        outputs_info=broadcast_to(
            switch(eq(number, 0), as_variable(np.array(0, x.dtype)), never),
            (batch, places),
        ),
        non_sequences=[skips, frames],
        return_updates=False,
    )
    last = dimshuffle(mul(lengths, 2), 0, "x")
    ends = concatenate([last, maximum(sub(last, 1), 0)], axis=1)
    at_end, before_end = (
        index(take_along_axis(index(made, (-1,)), ends, axis=1), (slice(None), k))
        for k in (0, 1)
    )
    before_end = switch(gt(lengths, 0), before_end, never)
    loss = neg(logaddexp(at_end, before_end))
    return switch(gt(loss, -NEVER / 10), as_variable(np.array(np.inf, x.dtype)), loss)


def _checked(
    x: Variable, labels: Variable, frames: Variable
) -> tuple[Variable, Variable]:
    """Labels and numbers of frames, which must make sense when they are used."""
    before, after = (index(labels, (slice(None), part)) for part in (slice(0, -1), slice(1, None)))  # fmt: skip
    goes_on = or_(ge(before, 0), lt(after, 0))
    steps = size_variable(sizes_of(x)[0])
    labels = AssertValue("ctc: labels are no blanks (symbol 0), and negative ones stand at the end")(
        labels, all_of(neq(labels, 0)), all_of(goes_on)
    )  # fmt: skip
    counted = and_(ge(frames, 0), le(frames, steps))
    message = "ctc: input_lengths are from 0 to the number of frames"
    return labels, AssertValue(message)(frames, all_of(counted))


def _with_blanks(labels: Variable) -> Variable:
    """A blank before, between and after all labels: [batch, 2 length + 1]."""
    batch, length = sizes_of(labels)
    blanks = zeros_like(labels)
    pairs = reshape(stack([blanks, labels], axis=2), (batch, product_size([2, length])))
    end = full((batch, 1), 0, dtype="int64")
    return concatenate([pairs, end], axis=1)


def _later(x: Variable, number: int, fill: float) -> Variable:
    """`x` moved so many places on, with `fill` where it comes from nowhere."""
    batch, places = sizes_of(x)
    moved = concatenate([full((batch, number), fill, dtype=x.dtype), x], axis=1)
    return index(moved, (slice(None), slice(0, size_variable(places))))


__all__ = ["ctc"]
