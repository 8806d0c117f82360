"""Sums over all steps that nobody reads before the end: one product, or one sum, after the loop.

The gradient of a matrix that every step multiplies with is such a sum: s + xᵀ g, for rows x
and g. At every step the whole matrix would be read and written for few multiplications. The
rows of all steps are kept instead, and multiplied at once: xᵀ g of T·B rows.

Read next: :mod:`workbench.compile.rules.loop_products`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.indexing import WHOLE, taken
from workbench.compile.rules.loop_after import Rows
from workbench.compile.rules.looping import Loop, State
from workbench.core.graph import Apply, Variable
from workbench.core.ops.elementwise import Add, Mul, Sub, add, neg
from workbench.core.ops.linalg import Dot, with_sizes
from workbench.core.ops.reduction import Sum
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import dimshuffle, product_size, sizes_of
from workbench.core.ops.subscript import index
from workbench.core.ops.ufunc import DimShuffle, cast


@dataclass(frozen=True)
class Term:
    """What is added to a sum at every step: xᵀ g of two values of that step, or g itself.

    Attributes
    ----------
    sign
        1 or -1.
    x, g
        Of B rows, or vectors, of which the product is an outer one; or only g.
    axes
        Along which g is summed, where there is no x.
    columns
        Whether x and g have B columns rather, and the product is x gᵀ.
    """

    sign: int
    x: Variable | None
    g: Variable
    axes: tuple[int, ...] = ()
    columns: bool = False


@node_rule(Scan)
def sums_after_loop(node):
    """A sum over all steps of products of two values is one product over the rows of all steps.

    The rows of both must be kept for it, which takes less time than to add a matrix to another
    at every step, and more memory. What is summed without a product moves along where its rows
    are kept for such a product.
    """
    loop = Loop(node)
    if loop.condition is not None or loop.op.recompute:  # for which rows are too much
        return None
    readers = Counter(v for n in loop.order for v in n.inputs)
    readers.update(loop.values)
    sums = [(s, _terms(s, readers)) for s in loop.states]
    found = [(s, terms) for s, terms in sums if terms]
    products = [(s, terms) for s, terms in found if any(t.x is not None for t in terms)]
    if not products:
        return None
    rows = Rows(loop)
    moved: list[tuple[State, list[Term]]] = []
    for s, terms in products:
        factors = [v for t in terms for v in (t.x, t.g) if v is not None]
        if all(map(rows.may_add, factors)):
            moved.append((s, terms))
    for v in (v for _, terms in moved for t in terms for v in (t.x, t.g)):
        if v is not None:
            rows.add(v)
    moved += [
        (s, terms)
        for s, terms in found
        if (s, terms) not in products and all(rows.has(t.g) for t in terms)
    ]
    if not moved:
        return None
    gone = {id(s) for s, _ in moved}
    loop.states = [s for s in loop.states if id(s) not in gone]
    made = loop.make() if loop.results else None
    moved_outputs: dict[Variable, Variable] = {}
    done: dict[Term, Variable] = {}
    for s, terms in moved:
        total = index(s.first, 0)
        for t in terms:
            value = cast(_total(t, rows, made, done), total.dtype)
            total = add(total, value if t.sign > 0 else neg(value))
        assert s.output is not None
        moved_outputs[s.output] = dimshuffle(total, "x", *range(total.ndim))
    kept = {} if made is None else loop.replacements(made)
    return kept | moved_outputs


def _terms(s: State, readers: Counter[Variable]) -> list[Term] | None:
    """What is added to a state at every step, if that is all that is done with it."""
    if s.taps.keys() != {-1} or s.keep != 1:
        return None
    start = s.taps[-1]
    if readers[start] != 1:
        return None
    terms: list[Term] = []
    at = s.value
    while at is not start:
        node = at.owner
        if node is None or readers[at] != 1 or not isinstance(node.op, Add | Sub):
            return None
        a, b = node.inputs
        first = depends(a, start)
        rest = b if first else a
        if isinstance(node.op, Sub) and not first:
            return None
        if rest.broadcastable != start.broadcastable or rest.ndim != start.ndim:
            return None
        terms += _parts(rest, -1 if isinstance(node.op, Sub) else 1, readers)
        at = a if first else b
    return terms


def _parts(v: Variable, sign: int, readers: Counter[Variable]) -> list[Term]:
    """What is added: each term of a sum, where one of them is a product."""
    pending, found = [(v, sign)], []
    while pending:
        at, own = pending.pop()
        node = at.owner
        if node is not None and isinstance(node.op, Add | Sub) and readers[at] == 1:
            a, b = node.inputs
            if a.broadcastable == b.broadcastable:
                second = -own if isinstance(node.op, Sub) else own
                pending += [(b, second), (a, own)]
                continue
        found.append(_term(at, own))
    return found if any(t.x is not None for t in found) else [_term(v, sign)]


def depends(v: Variable, on: Variable) -> bool:
    """Whether a variable depends on another by additions only."""
    pending = [v]
    while pending:
        at = pending.pop()
        if at is on:
            return True
        if at.owner is not None and isinstance(at.owner.op, Add | Sub):
            pending += at.owner.inputs
    return False


def _term(v: Variable, sign: int) -> Term:
    node = v.owner
    if node is not None and isinstance(node.op, Dot):
        x, g = node.inputs
        if x.ndim == g.ndim == 2:
            x_rows, g_rows = transposed(x), transposed(g)
            if x_rows is not None:
                return Term(sign, x_rows, g)
            if g_rows is not None:
                return Term(sign, x, g_rows, columns=True)
    if node is not None and isinstance(node.op, Mul) and v.ndim == 2:
        a, b = node.inputs
        for u, w in ((a, b), (b, a)):
            if u.broadcastable == (False, True) and w.broadcastable == (True, False):
                return Term(sign, as_vector(u, 0), as_vector(w, 1))
    if node is not None and isinstance(node.op, Sum):
        return Term(sign, None, node.inputs[0], node.op.axes)
    return Term(sign, None, v)


def transposed(v: Variable) -> Variable | None:
    """The matrix that a variable is the transpose of."""
    if v.owner is None or not isinstance(v.owner.op, DimShuffle):
        return None
    return v.owner.inputs[0] if v.owner.op.order == (1, 0) else None


def as_vector(v: Variable, axis: int) -> Variable:
    """A matrix of one row, or column, without it; `axis` is the one that stays."""
    if v.owner is not None and isinstance(v.owner.op, DimShuffle):
        (x,) = v.owner.inputs
        if x.ndim == 1 and v.owner.op.order[axis] == 0:
            return x
    return dimshuffle(v, axis)


def _total(
    t: Term, rows: Rows, made: Apply | None, done: dict[Term, Variable]
) -> Variable:
    """The sum of a term over all steps; what several have in common is `done` once."""
    if t in done:
        return done[t]
    if t.g in rows.parts and not t.columns:
        # All that is joined is summed at once, and the parts are taken of the result.
        whole, entries = rows.parts[t.g]
        total = _total(replace(t, g=whole, sign=1), rows, made, done)
        if t.x is None:
            return taken(total, [e for a, e in enumerate(entries) if a not in t.axes])
        if len(entries) == 1 or entries[0] == WHOLE:
            return taken(total, [WHOLE, entries[-1]])
    g = rows.of(t.g, made)
    if t.x is None:
        done[t] = Sum((0, *(a + 1 for a in t.axes)))(g)
        return done[t]
    x = rows.of(t.x, made)
    if t.columns:
        x, g = dimshuffle(x, 0, 2, 1), dimshuffle(g, 0, 2, 1)
    done[t] = Dot()(dimshuffle(_of_all_steps(x), 1, 0), _of_all_steps(g))
    return done[t]


def _of_all_steps(rows: Variable) -> Variable:
    """The rows of all steps below each other."""
    if rows.ndim == 2:
        return rows
    steps, many, size = sizes_of(rows)
    return with_sizes(rows, (product_size([steps, many]), size))


RULES = tagged("loops", sums_after_loop)
