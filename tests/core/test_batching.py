"""Graphs for many values at once: equal to the results of single values, stacked."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.op_cases import CASES
from workbench.core.batching import vectorize_graph
from workbench.core.errors import DTypeError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, graph_inputs, toposort
from workbench.core.ops.blockwise import Blockwise
from workbench.core.ops.mathematics import Sin

DEEP = 100_000
ENTRIES = 3
DIFFER = "would have different shapes"


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def many_of(variable, name="many"):
    """A variable for a number of entries that is not known."""
    return Variable(variable.type.with_shape((None, *variable.type.shape)), name)


def draws(case, dtype, shapes):
    """Arrays for several entries, and which inputs may differ from entry to entry."""
    rng = np.random.default_rng(len(case.name))
    entries = [case.inputs(rng, dtype, shapes) for _ in range(ENTRIES)]
    core = case.variables(entries[0])
    output = case.build(*core)
    free = [v for v in core if may_differ(output, v)]
    shapes_of_entries = {shapes_within(output, core, arrays) for arrays in entries}
    if len(shapes_of_entries) > 1:  # sizes that values decide: the same for all
        entries = [entries[0]] * ENTRIES
    return core, output, entries, free


def may_differ(output, variable):
    try:
        vectorize_graph([output], {variable: many_of(variable)})
    except ShapeError as error:
        assert DIFFER in str(error)
        return False
    return True


def shapes_within(output, core, arrays):
    """The shapes of everything that is computed on the way."""
    made = [v for node in toposort([output]) for v in node.outputs]
    values = evaluate(made, dict(zip(core, arrays, strict=True)))
    return tuple(value.shape for value in values)


def single_values(outputs, core, entries, batched):
    """The outputs for each entry, stacked; what is not batched is that of the first."""
    found = []
    for arrays in entries:
        values = {
            v: a if v in batched else first
            for v, a, first in zip(core, arrays, entries[0], strict=True)
        }
        found.append(evaluate(outputs, values))
    return [np.stack(each) for each in zip(*found, strict=True)]


def batched_values(outputs, core, entries, batched):
    """The batched outputs for all entries at once; `batched` maps to what holds them."""
    values = {}
    for i, v in enumerate(core):
        arrays = [entry[i] for entry in entries]
        if v in batched:
            values[batched[v]] = np.stack(arrays)
        else:
            values[v] = arrays[0]
    needed = graph_inputs(outputs)
    return evaluate(outputs, {v: a for v, a in values.items() if v in needed})


def assert_equal(got, expected, ulps):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype.kind in "fc":
        eps = np.finfo(got.dtype).eps
        np.testing.assert_allclose(got, expected, ulps * 8 * eps, ulps * 8 * eps)
    else:
        np.testing.assert_array_equal(got, expected)


def choices(free):
    """All inputs batched, then each of them alone."""
    if free:
        yield free
    if len(free) > 1:
        yield from ([v] for v in free)


@by_name(CASES)
def test_many_values_at_once_equal_single_values(case):
    dtypes = [d for d in ("float64", "int32", "bool") if d in case.dtypes]
    for dtype in dtypes[:2] or case.dtypes[:1]:
        for shapes in case.shapes:
            core, output, entries, free = draws(case, dtype, shapes)
            for chosen in choices(free):
                batched = {v: many_of(v) for v in chosen}

                (result,) = vectorize_graph([output], batched)

                (got,) = batched_values([result], core, entries, batched)
                (expected,) = single_values([output], core, entries, chosen)
                assert result.type.fits(got)
                assert_equal(got, expected, case.ulps)


@by_name([c for c in CASES if c.differentiable and "float64" in c.dtypes])
def test_gradient_through_a_batch_equals_single_gradients(case):
    for shapes in case.shapes[:2]:
        core, output, entries, free = draws(case, "float64", shapes)
        wrt = [core[i] for i in case.differentiable]
        cost = T.sum(T.sin(output))
        single = T.grad(cost, wrt, disconnected_inputs="ignore")
        batched = {v: many_of(v) for v in free}
        (result,) = vectorize_graph([output], batched)

        gradients = T.grad(
            T.sum(T.sin(result)),
            [batched.get(v, v) for v in wrt],
            disconnected_inputs="ignore",
        )

        got = batched_values(gradients, core, entries, batched)
        expected = single_values(single, core, entries, free)
        for have, want in zip(got, expected, strict=True):
            assert_equal(have, want, case.ulps * 16)


@by_name(
    [
        case
        for case in CASES
        if case.differentiable and "float64" in case.dtypes and len(case.shapes[0]) > 1
    ]
)
def test_gradient_of_one_input_for_all_entries_is_the_sum(case):
    shapes = case.shapes[0]
    core, output, entries, free = draws(case, "float64", shapes)
    cost = T.sum(T.sin(output))
    for i in case.differentiable:
        others = [v for v in free if v is not core[i]]
        if not others:
            continue
        batched = {v: many_of(v) for v in others}
        (result,) = vectorize_graph([output], batched)
        single = T.grad(cost, core[i], disconnected_inputs="ignore")

        gradient = T.grad(T.sum(T.sin(result)), core[i], disconnected_inputs="ignore")

        (got,) = batched_values([gradient], core, entries, batched)
        (expected,) = single_values([single], core, entries, others)
        assert_equal(got, expected.sum(axis=0), case.ulps * 64)


# --- single kinds ------------------------------------------------------------------------


def ops_of(variable):
    return [node.op.name for node in toposort([variable])]


def test_several_axes_in_front_broadcast_together():
    x, y = T.vectors("x", "y")
    xs, ys = T.tensor4("xs"), T.TensorType("float64", (1, None, None))("ys")

    (result,) = vectorize_graph([T.dot(x, y) + x.max()], {x: xs, y: ys})

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 2, 3, 5)), rng.normal(size=(1, 3, 5))
    np.testing.assert_allclose(
        result.eval({xs: a, ys: b}), (a * b).sum(-1) + a.max(-1), rtol=1e-12
    )


@pytest.mark.parametrize("shapes", [((4,), (4,)), ((2, 4), (4,)), ((4,), (4, 3))])
def test_products_with_two_axes_in_front(shapes):
    x, y = (Variable(T.TensorType("float64", (None,) * len(s))) for s in shapes)
    xs, ys = many_of(many_of(x)), many_of(many_of(y))

    (result,) = vectorize_graph([T.dot(x, y)], {x: xs, y: ys})

    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(2, 3, *s)) for s in shapes)
    expected = [
        [np.dot(p, q) for p, q in zip(*pq, strict=True)]
        for pq in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(result.eval({xs: a, ys: b}), expected, rtol=1e-12)


def test_a_product_with_one_factor_for_all_is_one_product():
    x, w = T.vector("x"), T.matrix("w")
    xs = T.matrix("xs")

    (result,) = vectorize_graph([T.dot(w, x)], {x: xs})

    assert ops_of(result).count("dot") == 1
    assert not any(isinstance(n.op, Blockwise) for n in toposort([result]))


def test_outputs_that_do_not_differ_are_repeated():
    x, y = T.vectors("x", "y")
    xs = T.matrix("xs")

    results = vectorize_graph([y, y.sum(), x.shape[0]], {x: xs})

    got = wb.function([xs, y], results)(np.zeros((3, 2)), [1.0, 2.0])
    np.testing.assert_array_equal(got[0], [[1.0, 2.0]] * 3)
    np.testing.assert_array_equal(got[1], [3.0] * 3)
    np.testing.assert_array_equal(got[2], [2] * 3)


def test_random_places_become_a_gather():
    x, i = T.matrix("x"), T.lscalar("i")
    xs, places = T.tensor3("xs"), T.lvector("places")
    rng = np.random.default_rng(0)
    a, p = rng.normal(size=(4, 3, 5)), np.array([0, 2, -1, 1])

    (read,) = vectorize_graph([x[1:, i]], {x: xs, i: places})
    (written,) = vectorize_graph(
        [T.inc_subtensor(x[i, ::2], 1.0)], {x: xs, i: places % 3}
    )

    np.testing.assert_array_equal(
        read.eval({xs: a, places: p}), [m[1:, k] for m, k in zip(a, p, strict=True)]
    )
    for m, k in zip(a, p, strict=True):
        m[k, ::2] += 1
    start = np.random.default_rng(0).normal(size=(4, 3, 5))
    np.testing.assert_array_equal(written.eval({xs: start, places: p % 3}), a)


@pytest.mark.parametrize(
    "build",
    [
        T.arange,
        lambda n: T.zeros((n, 2)),
        lambda n: T.reshape(T.arange(6), (n, -1)),
        lambda n: T.arange(6)[:n],
        lambda n: T.specify_shape(T.vector("v"), (n,)),
    ],
)
def test_sizes_that_differ_from_entry_to_entry_are_refused(build):
    n, many = T.lscalar("n"), T.lvector("many")

    with pytest.raises(ShapeError, match=DIFFER):
        vectorize_graph([build(n)], {n: many})


def test_replacements_that_do_not_fit_show_both_types():
    x = T.TensorType("float64", (3,))("x")

    with pytest.raises(DTypeError, match="dtypes differ"):
        vectorize_graph([x], {x: T.fmatrix("xs")})
    with pytest.raises(ShapeError, match="last axes"):
        vectorize_graph([x], {x: T.TensorType("float64", (None, 4))("xs")})
    with pytest.raises(ShapeError, match="last axes"):
        vectorize_graph([x], {x: T.scalar("xs")})


def test_numbers_of_values_must_agree():
    x, y = T.vectors("x", "y")
    xs = T.TensorType("float64", (3, None))("xs")
    ys = T.TensorType("float64", (4, None))("ys")

    with pytest.raises(ShapeError, match="3 and 4 values"):
        vectorize_graph([x + y], {x: xs, y: ys})


def test_sizes_known_of_one_value_are_checked_for_many():
    x = T.TensorType("float64", (3,))("x")
    xs = T.matrix("xs")

    (result,) = vectorize_graph([x + 1], {x: xs})

    assert result.type.shape == (None, 3)
    with pytest.raises(ShapeError):
        result.eval({xs: np.zeros((2, 4))})


def test_names_and_lines_are_kept():
    x, xs = T.vector("x"), T.matrix("xs")
    y = T.exp(x)
    y.name = "y"

    (result,) = vectorize_graph([y], {x: xs})

    assert result.name == "y"
    assert result.owner.origin.location.line == y.owner.origin.location.line


def test_an_op_without_a_rule_is_applied_entry_by_entry():
    a, b = T.matrices("a", "b")
    many = T.tensor3("many")
    rng = np.random.default_rng(0)
    values, right = rng.normal(size=(3, 4, 2)), rng.normal(size=(4, 1))
    solution = T.linalg.lstsq(a, b)[0]

    (result,) = vectorize_graph([solution], {a: many})
    f = wb.function([many, b], [result, *wb.grad(result.sum(), [many, b])])

    assert "blockwise" in ops_of(result)
    singly = wb.function([a, b], [solution, *wb.grad(solution.sum(), [a, b])])
    x, ga, gb = map(np.stack, zip(*(singly(m, right) for m in values), strict=True))
    got = f(values, right)
    np.testing.assert_allclose(got[0], x, rtol=1e-10)
    np.testing.assert_allclose(got[1], ga, rtol=1e-8)
    np.testing.assert_allclose(got[2], gb.sum(axis=0), rtol=1e-8)
    assert f(np.zeros((0, 4, 2)), right)[0].shape == (0, 2, 1)


def test_results_of_different_shapes_cannot_be_stacked():
    x, xs = T.vector("x"), T.matrix("xs")

    (result,) = vectorize_graph([T.nonzero(x)[0]], {x: xs})

    np.testing.assert_array_equal(result.eval({xs: [[0, 1.0], [2.0, 0]]}), [[1], [0]])
    with pytest.raises(ShapeError, match="cannot be stacked"):
        result.eval({xs: [[0, 1.0], [2.0, 2.0]]})


def test_a_deep_graph_is_batched():
    x, xs = T.scalar("x"), T.vector("xs")
    y = x
    for _ in range(DEEP):
        y = Sin()(y)

    (result,) = vectorize_graph([y], {x: xs})

    assert len(toposort([result])) == DEEP


# --- functions ---------------------------------------------------------------------------


def distance(a, b):
    return T.sqrt(((a - b) ** 2).sum())


def test_a_function_is_applied_along_axes():
    x, y = T.matrix("x"), T.vector("y")
    a, b = np.arange(6.0).reshape(2, 3), np.ones(2)

    rows = wb.vectorize(distance, in_axes=(1, None))(x, y)

    assert rows.ndim == 1
    np.testing.assert_allclose(
        rows.eval({x: a, y: b}), np.linalg.norm(a - b[:, None], axis=0)
    )


def test_functions_of_functions_are_applied_to_all_pairs():
    x, y = T.matrices("x", "y")
    table = wb.vectorize(wb.vectorize(distance, in_axes=(None, 0)), in_axes=(0, None))
    a, b = np.arange(6.0).reshape(2, 3), np.ones((4, 3))

    got = table(x, y).eval({x: a, y: b})

    np.testing.assert_allclose(got, np.linalg.norm(a[:, None] - b, axis=2))


def test_a_signature_says_how_many_axes_a_value_has():
    x, A = T.tensor3("x"), T.tensor4("A")
    solve = wb.vectorize(lambda A, x: [T.dot(A, x), x], signature="(m,n),(n)->(m),(n)")

    product, same = solve(A, x)

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 5))
    np.testing.assert_allclose(
        product.eval({A: a, x: b}), np.einsum("abij,abj->abi", a, b), rtol=1e-12
    )
    np.testing.assert_array_equal(same.eval({x: b, A: a}), b)


def test_arrays_and_numbers_are_taken():
    rows = wb.vectorize(lambda a, b: a * b, in_axes=(0, None))(np.arange(3.0), 2.0)

    np.testing.assert_array_equal(rows.eval(), [0.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"in_axes": (0,)}, ShapeError, "1 entries for 2"),
        ({"in_axes": 5}, ShapeError, "axis 5"),
        ({"signature": "(n)->()"}, ShapeError, "1 arguments, got 2"),
        ({"signature": "(n,n,n),()->()"}, ShapeError, "fewer axes"),
        ({"signature": "n,n->n"}, ValueError, "no signature"),
    ],
)
def test_wrong_axes_and_signatures_are_named(options, error, text):
    x, y = T.vectors("x", "y")

    with pytest.raises(error, match=text):
        wb.vectorize(distance, **options)(x, y)
