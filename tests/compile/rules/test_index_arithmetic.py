"""The arithmetic of slices against NumPy's, for all small bounds, steps and sizes.

The functions that compute bounds are called, not compiled: some hundred thousand slices.
"""

from itertools import product

import numpy as np
import pytest

from workbench.compile.rules.indexing import (
    counts_forward,
    join_entries,
    plain_entry,
    range_of_array,
)
from workbench.compile.rules.joins import find_parts, join_bounds
from workbench.compile.rules.sizes import as_sum, at_most, equal_sums
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable, as_variable
from workbench.core.op import known_int
from workbench.core.ops.shape import INT64, SizeOf
from workbench.core.ops.slicing import slice_extent
from workbench.core.types import TensorType

BOUNDS = (None, *range(-4, 5))
STEPS = (-3, -2, -1, 1, 2, 3)
SIZES = range(6)
ENTRIES = list(product(BOUNDS, BOUNDS, STEPS))


def taken(entry, size):
    """The places that an entry takes."""
    if isinstance(entry, tuple):
        return list(range(size)[slice(*entry)])
    return [range(size)[entry]]


@pytest.mark.parametrize("size", SIZES)
def test_one_way_to_write_a_slice_takes_the_same(size):
    for entry in ENTRIES:
        plain = plain_entry(entry, size)

        assert taken(plain, size) == taken(entry, size)
        assert plain_entry(plain, size) == plain
    for place in range(-size, size):
        assert taken(plain_entry(place, size), size) == taken(place, size)


def test_a_place_outside_stays_outside():
    for size, place in product(SIZES, range(-9, 9)):
        if not -size <= place < size:
            assert plain_entry(place, size) == place


@pytest.mark.parametrize("size", SIZES)
def test_two_slices_of_a_known_size_are_one(size):
    rng = np.random.default_rng(size)
    for n in rng.permutation(len(ENTRIES) ** 2)[:20_000]:
        first, second = ENTRIES[n // len(ENTRIES)], ENTRIES[n % len(ENTRIES)]
        places = taken(first, size)

        joined = join_entries(first, second, size)

        assert taken(joined, size) == places[slice(*second)]


def test_two_slices_of_an_unknown_size_are_one_where_they_are_joined():
    joined_pairs = 0
    for first, second in product(ENTRIES, ENTRIES):
        joined = join_entries(first, second, None)
        if joined is None:
            continue
        joined_pairs += 1
        for size in SIZES:
            places = taken(first, size)
            assert taken(joined, size) == places[slice(*second)], (first, second, size)
    assert joined_pairs > 10_000


@pytest.mark.parametrize("size", SIZES)
def test_a_place_in_a_slice_is_a_place(size):
    for entry, place in product(ENTRIES, range(-4, 5)):
        places = taken(entry, size)

        joined = join_entries(entry, place, size)

        if -len(places) <= place < len(places):
            assert range(size)[joined] == places[place]
        elif entry != (None, None, 1):
            assert joined is None


def test_joined_neighbours_take_what_both_take():
    for first, second in product(ENTRIES, ENTRIES):
        joined = join_bounds(first, second)
        if joined is None:
            continue
        for size in SIZES:
            parts = taken(first, size) + taken(second, size)
            assert taken(joined, size) == parts, (first, second, size)


def test_parts_of_a_join_hold_what_an_entry_takes():
    for sizes in product(range(4), repeat=3):
        whole = [(i, k) for i, n in enumerate(sizes) for k in range(n)]
        entries = [*product(BOUNDS, BOUNDS, (1,)), *range(-len(whole), len(whole))]
        for entry in entries:
            found = find_parts(entry, sizes)
            if found is None:
                continue
            first, last, own = found
            parts = [(i, k) for i in range(first, last) for k in taken(own, sizes[i])]
            index = (
                slice(*entry)
                if isinstance(entry, tuple)
                else slice(entry, entry + 1 or None)
            )
            assert parts == whole[index], (sizes, entry, found)


@pytest.mark.parametrize("start", BOUNDS)
def test_extents_of_a_size_that_is_a_variable(start):
    n = Variable(INT64, "n")
    for stop, step in product(BOUNDS, STEPS):
        extent = slice_extent(start, stop, step, n)
        outputs = [as_variable(v) for v in extent]
        for size in SIZES:
            first, length = (int(v) for v in evaluate(outputs, {n: np.array(size)}))
            expected = taken((start, stop, step), size)
            assert length == len(expected)
            assert not expected or first == expected[0]


def test_a_vector_of_places_that_count_up_is_a_range():
    for start, length, step in product(range(5), range(5), (-2, -1, 1, 2, 3)):
        places = range(start, start + step * length, step)

        assert list(range_of_array(np.array(places, int)) or []) == list(places)
    assert range_of_array(np.array([1, 2, 4])) is None
    assert range_of_array(np.array([1, 1])) is None


def test_sizes_are_compared_as_sums():
    x = Variable(TensorType("float64", (None, None)), "x")
    n, m, k = SizeOf(0)(x), SizeOf(1)(x), Variable(INT64, "k")

    assert equal_sums(n + m - n, m)
    assert equal_sums(2 * n + 3, n + 1 + n + 2)
    assert not equal_sums(n, m)
    assert at_most(n, n + m)
    assert at_most(0, 3)
    assert not at_most(n + 1, n)
    assert not at_most(n, n + k)  # a number may be negative, a size may not
    assert counts_forward(n + m)
    assert not counts_forward(n - m)
    assert not counts_forward(k)
    assert known_int(3) == as_sum(3).number == 3
