"""A loop written out: the graph of every step after the other, which a loop must agree with."""

from collections.abc import Sequence

import workbench.tensor as T
from workbench.core.graph import Variable
from workbench.core.ops.scan import Scan


def written_out(
    op: Scan, inputs: Sequence[Variable], steps: int, done: int | None = None
) -> list[Variable]:
    """What a loop computes, without a loop.

    Parameters
    ----------
    inputs
        As those of the loop; the first, the number of steps, is not read.
    done
        After how many steps the condition holds, for a loop that has one.
    """
    _, sequences, firsts, others = op.parts(inputs)
    done = steps if done is None else done
    times = range(steps)[::-1] if op.backwards else range(done)
    rows: list[dict[int, Variable]] = []
    for first, depth in zip(firsts, op.depths, strict=True):
        at = steps if op.backwards else 0
        rows.append({at + k: first[k] for k in range(depth)})
    rows += [{} for _ in range(op.n_plain)]
    for number, t in enumerate(times):
        read = [
            rows[i][t - tap if op.backwards else op.depths[i] + t + tap]
            for i, taps in enumerate(op.taps)
            for tap in taps
        ]
        results = op.body.on([*(s[t] for s in sequences), *read, *others])
        constant = op.truncate is not None and number < done - op.truncate
        for i, v in enumerate(results[: len(op.keep)]):
            at = t if op.backwards else op.output_depths[i] + t
            rows[i][at] = T.disconnected_grad(v) if constant else v
    stacks = [
        _stacked(op, i, rows[i], steps, done, firsts) for i in range(len(op.keep))
    ]
    return [*stacks, *([T.constant(done, dtype="int64")] if op.until else [])]


def _stacked(
    op: Scan,
    i: int,
    rows: dict[int, Variable],
    steps: int,
    done: int,
    firsts: Sequence[Variable],
) -> Variable:
    """The rows of one output as one array; those that are never written are zero."""
    depth, v = op.output_depths[i], op.body.outputs[i]
    keep = op.keep[i]
    first, last = 0, depth + steps
    if keep is not None:
        last = keep if op.backwards else depth + done
        first = last - keep
    like = next(iter(rows.values())) if rows else None
    if like is None:
        return T.zeros((last - first, *(s or 0 for s in v.type.shape)), dtype=v.dtype)
    chosen = [
        rows[at] if at in rows else T.zeros_like(like) for at in range(first, last)
    ]
    return T.stack(chosen) if chosen else T.zeros_like(like)[None][:0]
