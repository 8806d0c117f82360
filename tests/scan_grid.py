"""Loops of every kind, against a loop in Python.

A :class:`Cell` is one combination: steps, taps, sequences, condition, direction, truncated
gradient, a loop within, a shared variable, which results are used. :func:`run_cells` compiles
many as one function and compares values, sizes, dtypes, updates and gradients. A gradient is
compared with the complex step: the imaginary part of the cost, when inputs are given one of
1e-30, is the derivative to the last digit (Squire and Trapp, 1998).

``python -m tests.scan_grid FAST_COMPILE 1`` runs every cell, ``7`` every seventh.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any

import numpy as np

import workbench as wb
import workbench.tensor as T
from workbench.core.graph import Shared, Variable

Array = np.ndarray

SIZE = 3
KEPT = 2  # steps that a truncated gradient goes back
TINY = 1e-30
TOGETHER = 24  # cells compiled as one function
CHOICES = {
    "steps": (0, 1, 2, 7, 1000),
    "taps": ((-1,), (-3, -1), ()),
    "sequences": (0, 1, 2),
    "until": ("no condition", "never", "first", "middle", "last"),
    "backwards": (False, True),
    "truncated": (False, True),
    "nested": (False, True),
    "shared": (False, True),
    "used": ("all", "last", "none"),
}


@dataclass(frozen=True)
class Cell:
    """One combination of the grid."""

    steps: int
    taps: tuple[int, ...]
    sequences: int
    until: str
    backwards: bool
    truncated: bool
    nested: bool
    shared: bool
    used: str

    @property
    def has_meaning(self) -> bool:
        """Whether it differs from the others."""
        if self.truncated and self.used == "none":
            return False
        return self.steps > 0 or self.until in ("no condition", "never")

    @property
    def is_error(self) -> bool:
        """Whether it asks for the last result of no steps."""
        return self.steps == 0 and self.used == "last"

    @property
    def stop(self) -> int:
        """After how many steps the condition holds."""
        n = self.steps
        numbers = {"first": 1, "middle": (n + 1) // 2, "last": n}
        return numbers.get(self.until, n + 5)

    @property
    def done(self) -> int:
        """How many steps it makes."""
        return min(self.steps, self.stop)

    def __str__(self) -> str:
        return ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))


def cells(every: int = 1) -> list[Cell]:
    """The grid; or one cell in so many, chosen evenly."""
    found = [Cell(*values) for values in itertools.product(*CHOICES.values())]
    return [cell for cell in found if cell.has_meaning][::every]


def groups(chosen: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells that can be compiled together: of as many steps; and one alone if it fails."""

    def key(cell: Cell) -> tuple[int, bool]:
        return cell.steps, cell.is_error

    for (_, is_error), found in itertools.groupby(sorted(chosen, key=key), key):
        alike, most = list(found), 1 if is_error else TOGETHER
        yield from (alike[i : i + most] for i in range(0, len(alike), most))


# --- what a step does, in NumPy and as a graph -------------------------------------------


def step(m: Any, rows: Sequence[Any], states: Sequence[Any], w: Any, extra: Any) -> Any:
    """The next state, and an output more, of vectors; `m` is NumPy or the tensor module."""
    mixed = 0.5 * w
    for weight, x in zip((0.3, -0.5), rows, strict=False):
        mixed = mixed + weight * x
    for weight, h in zip(
        (0.5, -0.25) if len(states) > 1 else (0.6,), states, strict=False
    ):
        mixed = mixed + weight * h
    if extra.shared is not None:
        mixed = mixed + 0.3 * extra.shared
    if extra.inner is not None:
        mixed = mixed + 0.2 * extra.inner(mixed, w)
    following = m.tanh(mixed)
    return following, m.sin(following * w)


def inner_graph(mixed: Variable, w: Variable) -> Variable:
    """A loop over the elements of a vector."""
    found, _ = wb.scan(
        lambda x, s, a: T.tanh(0.5 * s + x * a),
        sequences=mixed,
        outputs_info=w.sum(),
        non_sequences=w[0],
    )
    return found


def inner_numpy(mixed: Array, w: Array) -> Array:
    """The same in NumPy."""
    s, found = w.sum(), []
    for x in mixed:
        s = np.tanh(0.5 * s + x * w[0])
        found.append(s)
    return np.stack(found)


def cost_of(m: Any, outputs: Sequence[Any], used: str) -> Any:
    """A number to which every element contributes in its own way."""
    if used == "last":
        return sum(m.sin(v[-1] * (1 + np.arange(SIZE))).sum() for v in outputs)
    times = [m.cos(0.3 * m.arange(v.shape[0])) for v in outputs]
    return sum(
        (m.sin(v * (1 + np.arange(SIZE))) * t[:, None]).sum()
        for v, t in zip(outputs, times, strict=True)
    )


# --- the loop in Python ------------------------------------------------------------------


def arrays(steps: int) -> dict[str, Array]:
    """A value for each input of the loops of so many steps."""
    rng = np.random.default_rng(steps)
    shapes = {"x0": (steps, SIZE), "x1": (steps, SIZE), "w": (SIZE,)}
    shapes |= {"h": (SIZE,), "hs": (3, SIZE), "shared": (SIZE,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@dataclass
class Ran:
    """What a loop made: two outputs a step, the shared variable, the number of steps."""

    outputs: list[Array]
    shared: Array
    done: int


def run_python(cell: Cell, given: dict[str, Array]) -> Ran:
    """The loop in Python; what a truncated gradient takes for constant loses its imaginary part."""
    times = range(cell.steps)[::-1] if cell.backwards else range(cell.steps)
    history = list(given["hs"] if len(cell.taps) > 1 else given["h"][None])
    shared, made = given["shared"], []
    for number, t in enumerate(times):
        rows = [given[f"x{i}"][t] for i in range(cell.sequences)]
        states = [history[tap] for tap in cell.taps]
        extra = SimpleNamespace(
            shared=shared if cell.shared else None,
            inner=inner_numpy if cell.nested else None,
        )
        results = step(np, rows, states, given["w"], extra)
        after = 0.5 * shared + results[0]
        if cell.truncated and number < cell.done - KEPT:
            results, after = tuple(v.real for v in results), after.real
        made.append(results)
        history.append(results[0])
        shared = after
        if number + 1 >= cell.stop:
            break
    dtype = np.result_type(*given.values())
    stacks = [np.array([r[i] for r in made], dtype) for i in range(2)]
    return Ran(
        [v.reshape(-1, SIZE) for v in stacks],
        shared if cell.shared else given["shared"],
        len(made),
    )


def slopes(cell: Cell, given: dict[str, Array], names: Sequence[str]) -> list[Array]:
    """The derivative of the cost along a direction of each input; summed over them if long."""
    sets = [list(names)] if cell.steps > 100 else [[name] for name in names]
    found = []
    for chosen in sets:
        moved = {k: v.astype(complex) for k, v in given.items()}
        for name in chosen:
            moved[name] += 1j * TINY * directions(given)[name]
        cost = cost_of(np, run_python(cell, moved).outputs, cell.used)
        found.append(np.imag(cost) / TINY)
    return [np.asarray(v) for v in found]


def directions(given: dict[str, Array]) -> dict[str, Array]:
    """Where each input is moved to."""
    rng = np.random.default_rng(99)
    return {name: rng.normal(size=v.shape) for name, v in given.items()}


# --- the loop as a graph -----------------------------------------------------------------


@dataclass
class Graph:
    """A cell as a graph: what is returned, its updates, and the gradients by input."""

    cell: Cell
    results: list[Variable]
    gradients: dict[str, Variable]
    updates: dict[Shared, Variable]
    shared: Shared


def build(cell: Cell, inputs: dict[str, Variable], start: Array) -> Graph:
    """The graph of a cell; the number of steps is a number, a variable, or that of the rows."""
    kept = wb.shared(start, name="c")
    kind = hash((cell.taps, cell.sequences, cell.backwards, cell.nested)) % 3
    n_steps = [cell.steps, inputs["n"], None if cell.sequences else cell.steps][kind]
    has_condition = cell.until != "no condition"

    def one(*given: Variable) -> Any:
        rows, rest = given[: cell.sequences], list(given[cell.sequences :])
        states = [rest.pop(0) for _ in cell.taps]
        count = rest.pop(0) if has_condition else None
        (w,) = rest
        extra = SimpleNamespace(
            shared=kept if cell.shared else None,
            inner=inner_graph if cell.nested else None,
        )
        outputs = list(step(T, rows, states, w, extra))
        updates = {kept: 0.5 * kept + outputs[0]} if cell.shared else {}
        if count is None:
            return outputs, updates
        return [*outputs, count + 1], updates, wb.until(T.ge(count + 1, cell.stop))

    name = "hs" if len(cell.taps) > 1 else "h"
    state = {
        (): None,
        (-1,): inputs["h"],
        (-3, -1): {"initial": inputs["hs"], "taps": [-3, -1]},
    }[cell.taps]
    found, updates = wb.scan(
        one,
        sequences=[inputs[f"x{i}"] for i in range(cell.sequences)],
        # The order of the outputs: the state comes first, then a plain one.
        outputs_info=[state, None, *([T.constant(0)] if has_condition else [])],
        non_sequences=inputs["w"],
        n_steps=n_steps,
        go_backwards=cell.backwards,
        truncate_gradient=KEPT if cell.truncated else -1,
        return_list=True,
    )
    outputs = found[:2]
    results = used_of(cell, found, outputs)
    wrt = {f"x{i}": inputs[f"x{i}"] for i in range(cell.sequences)} | {"w": inputs["w"]}
    wrt |= {name: inputs[name]} if cell.taps else {}
    wrt |= {"shared": kept} if cell.shared else {}
    gradients = {}
    if cell.used != "none":
        cost = cost_of(T, outputs, cell.used)
        made = wb.grad(cost, list(wrt.values()))
        gradients = dict(zip(wrt, made, strict=True))
    return Graph(cell, results, gradients, dict(updates), kept)


def used_of(cell: Cell, found: Sequence[Any], outputs: Sequence[Any]) -> Sequence[Any]:
    """All results, the last rows, or sizes alone."""
    if cell.used == "none":
        return [v.shape for v in outputs]
    return [v[-1] for v in found] if cell.used == "last" else found


def expected_results(cell: Cell, ran: Ran) -> list[Array]:
    """What the graph of a cell returns."""
    found = list(ran.outputs)
    if cell.until != "no condition":
        found.append(np.arange(1, ran.done + 1))
    return [np.array(v) for v in used_of(cell, found, ran.outputs)]


# --- comparing ---------------------------------------------------------------------------


def run_cells(chosen: Sequence[Cell], mode: Any) -> list[str]:
    """What is wrong with cells of as many steps, which are compiled as one function."""
    steps = chosen[0].steps
    given = arrays(steps)
    inputs = {
        name: T.tensor("float64", shape=(None,) * v.ndim, name=name)
        for name, v in given.items()
        if name != "shared"
    }
    inputs["n"] = T.lscalar("n")
    graphs = [build(cell, inputs, given["shared"]) for cell in chosen]
    outputs = [v for g in graphs for v in (*g.results, *g.gradients.values())]
    f = wb.function(
        list(inputs.values()),
        outputs,
        updates={k: v for g in graphs for k, v in g.updates.items()},
        mode=mode,
        on_unused_input="ignore",
    )
    values = iter(f(*(given[name] if name != "n" else steps for name in inputs)))
    return [
        f"{graph.cell}: {text}"
        for graph in graphs
        for text in complaints(graph, given, values)
    ]


def complaints(
    graph: Graph, given: dict[str, Array], values: Iterator[Array]
) -> Iterator[str]:
    """Where a graph's values, as many as it has, are not those of the loop in Python."""
    cell, ran = graph.cell, run_python(graph.cell, given)
    wanted = expected_results(cell, ran)
    for i, expected in enumerate(wanted):
        yield from difference(f"result {i}", next(values), expected)
    yield from difference("shared", graph.shared.get_value(), ran.shared)
    along = []
    for name in graph.gradients:
        gradient = next(values)
        if gradient.shape != given[name].shape:
            yield f"gradient by {name}: {gradient.shape}, not {given[name].shape}"
        else:
            along.append((gradient * directions(given)[name]).sum())
    if len(along) == len(graph.gradients) > 0:
        found = [sum(along)] if cell.steps > 100 else along
        for name, a, b in zip(
            graph.gradients,
            found,
            slopes(cell, given, list(graph.gradients)),
            strict=False,
        ):
            yield from difference(f"gradient by {name}", np.asarray(a), b)


def difference(what: str, found: Array, expected: Array) -> Iterator[str]:
    """Rounding aside; sizes and dtypes must be equal."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        yield f"{what}: {found.dtype}{found.shape}, not {expected.dtype}{expected.shape}"
        return
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    if not np.allclose(found, expected, rtol=1e-9, atol=1e-10 * scale):
        yield f"{what}: off by {np.abs(found - expected).max():.2g} of {scale:.2g}"


def run_failing(cell: Cell, mode: Any) -> list[str]:
    """What is wrong with a cell that is to raise an error."""
    try:
        run_cells([cell], mode)
    except IndexError:
        return []
    except Exception as error:
        return [f"{cell}: {type(error).__name__}: {error}"]
    return [f"{cell}: no error"]


def run_group(group: Sequence[Cell], mode: Any) -> list[str]:
    """What is wrong with the cells of a group."""
    return run_failing(group[0], mode) if group[0].is_error else run_cells(group, mode)


def main(mode: str, every: int, first: int = 0) -> None:
    """Run the grid, or a part of it, and print what is wrong."""
    chosen = cells()[first::every]
    wrong, ran, start = 0, 0, time.monotonic()
    for group in groups(chosen):
        try:
            texts = run_group(group, mode)
        except Exception as error:
            texts = [f"{cell}: in a group with {error!r}" for cell in group]
        wrong, ran = wrong + len(texts), ran + len(group)
        for text in texts[:3]:
            print(text, flush=True)
    seconds = time.monotonic() - start
    print(f"{mode}: {ran} cells, {wrong} complaints, {seconds:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
