"""Inputs, constants and shared variables of every dtype, under all their spellings."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import AxisError, DTypeError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.types import DTYPES, TensorType

F32 = TensorType("float32", (None, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: T.tensor("float32", (None, 3), "z"),
        lambda: T.tensor("float32", shape=(None, 3), name="z"),
        lambda: T.tensor(dtype="float32", shape=(None, 3), name="z"),
        lambda: T.tensor("z", dtype="float32", shape=(None, 3)),
        lambda: T.tensor(np.float32, [None, 3], "z"),
        lambda: T.tensor("f4", (None, 3), "z"),
        lambda: T.matrix("z", dtype="float32", shape=(None, 3)),
        lambda: T.fmatrix("z", shape=(None, 3)),
        lambda: T.TensorType("float32", (None, 3))("z"),
    ],
)
def test_one_input_has_many_spellings(make):
    z = make()

    assert z.type == F32
    assert z.name == "z"


@pytest.mark.parametrize(
    "make",
    [
        lambda: T.tensor("float32", (False, True)),
        lambda: T.tensor("float32", broadcastable=(False, True)),
        lambda: T.tensor(dtype="float32", broadcastable=[False, True]),
        lambda: T.TensorType("float32", (False, True))(),
        lambda: T.TensorType("float32", broadcastable=(False, True))(),
        lambda: T.TensorType(np.dtype("float32"), [None, 1])(),
        lambda: T.fcol(),
    ],
)
def test_a_pattern_says_which_axes_stretch(make):
    assert make().type == TensorType("float32", (None, 1))
    assert make().broadcastable == (False, True)


def test_a_name_alone_gives_floatX():
    with wb.config.change(floatX="float32"):
        made = [
            T.tensor("x", shape=(3,)),
            T.tensor("d", shape=3),
            T.vector("x", shape=(3,)),
        ]
        made += [T.TensorType("floatX", (3,))(), T.tensor("floatX", (3,))]

    assert {str(v.type) for v in made} == {"float32 (3,)"}
    assert made[1].name == "d"


def test_what_is_no_dtype_is_refused_where_a_name_is_given_too():
    with pytest.raises(DTypeError):
        T.tensor("flaot32", (3,), "x")
    with pytest.raises(DTypeError):
        T.tensor("float32", (3,), "x", dtype="int8")
    with pytest.raises(ShapeError):
        T.matrix("x", shape=(3,))
    with pytest.raises(ShapeError):
        T.row("x", shape=(2, 3))


def test_every_rank_and_letter_has_a_constructor():
    letters = {
        "": "float64", "b": "int8", "w": "int16", "i": "int32", "l": "int64",
        "f": "float32", "d": "float64", "c": "complex64", "z": "complex128",
    }  # fmt: skip
    names = ["scalar", "vector", "matrix", *(f"tensor{n}" for n in range(3, 8))]

    for letter, dtype in letters.items():
        for rank, name in enumerate(names):
            x = getattr(T, letter + name)("x")
            assert (x.dtype, x.ndim, x.name) == (dtype, rank, "x")
        assert getattr(T, letter + "row")().broadcastable == (True, False)
        assert getattr(T, letter + "col")().broadcastable == (False, True)


def test_several_inputs_at_once():
    for made in (
        T.fvectors("x", "y"),
        T.fvectors("x y"),
        T.vectors("x, y", dtype="float32"),
    ):
        assert [(v.name, v.dtype, v.ndim) for v in made] == [
            ("x", "float32", 1),
            ("y", "float32", 1),
        ]
    assert len(T.matrices(3)) == 3
    assert [v.ndim for v in T.tensor3s("a", "b")] == [3, 3]
    assert [v.dtype for v in T.iscalars("n m")] == ["int32", "int32"]


def test_classes_of_the_tradition_are_there_to_be_checked():
    x, c, s = T.vector("x"), T.constant([1.0]), wb.shared([1.0])

    assert all(isinstance(v, T.TensorVariable) for v in (x, c, s, x + 1))
    assert isinstance(c, T.TensorConstant) and not isinstance(x, T.TensorConstant)
    assert isinstance(s, T.sharedvar.TensorSharedVariable)
    assert isinstance(s, T.SharedVariable) and isinstance(s, T.sharedvar.SharedVariable)
    assert isinstance(x.type, T.TensorType)


def test_attributes_may_be_added_to_variables():
    x = T.matrix("x")
    x._keras_shape = (None, 3)
    x.tag.test_value = np.ones((2, 3))
    y = x * 2
    y.name = "y"

    assert (x._keras_shape, y.name, y.owner.inputs[0]) == ((None, 3), "y", x)
    assert x.tag.test_value.shape == (2, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_an_input_a_constant_and_a_shared_value(dtype):
    value = np.array([[0, 1, 1]], dtype)
    x, s = T.tensor(dtype, (None, None), "x"), wb.shared(value, "s")
    c = T.constant(value)

    assert x.dtype == s.dtype == c.dtype == dtype
    joined = T.concatenate([x, s, c])
    (got,) = evaluate([joined], {x: value})
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.tile(value, (3, 1)))


def test_every_dtype_is_compiled():
    inputs = [T.tensor(dtype, (None,), f"x_{dtype}") for dtype in DTYPES]
    states = [wb.shared(np.array([1, 0], dtype), f"s_{dtype}") for dtype in DTYPES]
    values = [np.array([0, 1, 1], dtype) for dtype in DTYPES]
    joined = [T.concatenate([x, s]) for x, s in zip(inputs, states, strict=True)]

    got = wb.function(inputs, joined)(*values)

    for dtype, array in zip(DTYPES, got, strict=True):
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, [0, 1, 1, 1, 0])


# --- constants ------------------------------------------------------------------------


def test_values_become_variables():
    x = T.vector("x")

    assert T.as_tensor_variable(x) is x
    assert T.as_tensor(3).dtype == "int64"
    assert T.as_tensor(3, dtype="float32").dtype == "float32"
    assert T.as_tensor([1, 2], ndim=2).type.shape == (1, 2)
    assert T.as_tensor(np.ones((1, 2)), ndim=1).type.shape == (2,)
    assert T.as_tensor(x, ndim=2).broadcastable == (True, False)
    assert T.as_tensor_variable([x, x * 2]).ndim == 2
    assert T.constant(2.5, name="c").name == "c"
    assert T.constant([1, 2], dtype="int8").dtype == "int8"
    assert T.constant([1, 2], ndim=3).data.shape == (1, 1, 2)
    for bad in (None, "text", object(), {}):
        with pytest.raises(TypeError):
            T.as_tensor_variable(bad)
    with pytest.raises(TypeError):
        T.constant(x)
    with pytest.raises(ValueError, match="whose size is not known to be 1"):
        T.as_tensor(T.matrix("m"), ndim=1)


def test_casts_have_many_spellings():
    x = T.imatrix("x")

    for made in (T.cast(x, "float32"), x.astype("float32"), x.astype(np.float32)):
        assert made.type == TensorType("float32", (None, None))
    assert T.cast(x, "int32") is x
    assert T.cast(x, "floatX").dtype == wb.config.floatX
    assert x.astype(bool).dtype == "bool"


# --- which axes stretch ---------------------------------------------------------------


def test_a_declared_size_may_be_forgotten_and_declared_again():
    r = T.row("r")
    forgotten = T.unbroadcast(r, 0)

    assert forgotten.type.shape == (None, None)
    assert T.unbroadcast(forgotten, 0) is forgotten
    assert T.specify_broadcastable(forgotten, 0).type.shape == (1, None)
    assert T.patternbroadcast(r, (False, True)).type.shape == (None, 1)
    assert T.Rebroadcast((0, False), (1, True))(r).type.shape == (None, 1)
    with pytest.raises(ShapeError):
        T.patternbroadcast(r, (True,))
    with pytest.raises(AxisError):
        T.unbroadcast(r, 2)


def test_an_axis_that_was_forgotten_does_not_stretch():
    r, x = T.row("r"), T.matrix("x")
    f = wb.function([r, x], T.unbroadcast(r, 0) + x)

    np.testing.assert_array_equal(f(np.ones((1, 2)), np.ones((1, 2))), [[2, 2]])
    with pytest.raises(ShapeError):
        f(np.ones((1, 2)), np.ones((3, 2)))


def test_a_declaration_is_checked_when_run():
    x = T.matrix("x")
    f = wb.function([x], T.addbroadcast(x, 0) + T.ones((3, 2)))

    assert f(np.ones((1, 2))).shape == (3, 2)
    with pytest.raises(ShapeError):
        f(np.ones((2, 2)))


def test_new_axes_of_size_one():
    x = T.matrix("x")

    assert T.shape_padleft(x, 2).type.shape == (1, 1, None, None)
    assert T.shape_padright(x).type.shape == (None, None, 1)
    assert T.shape_padaxis(x, 1).type.shape == (None, 1, None)
    assert T.atleast_Nd(x, 4).type.shape == (1, 1, None, None)
    assert T.atleast_Nd(x, 3, left=False).type.shape == (None, None, 1)
    assert evaluate([T.shape_i(x, -1)], {x: np.ones((2, 3))}) == [3]


def test_shapes_stretched_to_each_other():
    x, y = T.tensor("x", shape=(None, 1)), T.tensor("y", shape=(4, 1, 5))
    sizes = T.broadcast_shape(x, y)

    got = evaluate(list(sizes), {x: np.ones((3, 1))})
    assert list(map(int, got)) == [4, 3, 5]
    assert list(map(int, evaluate(list(T.broadcast_shapes((2, 1), (3,))), {}))) == [
        2,
        3,
    ]
    with pytest.raises(ValueError, match="stretched"):
        T.broadcast_shapes((2,), (3,))


# --- methods --------------------------------------------------------------------------


def test_methods_are_the_functions():
    x = T.matrix("x")
    value = np.arange(6.0).reshape(2, 3)
    pairs = [
        (x.repeat(2, axis=1), value.repeat(2, axis=1)),
        (x.tile((2, 1)), np.tile(value, (2, 1))),
        (x.swapaxes(0, 1), value.swapaxes(0, 1)),
        (x.moveaxis(0, 1), value.T),
        (x.flatten(), value.flatten()),
        (x.flatten(2), value),
        (x.ravel(), value.ravel()),
        (x.copy(), value),
        (x.fill(3), np.full((2, 3), 3.0)),
        (x.diagonal(1), value.diagonal(1)),
        (x.reshape(3, 2), value.reshape(3, 2)),
        (x.transpose(1, 0), value.T),
        (x.T, value.T),
        (x.mT, value.T),
        (x.size, np.int64(6)),
        (x.astype("int8"), value.astype("int8")),
    ]

    for made, expected in pairs:
        (got,) = evaluate([made], {x: value})
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    assert x.copy() is not x
    assert x.copy(name="y").name == "y"


# --- shared variables -----------------------------------------------------------------


def test_what_a_shared_variable_is_made_with():
    s = wb.shared(
        value=np.ones((1, 2), "float32"),
        name="s",
        borrow=True,
        broadcastable=(True, False),
    )

    assert (s.name, s.type) == ("s", TensorType("float32", (1, None)))
    assert wb.shared([[1, 2]], shape=(1, None)).type.shape == (1, None)
    assert wb.shared(3).type == TensorType("int64", ())
    assert wb.shared(1.5, dtype="float32").dtype == "float32"
    assert wb.shared(True).dtype == "bool"


def test_a_strict_shared_variable_converts_nothing():
    s = wb.shared(np.zeros(2), "s", strict=True)

    s.set_value(np.ones(2))
    for value in ([1.0, 2.0], np.ones(2, "float32")):
        with pytest.raises(
            DTypeError, match=r"s\.set_value: must be an array of exactly"
        ):
            s.set_value(value)
    np.testing.assert_array_equal(s.get_value(), [1, 1])


def test_a_shared_variable_rounds_when_told_to():
    with pytest.raises(DTypeError):
        wb.shared(np.zeros(2, "float32")).set_value(np.ones(2))
    s = wb.shared(np.zeros(2, "float32"), allow_downcast=True)

    s.set_value(np.array([0.1, 0.2]))

    assert s.get_value().dtype == "float32"


def test_a_shared_variable_is_zeroed_and_copied():
    s = wb.shared(np.ones(3), "s")
    other = s.clone()
    kept = s.get_value(borrow=True)

    s.zero()
    assert kept[0] == 1 and s.get_value()[0] == 0
    s.set_value(kept, borrow=True)
    s.zero(borrow=True)
    assert kept[0] == 0
    np.testing.assert_array_equal(other.get_value(), [1, 1, 1])
    assert (other.type, other.name) == (s.type, "s")


def test_the_container_is_the_value_itself():
    s = wb.shared(np.ones(3), "s")
    f = wb.function([], s * 2)

    s.container.value = np.zeros(2)

    np.testing.assert_array_equal(f(), [0, 0])
    assert s.container.value is s.get_value(borrow=True, return_internal_type=True)
    assert s.container.storage is s.storage
    with pytest.raises(DTypeError):
        s.container.value = "text"
