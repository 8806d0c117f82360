"""Shifts, counts, widths and sizes that are variables, and arguments that NumPy refuses."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import ShapeError
from workbench.core.evaluate import evaluate

X = np.arange(12.0).reshape(3, 4)


def as_list(results):
    return list(results) if isinstance(results, list | tuple) else [results]


def run(build, *numbers, x=X, dtype="int64", compiled=False):
    """The value of an expression of a matrix and of integer variables of the given values."""
    variable = T.tensor("x", dtype=x.dtype, shape=(None,) * x.ndim)
    given = [np.asarray(n, dtype) for n in numbers]
    numbers = [T.tensor(dtype, (None,) * n.ndim) for n in given]
    output = build(variable, *numbers)
    outputs = list(output) if isinstance(output, list | tuple) else [output]
    if compiled:
        got = wb.function([variable, *numbers], outputs, on_unused_input="ignore")(
            x, *given
        )
    else:
        got = evaluate(
            outputs, dict(zip([variable, *numbers], [x, *given], strict=True))
        )
    return list(got) if isinstance(output, list | tuple) else got[0]


SYMBOLIC = {
    "roll": (lambda m, x, n: m.roll(x, n, 1), [(1,), (-6,), (0,), (9,)]),
    "roll all": (lambda m, x, n: m.roll(x, n), [(1,), (-5,), (13,)]),
    "roll axes by a vector": (lambda m, x, n: m.roll(x, m.specify_shape(n, 2) if m is T else n, (0, 1)), [([1, 2],)]),
    "roll axes by an array": (lambda m, x: m.roll(x, np.array([1, 2]), (0, 1)), [()]),
    "roll axes": (lambda m, x, n, k: m.roll(x, (n, k), (0, 1)), [(1, 2)]),
    "repeat": (lambda m, x, n: m.repeat(x, n, 1), [(0,), (3,)]),
    "repeat each": (lambda m, x, n: m.repeat(x, n, axis=0), [([1, 0, 2],)]),
    "tile": (lambda m, x, n, k: m.tile(x, (n, k)), [(2, 1), (0, 3)]),
    "pad": (lambda m, x, n, k: m.pad(x, ((n, k), (k, n))), [(1, 2), (0, 0)]),
    "pad edge": (lambda m, x, n, k: m.pad(x, ((n, k), (k, n)), "edge"), [(1, 2), (5, 0)]),
    "pad reflect": (lambda m, x, n: m.pad(x, n, "reflect"), [(1,), (7,)]),
    "pad odd": (lambda m, x, n: m.pad(x, n, "symmetric", reflect_type="odd"), [(1,), (7,)]),
    "pad wrap": (lambda m, x, n: m.pad(x, n, "wrap"), [(1,), (7,)]),
    "pad ramp": (lambda m, x, n: m.pad(x, ((n, 0), (0, n)), "linear_ramp", end_values=7), [(1,), (4,)]),
    "reshape": (lambda m, x, n: m.reshape(x, (n, -1)), [(2,), (6,)]),
    "broadcast_to": (lambda m, x, n: m.broadcast_to(x, (n, 3, 4)), [(2,), (0,)]),
    "split at": (lambda m, x, n: m.split(x, [n], axis=1), [(1,), (-1,), (9,)]),
    "zeros": (lambda m, x, n: m.zeros((n, 2)), [(3,)]),
    "full": (lambda m, x, n: m.full((n,), x[0, 1]), [(3,)]),
    "eye": (lambda m, x, n, k: m.eye(n, k, 1), [(3, 4)]),
    "tri": (lambda m, x, n, k: m.tri(n, k, -1), [(3, 4)]),
    "tril": (lambda m, x, n: m.tril(x, n), [(0,), (-1,), (5,)]),
    "triu": (lambda m, x, n: m.triu(x, n), [(0,), (-1,), (5,)]),
    "tril_indices": (lambda m, x, n, k: m.tril_indices(n, k, 4), [(3, 1), (2, -1)]),
    "triu_indices": (lambda m, x, n, k: m.triu_indices(n, k), [(3, 1), (2, -1)]),
    "triu_indices_from": (lambda m, x: m.triu_indices_from(x, 1), [()]),
    "tril_indices_from": (lambda m, x: m.tril_indices_from(x), [()]),
    "linspace": (lambda m, x, n: m.linspace(0.0, 1.0, n), [(1,), (5,), (0,)]),
    "linspace open": (lambda m, x, n: m.linspace(0.0, 2.0, n, endpoint=False), [(1,), (5,)]),
    "geomspace": (lambda m, x, n: m.geomspace(1.0, 256.0, n), [(1,), (9,)]),
    "arange": (lambda m, x, a, b, c: m.arange(a, b, c), [(0, 7, 2), (7, -1, -3), (3, 3, 1)]),
    "arange of floats": (lambda m, x, n: m.arange(0.5, n, 0.25), [(2,), (0,)]),
    "indices": (lambda m, x, n: m.indices((n, 2)), [(3,)]),
    "mgrid": (lambda m, x, n: m.mgrid[0:n, 1:3], [(3,)]),
}  # fmt: skip

CASES = [
    (name, build, n) for name, (build, numbers) in SYMBOLIC.items() for n in numbers
]


def assert_equal(got, expected):
    if isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_equal(one, other)
        return
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, 1e-15, 1e-15)


@pytest.mark.parametrize(("name", "build", "numbers"), CASES)
def test_numbers_may_be_variables(name, build, numbers):
    got = run(lambda *v: build(T, *v), *numbers)

    assert_equal(got, build(np, X, *numbers))


def test_numbers_may_be_variables_when_compiled():
    x = T.matrix("x")
    inputs, values, outputs, expected = [x], [X], [], []
    for build, (numbers, *_) in SYMBOLIC.values():
        given = [np.asarray(n, "int64") for n in numbers]
        variables = [T.tensor("int64", (None,) * n.ndim) for n in given]
        inputs += variables
        values += given
        outputs += as_list(build(T, x, *variables))
        expected += as_list(build(np, X, *numbers))

    got = wb.function(inputs, outputs)(*values)

    assert_equal(list(got), expected)


def test_a_shape_may_be_a_vector_variable():
    sizes = [2, 6]

    assert run(lambda x, s: x.reshape(s, ndim=2), sizes).shape == (2, 6)
    assert run(lambda x, s: T.tile(x, s, ndim=2), sizes).shape == (6, 24)
    assert run(lambda x, s: T.zeros(T.specify_shape(s, 2)), sizes).shape == (2, 6)
    assert run(lambda x: T.ones(x.shape)).shape == X.shape
    assert run(lambda x: T.alloc(7, *x.shape)).shape == X.shape
    for build in (lambda x, s: x.reshape(s), lambda x, s: T.tile(x, s)):
        with pytest.raises(ShapeError, match="ndim="):
            run(build, sizes)


def test_a_shape_is_specified_in_part_and_by_variables():
    x, n = T.matrix("x"), T.lscalar("n")

    assert T.specify_shape(x, (None, 4)).type.shape == (None, 4)
    assert T.specify_shape(x, x.shape).type.shape == (None, None)
    f = wb.function([x, n], T.specify_shape(x, (n, None)) * 2)
    assert_equal(f(X, 3), X * 2)
    with pytest.raises(ShapeError, match="specify_shape"):
        f(X, 2)
    with pytest.raises(ShapeError, match="2 axes, 1 sizes"):
        T.specify_shape(x, (3,))


def test_parts_of_given_sizes():
    x, s = T.vector("x"), T.lvector("s")
    value = np.arange(6.0)

    for parts in (
        T.split(x, s, 3, 0),
        T.split(x, s, n_splits=3),
        T.split(x, splits_size=s, n_splits=3, axis=0),
        T.split(x, [2, 3, 1], 3, axis=0),
    ):
        f = wb.function([x, s], parts, on_unused_input="ignore")
        assert_equal(list(f(value, [2, 3, 1])), np.split(value, [2, 5]))
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = wb.function([x, s], T.split(x, s, 3, 0), mode=mode)
        for sizes in ([2, 3, 2], [2, -1, 5], [8, -2, 0]):
            with pytest.raises(ShapeError):
                f(value, sizes)


def test_unequal_parts_are_refused_when_run():
    x = T.vector("x")
    f = wb.function([x], T.split(x, 3))

    assert_equal(list(f(np.arange(6.0))), np.split(np.arange(6.0), 3))
    with pytest.raises(ValueError, match="split|specify_shape"):
        f(np.arange(5.0))


def test_an_axis_named_is_squeezed_when_its_size_is_one():
    f = wb.function([x := T.matrix("x")], T.squeeze(x, 1))

    assert f(np.ones((3, 1))).shape == (3,)
    with pytest.raises(ShapeError):
        f(np.ones((3, 2)))


def test_negative_repeats_are_refused_when_run():
    with pytest.raises(ValueError, match="negative"):
        run(lambda x, n: T.repeat(x, n, 0), [1, -1, 2], compiled=True)
    with pytest.raises(ValueError, match="negative"):
        run(lambda x, n: T.repeat(x, n, 0), -1, compiled=True)


REFUSED = {
    "moveaxis": lambda m, x: m.moveaxis(x, 2, 0),
    "moveaxis twice": lambda m, x: m.moveaxis(x, (0, 0), (0, 1)),
    "moveaxis unequal": lambda m, x: m.moveaxis(x, (0, 1), 0),
    "swapaxes": lambda m, x: m.swapaxes(x, 0, 5),
    "transpose": lambda m, x: m.transpose(x, (0, 0)),
    "transpose few": lambda m, x: m.transpose(x, (0,)),
    "squeeze": lambda m, x: m.squeeze(x, 0),
    "expand_dims": lambda m, x: m.expand_dims(x, 4),
    "expand_dims twice": lambda m, x: m.expand_dims(x, (0, 0)),
    "flip": lambda m, x: m.flip(x, 2),
    "flip float": lambda m, x: m.flip(x, 1.5),
    "fliplr": lambda m, x: m.fliplr(x[0]),
    "rot90": lambda m, x: m.rot90(x, 1, (0, 0)),
    "rot90 axes": lambda m, x: m.rot90(x, 1, (0, 1, 1)),
    "roll": lambda m, x: m.roll(x, (1, 2, 3), (0, 1)),
    "roll axis": lambda m, x: m.roll(x, 1, 3),
    "repeat": lambda m, x: m.repeat(x, -1),
    "repeat each": lambda m, x: m.repeat(x, [1, 2], axis=0),
    "tile": lambda m, x: m.tile(x, (-1,)),
    "reshape": lambda m, x: m.reshape(x, (5, 2)),
    "reshape twice": lambda m, x: m.reshape(x, (-1, -1)),
    "reshape float": lambda m, x: m.reshape(x, (1.5, 2)),
    "broadcast_to": lambda m, x: m.broadcast_to(x, (4, 3)),
    "broadcast_to few": lambda m, x: m.broadcast_to(x, (4,)),
    "broadcast_arrays": lambda m, x: m.broadcast_arrays(x, x[:2]),
    "concatenate": lambda m, x: m.concatenate([x, x[0]]),
    "concatenate nothing": lambda m, x: m.concatenate([]),
    "concatenate unequal": lambda m, x: m.concatenate([x, x[:, :2]]),
    "concatenate axis": lambda m, x: m.concatenate([x, x], axis=2),
    "stack": lambda m, x: m.stack([x, x[0]]),
    "stack nothing": lambda m, x: m.stack([]),
    "vstack": lambda m, x: m.vstack([x, x[:, :2]]),
    "split": lambda m, x: m.split(x, 2),
    "split none": lambda m, x: m.array_split(x, 0),
    "vsplit": lambda m, x: m.vsplit(x[0], 2),
    "dsplit": lambda m, x: m.dsplit(x, 2),
    "diag": lambda m, x: m.diag(m.expand_dims(x, 0)),
    "diagonal": lambda m, x: m.diagonal(x[0]),
    "diagonal axes": lambda m, x: m.diagonal(x, 0, 1, 1),
    "vander": lambda m, x: m.vander(x),
    "tril_indices_from": lambda m, x: m.tril_indices_from(x[0]),
    "meshgrid": lambda m, x: m.meshgrid(x[0], indexing="no"),
    "linspace": lambda m, x: m.linspace(0, 1, -1),
    "linspace float": lambda m, x: m.linspace(0, 1, 2.5),
    "geomspace": lambda m, x: m.geomspace(0, 1),
    "arange": lambda m, x: m.arange(1, 5, 0),
    "arange floats": lambda m, x: m.arange(1.0, 5, 0.0),
    "zeros": lambda m, x: m.zeros(-1),
    "zeros float": lambda m, x: m.zeros(2.5),
    "full": lambda m, x: m.full((2, 3), x),
    "pad": lambda m, x: m.pad(x, -1),
    "pad widths": lambda m, x: m.pad(x, ((1, 1), (1, 1), (1, 1))),
    "pad mode": lambda m, x: m.pad(x, 1, "sideways"),
    "pad option": lambda m, x: m.pad(x, 1, "edge", constant_values=1),
    "pad float": lambda m, x: m.pad(x, 1.5),
    "pad empty": lambda m, x: m.pad(x[:0], 1, "edge"),
    "pad nothing": lambda m, x: m.pad(x, 1, "maximum", stat_length=0),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_numpy_refuses_is_refused_with_the_same_kind_of_error(build):
    with pytest.raises(Exception) as numpys:
        build(np, X)

    kinds = [
        kind
        for kind in (TypeError, ValueError, IndexError, ZeroDivisionError)
        if isinstance(numpys.value, kind)
    ]

    with pytest.raises(tuple(kinds)):
        build(T, wb.TensorType("float64", X.shape)("x"))
