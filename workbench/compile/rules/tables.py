"""Rows taken of a small table, and multiplied: the table is multiplied rather, once.

An embedding of characters has few rows, of which a minibatch of texts takes each many times
over. So ``table[i] @ w`` is ``(table @ w)[i]``, and in the gradient what belongs to one row is
added up before it is multiplied.

Where sizes are not known, places in two axes or more are taken to be more than the rows of a
table of at most :data:`FEW` rows; where they are not, that costs time, no more.

Read next: :mod:`workbench.compile.rules.blas`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.loop_sums import transposed
from workbench.compile.rules.products import node_of
from workbench.compile.rules.scatter import scattered
from workbench.core.graph import Shared, Variable, as_variable
from workbench.core.op import Size
from workbench.core.ops.gathering import Put, Take
from workbench.core.ops.linalg import Dot
from workbench.core.ops.shape import (
    BroadcastTo,
    Reshape,
    SpecifyShape,
    dimshuffle,
    product_size,
    size_variable,
)

FEW = 256
"""Of how many rows a table is multiplied though it is not known how many are taken."""


def is_small_for(table: Variable, places: Variable, context: Context) -> bool:
    """Whether more rows are taken of a table than it has."""
    rows: Any = context.sizes(table)[0]
    if isinstance(table, Shared):
        rows = len(table.get_value(borrow=True))
    if not isinstance(rows, int):
        return False
    sizes = places.type.shape
    known = [s for s in sizes if s is not None]
    if len(known) == len(sizes):
        return prod(known) > rows
    flat = node_of(places, Reshape)
    axes = sizes if flat is None else flat.inputs[0].type.shape
    return rows <= FEW and sum(s != 1 for s in axes) > 1


def _taken(rows: Variable, context: Context) -> Any:
    """The rows of a table that are taken, one below the other; the operation that takes them."""
    flat = node_of(rows, Reshape)
    take = node_of(rows if flat is None else flat.inputs[0], Take)
    if take is None or take.op.axes != 1 or take.inputs[0].ndim != 2:
        return None
    table, places = take.inputs
    if not table.type.is_float or not is_small_for(table, places, context):
        return None
    if flat is not None and not _are_rows(rows, table, places, context):
        return None
    return take


def _are_rows(
    rows: Variable, table: Variable, places: Variable, context: Context
) -> bool:
    """Whether a matrix has one row of the table for each place."""
    sizes = context.sizes(rows)
    number = _merged(product_size(context.sizes(places)), context)
    wanted = (number, context.sizes(table)[1])
    return len(sizes) == 2 and all(map(context.same_size, sizes, wanted))


def _merged(size: Size, context: Context) -> Size:
    return context.merged(size) if isinstance(size, Variable) else size


def _laid_out(rows: Variable, shape: Sequence[Size], context: Context) -> Variable:
    """Rows that stand one below the other, in the axes that the first ones of `shape` are."""
    sizes = map(size_variable, (*shape, context.sizes(rows)[-1]))
    return Reshape(len(shape) + 1)(rows, *sizes)


def _added(
    rows: Variable, table: Variable, places: Variable, context: Context
) -> Variable:
    """For each row of a table the sum of the rows that belong to it."""
    zero = dimshuffle(as_variable(0, rows.dtype), "x", "x")
    sizes = map(size_variable, (context.sizes(table)[0], context.sizes(rows)[-1]))
    part = rows
    if rows.ndim != places.ndim + 1:
        part = _laid_out(rows, context.sizes(places), context)
    return Put(1, True)(BroadcastTo(2)(zero, *sizes), part, places)


@node_rule(Dot, some=(Take, Reshape))
def product_of_taken_rows(node, context):
    """table[i] @ w is (table @ w)[i] where the table has fewer rows than are taken."""
    rows, matrix = node.inputs
    take = None if matrix.ndim != 2 else _taken(rows, context)
    if take is None:
        return None
    table, places = take.inputs
    found = Take(1)(Dot()(table, matrix), places)
    if rows is take.outputs[0]:
        return found
    return Reshape(2)(found, *map(size_variable, context.sizes(node.output)))


@node_rule(Dot, tags=["finite_math"])
def product_with_taken_rows(node, context):
    """table[i].T @ g is table.T @ g added up for each row of the table."""
    left, slopes = node.inputs
    rows = transposed(left)
    if rows is None or slopes.ndim != 2 or rows.ndim != 2:
        return None
    take = _taken(rows, context)
    if take is None:
        return None
    table, places = take.inputs
    return Dot()(dimshuffle(table, 1, 0), _added(slopes, table, places, context))


@node_rule(Put, tags=["finite_math"], some=(Dot, Reshape))
def products_added_to_rows(node, context):
    """Products with one matrix that are added to the rows of a table are added up before."""
    if scattered(node.output) is None or node.op.axes != 1 or node.output.ndim != 2:
        return None
    table, part, places = node.inputs
    flat = node_of(part, Reshape)
    product = node_of(part if flat is None else flat.inputs[0], Dot)
    if product is None:
        return None
    rows, matrix = product.inputs
    if matrix.ndim != 2 or rows.ndim < 2:
        return None
    sizes, shape = context.sizes(product.output), context.sizes(part)
    if flat is not None:
        number = _merged(product_size(shape[:-1]), context)
        if len(sizes) != 2 or not context.same_size(sizes[0], number):
            return None
        rows = _laid_out(rows, shape[:-1], context)
    if not _stands_for_small(table, places, context):
        return None
    found = Dot()(_added(rows, table, places, context), matrix)
    if context.same_size(sizes[-1], shape[-1]):
        return found
    return SpecifyShape()(found, size_variable(-1), size_variable(shape[-1]))


def _stands_for_small(zeros: Variable, places: Variable, context: Context) -> bool:
    """Whether zeros are as many rows as those of a small table."""
    rows = context.sizes(zeros)[0]
    if isinstance(rows, Variable) and rows.owner is not None and rows.owner.inputs:
        return is_small_for(rows.owner.inputs[0], places, context)
    return is_small_for(zeros, places, context)


RULES = tagged(
    "dots",
    product_of_taken_rows,
    product_with_taken_rows,
    products_added_to_rows,
)
