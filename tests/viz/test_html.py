import base64
import re
import xml.etree.ElementTree as ET

import workbench.tensor as T
from tests.viz.models import chain, compiled, logistic
from workbench.viz.facts import facts
from workbench.viz.html import alternative, figure, nearest
from workbench.viz.show import Panel, show
from workbench.viz.target import resolve
from workbench.viz.text import panel_text
from workbench.viz.widgets import join_modules, module, payload


def image(page: str) -> str:
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]*)"', page)[1]
    return base64.b64decode(data).decode()


def test_the_figure_is_an_image_with_words_and_a_tree():
    page = figure(logistic())

    assert "shared W" in re.search('alt="([^"]*)"', page)[1]
    assert ET.fromstring(image(page)).tag.endswith("svg")
    tree = page.partition("<pre>")[2].partition("</pre>")[0]
    assert tree.count("\n") == panel_text(logistic()).count("\n")


def test_the_image_has_a_shape_for_each_visible_node():
    found = payload([resolve(logistic())])["targets"][0]

    boxes = found["scenes"][0]["compact"]["boxes"]
    assert image(figure(logistic())).count("data-sg-key=") == len(boxes)


def test_a_large_graph_is_cut_aloud_and_stays_below_the_size_limit():
    page = figure(chain(3000))

    assert "2780 operations far from the results are left out" in page
    assert len(page) < 300_000


def test_nearest_keeps_the_operations_next_to_the_results():
    graph = facts(chain(100))["graphs"][0]

    part = nearest(graph, 10)

    assert part["operations"] == 10
    assert part["nodes"][part["results"][0][0]]["number"] == 99


def test_the_words_for_a_picture_name_inputs_operations_and_results():
    words = alternative(facts(logistic(), "train"))

    assert words.startswith("Graph of train: from input x, input y, shared W")
    assert words.endswith("to output, the new value of W, the new value of b.")


# --- the panel ------------------------------------------------------------------------


def test_a_node_is_selected_by_name_key_or_variable():
    graph = logistic()
    (cost,) = graph.outputs
    panel = show(graph, view="widget")

    by_name = panel.select("cost")
    panel.select(cost)

    assert panel.selection == by_name
    assert panel.selected == [cost]
    assert panel.select(by_name[0]) == by_name


def test_listeners_hear_of_each_selection():
    heard = []
    panel = show(logistic(), view="widget")
    panel.on_select(heard.append)

    panel.select("W")

    assert heard == [panel.selection]


def test_selected_nodes_of_a_compiled_target_are_variables_of_what_is_run():
    record = compiled()
    panel = Panel([resolve(record)], "widget")
    keys = [
        n["key"] for n in panel.facts[0]["graphs"][1]["nodes"] if n["label"] == "tanh"
    ]

    panel.selection = keys

    assert panel.selected[0].owner.op.name == "tanh"


def test_the_payload_of_a_large_graph_stays_small():
    v = [T.vector("v")]
    for i in range(2500):
        v.append(T.tanh(v[-1]) * v[max(0, i - 7)])
    import json

    size = len(json.dumps(payload([resolve(v[-1])]), separators=(",", ":")))

    assert size < 2_000_000


def test_the_page_needs_nothing_from_the_network():
    text = module()

    links = set(re.findall(r"https?://[^\"'\s]+", text))
    assert links == {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in text and "insertAdjacentHTML" not in text
    assert not re.search(r"^import ", text, re.MULTILINE)


def test_parts_of_the_module_declare_no_name_twice():
    names = re.findall(r"(?m)^(?:const|let|function|class) (\w+)", module())

    assert len(names) == len(set(names))


def test_only_the_default_export_is_left_when_modules_are_joined():
    joined = join_modules(
        [
            "export function f() {}",
            'import {\n  f,\n} from "./a.js";\nexport default { f };',
        ]
    )

    assert joined == "function f() {}\nexport default { f };"
