"""Derivatives of loops, against those of the loop written out step after step."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from tests.loops import written_out
from tests.random_loops import RandomLoop, random_loop
from workbench.core.errors import DisconnectedInputError, GradientError
from workbench.core.evaluate import evaluate
from workbench.core.graph import toposort
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan

TOLERANCE = {"float64": 1e-9, "float32": 2e-3}
QUICK = range(40)
NIGHTLY = range(1000, 2500)


def agree(found, expected):
    for a, b in zip(found, expected, strict=True):
        scale = max(1.0, np.abs(b).max(initial=0.0))
        tolerance = TOLERANCE.get(a.dtype.name, 0)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


def weighted(loop: RandomLoop, outputs, seed=0):
    """A cost that every float output takes part in, each element in its own way."""
    rng = np.random.default_rng(seed)
    values = evaluate(loop.node.outputs, loop.given)
    weights = [T.constant(rng.normal(size=v.shape).astype(v.dtype)) for v in values]
    return sum(
        T.cast((T.sin(v) * w).sum(), "float64")
        for v, w in zip(outputs, weights, strict=True)
        if v.type.is_float
    ) + T.constant(0.0)


def directions(loop: RandomLoop):
    rng = np.random.default_rng(1)
    return [
        T.constant(rng.normal(size=loop.given[v].shape).astype(v.dtype))
        for v in loop.floats
    ]


def gradients(loop: RandomLoop, outputs):
    return wb.grad(weighted(loop, outputs), loop.floats, disconnected_inputs="ignore")


def second(loop: RandomLoop, outputs):
    """Gradients of the gradients, along a direction."""
    along = zip(gradients(loop, outputs), directions(loop), strict=True)
    slope = sum(T.cast((g * d).sum(), "float64") for g, d in along) + T.constant(0.0)
    return wb.grad(slope, loop.floats, disconnected_inputs="ignore")


def forward(loop: RandomLoop, outputs):
    wanted = [v for v in outputs if v.type.is_float]
    return T.Rop(wanted, loop.floats, directions(loop), disconnected_outputs="ignore")


def check_all(loop: RandomLoop):
    outputs, plain = loop.node.outputs, loop.written_out
    agree(evaluate(outputs, loop.given), evaluate(plain, loop.given))
    if not loop.floats:
        return
    kinds = [gradients] if loop.op.truncate is not None else [gradients, second]
    # A truncated gradient is not the transpose of the derivative.
    kinds += [forward] if loop.op.truncate is None else []
    for derive in kinds:
        found = evaluate(derive(loop, outputs), loop.given)
        agree(found, evaluate(derive(loop, plain), loop.given))


@pytest.mark.parametrize("seed", QUICK)
def test_values_and_derivatives_are_those_of_the_loop_written_out(seed):
    check_all(random_loop(seed))


@pytest.mark.nightly
@pytest.mark.parametrize("first", NIGHTLY[::50])
def test_values_and_derivatives_of_many_loops(first):
    for seed in range(first, first + 50):
        check_all(random_loop(seed))


@pytest.mark.parametrize("seed", range(30))
def test_gradients_of_no_steps_have_the_shapes_of_their_inputs(seed):
    loop = random_loop(seed, steps=0)
    if not loop.floats:
        return

    found = evaluate(gradients(loop, loop.node.outputs), loop.given)

    assert [g.shape for g in found] == [loop.given[v].shape for v in loop.floats]
    # Only given rows are part of a result.
    n_first = 1 + loop.op.n_sequences + loop.op.n_states
    others = loop.inputs[n_first:]
    for v, g in zip(loop.floats, found, strict=True):
        assert v not in others or not g.any()


# --- single facts ----------------------------------------------------------------------


def rnn(**options):
    """h = tanh(h W + x), and its squared length."""
    x, h, w = T.dvector("x"), T.dvector("h"), T.dmatrix("w")
    following = T.tanh(T.dot(h, w) + x)
    body = Body([x, h, w], [following, T.sqr(following).sum()])
    return Scan(body, 1, ((-1,),), **options)


def rnn_values(steps):
    rng = np.random.default_rng(0)
    return [rng.normal(size=s) for s in [(steps, 3), (1, 3), (3, 3)]]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"backwards": True}, {"recompute": True}, {"keep": (2, 1)}],
    ids=lambda options: next(iter(options), "plain"),
)
def test_derivatives_of_a_recurrent_network_agree_with_differences(options, order):
    op = rnn(**options)

    def build(x, h, w):
        states, lengths = op.make_node(T.constant(4), x, h, w).outputs
        return T.concatenate([states.ravel(), lengths])

    verify_grad(build, rnn_values(4), order=order)


def test_a_gradient_without_steps_is_that_of_the_given_rows():
    x, h, w = T.dmatrix("x"), T.dmatrix("h"), T.dmatrix("w")
    states, lengths = rnn().make_node(T.constant(0), x, h, w).outputs
    cost = T.sqr(states).sum() + lengths.sum()
    given = dict(zip([x, h, w], rnn_values(0), strict=True))

    by_x, by_h, by_w = evaluate(wb.grad(cost, [x, h, w]), given)

    assert by_x.shape == (0, 3)
    np.testing.assert_array_equal(by_h, 2 * given[h])
    np.testing.assert_array_equal(by_w, np.zeros((3, 3)))


def two_states(first, second):
    """The gradients of two states of which neither reads the other, where they exist."""
    x, h, k, p = (T.dscalar(name) for name in "xhkp")
    body = Body([x, h, k, p], [first(x, h, p), second(x, k, p)])
    op = Scan(body, 1, ((-1,), (-1,)))
    inputs = [T.dvector("X"), T.dvector("H"), T.dvector("K"), T.dscalar("P")]
    return op.make_node(T.constant(2), *inputs).outputs, inputs


VALUES = [[1.0, 2.0], [0.1], [0.2], 0.7]


def test_an_output_that_is_not_asked_for_does_no_harm():
    def step(x, h, p):
        return T.tanh(h * p + x)

    found, expected = [], []
    for results, second in [
        (found, lambda x, k, p: T.undefined_grad(k) * x),
        (expected, lambda x, k, p: k * x),
    ]:
        (a, _), (x, h, k, p) = two_states(step, second)
        given = dict(zip([x, h, k, p], VALUES, strict=True))
        results += evaluate(wb.grad(a.sum(), [x, h, p]), given)

    agree(found, expected)


def test_a_gradient_that_no_state_passes_is_an_error_that_says_so():
    (_, b), (x, _, k, _) = two_states(
        lambda x, h, p: h * p, lambda x, k, p: T.undefined_grad(k) * x
    )

    for v in (x, k):
        with pytest.raises(GradientError, match=r"(?s)undefined.*undefined_grad"):
            wb.grad(b.sum(), v)


def test_one_input_without_a_gradient_leaves_the_others_theirs():
    (a, _), (x, h, k, p) = two_states(
        lambda x, h, p: h * T.undefined_grad(p) + x, lambda x, k, p: k
    )

    by_x, by_h = evaluate(
        wb.grad(a.sum(), [x, h]), {x: [1.0, 2.0], h: [0.1], p: 0.5, k: [0.0]}
    )

    np.testing.assert_allclose(by_x, [1.5, 1.0])
    np.testing.assert_allclose(by_h, [1.75])
    with pytest.raises(GradientError, match="undefined"):
        wb.grad(a.sum(), p)


def test_what_a_cost_does_not_depend_on_is_disconnected():
    (a, b), (x, h, k, p) = two_states(
        lambda x, h, p: h * p + x, lambda x, k, p: k * 2.0
    )

    with pytest.raises(DisconnectedInputError):
        wb.grad(a.sum(), k)
    for v in (x, h, p):
        with pytest.raises(DisconnectedInputError):
            wb.grad(b.sum(), v)


def test_a_forward_derivative_passes_by_a_state_that_has_none():
    (a, b), inputs = two_states(
        lambda x, h, p: h * p, lambda x, k, p: T.undefined_grad(k) * 2.0
    )
    _, h, k, _ = inputs
    one = T.constant([1.0])

    tangent = T.Rop(a, h, one)

    (found,) = evaluate([tangent], dict(zip(inputs, VALUES, strict=True)))
    np.testing.assert_allclose(found, [1.0, 0.7, 0.49])
    with pytest.raises(GradientError):
        T.Rop(b, k, one)


def test_gradients_of_complex_states_agree_with_the_loop_written_out():
    z, a = T.zvector("z"), T.zscalar("a")
    body = Body([z, a], [z * a + T.conj(z) * 0.3, abs(z)])
    op = Scan(body, 0, ((-1,),))
    inputs = [T.constant(4), T.zmatrix("Z"), T.zscalar("A")]
    _, first, factor = inputs
    rng = np.random.default_rng(0)
    start = rng.normal(size=(1, 2)) + 1j * rng.normal(size=(1, 2))

    def found(outputs):
        states, sizes = outputs
        cost = T.sqr(abs(states - 0.2j)).sum() + sizes.sum()
        return evaluate(
            wb.grad(cost, [first, factor]), {first: start, factor: 0.3 + 0.9j}
        )

    agree(
        found(op.make_node(*inputs).outputs),
        [np.asarray(g) for g in found(written_out(op, inputs, 4))],
    )


def nested(**options):
    """A loop over rows, in which a loop over the elements of each."""
    a, b = T.dvector("a"), T.dvector("b")
    inner = Scan(
        Body([a, b], [T.tanh(a * b + 0.1), T.sin(b).sum()]), 1, ((-1,),), **options
    )
    x, h, w, n = T.dvector("x"), T.dvector("h"), T.dmatrix("w"), T.lscalar("n")
    states, sines = inner.make_node(n, w * x, h[None]).outputs
    return Scan(Body([x, h, w, n], [states[-1], sines.sum()]), 1, ((-1,),), **options)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_nested_loops(order, recompute):
    op = nested(recompute=recompute)
    rng = np.random.default_rng(0)
    wrt = [T.dmatrix("X"), T.dmatrix("H"), T.dmatrix("W")]
    inputs = [T.constant(3), *wrt, T.constant(4)]
    values = [rng.normal(size=s) for s in [(3, 2), (1, 2), (4, 2)]]
    given = dict(zip(wrt, values, strict=True))

    def found(outputs):
        cost = T.sqr(outputs[0]).sum() + outputs[1].sum()
        for _ in range(order):
            slopes = wb.grad(cost, wrt)
            cost = sum(T.sin(g).sum() for g in slopes)
        return evaluate(slopes, given)

    agree(found(op.make_node(*inputs).outputs), found(written_out(op, inputs, 3)))


def loops(outputs):
    return [n.op for n in toposort(outputs) if isinstance(n.op, Scan)]


def test_the_gradient_of_a_nested_loop_reads_what_the_forward_loop_kept():
    inputs = [T.constant(3), T.dmatrix("X"), T.dmatrix("H"), T.dmatrix("W")]
    _, sines = nested().make_node(*inputs, T.constant(4)).outputs

    made = loops([wb.grad(sines.sum(), inputs[1])])

    (backward,) = (op for op in made if op.backwards)
    assert all(inner.backwards for inner in loops(backward.body.outputs))


def test_no_sizes_are_kept():
    inputs = [T.constant(3), T.dmatrix("X"), T.dmatrix("H"), T.dmatrix("W")]
    x, h, w = T.dvector("x"), T.dvector("h"), T.dmatrix("w")
    following = T.broadcast_to(T.tanh(h * x).sum(), (w.shape[1],)) + T.dot(x, w)
    op = Scan(Body([x, h, w], [following]), 1, ((-1,),))

    made = loops([wb.grad(op.make_node(*inputs).outputs[0].sum(), inputs[1])])

    for loop in made:
        assert all(v.type.is_float for v in loop.body.outputs)


def test_recompute_keeps_nothing_but_the_states():
    x, h, w = T.dmatrix("x"), T.dmatrix("h"), T.dmatrix("w")
    outputs = rnn(recompute=True).make_node(T.constant(3), x, h, w).outputs

    made = loops([wb.grad(outputs[0].sum(), w)])

    assert {len(op.body.outputs) for op in made if not op.backwards} == {2}


def test_what_changes_its_size_from_step_to_step_is_computed_again():
    x, h, a = T.dvector("x"), T.dscalar("h"), T.dscalar("a")
    positive = x[T.gt(x, 0)]
    op = Scan(
        Body([x, h, a], [h * a + (T.exp(positive * a) * T.tanh(positive)).sum()]),
        1,
        ((-1,),),
    )
    wrt = [T.dmatrix("X"), T.dvector("H"), T.dscalar("A")]
    given = dict(
        zip(
            wrt, [np.random.default_rng(1).normal(size=(4, 3)), [0.4], 0.6], strict=True
        )
    )

    def found(outputs):
        return evaluate(wb.grad(T.sqr(outputs[0]).sum(), wrt), given)

    inputs = [T.constant(4), *wrt]
    agree(found(op.make_node(*inputs).outputs), found(written_out(op, inputs, 4)))


@pytest.mark.parametrize("truncate", [1, 2, 3, 9])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_truncated_gradient_takes_what_came_before_for_constant(truncate, backwards):
    a, b, x, w = (T.dscalar(name) for name in "abxw")
    body = Body([x, a, b, w], [T.tanh(a * w + b * x)])
    op = Scan(body, 1, ((-3, -1),), truncate=truncate, backwards=backwards)
    wrt = [T.dvector("X"), T.dvector("H"), T.dscalar("W")]
    inputs = [T.constant(4), *wrt]
    values = [[0.4, -0.2, 0.9, 0.5], [0.3, 0.8, -0.7], 0.6]
    given = dict(zip(wrt, values, strict=True))

    def found(outputs):
        cost = T.sqr(outputs[0]).sum()
        return evaluate(wb.grad(cost, wrt, disconnected_inputs="ignore"), given)

    agree(found(op.make_node(*inputs).outputs), found(written_out(op, inputs, 4)))
