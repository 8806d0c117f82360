"""The language: what expressions are written with.

``import workbench.tensor as T``. Names are NumPy's where it has one, and otherwise those of
the Theano tradition. Everything here takes variables, NumPy arrays and Python numbers.
"""

from workbench.core import batch_rules as _batch_rules
from workbench.core import operators as _operators
from workbench.core.batching import vectorize, vectorize_graph
from workbench.core.derivatives import (
    Lop,
    Rop,
    hessian,
    hessian_vector_product,
    jacobian,
    jvp,
    vjp,
)
from workbench.core.gradient import grad
from workbench.core.graph import Constant, Shared, Variable, as_variable
from workbench.core.ops import scan_batching as _scan_batching
from workbench.core.ops.barriers import (
    consider_constant,
    disconnected_grad,
    grad_clip,
    grad_scale,
    undefined_grad,
    zero_grad,
)
from workbench.core.ops.bessel import i0, i1, iv, ive, j0, j1, jv, kv, kve
from workbench.core.ops.beta import beta, betainc, betaln
from workbench.core.ops.checks import Assert, assert_op
from workbench.core.ops.complexes import angle, complex, complex_from_polar, conj, imag
from workbench.core.ops.counting import bincount, digitize, searchsorted, unique
from workbench.core.ops.creation import (
    AllocEmpty,
    arange,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    identity,
    identity_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from workbench.core.ops.diagonals import (
    diag,
    diagflat,
    diagonal,
    tri,
    tril,
    tril_indices,
    tril_indices_from,
    triu,
    triu_indices,
    triu_indices_from,
    vander,
)
from workbench.core.ops.differences import diff
from workbench.core.ops.einsum import einsum
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
    rint,
    sign,
    sqr,
    sub,
    switch,
    true_div,
    trunc,
    xor,
)
from workbench.core.ops.erf import (
    erf,
    erfc,
    erfcinv,
    erfcx,
    erfinv,
    log_erfc,
    log_ndtr,
    ndtr,
    ndtri,
    owens_t,
)
from workbench.core.ops.floats import (
    cbrt,
    copysign,
    deg2rad,
    fabs,
    float_power,
    fmax,
    fmin,
    fmod,
    heaviside,
    hypot,
    isfinite,
    isneginf,
    isposinf,
    nan_to_num,
    positive,
    rad2deg,
    signbit,
)
from workbench.core.ops.gamma import (
    chi2sf,
    gamma,
    gammainc,
    gammaincc,
    gammaln,
    polygamma,
    psi,
    tri_gamma,
)
from workbench.core.ops.grids import (
    geomspace,
    indices,
    linspace,
    logspace,
    meshgrid,
    mgrid,
    ogrid,
)
from workbench.core.ops.histograms import histogram
from workbench.core.ops.indexing import (
    choose,
    compress,
    extract,
    inverse_permutation,
    ix_,
    nonzero_values,
    permute_row_elements,
    put,
    put_along_axis,
    select,
    take,
    take_along_axis,
    where,
)
from workbench.core.ops.inserting import insert
from workbench.core.ops.integers import divmod, gcd, lcm, left_shift, right_shift
from workbench.core.ops.joining import concatenate, stack
from workbench.core.ops.linalg import dot
from workbench.core.ops.logic import (
    allclose,
    isclose,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
)
from workbench.core.ops.masks import argwhere, flatnonzero, nonzero
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
    logaddexp2,
    pow,
    sigmoid,
    sin,
    sinc,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh,
)
from workbench.core.ops.moments import count_nonzero, mean, norm, ptp, std, var
from workbench.core.ops.nanfunctions import (
    nanargmax,
    nanargmin,
    nancumprod,
    nancumsum,
    nanmax,
    nanmean,
    nanmedian,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
)
from workbench.core.ops.nnet import logsoftmax, logsumexp, softmax
from workbench.core.ops.padding import pad
from workbench.core.ops.places import (
    fill_diagonal,
    fill_diagonal_offset,
    ravel_multi_index,
    slice_at_axis,
    sparse_grad,
    unravel_index,
)
from workbench.core.ops.products import (
    batched_dot,
    batched_tensordot,
    cross,
    inner,
    kron,
    matmul,
    matrix_dot,
    outer,
    tensordot,
    trace,
    vdot,
    vecdot,
)
from workbench.core.ops.quantiles import (
    median,
    nanpercentile,
    nanquantile,
    percentile,
    quantile,
)
from workbench.core.ops.rearrange import (
    Rebroadcast,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    atleast_Nd,
    broadcast_arrays,
    broadcast_shape,
    broadcast_shapes,
    copy,
    flip,
    fliplr,
    flipud,
    matrix_transpose,
    moveaxis,
    patternbroadcast,
    repeat,
    roll,
    rollaxis,
    rot90,
    shape_i,
    shape_padaxis,
    tile,
    unbroadcast,
)
from workbench.core.ops.reduction import (
    all,
    any,
    argmax,
    argmin,
    max,
    max_and_argmax,
    min,
    prod,
    sum,
)
from workbench.core.ops.rounding import iround, round
from workbench.core.ops.running import cumprod, cumsum
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
from workbench.core.ops.sorting import (
    argpartition,
    argsort,
    argtopk,
    partition,
    sort,
    topk,
    topk_and_argtopk,
)
from workbench.core.ops.special import entr, expit, logit, xlog1py, xlogx, xlogy
from workbench.core.ops.stacking import (
    append,
    array_split,
    as_tensor_variable,
    block_diag,
    column_stack,
    constant,
    delete,
    dsplit,
    dstack,
    horizontal_stack,
    hsplit,
    hstack,
    join,
    split,
    stacklists,
    to_one_hot,
    vertical_stack,
    vsplit,
    vstack,
)
from workbench.core.ops.statistics import average, corrcoef, cov
from workbench.core.ops.subscript import inc_subtensor, set_subtensor
from workbench.core.ops.ufunc import cast, real
from workbench.core.types import TensorType
from workbench.tensor import (
    extra_ops,
    gradient,
    linalg,
    nlinalg,
    nnet,
    random,
    shared_randomstreams,
    sharedvar,
    signal,
    slinalg,
    special,
)
from workbench.tensor.inputs import *
from workbench.tensor.inputs import __all__ as _inputs

# The tradition's other spellings.
abs_ = abs
as_tensor = as_tensor_variable
concat = concatenate
inv = reciprocal
int_div = floor_div
second = fill
sgn = sign
xlogy0 = xlogy
log1pexp = softplus
digamma = psi
specify_broadcastable = addbroadcast
TensorConstant = Constant
TensorSharedVariable = SharedVariable = Shared
TensorVariable = Variable

# NumPy's other spellings.
absolute = abs
acos, acosh = arccos, arccosh
asin, asinh = arcsin, arcsinh
atan, atan2, atanh = arctan, arctan2, arctanh
bitwise_and, bitwise_or, bitwise_xor = and_, or_, xor
bitwise_invert = bitwise_not = invert
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
conjugate = conj
degrees, radians = rad2deg, deg2rad
divide = true_divide = true_div
equal, not_equal = eq, neq
floor_divide = floor_div
greater, greater_equal, less, less_equal = gt, ge, lt, le
remainder = mod
multiply = mul
negative = neg
power = pow
permute_dims = transpose
row_stack = vstack
square = sqr
subtract = sub


__all__ = sorted(
    name
    for name in globals()
    if not name.startswith("_") and name not in ("Any", "inputs")
)
