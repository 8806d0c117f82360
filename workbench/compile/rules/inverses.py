"""Functions that undo each other.

Where the inner function is defined for some values only, what is left of the pair is
the check: ``exp(log(x))`` is x for positive x and NaN for others. Most pairs overflow
or round to the end of a range between, where x alone does not; those are
``finite_math``.
"""

from __future__ import annotations

import numpy as np

from workbench.compile.rewrite import identity, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.core.ops.elementwise import abs, ge, le, sqr, switch
from workbench.core.ops.floats import deg2rad, rad2deg
from workbench.core.ops.mathematics import (
    Arccosh,
    Cosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)

# --- exponentials and logarithms ------------------------------------------------------


@identity(tags=["finite_math"])
def log_of_exp(x):
    """The logarithm undoes exp, which overflows above 709.8 and is 0 below -745."""
    return log(exp(x)), x


@identity(tags=["finite_math"])
def exp_of_log(x):
    """Exp undoes the logarithm where there is one; -0 stays what it is."""
    return exp(log(x)), switch(ge(x, 0), x, np.nan)


@identity(tags=["finite_math"])
def log2_of_exp2(x):
    """The logarithm undoes the power of two, which overflows from 1024 on."""
    return log2(exp2(x)), x


@identity(tags=["finite_math"])
def exp2_of_log2(x):
    """The power of two undoes the logarithm where there is one; -0 stays what it is."""
    return exp2(log2(x)), switch(ge(x, 0), x, np.nan)


@identity(tags=["finite_math"])
def log1p_of_expm1(x):
    """The logarithm undoes expm1, which overflows above 709.8 and is -1 below -37."""
    return log1p(expm1(x)), x


@identity(tags=["finite_math"])
def expm1_of_log1p(x):
    """Expm1 undoes the logarithm where there is one, also next to the largest number."""
    return expm1(log1p(x)), switch(ge(x, -1), x, np.nan)


# --- squares and roots ----------------------------------------------------------------


@identity(tags=["finite_math"])
def sqrt_of_sqr(x):
    """The root of a square is the magnitude; a square above 1.8e308 overflows."""
    return sqrt(sqr(x)), abs(x)


@identity(tags=["finite_math"])
def sqr_of_sqrt(x):
    """The square undoes the root where there is one; -0 stays what it is."""
    return sqr(sqrt(x)), switch(ge(x, 0), x, np.nan)


# --- angles ---------------------------------------------------------------------------


@identity
def sin_of_arcsin(x):
    """The sine undoes the angle where there is one."""
    return sin(arcsin(x)), switch(le(abs(x), 1), x, np.nan)


@identity(tags=["finite_math"])
def cos_of_arccos(x):
    """The cosine undoes the angle where there is one, and 0 is 0 and not 6e-17."""
    return cos(arccos(x)), switch(le(abs(x), 1), x, np.nan)


@identity(tags=["finite_math"])
def tan_of_arctan(x):
    """The tangent undoes the angle, which is rounded to π/2 for an x above 1e16."""
    return tan(arctan(x)), x


@identity(tags=["finite_math"])
def deg2rad_of_rad2deg(x):
    """Degrees of radians are radians again; 57 x overflows for x above 3e306."""
    return deg2rad(rad2deg(x)), x


@identity(tags=["finite_math"])
def rad2deg_of_deg2rad(x):
    """Radians of degrees are degrees again; x / 57 vanishes for x below 1e-322."""
    return rad2deg(deg2rad(x)), x


# --- hyperbolic functions -------------------------------------------------------------


@identity(tags=["finite_math"])
def arcsinh_of_sinh(x):
    """The inverse undoes sinh, which overflows above 710."""
    return arcsinh(sinh(x)), x


@identity(tags=["finite_math"])
def sinh_of_arcsinh(x):
    """Sinh undoes its inverse, also next to the largest number."""
    return sinh(arcsinh(x)), x


@node_rule(Arccosh, tags=["finite_math"])
def arccosh_of_cosh(node):
    """The inverse of cosh gives the magnitude; cosh overflows above 710.

    No identity, as its left side has lost all digits of an x below 1e-8.
    """
    inner = node_of(node.inputs[0], Cosh)
    return None if inner is None else abs(inner.inputs[0])


@identity(tags=["finite_math"])
def cosh_of_arccosh(x):
    """Cosh undoes its inverse where there is one, also next to the largest number."""
    return cosh(arccosh(x)), switch(ge(x, 1), x, np.nan)


@identity(tags=["finite_math"])
def arctanh_of_tanh(x):
    """The inverse undoes tanh, which is rounded to 1 above 19."""
    return arctanh(tanh(x)), x


@identity
def tanh_of_arctanh(x):
    """Tanh undoes its inverse where there is one."""
    return tanh(arctanh(x)), switch(le(abs(x), 1), x, np.nan)


RULES = tagged(
    "algebra",
    log_of_exp,
    exp_of_log,
    log2_of_exp2,
    exp2_of_log2,
    log1p_of_expm1,
    expm1_of_log1p,
    sqrt_of_sqr,
    sqr_of_sqrt,
    sin_of_arcsin,
    cos_of_arccos,
    tan_of_arctan,
    deg2rad_of_rad2deg,
    rad2deg_of_deg2rad,
    arcsinh_of_sinh,
    sinh_of_arcsinh,
    arccosh_of_cosh,
    cosh_of_arccosh,
    arctanh_of_tanh,
    tanh_of_arctanh,
)
