import random
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.viz.layout import GAP_X, isotonic, layout, rank

SIZE = (80.0, 36.0)


def random_edges(n: int, reach: int, seed: int = 0) -> list[tuple[int, int]]:
    choose = random.Random(seed)
    return [
        (choose.randrange(max(0, i - reach), i), i)
        for i in range(1, n)
        for _ in range(choose.choice([1, 1, 2, 2, 2]))
    ]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6))
def test_edges_go_down_and_boxes_do_not_touch(n, reach, seed):
    edges = random_edges(n, reach, seed)

    found = layout([SIZE] * n, edges)

    assert all(found.centres[s][1] < found.centres[t][1] for s, t in edges)
    rows: dict[int, list[float]] = {}
    for (x, _), row in zip(found.centres, found.rows, strict=True):
        rows.setdefault(row, []).append(x)
    for xs in rows.values():
        xs.sort()
        # Lanes may be straightened into the gap, boxes keep theirs.
        assert all(b - a >= SIZE[0] + GAP_X - 1e-6 for a, b in pairwise(xs))


def test_everything_lies_within_the_size():
    found = layout([SIZE] * 50, random_edges(50, 50))

    for x, y in found.centres:
        assert SIZE[0] / 2 <= x <= found.width - SIZE[0] / 2 + 1e-6
        assert SIZE[1] / 2 <= y <= found.height - SIZE[1] / 2 + 1e-6


def test_routes_join_the_boxes_of_their_edge():
    edges = [(0, 1), (1, 2), (0, 2)]

    found = layout([SIZE] * 3, edges)

    for (source, target), route in zip(edges, found.routes, strict=True):
        assert route[0] == (found.centres[source][0], found.centres[source][1] + 18)
        assert route[-1] == (found.centres[target][0], found.centres[target][1] - 18)
    assert len(found.routes[2]) == 4  # passes the row of box 1


def test_the_same_graph_gets_the_same_places():
    edges = random_edges(200, 30)

    assert layout([SIZE] * 200, edges) == layout([SIZE] * 200, edges)


def test_leaves_stand_just_above_their_first_reader():
    rows = rank(4, [(0, 1), (1, 2), (3, 2)])

    assert rows == [0, 1, 2, 1]


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        rank(2, [(0, 1), (1, 0)])


def test_nothing_has_no_size():
    assert layout([], []).width == 0


@pytest.mark.parametrize("reach", [20, 5000])
def test_five_thousand_boxes_take_well_under_a_second(reach):
    edges = random_edges(5000, reach)
    start = time.process_time()

    layout([SIZE] * 5000, edges)

    # Measured 0.2 to 0.5 s; the bound leaves room for a slow machine.
    assert time.process_time() - start < 3


def test_a_chain_of_five_thousand_is_straight():
    found = layout([SIZE] * 5000, [(i, i + 1) for i in range(4999)])

    assert found.width == SIZE[0]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_isotonic_is_ordered_and_keeps_the_mean(values):
    found = isotonic(values, [1.0] * len(values))

    assert all(a <= b + 1e-9 for a, b in pairwise(found))
    assert sum(found) == pytest.approx(sum(values), abs=1e-6)
