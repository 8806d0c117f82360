"""Walks under their familiar names."""

import workbench as wb
import workbench.tensor as T
from workbench.core.graph import toposort
from workbench.core.walks import depends_on


def example():
    x, w = T.vector("x"), wb.shared(2.0, "w")
    h = w * x
    return x, w, h, T.exp(h) + 1


def test_operations_between_inputs_and_outputs():
    x, _, h, y = example()

    assert wb.io_toposort([x], [y]) == toposort([y])
    assert wb.applys_between([h], y) == toposort([y], [h])
    assert wb.io_toposort(h, h) == []


def test_variables_between_inputs_and_outputs():
    x, _, h, y = example()

    found = wb.vars_between([h], [y])

    assert h in found and y in found and x not in found


def test_leaves_beside_the_inputs():
    x, w, _, y = example()

    orphans = wb.orphans_between([x], [y])

    assert w in orphans and x not in orphans and len(orphans) == 2


def test_leaves_that_need_a_value():
    x, w, _, y = example()

    assert wb.explicit_graph_inputs([y, w]) == [x]
    assert wb.explicit_graph_inputs(w) == []


def test_what_suffices_to_compute_an_output():
    x, _, h, y = example()

    assert wb.truncated_graph_inputs([y], [h])[0] is h
    assert x not in wb.truncated_graph_inputs([y], [h])
    assert x in wb.truncated_graph_inputs([y + x], [h])


def test_dependence_on_variables():
    x, _, h, y = example()

    assert depends_on(y, x) and depends_on(y, [h]) and depends_on(y, y)
    assert not depends_on(h, [y, T.vector()])
