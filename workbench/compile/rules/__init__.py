"""The rules, by purpose.

==============  ======================================================================
`canonical`     one way to write each thing; what is removed here never costs anything
`shapes`        sizes without values, and values without needless views
`indexing`      one slice for two
`stability`     forms that do not overflow, each with the form of its derivative
`algebra`       fewer operations for the same value
`scatter`       sums and sparse gradients of what is taken by integer arrays
`blas`          products joined with what is added to them
`lowering`      names for expressions (softmax) become those expressions, for the loops
==============  ======================================================================

A rule's tags are its file and more: ``finite_math`` marks rules that may change what
happens to NaN, infinity or a signed zero (x / x becomes 1). ``STAGES`` is the order.
"""

from workbench.compile.rewrite import Rule
from workbench.compile.rules import (
    algebra,
    blas,
    canonical,
    indexing,
    lowering,
    scatter,
    shapes,
    stability,
)

CANONICAL: list[Rule] = [*canonical.RULES, *indexing.RULES, *shapes.RULES]

STAGES: tuple[tuple[str, list[Rule]], ...] = (
    ("canonical", CANONICAL),
    ("stability", [*stability.RULES, *CANONICAL]),
    ("algebra", [*algebra.RULES, *scatter.RULES, *CANONICAL]),
    ("blas", [*blas.RULES, *CANONICAL]),
)

LOWERING: list[Rule] = lowering.RULES
