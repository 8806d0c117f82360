"""What neural networks are built of: ``T.nnet.softmax``, ``T.nnet.sigmoid``, the losses."""

from workbench.core.ops.choices import dropout
from workbench.core.ops.nnet import (
    binary_crossentropy,
    categorical_crossentropy,
    elu,
    hard_sigmoid,
    logsoftmax,
    logsumexp,
    relu,
    sigmoid,
    sigmoid_binary_crossentropy,
    softmax,
    softplus,
    softsign,
)

__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "dropout", "elu", "hard_sigmoid", "logsoftmax", "logsumexp",
    "relu", "sigmoid", "sigmoid_binary_crossentropy", "softmax", "softplus", "softsign",
]  # fmt: skip
