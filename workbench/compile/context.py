"""What a rule may ask beyond the operation it looks at: sizes, readers, what exists.

Sizes are traced back to those of the function's arguments and merged as they are found,
so that two axes are known to be equally long when their sizes are one variable.

Read next: :mod:`workbench.compile.rewrite`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.compile.matching import SMALL
from workbench.core import source
from workbench.core.graph import Apply, Constant, Shared, Variable, toposort
from workbench.core.op import Op, Size, Sizes, settled_sizes
from workbench.core.ops.bodies import Body
from workbench.core.ops.shape import BroadcastTo, SizeOf, size_variable

Alike = tuple[tuple[int | tuple[int, int] | None, ...], ...]
"""For each input of a body, axis by axis, how long it is, or which axis of which input is as long."""


@dataclass
class Context:
    """What a rule may ask: inferred sizes, who reads a variable, what exists already.

    `readers` counts the readers in the graph that entered the pass, outputs included;
    nodes made during the pass are not in it. `updated` says which shared variable a new
    value is for. A rule that asks for something beyond the node and what is below it
    goes through a method that notes so in `looked_around`: it is asked again in the
    next pass.

    Of a graph with loops more is known. `nodes` are its operations; `stands_for` has, for an
    output of a loop or what stands for it by now, that output in the graph that entered the
    pass; `is_merged` says whether equal operations of that graph were one. `alike` says which
    sizes of inputs are equal, for the body of a loop, whose inputs are parts of what is
    around it; `rewritten` gives a body rewritten by the rules of the pass.
    """

    table: dict[Any, Any] = field(default_factory=dict)  # what was merged into what
    done: dict[Variable, Variable] = field(default_factory=dict)  # what became of it
    known_sizes: dict[Variable, Sizes] = field(default_factory=dict)
    readers: dict[Variable, int] = field(default_factory=dict)
    results: frozenset[Variable] = frozenset()
    updated: dict[Variable, Shared] = field(default_factory=dict)
    looked_around: bool = False
    nodes: Sequence[Apply] = ()
    stands_for: dict[Variable, Variable] = field(default_factory=dict)
    is_merged: bool = False
    alike: Mapping[tuple[Variable, int], int | tuple[Variable, int]] = field(
        default_factory=dict
    )
    rewritten: Callable[[Body, Alike], Body] = field(default=lambda body, alike: body)
    _clients: dict[Variable, list[Apply]] | None = None

    # --- why not

    def refuse(self, reason: str, *about: Variable) -> None:
        """Say which precondition failed; returns None, as a rule then does.

        ``{}`` in the reason stands for the label of a variable. Nobody listens while a
        graph is rewritten; :mod:`workbench.compile.refusals` does.
        """

    # --- readers

    def read_once(self, variable: Variable) -> bool:
        """Whether nobody else reads a variable, as far as is known."""
        self.looked_around = True
        return self.readers.get(variable, 1) < 2

    def clients(self, variable: Variable) -> list[Apply | None]:
        """Who reads a variable of the graph that entered the pass; ``None`` for a caller."""
        self.looked_around = True
        if self._clients is None:
            self._clients = {}
            for node in self.nodes:
                for v in dict.fromkeys(node.inputs):
                    self._clients.setdefault(v, []).append(node)
        found: list[Apply | None] = [*self._clients.get(variable, ())]
        return found + [None] * (variable in self.results)

    def shared_of(self, variable: Variable) -> Shared | None:
        """The shared variable whose next value this is."""
        self.looked_around = True
        return self.updated.get(variable)

    # --- sizes

    def sizes(self, variable: Variable) -> Sizes:
        """The sizes of a variable in terms of those of the arguments, merged.

        Two axes of equal length have the same entry (the same int, the same variable)
        as far as that is known from the ops alone.
        """
        pending = [] if variable in self.known_sizes else [variable]
        while pending:
            current = pending[-1]
            if current in self.known_sizes:
                pending.pop()
                continue
            node = None if None not in current.type.shape else current.owner
            missing = (
                []
                if node is None
                else [v for v in node.inputs if v not in self.known_sizes]
            )
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            self._infer(current, node)
        sizes = self.known_sizes[variable]
        if not self.looked_around:
            # Computed sizes may be rewritten later, and then be known to be equal.
            for size in sizes:
                if not isinstance(size, int) and (
                    size.owner is None or not isinstance(size.owner.op, SizeOf)
                ):
                    self.looked_around = True
        return sizes

    def _infer(self, variable: Variable, node: Apply | None) -> None:
        if node is None:
            self.known_sizes[variable] = self._own_sizes(variable)
            return
        inferred = node.op.infer_shape(node, [self.known_sizes[v] for v in node.inputs])
        for output, sizes in zip(node.outputs, inferred, strict=True):
            self.known_sizes[output] = settled_sizes(
                output, sizes, self._own_size, self._canonical
            )

    def _own_sizes(self, variable: Variable) -> Sizes:
        return tuple(
            size if size is not None else self._own_size(variable, axis)
            for axis, size in enumerate(variable.type.shape)
        )

    def _own_size(self, variable: Variable, axis: int) -> Size:
        same = self.alike.get((variable, axis), (variable, axis))
        if isinstance(same, int):
            return same
        variable, axis = same
        return self.merged(SizeOf(axis)(variable))

    def _canonical(self, size: Size) -> Size:
        if isinstance(size, int):
            return size
        size = self.merged(size)
        size = self.done.get(size, size)
        while size.owner is not None and isinstance(size.owner.op, SizeOf):
            source_sizes = self.known_sizes.get(size.owner.inputs[0])
            if source_sizes is None:
                break
            inner = source_sizes[size.owner.op.axis]
            if isinstance(inner, int) or inner is size:
                return inner
            size = inner
        return int(size.data) if isinstance(size, Constant) else size

    def same_size(self, a: Size, b: Size) -> bool:
        """Whether two sizes are known to be equal."""
        return a is b or (isinstance(a, int) and isinstance(b, int) and a == b)

    def same_sizes(self, a: Variable, b: Variable) -> bool:
        """Whether two variables are known to have one shape."""
        return a.ndim == b.ndim and all(
            map(self.same_size, self.sizes(a), self.sizes(b))
        )

    def agree(self, node: Apply) -> bool:
        """Whether the inputs of an elementwise node are known to fit.

        Where they are not, the operation is also the check that they do: none may go.
        """
        for axis in range(node.outputs[0].ndim):
            sizes = [
                self.sizes(v)[axis] for v in node.inputs if v.type.shape[axis] != 1
            ]
            if not all(self.same_size(size, sizes[0]) for size in sizes[1:]):
                return False
        return True

    def stretches(self, small: Variable, large: Variable) -> bool:
        """Whether each axis of `small` is known to be 1, or as long as in `large`."""
        return small.ndim <= large.ndim and all(
            static == 1 or self.same_size(a, b)
            for static, a, b in zip(
                reversed(small.type.shape),
                reversed(self.sizes(small)),
                reversed(self.sizes(large)),
                strict=False,
            )
        )

    def stretched(self, value: Variable, like: Variable) -> Variable:
        """`value`, of the rank of `like`, in its shape."""
        if self.same_sizes(value, like):
            return value
        return BroadcastTo(like.ndim)(value, *map(size_variable, self.sizes(like)))

    # --- what exists

    def merged(self, variable: Variable) -> Variable:
        """The one representative of all variables equal to this by construction."""
        if isinstance(variable, Constant):
            return self.constant(variable)
        if variable in self.table or variable.owner is None:
            return self.table.get(variable, variable)  # type: ignore[no-any-return]
        for node in toposort([variable], self.table):
            self._merge_node(node)
        return self.table.get(variable, variable)  # type: ignore[no-any-return]

    def _merge_node(self, node: Apply) -> None:
        inputs = tuple(
            [
                self.constant(v) if isinstance(v, Constant) else self.table.get(v, v)
                for v in node.inputs
            ]
        )
        key = key_of(node.op, inputs)
        known = self.table.get(key)
        if known is None:
            known = node
            if inputs != node.inputs:
                with source.made_for(node.origin):
                    known = node.op.make_node(*inputs)
            self.table[key] = known
        for old, new in zip(node.outputs, known.outputs, strict=True):
            self.table[old] = new
            self.table[new] = new

    def existing(self, op: Op, *inputs: Variable) -> Variable | None:
        """What stands for `op` of these inputs, if it was met in this pass."""
        self.looked_around = True
        known = self.table.get(key_of(op, inputs))
        return None if known is None else self.done.get(known.outputs[0])

    def constant(self, variable: Constant) -> Constant:
        """The one constant of this type and value; a large one stands for itself."""
        known = self.table.get(variable)
        if known is None:
            key = variable.signature() if variable.data.size <= SMALL else variable
            known = self.table[variable] = self.table.setdefault(key, variable)
        return known  # type: ignore[no-any-return]


def key_of(op: Op, inputs: tuple[Variable, ...]) -> tuple[Any, ...]:
    """What two equal operations have in common."""
    # Ops without fields all hash alike; their class tells them apart.
    return type(op), op, inputs
