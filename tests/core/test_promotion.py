"""Result dtypes: NumPy 2's for every pair, and floatX where nobody named a float."""

import itertools
import zlib

import numpy as np
import pytest
from scipy import special

import workbench.tensor as T
from workbench.config import config
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import DTYPES, TensorType

CONDITION = np.array([True, False, True])
SAME = (
    "add sub mul true_div floor_div mod pow maximum minimum eq neq lt le gt ge and_ or_ xor "
    "arctan2 logaddexp logaddexp2 fmod fmax fmin copysign hypot heaviside left_shift "
    "right_shift gcd lcm float_power logical_and logical_or logical_xor isclose subtract "
    "multiply divide floor_divide remainder power greater greater_equal less less_equal "
    "equal not_equal bitwise_and bitwise_or bitwise_xor bitwise_left_shift "
    "bitwise_right_shift atan2"
).split()
TRADITION = {
    "sub": "subtract", "mul": "multiply", "true_div": "true_divide", "mod": "remainder",
    "floor_div": "floor_divide", "pow": "power", "eq": "equal", "neq": "not_equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    "and_": "bitwise_and", "or_": "bitwise_or", "xor": "bitwise_xor",
    "neg": "negative", "sqr": "square",
}  # fmt: skip
BINARY = {
    **{n: (getattr(T, n), getattr(np, TRADITION.get(n, n))) for n in SAME},
    "divmod": (lambda x, y: T.divmod(x, y)[0], lambda x, y: np.divmod(x, y)[0]),
    "divmod rest": (lambda x, y: T.divmod(x, y)[1], lambda x, y: np.divmod(x, y)[1]),
    "clip": (lambda x, y: T.clip(x, y, None), lambda x, y: np.clip(x, y, None)),
    "switch": (
        lambda x, y: T.switch(CONDITION, x, y),
        lambda x, y: np.where(CONDITION, x, y),
    ),
}
SCIPY_BINARY = (
    "xlogy xlog1py gammainc gammaincc beta betaln jv iv ive kv kve owens_t".split()
)
BINARY |= {n: (getattr(T, n), getattr(special, n)) for n in SCIPY_BINARY}
UNARY_NAMES = (
    "neg abs sign sqr reciprocal floor ceil trunc rint round isnan isinf invert exp exp2 "
    "expm1 log log2 log10 log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
    "arccosh arctanh cbrt deg2rad rad2deg degrees radians fabs signbit isfinite isposinf "
    "isneginf logical_not nan_to_num sinc positive real imag angle conj conjugate absolute "
    "negative square bitwise_not bitwise_invert asin acos atan asinh acosh atanh"
).split()
SCIPY_UNARY = (
    "erf erfc erfcx erfinv erfcinv ndtr ndtri log_ndtr gamma gammaln psi digamma j0 j1 i0 i1 "
    "logit entr"
).split()  # expit gives float64 for small integers, as SciPy did until 1.17
UNARY = {
    **{n: (getattr(T, n), getattr(np, TRADITION.get(n, n))) for n in UNARY_NAMES},
    **{n: (getattr(T, n), getattr(special, n)) for n in SCIPY_UNARY},
}
SCALARS = [True, 2, 1.5, 1 + 1j]


def operands(dtype):
    """An array and a 0-d array of a dtype."""
    return [np.array([0, 1, 3]).astype(dtype), np.array(2).astype(dtype)]


def built(function, arguments):
    """Our expression of inputs of such types, or its error; and their values."""
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
        return function(*given), values
    except TypeError as error:
        return error, values


def ours(function, arguments):
    """The result of our function, or its error."""
    output, values = built(function, arguments)
    if isinstance(output, Exception):
        return output
    (result,) = evaluate([output], values)
    assert output.dtype == result.dtype
    return result


def numpys(function, arguments):
    with np.errstate(all="ignore"):
        try:
            return np.asarray(function(*arguments))
        except (TypeError, OverflowError) as error:
            return error


def dtype_differences(function, reference, cells):
    """Cells where the two disagree on the dtype, or on the kind of error."""
    found = []
    for arguments in cells:
        output, _ = built(function, arguments)
        expected = numpys(reference, arguments)
        if isinstance(output, Exception) or isinstance(expected, Exception):
            same = is_error_like(output, expected)
        else:
            same = output.dtype == expected.dtype
        if not same:
            names = [getattr(a, "dtype", a) for a in arguments]
            found.append(f"{names}: {output!r}, NumPy has {expected!r}")
    return found


def is_error_like(ours, theirs):
    """Whether both are errors and ours can be caught as NumPy's: by TypeError, OverflowError."""
    kinds = [k for k in (TypeError, OverflowError) if isinstance(theirs, k)]
    return bool(kinds) and all(isinstance(ours, k) for k in kinds)


def differences(function, reference, cells):
    """Cells where the two disagree: on dtype, values, or whether it is defined."""
    found = []
    for arguments in cells:
        got, expected = ours(function, arguments), numpys(reference, arguments)
        if isinstance(got, Exception) or isinstance(expected, Exception):
            same = is_error_like(got, expected)
        else:
            same = got.dtype == expected.dtype and np.array_equal(
                got, expected, equal_nan=got.dtype.kind in "fc"
            )
        if not same:
            found.append((arguments, got, expected))
    return found


def all_pairs():
    """Every dtype with every dtype, arrays and 0-d arrays, and with Python numbers."""
    arrays = [x for dtype in DTYPES for x in operands(dtype)]
    return [
        *itertools.product(arrays, arrays),
        *itertools.product(arrays, SCALARS),
        *itertools.product(SCALARS, arrays),
    ]


@pytest.mark.parametrize("name", BINARY)
def test_every_pair_has_the_dtype_that_numpy_gives(name):
    assert dtype_differences(*BINARY[name], all_pairs()) == []


@pytest.mark.parametrize("name", BINARY)
def test_every_third_pair_has_the_value_that_numpy_gives(name):
    cells = all_pairs()[zlib.crc32(name.encode()) % 3 :: 3]

    assert differences(*BINARY[name], cells) == []


# Of float_power a number alone is float64 here; np.where wraps such an int, which we refuse.
@pytest.mark.parametrize("name", sorted({*BINARY} - {"float_power", "switch"}))
@pytest.mark.parametrize("number", [300, -1, 2**70])
def test_an_int_beyond_the_dtype_is_the_error_that_numpy_raises(name, number):
    if name in ("pow", "power") and number < 0:
        pytest.skip("an error of values: a negative power of an integer")
    if name == "clip" and number == 2**70:
        pytest.skip("NumPy makes an array of objects of the number")
    arrays = [x for dtype in DTYPES for x in operands(dtype)]
    cells = [pair for x in arrays for pair in ((x, number), (number, x))]

    assert dtype_differences(*BINARY[name], cells) == []


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number_give_what_numpy_gives(name):
    cells = [(x,) for dtype in DTYPES for x in operands(dtype)]

    assert differences(*UNARY[name], cells) == []


@pytest.mark.parametrize("decimals", [0, 1, -1])
def test_rounding_to_decimals_gives_what_numpy_gives(decimals):
    cells = [
        (np.array([25.25, 15, 1.05, 125]).astype(dtype),)
        for dtype in DTYPES
        if dtype != "bool"
    ]

    assert (
        differences(
            lambda x: T.round(x, decimals), lambda x: np.round(x, decimals), cells
        )
        == []
    )


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log1mexp"])
def test_our_own_functions_follow_numpys_functions_of_real_numbers(name):
    for dtype in DTYPES:
        for x in operands(dtype):
            expected = numpys(np.cbrt, (x,))
            got = ours(getattr(T, name), (x,))
            assert isinstance(got, Exception) == isinstance(expected, Exception), dtype
            assert isinstance(got, Exception) or got.dtype == expected.dtype


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
    with pytest.raises(OverflowError, match=str(number)):
        number * x
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
