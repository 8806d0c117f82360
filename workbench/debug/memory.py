"""How much memory a call of a compiled function takes, and what shares it with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from workbench.compile.callable import Function
from workbench.compile.failures import bytes_text
from workbench.compile.pipeline import CProgram
from workbench.core.evaluate import evaluate
from workbench.core.graph import Shared, Variable
from workbench.core.op import Sizes


@dataclass(frozen=True)
class Block:
    """A piece of memory and the values that lie in it, one after the other.

    Attributes
    ----------
    kind
        ``"argument"``, ``"shared"``, ``"constant"``, ``"output"``, ``"workspace"``, or
        ``"host"`` for what an operation that NumPy runs returns.
    nbytes
        What the largest of its values needs.
    values
        What lies in it, in order, each with its own bytes.
    """

    kind: str
    nbytes: int
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Memory:
    """The memory of one call.

    Attributes
    ----------
    blocks
        Every piece of memory.
    in_place
        Bytes of values that were written over others.
    """

    blocks: tuple[Block, ...]
    in_place: int

    @property
    def peak(self) -> int:
        """Bytes that are in use at the same time, arguments and shared variables included."""
        return sum(block.nbytes for block in self.blocks)

    @property
    def workspace(self) -> int:
        """Bytes of values that are neither arguments nor results; they stay with the function."""
        return self._of("workspace") + self._of("host")

    @property
    def unshared(self) -> int:
        """Bytes if every value had memory of its own."""
        return sum(n for block in self.blocks for _, n in block.values)

    def _of(self, kind: str) -> int:
        return sum(block.nbytes for block in self.blocks if block.kind == kind)

    def rows(self) -> list[tuple[str, str, str]]:
        """A row a block: what it is, its size, and what lies in it."""
        return [
            (
                block.kind,
                bytes_text(block.nbytes),
                ", ".join(n for n, _ in block.values),
            )
            for block in sorted(self.blocks, key=lambda b: -b.nbytes)
        ]

    def summary(self) -> str:
        """The totals in one line."""
        return (
            f"peak {bytes_text(self.peak)}: workspace {bytes_text(self.workspace)}, "
            f"{bytes_text(self.unshared - self.peak)} saved by sharing, "
            f"{bytes_text(self.in_place)} of them in place"
        )

    def __str__(self) -> str:
        lines = [
            f"{size:>10}  {kind:<10}  {names}" for kind, size, names in self.rows()
        ]
        return "\n".join([self.summary(), *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows()
        )
        head = "<tr><th>memory</th><th>size</th><th>values in it</th></tr>"
        return f"<p>{escape(self.summary())}</p><table>{head}{rows}</table>"


def memory(function: Function, *args: Any) -> Memory:
    """How much memory a call with these arguments takes, by what the compiler planned.

    Nothing is run but what decides sizes.

    Parameters
    ----------
    function
        One that was compiled to C.
    args
        Arrays as for a call.

    Raises
    ------
    ValueError
        The function runs on NumPy: each of its values has memory of its own.

    Examples
    --------
    >>> import numpy as np, workbench as wb, workbench.tensor as T
    >>> x = T.matrix("x")
    >>> f = wb.function([x], T.dot(x, x).sum())
    >>> wb.memory(f, np.ones((100, 100))).workspace
    80000
    """
    program = function.program
    if program is None:
        raise ValueError(
            f"{function.name} runs on NumPy, where every value has memory of its own; "
            "compile it in mode FAST_RUN to see what is planned."
        )
    arrays = function.conform(args, {})
    bytes_of = _bytes(program, arrays)
    plan = program.plan
    names = {v: v.name or v.label() for v in plan.storage}
    blocks: dict[int, list[Variable]] = {}
    kinds: dict[int, str] = {}
    for variable, place in plan.storage.items():
        key = place.number if place.kind == "slot" else -1 - id(place)
        blocks.setdefault(key, []).append(variable)
        kinds[key] = _kind(place.kind, blocks[key][0], program)
    return Memory(
        tuple(
            Block(
                kinds[key],
                max(bytes_of[v] for v in values),
                tuple((names[v], bytes_of[v]) for v in values),
            )
            for key, values in blocks.items()
        ),
        sum(bytes_of[v] for v in plan.in_place),
    )


def _kind(kind: str, variable: Variable, program: CProgram) -> str:
    if kind != "input":
        return "workspace" if kind == "slot" else kind
    if variable in program.graph.inputs:
        return "argument"
    return "shared" if isinstance(variable, Shared) else "constant"


def _bytes(program: CProgram, arrays: Sequence[Any]) -> dict[Variable, int]:
    """The bytes of every value that lies in memory."""
    plan, schedule = program.plan, program.schedule
    sizes: dict[Variable, Sizes] = {}
    unknown: dict[Variable, None] = {}
    for variable in plan.storage:
        sizes[variable], _ = plan.bytes_of(variable, schedule)
        unknown.update((s, None) for s in sizes[variable] if not isinstance(s, int))
    given = dict(zip(program.graph.inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        found = evaluate(list(unknown), given) if unknown else []
    known = {s: int(value) for s, value in zip(unknown, found, strict=True)}
    made = {}
    for variable, shape in sizes.items():
        elements = [s if isinstance(s, int) else known[s] for s in shape]
        made[variable] = variable.type.itemsize * int(np.prod(elements, dtype=np.int64))
    return made
