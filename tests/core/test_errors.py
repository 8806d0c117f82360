"""The texts of errors: what happened, the line with carets, the inputs, a hint."""

import re

import numpy as np
import pytest

import workbench.tensor as T
from workbench.core.errors import MissingInputError, ShapeError
from workbench.core.evaluate import evaluate


def text_of(error):
    """The message with N for each digit of a line number, so that carets stay."""
    return re.sub(r"(?<=\.py:)\d+", lambda found: "N" * len(found[0]), str(error.value))


def test_product_of_arrays_that_do_not_fit():
    x, W = T.tensor("float64", (600, 784), "x"), T.tensor("float64", (748, 10), "W")

    with pytest.raises(ShapeError) as error:
        T.nnet.softmax(T.dot(x, W) + 1)

    expected = """\
dot(x, W): x has 784 columns but W has 748 rows.
  test_errors.py:NN │ T.nnet.softmax(T.dot(x, W) + 1)
                    │                ^^^^^^^^^^^
  input     name  type                shape       from
         0  x     float64 (600, 784)  (600, 784)  test_errors.py:NN  x, W = T.tensor("float64", (600, 784), "x"), T.tensor("float64", (748, 10), "W")
         1  W     float64 (748, 10)   (748, 10)   test_errors.py:NN  x, W = T.tensor("float64", (600, 784), "x"), T.tensor("float64", (748, 10), "W")
  hint   axis 1 of x must equal axis 0 of W. Transposing W, (10, 748), does not fit either."""
    assert text_of(error) == expected


def test_product_that_fails_when_run_names_the_line_that_made_it():
    x = T.matrix("x")
    W = T.matrix("W")
    y = T.dot(x, W)  # here

    with pytest.raises(ShapeError) as error:
        evaluate([y], {x: np.zeros((2, 3)), W: np.zeros((4, 3))})

    expected = """\
dot(x, W): x has 3 columns but W has 4 rows.
  test_errors.py:NN │ y = T.dot(x, W)  # here
                    │     ^^^^^^^^^^^
  input     name  type            shape   from
         0  x     float64 matrix  (2, 3)  test_errors.py:NN  x = T.matrix("x")
         1  W     float64 matrix  (4, 3)  test_errors.py:NN  W = T.matrix("W")
  hint   axis 1 of x must equal axis 0 of W. dot(x, W.T) would fit: its shape is (3, 4)."""
    assert text_of(error) == expected


def test_sizes_that_differ():
    x, y = T.tensor("float32", (3, 4), "x"), T.tensor("float32", (3, 5), "y")

    with pytest.raises(ShapeError) as error:
        T.exp(x) * (1 + x * y)

    expected = """\
mul(x, y): sizes 4 and 5 differ on axis 1.
  test_errors.py:NN │ T.exp(x) * (1 + x * y)
                    │                 ^^^^^
  input     name  type            shape   from
         0  x     float32 (3, 4)  (3, 4)  test_errors.py:NN  x, y = T.tensor("float32", (3, 4), "x"), T.tensor("float32", (3, 5), "y")
         1  y     float32 (3, 5)  (3, 5)  test_errors.py:NN  x, y = T.tensor("float32", (3, 4), "x"), T.tensor("float32", (3, 5), "y")
  hint   give both the same size, or add an axis with dimshuffle where one should broadcast."""
    assert text_of(error) == expected


def test_size_of_one_that_was_not_declared_does_not_stretch():
    x = T.matrix("x")
    b = T.matrix("b")
    y = x + b  # here

    with pytest.raises(ShapeError) as error:
        evaluate([y], {x: np.zeros((2, 3)), b: np.zeros((1, 3))})

    expected = """\
add(x, b): sizes 2 and 1 differ on axis 0.
  test_errors.py:NN │ y = x + b  # here
                    │     ^^^^^
  input     name  type            shape   from
         0  x     float64 matrix  (2, 3)  test_errors.py:NN  x = T.matrix("x")
         1  b     float64 matrix  (1, 3)  test_errors.py:NN  b = T.matrix("b")
  hint   to stretch the input of size 1, declare it: T.addbroadcast(v, 0), or shape=(…, 1, …)."""
    assert text_of(error) == expected


def test_the_cure_of_the_hint_works():
    x, b = T.matrix("x"), T.matrix("b")

    got = evaluate(
        [x + T.addbroadcast(b, 0)], {x: np.zeros((2, 3)), b: np.ones((1, 3))}
    )

    np.testing.assert_array_equal(got[0], np.ones((2, 3)))


def test_error_knows_its_node_inputs_and_line():
    x, y = T.vectors("x", "y")
    z = x * y

    with pytest.raises(ShapeError) as error:
        evaluate([z], {x: np.zeros(2), y: np.zeros(3)})

    assert error.value.node is z.owner
    assert [a.shape for a in error.value.inputs] == [(2,), (3,)]
    assert error.value.line.code == "z = x * y"
    assert isinstance(error.value, ValueError)


def test_line_of_a_gradient_is_where_it_was_asked_for():
    x, y = T.vectors("x", "y")
    cost = T.sum(x * y)

    gradient = T.grad(cost, x)  # asked here

    assert gradient.location.code == "gradient = T.grad(cost, x)  # asked here"
    assert (
        gradient.owner.origin.forward.outputs[0].location.code == "cost = T.sum(x * y)"
    )


def test_columns_are_counted_in_characters():
    x = T.vector("größe")
    äöü, y = x, ("→", T.exp(x) + x)[1]

    location = y.location

    assert location.text[location.column : location.end_column] == "T.exp(x) + x"
    assert äöü is x


def test_expression_over_several_lines_points_at_its_first():
    x = T.vector("x")

    y = T.exp(
        x
    )  # fmt: skip

    assert y.location.code == "y = T.exp("
    assert y.location.text[y.location.column :] == "T.exp("


def test_missing_value_names_the_variable():
    x, y = T.vector("x"), T.scalar("rate")

    with pytest.raises(
        MissingInputError, match="the value of rate: float64 scalar is needed"
    ):
        evaluate([x * y], {x: [1.0]})


def test_error_of_numpy_says_which_node_and_line():
    x = T.lvector("x")
    y = x**x  # the power

    with pytest.raises(ValueError, match="negative integer powers") as error:
        evaluate([y], {x: [-1]})

    assert any(
        "in pow" in note and "the power" in note for note in error.value.__notes__
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x, y: T.concatenate([x, y]), "rank"),
        (lambda x, y: T.concatenate([]), "at least one"),
        (lambda x, y: T.stack([x, y]), "ranks"),
        (lambda x, y: x.reshape((-1, -1)), "only one size may be -1"),
        (
            lambda x, y: T.reshape(T.zeros((2, 3)), (4, 2)),
            r"6 elements, which do not fill the shape \(4, 2\)",
        ),
        (lambda x, y: x.dimshuffle(0, 0), "twice"),
        (lambda x, y: y.dimshuffle(0), "leaves out axis 1"),
        (lambda x, y: x.dimshuffle(1), "out of range"),
        (lambda x, y: T.nnet.softmax(T.scalar()), "needs an axis"),
        (lambda x, y: T.broadcast_to(y, (3,)), "cannot stretch"),
        (lambda x, y: T.broadcast_to(T.zeros((2,)), (3,)), "cannot stretch axis 0"),
        (lambda x, y: T.zeros((3, -1)), "negative"),
        (lambda x, y: T.specify_shape(T.zeros((2,)), (3,)), "has size 2, not 3"),
        (lambda x, y: T.flatten(x, 2), "flatten to 2 axes"),
        (lambda x, y: T.arange(0, 5, 0), "step must not be 0"),
        (lambda x, y: T.set_subtensor(x[1:], y), "cannot stretch"),
    ],
)
def test_wrong_shapes_are_refused_while_the_graph_is_built(build, message):
    with pytest.raises(ShapeError, match=message):
        build(T.vector("x"), T.matrix("y"))


def test_reshape_that_does_not_fit_when_run():
    x, n = T.vector("x"), T.lscalar("n")

    with pytest.raises(ShapeError, match="5 elements"):
        evaluate([x.reshape((n, 2))], {x: np.zeros(5), n: 3})
    with pytest.raises(ShapeError, match="n is -1; it must not be negative"):
        evaluate([x.reshape((n,))], {x: np.zeros(5), n: -1})


def test_stretching_to_a_negative_size_when_run():
    n = T.lscalar("n")

    with pytest.raises(ShapeError, match="negative"):
        evaluate([T.alloc(0.0, n)], {n: -1})


def test_size_that_was_specified_is_checked_when_run():
    x = T.vector("x")

    with pytest.raises(ShapeError, match="axis 0 has size 5, not 3"):
        evaluate([T.specify_shape(x, (3,))], {x: np.zeros(5)})


def test_part_of_another_shape_when_run():
    x, y = T.vectors("x", "y")

    with pytest.raises(ShapeError, match="axis 0 has size 3, not 2"):
        evaluate([T.set_subtensor(x[:2], y)], {x: np.zeros(5), y: np.zeros(3)})
