"""The size of the cache: what was used longest ago goes first, and never under anybody."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from tests.compile.crew import Crew
from workbench.compile import upkeep
from workbench.compile.c.toolchain import find_compiler
from workbench.compile.cache import Cache
from workbench.config import config

nightly = pytest.mark.nightly
LONG_AGO = time.time() - 10 * upkeep.IN_USE_SECONDS


def fetch(cache, key, size=1000):
    def build(folder):
        (folder / "program.so").write_bytes(key.encode().ljust(size))

    entry = cache.fetch(key, build)
    assert (entry.path / "program.so").read_bytes().split()[0] == key.encode()
    return entry


def age(cache, seconds=0.0):
    """Let all entries have been used long ago, in the order in which they were."""
    for number, kept in enumerate(cache.entries()):
        os.utime(kept.path, (0, LONG_AGO + number - seconds))


def test_the_default_is_two_gibibytes():
    assert type(config)(environ={}).cache_size == 2 << 30


@pytest.mark.parametrize(
    "text, size",
    [("1000", 1000), ("2 GiB", 2 << 30), ("500MB", 500 * 10**6), ("1.5 kB", 1500)],
)
def test_a_size_may_have_a_unit(text, size):
    assert type(config)(environ={"WORKBENCH_CACHE_SIZE": text}).cache_size == size


def test_entries_tell_size_and_order_of_use(tmp_path):
    cache = Cache(tmp_path / "cache")
    a, b = fetch(cache, "a", 1000), fetch(cache, "b", 3000)
    os.utime(a.path, (0, LONG_AGO))

    first, second = cache.entries()

    assert (first.path, second.path) == (a.path, b.path)
    assert first.used == LONG_AGO
    assert 3000 < second.size < 3500
    assert second.size - first.size == 2000


def test_a_use_is_noted(tmp_path):
    cache = Cache(tmp_path / "cache")
    fetch(cache, "a"), fetch(cache, "b")
    age(cache)

    fetch(cache, "a")

    assert [kept.used > LONG_AGO + 100 for kept in cache.entries()] == [False, True]
    assert cache.entries()[1].path == fetch(cache, "a").path


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = Cache(tmp_path / "cache")
    paths = [fetch(cache, f"k{number}", 10_000).path for number in range(10)]
    age(cache)
    fetch(cache, "k0")

    with config.change(cache_size=50_000):
        fetch(Cache(tmp_path / "cache"), "new", 10_000)

    there = [path.exists() for path in paths]
    assert there == [True] + [False] * 7 + [True] * 2
    assert sum(kept.size for kept in cache.entries()) <= 50_000


def test_what_was_just_used_stays_above_the_limit(tmp_path):
    cache = Cache(tmp_path / "cache")

    with config.change(cache_size=1):
        paths = [fetch(cache, f"k{number}").path for number in range(5)]

    assert all(path.exists() for path in paths)


def test_other_things_in_the_folder_are_not_counted(tmp_path):
    cache = Cache(tmp_path / "cache")
    fetch(cache, "a")
    (tmp_path / "cache" / "notes.txt").write_text("x" * 10_000)
    (tmp_path / "cache" / "folder").mkdir()

    with config.change(cache_size=1):
        fetch(Cache(tmp_path / "cache"), "b")

    assert len(cache.entries()) == 2
    assert (tmp_path / "cache" / "notes.txt").exists()


def test_a_size_is_looked_at_now_and_then_only(tmp_path, monkeypatch):
    looks, real = [], upkeep.kept_in
    monkeypatch.setattr(upkeep, "kept_in", lambda r: looks.append(1) or real(r))
    cache = Cache(tmp_path / "cache")

    with config.change(cache_size=1_000_000):
        for number in range(100):
            fetch(cache, f"k{number}", 1000)

    assert len(looks) <= 3


def test_an_entry_that_vanishes_while_it_is_counted_is_left_out(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    a, b = fetch(cache, "a"), fetch(cache, "b")
    real = upkeep._size

    def size(path):
        shutil.rmtree(a.path, ignore_errors=True)
        return real(path)

    monkeypatch.setattr(upkeep, "_size", size)

    assert [kept.path for kept in cache.entries()] == [b.path]


def test_clearing_leaves_what_others_are_writing(tmp_path):
    cache = Cache(tmp_path / "cache")
    fetch(cache, "a")
    writing = tmp_path / "cache" / upkeep.temporary_name()
    writing.mkdir()
    (tmp_path / "cache" / "tmp-0-1-dead").mkdir()
    os.utime(tmp_path / "cache" / "tmp-0-1-dead", (0, 0))

    cache.clear()

    assert list((tmp_path / "cache").iterdir()) == [writing]


@pytest.mark.parametrize("content", ["", "x", "1", "-5 0", "9" * 5000, "1 2 3", "ä 1"])
def test_a_strange_note_of_the_sum_is_written_anew(tmp_path, content):
    cache = Cache(tmp_path / "cache")
    fetch(cache, "a", 1000)
    (tmp_path / "cache" / upkeep.TOTAL).write_text(content)

    fetch(cache, "b", 1000)

    total, since = map(int, (tmp_path / "cache" / upkeep.TOTAL).read_text().split())
    assert total == sum(kept.size for kept in cache.entries())
    assert abs(since - time.time()) < 1000


def test_the_sum_follows_what_is_written(tmp_path):
    cache = Cache(tmp_path / "cache")
    for number in range(5):
        fetch(cache, f"k{number}", 1000)

    total = int((tmp_path / "cache" / upkeep.TOTAL).read_text().split()[0])
    assert total == sum(kept.size for kept in cache.entries())


# A process that drops all it can, all the time: as if the limit were reached in each.
GREEDY = """
from workbench.compile import upkeep
upkeep.IN_USE_SECONDS = {grace}
"""


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    "rounds, grace",
    [
        (1, upkeep.IN_USE_SECONDS),
        pytest.param(50, upkeep.IN_USE_SECONDS, marks=nightly),
        pytest.param(5, -1.0, marks=nightly),
    ],
)
def test_processes_that_drop_entries_of_each_other_stay_right(tmp_path, rounds, grace):
    """Even without the time in which nothing is dropped, all is right and compiled."""
    flags = {"cache_dir": str(tmp_path / "cache"), "cflags": "-O0", "cache_size": 1}
    task = {"config": flags, "patch": GREEDY.format(grace=grace)}

    with Crew(tmp_path / "crew", warm=True) as crew:
        for number in range(rounds):
            programs = [*range(number, number + 4)] * 2
            members = [crew.start(programs=programs, **task) for _ in range(4)]

            for result in map(crew.wait, members):
                assert "error" not in result, result["error"]
                assert result["wrong"] == []
                assert grace < 0 or result["warnings"] == []
                assert grace < 0 or result["backends"] == ["c"] * 8
