"""Many loops at once: one loop whose every step does the steps of all.

Read next: :mod:`workbench.core.batching`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.core.batching import Batch, Leading, batch_nodes, batch_rule, rule_for
from workbench.core.graph import Variable
from workbench.core.op import Opaque
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import dimshuffle


@batch_rule(Scan)
def batch_loop(b: Batch) -> Sequence[Variable]:
    """The additional axes stand behind that of the steps, and in front of those of a row.

    Loops of which each has its own number of steps are done one after the other.
    """
    op = b.node.op
    assert isinstance(op, Scan)
    if op.until or b.extra(0):
        return rule_for(Opaque)(b)
    return _Batched(b, op).outputs()


class _Batched:
    """One loop for many.

    Attributes
    ----------
    many
        The numbers of the inputs that differ from entry to entry, grown until every state
        that depends on one is among them.
    """

    def __init__(self, b: Batch, op: Scan) -> None:
        self.b, self.op = b, op
        self.many = {i for i in range(len(b.inputs)) if b.extra(i)}
        numbers = op.parts(range(len(b.inputs)))
        self.rows = {*numbers[1], *numbers[2]}
        own = op.body_parts()
        _, sequences, firsts, others = numbers
        self.inner = (
            [[v] for v in own.sequences] + own.states + [[v] for v in own.others]
        )
        self.numbers = [*sequences, *firsts, *others]
        self.firsts = firsts

    def outputs(self) -> list[Variable]:
        """What becomes of the outputs."""
        op, b = self.op, self.b
        results = op.body.outputs
        while True:
            inputs, mapping = self._inputs()
            found = dict(mapping)
            batch_nodes(results, found)
            new = [found.get(v, v) for v in results]
            is_many = [a.ndim > v.ndim for a, v in zip(new, results, strict=True)]
            late = {
                first
                for first, many in zip(self.firsts, is_many, strict=False)
                if many and first not in self.many
            }
            if not late:
                break
            self.many |= late
        is_many[: op.n_states] = [first in self.many for first in self.firsts]
        leading = Leading.of(list(mapping.items()))
        new = [
            leading.stretch(a, v.ndim) if many else a
            for a, v, many in zip(new, results, is_many, strict=True)
        ]
        own = [mapping.get(v, v) for v in op.body.inputs]
        made = replace(op, body=Body(own, new)).make_node(b.inputs[0], *inputs)
        return [
            self._in_front(v) if many else v
            for v, many in zip(made.outputs, is_many, strict=True)
        ]

    def _inputs(self) -> tuple[list[Variable], dict[Variable, Variable]]:
        """The inputs of the loop but the number of steps, and what changes in the body."""
        inputs: list[Variable] = []
        mapping: dict[Variable, Variable] = {}
        for i, inner in zip(self.numbers, self.inner, strict=True):
            given = self.b.inputs[i]
            if i in self.many:
                given = self._behind(self.b.full(i)) if i in self.rows else given
                shape = given.type.shape[1 if i in self.rows else 0 :]
                for v in inner:
                    mapping[v] = Variable(given.type.with_shape(shape), v.name)
            inputs.append(given)
        return inputs, mapping

    def _behind(self, v: Variable) -> Variable:
        """The axis of the steps first, then the additional ones."""
        count = self.b.count
        return dimshuffle(v, count, *range(count), *range(count + 1, v.ndim))

    def _in_front(self, v: Variable) -> Variable:
        """The additional axes first, then that of the steps."""
        count = self.b.count
        return dimshuffle(v, *range(1, count + 1), 0, *range(count + 1, v.ndim))
