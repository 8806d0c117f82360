"""Choices made ready for a compiled program, which computes the branch that is taken alone.

For every operation it is known under which conditions it is needed: that is its *guard*. A
node that a result needs is needed always; what one needs under a guard g is needed under g, and
the branch of a choice by c under "g and c", or "g and not c". Nodes under one guard, as far
as they can be computed together, become the body of a :class:`~workbench.compile.taken.When`,
which the program runs or does not; and each choice becomes a pick of what is there.

So what the forward pass has computed in a branch is there for the gradient, which is under the
same guard, and nothing is computed twice. What costs next to nothing, as arithmetic on
single numbers, is computed in any case.

Read next: :mod:`workbench.compile.planning`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import reduce

from workbench.compile.context import Context
from workbench.compile.record import Graph
from workbench.compile.rewrite import uniform_value
from workbench.compile.schedule import is_gathered, is_loopable
from workbench.compile.taken import Pick, When
from workbench.core.evaluate import has_choice
from workbench.core.extending import FromFunction
from workbench.core.graph import Apply, Constant, Variable, rebuild
from workbench.core.op import (
    Assembly,
    Composite,
    Elementwise,
    Generator,
    Reduction,
    View,
)
from workbench.core.ops.bodies import Body
from workbench.core.ops.control import IfElse
from workbench.core.ops.elementwise import and_, invert, or_, switch
from workbench.core.ops.reduction import Any_
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import SizeOf
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast
from workbench.core.source import Origin, made_for
from workbench.core.types import TensorType

Literal = tuple[int, bool]
"""The number of a condition, and whether it must hold or must not."""

Term = frozenset[Literal]
"""All of these."""

Guard = frozenset[Term]
"""One of these, at least."""

ALWAYS: Guard = frozenset([frozenset()])

LONGEST = 16  # terms; a longer guard is taken for what all of its terms have in common

SIZE = TensorType("int64", ())

Segment = tuple[Guard, bool, int]
"""A guard, whether NumPy runs the nodes, and how many others come before."""


def with_branches(
    graph: Graph, has_kernel: Callable[[Apply], bool], inside: bool = False
) -> Graph:
    """The graph with its choices as work that is done or not, and picks.

    Parameters
    ----------
    has_kernel
        Whether the back end brings a kernel for an opaque operation.
    inside
        Whether the graph is a step of a loop. The sizes there follow from those of its inputs,
        so values have theirs whether they are computed or not; elsewhere those that are not
        take no memory.
    """
    nodes = graph.nodes()
    if not has_choice(nodes):
        return graph
    return _Branches(graph, nodes, has_kernel, inside).built()


# --- under which conditions --------------------------------------------------------------


class Guards:
    """The guard of every node of a graph.

    Attributes
    ----------
    conditions
        Those of all choices, by number.
    of
        The guard of each node; empty for one that no combination of conditions needs.
    """

    def __init__(self, graph: Graph, nodes: list[Apply]) -> None:
        self.given = frozenset(graph.inputs)
        conditions = [n.inputs[0] for n in nodes if isinstance(n.op, IfElse)]
        self.conditions = list(dict.fromkeys(conditions))
        self.numbers = {v: number for number, v in enumerate(self.conditions)}
        self.of: dict[Apply, Guard] = {}
        terms: dict[Apply, set[Term]] = {node: set() for node in nodes}
        for v in graph.results:
            self._need(v, ALWAYS, terms)
        for node in reversed(nodes):
            guard = self.of[node] = simplified(terms[node])
            if not isinstance(node.op, IfElse):
                for v in node.inputs:
                    self._need(v, guard, terms)
                continue
            number = self.numbers[node.inputs[0]]
            sides = [
                (v, narrowed(guard, (number, taken)))
                for v, taken in zip(node.inputs[1:], (True, False), strict=True)
            ]
            if all(side for _, side in sides):
                self._need(node.inputs[0], guard, terms)
            for v, side in sides:
                self._need(v, side, terms)

    def _need(self, v: Variable, guard: Guard, terms: dict[Apply, set[Term]]) -> None:
        owner = self.owner(v)
        if owner is not None:
            terms[owner] |= guard

    def owner(self, v: Variable) -> Apply | None:
        """What computes a variable; None for what is given."""
        return None if v in self.given else v.owner


def simplified(terms: Iterable[Term]) -> Guard:
    """Terms without those that others contain; "g and c" and "g and not c" become g."""
    left = set(terms)
    pending = sorted(left, key=sorted)
    while pending:
        term = pending.pop()
        if term not in left:
            continue
        if any(other < term for other in left):
            left.remove(term)
            continue
        for number, holds in sorted(term):
            twin = term ^ {(number, holds), (number, not holds)}
            if any(other <= twin for other in left):
                left.remove(term)
                shorter = term - {(number, holds)}
                left.add(shorter)
                pending.append(shorter)
                break
    left = {t for t in left if not any(other < t for other in left)}
    if len(left) > LONGEST:
        left = {frozenset.intersection(*left)}
    return frozenset(left)


def narrowed(guard: Guard, literal: Literal) -> Guard:
    """A guard and a condition."""
    number, holds = literal
    return frozenset(
        term | {literal} for term in guard if (number, not holds) not in term
    )


# --- the graph of it ---------------------------------------------------------------------


@dataclass
class _Place:
    """A program's, or a body's, own variables: what stands for those of the graph."""

    plain: dict[Variable, Variable] = field(default_factory=dict)
    rows: dict[Variable, Variable] = field(default_factory=dict)

    def value(self, v: Variable) -> tuple[Variable, bool]:
        """What stands for a variable, and whether its only row does."""
        if v in self.rows:
            return self.rows[v], True
        return self.plain.get(v, v), False


class _Branches:
    """Builds the graph, guard by guard."""

    def __init__(
        self,
        graph: Graph,
        nodes: list[Apply],
        has_kernel: Callable[[Apply], bool],
        inside: bool,
    ) -> None:
        self.graph, self.has_kernel, self.inside = graph, has_kernel, inside
        self.guards = Guards(graph, nodes)
        self.context = Context()
        self.guard = dict(self.guards.of)
        for node in nodes:
            if self._is_trifle(node):
                self.guard[node] = ALWAYS
        self.order = self._order()
        self.segment: dict[Apply, Segment] = {}
        for node in self.order:
            self.segment[node] = self._segment(node)
        self.out = _Place()
        self.guard_of_rows: dict[Variable, Guard] = {}
        self.told: set[Variable] = (
            set()
        )  # whose sizes are known only if they are computed
        self.truths: dict[int, Variable] = {}
        self.steps: dict[Guard, Variable] = {}

    def built(self) -> Graph:
        """The graph in which nothing is chosen any more."""
        members: dict[Segment, list[Apply]] = {}
        for node in self.order:
            members.setdefault(self.segment[node], []).append(node)
        exported = self._exported()
        for segment in sorted(members, key=lambda s: s[2]):
            nodes = members[segment]
            if segment[0] != ALWAYS:
                self._build_guarded(segment[0], nodes, exported)
                continue
            for node in nodes:
                self._build(node, self.out, lambda v: self.out.plain.get(v, v))
        results = [self.out.plain.get(v, v) for v in self.graph.results]
        return self.graph.with_results(results)

    # --- what is computed with what

    def _is_trifle(self, node: Apply) -> bool:
        """Whether a node is computed in any case: a number made of what is there."""
        op = node.op
        if any(
            owner is not None and self.guard[owner] != ALWAYS
            for owner in map(self.guards.owner, node.inputs)
        ):
            return False
        if isinstance(op, SizeOf):
            return True
        if len(node.outputs) != 1 or node.outputs[0].ndim or self._is_hosted(node):
            return False
        return isinstance(op, Elementwise | IfElse) and not isinstance(op, FromFunction)

    def _is_hosted(self, node: Apply) -> bool:
        """Whether NumPy runs it, as far as can be seen before it is lowered."""
        op = node.op
        if isinstance(op, Reduction):
            return not is_gathered(node)
        if isinstance(op, Elementwise):
            halves = any(v.dtype == "float16" for v in (*node.inputs, *node.outputs))
            return not halves and not is_loopable(node)
        known = View | Generator | Composite | Scan | Assembly | IfElse
        return not isinstance(op, known | SizeOf) and not self.has_kernel(node)

    def _implied(self, node: Apply) -> Variable | None:
        """The branch that a choice takes whenever it is needed; None where that depends."""
        if not isinstance(node.op, IfElse):
            return None
        number = self.guards.numbers[node.inputs[0]]
        guard = self.guards.of[node]
        for v, other in zip(node.inputs[1:], (False, True), strict=True):
            if not narrowed(guard, (number, other)):
                return v
        return None

    def _needs(self, node: Apply) -> list[Variable]:
        """What is read when a node is computed, and to know whether it is."""
        only = self._implied(node)
        found = list(node.inputs) if only is None else [only]
        numbers = {number for term in self.guard[node] for number, _ in term}
        return found + [self.guards.conditions[number] for number in sorted(numbers)]

    def _order(self) -> list[Apply]:
        """The nodes that are needed, each after those it needs and after its conditions."""
        done: set[Apply] = set()
        order: list[Apply] = []
        for result in self.graph.results:
            first = self.guards.owner(result)
            if first is None or first in done:
                continue
            stack = [(first, iter(self._needs(first)))]
            while stack:
                node, needs = stack[-1]
                for needed in needs:
                    owner = self.guards.owner(needed)
                    if owner is not None and owner not in done:
                        stack.append((owner, iter(self._needs(owner))))
                        break
                else:
                    stack.pop()
                    if node not in done:
                        done.add(node)
                        order.append(node)
        return order

    def _segment(self, node: Apply) -> Segment:
        """Where a node is computed: with others of its guard that wait for nothing later."""
        guard = self.guard[node]
        hosted = guard != ALWAYS and self._is_hosted(node)
        before = 0
        for v in self._needs(node):
            owner = self.guards.owner(v)
            if owner is not None:
                other = self.segment[owner]
                before = max(before, other[2] + (other[:2] != (guard, hosted)))
        return guard, hosted, before

    def _exported(self) -> set[Variable]:
        """What is read elsewhere than where it is computed."""
        return {
            v
            for node in self.order
            for v in self._needs(node)
            for owner in [self.guards.owner(v)]
            if owner is not None and self.segment[owner] != self.segment[node]
        }

    # --- building

    def _build(
        self, node: Apply, place: _Place, plain: Callable[[Variable], Variable]
    ) -> None:
        """One node on what stands for its inputs in a place."""
        if isinstance(node.op, IfElse):
            place.plain[node.output] = self._picked(node, place, plain)
            return
        with made_for(node.origin):
            inputs = [plain(v) for v in node.inputs]
        changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
        made = rebuild(node, inputs, keep_types=True) if changed else node
        place.plain.update(zip(node.outputs, made.outputs, strict=True))

    def _picked(
        self, node: Apply, place: _Place, plain: Callable[[Variable], Variable]
    ) -> Variable:
        """What stands for a choice."""
        only = self._implied(node)
        if only is not None:
            return plain(only)
        condition, x, y = node.inputs
        (a, a_row), (b, b_row) = place.value(x), place.value(y)
        with made_for(replace(node.origin, replaces=node)):
            alike = {x, y}.isdisjoint(self.told) and self.context.same_sizes(x, y)
            if alike and (self.inside or not (a_row or b_row)):
                a, b = (index(v, 0) if r else v for v, r in ((a, a_row), (b, b_row)))
                made = switch(plain(condition), a, b)
            else:
                with _on_behalf_of(condition):
                    taken = cast(plain(condition), "int64")
                made = Pick((a_row, b_row), alike)(taken, a, b)
        made.name = node.output.name
        return made

    def _build_guarded(
        self, guard: Guard, nodes: list[Apply], exported: set[Variable]
    ) -> None:
        """The nodes of one segment as the body of one operation."""
        body = _Inside(self, guard)
        for node in nodes:
            body.take(node)
            self._build(node, body, body.read)
        results = [v for node in nodes for v in node.outputs if v in exported]
        last = nodes[-1]
        with made_for(replace(last.origin, replaces=last)):
            steps = self._steps(guard)
            if not body.sequences and not body.others:  # a loop's program reads some
                body.others[steps] = Variable(steps.type)
            own = [*body.sequences.values(), *body.others.values()]
            inner = Body(own, [body.plain[v] for v in results])
            keep = (1 if self.inside else None,) * len(results)
            op = When(inner, len(body.sequences), (), keep=keep)
            made = op.make_node(steps, *body.sequences, *body.others)
        shapes = [tuple(SIZE() for _ in v.type.shape) for v in made.inputs]
        outputs, inferred = made.outputs, op.infer_shape(made, shapes)
        self.told |= {v for v, s in zip(results, inferred, strict=True) if None in s}
        for v, rows in zip(results, outputs, strict=True):
            rows.name = v.name
            self.out.rows[v] = rows
            self.guard_of_rows[v] = guard

    def _steps(self, guard: Guard) -> Variable:
        """1 where a guard holds, else 0."""
        if guard not in self.steps:
            first = min(number for term in guard for number, _ in term)
            with _on_behalf_of(self.guards.conditions[first]):
                terms = [
                    reduce(and_, [self._truth(*literal) for literal in sorted(term)])
                    for term in sorted(guard, key=sorted)
                ]
                self.steps[guard] = cast(reduce(or_, terms), "int64")
        return self.steps[guard]

    def _truth(self, number: int, holds: bool) -> Variable:
        """Whether a condition is as it must be; one that is not computed does not hold."""
        if number not in self.truths:
            value, is_row = self.out.value(self.guards.conditions[number])
            self.truths[number] = Any_((0,))(value) if is_row else value
        truth = self.truths[number]
        return truth if holds else invert(truth)


def _on_behalf_of(condition: Variable) -> AbstractContextManager[None]:
    """What is made inside belongs to the operation that computes a condition."""
    owner = condition.owner
    if owner is None:
        return made_for(Origin(condition.place))
    return made_for(replace(owner.origin, replaces=owner))


class _Inside(_Place):
    """The variables of a body, and what outside of it they stand for."""

    def __init__(self, branches: _Branches, guard: Guard) -> None:
        super().__init__()
        self.branches, self.guard = branches, guard
        self.sequences: dict[Variable, Variable] = {}  # by what they are outside
        self.others: dict[Variable, Variable] = {}

    def take(self, node: Apply) -> None:
        """Bring in what a node reads."""
        only = self.branches._implied(node)
        reads = node.inputs if only is None else (only,)
        for v in reads:
            if v in self.plain or v in self.rows:
                continue
            if isinstance(v, Constant) and uniform_value(v) is not None:
                continue
            outer, is_row = self.branches.out.value(v)
            if not is_row:
                self.plain[v] = self._bring(outer)
            elif (
                self.branches.guard_of_rows[v] == self.guard
                and not self.branches.inside
            ):
                own = Variable(v.type, v.name)
                self.plain[v] = self.sequences.setdefault(outer, own)
            else:
                self.rows[v] = self._bring(outer)

    def _bring(self, outer: Variable) -> Variable:
        return self.others.setdefault(outer, Variable(outer.type, outer.name))

    def read(self, v: Variable) -> Variable:
        """The value of a variable, which is there when the body is run."""
        if v in self.rows:
            self.plain[v] = index(self.rows[v], 0)
        return self.plain.get(v, v)
