"""Text for a model of characters: sentences, an alphabet, and minibatches of indices.

A sentence is a line: a string without its line feed, which is added when it becomes
indices, so that a model learns where to stop. An `Alphabet` numbers the characters.
`Batches` puts sentences of similar length side by side, pads them to one length, and
says by a mask what is text and what is padding. Time is the first axis, over which
`scan` loops.

Examples
--------
>>> learn, valid = train_valid_split(sentences(moby_dick(), longest=200))
>>> alphabet = Alphabet.of(learn)
>>> batches = Batches(learn, alphabet, size=100, seed=1)
>>> len(learn), len(valid), len(alphabet), len(batches)
(6306, 701, 83, 64)
>>> indices, mask = next(iter(batches))
>>> indices.shape == mask.shape, indices.shape[1]
(True, 100)
"""

from workbench.datasets.text.alphabet import END, UNKNOWN, Alphabet
from workbench.datasets.text.batches import Batch, Batches, next_characters
from workbench.datasets.text.novel import moby_dick, read
from workbench.datasets.text.sentences import Split, sentences, train_valid_split

__all__ = [
    "moby_dick", "read", "sentences", "Split", "train_valid_split",
    "END", "UNKNOWN", "Alphabet", "Batch", "Batches", "next_characters",
]  # fmt: skip
