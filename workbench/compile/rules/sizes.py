"""Sizes compared as sums: which of two is known to be at least as large as the other.

A size is a number plus multiples of sizes that nothing more is known of. Those are never
negative, and that is all that is used here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from workbench.core.graph import Variable
from workbench.core.op import Size, known_int
from workbench.core.ops.elementwise import Add, Mul, Sub
from workbench.core.ops.shape import SizeOf

MAX_TERMS = 64
"""How many operations a sum of sizes may be made of before it counts as unknown."""


@dataclass(frozen=True)
class Sum:
    """`number` plus the sum of the `terms`, each so many times."""

    number: int = 0
    terms: Counter[Variable] = field(default_factory=Counter)

    def minus(self, other: Sum) -> Sum:
        """The difference."""
        terms = Counter(self.terms)
        terms.subtract(other.terms)
        return Sum(
            self.number - other.number, Counter({v: n for v, n in terms.items() if n})
        )

    def plus(self, other: Sum) -> Sum:
        """The sum of both."""
        return self.minus(Sum().minus(other))

    def is_zero(self) -> bool:
        """Whether it is 0 whatever the sizes are."""
        return self.number == 0 and not self.terms

    def is_never_negative(self) -> bool:
        """Whether it is at least 0 whatever the sizes are."""
        return self.number >= 0 and all(
            n > 0 and v.owner is not None and isinstance(v.owner.op, SizeOf)
            for v, n in self.terms.items()
        )


def as_sum(size: Size) -> Sum | None:
    """A size taken apart, or None when it is too long."""
    number, terms = 0, Counter[Variable]()
    pending: list[tuple[Size, int]] = [(size, 1)]
    for _ in range(MAX_TERMS):
        if not pending:
            return Sum(number, Counter({v: n for v, n in terms.items() if n}))
        term, times = pending.pop()
        known = known_int(term)
        if known is not None:
            number += times * known
            continue
        assert isinstance(term, Variable)
        op = None if term.owner is None else term.owner.op
        x, y = term.owner.inputs if isinstance(op, Add | Sub | Mul) else (term, term)  # type: ignore[union-attr]
        factors = known_int(x), known_int(y)
        if isinstance(op, Add | Sub):
            pending += [(x, times), (y, times if isinstance(op, Add) else -times)]
        elif isinstance(op, Mul) and factors[0] is not None:
            pending.append((y, times * factors[0]))
        elif isinstance(op, Mul) and factors[1] is not None:
            pending.append((x, times * factors[1]))
        else:
            terms[term] += times
    return None


def equal_sums(a: Size, b: Size) -> bool:
    """Whether two sizes are known to be equal."""
    if a is b:
        return True
    x, y = as_sum(a), as_sum(b)
    return x is not None and y is not None and x.minus(y).is_zero()


def at_most(a: Size, b: Size) -> bool:
    """Whether `a` is known not to exceed `b`, and not to be negative."""
    x, y = as_sum(a), as_sum(b)
    return (
        x is not None
        and y is not None
        and x.is_never_negative()
        and y.minus(x).is_never_negative()
    )
