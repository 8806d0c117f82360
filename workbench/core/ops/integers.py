"""What only integers have: shifts of bits, common divisors and multiples.

No gradient passes through any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.graph import Variable
from workbench.core.ops.elementwise import Predicate, floor_div, mod
from workbench.core.ops.ufunc import apply


class IntegerPair(Predicate):
    """An operation on two integers, in C a helper for each dtype."""

    arity = 2

    def scalar_text(self, dtypes: Sequence[str]) -> str:
        """A call of the helper."""
        return f"wb_{self.name}_{dtypes[0]}({{x}}, {{y}})"


class LeftShift(IntegerPair):
    """x 2^y, the bits that leave the dtype being lost; 0 for y below 0 or beyond all bits."""

    name, ufunc = "left_shift", np.left_shift


class RightShift(IntegerPair):
    """x / 2^y rounded down; for y below 0 or beyond all bits 0, or -1 for a negative x."""

    name, ufunc = "right_shift", np.right_shift


class Gcd(IntegerPair):
    """The greatest common divisor of |x| and |y|; 0 of two zeros."""

    cost = 40
    ufunc = np.gcd


class Lcm(IntegerPair):
    """The least common multiple of |x| and |y|; 0 when either is. It wraps on overflow."""

    cost = 50
    ufunc = np.lcm


def left_shift(x: Any, y: Any) -> Variable:
    """x << y: the bits of x moved y places up; 0 for y below 0 or beyond all bits."""
    return apply(LeftShift(), x, y)


def right_shift(x: Any, y: Any) -> Variable:
    """x >> y: x / 2^y rounded down."""
    return apply(RightShift(), x, y)


def gcd(x: Any, y: Any) -> Variable:
    """The greatest common divisor of |x| and |y|."""
    return apply(Gcd(), x, y)


def lcm(x: Any, y: Any) -> Variable:
    """The least common multiple of |x| and |y|."""
    return apply(Lcm(), x, y)


def divmod(x: Any, y: Any) -> tuple[Variable, Variable]:
    """x // y and x % y; floats too.

    Examples
    --------
    >>> [part.eval().item() for part in divmod(-7, 2)]
    [-4, 1]
    """
    return floor_div(x, y), mod(x, y)
