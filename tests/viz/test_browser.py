"""The inspector in a real JupyterLab and a real browser.

One server and one page for all tests of this file, since starting them takes longest.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupyterlab")
pytest.importorskip("anywidget")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

SET_UP = """\
import json, numpy as np
import workbench as wb
import workbench.tensor as T
%load_ext workbench
"""
MODEL = """\
%%symgraph model
x, y = T.matrix("x"), T.lvector("y")
W = wb.shared(np.zeros((784, 10)), name="W")
b = wb.shared(np.zeros(10), name="b")
p_y = T.nnet.softmax(T.dot(x, W) + b)
cost = -T.log(p_y)[T.arange(y.shape[0]), y].mean()
gW, gb = wb.grad(cost, [W, b])
updates = [(W, W - 0.13 * gW), (b, b - 0.13 * gb)]
train = wb.function([x, y], cost, updates=updates, name="train")
"""
REPORT = """\
print(json.dumps([_sym.selection, [repr(v.owner.op) for v in _sym.selected]]))
"""
LARGE = """\
v = [T.vector("v")]
for i in range(2500):
    v.append(T.tanh(v[-1]) * v[max(0, len(v) - 7)])
wb.show(v[-1].sum())
"""


def start_lab(folder: Path) -> tuple[subprocess.Popen, str]:
    """A server with its own settings, and the address of its single-document page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = os.environ | {f"JUPYTER_{n}": str(folder / n) for n in folders}
    environment |= {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    # Without this file a pop-up asks about news, over the page.
    quiet = folder / "settings/@jupyterlab/apputils-extension"
    quiet.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps(news))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}"]
    command += [f"--IdentityProvider.token={token}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += ["--ServerApp.terminals_enabled=False"]
    log = (folder / "lab.log").open("w")
    server = subprocess.Popen(
        command, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    log.close()
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            with urllib.request.urlopen(
                f"{address}/api/status?token={token}", timeout=2
            ):
                return server, f"{address}/doc/tree/%s?reset&token={token}"
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                break
            time.sleep(0.1)
    stop_lab(server)
    raise RuntimeError((folder / "lab.log").read_text()[-2000:])


def stop_lab(server: subprocess.Popen) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def write_notebook(path: Path, cells: list[str]) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells],
        metadata={"kernelspec": kernel},
    )
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)


class Notebook:
    """A notebook open in a page."""

    def __init__(self, page, address: str) -> None:
        self.page = page
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
        # Keys are lost until the kernel is connected, whatever the status dot says.
        page.evaluate(
            """async () => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                await context.ready;
                await context.session.kernel.info;
            }"""
        )

    def cell(self, number: int):
        return self.page.locator(".jp-Notebook > * .jp-CodeCell").nth(number)

    def run(self, number: int) -> None:
        """Run a cell and wait until it is done."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        prompt = self.cell(number).locator(".jp-InputPrompt")
        done = re.compile(r"\[\d+\]")
        sync_api.expect(prompt).to_have_text(done, timeout=90_000)

    def panel(self, number: int):
        panel = self.cell(number).locator(".symgraph")
        panel.wait_for(timeout=60_000)
        return panel

    def output(self, number: int) -> str:
        return self.cell(number).locator(".jp-OutputArea-output").last.inner_text()


def reveal(panel, operation: str):
    """Bring an operation into view by searching it."""
    panel.locator("input").fill(f"op:{operation}")
    panel.locator("input").press("Enter")
    panel.locator("input").fill("")
    shape = '[data-sg-shape="operation"]'
    return panel.locator(shape, has_text=operation).first


def state(panel) -> dict:
    return panel.evaluate("root => root.symgraph.state()")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    made = tmp_path_factory.mktemp("lab")
    write_notebook(made / "notebooks/model.ipynb", [SET_UP, MODEL, REPORT, LARGE])
    return made


@pytest.fixture(scope="module")
def address(folder):
    """Where the server shows a notebook; ``%s`` stands for its name."""
    server, found = start_lab(folder)
    yield found
    stop_lab(server)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        yield made
        made.close()


@pytest.fixture(scope="module")
def lab(address, browser):
    """A notebook whose model has been run."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    notebook = Notebook(page, address % "model.ipynb")
    notebook.run(0)
    notebook.run(1)
    return notebook


def test_the_panel_shows_the_compiled_function(lab):
    found = state(lab.panel(1))

    assert (found["target"], found["variant"]) == ("train", "after")
    assert found["graphs"][0]["boxes"] > 10


def test_only_the_live_view_is_shown_not_the_static_figure(lab):
    lab.panel(1)

    assert lab.cell(1).locator(".symgraph-static").count() == 1
    assert not lab.cell(1).locator(".symgraph-static").is_visible()


def test_the_kernel_reports_the_node_that_was_clicked(lab):
    panel = lab.panel(1)
    node = reveal(panel, "gemm")
    key = node.get_attribute("data-sg-key")

    node.click()
    lab.run(2)

    selection, operations = json.loads(lab.output(2))
    assert selection == [key]
    assert "Gemm" in operations[0]
    assert panel.locator(f'[data-sg-details="{key}"]').is_visible()


def test_selecting_before_lights_what_became_of_it(lab):
    panel = lab.panel(1)
    panel.locator('[data-sg-choice="both"]').click()

    reveal(panel, "log").click()

    found = state(panel)
    linked = found["graphs"][1]["linked"]
    assert found["variant"] == "both"
    assert len(linked) == 1
    lit = panel.locator('[data-sg-graph="after"] .sg-linked')
    assert "logsoftmax" in lit.first.text_content()
    panel.locator('[data-sg-choice="after"]').click()


def test_keys_walk_search_and_leave_without_touching_cells(lab):
    panel = lab.panel(1)
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    panel.focus()

    for key in ("/", *"op:dot", "Enter"):
        lab.page.keyboard.press(key)
    found = state(panel)
    lab.page.keyboard.press("Escape")
    for key in ("ArrowUp", "d", "d", "a", "a", "]", "[", "b", "b", "b"):
        lab.page.keyboard.press(key)

    assert found["selection"] == [found["hits"][0]]
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    lab.page.keyboard.press("Escape")
    lab.page.keyboard.press("Escape")
    assert not panel.evaluate("root => root.contains(document.activeElement)")


def test_rewrites_are_walked_through_forth_and_back(lab):
    panel = lab.panel(1)
    panel.locator('[data-sg-tab="steps"]').click()
    rows = panel.locator("[data-sg-step]").count()
    panel.focus()

    for _ in range(rows + 2):
        lab.page.keyboard.press("]")
    last = state(panel)["step"]
    for _ in range(rows - 1):
        lab.page.keyboard.press("[")

    assert last == rows
    assert state(panel)["step"] == 1
    panel.locator('[data-sg-tab="graph"]').click()


def test_five_thousand_nodes_pan_smoothly_and_search_fast(lab):
    lab.run(3)
    panel = lab.panel(3)

    frames = panel.evaluate(
        """async root => {
            const times = [];
            let last = performance.now();
            for (let i = 0; i < 60; i++) {
                root.dispatchEvent(new KeyboardEvent(
                    "keydown", { key: "ArrowDown", shiftKey: true, bubbles: true }));
                await new Promise(requestAnimationFrame);
                times.push(performance.now() - last);
                last = performance.now();
            }
            return times.sort((a, b) => a - b);
        }"""
    )
    panel.locator("input").fill("op:tanh")

    found = state(panel)
    assert found["graphs"][0]["renderer"] == "canvas"
    assert len(found["hits"]) == 2500
    # The goal is 33 ms; the bound leaves room for a machine with other work.
    assert frames[56] < 100


# --- notebooks that are opened again --------------------------------------------------

VISIBLE = """() => {
    const seen = selector => [...document.querySelectorAll(selector)]
        .filter(element => element.getClientRects().length).length;
    const words = [...document.querySelectorAll(".jp-OutputArea-output")]
        .filter(element => element.getClientRects().length)
        .map(element => element.innerText);
    return { figures: seen("figure"), panels: seen(".symgraph"), words };
}"""


@pytest.mark.parametrize(
    ("state", "trusted", "figures", "panels"),
    [(False, True, 1, 0), (True, True, 0, 1), (False, False, 1, 0)],
    ids=["trusted", "with state", "untrusted"],
)
def test_a_stored_notebook_shows_one_view(
    folder, address, browser, state, trusted, figures, panels
):
    nbclient = pytest.importorskip("nbclient")
    path = folder / "notebooks" / f"stored-{state}-{trusted}.ipynb"
    write_notebook(path, [SET_UP, MODEL])
    notebook = nbformat.read(path, 4)
    client = nbclient.NotebookClient(notebook, store_widget_state=state, timeout=120)
    client.execute()
    nbformat.write(notebook, path)
    if trusted:
        environment = os.environ | {"JUPYTER_DATA_DIR": str(folder / "DATA_DIR")}
        command = [sys.executable, "-m", "jupyter", "trust", str(path)]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address % path.name, wait_until="domcontentloaded")
    selector = ".symgraph" if panels else "figure"
    page.locator(selector).first.wait_for(timeout=90_000)
    page.wait_for_timeout(1000)
    found = page.evaluate(VISIBLE)
    page.close()

    assert (found["figures"], found["panels"]) == (figures, panels)
    assert not any("Error displaying" in words for words in found["words"])
