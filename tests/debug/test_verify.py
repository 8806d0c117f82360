import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile import modes
from workbench.compile.rewrite import Rule, identity
from workbench.core.ops import mathematics


@pytest.fixture
def model():
    W = wb.shared(np.linspace(-1, 1, 12).reshape(4, 3), "W")
    b = wb.shared(np.zeros(3), "b")
    x, y = T.matrix("x"), T.lvector("y")
    loss = -T.log(T.nnet.softmax(T.dot(x, W) + b))[T.arange(y.shape[0]), y].mean()
    gW, gb = wb.grad(loss, [W, b])
    updates = [(W, W - 0.1 * gW), (b, b - 0.1 * gb)]
    values = np.random.RandomState(0).rand(5, 4), np.array([0, 1, 2, 1, 0])
    return [x, y], loss, updates, values


def test_debug_gives_what_fast_run_gives(model):
    inputs, loss, updates, values = model
    train = wb.function(inputs, loss, updates=updates, mode="FAST_RUN")
    checked = wb.function(inputs, loss, updates=updates, mode="DEBUG")
    start = [s.get_value() for s, _ in updates]

    wanted = train(*values), *(s.get_value() for s, _ in updates)
    for (shared, _), value in zip(updates, start, strict=True):
        shared.set_value(value)
    got = checked(*values), *(s.get_value() for s, _ in updates)

    assert checked.compilation.backend == "c"
    for want, have in zip(wanted, got, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-12)


def test_wrong_kernel_is_named_and_nothing_changes(model, monkeypatch):
    inputs, loss, updates, values = model
    monkeypatch.setattr(mathematics.Exp, "c_function", "1.001 * exp")
    checked = wb.function(inputs, loss, updates=updates, mode="DEBUG")
    before = [s.get_value() for s, _ in updates]

    with pytest.raises(wb.VerificationError, match=r"kernel k\d computes") as caught:
        checked(*values)

    assert "test_verify.py" in str(caught.value)
    for (shared, _), value in zip(updates, before, strict=True):
        np.testing.assert_array_equal(shared.get_value(), value)


def test_wrong_rewrite_is_told_from_a_wrong_kernel(model, monkeypatch):
    inputs, loss, updates, values = model

    @identity(tags=["canonical"])
    def planted(x):
        """Wrong on purpose."""
        return T.log(x), T.log(x * 1.01)

    assert isinstance(planted, Rule)
    once = Rule("planted", "", planted.ops, lambda node, context: None if node.origin.rule else planted.rewrite(node, context),
                planted.tags)  # fmt: skip
    monkeypatch.setattr(modes, "STAGES", (("canonical", [once]),))
    checked = wb.function(inputs, loss, updates=updates, mode="DEBUG")

    with pytest.raises(wb.VerificationError, match="a rewrite changed") as caught:
        checked(*values)

    assert "planted" in str(caught.value)


def test_updates_that_exchange_two_variables_are_checked():
    a, b = wb.shared(np.zeros(3), "a"), wb.shared(np.ones(3), "b")
    swap = wb.function([], [a + b], updates=[(a, b), (b, a)], mode="DEBUG")

    (total,) = swap()

    np.testing.assert_array_equal(total, np.ones(3))
    np.testing.assert_array_equal(a.get_value(), np.ones(3))
    np.testing.assert_array_equal(b.get_value(), np.zeros(3))


def test_stable_form_may_differ_where_the_plain_graph_overflows():
    x = T.vector("x")
    f = wb.function([x], T.log(T.nnet.softmax(x)), mode="DEBUG")

    np.testing.assert_array_equal(f([0.0, 1000.0]), [-1000.0, 0.0])


def test_truth_values_and_integers_of_a_stable_form_are_compared():
    x = T.vector("x")
    p = T.log(T.nnet.softmax(x))
    f = wb.function([x], [p > -1, (p > -1).sum(dtype="uint8")], mode="DEBUG")

    large, count = f(np.array([0.0, 800.0, 1.0]))

    assert large.tolist() == [False, True, False] and count == 1


def test_a_size_that_no_kernel_needs_is_known():
    x = T.matrix("x")
    _, lower, _ = T.linalg.lu(x)
    f = wb.function([x], lower.reshape((-1,)), mode="DEBUG")

    np.testing.assert_array_equal(f(np.eye(2, 3)), [1, 0, 0, 1])


def test_what_is_left_when_numbers_cancel_is_rounding():
    x, y = T.vectors("x", "y")
    f = wb.function([x, y], T.expm1(x) - y, mode="DEBUG")
    at = np.linspace(-2, 2, 41)

    np.testing.assert_allclose(f(at, np.expm1(at)), 0, atol=1e-14)


def test_a_wrong_kernel_is_found_where_numbers_cancel(monkeypatch):
    monkeypatch.setattr(mathematics.Expm1, "c_function", "(1 + 1e-13) * expm1")
    x, y = T.vectors("x", "y")
    f = wb.function([x, y], T.expm1(x) - y, mode="DEBUG")
    at = np.linspace(1, 2, 41)

    with pytest.raises(wb.VerificationError, match="kernel k0 computes"):
        f(at, np.expm1(at))


def test_how_a_complex_product_overflows_is_open():
    z = T.zvector("z")
    f = wb.function([z], z * z, mode="DEBUG")

    with np.errstate(all="ignore"):
        assert not np.isfinite(f(np.array([-1.8e308 + 5e-324j, np.inf + 0j]))).any()
