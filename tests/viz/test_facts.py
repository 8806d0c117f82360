import json

import pytest

import workbench.tensor as T
from tests.viz.models import chain, compiled, logistic
from workbench.compile.function import function
from workbench.viz.facts import facts, fates
from workbench.viz.keys import Keys, file_hash
from workbench.viz.target import resolve


def nodes(found, graph=0):
    return {node["label"]: node for node in found["graphs"][graph]["nodes"]}


def test_facts_are_plain_data():
    for target in (logistic(), compiled()):
        found = facts(target)
        assert json.loads(json.dumps(found)) == found


def test_kinds_and_names_are_told_apart():
    found = nodes(facts(logistic()))

    assert found["x"]["kind"] == "input"
    assert found["W"]["kind"] == "shared"
    assert found["W"]["outputs"] == [["W", "float64 (784, 10)"]]
    assert found["0.1"]["kind"] == "constant"
    assert found["softmax{axis=1}"]["outputs"][0][0] == "p_y"


def test_results_say_their_role():
    roles = [role for _, _, role in facts(logistic())["graphs"][0]["results"]]

    assert roles == ["output", "W ←", "b ←"]


def test_the_users_line_is_kept_with_its_columns():
    found = facts(T.exp(T.vector("x")).sum())
    line = found["lines"][nodes(found)["exp"]["line"]]

    assert line["place"].startswith("test_facts.py:")
    assert line["code"][line["start"] : line["end"]] == 'T.exp(T.vector("x"))'


def test_gradient_nodes_point_at_their_forward_node():
    found = facts(logistic())
    graph = found["graphs"][0]
    forward = [n["forward"] for n in graph["nodes"] if "forward" in n]
    by_key = {n["key"]: n for n in graph["nodes"]}

    assert forward
    assert all(by_key[f["key"]]["label"] == f["label"] for f in forward)


def test_a_rewritten_node_knows_the_rule_and_what_it_replaced():
    x = T.vector("x")
    found = facts(function([x], T.log(1 + T.exp(x)), mode="FAST_COMPILE"))
    made = [n for n in found["graphs"][1]["nodes"] if n.get("fate") == "rewritten"]

    rules = {found["steps"][number - 1]["rule"] for n in made for number in n["steps"]}
    assert rules
    before = {n["key"] for n in found["graphs"][0]["nodes"]}
    assert all(set(n["pairs"]) <= before for n in made)


def test_each_step_names_nodes_of_both_graphs():
    x = T.vector("x")
    found = facts(function([x], T.exp(x) + T.exp(x), mode="FAST_COMPILE"))
    keys = {n["key"] for graph in found["graphs"] for n in graph["nodes"]}

    (merge,) = [step for step in found["steps"] if step["rule"] == "merge"]
    assert set(merge["before_keys"]) | set(merge["after_keys"]) <= keys
    assert fates(found["graphs"][0])["merged"] == 1


def test_an_untouched_node_keeps_its_key():
    x = T.vector("x")
    found = facts(function([x], T.tanh(x), mode="None"))

    assert nodes(found, 0)["tanh"]["key"] == nodes(found, 1)["tanh"]["key"]
    assert nodes(found, 1)["tanh"]["fate"] == "kept"


def test_kernels_code_and_in_place_are_known():
    found = facts(compiled())
    add = nodes(found, 1)["add"]

    assert found["kernels"][add["kernel"]]["name"] == "k0"
    assert found["source"].splitlines()[add["c_line"] - 1] == "double b = a + 1;"
    assert add["in_place"] == ["tanh"]
    assert [e[4] for e in found["graphs"][1]["edges"]].count(1) == 1


def test_a_real_program_has_code_for_its_operations():
    x = T.matrix("x")
    found = facts(function([x], T.tanh(T.dot(x, x)).sum()))
    if "source" not in found:
        pytest.skip("no C compiler")
    made = [n for n in found["graphs"][1]["nodes"] if n["kind"] == "operation"]

    assert {n["label"].partition("{")[0] for n in made} == {"dot", "tanh", "sum"}
    assert all("kernel" in n and "c_line" in n for n in made)


def test_keys_are_the_same_when_the_same_code_runs_again():
    def build():
        x = T.vector("x")
        return facts(T.exp(x) + T.exp(x) * 2)["graphs"][0]["nodes"]

    first, second = ([n["key"] for n in build()] for _ in range(2))

    assert first == second
    assert len(set(first)) == len(first)


def test_keys_of_cells_do_not_depend_on_the_session():
    one = "/tmp/ipykernel_100/1234567890.py"
    other = "/tmp/ipykernel_200/1234567890.py"

    assert file_hash(one) == file_hash(other) == "12345678"


def test_names_given_by_a_cell_reach_the_compiled_graph():
    x = T.vector("x")
    h = T.tanh(x)
    f = function([x], h * 2, mode="FAST_COMPILE")
    h.tag.bound = "h"

    assert nodes(facts(f), 1)["tanh"]["outputs"][0][0] == "h"


def test_unused_inputs_and_constant_outputs_are_there():
    x = T.vector("x")
    found = facts(function([x], T.constant(2.0), on_unused_input="ignore"))

    assert "x" in nodes(found, 1)


def test_every_kind_of_target_is_understood():
    x = T.vector("x")
    y = x * 2

    assert resolve(y).name == "graph"
    assert resolve([x, y]).before.inputs == (x,)
    assert resolve(compiled()).after is not None
    with pytest.raises(TypeError, match="can be shown, not int"):
        resolve(3)


def test_a_long_chain_has_facts():
    found = facts(chain(20_000))

    assert found["graphs"][0]["operations"] == 20_000
    assert found["graphs"][0]["tree_left_out"] > 0


def test_keys_cover_all_nodes_of_both_graphs():
    record = compiled()
    keys = Keys([record.before, record.after]).of

    assert all(node in keys for node in record.before.nodes() + record.after.nodes())
