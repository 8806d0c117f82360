"""The tradition's name for what of :mod:`workbench.tensor.linalg` came from SciPy.

``Cholesky`` and ``Solve`` make functions of their options, as the classes of these names did.
"""

from collections.abc import Callable
from functools import partial

from workbench.core.graph import Variable
from workbench.tensor import linalg
from workbench.tensor.linalg import *


def Cholesky(lower: bool = True, on_error: str = "raise") -> Callable[..., Variable]:
    """``cholesky`` with its options chosen."""
    return partial(linalg.cholesky, lower=lower, on_error=on_error)


def Solve(A_structure: str = "general", lower: bool = False) -> Callable[..., Variable]:
    """``solve`` with what is assumed of the matrix chosen, as ``"lower_triangular"``."""
    return partial(linalg.solve, lower=lower, assume_a=A_structure)
