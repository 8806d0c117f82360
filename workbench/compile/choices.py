"""Choices in the step of a loop, whose sizes are said where the loop demands them.

A compiled loop reserves memory before its first step, so the sizes of all that a step computes
must follow from those of what it reads. Those of a choice between two values need not: of a
product and a state, as in ``ifelse(c, dot(h, w), h)``, the sizes are equal only because a state
keeps its own. What a value must fit is known of whoever reads it: a state what it was before, an
operand the other operands. So each branch is said to be of these sizes, which is checked when it
is taken, and then both are known to be alike.

Read next: :mod:`workbench.compile.branches`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from workbench.compile.branches import ALWAYS, SIZE, Guard, Guards, narrowed
from workbench.compile.context import Alike, Context
from workbench.compile.record import Graph
from workbench.compile.rules.loops import sizes_inside
from workbench.core.evaluate import has_choice
from workbench.core.graph import Apply, Variable, rebuild, toposort
from workbench.core.op import Elementwise, Size, known_int
from workbench.core.ops.bodies import Body
from workbench.core.ops.control import Fitted, IfElse
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import SizeOf, size_variable, sizes_of
from workbench.core.source import made_for

MOST = 8  # sizes that are remembered of one axis

Wanted = list[Size | None]


def with_fitted_choices(graph: Graph) -> Graph:
    """The graph, with the sizes of choices in the steps of its loops said, as far as they follow."""
    return _with_fitted_loops(graph, Context())


def _with_fitted_loops(graph: Graph, context: Context) -> Graph:
    """As :func:`with_fitted_choices`; `context` knows the sizes of the graph."""
    made: dict[Variable, Variable] = {}
    for node in graph.nodes():
        op, body = node.op, None
        if type(op) is Scan:
            body = _fitted_body(node, context)
        inputs = [made.get(v, v) for v in node.inputs]
        if isinstance(op, Scan) and body is not None:
            with made_for(node.origin):
                again = replace(op, body=body).make_node(*inputs)
        elif any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
            again = rebuild(node, inputs, keep_types=True)
        else:
            continue
        made.update(zip(node.outputs, again.outputs, strict=True))
    if not made:
        return graph
    return graph.with_results([made.get(v, v) for v in graph.results])


def _fitted_body(node: Apply, context: Context) -> Body | None:
    """The body of a loop with the sizes of its choices; None where it stays as it is."""
    op = node.op
    assert isinstance(op, Scan)
    if not has_choice(op.body.order) and not any(
        type(n.op) is Scan for n in op.body.order
    ):
        return None
    alike = sizes_inside(node, context)
    before = _as_graph(op.body)
    graph = _with_fitted_loops(before, _context_of(op.body, alike))
    if graph is not before:
        op = replace(op, body=Body(graph.inputs, graph.outputs))
    choices = [n.output for n in op.body.order if isinstance(n.op, IfElse)]
    sizes = op.step_sizes(node, [sizes_of(v) for v in node.inputs], choices)
    unknown = {v for v, own in zip(choices, sizes, strict=True) if None in own}
    if unknown:
        found = _Choices(op, _context_of(op.body, alike)).fitted(unknown)
        return Body(found.inputs, found.outputs)
    return None if graph is before else op.body


def _as_graph(body: Body) -> Graph:
    return Graph(tuple(body.inputs), tuple(body.outputs))


def _context_of(body: Body, alike: Alike) -> Context:
    """What is known of the sizes of a body."""
    return Context(
        alike={
            (v, axis): same
            if isinstance(same, int)
            else (body.inputs[same[0]], same[1])
            for v, row in zip(body.inputs, alike, strict=True)
            for axis, same in enumerate(row)
            if same is not None
        }
    )


class _Choices:
    """The choices of one step, and what their readers want of them.

    Attributes
    ----------
    wanted
        For a variable the size that it has, axis by axis, unless the step fails.
    possible
        For a variable, axis by axis, sizes that follow from what a step reads and are equal
        unless the step fails.
    """

    def __init__(self, op: Scan, context: Context) -> None:
        self.graph = graph = _as_graph(op.body)
        self.context, self.nodes = context, op.body.order
        self.guards = Guards(graph, self.nodes)
        self.inputs = set(graph.inputs)
        self.known: dict[Size, bool] = {}  # whether a size follows from what is read
        self.possible: dict[Variable, list[list[Size]]] = {}
        for node in self.nodes:
            self._look(node)
        self.wanted: dict[Variable, Wanted] = {}
        for taps, value in zip(op.body_parts().states, graph.outputs, strict=False):
            self._want(value, [*context.sizes(taps[0])], ALWAYS)
        for node in reversed(self.nodes):
            self._pass_on(node)

    def fitted(self, choices: Collection[Variable]) -> Graph:
        """The graph with the sizes of these choices said."""
        made: dict[Variable, Variable] = {}
        for node in self.nodes:
            inputs = [made.get(v, v) for v in node.inputs]
            if node.outputs[0] in choices:
                asked = [
                    size_variable(-1 if size is None else size)
                    for size in self._of_choice(node)
                ]
                inputs[1:] = [_fit(v, asked) for v in inputs[1:]]
            if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
                again = rebuild(node, inputs, keep_types=True)
                made.update(zip(node.outputs, again.outputs, strict=True))
        if not made:
            return self.graph
        return self.graph.with_results([made.get(v, v) for v in self.graph.results])

    # --- what sizes may be

    def _look(self, node: Apply) -> None:
        for v in node.outputs:
            self._own(v)
        if isinstance(node.op, IfElse):
            three = [node.output, *node.inputs[1:]]
            for sizes, ours, theirs in zip(*map(self._own, three), strict=True):
                sizes += [s for s in ours if s in theirs and s not in sizes]
            return
        fit = _Fit(node)
        known: dict[int, list[Size]] = {}
        for v, places in zip(node.inputs, fit.inputs, strict=True):
            for place, possible in zip(places, self._own(v), strict=True):
                if place is not None:
                    known.setdefault(place, []).extend(possible)
        for v, places in zip(node.outputs, fit.outputs, strict=True):
            for sizes, place in zip(self.possible[v], places, strict=True):
                more = [] if place is None else dict.fromkeys(known[place])
                sizes += [s for s in more if s not in sizes][: MOST - len(sizes)]

    def _own(self, v: Variable) -> list[list[Size]]:
        """The possible sizes of a variable; that of the variable itself if no other is known."""
        if v not in self.possible:
            sizes = self.context.sizes(v)
            self.possible[v] = [[s] if self._is_known(s) else [] for s in sizes]
        return self.possible[v]

    def _is_known(self, size: Size) -> bool:
        """Whether a size follows from what the step reads."""
        if size not in self.known:
            self.known[size] = isinstance(size, int) or all(
                isinstance(node.op, SizeOf)
                or (isinstance(node.op, Elementwise) and not node.output.ndim)
                for node in toposort([size], self.inputs)
            )
        return self.known[size]

    # --- what they must be

    def _want(self, v: Variable, sizes: Wanted, guard: Guard) -> None:
        """Somebody, who is there under a guard, wants a variable to have these sizes."""
        owner = self.guards.owner(v)
        if owner is None or self.guards.of[owner] != guard:
            return
        own = self.wanted.setdefault(v, [None] * v.ndim)
        for axis, size in enumerate(sizes):
            if own[axis] is None and size is not None and self._is_known(size):
                own[axis] = size

    def _pass_on(self, node: Apply) -> None:
        """What is wanted of outputs, and known of some inputs, is wanted of inputs."""
        guard = self.guards.of[node]
        if not guard:
            return
        if isinstance(node.op, IfElse):
            number = self.guards.numbers[node.inputs[0]]
            sizes = self._of_choice(node)
            for v, taken in zip(node.inputs[1:], (True, False), strict=True):
                self._want(v, sizes, narrowed(guard, (number, taken)))
            return
        fit = _Fit(node)
        known: dict[int | None, Size] = {}
        for v, places in zip(node.outputs, fit.outputs, strict=True):
            for place, size in zip(places, self.wanted.get(v, ()), strict=False):
                if size is not None:
                    known.setdefault(place, size)
        for place, size in fit.asked:
            if self._is_known(size):
                known.setdefault(place, size)
        for v, places in zip(node.inputs, fit.inputs, strict=True):
            for place, possible in zip(places, self._own(v), strict=True):
                if possible:
                    known.setdefault(place, possible[0])
        known.pop(None, None)
        for v, places in zip(node.inputs, fit.inputs, strict=True):
            self._want(v, [known.get(place) for place in places], guard)

    def _settled(self, v: Variable) -> Wanted:
        """The sizes that are wanted of a variable, else some that it must have."""
        own = self.wanted.get(v, [None] * v.ndim)
        return [
            size if size is not None else next(iter(possible), None)
            for size, possible in zip(own, self.possible[v], strict=True)
        ]

    def _of_choice(self, node: Apply) -> Wanted:
        """The sizes that both branches of a choice must have; None where nothing says."""
        return [
            None if static is not None else size
            for static, size in zip(
                node.output.type.shape, self._settled(node.output), strict=True
            )
        ]


class _Fit:
    """Which sizes of the inputs and outputs of an operation are equal, unless it fails.

    Attributes
    ----------
    inputs, outputs
        For each variable, axis by axis, a number; the same one where sizes are equal, and None
        where a size is constant or is computed from others.
    asked
        Pairs of such a number and a size that is asked for beside them.
    """

    def __init__(self, node: Apply) -> None:
        shapes = [
            tuple(SIZE() if size is None else size for size in v.type.shape)
            for v in node.inputs
        ]
        tokens = [s for sizes in shapes for s in sizes if not isinstance(s, int)]
        numbers: dict[Size, int] = {token: k for k, token in enumerate(tokens)}
        asked: list[tuple[Size, Size]] = []
        for _, a, b in node.op.size_checks(node, shapes):
            if a in numbers and b in numbers:
                gone, left = numbers[a], numbers[b]
                numbers = {t: left if k == gone else k for t, k in numbers.items()}
            elif a in numbers:
                asked.append((a, b))
            elif b in numbers:
                asked.append((b, a))
        self.asked = [(numbers[token], size) for token, size in asked]
        self.inputs = [[numbers.get(s) for s in sizes] for sizes in shapes]
        self.outputs = [
            [None if s is None else numbers.get(s) for s in sizes]
            for sizes in node.op.infer_shape(node, shapes)
        ]


def _fit(v: Variable, asked: Sequence[Variable]) -> Variable:
    if all(known_int(size) == -1 for size in asked):
        return v
    owner = v.owner
    if owner is None:
        return Fitted()(v, *asked)
    with made_for(owner.origin):
        return Fitted()(v, *asked)
