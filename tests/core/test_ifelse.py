"""A choice of which only the branch that is taken is computed: values, types, derivatives."""

import pickle

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.branches import Counted
from workbench.core.errors import (
    ConditionError,
    DTypeError,
    ParameterError,
    ShapeError,
)
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, toposort
from workbench.core.ops.control import IfElse

BOTH = pytest.mark.parametrize("chosen", [True, False])


@pytest.fixture
def counted():
    return Counted()


def choices(variable):
    return [n for n in toposort([variable]) if isinstance(n.op, IfElse)]


# --- values and types


def test_the_condition_chooses_between_two_values():
    c, x, y = T.bscalar("c"), T.vector("x"), T.vector("y")
    z = wb.ifelse(c, x + 1, y * 2)

    assert z.eval({c: 1, x: [1.0], y: [5.0]}) == [2.0]
    assert z.eval({c: 0, x: [1.0], y: [5.0]}) == [10.0]


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "complex64"]
)
def test_a_condition_of_any_dtype_is_true_where_it_is_not_zero(dtype):
    c = T.TensorType(dtype, ())("c")
    z = wb.ifelse(c, 1, 2)

    assert [int(z.eval({c: np.array(v, dtype)})) for v in (0, 1)] == [2, 1]


def test_a_nan_is_true_as_in_python():
    c = T.dscalar("c")

    assert wb.ifelse(c, 1, 2).eval({c: np.nan}) == 1


def test_numbers_known_beforehand_may_be_conditions():
    assert wb.ifelse(True, 1.0, 2.0).eval() == 1.0
    assert wb.ifelse(0, 1.0, 2.0).eval() == 2.0


@pytest.mark.parametrize("shape", [(None,), (1,), (2, 3)])
def test_a_condition_with_axes_is_refused_with_a_cure(shape):
    c = T.TensorType("bool", shape)("mask")

    with pytest.raises(ShapeError, match="(?s)mask is bool.*T.switch") as caught:
        wb.ifelse(c, 1.0, 2.0)

    assert "wb.ifelse(c, 1.0, 2.0)" in str(caught.value)


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_give_a_list_chosen_together(kind):
    c, x = T.bscalar("c"), T.vector("x")
    outputs = wb.ifelse(c, kind([x, x.sum()]), kind([x * 2, 0.0]))

    assert isinstance(outputs, list)
    f = wb.function([c, x], outputs, mode="FAST_COMPILE")
    assert [a.tolist() for a in f(1, [1.0, 2.0])] == [[1.0, 2.0], 3.0]
    assert [a.tolist() for a in f(0, [1.0, 2.0])] == [[2.0, 4.0], 0.0]


@pytest.mark.parametrize(
    ("then", "other", "text"),
    [
        ([1.0], 2.0, "one branch is a list"),
        (1.0, (2.0,), "one branch is a list"),
        ([1.0, 2.0], [1.0], "2 and 1 values"),
        ([], [], "at least one"),
    ],
)
def test_branches_need_equally_many_values(then, other, text):
    with pytest.raises(ParameterError, match=text):
        wb.ifelse(T.bscalar("c"), then, other)


def test_names_are_those_of_the_results():
    c, x = T.bscalar("c"), T.scalar("x")

    assert wb.ifelse(c, x, 2 * x, name="rate").name == "rate"
    assert [v.name for v in wb.ifelse(c, [x, x], [x, x], "s")] == ["s.0", "s.1"]


def test_sizes_that_both_have_stay_known():
    c = T.bscalar("c")
    x, y = T.TensorType("float64", (3, 1, 4))(), T.TensorType("float64", (3, 1, None))()

    assert wb.ifelse(c, x, y).type.shape == (3, 1, None)
    assert wb.ifelse(c, x, y).broadcastable == (False, True, False)


def test_branches_may_have_different_sizes():
    c, x = T.bscalar("c"), T.vector("x")
    z = wb.ifelse(c, x, T.concatenate([x, x]))
    both = [z, z.shape, z.sum(), z * 2]

    for mode in ("FAST_COMPILE", "FAST_RUN", "None"):
        f = wb.function([c, x], both, mode=mode)
        for chosen in (1, 0):
            wanted = np.array([1.0, 2.0] * (2 - chosen))
            got = f(chosen, [1.0, 2.0])
            np.testing.assert_array_equal(got[0], wanted)
            assert got[1] == [len(wanted)]
            assert got[2] == wanted.sum()
            np.testing.assert_array_equal(got[3], wanted * 2)


@pytest.mark.parametrize(
    ("then", "other", "dtype"),
    [
        ("float32", "float64", "float64"),
        ("int8", "uint8", "int16"),
        ("bool", "int32", "int32"),
        ("int32", "float32", "float64"),
        ("int16", "float32", "float32"),
        ("float32", "complex64", "complex64"),
        ("int64", "int8", "int64"),
    ],
)
def test_dtypes_meet_in_one_that_holds_all_values_of_both(then, other, dtype):
    x, y = T.TensorType(then, ())("x"), T.TensorType(other, ())("y")

    assert wb.ifelse(T.bscalar(), x, y).dtype == dtype
    assert wb.ifelse(T.bscalar(), y, x).dtype == dtype


@pytest.mark.parametrize(
    ("then", "other"), [("int64", "float64"), ("uint64", "int8"), ("int64", "float32")]
)
def test_dtypes_that_would_round_are_named_with_the_line(then, other):
    x, y = T.TensorType(then, (None,))("x"), T.TensorType(other, (None,))("y")

    with pytest.raises(DTypeError, match="T.cast") as caught:
        wb.ifelse(T.bscalar(), x, y)

    text = str(caught.value)
    assert f"x: {then} vector" in text and f"y: {other} vector" in text
    assert "wb.ifelse(T.bscalar(), x, y)" in text


def test_a_constant_is_cast_where_its_value_stays():
    x = T.dvector("x")

    assert wb.ifelse(T.bscalar(), x, np.array([1, 2])).dtype == "float64"
    with pytest.raises(DTypeError):
        wb.ifelse(T.bscalar(), x, np.array([2**53 + 1]))


@pytest.mark.parametrize(
    ("dtype", "number", "joined"),
    [
        ("float32", 0.1, "float32"),
        ("float32", 1, "float32"),
        ("int8", 1, "int8"),
        ("int8", 0.5, "float64"),
        ("bool", 2, "int64"),
    ],
)
def test_python_numbers_adapt(dtype, number, joined):
    x = T.TensorType(dtype, ())("x")

    assert wb.ifelse(T.bscalar(), x, number).dtype == joined
    assert wb.ifelse(T.bscalar(), number, x).dtype == joined


def test_ranks_must_be_equal():
    x, y = T.vector("x"), T.matrix("y")

    with pytest.raises(ShapeError, match="(?s)x: float64 vector.*y: float64 matrix"):
        wb.ifelse(T.bscalar(), x, y)


# --- what is computed


@BOTH
@pytest.mark.parametrize("mode", ["None", "FAST_COMPILE"])
def test_only_the_branch_taken_is_computed(counted, chosen, mode):
    c, x = T.bscalar("c"), T.dvector("x")
    then, other = counted.square("then"), counted.square("other")
    f = wb.function([c, x], wb.ifelse(c, then(x) + 1, other(x + 1)), mode=mode)

    got = f(chosen, [2.0])

    assert got == ([5.0] if chosen else [9.0])
    assert counted.runs == {"then" if chosen else "other": 1}


@BOTH
def test_evaluation_is_lazy(counted, chosen):
    c, x = T.bscalar("c"), T.dvector("x")
    then, other = counted.square("then"), counted.square("other")

    got = evaluate([wb.ifelse(c, then(x), other(x))], {c: chosen, x: [3.0]})

    assert got[0] == [9.0]
    assert counted.runs == {"then" if chosen else "other": 1}


def test_a_branch_not_taken_cannot_fail():
    x = T.vector("x")
    checked = T.Assert("not empty")(x, x.size > 0)
    f = wb.function([x], wb.ifelse(x.size > 0, checked.max(), 0.0), mode="None")

    assert f([1.0, 3.0]) == 3.0
    assert f([]) == 0.0


def test_a_branch_taken_fails_as_ever():
    c, x = T.bscalar("c"), T.vector("x")
    f = wb.function(
        [c, x], wb.ifelse(c, T.Assert("positive")(x, x > 0), x), mode="FAST_COMPILE"
    )

    assert f(0, [-1.0]) == [-1.0]
    with pytest.raises(ConditionError, match="positive"):
        f(1, [-1.0])


def test_what_is_needed_elsewhere_is_computed_once(counted):
    c, x = T.bscalar("c"), T.dvector("x")
    square = counted.square("square")(x)

    values = evaluate([wb.ifelse(c, square, x), square + 1], {c: False, x: [3.0]})

    assert [v.tolist() for v in values] == [[3.0], [10.0]]
    assert counted.runs == {"square": 1}


def test_what_both_branches_need_is_computed_once(counted):
    c, x = T.bscalar("c"), T.dvector("x")
    square = counted.square("square")(x)

    evaluate([wb.ifelse(c, square + 1, square * 2)], {c: False, x: [3.0]})

    assert counted.runs == {"square": 1}


def test_a_branch_of_a_branch_not_taken_is_left_out_with_its_condition(counted):
    c, d, x = T.bscalar("c"), T.dvector("d"), T.dvector("x")
    asks = counted.square("asks")(d).sum() > 1
    inner = wb.ifelse(asks, counted.square("deep")(x), x)
    outer = wb.ifelse(c, inner, counted.square("other")(x))

    evaluate([outer], {c: False, d: [2.0], x: [1.0]})
    assert counted.ran() == {"other"}
    counted.clear()
    evaluate([outer], {c: True, d: [0.0], x: [1.0]})
    assert counted.ran() == {"asks"}
    counted.clear()
    evaluate([outer], {c: True, d: [2.0], x: [1.0]})
    assert counted.ran() == {"asks", "deep"}


def test_two_choices_that_share_a_part_compute_it_when_either_takes_it(counted):
    c, d, x = T.bscalar("c"), T.bscalar("d"), T.dvector("x")
    part = counted.square("part")(x)
    both = [wb.ifelse(c, part, x), wb.ifelse(d, x, part)]

    for first, second, runs in [(1, 1, 1), (0, 1, 0), (1, 0, 1), (0, 0, 1)]:
        counted.clear()
        evaluate(both, {c: first, d: second, x: [1.0]})
        assert counted.runs["part"] == runs


def test_a_value_that_is_given_is_not_computed(counted):
    c, x = T.bscalar("c"), T.dvector("x")
    part = counted.square("part")(x)

    got = evaluate([wb.ifelse(c, part, x)], {c: True, x: [1.0], part: [7.0]})

    assert got[0] == [7.0] and not counted.runs


def test_a_long_chain_of_choices_meets_no_limit_of_recursion():
    c, x = T.bscalar("c"), T.dscalar("x")
    y = x
    for _ in range(3000):
        y = wb.ifelse(c, y + 1, y)

    assert evaluate([y], {c: True, x: 0.0})[0] == 3000.0
    assert evaluate([y], {c: False, x: 0.0})[0] == 0.0


def test_an_update_may_be_a_choice(counted):
    c, w = T.bscalar("c"), wb.shared(np.array([2.0]), "w")
    step = counted.square("step")(w)
    f = wb.function([c], [], updates=[(w, wb.ifelse(c, step, w))], mode="FAST_COMPILE")

    f(False)
    assert w.get_value() == [2.0] and not counted.runs
    f(True)
    assert w.get_value() == [4.0] and counted.runs == {"step": 1}


# --- derivatives


def both_ways(counted, x, c):
    """A cost with work before, in both branches and after."""
    before = counted.square("before")(x)
    then, other = counted.square("then"), counted.square("other")
    return (wb.ifelse(c, then(before + 1), other(x) + x) * x).sum()


@BOTH
def test_a_gradient_computes_only_the_branch_that_is_taken(counted, chosen):
    c, x = T.bscalar("c"), T.dvector("x")
    g = wb.grad(both_ways(counted, x, c), x)

    (got,) = evaluate([g], {c: chosen, x: [2.0]})

    x = 2.0
    wanted = (x**2 + 1) ** 2 + 4 * x**2 * (x**2 + 1) if chosen else 3 * x**2 + 2 * x
    assert got == [wanted]
    in_branch = (
        {"before", "then", "then'", "before'"} if chosen else {"other", "other'"}
    )
    assert counted.ran() == in_branch


@BOTH
def test_a_second_gradient_computes_only_the_branch_that_is_taken(counted, chosen):
    c, x = T.bscalar("c"), T.dvector("x")
    first = wb.grad(both_ways(counted, x, c), x)
    second = wb.grad(first.sum(), x)

    (got,) = evaluate([second], {c: chosen, x: [2.0]})

    x = 2.0
    # (x(x²+1)²)'' = 20x³ + 12x, (x³ + x²)'' = 6x + 2
    assert got == [20 * x**3 + 12 * x if chosen else 6 * x + 2]
    gone = "other" if chosen else "then"
    assert not any(name.startswith(gone) for name in counted.ran())


@BOTH
def test_a_gradient_is_zero_for_what_only_the_other_branch_depends_on(chosen):
    c, x, y = T.bscalar("c"), T.dvector("x"), T.dvector("y")
    cost = wb.ifelse(c, (x**2).sum(), (y**3).sum())

    gx, gy = evaluate(wb.grad(cost, [x, y]), {c: chosen, x: [1.0, 2.0], y: [3.0]})

    assert gx.tolist() == ([2.0, 4.0] if chosen else [0.0, 0.0])
    assert gy.tolist() == ([0.0] if chosen else [27.0])


def test_a_branch_not_taken_leaves_no_nan_in_the_gradient():
    x = T.dscalar("x")
    cost = wb.ifelse(x > 0, T.sqrt(x), x * 2)

    g = wb.grad(cost, x)

    assert g.eval({x: 0.0}) == 2.0
    assert g.eval({x: 4.0}) == 0.25


def test_a_condition_has_no_gradient():
    x, y = T.dscalar("x"), T.dscalar("y")

    with pytest.raises(wb.DisconnectedInputError):
        wb.grad(wb.ifelse(x, y, 2 * y), x)


def random_cost(seed):
    """A function of two vectors, made of 6 to 15 operations many of which are choices."""

    def build(x, y):
        rng = np.random.default_rng(seed)
        made, conditions = [x, y, T.sin(x) * y], []

        def some():
            return made[int(rng.integers(len(made)))]

        def condition():
            if not conditions or rng.random() < 0.4:
                conditions.append(some().sum() > 0.1)
            return conditions[int(rng.integers(len(conditions)))]

        ways = [
            lambda a, b: wb.ifelse(condition(), a, b),
            lambda a, b: wb.ifelse(condition(), T.tanh(a), b * a),
            lambda a, b: wb.ifelse(condition(), [a, b], [b, T.zeros_like(a)])[0],
            lambda a, b: T.switch(a > b, a, b),
            lambda a, b: a * T.cos(b),
            lambda a, b: a + b,
            lambda a, b: T.cumsum(a) - b,
            lambda a, b: T.stack([a, b]).sum(axis=0),
        ]
        for _ in range(int(rng.integers(6, 16))):
            a, b = some(), some()
            made.append(ways[int(rng.integers(len(ways)))](a, b))
        return sum(v.sum() for v in made[-4:])

    return build


@pytest.mark.parametrize(
    "seed",
    [
        *range(30),
        *(pytest.param(s, marks=pytest.mark.nightly) for s in range(30, 1000)),
    ],
)
def test_gradients_of_random_choices_equal_differences(seed):
    rng = np.random.default_rng(seed)
    point = [rng.normal(size=3), rng.normal(size=3)]

    # The step is so small that no condition changes within it.
    wb.verify_grad(
        random_cost(seed), point, n_tests=1, eps=3e-6, rel_tol=1e-4, abs_tol=1e-4
    )


@pytest.mark.parametrize("seed", range(10))
def test_second_gradients_of_random_choices_equal_differences(seed):
    rng = np.random.default_rng(seed)
    point = [rng.normal(size=3), rng.normal(size=3)]
    build = random_cost(seed)

    def slope(x, y):
        found = wb.grad(build(x, y), [x, y], disconnected_inputs="ignore")
        return sum(T.sin(g).sum() for g in found)

    wb.verify_grad(slope, point, n_tests=1, eps=3e-6, rel_tol=1e-3, abs_tol=1e-3)


@BOTH
def test_a_forward_derivative_computes_only_the_branch_that_is_taken(counted, chosen):
    c, x, v = T.bscalar("c"), T.dvector("x"), T.dvector("v")
    other = counted.square("other")
    y = wb.ifelse(c, T.sin(x), other(x) ** 2)

    (got,) = evaluate([wb.Rop(y, x, v)], {c: chosen, x: [2.0], v: [3.0]})

    assert got == pytest.approx([3 * np.cos(2.0)] if chosen else [3 * 4 * 2.0**3])
    assert bool(counted.ran()) is not chosen


def test_a_long_chain_of_choices_has_a_gradient_of_like_length():
    c, x = T.bscalar("c"), T.dscalar("x")
    y = x
    for _ in range(300):
        y = wb.ifelse(c, y * 1.5, y - 1)

    g = wb.grad(y, x)

    assert len(toposort([g])) < 3000
    np.testing.assert_allclose(g.eval({c: 1, x: 1.0}), 1.5**300)
    assert g.eval({c: 0, x: 1.0}) == 1.0


def test_nested_choices_of_any_depth_have_a_gradient_of_like_length():
    x = T.dscalar("x")
    y = T.sin(x)
    for k in range(40):
        y = wb.ifelse(x > k, y * 2, x * k)

    g = wb.grad(y, x)

    assert len(toposort([g])) < 2000
    assert g.eval({x: 39.5}) == pytest.approx(np.cos(39.5) * 2.0**40)
    assert g.eval({x: 3.5}) == 39.0


# --- many at once, saved, printed


def test_batched_branches_are_chosen_together():
    c, x, xs = T.bscalar("c"), T.dvector("x"), T.dmatrix("xs")
    many = wb.vectorize_graph(wb.ifelse(c, x * 2, T.zeros_like(x) + 1), {x: xs})

    assert len(choices(many)) == 1
    assert many.eval({c: 1, xs: [[1.0], [2.0]]}).tolist() == [[2.0], [4.0]]
    assert many.eval({c: 0, xs: [[1.0], [2.0]]}).tolist() == [[1.0], [1.0]]


def test_a_batched_branch_stretches_the_other():
    c, x, y, xs = T.bscalar("c"), T.dvector("x"), T.dvector("y"), T.dmatrix("xs")
    many = wb.vectorize_graph(wb.ifelse(c, x, y), {x: xs})
    given = {xs: [[1.0], [2.0]], y: [5.0]}

    assert many.eval({c: 1, **given}).tolist() == [[1.0], [2.0]]
    assert many.eval({c: 0, **given}).tolist() == [[5.0], [5.0]]


def test_a_batched_condition_chooses_entry_by_entry():
    c, x, y = T.dscalar("c"), T.dvector("x"), T.dvector("y")
    cs, xs = T.dvector("cs"), T.dmatrix("xs")
    many = wb.vectorize_graph(wb.ifelse(c, x, y), {c: cs, x: xs})

    got = many.eval({cs: [1.0, 0.0], xs: [[1.0, 2.0], [3.0, 4.0]], y: [8.0, 9.0]})

    assert got.tolist() == [[1.0, 2.0], [8.0, 9.0]]


def test_a_jacobian_goes_through_a_choice():
    c, x = T.bscalar("c"), T.dvector("x")
    y = wb.ifelse(c, x**2, T.cumsum(x))

    jacobian = wb.jacobian(y, x)

    assert jacobian.eval({c: 1, x: [1.0, 2.0]}).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert jacobian.eval({c: 0, x: [1.0, 2.0]}).tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_a_choice_inside_an_op_of_a_graph_is_lazy(counted):
    c, x = T.bscalar("c"), T.dvector("x")
    body = wb.ifelse(c, counted.square("then")(x), counted.square("other")(x))
    op = wb.OpFromGraph([c, x], [body])
    y = op(c, x)
    g = wb.grad(y.sum(), x)

    values = evaluate([y, g], {c: False, x: [3.0]})

    assert [v.tolist() for v in values] == [[9.0], [6.0]]
    assert counted.ran() == {"other", "other'"}


def test_a_choice_is_saved_with_its_graph():
    c, x = T.bscalar("c"), T.dvector("x")
    z = wb.ifelse(c, x + 1, x, name="z")

    c2, x2, z2 = pickle.loads(pickle.dumps([c, x, z]))

    assert z2.name == "z" and choices(z2)[0].op == IfElse()
    assert z2.eval({c2: 1, x2: [1.0]}) == [2.0]


def test_a_choice_is_printed_with_its_branches():
    c, x = T.scalar("c", dtype="bool"), T.vector("x")
    z = wb.ifelse(c, x * x, -x, name="z")

    lines = wb.debugprint(z, file="str").splitlines()

    assert wb.pp(z) == "ifelse(c, x * x, -x)"
    assert [line.partition("]")[0] + "]" for line in lines] == [
        "ifelse [id A]",
        " ├ c [id B]",
        " ├ mul [id C]",
        " │ ├ x [id D]",
        " │ └ x [id D]",
        " └ neg [id E]",
        "   └ x [id D]",
    ]
    notes = [line.split("]")[1].split() for line in lines]
    assert notes[0][0] == "'z'"
    assert [note[1] for note in (notes[2], notes[5])] == ["then", "else"]


def test_the_node_takes_a_scalar_bool_only():
    x = T.vector("x")

    with pytest.raises(DTypeError, match="scalar bool"):
        IfElse()(T.bvector("c"), x, x)
    with pytest.raises(DTypeError, match="scalar bool"):
        IfElse()(T.iscalar("c"), x, x)


def test_equal_choices_are_equal_computations():
    c, x = T.bscalar("c"), T.vector("x")

    assert wb.equal_computations([wb.ifelse(c, x, -x)], [wb.ifelse(c, x, -x)])
    assert isinstance(wb.ifelse(c, x, -x), Variable)
