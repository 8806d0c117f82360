import subprocess
import xml.etree.ElementTree as ET

import pytest

import workbench.tensor as T
from tests.viz.models import chain, compiled, logistic
from workbench.viz import dot
from workbench.viz.dot import find_program, pydotprint
from workbench.viz.facts import facts
from workbench.viz.picture import svg
from workbench.viz.scene import scene

SVG = "{http://www.w3.org/2000/svg}"


def drawn(target, compact=True):
    found = facts(target)
    return scene(found["graphs"][-1], compact, found.get("kernels"))


def shapes(picture: str) -> list[str]:
    root = ET.fromstring(picture)
    return [
        g.get("data-sg-shape")
        for g in root.iter(f"{SVG}g")
        if "data-sg-key" in g.keys()
    ]


def test_the_picture_has_one_shape_for_each_box():
    boxes = drawn(logistic())

    assert len(shapes(svg(boxes))) == len(boxes.boxes)


def test_compact_hides_unnamed_values_and_full_shows_them():
    x = T.vector("x")
    h = T.tanh(x)
    h.name = "h"
    target = T.exp(h) * 2

    compact = [box.title for box in drawn(target).boxes]
    full = [box.shape for box in drawn(target, compact=False).boxes]

    assert sorted(compact) == sorted(["x", "tanh", "h", "exp", "2.0", "mul", "output"])
    assert full.count("variable") == 3  # h, exp(h), and 2.0 with its new axis


def test_kinds_differ_in_more_than_colour():
    picture = svg(drawn(logistic()))

    words = " ".join(ET.fromstring(picture).itertext())
    assert "input · float64 matrix" in words
    assert "shared · float64 (784, 10)" in words
    assert "output · float64 scalar" in words
    assert "new value · float64 matrix" in words
    assert "stroke-dasharray" in picture


def test_an_in_place_edge_is_double_and_marked():
    root = ET.fromstring(svg(drawn(compiled())))

    (edge,) = [g for g in root.iter(f"{SVG}g") if g.get("data-sg-in-place")]
    assert len(list(edge.iter(f"{SVG}path"))) == 3  # two strokes and the head
    assert "".join(edge.itertext()) == "!"


def test_a_constant_stands_beside_each_reader():
    x = T.vector("x")
    one = T.constant(1.0)

    boxes = drawn((x + one) * one).boxes

    assert [box.shape for box in boxes].count("constant") == 2
    assert len({box.key for box in boxes}) == len(boxes)


def test_one_value_may_have_several_roles():
    x = T.vector("x")
    y = T.exp(x)

    titles = [box.title for box in drawn([y, y]).boxes if box.shape == "result"]

    assert titles == ["output 0"]


def test_a_leaf_may_be_a_result():
    (box,) = drawn(T.vector("x")).boxes

    assert box.caption == "input · output · float64 vector"


def test_the_legend_names_every_shape():
    words = " ".join(ET.fromstring(svg(drawn(logistic()), legend=True)).itertext())

    assert "shared variable" in words and "! in place" in words


def test_the_picture_has_a_title_and_a_description():
    root = ET.fromstring(svg(drawn(logistic()), "name", "words"))

    assert root.find(f"{SVG}title").text == "name"
    assert root.find(f"{SVG}desc").text == "words"


# --- Graphviz -------------------------------------------------------------------------


def test_dot_text_has_types_on_edges_and_marks_in_place():
    text = pydotprint(compiled()).dot

    assert '[label="float64 vector"]' in text
    assert "! in place" in text and "invis" in text


def test_dot_shows_the_order_when_asked():
    assert "#0  tanh" in pydotprint(compiled(), with_ids=True).dot
    assert "#0" not in pydotprint(compiled()).dot


def test_before_is_the_graph_as_it_was_built():
    assert "exp" in pydotprint(compiled(), before=True).dot
    assert "tanh" in pydotprint(compiled()).dot


def test_a_picture_is_saved_in_each_format(tmp_path):
    picture = pydotprint(logistic(), tmp_path / "a.dot")

    assert (tmp_path / "a.dot").read_text().startswith("//")
    if find_program() is None:
        pytest.skip("no Graphviz program")
    assert picture.save(tmp_path / "a.svg").read_text().startswith("<svg")
    assert picture.save(tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(ValueError, match="svg, png, dot, not 'pdf'"):
        picture.save(tmp_path / "a.pdf")


def test_without_the_program_our_own_layout_is_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(dot, "find_program", lambda: None)
    picture = pydotprint(logistic())

    with pytest.warns(UserWarning, match="pip install graphviz"):
        text = picture.svg

    assert len(shapes(text)) > 30
    with pytest.raises(RuntimeError, match="PNG"):
        picture.save(tmp_path / "a.png")


def test_a_large_graph_is_not_given_to_graphviz(monkeypatch):
    monkeypatch.setattr(dot, "render", lambda *_: pytest.fail("asked for dot"))

    with pytest.warns(UserWarning, match="too many for Graphviz"):
        text = pydotprint(chain(1000)).svg

    assert text.startswith("<svg")


def test_a_failing_program_is_an_error_that_quotes_it():
    def run(*args, **kwargs):
        raise subprocess.CalledProcessError(1, "dot", stderr=b"syntax error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        with pytest.raises(RuntimeError, match="syntax error"):
            dot.render("dot", "digraph {", "svg")


def test_a_picture_shows_itself_as_an_image():
    found = pydotprint(compiled())._repr_mimebundle_()

    assert found["text/html"].startswith('<img alt="f, 3 operations"')
    assert found["image/svg+xml"].startswith("<svg")
