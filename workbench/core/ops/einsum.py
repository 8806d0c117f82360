"""Sums of products in Einstein's notation: ``einsum("ij,jk->ik", x, y)``.

Every axis gets a letter. A letter twice in one operand takes a diagonal; one that stands in
one operand only and not in the result is summed at once; then operands are joined two at a
time, the pair first whose product is the smallest compared with what goes into it. A pair is
a product of matrices where it can be, so that the BLAS does it.

Read next: :mod:`workbench.core.ops.matrices`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from workbench.core.errors import DTypeError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.diagonals import diagonal
from workbench.core.ops.products import NOMINAL, contract_batch
from workbench.core.ops.reduction import sum as total
from workbench.core.ops.shape import SizeOf, dimshuffle, specify_shape
from workbench.core.ops.ufunc import cast

Letter = str | int
"""A letter of the notation, or a negative number for an axis of the ellipsis."""


@dataclass(frozen=True)
class Operand:
    """A factor and the letters of its axes, all different."""

    value: Variable
    letters: tuple[Letter, ...]

    def size(self, letter: Letter) -> int | None:
        """What is known of the size of the axis `letter`."""
        return self.value.type.shape[self.letters.index(letter)]


def einsum(
    subscripts: Any, *operands: Any, dtype: str | None = None, optimize: Any = True
) -> Variable:
    """The sum of products that `subscripts` say, as ``np.einsum`` has it.

    Parameters
    ----------
    subscripts
        Letters for the axes of every operand, as ``"ij,jk->ik"``. Without an arrow the
        result has, in alphabetical order, the letters that occur once. An ellipsis stands
        for axes that broadcast. Or the operands with lists of integers in between, as
        ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.
    dtype
        What to compute in; by default the common dtype of the operands.
    optimize
        Taken for NumPy's sake: the order of products is always chosen.

    Raises
    ------
    ShapeError
        The notation does not fit the operands, or sizes of one letter are known and differ.
    DTypeError
        An operand does not fit into the dtype that is asked for.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> x = T.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> T.einsum("ij,kj->ik", x, x).eval()
    array([[ 5., 11.], [11., 25.]])
    >>> float(T.einsum("ii", x).eval())
    5.0
    """
    if not isinstance(subscripts, str):
        subscripts, given = _from_lists([subscripts, *operands])
    else:
        given = list(operands)
    variables = [as_variable(x) for x in given]
    wanted = (
        np.result_type(*(v.dtype for v in variables)).name
        if dtype is None
        else np.dtype(dtype).name
    )
    for v in variables:
        if not np.can_cast(v.dtype, wanted, "safe"):
            raise DTypeError(
                f"einsum: {v.label()}, {v.type}, cannot be cast to {wanted} without loss."
            )
    inputs, output = _parse(subscripts, [v.ndim for v in variables])
    factors = [
        _without_repeats(cast(v, wanted), letters)
        for v, letters in zip(variables, inputs, strict=True)
    ]
    _check_sizes(factors)
    result = _joined(_without_ones(factors, output), set(output))
    return _arranged(result, output)


# --- reading the notation ----------------------------------------------------------------


def _from_lists(arguments: list[Any]) -> tuple[str, list[Any]]:
    """The notation with lists of integers, as a string."""
    output = arguments.pop() if len(arguments) % 2 else None
    operands, lists = arguments[::2], arguments[1::2]
    text = ",".join(_letters(entries) for entries in lists)
    return text if output is None else f"{text}->{_letters(output)}", operands


def _letters(entries: Sequence[Any]) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    if any(e is not Ellipsis and not 0 <= e < len(alphabet) for e in entries):
        raise ShapeError(
            f"einsum: axes are named by numbers from 0 to 51, got {entries}."
        )
    return "".join("..." if e is Ellipsis else alphabet[e] for e in entries)


def _parse(
    subscripts: str, ranks: Sequence[int]
) -> tuple[list[list[Letter]], list[Letter]]:
    """The letters of every operand and of the result."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ShapeError(
            f"einsum {subscripts!r} is for {len(terms)} operands, {len(ranks)} were given."
        )
    inputs = [_term(t, rank, subscripts) for t, rank in zip(terms, ranks, strict=True)]
    counts = Counter(a for letters in inputs for a in letters)
    dots: list[Letter] = sorted(a for a in counts if isinstance(a, int))
    if not arrow:
        once = [a for a, n in counts.items() if isinstance(a, str) and n == 1]
        return inputs, [*dots, *sorted(once)]
    output = _term(right, None, subscripts, dots)
    strange = [a for a in output if a not in counts]
    if strange or len(set(output)) != len(output):
        raise ShapeError(
            f"einsum {subscripts!r}: each letter of the result stands there once, and in an operand."
        )
    return inputs, output


def _term(
    text: str, rank: int | None, subscripts: str, dots: Sequence[Letter] = ()
) -> list[Letter]:
    """The letters of one operand of `rank` axes; those of the ellipsis count from the right."""
    before, ellipsis, after = text.partition("...")
    if (not (before + after).isalpha() and before + after) or not text.isascii():
        raise ShapeError(
            f"einsum {subscripts!r}: {text!r} holds more than letters and one ellipsis."
        )
    if rank is None:
        return [*before, *(dots if ellipsis else ()), *after]
    free = rank - len(before) - len(after)
    if free < 0 or (free and not ellipsis):
        raise ShapeError(
            f"einsum {subscripts!r}: {text!r} does not name the axes of an operand that has {rank}."
        )
    return [*before, *range(-free, 0), *after]


# --- single operands ---------------------------------------------------------------------


def _without_repeats(x: Variable, letters: Sequence[Letter]) -> Operand:
    """The operand with the diagonal taken wherever a letter is repeated."""
    left = list(letters)
    while repeated := next((a for a, n in Counter(left).items() if n > 1), None):
        i = left.index(repeated)
        j = left.index(repeated, i + 1)
        sizes = x.type.shape[i], x.type.shape[j]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ShapeError(
                f"einsum: the axes {repeated!r} of {x.label()}: {x.type} have sizes {sizes[0]} and {sizes[1]}."
            )
        x = _square_diagonal(x, i, j)
        left = [a for k, a in enumerate(left) if k not in (i, j)] + [repeated]
    return Operand(x, tuple(left))


def _square_diagonal(x: Variable, i: int, j: int) -> Variable:
    """The diagonal of two axes whose sizes must be equal, along a new last axis."""
    if None in (x.type.shape[i], x.type.shape[j]):
        sizes: list[Any] = [None] * x.ndim
        sizes[j] = SizeOf(i)(x) if x.type.shape[i] is None else x.type.shape[i]
        x = specify_shape(x, sizes)
    return diagonal(x, 0, i, j)


def _check_sizes(factors: Sequence[Operand]) -> None:
    for letter in {a for f in factors for a in f.letters}:
        sizes = {f.size(letter) for f in factors if letter in f.letters} - {None, 1}
        if len(sizes) > 1:
            raise ShapeError(
                f"einsum: axes {letter!r} have sizes {' and '.join(map(str, sorted(s for s in sizes if s)))}."
                if isinstance(letter, str)
                else f"einsum: the axes of the ellipsis have sizes {sizes}, which do not broadcast."
            )


def _without_ones(
    factors: Sequence[Operand], output: Sequence[Letter]
) -> list[Operand]:
    """The operands without axes of declared size 1 that stretch against others."""
    results = []
    for f in factors:
        keep = [
            k
            for k, a in enumerate(f.letters)
            if f.size(a) != 1
            or all(a not in g.letters or g.size(a) == 1 for g in factors)
        ]
        results.append(_shuffled(f, keep))
    return results


def _shuffled(operand: Operand, axes: Sequence[int]) -> Operand:
    letters = tuple(operand.letters[k] for k in axes)
    return Operand(dimshuffle(operand.value, *axes), letters)


def _summed(operand: Operand, keep: set[Letter]) -> Operand:
    """The operand summed over all letters but those to keep."""
    axes = tuple(k for k, a in enumerate(operand.letters) if a not in keep)
    if not axes:
        return operand
    value = cast(total(operand.value, axes), operand.value.dtype)
    return Operand(value, tuple(a for a in operand.letters if a in keep))


def _arranged(operand: Operand, output: Sequence[Letter]) -> Variable:
    return dimshuffle(operand.value, *(operand.letters.index(a) for a in output))


# --- pairs -------------------------------------------------------------------------------


def _joined(factors: Sequence[Operand], output: set[Letter]) -> Operand:
    """One operand with the letters of the output, from several."""
    left = list(factors)
    while True:
        for k, f in enumerate(left):
            others = {a for g in left[:k] + left[k + 1 :] for a in g.letters}
            left[k] = _summed(f, output | others)
        if len(left) == 1:
            return left[0]
        i, j = _cheapest(left, output)
        others = {a for k, g in enumerate(left) if k not in (i, j) for a in g.letters}
        pair = _pair(left[i], left[j], output | others)
        left = [g for k, g in enumerate(left) if k not in (i, j)] + [pair]


def _cheapest(factors: Sequence[Operand], output: set[Letter]) -> tuple[int, int]:
    """The pair whose product grows least over its factors; sizes not known count as 64."""
    sizes: dict[Letter, int] = {}
    for f in factors:
        for a in f.letters:
            sizes[a] = max(sizes.get(a, 0), NOMINAL if (s := f.size(a)) is None else s)

    def elements(letters: set[Letter]) -> int:
        return prod(sizes[a] for a in letters)

    def growth(pair: tuple[int, int]) -> int:
        x, y = (set(factors[k].letters) for k in pair)
        others = {a for k, g in enumerate(factors) if k not in pair for a in g.letters}
        return elements((x | y) & (output | others)) - elements(x) - elements(y)

    return min(combinations(range(len(factors)), 2), key=growth)


def _pair(x: Operand, y: Operand, keep: set[Letter]) -> Operand:
    """The product of two operands, summed over the letters that are not kept."""
    shared = [a for a in x.letters if a in y.letters]
    batch = [a for a in shared if a in keep]
    inner = [a for a in shared if a not in keep]
    value = contract_batch(
        x.value,
        y.value,
        [x.letters.index(a) for a in batch],
        [y.letters.index(a) for a in batch],
        [x.letters.index(a) for a in inner],
        [y.letters.index(a) for a in inner],
    )
    free = [a for o in (x, y) for a in o.letters if a not in shared]
    return Operand(value, (*batch, *free))
