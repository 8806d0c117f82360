"""Signals and images: pooling."""

from workbench.tensor.signal import downsample, pool

__all__ = ["downsample", "pool"]
