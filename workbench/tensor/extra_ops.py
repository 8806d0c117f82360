"""Functions under the path of the Theano tradition: ``T.extra_ops.repeat``, ``to_one_hot``."""

from workbench.core.ops.counting import bincount, searchsorted, unique
from workbench.core.ops.differences import diff
from workbench.core.ops.grids import geomspace, linspace, logspace
from workbench.core.ops.indexing import compress
from workbench.core.ops.places import (
    fill_diagonal,
    fill_diagonal_offset,
    ravel_multi_index,
    unravel_index,
)
from workbench.core.ops.rearrange import (
    broadcast_arrays,
    broadcast_shape,
    repeat,
)
from workbench.core.ops.running import cumprod, cumsum
from workbench.core.ops.shape import broadcast_to, squeeze
from workbench.core.ops.stacking import to_one_hot

__all__ = [
    "bincount", "broadcast_arrays", "broadcast_shape", "broadcast_to", "compress", "cumprod", "cumsum", "diff",
    "fill_diagonal", "fill_diagonal_offset", "geomspace", "linspace", "logspace", "ravel_multi_index", "repeat",
    "searchsorted", "squeeze", "to_one_hot", "unique", "unravel_index",
]  # fmt: skip
