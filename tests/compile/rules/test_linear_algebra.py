"""Equations in place of inverses, known structure, shared factorisations: operations and values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.graph import graph_inputs

L = T.linalg
SIZES = [3, 1, 0]


class Inputs:
    """Square matrices a, b of one float type, l to be cut, p positive definite, vectors v, w."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.a, self.b, self.c, self.p = (T.matrix(n, dtype=dtype) for n in "abcp")
        self.v, self.w = (T.vector(n, dtype=dtype) for n in "vw")
        self.k, self.l = (T.tensor(dtype, shape=(n, n), name=f"k{n}") for n in (2, 3))

    def values(self, rng: np.random.Generator, n: int) -> dict[Any, Any]:
        a, b, c = rng.normal(size=(3, n, n))
        found = {
            self.a: a + 4 * np.eye(n),
            self.b: b + 3 * np.eye(n),
            self.c: c,
            self.p: c @ c.T + np.eye(n),
            self.v: rng.uniform(0.5, 2, n) * rng.choice([-1, 1], n),
            self.w: rng.normal(size=n),
            self.k: rng.normal(size=(2, 2)),
            self.l: rng.normal(size=(3, 3)) + 2 * np.eye(3),
        }
        return {v: x.astype(self.dtype) for v, x in found.items()}


def cut(a: Inputs) -> Any:
    return T.tril(a.l)


ROWS: dict[str, tuple[Callable[[Inputs], Any], list[str], list[str]]] = {
    # what is left, what is not
    "dot(inv(a), v)": (lambda i: T.dot(L.inv(i.a), i.v), ["solve"], ["inv", "dot"]),
    "dot(inv(a), b)": (lambda i: T.dot(L.inv(i.a), i.b), ["solve"], ["inv", "dot"]),
    "dot(b, inv(a))": (lambda i: T.dot(i.b, L.inv(i.a)), ["solve"], ["inv", "dot"]),
    "dot(v, inv(a).T)": (lambda i: T.dot(i.v, L.inv(i.a).T), ["solve"], ["inv", "dot"]),
    "inv(inv(a))": (lambda i: L.inv(L.inv(i.a)), ["specify_shape"], ["inv"]),
    "inv(diag(v))": (lambda i: L.inv(T.diag(i.v)), ["inv", "set_at"], []),
    "a.T.T": (lambda i: i.a.T.T, [], ["dimshuffle{1,0}"]),
    "solve(tril(a), b)": (
        lambda i: L.solve(T.tril(i.a), i.b),
        ["solve_triangular{lower=True}"],
        ["solve"],
    ),
    "solve(diag(v), w)": (lambda i: L.solve(T.diag(i.v), i.w), ["solve"], ["set_at"]),
    "solve(l l.T, b)": (
        lambda i: (lambda low: L.solve(T.dot(low, low.T), i.b))(L.cholesky(i.p)),
        [
            "cholesky",
            "solve_triangular{lower=True}",
            "solve_triangular{lower=True, trans=1}",
        ],
        ["solve", "dot"],
    ),
    "cholesky(l l.T)": (
        lambda i: (lambda low: L.cholesky(T.dot(low, low.T)))(L.cholesky(i.p)),
        ["cholesky"],
        ["dot"],
    ),
    "cholesky of the square of a triangle": (
        lambda i: L.cholesky(T.dot(cut(i), cut(i).T)),
        ["cholesky"],
        ["dot"],
    ),
    "det(diag(v))": (lambda i: L.det(T.diag(i.v)), ["prod{axis=0}"], ["det", "set_at"]),
    "det(tril(a))": (lambda i: L.det(T.tril(i.a)), ["prod{axis=0}"], ["det", "switch"]),
    "det(eye)": (lambda i: L.det(T.eye(3)) * i.v, [], ["det", "eq"]),
    "det(kron)": (lambda i: L.det(T.kron(i.k, i.l)), ["det", "det"], ["reshape"]),
    "slogdet(triu(a))": (
        lambda i: L.slogdet(T.triu(i.a))[1],
        ["log", "sum{axis=0}"],
        ["slogdet", "switch"],
    ),
    "slogdet(kron)": (
        lambda i: L.slogdet(T.kron(i.k, i.l))[1],
        ["slogdet", "slogdet"],
        ["reshape"],
    ),
    "log(abs(det(a)))": (lambda i: T.log(abs(L.det(i.a))), ["slogdet"], ["det", "log"]),
    "log(abs(det(a) - 0))": (
        lambda i: T.log(abs(L.det(i.a) - 0)),
        ["slogdet"],
        ["det", "log"],
    ),
    "singular values alone": (lambda i: L.svd(i.a)[1], ["svdvals"], ["svd"]),
    "eigenvalues alone": (lambda i: L.eigh(i.a)[0], ["eigvalsh"], ["eigh"]),
    "r alone": (lambda i: L.qr(i.a)[1], ["qr{mode=r}"], ["qr"]),
    "two equations": (
        lambda i: T.dot(L.solve(i.a, i.b), L.solve(i.a.T, i.c)),
        ["lu_factor", "solve_factored", "solve_factored{trans=1}"],
        ["solve"],
    ),
    "trace(dot(a, b))": (
        lambda i: T.trace(T.dot(i.a, i.b)),
        ["mul", "sum{axis=0, 1}"],
        ["dot"],
    ),
    "dot(diag(v), a)": (lambda i: T.dot(T.diag(i.v), i.a), ["mul"], ["dot", "set_at"]),
    "dot(a, diag(v))": (lambda i: T.dot(i.a, T.diag(i.v)), ["mul"], ["dot", "set_at"]),
    "dot(0, a)": (lambda i: T.dot(T.zeros_like(i.a.T).T, i.a.T.T), ["broadcast"], []),
    "dot(dot(a, b), v)": (lambda i: T.dot(T.dot(i.a, i.b), i.v), ["dot", "dot"], []),
    "dot(a, b).T": (lambda i: T.dot(i.a, i.b).T, ["dot"], []),
    "dot(column, row)": (
        lambda i: T.dot(i.v.dimshuffle(0, "x"), i.w.dimshuffle("x", 0)),
        ["mul"],
        ["dot"],
    ),
    "dot(row, column)": (
        lambda i: T.dot(i.v.dimshuffle("x", 0), i.w.dimshuffle(0, "x")),
        ["dot", "dimshuffle{x,x}"],
        [],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ROWS)
def test_structure_is_used_and_values_stay(row, dtype):
    build, wanted, unwanted = ROWS[row]
    given = Inputs(dtype)
    result = build(given)
    inputs = [v for v in graph_inputs([result]) if v.owner is None and v.name]

    fast = wb.function(inputs, result)
    plain = wb.function(inputs, result, mode="None")

    ops = [str(node.op) for node in fast.compilation.after.nodes()]
    left = list(ops)
    for op in wanted:
        assert op in left, ops
        left.remove(op)
    assert not set(unwanted) & set(ops), ops
    for n in SIZES:
        arrays = given.values(np.random.default_rng(n), n)
        arrays = [arrays[v] for v in inputs]
        expected = plain(*arrays)
        found = fast(*arrays)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        # Conditions of the matrices are below 100, and a few roundings each way.
        eps = 1000 * np.finfo(dtype).eps
        np.testing.assert_allclose(found, expected, rtol=eps, atol=eps)


TWICE = {
    "product first": lambda a, b: T.dot(a, b)[:, 0] + T.exp(T.dot(b.T, a.T))[0],
    "transposes first": lambda a, b: T.exp(T.dot(b.T, a.T))[0] + T.dot(a, b)[:, 0],
    "product is a result": lambda a, b: [T.dot(a, b), T.dot(b.T, a.T).sum(axis=0)],
    "product is transposed": lambda a, b: T.exp(T.dot(a, b).T) + T.dot(b.T, a.T),
    "both are": lambda a, b: T.dot(a, b) + T.exp(T.dot(a, b).T) * T.dot(b.T, a.T),
    "square": lambda a, b: T.dot(a.T, a.T) + T.exp(T.dot(a, a)),
}


@pytest.mark.parametrize("case", TWICE)
def test_a_product_and_that_of_the_transposes_are_computed_once(case):
    a, b = T.matrices("a", "b")
    results = TWICE[case](a, b)
    given = dict(inputs=[a, b], outputs=results, on_unused_input="ignore")

    fast, plain = wb.function(**given), wb.function(**given, mode="None")

    nodes, steps = fast.compilation.after.nodes(), fast.compilation.steps
    assert [str(node.op) for node in nodes].count("dot") == 1
    assert sum("dot" in step.rule for step in steps) <= 2
    values = np.random.default_rng(0).normal(size=(2, 3, 3))
    for x, y in zip(fast(*values), plain(*values), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


SINGULAR = {
    "inverse of a diagonal": lambda v: L.inv(T.diag(v)),
    "equations with a diagonal": lambda v: L.solve(T.diag(v), v),
    "inverse times a vector": lambda v: T.dot(L.inv(T.outer(v, v)), v),
    "equations with a triangle": lambda v: L.solve(T.triu(T.outer(v, v)), v),
    "factor of a square": lambda v: (lambda low: L.cholesky(T.dot(low, low.T)))(
        T.tril(T.outer(T.specify_shape(v, 3), v))
    ),
    "two equations": lambda v: (
        L.solve(T.outer(v, v), v) + T.dot(L.solve(T.outer(v, v).T, T.outer(v, v)), v)
    ),
}


@pytest.mark.parametrize("case", SINGULAR)
def test_singular_matrices_are_still_found(case):
    v = T.vector("v")
    result = SINGULAR[case](v)

    for mode in ("None", "FAST_RUN"):
        function = wb.function([v], result, mode=mode)
        with pytest.raises(np.linalg.LinAlgError):
            function([0.0, 0.0, 1.0])


def test_an_inverse_that_is_needed_anyway_is_kept():
    a, v = T.matrix("a"), T.vector("v")
    inverse = L.inv(a)

    function = wb.function([a, v], [inverse, T.dot(inverse, v)])

    ops = [str(n.op) for n in function.compilation.after.nodes()]
    assert "inv" in ops and "solve" not in ops


def test_vectors_that_are_read_are_computed():
    a = T.matrix("a")
    u, s, _ = L.svd(a)

    function = wb.function([a], [u, s])

    assert [str(n.op) for n in function.compilation.after.nodes()] == ["svd"]


def test_a_product_of_three_is_done_in_the_cheaper_order():
    a, b, c = (T.tensor("float64", shape=s) for s in ((50, 2), (2, 50), (50, 3)))
    for order in (T.dot(T.dot(a, b), c), T.dot(a, T.dot(b, c))):
        function = wb.function([a, b, c], order)

        inner, _ = function.compilation.after.nodes()
        assert inner.outputs[0].type.shape == (2, 3)


def test_a_square_that_is_not_known_to_be_one_is_checked():
    a = T.matrix("a")
    functions = [
        wb.function([a], f(a))
        for f in (lambda a: L.inv(L.inv(a)), lambda a: L.det(T.tril(a)))
    ]

    for function in functions:
        with pytest.raises(ValueError):
            function(np.ones((2, 3)))
