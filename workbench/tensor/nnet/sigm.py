"""Sigmoids under their old path: ``T.nnet.sigm.hard_sigmoid``."""

from workbench.core.ops.nnet import hard_sigmoid, sigmoid, softplus

# What the tradition approximates; computed in vectors, the sigmoid itself costs no more.
ultra_fast_sigmoid = sigmoid

__all__ = ["hard_sigmoid", "sigmoid", "softplus", "ultra_fast_sigmoid"]
