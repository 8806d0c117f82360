"""The command ``workbench``: what can be asked without writing Python.

``workbench doctor`` says what this machine offers and what is missing, ``workbench cache``
what is kept on disk; both are thin calls of public functions. ``python -m workbench`` is
the same command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from workbench.compile.cache import Cache, default_cache
from workbench.config import config
from workbench.debug.doctor import doctor

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, 1 if something is to be mended."""
    given = _parser().parse_args(arguments)
    if given.command == "doctor":
        return _doctor(given.quick, given.json)
    cache = default_cache()
    return _clear(cache) if given.action == "clear" else _show(cache)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench", description="Ask about workbench and this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = commands.add_parser(
        "doctor",
        help="compiler, BLAS, cache, GPU: what is here, what is missing, how fast it is",
    )
    asked.add_argument("--quick", action="store_true", help="measure nothing")
    asked.add_argument("--json", action="store_true", help="print JSON")
    kept = commands.add_parser("cache", help="the compiled programs on disk")
    kept.add_argument(
        "action",
        nargs="?",
        choices=("show", "clear"),
        default="show",
        help="show where and how much they are (the default), or remove them",
    )
    return parser


def _doctor(quick: bool, as_json: bool) -> int:
    health = doctor(measure=not quick)
    if as_json:
        print(json.dumps(health.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(health)
    return 0 if health.is_good else 1


def _show(cache: Cache) -> int:
    folder, reason = cache.place()
    if folder is None or reason:
        print(f"{folder or 'the cache'} is not used: {reason}")
        return 1
    kept = cache.entries()
    size = sum(each.size for each in kept)
    print(f"{folder}")
    print(
        f"{len(kept)} programs, {size / 1e6:.1f} MB; config.cache_size is "
        f"{config.cache_size / 1e6:.0f} MB"
    )
    return 0


def _clear(cache: Cache) -> int:
    folder, reason = cache.place()
    if folder is None or reason:
        print(f"{folder or 'the cache'} is not touched: {reason}")
        return 1
    kept = cache.entries()
    if folder.exists():
        cache.clear()
    size = sum(each.size for each in kept)
    print(f"removed {len(kept)} programs, {size / 1e6:.1f} MB, from {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
