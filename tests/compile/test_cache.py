"""The cache: what is damaged is healed, what is not ours is refused."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from workbench.compile import cache as cache_module
from workbench.compile import upkeep
from workbench.compile.cache import Cache, default_cache
from workbench.config import config
from workbench.core.errors import CompilerWarning

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


def content_of(key):
    return f"made of {key} ".encode() * 50


def writer(key, built):
    def build(folder):
        built.append(key)
        (folder / "program.so").write_bytes(content_of(key))
        (folder / "program.c").write_text("int x;")

    return build


def fetch(cache, key):
    """Fetch, check what is there, and tell whether it was built."""
    built = []
    entry = cache.fetch(key, writer(key, built))
    assert (entry.path / "program.so").read_bytes() == content_of(key)
    assert entry.hit == (not built)
    return bool(built)


def leftovers(root):
    whole = re.compile(rf"[0-9a-f]{{64}}|{re.escape(upkeep.TOTAL)}")
    return [item.name for item in root.iterdir() if not whole.fullmatch(item.name)]


def test_an_entry_is_built_once(root):
    assert fetch(Cache(root), "a")
    assert not fetch(Cache(root), "a")
    assert fetch(Cache(root), "b")
    assert not leftovers(root)


def test_key_and_digests_are_stored(root):
    entry = Cache(root).fetch("the key\n", writer("a", []))

    assert (entry.path / "key.txt").read_text() == "the key\n"
    manifest = json.loads((entry.path / "manifest.json").read_text())
    assert sorted(manifest) == ["key.txt", "program.c", "program.so"]
    assert manifest["program.c"][0] == len("int x;")


def test_only_the_owner_can_read(root):
    previous = os.umask(0)
    try:
        entry = Cache(root).fetch("a", writer("a", []))
    finally:
        os.umask(previous)

    modes = {stat.S_IMODE(p.stat().st_mode) for p in entry.path.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_failing_build_leaves_nothing(root):
    def build(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        Cache(root).fetch("a", build)

    assert list(root.iterdir()) == []
    assert fetch(Cache(root), "a")


def test_a_discarded_entry_is_built_again(root):
    cache = Cache(root)
    cache.discard(cache.fetch("a", writer("a", [])))

    assert fetch(cache, "a")


def test_a_cleared_cache_is_empty(root):
    cache = Cache(root)
    fetch(cache, "a")
    fetch(cache, "b")

    cache.clear()

    assert list(root.iterdir()) == []
    assert fetch(cache, "a")


# Damage


def truncate(file):
    file.write_bytes(file.read_bytes()[: random.randrange(file.stat().st_size)])


def flip(file):
    data = bytearray(file.read_bytes())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    file.write_bytes(data)


def grow(file):
    file.write_bytes(file.read_bytes() + b"\0")


def make_folder(file):
    file.unlink()
    file.mkdir()


def make_link(file):
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def make_pipe(file):
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "name", ["program.so", "program.c", "key.txt", "manifest.json"]
)
@pytest.mark.parametrize(
    "damage",
    [truncate, flip, grow, Path.unlink, make_folder, make_link, make_pipe],
    ids=lambda f: f.__name__,
)
def test_a_damaged_file_is_healed(root, name, damage):
    random.seed(f"{name} {damage.__name__}")
    cache = Cache(root)
    for _ in range(20 if damage in (truncate, flip) else 1):
        entry = cache.fetch("a", writer("a", []))

        damage(entry.path / name)

        # A manifest may be written in several ways that mean the same.
        assert fetch(Cache(root), "a") or name == "manifest.json"
        assert not fetch(Cache(root), "a")


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "{}",
        "[]",
        "null",
        "[" * 100_000,
        '{"key.txt": [1, "x"]}',
        '{"key.txt": 7}',
        '{"../../x": [1, "00"]}',
        '{"key.txt": ["1", "00"]}',
        '{"key.txt": [1000000000000000000, "00"]}',
        '{"key.txt": [1e400, "00"]}',
        '{"key.txt": [-1, "00"]}',
        '{"key.txt": [true, "00"]}',
        '{"a": ' + '"x" ' * (1 << 19) + "}",
        '{"__class__": {"py/reduce": ["os.system", "touch x"]}}',
    ],
    ids=range(15),
)
def test_a_strange_manifest_is_healed(root, manifest):
    entry = Cache(root).fetch("a", writer("a", []))
    (entry.path / "manifest.json").write_text(manifest)

    assert fetch(Cache(root), "a")
    assert not fetch(Cache(root), "a")


def test_a_manifest_reaches_no_file_outside(root, tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    entry = Cache(root).fetch("a", writer("a", []))
    for name in ("../../secret", str(tmp_path / "secret"), "."):
        path = entry.path / "manifest.json"
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps({**manifest, name: [1, digest]}))

        assert fetch(Cache(root), "a")
    assert (tmp_path / "secret").read_bytes() == b"x"


def test_a_key_may_be_no_text(root):
    """A path of undecodable bytes in the command."""
    key = os.fsdecode(b"cc -I/home/\xff\xfe")
    for hit in (False, True):
        entry = Cache(root).fetch(key, writer("a", []))
        assert entry.hit is hit


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_something_in_the_place_of_a_lock_does_no_harm(root, kind):
    path = Cache(root).fetch("a", writer("a", [])).path
    shutil.rmtree(path)
    lock = path.with_name(path.name + ".lock")
    if kind == "folder":
        lock.mkdir()
    elif kind == "link":
        lock.symlink_to(root / "nowhere")
    else:
        lock.write_text("x")

    assert fetch(Cache(root), "a")
    assert not leftovers(root)


def test_an_extra_file_is_healed(root):
    entry = Cache(root).fetch("a", writer("a", []))
    (entry.path / "payload.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")

    assert fetch(Cache(root), "a")
    assert not (entry.path / "payload.pkl").exists()


@pytest.mark.parametrize("kind", ["file", "link", "empty folder"])
def test_something_else_in_the_place_of_an_entry_is_replaced(root, kind):
    path = Cache(root).fetch("a", writer("a", [])).path
    if kind == "link":
        path.rename(root / "x")
        path.symlink_to(root / "x")
    else:
        shutil.rmtree(path)
        path.write_text("x") if kind == "file" else path.mkdir()

    assert fetch(Cache(root), "a")
    assert not fetch(Cache(root), "a")


def test_swapped_entries_are_not_taken_for_each_other(root):
    a = Cache(root).fetch("a", writer("a", [])).path
    b = Cache(root).fetch("b", writer("b", [])).path
    a.rename(root / "x")
    b.rename(a)
    (root / "x").rename(b)

    for _ in range(2):
        fetch(Cache(root), "a")
        fetch(Cache(root), "b")
    assert not fetch(Cache(root), "a")


def test_keys_with_one_digest_are_told_apart(root, monkeypatch):
    monkeypatch.setattr(cache_module, "_digest", lambda key: f"{hash(key) % 4:x}")
    cache = Cache(root)
    keys = [f"key {i}" for i in range(40)]

    assert all(fetch(cache, key) for key in keys)
    assert not any(fetch(cache, key) for key in keys)


def test_a_root_that_is_removed_is_made_again(root):
    cache = Cache(root)
    fetch(cache, "a")
    shutil.rmtree(root)

    assert fetch(cache, "a")
    assert not fetch(cache, "a")


# Folders that cannot be used


def refused(root, reason):
    """Fetch three times from a bad root: right results, one warning, nothing stored."""
    cache = Cache(root)
    with pytest.warns(CompilerWarning, match=reason) as caught:
        assert fetch(cache, "a")
        assert not fetch(cache, "a")
        assert fetch(cache, "b")
        entry = cache.fetch("a", writer("a", []))
    assert len(caught) == 1
    assert entry.path.parent != root
    assert stat.S_IMODE(entry.path.parent.stat().st_mode) == 0o700


@pytest.fixture(autouse=True)
def _forget_private_roots(monkeypatch, tmp_path):
    """Each test gets a private folder of its own, below its temporary one."""
    cache_module._private_root.cache_clear()
    monkeypatch.setattr(cache_module.tempfile, "tempdir", str(tmp_path))
    yield
    cache_module._private_root.cache_clear()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_root_that_others_may_write_to_is_refused(root, mode):
    root.mkdir()
    root.chmod(mode)

    refused(root, "others may write")
    assert list(root.iterdir()) == []


def test_a_linked_root_is_refused(root, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    root.symlink_to(tmp_path / "real")

    refused(root, "symbolic link")


def test_a_root_that_is_a_file_is_refused(root):
    root.write_text("x")

    refused(root, "File exists|not a folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")
def test_a_root_of_someone_else_is_refused(root):
    root.mkdir(mode=0o700)
    os.chown(root, 12345, 12345)

    refused(root, "another user")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
@pytest.mark.parametrize("name", ["program.so", "manifest.json", "."])
def test_an_entry_of_someone_else_is_not_taken(root, name):
    path = Cache(root).fetch("a", writer("a", [])).path
    os.chown(path / name, 12345, 12345)

    assert fetch(Cache(root), "a")


def test_a_root_that_cannot_be_made_is_replaced():
    refused(Path("/proc/no/such/place"), "No such file")


def test_an_unwritable_root_is_replaced(root, monkeypatch):
    # Permissions do not stop root, under whom tests often run.
    mkdir = Path.mkdir

    def deny(path, *args, **kwargs):
        if path.parent == root:
            raise PermissionError(13, "Permission denied", str(path))
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", deny)

    refused(root, "Permission denied")


@pytest.mark.parametrize("where", ["_sync", "_seal", "_place"])
def test_a_full_disk_is_left(root, monkeypatch, where):
    real = getattr(cache_module, where)

    def fail(path, *rest):
        if root in path.parents or path == root:
            raise OSError(28, "No space left on device")
        return real(path, *rest)

    monkeypatch.setattr(cache_module, where, fail)

    refused(root, "No space left")
    assert not leftovers(root)


def test_without_a_home_a_private_folder_serves(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    cache = Cache(None)

    with pytest.warns(CompilerWarning, match="home folder") as caught:
        assert fetch(cache, "a")
        assert not fetch(cache, "a")
    assert len(caught) == 1


def test_if_nothing_can_be_written_the_error_comes_out(root, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "_seal", fail)

    with warnings.catch_warnings(), pytest.raises(OSError, match="No space"):
        warnings.simplefilter("ignore")
        fetch(Cache(root), "a")


@pytest.mark.parametrize(
    "name",
    ["a b", "a:b", "a'b\"c", "a\nb", "größe 大", "-n", "$(touch x);`y`", "x" * 220],
    ids=ascii,
)
def test_odd_paths_serve(tmp_path, name):
    root = tmp_path / name

    assert fetch(Cache(root), "a")
    assert not fetch(Cache(root), "a")


def test_the_place_follows_flag_and_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_module._default_root() == tmp_path / "xdg" / "workbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_module._default_root() == Path.home() / ".cache" / "workbench"

    with config.change(cache_dir=str(tmp_path / "mine")):
        assert default_cache() is default_cache()
        entry = default_cache().fetch("a", writer("a", []))

    assert entry.path.parent == tmp_path / "mine"


# Several processes

# A package that imports nothing: eight times NumPy would be most of the time.
LIGHT = """
import sys, types
for name in ("workbench", "workbench.core", "workbench.compile"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [name.replace(".", "/")]
"""
WORKER = (
    LIGHT
    + """
import time
from pathlib import Path
from workbench.compile.cache import Cache
root, log, keys, seconds = sys.argv[1:]
def build_of(key):
    def build(folder):
        with open(log, "a") as file: file.write(key + "\\n")
        (folder / "program.c").write_text("int x;")
        time.sleep(float(seconds))
        (folder / "program.so").write_bytes(f"made of {key} ".encode() * 50)
    return build
cache = Cache(Path(root))
for key in keys.split():
    entry = cache.fetch(key, build_of(key))
    assert (entry.path / "program.so").read_bytes() == f"made of {key} ".encode() * 50
"""
)


def start(root, log, keys, seconds):
    command = [
        sys.executable,
        "-c",
        WORKER,
        str(root),
        str(log),
        " ".join(keys),
        seconds,
    ]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def test_processes_share_the_work(root, tmp_path):
    keys = [f"k{i}" for i in range(5)]

    workers = [start(root, tmp_path / "log", keys, "0.05") for _ in range(8)]

    for worker in workers:
        assert worker.wait() == 0, worker.stderr.read()
        worker.stderr.close()
    assert (tmp_path / "log").read_text().split() == keys
    assert not leftovers(root)


def test_without_locks_processes_only_work_more(root, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "lock", lambda *_: None)
    script = "from workbench.compile import cache\ncache.lock = lambda *_: None\n"
    monkeypatch.setattr(sys.modules[__name__], "WORKER", script + WORKER)

    workers = [start(root, tmp_path / "log", ["a", "b"], "0.05") for _ in range(4)]

    for worker in workers:
        assert worker.wait() == 0, worker.stderr.read()
        worker.stderr.close()
    assert not fetch(Cache(root), "a")


def test_a_killed_writer_does_no_harm(root, tmp_path):
    random.seed(1)
    keys = [f"k{i}" for i in range(20)]
    log = tmp_path / "log"
    for _ in range(6):
        worker = start(root, log, keys, "0.02")
        for _ in range(500):
            if worker.poll() is not None or (root.exists() and any(root.iterdir())):
                break
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.2))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stderr.close()

    begun = time.monotonic()
    cache = Cache(root)
    for key in keys:
        fetch(cache, key)

    assert time.monotonic() - begun < cache_module.LOCK_SECONDS / 2
    assert not leftovers(root)


def test_leftovers_of_the_living_stay(root):
    root.mkdir(mode=0o700)
    mine = root / upkeep.temporary_name()
    foreign = root / "tmp-00000000-999999999-x"
    dead = root / f"tmp-{upkeep._host()}-999999999-x"
    old = root / "tmp-00000000-1-y"
    for folder in (mine, foreign, dead, old):
        folder.mkdir()
    os.utime(old, (0, 0))

    fetch(Cache(root), "a")

    assert sorted(leftovers(root)) == sorted([mine.name, foreign.name])


def test_a_private_folder_goes_with_its_process(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    (tmp_path / "tmp").mkdir()
    script = "import warnings; warnings.simplefilter('ignore')\n" + WORKER
    command = [
        sys.executable,
        "-c",
        script,
        str(tmp_path / "cache"),
        os.devnull,
        "a",
        "0",
    ]

    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)

    assert list((tmp_path / "tmp").iterdir()) == []


# Nothing that is read may become code by any other way than the loader of libraries.
FORBIDDEN = {"pickle", "marshal", "shelve", "eval", "exec", "compile", "os.system"}
FORBIDDEN |= {"os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}


def test_nothing_in_the_cache_code_can_run_what_it_reads():
    package = ROOT / "workbench" / "compile"
    files = [package / "cache.py", package / "upkeep.py", *package.glob("c/*.py")]
    found = []

    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    said = {alias.name for alias in names}
                case ast.ImportFrom(module=module):
                    said = {module}
                case ast.Call(func=func, keywords=keywords):
                    said = {ast.unparse(func)} | {
                        "eval" for k in keywords if k.arg == "shell"
                    }
                case _:
                    continue
            if said & FORBIDDEN:
                found.append(f"{file.name}, line {node.lineno}: {said & FORBIDDEN}")

    assert len(files) > 5 and found == []
