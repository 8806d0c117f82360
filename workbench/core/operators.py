"""Methods and operators of variables: the functions of :mod:`workbench.core.ops`, spelt as NumPy does.

They are attached here, once, because the ops build on :class:`~workbench.core.graph.Variable`.
``==`` and ``!=`` stay identity: write ``T.eq`` and ``T.neq``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from workbench.core.graph import Variable
from workbench.core.ops import (
    complexes,
    counting,
    diagonals,
    floats,
    indexing,
    integers,
    linalg,
    masks,
    mathematics,
    moments,
    products,
    rearrange,
    reduction,
    rounding,
    running,
    shape,
    sorting,
    subscript,
    ufunc,
)
from workbench.core.ops import elementwise as ew


def _reflected(
    function: Callable[[Any, Any], Any],
) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return function(other, self)

    return method


def _iterate(self: Variable) -> Iterator[Variable]:
    return iter([subscript.index(self, i) for i in range(_length(self))])


def _length(self: Variable) -> int:
    if not self.ndim or self.type.shape[0] is None:
        raise TypeError(
            f"the length of {self.label()}: {self.type} is not known while the graph is built; "
            "use .shape[0] for its symbolic size."
        )
    return self.type.shape[0]


def _reshape(self: Variable, *newshape: Any, ndim: int | None = None) -> Variable:
    return shape.reshape(self, newshape[0] if len(newshape) == 1 else newshape, ndim)


def _transpose(self: Variable, *axes: Any) -> Variable:
    if not axes or axes == (None,):
        return shape.transpose(self)
    return shape.transpose(self, axes[0] if isinstance(axes[0], list | tuple) else axes)


def _compress(self: Variable, condition: Any, axis: int | None = None) -> Variable:
    return indexing.compress(condition, self, axis)


def _size(self: Variable) -> Variable:
    return shape.size_variable(shape.product_size(shape.sizes_of(self)))


OPERATORS: dict[str, Callable[..., Any]] = {
    "add": ew.add,
    "sub": ew.sub,
    "mul": ew.mul,
    "truediv": ew.true_div,
    "floordiv": ew.floor_div,
    "mod": ew.mod,
    "divmod": integers.divmod,
    "lshift": integers.left_shift,
    "rshift": integers.right_shift,
    "pow": mathematics.pow,
    "and": ew.and_,
    "or": ew.or_,
    "xor": ew.xor,
    "matmul": products.matmul,
}

METHODS: dict[str, Any] = {
    "__lt__": ew.lt,
    "__le__": ew.le,
    "__gt__": ew.gt,
    "__ge__": ew.ge,
    "__neg__": ew.neg,
    "__pos__": floats.positive,
    "__floor__": ew.floor,
    "__ceil__": ew.ceil,
    "__trunc__": ew.trunc,
    "__round__": rounding.round,
    "__abs__": ew.abs,
    "__invert__": ew.invert,
    "__getitem__": subscript.index,
    "__iter__": _iterate,
    "__len__": _length,
    "sum": reduction.sum,
    "prod": reduction.prod,
    "mean": moments.mean,
    "var": moments.var,
    "std": moments.std,
    "ptp": moments.ptp,
    "norm": moments.norm,
    "sort": sorting.sort,
    "argsort": sorting.argsort,
    "searchsorted": counting.searchsorted,
    "cumsum": running.cumsum,
    "cumprod": running.cumprod,
    "max": reduction.max,
    "min": reduction.min,
    "argmax": reduction.argmax,
    "argmin": reduction.argmin,
    "all": reduction.all,
    "any": reduction.any,
    "dot": linalg.dot,
    "astype": ufunc.cast,
    "clip": ew.clip,
    "round": rounding.round,
    "conj": complexes.conj,
    "conjugate": complexes.conj,
    "real": property(ufunc.real),
    "imag": property(complexes.imag),
    "dimshuffle": shape.dimshuffle,
    "reshape": _reshape,
    "flatten": shape.flatten,
    "ravel": shape.ravel,
    "squeeze": shape.squeeze,
    "swapaxes": shape.swapaxes,
    "moveaxis": rearrange.moveaxis,
    "repeat": rearrange.repeat,
    "tile": rearrange.tile,
    "copy": rearrange.copy,
    "fill": ew.fill,
    "diagonal": diagonals.diagonal,
    "trace": products.trace,
    "transpose": _transpose,
    "take": indexing.take,
    "compress": _compress,
    "choose": indexing.choose,
    "nonzero": masks.nonzero,
    "nonzero_values": indexing.nonzero_values,
    "set": subscript.set_subtensor,
    "inc": subscript.inc_subtensor,
    "shape": property(shape.shape),
    "size": property(_size),
    "T": property(shape.transpose),
    "mT": property(rearrange.matrix_transpose),
}


def attach() -> None:
    """Give :class:`Variable` its methods and operators."""
    for name, function in OPERATORS.items():
        setattr(Variable, f"__{name}__", function)
        setattr(Variable, f"__r{name}__", _reflected(function))
    for name, method in METHODS.items():
        setattr(Variable, name, method)


attach()
