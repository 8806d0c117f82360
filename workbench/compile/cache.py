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
process ends, with one warning. How it is shared, tidied and kept below
``config.cache_size`` is told in `workbench.compile.upkeep`.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import itertools
import json
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workbench.compile.upkeep import (
    Kept,
    grow,
    kept_in,
    lock,
    mark_used,
    remove,
    sweep,
    temporary_name,
    unlock,
)
from workbench.config import config
from workbench.core.errors import CompilerWarning

__all__ = ["Cache", "Entry", "default_cache"]

LOCK_SECONDS = 10.0  # After this long it is better to compile twice than to wait.
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

    def fetch(
        self, key: str, build: Callable[[Path], None], durable: bool = True
    ) -> Entry:
        """Return the entry of this key; if none is there, have `build` fill a folder.

        One that is not `durable` is not forced to the disk: if the machine stops within
        seconds it is damaged, is seen to be, and is built again.

        Raises
        ------
        OSError
            If not even a temporary folder can be written. Errors of `build` pass
            through, except that its ``OSError`` counts as one of the folder.
        """
        try:
            return self._fetch(self._open(), key, build, durable)
        except FileNotFoundError:
            pass  # Somebody has just removed the folder; it can be made again.
        except OSError as error:
            return self._fetch(self._give_up(error), key, build, durable)
        try:
            return self._fetch(self._open(), key, build, durable)
        except OSError as error:
            return self._fetch(self._give_up(error), key, build, durable)

    def find(self, key: str) -> Entry | None:
        """The entry of this key, if a sound one is there."""
        try:
            path, hit = _find(self._open(), key)
        except OSError:
            return None
        return Entry(path, True) if hit else None

    def discard(self, entry: Entry) -> None:
        """Remove an entry whose files are as they were written but do not work."""
        remove(entry.path)

    def clear(self) -> None:
        """Remove all entries. What is loaded in a process stays usable there."""
        root = self._open()
        for item in list(root.iterdir()):
            # What others are writing is theirs; what they left behind is swept.
            if not item.name.startswith("tmp-") and not item.name.endswith(".lock"):
                with suppress(OSError):
                    remove(item)
        sweep(root)

    def entries(self) -> list[Kept]:
        """What is kept, the one used longest ago first."""
        root = self._root or _default_root()
        return [] if root is None else kept_in(root)

    def place(self) -> tuple[Path | None, str]:
        """The folder, and why it cannot be used; that is empty if it can, or is not made."""
        root = self._root or _default_root()
        if root is None:
            return None, "there is no home folder"
        try:
            return root, _distrust(root)
        except FileNotFoundError:
            return root, ""
        except OSError as error:
            return root, error.strerror or str(error)

    def _give_up(self, error: OSError) -> Path:
        """The private root that takes the place of one where `error` happened."""
        private = _private_root(os.getpid())
        if self._root == private:
            raise error
        _warn(self._root, error.strerror or str(error))
        self._root = private
        return private

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

    def _fetch(
        self, root: Path, key: str, build: Callable[[Path], None], durable: bool
    ) -> Entry:
        path, hit = _find(root, key)
        if hit:
            return Entry(path, True)
        if not self._swept:
            self._swept = True
            sweep(root)
        with _alone(path.with_name(path.name + ".lock")):
            path, hit = _find(root, key)
            if hit:
                return Entry(path, True)
            entry, size = _make(root, path, key, build, durable)
        grow(root, size, config.cache_size)
        return entry


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
    return hashlib.sha256(_encoded(key)).hexdigest()


def _encoded(key: str) -> bytes:
    return key.encode(errors="surrogateescape")  # A path may be no text.


def _find(root: Path, key: str) -> tuple[Path, bool]:
    """The place of a key and whether a sound entry is there.

    Another key with the same digest keeps its place: a library that is loaded from a
    path would be taken again for that path, whatever the file there has become.
    """
    digest = _digest(key)
    for number in itertools.count():
        path = root / (f"{digest}-{number}" if number else digest)
        found = _read(path)
        if found == key:
            mark_used(path)
            return path, True
        if found is None:
            return path, False
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
                key = content.decode(errors="surrogateescape")
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
        return file.read(facts.st_size + 1)


def _is_ours(facts: os.stat_result, kind: int) -> bool:
    """Whether it is of this kind, belongs to us, and nobody else may write to it."""
    mine = facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
    return mine and stat.S_IFMT(facts.st_mode) == kind


def _make(
    root: Path, path: Path, key: str, build: Callable[[Path], None], durable: bool
) -> tuple[Entry, int]:
    """Build in a temporary folder, then put it in its place as a whole.

    Returns the entry and its size in bytes.
    """
    temporary = _temporary(root)
    try:
        try:
            build(temporary)
        except Exception as error:
            if temporary.exists():
                raise
            raise FileNotFoundError(
                errno.ENOENT, "the folder was removed meanwhile", str(root)
            ) from error
        size = _seal(temporary, key, durable)
        return _place(temporary, path, key, durable), size
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(root: Path) -> Path:
    path = root / temporary_name()
    path.mkdir(mode=0o700)
    return path


def _seal(folder: Path, key: str, durable: bool) -> int:
    """Add key and manifest, close the files to others, and bring all to the disk if asked to.

    Returns the bytes of all files.
    """
    (folder / "key.txt").write_bytes(_encoded(key))
    manifest = {}
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        manifest[file.name] = (len(content), hashlib.sha256(content).hexdigest())
    text = json.dumps(manifest, indent=1)
    (folder / "manifest.json").write_text(text)
    for file in folder.iterdir():
        file.chmod(0o600)
        if durable:
            _sync(file)
    if durable:
        _sync(folder)
    return len(text) + sum(size for size, _ in manifest.values())


def _place(temporary: Path, path: Path, key: str, durable: bool) -> Entry:
    for _ in range(10):
        try:
            temporary.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            if durable:
                _sync(path.parent)
            return Entry(path, False)
        if _read(path) == key:
            return Entry(path, False)  # Another process was quicker.
        remove(path)
    raise OSError(errno.EEXIST, "a damaged entry cannot be removed", str(path))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait while another process or thread builds the same entry, but not for long.

    Nothing depends on it: without a lock the same work is done twice.
    """
    descriptor = lock(path, LOCK_SECONDS)
    try:
        yield
    finally:
        if descriptor is not None:
            unlock(path, descriptor)


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
