"""Tensor types, and what they let in."""

import array as buffers

import numpy as np
import pytest

from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Shared
from workbench.core.types import DTYPES, TensorType

F32 = TensorType("float32", (None,))
F64 = TensorType("float64", (None,))


def test_dtype_may_be_given_in_any_way_numpy_knows():
    assert (
        TensorType(np.float32, ()) == TensorType("f4", ()) == TensorType("float32", ())
    )


@pytest.mark.parametrize(
    "dtype", ["float128", "object", "U3", "datetime64[s]", "nonsense", "V8"]
)
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(DTypeError, match="no dtype of a tensor"):
        TensorType(dtype, ())


def test_a_negative_size_is_refused():
    with pytest.raises(ShapeError, match="negative"):
        TensorType("float32", (3, -1))


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_arrays_are_widened_and_never_rounded(source, target):
    value = np.ones(2, source)
    wanted = TensorType(target, (None,))

    if np.can_cast(source, target, "safe"):
        assert wanted.filter(value).dtype == target
    else:
        with pytest.raises(DTypeError, match=f"must be {target}, got {source}"):
            wanted.filter(value)
        if target[0] != "c" and source[0] == "c":
            return
        assert wanted.filter(value, allow_downcast=True).dtype == target


def test_an_array_that_fits_is_taken_as_it_is():
    value = np.ones(3, "float32")

    assert F32.filter(value) is value
    assert F32.filter(value[::-1]).base is value


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", 0.1),
        ("float16", 2),
        ("float32", True),
        ("complex64", 1.5),
        ("int8", 127),
        ("int8", -128),
        ("uint8", 255),
        ("uint64", 2**64 - 1),
        ("int8", False),
        ("bool", True),
        ("float32", float("inf")),
        ("float32", float("nan")),
    ],
)
def test_python_numbers_adapt(dtype, value):
    got = TensorType(dtype, ()).filter(value)

    assert got.dtype == dtype and got.shape == ()
    np.testing.assert_array_equal(got, np.array(value).astype(dtype))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", 1.0),
        ("bool", 1),
        ("float64", 1j),
        ("int8", 128),
        ("uint8", -1),
        ("int64", 2**63),
        ("float32", 1e300),
        ("float16", 70000),
        ("int64", 2**80),
        ("float64", 2**80),
    ],
)
def test_python_numbers_that_do_not_fit_are_refused(dtype, value):
    with pytest.raises(DTypeError, match=f"must be {dtype}.*Python"):
        TensorType(dtype, ()).filter(value)


def test_numpy_scalars_are_arrays():
    with pytest.raises(DTypeError):
        TensorType("float32", ()).filter(np.float64(1))
    assert TensorType("float64", ()).filter(np.float32(1)).dtype == "float64"


def test_lists_of_python_numbers_adapt_like_the_numbers():
    assert F32.filter([1, 2.5]).dtype == "float32"
    assert F32.filter([]).shape == (0,)
    assert TensorType("int8", (None, None)).filter([[1], [2]]).dtype == "int8"
    assert TensorType("int64", (None,)).filter([]).dtype == "int64"
    for value in ([1.5], [2**40]):
        with pytest.raises(DTypeError):
            TensorType("int32", (None,)).filter(value)
    with pytest.raises(DTypeError):
        F32.filter([np.float64(1), 2.0])


@pytest.mark.parametrize(
    "value",
    [None, "1.5", object(), np.array([1, "a"], object), ["a"], [[1], [1, 2]], {}],
)
def test_what_holds_no_numbers_is_refused(value):
    with pytest.raises(DTypeError, match="must be float64"):
        F64.filter(value)


def test_foreign_byte_order_is_made_native():
    got = F64.filter(np.array([1.0, 2.0], ">f8"))

    assert got.dtype.isnative
    np.testing.assert_array_equal(got, [1, 2])


def test_a_subclass_becomes_a_plain_array():
    class Mine(np.ndarray):
        pass

    got = F64.filter(np.ones(3).view(Mine))

    assert type(got) is np.ndarray


@pytest.mark.parametrize("value", [np.ones((2, 2)), np.float64(1), 3.0])
def test_another_number_of_axes_is_refused(value):
    with pytest.raises(ShapeError, match=r"must be a float64 vector \(1 axis\)"):
        F64.filter(value)


def test_a_declared_size_is_checked():
    wanted = TensorType("float64", (1, 3))

    assert wanted.filter(np.ones((1, 3))).shape == (1, 3)
    with pytest.raises(ShapeError, match="size 1 on axis 0, got shape"):
        wanted.filter(np.ones((2, 3)))


def test_types_as_text():
    assert str(TensorType("float64", (None, None))) == "float64 matrix"
    assert str(TensorType("float64", (1, None))) == "float64 (1, ?)"
    assert str(TensorType("bool", ())) == "bool scalar"
    assert str(TensorType("int8", (None,) * 6)) == "int8 (?, ?, ?, ?, ?, ?)"


def test_which_type_takes_which():
    assert F64.accepts(TensorType("float64", (3,)))
    assert not TensorType("float64", (3,)).accepts(F64)
    assert not F64.accepts(F32)


# --- shared variables -----------------------------------------------------------------


def shared(value):
    return Shared(TensorType(value.dtype.name, (None,) * value.ndim), value, "W")


def test_the_value_given_out_is_a_copy_unless_borrowed():
    W = shared(np.zeros(3))

    W.get_value()[0] = 5
    assert W.get_value()[0] == 0
    W.get_value(borrow=True)[0] = 5
    assert W.get_value()[0] == 5


def test_the_value_taken_is_a_copy_unless_borrowed():
    W = shared(np.zeros(3))
    value = np.ones(3)

    W.set_value(value)
    value[0] = 7
    assert W.get_value()[0] == 1
    W.set_value(value, borrow=True)
    assert W.get_value(borrow=True) is value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: a.view(type("Mine", (np.ndarray,), {})),
        lambda a: buffers.array("d", a),
        memoryview,
    ],
)
def test_a_value_that_shares_its_memory_in_another_guise_is_copied(wrap):
    W = shared(np.zeros(3))
    value = wrap(np.ones(3))

    W.set_value(value)
    value[0] = 7

    assert W.get_value()[0] == 1


def test_sizes_may_change():
    W = shared(np.zeros(3))

    W.set_value([1.0, 2.0, 3.0, 4.0])

    assert W.get_value().shape == (4,)


@pytest.mark.parametrize(
    "value", [np.ones((2, 2)), np.ones(3, complex), "text", None, 1.5]
)
def test_a_value_of_another_type_is_refused_and_the_old_one_kept(value):
    W = shared(np.arange(3.0))

    with pytest.raises((DTypeError, ShapeError), match=r"W\.set_value: must be"):
        W.set_value(value)

    np.testing.assert_array_equal(W.get_value(), [0, 1, 2])


def test_the_stored_array_can_be_updated_in_place():
    W = shared(np.zeros((2, 3)))
    value = np.asfortranarray(np.ones((2, 3)))
    value.setflags(write=False)

    for borrow in (False, True):
        W.set_value(value, borrow=borrow)
        stored = W.get_value(borrow=True)
        assert (
            stored.flags.c_contiguous
            and stored.flags.writeable
            and stored.flags.aligned
        )
