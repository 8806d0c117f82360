"""A graph as a part of an op: a value that is equal to, and hashes as, its equals.

Read next: :mod:`workbench.core.ops.overrides`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.core import source
from workbench.core.errors import DTypeError, MissingInputError, ShapeError
from workbench.core.graph import (
    Constant,
    Shared,
    Variable,
    as_variable,
    graph_inputs,
    toposort,
)
from workbench.core.graph import clone as replace_nodes
from workbench.core.lazy import lazy
from workbench.core.ops.shape import SpecifyShape, size_variable
from workbench.core.ops.ufunc import kind
from workbench.core.replacing import structure


class Body:
    """A graph with its inputs, equal to every other that computes the same from them.

    Attributes
    ----------
    inputs, outputs
        Variables that occur nowhere else.
    order
        The operations between them, each after those it needs.
    derived
        What was derived from it, kept by those who did.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        own = [Variable(v.type, v.name) for v in inputs]
        self.inputs = own
        self.outputs = replace_nodes(outputs, dict(zip(inputs, own, strict=True)))
        self.order = toposort(self.outputs, self.inputs)
        self.key = structure(self.inputs, self.outputs)
        self.hash = hash(self.key)
        self.derived: dict[Any, Any] = {}

    @lazy
    def connected(self) -> tuple[tuple[bool, ...], ...]:
        """For each input, through which outputs a gradient reaches it."""
        return _connections(self.inputs, self.outputs)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Body)
            and self.hash == other.hash
            and self.key == other.key
        )

    def __hash__(self) -> int:
        return self.hash

    def __reduce__(self) -> Any:
        # A hash holds for one process only.
        return Body, (self.inputs, self.outputs)

    def on(self, inputs: Sequence[Variable]) -> list[Variable]:
        """The outputs for other inputs.

        What is made says which line of the body it comes from, and where it is made for
        another node, which.
        """
        made_for = source.origin_here()
        mapping = dict(zip(self.inputs, inputs, strict=True))
        for node in self.order:
            origin = replace(made_for, place=node.origin.place or made_for.place)
            with source.made_for(origin):
                made = node.op.make_node(*(mapping.get(v, v) for v in node.inputs))
            for old, new in zip(node.outputs, made.outputs, strict=True):
                new.name = old.name
                mapping.setdefault(old, new)
        return [mapping.get(v, v) for v in self.outputs]

    def knows(self, inputs: Sequence[Variable]) -> bool:
        """Whether other inputs say no more about the types of the outputs than the own ones."""
        return all(
            own.type == v.type
            and not (isinstance(v, Constant) and kind(v.dtype) in "iu")
            for own, v in zip(self.inputs, inputs, strict=True)
        )


def _connections(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> tuple[tuple[bool, ...], ...]:
    """For each input and each output, whether a differentiable way leads from one to the other."""
    reached = {v: 1 << i for i, v in enumerate(inputs) if v.type.is_float}
    for node in toposort(outputs, inputs):
        bits = 0
        for v, passes in zip(node.inputs, node.op.connection(node), strict=True):
            bits |= reached.get(v, 0) if passes else 0
        reached.update((v, bits) for v in node.outputs if v.type.is_float)
    return tuple(
        tuple(bool(reached.get(v, 0) >> i & 1) for v in outputs)
        for i in range(len(inputs))
    )


# --- what is given, checked --------------------------------------------------------------


def check_variables(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Raise an error when no op can be made from `inputs` to `outputs`.

    Raises
    ------
    TypeError, ValueError
        An input is no variable, is a constant, or occurs twice; or there is no output.
    """
    for v in (*inputs, *outputs):
        if not isinstance(v, Variable):
            raise TypeError(f"OpFromGraph is made of variables, got {v!r}.")
    for v in inputs:
        if isinstance(v, Constant):
            raise TypeError(f"{v.label()} is a constant and cannot be an input.")
    if len(set(inputs)) != len(inputs):
        twice = next(v for v in inputs if list(inputs).count(v) > 1)
        raise ValueError(f"{twice.label()} is an input twice.")
    if not outputs:
        raise ValueError("OpFromGraph needs at least one output.")


def captured(
    inputs: Sequence[Variable], outputs: Sequence[Variable], strict: bool
) -> list[Shared]:
    """The shared variables that are used but are no inputs.

    Raises
    ------
    MissingInputError
        There are some though `strict`, or another variable is needed.
    """
    leaves = [v for v in graph_inputs(outputs, inputs) if v not in set(inputs)]
    shared = [v for v in leaves if isinstance(v, Shared)]
    missing = [v for v in leaves if not isinstance(v, Shared | Constant)]
    if missing:
        raise MissingInputError(
            f"the outputs depend on {', '.join(v.label() for v in missing)}: "
            "make it an input of the OpFromGraph."
        )
    if strict and shared:
        raise MissingInputError(
            f"the outputs use the shared {', '.join(v.label() for v in shared)}: "
            "make it an input, or leave out strict=True."
        )
    return shared


def fit_input(op: str, own: Variable, given: Any) -> Variable:
    """`given` as the input `own` of an op; sizes that it relies on are checked at run time.

    Raises
    ------
    DTypeError, ShapeError
        It does not fit.
    """
    v = given if isinstance(given, Variable) else as_variable(given, own.dtype)
    if v.dtype != own.dtype or v.ndim != own.ndim:
        kind_of = DTypeError if v.dtype != own.dtype else ShapeError
        raise kind_of(
            f"{op} takes {own.label()} as {own.type}, got {v.label()}: {v.type}."
        )
    sizes = list(zip(own.type.shape, v.type.shape, strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in sizes):
        raise ShapeError(
            f"{op} takes {own.label()} as {own.type}, got {v.label()}: {v.type}."
        )
    if all(want is None or want == have for want, have in sizes):
        return v
    wanted = [size_variable(-1 if size is None else size) for size in own.type.shape]
    return SpecifyShape()(v, *wanted)
