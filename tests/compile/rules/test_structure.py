"""What concerns shapes, places, joins and checks: which operations are left, and the same values.

Each row is compiled with all rewrites, in both float types, and called with arrays of
ordinary and of zero sizes. The unoptimised graph, run by NumPy, says what must come out; where
it fails, the compiled function fails too.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.modes import get_mode
from workbench.core.errors import WorkbenchError
from workbench.core.graph import graph_inputs

SIZES = [(4, 3), (0, 3), (4, 0), (2, 2)]


class Inputs:
    """Variables of one float type by name: matrices x, y [m, n], rows v, w [n], columns u [m]."""

    def __init__(self, dtype: str) -> None:
        self.x, self.y = (T.matrix(name, dtype=dtype) for name in "xy")
        self.v, self.w, self.u = (T.vector(name, dtype=dtype) for name in "vwu")
        self.s = T.scalar("s", dtype=dtype)
        self.t = T.tensor(dtype, shape=(4, 3), name="t")
        self.i, self.j = T.lscalars("i", "j")
        self.k = T.lvector("k")
        self.mask = T.vector("mask", dtype="bool")

    def values(self, rng: np.random.Generator, m: int, n: int) -> dict[Any, Any]:
        shapes = {
            "x": (m, n),
            "y": (m, n),
            "v": n,
            "w": n,
            "u": m,
            "s": (),
            "t": (4, 3),
        }
        found = {
            getattr(self, name): rng.normal(size=shape).astype(self.s.dtype)
            for name, shape in shapes.items()
        }
        found |= {self.i: np.array(1), self.j: np.array(-2)}
        found[self.k] = rng.integers(-m, m, 3) if m else np.zeros(0, "int64")
        found[self.mask] = rng.random(m) < 0.5
        return found


ROWS: dict[str, tuple[Callable[[Inputs], Any], list[str]]] = {
    # --- shapes
    "exp(x + y).shape[0]": (lambda a: T.exp(a.x + a.y).shape[0], ["size{0}"]),
    "shape of reshape": (
        lambda a: a.x.reshape((a.x.shape[1], a.x.shape[0])).shape[0],
        ["size{1}"],
    ),
    "shape known from the type": (lambda a: T.exp(a.t).shape, []),
    "reshape of reshape": (
        lambda a: a.t.reshape((2, 6)).reshape((3, 4)),
        ["reshape"],
    ),
    "reshape to the own shape": (lambda a: a.x.reshape(a.x.shape), []),
    "reshape that adds axes": (
        lambda a: a.x.reshape((a.x.shape[0], 1, a.x.shape[1])),
        ["dimshuffle{0,x,1}"],
    ),
    "reshape to a column": (lambda a: a.v.reshape((-1, 1)), ["dimshuffle{0,x}"]),
    "flatten of a vector": (lambda a: T.flatten(a.v), []),
    "dimshuffle of dimshuffle": (lambda a: a.x.T.T, []),
    "dimshuffles lifted": (
        lambda a: T.exp(a.x.T) + a.y.T,
        ["exp", "add", "dimshuffle{1,0}"],
    ),
    "squeeze of expand": (lambda a: T.squeeze(T.expand_dims(a.x, 1), 1), []),
    "specify_shape twice": (
        lambda a: T.specify_shape(T.specify_shape(a.x, (4, None)), (None, 3)),
        ["specify_shape"],
    ),
    # --- filled arrays
    "fill and add": (
        lambda a: T.fill(a.x, a.s) + a.x,
        ["dimshuffle{x,x}", "add"],
    ),
    "alloc of alloc": (
        lambda a: T.alloc(T.alloc(a.s, a.x.shape[1]), a.x.shape[0], a.x.shape[1]),
        ["dimshuffle{x,x}", "size{0}", "size{1}", "broadcast"],
    ),
    "useless alloc": (lambda a: T.alloc(a.v, a.v.shape[0]), []),
    "alloc before a function": (
        lambda a: T.alloc(a.s, *a.x.shape) * a.x,
        ["dimshuffle{x,x}", "mul"],
    ),
    # --- slices
    "x[1:][2:]": (lambda a: a.x[1:][2:], ["slice[3:, :]"]),
    "x[1:-1][:-1]": (lambda a: a.x[1:-1][:-1], ["slice[1:-2, :]"]),
    "x[n:][m:]": (
        lambda a: a.u[a.v.shape[0] :][a.w.shape[0] :],
        ["size{0}", "size{0}", "add", "slice[?:]"],
    ),
    "v[0:len(v)]": (lambda a: a.v[0 : a.v.shape[0]], []),
    "v[::-1][::-1]": (lambda a: a.v[::-1][::-1], []),
    "t[-1]": (lambda a: a.t[-1], ["slice[3, :]"]),
    "alloc(s, m, n)[2:]": (
        lambda a: T.alloc(a.s, a.x.shape[0], 7)[:, 2:],
        ["dimshuffle{x,x}", "size{0}", "broadcast"],
    ),
    "make_vector[1]": (lambda a: T.stack([a.s, a.s * 2])[1], ["mul"]),
    "exp(x)[i]": (lambda a: T.exp(a.x)[a.i], ["slice[?, :]", "exp"]),
    "(x + v)[i]": (
        lambda a: (a.x + a.v)[a.i],
        ["slice[?, :]", "add"],
    ),
    "x.T[i]": (lambda a: a.x.T[a.i], ["slice[:, ?]"]),
    "dot(x, v)[1:]": (lambda a: T.dot(a.x, a.v)[1:], ["slice[1:, :]", "dot"]),
    "join(t, x)[1]": (lambda a: T.concatenate([a.t, a.t * 2])[1], ["slice[1, :]"]),
    "join(v, w)[:len(v)]": (lambda a: T.concatenate([a.v, a.u])[: a.v.shape[0]], []),
    "join(v, w)[len(v):]": (lambda a: T.concatenate([a.v, a.u])[a.v.shape[0] :], []),
    "set(x[1:3], y)[1:3]": (
        lambda a: T.set_subtensor(a.x[1:3], a.s)[1:3],
        [
            "dimshuffle{x,x}",
            "size{0}",
            "minimum",
            "minimum",
            "sub",
            "size{1}",
            "broadcast",
        ],
    ),
    "set(x[i], v)[i]": (
        lambda a: T.set_subtensor(a.x[a.i], a.v)[a.i],
        ["dimshuffle{x,0}", "size{0}", "size{1}", "broadcast", "slice[?, :]"],
    ),
    "inc(zeros[1:], w)": (
        lambda a: T.inc_subtensor(T.zeros_like(a.x)[1:], a.s),
        ["dimshuffle{x,x}", "set_slice[1:, :]"],
    ),
    "set(x[i], x[i] + v)": (
        lambda a: T.set_subtensor(a.x[a.i], a.x[a.i] + a.v),
        ["add_slice[?, :]"],
    ),
    "several inc on one base": (
        lambda a: (
            T.inc_subtensor(T.zeros_like(a.x)[1:], a.s)
            + T.inc_subtensor(T.zeros_like(a.x)[:2], a.s)
        ),
        ["dimshuffle{x,x}", "set_slice[1:, :]", "add_slice[:2, :]"],
    ),
    "inc of 0": (lambda a: T.inc_subtensor(a.x[1:], 0), []),
    "x[arange(len(x))]": (lambda a: a.x[T.arange(a.x.shape[0])], []),
    "t[arange(1, 3)]": (lambda a: a.t[T.arange(1, 3)], ["slice[1:3, :]"]),
    "u[mask] = 0": (lambda a: T.set_subtensor(a.u[a.mask], 0), ["switch"]),
    "x[k] in bounds": (lambda a: a.x[a.k], ["take"]),
    # --- joins
    "join of one": (lambda a: T.concatenate([a.x]), []),
    "join with nothing": (
        lambda a: T.concatenate([T.zeros(0, a.v.dtype), a.v, a.u]),
        ["join{axis=0}"],
    ),
    "join of join": (
        lambda a: T.concatenate([T.concatenate([a.v, a.u]), a.w]),
        ["join{axis=0}"],
    ),
    "join of a split": (lambda a: T.concatenate([a.v[: a.i], a.v[a.i :]]), []),
    "split of a join": (
        lambda a: T.split(
            T.concatenate([a.v, a.u]), [a.v.shape[0], a.u.shape[0]], 2, axis=0
        )[1],
        [],
    ),
    "neighbouring slices": (
        lambda a: T.concatenate([a.v[:1], a.v[1:3]]),
        ["slice[:3]"],
    ),
    "repeat by 1": (lambda a: T.repeat(a.x, 1, axis=0), []),
    "tile by 1": (lambda a: T.tile(a.x, (1, 1)), []),
    "argtopk alone": (
        lambda a: T.topk_and_argtopk(a.t, 2)[1],
        ["argtopk{axis=1, sorted=True}"],
    ),
    # --- checks
    "assert of true": (lambda a: T.assert_op(a.x, T.constant(True)), []),
    "assert twice": (
        lambda a: T.assert_op(T.assert_op(a.x, a.i > 0), a.i > 0),
        ["gt", "assert{a condition does not hold}"],
    ),
}

PLUMBING = ("size{", "broadcast", "minimum", "maximum", "dimshuffle", "sub", "add")


def outcome(function: Callable[..., Any], *arrays: Any) -> Any:
    """What a call gives, or the kind of error it ends in."""
    try:
        return function(*arrays)
    except WorkbenchError as error:
        return error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ROWS)
def test_rewritten_graph_is_smaller_and_equal(row, dtype):
    build, wanted = ROWS[row]
    given = Inputs(dtype)
    result = build(given)
    inputs = [v for v in graph_inputs([result]) if v.owner is None and v.name]

    fast = wb.function(inputs, result, mode="FAST_RUN")
    plain = wb.function(inputs, result, mode="None")

    ops = [str(node.op) for node in fast.compilation.after.nodes()]
    missing = list(wanted)
    for op in ops:
        if op in missing:
            missing.remove(op)
    assert not missing, f"{ops} has no {missing}"
    extra = [op for op in ops if op not in wanted and not op.startswith(PLUMBING)]
    assert not extra
    for seed, (m, n) in product(range(2), SIZES):
        values = given.values(np.random.default_rng(seed), m, n)
        arrays = [values[v] for v in inputs]
        expected, found = outcome(plain, *arrays), outcome(fast, *arrays)
        if isinstance(expected, Exception):
            assert isinstance(found, type(expected)) or isinstance(found, ValueError)
            continue
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(found, expected, rtol=32 * eps, atol=32 * eps)


def test_asserts_stay_unless_the_mode_is_unsafe():
    x, s = T.vector("x"), T.scalar("s")
    checked = T.assert_op(x, s > 0)

    safe = wb.function([x, s], checked)
    unsafe = wb.function([x, s], checked, mode=get_mode("FAST_RUN").including("unsafe"))

    with pytest.raises(AssertionError):
        safe([1.0], -1.0)
    assert unsafe([1.0], -1.0).tolist() == [1.0]
    assert unsafe.compilation.after.nodes() == []


def test_a_place_out_of_range_is_still_found():
    x, v, i = T.matrix("x"), T.vector("v"), T.lscalar("i")
    read = wb.function([x, v, i], T.set_subtensor(x[i], v)[i])
    put = wb.function([x, v, i], T.set_subtensor(x[i], x[i] + v))

    for function in (read, put):
        with pytest.raises(IndexError):
            function(np.zeros((2, 3)), np.zeros(3), 2)


def test_parts_of_a_join_that_disagree_are_still_found():
    x, y = T.matrix("x"), T.matrix("y")
    function = wb.function([x, y], T.concatenate([x, y])[: x.shape[0]])

    with pytest.raises(ValueError):
        function(np.zeros((2, 3)), np.zeros((2, 4)))


def test_operands_that_do_not_fit_where_nothing_is_taken_are_still_found():
    x, y = T.vector("x"), T.vector("y")
    function = wb.function([x, y], (x + y)[1:])

    with pytest.raises(ValueError):
        function(np.zeros(3), np.zeros(2))


def test_slices_of_unknown_sign_stay_two_views():
    x, a, b = T.vector("x"), T.lscalar("a"), T.lscalar("b")
    function = wb.function([x, a, b], x[a:][b:])

    assert [str(n.op) for n in function.compilation.after.nodes()] == [
        "slice[?:]",
        "slice[?:]",
    ]
    for start, second in product(range(-4, 5), repeat=2):
        values = np.arange(3.0)
        assert (
            function(values, start, second).tolist() == values[start:][second:].tolist()
        )


def test_many_slices_of_one_array_stay_small():
    x = T.vector("x")
    total = T.grad(sum(T.exp(x[k : k + 3]).sum() for k in range(20)), x)

    function = wb.function([x], total)

    assert len(function.compilation.after.nodes()) < 20 * 12
    values = np.linspace(0, 1, 30)
    counts = np.convolve(np.ones(20), np.ones(3))
    np.testing.assert_allclose(function(values)[:22], np.exp(values[:22]) * counts)
