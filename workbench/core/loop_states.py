"""The type of a state: what it starts from and what a step makes of it are of one type.

Where they are not, the initial value is made to fit when no value changes by that: numbers
take the dtype that the step has, an axis of size 1 is stretched to the size that the step
gives it. Anything else is an error that names the state and both types.

Read next: :mod:`workbench.core.loop_building`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from workbench.core import source
from workbench.core.errors import DTypeError, Report, ShapeError, WorkbenchError
from workbench.core.graph import Constant, Variable
from workbench.core.loop_arguments import State
from workbench.core.loop_steps import Step
from workbench.core.op import Size
from workbench.core.ops.elementwise import Fill
from workbench.core.ops.shape import (
    BroadcastTo,
    broadcast_to,
    sizes_of,
    specify_shape,
)
from workbench.core.ops.ufunc import Cast, DimShuffle, cast, kind
from workbench.core.types import TensorType, count

States = Sequence[State | None]


def row_type(state: State) -> TensorType:
    """The type of a state in one step."""
    return state.firsts.type.with_shape(state.firsts.type.shape[1:])


def with_float_dtype(state: State, others: Sequence[Variable]) -> State:
    """A state that starts from a Python float, in the dtype of the floats around it."""
    if not state.is_weak or kind(state.firsts.dtype) not in "fc":
        return state
    around = [v.dtype for v in others if kind(v.dtype) == "f"]
    if not around or kind(state.firsts.dtype) == "c":
        return state
    return with_dtype(state, np.result_type(*around).name)


def with_dtype(state: State, dtype: str) -> State:
    """A state that starts from the same values in another dtype."""
    return replace(state, firsts=cast(state.firsts, dtype))


def settle(
    states: States,
    step: Step,
    around: Sequence[Variable],
    sizes: Callable[[int], Sequence[Size | None]],
) -> tuple[list[State | None], bool]:
    """States that begin with the types that a step gives them, and whether any has changed.

    Where one has, the step must be traced again. Where none has, `step.outputs` have the
    types of the states.

    Parameters
    ----------
    around
        What the step reads: numbers take their dtype.
    sizes
        The sizes of an output of the step as they are known outside; None for others.

    Raises
    ------
    DTypeError, ShapeError
        The types do not fit.
    """
    found = list(states)
    for i, state in enumerate(states):
        if state is not None:
            found[i] = _settled(state, i, step, around, sizes)
    return found, any(a is not b for a, b in zip(found, states, strict=True))


def _settled(
    state: State,
    i: int,
    step: Step,
    around: Sequence[Variable],
    sizes: Callable[[int], Sequence[Size | None]],
) -> State:
    out, row = step.outputs[i], row_type(state)
    if out.ndim != row.ndim:
        raise _mismatch(ShapeError, state, i, step, _rank_hint(state, out))
    if out.dtype != row.dtype:
        if not np.can_cast(out.dtype, row.dtype, "safe"):
            return _adapted(state, i, step, around)
        with _as(out):
            step.outputs[i] = out = cast(out, row.dtype)
    stretched: list[Size | None] = []
    is_known = True
    for axis, (have, made) in enumerate(zip(row.shape, out.type.shape, strict=True)):
        size: Size | None = None
        if have is not None and have != made:
            if have == 1:
                size = sizes(i)[axis] if made is None else made
            elif made is not None:
                hint = (
                    f"every step returns the shape it was given; look at axis {axis}."
                )
                raise _mismatch(ShapeError, state, i, step, hint)
            is_known = is_known and made is not None
        stretched.append(None if size == 1 else size)
    if any(size is not None for size in stretched):
        return _stretched(state, stretched)
    if not is_known:
        # The type of the state says more than that of the output, which is checked.
        with _as(out):
            step.outputs[i] = specify_shape(out, list(row.shape))
    return state


def _as(v: Variable) -> AbstractContextManager[None]:
    """What is made inside has the line of the operation that computes `v`."""
    return nullcontext() if v.owner is None else source.made_for(v.owner.origin)


def _stretched(state: State, stretched: Sequence[Size | None]) -> State:
    """The state with axes of size 1 as long as the step makes them."""
    depth, *own = sizes_of(state.firsts)
    full = [b if a is None else a for a, b in zip(stretched, own, strict=True)]
    return replace(state, firsts=broadcast_to(state.firsts, [depth, *full]))


def _adapted(state: State, i: int, step: Step, around: Sequence[Variable]) -> State:
    """The state in the dtype of the step, where it starts from numbers that stay the same."""
    dtype = step.outputs[i].dtype
    if state.is_weak and kind(state.firsts.dtype) in "biu":
        # A Python int among floats takes their dtype: first the step is tried with that.
        floats = [v.dtype for v in around if kind(v.dtype) == "f"]
        if floats and kind(dtype) == "f":
            dtype = np.result_type(*floats).name
    if not _keeps_values(state.firsts, dtype):
        hint = f"cast the initial value: T.cast({state.label}, '{dtype}')."
        if kind(state.firsts.dtype) == "f":
            hint = (
                f"cast the output to {row_type(state).dtype}, or the initial value to "
                f"{dtype}; something the step reads is {dtype}."
            )
        raise _mismatch(DTypeError, state, i, step, hint)
    return with_dtype(state, dtype)


def _keeps_values(v: Variable, dtype: str) -> bool:
    """Whether a cast changes no value: of numbers in the graph, or of all of a dtype."""
    if kind(v.dtype) in "biu" and np.can_cast(v.dtype, dtype, "safe"):
        if np.dtype(v.dtype).itemsize < np.dtype(dtype).itemsize:
            return True
    data = _number_in(v)
    if data is None:
        return False
    if not np.can_cast(v.dtype, dtype, "same_kind"):
        return False
    with np.errstate(all="ignore"):
        back = data.data.astype(dtype).astype(v.dtype)
    return bool(np.array_equal(back, data.data, equal_nan=kind(v.dtype) in "fc"))


def _number_in(v: Variable) -> Constant | None:
    """The constant that `v` repeats, if it does nothing else."""
    while v.owner is not None:
        op, inputs = v.owner.op, v.owner.inputs
        if isinstance(op, Fill):
            v = inputs[1]
        elif isinstance(op, BroadcastTo | DimShuffle | Cast):
            v = inputs[0]
        else:
            return None
    return v if isinstance(v, Constant) else None


def _rank_hint(state: State, out: Variable) -> str:
    have = row_type(state).ndim
    if state.taps != (-1,):
        return "the initial value has the rows of the first steps along axis 0."
    return (
        f"start from a value with {count(out.ndim, 'axis', 'axes')}, not {have}: "
        "T.zeros_like of what the step returns, or T.alloc(0., …)."
    )


def _mismatch(
    error: type[WorkbenchError], state: State, i: int, step: Step, hint: str
) -> WorkbenchError:
    out = step.outputs[i]
    place = step.line_of(out)
    report = Report(
        f"the state {state.label} starts as {row_type(state)}, "
        f"and the step returns {out.label()}: {out.type}.",
        place,
    )
    made = state.given.location
    own = state.given.name or state.given.label()
    report.add("from", f"{own}: {row_type(state)}" + (f", {made}" if made else ""))
    failure = error(report.add("hint", hint))
    failure.line = place
    return failure
