"""Errors in a cell are shown without the frames of the package."""

import pytest

from tests.magics.test_symgraph import run, shell  # noqa: F401
from workbench.config import config

MISTAKE = 'x, W = T.matrix("x"), wb.shared(np.zeros((5, 3)), "W")\nf = wb.function([x], T.dot(x, W))\nf(np.ones((2, 4)))'


def test_a_failing_call_shows_the_users_lines_only(shell, capsys):  # noqa: F811
    result = run(shell, MISTAKE)
    printed = capsys.readouterr().out

    assert type(result.error_in_exec).__name__ == "ShapeError"
    assert "dot(x, W): x has 4 columns but W has 5 rows." in printed
    assert "line 3" in printed
    assert "callable.py" not in printed
    assert printed.count("Traceback") == 1


def test_all_frames_are_shown_when_asked_for(shell, capsys):  # noqa: F811
    with config.change(traceback="full"):
        run(shell, MISTAKE)

    assert "callable.py" in capsys.readouterr().out


def test_other_errors_are_left_alone(shell, capsys):  # noqa: F811
    run(shell, "1 / 0")

    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["T.dot(T.zeros((2, 3)), T.zeros((4, 5)))", "wb.grad(T.vector('v'), [])"],
)
def test_a_mistake_while_building_shows_the_users_line_only(shell, capsys, text):  # noqa: F811
    run(shell, text)

    assert "ops/linalg.py" not in capsys.readouterr().out
