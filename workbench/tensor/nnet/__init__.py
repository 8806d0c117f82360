"""What neural networks are built of: ``T.nnet.softmax``, ``T.nnet.sigmoid``, the losses, convolution.

All functions are here; the modules have those that the tradition imports from them, as
``workbench.tensor.nnet.bn``. Only CTC and what was called otherwise are theirs alone: ``T.nnet.ctc.ctc``.
"""

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
from workbench.core.ops.older_losses import (
    confusion_matrix,
    crossentropy_softmax_1hot,
    crossentropy_softmax_1hot_with_bias,
    selu,
    softmax_with_bias,
)
from workbench.tensor.nnet import (
    abstract_conv,
    bn,
    conv,
    conv3d2d,
    ctc,
    neighbours,
    nnet,
    sigm,
)
from workbench.tensor.nnet.sigm import ultra_fast_sigmoid

__all__ = [
    "abstract_conv", "batch_normalization", "batch_normalization_test", "batch_normalization_train",
    "bilinear_upsampling", "binary_crossentropy", "bn", "categorical_crossentropy", "causal_conv1d",
    "confusion_matrix", "conv", "conv1d", "conv2d", "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights",
    "conv2d_transpose", "conv3d", "conv3d2d", "conv3d_grad_wrt_inputs", "conv3d_grad_wrt_weights",
    "crossentropy_softmax_1hot", "crossentropy_softmax_1hot_with_bias", "ctc", "dropout", "elu",
    "get_conv_output_shape", "h_softmax", "hard_sigmoid", "images2neibs", "layer_normalization",
    "logsoftmax", "logsumexp", "neibs2images", "neighbours", "nnet", "relu", "selu", "separable_conv2d",
    "separable_conv3d", "sigm", "sigmoid", "sigmoid_binary_crossentropy", "softmax", "softmax_with_bias",
    "softplus", "softsign", "ultra_fast_sigmoid",
]  # fmt: skip
