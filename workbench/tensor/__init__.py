"""The language: what expressions are written with.

``import workbench.tensor as T``. Names are NumPy's where it has one, and otherwise those of
the Theano tradition. Everything here takes variables, NumPy arrays and Python numbers.
"""

from typing import Any

from workbench.core import operators as _operators
from workbench.core.gradient import grad
from workbench.core.graph import Constant, Shared, Variable, as_variable
from workbench.core.ops.creation import (
    arange,
    eye,
    full,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from workbench.core.ops.elementwise import (
    abs,
    add,
    and_,
    ceil,
    clip,
    eq,
    fill,
    floor,
    floor_div,
    ge,
    gt,
    invert,
    isinf,
    isnan,
    le,
    lt,
    maximum,
    minimum,
    mod,
    mul,
    neg,
    neq,
    or_,
    reciprocal,
    round,
    sign,
    sqr,
    sub,
    switch,
    true_div,
    trunc,
    xor,
)
from workbench.core.ops.indexing import concatenate, stack
from workbench.core.ops.linalg import dot, outer
from workbench.core.ops.mathematics import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    log,
    log1mexp,
    log1p,
    log2,
    log10,
    logaddexp,
    pow,
    sigmoid,
    sin,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh,
)
from workbench.core.ops.reduction import (
    all,
    any,
    argmax,
    argmin,
    max,
    max_and_argmax,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)
from workbench.core.ops.shape import (
    addbroadcast,
    alloc,
    broadcast_to,
    dimshuffle,
    expand_dims,
    flatten,
    ravel,
    reshape,
    shape,
    shape_padleft,
    shape_padright,
    specify_shape,
    squeeze,
    swapaxes,
    transpose,
)
from workbench.core.ops.subscript import inc_subtensor, set_subtensor, take
from workbench.core.ops.ufunc import cast
from workbench.core.types import TensorType
from workbench.tensor import nnet
from workbench.tensor.inputs import *
from workbench.tensor.inputs import __all__ as _inputs

# The tradition's other spellings.
abs_ = abs
as_tensor_variable = as_variable
constant = as_variable
concat = join_ = concatenate
inv = reciprocal
not_equal = neq
power = pow
sgn = sign
square = sqr
where = switch
TensorVariable = Variable


def join(axis: int, *tensors: Any) -> Variable:
    """The arrays one after the other along `axis`; the axis comes first here."""
    return concatenate(tensors, axis)


del join_

__all__ = sorted(
    name
    for name in globals()
    if not name.startswith("_") and name not in ("Any", "inputs")
)
