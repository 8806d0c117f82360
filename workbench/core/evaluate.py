"""A graph run in NumPy, op by op: the meaning that every back end must match.

Nothing is rewritten and nothing is reused; each node runs its reference and the results are
fitted to the declared types. What only a branch needs that an
:class:`~workbench.core.ops.control.IfElse` does not take is not run at all. It is also how
FAST_COMPILE runs a function, and what the C back end falls back on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from workbench.core.errors import MissingInputError, WorkbenchError
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    graph_inputs,
    toposort,
)
from workbench.core.ops.control import IfElse
from workbench.core.source import Location
from workbench.core.types import Array


def evaluate(
    outputs: Sequence[Variable],
    values: Mapping[Variable, Any],
    run: Callable[[Apply, Sequence[Any]], Sequence[Array]] | None = None,
) -> list[Array]:
    """The values of `outputs` for given values of other variables.

    Parameters
    ----------
    outputs
        What to compute.
    values
        A value for every input; given values of intermediate variables are taken as they are.
    run
        What runs one node on its inputs; :func:`run_node` by default.

    Raises
    ------
    MissingInputError
        An input has no value.
    """
    known: dict[Variable, Array] = {v: v.type.filter(a) for v, a in values.items()}
    for leaf in graph_inputs(outputs, known):
        if leaf not in known:
            known[leaf] = _leaf_value(leaf)
    order, run = toposort(outputs, known), run or run_node
    for node in demanded(outputs, known) if has_choice(order) else order:
        results = run(node, [known.get(v) for v in node.inputs])
        known.update(zip(node.outputs, results, strict=True))
    return [known[v] for v in outputs]


def has_choice(nodes: Iterable[Apply]) -> bool:
    """Whether it depends on values which of the nodes are needed."""
    return any(isinstance(node.op, IfElse) for node in nodes)


class Values(Protocol):
    """What is known so far, by variable."""

    def __contains__(self, variable: Variable, /) -> bool: ...

    def __getitem__(self, variable: Variable, /) -> Any: ...


def demanded(outputs: Sequence[Variable], known: Values) -> Iterator[Apply]:
    """The nodes that `outputs` need, one by one, each after those it needs.

    Whoever asks runs the node and puts its values into `known` before asking for the next:
    which branch of a choice is needed is looked up there. The value of the other branch, an
    input of the node, may never be known.
    """
    done: set[Apply] = set()
    for output in outputs:
        if output.owner is None or output.owner in done or output in known:
            continue
        stack = [(output.owner, _needs(output.owner, known))]
        while stack:
            node, needs = stack[-1]
            for needed in needs:
                owner = needed.owner
                if owner is not None and owner not in done and needed not in known:
                    stack.append((owner, _needs(owner, known)))
                    break
            else:
                stack.pop()
                done.add(node)
                yield node


def _needs(node: Apply, known: Values) -> Iterator[Variable]:
    """The inputs that a node needs; for a choice, once the condition is known, one branch."""
    if not isinstance(node.op, IfElse):
        yield from node.inputs
        return
    condition, x, y = node.inputs
    yield condition
    yield (
        x
        if (condition.data if isinstance(condition, Constant) else known[condition])
        else y
    )


def run_node(node: Apply, inputs: Sequence[Any]) -> list[Array]:
    """The reference of one node; an error says the user's line.

    The inputs are arrays, but for ``None`` in place of a branch that is not taken.
    """
    try:
        return node.op.evaluate(node, inputs)
    except WorkbenchError as error:
        if error.node is None:
            error.node, error.inputs, error.line = node, inputs, node.origin.location
        raise
    except Exception as error:
        place = node.origin.location
        error.add_note(f"in {node.op}{_at(place)}")
        raise


def _at(place: Location | None) -> str:
    return "" if place is None else f", {place}"


def _leaf_value(leaf: Variable) -> Array:
    if isinstance(leaf, Constant):
        return leaf.data
    if isinstance(leaf, Shared):
        return leaf.storage[0]
    raise MissingInputError(
        f"the value of {leaf.label()}: {leaf.type} is needed but was not given."
    )
