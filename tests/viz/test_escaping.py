"""Names come from users and may hold anything; nothing of it may become markup."""

import html.parser
import xml.etree.ElementTree as ET

import pytest

import workbench.tensor as T
from workbench.viz.dot import find_program, pydotprint, render
from workbench.viz.html import figure
from workbench.viz.show import show
from workbench.viz.text import debugprint, panel_text

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "</pre></details><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' onload='alert(1)",
    "]]><x/>",
    "&lt;b&gt; &amp; &#60;",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
    'a"]; evil [label="b',
    'a\\" -> b; c [URL="javascript:alert(1)"]; //',
    "<<table><tr><td>html label</td></tr></table>>",
    "\\N \\G \\l \\",
    "right \u202eto left\u2066",
    "nul\0 bell\a escape\x1b[31m",
    "line\nbreak\r\ttab\u2028",
    "lone \ud800 surrogate",
    "x" * 5000,
]


def graph(name: str):
    x = T.vector(name)
    h = T.tanh(x)
    h.name = name
    return T.exp(h)


class Elements(html.parser.HTMLParser):
    """Counts elements and remembers attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def elements(page: str) -> Elements:
    parser = Elements()
    parser.feed(page)
    return parser


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_text_in_the_picture(name):
    picture = show(graph(name)).to_svg()

    root = ET.fromstring(picture)
    plain = ET.fromstring(show(graph("x")).to_svg())
    assert [e.tag for e in root.iter()] == [e.tag for e in plain.iter()]
    assert not any(k.startswith("on") for e in root.iter() for k in e.keys())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_text_in_the_page(name):
    found, plain = elements(figure(graph(name))), elements(figure(graph("x")))

    assert found.tags == plain.tags
    assert found.attributes == plain.attributes


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_one_label_in_dot(name):
    picture = pydotprint(graph(name))

    program = find_program()
    if program is None:
        pytest.skip("no Graphviz program")
    drawn = render(program, picture.dot, "svg").decode()
    assert drawn.count('class="node"') == 5
    assert drawn.count('class="edge"') == 4
    assert "<a " not in drawn and "xlink:href" not in drawn


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_on_its_line_of_the_tree(name):
    text = debugprint(graph(name), file="str")

    assert len(text.splitlines()) == 3
    assert all(line.isprintable() for line in panel_text(graph(name)).splitlines())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_picture_of_graphviz_is_shown_as_an_image(name):
    if find_program() is None:
        pytest.skip("no Graphviz program")
    page = pydotprint(graph("a"))._repr_mimebundle_()["text/html"]

    assert elements(page).tags == ["img"]
