"""Everything about derivatives: ``T.gradient.jacobian``, ``T.gradient.grad_clip``.

The main names are also in :mod:`workbench` itself.
"""

from workbench.core.derivatives import (
    Lop,
    Rop,
    hessian,
    hessian_vector_product,
    jacobian,
    jvp,
    pullback,
    pushforward,
    vjp,
)
from workbench.core.disconnected import Disconnected
from workbench.core.errors import DisconnectedInputError, GradientError
from workbench.core.gradient import grad, subgraph_grad
from workbench.core.ops.barriers import (
    consider_constant,
    disconnected_grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    undefined_grad,
    zero_grad,
)
from workbench.debug.gradients import verify_grad

# The tradition's other names.
DisconnectedType = Disconnected
NullTypeGradError = GradientError

__all__ = [
    "Disconnected", "DisconnectedInputError", "DisconnectedType", "GradientError", "Lop",
    "NullTypeGradError", "Rop", "consider_constant", "disconnected_grad", "grad",
    "grad_clip", "grad_not_implemented", "grad_scale", "grad_undefined", "hessian",
    "hessian_vector_product", "jacobian", "jvp", "pullback", "pushforward",
    "subgraph_grad", "undefined_grad", "verify_grad", "vjp", "zero_grad",
]  # fmt: skip
