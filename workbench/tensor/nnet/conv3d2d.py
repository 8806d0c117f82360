"""Convolution over time, rows and columns, time before channels: ``T.nnet.conv3d2d.conv3d``."""

from workbench.core.ops.older_convolving import conv3d_of_videos as conv3d

__all__ = ["conv3d"]
