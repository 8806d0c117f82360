"""Products within a step that share an operand, or are added up, are done as one.

A long short-term memory has four products of its state, one a gate; joined matrices make one
of them, and the matrices are joined once, before the loop. The gradient adds four products up:
they are one of joined rows with joined matrices. So it does not matter how the gates are written.

Read next: :mod:`workbench.compile.rules.inlining`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from workbench.compile.rewrite import node_rule, tagged
from workbench.compile.rules.indexing import WHOLE, taken
from workbench.compile.rules.looping import Loop
from workbench.core.graph import Apply, Variable
from workbench.core.op import Size
from workbench.core.ops.elementwise import Add, add
from workbench.core.ops.joining import Join
from workbench.core.ops.linalg import Dot
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import add_size, sizes_of


@node_rule(Scan)
def products_that_share_an_operand(node):
    """Products of one value with several matrices that no step changes are one product."""
    loop = Loop(node)
    fixed = loop.fixed()
    always = loop.always()
    groups: dict[tuple[Variable, int], list[Apply]] = {}
    for n in loop.order:
        place = _changing_operand(n, fixed)
        if place is not None and n.outputs[0] in always:
            groups.setdefault((n.inputs[place], place), []).append(n)
    for (value, place), products in groups.items():
        if len(products) > 1:  # what the next ones are computed from may change now
            loop.substitute(_as_one(value, place, products))
            return loop.replacements(loop.make())
    return None


def _changing_operand(node: Apply, fixed: Mapping[Variable, bool]) -> int | None:
    """Which operand of a product with a matrix that no step changes is the other one."""
    if not isinstance(node.op, Dot):
        return None
    for place in (0, 1):
        value, matrix = node.inputs[place], node.inputs[1 - place]
        if not fixed[value] and fixed[matrix] and matrix.ndim == 2:
            return place
    return None


def _as_one(
    value: Variable, place: int, products: Sequence[Apply]
) -> dict[Variable, Variable]:
    """Parts of one product for several of a value with matrices."""
    matrices = [n.inputs[1 - place] for n in products]
    axis = 1 - place  # columns of matrices on the right, rows of those on the left
    joined = Join(axis)(*matrices)
    one = Dot()(value, joined) if place == 0 else Dot()(joined, value)
    along = one.ndim - 1 if place == 0 else 0
    found: dict[Variable, Variable] = {}
    start: Size = 0
    for product, matrix in zip(products, matrices, strict=True):
        end = add_size(start, sizes_of(matrix)[axis])
        entries: list[object] = [WHOLE] * one.ndim
        entries[along] = (start, end, 1)
        found[product.outputs[0]] = taken(one, entries)
        start = end
    return found


@node_rule(Scan)
def products_that_are_added(node):
    """A sum of products with matrices that no step changes is one product of what is joined."""
    loop = Loop(node)
    fixed, before = loop.fixed(), loop.known_before()
    readers = Counter(v for n in loop.order for v in n.inputs)
    readers.update(loop.values)
    inner = {
        v
        for n in loop.order
        if isinstance(n.op, Add)
        for v in n.inputs
        if v.owner is not None and isinstance(v.owner.op, Add) and readers[v] == 1
    }
    for n in loop.order:
        if isinstance(n.op, Add) and n.outputs[0] not in inner:
            total = _added_as_one(n.outputs[0], inner, readers, fixed, before)
            if total is not None:
                loop.substitute({n.outputs[0]: total})
                return loop.replacements(loop.make())
    return None


def _added_as_one(
    v: Variable,
    inner: set[Variable],
    readers: Mapping[Variable, int],
    fixed: Mapping[Variable, bool],
    before: Mapping[Variable, bool],
) -> Variable | None:
    terms: list[Variable] = []
    pending = [v]
    while pending:
        at = pending.pop()
        if at is v or at in inner:
            assert at.owner is not None
            pending += reversed(at.owner.inputs)
        else:
            terms.append(at)
    for place in (0, 1):
        products = [
            t
            for t in terms
            if t.owner is not None
            and readers[t] == 1
            and t.broadcastable == v.broadcastable
            and _changing_operand(t.owner, fixed) == place
            and not before[t]
        ]
        products = [t for t in products if _rank(t, place) == _rank(products[0], place)]
        if len(products) > 1:
            nodes = [t.owner for t in products if t.owner is not None]
            total = _sum_as_one(nodes, place)
            for t in terms:
                if t not in products:
                    total = add(total, t)
            return total if total.type == v.type else None
    return None


def _rank(product: Variable, place: int) -> int:
    assert product.owner is not None
    return product.owner.inputs[place].ndim


def _sum_as_one(products: Sequence[Apply], place: int) -> Variable:
    values = [n.inputs[place] for n in products]
    matrices = [n.inputs[1 - place] for n in products]
    rows = Join(values[0].ndim - 1 if place == 0 else 0)(*values)
    joined = Join(place)(*matrices)
    return Dot()(rows, joined) if place == 0 else Dot()(joined, rows)


ADDED = tagged("loops", products_that_are_added)

SHARED = tagged("loops", products_that_share_an_operand)
"""After all else: what is one product already may leave the loop as a whole."""
