"""The inspector in a bare page: opening the graphs inside operations.

The page's side needs nothing of a notebook but a model with a few values, so a page with
one of its own is enough, and starts at once.
"""

import json

import pytest

import workbench as wb
import workbench.tensor as T
from tests.viz.loops import gradient, nested, recurrent
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.viz.target import resolve
from workbench.viz.widgets import module, payload, styles

pytestmark = pytest.mark.browser

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")

from tests.viz.test_browser import CHROMIUM, FLAGS, state

PAGE = """<!doctype html><meta charset="utf-8"><body>
<style>%s .sg-body { height: 800px !important; }</style>
<script type="module">
  const values = Object.assign(%s, { target: 0, variant: "%s", tab: "graph", step: 0,
    selection: [], expanded: [], compact: true, query: "" });
  const handlers = {};
  const model = {
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      for (const call of handlers["change:" + name] ?? []) call();
    },
    save_changes() {},
    on: (event, call) => (handlers[event] ??= []).push(call),
    off() {},
  };
  const code = new Blob([%s], { type: "text/javascript" });
  const { default: widget } = await import(URL.createObjectURL(code));
  widget.render({ model, el: document.body });
  document.body.dataset.ready = "1";
</script>"""

# The places of the boxes, as they are drawn.
PLACES = """root => [...root.querySelectorAll(".sg-stage .sg-box")].map(box => {
  const { x, y, width, height } = box.querySelector(".sg-frame").getBBox();
  return { key: box.dataset.sgKey, open: box.classList.contains("sg-open"),
           left: x, top: y, right: x + width, bottom: y + height };
})"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        yield made
        made.close()


@pytest.fixture
def panel(browser):
    """Shows a target in a new page, and gives the panel."""
    pages = []

    def shown(target, variant="after", css=""):
        found = resolve(target)
        data = {"data": payload([found])}
        variant = variant if found.after is not None else "before"
        page = browser.new_page(viewport={"width": 1300, "height": 950})
        pages.append(page)
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.set_content(PAGE % (styles() + css, inert(data), variant, inert(module())))
        page.wait_for_selector("body[data-ready]", state="attached")
        assert not errors
        return page.locator(".symgraph")

    yield shown
    for page in pages:
        page.close()


def inert(data) -> str:
    """Data as the text of a script, which no name in it can end."""
    return json.dumps(data).replace("</", "<\\/").replace("<!--", "<\\!--")


def training(mode="FAST_COMPILE"):
    inputs, results = gradient()
    return wb.function(inputs, results, mode=mode, name="train")


def press(panel, *keys: str) -> None:
    panel.focus()
    for key in keys:
        panel.press(key)


def is_inside(inner, outer) -> bool:
    return (
        outer["left"] <= inner["left"]
        and inner["right"] <= outer["right"]
        and outer["top"] <= inner["top"]
        and inner["bottom"] <= outer["bottom"]
    )


def overlap(a, b) -> bool:
    # Places are rounded to pixels.
    return (
        min(a["right"], b["right"]) - max(a["left"], b["left"]) > 2
        and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 2
    )


def test_a_double_click_opens_a_loop_and_another_closes_it(panel):
    shown = panel(training())
    loop = shown.locator(".sg-holds").first
    key = loop.get_attribute("data-sg-key")

    loop.dblclick()
    opened = state(shown)
    shown.locator(".sg-open .sg-frame").first.dblclick(position={"x": 12, "y": 12})
    closed = state(shown)

    assert opened["expanded"] == opened["graphs"][0]["open"] == [key]
    assert closed["expanded"] == closed["graphs"][0]["open"] == []
    assert opened["graphs"][0]["boxes"] > closed["graphs"][0]["boxes"]


def test_what_is_inside_lies_in_its_frame_and_nothing_overlaps(panel):
    shown = panel(training())

    press(shown, "Shift+Enter")

    places = shown.evaluate(PLACES)
    frames = {place["key"]: place for place in places if place["open"]}
    assert len(frames) == 2
    for place in places:
        holder = place["key"].rpartition(">")[0]
        for key, frame in frames.items():
            if place is not frame:
                assert (
                    is_inside(place, frame)
                    if key == holder
                    else (not overlap(place, frame))
                )
    boxes = [place for place in places if not place["open"]]
    for number, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in boxes[:number])


def test_a_loop_in_a_loop_opens_inside_its_frame(panel):
    _, results = nested()
    shown = panel(results)

    press(shown, "Shift+Enter")

    frames = {place["key"]: place for place in shown.evaluate(PLACES) if place["open"]}
    assert len(frames) == 3
    for key, frame in frames.items():
        holder = key.rpartition(">")[0]
        assert not holder or is_inside(frame, frames[holder])


def test_lines_lead_from_what_is_outside_to_what_it_is_inside(panel):
    _, results = recurrent()
    shown = panel(results)

    press(shown, "Shift+Enter")

    assert shown.locator(".sg-leads").count() == 3 + 2


def test_enter_opens_the_selected_loop_and_closes_the_one_around_the_selection(panel):
    _, results = recurrent()
    shown = panel(results)
    shown.locator(".sg-holds").click()
    press(shown, "Enter")
    shown.locator(".sg-box", has_text="tanh").click()
    inner = state(shown)["selection"]

    press(shown, "Enter")

    found = state(shown)
    assert found["graphs"][0]["open"] == []
    assert inner[0].startswith(found["selection"][0] + ">")


def test_a_hit_inside_a_closed_loop_opens_it(panel):
    _, results = recurrent()
    shown = panel(results)

    shown.locator("input").fill("op:tanh")
    shown.locator("input").press("Enter")

    found = state(shown)
    assert found["selection"] == found["hits"]
    assert found["graphs"][0]["open"] == [found["hits"][0].rpartition(">")[0]]
    details = shown.locator(".sg-details").inner_text()
    assert "scan{rnn}" in details


def test_the_pane_of_an_inner_input_leads_to_what_it_is_outside(panel):
    _, results = recurrent()
    shown = panel(results)
    press(shown, "Shift+Enter")

    shown.locator(".sg-box", has_text="X at t").click()
    words = shown.locator(".sg-details").inner_text()
    shown.locator(".sg-details dd", has_text="X at t").locator("button").click()

    assert "X at t" in words
    assert "an input: its value" in shown.locator(".sg-details").inner_text()


def test_the_tree_walks_through_the_graphs_inside(panel):
    _, results = recurrent()
    shown = panel(results)
    shown.locator('[data-sg-tab="tree"]').click()
    rows = shown.locator(".sg-row")
    keyed = shown.locator(".sg-row[data-sg-key]").count()

    shown.locator(".sg-row", has_text="y").first.click()
    rows.nth(0).click()
    press(shown, *["ArrowDown"] * 3)

    assert rows.count() > keyed
    assert "Inner graphs:" in shown.locator(".sg-list").inner_text()
    shown.locator(".sg-row", has_text="→ tanh").click()
    assert ">" in state(shown)["selection"][0]


def test_selecting_before_lights_the_closed_loop_that_holds_what_became_of_it(panel):
    x, s = T.vector("x"), T.scalar("s")
    step = T.log(1 + T.exp(s)) * T.tanh(s)
    (rows,) = Scan(Body([s], [step]), 1, ()).make_node(x.shape[0], x).outputs
    shown = panel(wb.function([x], rows, mode="FAST_COMPILE"), variant="both")
    shown.locator('[data-sg-graph="before"] .sg-holds').dblclick()
    shown.locator('[data-sg-graph="before"] .sg-box', has_text="log").first.click()

    found = state(shown)

    lit = shown.locator('[data-sg-graph="after"] .sg-linked')
    assert lit.count() >= 1
    assert found["graphs"][1]["linked"]


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "</script><script>alert(1)//", '"><svg/']
)
def test_a_name_inside_stays_text_in_the_panel(panel, name):
    tags = "root => [...root.querySelectorAll('*')].map(e => e.tagName).join()"

    def opened(name):
        _, results = recurrent(name)
        shown = panel(results)
        press(shown, "Shift+Enter")
        shown.locator('.sg-box[data-sg-shape="input"]', has_text="first h0").click()
        return shown

    hostile, ordinary = opened(name), opened("h")

    assert hostile.evaluate(tags) == ordinary.evaluate(tags)
    assert name[:10] in hostile.locator(".sg-details").inner_text()


def test_thousands_of_nodes_open_on_a_canvas(panel):
    v = T.vector("v")
    for _ in range(2_500):
        v = T.tanh(v) + 1
    s, h = T.scalar("s"), T.scalar("h")
    new = h
    for _ in range(100):
        new = T.tanh(new) + s
    op = Scan(Body([s, h], [new]), 1, ((-1,),))
    (rows,) = op.make_node(v.shape[0], v, T.zeros((1,))).outputs
    shown = panel(rows.sum())
    closed = state(shown)["graphs"][0]

    press(shown, "Shift+Enter")

    found = state(shown)["graphs"][0]
    assert found["renderer"] == "canvas"
    assert len(found["open"]) == 1
    assert found["boxes"] > closed["boxes"] + 200


def test_an_open_loop_is_readable_on_a_dark_ground(panel):
    _, results = recurrent()
    dark = (
        "body { background: #111; --jp-layout-color0: #111; --jp-layout-color1: #222; }"
    )

    shown = panel(results, css=dark)
    press(shown, "Shift+Enter")

    assert state(shown)["dark"]
    colours = shown.evaluate(
        """root => [getComputedStyle(root.querySelector(".sg-open .sg-frame")).fill,
                    getComputedStyle(root.querySelector(".sg-heads .sg-title")).fill]"""
    )
    ground, ink = (sum(map(int, c[4:-1].split(","))) / 3 for c in colours)
    assert ground < 60 and ink > 180
