"""Copies, replacements and equal graphs."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Constant, graph_inputs, toposort
from workbench.core.ops.mathematics import Sin
from workbench.core.replacing import structure

DEEP = 100_000


def chain(x):
    for _ in range(DEEP):
        x = Sin()(x)
    return x


def test_clone_copies_every_operation_and_keeps_the_inputs():
    x = T.vector("x")
    y = T.exp(x) + 1
    y.name = "y"

    copy = wb.clone(y)

    assert copy is not y and copy.owner is not y.owner
    assert graph_inputs([copy])[0] is x
    assert copy.name == "y"
    assert wb.equal_computations([copy], [y])


def test_clone_of_a_list_is_a_list():
    x, y = T.vectors("x", "y")

    copies = wb.clone([x + 1, x, x * 2], [(x, y)])

    assert isinstance(copies, list)
    assert copies[1] is y
    assert wb.explicit_graph_inputs(copies) == [y]


def test_replacements_happen_all_at_once():
    x, y = T.scalars("x", "y")

    for replaced in (
        wb.clone(x - 2 * y, {x: y, y: x}),
        wb.graph_replace(x - 2 * y, {x: y, y: x}),
    ):
        assert replaced.eval({x: 1.0, y: 5.0}) == 3.0


def test_what_is_put_in_is_not_searched():
    x = T.scalar("x")

    assert wb.clone(x * 2, {x: x + 1}).eval({x: 1.0}) == 4.0


def test_an_intermediate_variable_is_replaced():
    x, z = T.scalars("x", "z")
    y = T.exp(x)

    assert graph_inputs([wb.clone(T.log(y), {y: z})]) == [z]


def test_numbers_become_constants_of_the_right_dtype():
    x = T.fvector("x")

    copy = wb.clone(x + 1, {x: [1.0, 2.0]})

    np.testing.assert_array_equal(copy.eval(), np.array([2, 3], "float32"))


def test_inputs_are_copied_when_not_shared():
    x, w = T.vector("x"), wb.shared(np.ones(2), "w")

    copy = wb.clone(x * w + 1, share_inputs=False)

    leaves = graph_inputs([copy])
    assert x not in leaves and w in leaves
    (own,) = wb.explicit_graph_inputs(copy)
    assert own.name == "x" and own.type == x.type


def test_graph_replace_shares_what_does_not_change():
    x, y, z = T.vectors("x", "y", "z")
    kept = T.exp(y)

    replaced = wb.graph_replace(T.sin(x) + kept, {x: z})

    assert replaced.owner.inputs[1] is kept


def test_graph_replace_names_what_is_not_used():
    x, y, z = T.vectors("x", "y", "z")

    with pytest.raises(ValueError, match="do not depend on y"):
        wb.graph_replace(T.sin(x), {y: z})

    assert wb.graph_replace([x + 1], {y: z}, strict=False)[0].owner.inputs[0] is x


@pytest.mark.parametrize(
    ("new", "error", "hint"),
    [
        (T.fvector("y"), DTypeError, "cast"),
        (T.matrix("y"), ShapeError, "as many axes"),
        (T.TensorType("float64", (4,))("y"), ShapeError, "same sizes"),
        (T.vector("y"), ShapeError, "specify_shape"),
    ],
    ids=["dtype", "rank", "size", "unknown size"],
)
def test_a_replacement_that_does_not_fit_shows_both_types(new, error, hint):
    x = T.TensorType("float64", (3,))("x")

    with pytest.raises(error) as caught:
        wb.clone(T.exp(x), {x: new})

    text = str(caught.value)
    assert str(x.type) in text and str(new.type) in text
    assert hint in text


def test_only_variables_are_replaced():
    with pytest.raises(TypeError, match="only variables"):
        wb.clone(T.exp(T.vector("x")), {"x": 1.0})


def test_less_may_be_known_of_a_shape_when_not_strict():
    x, y = T.TensorType("float64", (3,))("x"), T.vector("y")

    copy = wb.clone(T.exp(x), {x: y}, strict=False)

    assert copy.type.shape == (None,)
    assert copy.eval({y: np.zeros(5)}).shape == (5,)


def test_more_may_be_known_of_a_shape():
    x, y = T.vector("x"), T.TensorType("float64", (3,))("y")

    assert wb.clone(T.exp(x), {x: y}).type.shape == (3,)


def test_clone_replace_has_the_arguments_of_the_tradition():
    x, y = T.vector("x"), T.TensorType("float64", (3,))("y")

    made = wb.clone_replace([y + 1], {y: x}, rebuild_strict=False)

    assert wb.explicit_graph_inputs(made) == [x]


def test_equal_computations_of_the_same_inputs():
    x, y = T.vectors("x", "y")

    assert wb.equal_computations([T.exp(x) * 2, x], [T.exp(x) * 2, x])
    assert not wb.equal_computations([T.exp(x)], [T.exp(y)])
    assert not wb.equal_computations([x - y], [y - x])
    assert not wb.equal_computations([T.exp(x)], [T.sin(x)])
    assert not wb.equal_computations([x], [x, x])


def test_equal_computations_of_inputs_that_stand_for_each_other():
    x, y = T.vectors("x", "y")
    z = T.fvector("z")

    assert wb.equal_computations([T.exp(x)], [T.exp(y)], [x], [y])
    assert wb.equal_computations([x - y], [y - x], [x, y], [y, x])
    assert not wb.equal_computations([T.exp(x) + y], [T.exp(y) + x], [x], [y])
    assert not wb.equal_computations([x], [z], [x], [z])
    with pytest.raises(ValueError, match="in pairs"):
        wb.equal_computations([x], [y], [x], [])


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [(1.0, 1.0, True), (0.0, -0.0, False), (1, 1.0, False), ([1.0], 1.0, False)],
)
def test_constants_are_equal_in_every_bit(a, b, same):
    left, right = T.shape_padleft(T.constant(a)), T.shape_padleft(T.constant(b))

    assert wb.equal_computations([a], [b]) is same
    assert wb.equal_computations([left], [right]) is same


def test_parameters_of_ops_are_compared():
    x = T.matrix("x")

    assert wb.equal_computations([x.sum(0)], [x.sum(0)])
    assert not wb.equal_computations([x.sum(0)], [x.sum(1)])


def test_outputs_of_one_operation_are_told_apart():
    x = T.matrix("x")
    first, second = T.linalg.qr(x)

    assert wb.equal_computations([first, second], T.linalg.qr(x))
    assert not wb.equal_computations([first], [second])


def test_is_same_graph_with_variables_taken_for_each_other():
    x, y, z = T.vectors("x", "y", "z")

    assert wb.is_same_graph(x + z, x + z)
    assert not wb.is_same_graph(x + z, y + z)
    assert wb.is_same_graph(x + z, y + z, {x: y})
    assert wb.is_same_graph(x + z, y + z, [(x, y)])


def test_structures_are_equal_for_equal_graphs():
    x, y, w = *T.vectors("x", "y"), wb.shared(1.0)

    assert structure([x], [T.exp(x) + w]) == structure([y], [T.exp(y) + w])
    assert hash(structure([x], [x * 2])) == hash(structure([y], [y * 2]))
    assert structure([x], [x + w]) != structure([x], [x + wb.shared(1.0)])
    assert structure([x, y], [x - y]) != structure([x, y], [y - x])
    assert structure([x], [x]) != structure([x, y], [x])


def test_deep_graphs_meet_no_recursion_limit():
    x, z = T.scalars("x", "z")
    y = chain(x)

    copy, replaced = wb.clone(y, {x: z}), wb.graph_replace(y, {x: z})

    assert len(toposort([copy])) == len(toposort([replaced])) == DEEP
    assert wb.equal_computations([copy], [replaced])
    assert not wb.equal_computations([copy], [y])


def test_no_replacement_of_a_constant_is_lost():
    one = T.constant(1.0)
    assert isinstance(one, Constant)
    x, y = T.scalars("x", "y")

    assert wb.clone(x + one, {one: y}).eval({x: 1.0, y: 5.0}) == 6.0
