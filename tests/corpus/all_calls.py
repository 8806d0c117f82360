"""All calls of the corpus, from every file that makes some."""

from tests.corpus import (
    creation,
    elements,
    matrices,
    places,
    products,
    reductions,
    shapes,
    sorting,
    special,
)
from tests.corpus.calls import Call

CALLS: list[Call] = [
    *shapes.CALLS,
    *creation.CALLS,
    *places.CALLS,
    *products.CALLS,
    *matrices.CALLS,
    *elements.CALLS,
    *special.CALLS,
    *reductions.CALLS,
    *sorting.CALLS,
]
