"""The line magics where an operation holds a graph."""

import pytest

InteractiveShell = pytest.importorskip("IPython").core.interactiveshell.InteractiveShell

from workbench.magics.extension import (
    load_ipython_extension,
    unload_ipython_extension,
)

CELL = """\
import workbench as wb
import workbench.tensor as T
A, k = T.vector("A"), T.iscalar("k")
powers, _ = wb.scan(lambda p, a: p * a, outputs_info=T.ones_like(A),
                    non_sequences=A, n_steps=k, name="power")
f = wb.function([A, k], powers[-1], name="f")
"""


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    load_ipython_extension(made)
    made.run_cell(CELL).raise_error()
    yield made
    unload_ipython_extension(made)
    InteractiveShell.clear_instance()


def test_symtree_shows_the_step_and_how_many_rows_are_kept(shell, capsys):
    shell.run_cell("%symtree f")

    text = capsys.readouterr().out
    assert "scan{power, keeps 1 of n}" in text
    assert "→ mul" in text


def test_symtree_leaves_out_inner_graphs(shell, capsys):
    shell.run_cell("%symtree f --no-inner")

    assert "Inner graphs" not in capsys.readouterr().out


def test_symdot_draws_the_step_when_asked(shell):
    shell.run_cell("plain = %symdot f\nwhole = %symdot f --scan")

    assert "cluster" not in shell.user_ns["plain"].dot
    assert "cluster" in shell.user_ns["whole"].dot


def test_symcode_shows_a_loop_with_its_step(shell, capsys):
    record = shell.user_ns["f"].compilation
    if record.source is None:
        pytest.skip("no C compiler")
    (loop,) = [kernel for kernel in record.kernels if kernel.kind == "loop"]

    shell.run_cell(f"%symcode f --kernel {loop.name}")

    text = capsys.readouterr().out
    assert text.startswith("static int")
    assert "mul" in text and f"static int {loop.name}(" in text
    assert "static int prepare(" not in text


def test_symshow_selects_a_node_of_the_step(shell):
    pytest.importorskip("anywidget")
    shell.run_cell("panel = %symshow f")
    panel = shell.user_ns["panel"]
    keys = [
        node["key"]
        for node in panel.facts[0]["graphs"][-1]["nodes"]
        if "inside" in node and node["label"] == "mul"
    ]

    panel.select(keys[0])

    assert [v.owner.op.name for v in panel.selected] == ["mul"]
