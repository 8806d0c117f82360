"""grad: what it takes, what it refuses, and how contributions add up."""

import linecache
import warnings

import numpy as np
import pytest

import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.errors import DisconnectedInputError, GradientError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, toposort
from workbench.core.op import Elementwise


def value(output, values):
    return evaluate([output], values)[0]


def test_one_variable_gives_one_gradient_and_a_list_gives_a_list():
    x, y = T.scalars("x", "y")
    cost = x * y

    single, several = T.grad(cost, x), T.grad(cost, [x, y])

    assert isinstance(single, Variable)
    assert isinstance(several, list)
    assert [value(g, {x: 2, y: 3}) for g in (single, *several)] == [3, 3, 2]


def test_contributions_to_one_variable_add_up():
    x = T.scalar("x")
    y = T.sqr(x)
    cost = y * y + y + x

    assert value(T.grad(cost, x), {x: 2}) == 4 * 8 + 4 + 1


def test_gradient_by_the_cost_itself_is_one():
    x = T.scalar("x")

    assert value(T.grad(x, x), {x: 5}) == 1


def test_gradient_by_an_intermediate_variable():
    x = T.vector("x")
    y = T.exp(x)
    cost = T.sum(y * y)

    gy, gx = T.grad(cost, [y, x])

    np.testing.assert_allclose(value(gy, {x: [0.5]}), 2 * np.exp([0.5]))
    np.testing.assert_allclose(value(gx, {x: [0.5]}), 2 * np.exp([1.0]))


def test_the_same_variable_may_be_asked_for_twice():
    x = T.scalar("x")

    assert [value(g, {x: 3}) for g in T.grad(T.sqr(x), [x, x])] == [6, 6]


def test_gradient_of_a_gradient():
    x = T.scalar("x")

    third = T.grad(T.grad(T.grad(x**4, x), x), x)

    assert value(third, {x: 2}) == 48


def test_axes_declared_as_one_are_summed_over():
    x, b = T.matrix("x"), T.row("b")

    gradient = T.grad(T.sum(x * b), b)

    got = value(gradient, {x: np.ones((3, 2)), b: np.ones((1, 2))})
    np.testing.assert_array_equal(got, [[3, 3]])


@pytest.mark.parametrize(
    "shapes", [((3, 2), (2,)), ((2,), (3, 2)), ((3, 2), ()), ((2, 1), (1, 3))]
)
def test_broadcast_operands_get_gradients_of_their_own_shape(shapes):
    rng = np.random.default_rng(0)

    verify_grad(lambda x, y: x * y + T.sin(y), [rng.normal(size=s) for s in shapes])


@pytest.mark.parametrize(
    "build", [lambda x: x * 2, lambda x: T.argmax(x), lambda x: T.sum(x > 0)]
)
def test_cost_must_be_a_float_scalar(build):
    x = T.vector("x")

    with pytest.raises(GradientError, match="must be a float scalar"):
        T.grad(build(x), x)


def test_integers_have_no_gradient():
    i = T.lscalar("i")

    with pytest.raises(
        GradientError,
        match=r"(?s)i is int64 scalar: an integer has no gradient.*T\.cast\(i",
    ):
        T.grad(i * 1.5, i)


def test_what_is_no_variable_is_refused():
    with pytest.raises(GradientError, match="takes variables"):
        T.grad(T.scalar("x"), [1.5])


# --- disconnected ---------------------------------------------------------------------


def test_a_disconnected_variable_is_an_error_that_names_the_way():
    x = T.vector("x")
    cost = T.sum(T.argmax(x) * 1.5)

    with pytest.raises(DisconnectedInputError) as caught:
        T.grad(cost, x)  # the line of the request

    text = str(caught.value)
    assert "does not depend on x in a differentiable way" in text
    assert "stops there: argmax{axis=0} has no gradient" in text
    assert "T.grad(cost, x)  # the line of the request" in text
    assert "^" in text
    assert "disconnected_inputs='ignore'" in text


def test_a_variable_that_is_not_part_of_the_graph():
    x, y = T.scalars("x", "y")

    with pytest.raises(
        DisconnectedInputError, match="y is not part of the graph of the cost"
    ):
        T.grad(x * 2, y)


def test_a_variable_that_is_used_only_for_its_size():
    x = T.vector("x")

    with pytest.raises(DisconnectedInputError, match="stops there: shape"):
        T.grad(x.shape[0] * 1.0, x)


def test_disconnected_may_be_ignored_or_warned_about():
    x, y = T.vectors("x", "y")
    cost = T.sum(x)

    zeros = T.grad(cost, y, disconnected_inputs="ignore")
    nothing = T.grad(
        cost, [x, y], disconnected_inputs="ignore", return_disconnected="none"
    )
    with pytest.warns(UserWarning, match="does not depend on y"):
        T.grad(cost, y, disconnected_inputs="warn")

    np.testing.assert_array_equal(value(zeros, {y: [1.0, 2.0]}), [0, 0])
    assert nothing[1] is None
    with pytest.raises(ValueError, match="disconnected_inputs must be"):
        T.grad(cost, y, disconnected_inputs="whatever")


def test_no_gradient_passes_through_a_filled_shape():
    x = T.vector("x")

    with pytest.raises(DisconnectedInputError):
        T.grad(T.sum(T.zeros_like(x)), x)


def test_steps_have_a_gradient_of_zero():
    x = T.vector("x")

    for step in (T.floor, T.ceil, T.round, T.trunc, T.sign):
        np.testing.assert_array_equal(
            value(T.grad(T.sum(step(x)), x), {x: [0.3, 1.7]}), [0, 0]
        )


# --- options --------------------------------------------------------------------------


def test_known_gradients_take_the_place_of_derived_ones():
    x = T.scalar("x")
    y = T.sqr(x)
    cost = T.exp(y)

    alone = T.grad(None, x, known_grads={y: 10.0})
    instead = T.grad(cost, x, known_grads={y: 10.0})

    assert value(alone, {x: 3}) == 60
    assert value(instead, {x: 3}) == 60


def test_known_gradients_of_several_outputs_add_up():
    x = T.scalar("x")
    g = T.scalar("g")

    gradient = T.grad(None, x, known_grads={x * 2: 1.0, x * 3: g})

    assert value(gradient, {g: 10}) == 32


def test_known_gradient_of_another_rank_is_refused():
    x = T.vector("x")

    with pytest.raises(GradientError, match="axes"):
        T.grad(None, x, known_grads={x * 2: 1.0})


def test_a_place_to_start_is_needed():
    with pytest.raises(GradientError, match="needs a cost"):
        T.grad(None, T.scalar("x"))


def test_nothing_passes_through_what_is_considered_constant():
    x = T.scalar("x")
    y = T.sqr(x)

    assert value(T.grad(y * x, x, consider_constant=[y]), {x: 3}) == 9
    with pytest.raises(DisconnectedInputError):
        T.grad(y * 2, x, consider_constant=[y])


def test_a_gradient_at_a_constant_can_be_asked_for_and_stops_there():
    x = T.scalar("x")
    y = T.sqr(x)
    cost = y * y + x

    gx, gy = T.grad(cost, [x, y], consider_constant=y)

    assert (value(gx, {x: 3}), value(gy, {x: 3})) == (1, 18)


def test_a_tuple_gives_a_tuple():
    x, y = T.scalars("x", "y")

    assert isinstance(T.grad(x * y, (x, y)), tuple)


def test_what_stands_for_a_disconnected_gradient():
    x, y = T.scalars("x", "y")

    hollow = T.grad(x * 2, y, None, "ignore", return_disconnected="disconnected")

    assert isinstance(hollow, T.gradient.Disconnected)
    with pytest.raises(ValueError, match="disconnected y"):
        value(hollow, {})
    with pytest.raises(
        ValueError, match="return_disconnected must be 'zero', 'none' or"
    ):
        T.grad(x * 2, y, return_disconnected="Zero")
    with pytest.raises(ValueError, match="null_gradients must be"):
        T.grad(x * 2, x, null_gradients="ignore")


def test_a_warning_points_at_the_line_of_the_user():
    x, y = T.scalars("x", "y")

    with pytest.warns(UserWarning, match="does not depend on y") as caught:
        T.grad(x * 2, y, disconnected_inputs="warn")

    assert caught[0].filename == __file__


def test_an_op_without_a_gradient_is_named_with_its_line():
    class Opaque(Elementwise):
        def loop_types(self, *dtypes):
            return [*dtypes, *dtypes]

        def reference(self, x):
            return x

    x = T.scalar("x")
    y = Opaque()(x) * 2  # the line at fault

    with pytest.raises(GradientError) as caught:
        T.grad(y, x)

    assert "opaque has no gradient" in str(caught.value)
    assert "y = Opaque()(x) * 2  # the line at fault" in str(caught.value)
    assert np.isnan(value(T.grad(y, x, null_gradients="return"), {x: 1}))
    with pytest.raises(GradientError, match="has no forward derivative"):
        T.jvp(y, x, 1.0)


def test_names_are_left_out_when_asked():
    x = T.scalar("x")

    assert T.grad(T.sqr(x), x, add_names=False).name is None


# --- parts of a graph -----------------------------------------------------------------


def layers():
    x, w1, w2 = T.vector("x"), T.matrix("w1"), T.matrix("w2")
    h = T.tanh(w1 @ x)
    cost = T.sum(T.sqr(w2 @ h)) + T.sum(T.sqr(w1)) + T.sum(h)
    rng = np.random.default_rng(0)
    values = {
        x: rng.normal(size=3),
        w1: rng.normal(size=(4, 3)),
        w2: rng.normal(size=(2, 4)),
    }
    return x, w1, w2, h, cost, values


def test_gradients_in_parts_equal_the_whole():
    x, w1, w2, h, _, values = layers()
    top = T.sum(T.sqr(w2 @ h))
    penalty = T.sum(T.sqr(w1))

    (g2,), (gh,) = T.gradient.subgraph_grad([w2], [h], cost=top)
    (g1,), (gx,) = T.gradient.subgraph_grad([w1], [x], start={h: gh}, cost=penalty)

    whole = T.grad(top + penalty, [w1, w2, x])
    for part, expected in zip([g1, g2, gx], whole, strict=True):
        np.testing.assert_allclose(value(part, values), value(expected, values), 1e-12)


def test_details_of_a_part():
    x, w1, _, h, _, values = layers()
    start = {h: T.ones_like(h)}

    made = T.gradient.subgraph_grad([w1], [x], start, T.sum(T.sqr(w1)), details=True)

    (g1,), (_,), from_start, from_cost = made
    np.testing.assert_allclose(
        value(g1, values), value(from_start[0], values) + value(from_cost[0], values)
    )
    assert not value(from_cost[1], values).any()
    assert T.gradient.subgraph_grad([w1], [x], start, details=True)[3] is None
    with pytest.raises(ValueError, match="needs a start, or a cost"):
        T.gradient.subgraph_grad([w1], [x])


def test_known_gradients_chain_to_the_whole():
    x, w1, w2, h, cost, values = layers()

    gh = T.grad(T.sum(T.sqr(w2 @ h)) + T.sum(h), h)
    chained = T.grad(T.sum(T.sqr(w1)), w1, known_grads={h: gh})

    expected = T.grad(cost, w1)
    np.testing.assert_allclose(value(chained, values), value(expected, values), 1e-12)
    assert x in values


def test_gradients_are_named_and_know_the_forward_node():
    x = T.scalar("x")
    y = T.sin(x)
    cost = y * 2
    cost.name = "cost"

    gradient = T.grad(cost, x)

    assert gradient.name == "grad(cost, x)"
    assert gradient.owner.origin.forward is y.owner
    assert (
        linecache.getline(__file__, gradient.location.line).strip()
        == "gradient = T.grad(cost, x)"
    )


def test_gradient_of_a_deep_chain():
    x = T.scalar("x")
    y = x
    for _ in range(20_000):
        y = T.sin(y)

    gradient = T.grad(y, x)

    assert 0 < value(gradient, {x: 0.001}) < 1


def test_gradient_through_a_diamond_is_linear_in_its_size():
    x = T.scalar("x")
    y = x
    for _ in range(300):
        y = y * 0.5 + y * 0.5

    gradient = T.grad(y, x)

    assert len(toposort([gradient])) < 3_000
    assert value(gradient, {x: 3}) == 1


def test_second_gradient_does_not_walk_through_the_start():
    # The walk starts from ones of the cost's shape; nothing should come back that way.
    x = T.vector("x")
    cost = T.sum(T.exp(x))
    gradient = T.grad(cost, x)

    second = T.grad(T.sum(gradient), x)

    assert len(toposort([second])) <= 14


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_at_a_tie_the_first_takes_the_gradient(name):
    x, y = T.scalars("x", "y")

    gx, gy = T.grad(getattr(T, name)(x, y), [x, y])

    assert (value(gx, {x: 1, y: 1}), value(gy, {x: 1, y: 1})) == (1, 0)


@pytest.mark.parametrize(
    ("build", "at", "expected"),
    [
        (T.abs, 0.0, 0),
        (T.nnet.relu, 0.0, 0),
        (lambda x: T.nnet.relu(x, 0.1), 0.0, 0.1),
        (lambda x: x**2, 0.0, 0),
        (lambda x: x**1, 0.0, 1),
        (lambda x: x**0, 0.0, 0),
        (lambda x: x**3, -2.0, 12),
        (lambda x: 2.0**x, 0.0, np.log(2)),
        (lambda x: T.clip(x, 0, 1), 2.0, 0),
        (T.sigmoid, 800.0, 0),
        (T.sigmoid, -800.0, 0),
        (T.softplus, 800.0, 1),
        (T.softplus, -800.0, 0),
        (lambda x: T.logaddexp(x, 0.0), 800.0, 1),
        (lambda x: T.log1mexp(x), -800.0, 0),
        (T.nnet.elu, -1.0, np.exp(-1)),
    ],
)
def test_gradient_at_a_particular_point(build, at, expected):
    x = T.scalar("x")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = value(T.grad(build(x), x), {x: at})

    np.testing.assert_allclose(got, expected, 1e-12)


def test_exponent_gets_no_gradient_where_the_base_is_zero():
    x, y = T.scalars("x", "y")

    assert value(T.grad(x**y, y), {x: 0, y: 2}) == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: T.nnet.binary_crossentropy(T.sigmoid(x), 0.3).sum(),
        lambda x: T.nnet.sigmoid_binary_crossentropy(x, 0.3).mean(),
        lambda x: T.nnet.categorical_crossentropy(
            T.nnet.softmax(x), np.array([0, 2, 1])
        ).mean(),
        lambda x: T.nnet.categorical_crossentropy(
            T.nnet.softmax(x), np.full((3, 4), 0.25)
        ).mean(),
        lambda x: (
            -T.log(T.nnet.softmax(x))[T.arange(x.shape[0]), np.array([0, 2, 1])].mean()
        ),
        lambda x: T.nnet.softsign(x).sum() + T.nnet.elu(x, 0.5).sum(),
        lambda x: T.std(x, axis=0).sum(),
    ],
)
def test_losses(loss):
    x = np.random.default_rng(0).normal(size=(3, 4))

    verify_grad(loss, [x])
    verify_grad(loss, [x], order=2)


def test_categorical_crossentropy_takes_classes_or_probabilities():
    p, i = T.matrix("p"), T.lvector("i")
    values = {p: [[0.1, 0.9], [0.5, 0.5]], i: [1, 0]}

    by_class = T.nnet.categorical_crossentropy(p, i)
    by_row = T.nnet.categorical_crossentropy(p, np.array([[0, 1], [1, 0]]))

    for loss in (by_class, by_row):
        np.testing.assert_allclose(value(loss, values), -np.log([0.9, 0.5]))
    with pytest.raises(IndexError):
        value(by_class, values | {i: [1, 2]})


def test_relu_keeps_not_a_number():
    x = T.vector("x")

    np.testing.assert_array_equal(
        value(T.nnet.relu(x), {x: [np.nan, -1, 2]}), [np.nan, 0, 2]
    )
