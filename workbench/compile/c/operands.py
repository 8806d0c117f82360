"""Arrays as library calls and hand-written kernels are handed them."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.compile.loops import Index


@dataclass(frozen=True)
class Matrix:
    """An operand as the program sees it: a pointer, and sizes and strides in elements."""

    pointer: str
    sizes: tuple[Index, ...]
    strides: tuple[Index, ...]
