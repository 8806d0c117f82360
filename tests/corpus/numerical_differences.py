"""What differs on purpose among elementwise functions, reductions, sorting and counting, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.corpus.calls import Call, Difference
from tests.corpus.structural_differences import given, is_complex

NUMPY_ONLY = "|".join(
    [
        "abs|angle|ceil|conj|floor|imag|invert|logical_.*|nan_to_num|negative|positive|real",
        "reciprocal|sign|sinc|square|trunc|i0|float_power|equal|not_equal|fmod|hypot|arctan2",
        "sum|prod|max|min|ptp|nan.*|argmax|argmin|all|any|count_nonzero|average|cov|corrcoef",
        "cumsum|cumprod|diff|sort|argsort|searchsorted|digitize|unique|nonzero|flatnonzero|argwhere|histogram",
        "softplus|special[.].*",
    ]
)


def is_object(value: Any) -> bool:
    """What NumPy keeps as a text or an object: letters, None, an integer beyond uint64."""
    if isinstance(value, int):
        return not -(2**63) <= value < 2**64
    return value is None or isinstance(value, str)


def of_objects(call: Call) -> bool:
    """Whether an operand, or the start of a reduction, is no number."""
    return any(map(is_object, (*call.args, call.keywords.get("initial", 0))))


def dtype_of(call: Call) -> np.dtype[Any]:
    """The dtype of the first argument."""
    return np.asarray(call.args[0]).dtype


def loses_imaginary_part(call: Call) -> bool:
    """Whether complex numbers are asked for in a real dtype."""
    dtype = call.keywords.get("dtype")
    if dtype in (None, "x") or dtype_of(call).kind != "c":
        return False
    return np.dtype(dtype).kind != "c"


def has_no_element(call: Call) -> bool:
    """Whether the first argument is empty."""
    return bool(np.size(call.args[0]) == 0)


def is_whole(call: Call) -> bool:
    """Whether the first argument holds integers or bools."""
    return dtype_of(call).kind in "biu"


def along_several(call: Call) -> bool:
    """Whether an axis is a tuple."""
    return isinstance(call.keywords.get("axis"), tuple)


REDUCTIONS = "(nan)?(sum|prod|max|min|mean|std|var|median|argmax|argmin)|all|any|ptp|count_nonzero|average"

OF_KINDS = [
    Difference(
        "add|exp",
        "raises TypeError",
        "a ufunc's own arguments (out, where, dtype, casting) do not exist: use T.where, T.cast",
        lambda call: bool(call.keywords),
    ),
    Difference(
        NUMPY_ONLY,
        r"raises (DTypeError|NumberRangeError|ValueError)(, no \w+)?",
        "there are no tensors of texts or objects, so such an operand is an error of its own",
        of_objects,
    ),
    Difference(
        "(nan)?(sum|prod|mean|std|var|cumsum|cumprod)|cov",
        "raises DTypeError",
        "a complex number loses its imaginary part only by T.real, never by a dtype",
        loses_imaginary_part,
    ),
    Difference(
        "(nan)?(std|var)",
        r"dtype float64, not int8",
        "of integers a variance is a float; NumPy rounds each step to the integers asked for",
        lambda call: call.keywords.get("dtype") == "int8",
    ),
    Difference(
        "(nan)?(std|var)",
        "values differ",
        "the mean is not rounded to few digits before distances from it are taken in more",
        lambda call: (
            dtype_of(call) in ("float16", "float32") and "dtype" in call.keywords
        ),
    ),
    Difference(
        "real|imag",
        r"dtype \w+, not int64",
        "a Python integer's own attribute, an int, is not looked at",
        lambda call: isinstance(call.args[0], int),
    ),
    Difference(
        "i0",
        "dtype float(32|64), not float(16|64)",
        "it is SciPy's, whose dtypes follow its version",
    ),
    Difference(
        "special.(cbrt|exp2|expit|expm1|log1p)",
        "dtype float64, not float32",
        "half floats and small integers are computed in float64, as SciPy did for long",
        since="scipy 1.17",
    ),
    Difference(
        "special.polygamma",
        "dtype float32, not float64",
        "the dtypes are those of psi, its first member",
        since="scipy 1.17",
    ),
    Difference(
        "unique",
        "signs of zero differ",
        "of equal zeros the first is kept; NumPy keeps any",
        since="numpy 2.4",
    ),
    Difference(
        "softplus",
        "dtype float16, not float64",
        "of bools a float16, as the exponential of bools is",
        lambda call: dtype_of(call) == "bool",
    ),
    Difference(
        "where",
        "raises NumberRangeError",
        "a Python integer that the dtype cannot hold is an error, as NumPy has it elsewhere",
        until="numpy 2.4",
    ),
    Difference(
        "cov",
        r"raises DTypeError(, no \w+)?",
        "whether floats are whole only the values say: frequencies are integers",
        lambda call: "fweights" in call.keywords,
    ),
    Difference(
        "histogram",
        "raises DTypeError",
        "complex numbers have no order that bins could follow; NumPy mixes two",
        given(is_complex),
    ),
    Difference(
        "special.polygamma",
        "values differ",
        "all of it in float64; SciPy rounds one factor to float32 for operands that fit there",
    ),
    Difference(
        "special.polygamma",
        "raises DTypeError",
        "an order is real, though SciPy's parts take a complex one",
        given(is_complex),
    ),
    Difference(
        "special.log1p",
        "signs of zero differ|values differ",
        "of complex numbers NumPy's, whose last digits differ from SciPy's",
        given(is_complex),
    ),
    Difference(
        "special.log_softmax",
        "values differ",
        "beside an infinity all is NaN, as the logarithm of SciPy's own softmax is",
        lambda call: (
            np.asarray(call.args[0]).dtype.kind == "f"
            and bool((np.asarray(call.args[0]) == np.inf).any())
        ),
    ),
    Difference(
        "special.(log_)?softmax",
        r"dtype float64, not float16|values differ|raises no TypeError",
        "integers become floats first; SciPy's differences of small ones wrap",
        is_whole,
    ),
]

OF_AXES = [
    Difference(
        REDUCTIONS,
        "raises no TypeError",
        "axes may stand in a list, as in the Theano tradition",
        lambda call: isinstance(call.keywords.get("axis"), list),
    ),
    Difference(
        "arg(max|min)|nanarg(max|min)",
        r"raises no TypeError|raises (Shape|Axis|Parameter)Error, no TypeError",
        "several axes may be searched together",
        lambda call: isinstance(call.keywords.get("axis"), list | tuple),
    ),
    Difference(
        "(nan)?median",
        "raises no ValueError",
        "NumPy cannot reshape nothing; along no axis it is nothing again",
        lambda call: along_several(call) and has_no_element(call),
        until="numpy 2.4",
    ),
    Difference(
        "special.logsumexp",
        r"shape .*|raises no IndexError|raises ShapeError, no IndexError",
        "a scalar keeps no axis; nothing may have several axes, which SciPy counts wrongly",
        lambda call: has_no_element(call) or np.ndim(call.args[0]) == 0,
    ),
    Difference(
        "special.(log_)?softmax",
        "raises no ValueError",
        "the softmax of nothing is nothing: no maximum is missed",
        has_no_element,
    ),
    Difference(
        "ptp|quantile",
        "raises DTypeError, no (ValueError|IndexError)",
        "of bools it is an error already while the graph is built, also when there are none",
        lambda call: has_no_element(call) and dtype_of(call) == "bool",
    ),
    Difference(
        "digitize",
        "raises ShapeError, no TypeError",
        "of two mistakes the other is named",
        lambda call: np.iscomplexobj(call.args[0]),
    ),
]

OF_VALUES = [
    Difference(
        "clip",
        "raises no TypeError",
        "a bound left out does not hold, as for the method clip of arrays",
        lambda call: len(call.args) == 2,
    ),
    Difference(
        "clip",
        "raises no UFuncTypeError",
        "without a bound bools, too, stay as they are",
        lambda call: len(call.args) == 3 and call.args[1] is call.args[2] is None,
    ),
    Difference(
        "clip",
        "signs of zero differ",
        "of -0 and a bound of 0, which are equal, either may be taken",
    ),
    Difference(
        "partition",
        "values differ|signs of zero differ",
        "only what stands at the places asked for is said, not the order of the others",
    ),
    Difference(
        "partition",
        "raises ShapeError",
        "of no elements there is no first, which NumPy does not ask for",
        has_no_element,
    ),
    Difference(
        "unique",
        "values differ",
        "which of several NaN stands for all is not said",
        given(is_complex),
    ),
    Difference(
        "nan(max|min)",
        "values differ",
        "a slice of nothing but NaN is NaN, without the imaginary part of one",
        given(is_complex),
    ),
    Difference(
        "nanmedian",
        "values differ",
        "the NaN of no elements has no imaginary part",
        lambda call: has_no_element(call),
    ),
    Difference(
        "average",
        "raises no ZeroDivisionError",
        "a division by weights that add up to 0 gives NaN or infinity, as every division",
    ),
    Difference(
        "cov",
        "raises no ValueError",
        "weights are not searched for negative ones",
        lambda call: "aweights" in call.keywords or "fweights" in call.keywords,
    ),
    Difference(
        "cov",
        "raises ShapeError, no RuntimeError",
        "wrong sizes are a ValueError everywhere",
        lambda call: "aweights" in call.keywords or "fweights" in call.keywords,
    ),
    Difference(
        "bincount",
        "raises no TypeError|raises ShapeError, no TypeError",
        "no least length may be said by None, as in the Theano tradition",
        lambda call: call.keywords.get("minlength", 0) is None,
    ),
]


def of_many(call: Call) -> bool:
    """Whether places are said by a slice or a mask."""
    places = call.args[1]
    return isinstance(places, slice) or np.asarray(places).dtype == "bool"


OF_INSERTIONS = [
    Difference(
        "insert",
        "raises ShapeError, no IndexError",
        "of two mistakes, in places and in sizes, the other is named",
    ),
    Difference(
        "insert",
        "raises ShapeError",
        "that a mask or a slice names one place alone, for many values, is not known beforehand",
        of_many,
    ),
]

NUMERICAL = [*OF_KINDS, *OF_AXES, *OF_VALUES, *OF_INSERTIONS]
