"""The rules, by purpose.

================  ======================================================================
`canonical`       one way to write each thing; what is removed here never costs anything
`shapes`          sizes without values, and values without needless views
`indexing`        one slice for two
`joins`           what is joined and cut again
`lifting`         parts are taken before the work is done
`checks`          conditions that are known to hold
`stability`       forms that do not overflow, each with the form of its derivative
`comparisons`     what is known before it is compared
`choices`         choices that are none
`branches`        the same for choices of which one branch is computed
`algebra`         fewer operations for the same value: one operation and its operands
`like_terms`      sums: what cancels, what occurs twice
`quotients`       products: what cancels, numbers, one division for two
`powers`          powers by products and roots
`inverses`        functions that undo each other
`reductions`      less to gather
`scatter`         sums and sparse gradients of what is taken by integer arrays
`placing`         what is put into a part of an array
`masks`           what is put at a mask
`linear_algebra`  equations in place of inverses, and what structure saves
`dots`            products of vectors, their order, those that need no multiplication
`tables`          products with rows of a small table
`convolution`     gradients written by hand, flips, filters that meet an image once
`blas`            products joined with what is added to them
`loops`           what a step computes, once, before or after the loop; rows that are read
`inlining`        ops made of a graph become the graph
`lowering`        names for expressions (softmax) become those expressions, for the loops
`pooling`         windows become operations on whole arrays, for the loops
`staging`         sums in two stages, for the loops
================  ======================================================================

A rule's tags are its file and more: ``finite_math`` marks rules that may change what
happens to NaN, infinity or a signed zero (x / x becomes 1). ``STAGES`` is the order.
"""

from dataclasses import replace

from workbench.compile.rewrite import Rule
from workbench.compile.rules import (
    algebra,
    blas,
    branches,
    canonical,
    checks,
    choices,
    comparisons,
    convolution,
    dots,
    fitting,
    indexing,
    inlining,
    inverses,
    joins,
    lifting,
    like_terms,
    linear_algebra,
    loops,
    lowering,
    masks,
    placing,
    pooling,
    powers,
    quotients,
    reductions,
    scatter,
    shapes,
    stability,
    staging,
    tables,
)

CANONICAL: list[Rule] = [
    *inlining.RULES,
    *canonical.RULES,
    *comparisons.RULES,
    *choices.RULES,
    *branches.RULES,
    *indexing.RULES,
    *joins.RULES,
    *lifting.RULES,
    *shapes.RULES,
    *checks.RULES,
    *loops.RULES,
]

ALGEBRA: list[Rule] = [
    *fitting.RULES,
    *algebra.RULES,
    *comparisons.OF_FINITE,
    *powers.RULES,
    *inverses.RULES,
    *like_terms.RULES,
    *quotients.RULES,
    *reductions.RULES,
]

STRUCTURE: list[Rule] = [
    *scatter.RULES,
    *placing.RULES,
    *masks.RULES,
    *linear_algebra.RULES,
    *stability.AGAIN,
    *dots.RULES,
    *tables.RULES,
    *convolution.RULES,
]

STAGES: tuple[tuple[str, list[Rule]], ...] = (
    ("canonical", CANONICAL),
    ("unsafe", checks.UNSAFE),
    ("stability", [*stability.RULES, *CANONICAL]),
    ("algebra", [*ALGEBRA, *STRUCTURE, *CANONICAL, *loops.MOVES]),
    ("blas", [*blas.RULES, *placing.LATE, *CANONICAL]),
)

LOWERING: list[Rule] = [*lowering.RULES, *pooling.RULES, *staging.RULES]


def add_rule(rule: Rule, stage: str = "algebra") -> Rule:
    """Let modes that choose `stage` use a rule of one's own, from now on.

    Parameters
    ----------
    rule
        Made by :func:`~workbench.compile.rewrite.identity` or
        :func:`~workbench.compile.rewrite.node_rule`. One of the same name that was added
        before gives way, so that a cell may be run again.
    stage : {"canonical", "stability", "algebra", "blas"}
        When it is tried, and the tag that modes know it by beside its name and tags.

    Raises
    ------
    ValueError
        There is no such stage, or a rule of the package has that name.
    """
    stages = dict(STAGES)
    if stage not in stages:
        raise ValueError(f"there is no stage {stage!r}; there are {', '.join(stages)}.")
    remove_rule(rule.name)
    if any(r.name == rule.name for rules in stages.values() for r in rules):
        raise ValueError(f"the package has a rule {rule.name!r}; choose another name.")
    added = replace(rule, tags=rule.tags | {stage, OWN})
    stages[stage].append(added)
    return added


def remove_rule(name: str) -> None:
    """Take a rule that was added away again; nothing happens when there is none."""
    for _, rules in STAGES:
        rules[:] = [r for r in rules if r.name != name or OWN not in r.tags]


OWN = "own"
"""The tag of rules that users added."""
