"""Scalar text: types, numbers and expressions as C and CUDA share them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.graph import Apply
from workbench.core.op import Elementwise, Reduction
from workbench.core.ops.elementwise import Add, Sub

C_TYPES = {
    "bool": "uint8_t",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "float16": "wb_half",
    "float32": "float",
    "float64": "double",
    "complex64": "wb_complex64",
    "complex128": "wb_complex128",
}


ZEROS = ("0.0", "0.0f")


def literal(value: Any, dtype: str) -> str:
    """A number as C text of the given dtype, exactly."""
    if dtype in ("float32", "float64"):
        number = float(value)
        suffix = "f" if dtype == "float32" else ""
        number = float(np.dtype(dtype).type(number))
        if math.isnan(number):
            return f"({C_TYPES[dtype]})NAN"
        if math.isinf(number):
            return f"({C_TYPES[dtype]}){'-' if number < 0 else ''}INFINITY"
        text = str(np.dtype(dtype).type(number))
        text = text if any(c in text for c in ".en") else text + ".0"
        return f"({text}{suffix})" if text.startswith("-") else text + suffix
    if dtype == "float16":
        return hex(int(np.float16(value).view("uint16")))
    if dtype.startswith("complex"):
        part = "float32" if dtype == "complex64" else "float64"
        return f"__builtin_complex({literal(complex(value).real, part)}, {literal(complex(value).imag, part)})"
    number = int(value)
    if number == np.iinfo("int64").min:
        return "INT64_MIN"
    text = (
        f"UINT64_C({number})"
        if number > np.iinfo("int64").max
        else f"INT64_C({number})"
    )
    return (
        f"(({C_TYPES[dtype]}){text})"
        if abs(number) > np.iinfo("int32").max
        else f"({number})"
        if number < 0
        else str(number)
    )


def extreme(dtype: str, lowest: bool) -> str:
    """The smallest or largest value of a dtype as C text."""
    if dtype == "bool":
        return "0" if lowest else "1"
    if dtype.startswith("float"):
        return literal(-math.inf if lowest else math.inf, dtype)
    limits = np.iinfo(dtype)
    return literal(limits.min if lowest else limits.max, dtype)


def scalar_text(node: Apply, operands: Sequence[str]) -> str:
    """The C text of an elementwise operation on named operands."""
    assert isinstance(node.op, Elementwise)
    dtypes = [v.dtype for v in node.inputs]
    beside = _beside_zero(node.op, operands)
    if beside is not None:
        return beside
    names = dict(zip("xyz", operands, strict=False))
    return template(node.op, dtypes).format(
        **names,
        f=suffix(dtypes[0]),
        t=C_TYPES[dtypes[0]],
        r=C_TYPES[node.outputs[0].dtype],
    )


def _beside_zero(op: Elementwise, operands: Sequence[str]) -> str | None:
    """The text of 0 + y or 0 - y, for a zero that is written out; None for all else.

    gcc 12 takes these for y and -y where it thinks that y is not -0, and errs: 0 - 0 became -0.
    """
    if not isinstance(op, Add | Sub):
        return None
    first, second = operands
    if first in ZEROS:
        other, sign = second, "-" if isinstance(op, Sub) else ""
    elif second in ZEROS and isinstance(op, Add):
        other, sign = first, ""
    else:
        return None
    return f"({other} == 0 ? 0 : {sign}{other})"


def template(op: Elementwise, dtypes: Sequence[str]) -> str:
    """The text of an operation for operands of such dtypes; nothing where C has none."""
    if any(map(is_complex, dtypes)):
        return op.complex_text(dtypes)
    return op.scalar_text(dtypes)


def combination(op: Reduction, dtype: str) -> str:
    """How a reduction joins what is gathered, ``{a}``, and an element ``{x}`` of a dtype; or nothing."""
    if is_complex(dtype):
        return op.c_complex.replace("{f}", suffix(dtype))
    return op.c_combine


def suffix(dtype: str) -> str:
    """What functions of single precision are called by."""
    return "f" if dtype in ("float32", "complex64") else ""


def is_complex(dtype: str) -> bool:
    """Whether elements are complex numbers."""
    return dtype.startswith("complex")
