"""Result dtypes: NumPy 2's for every pair, and floatX where nobody named a float."""

import numpy as np
import pytest

import workbench.tensor as T
from workbench.config import config
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import DTYPES, TensorType

CONDITION = np.array([True, False, True])
BINARY = {
    "add": (T.add, np.add),
    "sub": (T.sub, np.subtract),
    "mul": (T.mul, np.multiply),
    "true_div": (T.true_div, np.true_divide),
    "floor_div": (T.floor_div, np.floor_divide),
    "mod": (T.mod, np.mod),
    "pow": (T.pow, np.power),
    "maximum": (T.maximum, np.maximum),
    "minimum": (T.minimum, np.minimum),
    "eq": (T.eq, np.equal),
    "neq": (T.neq, np.not_equal),
    "lt": (T.lt, np.less),
    "le": (T.le, np.less_equal),
    "gt": (T.gt, np.greater),
    "ge": (T.ge, np.greater_equal),
    "and": (T.and_, np.bitwise_and),
    "or": (T.or_, np.bitwise_or),
    "xor": (T.xor, np.bitwise_xor),
    "arctan2": (T.arctan2, np.arctan2),
    "logaddexp": (T.logaddexp, np.logaddexp),
    "switch": (
        lambda x, y: T.switch(CONDITION, x, y),
        lambda x, y: np.where(CONDITION, x, y),
    ),
}
UNARY = {
    "neg": np.negative,
    "abs": np.absolute,
    "sign": np.sign,
    "sqr": np.square,
    "reciprocal": np.reciprocal,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "invert": np.invert,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
}
SCALARS = [True, 2, 1.5, 1 + 1j]


def operands(dtype):
    """An array and a 0-d array of a dtype."""
    return [np.array([0, 1, 3]).astype(dtype), np.array(2).astype(dtype)]


def ours(function, arguments):
    """The result of our function, or the class of its error: arrays become inputs."""
    values = {}
    given = []
    for each in arguments:
        if isinstance(each, np.ndarray):
            variable = Variable(TensorType(each.dtype.name, (None,) * each.ndim))
            values[variable] = each
            given.append(variable)
        else:
            given.append(each)
    try:
        output = function(*given)
    except TypeError:
        return "error"
    (result,) = evaluate([output], values)
    assert output.dtype == result.dtype
    return result


def numpys(function, arguments):
    with np.errstate(all="ignore"):
        try:
            return np.asarray(function(*arguments))
        except TypeError:
            return "error"


def differences(function, reference, cells):
    """Cells where the two disagree: on dtype, values, or whether it is defined."""
    found = []
    for arguments in cells:
        got, expected = ours(function, arguments), numpys(reference, arguments)
        if isinstance(got, str) or isinstance(expected, str):
            same = isinstance(got, str) and isinstance(expected, str)
        else:
            same = got.dtype == expected.dtype and np.array_equal(
                got, expected, equal_nan=got.dtype.kind in "fc"
            )
        if not same:
            found.append((arguments, got, expected))
    return found


@pytest.mark.parametrize("name", BINARY)
def test_pairs_of_dtypes_give_what_numpy_gives(name):
    function, reference = BINARY[name]
    cells = [
        (x, y) for d in DTYPES for e in DTYPES for x in operands(d) for y in operands(e)
    ]

    assert differences(function, reference, cells) == []


@pytest.mark.parametrize("name", BINARY)
def test_python_numbers_are_weak(name):
    function, reference = BINARY[name]
    arrays = [x for dtype in DTYPES for x in operands(dtype)]
    cells = [(x, s) for x in arrays for s in SCALARS] + [
        (s, x) for x in arrays for s in SCALARS
    ]

    assert differences(function, reference, cells) == []


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number_give_what_numpy_gives(name):
    cells = [(x,) for dtype in DTYPES for x in operands(dtype)]

    assert differences(getattr(T, name), UNARY[name], cells) == []


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log1mexp"])
def test_our_own_functions_follow_numpys_functions_of_real_numbers(name):
    for dtype in DTYPES:
        for x in operands(dtype):
            expected = numpys(np.cbrt, (x,))
            got = ours(getattr(T, name), (x,))
            assert isinstance(got, str) == isinstance(expected, str), dtype
            assert isinstance(got, str) or got.dtype == expected.dtype


def test_numpy_scalars_are_not_weak():
    x = T.vector("x", dtype="float32")

    assert (x + np.float64(1)).dtype == "float64"
    assert (np.float64(1) + x).dtype == "float64"
    assert (x + 1.0).dtype == (1.0 + x).dtype == "float32"


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("uint8", 300), ("uint8", -1), ("int8", 200), ("uint64", -1), ("int64", 2**63)],
)
@pytest.mark.parametrize("name", ["eq", "neq", "lt", "le", "gt", "ge"])
def test_comparison_takes_any_python_int(name, dtype, number):
    function, reference = BINARY[name]
    array = np.array([0, 44, 255]).astype(dtype)

    assert differences(function, reference, [(array, number), (number, array)]) == []


@pytest.mark.parametrize("number", [300, -1])
def test_arithmetic_refuses_an_int_beyond_the_dtype(number):
    x = T.tensor("uint8", (None,), "x")

    with pytest.raises(TypeError, match=str(number)):
        x + number
    with pytest.raises(OverflowError):
        np.array([1], "uint8") + number


def test_comparing_int64_with_uint64_is_by_value():
    signed, unsigned = np.array([-1, 1, 2]), np.array([2**64 - 1, 1, 1], "uint64")
    cells = [(signed, unsigned), (unsigned, signed)]

    for name in ("eq", "neq", "lt", "le", "gt", "ge"):
        assert differences(*BINARY[name], cells) == []


@pytest.mark.parametrize(
    ("build", "float64", "float32"),
    [
        (lambda i, f, h: i / i, "float64", "float32"),
        (lambda i, f, h: i / 2, "float64", "float32"),
        (lambda i, f, h: i * 0.5, "float64", "float32"),
        (lambda i, f, h: T.exp(i), "float64", "float32"),
        (lambda i, f, h: T.sigmoid(i), "float64", "float32"),
        (lambda i, f, h: T.mean(i), "float64", "float32"),
        (lambda i, f, h: T.var(i), "float64", "float32"),
        (lambda i, f, h: T.nnet.softmax(i), "float64", "float32"),
        (lambda i, f, h: T.switch(i > 0, 1.0, 0.0), "float64", "float32"),
        (lambda i, f, h: T.switch(i > 0, i, 0.5), "float64", "float32"),
        (lambda i, f, h: T.fill(i, 0.5), "float64", "float32"),
        (lambda i, f, h: T.add(1.5, 2), "float64", "float32"),
        (lambda i, f, h: T.add(2, 1.5), "float64", "float32"),
        (lambda i, f, h: T.zeros((2, 3)), "float64", "float32"),
        (lambda i, f, h: T.eye(3), "float64", "float32"),
        (lambda i, f, h: T.arange(0, 1, 0.25), "float64", "float32"),
        (lambda i, f, h: T.constant(1.5), "float64", "float32"),
        (lambda i, f, h: T.cast(i, "floatX"), "float64", "float32"),
        # A float that somebody named stays what it is, and NumPy's rule holds.
        (lambda i, f, h: i * f, "float64", "float64"),
        (lambda i, f, h: f * 0.5, "float32", "float32"),
        (lambda i, f, h: T.mean(h), "float16", "float16"),
        (lambda i, f, h: h + 1, "float16", "float16"),
        (lambda i, f, h: T.fill(f, 1), "float32", "float32"),
        (lambda i, f, h: T.fill(f, 0.5), "float32", "float32"),
        (lambda i, f, h: i * np.float64(0.5), "float64", "float64"),
        (lambda i, f, h: T.arange(5), "int64", "int64"),
        (lambda i, f, h: T.add(1, 2), "int64", "int64"),
        (lambda i, f, h: T.switch(i > 0, 1, 0), "int64", "int64"),
        (lambda i, f, h: T.sum(i), "int64", "int64"),
    ],
)
def test_floatX_is_taken_where_integers_become_floats(build, float64, float32):
    def variables():
        return [T.lvector("i"), T.fvector("f"), T.tensor("float16", (None,), "h")]

    assert build(*variables()).dtype == float64
    with config.change(floatX="float32"):
        assert build(*variables()).dtype == float32


def test_a_gradient_has_the_dtype_of_its_variable():
    x, i = T.fvector("x"), T.lvector("i")

    gradient = T.grad((1 + x * i + 2.5).sum() * 1.0, x)

    assert gradient.dtype == "float32"


def test_a_cast_from_float_to_float_passes_the_gradient():
    x = T.dvector("x")

    gradient = T.grad((T.cast(x, "float32") * 3).sum(), x)

    (got,) = evaluate([gradient], {x: [1.0, 2.0]})
    assert got.dtype == "float64"
    np.testing.assert_array_equal(got, [3, 3])


@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
@pytest.mark.parametrize("length", [1, 3, 64])
def test_a_float_beyond_uint32_is_cast_alike_at_every_place(source, length):
    x = T.tensor(source, (None,), "x")
    output = T.cast(x, "uint32")

    for number in (np.nan, np.inf, -np.inf, -3.0, 6e4, -5e4, 3e9, -3e9, 1e300):
        with np.errstate(over="ignore"):
            value = np.full(length, number).astype(source)
        (got,) = evaluate([output], {x: value})
        assert len(set(got.tolist())) == 1


def test_joining_takes_the_common_dtype():
    for d in DTYPES:
        for e in DTYPES:
            x, y = T.tensor(d, (None,)), T.tensor(e, (None,))
            assert T.concatenate([x, y]).dtype == np.result_type(d, e)
            assert T.dot(x, y).dtype == np.result_type(d, e)
