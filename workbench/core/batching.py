"""A graph of single values turned into the graph of many: batching.

:func:`vectorize_graph` walks a graph once. Where a variable is replaced by one with more
axes in front, every operation that reads it becomes one on all entries together: its *batch
rule* says how. A rule adds no loop: a sum shifts its axes, a product of matrices becomes a
larger one, an index array gets a companion that counts the entries. The rules stand in
:mod:`workbench.core.batch_rules`; an op without one is applied entry by entry
(:class:`~workbench.core.ops.blockwise.Blockwise`).

Read next: :mod:`workbench.core.batch_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from workbench.core import source
from workbench.core.errors import DTypeError, Report, ShapeError
from workbench.core.graph import (
    Apply,
    Variable,
    Variables,
    as_list,
    as_variable,
    rebuild,
    toposort,
)
from workbench.core.lazy import lazy
from workbench.core.op import Op, Size
from workbench.core.ops.shape import (
    BroadcastTo,
    SpecifyShape,
    dimshuffle,
    normal_axis,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import pad_left


@overload
def vectorize_graph(
    outputs: Variable, replace: Mapping[Variable, Variable]
) -> Variable: ...


@overload
def vectorize_graph(
    outputs: Iterable[Variable], replace: Mapping[Variable, Variable]
) -> list[Variable]: ...


def vectorize_graph(
    outputs: Variables, replace: Mapping[Variable, Variable]
) -> Variable | list[Variable]:
    """The graph of `outputs` for many values of some variables at once.

    Parameters
    ----------
    outputs
        What to compute for each entry: one variable, or several.
    replace
        For each variable that has many values, the variable that holds them: of the same
        dtype, with additional axes in front. The additional axes of several replacements
        broadcast together, aligned at the right.

    Returns
    -------
    Variable or list of Variable
        As `outputs`, each with the additional axes in front, also where an output depends
        on no replaced variable.

    Raises
    ------
    DTypeError, ShapeError
        A replacement has another dtype, or its last axes do not fit.
    ShapeError
        A size would differ from entry to entry.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x, xs = T.vector("x"), T.matrix("xs")
    >>> norms = vectorize_graph((x**2).sum(), {x: xs})
    >>> norms.eval({xs: [[3.0, 4.0], [1.0, 0.0]]})
    array([25.,  1.])
    """
    several = as_list(outputs)
    mapping = {core: _fitted(core, many) for core, many in replace.items()}
    leading = Leading.of([(core, many) for core, many in mapping.items()])
    batch_nodes(several, mapping)
    batched = [leading.stretch(mapping.get(v, v), v.ndim) for v in several]
    return batched[0] if isinstance(outputs, Variable) else batched


Axes = int | None | Sequence[int | None]


def vectorize(
    function: Callable[..., Any], signature: str | None = None, in_axes: Axes = 0
) -> Callable[..., Any]:
    """A function of variables made one of many values at once.

    Parameters
    ----------
    function
        From variables to a variable, or to several; it sees single values.
    signature
        As that of :func:`numpy.vectorize`, ``"(m,n),(n)->(m)"``: how many axes a single
        value has. All further axes, in front, hold the many; they broadcast together.
    in_axes
        Without a signature: which axis of each argument holds the many, ``None`` for an
        argument that is the same for all; a number stands for all arguments.

    Returns
    -------
    callable
        It takes variables, arrays and numbers. Its results have the additional axes in front.

    Raises
    ------
    ShapeError
        When called: an argument lacks the axes asked for, or the numbers of values differ.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x, A = T.matrix("x"), T.matrix("A")
    >>> def energy(x, A):
    ...     return T.dot(x, T.dot(A, x))
    >>> energies = vectorize(energy, in_axes=(0, None))(x, A)
    >>> energies.eval({x: [[1.0, 0.0], [1.0, 1.0]], A: [[2.0, 1.0], [1.0, 2.0]]})
    array([2., 6.])
    """
    ranks = None if signature is None else _core_ranks(signature)

    def vectorized(*arguments: Any) -> Any:
        many = [as_variable(a) for a in arguments]
        if ranks is None:
            many, counts = _axes_in_front(many, in_axes)
        else:
            counts = _counts_before(many, ranks, signature)
        single = [
            Variable(v.type.with_shape(v.type.shape[count:]), v.name) if count else v
            for v, count in zip(many, counts, strict=True)
        ]
        results = function(*single)
        outputs = as_list(results)
        replace = {
            one: all_ for one, all_ in zip(single, many, strict=True) if one is not all_
        }
        batched = vectorize_graph(outputs, replace)
        return batched[0] if isinstance(results, Variable) else type(results)(batched)

    return vectorized


def _axes_in_front(
    arguments: Sequence[Variable], in_axes: Axes
) -> tuple[list[Variable], list[int]]:
    """The arguments with the axis that holds the many in front; how many such axes each has."""
    axes = (
        [in_axes] * len(arguments)
        if in_axes is None or isinstance(in_axes, int)
        else list(in_axes)
    )
    if len(axes) != len(arguments):
        raise ShapeError(
            f"vectorize: in_axes has {len(axes)} entries for {len(arguments)} arguments."
        )
    moved = [
        v if axis is None else _moved_to_front(v, axis)
        for v, axis in zip(arguments, axes, strict=True)
    ]
    return moved, [int(axis is not None) for axis in axes]


def _moved_to_front(x: Variable, axis: int) -> Variable:
    at = normal_axis(axis, x.ndim)
    return dimshuffle(x, at, *(i for i in range(x.ndim) if i != at))


def _core_ranks(signature: str) -> list[int]:
    """How many axes each argument of ``"(m,n),(n)->(m)"`` has.

    Raises
    ------
    ValueError
        It is no such text.
    """
    group = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)"
    groups = rf"{group}(?:\s*,\s*{group})*"
    if not re.fullmatch(rf"\s*{groups}\s*->\s*{groups}\s*", signature):
        raise ValueError(
            f"{signature!r} is no signature; write one as '(m,n),(n)->(m)', "
            "with () for a scalar."
        )
    left, _ = signature.split("->")
    return [len(re.findall(r"\w+", part)) for part in re.findall(group, left)]


def _counts_before(
    arguments: Sequence[Variable], ranks: Sequence[int], signature: str | None
) -> list[int]:
    if len(arguments) != len(ranks):
        raise ShapeError(
            f"vectorize: {signature} is for {len(ranks)} arguments, got {len(arguments)}."
        )
    for v, rank in zip(arguments, ranks, strict=True):
        if v.ndim < rank:
            raise ShapeError(
                f"vectorize: {v.label()}: {v.type} has fewer axes than {signature} says."
            )
    return [v.ndim - rank for v, rank in zip(arguments, ranks, strict=True)]


def batch_nodes(outputs: Sequence[Variable], mapping: dict[Variable, Variable]) -> None:
    """Add to `mapping` what becomes of every variable between its keys and `outputs`.

    A variable that does not change is left out.
    """
    for node in toposort(outputs, mapping):
        inputs = [mapping.get(v, v) for v in node.inputs]
        if all(new is old for new, old in zip(inputs, node.inputs, strict=True)):
            continue
        if all(
            new.ndim == old.ndim for new, old in zip(inputs, node.inputs, strict=True)
        ):
            made: Sequence[Variable] = rebuild(node, inputs).outputs
        else:
            with source.made_for(node.origin):
                made = rule_for(type(node.op))(Batch(node, tuple(inputs)))
        for old, new in zip(node.outputs, made, strict=True):
            if old.name and not new.name and new.owner is not None:
                new.name = old.name
            mapping.setdefault(old, new)


def _fitted(core: Variable, many: Variable) -> Variable:
    """`many` with every size on its last axes that is known of `core`."""
    if many.dtype != core.dtype:
        raise DTypeError(
            f"{core.label()} is {core.type} and cannot be replaced by {many.label()}, "
            f"which is {many.type}: the dtypes differ."
        )
    extra = many.ndim - core.ndim
    want = core.type.shape
    have = many.type.shape[extra:] if extra >= 0 else ()
    if extra < 0 or any(
        None not in pair and pair[0] != pair[1] for pair in zip(want, have, strict=True)
    ):
        raise ShapeError(
            f"{core.label()} is {core.type} and cannot be replaced by {many.label()}, "
            f"which is {many.type}: its last axes must be those of {core.label()}."
        )
    if all(a is None or a == b for a, b in zip(want, have, strict=True)):
        return many
    sizes = [-1] * extra + [-1 if size is None else size for size in want]
    return SpecifyShape()(many, *map(size_variable, sizes))


@dataclass(frozen=True)
class Leading:
    """The additional axes in front: their static sizes, and their sizes."""

    static: tuple[int | None, ...]
    sizes: tuple[Size, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Variable, Variable]]) -> Leading:
        """The axes that replacements have together, for pairs of a variable and the many.

        Raises
        ------
        ShapeError
            Two sizes, both known and neither 1, differ.
        """
        count = max((many.ndim - core.ndim for core, many in pairs), default=0)
        static: list[int | None] = [1] * count
        sizes: list[Size] = [1] * count
        for core, many in pairs:
            extra = many.ndim - core.ndim
            own = sizes_of(many)
            for axis in range(extra):
                at = count - extra + axis
                size = many.type.shape[axis]
                if size == 1:
                    continue
                if None not in (size, static[at]) and static[at] not in (1, size):
                    raise _sizes_differ(pairs, at - count, static[at], size)
                if static[at] in (1, None):
                    static[at], sizes[at] = size, own[axis]
        return cls(tuple(static), tuple(sizes))

    def stretch(self, variable: Variable, rank: int) -> Variable:
        """A variable, whose own axes are the last `rank`, with all axes in front."""
        count = len(self.sizes)
        padded = pad_left(variable, count + rank)
        have = padded.type.shape[:count]
        if all(a != 1 or b == 1 for a, b in zip(have, self.static, strict=True)):
            return padded
        wanted = [
            mine if size == 1 else own
            for size, own, mine in zip(
                have, sizes_of(padded)[:count], self.sizes, strict=True
            )
        ]
        sizes = (*wanted, *sizes_of(padded)[count:])
        return BroadcastTo(padded.ndim)(padded, *map(size_variable, sizes))


def _sizes_differ(
    pairs: Sequence[tuple[Variable, Variable]],
    axis: int,
    first: int | None,
    second: int | None,
) -> ShapeError:
    report = Report(
        f"cannot batch over {first} and {second} values at once.",
        source.location_here(),
    )
    rows = [[c.label(), str(c.type), m.label(), str(m.type)] for c, m in pairs]
    report.table("input", ["one", "type", "many", "type"], rows)
    return ShapeError(
        report.add(
            "hint", f"the additional axes, here {axis}, must agree or have size 1."
        )
    )


@dataclass(frozen=True)
class Batch:
    """An operation that is to be done for many values: what a batch rule is given.

    Attributes
    ----------
    node
        The operation on single values.
    inputs
        What its inputs have become; some have additional axes in front.
    """

    node: Apply
    inputs: tuple[Variable, ...]

    def extra(self, i: int) -> int:
        """The number of additional axes of input number i."""
        return self.inputs[i].ndim - self.node.inputs[i].ndim

    @property
    def count(self) -> int:
        """The number of additional axes of the outputs."""
        return max(map(self.extra, range(len(self.inputs))))

    @lazy
    def leading(self) -> Leading:
        """The additional axes that the inputs have together."""
        return Leading.of(list(zip(self.node.inputs, self.inputs, strict=True)))

    def aligned(self, i: int) -> Variable:
        """Input number i with additional axes; of size 1 where it had none."""
        return pad_left(self.inputs[i], self.count + self.node.inputs[i].ndim)

    def full(self, i: int) -> Variable:
        """Input number i with an entry for every value."""
        return self.leading.stretch(self.inputs[i], self.node.inputs[i].ndim)

    def need_one(self, numbers: Iterable[int], what: str) -> list[Variable]:
        """The inputs of these numbers, which must be the same for every value.

        Raises
        ------
        ShapeError
            One of them has additional axes.
        """
        numbers = list(numbers)
        for i in numbers:
            if self.extra(i):
                raise _differs(self.node, i, what)
        return [self.inputs[i] for i in numbers]


def _differs(node: Apply, number: int, what: str) -> ShapeError:
    report = Report(
        f"cannot batch {node}: {what} {node.inputs[number].label()} depends on values "
        "that differ from entry to entry, so the results would have different shapes.",
        node.origin.location,
    )
    error = ShapeError(
        report.add("hint", "compute the size from what is the same for all entries.")
    )
    error.line = node.origin.location
    return error


BatchRule = Callable[[Batch], Sequence[Variable]]

_RULES: dict[type[Op], BatchRule] = {}


def batch_rule(*ops: type[Op]) -> Callable[[BatchRule], BatchRule]:
    """Say how ops of these classes, and of classes below, are done for many values.

    The rule returns the outputs with the additional axes in front. Where an output is the
    same for all entries, as a size is, it may leave them out.
    """

    def decorate(rule: BatchRule) -> BatchRule:
        for op in ops:
            _RULES[op] = rule
        return rule

    return decorate


def rule_for(op: type[Op]) -> BatchRule:
    """The batch rule of the nearest class above."""
    return next(_RULES[base] for base in op.__mro__ if base in _RULES)
