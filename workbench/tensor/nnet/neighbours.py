"""Patches of images as rows, and back: ``T.nnet.neighbours.images2neibs``."""

from workbench.core.ops.neighbours import images2neibs, neibs2images

__all__ = ["images2neibs", "neibs2images"]
