"""Kernels of opaque ops: calls of the BLAS, or of loops written by hand in headers.

`KERNELS` and `WORKERS` say which ops have one; any other opaque op brings C text of its own,
or runs its NumPy reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from workbench.compile.c import convolving
from workbench.compile.c.convolving import HIDDEN
from workbench.compile.c.operands import Matrix
from workbench.compile.c.own import has_own_text
from workbench.compile.loops import Index
from workbench.compile.scalars import C_TYPES, is_complex
from workbench.core.graph import Apply
from workbench.core.op import Op
from workbench.core.ops.convolution import Conv, ConvFilters, ConvInputs
from workbench.core.ops.linalg import BatchedDot, Dot, Gemm, ScaledDot


def product(
    node: Apply, operands: Sequence[Matrix], output: Matrix, in_place: bool
) -> list[str]:
    """``out = x y``, or for Gemm ``out = beta z + alpha x y``; by the ranks one of several calls."""
    dtype = node.outputs[0].dtype
    lines: list[str] = []
    alpha, beta = "1", "0"
    out = output.pointer
    if isinstance(node.op, Gemm):
        z, scale, x, y, *more = operands
        alpha, beta = f"{scale.pointer}[0]", "1"
        length = _length(output)
        if not in_place:
            lines.append(
                f"memcpy({out}, {z.pointer}, sizeof({C_TYPES[dtype]}) * ({length}));"
            )
        if more:
            lines.append(f"wb_scale_{dtype}({length}, {more[0].pointer}[0], {out});")
    else:
        *scales, x, y = operands
        alpha = f"{scales[0].pointer}[0]" if scales else "1"
    if len(x.sizes) == 3:
        return [*lines, *_batch(dtype, x, y, alpha, beta, output)]
    return [*lines, _call(dtype, x, y, alpha, beta, out)]


def _call(dtype: str, x: Matrix, y: Matrix, alpha: str, beta: str, out: str) -> str:
    """``out = alpha x y + beta out`` for operands of 1 or 2 axes."""
    if len(x.sizes) == 2 and len(y.sizes) == 2:
        sizes = _list(x.sizes[0], y.sizes[1], x.sizes[1])
        call = _matmul(dtype, x, y)
        call = f"{call}{sizes}, {alpha}, {_args(x)}, {_args(y)}, {beta}, {out})"
        return f"return {call};" if _is_shared(dtype) else f"{call};"
    if len(x.sizes) == 2:
        return _vector(dtype, x, y, alpha, beta, out)
    if len(y.sizes) == 2:
        flipped = Matrix(y.pointer, y.sizes[::-1], y.strides[::-1])
        return _vector(dtype, flipped, x, alpha, beta, out)
    if dtype.startswith("float"):
        inner = f"wb_inner_{dtype}({x.sizes[0].text}, {_args(x)}, {_args(y)})"
        return f"{out}[0] = {alpha} * {inner}" + (
            f" + {out}[0];" if beta == "1" else ";"
        )
    row = Matrix(x.pointer, (Index.of(1), *x.sizes), (Index.of(0), *x.strides))
    return _vector(dtype, row, y, alpha, beta, out)


def _vector(dtype: str, a: Matrix, x: Matrix, alpha: str, beta: str, out: str) -> str:
    """``out = alpha a x + beta out`` for a matrix and a vector."""
    plain = f"wb_matvec_{dtype}({_list(*a.sizes)}, {alpha}, {_args(a)}, {_args(x)}, {beta}, {out})"
    gaps = _has_gaps(a)
    if dtype.startswith("float") and not gaps:
        return plain + ";"
    column = Matrix(x.pointer, (*x.sizes, Index.of(1)), (*x.strides, Index.of(1)))
    call = _call(dtype, a, column, alpha, beta, out)
    return f"if ({gaps}) {call} else {plain};" if dtype.startswith("float") else call


def _batch(
    dtype: str, x: Matrix, y: Matrix, alpha: str, beta: str, output: Matrix
) -> list[str]:
    """``out[p] = alpha x[p] y[p] + beta out[p]`` for every p, one call of the library each."""
    call = _matmul(dtype, x, y)
    (count, m, k), n = x.sizes, y.sizes[2]
    of = [f"{a.pointer} + p * {a.strides[0].factor()}" for a in (x, y)]
    inner = [_list(*a.strides[1:]) for a in (x, y)]
    into = f"{output.pointer} + p * {(m * n).factor()}"
    sizes = _list(m, n, k)
    call = f"{call}{sizes}, {alpha}, {of[0]}, {inner[0]}, {of[1]}, {inner[1]}, {beta}, {into})"
    if not _is_shared(dtype):
        return [f"for (int64_t p = 0; p < {count.text}; ++p)", f"  {call};"]
    return [
        f"for (int64_t p = 0; p < {count.text}; ++p) {{",
        f"  const int rc = {call};",
        "  if (rc) return rc;",
        "}",
    ]


def _is_shared(dtype: str) -> bool:
    """Whether threads share the products of a dtype; these return an error code."""
    return dtype in ("float32", "float64")


def _matmul(dtype: str, x: Matrix, y: Matrix) -> str:
    """The beginning of a call that multiplies two matrices, or those of two batches."""
    call = f"wb_matmul_{dtype}"
    if _is_shared(dtype):
        return f"{call}(c, "
    if not dtype.startswith("complex"):
        return f"{call}("
    # The library takes rows or columns without gaps: of x[:, :, 0] neither are.
    tests = [t for t in (_has_gaps(x), _has_gaps(y)) if t]
    return f"({' || '.join(tests)} ? {call}_loops : {call})(" if tests else f"{call}("


def _has_gaps(matrix: Matrix) -> str:
    """A test of whether no axis of a matrix is contiguous; nothing if one is known to be."""
    places = (*matrix.sizes[-2:], *matrix.strides[-2:])
    if any(i.value == 1 for i in places):
        return ""
    return "(" + " && ".join(f"{i.factor()} != 1" for i in places) + ")"


def _list(*indices: Index) -> str:
    return ", ".join(i.text for i in indices)


def _args(matrix: Matrix) -> str:
    return ", ".join([matrix.pointer, *(s.text for s in matrix.strides)])


def _length(matrix: Matrix) -> str:
    return " * ".join(s.factor() for s in matrix.sizes) or "1"


_CALLED = re.compile(r"\bwb_matmul_(float32|float64)\b")


def called_apart(text: str) -> tuple[str, list[str]]:
    """A kernel's text that calls products of matrices compiled apart, and their texts.

    A product takes a compiler as long as ten calls of it.
    """
    heads, products = [], []
    for dtype in sorted(set(_CALLED.findall(text))):
        name = f"wb_matmul_{dtype}"
        head = f"WB_MATRICES({name}_apart, {C_TYPES[dtype]})"
        given = "call, m, n, k, alpha, a, a0, a1, b, b0, b1, beta, c"
        heads.append(f"{HIDDEN} {head};\n")
        products.append(f"WB_ONCE {head} {{ return {name}({given}); }}\n")
    return "".join([*heads, _CALLED.sub(r"wb_matmul_\1_apart", text)]), products


Kernel = Callable[[Apply, Sequence[Matrix], Matrix, bool], list[str]]

KERNELS: dict[type[Op], Kernel] = {
    Dot: product,
    Gemm: product,
    ScaledDot: product,
    BatchedDot: product,
}


Worker = Callable[[Apply, Sequence[Matrix], Matrix, int], list[str]]

WORKERS: dict[type[Op], Worker] = {
    Conv: convolving.convolution,
    ConvInputs: convolving.convolution,
    ConvFilters: convolving.convolution,
}
"""Kernels that need scratch memory: they are handed the number of a slot."""


def has_worker(node: Apply) -> bool:
    """Whether an operation is one of `WORKERS` that brings no text of its own."""
    return type(node.op) in WORKERS and not has_own_text(node)


def headers(node: Apply) -> tuple[str, ...]:
    """The lines that must stand before a kernel."""
    return convolving.headers(node) if has_worker(node) else ()


def has_kernel(node: Apply) -> bool:
    """Whether the C back end computes an opaque operation itself."""
    if any(is_complex(v.dtype) for v in (*node.inputs, *node.outputs)):
        return type(node.op) in KERNELS
    if has_worker(node):
        return convolving.has_convolution(node)
    if type(node.op) in KERNELS:
        return node.outputs[0].dtype != "bool"
    return has_own_text(node)
