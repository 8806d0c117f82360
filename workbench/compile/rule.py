"""What a rule is: a named way to replace an operation.

There are two forms, no more. An :func:`identity` is a function of wildcards that returns
a pair of ordinary expressions; it matches the left one anywhere and is its own test. A
:func:`node_rule` is code on one operation that returns a replacement or ``None``.

A :class:`RuleSet` finds the rules that can match an operation at first sight: by its op,
and for identities by the ops and dtypes of its operands.

Read next: :mod:`workbench.compile.context`, what a rule may ask, and
:mod:`workbench.compile.rewrite`, the engine.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.compile.context import Context
from workbench.compile.matching import COMMUTATIVE, build, could_be, match
from workbench.compile.matching import outline as outline
from workbench.core.graph import Apply, Variable, as_variable, graph_inputs
from workbench.core.lazy import lazy
from workbench.core.op import Op
from workbench.core.ops.ufunc import kind, pad_left
from workbench.core.types import TensorType


@dataclass(frozen=True)
class Rule:
    """A named way to replace an operation.

    Attributes
    ----------
    name, reason
        For the record; the reason is the docstring of the function that defines the
        rule.
    ops
        The classes of op it looks at.
    rewrite
        From a node to its replacement (one variable, or one an output), or None. A rule of
        loops may say for single outputs, and for those who read them, what replaces each. It may
        ask the context for shapes and clients, and tell it why there is none
        (:meth:`~workbench.compile.context.Context.refuse`).
    tags
        What a mode chooses it by, the stage among them.
    pair
        For an identity, what it says.
    some, every
        It is tried only where at least one operand, or each of them, is made by one of
        these ops, or is such a leaf.
    """

    name: str
    reason: str
    ops: tuple[type[Op], ...]
    rewrite: Callable[
        [Apply, Context],
        Variable | Sequence[Variable] | Mapping[Variable, Variable] | None,
    ]
    tags: frozenset[str] = frozenset()
    pair: Identity | None = None
    some: tuple[type, ...] = ()
    every: tuple[type, ...] = ()

    def could_fire(self, looks: Sequence[type], dtypes: Sequence[str]) -> bool:
        """Whether it could fire on an operation on such operands.

        Parameters
        ----------
        looks
            For each operand the class of the op that makes it, else its own class.
        dtypes
            Of the operands.
        """
        if self.some and not any(issubclass(look, self.some) for look in looks):
            return False
        if self.every and not all(issubclass(look, self.every) for look in looks):
            return False
        return self.pair is None or self.pair.could_be(looks, dtypes)


@dataclass(frozen=True)
class Identity:
    """Two equal expressions of the same wildcards, and the kinds of their dtypes."""

    wildcards: tuple[Variable, ...]
    left: Variable
    right: Variable
    kinds: str

    @lazy
    def _operands(self) -> list[tuple[type, str]]:
        """For each operand of the left side what it looks like, and the kinds of a wildcard."""
        assert self.left.owner is not None
        return [
            (outline(v), self.kinds if v in self.wildcards else "")
            for v in self.left.owner.inputs
        ]

    def could_be(self, looks: Sequence[type], dtypes: Sequence[str]) -> bool:
        """Whether the left side could be an operation on such operands."""
        operands = self._operands
        if _could_be(operands, looks, dtypes):
            return True
        assert self.left.owner is not None
        either = self.left.owner.op.name in COMMUTATIVE
        return either and _could_be(operands[::-1], looks, dtypes)


def _could_be(
    operands: Sequence[tuple[type, str]], looks: Sequence[type], dtypes: Sequence[str]
) -> bool:
    for (outlined, kinds), seen, dtype in zip(operands, looks, dtypes, strict=True):
        if not could_be(outlined, seen) or (kinds and kind(dtype) not in kinds):
            return False
    return True


def tagged(name: str, *rules: Rule) -> list[Rule]:
    """The rules of a module, each with the module's name among its tags."""
    return [replace(rule, tags=rule.tags | {name}) for rule in rules]


def node_rule(
    *ops: type[Op],
    tags: Iterable[str] = (),
    some: type | tuple[type, ...] = (),
    every: type | tuple[type, ...] = (),
) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of a function of one node, or of a node and the :class:`Context`.

    Parameters
    ----------
    ops
        The classes of op it looks at.
    tags
        What modes may choose it by beside its name.
    some, every
        What it needs to see at first sight: classes of op, one of which makes some
        operand, or each; or of leaves (:class:`~workbench.core.graph.Constant`). A rule
        that says so is not even asked elsewhere.
    """
    some = some if isinstance(some, tuple) else (some,)
    every = every if isinstance(every, tuple) else (every,)

    def decorate(function: Callable[..., Any]) -> Rule:
        wants_context = len(inspect.signature(function).parameters) > 1
        run = function if wants_context else lambda node, context: function(node)
        reason = inspect.getdoc(function) or ""
        return Rule(
            function.__name__,
            reason,
            ops,
            run,
            frozenset(tags),
            None,
            some,
            every,
        )

    return decorate


def identity(
    function: Callable[..., tuple[Variable, Any]] | None = None,
    *,
    tags: Iterable[str] = (),
    kinds: str = "f",
) -> Any:
    """Make a rule of a function from scalar wildcards to a left and a right expression.

    Wildcards stand for variables of any shape whose dtype has one of NumPy's `kinds`,
    real floats by default. The right side may be a number. An operand that the right
    side does not use is dropped only where the sizes show that the shape stays, and no
    check is lost.

    Examples
    --------
    >>> from workbench.tensor import exp, log1p, softplus
    >>> @identity
    ... def log1p_of_exp(x):
    ...     '''exp overflows float32 above 88.7; softplus does not.'''
    ...     return log1p(exp(x)), softplus(x)
    """

    def decorate(function: Callable[..., tuple[Variable, Any]]) -> Rule:
        names = inspect.signature(function).parameters
        wildcards = tuple(Variable(TensorType("float64", ()), name) for name in names)
        left, right = function(*wildcards)
        right = as_variable(right)
        assert left.owner is not None, (
            f"{function.__name__}: the left side must be an operation"
        )
        used = {right, *graph_inputs([right])}

        def run(node: Apply, context: Context) -> Variable | None:
            output = node.outputs[0]
            found = match(left, output, wildcards, kinds)
            if found is None:
                return None
            result = build(right, found, output.dtype)
            dropped = [v for p, v in found.items() if p not in used]
            if result.broadcastable == output.broadcastable:
                return (
                    result
                    if all(context.stretches(v, result) for v in dropped)
                    else None
                )
            if result.dtype != output.dtype or not all(
                context.stretches(v, output) for v in found.values()
            ):
                return None
            return context.stretched(pad_left(result, output.ndim), output)

        return Rule(
            function.__name__,
            inspect.getdoc(function) or "",
            (type(left.owner.op),),
            run,
            frozenset(tags),
            Identity(wildcards, left, right, kinds),
        )

    return decorate if function is None else decorate(function)


# --- finding the rules for an operation -----------------------------------------------

Candidates = tuple[tuple[int, Rule], ...]
"""Rules to try in this order, each with the bit that its name has everywhere."""

MANY = 3
"""Operations of more operands than these are told apart by their op alone."""

_bits: dict[str, int] = {}


def bit_of(name: str) -> int:
    """One bit for a name of a rule, the same in every set: sets of rules are then numbers."""
    return _bits.setdefault(name, 1 << len(_bits))


class RuleSet:
    """The rules of a stage, found by what an operation looks like.

    Of the rules that look at an op, most identities cannot match: one for ``log(exp(x))``
    needs an ``exp`` below. Which can is worked out once for every look and kept.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_op: dict[type[Op], list[Rule]] = {}
        for rule in rules:
            for op in rule.ops:
                self._by_op.setdefault(op, []).append(rule)
        self._known: dict[Any, Candidates] = {}

    def candidates(self, node: Apply) -> Candidates:
        """The rules that may fire on a node, in order, each name once."""
        inputs = node.inputs
        key: Any = type(node.op)
        if len(inputs) <= MANY:
            key = [key]
            for v in inputs:
                owner = v.owner
                key.append(type(v) if owner is None else type(owner.op))
                key.append(v.type.dtype)
            key = tuple(key)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._find(node)
        return found

    def _find(self, node: Apply) -> Candidates:
        rules = [r for base in type(node.op).__mro__ for r in self._by_op.get(base, ())]
        if len(node.inputs) <= MANY:
            looks = [outline(v) for v in node.inputs]
            dtypes = [v.type.dtype for v in node.inputs]
            rules = [rule for rule in rules if rule.could_fire(looks, dtypes)]
        named = {rule.name: rule for rule in rules}  # at its first place, the last one
        return tuple((bit_of(name), rule) for name, rule in named.items())


_sets: dict[tuple[int, ...], RuleSet] = {}
"""Sets by the identities of their rules, which they keep alive."""


def rule_set(rules: Sequence[Rule]) -> RuleSet:
    """The set of these rules: the same one for the same rules, with what it has found out."""
    key = tuple(map(id, rules))
    found = _sets.get(key)
    if found is None:
        if len(_sets) >= 64:
            _sets.clear()
        found = _sets[key] = RuleSet(rules)
    return found
