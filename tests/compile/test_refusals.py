"""Why a rewrite was not done: what the rules say of the finished graph."""

import numpy as np

import workbench as wb
import workbench.tensor as T


def reasons(refusals, rule):
    return [refusal.reason for refusal in refusals if refusal.rule == rule]


def test_a_product_that_is_read_twice_does_not_become_a_gemm():
    x, z = T.matrices("x", "z")
    w = wb.shared(np.ones((3, 3)), "w")
    h = T.dot(x, w)

    f = wb.function([x, z], [T.exp(z) + h, h])

    assert any("dot(x, w) is read by others" in r for r in reasons(f.refused, "gemm"))


def test_a_bias_that_broadcasts_stays_outside():
    x, w, b = T.matrix("x"), T.matrix("w"), T.vector("b")

    f = wb.function([x, w, b], T.dot(x, w) + b)

    (reason,) = reasons(f.refused, "gemm")
    assert "(b) broadcasts" in reason


def test_what_the_mode_excludes_is_said_with_the_tag():
    x = T.vector("x")
    strict = wb.get_mode("FAST_RUN").excluding("finite_math")

    f = wb.function([x], x - x, mode=strict)

    assert reasons(f.refused, "minus_itself") == ["the mode excludes 'finite_math'"]
    assert reasons(wb.refused(x - x), "minus_itself") == []


def test_what_the_mode_lacks_is_said_with_the_stage():
    x = T.vector("x")

    in_none = wb.refused(T.log(1 + T.exp(x)), mode="None")
    required = wb.refused(x * 1.0 + T.exp(x), wb.get_mode("FAST_RUN").requiring("finite_math"))  # fmt: skip

    assert "the mode does not include 'stability'" in reasons(in_none, "log_of_1_plus")
    assert "the mode requires 'finite_math'" in reasons(required, "times_one")


def test_dtypes_that_a_rule_is_not_for_are_named():
    c = T.zvector("c")

    refusals = wb.refused(T.log(1 + T.exp(c)))

    assert "exp(c) is complex128; it is for real floats" in reasons(refusals, "log_of_1_plus")  # fmt: skip


def test_twins_for_other_dtypes_say_nothing():
    x = T.vector("x")
    strict = wb.get_mode("FAST_RUN").excluding("finite_math")

    assert reasons(wb.refused(x - x, strict), "int_minus_itself") == []


def test_sizes_that_are_not_known_are_named():
    @wb.identity
    def first_of_both(x, y):
        """Drops y, which may stretch the result."""
        return T.sub(T.add(x, y), y), x

    x, y = T.vectors("x", "y")
    mode = wb.get_mode("None").register(first_of_both)

    assert reasons(wb.refused(x + y - y, mode), "first_of_both") == [
        "y is not known to have the sizes of x, or 1"
    ]


def test_a_result_of_another_type_is_named():
    @wb.node_rule(wb.Op)
    def to_float32(node):
        """Loses digits."""
        return T.cast(node.outputs[0], "float32")

    x = T.vector("x")
    mode = wb.get_mode("None").register(to_float32)

    (reason,) = reasons(wb.refused(T.exp(x), mode), "to_float32")
    assert reason == "what it makes is float32 vector, not float64 vector"


def test_a_rule_may_say_itself_what_failed():
    @wb.node_rule(wb.Op)
    def picky(node, context):
        """Never content."""
        return context.refuse("{} is not to its taste", node.inputs[0])

    x = T.vector("x")
    mode = wb.get_mode("None").register(picky)

    f = wb.function([x], T.exp(x), mode=mode)

    (refusal,) = [r for r in f.refused if r.rule == "picky"]
    assert refusal.reason == "x is not to its taste"
    assert refusal.at is f.compilation.after.outputs[0]
    assert "test_refusals.py" in str(refusal) and "exp(x)" in str(refusal)


def test_asking_changes_nothing():
    x = T.matrix("x")
    f = wb.function([x], T.nnet.softmax(x).sum(axis=0))
    before = f.compilation

    first, second = f.refused, f.refused

    assert first == second
    assert f.compilation is before
