"""Places for the boxes of a graph, in rows from top to bottom.

Layered drawing after Sugiyama, Tagawa, Toda (1981), Methods for visual understanding of
hierarchical system structures, in four stages:

1. **Rows.** A box stands one row below the lowest it reads; then boxes move down
   towards their readers wherever that makes edges shorter.
2. **Lanes.** An edge over several rows gets a narrow empty box in each, so that it
   passes between the others. All edges out of one box share their lanes: one value, one
   line. Very large graphs do without.
3. **Order in a row.** Sweeps down and up that sort each row by the mean place of its
   neighbours; the order with the fewest crossings is kept.
4. **Places.** Sweeps that move each box to the mean of its neighbours, as near as the
   order and the gaps of its row permit: least squares under ``x[i+1] - x[i] >= gap``,
   solved exactly by pooling adjacent violators (Barlow et al. 1972, Statistical
   inference under order restrictions).

Nothing is random. Time is linear in boxes and edges for each sweep: 5,000 boxes take
about 0.3 s. `dot` was not taken because it needs minutes for graphs of gradients, whose
many long edges are its worst case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

GAP_X = 18.0  # pixels between neighbours of a row
GAP_Y = 30.0  # between rows
LANE = 10.0  # width kept free for an edge that passes a row
MOST_LANES = 6_000
MOST_COUNTED = 4_000  # edges for which crossings are counted
SWEEPS = 8
INFINITY = float("inf")
STRAIGHTENING = 6  # last sweeps, which look both up and down


@dataclass(frozen=True)
class Layout:
    """Where everything goes, in pixels from the top left.

    Attributes
    ----------
    centres
        The middle of each box.
    routes
        For each edge the points it passes: the lower middle of its source, two points
        for each row it passes, the upper middle of its target.
    rows
        The row of each box, from 0.
    width, height
        The size of the whole.
    """

    centres: list[Point]
    routes: list[list[Point]]
    rows: list[int]
    width: float
    height: float


def layout(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out boxes of given sizes, joined by edges from above to below.

    Parameters
    ----------
    sizes
        Width and height of each box, in pixels.
    edges
        Pairs of indices into `sizes`; no cycles.
    """
    if not sizes:
        return Layout([], [], [], 0.0, 0.0)
    rows = rank(len(sizes), edges)
    net = _Net(sizes, edges, rows)
    net.arrange()
    x = net.places()
    heights = [0.0] * len(net.rows)
    for box, row in enumerate(rows):
        heights[row] = max(heights[row], sizes[box][1])
    tops = [0.0]
    for height in heights:
        tops.append(tops[-1] + height + GAP_Y)
    middle = [top + height / 2 for top, height in zip(tops, heights, strict=False)]
    centres = [(x[i], middle[rows[i]]) for i in range(len(sizes))]
    routes = []
    for (source, target), lanes in zip(edges, net.lanes, strict=True):
        route = [(x[source], middle[rows[source]] + sizes[source][1] / 2)]
        for lane, row in zip(
            lanes, range(rows[source] + 1, rows[target]), strict=False
        ):
            route.append((x[lane], tops[row]))
            route.append((x[lane], tops[row] + heights[row]))
        if not lanes and rows[target] > rows[source] + 1:
            # Beside the boxes of its own column, where it would be hidden.
            half = max(sizes[source][0], sizes[target][0]) / 2
            side = max(x[source], x[target]) + half + LANE
            route.append((side, tops[rows[source] + 1]))
            route.append((side, tops[rows[target]] - GAP_Y))
        route.append((x[target], middle[rows[target]] - sizes[target][1] / 2))
        routes.append(route)
    width = max(x[i] + sizes[i][0] / 2 for i in range(len(sizes)))
    width = max([width, *(px + LANE for route in routes for px, _ in route)])
    return Layout(centres, routes, rows, width, tops[-1] - GAP_Y)


# --- rows ----------------------------------------------------------------------------


def rank(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """A row for each box, such that every edge goes down.

    Raises
    ------
    ValueError
        The edges form a cycle.
    """
    above: list[list[int]] = [[] for _ in range(n)]
    below: list[list[int]] = [[] for _ in range(n)]
    for source, target in edges:
        above[target].append(source)
        below[source].append(target)
    waiting = [len(a) for a in above]
    order = [i for i in range(n) if not waiting[i]]
    rows = [0] * n
    for box in order:  # grows while it is read
        for target in below[box]:
            rows[target] = max(rows[target], rows[box] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) != n:
        raise ValueError("the edges form a cycle")
    for box in reversed(order):
        # Down costs the edges from above and saves those below; a leaf that only
        # this box reads comes along, and so costs nothing.
        costs = sum(1 for a in above[box] if above[a] or len(below[a]) > 1)
        if below[box] and costs <= len(below[box]):
            rows[box] = min(rows[target] for target in below[box]) - 1
    first = min(rows)
    return [row - first for row in rows]


# --- lanes, order, places ------------------------------------------------------------


class _Net:
    """Boxes and lanes in rows, with their links between adjacent rows.

    Without lanes (very large graphs) links may skip rows; every stage allows that.
    """

    def __init__(
        self,
        sizes: Sequence[Point],
        edges: Sequence[tuple[int, int]],
        rank_of: Sequence[int],
    ) -> None:
        self.row = list(rank_of)
        self.width = [w for w, _ in sizes]
        self.boxes = len(sizes)
        self.links: dict[tuple[int, int], int] = {}
        self.lanes: list[list[int]] = []
        lowest: dict[int, int] = {}
        for source, target in edges:
            lowest[source] = max(lowest.get(source, 0), rank_of[target])
        has_lanes = MOST_LANES >= sum(
            max(0, low - rank_of[source] - 1) for source, low in lowest.items()
        )
        trunk: dict[int, list[int]] = {}
        self.trunks = trunk.values()
        for source, target in edges:
            lanes = trunk.setdefault(source, [])
            steps = rank_of[target] - rank_of[source] - 1 if has_lanes else 0
            while len(lanes) < steps:
                self.row.append(rank_of[source] + len(lanes) + 1)
                self.width.append(LANE)
                lanes.append(len(self.row) - 1)
            self.lanes.append(lanes[:steps])
            way = [source, *lanes[:steps], target]
            for pair in pairwise(way):
                self.links[pair] = self.links.get(pair, 0) + 1
        n = len(self.row)
        self.up: list[list[int]] = [[] for _ in range(n)]
        self.down: list[list[int]] = [[] for _ in range(n)]
        for source, target in self.links:
            self.down[source].append(target)
            self.up[target].append(source)
        self.rows: list[list[int]] = [[] for _ in range(max(self.row) + 1)]
        for item in self.depth_first():
            self.rows[self.row[item]].append(item)

    def depth_first(self) -> list[int]:
        """Every item, neighbours near each other: a first order with few crossings."""
        seen = [False] * len(self.row)
        found = []
        for start in sorted(range(len(self.row)), key=lambda i: (-self.row[i], i)):
            stack = [start]
            while stack:
                item = stack.pop()
                if not seen[item]:
                    seen[item] = True
                    found.append(item)
                    stack.extend(reversed(self.up[item]))
        return found

    def arrange(self) -> None:
        """Order every row for few crossings."""
        place = self.indices()
        counted = len(self.links) <= MOST_COUNTED
        best, fewest = (
            [list(row) for row in self.rows],
            self.crossings(place) if counted else 0,
        )
        for sweep in range(SWEEPS):
            downwards = sweep % 2 == 0
            near = self.up if downwards else self.down
            for row in self.rows if downwards else reversed(self.rows):
                means = {
                    i: sum(place[j] for j in near[i]) / len(near[i])
                    if near[i]
                    else place[i]
                    for i in row
                }
                row.sort(key=means.__getitem__)
                for position, item in enumerate(row):
                    place[item] = (position + 0.5) / len(row)
            if counted and fewest > (crossings := self.crossings(place)):
                best, fewest = [list(row) for row in self.rows], crossings
        if counted:
            self.rows = best

    def indices(self) -> list[float]:
        """The place of every item in its row, from 0 to 1, rows of any length alike."""
        place = [0.0] * len(self.row)
        for row in self.rows:
            for position, item in enumerate(row):
                place[item] = (position + 0.5) / len(row)
        return place

    def crossings(self, place: Sequence[float]) -> int:
        """How many pairs of links between the same rows cross."""
        by_row: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for source, target in self.links:
            rows = (self.row[source], self.row[target])
            by_row.setdefault(rows, []).append((place[source], place[target]))
        return sum(
            _inversions([t for _, t in sorted(ends)]) for ends in by_row.values()
        )

    def places(self) -> list[float]:
        """The horizontal middle of every item."""
        x = [0.0] * len(self.row)
        for row in self.rows:
            at = 0.0
            for item in row:
                x[item] = at + self.width[item] / 2
                at += self.width[item] + GAP_X
            shift = (at - GAP_X) / 2
            for item in row:
                x[item] -= shift
        for sweep in range(2 * SWEEPS + STRAIGHTENING):
            downwards = sweep % 2 == 0
            final = sweep >= 2 * SWEEPS
            for row in self.rows if downwards else reversed(self.rows):
                self.settle(row, x, downwards, final)
        self.straighten(x)
        left = min(x[i] - self.width[i] / 2 for i in range(len(x)))
        return [value - left for value in x]

    def straighten(self, x: list[float]) -> None:
        """Join the lanes of a line into long straight pieces where rows have room."""
        position = [0] * len(self.row)
        for row in self.rows:
            for i, item in enumerate(row):
                position[item] = i
        for lanes in self.trunks:
            piece: list[int] = []
            low, high = -INFINITY, INFINITY
            for lane in lanes:
                left, right = self.room(lane, position[lane], x)
                if max(low, left) > min(high, right):
                    _align(piece, low, high, x)
                    piece, low, high = [], -INFINITY, INFINITY
                piece.append(lane)
                low, high = max(low, left), min(high, right)
            _align(piece, low, high, x)

    def room(self, lane: int, position: int, x: Sequence[float]) -> Point:
        """Between which places a lane may move without touching its neighbours."""
        row = self.rows[self.row[lane]]
        left, right = -INFINITY, INFINITY
        if position:
            other = row[position - 1]
            left = x[other] + (self.width[other] + LANE) / 2
        if position + 1 < len(row):
            other = row[position + 1]
            right = x[other] - (self.width[other] + LANE) / 2
        return min(left, x[lane]), max(right, x[lane])

    def settle(
        self, row: list[int], x: list[float], downwards: bool, both: bool
    ) -> None:
        """Move one row to its neighbours' means, keeping order and gaps."""
        wanted, weights = [], []
        for item in row:
            near = (
                self.up[item] + self.down[item]
                if both
                else (self.up[item] if downwards else self.down[item])
            )
            # A line is straight where lane meets lane; a box may yield.
            pulls = [(8.0 if item >= self.boxes <= j else 1.0, x[j]) for j in near]
            weight = sum(w for w, _ in pulls)
            mean = sum(w * at for w, at in pulls) / weight if weight else x[item]
            wanted.append(mean)
            weights.append(weight or 0.1)
        offsets = [0.0]
        for a, b in pairwise(row):
            offsets.append(offsets[-1] + (self.width[a] + self.width[b]) / 2 + GAP_X)
        shifted = [w - o for w, o in zip(wanted, offsets, strict=True)]
        for item, value, offset in zip(
            row, isotonic(shifted, weights), offsets, strict=True
        ):
            x[item] = value + offset


def _align(piece: Sequence[int], low: float, high: float, x: list[float]) -> None:
    """Put lanes on one vertical, the nearest to their middle that all have room for."""
    if piece:
        middle = sorted(x[lane] for lane in piece)[len(piece) // 2]
        for lane in piece:
            x[lane] = min(max(middle, low), high)


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nondecreasing sequence nearest to `values` in weighted least squares.

    >>> isotonic([1, 3, 2], [1, 1, 1])
    [1.0, 2.5, 2.5]
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values, weights, strict=True):
        mean, total, n = float(value), float(weight), 1
        while pools and pools[-1][0] > mean:
            other, w, k = pools.pop()
            mean = (mean * total + other * w) / (total + w)
            total, n = total + w, n + k
        pools.append((mean, total, n))
    return [mean for mean, _, n in pools for _ in range(n)]


def _inversions(values: Sequence[float]) -> int:
    """Pairs out of order, counted while merging."""
    ranks = {v: i + 1 for i, v in enumerate(sorted(set(values)))}
    counts = [0] * (len(ranks) + 1)
    total = 0
    for seen, value in enumerate(values):
        i, smaller = ranks[value], 0
        while i:
            smaller += counts[i]
            i &= i - 1
        total += seen - smaller
        i = ranks[value]
        while i <= len(ranks):
            counts[i] += 1
            i += i & -i
    return total
