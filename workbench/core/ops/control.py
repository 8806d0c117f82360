"""A choice between two values of which only the one that is taken is computed.

:func:`ifelse` makes one node for each pair of values. The node itself only passes on; what it
leaves out is not computed by whoever runs the graph: :func:`workbench.core.evaluate.demanded`
for NumPy, :mod:`workbench.compile.branches` for compiled programs.

Read next: :mod:`workbench.core.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from workbench.core.errors import DTypeError, ParameterError, Report, ShapeError
from workbench.core.graph import Apply, Constant, Variable, as_variable
from workbench.core.op import Opaque, Size, Sizes, known_int
from workbench.core.ops.elementwise import fill, neq
from workbench.core.ops.shape import SpecifyShape
from workbench.core.ops.ufunc import cast, kind, weak_type
from workbench.core.source import location_here
from workbench.core.types import Array, TensorType


@dataclass(frozen=True)
class IfElse(Opaque):
    """The second input where the first, a scalar bool, is true; else the third.

    Both have one dtype and number of axes; their sizes may differ.
    """

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The type of both, with the sizes that they have in common."""
        condition, x, y = inputs
        if condition.ndim or condition.dtype != "bool":
            raise DTypeError(
                f"ifelse chooses by a scalar bool, not by {condition.label()}: "
                f"{condition.type}."
            )
        if x.dtype != y.dtype or x.ndim != y.ndim:
            raise _different_types(x, y)
        shared = [
            a if a == b else None
            for a, b in zip(x.type.shape, y.type.shape, strict=True)
        ]
        return [x.type.with_shape(shared)]

    def reference(self, condition: Array, x: Array, y: Array) -> Array:
        """The one that is taken, as it is; the other is not looked at."""
        return x if condition else y

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[Sequence[Size | None]]:
        """The sizes that both have; which of two different ones, only the condition says."""
        return [
            tuple(
                a if a is b or (isinstance(a, int) and a == b) else None
                for a, b in zip(*shapes[1:], strict=True)
            )
        ]

    def connection(self, node: Apply) -> Sequence[bool]:
        """Through both values, not through the condition."""
        return [False, *(v.type.is_float for v in node.inputs[1:])]

    def vjp(self, node: Apply, g: Variable | None) -> Sequence[Variable | None]:
        """g for the one that is taken, zeros for the other.

        A gradient as a whole chooses once, where it ends, so that it computes only what belongs
        to the branch that is taken (:mod:`workbench.core.masks`).
        """
        assert g is not None
        condition, x, y = node.inputs
        return [
            None,
            choose_lazily(condition, g, zeros_of(x)),
            choose_lazily(condition, zeros_of(y), g),
        ]

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None]:
        """The change of the one that is taken."""
        condition, *branches = node.inputs
        x, y = (
            zeros_of(branch) if tangent is None else tangent
            for branch, tangent in zip(branches, tangents[1:], strict=True)
        )
        return [choose_lazily(condition, x, y)]


@dataclass(frozen=True)
class Fitted(SpecifyShape):
    """A value, and the sizes that it must have to fit who reads it.

    Of a choice between two values the sizes need not follow from theirs. Those asked for are
    checked, as the base does, and then they are its own.
    """

    name = "fitted"

    def infer_shape(self, node: Apply, shapes: Sequence[Sizes]) -> list[Sizes]:
        """The sizes asked for, where one was."""
        return [
            tuple(
                have if known_int(asked) == -1 else asked
                for have, asked in zip(shapes[0], node.inputs[1:], strict=True)
            )
        ]


def zeros_of(variable: Variable) -> Variable:
    """Zeros of a variable's dtype and shape."""
    return fill(variable, as_variable(0, variable.dtype))


def choose_lazily(condition: Variable, x: Variable, y: Variable) -> Variable:
    """x where a scalar bool holds, else y, in the dtype that holds both."""
    dtype = np.promote_types(x.dtype, y.dtype).name
    return IfElse()(condition, cast(x, dtype), cast(y, dtype))


# --- what users call ---------------------------------------------------------------------


@overload
def ifelse(
    condition: Any,
    then_branch: list[Any] | tuple[Any, ...],
    else_branch: list[Any] | tuple[Any, ...],
    name: str | None = None,
) -> list[Variable]: ...


@overload
def ifelse(
    condition: Any, then_branch: Any, else_branch: Any, name: str | None = None
) -> Variable: ...


def ifelse(
    condition: Any, then_branch: Any, else_branch: Any, name: str | None = None
) -> Variable | list[Variable]:
    """`then_branch` where `condition` is true, else `else_branch`; only that one is computed.

    Which one is known when the function runs. Operations that only the other one needs are not
    run: they cost nothing, and they cannot fail. What is needed elsewhere, too, is computed as
    ever. A gradient is as lazy: it computes what belongs to the branch that is taken, and is
    zero for what only the other one depends on.

    :func:`workbench.tensor.switch` chooses element by element instead; it computes both.

    Parameters
    ----------
    condition
        A scalar, true where it is not zero.
    then_branch, else_branch
        One value each, or lists or tuples of equally many. The two values of a pair have
        the same number of axes; sizes may differ. A Python number adapts to the other's
        dtype; otherwise both are cast to the dtype that holds every value of both.
    name
        Of the result; several are numbered, ``name.0``, ``name.1``.

    Returns
    -------
    Variable or list of Variable
        A list where lists or tuples are given.

    Raises
    ------
    ShapeError
        The condition is no scalar, or two values have different numbers of axes.
    DTypeError
        No dtype holds the values of both without rounding, as of int64 and float32.
    ParameterError
        One branch is a list and the other is not, or their lengths differ.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> mean = ifelse(x.size > 0, x.mean(), 0.0)
    >>> mean.eval({x: [1.0, 3.0]}), mean.eval({x: []})
    (array(2.), array(0.))
    """
    several = _is_several(then_branch), _is_several(else_branch)
    if several[0] != several[1]:
        raise ParameterError(
            "ifelse: one branch is a list and the other is a single value."
        )
    if several[0] and not len(then_branch) == len(else_branch) > 0:
        raise ParameterError(
            f"ifelse: the branches have {len(then_branch)} and {len(else_branch)} "
            "values; they need equally many, at least one."
        )
    pairs = (
        list(zip(then_branch, else_branch, strict=True))
        if several[0]
        else [(then_branch, else_branch)]
    )
    chooses = _as_condition(condition)
    outputs = [IfElse()(chooses, *_reconciled(x, y)) for x, y in pairs]
    for i, output in enumerate(outputs):
        if name is not None:
            output.name = f"{name}.{i}" if several[0] else name
    return outputs if several[0] else outputs[0]


def _is_several(branch: Any) -> bool:
    return isinstance(branch, list | tuple)


def _as_condition(condition: Any) -> Variable:
    """A scalar bool: whether a number is not zero."""
    condition = as_variable(condition)
    if condition.ndim:
        report = Report(
            f"ifelse needs a scalar condition, but {condition.label()} is "
            f"{condition.type}.",
            location_here(),
        )
        report.add("hint", "T.switch chooses for every element;")
        report.add("", "condition.all() and condition.any() make one truth of many.")
        raise ShapeError(report)
    return condition if condition.dtype == "bool" else neq(condition, 0)


def _reconciled(x: Any, y: Any) -> tuple[Variable, Variable]:
    """Two values as variables of one dtype."""
    x, y = _adapted(x, y), _adapted(y, x)
    dtype = np.promote_types(x.dtype, y.dtype).name
    if x.ndim != y.ndim or not (_is_exact(x, dtype) and _is_exact(y, dtype)):
        raise _different_types(x, y)
    return cast(x, dtype), cast(y, dtype)


def _adapted(value: Any, other: Any) -> Variable:
    """A value as a variable; a Python number in the dtype of the other where that can be."""
    weak = weak_type(value)
    if weak is None or weak_type(other) is not None:
        return as_variable(value)
    dtype = as_variable(other).dtype
    kinds = {bool: "biufc", int: "iufc", float: "fc", complex: "c"}[weak]
    return as_variable(value, dtype if kind(dtype) in kinds else None)


def _is_exact(variable: Variable, dtype: str) -> bool:
    """Whether a dtype that NumPy promotes to holds every value that the variable may have."""
    if isinstance(variable, Constant):
        with np.errstate(all="ignore"):
            there = variable.data.astype(dtype)
            back = there.astype(variable.dtype)
        return np.array_equal(back, variable.data, equal_nan=True)
    # NumPy takes 53 bits for enough for 64.
    return variable.dtype not in ("int64", "uint64") or kind(dtype) in "iu"


def _different_types(x: Variable, y: Variable) -> DTypeError | ShapeError:
    line = location_here()
    report = Report(
        f"ifelse: the branches are {x.label()}: {x.type} and {y.label()}: {y.type}.",
        line,
    )
    rows = [
        [name, v.label(), str(v.type), str(v.location or "")]
        for name, v in (("then", x), ("else", y))
    ]
    report.table("branch", ["", "name", "type", "from"], rows)
    if x.ndim != y.ndim:
        report.add("hint", "both need the same number of axes.")
        return ShapeError(report)
    report.add(
        "hint", f'no dtype holds all values of both; cast one: T.cast(v, "{y.dtype}").'
    )
    return DTypeError(report)
