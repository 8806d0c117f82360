"""Special functions under SciPy's names: ``T.special.erf``, as ``scipy.special.erf``."""

from workbench.core.ops.bessel import i0, i1, iv, ive, j0, j1, jv, kv, kve
from workbench.core.ops.beta import beta, betainc, betaln
from workbench.core.ops.erf import (
    erf,
    erfc,
    erfcinv,
    erfcx,
    erfinv,
    log_erfc,
    log_ndtr,
    ndtr,
    ndtri,
    owens_t,
)
from workbench.core.ops.gamma import (
    gamma,
    gammainc,
    gammaincc,
    gammaln,
    polygamma,
    psi,
)
from workbench.core.ops.logsums import log_softmax, logsumexp, softmax
from workbench.core.ops.mathematics import sinc
from workbench.core.ops.special import (
    cbrt,
    entr,
    exp2,
    expit,
    expm1,
    log1p,
    logit,
    xlog1py,
    xlogy,
)

digamma = psi

__all__ = [
    "beta", "betainc", "betaln", "cbrt", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx",
    "erfinv", "exp2", "expit", "expm1", "gamma", "gammainc", "gammaincc", "gammaln", "i0", "i1",
    "iv", "ive", "j0", "j1", "jv", "kv", "kve", "log1p", "log_erfc", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "ndtr", "ndtri", "owens_t", "polygamma", "psi", "sinc", "softmax", "xlog1py",
    "xlogy",
]  # fmt: skip
