"""Every node rule alone on graphs that it matches: the value stays."""

import numpy as np
import pytest

from tests.compile.rules.matches import MATCHES, Draw
from workbench.compile.record import Graph
from workbench.compile.rewrite import rewrite
from workbench.compile.rules import LOWERING, STAGES, canonical
from workbench.core.evaluate import evaluate

RULES = {
    rule.name: rule for _, rules in (*STAGES, ("lower", LOWERING)) for rule in rules
}
WITH = {
    "step_of_loop": ["neg_of_neg", "broadcast_to_own_sizes", "broadcast_in_elementwise"]
}
NODE_RULES = {name: rule for name, rule in RULES.items() if rule.pair is None}
ROWS = [
    pytest.param(rule, maker, id=f"{rule}-{i}")
    for rule, makers in MATCHES.items()
    for i, maker in enumerate(makers)
]


def test_every_node_rule_has_a_generator():
    assert set(MATCHES) == set(NODE_RULES)


def test_every_rule_gives_a_reason():
    assert [name for name, rule in RULES.items() if not rule.reason] == []


def test_rules_have_different_names():
    everything = {
        id(rule): rule for _, rules in (*STAGES, ("lower", LOWERING)) for rule in rules
    }

    assert len({rule.name for rule in everything.values()}) == len(everything)


def instance(maker, seed, static):
    draw = Draw(np.random.default_rng(seed), static)
    made = maker(draw)
    if not isinstance(made, Graph):
        made = Graph(
            tuple(draw.values), tuple(made) if isinstance(made, tuple) else (made,)
        )
    return made, draw.values


def check(name, maker, seeds):
    fired = 0
    for seed in seeds:
        for static in (False, True):
            graph, values = instance(maker, seed, static)
            if name != "fold_constants":
                graph, _ = rewrite(graph, [canonical.fold_constants], "before")
            # The body of a loop is rewritten by the rules that there are.
            rules = [RULES[name], *map(RULES.get, WITH.get(name, []))]
            rewritten, steps = rewrite(graph, rules, "alone")
            fired += any(step.rule == name for step in steps)
            compare(graph, rewritten, values)
    assert fired >= len(seeds) // 2


def compare(before, after, values):
    expected, found = evaluate(before.results, values), evaluate(after.results, values)
    for a, b, old, new in zip(
        expected, found, before.results, after.results, strict=True
    ):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert old.broadcastable == new.broadcastable
        # A rule may round differently a few times, or sum in another order.
        eps = np.finfo(a.dtype).eps if a.dtype.kind == "f" else 0
        np.testing.assert_allclose(b, a, rtol=64 * eps, atol=64 * eps)


@pytest.mark.parametrize(("name", "maker"), ROWS)
def test_rule_fires_and_keeps_the_value(name, maker):
    check(name, maker, range(4))


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "maker"), ROWS)
def test_rule_keeps_the_value_200_times(name, maker):
    check(name, maker, range(100, 200))
