"""Ops made of graphs: what they compute, their derivatives, how they are compiled."""

import pickle

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import (
    DTypeError,
    GradientError,
    MissingInputError,
    ShapeError,
)
from workbench.core.graph import Variable, graph_inputs, toposort
from workbench.core.ops.blocks import OpFromGraph


def affine(**options):
    """x * w + 1 of two vectors."""
    x, w = T.vectors("x", "w")
    return OpFromGraph([x, w], [x * w + 1], name="affine", **options)


def ops_of(variable):
    return [node.op for node in toposort([variable])]


def test_a_call_makes_one_node_of_its_name():
    a, b = T.vectors("a", "b")

    y = affine()(a, b)

    assert [str(op) for op in ops_of(y)] == ["affine"]
    assert repr(y) == "<affine(a, b): float64 vector>"
    np.testing.assert_array_equal(y.eval({a: [1.0, 2.0], b: [3.0, 4.0]}), [4.0, 9.0])


def test_an_inline_call_makes_the_graph():
    a, b = T.vectors("a", "b")

    y = affine(inline=True)(a, b)

    assert wb.equal_computations([y], [a * b + 1])


def test_numbers_and_arrays_are_taken_as_constants():
    x = T.fvector("x")
    double = OpFromGraph([x], [x * 2])

    y = double([1.0, 2.0])

    assert y.dtype == "float32"
    np.testing.assert_array_equal(y.eval(), np.array([2, 4], "float32"))


def test_several_outputs_come_as_a_list():
    x, y = T.vectors("x", "y")
    both = OpFromGraph([x, y], [x + y, x - y, x])

    outputs = both(y, x)

    assert isinstance(outputs, list) and len(outputs) == 3
    got = wb.function([x, y], outputs)([1.0], [5.0])
    np.testing.assert_array_equal(got, [[6.0], [4.0], [5.0]])


def test_what_it_is_made_from_stays_apart():
    x = T.vector("x")
    h = T.exp(x)
    op = OpFromGraph([h], [h + 1])  # an intermediate variable as input
    h.name = "changed"

    assert op(x).eval({x: [1.0]}) == 2.0


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "None", "DEBUG"])
def test_every_mode_computes_it(mode):
    a, b = T.vectors("a", "b")
    y = affine()(affine()(a, b), b)

    f = wb.function([a, b], [y, wb.grad(y.sum(), a)], mode=mode)

    value, gradient = f([1.0, 2.0], [3.0, 4.0])
    np.testing.assert_allclose(value, [13.0, 37.0])
    np.testing.assert_allclose(gradient, [9.0, 16.0])


def test_compiling_sees_what_is_inside():
    x = T.vector("x")
    shifted = OpFromGraph([x], [T.exp(x) + 1], name="shifted")

    f = wb.function([x], T.log(shifted(x)))

    assert [str(n.op) for n in f.compilation.before.nodes()] == ["shifted", "log"]
    assert [str(n.op) for n in f.compilation.after.nodes()] == ["softplus"]
    np.testing.assert_allclose(f([1000.0]), [1000.0])


def test_parts_of_it_lead_back_to_the_node_and_to_the_line_inside():
    x = T.vector("x")
    op = OpFromGraph([x], [T.sin(x) * T.cos(x)], name="both")
    call = op(x)

    f = wb.function([x], call)

    (sin, *_) = f.compilation.after.nodes()
    assert sin.origin.replaces is call.owner
    assert "T.sin(x) * T.cos(x)" in sin.origin.location.text


def test_without_rewriting_it_is_inlined_for_the_loops():
    a, b = T.vectors("a", "b")
    mode = wb.compile.modes.Mode("c", ("fusion", "inplace"), "bare")

    f = wb.function([a, b], affine()(a, b), mode=mode)

    assert [str(n.op) for n in f.compilation.after.nodes()] == ["affine"]
    np.testing.assert_array_equal(f([1.0], [3.0]), [4.0])


def test_shared_variables_become_inputs_by_themselves():
    x, w = T.vector("x"), wb.shared(np.array([2.0, 3.0]), "w")
    op = OpFromGraph([x], [x * w])

    y = op(x)

    assert w in graph_inputs([y])
    f = wb.function([x], [y, wb.grad(y.sum(), w)], updates={w: w + 1})
    np.testing.assert_array_equal(f([1.0, 1.0]), [[2.0, 3.0], [1.0, 1.0]])
    np.testing.assert_array_equal(f([1.0, 1.0])[0], [3.0, 4.0])


def test_strict_forbids_what_is_no_input():
    x, z, w = T.vector("x"), T.vector("z"), wb.shared(1.0, "w")

    with pytest.raises(MissingInputError, match="shared w"):
        OpFromGraph([x], [x * w], strict=True)
    with pytest.raises(MissingInputError, match="depend on z"):
        OpFromGraph([x], [x * z])
    assert OpFromGraph([x, w], [x * w], strict=True)(x, 2.0).eval({x: [1.0]}) == 2.0


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda x: OpFromGraph([x, x], [x]), ValueError, "twice"),
        (lambda x: OpFromGraph([x, 1.0], [x]), TypeError, "variables"),
        (lambda x: OpFromGraph([T.constant(1.0)], [x]), TypeError, "constant"),
        (lambda x: OpFromGraph([x], []), ValueError, "output"),
        (lambda x: OpFromGraph([x], [x], lop_overrides=[None] * 2), ValueError, "2"),
        (lambda x: OpFromGraph([x], [x], lop_overrides=3), TypeError, "function"),
        (lambda x: OpFromGraph([x], [x], rop_overrides=[3]), TypeError, "function"),
        (lambda x: OpFromGraph([x], [x], connection_pattern=[]), ValueError, "rows"),
        (
            lambda x: OpFromGraph([x], [x], lop_overrides=print, grad_overrides=print),
            ValueError,
            "not both",
        ),
    ],
)
def test_what_makes_no_sense_is_said_at_once(make, error, text):
    with pytest.raises(error, match=text):
        make(T.vector("x"))


def test_inputs_that_do_not_fit_are_named():
    x = T.TensorType("float64", (3,))("x")
    op = OpFromGraph([x], [x + 1], name="f")

    with pytest.raises(DTypeError, match="f takes x as"):
        op(T.fvector("y"))
    with pytest.raises(ShapeError, match="f takes x as"):
        op(T.matrix("y"))
    with pytest.raises(ShapeError, match="f takes x as"):
        op(np.zeros(4))
    with pytest.raises(TypeError, match="takes 1 inputs, got 2"):
        op(x, x)


def test_a_size_it_relies_on_is_checked_when_it_runs():
    x, y = T.TensorType("float64", (1,))("x"), T.vector("y")
    op = OpFromGraph([x, y], [x + y])
    z = T.vector("z")

    f = wb.function([z, y], op(z, y))

    np.testing.assert_array_equal(f([1.0], [1.0, 2.0]), [2.0, 3.0])
    with pytest.raises(ShapeError):
        f([1.0, 2.0], [1.0, 2.0])


def test_its_types_are_as_sharp_as_those_of_the_graph():
    x, n = T.vector("x"), T.lscalar("n")
    op = OpFromGraph([x, n], [x + 1, T.zeros((n, 2))])

    a, b = op(T.TensorType("float64", (1,))("y"), 3)

    assert a.type.shape == (1,)
    assert b.type.shape == (3, 2)


def test_ops_of_equal_graphs_are_equal():
    x, y = T.vectors("x", "y")

    assert affine() == affine() and hash(affine()) == hash(affine())
    assert OpFromGraph([x, y], [x - y]) != OpFromGraph([y, x], [x - y])
    assert OpFromGraph([x], [x + 1]) != OpFromGraph([x], [x + 2])
    assert affine() != affine(grad_overrides=len)
    assert affine(grad_overrides=len) == affine(grad_overrides=len)


def test_equal_blocks_are_computed_once():
    a, b = T.vectors("a", "b")

    f = wb.function([a, b], affine()(a, b) + affine()(a, b), mode="FAST_RUN")

    assert len(f.compilation.after.nodes()) <= 3


# --- derivatives -------------------------------------------------------------------------


def test_its_gradient_is_one_node_that_is_inlined_in_turn():
    a, b = T.vectors("a", "b")
    y = affine()(a, b)

    gradient = wb.grad(T.sin(y).sum(), [a, b])

    assert "affine_grad" in map(str, ops_of(gradient[0]))
    assert gradient[0].owner is gradient[1].owner
    f = wb.function([a, b], gradient)
    np.testing.assert_allclose(
        f([1.0, 2.0], [3.0, 4.0]),
        [np.cos([4.0, 9.0]) * [3, 4], np.cos([4.0, 9.0]) * [1, 2]],
    )


def test_an_output_that_another_output_needs_has_its_own_gradient():
    x = T.vector("x")
    h = x**2
    op = OpFromGraph([x], [h, T.sin(h), x, h])
    a, b, c, d = op(x)

    gradient = wb.grad((a + 2 * b + 3 * c + 4 * d).sum(), x)

    value = np.array([0.5, 1.5])
    np.testing.assert_allclose(
        gradient.eval({x: value}),
        2 * value * (5 + 2 * np.cos(value**2)) + 3,
    )


def test_gradient_of_what_is_not_connected():
    x, y = T.vectors("x", "y")
    op = OpFromGraph([x, y], [x * T.eq(y, 1), y * 2])
    a, _ = op(x, y)

    with pytest.raises(wb.DisconnectedInputError):
        wb.grad(a.sum(), y)


def test_overridden_gradients():
    x, y = T.vectors("x", "y")
    seen = []

    def gradients(inputs, outputs, grads):
        seen.append((inputs, outputs, grads))
        return [grads[0] * 10, None]

    op = OpFromGraph([x, y], [x * y], lop_overrides=gradients)
    a, b = T.vectors("a", "b")
    z = op(a, b)

    got = wb.grad(z.sum(), [a, b], disconnected_inputs="ignore")

    values = {a: [1.0, 2.0], b: [3.0, 4.0]}
    np.testing.assert_array_equal(got[0].eval(values), [10.0, 10.0])
    np.testing.assert_array_equal(got[1].eval(values), [0.0, 0.0])
    ((inputs, outputs, grads),) = seen
    assert inputs == [a, b] and outputs == [z] and len(grads) == 1


@pytest.mark.parametrize("default", [None, "default"])
def test_overrides_for_single_inputs(default):
    x, y = T.vectors("x", "y")
    op = OpFromGraph(
        [x, y], [x * y], grad_overrides=[lambda inputs, grads: grads[0] * 10, default]
    )
    values = {x: [1.0, 2.0], y: [3.0, 4.0]}

    gx, gy = wb.grad(op(x, y).sum(), [x, y])

    np.testing.assert_array_equal(gx.eval(values), [10.0, 10.0])
    np.testing.assert_array_equal(gy.eval(values), [1.0, 2.0])


def test_overrides_by_ops_of_graphs():
    x, y, g = T.vectors("x", "y", "g")
    z = T.vector("z")
    every = OpFromGraph([x, y, z, g], [g * 3, g * z])
    one = OpFromGraph([x, y, g], [g * 5])
    values = {x: [1.0, 2.0], y: [3.0, 4.0]}

    op = OpFromGraph([x, y], [x * y], lop_overrides=every)
    gx, gy = wb.grad(op(x, y).sum(), [x, y])
    np.testing.assert_array_equal(gx.eval(values), [3.0, 3.0])
    np.testing.assert_array_equal(gy.eval(values), [3.0, 8.0])

    op = OpFromGraph([x, y], [x * y], grad_overrides=["default", one])
    gx, gy = wb.grad(op(x, y).sum(), [x, y])
    np.testing.assert_array_equal(gx.eval(values), [3.0, 4.0])
    np.testing.assert_array_equal(gy.eval(values), [5.0, 5.0])


def test_overrides_get_zeros_for_outputs_that_do_not_matter():
    x = T.vector("x")
    op = OpFromGraph(
        [x], [x * 2, x * 3], lop_overrides=lambda inputs, outputs, g: [g[0] + g[1]]
    )

    gradient = wb.grad(op(x)[1].sum(), x)

    np.testing.assert_array_equal(gradient.eval({x: [5.0, 6.0]}), [1.0, 1.0])


def test_the_gradient_by_a_shared_variable_is_derived_beside_overrides():
    x, w = T.vector("x"), wb.shared(np.array([2.0, 3.0]), "w")
    op = OpFromGraph([x], [x * w], grad_overrides=lambda inputs, g: [g[0] * 100])

    gx, gw = wb.grad(op(x).sum(), [x, w])

    np.testing.assert_array_equal(gx.eval({x: [5.0, 6.0]}), [100.0, 100.0])
    np.testing.assert_array_equal(gw.eval({x: [5.0, 6.0]}), [5.0, 6.0])


def test_wrong_results_of_overrides_are_named():
    x = T.vector("x")
    few = OpFromGraph([x], [x * 2], name="few", lop_overrides=lambda i, o, g: [])
    flat = OpFromGraph([x], [x * 2], name="flat", lop_overrides=lambda i, o, g: [0.0])

    with pytest.raises(GradientError, match="few gave 0 gradients for 1"):
        wb.grad(few(x).sum(), x)
    with pytest.raises(GradientError, match="flat by x has 0 axes, not 1"):
        wb.grad(flat(x).sum(), x)


def test_a_connection_pattern_cuts_gradients():
    x, y = T.vectors("x", "y")
    op = OpFromGraph(
        [x, y],
        [x * y, x + y],
        connection_pattern=[[True, False], [False, False]],
    )
    a, b = op(x, y)
    values = {x: [1.0, 2.0], y: [3.0, 4.0]}

    gradient = wb.grad((a + b).sum(), x)

    np.testing.assert_array_equal(gradient.eval(values), [3.0, 4.0])
    with pytest.raises(wb.DisconnectedInputError):
        wb.grad((a + b).sum(), y)


def test_the_forward_derivative_is_one_node():
    a, b, u = T.vectors("a", "b", "u")

    tangent = wb.Rop(affine()(a, b), a, u)

    assert [str(op) for op in ops_of(tangent)] == ["affine_jvp"]
    values = {a: [1.0, 2.0], b: [3.0, 4.0], u: [1.0, 10.0]}
    np.testing.assert_array_equal(tangent.eval(values), [3.0, 40.0])


def test_overridden_forward_derivatives():
    x, u = T.vectors("x", "u")
    every = OpFromGraph(
        [x], [x * 2, x * 3], rop_overrides=lambda inputs, tangents: [tangents[0], None]
    )
    single = OpFromGraph(
        [x], [x * 2, x * 3], rop_overrides=["default", lambda inputs, t: t[0] * 7]
    )
    values = {x: [1.0, 2.0], u: [1.0, 10.0]}

    first, second = wb.Rop(every(x), x, u, disconnected_outputs="ignore")
    np.testing.assert_array_equal(first.eval(values), [1.0, 10.0])
    np.testing.assert_array_equal(second.eval(values), [0.0, 0.0])

    first, second = wb.Rop(single(x), x, u)
    np.testing.assert_array_equal(first.eval(values), [2.0, 20.0])
    np.testing.assert_array_equal(second.eval(values), [7.0, 70.0])


def test_the_forward_derivative_follows_overridden_gradients():
    x, u = T.vectors("x", "u")
    op = OpFromGraph([x], [x * 2], lop_overrides=lambda i, o, g: [g[0] * 5])

    tangent = wb.Rop(op(x), x, u)

    np.testing.assert_array_equal(tangent.eval({x: [1.0], u: [3.0]}), [15.0])


def test_second_derivatives_go_through():
    x = T.vector("x")
    cube = OpFromGraph([x], [x**3], name="cube")

    hessian = wb.hessian(cube(x).sum(), x)

    np.testing.assert_allclose(hessian.eval({x: [1.0, 2.0]}), [[6.0, 0.0], [0.0, 12.0]])


def test_a_gradient_that_does_not_exist_is_found_inside():
    x = T.vector("x")
    op = OpFromGraph([x], [wb.gradient.undefined_grad(x) * 2])

    with pytest.raises(GradientError):
        wb.grad(op(x).sum(), x)


def test_gradients_of_complex_inputs_are_those_of_the_graph():
    z = T.zvector("z")
    op = OpFromGraph([z], [T.abs(z * z) + T.real(z)])
    value = np.array([1 + 2j, 3 - 1j])

    (plain,) = wb.grad((T.abs(z * z) + T.real(z)).sum(), [z])
    (wrapped,) = wb.grad(op(z).sum(), [z])

    np.testing.assert_allclose(wrapped.eval({z: value}), plain.eval({z: value}))


# --- many values, many levels ------------------------------------------------------------


def test_overridden_derivatives_are_batched():
    x, y = T.vectors("x", "y")
    op = OpFromGraph(
        [x, y],
        [x * y.sum()],
        lop_overrides=lambda i, o, g: [g[0] * i[1].sum() * 10, g[0]],
        rop_overrides=lambda i, t: [t[0] * i[0]],
    )
    xs, u = T.matrices("xs", "u")

    (ys,) = wb.vectorize_graph([op(x, y)], {x: xs})

    values = {xs: [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], y: [7.0, 8.0]}
    gx, gy = wb.grad(ys.sum(), [xs, y])
    np.testing.assert_array_equal(gx.eval(values), np.full((3, 2), 150.0))
    np.testing.assert_array_equal(gy.eval(values), [3.0, 3.0])
    tangent = wb.Rop(ys, xs, u)
    np.testing.assert_array_equal(
        tangent.eval(values | {u: np.ones((3, 2))}), values[xs]
    )


def test_blocks_in_blocks_in_blocks():
    x = T.scalar("x")
    op = OpFromGraph([x], [T.sin(x)])
    for _ in range(60):
        op = OpFromGraph([x], [op(x) + 1])

    f = wb.function([x], [op(x), wb.grad(op(x), x)])

    np.testing.assert_allclose(f(0.5), [np.sin(0.5) + 60, np.cos(0.5)])


def test_blocks_are_pickled():
    a, b = T.vectors("a", "b")
    y = affine()(a, b)

    copy = pickle.loads(pickle.dumps(y))

    assert copy.owner.op == y.owner.op and hash(copy.owner.op) == hash(y.owner.op)
    inputs = graph_inputs([copy])
    np.testing.assert_array_equal(
        copy.eval(dict(zip(inputs, ([1.0], [3.0]), strict=True))), [4.0]
    )


def test_a_long_graph_inside():
    x = T.scalar("x")
    y = x
    for _ in range(5_000):
        y = T.sin(y)

    op = OpFromGraph([x], [y])

    assert isinstance(op(x), Variable)
    assert len(toposort(op.expand(x))) == 5_000
    assert op == OpFromGraph([x], [y])
