"""What differs on purpose among shapes, creation, places and matrices, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.corpus.calls import Call, Difference


def parts(value: Any) -> Iterator[Any]:
    """An argument, and whatever stands inside its lists and tuples."""
    yield value
    if isinstance(value, list | tuple):
        for part in value:
            yield from parts(part)


def given(test: Callable[[Any], bool]) -> Callable[[Call], bool]:
    """Whether an argument, or part of one, passes a test."""

    def where(call: Call) -> bool:
        values = (*call.args, *call.keywords.values())
        return any(test(part) for value in values for part in parts(value))

    return where


def is_text(value: Any) -> bool:
    """A letter where a number belongs."""
    return isinstance(value, str) and value == "a"


def is_float(value: Any) -> bool:
    """A Python float."""
    return isinstance(value, float)


def is_array(call: Call) -> bool:
    """Whether the first argument is an array."""
    return isinstance(call.args[0], np.ndarray)


def is_empty(call: Call) -> bool:
    """Whether the first argument has no elements."""
    return np.size(call.args[0]) == 0


def is_complex(value: Any) -> bool:
    """A complex number or array."""
    return (
        bool(np.iscomplexobj(value)) if not isinstance(value, list | tuple) else False
    )


def rank_of(call: Call) -> int:
    """The number of axes of the first argument."""
    return int(np.ndim(call.args[0]))


def mixed(call: Call) -> bool:
    """Whether single and double precision meet."""
    names = {a.dtype.name for a in call.args if isinstance(a, np.ndarray)}
    return "float32" in names and len(names) > 1


WHILE_BUILDING = [
    Difference(
        "concat|concatenate|stack|hstack|vstack|dstack|column_stack|row_stack|select",
        "raises TypeError",
        "an array is a list of arrays only where its length is known while the graph is built",
        is_array,
    ),
    Difference(
        "tile|split|array_split|zeros|ones|empty",
        "raises ShapeError",
        "a vector says how many axes or parts there are only where its length is known",
        given(
            lambda v: isinstance(v, np.ndarray) and v.dtype == "int64" and v.ndim == 1
        ),
    ),
    Difference(
        "vander",
        "raises ShapeError",
        "the number of columns must be known while the graph is built: give N",
    ),
    Difference(
        "pad",
        "raises OutOfRangeError, no ValueError|raises no ValueError",
        "that an axis is empty may show only at run time: as a place outside it, or as the "
        "mean of nothing",
        is_empty,
    ),
    Difference(
        r"linalg\.cond",
        "raises OutOfRangeError, no ValueError",
        "that a matrix is empty may show only at run time, as a place outside it",
        is_empty,
    ),
    Difference(
        "getitem",
        "raises IndexShapeError",
        "a mask with one true element does not stretch: only declared sizes of 1 do",
        given(lambda v: v is False),
    ),
    Difference(
        r"linalg\.eig|linalg\.eigvals",
        "dtype complex(64|128), not float(32|64)",
        "a dtype cannot depend on values: eigenvalues are complex even where all are real",
        until="numpy 2.4",
    ),
    Difference(
        r"linalg\.cond",
        "raises LinAlgError",
        "without singular values there is no condition number",
        lambda call: bool(np.isnan(call.args[0]).any()),
        since="numpy 2.4",
    ),
    Difference(
        r"linalg\.cho_factor",
        r"shape \(\), not \(2,\)|signs of zero differ",
        "whether the factor is lower is one flag for a whole batch; zeros are those of LAPACK",
        since="scipy 1.17",
    ),
    Difference(
        "arange",
        "raises DTypeError",
        "NumPy allows at most two bools, and how many there are need not be known",
        given(lambda v: v is bool),
    ),
    Difference(
        "unravel_index",
        "raises no ValueError",
        "of an array without axes there is no result that could carry the check",
        given(lambda v: isinstance(v, tuple) and v == ()),
    ),
    Difference(
        "shape",
        r"1 results, not \d|shape \(1,\), not \(\)",
        "a shape is one vector of integers, to compute with",
    ),
]

STRICTER = [
    Difference(
        ".*",
        r"raises \w+, no ValueError",
        "text is no number and so a TypeError; NumPy tries to read it as one",
        given(is_text),
    ),
    Difference(
        "roll|repeat|split|array_split|take|put",
        "raises DTypeError",
        "a float is no count and no place; NumPy cuts it off without a word",
        given(is_float),
    ),
    Difference(
        "reshape",
        "raises ShapeError",
        "-1 is the only negative size; NumPy's documents say so, too",
        given(lambda v: v == -2 if isinstance(v, int) else False),
    ),
    Difference(
        "reshape", "raises DTypeError", "None is no shape", given(lambda v: v is None)
    ),
    Difference(
        "full|full_like|trace",
        "raises DTypeError",
        "an imaginary part is not dropped without T.real; NumPy warns",
        given(is_complex),
    ),
    Difference(
        "fill_diagonal",
        "raises DTypeError",
        "variables are put into a narrower dtype only after a cast that says so",
        given(lambda v: isinstance(v, np.ndarray) and v.dtype == "float32"),
    ),
    Difference(
        "arange",
        "raises DTypeError",
        "complex numbers have no order to count in; NumPy gives an empty range",
        given(is_complex),
    ),
    Difference(
        "cross",
        "raises ShapeError",
        "vectors have three elements; NumPy deprecates those with two",
        until="numpy 2.4",
    ),
    Difference(
        r"linalg\.(expm|lu_factor|cho_factor)",
        "raises MatrixShapeError",
        "a matrix has two axes; SciPy makes one of a number or vector",
        lambda call: rank_of(call) < 2,
    ),
    Difference(
        r"linalg\.solve_triangular",
        "raises ValueError",
        "an unknown word for `trans` is refused; SciPy takes it as no transposition",
        lambda call: call.keywords.get("trans") in ("x", 3),
    ),
    Difference(
        "einsum",
        "raises DTypeError",
        "NumPy does not compute, nor look at `dtype`, where a view of the operand will do",
        given(lambda v: isinstance(v, str) and v == "ij->ij"),
    ),
]

NOT_OFFERED = [
    Difference(
        "reshape|copy|zeros|ones|full|eye|zeros_like|ones_like|full_like",
        "raises TypeError",
        "a variable says nothing of where its value lies in memory",
        lambda call: bool({"order", "copy"} & set(call.keywords)),
    ),
    Difference(
        r"linalg\.(schur|qz|solve_discrete_are)",
        "raises TypeError",
        "chosen orders of eigenvalues and generalised equations are not offered",
        lambda call: bool({"sort", "e", "s"} & set(call.keywords)),
    ),
]

MORE_LENIENT = [
    Difference(
        "split|take_along_axis",
        "raises (no|AxisError, no|OutOfRangeError, no|IndexKindError, no) AttributeError",
        "a list is an array here; NumPy's function fails on one by accident",
        given(lambda v: isinstance(v, list)),
    ),
    Difference(
        "ravel_multi_index|unravel_index",
        "raises no TypeError",
        "an empty list holds no float either",
        given(lambda v: v == [] if isinstance(v, list) else False),
    ),
    Difference(
        "put",
        "raises no TypeError",
        "unsigned places of 64 bits are places",
        given(lambda v: isinstance(v, np.ndarray) and v.dtype == "uint64"),
    ),
]

OTHER_ERRORS = [
    Difference(
        "tril|triu",
        "raises ShapeError, no TypeError",
        "NumPy fails on a scalar by accident, with an error about another function",
        lambda call: rank_of(call) == 0,
    ),
    Difference(
        r"ravel_multi_index|put_along_axis|linalg\.matrix_power",
        "raises (DTypeError|OutOfRangeError), no ValueError",
        "two things are wrong, and the other one is told first",
    ),
]

OTHER_VALUES = [
    Difference(
        r"dot|inner|vdot|tensordot|linalg\.tensordot|linalg\.cholesky",
        "signs of zero differ",
        "NumPy's BLAS adds even a single product to 0, which loses the sign of -0",
    ),
    Difference(
        "einsum",
        "dtype (int64|float32), not int8",
        "NumPy does not compute, nor look at `dtype`, where a view of the operand will do",
        given(lambda v: isinstance(v, str) and v == "ij->ij"),
    ),
    Difference(
        r"linalg\.cho_factor",
        "values differ",
        "beyond the factor there are zeros; SciPy leaves elements of the matrix there",
    ),
    Difference(
        r"linalg\.schur",
        "dtype float64, not float32",
        "bools count as float64, as all integers do; SciPy takes bools alone as float32",
        given(lambda v: isinstance(v, np.ndarray) and v.dtype == "bool"),
    ),
    Difference(
        r"linalg\.solve_(sylvester|continuous_lyapunov|discrete_lyapunov)",
        "values differ",
        "all is computed in the dtype of the result; SciPy factors a float32 as such",
        mixed,
    ),
    Difference(
        r"linalg\.solve_sylvester",
        "values differ",
        "SciPy's answer solves another equation where a complex matrix meets a real one "
        "with complex eigenvalues: it is off by 0.2",
        lambda call: np.iscomplexobj(call.args[0]),
    ),
]

STRUCTURAL = [
    *WHILE_BUILDING,
    *STRICTER,
    *NOT_OFFERED,
    *MORE_LENIENT,
    *OTHER_ERRORS,
    *OTHER_VALUES,
]
