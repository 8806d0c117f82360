"""A grid of convolutions against plain loops: results, gradients, gradients of gradients.

Every change runs some of the cells, chosen evenly; the night runs all.
"""

import numpy as np
import pytest

from tests import conv_grid
from tests.conv_grid import ALTERNATELY, CHOICES, TOGETHER, Kernels, cells, run_cells
from workbench.compile.c.toolchain import find_compiler

needs_compiler = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)


def groups(every):
    chosen = cells(every)
    return [chosen[i : i + TOGETHER] for i in range(0, len(chosen), TOGETHER)]


def check(group, mode):
    wrong = run_cells(group, mode)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("group", groups(53), ids=len)
def test_convolutions_agree_with_loops(group):
    check(group, "FAST_COMPILE")


@needs_compiler
@pytest.mark.parametrize("group", groups(197), ids=len)
def test_compiled_convolutions_agree_with_loops(group):
    check(group, "FAST_RUN")


@needs_compiler
def test_kernels_agree_with_loops_and_do_not_depend_on_threads():
    kernels = Kernels()

    wrong = [
        w for seed, cell in enumerate(cells(19)) for w in kernels.wrong(cell, seed)
    ]

    assert not wrong, "\n".join(wrong)


@pytest.mark.nightly
@pytest.mark.parametrize("group", groups(1), ids=len)
def test_all_convolutions_agree_with_loops(group):
    check(group, "FAST_COMPILE")


@needs_compiler
@pytest.mark.nightly
@pytest.mark.parametrize("group", groups(5), ids=len)
def test_many_compiled_convolutions_agree_with_loops(group):
    check(group, "FAST_RUN")


@needs_compiler
@pytest.mark.nightly
def test_all_kernels_agree_with_loops_and_do_not_depend_on_threads():
    kernels = Kernels()

    wrong = [w for seed, cell in enumerate(cells()) for w in kernels.wrong(cell, seed)]

    assert not wrong, "\n".join(wrong)


# --- the grid itself --------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 19, 53])
def test_the_grid_is_large_and_has_every_choice(every):
    grid = cells(every)

    assert len(grid) * every >= 2000
    for field, values in {**CHOICES, **ALTERNATELY}.items():
        assert {getattr(cell, field) for cell in grid} == set(values)


def test_a_wrong_result_and_a_wrong_gradient_are_found(monkeypatch):
    cell = cells()[0]
    right = conv_grid.direct

    def other(cell, x, w, y):
        results, images, filters = right(cell, x, w, y)
        return results + 1e-3, images, filters * (1 + 1e-3)

    monkeypatch.setattr(conv_grid, "direct", other)
    wrong = run_cells([cell], "FAST_COMPILE", deep=False)

    assert [w.split(": ")[1] for w in wrong] == ["result", "by w"]


def test_the_loops_are_those_of_scipy():
    from scipy import signal

    cell = conv_grid.Cell(
        2, "float64", (3, 2, 2), "valid", 1, 1, 1, True, 2, True, "rows"
    )
    x, w, y, *_ = conv_grid.draw(cell, 0)

    found, *_ = conv_grid.direct(cell, x, w, y)

    for n, o in np.ndindex(*found.shape[:2]):
        each = [
            signal.convolve2d(a, b, "valid") for a, b in zip(x[n], w[o], strict=True)
        ]
        np.testing.assert_allclose(found[n, o], sum(each), rtol=1e-12)
