"""The C text of a loop over steps, around the program of one step.

The program of a step has a call of its own, a copy of the one it lies in: with its own
inputs, values and sizes, which lie on the C stack, and a part of the scratch memory. Before each
step the loop sets where the inputs and the results of this step lie: in rows of sequences, of
stacks of results, or of *rings*, of which only the last rows are kept. So nothing is copied from
step to step but pointers; and sizes, checks and memory are settled in the first step alone,
unless they follow from values.

Read next: ``loop.h``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.compile.c.operands import Matrix
from workbench.compile.loops import Index
from workbench.compile.scalars import C_TYPES
from workbench.compile.taken import When
from workbench.core.graph import Apply
from workbench.core.ops.scan import Scan


@dataclass(frozen=True)
class Room:
    """What the program of a step takes.

    Attributes
    ----------
    name
        What ends the names of its functions.
    slots
        The first of its slots; the loop's own follow.
    n_slots, n_values, n_sizes
        How many it has.
    results
        Where among its values each output of a step lies.
    settles_often
        Whether sizes or places may follow from values, and so change from step to step.
    """

    name: str
    slots: int
    n_slots: int
    n_values: int
    n_sizes: int
    results: tuple[int, ...]
    settles_often: bool


@dataclass(frozen=True)
class _Stack:
    """The rows of one output: all of them, or a ring of `ring` rows that are used in turn."""

    name: str
    c_type: str
    row: Index
    depth: int
    ring: int | None
    backwards: bool
    steps: str

    def at(self, tap: int) -> str:
        """The address of the row that is written this step (`tap` 0), or was some steps ago."""
        if self.ring is not None:
            row = Index(f"(step + {self.depth + tap}) % {self.ring}")
        elif self.backwards:
            row = Index(f"{self.steps} - 1 - step") + -tap
        else:
            row = Index("step") + (self.depth + tap)
        return f"{self.name} + {(row * self.row).text}"


def rings(op: Scan) -> list[int | None]:
    """For each output the rows of its ring; None where the stack itself is written.

    A step must not overwrite what it reads, hence one row more than there are taps.
    """
    return [
        None
        if keep is None
        else max(keep, depth + 1)
        if depth
        else None
        if keep == 1
        else keep
        for keep, depth in zip(op.keep, op.output_depths, strict=True)
    ]


def loop_lines(
    node: Apply,
    failing: int,
    steps: Index,
    operands: Sequence[Matrix],
    outputs: Sequence[Matrix],
    room: Room,
) -> Iterator[str]:
    """The statements of a kernel that runs a loop.

    Parameters
    ----------
    failing
        The number by which the loop's own failures are reported.
    operands
        The inputs but for the number of steps.
    """
    op = node.op
    assert isinstance(op, Scan)
    n = steps.factor()
    _, sequences, firsts, others = op.parts([operands[0], *operands])
    stacks, own_rings = [], rings(op)
    if op.least > 0:
        yield f"if ({n} < {op.least}) return wb_fail(c, WB_VALUE, {failing}, 0, {n}, {op.least});"
    slot = room.slots + room.n_slots
    for i, (ring, depth, out) in enumerate(
        zip(own_rings, op.output_depths, outputs, strict=False)
    ):
        c_type = C_TYPES[node.outputs[i].dtype]
        row = _product(out.sizes[1:])
        place = out.pointer
        if ring is not None:
            size = (Index.of(ring) * row).text
            yield f"if (wb_reserve(c, {slot}, sizeof({c_type}) * ({size}))) return WB_OUT_OF_MEMORY;"
            place = f"c->slot[{slot}].data"
            slot += 1
        one = depth == 0 and op.keep[i] == 1
        stack = _Stack(f"y{i}", c_type, row, depth, 1 if one else ring, op.backwards, n)
        stacks.append(stack)
        yield f"{c_type} *const y{i} = {place};"
    for i, first in enumerate(firsts):
        yield from _first_rows(stacks[i], first)
    arrays = [_array(m.pointer, m.sizes[1:]) for m in sequences]
    for taps, out in zip(op.taps, outputs, strict=False):
        arrays += [_array("0", out.sizes[1:]) for _ in taps]
    arrays += [_array(m.pointer, m.sizes) for m in others]
    yield f"wb_array in[] = {{{', '.join(arrays) or '{0}'}}};"
    yield f"void *value[{max(1, room.n_values)}];"
    yield f"int64_t size[{max(1, room.n_sizes)}], step = 0;"
    yield "wb_call own = *c;"
    yield "own.input = in, own.value = value, own.size = size;"
    if room.slots:
        yield f"own.slot = c->slot + {room.slots};"
    if op.until:
        yield f"{C_TYPES[op.body.outputs[-1].dtype]} stop = 0;"
        yield f"value[{room.results[-1]}] = &stop;"
    yield "wb_ticks ticks = {0};"
    yield "int rc = WB_OK;"
    yield f"for (; step < {n}; ++step) {{"
    t = Index(f"{n} - 1 - step") if op.backwards else Index("step")
    for k, (v, m) in enumerate(zip(op.body.inputs, sequences, strict=False)):
        data = f"(const {C_TYPES[v.dtype]} *){m.pointer}"
        place = (t * _product(m.sizes[1:])).text
        yield f"  in[{k}].data = (void *)({data} + {place});"
    k = len(sequences)
    for taps, stack in zip(op.taps, stacks, strict=False):
        for tap in taps:
            yield f"  in[{k}].data = {stack.at(tap)};"
            k += 1
    for stack, number in zip(stacks, room.results, strict=False):
        yield f"  value[{number}] = {stack.at(0)};"
    once = "" if room.settles_often else "step == 0 && "
    yield f"  if ({once}(rc = prepare{room.name}(&own))) break;"
    yield f"  if ((rc = step{room.name}(&own))) break;"
    if op.until:
        yield "  if (stop) {"
        yield "    ++step;"
        yield "    break;"
        yield "  }"
    yield "  if ((rc = wb_tick(&own, &ticks, step))) break;"
    yield "}"
    yield "if (rc) {"
    yield "  c->failure = own.failure;"
    yield "  return rc;"
    yield "}"
    for i, (stack, keep, out) in enumerate(zip(stacks, op.keep, outputs, strict=False)):
        yield from _last_rows(op, stack, keep, out, failing, own_rings[i])
    if op.until:
        yield f"{outputs[-1].pointer}[0] = step;"


def _first_rows(stack: _Stack, first: Matrix) -> Iterator[str]:
    """Put the rows that a state starts from where the first steps look for them."""
    depth, row = stack.depth, stack.row
    size = f"sizeof({stack.c_type}) * ({(Index.of(depth) * row).text})"
    if stack.ring is not None and stack.backwards and depth > 1:
        for k in range(depth):  # the latest comes first in memory, and last in the ring
            to = f"{stack.name} + {(Index.of(depth - 1 - k) * row).text}"
            of = f"{first.pointer} + {(Index.of(k) * row).text}"
            yield f"memcpy({to}, {of}, sizeof({stack.c_type}) * ({row.text}));"
        return
    to = stack.name
    if stack.ring is None and stack.backwards:
        to = f"{stack.name} + {(Index(stack.steps) * row).text}"
    yield f"memcpy({to}, {first.pointer}, {size});"


def _last_rows(
    op: Scan,
    stack: _Stack,
    keep: int | None,
    out: Matrix,
    failing: int,
    ring: int | None,
) -> Iterator[str]:
    """Leave in the output what is asked for: the rows written last, zeros where none was."""
    row, c_type = stack.row, stack.c_type
    if keep is None:
        if op.until:
            first = (Index(f"(step + {stack.depth})") * row).text
            left = (Index(f"({stack.steps} - step)") * row).text
            yield f"memset({stack.name} + {first}, 0, sizeof({c_type}) * ({left}));"
        return
    if isinstance(op, When):
        yield f"if (!step) memset({out.pointer}, 0, sizeof({c_type}) * ({row.text}));"
        return
    if keep > stack.depth:
        missing = f"step + {stack.depth} < {keep}" if stack.depth else f"step < {keep}"
        yield f"if ({missing}) return wb_fail(c, WB_VALUE, {failing}, 0, step, {keep});"
    if ring is None:
        return
    for k in range(keep):
        back = k + 1 if op.backwards else keep - k  # how many rows before the next one
        at = (
            f"(step + {stack.depth - back}) % {ring}"
            if stack.depth != back
            else f"step % {ring}"
        )
        if stack.depth < back:
            at = f"(step - {back - stack.depth}) % {ring}"
        to = f"{out.pointer} + {(Index.of(k) * row).text}"
        of = f"{stack.name} + {(Index(at) * row).text}"
        yield f"memcpy({to}, {of}, sizeof({c_type}) * ({row.text}));"


def _array(pointer: str, sizes: Sequence[Index]) -> str:
    shape = ", ".join(size.text for size in sizes) or "0"
    return f"{{(void *){pointer}, {{{shape}}}}}"


def _product(sizes: Sequence[Index]) -> Index:
    product = Index.of(1)
    for size in sizes:
        product = product * size
    return product
