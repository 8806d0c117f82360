"""Jacobians, Hessians and their products with vectors.

A product with a vector costs about as much as the function: :func:`jvp` goes forward,
:func:`vjp` backward. A whole :func:`jacobian` is `vjp` of every row of an identity matrix,
done for all rows at once (:func:`~workbench.core.batching.vectorize_graph`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core import source
from workbench.core.backward import fit_dtype
from workbench.core.batching import vectorize_graph
from workbench.core.disconnected import gradient_error, stand_in, user_frame
from workbench.core.errors import DisconnectedInputError, Report, ShapeError
from workbench.core.forward import push
from workbench.core.gradient import (
    Constants,
    Options,
    grad,
    in_form,
    pull,
)
from workbench.core.graph import Variable, as_list, as_variable, clone
from workbench.core.ops.creation import eye
from workbench.core.ops.elementwise import add, fill
from workbench.core.ops.joining import stack
from workbench.core.ops.shape import (
    flatten,
    reshape,
    size_variable,
    sizes_of,
)
from workbench.core.ops.ufunc import kind

Several = Variable | Sequence[Variable]


def jvp(
    f: Several,
    wrt: Several,
    eval_points: Any,
    disconnected_outputs: str = "raise",
    return_disconnected: str = "zero",
) -> Any:
    """The Jacobian of `f` by `wrt` times a vector: how `f` changes when `wrt` changes by it.

    Computed forward, together with the function; the Jacobian is never formed.

    Parameters
    ----------
    f
        One variable or several, of any shape.
    wrt
        What changes: one variable or several.
    eval_points
        By how much: for each of `wrt` something of its shape, or ``None`` for zero.
    disconnected_outputs, return_disconnected
        What to do when one of `f` does not depend on `wrt`, and what to return for it; as in
        :func:`~workbench.core.gradient.grad`.

    Returns
    -------
    Variable, or list or tuple of Variable
        As `f`; each of the dtype and shape of its variable.

    Raises
    ------
    GradientError
        An op on the way has no derivative, or a point has another number of axes.
    DisconnectedInputError
        One of `f` does not depend on `wrt` in a differentiable way.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> jvp(x**2, x, [1.0, 0.5]).eval({x: [3.0, 4.0]})
    array([6., 4.])
    """
    options = Options(disconnected_outputs, return_disconnected)
    outputs = as_list(f)
    results = []
    for output, tangent in zip(
        outputs, push(outputs, _weights("point", wrt, eval_points)), strict=True
    ):
        if tangent is None:
            _say_constant(output, options.disconnected_inputs)
            tangent = stand_in(output, options.return_disconnected)
        results.append(tangent)
    return in_form(f, results)


def vjp(
    f: Several,
    wrt: Several,
    eval_points: Any,
    consider_constant: Constants = None,
    disconnected_inputs: str = "raise",
    return_disconnected: str = "zero",
) -> Any:
    """A vector times the Jacobian of `f` by `wrt`: the gradient of their inner product.

    Computed backward; the Jacobian is never formed.

    Parameters
    ----------
    f
        One variable or several, of any shape.
    wrt
        One variable or several to differentiate by.
    eval_points
        For each of `f` something of its shape: the gradient that reaches it.
    consider_constant, disconnected_inputs, return_disconnected
        As in :func:`~workbench.core.gradient.grad`.

    Returns
    -------
    Variable, or list or tuple of Variable
        As `wrt`; each of the dtype and shape of its variable.

    Raises
    ------
    GradientError
        An op on the way has no gradient, or a point has another number of axes.
    DisconnectedInputError
        `f` does not depend on one of `wrt` in a differentiable way.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> vjp(x**2, x, [1.0, 0.5]).eval({x: [3.0, 4.0]})
    array([6., 4.])
    """
    options = Options(disconnected_inputs, return_disconnected)
    starts = _weights("point", f, eval_points)
    return pull(starts, wrt, consider_constant, options, whole=False)


def jacobian(
    expression: Variable,
    wrt: Several,
    consider_constant: Constants = None,
    disconnected_inputs: str = "raise",
    vectorize: bool = True,
) -> Any:
    """All derivatives of an expression by variables.

    Entry ``[i..., j...]`` is the derivative of ``expression[i...]`` by ``wrt[j...]``.

    Parameters
    ----------
    expression
        Real, of any shape.
    wrt
        One variable or several, of any shape.
    consider_constant, disconnected_inputs
        As in :func:`~workbench.core.gradient.grad`.
    vectorize
        Whether one graph computes all rows together. Otherwise each has its own, which
        needs an expression whose shape is known beforehand.

    Returns
    -------
    Variable, or list or tuple of Variable
        As `wrt`; each of the shape ``(*expression.shape, *wrt.shape)``.

    Raises
    ------
    GradientError
        The expression is not real, or an op on the way has no gradient.
    DisconnectedInputError
        The expression does not depend on one of `wrt` in a differentiable way.
    ShapeError
        Without `vectorize`, the size of the expression is not known.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> jacobian(x**2, x).eval({x: [1.0, 2.0]})
    array([[2., 0.],
           [0., 4.]])
    """
    expression = as_variable(expression)
    if not expression.type.is_float or kind(expression.dtype) == "c":
        text = f"jacobian is of real floats; {expression.label()} is {expression.type}."
        raise gradient_error(text, "", source.location_here())
    flat = flatten(expression)
    seed = Variable(flat.type, "seed")
    options = Options(disconnected_inputs)
    targets = as_list(wrt)
    rows = pull({flat: seed}, targets, consider_constant, options)
    results = _all_rows(rows, seed, flat) if vectorize else _each_row(rows, seed, flat)
    sizes = sizes_of(expression)
    shaped = [
        reshape(rows, [size_variable(s) for s in (*sizes, *sizes_of(target))])
        for rows, target in zip(results, targets, strict=True)
    ]
    return in_form(wrt, shaped)


def hessian(
    cost: Variable,
    wrt: Several,
    consider_constant: Constants = None,
    disconnected_inputs: str = "raise",
) -> Any:
    """All second derivatives of a scalar by each of the variables.

    Parameters
    ----------
    cost
        A real float scalar.
    wrt
        One variable or several, of any shape; derivatives by two different ones are left out.
    consider_constant, disconnected_inputs
        As in :func:`~workbench.core.gradient.grad`.

    Returns
    -------
    Variable, or list or tuple of Variable
        As `wrt`; each of the shape ``(*wrt.shape, *wrt.shape)``.

    Raises
    ------
    GradientError, DisconnectedInputError
        As :func:`~workbench.core.gradient.grad`; a second derivative of zero is no error.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> hessian((x**3).sum(), x).eval({x: [1.0, 2.0]})
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    targets = as_list(wrt)
    firsts = grad(cost, targets, consider_constant, disconnected_inputs)
    made = [
        jacobian(first, target, consider_constant, "ignore")
        for first, target in zip(firsts, targets, strict=True)
    ]
    return in_form(wrt, made)


def hessian_vector_product(
    cost: Variable,
    wrt: Several,
    p: Any,
    consider_constant: Constants = None,
    disconnected_inputs: str = "raise",
) -> Any:
    """The Hessian of a scalar times a vector, without forming it: how the gradient changes.

    Parameters
    ----------
    cost
        A real float scalar.
    wrt
        One variable or several; the Hessian is that by all of them together.
    p
        For each of `wrt` something of its shape.
    consider_constant, disconnected_inputs
        As in :func:`~workbench.core.gradient.grad`.

    Returns
    -------
    Variable, or list or tuple of Variable
        As `wrt`.

    Raises
    ------
    GradientError, DisconnectedInputError
        As :func:`~workbench.core.gradient.grad`; a second derivative of zero is no error.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> hessian_vector_product((x**3).sum(), x, [1.0, 10.0]).eval({x: [1.0, 2.0]})
    array([  6., 120.])
    """
    firsts = grad(cost, as_list(wrt), consider_constant, disconnected_inputs)
    return in_form(wrt, jvp(firsts, wrt, p, disconnected_outputs="ignore"))


def _all_rows(
    rows: Sequence[Variable], seed: Variable, flat: Variable
) -> list[Variable]:
    """Every row of the Jacobian: the graph of one, batched over an identity matrix."""
    size = size_variable(sizes_of(flat)[0])
    return vectorize_graph(rows, {seed: eye(size, dtype=flat.dtype)})


def _each_row(
    rows: Sequence[Variable], seed: Variable, flat: Variable
) -> list[Variable]:
    (size,) = flat.type.shape
    if size is None:
        raise ShapeError(
            Report(
                "the number of rows of the Jacobian is not known.",
                source.location_here(),
            ).add("hint", "use vectorize=True.")
        )
    unit = np.eye(size, dtype=flat.dtype)
    return [
        stack([clone([row], {seed: as_variable(e)})[0] for e in unit]) for row in rows
    ]


def _say_constant(output: Variable, action: str) -> None:
    """Tell that an output does not depend on what changes."""
    if action == "ignore":
        return
    text = f"{output.label()} does not depend on wrt in a differentiable way."
    report = Report(text, source.location_here()).add(
        "hint", "use disconnected_outputs='ignore' if a zero is meant."
    )
    if action == "warn":
        warnings.warn(str(report), stacklevel=user_frame())
        return
    error = DisconnectedInputError(report)
    error.line = source.location_here()
    raise error


def _weights(name: str, variables: Several, values: Any) -> dict[Variable, Variable]:
    """What is given for each variable, in its dtype; of one named twice, the sum."""
    keys = as_list(variables)
    given = [values] if isinstance(variables, Variable) else list(values)
    if len(given) != len(keys):
        text = f"there are {len(keys)} variables and {len(given)} {name}s."
        raise gradient_error(text, f"give one {name} for each.", source.location_here())
    found: dict[Variable, Variable] = {}
    for variable, value in zip(keys, given, strict=True):
        if value is None:
            value = fill(variable, as_variable(0, variable.dtype))
        weight = fit_dtype(as_variable(value), variable.dtype)
        if weight.ndim != variable.ndim:
            axes = f"{weight.ndim} axes, not {variable.ndim}"
            text = f"the {name} given for {variable.label()} has {axes}."
            raise gradient_error(text, "", source.location_here())
        total = found.get(variable)
        found[variable] = weight if total is None else add(total, weight)
    return found


# The names of the tradition, and of those who came after it.
Rop = pushforward = jvp
Lop = pullback = vjp
