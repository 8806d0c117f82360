"""Data sets for the tutorials, read from a folder and checked.

Nothing is fetched from the network: a tutorial must give the same figures on every
machine, and a class room may be offline. A file that is missing or damaged is a
`DatasetError`, which says what is wrong and where to get a good one.
"""

from workbench.datasets import text
from workbench.datasets.files import DatasetError
from workbench.datasets.mnist import Examples, Splits, mnist

__all__ = ["DatasetError", "Examples", "Splits", "mnist", "text"]
