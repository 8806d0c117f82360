"""Which operations share a kernel, what is stored, in place, committed, and in which slot."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.kernels import has_kernel
from workbench.compile.loops import Loop, Store, walk
from workbench.compile.modes import Mode, get_mode
from workbench.compile.pipeline import make_c_program, optimise
from workbench.compile.ranges import part_of
from workbench.compile.record import Graph
from workbench.compile.rewrite import rewrite
from workbench.compile.rules import LOWERING
from workbench.compile.schedule import Schedule

BARE = Mode("c", ("fusion", "inplace"), "bare")


def schedule(inputs, outputs):
    graph, _ = optimise(Graph(tuple(inputs), tuple(outputs)), get_mode("FAST_RUN"))
    graph, _ = rewrite(graph, LOWERING, "lower")
    return Schedule(graph, has_kernel)


def program(inputs, outputs, updates=()):
    graph, _ = optimise(
        Graph(tuple(inputs), tuple(outputs), tuple(updates)), get_mode("FAST_RUN")
    )
    return make_c_program(graph)


def roles(plan):
    return [(unit.role, [str(n.op) for n in unit.nodes]) for unit in plan.units]


# --- sharing kernels ---------------------------------------------------------------------


def test_chain_of_elementwise_is_one_kernel():
    x, y = T.matrices("x", "y")

    plan = schedule([x, y], [T.tanh(x * y + 1) - x])

    assert roles(plan) == [("loops", ["mul", "add", "tanh", "sub"])]


def test_softmax_is_one_kernel_over_rows():
    x = T.matrix("x")

    plan = schedule([x], [T.nnet.softmax(x)])

    (unit,) = plan.units
    assert unit.fixed == 1
    assert [str(n.op) for n in unit.nodes] == [
        "supremum{axis=1}",
        "sub",
        "exp",
        "sum{axis=1}",
        "reciprocal",
        "mul",
    ]


def test_sum_joins_what_feeds_it():
    x, y = T.vectors("x", "y")

    plan = schedule([x, y], [(x * y).sum()])

    assert roles(plan) == [("loops", ["mul", "sum{axis=0}"])]


def test_what_uses_a_whole_sum_waits_for_it():
    x = T.vector("x")

    plan = schedule([x], [x / x.sum()])

    assert [unit.number for unit in plan.units] == [0, 1]


def test_column_sums_join_the_kernel_that_makes_the_rows():
    x = T.matrix("x")
    p = T.nnet.softmax(x)

    plan = schedule([x], [p, p.sum(axis=0)])

    (unit,) = plan.units
    assert [str(n.op) for n in unit.gathers] == ["sum{axis=0}"]


def test_transposed_reader_starts_a_kernel():
    x = T.matrix("x")
    e = T.exp(x)

    plan = schedule([x], [e.sum(axis=1), T.dot(e.T, x)])

    assert [unit.role for unit in plan.units] == ["loops", "library"]
    assert e.owner.outputs[0].owner.op == next(n.op for n in plan.units[0].nodes)


def test_views_and_sizes_are_never_kernels():
    x = T.matrix("x")

    plan = schedule([x], [x.T[1:, ::-1] + x.shape[0]])

    assert [unit.role for unit in plan.units] == ["loops"]


def test_result_that_is_a_view_gets_memory_of_its_own():
    x = T.matrix("x")

    plan = schedule([x], [x.T, x])

    assert {name for _, names in roles(plan) for name in names} == {"copy"}


def test_sizes_that_must_be_equal_share_a_loop():
    x, y = T.matrix("x"), T.vector("y")

    plan = schedule([x, y], [(x * y).sum(axis=1), T.exp(y)])

    assert plan.extents.of(x)[1] is plan.extents.of(y)[0]
    assert [str(c.node.op) for c in plan.extents.checks] == ["mul"]


def test_long_chain_is_cut_into_kernels_of_bounded_length():
    x = T.vector("x")
    y = x
    for _ in range(1000):
        y = T.sin(y) + x

    plan = schedule([x], [y])

    assert [len(unit.nodes) for unit in plan.units[:-1]] == [300] * (
        len(plan.units) - 1
    )


# --- memory ------------------------------------------------------------------------------


def test_activation_works_in_place_on_a_product():
    x, W = T.matrices("x", "W")

    made = program([x, W], [T.nnet.sigmoid(T.dot(x, W))])

    (out,) = made.plan.outputs
    assert made.plan.in_place[out].owner.op.name == "dot"
    assert made.plan.slots == 0


def test_nothing_is_overwritten_before_its_last_reader():
    x, W = T.matrices("x", "W")
    product = T.dot(x, W)
    outputs = [T.tanh(product), product.sum(axis=1), (product * 2).max()]
    values = np.arange(12.0).reshape(3, 4), np.ones((4, 4))

    got = wb.function([x, W], outputs)(*values)

    for want, have in zip(
        wb.function([x, W], outputs, mode="None")(*values), got, strict=True
    ):
        np.testing.assert_allclose(have, want)


def test_inputs_are_never_overwritten():
    x = T.vector("x")
    values = np.arange(4.0)

    wb.function([x], T.exp(x) + 1)(values)

    np.testing.assert_array_equal(values, np.arange(4.0))


def test_slots_are_shared_by_values_that_never_meet():
    x = T.matrix("x")
    y = x
    for _ in range(6):
        y = T.dot(T.tanh(y), x)

    made = program([x], [y])

    assert made.plan.slots == 2


def test_update_that_cannot_fail_is_committed_in_place():
    w, x = wb.shared(np.zeros(3), "w"), T.vector("x")

    made = program([x], [T.dot(x, x)], [(w, w - 0.1 * T.tanh(x))])

    assert made.plan.commits == 1
    assert made.plan.swaps == []
    assert made.plan.order[-1].writes == (made.schedule.graph.updates[0][1],)


def test_update_of_another_size_is_exchanged():
    w, x = wb.shared(np.zeros(3), "w"), T.vector("x")

    made = program([x], [], [(w, T.concatenate([w, x]))])

    assert made.plan.commits == 0
    assert [shared for shared, _ in made.plan.swaps] == [w]


def test_exchange_of_two_variables_is_committed_at_most_once_in_place():
    a, b = wb.shared(np.zeros(3), "a"), wb.shared(np.ones(3), "b")

    swap = wb.function([], [], updates=[(a, b * 1.0 + 0), (b, a * 2)])
    swap()

    np.testing.assert_array_equal(a.get_value(), np.ones(3))
    np.testing.assert_array_equal(b.get_value(), np.zeros(3))


def test_commits_come_after_every_kernel_that_can_fail():
    w, x, i = wb.shared(np.zeros(3), "w"), T.vector("x"), T.lvector("i")

    made = program([x, i], [x[i].sum()], [(w, w + x)])

    can_fail = [unit.can_fail for unit in made.plan.order]
    assert made.plan.commits == 1
    assert not can_fail[-1]
    assert any(can_fail[:-1])


# --- loops -------------------------------------------------------------------------------


def test_contiguous_work_is_one_flat_loop():
    x, y = T.tensor3("x"), T.tensor3("y")

    made = program([x, y], [x * y + 2])

    loops = [s for s in walk(made.plan.order[0].block) if isinstance(s, Loop)]
    assert len(loops) == 1


def test_what_does_not_depend_on_a_loop_stands_outside_it():
    x, b = T.matrix("x"), T.vector("b")

    made = program([x, b], [x * T.exp(b).dimshuffle(0, "x")])

    inner = [s for s in walk(made.plan.order[-1].block) if isinstance(s, Loop)][-1]
    assert (
        len([s for s in inner.body.statements if not isinstance(s, Store)]) == 2
    )  # load x, multiply


def test_expensive_value_of_two_phases_is_kept_for_the_row():
    x = T.matrix("x")

    made = program([x], [T.nnet.softmax(x).sum(axis=0)])

    (unit,) = made.plan.order
    assert [str(v.owner.op) for v in unit.scratch] == ["exp"]


def test_value_of_two_phases_is_kept_in_the_row_of_the_result():
    x = T.matrix("x")

    made = program([x], [T.nnet.softmax(x)])

    (unit,) = made.plan.order
    assert not unit.scratch
    stores = [s for s in walk(unit.block) if isinstance(s, Store)]
    assert {s.buffer for s in stores} == {unit.writes[0]}
    assert len(stores) == 2


def test_kernel_is_moved_so_that_another_can_be_joined():
    x, z = T.matrix("x"), T.vector("z")
    y = T.lvector("y")
    rows = T.inc_subtensor(T.zeros_like(z)[y], 1.0)

    plan = schedule([x, y, z], [T.nnet.softmax(x) * rows.dimshuffle(0, "x")])

    assert [unit.role for unit in plan.units] == ["assembly", "loops"]


def test_what_a_few_elements_are_taken_of_is_not_stored():
    x, y = T.matrix("x"), T.lvector("y")
    taken = T.nnet.logsoftmax(x)[T.arange(y.shape[0]), y]

    plan = schedule([x, y], [taken.sum()])

    assert all(v.ndim < 2 or v.broadcastable[1] for v in plan.stored)


def test_cheap_value_is_computed_by_each_reader():
    x, w = T.matrix("x"), T.matrix("w")
    h = T.tanh(x)
    slope = 1 - h * h

    plan = schedule([x, w], [h, T.dot(h, w) * slope])

    assert all(v.owner is not slope.owner for v in plan.stored)
    assert len(plan.stored) == 3


def test_no_reader_is_said_to_read_what_it_computes_itself():
    x, w = T.matrix("x"), T.matrix("w")
    h = T.tanh(x)
    slope = 1 - h * h

    plan = schedule([x, w], [h, T.dot(h, w) * slope])

    inline = [node for node in plan.nodes if plan.role(node) == "inline"]
    assert "sub" in [str(node.op) for node in inline]
    looped = [node for node in plan.nodes if plan.role(node) == "loops"]
    handed = [node for node in plan.nodes if plan.role(node) == "library"]
    read = {r.variable for node in looped for r in plan.reads(node)}
    read |= {v for node in handed for v in plan.handed(node).all}
    assert "tanh" in [str(v.owner.op) for v in read if v.owner]
    assert not read & {node.output for node in inline}


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 40])
def test_row_kernels_hold_for_every_length(rows, columns):
    x = T.matrix("x")
    p = T.nnet.softmax(x)
    outputs = [p, p.sum(axis=0), x.max(axis=1), T.argmax(x, axis=1), (x * p).sum()]
    value = np.random.default_rng(columns).normal(size=(rows, columns))
    reference = wb.function([x], outputs, mode="None")

    got = wb.function([x], outputs, mode=BARE)(value)

    for want, have in zip(reference(value), got, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-14)


# --- sizes that are computed -------------------------------------------------------------


def test_loop_over_a_computed_length():
    x = T.lvector("x")
    out = T.arange(x.sum()) * 2

    f = wb.function([x], [out, out.sum()])

    np.testing.assert_array_equal(f([1, 3])[0], [0, 2, 4, 6])
    assert f([2, 3])[1] == 20
    assert f([0, 0])[0].shape == (0,)


def test_computed_length_is_checked_before_it_is_used():
    x, y = T.lvector("x"), T.vector("y")
    f = wb.function([x, y], T.arange(x.sum()) + y)

    np.testing.assert_array_equal(f([1, 1], [0.5, 0.5]), [0.5, 1.5])
    with pytest.raises(wb.ShapeError, match="axis 0"):
        f([1, 2], [0.5, 0.5])


def test_slice_by_a_computed_place():
    x, y = T.vector("x"), T.vector("y")
    i = T.argmax(y)

    f = wb.function([x, y], [x[i:], x[i]])

    tail, one = f([1.0, 2.0, 3.0], [0.0, 9.0, 1.0])
    np.testing.assert_array_equal(tail, [2.0, 3.0])
    assert one == 2.0


# --- ranges ------------------------------------------------------------------------------


def parts(made):
    (unit,) = made.plan.order
    loops = [s for s in unit.block.statements if isinstance(s, Loop)]
    return [part_of(unit.block, loop) for loop in loops]


def test_rows_may_be_cut_into_ranges():
    x = T.matrix("x")

    (part,) = parts(program([x], [T.nnet.softmax(x)]))

    assert part is not None
    assert part.work.text.startswith("n")


def test_sum_over_the_rows_is_not_cut():
    x = T.matrix("x")

    found = parts(program([x], [T.exp(x).sum(axis=0)]))

    assert found[-1] is None


def test_scattered_sum_is_not_cut():
    x, y = T.vector("x"), T.lvector("y")

    found = parts(program([x, y], [T.inc_subtensor(x[y], 1.0)]))

    assert found[-1] is None
