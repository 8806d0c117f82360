"""An op made of a graph.

:class:`OpFromGraph` gives a graph a name and, where wished, derivatives of its own. Its
meaning is its graph's; compiling puts the graph in its place before anything else is
rewritten, so that nothing is lost by naming a part.

Read next: :mod:`workbench.core.printing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core.backward import is_undefined, walk
from workbench.core.batching import Batch, batch_rule, vectorize_graph
from workbench.core.errors import GradientError
from workbench.core.evaluate import evaluate
from workbench.core.forward import push
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    as_list,
    as_variable,
    toposort,
)
from workbench.core.inner import InnerGraph, Link
from workbench.core.op import Composite, Size, Sizes
from workbench.core.ops.blockwise import Blockwise
from workbench.core.ops.bodies import Body, captured, check_variables, fit_input
from workbench.core.ops.elementwise import add, fill
from workbench.core.ops.overrides import (
    Overrides,
    normal,
    normal_pattern,
    without_outputs,
)
from workbench.core.ops.shape import sizes_of
from workbench.core.types import Array, TensorType

Grads = Sequence[Variable | None]

NONE = Overrides()


@dataclass(frozen=True, init=False)
class OpFromGraph(Composite):
    """An op that computes the graph from `inputs` to `outputs`.

    Parameters
    ----------
    inputs
        The variables it is a function of: leaves, or any other variables of the graph.
    outputs
        What it computes. Shared variables among what they depend on become inputs by
        themselves.
    inline
        Put the graph itself where the op is called; otherwise a call makes one node, which
        the compiler replaces by the graph.
    lop_overrides
        Gradients in place of those derived from the graph: a function of the inputs, the
        outputs and the gradients of the outputs, all lists, which gives a list of gradients,
        ``None`` where none passes. Or a list with an entry for each input: a function that
        gives one gradient, or ``None`` or ``"default"`` for the derived one. The gradients
        by shared variables are always derived.
    grad_overrides
        The same without the outputs.
    rop_overrides
        Tangents: a function of the inputs and their tangents that gives those of the
        outputs. ``None`` stands for a tangent of zero. Or a list with an entry for each
        output. By default they are derived from the graph, or from the overridden gradients.
    connection_pattern
        For each input a list that says for each output whether a gradient passes.
    name
        What the op is called in pictures.
    strict
        Shared variables must be inputs.

    Raises
    ------
    MissingInputError
        The outputs depend on a variable that is neither input, shared nor constant; or on a
        shared variable when `strict`.
    TypeError, ValueError
        An input is a constant or occurs twice, or overrides do not fit.

    Notes
    -----
    Two such ops are equal when their graphs compute the same and their overrides are the
    same functions.

    Examples
    --------
    >>> import workbench.tensor as T
    >>> a, b = T.vectors("a", "b")
    >>> distance = OpFromGraph([a, b], [T.sqrt(((a - b) ** 2).sum())], name="distance")
    >>> x = T.vector("x")
    >>> y = T.vector("y")
    >>> distance(x, y)
    <distance(x, y): float64 scalar>
    >>> distance(x, [0.0, 0.0]).eval({x: [3.0, 4.0]})
    array(5.)
    """

    body: Body
    overrides: Overrides
    title: str
    count: int  # of inputs that a call names; shared variables follow
    inline: bool = field(compare=False)
    shared: tuple[Shared, ...] = field(compare=False)

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Variable | Sequence[Variable],
        inline: bool = False,
        lop_overrides: Any = None,
        grad_overrides: Any = None,
        rop_overrides: Any = None,
        connection_pattern: Any = None,
        name: str | None = None,
        strict: bool = False,
    ) -> None:
        inputs = list(inputs)
        several = as_list(outputs)
        check_variables(inputs, several)
        shared = captured(inputs, several, strict)
        if lop_overrides is not None and grad_overrides is not None:
            raise ValueError("give lop_overrides or grad_overrides, not both.")
        if grad_overrides is not None:
            lop_overrides = without_outputs(grad_overrides)
        overrides = Overrides(
            normal(lop_overrides, len(inputs), "lop_overrides", "inputs"),
            normal(rop_overrides, len(several), "rop_overrides", "outputs"),
            normal_pattern(connection_pattern, len(inputs), len(several)),
        )
        body = Body([*inputs, *shared], several)
        self._set(body, overrides, name or "OpFromGraph", inline, shared)

    def _set(
        self,
        body: Body,
        overrides: Overrides,
        title: str,
        inline: bool = False,
        shared: Sequence[Shared] = (),
    ) -> None:
        values = {
            "body": body,
            "overrides": overrides,
            "title": title,
            "count": len(body.inputs) - len(shared),
            "inline": inline,
            "shared": tuple(shared),
            "name": title,
        }
        for attribute, value in values.items():  # the class is frozen
            object.__setattr__(self, attribute, value)

    @classmethod
    def of(cls, body: Body, title: str, overrides: Overrides = NONE) -> OpFromGraph:
        """The op of a body, all of whose inputs a call names."""
        op = cls.__new__(cls)
        op._set(body, overrides, title)
        return op

    # --- what it is applied to

    def __call__(self, *inputs: Any) -> Any:
        """The output for these inputs; a list when there are several outputs."""
        variables = self._fitted(inputs)
        outputs = (
            self.body.on(variables)
            if self.inline
            else list(self.make_node(*variables).outputs)
        )
        return outputs[0] if len(outputs) == 1 else outputs

    def make_node(self, *inputs: Any) -> Apply:
        """Apply the op; shared variables need not be given."""
        variables = self._fitted(inputs)
        return Apply(self, variables, self.output_types(*variables))

    def _fitted(self, inputs: Sequence[Any]) -> list[Variable]:
        """The inputs as variables of the body's types, with the shared ones.

        Raises
        ------
        TypeError
            There are too few or too many.
        DTypeError, ShapeError
            One does not fit.
        """
        own = self.body.inputs
        if len(inputs) == self.count:
            inputs = [*inputs, *self.shared]
        if len(inputs) != len(own):
            raise TypeError(f"{self} takes {self.count} inputs, got {len(inputs)}.")
        return [
            fit_input(str(self), v, given) for v, given in zip(own, inputs, strict=True)
        ]

    def output_types(self, *inputs: Variable) -> list[TensorType]:
        """The types that the graph has for these inputs."""
        outputs = self.body.outputs if self.body.knows(inputs) else self.body.on(inputs)
        return [v.type for v in outputs]

    def inner_graphs(self, node: Apply) -> list[InnerGraph]:
        """The graph, whose inputs are those of the node."""
        inputs, outputs = self.body.inputs, self.body.outputs
        reads = [Link("{}", inputs=(i,)) for i in range(len(inputs))]
        writes = [Link("{}", outputs=(i,)) for i in range(len(outputs))]
        return [InnerGraph(inputs, outputs, reads, writes)]

    # --- what it means

    def expand(self, *inputs: Variable) -> list[Variable]:
        """The graph."""
        return self.body.on(inputs)

    def reference(self, *inputs: Array) -> Any:
        """The graph in NumPy."""
        values = dict(zip(self.body.inputs, inputs, strict=True))
        return tuple(evaluate(self.body.outputs, values))

    def evaluate(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """As the reference, with what the types of the inputs say."""
        if self.body.knows(node.inputs):
            return list(self.reference(*inputs))
        free = [v if isinstance(v, Constant) else Variable(v.type) for v in node.inputs]
        values = {
            v: a
            for v, a in zip(free, inputs, strict=True)
            if not isinstance(v, Constant)
        }
        return evaluate(self.body.on(free), values)

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sizes]
    ) -> list[Sequence[Size | None]]:
        """The sizes of the graph's outputs, where its ops know them."""
        outputs = self.expansion(node)
        known: dict[Variable, Sequence[Size | None]] = dict(
            zip(node.inputs, shapes, strict=True)
        )
        for inner in toposort(outputs, known):
            given = [_own_sizes(v, known.get(v)) for v in inner.inputs]
            found = inner.op.infer_shape(inner, given)
            known.update(zip(inner.outputs, found, strict=True))
        return [known.get(v, v.type.shape) for v in outputs]

    # --- its derivatives

    # Overrides take and give gradients as users see them, also of complex variables.
    holomorphic = False

    def connection(self, node: Apply) -> Sequence[bool]:
        """As the graph, the overrides and the pattern say."""
        pattern, pull = self.overrides.pattern, self.overrides.pull
        found = [any(row) for row in self.body.connected]
        for i in range(self.count):
            if pattern is not None:
                found[i] = any(pattern[i])
            elif callable(pull) or (pull is not None and pull[i] is not None):
                found[i] = True
        return [
            ok and v.type.is_float for ok, v in zip(found, node.inputs, strict=True)
        ]

    def vjp(self, node: Apply, *grads: Variable | None) -> Sequence[Variable | None]:
        """The overrides', else those of the graph, as an op of a graph in turn."""
        pull, n = self.overrides.pull, self.count
        if pull is None:
            return self._derived(node, grads)
        given = node.inputs[:n], node.outputs, _or_zeros(node.outputs, grads)
        lists = [list(part) for part in given]
        if callable(pull):
            own = list(pull(*lists))
            if len(own) != n:
                raise GradientError(
                    f"lop_overrides of {self} gave {len(own)} gradients for {n} inputs."
                )
            chosen = [True] * n
        else:
            own = [None if f is None else f(*lists) for f in pull]
            chosen = [f is not None for f in pull]
        chosen += [False] * (len(node.inputs) - n)
        derived = [] if all(chosen) else self._derived(node, grads)
        return [
            self._checked(own[i], v) if is_own else derived[i]
            for i, (v, is_own) in enumerate(zip(node.inputs, chosen, strict=True))
        ]

    def _checked(self, gradient: Any, variable: Variable) -> Variable | None:
        if gradient is None:
            return None
        gradient = as_variable(gradient)
        if gradient.ndim != variable.ndim:
            raise GradientError(
                f"the overridden gradient of {self} by {variable.label()} has "
                f"{gradient.ndim} axes, not {variable.ndim}."
            )
        return gradient

    def _derived(self, node: Apply, grads: Grads) -> list[Variable | None]:
        """The gradients of the graph, each through the outputs that the pattern allows."""
        pattern = self.overrides.pattern
        if pattern is None:
            return self._pulled(node, grads)
        through_all = (True,) * len(grads)
        rows = [*pattern, *[through_all] * (len(node.inputs) - self.count)]
        found = {
            row: self._pulled(
                node, [g if ok else None for g, ok in zip(grads, row, strict=True)]
            )
            for row in dict.fromkeys(rows)
        }
        return [found[row][i] for i, row in enumerate(rows)]

    def _pulled(self, node: Apply, grads: Grads) -> list[Variable | None]:
        """The gradients of the graph: one node that computes them all."""
        body = self.body
        given = tuple(g is not None for g in grads)
        wanted = tuple(
            any(ok and g for ok, g in zip(row, given, strict=True))
            for row in body.connected
        )
        if not any(wanted):
            return [None] * len(wanted)
        key = ("pull", given)
        if key not in body.derived:
            body.derived[key] = self._pullback(given, wanted)
        op = body.derived[key]
        values = [g for g in grads if g is not None]
        made = iter(op.make_node(*node.inputs, *values).outputs)
        inner = iter(op.body.outputs)
        return [
            _in_sight(next(inner), next(made), v) if want else None
            for v, want in zip(node.inputs, wanted, strict=True)
        ]

    def _pullback(self, given: Sequence[bool], wanted: Sequence[bool]) -> OpFromGraph:
        body = self.body
        grads = [
            Variable(v.type, None if v.name is None else f"g_{v.name}")
            for v, is_given in zip(body.outputs, given, strict=True)
            if is_given
        ]
        starts: dict[Variable, Variable] = {}
        ends = [v for v, is_given in zip(body.outputs, given, strict=True) if is_given]
        for v, g in zip(ends, grads, strict=True):
            starts[v] = add(starts[v], g) if v in starts else g
        wrt = [v for v, want in zip(body.inputs, wanted, strict=True) if want]
        found = walk(starts, wrt, whole=False)
        results = [
            found[v] if v in found else fill(v, as_variable(0, v.dtype)) for v in wrt
        ]
        return OpFromGraph.of(
            Body([*body.inputs, *grads], results), f"{self.title}_grad"
        )

    def jvp(
        self, node: Apply, tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None] | None:
        """The overrides', else those of the graph; of overridden gradients the transposed map."""
        own = self.overrides.push
        n = self.count
        if own is None:
            overridden = self.overrides.pull is not None or self.overrides.pattern
            return None if overridden else self._pushed(node, tangents)
        given = list(node.inputs[:n]), list(tangents[:n])
        if callable(own):
            results = list(own(*given))
            if len(results) != len(node.outputs):
                raise GradientError(
                    f"rop_overrides of {self} gave {len(results)} tangents for "
                    f"{len(node.outputs)} outputs."
                )
        else:
            derived = self._pushed(node, tangents) if None in own else []
            results = [
                derived[i] if f is None else f(*given) for i, f in enumerate(own)
            ]
        return [None if t is None else as_variable(t) for t in results]

    def _pushed(self, node: Apply, tangents: Grads) -> list[Variable | None]:
        """The tangents of the graph's outputs: one node that computes them all."""
        body = self.body
        given = tuple(t is not None for t in tangents)
        reached = [
            any(row[i] and t for row, t in zip(body.connected, given, strict=True))
            for i in range(len(body.outputs))
        ]
        if not any(reached):
            return [None] * len(reached)
        key = ("push", given)
        if key not in body.derived:
            body.derived[key] = self._pushforward(given, reached)
        values = [t for t in tangents if t is not None]
        made = iter(body.derived[key].make_node(*node.inputs, *values).outputs)
        return [next(made) if reach else None for reach in reached]

    def _pushforward(
        self, given: Sequence[bool], reached: Sequence[bool]
    ) -> OpFromGraph:
        body = self.body
        changing = [
            v for v, is_given in zip(body.inputs, given, strict=True) if is_given
        ]
        tangents = [Variable(v.type) for v in changing]
        found = push(body.outputs, dict(zip(changing, tangents, strict=True)))
        results = [
            fill(v, as_variable(0, v.dtype)) if t is None else t
            for v, t, reach in zip(body.outputs, found, reached, strict=True)
            if reach
        ]
        return OpFromGraph.of(
            Body([*body.inputs, *tangents], results), f"{self.title}_jvp"
        )

    def __str__(self) -> str:
        return self.title


def _or_zeros(outputs: Sequence[Variable], grads: Grads) -> Grads:
    """Gradients for functions that do not expect ``None`` for zero."""
    return [
        fill(v, as_variable(0, v.dtype)) if g is None and v.type.is_float else g
        for v, g in zip(outputs, grads, strict=True)
    ]


def _in_sight(inner: Variable, made: Variable, variable: Variable) -> Variable:
    """A gradient, one that does not exist where people look for it: not inside a graph."""
    if not is_undefined(inner):
        return made
    assert inner.owner is not None
    return inner.owner.op(variable)


def _own_sizes(v: Variable, inferred: Sequence[Size | None] | None) -> Sizes:
    """Sizes as far as they are inferred, else as they are asked from the variable."""
    own = sizes_of(v)
    if inferred is None:
        return own
    return tuple(o if s is None else s for o, s in zip(own, inferred, strict=True))


# --- for many values at once -------------------------------------------------------------


@batch_rule(OpFromGraph)
def batch_graph(b: Batch) -> Sequence[Variable]:
    """Another op of the batched graph; derivatives that were given are batched, too."""
    op = b.node.op
    assert isinstance(op, OpFromGraph)
    batched = tuple(b.extra(i) > 0 for i in range(len(b.inputs)))
    replace = {
        own: Variable(new.type, own.name)
        for own, new, many in zip(op.body.inputs, b.inputs, batched, strict=True)
        if many
    }
    outputs = vectorize_graph(op.body.outputs, replace)
    body = Body([replace.get(v, v) for v in op.body.inputs], outputs)
    overrides = _batched(op, Blockwise(op, b.count, batched))
    return OpFromGraph.of(body, op.title, overrides).make_node(*b.inputs).outputs


def _batched(op: OpFromGraph, single: Blockwise) -> Overrides:
    if op.overrides == NONE:
        return NONE
    return Overrides(
        _PullEach(single), None if op.overrides.push is None else _PushEach(single)
    )


@dataclass(frozen=True)
class _PullEach:
    """The gradients of an op for each of many values."""

    single: Blockwise

    def __call__(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], grads: Grads
    ) -> Sequence[Variable | None]:
        assert outputs[0].owner is not None
        return self.single.vjp(outputs[0].owner, *grads)


@dataclass(frozen=True)
class _PushEach:
    """The tangents of an op for each of many values."""

    single: Blockwise

    def __call__(self, inputs: Sequence[Variable], tangents: Grads) -> Grads:
        core = self.single.core_node(inputs)
        given = [
            None if t is None else Variable(v.type)
            for t, v in zip(tangents, core.inputs, strict=True)
        ]
        found = self.single.core.jvp(core, given)
        assert found is not None
        replace = {
            one: many
            for one, many in (
                *zip(core.inputs, inputs, strict=True),
                *zip(given, tangents, strict=True),
            )
            if one is not None and many is not None and one is not many
        }
        made = iter(vectorize_graph([t for t in found if t is not None], replace))
        return [None if t is None else next(made) for t in found]
