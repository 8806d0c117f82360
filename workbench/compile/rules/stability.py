"""Forms that neither overflow nor cancel, each with the form of its derivative.

exp overflows above 88.7 in float32 and 709.8 in float64; 1 + x loses every digit of an
x below 6e-8 or 1.1e-16; a probability rounds to 0, and then its logarithm is -inf and a
division by it NaN. The rules find the places where a stable function was meant. A
gradient is usually taken before any rewriting, so every rule comes with one that knows
the derivative of what it replaces: those look into whole products, see
:mod:`workbench.compile.rules.products`.

What the rules are about:

=====================  ==============================================================
`complements`          what is left of 1, of an exponential or an error function
`exponentials`         logarithms of exponentials, of their sums and differences
`logistic`             1 / (1 + exp(x)), however it is written
`softmaxes`            exponentials over their sum, cross-entropies
`error_functions`      logarithms of tails, densities over tails
`logarithms`           logarithms of products, powers and determinants
`guards`               choices that keep NaN out, and slopes at 0
=====================  ==============================================================

Some rules of algebra are tried here as well, since derivatives leave pairs that must
meet before they are computed: x / x where x may be infinite.

Where what is written makes NaN of an infinity (inf / inf), a rule may give the limit;
NaN stays NaN, and a value stays that value. Other changes are tagged ``finite_math``.
"""

from __future__ import annotations

from workbench.compile.rewrite import Rule, tagged
from workbench.compile.rules import (
    algebra,
    complements,
    error_functions,
    exponentials,
    guards,
    inverses,
    logarithms,
    logistic,
    powers,
    quotients,
    softmaxes,
)

BORROWED = (
    "times_one",
    "over_one",
    "times_minus_one",
    "power_zero",
    "power_one",
    "sqr_of_neg",
    "log_of_exp",
    "sqrt_of_sqr",
    "factor_over_itself",
)

RULES: list[Rule] = [
    *tagged(
        "stability",
        *complements.RULES,
        *exponentials.RULES,
        *logistic.RULES,
        *error_functions.RULES,
        *logarithms.RULES,
        *softmaxes.RULES,
        *guards.RULES,
    ),
    *(
        rule
        for module in (algebra, powers, inverses, quotients)
        for rule in module.RULES
        if rule.name in BORROWED
    ),
]

AGAIN: list[Rule] = [rule for rule in RULES if rule.name == "log_of_det"]
"""Tried among the rules of algebra, too: they may leave a determinant under its logarithm."""
