"""A grid of loops against a loop in Python: values, sizes, dtypes, updates and gradients.

Every change runs a few of the cells, chosen evenly; the night runs all.
"""

from dataclasses import replace

import pytest

from tests import scan_grid
from tests.scan_grid import CHOICES, Cell, cells, groups, run_group
from workbench.compile.c.toolchain import find_compiler

QUICK = list(groups(cells(97)))
COMPILED = list(groups(cells(499)))
NIGHTLY = list(groups(cells()))


def check(group, mode):
    if mode == "FAST_RUN" and find_compiler() is None:
        pytest.skip("there is no C compiler")

    wrong = run_group(group, mode)

    assert not wrong, "\n".join(wrong)


def name(group):
    return f"{group[0].steps} steps, {len(group)} cells"


@pytest.mark.parametrize("group", QUICK, ids=name)
def test_loops_agree_with_a_loop_in_python(group):
    check(group, "FAST_COMPILE")


@pytest.mark.parametrize("group", COMPILED, ids=name)
def test_compiled_loops_agree_with_a_loop_in_python(group):
    check(group, "FAST_RUN")


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("group", NIGHTLY, ids=name)
def test_all_loops_agree_with_a_loop_in_python(group, mode):
    check(group, mode)


LIKE = Cell(2, (-1,), 0, "never", False, False, False, False, "all")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LIKE, replace(LIKE, used="last")),
        (replace(LIKE, until="no condition"), replace(LIKE, steps=2, truncated=True)),
        (replace(LIKE, nested=True), replace(LIKE, nested=True, used="last")),
    ],
)
def test_loops_that_are_alike_are_told_apart(one, other):
    assert run_group([one, other], "FAST_COMPILE") == []


def test_the_number_of_steps_is_read_before_its_memory_is_taken_over():
    # The last row of a loop with a condition: sizes follow from the steps made, and from
    # one more than that, which may be written in the same place.
    check([replace(LIKE, sequences=1, truncated=True, used="last")], "FAST_RUN")


# --- the grid itself --------------------------------------------------------------------


def test_the_grid_is_large_and_every_choice_meets_every_other():
    grid = cells()

    assert len(grid) >= 1200
    for part in (grid, cells(97)):
        for field, values in CHOICES.items():
            assert {getattr(cell, field) for cell in part} == set(values)


def test_a_wrong_value_and_a_wrong_gradient_are_found(monkeypatch):
    cell = Cell(2, (-1,), 1, "no condition", False, False, False, False, "all")
    right = scan_grid.run_python

    def a_little_off(cell, given):
        ran = right(cell, given)
        ran.outputs[1] = ran.outputs[1] * (1 + 1e-6)
        return ran

    before = run_group([cell], "FAST_COMPILE")
    monkeypatch.setattr(scan_grid, "run_python", a_little_off)
    wrong = run_group([cell], "FAST_COMPILE")

    assert before == []
    assert [text.split(": ")[1] for text in wrong] == [
        "result 1",
        "gradient by x0",
        "gradient by w",
        "gradient by h",
    ]
