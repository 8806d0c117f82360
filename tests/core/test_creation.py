"""Arrays made out of nothing, against NumPy: values, dtypes and sizes known beforehand."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import ZeroStepError
from workbench.core.evaluate import evaluate

CREATED = {
    "zeros": lambda m: m.zeros(3),
    "zeros of a shape": lambda m: m.zeros((2, 3), "int8"),
    "zeros scalar": lambda m: m.zeros(()),
    "ones": lambda m: m.ones([2, 3], dtype="complex64"),
    "ones bool": lambda m: m.ones((2,), dtype=bool),
    "full": lambda m: m.full((2, 3), 7),
    "full float": lambda m: m.full((2, 3), 0.5),
    "full dtype": lambda m: m.full(2, 0.5, "float32"),
    "full stretched": lambda m: m.full((2, 3), np.arange(3)),
    "zeros_like": lambda m: m.zeros_like(np.ones((2, 3), "float32")),
    "ones_like": lambda m: m.ones_like(np.ones((2, 3), "int8"), dtype="float64"),
    "ones_like bool": lambda m: m.ones_like(np.ones((2, 3), "bool")),
    "full_like": lambda m: m.full_like(np.ones((2, 3), "int8"), 2.7),
    "full_like dtype": lambda m: m.full_like(np.ones(2, "int8"), 2.7, dtype="float32"),
    "full_like stretched": lambda m: m.full_like(np.ones((2, 3)), np.arange(3)),
    "eye": lambda m: m.eye(3),
    "eye wide": lambda m: m.eye(2, 4, 1, dtype="int8"),
    "eye low": lambda m: m.eye(4, 2, -2),
    "eye outside": lambda m: m.eye(2, 2, 5),
    "identity": lambda m: m.identity(3, "float32"),
    "tri": lambda m: m.tri(3),
    "tri wide": lambda m: m.tri(3, 5, 1, dtype="int32"),
    "tri low": lambda m: m.tri(4, 2, -1),
    "tril_indices": lambda m: m.tril_indices(4, 1),
    "triu_indices": lambda m: m.triu_indices(4, -1, 3),
    "tril_indices_from": lambda m: m.tril_indices_from(np.ones((2, 3)), 1),
    "arange": lambda m: m.arange(5),
    "arange bounds": lambda m: m.arange(2, 9, 3),
    "arange down": lambda m: m.arange(9, 2, -3),
    "arange nothing": lambda m: m.arange(3, 1),
    "arange negative": lambda m: m.arange(-2),
    "arange float": lambda m: m.arange(2.5),
    "arange floats": lambda m: m.arange(0.1, 2.3, 0.2),
    "arange floats down": lambda m: m.arange(1.0, -1, -0.3),
    "arange mixed": lambda m: m.arange(0, 1, 0.25),
    "arange dtype": lambda m: m.arange(5, dtype="float32"),
    "arange float dtype": lambda m: m.arange(1, 2, 0.3, dtype="float32"),
    "arange cut": lambda m: m.arange(0.5, 3.5, dtype="int64"),
    "arange int8": lambda m: m.arange(np.int8(2), np.int8(5)),
    "arange uint64": lambda m: m.arange(np.uint64(5)),
    "arange float32": lambda m: m.arange(np.float32(5)),
    "arange float16": lambda m: m.arange(np.float16(1), 3, dtype="float16"),
    "arange bool": lambda m: m.arange(True),
    "arange step": lambda m: m.arange(3, step=2),
    "linspace": lambda m: m.linspace(0, 1),
    "linspace three": lambda m: m.linspace(-1, 1, 3),
    "linspace of integers": lambda m: m.linspace(0, 5, 4, dtype="int64"),
    "linspace of negative integers": lambda m: m.linspace(-3, 2, 4, dtype=int),
    "linspace float32": lambda m: m.linspace(np.float32(0), np.float32(1), 7),
    "linspace array float32": lambda m: m.linspace(np.zeros(2, "float32"), 1, 3),
    "linspace complex": lambda m: m.linspace(0, 1 + 2j, 5),
    "linspace without step": lambda m: m.linspace(3, 3, 4),
    "linspace tiny": lambda m: m.linspace(0, 5e-324, 5),
    "linspace infinite": lambda m: m.linspace(0, np.inf, 3),
    "linspace step": lambda m: m.linspace(0, 1, 5, retstep=True),
    "linspace no step": lambda m: m.linspace(0, 1, 1, retstep=True),
    "logspace": lambda m: m.logspace(0, 2, 5),
    "logspace base": lambda m: m.logspace(0, 3, 4, base=2),
    "logspace dtype": lambda m: m.logspace(0, 3, 4, dtype="int64"),
    "logspace open": lambda m: m.logspace(0, 3, 4, endpoint=False),
    "geomspace": lambda m: m.geomspace(1, 1000, 4),
    "geomspace down": lambda m: m.geomspace(1000, 1, 4),
    "geomspace negative": lambda m: m.geomspace(-1, -1000, 4),
    "geomspace open": lambda m: m.geomspace(1, 256, 8, endpoint=False),
    "geomspace of arrays": lambda m: m.geomspace(np.array([1.0, 2]), 32.0, 3, axis=1),
    "geomspace float32": lambda m: m.geomspace(np.float32(1), np.float32(8), 4),
    "mgrid": lambda m: m.mgrid[0:3, 1:6:2],
    "mgrid of one": lambda m: m.mgrid[0:3],
    "mgrid of one in a tuple": lambda m: m.mgrid[(slice(3),)],
    "mgrid points": lambda m: m.mgrid[0:1:3j, 2:4],
    "mgrid point": lambda m: m.mgrid[-1:1:5j],
    "mgrid floats": lambda m: m.mgrid[0:1:0.25, 0:2],
    "ogrid": lambda m: m.ogrid[0:3, 1:6:2, 0:1:2j],
    "indices": lambda m: m.indices((2, 3)),
    "indices dtype": lambda m: m.indices((2, 3), dtype="float32"),
    "indices sparse": lambda m: m.indices((2, 3), sparse=True),
    "indices of no axis": lambda m: m.indices(()),
    "meshgrid": lambda m: m.meshgrid([1, 2], [0.5, 1, 2]),
    "broadcast_arrays": lambda m: m.broadcast_arrays([1, 2], [[0.5], [1]]),
    "vander": lambda m: m.vander([1, 2, 3]),
    "vander float32": lambda m: m.vander(np.array([1, 2], "float32"), 3),
    "diag": lambda m: m.diag([1, 2, 3], 1),
    "diagflat": lambda m: m.diagflat([[1, 2], [3, 4]]),
    "delete": lambda m: m.delete(np.arange(6), [1, -1]),
    "delete row": lambda m: m.delete(np.arange(6).reshape(3, 2), 1, 0),
    "delete slice": lambda m: m.delete(np.arange(6).reshape(3, 2), slice(None, None, 2)),
}  # fmt: skip


def evaluate_free(variable):
    return evaluate([variable], {})[0]


@pytest.mark.parametrize("build", CREATED.values(), ids=CREATED)
def test_arrays_out_of_nothing_equal_numpys(build):
    outputs = build(T)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    with np.errstate(all="ignore"):
        wanted = build(np)
    wanted = list(wanted) if isinstance(wanted, list | tuple) else [wanted]

    got = evaluate(outputs, {})

    assert len(got) == len(wanted)
    for variable, value, expected in zip(outputs, got, wanted, strict=True):
        expected = np.asarray(expected)
        assert value.dtype == expected.dtype
        assert value.shape == expected.shape == variable.type.shape
        eps = np.finfo(value.dtype).eps if value.dtype.kind in "fc" else 0
        np.testing.assert_allclose(value, expected, 4 * eps, 0)


def test_floats_that_nobody_names_are_floatX():
    with wb.config.change(floatX="float32"):
        made = [
            T.zeros(2), T.full(2, 0.5), T.eye(2), T.tri(2), T.empty(2), T.identity(2),
            T.arange(2.5), T.arange(0, 1, 0.5), T.linspace(0, 1, 3), T.logspace(0, 1, 3),
            T.geomspace(1, 2, 3), T.mgrid[0:1:3j], T.constant(0.5), T.as_tensor(0.5),
        ]  # fmt: skip
        named = [
            T.zeros(2, "float64"), T.arange(np.float64(3)), T.full(2, np.float64(1)),
            T.linspace(np.float64(0), 1, 3), T.eye(2, dtype="float64"),
        ]  # fmt: skip

    assert {v.dtype for v in made} == {"float32"}
    assert {v.dtype for v in named} == {"float64"}


def test_a_float_range_may_depend_on_variables():
    a, b, c = T.dscalars("a b c")
    f = wb.function([a, b, c], T.arange(a, b, c))

    for bounds in ((0.1, 2.3, 0.2), (1, -1, -0.3), (0, -1, 1), (0.5, 0.5, 1)):
        expected = np.arange(*map(float, bounds))
        # The step is not rounded through the first two elements once rules have simplified.
        np.testing.assert_allclose(f(*bounds), expected, 1e-15, 1e-15)


def test_a_step_of_zero_is_an_error_of_both_kinds():
    for bounds in ((1, 3, 0), (1.0, 3, 0.0)):
        with pytest.raises(ZeroStepError) as caught:
            T.arange(*bounds)
        assert isinstance(caught.value, ZeroDivisionError)
        assert isinstance(caught.value, ValueError)
    f = wb.function([n := T.lscalar("n")], T.arange(0, 5, n), mode="FAST_COMPILE")
    with pytest.raises(ZeroDivisionError):
        f(0)


def test_empty_arrays_have_the_shape_and_dtype_asked_for():
    assert evaluate_free(T.empty((2, 3), "int8")).shape == (2, 3)
    assert evaluate_free(T.AllocEmpty("int8")(2, 3)).shape == (2, 3)
    assert evaluate_free(T.empty_like(np.ones((2, 3), "int8"))).dtype == "int8"


def test_identity_like_has_the_sizes_of_its_model():
    x = T.fmatrix("x")
    f = wb.function([x], T.identity_like(x))

    np.testing.assert_array_equal(f(np.zeros((2, 3), "float32")), np.eye(2, 3))
    assert T.identity_like(x).dtype == "float32"


def test_nested_lists_of_variables_become_an_array():
    a, b = T.dscalars("a b")

    for made in (
        T.stacklists([[a, b], [b, 2.0]]),
        T.as_tensor_variable([[a, b], [b, 2.0]]),
    ):
        (got,) = evaluate([made], {a: 1.0, b: 3.0})
        np.testing.assert_array_equal(got, [[1, 3], [3, 2]])


def test_blocks_stand_on_the_diagonal():
    linalg = pytest.importorskip("scipy.linalg")
    x, v = T.matrix("x"), T.vector("v")
    f = wb.function([x, v], T.block_diag(x, [[5.0]], v))
    a, b = np.arange(6.0).reshape(2, 3), np.array([7.0, 8.0])

    np.testing.assert_array_equal(f(a, b), linalg.block_diag(a, [[5.0]], b))
    np.testing.assert_array_equal(f(a[:0], b), linalg.block_diag(a[:0], [[5.0]], b))


def test_a_class_becomes_a_row():
    y = T.ivector("y")
    f = wb.function([y], T.extra_ops.to_one_hot(y, 3))

    np.testing.assert_array_equal(f([2, 0]), [[0, 0, 1], [1, 0, 0]])
    assert T.to_one_hot(y, 3, "int8").dtype == "int8"
    with pytest.raises(IndexError):
        f([3])
    with pytest.raises(TypeError):
        T.to_one_hot(T.vector(), 3)


def test_grids_unpack():
    rows, columns = T.mgrid[0:2, 0:3]

    np.testing.assert_array_equal(evaluate_free(columns), np.mgrid[0:2, 0:3][1])
    assert rows.type.shape == (2, 3)
