"""What moves, repeats, joins, cuts, widens and creates arrays, against NumPy.

A row is one expression that is read twice: with NumPy and arrays, and with
``workbench.tensor`` and variables. So there is nothing to get wrong beside it. Every row is
evaluated with sizes that are known and with sizes that are not, differentiated, compiled,
and asked for its shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.gradients import verify_grad
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.ops.shape import MakeVector
from workbench.core.types import TensorType

Array = np.ndarray


@dataclass(frozen=True)
class Row:
    """An expression of a module and of arrays of the given shapes; it may give several."""

    name: str
    build: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    smooth: bool = True
    exact: bool = True

    def arrays(self, dtype: str = "float64") -> list[Array]:
        rng = np.random.default_rng(len(self.name))
        return [
            (rng.permutation(int(np.prod(s))).reshape(s) * 0.75 - 2).astype(dtype)
            for s in self.shapes
        ]


def rows(table: dict[str, tuple[Callable[..., Any], Any]], **options) -> list[Row]:
    """A row for every entry: the expression, and one shape or several."""
    made = []
    for name, (build, shapes) in table.items():
        one = not shapes or isinstance(shapes[0], int)
        made.append(Row(name, build, (shapes,) if one else shapes, **options))
    return made


MOVED = rows({
    "moveaxis": (lambda m, x: m.moveaxis(x, 0, -1), (2, 3, 4)),
    "moveaxis several": (lambda m, x: m.moveaxis(x, (0, 1), (2, 0)), (2, 3, 4)),
    "moveaxis negative": (lambda m, x: m.moveaxis(x, [-1, 0], [0, -2]), (2, 3, 4)),
    "rollaxis": (lambda m, x: m.rollaxis(x, 2), (2, 3, 4)),
    "rollaxis on": (lambda m, x: m.rollaxis(x, 0, 3), (2, 3, 4)),
    "rollaxis middle": (lambda m, x: m.rollaxis(x, 0, 2), (2, 3, 4)),
    "swapaxes": (lambda m, x: m.swapaxes(x, 0, -1), (2, 3, 4)),
    "transpose": (lambda m, x: m.transpose(x, (2, 0, 1)), (2, 3, 4)),
    "matrix_transpose": (lambda m, x: m.matrix_transpose(x), (2, 3, 4)),
    "mT": (lambda m, x: x.mT, (2, 3, 4)),
    "squeeze": (lambda m, x: m.squeeze(x, 1), (2, 1, 4)),
    "squeeze several": (lambda m, x: m.squeeze(x, (0, -1)), (1, 3, 1)),
    "expand_dims": (lambda m, x: m.expand_dims(x, -1), (2, 3)),
    "expand_dims several": (lambda m, x: m.expand_dims(x, (0, -1, 2)), (2, 3)),
    "atleast_1d": (lambda m, x: m.atleast_1d(x), ()),
    "atleast_2d": (lambda m, x: m.atleast_2d(x), (3,)),
    "atleast_3d of a vector": (lambda m, x: m.atleast_3d(x), (3,)),
    "atleast_3d of a matrix": (lambda m, x: m.atleast_3d(x), (2, 3)),
    "atleast_3d of more": (lambda m, x: m.atleast_3d(x), (2, 3, 1, 2)),
    "atleast_2d of several": (lambda m, x, y: m.atleast_2d(x, y), ((3,), ())),
    "flip": (lambda m, x: m.flip(x), (2, 3)),
    "flip one": (lambda m, x: m.flip(x, -1), (2, 3)),
    "flip several": (lambda m, x: m.flip(x, (0, 2)), (2, 3, 2)),
    "flip nothing": (lambda m, x: m.flip(x, ()), (2, 3)),
    "fliplr": (lambda m, x: m.fliplr(x), (2, 3)),
    "flipud": (lambda m, x: m.flipud(x), (2, 3)),
    **{f"rot90 {k}": (lambda m, x, k=k: m.rot90(x, k), (2, 3)) for k in range(-1, 5)},
    "rot90 axes": (lambda m, x: m.rot90(x, 1, (2, 0)), (2, 3, 4)),
    "roll": (lambda m, x: m.roll(x, 2), (2, 3)),
    "roll back": (lambda m, x: m.roll(x, -1, 0), (4, 3)),
    "roll round": (lambda m, x: m.roll(x, 7, 1), (2, 3)),
    "roll several": (lambda m, x: m.roll(x, (1, -2), (0, 1)), (4, 3)),
    "roll all by one": (lambda m, x: m.roll(x, 1, (0, 1)), (4, 3)),
    "roll one twice": (lambda m, x: m.roll(x, (1, 1), 1), (4, 3)),
    "roll of nothing": (lambda m, x: m.roll(x, 2, 0), (0, 3)),
    "roll by nothing": (lambda m, x: m.roll(x, 0, 0), (3, 2)),
    "reshape": (lambda m, x: m.reshape(x, (3, -1)), (2, 3)),
    "reshape number": (lambda m, x: m.reshape(x, 6), (2, 3)),
    "ravel": (lambda m, x: m.ravel(x), (2, 3)),
    "copy": (lambda m, x: m.copy(x), (2, 3)),
})  # fmt: skip

REPEATED = rows({
    "repeat": (lambda m, x: m.repeat(x, 3), (2, 2)),
    "repeat axis": (lambda m, x: m.repeat(x, 2, 1), (2, 3)),
    "repeat never": (lambda m, x: m.repeat(x, 0, axis=0), (2, 3)),
    "repeat each": (lambda m, x: m.repeat(x, [2, 0, 1], axis=-1), (2, 3)),
    "repeat each of all": (lambda m, x: m.repeat(x, [2, 0, 1, 1]), (2, 2)),
    "repeat list of one": (lambda m, x: m.repeat(x, [2], 0), (3, 2)),
    "repeat method": (lambda m, x: x.repeat(2, axis=0), (3, 2)),
    "tile": (lambda m, x: m.tile(x, 2), (2, 3)),
    "tile more": (lambda m, x: m.tile(x, (2, 1, 3)), (2, 3)),
    "tile fewer": (lambda m, x: m.tile(x, (2,)), (2, 3, 2)),
    "tile never": (lambda m, x: m.tile(x, (2, 0)), (2, 3)),
    "tile of one": (lambda m, x: m.tile(x, (3, 2)), (1, 2)),
    "broadcast_to": (lambda m, x: m.broadcast_to(x, (2, 3, 4)), (3, 1)),
    "broadcast_arrays": (lambda m, x, y: m.broadcast_arrays(x, y), ((3, 1), (2, 1, 4))),
})  # fmt: skip

JOINED = rows({
    "concatenate": (lambda m, x, y: m.concatenate([x, y], axis=1), ((2, 3), (2, 1))),
    "concatenate all": (lambda m, x, y: m.concatenate([x, y], axis=None), ((2, 3), ())),
    "stack": (lambda m, x, y: m.stack([x, y], axis=-1), ((2, 3), (2, 3))),
    "vstack": (lambda m, x, y: m.vstack([x, y]), ((3,), (2, 3))),
    "hstack": (lambda m, x, y: m.hstack([x, y]), ((2, 3), (2, 1))),
    "hstack of vectors": (lambda m, x, y: m.hstack([x, y]), ((3,), (2,))),
    "hstack of scalars": (lambda m, x, y: m.hstack([x, y]), ((), ())),
    "dstack": (lambda m, x, y: m.dstack([x, y]), ((2, 3), (2, 3))),
    "dstack of vectors": (lambda m, x, y: m.dstack([x, y]), ((3,), (3,))),
    "column_stack": (lambda m, x, y: m.column_stack([x, y]), ((3,), (3, 2))),
    "append": (lambda m, x, y: m.append(x, y), ((2, 2), (3,))),
    "append axis": (lambda m, x, y: m.append(x, y, axis=0), ((2, 2), (3, 2))),
    "split": (lambda m, x: m.split(x, 2, axis=1), (3, 4)),
    "split at": (lambda m, x: m.split(x, [1, 3]), (4, 2)),
    "split behind": (lambda m, x: m.split(x, [1, 7], 0), (4, 2)),
    "split back": (lambda m, x: m.split(x, [3, 1]), (4, 2)),
    "array_split": (lambda m, x: m.array_split(x, 3), (7, 2)),
    "array_split in many": (lambda m, x: m.array_split(x, 4, axis=1), (2, 3)),
    "array_split at": (lambda m, x: m.array_split(x, [1], axis=1), (2, 3)),
    "hsplit": (lambda m, x: m.hsplit(x, 3), (2, 3)),
    "hsplit of a vector": (lambda m, x: m.hsplit(x, 3), (6,)),
    "vsplit": (lambda m, x: m.vsplit(x, [1]), (2, 3)),
    "dsplit": (lambda m, x: m.dsplit(x, 2), (2, 3, 4)),
})  # fmt: skip

TRIANGLES = rows({
    **{f"diag {k}": (lambda m, x, k=k: m.diag(x, k), (3,)) for k in (-2, 0, 1)},
    **{f"diag of a matrix {k}": (lambda m, x, k=k: m.diag(x, k), (3, 4)) for k in (-4, -1, 0, 2, 5)},
    "diagonal": (lambda m, x: m.diagonal(x, 1, 2, 0), (2, 3, 4)),
    "diagonal of several": (lambda m, x: m.diagonal(x, axis1=-2, axis2=-1), (2, 3, 4)),
    "diagonal method": (lambda m, x: x.diagonal(-1), (3, 3)),
    "diagflat": (lambda m, x: m.diagflat(x, -1), (2, 2)),
    "tril": (lambda m, x: m.tril(x), (3, 4)),
    "triu": (lambda m, x: m.triu(x, 1), (3, 4)),
    "tril of several": (lambda m, x: m.tril(x, -1), (2, 3, 3)),
    "triu of several": (lambda m, x: m.triu(x, -1), (2, 3, 2)),
    "tril of a vector": (lambda m, x: m.tril(x), (3,)),
    "vander": (lambda m, x: m.vander(x, 4), (3,)),
    "vander increasing": (lambda m, x: m.vander(x, 3, increasing=True), (3,)),
    "vander of nothing": (lambda m, x: m.vander(x, 0), (3,)),
    "meshgrid": (lambda m, x, y: m.meshgrid(x, y), ((3,), (2,))),
    "meshgrid ij": (lambda m, x, y, z: m.meshgrid(x, y, z, indexing="ij"), ((3,), (2,), (4,))),
    "meshgrid sparse": (lambda m, x, y, z: m.meshgrid(x, y, z, sparse=True), ((3,), (2,), (4,))),
    "meshgrid of one": (lambda m, x: m.meshgrid(x), (3,)),
    "meshgrid with a scalar": (lambda m, x, y: m.meshgrid(x, y), ((), (2,))),
})  # fmt: skip

WIDE = (3, 4)
PADDED = rows({
    "pad": (lambda m, x: m.pad(x, 2), WIDE),
    "pad before": (lambda m, x: m.pad(x, (2, 0)), WIDE),
    "pad an axis": (lambda m, x: m.pad(x, ((1, 2), (0, 3))), WIDE),
    "pad nothing": (lambda m, x: m.pad(x, 0), WIDE),
    "pad axes by name": (lambda m, x: m.pad(x, {-1: (1, 2)}), WIDE),
    "pad one value": (lambda m, x: m.pad(x, 1, constant_values=3), WIDE),
    "pad values": (lambda m, x: m.pad(x, (1, 2), constant_values=((1, 2), (3, 4))), WIDE),
    "pad empty": (lambda m, x: m.pad(x, 1), (0, 2)),
    "pad a scalar": (lambda m, x: m.pad(x, 1), ()),
    "edge": (lambda m, x: m.pad(x, ((5, 1), (0, 2)), "edge"), WIDE),
    "wrap": (lambda m, x: m.pad(x, ((5, 1), (9, 2)), "wrap"), WIDE),
    "reflect": (lambda m, x: m.pad(x, ((1, 2), (3, 0)), "reflect"), WIDE),
    "reflect often": (lambda m, x: m.pad(x, ((11, 7), (0, 8)), "reflect"), WIDE),
    "reflect of one": (lambda m, x: m.pad(x, 2, "reflect"), (1, 3)),
    "symmetric": (lambda m, x: m.pad(x, ((1, 2), (3, 0)), "symmetric"), WIDE),
    "symmetric often": (lambda m, x: m.pad(x, ((11, 7), (0, 9)), "symmetric"), WIDE),
    "reflect odd": (lambda m, x: m.pad(x, ((1, 2), (9, 7)), "reflect", reflect_type="odd"), WIDE),
    "reflect odd of one": (lambda m, x: m.pad(x, 2, "reflect", reflect_type="odd"), (1, 3)),
    "symmetric odd": (lambda m, x: m.pad(x, ((7, 8), (1, 3)), "symmetric", reflect_type="odd"), WIDE),
    "maximum": (lambda m, x: m.pad(x, (1, 2), "maximum"), WIDE),
    "maximum near": (lambda m, x: m.pad(x, (1, 2), "maximum", stat_length=2), WIDE),
    "minimum": (lambda m, x: m.pad(x, 1, "minimum", stat_length=((9, 1), (2, 3))), WIDE),
}) + rows({
    "linear_ramp": (lambda m, x: m.pad(x, (2, 3), "linear_ramp", end_values=(-1, 5)), WIDE),
    "linear_ramp axes": (lambda m, x: m.pad(x, ((0, 3), (1, 0)), "linear_ramp", end_values=((1, 2), (3, 4))), WIDE),
    "mean": (lambda m, x: m.pad(x, (1, 2), "mean"), WIDE),
    "mean near": (lambda m, x: m.pad(x, (1, 2), "mean", stat_length=(2, 3)), WIDE),
    "median": (lambda m, x: m.pad(x, (1, 2), "median"), WIDE),
    "median near": (lambda m, x: m.pad(x, (1, 2), "median", stat_length=3), WIDE),
}, exact=False)  # fmt: skip

SPACED = rows({
    "linspace": (lambda m, x, y: m.linspace(x, y, 5), ((), ())),
    "linspace of arrays": (lambda m, x, y: m.linspace(x, y, 3, axis=-1), ((2, 1), (3,))),
    "linspace open": (lambda m, x, y: m.linspace(x, y, 4, endpoint=False), ((3,), (3,))),
    "linspace of one": (lambda m, x, y: m.linspace(x, y, 1), ((3,), (3,))),
    "linspace of none": (lambda m, x, y: m.linspace(x, y, 0), ((), ())),
    "logspace": (lambda m, x, y: m.logspace(x, y, 4), ((3,), (3,))),
    "logspace base": (lambda m, x, y: m.logspace(x, y, 4, base=2.0), ((3,), (3,))),
}, exact=False)  # fmt: skip

ROWS = [*MOVED, *REPEATED, *JOINED, *TRIANGLES, *PADDED, *SPACED]


def each(rows: Sequence[Row]):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


def as_list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, list | tuple) else [results]


def free(arrays: Sequence[Array]) -> list[Variable]:
    """Inputs whose sizes are free except where they are 1."""
    return [
        TensorType(a.dtype, tuple(1 if n == 1 else None for n in a.shape))(f"x{i}")
        for i, a in enumerate(arrays)
    ]


def known(arrays: Sequence[Array]) -> list[Variable]:
    return [TensorType(a.dtype, a.shape)(f"x{i}") for i, a in enumerate(arrays)]


def assert_same(got: Array, expected: Any, exact: bool, dtype: str) -> None:
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if exact:
        np.testing.assert_array_equal(got, expected)
    else:
        eps = np.finfo(expected.dtype).eps if expected.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, expected, 16 * eps, 16 * eps)


def check(row: Row, dtype: str, make: Callable[..., list[Variable]]) -> None:
    arrays = row.arrays(dtype)
    variables = make(arrays)

    outputs = as_list(row.build(T, *variables))
    got = evaluate(outputs, dict(zip(variables, arrays, strict=True)))

    expected = as_list(row.build(np, *arrays))
    assert len(got) == len(expected)
    for variable, value, wanted in zip(outputs, got, expected, strict=True):
        assert_same(value, wanted, row.exact, dtype)
        for size, length in zip(variable.type.shape, value.shape, strict=True):
            assert size in (None, length)


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int8", "uint16", "bool", "complex64"]
)
@each([*MOVED, *REPEATED, *JOINED, *TRIANGLES])
def test_values_equal_numpy_for_every_kind_of_element(row, dtype):
    check(row, dtype, free)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
@each(PADDED)
def test_borders_equal_numpy(row, dtype):
    check(row, dtype, free)


@each(SPACED)
def test_spaced_numbers_equal_numpy(row):
    check(row, "float64", free)


@each(ROWS)
def test_values_equal_numpy_where_sizes_are_known(row):
    check(row, "float64", known)


@each(ROWS)
def test_known_sizes_give_known_sizes(row):
    arrays = row.arrays()

    outputs = as_list(row.build(T, *known(arrays)))

    for variable, value in zip(outputs, as_list(row.build(np, *arrays)), strict=True):
        assert variable.type.shape == np.shape(value)


@each([row for row in ROWS if row.smooth])
def test_gradients_equal_differences(row):
    arrays = row.arrays()

    def build(*variables: Variable) -> Variable:
        results = as_list(row.build(T, *variables))
        return T.concatenate([T.ravel(r) * (i + 1.0) for i, r in enumerate(results)])

    verify_grad(build, arrays)


BATCHES = {
    "moved": MOVED,
    "repeated": REPEATED,
    "joined": JOINED,
    "triangles": TRIANGLES,
    "padded": PADDED,
    "spaced": SPACED,
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("make", [free, known])
def test_compiled_values_equal_numpy(batch, make):
    inputs, values, outputs, expected = [], [], [], []
    for row in batch:
        arrays = row.arrays()
        variables = make(arrays)
        inputs += variables
        values += arrays
        outputs += as_list(row.build(T, *(v * 1.0 for v in variables)))
        expected += [(row, e) for e in as_list(row.build(np, *arrays))]

    got = wb.function(inputs, outputs, on_unused_input="ignore")(*values)

    for value, (row, wanted) in zip(got, expected, strict=True):
        assert_same(value, wanted, row.exact, "float64")


@each(ROWS)
def test_the_shape_follows_without_the_values(row):
    variables = free(row.arrays())
    results = as_list(row.build(T, *map(T.exp, variables)))

    f = wb.function(
        variables,
        [r.shape for r in results],
        on_unused_input="ignore",
        mode=wb.get_mode("FAST_RUN").clone("py"),
    )

    for node in f.compilation.after.nodes():
        is_a_number = node.outputs[0].ndim == 0 and node.outputs[0].dtype in (
            "int64",
            "bool",
        )
        assert isinstance(node.op, MakeVector) or is_a_number
