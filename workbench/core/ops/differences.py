"""Differences of neighbours along an axis.

Read next: :mod:`workbench.core.ops.statistics`.
"""

from __future__ import annotations

from typing import Any

from workbench.core.errors import ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.elementwise import neq, sub
from workbench.core.ops.joining import concatenate
from workbench.core.ops.shape import broadcast_to, normal_axis, sizes_of
from workbench.core.ops.subscript import index


def diff(
    x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Variable:
    """What each element adds to the one before it along `axis`, `n` times over.

    Each time the axis becomes shorter by one, until it is empty. Unsigned integers wrap;
    bools are compared.

    Parameters
    ----------
    prepend, append
        Elements put before and after `x` first; a scalar stands for one slice.

    Raises
    ------
    ShapeError
        `x` is a scalar, or `n` is negative.

    Examples
    --------
    >>> diff([1, 2, 4, 7]).eval(), diff([1, 2, 4, 7], n=2).eval()
    (array([1, 2, 3]), array([1, 1]))
    """
    x = as_variable(x)
    if n < 0:
        raise ShapeError(f"diff: n must not be negative, got {n}.")
    if x.ndim == 0:
        raise ShapeError("diff needs an axis; a scalar has none.")
    if n == 0:
        return x
    place = normal_axis(axis, x.ndim)
    parts = [_slice_like(x, p, place) for p in (prepend, x, append) if p is not None]
    if len(parts) > 1:
        x = concatenate(parts, place)
    whole = (slice(None),) * place
    for _ in range(n):
        later = index(x, (*whole, slice(1, None)))
        earlier = index(x, (*whole, slice(None, -1)))
        x = (neq if x.dtype == "bool" else sub)(later, earlier)
    return x


def _slice_like(x: Variable, part: Any, axis: int) -> Variable:
    """`part`, or where it is a scalar, one slice of `x` filled with it."""
    part = as_variable(part)
    if part.ndim:
        return part
    sizes = [1 if i == axis else s for i, s in enumerate(sizes_of(x))]
    return broadcast_to(part, sizes)


__all__ = ["diff"]
