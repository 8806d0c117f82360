"""Calls of functions that rearrange, join, split, repeat and pad."""

from __future__ import annotations

import numpy as np

import workbench.tensor as T
from tests.corpus.calls import Call
from tests.corpus.grids import DTYPES, FEW, OMITTED, SHAPES, array, arrays, grid

AXES = (0, -1, 1, 2, -3, 7)
ONE = ("float32",)
CUBE = array("float32", (2, 3, 4), special=True)
MATRIX = array("float64", (2, 3), special=True)
LISTS = ([1, 2, 3], [[1.5, 2], [3, 4]], 5, True, 2.5j, np.float32(2), (1, 2))


def of_axes() -> list[Call]:
    """Axes moved, added, dropped."""
    more = [*arrays(ONE), CUBE]
    return [
        *grid("transpose", arrays(DTYPES)),
        *grid(
            "transpose", more, [None, (0,), (1, 0), (-1, 0), (2, 0, 1), [1, 0], (0, 0)]
        ),
        *grid("transpose", [CUBE], [(0, 1), (0, 1, 3), (1, 2, 0), 1]),
        *grid("transpose", LISTS),
        *grid("permute_dims", [CUBE, MATRIX], [OMITTED, (1, 0), (2, 1, 0), (0, 0)]),
        *grid("matrix_transpose", arrays()),
        *grid("swapaxes", more, AXES, (0, -2)),
        *grid("swapaxes", [MATRIX], axis1=[0], axis2=[1, 2]),
        *grid("moveaxis", more, (0, -1, (0, 1), [2]), (0, -1, (-1, 0))),
        *grid(
            "moveaxis", [CUBE], [(0, 0), (0, 1, 2), 3], [(1, 2), (2, 1, 0), (1, 1), 5]
        ),
        *grid("rollaxis", [MATRIX, CUBE], (0, 1, -1, 3), (OMITTED, 0, 1, 2, 3, -1, 4)),
        *grid("expand_dims", more, (0, -1, 1, (0, 1), (0, -1), (0, 0), 9, -9, [1])),
        *grid("expand_dims", LISTS, (0, -1)),
        *grid("squeeze", arrays()),
        *grid("squeeze", more, (None, 0, 1, -1, (0,), (0, 1), (), 5, (0, 0))),
        *grid("atleast_1d", arrays()),
        *grid("atleast_2d", arrays()),
        *grid("atleast_3d", arrays()),
        *grid("atleast_1d", LISTS),
        *grid("atleast_2d", LISTS),
        *grid("atleast_3d", [*LISTS, CUBE]),
        *grid("atleast_2d", [array("int8", (3,)), 1], [MATRIX, [1, 2]]),
    ]


def of_sizes() -> list[Call]:
    """Elements laid out anew, or stretched."""
    more = [*arrays(ONE), CUBE]
    shapes = (
        -1,
        (),
        3,
        (3,),
        (-1, 3),
        (3, -1),
        (2, 3),
        (3, 2),
        [1, 3],
        (0,),
        (-1, -1),
        (-2, 3),
    )
    return [
        *grid("reshape", arrays(DTYPES), [(-1,)]),
        *grid("reshape", more, shapes),
        *grid(
            "reshape", [MATRIX, CUBE], [(3, 2), -1, (2, -1), (4, 6)], order=["C", "F"]
        ),
        *grid("reshape", [MATRIX], shape=[(3, 2), 6, (5,)]),
        *grid("reshape", [MATRIX], [(3, 2)], order=["A", "K", "x"]),
        *grid("reshape", [MATRIX], [2.0, (2.0, 3), "a", None, (np.int64(3), 2)]),
        *grid("reshape", LISTS, [-1, (1, -1)]),
        *grid("ravel", arrays(DTYPES)),
        *grid("ravel", [MATRIX, CUBE], order=["C", "F", "x"]),
        *grid("ravel", LISTS),
        *grid("shape", [*more, *LISTS]),
        *grid("copy", [*arrays(), *LISTS]),
        *grid(
            "broadcast_to", more, [(), 3, (3,), (2, 3), (2, 2, 3), (0,), (1, 3), (0, 3)]
        ),
        *grid(
            "broadcast_to",
            [MATRIX, array("int8", (3,))],
            [(-1, 3), (2.0, 3), "ab", [2, 3]],
        ),
        *grid("broadcast_to", LISTS, [(3, 3), (2, 2), (2, 3)]),
        *grid("broadcast_to", [array("bool", (1, 3))], shape=[(4, 3)]),
        *grid("broadcast_arrays", arrays(FEW), [array("int64", (3,))]),
        *grid("broadcast_arrays", arrays(ONE), arrays(ONE, seed=1)),
        *grid("broadcast_arrays"),
        *grid("broadcast_arrays", [1.5, True], [[1, 2, 3]], [array("int8", (2, 1))]),
        *grid("broadcast_shapes", [(), (1,), (3,), 3, (2, 1), (0,), (-1,)], SHAPES),
        *grid("broadcast_shapes"),
        *grid("broadcast_shapes", [(2, 3), 4], [(3,), (1, 4)], [(2, 1), (5, 1)]),
        *grid("broadcast_shapes", [(2.0,), "a", (3,)], [(1,)]),
    ]


def of_order() -> list[Call]:
    """Elements in another order, or repeated."""
    more = [*arrays(ONE), CUBE]
    twice = array("int64", (2,)) * 0 + np.array([2, 0])
    return [
        *grid("flip", arrays(DTYPES)),
        *grid("flip", more, (None, 0, -1, 1, (0, 1), (), 5, (0, 0), [0])),
        *grid("flip", LISTS),
        *grid("fliplr", [*arrays(), *LISTS]),
        *grid("flipud", [*arrays(), *LISTS]),
        *grid("rot90", more, (1, 2, -1, 0, 5)),
        *grid(
            "rot90",
            [CUBE, MATRIX],
            [1, 3],
            [(0, 1), (1, 0), (1, 2), (0, -1), (0, 0), (0,), (0, 5)],
        ),
        *grid("rot90", [MATRIX, [[1, 2], [3, 4]]]),
        *grid("roll", arrays(), (0, 1, -4)),
        *grid("roll", more, (1, -2, 7), (0, -1, 1, 5)),
        *grid(
            "roll",
            [MATRIX, CUBE],
            [(1, 2), 1, (1,)],
            [(0, 1), (1, 1), (0,), None, (0, 1, 2)],
        ),
        *grid("roll", [MATRIX], [1.0, "a", [1, 2]]),
        *grid("roll", LISTS, [1]),
        *grid("repeat", arrays(), (0, 2)),
        *grid("repeat", more, (0, 1, 3), (None, 0, -1, 1, 5)),
        *grid(
            "repeat", [MATRIX], [twice, [1, 2], [1, 0, 2], (1, 2, 3), [2]], (0, 1, None)
        ),
        *grid("repeat", [MATRIX], [-1, 2.0, [1, -1], True, "a"], (OMITTED, 0)),
        *grid("repeat", LISTS, [2]),
        *grid("tile", arrays(), (0, 2, (2, 1))),
        *grid("tile", more, (1, (2, 3), (1, 2, 2), (), [2, 0], (3,))),
        *grid("tile", [MATRIX], [-1, 2.0, (2, -1), "a", np.array([2, 1])]),
        *grid("tile", LISTS, [2, (2, 2)]),
    ]


def of_joins() -> list[Call]:
    """Arrays joined."""
    pairs = [
        [array(a, s), array(b, t, 1)]
        for s in SHAPES
        for t in SHAPES
        for a, b in [("float32", "float32")]
        if abs(len(s) - len(t)) <= 1
    ]
    mixed = [[array(a, (2, 3)), array(b, (2, 3), 1)] for a in DTYPES for b in DTYPES]
    odd = [
        [],
        [MATRIX],
        MATRIX,
        CUBE,
        [MATRIX, 1.0],
        [[1, 2], [3, 4]],
        (MATRIX, MATRIX),
        3,
    ]
    odd += [[1, 2.5], [[1, 2], [3.5]], [True, [1]], [array("int8", (2,)), [1, 2]]]
    made = []
    for name in ("concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"):
        made += grid(name, [*pairs, *mixed, *odd])
    for name in ("concatenate", "stack"):
        made += grid(
            name,
            [[MATRIX, MATRIX], [CUBE, CUBE], [CUBE, MATRIX], []],
            (0, 1, -1, 2, 3, -4, None, 1.0),
        )
        made += grid(name, [[MATRIX, MATRIX]], axis=[0, 1, (0,)])
    for name in ("concatenate", "stack", "hstack", "vstack"):
        made += grid(
            name,
            [[array("int64", (2, 3)), MATRIX]],
            dtype=["float32", "int64", "complex64", None],
        )
        made += grid(
            name,
            [[array("int64", (2, 3)), MATRIX]],
            dtype=["int32", "float32"],
            casting=["unsafe", "same_kind", "no"],
        )
    values = [*arrays(ONE), 1, 2.5, [1, 2], [[1, 2, 3]], array("int64", (2, 3))]
    return [
        *made,
        *grid("concat", [*pairs[:9], *odd], [0, None]),
        *grid("row_stack", [*pairs[:9], *odd], theirs=np.vstack),
        *grid("append", [array("int8", (3,)), MATRIX, [1, 2], 3], values),
        *grid("append", [MATRIX, array("int8", (3,))], values, (0, 1, -1, 2)),
        *grid(
            "block_diag",
            arrays(ONE),
            arrays(("int64",)),
            theirs=block_diag,
            ours=T.linalg.block_diag,
        ),
        *grid("linalg.block_diag", [1.5, [1, 2], MATRIX], [[[1, 2], [3, 4]], True]),
        *grid("linalg.block_diag"),
    ]


def block_diag(*args):
    """SciPy's function, which the top module of ours does not have."""
    import scipy.linalg

    return scipy.linalg.block_diag(*args)


def of_parts() -> list[Call]:
    """Arrays taken apart."""
    whole = [
        array("float32", (6,)),
        array("int8", (4, 6)),
        array("bool", (0,)),
        array("float64", (2, 4, 6)),
        array("int64", ()),
    ]
    sections = (
        1,
        2,
        3,
        4,
        0,
        -1,
        [1, 3],
        (2,),
        [],
        [3, 1],
        [0, 9],
        [-1],
        np.array([2, 4]),
        2.0,
        "a",
        [1.5],
    )
    return [
        *grid("split", whole, sections),
        *grid("split", whole, (2, 5, [1, 2]), (0, -1, 1, 5)),
        *grid("array_split", whole, sections),
        *grid("array_split", whole, (2, 5, [1, 2]), (0, -1, 1, 5)),
        *grid("hsplit", whole, (2, 5, [1, 2])),
        *grid("vsplit", whole, (2, 5, [1, 2])),
        *grid("dsplit", whole, (2, 5, [1, 2])),
        *grid("split", [[1, 2, 3, 4]], [2]),
        *grid("split", [MATRIX], indices_or_sections=[2], axis=[0, 1]),
        *grid(
            "delete",
            whole,
            (
                0,
                1,
                -1,
                9,
                [0, 1],
                [0, 0],
                [],
                slice(1, 3),
                slice(None, None, 2),
                [True] * 6,
            ),
        ),
        *grid(
            "delete",
            whole,
            (0, 1, -1, 7, [0, 2], [], slice(1, 3), slice(None)),
            (0, 1, -1, 5),
        ),
        *grid(
            "delete",
            [MATRIX],
            [1.0, "a", [1.5], np.array([0, 1]), np.array([True, False]), [7]],
            [0],
        ),
        *grid("delete", [[1, 2, 3]], obj=[1]),
    ]


MODES = (
    "constant",
    "edge",
    "linear_ramp",
    "maximum",
    "mean",
    "median",
    "minimum",
    "reflect",
    "symmetric",
    "wrap",
    "empty",
)


def of_padding() -> list[Call]:
    """Arrays with a border."""
    small = [
        array(d, s)
        for d in ("int8", "float64", "bool")
        for s in ((3,), (2, 3), (0,), (1,), ())
    ]
    widths = (0, 1, (1, 2), ((1, 0), (2, 1)), [(1, 1)], 5)
    line = array("float64", (4,))
    return [
        *grid("pad", small, widths, MODES[:-1]),
        *grid("pad", small, [1]),
        *grid(
            "pad",
            arrays(DTYPES, [(2, 3)]),
            [((1, 2), (0, 1))],
            ["constant", "edge", "mean", "linear_ramp", "maximum"],
            ulps=8,
        ),
        *grid(
            "pad",
            [line, MATRIX],
            [1, (2, 1)],
            constant_values=[5, (1, 2), 2.5, ((1, 2),), "a"],
        ),
        *grid(
            "pad", [line, MATRIX], [2], ["linear_ramp"], end_values=[5, (1, 2), -1.5]
        ),
        *grid(
            "pad",
            [line, array("int8", (4,))],
            [2],
            ["mean", "median", "maximum", "minimum"],
            stat_length=[None, 1, 2, (1, 3), 9, 0, -1],
        ),
        *grid(
            "pad",
            [line, array("int8", (2, 3))],
            [2, 6],
            ["reflect", "symmetric"],
            reflect_type=["even", "odd"],
        ),
        *grid("pad", [line], [-1, 1.5, (1, 2, 3), "a", (1, -2)]),
        *grid("pad", [line], [1], ["nothing", "edge"], [OMITTED]),
        *grid("pad", [line], [1], ["edge", "wrap"], constant_values=[0]),
        *grid("pad", [line], [{0: 1}, {-1: (1, 2)}]),
        *grid("pad", [[1, 2, 3], 5], [2], ["edge", "constant"]),
    ]


CALLS = [*of_axes(), *of_sizes(), *of_order(), *of_joins(), *of_parts(), *of_padding()]
