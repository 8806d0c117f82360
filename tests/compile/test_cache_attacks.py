"""Real programs, compiled while processes are killed, crowd together, and find damage.

The quick suite makes a few rounds of each; the nightly one as many as the goals ask for.
"""

from __future__ import annotations

import ctypes
import json
import random
import re
import shutil
from pathlib import Path

import pytest

from tests.compile.crew import Crew, counting
from workbench.compile import upkeep
from workbench.compile.c.toolchain import build, find_compiler
from workbench.config import config

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

nightly = pytest.mark.nightly
QUICK = "-O0"  # The cache does not care what the compiler takes its time for.


@pytest.fixture(scope="module")
def crew(tmp_path_factory):
    with Crew(tmp_path_factory.mktemp("crew")) as crew:
        yield crew


@pytest.fixture(scope="module")
def warm(crew, tmp_path_factory):
    """A cache with what every program needs, to be copied."""
    cache = tmp_path_factory.mktemp("warm") / "cache"
    crew.run(programs=[0], config={"cache_dir": str(cache), "cflags": QUICK})
    return cache


@pytest.fixture
def setting(warm, tmp_path):
    """Flags for a copy of the warm cache, and the log of a compiler that counts."""
    cache, log = tmp_path / "cache", tmp_path / "log"
    shutil.copytree(warm, cache)
    log.touch()
    cc = counting(tmp_path / "bin", find_compiler().path, log)
    return {"cache_dir": str(cache), "cflags": QUICK, "cc": cc}, cache, log


def leftovers(cache):
    # With a number beside a stranger.
    whole = re.compile(rf"[0-9a-f]{{64}}(-\d+)?|{re.escape(upkeep.TOTAL)}")
    return [item.name for item in cache.iterdir() if not whole.fullmatch(item.name)]


def compiled(log):
    return log.read_text().count("compiled")


# Killed


# The lock of a dead process is free: whoever comes next waits for nobody.
NO_WAITING = """
import time, types
from workbench.compile import upkeep
def sleep(seconds):
    raise AssertionError("waits for a lock")
upkeep.time = types.SimpleNamespace(sleep=sleep, time=time.time, monotonic=time.monotonic)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(500, marks=nightly)])
def test_killed_compilations_do_no_harm(crew, setting, kills):
    flags, cache, _ = setting
    random.seed(kills)
    each = 20 if kills > 100 else 6
    usual = crew.run(programs=range_of(1, each), config=flags)["seconds"]

    for number in range(2, kills + 2):
        programs = range_of(number, each)
        victim = crew.start(programs=programs, config=flags)
        crew.kill(victim, after=random.uniform(0, usual))

        # One more, so that something is compiled in any case.
        more = [*programs, number * each + each]
        after = crew.run(programs=more, config=flags, patch=NO_WAITING)

        assert after["warnings"] == []
        assert after["backends"] == ["c"] * (each + 1)
        assert leftovers(cache) == []


def range_of(number, each):
    return list(range(number * each, number * each + each))


# Crowded


@pytest.mark.parametrize("rounds", [2, pytest.param(200, marks=nightly)])
def test_eight_processes_share_one_cold_cache(crew, setting, rounds):
    flags, cache, log = setting
    crew.run(programs=range_of(1, 4), config=flags)
    alone = compiled(log)

    for number in range(2, rounds + 2):
        programs = range_of(number, 4)
        members = [crew.start(programs=programs, config=flags) for _ in range(8)]

        for result in map(crew.wait, members):
            assert "error" not in result, result["error"]
            assert result["wrong"] == result["warnings"] == []
            assert result["backends"] == ["c"] * 4

    assert compiled(log) - alone <= 1.1 * alone * rounds
    assert leftovers(cache) == []


# As on a network file system, where there are no locks, and what another machine has
# renamed is seen only after a while.
NETWORK = """
import random, time
from pathlib import Path
from workbench.compile import cache, upkeep
random.seed()
def no_lock(path, seconds):
    return None
cache.lock = upkeep.lock = no_lock
seen, real = {}, cache._read
def late(path):
    found = real(path)
    if found is not None and seen.setdefault(path, time.monotonic()) > time.monotonic() - 0.05:
        return found if random.random() < 0.5 else None
    return found
cache._read = late
rename = Path.rename
def slow(path, target):
    time.sleep(random.random() * 0.01)
    return rename(path, target)
Path.rename = slow
"""


@pytest.mark.parametrize("rounds", [2, pytest.param(100, marks=nightly)])
def test_without_locks_and_with_late_sight_all_is_right(crew, setting, rounds):
    flags, cache, _ = setting

    for number in range(rounds):
        programs = range_of(number + 10, 4)
        task = {"programs": programs, "config": flags, "patch": NETWORK}
        members = [crew.start(**task) for _ in range(4)]

        for result in map(crew.wait, members):
            assert "error" not in result, result["error"]
            assert result["wrong"] == result["warnings"] == []

    again = crew.run(programs=programs, config=flags)
    assert again["hits"] == 4
    assert leftovers(cache) == []


# Damaged


def cut(part):
    def truncate(file):
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * part)])

    return truncate


def flip(file):
    data = bytearray(file.read_bytes())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    file.write_bytes(data)


def make_folder(file):
    file.unlink()
    file.mkdir()


def swap(file):
    """With the file of the same name in another entry."""
    other = random.choice(
        [f for f in file.parent.parent.glob(f"*/{file.name}") if f != file]
    )
    mine, theirs = file.read_bytes(), other.read_bytes()
    file.write_bytes(theirs)
    other.write_bytes(mine)


def swap_entries(file):
    other = random.choice(
        [e for e in file.parent.parent.glob("*/") if e != file.parent]
    )
    aside = file.parent.with_name("aside")
    file.parent.rename(aside)
    other.rename(file.parent)
    aside.rename(other)


def of_manifest(change):
    def damage(file):
        path = file.with_name("manifest.json")
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(change(manifest, file.name)))

    damage.__name__ = change.__name__
    return damage


@of_manifest
def shorter_digest(manifest, name):
    return {n: (size, digest[:-1]) for n, (size, digest) in manifest.items()}


@of_manifest
def old_format(manifest, name):
    return {"format": 0, "files": {n: digest for n, (_, digest) in manifest.items()}}


@of_manifest
def huge_size(manifest, name):
    return {n: (10**18, digest) for n, (_, digest) in manifest.items()}


@of_manifest
def left_out(manifest, name):
    return {n: facts for n, facts in manifest.items() if n != name}


def empty(file):
    file.write_bytes(b"")


DAMAGES = [
    *(cut(number / 20) for number in range(20)),
    empty,
    Path.unlink,
    *[flip] * 36,
    make_folder,
    swap,
    swap_entries,
    shorter_digest,
    old_format,
    huge_size,
    left_out,
]


@pytest.mark.parametrize("most", [12, pytest.param(1000, marks=nightly)])
def test_damage_is_healed_by_the_next_run(crew, setting, tmp_path, most):
    flags, cache, _ = setting
    programs = [1, 2, 3, 7]  # The last two are also found by their graphs.
    crew.run(programs=programs, config=flags)
    pristine = tmp_path / "pristine"
    shutil.copytree(cache, pristine)
    files = sorted(file.relative_to(cache) for file in cache.glob("*/*"))
    assert all(len(list(cache.glob(f"*/{file.name}"))) > 1 for file in files)
    cases = [(file, damage) for file in files for damage in DAMAGES]
    random.seed(1)
    random.shuffle(cases)

    for file, damage in cases[:most]:
        shutil.rmtree(cache)
        shutil.copytree(pristine, cache)
        damage(cache / file)
        where = f"{file} {damage.__name__}"

        first = crew.run(programs=programs, config=flags)
        second = crew.run(programs=programs, config=flags)

        assert first["warnings"] == [], where
        assert first["backends"] == ["c"] * 4, where
        assert second["hits"] == 4, where
        assert leftovers(cache) == [], where


# Gone


@pytest.mark.parametrize("times", [1, 2])
def test_a_library_that_goes_before_it_is_loaded_is_made_again(
    monkeypatch, tmp_path, times
):
    """Another process may replace or drop an entry that was just made."""
    real, loads = ctypes.CDLL, []

    def load(path, *rest):
        loads.append(path)
        if len(loads) <= times:
            shutil.rmtree(Path(path).parent)
        return real(path, *rest)

    monkeypatch.setattr(ctypes, "CDLL", load)
    with config.change(cache_dir=str(tmp_path)):
        module = build("int answer(void) { return 42; }\n", "f")

    assert len(loads) == times + 1
    assert module.address("answer")
