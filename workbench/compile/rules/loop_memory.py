"""Rows of a loop that nobody reads are not kept: of a result of which the last is read, one.

Read next: :mod:`workbench.compile.rules.loop_before`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.indexing import WHOLE, entries_of, taken
from workbench.compile.rules.looping import Loop, Plain, State, original
from workbench.compile.rules.sizes import as_sum
from workbench.core.graph import Apply, Variable
from workbench.core.ops.scan import Scan
from workbench.core.ops.slicing import Slice


@dataclass(frozen=True)
class Read:
    """A place or a slice of a stack, counted from the row written last.

    Attributes
    ----------
    value
        What is read.
    back
        The first row of it, in the order of the steps: 1 for the last one.
    only
        Whether it is this row without its axis; otherwise all rows from there to the last.
    must
        How many rows there must be for it to be no error, or to be so long.
    entries
        What is taken of the other axes.
    """

    value: Variable
    back: int
    only: bool
    must: int
    entries: Sequence[Any]


@node_rule(Scan)
def rows_that_are_read(node, context):
    """Where only the last rows of a result are read, only those are kept.

    A loop whose last row is read must make a step, which the loop itself checks then.
    """
    me = original(node, context)
    if me is None or not context.is_merged or me.op != node.op:
        context.looked_around = True
        return None
    loop = Loop(node)
    found: dict[Variable, Variable] = {}
    reads: list[tuple[int, Read]] = []
    for i, r in enumerate(loop.results):
        if r.keep is not None:
            continue
        read = _reads(loop, r, me, i, context)
        if read is None:
            continue
        keep = max([1, *(k.back for k in read)])
        rows = node.outputs[i].type.shape[0]
        if (isinstance(r, Plain) and not read) or (rows is not None and keep >= rows):
            continue
        r.keep = keep
        loop.least = max([loop.least, *(k.must - r.depth for k in read)])
        reads += [(i, k) for k in read]
    if all(a.keep == b for a, b in zip(loop.results, node.op.keep, strict=True)):
        return None
    made = loop.make()
    for i, read_ in reads:
        found[read_.value] = _taken(loop, read_, made.outputs[i])
    kept = loop.replacements(made)
    for r, old in zip(loop.results, node.op.keep, strict=True):
        if r.keep != old and r.output is not None:
            del kept[r.output]
    return kept | found or None


def _taken(loop: Loop, read: Read, stack: Variable) -> Variable:
    """The same read of a stack that holds the last rows only."""
    (keep,) = stack.type.shape[:1]
    assert keep is not None
    place = read.back - 1 if loop.op.backwards else keep - read.back
    if read.only:
        first: Any = place
    elif loop.op.backwards:
        first = (None, read.back, 1) if read.back < keep else WHOLE
    else:
        first = (place, None, 1) if place else WHOLE
    return taken(stack, [first, *read.entries])


def _is_slice(client: Apply | None) -> bool:
    return client is not None and isinstance(client.op, Slice)


@dataclass(frozen=True)
class _View:
    """The rows of a stack but for the first `skipped`, in the order of the steps."""

    value: Variable
    skipped: int
    ends: bool  # with the row written last
    turned: bool  # the row written last is its first


def _reads(
    loop: Loop, r: State | Plain, me: Apply, i: int, context: Context
) -> list[Read] | None:
    """All that is read of an output when it is known how far that is from the end, or None."""
    stack = me.outputs[i]
    pending = [_View(stack, 0, loop.condition is None, loop.op.backwards)]
    found: list[Read] = []
    while pending:
        view = pending.pop()
        clients = context.clients(view.value)
        rows = view.value.type.shape[0]
        in_order = view.ends and view.turned == loop.op.backwards
        if (
            rows
            and in_order
            and view.value is not stack
            and not all(map(_is_slice, clients))
        ):
            # It is read as a whole, and how much that is is known.
            found.append(Read(view.value, rows, False, 0, [WHOLE] * (stack.ndim - 1)))
            continue
        for client in clients:
            if client is None or not isinstance(client.op, Slice):
                return None
            if view.value in client.inputs[1:]:
                return None
            read = _read(loop, r, view, client, me)
            if isinstance(read, _View):
                pending.append(read)
            elif read is not None:
                found.append(read)
            else:
                return None
    return found


def _read(
    loop: Loop, r: State | Plain, view: _View, client: Apply, me: Apply
) -> Read | _View | None:
    entry, *rest = entries_of(client)
    out, rows = client.outputs[0], view.value.type.shape[0]
    if not isinstance(entry, tuple):
        back = _back(entry, rows, view.turned) if view.ends else None
        if back is None:
            return None
        if loop.condition is not None and back + view.skipped > r.depth + 1:
            return None  # more steps than the one that every loop makes
        return Read(out, back, True, back + view.skipped, rest)
    start, stop, step = entry
    if step == -1:
        return _turned_view(view, out, start, stop, rest)
    if step != 1:
        return None
    if view.turned:
        start, stop = _turned(start, stop, rows)
    if any(e != WHOLE for e in rest):
        inner = None
    elif isinstance(start, int | None) and (start or 0) >= 0:
        inner = _inner_view(loop, r, view, out, start or 0, stop, me)
    else:
        inner = None
    if inner is not None:
        return inner
    if view.turned != loop.op.backwards:
        return None
    if stop is not None or not view.ends or not isinstance(start, int):
        return None
    back = -start if start < 0 else rows - start if rows is not None else None
    if back is None or back < 1:
        return None
    # Of fewer rows a slice takes fewer: they must be there in any case.
    sure = (rows or 0) + view.skipped or max(loop.least, 0) + r.depth
    if back + view.skipped > sure:
        return None
    return Read(out, back, False, 0, rest)


def _back(place: Any, rows: int | None, backwards: bool) -> int | None:
    """How far from the row written last a place is, 1 for that row."""
    if not isinstance(place, int):
        return None
    if rows is not None and place < 0:
        place += rows
    if backwards:
        return place + 1 if place >= 0 else None
    if rows is not None:
        return rows - place if 0 <= place < rows else None
    return -place if place < 0 else None


def _turned(start: Any, stop: Any, rows: int | None) -> tuple[Any, Any]:
    """The bounds of a slice counted from the other end: [2:-1] is [1:-2]."""
    if rows is not None:
        first = 0 if start is None else start + rows if _is_negative(start) else start
        last = rows if stop is None else stop + rows if _is_negative(stop) else stop
        if isinstance(first, int) and isinstance(last, int):
            return rows - last, rows - first if first else None
    turned_start = -stop if isinstance(stop, int) else stop
    turned_stop = -start if isinstance(start, int) and start else start or None
    return turned_start, turned_stop


def _is_negative(bound: Any) -> bool:
    return isinstance(bound, int) and bound < 0


def _inner_view(
    loop: Loop,
    r: State | Plain,
    view: _View,
    out: Variable,
    start: int,
    stop: Any,
    me: Apply,
) -> _View | None:
    """What is left when the first `start` rows are, and those behind `stop`, which ends the loop."""
    rows = view.value.type.shape[0]
    skipped = view.skipped + start
    if stop is None or stop == rows:
        return _View(out, skipped, view.ends, view.turned)
    if loop.condition is None:
        return None
    # Where a condition may end the loop, a result goes up to the row written last.
    end, count = as_sum(stop), as_sum(me.outputs[-1])
    if end is None or count is None or not isinstance(stop, Variable):
        return None
    beyond = end.minus(count)
    if beyond.terms or beyond.number + view.skipped != r.depth:
        return None
    return _View(out, skipped, True, view.turned)


def _turned_view(
    view: _View, out: Variable, start: Any, stop: Any, rest: Sequence[Any]
) -> _View | None:
    """The rows the other way round, without some that come first in the order of the steps."""
    rows = view.value.type.shape[0]
    if rows is not None and isinstance(start, int) and start >= 0:
        start -= rows
    if stop is not None or any(e != WHOLE for e in rest):
        return None
    if start is None or start == -1:
        return _View(out, view.skipped, view.ends, not view.turned)
    if not view.turned or not isinstance(start, int) or start >= 0:
        return None
    return _View(out, view.skipped - 1 - start, view.ends, False)


RULES = tagged("loops", rows_that_are_read)
