"""The graphs inside operations, as the step of a loop, in every form that views have."""

import json
import xml.etree.ElementTree as ET

import pytest

import workbench as wb
import workbench.tensor as T
from tests.viz.loops import gradient, nested, recurrent
from tests.viz.test_escaping import HOSTILE, elements
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.viz import dot
from workbench.viz.dot import find_program, pydotprint
from workbench.viz.facts import facts, part
from workbench.viz.html import alternative, figure
from workbench.viz.scene import scene
from workbench.viz.show import show
from workbench.viz.target import resolve
from workbench.viz.text import debugprint
from workbench.viz.widgets import payload


def text(obj, **options) -> str:
    return debugprint(obj, file="str", **options)


def inside(found, number=0, graph=-1):
    """The nodes of one graph inside, by label."""
    own = part(found["graphs"][graph], number)
    return {node["label"]: node for node in own["nodes"]}


# --- the tree ----------------------------------------------------------------------------


def test_the_step_of_a_loop_follows_below_the_tree():
    _, results = recurrent()

    above, below = text(results).split("\nInner graphs:\n")

    assert "tanh" not in above
    assert "scan{rnn} .0 [id A] .1 [id G]" in below
    assert "for t = 0, 1, … n-1" in below
    assert "→ tanh" in below and "→ sum" in below


def test_each_inner_input_says_what_it_is_outside():
    _, results = recurrent()

    lines = text(results).splitlines()

    x, h, a = (line for line in lines if "←" in line)
    assert x.endswith("X [id D] at t")
    assert h.endswith("first h0 [id E], then output 0 [id A] at t-1")
    assert a.endswith("A [id F]")


def test_a_loop_that_runs_backwards_says_so():
    inputs, (_, derivative) = gradient()

    found = text(wb.function(inputs, derivative, mode="FAST_COMPILE"))

    assert "for t = n-1, … 1, 0" in found
    assert "at t+1" in found


def test_a_loop_with_a_condition_says_when_it_ends():
    x, s = T.vector("x"), T.scalar("s")
    h = T.scalar("h")
    op = Scan(Body([s, h], [h + s, h > 3]), 1, ((-1,),), until=True)
    rows, _ = op.make_node(x.shape[0], x, x[:1]).outputs

    found = text(rows)

    assert "for t = 0, 1, … n-1 or until its condition holds" in found
    assert "the last step when true" in found


def test_inner_graphs_can_be_left_out():
    _, results = recurrent()

    assert "Inner graphs" not in text(results, print_inner_graphs=False)


def test_how_many_rows_are_kept_stands_in_the_title():
    inputs, (states, _) = recurrent()
    last = wb.function(inputs, states[-1], mode="FAST_RUN")
    op = states.owner.op

    assert "scan{rnn, keeps 1 of n}" in text(last)
    assert str(op) == "scan{rnn}"
    kept = Scan(op.body, 1, op.taps, keep=(1, None))
    assert str(kept) == "scan{keeps 1, all of n}"


def test_a_graph_with_a_name_is_shown_inside_the_loop_that_calls_it():
    _, results = nested()

    found = text(results)

    assert found.count("\ndistance [id") == 2
    assert found.count("sqrt [id") == 2 and found.count("sqrt [id M] ···") == 1
    assert "x [id F]" in found.split("\ndistance [id")[1]


def test_an_inner_input_without_a_name_is_called_what_it_is_outside():
    x, s = T.vector("x"), T.scalar()
    (rows,) = Scan(Body([s], [T.exp(s)]), 1, ()).make_node(x.shape[0], x).outputs

    found = text(rows, ids="")

    assert "← x at t" in found


# --- the facts ---------------------------------------------------------------------------


def test_facts_with_graphs_inside_are_plain_data():
    inputs, results = gradient()
    found = facts(wb.function(inputs, results))

    assert json.loads(json.dumps(found)) == found


def test_nodes_inside_follow_those_outside():
    _, results = recurrent()
    (graph,) = facts(results)["graphs"]
    (held,) = graph["insides"]
    first, count = held["nodes"]

    outside = part(graph)["nodes"]
    assert all("inside" not in node for node in outside)
    assert len(outside) == first == len(graph["nodes"]) - count
    assert all(node["inside"] == 0 for node in graph["nodes"][first:])
    assert graph["operations"] == sum(n["kind"] == "operation" for n in outside)


def test_what_a_graph_inside_reads_leads_to_what_is_outside():
    _, results = recurrent()
    (graph,) = facts(results)["graphs"]
    (held,) = graph["insides"]
    operands = {e[3]: e[0] for e in graph["edges"] if e[2] == held["of"]}

    sources = [
        [graph["nodes"][operands[place]]["label"] for place in places]
        for places, _ in held["reads"]
    ]

    assert sources == [["X"], ["h0"], ["A"]]
    assert [outputs for _, outputs in held["reads"]] == [[], [0], []]
    assert [outputs for _, outputs in held["writes"]] == [[0], [1]]


def test_keys_inside_are_unique_and_stay_when_nothing_is_rewritten():
    inputs, results = recurrent()
    found = facts(wb.function(inputs, results, mode="None"))
    before, after = ([n["key"] for n in g["nodes"]] for g in found["graphs"])

    assert len(set(before)) == len(before)
    assert {k for k in before if ">" in k} == {k for k in after if ">" in k}


def test_the_same_graph_at_two_places_has_two_sets_of_keys():
    _, results = nested()
    (graph,) = facts(results)["graphs"]

    keys = [node["key"] for node in graph["nodes"]]
    assert len(graph["insides"]) == 3
    assert len(set(keys)) == len(keys)


def test_what_became_of_a_node_inside_is_known():
    x, s = T.vector("x"), T.scalar("s")
    step = T.log(1 + T.exp(s)) * T.tanh(s)
    (rows,) = Scan(Body([s], [step]), 1, ()).make_node(x.shape[0], x).outputs

    found = facts(wb.function([x], rows, mode="FAST_COMPILE"))

    before, after = inside(found, graph=0), inside(found)
    assert before["tanh"]["fate"] == after["tanh"]["fate"] == "kept"
    made = after["softplus"]
    assert made["fate"] == "rewritten"
    assert before["log"]["key"] in made["pairs"] or before["log"]["pairs"]
    rules = [found["steps"][number - 1]["rule"] for number in made["steps"]]
    assert any("log1p" in rule or "softplus" in rule for rule in rules)


def test_nodes_inside_have_the_kernel_of_their_loop_and_lines_of_its_code():
    inputs, results = recurrent()
    found = facts(wb.function(inputs, results))
    if "source" not in found:
        pytest.skip("no C compiler")
    graph = found["graphs"][-1]
    loop = graph["nodes"][graph["insides"][0]["of"]]
    tanh = inside(found)["tanh"]

    kernel = found["kernels"][loop["kernel"]]
    assert kernel["kind"] == "loop" and "loop over steps" in kernel["about"]
    assert tanh["kernel"] == loop["kernel"]
    assert "tanh" in found["source"].splitlines()[tanh["c_line"] - 1]
    first, last = kernel["lines"]
    assert first <= loop["c_line"] <= last


def test_a_loop_in_a_loop_has_lines_of_code():
    found = facts(wb.function(*_loop_in_loop()))
    if "source" not in found:
        pytest.skip("no C compiler")
    graph = found["graphs"][-1]
    kinds = {kernel["kind"] for kernel in found["kernels"]}
    innermost = part(graph, len(graph["insides"]) - 1)["nodes"]

    assert "loop" in kinds and len(graph["insides"]) == 2
    assert all("c_line" in n for n in innermost if n["kind"] == "operation")


def _loop_in_loop():
    X = T.matrix("X")
    row, s, h = T.vector("row"), T.scalar("s"), T.scalar("h")
    (sums,) = (
        Scan(Body([s, h], [T.tanh(h + s)]), 1, ((-1,),), title="across")
        .make_node(row.shape[0], row, T.zeros((1,)))
        .outputs
    )
    (rows,) = (
        Scan(Body([row], [sums]), 1, (), title="down").make_node(X.shape[0], X).outputs
    )
    return [X], rows


# --- pictures ----------------------------------------------------------------------------


def test_a_box_says_how_much_it_holds_and_a_line_to_it_which_input_it_is():
    _, results = recurrent()
    (graph,) = facts(results)["graphs"]
    drawn = scene(graph)
    (number,) = [i for i, box in enumerate(drawn.boxes) if "holds" in box.marks]

    assert drawn.boxes[number].caption.endswith("4 inside")
    arriving = [line.ports[1] for line in drawn.lines if line.target == number]
    assert sorted(arriving) == [0, 1, 2, 3]
    rows = drawn.data()["lines"]
    assert all(len(row) == 6 for row in rows if number in row[:2])
    assert all(len(row) == 4 for row in rows if number not in row[:2])


def test_the_scene_of_a_graph_inside_shows_what_its_inputs_are():
    _, results = recurrent()
    (graph,) = facts(results)["graphs"]

    drawn = scene(graph, inside=0)

    captions = {box.title: box.caption for box in drawn.boxes}
    assert captions["x"] == "X at t · float64 vector"
    assert captions["h"].startswith("first h0, then output 0 at t-1")
    assert all(graph["nodes"][box.node]["inside"] == 0 for box in drawn.boxes)


def test_the_payload_has_a_scene_for_each_graph_inside():
    inputs, results = gradient()
    data = payload([resolve(wb.function(inputs, results, mode="FAST_COMPILE"))])
    (target,) = data["targets"]

    for graph, scenes in zip(target["graphs"], target["scenes"], strict=True):
        for form in scenes.values():
            assert len(form["insides"]) == len(graph["insides"]) > 0
            used = {box[0] for each in form["insides"] for box in each["boxes"]}
            assert all("inside" in graph["nodes"][node] for node in used)


def test_a_node_inside_can_be_selected_and_is_a_variable():
    pytest.importorskip("anywidget")
    _, results = recurrent()
    panel = show(results)
    key = inside(panel.facts[0])["tanh"]["key"]

    panel.select(key)

    assert [str(v.owner.op) for v in panel.selected] == ["tanh"]


def test_words_for_a_picture_name_only_what_is_outside():
    _, results = recurrent()

    assert alternative(facts(results)) == (
        "Graph of graph: from input X, input h0, input A through 3 operations "
        "(shape, slice[0], scan) to output 0, output 1."
    )


def test_a_drawing_is_compact_unless_the_graphs_inside_are_asked_for():
    _, results = recurrent()

    assert "tanh" not in pydotprint(results).dot
    found = pydotprint(results, scan_graphs=True).dot
    assert "cluster_0" in found
    assert "scan{rnn}  for t = 0, 1, … n-1" in found
    assert found.count("style=dashed") == 3 + 2


def test_graphviz_draws_the_graphs_inside():
    if find_program() is None:
        pytest.skip("no Graphviz program")
    inputs, results = gradient()
    f = wb.function(inputs, results, mode="FAST_COMPILE")

    drawn = pydotprint(f, scan_graphs=True).svg

    ET.fromstring(drawn)
    assert drawn.count('class="cluster"') == 2


@pytest.mark.filterwarnings("ignore:no Graphviz program")
def test_without_graphviz_the_graphs_inside_are_drawn_below(monkeypatch):
    monkeypatch.setattr(dot, "find_program", lambda: None)
    _, results = recurrent()

    drawn = pydotprint(results, scan_graphs=True).svg

    ET.fromstring(drawn)
    assert "tanh" in drawn and "for t = 0" in drawn


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_inside_stays_text(name):
    _, results = recurrent(name)
    _, ordinary = recurrent("h")

    page, plain = elements(figure(results)), elements(figure(ordinary))
    drawn = pydotprint(results, scan_graphs=True)

    assert page.tags == plain.tags and page.attributes == plain.attributes
    assert len(text(results).splitlines()) == len(text(ordinary).splitlines())
    if find_program() is not None:
        assert "<a " not in drawn.svg and "xlink:href" not in drawn.svg


def test_a_long_step_is_shown_without_recursion():
    x, s = T.vector("x"), T.scalar("s")
    end = s
    for _ in range(3_000):
        end = T.tanh(end)
    (rows,) = Scan(Body([s], [end]), 1, ()).make_node(x.shape[0], x).outputs

    found = facts(rows)["graphs"][0]

    assert found["insides"][0]["operations"] == 3_000
    assert text(rows).count("tanh [id") == 3_000


def test_what_a_branch_computes_has_its_kernel_and_its_line():
    c, x = T.scalar("c"), T.vector("x")
    chosen = wb.ifelse(c > 0, T.tanh(x).sum(), T.exp(x).sum())
    found = facts(wb.function([c, x], chosen))
    if "source" not in found:
        pytest.skip("no C compiler")
    nodes = {node["label"]: node for node in found["graphs"][-1]["nodes"]}

    for name in ("tanh", "exp"):
        assert found["kernels"][nodes[name]["kernel"]]["kind"] == "branch"
        assert name in found["source"].splitlines()[nodes[name]["c_line"] - 1]
