"""What neural networks are built of: ``T.nnet.softmax``, ``T.nnet.sigmoid``, the losses."""

from workbench.core.ctc import ctc
from workbench.core.ops import neighbours
from workbench.core.ops import normalization as bn
from workbench.core.ops.choices import dropout
from workbench.core.ops.convolving import (
    bilinear_upsampling,
    causal_conv1d,
    conv1d,
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv2d_transpose,
    conv3d,
    conv3d_grad_wrt_inputs,
    conv3d_grad_wrt_weights,
    get_conv_output_shape,
    separable_conv2d,
    separable_conv3d,
)
from workbench.core.ops.hierarchical import h_softmax
from workbench.core.ops.neighbours import images2neibs, neibs2images
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
from workbench.core.ops.normalization import (
    batch_normalization,
    batch_normalization_test,
    batch_normalization_train,
    layer_normalization,
)

__all__ = [
    "batch_normalization", "batch_normalization_test", "batch_normalization_train", "bilinear_upsampling",
    "binary_crossentropy", "bn", "categorical_crossentropy", "causal_conv1d", "conv1d", "conv2d",
    "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights", "conv2d_transpose", "conv3d", "conv3d_grad_wrt_inputs",
    "conv3d_grad_wrt_weights", "ctc", "dropout", "elu", "get_conv_output_shape", "h_softmax", "hard_sigmoid",
    "images2neibs", "layer_normalization", "logsoftmax", "logsumexp", "neibs2images", "neighbours", "relu",
    "separable_conv2d", "separable_conv3d", "sigmoid", "sigmoid_binary_crossentropy", "softmax", "softplus",
    "softsign",
]  # fmt: skip
