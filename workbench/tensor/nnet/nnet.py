"""Softmax, activations and losses under their old path: ``T.nnet.nnet.softmax``."""

from workbench.core.ops.nnet import (
    binary_crossentropy,
    categorical_crossentropy,
    elu,
    logsoftmax,
    relu,
    sigmoid,
    sigmoid_binary_crossentropy,
    softmax,
    softplus,
    softsign,
)
from workbench.core.ops.older_losses import (
    confusion_matrix,
    crossentropy_softmax_1hot,
    crossentropy_softmax_1hot_with_bias,
    selu,
    softmax_with_bias,
)

__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "confusion_matrix", "crossentropy_softmax_1hot",
    "crossentropy_softmax_1hot_with_bias", "elu", "logsoftmax", "relu", "selu", "sigmoid",
    "sigmoid_binary_crossentropy", "softmax", "softmax_with_bias", "softplus", "softsign",
]  # fmt: skip
