"""Which headers a C text includes: ``prelude.h``, and those of which it uses something.

Every run of a compiler reads them anew, and for a small program that is half of its time.
So each holds one subject, and the names that a text uses say which it needs.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

__all__ = ["HEADERS", "headers_digest", "includes"]

HEADERS = Path(__file__).parent
"""The folder of ``abi.h``, ``prelude.h`` and the others."""

_ARITHMETIC = (
    "left_shift|right_shift|gcd|lcm|floordiv|mod|fmod|logaddexp|log1mexp|sinc|logit|ndtr"
    "|xlog|entr|lgamma|erfcx|log_erfc|log_ndtr|to_u?int"
)
_USED = {
    "arithmetic.h": re.compile(rf"wb_(?:{_ARITHMETIC})"),
    "random.h": re.compile(r"wb_(?:philox|below|exponential|normal)"),
    "lanes.h": re.compile(r"WB_(?:LANES|CALLS|ROW|SEARCH)"),
    "complexes.h": re.compile(r"wb_(?:c(?!all\b|onv)|of_|\w*complex)"),
    "loop.h": re.compile(r"wb_tick"),
}
"""Headers for ``prelude.h``, in the order in which they stand, and what is used of them."""

_SMALL, _LARGE = re.compile(r"wb_\w+"), re.compile(r"WB_\w+")

_OTHERS = ("abi.h", "prelude.h", "conv.h", "direct.h", "planes.h", "tiles.h")


@cache
def headers_digest() -> str:
    """What tells one version of the headers from another."""
    texts = [(HEADERS / name).read_bytes() for name in (*_OTHERS, *_USED)]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]


def includes(text: str) -> list[str]:
    """The lines that include what a text needs."""
    found = {*_SMALL.findall(text), *_LARGE.findall(text)}
    needed = (name for name, used in _USED.items() if any(map(used.match, found)))
    return [f'#include "{name}"' for name in ("prelude.h", *needed)]
