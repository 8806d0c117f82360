"""Graphs as bytes: variables and operations under ``pickle`` and ``copy.deepcopy``.

A graph of any depth is saved without recursion. A variable that is computed stands for the
list of all operations behind it, each after those it needs; while one of them is saved, all
it refers to has been saved before. A leaf is saved as it is; what names a place of the
user's code keeps its text.

Saved with a variable are its name, its tag and the attributes a user gave it, but no
functions compiled for :meth:`eval`. A pickle runs code when it is loaded: load none that
you would not run.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from workbench.core.graph import Apply, Constant, Variable
from workbench.core.source import Origin
from workbench.core.types import TensorType

DERIVED = ("owner", "index", "_signature", "uniform")
"""What a variable holds that follows from the rest, or from its place in the graph."""

NOT_SAVED = "eval_functions"
"""The entry of a tag that is made anew when it is needed."""


def creation_order(variable: Variable) -> list[Apply]:
    """The operations behind a variable, each after what it reads and what it was made for.

    Unlike a sort of the graph alone, it holds the operations that origins name.
    """
    assert variable.owner is not None
    order: dict[Apply, None] = {}
    stack = [(variable.owner, False)]
    entered = set()
    while stack:
        node, is_done = stack.pop()
        if is_done:
            order.setdefault(node)
            continue
        if node in entered:
            continue
        entered.add(node)
        stack.append((node, True))
        needed = [v.owner for v in node.inputs]
        needed += [node.origin.forward, node.origin.replaces]
        stack += [(n, False) for n in reversed(needed) if n and n not in entered]
    return list(order)


def _reduce_variable(self: Variable, protocol: Any) -> Any:
    if self.owner is not None:
        return _output, (creation_order(self), self.owner, self.index)
    return _leaf, (type(self),), _state(self)


def _state(variable: Variable) -> dict[str, Any]:
    """What a variable holds beside its place in the graph."""
    state = {k: v for k, v in vars(variable).items() if k not in DERIVED}
    if NOT_SAVED in vars(variable.tag):
        kept = {k: v for k, v in vars(variable.tag).items() if k != NOT_SAVED}
        state["tag"] = type(variable.tag)(**kept)
    return state


def _leaf(kind: type[Variable]) -> Variable:
    leaf = kind.__new__(kind)
    leaf.owner, leaf.index = None, 0
    return leaf


def _output(order: list[Apply], node: Apply, index: int) -> Variable:
    return node.outputs[index]


def _reduce_apply(self: Apply, protocol: Any) -> Any:
    inputs = [v if v.owner is None else (v.owner, v.index) for v in self.inputs]
    origin = self.origin
    made_for = (origin.place, origin.forward, origin.replaces, origin.rule)
    types = [v.type for v in self.outputs]
    told = [(i, _told(v)) for i, v in enumerate(self.outputs) if _is_told(v)]
    return _apply, (self.op, inputs, types, made_for, *told)


def _is_told(output: Variable) -> bool:
    """Whether a user said something about a computed variable: a name, a tag, an attribute."""
    return bool(
        output.name or vars(output.tag) or len(vars(output)) > len(vars(_PLAIN))
    )


def _told(output: Variable) -> dict[str, Any]:
    return {k: v for k, v in _state(output).items() if k not in ("type", "place")}


def _apply(
    op: Any,
    inputs: list[Any],
    types: list[TensorType],
    origin: tuple[Any, ...],
    *told: tuple[int, dict[str, Any]],
) -> Apply:
    node = Apply.__new__(Apply)
    node.op = op
    node.inputs = tuple(v[0].outputs[v[1]] if type(v) is tuple else v for v in inputs)
    node.origin = Origin(*origin)
    made = []
    for index, kind in enumerate(types):
        variable = Variable.__new__(Variable)
        variable.__dict__ = {
            "type": kind,
            "name": None,
            "owner": node,
            "index": index,
            "tag": SimpleNamespace(),
            "place": None,
        }
        made.append(variable)
    node.outputs = tuple(made)
    for index, state in told:
        vars(made[index]).update(state)
    return node


_PLAIN = Variable(TensorType("bool", ()))


def _set_constant(self: Constant, state: dict[str, Any]) -> None:
    self.__dict__.update(state)
    self.data.setflags(write=False)  # which a saved array does not know of itself


def attach() -> None:
    """Give variables and operations their way of being saved."""
    setattr(Variable, "__reduce_ex__", _reduce_variable)  # noqa: B010
    setattr(Apply, "__reduce_ex__", _reduce_apply)  # noqa: B010
    setattr(Constant, "__setstate__", _set_constant)  # noqa: B010
