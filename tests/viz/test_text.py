import sys

import pytest

import workbench.tensor as T
from tests.viz.models import chain, compiled, logistic
from workbench.core.printing import TreeOptions, plain, pp, tree
from workbench.viz.text import debugprint, panel_text


def text(obj, **options) -> str:
    return debugprint(obj, file="str", **options)


def test_tree_shows_leaves_with_what_they_are():
    lines = text(logistic()).splitlines()

    assert any("x [id" in line and "input float64 matrix" in line for line in lines)
    assert any("shared float64 (784, 10)" in line for line in lines)
    assert any("constant float64" in line for line in lines)


def test_an_operation_read_twice_is_shown_once_and_then_referred_to():
    x = T.vector("x")
    h = T.exp(x)

    lines = text(h * h).splitlines()

    assert [line.split("#")[0].strip() for line in lines] == [
        "mul [id A]",
        "├ exp [id B]",
        "│ └ x [id C]      input float64 vector",
        "└ exp [id B] ···",
    ]


def test_order_of_execution_rises_from_operand_to_result():
    x = T.vector("x")

    lines = text(T.exp(T.tanh(x)), ids="").splitlines()

    assert "#1" in lines[0] and "#0" in lines[1]


def test_every_line_says_its_type_when_asked():
    lines = text(T.exp(T.vector("x")), print_type=True).splitlines()

    assert all("float64 vector" in line for line in lines)


def test_depth_and_names_stop_the_tree():
    x = T.vector("x")
    h = T.exp(x)
    h.name = "h"
    cost = T.tanh(h).sum()

    assert len(text(cost, depth=1).splitlines()) == 2
    assert len(text(cost, stop_on_name=True).splitlines()) == 3
    assert len(text(cost).splitlines()) == 4


def test_updates_follow_the_outputs():
    found = text(logistic())

    assert found.index("neg") < found.index("W ←") < found.index("b ←")


def test_a_gradient_node_names_its_forward_node():
    assert "∂ of dot, line " in text(logistic())


def test_a_compiled_target_shows_in_place_and_before_on_request():
    assert "tanh" in text(compiled())
    assert "!in-place on tanh" in text(compiled())
    assert "exp" in text(compiled(), before=True)
    assert "!in-place" not in text(compiled(), before=True)


def test_the_users_line_stands_beside_the_operation():
    h = T.exp(T.vector("x"))  # this very line

    assert "test_text.py" in text(h)
    assert "# this very line" in text(h)


def test_wrong_kind_of_ids_is_refused():
    with pytest.raises(ValueError, match="ids must be"):
        TreeOptions(ids="letters")


def test_debugprint_prints_to_a_file_and_to_standard_output(capsys):
    x = T.vector("x")

    assert debugprint(x) is None
    assert debugprint(x, file=sys.stderr) is None

    captured = capsys.readouterr()
    assert captured.out == captured.err == "x [id A]  input float64 vector\n"


def test_a_long_chain_is_printed_without_recursion_in_linear_space():
    end = chain(20_000)

    found = tree([("", end)])

    assert found.count("\n") == 20_000
    assert len(found) < 200 * 20_000


def test_a_long_chain_has_a_formula():
    assert pp(chain(5_000)).endswith("…" + ")" * pp(chain(5_000)).count("("))


@pytest.mark.parametrize(
    ("build", "formula"),
    [
        (lambda x, y: (x + y) * 2, "(x + y) * 2.0"),
        (lambda x, y: x + y * 2, "x + y * 2.0"),
        (lambda x, y: x - (y - x), "x - (y - x)"),
        (lambda x, y: -(x**2), "-x ** 2.0"),
        (lambda x, y: (-x) ** 2, "(-x) ** 2.0"),
        (lambda x, y: x / (y / x), "x / (y / x)"),
        (lambda x, y: T.exp(x).sum(), "sum(exp(x), axis=0)"),
        (lambda x, y: x[1], "x[1]"),
        (lambda x, y: (x < y) & (y > 0), "(x < y) & (y > 0.0)"),
    ],
)
def test_formula_has_the_brackets_it_needs_and_no_more(build, formula):
    assert pp(build(T.vector("x"), T.vector("y"))) == formula


def test_the_panel_starts_with_figures_and_leaves():
    head, leaves, *_ = panel_text(logistic()).splitlines()

    assert head.startswith("graph  43 nodes")
    assert "inputs  x float64 matrix, y int64 vector" in leaves
    assert "shared  W (784, 10), b (10,)" in leaves
    assert leaves.endswith("updates  W, b")


def test_plain_text_moves_no_cursor():
    assert plain("a\u202eb\0c\nd\x1b[31m") == "a\\u202eb\\x00c\\nd\\x1b[31m"
    assert plain("θ̂ → ŷ") == "θ̂ → ŷ"
