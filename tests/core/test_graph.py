"""Walks over graphs, however deep; and what variables themselves do."""

import sys

import numpy as np
import pytest

import workbench.tensor as T
from workbench.core.errors import DTypeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import (
    Constant,
    Variable,
    ancestors,
    as_variable,
    clients,
    clone,
    graph_inputs,
    path_between,
    toposort,
)
from workbench.core.ops.elementwise import Maximum
from workbench.core.ops.mathematics import Sin

DEEP = 100_000


@pytest.fixture(scope="module")
def chain():
    x = T.scalar("x")
    y = x
    for _ in range(DEEP):
        y = Sin()(y)
    return x, y


@pytest.fixture(scope="module")
def diamonds():
    """2^100,000 ways from x to y."""
    x = T.scalar("x")
    y = x
    for _ in range(DEEP):
        y = Maximum()(y, y)
    return x, y


@pytest.mark.parametrize("graph", ["chain", "diamonds"])
def test_walks_meet_no_recursion_limit(graph, request):
    x, y = request.getfixturevalue(graph)
    assert sys.getrecursionlimit() <= 1000

    assert len(toposort([y])) == DEEP
    assert graph_inputs([y]) == [x]
    assert len(ancestors([y])) == DEEP + 1
    assert len(clients([y])) == DEEP


def test_copy_of_a_deep_graph(chain):
    x, y = chain
    z = T.scalar("z")

    (copy,) = clone([y], {x: z})

    assert graph_inputs([copy]) == [z]
    assert graph_inputs([y]) == [x]
    assert copy.owner.op == y.owner.op
    del copy  # A deallocator that recursed would end the process here.


def test_way_through_a_deep_graph(chain):
    x, y = chain

    way = path_between(x, y, lambda node, i: True)

    assert way == toposort([y])


def test_value_of_a_deep_graph(diamonds):
    x, y = diamonds

    (got,) = evaluate([y], {x: 2.5})

    assert got == 2.5


def test_order_has_every_node_once_and_after_its_inputs():
    x, y = T.scalars("x", "y")
    a = x + y
    b = a * x
    c = T.exp(a) + b

    order = toposort([c, b])

    assert len(order) == len(set(order)) == 4
    for node in order:
        for variable in node.inputs:
            assert variable.owner is None or order.index(variable.owner) < order.index(
                node
            )


def test_order_stops_at_inputs():
    x = T.scalar("x")
    y = T.exp(x)
    z = T.log(y)

    assert toposort([z], [y]) == [z.owner]
    assert graph_inputs([z], [y]) == [y]
    assert toposort([y], [y]) == []


def test_order_depends_on_the_graph_alone():
    x = T.matrix("x")
    outputs = [T.sum(T.exp(x) * T.tanh(x)), T.exp(x)]

    assert [str(n.op) for n in toposort(outputs)] == [
        "exp",
        "tanh",
        "mul",
        "sum{axis=0, 1}",
        "exp",
    ]


def test_leaves_come_in_order_of_first_use_with_constants_and_shared():
    x, y = T.scalars("x", "y")

    found = graph_inputs([y * 2, x])

    assert found[0] is y and isinstance(found[1], Constant) and found[2] is x


def test_copy_shares_what_does_not_depend_on_the_replaced():
    x, y, z = T.scalars("x", "y", "z")
    kept = T.exp(y)
    out = T.sin(x) + kept

    (copy,) = clone([out], {x: z})

    assert copy is not out
    assert copy.owner.inputs[1] is kept
    assert evaluate([copy], {z: 0.5, y: 1}) == evaluate([out], {x: 0.5, y: 1})


def test_replacements_happen_at_once():
    x, y = T.scalars("x", "y")

    (swapped,) = clone([x - y], {x: y, y: x})

    assert evaluate([swapped], {x: 1, y: 10}) == [9]


def test_copy_keeps_names_and_origins():
    x, z = T.scalars("x", "z")
    y = T.exp(x)
    y.name = "y"

    (copy,) = clone([y], {x: z})

    assert copy.name == "y"
    assert copy.location == y.location


def test_an_intermediate_variable_can_be_replaced():
    x, z = T.scalars("x", "z")
    y = T.exp(x)

    (copy,) = clone([T.log(y)], {y: z})

    assert graph_inputs([copy]) == [z]


def test_a_way_may_be_barred():
    x = T.scalar("x")
    y = T.exp(T.floor(x))

    assert [str(n.op) for n in path_between(x, y, lambda node, i: True)] == [
        "floor",
        "exp",
    ]
    assert path_between(x, y, lambda node, i: str(node.op) != "floor") == []


# --- variables ------------------------------------------------------------------------


def test_equality_of_variables_is_identity():
    x, y = T.scalars("x", "y")

    assert x == x and x != y and len({x, y}) == 2
    assert y in [x, y]


def test_a_variable_has_no_truth_value():
    with pytest.raises(TypeError, match=r"T\.switch"):
        bool(T.scalar("x") > 0)


def test_length_is_known_only_when_declared():
    assert len(T.tensor("float64", (3, None))) == 3
    with pytest.raises(TypeError, match=r"\.shape\[0\]"):
        len(T.vector("x"))


def test_a_variable_of_known_length_can_be_unpacked():
    x = T.tensor("float64", (2,), "x")

    a, b = x

    assert evaluate([a, b], {x: [1.0, 2.0]}) == [1, 2]
    with pytest.raises(TypeError):
        a, b = T.vector("x")


@pytest.mark.parametrize(
    "left", [np.float64(2), np.array([1.0, 2.0]), 2, 2.0, [1.0, 2.0]]
)
def test_numbers_and_arrays_on_the_left_leave_the_operation_to_the_variable(left):
    x = T.vector("x")
    value = np.array([3.0, 5.0])

    for output, expected in [
        (left + x, left + value),
        (left - x, left - value),
        (left * x, left * value),
        (left / x, left / value),
        (left // x, left // value),
        (left % x, left % value),
        (left**x, left**value),
        (left < x, left < value),
        (left >= x, left >= value),
    ]:
        assert isinstance(output, Variable)
        (got,) = evaluate([output], {x: value})
        np.testing.assert_allclose(got, expected)


def test_a_constant_is_a_copy_that_cannot_be_written():
    array = np.array([1.0, 2.0])
    constant = as_variable(array)

    array[0] = 5

    assert constant.data[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        constant.data[0] = 5


def test_a_constant_of_foreign_byte_order_is_native():
    constant = as_variable(np.array([1.0, 2.0], ">f8"))

    assert constant.dtype == "float64"
    assert constant.data.dtype.isnative
    assert constant.data[1] == 2


def test_constants_merge_by_every_bit():
    def same(a, b):
        return as_variable(a).signature() == as_variable(b).signature()

    assert same(np.float64(1), 1.0)
    assert same(np.nan, np.nan)
    assert not same(0.0, -0.0)
    assert not same(np.float32(1), 1.0)
    assert not same(np.zeros((2, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize(
    "value", [None, "text", object(), [1, "a"], [[1], [1, 2]], np.datetime64("2020")]
)
def test_what_is_no_array_of_numbers_cannot_become_a_constant(value):
    with pytest.raises(DTypeError, match="cannot become a constant"):
        as_variable(value)


def test_a_list_of_variables_is_refused_with_a_hint():
    with pytest.raises(DTypeError, match=r"T\.stack"):
        as_variable([T.scalar("x"), T.scalar("y")])


def test_labels_say_how_a_variable_is_made():
    x, W = T.matrices("x", "W")

    assert x.label() == "x"
    assert T.dot(x, W).label() == "dot(x, W)"
    assert (T.exp(x) * 2).label() == "mul(…, …)"
    assert repr(x) == "<x: float64 matrix>"


def test_walks_take_one_variable_or_several():
    x = T.TensorType("float64", (2,))("x")  # its length is known: it could be iterated
    y = T.exp(x)

    assert toposort(y) == toposort([y]) == [y.owner]
    assert graph_inputs(y) == [x]
    assert ancestors(y) == [x, y]
