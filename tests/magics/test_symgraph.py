"""The cell magic and the line magics, in a shell without a browser."""

import base64
import re

import pytest

InteractiveShell = pytest.importorskip("IPython").core.interactiveshell.InteractiveShell

from workbench.compile import callable as callables
from workbench.config import config
from workbench.magics.extension import (
    load_ipython_extension,
    unload_ipython_extension,
)

SET_UP = """\
import numpy as np
import workbench as wb
import workbench.tensor as T
"""


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    load_ipython_extension(made)
    made.run_cell(SET_UP)
    yield made
    unload_ipython_extension(made)
    InteractiveShell.clear_instance()


def run(shell, text: str):
    return shell.run_cell(text, store_history=True)


def lines_of(panel) -> list[str]:
    found = panel.facts[0]
    nodes = found["graphs"][0]["nodes"]
    return [
        found["lines"][n["line"]]["place"] for n in nodes if n["kind"] == "operation"
    ]


# --- the cell ------------------------------------------------------------------------


def test_the_body_runs_as_an_ordinary_cell(shell, capsys):
    number = shell.execution_count
    result = run(
        shell,
        "%%symgraph\n"
        "%precision 3\n"
        "import asyncio\n"
        "await asyncio.sleep(0)\n"
        'x = T.vector("x")\n'
        "h = T.tanh(x)\n"
        "e = T.exp(h)\n"
        "40 + 2\n",
    )

    output = capsys.readouterr().out
    assert result.success and result.result == 42
    assert output.count("42") == 1
    assert output.index("42") < output.index("graph  2 nodes")
    places = [f"In [{number}] line {line}" for line in (6, 7)]
    assert lines_of(shell.user_ns["_sym"]) == places


def test_an_error_is_shown_once_and_stays_an_error(shell, capsys):
    result = run(
        shell,
        '%%symgraph\na = T.exp(T.vector("v"))\nb = T.tanh(a) + undefined\nc = b + 1\n',
    )

    output = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert isinstance(result.error_in_exec, NameError)
    assert output.count("NameError: name 'undefined' is not defined") == 1
    assert output.count("stopped at line 3: NameError") == 1
    assert shell.user_ns["_sym"].note == "stopped at line 3: NameError"
    assert "exp" in shell.user_ns["_sym"].to_text()
    assert "c" not in shell.user_ns


def test_a_syntax_error_shows_no_panel(shell):
    run(shell, '%%symgraph --quiet\na = T.exp(T.vector("v"))')
    panel = shell.user_ns["_sym"]

    result = run(shell, "%%symgraph\na = = 1")

    assert isinstance(result.error_before_exec, SyntaxError)
    assert shell.user_ns["_sym"] is panel


def test_future_imports_and_comments_may_come_first(shell):
    result = run(shell, "%%symgraph --quiet\nfrom __future__ import annotations\nx = 1")

    assert result.success


def test_each_function_made_in_the_cell_gets_a_tab(shell):
    run(
        shell,
        "%%symgraph --quiet --mode fast_compile\n"
        'x = T.vector("x")\n'
        "double = wb.function([x], x * 2, name='double')\n"
        "square = wb.function([x], x ** 2, name='square')\n",
    )

    panel = shell.user_ns["_sym"]
    assert [target.name for target in panel.targets] == ["double", "square"]


def test_names_of_the_cell_are_shown(shell):
    run(
        shell,
        '%%symgraph --quiet\nx = T.vector("x")\nhidden = T.tanh(x)\ny = hidden * 2',
    )

    nodes = shell.user_ns["_sym"].facts[0]["graphs"][0]["nodes"]
    names = {name for node in nodes for name, _ in node["outputs"]}
    assert {"x", "hidden", "y"} <= names


def test_the_mode_holds_during_the_cell_only(shell):
    before = config.mode

    run(shell, "%%symgraph --quiet --mode fast_compile\nseen = wb.config.mode")

    assert shell.user_ns["seen"] == "FAST_COMPILE"
    assert config.mode == before


def test_the_mode_is_put_back_after_an_error(shell, capsys):
    before = config.mode

    run(shell, "%%symgraph --quiet --mode none\n1 / 0")

    assert config.mode == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--mod none", "unknown option --mod; did you mean --mode?"),
        ("--mode fastrun", "--mode cannot be fastrun; did you mean fast_run?"),
        ("--mode", "--mode needs a value"),
        ("one two", "one NAME, not 2"),
    ],
)
def test_wrong_use_fails_the_cell_and_names_the_nearest_option(
    shell, capsys, line, words
):
    result = run(shell, f"%%symgraph {line}\nran = True")

    assert not result.success
    assert "ran" not in shell.user_ns
    captured = capsys.readouterr()
    assert words in captured.err + captured.out
    assert "Traceback" not in captured.err + captured.out


def test_a_named_panel_keeps_its_selection_when_its_cell_runs_again(shell):
    cell = '%%symgraph mine --quiet\nx = T.vector("x")\ny = T.exp(x)'
    run(shell, cell)
    chosen = shell.user_ns["_sym"].select("y")

    run(shell, cell)

    assert shell.user_ns["_sym"].selection == chosen


def test_below_another_cell_magic_it_works_and_says_so(shell, capsys):
    result = run(shell, '%%capture cap\n%%symgraph\nz = T.exp(T.vector("z"))\n7')

    assert result.success
    assert "lines are counted from the one below" in shell.user_ns["cap"].stdout


def test_a_cell_that_builds_nothing_says_so(shell, capsys):
    run(shell, "%%symgraph\n1 + 1")

    assert "no symbolic value got a name" in capsys.readouterr().out


def test_help_is_registered_and_short(shell):
    text = shell.find_cell_magic("symgraph").__doc__

    assert "--mode" in text and "Examples" in text
    assert text.count("\n") <= 40


# --- loading -------------------------------------------------------------------------


def test_loading_twice_leaves_no_duplicates(shell):
    transformers = len(shell.input_transformers_cleanup)
    hooks = len(callables.on_created)

    load_ipython_extension(shell)

    assert len(shell.input_transformers_cleanup) == transformers
    assert len(callables.on_created) == hooks


def test_unloading_takes_everything_away(shell):
    unload_ipython_extension(shell)

    assert shell.find_cell_magic("symgraph") is None
    assert shell.find_line_magic("symtree") is None
    assert not run(shell, "%%symgraph\n1").success


def test_reset_forgets_panels(shell):
    run(shell, '%%symgraph mine --quiet\ny = T.exp(T.vector("x"))')

    run(shell, "%reset -f")
    run(shell, SET_UP)
    run(shell, '%%symgraph mine --quiet\ny = T.exp(T.vector("x"))')

    assert "_sym" in shell.user_ns


def test_nothing_of_a_finished_cell_is_left_listening(shell):
    hooks = len(callables.on_created)

    run(shell, "%%symgraph --quiet\n1 / 0")

    assert len(callables.on_created) == hooks


# --- line magics ---------------------------------------------------------------------


@pytest.fixture
def train(shell):
    run(
        shell,
        "%%symgraph --quiet --mode fast_compile\n"
        'x = T.vector("x")\n'
        "f = wb.function([x], T.exp(x) + T.exp(x), name='f')\n",
    )
    return shell


def test_symtree_prints_the_tree(train, capsys):
    train.run_cell("%symtree f --types")

    assert "exp" in capsys.readouterr().out


def test_symtree_shows_the_latest_panel_without_a_target(train, capsys):
    train.run_cell("%symtree --before")

    assert capsys.readouterr().out.count("exp") >= 2


def test_symsteps_lists_rewrites_and_their_reason(train, capsys):
    train.run_cell("%symsteps f --rule merge")
    train.run_cell("%symsteps f --at 1")

    output = capsys.readouterr().out
    assert "merge" in output and "1 of" in output


def test_symcode_says_when_there_is_none(train, capsys):
    train.run_cell("%symcode f")

    assert "runs in NumPy" in capsys.readouterr().out


def test_symdot_saves_a_picture(train, tmp_path):
    train.run_cell(f"picture = %symdot f --out {tmp_path}/f.dot")

    assert (tmp_path / "f.dot").read_text().startswith("//")


def test_symshow_returns_a_panel_and_keeps_it(train):
    result = train.run_cell("panel = %symshow f --before --view text")

    assert result.success
    assert train.user_ns["panel"] is train.user_ns["_sym"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%symtree g", "there is no g here"),
        ("%symshow f --stp 1", "did you mean --step?"),
        ("%symtree f --depth many", "--depth must be a whole number, not many"),
        ("%symsteps x", "is a graph, not yet compiled"),
        ("%symshow f --select nobody", "no node of this panel is 'nobody'"),
        ("%symtree 3", "can be shown, not int"),
        ("%symdot f --out f.pdf", "svg, png, dot, not 'pdf'"),
    ],
)
def test_wrong_use_of_a_line_magic_is_one_line(train, capsys, line, words):
    result = train.run_cell(line)

    captured = capsys.readouterr()
    assert not result.success
    assert words in captured.err + captured.out
    assert "Traceback" not in captured.err + captured.out


# --- a notebook without a browser -----------------------------------------------------


CELL = """\
%%symgraph model
x = T.vector("x")
h = T.tanh(x)
cost = (h ** 2).sum()
"""


@pytest.fixture(scope="module")
def notebook():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("anywidget")
    texts = ["%load_ext workbench\n" + SET_UP, CELL, "%%symgraph\n1 / 0", "after = 1"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(t) for t in texts])
    client = nbclient.NotebookClient(made, store_widget_state=False, timeout=120)
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivision"):
        client.execute()
    return made


def test_a_notebook_stores_the_figure_and_then_the_widget(notebook):
    static, widget = notebook.cells[1].outputs

    assert set(static.data) == {"text/html", "image/svg+xml", "text/plain"}
    assert "application/vnd.jupyter.widget-view+json" in widget.data
    assert "run this cell" in widget.data["text/plain"]


def test_a_failing_cell_stops_the_notebook(notebook):
    errors = [out for out in notebook.cells[2].outputs if out.output_type == "error"]

    assert len(errors) == 1
    assert notebook.cells[3].execution_count is None


def test_exported_html_shows_the_picture_without_the_widget(notebook):
    nbconvert = pytest.importorskip("nbconvert")
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)

    image = re.search(r'alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert "from input x" in image[1]
    assert base64.b64decode(image[2]).decode().count("data-sg-key=") == 7
    assert "Error displaying widget" not in page
