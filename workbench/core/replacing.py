"""Graphs as values: copies, replacements, and whether two graphs compute the same.

Nothing is edited: a replacement makes a new graph that shares what did not change. Two
graphs compute the same when every operation of one has an equal operation of the other at
the same place; that is found by giving equal things equal numbers, without comparing any two
graphs node by node.

Read next: :mod:`workbench.core.ops.ufunc`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from workbench.core import source
from workbench.core.errors import DTypeError, Report, ShapeError
from workbench.core.graph import (
    Constant,
    Shared,
    Variable,
    ancestors,
    as_list,
    as_variable,
    graph_inputs,
    rebuild,
    toposort,
)
from workbench.core.graph import clone as replace_nodes

Replacements = Mapping[Variable, Any] | Iterable[tuple[Variable, Any]] | None


@overload
def clone(
    output: Variable,
    replace: Replacements = ...,
    strict: bool = ...,
    share_inputs: bool = ...,
) -> Variable: ...


@overload
def clone(
    output: Sequence[Variable],
    replace: Replacements = ...,
    strict: bool = ...,
    share_inputs: bool = ...,
) -> list[Variable]: ...


def clone(
    output: Variable | Sequence[Variable],
    replace: Replacements = None,
    strict: bool = True,
    share_inputs: bool = True,
) -> Any:
    """A copy of every operation that `output` depends on, with some variables replaced.

    Parameters
    ----------
    output
        One variable, or several.
    replace
        For each variable what stands for it: a mapping, or pairs. All replacements happen
        at once: what is put in is not searched again.
    strict
        Whether a replacement must fit the type of what it replaces in all that is known of
        its shape. Otherwise only dtype and number of axes must agree; the shapes in the
        copy are derived anew.
    share_inputs
        Whether the copy has the same inputs. Otherwise they are copied, too; not so shared
        variables, whose value there is only once, and constants.

    Returns
    -------
    Variable or list of Variable
        As `output`.

    Raises
    ------
    DTypeError, ShapeError
        A replacement does not fit.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x, y = T.vectors("x", "y")
    >>> clone(T.exp(x) + x, {x: y}).eval({y: [0.0, 0.0]})
    array([1., 1.])
    """
    outputs = as_list(output)
    mapping = checked_replacements(replace, strict)
    if not share_inputs:
        for leaf in graph_inputs(outputs, mapping):
            if leaf not in mapping and not isinstance(leaf, Constant | Shared):
                mapping[leaf] = _copied(leaf)
    for node in toposort(outputs, mapping):
        made = rebuild(node, [mapping.get(v, v) for v in node.inputs])
        for old, new in zip(node.outputs, made.outputs, strict=True):
            mapping.setdefault(old, new)
    copies = [mapping.get(v, v) for v in outputs]
    return copies[0] if isinstance(output, Variable) else copies


def _copied(leaf: Variable) -> Variable:
    copy = Variable(leaf.type, leaf.name)
    copy.place, copy.tag = leaf.place, leaf.tag
    return copy


def clone_replace(
    output: Variable | Sequence[Variable],
    replace: Replacements = None,
    rebuild_strict: bool = True,
    copy_inputs_over: bool = True,
) -> Any:
    """:func:`clone` under the names its arguments have elsewhere in the tradition."""
    return clone(output, replace, rebuild_strict, copy_inputs_over)


@overload
def graph_replace(
    outputs: Variable, replace: Replacements = ..., strict: bool = ...
) -> Variable: ...


@overload
def graph_replace(
    outputs: Sequence[Variable], replace: Replacements = ..., strict: bool = ...
) -> list[Variable]: ...


def graph_replace(
    outputs: Variable | Sequence[Variable],
    replace: Replacements = None,
    strict: bool = True,
) -> Any:
    """The graph of `outputs` with some variables replaced, all at once.

    What does not depend on a replaced variable is shared with the old graph, not copied.

    Parameters
    ----------
    outputs
        One variable, or several.
    replace
        For each variable what stands for it: a mapping, or pairs.
    strict
        Whether every replaced variable must occur, and every replacement fit in all that is
        known of its shape.

    Raises
    ------
    ValueError
        `strict`, and the outputs do not depend on one of the variables.
    DTypeError, ShapeError
        A replacement does not fit.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x, y = T.scalars("x", "y")
    >>> graph_replace(x - 2 * y, {x: y, y: x}).eval({x: 1.0, y: 5.0})
    array(3.)
    """
    several = as_list(outputs)
    mapping = checked_replacements(replace, strict)
    if strict:
        used = set(ancestors(several, mapping))
        unused = [v.label() for v in mapping if v not in used]
        if unused:
            raise ValueError(
                f"graph_replace: the outputs do not depend on {', '.join(unused)}; "
                "with strict=False such replacements are passed over."
            )
    made = replace_nodes(several, mapping)
    return made[0] if isinstance(outputs, Variable) else made


def checked_replacements(
    replace: Replacements, strict: bool = True
) -> dict[Variable, Variable]:
    """Replacements as a mapping; arrays and numbers become constants of the right dtype.

    Raises
    ------
    DTypeError, ShapeError
        A replacement has another dtype or number of axes, or another known size; or less is
        known of its shape and `strict` forbids that.
    TypeError
        What shall be replaced is no variable.
    """
    pairs = replace.items() if isinstance(replace, Mapping) else replace or ()
    mapping: dict[Variable, Variable] = {}
    for old, given in pairs:
        if not isinstance(old, Variable):
            raise TypeError(f"only variables can be replaced, got {old!r}.")
        new = given if isinstance(given, Variable) else as_variable(given, old.dtype)
        check_replacement(old, new, strict)
        mapping[old] = new
    return mapping


def check_replacement(old: Variable, new: Variable, strict: bool = True) -> None:
    """Raise an error that names both types when `new` cannot stand for `old`."""
    if old.type.accepts(new.type):
        return
    sizes = list(zip(old.type.shape, new.type.shape, strict=False))
    if old.dtype != new.dtype:
        kind: type[DTypeError] | type[ShapeError] = DTypeError
        hint = f"cast it, as T.cast({new.name or 'y'}, '{old.dtype}')."
    elif old.ndim != new.ndim:
        kind, hint = ShapeError, "give it as many axes."
    elif any(None not in pair and pair[0] != pair[1] for pair in sizes):
        kind, hint = ShapeError, "give it the same sizes."
    elif strict:
        kind = ShapeError
        hint = (
            f"use T.specify_shape({new.name or 'y'}, {old.type.shape}), or strict=False "
            "to derive the shapes anew."
        )
    else:
        return
    line = source.location_here()
    report = Report(
        f"{old.label()} is {old.type} and cannot be replaced by {new.label()}, "
        f"which is {new.type}.",
        line,
    )
    error = kind(report.add("hint", hint))
    error.line = line
    raise error


# --- equal graphs ------------------------------------------------------------------------


class Numbering:
    """Numbers for variables: equal ones for variables that are computed in the same way.

    That is: by equal ops from inputs with equal numbers. Constants of equal dtype, shape and
    bits have one number, other leaves each its own, unless :meth:`identify` says otherwise.
    """

    def __init__(self) -> None:
        self.numbers: dict[Variable, int] = {}
        self.known: dict[Any, int] = {}

    def identify(self, *variables: Variable) -> None:
        """Give all of these variables one number, a new one."""
        number = self._number(("input", len(self.known)))
        for variable in variables:
            self.numbers[variable] = number

    def of(self, variables: Iterable[Variable]) -> list[int]:
        """The numbers of variables, and of all they depend on."""
        variables = list(variables)
        for node in toposort(variables, self.numbers):
            key = (type(node.op), node.op, tuple(map(self._leaf, node.inputs)))
            for output in node.outputs:
                if output not in self.numbers:
                    self.numbers[output] = self._number((key, output.index))
        return list(map(self._leaf, variables))

    def _leaf(self, variable: Variable) -> int:
        if variable not in self.numbers:
            key = variable.signature() if isinstance(variable, Constant) else variable
            self.numbers[variable] = self._number(key)
        return self.numbers[variable]

    def _number(self, key: Any) -> int:
        return self.known.setdefault(key, len(self.known))


def equal_computations(
    xs: Sequence[Any],
    ys: Sequence[Any],
    in_xs: Sequence[Variable] | None = None,
    in_ys: Sequence[Variable] | None = None,
) -> bool:
    """Whether each of `xs` is computed as the one of `ys` at its place.

    Parameters
    ----------
    xs, ys
        Variables; numbers and arrays are compared as constants.
    in_xs, in_ys
        Variables that stand for each other, pair by pair. All other inputs must be the very
        same variables, and constants equal in every bit.

    Raises
    ------
    ValueError
        `in_xs` and `in_ys` differ in length.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x, y = T.vectors("x", "y")
    >>> equal_computations([T.exp(x) + 1], [T.exp(y) + 1])
    False
    >>> equal_computations([T.exp(x) + 1], [T.exp(y) + 1], [x], [y])
    True
    """
    in_xs, in_ys = list(in_xs or ()), list(in_ys or ())
    if len(in_xs) != len(in_ys):
        raise ValueError(
            f"in_xs has {len(in_xs)} variables, in_ys has {len(in_ys)}: they go in pairs."
        )
    if len(xs) != len(ys) or any(
        x.type != y.type for x, y in zip(in_xs, in_ys, strict=True)
    ):
        return False
    one, other = Numbering(), Numbering()
    other.known = one.known
    for x, y in zip(in_xs, in_ys, strict=True):
        one.identify(x)
        other.numbers[y] = one.numbers[x]
    left, right = map(as_variable, xs), map(as_variable, ys)
    return one.of(left) == other.of(right)


def is_same_graph(
    var1: Variable,
    var2: Variable,
    givens: Mapping[Variable, Variable] | Iterable[Iterable[Variable]] | None = None,
) -> bool:
    """Whether two variables are computed in the same way from the same inputs.

    `givens` says which variables are to be taken for each other: a mapping, or pairs.
    """
    pairs = givens.items() if isinstance(givens, Mapping) else (givens or ())
    numbering = Numbering()
    for group in pairs:
        numbering.identify(*group)
    first, second = numbering.of([var1, var2])
    return first == second


def structure(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> tuple[Any, ...]:
    """What is equal, and hashes equal, for graphs that compute the same from their inputs.

    The types of the inputs; every operation, with the numbers of what it reads; the numbers
    of the outputs. Leaves that are neither inputs nor constants stand for themselves.
    """
    numbering = Numbering()
    for variable in inputs:
        numbering.identify(variable)
    results = tuple(numbering.of(outputs))
    return tuple(v.type for v in inputs), tuple(numbering.known), results
