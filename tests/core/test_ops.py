"""Every op against its row in tests/op_cases.py: type, value, shape and derivative."""

import itertools

import numpy as np
import pytest

from tests.gradients import verify_forward, verify_grad
from tests.op_cases import CASES, Case
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, toposort
from workbench.core.op import Elementwise, Op
from workbench.core.ops.shape import size_variable, sizes_of

DIFFERENTIABLE = [case for case in CASES if case.differentiable]


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def assert_close(got, expected, ulps, context=""):
    """Equal dtype, shape, NaN, infinities; floats within `ulps` of their precision."""
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype, (
        f"dtype {got.dtype}, not {expected.dtype} {context}"
    )
    assert got.shape == expected.shape, (
        f"shape {got.shape}, not {expected.shape} {context}"
    )
    if got.dtype.kind in "fc":
        info = np.finfo(got.dtype)
        np.testing.assert_allclose(
            got, expected, ulps * info.eps, ulps * info.smallest_normal, err_msg=context
        )
    else:
        np.testing.assert_array_equal(got, expected, err_msg=context)


def reversed_view(array: np.ndarray) -> np.ndarray:
    """The same elements with negative strides, the axes in column order."""
    flipped = (..., *(slice(None, None, -1) for _ in array.shape))
    return np.array(array[flipped], order="F")[flipped]


def draws(case: Case):
    """A dtype, a choice of shapes and arrays for them, for all dtypes and shapes."""
    rng = np.random.default_rng(len(case.name))
    for dtype, shapes in itertools.product(case.dtypes, case.shapes):
        yield case.inputs(rng, dtype, shapes)


def test_every_op_has_a_row():
    def concrete(cls):
        methods = ("output_types", "reference")
        return cls.__module__.startswith("workbench.core.ops") and all(
            getattr(cls, m) is not getattr(Op, m) for m in methods
        )

    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    leaves = {cls for cls in below(Op) if concrete(cls) and not cls.__subclasses__()}

    assert {c.__name__ for c in leaves} - {case.op.__name__ for case in CASES} == set()


@by_name(CASES)
def test_row_is_about_its_op(case):
    arrays = next(draws(case))

    output = case.build(*case.variables(arrays))

    assert any(type(node.op) is case.op for node in toposort([output]))


@by_name(CASES)
def test_values_equal_the_reference(case):
    for arrays in draws(case):
        variables = case.variables(arrays)
        output = case.build(*variables)

        (got,) = evaluate([output], dict(zip(variables, arrays, strict=True)))

        with np.errstate(all="ignore"):
            expected = case.reference(*arrays)
        assert_close(got, expected, case.ulps, f"for {arrays}")
        assert output.type.fits(got), (
            f"{output.type} does not describe {got.dtype} {got.shape}"
        )


@by_name(CASES)
def test_memory_layout_does_not_matter(case):
    for arrays in draws(case):
        variables = case.variables(arrays)
        output = case.build(*variables)
        turned = [reversed_view(a) for a in arrays]

        (got,) = evaluate([output], dict(zip(variables, turned, strict=True)))

        (expected,) = evaluate([output], dict(zip(variables, arrays, strict=True)))
        assert_close(got, expected, case.ulps)


@by_name(CASES)
def test_reference_has_the_dtype_that_the_type_rule_says(case):
    # Op.evaluate casts to the declared type, which would hide a wrong type rule.
    for arrays in draws(case):
        variables = case.variables(arrays)
        values = dict(zip(variables, arrays, strict=True))
        output = case.build(*variables)

        for node in toposort([output]):
            inputs = evaluate(node.inputs, values)
            result = node.op.reference(*inputs)

            results = result if isinstance(result, tuple) else (result,)
            for array, declared in zip(results, node.outputs, strict=True):
                assert np.asarray(array).dtype == declared.dtype, node
                assert np.ndim(array) == declared.ndim, node


@by_name(CASES)
def test_known_sizes_are_part_of_the_type(case):
    for arrays in draws(case):
        constants = [
            Variable(v.type.with_shape(a.shape))
            for v, a in zip(case.variables(arrays), arrays, strict=True)
        ]
        output = case.build(*constants)

        (got,) = evaluate([output], dict(zip(constants, arrays, strict=True)))

        for known, size in zip(output.type.shape, got.shape, strict=True):
            assert known in (None, size)


@by_name(CASES)
def test_inferred_shape_is_the_actual_shape(case):
    for arrays in draws(case):
        variables = case.variables(arrays)
        values = dict(zip(variables, arrays, strict=True))
        output = case.build(*variables)

        for node in toposort([output]):
            shapes = node.op.infer_shape(node, [sizes_of(v) for v in node.inputs])

            for output, sizes in zip(node.outputs, shapes, strict=True):
                (actual,) = evaluate([output], values)
                for size, length in zip(sizes, actual.shape, strict=True):
                    if size is not None:
                        (inferred,) = evaluate([size_variable(size)], values)
                        assert inferred == length, node


@by_name([case for case in CASES if case.extremes])
def test_special_values_equal_the_reference(case):
    rng = np.random.default_rng(1)
    for dtype in case.dtypes:
        if dtype[0] != "f":
            continue
        with np.errstate(over="ignore"):
            special = np.array(case.extremes, dtype)
        if issubclass(case.op, Elementwise):
            arrays = [a.copy() for a in np.meshgrid(*[special] * len(case.shapes[0]))]
        else:
            arrays = [rng.choice(special, (40, 3))]
        variables = case.variables(arrays)

        (got,) = evaluate(
            [case.build(*variables)], dict(zip(variables, arrays, strict=True))
        )

        with np.errstate(all="ignore"):
            expected = case.reference(*arrays)
        assert_close(got, expected, case.ulps, f"at {arrays}")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@by_name(DIFFERENTIABLE)
def test_gradient_equals_differences(case, dtype):
    if dtype not in case.dtypes:
        pytest.skip("not defined for this dtype")
    rng = np.random.default_rng(2)
    for shapes in case.shapes:
        arrays = case.inputs(rng, dtype, shapes)

        verify_grad(case.build, arrays, case.differentiable, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@by_name(DIFFERENTIABLE)
def test_forward_derivative_is_the_transpose_of_the_backward_one(case, dtype):
    if dtype not in case.dtypes:
        pytest.skip("not defined for this dtype")
    rng = np.random.default_rng(4)
    for shapes in case.shapes:
        arrays = case.inputs(rng, dtype, shapes)

        verify_forward(case.build, arrays, case.differentiable, dtype)


@by_name([case for case in DIFFERENTIABLE if case.smooth and "float64" in case.dtypes])
def test_second_gradient_equals_differences(case):
    rng = np.random.default_rng(3)
    for shapes in case.shapes:
        arrays = case.inputs(rng, "float64", shapes)

        verify_grad(case.build, arrays, case.differentiable, order=2)


@by_name(CASES)
def test_inputs_not_called_differentiable_get_no_gradient(case):
    arrays = next(a for a in draws(case))
    variables = case.variables(arrays)
    output = case.build(*variables)

    for node in toposort([output]):
        for connected, variable in zip(
            node.op.connection(node), node.inputs, strict=True
        ):
            assert variable.type.is_float or not connected, node


@by_name(CASES)
def test_equal_ops_are_equal_and_hash_equal(case):
    arrays = next(a for a in draws(case))
    first, second = (case.build(*case.variables(arrays)) for _ in range(2))

    pairs = zip(toposort([first]), toposort([second]), strict=True)

    for a, b in pairs:
        assert a.op == b.op and hash(a.op) == hash(b.op)
        assert str(a.op) == str(b.op)
