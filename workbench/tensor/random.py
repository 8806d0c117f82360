"""Random numbers: ``T.random``.

Streams are new at every call: ``srng = T.random.RandomStreams(1)``, ``srng.normal((3, 4))``.
Functions have no state: ``key = T.random.key(1)``, ``T.random.normal(key, (3, 4))`` are the
same numbers always; ``T.random.split(key)`` makes independent keys of one.
"""

from workbench.core.ops.choices import (
    categorical,
    choice,
    dropout,
    multinomial,
    permutation,
    permutations,
    permuted,
)
from workbench.core.ops.counts import (
    bernoulli,
    binomial,
    geometric,
    hypergeometric,
    integers,
    logseries,
    negative_binomial,
    poisson,
    zipf,
)
from workbench.core.ops.distributions import (
    advance,
    beta,
    cauchy,
    chisquare,
    dirichlet,
    exponential,
    f,
    gamma,
    gumbel,
    laplace,
    logistic,
    lognormal,
    multivariate_normal,
    noncentral_chisquare,
    normal,
    pareto,
    power,
    random_bits,
    rayleigh,
    split,
    standard_t,
    triangular,
    truncated_normal,
    uniform,
    vonmises,
    wald,
    weibull,
)
from workbench.core.ops.draws import key
from workbench.core.streams import MRG_RandomStreams, RandomStreams

# Other names of the same.
student_t = standard_t

__all__ = sorted(name for name in globals() if not name.startswith("_"))
