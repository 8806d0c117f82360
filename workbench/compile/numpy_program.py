"""A function run by NumPy: the graph as a list of operations, one after the other.

It is what FAST_COMPILE runs, and what a function falls back on where nothing can be compiled.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from workbench.compile import failures
from workbench.compile.record import Graph
from workbench.core.errors import WorkbenchError
from workbench.core.evaluate import demanded, has_choice, run_node
from workbench.core.graph import Apply, Constant, Shared, Variable, graph_inputs
from workbench.core.types import Array

if TYPE_CHECKING:
    from workbench.compile.callable import Function


Work = tuple[Apply, list[int], list[int]]
"""An operation, the places of what it takes, and those of what it gives."""


@dataclass(frozen=True)
class _Known:
    """The values at their places as a mapping of variables."""

    places: dict[Variable, int]
    values: list[Any]

    def __contains__(self, variable: Variable) -> bool:
        return self[variable] is not None

    def __getitem__(self, variable: Variable) -> Any:
        return self.values[self.places[variable]]


class NumpyProgram:
    """A graph as a list of operations that NumPy runs one after the other.

    Where the graph holds choices it is asked before each operation which one is needed next.
    """

    def __init__(self, function: Function, graph: Graph) -> None:
        self.function = function
        self.graph = graph
        self.places: dict[Variable, int] = {}
        self.work: list[Work] = []
        for variable in graph_inputs(graph.results, graph.inputs):
            self._place(variable)
        for variable in graph.inputs:
            self._place(variable)
        for node in graph.nodes():
            takes = [self._place(v) for v in node.inputs]
            self.work.append((node, takes, [self._place(v) for v in node.outputs]))
        self.numbers = {node: number for number, (node, _, _) in enumerate(self.work)}
        self.has_choice = has_choice(self.numbers)
        self.leaves = [
            (k, v) for v, k in self.places.items() if isinstance(v, Constant | Shared)
        ]
        self.results = [self.places[v] for v in graph.results]
        self._lock, self._pid = threading.RLock(), os.getpid()

    def _place(self, variable: Variable) -> int:
        return self.places.setdefault(variable, len(self.places))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run every operation, then commit all updates at once."""
        arrays = self.function.admit(args, kwargs)
        with self.turn():
            return self._run(arrays)

    def turn(self) -> AbstractContextManager[Any]:
        """Calls with updates come one after the other."""
        return self.alone() if self.graph.updates else nullcontext()

    def alone(self) -> AbstractContextManager[Any]:
        """While a thread is in here no other one is, nor in a call with updates.

        A forked process starts anew: the thread that holds the lock does not exist there.
        """
        if self._pid != os.getpid():
            self._lock, self._pid = threading.RLock(), os.getpid()
        return self._lock

    def _run(self, arrays: Sequence[Array]) -> Any:
        values: list[Any] = [None] * len(self.places)
        for variable, array in zip(self.graph.inputs, arrays, strict=True):
            values[self.places[variable]] = array
        for place, leaf in self.leaves:
            values[place] = leaf.data if isinstance(leaf, Constant) else leaf.storage[0]
        node: Apply | None = None
        try:
            for node, takes, gives in self._needed(values):
                made = run_node(node, [values[k] for k in takes])
                for place, array in zip(gives, made, strict=True):
                    values[place] = array
            node, taken = None, set[int]()
            results = [self._own(values[k], arrays, taken) for k in self.results]
        except (WorkbenchError, MemoryError) as error:
            live = [
                (v, values[k]) for v, k in self.places.items() if values[k] is not None
            ]
            raise failures.explained(self.function, error, node, arrays, live) from None
        n = len(self.graph.outputs)
        storages = [shared.storage for shared, _ in self.graph.updates]
        # One C-level loop: no bytecode runs between two exchanges, so no interrupt either.
        deque(map(list.__setitem__, storages, repeat(0), results[n:]), maxlen=0)
        return results[0] if self.function.is_single else results[:n]

    def _needed(self, values: list[Any]) -> Iterable[Work]:
        """The operations to run, each after those it takes something from."""
        return self._demanded(values) if self.has_choice else self.work

    def _demanded(self, values: list[Any]) -> Iterator[Work]:
        for node in demanded(self.graph.results, _Known(self.places, values)):
            yield self.work[self.numbers[node]]

    def _own(self, array: Array, arguments: Sequence[Array], taken: set[int]) -> Array:
        """A result in memory nobody else holds: views, arguments and repeated results are copied."""
        if (
            array.base is not None
            or not array.flags.writeable
            or id(array) in taken
            or not array.flags.c_contiguous
        ):
            array = array.copy()
        elif any(array is a for a in arguments) or any(
            array is s.storage[0] for s in self._shared()
        ):
            array = array.copy()
        taken.add(id(array))
        return array

    def _shared(self) -> list[Shared]:
        return [leaf for _, leaf in self.leaves if isinstance(leaf, Shared)]
