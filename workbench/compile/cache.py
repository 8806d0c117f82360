"""Compiled modules on disk: found by what they were made from, checked before each use.

An entry is a folder named by the SHA-256 of its *key*, a text of everything that
matters: source, flags, compiler, processor. The key is stored in the entry and compared
in full, and a manifest holds the size and SHA-256 of every file, so neither a collision
nor a damaged disk can pass for a hit. An entry is written in a temporary folder beside
its place and renamed, hence it is there as a whole or not at all. A lock saves work
when several processes want the same entry, but nothing depends on it.

Loading a module runs its code, so the folder must be ours alone: a symbolic link, or a
folder that others own or may write to, is refused. Nothing here unpickles or evaluates.
Where the folder cannot be used, a private temporary one takes its place until the
process ends, with one warning.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import hashlib
import itertools
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workbench.config import config
from workbench.core.errors import CompilerWarning

__all__ = ["Cache", "Entry", "default_cache"]

LOCK_SECONDS = 10.0  # After this long it is better to compile twice than to wait.
ABANDONED_SECONDS = 3600.0
MANIFEST_BYTES = 1 << 20  # More than any manifest of ours; a larger one is not read.


@dataclass(frozen=True)
class Entry:
    """A folder of the cache.

    Attributes
    ----------
    path
        The folder. Its files are not to be changed.
    hit
        Whether it was there already.
    """

    path: Path
    hit: bool


class Cache:
    """Folders under one root, each found by its key.

    Parameters
    ----------
    root
        Where the entries are; ``None`` stands for ``$XDG_CACHE_HOME/workbench`` or
        ``~/.cache/workbench``. It is made, readable by its owner alone, on first use.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._swept = False

    def fetch(self, key: str, build: Callable[[Path], None]) -> Entry:
        """Return the entry of this key; if none is there, have `build` fill a folder.

        Raises
        ------
        OSError
            If not even a temporary folder can be written. Errors of `build` pass
            through, except that its ``OSError`` counts as one of the folder.
        """
        try:
            return self._fetch(self._open(), key, build)
        except OSError as error:
            private = _private_root(os.getpid())
            if self._root == private:
                raise
            _warn(self._root, error.strerror or str(error))
            self._root = private
        return self._fetch(private, key, build)

    def discard(self, entry: Entry) -> None:
        """Remove an entry whose files are as they were written but do not work."""
        _remove(entry.path)

    def clear(self) -> None:
        """Remove all entries. What is loaded in a process stays usable there."""
        for item in self._open().iterdir():
            with suppress(OSError):
                _remove(item)

    def _open(self) -> Path:
        """The root, made if missing; a private one where it cannot be trusted."""
        root = self._root or _default_root()
        if root is None:
            _warn(None, "there is no home folder")
            root = _private_root(os.getpid())
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = _distrust(root)
        if reason:
            _warn(root, reason)
            self._root = root = _private_root(os.getpid())
        return root

    def _fetch(self, root: Path, key: str, build: Callable[[Path], None]) -> Entry:
        path, hit = _find(root, key)
        if hit:
            return Entry(path, True)
        if not self._swept:
            self._swept = True
            _sweep(root)
        with _alone(path.with_name(path.name + ".lock")):
            path, hit = _find(root, key)
            return Entry(path, True) if hit else _make(root, path, key, build)


def default_cache() -> Cache:
    """The cache at ``config.cache_dir``."""
    chosen = config.cache_dir
    return _cache_at(Path(chosen) if chosen else _default_root())


@cache
def _cache_at(root: Path | None) -> Cache:
    return Cache(root)


def _default_root() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # The specification has a relative one ignored.
        return Path(base, "workbench")
    try:
        return Path.home() / ".cache" / "workbench"
    except RuntimeError:
        return None


# Entries


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _find(root: Path, key: str) -> tuple[Path, bool]:
    """The place of a key and whether a sound entry is there.

    Another key with the same digest keeps its place: a library that is loaded from a
    path would be taken again for that path, whatever the file there has become.
    """
    digest = _digest(key)
    for number in itertools.count():
        path = root / (f"{digest}-{number}" if number else digest)
        found = _read(path)
        if found is None or found == key:
            return path, found is not None
    raise AssertionError


def _read(path: Path) -> str | None:
    """The key of the entry at `path`, or ``None`` if it is missing or damaged."""
    try:
        if not _is_ours(os.lstat(path), stat.S_IFDIR):
            return None
        files = json.loads(_bytes_of(path / "manifest.json", MANIFEST_BYTES))
        if set(os.listdir(path)) != {"manifest.json", *files}:
            return None
        for name, (size, digest) in files.items():
            content = _bytes_of(path / name, size)
            if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
                return None
            if name == "key.txt":
                key = content.decode()
        return key
    except (OSError, ValueError, TypeError, AttributeError, NameError, RecursionError):
        return None  # Whatever a file may hold that we did not write.


def _bytes_of(path: Path, most: int) -> bytes:
    """The content of a plain file of ours, through no link, at most so many bytes."""
    descriptor = os.open(
        path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    )
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not _is_ours(facts, stat.S_IFREG) or facts.st_size > most:
            raise ValueError(f"{path} is not a file that was written here")
        return file.read(most + 1)


def _is_ours(facts: os.stat_result, kind: int) -> bool:
    return stat.S_IFMT(facts.st_mode) == kind and facts.st_uid == os.geteuid()


def _make(root: Path, path: Path, key: str, build: Callable[[Path], None]) -> Entry:
    """Build in a temporary folder, then put it in its place as a whole."""
    temporary = _temporary(root)
    try:
        build(temporary)
        _seal(temporary, key)
        return _place(temporary, path, key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _seal(folder: Path, key: str) -> None:
    """Add key and manifest, close the files to others, and bring all to the disk."""
    (folder / "key.txt").write_bytes(key.encode())
    manifest = {}
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        manifest[file.name] = (len(content), hashlib.sha256(content).hexdigest())
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    for file in folder.iterdir():
        file.chmod(0o600)
        _sync(file)
    _sync(folder)


def _place(temporary: Path, path: Path, key: str) -> Entry:
    for _ in range(10):
        try:
            temporary.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            _sync(path.parent)
            return Entry(path, False)
        if _read(path) == key:
            return Entry(path, False)  # Another process was quicker.
        _remove(path)
    raise OSError(errno.EEXIST, "a damaged entry cannot be removed", str(path))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove whatever is at `path`; nobody sees half of it."""
    aside = path.with_name(_temporary_name())
    with suppress(FileNotFoundError):
        path.rename(aside)
        _delete(aside)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait while another process or thread builds the same entry, but not for long.

    The system frees the lock when its holder dies.
    """
    descriptor = _lock(path, LOCK_SECONDS)
    try:
        yield
    finally:
        if descriptor is not None:
            _unlock(path, descriptor)


def _lock(path: Path, seconds: float) -> int | None:
    """Lock a file, made if need be; ``None`` if that takes too long or cannot be."""
    end = time.monotonic() + seconds
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before has removed the file, and another may be there now.
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            time.sleep(0.005)
        except OSError:  # Some network file systems know no locks.
            end = 0.0
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= end:
            return None


def _unlock(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # A fork may hold a copy of the descriptor.
    os.close(descriptor)


# Leftovers


def _host() -> str:
    """The name of this machine, as a word that fits a file name."""
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def _temporary_name() -> str:
    return f"tmp-{_host()}-{os.getpid()}-{secrets.token_hex(8)}"


def _temporary(root: Path) -> Path:
    path = root / _temporary_name()
    path.mkdir(mode=0o700)
    return path


def _sweep(root: Path) -> None:
    """Remove what killed writers left behind."""
    with suppress(OSError), os.scandir(root) as found:
        for item in found:
            with suppress(OSError):
                if item.name.startswith("tmp-"):
                    if _is_abandoned(item):
                        _delete(Path(item.path))
                elif item.name.endswith(".lock"):
                    path = Path(item.path)
                    descriptor = _lock(path, 0)
                    if descriptor is not None:
                        _unlock(path, descriptor)


def _is_abandoned(item: os.DirEntry[str]) -> bool:
    """Whether a temporary folder is an hour old, or of a process that has ended."""
    if time.time() - item.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS:
        return True
    head, _, rest = item.name.partition(f"tmp-{_host()}-")
    pid = rest.partition("-")[0]
    return not head and pid.isdecimal() and not _is_alive(int(pid))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


# Trust


def _distrust(root: Path) -> str:
    """Why code in this folder must not be run; empty if it may."""
    facts = os.lstat(root)
    if stat.S_ISLNK(facts.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISDIR(facts.st_mode):
        return "it is not a folder"
    if facts.st_uid != os.geteuid():
        return f"it belongs to another user (number {facts.st_uid})"
    if facts.st_mode & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(facts.st_mode):o})"
    return ""


@cache
def _private_root(pid: int) -> Path:
    """A folder of this process alone, removed when it ends."""
    path = Path(tempfile.mkdtemp(prefix="workbench-"))

    def remove() -> None:
        if os.getpid() == pid:  # A fork ends too, while its parent still needs it.
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(remove)
    return path


def _warn(root: Path | None, reason: str) -> None:
    place = "" if root is None else f" in {str(root)!r}"
    warnings.warn(
        f"compiled code cannot be kept{place}: {reason}. A temporary folder serves "
        "until this process ends; the next one will compile again.\n"
        "  Set config.cache_dir to a folder that you own and only you may write to.",
        CompilerWarning,
        stacklevel=2,
    )
