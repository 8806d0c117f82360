"""Why a rewrite was not done: the rules that looked at a finished graph, and what stopped them.

At the end no rule fires on the graph that is run. Here each is asked once more, this time
by a context that listens: to what it answers ("W is read by others"), and to what a rule says
itself (:meth:`~workbench.compile.context.Context.refuse`). Rules that the mode leaves out are
asked, too. So nothing is kept while functions are compiled, and asking costs one walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.compile.context import Context, key_of
from workbench.compile.matching import match
from workbench.compile.modes import Mode, get_mode
from workbench.compile.pipeline import optimise
from workbench.compile.record import Graph
from workbench.compile.rewrite import counted_readers, may_replace, replacements
from workbench.compile.rule import Identity, Rule, outline
from workbench.compile.rules import STAGES
from workbench.core import source
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    as_list,
    graph_inputs,
    toposort,
)
from workbench.core.ops.scan import Scan
from workbench.core.ops.ufunc import kind
from workbench.core.source import Origin


@dataclass(frozen=True)
class Refusal:
    """A rule that looked at an operation and left it as it is.

    Attributes
    ----------
    rule, stage
        Its name, and when it is tried.
    at
        The result of the operation, in the graph that is run.
    reason
        Which precondition failed.
    """

    rule: str
    stage: str
    at: Variable
    reason: str

    def __str__(self) -> str:
        place = self.at.location
        where = f"   {place.place}" if place else ""
        return (
            f"{self.stage:<10} {self.rule:<24} {self.at.label()}: {self.reason}{where}"
        )


def refused(what: Any, mode: str | Mode | None = None) -> tuple[Refusal, ...]:
    """The rules that looked at an operation and did nothing, and why.

    Parameters
    ----------
    what
        A compiled function, or one variable, or several: then the graph that a function
        of them would run.
    mode
        Whose rules; that of the function, else ``config.mode``, by default.

    Returns
    -------
    tuple of Refusal
        In the order of the graph. Rules whose pattern is not there are not listed.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> strict = get_mode("FAST_RUN").excluding("finite_math")
    >>> {r.rule: r.reason for r in refused(x - x, strict)}["minus_itself"]
    "the mode excludes 'finite_math'"
    """
    if hasattr(what, "compilation"):
        chosen = what.mode if mode is None else get_mode(mode)
        return tuple(_walk(what.compilation.after, chosen))
    chosen = get_mode(mode)
    outputs = as_list(what)
    leaves = graph_inputs(outputs)
    inputs = [v for v in leaves if not isinstance(v, Constant | Shared)]
    after, _ = optimise(Graph(tuple(inputs), tuple(outputs)), chosen)
    return tuple(_walk(after, chosen))


class _Listening(Context):
    """A context that keeps the last thing it had to deny, or that a rule complained of."""

    why = ""

    def refuse(self, reason: str, *about: Variable) -> None:
        self.why = reason.format(*(v.label() for v in about))

    def _answer(self, answer: bool, why: str, *about: Variable) -> bool:
        if not answer:
            self.why = why.format(*(v.label() for v in about))
        return answer

    def read_once(self, variable: Variable) -> bool:
        answer = super().read_once(variable)
        return self._answer(answer, "{} is read by others, too", variable)

    def same_sizes(self, a: Variable, b: Variable) -> bool:
        answer = super().same_sizes(a, b)
        return self._answer(answer, "{} and {} are not known to have one shape", a, b)

    def agree(self, node: Apply) -> bool:
        why = (
            "the operands are not known to be equally long, and it checks that they are"
        )
        return self._answer(super().agree(node), why)

    def stretches(self, small: Variable, large: Variable) -> bool:
        why = "{} is not known to have the sizes of {}, or 1"
        return self._answer(super().stretches(small, large), why, small, large)


def _walk(graph: Graph, mode: Mode) -> Iterator[Refusal]:
    nodes = graph.nodes()
    context = _Listening(
        done={v: v for v in graph.inputs},
        readers=counted_readers(graph, nodes),
        results=frozenset(graph.results),
        updated={new: shared for shared, new in graph.updates},
        nodes=nodes,
        stands_for={
            v: v for node in nodes if type(node.op) is Scan for v in node.outputs
        },
        is_merged=True,
    )
    rules = list(_rules(mode))
    kinds = _kinds_of_twins([rule for _, rule in rules])
    for node in nodes:
        # A size may have been inferred before the operation that computes it is met.
        known = context.table.setdefault(key_of(node.op, node.inputs), node)
        for output, same in zip(node.outputs, known.outputs, strict=True):
            context.table[output] = context.table[same] = same
            context.done[output] = context.done[same] = output
        for stage, rule in rules:
            if isinstance(node.op, rule.ops):
                twins = "" if rule.pair is None else kinds[_pattern(rule.pair)]
                why = _why_not(rule, stage, node, mode, context, twins)
                if why:
                    yield Refusal(rule.name, stage, node.outputs[0], why)


def _rules(mode: Mode) -> Iterator[tuple[str, Rule]]:
    """Every rule there is with its first stage, and the mode's own."""
    seen: set[str] = set()
    for stage, rules in STAGES:
        for rule in rules:
            if rule.name not in seen:
                seen.add(rule.name)
                yield stage, rule
    yield from mode.own


def _pattern(pair: Identity) -> str:
    return " ".join(map(repr, toposort([pair.left])))


def _kinds_of_twins(rules: Sequence[Rule]) -> dict[str, str]:
    """For each left side the kinds of dtypes that some identity takes there."""
    kinds: dict[str, str] = {}
    for rule in rules:
        if rule.pair is not None:
            pattern = _pattern(rule.pair)
            kinds[pattern] = kinds.get(pattern, "") + rule.pair.kinds
    return kinds


def _why_not(
    rule: Rule,
    stage: str,
    node: Apply,
    mode: Mode,
    context: _Listening,
    twins: str,
) -> str:
    """Why a rule did not replace a node; nothing when its pattern is not there."""
    if rule.pair is not None:
        other = _kind_mismatch(rule, node, twins)
        if other is not None:
            return other
    elif not rule.could_fire(
        [outline(v) for v in node.inputs], [v.dtype for v in node.inputs]
    ):
        return ""
    context.why = ""
    origin = Origin(node.origin.place, node.origin.forward, node)
    try:
        with source.made_for(origin):
            result = rule.rewrite(node, context)
    except Exception as error:  # a rule of the user's may fail on what it never saw
        return f"it fails with {type(error).__name__}: {error}"
    if result is None:
        return context.why
    results = replacements(node, result)
    if any(context.merged(a) is context.merged(b) for a, b in results.items()):
        return ""
    if not may_replace(results):
        want, have = next(iter(results.items()))
        return f"what it makes is {have.type}, not {want.type}"
    return _why_not_chosen(rule, stage, mode)


def _kind_mismatch(rule: Rule, node: Apply, twins: str) -> str | None:
    """What is wrong with the dtypes an identity meets; None when nothing is.

    Nothing is said when another identity has the same left side for the kinds `twins`.
    """
    assert rule.pair is not None
    pair, output = rule.pair, node.outputs[0]
    if match(pair.left, output, pair.wildcards, pair.kinds) is not None:
        return None
    found = match(pair.left, output, pair.wildcards, "".join(KINDS))
    if found is None or any(kind(v.dtype) in twins for v in found.values()):
        return ""
    wanted = " and ".join(KINDS[k] for k in pair.kinds)
    names = ", ".join(f"{found[w].label()} is {found[w].dtype}" for w in pair.wildcards)
    return f"{names}; it is for {wanted}"


KINDS = {
    "b": "bool",
    "i": "integers",
    "u": "unsigned integers",
    "f": "real floats",
    "c": "complex numbers",
}
"""What NumPy's letters of kinds mean."""


def _why_not_chosen(rule: Rule, stage: str, mode: Mode) -> str:
    names = rule.tags | {rule.name, stage}
    excluded = sorted(names & mode.excluded)
    if excluded:
        return f"the mode excludes {', '.join(map(repr, excluded))}"
    if mode.chooses(rule, stage) or (stage, rule) in mode.own:
        return "its stage was over when this came about"
    lacking = sorted(mode.required - names)
    if lacking:
        return f"the mode requires {', '.join(map(repr, lacking))}"
    return f"the mode does not include {stage!r}"
