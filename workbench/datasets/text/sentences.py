"""A text as sentences, and the part of them that is held out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Split", "sentences", "train_valid_split"]

# A stop ends a sentence where a capital letter or a digit follows, the group.
_STOP = re.compile(r"""[.!?…][”’"')\]]* (?=[“‘"'(\[]*([^\W_]))""")
_ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Messrs|Dr|St|Capt|Rev|Prof|[A-HJ-Z])\. $")


def sentences(text: str, shortest: int = 1, longest: int | None = None) -> list[str]:
    r"""The sentences of an English text, in their order.

    A sentence ends at a full stop, an exclamation or a question mark before a capital
    letter or a digit, and at an empty line; not after *Mr.*, *St.* or an initial other
    than I. White space of any kind and number becomes one space.

    Parameters
    ----------
    text : str
        Paragraphs, with an empty line between two.
    shortest, longest : int
        Sentences of fewer or more characters are left out, not shortened. The time and
        memory of a step grow with its longest sentence.

    Raises
    ------
    ValueError
        If there is no sentence, or none of such a length.

    Examples
    --------
    >>> sentences("“But look! here come\nmore,” said Mr. Bly. What\ndo you see?")
    ['“But look! here come more,” said Mr. Bly.', 'What do you see?']
    """
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    found = [each for part in paragraphs if part for each in _cut(part)]
    if not found:
        raise ValueError("the text is empty: it has no sentence.")
    most = max(map(len, found)) if longest is None else longest
    kept = [each for each in found if shortest <= len(each) <= most]
    if not kept:
        raise ValueError(
            f"none of the {len(found):,} sentences has {shortest} to {most} characters."
        )
    return kept


def _cut(paragraph: str) -> Iterator[str]:
    begin = 0
    for stop in _STOP.finditer(paragraph):
        end, follows = stop.end(), stop[1]
        # Eight characters are the longest abbreviation with its stop and space.
        abbreviated = _ABBREVIATED.search(paragraph, max(begin, end - 8), end)
        if (follows.isupper() or follows.isdigit()) and not abbreviated:
            yield paragraph[begin : end - 1]
            begin = end
    yield paragraph[begin:]


class Split(NamedTuple):
    """What to learn from, and what to choose by."""

    train: list[str]
    valid: list[str]


def train_valid_split(
    sentences: Sequence[str], valid: float = 0.1, seed: int = 0
) -> Split:
    """Hold out a random part of the sentences, the same for the same seed.

    Parameters
    ----------
    sentences : list of str
        At least two.
    valid : float
        The part to hold out, above 0 and below 1; at least one sentence is held out
        and at least one is left. Both parts keep the order of the text.

    Raises
    ------
    ValueError
        If there are fewer than two sentences, or `valid` is not between 0 and 1.
    """
    n = len(listed(sentences))
    if n < 2:
        raise ValueError(f"two sentences are the least to split, not {n}.")
    if not 0 < valid < 1:
        raise ValueError(f"the part to hold out is between 0 and 1, not {valid}.")
    number = min(max(round(valid * n), 1), n - 1)
    held = np.zeros(n, bool)
    held[random_state(seed).permutation(n)[:number]] = True
    return Split(
        [each for each, out in zip(sentences, held, strict=True) if not out],
        [each for each, out in zip(sentences, held, strict=True) if out],
    )


def random_state(seed: int) -> np.random.RandomState:
    # The numbers of RandomState are the same in every version of NumPy.
    return np.random.RandomState(seed)


def listed(sentences: Sequence[str]) -> Sequence[str]:
    if isinstance(sentences, str):
        raise TypeError(
            "expected a list of sentences, not one string: sentences(text)."
        )
    return sentences
