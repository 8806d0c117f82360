"""Minibatches of sentences, padded to one length, with a mask."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.config import config
from workbench.datasets.text.alphabet import END, Alphabet, shortened
from workbench.datasets.text.sentences import listed, random_state

__all__ = ["Batch", "Batches", "next_characters"]

POOL = 20
"""So many minibatches at a time are sorted by length: enough to pad little, few enough
that a sentence has other neighbours in every pass."""


class Batch(NamedTuple):
    """Sentences side by side.

    Attributes
    ----------
    indices : int64 [length, n]
        A column is a sentence and its `END`, then zeros.
    mask : floatX [length, n]
        1 for the sentence and its end, 0 for what is behind; of the ``config.floatX``
        of the time it is made.
    """

    indices: NDArray[np.int64]
    mask: NDArray[Any]


class Batches:
    """Minibatches of sentences of similar length, padded, in another order each pass.

    Every pass has every sentence once, none shortened; one minibatch may hold fewer
    than `size`, the rest.

    Parameters
    ----------
    sentences : list of str
        Each without its end, and not empty.
    alphabet : Alphabet
        Gives the indices.
    size : int
        Sentences in a minibatch, at least 1.
    seed : int, optional
        Two of the same seed give the same minibatches in the same passes. If not given,
        every pass goes from the shortest sentences to the longest.

    Raises
    ------
    ValueError
        If there are no sentences, one is empty, one has an `END` already or a
        character that the alphabet refuses, or `size` is below 1.

    Notes
    -----
    A mean over minibatches is that over sentences only if each counts by its number of
    sentences, ``indices.shape[1]``.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        alphabet: Alphabet,
        size: int,
        seed: int | None = None,
    ) -> None:
        self._size = operator.index(size)
        if self._size < 1:
            raise ValueError(f"a minibatch has at least one sentence, not {size}.")
        if not len(listed(sentences)):
            raise ValueError("there are no sentences to make minibatches of.")
        for k, each in enumerate(sentences):
            if not each:
                raise ValueError(f"sentence {k} is empty.")
            if END in each:
                raise ValueError(
                    f"sentence {k} has a line feed, the mark of its end, which is added "
                    f"to each: {shortened(each)}. Give it without, as sentences() does."
                )
        self._sequences = [alphabet.encode(each + END) for each in sentences]
        self._random = None if seed is None else random_state(seed)

    def __len__(self) -> int:
        """Minibatches in a pass."""
        return -(-len(self._sequences) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        """Begin a pass."""
        # The order is drawn here and not at the first minibatch, so that passes which
        # overlap are still those of the seed.
        return map(self._batch, self._order())

    def _order(self) -> list[NDArray[np.int64]]:
        """Which sentences each minibatch has."""
        lengths = np.array([len(each) for each in self._sequences])
        if self._random is None:
            return self._cut(np.argsort(lengths, kind="stable"))
        shuffled = self._random.permutation(len(lengths))
        batches = []
        for start in range(0, len(shuffled), POOL * self._size):
            pool = shuffled[start : start + POOL * self._size]
            batches += self._cut(pool[np.argsort(lengths[pool], kind="stable")])
        return [batches[k] for k in self._random.permutation(len(batches))]

    def _cut(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [order[k : k + self._size] for k in range(0, len(order), self._size)]

    def _batch(self, chosen: NDArray[np.int64]) -> Batch:
        columns = [self._sequences[k] for k in chosen]
        shape = max(map(len, columns)), len(columns)
        indices, mask = np.zeros(shape, np.int64), np.zeros(shape, config.floatX)
        for k, column in enumerate(columns):
            indices[: len(column), k] = column
            mask[: len(column), k] = 1
        return Batch(indices, mask)


def next_characters(indices: Any, mask: Any) -> tuple[Any, Any, Any]:
    """What a model reads, what it should say next, and where that counts.

    Parameters
    ----------
    indices, mask : [length, n]
        Arrays, as a `Batch` has them, or symbolic matrices.

    Returns
    -------
    inputs, targets, mask : [length - 1, n]
        ``targets[t]`` follows ``inputs[t]``; ``mask[t]`` is 1 where it is no padding.
        The last target of a sentence is its `END`; its first character is never one.

    Examples
    --------
    >>> (batch,) = Batches(["ab", "a"], Alphabet.of(["ab"]), size=2)
    >>> inputs, targets, mask = next_characters(*batch)
    >>> inputs.tolist(), targets.tolist(), mask.tolist()
    ([[2, 2], [0, 3]], [[0, 3], [0, 0]], [[1.0, 1.0], [0.0, 1.0]])
    """
    return indices[:-1], indices[1:], mask[1:]
