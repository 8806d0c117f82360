"""From a step function and what it is given to the operation of a loop.

A :class:`Builder` calls the function, sees that the states have the types they begin with,
and joins the parts; a :class:`Loop` is the operation with what users see of it.

Read next: :mod:`workbench.core.scanning`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.core import source
from workbench.core.graph import Apply, Variable, as_variable, recording
from workbench.core.loop_arguments import (
    State,
    as_runs,
    as_states,
    as_steps,
    several,
)
from workbench.core.loop_calls import check_call, parameter_names
from workbench.core.loop_states import row_type, settle, with_float_dtype
from workbench.core.loop_steps import Closed, Step, check_number, close, read_returned
from workbench.core.op import Size
from workbench.core.ops import elementwise as ew
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import DimShuffle, cast, weak_type
from workbench.core.updates import OrderedUpdates


class Builder:
    """A loop while it is made.

    Parameters
    ----------
    fn, sequences, outputs_info, non_sequences, n_steps, strict
        As for :func:`workbench.core.scanning.scan`.

    Attributes
    ----------
    runs, states, fixed, steps
        The same, checked and in one form.
    rows, taps
        What stands in the step for the rows of sequences and for earlier values of states.
    step, closed
        What the function made, as it made it and with everything it reads, once
        :meth:`trace` has called it.
    """

    step: Step
    closed: Closed

    def __init__(
        self,
        fn: Callable[..., Any],
        sequences: Any,
        outputs_info: Any,
        non_sequences: Any,
        n_steps: Any,
        strict: bool = False,
    ) -> None:
        self.fn, self.strict = fn, strict
        self.runs = as_runs(sequences)
        self.fixed = [_as_fixed(v) for v in several(non_sequences)]
        states = as_states(outputs_info)
        self.is_cut = n_steps is not None
        self.steps: Size = as_steps(n_steps, self.runs)
        self.declared = [v for v in self.fixed if isinstance(v, Variable)]
        # Numbers of Python take the dtype of these.
        self.around = [*(s.rows for s in self.runs), *self.declared]
        self.around += [s.firsts for s in states if s is not None and not s.is_weak]
        self.states = [
            None if s is None else with_float_dtype(s, self.around) for s in states
        ]
        self.made: set[Apply] = set()
        self.rows = [
            Variable(s.rows.type.with_shape(s.rows.type.shape[1:]))
            for s in self.runs
            for _ in s.taps
        ]
        self.taps = [_tap_variables(state) for state in self.states]

    # --- the step

    def trace(self) -> None:
        """Call the function until the states have the types that they begin with."""
        # Each state may change its dtype twice and stretch once, one after the other.
        for _ in range(3 * len(self.states) + 1):
            arguments = self._arguments()
            # Called from here, so that loops may be nested 200 deep.
            with recording(self.made):
                returned = self.fn(*arguments)
            if self._is_settled(returned):
                self.closed = self._close()
                return
        raise AssertionError("the types of the states do not settle")

    def _arguments(self) -> list[Any]:
        arguments = [*self._inner, *self.fixed]
        roles = self._name_arguments(parameter_names(self.fn, len(arguments)))
        check_call(self.fn, arguments, roles)
        return arguments

    def _is_settled(self, returned: Any) -> bool:
        """Take what the function returned; whether the states were of the right types."""
        place = source.definition(self.fn)
        self.step = read_returned(returned, self.made, place)
        check_number(self.step, len(self.states))
        if not self.states:
            self.states = [None] * len(self.step.outputs)
            self.taps = [[] for _ in self.states]
        states, has_changed = settle(
            self.states, self.step, self.around, self._sizes_of_output
        )
        if has_changed:
            self.states = states
            self.taps = [_tap_variables(state) for state in states]
        return not has_changed

    @property
    def _inner(self) -> list[Variable]:
        """What stands for rows and states, in the order of the function's arguments."""
        return [*self.rows, *(v for taps in self.taps for v in taps)]

    def _name_arguments(self, names: Sequence[str | None]) -> list[str]:
        """Name what a step sees, x[t] or h[t-1] or as the function does; say each role."""
        found = [
            (run.rows.name, tap, run.label, "sequence")
            for run in self.runs
            for tap in run.taps
        ]
        found += [
            (state.given.name, tap, state.label, "state")
            for state in self.states
            if state is not None
            for tap in state.taps
        ]
        roles = []
        for v, parameter, (name, tap, label, role) in zip(
            self._inner, names, found, strict=False
        ):
            at = f"[t{tap:+d}]" if tap else "[t]"
            v.name = name + at if name else parameter
            roles.append(f"{role} {label}{at}")
        self.states = [
            s
            if s is None or s.given.name
            else replace(s, label=taps[0].name or s.label)
            for s, taps in zip(self.states, self.taps, strict=True)
        ]
        for value in self.fixed:
            label = value.label() if isinstance(value, Variable) else repr(value)
            roles.append(f"non_sequence {label}")
        return roles

    def _close(self) -> Closed:
        return close(self.step, self._inner, self.declared, self.strict)

    def _sizes_of_output(self, i: int) -> Sequence[Size | None]:
        """The sizes of an output of the step as they are known outside."""
        closed = self._close()
        op = self.op(closed)
        rows = [run.aligned(tap) for run in self.runs for tap in run.taps]
        node = op.make_node(
            size_variable(self.steps), *rows, *self.firsts(closed), *closed.others
        )
        shapes = [sizes_of(v) for v in node.inputs]
        return op.step_sizes(node, shapes)[self.places.index(i)]

    # --- the operation

    @property
    def places(self) -> list[int]:
        """For the states, then for the plain outputs: which outputs of the step they are."""
        states = [i for i, state in enumerate(self.states) if state is not None]
        return [*states, *(i for i, state in enumerate(self.states) if state is None)]

    def aligned(self, from_end: bool = False, flip: bool = False) -> list[Variable]:
        """The sequences at each tap, as many rows as there are steps.

        They are the first ones, or the last ones with `from_end`; in the order of the steps
        of a loop that goes forwards, or turned round with `flip`.
        """
        found = []
        for run in self.runs:
            for tap in run.taps:
                rows = run.aligned(tap)
                if self.is_cut and rows.type.shape[0] != self.steps:
                    n = size_variable(self.steps)
                    part = slice(None, n)
                    if from_end:
                        start = ew.sub(size_variable(sizes_of(rows)[0]), n)
                        part = slice(ew.maximum(start, 0), None)
                    rows = index(rows, part)
                found.append(index(rows, slice(None, None, -1)) if flip else rows)
        return found

    def firsts(self, closed: Closed, backwards: bool = False) -> list[Variable]:
        """The rows that states start from; of a loop backwards the newest one first."""
        found = [
            index(s.firsts, slice(None, None, -1))
            if backwards and s.depth > 1
            else s.firsts
            for s in self.states
            if s is not None
        ]
        return found + [DimShuffle(("x", *range(s.ndim)))(s) for s in closed.shared]

    @property
    def depths(self) -> list[int]:
        """How many rows each state starts from, shared variables not counted."""
        return [s.depth for s in self.states if s is not None]

    def op(self, closed: Closed, **parameters: Any) -> Scan:
        """The operation of the step as it is."""
        ordered = [
            sorted(zip(state.taps, variables, strict=True), key=lambda pair: pair[0])
            for state, variables in zip(self.states, self.taps, strict=True)
            if state is not None
        ]
        n_states = len(ordered)
        results = [closed.outputs[i] for i in self.places]
        results[n_states:n_states] = closed.new_values
        if closed.condition is not None:
            results.append(cast(closed.condition, "bool"))
        inner = [
            *self.rows,
            *(v for taps in ordered for _, v in taps),
            *closed.shared.values(),
        ]
        own = [tuple(tap for tap, _ in taps) for taps in ordered]
        return Scan(
            Body([*inner, *closed.others], results),
            n_sequences=len(self.rows),
            taps=(*own, *((-1,) for _ in closed.shared)),
            until=closed.condition is not None,
            **parameters,
        )

    def loop(
        self, go_backwards: bool = False, only_last: bool = False, **parameters: Any
    ) -> Loop:
        """The operation on what was given, and what users see of its outputs."""
        closed = self.closed
        has_until = closed.condition is not None
        backwards = bool(go_backwards and self.runs) and not has_until
        if only_last:
            kept = len(self.states) + len(closed.shared)
            parameters["keep"] = (1,) * kept
        op = self.op(closed, backwards=backwards, **parameters)
        node = op.make_node(
            size_variable(self.steps),
            *self.aligned(go_backwards, go_backwards and has_until),
            *self.firsts(closed, backwards),
            *closed.others,
        )
        return self.seen(node)

    def seen(self, node: Apply) -> Loop:
        """What users see of an operation whose states and outputs are those of the step."""
        op: Any = node.op
        closed, n_shared = self.closed, len(self.closed.shared)
        n_states = len(self.depths)
        done = node.outputs[-1] if op.until else None
        depths = [*op.depths, *(0 for _ in range(op.n_plain))]
        parts = [
            _Stack(v, depth, keep is not None, done, op.backwards)
            for v, depth, keep in zip(node.outputs, depths, op.keep, strict=False)
        ]
        shown = [*parts[:n_states], *parts[n_states + n_shared :]]
        outputs = [
            s for _, s in sorted(zip(self.places, shown, strict=True), key=_place)
        ]
        updates = OrderedUpdates()
        for shared, s in zip(closed.shared, parts[n_states:], strict=False):
            updates[shared] = s.last()
            default = shared.default_update
            if default is not None and default.owner in self.made:
                # A stream that the step has made: nothing else counts it on.
                shared.default_update = updates[shared]
        return Loop(node, outputs, updates)


def _place(pair: tuple[int, _Stack]) -> int:
    return pair[0]


def _as_fixed(value: Any) -> Any:
    """Numbers of Python stay what they are: their dtype adapts to what they meet."""
    return value if weak_type(value) is not None else as_variable(value)


def _tap_variables(state: State | None) -> list[Variable]:
    return [] if state is None else [Variable(row_type(state)) for _ in state.taps]


@dataclass
class _Stack:
    """An output of the operation.

    Attributes
    ----------
    rows
        Its variable.
    depth
        How many rows were given before the first step.
    is_last
        Whether it is the last row alone.
    done
        How many steps were made where a condition decides, else None.
    backwards
        Whether the newest row is the first.
    """

    rows: Variable
    depth: int
    is_last: bool
    done: Variable | None
    backwards: bool

    def made(self) -> Variable:
        """The rows that the steps made, in their order."""
        v, depth, done = self.rows, self.depth, self.done
        if self.backwards:
            return index(v, slice(-depth - 1 if depth else None, None, -1))
        if done is None:
            return index(v, slice(depth, None)) if depth else v
        return index(v, slice(depth or None, ew.add(done, depth) if depth else done))

    def last(self) -> Variable:
        """The newest row: of the last step, or of a state where there is no step."""
        if self.backwards or self.is_last:
            return index(self.rows, 0)
        if self.done is None:
            return index(self.rows, -1)
        return index(self.rows, ew.add(self.done, self.depth - 1))


@dataclass
class Loop:
    """A loop as users see it.

    Attributes
    ----------
    node
        The operation.
    updates
        The shared variables that the steps change, with their last values.
    """

    node: Apply
    stacks: list[_Stack]
    updates: OrderedUpdates

    def all_values(self, as_list: bool = False) -> Any:
        """What each step made: one variable [n, ...], or a list of them, or None."""
        return _in_form([s.made() for s in self.stacks], as_list)

    def last_values(self, as_list: bool = False) -> Any:
        """What the last step made; of a state in a loop without steps its initial value."""
        return _in_form([s.last() for s in self.stacks], as_list)


def _in_form(outputs: list[Variable], as_list: bool) -> Any:
    if as_list:
        return outputs
    return outputs[0] if len(outputs) == 1 else outputs or None
