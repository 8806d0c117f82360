"""Losses and activations that programs of the tradition ask for by name.

Read next: :mod:`workbench.core.ops.nnet`.
"""

from __future__ import annotations

from typing import Any

from workbench.core.errors import DTypeError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.counting import unique
from workbench.core.ops.creation import arange
from workbench.core.ops.elementwise import add, eq, mul, neg
from workbench.core.ops.joining import concatenate
from workbench.core.ops.linalg import dot
from workbench.core.ops.nnet import elu, logsoftmax, softmax
from workbench.core.ops.shape import dimshuffle, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast, kind
from workbench.core.source import location_here

SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
"""What keeps mean 0 and variance 1 a fixed point of :func:`selu`; Klambauer et al. (2017), equation 14."""


def selu(x: Any) -> Variable:
    """`SCALE` times x where positive, else `SCALE` `ALPHA` (exp(x) - 1).

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter (2017), Self-Normalizing Neural Networks, equation 2.
    """
    return mul(elu(x, ALPHA), SCALE)


def softmax_with_bias(x: Any, b: Any) -> Variable:
    """The softmax of each row of x + b."""
    return softmax(add(as_variable(x), b))


def crossentropy_softmax_1hot(x: Any, y_idx: Any) -> tuple[Variable, Variable]:
    """The cross-entropy of the softmax of each row, and that softmax.

    Parameters
    ----------
    x : [n, k]
        Before the softmax.
    y_idx : [n] of integers
        The right class of each row.

    Returns
    -------
    [n], [n, k]
        ``-log(softmax(x))[i, y_idx[i]]``, finite for any x, and ``softmax(x)``.
    """
    x, y = as_variable(x), as_variable(y_idx)
    if x.ndim != 2 or y.ndim != 1:
        raise ShapeError(
            Report(
                f"crossentropy_softmax_1hot needs a matrix and a vector of classes, got {x.label()}: "
                f"{x.type} and {y.label()}: {y.type}.",
                location_here(),
            )
        )
    _check_classes("crossentropy_softmax_1hot", y)
    places = (arange(sizes_of(y)[0]), y)
    return neg(index(logsoftmax(x), places)), softmax(x)


def crossentropy_softmax_1hot_with_bias(
    x: Any, b: Any, y_idx: Any
) -> tuple[Variable, Variable]:
    """:func:`crossentropy_softmax_1hot` of x + b."""
    return crossentropy_softmax_1hot(add(as_variable(x), b), y_idx)


def confusion_matrix(actual: Any, pred: Any) -> list[Variable]:
    """How often each class was taken for each other.

    Parameters
    ----------
    actual, pred : [n] of integers
        The right classes, and those that were predicted.

    Returns
    -------
    [k, k] of int64, [k]
        Rows are the right classes, columns the predicted ones; and the classes, in order.

    Examples
    --------
    >>> matrix, classes = confusion_matrix([2, 0, 2, 2], [0, 0, 2, 2])
    >>> matrix.eval()
    array([[1, 0],
           [1, 2]])
    """
    given = [as_variable(v) for v in (actual, pred)]
    for name, v in zip(("actual", "pred"), given, strict=True):
        if v.ndim != 1:
            raise ShapeError(
                Report(
                    f"confusion_matrix: {name} needs 1 axis, got {v.type}.",
                    location_here(),
                )
            )
        _check_classes("confusion_matrix", v)
    classes = unique(concatenate(given, axis=0))
    rows, columns = (
        cast(eq(dimshuffle(v, 0, "x"), dimshuffle(classes, "x", 0)), "int64")
        for v in given
    )
    return [dot(dimshuffle(rows, 1, 0), columns), classes]


def _check_classes(name: str, v: Variable) -> None:
    if kind(v.dtype) not in "iu":
        raise DTypeError(
            Report(
                f"{name}: classes {v.label()} must be integers, got {v.type}.",
                location_here(),
            )
        )


__all__ = [
    "confusion_matrix", "crossentropy_softmax_1hot", "crossentropy_softmax_1hot_with_bias", "selu",
    "softmax_with_bias",
]  # fmt: skip
