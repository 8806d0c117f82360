"""Characters and their indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["END", "UNKNOWN", "Alphabet"]

END = "\n"
"""The character after the last one of a sentence."""

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""What stands for every character that an alphabet does not have."""


@dataclass(frozen=True)
class Alphabet:
    r"""Characters and their indices: ``characters[index]`` is the character.

    It is equal to another of the same characters, so that string is all there is to
    save, beside the parameters of a model. Where it has `UNKNOWN`, that stands for the
    characters it does not have; where it has not, those are errors.

    Raises
    ------
    ValueError
        If a character occurs twice, or there is none.

    Examples
    --------
    >>> alphabet = Alphabet.of(["a cab", "a bee"])
    >>> alphabet.characters, len(alphabet)
    ('\n� abce', 7)
    >>> alphabet.encode("bad")
    array([4, 3, 1])
    >>> alphabet.decode([4, 3, 1])
    'ba�'
    >>> np.savez("model.npz", characters=alphabet.characters)  # doctest: +SKIP
    >>> Alphabet(str(np.load("model.npz")["characters"]))  # doctest: +SKIP
    Alphabet(characters='\n� abce')
    """

    characters: str

    def __post_init__(self) -> None:
        if not isinstance(self.characters, str):
            raise TypeError(
                "an alphabet is made of one string, its characters, not of a "
                f"{type(self.characters).__name__}; of sentences, Alphabet.of makes one."
            )
        if not self.characters:
            raise ValueError("an alphabet has at least one character.")
        ((character, number),) = Counter(self.characters).most_common(1)
        if number > 1:
            raise ValueError(f"{character!r} is {number} times in the alphabet.")

    @classmethod
    def of(cls, sentences: Iterable[str], least: int = 1) -> Alphabet:
        """`END`, `UNKNOWN`, and the characters that occur at least so many times.

        Make it of what the model learns from. A model learns what to do with an unknown
        character only if there are some: if `least` is above 1.
        """
        counts = Counter("".join(sentences))
        often = {each for each, number in counts.items() if number >= least}
        return cls(END + UNKNOWN + "".join(sorted(often - {END, UNKNOWN})))

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {character: index for index, character in enumerate(self.characters)}

    def encode(self, text: str) -> NDArray[np.int64]:
        """The index of each character; `END` is not added.

        Returns
        -------
        int64 [n]
            ``encode(prefix)[:, np.newaxis]`` is a minibatch of one sequence, to be
            continued.

        Raises
        ------
        ValueError
            If a character is not in the alphabet, nor `UNKNOWN`.
        """
        indices, unknown = self._indices, self._indices.get(UNKNOWN, -1)
        found = np.array([indices.get(each, unknown) for each in text], np.int64)
        if unknown < 0 and (found < 0).any():
            place = int(np.argmin(found))
            raise ValueError(
                f"character {place} of {shortened(text)} is {text[place]!r}, which is not "
                f"one of the {len(self)} of the alphabet, and this has none for unknown "
                "characters. Alphabet.of(sentences) makes one that has."
            )
        return found

    def decode(self, indices: ArrayLike) -> str:
        """The characters of some indices [n]; of a single one its character.

        Raises
        ------
        IndexError
            If an index is negative, or not below the length of the alphabet.
        """
        flat = np.atleast_1d(np.asarray(indices))
        if flat.size and flat.dtype.kind not in "iu":
            raise TypeError(f"indices are whole numbers, not {flat.dtype}.")
        if flat.ndim > 1:
            raise ValueError(
                f"decode takes one sequence, not an array of shape {flat.shape}; "
                "of a minibatch, take a column: indices[:, k]."
            )
        wrong = flat[(flat < 0) | (flat >= len(self))]
        if wrong.size:
            last = len(self) - 1
            raise IndexError(f"no character has the index {wrong[0]}: 0 to {last}.")
        return "".join(self.characters[index] for index in flat)


def shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
