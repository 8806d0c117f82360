"""What a caller has to know of a compiled program beside its library.

Numbers and types alone, so that they can be kept in a file and serve where the graph was
not planned again.

Read next: :mod:`workbench.compile.c.runner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.compile.c.runner import Runner, make_runner
from workbench.compile.c.toolchain import Module
from workbench.core.graph import Constant, Shared, Variable

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Interface:
    """The numbers and types by which a program is called.

    Attributes
    ----------
    arguments, leaves
        dtype and shape of each argument, then of each shared variable and constant that the
        program reads in memory.
    outputs
        dtype and number of axes of what it makes: results, then new values.
    updates
        Pairs of the number of a leaf and of the output that replaces its array.
    in_place
        The leaves that the program itself writes to.
    first_commit
        The step from which on it does.
    n_visible, n_slots, n_values, n_sizes, n_steps
        How many results it returns, and how many of each thing it has.
    strided
        For each argument what it relies on where it need not be contiguous.
    """

    arguments: tuple[tuple[str, Shape], ...]
    leaves: tuple[tuple[str, Shape], ...]
    outputs: tuple[tuple[str, int], ...]
    updates: tuple[tuple[int, int], ...]
    in_place: tuple[int, ...]
    first_commit: int
    n_visible: int
    n_slots: int
    n_values: int
    n_sizes: int
    n_steps: int
    strided: tuple[int, ...]

    def runner(
        self,
        module: Module,
        arguments: Sequence[Variable],
        leaves: Sequence[Variable],
        **how: Any,
    ) -> Runner:
        """The program as a function of arrays.

        Parameters
        ----------
        arguments, leaves
            The variables themselves: their names for messages, and where values are kept.
        **how
            What else :func:`~workbench.compile.c.runner.make_runner` takes.
        """
        return make_runner(
            module,
            arguments=[
                (v.name or f"argument {k}", *form)
                for k, (v, form) in enumerate(
                    zip(arguments, self.arguments, strict=True)
                )
            ],
            shared=[
                (_storage(v), *form)
                for v, form in zip(leaves, self.leaves, strict=True)
            ],
            shared_names=[
                v.name or f"shared variable {k}" for k, v in enumerate(leaves)
            ],
            outputs=self.outputs,
            updates=self.updates,
            in_place=self.in_place,
            first_commit=self.first_commit,
            n_visible=self.n_visible,
            n_slots=self.n_slots,
            n_values=self.n_values,
            n_sizes=self.n_sizes,
            n_steps=self.n_steps,
            strided=self.strided,
            **how,
        )


def _storage(variable: Variable) -> list[Any]:
    if isinstance(variable, Shared):
        return variable.storage
    assert isinstance(variable, Constant)
    return [np.require(variable.data, requirements=["C", "A"])]
