"""Random graphs over the whole language.

:func:`random_graph` builds a graph from a seed and evaluates it on the way, so that
every graph it returns is one the reference can run. :func:`run` compiles and runs it,
:func:`shrink` makes a failing graph small, :func:`described` prints it. When two
results agree is said in :mod:`tests.agreement`.

``python -m tests.fuzz 0 1000 FAST_RUN`` runs the seeds from 0 to 999 and prints one
small graph for every kind of failure.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import workbench.tensor as T
from tests.agreement import compare, disturbed_run
from tests.op_cases import CASES
from workbench.compile.function import function
from workbench.compile.modes import get_mode
from workbench.config import config
from workbench.core.errors import WorkbenchError
from workbench.core.evaluate import evaluate
from workbench.core.graph import (
    Apply,
    Constant,
    Variable,
    clone,
    graph_inputs,
    toposort,
)
from workbench.core.types import TensorType

Array = np.ndarray

INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float64", "float64", "float64", "float32", "float32", "float16"]
COMPLEXES = ["complex128", "complex64"]
SIZES = [0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 17, 33]
RUNS = 6
TOGETHER = 25  # graphs compiled as one function: a compiler run costs more than a graph


@dataclass
class Graph:
    """A graph, a value for each of its inputs, and the seed it came from."""

    inputs: list[Variable]
    outputs: list[Variable]
    values: list[Array]
    seed: int = -1

    @property
    def given(self) -> dict[Variable, Array]:
        """The values by input."""
        return dict(zip(self.inputs, self.values, strict=True))

    @property
    def nodes(self) -> list[Apply]:
        """The operations, in order."""
        return toposort(self.outputs)

    @cached_property
    def expected(self) -> list[Array]:
        """What the reference computes."""
        with np.errstate(all="ignore"):
            return evaluate(self.outputs, self.given)

    @cached_property
    def disturbed(self) -> list[list[Array]]:
        """What the reference computes when roundings are off: `RUNS` runs."""
        rng = np.random.default_rng(max(self.seed, 0))
        runs = []
        for number in range(RUNS):
            try:
                run = disturbed_run(self.outputs, self.given, rng, extreme=not number)
                runs.append(run)
            except WorkbenchError:  # whether it runs at all depends on a rounding
                return [[np.empty((0,) * 9)] * len(self.outputs)]
        return runs


# --- making ---------------------------------------------------------------------------


def random_graph(seed: int) -> Graph:
    """A graph of 3 to 25 expressions with two outputs of different depths."""
    maker = _Maker(seed)
    wanted = int(maker.rng.integers(3, 26))
    for _ in range(10 * wanted):
        maker.step()
        if len(maker.made) >= wanted:
            break
    return maker.graph()


class _Maker:
    """The variables made so far, each with its value, and the ways to make more."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.sizes = [self.choice(SIZES) for _ in range(3)]
        self.values: dict[Variable, Array] = {}
        self.made: list[Variable] = []
        self.inputs = [self.new_input(i) for i in range(int(self.rng.integers(1, 5)))]

    # Drawing.

    def choice(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def new_input(self, number: int) -> Variable:
        small = self.chance(1 / 3)
        dtype = (
            self.choice(["bool", "bool", *INTS])
            if small
            else self.choice(FLOATS + INTS[:4][2:])
        )
        if self.chance(0.1):
            dtype = self.choice(COMPLEXES)
        rank = self.choice([0, 1, 1, 2, 2, 2, 3])
        shape = [
            1 if self.chance(0.15) else self.choice(self.sizes) for _ in range(rank)
        ]
        known = tuple(
            s if (s == 1 and self.chance(0.8)) or self.chance(0.2) else None
            for s in shape
        )
        variable = Variable(TensorType(dtype, known), f"x{number}")
        self.values[variable] = laid_out(self.rng, elements(self.rng, dtype, shape))
        return variable

    def fitting(self, kinds: str, rank: int | None = None) -> list[Variable]:
        """The variables of one of the kinds of dtype, and of a number of axes."""
        return [
            v
            for v in self.values
            if np.dtype(v.dtype).kind in kinds and (rank is None or v.ndim == rank)
        ]

    def any(self, kinds: str = "biufc", rank: int | None = None) -> Variable:
        """One of them, rather one made lately; a ValueError when there is none."""
        pool = self.fitting(kinds, rank)
        if not pool:
            raise ValueError("nothing fits")
        return pool[
            max(int(self.rng.integers(len(pool))), int(self.rng.integers(len(pool))))
        ]

    def axis(self, x: Variable) -> int:
        return int(self.rng.integers(-x.ndim, x.ndim))

    def size(self, x: Variable, axis: int) -> int:
        return int(self.values[x].shape[axis])

    # Making.

    def step(self) -> None:
        """Add one expression, if the one drawn is defined for the variables drawn."""
        make = self.choice(MAKERS)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                variable = make(self)
                if variable is None or variable.owner is None or variable.ndim > 4:
                    return
                (value,) = evaluate([variable], self.values)
        except (WorkbenchError, ValueError, TypeError):
            return
        if value.size <= 5000:
            self.values[variable] = value
            self.made.append(variable)

    def graph(self) -> Graph:
        """The last variable and one from earlier as outputs."""
        outputs = [self.made[-1], self.choice(self.made[: max(1, len(self.made) // 2)])]
        used = set(graph_inputs(outputs))
        inputs = [v for v in self.inputs if v in used]
        return Graph(inputs, outputs, [self.values[v] for v in inputs], self.seed)


def elements(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Array:
    """Values of a dtype, a third of the time with special ones among them."""
    kind = np.dtype(dtype).kind
    if kind == "c":
        values = np.empty(shape, dtype)
        values.real = elements(rng, values.real.dtype.name, shape)
        values.imag = elements(rng, values.real.dtype.name, shape)
        return values
    special = rng.random() < 1 / 3
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        values = rng.integers(0 if kind == "u" else -4, 5, shape).astype(dtype)
        limits = np.iinfo(dtype)
        extremes = np.array([limits.min, limits.max, 0, 1], dtype)
    else:
        values = np.asarray(
            rng.normal(0, 1, shape) * rng.choice([1, 1, 1, 10, 100]), dtype
        )
        if rng.random() < 0.3:
            values = np.rint(values)
        info = np.finfo(dtype)
        extremes = np.array(
            [
                0,
                -0.0,
                1,
                -1,
                info.max,
                info.min,
                info.smallest_subnormal,
                np.nan,
                np.inf,
                -np.inf,
            ],
            dtype,
        )
    if special:
        values = np.where(rng.random(shape) < 0.5, rng.choice(extremes, shape), values)
    return np.asarray(values, dtype)


def laid_out(rng: np.random.Generator, array: Array) -> Array:
    """The same values reversed, in column order, every second, or read-only."""
    match int(rng.integers(6)):
        case 0:
            backwards = (..., *(slice(None, None, -1) for _ in array.shape))
            array = array[backwards].copy()[backwards]
        case 1:
            array = np.array(array, order="F")
        case 2 if array.ndim:
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        case 3:
            array = array.copy()
            array.setflags(write=False)
    return array


UNARY = [
    T.neg, T.abs, T.sign, T.sqr, T.reciprocal, T.floor, T.ceil, T.trunc, T.round, T.exp,
    T.exp2, T.expm1, T.log, T.log2, T.log10, T.log1p, T.sqrt, T.sin, T.cos, T.tan,
    T.arcsin, T.arccos, T.arctan, T.sinh, T.cosh, T.tanh, T.arcsinh, T.arccosh,
    T.arctanh, T.sigmoid, T.softplus, T.log1mexp, T.isnan, T.isinf, T.invert,
    T.nnet.relu, T.nnet.elu, T.nnet.softsign, T.real, T.imag, T.conj, T.angle,
]  # fmt: skip
BINARY = [
    T.add, T.add, T.sub, T.sub, T.mul, T.mul, T.true_div, T.floor_div, T.mod, T.maximum,
    T.minimum, T.eq, T.neq, T.lt, T.le, T.gt, T.ge, T.and_, T.or_, T.xor, T.arctan2,
    T.logaddexp, T.complex,
]  # fmt: skip
REDUCTIONS = [T.sum, T.sum, T.mean, T.prod, T.max, T.min, T.all, T.any, T.var]
NUMBERS = [0, 1, -1, 2, 3, 0.5, 1.0, -2.5, True]


def unary(m: _Maker) -> Variable:
    return m.choice(UNARY)(m.any())


def binary(m: _Maker) -> Variable:
    return m.choice(BINARY)(m.any(), m.any())


def with_number(m: _Maker) -> Variable:
    x, number = m.any(), m.choice(NUMBERS)
    return m.choice(BINARY)(*((x, number) if m.chance(0.5) else (number, x)))


def power(m: _Maker) -> Variable:
    x = m.any("fc")
    return (
        x ** m.choice([0, 1, 2, 3, -1, -2, 0.5, -0.5])
        if m.chance(0.7)
        else T.pow(T.abs(x), m.any("f"))
    )


def switch(m: _Maker) -> Variable:
    other = m.choice(NUMBERS) if m.chance(0.3) else m.any()
    return T.switch(m.any("b" if m.chance(0.8) else "iuf"), m.any(), other)


def clip(m: _Maker) -> Variable:
    return T.clip(m.any("f"), -1, m.choice([0.5, 2]))


def cast(m: _Maker) -> Variable:
    return T.cast(m.any(), m.choice(["bool", *INTS, "float32", "float64", *COMPLEXES]))


def fill(m: _Maker) -> Variable:
    x = m.any()
    return m.choice(
        [
            T.zeros_like,
            T.ones_like,
            lambda x: T.fill(x, m.any(rank=0)),
            lambda x: T.fill(x, 2),
        ]
    )(x)


def reduction(m: _Maker) -> Variable:
    x = m.any()
    axes: Any = m.choice([None, m.axis(x)]) if x.ndim else None
    if x.ndim > 1 and m.chance(0.3):
        axes = (0, -1)
    return m.choice(REDUCTIONS)(x, axis=axes, keepdims=m.chance(0.4))


def place_of_extreme(m: _Maker) -> Variable:
    x = m.any()
    return m.choice([T.argmax, T.argmin])(
        x, axis=m.choice([None, m.axis(x)]) if x.ndim else None
    )


def shuffle(m: _Maker) -> Variable:
    x = m.any()
    order: list[Any] = list(m.rng.permutation(x.ndim))
    if m.chance(0.4):
        order.insert(int(m.rng.integers(len(order) + 1)), "x")
    return x.dimshuffle(*order)


def reshape(m: _Maker) -> Variable:
    x = m.any()
    how = m.choice(["flat", "split", "swap", "merge"])
    if how == "split" and x.ndim == 1:
        return x.reshape(
            (x.shape[0], 1) if m.chance(0.5) else (-1, m.choice([1, 2, 3]))
        )
    if how == "swap" and x.ndim == 2:
        return x.reshape((x.shape[1], x.shape[0]))
    if how == "merge" and x.ndim == 3:
        return T.flatten(x, 2)
    return T.flatten(x)


def stretch(m: _Maker) -> Variable:
    x, n = m.any(), m.choice(m.sizes)
    if x.ndim and m.chance(0.5):
        axis = m.axis(x) % x.ndim
        one = x[tuple([slice(None)] * axis + [slice(0, 1)])]
        if m.size(x, axis):
            x = T.addbroadcast(one, axis)
    shape = [n if size == 1 else x.shape[i] for i, size in enumerate(x.type.shape)]
    return (
        T.broadcast_to(x, [n, *shape] if m.chance(0.3) else shape)
        if shape
        else T.alloc(x, n)
    )


def basic_slice(m: _Maker) -> Variable | None:
    x = m.any()
    return None if not x.ndim else x[_basic_key(m, x)]


def _basic_key(m: _Maker, x: Variable) -> tuple[Any, ...]:
    def bound(size: int) -> Any:
        if m.chance(0.4):
            return None
        number = int(m.rng.integers(-size - 1, size + 2))
        return m.choice(m.fitting("i", 0) or [number]) if m.chance(0.3) else number

    key: list[Any] = []
    for axis in range(int(m.rng.integers(1, x.ndim + 1))):
        size = m.size(x, axis)
        if size and m.chance(0.3):
            key.append(int(m.rng.integers(-size, size)))
        else:
            key.append(
                slice(bound(size), bound(size), m.choice([1, 1, 1, 2, -1, -1, -2]))
            )
        if m.chance(0.1):
            key.append(None)
    return tuple(key)


def _places(m: _Maker, x: Variable, axis: int, rank: int | None = None) -> Any:
    """An index array for an axis, inside its size whatever the values."""
    size = m.size(x, axis)
    places = m.choice(m.fitting("iu", rank) or [T.lscalar()])
    if not places.ndim or m.chance(0.3):
        return (
            m.rng.integers(-size, max(size, 1), m.choice([(2,), (3,), (2, 2)]))
            if size
            else np.zeros(0, int)
        )
    return T.mod(T.cast(places, "int64"), T.maximum(x.shape[axis], 1))


def gather(m: _Maker) -> Variable | None:
    x = m.any()
    if not x.ndim:
        return None
    if x.ndim > 1 and m.chance(0.5):
        at = _places(m, x, 1, 1)
        rows = T.arange(x.shape[0])
        return x[rows, at]
    axis = m.axis(x) % x.ndim
    return x[tuple([slice(None)] * axis + [_places(m, x, axis)])]


def put(m: _Maker) -> Variable | None:
    x = m.any()
    if not x.ndim:
        return None
    add = m.chance(0.5)
    key = _basic_key(m, x)
    if add and m.chance(0.5):
        key = (_places(m, x, 0),)
    view = x[key]
    part = (
        m.choice(NUMBERS[:5])
        if m.chance(0.4)
        else m.choice([view * 2, view + view, m.any()])
    )
    return (T.inc_subtensor if add else T.set_subtensor)(view, part)


def join(m: _Maker) -> Variable | None:
    x = m.any()
    if not x.ndim or m.chance(0.3):
        return T.stack([x, m.any(rank=x.ndim)], axis=0)
    parts = [x, m.any(rank=x.ndim), x * 2 if x.dtype != "bool" else x]
    return T.concatenate(parts[: int(m.rng.integers(2, 4))], axis=m.axis(x))


def product(m: _Maker) -> Variable:
    x = m.any("fc")
    y = m.choice([m.any("fc"), x.T if x.ndim == 2 else x])
    return T.dot(x, y)


def softmax(m: _Maker) -> Variable:
    x = m.any("f")
    y = m.choice([T.nnet.softmax, T.nnet.logsoftmax])(
        x, axis=m.axis(x) if x.ndim else -1
    )
    return T.log(y) if m.chance(0.2) else y


def from_size(m: _Maker) -> Variable | None:
    x = m.any()
    if not x.ndim:
        return None
    n = x.shape[m.axis(x)]
    return m.choice(
        [
            T.arange(n),
            T.arange(0, n, 2),
            n * 2,
            T.zeros((n, 2), "float32"),
            T.eye(n),
            x.shape,
        ]
    )


def gradient(m: _Maker) -> Variable | None:
    made = [v for v in m.made if v.type.is_float]
    floats = [v for v in m.inputs if v.type.is_float]
    if not made or not floats:
        return None
    return T.grad(T.real(T.sum(m.choice(made))), m.choice(floats))


def from_row(m: _Maker) -> Variable:
    """An op from the table, on new inputs and, where they fit, on what was made before."""
    case = m.choice(CASES)
    arrays = case.inputs(m.rng, m.choice(case.dtypes), m.choice(case.shapes))
    operands = []
    for array, variable in zip(arrays, case.variables(arrays), strict=True):
        alike = [v for v in m.made if _fits_as(v, variable, m.values[v], array)]
        if alike and m.chance(0.7):
            operands.append(m.choice(alike))
            continue
        variable.name = f"x{len(m.inputs)}"
        m.inputs.append(variable)
        m.values[variable] = laid_out(m.rng, array)
        operands.append(variable)
    return case.build(*operands)


def _fits_as(made: Variable, wanted: Variable, value: Array, array: Array) -> bool:
    """Whether a made variable may stand for a row's input: its type and its very shape."""
    return (
        made.dtype == wanted.dtype
        and value.shape == array.shape
        and made.broadcastable == wanted.broadcastable
        and made.type.is_float
    )


MAKERS: list[Callable[[_Maker], Variable | None]] = [
    *[unary] * 10, *[binary] * 9, *[with_number] * 4, power, switch, switch, clip, cast,
    cast, fill, *[reduction] * 5, place_of_extreme, shuffle, shuffle, reshape, stretch,
    basic_slice, basic_slice, basic_slice, gather, gather, put, put, join, product,
    product, softmax, from_size, gradient, gradient, *[from_row] * 6,
]  # fmt: skip


# --- running --------------------------------------------------------------------------


def run(graph: Graph, mode: str) -> list[Array]:
    """The outputs of the graph, compiled as one function, which must not fall back.

    Rules tagged finite_math are left out: the values are there to find what they do.
    """
    chosen = get_mode(mode).excluding("finite_math")
    with config.change(on_opt_error="raise", on_unused_input="ignore"):
        made = function(graph.inputs, graph.outputs, mode=chosen)
    if chosen.backend == "c" and not made.source:
        raise AssertionError("the C program could not be built")
    with np.errstate(all="ignore"):
        return list(made(*graph.values))


def complaint(graph: Graph, mode: str) -> str:
    """What is wrong with the graph in this mode; empty when nothing is."""
    try:
        found = compare(graph.expected, run(graph, mode), graph)
        return "\n".join(map(str, found))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def shrunken(graph: Graph, mode: str) -> Graph:
    """The graph made small as long as it fails in this mode."""
    return shrink(graph, lambda smaller: bool(complaint(smaller, mode)))


def hunt(seeds: Sequence[int], mode: str) -> dict[str, tuple[Graph, str, int]]:
    """A small graph for each kind of failure, its complaint, and how often it came."""
    found: dict[str, tuple[Graph, str, int]] = {}
    for start in range(0, len(seeds), TOGETHER):
        graphs = [random_graph(seed) for seed in seeds[start : start + TOGETHER]]
        if not complaint(together(graphs), mode):
            continue
        for graph in (g for g in graphs if complaint(g, mode)):
            small = shrunken(graph, mode)
            text = complaint(small, mode) or "not the second time"
            last = small.nodes[-1]
            kind = (
                f"{text.split(':')[0]} {type(last.op).__name__} {last.inputs[0].dtype}"
            )
            found[kind] = (small, text, found[kind][2] + 1 if kind in found else 1)
    return found


# --- shrinking and showing ------------------------------------------------------------


def shrink(graph: Graph, fails: Callable[[Graph], bool], attempts: int = 300) -> Graph:
    """A small graph that still fails: outputs dropped, nodes replaced by values."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(graph):
            if _size(candidate) >= _size(graph):
                continue
            attempts -= 1
            if attempts < 0:
                return graph
            if fails(candidate):
                graph, smaller = candidate, True
                break
    return graph


def _size(graph: Graph) -> int:
    return len(graph.nodes) + len(graph.outputs)


def _smaller(graph: Graph) -> Iterator[Graph]:
    """Half of the outputs; one output less; single nodes; one node less anywhere."""
    outputs = graph.outputs
    if len(outputs) > 1:
        half = len(outputs) // 2
        yield _part(graph, outputs[:half])
        yield _part(graph, outputs[half:])
        for i in range(len(outputs)):
            yield _part(graph, [*outputs[:i], *outputs[i + 1 :]])
    for node in graph.nodes:
        yield _part(graph, list(node.outputs))
    inner = [v for n in reversed(graph.nodes) for v in n.outputs if v not in outputs]
    with np.errstate(all="ignore"):
        values = evaluate(inner, graph.given)
    taken = {v.name for v in graph.inputs}
    name = next(n for i in range(1000) if (n := f"y{i}") not in taken)
    for variable, value in zip(inner, values, strict=True):
        free = Variable(variable.type, name)
        changed = clone(outputs, {variable: free})
        values = [*graph.values, np.array(value)]
        yield _part(Graph([*graph.inputs, free], changed, values, graph.seed), changed)


def together(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one."""
    return Graph(
        [v for g in graphs for v in g.inputs],
        [v for g in graphs for v in g.outputs],
        [a for g in graphs for a in g.values],
        graphs[0].seed,
    )


def _part(graph: Graph, outputs: list[Variable]) -> Graph:
    used = set(graph_inputs(outputs))
    kept = [
        (v, a) for v, a in zip(graph.inputs, graph.values, strict=True) if v in used
    ]
    return Graph([v for v, _ in kept], outputs, [a for _, a in kept], graph.seed)


def described(graph: Graph) -> str:
    """The graph as lines a person can read and retype."""
    names: dict[Variable, str] = {}
    lines = [f"seed {graph.seed}"]
    for variable, value in zip(graph.inputs, graph.values, strict=True):
        names[variable] = variable.name or f"x{len(names)}"
        text = np.array2string(value, separator=", ", threshold=40).replace("\n", " ")
        lines.append(f"  {names[variable]}: {variable.type} = {text}")
    for number, node in enumerate(graph.nodes):
        operands = [
            names.get(v)
            or (
                np.array2string(v.data, threshold=10)
                if isinstance(v, Constant)
                else "?"
            )
            for v in node.inputs
        ]
        for variable in node.outputs:
            names[variable] = f"v{number}"
        lines.append(
            f"  v{number} = {node.op}({', '.join(operands)})  {node.outputs[0].type}"
        )
    lines.append("  return " + ", ".join(names.get(v, "?") for v in graph.outputs))
    return "\n".join(lines)


if __name__ == "__main__":
    first, last = int(sys.argv[1]), int(sys.argv[2])
    failures = hunt(range(first, last), sys.argv[3])
    for small, text, times in failures.values():
        print(f"{times} times: {text}\n{described(small)}\n")
    print(f"{last - first} graphs, {len(failures)} kinds of failure")
