"""How each op is done for many values at once: one rule for each kind, no loop in any.

A rule is given a :class:`~workbench.core.batching.Batch` and returns the outputs with the
additional axes in front. Sizes must be the same for all entries; places may differ, as in
``x[i]`` for many ``i``, which becomes a gather.

Read next: :mod:`workbench.core.ops.blockwise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.core.batching import Batch, batch_nodes, batch_rule
from workbench.core.graph import Variable
from workbench.core.op import (
    Composite,
    Elementwise,
    Reduction,
    Size,
    known_int,
    known_size,
)
from workbench.core.ops.control import IfElse
from workbench.core.ops.creation import ARange, arange
from workbench.core.ops.elementwise import add, mul, switch
from workbench.core.ops.gathering import OneHot, Put, Take
from workbench.core.ops.joining import Join
from workbench.core.ops.linalg import BatchedDot, Dot, Gemm, contract, product_op
from workbench.core.ops.matrices import MatrixOp
from workbench.core.ops.nnet import LogSoftmax, LogSumExp, Softmax
from workbench.core.ops.rearrange import Unbroadcast
from workbench.core.ops.reduction import Sum
from workbench.core.ops.running import Running
from workbench.core.ops.shape import (
    BroadcastTo,
    MakeVector,
    Reshape,
    SizeOf,
    SpecifyShape,
    dimshuffle,
    divide_size,
    product_size,
    size_variable,
    sizes_of,
)
from workbench.core.ops.slicing import SYMBOLIC, Entry, PutSlice, Slice
from workbench.core.ops.sorting import ArgSort, ArgTopK, Sort
from workbench.core.ops.ufunc import DimShuffle, cast
from workbench.core.ops.windows import Windowed

WHOLE: Entry = (None, None, 1)


@batch_rule(Elementwise)
def batch_elementwise(b: Batch) -> Sequence[Variable]:
    """Inputs without additional axes stretch along them."""
    return b.node.op.make_node(*map(b.aligned, range(len(b.inputs)))).outputs


@batch_rule(Reduction, LogSumExp, Unbroadcast)
def batch_along_axes(b: Batch) -> Sequence[Variable]:
    """The axes are counted from behind the additional ones."""
    op = b.node.op
    assert isinstance(op, Reduction | LogSumExp | Unbroadcast)
    return [replace(op, axes=tuple(axis + b.count for axis in op.axes))(*b.inputs)]


@batch_rule(Softmax, LogSoftmax, Running, Sort, ArgSort, ArgTopK)
def batch_along_axis(b: Batch) -> Sequence[Variable]:
    """The axis is counted from behind the additional ones."""
    op = b.node.op
    assert isinstance(op, Softmax | LogSoftmax | Running | Sort | ArgSort | ArgTopK)
    if isinstance(op, ArgTopK):
        inputs = [b.inputs[0], *b.need_one([1], "the number")]
    else:
        inputs = [b.full(i) for i in range(len(b.inputs))]
    return [replace(op, axis=op.axis + b.count)(*inputs)]


@batch_rule(Composite)
def batch_composite(b: Batch) -> Sequence[Variable]:
    """The expression it stands for is batched."""
    op = b.node.op
    assert isinstance(op, Composite)
    expanded = op.expansion(b.node)
    mapping = dict(zip(b.node.inputs, b.inputs, strict=True))
    batch_nodes(expanded, mapping)
    return [mapping.get(v, v) for v in expanded]


@batch_rule(IfElse)
def batch_choice(b: Batch) -> Sequence[Variable]:
    """One condition for all chooses as before; many choose element by element, from both."""
    condition, x, y = b.inputs[0], b.full(1), b.full(2)
    if not b.extra(0):
        return [IfElse()(condition, x, y)]
    rank = b.node.output.ndim
    return [switch(dimshuffle(condition, *range(b.count), *["x"] * rank), x, y)]


@batch_rule(Windowed)
def batch_windows(b: Batch) -> Sequence[Variable]:
    """Windows move over the last axes; the same windows for all entries."""
    op = b.node.op
    assert isinstance(op, Windowed)
    settings = b.need_one(range(op.arrays, len(b.inputs)), "the window")
    return [op(*map(b.full, range(op.arrays)), *settings)]


# --- shapes ------------------------------------------------------------------------------


@batch_rule(DimShuffle)
def batch_dimshuffle(b: Batch) -> Sequence[Variable]:
    """The additional axes stay in front."""
    op, n = b.node.op, b.count
    assert isinstance(op, DimShuffle)
    order = tuple("x" if i == "x" else int(i) + n for i in op.order)
    return [DimShuffle((*range(n), *order))(*b.inputs)]


@batch_rule(SizeOf)
def batch_size(b: Batch) -> Sequence[Variable]:
    """One size for all entries."""
    op = b.node.op
    assert isinstance(op, SizeOf)
    return [SizeOf(op.axis + b.count)(*b.inputs)]


@batch_rule(Reshape)
def batch_reshape(b: Batch) -> Sequence[Variable]:
    """The additional axes stay; a size of -1 is computed from the others."""
    sizes: list[Size] = list(b.need_one(range(1, len(b.inputs)), "the size"))
    x, n = b.inputs[0], b.count
    if -1 in (known := [known_int(s) for s in sizes]):
        at = known.index(-1)
        others = product_size([*sizes[:at], *sizes[at + 1 :]])
        sizes[at] = divide_size(product_size(sizes_of(x)[n:]), known_size(others))
    wanted = (*sizes_of(x)[:n], *sizes)
    return [Reshape(len(wanted))(x, *map(size_variable, wanted))]


@batch_rule(BroadcastTo)
def batch_broadcast(b: Batch) -> Sequence[Variable]:
    """The additional axes do not stretch."""
    sizes = b.need_one(range(1, len(b.inputs)), "the size")
    x = b.inputs[0]
    leading = map(size_variable, sizes_of(x)[: b.count])
    return [BroadcastTo(x.ndim)(x, *leading, *sizes)]


@batch_rule(SpecifyShape)
def batch_specify_shape(b: Batch) -> Sequence[Variable]:
    """The additional axes may have any size."""
    sizes = b.need_one(range(1, len(b.inputs)), "the size")
    any_size = [size_variable(-1)] * b.count
    return [SpecifyShape()(b.inputs[0], *any_size, *sizes)]


@batch_rule(MakeVector)
def batch_make_vector(b: Batch) -> Sequence[Variable]:
    """The scalars become columns, which are joined."""
    columns = [
        dimshuffle(b.full(i), *range(b.count), "x") for i in range(len(b.inputs))
    ]
    return [Join(b.count)(*columns)]


@batch_rule(Join)
def batch_join(b: Batch) -> Sequence[Variable]:
    """Every part has an entry for every value."""
    op = b.node.op
    assert isinstance(op, Join)
    return [Join(op.axis + b.count)(*map(b.full, range(len(b.inputs))))]


@batch_rule(ARange)
def batch_arange(b: Batch) -> Sequence[Variable]:
    """Not at all: the lengths would differ."""
    return [ARange()(*b.need_one(range(3), "the bound"))]


# --- places ------------------------------------------------------------------------------


@batch_rule(Take)
def batch_take(b: Batch) -> Sequence[Variable]:
    """One gather: with places that count the entries where array and places both differ."""
    op, n = b.node.op, b.count
    assert isinstance(op, Take)
    x, places = b.inputs[0], [b.aligned(i) for i in range(1, len(b.inputs))]
    if not b.extra(0):
        return [op(x, *places)]
    if not any(map(b.extra, range(1, len(b.inputs)))):
        rank = b.inputs[1].ndim
        taken = op(_entries_behind(x, n, op.axes), *b.inputs[1:])
        return [_entries_in_front(taken, n, rank)]
    x = b.aligned(0)
    return [Take(n + op.axes)(x, *_counters(x, n, places[0].ndim), *places)]


@batch_rule(Put)
def batch_put(b: Batch) -> Sequence[Variable]:
    """As for a gather; what is put, and where, must be there for every value."""
    op, n = b.node.op, b.count
    assert isinstance(op, Put)
    x, part = b.full(0), b.full(1)
    if not any(map(b.extra, range(2, len(b.inputs)))):
        rank = b.inputs[2].ndim
        moved = op(
            _entries_behind(x, n, op.axes),
            _entries_behind(part, n, rank),
            *b.inputs[2:],
        )
        return [_entries_in_front(moved, n, op.axes)]
    places = [b.aligned(i) for i in range(2, len(b.inputs))]
    counters = _counters(x, n, places[0].ndim)
    return [Put(n + op.axes, op.add)(x, part, *counters, *places)]


def _entries_behind(x: Variable, n: int, before: int) -> Variable:
    """The first `n` axes moved behind the next `before`."""
    return dimshuffle(x, *range(n, n + before), *range(n), *range(n + before, x.ndim))


def _entries_in_front(x: Variable, n: int, before: int) -> Variable:
    """The inverse of :func:`_entries_behind`."""
    return dimshuffle(
        x, *range(before, before + n), *range(before), *range(before + n, x.ndim)
    )


def _counters(x: Variable, n: int, rank: int) -> list[Variable]:
    """For each of the first `n` axes of `x` the places along it, in an array of `rank` axes."""
    return [
        dimshuffle(
            arange(size_variable(size)), *(0 if i == axis else "x" for i in range(rank))
        )
        for axis, size in enumerate(sizes_of(x)[:n])
    ]


@batch_rule(OneHot)
def batch_one_hot(b: Batch) -> Sequence[Variable]:
    """The rows of all entries one after the other."""
    places, n = b.inputs[0], b.count
    (columns,) = b.need_one([1], "the number of columns")
    rows = sizes_of(places)
    flat = Reshape(1)(places, size_variable(product_size(rows)))
    wanted = map(size_variable, (*rows, known_size(columns)))
    return [Reshape(n + 2)(OneHot()(flat, columns), *wanted)]


@batch_rule(Slice)
def batch_slice(b: Batch) -> Sequence[Variable]:
    """The additional axes whole; single places that differ from entry to entry are gathered."""
    op, n = b.node.op, b.count
    assert isinstance(op, Slice)
    index, bounds, places = _split_index(b, op.index, 1)
    if not places:
        return [Slice((*(WHOLE,) * n, *index))(b.inputs[0], *bounds)]
    x = b.full(0)
    x = Slice((*(WHOLE,) * n, *index))(x, *bounds)
    x = _places_in_front(x, n, _axes_after_slicing(index, places))
    counters = _counters(x, n, n)
    where = [b.aligned(i) for i in places.values()]
    return [Take(n + len(places))(x, *counters, *where)]


@batch_rule(PutSlice)
def batch_put_slice(b: Batch) -> Sequence[Variable]:
    """As for a slice: what is put must be there for every value."""
    op, n = b.node.op, b.count
    assert isinstance(op, PutSlice)
    index, bounds, places = _split_index(b, op.index, 2)
    x, part = b.full(0), b.full(1)
    whole = (*(WHOLE,) * n, *index)
    if not places:
        return [PutSlice(whole, op.add)(x, part, *bounds)]
    axes = _axes_after_slicing(index, places)
    sliced = Slice(whole)(x, *bounds)
    moved = _places_in_front(sliced, n, axes)
    where = [b.aligned(i) for i in places.values()]
    put = Put(n + len(places), op.add)(moved, part, *_counters(x, n, n), *where)
    order = _order_places_in_front(sliced.ndim, n, axes)
    restored = dimshuffle(put, *(order.index(i) for i in range(put.ndim)))
    return [PutSlice(whole, False)(x, restored, *bounds)]


def _split_index(
    b: Batch, index: Sequence[Entry], first: int
) -> tuple[list[Entry], list[Variable], dict[int, int]]:
    """The index without the single places that differ; its bounds; and those places.

    The places are numbers of inputs, by the axis of the core array; `first` is the number
    of the first bound.
    """
    kept: list[Entry] = []
    bounds: list[Variable] = []
    places: dict[int, int] = {}
    number = first
    for axis, entry in enumerate(index):
        if entry == SYMBOLIC and b.extra(number):
            places[axis] = number
            kept.append(WHOLE)
            number += 1
            continue
        used = (entry if isinstance(entry, tuple) else (entry,)).count(SYMBOLIC)
        bounds += b.need_one(range(number, number + used), "the bound")
        kept.append(entry)
        number += used
    return kept, bounds, places


def _axes_after_slicing(index: Sequence[Entry], axes: dict[int, int]) -> list[int]:
    """Where axes of the core array are after single places have taken theirs away."""
    return [sum(isinstance(entry, tuple) for entry in index[:axis]) for axis in axes]


def _order_places_in_front(rank: int, n: int, axes: Sequence[int]) -> list[int]:
    chosen = [axis + n for axis in axes]
    rest = [i for i in range(n, rank) if i not in chosen]
    return [*range(n), *chosen, *rest]


def _places_in_front(x: Variable, n: int, axes: Sequence[int]) -> Variable:
    """Behind the first `n` axes of `x` the named ones of the others."""
    return dimshuffle(x, *_order_places_in_front(x.ndim, n, axes))


# --- products ----------------------------------------------------------------------------


@batch_rule(Dot)
def batch_dot(b: Batch) -> Sequence[Variable]:
    """One larger product; a batch of products only where both factors differ."""
    x, y = b.inputs
    n = b.count
    if not b.extra(1):
        return [contract(x, y, 1)]
    if not b.extra(0):
        product = contract(x, dimshuffle(y, n, *range(n), *range(n + 1, y.ndim)), 1)
        return [_entries_in_front(product, n, x.ndim - 1)]
    ranks = [v.ndim for v in b.node.inputs]
    if ranks == [1, 1] and b.node.output.type.is_float:
        along = Sum((n,))(mul(b.aligned(0), b.aligned(1)))
        return [cast(along, b.node.output.dtype)]
    return [_batched_product(b.full(0), b.full(1), n, ranks)]


def _batched_product(
    x: Variable, y: Variable, n: int, ranks: Sequence[int]
) -> Variable:
    """The products of vectors or matrices, where both factors have `n` axes in front."""
    sizes = sizes_of(x)[:n]
    if ranks[0] == 1:
        x = dimshuffle(x, *range(n), "x", n)
    if ranks[1] == 1:
        y = dimshuffle(y, *range(n), n, "x")
    rows, columns = sizes_of(x)[n], sizes_of(y)[n + 1]
    product = BatchedDot()(_one_axis_in_front(x, n), _one_axis_in_front(y, n))
    kept = [*([rows] if ranks[0] == 2 else []), *([columns] if ranks[1] == 2 else [])]
    if n == 1 and len(kept) == 2:
        return product
    wanted = (*sizes, *kept)
    return Reshape(len(wanted))(product, *map(size_variable, wanted))


def _one_axis_in_front(x: Variable, n: int) -> Variable:
    """The first `n` axes joined."""
    if n == 1:
        return x
    sizes = sizes_of(x)
    joined = (product_size(sizes[:n]), *sizes[n:])
    return Reshape(len(joined))(x, *map(size_variable, joined))


@batch_rule(MatrixOp)
def batch_matrices(b: Batch) -> Sequence[Variable]:
    """Functions of matrices take batches as they are."""
    return b.node.op.make_node(*map(b.full, range(len(b.inputs)))).outputs


@batch_rule(BatchedDot)
def batch_batched_dot(b: Batch) -> Sequence[Variable]:
    """One longer batch."""
    n = b.count
    x, y = (b.full(i) for i in range(2))
    sizes = sizes_of(x)[: n + 1]
    rows, columns = sizes_of(x)[n + 1], sizes_of(y)[n + 2]
    product = BatchedDot()(_one_axis_in_front(x, n + 1), _one_axis_in_front(y, n + 1))
    return [Reshape(n + 3)(product, *map(size_variable, (*sizes, rows, columns)))]


@batch_rule(Gemm)
def batch_gemm(b: Batch) -> Sequence[Variable]:
    """The sum of the two parts, which rewriting may join again."""
    z, alpha, x, y, *beta = b.node.inputs
    product = mul(alpha, product_op(x)(x, y))
    expression = add(mul(beta[0], z) if beta else z, product)
    mapping = dict(zip(b.node.inputs, b.inputs, strict=True))
    batch_nodes([expression], mapping)
    return [mapping[expression]]
