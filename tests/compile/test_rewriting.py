"""Rewriting graphs without compiling them."""

import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.graph import toposort


def names(*outputs):
    return [node.op.name for node in toposort(outputs)]


def test_a_graph_is_rewritten_as_for_a_function():
    x = T.vector("x")
    y = T.log(1 + T.exp(x))

    after = wb.rewrite_graph(y)

    assert names(after) == ["softplus"]
    assert names(y)[-1] == "log"  # the old graph stays


def test_rules_are_chosen_by_tag_and_by_name():
    x = T.vector("x")
    y = T.log(1 + T.exp(x.dimshuffle(0)))

    canonical = wb.rewrite_graph([y], include=["canonical"])
    without = wb.rewrite_graph(y, exclude=["stability"])

    assert isinstance(canonical, list)
    assert "softplus" not in names(*canonical) and "softplus" not in names(without)
    assert names(*canonical).count("dimshuffle") < names(y).count("dimshuffle")
    assert names(wb.rewrite_graph(y, mode="None")) == names(y)


def test_a_rule_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="did you mean 'canonical'"):
        wb.rewrite_graph(T.scalar("x") + 1, include=["canonicals"])


def test_shared_variables_and_constants_stay():
    w = wb.shared(2.0, "w")

    after = wb.rewrite_graph(w + 0 * T.constant(1.0) + T.constant(3.0) + 4)

    assert wb.explicit_graph_inputs(after) == []
    assert after.eval() == 9.0


def test_ops_made_of_graphs_are_opened():
    x = T.vector("x")
    block = wb.OpFromGraph([x], [T.exp(x)])

    assert names(wb.rewrite_graph(block(x), include=["inlining"])) == ["exp"]
    assert names(wb.rewrite_graph(block(x), exclude=["inlining"])) == ["OpFromGraph"]
