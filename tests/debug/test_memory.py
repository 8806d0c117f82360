"""What a call takes is what the plan says, and what the plan shares is counted once."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)


def test_values_that_share_memory_count_once():
    x = T.dmatrix("x")
    a = T.dot(x, x)
    b = T.dot(a, x)
    c = T.dot(b, x)

    found = wb.memory(wb.function([x], c.sum()), np.ones((50, 50)))

    assert found.workspace == 2 * 8 * 2500
    assert found.unshared - found.peak == 8 * 2500


def test_arguments_shared_variables_and_results_are_in_the_peak():
    x = T.dvector("x")
    w = wb.shared(np.ones(10), "w")

    found = wb.memory(wb.function([x], x + w), np.ones(10))

    assert found.peak == 3 * 80
    assert sorted(block.kind for block in found.blocks) == [
        "argument",
        "output",
        "shared",
    ]


def test_sizes_that_are_computed_are_known():
    x = T.dvector("x")

    found = wb.memory(wb.function([x], T.exp(x[x > 0]) * 2), np.array([1.0, -1, 2]))

    assert 16 in [block.nbytes for block in found.blocks if block.kind == "output"]


def test_it_prints_and_shows_the_same():
    x = T.dmatrix("x_<b>")

    found = wb.memory(wb.function([x], T.dot(x, x)), np.ones((100, 100)))

    assert "78.1 KiB" in str(found)
    assert "78.1 KiB" in found._repr_html_()
    assert "x_&lt;b&gt;" in found._repr_html_()


def test_a_function_without_a_plan_says_so():
    x = T.dvector("x")

    with pytest.raises(ValueError, match="FAST_RUN"):
        wb.memory(wb.function([x], x + 1, mode="None"), np.ones(3))
