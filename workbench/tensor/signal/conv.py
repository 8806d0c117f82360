"""Convolution of images that have no channels: ``T.signal.conv.conv2d``."""

from workbench.core.ops.older_convolving import conv2d_of_images as conv2d

__all__ = ["conv2d"]
