"""Ops of one's own from a NumPy function: no class to write.

:func:`elementwise` makes an op of a function of single elements; with a line of C it runs in
the same loops as everything around it. :func:`as_op` makes one of any function of arrays.
Where there is more to say (C text for whole arrays, several kinds of behaviour, parameters)
a class is written: see :class:`~workbench.core.op.Op` for what it states, and
:class:`~workbench.core.op.Opaque` for C text.

Read next: :mod:`workbench.debug.check_op`, which checks an op completely.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, GradientError
from workbench.core.graph import Apply, Variable, as_variable
from workbench.core.op import Elementwise, Op, Opaque, Sizes
from workbench.core.ops.elementwise import mul
from workbench.core.ops.ufunc import apply, resolve
from workbench.core.types import Array, TensorType


class FromFunction(Op):
    """What ops that wrap a Python function share: its name, and how they are saved.

    The op is saved as the place of its function, so that function must be importable where
    it is loaded, like anything that pickle keeps by name.
    """

    function: Callable[..., Any]

    def __reduce__(self) -> tuple[Any, ...]:
        name = self.function.__qualname__
        found = _find(self.function.__module__, name)
        if isinstance(found, Wrapped) and found.op == self:
            return _op_of, (self.function.__module__, name)
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

    def __str__(self) -> str:
        return self.function.__name__


class Wrapped:
    """A function of variables that applies an op; `op` is the op."""

    def __init__(self, op: Any, call: Callable[..., Any]) -> None:
        self.op = op
        self._call = call
        self.__name__ = op.function.__name__
        self.__qualname__ = op.function.__qualname__
        self.__module__ = op.function.__module__
        self.__doc__ = op.function.__doc__

    def __call__(self, *operands: Any) -> Any:
        return self._call(self.op, *operands)

    def __repr__(self) -> str:
        return f"<op {self.__name__}>"


def _find(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _op_of(module: str, name: str) -> Any:
    __import__(module)
    return _find(module, name).op


# --- functions of elements ---------------------------------------------------------------


@dataclass(frozen=True)
class ElementwiseFunction(FromFunction, Elementwise):
    """A function of single elements that a user gives; computed in floating point."""

    function: Callable[..., Any]
    text: str = ""
    derivative: Callable[..., Any] | None = None

    cost = 20

    def loop_types(self, *dtypes: str | type) -> list[str]:
        """Operands are brought to their common float; integers to the float that holds them."""
        common: Any = resolve(self, np.cbrt, dtypes[:1])[-1]
        for other in dtypes[1:]:
            common = resolve(self, np.arctan2, (common, other))[-1]
        return [common] * (len(dtypes) + 1)

    def reference(self, *inputs: Array) -> Array:
        """The function itself."""
        with np.errstate(all="ignore"):
            result = np.asarray(self.function(*inputs))
            return result.astype(np.result_type(*inputs), copy=False)

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """The C text that was given, for real floats."""
        return self.text if np.dtype(dtypes[0]).kind == "f" else ""

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """What the user's derivative gives for each operand, times g."""
        (g,) = grads
        if self.derivative is None:
            raise GradientError(
                f"{self} was made without a derivative; give wb.elementwise(grad=…)."
            )
        slopes = self.derivative(*node.inputs)
        if not isinstance(slopes, list | tuple):
            slopes = [slopes]
        if len(slopes) != len(node.inputs):
            raise GradientError(
                f"the derivative of {self} gives {len(slopes)} values for {len(node.inputs)} operands."
            )
        return [None if s is None else mul(s, g) for s in slopes]


def elementwise(
    function: Callable[..., Any] | None = None,
    *,
    c: str = "",
    grad: Callable[..., Any] | None = None,
) -> Any:
    """Make an elementwise op of a NumPy function; use it as a decorator.

    Parameters
    ----------
    function
        From arrays of one shape to an array of that shape. Its name is the op's.
    c
        One C expression for an element: ``{x} {y} {z}`` are the operands, ``{t}`` is their C
        type, ``{f}`` the suffix of functions (``f`` for float32). Without it the NumPy
        function runs between the compiled kernels.
    grad
        From the operands, as variables, to the partial derivatives: one expression, or a
        list with one for each operand.

    Examples
    --------
    >>> import numpy as np, workbench as wb
    >>> import workbench.tensor as T
    >>> @wb.elementwise(c="({x} / (1 + fabs{f}({x})))", grad=lambda x: 1 / (1 + abs(x)) ** 2)
    ... def squash(x):
    ...     return x / (1 + np.abs(x))
    >>> v = T.dvector("v")
    >>> f = wb.function([v], wb.grad(squash(v).sum(), v))
    >>> f([0.0, 1.0])
    array([1.  , 0.25])
    """

    def decorate(function: Callable[..., Any]) -> Wrapped:
        operands = len(inspect.signature(function).parameters)
        if c and operands > 3:
            raise TypeError(
                f"C text knows the operands x, y, z; {operands} are too many."
            )
        return Wrapped(ElementwiseFunction(function, c, grad), apply)

    return decorate if function is None else decorate(function)


# --- functions of arrays -----------------------------------------------------------------


@dataclass(frozen=True)
class ArrayFunction(FromFunction, Opaque):
    """A function of whole arrays that a user gives; it always runs in Python."""

    function: Callable[..., Any]
    itypes: tuple[TensorType, ...]
    otypes: tuple[TensorType, ...]
    shapes: Callable[..., Any] | None = None
    derivative: Callable[..., Any] | None = None

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """As declared."""
        return list(self.otypes)

    def reference(self, *inputs: Array) -> Any:
        """The function itself, on arrays that it may not write to."""
        views = []
        for array in inputs:
            view = array.view()
            view.flags.writeable = False
            views.append(view)
        result = self.function(*views)
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(self.otypes):
            raise ValueError(
                f"{self} returned {len(results)} arrays but declares {len(self.otypes)}."
            )
        return tuple(map(self._checked, range(len(results)), results, self.otypes))

    def _checked(self, number: int, value: Any, otype: TensorType) -> Array:
        array = np.asarray(value)
        plain = TensorType(otype.dtype, (None,) * otype.ndim)
        if array.dtype != otype.dtype or array.ndim != plain.ndim:
            raise DTypeError(
                f"{self} returned {array.dtype} with {array.ndim} axes as its output {number}, "
                f"but declares {otype}."
            )
        return array

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> Sequence[Sequence[Any]]:
        """As the user's function says; unknown without one."""
        if self.shapes is None:
            return super().infer_shape(node, shapes)
        return list(self.shapes(node, shapes))

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """What the user's function of inputs and output gradients gives."""
        if self.derivative is None:
            raise GradientError(
                f"{self} was made without a derivative; give wb.as_op(…, grad=…)."
            )
        filled = [
            g if g is not None else v * 0 if v.type.is_float else None
            for g, v in zip(grads, node.outputs, strict=True)
        ]
        result = self.derivative(node.inputs, filled)
        return list(result) if isinstance(result, list | tuple) else [result]


def as_op(
    itypes: TensorType | Sequence[TensorType],
    otypes: TensorType | Sequence[TensorType],
    infer_shape: Callable[..., Any] | None = None,
    grad: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Wrapped]:
    """Make an op of a function of arrays; use it as a decorator.

    Parameters
    ----------
    itypes, otypes
        Types of what it takes and returns; variables, as ``T.dmatrix()``, stand for their types.
    infer_shape
        From the node and the shapes of the inputs, as tuples of sizes, to a list of shapes.
        Without it sizes are known once the function has run.
    grad
        From the inputs and the gradients of the outputs, both lists of variables, to a list
        with the gradient of each input, or ``None`` for one that has none.

    Examples
    --------
    >>> import numpy as np, workbench as wb
    >>> import workbench.tensor as T
    >>> @wb.as_op(T.dvector(), T.dvector(), infer_shape=lambda node, shapes: shapes)
    ... def running_maximum(x):
    ...     return np.maximum.accumulate(x)
    >>> running_maximum(T.constant([1.0, 3.0, 2.0])).eval()
    array([1., 3., 3.])
    """
    takes, gives = _types(itypes), _types(otypes)

    def decorate(function: Callable[..., Any]) -> Wrapped:
        made = ArrayFunction(function, takes, gives, infer_shape, grad)
        return Wrapped(made, _apply_to_arrays)

    return decorate


def _types(given: Any) -> tuple[TensorType, ...]:
    items = given if isinstance(given, list | tuple) else [given]
    types: list[TensorType] = []
    for item in items:
        found = item.type if isinstance(item, Variable) else item
        if not isinstance(found, TensorType):
            raise TypeError(
                f"as_op takes types, as T.dmatrix() or wb.TensorType('float64', (None,)), got {item!r}."
            )
        types.append(found)
    return tuple(types)


def _apply_to_arrays(op: ArrayFunction, *operands: Any) -> Any:
    if len(operands) != len(op.itypes):
        raise TypeError(f"{op} takes {len(op.itypes)} arrays, got {len(operands)}.")
    variables = []
    for number, (operand, wanted) in enumerate(zip(operands, op.itypes, strict=True)):
        is_number = not isinstance(operand, Variable)
        given = as_variable(wanted.filter(operand) if is_number else operand)
        loose = TensorType(wanted.dtype, (None,) * wanted.ndim)
        if not loose.accepts(given.type):
            raise DTypeError(
                f"{op}: input {number} must be {wanted}, got {given.label()}: {given.type}; "
                "T.cast and dimshuffle help."
            )
        variables.append(given)
    outputs = op.make_node(*variables).outputs
    return outputs[0] if len(outputs) == 1 else list(outputs)
