"""A softmax over many outputs in two steps: first a class of outputs, then one of its members.

Read next: :mod:`workbench.core.ops.nnet`.
"""

from __future__ import annotations

from typing import Any

from workbench.core.errors import DTypeError, Report, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.checks import AssertPlace
from workbench.core.ops.creation import arange
from workbench.core.ops.elementwise import add, and_, floor_div, ge, lt, mod, mul
from workbench.core.ops.linalg import dot
from workbench.core.ops.nnet import softmax
from workbench.core.ops.products import batched_dot, tensordot
from workbench.core.ops.reduction import all as all_of
from workbench.core.ops.shape import dimshuffle, reshape, sizes_of, specify_shape
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import kind
from workbench.core.source import location_here


def h_softmax(
    x: Any,
    batch_size: Any,
    n_outputs: int,
    n_classes: int,
    n_outputs_per_class: int,
    W1: Any,
    b1: Any,
    W2: Any,
    b2: Any,
    target: Any = None,
) -> Variable:
    """The probabilities of outputs as those of their classes times those within them.

    For the target of each example it takes time proportional to ``n_classes + n_outputs_per_class``, not to
    `n_outputs`: best where both are about its root.

    Parameters
    ----------
    x : [batch, features]
    batch_size
        The number of examples; it is taken from `x`.
    n_outputs, n_classes, n_outputs_per_class
        The outputs are numbered class after class; the last classes may be incomplete.
    W1 : [features, n_classes]
    b1 : [n_classes]
    W2 : [n_classes, features, n_outputs_per_class]
    b2 : [n_classes, n_outputs_per_class]
    target : [batch] of integers, optional
        One output for each example.

    Returns
    -------
    [batch] or [batch, n_outputs]
        The probability of each target; without targets those of all outputs.

    Raises
    ------
    ShapeError
        There are more outputs than members of all classes, or an array has another number of axes.
        When run: an array has not the size that the numbers say.
    DTypeError
        Targets are not integers.
    OutOfRangeError
        When run: a target is no output.

    References
    ----------
    Goodman (2001), Classes for fast maximum entropy training.
    """
    x, W1, b1, W2, b2 = map(as_variable, (x, W1, b1, W2, b2))
    for name, array, rank in (
        ("x", x, 2), ("W1", W1, 2), ("b1", b1, 1), ("W2", W2, 3), ("b2", b2, 2),
    ):  # fmt: skip
        if array.ndim != rank:
            raise ShapeError(
                _report(f"h_softmax: {name} needs {rank} axes, got {array.type}.")
            )
    if n_outputs > n_classes * n_outputs_per_class:
        raise ShapeError(
            _report(
                f"h_softmax: {n_outputs} outputs are more than {n_classes} classes of "
                f"{n_outputs_per_class} have."
            )
        )
    W1, b1 = specify_shape(W1, (None, n_classes)), specify_shape(b1, (n_classes,))
    W2 = specify_shape(W2, (n_classes, None, n_outputs_per_class))
    b2 = specify_shape(b2, (n_classes, n_outputs_per_class))
    of_class = softmax(add(dot(x, W1), b1))
    if target is None:
        inside = softmax(add(tensordot(x, W2, [[1], [1]]), b2))
        joint = mul(dimshuffle(of_class, 0, 1, "x"), inside)
        rows = sizes_of(x)[0]
        flat = reshape(joint, (rows, n_classes * n_outputs_per_class))
        return index(flat, (slice(None), slice(0, n_outputs)))
    wanted = as_variable(target)
    if kind(wanted.dtype) not in "iu":
        raise DTypeError(
            _report(f"h_softmax: targets must be integers, got {wanted.type}.")
        )
    if wanted.ndim != 1:
        raise ShapeError(_report(f"h_softmax: target needs 1 axis, got {wanted.type}."))
    message = f"h_softmax({x.label()}): targets are outputs, from 0 to {n_outputs - 1}"
    fits = and_(ge(wanted, 0), lt(wanted, n_outputs))
    wanted = AssertPlace(message)(wanted, all_of(fits))
    classes = floor_div(wanted, n_outputs_per_class)
    member = mod(wanted, n_outputs_per_class)
    activation = batched_dot(x, index(W2, (classes,)))
    inside = softmax(add(activation, index(b2, (classes,))))
    each = arange(sizes_of(x)[0])
    return mul(index(of_class, (each, classes)), index(inside, (each, member)))


def _report(text: str) -> Report:
    return Report(text, location_here())


__all__ = ["h_softmax"]
