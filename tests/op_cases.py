"""One row for every op: how to apply it, what it means in NumPy, where it is defined.

What a row says is described in :mod:`tests.cases.base`; the rows stand in the files beside
it, one for each part of the language. :mod:`tests.core.test_ops` and
:mod:`tests.compile.test_c_backend` put every row through every check.
"""

from tests.cases.barriers import BARRIERS
from tests.cases.base import Case
from tests.cases.blocks import BLOCKS
from tests.cases.convolution import CONVOLUTION
from tests.cases.elementwise import ELEMENTWISE
from tests.cases.indexing import INDEXING
from tests.cases.linalg import LINALG
from tests.cases.normalization import NORMALIZATION
from tests.cases.others import OTHERS
from tests.cases.pooling import POOLING
from tests.cases.random import RANDOM
from tests.cases.reduction import REDUCTION
from tests.cases.shape import SHAPE
from tests.cases.sorting import SORTING
from tests.cases.special import SPECIAL

__all__ = ["CASES", "Case"]

CASES: list[Case] = [
    *ELEMENTWISE,
    *BARRIERS,
    *SPECIAL,
    *SHAPE,
    *REDUCTION,
    *RANDOM,
    *INDEXING,
    *LINALG,
    *OTHERS,
    *BLOCKS,
    *NORMALIZATION,
    *POOLING,
    *SORTING,
    *CONVOLUTION,
]
