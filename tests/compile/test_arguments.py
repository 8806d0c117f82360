"""Inputs with defaults and state, outputs, containers, copies of functions."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T


@pytest.fixture(params=["FAST_RUN", "FAST_COMPILE"])
def mode(request):
    return request.param


def test_a_call_may_leave_out_an_input_with_a_default(mode):
    x, y = T.dscalars("x", "y")
    f = wb.function([x, wb.In(y, value=10.0)], x + 2 * y, mode=mode)

    assert [float(v) for v in (f(1.0), f(1.0, 2.0), f(1.0, y=3.0))] == [21, 5, 7]


def test_an_input_is_called_by_the_name_it_is_given(mode):
    x, y = T.dscalars("x", "y")
    f = wb.function([x, wb.In(y, name="rate", value=1)], x * y, mode=mode)

    assert f(3.0, rate=4.0) == 12
    assert f(rate=4.0, x=2.0) == 8
    with pytest.raises(wb.ArgumentError, match="'rat'.*\n.*\n*.*rate|rate"):
        f(3.0, rat=4.0)


def test_an_input_without_default_may_come_after_one_that_has_it(mode):
    x, y = T.dscalars("x", "y")
    f = wb.function([wb.In(x, value=1.0), y], x - y, mode=mode)

    assert f(y=5.0) == -4
    with pytest.raises(wb.ArgumentError, match="y is missing"):
        f()


def test_a_state_is_updated_by_calls(mode):
    x, total = T.dvector("x"), T.dscalar("total")
    f = wb.function(
        [x, wb.In(total, value=0.0, update=total + x.sum())], total, mode=mode
    )

    assert [float(f([1.0, 2.0])), float(f([4.0])), float(f["total"])] == [0, 3, 7]
    assert f([1.0], 100.0) == 100  # a value that is given counts in place of the state
    assert f["total"] == 101
    f["total"] = 5
    assert f([0.0]) == 5


def test_a_state_stays_when_the_call_fails(mode):
    i, n = T.lscalar("i"), T.lscalar("n")
    x = T.constant(np.arange(3.0))
    f = wb.function([i, wb.In(n, value=0, update=n + 1)], x[i], mode=mode)

    f(1)
    with pytest.raises(IndexError):
        f(7)

    assert f["n"] == 1


def test_an_update_needs_a_value_to_begin_with():
    x = T.dscalar("x")

    with pytest.raises(wb.ArgumentError, match="no value to begin with"):
        wb.function([wb.In(x, update=x + 1)], x)


def test_a_default_must_fit_its_input():
    n = T.lscalar("n")

    with pytest.raises(wb.DTypeError, match="the default of n must be int64"):
        wb.function([wb.In(n, value=1.5)], n)


def test_a_strict_input_takes_only_its_type(mode):
    x = T.fvector("x")
    f = wb.function([wb.In(x, strict=True)], x * 2, mode=mode)

    assert f(np.ones(2, "float32")).tolist() == [2, 2]
    with pytest.raises(wb.DTypeError, match="strict"):
        f([1.0, 2.0])


def test_downcasting_is_allowed_for_one_input(mode):
    x, y = T.fscalar("x"), T.fscalar("y")
    f = wb.function([wb.In(x, allow_downcast=True), y], x + y, mode=mode)

    assert f(np.float64(0.5), np.float32(1)) == 1.5
    with pytest.raises(wb.DTypeError):
        f(np.float32(1), np.float64(0.5))


def test_arguments_are_never_overwritten_though_it_is_allowed(mode):
    x = T.dvector("x")
    f = wb.function(
        [wb.In(x, mutable=True, borrow=True)], wb.Out(x + 1, borrow=True), mode=mode
    )
    given = np.zeros(3)

    first, second = f(given), f(given)

    assert given.tolist() == [0, 0, 0]
    assert first is not second and not np.shares_memory(first, second)


def test_only_some_outputs_are_computed_and_all_updates_applied(mode):
    x, n = T.dscalar("x"), wb.shared(0, "n")
    f = wb.function([x], [x, x * 2, x * 3], updates=[(n, n + 1)], mode=mode)
    named = wb.function([x], {"a": x, "b": x * 2}, mode=mode)

    assert [float(v) for v in f(1.0, output_subset=[2, 0])] == [3, 1]
    assert n.get_value() == 1
    assert named(1.0, output_subset=["b"]) == {"b": 2}
    with pytest.raises(wb.ArgumentError, match="no output 7"):
        f(1.0, output_subset=[7])


def test_a_copy_uses_other_shared_variables(mode):
    x = T.dscalar("x")
    n, m = wb.shared(1.0, "n"), wb.shared(100.0, "m")
    f = wb.function([x], x + n, updates=[(n, n * 2)], mode=mode)

    g = f.copy(swap={n: m}, name="g")

    assert g(1.0) == 101 and m.get_value() == 200 and n.get_value() == 1
    assert f(1.0) == 2 and m.get_value() == 200
    assert g.name == "g"


def test_a_copy_may_leave_updates_out(mode):
    n = wb.shared(1.0, "n")
    f = wb.function([], n, updates=[(n, n + 1)], mode=mode)

    g = f.copy(delete_updates=True)

    assert [float(g()), float(g()), float(f())] == [1, 1, 1]
    assert n.get_value() == 2


def test_a_copy_has_states_of_its_own(mode):
    n = T.lscalar("n")
    f = wb.function([wb.In(n, value=0, update=n + 1)], n, mode=mode)
    f()

    g = f.copy()
    g()

    assert f["n"] == 1 and g["n"] == 2


def test_swapped_variables_must_have_one_type():
    n, m = wb.shared(1.0, "n"), wb.shared(1, "m")
    f = wb.function([], n + 1)

    with pytest.raises(wb.UpdateTypeError, match="n is float64"):
        f.copy(swap={n: m})
    with pytest.raises(wb.ArgumentError, match="shared variables of the function"):
        f.copy(swap={m: n})


def test_values_are_reached_by_name_and_by_variable(mode):
    x, w = T.dscalar("x"), wb.shared(2.0, "w")
    f = wb.function([x], x * w, mode=mode)

    f["w"] = 5.0

    assert f[w] == 5 and w.get_value() == 5 and f(2.0) == 10
    assert f.get_shared() == [w]
    with pytest.raises(wb.MissingInputError, match="keeps no value of 'v'; it keeps w"):
        f["v"]


def test_a_function_works_on_after_it_was_freed(mode):
    x = T.dvector("x")
    f = wb.function([x], T.exp(x).sum() + x.max(), mode=mode)
    before = f([1.0, 2.0])

    f.free()

    assert f([1.0, 2.0]) == before


def test_calls_are_counted_and_timed(mode):
    x = T.dscalar("x")
    f = wb.function([x], x, mode=mode, profile=True)

    f(1.0)
    f(2.0)

    assert f.profile.fct_callcount == 2
    assert f.profile.fct_call_time > 0
    assert f.copy(profile=False).profile is None


def test_names_of_the_tradition_lead_to_the_graph(mode):
    x = T.dscalar("x")
    f = wb.function([x], T.sin(x), mode=mode)

    assert [str(n.op) for n in f.maker.fgraph.toposort()] == ["sin"]
    assert f.maker.fgraph.inputs == f.compilation.after.inputs
    assert f.input_storage[0].storage == []


def test_givens_may_change_a_type_when_that_is_said():
    x, y = T.fvector("x"), T.dvector("y")

    with pytest.raises(wb.DTypeError, match="givens"):
        wb.function([y], x * 2, givens={x: y})
    f = wb.function([y], x * 2, givens={x: y}, rebuild_strict=False)

    assert f([1.0]).dtype == "float64"


def test_positions_of_arguments_are_those_of_the_tradition():
    n = wb.shared(0, "n")

    f = wb.function([], n, "FAST_COMPILE", [(n, n + 1)])
    f()

    assert n.get_value() == 1 and f.mode.name == "FAST_COMPILE"


def test_updates_are_gathered_and_checked_where_they_are_written():
    n, m = wb.shared(0, "n"), wb.shared(0, "m")
    updates = wb.OrderedUpdates([(n, n + 1)])

    assert list(updates + {m: m + 1}) == [n, m]
    assert list({m: m + 1} + updates) == [m, n]
    with pytest.raises(wb.UpdateTypeError, match="only shared variables"):
        updates[T.dscalar("x")] = 1
    with pytest.raises(KeyError, match="n has two different updates"):
        updates + {n: n + 2}
