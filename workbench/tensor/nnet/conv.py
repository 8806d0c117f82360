"""Convolution as it was first called: ``T.nnet.conv.conv2d``, which takes what Theano 0.7 took."""

from workbench.core.ops.older_convolving import conv2d

__all__ = ["conv2d"]
