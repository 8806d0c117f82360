"""The rewrite engine: from a graph to an equal, better graph, every change on record.

The engine copies the graph bottom-up. A node is made on inputs that are finished
already, equal nodes are made once (that is merging), and rules run on it until none
fires; what a rule makes goes through the same, from a worklist, so that no chain of
rewrites is too deep. One pass over n nodes with k hits costs about n + k. Passes are
repeated while there is a node that some rule has not settled: a node never changes, so
a rule that refuses one will always, unless it looked around.

Names and origins are carried by the engine, never by a rule: a node a rule made says
which node it stands for. Every rule has a budget; one that lives on its own work, or
keeps making more of it than it removes, is stopped and named.

The body of a loop is a graph like any other: a rule of loops asks for it to be rewritten by
the rules of the stage, and each body is rewritten once. What a loop is read for is known
from the graph that entered the pass; a rule may replace those who read it together with it.

Patterns are matched in :mod:`workbench.compile.matching`; rules are described in
:mod:`workbench.compile.rule`; read next :mod:`workbench.compile.rules`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from workbench.compile.context import Alike, key_of
from workbench.compile.context import Context as Context
from workbench.compile.matching import uniform_value as uniform_value
from workbench.compile.record import Graph, Step
from workbench.compile.rule import Rule as Rule
from workbench.compile.rule import RuleSet, bit_of, rule_set
from workbench.compile.rule import identity as identity
from workbench.compile.rule import node_rule as node_rule
from workbench.compile.rule import tagged as tagged
from workbench.config import config
from workbench.core import source
from workbench.core.graph import Apply, Constant, Variable, toposort
from workbench.core.op import Elementwise, Reduction
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan

HITS = 50
"""How often one rule may fire: so many times the nodes of the graph, and 100."""

SELF_HITS = 2
"""How often on what it made itself: so many times the nodes of the graph, and 100."""

GROWTH = 1
"""By how many nodes it may so enlarge the graph: so many times its nodes, and 500."""

UNLIMITED = frozenset({"inlining", "lowering"})
"""Tags of rules without a budget: they unfold what is finite, and so come to an end."""

PASSES = 20
"""How often the graph is gone through, at most."""


class RewriteWarning(UserWarning):
    """A rule was left out: it would not come to an end, or it failed."""


@dataclass
class History:
    """What was done to a graph from stage to stage, and what need not be tried again.

    Attributes
    ----------
    steps
        Every rewrite, in order.
    settled
        For a node the bits of the rules that will never fire on it.
    quiet
        For a node the last set of rules of which none was left to try.
    lineage
        For a node that rules made the names of those whose work it is.
    hits, self_hits, growth
        What each rule used of its budget.
    stopped
        The bits of those that used it up.
    troubles
        For each of them, and for each that failed, what happened, in a sentence.
    """

    steps: list[Step] = field(default_factory=list)
    settled: dict[Apply, int] = field(default_factory=dict)
    quiet: dict[Apply, RuleSet] = field(default_factory=dict)
    lineage: dict[Apply, frozenset[str]] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    self_hits: Counter[str] = field(default_factory=Counter)
    growth: Counter[str] = field(default_factory=Counter)
    stopped: int = 0
    troubles: dict[str, str] = field(default_factory=dict)
    merged: Graph | None = None  # the last graph in which equal nodes are one
    bodies: dict[tuple[RuleSet, Body, Alike], Body] = field(default_factory=dict)

    def inside(self) -> History:
        """The history of a body: on the same record, with budgets of its own."""
        return History(steps=self.steps, troubles=self.troubles, bodies=self.bodies)

    @property
    def notes(self) -> list[str]:
        """What a user should be told."""
        return list(self.troubles.values())

    def left(self, node: Apply, rules: RuleSet) -> list[tuple[int, Rule]]:
        """The rules still to be tried on a node."""
        without = self.settled.get(node, 0) | self.stopped
        return [pair for pair in rules.candidates(node) if not pair[0] & without]

    def is_at_rest(self, graph: Graph, nodes: Sequence[Apply], rules: RuleSet) -> bool:
        """Whether a pass over the graph would change nothing."""
        if graph is not self.merged:
            return False
        for node in nodes:
            if self.quiet.get(node) is not rules:
                if self.left(node, rules):
                    return False
                self.quiet[node] = rules
        return True

    def charge(self, rule: str, node: Apply, made: int, nodes: int) -> None:
        """Count a hit on `node` that made so many nodes, in a graph of `nodes`."""
        self.hits[rule] += 1
        if rule in self.lineage.get(node, ()):
            self.self_hits[rule] += 1
            self.growth[rule] += made - 1
        if self.hits[rule] > 100 + HITS * nodes:
            self._stop(rule, f"after {self.hits[rule]} rewrites")
        elif self.self_hits[rule] > 100 + SELF_HITS * nodes:
            count = self.self_hits[rule]
            self._stop(rule, f"after {count} rewrites of what it had made itself")
        elif self.growth[rule] > 500 + GROWTH * nodes:
            count = self.growth[rule]
            self._stop(rule, f"when its own work had grown by {count} nodes")

    def failed(self, rule: str, node: Apply, error: Exception) -> None:
        """Note that a rule failed; ``config.on_opt_error`` may have it raised instead."""
        where = f" ({node.origin.location})" if node.origin.location else ""
        if config.on_opt_error == "raise":
            error.add_note(f"The rewrite rule {rule} was looking at {node!r}{where}.")
            raise error
        if config.on_opt_error == "warn":
            what = f"the rule {rule} failed at {node!r}{where}, which stays as it is"
            self.troubles.setdefault(rule, f"{what}: {type(error).__name__}: {error}")

    def _stop(self, rule: str, when: str) -> None:
        self.troubles.setdefault(rule, f"the rule {rule} was stopped {when}")
        self.stopped |= bit_of(rule)


def rewrite(
    graph: Graph,
    rules: Sequence[Rule],
    stage: str,
    history: History | None = None,
    alike: Mapping[tuple[Variable, int], int | tuple[Variable, int]] | None = None,
) -> tuple[Graph, list[Step]]:
    """Apply `rules` until none fires.

    Parameters
    ----------
    history
        What earlier stages did and found out: steps are added to it, and no rule is
        tried twice on a node.
    alike
        For an axis of an input its size, or which axis of which input is as long.

    Returns
    -------
    graph, steps
        The new graph, and what was done to reach it in order.
    """
    history = History() if history is None else history
    known = rule_set(rules)
    first = len(history.steps)
    for _ in range(PASSES):
        nodes = graph.nodes()
        if history.is_at_rest(graph, nodes, known):
            break
        before = len(history.steps)
        current = _Pass(graph, nodes, known, stage, history, alike or {})
        graph = current.run()
        history.merged = graph
        context = current.context
        if len(history.steps) == before and (
            context.is_merged or not context.stands_for
        ):
            break
    return graph, history.steps[first:]


Replacing = tuple[Apply, Apply, Mapping[Variable, Variable]]
"""A node of the graph, its finished form, and what a rule put in the place of what."""

Frame = tuple[Iterator[Apply], Replacing | None]
"""Nodes to finish, and what is replaced when they are."""


class _Pass:
    """One walk from the inputs to the results."""

    def __init__(
        self,
        graph: Graph,
        nodes: Sequence[Apply],
        rules: RuleSet,
        stage: str,
        history: History,
        alike: Mapping[tuple[Variable, int], int | tuple[Variable, int]],
    ) -> None:
        self.graph, self.nodes, self.rules, self.stage = graph, nodes, rules, stage
        self.history = history
        self.done: dict[Variable, Variable] = {v: v for v in graph.inputs}
        self.own = set(nodes)
        self.context = Context(
            done=self.done,
            readers=counted_readers(graph, nodes),
            results=frozenset(graph.results),
            updated={new: shared for shared, new in graph.updates},
            nodes=nodes,
            stands_for={
                v: v for node in nodes if type(node.op) is Scan for v in node.outputs
            },
            is_merged=graph is history.merged,
            alike=alike,
            rewritten=self._rewritten,
        )

    def run(self) -> Graph:
        frames: list[Frame] = [(iter(self.nodes), None)]
        while frames:
            waiting, replacing = frames[-1]
            for node in waiting:
                if node.outputs[0] not in self.done:
                    opened = self._finish_node(node)
                    if opened is not None:
                        frames.append(opened)
                        break
            else:
                frames.pop()
                if replacing is not None:
                    self._close(*replacing)
        return self.graph.with_results([self._leaf(v) for v in self.graph.results])

    def _leaf(self, variable: Variable) -> Variable:
        """What became of a variable; of equal constants one stands for all."""
        known = self.done.get(variable)
        if known is None:
            constant = isinstance(variable, Constant)
            known = self.context.constant(variable) if constant else variable  # type: ignore[arg-type]
            self.done[variable] = known
        return known

    def _finish_node(self, node: Apply) -> Frame | None:
        """Merge a node and try rules on it; the frame of what the first that fires made."""
        done, table = self.done, self.context.table
        inputs = tuple([done[v] if v in done else self._leaf(v) for v in node.inputs])
        key = key_of(node.op, inputs)
        known = table.get(key)
        if known is not None and known.outputs[0] in done:
            if node in self.own:
                reason = "The same operation on the same inputs is done once."
                self._record("merge", reason, node.outputs[0], known.outputs[0], 0.0)
            self._replace(node, [done[v] for v in known.outputs])
            return None
        if inputs == node.inputs and known is None:
            made = node
        else:  # a size that the context inferred may be met here for the first time
            made = self._rebuilt(node, inputs) if known is None else known
        table[key] = made
        for output in made.outputs:
            table[output] = output
            done[output] = output  # a replacement may contain the node it replaces
        if made is not node:
            for old, output in zip(node.outputs, made.outputs, strict=True):
                self._inherit(old, output)
        if self.history.quiet.get(made) is not self.rules:
            opened = self._try_rules(made, node)
            if opened is not None:
                return opened
        if made is not node:
            self._replace(node, [done[v] for v in made.outputs])
        return None

    def _rebuilt(self, node: Apply, inputs: tuple[Variable, ...]) -> Apply:
        """The operation on other inputs."""
        rule = type(node.op).output_types
        with source.made_for(node.origin):
            if rule in TYPES_OF_TYPES and all(
                a.type is b.type or a.type == b.type
                for a, b in zip(inputs, node.inputs, strict=True)
            ):
                made = Apply(node.op, inputs, [v.type for v in node.outputs])
            else:
                made = node.op.make_node(*inputs)
        if node in self.history.lineage:
            self.history.lineage[made] = self.history.lineage[node]
        return made

    def _close(
        self, node: Apply, made: Apply, results: Mapping[Variable, Variable]
    ) -> None:
        """What a rule put in the place of a node is finished: it stands there now."""
        for old, new in results.items():
            self.done[old] = self._leaf(new)
            self._inherit(old, self.done[old])
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
        context = self.context
        if old in context.readers:
            context.readers.setdefault(new, context.readers[old])
        if old in context.updated:
            context.updated.setdefault(new, context.updated[old])
        if old in context.stands_for:
            context.stands_for.setdefault(new, context.stands_for[old])

    def _try_rules(self, node: Apply, of: Apply) -> Frame | None:
        """Let the first rule that fires replace `node`, the finished form of `of`."""
        left = self.history.left(node, self.rules)
        if not left:
            self.history.quiet[node] = self.rules
            return None
        start = time.perf_counter()
        origin = source.Origin(node.origin.place, node.origin.forward, node)
        with source.made_for(origin):
            rule, results = self._first_hit(left, node)
        if rule is None:
            return None
        for old, new in results.items():
            self._inherit(old, new)
            self._record(rule.name, rule.reason, old, new, time.perf_counter() - start)
        made = toposort([*results.values()], self.done)
        if len(results) > 1:
            self._count_readers(made)
        if UNLIMITED.isdisjoint(rule.tags):
            self.history.charge(rule.name, node, len(made), len(self.nodes))
        self._sign(made, node, origin, rule.name)
        return iter(made), (of, node, results)

    def _first_hit(
        self, left: Sequence[tuple[int, Rule]], node: Apply
    ) -> tuple[Rule | None, Mapping[Variable, Variable]]:
        context, refused = self.context, 0
        hit: tuple[Rule | None, Mapping[Variable, Variable]] = None, {}
        for bit, rule in left:
            context.looked_around = False
            try:
                result = rule.rewrite(node, context)
            except Exception as error:
                self.history.failed(rule.name, node, error)
                refused |= bit
                continue
            if result is not None:
                results = replacements(node, result)
                if may_replace(results):
                    hit = rule, results
                    break
            if not context.looked_around:
                refused |= bit
        if refused:
            self.history.settled[node] = self.history.settled.get(node, 0) | refused
        return hit

    def _count_readers(self, made: Sequence[Apply]) -> None:
        """Count who reads what a rule has made: what several outputs have in common."""
        new = {v for node in made for v in node.outputs}
        for node in made:
            for v in new.intersection(node.inputs):
                self.context.readers[v] = self.context.readers.get(v, 0) + 1

    def _rewritten(self, body: Body, alike: Alike) -> Body:
        """A body rewritten by the rules of the pass; each is rewritten once."""
        key = self.rules, body, alike
        known = self.history.bodies.get(key)
        if known is None:
            graph = Graph(tuple(body.inputs), tuple(body.outputs))
            sizes = {
                (v, axis): same
                if isinstance(same, int)
                else (body.inputs[same[0]], same[1])
                for v, row in zip(body.inputs, alike, strict=True)
                for axis, same in enumerate(row)
                if same is not None
            }
            history = self.history.inside()
            after, steps = rewrite(graph, self.rules.rules, self.stage, history, sizes)
            known = Body(after.inputs, after.outputs) if steps else body
            self.history.bodies[key] = known
            self.history.bodies.setdefault((self.rules, known, alike), known)
        return known

    def _sign(
        self, made: Sequence[Apply], node: Apply, origin: source.Origin, rule: str
    ) -> None:
        """Write the rule's name on the nodes it made; nobody else has seen them yet."""
        if not made:
            return
        signed = replace(origin, rule=rule)
        lineage = self.history.lineage
        work = lineage.get(node, frozenset()) | {rule}
        for new in made:
            lineage[new] = work
            if new.origin is origin:
                new.origin = signed

    def _record(
        self, rule: str, reason: str, before: Variable, after: Variable, seconds: float
    ) -> None:
        steps = self.history.steps
        number = len(steps) + 1
        steps.append(Step(number, rule, self.stage, before, after, reason, seconds))


def counted_readers(graph: Graph, nodes: Sequence[Apply]) -> Counter[Variable]:
    """How many operations read each variable; a result has one reader more."""
    read = chain.from_iterable([node.inputs for node in nodes])
    return Counter(chain(read, graph.results))


TYPES_OF_TYPES = (Elementwise.output_types, Reduction.output_types)
"""Type rules that look at nothing but the types of the inputs."""


def replacements(
    node: Apply, result: Variable | Sequence[Variable] | Mapping[Variable, Variable]
) -> Mapping[Variable, Variable]:
    """What a rule puts in the place of what: its result by the outputs, where it does not say."""
    if isinstance(result, Mapping):
        return result
    several = [result] if isinstance(result, Variable) else result
    return dict(zip(node.outputs, several, strict=True))


def may_replace(results: Mapping[Variable, Variable]) -> bool:
    """Whether all are replaced by others of the same dtypes, ranks and stretching axes."""
    return all(
        old is not new
        and (
            old.type is new.type
            or (
                old.dtype == new.dtype
                and old.ndim == new.ndim
                and old.broadcastable == new.broadcastable
            )
        )
        for old, new in results.items()
    )
