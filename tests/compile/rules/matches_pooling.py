"""Graphs that the rules for moving windows match, and that for sums in two stages."""

import workbench.tensor as T
from tests.compile.rules.drawing import row
from workbench.core.ops.pooling import PoolPlaces

pool_2d, pool_3d = T.signal.pool.pool_2d, T.signal.pool.pool_3d


def places(x, ws, stride, pad=None):
    """Where in windows of the last axes the largest elements stand."""
    settings = [T.constant(n) for n in (*ws, *stride, *(pad or [0] * len(ws)))]
    return PoolPlaces(len(ws))(x, *settings)


def maximum_and_place(x, *windows):
    """What a gradient needs, too."""
    ws, stride, pad = windows
    return pool_2d(x, ws, True, stride, pad), places(x, *windows)


row(
    "pool_by_elements",
    lambda d: pool_2d(d.new(2, 5, d.size()), (2, 2), True),
    lambda d: pool_2d(d.new(d.size(), 7, dtype="int32"), (1, 3), True, (2, 1)),
    lambda d: pool_2d(d.new(6, 5, dtype="float32"), (3, 2), True, mode="sum"),
    lambda d: pool_2d(d.new(6, 5), (2, 2), True, (1, 2), mode="average_inc_pad"),
    lambda d: pool_3d(d.new(4, 5, 4), (2, 2, 2), True, mode="average_exc_pad"),
)
row(
    "places_by_elements",
    lambda d: places(d.new(2, 5, d.size()), (2, 2), (2, 2)),
    lambda d: places(d.new(6, 7, dtype="int8"), (3, 1), (1, 2)),
    lambda d: places(d.new(4, 5, 4, dtype="float32"), (2, 2, 2), (1, 2, 1)),
)
row(
    "maximum_at_its_place",
    lambda d: maximum_and_place(d.new(2, 5, d.size()), (3, 3), (2, 2), (1, 1)),
    lambda d: maximum_and_place(d.new(3, 4, dtype="int8"), (2, 4), (1, 3), (1, 2)),
    lambda d: maximum_and_place(d.new(0, 4), (2, 2), (1, 2), (1, 0)),
)
row(
    "sum_in_two_stages",
    lambda d: T.sum(d.new(3, d.size(), 4), axis=(0, 2)),
    lambda d: T.sum(d.new(3, 2, 4, 5, dtype="float32"), axis=(0, 2, 3)),
    lambda d: T.sum(d.new(3, 2, 4, 5), axis=(1, 3)),
)
