"""Pooling under its old path: ``T.signal.downsample.max_pool_2d``."""

from workbench.core.ops.pools import max_pool_2d, max_pool_2d_same_size

__all__ = ["max_pool_2d", "max_pool_2d_same_size"]
