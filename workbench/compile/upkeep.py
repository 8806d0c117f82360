"""Keeping a shared folder in order: locks, names, removal, leftovers, and its size.

Several processes work in the folder at once and any of them may be killed at any moment.
So nothing is removed in place: it is renamed first, and whoever looked at it finds it
whole or not at all. What a killed process left is told from what a living one is about
to use by the process number in its name, or by its age.

The folder is kept below a size by removing what was used longest ago. The time of an
entry's folder is the time of its last use (`mark_used`); what was used within the last
minutes stays in any case, because a process may just be about to load it. One that is
loaded stays usable after its file has gone. Adding up the sizes of ten thousand entries
takes a second, so the sum is kept in a file, `TOTAL`, and taken anew once a week.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "TOTAL",
    "Kept",
    "delete",
    "grow",
    "kept_in",
    "lock",
    "mark_used",
    "remove",
    "shrink",
    "sweep",
    "temporary_name",
    "unlock",
]

ABANDONED_SECONDS = 3600.0
IN_USE_SECONDS = 120.0  # Between finding an entry and loading it pass milliseconds.
ROOM = 0.9  # What is left of the limit after shrinking, so that it is not done often.
TOTAL = "total.txt"  # The bytes of all entries, about, and when they were added up.
TOTAL_SECONDS = 7 * 86400.0

_ENTRY = re.compile(r"[0-9a-f]{1,64}(-\d+)?")


@dataclass(frozen=True)
class Kept:
    """An entry of the folder.

    Attributes
    ----------
    path
        Its folder.
    size
        Bytes of its files.
    used
        When it was last used, in seconds since the epoch.
    """

    path: Path
    size: int
    used: float


def kept_in(root: Path) -> list[Kept]:
    """All entries, the one used longest ago first. What vanishes meanwhile is left out."""
    found = []
    with suppress(OSError), os.scandir(root) as items:
        for item in items:
            with suppress(OSError):
                if _ENTRY.fullmatch(item.name) and item.is_dir(follow_symlinks=False):
                    used = item.stat(follow_symlinks=False).st_mtime
                    found.append(Kept(Path(item.path), _size(item.path), used))
    return sorted(found, key=lambda kept: kept.used)


def _size(folder: str) -> int:
    """The bytes of a folder's files, of one with several links a share."""
    with os.scandir(folder) as files:
        facts = [file.stat(follow_symlinks=False) for file in files]
    return sum(each.st_size // each.st_nlink for each in facts)


def mark_used(path: Path) -> None:
    """Let an entry count as used now."""
    with suppress(OSError):  # Where the folder is only readable, nothing is removed.
        os.utime(path)


def grow(root: Path, size: int, limit: int) -> None:
    """Note an entry of so many bytes, and shrink the folder if that is too much.

    Processes that note at once may lose a note; the next sum has it.
    """
    total, since = _total(root)
    total += size
    if not 0 <= time.time() - since < TOTAL_SECONDS or not 0 <= total <= limit:
        # What is in use may be more than the limit; look again after some growth.
        total = min(shrink(root, limit), int(limit * (1 + ROOM) / 2))
        since = time.time()
    path = root / temporary_name()
    with suppress(OSError):
        try:
            path.write_text(f"{total} {int(since)}\n", encoding="ascii")
            path.rename(root / TOTAL)
        finally:
            path.unlink(missing_ok=True)


def _total(root: Path) -> tuple[int, float]:
    """The sum that was noted, and when it was taken; long ago if there is none."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(root / TOTAL, flags), encoding="ascii") as file:
            total, since = map(int, file.read(100).split())
    except (OSError, ValueError):
        return 0, 0.0
    return total, float(since)


def shrink(root: Path, limit: int) -> int:
    """Remove what was used longest ago if there are more than `limit` bytes.

    Returns
    -------
    int
        Bytes that are kept. May be more than `limit`: what was just used stays.
    """
    kept = kept_in(root)
    size = sum(each.size for each in kept)
    if size <= limit:
        return size
    now = time.time()
    for each in kept:
        if size <= limit * ROOM or now - each.used < IN_USE_SECONDS:
            break
        with suppress(OSError):
            remove(each.path)
            size -= each.size
    return size


# Removal


def remove(path: Path) -> None:
    """Remove whatever is at `path`; nobody sees half of it."""
    aside = path.with_name(temporary_name())
    with suppress(FileNotFoundError):
        path.rename(aside)
        delete(aside)


def delete(path: Path) -> None:
    """Remove a file, a link or a folder, as far as that can be done."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for _ in range(3):  # A compiler that outlived its process may still write there.
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return


@cache
def _host() -> str:
    """A word for where process numbers mean the same: this machine, or container."""
    name = os.uname().nodename
    with suppress(OSError):
        name += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def temporary_name() -> str:
    """A name that no other has, which tells the machine and the process."""
    return f"tmp-{_host()}-{os.getpid()}-{secrets.token_hex(8)}"


def sweep(root: Path) -> None:
    """Remove what killed writers left behind."""
    with suppress(OSError):
        for item in list(_items(root)):
            with suppress(OSError):
                if item.name.startswith("tmp-"):
                    if _is_abandoned(item):
                        delete(Path(item.path))
                elif item.name.endswith(".lock"):
                    path = Path(item.path)
                    if not item.is_file(follow_symlinks=False):
                        remove(path)
                        continue
                    descriptor = lock(path, 0)
                    if descriptor is not None:
                        unlock(path, descriptor)


def _items(root: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(root) as found:
        yield from found


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


# Locks


def lock(path: Path, seconds: float) -> int | None:
    """Lock a file, made if need be; ``None`` if that takes too long or cannot be.

    The system frees the lock when its holder dies.
    """
    end = time.monotonic() + seconds
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError:  # Something else is there, or nothing can be written at all.
            return None
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


def unlock(path: Path, descriptor: int) -> None:
    """Give a lock back, and remove its file."""
    path.unlink(missing_ok=True)
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # A fork may hold a copy of the descriptor.
    os.close(descriptor)
