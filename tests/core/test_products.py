"""Products of arrays and Einstein's notation, against NumPy."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from tests.like_numpy import assert_agrees, draw, variables_like
from workbench.core.errors import ShapeError
from workbench.core.graph import Variable, toposort
from workbench.core.ops.linalg import BatchedDot, Dot
from workbench.core.types import TensorType

L = T.linalg


def ops_of(output):
    return [type(node.op) for node in toposort([output])]


# --- products ----------------------------------------------------------------------------

MATMULS = [
    ((3, 4), (4, 2)), ((4,), (4,)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,)), ((5, 2, 3), (3, 4)),
    ((3, 4), (5, 4, 2)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (1, 4, 3, 2)),
    ((5, 2, 3), (6, 5, 3, 2)), ((0, 2, 3), (0, 3, 4)), ((1, 2, 3), (4, 3, 2)), ((2, 3, 0), (2, 0, 4)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool", "complex64", "float16"])
@pytest.mark.parametrize("shapes", MATMULS, ids=str)
def test_matmul_is_numpys(shapes, dtype):
    x, y = draw(*shapes, dtype="int8" if dtype == "bool" else dtype)
    x, y = x.astype(dtype), y.astype(dtype)

    assert_agrees(
        lambda a, b: a @ b, np.matmul, x, y, rtol=1e-2 if dtype == "float16" else 1e-5
    )


@pytest.mark.parametrize(
    "shapes",
    [
        ((), (3,)),
        ((2, 3), ()),
        ((2, 3, 4), (4,)),
        ((4,), (5, 4, 2)),
        ((2, 3, 4), (5, 4, 2)),
    ],
    ids=str,
)
def test_dot_is_numpys_for_all_ranks(shapes):
    assert_agrees(T.dot, np.dot, *draw(*shapes))


def test_matmul_of_a_batch_and_a_matrix_is_one_product():
    x, y = T.tensor3("x"), T.matrix("y")

    for product in (x @ y, y @ x):
        assert BatchedDot not in ops_of(product)
        assert ops_of(product).count(Dot) == 1


def test_matmul_stretches_only_batches_declared_to_be_1():
    x, y = T.tensor3("x"), T.tensor3("y")
    f = wb.function([x, y], x @ y)

    with pytest.raises(ShapeError, match=r"\(1, 2, 3\) and \(4, 3, 2\) do not fit"):
        f(np.ones((1, 2, 3)), np.ones((4, 3, 2)))


def test_batches_of_equal_length_but_other_shape_do_not_multiply():
    arrays = np.ones((2, 3, 1, 1)), np.ones((3, 2, 1, 1))
    x, y = (Variable(TensorType("float64", (None,) * 4)) for _ in arrays)
    f = wb.function([x, y], x @ y)

    with pytest.raises(ShapeError):
        f(*arrays)


@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        (0, ((2, 3), (4,))),
        (1, ((2, 3), (3, 4))),
        (2, ((2, 3, 4), (3, 4, 5))),
        ((0, 1), ((2, 3, 4), (3, 2))),
        (([1, 2], [2, 0]), ((2, 3, 4), (4, 2, 3))),
        (([-1], [0]), ((2, 3, 4), (4, 2, 3))),
    ],
    ids=str,
)
def test_tensordot_is_numpys(axes, shapes):
    assert_agrees(
        lambda x, y: T.tensordot(x, y, axes),
        lambda x, y: np.tensordot(x, y, axes),
        *draw(*shapes),
    )


def test_summed_axes_of_equal_product_but_other_sizes_do_not_fit():
    x, y = T.matrix("x"), T.matrix("y")
    f = wb.function([x, y], T.tensordot(x, y, 2))

    with pytest.raises(ShapeError):
        f(np.ones((2, 3)), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("function", "reference", "shapes"),
    [
        (T.inner, np.inner, ((2, 3), (4, 5, 3))),
        (T.inner, np.inner, ((), (3,))),
        (T.outer, np.outer, ((2, 3), (4,))),
        (T.outer, np.outer, ((), (2,))),
        (T.vdot, np.vdot, ((2, 3), (2, 3))),
        (T.vecdot, np.vecdot, ((2, 1, 3), (4, 3))),
        (T.kron, np.kron, ((2, 3), (3, 4, 2))),
        (T.kron, np.kron, ((2,), ())),
        (T.cross, np.cross, ((2, 1, 3), (4, 3))),
        (T.batched_dot, lambda x, y: np.einsum("bij,bjk->bik", x, y), ((2, 3, 4), (2, 4, 3))),
        (T.batched_dot, lambda x, y: np.einsum("bij,bj->bi", x, y), ((2, 3, 4), (2, 4))),
        (T.batched_dot, lambda x, y: np.einsum("bj,bjk->bk", x, y), ((2, 3), (2, 3, 4))),
        (T.batched_dot, lambda x, y: np.einsum("b,bjk->bjk", x, y), ((2,), (2, 3, 4))),
        (T.batched_dot, lambda x, y: np.einsum("bj,b->bj", x, y), ((2, 3), (2,))),
        (T.batched_tensordot, lambda x, y: np.einsum("bijk,bjkl->bil", x, y), ((2, 3, 4, 5), (2, 4, 5, 3))),
        (lambda x, y: T.batched_tensordot(x, y, [[1], [2]]), lambda x, y: np.einsum("bij,bki->bjk", x, y), ((2, 3, 4), (2, 5, 3))),
        (lambda x, y: T.cross(x, y, axis=0), lambda x, y: np.cross(x, y, axis=0), ((3, 2), (3, 2))),
        (lambda x, y: T.cross(x, y, 0, 1, 1), lambda x, y: np.cross(x, y, 0, 1, 1), ((3, 2), (2, 3))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float64", "int32", "complex128"])
def test_products_are_numpys(function, reference, shapes, dtype):
    x, y = draw(*shapes, dtype=dtype)

    assert_agrees(function, reference, x, y)
    if dtype == "float64":
        verify_grad(function, [x, y])


def test_batches_of_products_are_checked_axis_by_axis():
    wrong = [  # equal numbers of elements, but not of entries
        (((2, 3, 4), (3, 2, 4, 5)), lambda x, y: T.batched_tensordot(x, y, [[1], [1]])),
        (((2, 3), (3, 2, 4)), lambda x, y: T.batched_tensordot(x, y, [[1], [1]])),
        (
            ((2, 3, 2, 5), (2, 2, 3, 4)),
            lambda x, y: T.batched_tensordot(x, y, [[1, 2], [1, 2]]),
        ),
        (((1, 3), (2, 3)), T.batched_dot),
        (((2, 3, 1), (2, 5, 4)), T.batched_dot),
        (((2, 1), (2, 5)), T.batched_dot),
    ]
    for shapes, build in wrong:
        arrays = draw(*shapes)
        variables = variables_like(arrays)

        with pytest.raises(ShapeError):
            build(*variables_like(arrays, known=True))
        with pytest.raises(ShapeError):
            wb.function(variables, build(*variables))(*arrays)


@pytest.mark.parametrize("offset", [-1, 0, 2])
@pytest.mark.parametrize("dtype", ["float64", "int8", "bool"])
def test_trace_is_numpys(offset, dtype):
    (x,) = draw((3, 4, 2), dtype="int8")
    x = x.astype(dtype)

    assert_agrees(
        lambda a: T.trace(a, offset, 1, 0), lambda a: np.trace(a, offset, 1, 0), x
    )
    assert_agrees(
        lambda a: L.trace(a, offset=offset),
        lambda a: np.linalg.trace(a, offset=offset),
        x,
    )


def test_multi_dot_takes_the_cheapest_order():
    arrays = draw((2, 50), (50, 3), (3, 40), (40,))
    variables = variables_like(arrays, known=True)

    output = L.multi_dot(variables)

    assert_agrees(lambda *v: L.multi_dot(v), lambda *a: np.linalg.multi_dot(a), *arrays)
    assert all(node.output.ndim == 1 for node in toposort([output]))  # from the right


def test_matrix_dot_multiplies_from_the_left():
    arrays = draw((2, 3), (3, 4), (4, 2))

    assert_agrees(T.matrix_dot, lambda x, y, z: x @ y @ z, *arrays)


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 1), (3, 4)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("ij->ji", (2, 3)),
    ("ba", (2, 3)), ("ij->", (2, 3)), ("ij,ij->i", (2, 3), (2, 3)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 3)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("...ij,...jk", (2, 3, 4), (4, 2)), ("...,...", (2, 3), (3,)),
    ("i...->...", (2, 3, 4)), ("b...a,a...->b...", (2, 3, 4), (4, 3)), ("i,j,k->", (2,), (3,), (4,)),
    ("iij,jkk->ik", (2, 2, 3), (3, 4, 4)), ("bi,bj,bk->bijk", (2, 3), (2, 4), (2, 5)), ("aab->b", (2, 2, 3)),
    ("iii->i", (3, 3, 3)), ("abij,abjk->abik", (2, 3, 4, 5), (2, 3, 5, 2)), ("i->", (0,)), (",ij", (), (2, 3)),
    ("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 5), (5, 2)), ("abc,abd->ac", (2, 3, 4), (2, 3, 5)),
    ("ea,fb,abcd,gc,hd->efgh", (2, 2), (2, 2), (2, 2, 2, 2), (2, 2), (2, 2)), (" i j , j ", (2, 3), (3,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "int8", "complex64"])
@pytest.mark.parametrize(
    ("subscripts", "shapes"), [(s, p) for s, *p in EINSUMS], ids=str
)
def test_einsum_is_numpys(subscripts, shapes, dtype):
    arrays = draw(*shapes, dtype=dtype)

    assert_agrees(
        lambda *v: T.einsum(subscripts, *v),
        lambda *a: np.einsum(subscripts, *a),
        *arrays,
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ("subscripts", "shapes"), [(s, p) for s, *p in EINSUMS[:18]], ids=str
)
def test_gradient_of_einsum(subscripts, shapes):
    verify_grad(lambda *v: T.einsum(subscripts, *v), draw(*shapes))


def test_einsum_takes_lists_of_axes():
    x, y = draw((2, 3), (3, 4))

    assert_agrees(
        lambda a, b: T.einsum(a, [0, 1], b, [1, 2], [2, 0]),
        lambda a, b: (a @ b).T,
        x,
        y,
    )
    assert_agrees(
        lambda a, b: T.einsum(a, [..., 1], b, [1, 2]), lambda a, b: a @ b, x, y
    )


def test_einsum_uses_the_library_for_products():
    x, y, z = T.matrix("x"), T.matrix("y"), T.tensor3("z")

    assert Dot in ops_of(T.einsum("ij,kj->ki", x, y))
    assert BatchedDot in ops_of(T.einsum("bij,bkj->bki", z, z))


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk", ((2, 2), (3, 2))),
        ("i$,jk", ((2, 2), (2, 2))),
        ("ijk,jk", ((2, 2), (2, 2))),
        ("ij", ((2, 2), (2, 2))),
        ("ij->ik", ((2, 2),)),
        ("ij->ii", ((2, 2),)),
        ("ii", ((2, 3),)),
        ("i.j", ((2, 3),)),
        ("i......", ((2, 3),)),
        ("i", ((2, 3),)),
        ("...,...", ((2,), (3,))),
    ],
)
def test_einsum_refuses_what_numpy_refuses(subscripts, shapes):
    arrays = draw(*shapes)

    with pytest.raises(ValueError):
        np.einsum(subscripts, *arrays)
    with pytest.raises(ShapeError):
        T.einsum(subscripts, *variables_like(arrays, known=True))


def test_einsum_checks_sizes_when_called():
    x, y = T.matrix("x"), T.matrix("y")

    for subscripts in ("ij,jk->ik", "ij,ij->i", "ij,ij->"):
        f = wb.function([x, y], T.einsum(subscripts, x, y))
        with pytest.raises(ShapeError):
            f(
                np.ones((2, 3)),
                np.ones((4, 3)) if subscripts != "ij,ij->" else np.ones((3, 2)),
            )
    f = wb.function([x], T.einsum("ii", x))
    with pytest.raises(ShapeError):
        f(np.ones((2, 3)))
