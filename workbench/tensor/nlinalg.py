"""The tradition's name for what of :mod:`workbench.tensor.linalg` came from NumPy."""

from workbench.core.ops.diagonals import diag
from workbench.tensor.linalg import *

alloc_diag = extract_diag = diag
