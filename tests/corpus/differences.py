"""What differs from NumPy or SciPy on purpose, and why.

Each entry says which calls it is about and what about them differs; a call that differs
otherwise, or an entry that no call needs, fails the test.
"""

from __future__ import annotations

from tests.corpus.calls import Difference
from tests.corpus.numerical_differences import NUMERICAL
from tests.corpus.structural_differences import STRUCTURAL

DIFFERENCES: list[Difference] = [
    entry for entry in (*STRUCTURAL, *NUMERICAL) if entry.is_current
]
