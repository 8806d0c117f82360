"""The rewrite engine: from a graph to an equal, better graph, every change on record.

There are two forms of rule, no more. An :func:`identity` is a function of wildcards
that returns a pair of ordinary expressions; it matches the left one anywhere and is its
own test. A :func:`node_rule` is code on one operation that returns a replacement or
``None``.

The engine copies the graph bottom-up. A node is made on inputs that are finished
already, equal nodes are made once (that is merging), and rules run on it until none
fires; what a rule makes goes through the same. One pass over n nodes with k hits costs
about n + k; passes are repeated until one changes nothing. Names and origins are
carried by the engine, never by a rule: a node a rule made says which node it stands
for.

Patterns are matched in :mod:`workbench.compile.matching`; read next
:mod:`workbench.compile.rules`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.compile.matching import (
    COMMUTATIVE,
    SMALL,
    build,
    fits,
    match,
    outline,
)
from workbench.compile.matching import uniform_value as uniform_value
from workbench.compile.record import Graph, Step
from workbench.core import source
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    as_variable,
    graph_inputs,
    toposort,
)
from workbench.core.op import Op, Size, Sizes, settled_sizes
from workbench.core.ops.shape import BroadcastTo, SizeOf, size_variable
from workbench.core.ops.ufunc import pad_left
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
        From a node to its replacement (one variable, or one an output), or None. It may
        ask the context for shapes and clients.
    tags
        What a mode chooses it by, the stage among them.
    pair
        For an identity, what it says.
    """

    name: str
    reason: str
    ops: tuple[type[Op], ...]
    rewrite: Callable[[Apply, Context], Variable | Sequence[Variable] | None]
    tags: frozenset[str] = frozenset()
    pair: Identity | None = None


@dataclass(frozen=True)
class Identity:
    """Two equal expressions of the same wildcards, and the kinds of their dtypes."""

    wildcards: tuple[Variable, ...]
    left: Variable
    right: Variable
    kinds: str


def tagged(name: str, *rules: Rule) -> list[Rule]:
    """The rules of a module, each with the module's name among its tags."""
    return [replace(rule, tags=rule.tags | {name}) for rule in rules]


def node_rule(
    *ops: type[Op], tags: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of a function of one node, or of a node and the :class:`Context`."""

    def decorate(function: Callable[..., Any]) -> Rule:
        wants_context = len(inspect.signature(function).parameters) > 1
        run = function if wants_context else lambda node, context: function(node)
        return Rule(
            function.__name__, inspect.getdoc(function) or "", ops, run, frozenset(tags)
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
        operands = [outline(v) for v in left.owner.inputs]
        either = left.owner.op.name in COMMUTATIVE

        def run(node: Apply, context: Context) -> Variable | None:
            if not (
                fits(operands, node.inputs)
                or (either and fits(operands, node.inputs[::-1]))
            ):
                return None
            found = match(left, node.outputs[0], wildcards, kinds)
            if found is None:
                return None
            output = node.outputs[0]
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


@dataclass
class Context:
    """What a rule may ask: inferred sizes, who reads a variable, what exists already.

    `readers` counts the readers in the graph that entered the pass, outputs included;
    nodes made during the pass are not in it. `updated` says which shared variable a new
    value is for. A rule that asks for something beyond the node and what is below it
    goes through a method that notes so in `looked_around`: it is asked again in the
    next pass.
    """

    table: dict[Any, Any] = field(default_factory=dict)  # what was merged into what
    done: dict[Variable, Variable] = field(default_factory=dict)  # what became of it
    known_sizes: dict[Variable, Sizes] = field(default_factory=dict)
    readers: dict[Variable, int] = field(default_factory=dict)
    results: frozenset[Variable] = frozenset()
    updated: dict[Variable, Shared] = field(default_factory=dict)
    looked_around: bool = False

    # --- readers

    def read_once(self, variable: Variable) -> bool:
        """Whether nobody else reads a variable, as far as is known."""
        self.looked_around = True
        return self.readers.get(variable, 1) < 2

    def shared_of(self, variable: Variable) -> Shared | None:
        """The shared variable whose next value this is."""
        self.looked_around = True
        return self.updated.get(variable)

    # --- sizes

    def sizes(self, variable: Variable) -> Sizes:
        """The sizes of a variable in terms of those of the arguments, merged.

        Two axes of equal length have the same entry (the same int, the same variable)
        as far as that is known from the ops alone.
        """
        pending = [variable]
        while pending:
            current = pending[-1]
            if current in self.known_sizes:
                pending.pop()
                continue
            node = None if None not in current.type.shape else current.owner
            missing = (
                []
                if node is None
                else [v for v in node.inputs if v not in self.known_sizes]
            )
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            self._infer(current, node)
        sizes = self.known_sizes[variable]
        # Computed sizes may be rewritten later, and then be known to be equal.
        if any(
            isinstance(s, Variable) and not isinstance(s.owner and s.owner.op, SizeOf)
            for s in sizes
        ):
            self.looked_around = True
        return sizes

    def _infer(self, variable: Variable, node: Apply | None) -> None:
        if node is None:
            self.known_sizes[variable] = self._own_sizes(variable)
            return
        inferred = node.op.infer_shape(node, [self.known_sizes[v] for v in node.inputs])
        for output, sizes in zip(node.outputs, inferred, strict=True):
            self.known_sizes[output] = settled_sizes(
                output, sizes, self._own_size, self._canonical
            )

    def _own_sizes(self, variable: Variable) -> Sizes:
        return tuple(
            size if size is not None else self._own_size(variable, axis)
            for axis, size in enumerate(variable.type.shape)
        )

    def _own_size(self, variable: Variable, axis: int) -> Variable:
        return self.merged(SizeOf(axis)(variable))

    def _canonical(self, size: Size) -> Size:
        if isinstance(size, int):
            return size
        size = self.merged(size)
        size = self.done.get(size, size)
        while size.owner is not None and isinstance(size.owner.op, SizeOf):
            source_sizes = self.known_sizes.get(size.owner.inputs[0])
            if source_sizes is None:
                break
            inner = source_sizes[size.owner.op.axis]
            if isinstance(inner, int) or inner is size:
                return inner
            size = inner
        return int(size.data) if isinstance(size, Constant) else size

    def same_size(self, a: Size, b: Size) -> bool:
        """Whether two sizes are known to be equal."""
        return a is b or (isinstance(a, int) and isinstance(b, int) and a == b)

    def same_sizes(self, a: Variable, b: Variable) -> bool:
        """Whether two variables are known to have one shape."""
        return a.ndim == b.ndim and all(
            map(self.same_size, self.sizes(a), self.sizes(b))
        )

    def agree(self, node: Apply) -> bool:
        """Whether the inputs of an elementwise node are known to fit.

        Where they are not, the operation is also the check that they do: none may go.
        """
        for axis in range(node.outputs[0].ndim):
            sizes = [
                self.sizes(v)[axis] for v in node.inputs if v.type.shape[axis] != 1
            ]
            if not all(self.same_size(size, sizes[0]) for size in sizes[1:]):
                return False
        return True

    def stretches(self, small: Variable, large: Variable) -> bool:
        """Whether each axis of `small` is known to be 1, or as long as in `large`."""
        return small.ndim <= large.ndim and all(
            static == 1 or self.same_size(a, b)
            for static, a, b in zip(
                reversed(small.type.shape),
                reversed(self.sizes(small)),
                reversed(self.sizes(large)),
                strict=False,
            )
        )

    def stretched(self, value: Variable, like: Variable) -> Variable:
        """`value`, of the rank of `like`, in its shape."""
        if self.same_sizes(value, like):
            return value
        return BroadcastTo(like.ndim)(value, *map(size_variable, self.sizes(like)))

    # --- what exists

    def merged(self, variable: Variable) -> Variable:
        """The one representative of all variables equal to this by construction."""
        if isinstance(variable, Constant):
            return self.constant(variable)
        for node in toposort([variable], self.table):
            self._merge_node(node)
        return self.table.get(variable, variable)  # type: ignore[no-any-return]

    def _merge_node(self, node: Apply) -> None:
        inputs = tuple(
            self.constant(v) if isinstance(v, Constant) else self.table.get(v, v)
            for v in node.inputs
        )
        known = self.table.get(_key(node.op, inputs))
        if known is None:
            known = node
            if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
                with source.made_for(node.origin):
                    known = node.op.make_node(*inputs)
            self.table[_key(node.op, inputs)] = known
        for old, new in zip(node.outputs, known.outputs, strict=True):
            self.table[old] = new
            self.table[new] = new

    def existing(self, op: Op, *inputs: Variable) -> Variable | None:
        """What stands for `op` of these inputs, if it was met in this pass."""
        self.looked_around = True
        known = self.table.get(_key(op, inputs))
        return None if known is None else self.done.get(known.outputs[0])

    def constant(self, variable: Constant) -> Constant:
        """The one constant of this type and value; a large one stands for itself."""
        known = self.table.get(variable)
        if known is None:
            key = variable.signature() if variable.data.size <= SMALL else variable
            known = self.table[variable] = self.table.setdefault(key, variable)
        return known  # type: ignore[no-any-return]


BUDGET = 50
"""How often one rule may fire: so many times the nodes of the graph, and 100."""

DEEPEST = 50
"""How often in a row what a rule made is rewritten at once; the rest waits for the next pass."""


Settled = dict[Apply, set[str]]
"""The rules that will never fire on a node, since a node does not change."""


def rewrite(
    graph: Graph,
    rules: Sequence[Rule],
    stage: str,
    first_number: int = 0,
    settled: Settled | None = None,
) -> tuple[Graph, list[Step]]:
    """Apply `rules` until none fires.

    Parameters
    ----------
    settled
        What earlier stages found out; give all stages one dictionary, and no rule is
        tried twice on a node.

    Returns
    -------
    graph, steps
        The new graph, and what was done to reach it in order, numbered from
        `first_number`.
    """
    by_op: dict[type[Op], list[Rule]] = {}
    for rule in rules:
        for op in rule.ops:
            by_op.setdefault(op, []).append(rule)
    steps: list[Step] = []
    hits: dict[str, int] = {}
    settled = {} if settled is None else settled
    for _ in range(20):
        before = len(steps)
        graph = _Pass(graph, by_op, stage, steps, hits, first_number, settled).run()
        if len(steps) == before:
            break
    return graph, steps


class _Pass:
    """One walk from the inputs to the results."""

    def __init__(
        self,
        graph: Graph,
        by_op: dict[type[Op], list[Rule]],
        stage: str,
        steps: list[Step],
        hits: dict[str, int],
        first_number: int,
        settled: Settled,
    ) -> None:
        self.graph, self.by_op, self.stage = graph, by_op, stage
        self.steps, self.hits, self.first_number = steps, hits, first_number
        self.settled = settled
        self.done: dict[Variable, Variable] = {v: v for v in graph.inputs}
        nodes = graph.nodes()
        readers: dict[Variable, int] = {}
        for variable in [*(v for n in nodes for v in n.inputs), *graph.results]:
            readers[variable] = readers.get(variable, 0) + 1
        self.context = Context(
            done=self.done,
            readers=readers,
            results=frozenset(graph.results),
            updated={new: shared for shared, new in graph.updates},
        )
        self.own = set(nodes)
        self.limit = 100 + BUDGET * len(nodes)
        self.depth = 0
        self._rules: dict[type[Op], list[Rule]] = {}

    def run(self) -> Graph:
        return self.graph.with_results([self.finish(v) for v in self.graph.results])

    def finish(self, variable: Variable) -> Variable:
        """The equal of `variable` with every node below it merged and rewritten."""
        self._finish_nodes(toposort([variable], self.done))
        return self._leaf(variable)

    def _finish_nodes(self, nodes: Sequence[Apply]) -> None:
        for node in nodes:
            if node.outputs[0] not in self.done:
                self._finish_node(node)

    def _leaf(self, variable: Variable) -> Variable:
        if isinstance(variable, Constant):
            return self.context.constant(variable)
        return self.done.get(variable, variable)

    def _finish_node(self, node: Apply) -> None:
        inputs = tuple(self._leaf(v) for v in node.inputs)
        known = self.context.table.get(_key(node.op, inputs))
        if known is not None and known.outputs[0] in self.done:
            if node in self.own:
                reason = "The same operation on the same inputs is done once."
                self._record("merge", reason, node.outputs[0], known.outputs[0], 0.0)
            self._replace(node, [self.done[v] for v in known.outputs])
            return
        if (
            known is not None
        ):  # a size that the context inferred, met for the first time
            made = known
        elif all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            made = node
        else:
            with source.made_for(node.origin):
                made = node.op.make_node(*inputs)
        self.context.table[_key(node.op, inputs)] = made
        for old, output in zip(node.outputs, made.outputs, strict=True):
            self.context.table[output] = output
            self.done[output] = output  # a replacement may contain the node it replaces
            self._inherit(old, output)
        if self.depth < DEEPEST:
            self.depth += 1
            replacement = self._apply_rules(made)
            self.depth -= 1
            if replacement is not None:
                self._replace(made, replacement)
        if made is not node:
            self._replace(node, [self.done[v] for v in made.outputs])

    def _replace(self, node: Apply, finished: Sequence[Variable]) -> None:
        for old, new in zip(node.outputs, finished, strict=True):
            self.done[old] = new
            self._inherit(old, new)

    def _inherit(self, old: Variable, new: Variable) -> None:
        """What is known of `old` holds for what stands for it."""
        if old is new:
            return
        if old.name and not new.name and new.owner is not None:
            new.name = old.name
        if old in self.context.readers:
            self.context.readers.setdefault(new, self.context.readers[old])
        if old in self.context.updated:
            self.context.updated.setdefault(new, self.context.updated[old])

    def _apply_rules(self, node: Apply) -> list[Variable] | None:
        refused = self.settled.setdefault(node, set())
        rules = [
            rule for rule in self._rules_for(type(node.op)) if rule.name not in refused
        ]
        if not rules:
            return None
        start = time.perf_counter()
        origin = source.Origin(node.origin.place, node.origin.forward, node)
        with source.made_for(origin):
            rule, results = self._first_hit(rules, node, refused)
        if rule is None:
            return None
        self.hits[rule.name] = self.hits.get(rule.name, 0) + 1
        for old, new in zip(node.outputs, results, strict=True):
            self._inherit(old, new)
            self._record(rule.name, rule.reason, old, new, time.perf_counter() - start)
        made = toposort(results, self.done)
        self._sign(made, origin, rule.name)
        self._finish_nodes(made)
        return [self._leaf(v) for v in results]

    def _first_hit(
        self, rules: Sequence[Rule], node: Apply, refused: set[str]
    ) -> tuple[Rule | None, list[Variable]]:
        for rule in rules:
            if self.hits.get(rule.name, 0) > self.limit:
                continue
            self.context.looked_around = False
            result = rule.rewrite(node, self.context)
            if result is not None:
                results = [result] if isinstance(result, Variable) else list(result)
                pairs = list(zip(node.outputs, results, strict=True))
                if all(
                    old is not new and _may_stand_for(old, new) for old, new in pairs
                ):
                    return rule, results
            if not self.context.looked_around:
                refused.add(rule.name)
        return None, []

    def _sign(self, made: Sequence[Apply], origin: source.Origin, rule: str) -> None:
        """Write the rule's name on the nodes it made; nobody else has seen them yet."""
        signed = replace(origin, rule=rule)
        for node in made:
            if node.origin is origin:
                node.origin = signed

    def _rules_for(self, op: type[Op]) -> list[Rule]:
        if op not in self._rules:
            rules = [rule for base in op.__mro__ for rule in self.by_op.get(base, ())]
            self._rules[op] = list({rule.name: rule for rule in rules}.values())
        return self._rules[op]

    def _record(
        self, rule: str, reason: str, before: Variable, after: Variable, seconds: float
    ) -> None:
        number = self.first_number + len(self.steps) + 1
        self.steps.append(
            Step(number, rule, self.stage, before, after, reason, seconds)
        )


def _key(op: Op, inputs: tuple[Variable, ...]) -> tuple[Any, ...]:
    # Ops without fields all hash alike; their class tells them apart.
    return type(op), op, inputs


def _may_stand_for(old: Variable, new: Variable) -> bool:
    """Whether dtype, rank and the axes that broadcast are the same."""
    return (
        old.dtype == new.dtype
        and old.ndim == new.ndim
        and old.broadcastable == new.broadcastable
    )
