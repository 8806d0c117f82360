"""Caches in places that cannot be used, or are somebody else's: real programs, run from them."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compile.crew import Crew
from workbench.compile import upkeep
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SOMEBODY = 12345


@contextmanager
def open_folder():
    """A folder that another user can reach too: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def crew():
    with open_folder() as folder, Crew(folder, warm=True) as crew:
        yield crew


@pytest.fixture
def place():
    """A folder that another user can reach too, with one for temporary files."""
    with open_folder() as folder:
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(0o1777)
        yield folder


def served(crew, place, cache, programs=(1, 2), **task):
    """Run programs with a cache there: right, compiled, with at most one warning."""
    environ = {"TMPDIR": str(place / "tmp"), **task.pop("environ", {})}
    flags = {"cflags": "-O0", **({"cache_dir": str(cache)} if cache else {})}

    # The folder for temporary files has been looked up in the process that forks.
    patch = "import tempfile\ntempfile.tempdir = None\n" + task.pop("patch", "")
    result = crew.run(
        programs=list(programs), config=flags, environ=environ, patch=patch, **task
    )

    assert result["backends"] == ["c"] * len(programs)
    assert len(result["warnings"]) <= 1
    assert list((place / "tmp").iterdir()) == []
    return result


def whole(cache):
    """Whether nothing half-written is in a cache."""
    names = {item.name for item in cache.iterdir()} - {upkeep.TOTAL}
    return all(re.fullmatch("[0-9a-f]{64}", name) for name in names)


# Places that serve

NAMES = {
    "space": "a b",
    "colon": "a:b",
    "quotes": "a'b\"c",
    "newline": "a\nb",
    "not ASCII": "größe 大",
    "shell": "$(touch x);`y`",
    "option": "-o",
    "response file": "@x",
    "long": "x" * 220,
    "no text": os.fsdecode(b"\xff\xfe"),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_serves(crew, place, name):
    base = place / NAMES[name]

    for hits in (0, 2):
        task = {"environ": {"XDG_CACHE_HOME": str(base)}}
        result = served(crew, place, None, **task)

        assert result["hits"] == hits
        assert result["warnings"] == []
    assert whole(base / "workbench")


# Places that do not

FAILING = """
import errno, os
from pathlib import Path
real = Path.{method}
def fail(path, *args, **kwargs):
    if {root!r} in str(path) and {when}:
        raise OSError(errno.{code}, os.strerror(errno.{code}), str(path))
    return real(path, *args, **kwargs)
Path.{method} = fail
"""


@pytest.mark.parametrize(
    "method, when, code",
    [
        ("mkdir", "'tmp-' in str(path)", "EROFS"),
        ("write_text", "True", "ENOSPC"),
        ("write_text", "path.name == 'program.c'", "EDQUOT"),
        ("write_bytes", "path.name == 'key.txt'", "ENOSPC"),
        ("rename", "True", "EDQUOT"),
        ("iterdir", "True", "EIO"),
    ],
)
def test_a_disk_that_fails_costs_one_warning(crew, place, method, when, code):
    cache = place / "cache"
    patch = FAILING.format(root=str(cache), method=method, when=when, code=code)

    result = served(crew, place, cache, patch=patch)

    (warning,) = result["warnings"]
    assert "cannot be kept" in warning
    assert os.strerror(getattr(errno, code)) in warning
    assert whole(cache)


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("size", ["4k", "64k"])
def test_a_small_disk_serves_until_it_is_full(crew, place, size):
    with small_disk(place / "disk", size):
        result = served(crew, place, place / "disk", programs=range(1, 4))

        assert all("No space" in warning for warning in result["warnings"])
        assert whole(place / "disk")
        again = served(crew, place, place / "disk", programs=range(1, 4))
        assert all("No space" in warning for warning in again["warnings"])


@needs_root
def test_a_folder_that_is_only_readable_is_read(crew, place):
    cache = place / "cache"
    served(crew, place, cache, programs=[1])
    for item in (cache, *cache.rglob("*")):
        os.chown(item, SOMEBODY, SOMEBODY)
    cache.chmod(0o500)

    found = served(crew, place, cache, programs=[1], user=SOMEBODY)
    made = served(crew, place, cache, programs=[2], user=SOMEBODY)

    assert (found["hits"], found["warnings"]) == (1, [])
    assert "Permission denied" in made["warnings"][0]
    assert whole(cache)


@needs_root
def test_somebody_without_a_home_is_served(crew, place):
    result = served(
        crew, place, None, user=SOMEBODY, without=["HOME", "XDG_CACHE_HOME"]
    )

    assert "there is no home folder" in result["warnings"][0]


@needs_root
def test_a_home_that_cannot_be_written_to_is_replaced(crew, place):
    (place / "home").mkdir(mode=0o755)
    environ = {"HOME": str(place / "home")}

    result = served(
        crew, place, None, user=SOMEBODY, environ=environ, without=["XDG_CACHE_HOME"]
    )

    assert "Permission denied" in result["warnings"][0]
    assert list((place / "home").iterdir()) == []


def test_a_folder_below_a_file_is_replaced(crew, place):
    (place / "file").write_text("x")

    result = served(crew, place, place / "file" / "cache")

    assert "Not a directory" in result["warnings"][0]


REMOVER = """#!/bin/sh
if [ "$1" != --version ]; then
  for turn in 1 2 3; do
    if mkdir "{base}/turn$turn" 2> /dev/null; then rm -rf "{base}/cache"; break; fi
  done
fi
exec {real} "$@"
"""


def test_a_folder_that_is_removed_meanwhile_does_no_harm(crew, place):
    """By the compiler itself, in its first three runs."""
    cc = place / "cc"
    cc.write_text(REMOVER.format(base=place, real=find_compiler().path))
    cc.chmod(0o755)
    flags = {"cflags": "-O0", "cache_dir": str(place / "cache"), "cc": str(cc)}

    result = crew.run(programs=[0, 1, 2, 3], config=flags)

    assert result["backends"] == ["c"] * 4
    assert len(result["warnings"]) <= 1
    assert all("cannot be kept" in warning for warning in result["warnings"])


def test_where_nothing_can_be_written_numpy_computes(crew, place):
    everywhere = FAILING.format(root="/", method="mkdir", when="True", code="ENOSPC")

    result = crew.run(
        programs=[1, 2, 3],
        config={"cache_dir": str(place / "cache")},
        patch=everywhere,
    )

    assert result["backends"] == ["numpy"] * 3
    assert any("run on NumPy" in warning for warning in result["warnings"])


# Somebody else's

MARK = """
#include <stdio.h>
__attribute__((constructor)) static void mark(void) {{ fclose(fopen("{path}", "w")); }}
"""


@pytest.fixture(scope="module")
def planted(crew, tmp_path_factory):
    """A sound cache whose every library makes a file when it is loaded, and that file."""
    base = tmp_path_factory.mktemp("planted")
    base.chmod(0o755)
    cache, mark = base / "cache", base / "mark"
    (base / "evil.c").write_text(MARK.format(path=mark))
    compiler = find_compiler().path
    command = [compiler, "-shared", "-fPIC", "-o", base / "evil.so", base / "evil.c"]
    subprocess.run(command, check=True)
    crew.run(programs=[1, 2], config={"cache_dir": str(cache), "cflags": "-O0"})
    evil = (base / "evil.so").read_bytes()
    for library in cache.glob("*/program.so"):
        library.write_bytes(evil)
        path = library.with_name("manifest.json")
        manifest = json.loads(path.read_text())
        manifest["program.so"] = [len(evil), hashlib.sha256(evil).hexdigest()]
        path.write_text(json.dumps(manifest))
    return cache, mark


@pytest.fixture
def mine(planted, place):
    cache = place / "cache"
    shutil.copytree(planted[0], cache)
    planted[1].unlink(missing_ok=True)
    return cache, planted[1]


def everything(cache):
    return [cache, *cache.rglob("*")]


def belongs_to_another(cache):
    for item in everything(cache):
        os.chown(item, SOMEBODY, SOMEBODY)


def files_belong_to_another(cache):
    for item in everything(cache)[1:]:
        os.chown(item, SOMEBODY, SOMEBODY)


def libraries_belong_to_another(cache):
    for item in cache.glob("*/program.so"):
        os.chown(item, SOMEBODY, SOMEBODY)


def group_may_write(cache):
    cache.chmod(0o770)


def all_may_write(cache):
    cache.chmod(0o777)


def is_sticky(cache):
    cache.chmod(0o1777)


def is_squatted(cache):
    belongs_to_another(cache)
    cache.chmod(0o1777)


def is_a_link(cache):
    cache.rename(cache.with_name("real"))
    cache.symlink_to(cache.with_name("real"))


def is_a_link_of_another(cache):
    is_a_link(cache)
    os.chown(cache, SOMEBODY, SOMEBODY, follow_symlinks=False)


def entries_are_links(cache):
    for entry in list(cache.iterdir()):
        entry.rename(cache.with_name(entry.name))
        entry.symlink_to(cache.with_name(entry.name))


def libraries_are_links(cache):
    for library in cache.glob("*/program.so"):
        aside = cache.with_name(library.parent.name + ".so")
        library.rename(aside)
        library.symlink_to(aside)


def others_may_write_to_libraries(cache):
    for library in cache.glob("*/program.so"):
        library.chmod(0o666)


def others_may_write_to_entries(cache):
    for entry in cache.iterdir():
        entry.chmod(0o777)


@needs_root
@pytest.mark.parametrize(
    "attack",
    [
        belongs_to_another,
        files_belong_to_another,
        libraries_belong_to_another,
        group_may_write,
        all_may_write,
        is_sticky,
        is_squatted,
        is_a_link,
        is_a_link_of_another,
        entries_are_links,
        libraries_are_links,
        others_may_write_to_libraries,
        others_may_write_to_entries,
    ],
    ids=lambda f: f.__name__,
)
def test_code_that_others_could_have_written_is_not_run(crew, place, mine, attack):
    cache, mark = mine
    attack(cache)

    served(crew, place, cache)

    assert not mark.exists()


def test_the_planted_code_would_run(mine):
    """So that the test above tests something: here nothing is wrong but what it does."""
    cache, mark = mine

    ctypes.CDLL(str(next(cache.glob("*/program.so"))))

    assert mark.exists()
