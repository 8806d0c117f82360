"""How many threads a loop gets.

More than there are processors would only take them from each other. What a process may
use is less than what the machine has where it is bound to some processors, or lives in
a container with a quota of their time.
"""

from __future__ import annotations

import os
from pathlib import Path

from workbench.config import config

__all__ = ["processors", "thread_count"]

CGROUPS = Path("/sys/fs/cgroup")


def thread_count() -> int:
    """``config.threads``, or the number of `processors` if that is 0."""
    return config.threads or processors()


def processors() -> int:
    """How many processors this process may use, at least 1."""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:  # Not on macOS.
        usable = os.cpu_count() or 1
    return max(1, min(usable, _quota(CGROUPS) or usable))


def _quota(groups: Path) -> int | None:
    """Processors' worth of time that a container is given, rounded up, if it is limited."""
    try:
        if (groups / "cpu.max").exists():
            time, period = (groups / "cpu.max").read_text().split()
        else:
            time = (groups / "cpu/cpu.cfs_quota_us").read_text()
            period = (groups / "cpu/cpu.cfs_period_us").read_text()
        limit = int(time) if time.strip() != "max" else -1
        return -(-limit // int(period)) if limit > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
