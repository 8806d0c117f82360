"""check_op and check_rule: what is right passes, each kind of fault is found."""

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


@dataclass(frozen=True)
class Halved(wb.Opaque):
    """x / 2, with faults on demand."""

    fault: str = ""

    def output_types(self, *inputs):
        (x,) = inputs
        return [x.type.with_dtype("float32") if self.fault == "dtype" else x.type]

    def reference(self, *inputs):
        (x,) = inputs
        if self.fault == "layout":
            return np.ravel(x, order="K").reshape(x.shape) / 2
        if self.fault == "writes":
            x[...] = x / 2
            return x.copy()
        return x / 2

    def infer_shape(self, node, shapes):
        return [shapes[0][::-1] if self.fault == "shape" else shapes[0]]

    def vjp(self, node, *grads):
        return [grads[0] * (0.25 if self.fault == "gradient" else 0.5)]

    def c_code(self, node):
        factor = 3 if self.fault == "text" else 2
        return f"""
            for (int64_t i = 0; i < in0_n0; ++i)
              for (int64_t j = 0; j < in0_n1; ++j)
                out[i * out_s0 + j] = in0[i * in0_s0 + j * in0_s1] / {factor};
        """


def test_a_right_op_passes_every_check():
    seen = wb.check_op(Halved(), X)

    assert [name for name, _ in seen.rows] == [
        "inputs", "types", "shapes", "layouts", "compiled", "gradient", "forward",
        "equality", "saving",
    ]  # fmt: skip
    assert "equals differences, by input 0" in str(seen)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("dtype", "type rule says float32"),
        ("shape", "infer_shape says 3 on axis 0, the value has 2"),
        ("layout", "column order arrays"),
        ("writes", "overwritten|read-only"),
        ("text", "mode FAST_RUN gives"),
        ("gradient", "the gradient by input 0"),
    ],
)
def test_a_fault_is_found_and_named(fault, says):
    with pytest.raises((wb.VerificationError, ValueError), match=says):
        wb.check_op(Halved(fault), X)


def test_ops_that_are_never_equal_are_found():
    class Fresh(wb.Opaque):
        def __eq__(self, other):
            return False

        def __hash__(self):
            return 1

        def output_types(self, *inputs):
            return [inputs[0].type]

        def reference(self, *inputs):
            return inputs[0] + 1

    with pytest.raises(wb.VerificationError, match="two applications differ"):
        wb.check_op(lambda x: Fresh()(x), X)


def test_several_outputs_and_ops_without_gradient_are_checked():
    several = wb.check_op(lambda x: T.max_and_argmax(x, axis=1), X)
    counted = wb.check_op(lambda x: T.argmax(x, axis=1), X)

    assert "by input 0" in str(several)
    assert "nothing to differentiate" in str(counted)


def test_an_op_without_kernel_is_told():
    @wb.elementwise
    def plain(x):
        return np.sinc(x)

    assert "plain by the reference" in str(wb.check_op(plain, X))


def test_an_identity_is_checked_at_its_own_points():
    @wb.identity
    def right(x, y):
        """Powers of two are exact."""
        return (x + y) * 2, x * 2 + y * 2

    @wb.identity
    def wrong(x, y):
        """A sign is lost."""
        return (x - y) * 2, x * 2 + y * 2

    assert "right: " in wb.check_rule(right)
    with pytest.raises(wb.VerificationError, match="changes a value"):
        wb.check_rule(wrong)


def test_a_rule_of_nodes_is_checked_on_an_expression():
    @wb.node_rule(T.exp(T.dscalar()).owner.op.__class__)
    def exp_loses_one(node):
        """It does not."""
        return T.expm1(node.inputs[0])

    x = T.dvector("x")
    with pytest.raises(wb.VerificationError, match="changes a value"):
        wb.check_rule(exp_loses_one, T.exp(x), {x: [1.0, 2.0]})
    with pytest.raises(wb.VerificationError, match="does not fire"):
        wb.check_rule(exp_loses_one, T.sin(x), {x: [1.0]})
    with pytest.raises(TypeError, match="needs an expression"):
        wb.check_rule(exp_loses_one)
