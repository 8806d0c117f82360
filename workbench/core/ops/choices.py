"""Choosing from categories and shuffling, as functions of a key.

Probabilities stand along the last axis and are divided by their sum; a negative one is an
error. Choosing without replacement sorts random numbers: one for each thing, which for
weighted things is exponential over its weight (Efraimidis and Spirakis 2006), so that the
first k in order are what k weighted draws would take one after the other.

Read next: :mod:`workbench.core.streams`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.core.errors import ParameterError, ShapeError
from workbench.core.graph import Variable, as_variable
from workbench.core.op import Size, known_int
from workbench.core.ops import elementwise as ew
from workbench.core.ops import random as bits
from workbench.core.ops.counts import integers
from workbench.core.ops.creation import arange
from workbench.core.ops.draws import Draw, as_dtype, check, not_negative
from workbench.core.ops.indexing import take, take_along_axis
from workbench.core.ops.shape import (
    as_sizes,
    dimshuffle,
    normal_axis,
    product_size,
    reshape,
    sizes_of,
    swapaxes,
)
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import cast


def categorical(
    key: Any,
    shape: Any = None,
    p: Any = (0.5, 0.5),
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """The number of a category, with the probabilities along the last axis of `p`.

    Parameters
    ----------
    shape
        Of the result; by default that of `p` without its last axis.
    p : [..., k]
        Probabilities, whose other axes broadcast to the shape.
    """
    draw, p = _by_rows(key, shape, p, ndim)
    return cast(bits.PickCategory()(draw.uniform("float64"), p), dtype)


def _by_rows(
    key: Any, shape: Any, p: Any, ndim: int | None, *others: Any
) -> tuple[Draw, Variable]:
    """A draw for each row of probabilities, and these with as many axes as it and one more."""
    check(p, not_negative, "a probability must not be negative")
    p = as_dtype(p, "float64")
    if not p.ndim:
        raise ShapeError(f"probabilities need an axis; {p.label()} is a scalar.")
    first = _first_of_each(p)
    draw = Draw(key, shape, first, *others, ndim=ndim)
    return draw, dimshuffle(p, *["x"] * (draw.ndim + 1 - p.ndim), *range(p.ndim))


def _first_of_each(p: Variable) -> Variable:
    """The first entry of each row; its shape is what matters."""
    return index(p, (..., 0))


def multinomial(
    key: Any,
    shape: Any = None,
    n: Any = 1,
    pvals: Any = (0.5, 0.5),
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """How often each category comes up in `n` trials: [..., k] for `pvals` [..., k].

    `shape` is that of the other axes, by default those of `n` and `pvals` together. With
    n = 1 each row has a single 1.
    """
    check(n, not_negative, "n must not be negative")
    draw, p = _by_rows(key, shape, pvals, ndim, n)
    if isinstance(n, int) and n == 1:
        chosen = bits.PickCategory()(draw.uniform("float64"), p)
        k = sizes_of(p)[-1]
        return cast(
            ew.eq(dimshuffle(chosen, *range(chosen.ndim), "x"), arange(k)), dtype
        )
    trials = cast(n, "int64")
    trials = dimshuffle(trials, *["x"] * (draw.ndim - trials.ndim), *range(trials.ndim))
    return cast(bits.DrawMultinomial()(*draw.words(), trials, p), dtype)


def choice(
    key: Any,
    shape: Any = (),
    a: Any = 2,
    replace: bool = True,
    p: Any = None,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """Things out of `a`: whole numbers below it, or entries along its first axis.

    Parameters
    ----------
    shape
        Of the choices; the further axes of `a` follow.
    replace
        Whether one thing may be chosen more than once.
    p : [k]
        How likely each is, divided by their sum; all the same by default. Without
        replacement, things of probability 0 come after all others.

    Raises
    ------
    ParameterError
        More are to be chosen without replacement than there are, and both is known.
    ShapeError
        `p` is no vector as long as `a`.
    """
    things = as_variable(a)
    size: Size | Variable = sizes_of(things)[0] if things.ndim else things
    weights = None if p is None else _weights(p, size)
    if replace and weights is not None:
        chosen = categorical(key, shape, weights, ndim=ndim)
    elif replace:
        chosen = integers(key, shape, 0, size, ndim=ndim)
    else:
        chosen = _without_replacement(
            key, Draw(key, shape, ndim=ndim).sizes, size, weights
        )
    return take(things, chosen, axis=0) if things.ndim else cast(chosen, dtype)


def _weights(p: Any, size: Size | Variable) -> Variable:
    weights = as_variable(p)
    if weights.ndim != 1:
        raise ShapeError(
            f"choice: p is a vector; got {weights.label()}: {weights.type}."
        )
    have, want = weights.type.shape[0], known_int(size)
    if None not in (have, want) and have != want:
        raise ShapeError(f"choice: {have} probabilities for {want} things.")
    return weights


def _without_replacement(
    key: Any,
    shape: Sequence[Variable],
    size: Size | Variable,
    weights: Variable | None,
) -> Variable:
    known = [known_int(s) for s in shape]
    count = product_size(
        [s if k is None else k for s, k in zip(shape, known, strict=True)]
    )
    have, want = known_int(size), known_int(count)
    if have is not None and want is not None and want > have:
        raise ParameterError(
            f"choice: cannot choose {want} of {have} without replacement."
        )
    draw = Draw(key, (size,))
    if weights is None:
        order = bits.RandomOrder()(draw.bits())
    else:
        check(weights, not_negative, "a probability must not be negative")
        wait = ew.true_div(draw.exponential("float64"), as_dtype(weights, "float64"))
        order = bits.RandomOrder()(wait)
    return reshape(index(order, slice(0, count)), list(shape))


def choose_in_rows(
    key: Any, p: Any, n: Any = 1, dtype: str = "int64", replace: bool = False
) -> Variable:
    """`n` categories for each row of probabilities `p` [..., k]: [..., n]."""
    check(p, not_negative, "a probability must not be negative")
    p = as_dtype(p, "float64")
    if not p.ndim:
        raise ShapeError(f"probabilities need an axis; {p.label()} is a scalar.")
    sizes = sizes_of(p)
    if replace:
        rows = dimshuffle(p, *range(p.ndim - 1), "x", p.ndim - 1)
        u = Draw(key, [*sizes[:-1], n]).uniform("float64")
        return cast(bits.PickCategory()(u, rows), dtype)
    have, want = known_int(sizes[-1]), n if isinstance(n, int) else None
    if have is not None and want is not None and want > have:
        raise ParameterError(f"cannot choose {want} of {have} without replacement.")
    wait = ew.true_div(Draw(key, list(sizes)).exponential("float64"), p)
    return cast(index(bits.RandomOrder()(wait), (..., slice(0, n))), dtype)


def permutation(key: Any, x: Any, axis: int = 0) -> Variable:
    """`x` in random order along `axis`; for a whole number the numbers below it."""
    x = as_variable(x)
    if not x.ndim:
        return bits.RandomOrder()(Draw(key, (x,)).bits())
    axis = normal_axis(axis, x.ndim)
    order = bits.RandomOrder()(Draw(key, (sizes_of(x)[axis],)).bits())
    return take(x, order, axis=axis)


def permutations(
    key: Any,
    shape: Any = (),
    n: Any = 1,
    dtype: str = "int64",
    ndim: int | None = None,
) -> Variable:
    """The numbers below `n` in random order along a last axis, once for each place in `shape`."""
    front = Draw(key, shape, ndim=ndim).sizes
    return cast(bits.RandomOrder()(Draw(key, [*front, *as_sizes(n)]).bits()), dtype)


def permuted(key: Any, x: Any, axis: int = -1) -> Variable:
    """`x` with each of its rows along `axis` shuffled on its own."""
    x = as_variable(x)
    axis = normal_axis(axis, x.ndim)
    last = swapaxes(x, axis, x.ndim - 1)
    order = bits.RandomOrder()(Draw(key, list(sizes_of(last))).bits())
    return swapaxes(take_along_axis(last, order, -1), axis, x.ndim - 1)


def dropout(
    x: Any, p: Any = 0.5, rng: Any = None, key: Any = None, rescale: bool = True
) -> Variable:
    """`x` with each element 0 with probability `p`, the others divided by 1 - p.

    Parameters
    ----------
    rng
        A stream of random numbers, as ``RandomStreams(seed)``; each call takes the next.
    key
        In place of `rng`: the same key gives the same mask.
    rescale
        Whether to divide, which keeps the mean.

    Raises
    ------
    ParameterError
        Neither or both of `rng` and `key` are given, or p is not in [0, 1).
    """
    if (rng is None) == (key is None):
        raise ParameterError("dropout takes either rng, a RandomStreams, or key.")
    check(p, lambda a: (a >= 0) & (a < 1), "p must be in [0, 1)")
    x = as_variable(x)
    if key is None:
        key = rng.next_key()
    draw = Draw(key, list(sizes_of(x)), p)
    dtype = x.dtype if x.type.is_float else "float64"
    kept = ew.ge(draw.uniform(dtype), as_dtype(p, dtype))
    scaled = ew.true_div(x, ew.sub(1, as_dtype(p, dtype))) if rescale else x
    return ew.switch(kept, scaled, 0)
