"""Choices in compiled functions: only the branch that is taken is computed, in C as in NumPy."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.branches import Counted
from workbench.compile.branches import ALWAYS, simplified
from workbench.compile.taken import Pick, When
from workbench.core.errors import ConditionError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.ops.control import IfElse

BOTH = pytest.mark.parametrize("chosen", [1, 0])
MODES = pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "None", "DEBUG"])
ROW = np.array([0.5, -1.0, 2.0])


@pytest.fixture
def counted():
    return Counted()


def kinds(function):
    return [kernel.kind for kernel in function.compilation.kernels]


def units(function):
    """The operations of the compiled program's kernels."""
    return [
        node.op
        for unit in function.program.schedule.units
        for node in (*unit.nodes, *unit.after)
    ]


# --- laziness


@BOTH
@MODES
def test_only_the_branch_taken_is_computed(counted, chosen, mode):
    c, x = T.bscalar("c"), T.dvector("x")
    then, other = counted.square("then"), counted.square("other")
    f = wb.function([c, x], wb.ifelse(c, then(x) + 1, other(x + 1)), mode=mode)
    f(chosen, [2.0])
    counted.clear()

    got = f(chosen, [2.0])

    assert got == ([5.0] if chosen else [9.0])
    assert counted.ran() == {"then" if chosen else "other"}


@BOTH
def test_an_operation_of_a_branch_is_run_once(counted, chosen):
    c, x = T.bscalar("c"), T.dvector("x")
    then, other = counted.square("then")(x), counted.square("other")(x)
    both = wb.ifelse(c, [then, then + 1], [other, other * 2])
    f = wb.function([c, x], [*both, *wb.grad(both[0].sum() ** 2, [x], add_names=False)])

    f(chosen, [2.0])

    name = "then" if chosen else "other"
    assert counted.runs == {name: 1, f"{name}'": 1}


@BOTH
@MODES
def test_a_gradient_computes_only_the_branch_that_is_taken(counted, chosen, mode):
    c, x = T.bscalar("c"), T.dvector("x")
    then, other = counted.square("then"), counted.square("other")
    cost = (wb.ifelse(c, then(x + 1), other(x) + x) * x).sum()
    f = wb.function([c, x], [cost, wb.grad(cost, x)], mode=mode)
    f(chosen, [2.0])
    counted.clear()

    got = f(chosen, [2.0])

    assert [np.sum(v) for v in got] == ([18.0, 21.0] if chosen else [12.0, 16.0])
    assert counted.ran() == ({"then", "then'"} if chosen else {"other", "other'"})


@MODES
def test_a_branch_not_taken_cannot_fail(mode):
    x, y = T.vector("x"), T.vector("y")
    z = wb.ifelse(T.eq(x.shape[0], y.shape[0]), x + y, x * 2)
    f = wb.function([x, y], [z, z.sum()], mode=mode)

    assert f([1.0, 2.0], [3.0, 4.0])[0].tolist() == [4.0, 6.0]
    assert f([1.0, 2.0], [3.0])[0].tolist() == [2.0, 4.0]
    assert f([1.0], [3.0, 4.0])[0].tolist() == [2.0]


@MODES
def test_an_index_of_a_branch_not_taken_may_be_out_of_range(mode):
    x, i = T.vector("x"), T.lscalar("i")
    f = wb.function([x, i], wb.ifelse(i < x.size, x[i] * T.exp(x), x), mode=mode)

    np.testing.assert_allclose(f(ROW, 2), 2 * np.exp(ROW))
    np.testing.assert_array_equal(f(ROW, 7), ROW)


@MODES
def test_the_maximum_of_nothing_may_be_left_out(mode):
    x = T.vector("x")
    f = wb.function([x], wb.ifelse(x.size > 0, x.max(), 0.0), mode=mode)

    assert f([1.0, 3.0]) == 3.0
    assert f([]) == 0.0


@MODES
def test_sizes_of_a_branch_not_taken_may_be_impossible(mode):
    n, x = T.lscalar("n"), T.vector("x")
    f = wb.function([n, x], wb.ifelse(n > 0, T.zeros(n) + x[0], x), mode=mode)

    assert f(2, [5.0]).tolist() == [5.0, 5.0]
    assert f(-3, [5.0, 6.0]).tolist() == [5.0, 6.0]


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "None"])
def test_a_branch_taken_fails_as_ever(mode):
    c, x, y = T.bscalar("c"), T.vector("x"), T.vector("y")
    f = wb.function([c, x, y], wb.ifelse(c, T.exp(x) * y, x), mode=mode)

    assert f(0, [1.0], [1.0, 2.0]).tolist() == [1.0]
    with pytest.raises(ShapeError, match="axis 0") as caught:
        f(1, [1.0], [1.0, 2.0])

    assert "T.exp(x) * y" in str(caught.value)


def test_a_check_in_a_branch_taken_is_reported_with_its_line():
    c, x = T.bscalar("c"), T.vector("x")
    checked = T.Assert("all positive")(x, x > 0)
    f = wb.function([c, x], wb.ifelse(c, T.log(checked), x))

    assert f(0, [-1.0]) == [-1.0]
    with pytest.raises(ConditionError, match="all positive"):
        f(1, [-1.0])


# --- in one program


def test_branches_are_part_of_the_program():
    c, X, w = T.scalar("c"), T.matrix("X"), T.vector("w")
    z = wb.ifelse(c > 0, T.tanh(T.dot(X, w)), T.exp(X).sum(axis=1))
    f = wb.function([c, X, w], [z, *wb.grad((z**2).sum(), [X, w])])

    assert "host" not in kinds(f)
    assert any(isinstance(op, When) for op in units(f))
    assert not any(isinstance(op, IfElse) for op in units(f))
    for sign in (1, -1):
        given = {c: sign, X: np.arange(6.0).reshape(2, 3) / 5, w: ROW}
        expected = evaluate([z, *wb.grad((z**2).sum(), [X, w])], given)
        for got, want in zip(f(*given.values()), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_what_the_forward_pass_computed_in_a_branch_is_there_for_the_gradient():
    c, X = T.scalar("c"), T.matrix("X")
    hidden = T.tanh(T.dot(X, X))
    z = wb.ifelse(c > 0, hidden, X)
    g = wb.grad((T.dot(z, z) ** 2).sum(), X)
    f = wb.function([c, X], g)

    bodies = [op.body for op in units(f) if isinstance(op, When)]
    tanhs = [n for body in bodies for n in body.order if n.op.name == "tanh"]

    assert len(tanhs) == 1


def test_a_choice_between_what_is_there_joins_the_loops():
    c, x = T.bscalar("c"), T.vector("x")
    f = wb.function([c, x], T.exp(wb.ifelse(c, x * 2, x)) + 1)
    g = wb.function([c, x], (wb.ifelse(c, x.sum(), x[0] + 1) + x).sum())

    assert not any(isinstance(op, IfElse) for op in [*units(f), *units(g)])
    np.testing.assert_allclose(f(1, ROW), np.exp(2 * ROW) + 1)
    np.testing.assert_allclose(f(0, ROW), np.exp(ROW) + 1)
    np.testing.assert_allclose(g(1, ROW), (ROW.sum() + ROW).sum())
    np.testing.assert_allclose(g(0, ROW), (ROW[0] + 1 + ROW).sum())


def test_choices_of_single_numbers_need_no_branch():
    c, x, y = T.bscalar("c"), T.scalar("x"), T.scalar("y")
    f = wb.function([c, x, y], wb.ifelse(c, x * y, T.exp(x) - y))

    assert not any(isinstance(op, When | Pick) for op in units(f))
    assert f(1, 2.0, 3.0) == 6.0
    assert f(0, 0.0, 3.0) == -2.0


def test_one_condition_makes_one_branch_of_several_choices():
    c, x = T.bscalar("c"), T.vector("x")
    e = T.exp(x)
    first, second = wb.ifelse(c, [e, (e * x).sum()], [x, 0.0])
    f = wb.function([c, x], [first, second])

    assert sum(isinstance(op, When) for op in units(f)) == 1
    for got, want in zip(f(1, ROW), (np.exp(ROW), np.exp(ROW) @ ROW), strict=True):
        np.testing.assert_allclose(got, want)


@BOTH
def test_sizes_may_differ(chosen):
    c, x = T.bscalar("c"), T.matrix("x")
    z = wb.ifelse(c, T.exp(x)[:1], T.concatenate([x, x * 2]))
    f = wb.function([c, x], [z, z.T * 2, z.shape[0]])
    value = np.arange(6.0).reshape(2, 3)

    got = f(chosen, value)

    wanted = np.exp(value)[:1] if chosen else np.concatenate([value, value * 2])
    np.testing.assert_allclose(got[0], wanted)
    np.testing.assert_allclose(got[1], wanted.T * 2)
    assert got[2] == len(wanted)
    assert "host" not in kinds(f)


@BOTH
def test_sizes_that_only_values_tell_are_known_when_the_branch_has_run(chosen):
    c, x = T.bscalar("c"), T.vector("x")
    z = wb.ifelse(c, x[x > 0] * 2, x)
    f = wb.function([c, x], [z, z.sum()])

    got = f(chosen, ROW)

    wanted = ROW[ROW > 0] * 2 if chosen else ROW
    np.testing.assert_array_equal(got[0], wanted)
    assert got[1] == wanted.sum()


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", "float32", "complex128"]
)
@BOTH
def test_branches_of_every_dtype(dtype, chosen):
    c = T.bscalar("c")
    x = T.TensorType(dtype, (None, None))("x")
    f = wb.function([c, x], wb.ifelse(c, x.T, T.concatenate([x, x])))
    value = np.arange(6).reshape(2, 3).astype(dtype)

    got = f(chosen, value)

    wanted = value.T if chosen else np.concatenate([value, value])
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def test_a_branch_of_constants_needs_no_input():
    c = T.bscalar("c")
    table = np.arange(4.0)
    f = wb.function([c], wb.ifelse(c, T.exp(T.arange(3.0)), T.sin(T.constant(table))))

    np.testing.assert_allclose(f(1), np.exp(np.arange(3)))
    np.testing.assert_allclose(f(0), np.sin(table))


@MODES
def test_branches_within_branches(mode):
    c, d, x = T.bscalar("c"), T.bscalar("d"), T.vector("x")
    shared = T.exp(x)
    deep = wb.ifelse(d, shared.cumsum(), x * shared)
    z = wb.ifelse(c, deep + shared, T.sin(x))
    outputs = [z, wb.grad((z * x).sum(), x)]
    f = wb.function([c, d, x], outputs, mode=mode)

    for one in (0, 1):
        for two in (0, 1):
            expected = evaluate(outputs, {c: one, d: two, x: ROW})
            for got, want in zip(f(one, two, ROW), expected, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_condition_that_is_computed_in_a_branch():
    c, x = T.bscalar("c"), T.vector("x")
    total = T.exp(x).sum()
    z = wb.ifelse(c, wb.ifelse(total > 3, T.log(x), x / total), -x)
    f = wb.function([c, x], z)

    assert "host" not in kinds(f)
    np.testing.assert_allclose(f(0, ROW), -ROW)
    np.testing.assert_allclose(f(1, ROW + 2), np.log(ROW + 2))
    low = ROW - 9
    np.testing.assert_allclose(f(1, low), low / np.exp(low).sum())


def test_two_conditions_share_a_part(counted):
    c, d, x = T.bscalar("c"), T.bscalar("d"), T.dvector("x")
    part = counted.square("part")(x)
    f = wb.function([c, d, x], [wb.ifelse(c, part, x), wb.ifelse(d, x, part * 2)])

    for one, two, runs in [(1, 1, 1), (0, 1, 0), (1, 0, 1), (0, 0, 1)]:
        counted.clear()
        first, second = f(one, two, [3.0])
        assert counted.runs["part"] == runs
        assert first == ([9.0] if one else [3.0])
        assert second == ([3.0] if two else [18.0])


# --- in loops


@MODES
def test_a_step_of_a_loop_computes_only_the_branch_that_is_taken(counted, mode):
    xs, start = T.dmatrix("xs"), T.dvector("start")
    then, other = counted.square("then"), counted.square("other")

    def step(x, h):
        return wb.ifelse(x.sum() > 0, then(x) + h, other(h))

    states, _ = wb.scan(step, sequences=xs, outputs_info=start)
    f = wb.function([xs, start], states, mode=mode)
    f([[1.0, 0.0], [3.0, 1.0]], [2.0, 3.0])
    assert counted.ran() == {"then"}
    counted.clear()

    got = f([[1.0, 0.0], [-3.0, 1.0]], [2.0, 3.0])

    assert got.tolist() == [[3.0, 3.0], [9.0, 9.0]]
    if mode != "DEBUG":
        assert counted.runs == {"then": 1, "other": 1}


def test_a_choice_in_a_loop_stays_in_the_compiled_loop():
    xs, start = T.matrix("xs"), T.vector("start")

    def step(x, h):
        return wb.ifelse(T.exp(x).sum() > 3, T.tanh(h + x), h.cumsum())

    states, _ = wb.scan(step, sequences=xs, outputs_info=start)
    f = wb.function([xs, start], states)

    assert "host" not in kinds(f)
    rng = np.random.default_rng(0)
    given = {xs: rng.normal(size=(20, 3)), start: rng.normal(size=3)}
    (expected,) = evaluate([states], given)
    np.testing.assert_allclose(f(*given.values()), expected, rtol=1e-10)


def test_a_loop_may_be_a_branch():
    c, xs, w = T.bscalar("c"), T.matrix("xs"), T.matrix("w")
    start = T.zeros_like(xs[0])
    states, _ = wb.scan(
        lambda x, h, w: T.tanh(T.dot(w, h) + x),
        sequences=xs,
        outputs_info=start,
        non_sequences=w,
    )
    cost = T.sqr(wb.ifelse(c, states[-1], xs.sum(axis=0))).sum()
    outputs = [cost, *wb.grad(cost, [xs, w])]
    f = wb.function([c, xs, w], outputs)
    rng = np.random.default_rng(0)

    for chosen in (1, 0):
        given = {c: chosen, xs: rng.normal(size=(4, 3)), w: rng.normal(size=(3, 3))}
        expected = evaluate(outputs, given)
        for got, want in zip(f(*given.values()), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10)


# --- state


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_an_update_may_be_a_choice(mode):
    c, x = T.bscalar("c"), T.matrix("x")
    w = wb.shared(np.ones(3), "w")
    cost = (T.tanh(T.dot(x, w)) ** 2).sum()
    step = wb.ifelse(c, w - 0.5 * wb.grad(cost, w), w)
    f = wb.function([c, x], cost, updates=[(w, step)], mode=mode)
    value = np.arange(6.0).reshape(2, 3) / 10

    f(0, value)
    assert w.get_value().tolist() == [1.0, 1.0, 1.0]
    t = np.tanh(value @ np.ones(3))
    f(1, value)

    np.testing.assert_allclose(
        w.get_value(), 1 - 0.5 * (2 * t * (1 - t**2)) @ value, rtol=1e-12
    )


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_gradient_passes_a_choice_between_shared_parameters(mode):
    c, x = T.bscalar("c"), T.vector("x")
    v, w = wb.shared(ROW, "v"), wb.shared(2 * ROW, "w")
    cost = T.sqr(T.dot(x, wb.ifelse(c, v, w)))
    gv, gw = wb.grad(cost, [v, w])
    f = wb.function([c, x], cost, updates=[(v, v - gv), (w, w - gw)], mode=mode)

    f(1, ROW)

    np.testing.assert_array_equal(w.get_value(), 2 * ROW)
    np.testing.assert_allclose(v.get_value(), ROW - 2 * (ROW @ ROW) * ROW)


# --- rules


def test_a_known_condition_leaves_one_branch():
    x = T.vector("x")
    f = wb.function([x], wb.ifelse(True, x * 2, T.exp(x)))

    assert [
        n.op.name for n in f.compilation.after.nodes() if n.op.name != "dimshuffle"
    ] == ["mul"]


def test_a_condition_known_from_the_branch_it_stands_in_is_not_asked_again():
    c, x = T.bscalar("c"), T.vector("x")
    inner = wb.ifelse(c, T.exp(x), T.log(x)).sum()
    f = wb.function([c, x], wb.ifelse(c, inner * x, x))

    names = [
        n.op.name for op in units(f) if isinstance(op, When) for n in op.body.order
    ]

    assert "exp" in names and "log" not in names
    np.testing.assert_allclose(f(1, ROW), np.exp(ROW).sum() * ROW)


@pytest.mark.parametrize(
    ("terms", "guard"),
    [
        ([{(0, True)}, {(0, False)}], [set()]),
        ([{(0, True), (1, True)}, {(0, True)}], [{(0, True)}]),
        ([{(0, True), (1, True)}, {(0, True), (1, False)}], [{(0, True)}]),
        ([{(0, True)}, {(0, False), (1, True)}], [{(0, True)}, {(1, True)}]),
        ([], []),
    ],
)
def test_guards_are_written_in_one_short_way(terms, guard):
    found = simplified(map(frozenset, terms))

    assert found == frozenset(map(frozenset, guard))


def test_a_guard_of_too_many_cases_is_what_they_have_in_common():
    terms = [frozenset([(0, True), (k, True)]) for k in range(1, 40)]

    assert simplified(terms) == frozenset([frozenset([(0, True)])])
    assert simplified([frozenset([(k, True)]) for k in range(40)]) == ALWAYS
