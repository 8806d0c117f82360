"""Batch normalisation: ``T.nnet.bn.batch_normalization_train``."""

from workbench.core.ops.normalization import (
    batch_normalization,
    batch_normalization_test,
    batch_normalization_train,
)

__all__ = [
    "batch_normalization", "batch_normalization_test", "batch_normalization_train",
]  # fmt: skip
