"""The largest element, the sum or the mean of windows: ``T.signal.pool.pool_2d``."""

from workbench.core.ops.pooling import Pool
from workbench.core.ops.pools import (
    max_pool_2d,
    max_pool_2d_same_size,
    pool_2d,
    pool_3d,
)

__all__ = ["Pool", "max_pool_2d", "max_pool_2d_same_size", "pool_2d", "pool_3d"]
